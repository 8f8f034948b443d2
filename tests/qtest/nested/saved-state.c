/*
 * Saved states of releases, as they are kept in the tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <zlib.h>
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "saved-state.h"

/* As seen from where tests run, the folder with the emulators */
#define FOLDER          "../src/tests/qtest/nested/states"

#define STRIDE          9
#define SIZE_MAX_RAW    (16 * MiB)

/* Behind everything else, with its length before it */
#define VMDESCRIPTION   0x06

void saved_state_save(QTestState *qts, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    qtest_qmp_assert_success(qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate', 'arguments': {"
                             "'uri': %s } }", uri);
    g_assert_true(nested_rig_migrated(qts));
}

bool saved_state_load(QTestState *qts, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-incoming',"
                             "'arguments': { 'uri': %s, 'exit-on-error':"
                             "false } }", uri);
    return nested_rig_migrated(qts);
}

static void pack(const char *path, const char *file)
{
    g_autofree uint8_t *raw = NULL;
    size_t len;
    gzFile out;

    g_assert_true(g_file_get_contents(file, (char **)&raw, &len, NULL));
    for (size_t i = len; i-- > STRIDE; ) {
        raw[i] -= raw[i - STRIDE];
    }
    out = gzopen(path, "wb9");
    g_assert_nonnull(out);
    g_assert_cmpint(gzwrite(out, raw, len), ==, len);
    g_assert_cmpint(gzclose(out), ==, Z_OK);
}

static void unpack(const char *path, const char *file)
{
    g_autofree uint8_t *raw = g_malloc(SIZE_MAX_RAW);
    gzFile in = gzopen(path, "rb");
    int len;

    if (!in) {
        g_error("%s: %s", path, strerror(errno));
    }
    len = gzread(in, raw, SIZE_MAX_RAW);
    g_assert_cmpint(len, >, 0);
    g_assert_cmpint(gzclose(in), ==, Z_OK);
    for (int i = STRIDE; i < len; i++) {
        raw[i] += raw[i - STRIDE];
    }
    g_assert_true(g_file_set_contents(file, (char *)raw, len, NULL));
}

bool saved_state_get(const char *name, const char *file)
{
    const char *folder = getenv("NESTED_STATES");
    g_autofree char *path = g_strdup_printf("%s/%s.gz", folder ?: FOLDER,
                                            name);

    if (folder) {
        pack(path, file);
    } else {
        unpack(path, file);
    }
    return !folder;
}

static QDict *description(const char *file)
{
    g_autofree char *raw = NULL;
    QObject *found = NULL;
    size_t len;

    g_assert_true(g_file_get_contents(file, &raw, &len, NULL));
    for (size_t at = len - 5; at > 0 && !found; at--) {
        size_t rest = len - at - 5;

        if (raw[at] == VMDESCRIPTION && ldl_be_p(raw + at + 1) == rest) {
            g_autofree char *text = g_strndup(raw + at + 5, rest);

            found = qobject_from_json(text, NULL);
        }
    }
    return qobject_to(QDict, found);
}

/* One line for each device of the type */
static char *shape(const char *file, const char *vmsd)
{
    QDict *all = description(file);
    GString *text = g_string_new("");
    const QListEntry *e;

    g_assert_nonnull(all);
    QLIST_FOREACH_ENTRY(qdict_get_qlist(all, "devices"), e) {
        QDict *device = qobject_to(QDict, e->value);

        if (!g_strcmp0(qdict_get_try_str(device, "vmsd_name"), vmsd)) {
            GString *json = qobject_to_json(QOBJECT(device));

            g_string_append_printf(text, "%s\n", json->str);
            g_string_free(json, true);
        }
    }
    qobject_unref(all);
    return g_string_free(text, false);
}

static void check_same_shape(const char *file, const char *other,
                             const char *vmsd)
{
    g_autofree char *one = shape(file, vmsd), *two = shape(other, vmsd);

    g_assert_cmpstr(one, !=, "");
    g_assert_cmpstr(one, ==, two);
}

void saved_state_check_shape(const char *name, void (*save)(const char *file),
                             const char *vmsd)
{
    g_autofree char *now = nested_rig_scratch("now");
    g_autofree char *then = nested_rig_scratch("then");

    save(now);
    if (!saved_state_get(name, getenv("NESTED_STATES") ? now : then)) {
        g_test_skip("written anew");
    } else {
        check_same_shape(now, then, vmsd);
    }
    nested_rig_scratch_remove(now);
    nested_rig_scratch_remove(then);
}

void saved_state_check_said(const char *file, const char *words)
{
    g_autofree char *text = NULL;

    if (!nested_rig_said(file, words)) {
        g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
        g_error("not \"%s\" but: %s", words, text);
    }
}

void saved_state_no_firmware(const char *file)
{
    g_autofree char *zeroes = g_malloc0(64 * KiB);
    g_autofree char *folder = g_path_get_dirname(file);

    g_assert_true(g_file_set_contents(file, zeroes, 64 * KiB, NULL));
    g_assert_cmpint(chmod(folder, 0755), ==, 0);
    g_assert_cmpint(chmod(file, 0644), ==, 0);
}
