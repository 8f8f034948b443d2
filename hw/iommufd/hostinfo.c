/*
 * Nested IOMMU core: what the host can do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "sys.h"
#include "trace.h"

bool iommufd_nested_host_info(HostIOMMUDeviceIOMMUFD *idev,
                              IOMMUFDNestedHostInfo *info, Error **errp)
{
    const char *name = HOST_IOMMU_DEVICE(idev)->name;
    int ret;

    /* The kernel writes as much of the vendor data as it knows, no more */
    memset(info, 0, sizeof(*info));
    ret = iommufd_sys_hw_info(idev->iommufd->fd, idev->devid, info);
    if (ret) {
        error_setg_errno(errp, -ret,
                         "%s: no hardware information for dev_id %" PRIu32,
                         name, idev->devid);
        return false;
    }
    info->parent_flags = iommufd_sys_parent_flags(idev);
    info->lacks = iommufd_sys_lacks(idev);
    trace_iommufd_nested_host_info(name, idev->devid, info->type, info->caps,
                                   info->max_pasid_log2, info->parent_flags);
    return true;
}
