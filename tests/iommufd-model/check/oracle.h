/*
 * What DMA must do, found by walking the guest's structures afresh
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shares nothing with the model: no caches, no walker, no ioctl.  It is right
 * at the moments when the guest has invalidated all it changed.
 */

#ifndef CHECK_ORACLE_H
#define CHECK_ORACLE_H

#include "tinyvmm.h"

#define ORACLE_PAGE     4096ULL

/* Stage 2, as whoever maps and unmaps keeps book of it */
typedef struct OracleS2 {
    uint64_t pages;
    uint8_t *rights;            /* per page: ORACLE_R | ORACLE_W */
} OracleS2;

enum { ORACLE_R = 1, ORACLE_W = 2 };

typedef struct OracleReq {
    uint16_t rid;
    uint32_t pasid;             /* TV_NO_PASID */
    uint64_t addr;
    bool write, priv;
} OracleReq;

typedef struct OracleResult {
    bool fault;
    int stage;
    const char *reason;
    uint64_t gpa;               /* when no fault */
} OracleResult;

void oracle_s2_init(OracleS2 *s2, uint64_t size);
void oracle_s2_set(OracleS2 *s2, uint64_t gpa, uint64_t len, uint8_t rights);
void oracle_s2_free(OracleS2 *s2);

/**
 * oracle_dma: one access that does not cross a page.
 */
OracleResult oracle_vtd(const TvVm *vm, const OracleS2 *s2,
                        const OracleReq *req);
OracleResult oracle_smmuv3(const TvVm *vm, const OracleS2 *s2,
                           const OracleReq *req);
OracleResult oracle_dma(const TvVm *vm, const OracleS2 *s2,
                        const OracleReq *req);

/* ------------------------------------------- shared by the two oracle_*.c */

/* Stage 2 of one access; on success the memory, else NULL and @res filled */
const uint8_t *oracle_stage2(const TvVm *vm, const OracleS2 *s2, uint64_t gpa,
                             bool write, OracleResult *res);
OracleResult oracle_fault(int stage, const char *reason);

#endif
