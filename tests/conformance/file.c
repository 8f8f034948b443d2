/*
 * Conformance of /dev/iommu: mappings of files
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "conformance.h"

#define GIB (1ull << 30)

static int map_file(int fd, uint32_t ioas, int mfd, uint64_t start,
                    uint64_t len, uint64_t *iova, uint32_t flags)
{
    struct iommu_ioas_map_file cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .ioas_id = ioas,
        .fd = mfd,
        .start = start,
        .length = len,
        .iova = *iova,
    };
    int ret = ct_ioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd);

    *iova = cmd.iova;
    return ret;
}

static int map_fixed(int fd, uint32_t ioas, int mfd, uint64_t start,
                     uint64_t len, uint64_t iova)
{
    return map_file(fd, ioas, mfd, start, len, &iova, CT_RW | CT_FIXED);
}

static int memfd(unsigned pages)
{
    int fd = memfd_create("conformance", MFD_CLOEXEC);

    OK(fd >= 0 && !ftruncate(fd, pages * ct_page()));
    return ct_keep_fd(fd);
}

/* iommufd_ioas_map_file(), iopt_map_file_pages() */
static void arguments(void)
{
    int fd = ct_open_iommufd(), m = memfd(1);
    uint32_t ioas = ct_ioas(fd);
    uint64_t page = ct_page(), iova = GIB;

    RET(-EOPNOTSUPP, map_file(fd, ioas, m, 0, page, &iova,
                              CT_RW | CT_FIXED | 1u << 3));
    RET(-EINVAL, map_file(fd, CT_NO_ID, m, 0, page, &iova, CT_FIXED));
    RET(-EOVERFLOW, map_fixed(fd, ioas, m, 0, page, UINT64_MAX));
    RET(-EOVERFLOW, map_fixed(fd, ioas, m, 0, UINT64_MAX, GIB));
    RET(-ENOENT, map_fixed(fd, CT_NO_ID, m, 0, page, GIB));
    RET(-EINVAL, map_fixed(fd, ioas, m, 0, 0, GIB));
    RET(-EOVERFLOW, map_fixed(fd, ioas, m, UINT64_MAX, 2, GIB));
    RET(-EBADF, map_fixed(fd, ioas, -1, 0, page, GIB));
    RET(-EBADF, map_fixed(fd, ioas, 4096, 0, page, GIB));
}

/* A mapping of a file behaves as any other, and keeps the file */
static void map_unmap(void)
{
    int fd = ct_open_iommufd(), m = memfd(4);
    uint32_t ioas = ct_ioas(fd);
    uint64_t page = ct_page(), iova = 0, n;

    RET(0, map_fixed(fd, ioas, m, page, 2 * page, GIB));
    RET(-EEXIST, map_fixed(fd, ioas, m, 0, page, GIB + page));
    RET(0, map_file(fd, ioas, m, 0, page, &iova, CT_RW));
    OK(iova != 0);
    ct_close(m);
    RET(-ENOENT, ct_unmap(fd, ioas, GIB, page, NULL));
    RET(0, ct_unmap(fd, ioas, GIB, 2 * page, &n));
    EQ(2 * page, n);
    RET(0, ct_unmap(fd, ioas, 0, UINT64_MAX, &n));
    EQ(page, n);
}

/* pin_memfd_pages(), memfd_pin_folios(): once a domain wants the pages */
static void pinned(void)
{
    CtBound b;
    int m = memfd(2), p[2];
    uint32_t ioas;
    uint64_t page = ct_page();

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    RET(0, map_fixed(b.iommufd, ioas, m, 0, 2 * page, GIB));
    RET(-EINVAL, map_fixed(b.iommufd, ioas, m, page, 2 * page, 2 * GIB));
    OK(!pipe(p));
    ct_keep_fd(p[0]);
    ct_keep_fd(p[1]);
    RET(-EINVAL, map_fixed(b.iommufd, ioas, p[0], 0, page, 2 * GIB));
    RET(0, ct_unmap(b.iommufd, ioas, GIB, 2 * page, NULL));
}

/* Whatever file it is: whether it can be pinned shows with a page table */
static void unpinned(void)
{
    uint64_t page = ct_page();
    int file[3], p[2];
    uint32_t ioas;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    OK(!pipe(p));
    file[0] = ct_keep_fd(p[0]);
    ct_keep_fd(p[1]);
    file[1] = ct_keep_fd(open("/proc/self/maps", O_RDONLY));
    /* Nothing of it is behind its first page */
    file[2] = memfd(1);
    for (unsigned i = 0; i < 3; i++) {
        ioas = ct_ioas(b.iommufd);
        RET(0, map_fixed(b.iommufd, ioas, file[i], page, page, GIB));
        RET(-EINVAL, ct_attach(&b, ioas));
        RET(0, ct_unmap(b.iommufd, ioas, GIB, page, NULL));
        RET(0, ct_attach(&b, ioas));
        RET(-EINVAL, map_fixed(b.iommufd, ioas, file[i], page, page, GIB));
        RET(0, ct_detach(&b));
    }
}

static int change_process(int fd, uint32_t reserved)
{
    struct iommu_ioas_change_process cmd = {
        .size = sizeof(cmd),
        .__reserved = reserved,
    };

    return ct_ioctl(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* iommufd_ioas_change_process(): file mappings only, in all IOASes */
static void change_owner(void)
{
    int fd = ct_open_iommufd(), m = memfd(1);
    uint32_t a = ct_ioas(fd), b = ct_ioas(fd);
    uint64_t page = ct_page();

    RET(-EOPNOTSUPP, change_process(fd, 1));
    RET(0, change_process(fd, 0));
    RET(0, map_fixed(fd, a, m, 0, page, GIB));
    RET(0, change_process(fd, 0));
    RET(0, ct_map(fd, b, ct_mem(page), page, GIB, CT_RW));
    RET(-EINVAL, change_process(fd, 0));
    RET(0, ct_unmap(fd, b, GIB, page, NULL));
    RET(0, change_process(fd, 0));
}

static const CtScenario scenarios[] = {
    { "map-file: arguments", arguments, 0 },
    { "map-file: map, overlap, unmap", map_unmap, 0 },
    { "map-file with a domain needs the pages", pinned, CT_DEV },
    { "map-file: what cannot be pinned", unpinned, CT_DEV },
    { "change-process", change_owner, 0 },
};

CT_GROUP(ct_group_file, "file");
