/*
 * SMMUv3 of an emulated host: with host-keep=on its caches keep whatever those
 * of hardware may keep
 *
 * STEs, level-1 context descriptors and CDs are cached as they were read, be
 * they valid or not, until a CFGI command is about them (4.3, 16.2): what is
 * made of them in smmuv3.c is forgotten sooner. A full TLB loses one entry and
 * not all. Pages next to one that is asked for are translated as well.
 *
 * Without host-keep nothing is cached here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmuv3-host.h"
#include "trace.h"

#define STRUCTS_MAX     16384
#define TLB_MAX         32768

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
}

static void drop_one(GHashTable *cache)
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
        drop_one(s->host.structs);
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
    bool stes, l1cds;
} KeptDrop;

static gboolean kept_selected(gpointer key, gpointer value, gpointer opaque)
{
    const KeptDrop *drop = opaque;
    const KeptKey *k = key;

    if (k->sid < drop->first || k->sid > drop->last) {
        return false;
    }
    switch (k->kind) {
    case SMMUV3_KEPT_STE:
        return drop->stes;
    case SMMUV3_KEPT_CD:
        return drop->ssid == SMMUV3_SUBSTREAM_ALL || drop->ssid == k->index;
    case SMMUV3_KEPT_L1CD_4K:
        return drop->l1cds && (drop->ssid == SMMUV3_SUBSTREAM_ALL ||
                               drop->ssid >> 6 == k->index);
    case SMMUV3_KEPT_L1CD_64K:
        return drop->l1cds && (drop->ssid == SMMUV3_SUBSTREAM_ALL ||
                               drop->ssid >> 10 == k->index);
    }
    g_assert_not_reached();
}

void smmuv3_keep_drop(SMMUv3State *s, uint32_t first, uint32_t last,
                      uint32_t ssid, bool stes, bool l1cds)
{
    KeptDrop drop = {
        .first = first, .last = last, .ssid = ssid, .stes = stes,
        .l1cds = l1cds,
    };

    g_hash_table_foreach_remove(s->host.structs, kept_selected, &drop);
}

void smmuv3_keep_make_room(SMMUState *bs)
{
    if (!ARM_SMMUV3(bs)->host.keep) {
        smmu_iotlb_inv_all(bs);
    } else if (g_hash_table_size(bs->iotlb) >= TLB_MAX) {
        drop_one(bs->iotlb);
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
