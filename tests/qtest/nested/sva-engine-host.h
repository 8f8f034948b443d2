/*
 * SVA engine under test: a host whose VT-d gives it processes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVA_ENGINE_HOST_H
#define SVA_ENGINE_HOST_H

#include "sva-engine-rig.h"
#include "../libqos/vtd-tables.h"

/* Page request registers */
#define PQH         0xc0
#define PQT         0xc8
#define PQA         0xd0
#define PRS         0xdc
#define PRS_PPR     (1u << 0)
#define PRS_PRO     (1u << 1)
#define PRQ_ENTRY   32

/* Guest memory */
#define RING        0x0200000
#define DONE        0x0210000
#define DATA        0x0400000

/* A process: its ring and completion page are there from the start */
#define VA          0x7f1234560000ULL
#define VA_RING     (VA - 0x20000)
#define VA_DONE     (VA - 0x10000)
#define DID         5

typedef struct Host {
    Rig rig;
    IommuMem mem;
    IommuRegs regs;
    VtdTables tables;
    VtdQueue queue;
    uint64_t s1;                /* of the PASID below */
    uint32_t pasid;
} Host;

typedef struct PageRequest {
    bool with_pasid, read, write, last;
    uint16_t rid, group;
    uint32_t pasid;
    uint64_t addr;
} PageRequest;

/* @props: of the engine; @credits: of page requests, 0 leaves them disabled */
void host_start(Host *h, const char *props, unsigned credits);
void host_stop(Host *h);

/* What Linux does, in its order: PASID, then page requests, then ATS */
void host_device_features(Rig *r, unsigned credits);

/*
 * A PASID with a table of its own, in which the ring's pages are mapped. From
 * now on it is the one that the functions below are about.
 */
void host_pasid(Host *h, uint32_t pasid);
/* Requests without PASID use its table as well */
void host_rid(Host *h);
void host_map(Host *h, uint64_t va, uint64_t gpa, uint64_t len);
/* Unmap, and tell everybody but the device */
void host_unmap(Host *h, uint64_t va, uint64_t len);
void host_queue(Host *h, RigQueue *q, unsigned n);

/* The IOMMU's registers and its invalidation queue */
uint32_t host_read32(Host *h, uint64_t reg);
uint64_t host_read64(Host *h, uint64_t reg);
void host_write32(Host *h, uint64_t reg, uint32_t value);
void host_write64(Host *h, uint64_t reg, uint64_t value);
void host_push(Host *h, VtdDesc desc);
void host_sync(Host *h);
void host_device_tlb(Host *h, uint32_t pasid, uint64_t va, unsigned order);

/* The page request queue: take one, which has to be as told; or none */
PageRequest host_prq_wait(Host *h);
void host_prq_expect(Host *h, uint64_t addr, bool write, bool last,
                     PageRequest *pr);
void host_prq_none(Host *h);
void host_prq_respond(Host *h, const PageRequest *pr, unsigned code);

/* Status register of the engine's PRI capability */
uint16_t host_pri_status(Host *h);

#endif
