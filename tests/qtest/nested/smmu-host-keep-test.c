/*
 * arm-smmuv3 as the SMMU of an emulated host, host-keep=on: whatever may be
 * cached is, until the command that is meant for it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each case leaves the right command out, or has the wrong one, and finds what
 * was before; the right one mends it.
 */

#include "qemu/osdep.h"
#include "smmu-host-rig.h"

#define PROPS       "host-keep=on,host-ssidsize=20,host-fwb=on"
#define STE_VALID   1ULL
#define STE_EATS    (3ULL << 28)

static Host *start(const HostSetup *setup)
{
    Host *h = host_start(PROPS, "", 6);

    host_endpoint(h, false);
    host_setup(h, setup);
    return h;
}

static const HostSetup two_level = {
    .config = CONFIG_NESTED, .fmt = SMMU_S1FMT_4K_L2, .cdmax = 12,
    .s1dss = SMMU_S1DSS_SSID0,
};

static void check_fault(Host *h, uint32_t pasid, unsigned type)
{
    g_assert_cmphex(host_fill(h, pasid, HOST_VA, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, type);
    host_no_event(h);
}

/* Change a CD to what it is for data page @page, and tell nobody */
static void quiet_space(Host *h, uint32_t ssid, unsigned page)
{
    const uint32_t spare = 0xfff;
    uint64_t cd[8], from, to;
    unsigned i;

    host_space(h, spare, page);
    from = smmu_cd_entry(&h->cds, spare);
    to = smmu_cd_entry(&h->cds, ssid);
    for (i = 0; i < ARRAY_SIZE(cd); i++) {
        cd[i] = iommu_mem_read64(&h->s1_mem, from + i * 8);
    }
    iommu_mem_write_qwords(&h->s1_mem, to, cd, ARRAY_SIZE(cd));
}

static void test_ste(void)
{
    Host *h = start(&two_level);
    uint64_t ste = smmu_ste_entry(&h->tables, HOST_SID);
    uint64_t old = iommu_mem_read64(&h->mem, ste);

    host_space(h, 5, 1);
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
    iommu_mem_write64(&h->mem, ste, old & ~STE_VALID);
    host_command(h, smmu_cfgi_cd_all(HOST_SID));
    host_command(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
    host_command(h, smmu_cfgi_ste(HOST_SID + 1, true));
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
    host_command(h, smmu_cfgi_ste(HOST_SID, true));
    check_fault(h, 5, EVT_C_BAD_STE);

    /* That it is not valid is cached as well */
    iommu_mem_write64(&h->mem, ste, old);
    check_fault(h, 5, EVT_C_BAD_STE);
    host_command(h, smmu_cfgi_cd(HOST_SID, 5, false));
    check_fault(h, 5, EVT_C_BAD_STE);
    host_command(h, smmu_cfgi_ste_all());
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
    host_stop(h);
}

static void test_cd(void)
{
    const SmmuCmd mend[] = {
        smmu_cfgi_cd(HOST_SID, 5, true), smmu_cfgi_cd(HOST_SID, 5, false),
        smmu_cfgi_cd_all(HOST_SID), smmu_cfgi_ste(HOST_SID, true),
        smmu_cfgi_ste_all(),
    };
    Host *h = start(&two_level);
    unsigned i;

    /* Of one leaf table */
    host_space(h, 5, 0);
    host_space(h, 6, 3);
    for (i = 0; i < ARRAY_SIZE(mend); i++) {
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, i % 2);
        quiet_space(h, 5, !(i % 2));
        host_command(h, smmu_cfgi_cd(HOST_SID, 6, false));
        host_command(h, smmu_cfgi_cd(HOST_SID + 1, 5, false));
        host_command(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, i % 2);
        host_command(h, mend[i]);
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, !(i % 2));
        g_assert_cmpuint(host_filled_page(h, 6, HOST_VA), ==, 3);
    }

    /* One that is not valid */
    check_fault(h, 7, EVT_C_BAD_CD);
    quiet_space(h, 7, 2);
    host_command(h, smmu_cfgi_cd(HOST_SID, 5, false));
    check_fault(h, 7, EVT_C_BAD_CD);
    host_command(h, smmu_cfgi_cd(HOST_SID, 7, true));
    g_assert_cmpuint(host_filled_page(h, 7, HOST_VA), ==, 2);
    host_stop(h);
}

/* The same for requests without a SubstreamID: they use the first CD */
static void test_first_cd(void)
{
    Host *h = start(&two_level);

    host_space(h, 0, 0);
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 0);
    quiet_space(h, 0, 1);
    host_command(h, smmu_cfgi_cd(HOST_SID, 1, false));
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 0);
    host_command(h, smmu_cfgi_cd(HOST_SID, 0, true));
    g_assert_cmpuint(host_filled_page(h, HOST_RID, HOST_VA), ==, 1);
    host_stop(h);
}

static void check_l1cd(SmmuS1Fmt fmt, unsigned split)
{
    HostSetup setup = two_level;
    uint32_t ssid = 2 << split | 3;
    Host *h;

    setup.fmt = fmt;
    h = start(&setup);
    check_fault(h, ssid, EVT_C_BAD_SUBSTREAMID);
    quiet_space(h, ssid, 2);
    /* Leaf: of the CD alone.  Other tables are others' business */
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid, true));
    check_fault(h, ssid, EVT_C_BAD_SUBSTREAMID);
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid + (1 << split), false));
    check_fault(h, ssid, EVT_C_BAD_SUBSTREAMID);
    /* Any of the same table will do */
    host_command(h, smmu_cfgi_cd(HOST_SID, ssid + 1, false));
    g_assert_cmpuint(host_filled_page(h, ssid, HOST_VA), ==, 2);
    host_stop(h);
}

static void test_l1cd(void)
{
    check_l1cd(SMMU_S1FMT_4K_L2, 6);
    check_l1cd(SMMU_S1FMT_64K_L2, 10);
}

/* Whether a stream may have translations, which is in its STE */
static void test_ats(void)
{
    Host *h = host_start(PROPS ",host-ats=on", "", 6);
    uint64_t ste = smmu_ste_entry(&h->tables, HOST_SID) + 8, old;
    HostSetup setup = two_level;
    unsigned i;

    setup.eats = 1;
    host_endpoint(h, true);
    host_setup(h, &setup);
    host_space(h, 5, 1);
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
    old = iommu_mem_read64(&h->mem, ste);
    iommu_mem_write64(&h->mem, ste, old & ~STE_EATS);
    for (i = 0; i < 2; i++) {
        host_command(h, smmu_atc_inv(HOST_SID, 5, 0, 52));
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 1);
        host_command(h, smmu_cfgi_cd(HOST_SID, 5, false));
    }
    host_command(h, smmu_cfgi_ste(HOST_SID, true));
    host_command(h, smmu_atc_inv(HOST_SID, 5, 0, 52));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), !=, SVA_CODE_OK);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_BAD_ATS_TREQ);
    host_stop(h);
}

/* Neighbours are translated ahead, and a TLB that is full does not forget */
static void test_tlb(void)
{
    const unsigned pages = 300;
    Host *h = start(&two_level);
    SmmuS1 s1 = host_space(h, 5, 0);
    uint64_t next = HOST_VA + 0x1000, far = HOST_VA + 0x8000;
    unsigned i;

    smmu_s1_map(&s1, next, host_ipa(h, HOST_PA(1)), 4096, 12,
                SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, far, host_ipa(h, HOST_PA(1)), 4096, 12,
                SMMU_PTE_USER_RW);
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA), ==, 0);
    smmu_s1_map(&s1, next, host_ipa(h, HOST_PA(2)), 4096, 12,
                SMMU_PTE_USER_RW);
    smmu_s1_map(&s1, far, host_ipa(h, HOST_PA(2)), 4096, 12,
                SMMU_PTE_USER_RW);
    g_assert_cmpuint(host_filled_page(h, 5, next), ==, 1);
    g_assert_cmpuint(host_filled_page(h, 5, far), ==, 2);

    for (i = 16; i < pages + 16; i++) {
        smmu_s1_map(&s1, HOST_VA + i * 4096, host_ipa(h, HOST_PA(3)), 4096,
                    12, SMMU_PTE_USER_RW);
    }
    for (i = 16; i < pages + 16; i++) {
        g_assert_cmpuint(host_filled_page(h, 5, HOST_VA + i * 4096), ==, 3);
    }
    g_assert_cmpuint(host_filled_page(h, 5, next), ==, 1);
    host_command(h, smmu_tlbi_vaa(far, true));
    g_assert_cmpuint(host_filled_page(h, 5, next), ==, 1);
    host_command(h, (SmmuCmd) { {
        SMMU_OP_TLBI_NH_VA | (uint64_t)HOST_VMID << 32 |
        (uint64_t)h->asid << 48, next | 1,
    } });
    g_assert_cmpuint(host_filled_page(h, 5, next), ==, 2);

    /* What is not there is not cached */
    g_assert_cmphex(host_fill(h, 5, HOST_VA + 0x2000, 1), ==, SVA_CODE_BUS);
    g_assert_cmphex(host_event(h).type, ==, EVT_F_TRANSLATION);
    smmu_s1_map(&s1, HOST_VA + 0x2000, host_ipa(h, HOST_PA(2)), 4096, 12,
                SMMU_PTE_USER_RW);
    g_assert_cmpuint(host_filled_page(h, 5, HOST_VA + 0x2000), ==, 2);
    host_stop(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/keep/ste", test_ste);
    qtest_add_func("/smmu-host/keep/cd", test_cd);
    qtest_add_func("/smmu-host/keep/first-cd", test_first_cd);
    qtest_add_func("/smmu-host/keep/l1cd", test_l1cd);
    qtest_add_func("/smmu-host/keep/ats", test_ats);
    qtest_add_func("/smmu-host/keep/tlb", test_tlb);
    return g_test_run();
}
