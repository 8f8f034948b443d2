/*
 * VT-d nesting under test: state that goes from one QEMU to another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"
#include "vtd-migration-rig.h"

char *vtd_migration_end(VtdRig *r)
{
    for (unsigned i = 0; i < 6000; i++) {
        QDict *info = qtest_qmp_assert_success_ref(r->qts,
            "{ 'execute': 'query-migrate' }");
        const char *status = qdict_get_try_str(info, "status");
        const char *why = qdict_get_try_str(info, "error-desc");
        g_autofree char *reason = g_strdup(why ?: "");
        bool failed = !g_strcmp0(status, "failed");
        bool done = !g_strcmp0(status, "completed");

        qobject_unref(info);
        if (failed) {
            return g_steal_pointer(&reason);
        }
        if (done) {
            return NULL;
        }
        g_usleep(10000);
    }
    g_assert_not_reached();
}

void vtd_migration_begin(VtdRig *r, const char *uri)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate', 'arguments': {"
                             "'uri': %s } }", uri);
}

void vtd_migration_begin_file(VtdRig *r, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    vtd_migration_begin(r, uri);
}

void vtd_migration_save(VtdRig *r, const char *file)
{
    vtd_migration_begin_file(r, file);
    g_assert_null(vtd_migration_end(r));
}

void vtd_migration_incoming(VtdRig *r, const char *uri)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate-incoming',"
                             "'arguments': { 'uri': %s, 'exit-on-error':"
                             "false } }", uri);
}

char *vtd_migration_load(VtdRig *r, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    vtd_migration_incoming(r, uri);
    return vtd_migration_end(r);
}

char *vtd_migration_refusal(VtdRig *r)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'migrate', 'arguments': {"
                              "'uri': 'exec:cat >/dev/null' } }");
    QDict *error = qdict_get_qdict(answer, "error");
    char *why = error ? g_strdup(qdict_get_str(error, "desc")) : NULL;

    qobject_unref(answer);
    return why;
}

char *vtd_migration_blockers(VtdRig *r)
{
    QDict *info = qtest_qmp_assert_success_ref(r->qts,
                                               "{ 'execute':'query-migrate'}");
    QList *list = qdict_get_qlist(info, "blocked-reasons");
    GString *text = g_string_new("");
    const QListEntry *e;

    for (e = list ? qlist_first(list) : NULL; e; e = qlist_next(e)) {
        g_string_append(text, qstring_get_str(qobject_to(QString, e->value)));
    }
    qobject_unref(info);
    return g_string_free(text, false);
}

void vtd_rig_take_over(VtdRig *to, const VtdRig *from)
{
    to->mem.next = from->mem.next;
    to->t = from->t;
    to->t.mem = &to->mem;
    to->q = from->q;
    to->q.mem = &to->mem;
}
