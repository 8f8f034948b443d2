/*
 * A guest's whole life, and every host call of it fails once: what the sweeps
 * have in common
 *
 * A first life counts the host's calls; then one call of one life fails.
 * Whatever it is:
 *
 *  - a plug succeeds, or fails with a message and leaves nothing behind;
 *  - a device reads what the guest's tables say or nothing, never what they
 *    said before. (Unless the host refuses to detach: then it is only until
 *    the guest, who has been told, does what it does about errors.);
 *  - a guest that does not have what it asked for has been told. Only a device
 *    that is busy being reset has to have it without the guest's doing;
 *  - what a guest does about an error gives it everything;
 *  - after all has been unplugged the host has no object left.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_SWEEP_H
#define TESTS_QTEST_NESTED_SWEEP_H

#include "../libqtest.h"
#include "../libqos/iommufd-model.h"

#define SWEEP_DEVS  2
#define SWEEP_AT    16

typedef struct NestedSweep {
    IommufdModel *m;
    QTestState *qts;
    const char *call;           /* that fails in this life; NULL: none */
    const char *err;
    uint64_t failures;          /* of that call, before */
    unsigned num_at;            /* places where each device is looked at */
    IommufdDmaOp (*look)(unsigned dev, unsigned at);
    int want[SWEEP_DEVS][SWEEP_AT];     /* first byte; -1: a fault */
    int was[SWEEP_DEVS][SWEEP_AT];
    bool old_stays;             /* the guest has been told that it may */
    /* A life; @brief: devices that are plugged and unplugged, no more */
    void (*live)(void *opaque, bool brief);
    void *opaque;
} NestedSweep;

typedef struct SweepKind {
    const char *name;
    const char *call;
    const char *errs[5];        /* what the kernel may answer */
    /*
     * No lives beyond plug and unplug: afterwards the call is the base's, for
     * which failing is the end
     */
    bool brief;
    /* No more turns than that, if not 0: the main loop decides how many */
    unsigned most;
} SweepKind;

bool nested_sweep_is(const NestedSweep *s, const char *call);

/* The call of this life has failed */
bool nested_sweep_injected(NestedSweep *s);

void nested_sweep_want(NestedSweep *s, unsigned dev, unsigned at, int value);
void nested_sweep_want_nothing(NestedSweep *s, unsigned dev);

/* Returns whether everything is as without a failure; nothing may be wrong */
bool nested_sweep_check(NestedSweep *s);

/* A reset that ends soon; the core's timer may be on either clock */
void nested_sweep_wait_not_busy(NestedSweep *s);

/*
 * Hot-plug behind the port "rp@i". Refused with a message, once at most, and
 * then as if it had not been tried.
 */
void nested_sweep_plug(NestedSweep *s, unsigned i, const char *id,
                       const char *host);

/* Every call of a kind fails with the first error, and one of the others */
void nested_sweep_all(NestedSweep *s, const SweepKind *kind);

/* A life in which nothing fails */
void nested_sweep_none(NestedSweep *s, bool brief);

/* The life with @order in force, which has to come to the failure */
void nested_sweep_one(NestedSweep *s, const char *call, const char *err,
                      bool brief, const char *order);

#endif
