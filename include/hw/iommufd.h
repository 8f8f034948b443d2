/*
 * Nested IOMMU core: the contract between vIOMMU front ends and hw/iommufd
 *
 * A front end decodes one IOMMU architecture: registers, tables, queues. The
 * core owns what the host has for it (stage-1 HWPTs, vIOMMUs, vDEVICEs, fault
 * queues, vEVENTQs) and what is attached to which device and PASID. The core
 * sees labels (guest requester ids), PASIDs, opaque stage-1 data and opaque
 * invalidation entries; it knows no architecture and no bus.
 *
 * Locking: every function here is called, and every callback is made, with
 * the BQL held. Callbacks may call back into the core except where their
 * description says otherwise.
 *
 * Failure: a function that returns false has set @errp (whose text names the
 * device and the values), left nothing half done and leaked no host object.
 *
 * Kernel facts rest on the kernel-doc of <linux/iommufd.h>, <linux/vfio.h>
 * and on drivers/iommu/iommufd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_H
#define HW_IOMMUFD_H

#include "system/iommufd.h"
#include "hw/iommufd-host.h"

typedef struct IOMMUFDNested IOMMUFDNested;
typedef struct IOMMUFDNestedDevice IOMMUFDNestedDevice;
typedef struct IOMMUFDNestedRun IOMMUFDNestedRun;

/* In place of a PASID: requests without PASID, the RID itself */
#define IOMMUFD_NESTED_RID UINT32_MAX

/* In place of a label: the guest has given the device no usable one yet */
#define IOMMUFD_NESTED_NO_LABEL UINT32_MAX

/* Largest stage-1 data, invalidation entry and vEVENT stored, in bytes */
#define IOMMUFD_NESTED_DATA_MAX 64
#define IOMMUFD_NESTED_ENTRY_MAX 32
#define IOMMUFD_NESTED_EVENT_MAX 64

/*
 * Bounds on what a guest can make the host spend, for each IOMMUFDNested. The
 * defaults can be lowered or raised in IOMMUFDNestedConfig; what happens at a
 * bound stands beside it.
 */
/* Stage-1 HWPTs: iommufd_nested_set() fails and blocks */
#define IOMMUFD_NESTED_HWPTS 16384
/* PASIDs with a translation, all devices: iommufd_nested_set() fails */
#define IOMMUFD_NESTED_PASIDS 65536
/* Entries queued, over all targets: the batch is flushed early */
#define IOMMUFD_NESTED_BATCH 65536
/* Page request groups the guest has not answered: INVALID to the device */
#define IOMMUFD_NESTED_GROUPS 1024
/* Time to answer a page request group, in ms of guest time: then INVALID */
#define IOMMUFD_NESTED_GROUP_MS 10000

/* ------------------------------------------------------------------------ */
/* The emulated vIOMMU                                                       */

/**
 * enum IOMMUFDNestedRelation - what two queued invalidation entries mean to
 *                              each other
 *
 * The core asks for pairs of entries on one target, to drop what is
 * redundant. Between the two there are only entries that commute with both.
 *
 * @IOMMUFD_NESTED_ORDERED: the two must keep their order, and no entry may be
 *                          dropped in favour of one beyond this pair
 * @IOMMUFD_NESTED_COMMUTE: order does not matter, both are needed
 * @IOMMUFD_NESTED_COVERED: the earlier entry makes the later one redundant
 * @IOMMUFD_NESTED_COVERS: the later entry makes the earlier one redundant
 */
typedef enum IOMMUFDNestedRelation {
    IOMMUFD_NESTED_ORDERED,
    IOMMUFD_NESTED_COMMUTE,
    IOMMUFD_NESTED_COVERED,
    IOMMUFD_NESTED_COVERS,
} IOMMUFDNestedRelation;

/**
 * struct IOMMUFDNestedPageRequest - one page request of a group
 *
 * @addr: the address asked for, page aligned
 * @perm: enum iommu_hwpt_pgfault_perm
 */
typedef struct IOMMUFDNestedPageRequest {
    uint64_t addr;
    uint32_t perm;
} IOMMUFDNestedPageRequest;

/**
 * struct IOMMUFDNestedPageGroup - page requests that are answered together
 *
 * @dev: the device that asks
 * @pasid: its PASID, or IOMMUFD_NESTED_RID for a request without PASID
 * @index: page request group index (9 bits), as the device gave it
 * @count: elements in @req; the last one is the last of the group
 * @req: the requests, in the order of arrival
 */
typedef struct IOMMUFDNestedPageGroup {
    IOMMUFDNestedDevice *dev;
    uint32_t pasid;
    uint32_t index;
    size_t count;
    const IOMMUFDNestedPageRequest *req;
} IOMMUFDNestedPageGroup;

/**
 * enum IOMMUFDNestedPageVerdict - what became of a page request group
 *
 * @IOMMUFD_NESTED_PAGE_QUEUED: the guest has it and will answer
 * @IOMMUFD_NESTED_PAGE_RETRY: answer SUCCESS: the device may ask again
 * @IOMMUFD_NESTED_PAGE_REFUSED: answer INVALID
 */
typedef enum IOMMUFDNestedPageVerdict {
    IOMMUFD_NESTED_PAGE_QUEUED,
    IOMMUFD_NESTED_PAGE_RETRY,
    IOMMUFD_NESTED_PAGE_REFUSED,
} IOMMUFDNestedPageVerdict;

/**
 * struct IOMMUFDNestedOps - what the core asks of a front end
 *
 * Every member may be NULL. @opaque is what iommufd_nested_new() was given.
 */
typedef struct IOMMUFDNestedOps {
    /**
     * @relation: compare two entries of one target; @first was queued before
     * @second. NULL: IOMMUFD_NESTED_ORDERED, nothing is ever dropped. Must
     * not call into the core.
     */
    IOMMUFDNestedRelation (*relation)(const void *first, const void *second);

    /**
     * @device_tlb: is @entry for the TLB of one device, and nothing else?
     * @label: set to the label of that device. When a vIOMMU does not do a
     * batch in time (ETIMEDOUT), such entries are taken out and done after all
     * others of it, one device after the other, to find the one that does not
     * answer. NULL: no entry is. Must not call into the core.
     */
    bool (*device_tlb)(const void *entry, uint32_t *label);

    /**
     * @device_tlb_all: make @entry, of inv_len zero bytes, the one that empties
     * the TLB of the device with @label. Goes with @device_tlb. Must not call
     * into the core.
     */
    void (*device_tlb_all)(void *entry, uint32_t label);

    /**
     * @device_tlb_late: @dev has not emptied its TLB in time, and is blocked;
     * flushing goes on as if it had. It is let through again only when it has
     * done @device_tlb_all. @err is the callee's. Goes with @device_tlb.
     */
    void (*device_tlb_late)(void *opaque, IOMMUFDNestedDevice *dev,
                            Error *err);

    /**
     * @label: the label (guest requester id) that a device has now, or
     * IOMMUFD_NESTED_NO_LABEL; see iommufd_nested_relabel(). Must not call
     * into the core. NULL: labels never change.
     */
    uint32_t (*label)(void *opaque, IOMMUFDNestedDevice *dev);

    /**
     * @page_group: put a page request group into the guest's queue, all of it
     * or nothing. Must not call into the core. NULL: everything is refused.
     */
    IOMMUFDNestedPageVerdict (*page_group)(void *opaque,
                                           const IOMMUFDNestedPageGroup *group);

    /**
     * @event: a vEVENT of @len bytes, as the host wrote it (the label is
     * already in it). In the order the host reported them. Must not call
     * into the core.
     */
    void (*event)(void *opaque, const void *data, size_t len);

    /**
     * @events_lost: @count vEVENTs have been dropped by the host before the
     * next one (0: number unknown). Must not call into the core.
     */
    void (*events_lost)(void *opaque, uint32_t count);

    /**
     * @blocked: a device's RID or a PASID was blocked although no call of the
     * front end failed: an attach that was put off by a reset has failed for
     * good, or an invalidation was refused. @why is for humans.
     */
    void (*blocked)(void *opaque, IOMMUFDNestedDevice *dev, uint32_t pasid,
                    const char *why);

    /**
     * @shadow_next: read a table, see IOMMUFDNestedShadowNext in
     * <hw/iommufd-shadow.h>. NULL: there is no IOMMUFD_NESTED_SHADOW.
     */
    void (*shadow_next)(void *opaque, const void *data, uint64_t first,
                        uint64_t last, bool joined, IOMMUFDNestedRun *run);

    /**
     * @shadow_late: what goes through a shadow has been blocked, because its
     * tables are too large to be read at once: look at all entries again, in
     * turns. Goes with @shadow_next.
     */
    void (*shadow_late)(void *opaque);

    /**
     * @go_on: go on with the guest's command queue, which was put off, see
     * <hw/iommufd-turn.h>. From a bottom half, while the VM runs.
     */
    void (*go_on)(void *opaque);
} IOMMUFDNestedOps;

/**
 * struct IOMMUFDNestedConfig - fixed properties of an emulated vIOMMU
 *
 * @name: for messages and queries, e.g. the QOM path; copied
 * @inv_type: enum iommu_hwpt_invalidate_data_type of every entry
 * @inv_len: bytes of an entry, at most IOMMUFD_NESTED_ENTRY_MAX
 * @inv_piece: entries in one call at most; 0: any number. For hosts that copy
 *             what they are given into one piece of memory (SMMUv3); if they
 *             also work in blocks, a multiple of these.
 * @inv_everything: inv_len bytes, copied: the entry that makes a target forget
 *                  all that it has cached of page tables. What is cached of
 *                  one device alone is forgotten when it is attached. NULL:
 *                  there is none, and nothing is attached any more to what has
 *                  failed an invalidation.
 * @viommu_type: enum iommu_viommu_type: each host instance gets a vIOMMU, and
 *               stage-1 HWPTs are made below it. 0: HWPTs below the parent.
 * @vdevice: a device needs a vDEVICE with its label before a stage-1 HWPT
 *           can be attached; takes a @viommu_type
 * @veventq_type: enum iommu_veventq_type; 0: no event queue
 * @veventq_depth: events the host keeps for us at most
 * @abort_type: enum iommu_hwpt_data_type of @abort_data; 0: none
 * @abort_data: stage-1 data of a HWPT that lets nothing through, @abort_len
 *              bytes; static. Each host instance gets one if the kernel makes
 *              it, and a RID that is BLOCKED is attached to that: a device
 *              that is detached cannot set up interrupts where the host's
 *              IOMMU translates them (kernel: iommu_dma_prepare_msi())
 * @abort_len: bytes of @abort_data
 * @event_len: bytes of a vEVENT after its header
 * @max_hwpts: bound; 0: IOMMUFD_NESTED_HWPTS
 * @max_hwpts_hint: what a user can do about it; static; NULL: nothing
 * @max_pasids: bound; 0: IOMMUFD_NESTED_PASIDS
 * @max_batch: bound; 0: IOMMUFD_NESTED_BATCH
 * @max_areas: bound; 0: IOMMUFD_NESTED_AREAS
 * @max_groups: bound; 0: IOMMUFD_NESTED_GROUPS. One device has half of that at
 *              most, see docs/nested/core.rst
 * @group_ms: bound; 0: IOMMUFD_NESTED_GROUP_MS
 * @guard: of the emulated device, engaged around IOMMUFDNestedOps.go_on
 * @commands: names of the guest's command kinds, for the counters of
 *            iommufd_nested_count_command(); static
 * @num_commands: elements of @commands
 */
typedef struct IOMMUFDNestedConfig {
    const char *name;
    uint32_t inv_type;
    uint32_t inv_len;
    uint32_t inv_piece;
    const void *inv_everything;
    uint32_t viommu_type;
    bool vdevice;
    uint32_t veventq_type;
    uint32_t veventq_depth;
    uint32_t abort_type;
    const void *abort_data;
    uint32_t abort_len;
    uint32_t event_len;
    uint32_t max_hwpts;
    const char *max_hwpts_hint;
    uint32_t max_pasids;
    uint32_t max_batch;
    uint32_t max_areas;
    uint32_t max_groups;
    uint32_t group_ms;
    MemReentrancyGuard *guard;
    const char *const *commands;
    size_t num_commands;
} IOMMUFDNestedConfig;

/**
 * iommufd_nested_new() - register an emulated vIOMMU with the core
 * @config: copied, except where its description says static
 * @ops: not copied; must outlive the result
 * @opaque: handed to every callback
 *
 * Makes no host object: those come with the first device that needs them.
 *
 * Return: never NULL. Free with iommufd_nested_free().
 */
IOMMUFDNested *iommufd_nested_new(const IOMMUFDNestedConfig *config,
                                  const IOMMUFDNestedOps *ops, void *opaque);

/**
 * iommufd_nested_free() - take an emulated vIOMMU away
 * @n: may be NULL; must have no devices
 */
void iommufd_nested_free(IOMMUFDNested *n);

/**
 * iommufd_nested_reset() - the vIOMMU was reset
 *
 * Every device is back at IOMMUFD_NESTED_STAGE2 (or blocked, if the host
 * refuses even that), no PASID has a translation, queued invalidations are
 * dropped (what they were for is detached) and pending page requests are
 * answered INVALID. Labels are kept.
 */
void iommufd_nested_reset(IOMMUFDNested *n);

/**
 * iommufd_nested_quiesce() - answer everything before the state is saved
 *
 * Reads what the host still has queued, then answers every pending page
 * request group INVALID, so that nothing in the saved state waits for an
 * answer only this host could take. Guest memory is saved already: events that
 * come now are told as lost.
 */
void iommufd_nested_quiesce(IOMMUFDNested *n);

/**
 * iommufd_nested_set_running() - hold host queues back, or let them go
 * @running: false: the VM is stopped, guest memory must not be written; page
 *           requests and events stay with the host until true comes
 *
 * Events from before the VM was stopped reach IOMMUFDNestedOps.event within
 * this call. A queue of events that cannot be read is tried again for a while;
 * after that events_lost is called, and it has another chance here or at a
 * reset.
 *
 * To be called from the front end's VM change state handler. Initially true.
 */
void iommufd_nested_set_running(IOMMUFDNested *n, bool running);

/**
 * iommufd_nested_count_command() - count a guest command
 * @kind: index into IOMMUFDNestedConfig.commands
 */
void iommufd_nested_count_command(IOMMUFDNested *n, size_t kind);

/**
 * struct IOMMUFDNestedTold - failures of one kind, on one device or vIOMMU
 *
 * Zero: none has been told. To be zeroed at reset.
 *
 * @untold_until: in ms of host time: until then no other is told
 * @untold: how many there have been meanwhile
 */
typedef struct IOMMUFDNestedTold {
    int64_t untold_until;
    uint64_t untold;
} IOMMUFDNestedTold;

/* In ms: between two failures of a kind that the user is told */
#define IOMMUFD_NESTED_TELL_MS 10000

/**
 * iommufd_nested_tell() - tell the user of a failure, but not of each
 * @told: of its kind, so that one kind does not silence another
 * @err: freed
 *
 * For what a guest can have happen as often as it likes. A failure that is
 * told says how many have not been.
 *
 * Return: whether it was told.
 */
bool iommufd_nested_tell(IOMMUFDNestedTold *told, Error *err);

/**
 * iommufd_nested_check_order() - was a host device there before its vIOMMU?
 * @viommu: driver name, for the message
 * @errp: set if so: it has been given all of the guest's memory, and the
 *        vIOMMU that has its bus now knows nothing of it
 *
 * To be called when the machine is complete.
 */
bool iommufd_nested_check_order(const char *viommu, Error **errp);

/* ------------------------------------------------------------------------ */
/* Devices and their labels                                                  */

/**
 * iommufd_nested_device_add() - an assigned device appears behind a vIOMMU
 * @idev: the device; vfio has attached it to a parent (NEST_PARENT), which
 *        together with its iommufd says which host instance it is behind
 * @opaque: the front end's own structure, iommufd_nested_device_opaque()
 * @errp: set on failure: the parent cannot nest, or the host refused a vIOMMU
 *
 * The RID starts at IOMMUFD_NESTED_STAGE2, where vfio has put it (or blocked,
 * if devices of its IOMMU group of the host are elsewhere), without a label:
 * call iommufd_nested_relabel() when ready to answer @label for it.
 *
 * Return: NULL on failure. To be given back with
 * iommufd_nested_device_remove() in PCIIOMMUOps.unset_iommu_device().
 */
IOMMUFDNestedDevice *
iommufd_nested_device_add(IOMMUFDNested *n, HostIOMMUDeviceIOMMUFD *idev,
                          void *opaque, Error **errp);

/**
 * iommufd_nested_device_remove() - an assigned device goes away
 *
 * Pending page requests are answered INVALID, every PASID and the RID are
 * detached (the device can do no more DMA), the vDEVICE is destroyed (before
 * the device's fd is closed, as the kernel demands) and host objects that
 * only this device used are destroyed, in the kernel's order.
 */
void iommufd_nested_device_remove(IOMMUFDNestedDevice *dev);

void *iommufd_nested_device_opaque(const IOMMUFDNestedDevice *dev);
HostIOMMUDeviceIOMMUFD *
iommufd_nested_device_host(const IOMMUFDNestedDevice *dev);
const char *iommufd_nested_device_name(const IOMMUFDNestedDevice *dev);

/**
 * iommufd_nested_group_other() - those in one IOMMU group of the host with @dev
 * @after: the one before, NULL: none
 *
 * A group is blocked until all of it has the same data (compared as bytes):
 * a front end that knows different data to mean the same gives all the same.
 *
 * Return: the next one, never @dev itself; NULL: there is no other.
 */
IOMMUFDNestedDevice *
iommufd_nested_group_other(const IOMMUFDNestedDevice *dev,
                           const IOMMUFDNestedDevice *after);

/**
 * iommufd_nested_relabel() - the guest may have renumbered its buses
 * @n: all its devices are asked for their label (IOMMUFDNestedOps.label)
 * @errp: the first failure; the other devices are done all the same
 *
 * To be called when the numbering may have changed: a bus number register
 * was written, the vIOMMU is about to be enabled, or a label is unknown. A
 * label that two devices claim belongs to none of them. Where there are
 * vDEVICEs, a device whose label changed is blocked, gets a new vDEVICE and
 * its translation back, so that the kernel never has two for one label.
 *
 * Nothing is done, at the cost of one comparison for each device, when no
 * label has changed.
 *
 * Return: false if a device had to be blocked.
 */
bool iommufd_nested_relabel(IOMMUFDNested *n, Error **errp);

/**
 * iommufd_nested_find() - the device with a label
 *
 * Return: NULL if there is none, e.g. for an emulated device. Constant time.
 */
IOMMUFDNestedDevice *iommufd_nested_find(IOMMUFDNested *n, uint32_t label);

/**
 * iommufd_nested_has_vdevice() - does the host know the device by its label?
 *
 * From the first stage-1 attach under a label until the label changes: in
 * this time, and at no other, invalidation entries may name it.
 */
bool iommufd_nested_has_vdevice(const IOMMUFDNestedDevice *dev);

/**
 * iommufd_nested_foreach_device() - visit every device
 *
 * @fn may do anything but add or remove devices.
 */
void iommufd_nested_foreach_device(IOMMUFDNested *n,
                                   void (*fn)(IOMMUFDNestedDevice *dev,
                                              void *arg),
                                   void *arg);

/**
 * iommufd_nested_device_reset() - vfio begins or ends a reset of a device
 * @hiod: the device; one that no front end has is ignored
 * @begin: true before, false after
 *
 * The kernel refuses attaches with EBUSY in between (also for devices that
 * share the group). Pending page requests, read or not, are answered INVALID
 * at the beginning; attaches that came too early are retried at the end.
 */
void iommufd_nested_device_reset(HostIOMMUDevice *hiod, bool begin);

/**
 * iommufd_nested_device_stop() - vfio is about to stop a device
 * @hiod: the device; one that no front end has is ignored
 *
 * For devices that can be migrated: their driver may not be able to stop them
 * while page requests are outstanding, and the guest, which does not run any
 * more, cannot answer. So what the host still has of them is read, and all of
 * it is answered INVALID.
 */
void iommufd_nested_device_stop(HostIOMMUDevice *hiod);

/**
 * iommufd_nested_device_moved() - where devices of its group cannot go
 * @hiod: the device; one that no front end has is in its parent
 *
 * Return: true if a device of its IOMMU group of the host is attached to
 * something else than their parent: the host then refuses to attach another
 * one to that.
 */
bool iommufd_nested_device_moved(HostIOMMUDevice *hiod);

/* ------------------------------------------------------------------------ */
/* Translations                                                              */

/**
 * enum IOMMUFDNestedState - where requests of a RID or PASID go
 *
 * @IOMMUFD_NESTED_BLOCKED: nowhere: detached, or attached to a HWPT of
 *                          IOMMUFDNestedConfig.abort_data. Also the state of a
 *                          PASID that was never set.
 * @IOMMUFD_NESTED_STAGE2: guest-physical, because the guest has translation
 *                         off: attached to the parent
 * @IOMMUFD_NESTED_BYPASS: guest-physical, because the guest's tables say so:
 *                         attached to the parent as well
 * @IOMMUFD_NESTED_STAGE1: through the guest's tables
 * @IOMMUFD_NESTED_SHADOW: through a mirror of the guest's tables, see
 *                         <hw/iommufd-shadow.h>
 */
typedef enum IOMMUFDNestedState {
    IOMMUFD_NESTED_BLOCKED,
    IOMMUFD_NESTED_STAGE2,
    IOMMUFD_NESTED_BYPASS,
    IOMMUFD_NESTED_STAGE1,
    IOMMUFD_NESTED_SHADOW,
} IOMMUFDNestedState;

/**
 * struct IOMMUFDNestedTranslation - what a RID or PASID shall see
 *
 * @state: see the enum
 * @reason: BLOCKED: why, for humans and queries; static or interned
 * @mistake: BLOCKED: not because the guest wishes it so, but because what it
 *           asks for cannot be had: management is told (NESTED_IOMMU_BLOCKED)
 * @data_type: STAGE1: enum iommu_hwpt_data_type
 * @data: STAGE1: for the host, copied; unused bytes and padding zero, because
 *        equal bytes in one @domain behind one host instance share one HWPT.
 *        SHADOW: the same, for IOMMUFDNestedShadowNext
 * @data_len: STAGE1, SHADOW: at most IOMMUFD_NESTED_DATA_MAX
 * @last: SHADOW: the last address that the tables translate
 * @host_last: SHADOW: the last one that the host can map for them, the same for
 *             all behind one host instance; 0: not known
 * @flags: SHADOW: enum iommufd_hwpt_alloc_flags that its HWPT takes, the same
 *         for all behind one host instance; what the parent has of
 *         IOMMU_HWPT_ALLOC_PASID is added
 * @page_requests: STAGE1: give the HWPT a fault queue. The kernel refuses the
 *                 attach (ENODEV, EINVAL) unless it has switched PRI and ATS
 *                 of the device on, and to a VF of a function with PRI. The
 *                 device is then attached without, as it is from then on, and
 *                 the user is told. When they are no longer asked for and
 *                 nothing else changes, the HWPT stays, and what the device
 *                 asks is answered INVALID.
 * @pasid_flag: STAGE1: the HWPT takes PASIDs (IOMMU_HWPT_ALLOC_PASID); always
 *              set for a PASID, to be set for the RID of a device whose
 *              parent has it
 * @domain: index for invalidations: the guest's domain id (VT-d)
 * @index_pasid: index for invalidations: the PASID as the guest's commands
 *               name it (VT-d: the PASID, or RID_PASID for the RID)
 */
typedef struct IOMMUFDNestedTranslation {
    IOMMUFDNestedState state;
    const char *reason;
    bool mistake;
    uint32_t data_type;
    const void *data;
    uint32_t data_len;
    uint64_t last;
    uint64_t host_last;
    uint32_t flags;
    bool page_requests;
    bool pasid_flag;
    uint32_t domain;
    uint32_t index_pasid;
} IOMMUFDNestedTranslation;

/**
 * iommufd_nested_set() - say where requests of a RID or a PASID go
 * @dev: the device
 * @pasid: a PASID, or IOMMUFD_NESTED_RID
 * @t: the translation; NULL: a PASID the guest no longer has (for the RID the
 *     same as IOMMUFD_NESTED_BLOCKED)
 * @errp: set on failure
 *
 * Finds or makes the HWPT; attaches it in place of what was there, in one call
 * (VFIO_DEVICE_ATTACH_IOMMUFD_PT), in which the host may stop DMA for a moment;
 * drops the old HWPT if nobody else uses it.
 * No ioctl is made when nothing changed. A HWPT that goes takes the entries
 * queued for it along: the host flushes what it detaches. Replacing a HWPT
 * with a fault queue has the kernel answer its pending page requests, and the
 * core forgets them.
 *
 * On failure the RID or PASID is BLOCKED, whatever it was before. EBUSY is no
 * failure: the device is being reset, stays blocked until the core can do
 * what was asked for, and IOMMUFDNestedOps.blocked tells if it never can.
 *
 * Return: true if @t is, or after a reset will be, in force.
 */
bool iommufd_nested_set(IOMMUFDNestedDevice *dev, uint32_t pasid,
                        const IOMMUFDNestedTranslation *t, Error **errp);

/**
 * iommufd_nested_get() - where requests of a RID or a PASID go
 * @reason: if not NULL: why BLOCKED, else NULL
 */
IOMMUFDNestedState iommufd_nested_get(const IOMMUFDNestedDevice *dev,
                                      uint32_t pasid, const char **reason);

/**
 * typedef IOMMUFDNestedBoundFn - visit a PASID with a translation
 *
 * May call iommufd_nested_set() for any device and PASID, and queue and flush
 * invalidations; the visit is of those that were there when it began and
 * still are.
 */
typedef void (*IOMMUFDNestedBoundFn)(IOMMUFDNestedDevice *dev, uint32_t pasid,
                                     void *arg);

/* Every PASID of @dev that iommufd_nested_set() was told about, not the RID */
void iommufd_nested_foreach_pasid(IOMMUFDNestedDevice *dev,
                                  IOMMUFDNestedBoundFn fn, void *arg);

/* Was anything given this @domain, in whatever state it is? */
bool iommufd_nested_in_domain(IOMMUFDNested *n, uint32_t domain);

/**
 * iommufd_nested_walk() - go through all with this @domain, in any state
 *
 * One walk at a time; it may take as long as it likes, and
 * iommufd_nested_set() may be called for any device and PASID meanwhile. Those
 * that go before it comes to them are not met; those that come may be. Cost:
 * those found.
 */
void iommufd_nested_walk(IOMMUFDNested *n, uint32_t domain);

/**
 * iommufd_nested_walk_next() - the next one
 * @pasid: IOMMUFD_NESTED_RID or the PASID
 *
 * Return: the device, NULL: that was all.
 */
IOMMUFDNestedDevice *iommufd_nested_walk_next(IOMMUFDNested *n,
                                              uint32_t *pasid);

/* ------------------------------------------------------------------------ */
/* Invalidations                                                             */

/**
 * struct IOMMUFDNestedInvError - which entry the host refused
 *
 * @cookie: as given with the entry; the earliest one if several targets fail
 * @err: positive errno of the ioctl
 * @done: entries of this target that had been done before it
 */
typedef struct IOMMUFDNestedInvError {
    uint64_t cookie;
    int err;
    uint32_t done;
} IOMMUFDNestedInvError;

/*
 * Entries are queued, and reach the host at the guest's synchronisation point
 * through iommufd_nested_inv_flush(): one IOMMU_HWPT_INVALIDATE for each
 * target and each inv_piece entries of it, in the order they were queued. A
 * target is a stage-1 HWPT or a host vIOMMU. When max_batch entries wait,
 * counted for each target they go to, queueing flushes everything early.
 *
 * @entry is inv_len bytes and copied; @cookie comes back in
 * IOMMUFDNestedInvError, e.g. the index in the guest's queue. An append
 * function fails only if an early flush fails; the new entry is then *not*
 * queued. @fail may be NULL.
 */

/* To the HWPTs bound under (@domain, @index_pasid); each gets it once */
bool iommufd_nested_inv_bound(IOMMUFDNested *n, uint32_t domain,
                              uint32_t index_pasid, const void *entry,
                              uint64_t cookie, IOMMUFDNestedInvError *fail,
                              Error **errp);

/* To the HWPTs bound under @domain; each gets it once */
bool iommufd_nested_inv_domain(IOMMUFDNested *n, uint32_t domain,
                               const void *entry, uint64_t cookie,
                               IOMMUFDNestedInvError *fail, Error **errp);

/* To every HWPT; each gets it once */
bool iommufd_nested_inv_all(IOMMUFDNested *n, const void *entry,
                            uint64_t cookie, IOMMUFDNestedInvError *fail,
                            Error **errp);

/* To the host vIOMMU that @dev is behind */
bool iommufd_nested_inv_device(IOMMUFDNestedDevice *dev, const void *entry,
                               uint64_t cookie, IOMMUFDNestedInvError *fail,
                               Error **errp);

/* To every host vIOMMU */
bool iommufd_nested_inv_viommus(IOMMUFDNested *n, const void *entry,
                                uint64_t cookie, IOMMUFDNestedInvError *fail,
                                Error **errp);

/**
 * iommufd_nested_inv_flush() - hand everything queued to the host
 * @fail: if not NULL: filled in on failure
 * @errp: set on failure
 *
 * Interrupted calls (EINTR, EAGAIN) go on behind the last entry done. On any
 * other error the failing target's entries from the failing one on are
 * dropped: the guest is expected to find its queue stopped at that command
 * and to issue the rest again. The other targets' entries are still done.
 * The kernel may count entries before the failing one as done that it checked
 * and did not issue: those of a vIOMMU are handed to it again.
 *
 * Fail closed: if the target is a HWPT, everything attached to it is BLOCKED.
 * If it is a vIOMMU and the error is EIO (the kernel refused the command as
 * malformed and did not start it), nothing is blocked: the guest learns which
 * command was not done. With any other error every device behind it is; but
 * with ETIMEDOUT only if what is not for device TLBs (see
 * IOMMUFDNestedOps.device_tlb) cannot be done by itself. Of the devices then
 * those that do not answer are: at most three are waited for, and any that
 * have not been tried by then are blocked as well.
 *
 * A target that is not done with an entry, except by EIO, owes inv_everything,
 * whether anything was attached or not: nothing is attached to it, or to a
 * HWPT of it, before the host has done that. iommufd_nested_set() sees to it
 * and fails if the host does not.
 *
 * Return: true if the host has done all of it.
 */
bool iommufd_nested_inv_flush(IOMMUFDNested *n, IOMMUFDNestedInvError *fail,
                              Error **errp);

/**
 * iommufd_nested_inv_settle() - have what is owed done now
 * @errp: set on failure: the first of them
 *
 * Return: true if no target owes anything any more.
 */
bool iommufd_nested_inv_settle(IOMMUFDNested *n, Error **errp);

/**
 * iommufd_nested_inv_owe() - the guest's memory is another one now
 *
 * To be called when a state has been loaded: what the host has cached comes
 * from tables of a time that is no more. Everything owes inv_everything.
 */
void iommufd_nested_inv_owe(IOMMUFDNested *n);

/* Whether anything is queued */
bool iommufd_nested_inv_pending(const IOMMUFDNested *n);

/**
 * iommufd_nested_inv_repeat() - hand every batch to the host twice
 *
 * For hosts with IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI. For the
 * host vIOMMU @dev is behind, until its last device goes.
 */
void iommufd_nested_inv_repeat(IOMMUFDNestedDevice *dev);

/* ------------------------------------------------------------------------ */
/* Page requests                                                             */

/**
 * iommufd_nested_page_response() - the guest answers a page request group
 * @dev: the device
 * @pasid: as in IOMMUFDNestedPageGroup
 * @index: as in IOMMUFDNestedPageGroup
 * @success: SUCCESS or INVALID
 *
 * Groups with the same PASID and index are answered oldest first. The answer
 * is written by iommufd_nested_page_flush(), at the latest, and before the
 * caller does anything else.
 *
 * Return: false if nothing waits for this answer (never asked, answered
 * before, timed out, or its HWPT was replaced): counted, otherwise ignored.
 */
bool iommufd_nested_page_response(IOMMUFDNestedDevice *dev, uint32_t pasid,
                                  uint32_t index, bool success);

/* Have the host take the answers now: to be called behind some in a row */
void iommufd_nested_page_flush(IOMMUFDNested *n);

/* Page request groups that wait for the guest */
size_t iommufd_nested_page_pending(const IOMMUFDNested *n);

/**
 * iommufd_nested_page_drain() - answer what is pending with INVALID
 * @pasid: of this PASID, or IOMMUFD_NESTED_RID for requests without
 *
 * Reads the host's queue first, so that what was asked before is answered.
 */
void iommufd_nested_page_drain(IOMMUFDNestedDevice *dev, uint32_t pasid);

#endif /* HW_IOMMUFD_H */
