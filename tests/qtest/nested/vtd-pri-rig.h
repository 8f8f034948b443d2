/*
 * VT-d nesting under test: a device that makes page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VTD_PRI_RIG_H
#define TESTS_QTEST_VTD_PRI_RIG_H

#include "vtd-rig.h"

#define REG_PQH     0xc0
#define REG_PQT     0xc8
#define REG_PQA     0xd0
#define REG_PRS     0xdc
#define PRS_PPR     1
#define PRS_PRO     2

/* Domain and PASID that all of the device's entries have */
#define PRI_DID     5
#define PRI_PASID   7

typedef struct PriRig {
    VtdRig v;
    const char *dev;            /* that asks */
    uint16_t rid;               /* its guest requester id */
    uint64_t queue;
    uint64_t entries;           /* of the queue */
    uint64_t head;
    uint64_t s1;
} PriRig;

/* A page request descriptor (7.4.1.1) */
typedef struct PageRequest {
    uint16_t rid;
    bool has_pasid, read, write, exec, priv, last;
    uint32_t pasid;
    unsigned index;
    uint64_t addr;
} PageRequest;

/*
 * The first device on a default host, a queue of 128 entries, and an empty
 * table for the RID and the PASID
 */
void pri_start(PriRig *p);

/*
 * @order: the queue has 128 << @order entries
 * The rest as for vtd_rig_start(); tables are up to the caller.
 */
void pri_start_with(PriRig *p, const char *host, const char *props,
                    unsigned num, const char *extra, unsigned order);
void pri_stop(PriRig *p);

/* Entries for RID and PASID with context entry flags @flags and table p->s1 */
void pri_context(PriRig *p, uint64_t flags);

/* A read that misses; its page request has group @index, or -1: refused */
int pri_miss(PriRig *p, bool with_pasid, uint64_t addr);
/* How that ended: the first byte read, or -1 */
int pri_outcome(PriRig *p, int index);
/* The same, but now: -2 while it has not ended */
int pri_outcome_now(PriRig *p, int index);

uint64_t pri_tail(PriRig *p);
uint32_t pri_status(PriRig *p);
/* The next descriptor, once it is there */
PageRequest pri_next(PriRig *p);
/* The guest has read all up to there */
void pri_consume(PriRig *p);
void pri_respond(PriRig *p, const PageRequest *req, unsigned code);
void pri_map(PriRig *p, uint64_t iova, uint8_t value);

#endif
