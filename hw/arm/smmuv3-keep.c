/*
 * SMMUv3 of an emulated host: with host-keep=on its caches keep whatever those
 * of hardware may keep
 *
 * Level-1 stream table descriptors, STEs, level-1 context descriptors and CDs
 * are cached as they were read, be they valid or not, until a CFGI command is
 * about them (4.3, 16.2): what is made of them in smmuv3.c is forgotten sooner.
 * A full TLB loses one entry and not all. Pages next to one that is asked for
 * are translated as well. An event like the one before, which nobody has read
 * yet, is merged into it if the STE allows that.
 *
 * Without host-keep nothing is cached here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "system/address-spaces.h"
#include "system/dma.h"
#include "smmuv3-host.h"
#include "smmuv3-nested.h"
#include "trace.h"

#define STRUCTS_MAX     16384
#define TLB_MAX         32768

#define STE_MEV(x)      extract32((x)->word[2], 19, 1)

/* Pages that are translated together, aligned */
#define AHEAD_PAGES     8

typedef struct KeptKey {
    SMMUv3Kept kind;
    uint32_t sid;
    uint32_t index;
} KeptKey;

typedef struct KeptStruct {
    KeptKey key;
    uint8_t data[SMMUV3_KEPT_MAX];
} KeptStruct;

static guint kept_hash(gconstpointer v)
{
    const KeptKey *key = v;

    return key->sid * 31 ^ key->index * 4 ^ key->kind;
}

static gboolean kept_equal(gconstpointer v1, gconstpointer v2)
{
    const KeptKey *a = v1, *b = v2;

    return a->kind == b->kind && a->sid == b->sid && a->index == b->index;
}

void smmuv3_keep_init(SMMUv3State *s)
{
    /* Keys are parts of the values */
    s->host.structs = g_hash_table_new_full(kept_hash, kept_equal, NULL,
                                            g_free);
    smmuv3_walks_init(s);
}

void smmuv3_keep_drop_one(GHashTable *cache)
{
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, cache);
    if (g_hash_table_iter_next(&iter, NULL, NULL)) {
        g_hash_table_iter_remove(&iter);
    }
}

bool smmuv3_keep_find(SMMUv3State *s, SMMUv3Kept kind, uint32_t sid,
                      uint32_t index, void *data, size_t len)
{
    const KeptKey key = { .kind = kind, .sid = sid, .index = index };
    const KeptStruct *kept = g_hash_table_lookup(s->host.structs, &key);

    if (kept) {
        memcpy(data, kept->data, len);
    }
    return kept;
}

void smmuv3_keep_add(SMMUv3State *s, SMMUv3Kept kind, uint32_t sid,
                     uint32_t index, const void *data, size_t len)
{
    KeptStruct *kept;

    if (!s->host.keep) {
        return;
    }
    if (g_hash_table_size(s->host.structs) >= STRUCTS_MAX) {
        smmuv3_keep_drop_one(s->host.structs);
    }
    g_assert(len <= sizeof(kept->data));
    kept = g_new0(KeptStruct, 1);
    kept->key = (KeptKey) { .kind = kind, .sid = sid, .index = index };
    memcpy(kept->data, data, len);
    g_hash_table_replace(s->host.structs, &kept->key, kept);
}

int smmuv3_keep_ste(SMMUv3State *s, uint32_t sid, STE *ste,
                    SMMUEventInfo *event)
{
    int ret;

    if (smmuv3_keep_find(s, SMMUV3_KEPT_STE, sid, 0, ste, sizeof(*ste))) {
        return 0;
    }
    ret = smmu_find_ste(s, sid, ste, event);
    if (!ret) {
        smmuv3_keep_add(s, SMMUV3_KEPT_STE, sid, 0, ste, sizeof(*ste));
    }
    return ret;
}

MemTxResult smmuv3_keep_l1std(SMMUv3State *s, uint32_t sid, hwaddr addr,
                              STEDesc *desc)
{
    MemTxResult ret;

    sid &= ~((1ULL << s->sid_split) - 1);
    if (smmuv3_keep_find(s, SMMUV3_KEPT_L1STD, sid, s->sid_split, desc,
                         sizeof(*desc))) {
        return MEMTX_OK;
    }
    ret = dma_memory_read(&address_space_memory, addr, desc, sizeof(*desc),
                          SMMUV3_TABLE_ATTRS);
    if (ret == MEMTX_OK) {
        smmuv3_keep_add(s, SMMUV3_KEPT_L1STD, sid, s->sid_split, desc,
                        sizeof(*desc));
    }
    return ret;
}

int smmuv3_keep_cd(SMMUv3State *s, STE *ste, SMMUTransCfg *cfg, CD *cd,
                   SMMUEventInfo *event)
{
    uint32_t ssid = event->ssv ? event->ssid : 0;
    int ret;

    if (smmuv3_keep_find(s, SMMUV3_KEPT_CD, event->sid, ssid, cd,
                         sizeof(*cd))) {
        return 0;
    }
    ret = smmu_get_cd(s, ste, cfg, cd, event);
    if (!ret) {
        smmuv3_keep_add(s, SMMUV3_KEPT_CD, event->sid, ssid, cd, sizeof(*cd));
    }
    return ret;
}

typedef struct KeptDrop {
    uint32_t first, last, ssid;
    SMMUv3KeepDrop more;
} KeptDrop;

static gboolean kept_selected(gpointer key, gpointer value, gpointer opaque)
{
    const KeptDrop *drop = opaque;
    const KeptKey *k = key;
    bool l1cds = drop->more & SMMUV3_KEEP_DROP_L1CDS;

    if (k->kind == SMMUV3_KEPT_L1STD) {
        return drop->more & SMMUV3_KEEP_DROP_L1STDS && k->sid <= drop->last &&
               (k->sid | MAKE_64BIT_MASK(0, k->index)) >= drop->first;
    }
    if (k->sid < drop->first || k->sid > drop->last) {
        return false;
    }
    switch (k->kind) {
    case SMMUV3_KEPT_L1STD:
        break;
    case SMMUV3_KEPT_STE:
        return drop->more & SMMUV3_KEEP_DROP_STES;
    case SMMUV3_KEPT_CD:
        return drop->ssid == SMMUV3_SUBSTREAM_ALL || drop->ssid == k->index;
    case SMMUV3_KEPT_L1CD_4K:
        return l1cds && (drop->ssid == SMMUV3_SUBSTREAM_ALL ||
                         drop->ssid >> 6 == k->index);
    case SMMUV3_KEPT_L1CD_64K:
        return l1cds && (drop->ssid == SMMUV3_SUBSTREAM_ALL ||
                         drop->ssid >> 10 == k->index);
    }
    g_assert_not_reached();
}

void smmuv3_keep_drop(SMMUv3State *s, uint32_t first, uint32_t last,
                      uint32_t ssid, SMMUv3KeepDrop more)
{
    KeptDrop drop = {
        .first = first, .last = last, .ssid = ssid, .more = more,
    };

    g_hash_table_foreach_remove(s->host.structs, kept_selected, &drop);
}

void smmuv3_keep_make_room(SMMUState *bs)
{
    if (!ARM_SMMUV3(bs)->host.keep) {
        smmu_iotlb_inv_all(bs);
    } else if (g_hash_table_size(bs->iotlb) >= TLB_MAX) {
        smmuv3_keep_drop_one(bs->iotlb);
    }
}

SMMUTranslationStatus smmuv3_keep_request(SMMUv3State *s, hwaddr addr,
                                          SMMUTransCfg *cfg,
                                          SMMUEventInfo *event,
                                          IOMMUAccessFlags flag,
                                          SMMUTLBEntry **entry,
                                          SMMUTranslationClass class)
{
    uint32_t misses = cfg->iotlb_misses;
    hwaddr first = addr & ~MAKE_64BIT_MASK(0, 15), page;
    SMMUTranslationStatus status;

    status = smmuv3_do_translate(s, addr, cfg, event, flag, entry, class);
    if (!s->host.keep || status != SMMU_TRANS_SUCCESS ||
        cfg->iotlb_misses == misses) {
        return status;
    }
    for (page = first; page - first < AHEAD_PAGES * 4096; page += 4096) {
        SMMUEventInfo quiet = { .sid = event->sid, .inval_ste_allowed = true };
        SMMUTLBEntry *ignored;

        smmuv3_do_translate(s, page, cfg, &quiet, IOMMU_NONE, &ignored, class);
    }
    /* Making room may have cost the entry */
    return smmuv3_do_translate(s, addr, cfg, event, flag, entry, class);
}

/*
 * Cached entries and configurations last as long as the mutex is held: who has
 * a thread of his own meets invalidations.
 */
SMMUTranslationStatus smmuv3_keep_translate(IOMMUMemoryRegion *mr, hwaddr addr,
                                            SMMUTransCfg *cfg,
                                            SMMUEventInfo *event,
                                            IOMMUAccessFlags flag,
                                            IOMMUTLBEntry *entry)
{
    SMMUDevice *sdev = container_of(mr, SMMUDevice, iommu);
    SMMUTranslationStatus status;
    SMMUTLBEntry *tlbe;

    smmuv3_nested_cmdqv_translate(sdev->smmu);
    status = smmuv3_keep_request(sdev->smmu, addr, cfg, event, flag, &tlbe,
                                 SMMU_CLASS_IN);
    if (status == SMMU_TRANS_SUCCESS) {
        entry->perm = smmu_tlbe_perm(cfg, tlbe);
        entry->translated_addr = CACHED_ENTRY_TO_ADDR(tlbe, addr);
        entry->addr_mask = tlbe->entry.addr_mask;
        trace_smmuv3_translate_success(mr->parent_obj.name, event->sid, addr,
                                       entry->translated_addr, entry->perm,
                                       cfg->stage);
    }
    return status;
}

/* What records of events that are merged have in common (7.3.1) */
static bool same_event(const uint32_t *a, const uint32_t *b)
{
    unsigned type = a[0] & 0xff, i;

    if (type < SMMU_EVT_F_TRANSLATION || type > SMMU_EVT_F_PERMISSION) {
        return false;
    }
    for (i = 0; i < sizeof(Evt) / sizeof(*a); i++) {
        /* Of the input address, the page */
        if ((a[i] ^ b[i]) & (i == 4 ? ~0xfffU : ~0U)) {
            return false;
        }
    }
    return true;
}

bool smmuv3_keep_merged(SMMUv3State *s, const Evt *evt)
{
    SMMUv3Host *host = &s->host;
    uint32_t sid = evt->word[1];
    bool mev;
    STE ste;

    if (!host->keep || !smmuv3_eventq_enabled(s)) {
        return false;
    }
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        mev = smmuv3_keep_find(s, SMMUV3_KEPT_STE, sid, 0, &ste,
                               sizeof(ste)) && STE_MEV(&ste);
    }
    if (smmuv3_q_full(&s->eventq)) {
        return false;
    }
    if (mev && !smmuv3_q_empty(&s->eventq) &&
        same_event(evt->word, host->last_event)) {
        return true;
    }
    memcpy(host->last_event, evt->word, sizeof(host->last_event));
    return false;
}
