/*
 * Nested IOMMU core: what vfio calls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_VFIO_H
#define HW_IOMMUFD_VFIO_H

#include "hw/vfio/vfio-device.h"
#include "hw/vfio/vfio-iommufd.h"

struct vfio_device_bind_iommufd;

/**
 * iommufd_nested_vfio_bind() - VFIO_DEVICE_BIND_IOMMUFD, with a vf-token=
 * @bind: all but the token is filled in
 * @errp: set on failure; names the remedy where it is known
 */
bool iommufd_nested_vfio_bind(VFIODevice *vbasedev,
                              struct vfio_device_bind_iommufd *bind,
                              Error **errp);

/**
 * iommufd_nested_vfio_prepare() - ask the vIOMMU how to attach a device
 * @vbasedev: bound to its iommufd, attached to nothing; nesting_flags and
 *            nesting_no_readonly are set
 * @as: the address space vfio would use; replaced by the one to be used
 * @errp: set on failure
 *
 * Return: false if the device must not be used.
 */
bool iommufd_nested_vfio_prepare(VFIODevice *vbasedev, AddressSpace **as,
                                 Error **errp);

/**
 * iommufd_nested_vfio_check_mdev() - a mediated device is not to be nested
 * @vbasedev: any device that is being realized
 *
 * Return: false if it is one, and behind a vIOMMU that nests.
 */
bool iommufd_nested_vfio_check_mdev(VFIODevice *vbasedev, Error **errp);

/* Undo it, and that alone, before @vbasedev leaves its iommufd */
void iommufd_nested_vfio_release(VFIODevice *vbasedev);

/**
 * iommufd_nested_vfio_same_kind() - whether a device may try an HWPT
 *
 * Nesting parents and other HWPTs live in the same container, but a device
 * must get the kind its vIOMMU asked for, and one of the same owner.
 */
bool iommufd_nested_vfio_same_kind(VFIODevice *vbasedev,
                                   const VFIOIOASHwpt *hwpt);

/**
 * iommufd_nested_vfio_joins() - whether a device is attached later
 *
 * Where another device of its IOMMU group is in stage 1 or blocked, the kernel
 * refuses to attach @vbasedev to @hwpt, their parent; if it did not, it would
 * take the other one along. The nested core attaches it when the guest has
 * given it a translation.
 */
bool iommufd_nested_vfio_joins(VFIODevice *vbasedev, const VFIOIOASHwpt *hwpt);

/**
 * iommufd_nested_vfio_map() - map memory in an IOAS
 * @iova: address in the IOAS
 * @size: of whole pages
 * @vaddr: where the memory is in this process
 * @mr: what it is a part of
 *
 * What another IOAS of the same iommufd has there is shared with it, so that
 * the host locks it once. Read-only memory is left out of an IOAS that must
 * not have any.
 *
 * Return: 0 or a negative errno.
 */
int iommufd_nested_vfio_map(const VFIOIOMMUFDContainer *container, hwaddr iova,
                            uint64_t size, void *vaddr, bool readonly,
                            MemoryRegion *mr);

/* The same for what is at @start in a file */
int iommufd_nested_vfio_map_file(const VFIOIOMMUFDContainer *container,
                                 hwaddr iova, uint64_t size, int fd,
                                 unsigned long start, bool readonly);

/* Unmap all that is mapped in [@iova, @iova + @size) */
int iommufd_nested_vfio_unmap(const VFIOIOMMUFDContainer *container,
                              hwaddr iova, uint64_t size);

/**
 * iommufd_nested_vfio_bars_again() - map BARs that have been revoked
 * @vbasedev: the device whose they are, after a reset; NULL: of all devices
 *
 * Where other devices have them mapped; they may be off, too.
 */
void iommufd_nested_vfio_bars_again(const VFIODevice *vbasedev);

/* The IOAS of @container has gone */
void iommufd_nested_vfio_maps_free(VFIOIOMMUFDContainer *container);

/**
 * iommufd_nested_vfio_map_failed() - memory of the guest cannot be mapped
 * @section: what was to be mapped
 * @ret: negative errno of the map
 * @err: replaced by one that names range, limit and remedy, where they are
 *       known. BARs of other devices are no memory of the guest.
 */
void iommufd_nested_vfio_map_failed(const VFIOContainer *bcontainer,
                                    const MemoryRegionSection *section,
                                    int ret, Error **err);

/**
 * iommufd_nested_vfio_check_memory() - before any memory is mapped
 * @bcontainer: @vbasedev is attached to it, and is its first device
 * @errp: names range, limit, device and remedy
 *
 * Memory that can be plugged is no error, but warned of.
 *
 * Return: false if the host does not map all of the guest's memory.
 */
bool iommufd_nested_vfio_check_memory(const VFIOContainer *bcontainer,
                                      VFIODevice *vbasedev, Error **errp);

/* Why a BAR cannot be there, or NULL; to be freed */
char *iommufd_nested_why_unmapped(const VFIOContainer *bcontainer, hwaddr iova,
                                  hwaddr end);

/* vfio begins or ends a reset of @vbasedev */
void iommufd_nested_vfio_reset(VFIODevice *vbasedev, bool begin);

/* The VM has been stopped, and vfio is about to stop @vbasedev */
void iommufd_nested_vfio_stop(VFIODevice *vbasedev);

#endif
