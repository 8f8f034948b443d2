/*
 * SVA engine: contexts and the device TLB
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI Express 6, 10.2 (translation requests) and 10.3 (invalidation).
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "system/memory.h"
#include "sva-engine.h"
#include "trace.h"

static const uint8_t sva_atc_shifts[] = { 12, 21, 30 };

/* ---------------------------------------------------------- device TLB */

void sva_atc_init(SvaEngineState *s)
{
    s->atc_ways = s->keep ? SVA_ATC_WAYS_KEEP : SVA_ATC_WAYS;
    s->atc = g_new0(SvaAtcEntry, SVA_ATC_SETS * s->atc_ways);
}

static SvaAtcEntry *sva_atc_set(SvaEngineState *s, uint32_t pasid,
                                uint64_t va, uint8_t shift)
{
    uint64_t hash = ((va >> shift) ^ ((uint64_t)pasid << 40) ^ shift) *
                    0x9e3779b97f4a7c15ULL;

    return &s->atc[(hash >> 56) * s->atc_ways];
}
QEMU_BUILD_BUG_ON(SVA_ATC_SETS != 1 << 8);

/* The entry for exactly this page, usable or not */
static SvaAtcEntry *sva_atc_find(SvaEngineState *s, uint32_t pasid,
                                 uint64_t va, uint8_t shift)
{
    SvaAtcEntry *set = sva_atc_set(s, pasid, va, shift);

    for (unsigned way = 0; way < s->atc_ways; way++) {
        SvaAtcEntry *e = &set[way];

        if (e->valid && e->pasid == pasid && e->shift == shift &&
            (e->va ^ va) >> shift == 0) {
            return e;
        }
    }
    return NULL;
}

static bool sva_atc_lookup(SvaEngineState *s, uint32_t pasid, uint64_t va,
                           bool write, SvaTarget *target)
{
    for (unsigned i = 0; i < ARRAY_SIZE(sva_atc_shifts); i++) {
        uint8_t shift = sva_atc_shifts[i];
        SvaAtcEntry *e = sva_atc_find(s, pasid, va, shift);

        if (e && (e->write || !write)) {
            target->as = e->as;
            target->addr = e->pa | extract64(va, 0, shift);
            return true;
        }
    }
    return false;
}

static void sva_atc_insert(SvaEngineState *s, uint32_t pasid, uint64_t va,
                           bool write, uint8_t shift, const SvaTarget *target)
{
    SvaAtcEntry *set = sva_atc_set(s, pasid, va, shift);
    SvaAtcEntry *e = sva_atc_find(s, pasid, va, shift);

    for (unsigned way = 0; !e && way < s->atc_ways; way++) {
        if (!set[way].valid) {
            e = &set[way];
        }
    }
    if (!e) {
        e = &set[s->atc_victim++ % s->atc_ways];
    }
    *e = (SvaAtcEntry) {
        .valid = true,
        .write = write,
        .shift = shift,
        .pasid = pasid,
        .va = va >> shift << shift,
        .pa = target->addr >> shift << shift,
        .as = target->as,
    };
}

/* Returns: how many entries of @pasid overlap [@first, @last] and are gone */
static unsigned sva_atc_drop(SvaEngineState *s, uint32_t pasid,
                             uint64_t first, uint64_t last)
{
    unsigned dropped = 0;

    for (unsigned i = 0; i < SVA_ATC_SETS * s->atc_ways; i++) {
        SvaAtcEntry *e = &s->atc[i];

        if (e->valid && e->pasid == pasid && e->va <= last &&
            e->va + MAKE_64BIT_MASK(0, e->shift) >= first) {
            e->valid = false;
            dropped++;
        }
    }
    return dropped;
}

void sva_atc_flush(SvaEngineState *s)
{
    memset(s->atc, 0, SVA_ATC_SETS * s->atc_ways * sizeof(*s->atc));
}

static void sva_atc_notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SvaContext *ctx = container_of(n, SvaContext, iotlb);
    SvaEngineState *s = ctx->engine;
    uint64_t last = entry->iova + entry->addr_mask;
    unsigned dropped;

    if (last < entry->iova) {
        last = UINT64_MAX;
    }
    dropped = sva_atc_drop(s, ctx->pasid, entry->iova, last);
    s->counter[SVA_CNT_INVALIDATIONS]++;
    s->counter[SVA_CNT_ATC_DROPPED] += dropped;
    trace_sva_engine_invalidate(ctx->pasid, entry->iova, last, dropped);
}

/* ------------------------------------------------------------- contexts */

static void sva_context_disconnect(SvaContext *ctx)
{
    PCIDevice *pdev = PCI_DEVICE(ctx->engine);
    int ret;

    sva_atc_drop(ctx->engine, ctx->pasid, 0, UINT64_MAX);
    if (ctx->iotlb_registered) {
        /*
         * Refused when PASIDs have been disabled: configuration writes come
         * here before they take effect. The IOMMU would keep a pointer to
         * freed memory.
         */
        ret = pci_iommu_unregister_iotlb_notifier(pdev, ctx->pasid,
                                                  &ctx->iotlb);
        g_assert(ret == 0);
        ctx->iotlb_registered = false;
    }
    if (ctx->pri_registered) {
        pci_pri_unregister_notifier(pdev, ctx->pasid);
        ctx->pri_registered = false;
    }
}

void sva_context_disconnect_all(SvaEngineState *s)
{
    SvaContext *ctx, *next;

    s->epoch++;
    QLIST_FOREACH_SAFE(ctx, &s->contexts, next, next) {
        sva_context_disconnect(ctx);
        sva_context_release(ctx);
    }
    sva_pri_drop(s);
}

SvaContext *sva_context_get(SvaEngineState *s, uint32_t pasid)
{
    SvaContext *ctx;

    QLIST_FOREACH(ctx, &s->contexts, next) {
        if (ctx->pasid == pasid) {
            ctx->channels++;
            return ctx;
        }
    }
    ctx = g_new0(SvaContext, 1);
    ctx->engine = s;
    ctx->pasid = pasid;
    ctx->channels = 1;
    ctx->pri.notify = sva_pri_notify;
    QLIST_INSERT_HEAD(&s->contexts, ctx, next);
    return ctx;
}

void sva_context_put(SvaContext *ctx)
{
    ctx->channels--;
    sva_context_release(ctx);
}

static bool sva_context_idle(const SvaContext *ctx)
{
    return !ctx->channels && !ctx->groups;
}

/* Translations outlive their last user, who may come back */
static bool sva_context_keep(const SvaContext *ctx)
{
    const SvaContext *other;
    unsigned idle = 0;

    QLIST_FOREACH(other, &ctx->engine->contexts, next) {
        idle += sva_context_idle(other);
    }
    return ctx->engine->keep && ctx->iotlb_registered &&
           idle <= SVA_CONTEXTS_IDLE;
}

void sva_context_release(SvaContext *ctx)
{
    if (!sva_context_idle(ctx) || sva_context_keep(ctx)) {
        return;
    }
    sva_context_disconnect(ctx);
    QLIST_REMOVE(ctx, next);
    g_free(ctx);
}

bool sva_context_connect(SvaContext *ctx)
{
    PCIDevice *pdev = PCI_DEVICE(ctx->engine);

    if (!pcie_ats_enabled(pdev) ||
        (ctx->pasid != PCI_NO_PASID && !pcie_pasid_enabled(pdev))) {
        return false;
    }
    if (!ctx->iotlb_registered) {
        if (pci_iommu_init_iotlb_notifier(pdev, &ctx->iotlb, sva_atc_notify,
                                          ctx) ||
            pci_iommu_register_iotlb_notifier(pdev, ctx->pasid,
                                              &ctx->iotlb)) {
            return false;
        }
        /* VT-d without device-TLB support takes no notifier, and cannot say */
        ctx->iotlb_registered = QLIST_IS_INSERTED(&ctx->iotlb, node);
        if (!ctx->iotlb_registered) {
            return false;
        }
    }
    if (!ctx->pri_registered && pcie_pri_enabled(pdev) &&
        pci_pri_register_notifier(pdev, ctx->pasid, &ctx->pri) == 0) {
        ctx->pri_registered = true;
    }
    return true;
}

/* ---------------------------------------------------------- translation */

/* Log2 of the largest page of the TLB that fits into a translation, or 0 */
static uint8_t sva_atc_shift(hwaddr addr_mask)
{
    unsigned bits = cto64(addr_mask);
    uint8_t shift = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(sva_atc_shifts); i++) {
        if (bits >= sva_atc_shifts[i]) {
            shift = sva_atc_shifts[i];
        }
    }
    return shift;
}

/*
 * With keep-translations: what is around a page that has been translated, for
 * reading. Nobody asks for it, so it is not counted.
 */
static void sva_atc_ahead(SvaContext *ctx, uint64_t va)
{
    SvaEngineState *s = ctx->engine;
    uint64_t first = va & ~(uint64_t)(SVA_AHEAD_PAGES * SVA_PAGE_SIZE - 1);
    uint64_t epoch = s->epoch;
    IOMMUTLBEntry entry[SVA_AHEAD_PAGES];
    uint32_t pasid = ctx->pasid, errors;
    SvaTarget target;
    ssize_t n;

    n = pci_ats_request_translation(PCI_DEVICE(s), pasid, false, false, first,
                                    SVA_AHEAD_PAGES * SVA_PAGE_SIZE, true,
                                    entry, SVA_AHEAD_PAGES, &errors);
    for (ssize_t i = 0; s->epoch == epoch && i < n; i++) {
        uint8_t shift = entry[i].perm & IOMMU_RO ?
                        sva_atc_shift(entry[i].addr_mask) : 0;

        if (shift && !sva_atc_find(s, pasid, entry[i].iova, shift)) {
            target = (SvaTarget) {
                entry[i].target_as, entry[i].translated_addr,
            };
            sva_atc_insert(s, pasid, entry[i].iova, false, shift, &target);
        }
    }
}

int sva_translate(SvaContext *ctx, uint64_t va, bool write, SvaTarget *target)
{
    SvaEngineState *s = ctx->engine;
    IOMMUAccessFlags want = IOMMU_ACCESS_FLAG(true, write);
    uint64_t epoch = s->epoch;
    uint32_t pasid = ctx->pasid;
    uint32_t errors;
    IOMMUTLBEntry entry;
    uint8_t shift;
    ssize_t n;

    if (!sva_context_connect(ctx)) {
        return SVA_UNTRANSLATED;
    }
    if (sva_atc_lookup(s, pasid, va, write, target)) {
        s->counter[SVA_CNT_ATC_HITS]++;
        return SVA_DONE;
    }

    n = pci_ats_request_translation(PCI_DEVICE(s), pasid, false, false,
                                    va & SVA_PAGE_MASK, SVA_PAGE_SIZE, !write,
                                    &entry, 1, &errors);
    if (s->epoch != epoch) {
        return SVA_GONE;
    }
    if (n == -ENODEV) {
        return SVA_UNTRANSLATED;
    }
    s->counter[SVA_CNT_ATS_REQUESTS]++;
    shift = n == 1 && (entry.perm & want) == want ?
            sva_atc_shift(entry.addr_mask) : 0;
    trace_sva_engine_translate(pasid, va, write, shift,
                               shift ? entry.translated_addr : 0);
    if (!shift) {
        return SVA_MISS;
    }

    target->as = entry.target_as;
    target->addr = (entry.translated_addr & ~entry.addr_mask) |
                   (va & entry.addr_mask);
    sva_atc_insert(s, pasid, va, write, shift, target);
    if (s->keep) {
        sva_atc_ahead(ctx, va);
        return s->epoch == epoch ? SVA_DONE : SVA_GONE;
    }
    return SVA_DONE;
}
