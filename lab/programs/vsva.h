/*
 * vsva: a process shares its address space with a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *   vsva.c          options, the order of things, one JSON line for each test
 *   vsva-data.c     patterns, random numbers, CRC-32C, memory
 *   vsva-engine.c   the engine through uio
 *   vsva-vfio.c     the simple block, through vfio: requests without PASID,
 *                   and an interrupt
 *   vsva-memory.c   what pointers can point to
 *   vsva-errors.c   what they can not
 *   vsva-change.c   memory that changes while the device knows it
 *   vsva-process.c  fork, a second process, one that is killed
 *   vsva-time.c     interrupts, queues at once, how long a fault takes
 *   vsva-omit.c     what happens when a VMM leaves out invalidations
 *   vsva-peer.c     a BAR of another function
 */

#ifndef VSVA_H
#define VSVA_H

#include "vsva-engine.h"

#define PAGE            4096u

typedef struct Test {
    Engine *e;
    Queue q;                    /* queue 0, open */
    uint64_t faults;            /* --faults */
    const char *peer;           /* --peer: the BAR in sysfs; NULL: none */
    uint64_t random;            /* state of random64() */
    int vmm;                    /* --vmm, or -1 */
    char why[256];              /* first failure, or empty */
    char skip[160];
    char facts[1024];           /* members for the JSON line */
} Test;

typedef struct TestCase {
    const char *name;
    const char *about;
    void (*run)(Test *t);
} TestCase;

/* Terminated by an entry without name */
extern const TestCase memory_tests[];
extern const TestCase error_tests[];
extern const TestCase change_tests[];
extern const TestCase process_tests[];
extern const TestCase time_tests[];
/* With --vmm, and instead of all others */
extern const TestCase omit_tests[];
extern const TestCase peer_test;

/* The simple block; before the engine is opened: it takes the function away */
void vfio_simple(Test *t);
void vfio_omit(Test *t);

/*
 * One change, three times: the VMM leaves out invalidations of @kind the second
 * time. @change returns whether the device got to what it must not get to: it
 * has to, but then only.
 */
void omit(Test *t, const char *kind, void (*prepare)(Test *t, void *opaque),
          bool (*change)(Test *t, void *opaque), void *opaque);

/* Only the first failure is kept: what follows often is its consequence */
void fail(Test *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool failed(const Test *t);
/* @format must produce a JSON value */
void fact(Test *t, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The record says @code, for all of @len bytes if that is OK */
bool expect(Test *t, const char *what, Completion c, uint32_t code,
            uint64_t len);
const char *code_name(uint32_t code);

/* vsva-data.c */
uint64_t random64(Test *t);
uint32_t random_below(Test *t, uint32_t limit);
uint32_t crc32c(const void *data, size_t len);
/* Bytes that depend on @seed and their index */
void scribble(void *data, size_t len, uint64_t seed);
bool scribbled(const void *data, size_t len, uint64_t seed);
/* Byte i is byte i modulo 8 of the pattern, as the fill operation has it */
bool filled(const void *data, size_t len, uint64_t pattern);
/*
 * Pages that nobody has touched, or settled ones where the device cannot ask
 * for them; NULL and a failure when there are none
 */
void *untouched(Test *t, size_t len);
/*
 * Unless the device can ask for pages: each of these is there, and has been
 * written to, or the IOMMU would find it clean and therefore read-only
 */
void settle(const Test *t, void *p, size_t len);
/* Returns true, and that is told, where the device cannot ask for pages */
bool needs_faults(Test *t);

#endif
