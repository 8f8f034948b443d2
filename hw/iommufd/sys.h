/*
 * Nested IOMMU core: the system calls
 *
 * The only place of the core that talks to the kernel. Unit tests link
 * another implementation of these functions instead of sys.c.
 *
 * Functions that return int return 0 or a negative errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_SYS_H
#define HW_IOMMUFD_SYS_H

#include "hw/iommufd.h"

/* IOMMU_GET_HW_INFO; fills in all of @info but parent_flags */
int iommufd_sys_hw_info(int iommufd, uint32_t dev_id,
                        IOMMUFDNestedHostInfo *info);

/* enum iommufd_hwpt_alloc_flags of the HWPT that vfio made for the device */
uint32_t iommufd_sys_parent_flags(HostIOMMUDeviceIOMMUFD *idev);

#endif
