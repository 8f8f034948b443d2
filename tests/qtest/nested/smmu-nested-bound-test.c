/*
 * SMMUv3 nesting: how much of the queue is done before others have their turn
 *
 * Measured in commands, calls on the host and STEs read. A doorbell that is
 * rung while the VM is stopped is worth the first turn exactly; all others wait
 * until it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
/* include/hw/iommufd.h: units of work in a turn, and what a call counts */
#define TURN        4096
#define CALL        16
/* Pairs of TLBI and CMD_SYNC: both are steps, one entry is queued and sent */
#define PAIR        (4 + CALL)
#define PAIRS       1000
#define DEVS        4
#define CR0_ON      (1 << 3 | 1 << 2 | 1 << 0)
#define CR0_CMDQEN  (1 << 3)

static const struct {
    const char *dev;
    uint32_t sid;
} devs[DEVS] = {
    { HOST_DEV0, SID0 }, { HOST_DEV1, SID1 }, { HOST_DEV2, SID2 },
    { HOST_DEV3, SID3 },
};

static uint64_t counter(SmmuRig *r, const char *name)
{
    return nested_rig_counter(r->qts, "counters", name);
}

static void stop(SmmuRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
}

static void cont(SmmuRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
}

static uint32_t mask(SmmuRig *r)
{
    return (2u << r->cmdq.bits) - 1;
}

static void kick(SmmuRig *r)
{
    smmu_rig_write(r, SMMU_REG_CMDQ_PROD, r->cmdq.index);
}

static bool at_end(SmmuRig *r)
{
    return (smmu_rig_read(r, SMMU_REG_CMDQ_CONS) & mask(r)) == r->cmdq.index;
}

static bool error(SmmuRig *r)
{
    return (smmu_rig_read(r, SMMU_REG_GERROR) ^
            smmu_rig_read(r, SMMU_REG_GERRORN)) & 1;
}

static void wait_end(SmmuRig *r)
{
    for (unsigned i = 0; !at_end(r); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    g_assert_false(error(r));
}

/* One turn; the monitor answers meanwhile. Return: CONS, not at the end. */
static unsigned kick_stopped(SmmuRig *r)
{
    uint64_t before = counter(r, "turns-put-off");
    unsigned cons;

    stop(r);
    kick(r);
    cons = smmu_rig_cons(r);
    g_assert_false(at_end(r));
    g_assert_cmpuint(counter(r, "turns-put-off"), ==, before + 1);
    g_usleep(20000);
    g_assert_cmpuint(smmu_rig_cons(r), ==, cons);
    return cons;
}

/* Devices with a table each, which leads to the page of its number */
static void start(SmmuRig *r, unsigned num)
{
    smmu_rig_start_simple(r, num);
    smmu_rig_enable(r, 4);
    for (unsigned i = 0; i < 2 * num; i++) {
        smmu_rig_fill(r, i, i + 1);
    }
    for (unsigned i = 0; i < num; i++) {
        smmu_rig_stage1(r, devs[i].sid, ASID + i, IOVA, i);
    }
}

static void expect_pages(SmmuRig *r, unsigned num, unsigned first)
{
    for (unsigned i = 0; i < num; i++) {
        g_assert_cmpint(smmu_rig_peek(r, devs[i].dev, NULL, IOVA), ==,
                        first + i + 1);
    }
}

/* Other STEs, without a word: each device has the page @first behind its own */
static void edit_stes(SmmuRig *r, unsigned first)
{
    for (unsigned i = 0; i < DEVS; i++) {
        SmmuS1 s1 = smmu_rig_s1(r, IOVA, first + i);
        SmmuCdTable cds;

        smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, 2 * ASID + first + i);
        smmu_ste_set(&r->t, devs[i].sid, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds });
    }
}

static void push_pairs(SmmuRig *r, unsigned num)
{
    for (unsigned i = 0; i < num; i++) {
        smmu_queue_push(&r->cmdq, smmu_tlbi_asid(ASID));
        smmu_queue_push(&r->cmdq, smmu_sync());
    }
}

/* The monitor is answered while CONS is on its way, a turn at a time */
static void test_progress(void)
{
    uint64_t calls, before, turns;
    unsigned cons, first;
    SmmuRig r;

    start(&r, 1);
    before = smmu_rig_ioctls(&r);
    first = r.cmdq.index;
    push_pairs(&r, PAIRS);
    cons = kick_stopped(&r);
    calls = smmu_rig_ioctls(&r) - before;
    g_assert_cmpuint(calls, >=, TURN / PAIR - 1);
    g_assert_cmpuint(calls, <=, TURN / CALL);
    /* What CONS has passed is done */
    g_assert_cmpuint(cons, >=, first + 2 * calls - 2);
    g_assert_cmpuint(cons, <=, first + 2 * calls + 2);

    cont(&r);
    wait_end(&r);
    calls = smmu_rig_ioctls(&r) - before;
    turns = counter(&r, "turns-put-off") + 1;
    g_assert_cmpuint(calls, >=, PAIRS);
    g_assert_cmpuint(calls, <=, PAIRS + turns);
    g_assert_cmpuint(calls * CALL / turns, <=, TURN);
    g_test_message("%" PRIu64 " calls in %" PRIu64 " turns", calls, turns);
    smmu_rig_stop(&r);
}

/* Small batches are done when the doorbell has been rung */
static void test_at_once(void)
{
    SmmuRig r;

    start(&r, 1);
    for (unsigned i = 0; i < 1024; i++) {
        smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA + i * 4096, true));
    }
    smmu_queue_push(&r.cmdq, smmu_sync());
    kick(&r);
    g_assert_true(at_end(&r));
    g_assert_cmpuint(counter(&r, "turns-put-off"), ==, 0);
    smmu_rig_stop(&r);
}

/*
 * A turn that ends within a CFGI_ALL: some of the devices have been read, and
 * CONS stands at it. Return: its position.
 */
static unsigned stop_in_range(SmmuRig *r)
{
    uint64_t reads = counter(r, "entries-read");
    unsigned at;

    /* What is left is enough for two STEs or three: HWPT and attach for each */
    push_pairs(r, (TURN - 2 * 3 * CALL) / PAIR);
    at = r->cmdq.index & (mask(r) >> 1);
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    smmu_queue_push(&r->cmdq, smmu_sync());
    g_assert_cmpuint(kick_stopped(r), ==, at);
    reads = counter(r, "entries-read") - reads;
    g_assert_cmpuint(reads, >=, 1);
    g_assert_cmpuint(reads, <, DEVS);
    return at;
}

/* Each device is read once, and all before the CMD_SYNC */
static void test_range(void)
{
    uint64_t reads;
    SmmuRig r;

    start(&r, DEVS);
    expect_pages(&r, DEVS, 0);
    edit_stes(&r, DEVS);
    reads = counter(&r, "entries-read");
    stop_in_range(&r);
    cont(&r);
    wait_end(&r);
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==, DEVS);
    expect_pages(&r, DEVS, DEVS);
    smmu_rig_stop(&r);
}

/*
 * The queue is switched off within it, and on again at the same place, with the
 * same command there: that is another one, for all devices
 */
static void test_range_abandoned(void)
{
    SmmuRig r;

    start(&r, DEVS);
    edit_stes(&r, DEVS);
    stop_in_range(&r);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ON & ~CR0_CMDQEN);
    edit_stes(&r, 0);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ON);
    cont(&r);
    wait_end(&r);
    expect_pages(&r, DEVS, 0);
    smmu_rig_stop(&r);
}

/* It stands at another command then */
static void test_range_other(void)
{
    SmmuRig r;

    start(&r, DEVS);
    edit_stes(&r, DEVS);
    stop_in_range(&r);
    /* Behind the guest's own CFGI_ALL, which is against the rules */
    smmu_rig_write(&r, SMMU_REG_CMDQ_CONS,
                   (smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) + 1) & mask(&r));
    cont(&r);
    wait_end(&r);
    expect_pages(&r, DEVS, DEVS);
    smmu_rig_stop(&r);
}

/* A reset half-way: nothing of it comes after, and the next guest is new */
static void test_reset(gconstpointer opaque)
{
    uint64_t calls;
    SmmuRig r;

    start(&r, DEVS);
    edit_stes(&r, DEVS);
    if (opaque) {
        stop_in_range(&r);
    } else {
        push_pairs(&r, PAIRS);
        kick_stopped(&r);
    }
    qtest_system_reset(r.qts);
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS), ==, 0);
    calls = smmu_rig_ioctls(&r);
    cont(&r);
    g_usleep(20000);
    g_assert_cmpuint(smmu_rig_ioctls(&r), ==, calls);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), <=, IDLE_HWPTS);

    smmu_rig_enable(&r, 4);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    expect_pages(&r, 1, 0);
    smmu_rig_stop(&r);
}

/* While the VM stands still so does its queue, whatever is written */
static void test_stop(void)
{
    uint64_t calls;
    unsigned cons;
    SmmuRig r;

    start(&r, 1);
    push_pairs(&r, PAIRS);
    cons = kick_stopped(&r);
    calls = smmu_rig_ioctls(&r);
    smmu_queue_push(&r.cmdq, smmu_sync());
    kick(&r);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ON);
    g_usleep(20000);
    g_assert_cmpuint(smmu_rig_cons(&r), ==, cons);
    g_assert_cmpuint(smmu_rig_ioctls(&r), ==, calls);
    cont(&r);
    wait_end(&r);
    smmu_rig_stop(&r);
}

/* The host refuses something in a turn that is not the first */
static void test_refused(void)
{
    unsigned first;
    SmmuRig r;

    start(&r, 1);
    first = r.cmdq.index;
    push_pairs(&r, PAIRS);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:600:errno=EIO\"}");
    kick(&r);
    for (unsigned i = 0; !error(&r); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    g_usleep(20000);
    g_assert_cmpuint(smmu_rig_cons(&r) % 2, ==, first % 2);
    g_assert_cmpuint(smmu_rig_cons(&r), >, first + 2 * 590);
    g_assert_cmpuint(smmu_rig_cons(&r), <, first + 2 * 600);
    smmu_rig_ack(&r);
    wait_end(&r);
    expect_pages(&r, 1, 0);
    smmu_rig_stop(&r);
}

#define MIGRATABLE \
    "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,bus=pcie.0," \
    "addr=4,enable-migration=on "

static void wait_migrated(SmmuRig *r)
{
    for (bool done = false; !done; g_usleep(1000)) {
        QDict *info = qtest_qmp_assert_success_ref(r->qts,
                          "{ 'execute': 'query-migrate' }");
        const char *status = qdict_get_try_str(info, "status");

        g_assert_cmpstr(status, !=, "failed");
        done = !g_strcmp0(status, "completed");
        qobject_unref(info);
    }
}

/* State that is saved half-way; what has been said goes on there */
static void test_migration(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "migration=on\n");
    g_autofree char *file = g_strdup_printf("%s/smmu-bound-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    SmmuRig src, dst;
    unsigned cons;

    smmu_rig_start(&src, host, "nested=on", 0, MIGRATABLE);
    smmu_rig_enable(&src, 4);
    smmu_rig_fill(&src, 0, 1);
    smmu_rig_stage1(&src, SID0, ASID, IOVA, 0);
    push_pairs(&src, PAIRS);
    cons = kick_stopped(&src);
    qtest_qmp_assert_success(src.qts, "{ 'execute': 'migrate',"
                             "'arguments': { 'uri': %s } }", uri);
    wait_migrated(&src);

    smmu_rig_start(&dst, host, "nested=on", 0, MIGRATABLE "-incoming defer ");
    qtest_qmp_assert_success(dst.qts, "{ 'execute': 'migrate-incoming',"
                             "'arguments': { 'uri': %s } }", uri);
    wait_migrated(&dst);
    dst.cmdq = src.cmdq;
    dst.cmdq.mem = &dst.mem;
    g_usleep(20000);
    g_assert_cmpuint(smmu_rig_cons(&dst), ==, cons);
    cont(&dst);
    wait_end(&dst);
    expect_pages(&dst, 1, 0);
    smmu_rig_stop(&dst);
    smmu_rig_stop(&src);
    unlink(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/bound/progress", test_progress);
    qtest_add_func("/smmu-nested/bound/at-once", test_at_once);
    qtest_add_func("/smmu-nested/bound/range", test_range);
    qtest_add_func("/smmu-nested/bound/range-abandoned", test_range_abandoned);
    qtest_add_func("/smmu-nested/bound/range-other", test_range_other);
    qtest_add_data_func("/smmu-nested/bound/reset", NULL, test_reset);
    qtest_add_data_func("/smmu-nested/bound/reset-in-range", "",
                        test_reset);
    qtest_add_func("/smmu-nested/bound/stop", test_stop);
    qtest_add_func("/smmu-nested/bound/refused", test_refused);
    qtest_add_func("/smmu-nested/bound/migration", test_migration);
    return g_test_run();
}
