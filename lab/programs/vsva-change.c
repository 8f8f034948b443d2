/*
 * vsva: memory that changes while the device knows it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The target is a memfd that is mapped twice. DMA goes to the first mapping,
 * and while it does, that is taken away. From the moment the system call
 * returns, what is seen through the second must not change any more: the
 * kernel has invalidated the device's translations before.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "vsva.h"

#define TARGET_PAGES    128
#define TARGET_LEN      (TARGET_PAGES * PAGE)
#define DESCS           5
#define ROUNDS          20
/* On a busy machine the device may be done before the CPU gets anywhere */
#define ROUNDS_MAX      200

typedef struct Target {
    int fd;
    uint8_t *dma;               /* what the device is given */
    uint8_t *view;              /* the same memory, never taken away */
} Target;

typedef struct Race {
    unsigned ok;                /* descriptors that were in time */
    unsigned cut;               /* that met the change */
    uint8_t snapshot[TARGET_LEN];
} Race;

static bool target_make(Test *t, Target *g)
{
    g->fd = memfd_create("vsva", MFD_CLOEXEC);
    if (g->fd < 0 || ftruncate(g->fd, TARGET_LEN)) {
        fail(t, "memfd: %s", strerror(errno));
        return false;
    }
    g->dma = mmap(NULL, TARGET_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
                  g->fd, 0);
    g->view = mmap(NULL, TARGET_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
                   g->fd, 0);
    if (g->dma == MAP_FAILED || g->view == MAP_FAILED) {
        fail(t, "mmap: %s", strerror(errno));
        return false;
    }
    settle(t, g->dma, TARGET_LEN);
    return true;
}

static void target_free(Target *g)
{
    munmap(g->dma, TARGET_LEN);
    munmap(g->view, TARGET_LEN);
    close(g->fd);
}

static void start_dma(Test *t, const Target *g, unsigned slot[DESCS])
{
    for (unsigned i = 0; i < DESCS; i++) {
        slot[i] = queue_push(&t->q, &(Desc) {
            .op = SVA_OP_FILL, .dst = g->dma, .len = TARGET_LEN,
            .pattern = random64(t),
        });
    }
    queue_kick(&t->q);
}

/* Each is OK, or ended where the change was: nothing else can happen */
static void end_dma(Test *t, const Target *g, const unsigned slot[DESCS],
                    Race *race)
{
    uintptr_t start = (uintptr_t)g->dma;

    for (unsigned i = 0; i < DESCS && !failed(t); i++) {
        Completion c = queue_wait(&t->q, slot[i]);

        if (c.code == SVA_CODE_OK) {
            race->ok++;
        } else if (expect(t, "fill", c, t->e->absent, 0)) {
            race->cut++;
            if (c.address < start || c.address - start >= TARGET_LEN) {
                fail(t, "fill: failed at 0x%" PRIx64 ", which is elsewhere",
                     c.address);
            }
        }
    }
}

/* Anywhere from at once to when most of it is done */
static void some_time(Test *t, uint64_t dma_ns)
{
    uint64_t limit = now_ns() + random_below(t, 100) * dma_ns / 100;

    while (now_ns() < limit) {
        nanosleep(&(struct timespec) { .tv_nsec = 20000 }, NULL);
    }
}

/*
 * How long the DMA of one round takes when nothing happens; not 0, though the
 * clock of a guest on a busy machine may stand still meanwhile
 */
static uint64_t time_dma(Test *t, const Target *g)
{
    unsigned slot[DESCS];
    uint64_t start = now_ns();
    Race race = { };

    start_dma(t, g, slot);
    end_dma(t, g, slot, &race);
    if (race.cut) {
        fail(t, "%u descriptors failed on memory that is there", race.cut);
    }
    return now_ns() - start + 1;
}

/*
 * @take takes the mapping away; @unmapped: nothing is in its place, so the
 * device must not get anywhere.
 */
static void race(Test *t, bool (*take)(Target *g), bool unmapped)
{
    static Race seen;
    uint64_t dma_ns = 0;
    int i;

    seen = (Race) { };
    engine_writel(t->e, SVA_GROUP, SVA_GROUP_MAX);
    for (i = 0; !failed(t) &&
         i < (unmapped && !seen.cut ? ROUNDS_MAX : ROUNDS); i++) {
        unsigned slot[DESCS];
        Target g;

        if (!target_make(t, &g)) {
            return;
        }
        if (!dma_ns) {
            dma_ns = time_dma(t, &g);
        }
        start_dma(t, &g, slot);
        some_time(t, i % 4 ? dma_ns : 0);
        if (!take(&g)) {
            fail(t, "system call: %s", strerror(errno));
        }
        memcpy(seen.snapshot, g.view, TARGET_LEN);
        end_dma(t, &g, slot, &seen);
        if (!failed(t) && memcmp(seen.snapshot, g.view, TARGET_LEN)) {
            fail(t, "round %d: memory was written after it was taken away", i);
        }
        target_free(&g);
    }
    engine_writel(t->e, SVA_GROUP, SVA_GROUP_DEFAULT);
    if (!failed(t) && unmapped && !seen.cut) {
        fail(t, "no descriptor met the change");
    }
    fact(t, "rounds", "%d", i);
    fact(t, "in_time", "%u", seen.ok);
    fact(t, "cut", "%u", seen.cut);
}

static bool take_unmap(Target *g)
{
    return !munmap(g->dma, TARGET_LEN);
}

static bool take_protect(Target *g)
{
    return !mprotect(g->dma, TARGET_LEN, PROT_READ);
}

static bool take_replace(Target *g)
{
    return mmap(g->dma, TARGET_LEN, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == g->dma;
}

static void race_unmap(Test *t)
{
    race(t, take_unmap, true);
}

static void race_protect(Test *t)
{
    race(t, take_protect, true);
}

static void race_replace(Test *t)
{
    race(t, take_replace, false);
}

/* Pages that go elsewhere do not take the device with them */
static void moved(Test *t)
{
    uint8_t *p = untouched(t, 4 * PAGE);
    uint8_t *place = untouched(t, 4 * PAGE);
    Desc fill = { .op = SVA_OP_FILL, .len = 4 * PAGE, .pattern = 1 };
    Completion c;

    if (!p || !place) {
        return;
    }
    fill.dst = p;
    expect(t, "fill", queue_do(&t->q, &fill), SVA_CODE_OK, 4 * PAGE);
    if (mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) !=
        place) {
        fail(t, "mremap: %s", strerror(errno));
    }
    fill.pattern = 2;
    c = queue_do(&t->q, &fill);
    expect(t, "fill of where it was", c, t->e->absent, 0);
    if (!failed(t) && !filled(place, 4 * PAGE, 1)) {
        fail(t, "what was moved was written through where it was");
    }
    fill.dst = place;
    expect(t, "fill of where it is", queue_do(&t->q, &fill), SVA_CODE_OK,
           4 * PAGE);
    if (!failed(t) && !filled(place, 4 * PAGE, 2)) {
        fail(t, "what was moved was not written");
    }
    /* And pages that are given back come as new ones */
    madvise(place, 4 * PAGE, MADV_DONTNEED);
    settle(t, place, PAGE);
    fill.len = PAGE;
    fill.pattern = 3;
    expect(t, "fill after MADV_DONTNEED", queue_do(&t->q, &fill), SVA_CODE_OK,
           PAGE);
    if (!failed(t) && (!filled(place, PAGE, 3) ||
                       !filled(place + PAGE, 3 * PAGE, 0))) {
        fail(t, "pages that were given back are not new");
    }
    munmap(place, 4 * PAGE);
}

const TestCase change_tests[] = {
    { "unmap", "munmap while DMA runs: freed pages are not reached",
      race_unmap },
    { "protect", "mprotect while DMA runs: not written from then on",
      race_protect },
    { "replace", "mmap over it while DMA runs: new memory, or old, not both",
      race_replace },
    { "move", "mremap, MADV_DONTNEED: the device follows the table", moved },
    { },
};
