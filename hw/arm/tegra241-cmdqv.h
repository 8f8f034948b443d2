/*
 * Tegra241 CMDQV: registers, and the state of an emulated one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Of tegra241-cmdqv-host.c, and of smmuv3-nested-cmdqv.c, for which the queues
 * of VINTF 0 may be the host's. All with the BQL held.
 */

#ifndef HW_ARM_TEGRA241_CMDQV_H
#define HW_ARM_TEGRA241_CMDQV_H

#include "hw/registerfields.h"
#include "smmuv3-host.h"

/* Of an emulated host; a guest has one VINTF and no more queues than that */
#define VINTFS_LOG2         2
#define VCMDQS_LOG2         3
#define SIDS_LOG2           4
#define VINTFS              (1 << VINTFS_LOG2)
#define VCMDQS              (1 << VCMDQS_LOG2)
#define SIDS                (1 << SIDS_LOG2)

/* Pages of 64 KiB; windows are a page 0 and a page 1 each */
#define VCMDQ_PAGE0         0x10000
#define VCMDQ_PAGE1         0x20000
#define WINDOWS             0x30000
#define WINDOW_SIZE         0x20000
#define PAGE_SIZE_64K       0x10000
#define VCMDQ_STRIDE        0x80
#define VINTF_BASE          0x1000
#define VINTF_STRIDE        0x100

REG32(CONFIG, 0x0)
    FIELD(CONFIG, CMDQV_EN, 0, 1)
REG32(PARAM, 0x4)
    FIELD(PARAM, VER, 0, 4)
    FIELD(PARAM, NUM_VCMDQ_LOG2, 4, 4)
    FIELD(PARAM, NUM_VINTF_LOG2, 8, 4)
    FIELD(PARAM, NUM_SID_PER_VM_LOG2, 12, 4)
REG32(STATUS, 0x8)
    FIELD(STATUS, ENABLED, 0, 1)
REG32(VINTF_ERR_MAP, 0x14)      /* and the next: 64 bits, not aligned */
REG32(VINTF_INT_MASK, 0x1c)
REG32(CMDQ_ERR_MAP, 0x24)       /* four of them */
REG32(CMDQ_ALLOC, 0x200)        /* one for each VCMDQ */
    FIELD(CMDQ_ALLOC, ALLOCATED, 0, 1)
    FIELD(CMDQ_ALLOC, LVCMDQ, 1, 7)
    FIELD(CMDQ_ALLOC, VINTF, 15, 6)

/* From VINTF_BASE */
REG32(VINTF_CONFIG, 0x0)
    FIELD(VINTF_CONFIG, EN, 0, 1)
    FIELD(VINTF_CONFIG, VMID, 1, 16)
    FIELD(VINTF_CONFIG, HYP_OWN, 17, 1)
REG32(VINTF_STATUS, 0x4)
REG32(SID_MATCH, 0x40)
    FIELD(SID_MATCH, ENABLE, 0, 1)
    FIELD(SID_MATCH, VIRT_SID, 1, 20)
REG32(SID_REPLACE, 0x80)
REG32(LVCMDQ_ERR_MAP, 0xc0)     /* two of 64 bits */

/* Of a VCMDQ: page 0 */
REG32(VCMDQ_CONS, 0x0)
    FIELD(VCMDQ_CONS, RD, 0, 20)
    FIELD(VCMDQ_CONS, ERR, 24, 7)
REG32(VCMDQ_PROD, 0x4)
    FIELD(VCMDQ_PROD, WR, 0, 20)
REG32(VCMDQ_CONFIG, 0x8)
    FIELD(VCMDQ_CONFIG, EN, 0, 1)
REG32(VCMDQ_STATUS, 0xc)
REG32(VCMDQ_GERROR, 0x10)
    FIELD(VCMDQ_GERROR, CMDQ_ERR, 0, 1)
REG32(VCMDQ_GERRORN, 0x14)

/* and page 1 */
REG32(VCMDQ_BASE_L, 0x0)
    FIELD(VCMDQ_BASE_L, LOG2SIZE, 0, 5)
REG32(VCMDQ_BASE_H, 0x4)
REG32(VCMDQ_CONS_INDX_BASE_L, 0x8)
REG32(VCMDQ_CONS_INDX_BASE_H, 0xc)
#define VCMDQ_BASE_MASK     MAKE_64BIT_MASK(0, 48)

typedef struct Tegra241VINTF {
    uint32_t config;
    uint32_t sid_match[SIDS];
    uint32_t sid_replace[SIDS];
} Tegra241VINTF;

typedef struct Tegra241VCMDQ {
    SMMUQueue q;
    uint32_t alloc;             /* CMDQ_ALLOC */
    uint32_t config;
    uint32_t gerror, gerrorn;
    uint64_t cons_base;         /* not made use of */
} Tegra241VCMDQ;

typedef struct Tegra241CMDQV {
    MemoryRegion mmio;
    qemu_irq irq;
    bool guest;                 /* of a guest with nesting: no HYP_OWN */
    uint32_t param;
    unsigned vintfs, vcmdqs;
    uint8_t cmdqs;              /* log2 of the commands that a queue may have */
    /*
     * The guest's: something has changed that matters for who has the queues.
     * So many of VINTF 0 are the host's, with registers in @page0.
     */
    void (*changed)(SMMUv3State *s);
    uint32_t *page0;
    unsigned direct;
    uint32_t config;
    uint64_t int_mask;
    Tegra241VINTF vintf[VINTFS];
    Tegra241VCMDQ vcmdq[VCMDQS];
    unsigned first;             /* which one goes on first */
} Tegra241CMDQV;

static inline uint32_t tegra241_cmdqv_param(uint8_t version, uint8_t vcmdqs,
                                            uint8_t vintfs, uint8_t sids)
{
    return version << R_PARAM_VER_SHIFT |
           vcmdqs << R_PARAM_NUM_VCMDQ_LOG2_SHIFT |
           vintfs << R_PARAM_NUM_VINTF_LOG2_SHIFT |
           sids << R_PARAM_NUM_SID_PER_VM_LOG2_SHIFT;
}

static inline bool vcmdq_allocated(const Tegra241VCMDQ *v)
{
    return FIELD_EX32(v->alloc, CMDQ_ALLOC, ALLOCATED);
}

static inline uint32_t vcmdq_pending(const Tegra241VCMDQ *v)
{
    return v->gerror ^ v->gerrorn;
}

/* In bytes; what is below the size of the queue counts for nothing (6.3.26) */
static inline uint64_t vcmdq_length(const Tegra241VCMDQ *v)
{
    return (uint64_t)sizeof(Cmd) << v->q.log2size;
}

static inline uint64_t vcmdq_addr(const Tegra241VCMDQ *v)
{
    return Q_BASE(&v->q) & ~(vcmdq_length(v) - 1);
}

/* The VCMDQ that is an LVCMDQ of a VINTF; NULL: none */
Tegra241VCMDQ *tegra241_cmdqv_lvcmdq(Tegra241CMDQV *c, unsigned vintf,
                                     unsigned lvcmdq);

/* Whether CMDQV and VINTF are */
bool tegra241_cmdqv_vintf_enabled(const Tegra241CMDQV *c, unsigned vintf);

/* A register of page 0 that is the host's */
static inline uint32_t tegra241_cmdqv_page0_read(const Tegra241CMDQV *c,
                                                 unsigned lvcmdq, hwaddr reg)
{
    return le32_to_cpu(qatomic_read(&c->page0[(lvcmdq * VCMDQ_STRIDE + reg) /
                                              sizeof(uint32_t)]));
}

static inline void tegra241_cmdqv_page0_write(Tegra241CMDQV *c,
                                              unsigned lvcmdq, hwaddr reg,
                                              uint32_t value)
{
    qatomic_set(&c->page0[(lvcmdq * VCMDQ_STRIDE + reg) / sizeof(uint32_t)],
                cpu_to_le32(value));
}

/* Make the state of queues that are the host's what its registers say */
void tegra241_cmdqv_pull(Tegra241CMDQV *c);

/* One of a VINTF's queues has an error: an interrupt, if that may be */
void tegra241_cmdqv_irq(Tegra241CMDQV *c, unsigned vintf);

#endif
