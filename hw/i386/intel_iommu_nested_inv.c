/*
 * VT-d nested translation: the guest's invalidations
 *
 * Descriptors that concern tables (context, PASID cache) name devices to be
 * looked at: what their tables say becomes attaches. That is done once, before
 * the next descriptor that needs it (IOTLB of either kind, page group response,
 * wait) or at the end of the queue, however many descriptors asked for it; only
 * a PASID-selective one is carried out at once. Descriptors that concern
 * first-stage page tables are queued in the core and reach the host before a
 * wait descriptor completes, and at the end of the queue; then, too, shadows of
 * second-stage tables are brought up to date where they were named. The host
 * flushes the device TLBs of what it invalidates, so device-TLB descriptors for
 * assigned devices need nothing.
 *
 * All of it goes in turns with the main loop, see iommufd_nested_turn(): the
 * head stands at the descriptor that is to be done next, or done further.
 *
 * If the host refuses something, the queue stops with an invalidation queue
 * error (6.5.2.10), the core has blocked what might be stale, and the guest may
 * issue it again. The head then stands at the first descriptor that no wait
 * descriptor has confirmed: descriptors before a wait are done in any order, so
 * the guest knows of none of them, and Linux looks nowhere else for the error
 * (qi_check_fault()). To do those once more that were done does no harm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "intel_iommu_nested_internal.h"
#include "trace.h"

const char *const vtd_nested_commands[VTD_NESTED_CMD__MAX] = {
    [VTD_NESTED_CMD_CONTEXT] = "context-cache",
    [VTD_NESTED_CMD_PASID_CACHE] = "pasid-cache",
    [VTD_NESTED_CMD_IOTLB] = "iotlb",
    [VTD_NESTED_CMD_PIOTLB] = "piotlb",
    [VTD_NESTED_CMD_DEVICE_TLB] = "device-tlb",
    [VTD_NESTED_CMD_WAIT] = "wait",
    [VTD_NESTED_CMD_PAGE_RESPONSE] = "page-group-response",
};

/* Everything that a page table leads to */
const struct iommu_hwpt_vtd_s1_invalidate vtd_nested_everything = {
    .npages = UINT64_MAX,
};

static bool vtd_nested_covers(const struct iommu_hwpt_vtd_s1_invalidate *a,
                              const struct iommu_hwpt_vtd_s1_invalidate *b)
{
    if ((a->flags & IOMMU_VTD_INV_FLAGS_LEAF) &&
        !(b->flags & IOMMU_VTD_INV_FLAGS_LEAF)) {
        return false;
    }
    if (a->npages == UINT64_MAX) {
        return true;
    }
    /* Neither end overflows: see vtd_nested_page_entry() */
    return b->npages != UINT64_MAX && a->addr <= b->addr &&
           b->addr + b->npages * VTD_PAGE_SIZE <=
           a->addr + a->npages * VTD_PAGE_SIZE;
}

/* Invalidations of page tables may be done in any order between two waits */
IOMMUFDNestedRelation vtd_nested_relation(const void *first, const void *second)
{
    if (vtd_nested_covers(first, second)) {
        return IOMMUFD_NESTED_COVERED;
    }
    if (vtd_nested_covers(second, first)) {
        return IOMMUFD_NESTED_COVERS;
    }
    return IOMMUFD_NESTED_COMMUTE;
}

/*
 * 2^@am pages around @addr. Sizes that the address space of the widest tables
 * has not got mean everything, and so do ranges with a non-canonical start,
 * which would overflow at the top.
 */
static struct iommu_hwpt_vtd_s1_invalidate
vtd_nested_page_entry(IntelIOMMUState *s, uint64_t addr, unsigned am, bool leaf)
{
    struct iommu_hwpt_vtd_s1_invalidate entry = {};

    if (am >= s->aw_bits - VTD_PAGE_SHIFT) {
        return vtd_nested_everything;
    }
    entry.npages = 1ULL << am;
    entry.addr = addr & ~(entry.npages * VTD_PAGE_SIZE - 1);
    if (entry.addr > UINT64_MAX - entry.npages * VTD_PAGE_SIZE) {
        return vtd_nested_everything;
    }
    entry.flags = leaf ? IOMMU_VTD_INV_FLAGS_LEAF : 0;
    return entry;
}

static void vtd_nested_count(VTDNested *n, VTDNestedCommand command)
{
    iommufd_nested_count_command(n->core, command);
}

/* Everything before s->iq_head is done, on the host as well */
static void vtd_nested_inv_confirmed(VTDNested *n)
{
    n->unconfirmed = false;
}

/* The descriptor at s->iq_head is being looked at */
static void vtd_nested_inv_begin(VTDNested *n)
{
    if (!n->unconfirmed) {
        n->unconfirmed = true;
        n->first_unconfirmed = n->s->iq_head;
    }
}

/* The host has refused something: back to what nobody has confirmed */
static bool vtd_nested_inv_stop(VTDNested *n)
{
    IntelIOMMUState *s = n->s;
    int shift = s->iq_dw ? VTD_IQH_QH_SHIFT_5 : VTD_IQH_QH_SHIFT_4;

    n->refused = true;
    if (n->unconfirmed && s->qi_enabled &&
        n->first_unconfirmed < s->iq_size) {
        s->iq_head = n->first_unconfirmed;
        stq_le_p(&s->csr[DMAR_IQH_REG],
                 ((uint64_t)s->iq_head << shift) & VTD_IQH_QH_MASK);
    }
    return false;
}

static void vtd_nested_inv_refused(VTDNested *n,
                                   const IOMMUFDNestedInvError *fail,
                                   Error *err)
{
    trace_vtd_nested_inv_failed(fail->cookie, n->s->iq_head, fail->err);
    iommufd_nested_tell(&n->told_inv, err);
    n->bad = true;
}

/* All that is queued. Return: false: to be continued */
static bool vtd_nested_inv_send(VTDNested *n)
{
    IOMMUFDNestedInvError fail = {};
    Error *err = NULL;

    if (!iommufd_nested_inv_flush_on(n->core, &fail, &err)) {
        vtd_nested_inv_refused(n, &fail, err);
    }
    return !iommufd_nested_inv_pending(n->core);
}

/* Has the host taken it all? */
static bool vtd_nested_inv_good(VTDNested *n)
{
    if (n->bad) {
        n->bad = false;
        return vtd_nested_inv_stop(n);
    }
    return true;
}

/*
 * The base has told the guest already that what it asked for by registers is
 * over; is it?
 */
static void vtd_nested_asked_tell(VTDNested *n, bool over)
{
    IntelIOMMUState *s = n->s;
    uint32_t gsts = vtd_nested_reg32(s, DMAR_GSTS_REG) & ~n->asked.gsts;
    uint64_t ccmd = vtd_nested_reg64(s, DMAR_CCMD_REG) & ~n->asked.ccmd;
    uint64_t iotlb = vtd_nested_reg64(s, DMAR_IOTLB_REG) & ~n->asked.iotlb;
    /* They are set when it is over, but for TES if that is turned off */
    uint32_t set = s->dmar_enabled ? n->asked.gsts :
                                     n->asked.gsts & ~VTD_GSTS_TES;

    stl_le_p(&s->csr[DMAR_GSTS_REG],
             gsts | (over ? set : n->asked.gsts & ~set));
    stq_le_p(&s->csr[DMAR_CCMD_REG], over ? ccmd : ccmd | n->asked.ccmd);
    stq_le_p(&s->csr[DMAR_IOTLB_REG], over ? iotlb : iotlb | n->asked.iotlb);
}

/* What was asked for by registers. Return: false: to be continued */
static bool vtd_nested_asked_on(VTDNested *n)
{
    if (!n->asked.on) {
        return true;
    }
    if (!vtd_nested_look(n) || !iommufd_nested_shadow_sync(n->core, true) ||
        !vtd_nested_inv_send(n)) {
        return false;
    }
    /*
     * The registers have no way to report that the host refused something:
     * that is blocked, and faults tell the guest. The queue has, if it is
     * half-way: it may have been what it had asked for.
     */
    n->bad &= n->unconfirmed;
    vtd_nested_asked_tell(n, true);
    n->asked = (VTDNestedAsked) {};
    return true;
}

/*
 * @asked, besides what was asked for before. The status of a wait descriptor
 * may be written to a register: that is of the queue's turn.
 */
static void vtd_nested_ask(VTDNested *n, VTDNestedAsked asked)
{
    bool in_turn = iommufd_nested_in_turn(n->core);

    n->asked.on = true;
    n->asked.gsts |= asked.gsts;
    n->asked.ccmd |= asked.ccmd;
    n->asked.iotlb |= asked.iotlb;
    if (!vtd_nested_asked_on(n)) {
        vtd_nested_asked_tell(n, false);
    } else if (!in_turn) {
        iommufd_nested_turn_end(n->core);
    }
}

/*
 * Where the state is loaded, all is looked at before anything else, so there it
 * is over; here it goes on
 */
void vtd_nested_asked_save(VTDNested *n, bool saved)
{
    if (n->asked.on) {
        vtd_nested_asked_tell(n, !saved);
    }
}

void vtd_nested_ask_device(VTDNested *n, VTDNestedDevice *vdev)
{
    if (vdev) {
        vtd_nested_dirty(vdev);
    } else {
        vtd_nested_dirty_all(n);
    }
    vtd_nested_ask(n, (VTDNestedAsked) {});
}

/* What was put off. Return: false: to be continued, or refused */
static bool vtd_nested_inv_catch_up(VTDNested *n)
{
    if (!vtd_nested_asked_on(n)) {
        return false;
    }
    if (n->going_on) {
        if (!vtd_nested_inv_send(n) || !vtd_nested_inv_good(n)) {
            return false;
        }
        n->going_on = false;
    }
    if (n->recovering) {
        if (!vtd_nested_look(n)) {
            return false;
        }
        /* That it is refused again is told by a fault, and by the next look */
        n->bad = false;
        n->recovering = false;
    }
    return true;
}

/* Devices are what their tables say; returns as above */
static bool vtd_nested_inv_look(VTDNested *n)
{
    return vtd_nested_look(n) && vtd_nested_inv_good(n);
}

/* And nothing is left behind; returns as above */
static bool vtd_nested_inv_settle(VTDNested *n)
{
    return vtd_nested_look(n) && iommufd_nested_shadow_sync(n->core, true) &&
           vtd_nested_inv_send(n) && vtd_nested_inv_good(n);
}

bool vtd_nested_inv_flush(IntelIOMMUState *s)
{
    VTDNested *n = s->nested;
    bool ok;

    if (!n || !n->active || iommufd_nested_is_put_off(n->core)) {
        return true;
    }
    ok = vtd_nested_inv_catch_up(n) && vtd_nested_inv_settle(n);
    if (iommufd_nested_is_put_off(n->core)) {
        return true;
    }
    vtd_nested_inv_confirmed(n);
    iommufd_nested_turn_end(n->core);
    return ok;
}

bool vtd_nested_inv_put_off(IntelIOMMUState *s)
{
    return s->nested && iommufd_nested_is_put_off(s->nested->core);
}

static bool vtd_nested_inv_may_fetch(const VTDNested *n)
{
    return n->s->qi_enabled &&
           !(vtd_nested_reg32(n->s, DMAR_FSTS_REG) & VTD_FSTS_IQE);
}

void vtd_nested_inv_go_on(void *opaque)
{
    VTDNested *n = opaque;

    n->going_on = true;
    if (vtd_nested_inv_may_fetch(n)) {
        vtd_fetch_inv_desc(n->s);
    } else {
        /* There is no queue, or it has an error: this much was asked before */
        vtd_nested_inv_flush(n->s);
    }
}

void vtd_nested_inv_forget(VTDNested *n)
{
    iommufd_nested_put_off_not(n->core);
    vtd_nested_look_no_more(n, NULL);
    n->going_on = false;
    n->bad = false;
    n->refused = false;
    n->recovering = false;
    n->unconfirmed = false;
    n->asked = (VTDNestedAsked) {};
}

void vtd_nested_inv_loaded(VTDNested *n)
{
    if (vtd_nested_inv_may_fetch(n) && n->s->iq_head != n->s->iq_tail) {
        iommufd_nested_put_off(n->core);
    }
}

bool vtd_nested_inv_resume(IntelIOMMUState *s)
{
    VTDNested *n = s->nested;

    if (!n || !n->active || !vtd_nested_inv_may_fetch(n)) {
        return false;
    }
    if (n->refused) {
        /* What is attached anew has nothing stale in the host's caches */
        n->refused = false;
        n->recovering = true;
        vtd_nested_dirty_all(n);
    }
    return n->recovering || s->iq_head != s->iq_tail;
}

static void vtd_nested_context_inv(VTDNested *n, const VTDInvDesc *desc)
{
    /* FM: function number bits that are ignored (6.5.2.1) */
    static const uint8_t ignored[] = { 0, 4, 6, 7 };

    if ((desc->lo & VTD_INV_DESC_CC_G) != VTD_INV_DESC_CC_DEVICE) {
        /* There are no domain ids in scalable-mode context entries */
        vtd_nested_dirty_all(n);
    } else {
        vtd_nested_dirty_sid(n, VTD_INV_DESC_CC_SID(desc->lo),
                             ignored[VTD_INV_DESC_CC_FM(desc->lo)]);
    }
}

static bool vtd_nested_pasid_cache_inv(VTDNested *n, const VTDInvDesc *desc)
{
    switch (VTD_INV_DESC_PASIDC_G(desc)) {
    case VTD_INV_DESC_PASIDC_G_PASID_SI:
        return vtd_nested_sync_pasid_value(n, VTD_INV_DESC_PASIDC_PASID(desc))
               || vtd_nested_inv_stop(n);
    case VTD_INV_DESC_PASIDC_G_DSI:
        vtd_nested_dirty_domain(n, VTD_INV_DESC_PASIDC_DID(desc));
        return true;
    default:
        vtd_nested_dirty_all(n);
        return true;
    }
}

typedef enum VTDNestedIotlb {
    VTD_NESTED_IOTLB_GLOBAL,
    VTD_NESTED_IOTLB_DOMAIN,
    VTD_NESTED_IOTLB_PAGE,
} VTDNestedIotlb;

static void vtd_nested_shadow_inv(VTDNested *n, VTDNestedIotlb what,
                                  uint16_t did, uint64_t addr, unsigned am)
{
    uint64_t size = 1ULL << (MIN(am, VTD_MAMV) + VTD_PAGE_SHIFT);

    switch (what) {
    case VTD_NESTED_IOTLB_GLOBAL:
        iommufd_nested_shadow_stale_all(n->core);
        break;
    case VTD_NESTED_IOTLB_DOMAIN:
        iommufd_nested_shadow_stale_domain(n->core, did);
        break;
    case VTD_NESTED_IOTLB_PAGE:
        addr = ROUND_DOWN(addr, size);
        iommufd_nested_shadow_stale(n->core, did, addr, addr + size - 1);
        break;
    }
}

/*
 * The domain-id without a PASID: first-stage mappings are dropped whatever
 * the address is (6.5.2.3), the address being one of the second stage.
 */
static bool vtd_nested_iotlb_inv(VTDNested *n, VTDNestedIotlb what,
                                 uint16_t did, uint64_t addr, unsigned am,
                                 IOMMUFDNestedInvError *fail, Error **errp)
{
    uint64_t cookie = n->s->iq_head;

    vtd_nested_shadow_inv(n, what, did, addr, am);
    if (what == VTD_NESTED_IOTLB_GLOBAL) {
        return iommufd_nested_inv_all(n->core, &vtd_nested_everything, cookie,
                                      fail, errp);
    }
    return iommufd_nested_inv_domain(n->core, did, &vtd_nested_everything,
                                     cookie, fail, errp);
}

/* What became of a descriptor that has entries for the host */
static bool vtd_nested_inv_queued(VTDNested *n, bool ok,
                                  const IOMMUFDNestedInvError *fail, Error *err)
{
    if (ok) {
        return true;
    }
    vtd_nested_inv_refused(n, fail, err);
    return vtd_nested_inv_good(n);
}

static bool vtd_nested_iotlb_desc(VTDNested *n, const VTDInvDesc *desc)
{
    uint64_t g = desc->lo & VTD_INV_DESC_IOTLB_G;
    VTDNestedIotlb what = g == VTD_INV_DESC_IOTLB_GLOBAL ?
                          VTD_NESTED_IOTLB_GLOBAL :
                          g == VTD_INV_DESC_IOTLB_DOMAIN ?
                          VTD_NESTED_IOTLB_DOMAIN : VTD_NESTED_IOTLB_PAGE;
    IOMMUFDNestedInvError fail = {};
    Error *err = NULL;
    bool ok;

    vtd_nested_count(n, VTD_NESTED_CMD_IOTLB);
    ok = vtd_nested_iotlb_inv(n, what, VTD_INV_DESC_IOTLB_DID(desc->lo),
                              VTD_INV_DESC_IOTLB_ADDR(desc->hi),
                              VTD_INV_DESC_IOTLB_AM(desc->hi), &fail, &err);
    return vtd_nested_inv_queued(n, ok, &fail, err);
}

static bool vtd_nested_piotlb_desc(VTDNested *n, const VTDInvDesc *desc)
{
    struct iommu_hwpt_vtd_s1_invalidate entry;
    IOMMUFDNestedInvError fail = {};
    uint64_t lo = desc->val[0];
    uint64_t hi = desc->val[1];
    Error *err = NULL;
    bool ok;

    vtd_nested_count(n, VTD_NESTED_CMD_PIOTLB);
    if ((lo & VTD_INV_DESC_PIOTLB_G) == VTD_INV_DESC_PIOTLB_PSI_IN_PASID) {
        entry = vtd_nested_page_entry(n->s, VTD_INV_DESC_PIOTLB_ADDR(hi),
                                      VTD_INV_DESC_PIOTLB_AM(hi),
                                      VTD_INV_DESC_PIOTLB_IH(hi));
    } else {
        entry = vtd_nested_everything;
    }
    ok = iommufd_nested_inv_bound(n->core, VTD_INV_DESC_PIOTLB_DID(lo),
                                  VTD_INV_DESC_PIOTLB_PASID(lo), &entry,
                                  n->s->iq_head, &fail, &err);
    return vtd_nested_inv_queued(n, ok, &fail, err);
}

/* Of a device of ours. Reserved bits are for the base to complain about */
static bool vtd_nested_is_device_tlb(VTDNested *n, const VTDInvDesc *desc)
{
    if (VTD_INV_DESC_TYPE(desc->lo) == VTD_INV_DESC_DEVICE) {
        return !(desc->lo & VTD_INV_DESC_DEVICE_IOTLB_RSVD_LO) &&
               !(desc->hi & VTD_INV_DESC_DEVICE_IOTLB_RSVD_HI) &&
               vtd_nested_find(n, VTD_INV_DESC_DEVICE_IOTLB_SID(desc->lo));
    }
    return !(desc->lo & VTD_INV_DESC_PASID_DEVICE_IOTLB_RSVD_VAL0) &&
           !(desc->hi & VTD_INV_DESC_PASID_DEVICE_IOTLB_RSVD_VAL1) &&
           vtd_nested_find(n, VTD_INV_DESC_PASID_DEVICE_IOTLB_SID(desc->lo));
}

bool vtd_nested_inv_before(IntelIOMMUState *s, VTDInvDesc *desc,
                           uint8_t *type)
{
    VTDNested *n = s->nested;
    bool ours = false;

    if (!n || !n->active) {
        return true;
    }
    if (!iommufd_nested_turn(n->core) || !vtd_nested_inv_catch_up(n)) {
        return false;
    }
    vtd_nested_inv_begin(n);
    switch (*type) {
    case VTD_INV_DESC_IOTLB:
    case VTD_INV_DESC_PIOTLB:
        /* It is for what the tables say that were invalidated before */
        return vtd_nested_inv_look(n);
    case VTD_INV_DESC_WAIT:
        if (!vtd_nested_inv_settle(n)) {
            return false;
        }
        vtd_nested_count(n, VTD_NESTED_CMD_WAIT);
        /*
         * Page requests of a PASID that has gone were drained by the host when
         * it was detached (7.10). Whoever comes next knows no such bit.
         */
        if (s->ecap & VTD_ECAP_PDS) {
            desc->lo &= ~VTD_INV_DESC_WAIT_PD;
        }
        return true;
    case VTD_INV_DESC_DEVICE:
    case VTD_INV_DESC_DEV_PIOTLB:
        ours = vtd_nested_is_device_tlb(n, desc);
        if (ours) {
            vtd_nested_count(n, VTD_NESTED_CMD_DEVICE_TLB);
        }
        break;
    case VTD_INV_DESC_PGRESP:
        /*
         * A queue that is set back for a failed invalidation must not give
         * the same response twice: what came before is done now, and what
         * comes behind does not set it back beyond.
         */
        if (!vtd_nested_inv_settle(n)) {
            return false;
        }
        ours = vtd_nested_is_page_response(n, desc);
        if (ours) {
            vtd_nested_count(n, VTD_NESTED_CMD_PAGE_RESPONSE);
            vtd_nested_page_response(n, desc);
        }
        break;
    default:
        break;
    }
    if (ours) {
        *type = VTD_INV_DESC_NESTED_DONE;
    }
    return true;
}

/* ------------------------------------------------------------------- runs */

/* Descriptors that are read at once */
#define RUN_MAX 32

/*
 * Nothing is to be looked at, and the base has nothing to forget: what it
 * caches after this comes from tables newer than the queue's tail.
 */
static bool vtd_nested_run_may(VTDNested *n)
{
    IntelIOMMUState *s = n->s;

    if (vtd_nested_is_dirty(n) ||
        !QLIST_EMPTY(&s->vtd_as_with_notifiers)) {
        return false;
    }
    QEMU_LOCK_GUARD(&s->iommu_lock);
    return !g_hash_table_size(s->iotlb);
}

/* Whether it concerns nobody but the core, and is as it should be */
static bool vtd_nested_run_fits(VTDNested *n, const VTDInvDesc *desc,
                                bool responses)
{
    if (desc->val[2] || desc->val[3] ||
        responses != (VTD_INV_DESC_TYPE(desc->lo) == VTD_INV_DESC_PGRESP)) {
        return false;
    }
    switch (VTD_INV_DESC_TYPE(desc->lo)) {
    case VTD_INV_DESC_PIOTLB:
        return !(desc->lo & VTD_INV_DESC_PIOTLB_RSVD_VAL0) &&
               !(desc->hi & VTD_INV_DESC_PIOTLB_RSVD_VAL1) &&
               (desc->lo & VTD_INV_DESC_PIOTLB_ALL_IN_PASID);
    case VTD_INV_DESC_DEVICE:
    case VTD_INV_DESC_DEV_PIOTLB:
        return vtd_nested_is_device_tlb(n, desc);
    case VTD_INV_DESC_PGRESP:
        return vtd_nested_is_page_response(n, desc);
    default:
        return false;
    }
}

static bool vtd_nested_run_one(VTDNested *n, const VTDInvDesc *desc)
{
    n->s->iq_last_desc_type = VTD_INV_DESC_TYPE(desc->lo);
    switch (n->s->iq_last_desc_type) {
    case VTD_INV_DESC_PIOTLB:
        trace_vtd_inv_desc("p-iotlb", desc->hi, desc->lo);
        return vtd_nested_piotlb_desc(n, desc);
    case VTD_INV_DESC_PGRESP:
        vtd_nested_count(n, VTD_NESTED_CMD_PAGE_RESPONSE);
        vtd_nested_page_response(n, desc);
        return true;
    default:
        vtd_nested_count(n, VTD_NESTED_CMD_DEVICE_TLB);
        return true;
    }
}

static uint32_t vtd_nested_run_next(const IntelIOMMUState *s)
{
    return s->iq_head + 1 < s->iq_size ? s->iq_head + 1 : 0;
}

/* Descriptors behind s->iq_head that can be read at once; 0: not worth it */
static uint32_t vtd_nested_run_num(const IntelIOMMUState *s)
{
    uint32_t next = vtd_nested_run_next(s);
    uint32_t num = (s->iq_tail >= next ? s->iq_tail : s->iq_size) - next;

    return num < 2 ? 0 : MIN(num, RUN_MAX);
}

/* Read them. Return: how many */
static uint32_t vtd_nested_run_read(const IntelIOMMUState *s, VTDInvDesc *run)
{
    dma_addr_t addr = s->iq + vtd_nested_run_next(s) * sizeof(*run);
    uint32_t num = vtd_nested_run_num(s);

    if (!num || dma_memory_read(&address_space_memory, addr, run,
                                num * sizeof(*run), MEMTXATTRS_UNSPECIFIED)) {
        return 0;
    }
    for (uint32_t i = 0; i < num; i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(run[i].val); j++) {
            le64_to_cpus(&run[i].val[j]);
        }
    }
    return num;
}

/*
 * What follows a PASID-based IOTLB invalidation is most often another one, of
 * which the base knows nothing either: those are read together and done here.
 * s->iq_head is left at the last that is done. The same goes for page group
 * responses, if @responses.
 */
static bool vtd_nested_inv_run(VTDNested *n, bool responses)
{
    IntelIOMMUState *s = n->s;
    QEMU_UNINITIALIZED VTDInvDesc run[RUN_MAX];
    uint32_t num;

    if (!s->iq_dw || !vtd_nested_run_num(s) ||
        (!responses && !vtd_nested_run_may(n))) {
        return true;
    }
    while ((num = vtd_nested_run_read(s, run))) {
        for (uint32_t i = 0; i < num; i++) {
            if (!vtd_nested_run_fits(n, &run[i], responses) ||
                !iommufd_nested_turn(n->core)) {
                return true;
            }
            s->iq_head = vtd_nested_run_next(s);
            if (!vtd_nested_run_one(n, &run[i])) {
                return false;
            }
        }
    }
    return true;
}

bool vtd_nested_inv_after(IntelIOMMUState *s, const VTDInvDesc *desc,
                          uint8_t type)
{
    VTDNested *n = s->nested;

    if (!n || !n->active) {
        return true;
    }
    if (type == VTD_INV_DESC_WAIT ||
        VTD_INV_DESC_TYPE(desc->lo) == VTD_INV_DESC_PGRESP) {
        vtd_nested_inv_confirmed(n);
    }
    switch (type) {
    case VTD_INV_DESC_CC:
        vtd_nested_count(n, VTD_NESTED_CMD_CONTEXT);
        vtd_nested_context_inv(n, desc);
        return true;
    case VTD_INV_DESC_PC:
        vtd_nested_count(n, VTD_NESTED_CMD_PASID_CACHE);
        return vtd_nested_pasid_cache_inv(n, desc);
    case VTD_INV_DESC_IOTLB:
        return vtd_nested_iotlb_desc(n, desc);
    case VTD_INV_DESC_PIOTLB:
        return vtd_nested_piotlb_desc(n, desc) && vtd_nested_inv_run(n, false);
    case VTD_INV_DESC_NESTED_DONE:
        if (VTD_INV_DESC_TYPE(desc->lo) == VTD_INV_DESC_PGRESP) {
            vtd_nested_inv_run(n, true);
            iommufd_nested_page_flush(n->core);
        }
        return true;
    default:
        return true;
    }
}

/* ------------------------------------------------------------- registers */

/* Loaded registers have been carried out when all is looked at */
static bool vtd_nested_may_ask(const VTDNested *n)
{
    return n && n->active && !n->stale;
}

void vtd_nested_ccmd(IntelIOMMUState *s, uint64_t ccmd)
{
    static const uint8_t ignored[] = { 0, 4, 6, 7 };
    VTDNested *n = s->nested;

    if (!vtd_nested_may_ask(n)) {
        return;
    }
    vtd_nested_count(n, VTD_NESTED_CMD_CONTEXT);
    if ((ccmd & VTD_CCMD_CIRG_MASK) == VTD_CCMD_DEVICE_INVL) {
        vtd_nested_dirty_sid(n, VTD_CCMD_SID(ccmd),
                             ignored[VTD_CCMD_FM(ccmd)]);
    } else {
        vtd_nested_dirty_all(n);
    }
    vtd_nested_ask(n, (VTDNestedAsked) { .ccmd = VTD_CCMD_ICC });
}

void vtd_nested_iotlb_reg(IntelIOMMUState *s, uint64_t iotlb)
{
    uint64_t g = iotlb & VTD_TLB_FLUSH_GRANU_MASK;
    VTDNestedIotlb what = g == VTD_TLB_GLOBAL_FLUSH ? VTD_NESTED_IOTLB_GLOBAL :
                          g == VTD_TLB_DSI_FLUSH ? VTD_NESTED_IOTLB_DOMAIN :
                                                   VTD_NESTED_IOTLB_PAGE;
    uint64_t iva = vtd_nested_reg64(s, DMAR_IVA_REG);
    VTDNested *n = s->nested;
    Error *err = NULL;

    if (!vtd_nested_may_ask(n)) {
        return;
    }
    vtd_nested_count(n, VTD_NESTED_CMD_IOTLB);
    if (!vtd_nested_iotlb_inv(n, what, VTD_TLB_DID(iotlb), VTD_IVA_ADDR(iva),
                              VTD_IVA_AM(iva), NULL, &err)) {
        iommufd_nested_tell(&n->told_inv, err);
    }
    vtd_nested_ask(n, (VTDNestedAsked) { .iotlb = VTD_TLB_IVT });
}

/* No cache survives TE or SRTP (CAP.ESRTPS), and no look at the old tables */
void vtd_nested_root_changed(IntelIOMMUState *s, uint32_t gsts)
{
    VTDNested *n = s->nested;
    Error *err = NULL;

    if (!vtd_nested_may_ask(n)) {
        return;
    }
    vtd_nested_look_no_more(n, NULL);
    vtd_nested_dirty_all(n);
    iommufd_nested_shadow_stale_all(n->core);
    if (!iommufd_nested_inv_all(n->core, &vtd_nested_everything, 0, NULL,
                                &err)) {
        iommufd_nested_tell(&n->told_inv, err);
    }
    vtd_nested_ask(n, (VTDNestedAsked) { .gsts = gsts });
}
