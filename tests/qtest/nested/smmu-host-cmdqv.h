/*
 * Registers of the Tegra241 CMDQV of an emulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_SMMU_HOST_CMDQV_H
#define TESTS_QTEST_NESTED_SMMU_HOST_CMDQV_H

#include "smmu-host-rig.h"

#define CMDQV       0x0b000000ULL
#define CMDQV_SIZE  0xb0000
#define CMDQV_INTID 42

#define VINTFS      4
#define VCMDQS      8
#define SIDS        16

#define CONFIG          0x0
#define PARAM           0x4
#define STATUS          0x8
#define VINTF_ERR_MAP   0x14
#define VINTF_INT_MASK  0x1c
#define CMDQ_ERR_MAP    0x24
#define CMDQ_ALLOC(q)   (0x200 + 4 * (q))
#define VINTF(i)        (0x1000 + 0x100 * (i))
#define VINTF_CONFIG    0x0
#define VINTF_STATUS    0x4
#define SID_MATCH(n)    (0x40 + 4 * (n))
#define SID_REPLACE(n)  (0x80 + 4 * (n))
#define LVCMDQ_ERR_MAP  0xc0
#define VCMDQ(q)        (0x10000 + 0x80 * (q))
#define LVCMDQ(i, q)    (0x30000 + 0x20000 * (i) + 0x80 * (q))
#define CONS            0x0
#define PROD            0x4
#define QCONFIG         0x8
#define QSTATUS         0xc
#define GERROR          0x10
#define GERRORN         0x14
#define PAGE1           0x10000
#define BASE            (PAGE1 + 0x0)
#define CONS_INDX_BASE  (PAGE1 + 0x8)

#define ALLOC(vintf, lvcmdq)    (1u | (lvcmdq) << 1 | (vintf) << 15)
#define VCONFIG(vmid, hyp_own)  (1u | (vmid) << 1 | (hyp_own) << 17)

#define CERROR_ILL  1
#define CERROR_ABT  2

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
