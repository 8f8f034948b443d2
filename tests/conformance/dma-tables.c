/*
 * Conformance of /dev/iommu: DMA of the model's endpoint, and tables for it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <stdio.h>
#include "dma.h"

static const char *dma(const CtBound *b, const char *op, uint64_t addr,
                       uint32_t pasid, uint32_t data)
{
    char word[32] = "";

    if (pasid != NO_PASID) {
        snprintf(word, sizeof(word), ",\"pasid\":%u", pasid);
    }
    data = htobe32(data);
    return ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"%s\","
                    "\"addr\":%llu,\"len\":4,\"data\":\"%08x\"%s}",
                    b->dev->bdf, op, (unsigned long long)addr,
                    be32toh(data), word);
}

int64_t dma_read_as(const CtBound *b, uint64_t addr, uint32_t pasid)
{
    const char *reply = dma(b, "read", addr, pasid, 0);
    const char *data = strstr(reply, "\"data\":");
    unsigned val;

    if (ct_json_has(reply, "fault") || !data) {
        return -1;
    }
    if (sscanf(data, "\"data\": \"%x", &val) != 1) {
        return -1;
    }
    return val;
}

int64_t dma_read(const CtBound *b, uint64_t addr)
{
    return dma_read_as(b, addr, NO_PASID);
}

bool dma_write(const CtBound *b, uint64_t addr, uint32_t data)
{
    const char *reply = dma(b, "write", addr, NO_PASID, data);

    return ct_json_true(reply, "ok") && !ct_json_has(reply, "fault");
}

void put_be(void *p, uint32_t val)
{
    val = htobe32(val);
    memcpy(p, &val, sizeof(val));
}

uint32_t get_be(const void *p)
{
    uint32_t val;

    memcpy(&val, p, sizeof(val));
    return be32toh(val);
}

void fs_entry(FirstStage *f, uint64_t table, unsigned index, uint64_t val)
{
    val = htole64(val);
    memcpy(f->ram + table + index * 8, &val, sizeof(val));
}

void fs_map(FirstStage *f, unsigned n, uint64_t gpa)
{
    fs_entry(f, 0x3000, (FS_IOVA >> 12) + n, gpa ? gpa | FS_PRESENT : 0);
}

bool fs_open(FirstStage *f, uint64_t needs)
{
    if (!ct_bound_parent(&f->b, CT_NEST | needs, &f->ioas, &f->parent)) {
        return false;
    }
    f->ram = ct_mem(2 << 20);
    for (unsigned level = 0; level < 3; level++) {
        fs_entry(f, level * 0x1000, 0, (level + 1) * 0x1000 | FS_PRESENT);
    }
    for (unsigned n = 0; n < 8; n++) {
        put_be(f->ram + FS_GPA(n), 0x1000 + n);
    }
    return RET(0, ct_map(f->b.iommufd, f->ioas, f->ram, 2 << 20, 0, CT_RW)) &&
           RET(0, ct_vtd_s1(f->b.iommufd, f->b.id, f->parent, 0, 0, 0,
                            &f->nested)) &&
           RET(0, ct_attach(&f->b, f->nested));
}

bool fs_open_pasid(FirstStage *f, uint64_t needs, uint32_t *hwpt)
{
    if (!fs_open(f, CT_PASID | needs) ||
        !RET(0, ct_vtd_s1(f->b.iommufd, f->b.id, f->parent,
                          IOMMU_HWPT_ALLOC_PASID, 0, 0, hwpt)) ||
        !RET(0, ct_attach(&f->b, *hwpt))) {
        return false;
    }
    fs_map(f, 0, FS_GPA(0));
    return RET(0, ct_attach_pasid(&f->b, *hwpt, 1));
}

int fs_invalidate(FirstStage *f, const void *e, uint32_t *nr)
{
    return ct_invalidate(f->b.iommufd, f->nested,
                         IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, e,
                         sizeof(struct iommu_hwpt_vtd_s1_invalidate), nr);
}

void s1_word(Stage1 *s, uint64_t at, uint64_t val)
{
    val = htole64(val);
    memcpy(s->ram + at, &val, sizeof(val));
}

void s1_map(Stage1 *s, unsigned n, uint64_t gpa)
{
    s1_word(s, 0x4000 + ((FS_IOVA >> 12) + n) * 8, gpa | PTE_PAGE);
}

bool s1_open(Stage1 *s, uint64_t needs)
{
    if (!smmu_vm_vdevice(&s->vm, CT_NEST | needs)) {
        return false;
    }
    s->ram = ct_mem(2 << 20);
    /* T0SZ 16, TG0 4K, IR/OR WB, SH inner, EPD1, V, IPS 44, AFFD, R, A, AA64 */
    s1_word(s, 0, 16ull | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 30 |
            1ull << 31 | 4ull << 32 | 1ull << 35 | 1ull << 41 | 1ull << 45 |
            1ull << 46 | CD_ASID << 48);
    s1_word(s, 8, 0x1000);
    s1_word(s, 24, 0xff);
    for (unsigned level = 1; level < 4; level++) {
        s1_word(s, level * 0x1000, (level + 1) * 0x1000 | PTE_TABLE);
    }
    for (unsigned n = 0; n < 8; n++) {
        put_be(s->ram + FS_GPA(n), 0x1000 + n);
    }
    return RET(0, ct_map(s->vm.b.iommufd, s->vm.ioas, s->ram, 2 << 20, 0,
                         CT_RW)) &&
           RET(0, ct_ste(s->vm.b.iommufd, s->vm.b.id, s->vm.viommu, STE0_S1,
                         0, &s->s1)) &&
           RET(0, ct_attach(&s->vm.b, s->s1));
}

int s1_invalidate(Stage1 *s, const uint64_t (*cmd)[2], uint32_t *nr)
{
    struct iommu_viommu_arm_smmuv3_invalidate raw[8];

    for (uint32_t i = 0; i < *nr; i++) {
        raw[i].cmd[0] = htole64(cmd[i][0]);
        raw[i].cmd[1] = htole64(cmd[i][1]);
    }
    return ct_invalidate(s->vm.b.iommufd, s->vm.viommu,
                         IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, raw,
                         sizeof(raw[0]), nr);
}
