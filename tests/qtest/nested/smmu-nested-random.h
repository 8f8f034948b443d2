/*
 * SMMUv3 nesting: a guest that does anything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_SMMU_NESTED_RANDOM_H
#define TESTS_QTEST_SMMU_NESTED_RANDOM_H

#include "smmu-rig.h"
#include "smmu-nested-oracle.h"

/* As many pages of data as three blocks have */
#define DATA_PAGES      1536

/* Address spaces: tables that CDs of any device may point to */
#define SPACES          6
/* CD tables that STEs of any device may point to */
#define CDTABS          5
#define RECENT          8

typedef struct Random {
    NestedRandom n;
    SmmuRig r;
    SmmuOracle o;
    SmmuS1 space[SPACES];
    SmmuCdTable cdtab[CDTABS];
    /* Where something has changed lately */
    struct {
        unsigned space, probe;
    } recent[RECENT];
    unsigned next_recent;
    /* StreamIDs before the last renumbering */
    uint32_t old_sid[ORACLE_DEVICES];
    unsigned queued;            /* commands since the last CMD_SYNC */
    uint64_t commands, syncs, refused, events;
} Random;

static inline unsigned random_upto(Random *t, unsigned num)
{
    return nested_random_upto(&t->n, num);
}

static inline bool random_chance(Random *t, unsigned percent)
{
    return nested_random_chance(&t->n, percent);
}

/* ASIDs that mean the tables of a space, whoever uses them */
static inline uint16_t random_asid(unsigned space, unsigned which)
{
    return 10 + space + which * SPACES;
}

/* smmu-nested-random-test.c */
/* DMA to what is about to change, to have it cached */
void random_use_before(Random *t, unsigned space, unsigned probe);
/* Events must be of what has happened; they are taken from the queue */
void random_take_events(Random *t);

/* smmu-nested-random-edit.c: tables, as a guest changes them */
void random_edit_tables(Random *t);
void random_edit_cd(Random *t);
void random_edit_ste(Random *t);
/* Fresh tables; no record of it: the SMMU is off */
void random_new_tables(Random *t);

/* smmu-nested-random-inv.c: invalidations, as a guest asks for them */
/* A command that nobody needs */
void random_tell_noise(Random *t);
/* Each of what is pending with a chance of @percent */
void random_tell_pending(Random *t, unsigned percent);
/* A command that the host refuses: the queue has to stop there */
void random_refused(Random *t);
void random_sync(Random *t);
void random_invalidate_all(Random *t);

#endif
