/*
 * Nested IOMMU core: memory that the guest is given later
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_MEMORY_H
#define HW_IOMMUFD_MEMORY_H

#include "exec/hwaddr.h"

typedef struct MemoryRegion MemoryRegion;

/**
 * iommufd_nested_check_plug() - before memory is plugged
 * @mr: the memory
 * @addr: where it is going to be, guest-physical
 * @errp: names range, limit, device and remedy
 *
 * Called with the BQL held. Once memory is there it is too late: what vfio
 * cannot map ends the VM.
 *
 * Return: false if the host does not map it for an assigned device.
 */
bool iommufd_nested_check_plug(const MemoryRegion *mr, hwaddr addr,
                               Error **errp);

/**
 * iommufd_nested_no_discard() - whether memory must stay that is given back
 *
 * Pages that the host has locked for devices stay locked, and devices go on
 * using them. The user is told so, once.
 *
 * Return: ram_block_discard_is_disabled()
 */
bool iommufd_nested_no_discard(void);

#endif
