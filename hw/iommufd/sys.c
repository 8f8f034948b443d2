/*
 * Nested IOMMU core: the system calls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include "hw/vfio/vfio-device.h"
#include "hw/vfio/vfio-iommufd.h"
#include "sys.h"

int iommufd_sys_hw_info(int iommufd, uint32_t dev_id,
                        IOMMUFDNestedHostInfo *info)
{
    struct iommu_hw_info arg = {
        .size = sizeof(arg),
        .dev_id = dev_id,
        .data_len = sizeof(info->vendor),
        .data_uptr = (uintptr_t)&info->vendor,
    };

    if (ioctl(iommufd, IOMMU_GET_HW_INFO, &arg)) {
        return -errno;
    }
    info->type = arg.out_data_type;
    info->caps = arg.out_capabilities;
    info->max_pasid_log2 = arg.out_max_pasid_log2;
    return 0;
}

uint32_t iommufd_sys_parent_flags(HostIOMMUDeviceIOMMUFD *idev)
{
    VFIODevice *vbasedev = HOST_IOMMU_DEVICE(idev)->agent;

    return vbasedev->hwpt ? vbasedev->hwpt->hwpt_flags : 0;
}
