/*
 * Arm SMMUv3 structures in guest memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmuv3-tables.h"

#define STE_BYTES       64ULL
#define CD_BYTES        64ULL

/* --------------------------------------------------------------- stage 1 */

unsigned smmu_s1_start(const SmmuS1 *s1)
{
    unsigned stride = s1->granule - 3;

    return 4 - DIV_ROUND_UP(s1->va_bits - s1->granule, stride);
}

unsigned smmu_s1_shift(const SmmuS1 *s1, unsigned level)
{
    return s1->granule + (s1->granule - 3) * (3 - level);
}

void smmu_s1_init(SmmuS1 *s1, IommuMem *mem, unsigned granule,
                  unsigned va_bits)
{
    *s1 = (SmmuS1) {
        .mem = mem,
        .root = iommu_mem_alloc(mem, 1ULL << granule, 1ULL << granule),
        .granule = granule,
        .va_bits = va_bits,
    };
}

/* Output address; a 64 KiB granule keeps bits 51:48 in 15:12 */
static uint64_t pte_addr(const SmmuS1 *s1, uint64_t pte)
{
    uint64_t addr = pte & SMMU_PTE_ADDR & ~((1ULL << s1->granule) - 1);

    if (s1->granule == 16) {
        addr |= (pte & 0xf000) << 36;
    }
    return addr;
}

static uint64_t pte_make(const SmmuS1 *s1, uint64_t addr)
{
    return (addr & SMMU_PTE_ADDR) |
           (s1->granule == 16 ? (addr >> 36) & 0xf000 : 0);
}

/* The low two bits: 1 block, 3 table or page */
static unsigned leaf_type(unsigned level)
{
    return level == 3 ? 3 : 1;
}

uint64_t smmu_s1_entry(const SmmuS1 *s1, uint64_t iova, unsigned stop,
                       unsigned *level)
{
    uint64_t table = s1->root;
    unsigned l;

    for (l = smmu_s1_start(s1); ; l++) {
        uint64_t mask = (1ULL << (s1->granule - 3)) - 1;
        uint64_t slot = table + ((iova >> smmu_s1_shift(s1, l)) & mask) * 8;
        uint64_t pte = iommu_mem_read64(s1->mem, slot);

        if (l == stop || (pte & 3) != 3) {
            *level = l;
            return slot;
        }
        table = pte_addr(s1, pte);
    }
}

static void map_one(SmmuS1 *s1, uint64_t iova, uint64_t gpa, unsigned leaf,
                    uint64_t flags)
{
    uint64_t slot, table;
    unsigned level;

    for (;;) {
        slot = smmu_s1_entry(s1, iova, leaf, &level);
        if (level == leaf) {
            break;
        }
        table = iommu_mem_alloc(s1->mem, 1ULL << s1->granule,
                                1ULL << s1->granule);
        iommu_mem_write64(s1->mem, slot, pte_make(s1, table) | 3);
    }
    iommu_mem_write64(s1->mem, slot,
                      pte_make(s1, gpa) | flags | leaf_type(leaf));
}

void smmu_s1_map(SmmuS1 *s1, uint64_t iova, uint64_t gpa, uint64_t len,
                 unsigned shift, uint64_t flags)
{
    unsigned leaf = 3 - (shift - s1->granule) / (s1->granule - 3);
    uint64_t off;

    for (off = 0; off < len; off += 1ULL << shift) {
        map_one(s1, iova + off, gpa + off, leaf, flags);
    }
}

void smmu_s1_unmap(SmmuS1 *s1, uint64_t iova, uint64_t len)
{
    uint64_t end = iova + len;

    while (iova < end) {
        unsigned level;
        uint64_t slot = smmu_s1_entry(s1, iova, 3, &level);
        uint64_t step = 1ULL << smmu_s1_shift(s1, level);

        iommu_mem_write64(s1->mem, slot, 0);
        iova = (iova & ~(step - 1)) + step;
    }
}

void smmu_s1_set_flags(SmmuS1 *s1, uint64_t iova, uint64_t flags)
{
    unsigned level;
    uint64_t slot = smmu_s1_entry(s1, iova, 3, &level);
    uint64_t addr = pte_addr(s1, iommu_mem_read64(s1->mem, slot));

    iommu_mem_write64(s1->mem, slot,
                      pte_make(s1, addr) | flags | leaf_type(level));
}

/* ---------------------------------------------------- context descriptors */

static unsigned leaf_bits(SmmuS1Fmt fmt)
{
    return fmt == SMMU_S1FMT_4K_L2 ? 6 : 10;
}

void smmu_cdtab_init(SmmuCdTable *t, IommuMem *mem, SmmuS1Fmt fmt,
                     unsigned bits)
{
    uint64_t size = CD_BYTES << bits;

    if (fmt != SMMU_S1FMT_LINEAR) {
        /* Level 1: 8 bytes for each leaf table */
        size = bits > leaf_bits(fmt) ? 8ULL << (bits - leaf_bits(fmt)) : 64;
    }
    size = MAX(size, 64);
    *t = (SmmuCdTable) {
        .mem = mem,
        .base = iommu_mem_alloc(mem, size, size),
        .fmt = fmt,
        .bits = bits,
    };
}

uint64_t smmu_cd_entry(SmmuCdTable *t, uint32_t ssid)
{
    unsigned split = leaf_bits(t->fmt);
    uint64_t slot, l1;

    if (t->fmt == SMMU_S1FMT_LINEAR) {
        return t->base + ssid * CD_BYTES;
    }
    slot = t->base + (ssid >> split) * 8;
    l1 = iommu_mem_read64(t->mem, slot);
    if (!(l1 & 1)) {
        l1 = iommu_mem_alloc(t->mem, CD_BYTES << split,
                             CD_BYTES << split) | 1;
        iommu_mem_write64(t->mem, slot, l1);
    }
    return (l1 & 0x000ffffffffff000ULL) +
           (ssid & ((1u << split) - 1)) * CD_BYTES;
}

void smmu_cd_set(SmmuCdTable *t, uint32_t ssid, const SmmuS1 *s1,
                 uint16_t asid)
{
    /* TG0: 4 KiB is 0, 64 KiB is 1, 16 KiB is 2 */
    uint64_t tg0 = s1->granule == 12 ? 0 : s1->granule == 16 ? 1 : 2;
    const uint64_t cd[8] = {
        (64 - s1->va_bits) |            /* T0SZ */
        tg0 << 6 |
        1ULL << 8 | 1ULL << 10 |        /* IR0, OR0: write-back */
        3ULL << 12 |                    /* SH0: inner shareable */
        1ULL << 30 |                    /* EPD1 */
        1ULL << 31 |                    /* V */
        5ULL << 32 |                    /* IPS: 48 bits */
        1ULL << 41 |                    /* AA64 */
        1ULL << 45 | 1ULL << 46 |       /* R, A */
        1ULL << 47 |                    /* ASET */
        (uint64_t)asid << 48,
        s1->root,
        0,
        0xff,                           /* MAIR: attribute 0 write-back */
    };

    iommu_mem_write_qwords(t->mem, smmu_cd_entry(t, ssid), cd, 8);
}

void smmu_cd_clear(SmmuCdTable *t, uint32_t ssid)
{
    uint64_t slot = smmu_cd_entry(t, ssid);

    /* The word with V goes first */
    iommu_mem_write64(t->mem, slot, 0);
    iommu_mem_zero(t->mem, slot, CD_BYTES);
}

/* ------------------------------------------------------------ stream table */

void smmu_tables_init(SmmuTables *t, IommuMem *mem, unsigned sid_bits,
                      unsigned split)
{
    uint64_t size = split ? 8ULL << (sid_bits - split) : STE_BYTES << sid_bits;

    size = MAX(size, 64);
    *t = (SmmuTables) {
        .mem = mem,
        .base = iommu_mem_alloc(mem, size, size),
        .sid_bits = sid_bits,
        .split = split,
    };
}

uint64_t smmu_strtab_base(const SmmuTables *t)
{
    return t->base | 1ULL << 62;        /* RA */
}

uint32_t smmu_strtab_base_cfg(const SmmuTables *t)
{
    return t->sid_bits | t->split << 6 | (t->split ? 1u << 16 : 0);
}

uint64_t smmu_ste_entry(SmmuTables *t, uint32_t sid)
{
    uint64_t slot, l1;

    if (!t->split) {
        return t->base + sid * STE_BYTES;
    }
    slot = t->base + (sid >> t->split) * 8;
    l1 = iommu_mem_read64(t->mem, slot);
    if (!(l1 & 0x1f)) {
        /* Span: 2^(span - 1) STEs */
        l1 = iommu_mem_alloc(t->mem, STE_BYTES << t->split,
                             STE_BYTES << t->split) | (t->split + 1);
        iommu_mem_write64(t->mem, slot, l1);
    }
    return (l1 & 0x000fffffffffffc0ULL) +
           (sid & ((1u << t->split) - 1)) * STE_BYTES;
}

void smmu_ste_set(SmmuTables *t, uint32_t sid, const SmmuSte *ste)
{
    uint64_t dw[8] = { 1 | (uint64_t)ste->cfg << 1 };

    if (ste->cfg == SMMU_STE_S1) {
        dw[0] |= ste->cds->base | (uint64_t)ste->cds->fmt << 4 |
                 (uint64_t)ste->cds->bits << 59;
        /* CIR, COR write-back; CSH inner shareable */
        dw[1] = ste->s1dss | 1ULL << 2 | 1ULL << 4 | 3ULL << 6;
        dw[1] |= ste->stalld ? 1ULL << 27 : 0;
    }
    dw[1] |= ste->ats ? 1ULL << 28 : 0;
    iommu_mem_write_qwords(t->mem, smmu_ste_entry(t, sid), dw, 8);
}

void smmu_ste_clear(SmmuTables *t, uint32_t sid)
{
    uint64_t slot = smmu_ste_entry(t, sid);

    iommu_mem_write64(t->mem, slot, 0);
    iommu_mem_zero(t->mem, slot, STE_BYTES);
}
