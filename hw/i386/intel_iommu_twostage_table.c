/*
 * Intel VT-d, emulated host: root, context and PASID entries
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "exec/memattrs.h"
#include "system/address-spaces.h"
#include "system/memory.h"
#include "intel_iommu_twostage.h"

#define ENTRY_P             (1ULL << 0)
#define ENTRY_FPD           (1ULL << 1)
#define ENTRY_ADDR          (~0xfffULL)

#define CTX_FPD             (1ULL << 1)
#define CTX_DTE             (1ULL << 2)
#define CTX_PASIDE          (1ULL << 3)
#define CTX_PRE             (1ULL << 4)
#define CTX_PDTS(val)       extract64(val, 9, 3)
#define CTX_RID_PASID(val)  extract64(val, 0, 20)
#define CTX_RID_PRIV        (1ULL << 20)

#define DIR_RSVD            0xffcULL

#define PE_AW(val)          extract64(val, 2, 3)
#define PE_PGTT(val)        extract64(val, 6, 3)
#define PE_SSADE            (1ULL << 9)
#define PE_RSVD0            0xc00ULL
#define PE_DID(val)         extract64(val, 0, 16)
#define PE_RSVD1            0x7f0000ULL
#define PE_SRE              (1ULL << 0)
#define PE_FSPM(val)        extract64(val, 2, 2)
#define PE_WPE              (1ULL << 4)
#define PE_EAFE             (1ULL << 7)
/* ERE, too: ECAP.ERS is clear */
#define PE_RSVD2            0xf02ULL
#define PE_WORDS            (VTD_PASID_ENTRY_SIZE / 8)

typedef struct ContextEntry {
    uint64_t val[4];
} ContextEntry;

/*
 * The word with the present bit is read first: software writes it last and
 * clears it first (6.5.3.3), so what is read after it belongs to it.
 */
static bool read_entry(hwaddr addr, uint64_t *val, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        if (!vtd_read_table(addr + i * 8, &val[i])) {
            return false;
        }
        /* Pairs with software's barrier around the present bit */
        smp_rmb();
    }
    return true;
}

/* Section 9.2, 9.4 */
static int read_context(IntelIOMMUState *s, uint16_t sid, ContextEntry *ctx)
{
    unsigned devfn = sid & 0xff;
    hwaddr table;
    uint64_t root;

    /* Lower half of a root entry: devices 0-15, upper half: 16-31 */
    if (!read_entry(s->root + (sid >> 8) * 16 + (devfn & 0x80 ? 8 : 0),
                    &root, 1)) {
        return VTD_TS_ROOT_ACCESS;
    }
    if (!(root & ENTRY_P)) {
        return VTD_TS_ROOT_P;
    }
    if (root & VTD_ROOT_ENTRY_RSVD(s->aw_bits)) {
        return VTD_TS_ROOT_RSVD;
    }

    table = root & ENTRY_ADDR;
    if (!read_entry(table + (devfn & 0x7f) * VTD_CTX_ENTRY_SCALABLE_SIZE,
                    ctx->val, ARRAY_SIZE(ctx->val))) {
        return VTD_TS_CTX_ACCESS;
    }
    if (!(ctx->val[0] & ENTRY_P)) {
        return VTD_TS_CTX_P;
    }
    if (ctx->val[0] & VTD_SM_CONTEXT_ENTRY_RSVD_VAL0(s->aw_bits) ||
        ctx->val[1] & VTD_SM_CONTEXT_ENTRY_RSVD_VAL1 ||
        (ctx->val[1] & CTX_RID_PRIV && !s->twostage.srs) ||
        ctx->val[2] || ctx->val[3]) {
        return VTD_TS_CTX_RSVD;
    }
    return 0;
}

static bool pasid_in_directory(const ContextEntry *ctx, uint32_t pasid)
{
    return pasid < 1ULL << (CTX_PDTS(ctx->val[0]) + 7 + 6);
}

/* The checks of a context entry that depend on the request, section 7.1.3 */
static int check_context(IntelIOMMUState *s, const ContextEntry *ctx,
                         uint32_t pasid, bool ats)
{
    if (ats && !(ctx->val[0] & CTX_DTE)) {
        return VTD_TS_CTX_DTE;
    }
    if (pasid == PCI_NO_PASID) {
        return pasid_in_directory(ctx, CTX_RID_PASID(ctx->val[1])) ?
               0 : VTD_TS_CTX_RID_PASID;
    }
    if (!(ctx->val[0] & CTX_PASIDE)) {
        return VTD_TS_CTX_PASIDE;
    }
    /* A directory may be larger than what ECAP.PSS has use for */
    return pasid_in_directory(ctx, pasid) && !(pasid >> s->twostage.pss) ?
           0 : VTD_TS_CTX_PASID_RANGE;
}

/* Are address width, paging mode and type what CAP and ECAP offer? */
static int decode_pasid_entry(IntelIOMMUState *s, const uint64_t *pe,
                              VTDRequester *req)
{
    const VTDTwoStage *ts = &s->twostage;
    uint64_t beyond = ~VTD_HAW_MASK(s->aw_bits);
    uint8_t aw = PE_AW(pe[0]);
    unsigned i;

    if (pe[0] & PE_RSVD0 || pe[1] & PE_RSVD1 || pe[2] & PE_RSVD2) {
        return VTD_TS_PE_RSVD;
    }
    for (i = 3; i < PE_WORDS; i++) {
        if (pe[i]) {
            return VTD_TS_PE_RSVD;
        }
    }

    req->pgtt = PE_PGTT(pe[0]);
    req->did = PE_DID(pe[1]);
    req->sre = pe[2] & PE_SRE;
    req->wpe = pe[2] & PE_WPE;
    req->eafe = pe[2] & PE_EAFE;
    req->ssade = pe[0] & PE_SSADE;

    switch (req->pgtt) {
    case VTD_TS_FIRST:
    case VTD_TS_SECOND:
    case VTD_TS_NESTED:
    case VTD_TS_PASS_THROUGH:
        break;
    default:
        return VTD_TS_PE_INVALID;
    }
    if (req->pgtt == VTD_TS_PASS_THROUGH && !(s->ecap & VTD_ECAP_PT)) {
        return VTD_TS_PE_INVALID;
    }

    if (req->pgtt == VTD_TS_FIRST || req->pgtt == VTD_TS_NESTED) {
        if (PE_FSPM(pe[2]) > (ts->fs5lp ? 1 : 0) ||
            (req->eafe && !ts->eafs) || (req->sre && !ts->srs)) {
            return VTD_TS_PE_INVALID;
        }
        if (pe[2] & beyond) {
            return VTD_TS_PE_RSVD;
        }
        req->s1_levels = 4 + PE_FSPM(pe[2]);
        req->s1_root = pe[2] & ENTRY_ADDR;
    }
    if (req->pgtt == VTD_TS_SECOND || req->pgtt == VTD_TS_NESTED) {
        /* SAGAW bit n stands for n + 2 levels, and so does AW = n */
        if (!(s->cap & VTD_CAP_SAGAW_MASK &
              (1ULL << (VTD_CAP_SAGAW_SHIFT + aw))) ||
            (req->ssade && !ts->ssads)) {
            return VTD_TS_PE_INVALID;
        }
        if (pe[0] & beyond) {
            return VTD_TS_PE_RSVD;
        }
        req->s2_levels = aw + 2;
        req->s2_root = pe[0] & ENTRY_ADDR;
    }
    return 0;
}

/* That of @req->pasid; on failure @req->fpd is as far as known */
static int read_pasid_entry(IntelIOMMUState *s, const ContextEntry *ctx,
                            VTDRequester *req)
{
    uint64_t dir, pe[PE_WORDS];
    hwaddr addr;

    /* Section 9.5: a directory entry covers 64 PASIDs */
    addr = (ctx->val[0] & ENTRY_ADDR) + (req->pasid >> 6) * 8;
    if (!read_entry(addr, &dir, 1)) {
        return VTD_TS_DIR_ACCESS;
    }
    req->fpd = req->fpd || dir & ENTRY_FPD;
    if (!(dir & ENTRY_P)) {
        return VTD_TS_DIR_P;
    }
    if (dir & (DIR_RSVD | ~VTD_HAW_MASK(s->aw_bits))) {
        return VTD_TS_DIR_RSVD;
    }

    /* Section 9.6 */
    addr = (dir & ENTRY_ADDR) + (req->pasid & 0x3f) * VTD_PASID_ENTRY_SIZE;
    if (!read_entry(addr, pe, ARRAY_SIZE(pe))) {
        return VTD_TS_PE_ACCESS;
    }
    req->fpd = req->fpd || pe[0] & ENTRY_FPD;
    if (!(pe[0] & ENTRY_P)) {
        return VTD_TS_PE_P;
    }
    return decode_pasid_entry(s, pe, req);
}

/* A cached context entry; its key is the source id */
typedef struct CachedContext {
    uint64_t sid;
    ContextEntry ctx;
} CachedContext;

static int find_context(IntelIOMMUState *s, uint16_t sid, ContextEntry *ctx)
{
    GHashTable *cache = s->twostage.contexts;
    uint64_t key = sid;
    CachedContext *cached = g_hash_table_lookup(cache, &key);
    int ret;

    if (cached) {
        *ctx = cached->ctx;
        return 0;
    }
    ret = read_context(s, sid, ctx);
    if (!ret) {
        vtd_cache_make_room(s, cache);
        cached = g_new(CachedContext, 1);
        *cached = (CachedContext) { .sid = sid, .ctx = *ctx };
        g_hash_table_replace(cache, &cached->sid, cached);
    }
    return ret;
}

int vtd_requester_find(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                       bool ats, VTDRequester *req)
{
    GHashTable *cache = s->twostage.requesters;
    VTDRequester *cached;
    ContextEntry ctx = {};
    bool fpd;
    int ret;

    ret = find_context(s, sid, &ctx);
    fpd = ctx.val[0] & CTX_FPD;
    *req = (VTDRequester) { .fpd = fpd };
    ret = ret ?: check_context(s, &ctx, pasid, ats);
    if (ret) {
        return ret;
    }
    *req = (VTDRequester) {
        .pasid = pasid == PCI_NO_PASID ? CTX_RID_PASID(ctx.val[1]) : pasid,
    };
    req->key = (uint64_t)sid << 32 | req->pasid;

    cached = g_hash_table_lookup(cache, &req->key);
    if (cached) {
        *req = *cached;
    } else {
        ret = read_pasid_entry(s, &ctx, req);
        if (!ret) {
            vtd_cache_make_room(s, cache);
            cached = g_memdup2(req, sizeof(*req));
            g_hash_table_replace(cache, &cached->key, cached);
        }
    }
    req->fpd = req->fpd || fpd;
    req->rid_priv = pasid == PCI_NO_PASID && ctx.val[1] & CTX_RID_PRIV;
    return ret;
}

int vtd_requester_may_bypass(IntelIOMMUState *s, uint16_t sid, bool *fpd)
{
    ContextEntry ctx = {};
    int ret;

    QEMU_LOCK_GUARD(&s->iommu_lock);
    ret = find_context(s, sid, &ctx);
    *fpd = ctx.val[0] & CTX_FPD;
    return ret ?: (ctx.val[0] & CTX_DTE ? 0 : VTD_TS_CTX_DTE);
}

int vtd_requester_may_page(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                           bool *fpd)
{
    ContextEntry ctx = {};
    int ret;

    QEMU_LOCK_GUARD(&s->iommu_lock);
    ret = find_context(s, sid, &ctx);
    *fpd = ctx.val[0] & CTX_FPD;
    if (ret) {
        return ret;
    }
    if (!(ctx.val[0] & CTX_PRE)) {
        return VTD_TS_CTX_PRE;
    }
    return check_context(s, &ctx, pasid, false);
}

typedef struct DropContext {
    unsigned sid_shift;         /* where the source id is in a key */
    uint16_t sid;
    uint16_t mask;
} DropContext;

static gboolean of_context(gpointer key, gpointer value, gpointer opaque)
{
    const DropContext *drop = opaque;
    uint16_t sid = *(uint64_t *)key >> drop->sid_shift;

    return (sid & drop->mask) == (drop->sid & drop->mask);
}

void vtd_requester_drop_context(IntelIOMMUState *s, uint16_t sid,
                                uint16_t sid_mask)
{
    DropContext drop = { .sid = sid, .mask = sid_mask };

    g_hash_table_foreach_remove(s->twostage.contexts, of_context, &drop);
    if (!s->twostage.keep) {
        drop.sid_shift = 32;
        g_hash_table_foreach_remove(s->twostage.requesters, of_context, &drop);
    }
}

void vtd_requester_drop_pasids(IntelIOMMUState *s)
{
    g_hash_table_remove_all(s->twostage.requesters);
    if (!s->twostage.keep) {
        g_hash_table_remove_all(s->twostage.contexts);
    }
}

static gboolean of_domain(gpointer key, gpointer value, gpointer opaque)
{
    const VTDRequester *req = value;

    return req->did == *(uint16_t *)opaque;
}

void vtd_requester_drop_domain(IntelIOMMUState *s, uint16_t did)
{
    g_hash_table_foreach_remove(s->twostage.requesters, of_domain, &did);
}

static gboolean of_pasid(gpointer key, gpointer value, gpointer opaque)
{
    const VTDRequester *req = value, *drop = opaque;

    return req->did == drop->did && req->pasid == drop->pasid;
}

void vtd_requester_drop_pasid(IntelIOMMUState *s, uint16_t did,
                              uint32_t pasid)
{
    VTDRequester drop = { .did = did, .pasid = pasid };

    g_hash_table_foreach_remove(s->twostage.requesters, of_pasid, &drop);
}
