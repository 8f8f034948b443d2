/*
 * intel-iommu as the IOMMU of an emulated host: guests that mean harm
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU must live, and go on without delay.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "nested-rig.h"
#include "nvme-rig.h"
#include "vtd-host.h"

#define IOMMU_BASE      0xfed90000ULL
#define ECAM            0xb0000000ULL
#define ENGINE_BAR      0xe0000000ULL

#define REG_RTADDR      0x20
#define REG_FSTS        0x34
#define REG_PQA         0xd0
#define REG_PQH         0xc0
#define REG_PQT         0xc8
#define FSTS_IQE        (1u << 4)

/* A port with an engine that can be pulled */
#define PORT_RID        0x0030
#define HOT_RID         0x0100
#define HOT_BAR         0xe1000000ULL

#define HOT_OPTIONS     " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off -device pcie-root-port,id=rp0,addr=6," \
                        "chassis=1,slot=1 -device sva-engine,bus=rp0,id=hot"

/* A switch in such a port, with an engine behind */
#define SWITCH_RID      0x0300
#define SWITCH_OPTIONS  " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off -device pcie-root-port,id=rp0,addr=6," \
                        "chassis=1,slot=1 -device x3130-upstream,bus=rp0," \
                        "id=up -device xio3130-downstream,bus=up,id=down," \
                        "chassis=2,slot=2 -device sva-engine,bus=down,id=hot"

static Setup second(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_SECOND, .s2_levels = 4, .s2_shift = 12,
        .s2_flags = VTD_S2_RW,
    };
}

static Setup first(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .s1_shift = 12,
        .s1_flags = VTD_S1_USER_RW,
    };
}

/* ------------------------------------------------------ tables in registers */

/*
 * PQA is a register that any address with R and W can be written to, and so is
 * an entry of a second-stage table.
 */
static void test_table_in_registers(void)
{
    const uint64_t iova = 5 * GIB + (REG_PQA / 8) * 4096ULL;
    Host *h = host_new("", "");
    Setup s = second();
    uint64_t entry;

    s.iova = iova;
    host_start(h, 0);
    host_setup(h, 0, &s);
    host_check_dma(h, iova, DATA_HPA);
    host_write64(h, IOMMU_BASE + REG_PQA, DATA_HPA | VTD_S2_RW);
    g_assert_cmphex(host_read64(h, IOMMU_BASE + REG_PQA), ==,
                    DATA_HPA | VTD_S2_RW);
    entry = vtd_s2_entry(&h->mem, s.s2_root, 4, iova, 2);
    host_write64(h, entry, IOMMU_BASE | VTD_S2_RW);
    host_invalidate_all(h);
    host_check_fault(h, iova, true, 0x78);
    host_check_fault(h, iova, false, 0x78);

    /* Root and leaf of stage 1 */
    s = first();
    host_setup(h, 0, &s);
    host_write64(h, s.s1_root + (DATA_IOVA >> 39) * 8,
                 IOMMU_BASE | VTD_S1_USER_RW);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x70);
    s.s1_root = ENGINE_BAR;
    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x73);
    host_free(h);
}

static void test_entries_in_registers(void)
{
    Host *h = host_new("", "");
    Setup s = second();
    uint64_t context, dir, old;

    host_start(h, 0);
    host_setup(h, 0, &s);
    context = vtd_context_entry(&h->tables, HOST_RID);
    old = host_read64(h, context);
    dir = old & ~0xfffULL;

    /* PASID table, directory, context table, root table */
    host_write64(h, dir, IOMMU_BASE | 1);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x58);
    host_write64(h, context, IOMMU_BASE | (old & 0xfff));
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x50);
    host_write64(h, h->tables.root, IOMMU_BASE | 1);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x40);
    host_write64(h, IOMMU_BASE + REG_RTADDR,
                 IOMMU_BASE | VTD_RTADDR_SCALABLE);
    host_read32(h, IOMMU_BASE + VTD_REG_GSTS);
    h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_TE | VTD_GCMD_QIE |
                    VTD_GCMD_SRTP);
    host_invalidate_all(h);
    host_check_fault(h, DATA_IOVA, true, 0x38);
    host_free(h);
}

/* Root, context entry and page table of legacy mode, each in its turn */
static void test_legacy_in_registers(void)
{
    /* Not accessible: root table, context table, what a context entry names */
    static const unsigned reason[] = { 0x8, 0x9, 0x3 };
    Host *h = host_new("", "");
    uint64_t context, root;
    unsigned i;

    host_start(h, 0);
    for (i = 0; i < ARRAY_SIZE(reason); i++) {
        vtd_tables_init(&h->tables, &h->mem, false);
        root = h->tables.root;
        vtd_context_legacy(&h->tables, HOST_RID, 0,
                           i == 2 ? IOMMU_BASE : vtd_s2_new(&h->mem), 4,
                           HOST_DID);
        context = host_read64(h, root);
        if (i == 0) {
            root = IOMMU_BASE;
        } else if (i == 1) {
            host_write64(h, root, IOMMU_BASE | (context & 0xfff));
        }
        host_write64(h, IOMMU_BASE + REG_RTADDR, root);
        h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_TE |
                        VTD_GCMD_QIE | VTD_GCMD_SRTP);
        host_invalidate_all(h);
        host_check_fault(h, DATA_IOVA, true, reason[i]);
    }
    host_free(h);
}

/* ------------------------------------- the IOMMU writes to its registers */

/* The status of a wait descriptor goes to the tail of the queue it is in */
static void test_wait_to_registers(void)
{
    Host *h = host_new("", "");

    host_start(h, 0);
    vtd_queue_push(&h->queue, vtd_inv_wait(IOMMU_BASE + VTD_REG_IQT, 0));
    vtd_queue_kick(&h->queue, &h->regs);
    g_assert_cmphex(h->regs.read32(h->regs.opaque, REG_FSTS) & FSTS_IQE, ==,
                    FSTS_IQE);
    qtest_system_reset(h->qts);
    host_free(h);
}

/* ------------------------------------------------------------- long queue */

#define LONG_ORDER      6           /* 8192 descriptors */
#define LONG_QUEUE      8000

static unsigned head(Host *h)
{
    return h->regs.read64(h->regs.opaque, VTD_REG_IQH) / 32;
}

static void long_queue(Host *h)
{
    unsigned i;

    vtd_queue_init(&h->queue, &h->mem, LONG_ORDER, true);
    h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_TE);
    vtd_enable(&h->regs, &h->tables, &h->queue);
    for (i = 0; i < LONG_QUEUE; i++) {
        vtd_queue_push(&h->queue, i % 2 ?
                       vtd_inv_context(VTD_INV_GLOBAL, 0, 0) :
                       vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
    }
}

/*
 * One write of the tail is for all of it, and others have their turn meanwhile.
 * While the VM is stopped one turn is all that is done.
 */
static void test_long_queue(void)
{
    Host *h = host_new("", "");
    Setup s = second();
    unsigned first;

    host_start(h, 0);
    host_setup(h, 0, &s);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    long_queue(h);
    qtest_qmp_assert_success(h->qts, "{ 'execute': 'stop' }");
    vtd_queue_kick(&h->queue, &h->regs);
    first = head(h);
    g_assert_cmpuint(first, >, 0);
    g_assert_cmpuint(first, <, LONG_QUEUE / 4);
    /* Ringing again is not a turn more */
    vtd_queue_kick(&h->queue, &h->regs);
    g_usleep(20000);
    g_assert_cmpuint(head(h), ==, first);
    qtest_qmp_assert_success(h->qts, "{ 'execute': 'cont' }");
    host_invalidate_all(h);
    g_assert_cmpuint(head(h), ==, LONG_QUEUE + 6);
    host_check_dma(h, DATA_IOVA, DATA_HPA);

    /* What is put off has an error at the end of it */
    long_queue(h);
    vtd_queue_push(&h->queue, (VtdDesc) { { 0xf } });
    g_assert_false(vtd_queue_sync(&h->queue, &h->regs));
    g_assert_cmpuint(head(h), ==, LONG_QUEUE);
    host_free(h);
}

/* The queue goes away while it is put off */
static void test_long_queue_reset(void)
{
    Host *h = host_new("", "");
    Setup s = second();
    unsigned i;

    for (i = 0; i < 2; i++) {
        host_start(h, 0);
        host_setup(h, 0, &s);
        long_queue(h);
        vtd_queue_kick(&h->queue, &h->regs);
        if (i) {
            h->regs.write32(h->regs.opaque, VTD_REG_GCMD, 0);
        }
        qtest_system_reset(h->qts);
        g_usleep(20000);
        g_assert_cmpuint(head(h), ==, 0);
    }
    host_start(h, 0);
    host_invalidate_all(h);
    host_free(h);
}

/* ----------------------------------------- DMA to the IOMMU's registers */

#define NVME_RID        0x0038
#define NVME_SQ_HPA     0x07200000ULL
#define NVME_CQ_HPA     0x07201000ULL

/* What may be done to registers by DMA */
typedef enum Target {
    BY_DATA, BY_COMPLETIONS, BY_INTERRUPTS, TARGETS
} Target;

static void check_dma_to_registers(bool translating, Target by, uint64_t to)
{
    Host *h = host_new("", " -device nvme,serial=hostile,addr=7");
    NvmeRig nvme = {
        .qts = h->qts, .config = ECAM + NVME_RID * 4096ULL, .bar = 0xe2000000,
        .sq = NVME_SQ_HPA, .cq = NVME_CQ_HPA,
    };
    uint64_t page = to & ~4095ULL;
    Setup s = second();

    host_start(h, 0);
    host_setup(h, 0, &s);
    if (translating) {
        /* One by one, as they are, and the registers */
        vtd_context_scalable(&h->tables, NVME_RID, 20, 0, 0);
        vtd_s2_map(&h->mem, s.s2_root, 4, NVME_SQ_HPA, NVME_SQ_HPA, 8192, 12,
                   VTD_S2_RW);
        vtd_s2_map(&h->mem, s.s2_root, 4, page, page, 4096, 12, VTD_S2_RW);
        vtd_pasid_set(&h->tables, NVME_RID, 0, &(VtdPasidEntry) {
            .pgtt = s.pgtt, .did = HOST_DID, .s2 = s.s2_root, .s2_levels = 4,
        });
        host_invalidate_all(h);
    } else {
        h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE);
    }
    nvme_rig_start(&nvme);
    nvme_rig_identify(&nvme, DATA_HPA, 1);
    g_assert_cmphex(host_read32(h, NVME_CQ_HPA + 12) >> 16, ==, 1);
    if (by == BY_INTERRUPTS) {
        nvme_rig_interrupts(&nvme, to, 0x20);
    } else if (by == BY_COMPLETIONS) {
        nvme.cq = page;
        nvme_rig_start(&nvme);
    }
    nvme_rig_identify(&nvme, by == BY_DATA ? page : NVME_CQ_HPA,
                      NVME_QUEUE * 2);
    qtest_system_reset(h->qts);
    host_start(h, 0);
    host_setup(h, 0, &s);
    qtest_clock_step(h->qts, 1000000);
    host_free(h);
}

/* Two registers of 32 bits at once, wherever they are */
static void test_wide_access(void)
{
    Host *h = host_new("", "");
    uint64_t offset;

    host_start(h, 0);
    for (offset = 0; offset < 4096; offset += 8) {
        host_write64(h, IOMMU_BASE + offset, 0);
        host_read64(h, IOMMU_BASE + offset);
        host_write64(h, IOMMU_BASE + offset, UINT64_MAX);
        host_read64(h, IOMMU_BASE + offset);
    }
    qtest_system_reset(h->qts);
    /* FECTL.IM, and FEDATA */
    host_write64(h, IOMMU_BASE + 0x38, 0x123480000000ULL);
    g_assert_cmphex(host_read32(h, IOMMU_BASE + 0x38) >> 31, ==, 1);
    g_assert_cmphex(host_read32(h, IOMMU_BASE + 0x3c), ==, 0x1234);
    host_free(h);
}

/* The IOMMU's, the engine's, and the controller's own */
static void test_dma_to_registers(void)
{
    static const uint64_t to[] = {
        IOMMU_BASE + VTD_REG_IQT, ENGINE_BAR + SVA_CTRL, 0xe2001000ULL,
        ECAM + NVME_RID * 4096ULL + PCI_COMMAND,
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(to) * TARGETS; i++) {
        check_dma_to_registers(false, i % TARGETS, to[i / TARGETS]);
        check_dma_to_registers(true, i % TARGETS, to[i / TARGETS]);
    }
}

static void bridge_enable(Host *h, uint16_t rid, unsigned bus, unsigned last)
{
    uint64_t bridge = ECAM + rid * 4096ULL;

    qtest_writel(h->qts, bridge + PCI_PRIMARY_BUS,
                 last << 16 | bus << 8 | rid >> 8);
    qtest_writel(h->qts, bridge + PCI_MEMORY_BASE, 0xe100e100);
    qtest_writew(h->qts, bridge + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* The engine's registers, one by one, from where it is at HOT_BAR */
static void endpoint_enable(Host *h, uint16_t rid)
{
    uint64_t dev = ECAM + rid * 4096ULL;

    qtest_writel(h->qts, dev + PCI_BASE_ADDRESS_0, HOT_BAR);
    qtest_writew(h->qts, dev + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    qtest_writew(h->qts, dev + 0x100 + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    qtest_writel(h->qts, dev + 0x120 + PCI_PRI_ALLOC_REQ, 32);
    qtest_writew(h->qts, dev + 0x120 + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

static void hot_enable(Host *h)
{
    bridge_enable(h, PORT_RID, 1, 1);
    nested_rig_power(h->qts, ECAM, PORT_RID);
    endpoint_enable(h, HOT_RID);
}

static void hot_simple(Host *h, uint64_t va)
{
    qtest_writeq(h->qts, HOT_BAR + SVA_SIMPLE_ADDRESS, va);
    qtest_writel(h->qts, HOT_BAR + SVA_SIMPLE_COMMAND, SVA_COMMAND_RUN);
}

static Host *start_hot(Setup *s)
{
    Host *h = host_new("", HOT_OPTIONS);

    host_start(h, VTD_CTX_DTE | VTD_CTX_PRE);
    vtd_context_scalable(&h->tables, HOT_RID, 20, VTD_CTX_DTE | VTD_CTX_PRE,
                         0);
    host_build(h, s);
    vtd_pasid_set(&h->tables, HOT_RID, 0, &(VtdPasidEntry) {
        .pgtt = s->pgtt, .did = HOST_DID, .s1 = s->s1_root,
        .s1_levels = s->s1_levels, .s2 = s->s2_root, .s2_levels = s->s2_levels,
    });
    host_invalidate_all(h);
    hot_enable(h);
    return h;
}

static void wait_request(Host *h)
{
    unsigned tries;

    for (tries = 0; tries < 1000 &&
         !h->regs.read64(h->regs.opaque, REG_PQT); tries++) {
        qtest_clock_step(h->qts, 1000000);
    }
    g_assert_cmphex(h->regs.read64(h->regs.opaque, REG_PQT), !=, 0);
}

/* The page request queue is where the invalidation queue's registers are */
static void test_requests_to_registers(void)
{
    Setup s = first();
    Host *h = start_hot(&s);
    unsigned i;

    h->regs.write64(h->regs.opaque, REG_PQA, IOMMU_BASE);
    for (i = 0; i < 4096; i += 32) {
        h->regs.write64(h->regs.opaque, REG_PQT, i);
        h->regs.write64(h->regs.opaque, REG_PQH, (i - 32) & 4095);
        hot_simple(h, DATA_IOVA + 0x1000 + i * 4096);
        qtest_clock_step(h->qts, 1000000);
        qtest_writel(h->qts, HOT_BAR + SVA_CTRL, SVA_CTRL_RESET);
    }
    qtest_system_reset(h->qts);
    host_free(h);
}

/* -------------------------------------------------------- unplug and reset */

/* A device is gone while its page request is out: answers find nobody */
static void test_unplug(void)
{
    Setup s = first();
    Host *h = start_hot(&s);

    hot_simple(h, DATA_IOVA);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(qtest_readl(h->qts, HOT_BAR + SVA_SIMPLE_RESULT), ==,
                    SVA_CODE_OK);
    hot_simple(h, DATA_IOVA + 0x3000);
    wait_request(h);
    nested_rig_unplug(h->qts, ECAM, PORT_RID, "hot");
    host_invalidate(h, vtd_page_response(HOT_RID, false, 0, 0,
                                         VTD_PRG_SUCCESS));
    host_invalidate(h, vtd_inv_dev_tlb(HOT_RID, 0, 52));
    host_invalidate(h, vtd_inv_pasid_dev_tlb(HOT_RID, 1, 0, 52));
    host_invalidate_all(h);

    /* What was there before is no matter to the next one */
    qtest_qmp_device_add(h->qts, "sva-engine", "again", "{'bus': 'rp0'}");
    hot_enable(h);
    hot_simple(h, DATA_IOVA);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(qtest_readl(h->qts, HOT_BAR + SVA_SIMPLE_RESULT), ==,
                    SVA_CODE_OK);
    host_free(h);
}

/* Each PASID that an endpoint is used with takes memory while it is used */
static void test_many_pasids(void)
{
    const uint64_t pri = ECAM + HOST_RID * 4096ULL + 0x120;
    Host *h = host_new("", ",pasid-bits=20");
    g_autofree char *tree = NULL;
    unsigned n = 0, i;
    char *at;

    host_start(h, VTD_CTX_DTE | VTD_CTX_PRE | VTD_CTX_PASIDE);
    host_invalidate_all(h);
    host_enable_sva(h);
    qtest_writew(h->qts, pri + PCI_PRI_CTRL, 0);
    for (i = 0; i < 300; i++) {
        if (i == 150) {
            /* No less so without DMA remapping */
            h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE);
        }
        engine_start(h, i * 977 + 1, DATA_IOVA);
        engine_fill(h, RING_HPA, DATA_IOVA, 8, 0, DATA_IOVA);
        while (qtest_readl(h->qts, ENGINE_BAR + SVA_QUEUE(0) + SVA_Q_STATUS) ==
               SVA_STATE_WORKING) {
            qtest_clock_step(h->qts, 1000000);
        }
    }
    tree = qtest_hmp(h->qts, "info mtree");
    for (at = tree; (at = strstr(at, "-pasid-")); at++) {
        n++;
    }
    g_assert_cmpuint(n, <, 10);
    host_free(h);
}

/* Reset of all, and of the function, with requests and DMA under way */
static void test_reset(void)
{
    Setup s = first();
    Host *h = start_hot(&s);

    hot_simple(h, DATA_IOVA + 0x3000);
    wait_request(h);
    qtest_system_reset(h->qts);
    qtest_clock_step(h->qts, 1000000);
    host_free(h);

    h = start_hot(&s);
    hot_simple(h, DATA_IOVA + 0x3000);
    wait_request(h);
    /* The bus goes from under it */
    qtest_writel(h->qts, ECAM + PORT_RID * 4096ULL + PCI_PRIMARY_BUS,
                 0x00050500);
    host_invalidate(h, vtd_page_response(HOT_RID, false, 0, 0,
                                         VTD_PRG_SUCCESS));
    host_invalidate(h, vtd_page_response(0x500, false, 0, 0,
                                         VTD_PRG_SUCCESS));
    qtest_writew(h->qts, ECAM + PORT_RID * 4096ULL + PCI_BRIDGE_CONTROL,
                 PCI_BRIDGE_CTL_BUS_RESET);
    qtest_writew(h->qts, ECAM + PORT_RID * 4096ULL + PCI_BRIDGE_CONTROL, 0);
    qtest_clock_step(h->qts, 1000000);
    host_invalidate(h, vtd_inv_dev_tlb(0x500, 0, 52));
    host_free(h);
}

/*
 * A port is gone, with its bus and the endpoint on that: what the IOMMU knows
 * by the bus goes with it
 */
static void test_unplug_switch(void)
{
    Setup s = first();
    Host *h = host_new("", SWITCH_OPTIONS);
    unsigned i;

    host_start(h, VTD_CTX_DTE | VTD_CTX_PRE);
    host_build(h, &s);
    host_set_pasid(h, 0, &s);
    vtd_context_scalable(&h->tables, SWITCH_RID, 20, VTD_CTX_DTE | VTD_CTX_PRE,
                         0);
    vtd_pasid_set(&h->tables, SWITCH_RID, 0, &(VtdPasidEntry) {
        .pgtt = s.pgtt, .did = HOST_DID, .s1 = s.s1_root,
        .s1_levels = s.s1_levels,
    });
    host_invalidate_all(h);
    bridge_enable(h, PORT_RID, 1, 3);
    nested_rig_power(h->qts, ECAM, PORT_RID);
    bridge_enable(h, 0x100, 2, 3);
    bridge_enable(h, 0x200, 3, 3);
    endpoint_enable(h, SWITCH_RID);
    hot_simple(h, DATA_IOVA);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(qtest_readl(h->qts, HOT_BAR + SVA_SIMPLE_RESULT), ==,
                    SVA_CODE_OK);
    hot_simple(h, DATA_IOVA + 0x3000);
    wait_request(h);
    nested_rig_unplug(h->qts, ECAM, PORT_RID, "up");

    for (i = 0; i < 3; i++) {
        host_invalidate(h, vtd_page_response(SWITCH_RID, false, 0, 0,
                                             VTD_PRG_SUCCESS));
        host_invalidate(h, vtd_inv_dev_tlb(SWITCH_RID, 0, 52));
        host_invalidate(h, vtd_inv_pasid_dev_tlb(SWITCH_RID, 1, 0, 52));
        host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, HOST_DID,
                                           SWITCH_RID));
        host_invalidate_all(h);
        h->regs.write32(h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE);
        h->regs.write32(h->regs.opaque, VTD_REG_GCMD,
                        VTD_GCMD_QIE | VTD_GCMD_TE);
        host_check_dma(h, DATA_IOVA, DATA_HPA);
    }
    qtest_system_reset(h->qts);
    host_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-twostage/hostile/table-in-registers",
                   test_table_in_registers);
    qtest_add_func("/vtd-twostage/hostile/entries-in-registers",
                   test_entries_in_registers);
    qtest_add_func("/vtd-twostage/hostile/legacy-in-registers",
                   test_legacy_in_registers);
    qtest_add_func("/vtd-twostage/hostile/wait-to-registers",
                   test_wait_to_registers);
    qtest_add_func("/vtd-twostage/hostile/long-queue", test_long_queue);
    qtest_add_func("/vtd-twostage/hostile/long-queue-reset",
                   test_long_queue_reset);
    qtest_add_func("/vtd-twostage/hostile/wide-access", test_wide_access);
    qtest_add_func("/vtd-twostage/hostile/dma-to-registers",
                   test_dma_to_registers);
    qtest_add_func("/vtd-twostage/hostile/requests-to-registers",
                   test_requests_to_registers);
    qtest_add_func("/vtd-twostage/hostile/unplug", test_unplug);
    qtest_add_func("/vtd-twostage/hostile/unplug-switch", test_unplug_switch);
    qtest_add_func("/vtd-twostage/hostile/many-pasids", test_many_pasids);
    qtest_add_func("/vtd-twostage/hostile/reset", test_reset);
    return g_test_run();
}
