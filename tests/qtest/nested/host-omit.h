/*
 * Emulated IOMMU hosts: every kind of invalidation counts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_HOST_OMIT_H
#define TESTS_QTEST_NESTED_HOST_OMIT_H

/* A change, and the kinds of invalidations, a bit each, that it takes */
typedef struct HostOmitCase {
    const char *name;
    unsigned kinds;
} HostOmitCase;

typedef struct HostOmit {
    const char *path;           /* of the tests, without the case's name */
    const char *const *kind_name;
    unsigned kinds;             /* how many, and: none is left out */
    /* Makes the change without the kind @omitted: it must have no effect */
    void (*check)(const HostOmitCase *c, unsigned omitted);
} HostOmit;

/* A test of the case: with all kinds that it takes, and without each */
void host_omit_add(const HostOmit *omit, const HostOmitCase *c);

#endif
