/*
 * Guest memory and registers, as builders of IOMMU tables reach them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One set of builders (vtd-tables, smmuv3-tables) serves qtests, whose guest
 * memory is behind a socket, and programs that hold the guest memory
 * themselves.  All values are host endian here and little endian in memory.
 */

#ifndef LIBQOS_IOMMU_MEM_H
#define LIBQOS_IOMMU_MEM_H

#include "qemu/bswap.h"

#define IOMMU_MEM_FREE  64

typedef struct IommuMem {
    void (*read)(void *opaque, uint64_t gpa, void *buf, size_t len);
    void (*write)(void *opaque, uint64_t gpa, const void *buf, size_t len);
    void *opaque;
    /* Memory for tables: [next, end) is free and need not be zero */
    uint64_t next, end;
    /* And what iommu_mem_free() gave back */
    struct {
        uint64_t gpa, size;
    } free[IOMMU_MEM_FREE];
    unsigned n_free;
} IommuMem;

/* Registers of an emulated IOMMU; @offset is from its base */
typedef struct IommuRegs {
    uint32_t (*read32)(void *opaque, uint64_t offset);
    uint64_t (*read64)(void *opaque, uint64_t offset);
    void (*write32)(void *opaque, uint64_t offset, uint32_t value);
    void (*write64)(void *opaque, uint64_t offset, uint64_t value);
    void *opaque;
} IommuRegs;

static inline uint64_t iommu_mem_read64(const IommuMem *mem, uint64_t gpa)
{
    uint64_t value;

    mem->read(mem->opaque, gpa, &value, sizeof(value));
    return le64_to_cpu(value);
}

static inline void iommu_mem_write64(const IommuMem *mem, uint64_t gpa,
                                     uint64_t value)
{
    value = cpu_to_le64(value);
    mem->write(mem->opaque, gpa, &value, sizeof(value));
}

static inline uint32_t iommu_mem_read32(const IommuMem *mem, uint64_t gpa)
{
    uint32_t value;

    mem->read(mem->opaque, gpa, &value, sizeof(value));
    return le32_to_cpu(value);
}

static inline void iommu_mem_write32(const IommuMem *mem, uint64_t gpa,
                                     uint32_t value)
{
    value = cpu_to_le32(value);
    mem->write(mem->opaque, gpa, &value, sizeof(value));
}

/**
 * iommu_mem_write_qwords: store consecutive 64-bit words, last one first.
 * The word with the valid bit of every structure here is the first, so that
 * a walker never meets a half-written entry.
 */
void iommu_mem_write_qwords(const IommuMem *mem, uint64_t gpa,
                            const uint64_t *value, unsigned n);

void iommu_mem_zero(const IommuMem *mem, uint64_t gpa, uint64_t len);

/**
 * iommu_mem_alloc: take zeroed memory for a table.
 * @align: a power of two
 *
 * Returns: its guest physical address.  Aborts when none is left.
 */
uint64_t iommu_mem_alloc(IommuMem *mem, uint64_t size, uint64_t align);

/**
 * iommu_mem_free: memory of a table may be used for another of its size.
 * Only once nobody can walk it any more: contents stay until then.
 */
void iommu_mem_free(IommuMem *mem, uint64_t gpa, uint64_t size);

#endif
