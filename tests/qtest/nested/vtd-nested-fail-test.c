/*
 * VT-d nesting: a host call fails while QEMU starts
 *
 * QEMU ends with a message that names the device, whichever call it was; or it
 * starts, because there is another way (a container of its own for a device
 * that cannot be attached to the first one's), and nests.
 * vtd-nested-sweep-test has everything after that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "vtd-rig.h"

/* How QEMU ended, and what it said */
typedef struct Outcome {
    bool injected;              /* the call has been made, and has failed */
    int status;
    char *out;
    char *err;
} Outcome;

static void outcome_free(Outcome *o)
{
    g_free(o->out);
    g_free(o->err);
}

/* QEMU starts, if it can, answers @query, and ends */
static Outcome start(const char *order)
{
    static const char query[] = "{ \"execute\": \"x-query-nested-iommu\" }";
    g_autofree char *host = vtd_rig_host(2, "", "");
    g_autofree char *config = g_strdup_printf("%s%s%s", host,
                                              "[fault]\non=", order);
    IommufdModel *m = iommufd_model_new(config);
    g_autofree char *command = g_strdup_printf(
        "printf '%%s\\n' '{ \"execute\": \"qmp_capabilities\" }' '%s' "
        "'{ \"execute\": \"quit\" }' | "
        "exec env LD_PRELOAD='%s' IOMMUFD_MODEL='%s/config' %s -display none "
        "-accel qtest -machine q35 -m 128M -nodefaults -qmp stdio "
        "-device intel-iommu,nested=on -object iommufd,id=iommufd0 "
        "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0 "
        "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0",
        query, m->library, m->dir, qtest_qemu_binary(NULL));
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", command, NULL };
    g_autoptr(GError) err = NULL;
    Outcome o;

    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &o.out,
                 &o.err, &o.status, &err);
    g_assert_no_error(err);
    o.status = WIFEXITED(o.status) ? WEXITSTATUS(o.status) : -1;
    o.injected = iommufd_model_journal(m, "\"ev\":\"injected\"");
    iommufd_model_free(m);
    return o;
}

static unsigned devices_nested(const Outcome *o)
{
    g_auto(GStrv) lines = g_strsplit(o->out, "\n", -1);

    for (unsigned i = 0; lines[i]; i++) {
        QObject *obj = qobject_from_json(lines[i], NULL);
        QDict *dict = qobject_to(QDict, obj);
        QList *list = dict ? qobject_to(QList, qdict_get(dict, "return")) :
                      NULL;

        if (list) {
            QDict *v = qobject_to(QDict, qlist_peek(list));
            unsigned num = qlist_size(qdict_get_qlist(v, "devices"));

            qobject_unref(obj);
            return num;
        }
        qobject_unref(obj);
    }
    g_assert_not_reached();
}

/* One line that starts with the program's name, and has a device's in it */
static void expect_message(const Outcome *o)
{
    g_auto(GStrv) lines = g_strsplit(o->err, "\n", -1);
    unsigned errors = 0;

    for (unsigned i = 0; lines[i]; i++) {
        if (strstr(lines[i], "-device vfio-pci")) {
            g_assert_true(strstr(lines[i], HOST_DEV0) ||
                          strstr(lines[i], HOST_DEV1));
            errors++;
        }
    }
    if (errors != 1) {
        g_error("not one message: %s", o->err);
    }
}

typedef struct Call {
    const char *name;
    bool harmless;
} Call;

/*
 * Memory that changes after a device has been set up: there is no device to
 * refuse, and QEMU cannot go on
 */
static bool expect_end(const Outcome *o)
{
    return strstr(o->err, "unable to continue") &&
           strstr(o->err, "limit of locked memory");
}

static void test_start(gconstpointer opaque)
{
    const Call *call = opaque;
    unsigned nth, refused = 0;
    bool more = true;

    for (nth = 1; more; nth++) {
        g_autofree char *order = g_strdup_printf("%s:%u:errno=ENOMEM\n",
                                                 call->name, nth);
        Outcome o = start(order);

        g_test_message("%s %u: status %d %s", call->name, nth, o.status,
                       o.err);
        more = o.injected;
        if (o.status) {
            g_assert_true(more);
            g_assert_cmpint(o.status, ==, 1);
            if (!expect_end(&o)) {
                expect_message(&o);
            }
            refused++;
        } else {
            g_assert_cmpuint(devices_nested(&o), ==, 2);
        }
        outcome_free(&o);
    }
    g_assert_true(call->harmless == !refused);
    g_assert_cmpuint(nth, >, 2);
}

int main(int argc, char **argv)
{
    static const Call calls[] = {
        { "BIND_IOMMUFD" },
        { "GET_HW_INFO" },
        { "IOAS_ALLOC" },
        { "IOAS_MAP" },
        { "HWPT_ALLOC" },
        { "FAULT_QUEUE_ALLOC" },
        { "ATTACH_IOMMUFD_PT" },
        { "RESET", .harmless = true },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/fail/start/%s",
                                                calls[i].name);

        qtest_add_data_func(path, &calls[i], test_start);
    }
    return g_test_run();
}
