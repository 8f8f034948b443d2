/*
 * Registers of the Tegra241 CMDQV of an emulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_SMMU_HOST_CMDQV_H
#define TESTS_QTEST_NESTED_SMMU_HOST_CMDQV_H

#include "cmdqv-regs.h"
#include "smmu-host-rig.h"

#define CMDQV       0x0b000000ULL
#define CMDQV_SIZE  0xb0000
#define CMDQV_INTID 42

#define VINTFS      4
#define VCMDQS      8
#define SIDS        16

static inline uint32_t rd(Host *h, uint64_t reg)
{
    return qtest_readl(h->rig.qts, CMDQV + reg);
}

static inline void wr(Host *h, uint64_t reg, uint32_t value)
{
    qtest_writel(h->rig.qts, CMDQV + reg, value);
}

static inline uint64_t rd64(Host *h, uint64_t reg)
{
    return qtest_readq(h->rig.qts, CMDQV + reg);
}

static inline void wr64(Host *h, uint64_t reg, uint64_t value)
{
    qtest_writeq(h->rig.qts, CMDQV + reg, value);
}

#endif
