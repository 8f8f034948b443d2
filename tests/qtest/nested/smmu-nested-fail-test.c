/*
 * SMMUv3 nesting: every call on the host fails once, at each of its turns
 *
 * Whatever fails, DMA either goes where the guest's tables say or nowhere; the
 * guest is told; once the host works again everything can be had by what a
 * guest does about an error; and nothing is left on the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA    0x4000000000ULL
#define ASID    5
#define STEPS   5

static const char *const devs[] = { HOST_DEV0, HOST_DEV1 };

static void set_stes(SmmuRig *r, const SmmuSte *ste)
{
    for (size_t i = 0; i < ARRAY_SIZE(devs); i++) {
        smmu_ste_set(&r->t, SID0 + i * 8, ste);
    }
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
}

static void stage1(SmmuRig *r, SmmuS1 *s1, unsigned page)
{
    SmmuCdTable cds;

    *s1 = smmu_rig_s1(r, IOVA, page);
    smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, s1, ASID + page);
    set_stes(r, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
}

static void step(SmmuRig *r, unsigned i, SmmuS1 *s1)
{
    switch (i) {
    case 0:                     /* stage 1 for both */
        stage1(r, s1, 1);
        break;
    case 1:                     /* another page in the same tables */
        smmu_s1_map(s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
        smmu_queue_push(&r->cmdq, smmu_tlbi_va(ASID + 1, IOVA, true));
        break;
    case 2:                     /* other tables */
        stage1(r, s1, 3);
        break;
    case 3:                     /* the page goes away */
        smmu_s1_unmap(s1, IOVA, 4096);
        smmu_queue_push(&r->cmdq, smmu_tlbi_asid(ASID + 3));
        break;
    case 4:                     /* and the tables */
        set_stes(r, &(SmmuSte) { .cfg = SMMU_STE_ABORT });
        break;
    }
}

static const int expected[STEPS] = { 0x11, 0x22, 0x33, -1, -1 };

/* Returns whether everything works as without failures */
static bool check(SmmuRig *r, unsigned i)
{
    bool all = true;

    for (size_t j = 0; j < ARRAY_SIZE(devs); j++) {
        int value = smmu_rig_peek(r, devs[j], NULL, IOVA);

        g_assert_true(value == -1 || value == expected[i]);
        all &= value == expected[i];
    }
    return all;
}

static void recover(SmmuRig *r)
{
    smmu_rig_ack(r);
    g_assert_cmphex(smmu_rig_read(r, SMMU_REG_CMDQ_CONS) & 0xffffff, ==,
                    r->cmdq.index);
}

/* @call fails at its @nth time. Returns whether it came to that */
static bool run(const char *call, unsigned nth, const char *err)
{
    uint64_t errors;
    bool hit;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, ARRAY_SIZE(devs));
    for (unsigned i = 1; i <= 3; i++) {
        smmu_rig_fill(&r, i, i * 0x11);
    }
    smmu_rig_enable(&r, 4);
    errors = iommufd_model_counter(r.m, call, "errors");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"%s:%u:errno=%s\"}",
                     call, nth, err);
    for (unsigned i = 0; i < STEPS; i++) {
        int cerror;

        step(&r, i, &s1);
        cerror = smmu_cmdq_sync(&r.cmdq, &r.regs);
        if (cerror || !check(&r, i)) {
            /* The guest sees it: the queue stopped in front of CMD_SYNC */
            g_assert_cmpint(cerror, ==, CERROR_ILL);
            check(&r, i);
            recover(&r);
        }
        g_assert_true(check(&r, i));
    }
    hit = iommufd_model_counter(r.m, call, "errors") > errors;
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS);
    smmu_rig_stop(&r);
    return hit;
}

static void test_sweep(gconstpointer opaque)
{
    const char *call = opaque;
    unsigned nth = 1;

    while (run(call, nth, "ENOMEM")) {
        nth++;
    }
    g_test_message("%s failed at each of its %u turns", call, nth - 1);
    g_assert_cmpuint(nth, >, 1);
    run(call, 1, "EINVAL");
}

/* Linux goes on behind the command that the queue stopped at */
static void skip(SmmuRig *r)
{
    iommu_mem_write64(&r->mem, r->cmdq.base + smmu_rig_cons(r) * 16,
                      smmu_sync().dw[0]);
    recover(r);
}

/*
 * A guest may go on behind an invalidation that the host failed to do, as
 * Linux does. What it gets back must not be what was cached before.
 */
static void test_skipped(void)
{
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_fill(&r, 2, 0x22);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
    /* Somebody has to stay: the host empties the TLB behind the last one */
    smmu_rig_ste(&r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:1:errno=ENOMEM\"}");
    smmu_s1_map(&s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    skip(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    smmu_rig_stop(&r);
}

/* The same behind an STE: it is in force although nobody says so again */
static void test_ste_skipped(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_fill(&r, 2, 0x22);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
    for (unsigned i = 0; i < 2; i++) {
        SmmuS1 s1 = smmu_rig_s1(&r, IOVA, 2);
        SmmuCdTable cds;

        smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, ASID + 1);
        smmu_ste_set(&r.t, SID0, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds });
        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"%s:1:errno=ENOMEM\"}",
                         i ? "ATTACH_IOMMUFD_PT" : "HWPT_ALLOC");
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
        g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
        skip(&r);
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    }
    smmu_rig_stop(&r);
}

/*
 * It fails again when the guest has acknowledged it: the guest knows that. With
 * @reset the next guest does not, and has no part in it.
 */
static void test_again(gconstpointer reset)
{
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_fill(&r, 2, 0x22);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
    smmu_rig_ste(&r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    for (unsigned i = 1; i <= 3; i++) {
        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"HWPT_INVALIDATE:%u:errno=ENOMEM\"}", i);
    }
    smmu_s1_map(&s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
    for (unsigned i = 0; i < 2; i++) {
        unsigned at = smmu_rig_cons(&r);

        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
        smmu_rig_ack(&r);
        g_assert_cmphex((smmu_rig_read(&r, SMMU_REG_GERROR) ^
                         smmu_rig_read(&r, SMMU_REG_GERRORN)) & 1, ==, 1);
        g_assert_cmpuint(smmu_rig_cons(&r), ==, at);
    }
    if (reset) {
        /* It throws its commands away, so that none of them is told */
        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"HWPT_INVALIDATE:1:errno=ENOMEM\"}");
        smmu_rig_write(&r, SMMU_REG_CMDQ_PROD,
                       smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xffffff);
        smmu_rig_ack(&r);
        qtest_system_reset(r.qts);
        smmu_rig_fill(&r, 2, 0x22);
        smmu_rig_enable(&r, 4);
        smmu_rig_stage1(&r, SID0, ASID, IOVA, 2);
    } else {
        recover(&r);
    }
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    smmu_rig_stop(&r);
}

/*
 * The same with nobody in stage 1 at that time: nothing is blocked, and yet
 * whoever comes under that ASID later must not meet what was cached before.
 */
static void test_owed(gconstpointer opaque)
{
    static const char *const errs[] = { "ENOMEM", "ETIMEDOUT" };
    const SmmuSte away = { .cfg = GPOINTER_TO_UINT(opaque) };

    for (unsigned i = 0; i < 2 * ARRAY_SIZE(errs); i++) {
        bool fails_again = i >= ARRAY_SIZE(errs);
        const char *err = errs[i % ARRAY_SIZE(errs)];
        SmmuCdTable cds;
        SmmuSte ste = { .cfg = SMMU_STE_S1, .cds = &cds };
        SmmuS1 s1;
        SmmuRig r;

        smmu_rig_start_simple(&r, 2);
        smmu_rig_enable(&r, 4);
        smmu_rig_fill(&r, 1, 0x11);
        smmu_rig_fill(&r, 2, 0x22);
        s1 = smmu_rig_s1(&r, IOVA, 1);
        smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, ASID);
        smmu_rig_ste(&r, SID0, &ste);
        smmu_rig_ste(&r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
        smmu_rig_ste(&r, SID0, &away);

        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"HWPT_INVALIDATE:1:errno=%s\"}", err);
        smmu_s1_map(&s1, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
        smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
        g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
        skip(&r);

        smmu_ste_set(&r.t, SID0, &ste);
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
        if (fails_again) {
            unsigned at = smmu_rig_cons(&r);

            iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                             "\"HWPT_INVALIDATE:1:errno=%s\"}", err);
            g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
            g_assert_cmpuint(smmu_rig_cons(&r), ==, at);
            g_assert_cmphex(smmu_rig_event(&r, NULL), ==, 0x04);
            g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
            recover(&r);
        } else {
            smmu_rig_sync(&r);
        }
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
        smmu_rig_stop(&r);
    }
}

/* Nor does one become what it was that could not be detached */
static void test_stuck(void)
{
    SmmuCdTable cds;
    SmmuS1 s1[2];
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_fill(&r, i, 0x11 * (i + 1));
        s1[i] = smmu_rig_s1(&r, IOVA, i);
    }
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1[0], ASID);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);

    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:1:errno=ETIMEDOUT\"}");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"DETACH_IOMMUFD_PT:1:errno=EIO\"}");
    smmu_cd_set(&cds, 0, &s1[1], ASID);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, true));
    g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
    skip(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    smmu_rig_stop(&r);
}

/* An attach that a reset has put off, and that fails when it is over */
static void test_late(void)
{
    SmmuCdTable cds;
    uint64_t entries;
    unsigned type;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"ATTACH_IOMMUFD_PT:1:errno=EBUSY\"}");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"ATTACH_IOMMUFD_PT:2:errno=EINVAL\"}");
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .ats = true });
    for (unsigned i = 0; !(type = smmu_rig_event(&r, NULL)); i++) {
        g_assert_cmpuint(i, <, 5000);
        qtest_clock_step(r.qts, 20 * 1000 * 1000);
        g_usleep(1000);
    }
    g_assert_cmphex(type, ==, 0x04);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    /* It has nothing in its TLB, and would not be heard */
    entries = smmu_rig_entries(&r);
    smmu_queue_push(&r.cmdq, smmu_atc_inv(SID0, SMMU_NO_SSID, 0, 52));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_entries(&r), ==, entries);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    smmu_rig_stop(&r);
}

/* The first objects of the host: the device does not come up */
static void test_realize(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");

    smmu_rig_expect_refusal(host, "nested=on,ssidsize=21", 1, "ssidsize=21");
    smmu_rig_expect_refusal(host, "nested=on,oas=45", 1, "oas=45");
    smmu_rig_expect_refusal(host, "nested=on,stage=2", 1, "stage=2");
    smmu_rig_expect_refusal(host, "ats=on", 1, "needs nested=on");
    smmu_rig_expect_refusal("[host]\narch=smmuv3\n[iommu 0]\nfwb=off\n"
                            "[device " HOST_DEV0 "]\n", "nested=on", 1,
                            "no vIOMMU");
    smmu_rig_expect_refusal("[host]\narch=smmuv3\n[fault]\n"
                            "on=VEVENTQ_ALLOC:1:errno=ENOMEM\n"
                            "[device " HOST_DEV0 "]\n", "nested=on", 1,
                            "no vEVENTQ");
    smmu_rig_expect_refusal("[host]\narch=vtd\n[device " HOST_DEV0 "]\n",
                            "nested=on", 1, "not an SMMUv3");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /*
     * The kernel documents no failure of a detach or a destruction, and there
     * would be nothing to fall back on.
     */
    qtest_add_data_func("/smmu-nested/fail/hwpt-alloc", "HWPT_ALLOC",
                        test_sweep);
    qtest_add_data_func("/smmu-nested/fail/vdevice-alloc", "VDEVICE_ALLOC",
                        test_sweep);
    qtest_add_data_func("/smmu-nested/fail/attach", "ATTACH_IOMMUFD_PT",
                        test_sweep);
    qtest_add_data_func("/smmu-nested/fail/invalidate", "HWPT_INVALIDATE",
                        test_sweep);
    qtest_add_func("/smmu-nested/fail/skipped", test_skipped);
    qtest_add_data_func("/smmu-nested/fail/owed/abort",
                        GUINT_TO_POINTER(SMMU_STE_ABORT), test_owed);
    qtest_add_data_func("/smmu-nested/fail/owed/bypass",
                        GUINT_TO_POINTER(SMMU_STE_BYPASS), test_owed);
    qtest_add_func("/smmu-nested/fail/stuck", test_stuck);
    qtest_add_func("/smmu-nested/fail/ste-skipped", test_ste_skipped);
    qtest_add_data_func("/smmu-nested/fail/again", NULL, test_again);
    qtest_add_data_func("/smmu-nested/fail/again-reset", "", test_again);
    qtest_add_func("/smmu-nested/fail/late", test_late);
    qtest_add_func("/smmu-nested/fail/realize", test_realize);
    return g_test_run();
}
