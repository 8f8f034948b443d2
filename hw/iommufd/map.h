/*
 * Nested IOMMU core: what an IOAS of vfio has mapped, and what that has cost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_MAP_H
#define HW_IOMMUFD_MAP_H

#include "qemu/interval-tree.h"
#include "qemu/queue.h"

/* Calls of one kind that have been done */
typedef struct IOMMUFDMapCost {
    uint64_t calls;
    uint64_t bytes;
    uint64_t ns;
} IOMMUFDMapCost;

/* What has been mapped of a memory region */
typedef struct IOMMUFDMapRegion {
    char *name;
    uint64_t page_size;         /* of what backs it on the host */
    uint64_t locked;            /* bytes that are mapped now by IOAS_MAP */
    uint64_t shared;            /* and by IOAS_COPY */
    uint64_t large;             /* of both, where large pages fit */
    IOMMUFDMapCost map;
    IOMMUFDMapCost copy;
    IOMMUFDMapCost unmap;
    QTAILQ_ENTRY(IOMMUFDMapRegion) next;
} IOMMUFDMapRegion;

/* An IOAS that has guest-physical addresses */
typedef struct IOMMUFDMaps {
    IntervalTreeRoot areas;     /* IOMMUFDMapArea */
    QTAILQ_HEAD(, IOMMUFDMapRegion) regions;    /* in order of appearance */
} IOMMUFDMaps;

/* What vfio has mapped in an IOAS, or NULL; valid until the BQL is released */
const IOMMUFDMaps *iommufd_sys_maps(int iommufd, uint32_t ioas);

#endif
