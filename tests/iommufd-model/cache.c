/*
 * Model of /dev/iommu: caches that never forget
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>
#include <string.h>

#include "cache.h"

#define CACHE_MIN_BUCKETS 256

static uint64_t shift_down(uint64_t addr, unsigned shift)
{
    return shift >= 64 ? 0 : addr >> shift;
}

static size_t cache_hash(const HwCache *cache, uint8_t kind, uint32_t space,
                         uint32_t ctx, unsigned shift, uint64_t addr)
{
    uint64_t h = shift_down(addr, shift);

    h = (h ^ ((uint64_t)space << 32 | ctx)) * 0x9e3779b97f4a7c15ULL;
    h = (h ^ (h >> 29) ^ kind ^ ((uint64_t)shift << 8)) *
        0xbf58476d1ce4e5b9ULL;
    return (h ^ (h >> 32)) & (cache->nr_buckets - 1);
}

static void *cache_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p) {
        abort();
    }
    return p;
}

void cache_init(HwCache *cache)
{
    memset(cache, 0, sizeof(*cache));
    cache->nr_buckets = CACHE_MIN_BUCKETS;
    cache->bucket = cache_alloc(cache->nr_buckets, sizeof(*cache->bucket));
}

void cache_fini(HwCache *cache)
{
    const HwDrop all = {
        .kinds = ~0u,
        .any_space = true,
        .any_ctx = true,
    };

    cache_drop(cache, &all);
    free(cache->bucket);
    memset(cache, 0, sizeof(*cache));
}

static void cache_grow(HwCache *cache)
{
    HwEntry **old = cache->bucket, *e, *next;
    size_t n = cache->nr_buckets, i, h;

    cache->nr_buckets = n * 2;
    cache->bucket = cache_alloc(cache->nr_buckets, sizeof(*cache->bucket));
    for (i = 0; i < n; i++) {
        for (e = old[i]; e; e = next) {
            next = e->next;
            h = cache_hash(cache, e->kind, e->space, e->ctx, e->shift,
                           e->addr);
            e->next = cache->bucket[h];
            cache->bucket[h] = e;
        }
    }
    free(old);
}

HwEntry *cache_find(HwCache *cache, uint8_t kind, uint32_t space,
                    uint32_t ctx, unsigned shift, uint64_t addr)
{
    size_t h = cache_hash(cache, kind, space, ctx, shift, addr);
    HwEntry *e;

    for (e = cache->bucket[h]; e; e = e->next) {
        if (e->kind == kind && e->shift == shift && e->space == space &&
            e->ctx == ctx &&
            shift_down(e->addr ^ addr, shift) == 0) {
            return e;
        }
    }
    return NULL;
}

HwEntry *cache_leaf(HwCache *cache, uint32_t space, uint32_t ctx,
                    uint64_t addr)
{
    unsigned shift;

    for (shift = 0; shift <= 64; shift++) {
        HwEntry *e;

        if (!cache->by_shift[shift]) {
            continue;
        }
        e = cache_find(cache, HW_LEAF, space, ctx, shift, addr);
        if (e) {
            return e;
        }
    }
    return NULL;
}

HwEntry *cache_insert(HwCache *cache, const HwEntry *tmpl)
{
    HwEntry *e = cache_find(cache, tmpl->kind, tmpl->space, tmpl->ctx,
                            tmpl->shift, tmpl->addr);
    HwEntry *next;
    size_t h;

    if (!e) {
        if (cache->count >= cache->nr_buckets * 2) {
            cache_grow(cache);
        }
        e = cache_alloc(1, sizeof(*e));
        h = cache_hash(cache, tmpl->kind, tmpl->space, tmpl->ctx,
                       tmpl->shift, tmpl->addr);
        e->next = cache->bucket[h];
        cache->bucket[h] = e;
        cache->count++;
        cache->by_shift[tmpl->shift]++;
    }
    next = e->next;
    *e = *tmpl;
    e->next = next;
    return e;
}

static uint64_t entry_last(const HwEntry *e)
{
    return e->shift >= 64 ? UINT64_MAX :
                            e->addr + ((1ULL << e->shift) - 1);
}

static bool drop_matches(const HwDrop *d, const HwEntry *e)
{
    if (!(d->kinds & e->kind) || (!d->any_space && e->space != d->space)) {
        return false;
    }
    if (!d->any_ctx && e->ctx != d->ctx &&
        !(d->global && e->ctx == HW_CTX_GLOBAL)) {
        return false;
    }
    if (d->granule && e->granule != d->granule) {
        return false;
    }
    if (d->level && e->kind == HW_LEAF && e->level != d->level) {
        return false;
    }
    if (!d->ranged) {
        return true;
    }
    if (d->whole_leaf && e->kind == HW_LEAF) {
        return e->addr >= d->first && entry_last(e) <= d->last;
    }
    return e->addr <= d->last && entry_last(e) >= d->first;
}

static HwEntry **spill;

void cache_spill(HwEntry **list)
{
    spill = list;
}

size_t cache_drop(HwCache *cache, const HwDrop *drop)
{
    size_t i, dropped = 0;

    for (i = 0; i < cache->nr_buckets; i++) {
        HwEntry **link = &cache->bucket[i];

        while (*link) {
            HwEntry *e = *link;

            if (!drop_matches(drop, e)) {
                link = &e->next;
                continue;
            }
            *link = e->next;
            cache->by_shift[e->shift]--;
            cache->count--;
            dropped++;
            if (spill) {
                e->next = *spill;
                *spill = e;
            } else {
                free(e);
            }
        }
    }
    return dropped;
}

void cache_foreach(const HwCache *cache,
                   bool (*fn)(const HwEntry *entry, void *opaque),
                   void *opaque)
{
    size_t i;

    for (i = 0; i < cache->nr_buckets; i++) {
        const HwEntry *e;

        for (e = cache->bucket[i]; e; e = e->next) {
            if (!fn(e, opaque)) {
                return;
            }
        }
    }
}
