/*
 * Model of /dev/iommu: SMMUv3 stage 1 of nested streams
 *
 * Steps and bits follow the Arm SMMUv3 specification (IHI 0070): 3.9 and 5.2
 * (STE), 5.3 and 5.4 (CD tables and CDs), 3.4 (address sizes), and the
 * VMSAv8-64 tables of the Arm ARM.  No HTTU, no LPA2: IDR0.HTTU and the DS
 * bit of a CD have no effect.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <string.h>

#include "hw-priv.h"

#define STE_CFG_BYPASS      4
#define STE_CFG_S1          5
#define STE_S1DSS_BYPASS    1
#define STE_S1DSS_SSID0     2

#define PTE_ADDR            0x0000fffffffff000ULL
#define PTE_AP_EL0          (1ULL << 6)
#define PTE_AP_RO           (1ULL << 7)
#define PTE_AF              (1ULL << 10)
#define PTE_NG              (1ULL << 11)
#define PTE_PXN             (1ULL << 53)
#define PTE_UXN             (1ULL << 54)
#define PTE_TABLE_PXN       (1ULL << 59)
#define PTE_TABLE_UXN       (1ULL << 60)
#define PTE_TABLE_NO_EL0    (1ULL << 61)
#define PTE_TABLE_RO        (1ULL << 62)

/* HwEntry.perm: of a leaf what is forbidden, of a table what it takes away */
enum {
    SM_NO_EL0   = 1 << 0,
    SM_RO       = 1 << 1,
    SM_UXN      = 1 << 2,
    SM_PXN      = 1 << 3,
};

/* What a valid CD says, for the half of the address space in use */
typedef struct SmmuCd {
    uint32_t asid;
    unsigned granule;           /* log2 */
    unsigned va_bits;
    unsigned oa_bits;           /* effective IPS */
    uint64_t ttb;
    bool disabled;              /* EPDn */
    bool tbi, af_disable, no_hier, wxn, record, stall, big_endian;
} SmmuCd;

typedef struct SmmuWalk {
    MdlHw *hw;
    MdlHwpt *hwpt, *s2;
    const HwReq *req;
    HwFault *fault;
    uint32_t sid, ssid, vmid;
    SmmuCd cd;
} SmmuWalk;

static bool smmu_fail(SmmuWalk *w, unsigned event, unsigned class,
                      int stage, HwReason reason)
{
    bool walk_fault = event >= SMMU_EVT_TRANSLATION;

    /*
     * The event of a stall is a page request for arm_smmu_handle_event(), which
     * a nested domain has no handler for, and arm_smmu_page_response() does
     * not resume a PCI device: nobody hears of it.
     */
    if (walk_fault && w->cd.stall && !w->req->ats) {
        return hw_fault(w->fault, w->req, stage, HW_REASON_STALLED, false);
    }
    /*
     * A translation request that finds no mapping or no right is answered so
     * and leaves no record (3.9.1); wrong configuration always does.
     */
    if (!w->req->prefetch &&
        (!walk_fault || (w->cd.record && !w->req->ats))) {
        smmu_event(w->req, event, class);
    }
    return hw_fault(w->fault, w->req, stage, reason, walk_fault);
}

static bool smmu_s2_fail(SmmuWalk *w, int err)
{
    /* Recorded with S2 set, which the host keeps to itself */
    return hw_s2_fault(w->fault, w->req, err);
}

static HwEntry *smmu_insert(const SmmuWalk *w, HwCache *cache, HwEntry *e)
{
    e->dev = w->req->dev;
    e->pasid = w->req->pasid;
    e->wanted = w->req->addr;
    return cache_insert(cache, e);
}

/* --------------------------------------------------------- configuration */

static unsigned smmu_oas(const MdlIommu *iommu)
{
    static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52 };
    unsigned oas = iommu->idr[5] & 7;

    return oas < sizeof(bits) ? bits[oas] : 52;
}

static unsigned smmu_ips(const MdlIommu *iommu, unsigned ips)
{
    static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
    unsigned oas = smmu_oas(iommu);

    return bits[ips] < oas ? bits[ips] : oas;
}

static unsigned smmu_granule(const MdlIommu *iommu, unsigned tg, bool upper)
{
    /* TG0 and TG1 number the same three sizes differently */
    static const uint8_t tg0[] = { 12, 16, 14, 0 };
    static const uint8_t tg1[] = { 0, 14, 12, 16 };
    unsigned log2 = upper ? tg1[tg] : tg0[tg];
    uint32_t need = log2 == 12 ? SMMU_IDR5_GRAN4K :
                    log2 == 14 ? SMMU_IDR5_GRAN16K : SMMU_IDR5_GRAN64K;

    return log2 && (iommu->idr[5] & need) ? log2 : 0;
}

/* One half of a CD; false: ILLEGAL */
static bool smmu_cd_half(const MdlIommu *iommu, const uint64_t *raw,
                         bool upper, SmmuCd *cd)
{
    unsigned tsz = upper ? hw_bits(raw[0], 21, 16) : hw_bits(raw[0], 5, 0);
    unsigned tg = upper ? hw_bits(raw[0], 23, 22) : hw_bits(raw[0], 7, 6);
    const uint64_t ttb = raw[upper ? 2 : 1];
    bool vax = hw_bits(iommu->idr[5], 11, 10) == 1;
    unsigned min_tsz;

    cd->disabled = raw[0] & (1ULL << (upper ? 30 : 14));
    if (cd->disabled) {
        return true;
    }
    cd->granule = smmu_granule(iommu, tg, upper);
    if (!cd->granule) {
        return false;
    }
    min_tsz = vax && cd->granule == 16 ? 12 : 16;
    if (tsz < min_tsz || tsz > 39) {
        return false;
    }
    cd->va_bits = 64 - tsz;
    cd->ttb = ttb & 0x000ffffffffffff0ULL;
    cd->tbi = raw[0] & (1ULL << (upper ? 39 : 38));
    cd->no_hier = (ttb & 2) && (iommu->idr[3] & SMMU_IDR3_HAD);
    return !(cd->ttb & ~hw_mask(cd->oa_bits));
}

/* 5.4.1: everything that makes a CD ILLEGAL; else decode one half of it */
static bool smmu_cd_decode(const MdlIommu *iommu, const uint64_t *raw,
                           const uint64_t *ste, bool upper, SmmuCd *cd)
{
    unsigned stall_model = hw_bits(iommu->idr[0], 25, 24);
    unsigned ttendian = hw_bits(iommu->idr[0], 22, 21);
    bool endi = raw[0] & (1ULL << 15), stall = raw[0] & (1ULL << 44);
    SmmuCd other;

    if (!(raw[0] & (1ULL << 31)) || !(raw[0] & (1ULL << 41))) {
        return false;                           /* V, AA64 */
    }
    if (endi && ttendian != 3 && ttendian != 0) {
        return false;
    }
    if (!endi && ttendian == 3) {
        return false;
    }
    if (raw[0] & (3ULL << 42) & ~((uint64_t)hw_bits(iommu->idr[0], 7, 6) ?
                                  3ULL << 42 : 0)) {
        return false;                           /* HA, HD without HTTU */
    }
    if (stall && (stall_model == 1 || (ste[1] & (1ULL << 27)))) {
        return false;
    }
    if (!stall && stall_model == 2) {
        return false;
    }
    if (!(raw[0] & (1ULL << 46)) &&
        (iommu->idr[0] & SMMU_IDR0_TERM_MODEL)) {
        return false;                           /* A */
    }
    memset(cd, 0, sizeof(*cd));
    cd->oa_bits = smmu_ips(iommu, hw_bits(raw[0], 34, 32));
    other = *cd;
    if (!smmu_cd_half(iommu, raw, !upper, &other) ||
        !smmu_cd_half(iommu, raw, upper, cd)) {
        return false;
    }
    cd->asid = hw_bits(raw[0], 63, 48);
    if (!(iommu->idr[0] & SMMU_IDR0_ASID16)) {
        cd->asid &= 0xff;
    }
    cd->af_disable = raw[0] & (1ULL << 35);
    cd->wxn = raw[0] & (1ULL << 36);
    cd->record = raw[0] & (1ULL << 45);
    cd->stall = stall;
    cd->big_endian = endi;
    return true;
}

/* 5.2: what makes an STE with stage 1 ILLEGAL beyond the driver's checks */
static bool smmu_ste_ok(const MdlIommu *iommu, const uint64_t *ste)
{
    unsigned cdmax = hw_bits(ste[0], 63, 59), fmt = hw_bits(ste[0], 5, 4);

    if (!cdmax) {
        return true;
    }
    if (cdmax > hw_bits(iommu->idr[1], 10, 6)) {
        return false;
    }
    return !fmt || (fmt != 3 && (iommu->idr[0] & SMMU_IDR0_CD2L));
}

/* Which CD the request is for, or that it skips stage 1 */
static bool smmu_pick_ssid(SmmuWalk *w, const uint64_t *ste, bool *bypass)
{
    unsigned cdmax = hw_bits(ste[0], 63, 59), s1dss = hw_bits(ste[1], 1, 0);
    bool ssv = w->req->pasid != MDL_NO_PASID;

    *bypass = false;
    w->ssid = ssv ? w->req->pasid : 0;
    if (ssv) {
        if (w->ssid >= (cdmax ? 1u << cdmax : 0) ||
            (s1dss == STE_S1DSS_SSID0 && !w->ssid)) {
            return smmu_fail(w, SMMU_EVT_BAD_SUBSTREAMID, SMMU_CLASS_CD, 0,
                             HW_REASON_BAD_SUBSTREAMID);
        }
        return true;
    }
    if (!cdmax || s1dss == STE_S1DSS_SSID0) {
        return true;
    }
    if (s1dss == STE_S1DSS_BYPASS) {
        *bypass = true;
        return true;
    }
    return smmu_fail(w, SMMU_EVT_STREAM_DISABLED, SMMU_CLASS_CD, 0,
                     HW_REASON_STREAM_DISABLED);
}

/* Address of the CD in the parent's address space */
static bool smmu_cd_address(SmmuWalk *w, const uint64_t *ste, uint64_t *gpa)
{
    unsigned cdmax = hw_bits(ste[0], 63, 59);
    unsigned fmt = cdmax ? hw_bits(ste[0], 5, 4) : 0;
    unsigned split = fmt == 1 ? 6 : 10;
    uint64_t base = ste[0] & 0x000fffffffffffc0ULL;
    const HwEntry *e;
    HwEntry l1 = {
        .kind = HW_CDTAB,
        .space = w->sid,
        .ctx = w->ssid >> split,
    };
    int ret;

    if (!fmt) {
        *gpa = base + (uint64_t)w->ssid * 64;
        return true;
    }
    e = cache_find(&w->hw->cfg, HW_CDTAB, l1.space, l1.ctx, 0, 0);
    if (!e) {
        ret = hw_s2_read64(w->s2, base + (uint64_t)l1.ctx * 8, &l1.out);
        if (ret) {
            return smmu_s2_fail(w, ret);
        }
        /* Valid or not: unlike descriptors of pages, 3.21.3 */
        e = smmu_insert(w, &w->hw->cfg, &l1);
    }
    if (!(e->out & 1)) {
        return smmu_fail(w, SMMU_EVT_BAD_SUBSTREAMID, SMMU_CLASS_CD, 0,
                         HW_REASON_BAD_SUBSTREAMID);
    }
    *gpa = (e->out & 0x000ffffffffff000ULL) +
           (uint64_t)(w->ssid & hw_mask(split)) * 64;
    return true;
}

static bool smmu_load_cd(SmmuWalk *w, const uint64_t *ste)
{
    bool upper = w->req->addr & (1ULL << 55);
    const HwEntry *e = cache_find(&w->hw->cfg, HW_CD, w->sid, w->ssid, 0, 0);
    HwEntry fresh = {
        .kind = HW_CD,
        .space = w->sid,
        .ctx = w->ssid,
    };
    unsigned i;
    int ret;

    if (!e) {
        if (!smmu_cd_address(w, ste, &fresh.out)) {
            return false;
        }
        ret = mdl_ioas_rw(w->s2->ioas, fresh.out, fresh.cd,
                          sizeof(fresh.cd), false);
        if (ret) {
            return smmu_s2_fail(w, ret);
        }
        for (i = 0; i < 8; i++) {
            fresh.cd[i] = le64toh(fresh.cd[i]);
        }
        e = smmu_insert(w, &w->hw->cfg, &fresh);
    }
    if (!smmu_cd_decode(w->hw->iommu, e->cd, ste, upper, &w->cd)) {
        return smmu_fail(w, SMMU_EVT_BAD_CD, SMMU_CLASS_CD, 0,
                         HW_REASON_BAD_CD);
    }
    return true;
}

/* ------------------------------------------------------------------- walk */

static unsigned smmu_level_shift(const SmmuCd *cd, unsigned level)
{
    return cd->granule + (cd->granule - 3) * (3 - level);
}

static unsigned smmu_start_level(const SmmuCd *cd)
{
    unsigned stride = cd->granule - 3;

    return 4 - (cd->va_bits - cd->granule + stride - 1) / stride;
}

static bool smmu_block_ok(const SmmuCd *cd, unsigned level)
{
    switch (cd->granule) {
    case 12:
        return level == 1 || level == 2;
    case 14:
        return level == 2;
    default:
        return level == 2 || (level == 1 && cd->oa_bits == 52);
    }
}

static uint64_t smmu_pte_addr(const SmmuCd *cd, uint64_t pte, unsigned shift)
{
    uint64_t addr = pte & PTE_ADDR & ~hw_mask(shift);

    if (cd->granule == 16) {
        addr |= hw_bits(pte, 15, 12) << 48;     /* bits 51:48 */
    }
    return addr;
}

/* Bits the address must not have: beyond the CD's region of this half */
static bool smmu_in_region(const SmmuCd *cd, uint64_t addr)
{
    bool upper = addr & (1ULL << 55);
    uint64_t top = addr >> cd->va_bits;
    unsigned bits = 64 - cd->va_bits;

    if (cd->tbi) {
        bits -= 8;
        top &= hw_mask(bits);
    }
    return top == (upper ? hw_mask(bits) : 0);
}

/* TLB and tables know addresses without the ignored top byte */
static uint64_t smmu_input(const SmmuCd *cd, uint64_t addr)
{
    if (!cd->tbi) {
        return addr;
    }
    return addr & (1ULL << 55) ? addr | ~hw_mask(56) : addr & hw_mask(56);
}

static bool smmu_finish(SmmuWalk *w, uint64_t page, unsigned shift,
                        uint32_t perm, HwXlate *xlate)
{
    const HwReq *req = w->req;
    bool no_exec = perm & (req->priv ? SM_PXN : SM_UXN);
    bool read_only = perm & SM_RO;

    if (w->cd.wxn && !read_only) {
        no_exec = true;
    }
    if ((!req->priv && (perm & SM_NO_EL0)) || (req->write && read_only) ||
        (req->exec && no_exec)) {
        return smmu_fail(w, SMMU_EVT_PERMISSION, SMMU_CLASS_IN, 1,
                         HW_REASON_PERMISSION);
    }
    *xlate = (HwXlate) {
        .out = page | (req->addr & hw_mask(shift)),
        .s2 = w->s2,
        .shift = shift,
        .perm = HW_PERM_R | (read_only ? 0 : HW_PERM_W) |
                (no_exec ? 0 : HW_PERM_X),
    };
    return true;
}

static void smmu_remember(SmmuWalk *w, HwEntry *e, uint64_t addr,
                          unsigned level)
{
    e->shift = smmu_level_shift(&w->cd, level);
    e->level = level;
    e->granule = w->cd.granule;
    e->space = w->vmid;
    e->addr = addr & ~hw_mask(e->shift);
    smmu_insert(w, &w->hw->tlb, e);
}

static uint32_t smmu_table_perm(const SmmuCd *cd, uint64_t pte)
{
    uint32_t perm = 0;

    if (cd->no_hier) {
        return 0;
    }
    perm |= pte & PTE_TABLE_NO_EL0 ? SM_NO_EL0 : 0;
    perm |= pte & PTE_TABLE_RO ? SM_RO : 0;
    perm |= pte & PTE_TABLE_UXN ? SM_UXN : 0;
    perm |= pte & PTE_TABLE_PXN ? SM_PXN : 0;
    return perm;
}

static uint32_t smmu_leaf_perm(uint64_t pte)
{
    uint32_t perm = 0;

    perm |= pte & PTE_AP_EL0 ? 0 : SM_NO_EL0;
    perm |= pte & PTE_AP_RO ? SM_RO : 0;
    perm |= pte & PTE_UXN ? SM_UXN : 0;
    perm |= pte & PTE_PXN ? SM_PXN : 0;
    return perm;
}

static bool smmu_leaf(SmmuWalk *w, uint64_t addr, unsigned level,
                      uint64_t pte, uint32_t perm, HwXlate *xlate)
{
    unsigned shift = smmu_level_shift(&w->cd, level);
    uint64_t page = smmu_pte_addr(&w->cd, pte, shift);
    HwEntry e = {
        .kind = HW_LEAF,
        .ctx = pte & PTE_NG ? w->cd.asid : HW_CTX_GLOBAL,
        .perm = perm | smmu_leaf_perm(pte),
        .out = page,
    };

    if (page & ~hw_mask(w->cd.oa_bits)) {
        return smmu_fail(w, SMMU_EVT_ADDR_SIZE, SMMU_CLASS_IN, 1,
                         HW_REASON_ADDR_SIZE);
    }
    if (!(pte & PTE_AF) && !w->cd.af_disable) {
        return smmu_fail(w, SMMU_EVT_ACCESS, SMMU_CLASS_IN, 1,
                         HW_REASON_ACCESS_FLAG);
    }
    smmu_remember(w, &e, addr, level);
    return smmu_finish(w, page, shift, e.perm, xlate);
}

/* Start from the deepest table the walk cache knows */
static void smmu_walk_start(SmmuWalk *w, uint64_t addr, unsigned *level,
                            uint64_t *table, uint32_t *perm)
{
    unsigned start = smmu_start_level(&w->cd);
    unsigned i;

    for (i = 2; i + 1 > start; i--) {
        const HwEntry *e = cache_find(&w->hw->tlb, HW_TABLE, w->vmid,
                                      w->cd.asid,
                                      smmu_level_shift(&w->cd, i), addr);

        if (e && e->granule == w->cd.granule) {
            *level = i + 1;
            *table = e->out;
            *perm = e->perm;
            return;
        }
        if (!i) {
            break;
        }
    }
    *level = start;
    *table = w->cd.ttb;
    *perm = 0;
}

static bool smmu_walk(SmmuWalk *w, uint64_t addr, HwXlate *xlate)
{
    const SmmuCd *cd = &w->cd;
    unsigned start = smmu_start_level(cd), level;
    uint64_t table, pte;
    uint32_t perm;

    smmu_walk_start(w, addr, &level, &table, &perm);
    for (;; level++) {
        unsigned shift = smmu_level_shift(cd, level);
        unsigned bits = level == start ? cd->va_bits - shift :
                                         cd->granule - 3;
        int ret = hw_s2_read64(w->s2, table +
                               ((addr >> shift) & hw_mask(bits)) * 8, &pte);
        HwEntry e = { .kind = HW_TABLE, .ctx = cd->asid };

        if (ret) {
            return smmu_s2_fail(w, ret);
        }
        if (cd->big_endian) {
            pte = __builtin_bswap64(pte);
        }
        if (!(pte & 1) || (level == 3 && !(pte & 2)) ||
            (level < 3 && !(pte & 2) && !smmu_block_ok(cd, level))) {
            return smmu_fail(w, SMMU_EVT_TRANSLATION, SMMU_CLASS_IN, 1,
                             HW_REASON_NOT_PRESENT);
        }
        if (level == 3 || !(pte & 2)) {
            return smmu_leaf(w, addr, level, pte, perm, xlate);
        }
        table = smmu_pte_addr(cd, pte, cd->granule);
        if (table & ~hw_mask(cd->oa_bits)) {
            return smmu_fail(w, SMMU_EVT_ADDR_SIZE, SMMU_CLASS_TT, 1,
                             HW_REASON_ADDR_SIZE);
        }
        perm |= smmu_table_perm(cd, pte);
        e.out = table;
        e.perm = perm;
        smmu_remember(w, &e, addr, level);
    }
}

static bool smmu_stage1(SmmuWalk *w, HwXlate *xlate)
{
    uint64_t addr = smmu_input(&w->cd, w->req->addr);
    const HwEntry *e;

    if (w->cd.disabled || !smmu_in_region(&w->cd, w->req->addr)) {
        return smmu_fail(w, SMMU_EVT_TRANSLATION, SMMU_CLASS_IN, 1,
                         HW_REASON_NOT_PRESENT);
    }
    e = cache_leaf(&w->hw->tlb, w->vmid, w->cd.asid, addr);
    if (!e) {
        e = cache_leaf(&w->hw->tlb, w->vmid, HW_CTX_GLOBAL, addr);
    }
    if (e) {
        return smmu_finish(w, e->out, e->shift, e->perm, xlate);
    }
    return smmu_walk(w, addr, xlate);
}

static bool smmu_bypass(SmmuWalk *w, HwXlate *xlate)
{
    *xlate = (HwXlate) {
        .out = w->req->addr,
        .s2 = w->s2,
        .shift = HW_PAGE_SHIFT,
        .perm = HW_PERM_R | HW_PERM_W | HW_PERM_X,
    };
    return true;
}

bool smmu_no_substreams(const HwReq *req, HwFault *fault)
{
    if (!req->prefetch) {
        smmu_event(req, SMMU_EVT_BAD_SUBSTREAMID, SMMU_CLASS_CD);
    }
    return hw_fault(fault, req, 0, HW_REASON_BAD_SUBSTREAMID, false);
}

bool smmu_translate(MdlHw *hw, MdlHwpt *hwpt, const HwReq *req,
                    HwXlate *xlate, HwFault *fault)
{
    const uint64_t *ste = hwpt->s1.ste;
    SmmuWalk w = {
        .hw = hw,
        .hwpt = hwpt,
        .s2 = hwpt->parent ? hwpt->parent : hwpt->viommu->parent,
        .req = req,
        .fault = fault,
        .sid = req->dev->host_sid,
        .vmid = hw_s2_id(hwpt),
    };
    unsigned cfg = ste[0] & 1 ? hw_bits(ste[0], 3, 1) : 0;
    bool bypass;

    if (cfg == STE_CFG_BYPASS) {
        return req->pasid == MDL_NO_PASID ? smmu_bypass(&w, xlate) :
                                            smmu_no_substreams(req, fault);
    }
    if (cfg != STE_CFG_S1) {
        return hw_fault(fault, req, 0, HW_REASON_BLOCKED, false);
    }
    if (!smmu_ste_ok(hw->iommu, ste)) {
        return smmu_fail(&w, SMMU_EVT_BAD_STE, SMMU_CLASS_CD, 0,
                         HW_REASON_BAD_STE);
    }
    if (!smmu_pick_ssid(&w, ste, &bypass)) {
        return false;
    }
    if (bypass) {
        return smmu_bypass(&w, xlate);
    }
    return smmu_load_cd(&w, ste) && smmu_stage1(&w, xlate);
}
