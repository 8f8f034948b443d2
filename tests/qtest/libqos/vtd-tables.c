/*
 * Intel VT-d structures in guest memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-tables.h"

#define PAGE            4096ULL
#define CTX_PDTS_SHIFT  9
#define CTX_ADDR        0xfffffffffffff000ULL

/* --------------------------------------------------------------- stage 1 */

static unsigned s1_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static uint64_t s1_slot(uint64_t table, uint64_t iova, unsigned level)
{
    return table + ((iova >> s1_shift(level)) & 0x1ff) * 8;
}

static bool s1_is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 || (level <= 3 && (entry & VTD_S1_PS));
}

uint64_t vtd_s1_new(IommuMem *mem)
{
    return iommu_mem_alloc(mem, PAGE, PAGE);
}

uint64_t vtd_s1_entry(const IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t iova, unsigned stop, unsigned *level)
{
    uint64_t table = root;
    unsigned l;

    for (l = levels; ; l--) {
        uint64_t slot = s1_slot(table, iova, l);
        uint64_t entry = iommu_mem_read64(mem, slot);

        if (l == stop || !(entry & VTD_S1_P) || s1_is_leaf(entry, l)) {
            *level = l;
            return slot;
        }
        table = entry & VTD_S1_ADDR;
    }
}

static void s1_map_one(IommuMem *mem, uint64_t root, unsigned levels,
                       uint64_t iova, uint64_t gpa, unsigned leaf,
                       uint64_t flags)
{
    uint64_t slot, table;
    unsigned level;

    for (;;) {
        slot = vtd_s1_entry(mem, root, levels, iova, leaf, &level);
        if (level == leaf) {
            break;
        }
        table = vtd_s1_new(mem);
        iommu_mem_write64(mem, slot, table | VTD_S1_USER_RW);
    }
    iommu_mem_write64(mem, slot,
                      gpa | flags | (leaf > 1 ? VTD_S1_PS : 0));
}

void vtd_s1_map(IommuMem *mem, uint64_t root, unsigned levels,
                uint64_t iova, uint64_t gpa, uint64_t len, unsigned shift,
                uint64_t flags)
{
    uint64_t off;

    for (off = 0; off < len; off += 1ULL << shift) {
        s1_map_one(mem, root, levels, iova + off, gpa + off,
                   (shift - 12) / 9 + 1, flags);
    }
}

void vtd_s1_unmap(IommuMem *mem, uint64_t root, unsigned levels,
                  uint64_t iova, uint64_t len)
{
    uint64_t end = iova + len;

    while (iova < end) {
        unsigned level;
        uint64_t slot = vtd_s1_entry(mem, root, levels, iova, 1, &level);
        uint64_t step = 1ULL << s1_shift(level);

        iommu_mem_write64(mem, slot, 0);
        iova = (iova & ~(step - 1)) + step;
    }
}

void vtd_s1_set_flags(IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t iova, uint64_t flags)
{
    unsigned level;
    uint64_t slot = vtd_s1_entry(mem, root, levels, iova, 1, &level);
    uint64_t entry = iommu_mem_read64(mem, slot);

    iommu_mem_write64(mem, slot, (entry & VTD_S1_ADDR) | flags |
                      (level > 1 ? VTD_S1_PS : 0));
}

/* ------------------------------------------------------- root and context */

void vtd_tables_init(VtdTables *t, IommuMem *mem, bool scalable)
{
    *t = (VtdTables) {
        .mem = mem,
        .root = iommu_mem_alloc(mem, PAGE, PAGE),
        .scalable = scalable,
    };
}

uint64_t vtd_tables_rtaddr(const VtdTables *t)
{
    return t->root | (t->scalable ? VTD_RTADDR_SCALABLE : 0);
}

/* The table a present entry points to, or a new one the entry now names */
static uint64_t table_of(VtdTables *t, uint64_t slot)
{
    uint64_t entry = iommu_mem_read64(t->mem, slot);

    if (!(entry & 1)) {
        entry = iommu_mem_alloc(t->mem, PAGE, PAGE) | 1;
        iommu_mem_write64(t->mem, slot, entry);
    }
    return entry & CTX_ADDR;
}

uint64_t vtd_context_entry(VtdTables *t, uint16_t rid)
{
    uint64_t slot = t->root + (rid >> 8) * 16;
    unsigned devfn = rid & 0xff;

    if (!t->scalable) {
        return table_of(t, slot) + devfn * 16;
    }
    /* Lower and upper table hold 128 functions each (9.3) */
    return table_of(t, slot + (devfn & 0x80 ? 8 : 0)) + (devfn & 0x7f) * 32;
}

void vtd_context_legacy(VtdTables *t, uint16_t rid, unsigned type,
                        uint64_t slptptr, unsigned levels, uint16_t did)
{
    const uint64_t entry[2] = {
        slptptr | type << 2 | VTD_CTX_P,
        (levels - 2) | (uint64_t)did << 8,
    };

    iommu_mem_write_qwords(t->mem, vtd_context_entry(t, rid), entry, 2);
}

void vtd_context_scalable(VtdTables *t, uint16_t rid, unsigned pasid_bits,
                          uint64_t flags, uint32_t rid_pasid)
{
    /* A directory entry covers 64 PASIDs; PDTS counts from 128 entries */
    unsigned dir_bits = MAX(pasid_bits, 13) - 6;
    uint64_t size = ROUND_UP((1ULL << dir_bits) * 8, PAGE);
    const uint64_t entry[4] = {
        iommu_mem_alloc(t->mem, size, PAGE) | flags | VTD_CTX_P |
            (uint64_t)(dir_bits - 7) << CTX_PDTS_SHIFT,
        rid_pasid,
    };

    iommu_mem_write_qwords(t->mem, vtd_context_entry(t, rid), entry, 4);
}

void vtd_context_clear(VtdTables *t, uint16_t rid)
{
    uint64_t slot = vtd_context_entry(t, rid);

    /* The word with the present bit goes first */
    iommu_mem_write64(t->mem, slot, 0);
    iommu_mem_zero(t->mem, slot, t->scalable ? 32 : 16);
}

/* ------------------------------------------------------------------ PASID */

uint64_t vtd_pasid_entry(VtdTables *t, uint16_t rid, uint32_t pasid)
{
    uint64_t ctx = iommu_mem_read64(t->mem, vtd_context_entry(t, rid));

    return table_of(t, (ctx & CTX_ADDR) + (pasid >> 6) * 8) +
           (pasid & 0x3f) * 64;
}

void vtd_pasid_set(VtdTables *t, uint16_t rid, uint32_t pasid,
                   const VtdPasidEntry *pe)
{
    uint64_t entry[8] = { 0 };

    entry[0] = VTD_CTX_P | (pe->fpd ? 1ULL << 1 : 0) |
               (uint64_t)pe->pgtt << 6;
    if (pe->s2_levels) {
        entry[0] |= pe->s2 | (uint64_t)(pe->s2_levels - 2) << 2;
    }
    entry[1] = pe->did | (pe->page_snoop ? 1ULL << 24 : 0);
    if (pe->pgtt == VTD_PGTT_FIRST || pe->pgtt == VTD_PGTT_NESTED) {
        entry[2] = pe->s1 | (pe->sre ? 1ULL << 0 : 0) |
                   (pe->s1_levels == 5 ? 1ULL << 2 : 0) |
                   (pe->wpe ? 1ULL << 4 : 0) | (pe->eafe ? 1ULL << 7 : 0);
    }
    iommu_mem_write_qwords(t->mem, vtd_pasid_entry(t, rid, pasid), entry, 8);
}

void vtd_pasid_clear(VtdTables *t, uint16_t rid, uint32_t pasid)
{
    uint64_t slot = vtd_pasid_entry(t, rid, pasid);

    iommu_mem_write64(t->mem, slot, 0);
    iommu_mem_zero(t->mem, slot, 64);
}
