/*
 * Conformance of /dev/iommu: DMA of the model's endpoint, and tables for it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CONFORMANCE_DMA_H
#define CONFORMANCE_DMA_H

#include "smmu.h"

#define GIB (1ull << 30)
#define NO_PASID UINT32_MAX

/* Returns: the four bytes read, -1 when the access faulted */
int64_t dma_read_as(const CtBound *b, uint64_t addr, uint32_t pasid);
int64_t dma_read(const CtBound *b, uint64_t addr);
bool dma_write(const CtBound *b, uint64_t addr, uint32_t data);

/* Memory as the hexadecimal of the commands has it: first byte first */
void put_be(void *p, uint32_t val);
uint32_t get_be(const void *p);

/*
 * VT-d first stage, 4 levels of 4 KiB pages (VT-d 9.8): the tables at guest
 * physical 0, 0x1000, 0x2000, 0x3000; the pages below map IOVA 0x10000 on.
 */
#define FS_PRESENT  0x7ull                      /* P, R/W, U/S */
#define FS_IOVA     0x10000ull
#define FS_GPA(n)   (0x100000ull + (n) * 0x1000ull)

typedef struct FirstStage {
    CtBound b;
    uint32_t ioas, parent, nested;
    uint8_t *ram;                               /* 2 MiB at guest physical 0 */
} FirstStage;

void fs_entry(FirstStage *f, uint64_t table, unsigned index, uint64_t val);
/* @gpa: 0 unmaps */
void fs_map(FirstStage *f, unsigned n, uint64_t gpa);
bool fs_open(FirstStage *f, uint64_t needs);
/* A PASID 1 as well, attached to the same table as @hwpt */
bool fs_open_pasid(FirstStage *f, uint64_t needs, uint32_t *hwpt);
int fs_invalidate(FirstStage *f, const void *e, uint32_t *nr);

/*
 * SMMUv3 stage 1 (5.4 Context Descriptor; Arm ARM D8.3): one CD at guest
 * physical 0, tables of 4 levels from 0x1000, 48-bit input addresses.
 */
#define CD_ASID     5ull
#define PTE_TABLE   3ull
#define PTE_PAGE    (3ull | 1ull << 6 | 3ull << 8 | 1ull << 10 | 1ull << 11)

typedef struct Stage1 {
    SmmuVm vm;
    uint32_t s1;
    uint8_t *ram;
} Stage1;

void s1_word(Stage1 *s, uint64_t at, uint64_t val);
void s1_map(Stage1 *s, unsigned n, uint64_t gpa);
bool s1_open(Stage1 *s, uint64_t needs);
int s1_invalidate(Stage1 *s, const uint64_t (*cmd)[2], uint32_t *nr);

#endif
