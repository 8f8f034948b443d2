/*
 * VT-d nesting: a guest that does anything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VTD_NESTED_RANDOM_H
#define TESTS_QTEST_VTD_NESTED_RANDOM_H

#include "vtd-rig.h"
#include "vtd-nested-oracle.h"

/* As many pages of data as three large pages have */
#define DATA_PAGES      1536

/* Address spaces: tables that entries of any device may point to */
#define FIRST_STAGES    6
#define SECOND_STAGES   3
#define SPACES          (FIRST_STAGES + SECOND_STAGES)
#define RECENT          8

typedef struct Random {
    NestedRandom n;
    VtdRig r;
    VtdOracle o;
    uint64_t space[SPACES];
    /* Where something has changed lately */
    struct {
        unsigned space, probe;
    } recent[RECENT];
    unsigned next_recent;
    unsigned queued;            /* descriptors since the last wait */
    uint64_t waits, commands;
} Random;

static inline unsigned random_upto(Random *t, unsigned num)
{
    return nested_random_upto(&t->n, num);
}

static inline bool random_is_second(unsigned space)
{
    return space >= FIRST_STAGES;
}

/* Some of either stage have five */
static inline unsigned random_levels(unsigned space)
{
    return space % 3 == 1 ? 5 : 4;
}

static inline bool random_chance(Random *t, unsigned percent)
{
    return nested_random_chance(&t->n, percent);
}

/* vtd-nested-random-test.c */
/* DMA to what is about to change, to have it cached */
void random_use_before(Random *t, unsigned space, unsigned probe);

/* vtd-nested-random-edit.c: tables, as a guest changes them */
void random_edit_tables(Random *t);
void random_edit_pasid(Random *t);
void random_edit_context(Random *t);
/* Without a record of it: translation is off, or SRTP follows */
void random_new_context(Random *t, unsigned dev);
void random_drop_context(Random *t, unsigned dev);
/* A leaf of @level that maps @iova to something */
void random_map(Random *t, unsigned space, uint64_t iova, unsigned level);
/* A page that tables led to */
void random_free_later(Random *t, uint64_t page);
/* If nothing is pending: nobody walks those pages any more, they are free */
void random_release(Random *t);

/* vtd-nested-random-inv.c: invalidations, as a guest asks for them */
/* A descriptor that nobody needs */
void random_tell_noise(Random *t);
/* Each of what is pending with a chance of @percent */
void random_tell_pending(Random *t, unsigned percent);
void random_wait(Random *t);
void random_invalidate_all(Random *t);

#endif
