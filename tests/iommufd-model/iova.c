/*
 * Model of /dev/iommu: areas, reserved and allowed ranges of an IOAS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules follow Linux 7.3, drivers/iommu/iommufd/io_pagetable.c.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "iova.h"

struct MdlIova *mdl_iova_new(void)
{
    MdlIova *iova = calloc(1, sizeof(*iova));

    if (!iova) {
        abort();
    }
    iova->alignment = 1;
    return iova;
}

void mdl_iova_free(struct MdlIova *iova)
{
    while (iova->nr_areas) {
        mdl_area_remove(iova, iova->nr_areas - 1);
    }
    free(iova->areas);
    free(iova->reserved);
    free(iova->allowed);
    free(iova->domains);
    free(iova);
}

/* ---------------------------------------------------------------- pages */

MdlPages *mdl_pages_new(uint64_t va, uint64_t length, bool writable)
{
    MdlPages *pages = calloc(1, sizeof(*pages));

    if (!pages) {
        abort();
    }
    pages->refs = 1;
    pages->va = va;
    pages->length = length;
    pages->writable = writable;
    return pages;
}

void mdl_pages_put(MdlPages *pages)
{
    if (!pages || --pages->refs) {
        return;
    }
    if (pages->file_map) {
        munmap(pages->file_map, pages->file_len);
    }
    if (pages->dmabuf) {
        mdl_dmabuf_put(pages->dmabuf);
    }
    free(pages);
}

/* --------------------------------------------------------------- ranges */

static bool range_overlaps(const MdlRange *r, unsigned nr, uint64_t first,
                           uint64_t last)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        if (r[i].first <= last && r[i].last >= first) {
            return true;
        }
    }
    return false;
}

/* Sorted by start; ranges of several owners may overlap */
void mdl_range_insert(MdlRange **r, unsigned *nr, MdlRange range)
{
    unsigned i = *nr;

    *r = realloc(*r, (*nr + 1) * sizeof(**r));
    if (!*r) {
        abort();
    }
    while (i && (*r)[i - 1].first > range.first) {
        (*r)[i] = (*r)[i - 1];
        i--;
    }
    (*r)[i] = range;
    (*nr)++;
}

/* First area that ends at or behind @addr; areas never overlap */
unsigned mdl_area_find(const MdlIova *iova, uint64_t addr)
{
    unsigned lo = 0, hi = iova->nr_areas;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const MdlArea *a = &iova->areas[mid];

        if (a->iova + (a->length - 1) < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool area_overlaps(const MdlIova *iova, uint64_t first, uint64_t last)
{
    unsigned i = mdl_area_find(iova, first);

    return i < iova->nr_areas && iova->areas[i].iova <= last;
}

/**
 * mdl_iova_next_hole: next stretch from @first on that is not used.
 * @reserved, @areas: what counts as used
 *
 * Returns: false when everything up to @last is used
 */
bool mdl_iova_next_hole(const MdlIova *iova, bool areas, uint64_t first,
                        uint64_t last, uint64_t *hole, uint64_t *hole_last)
{
    bool moved = true;
    unsigned i;

    *hole = first;
    while (moved) {
        moved = false;
        for (i = 0; i < iova->nr_reserved; i++) {
            const MdlRange *r = &iova->reserved[i];

            if (r->first <= *hole && r->last >= *hole) {
                if (r->last >= last) {
                    return false;
                }
                *hole = r->last + 1;
                moved = true;
            }
        }
        i = areas ? mdl_area_find(iova, *hole) : iova->nr_areas;
        if (i < iova->nr_areas && iova->areas[i].iova <= *hole) {
            uint64_t end = iova->areas[i].iova + (iova->areas[i].length - 1);

            if (end >= last) {
                return false;
            }
            *hole = end + 1;
            moved = true;
        }
    }
    *hole_last = last;
    for (i = 0; i < iova->nr_reserved; i++) {
        if (iova->reserved[i].first > *hole &&
            iova->reserved[i].first - 1 < *hole_last) {
            *hole_last = iova->reserved[i].first - 1;
        }
    }
    i = areas ? mdl_area_find(iova, *hole) : iova->nr_areas;
    if (i < iova->nr_areas && iova->areas[i].iova - 1 < *hole_last) {
        *hole_last = iova->areas[i].iova - 1;
    }
    return true;
}

static bool fits(uint64_t *start, uint64_t last, uint64_t length,
                 uint64_t align, uint64_t page_offset)
{
    uint64_t aligned;

    if (__builtin_add_overflow(*start, align - 1, &aligned)) {
        return false;
    }
    aligned = (aligned & ~(align - 1)) | page_offset;
    if (aligned >= last || last - aligned < length - 1) {
        return false;
    }
    *start = aligned;
    return true;
}

/* HPAGE_SIZE, the largest alignment an IOVA chosen by the kernel gets */
static uint64_t huge_align(void)
{
    return mdl_host.page_size * (mdl_host.page_size / 8);
}

/* iopt_alloc_iova(): never 0, keeps the low bits of @addr */
int mdl_iova_alloc(const MdlIova *iova, uint64_t addr, uint64_t length,
                   uint64_t *out)
{
    const MdlRange all = {
        mdl_host.page_size, UINT64_MAX - mdl_host.page_size, NULL
    };
    unsigned n = iova->nr_allowed ? iova->nr_allowed : 1;
    uint64_t align = 1, offset = addr % mdl_host.page_size;
    unsigned i;

    if (!length || length >= UINT64_MAX / 2) {
        return -EOVERFLOW;
    }
    while (align < length) {
        align <<= 1;
    }
    if (addr && (addr & -addr) < align) {
        align = addr & -addr;
    }
    if (align > huge_align()) {
        align = huge_align();
    }
    if (align < iova->alignment) {
        return -EINVAL;
    }
    for (i = 0; i < n; i++) {
        const MdlRange *a = iova->nr_allowed ? &iova->allowed[i] : &all;
        uint64_t first = a->first < all.first ? all.first : a->first;
        uint64_t last = a->last > all.last ? all.last : a->last;
        uint64_t hole, hole_last;

        if (first > last || !fits(&first, last, length, align, offset)) {
            continue;
        }
        while (mdl_iova_next_hole(iova, true, first, last, &hole,
                                  &hole_last)) {
            uint64_t next = hole_last;

            if (fits(&hole, hole_last, length, align, offset)) {
                *out = hole;
                return 0;
            }
            if (next >= last) {
                break;
            }
            first = next + 1;
        }
    }
    return -ENOSPC;
}

int mdl_iova_check(const MdlIova *iova, uint64_t start, uint64_t length)
{
    uint64_t last;

    if (start & (iova->alignment - 1)) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(start, length - 1, &last)) {
        return -EOVERFLOW;
    }
    if (range_overlaps(iova->reserved, iova->nr_reserved, start, last)) {
        return -EINVAL;
    }
    return area_overlaps(iova, start, last) ? -EEXIST : 0;
}

void mdl_area_insert(MdlIova *iova, MdlArea area)
{
    unsigned i = mdl_area_find(iova, area.iova);

    if (iova->nr_areas == iova->room) {
        iova->room = iova->room ? 2 * iova->room : 16;
        iova->areas = realloc(iova->areas, iova->room * sizeof(area));
        if (!iova->areas) {
            abort();
        }
    }
    memmove(&iova->areas[i + 1], &iova->areas[i],
            (iova->nr_areas - i) * sizeof(area));
    iova->areas[i] = area;
    iova->nr_areas++;
    area.pages->refs++;
}

void mdl_area_remove(MdlIova *iova, unsigned i)
{
    MdlPages *pages = iova->areas[i].pages;

    if (iova->nr_domains) {
        mdl_pages_unpin(pages, iova->areas[i].va, iova->areas[i].length);
    }
    iova->nr_areas--;
    memmove(&iova->areas[i], &iova->areas[i + 1],
            (iova->nr_areas - i) * sizeof(iova->areas[0]));
    mdl_pages_put(pages);
}

/* ------------------------------------------------------------ reservation */

static int reserve(MdlIova *iova, uint64_t first, uint64_t last,
                   const void *owner)
{
    MdlRange r = { first, last, owner };

    if (area_overlaps(iova, first, last) ||
        range_overlaps(iova->allowed, iova->nr_allowed, first, last)) {
        return -EADDRINUSE;
    }
    mdl_range_insert(&iova->reserved, &iova->nr_reserved, r);
    return 0;
}

void mdl_iova_unreserve(MdlIoas *ioas, const void *owner)
{
    MdlIova *iova = ioas->iova;
    unsigned i, kept = 0;

    for (i = 0; i < iova->nr_reserved; i++) {
        if (iova->reserved[i].owner != owner) {
            iova->reserved[kept++] = iova->reserved[i];
        }
    }
    iova->nr_reserved = kept;
}

int mdl_iova_reserve_device(MdlIoas *ioas, MdlDevice *dev)
{
    MdlResv *r;
    int ret;

    for (r = dev->reserved; r; r = r->next) {
        ret = reserve(ioas->iova, r->first, r->last, dev);
        if (ret) {
            mdl_iova_unreserve(ioas, dev);
            return ret;
        }
    }
    return 0;
}

int mdl_iova_set_allowed(MdlIova *iova, MdlRange *allowed, unsigned nr)
{
    unsigned i;

    for (i = 0; i < nr; i++) {
        if (range_overlaps(iova->reserved, iova->nr_reserved,
                           allowed[i].first, allowed[i].last)) {
            return -EADDRINUSE;
        }
    }
    free(iova->allowed);
    iova->allowed = allowed;
    iova->nr_allowed = nr;
    return 0;
}

bool mdl_range_clash(const MdlRange *r, unsigned nr, uint64_t first,
                     uint64_t last)
{
    return range_overlaps(r, nr, first, last);
}

/* --------------------------------------------------------------- domains */

static int check_alignment(const MdlIova *iova, uint64_t align)
{
    unsigned i;

    for (i = 0; i < iova->nr_areas; i++) {
        const MdlArea *a = &iova->areas[i];

        if ((a->iova | a->length | a->va % mdl_host.page_size) & (align - 1)) {
            return -EADDRINUSE;
        }
    }
    return 0;
}

/* The host's errata keep read-only mappings out of a VT-d nesting parent */
static bool refuses_read_only(const MdlHwpt *hwpt)
{
    return mdl_host.arch == MDL_ARCH_VTD && hwpt->nest_parent &&
           hwpt->iommu->errata;
}

static void unpin_areas(const MdlIova *iova, unsigned num)
{
    while (num--) {
        const MdlArea *a = &iova->areas[num];

        mdl_pages_unpin(a->pages, a->va, a->length);
    }
}

/* Fills one domain with all there is; pages are pinned with the first */
static int fill_domain(const MdlIova *iova, const MdlHwpt *hwpt)
{
    bool first = !iova->nr_domains;
    unsigned i, done = 0;
    int ret = 0;

    for (i = 0; !ret && i < iova->nr_areas; i++) {
        const MdlArea *a = &iova->areas[i];

        if (first) {
            ret = mdl_pages_pin(a->pages, a->va, a->length);
            done += !ret;
        }
        if (!ret && refuses_read_only(hwpt) && !a->writeable) {
            ret = -EINVAL;
        }
    }
    if (ret) {
        unpin_areas(iova, done);
    }
    return ret;
}

int mdl_iova_add_domain(MdlIoas *ioas, MdlHwpt *hwpt)
{
    uint64_t align = mdl_host_io_page(hwpt);
    MdlIova *iova = ioas->iova;
    int ret = 0;

    if (align < iova->alignment) {
        align = iova->alignment;
    }
    if (align > iova->alignment) {
        ret = check_alignment(iova, align);
    }
    if (!ret && hwpt->last_iova != UINT64_MAX) {
        ret = reserve(iova, hwpt->last_iova + 1, UINT64_MAX, hwpt);
    }
    if (!ret) {
        ret = fill_domain(iova, hwpt);
    }
    if (ret) {
        mdl_iova_unreserve(ioas, hwpt);
        return ret;
    }
    iova->domains = realloc(iova->domains,
                            (iova->nr_domains + 1) * sizeof(hwpt));
    if (!iova->domains) {
        abort();
    }
    iova->domains[iova->nr_domains++] = hwpt;
    iova->alignment = align;
    return 0;
}

static void update_alignment(MdlIova *iova)
{
    unsigned i;

    iova->alignment = iova->no_large_pages ? mdl_host.page_size : 1;
    for (i = 0; i < iova->nr_domains; i++) {
        uint64_t page = mdl_host_io_page(iova->domains[i]);

        if (iova->alignment < page) {
            iova->alignment = page;
        }
    }
}

void mdl_iova_remove_domain(MdlIoas *ioas, MdlHwpt *hwpt)
{
    MdlIova *iova = ioas->iova;
    unsigned i;

    for (i = 0; i < iova->nr_domains; i++) {
        if (iova->domains[i] == hwpt) {
            iova->domains[i] = iova->domains[--iova->nr_domains];
            if (!iova->nr_domains) {
                unpin_areas(iova, iova->nr_areas);
            }
            break;
        }
    }
    mdl_iova_unreserve(ioas, hwpt);
    update_alignment(iova);
}

/* Pins and maps a new area in every domain, or changes nothing */
int mdl_iova_fill(const MdlIova *iova, const MdlArea *a)
{
    unsigned i;
    int ret;

    if (!iova->nr_domains) {
        return 0;
    }
    ret = mdl_pages_pin(a->pages, a->va, a->length);
    for (i = 0; !ret && i < iova->nr_domains; i++) {
        if (refuses_read_only(iova->domains[i]) && !a->writeable) {
            mdl_pages_unpin(a->pages, a->va, a->length);
            ret = -EINVAL;
        }
    }
    return ret;
}

int mdl_iova_set_large_pages(MdlIova *iova, bool on)
{
    if (on) {
        iova->no_large_pages = false;
        update_alignment(iova);
        return 0;
    }
    if (iova->no_large_pages) {
        return 0;
    }
    if (iova->nr_domains && iova->nr_areas) {
        return -EINVAL;
    }
    if (iova->alignment < mdl_host.page_size &&
        check_alignment(iova, mdl_host.page_size)) {
        return -EADDRINUSE;
    }
    iova->no_large_pages = true;
    update_alignment(iova);
    return 0;
}

uint64_t mdl_iova_alignment(MdlIoas *ioas)
{
    return ioas->iova->alignment;
}

unsigned mdl_iova_areas(MdlIoas *ioas)
{
    return ioas->iova->nr_areas;
}

const MdlArea *mdl_iova_area(MdlIoas *ioas, unsigned i)
{
    return &ioas->iova->areas[i];
}

uint64_t mdl_iova_pinned(void)
{
    static uint64_t round;
    uint64_t bytes = 0;
    MdlCtx *ctx;
    uint32_t id;
    unsigned i;

    round++;
    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            MdlIoas *ioas = (MdlIoas *)mdl_obj_get(ctx, id, MDL_OBJ_IOAS);

            for (i = 0; ioas && ioas->iova->nr_domains &&
                        i < ioas->iova->nr_areas; i++) {
                MdlPages *pages = ioas->iova->areas[i].pages;

                bytes += pages->counted == round || pages->dmabuf ? 0 :
                         pages->length;
                pages->counted = round;
            }
        }
    }
    return bytes;
}

/* ----------------------------------------------------------- the hardware */

bool mdl_ioas_lookup(MdlIoas *ioas, uint64_t iova, const MdlArea **area)
{
    const MdlIova *map = ioas->iova;
    unsigned i = mdl_area_find(map, iova);

    if (i == map->nr_areas || map->areas[i].iova > iova) {
        return false;
    }
    *area = &map->areas[i];
    return !(*area)->pages->revoked;
}

bool mdl_area_is_bar(const MdlArea *area)
{
    return area->pages->dmabuf;
}

/* iopt_revoke_notify() */
void mdl_iova_revoke(MdlDmabuf *d)
{
    MdlCtx *ctx;
    uint32_t id;
    unsigned i;

    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            MdlIoas *ioas = (MdlIoas *)mdl_obj_get(ctx, id, MDL_OBJ_IOAS);

            for (i = 0; ioas && i < ioas->iova->nr_areas; i++) {
                const MdlArea *a = &ioas->iova->areas[i];

                if (a->pages->dmabuf == d) {
                    a->pages->revoked = true;
                    hw_ioas_unmapped(ioas, a->iova, a->length);
                }
            }
        }
    }
}

void *mdl_area_host(const MdlArea *area, uint64_t iova, uint64_t *length)
{
    uint64_t offset = iova - area->iova;

    *length = area->length - offset;
    return mdl_pages_host(area->pages, area->va + offset, length);
}

int mdl_ioas_rw(MdlIoas *ioas, uint64_t iova, void *buf, size_t len,
                bool write)
{
    const MdlArea *a;

    while (len) {
        uint64_t n;
        void *host;
        int ret;

        if (!mdl_ioas_lookup(ioas, iova, &a)) {
            return -EFAULT;
        }
        if (write ? !a->writeable : !a->readable) {
            return -EPERM;
        }
        host = mdl_area_host(a, iova, &n);
        if (n > len) {
            n = len;
        }
        if (a->pages->dmabuf) {
            ret = mdl_dmabuf_rw(a->pages->dmabuf, a->va + (iova - a->iova),
                                buf, n, write);
            if (ret) {
                return ret;
            }
        } else if (write) {
            memcpy(host, buf, n);
        } else {
            memcpy(buf, host, n);
        }
        buf = (char *)buf + n;
        iova += n;
        len -= n;
    }
    return 0;
}
