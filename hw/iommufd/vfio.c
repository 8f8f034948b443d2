/*
 * Nested IOMMU core: what vfio calls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "hw/pci/nested.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_device.h"
#include "migration/blocker.h"
#include "qapi/error.h"
#include "system/address-spaces.h"
#include "sys.h"
#include "trace.h"
#include "vfio.h"

/*
 * The next QEMU would be given the device with whatever is attached to its RID
 * and PASIDs, and no way to find out. cpr-reboot is another matter: it asks
 * for a guest in suspend-to-RAM, which gives everything up by itself.
 */
static bool block_cpr(VFIODevice *vbasedev, Error **errp)
{
    error_setg(&vbasedev->nesting_cpr_blocker, "%s: a device with nested "
               "translation cannot be handed to another process",
               vbasedev->name);
    return migrate_add_blocker_modes(&vbasedev->nesting_cpr_blocker,
                                     BIT(MIG_MODE_CPR_TRANSFER) |
                                     BIT(MIG_MODE_CPR_EXEC), errp) >= 0;
}

void iommufd_nested_vfio_release(VFIODevice *vbasedev)
{
    migrate_del_blocker(&vbasedev->nesting_cpr_blocker);
}

/* Another device of the VM with the same IOMMU group of the host, or NULL */
static VFIODevice *group_mate(VFIODevice *vbasedev, VFIODevice *after,
                              int64_t group)
{
    VFIODevice *other = after ? QLIST_NEXT(after, global_next) :
                        QLIST_FIRST(&vfio_device_list);

    while (other && (group < 0 || other == vbasedev || !other->iommufd ||
                     iommufd_sys_fd_group(other->fd) != group)) {
        other = QLIST_NEXT(other, global_next);
    }
    return other;
}

/* What the host has one translation for cannot be behind two vIOMMUs */
static bool check_group(VFIODevice *vbasedev, Error **errp)
{
    int64_t group = iommufd_sys_fd_group(vbasedev->fd);
    VFIODevice *other;

    for (other = group_mate(vbasedev, NULL, group); other;
         other = group_mate(vbasedev, other, group)) {
        const char *why;

        if (!other->nesting_flags != !vbasedev->nesting_flags) {
            why = other->nesting_flags ? "that one is nested, this one is not"
                                       : "this one is nested, that one is not";
        } else if (other->nesting_owner != vbasedev->nesting_owner) {
            why = "they are behind different nested vIOMMUs";
        } else {
            continue;
        }
        error_setg(errp, "%s: the host has it in IOMMU group %" PRId64
                   " together with %s, and one translation for both, but %s; "
                   "put both behind the same vIOMMU, or leave one out",
                   vbasedev->name, group, other->name, why);
        return false;
    }
    return true;
}

bool iommufd_nested_vfio_joins(VFIODevice *vbasedev, const VFIOIOASHwpt *hwpt)
{
    int64_t group = iommufd_sys_fd_group(vbasedev->fd);
    VFIODevice *other;

    for (other = group_mate(vbasedev, NULL, group); other;
         other = group_mate(vbasedev, other, group)) {
        if (other->hwpt == hwpt && iommufd_nested_device_moved(other->hiod)) {
            return true;
        }
    }
    return false;
}

static bool prepare(VFIODevice *vbasedev, AddressSpace **as, Error **errp)
{
    IOMMUFDNestedBound bound = {
        .name = vbasedev->name,
        .dev_id = vbasedev->devid,
        .fd = vbasedev->fd,
    };
    IOMMUFDNestedHostInfo info = { .bound = &bound };
    IOMMUFDNestedParent parent = {};
    PCIDevice *pdev;
    int ret;

    vbasedev->nesting_flags = 0;
    vbasedev->nesting_no_readonly = false;
    vbasedev->nesting_no_dirty_tracking = false;
    vbasedev->nesting_owner = NULL;
    if (vbasedev->type != VFIO_DEVICE_TYPE_PCI || vbasedev->mdev) {
        return true;
    }
    pdev = PCI_DEVICE(vbasedev->dev);
    if (!pci_device_can_nest(pdev)) {
        return true;
    }

    bound.iommufd = vbasedev->iommufd->fd;
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
        if (!block_cpr(vbasedev, errp)) {
            return false;
        }
        *as = parent.as;
        vbasedev->nesting_flags = parent.flags | IOMMU_HWPT_ALLOC_NEST_PARENT;
        vbasedev->nesting_no_readonly = parent.no_readonly;
        vbasedev->nesting_no_dirty_tracking = parent.no_dirty_tracking;
        vbasedev->nesting_owner = parent.owner;
        vbasedev->nesting_lacks = parent.lacks;
    }
    return true;
}

bool iommufd_nested_vfio_prepare(VFIODevice *vbasedev, AddressSpace **as,
                                 Error **errp)
{
    if (!prepare(vbasedev, as, errp)) {
        return false;
    }
    if (!check_group(vbasedev, errp)) {
        iommufd_nested_vfio_release(vbasedev);
        return false;
    }
    return true;
}

bool iommufd_nested_vfio_check_mdev(VFIODevice *vbasedev, Error **errp)
{
    const IOMMUFDNestedHostInfo info = { .mdev = true };
    IOMMUFDNestedParent parent = {};
    PCIDevice *pdev;

    if (!vbasedev->mdev || vbasedev->type != VFIO_DEVICE_TYPE_PCI) {
        return true;
    }
    pdev = PCI_DEVICE(vbasedev->dev);
    return !pci_device_can_nest(pdev) ||
           pci_device_get_nesting(pdev, vbasedev->name, &info, &parent, errp);
}

const char *pci_nested_unfit(PCIBus *bus, int devfn, HostIOMMUDevice *hiod,
                             const IOMMUFDNestedHostInfo *info)
{
    if (info && info->mdev) {
        return "it is a mediated device, which has no page tables on the host";
    }
    if (hiod && !object_dynamic_cast(OBJECT(hiod),
                                     TYPE_HOST_IOMMU_DEVICE_IOMMUFD)) {
        return "it has no iommufd= property";
    }
    if (!pci_device_has_own_rid(bus->devices[devfn])) {
        return "it is behind a bridge to conventional PCI";
    }
    return NULL;
}

/* A group has one parent, be it with PASIDs that not all of its devices have */
static bool has_mate(VFIODevice *vbasedev, const VFIOIOASHwpt *hwpt)
{
    int64_t group = iommufd_sys_fd_group(vbasedev->fd);
    VFIODevice *other;

    for (other = group_mate(vbasedev, NULL, group); other;
         other = group_mate(vbasedev, other, group)) {
        if (other->hwpt == hwpt) {
            return true;
        }
    }
    return false;
}

/* Whether @vbasedev was there before the vIOMMU that has its bus now */
static bool came_too_early(const VFIODevice *vbasedev)
{
    /* Behind one it has an address space of that, or is nested */
    return vbasedev->type == VFIO_DEVICE_TYPE_PCI && vbasedev->bcontainer &&
           !vbasedev->nesting_flags &&
           vbasedev->bcontainer->space->as == &address_space_memory &&
           pci_device_can_nest(PCI_DEVICE(vbasedev->dev));
}

bool iommufd_nested_check_order(const char *viommu, Error **errp)
{
    VFIODevice *vbasedev;

    QLIST_FOREACH(vbasedev, &vfio_device_list, global_next) {
        if (came_too_early(vbasedev)) {
            error_setg(errp, "%s: was added before %s, and is not behind it: "
                       "all of the guest's memory would be open to its DMA; "
                       "-device %s has to come before -device vfio-pci",
                       vbasedev->name, viommu, viommu);
            return false;
        }
    }
    return true;
}

bool iommufd_nested_vfio_same_kind(VFIODevice *vbasedev,
                                   const VFIOIOASHwpt *hwpt)
{
    uint32_t kind = IOMMU_HWPT_ALLOC_NEST_PARENT;

    if (!has_mate(vbasedev, hwpt)) {
        kind |= IOMMU_HWPT_ALLOC_PASID;
    }
    /* An HWPT has devices as long as it is there, all with one owner */
    return !((hwpt->hwpt_flags ^ vbasedev->nesting_flags) & kind) &&
           QLIST_FIRST(&hwpt->device_list)->nesting_owner ==
           vbasedev->nesting_owner;
}

void iommufd_nested_vfio_reset(VFIODevice *vbasedev, bool begin)
{
    iommufd_nested_device_reset(vbasedev->hiod, begin);
}

void iommufd_nested_vfio_stop(VFIODevice *vbasedev)
{
    iommufd_nested_device_stop(vbasedev->hiod);
}
