/*
 * SMMUv3 nesting: two nested SMMUs in one VM, with devices of each kind
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "hw/misc/sva-engine-regs.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define SMMU_SECOND     0x0c020000
#define TABLES_SECOND   (RAM + 80 * MiB)
#define TABLES_SIZE     (15 * MiB)

/* On either root bus: an assigned device, and an emulated one */
#define DEV_FIRST       (4 << 3)
#define ENGINE_FIRST    (6 << 3)
#define PORT(slot)      (96 << 8 | (slot) << 3)
#define DEV_SECOND      (97 << 8)
#define ENGINE_SECOND   (98 << 8)

#define IOVA            UINT64_C(0x4000000000)
#define ASID            5

static const char args[] =
    "-device sva-engine,id=engine0,bus=pcie.0,addr=6 "
    "-device pxb-pcie,id=pxb1,bus=pcie.0,addr=0x11,bus_nr=96 "
    "-device arm-smmuv3,primary-bus=pxb1,id=smmu1,nested=on "
    "-device pcie-root-port,id=rp0,bus=pxb1,addr=1,chassis=1 "
    "-device pcie-root-port,id=rp1,bus=pxb1,addr=2,chassis=2 "
    "-device vfio-pci,id=other,host=" HOST_DEV1 ",iommufd=iommufd0,bus=rp0 "
    "-device sva-engine,id=engine1,bus=rp1 ";

/* Two SMMUs of the host; @same: both devices behind the first of them */
static void start(SmmuRig *a, SmmuRig *b, bool same)
{
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n"
        "[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=%d\ngroup=2\n", !same);

    smmu_rig_start(a, host, "nested=on", 1, args);
    *b = *a;
    iommu_mem_qtest(&b->mem, a->qts, TABLES_SECOND, TABLES_SIZE);
    b->where.base = SMMU_SECOND;
    iommu_regs_qtest(&b->regs, &b->where);
    smmu_rig_number_at(a, PORT(1), DEV_SECOND >> 8);
    smmu_rig_number_at(a, PORT(2), ENGINE_SECOND >> 8);
}

static void expect(SmmuRig *r, const char *dev, uint64_t addr, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, addr), ==, value);
}

/* The same IOVA and ASID mean two things; commands reach their own host SMMU */
static void two_smmus(bool same)
{
    SmmuS1 s1a, s1b;
    SmmuRig a, b;
    uint64_t calls;

    start(&a, &b, same);
    smmu_rig_enable(&a, 4);
    /* The other one is still off: bypass */
    for (unsigned i = 0; i < 4; i++) {
        smmu_rig_fill(&a, i, 0x10 + i);
    }
    expect(&a, HOST_DEV0, DATA, -1);
    expect(&b, HOST_DEV1, DATA, 0x10);
    smmu_rig_enable(&b, 4);
    s1a = smmu_rig_stage1(&a, DEV_FIRST, ASID, IOVA, 0);
    s1b = smmu_rig_stage1(&b, DEV_SECOND, ASID, IOVA, 1);
    g_assert_cmpuint(iommufd_model_live(a.m, "viommu"), ==, 2);
    g_assert_cmpuint(iommufd_model_live(a.m, "vdevice"), ==, 2);
    expect(&a, HOST_DEV0, IOVA, 0x10);
    expect(&b, HOST_DEV1, IOVA, 0x11);

    smmu_s1_map(&s1a, IOVA, DATA + 2 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_s1_map(&s1b, IOVA, DATA + 3 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    calls = smmu_rig_ioctls(&a);
    smmu_queue_push(&a.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&a);
    g_assert_cmpuint(smmu_rig_ioctls(&a) - calls, ==, 1);
    expect(&a, HOST_DEV0, IOVA, 0x12);
    expect(&b, HOST_DEV1, IOVA, 0x11);
    smmu_queue_push(&b.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&b);
    g_assert_cmpuint(smmu_rig_ioctls(&a) - calls, ==, 2);
    expect(&b, HOST_DEV1, IOVA, 0x13);

    /* A StreamID of the other SMMU is nobody's here */
    smmu_rig_ste(&a, DEV_SECOND, NULL);
    smmu_queue_push(&a.cmdq, smmu_cfgi_cd_all(DEV_SECOND));
    smmu_rig_sync(&a);
    g_assert_cmpuint(smmu_rig_ioctls(&a) - calls, ==, 2);
    expect(&b, HOST_DEV1, IOVA, 0x13);

    /* And each is switched off alone */
    smmu_rig_write(&a, SMMU_REG_CR0, 0);
    expect(&a, HOST_DEV0, DATA, 0x10);
    expect(&b, HOST_DEV1, IOVA, 0x13);
    qtest_system_reset(a.qts);
    expect(&b, HOST_DEV1, IOVA, -1);
    smmu_rig_stop(&a);
}

static void test_two(void)
{
    two_smmus(false);
}

/* One SMMU of the host has devices of two of the guest: a vIOMMU for each */
static void test_two_of_one(void)
{
    two_smmus(true);
}

/* An error of one queue stops that queue */
static void test_error(void)
{
    SmmuRig a, b;

    start(&a, &b, false);
    smmu_rig_enable(&a, 4);
    smmu_rig_enable(&b, 4);
    smmu_rig_stage1(&a, DEV_FIRST, ASID, IOVA, 0);
    smmu_rig_stage1(&b, DEV_SECOND, ASID, IOVA, 1);
    smmu_rig_fill(&a, 0, 0x10);
    smmu_rig_fill(&a, 1, 0x11);
    /* No such command */
    smmu_queue_push(&a.cmdq, (SmmuCmd) { .dw = { 0xff } });
    g_assert_cmpint(smmu_cmdq_sync(&a.cmdq, &a.regs), ==, CERROR_ILL);
    smmu_queue_push(&b.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&b);
    expect(&b, HOST_DEV1, IOVA, 0x11);
    g_assert_cmpuint(smmu_rig_read(&b, SMMU_REG_GERROR), ==, 0);
    smmu_rig_stop(&a);
}

/* 4 KiB from one address to another, both of stage 1 */
static void engine_copy(SmmuRig *r, uint16_t rid, uint64_t bar, uint64_t from,
                        uint64_t to)
{
    const uint64_t addr[] = { from, to };

    smmu_rig_config_write(r, rid, PCI_BASE_ADDRESS_0, bar);
    smmu_rig_config_write(r, rid, PCI_COMMAND,
                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 2; i++) {
        qtest_writeq(r->qts, bar + SVA_SIMPLE_ADDRESS, addr[i]);
        qtest_writel(r->qts, bar + SVA_SIMPLE_COMMAND,
                     SVA_COMMAND_RUN | (i ? 0 : SVA_COMMAND_TO_DEVICE));
        while (qtest_readl(r->qts, bar + SVA_SIMPLE_COMMAND) &
               SVA_COMMAND_RUN) {
            g_usleep(100);
        }
    }
}

/* Emulated endpoints behind the same SMMUs are walked for by the emulation */
static void test_emulated(void)
{
    static const struct {
        uint16_t dev, engine;
        uint64_t bar;
    } cases[] = {
        { DEV_FIRST, ENGINE_FIRST, 0x10200000 },
        { DEV_SECOND, ENGINE_SECOND, 0x10300000 },
    };
    SmmuRig rig[2];

    start(&rig[0], &rig[1], false);
    /* Addresses of what is behind the port */
    smmu_rig_config_write(&rig[0], PORT(2), PCI_MEMORY_BASE,
                          cases[1].bar >> 16 | cases[1].bar);
    smmu_rig_config_write(&rig[0], PORT(2), PCI_COMMAND,
                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 2; i++) {
        SmmuRig *r = &rig[i];
        uint16_t sid = cases[i].engine;
        SmmuS1 s1;
        SmmuCdTable cds;
        uint64_t calls;

        smmu_rig_enable(r, 4);
        smmu_rig_stage1(r, cases[i].dev, ASID, IOVA, 9);
        s1 = smmu_rig_s1(r, IOVA, i);
        smmu_s1_map(&s1, IOVA + 0x10000, DATA + (i + 2) * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, ASID + 1);
        smmu_rig_ste(r, sid, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
        smmu_rig_fill(r, i, 0x30 + i);
        smmu_rig_fill(r, i + 2, 0);
        calls = smmu_rig_ioctls(r);
        engine_copy(r, sid, cases[i].bar, IOVA, IOVA + 0x10000);
        g_assert_cmpuint(qtest_readb(r->qts, DATA + (i + 2) * 4096), ==,
                         0x30 + i);
        /* What concerns emulated endpoints only is not for the host */
        smmu_queue_push(&r->cmdq, smmu_cfgi_cd_all(sid));
        smmu_rig_sync(r);
        g_assert_cmpuint(smmu_rig_ioctls(r), ==, calls);
        /* What the emulation has cached goes wherever the command stands */
        smmu_s1_map(&s1, IOVA + 0x10000, DATA + (i + 4) * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        for (unsigned j = 0; j < 8; j++) {
            smmu_queue_push(&r->cmdq, j == 5 ?
                            smmu_tlbi_va(ASID + 1, IOVA + 0x10000, true) :
                            smmu_tlbi_va(ASID, IOVA + j * 4096, true));
        }
        smmu_rig_sync(r);
        smmu_rig_fill(r, i + 4, 0);
        engine_copy(r, sid, cases[i].bar, IOVA, IOVA + 0x10000);
        g_assert_cmpuint(qtest_readb(r->qts, DATA + (i + 4) * 4096), ==,
                         0x30 + i);
        smmu_rig_fill(r, 9, 0x39);
        expect(r, i ? HOST_DEV1 : HOST_DEV0, IOVA, 0x39);
    }
    smmu_rig_stop(&rig[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/several/two", test_two);
    qtest_add_func("/smmu-nested/several/two-of-one", test_two_of_one);
    qtest_add_func("/smmu-nested/several/error", test_error);
    qtest_add_func("/smmu-nested/several/emulated", test_emulated);
    return g_test_run();
}
