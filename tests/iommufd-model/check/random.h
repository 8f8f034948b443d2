/*
 * Random steps against an oracle: what the parts share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CHECK_RANDOM_H
#define CHECK_RANDOM_H

#include "qemu/units.h"
#include "guest.h"
#include "oracle.h"

/* Ends below the window SMMUv3 hosts keep for MSIs, at 128 MiB */
#define RAM_SIZE        (120 * MiB)
#define DATA_SIZE       (4 * MiB)
#define POISON          (4 * MiB)
#define POISON_SIZE     (2 * MiB)
#define TABLES          (8 * MiB)
#define CHUNK           (64 * KiB)
#define N_SPACES        4
#define N_DEVICES       3
#define N_PASIDS        6
#define N_HISTORY       24
#define N_RECENT        64

typedef struct Stats {
    unsigned exact, between, reads, writes, stage0, stage1, stage2, ats;
} Stats;

typedef struct Run {
    TvVm *vm;
    Guest guest;
    GuestSpace space[N_SPACES];
    OracleS2 s2;
    uint64_t rng;
    uint8_t *data;              /* what guest memory must hold: DATA_SIZE */
    uint8_t *before;            /* RAM_SIZE; tables as of the last change */
    unsigned pending;           /* changes not synchronised */
    unsigned step;
    GPtrArray *freed;           /* tables to poison at the next sync */
    struct {
        GuestSpace *space;
        uint64_t iova;
    } recent[N_RECENT];         /* mapped lately */
    unsigned nr_recent;
    GuestSpace *hot;            /* where something was changed or accessed */
    uint64_t hot_iova;
    char history[N_HISTORY][128];
    unsigned nr_history;
    bool failed;
    Stats stats;
} Run;

uint64_t rnd64(Run *r);
unsigned rnd(Run *r, unsigned n);
bool chance(Run *r, unsigned percent);

/* One line for the history that a failure shows */
void note(Run *r, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* The model, the VMM and the oracle do not agree: the run ends here */
void fail(Run *r, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

bool is_vtd(const Run *r);
GuestSpace *any_space(Run *r);
TvDevice *any_device(Run *r);
uint32_t any_pasid(Run *r);
GuestBinding *any_binding(Run *r);
uint64_t any_iova(Run *r, bool small);
/* Somewhere in @space, rather where something is mapped */
uint64_t space_iova(Run *r, const GuestSpace *space);
/* This is where the next steps should rather look */
void set_hot(Run *r, GuestSpace *space, uint64_t iova);

/* random-guest.c: steps of the guest, and of whoever owns stage 2 */
void do_sync(Run *r);
void do_map(Run *r);
void do_unmap(Run *r);
void do_drop_table(Run *r);
void do_protect(Run *r);
void do_protect_table(Run *r);
void do_upgrade(Run *r);
void do_move_config(Run *r);
void do_bind(Run *r);
void do_inval(Run *r);
void do_stage2(Run *r);
void do_renumber(Run *r);

/* random-dma.c */
void do_dma(Run *r);
/* DMA of a bound function, compared as do_dma() does it */
void dma_at(Run *r, const GuestBinding *b, uint64_t addr, bool write);

#endif
