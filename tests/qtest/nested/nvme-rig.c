/*
 * An NVMe controller, whose DMA goes wherever the guest says
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "nvme-rig.h"

#define CC              0x14
#define CC_ENABLED      (4 << 20 | 6 << 16 | 1)
#define CSTS            0x1c
#define AQA             0x24
#define ASQ             0x28
#define ACQ             0x30
#define DOORBELL        0x1000
#define MSIX_TABLE      0x2000

#define IDENTIFY        6
#define STEP_NS         1000000

void nvme_rig_start(const NvmeRig *n)
{
    unsigned tries;

    qtest_writel(n->qts, n->config + PCI_BASE_ADDRESS_0, n->bar);
    qtest_writel(n->qts, n->config + PCI_BASE_ADDRESS_0 + 4, 0);
    qtest_writew(n->qts, n->config + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    qtest_writel(n->qts, n->bar + CC, 0);
    qtest_writel(n->qts, n->bar + AQA, (NVME_QUEUE - 1) << 16 |
                                       (NVME_QUEUE - 1));
    qtest_writeq(n->qts, n->bar + ASQ, n->sq);
    qtest_writeq(n->qts, n->bar + ACQ, n->cq);
    qtest_writel(n->qts, n->bar + CC, CC_ENABLED);
    for (tries = 0; tries < 1000 &&
         !(qtest_readl(n->qts, n->bar + CSTS) & 1); tries++) {
        qtest_clock_step(n->qts, STEP_NS);
    }
    g_assert_cmphex(qtest_readl(n->qts, n->bar + CSTS) & 1, ==, 1);
}

void nvme_rig_identify(const NvmeRig *n, uint64_t where, unsigned times)
{
    const uint64_t command[8] = {
        [0] = cpu_to_le64(IDENTIFY), [3] = cpu_to_le64(where),
        [5] = cpu_to_le64(1),
    };

    for (unsigned i = 0; i < times; i++) {
        qtest_memwrite(n->qts, n->sq + i % NVME_QUEUE * sizeof(command),
                       command, sizeof(command));
        qtest_writel(n->qts, n->bar + DOORBELL, (i + 1) % NVME_QUEUE);
        qtest_clock_step(n->qts, STEP_NS);
        qtest_writel(n->qts, n->bar + DOORBELL + 4, (i + 1) % NVME_QUEUE);
    }
}

void nvme_rig_interrupts(const NvmeRig *n, uint64_t addr, uint32_t data)
{
    unsigned cap = qtest_readb(n->qts, n->config + PCI_CAPABILITY_LIST);

    while (qtest_readb(n->qts, n->config + cap) != PCI_CAP_ID_MSIX) {
        cap = qtest_readb(n->qts, n->config + cap + 1);
        g_assert_cmphex(cap, !=, 0);
    }
    g_assert_cmphex(qtest_readl(n->qts, n->config + cap + PCI_MSIX_TABLE), ==,
                    MSIX_TABLE);
    qtest_writel(n->qts, n->bar + MSIX_TABLE + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qtest_writel(n->qts, n->bar + MSIX_TABLE + PCI_MSIX_ENTRY_UPPER_ADDR,
                 addr >> 32);
    qtest_writel(n->qts, n->bar + MSIX_TABLE + PCI_MSIX_ENTRY_DATA, data);
    qtest_writel(n->qts, n->bar + MSIX_TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    qtest_writew(n->qts, n->config + cap + PCI_MSIX_FLAGS,
                 PCI_MSIX_FLAGS_ENABLE);
}
