/*
 * Intel VT-d second-stage tables in memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-second-stage.h"

#define PAGE            4096ULL

static unsigned s2_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static uint64_t s2_slot(uint64_t table, uint64_t gpa, unsigned level)
{
    return table + ((gpa >> s2_shift(level)) & 0x1ff) * 8;
}

uint64_t vtd_s2_new(IommuMem *mem)
{
    return iommu_mem_alloc(mem, PAGE, PAGE);
}

uint64_t vtd_s2_entry(const IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t gpa, unsigned level)
{
    uint64_t table = root;
    unsigned l;

    for (l = levels; ; l--) {
        uint64_t slot = s2_slot(table, gpa, l);
        uint64_t entry = iommu_mem_read64(mem, slot);

        if (l == level || !(entry & VTD_S2_RW) || entry & VTD_S2_PS) {
            return slot;
        }
        table = entry & VTD_S2_ADDR;
    }
}

void vtd_s2_map(IommuMem *mem, uint64_t root, unsigned levels, uint64_t gpa,
                uint64_t hpa, uint64_t len, unsigned shift, uint64_t flags)
{
    unsigned leaf = (shift - 12) / 9 + 1, l;
    uint64_t off;

    for (off = 0; off < len; off += 1ULL << shift) {
        uint64_t table = root, slot, entry;

        for (l = levels; l > leaf; l--) {
            slot = s2_slot(table, gpa + off, l);
            entry = iommu_mem_read64(mem, slot);
            if (!(entry & VTD_S2_RW) || entry & VTD_S2_PS) {
                entry = vtd_s2_new(mem) | VTD_S2_RW;
                iommu_mem_write64(mem, slot, entry);
            }
            table = entry & VTD_S2_ADDR;
        }
        iommu_mem_write64(mem, s2_slot(table, gpa + off, leaf),
                          (hpa + off) | flags | (leaf > 1 ? VTD_S2_PS : 0));
    }
}
