/*
 * SMMUv3 nesting: several SMMUs in one guest
 *
 * The second SMMU is that of a PCI expander bridge. Each has a device of the
 * host behind a root port; both devices are behind one SMMU of the host, and
 * what the guest calls them and their address spaces is the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define BUS         9
#define SID         (BUS << 8)
#define MMIO_SIZE   0x20000
#define TABLES_SIZE (16 * MiB)

#define EVT_TRANSLATION 0x10

#define SECOND \
    "-device pxb-pcie,id=pxb,bus=pcie.0,bus_nr=8,addr=0x11 " \
    "-device arm-smmuv3,primary-bus=pxb,id=smmu1,nested=on " \
    "-device pcie-root-port,id=rp0,chassis=1,bus=pcie.0,addr=0x10 " \
    "-device pcie-root-port,id=rp1,chassis=2,bus=pxb,addr=0 " \
    "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,bus=rp0 " \
    "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,bus=rp1 "

static const char *const devs[] = { HOST_DEV0, HOST_DEV1 };

/* Both SMMUs, on; each with room of its own for tables */
static void start(SmmuRig *r)
{
    g_autofree char *host = smmu_rig_host(2, "", "");

    smmu_rig_start(&r[0], host, "nested=on", 0, SECOND);
    r[1] = r[0];
    r[0].mem.end -= TABLES_SIZE;
    r[1].mem.next = r[0].mem.end;
    r[1].where.base += MMIO_SIZE;
    iommu_regs_qtest(&r[1].regs, &r[1].where);
    /* The ports: on the root bus, and first on that of the expander */
    smmu_rig_config_write(r, 0x10 << 3, 0x18, BUS << 8 | BUS << 16);
    smmu_rig_config_write(r, 8 << 8, 0x18, BUS << 8 | BUS << 16 | 8);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_enable(&r[i], 4);
        smmu_rig_fill(&r[i], i, 0x10 + i);
    }
}

static void expect(SmmuRig *r, unsigned i, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, devs[i], NULL, IOVA), ==, value);
}

/* One StreamID, one ASID, one address: two places */
static void test_apart(void)
{
    SmmuRig r[2];
    SmmuS1 s1[2];

    start(r);
    for (unsigned i = 0; i < 2; i++) {
        s1[i] = smmu_rig_stage1(&r[i], SID, ASID, IOVA, i);
        expect(r, i, 0x10 + i);
    }
    expect(r, 0, 0x10);
    g_assert_cmpuint(iommufd_model_live(r[0].m, "viommu"), ==, 2);
    g_assert_cmpuint(iommufd_model_live(r[0].m, "vdevice"), ==, 2);

    /* What one is told is for that one */
    for (unsigned i = 0; i < 2; i++) {
        smmu_s1_map(&s1[i], IOVA, DATA + (1 - i) * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
    }
    smmu_queue_push(&r[0].cmdq, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    smmu_rig_sync(&r[0]);
    expect(r, 0, 0x11);
    expect(r, 1, 0x11);
    smmu_queue_push(&r[1].cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&r[1]);
    expect(r, 1, 0x10);
    smmu_rig_ste(&r[0], SID, &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    expect(r, 0, -1);
    expect(r, 1, 0x10);
    smmu_rig_stop(&r[0]);
}

/* Events come to the SMMU that the device is behind */
static void test_events(void)
{
    SmmuRig r[2];
    uint64_t dw[4];

    start(r);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_stage1(&r[i], SID, ASID, IOVA, i);
    }
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t addr = IOVA + (i + 1) * 0x100000;

        g_assert_cmpint(smmu_rig_peek(r, devs[i], NULL, addr), ==, -1);
        for (unsigned j = 0; !smmu_rig_event(&r[i], dw); j++) {
            g_assert_cmpuint(j, <, 5000);
            g_usleep(1000);
        }
        g_assert_cmphex(dw[0], ==, EVT_TRANSLATION | (uint64_t)SID << 32);
        g_assert_cmphex(dw[2], ==, addr);
        g_assert_cmpuint(smmu_rig_event(&r[1 - i], dw), ==, 0);
    }
    smmu_rig_stop(&r[0]);
}

/* Off, GBPA and a reset of one are nothing to the other */
static void test_registers(void)
{
    SmmuRig r[2];

    start(r);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_stage1(&r[i], SID, ASID, IOVA, i);
    }
    smmu_rig_write(&r[1], SMMU_REG_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
    smmu_rig_write(&r[1], SMMU_REG_CR0, 0);
    expect(r, 0, 0x10);
    expect(r, 1, -1);
    g_assert_cmpint(smmu_rig_peek(r, HOST_DEV1, NULL, DATA), ==, -1);
    smmu_rig_write(&r[1], SMMU_REG_GBPA, SMMU_GBPA_UPDATE);
    g_assert_cmpint(smmu_rig_peek(r, HOST_DEV1, NULL, DATA), ==, 0x10);
    smmu_rig_write(&r[1], SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
    expect(r, 0, 0x10);
    expect(r, 1, 0x11);
    smmu_rig_stop(&r[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/multi/apart", test_apart);
    qtest_add_func("/smmu-nested/multi/events", test_events);
    qtest_add_func("/smmu-nested/multi/registers", test_registers);
    return g_test_run();
}
