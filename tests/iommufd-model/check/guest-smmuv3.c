/*
 * The guest of the tiny VMM: SMMUv3 driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "guest.h"

static SmmuCdTable *cds_of(Guest *g, const TvDevice *dev)
{
    return &g->cds[dev - g->vm->device];
}

static uint32_t ssid_of(uint32_t pasid)
{
    return pasid == TV_NO_PASID ? 0 : pasid;
}

static void push(Guest *g, SmmuCmd cmd)
{
    smmu_queue_push(&g->vm->cmdq, cmd);
}

static void smmu_device(Guest *g, TvDevice *dev, unsigned variant)
{
    SmmuCdTable *cds = cds_of(g, dev);

    if (!cds->base) {
        /* 2^7 substreams make two leaf tables with the 4 KiB format */
        smmu_cdtab_init(cds, &g->vm->mem, variant % 3, 7);
    }
    smmu_ste_set(&g->vm->smmu, dev->rid, &(SmmuSte) {
        .cfg = SMMU_STE_S1,
        .cds = cds,
        .s1dss = SMMU_S1DSS_SSID0,
        .ats = true,
    });
    push(g, smmu_cfgi_ste(dev->rid, true));
}

static void smmu_space(Guest *g, GuestSpace *space, unsigned variant)
{
    static const unsigned granule[] = { 12, 12, 16, 14 };

    smmu_s1_init(&space->s1, &g->vm->mem, granule[variant % 4],
                 variant & 4 ? 39 : 48);
}

static uint64_t flags_of(unsigned rights)
{
    return SMMU_PTE_ISH | SMMU_PTE_AF | SMMU_PTE_NG |
           (rights & GUEST_USER ? SMMU_PTE_EL0 : 0) |
           (rights & GUEST_WRITE ? 0 : SMMU_PTE_RO);
}

static void smmu_map(Guest *g, GuestSpace *space, uint64_t iova,
                     uint64_t gpa, uint64_t len, unsigned shift,
                     unsigned rights)
{
    smmu_s1_map(&space->s1, iova, gpa, len, shift, flags_of(rights));
}

static void smmu_unmap(Guest *g, GuestSpace *space, uint64_t iova,
                       uint64_t len)
{
    smmu_s1_unmap(&space->s1, iova, len);
}

static void smmu_protect(Guest *g, GuestSpace *space, uint64_t iova,
                         unsigned rights)
{
    smmu_s1_set_flags(&space->s1, iova, flags_of(rights));
}

static uint64_t smmu_entry(Guest *g, GuestSpace *space, uint64_t iova,
                           unsigned up, unsigned *shift)
{
    unsigned level;
    uint64_t slot = smmu_s1_entry(&space->s1, iova, 3 - up, &level);

    *shift = smmu_s1_shift(&space->s1, level);
    return slot;
}

static void smmu_bind(Guest *g, TvDevice *dev, uint32_t pasid,
                      GuestSpace *space)
{
    SmmuCdTable *cds = cds_of(g, dev);

    if (space) {
        smmu_cd_set(cds, ssid_of(pasid), &space->s1, space->tag);
    } else {
        smmu_cd_clear(cds, ssid_of(pasid));
    }
}

static void smmu_config(Guest *g, TvDevice *dev, uint32_t pasid)
{
    push(g, smmu_cfgi_cd(dev->rid, ssid_of(pasid), false));
}

static void smmu_inval(Guest *g, GuestSpace *space, uint64_t iova,
                       unsigned shift, bool leaf)
{
    unsigned granule = space->s1.granule, i;

    if (shift == granule) {
        push(g, smmu_tlbi_range(space->tag, iova, leaf, granule, 0, 0, 3));
    } else {
        push(g, smmu_tlbi_range(space->tag, iova, leaf, granule, 1,
                                shift - granule - 1, 0));
    }
    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &g->binding[i];

        if (b->space == space) {
            push(g, smmu_atc_inv(b->dev->rid, b->pasid == TV_NO_PASID ?
                                 SMMU_NO_SSID : b->pasid, iova, shift - 12));
        }
    }
}

static void smmu_inval_all(Guest *g, GuestSpace *space)
{
    push(g, smmu_tlbi_asid(space->tag));
}

static void smmu_inval_device(Guest *g, TvDevice *dev, uint32_t pasid)
{
    push(g, smmu_atc_inv(dev->rid, pasid == TV_NO_PASID ? SMMU_NO_SSID :
                         pasid, 0, 52));
}

/* The CDs of one leaf table, to which a level-1 descriptor points */
static uint64_t smmu_move_config(Guest *g, TvDevice *dev, uint32_t pasid,
                                 uint64_t *size)
{
    SmmuCdTable *cds = cds_of(g, dev);
    IommuMem *mem = &g->vm->mem;
    unsigned split = cds->fmt == SMMU_S1FMT_4K_L2 ? 6 : 10;
    uint32_t first = ssid_of(pasid) >> split << split;
    uint64_t slot, old, new, off;

    if (cds->fmt == SMMU_S1FMT_LINEAR) {
        return 0;
    }
    *size = 64ULL << split;
    old = smmu_cd_entry(cds, first);
    new = iommu_mem_alloc(mem, *size, *size);
    for (off = 0; off < *size; off += 8) {
        iommu_mem_write64(mem, new + off, iommu_mem_read64(mem, old + off));
    }
    slot = cds->base + (first >> split) * 8;
    iommu_mem_write64(mem, slot, new | 1);
    push(g, smmu_cfgi_cd(dev->rid, first, false));
    return old;
}

static bool smmu_guest_sync(Guest *g)
{
    push(g, smmu_sync());
    tv_kick(g->vm);
    return g->vm->head == g->vm->cmdq.index;
}

const GuestOps guest_smmuv3_ops = {
    .device = smmu_device,
    .space = smmu_space,
    .map = smmu_map,
    .unmap = smmu_unmap,
    .protect = smmu_protect,
    .entry = smmu_entry,
    .bind = smmu_bind,
    .config = smmu_config,
    .inval = smmu_inval,
    .inval_all = smmu_inval_all,
    .inval_device = smmu_inval_device,
    .move_config = smmu_move_config,
    .sync = smmu_guest_sync,
};
