/*
 * Conformance of /dev/iommu: dirty tracking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

#define GIB (1ull << 30)
#define ENABLE IOMMU_HWPT_DIRTY_TRACKING_ENABLE
#define NO_CLEAR IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR

/* iommufd_hwpt_set_dirty_tracking(), iopt_set_dirty_tracking() */
static void set_arguments(void)
{
    CtBound b;
    uint32_t ioas, plain;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &plain));
    RET(-EOPNOTSUPP, ct_dirty_set(b.iommufd, CT_NO_ID, 1u << 1));
    RET(-ENOENT, ct_dirty_set(b.iommufd, CT_NO_ID, ENABLE));
    RET(-ENOENT, ct_dirty_set(b.iommufd, ioas, ENABLE));
    /* Only a table allocated for it has the operations */
    RET(-EOPNOTSUPP, ct_dirty_set(b.iommufd, plain, ENABLE));
    RET(-EOPNOTSUPP, ct_dirty_set(b.iommufd, plain, 0));
}

/* iommufd_hwpt_get_dirty_bitmap(), iommufd_check_iova_range() */
static void get_arguments(void)
{
    CtBound b;
    uint32_t ioas, plain;
    uint64_t page = ct_page(), bits[8] = { 0 };
    int fd;
    struct iommu_hwpt_get_dirty_bitmap cmd = {
        .size = sizeof(cmd),
        .__reserved = 1,
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    fd = b.iommufd;
    ioas = ct_ioas(fd);
    RET(0, ct_hwpt(fd, b.id, ioas, 0, &plain));
    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd));
    RET(-EOPNOTSUPP, ct_dirty_get(fd, CT_NO_ID, 2, 0, page, page, bits));
    RET(-ENOENT, ct_dirty_get(fd, CT_NO_ID, 0, 0, page, page, bits));
    RET(-EINVAL, ct_dirty_get(fd, plain, 0, 0, 0, page, bits));
    RET(-EOVERFLOW, ct_dirty_get(fd, plain, 0, -page, 2 * page, page, bits));
    RET(-EINVAL, ct_dirty_get(fd, plain, 0, 1, page, page, bits));
    RET(-EINVAL, ct_dirty_get(fd, plain, 0, 0, page + 1, page, bits));
    RET(-EINVAL, ct_dirty_get(fd, plain, 0, 0, page, 0, bits));
    RET(-EINVAL, ct_dirty_get(fd, plain, 0, page, page, 2 * page, bits));
    RET(-EOPNOTSUPP, ct_dirty_get(fd, plain, 0, 0, page, page, bits));
}

static bool open_dirty(CtBound *b, uint32_t *ioas, uint32_t *hwpt)
{
    if (!ct_bound_new(b, CT_DIRTY)) {
        return false;
    }
    *ioas = ct_ioas(b->iommufd);
    return RET(0, ct_hwpt(b->iommufd, b->id, *ioas,
                          IOMMU_HWPT_ALLOC_DIRTY_TRACKING, hwpt));
}

/* On, off, and twice the same */
static void switching(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page(), bits = 0;

    if (!open_dirty(&b, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_map(b.iommufd, ioas, ct_mem(page), page, GIB, CT_RW));
    RET(0, ct_dirty_set(b.iommufd, hwpt, 0));
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, page, page, &bits));
    EQ(0, bits);
    RET(0, ct_dirty_set(b.iommufd, hwpt, 0));
    RET(0, ct_dirty_set(b.iommufd, hwpt, 0));
}

/* The CPU's writes are not the device's */
static void cpu_writes(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page(), bits = 0;
    uint8_t *va = ct_mem(2 * page);

    if (!open_dirty(&b, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_map(b.iommufd, ioas, va, 2 * page, GIB, CT_RW));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    va[0] = 1;
    va[page] = 1;
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 2 * page, page, &bits));
    EQ(0, bits);
}

static void device_write(const CtBound *b, uint64_t iova)
{
    OK(ct_json_true(ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\","
                             "\"op\":\"write\",\"addr\":%llu,\"len\":4,"
                             "\"data\":\"01020304\"}", b->dev->bdf,
                             (unsigned long long)iova), "ok"));
}

/* iommu_read_and_clear_dirty(): read, clear, keep */
static void device_writes(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page(), bits = 0;

    if (!open_dirty(&b, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_map(b.iommufd, ioas, ct_mem(8 * page), 8 * page, GIB, CT_RW));
    RET(0, ct_attach(&b, hwpt));
    /* Written before tracking starts: cleared by iopt_clear_dirty_data() */
    device_write(&b, GIB);
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, &bits));
    EQ(0, bits);
    device_write(&b, GIB + 1 * page);
    device_write(&b, GIB + 5 * page + 12);
    RET(0, ct_dirty_get(b.iommufd, hwpt, NO_CLEAR, GIB, 8 * page, page,
                        &bits));
    EQ(0x22, bits);
    bits = 0;
    /* Part of the mapping: only that part is cleared */
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB + 4 * page, 4 * page, page,
                        &bits));
    EQ(0x2, bits);
    bits = 0;
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, &bits));
    EQ(0x2, bits);
    bits = 0;
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, &bits));
    EQ(0, bits);
    /* Bits are added to what the caller's bitmap holds */
    device_write(&b, GIB);
    bits = 0x80;
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, &bits));
    EQ(0x81, bits);
    /* One bit for two pages */
    device_write(&b, GIB + 7 * page);
    bits = 0;
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, 2 * page, &bits));
    EQ(0x8, bits);
}

/*
 * iova_bitmap_set() has nothing to return: bits that have nowhere to go are
 * lost, after they have been cleared.
 */
static void no_bitmap(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page(), bits = 0;
    void *nowhere = (void *)(16 * page);

    if (!open_dirty(&b, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_map(b.iommufd, ioas, ct_mem(8 * page), 8 * page, GIB, CT_RW));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, nowhere));
    if (!ct.model) {
        return;
    }
    device_write(&b, GIB + page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, NO_CLEAR, GIB, 8 * page, page,
                        nowhere));
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, nowhere));
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 8 * page, page, &bits));
    EQ(0, bits);
}

#define SUPERPAGE (2ull << 20)

/* Bits that are set of the first @nr, and whether they are the first ones */
static unsigned count_bits(const uint64_t *map, unsigned nr, bool *first)
{
    unsigned n = 0;

    *first = true;
    for (unsigned i = 0; i < nr; i++) {
        if (map[i / 64] >> (i % 64) & 1) {
            *first &= n++ == i;
        }
    }
    return n;
}

/*
 * Model only. A superpage has one dirty bit, and is reported as long as it is,
 * also past the end of what is asked for: record_dirty() (iommu_pt.h line 242),
 * visit_dirty() of io-pgtable-arm.c, iova_bitmap_set(). Where it begins before
 * that, VT-d's is lost, and the SMMUv3's begins late. So a query has to be of
 * whole mappings.
 */
static void superpage(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page(), *map = ct_mem(page);
    uint8_t *mem = ct_mem(2 * SUPERPAGE);
    const unsigned nr = SUPERPAGE / page;
    bool first;

    /* Those of larger pages are larger */
    if (!open_dirty(&b, &ioas, &hwpt) || page != 4096) {
        return;
    }
    mem += -(uintptr_t)mem & (SUPERPAGE - 1);
    RET(0, ct_map(b.iommufd, ioas, mem, SUPERPAGE, GIB, CT_RW));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_dirty_set(b.iommufd, hwpt, ENABLE));
    device_write(&b, GIB + 5 * page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, SUPERPAGE, page, map));
    EQ(nr, count_bits(map, 2 * nr, &first));
    OK(first);
    memset(map, 0, page);
    device_write(&b, GIB);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, 64 * page, page, map));
    EQ(nr, count_bits(map, 2 * nr, &first));
    OK(first);
    memset(map, 0, page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, SUPERPAGE, page, map));
    EQ(0, count_bits(map, nr, &first));
    device_write(&b, GIB + 64 * page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB + 64 * page, 64 * page, page,
                        map));
    EQ(ct.have & CT_VTD ? 0 : nr, count_bits(map, 2 * nr, &first));
    memset(map, 0, page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB, SUPERPAGE, page, map));
    EQ(0, count_bits(map, nr, &first));
    /* Memory that is not of that kind */
    RET(0, ct_unmap(b.iommufd, ioas, GIB, SUPERPAGE, NULL));
    RET(0, ct_map(b.iommufd, ioas, mem, SUPERPAGE, GIB + page, CT_RW));
    device_write(&b, GIB + 5 * page);
    RET(0, ct_dirty_get(b.iommufd, hwpt, 0, GIB + page, SUPERPAGE, page, map));
    EQ(1, count_bits(map, nr, &first));
}

/* Each table has bits of its own, also over one IOAS */
static void tables(void)
{
    CtBound b;
    uint32_t ioas, one, two;
    uint64_t page = ct_page(), bits = 0;

    if (!open_dirty(&b, &ioas, &one)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
                   &two));
    RET(0, ct_map(b.iommufd, ioas, ct_mem(page), page, GIB, CT_RW));
    RET(0, ct_dirty_set(b.iommufd, one, ENABLE));
    RET(0, ct_dirty_set(b.iommufd, two, ENABLE));
    RET(0, ct_attach(&b, one));
    device_write(&b, GIB);
    RET(0, ct_dirty_get(b.iommufd, two, 0, GIB, page, page, &bits));
    EQ(0, bits);
    RET(0, ct_dirty_get(b.iommufd, one, 0, GIB, page, page, &bits));
    EQ(1, bits);
}

static const CtScenario scenarios[] = {
    { "set: arguments", set_arguments, CT_DEV },
    { "get: arguments", get_arguments, CT_DEV },
    { "on and off", switching, CT_DEV | CT_DIRTY },
    { "the processor's writes do not count", cpu_writes, CT_DEV | CT_DIRTY },
    { "the device's writes", device_writes, CT_DEV | CT_DIRTY | CT_MODEL },
    { "a bitmap that is not there", no_bitmap, CT_DEV | CT_DIRTY },
    { "superpages", superpage, CT_DEV | CT_DIRTY | CT_MODEL },
    { "each table has its own bits", tables, CT_DEV | CT_DIRTY | CT_MODEL },
};

CT_GROUP(ct_group_dirty, "dirty");
