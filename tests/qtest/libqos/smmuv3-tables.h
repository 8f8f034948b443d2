/*
 * Arm SMMUv3 structures in guest memory, and its queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Formats: Arm SMMUv3 specification (IHI 0070), chapters 4 (commands), 5
 * (STE, CD) and 7 (events); VMSAv8-64 for stage 1.  Builders only write
 * memory; what has to be invalidated afterwards is the caller's business, so
 * that a test may leave it out.
 */

#ifndef LIBQOS_SMMUV3_TABLES_H
#define LIBQOS_SMMUV3_TABLES_H

#include "iommu-mem.h"

/* --------------------------------------------------------------- stage 1 */

#define SMMU_PTE_EL0    (1ULL << 6)     /* AP[1]: unprivileged access */
#define SMMU_PTE_RO     (1ULL << 7)     /* AP[2] */
#define SMMU_PTE_ISH    (3ULL << 8)
#define SMMU_PTE_AF     (1ULL << 10)
#define SMMU_PTE_NG     (1ULL << 11)
#define SMMU_PTE_PXN    (1ULL << 53)
#define SMMU_PTE_UXN    (1ULL << 54)
#define SMMU_TABLE_NO_EL0 (1ULL << 61)  /* APTable[0] */
#define SMMU_TABLE_RO   (1ULL << 62)    /* APTable[1] */
#define SMMU_PTE_ADDR   0x0000fffffffff000ULL

#define SMMU_PTE_USER_RW \
    (SMMU_PTE_EL0 | SMMU_PTE_ISH | SMMU_PTE_AF | SMMU_PTE_NG)
#define SMMU_PTE_USER_RO (SMMU_PTE_USER_RW | SMMU_PTE_RO)

typedef struct SmmuS1 {
    IommuMem *mem;
    uint64_t root;
    unsigned granule;           /* log2: 12, 14 or 16 */
    unsigned va_bits;
} SmmuS1;

void smmu_s1_init(SmmuS1 *s1, IommuMem *mem, unsigned granule,
                  unsigned va_bits);

/* Level a walk starts at, and log2 of what an entry of @level covers */
unsigned smmu_s1_start(const SmmuS1 *s1);
unsigned smmu_s1_shift(const SmmuS1 *s1, unsigned level);

/**
 * smmu_s1_map: map @len bytes with leaves of 2^@shift, making the tables that
 * are missing.  What was mapped there is overwritten.
 * @flags: SMMU_PTE_* of the leaves
 */
void smmu_s1_map(SmmuS1 *s1, uint64_t iova, uint64_t gpa, uint64_t len,
                 unsigned shift, uint64_t flags);

/* Clear the leaves that cover [@iova, @iova + @len) */
void smmu_s1_unmap(SmmuS1 *s1, uint64_t iova, uint64_t len);

/**
 * smmu_s1_entry: find the descriptor that decides about an address.
 * @stop: highest level number to go to (3: pages)
 * @level: set to the level found
 *
 * Returns: guest physical address of the descriptor at level @stop, or of the
 * one above at which the walk ends (invalid, or a block).
 */
uint64_t smmu_s1_entry(const SmmuS1 *s1, uint64_t iova, unsigned stop,
                       unsigned *level);

/* Replace the flags of the leaf of @iova; its address stays */
void smmu_s1_set_flags(SmmuS1 *s1, uint64_t iova, uint64_t flags);

/* ---------------------------------------------------- context descriptors */

typedef enum SmmuS1Fmt {
    SMMU_S1FMT_LINEAR = 0,
    SMMU_S1FMT_4K_L2 = 1,
    SMMU_S1FMT_64K_L2 = 2,
} SmmuS1Fmt;

typedef struct SmmuCdTable {
    IommuMem *mem;
    uint64_t base;
    SmmuS1Fmt fmt;
    unsigned bits;              /* log2 of the number of substreams */
} SmmuCdTable;

void smmu_cdtab_init(SmmuCdTable *t, IommuMem *mem, SmmuS1Fmt fmt,
                     unsigned bits);

/* Guest physical address of a CD; makes the leaf table if it is missing */
uint64_t smmu_cd_entry(SmmuCdTable *t, uint32_t ssid);

/* CD for a table of the lower half; faults are recorded and terminated */
void smmu_cd_set(SmmuCdTable *t, uint32_t ssid, const SmmuS1 *s1,
                 uint16_t asid);
void smmu_cd_clear(SmmuCdTable *t, uint32_t ssid);

/* ------------------------------------------------------------ stream table */

typedef enum SmmuSteCfg {
    SMMU_STE_ABORT = 0,
    SMMU_STE_BYPASS = 4,
    SMMU_STE_S1 = 5,
} SmmuSteCfg;

enum { SMMU_S1DSS_TERMINATE = 0, SMMU_S1DSS_BYPASS = 1, SMMU_S1DSS_SSID0 = 2 };

typedef struct SmmuSte {
    SmmuSteCfg cfg;
    const SmmuCdTable *cds;     /* SMMU_STE_S1 only */
    unsigned s1dss;
    bool ats;                   /* EATS: full ATS */
    bool stalld;                /* S1STALLD: only where IDR0 has stalls */
} SmmuSte;

typedef struct SmmuTables {
    IommuMem *mem;
    uint64_t base;
    unsigned sid_bits;
    unsigned split;             /* StreamID bits of a leaf table, 0: linear */
} SmmuTables;

void smmu_tables_init(SmmuTables *t, IommuMem *mem, unsigned sid_bits,
                      unsigned split);

/* Values for STRTAB_BASE and STRTAB_BASE_CFG */
uint64_t smmu_strtab_base(const SmmuTables *t);
uint32_t smmu_strtab_base_cfg(const SmmuTables *t);

/* Guest physical address of an STE; makes the leaf table if it is missing */
uint64_t smmu_ste_entry(SmmuTables *t, uint32_t sid);
void smmu_ste_set(SmmuTables *t, uint32_t sid, const SmmuSte *ste);
void smmu_ste_clear(SmmuTables *t, uint32_t sid);

/* ---------------------------------------------------------------- commands */

typedef struct SmmuCmd {
    uint64_t dw[2];
} SmmuCmd;

typedef enum SmmuOp {
    SMMU_OP_PREFETCH_CFG = 0x01,
    SMMU_OP_CFGI_STE = 0x03,
    SMMU_OP_CFGI_STE_RANGE = 0x04,
    SMMU_OP_CFGI_CD = 0x05,
    SMMU_OP_CFGI_CD_ALL = 0x06,
    SMMU_OP_TLBI_NH_ALL = 0x10,
    SMMU_OP_TLBI_NH_ASID = 0x11,
    SMMU_OP_TLBI_NH_VA = 0x12,
    SMMU_OP_TLBI_NH_VAA = 0x13,
    SMMU_OP_TLBI_NSNH_ALL = 0x30,
    SMMU_OP_ATC_INV = 0x40,
    SMMU_OP_PRI_RESP = 0x41,
    SMMU_OP_RESUME = 0x44,
    SMMU_OP_SYNC = 0x46,
} SmmuOp;

/* A substream argument that means "none" */
#define SMMU_NO_SSID UINT32_MAX

SmmuCmd smmu_cfgi_ste(uint32_t sid, bool leaf);
SmmuCmd smmu_cfgi_ste_all(void);
SmmuCmd smmu_cfgi_cd(uint32_t sid, uint32_t ssid, bool leaf);
SmmuCmd smmu_cfgi_cd_all(uint32_t sid);
SmmuCmd smmu_tlbi_all(SmmuOp op);
SmmuCmd smmu_tlbi_asid(uint16_t asid);
SmmuCmd smmu_tlbi_va(uint16_t asid, uint64_t addr, bool leaf);
SmmuCmd smmu_tlbi_vaa(uint64_t addr, bool leaf);

/**
 * smmu_tlbi_range: ranged TLBI_NH_VA (needs IDR3.RIL).
 * Covers (@num + 1) << @scale pages of 2^@granule.
 * @ttl: level of the leaves plus nothing known: 0
 */
SmmuCmd smmu_tlbi_range(uint16_t asid, uint64_t addr, bool leaf,
                        unsigned granule, unsigned num, unsigned scale,
                        unsigned ttl);
/* @order: log2 of the number of 4 KiB pages; 52: everything */
SmmuCmd smmu_atc_inv(uint32_t sid, uint32_t ssid, uint64_t addr,
                     unsigned order);
/* @resp: 0 denied, 1 failure, 2 success */
SmmuCmd smmu_pri_resp(uint32_t sid, uint32_t ssid, uint16_t grpid,
                      unsigned resp);
/* @resp: 0 terminate, 1 retry, 2 abort */
SmmuCmd smmu_resume(uint32_t sid, uint16_t stag, unsigned resp);
SmmuCmd smmu_sync(void);

/* ------------------------------------------------------------------ queues */

typedef struct SmmuQueue {
    IommuMem *mem;
    uint64_t base;
    unsigned bits;              /* log2 of the number of entries */
    unsigned entry;             /* bytes: 16 commands and PRI, 32 events */
    uint32_t index;             /* ours: PROD of commands, CONS of others */
} SmmuQueue;

void smmu_queue_init(SmmuQueue *q, IommuMem *mem, unsigned bits,
                     unsigned entry);

/* Value for CMDQ_BASE, EVENTQ_BASE or PRIQ_BASE */
uint64_t smmu_queue_base(const SmmuQueue *q);

/* Append; does not tell the hardware */
void smmu_queue_push(SmmuQueue *q, SmmuCmd cmd);

/* Read the entry at @index (of wrap and position) and move it on */
void smmu_queue_pop(const SmmuQueue *q, uint32_t *index, uint64_t *dw);

/* ------------------------------------------------------------- registers */

enum {
    SMMU_REG_IDR0 = 0x00, SMMU_REG_IDR1 = 0x04, SMMU_REG_IDR3 = 0x0c,
    SMMU_REG_IDR5 = 0x14, SMMU_REG_CR0 = 0x20, SMMU_REG_CR0ACK = 0x24,
    SMMU_REG_CR1 = 0x28, SMMU_REG_CR2 = 0x2c, SMMU_REG_GERROR = 0x60,
    SMMU_REG_GERRORN = 0x64, SMMU_REG_STRTAB_BASE = 0x80,
    SMMU_REG_STRTAB_BASE_CFG = 0x88, SMMU_REG_CMDQ_BASE = 0x90,
    SMMU_REG_CMDQ_PROD = 0x98, SMMU_REG_CMDQ_CONS = 0x9c,
    SMMU_REG_EVENTQ_BASE = 0xa0, SMMU_REG_EVENTQ_PROD = 0x100a8,
    SMMU_REG_EVENTQ_CONS = 0x100ac,
};

/* Program tables and queues; the queues are on then, the SMMU is off */
void smmu_setup(const IommuRegs *regs, const SmmuTables *t,
                const SmmuQueue *cmdq, const SmmuQueue *evtq);

/* The same, and turn the SMMU on */
void smmu_enable(const IommuRegs *regs, const SmmuTables *t,
                 const SmmuQueue *cmdq, const SmmuQueue *evtq);

/**
 * smmu_cmdq_sync: append CMD_SYNC, ring, and wait until it is consumed.
 *
 * Returns: 0, the CERROR code when the queue stopped, or -1 when nothing
 * happened.
 */
int smmu_cmdq_sync(SmmuQueue *q, const IommuRegs *regs);

/**
 * smmu_evtq_read: take one event record.
 * @dw: four 64-bit words
 *
 * Returns: false when there is none.
 */
bool smmu_evtq_read(SmmuQueue *q, const IommuRegs *regs, uint64_t *dw);

#endif
