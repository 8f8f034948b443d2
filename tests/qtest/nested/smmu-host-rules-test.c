/*
 * arm-smmuv3 as the SMMU of an emulated host: rules of the SMMUv3
 * specification that are easily missed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table in docs/nested/host-smmuv3.rst says which rule is tested where.
 * Section numbers are those of IHI 0070.
 */

#include "qemu/osdep.h"
#include "smmu-host-rig.h"

#define PROPS       "host-ssidsize=20,host-fwb=on"
#define KEEP        ",host-keep=on"
#define STE_VALID   1ULL
#define STE_MEV     (1ULL << 19)

#define OP_S12_VMALL    0x28
#define OP_S2_IPA       0x2a

#define CERROR_ILL      1

static const HostSetup two_level = {
    .config = CONFIG_NESTED, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 12,
    .s1dss = SMMU_S1DSS_SSID0,
};

static Host *start(const char *props, const HostSetup *setup)
{
    Host *h = host_start(props, "", 6);

    host_endpoint(h, false);
    host_setup(h, setup);
    return h;
}

static SmmuCmd tlbi(unsigned op, uint16_t asid, uint64_t addr, bool leaf)
{
    return (SmmuCmd) { {
        op | (uint64_t)HOST_VMID << 32 | (uint64_t)asid << 48, addr | leaf,
    } };
}

/* A copy of the table that a descriptor points to, and it points there */
static void move_table(Host *h, const SmmuS1 *s1, uint64_t va, unsigned level)
{
    IommuMem *mem = s1->mem;
    unsigned found;
    uint64_t slot = smmu_s1_entry(s1, va, level, &found), old, copy;
    uint8_t page[4096];

    g_assert_cmpuint(found, ==, level);
    old = iommu_mem_read64(mem, slot);
    mem->next = ROUND_UP(mem->next, 4096);
    copy = mem->next;
    mem->next += 4096;
    mem->read(mem->opaque, old & SMMU_PTE_ADDR, page, sizeof(page));
    mem->write(mem->opaque, copy, page, sizeof(page));
    iommu_mem_write64(mem, slot, (old & ~SMMU_PTE_ADDR) | copy);
}

typedef struct Step {
    SmmuCmd cmd;
    bool drops;
} Step;

/*
 * Commands after which the TLB has nothing of HOST_VA, each of them alone:
 * does a walk find the table that is in use since?
 */
static void check_table(bool second, const Step *steps, unsigned n)
{
    Host *h;
    SmmuS1 s1;
    unsigned i;

    for (i = 0; i < n; i++) {
        h = start(PROPS KEEP, &two_level);
        s1 = host_space(h, 5, 0);
        g_assert_cmphex(h->asid, ==, 1);
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
        if (second) {
            move_table(h, &h->s2, host_ipa(h, HOST_PA(0)), 2);
            host_map_s2(h, host_ipa(h, HOST_PA(0)), HOST_PA(1), HOST_S2_RW);
        } else {
            move_table(h, &s1, HOST_VA, 2);
            smmu_s1_map(&s1, HOST_VA, host_ipa(h, HOST_PA(1)), 4096, 12,
                        SMMU_PTE_USER_RW);
        }
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
        host_push(h, tlbi(OP_S2_IPA, 0, host_ipa(h, HOST_PA(0)), true));
        host_push(h, tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, true));
        host_sync(h);
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
        host_push(h, steps[i].cmd);
        host_push(h, tlbi(OP_S2_IPA, 0, host_ipa(h, HOST_PA(0)), true));
        host_push(h, tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, true));
        host_sync(h);
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, steps[i].drops);
        host_stop(h);
    }
}

/* 5.4: fields of a CD that IDRs do not allow, and what must be set */
static void test_cd_bits(void)
{
    static const struct {
        unsigned bit;
        bool set;
    } bits[] = {
        { 31, false },          /* V */
        { 41, false },          /* AA64: IDR0.TTF */
        { 46, false },          /* A: IDR0.TERM_MODEL */
        { 44, true },           /* S: IDR0.STALL_MODEL */
        { 43, true },           /* HA, HD: IDR0.HTTU */
        { 42, true },
        { 15, true },           /* ENDI: IDR0.TTENDIAN */
    };
    Host *h = start(PROPS, &two_level);
    uint64_t slot, old;
    unsigned i;

    host_space(h, 5, 0);
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
    slot = smmu_cd_entry(&h->cds, 5);
    old = iommu_mem_read64(&h->s1_mem, slot);
    for (i = 0; i < ARRAY_SIZE(bits); i++) {
        uint64_t bit = 1ULL << bits[i].bit;

        g_assert_cmphex(old & bit, ==, bits[i].set ? 0 : bit);
        iommu_mem_write64(&h->s1_mem, slot, old ^ bit);
        host_flush(h);
        g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_BUS);
        g_assert_cmphex(host_event(h).type, ==, EVT_C_BAD_CD);
        host_no_event(h);
    }
    host_stop(h);
}

/* 5.2: STE.Config */
static void test_ste_config(void)
{
    Host *h = start(PROPS, &two_level);
    uint64_t slot = smmu_ste_entry(&h->tables, HOST_SID);
    uint64_t old = iommu_mem_read64(&h->mem, slot);
    unsigned config;

    host_space(h, 0, 0);
    for (config = 0; config < 4; config++) {
        /* Reserved ones behave as the first: abort, and nobody is told */
        iommu_mem_write64(&h->mem, slot, (old & ~(7ULL << 1)) | config << 1);
        host_flush(h);
        g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
        host_no_event(h);
    }
    iommu_mem_write64(&h->mem, slot, (old & ~(7ULL << 1)) | CONFIG_BYPASS << 1);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_PA(0)), ==, SVA_CODE_OK);
    iommu_mem_write64(&h->mem, slot, old & ~STE_VALID);
    host_flush(h);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_C_BAD_STE);
    host_stop(h);
}

/* 4.4: walk caches, and Leaf of TLBI commands */
static void test_tables(void)
{
    const uint64_t block = 1ULL << 21;
    const Step first[] = {
        { tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, true), false },
        { tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, false), true },
        { tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA ^ 0x4000, false), true },
        { tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA ^ block, false), false },
        { tlbi(SMMU_OP_TLBI_NH_VA, 2, HOST_VA, false), false },
        { tlbi(SMMU_OP_TLBI_NH_VAA, 0, HOST_VA, false), true },
        { tlbi(SMMU_OP_TLBI_NH_ASID, 1, 0, false), true },
        { tlbi(SMMU_OP_TLBI_NH_ASID, 2, 0, false), false },
        { tlbi(SMMU_OP_TLBI_NH_ALL, 0, 0, false), true },
        { tlbi(OP_S2_IPA, 0, HOST_VA & 0xffffffffff, false), false },
        { tlbi(OP_S12_VMALL, 0, 0, false), true },
        { smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL), true },
        { smmu_cfgi_ste_all(), false },
        /* 32 pages of 4 KiB, 2 MiB below and up to it; another VMID */
        { { { SMMU_OP_TLBI_NH_VA | 31ULL << 12 | 4ULL << 20 |
              (uint64_t)HOST_VMID << 32 | 1ULL << 48,
              (HOST_VA & ~(block - 1)) | 1 << 10 } }, true },
        { { { SMMU_OP_TLBI_NH_VA | 31ULL << 12 | 4ULL << 20 |
              (uint64_t)HOST_VMID << 32 | 1ULL << 48,
              ((HOST_VA & ~(block - 1)) - block) | 1 << 10 } }, false },
        { { { SMMU_OP_TLBI_NH_ALL | (HOST_VMID + 1ULL) << 32, 0 } }, false },
    };

    check_table(false, first, ARRAY_SIZE(first));
}

static void test_tables_stage2(void)
{
    Host *h = start(PROPS, &two_level);
    uint64_t ipa = host_ipa(h, HOST_PA(0));
    const Step second[] = {
        { tlbi(OP_S2_IPA, 0, ipa, true), false },
        { tlbi(OP_S2_IPA, 0, ipa ^ 0x4000, false), true },
        { tlbi(OP_S2_IPA, 0, ipa ^ (1ULL << 21), false), false },
        { tlbi(SMMU_OP_TLBI_NH_VAA, 0, ipa, false), false },
        { tlbi(SMMU_OP_TLBI_NH_ALL, 0, 0, false), false },
        { tlbi(OP_S12_VMALL, 0, 0, false), true },
    };

    host_stop(h);
    check_table(true, second, ARRAY_SIZE(second));
}

/* An absent table is no entry of any cache, and APTable counts for good */
static void test_tables_permission(void)
{
    Host *h = start(PROPS KEEP, &two_level);
    SmmuS1 s1 = host_space(h, 5, 0);
    uint64_t slot, va = HOST_VA + (1ULL << 30);
    unsigned level;

    g_assert_cmphex(host_fill(h, 5, va, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_TRANSLATION);
    smmu_s1_map(&s1, va, host_ipa(h, HOST_PA(1)), 8192, 12, SMMU_PTE_USER_RW);
    g_assert_cmpuint(host_filled_page(h, 5, va), ==, 1);

    slot = smmu_s1_entry(&s1, HOST_VA, 2, &level);
    iommu_mem_write64(&h->s1_mem, slot, iommu_mem_read64(&h->s1_mem, slot) |
                      SMMU_TABLE_RO);
    host_command(h, tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, false));
    host_command(h, tlbi(SMMU_OP_TLBI_NH_ASID, 1, 0, false));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_PERMISSION);
    /* The walk that the fault has left behind is not forgotten */
    host_command(h, tlbi(SMMU_OP_TLBI_NH_VA, 1, HOST_VA, true));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_PERMISSION);
    host_stop(h);
}

/* 4.3: level-1 stream table descriptors, and Leaf of CFGI_STE */
static void test_l1std(void)
{
    const Step steps[] = {
        { smmu_cfgi_ste(HOST_SID, true), false },
        { smmu_cfgi_ste(HOST_SID + 256, false), false },
        { smmu_cfgi_ste(HOST_SID + 1, false), true },
        { { { SMMU_OP_CFGI_STE_RANGE | (uint64_t)HOST_SID << 32, 3 } }, true },
        { smmu_cfgi_ste_all(), true },
        { smmu_cfgi_cd_all(HOST_SID), false },
    };
    Host *h = start(PROPS KEEP, &two_level);
    /* Before its leaf table's: 8 bytes for 256 streams */
    uint64_t slot = h->tables.base + (HOST_SID >> 8) * 8;
    uint64_t desc = iommu_mem_read64(&h->mem, slot);
    unsigned i;

    host_space(h, 5, 0);
    for (i = 0; i < ARRAY_SIZE(steps); i++) {
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
        iommu_mem_write64(&h->mem, slot, 0);
        host_push(h, smmu_cfgi_ste(HOST_SID, true));
        host_push(h, steps[i].cmd);
        host_sync(h);
        if (!steps[i].drops) {
            g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
            host_command(h, smmu_cfgi_ste_all());
        }
        g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_BUS);
        g_assert_cmphex(host_event(h).type, ==, 2); /* C_BAD_STREAMID */

        /* And the same for one that is not valid */
        iommu_mem_write64(&h->mem, slot, desc);
        host_push(h, smmu_cfgi_ste(HOST_SID, true));
        host_push(h, steps[i].cmd);
        host_sync(h);
        if (!steps[i].drops) {
            g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_BUS);
            g_assert_cmphex(host_event(h).type, ==, 2);
            host_command(h, smmu_cfgi_ste_all());
        }
    }
    host_stop(h);
}

/* 4.3.3: CFGI_CD is about one substream, with host-keep and without */
static void test_cfgi_cd(void)
{
    Host *h = start(PROPS, &two_level);
    uint64_t cd[8], from, to;
    unsigned i;

    host_space(h, 0, 0);
    host_space(h, 0xfff, 1);
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 0);
    from = smmu_cd_entry(&h->cds, 0xfff);
    to = smmu_cd_entry(&h->cds, 0);
    for (i = 0; i < ARRAY_SIZE(cd); i++) {
        cd[i] = iommu_mem_read64(&h->s1_mem, from + i * 8);
    }
    iommu_mem_write_qwords(&h->s1_mem, to, cd, ARRAY_SIZE(cd));
    host_command(h, smmu_cfgi_cd(HOST_SID, 5, true));
    host_command(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 0);
    host_command(h, smmu_cfgi_cd(HOST_SID, 0, true));
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 1);
    host_stop(h);
}

/* 4.4.2: TLBI_NH_VAA is about stage 1, whatever IPAs look like */
static void test_vaa(void)
{
    Host *h = start(PROPS, &(HostSetup) { .config = CONFIG_S2 });
    uint64_t ipa = HOST_PA(0);

    host_map_s2(h, ipa, HOST_PA(0), HOST_S2_RW);
    qtest_memset(h->rig.qts, HOST_PA(0), 0x5a, 4096);
    g_assert_cmphex(host_read(h, ipa), ==, SVA_CODE_OK);
    host_map_s2(h, ipa, HOST_PA(1), HOST_S2_RW);
    host_command(h, tlbi(SMMU_OP_TLBI_NH_VAA, 0, ipa, false));
    qtest_memset(h->rig.qts, HOST_PA(0), 0, 4096);
    qtest_memset(h->rig.qts, HOST_PA(1), 0, 4096);
    g_assert_cmphex(host_write(h, ipa), ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readb(h->rig.qts, HOST_PA(0)), ==, 0x5a);
    host_command(h, tlbi(OP_S2_IPA, 0, ipa, true));
    g_assert_cmphex(host_write(h, ipa), ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readb(h->rig.qts, HOST_PA(1)), ==, 0x5a);
    host_stop(h);
}

/* 4.7.3: a reserved kind of completion signal is no CMD_SYNC */
static void test_sync(void)
{
    Host *h = start(PROPS, &two_level);
    SmmuCmd sync = smmu_sync();

    sync.dw[0] |= 3 << 12;
    host_push(h, sync);
    g_assert_cmpint(smmu_cmdq_sync(&h->cmdq, &h->regs), ==, CERROR_ILL);
    host_stop(h);
}

/* 7.3.1: with STE.MEV, events like one that waits may be merged into it */
static void check_merge(bool mev)
{
    HostSetup setup = two_level;
    Host *h;
    unsigned i;

    setup.ste1 = mev ? STE_MEV : 0;
    h = start(PROPS KEEP, &setup);
    host_space(h, 5, 0);
    for (i = 0; i < 3; i++) {
        g_assert_cmphex(host_fill(h, 5, HOST_VA + 0x4000, 1), ==,
                        SVA_CODE_BUS);
    }
    g_assert_cmphex(host_fill(h, 5, HOST_VA + 0x5000, 1), ==, SVA_CODE_BUS);
    for (i = 0; i < (mev ? 1 : 3); i++) {
        g_assert_cmphex(host_event(h).addr, ==, HOST_VA + 0x4000);
    }
    g_assert_cmphex(host_event(h).addr, ==, HOST_VA + 0x5000);
    host_no_event(h);
    /* One that has been taken is no longer there to be merged with */
    g_assert_cmphex(host_fill(h, 5, HOST_VA + 0x5000, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).addr, ==, HOST_VA + 0x5000);
    host_no_event(h);
    host_stop(h);
}

static void test_merge(void)
{
    check_merge(false);
    check_merge(true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/rules/cd-bits", test_cd_bits);
    qtest_add_func("/smmu-host/rules/ste-config", test_ste_config);
    qtest_add_func("/smmu-host/rules/tables", test_tables);
    qtest_add_func("/smmu-host/rules/tables-stage2", test_tables_stage2);
    qtest_add_func("/smmu-host/rules/tables-permission",
                   test_tables_permission);
    qtest_add_func("/smmu-host/rules/l1std", test_l1std);
    qtest_add_func("/smmu-host/rules/cfgi-cd", test_cfgi_cd);
    qtest_add_func("/smmu-host/rules/vaa", test_vaa);
    qtest_add_func("/smmu-host/rules/sync", test_sync);
    qtest_add_func("/smmu-host/rules/merge", test_merge);
    return g_test_run();
}
