/*
 * Intel VT-d, emulated host: cached translations and what invalidates them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "intel_iommu_nested.h"
#include "intel_iommu_twostage.h"
#include "trace.h"

#define CACHE_MAX           4096
#define CACHE_MAX_KEEP      32768

/*
 * A queue may have tens of thousands of descriptors, and each may look at all
 * that is cached. Units of work are entries looked at, and DESC_UNITS for a
 * descriptor in any case.
 */
#define TURN_UNITS          (256 * 1024)
#define DESC_UNITS          256

#define WAIT_PAGE_DRAIN     (1ULL << 7)
#define DESC_IH             (1ULL << 6)

/*
 * Tags of a translation, section 6.2.4: domain id, and for first-stage and
 * nested ones also the PASID.  Requester ids are none: devices that share a
 * domain share its translations.
 */
typedef struct TlbKey {
    uint64_t page;              /* address of the page, not its number */
    uint32_t pasid;
    uint16_t did;
    uint8_t shift;
    VTDPgtt stage;              /* of nested tables: first-stage ones */
    bool priv;
    bool table;                 /* an entry that points to a table */
} TlbKey;

typedef struct TlbEntry {
    TlbKey key;
    uint64_t addr;              /* of a table: the entry as it was read */
    bool read;
    bool write;
    bool may_write;
} TlbEntry;

static const uint8_t shifts[] = { 12, 21, 30 };

guint vtd_tlb_hash(gconstpointer v)
{
    const TlbKey *key = v;
    uint64_t x = key->page >> 12 ^ (uint64_t)key->pasid << 40 ^
                 (uint64_t)key->did << 24 ^ key->shift;

    return x ^ x >> 32;
}

gboolean vtd_tlb_equal(gconstpointer v1, gconstpointer v2)
{
    const TlbKey *a = v1, *b = v2;

    return a->page == b->page && a->pasid == b->pasid && a->did == b->did &&
           a->shift == b->shift && a->stage == b->stage &&
           a->priv == b->priv && a->table == b->table;
}

void vtd_cache_make_room(IntelIOMMUState *s, GHashTable *cache)
{
    bool keep = s->twostage.keep;
    GHashTableIter iter;

    if (g_hash_table_size(cache) < (keep ? CACHE_MAX_KEEP : CACHE_MAX)) {
        return;
    }
    if (!keep) {
        g_hash_table_remove_all(cache);
        return;
    }
    g_hash_table_iter_init(&iter, cache);
    if (g_hash_table_iter_next(&iter, NULL, NULL)) {
        g_hash_table_iter_remove(&iter);
    }
}

static TlbKey key_of(const VTDRequester *req, uint64_t iova, unsigned shift,
                     bool priv)
{
    bool second = req->pgtt == VTD_TS_SECOND;

    return (TlbKey) {
        .page = iova & ~((1ULL << shift) - 1),
        .pasid = second ? 0 : req->pasid,
        .did = req->did,
        .shift = shift,
        .stage = req->pgtt,
        .priv = priv && !second,
    };
}

bool vtd_tlb_find(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
                  bool priv, VTDXlate *out)
{
    const TlbEntry *entry;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(shifts); i++) {
        TlbKey key = key_of(req, iova, shifts[i], priv);

        entry = g_hash_table_lookup(s->twostage.iotlb, &key);
        if (entry) {
            *out = (VTDXlate) {
                .addr = entry->addr + (iova - entry->key.page),
                .shift = entry->key.shift,
                .read = entry->read,
                .write = entry->write,
                .may_write = entry->may_write,
            };
            return true;
        }
    }
    return false;
}

void vtd_tlb_add(IntelIOMMUState *s, const VTDRequester *req, uint64_t iova,
                 bool priv, const VTDXlate *xlate)
{
    TlbEntry *entry = g_new(TlbEntry, 1);

    vtd_cache_make_room(s, s->twostage.iotlb);
    *entry = (TlbEntry) {
        .key = key_of(req, iova, xlate->shift, priv),
        .addr = xlate->addr & ~((1ULL << xlate->shift) - 1),
        .read = xlate->read,
        .write = xlate->write,
        .may_write = xlate->may_write,
    };
    g_hash_table_replace(s->twostage.iotlb, &entry->key, entry);
}

static TlbKey table_key(const VTDRequester *req, bool second, uint64_t addr,
                        unsigned shift)
{
    return (TlbKey) {
        .page = addr & ~((1ULL << shift) - 1),
        .pasid = second ? 0 : req->pasid,
        .did = req->did,
        .shift = shift,
        .stage = second ? VTD_TS_SECOND : req->pgtt,
        .table = true,
    };
}

bool vtd_tlb_find_table(IntelIOMMUState *s, const VTDRequester *req,
                        bool second, uint64_t addr, unsigned shift,
                        uint64_t *pte)
{
    TlbKey key = table_key(req, second, addr, shift);
    const TlbEntry *entry = s->twostage.keep ?
        g_hash_table_lookup(s->twostage.iotlb, &key) : NULL;

    if (entry) {
        *pte = entry->addr;
    }
    return entry;
}

void vtd_tlb_add_table(IntelIOMMUState *s, const VTDRequester *req,
                       bool second, uint64_t addr, unsigned shift,
                       uint64_t pte)
{
    TlbEntry *entry;

    if (s->twostage.keep) {
        vtd_cache_make_room(s, s->twostage.iotlb);
        entry = g_new(TlbEntry, 1);
        *entry = (TlbEntry) {
            .key = table_key(req, second, addr, shift), .addr = pte,
        };
        g_hash_table_replace(s->twostage.iotlb, &entry->key, entry);
    }
}

/* What an invalidation selects */
typedef struct TlbDrop {
    enum { DROP_DOMAIN, DROP_DOMAIN_PAGES, DROP_PASID, DROP_PASID_PAGES } what;
    bool leaves;                /* IH: no table has been changed or moved */
    uint16_t did;
    uint32_t pasid;
    uint64_t first, last;
} TlbDrop;

static gboolean selected(gpointer key, gpointer value, gpointer opaque)
{
    const TlbKey *k = key;
    const TlbDrop *drop = opaque;
    bool overlap = k->page <= drop->last &&
                   k->page + ((1ULL << k->shift) - 1) >= drop->first;

    if (k->did != drop->did) {
        return false;
    }
    switch (drop->what) {
    case DROP_DOMAIN:
        return true;
    case DROP_DOMAIN_PAGES:
        /*
         * The range is one of stage 2.  Which nested translations went
         * through it is not known: all of them go, with the tables that these
         * were found by.  Those of the first stage alone did not.
         */
        return k->stage == VTD_TS_NESTED ||
               (k->stage == VTD_TS_SECOND && overlap &&
                !(k->table && drop->leaves));
    case DROP_PASID:
        return k->stage != VTD_TS_SECOND && k->pasid == drop->pasid;
    case DROP_PASID_PAGES:
        return k->stage != VTD_TS_SECOND && k->pasid == drop->pasid &&
               overlap && !(k->table && drop->leaves);
    }
    g_assert_not_reached();
}

static void drop_range(TlbDrop *drop, uint64_t addr, unsigned order)
{
    /* An order of 52 and more is everything */
    uint64_t mask = order >= 52 ? UINT64_MAX : (4096ULL << order) - 1;

    drop->first = addr & ~mask;
    drop->last = addr | mask;
}

void vtd_tlb_drop_page(IntelIOMMUState *s, uint16_t did, uint32_t pasid,
                       uint64_t iova)
{
    TlbDrop drop = { .what = DROP_PASID_PAGES, .did = did, .pasid = pasid };

    drop_range(&drop, iova, 0);
    g_hash_table_foreach_remove(s->twostage.iotlb, selected, &drop);
}

static void drop_locked(IntelIOMMUState *s, TlbDrop *drop)
{
    QEMU_LOCK_GUARD(&s->iommu_lock);
    g_hash_table_foreach_remove(s->twostage.iotlb, selected, drop);
}

/*
 * Users of translations who are no device TLB (vhost without ATS) learn of
 * invalidations here.  They keep no domain id: everything goes.
 */
static void notify_unmap(IntelIOMMUState *s)
{
    VTDAddressSpace *as;
    IOMMUNotifier *n;

    QLIST_FOREACH(as, &s->vtd_as_with_notifiers, next) {
        if (!(as->notifier_flags & IOMMU_NOTIFIER_UNMAP)) {
            continue;
        }
        IOMMU_NOTIFIER_FOREACH(n, &as->iommu) {
            memory_region_unmap_iommu_notifier_range(n);
        }
    }
}

/* ------------------------------------------------ descriptors (6.5.2) */

typedef enum VTDDescVerdict {
    VTD_TS_DESC_DONE,           /* nothing left to do for intel_iommu.c */
    VTD_TS_DESC_PASS,           /* intel_iommu.c goes on with it */
    VTD_TS_DESC_BAD,            /* invalidation queue error */
} VTDDescVerdict;

static bool reserved_clear(IntelIOMMUState *s, const VTDInvDesc *desc,
                           uint64_t mask0, uint64_t mask1, const char *what)
{
    if (!(desc->val[0] & mask0) && !(desc->val[1] & mask1) &&
        !(s->iq_dw && (desc->val[2] || desc->val[3]))) {
        return true;
    }
    error_report_once("%s descriptor with reserved bits set: 0x%" PRIx64
                      " 0x%" PRIx64, what, desc->val[1], desc->val[0]);
    return false;
}

/* 6.5.2.1 */
static VTDDescVerdict context_descriptor(IntelIOMMUState *s,
                                         const VTDInvDesc *desc)
{
    /* Which bits of the function number FM takes out of the comparison */
    static const uint16_t fm_mask[] = { 0, 4, 6, 7 };
    uint16_t sid = VTD_INV_DESC_CC_SID(desc->lo), mask = 0;

    if ((desc->lo & VTD_INV_DESC_CC_G) == VTD_INV_DESC_CC_DEVICE) {
        mask = ~fm_mask[VTD_INV_DESC_CC_FM(desc->lo)];
    }
    WITH_QEMU_LOCK_GUARD(&s->iommu_lock) {
        /* In scalable mode the domain id is ignored: that is everything */
        vtd_requester_drop_context(s, sid, mask);
    }
    return VTD_TS_DESC_PASS;
}

/* 6.5.2.2 */
static VTDDescVerdict pasid_cache_descriptor(IntelIOMMUState *s,
                                             const VTDInvDesc *desc)
{
    uint16_t did = VTD_INV_DESC_PASIDC_DID(desc);
    uint32_t pasid = VTD_INV_DESC_PASIDC_PASID(desc);

    if (!reserved_clear(s, desc, VTD_INV_DESC_PASIDC_RSVD_VAL0, UINT64_MAX,
                        "PASID cache")) {
        return VTD_TS_DESC_BAD;
    }
    QEMU_LOCK_GUARD(&s->iommu_lock);
    switch (VTD_INV_DESC_PASIDC_G(desc)) {
    case VTD_INV_DESC_PASIDC_G_DSI:
        vtd_requester_drop_domain(s, did);
        return VTD_TS_DESC_DONE;
    case VTD_INV_DESC_PASIDC_G_PASID_SI:
        vtd_requester_drop_pasid(s, did, pasid);
        return VTD_TS_DESC_DONE;
    case VTD_INV_DESC_PASIDC_G_GLOBAL:
        vtd_requester_drop_pasids(s);
        return VTD_TS_DESC_DONE;
    default:
        return VTD_TS_DESC_BAD;
    }
}

/* 6.5.2.3 */
static VTDDescVerdict iotlb_descriptor(IntelIOMMUState *s,
                                       const VTDInvDesc *desc)
{
    TlbDrop drop = { .did = VTD_INV_DESC_IOTLB_DID(desc->lo) };
    unsigned order = VTD_INV_DESC_IOTLB_AM(desc->hi);

    if (!reserved_clear(s, desc, VTD_INV_DESC_IOTLB_RSVD_LO,
                        VTD_INV_DESC_IOTLB_RSVD_HI, "IOTLB")) {
        return VTD_TS_DESC_BAD;
    }
    switch (desc->lo & VTD_INV_DESC_IOTLB_G) {
    case VTD_INV_DESC_IOTLB_GLOBAL:
        WITH_QEMU_LOCK_GUARD(&s->iommu_lock) {
            g_hash_table_remove_all(s->twostage.iotlb);
        }
        break;
    case VTD_INV_DESC_IOTLB_DOMAIN:
        drop.what = DROP_DOMAIN;
        drop_locked(s, &drop);
        break;
    case VTD_INV_DESC_IOTLB_PAGE:
        if (order > VTD_MAMV) {
            return VTD_TS_DESC_BAD;
        }
        drop.what = DROP_DOMAIN_PAGES;
        drop.leaves = desc->hi & DESC_IH;
        drop_range(&drop, VTD_INV_DESC_IOTLB_ADDR(desc->hi), order);
        drop_locked(s, &drop);
        break;
    default:
        return VTD_TS_DESC_BAD;
    }
    notify_unmap(s);
    return VTD_TS_DESC_DONE;
}

/* 6.5.2.4 */
static VTDDescVerdict piotlb_descriptor(IntelIOMMUState *s,
                                        const VTDInvDesc *desc)
{
    TlbDrop drop = {
        .did = VTD_INV_DESC_PIOTLB_DID(desc->val[0]),
        .pasid = VTD_INV_DESC_PIOTLB_PASID(desc->val[0]),
    };

    if (!reserved_clear(s, desc, VTD_INV_DESC_PIOTLB_RSVD_VAL0,
                        VTD_INV_DESC_PIOTLB_RSVD_VAL1, "PASID-based IOTLB")) {
        return VTD_TS_DESC_BAD;
    }
    switch (desc->val[0] & VTD_INV_DESC_PIOTLB_G) {
    case VTD_INV_DESC_PIOTLB_ALL_IN_PASID:
        drop.what = DROP_PASID;
        break;
    case VTD_INV_DESC_PIOTLB_PSI_IN_PASID:
        drop.what = DROP_PASID_PAGES;
        drop.leaves = desc->val[1] & DESC_IH;
        drop_range(&drop, VTD_INV_DESC_PIOTLB_ADDR(desc->val[1]),
                   VTD_INV_DESC_PIOTLB_AM(desc->val[1]));
        break;
    default:
        return VTD_TS_DESC_BAD;
    }
    drop_locked(s, &drop);
    notify_unmap(s);
    return VTD_TS_DESC_DONE;
}

/*
 * 6.5.2.5.  Without a PASID the invalidation is about what the endpoint has
 * got with PASIDs as well (PCI Express 6, 10.3.8).
 */
static void dev_tlb_descriptor(IntelIOMMUState *s, const VTDInvDesc *desc)
{
    TlbDrop drop = {};

    drop_range(&drop, VTD_INV_DESC_DEVICE_IOTLB_ADDR(desc->hi),
               VTD_INV_DESC_DEVICE_IOTLB_SIZE(desc->hi) ?
               1 + cto64(desc->hi >> 12) : 0);
    vtd_atc_invalidate(s, VTD_INV_DESC_DEVICE_IOTLB_SID(desc->lo), VTD_ATC_ALL,
                       drop.first, drop.last);
}

/* 6.5.2.6 */
static VTDDescVerdict pasid_dev_tlb_descriptor(IntelIOMMUState *s,
                                               const VTDInvDesc *desc)
{
    TlbDrop drop = {};

    if (!reserved_clear(s, desc, VTD_INV_DESC_PASID_DEVICE_IOTLB_RSVD_VAL0,
                        VTD_INV_DESC_PASID_DEVICE_IOTLB_RSVD_VAL1,
                        "PASID-based device TLB")) {
        return VTD_TS_DESC_BAD;
    }
    drop_range(&drop, VTD_INV_DESC_PASID_DEVICE_IOTLB_ADDR(desc->hi),
               VTD_INV_DESC_PASID_DEVICE_IOTLB_SIZE(desc->hi) ?
               1 + cto64(desc->hi >> 12) : 0);
    vtd_atc_invalidate(s, VTD_INV_DESC_PASID_DEVICE_IOTLB_SID(desc->lo),
                       VTD_INV_DESC_PASID_DEVICE_IOTLB_GLOBAL(desc->hi) ?
                       VTD_ATC_ALL :
                       VTD_INV_DESC_PASID_DEVICE_IOTLB_PASID(desc->lo),
                       drop.first, drop.last);
    return VTD_TS_DESC_DONE;
}

/* 7.7.1; with PASID or without, whoever asked is answered */
static VTDDescVerdict response_descriptor(IntelIOMMUState *s,
                                          const VTDInvDesc *desc)
{
    uint16_t sid = VTD_INV_DESC_PGRESP_RID(desc->lo);
    uint32_t pasid = PCI_NO_PASID;
    IOMMUPRIResponse response = {
        .prgi = VTD_INV_DESC_PGRESP_PRGI(desc->hi),
    };

    if (desc->lo & VTD_INV_DESC_PGRESP_RSVD_LO ||
        desc->hi & VTD_INV_DESC_PGRESP_RSVD_HI) {
        return VTD_TS_DESC_BAD;
    }
    if (VTD_INV_DESC_PGRESP_PP(desc->lo)) {
        pasid = VTD_INV_DESC_PGRESP_PASID(desc->lo);
    }
    switch (VTD_INV_DESC_PGRESP_RC(desc->lo)) {
    case 0:
        response.response_code = IOMMU_PRI_RESP_SUCCESS;
        break;
    case 1:
        response.response_code = IOMMU_PRI_RESP_INVALID_REQUEST;
        break;
    default:
        response.response_code = IOMMU_PRI_RESP_FAILURE;
        break;
    }
    trace_vtd_twostage_response(sid, pasid, response.prgi,
                                response.response_code);

    vtd_pri_respond(s, sid, pasid, &response);
    return VTD_TS_DESC_DONE;
}

static VTDDescVerdict descriptor(IntelIOMMUState *s, VTDInvDesc *desc)
{
    unsigned type = VTD_INV_DESC_TYPE(desc->lo);

    switch (type) {
    case VTD_INV_DESC_CC:
        return context_descriptor(s, desc);
    case VTD_INV_DESC_IOTLB:
        return iotlb_descriptor(s, desc);
    case VTD_INV_DESC_DEVICE:
        dev_tlb_descriptor(s, desc);
        return VTD_TS_DESC_PASS;
    case VTD_INV_DESC_WAIT:
        /*
         * Page requests reach the queue the moment they are made: there is
         * never one to drain (7.10).
         */
        if (s->ecap & VTD_ECAP_PRS) {
            desc->lo &= ~WAIT_PAGE_DRAIN;
        }
        return VTD_TS_DESC_PASS;
    case VTD_INV_DESC_PIOTLB:
    case VTD_INV_DESC_PC:
    case VTD_INV_DESC_DEV_PIOTLB:
        /* These exist in 256-bit queues only */
        if (!s->iq_dw) {
            return VTD_TS_DESC_BAD;
        }
        return type == VTD_INV_DESC_PC ? pasid_cache_descriptor(s, desc) :
               type == VTD_INV_DESC_PIOTLB ? piotlb_descriptor(s, desc) :
                                             pasid_dev_tlb_descriptor(s, desc);
    case VTD_INV_DESC_PGRESP:
        return response_descriptor(s, desc);
    default:
        return VTD_TS_DESC_PASS;
    }
}

/* May the queue go on?  If not, it does in vtd_twostage_turn_bh() */
static bool turn(IntelIOMMUState *s)
{
    VTDTwoStage *ts = &s->twostage;

    if (ts->put_off) {
        return false;
    }
    if (ts->turn <= 0) {
        ts->put_off = true;
        qemu_bh_schedule(ts->bh);
        return false;
    }
    WITH_QEMU_LOCK_GUARD(&s->iommu_lock) {
        ts->turn -= DESC_UNITS + g_hash_table_size(ts->iotlb) +
                    g_hash_table_size(ts->requesters) +
                    g_hash_table_size(ts->contexts);
    }
    return true;
}

static void vtd_twostage_turn_bh(void *opaque)
{
    IntelIOMMUState *s = opaque;
    VTDTwoStage *ts = &s->twostage;

    /* If the VM is stopped, this is called again when it runs */
    if (!runstate_is_running()) {
        return;
    }
    ts->put_off = false;
    ts->turn = TURN_UNITS;
    if (s->qi_enabled && s->iq_head != s->iq_tail &&
        !(ldl_le_p(&s->csr[DMAR_FSTS_REG]) & VTD_FSTS_IQE)) {
        vtd_fetch_inv_desc(s);
    }
}

/* The other side of a migration may have put the queue off, too */
static void vm_state_changed(void *opaque, bool running, RunState state)
{
    IntelIOMMUState *s = opaque;

    if (running) {
        qemu_bh_schedule(s->twostage.bh);
    }
}

void vtd_twostage_turn_init(IntelIOMMUState *s)
{
    VTDTwoStage *ts = &s->twostage;

    ts->turn = TURN_UNITS;
    ts->bh = qemu_bh_new_guarded(vtd_twostage_turn_bh, s,
                                 &DEVICE(s)->mem_reentrancy_guard);
    if (ts->enabled) {
        qdev_add_vm_change_state_handler(DEVICE(s), vm_state_changed, NULL, s);
    }
}

bool vtd_twostage_inv_before(IntelIOMMUState *s, VTDInvDesc *desc,
                             uint8_t *type)
{
    if (s->twostage.enabled && !turn(s)) {
        return false;
    }
    switch (vtd_twostage_active(s) ? descriptor(s, desc) : VTD_TS_DESC_PASS) {
    case VTD_TS_DESC_DONE:
        *type = VTD_INV_DESC_NESTED_DONE;
        return true;
    case VTD_TS_DESC_PASS:
        return true;
    case VTD_TS_DESC_BAD:
        return false;
    }
    g_assert_not_reached();
}
