/*
 * vsva: the engine as a process sees it, through uio
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * docs/specs/sva-engine.rst is the contract. Where there are page requests,
 * nothing prepares memory for the device: it gets pointers, as any function
 * would. Elsewhere the memory has to be there before, see settle().
 */

#ifndef VSVA_ENGINE_H
#define VSVA_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hw/misc/sva-engine-regs.h"

typedef struct Engine {
    char bdf[16];
    char why[160];              /* what went wrong last */
    int fd;                     /* of /dev/uioN; -1 when closed */
    uint8_t *regs;
    uint32_t pasid;
    unsigned queues;
    bool faults;                /* it can ask for pages */
    uint32_t absent;            /* code of what cannot be had */
} Engine;

typedef struct Counters {
    uint64_t value[SVA_CNT__NUM];
} Counters;

typedef struct Desc {
    uint32_t op;
    const void *src;
    void *dst;
    uint64_t len;
    uint64_t pattern;
} Desc;

typedef struct Completion {
    uint32_t code;              /* 0: did not come */
    uint32_t tag;
    uint64_t done;
    uint64_t result;
    uint64_t address;
} Completion;

/* A queue whose ring and completion records are memory of this process */
typedef struct Queue {
    Engine *e;
    unsigned n;
    unsigned order;
    uint32_t tail;
    uint8_t *ring;
    uint8_t *records;
} Queue;

/* sysfs: all return false with @why set */

/* The first engine, or the one at @bdf unless that is NULL */
bool engine_find(Engine *e, const char *bdf);
/* Give the function to @driver; it may be bound to another, or to none */
bool engine_bind(Engine *e, const char *driver);
/* Open it through uio: binds this process to a PASID */
bool engine_open(Engine *e);
void engine_close(Engine *e);

uint32_t engine_readl(const Engine *e, unsigned reg);
uint64_t engine_readq(const Engine *e, unsigned reg);
void engine_writel(const Engine *e, unsigned reg, uint32_t value);
void engine_writeq(const Engine *e, unsigned reg, uint64_t value);
void engine_counters(const Engine *e, Counters *c);
bool engine_wait_irq(Engine *e, int timeout_ms);

bool queue_open(Queue *q, Engine *e, unsigned n, unsigned order);
/* From the start, in the same memory, after a halt or with another PASID */
bool queue_restart(Queue *q);
/* Stops it at once, whatever it does */
void queue_close(Queue *q);
unsigned queue_state(const Queue *q);

/*
 * queue_push() returns the slot of the descriptor; it must be free. The engine
 * does not see it before queue_kick().
 */
unsigned queue_push(Queue *q, const Desc *d);
void queue_kick(Queue *q);
/* Its code, 0 until there is a record */
uint32_t queue_done(const Queue *q, unsigned slot);
/* Code 0 when there is no record after the time any work here may take */
Completion queue_wait(Queue *q, unsigned slot);
/* All three; for work where nothing happens meanwhile */
Completion queue_do(Queue *q, const Desc *d);

uint64_t now_ns(void);

#endif
