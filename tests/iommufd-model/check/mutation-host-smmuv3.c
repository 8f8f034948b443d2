/*
 * Mistakes about the host: those of SMMUv3
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "mutation-host.h"

/* In the second leaf table, which is not there before */
#define FAR_PASID   70
#define DOORBELL    0x8000000ULL
#define CD0_S       (1ULL << 44)
#define NEW_RID     0x0700

static SmmuCdTable *cds(HmCase *c)
{
    return &c->guest.cds[0];
}

static void push(HmCase *c, SmmuCmd cmd)
{
    smmu_queue_push(&c->vm->cmdq, cmd);
}

/* Other tables, the same ASID: all three caches know the old ones */
static bool new_tables(HmCase *c, const unsigned *order)
{
    const SmmuCmd cmd[] = {
        smmu_cfgi_cd(c->dev->rid, HM_PASID, true),
        smmu_tlbi_asid(c->one.tag),
        smmu_atc_inv(c->dev->rid, HM_PASID, 0, 52),
    };
    bool plain, ats;
    unsigned i;

    hm_bind(c, HM_PASID, &c->one);
    hm_page(c, c->dev, HM_PASID, HM_IOVA, false);
    hm_page(c, c->dev, HM_PASID, HM_IOVA, true);
    smmu_cd_set(cds(c), HM_PASID, &c->two.s1, c->one.tag);
    for (i = 0; i < ARRAY_SIZE(cmd); i++) {
        push(c, cmd[c->bug ? order[i] : i]);
    }
    g_assert(guest_sync(&c->guest));
    plain = hm_page(c, c->dev, HM_PASID, HM_IOVA, false) == 3;
    ats = hm_page(c, c->dev, HM_PASID, HM_IOVA, true) == 3;
    return !plain || !ats;
}

static bool tlb_before_cd(HmCase *c)
{
    return new_tables(c, (unsigned[]) { 1, 0, 2 });
}

static bool atc_before_tlb(HmCase *c)
{
    return new_tables(c, (unsigned[]) { 0, 2, 1 });
}

static bool atc_before_cd(HmCase *c)
{
    return new_tables(c, (unsigned[]) { 2, 0, 1 });
}

/* What is not there is cached as well */
static bool cd_was_invalid(HmCase *c)
{
    hm_bind(c, HM_PASID, &c->one);
    hm_page(c, c->dev, HM_PASID2, HM_IOVA, false);
    smmu_cd_set(cds(c), HM_PASID2, &c->two.s1, c->two.tag);
    if (!c->bug) {
        push(c, smmu_cfgi_cd(c->dev->rid, HM_PASID2, true));
    }
    push(c, smmu_tlbi_asid(c->two.tag));
    g_assert(guest_sync(&c->guest));
    return hm_page(c, c->dev, HM_PASID2, HM_IOVA, false) != 3;
}

static bool l1cd_was_invalid(HmCase *c)
{
    hm_bind(c, HM_PASID, &c->one);
    hm_page(c, c->dev, FAR_PASID, HM_IOVA, false);
    smmu_cd_set(cds(c), FAR_PASID, &c->two.s1, c->two.tag);
    push(c, smmu_cfgi_cd(c->dev->rid, FAR_PASID, c->bug));
    g_assert(guest_sync(&c->guest));
    return hm_page(c, c->dev, FAR_PASID, HM_IOVA, false) != 3;
}

/* The doorbell is in the parent, and the message goes through stage 1 */
static bool doorbell(HmCase *c)
{
    int ret;

    if (!c->bug) {
        guest_map(&c->guest, &c->one, DOORBELL, DOORBELL, 4096, 12,
                  GUEST_WRITE | GUEST_USER);
    }
    hm_bind(c, TV_NO_PASID, &c->one);
    hm_bus_master_on(c->dev);
    return !hm_msi(c, &ret);
}

/* A vector needs a table that the doorbell can be mapped into */
static bool vector_while_blocked(HmCase *c)
{
    int ret;

    if (c->bug) {
        g_assert(!tv_detach(c->vm, c->dev, TV_NO_PASID));
    }
    hm_bus_master_on(c->dev);
    hm_msi(c, &ret);
    return ret;
}

static void renumber(HmCase *c)
{
    tv_renumber(c->vm, c->dev, NEW_RID);
    guest_device(&c->guest, c->dev, 1);
    hm_bind(c, HM_PASID, &c->one);
}

/* All goes on until the device is reset */
static bool reset_without_vdevice(HmCase *c)
{
    hm_bind(c, HM_PASID, &c->one);
    if (c->bug) {
        tv_destroy(c->vm, &c->dev->vdevice);
        g_assert(hm_page(c, c->dev, HM_PASID, HM_IOVA, false) == 1);
    } else {
        renumber(c);
    }
    hm_reset(c);
    return hm_page(c, c->dev, HM_PASID, HM_IOVA, false) != 1;
}

/* Events have the label of the last attach, not of the last vDEVICE */
static bool label_without_attach(HmCase *c)
{
    struct iommu_vdevice_alloc cmd = {
        .size = sizeof(cmd),
        .viommu_id = c->vm->iommu[0].viommu,
        .dev_id = c->dev->dev_id,
        .virt_id = NEW_RID,
    };

    hm_bind(c, HM_PASID, &c->one);
    if (c->bug) {
        tv_destroy(c->vm, &c->dev->vdevice);
        g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_VDEVICE_ALLOC, &cmd,
                           "VDEVICE_ALLOC"));
        c->dev->vdevice = cmd.out_vdevice_id;
    } else {
        renumber(c);
    }
    hm_page(c, c->dev, HM_PASID, 2 * HM_IOVA, false);
    return tv_event_rid(c->vm) != NEW_RID;
}

/* No event, and the transaction hangs: the guest never hears of its mistake */
static bool stalling_cd(HmCase *c)
{
    uint64_t cd = smmu_cd_entry(cds(c), HM_PASID);

    smmu_ste_set(&c->vm->smmu, c->dev->rid, &(SmmuSte) {
        .cfg = SMMU_STE_S1,
        .cds = cds(c),
        .s1dss = SMMU_S1DSS_SSID0,
        .ats = true,
        .stalld = !c->bug,
    });
    smmu_cd_set(cds(c), HM_PASID, &c->one.s1, c->one.tag);
    iommu_mem_write64(&c->vm->mem, cd,
                      iommu_mem_read64(&c->vm->mem, cd) | CD0_S);
    g_assert(guest_sync(&c->guest));
    hm_page(c, c->dev, HM_PASID, 2 * HM_IOVA, false);
    return tv_event_rid(c->vm) != c->dev->rid;
}

const HmMistake hm_smmuv3_mistakes[] = {
    { "TLBI before CFGI_CD", HM_PLAIN, 0, tlb_before_cd },
    { "ATC_INV before TLBI", HM_PLAIN, 0, atc_before_tlb },
    { "ATC_INV before CFGI_CD", HM_PLAIN, 0, atc_before_cd },
    { "no CFGI_CD for a CD that was invalid", HM_PLAIN, 0, cd_was_invalid },
    { "leaf CFGI_CD for a new leaf table", HM_PLAIN, 0, l1cd_was_invalid },
    { "MSI doorbell not in stage 1", HM_PLAIN, 0, doorbell },
    { "vectors while the device is blocked", HM_PLAIN, 0,
      vector_while_blocked },
    { "reset with the vDEVICE gone", HM_PLAIN, 0, reset_without_vdevice },
    { "new vDEVICE, stage 1 not attached anew", HM_PLAIN, 0,
      label_without_attach },
    { "stalling CD without S1STALLD", HM_PLAIN, 0, stalling_cd },
    { }
};
