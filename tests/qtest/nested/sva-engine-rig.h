/*
 * SVA engine under test: a machine with one, and what drives it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVA_ENGINE_RIG_H
#define SVA_ENGINE_RIG_H

#include "../libqtest.h"
#include "hw/misc/sva-engine-regs.h"
#include "standard-headers/linux/pci_regs.h"

#define RIG_PAGE        0x1000ULL
#define RIG_ATS         0x100       /* extended capabilities */
#define RIG_PRI         0x120
#define RIG_PASID       0x140
#define RIG_DEVFN       0x20        /* 00:04.0 */

typedef struct Rig {
    QTestState *qts;
    uint64_t ram;               /* where guest memory starts */
    uint64_t ecam;
    uint64_t bar0;
    uint64_t bar2;
} Rig;

/* A queue and its ring; the ring is contiguous in guest memory, too */
typedef struct RigQueue {
    Rig *rig;
    unsigned n;
    uint64_t ring;              /* as the device sees it */
    uint64_t ring_gpa;
    unsigned order;
    uint32_t tail;
} RigQueue;

typedef struct RigDesc {
    uint32_t op;
    uint32_t tag;
    uint64_t src, dst, len, pattern, completion;
    uint64_t reserved;
} RigDesc;

typedef struct RigCompletion {
    uint32_t code;
    uint32_t tag;
    uint64_t done, result, address;
} RigCompletion;

/* @iommu: -device option of an IOMMU or ""; @props: of the engine, or "" */
void rig_start_q35(Rig *r, const char *iommu, const char *props);
void rig_start_virt(Rig *r, bool smmu, const char *props);
void rig_stop(Rig *r);

/* BARs and bus mastering: after the start and after a function-level reset */
void rig_enable(Rig *r);

uint16_t rig_config_readw(Rig *r, unsigned offset);
uint32_t rig_config_readl(Rig *r, unsigned offset);
void rig_config_writew(Rig *r, unsigned offset, uint16_t value);
void rig_config_writel(Rig *r, unsigned offset, uint32_t value);

/* The PCI Express capability's offset */
unsigned rig_express(Rig *r);
void rig_flr(Rig *r);

uint32_t rig_readl(Rig *r, uint64_t reg);
uint64_t rig_readq(Rig *r, uint64_t reg);
void rig_writel(Rig *r, uint64_t reg, uint32_t value);
void rig_writeq(Rig *r, uint64_t reg, uint64_t value);
uint64_t rig_counter(Rig *r, unsigned counter);

void rig_wait_counter(Rig *r, unsigned counter, uint64_t value);

/* Run the simple block; waiting for it returns RESULT */
void rig_simple_start(Rig *r, uint64_t addr, bool to_device);
uint32_t rig_simple_wait(Rig *r);
uint32_t rig_simple(Rig *r, uint64_t addr, bool to_device);

/* @pasid: with SVA_Q_PASID_VALID, or 0 */
void rig_queue_init(RigQueue *q, Rig *r, unsigned n, uint32_t pasid,
                    uint64_t ring, uint64_t ring_gpa, unsigned order);
uint32_t rig_queue_state(RigQueue *q);
uint32_t rig_queue_readl(RigQueue *q, unsigned reg);
uint64_t rig_queue_readq(RigQueue *q, unsigned reg);

/* Write a descriptor into the ring and move our tail, without doorbell */
void rig_push(RigQueue *q, const RigDesc *d);
void rig_doorbell(RigQueue *q);
/* Wait until the queue has nothing to do, or can do no more by itself */
void rig_wait_state(RigQueue *q, uint32_t state);
/* Push, ring, and wait until it has been done */
void rig_do(RigQueue *q, const RigDesc *d);

RigCompletion rig_completion(Rig *r, uint64_t gpa);

/* Guest memory filled from a seed; and is it still so? */
void rig_scribble(Rig *r, uint64_t gpa, size_t len, uint32_t seed);
bool rig_scribbled(Rig *r, uint64_t gpa, size_t len, uint32_t seed);
uint8_t rig_scribble_byte(uint32_t seed, size_t i);

#endif
