/*
 * SMMUv3 nesting: devices that reach each other's BARs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "smmu-rig.h"

#define RID1        (5 << 3)
#define BAR4        0x10100000u
#define AT          0x2100
#define PAGE        4096ULL
#define IOVA        UINT64_C(0x4000000000)
#define ASID        5
#define MEMORY      (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

static void expect_reached(SmmuRig *r, uint64_t addr)
{
    static uint32_t value = 0x11223344;
    uint32_t data = cpu_to_le32(++value);

    iommufd_model_dma_write(r->m, HOST_DEV0, NULL, addr, &data, sizeof(data));
    g_assert_cmphex(qtest_readl(r->qts, BAR4 + AT), ==, value);
    qtest_writel(r->qts, BAR4 + AT, ++value);
    iommufd_model_dma_read(r->m, HOST_DEV0, NULL, addr, &data, sizeof(data));
    g_assert_cmphex(le32_to_cpu(data), ==, value);
}

/* With the SMMU off, and through stage 1; with two IOMMUs of the host */
static void test_reach(void)
{
    const char *host = "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n"
        "[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=1\ngroup=2\nbar4-size=65536\n";
    uint64_t addr = IOVA + PAGE + AT % PAGE;
    SmmuRig r;
    SmmuS1 s1;

    smmu_rig_start(&r, host, "nested=on", 2, "");
    smmu_rig_config_write(&r, SID0, PCI_COMMAND, MEMORY);
    smmu_rig_config_write(&r, RID1, PCI_BASE_ADDRESS_4, BAR4);
    smmu_rig_config_write(&r, RID1, PCI_COMMAND, MEMORY);
    expect_reached(&r, BAR4 + AT);
    smmu_rig_enable(&r, 4);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    smmu_s1_map(&s1, IOVA + PAGE, BAR4 + AT - AT % PAGE, PAGE, 12,
                SMMU_PTE_USER_RW);
    expect_reached(&r, addr);
    smmu_rig_config_write(&r, RID1, PCI_COMMAND, PCI_COMMAND_MASTER);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, addr, true, 2, NULL);
    smmu_rig_config_write(&r, RID1, PCI_COMMAND, MEMORY);
    expect_reached(&r, addr);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/p2p/reach", test_reach);
    return g_test_run();
}
