/*
 * SMMUv3 nesting: a VM with assigned devices goes to another host
 *
 * What a device may reach is not in the saved state: the tables are in the
 * guest's memory, and are read where the VM goes on. An SMMU that nests has no
 * log of dirty pages, so everything is sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define BUS         7
#define SID_BEHIND  (BUS << 8)
#define EVT_TRANSLATION 0x10

/* The first one behind a port, whose bus number is saved as well */
#define DEVICE(n, host, where) \
    "-device vfio-pci,id=dev" #n ",host=" host ",iommufd=iommufd0," where \
    ",enable-migration=on "
#define DEVICES \
    "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10,chassis=1 " \
    DEVICE(0, HOST_DEV0, "bus=rp0") DEVICE(1, HOST_DEV1, "bus=pcie.0,addr=4") \
    DEVICE(2, HOST_DEV2, "bus=pcie.0,addr=5") \
    DEVICE(3, HOST_DEV3, "bus=pcie.0,addr=6")

static const char *const devs[] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};

/* Lines of each device of the host */
static const char *device = "migration=on\n";

static void start(SmmuRig *r, const char *extra)
{
    g_autofree char *host = smmu_rig_host(ARRAY_SIZE(devs), "", device);
    g_autofree char *args = g_strconcat(DEVICES, extra, NULL);

    smmu_rig_start(r, host, "nested=on", 0, args);
}

/* Until the migration on this side is over */
static void wait_end(SmmuRig *r)
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

static void wait_running(SmmuRig *r)
{
    for (bool running = false; !running; g_usleep(1000)) {
        QDict *info = qtest_qmp_assert_success_ref(r->qts,
                          "{ 'execute': 'query-status' }");

        running = qdict_get_bool(info, "running");
        qobject_unref(info);
    }
}

/*
 * @from ends, @to goes on; the builders of @from are on the memory of @to.
 * @meanwhile: NULL, or what is done when all memory has been sent once
 */
static void migrate_with(SmmuRig *from, SmmuRig *to,
                         void (*meanwhile)(SmmuRig *from))
{
    g_autofree char *file = g_strdup_printf("%s/smmu-migration-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    qtest_qmp_assert_success(from->qts, "{ 'execute': 'migrate', "
                             "'arguments': { 'uri': %s } }", uri);
    if (meanwhile) {
        nested_rig_wait_pass(from->qts);
        meanwhile(from);
        nested_rig_let_it_end(from->qts);
    }
    wait_end(from);
    start(to, "-incoming defer ");
    qtest_qmp_assert_success(to->qts, "{ 'execute': 'migrate-incoming', "
                             "'arguments': { 'uri': %s } }", uri);
    wait_end(to);
    qtest_qmp_assert_success(to->qts, "{ 'execute': 'cont' }");
    wait_running(to);
    unlink(file);
    to->mem.next = from->mem.next;
    to->t = from->t;
    to->t.mem = &to->mem;
    to->cmdq = from->cmdq;
    to->cmdq.mem = &to->mem;
    to->evtq = from->evtq;
    to->evtq.mem = &to->mem;
    smmu_rig_stop(from);
}

static void migrate(SmmuRig *from, SmmuRig *to)
{
    migrate_with(from, to, NULL);
}

static void expect(SmmuRig *r, const int *values, uint64_t addr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(devs); i++) {
        g_assert_cmpint(smmu_rig_peek(r, devs[i], NULL, addr), ==, values[i]);
    }
}

/* Stage 1, stage 1, bypass and nothing */
static SmmuS1 set_up(SmmuRig *r)
{
    SmmuS1 s1;

    smmu_rig_number(r, 0x10, BUS);
    smmu_rig_enable(r, 4);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
    s1 = smmu_rig_stage1(r, SID_BEHIND, ASID, IOVA, 1);
    smmu_rig_stage1(r, SID0, ASID + 1, IOVA, 2);
    smmu_rig_ste(r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_rig_ste(r, SID2, &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    return s1;
}

static void test_on(void)
{
    static const int iova[] = { 0x11, 0x22, -1, -1 };
    static const int phys[] = { -1, -1, 0x11, -1 };
    static const int mapped[] = { 0x22, 0x22, -1, -1 };
    SmmuRig from, to;
    uint64_t dw[4];
    SmmuS1 s1;

    start(&from, "");
    s1 = set_up(&from);
    expect(&from, iova, IOVA);
    expect(&from, phys, DATA + 4096);
    migrate(&from, &to);
    expect(&to, iova, IOVA);
    expect(&to, phys, DATA + 4096);
    g_assert_cmpuint(iommufd_model_live(to.m, "vdevice"), ==, 2);

    /* And on it goes */
    s1.mem = &to.mem;
    smmu_s1_map(&s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&to.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    smmu_rig_sync(&to);
    expect(&to, mapped, IOVA);
    g_assert_cmpint(smmu_rig_peek(&to, HOST_DEV0, NULL, IOVA + 0x10000), ==,
                    -1);
    do {
        for (unsigned i = 0; !smmu_rig_event(&to, dw); i++) {
            g_assert_cmpuint(i, <, 5000);
            g_usleep(1000);
        }
    } while (dw[2] != IOVA + 0x10000);
    g_assert_cmphex(dw[0], ==, EVT_TRANSLATION | (uint64_t)SID_BEHIND << 32);
    smmu_rig_ste(&to, SID_BEHIND, NULL);
    g_assert_cmpint(smmu_rig_peek(&to, HOST_DEV0, NULL, IOVA), ==, -1);
    smmu_rig_stop(&to);
}

static bool overflow(SmmuRig *r)
{
    return (smmu_rig_read(r, SMMU_REG_EVENTQ_PROD) ^
            smmu_rig_read(r, SMMU_REG_EVENTQ_CONS)) & 1u << 31;
}

/* Events that the guest has no more time for are lost, and it is told */
static void test_events(void)
{
    g_autofree char *rest = g_strnfill(48, '0');
    SmmuRig from, to;

    for (unsigned unread = 0; unread <= 1; unread++) {
        start(&from, "");
        set_up(&from);
        qtest_qmp_assert_success(from.qts, "{ 'execute': 'stop' }");
        if (unread) {
            iommufd_model_do(from.m, "{\"cmd\":\"event\",\"iommu\":0,"
                             "\"sid\":%u,\"event\":\"1000000000000000%s\"}",
                             SID0, rest);
        }
        g_assert_false(overflow(&from));
        migrate(&from, &to);
        g_assert_cmpuint(overflow(&to), ==, unread);
        g_assert_cmpuint(smmu_rig_event(&to, NULL), ==, 0);
        smmu_rig_stop(&to);
    }
}

/*
 * Back in time in the same process: the host must not have anything left of
 * what the guest has done since, ASIDs being the same
 */
static void test_snapshot(void)
{
    static const int then[] = { 0x11, 0x22, -1, -1 };
    static const int since[] = { 0x22, 0x22, -1, -1 };
    SmmuQueue cmdq, evtq;
    SmmuRig r;
    SmmuS1 s1;

    start(&r, "");
    s1 = set_up(&r);
    expect(&r, then, IOVA);
    nested_rig_snapshots(r.qts);
    nested_rig_snapshot(r.qts, "snapshot-save");
    cmdq = r.cmdq;
    evtq = r.evtq;
    for (unsigned i = 0; i < 2; i++) {
        smmu_s1_map(&s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
        smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
        smmu_rig_sync(&r);
        expect(&r, since, IOVA);
        nested_rig_snapshot(r.qts, "snapshot-load");
        r.cmdq = cmdq;
        r.evtq = evtq;
        expect(&r, then, IOVA);
    }
    smmu_rig_stop(&r);
}

static void set_cds(SmmuRig *r, SmmuCdTable *cds, unsigned num,
                    const SmmuS1 *s1, uint16_t asid)
{
    static const uint32_t sids[] = { SID_BEHIND, SID0, SID1, SID2 };

    for (unsigned i = 0; i < num; i++) {
        smmu_cd_set(&cds[i], 0, s1, asid);
        smmu_queue_push(&r->cmdq, smmu_cfgi_cd(sids[i], 0, true));
    }
    smmu_rig_sync(r);
}

/* All in one group of the host, and with a table of CDs each */
static void group_up(SmmuRig *r, SmmuCdTable *cds, SmmuS1 *one, SmmuS1 *two)
{
    static const uint32_t sids[] = { SID_BEHIND, SID0, SID1, SID2 };

    device = "migration=on\ngroup=7\n";
    start(r, "");
    smmu_rig_number(r, 0x10, BUS);
    smmu_rig_enable(r, 4);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
    *one = smmu_rig_s1(r, IOVA, 1);
    *two = smmu_rig_s1(r, IOVA, 2);
    for (unsigned i = 0; i < ARRAY_SIZE(sids); i++) {
        smmu_cdtab_init(&cds[i], &r->mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds[i], 0, one, ASID);
        smmu_rig_ste(r, sids[i], &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds[i],
        });
    }
}

static const int group_one[] = { 0x11, 0x11, 0x11, 0x11 };
static const int group_two[] = { 0x22, 0x22, 0x22, 0x22 };
static const int group_none[] = { -1, -1, -1, -1 };

static void test_group(void)
{
    SmmuCdTable cds[ARRAY_SIZE(devs)];
    SmmuRig from, to;
    SmmuS1 one, two;

    /* The same, and with one that differs */
    for (unsigned differ = 0; differ < 2; differ++) {
        group_up(&from, cds, &one, &two);
        expect(&from, group_one, IOVA);
        if (differ) {
            set_cds(&from, cds, 1, &two, ASID + 1);
            expect(&from, group_none, IOVA);
        }
        migrate(&from, &to);
        for (unsigned i = 0; i < ARRAY_SIZE(cds); i++) {
            cds[i].mem = &to.mem;
        }
        expect(&to, differ ? group_none : group_one, IOVA);
        set_cds(&to, cds, ARRAY_SIZE(cds), &two, ASID + 1);
        expect(&to, group_two, IOVA);
        smmu_rig_stop(&to);
    }
    device = "migration=on\n";
}

static void test_group_snapshot(void)
{
    SmmuCdTable cds[ARRAY_SIZE(devs)];
    SmmuQueue cmdq, evtq;
    SmmuS1 one, two;
    SmmuRig r;

    group_up(&r, cds, &one, &two);
    nested_rig_snapshots(r.qts);
    nested_rig_snapshot(r.qts, "snapshot-save");
    cmdq = r.cmdq;
    evtq = r.evtq;
    for (unsigned num = 1; num <= ARRAY_SIZE(cds); num += 3) {
        set_cds(&r, cds, num, &two, ASID + 1);
        expect(&r, num == 1 ? group_none : group_two, IOVA);
        nested_rig_snapshot(r.qts, "snapshot-load");
        r.cmdq = cmdq;
        r.evtq = evtq;
        expect(&r, group_one, IOVA);
    }
    smmu_rig_stop(&r);
    device = "migration=on\n";
}

/* Off: GBPA says it all */
static void test_off(void)
{
    static const int all[] = { 0x11, 0x11, 0x11, 0x11 };
    static const int none[] = { -1, -1, -1, -1 };
    static const int iova[] = { 0x11, 0x22, -1, -1 };
    SmmuRig from, to;

    for (unsigned abort = 0; abort < 2; abort++) {
        start(&from, "");
        set_up(&from);
        smmu_rig_write(&from, SMMU_REG_GBPA, SMMU_GBPA_UPDATE |
                       (abort ? SMMU_GBPA_ABORT : 0));
        smmu_rig_write(&from, SMMU_REG_CR0, 1 << 3 | 1 << 2);
        migrate(&from, &to);
        expect(&to, abort ? none : all, DATA + 4096);
        smmu_rig_write(&to, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
        expect(&to, iova, IOVA);
        smmu_rig_stop(&to);
    }
}

static void write_late(SmmuRig *r)
{
    const uint8_t data[16] = { 0x77 };

    iommufd_model_dma_write(r->m, HOST_DEV0, NULL, IOVA, data, sizeof(data));
}

/*
 * Written when all has been sent: there is no log of the SMMU's, and what a
 * device logs itself are addresses before translation
 */
static void test_late(gconstpointer lines)
{
    static const int iova[] = { 0x77, 0x22, -1, -1 };
    SmmuRig from, to;

    device = lines;
    start(&from, "");
    set_up(&from);
    nested_rig_endless(from.qts);
    migrate_with(&from, &to, write_late);
    expect(&to, iova, IOVA);
    smmu_rig_stop(&to);
    device = "migration=on\n";
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/migration/on", test_on);
    qtest_add_func("/smmu-nested/migration/off", test_off);
    qtest_add_func("/smmu-nested/migration/events", test_events);
    qtest_add_func("/smmu-nested/migration/snapshot", test_snapshot);
    qtest_add_data_func("/smmu-nested/migration/late", "migration=on\n",
                        test_late);
    qtest_add_data_func("/smmu-nested/migration/late-logging",
                        "migration=on\ndma-logging=on\n", test_late);
    qtest_add_func("/smmu-nested/migration/group", test_group);
    qtest_add_func("/smmu-nested/migration/group-snapshot",
                   test_group_snapshot);
    return g_test_run();
}
