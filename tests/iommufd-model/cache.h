/*
 * Model of /dev/iommu: caches that never forget
 *
 * An entry stays until cache_drop() names it.  No capacity, no ageing: a
 * guest that relies on eviction is a guest that works by luck.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IOMMUFD_MODEL_CACHE_H
#define IOMMUFD_MODEL_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of entry; a bit each so that an invalidation can name several */
enum {
    HW_LEAF     = 1 << 0,       /* input page to output page */
    HW_TABLE    = 1 << 1,       /* input range to next-level table */
    HW_CD       = 1 << 2,       /* SMMUv3 context descriptor */
    HW_CDTAB    = 1 << 3,       /* SMMUv3 level-1 CD table descriptor */
};

/* HwEntry.ctx of an SMMUv3 entry that any ASID may hit */
#define HW_CTX_GLOBAL   (UINT32_MAX - 1)

typedef struct HwEntry {
    struct HwEntry *next;       /* same bucket */
    uint8_t kind;
    uint8_t shift;              /* log2 of the input bytes it covers */
    uint8_t level;              /* SMMUv3: level of the descriptor */
    uint8_t granule;            /* SMMUv3: log2 of the granule */
    uint32_t space;             /* domain id, VMID or StreamID */
    uint32_t ctx;               /* PASID, ASID or SubstreamID */
    uint32_t perm;              /* private to who fills it */
    uint64_t addr;              /* input, aligned to 1 << shift */
    uint64_t out;               /* page or table it leads to */
    void *ref;                  /* ATC: stage-2 HWPT of @out */
    uint64_t cd[8];             /* HW_CD only */
    /* The request that brought it in, for hw_refetch_end() */
    struct MdlDevice *dev;
    uint32_t pasid;
    uint64_t wanted;
} HwEntry;

typedef struct HwCache {
    HwEntry **bucket;
    size_t nr_buckets, count;
    size_t by_shift[65];        /* entries of each size */
} HwCache;

/* What an invalidation names */
typedef struct HwDrop {
    unsigned kinds;
    bool any_space, any_ctx;
    uint32_t space, ctx;
    bool global;                /* HW_CTX_GLOBAL matches as well as @ctx */
    bool ranged;                /* [first, last], else every address */
    uint64_t first, last;
    bool whole_leaf;            /* leaf must lie in the range altogether */
    unsigned level;             /* leaf level, 0: any */
    unsigned granule;           /* log2, 0: any */
} HwDrop;

void cache_init(HwCache *cache);
void cache_fini(HwCache *cache);

/* The entry with just this size and these tags, or NULL */
HwEntry *cache_find(HwCache *cache, uint8_t kind, uint32_t space,
                    uint32_t ctx, unsigned shift, uint64_t addr);

/* The smallest leaf that covers @addr, or NULL */
HwEntry *cache_leaf(HwCache *cache, uint32_t space, uint32_t ctx,
                    uint64_t addr);

/* Copy @tmpl in, in place of an entry of the same size and tags */
HwEntry *cache_insert(HwCache *cache, const HwEntry *tmpl);

/* Returns: how many entries went */
size_t cache_drop(HwCache *cache, const HwDrop *drop);

/* What is dropped from any cache is put into @list, until NULL is given */
void cache_spill(HwEntry **list);

/* Calls @fn for every entry until it returns false */
void cache_foreach(const HwCache *cache,
                   bool (*fn)(const HwEntry *entry, void *opaque),
                   void *opaque);

#endif
