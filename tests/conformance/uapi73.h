/*
 * Conformance of /dev/iommu: what Linux 7.3 adds to the base's uAPI headers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers as in Linux 7.3, include/uapi/linux/iommufd.h.  The names differ
 * from the originals so that a newer set of headers does not collide.
 */

#ifndef CONFORMANCE_UAPI73_H
#define CONFORMANCE_UAPI73_H

#include <linux/types.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#define CT_HW_INFO_TYPE_AMD             4
#define CT_HW_INFO_SMMUV3_REPEAT        (1u << 0)
#define CT_HW_CAP_ATS_NOT_SUPPORTED     (1ull << 3)
#define CT_HW_CAP_KNOWN                 0xfull

struct ct_ioas_noiommu_get_pa {
    __u32 size;
    __u32 flags;
    __u32 ioas_id;
    __u32 __reserved;
    __aligned_u64 iova;
    __aligned_u64 length;
    __aligned_u64 out_phys;
};
#define CT_IOAS_NOIOMMU_GET_PA          _IO(IOMMUFD_TYPE, 0x95)

#define CT_VFIO_FEATURE_DMA_BUF         11

struct ct_region_dma_range {
    __u64 offset;
    __u64 length;
};

/* The ranges follow */
struct ct_feature_dma_buf {
    __u32 region_index;
    __u32 open_flags;
    __u32 flags;
    __u32 nr_ranges;
};

/* drivers/iommu/iommufd/hw_pagetable.c bounds one call to this many entries */
#define CT_INVALIDATE_MAX_ENTRIES       (1u << 19)

/* drivers/iommu/iommufd/eventq.c bounds the depth of a vEVENTQ to this */
#define CT_VEVENTQ_MAX_DEPTH            (1u << 19)

#endif
