/*
 * VT-d nesting: live migration of a VM with nested devices
 *
 * The host's IOMMU logs what the devices write. What some of them log
 * themselves are addresses before translation, which says nothing of the
 * guest's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "../libqos/vtd-second-stage.h"
#include "vtd-migration-rig.h"
#include "vtd-pri-rig.h"

#define IOVA        0x4000000000ULL
#define MISSING     0x5000000000ULL
#define SHADOWED    0x40000000ULL
#define DID         PRI_DID
#define PASID       PRI_PASID

/* The first device in a slot, the second on the root bus */
#define DEVICES \
    VTD_RIG_SLOTS \
    "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,bus=rp0 " \
    "-device vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=iommufd0," \
    "bus=pcie.0,addr=4 "

/* Mapped from the start, and not touched before the log is on */
#define LATE        (IOVA + 4096)
#define LATE_PAGE   5
#define PTE_A_D     (3ULL << 5)

/* Bytes of the model's state of a device */
#define STATE_SIZE  (16 + 4096)

static const IommufdDma with_pasid = { .with_pasid = true, .pasid = PASID };

static char *host_that(const char *iommu, const char *device)
{
    return vtd_rig_host(2, iommu, device);
}

/* --------------------------------------------------------------- the host */

/* The parent is there, and whether its log of dirty pages is on */
static bool parent_logs(VtdRig *r)
{
    QDict *answer = iommufd_model_command(r->m, "{\"cmd\":\"objects\"}");
    const QListEntry *e;
    int logs = -1;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "objects"), e) {
        QDict *obj = qobject_to(QDict, e->value);

        if (qdict_get_try_bool(obj, "nest_parent", false)) {
            g_assert_cmpint(logs, ==, -1);
            logs = qdict_get_bool(obj, "dirty");
        }
    }
    qobject_unref(answer);
    g_assert_cmpint(logs, !=, -1);
    return logs;
}

static char *device_state(VtdRig *r, const char *dev)
{
    QDict *answer = iommufd_model_command(r->m, "{\"cmd\":\"state\","
                                          "\"dev\":\"%s\"}", dev);
    char *state = g_strdup(qdict_get_str(answer, "migration"));

    qobject_unref(answer);
    return state;
}

static void expect_state(VtdRig *r, const char *state)
{
    g_autofree char *first = device_state(r, HOST_DEV0);
    g_autofree char *second = device_state(r, HOST_DEV1);

    g_assert_cmpstr(first, ==, state);
    g_assert_cmpstr(second, ==, state);
}

static void dma_write(VtdRig *r, const char *dev, const IommufdDma *how,
                      uint64_t addr, uint8_t value)
{
    uint8_t data[64];

    memset(data, value, sizeof(data));
    iommufd_model_dma_write(r->m, dev, how, addr, data, sizeof(data));
}

/* -------------------------------------------------------------- migration */

static void wait_status(VtdRig *r, const char *status)
{
    for (unsigned i = 0;; i++) {
        QDict *info = qtest_qmp_assert_success_ref(r->qts,
            "{ 'execute': 'query-migrate' }");
        bool is = !g_strcmp0(qdict_get_try_str(info, "status"), status);

        qobject_unref(info);
        if (is) {
            return;
        }
        g_assert_cmpuint(i, <, 6000);
        g_usleep(10000);
    }
}

static void wait_running(VtdRig *r)
{
    for (unsigned i = 0;; i++) {
        QDict *info = qtest_qmp_assert_success_ref(r->qts,
            "{ 'execute': 'query-status' }");
        bool is = qdict_get_bool(info, "running");

        qobject_unref(info);
        if (is) {
            return;
        }
        g_assert_cmpuint(i, <, 6000);
        g_usleep(10000);
    }
}

/* -------------------------------------------------------------- the guest */

static void table(VtdRig *r, uint16_t rid, uint32_t pasid, uint64_t s1)
{
    vtd_pasid_set(&r->t, rid, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = s1, .s1_levels = 4,
    });
}

/*
 * First device: RID to page 1, PASID to page 2, where p->s1 leaves room for a
 * page request. Second: pass-through, and the PASID to page 4.
 */
static void guest_tables(PriRig *p)
{
    VtdRig *r = &p->v;

    vtd_s1_map(&r->mem, p->s1, 4, IOVA, DATA + 2 * 4096, 4096, 12,
               VTD_S1_USER_RW);
    vtd_s1_map(&r->mem, p->s1, 4, LATE, DATA + LATE_PAGE * 4096, 4096, 12,
               VTD_S1_USER_RW);
    vtd_context_scalable(&r->t, BEHIND(1), 12,
                         VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE, 0);
    table(r, BEHIND(1), 0, vtd_rig_s1(r, IOVA, 1));
    table(r, BEHIND(1), PASID, p->s1);
    vtd_rig_inv_context(r, BEHIND(1));
    vtd_context_scalable(&r->t, RID0, 12, VTD_CTX_PASIDE, 0);
    vtd_pasid_set(&r->t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_PASSTHROUGH, .did = DID,
    });
    table(r, RID0, PASID, vtd_rig_s1(r, IOVA, 4));
    vtd_rig_inv_context(r, RID0);
}

static void start_source(PriRig *p, const char *host)
{
    VtdRig *r = &p->v;

    pri_start_with(p, host, "nested=on", 0, DEVICES, 0);
    vtd_rig_number_slot(r, 0, 1);
    p->rid = BEHIND(1);
    vtd_rig_enable_sva(r, BEHIND(1));
    vtd_rig_enable_sva(r, RID0);
    for (unsigned page = 1; page <= 4; page++) {
        vtd_rig_fill(r, page, page);
    }
    guest_tables(p);
    nested_rig_endless(r->qts);
}

static void start_destination(PriRig *p, const PriRig *src, const char *host)
{
    vtd_rig_start(&p->v, host, "nested=on", 0, DEVICES "-incoming defer");
    vtd_rig_take_over(&p->v, &src->v);
    p->dev = src->dev;
    p->rid = src->rid;
    p->queue = src->queue;
    p->entries = src->entries;
    p->head = src->head;
    p->s1 = src->s1;
}

/* Written by DMA between two passes, in every way there is */
static void dirty_pages(VtdRig *r, uint8_t value)
{
    dma_write(r, HOST_DEV0, NULL, IOVA, value);
    dma_write(r, HOST_DEV0, &with_pasid, IOVA, value + 1);
    dma_write(r, HOST_DEV1, NULL, DATA + 3 * 4096, value + 2);
    dma_write(r, HOST_DEV1, &with_pasid, IOVA, value + 3);
}

static void expect_pages(VtdRig *r, uint8_t value)
{
    for (unsigned page = 1; page <= 4; page++) {
        uint8_t data[64], wanted[64];

        memset(wanted, value + page - 1, sizeof(wanted));
        qtest_memread(r->qts, DATA + page * 4096, data, sizeof(data));
        g_assert_cmpmem(data, sizeof(data), wanted, sizeof(wanted));
    }
}

static uint64_t late_entry(PriRig *p)
{
    unsigned level;

    return iommu_mem_read64(&p->v.mem,
                            vtd_s1_entry(&p->v.mem, p->s1, 4, LATE, 1,
                                         &level));
}

/* What the IOMMU itself wrote: accessed and dirty, in the guest's table */
static void expect_late(PriRig *src, PriRig *dst, uint8_t value)
{
    g_assert_cmphex(late_entry(src) & PTE_A_D, ==, PTE_A_D);
    g_assert_cmphex(late_entry(dst), ==, late_entry(src));
    g_assert_cmphex(qtest_readb(dst->v.qts, DATA + LATE_PAGE * 4096), ==,
                    value);
}

static void expect_attached(VtdRig *r, uint8_t value)
{
    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA, value, 16);
    iommufd_model_expect_data(r->m, HOST_DEV0, &with_pasid, IOVA, value + 1,
                              16);
    iommufd_model_expect_data(r->m, HOST_DEV1, NULL, DATA + 3 * 4096,
                              value + 2, 16);
    iommufd_model_expect_data(r->m, HOST_DEV1, &with_pasid, IOVA, value + 3,
                              16);
    g_assert_cmpint(vtd_rig_peek(r, HOST_DEV0, NULL, DATA), ==, -1);
}

/* Unplug the first device: the host has as much less as it had for it */
static void expect_no_leak(VtdRig *r)
{
    vtd_context_clear(&r->t, RID0);
    vtd_rig_inv_context(r, RID0);
    g_assert_cmpuint(iommufd_model_live(r->m, "fault"), ==, 1);
    vtd_rig_unplug(r, 0, "dev0");
    /* The parent, which the second device still uses */
    g_assert_cmpuint(iommufd_model_live(r->m, "hwpt"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r->m, "devices"), ==, 1);
}

/* ------------------------------------------------------------------ tests */

/* Line of the journal with both texts; 0: none */
static unsigned journal_line(VtdRig *r, const char *a, const char *b)
{
    g_autofree char *file = g_build_filename(r->m->dir, "journal", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        if (strstr(lines[i], a) && strstr(lines[i], b)) {
            return i + 1;
        }
    }
    return 0;
}

/* No device ran on the destination before it had its translations back */
static void expect_order(VtdRig *r)
{
    unsigned runs = journal_line(r, "\"old\":\"stop\"",
                                 "\"new\":\"running-p2p\"");
    unsigned attached = journal_line(r, "\"call\":\"ATTACH_IOMMUFD_PT\"",
                                     "\"pasid\":7");

    g_assert_cmpuint(attached, !=, 0);
    g_assert_cmpuint(runs, >, attached);
}

static void test_live(gconstpointer device)
{
    g_autofree char *host = host_that("", device);
    g_autofree char *socket = nested_rig_scratch("socket");
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);
    g_autofree char *blockers = NULL;
    PriRig src, dst = {};
    PageRequest old, new;
    int pending, index;

    start_source(&src, host);
    blockers = vtd_migration_blockers(&src.v);
    g_assert_cmpstr(blockers, ==, "");
    start_destination(&dst, &src, host);
    vtd_migration_incoming(&dst.v, uri);
    g_assert_false(parent_logs(&src.v));
    dirty_pages(&src.v, 0x10);
    vtd_migration_begin(&src.v, uri);

    /* What goes on between passes */
    nested_rig_wait_pass(src.v.qts);
    g_assert_true(parent_logs(&src.v));
    dirty_pages(&src.v, 0x20);
    g_assert_cmphex(late_entry(&src) & PTE_A_D, ==, 0);
    dma_write(&src.v, HOST_DEV0, &with_pasid, LATE, 0x55);
    nested_rig_wait_pass(src.v.qts);
    dirty_pages(&src.v, 0x30);
    pending = pri_miss(&src, true, MISSING);
    old = pri_next(&src);
    g_assert_cmpint(pri_outcome_now(&src, pending), ==, -2);
    expect_state(&src.v, "running");
    nested_rig_let_it_end(src.v.qts);
    g_assert_null(vtd_migration_end(&src.v));

    /* Left behind: stopped, with nothing outstanding */
    expect_state(&src.v, "stop");
    g_assert_cmpint(pri_outcome(&src, pending), ==, -1);
    g_assert_cmpuint(iommufd_model_counter(src.v.m, "HWPT_GET_DIRTY_BITMAP",
                                           "calls"), >, 0);
    g_assert_cmpuint(iommufd_model_counter(src.v.m, "HWPT_GET_DIRTY_BITMAP",
                                           "errors"), ==, 0);

    /* Arrived: pages, devices and what they are attached to */
    wait_running(&dst.v);
    expect_state(&dst.v, "running");
    g_assert_cmpuint(iommufd_model_counter(dst.v.m, "migration-write",
                                           "entries"), ==, 2 * STATE_SIZE);
    expect_pages(&dst.v, 0x30);
    expect_late(&src, &dst, 0x55);
    expect_attached(&dst.v, 0x30);
    expect_order(&dst.v);

    /* The guest answers what it was asked there, which nobody waits for */
    dst.head = src.head;
    pri_consume(&dst);
    pri_respond(&dst, &old, VTD_PRG_SUCCESS);
    index = pri_miss(&dst, true, MISSING);
    new = pri_next(&dst);
    g_assert_cmphex(new.rid, ==, BEHIND(1));
    g_assert_cmphex(new.addr, ==, MISSING);
    pri_map(&dst, MISSING, 0x77);
    pri_respond(&dst, &new, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&dst, index), ==, 0x77);

    expect_no_leak(&dst.v);
    pri_stop(&dst);
    pri_stop(&src);
    nested_rig_scratch_remove(socket);
}

/* In legacy mode: what devices write through shadows, and what they wrote */
static void test_shadow(gconstpointer device)
{
    g_autofree char *host = host_that("", device);
    g_autofree char *socket = nested_rig_scratch("socket");
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);
    uint64_t ss;
    VtdRig src, dst;

    vtd_rig_start(&src, host, "nested=on", 2, "");
    for (unsigned page = 1; page <= 3; page++) {
        vtd_rig_fill(&src, page, page);
    }
    vtd_rig_enable_legacy(&src);
    ss = vtd_s2_new(&src.mem);
    vtd_s2_map(&src.mem, ss, 4, SHADOWED, DATA + 4096, 3 * 4096, 12, VTD_S2_RW);
    for (unsigned i = 0; i < 2; i++) {
        vtd_context_legacy(&src.t, RID0 + i * 8, 0, ss, 4, DID);
        vtd_rig_inv_context(&src, RID0 + i * 8);
    }
    nested_rig_endless(src.qts);
    vtd_rig_start(&dst, host, "nested=on", 2, "-incoming defer");
    vtd_migration_incoming(&dst, uri);
    vtd_migration_begin(&src, uri);
    nested_rig_wait_pass(src.qts);
    dma_write(&src, HOST_DEV0, NULL, SHADOWED, 0x20);
    /* The guest takes it away before anybody has looked */
    dma_write(&src, HOST_DEV1, NULL, SHADOWED + 4096, 0x21);
    vtd_s2_map(&src.mem, ss, 4, SHADOWED + 4096, 0, 4096, 12, 0);
    vtd_queue_push(&src.q, vtd_inv_iotlb(VTD_INV_NARROW, DID, SHADOWED + 4096,
                                         0, false));
    vtd_rig_sync(&src);
    nested_rig_wait_pass(src.qts);
    dma_write(&src, HOST_DEV1, NULL, SHADOWED + 2 * 4096, 0x22);
    nested_rig_let_it_end(src.qts);
    g_assert_null(vtd_migration_end(&src));

    wait_running(&dst);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(qtest_readb(dst.qts, DATA + (1 + i) * 4096), ==,
                        0x20 + i);
    }
    iommufd_model_expect_data(dst.m, HOST_DEV0, NULL, SHADOWED, 0x20, 16);
    iommufd_model_expect_data(dst.m, HOST_DEV1, NULL, SHADOWED + 2 * 4096,
                              0x22, 16);
    g_assert_cmpint(vtd_rig_peek(&dst, HOST_DEV0, NULL, SHADOWED + 4096), ==,
                    -1);
    vtd_rig_take_over(&dst, &src);
    vtd_s2_map(&dst.mem, ss, 4, SHADOWED + 4096, DATA + 3 * 4096, 4096, 12,
               VTD_S2_RW);
    vtd_queue_push(&dst.q, vtd_inv_iotlb(VTD_INV_DOMAIN, DID, 0, 0, false));
    vtd_rig_sync(&dst);
    iommufd_model_expect_data(dst.m, HOST_DEV0, NULL, SHADOWED + 4096, 0x22,
                              16);
    vtd_rig_stop(&dst);
    vtd_rig_stop(&src);
    nested_rig_scratch_remove(socket);
}

/* It does not happen: the VM stays, its devices and their requests with it */
static void test_cancel(void)
{
    g_autofree char *host = host_that("", "migration=on\n");
    PageRequest req;
    PriRig p;
    int index;

    start_source(&p, host);
    vtd_migration_begin(&p.v, "exec:cat >/dev/null");
    index = pri_miss(&p, true, MISSING);
    req = pri_next(&p);
    nested_rig_wait_pass(p.v.qts);
    g_assert_true(parent_logs(&p.v));
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'migrate_cancel' }");
    wait_status(&p.v, "cancelled");
    g_assert_false(parent_logs(&p.v));
    expect_state(&p.v, "running");
    pri_map(&p, MISSING, 0x77);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index), ==, 0x77);
    dirty_pages(&p.v, 0x40);
    expect_pages(&p.v, 0x40);
    expect_no_leak(&p.v);
    pri_stop(&p);
}

/*
 * A VM that is stopped, and goes on: devices that can be migrated are stopped
 * as well, and what they have asked is answered
 */
static void test_pause(void)
{
    g_autofree char *host = host_that("", "migration=on\n");
    PriRig p;
    int read, unread;

    start_source(&p, host);
    read = pri_miss(&p, true, MISSING);
    pri_next(&p);
    unread = pri_miss(&p, true, MISSING + 4096);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    expect_state(&p.v, "stop");
    g_assert_cmpint(pri_outcome(&p, read), ==, -1);
    g_assert_cmpint(pri_outcome(&p, unread), ==, -1);
    iommufd_model_expect_fault(p.v.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "stopped");
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'cont' }");
    expect_state(&p.v, "running");
    dirty_pages(&p.v, 0x50);
    expect_pages(&p.v, 0x50);
    pri_stop(&p);
}

/* The host refuses to log, or to tell: no migration, and no harm */
static void test_fail(gconstpointer call)
{
    g_autofree char *host = host_that("", "migration=on\n");
    g_autofree char *why = NULL;
    PriRig p;

    start_source(&p, host);
    iommufd_model_do(p.v.m, "{\"cmd\":\"fault\",\"on\":\"%s:1:errno=EIO\"}",
                     (const char *)call);
    vtd_migration_begin(&p.v, "exec:cat >/dev/null");
    why = vtd_migration_end(&p.v);
    g_test_message("%s", why);
    g_assert_nonnull(why);
    g_assert_false(parent_logs(&p.v));
    expect_state(&p.v, "running");
    dirty_pages(&p.v, 0x60);
    expect_pages(&p.v, 0x60);
    expect_no_leak(&p.v);
    pri_stop(&p);
}

/*
 * Back in time in the same process: the host must not have anything left of
 * what the guest has done since. @stuck: the reset before the state is loaded
 * can detach no PASID.
 */
static void test_snapshot(gconstpointer stuck)
{
    g_autofree char *host = host_that("", "migration=on\n");
    VtdQueue q;
    PriRig p;
    VtdRig *r = &p.v;

    start_source(&p, host);
    iommufd_model_expect_data(r->m, HOST_DEV0, &with_pasid, IOVA, 2, 16);
    nested_rig_snapshots(r->qts);
    nested_rig_snapshot(r->qts, "snapshot-save");
    q = r->q;
    for (unsigned i = 0; i < 2; i++) {
        vtd_s1_map(&r->mem, p.s1, 4, IOVA, DATA + 3 * 4096, 4096, 12,
                   VTD_S1_USER_RW);
        vtd_queue_push(&r->q, vtd_inv_piotlb(DID, PASID, IOVA, 0, true));
        vtd_rig_sync(r);
        iommufd_model_expect_data(r->m, HOST_DEV0, &with_pasid, IOVA, 3, 16);
        if (stuck) {
            iommufd_model_do(r->m, "{\"cmd\":\"fault\",\"on\":"
                             "\"DETACH_IOMMUFD_PT:1:errno=EIO:every\"}");
        }
        nested_rig_snapshot(r->qts, "snapshot-load");
        iommufd_model_do(r->m, "{\"cmd\":\"fault-clear\"}");
        r->q = q;
        iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA, 1, 16);
        if (stuck) {
            vtd_rig_inv_pasid(r, DID, PASID);
        }
        iommufd_model_expect_data(r->m, HOST_DEV0, &with_pasid, IOVA, 2, 16);
        iommufd_model_expect_data(r->m, HOST_DEV1, &with_pasid, IOVA, 4, 16);
    }
    pri_stop(&p);
}

/* The IOMMU cannot log, and it is of no use if the device can */
static void test_no_log(gconstpointer device)
{
    g_autofree char *host = host_that("dirty-tracking=off\n", device);
    g_autofree char *why = NULL;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    why = vtd_migration_refusal(&r);
    g_assert_nonnull(why);
    g_assert_nonnull(strstr(why, HOST_DEV0));
    g_assert_nonnull(strstr(why, "dirty tracking"));
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/live/migrate", "migration=on\n",
                        test_live);
    qtest_add_data_func("/vtd-nested/live/migrate-logging",
                        "migration=on\ndma-logging=on\n", test_live);
    qtest_add_data_func("/vtd-nested/live/shadow", "migration=on\n",
                        test_shadow);
    qtest_add_data_func("/vtd-nested/live/shadow-logging",
                        "migration=on\ndma-logging=on\n", test_shadow);
    qtest_add_func("/vtd-nested/live/cancel", test_cancel);
    qtest_add_func("/vtd-nested/live/pause", test_pause);
    qtest_add_data_func("/vtd-nested/live/fail/set", "HWPT_SET_DIRTY_TRACKING",
                        test_fail);
    qtest_add_data_func("/vtd-nested/live/fail/get", "HWPT_GET_DIRTY_BITMAP",
                        test_fail);
    qtest_add_data_func("/vtd-nested/live/snapshot", NULL, test_snapshot);
    qtest_add_data_func("/vtd-nested/live/snapshot-stuck", "", test_snapshot);
    qtest_add_data_func("/vtd-nested/live/no-log", "migration=on\n",
                        test_no_log);
    qtest_add_data_func("/vtd-nested/live/no-log-logging",
                        "migration=on\ndma-logging=on\n", test_no_log);
    return g_test_run();
}
