/*
 * vsva: what pointers can point to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vsva.h"

#define SOME_PAGES      64
#define HUGE            (2u << 20)

static uint8_t in_data[3 * PAGE] = { 1 };
static uint8_t in_bss[3 * PAGE];

/* The engine's checksum of it is the CPU's; returned */
static uint32_t same_checksum(Test *t, const char *what, const void *p,
                              size_t len)
{
    Completion c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_CHECKSUM, .src = p, .len = len,
    });
    uint32_t crc = crc32c(p, len);

    if (expect(t, what, c, SVA_CODE_OK, len) && c.result != crc) {
        fail(t, "%s: checksum 0x%" PRIx64 " from the engine, 0x%x from the"
             " CPU", what, c.result, crc);
    }
    return crc;
}

/* ------------------------------------------------------------- untouched */

static void untouched_fill(Test *t)
{
    size_t len = SOME_PAGES * PAGE;
    uint64_t pattern = random64(t);
    uint8_t *p = untouched(t, len);
    Completion c;

    if (!p) {
        return;
    }
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_FILL, .dst = p, .len = len, .pattern = pattern,
    });
    if (expect(t, "fill", c, SVA_CODE_OK, len) && !filled(p, len, pattern)) {
        fail(t, "fill: other bytes than the pattern's");
    }
    munmap(p, len);
}

static void untouched_copy(Test *t)
{
    size_t len = SOME_PAGES * PAGE;
    uint64_t seed = random64(t);
    uint8_t *src = untouched(t, len);
    uint8_t *dst = untouched(t, len);
    Completion c;

    if (!src || !dst) {
        return;
    }
    scribble(src, len, seed);
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_COPY, .src = src, .dst = dst, .len = len,
    });
    if (expect(t, "copy", c, SVA_CODE_OK, len) &&
        !scribbled(dst, len, seed)) {
        fail(t, "copy: other bytes than the source's");
    }
    fact(t, "crc32c", "\"0x%08x\"", same_checksum(t, "copied", dst, len));
    munmap(src, len);
    munmap(dst, len);
}

static void untouched_checksum(Test *t)
{
    size_t len = SOME_PAGES * PAGE;
    uint8_t *p = untouched(t, len);
    Completion c;

    if (!p) {
        return;
    }
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_CHECKSUM, .src = p, .len = len,
    });
    /* The CPU is the second to look: there must be zeros */
    if (expect(t, "checksum", c, SVA_CODE_OK, len) &&
        (c.result != crc32c(p, len) || !filled(p, len, 0))) {
        fail(t, "checksum: 0x%" PRIx64 " is not that of zeros", c.result);
    }
    munmap(p, len);
}

/* -------------------------------------------------------------- crossing */

static void crossing_one(Test *t, uint8_t *src, uint8_t *dst)
{
    uint32_t from = random_below(t, 2 * PAGE);
    uint32_t to = random_below(t, 2 * PAGE);
    uint32_t len = 1 + random_below(t, 4 * PAGE);
    size_t behind = to + len;
    Completion c;

    memset(dst, 0x5a, 8 * PAGE);
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_COPY, .src = src + from, .dst = dst + to, .len = len,
    });
    if (expect(t, "copy", c, SVA_CODE_OK, len) &&
        (memcmp(src + from, dst + to, len) ||
         !filled(dst, to, 0x5a5a5a5a5a5a5a5aULL) ||
         !filled(dst + behind, 8 * PAGE - behind, 0x5a5a5a5a5a5a5a5aULL))) {
        fail(t, "copy of %u bytes from +%u to +%u: wrong in or around it",
             len, from, to);
    }
    same_checksum(t, "copied", dst + to, len);
}

static void crossing(Test *t)
{
    uint8_t *src = untouched(t, 8 * PAGE);
    uint8_t *dst = untouched(t, 8 * PAGE);

    if (!src || !dst) {
        return;
    }
    scribble(src, 8 * PAGE, random64(t));
    for (int i = 0; i < 100 && !failed(t); i++) {
        crossing_one(t, src, dst);
    }
    munmap(src, 8 * PAGE);
    munmap(dst, 8 * PAGE);
}

/* ----------------------------------------------------------------- kinds */

static void kind(Test *t, const char *what, uint8_t *p, size_t len)
{
    uint64_t pattern = random64(t);
    Completion c;

    settle(t, p, len);
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_FILL, .dst = p, .len = len, .pattern = pattern,
    });
    if (expect(t, what, c, SVA_CODE_OK, len) && !filled(p, len, pattern)) {
        fail(t, "%s: other bytes than the pattern's", what);
    }
    same_checksum(t, what, p, len);
}

static void kind_file(Test *t)
{
    char name[] = "/tmp/vsva-XXXXXX";
    int fd = mkstemp(name);
    size_t len = 5 * PAGE;
    uint8_t *shared, *own, *through;

    if (fd < 0 || ftruncate(fd, len)) {
        fail(t, "%s: %s", name, strerror(errno));
        return;
    }
    unlink(name);
    shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    own = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    through = malloc(len);
    if (shared == MAP_FAILED || own == MAP_FAILED || !through) {
        fail(t, "mmap of a file: %s", strerror(errno));
        return;
    }
    kind(t, "file, shared", shared, len);
    if (pread(fd, through, len, 0) != (ssize_t)len ||
        memcmp(through, shared, len)) {
        fail(t, "file, shared: the file has other bytes");
    }
    kind(t, "file, private", own, len);
    if (pread(fd, through, len, 0) != (ssize_t)len ||
        memcmp(through, shared, len)) {
        fail(t, "file, private: the file has changed");
    }
    free(through);
    munmap(shared, len);
    munmap(own, len);
    close(fd);
}

static void kind_huge(Test *t)
{
    static const char path[] = "/proc/sys/vm/nr_hugepages";
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    uint8_t *p;

    if (fd < 0 || write(fd, "2", 1) != 1) {
        fact(t, "hugepages", "false");
    } else {
        p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        if (p == MAP_FAILED) {
            fail(t, "mmap of a huge page: %s", strerror(errno));
        } else {
            kind(t, "huge page", p, HUGE);
            munmap(p, HUGE);
        }
        fact(t, "hugepages", "true");
        if (write(fd, "0", 1) != 1) {
            fail(t, "%s: %s", path, strerror(errno));
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void kinds(Test *t)
{
    uint8_t on_stack[5 * PAGE];
    uint8_t *heap = malloc(5 * PAGE + 100);

    if (!heap) {
        fail(t, "malloc: %s", strerror(errno));
        return;
    }
    kind(t, "stack", on_stack, sizeof(on_stack));
    kind(t, "heap", heap, 5 * PAGE + 100);
    kind(t, "data", in_data, sizeof(in_data));
    kind(t, "bss", in_bss, sizeof(in_bss));
    kind_file(t);
    kind_huge(t);
    free(heap);
}

/* ---------------------------------------------------------------- faults */

/* Pages nobody has touched: written when @write, else read */
static uint32_t faults_round(Test *t, bool write, size_t len)
{
    uint64_t seed = random64(t);
    uint8_t *src = untouched(t, len);
    uint8_t *dst = untouched(t, len);
    uint32_t crc = 0;
    Completion c;

    if (!src || !dst) {
        return 0;
    }
    if (write) {
        scribble(src, len, seed);
    } else {
        /* The other way round: what was there must become zeros */
        scribble(dst, len, seed);
    }
    c = queue_do(&t->q, &(Desc) {
        .op = SVA_OP_COPY, .src = src, .dst = dst, .len = len,
    });
    if (expect(t, "copy", c, SVA_CODE_OK, len) &&
        !(write ? scribbled(dst, len, seed) : filled(dst, len, 0))) {
        fail(t, "copy: other bytes than the source's");
    }
    if (!failed(t)) {
        crc = same_checksum(t, "copied", dst, len);
    }
    munmap(src, len);
    munmap(dst, len);
    return crc;
}

/* Small groups are for variety; what a fault costs, it costs for a group */
static void faults(Test *t)
{
    static const struct {
        unsigned group;
        unsigned pages;
    } rounds[] = {
        { SVA_GROUP_MAX, 1024 }, { SVA_GROUP_DEFAULT, 512 }, { 1, 32 },
        { SVA_GROUP_MAX, 1024 }, { SVA_GROUP_MAX, 1024 },
    };
    uint64_t requests = SVA_COUNTERS + 8 * SVA_CNT_PAGE_REQUESTS;
    uint64_t start = engine_readq(t->e, requests);
    uint64_t seen = 0, verified = 0;
    unsigned n = 0;
    uint32_t crc = 0;

    if (needs_faults(t)) {
        return;
    }
    while (!failed(t) && seen < t->faults) {
        unsigned i = n++ % (sizeof(rounds) / sizeof(rounds[0]));
        size_t len = rounds[i].pages * PAGE;

        engine_writel(t->e, SVA_GROUP, rounds[i].group);
        crc = faults_round(t, n % 4 != 0, len);
        verified += len;
        seen = engine_readq(t->e, requests) - start;
        if (seen < n) {
            fail(t, "%u rounds without page requests", n);
        }
    }
    engine_writel(t->e, SVA_GROUP, SVA_GROUP_DEFAULT);
    fact(t, "wanted", "%" PRIu64, t->faults);
    fact(t, "rounds", "%u", n);
    fact(t, "verified", "%" PRIu64, verified);
    fact(t, "crc32c", "\"0x%08x\"", crc);
}

const TestCase memory_tests[] = {
    { "fill", "fill of memory nobody has touched", untouched_fill },
    { "copy", "copy into memory nobody has touched", untouched_copy },
    { "checksum", "checksum of memory nobody has touched",
      untouched_checksum },
    { "crossing", "any length, any alignment, nothing around is touched",
      crossing },
    { "kinds", "stack, heap, data, bss, files, huge pages", kinds },
    { "faults", "copies until there were --faults page requests", faults },
    { },
};
