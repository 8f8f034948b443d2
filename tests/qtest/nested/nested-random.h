/*
 * A guest that does anything: what the random tests have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The order of things comes from a seed. Memory for data holds no two words
 * alike, so that what a transfer brings says where it went. Memory for tables
 * has a copy here, for an oracle to walk.
 */

#ifndef TESTS_QTEST_NESTED_RANDOM_H
#define TESTS_QTEST_NESTED_RANDOM_H

#include "../libqtest.h"
#include "../libqos/iommufd-model.h"

#define PAGE            4096ULL
#define WORDS           512

/* Where a transfer ends that ends nowhere */
#define NESTED_FAULT    UINT64_MAX

/* ------------------------------------------------------- tables with a copy */

typedef struct NestedMirror {
    IommuMem mem;               /* for the builders of tables */
    QTestState *qts;
    uint64_t first, size;
    uint8_t *copy;
    /* Memory that the hardware may still walk, and that it may not */
    GArray *late, *spare;
} NestedMirror;

/* Tables will be in [@first, @first + @size) of guest memory */
void nested_mirror_init(NestedMirror *m, QTestState *qts, uint64_t first,
                        uint64_t size);
void nested_mirror_free(NestedMirror *m);
/* All of that memory is free again */
void nested_mirror_forget(NestedMirror *m);
/* A word of the copy, host endian */
uint64_t nested_mirror_word(const NestedMirror *m, uint64_t gpa);
/* Guest memory is as it was written, but for the bits @ignored of each word */
bool nested_mirror_intact(const NestedMirror *m, uint64_t ignored);

/* Memory of a table that something may still lead to */
void nested_mirror_free_later(NestedMirror *m, uint64_t gpa, uint64_t size);
/* Nothing leads to any of it any more */
void nested_mirror_release(NestedMirror *m);

/* ----------------------------------------------------------------- the run */

#define NESTED_NOTES    100

typedef struct NestedRandom {
    const char *name;           /* of the variables NAME_RANDOM_SEED, _STEPS */
    GRand *rng;
    uint32_t seed;
    unsigned step, steps;
    QTestState *qts;
    /* Guest memory that DMA reads and writes, as it has to be */
    uint64_t first, pages;
    uint64_t *data;
    uint64_t next_value;
    uint64_t reads, writes, faults, unsure;
    char *note[NESTED_NOTES];
    unsigned notes;
} NestedRandom;

/**
 * nested_random_begin: seed and number of steps, from the environment or as
 * given. From here to nested_random_end() a failing assertion tells seed,
 * step and the last notes.
 */
void nested_random_begin(NestedRandom *r, const char *name, uint32_t seed,
                         unsigned steps);
void nested_random_end(NestedRandom *r);

/* What has been done, to be told if it fails */
void nested_random_note(NestedRandom *r, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* @pages of data at @first, no two words alike */
void nested_random_fill(NestedRandom *r, QTestState *qts, uint64_t first,
                        unsigned pages);

unsigned nested_random_upto(NestedRandom *r, unsigned num);
bool nested_random_chance(NestedRandom *r, unsigned percent);

/* A reset that the guest has nothing to do with; @dev is attached anew */
void nested_random_host_reset(NestedRandom *r, IommufdModel *m,
                              const char *dev);

/**
 * nested_random_check: a transfer went where it may have gone, or abort.
 * @to: gpas of the page, or NESTED_FAULT; of a write one, and that for sure
 * @offset: in that page
 */
void nested_random_check(NestedRandom *r, const IommufdDmaOp *op,
                         const uint64_t *to, unsigned num, unsigned offset);

#endif
