/*
 * VT-d nested translation: what IntelIOMMUState holds for properties of tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See docs/nested/intel-iommu-nested.rst.
 */

#ifndef HW_I386_INTEL_IOMMU_NESTED_STATE_H
#define HW_I386_INTEL_IOMMU_NESTED_STATE_H

typedef struct VTDNestedLevels {
    bool fs5lp;                 /* five levels of the first stage */
    bool sslps;                 /* large pages of the second stage */
    uint8_t ss_aw_bits;         /* widest addresses of the second stage */
} VTDNestedLevels;

#endif
