/*
 * Nested IOMMU core: what the host can do
 *
 * Part of the contract that hw/iommufd.h is: what the host says of a device,
 * what it turns out to do when tried, and what a front end wants vfio to attach
 * first. Locking, failure and the kernel facts: see there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_HOST_H
#define HW_IOMMUFD_HOST_H

#include "system/iommufd.h"

/*
 * IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, in IOMMUFDNestedHostInfo.caps: the host
 * does not use the device's ATS. Kernels before about 7.1 never say so.
 */
#define IOMMUFD_NESTED_CAP_NO_ATS (1ULL << 3)

/* A device that vfio has bound to an iommufd, and attached to nothing yet */
typedef struct IOMMUFDNestedBound {
    const char *name;
    int iommufd;
    uint32_t dev_id;
    int fd;                     /* of the vfio device */
} IOMMUFDNestedBound;

/**
 * enum IOMMUFDNestedLacks - what a device cannot do, although nothing says so
 *
 * @IOMMUFD_NESTED_LACKS_PASIDS: its vfio driver attaches nothing to PASIDs
 * @IOMMUFD_NESTED_LACKS_PAGE_REQUESTS: no HWPT with a fault queue is attached
 *                                      to it: it is a virtual function, or the
 *                                      host has not switched its ATS and page
 *                                      requests on
 */
typedef enum IOMMUFDNestedLacks {
    IOMMUFD_NESTED_LACKS_PASIDS = 1 << 0,
    IOMMUFD_NESTED_LACKS_PAGE_REQUESTS = 1 << 1,
} IOMMUFDNestedLacks;

/**
 * struct IOMMUFDNestedHostInfo - the answer of IOMMU_GET_HW_INFO
 *
 * @type: enum iommu_hw_info_type; says which member of @vendor is meaningful
 * @caps: enum iommufd_hw_capabilities
 * @max_pasid_log2: PASIDs of the device, as a power of two; 0: none
 * @vendor: type specific registers, zero beyond what the kernel filled in
 * @parent_flags: enum iommufd_hwpt_alloc_flags of the HWPT that vfio has
 *                attached the device to; 0 before that (in get_nesting())
 * @lacks: enum IOMMUFDNestedLacks: what get_nesting() found out by trying; 0 in
 *         get_nesting()
 * @bound: in get_nesting(): for iommufd_nested_try(); NULL after that
 * @mdev: it is a mediated device; nothing else is known of it
 */
typedef struct IOMMUFDNestedHostInfo {
    uint32_t type;
    uint64_t caps;
    uint8_t max_pasid_log2;
    VendorCaps vendor;
    uint32_t parent_flags;
    uint32_t lacks;
    const IOMMUFDNestedBound *bound;
    bool mdev;
} IOMMUFDNestedHostInfo;

/**
 * iommufd_nested_host_info() - ask the host about an assigned device
 * @idev: the device, as handed to PCIIOMMUOps.set_iommu_device()
 * @info: filled in on success
 * @errp: set on failure
 *
 * Return: true on success.
 */
bool iommufd_nested_host_info(HostIOMMUDeviceIOMMUFD *idev,
                              IOMMUFDNestedHostInfo *info, Error **errp);

/**
 * struct IOMMUFDNestedTrial - what a front end is going to ask of the host
 *
 * @parent_flags: enum iommufd_hwpt_alloc_flags of the parent
 * @viommu_type, @vdevice: as in IOMMUFDNestedConfig
 * @parent_needs, @viommu_needs, @vdevice_needs: what it takes to be given one,
 *                                               for the message
 */
typedef struct IOMMUFDNestedTrial {
    uint32_t parent_flags;
    uint32_t viommu_type;
    bool vdevice;
    const char *parent_needs;
    const char *viommu_needs;
    const char *vdevice_needs;
} IOMMUFDNestedTrial;

/**
 * iommufd_nested_try() - whether the host's kernel nests a device
 * @info: as handed to get_nesting()
 * @trial: what to ask for; all of it is given back
 * @why: NULL, or why the kernel does not; to be freed with g_free()
 * @errp: set on failure
 *
 * Registers say what the hardware has. What the kernel makes of it depends on
 * its version, its command line and the firmware, and only trying tells.
 *
 * Return: false if that could not be found out.
 */
bool iommufd_nested_try(const IOMMUFDNestedHostInfo *info,
                        const IOMMUFDNestedTrial *trial, char **why,
                        Error **errp);

/**
 * iommufd_nested_try_attach() - what can be attached to a device
 * @info: as handed to get_nesting()
 * @pasid_bits: width of its PASIDs; 0: they are not to be tried
 * @page_requests: fault queues are
 * @lacks: enum IOMMUFDNestedLacks, for IOMMUFDNestedParent
 * @errp: set on failure
 *
 * The device is attached to an HWPT that maps nothing, and detached. A device
 * whose group is attached to something already cannot be tried: it lacks
 * nothing then that is known of.
 *
 * Return: false if that could not be found out.
 */
bool iommufd_nested_try_attach(const IOMMUFDNestedHostInfo *info,
                               uint8_t pasid_bits, bool page_requests,
                               uint32_t *lacks, Error **errp);

/**
 * struct IOMMUFDNestedParent - what a front end wants vfio to attach first
 *
 * Filled in by PCIIOMMUOps.get_nesting(), which vfio calls after it has bound
 * a device to its iommufd and before it attaches it to anything:
 *
 *   bool (*get_nesting)(PCIBus *bus, void *opaque, int devfn,
 *                       const char *name, const IOMMUFDNestedHostInfo *info,
 *                       IOMMUFDNestedParent *parent, Error **errp);
 *
 * Returning true with @as NULL asks for what vfio does without nesting (that
 * is "nested=auto" with a host that cannot). Returning false refuses the
 * device. @name is the device's name for messages.
 *
 * @as: guest-physical address space that the parent maps; it must hold no
 *      IOMMU memory region
 * @flags: enum iommufd_hwpt_alloc_flags of the parent: NEST_PARENT, and PASID
 *         if PASIDs may ever be attached (VT-d only: the RID's HWPTs must
 *         have it too). vfio adds DIRTY_TRACKING where the host has it,
 *         unless @no_dirty_tracking.
 * @no_readonly: read-only memory is left unmapped, because the host's IOMMU
 *               has an erratum that makes read-only mappings of a parent
 *               unsafe (IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17). A DMA to such
 *               memory then faults; guest ROM is no sensible DMA target.
 * @no_dirty_tracking: the host has dirty tracking for plain HWPTs only, and
 *                     refuses a parent with it (SMMUv3: EOPNOTSUPP)
 * @owner: the parent is for devices with the same owner only. SMMUv3: two
 *         vIOMMUs on one parent have its VMID, and the ASIDs of two guest
 *         SMMUs would mean the same (kernel: arm_vsmmu_init()). NULL: for all
 *         that have none
 * @lacks: enum IOMMUFDNestedLacks, to come back in IOMMUFDNestedHostInfo
 */
typedef struct IOMMUFDNestedParent {
    AddressSpace *as;
    uint32_t flags;
    bool no_readonly;
    bool no_dirty_tracking;
    const void *owner;
    uint32_t lacks;
} IOMMUFDNestedParent;

#endif /* HW_IOMMUFD_HOST_H */
