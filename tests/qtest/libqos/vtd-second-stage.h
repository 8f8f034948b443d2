/*
 * Intel VT-d second-stage tables in memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VT-d specification, section 9.8.  Like vtd-tables.h, only writes memory.
 */

#ifndef LIBQOS_VTD_SECOND_STAGE_H
#define LIBQOS_VTD_SECOND_STAGE_H

#include "iommu-mem.h"

#define VTD_S2_R        (1ULL << 0)
#define VTD_S2_W        (1ULL << 1)
#define VTD_S2_PS       (1ULL << 7)
#define VTD_S2_A        (1ULL << 8)
#define VTD_S2_D        (1ULL << 9)
#define VTD_S2_ADDR     0x000ffffffffff000ULL

#define VTD_S2_RW       (VTD_S2_R | VTD_S2_W)

/* PASID entry, first word: second-stage accessed and dirty bits */
#define VTD_PASID_SSADE (1ULL << 9)

/* Returns: address of an empty table, for VtdPasidEntry.s2 */
uint64_t vtd_s2_new(IommuMem *mem);

/**
 * vtd_s2_map: map @len bytes with pages of 2^@shift (12, 21 or 30), making
 * the tables that are missing.
 * @levels: 3, 4 or 5
 * @flags: VTD_S2_* of the leaves; tables get R and W
 */
void vtd_s2_map(IommuMem *mem, uint64_t root, unsigned levels, uint64_t gpa,
                uint64_t hpa, uint64_t len, unsigned shift, uint64_t flags);

/**
 * vtd_s2_entry: address of the entry of @gpa at @level, or of the one above
 * it at which the walk ends.
 */
uint64_t vtd_s2_entry(const IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t gpa, unsigned level);

#endif
