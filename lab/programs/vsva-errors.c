/*
 * vsva: what pointers can not point to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include "vsva.h"

#define OK_PATTERN      0x1122334455667788ULL

/*
 * One bad descriptor between two good ones: they are done, the queue goes on,
 * and the bad one has @done bytes and names @address.
 */
static void between(Test *t, const char *what, const Desc *bad, uint32_t code,
                    uint64_t done, uintptr_t address)
{
    uint8_t good[2][256];
    unsigned slot[3];
    Completion c;

    memset(good, 0, sizeof(good));
    for (int i = 0; i < 3; i++) {
        slot[i] = queue_push(&t->q, i == 1 ? bad : &(Desc) {
            .op = SVA_OP_FILL, .dst = good[i / 2], .len = sizeof(good[0]),
            .pattern = OK_PATTERN,
        });
    }
    queue_kick(&t->q);
    expect(t, what, queue_wait(&t->q, slot[0]), SVA_CODE_OK, sizeof(good[0]));
    c = queue_wait(&t->q, slot[1]);
    if (expect(t, what, c, code, 0) &&
        (c.done != done || c.address != address)) {
        fail(t, "%s: %" PRIu64 " bytes, then 0x%" PRIx64 "; wanted %" PRIu64
             " and 0x%" PRIxPTR, what, c.done, c.address, done, address);
    }
    expect(t, what, queue_wait(&t->q, slot[2]), SVA_CODE_OK, sizeof(good[0]));
    if (!failed(t) && !filled(good, sizeof(good), OK_PATTERN)) {
        fail(t, "%s: the descriptors around it did not do their work", what);
    }
}

static void nothing(Test *t)
{
    size_t len = 3 * PAGE;
    uint8_t *p = untouched(t, len);
    /* The kernel's mapping of all memory: there, but not for a process */
    uint8_t *kernel = (uint8_t *)0xffff888000100000ULL;
    uint8_t *hole;

    if (!p) {
        return;
    }
    hole = p + PAGE;
    munmap(hole, PAGE);
    between(t, "read of NULL", &(Desc) {
        .op = SVA_OP_CHECKSUM, .src = NULL, .len = 8,
    }, t->e->absent, 0, 0);
    between(t, "fill of a hole", &(Desc) {
        .op = SVA_OP_FILL, .dst = hole, .len = PAGE,
    }, t->e->absent, 0, (uintptr_t)hole);
    between(t, "fill into a hole", &(Desc) {
        .op = SVA_OP_FILL, .dst = p, .len = len, .pattern = OK_PATTERN,
    }, t->e->absent, PAGE, (uintptr_t)hole);
    between(t, "checksum into a hole", &(Desc) {
        .op = SVA_OP_CHECKSUM, .src = p, .len = len,
    }, t->e->absent, PAGE, (uintptr_t)hole);
    between(t, "read of the kernel's memory", &(Desc) {
        .op = SVA_OP_CHECKSUM, .src = kernel, .len = 8,
    }, t->e->absent, 0, (uintptr_t)kernel);
    between(t, "fill of the kernel's memory", &(Desc) {
        .op = SVA_OP_FILL, .dst = kernel, .len = 8,
    }, t->e->absent, 0, (uintptr_t)kernel);
    fact(t, "hole", "\"0x%" PRIxPTR "\"", (uintptr_t)hole);
    if (!failed(t) && !filled(p, PAGE, OK_PATTERN)) {
        fail(t, "the page before the hole was not filled");
    }
    if (!failed(t) && !filled(p + 2 * PAGE, PAGE, 0)) {
        fail(t, "the page behind the hole was filled");
    }
    munmap(p, PAGE);
    munmap(p + 2 * PAGE, PAGE);
}

static void permission(Test *t)
{
    uint8_t *p = untouched(t, PAGE);
    Desc fill = {
        .op = SVA_OP_FILL, .dst = p, .len = PAGE, .pattern = OK_PATTERN,
    };
    Desc sum = { .op = SVA_OP_CHECKSUM, .src = p, .len = PAGE };
    Completion c;

    if (!p) {
        return;
    }
    /* So that the device has a translation for writing */
    expect(t, "fill", queue_do(&t->q, &fill), SVA_CODE_OK, PAGE);
    mprotect(p, PAGE, PROT_READ);
    fill.pattern = ~OK_PATTERN;
    between(t, "fill of a read-only page", &fill, t->e->absent, 0,
            (uintptr_t)p);
    c = queue_do(&t->q, &sum);
    if (expect(t, "checksum of a read-only page", c, SVA_CODE_OK, PAGE) &&
        (!filled(p, PAGE, OK_PATTERN) || c.result != crc32c(p, PAGE))) {
        fail(t, "a read-only page was written, or read wrong");
    }
    mprotect(p, PAGE, PROT_NONE);
    between(t, "read of a page of no permission", &sum, t->e->absent, 0,
            (uintptr_t)p);
    mprotect(p, PAGE, PROT_READ | PROT_WRITE);
    settle(t, p, PAGE);
    expect(t, "fill", queue_do(&t->q, &fill), SVA_CODE_OK, PAGE);
    if (!failed(t) && !filled(p, PAGE, ~OK_PATTERN)) {
        fail(t, "a page that can be written again was not");
    }
    munmap(p, PAGE);
}

static void malformed(Test *t)
{
    uint8_t byte[8] = { };

    between(t, "unknown operation", &(Desc) { .op = 0x7f }, SVA_CODE_OPCODE,
            0, 0);
    between(t, "reserved bit", &(Desc) { .op = SVA_OP_NOP | 1u << 9 },
            SVA_CODE_RESERVED, 0, 0);
    between(t, "beyond the last address", &(Desc) {
        .op = SVA_OP_FILL, .dst = byte, .len = ~0ULL,
    }, SVA_CODE_RANGE, 0, 0);
    if (!failed(t) && !filled(byte, sizeof(byte), 0)) {
        fail(t, "a refused descriptor has written");
    }
}

const TestCase error_tests[] = {
    { "nothing", "holes, NULL, the kernel's memory: an error, nothing else",
      nothing },
    { "permission", "mprotect: read-only and none, then back", permission },
    { "malformed", "descriptors that are refused", malformed },
    { },
};
