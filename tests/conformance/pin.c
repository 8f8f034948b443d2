/*
 * Conformance of /dev/iommu: pages that are pinned, and their number
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conformance.h"

#define AT      (1ull << 30)
#define PAGES   8               /* that may be locked */

/* ------------------------------------------------------------ the number */

static bool ipc_lock(bool on)
{
    struct __user_cap_header_struct hdr = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &hdr, data)) {
        return false;
    }
    if (on) {
        data[0].effective |= data[0].permitted & 1u << CAP_IPC_LOCK;
    } else {
        data[0].effective &= ~(1u << CAP_IPC_LOCK);
    }
    return !syscall(SYS_capset, &hdr, data);
}

/* Without CAP_IPC_LOCK, and with no more than PAGES to lock; or as it was */
static bool limited(bool on)
{
    static struct rlimit was;
    struct rlimit lim;

    if (on) {
        if (getrlimit(RLIMIT_MEMLOCK, &was)) {
            return OK(false);
        }
        lim = was;
        lim.rlim_cur = PAGES * ct_page() + ct_page() - 1;
    }
    return OK(!setrlimit(RLIMIT_MEMLOCK, on ? &lim : &was)) &&
           OK(ipc_lock(!on));
}

static int map(const CtBound *b, uint32_t ioas, uint8_t *va, unsigned first,
               unsigned num)
{
    size_t page = ct_page();

    return ct_map(b->iommufd, ioas, va + first * page, num * page,
                  AT + first * page, CT_RW | CT_FIXED);
}

static int unmap(const CtBound *b, uint32_t ioas, unsigned first,
                 unsigned num)
{
    return ct_unmap(b->iommufd, ioas, AT + first * ct_page(),
                    num * ct_page(), NULL);
}

bool ct_memlock(void)
{
    uint8_t *va;
    uint32_t ioas;
    CtBound b;
    int ret = 0;

    if (!ct.model || !ct.nr_dev) {
        return ct.nr_dev;
    }
    ct_scenario_begin();
    va = ct_mem((PAGES + 1) * ct_page());
    if (ct_bound_new(&b, CT_DEV) && limited(true)) {
        ioas = ct_ioas(b.iommufd);
        RET(0, ct_attach(&b, ioas));
        ret = map(&b, ioas, va, 0, PAGES + 1);
        limited(false);
    }
    ct_scenario_end();
    return ret == -ENOMEM;
}

/* incr_user_locked_vm(): what is mapped counts, and comes back */
static void limit(void)
{
    uint8_t *va = ct_mem(4 * PAGES * ct_page());
    uint32_t ioas;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    if (!limited(true)) {
        return;
    }
    RET(-ENOMEM, map(&b, ioas, va, 0, PAGES + 1));
    RET(0, map(&b, ioas, va, 0, PAGES));
    RET(-ENOMEM, map(&b, ioas, va, PAGES, 1));
    RET(0, unmap(&b, ioas, 0, PAGES));
    RET(0, map(&b, ioas, va, 0, PAGES - 2));
    RET(-ENOMEM, map(&b, ioas, va, PAGES, 3));
    RET(0, map(&b, ioas, va, PAGES, 2));
    /* Part of a page is a page */
    RET(-ENOMEM, map(&b, ioas, va, 2 * PAGES, 1));
    limited(false);
    /* What has been pinned with the capability does not count */
    RET(0, map(&b, ioas, va, 2 * PAGES, PAGES));
    if (limited(true)) {
        RET(0, unmap(&b, ioas, PAGES, 2));
        RET(0, map(&b, ioas, va, PAGES, 2));
        RET(-ENOMEM, map(&b, ioas, va, PAGES + 2, 1));
        limited(false);
    }
}

/* iopt_fill_domain(): nothing counts before there is a page table */
static void limit_late(void)
{
    uint8_t *va = ct_mem(2 * PAGES * ct_page());
    uint32_t ioas, hwpt;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    if (!limited(true)) {
        return;
    }
    RET(0, map(&b, ioas, va, 0, PAGES));
    RET(0, map(&b, ioas, va, PAGES, 1));
    RET(-ENOMEM, ct_attach(&b, ioas));
    RET(-ENOMEM, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, unmap(&b, ioas, PAGES, 1));
    RET(0, ct_attach(&b, ioas));
    /* A second table has the same pages */
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(-ENOMEM, map(&b, ioas, va, PAGES, 1));
    RET(0, ct_detach(&b));
    RET(-ENOMEM, map(&b, ioas, va, PAGES, 1));
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(0, map(&b, ioas, va, PAGES, 1));
    limited(false);
}

/* Pages belong to a mapping: two of the same count twice, a copy does not */
static void limit_twice(void)
{
    uint8_t *va = ct_mem(2 * PAGES * ct_page());
    uint64_t iova = AT + 2 * PAGES * ct_page();
    size_t len = PAGES / 2 * ct_page();
    uint32_t ioas, hwpt, other;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_hwpt(b.iommufd, b.id, other, 0, &hwpt));
    if (!limited(true)) {
        return;
    }
    RET(0, map(&b, ioas, va, 0, PAGES / 2));
    RET(0, ct_copy_map(b.iommufd, ioas, ioas, len, &iova, AT,
                       CT_RW | CT_FIXED));
    RET(0, ct_copy_map(b.iommufd, other, ioas, len, &iova, AT,
                       CT_RW | CT_FIXED));
    RET(0, map(&b, other, va, 0, PAGES / 2));
    RET(-ENOMEM, map(&b, ioas, va, PAGES, 1));
    /* They are pinned as long as there is one of them */
    RET(0, unmap(&b, ioas, 0, PAGES / 2));
    RET(-ENOMEM, map(&b, ioas, va, 0, 1));
    RET(0, ct_unmap(b.iommufd, ioas, iova, len, NULL));
    RET(-ENOMEM, map(&b, ioas, va, 0, 1));
    RET(0, ct_unmap(b.iommufd, other, iova, len, NULL));
    RET(0, map(&b, ioas, va, 0, PAGES / 2));
    limited(false);
}

/* update_mm_locked_vm(): with what the process has locked itself */
static void limit_process(void)
{
    size_t page = ct_page();
    uint8_t *va = ct_mem(4 * PAGES * page);
    uint64_t one = 1;
    uint32_t ioas;
    CtBound b;

    for (unsigned mm = 0; mm < 2; mm++) {
        b.iommufd = ct_open_iommufd();
        if (mm) {
            RET(0, ct_option(b.iommufd, IOMMU_OPTION_RLIMIT_MODE,
                             IOMMU_OPTION_OP_SET, 0, &one));
        }
        if (!ct_bound(&b, b.iommufd, ct_device(CT_DEV))) {
            return;
        }
        ioas = ct_ioas(b.iommufd);
        RET(0, ct_attach(&b, ioas));
        if (!limited(true)) {
            return;
        }
        OK(!mlock(va + 3 * PAGES * page, 3 * page));
        RET(0, map(&b, ioas, va, 0, PAGES - 3));
        RET(mm ? -ENOMEM : 0, map(&b, ioas, va, PAGES, 1));
        OK(!munlock(va + 3 * PAGES * page, 3 * page));
        RET(0, map(&b, ioas, va, PAGES + 1, 2));
        limited(false);
        ct_close(b.fd);
        ct_close(b.iommufd);
    }
}

/* ------------------------------------------------------ the page that was */

/*
 * Only DMA shows which page it is, so these are for the model: pin_user_pages()
 * and memfd_pin_folios() take references (mm/gup.c), which no unmapping, hole
 * or truncation of a file waits for.
 */
static int dma(const CtBound *b, uint64_t iova, const char *op, uint8_t byte)
{
    const char *reply =
        ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"%s\",\"addr\":%llu,"
                 "\"len\":2,\"data\":\"%02x%02x\"}", b->dev->bdf, op,
                 (unsigned long long)iova, byte, byte);
    char want[16];

    snprintf(want, sizeof(want), "%02x%02x", byte, byte);
    return !ct_json_true(reply, "ok") ? -EFAULT :
           *op == 'r' && !ct_json_is(reply, "data", want) ? -EBADMSG : 0;
}

#define READS(byte, iova)   RET(0, dma(&b, iova, "read", byte))
#define WRITES(byte, iova)  RET(0, dma(&b, iova, "write", byte))

static bool attached(CtBound *b, uint32_t *ioas)
{
    if (!ct_bound_new(b, CT_DEV)) {
        return false;
    }
    *ioas = ct_ioas(b->iommufd);
    return RET(0, ct_attach(b, *ioas));
}

/* MADV_DONTNEED, as a balloon does it: the process has another page then */
static void discarded(void)
{
    size_t page = ct_page();
    uint8_t *va = ct_mem(4 * page);
    uint32_t ioas;
    CtBound b;

    if (!attached(&b, &ioas)) {
        return;
    }
    memset(va, 0x11, 4 * page);
    RET(0, map(&b, ioas, va, 0, 4));
    READS(0x11, AT + page);
    OK(!madvise(va + page, 2 * page, MADV_DONTNEED));
    EQ(0, va[page]);
    READS(0x11, AT + page);
    va[page] = va[page + 1] = 0x22;
    READS(0x11, AT + page);
    WRITES(0x33, AT + page);
    EQ(0x22, va[page]);
    READS(0x33, AT + page);
    /* Its neighbours are where they were, and it is not shared with them */
    WRITES(0x44, AT);
    EQ(0x44, va[0]);
    READS(0x11, AT + 2 * page);
    READS(0x11, AT + 3 * page);
    /* Again, of which nothing was pinned */
    OK(!madvise(va, 4 * page, MADV_DONTNEED));
    READS(0x33, AT + page);
    READS(0x44, AT);
    /* Mapped anew it is what the process has */
    RET(0, unmap(&b, ioas, 0, 4));
    memset(va, 0x55, 4 * page);
    RET(0, map(&b, ioas, va, 0, 4));
    READS(0x55, AT + page);
    WRITES(0x66, AT + page);
    EQ(0x66, va[page]);
}

/* Pinned from the first page table on, until the last has gone */
static void discarded_unpinned(void)
{
    uint8_t *va = ct_mem(ct_page());
    uint32_t ioas;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    va[0] = va[1] = 0x11;
    RET(0, map(&b, ioas, va, 0, 1));
    OK(!madvise(va, ct_page(), MADV_DONTNEED));
    RET(0, ct_attach(&b, ioas));
    READS(0, AT);
    va[0] = va[1] = 0x22;
    READS(0x22, AT);
    OK(!madvise(va, ct_page(), MADV_DONTNEED));
    READS(0x22, AT);
    RET(0, ct_detach(&b));
    RET(0, ct_attach(&b, ioas));
    READS(0, AT);
}

/* Of one mapping, some pages are pinned before the others */
static void discarded_in_part(void)
{
    size_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);
    uint64_t iova = AT;
    uint32_t ioas, whole, hwpt;
    CtBound b;

    if (!attached(&b, &ioas)) {
        return;
    }
    whole = ct_ioas(b.iommufd);
    memset(va, 0x11, 2 * page);
    RET(0, map(&b, whole, va, 0, 2));
    RET(0, ct_copy_map(b.iommufd, ioas, whole, page, &iova, AT,
                       CT_RW | CT_FIXED));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    OK(!madvise(va, 2 * page, MADV_DONTNEED));
    memset(va, 0x22, 2 * page);
    READS(0x11, AT);
    RET(0, ct_attach(&b, whole));
    READS(0x11, AT);
    READS(0x22, AT + page);
    WRITES(0x33, AT + page);
    EQ(0x33, va[page]);
}

/* Unmapped, mapped over, moved */
static void unmapped(void)
{
    size_t page = ct_page();
    uint8_t *va = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *to;
    uint32_t ioas;
    CtBound b;

    if (!OK(va != MAP_FAILED) || !attached(&b, &ioas)) {
        return;
    }
    memset(va, 0x11, 4 * page);
    RET(0, map(&b, ioas, va, 0, 4));
    OK(!munmap(va + 3 * page, page));
    READS(0x11, AT + 3 * page);
    WRITES(0x22, AT + 3 * page);
    READS(0x22, AT + 3 * page);
    OK(mmap(va + 2 * page, page, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    va[2 * page] = 0x33;
    READS(0x11, AT + 2 * page);
    to = mremap(va, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED,
                ct_mem(2 * page));
    if (OK(to != MAP_FAILED)) {
        WRITES(0x44, AT + page);
        EQ(0x44, to[page]);
        to[0] = to[1] = 0x55;
        READS(0x55, AT);
    }
    munmap(va + 2 * page, page);
    /* Nobody has it but the device */
    READS(0x11, AT + 2 * page);
    RET(0, unmap(&b, ioas, 0, 4));
}

/* copy_present_page(): of a pinned page the child has the copy */
static void forked(void)
{
    uint8_t *va = ct_mem(ct_page());
    uint32_t ioas;
    pid_t child;
    CtBound b;
    int status;

    if (!attached(&b, &ioas)) {
        return;
    }
    RET(0, map(&b, ioas, va, 0, 1));
    child = fork();
    if (!child) {
        va[0] = 0x11;
        _exit(0);
    }
    OK(child > 0 && waitpid(child, &status, 0) == child);
    va[0] = va[1] = 0x22;
    READS(0x22, AT);
    WRITES(0x33, AT);
    EQ(0x33, va[0]);
}

/* Memory of a file: unmapping it is nothing, a hole is */
static void file(void)
{
    size_t page = ct_page();
    int fd = ct_keep_fd(syscall(SYS_memfd_create, "conformance", 1));
    uint8_t *va, *other;
    uint32_t ioas;
    CtBound b;

    if (!OK(!ftruncate(fd, 4 * page)) || !attached(&b, &ioas)) {
        return;
    }
    va = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    other = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!OK(va != MAP_FAILED && other != MAP_FAILED)) {
        return;
    }
    memset(va, 0x11, 4 * page);
    RET(0, map(&b, ioas, va, 0, 4));
    OK(!madvise(va, page, MADV_DONTNEED));
    WRITES(0x22, AT);
    EQ(0x22, va[0]);
    OK(!munmap(va, 4 * page));
    WRITES(0x33, AT);
    EQ(0x33, other[0]);
    OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page,
                  page + page / 2));
    EQ(0, other[page]);
    READS(0x11, AT + page);
    WRITES(0x44, AT + page);
    EQ(0, other[page]);
    /* Half of a page went, and it is the same one */
    EQ(0, other[2 * page]);
    READS(0, AT + 2 * page);
    READS(0x11, AT + 2 * page + page / 2);
    WRITES(0x55, AT + 2 * page);
    EQ(0x55, other[2 * page]);
    OK(!madvise(other + 2 * page, page, MADV_REMOVE));
    EQ(0, other[2 * page]);
    READS(0x55, AT + 2 * page);
    OK(!ftruncate(fd, page));
    READS(0x11, AT + 3 * page);
    READS(0x44, AT + page);
    munmap(other, 4 * page);
}

/* iopt_map_file_pages(): the same page by two mappings is one */
static void file_twice(void)
{
    size_t page = ct_page();
    int fd = ct_keep_fd(syscall(SYS_memfd_create, "conformance", 1));
    uint8_t *va;
    uint32_t ioas;
    CtBound b;

    if (!OK(!ftruncate(fd, page)) || !attached(&b, &ioas)) {
        return;
    }
    va = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct iommu_ioas_map_file cmd = {
            .size = sizeof(cmd),
            .flags = CT_RW | CT_FIXED,
            .ioas_id = ioas,
            .fd = fd,
            .length = page,
            .iova = AT + i * page,
        };

        RET(0, ct_ioctl(b.iommufd, IOMMU_IOAS_MAP_FILE, &cmd));
    }
    va[0] = va[1] = 0x11;
    OK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page));
    EQ(0, va[0]);
    READS(0x11, AT);
    WRITES(0x22, AT);
    READS(0x22, AT + page);
    EQ(0, va[0]);
    munmap(va, page);
}

static const CtScenario scenarios[] = {
    { "the limit", limit, CT_DEV | CT_MEMLOCK },
    { "the limit: at the first page table", limit_late, CT_DEV | CT_MEMLOCK },
    { "the limit: twice, and copies", limit_twice, CT_DEV | CT_MEMLOCK },
    { "the limit: of user and process", limit_process,
      CT_DEV | CT_MEMLOCK | CT_RESOURCE },
    { "memory discarded", discarded, CT_DEV | CT_MODEL },
    { "memory discarded before and after", discarded_unpinned,
      CT_DEV | CT_MODEL },
    { "memory discarded of which a part is pinned", discarded_in_part,
      CT_DEV | CT_MODEL },
    { "memory unmapped and moved", unmapped, CT_DEV | CT_MODEL },
    { "fork", forked, CT_DEV | CT_MODEL },
    { "a file: unmapped, holes, cut off", file, CT_DEV | CT_MODEL },
    { "a file: one page by two mappings", file_twice, CT_DEV | CT_MODEL },
};

CT_GROUP(ct_group_pin, "pin");
