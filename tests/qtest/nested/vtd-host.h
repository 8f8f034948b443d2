/*
 * An emulated host with a nesting intel-iommu and an sva-engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of the emulated host share: a machine, tables of both stages
 * in its memory, and an endpoint that does DMA.
 */

#ifndef TESTS_QTEST_NESTED_VTD_HOST_H
#define TESTS_QTEST_NESTED_VTD_HOST_H

#include "../libqtest.h"
#include "../libqos/vtd-second-stage.h"
#include "../libqos/vtd-tables.h"
#include "hw/misc/sva-engine-regs.h"

#define GIB             (1ULL << 30)

/* Where the endpoint is: integrated endpoint 00:05.0 */
#define HOST_RID        0x0028
#define HOST_DID        7

/*
 * Stage-1 tables lie S1_OFFSET higher in guest physical than in host physical
 * memory: a walk that forgets stage 2 for them finds nothing.
 */
#define S1_OFFSET       (16 * GIB)
#define S1_ARENA        0x04000000ULL
#define S1_ARENA_SIZE   0x00040000ULL

/*
 * The page that DMA is done to, and how it is called in the two address
 * spaces above it: equal in the lower 30 bits, so that it can be mapped by
 * pages of any size.
 */
#define DATA_HPA        0x06123000ULL
#define DATA_GPA        (2 * GIB + DATA_HPA)
#define DATA_IOVA       (5 * GIB + DATA_HPA)

#define PRQ_BASE        0x07000000ULL
#define RING_HPA        0x07100000ULL

typedef struct Host {
    QTestState *qts;
    IommuMem mem;               /* host physical */
    IommuMem s1_mem;            /* stage-1 tables by guest physical address */
    IommuRegs regs;
    VtdTables tables;
    VtdQueue queue;
    unsigned ring_tail;
    uint64_t mark, s1_mark;     /* what host_recycle() goes back to */
} Host;

/* Which tables a requester gets, and what is in them */
typedef struct Setup {
    VtdPgtt pgtt;
    unsigned s1_levels, s1_shift;
    unsigned s2_levels, s2_shift;
    uint64_t s1_flags;          /* of the leaf of DATA_IOVA */
    uint64_t s2_flags;          /* of the leaf of DATA_GPA */
    bool ssade, eafe, sre;
    uint16_t did;               /* 0: HOST_DID */
    uint64_t iova;              /* 0: DATA_IOVA */
    uint64_t gpa;               /* 0: DATA_GPA */
    uint64_t hpa;               /* 0: DATA_HPA */
    uint64_t s1_root, s2_root;  /* result */
} Setup;

/* @iommu, @engine: more properties, each starting with a comma, or "" */
Host *host_new(const char *iommu, const char *engine);
void host_free(Host *h);

/*
 * Set root pointer, queues and translation up; context entry, and a table for
 * PASIDs 0 to 63
 */
void host_start(Host *h, uint64_t context_flags);

/* Give back the memory of all tables that host_build() has made */
void host_recycle(Host *h);

/* Turn the endpoint's ATS, PRI and PASID capabilities on */
void host_enable_sva(Host *h);

/**
 * host_setup: build tables and a PASID entry, and flush what was cached.
 * @pasid: 0 is what requests without PASID use
 */
void host_setup(Host *h, uint32_t pasid, Setup *s);
/* The tables only */
void host_build(Host *h, Setup *s);
void host_set_pasid(Host *h, uint32_t pasid, const Setup *s);

/* Guest physical address for tables of nested stages, else host physical */
const IommuMem *host_s1_mem(Host *h, const Setup *s);

/* Queue one descriptor and wait for it */
void host_invalidate(Host *h, VtdDesc desc);
void host_invalidate_all(Host *h);

uint32_t host_read32(Host *h, uint64_t addr);
uint64_t host_read64(Host *h, uint64_t addr);
void host_write64(Host *h, uint64_t addr, uint64_t val);
uint64_t engine_counter(Host *h, unsigned counter);

/*
 * DMA without PASID of one page by the simple block.  Returns: a code of
 * sva-engine.
 */
uint32_t host_dma(Host *h, uint64_t iova, bool write);

/* Write a page by DMA and read it back by DMA; memory must be DATA_HPA's */
void host_check_dma(Host *h, uint64_t iova, uint64_t hpa);

/* DMA must fail with this fault condition, and leave memory alone */
void host_check_fault(Host *h, uint64_t iova, bool write, unsigned reason);

/* Returns: fault condition of the record, 0 for none; clears the record */
unsigned host_take_fault(Host *h, uint64_t *lo, uint64_t *hi);

/* Queue 0 of the endpoint, ring at @ring of @pasid; UINT32_MAX: none */
void engine_start(Host *h, uint32_t pasid, uint64_t ring);
/* Put a descriptor of eight words into the ring, which is at @ring_hpa */
void engine_submit(Host *h, uint64_t ring_hpa, const uint64_t *desc);
/* The same with a fill of @len bytes; @completion is as the queue sees it */
void engine_fill(Host *h, uint64_t ring_hpa, uint64_t dst, uint64_t len,
                 uint64_t pattern, uint64_t completion);
/* Wait for a completion record.  Returns: its code, 0 when none comes */
uint32_t engine_wait(Host *h, uint64_t completion_hpa);

#endif
