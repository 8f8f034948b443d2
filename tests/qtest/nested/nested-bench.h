/*
 * What guest commands cost: one workload, repeated
 *
 * A program runs one workload that often, between a start and an end that are
 * always the same, and tells what the model of the host counted. Run twice
 * under an instruction counter, the difference is the workload alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_BENCH_H
#define TESTS_QTEST_NESTED_BENCH_H

#include "../libqos/iommufd-model.h"

#define BENCH_DEVICES_MAX 64

/* A program's arguments: WORKLOAD DEVICES COMMANDS TIMES */
typedef struct Bench {
    const char *workload;
    unsigned devices;
    unsigned commands;          /* between two synchronisations */
    unsigned times;
    const char *props;          /* of the vIOMMU: $BENCH_IOMMU, or nested=on */
} Bench;

/* Ends the program with a message if they are not like that */
void bench_parse(Bench *b, int argc, char **argv, const char *const *workloads);

/* Sections of the model's configuration, and arguments of QEMU */
void bench_devices(const Bench *b, const char *arch, GString *host,
                   GString *args);
/* Requester id of a device: eight functions in each slot from 00:04.0 on */
uint16_t bench_rid(unsigned device);

/* What the host has been asked for so far, and what it is after @b->times */
typedef struct BenchCount {
    uint64_t calls;
    uint64_t invalidates;
    uint64_t entries;
} BenchCount;

void bench_begin(IommufdModel *m, BenchCount *before);
/* Prints the differences as one line that bench/bench.py reads */
void bench_end(IommufdModel *m, const BenchCount *before);

#endif
