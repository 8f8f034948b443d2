/*
 * Conformance of /dev/iommu: mapping and unmapping in an IOAS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No device here: an IOAS without a domain has one-byte alignment, no
 * reserved range, and does not touch the memory.
 */

#include <sys/mman.h>
#include "conformance.h"

#define GIB (1ull << 30)

/* iommufd_ioas_alloc_ioctl() */
static void alloc_flags(void)
{
    int fd = ct_open_iommufd();
    struct iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = 1 };

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
    cmd.flags = 1u << 31;
    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
}

/* iommufd_ioas_map(): the order of its tests */
static void map_arguments(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);
    struct iommu_ioas_map cmd = {
        .size = sizeof(cmd),
        .flags = CT_FIXED | CT_RW,
        .ioas_id = ioas,
        .__reserved = 1,
        .user_va = (uintptr_t)va,
        .length = page,
        .iova = GIB,
    };

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_IOAS_MAP, &cmd));
    RET(-EOPNOTSUPP, ct_map(fd, ioas, va, page, GIB, CT_RW | 1u << 3));
    RET(-EOPNOTSUPP, ct_map(fd, CT_NO_ID, va, page, GIB, 1u << 31));
    RET(-EOVERFLOW, ct_map(fd, CT_NO_ID, va, page, UINT64_MAX, CT_RW));
    RET(-EOVERFLOW, ct_map(fd, CT_NO_ID, va, UINT64_MAX, 0, CT_RW));
    RET(-EINVAL, ct_map(fd, CT_NO_ID, va, page, GIB, 0));
    RET(-ENOENT, ct_map(fd, CT_NO_ID, va, page, GIB, CT_RW));
    RET(-EINVAL, ct_map(fd, ioas, va, 0, GIB, CT_RW));
}

/* iopt_alloc_user_pages(), iopt_check_iova() */
static void map_overflow(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);

    RET(-EOVERFLOW, ct_map(fd, ioas, (void *)(uintptr_t)-page, 2 * page, GIB,
                           CT_RW));
    RET(-EOVERFLOW, ct_map(fd, ioas, va, 2 * page, -(uint64_t)page, CT_RW));
    /* The last byte of the address space can be used */
    RET(0, ct_map(fd, ioas, va, page, -(uint64_t)page, CT_RW));
}

/* iopt_check_iova(): existing mappings are never replaced */
static void map_overlap(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(4 * page);

    RET(0, ct_map(fd, ioas, va, 2 * page, GIB, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, 2 * page, GIB, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, page, GIB + page, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, 2 * page, GIB - page, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, 4 * page, GIB - page, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, 1, GIB + 2 * page - 1, CT_RW));
    RET(0, ct_map(fd, ioas, va, page, GIB + 2 * page, CT_RW));
    RET(0, ct_map(fd, ioas, va, page, GIB - page, CT_RW));
}

/* iopt_alloc_area_pages(): without a domain, iova_alignment is 1 */
static void map_unaligned(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    uint8_t *va = ct_mem(2 * ct_page());
    uint64_t n;

    RET(0, ct_map(fd, ioas, va + 3, 5, GIB + 7, CT_RW));
    RET(0, ct_map(fd, ioas, va + 9, 1, GIB + 12, CT_RW));
    RET(0, ct_unmap(fd, ioas, GIB + 7, 6, &n));
    EQ(6, n);
}

/* iommufd_ioas_map() accepts each right alone; conv_iommu_prot() */
static void map_rights(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);

    RET(0, ct_map(fd, ioas, va, page, 0, IOMMU_IOAS_MAP_READABLE));
    RET(0, ct_map(fd, ioas, va, page, page, IOMMU_IOAS_MAP_WRITEABLE));
    /* The same memory any number of times */
    RET(0, ct_map(fd, ioas, va, page, 2 * page, CT_RW));
    RET(0, ct_map(fd, ioas, va, page, 3 * page, CT_RW));
}

/* iopt_alloc_iova(): never 0, the offset in the page kept, no overlap */
static void map_anywhere(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    uint8_t *va = ct_mem(4 * page);
    uint64_t a = 0, b = 0, c = 123, n;

    RET(0, ct_map_out(fd, ioas, va, page, &a, CT_RW));
    RET(0, ct_map_out(fd, ioas, va, page, &b, CT_RW));
    RET(0, ct_map_out(fd, ioas, va + 0x123, page, &c, CT_RW));
    OK(a != 0 && b != 0 && c != 0);
    EQ(0, a % page);
    EQ(0x123, c % page);
    OK(a + page <= b || b + page <= a);
    OK(c + page <= b || b + page <= c);
    RET(0, ct_unmap(fd, ioas, a, page, &n));
    EQ(page, n);
}

/* iopt_alloc_iova(): what cannot be rounded up to a power of two */
static void map_anywhere_huge(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    uint64_t iova = 0;

    RET(-EOVERFLOW, ct_map_out(fd, ioas, (void *)4096, UINT64_MAX / 2 + 1,
                               &iova, CT_RW));
}

/* iopt_map_common(): without a domain nothing looks at the memory */
static void map_lazy(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);

    OK(!mprotect(va, page, PROT_NONE));
    RET(0, ct_map(fd, ioas, va, page, GIB, CT_RW));
    RET(0, ct_unmap(fd, ioas, GIB, page, NULL));
}

/* iommufd_ioas_unmap() */
static void unmap_arguments(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();

    RET(-ENOENT, ct_unmap(fd, CT_NO_ID, 0, page, NULL));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, page, NULL));
    RET(-EINVAL, ct_unmap(fd, ioas, GIB, 0, NULL));
    RET(-EOVERFLOW, ct_unmap(fd, ioas, UINT64_MAX, page, NULL));
    RET(-EOVERFLOW, ct_unmap(fd, ioas, page, UINT64_MAX, NULL));
    RET(-EOVERFLOW, ct_unmap(fd, ioas, UINT64_MAX - 1, page, NULL));
}

/* iopt_unmap_iova_range(): no splitting, no truncation */
static void unmap_partial(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(4 * page);
    uint64_t n;

    RET(0, ct_map(fd, ioas, va, 4 * page, GIB, CT_RW));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, page, NULL));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB + page, page, NULL));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB + page, 3 * page, NULL));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB - page, 4 * page, NULL));
    RET(0, ct_unmap(fd, ioas, GIB, 4 * page, &n));
    EQ(4 * page, n);
}

/* iopt_unmap_iova_range(): a superset may cover several mappings and holes */
static void unmap_superset(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);
    uint64_t n;

    for (unsigned i = 0; i < 8; i += 2) {
        RET(0, ct_map(fd, ioas, va, page, GIB + i * page, CT_RW));
    }
    RET(0, ct_unmap(fd, ioas, GIB - page, 10 * page, &n));
    EQ(4 * page, n);
    RET(-ENOENT, ct_unmap(fd, ioas, GIB - page, 10 * page, &n));
}

/* iopt_unmap_iova_range(): mappings before the one that stops it are gone */
static void unmap_stopped(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(2 * page);

    RET(0, ct_map(fd, ioas, va, page, GIB, CT_RW));
    RET(0, ct_map(fd, ioas, va, 2 * page, GIB + page, CT_RW));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, 2 * page, NULL));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, page, NULL));
    RET(0, ct_map(fd, ioas, va, page, GIB, CT_RW));
    RET(-EEXIST, ct_map(fd, ioas, va, page, GIB + 2 * page, CT_RW));
}

/* iommufd_ioas_unmap(): 0..U64_MAX is everything, also when that is nothing */
static void unmap_all(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = ct_mem(page);
    uint64_t n = 1;

    RET(0, ct_unmap(fd, ioas, 0, UINT64_MAX, &n));
    EQ(0, n);
    RET(0, ct_map(fd, ioas, va, page, 0, CT_RW));
    RET(0, ct_map(fd, ioas, va, page, 1ull << 60, CT_RW));
    RET(0, ct_map(fd, ioas, va, page, -(uint64_t)page, CT_RW));
    RET(0, ct_unmap(fd, ioas, 0, UINT64_MAX, &n));
    EQ(3 * page, n);
}

/* iommufd_get_ioas(): an id of another kind is no IOAS */
static void wrong_object(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd), fault;
    size_t page = ct_page();
    void *va = ct_mem(page);
    int qfd;

    RET(0, ct_fault_queue(fd, &fault, &qfd));
    OK(fault != ioas);
    RET(-ENOENT, ct_map(fd, fault, va, page, 0, CT_RW));
    RET(-ENOENT, ct_unmap(fd, fault, 0, UINT64_MAX, NULL));
}

/* iommufd_ioas_destroy(): mappings do not keep an IOAS alive */
static void destroy_mapped(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();

    RET(0, ct_map(fd, ioas, ct_mem(page), page, GIB, CT_RW));
    RET(0, ct_destroy(fd, ioas));
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, page, NULL));
}

/* iopt_map_common(): memory may go away from the process first */
static void map_outlives_va(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    size_t page = ct_page();
    void *va = mmap(NULL, page, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t n;

    RET(0, ct_map(fd, ioas, va, page, GIB, CT_RW));
    munmap(va, page);
    RET(0, ct_unmap(fd, ioas, GIB, page, &n));
    EQ(page, n);
}

static const CtScenario scenarios[] = {
    { "alloc refuses flags", alloc_flags, 0 },
    { "map checks its arguments in order", map_arguments, 0 },
    { "map refuses what overflows", map_overflow, 0 },
    { "map never replaces", map_overlap, 0 },
    { "map of single bytes without a domain", map_unaligned, 0 },
    { "map with one right", map_rights, 0 },
    { "map chooses an address", map_anywhere, 0 },
    { "map of half the address space somewhere", map_anywhere_huge, 0 },
    { "map without a domain does not touch memory", map_lazy, 0 },
    { "unmap checks its arguments", unmap_arguments, 0 },
    { "unmap does not split", unmap_partial, 0 },
    { "unmap of a superset", unmap_superset, 0 },
    { "unmap that stops half way", unmap_stopped, 0 },
    { "unmap of everything", unmap_all, 0 },
    { "an object of another kind", wrong_object, 0 },
    { "destroying an IOAS with mappings", destroy_mapped, 0 },
    { "memory unmapped by the process before", map_outlives_va, 0 },
};

CT_GROUP(ct_group_ioas, "ioas");
