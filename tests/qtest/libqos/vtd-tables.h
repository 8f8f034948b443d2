/*
 * Intel VT-d structures in guest memory, and its invalidation queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Formats: VT-d specification, chapter 9 (tables) and 6.5.2 (descriptors).
 * Builders only write memory; what has to be invalidated afterwards is the
 * caller's business, so that a test may leave it out.
 */

#ifndef LIBQOS_VTD_TABLES_H
#define LIBQOS_VTD_TABLES_H

#include "iommu-mem.h"

/* --------------------------------------------------------------- stage 1 */

#define VTD_S1_P        (1ULL << 0)
#define VTD_S1_RW       (1ULL << 1)
#define VTD_S1_US       (1ULL << 2)
#define VTD_S1_A        (1ULL << 5)
#define VTD_S1_D        (1ULL << 6)
#define VTD_S1_PS       (1ULL << 7)
#define VTD_S1_XD       (1ULL << 63)
#define VTD_S1_ADDR     0x000ffffffffff000ULL

/* What a user of DMA normally wants: present, writable, not supervisor */
#define VTD_S1_USER_RW  (VTD_S1_P | VTD_S1_RW | VTD_S1_US)
#define VTD_S1_USER_RO  (VTD_S1_P | VTD_S1_US)

/* Page sizes are log2: 12, 21 or 30 */

/**
 * vtd_s1_new: make an empty stage-1 table.
 *
 * Returns: its guest physical address (FSPTPTR, pgtbl_addr).
 */
uint64_t vtd_s1_new(IommuMem *mem);

/**
 * vtd_s1_map: map @len bytes with pages of 2^@shift, making the tables that
 * are missing.  What was mapped there is overwritten; a smaller page size
 * than the one in place replaces the large page by a table.
 * @levels: 4 or 5
 * @flags: VTD_S1_* of the leaves; tables get P, RW and US
 */
void vtd_s1_map(IommuMem *mem, uint64_t root, unsigned levels,
                uint64_t iova, uint64_t gpa, uint64_t len, unsigned shift,
                uint64_t flags);

/* Clear the leaves that cover [@iova, @iova + @len) */
void vtd_s1_unmap(IommuMem *mem, uint64_t root, unsigned levels,
                  uint64_t iova, uint64_t len);

/**
 * vtd_s1_entry: find the entry that decides about an address.
 * @stop: lowest level to go to; 1 is the leaf of a 4 KiB page
 * @level: set to the level found
 *
 * Returns: guest physical address of the entry at level @stop, or of the one
 * above it at which the walk ends (not present, or a large page).
 */
uint64_t vtd_s1_entry(const IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t iova, unsigned stop, unsigned *level);

/* Replace the low and high flag bits of the leaf of @iova; address stays */
void vtd_s1_set_flags(IommuMem *mem, uint64_t root, unsigned levels,
                      uint64_t iova, uint64_t flags);

/* ----------------------------------- root, context, PASID (scalable mode) */

#define VTD_RTADDR_SCALABLE (1ULL << 10)

#define VTD_CTX_P       (1ULL << 0)
#define VTD_CTX_DTE     (1ULL << 2)
#define VTD_CTX_PASIDE  (1ULL << 3)
#define VTD_CTX_PRE     (1ULL << 4)

typedef enum VtdPgtt {
    VTD_PGTT_FIRST = 1,
    VTD_PGTT_SECOND = 2,
    VTD_PGTT_NESTED = 3,
    VTD_PGTT_PASSTHROUGH = 4,
} VtdPgtt;

typedef struct VtdPasidEntry {
    VtdPgtt pgtt;
    uint16_t did;
    uint64_t s1;                /* FSPTPTR */
    unsigned s1_levels;         /* 4 or 5 */
    uint64_t s2;                /* SSPTPTR */
    unsigned s2_levels;         /* 3, 4 or 5 */
    bool sre, wpe, eafe, page_snoop, fpd;
} VtdPasidEntry;

typedef struct VtdTables {
    IommuMem *mem;
    uint64_t root;
    bool scalable;
} VtdTables;

void vtd_tables_init(VtdTables *t, IommuMem *mem, bool scalable);

/* Value for RTADDR_REG */
uint64_t vtd_tables_rtaddr(const VtdTables *t);

/**
 * vtd_context_legacy: legacy-mode context entry.
 * @type: 0 second stage, 1 the same with device TLB, 2 pass-through
 * @levels: of the second stage, 3..5
 */
void vtd_context_legacy(VtdTables *t, uint16_t rid, unsigned type,
                        uint64_t slptptr, unsigned levels, uint16_t did);

/**
 * vtd_context_scalable: scalable-mode context entry with a fresh, empty PASID
 * directory.
 * @pasid_bits: width the directory is to cover, 7..20
 * @flags: VTD_CTX_DTE, VTD_CTX_PASIDE, VTD_CTX_PRE
 * @rid_pasid: PASID entry that requests without PASID use
 */
void vtd_context_scalable(VtdTables *t, uint16_t rid, unsigned pasid_bits,
                          uint64_t flags, uint32_t rid_pasid);

/* Clear the context entry of @rid */
void vtd_context_clear(VtdTables *t, uint16_t rid);

/* Guest physical address of the context entry; makes its table if missing */
uint64_t vtd_context_entry(VtdTables *t, uint16_t rid);

/* Write a PASID entry, making the PASID table if it is missing */
void vtd_pasid_set(VtdTables *t, uint16_t rid, uint32_t pasid,
                   const VtdPasidEntry *pe);
void vtd_pasid_clear(VtdTables *t, uint16_t rid, uint32_t pasid);

/* Guest physical address of a PASID entry; makes its table if missing */
uint64_t vtd_pasid_entry(VtdTables *t, uint16_t rid, uint32_t pasid);

/* ----------------------------------------------- invalidation descriptors */

typedef struct VtdDesc {
    uint64_t qw[4];
} VtdDesc;

typedef enum VtdDescType {
    VTD_DESC_CONTEXT = 1,
    VTD_DESC_IOTLB = 2,
    VTD_DESC_DEV_TLB = 3,
    VTD_DESC_IEC = 4,
    VTD_DESC_WAIT = 5,
    VTD_DESC_PIOTLB = 6,
    VTD_DESC_PASID_CACHE = 7,
    VTD_DESC_PASID_DEV_TLB = 8,
    VTD_DESC_PAGE_RESPONSE = 9,
} VtdDescType;

/* Context-cache and IOTLB granularities */
enum { VTD_INV_GLOBAL = 1, VTD_INV_DOMAIN = 2, VTD_INV_NARROW = 3 };
/* PASID-cache granularities */
enum { VTD_PC_DOMAIN = 0, VTD_PC_PASID = 1, VTD_PC_GLOBAL = 3 };
/* Response codes of a page group response */
enum { VTD_PRG_SUCCESS = 0, VTD_PRG_INVALID = 1, VTD_PRG_FAILURE = 15 };

/* In all of these @order is log2 of the number of 4 KiB pages */
VtdDesc vtd_inv_context(unsigned granularity, uint16_t did, uint16_t rid);
VtdDesc vtd_inv_iotlb(unsigned granularity, uint16_t did, uint64_t addr,
                      unsigned order, bool leaf);
VtdDesc vtd_inv_iec_global(void);
VtdDesc vtd_inv_pasid_cache(unsigned granularity, uint16_t did,
                            uint32_t pasid);
/* All of one PASID */
VtdDesc vtd_inv_piotlb_all(uint16_t did, uint32_t pasid);
VtdDesc vtd_inv_piotlb(uint16_t did, uint32_t pasid, uint64_t addr,
                       unsigned order, bool leaf);
VtdDesc vtd_inv_dev_tlb(uint16_t rid, uint64_t addr, unsigned order);
VtdDesc vtd_inv_pasid_dev_tlb(uint16_t rid, uint32_t pasid, uint64_t addr,
                              unsigned order);
VtdDesc vtd_inv_wait(uint64_t status_gpa, uint32_t status_data);
VtdDesc vtd_page_response(uint16_t rid, bool with_pasid, uint32_t pasid,
                          uint32_t grpid, unsigned code);

typedef struct VtdQueue {
    IommuMem *mem;
    uint64_t base;
    unsigned order;             /* 2^order pages of 4 KiB */
    bool wide;                  /* 256-bit descriptors */
    uint64_t tail;              /* byte offset */
    uint64_t status;            /* gpa of the word vtd_queue_sync() waits on */
    uint32_t ticket;
} VtdQueue;

void vtd_queue_init(VtdQueue *q, IommuMem *mem, unsigned order, bool wide);

/* Value for IQA_REG */
uint64_t vtd_queue_iqa(const VtdQueue *q);

/* Append; does not tell the hardware */
void vtd_queue_push(VtdQueue *q, VtdDesc desc);

/* Append a wait descriptor; its status word will become the value returned */
uint32_t vtd_queue_push_wait(VtdQueue *q);

/* Has the status word of a wait descriptor been written? */
bool vtd_queue_done(const VtdQueue *q, uint32_t ticket);

/* Read back descriptor at byte offset @head; moves @head on */
VtdDesc vtd_queue_pop(const VtdQueue *q, uint64_t *head);

/* ------------------------------------------------------------- registers */

enum {
    VTD_REG_CAP = 0x08, VTD_REG_ECAP = 0x10, VTD_REG_GCMD = 0x18,
    VTD_REG_GSTS = 0x1c, VTD_REG_RTADDR = 0x20, VTD_REG_FSTS = 0x34,
    VTD_REG_IQH = 0x80, VTD_REG_IQT = 0x88, VTD_REG_IQA = 0x90,
};
#define VTD_GCMD_TE     (1u << 31)
#define VTD_GCMD_SRTP   (1u << 30)
#define VTD_GCMD_QIE    (1u << 26)

/* Set root pointer, start the queue, turn translation on */
void vtd_enable(const IommuRegs *regs, const VtdTables *t, const VtdQueue *q);

/* Ring the doorbell for everything appended */
void vtd_queue_kick(const VtdQueue *q, const IommuRegs *regs);

/**
 * vtd_queue_sync: append a wait descriptor, ring, and look for completion.
 *
 * Returns: false when the hardware stopped (FSTS says why) before the status
 * word was written.
 */
bool vtd_queue_sync(VtdQueue *q, const IommuRegs *regs);

#endif
