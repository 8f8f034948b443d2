/*
 * VT-d nesting: what guest commands cost in calls of the host
 *
 * Counted by the model, so that the numbers are the same on every machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-pri-rig.h"

#define IOVA    0x4000000000ULL
#define DID     PRI_DID
#define DEVS    4

static const char *const devs[] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};

static uint64_t calls(VtdRig *r, const char *call)
{
    return iommufd_model_counter(r->m, call, "calls");
}

static void set_entry(VtdRig *r, unsigned dev, uint32_t pasid, uint64_t s1)
{
    vtd_pasid_set(&r->t, RID0 + dev * 8, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = s1, .s1_levels = 4,
    });
}

/* ------------------------------------------------------- synchronisations */

typedef struct Case {
    unsigned devices;
    unsigned tables;            /* 1: shared */
    unsigned commands;
} Case;

/* One ioctl for each HWPT that is touched, whatever the rest is */
static void test_sync(gconstpointer opaque)
{
    const Case *c = opaque;
    uint64_t s1 = 0, before, entries;
    VtdRig r;

    vtd_rig_start_simple(&r, c->devices);
    vtd_rig_enable(&r);
    for (unsigned i = 0; i < c->devices; i++) {
        s1 = i && c->tables == 1 ? s1 : vtd_s1_new(&r.mem);
        vtd_rig_first_stage(&r, RID0 + i * 8, DID, s1);
    }
    /* The parent is a HWPT, too */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1 + c->tables);

    for (unsigned i = 0; i < c->commands; i++) {
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + i * 0x2000, 0,
                                            true));
    }
    before = iommufd_model_calls(r.m);
    entries = iommufd_model_counter(r.m, "HWPT_INVALIDATE", "entries");
    vtd_rig_sync(&r);
    before = iommufd_model_calls(r.m) - before;
    entries = iommufd_model_counter(r.m, "HWPT_INVALIDATE", "entries") -
              entries;
    g_test_message("%u devices, %u tables, %u commands: %" PRIu64
                   " calls, %" PRIu64 " entries", c->devices, c->tables,
                   c->commands, before, entries);
    g_assert_cmpuint(before, ==, c->tables);
    g_assert_cmpuint(before, ==, calls(&r, "HWPT_INVALIDATE"));
    g_assert_cmpuint(entries, ==, c->tables * c->commands);
    vtd_rig_stop(&r);
}

/* A synchronisation without anything to synchronise is free */
static void test_sync_nothing(void)
{
    uint64_t before;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_first_stage(&r, RID0, DID, vtd_s1_new(&r.mem));
    before = iommufd_model_calls(r.m);
    for (unsigned i = 0; i < 16; i++) {
        vtd_rig_sync(&r);
        vtd_rig_inv_context(&r, RID0);
        vtd_rig_inv_pasid(&r, DID, 0);
    }
    g_test_message("16 commands that change nothing: %" PRIu64 " calls",
                   iommufd_model_calls(r.m) - before);
    g_assert_cmpuint(iommufd_model_calls(r.m), ==, before);
    vtd_rig_stop(&r);
}

/* --------------------------------------------------------- bind and unbind */

static void expect_cost(VtdRig *r, const char *what, uint64_t *before,
                        unsigned cost)
{
    uint64_t now = iommufd_model_calls(r->m);

    g_test_message("%s: %" PRIu64 " calls", what, now - *before);
    g_assert_cmpuint(now - *before, ==, cost);
    *before = now;
}

/* What Linux issues for an entry that goes (intel_pasid_tear_down_entry()) */
static void tear_down(VtdRig *r, unsigned dev, uint32_t pasid)
{
    vtd_pasid_clear(&r->t, RID0 + dev * 8, pasid);
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, pasid));
    vtd_queue_push(&r->q, vtd_inv_piotlb_all(DID, pasid));
    vtd_queue_push(&r->q, vtd_inv_pasid_dev_tlb(RID0 + dev * 8, pasid, 0, 51));
    vtd_rig_sync(r);
}

static void set_up(VtdRig *r, unsigned dev, uint32_t pasid, uint64_t s1)
{
    set_entry(r, dev, pasid, s1);
    vtd_rig_inv_pasid(r, DID, pasid);
}

static void test_bind(void)
{
    uint64_t before, s1, other;
    VtdRig r;

    vtd_rig_start_simple(&r, DEVS);
    vtd_rig_enable(&r);
    s1 = vtd_s1_new(&r.mem);
    other = vtd_s1_new(&r.mem);
    for (unsigned i = 0; i < DEVS; i++) {
        vtd_rig_enable_sva(&r, RID0 + i * 8);
        vtd_context_scalable(&r.t, RID0 + i * 8, 12, VTD_CTX_PASIDE |
                             VTD_CTX_DTE | VTD_CTX_PRE, 0);
    }
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&r);

    before = iommufd_model_calls(r.m);
    set_up(&r, 0, 1, s1);
    expect_cost(&r, "first bind (fault queue, HWPT, attach)", &before, 3);
    set_up(&r, 0, 2, other);
    expect_cost(&r, "bind (HWPT, attach)", &before, 2);
    set_up(&r, 1, 1, s1);
    expect_cost(&r, "bind to shared tables (attach)", &before, 1);
    set_up(&r, 2, 3, s1);
    expect_cost(&r, "bind to shared tables, other PASID", &before, 1);
    set_up(&r, 2, 3, other);
    expect_cost(&r, "replace by shared tables (attach)", &before, 1);
    set_up(&r, 2, 3, vtd_s1_new(&r.mem));
    expect_cost(&r, "replace (HWPT, attach)", &before, 2);
    set_up(&r, 2, 3, vtd_s1_new(&r.mem));
    expect_cost(&r, "replace of the only one (HWPT, attach, destroy)",
                &before, 3);
    tear_down(&r, 2, 3);
    expect_cost(&r, "unbind, the device's last (read, detach, destroy)",
                &before, 3);
    /* One ioctl more: the command is for the other device's PASID as well */
    tear_down(&r, 1, 1);
    expect_cost(&r, "unbind from shared tables (read, detach, invalidate)",
                &before, 3);
    tear_down(&r, 0, 1);
    expect_cost(&r, "unbind, last user (detach, destroy)", &before, 2);
    tear_down(&r, 0, 1);
    expect_cost(&r, "unbind what is not bound", &before, 0);
    vtd_rig_stop(&r);
}

/* Sixteen PASIDs of four devices with one table under one synchronisation */
static void test_bind_many(void)
{
    uint64_t before, s1;
    VtdRig r;

    vtd_rig_start_simple(&r, DEVS);
    vtd_rig_enable(&r);
    s1 = vtd_s1_new(&r.mem);
    for (unsigned i = 0; i < DEVS; i++) {
        vtd_rig_enable_sva(&r, RID0 + i * 8);
        vtd_context_scalable(&r.t, RID0 + i * 8, 12, VTD_CTX_PASIDE, 0);
        for (unsigned j = 1; j <= 16; j++) {
            set_entry(&r, i, j, s1);
        }
    }
    before = iommufd_model_calls(r.m);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&r);
    expect_cost(&r, "64 PASIDs, one table (HWPT, RIDs stay blocked)", &before,
                1 + 16 * DEVS);
    for (unsigned i = 0; i < DEVS; i++) {
        IommufdDma how = { .with_pasid = true, .pasid = 16 };

        g_assert_cmpint(vtd_rig_peek(&r, devs[i], &how, IOVA), ==, -1);
        vtd_context_clear(&r.t, RID0 + i * 8);
    }
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&r);
    expect_cost(&r, "and gone (detaches, destroy)", &before, 1 + 16 * DEVS);
    vtd_rig_stop(&r);
}

/* ------------------------------------------------------------ page requests */

/* Groups that have come while the VM was stopped */
static void test_events(gconstpointer opaque)
{
    unsigned num = GPOINTER_TO_UINT(opaque);
    uint64_t reads, writes;
    PriRig p;

    pri_start(&p);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    reads = calls(&p.v, "queue-read");
    for (unsigned i = 0; i < num; i++) {
        iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\""
                         HOST_DEV0 "\",\"pasid\":%u,\"addrs\":[%llu],"
                         "\"grpid\":%u}", PRI_PASID, IOVA + i * 4096ULL, i);
    }
    g_assert_cmpuint(calls(&p.v, "queue-read"), ==, reads);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; pri_tail(&p) != num * 32; i++) {
        g_assert_cmpuint(i, <, 10000);
        g_usleep(1000);
    }
    reads = calls(&p.v, "queue-read") - reads;
    g_assert_cmpuint(reads, ==, 1);

    writes = calls(&p.v, "queue-write");
    for (unsigned i = 0; i < num; i++) {
        vtd_queue_push(&p.v.q, vtd_page_response(RID0, true, PRI_PASID, i,
                                                 VTD_PRG_SUCCESS));
    }
    vtd_rig_sync(&p.v);
    writes = calls(&p.v, "queue-write") - writes;
    g_test_message("%u page request groups: %" PRIu64 " read, %" PRIu64
                   " writes", num, reads, writes);
    g_assert_cmpuint(writes, ==, DIV_ROUND_UP(num, 64));
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        { 1, 1, 1 }, { 1, 1, 16 }, { 1, 1, 256 },
        { 4, 1, 1 }, { 4, 1, 16 }, { 4, 1, 256 },
        { 4, 4, 1 }, { 4, 4, 16 }, { 4, 4, 256 },
    };
    static const unsigned groups[] = { 1, 16, 100 };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf(
            "/vtd-nested/figures/sync/%u-devices/%u-tables/%u",
            cases[i].devices, cases[i].tables, cases[i].commands);

        qtest_add_data_func(path, &cases[i], test_sync);
    }
    qtest_add_func("/vtd-nested/figures/sync/nothing", test_sync_nothing);
    qtest_add_func("/vtd-nested/figures/bind", test_bind);
    qtest_add_func("/vtd-nested/figures/bind-many", test_bind_many);
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/figures/events/%u",
                                                groups[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(groups[i]), test_events);
    }
    return g_test_run();
}
