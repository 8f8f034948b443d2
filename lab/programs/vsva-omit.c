/*
 * vsva: what happens when a VMM leaves out invalidations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Behind --vmm is who makes it do so: the name of a kind is answered with a
 * line once nothing of that kind gets to the host any more.
 *
 * What the device gets to because of that is memory of this process, at
 * addresses that are used for nothing else, through page tables that stay: so
 * none of it can harm anybody, and what comes after it is right again.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vsva.h"

#define PAGES           2
#define TABLE           (512 * PAGE)    /* what one page of PTEs maps */
#define WAIT_NS         20000000000ULL

typedef struct Pool {
    Test *t;
    int fd;
    uint8_t *view;              /* all of it, never taken away */
    uint8_t *place;             /* one page of it, as the device sees it */
    uint64_t pattern;
} Pool;

static bool tell(Test *t, const char *kind)
{
    char line[32], c = 0;
    int len = snprintf(line, sizeof(line), "%s\n", kind);
    bool ok = write(t->vmm, line, len) == len;

    while (ok && c != '\n') {
        ok = read(t->vmm, &c, 1) == 1;
    }
    if (!ok) {
        fail(t, "the VMM cannot be told: %s", strerror(errno));
    }
    return ok;
}

void omit(Test *t, const char *kind, void (*prepare)(Test *t, void *opaque),
          bool (*change)(Test *t, void *opaque), void *opaque)
{
    const char *const turns[] = { "none", kind, "none" };

    for (unsigned i = 0; i < 3 && !failed(t); i++) {
        bool wrong;

        prepare(t, opaque);
        if (failed(t) || !tell(t, turns[i])) {
            return;
        }
        wrong = change(t, opaque);
        if (tell(t, "none") && wrong != (i == 1)) {
            fail(t, "turn %u, nothing done about \"%s\": %s data", i, turns[i],
                 wrong ? "wrong" : "right");
        }
    }
    fact(t, "omitted", "\"%s\"", kind);
}

/* ----------------------------------------------------------------- memory */

static bool pool_make(Test *t, Pool *p)
{
    uintptr_t around;

    *p = (Pool) { .t = t, .fd = memfd_create("vsva", MFD_CLOEXEC) };
    if (p->fd < 0 || ftruncate(p->fd, PAGES * PAGE)) {
        fail(t, "memfd: %s", strerror(errno));
        return false;
    }
    p->view = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                   p->fd, 0);
    /* What is around the place keeps its table of PTEs */
    around = (uintptr_t)mmap(NULL, 2 * TABLE, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                             0);
    if (p->view == MAP_FAILED || around == (uintptr_t)MAP_FAILED) {
        fail(t, "mmap: %s", strerror(errno));
        return false;
    }
    memset(p->view, 0, PAGES * PAGE);
    p->place = (uint8_t *)((around + TABLE - 1) / TABLE * TABLE + PAGE);
    return true;
}

/* Page @n, or one that is of this process only, is in place and written to */
static void pool_put(Pool *p, int n)
{
    if (mmap(p->place, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED |
             (n < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
             n < 0 ? -1 : p->fd, n < 0 ? 0 : n * PAGE) != p->place) {
        fail(p->t, "mmap: %s", strerror(errno));
        return;
    }
    __atomic_store_n(p->place, 0, __ATOMIC_RELAXED);
}

/* Code 0 if the queue has halted instead */
static Completion pool_fill(Pool *p)
{
    Queue *q = &p->t->q;
    uint64_t limit = now_ns() + WAIT_NS;
    unsigned slot = queue_push(q, &(Desc) {
        .op = SVA_OP_FILL, .dst = p->place, .len = PAGE,
        .pattern = p->pattern = random64(p->t),
    });

    queue_kick(q);
    while (!queue_done(q, slot) && queue_state(q) != SVA_STATE_HALTED) {
        if (now_ns() > limit) {
            fail(p->t, "the queue neither ends nor halts");
            return (Completion) { };
        }
        usleep(1000);
    }
    return queue_done(q, slot) ? queue_wait(q, slot) : (Completion) { };
}

static void pool_known(Test *t, void *opaque)
{
    Pool *p = opaque;

    pool_put(p, 0);
    expect(t, "fill", pool_fill(p), SVA_CODE_OK, PAGE);
    if (!failed(t) && !filled(p->view, PAGE, p->pattern)) {
        fail(t, "what was filled is elsewhere");
    }
}

/* ------------------------------------------------------- another page there */

static bool moved(Test *t, void *opaque)
{
    Pool *p = opaque;
    bool wrong;

    pool_put(p, 1);
    expect(t, "fill", pool_fill(p), SVA_CODE_OK, PAGE);
    wrong = filled(p->view, PAGE, p->pattern);
    if (!failed(t) && wrong == filled(p->view + PAGE, PAGE, p->pattern)) {
        fail(t, "the device has written to %s page", wrong ? "each" : "no");
    }
    return wrong;
}

static void omit_moved(Test *t, const char *kind)
{
    Pool p;

    if (pool_make(t, &p)) {
        omit(t, kind, pool_known, moved, &p);
    }
}

static void pages(Test *t)
{
    omit_moved(t, "pages");
}

static void device_tlb(Test *t)
{
    omit_moved(t, "device-tlb");
}

/* --------------------------------------------------- a page that is shared */

static void pool_private(Test *t, void *opaque)
{
    Pool *p = opaque;

    pool_put(p, -1);
    expect(t, "fill", pool_fill(p), SVA_CODE_OK, PAGE);
    if (!failed(t) && !filled(p->place, PAGE, p->pattern)) {
        fail(t, "what was filled is elsewhere");
    }
}

static bool forked(Test *t, void *opaque)
{
    Pool *p = opaque;
    uint64_t pattern = p->pattern;
    int pipes[2], status = 0;
    char c;
    pid_t pid;

    if (pipe(pipes)) {
        fail(t, "pipe: %s", strerror(errno));
        return false;
    }
    pid = fork();
    if (!pid) {
        close(pipes[1]);
        _exit(read(pipes[0], &c, 1) != 1 ? 2 :
              !filled(p->place, PAGE, pattern));
    }
    /* An error where it cannot ask for a page of its own */
    pool_fill(p);
    if (write(pipes[1], "", 1) != 1) {
        fail(t, "pipe: %s", strerror(errno));
    }
    close(pipes[0]);
    close(pipes[1]);
    if (waitpid(pid, &status, 0) != pid || status & ~0x100) {
        fail(t, "the child: wait status 0x%x", status);
    }
    return status;
}

static void all(Test *t)
{
    Pool p;

    if (!pool_make(t, &p)) {
        return;
    }
    /* Of these no copies are made, whatever the device has cached of them */
    madvise(t->q.ring, SVA_DESC_SIZE << t->q.order, MADV_DONTFORK);
    madvise(t->q.records, SVA_COMP_SIZE << t->q.order, MADV_DONTFORK);
    omit(t, "all", pool_private, forked, &p);
}

/* --------------------------------------------- a PASID that is taken away */

/* The registers, without what keeps the process bound */
static bool regs_only(Test *t)
{
    char path[64];
    void *regs;
    int fd;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0",
             t->e->bdf);
    fd = open(path, O_RDWR | O_CLOEXEC);
    regs = fd < 0 ? MAP_FAILED : mmap(NULL, SVA_BAR0_SIZE,
                                      PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                                      0);
    if (regs == MAP_FAILED) {
        fail(t, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!failed(t)) {
        engine_close(t->e);
        t->e->regs = regs;
    }
    return !failed(t);
}

static void bound(Test *t, void *opaque)
{
    if (t->e->fd < 0) {
        engine_close(t->e);
        if (!engine_open(t->e) || !queue_restart(&t->q)) {
            fail(t, "%s", t->e->why);
            return;
        }
    }
    pool_known(t, opaque);
}

static bool unbound(Test *t, void *opaque)
{
    Pool *p = opaque;

    if (!regs_only(t)) {
        return false;
    }
    pool_fill(p);
    return filled(p->view, PAGE, p->pattern);
}

static void omit_unbound(Test *t, const char *kind)
{
    Pool p;

    if (pool_make(t, &p)) {
        omit(t, kind, bound, unbound, &p);
    }
    if (!failed(t)) {
        bound(t, &p);
    }
}

static void pasid(Test *t)
{
    omit_unbound(t, "pasid");
}

static void cd(Test *t)
{
    omit_unbound(t, "cd");
}

const TestCase omit_tests[] = {
    { "pages", "another page is where one was", pages },
    { "device-tlb", "the same, for the device's own TLB", device_tlb },
    { "all", "pages become shared by fork: copy on write", all },
    { "pasid", "a process is no longer bound: HWPT of its PASID", pasid },
    { "cd", "the same: CD of its SSID", cd },
    { },
};
