/*
 * An emulated host with a nesting intel-iommu and an sva-engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "vtd-host.h"

#define IOMMU_BASE      0xfed90000ULL
#define ECAM_BASE       0xb0000000ULL
#define BAR0            0xe0000000ULL
#define TABLE_ARENA     0x01000000ULL

#define REG_FSTS        0x34
#define REG_PQH         0xc0
#define REG_PQT         0xc8
#define REG_PQA         0xd0
#define REG_FRCD        0x220
#define FRCD_F          (1u << 31)
#define FSTS_PFO        1

#define PAGE            4096
#define POLL_MAX        2000

static void mem_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
    Host *h = opaque;

    qtest_memread(h->qts, addr, buf, len);
}

static void mem_write(void *opaque, uint64_t addr, const void *buf, size_t len)
{
    Host *h = opaque;

    qtest_memwrite(h->qts, addr, buf, len);
}

static void s1_read(void *opaque, uint64_t addr, void *buf, size_t len)
{
    mem_read(opaque, addr - S1_OFFSET, buf, len);
}

static void s1_write(void *opaque, uint64_t addr, const void *buf, size_t len)
{
    mem_write(opaque, addr - S1_OFFSET, buf, len);
}

static uint32_t reg_read32(void *opaque, uint64_t offset)
{
    return qtest_readl(((Host *)opaque)->qts, IOMMU_BASE + offset);
}

static uint64_t reg_read64(void *opaque, uint64_t offset)
{
    return qtest_readq(((Host *)opaque)->qts, IOMMU_BASE + offset);
}

static void reg_write32(void *opaque, uint64_t offset, uint32_t value)
{
    qtest_writel(((Host *)opaque)->qts, IOMMU_BASE + offset, value);
}

static void reg_write64(void *opaque, uint64_t offset, uint64_t value)
{
    qtest_writeq(((Host *)opaque)->qts, IOMMU_BASE + offset, value);
}

uint32_t host_read32(Host *h, uint64_t addr)
{
    return iommu_mem_read32(&h->mem, addr);
}

uint64_t host_read64(Host *h, uint64_t addr)
{
    return iommu_mem_read64(&h->mem, addr);
}

void host_write64(Host *h, uint64_t addr, uint64_t val)
{
    iommu_mem_write64(&h->mem, addr, val);
}

static uint64_t config(uint16_t rid, unsigned offset)
{
    return ECAM_BASE + (uint64_t)rid * PAGE + offset;
}

Host *host_new(const char *iommu, const char *engine)
{
    Host *h = g_new0(Host, 1);

    h->qts = qtest_initf("-M q35 -m 256 -nodefaults -display none "
                         "-device intel-iommu,x-scalable-mode=on,"
                         "host-nesting=on,x-pasid-mode=on,device-iotlb=on,"
                         "intremap=on%s "
                         "-device sva-engine,addr=5%s", iommu, engine);
    h->mem = (IommuMem) {
        .read = mem_read, .write = mem_write, .opaque = h,
        .next = TABLE_ARENA, .end = S1_ARENA,
    };
    h->s1_mem = (IommuMem) {
        .read = s1_read, .write = s1_write, .opaque = h,
        .next = S1_OFFSET + S1_ARENA,
        .end = S1_OFFSET + S1_ARENA + S1_ARENA_SIZE,
    };
    h->regs = (IommuRegs) {
        .read32 = reg_read32, .read64 = reg_read64,
        .write32 = reg_write32, .write64 = reg_write64, .opaque = h,
    };

    /* PCIEXBAR of the host bridge */
    qtest_outl(h->qts, 0xcf8, 0x80000064);
    qtest_outl(h->qts, 0xcfc, 0);
    qtest_outl(h->qts, 0xcf8, 0x80000060);
    qtest_outl(h->qts, 0xcfc, ECAM_BASE | 1);

    g_assert_cmphex(qtest_readl(h->qts, config(HOST_RID, 0)), ==,
                    SVA_PCI_DEVICE_ID << 16 | SVA_PCI_VENDOR_ID);
    qtest_writel(h->qts, config(HOST_RID, PCI_BASE_ADDRESS_0), BAR0);
    qtest_writew(h->qts, config(HOST_RID, PCI_COMMAND),
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return h;
}

void host_free(Host *h)
{
    qtest_quit(h->qts);
    g_free(h);
}

void host_start(Host *h, uint64_t context_flags)
{
    vtd_tables_init(&h->tables, &h->mem, true);
    vtd_context_scalable(&h->tables, HOST_RID, 20, context_flags, 0);
    vtd_queue_init(&h->queue, &h->mem, 0, true);
    vtd_enable(&h->regs, &h->tables, &h->queue);

    /* 128 page requests */
    reg_write64(h, REG_PQH, 0);
    reg_write64(h, REG_PQT, 0);
    reg_write64(h, REG_PQA, PRQ_BASE);

    vtd_pasid_entry(&h->tables, HOST_RID, 0);
    h->mark = h->mem.next;
    h->s1_mark = h->s1_mem.next;
}

void host_recycle(Host *h)
{
    h->mem.next = h->mark;
    h->s1_mem.next = h->s1_mark;
}

static unsigned ext_cap(Host *h, uint16_t id)
{
    unsigned pos = 0x100;
    uint32_t header;

    while (pos) {
        header = qtest_readl(h->qts, config(HOST_RID, pos));
        if ((header & 0xffff) == id) {
            return pos;
        }
        pos = header >> 20;
    }
    g_assert_not_reached();
}

void host_enable_sva(Host *h)
{
    /* Linux's order: PASID, ATS, page requests */
    qtest_writew(h->qts, config(HOST_RID, ext_cap(h, PCI_EXT_CAP_ID_PASID) +
                                PCI_PASID_CTRL), PCI_PASID_CTRL_ENABLE);
    qtest_writew(h->qts, config(HOST_RID, ext_cap(h, PCI_EXT_CAP_ID_ATS) +
                                PCI_ATS_CTRL), PCI_ATS_CTRL_ENABLE);
    qtest_writel(h->qts, config(HOST_RID, ext_cap(h, PCI_EXT_CAP_ID_PRI) +
                                PCI_PRI_ALLOC_REQ), 32);
    qtest_writew(h->qts, config(HOST_RID, ext_cap(h, PCI_EXT_CAP_ID_PRI) +
                                PCI_PRI_CTRL), PCI_PRI_CTRL_ENABLE);
}

const IommuMem *host_s1_mem(Host *h, const Setup *s)
{
    return s->pgtt == VTD_PGTT_NESTED ? &h->s1_mem : &h->mem;
}

static uint64_t align_down(uint64_t addr, unsigned shift)
{
    return addr & ~((1ULL << shift) - 1);
}

void host_build(Host *h, Setup *s)
{
    bool s1 = s->pgtt == VTD_PGTT_FIRST || s->pgtt == VTD_PGTT_NESTED;
    bool s2 = s->pgtt == VTD_PGTT_SECOND || s->pgtt == VTD_PGTT_NESTED;
    IommuMem *s1_mem = s->pgtt == VTD_PGTT_NESTED ? &h->s1_mem : &h->mem;
    uint64_t gpa = s->gpa ?: DATA_GPA, hpa = s->hpa ?: DATA_HPA;
    uint64_t iova = s->iova ?: DATA_IOVA;

    if (s1) {
        s->s1_root = vtd_s1_new(s1_mem);
        vtd_s1_map(s1_mem, s->s1_root, s->s1_levels,
                   align_down(iova, s->s1_shift),
                   align_down(s2 ? gpa : hpa, s->s1_shift),
                   1ULL << s->s1_shift, s->s1_shift, s->s1_flags);
    }
    if (s2) {
        s->s2_root = vtd_s2_new(&h->mem);
        vtd_s2_map(&h->mem, s->s2_root, s->s2_levels,
                   align_down(s1 ? gpa : iova, s->s2_shift),
                   align_down(hpa, s->s2_shift), 1ULL << s->s2_shift,
                   s->s2_shift, s->s2_flags);
    }
    if (s1 && s2) {
        vtd_s2_map(&h->mem, s->s2_root, s->s2_levels, S1_OFFSET + S1_ARENA,
                   S1_ARENA, S1_ARENA_SIZE, 12, VTD_S2_RW);
    }
}

void host_set_pasid(Host *h, uint32_t pasid, const Setup *s)
{
    VtdPasidEntry pe = {
        .pgtt = s->pgtt, .did = s->did ?: HOST_DID,
        .s1 = s->s1_root, .s1_levels = s->s1_levels,
        .s2 = s->s2_root, .s2_levels = s->s2_levels,
        .eafe = s->eafe, .sre = s->sre,
    };
    uint64_t slot;

    vtd_pasid_set(&h->tables, HOST_RID, pasid, &pe);
    if (s->ssade) {
        slot = vtd_pasid_entry(&h->tables, HOST_RID, pasid);
        host_write64(h, slot, host_read64(h, slot) | VTD_PASID_SSADE);
    }
}

void host_setup(Host *h, uint32_t pasid, Setup *s)
{
    host_build(h, s);
    host_set_pasid(h, pasid, s);
    host_invalidate_all(h);
}

void host_invalidate(Host *h, VtdDesc desc)
{
    vtd_queue_push(&h->queue, desc);
    g_assert_true(vtd_queue_sync(&h->queue, &h->regs));
}

void host_invalidate_all(Host *h)
{
    host_invalidate(h, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    host_invalidate(h, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
}

unsigned host_take_fault(Host *h, uint64_t *lo, uint64_t *hi)
{
    uint64_t low = reg_read64(h, REG_FRCD), high = reg_read64(h, REG_FRCD + 8);

    if (!(high >> 32 & FRCD_F)) {
        return 0;
    }
    reg_write32(h, REG_FRCD + 12, FRCD_F);
    reg_write32(h, REG_FSTS, FSTS_PFO);
    if (lo) {
        *lo = low;
        *hi = high;
    }
    return high >> 32 & 0xff;
}

uint64_t engine_counter(Host *h, unsigned counter)
{
    return qtest_readq(h->qts, BAR0 + SVA_COUNTERS + counter * 8);
}

/* -------------------------------------------------------- simple block */

uint32_t host_dma(Host *h, uint64_t iova, bool write)
{
    uint32_t result;
    unsigned i;

    qtest_writeq(h->qts, BAR0 + SVA_SIMPLE_ADDRESS, iova);
    qtest_writel(h->qts, BAR0 + SVA_SIMPLE_COMMAND,
                 SVA_COMMAND_RUN | (write ? 0 : SVA_COMMAND_TO_DEVICE));
    for (i = 0; i < POLL_MAX; i++) {
        result = qtest_readl(h->qts, BAR0 + SVA_SIMPLE_RESULT);
        if (result) {
            return result;
        }
        qtest_clock_step(h->qts, 1000000);
    }
    return 0;
}

void host_check_dma(Host *h, uint64_t iova, uint64_t hpa)
{
    static uint8_t seed;
    g_autofree uint8_t *out = g_malloc(PAGE), *in = g_malloc(PAGE);
    unsigned i;

    for (i = 0; i < PAGE; i++) {
        out[i] = i * 7 + seed;
    }
    seed++;

    /* memory → buffer → memory; wiped in between */
    qtest_memwrite(h->qts, hpa, out, PAGE);
    g_assert_cmphex(host_dma(h, iova, false), ==, SVA_CODE_OK);
    qtest_memset(h->qts, hpa, 0, PAGE);
    g_assert_cmphex(host_dma(h, iova, true), ==, SVA_CODE_OK);
    qtest_memread(h->qts, hpa, in, PAGE);
    g_assert_cmpmem(in, PAGE, out, PAGE);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
}

void host_check_fault(Host *h, uint64_t iova, bool write, unsigned reason)
{
    uint64_t lo, hi;

    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    host_write64(h, DATA_HPA, 0x5a5a5a5a5a5a5a5aULL);
    g_assert_cmphex(host_dma(h, iova, write), !=, SVA_CODE_OK);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, reason);
    g_assert_cmphex(hi & 0xffff, ==, HOST_RID);
    g_assert_cmphex(hi >> 62 & 1, ==, !write);
    g_assert_cmphex(hi >> 31 & 1, ==, 0);
    g_assert_cmphex(lo, ==, iova & ~0xfffULL);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 0x5a5a5a5a5a5a5a5aULL);
}

/* -------------------------------------------------------------- queue 0 */

#define RING_ORDER      4

static uint64_t queue_reg(unsigned reg)
{
    return BAR0 + SVA_QUEUE(0) + reg;
}

void engine_start(Host *h, uint32_t pasid, uint64_t ring)
{
    qtest_writel(h->qts, queue_reg(SVA_Q_CTRL), SVA_Q_CTRL_RESET);
    qtest_writel(h->qts, queue_reg(SVA_Q_PASID),
                 pasid == UINT32_MAX ? 0 : SVA_Q_PASID_VALID | pasid);
    qtest_writel(h->qts, queue_reg(SVA_Q_RING_ORDER), RING_ORDER);
    qtest_writeq(h->qts, queue_reg(SVA_Q_RING_BASE), ring);
    qtest_writel(h->qts, queue_reg(SVA_Q_VECTOR), SVA_Q_VECTOR_NONE);
    qtest_writel(h->qts, queue_reg(SVA_Q_CTRL), SVA_Q_CTRL_ENABLE);
    h->ring_tail = 0;
}

void engine_submit(Host *h, uint64_t ring_hpa, const uint64_t *desc)
{
    iommu_mem_write_qwords(&h->mem, ring_hpa + h->ring_tail * SVA_DESC_SIZE,
                           desc, SVA_DESC_SIZE / 8);
    h->ring_tail = (h->ring_tail + 1) & ((1 << RING_ORDER) - 1);
    qtest_writel(h->qts, queue_reg(SVA_Q_TAIL), h->ring_tail);
}

void engine_fill(Host *h, uint64_t ring_hpa, uint64_t dst, uint64_t len,
                 uint64_t pattern, uint64_t completion)
{
    const uint64_t desc[SVA_DESC_SIZE / 8] = {
        [SVA_DESC_OP / 8] = SVA_OP_FILL,
        [SVA_DESC_DST / 8] = dst,
        [SVA_DESC_LEN / 8] = len,
        [SVA_DESC_PATTERN / 8] = pattern,
        [SVA_DESC_COMPLETION / 8] = completion,
    };

    engine_submit(h, ring_hpa, desc);
}

uint32_t engine_wait(Host *h, uint64_t completion_hpa)
{
    uint32_t code;
    unsigned i;

    for (i = 0; i < POLL_MAX; i++) {
        code = host_read32(h, completion_hpa + SVA_COMP_CODE);
        if (code) {
            return code;
        }
        qtest_clock_step(h->qts, 1000000);
    }
    return 0;
}
