/*
 * vsva: interrupts, queues at once, how long a fault takes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "vsva.h"

#define SAMPLES         100
#define QUEUE_PAGES     256

static void interrupt(Test *t)
{
    for (int i = 0; i < 10 && !failed(t); i++) {
        unsigned slot = queue_push(&t->q, &(Desc) {
            .op = SVA_OP_NOP | SVA_OP_INTERRUPT,
        });

        queue_kick(&t->q);
        if (!engine_wait_irq(t->e, 10000)) {
            fail(t, "no interrupt in 10 s");
        }
        expect(t, "nop", queue_wait(&t->q, slot), SVA_CODE_OK, 0);
    }
}

static void queues(Test *t)
{
    Queue q[SVA_QUEUES_MAX];
    uint8_t *p[SVA_QUEUES_MAX];
    unsigned slot[SVA_QUEUES_MAX];
    size_t len = QUEUE_PAGES * PAGE;
    unsigned n = 0;

    while (n + 1 < t->e->queues && !failed(t)) {
        p[n] = untouched(t, len);
        if (!p[n] || !queue_open(&q[n], t->e, n + 1, 4)) {
            fail(t, "%s", t->e->why);
            break;
        }
        slot[n] = queue_push(&q[n], &(Desc) {
            .op = SVA_OP_FILL, .dst = p[n], .len = len, .pattern = n + 1,
        });
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        queue_kick(&q[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        expect(t, "fill", queue_wait(&q[i], slot[i]), SVA_CODE_OK, len);
        if (!failed(t) && !filled(p[i], len, i + 1)) {
            fail(t, "queue %u: other bytes than its own", i + 1);
        }
        queue_close(&q[i]);
        munmap(p[i], len);
    }
    fact(t, "at_once", "%u", n);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void tell(Test *t, const char *name, uint64_t ns[SAMPLES])
{
    qsort(ns, SAMPLES, sizeof(ns[0]), compare);
    fact(t, name, "{\"min_ns\":%" PRIu64 ",\"median_ns\":%" PRIu64
         ",\"max_ns\":%" PRIu64 "}", ns[0], ns[SAMPLES / 2],
         ns[SAMPLES - 1]);
}

/* From the doorbell to the completion record, one page at a time */
static void latency(Test *t)
{
    static uint64_t fresh[SAMPLES], known[SAMPLES];
    uint64_t requests = SVA_COUNTERS + 8 * SVA_CNT_PAGE_REQUESTS;
    uint64_t before, between;
    uint8_t *p;

    if (needs_faults(t)) {
        return;
    }
    p = untouched(t, SAMPLES * PAGE);
    if (!p) {
        return;
    }
    before = engine_readq(t->e, requests);
    for (unsigned pass = 0; pass < 2; pass++) {
        between = engine_readq(t->e, requests);
        for (unsigned i = 0; i < SAMPLES && !failed(t); i++) {
            uint64_t start = now_ns();
            Completion c = queue_do(&t->q, &(Desc) {
                .op = SVA_OP_FILL, .dst = p + i * PAGE, .len = PAGE,
            });

            (pass ? known : fresh)[i] = now_ns() - start;
            expect(t, "fill", c, SVA_CODE_OK, PAGE);
        }
    }
    if (!failed(t) && between - before < SAMPLES) {
        fail(t, "%" PRIu64 " page requests for %u fresh pages",
             between - before, SAMPLES);
    }
    if (!failed(t) && engine_readq(t->e, requests) != between) {
        fail(t, "page requests for pages that are there");
    }
    tell(t, "untouched", fresh);
    tell(t, "touched", known);
    munmap(p, SAMPLES * PAGE);
}

const TestCase time_tests[] = {
    { "interrupt", "completion by MSI-X, read from uio", interrupt },
    { "queues", "all queues at once", queues },
    { "latency", "one page: never touched, and known to the device",
      latency },
    { },
};
