/*
 * Model of /dev/iommu: access to the caller's memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bad pointer has to give EFAULT, as from the kernel, and must not end the
 * program.  process_vm_readv() on ourselves says so without a signal handler.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "objects.h"

static int vm_copy(void *dst, const void *src, size_t len, bool to_user)
{
    struct iovec ours = { .iov_len = len };
    struct iovec user = { .iov_len = len };
    ssize_t n;

    if (!len) {
        return 0;
    }
    if (to_user) {
        ours.iov_base = (void *)src;
        user.iov_base = dst;
        n = process_vm_writev(getpid(), &ours, 1, &user, 1, 0);
    } else {
        ours.iov_base = dst;
        user.iov_base = (void *)src;
        n = process_vm_readv(getpid(), &ours, 1, &user, 1, 0);
    }
    if (n == (ssize_t)len) {
        /* Once more, for tools that follow stores but not this system call */
        memcpy(dst, src, len);
        return 0;
    }
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        /* A sandbox forbids the call: trust the pointer unless it is NULL */
        if (!user.iov_base) {
            return -EFAULT;
        }
        memcpy(dst, src, len);
        return 0;
    }
    return -EFAULT;
}

int mdl_copy_from(void *dst, const void *src, size_t len)
{
    return vm_copy(dst, src, len, false);
}

int mdl_copy_to(void *dst, const void *src, size_t len)
{
    return vm_copy(dst, src, len, true);
}

int mdl_clear_user(void *dst, size_t len)
{
    static const char zero[256];
    int ret = 0;

    while (len && !ret) {
        size_t n = len < sizeof(zero) ? len : sizeof(zero);

        ret = mdl_copy_to(dst, zero, n);
        dst = (char *)dst + n;
        len -= n;
    }
    return ret;
}

int mdl_copy_struct(void *dst, size_t ksize, const void *src, size_t usize)
{
    size_t size = usize < ksize ? usize : ksize;
    const char *tail = (const char *)src + ksize;
    size_t left = usize > ksize ? usize - ksize : 0;
    char buf[256];
    size_t i, n;

    while (left) {
        n = left < sizeof(buf) ? left : sizeof(buf);
        if (mdl_copy_from(buf, tail, n)) {
            return -EFAULT;
        }
        for (i = 0; i < n; i++) {
            if (buf[i]) {
                return -E2BIG;
            }
        }
        tail += n;
        left -= n;
    }
    memset(dst, 0, ksize);
    return mdl_copy_from(dst, src, size);
}

typedef struct PinScan {
    uint64_t next;                      /* first address not yet found good */
    uint64_t end;
    bool write;
    bool bad;
} PinScan;

/*
 * Whether a file system writes back what is stored through mappings: it would
 * not know of what a device writes (mm/gup.c: writable_file_mapping_allowed()).
 * Those that nobody has mounted are of memfds and the like.
 */
static bool writes_back(unsigned major, unsigned minor)
{
    static const char *const none[] = {
        "tmpfs", "devtmpfs", "hugetlbfs", "ramfs",
    };
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096], type[32];
    bool back = false;

    while (f && fgets(line, sizeof(line), f)) {
        const char *dash = strstr(line, " - ");
        unsigned ma, mi, i;

        if (sscanf(line, "%*u %*u %u:%u", &ma, &mi) != 2 || !dash ||
            ma != major || mi != minor || sscanf(dash, " - %31s", type) != 1) {
            continue;
        }
        back = true;
        for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
            back &= !!strcmp(type, none[i]);
        }
        break;
    }
    if (f) {
        fclose(f);
    }
    return back;
}

static bool scan_map(const char *line, void *opaque)
{
    unsigned long long first, end;
    PinScan *scan = opaque;
    unsigned major, minor;
    char perm[5];

    if (sscanf(line, "%llx-%llx %4s %*x %x:%x", &first, &end, perm, &major,
               &minor) != 5 || end <= scan->next) {
        return true;
    }
    /* What a BAR is mapped through has no pages: VM_PFNMAP */
    scan->bad = first > scan->next || perm[0] != 'r' ||
                (scan->write && (perm[1] != 'w' || (perm[3] == 's' &&
                                 writes_back(major, minor)))) ||
                strstr(line, MDL_BAR_FILE);
    scan->next = end;
    return !scan->bad && scan->next < scan->end;
}

void mdl_or_to(void *dst, const uint8_t *bits, size_t len)
{
    uint8_t old[MDL_PAGE_SIZE];
    size_t at, n, i;

    /* No byte is touched that gets no bit */
    for (at = 0; at < len; at += n) {
        char *to = (char *)dst + at;
        size_t left = MDL_PAGE_SIZE - ((uintptr_t)to & (MDL_PAGE_SIZE - 1));

        left = left < len - at ? left : len - at;
        for (n = 0; n < left && bits[at + n]; n++) {
            /* so many in one go */
        }
        if (!n) {
            n = 1;
            continue;
        }
        if (mdl_copy_from(old, to, n)) {
            continue;
        }
        for (i = 0; i < n; i++) {
            old[i] |= bits[at + i];
        }
        mdl_copy_to(to, old, n);
    }
}

void mdl_maps_walk(bool (*each)(const char *text, void *opaque),
                   void *opaque)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    bool more = fd >= 0;
    size_t have = 0;
    char buf[4096];
    ssize_t n;

    while (more) {
        char *line = buf, *eol;

        n = read(fd, buf + have, sizeof(buf) - 1 - have);
        if (n <= 0) {
            break;
        }
        have += n;
        buf[have] = '\0';
        while (more && (eol = strchr(line, '\n'))) {
            *eol = '\0';
            more = each(line, opaque);
            line = eol + 1;
        }
        have -= line - buf;
        if (have == sizeof(buf) - 1) {
            /* A path longer than the buffer: its start is all we need */
            have = 0;
        }
        memmove(buf, line, have);
    }
    if (fd >= 0) {
        close(fd);
    }
}

int mdl_check_pin(uint64_t va, uint64_t len, bool write)
{
    PinScan scan = { .next = va, .end = va + len, .write = write };

    mdl_maps_walk(scan_map, &scan);
    return scan.bad || scan.next < scan.end ? -EFAULT : 0;
}
