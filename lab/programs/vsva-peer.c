/*
 * vsva: a BAR of another function, at a pointer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The process' page tables lead to the BAR all along. When the function does
 * not answer, it is the tables below, of whoever gave both functions to this
 * system, that lead nowhere.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vsva.h"

typedef struct Peer {
    int config;
    uint64_t *bar;              /* a register of it that keeps all bits */
} Peer;

static uint16_t config_read(Test *t, const Peer *p, unsigned at)
{
    uint16_t word = 0;          /* little endian is of x86, arm */

    if (pread(p->config, &word, sizeof(word), at) != sizeof(word)) {
        fail(t, "configuration space: %s", strerror(errno));
    }
    return word;
}

static void config_write(Test *t, const Peer *p, unsigned at, uint16_t word)
{
    if (pwrite(p->config, &word, sizeof(word), at) != sizeof(word)) {
        fail(t, "configuration space: %s", strerror(errno));
    }
}

static void memory(Test *t, const Peer *p, bool on)
{
    uint16_t command = config_read(t, p, PCI_COMMAND) & ~PCI_COMMAND_MEMORY;

    config_write(t, p, PCI_COMMAND, command | (on ? PCI_COMMAND_MEMORY : 0));
}

/* Behind the back of the kernel, which would have memory off meanwhile */
static void reset(Test *t, const Peer *p)
{
    unsigned at = config_read(t, p, PCI_CAPABILITY_LIST) & 0xff;
    uint16_t head = 0;

    while (at && ((head = config_read(t, p, at)) & 0xff) != PCI_CAP_ID_EXP) {
        at = head >> 8;
    }
    if (!at) {
        fail(t, "no PCI Express capability");
        return;
    }
    at += PCI_EXP_DEVCTL;
    config_write(t, p, at, config_read(t, p, at) | PCI_EXP_DEVCTL_BCR_FLR);
    usleep(100000);
}

static Completion fill(Test *t, const Peer *p, uint64_t pattern)
{
    return queue_do(&t->q, &(Desc) {
        .op = SVA_OP_FILL, .dst = p->bar, .len = sizeof(*p->bar),
        .pattern = pattern,
    });
}

/* What the engine writes the CPU finds, and what the CPU writes the engine */
static void reached(Test *t, const Peer *p, const char *when)
{
    /* A device's: every access counts */
    volatile uint64_t *bar = p->bar;
    uint64_t copy = 0, first = random64(t), second = random64(t);

    *bar = first;
    settle(t, &copy, sizeof(copy));
    expect(t, when, queue_do(&t->q, &(Desc) {
        .op = SVA_OP_COPY, .src = p->bar, .dst = &copy, .len = sizeof(copy),
    }), SVA_CODE_OK, sizeof(copy));
    expect(t, when, fill(t, p, second), SVA_CODE_OK, sizeof(*bar));
    if (!failed(t) && (copy != first || *bar != second)) {
        fail(t, "%s: read 0x%" PRIx64 ", wrote 0x%" PRIx64 "; it had 0x%"
             PRIx64 ", and has 0x%" PRIx64, when, copy, second, first,
             (uint64_t)*bar);
    }
}

static void gone(Test *t, const Peer *p, const char *when, uint32_t code)
{
    Completion c = fill(t, p, 0);

    if (expect(t, when, c, code, 0) &&
        (c.done || c.address != (uintptr_t)p->bar)) {
        fail(t, "%s: %" PRIu64 " bytes, address 0x%" PRIx64, when, c.done,
             c.address);
    }
}

static void run(Test *t, Peer *p)
{
    /* Of the kernel all pages are there, so it grants what it is asked for */
    uint32_t revoked = t->e->faults ? SVA_CODE_RETRIES : SVA_CODE_ABSENT;

    memory(t, p, true);
    reached(t, p, "as it was found");
    memory(t, p, false);
    gone(t, p, "memory is off", revoked);
    memory(t, p, true);
    reached(t, p, "memory is on again");
    reset(t, p);
    reached(t, p, "after a reset");
    munmap(p->bar, PAGE);
    gone(t, p, "unmapped", t->e->absent);
}

static void peer(Test *t)
{
    char config[256];
    Peer p;
    int bar = open(t->peer, O_RDWR | O_CLOEXEC);

    snprintf(config, sizeof(config), "%.*s/config",
             (int)(strrchr(t->peer, '/') - t->peer), t->peer);
    p.config = open(config, O_RDWR | O_CLOEXEC);
    p.bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);
    if (bar < 0 || p.config < 0 || p.bar == MAP_FAILED) {
        fail(t, "%s: %s", t->peer, strerror(errno));
    } else {
        run(t, &p);
    }
    close(bar);
    close(p.config);
}

const TestCase peer_test = {
    "peer", "a BAR of another function, which comes and goes (--peer)", peer,
};
