/*
 * Nested IOMMU core: what vfio calls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "hw/pci/pci.h"
#include "hw/pci/pci_device.h"
#include "qapi/error.h"
#include "sys.h"
#include "trace.h"
#include "vfio.h"

bool iommufd_nested_vfio_prepare(VFIODevice *vbasedev, AddressSpace **as,
                                 Error **errp)
{
    IOMMUFDNestedHostInfo info = {};
    IOMMUFDNestedParent parent = {};
    PCIDevice *pdev;
    int ret;

    vbasedev->nesting_flags = 0;
    vbasedev->nesting_no_readonly = false;
    if (vbasedev->type != VFIO_DEVICE_TYPE_PCI || vbasedev->mdev) {
        return true;
    }
    pdev = PCI_DEVICE(vbasedev->dev);
    if (!pci_device_can_nest(pdev)) {
        return true;
    }

    ret = iommufd_sys_hw_info(vbasedev->iommufd->fd, vbasedev->devid, &info);
    if (ret) {
        error_setg_errno(errp, -ret,
                         "%s: no hardware information for dev_id %d",
                         vbasedev->name, vbasedev->devid);
        return false;
    }
    if (!pci_device_get_nesting(pdev, vbasedev->name, &info, &parent, errp)) {
        return false;
    }
    trace_iommufd_nested_vfio_prepare(vbasedev->name, info.type, info.caps,
                                      parent.as != NULL, parent.flags,
                                      parent.no_readonly);
    if (parent.as) {
        *as = parent.as;
        vbasedev->nesting_flags = parent.flags | IOMMU_HWPT_ALLOC_NEST_PARENT;
        vbasedev->nesting_no_readonly = parent.no_readonly;
    }
    return true;
}

bool iommufd_nested_vfio_same_kind(VFIODevice *vbasedev,
                                   const VFIOIOASHwpt *hwpt)
{
    const uint32_t kind = IOMMU_HWPT_ALLOC_NEST_PARENT |
                          IOMMU_HWPT_ALLOC_PASID;

    return !((hwpt->hwpt_flags ^ vbasedev->nesting_flags) & kind);
}

int iommufd_nested_vfio_skip_readonly(hwaddr iova, uint64_t size)
{
    trace_iommufd_nested_vfio_skip_readonly(iova, size);
    return 0;
}

void iommufd_nested_vfio_reset(VFIODevice *vbasedev, bool begin)
{
    iommufd_nested_device_reset(vbasedev->hiod, begin);
}
