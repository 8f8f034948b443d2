/*
 * SVA engine under test: a machine with one, and what drives it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "sva-engine-rig.h"

#define WAIT_US         100
#define WAIT_TRIES      50000       /* 5 s and more: far beyond any need */

/* ------------------------------------------------------------- machines */

void rig_start_q35(Rig *r, const char *iommu, const char *props)
{
    *r = (Rig) {
        .ram = 0,
        .ecam = 0xb0000000,
        .bar0 = 0xe0000000,
        .bar2 = 0xe1000000,
    };
    r->qts = qtest_initf("-M q35 -m 256M -nodefaults %s "
                         "-device sva-engine,bus=pcie.0,addr=4%s%s",
                         iommu, *props ? "," : "", props);
    /* PCIEXBAR of the host bridge: enable, 256 MiB */
    qtest_outl(r->qts, 0xcf8, 0x80000064);
    qtest_outl(r->qts, 0xcfc, 0);
    qtest_outl(r->qts, 0xcf8, 0x80000060);
    qtest_outl(r->qts, 0xcfc, r->ecam | 1);
    rig_enable(r);
}

void rig_start_virt(Rig *r, bool smmu, const char *props)
{
    *r = (Rig) {
        .ram = 0x40000000,
        .ecam = 0x4010000000,
        .bar0 = 0x10000000,
        .bar2 = 0x10100000,
    };
    r->qts = qtest_initf("-M virt%s -cpu max -m 256M -nodefaults "
                         "-device sva-engine,bus=pcie.0,addr=4%s%s",
                         smmu ? ",iommu=smmuv3" : "", *props ? "," : "",
                         props);
    rig_enable(r);
}

void rig_stop(Rig *r)
{
    qtest_quit(r->qts);
}

/* ----------------------------------------------------------------- PCI */

static uint64_t config_addr(Rig *r, unsigned offset)
{
    return r->ecam + (RIG_DEVFN << 12) + offset;
}

uint16_t rig_config_readw(Rig *r, unsigned offset)
{
    return qtest_readw(r->qts, config_addr(r, offset));
}

uint32_t rig_config_readl(Rig *r, unsigned offset)
{
    return qtest_readl(r->qts, config_addr(r, offset));
}

void rig_config_writew(Rig *r, unsigned offset, uint16_t value)
{
    qtest_writew(r->qts, config_addr(r, offset), value);
}

void rig_config_writel(Rig *r, unsigned offset, uint32_t value)
{
    qtest_writel(r->qts, config_addr(r, offset), value);
}

void rig_enable(Rig *r)
{
    rig_config_writel(r, PCI_BASE_ADDRESS_0, r->bar0);
    rig_config_writel(r, PCI_BASE_ADDRESS_2, r->bar2);
    rig_config_writel(r, PCI_BASE_ADDRESS_3, 0);
    rig_config_writew(r, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

unsigned rig_express(Rig *r)
{
    unsigned offset = rig_config_readw(r, PCI_CAPABILITY_LIST) & 0xff;

    while (offset) {
        uint16_t head = rig_config_readw(r, offset);

        if ((head & 0xff) == PCI_CAP_ID_EXP) {
            return offset;
        }
        offset = head >> 8;
    }
    g_assert_not_reached();
}

void rig_flr(Rig *r)
{
    unsigned control = rig_express(r) + PCI_EXP_DEVCTL;

    rig_config_writew(r, control, rig_config_readw(r, control) |
                                  PCI_EXP_DEVCTL_BCR_FLR);
}

/* ------------------------------------------------------------ registers */

uint32_t rig_readl(Rig *r, uint64_t reg)
{
    return qtest_readl(r->qts, r->bar0 + reg);
}

uint64_t rig_readq(Rig *r, uint64_t reg)
{
    return qtest_readq(r->qts, r->bar0 + reg);
}

void rig_writel(Rig *r, uint64_t reg, uint32_t value)
{
    qtest_writel(r->qts, r->bar0 + reg, value);
}

void rig_writeq(Rig *r, uint64_t reg, uint64_t value)
{
    qtest_writeq(r->qts, r->bar0 + reg, value);
}

uint64_t rig_counter(Rig *r, unsigned counter)
{
    return rig_readq(r, SVA_COUNTERS + 8 * counter);
}

void rig_wait_counter(Rig *r, unsigned counter, uint64_t value)
{
    uint64_t now = rig_counter(r, counter);

    for (unsigned i = 0; i < WAIT_TRIES && now != value; i++) {
        g_usleep(WAIT_US);
        now = rig_counter(r, counter);
    }
    g_assert_cmpuint(now, ==, value);
}

void rig_simple_start(Rig *r, uint64_t addr, bool to_device)
{
    rig_writeq(r, SVA_SIMPLE_ADDRESS, addr);
    rig_writel(r, SVA_SIMPLE_COMMAND,
               SVA_COMMAND_RUN | (to_device ? SVA_COMMAND_TO_DEVICE : 0));
}

uint32_t rig_simple_wait(Rig *r)
{
    unsigned tries = 0;

    while (rig_readl(r, SVA_SIMPLE_COMMAND) & SVA_COMMAND_RUN) {
        g_assert_cmpuint(tries++, <, WAIT_TRIES);
        g_usleep(WAIT_US);
    }
    return rig_readl(r, SVA_SIMPLE_RESULT);
}

uint32_t rig_simple(Rig *r, uint64_t addr, bool to_device)
{
    rig_simple_start(r, addr, to_device);
    return rig_simple_wait(r);
}

/* --------------------------------------------------------------- queues */

void rig_queue_init(RigQueue *q, Rig *r, unsigned n, uint32_t pasid,
                    uint64_t ring, uint64_t ring_gpa, unsigned order)
{
    uint64_t base = SVA_QUEUE(n);

    *q = (RigQueue) {
        .rig = r,
        .n = n,
        .ring = ring,
        .ring_gpa = ring_gpa,
        .order = order,
    };
    rig_writel(r, base + SVA_Q_CTRL, 0);
    rig_writel(r, base + SVA_Q_PASID, pasid);
    rig_writel(r, base + SVA_Q_RING_ORDER, order);
    rig_writeq(r, base + SVA_Q_RING_BASE, ring);
    rig_writel(r, base + SVA_Q_CTRL, SVA_Q_CTRL_ENABLE);
}

uint32_t rig_queue_readl(RigQueue *q, unsigned reg)
{
    return rig_readl(q->rig, SVA_QUEUE(q->n) + reg);
}

uint64_t rig_queue_readq(RigQueue *q, unsigned reg)
{
    return rig_readq(q->rig, SVA_QUEUE(q->n) + reg);
}

uint32_t rig_queue_state(RigQueue *q)
{
    return SVA_Q_STATE(rig_queue_readl(q, SVA_Q_STATUS));
}

void rig_push(RigQueue *q, const RigDesc *d)
{
    uint8_t raw[SVA_DESC_SIZE] = { };

    stl_le_p(raw + SVA_DESC_OP, d->op);
    stl_le_p(raw + SVA_DESC_TAG, d->tag);
    stq_le_p(raw + SVA_DESC_SRC, d->src);
    stq_le_p(raw + SVA_DESC_DST, d->dst);
    stq_le_p(raw + SVA_DESC_LEN, d->len);
    stq_le_p(raw + SVA_DESC_PATTERN, d->pattern);
    stq_le_p(raw + SVA_DESC_COMPLETION, d->completion);
    stq_le_p(raw + SVA_DESC_RESERVED + 8, d->reserved);
    qtest_memwrite(q->rig->qts, q->ring_gpa + q->tail * SVA_DESC_SIZE, raw,
                   sizeof(raw));
    q->tail = (q->tail + 1) & ((1u << q->order) - 1);
}

void rig_doorbell(RigQueue *q)
{
    rig_writel(q->rig, SVA_QUEUE(q->n) + SVA_Q_TAIL, q->tail);
}

void rig_wait_state(RigQueue *q, uint32_t state)
{
    uint32_t now = rig_queue_state(q);

    for (unsigned i = 0; i < WAIT_TRIES && now != state; i++) {
        g_usleep(WAIT_US);
        now = rig_queue_state(q);
    }
    g_assert_cmpuint(now, ==, state);
}

void rig_do(RigQueue *q, const RigDesc *d)
{
    rig_push(q, d);
    rig_doorbell(q);
    rig_wait_state(q, SVA_STATE_IDLE);
    g_assert_cmpuint(rig_queue_readl(q, SVA_Q_HEAD), ==, q->tail);
}

RigCompletion rig_completion(Rig *r, uint64_t gpa)
{
    uint8_t raw[SVA_COMP_SIZE];

    qtest_memread(r->qts, gpa, raw, sizeof(raw));
    return (RigCompletion) {
        .code = ldl_le_p(raw + SVA_COMP_CODE),
        .tag = ldl_le_p(raw + SVA_COMP_TAG),
        .done = ldq_le_p(raw + SVA_COMP_DONE),
        .result = ldq_le_p(raw + SVA_COMP_RESULT),
        .address = ldq_le_p(raw + SVA_COMP_ADDRESS),
    };
}

/* --------------------------------------------------------------- memory */

uint8_t rig_scribble_byte(uint32_t seed, size_t i)
{
    return (seed * 2654435761u + i * 40503u + (i >> 8)) >> 7;
}

void rig_scribble(Rig *r, uint64_t gpa, size_t len, uint32_t seed)
{
    g_autofree uint8_t *buf = g_malloc(len);

    for (size_t i = 0; i < len; i++) {
        buf[i] = rig_scribble_byte(seed, i);
    }
    qtest_memwrite(r->qts, gpa, buf, len);
}

bool rig_scribbled(Rig *r, uint64_t gpa, size_t len, uint32_t seed)
{
    g_autofree uint8_t *buf = g_malloc(len);

    qtest_memread(r->qts, gpa, buf, len);
    for (size_t i = 0; i < len; i++) {
        if (buf[i] != rig_scribble_byte(seed, i)) {
            return false;
        }
    }
    return true;
}
