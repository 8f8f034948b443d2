/*
 * Nested vIOMMUs under test: two devices of one IOMMU group of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "nested-group.h"

char *nested_group_host(const char *arch, const char *device)
{
    return g_strdup_printf("[host]\narch=%s\n[iommu 0]\n"
                           "[device " HOST_DEV0 "]\ngroup=7\n%s"
                           "[device " HOST_DEV1 "]\ngroup=7\n%s",
                           arch, device, device);
}

void nested_group_expect(IommufdModel *m, const IommufdDma *how,
                         uint64_t addr, int value)
{
    g_assert_cmpint(nested_rig_peek(m, HOST_DEV0, how, addr), ==, value);
    g_assert_cmpint(nested_rig_peek(m, HOST_DEV1, how, addr), ==, value);
}

static QDict *first(QDict *in, const char *list)
{
    return qobject_to(QDict, qlist_entry_obj(qlist_first(
                                 qdict_get_qlist(in, list))));
}

void nested_group_expect_reason(QTestState *qts, const char *host,
                                bool differs)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'x-query-nested-iommu' }");
    const QListEntry *e;
    unsigned found = 0;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(first(answer, "return"), "devices"),
                        e) {
        QDict *dev = qobject_to(QDict, qlist_entry_obj(e));
        QDict *rid = qdict_get_qdict(dev, "rid");
        const char *why = qdict_get_try_str(rid, "reason");

        if (strcmp(qdict_get_str(dev, "name"), host)) {
            continue;
        }
        found++;
        g_assert_cmpint(qdict_get_int(dev, "group"), ==, 7);
        g_assert_cmpint(why && strstr(why, "IOMMU group 7"), ==, differs);
    }
    g_assert_cmpuint(found, ==, 1);
    qobject_unref(answer);
}
