/*
 * Guest memory, as builders of IOMMU tables reach it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "iommu-mem.h"

void iommu_mem_write_qwords(const IommuMem *mem, uint64_t gpa,
                            const uint64_t *value, unsigned n)
{
    while (n--) {
        iommu_mem_write64(mem, gpa + n * 8, value[n]);
    }
}

void iommu_mem_zero(const IommuMem *mem, uint64_t gpa, uint64_t len)
{
    static const uint8_t zeroes[4096];

    while (len) {
        size_t n = MIN(len, sizeof(zeroes));

        mem->write(mem->opaque, gpa, zeroes, n);
        gpa += n;
        len -= n;
    }
}

static bool alloc_again(IommuMem *mem, uint64_t size, uint64_t align,
                        uint64_t *gpa)
{
    unsigned i;

    for (i = 0; i < mem->n_free; i++) {
        if (mem->free[i].size == size && !(mem->free[i].gpa & (align - 1))) {
            *gpa = mem->free[i].gpa;
            mem->free[i] = mem->free[--mem->n_free];
            return true;
        }
    }
    return false;
}

uint64_t iommu_mem_alloc(IommuMem *mem, uint64_t size, uint64_t align)
{
    uint64_t gpa;

    if (alloc_again(mem, size, align, &gpa)) {
        iommu_mem_zero(mem, gpa, size);
        return gpa;
    }
    gpa = ROUND_UP(mem->next, align);
    if (gpa > mem->end || mem->end - gpa < size) {
        fprintf(stderr, "iommu-mem: no room for a table of %" PRIu64
                " bytes\n", size);
        abort();
    }
    mem->next = gpa + size;
    iommu_mem_zero(mem, gpa, size);
    return gpa;
}

void iommu_mem_free(IommuMem *mem, uint64_t gpa, uint64_t size)
{
    if (mem->n_free < IOMMU_MEM_FREE) {
        mem->free[mem->n_free].gpa = gpa;
        mem->free[mem->n_free++].size = size;
    }
}
