/*
 * Emulated IOMMU hosts: every kind of invalidation counts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqtest.h"
#include "host-omit.h"

typedef struct Test {
    const HostOmit *omit;
    const HostOmitCase *c;
} Test;

static void test_case(const void *opaque)
{
    const Test *t = opaque;
    unsigned kind;

    t->omit->check(t->c, t->omit->kinds);
    for (kind = 0; kind < t->omit->kinds; kind++) {
        if (t->c->kinds & 1u << kind) {
            g_test_message("without %s", t->omit->kind_name[kind]);
            t->omit->check(t->c, kind);
        }
    }
}

void host_omit_add(const HostOmit *omit, const HostOmitCase *c)
{
    g_autofree char *path = g_strdup_printf("%s/%s", omit->path, c->name);
    Test *t = g_new(Test, 1);

    *t = (Test) { omit, c };
    qtest_add_data_func_full(path, t, test_case, g_free);
}
