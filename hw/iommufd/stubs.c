/*
 * Nested IOMMU core: vfio without it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vfio.h"

bool iommufd_nested_vfio_prepare(VFIODevice *vbasedev, AddressSpace **as,
                                 Error **errp)
{
    return true;
}

bool iommufd_nested_vfio_check_mdev(VFIODevice *vbasedev, Error **errp)
{
    return true;
}

void iommufd_nested_vfio_release(VFIODevice *vbasedev)
{
}

bool iommufd_nested_vfio_same_kind(VFIODevice *vbasedev,
                                   const VFIOIOASHwpt *hwpt)
{
    return true;
}

bool iommufd_nested_vfio_joins(VFIODevice *vbasedev, const VFIOIOASHwpt *hwpt)
{
    return false;
}

int iommufd_nested_vfio_skip_readonly(hwaddr iova, uint64_t size)
{
    g_assert_not_reached();
}

void iommufd_nested_vfio_map_failed(const VFIOContainer *bcontainer,
                                    hwaddr iova, hwaddr end, int ret,
                                    Error **err)
{
}

bool iommufd_nested_vfio_check_memory(const VFIOContainer *bcontainer,
                                      VFIODevice *vbasedev, Error **errp)
{
    return true;
}

void iommufd_nested_vfio_reset(VFIODevice *vbasedev, bool begin)
{
}

void iommufd_nested_vfio_stop(VFIODevice *vbasedev)
{
}
