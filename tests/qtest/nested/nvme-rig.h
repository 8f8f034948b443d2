/*
 * An NVMe controller, whose DMA goes wherever the guest says
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_NVME_RIG_H
#define TESTS_QTEST_NESTED_NVME_RIG_H

#include "../libqtest.h"

#define NVME_QUEUE      16          /* entries */

typedef struct NvmeRig {
    QTestState *qts;
    uint64_t config;            /* its configuration space in memory */
    uint64_t bar;
    uint64_t sq;                /* where its submission queue is: a page */
    uint64_t cq;                /* as it sees it */
} NvmeRig;

/* Reset, and the admin queues on; its BAR as well */
void nvme_rig_start(const NvmeRig *n);

/* Identify Controller, with the answer at @where, @times times */
void nvme_rig_identify(const NvmeRig *n, uint64_t where, unsigned times);

/* Interrupts of the admin queue are writes of @data to @addr */
void nvme_rig_interrupts(const NvmeRig *n, uint64_t addr, uint32_t data);

#endif
