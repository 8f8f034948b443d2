/*
 * Nested IOMMU core: what an IOAS of vfio has mapped, and what that has cost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_MAP_H
#define HW_IOMMUFD_MAP_H

#include "exec/hwaddr.h"
#include "qemu/interval-tree.h"
#include "qemu/queue.h"

typedef struct VFIODevice VFIODevice;
typedef struct VFIOIOMMUFDContainer VFIOIOMMUFDContainer;

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
    uint64_t shared;            /* or without locking it: copies, BARs */
    uint64_t large;             /* of both, where large pages fit */
    IOMMUFDMapCost map;
    IOMMUFDMapCost copy;
    IOMMUFDMapCost unmap;
    QTAILQ_ENTRY(IOMMUFDMapRegion) next;
} IOMMUFDMapRegion;

/* A part of the BAR of a device */
typedef struct IOMMUFDBar {
    VFIODevice *vbasedev;       /* NULL: it is memory instead */
    uint32_t region;            /* of vfio */
    uint64_t offset;            /* in that */
} IOMMUFDBar;

/* What is to be mapped: memory at @vaddr, from @start on of @fd, or a BAR */
typedef struct IOMMUFDMapRequest {
    hwaddr iova;
    uint64_t size;
    void *vaddr;
    int fd;
    unsigned long start;
    bool readonly;
    const char *name;
    uint64_t page_size;
    IOMMUFDBar bar;
} IOMMUFDMapRequest;

/* The kernel unmaps whole areas: it is told of none that is not there */
typedef struct IOMMUFDMapArea {
    IntervalTreeNode node;
    IOMMUFDMapRegion *region;
    uint64_t large;
    bool shared;
    bool readonly;
    IOMMUFDBar bar;
    bool absent;                /* a BAR that is to be mapped later */
} IOMMUFDMapArea;

/* What has been mapped in an IOAS */
typedef struct IOMMUFDMaps {
    VFIOIOMMUFDContainer *container;
    bool memory;                /* guest-physical; else only BARs are here */
    IntervalTreeRoot areas;     /* IOMMUFDMapArea */
    QTAILQ_HEAD(, IOMMUFDMapRegion) regions;    /* in order of appearance */
    QLIST_ENTRY(IOMMUFDMaps) next;
} IOMMUFDMaps;

/* The next IOAS, or the first, that has guest-physical addresses; or NULL */
const IOMMUFDMaps *iommufd_maps_next(const IOMMUFDMaps *maps);

/**
 * iommufd_bar_find() - what part of a device's BAR is to be mapped
 * @req: its address in this process; @bar is filled in
 *
 * Return: false if @mr is of no device of vfio's.
 */
bool iommufd_bar_find(IOMMUFDMapRequest *req, const MemoryRegion *mr);

/**
 * iommufd_bar_map() - map a part of a BAR in an IOAS, for other devices
 * @absent: set if that has to wait
 *
 * Where the host cannot, the user is told once.
 *
 * Return: 0 or a negative errno.
 */
int iommufd_bar_map(const VFIOIOMMUFDContainer *container,
                    const IOMMUFDMapRequest *req, bool *absent);

/* What vfio has mapped in an IOAS, or NULL; valid until the BQL is released */
const IOMMUFDMaps *iommufd_sys_maps(int iommufd, uint32_t ioas);

#endif
