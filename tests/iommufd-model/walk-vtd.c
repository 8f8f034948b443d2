/*
 * Model of /dev/iommu: VT-d first-stage translation of nested PASID entries
 *
 * Steps and bits follow the VT-d specification, chapters 3.6 (first-stage
 * translation), 6.2 (caching) and 9.9 (first-stage paging entries).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <linux/iommufd.h>

#include "hw-priv.h"

#define FS_P        (1ULL << 0)
#define FS_RW       (1ULL << 1)
#define FS_US       (1ULL << 2)
#define FS_A        (1ULL << 5)
#define FS_D        (1ULL << 6)
#define FS_PS       (1ULL << 7)
#define FS_EA       (1ULL << 10)
#define FS_XD       (1ULL << 63)
#define FS_ADDR     0x000ffffffffff000ULL

/* HwEntry.perm: rights of all levels together */
enum {
    FS_PERM_W   = 1 << 0,
    FS_PERM_U   = 1 << 1,
    FS_PERM_NX  = 1 << 2,
    FS_PERM_D   = 1 << 3,       /* leaf: dirty bit known to be set */
};

typedef struct VtdWalk {
    MdlHw *hw;
    MdlHwpt *hwpt, *s2;
    const HwReq *req;
    HwFault *fault;
    uint32_t did, pasid;        /* tags */
    uint64_t flags;             /* IOMMU_VTD_S1_* */
} VtdWalk;

static unsigned level_shift(unsigned level)
{
    return HW_PAGE_SHIFT + 9 * (level - 1);
}

static unsigned vtd_levels(const MdlHwpt *hwpt)
{
    return hwpt->s1.vtd.addr_width == 57 ? 5 : 4;
}

static bool vtd_canonical(const VtdWalk *w)
{
    unsigned width = HW_PAGE_SHIFT + 9 * vtd_levels(w->hwpt);
    uint64_t top = w->req->addr >> (width - 1);

    return top == 0 || top == hw_mask(64 - (width - 1));
}

/* Do these rights let the request through?  VT-d 3.6.1 */
static bool vtd_allowed(const VtdWalk *w, uint32_t perm, HwReason *why)
{
    const HwReq *req = w->req;

    if (!req->priv && !(perm & FS_PERM_U)) {
        *why = HW_REASON_PRIVILEGE;
        return false;
    }
    *why = HW_REASON_PERMISSION;
    if (req->write && !(perm & FS_PERM_W) &&
        (!req->priv || (w->flags & IOMMU_VTD_S1_WPE))) {
        return false;
    }
    return !req->exec || !(perm & FS_PERM_NX);
}

static uint32_t vtd_and(uint32_t perm, uint64_t entry)
{
    if (!(entry & FS_RW)) {
        perm &= ~FS_PERM_W;
    }
    if (!(entry & FS_US)) {
        perm &= ~FS_PERM_U;
    }
    if (entry & FS_XD) {
        perm |= FS_PERM_NX;
    }
    return perm;
}

static bool vtd_is_leaf(unsigned level, uint64_t entry)
{
    return level == 1 || (level <= 3 && (entry & FS_PS));
}

/* Reserved bits of a present entry; 62:52 are ignored by hardware */
static bool vtd_reserved_set(const VtdWalk *w, unsigned level, uint64_t entry)
{
    if (level >= 4) {
        return entry & FS_PS;
    }
    if (level == 1 || !(entry & FS_PS)) {
        return false;
    }
    if (level == 3 && !(w->hw->iommu->cap & VTD_CAP_FS1GP)) {
        return true;
    }
    /* Bit 12 is PAT, the address starts at level_shift() */
    return entry & FS_ADDR & hw_mask(level_shift(level)) & ~(1ULL << 12);
}

static void vtd_remember(VtdWalk *w, uint8_t kind, unsigned level,
                         uint64_t entry, uint32_t perm)
{
    unsigned shift = level_shift(level);
    const HwEntry e = {
        .kind = kind,
        .shift = shift,
        .level = level,
        .space = w->did,
        .ctx = w->pasid,
        .perm = perm,
        .addr = w->req->addr & ~hw_mask(shift),
        .out = entry & FS_ADDR & (kind == HW_LEAF ? ~hw_mask(shift) :
                                  UINT64_MAX),
        .dev = w->req->dev,
        .pasid = w->req->pasid,
        .wanted = w->req->addr,
    };

    cache_insert(&w->hw->tlb, &e);
}

static bool vtd_done(const VtdWalk *w, uint64_t page, unsigned shift,
                     uint32_t perm, HwXlate *xlate)
{
    const HwReq *req = w->req;

    *xlate = (HwXlate) {
        .out = page | (req->addr & hw_mask(shift)),
        .s2 = w->s2,
        .shift = shift,
        .perm = HW_PERM_R | (perm & FS_PERM_NX ? 0 : HW_PERM_X),
    };
    /*
     * A translation request that does not ask for write access gets none:
     * granting it would have to set the dirty bit.
     */
    if (req->write) {
        xlate->perm |= HW_PERM_W;
    }
    return true;
}

typedef enum { STEP_LEAF, STEP_TABLE, STEP_FAULT } VtdStep;

/* One paging entry: read, check, mark accessed */
static VtdStep vtd_step(VtdWalk *w, unsigned level, uint64_t gpa,
                        uint64_t *entry, uint32_t *perm)
{
    uint64_t set = FS_A | (w->flags & IOMMU_VTD_S1_EAFE ? FS_EA : 0);
    uint32_t before = *perm;
    int ret = hw_s2_read64(w->s2, gpa, entry);
    HwReason why;
    bool leaf;

    while (!ret) {
        uint64_t want = set;

        if (!(*entry & FS_P)) {
            hw_fault(w->fault, w->req, 1, HW_REASON_NOT_PRESENT, true);
            return STEP_FAULT;
        }
        if (vtd_reserved_set(w, level, *entry)) {
            hw_fault(w->fault, w->req, 1, HW_REASON_RESERVED_BITS, false);
            return STEP_FAULT;
        }
        leaf = vtd_is_leaf(level, *entry);
        *perm = vtd_and(before, *entry);
        if (leaf) {
            if (!vtd_allowed(w, *perm, &why)) {
                hw_fault(w->fault, w->req, 1, why, true);
                return STEP_FAULT;
            }
            want |= w->req->write ? FS_D : 0;
        }
        if ((*entry & want) != want) {
            ret = hw_s2_set_bits(w->s2, gpa, entry, want);
            if (ret == -EAGAIN) {
                ret = 0;
                continue;
            }
        }
        if (!ret) {
            return leaf ? STEP_LEAF : STEP_TABLE;
        }
    }
    hw_s2_fault(w->fault, w->req, ret);
    return STEP_FAULT;
}

/* Walk from @level down; @table holds entries of that level */
static bool vtd_walk_from(VtdWalk *w, unsigned level, uint64_t table,
                          uint32_t perm, HwXlate *xlate)
{
    for (;; level--) {
        unsigned shift = level_shift(level);
        uint64_t index = (w->req->addr >> shift) & 0x1ff;
        uint64_t entry;

        switch (vtd_step(w, level, table + index * 8, &entry, &perm)) {
        case STEP_FAULT:
            return false;
        case STEP_TABLE:
            vtd_remember(w, HW_TABLE, level, entry, perm);
            table = entry & FS_ADDR;
            break;
        case STEP_LEAF:
            perm |= entry & FS_D ? FS_PERM_D : 0;
            vtd_remember(w, HW_LEAF, level, entry, perm);
            return vtd_done(w, entry & FS_ADDR & ~hw_mask(shift), shift,
                            perm, xlate);
        }
    }
}

static bool vtd_walk_root(VtdWalk *w, HwXlate *xlate)
{
    return vtd_walk_from(w, vtd_levels(w->hwpt),
                         w->hwpt->s1.vtd.pgtbl_addr & FS_ADDR,
                         FS_PERM_W | FS_PERM_U, xlate);
}

static bool vtd_is_rights_fault(const HwFault *fault)
{
    return fault->stage == 1 && (fault->reason == HW_REASON_PERMISSION ||
                                 fault->reason == HW_REASON_PRIVILEGE);
}

static bool vtd_walk(VtdWalk *w, HwXlate *xlate)
{
    unsigned level;

    for (level = 2; level <= vtd_levels(w->hwpt); level++) {
        const HwEntry *e = cache_find(&w->hw->tlb, HW_TABLE, w->did,
                                      w->pasid, level_shift(level),
                                      w->req->addr);

        if (e) {
            if (vtd_walk_from(w, level - 1, e->out, e->perm, xlate)) {
                return true;
            }
            if (!vtd_is_rights_fault(w->fault)) {
                return false;
            }
            break;
        }
    }
    /*
     * Rights may be given without invalidation (VT-d 6.5.1.2 asks for it only
     * when they are taken away), so before they are found missing with the
     * help of a cache, the tables themselves are asked.
     */
    return vtd_walk_root(w, xlate);
}

/* Checks before any table is looked at: the PASID entry's, the address's */
static bool vtd_request_ok(const VtdWalk *w)
{
    const HwReq *req = w->req;
    uint64_t ecap = w->hw->iommu->ecap;

    if ((req->priv && !(w->flags & IOMMU_VTD_S1_SRE)) ||
        (req->exec && !(ecap & VTD_ECAP_ERS))) {
        return hw_fault(w->fault, req, 1, HW_REASON_PRIVILEGE, false);
    }
    if (!vtd_canonical(w)) {
        return hw_fault(w->fault, req, 1, HW_REASON_NON_CANONICAL, false);
    }
    return true;
}

bool vtd_translate(MdlHw *hw, MdlHwpt *hwpt, const HwReq *req,
                   HwXlate *xlate, HwFault *fault)
{
    VtdWalk w = {
        .hw = hw,
        .hwpt = hwpt,
        .s2 = hwpt->parent,
        .req = req,
        .fault = fault,
        .did = hwpt->domain_id,
        .pasid = req->pasid == MDL_NO_PASID ? 0 : req->pasid,
        .flags = hwpt->s1.vtd.flags,
    };
    const HwEntry *e;
    HwReason why;

    if (!vtd_request_ok(&w)) {
        return false;
    }
    e = cache_leaf(&hw->tlb, w.did, w.pasid, req->addr);
    if (!e) {
        return vtd_walk(&w, xlate);
    }
    if (!vtd_allowed(&w, e->perm, &why)) {
        return vtd_walk_root(&w, xlate);
    }
    if (req->write && !(e->perm & FS_PERM_D)) {
        return vtd_walk(&w, xlate);
    }
    return vtd_done(&w, e->out, e->shift, e->perm, xlate);
}
