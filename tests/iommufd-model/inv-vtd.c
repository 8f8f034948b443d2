/*
 * Model of /dev/iommu: VT-d invalidation of stage 1
 *
 * What one entry of IOMMU_HWPT_INVALIDATE makes Linux submit
 * (intel_nested_cache_invalidate_user(), cache_tag_flush_range()) and what
 * the descriptors then remove (VT-d 6.5.2.4, 6.5.2.6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>

#include "hw-priv.h"

/* Block handed to the hardware; @order >= this means everything */
#define ORDER_ALL 52

typedef struct VtdRange {
    uint64_t addr;
    unsigned order;             /* log2 of the number of 4 KiB pages */
    bool leaf_only;
} VtdRange;

/* The smallest naturally aligned block that spans both ends */
static void vtd_align(VtdRange *r, uint64_t start, uint64_t last)
{
    uint64_t differ = start ^ last;
    unsigned bits = differ ? 64 - __builtin_clzll(differ) : 0;

    if (bits <= HW_PAGE_SHIFT) {
        r->addr = start;
        r->order = 0;
    } else if (bits >= 64) {
        r->addr = 0;
        r->order = ORDER_ALL;
    } else {
        r->addr = start & ~hw_mask(bits);
        r->order = bits - HW_PAGE_SHIFT;
    }
}

static uint64_t vtd_last(const VtdRange *r)
{
    return r->addr + hw_mask(HW_PAGE_SHIFT + r->order);
}

/* PASID-based IOTLB invalidation, of pages or of the whole PASID */
static size_t vtd_piotlb(MdlHw *hw, uint32_t did, uint32_t pasid,
                         const VtdRange *r)
{
    HwDrop drop = {
        .kinds = HW_LEAF | HW_TABLE,
        .space = did,
        .ctx = pasid,
    };

    if (r->order < ORDER_ALL) {
        /*
         * A page that is only partly in the range may stay: software has to
         * name large pages with the address mask of their size.
         */
        drop.ranged = true;
        drop.whole_leaf = true;
        drop.first = r->addr;
        drop.last = vtd_last(r);
        drop.kinds = r->leaf_only ? HW_LEAF : HW_LEAF | HW_TABLE;
    }
    return cache_drop(&hw->tlb, &drop);
}

/* One descriptor each, IOTLB first: cache_tag_flush_range() */
static size_t vtd_flush_one(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt,
                            const VtdRange *r)
{
    uint32_t tag = pasid == MDL_NO_PASID ? 0 : pasid;
    bool all = r->order >= ORDER_ALL;
    size_t n;

    hw_refetch_begin();
    n = vtd_piotlb(dev->iommu->hw, hwpt->domain_id, tag, r);
    hw_refetch_end();
    if (hw_ats_enabled(dev)) {
        hw_refetch_begin();
        n += hw_atc_drop(dev, pasid, all ? 0 : r->addr,
                         all ? UINT64_MAX : vtd_last(r));
        hw_refetch_end();
    }
    return n;
}

int hw_invalidate_vtd(MdlHwpt *hwpt, const void *entry)
{
    struct iommu_hwpt_vtd_s1_invalidate inv;
    size_t dropped = 0;
    VtdRange r;
    unsigned i;

    memcpy(&inv, entry, sizeof(inv));
    if ((inv.flags & ~IOMMU_VTD_INV_FLAGS_LEAF) || inv.__reserved) {
        return -EOPNOTSUPP;
    }
    if ((inv.addr & hw_mask(HW_PAGE_SHIFT)) ||
        (inv.npages == UINT64_MAX && inv.addr)) {
        return -EINVAL;
    }
    r.leaf_only = inv.flags & IOMMU_VTD_INV_FLAGS_LEAF;
    vtd_align(&r, inv.addr,
              inv.addr + (inv.npages << HW_PAGE_SHIFT) - 1);

    for (i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];
        MdlPasidAttach *p;

        if (dev->hwpt == hwpt) {
            dropped += vtd_flush_one(dev, MDL_NO_PASID, hwpt, &r);
        }
        for (p = dev->pasids; p; p = p->next) {
            if (p->hwpt == hwpt) {
                dropped += vtd_flush_one(dev, p->pasid, hwpt, &r);
            }
        }
    }
    mdl_journal("inv-effect", "\"hwpt\":%u,\"addr\":%llu,\"order\":%u,"
                "\"leaf\":%s,\"dropped\":%zu", hwpt->obj.id,
                (unsigned long long)r.addr, r.order,
                r.leaf_only ? "true" : "false", dropped);
    return 0;
}

/* Domain-selective IOTLB invalidation */
void vtd_drop_domain(MdlIommu *iommu, uint32_t did)
{
    const HwDrop drop = {
        .kinds = HW_LEAF | HW_TABLE,
        .space = did,
        .any_ctx = true,
    };

    cache_drop(&iommu->hw->tlb, &drop);
}
