/*
 * Registers of the Tegra241 CMDQV of a guest with nesting, and its queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_SMMU_NESTED_CMDQV_H
#define TESTS_QTEST_NESTED_SMMU_NESTED_CMDQV_H

#include "cmdqv-regs.h"
#include "smmu-rig.h"

/* Behind the SMMU on the platform bus, or in the machine's own place */
#define CMDQV       0x0c080000ULL
#define QUEUE_BITS  8

static inline uint32_t rd(SmmuRig *r, uint64_t reg)
{
    return qtest_readl(r->qts, CMDQV + reg);
}

static inline void wr(SmmuRig *r, uint64_t reg, uint32_t value)
{
    qtest_writel(r->qts, CMDQV + reg, value);
}

static inline uint64_t rd64(SmmuRig *r, uint64_t reg)
{
    return qtest_readq(r->qts, CMDQV + reg);
}

static inline void wr64(SmmuRig *r, uint64_t reg, uint64_t value)
{
    qtest_writeq(r->qts, CMDQV + reg, value);
}

/* An LVCMDQ, seen through the VINTF's window */
typedef struct Queue {
    SmmuRig *r;
    unsigned lvcmdq;
    SmmuQueue q;
} Queue;

static inline uint32_t q_rd(const Queue *q, uint64_t reg)
{
    return rd(q->r, LVCMDQ(0, q->lvcmdq) + reg);
}

static inline void q_wr(const Queue *q, uint64_t reg, uint32_t value)
{
    wr(q->r, LVCMDQ(0, q->lvcmdq) + reg, value);
}

static inline void add_vintf(SmmuRig *r)
{
    wr(r, CONFIG, 1);
    wr(r, VINTF(0) + VINTF_CONFIG, VCONFIG(0, 1));
}

/* As Linux does it */
static inline Queue add_queue(SmmuRig *r, unsigned lvcmdq)
{
    Queue q = { .r = r, .lvcmdq = lvcmdq };

    smmu_queue_init(&q.q, &r->mem, QUEUE_BITS, 16);
    wr(r, CMDQ_ALLOC(lvcmdq), ALLOC(0, lvcmdq));
    q_wr(&q, QCONFIG, 0);
    q_wr(&q, PROD, 0);
    q_wr(&q, CONS, 0);
    wr64(r, LVCMDQ(0, lvcmdq) + BASE, 0);
    wr64(r, LVCMDQ(0, lvcmdq) + BASE, q.q.base | QUEUE_BITS);
    q_wr(&q, QCONFIG, 1);
    return q;
}

static inline void q_push(Queue *q, SmmuCmd cmd)
{
    smmu_queue_push(&q->q, cmd);
}

static inline void q_prod(Queue *q)
{
    q_wr(q, PROD, q->q.index);
}

/* The hardware looks at its registers; how many commands it has done */
static inline unsigned kick_hw(SmmuRig *r)
{
    QDict *reply = iommufd_model_command(r->m, "{\"cmd\":\"cmdqv-kick\"}");
    unsigned n = qdict_get_int(reply, "commands");

    qobject_unref(reply);
    return n;
}

#endif
