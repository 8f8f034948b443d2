/*
 * Model of /dev/iommu: what Linux 7.3 adds to the uAPI of the QEMU base
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers and layouts as in Linux 7.3, include/uapi/linux/iommufd.h and
 * vfio.h.  Names carry a prefix of their own: the headers of a later base
 * may define the originals.
 */

#ifndef IOMMUFD_MODEL_UAPI_EXTRA_H
#define IOMMUFD_MODEL_UAPI_EXTRA_H

#include <linux/types.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

/* ioctl number and argument of the PA query of no-IOMMU devices */
#define MDL_CMD_IOAS_NOIOMMU_GET_PA     0x95

struct mdl_ioas_noiommu_get_pa {
    __u32 size;
    __u32 flags;
    __u32 ioas_id;
    __u32 reserved;
    __aligned_u64 iova;
    __aligned_u64 length;
    __aligned_u64 out_phys;
};

/* HWPT data type and payload: a guest's device table entry */
#define MDL_HWPT_DATA_AMD_GUEST         3

struct mdl_hwpt_amd_guest {
    __aligned_u64 dte[4];
};

/* Hardware info: type and payload of AMD, new bits of the others */
#define MDL_HW_INFO_TYPE_AMD            4

struct mdl_hw_info_amd {
    __aligned_u64 efr;
    __aligned_u64 efr2;
};

#define MDL_HW_INFO_ARM_SMMUV3_REPEAT   (1u << 0)
#define MDL_HW_CAP_PCI_ATS_NOT_SUPPORTED (1ull << 3)

/* vfio device features newer than the base's header */
#define MDL_VFIO_FEATURE_DMA_BUF            11
#define MDL_VFIO_FEATURE_MIG_PRECOPY_INFO2  12

struct mdl_region_dma_range {
    __u64 offset;
    __u64 length;
};

/* The ranges follow */
struct mdl_feature_dma_buf {
    __u32 region_index;
    __u32 open_flags;
    __u32 flags;
    __u32 nr_ranges;
};

#endif
