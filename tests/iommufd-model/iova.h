/*
 * Model of /dev/iommu: areas, reserved and allowed ranges of an IOAS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IOMMUFD_MODEL_IOVA_H
#define IOMMUFD_MODEL_IOVA_H

#include "objects.h"

/* Whose locked memory pinned pages are */
typedef enum MdlAccount {
    MDL_ACCOUNT_NONE,
    MDL_ACCOUNT_USER,
    MDL_ACCOUNT_MM,
} MdlAccount;

typedef struct MdlGhost MdlGhost;       /* private to pin.c */

/* Where in this process the pages are that a device has */
typedef struct MdlSegment {
    uint64_t start, length;             /* from the first page on */
    uint64_t host;
    MdlGhost *ghost;                    /* NULL: the process has them, too */
} MdlSegment;

/* Memory of this process that areas map; shared by copies of a mapping */
typedef struct MdlPages {
    unsigned refs;
    uint64_t va, length;
    uint64_t counted;                   /* by which mdl_iova_pinned() */
    bool writable;
    MdlAccount account;
    MdlDmabuf *dmabuf;                  /* @va is an offset in it */
    bool revoked;                       /* it was: mapped to nothing */
    bool file;                          /* IOAS_MAP_FILE */
    void *file_map;                     /* own mapping; NULL: EINVAL to pin */
    size_t file_len;
    /* Private to pin.c: while a page of it is pinned */
    uint32_t *pins;                     /* by page: areas in page tables */
    uint64_t npinned;
    MdlSegment *seg;
    unsigned nr_segs;
    struct MdlPages *next;
} MdlPages;

typedef struct MdlRange {
    uint64_t first, last;
    const void *owner;
} MdlRange;

typedef struct MdlIova {
    MdlArea *areas;                     /* ascending, disjoint */
    unsigned nr_areas, room;
    MdlRange *reserved;
    unsigned nr_reserved;
    MdlRange *allowed;
    unsigned nr_allowed;
    MdlHwpt **domains;
    unsigned nr_domains;
    uint64_t alignment;
    bool no_large_pages;
} MdlIova;

MdlPages *mdl_pages_new(uint64_t va, uint64_t length, bool writable);
void mdl_pages_put(MdlPages *pages);

/* Of what is mapped now; @mm: counts with the process, not with the user */
MdlAccount mdl_pin_account(bool mm);
/* Part of @p for one area; 0, -EFAULT or -ENOMEM: beyond the limit */
int mdl_pages_pin(MdlPages *p, uint64_t va, uint64_t len);
void mdl_pages_unpin(MdlPages *p, uint64_t va, uint64_t len);
/* Where what was pinned at @va is; @length: as far as it goes on like that */
void *mdl_pages_host(const MdlPages *p, uint64_t va, uint64_t *length);

void mdl_range_insert(MdlRange **r, unsigned *nr, MdlRange range);
bool mdl_range_clash(const MdlRange *r, unsigned nr, uint64_t first,
                     uint64_t last);
unsigned mdl_area_find(const MdlIova *iova, uint64_t addr);
void mdl_area_insert(MdlIova *iova, MdlArea area);
void mdl_area_remove(MdlIova *iova, unsigned i);

bool mdl_iova_next_hole(const MdlIova *iova, bool areas, uint64_t first,
                        uint64_t last, uint64_t *hole, uint64_t *hole_last);
int mdl_iova_alloc(const MdlIova *iova, uint64_t addr, uint64_t length,
                   uint64_t *out);
int mdl_iova_check(const MdlIova *iova, uint64_t start, uint64_t length);
int mdl_iova_fill(const MdlIova *iova, const MdlArea *a);
/* Takes @allowed over when it succeeds */
int mdl_iova_set_allowed(MdlIova *iova, MdlRange *allowed, unsigned nr);
int mdl_iova_set_large_pages(MdlIova *iova, bool on);

#endif
