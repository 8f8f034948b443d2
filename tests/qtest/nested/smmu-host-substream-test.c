/*
 * arm-smmuv3 as the SMMU of an emulated host: substreams
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The endpoint does not use ATS here: its requests carry their PASID, and
 * their faults are events. Section numbers are those of IHI 0070.
 */

#include "qemu/osdep.h"
#include "smmu-host-rig.h"

#define PROPS           "host-ssidsize=20"
#define OTHER_IPA       0x500000000ULL

static Host *start(const char *props)
{
    Host *h = host_start(props, "", 4);

    host_endpoint(h, false);
    return h;
}

static void check_event(Host *h, unsigned type, bool ssv, uint32_t ssid)
{
    HostEvent e = host_event(h);

    g_assert_cmphex(e.type, ==, type);
    g_assert_cmphex(e.sid, ==, HOST_SID);
    g_assert_cmpint(e.ssv, ==, ssv);
    g_assert_cmphex(e.ssid, ==, ssid);
    host_no_event(h);
}

/* --------------------------------------------------------------- CD tables */

/* Substreams of a table have each their space, and none what is beyond it */
static void check_table(Host *h, unsigned config, SmmuS1Fmt fmt, unsigned bits)
{
    uint32_t last = (1u << bits) - 1;
    const uint32_t ssids[] = { 0, 1, last / 2 + 1, last };

    g_test_message("Config %u S1Fmt %u S1CDMax %u", config, fmt, bits);
    host_setup(h, &(HostSetup) {
        .config = config, .fmt = fmt, .cdmax = bits,
    });
    for (unsigned i = 0; i < ARRAY_SIZE(ssids); i++) {
        host_space(h, ssids[i], i);
    }
    /* The last one set wins where two are the same */
    for (unsigned i = bits == 1 ? 2 : 0; i < ARRAY_SIZE(ssids); i++) {
        host_check_fill(h, ssids[i], ssids[i] == last ? 3 :
                        ssids[i] == 1 && bits == 1 ? 3 : i, 0x1234 + i);
    }
    if (bits < 20) {
        g_assert_cmphex(host_fill(h, last + 1, HOST_VA, 1), ==, SVA_CODE_BUS);
        check_event(h, EVT_C_BAD_SUBSTREAMID, false, last + 1);
    }
}

static void test_linear(void)
{
    Host *h = start(PROPS);

    check_table(h, CONFIG_S1, SMMU_S1FMT_LINEAR, 1);
    check_table(h, CONFIG_S1, SMMU_S1FMT_LINEAR, 11);
    check_table(h, CONFIG_NESTED, SMMU_S1FMT_LINEAR, 3);
    check_table(h, CONFIG_NESTED, SMMU_S1FMT_LINEAR, 11);
    /* Reserved, behaves as linear */
    host_setup(h, &(HostSetup) {
        .config = CONFIG_S1, .cdmax = 4, .ste0 = 3 << 4,
    });
    host_space(h, 9, 2);
    host_check_fill(h, 9, 2, 0x99);
    host_stop(h);
}

static void test_two_level(void)
{
    static const unsigned bits[] = { 2, 6, 7, 10, 11, 20 };
    Host *h = start(PROPS);

    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
        check_table(h, CONFIG_S1, SMMU_S1FMT_4K_L2, bits[i]);
        check_table(h, CONFIG_NESTED, SMMU_S1FMT_4K_L2, bits[i]);
        check_table(h, CONFIG_S1, SMMU_S1FMT_64K_L2, bits[i]);
        check_table(h, CONFIG_NESTED, SMMU_S1FMT_64K_L2, bits[i]);
    }
    host_stop(h);
}

/* ------------------------------------------------------------------- S1DSS */

static void check_dss(Host *h, unsigned config, unsigned s1dss)
{
    host_setup(h, &(HostSetup) {
        .config = config, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 8, .s1dss = s1dss,
    });
    host_space(h, 0, 0);
    host_space(h, 5, 1);
    host_check_fill(h, 5, 1, 0x55);

    /* With SubstreamID 0: reserved where others may be it */
    if (s1dss == SMMU_S1DSS_SSID0) {
        g_assert_cmphex(host_fill(h, 0, HOST_VA, 1), ==, SVA_CODE_BUS);
        check_event(h, EVT_F_STREAM_DISABLED, false, 0);
    } else {
        host_check_fill(h, 0, 0, 0x11);
    }
}

static void test_dss(void)
{
    Host *h = start(PROPS);

    for (unsigned i = 0; i < 2; i++) {
        unsigned config = i ? CONFIG_NESTED : CONFIG_S1;
        uint64_t ipa;

        /* Without a SubstreamID: not at all; 3 is reserved */
        for (unsigned s1dss = 0; s1dss <= 3; s1dss += 3) {
            check_dss(h, config, s1dss);
            g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
            check_event(h, EVT_F_STREAM_DISABLED, false, 0);
        }

        /* Past stage 1, not past stage 2 */
        check_dss(h, config, SMMU_S1DSS_BYPASS);
        ipa = config == CONFIG_NESTED ? OTHER_IPA : HOST_PA(2);
        if (config == CONFIG_NESTED) {
            g_assert_cmphex(host_read(h, ipa), ==, SVA_CODE_BUS);
            g_assert_true(host_event(h).s2);
            host_map_s2(h, ipa, HOST_PA(2), HOST_S2_RW);
        }
        rig_scribble(&h->rig, HOST_PA(2), 4096, 7);
        g_assert_cmphex(host_read(h, ipa), ==, SVA_CODE_OK);
        qtest_memset(h->rig.qts, HOST_PA(2), 0, 4096);
        g_assert_cmphex(host_write(h, ipa), ==, SVA_CODE_OK);
        g_assert_true(rig_scribbled(&h->rig, HOST_PA(2), 4096, 7));

        /* By the first CD */
        check_dss(h, config, SMMU_S1DSS_SSID0);
        host_check_fill(h, HOST_RID, 0, 0x22);
    }
    host_stop(h);
}

/* Streams that have no substreams */
static void test_none(void)
{
    static const unsigned configs[] = {
        CONFIG_BYPASS, CONFIG_S1, CONFIG_S2, CONFIG_NESTED,
    };
    Host *h = start(PROPS);

    for (unsigned i = 0; i < ARRAY_SIZE(configs); i++) {
        host_setup(h, &(HostSetup) { .config = configs[i] });
        if (configs[i] & 1) {
            host_space(h, 0, 0);
            host_check_fill(h, HOST_RID, 0, 0x33);
        }
        for (uint32_t ssid = 0; ssid < 2; ssid++) {
            g_assert_cmphex(host_fill(h, ssid, HOST_VA, 1), ==, SVA_CODE_BUS);
            check_event(h, EVT_C_BAD_SUBSTREAMID, false, ssid);
        }
    }
    host_setup(h, &(HostSetup) { .config = CONFIG_ABORT });
    g_assert_cmphex(host_fill(h, 1, HOST_VA, 1), ==, SVA_CODE_BUS);
    host_no_event(h);
    host_stop(h);

    /* IDR1.SSIDSIZE is the limit, and 0 that of an SMMU without them */
    h = start("host-ssidsize=4");
    host_setup(h, &(HostSetup) { .config = CONFIG_S1, .cdmax = 4 });
    host_space(h, 15, 1);
    host_check_fill(h, 15, 1, 0x44);
    host_setup(h, &(HostSetup) { .config = CONFIG_S1, .cdmax = 5 });
    host_space(h, 1, 1);
    g_assert_cmphex(host_fill(h, 1, HOST_VA, 1), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_STE, true, 1);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_STE, false, 0);
    host_stop(h);

    h = start("host-fwb=on");
    host_setup(h, &(HostSetup) { .config = CONFIG_S1 });
    g_assert_cmphex(host_fill(h, 1, HOST_VA, 1), ==, SVA_CODE_DISABLED);
    host_no_event(h);
    host_stop(h);
}

/* ------------------------------------------------------------------ faults */

static void check_fault(Host *h, unsigned type, uint32_t ssid, bool rnw,
                        bool s2, unsigned class, uint64_t addr, uint64_t ipa)
{
    HostEvent e = host_event(h);

    g_assert_cmphex(e.type, ==, type);
    g_assert_cmphex(e.sid, ==, HOST_SID);
    g_assert_true(e.ssv);
    g_assert_cmphex(e.ssid, ==, ssid);
    g_assert_cmphex(e.addr, ==, addr);
    g_assert_cmpint(e.rnw, ==, rnw);
    g_assert_cmpint(e.s2, ==, s2);
    g_assert_cmpuint(e.class, ==, class);
    if (s2) {
        g_assert_cmphex(e.ipa, ==, ipa);
    }
    host_no_event(h);
}

/* The ring of the substream is where a bad table is met first */
static uint64_t ring(Host *h)
{
    return HOST_VA_RING + (h->setup.config == CONFIG_NESTED ? 0x1000 : 0) %
           (1ULL << h->setup.s1_granule);
}

static void test_faults(void)
{
    Host *h = start(PROPS);
    SmmuS1 s1;

    host_setup(h, &(HostSetup) {
        .config = CONFIG_NESTED, .fmt = SMMU_S1FMT_64K_L2, .cdmax = 20,
    });
    s1 = host_space(h, 0xabcde, 0);
    g_assert_cmphex(host_fill(h, 0xabcde, HOST_VA + 0x3000, 1), ==,
                    SVA_CODE_BUS);
    check_fault(h, EVT_F_TRANSLATION, 0xabcde, false, false, CLASS_IN,
                HOST_VA + 0x3000, 0);
    smmu_s1_map(&s1, HOST_VA + 0x3000, OTHER_IPA, 4096, 12, SMMU_PTE_USER_RW);
    g_assert_cmphex(host_fill(h, 0xabcde, HOST_VA + 0x3000, 1), ==,
                    SVA_CODE_BUS);
    check_fault(h, EVT_F_TRANSLATION, 0xabcde, false, true, CLASS_IN,
                HOST_VA + 0x3000, OTHER_IPA);
    smmu_s1_set_flags(&s1, HOST_VA + 0x3000, SMMU_PTE_USER_RO);
    host_map_s2(h, OTHER_IPA, HOST_PA(0), HOST_S2_RW);
    g_assert_cmphex(host_fill(h, 0xabcde, HOST_VA + 0x3000, 1), ==,
                    SVA_CODE_BUS);
    check_fault(h, EVT_F_PERMISSION, 0xabcde, false, false, CLASS_IN,
                HOST_VA + 0x3000, 0);
    /* A page of the kernel's, and of nobody's: PASIDs are unprivileged */
    smmu_s1_set_flags(&s1, HOST_VA + 0x3000,
                      SMMU_PTE_USER_RW & ~SMMU_PTE_EL0);
    g_assert_cmphex(host_fill(h, 0xabcde, HOST_VA + 0x3000, 1), ==,
                    SVA_CODE_BUS);
    check_fault(h, EVT_F_PERMISSION, 0xabcde, false, false, CLASS_IN,
                HOST_VA + 0x3000, 0);
    smmu_s1_set_flags(&s1, HOST_VA + 0x3000, SMMU_PTE_USER_RW);
    g_assert_cmphex(host_fill(h, 0xabcde, HOST_VA + 0x3000, 1), ==,
                    SVA_CODE_OK);
    host_stop(h);
}

/* Tables of CDs that cannot be fetched, or say nothing */
static void check_cd_faults(Host *h, unsigned config)
{
    const uint32_t ssid = 0x4321;
    uint64_t l1, cd;

    host_setup(h, &(HostSetup) {
        .config = config, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 16,
    });
    host_space(h, ssid, 0);
    host_check_fill(h, ssid, 0, 0x66);

    /* A CD that is not valid, and one that is ILLEGAL */
    cd = smmu_cd_entry(&h->cds, ssid);
    g_assert_cmphex(host_fill(h, ssid + 1, HOST_VA, 1), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_CD, true, ssid + 1);
    iommu_mem_write64(&h->s1_mem, cd, iommu_mem_read64(&h->s1_mem, cd) &
                      ~(1ULL << 41));
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid, true));
    g_assert_cmphex(host_fill(h, ssid, HOST_VA, 1), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_CD, true, ssid);

    /* No leaf table; one that is beyond what can be addressed */
    g_assert_cmphex(host_fill(h, 7, HOST_VA, 1), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_SUBSTREAMID, false, 7);
    l1 = h->cds.base + (ssid >> 6) * 8;
    iommu_mem_write64(&h->s1_mem, l1, 1ULL << 44 | 1);
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid, false));
    g_assert_cmphex(host_fill(h, ssid, HOST_VA, 1), ==, SVA_CODE_BUS);
    check_event(h, EVT_C_BAD_SUBSTREAMID, false, ssid);

    /* A leaf table where there is no memory */
    iommu_mem_write64(&h->s1_mem, l1, OTHER_IPA | 1);
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid, false));
    g_assert_cmphex(host_fill(h, ssid, HOST_VA, 1), ==, SVA_CODE_BUS);
    if (config == CONFIG_NESTED) {
        check_fault(h, EVT_F_TRANSLATION, ssid, true, true, CLASS_CD, ring(h),
                    OTHER_IPA + (ssid & 0x3f) * 64);
        /* The first level, where stage 2 has nothing */
        host_map_s2(h, l1 & ~0xfffULL, HOST_PA(0), 0);
        host_flush(h);
        g_assert_cmphex(host_fill(h, ssid, HOST_VA, 1), ==, SVA_CODE_BUS);
        check_fault(h, EVT_F_ACCESS, ssid, true, true, CLASS_CD, ring(h), l1);
    } else {
        HostEvent e = host_event(h);

        g_assert_cmphex(e.type, ==, EVT_F_CD_FETCH);
        g_assert_true(e.ssv);
        g_assert_cmphex(e.ssid, ==, ssid);
        g_assert_cmphex(e.ipa, ==, OTHER_IPA + (ssid & 0x3f) * 64);
        host_no_event(h);
    }
}

static void test_cd_faults(void)
{
    Host *h = start(PROPS);

    check_cd_faults(h, CONFIG_S1);
    check_cd_faults(h, CONFIG_NESTED);
    host_stop(h);
}

/* ----------------------------------------------------- cached configuration */

typedef struct Step {
    SmmuCmd cmd;
    bool drops;
} Step;

static void test_invalidate(void)
{
    const Step steps[] = {
        { smmu_cfgi_cd(HOST_SID, 6, true), false },
        { smmu_cfgi_cd(HOST_SID, 5, true), true },
        { smmu_cfgi_cd(HOST_SID, 0, false), false },
        { smmu_cfgi_cd(HOST_SID, 5, false), true },
        { smmu_cfgi_cd(HOST_SID + 1, 5, true), false },
        { smmu_cfgi_cd_all(HOST_SID + 1), false },
        { smmu_cfgi_cd_all(HOST_SID), true },
        { smmu_cfgi_ste(HOST_SID + 1, true), false },
        { smmu_cfgi_ste(HOST_SID, true), true },
        /* 32 StreamIDs from 0x40 on, or from 0x20 on; all there are */
        { { { SMMU_OP_CFGI_STE_RANGE | 0x45ULL << 32, 4 } }, false },
        { { { SMMU_OP_CFGI_STE_RANGE | 0x3fULL << 32, 4 } }, true },
        { smmu_cfgi_ste_all(), true },
        { smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL), false },
        { smmu_tlbi_asid(1), false },
        { smmu_tlbi_asid(2), false },
    };
    Host *h = start(PROPS);
    uint64_t cd[2][8], where;
    unsigned seen = 0, now;

    host_setup(h, &(HostSetup) {
        .config = CONFIG_S1, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 8,
    });
    for (unsigned i = 0; i < 2; i++) {
        host_space(h, 5, i);
        where = smmu_cd_entry(&h->cds, 5);
        for (unsigned word = 0; word < 8; word++) {
            cd[i][word] = iommu_mem_read64(&h->s1_mem, where + word * 8);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        iommu_mem_write_qwords(&h->s1_mem, where, cd[seen], 8);
        host_flush(h);
        host_check_fill(h, 5, seen, i);
        now = !seen;
        iommu_mem_write_qwords(&h->s1_mem, where, cd[now], 8);
        host_check_fill(h, 5, seen, i + 0x100);
        host_command(h, steps[i].cmd);
        host_check_fill(h, 5, steps[i].drops ? now : seen, i + 0x200);
        seen = now;
    }
    host_stop(h);
}

/* More substreams than are cached; all are found again */
static void test_many(void)
{
    Host *h = start(PROPS);
    uint64_t cd[8];

    host_setup(h, &(HostSetup) {
        .config = CONFIG_S1, .fmt = SMMU_S1FMT_64K_L2, .cdmax = 11,
    });
    host_space(h, 0, 1);
    for (unsigned word = 0; word < 8; word++) {
        cd[word] = iommu_mem_read64(&h->s1_mem,
                                    smmu_cd_entry(&h->cds, 0) + word * 8);
    }
    for (unsigned ssid = 1; ssid < 1200; ssid++) {
        iommu_mem_write_qwords(&h->s1_mem, smmu_cd_entry(&h->cds, ssid), cd,
                               8);
    }
    for (unsigned ssid = 0; ssid < 1200; ssid++) {
        host_check_fill(h, ssid, 1, ssid);
    }
    host_check_fill(h, 0, 1, 1);
    host_stop(h);
}

/* --------------------------------------------------------- hostile guests */

/* A word of a structure in memory, and what it should be */
typedef struct Word {
    const IommuMem *mem;
    uint64_t where, right;
} Word;

static unsigned words_of(Word *w, const IommuMem *mem, uint64_t where,
                         unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        w[i] = (Word) {
            mem, where + i * 8, iommu_mem_read64(mem, where + i * 8),
        };
    }
    return n;
}

/*
 * Bits of STE, CDs, a first-level descriptor and tables at random: whatever
 * comes of it, it works again once they are right.
 */
static void test_random(void)
{
    const uint32_t ssid = 0x321;
    Host *h = host_start("host-ssidsize=20,host-ats=on,host-fwb=on", "", 4);
    g_autoptr(GRand) rand = g_rand_new_with_seed(0x5e1f);
    unsigned n = 0, level;
    uint64_t dw[4];
    Word w[48];
    SmmuS1 s1;

    host_setup(h, &(HostSetup) {
        .config = CONFIG_NESTED, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 16,
        .s1dss = SMMU_S1DSS_SSID0, .eats = 1,
    });
    host_space(h, 0, 1);
    s1 = host_space(h, ssid, 0);
    n += words_of(w + n, &h->mem, smmu_ste_entry(&h->tables, HOST_SID), 8);
    n += words_of(w + n, &h->s1_mem, smmu_cd_entry(&h->cds, 0), 8);
    n += words_of(w + n, &h->s1_mem, smmu_cd_entry(&h->cds, ssid), 8);
    n += words_of(w + n, &h->s1_mem, h->cds.base + (ssid >> 6) * 8, 1);
    for (unsigned l = 0; l <= 3; l++) {
        n += words_of(w + n, &h->s1_mem, smmu_s1_entry(&s1, HOST_VA, l, &level),
                      1);
        n += words_of(w + n, &h->mem,
                      smmu_s1_entry(&h->s2, s1.root, l, &level), 1);
    }
    for (unsigned i = 0; i < 1000; i++) {
        for (int flips = g_rand_int_range(rand, 1, 6); flips; flips--) {
            const Word *word = &w[g_rand_int_range(rand, 0, n)];
            uint64_t value = iommu_mem_read64(word->mem, word->where);

            iommu_mem_write64(word->mem, word->where,
                              value ^ 1ULL << g_rand_int_range(rand, 0, 64));
        }
        host_endpoint(h, g_rand_boolean(rand));
        host_flush(h);
        host_read(h, HOST_VA);
        host_fill(h, ssid, HOST_VA, i);
        host_fill(h, g_rand_int_range(rand, 0, 1 << 20), HOST_VA, i);
        host_write(h, HOST_VA);
        while (smmu_evtq_read(&h->evtq, &h->regs, dw)) {
            g_assert_cmphex(dw[0] >> 32, ==, HOST_SID);
        }
        for (unsigned j = 0; j < n; j++) {
            iommu_mem_write64(w[j].mem, w[j].where, w[j].right);
        }
    }
    host_flush(h);
    host_endpoint(h, false);
    host_check_fill(h, ssid, 0, 0x77);
    host_check_fill(h, HOST_RID, 1, 0x78);
    g_assert_cmphex(host_reg(h, SMMU_REG_GERROR), ==, 0);
    host_stop(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/substream/linear", test_linear);
    qtest_add_func("/smmu-host/substream/two-level", test_two_level);
    qtest_add_func("/smmu-host/substream/default", test_dss);
    qtest_add_func("/smmu-host/substream/none", test_none);
    qtest_add_func("/smmu-host/substream/faults", test_faults);
    qtest_add_func("/smmu-host/substream/cd-faults", test_cd_faults);
    qtest_add_func("/smmu-host/substream/invalidate", test_invalidate);
    qtest_add_func("/smmu-host/substream/many", test_many);
    qtest_add_func("/smmu-host/substream/random", test_random);
    return g_test_run();
}
