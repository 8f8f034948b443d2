/*
 * Conformance of /dev/iommu: checks and what a scenario leaves behind
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
#include "conformance.h"

#define MAX_KEPT 256

static unsigned checks, failures, failures_before;
static int kept_fd[MAX_KEPT];
static unsigned nr_fd;
static struct {
    void *addr;
    size_t len;
} kept_mem[MAX_KEPT];
static unsigned nr_mem;

const char *ct_errno_name(int err)
{
    static const struct {
        int err;
        const char *name;
    } names[] = {
        { EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { EINTR, "EINTR" },
        { EIO, "EIO" }, { ENXIO, "ENXIO" }, { E2BIG, "E2BIG" },
        { EBADF, "EBADF" }, { EAGAIN, "EAGAIN" }, { ENOMEM, "ENOMEM" },
        { EACCES, "EACCES" }, { EFAULT, "EFAULT" }, { EBUSY, "EBUSY" },
        { EEXIST, "EEXIST" }, { ENODEV, "ENODEV" }, { EINVAL, "EINVAL" },
        { ENOTTY, "ENOTTY" }, { ENOSPC, "ENOSPC" }, { ESPIPE, "ESPIPE" },
        { ERANGE, "ERANGE" }, { EMSGSIZE, "EMSGSIZE" },
        { EOPNOTSUPP, "EOPNOTSUPP" }, { EADDRINUSE, "EADDRINUSE" },
        { EOVERFLOW, "EOVERFLOW" }, { EBADFD, "EBADFD" },
        { ETIMEDOUT, "ETIMEDOUT" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].err == err) {
            return names[i].name;
        }
    }
    return "errno";
}

static void print_result(long val)
{
    if (val < 0) {
        printf("%s (%ld)", ct_errno_name(-val), -val);
    } else if (val) {
        printf("%ld", val);
    } else {
        printf("success");
    }
}

/* Only the last component: the build's directory says nothing */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool ct_ret(const char *file, int line, const char *what, long want, long got)
{
    checks++;
    if (want == got) {
        return true;
    }
    failures++;
    printf("# %s:%d: %s: expected ", base_name(file), line, what);
    print_result(want);
    printf(", got ");
    print_result(got);
    printf("\n");
    return false;
}

bool ct_eq(const char *file, int line, const char *what, uint64_t want,
           uint64_t got)
{
    checks++;
    if (want == got) {
        return true;
    }
    failures++;
    printf("# %s:%d: %s: expected 0x%" PRIx64 ", got 0x%" PRIx64 "\n",
           base_name(file), line, what, want, got);
    return false;
}

bool ct_true(const char *file, int line, const char *what, bool ok)
{
    checks++;
    if (!ok) {
        failures++;
        printf("# %s:%d: expected true, got false: %s\n", base_name(file),
               line, what);
    }
    return ok;
}

void ct_note(const char *fmt, ...)
{
    va_list ap;

    printf("# ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

unsigned ct_checks(void)
{
    return checks;
}

unsigned ct_failures(void)
{
    return failures;
}

void ct_scenario_begin(void)
{
    failures_before = failures;
}

bool ct_scenario_end(void)
{
    /* Last opened first: devices before the iommufd they are bound to */
    while (nr_fd) {
        close(kept_fd[--nr_fd]);
    }
    while (nr_mem) {
        nr_mem--;
        munmap(kept_mem[nr_mem].addr, kept_mem[nr_mem].len);
    }
    return failures == failures_before;
}

int ct_keep_fd(int fd)
{
    if (fd >= 0) {
        if (nr_fd == MAX_KEPT) {
            fprintf(stderr, "conformance: too many files in one scenario\n");
            exit(2);
        }
        kept_fd[nr_fd++] = fd;
    }
    return fd;
}

void ct_close(int fd)
{
    for (unsigned i = nr_fd; i-- > 0;) {
        if (kept_fd[i] == fd) {
            nr_fd--;
            memmove(&kept_fd[i], &kept_fd[i + 1],
                    (nr_fd - i) * sizeof(kept_fd[0]));
            break;
        }
    }
    close(fd);
}

size_t ct_page(void)
{
    return getauxval(AT_PAGESZ);
}

void *ct_mem(size_t len)
{
    void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (addr == MAP_FAILED || nr_mem == MAX_KEPT) {
        fprintf(stderr, "conformance: no memory\n");
        exit(2);
    }
    memset(addr, 0, len);
    kept_mem[nr_mem].addr = addr;
    kept_mem[nr_mem].len = len;
    nr_mem++;
    return addr;
}

bool ct_capable(unsigned cap)
{
    char line[256];
    unsigned long long caps = 0;
    FILE *f = fopen("/proc/self/status", "re");

    if (!f) {
        return geteuid() == 0;
    }
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "CapEff: %llx", &caps) == 1) {
            break;
        }
    }
    fclose(f);
    return caps >> cap & 1;
}
