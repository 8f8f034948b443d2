/*
 * Conformance of /dev/iommu: copying mappings between IOASes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

#define GIB (1ull << 30)

/* An iommufd with @n pages mapped at GIB of the first of two IOASes */
typedef struct Pair {
    int fd;
    uint32_t src, dst;
    uint64_t page;
    uint8_t *va;
} Pair;

static void pair_open(Pair *p, unsigned n)
{
    p->fd = ct_open_iommufd();
    p->page = ct_page();
    p->src = ct_ioas(p->fd);
    p->dst = ct_ioas(p->fd);
    p->va = ct_mem(n * p->page);
    RET(0, ct_map(p->fd, p->src, p->va, n * p->page, GIB, CT_RW));
}

static int copy_to(const Pair *p, uint64_t dst, uint64_t src, uint64_t len,
                   uint32_t flags)
{
    return ct_copy_map(p->fd, p->dst, p->src, len, &dst, src,
                       flags | CT_FIXED);
}

/* iommufd_ioas_copy(): the order of its tests */
static void arguments(void)
{
    Pair p;
    uint64_t iova = GIB;

    pair_open(&p, 1);
    RET(-EOPNOTSUPP, copy_to(&p, GIB, GIB, p.page, CT_RW | 1u << 5));
    RET(-EOVERFLOW, copy_to(&p, GIB, GIB, UINT64_MAX, CT_RW));
    RET(-EOVERFLOW, copy_to(&p, GIB, UINT64_MAX, p.page, CT_RW));
    RET(-EOVERFLOW, copy_to(&p, UINT64_MAX, GIB, p.page, CT_RW));
    RET(-EINVAL, copy_to(&p, GIB, GIB, p.page, 0));
    RET(-EINVAL, copy_to(&p, GIB, GIB, 0, CT_RW));
    RET(-ENOENT, ct_copy_map(p.fd, p.dst, CT_NO_ID, p.page, &iova, GIB,
                             CT_RW | CT_FIXED));
    RET(-ENOENT, ct_copy_map(p.fd, CT_NO_ID, p.src, p.page, &iova, GIB,
                             CT_RW | CT_FIXED));
    RET(-EOVERFLOW, copy_to(&p, GIB, UINT64_MAX - 1, p.page, CT_RW));
}

/* iopt_get_pages(): every byte of the source must be mapped */
static void source_holes(void)
{
    Pair p;

    pair_open(&p, 2);
    RET(-ENOENT, copy_to(&p, GIB, 2 * GIB, p.page, CT_RW));
    RET(-ENOENT, copy_to(&p, GIB, GIB, 3 * p.page, CT_RW));
    RET(-ENOENT, copy_to(&p, GIB, GIB - p.page, 2 * p.page, CT_RW));
    RET(0, ct_map(p.fd, p.src, p.va, p.page, GIB + 3 * p.page, CT_RW));
    RET(-ENOENT, copy_to(&p, GIB, GIB, 4 * p.page, CT_RW));
}

/* iopt_get_pages(): part of a mapping, and several that touch */
static void source_parts(void)
{
    Pair p;
    uint64_t n;

    pair_open(&p, 4);
    RET(0, copy_to(&p, 0, GIB + p.page, 2 * p.page, CT_RW));
    RET(0, ct_map(p.fd, p.src, p.va, p.page, GIB + 4 * p.page, CT_RW));
    RET(0, copy_to(&p, GIB, GIB + 3 * p.page, 2 * p.page, CT_RW));
    /* The copy of two mappings is two mappings */
    RET(0, ct_unmap(p.fd, p.dst, GIB, p.page, &n));
    EQ(p.page, n);
    RET(0, ct_unmap(p.fd, p.dst, GIB + p.page, p.page, &n));
    EQ(p.page, n);
    /* That of the middle of one is one */
    RET(-ENOENT, ct_unmap(p.fd, p.dst, 0, p.page, NULL));
    RET(0, ct_unmap(p.fd, p.dst, 0, 2 * p.page, NULL));
}

/* iopt_check_iova() for the destination */
static void destination_used(void)
{
    Pair p;

    pair_open(&p, 2);
    RET(0, copy_to(&p, GIB, GIB, p.page, CT_RW));
    RET(-EEXIST, copy_to(&p, GIB, GIB, p.page, CT_RW));
    RET(-EEXIST, copy_to(&p, GIB - p.page, GIB, 2 * p.page, CT_RW));
    RET(0, copy_to(&p, GIB + p.page, GIB, p.page, CT_RW));
}

/* iopt_insert_area(): pages mapped without write never become writable */
static void rights(void)
{
    Pair p;
    uint64_t iova = 0;

    pair_open(&p, 1);
    RET(0, ct_map(p.fd, p.src, p.va, p.page, 0, IOMMU_IOAS_MAP_READABLE));
    RET(-EPERM, copy_to(&p, GIB, 0, p.page, CT_RW));
    RET(-EPERM, copy_to(&p, GIB, 0, p.page, IOMMU_IOAS_MAP_WRITEABLE));
    RET(0, copy_to(&p, GIB, 0, p.page, IOMMU_IOAS_MAP_READABLE));
    /* Writable pages can be copied read only, and from there writable */
    RET(0, copy_to(&p, 0, GIB, p.page, IOMMU_IOAS_MAP_READABLE));
    iova = 2 * GIB;
    RET(0, ct_copy_map(p.fd, p.src, p.dst, p.page, &iova, 0,
                       CT_RW | CT_FIXED));
}

/* iommufd_ioas_copy(): source and destination may be the same IOAS */
static void same_ioas(void)
{
    Pair p;
    uint64_t iova = 2 * GIB;

    pair_open(&p, 1);
    RET(0, ct_copy_map(p.fd, p.src, p.src, p.page, &iova, GIB,
                       CT_RW | CT_FIXED));
    RET(-EEXIST, ct_copy_map(p.fd, p.src, p.src, p.page, &iova, GIB,
                             CT_RW | CT_FIXED));
}

/* IOPT_ALLOC_IOVA: the address is chosen and returned */
static void anywhere(void)
{
    Pair p;
    uint64_t iova = 0, n;

    pair_open(&p, 1);
    RET(0, ct_copy_map(p.fd, p.dst, p.src, p.page, &iova, GIB, CT_RW));
    OK(iova != 0);
    RET(0, ct_unmap(p.fd, p.dst, iova, p.page, &n));
    EQ(p.page, n);
}

/* The pages are shared and counted: iopt_put_pages() */
static void outlives_source(void)
{
    Pair p;
    uint64_t iova = 4 * GIB, n;

    pair_open(&p, 1);
    RET(0, copy_to(&p, GIB, GIB, p.page, CT_RW));
    RET(0, ct_unmap(p.fd, p.src, GIB, p.page, NULL));
    RET(0, ct_destroy(p.fd, p.src));
    RET(0, ct_copy_map(p.fd, p.dst, p.dst, p.page, &iova, GIB,
                       CT_RW | CT_FIXED));
    RET(0, ct_unmap(p.fd, p.dst, 0, UINT64_MAX, &n));
    EQ(2 * p.page, n);
}

static const CtScenario scenarios[] = {
    { "copy checks its arguments in order", arguments, 0 },
    { "copy of what is not mapped throughout", source_holes, 0 },
    { "copy of parts and of several mappings", source_parts, 0 },
    { "copy never replaces", destination_used, 0 },
    { "copy does not add the right to write", rights, 0 },
    { "copy within one IOAS", same_ioas, 0 },
    { "copy chooses an address", anywhere, 0 },
    { "a copy outlives its source", outlives_source, 0 },
};

CT_GROUP(ct_group_copy, "copy");
