/*
 * Nested IOMMU core: command queues that a guest has to itself
 *
 * Part of the contract that hw/iommufd.h is. Some hosts' IOMMUs have queues
 * that can be given to a guest: the IOMMU reads commands from the guest's
 * memory, and the guest tells it of them in a page of registers that is mapped
 * into its address space. Nobody else hears of these commands.
 *
 * Locking, failure and the kernel facts: see hw/iommufd.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_QUEUE_H
#define HW_IOMMUFD_QUEUE_H

#include "hw/iommufd.h"

/**
 * struct IOMMUFDNestedQueues - host vIOMMUs that have queues for a guest
 *
 * @viommu_type: enum iommu_viommu_type, in place of that of the config
 * @data_len: bytes of data that the kernel fills in when it makes a vIOMMU of
 *            that type, at most IOMMUFD_NESTED_DATA_MAX
 * @where: which part of the iommufd the page is, from that data
 * @queue_type: enum iommu_hw_queue_type
 * @page: where the page is mapped, for as long as there is a host instance; at
 *        all other times there are zeroes. Private memory from mmap(), aligned
 *        to the host's pages. While it may be in the guest's address space, the
 *        last device must not go.
 * @page_len: its length in bytes, which must be what the host has
 * @veventq_type: enum iommu_veventq_type of what the queues report; 0: none
 * @veventq_depth: events the host keeps for us at most
 * @event_len: bytes of such an event, at most IOMMUFD_NESTED_EVENT_MAX
 * @event, @events_lost: as in IOMMUFDNestedOps, of these events
 * @memory_goes: memory that a queue is in goes from the guest, in the middle of
 *               a change of its address space: to be followed by
 *               iommufd_nested_queues_cut() of all of them at once
 */
typedef struct IOMMUFDNestedQueues {
    uint32_t viommu_type;
    uint32_t data_len;
    void (*where)(const void *data, uint64_t *offset, uint64_t *length);
    uint32_t queue_type;
    void *page;
    size_t page_len;
    uint32_t veventq_type;
    uint32_t veventq_depth;
    uint32_t event_len;
    void (*event)(void *opaque, const void *data, size_t len);
    void (*events_lost)(void *opaque, uint32_t count);
    void (*memory_goes)(void *opaque);
} IOMMUFDNestedQueues;

/**
 * iommufd_nested_host_info_of() - ask the host about one type of hardware
 * @idev: the device
 * @type: enum iommu_hw_info_type
 * @data: filled in; what the kernel does not know of it becomes zero
 * @len: bytes of @data
 * @errp: set on failure: the host has no such hardware, or its kernel is too
 *        old to tell
 */
bool iommufd_nested_host_info_of(HostIOMMUDeviceIOMMUFD *idev, uint32_t type,
                                 void *data, size_t len, Error **errp);

/**
 * iommufd_nested_want_queues() - what vIOMMUs are made from now on
 * @n: must have no devices
 * @queues: not copied; NULL: those of IOMMUFDNestedConfig
 *
 * With @queues there is one host instance at most: a device behind another
 * IOMMU of the host is refused by iommufd_nested_device_add(), as is the first
 * device if the host has nothing left to give.
 */
void iommufd_nested_want_queues(IOMMUFDNested *n,
                                const IOMMUFDNestedQueues *queues);

/**
 * iommufd_nested_has_page() - is there a host instance with queues?
 *
 * Then IOMMUFDNestedQueues.page is mapped.
 */
bool iommufd_nested_has_page(const IOMMUFDNested *n);

/* Queues that the host has, which have the indices below that */
uint32_t iommufd_nested_queues(const IOMMUFDNested *n);

/**
 * iommufd_nested_queue_add() - have the host make a queue
 * @n: iommufd_nested_has_page()
 * @gpa: guest-physical address of the queue
 * @length: in bytes
 * @errp: set on failure, after which there are the queues that there were
 *
 * Its index is the next one. It is in the state of a reset, and what enables it
 * is in the page.
 *
 * The host takes memory that is in one piece there, and holds it: what maps it
 * for devices cannot be unmapped before the queue has gone.
 */
bool iommufd_nested_queue_add(IOMMUFDNested *n, uint64_t gpa, uint64_t length,
                              Error **errp);

/**
 * iommufd_nested_queues_cut() - take the last queues away
 * @num: how many stay
 *
 * The host stops a queue before it goes.
 */
void iommufd_nested_queues_cut(IOMMUFDNested *n, uint32_t num);

#endif /* HW_IOMMUFD_QUEUE_H */
