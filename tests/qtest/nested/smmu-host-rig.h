/*
 * An emulated host with an SMMUv3 that can nest, and an sva-engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of the emulated host share: a machine, tables of both stages
 * in its memory, and an endpoint that does DMA.
 */

#ifndef TESTS_QTEST_NESTED_SMMU_HOST_RIG_H
#define TESTS_QTEST_NESTED_SMMU_HOST_RIG_H

#include "sva-engine-rig.h"
#include "../libqos/iommufd-model.h"
#include "../libqos/smmuv3-tables.h"

/* A properties string of arm-smmuv3 with everything that there is */
#define HOST_ALL    "host-fwb=on,host-ats=on,host-ssidsize=20"

#define HOST_SID    RIG_DEVFN
#define HOST_VMID   9

/*
 * Data pages, by number; and what address spaces have them at: a nested one
 * has an IPA in between, see host_pa().
 */
#define HOST_PA(page)   (0x48000000ULL + (page) * 0x10000ULL)
#define HOST_VA         0x123456780000ULL
#define HOST_VA_RING    (HOST_VA + 0x1000000)
#define HOST_VA_DONE    (HOST_VA + 0x1010000)

/* No PASID, where one can be given */
#define HOST_RID        UINT32_MAX

/* Event types (7.3), classes of faults */
enum {
    EVT_F_STE_FETCH = 0x03, EVT_C_BAD_STE = 0x04, EVT_F_BAD_ATS_TREQ = 0x05,
    EVT_F_STREAM_DISABLED = 0x06, EVT_F_TRANSL_FORBIDDEN = 0x07,
    EVT_C_BAD_SUBSTREAMID = 0x08, EVT_F_CD_FETCH = 0x09, EVT_C_BAD_CD = 0x0a,
    EVT_F_WALK_EABT = 0x0b, EVT_F_TRANSLATION = 0x10, EVT_F_ADDR_SIZE = 0x11,
    EVT_F_ACCESS = 0x12, EVT_F_PERMISSION = 0x13,
};
enum { CLASS_CD = 0, CLASS_TT = 1, CLASS_IN = 2 };

enum { CONFIG_ABORT = 0, CONFIG_BYPASS = 4, CONFIG_S1 = 5, CONFIG_S2 = 6,
       CONFIG_NESTED = 7 };

/* What a stream is to be; zero is what most want */
typedef struct HostSetup {
    unsigned config;
    unsigned s1_granule, s2_granule;    /* log2; 0: 12 */
    SmmuS1Fmt fmt;
    unsigned cdmax;
    unsigned s1dss;
    unsigned eats;
    uint64_t ste0, ste1, ste2;          /* more bits of these words */
} HostSetup;

typedef struct Host {
    Rig rig;
    IommuMem mem;               /* host physical */
    IommuMem s1_mem;            /* tables of stage 1, by PA or IPA */
    QtestIommuRegs where;
    IommuRegs regs;
    SmmuTables tables;
    SmmuQueue cmdq, evtq;
    HostSetup setup;
    SmmuS1 s2;                  /* as well a table of stage 2 */
    SmmuCdTable cds;
    uint16_t asid;              /* that was given to a space last */
    /*
     * Without PASID, and with one. The endpoint keeps what it knows of an
     * address space until the queue is closed.
     */
    struct {
        bool open;
        uint32_t pasid;
        RigQueue q;
    } queue[2];
} Host;

typedef struct HostEvent {
    unsigned type;
    bool ssv;
    uint32_t ssid, sid;
    bool rnw, s2;
    unsigned class;
    uint64_t addr, ipa;
} HostEvent;

/**
 * host_start: a machine, its SMMU on, with no STE.
 * @smmu: properties of arm-smmuv3, "NAME=VALUE,…" or ""
 * @engine: properties of sva-engine, or ""
 * @events: log2 of the size of the event queue
 */
Host *host_start(const char *smmu, const char *engine, unsigned events);
void host_stop(Host *h);

/* PASID and, with @ats, ATS enabled in the endpoint */
void host_endpoint(Host *h, bool ats);

/* An STE with fresh, empty tables; what was cached is flushed */
void host_setup(Host *h, const HostSetup *setup);

/* Where an address of a nested stream's stage 1 lies; others are the same */
uint64_t host_ipa(Host *h, uint64_t pa);
void host_map_s2(Host *h, uint64_t ipa, uint64_t pa, uint64_t flags);

/* S2AP and what else a leaf of stage 2 needs */
#define HOST_S2_RW      (SMMU_PTE_EL0 | SMMU_PTE_RO | SMMU_PTE_ISH | \
                         SMMU_PTE_AF)
#define HOST_S2_RO      (SMMU_PTE_EL0 | SMMU_PTE_ISH | SMMU_PTE_AF)
#define HOST_S2_WO      (SMMU_PTE_RO | SMMU_PTE_ISH | SMMU_PTE_AF)

/*
 * A stage-1 table in which HOST_VA is data page @page, and the engine's ring
 * and completions are; and the CD that points to it, with an ASID of its own.
 */
SmmuS1 host_space(Host *h, uint32_t ssid, unsigned page);

void host_push(Host *h, SmmuCmd cmd);
void host_sync(Host *h);
/* The command and a CMD_SYNC */
void host_command(Host *h, SmmuCmd cmd);
/* All that the SMMU caches, and the endpoint */
void host_flush(Host *h);

/*
 * DMA without PASID of one page, by the simple block. Returns: a code of
 * sva-engine.
 */
unsigned host_read(Host *h, uint64_t va);
unsigned host_write(Host *h, uint64_t va);

/*
 * A fill with @pattern under a PASID (HOST_RID: none). Returns: its code, or
 * that for which the queue halted.
 */
unsigned host_fill(Host *h, uint32_t pasid, uint64_t va, uint64_t pattern);
/* It works, and memory at data page @page shows it */
void host_check_fill(Host *h, uint32_t pasid, unsigned page,
                     uint64_t pattern);

/* Which data page a fill of @va ends up in; it works */
unsigned host_filled_page(Host *h, uint32_t pasid, uint64_t va);

/* Events: one that has to be there, or none */
HostEvent host_event(Host *h);
void host_no_event(Host *h);

uint32_t host_reg(Host *h, uint64_t reg);
void host_set_reg(Host *h, uint64_t reg, uint32_t value);

#endif
