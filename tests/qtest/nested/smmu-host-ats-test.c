/*
 * arm-smmuv3 as the SMMU of an emulated host: ATS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The endpoint keeps translations that it asks for. Section numbers are those
 * of IHI 0070.
 */

#include "qemu/osdep.h"
#include "smmu-host-rig.h"

#define OTHER_IPA       0x500000000ULL
#define PASID           0x321

#define EATS_FULL       1
#define EATS_SPLIT      2
#define EATS_RESERVED   3

#define CR0_ON          (1 << 3 | 1 << 2 | 1 << 0)
#define CR0_ATSCHK      (1 << 4)

static Host *start(void)
{
    Host *h = host_start(HOST_ALL, "", 4);

    host_endpoint(h, true);
    return h;
}

/* Space of PASID at data page 0, of requests without one at page 1 */
static SmmuS1 setup_both(Host *h, unsigned config, SmmuS1 *rid)
{
    SmmuS1 s1;

    host_setup(h, &(HostSetup) {
        .config = config, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 16,
        .s1dss = SMMU_S1DSS_SSID0, .eats = EATS_FULL,
    });
    s1 = host_space(h, PASID, 0);
    *rid = host_space(h, 0, 1);
    return s1;
}

static uint64_t counter(Host *h, unsigned n)
{
    return rig_counter(&h->rig, n);
}

/* Where HOST_VA of a page is: stages may differ in their lower bits */
static uint64_t va_of(Host *h, unsigned page)
{
    return HOST_VA + (host_ipa(h, HOST_PA(page)) & 0xfff);
}

/* ------------------------------------------------------------ translations */

static void test_translate(void)
{
    Host *h = start();
    uint64_t asked;
    SmmuS1 rid;

    for (unsigned i = 0; i < 2; i++) {
        setup_both(h, i ? CONFIG_NESTED : CONFIG_S1, &rid);
        asked = counter(h, SVA_CNT_ATS_REQUESTS);
        host_check_fill(h, PASID, 0, 0x1111);
        host_check_fill(h, HOST_RID, 1, 0x2222);
        g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), >, asked);
        asked = counter(h, SVA_CNT_ATS_REQUESTS);
        host_check_fill(h, PASID, 0, 0x3333);
        host_check_fill(h, HOST_RID, 1, 0x4444);
        g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), ==, asked);
    }
    host_stop(h);
}

/* A block of either stage is one translation, the smaller of the two */
static void test_blocks(void)
{
    const uint64_t va = HOST_VA & ~0x1fffffULL;
    Host *h = start();
    SmmuS1 s1, rid;
    uint64_t asked;

    s1 = setup_both(h, CONFIG_S1, &rid);
    smmu_s1_map(&s1, va + 0x40000000, 0x48000000, 0x200000, 21,
                SMMU_PTE_USER_RW);
    g_assert_cmphex(host_fill(h, PASID, va + 0x40000000, 1), ==, SVA_CODE_OK);
    asked = counter(h, SVA_CNT_ATS_REQUESTS);
    g_assert_cmphex(host_fill(h, PASID, va + 0x40010000, 0x77), ==,
                    SVA_CODE_OK);
    g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), ==, asked);
    g_assert_cmphex(qtest_readq(h->rig.qts, HOST_PA(1)), ==, 0x77);

    s1 = setup_both(h, CONFIG_NESTED, &rid);
    smmu_s1_map(&s1, va + 0x40000000, OTHER_IPA, 0x200000, 21,
                SMMU_PTE_USER_RW);
    for (unsigned i = 0; i < 2; i++) {
        host_map_s2(h, OTHER_IPA + i * 4096, HOST_PA(3 - i), HOST_S2_RW);
        g_assert_cmphex(host_fill(h, PASID, va + 0x40000000 + i * 4096,
                                  0x88 + i), ==, SVA_CODE_OK);
        g_assert_cmphex(qtest_readq(h->rig.qts, HOST_PA(3 - i)), ==, 0x88 + i);
    }
    host_no_event(h);
    host_stop(h);
}

/* ------------------------------------------------------------- permissions */

static void check_access(Host *h, bool can_read, bool can_write)
{
    /* Without PASID: SubstreamID 0's table */
    g_assert_cmphex(host_read(h, HOST_VA + 0x3000), ==,
                    can_read ? SVA_CODE_OK : SVA_CODE_ABSENT);
    g_assert_cmphex(host_write(h, HOST_VA + 0x3000), ==,
                    can_write ? SVA_CODE_OK : SVA_CODE_ABSENT);
    host_no_event(h);
    host_flush(h);
}

/* What both stages permit to a request that is not privileged; no events */
static void test_permissions(void)
{
    const uint64_t va = HOST_VA + 0x3000;
    Host *h = start();
    unsigned level;
    uint64_t slot;
    SmmuS1 rid;

    setup_both(h, CONFIG_NESTED, &rid);
    check_access(h, false, false);                      /* F_TRANSLATION */
    smmu_s1_map(&rid, va, OTHER_IPA, 4096, 12, SMMU_PTE_USER_RW);
    check_access(h, false, false);                      /* of stage 2 */
    host_map_s2(h, OTHER_IPA, HOST_PA(2), HOST_S2_RW);
    check_access(h, true, true);
    host_map_s2(h, OTHER_IPA, HOST_PA(2), HOST_S2_RO);
    check_access(h, true, false);
    host_map_s2(h, OTHER_IPA, HOST_PA(2), HOST_S2_WO);
    /* The endpoint wants to read whatever it asks for */
    check_access(h, false, false);
    host_map_s2(h, OTHER_IPA, HOST_PA(2), HOST_S2_RW & ~SMMU_PTE_AF);
    check_access(h, false, false);                      /* F_ACCESS */
    host_map_s2(h, OTHER_IPA, HOST_PA(2), HOST_S2_RW);

    smmu_s1_set_flags(&rid, va, SMMU_PTE_USER_RO);
    check_access(h, true, false);
    smmu_s1_set_flags(&rid, va, SMMU_PTE_USER_RW & ~SMMU_PTE_EL0);
    check_access(h, false, false);
    smmu_s1_set_flags(&rid, va, SMMU_PTE_USER_RW & ~SMMU_PTE_AF);
    check_access(h, false, false);
    smmu_s1_set_flags(&rid, va, SMMU_PTE_USER_RW);
    slot = smmu_s1_entry(&rid, va, 1, &level);
    iommu_mem_write64(&h->s1_mem, slot, iommu_mem_read64(&h->s1_mem, slot) |
                      SMMU_TABLE_RO);
    check_access(h, true, false);
    iommu_mem_write64(&h->s1_mem, slot, (iommu_mem_read64(&h->s1_mem, slot) &
                                         ~SMMU_TABLE_RO) | SMMU_TABLE_NO_EL0);
    check_access(h, false, false);
    host_stop(h);
}

/*
 * Write permission that was not asked for is not given. The endpoint would not
 * use it: the answer is in the trace.
 */
static void test_no_write(void)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-host-%u.trace",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *engine = g_strdup_printf(
        "queues=4 -trace smmuv3_ats_request -D %s", file);
    Host *h = host_start(HOST_ALL, engine, 4);
    g_autoptr(GError) err = NULL;
    g_autofree char *trace = NULL;
    uint64_t asked;
    SmmuS1 rid;

    host_endpoint(h, true);
    setup_both(h, CONFIG_S1, &rid);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    asked = counter(h, SVA_CNT_ATS_REQUESTS);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), ==, asked);
    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), ==, asked + 1);
    host_stop(h);
    g_file_get_contents(file, &trace, NULL, &err);
    g_assert_no_error(err);
    unlink(file);
    g_assert_nonnull(strstr(trace, "write 0: perm 1 "));
    g_assert_nonnull(strstr(trace, "write 1: perm 3 "));
    g_assert_null(strstr(trace, "write 0: perm 3 "));
}

/* ----------------------------------------------------------------- refusals */

static void check_refused(Host *h, unsigned type)
{
    HostEvent e;

    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_ABSENT);
    if (type) {
        e = host_event(h);
        g_assert_cmphex(e.type, ==, type);
        g_assert_cmphex(e.sid, ==, HOST_SID);
        g_assert_cmphex(e.addr, ==, HOST_VA);
        g_assert_false(e.ssv);
    }
    host_no_event(h);
}

/* 3.9.1.2 */
static void test_refused(void)
{
    Host *h = start();
    HostSetup setup = { .config = CONFIG_S1, .eats = EATS_FULL };
    HostEvent e;
    uint64_t ste;
    SmmuS1 rid;

    host_setup(h, &setup);
    host_space(h, 0, 0);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    host_no_event(h);

    host_flush(h);
    host_set_reg(h, SMMU_REG_CR0, CR0_ON & ~1);
    check_refused(h, EVT_F_BAD_ATS_TREQ);
    host_set_reg(h, SMMU_REG_CR0, CR0_ON);

    setup.eats = 0;
    host_setup(h, &setup);
    host_space(h, 0, 0);
    check_refused(h, EVT_F_BAD_ATS_TREQ);
    setup.eats = EATS_RESERVED;
    host_setup(h, &setup);
    host_space(h, 0, 0);
    check_refused(h, EVT_F_BAD_ATS_TREQ);
    /* Split-stage ATS makes the STE ILLEGAL, for all requests */
    setup.eats = EATS_SPLIT;
    host_setup(h, &setup);
    host_space(h, 0, 0);
    check_refused(h, 0);
    host_endpoint(h, false);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_C_BAD_STE);
    host_endpoint(h, true);

    host_setup(h, &(HostSetup) { .config = CONFIG_BYPASS, .eats = 1 });
    check_refused(h, EVT_F_BAD_ATS_TREQ);
    host_setup(h, &(HostSetup) { .config = CONFIG_ABORT, .eats = 1 });
    check_refused(h, 0);
    ste = smmu_ste_entry(&h->tables, HOST_SID);
    iommu_mem_write64(&h->mem, ste, 0);
    check_refused(h, 0);

    /* Errors of configuration leave no event either */
    setup_both(h, CONFIG_S1, &rid);
    g_assert_cmphex(host_fill(h, PASID + 1, HOST_VA, 1), ==, SVA_CODE_ABSENT);
    g_assert_cmphex(host_fill(h, 0x10000, HOST_VA, 1), ==, SVA_CODE_ABSENT);
    g_assert_cmphex(host_fill(h, 0, HOST_VA, 1), ==, SVA_CODE_ABSENT);
    host_no_event(h);

    /* With a PASID the event says so */
    setup.eats = 0;
    host_setup(h, &setup);
    g_assert_cmphex(host_fill(h, PASID, HOST_VA, 1), ==, SVA_CODE_ABSENT);
    e = host_event(h);
    g_assert_cmphex(e.type, ==, EVT_F_BAD_ATS_TREQ);
    g_assert_true(e.ssv);
    g_assert_cmphex(e.ssid, ==, PASID);
    g_assert_cmphex(e.addr, ==, HOST_VA_RING);
    host_stop(h);
}

/* Stage 1 left out by S1DSS (13.6.4) */
static void test_bypass(void)
{
    Host *h = start();
    HostSetup setup = {
        .config = CONFIG_S1, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 16,
        .s1dss = SMMU_S1DSS_BYPASS, .eats = EATS_FULL,
    };

    host_setup(h, &setup);
    g_assert_cmphex(host_write(h, HOST_PA(0)), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read(h, HOST_PA(0)), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read(h, 1ULL << 44), ==, SVA_CODE_ABSENT);
    setup.config = CONFIG_NESTED;
    host_setup(h, &setup);
    g_assert_cmphex(host_read(h, OTHER_IPA), ==, SVA_CODE_ABSENT);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RO);
    g_assert_cmphex(host_read(h, OTHER_IPA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_write(h, OTHER_IPA), ==, SVA_CODE_ABSENT);
    setup.s1dss = SMMU_S1DSS_TERMINATE;
    host_setup(h, &setup);
    g_assert_cmphex(host_read(h, OTHER_IPA), ==, SVA_CODE_ABSENT);
    host_no_event(h);
    host_stop(h);
}

/* ------------------------------------------------- translated transactions */

/* Rewrite the STE, telling nobody */
static void set_eats(Host *h, unsigned config, unsigned eats)
{
    uint64_t ste = smmu_ste_entry(&h->tables, HOST_SID);
    uint64_t dw0 = iommu_mem_read64(&h->mem, ste) & ~0xeULL;
    uint64_t dw1 = iommu_mem_read64(&h->mem, ste + 8) & ~(3ULL << 28);

    iommu_mem_write64(&h->mem, ste, dw0 | config << 1);
    iommu_mem_write64(&h->mem, ste + 8, dw1 | (uint64_t)eats << 28);
}

static void check_forbidden(Host *h, bool event)
{
    HostEvent e;

    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
    for (unsigned i = 0; event && i < 2; i++) {
        e = host_event(h);
        g_assert_cmphex(e.type, ==, EVT_F_TRANSL_FORBIDDEN);
        g_assert_cmphex(e.sid, ==, HOST_SID);
        g_assert_cmphex(e.addr, ==, HOST_PA(0));
        g_assert_cmpint(e.rnw, ==, i);
    }
    host_no_event(h);
}

/* 3.9.1.3: what the endpoint keeps passes, or is held against the STE */
static void test_translated(void)
{
    Host *h = start();

    host_setup(h, &(HostSetup) { .config = CONFIG_S1, .eats = EATS_FULL });
    host_space(h, 0, 0);
    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    set_eats(h, CONFIG_S1, 0);
    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);

    host_set_reg(h, SMMU_REG_CR0, CR0_ON | CR0_ATSCHK);
    g_assert_cmphex(host_reg(h, SMMU_REG_CR0ACK), ==, CR0_ON | CR0_ATSCHK);
    check_forbidden(h, true);
    set_eats(h, CONFIG_BYPASS, EATS_FULL);
    check_forbidden(h, true);
    set_eats(h, CONFIG_ABORT, EATS_FULL);
    check_forbidden(h, false);
    set_eats(h, CONFIG_S1, EATS_SPLIT);
    check_forbidden(h, false);
    set_eats(h, CONFIG_S1, EATS_FULL);
    g_assert_cmphex(host_write(h, HOST_VA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);

    host_set_reg(h, SMMU_REG_CR0, CR0_ON & ~1);
    check_forbidden(h, true);
    host_stop(h);
}

/* ----------------------------------------------------------- invalidations */

static SmmuCmd atc_inv_global(uint32_t ssid, uint64_t addr, unsigned order)
{
    SmmuCmd cmd = smmu_atc_inv(HOST_SID, ssid, addr, order);

    cmd.dw[0] |= 1 << 9;
    return cmd;
}

typedef struct Step {
    SmmuCmd cmd;
    bool pasid, rid;            /* whose translation of HOST_VA goes */
} Step;

/*
 * The tables change, then comes a command: only ATC_INV, for the right stream,
 * substream and range, makes the endpoint ask again.
 */
static void test_invalidate(void)
{
    const uint64_t page = HOST_VA;
    const Step steps[] = {
        { smmu_atc_inv(HOST_SID, PASID, page, 0), true, false },
        { smmu_atc_inv(HOST_SID, PASID, page + 0x1000, 0), false, false },
        { smmu_atc_inv(HOST_SID, PASID, page + 0x1000, 1), true, false },
        { smmu_atc_inv(HOST_SID, PASID, page ^ 0x100000, 9), true, false },
        { smmu_atc_inv(HOST_SID, PASID, page ^ 0x200000, 9), false, false },
        { smmu_atc_inv(HOST_SID, PASID, 0, 52), true, false },
        { smmu_atc_inv(HOST_SID, PASID, 0, 51), true, false },
        { smmu_atc_inv(HOST_SID, PASID + 1, page, 0), false, false },
        { smmu_atc_inv(HOST_SID + 1, PASID, page, 0), false, false },
        { smmu_atc_inv(HOST_SID | 0x10000, PASID, page, 0), false, false },
        { smmu_atc_inv(HOST_SID, SMMU_NO_SSID, page, 0), true, true },
        { smmu_atc_inv(HOST_SID, SMMU_NO_SSID, page + 0x1000, 0), false,
          false },
        { smmu_atc_inv(HOST_SID, SMMU_NO_SSID, 0, 52), true, true },
        { atc_inv_global(PASID + 1, page, 0), true, false },
        { atc_inv_global(PASID + 1, page + 0x1000, 0), false, false },
        { smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL), false, false },
        { smmu_cfgi_ste(HOST_SID, true), false, false },
        { smmu_cfgi_ste_all(), false, false },
        { smmu_cfgi_cd(HOST_SID, PASID, true), false, false },
        { smmu_cfgi_cd_all(HOST_SID), false, false },
    };
    Host *h = start();
    SmmuS1 s1, rid;

    s1 = setup_both(h, CONFIG_S1, &rid);
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        g_test_message("step %u", i);
        smmu_s1_map(&s1, page, HOST_PA(0), 4096, 12, SMMU_PTE_USER_RW);
        smmu_s1_map(&rid, page, HOST_PA(1), 4096, 12, SMMU_PTE_USER_RW);
        host_flush(h);
        host_check_fill(h, PASID, 0, i);
        host_check_fill(h, HOST_RID, 1, i);
        smmu_s1_map(&s1, page, HOST_PA(2), 4096, 12, SMMU_PTE_USER_RW);
        smmu_s1_map(&rid, page, HOST_PA(3), 4096, 12, SMMU_PTE_USER_RW);
        host_command(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
        host_check_fill(h, PASID, 0, i + 0x100);
        host_check_fill(h, HOST_RID, 1, i + 0x100);
        host_command(h, steps[i].cmd);
        host_check_fill(h, PASID, steps[i].pasid ? 2 : 0, i + 0x200);
        host_check_fill(h, HOST_RID, steps[i].rid ? 3 : 1, i + 0x200);
    }

    /* A size that does not exist */
    host_push(h, smmu_atc_inv(HOST_SID, PASID, 0, 53));
    g_assert_cmpint(smmu_cmdq_sync(&h->cmdq, &h->regs), ==, 1);
    host_stop(h);
}

/* ATS that is off at the SMMU while it is on at the endpoint */
static void test_off(void)
{
    Host *h = host_start("host-ssidsize=16", "", 4);
    SmmuS1 rid;

    host_endpoint(h, true);
    setup_both(h, CONFIG_S1, &rid);
    host_check_fill(h, PASID, 0, 1);
    host_check_fill(h, HOST_RID, 1, 2);
    g_assert_cmpuint(counter(h, SVA_CNT_ATS_REQUESTS), ==, 0);
    host_command(h, smmu_atc_inv(HOST_SID, PASID, 0, 52));
    g_assert_cmphex(host_read(h, va_of(h, 1)), ==, SVA_CODE_OK);
    host_stop(h);
}

/* The registrations of an endpoint that is reset, or goes away */
static void test_reset(void)
{
    Host *h = start();
    SmmuS1 rid;

    setup_both(h, CONFIG_S1, &rid);
    host_check_fill(h, PASID, 0, 1);
    rig_flr(&h->rig);
    host_command(h, smmu_atc_inv(HOST_SID, SMMU_NO_SSID, 0, 52));
    rig_enable(&h->rig);
    host_endpoint(h, true);
    host_check_fill(h, PASID, 0, 2);
    host_check_fill(h, HOST_RID, 1, 3);
    host_command(h, smmu_atc_inv(HOST_SID, SMMU_NO_SSID, 0, 52));
    host_check_fill(h, PASID, 0, 4);
    host_stop(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/ats/translate", test_translate);
    qtest_add_func("/smmu-host/ats/blocks", test_blocks);
    qtest_add_func("/smmu-host/ats/permissions", test_permissions);
    qtest_add_func("/smmu-host/ats/no-write", test_no_write);
    qtest_add_func("/smmu-host/ats/refused", test_refused);
    qtest_add_func("/smmu-host/ats/bypass", test_bypass);
    qtest_add_func("/smmu-host/ats/translated", test_translated);
    qtest_add_func("/smmu-host/ats/invalidate", test_invalidate);
    qtest_add_func("/smmu-host/ats/off", test_off);
    qtest_add_func("/smmu-host/ats/reset", test_reset);
    return g_test_run();
}
