/*
 * Intel VT-d invalidation queue: descriptors and how to drive it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-tables.h"

#define PAGE            4096ULL
#define DESC_ADDR       0xfffffffffffff000ULL

static uint64_t head_of(VtdDescType type, unsigned granularity)
{
    return type | (uint64_t)granularity << 4;
}

VtdDesc vtd_inv_context(unsigned granularity, uint16_t did, uint16_t rid)
{
    return (VtdDesc) { {
        head_of(VTD_DESC_CONTEXT, granularity) | (uint64_t)did << 16 |
        (uint64_t)rid << 32,
    } };
}

VtdDesc vtd_inv_iotlb(unsigned granularity, uint16_t did, uint64_t addr,
                      unsigned order, bool leaf)
{
    return (VtdDesc) { {
        head_of(VTD_DESC_IOTLB, granularity) | (uint64_t)did << 16,
        (addr & DESC_ADDR) | (leaf ? 1 << 6 : 0) | order,
    } };
}

VtdDesc vtd_inv_iec_global(void)
{
    return (VtdDesc) { { VTD_DESC_IEC } };
}

VtdDesc vtd_inv_pasid_cache(unsigned granularity, uint16_t did,
                            uint32_t pasid)
{
    return (VtdDesc) { {
        head_of(VTD_DESC_PASID_CACHE, granularity) | (uint64_t)did << 16 |
        (uint64_t)pasid << 32,
    } };
}

static VtdDesc piotlb(unsigned granularity, uint16_t did, uint32_t pasid,
                      uint64_t low)
{
    return (VtdDesc) { {
        head_of(VTD_DESC_PIOTLB, granularity) | (uint64_t)did << 16 |
        (uint64_t)pasid << 32,
        low,
    } };
}

VtdDesc vtd_inv_piotlb_all(uint16_t did, uint32_t pasid)
{
    return piotlb(VTD_INV_DOMAIN, did, pasid, 0);
}

VtdDesc vtd_inv_piotlb(uint16_t did, uint32_t pasid, uint64_t addr,
                       unsigned order, bool leaf)
{
    return piotlb(VTD_INV_NARROW, did, pasid,
                  (addr & DESC_ADDR) | (leaf ? 1 << 6 : 0) | order);
}

/*
 * Device TLB descriptors tell the size in the address: its lowest clear bit
 * ends a run of ones (PCIe ATS, translation size field).
 */
static uint64_t dev_tlb_addr(uint64_t addr, unsigned order, uint64_t s_bit)
{
    uint64_t run;

    if (!order) {
        return addr & DESC_ADDR;
    }
    run = (1ULL << (MIN(order, 51) - 1)) - 1;
    addr &= ~((2ULL << (MIN(order, 51) + 11)) - 1);
    return addr | run << 12 | s_bit;
}

VtdDesc vtd_inv_dev_tlb(uint16_t rid, uint64_t addr, unsigned order)
{
    return (VtdDesc) { {
        VTD_DESC_DEV_TLB | (uint64_t)rid << 32,
        dev_tlb_addr(addr, order, 1),
    } };
}

VtdDesc vtd_inv_pasid_dev_tlb(uint16_t rid, uint32_t pasid, uint64_t addr,
                              unsigned order)
{
    return (VtdDesc) { {
        VTD_DESC_PASID_DEV_TLB | (uint64_t)rid << 16 | (uint64_t)pasid << 32,
        dev_tlb_addr(addr, order, 1 << 11),
    } };
}

VtdDesc vtd_inv_wait(uint64_t status_gpa, uint32_t status_data)
{
    return (VtdDesc) { {
        VTD_DESC_WAIT | 1 << 5 | (uint64_t)status_data << 32,
        status_gpa & ~3ULL,
    } };
}

VtdDesc vtd_page_response(uint16_t rid, bool with_pasid, uint32_t pasid,
                          uint32_t grpid, unsigned code)
{
    return (VtdDesc) { {
        VTD_DESC_PAGE_RESPONSE | (with_pasid ? 1 << 4 : 0) |
        (uint64_t)code << 12 | (uint64_t)rid << 16 |
        (with_pasid ? (uint64_t)pasid << 32 : 0),
        (uint64_t)grpid << 3,
    } };
}

/* ------------------------------------------------------------------ queue */

static uint64_t queue_bytes(const VtdQueue *q)
{
    return PAGE << q->order;
}

static unsigned desc_bytes(const VtdQueue *q)
{
    return q->wide ? 32 : 16;
}

void vtd_queue_init(VtdQueue *q, IommuMem *mem, unsigned order, bool wide)
{
    *q = (VtdQueue) { .mem = mem, .order = order, .wide = wide };
    q->base = iommu_mem_alloc(mem, queue_bytes(q), queue_bytes(q));
    q->status = iommu_mem_alloc(mem, 64, 64);
}

uint64_t vtd_queue_iqa(const VtdQueue *q)
{
    return q->base | (q->wide ? 1 << 11 : 0) | q->order;
}

void vtd_queue_push(VtdQueue *q, VtdDesc desc)
{
    iommu_mem_write_qwords(q->mem, q->base + q->tail, desc.qw,
                           desc_bytes(q) / 8);
    q->tail = (q->tail + desc_bytes(q)) & (queue_bytes(q) - 1);
}

uint32_t vtd_queue_push_wait(VtdQueue *q)
{
    vtd_queue_push(q, vtd_inv_wait(q->status, ++q->ticket));
    return q->ticket;
}

bool vtd_queue_done(const VtdQueue *q, uint32_t ticket)
{
    return iommu_mem_read32(q->mem, q->status) == ticket;
}

VtdDesc vtd_queue_pop(const VtdQueue *q, uint64_t *head)
{
    VtdDesc desc = { { 0 } };
    unsigned i;

    for (i = 0; i < desc_bytes(q) / 8; i++) {
        desc.qw[i] = iommu_mem_read64(q->mem, q->base + *head + i * 8);
    }
    *head = (*head + desc_bytes(q)) & (queue_bytes(q) - 1);
    return desc;
}

/* ------------------------------------------------------------- registers */

static uint32_t gcmd_base(const IommuRegs *regs)
{
    /* One-shot bits of GSTS read back set but must not be written again */
    return regs->read32(regs->opaque, VTD_REG_GSTS) & 0x96ffffffu;
}

/* As a driver does: then wait until GSTS says so */
static void gcmd_set(const IommuRegs *regs, uint32_t bit)
{
    unsigned tries;

    regs->write32(regs->opaque, VTD_REG_GCMD, gcmd_base(regs) | bit);
    for (tries = 0; tries < 10000; tries++) {
        if (regs->read32(regs->opaque, VTD_REG_GSTS) & bit) {
            break;
        }
        g_usleep(1000);
    }
}

void vtd_enable(const IommuRegs *regs, const VtdTables *t, const VtdQueue *q)
{
    regs->write64(regs->opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(t));
    gcmd_set(regs, VTD_GCMD_SRTP);
    regs->write64(regs->opaque, VTD_REG_IQT, 0);
    regs->write64(regs->opaque, VTD_REG_IQA, vtd_queue_iqa(q));
    gcmd_set(regs, VTD_GCMD_QIE);
    gcmd_set(regs, VTD_GCMD_TE);
}

void vtd_queue_kick(const VtdQueue *q, const IommuRegs *regs)
{
    regs->write64(regs->opaque, VTD_REG_IQT, q->tail);
}

bool vtd_queue_sync(VtdQueue *q, const IommuRegs *regs)
{
    uint32_t ticket = vtd_queue_push_wait(q);
    unsigned tries;

    vtd_queue_kick(q, regs);
    for (tries = 0; tries < 1000; tries++) {
        if (vtd_queue_done(q, ticket)) {
            return true;
        }
        /* FSTS: IQE, ICE, ITE */
        if (regs->read32(regs->opaque, VTD_REG_FSTS) & 0x70) {
            return false;
        }
        g_usleep(1000);
    }
    return false;
}
