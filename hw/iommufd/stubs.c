/*
 * Nested IOMMU core: vfio without it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/iommufd.h"
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

int iommufd_nested_vfio_map(const VFIOIOMMUFDContainer *container, hwaddr iova,
                            uint64_t size, void *vaddr, bool readonly,
                            MemoryRegion *mr)
{
    return iommufd_backend_map_dma(container->be, container->ioas_id, iova,
                                   size, vaddr, readonly);
}

int iommufd_nested_vfio_map_file(const VFIOIOMMUFDContainer *container,
                                 hwaddr iova, uint64_t size, int fd,
                                 unsigned long start, bool readonly)
{
    return iommufd_backend_map_file_dma(container->be, container->ioas_id,
                                        iova, size, fd, start, readonly);
}

int iommufd_nested_vfio_unmap(const VFIOIOMMUFDContainer *container,
                              hwaddr iova, uint64_t size)
{
    return iommufd_backend_unmap_dma(container->be, container->ioas_id, iova,
                                     size);
}

void iommufd_nested_vfio_bars_again(const VFIODevice *vbasedev)
{
}

void iommufd_nested_vfio_maps_free(VFIOIOMMUFDContainer *container)
{
}

void iommufd_nested_vfio_map_failed(const VFIOContainer *bcontainer,
                                    const MemoryRegionSection *section,
                                    int ret, Error **err)
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
