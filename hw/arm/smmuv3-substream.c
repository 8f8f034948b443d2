/*
 * SMMUv3 of an emulated host: substreams
 *
 * A stream may have many context descriptors, and a request says by its
 * SubstreamID (a PCI endpoint: by its PASID) which of them it is about. The
 * tables in guest memory are those of 5.2 (STE.S1Fmt) and 5.3 (L1CD).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/address-spaces.h"
#include "system/dma.h"
#include "smmuv3-host.h"
#include "trace.h"

/* STE (5.2) */
#define STE_S1DSS(x)        extract32((x)->word[2], 0, 2)
#define S1DSS_BYPASS        1
#define S1DSS_SSID0         2
#define S1FMT_4K_L2         1
#define S1FMT_64K_L2        2

/* L1CD (5.3) */
#define L1CD_VALID          1ULL
#define L1CD_L2PTR          MAKE_64BIT_MASK(12, 44)
#define L1CD_BYTES          8ULL
#define CD_BYTES            ((uint64_t)sizeof(CD))

/* A guest can make up a million substreams for each of its devices */
#define CONFIGS_MAX         1024

/* Log2 of the number of substreams of a stream with stage 1 */
static unsigned smmuv3_substream_bits(const SMMUv3State *s, const STE *ste)
{
    return s->host.ssidsize ? STE_S1CDMAX(ste) : 0;
}

static bool smmuv3_substream_fault(SMMUEventInfo *event, SMMUEventType type)
{
    event->type = type;
    return false;
}

bool smmuv3_substream_select(SMMUv3State *s, const STE *ste, SMMUTransCfg *cfg,
                             SMMUEventInfo *event)
{
    bool stage1 = cfg->stage == SMMU_STAGE_1 || cfg->stage == SMMU_NESTED;
    unsigned bits = stage1 ? smmuv3_substream_bits(s, ste) : 0;

    if (cfg->aborted) {
        return true;
    }
    if (event->ssv) {
        /* Full bypass as well: a SubstreamID needs stage 1 */
        if (!bits || event->ssid >> bits) {
            return smmuv3_substream_fault(event, SMMU_EVT_C_BAD_SUBSTREAMID);
        }
        if (!event->ssid && STE_S1DSS(ste) == S1DSS_SSID0) {
            return smmuv3_substream_fault(event, SMMU_EVT_F_STREAM_DISABLED);
        }
        return true;
    }
    if (!bits) {
        return true;
    }
    switch (STE_S1DSS(ste)) {
    case S1DSS_BYPASS:
        if (cfg->stage == SMMU_NESTED) {
            cfg->stage = SMMU_STAGE_2;
        } else {
            cfg->bypassed = true;
        }
        return true;
    case S1DSS_SSID0:
        return true;
    default:
        /* 3 is reserved and behaves as 0 */
        return smmuv3_substream_fault(event, SMMU_EVT_F_STREAM_DISABLED);
    }
}

/* SubstreamID bits that index a leaf table; 0: the table is linear */
static unsigned smmuv3_substream_split(const STE *ste)
{
    switch (STE_S1FMT(ste)) {
    case S1FMT_4K_L2:
        return 6;
    case S1FMT_64K_L2:
        return 10;
    default:
        /* 3 is reserved and behaves as 0 */
        return 0;
    }
}

/* @desc: of the leaf table that has @ssid's CD */
static bool smmuv3_substream_fetch_l1(SMMUv3State *s, SMMUTransCfg *cfg,
                                      SMMUEventInfo *event, dma_addr_t addr,
                                      uint64_t *desc)
{
    SMMUTLBEntry *entry;

    if (cfg->stage == SMMU_NESTED) {
        if (smmuv3_do_translate(s, addr, cfg, event, IOMMU_RO, &entry,
                                SMMU_CLASS_CD) != SMMU_TRANS_SUCCESS) {
            return false;
        }
        addr = CACHED_ENTRY_TO_ADDR(entry, addr);
    }
    if (ldq_le_dma(&address_space_memory, addr, desc,
                   SMMUV3_TABLE_ATTRS) != MEMTX_OK) {
        event->u.f_cd_fetch.addr = addr;
        return smmuv3_substream_fault(event, SMMU_EVT_F_CD_FETCH);
    }
    return true;
}

/* @addr: of the table; @index: of the descriptor in it */
static bool smmuv3_substream_l1(SMMUv3State *s, SMMUTransCfg *cfg,
                                SMMUEventInfo *event, unsigned split,
                                dma_addr_t addr, uint32_t index,
                                uint64_t *desc)
{
    unsigned ias = oas2bits(FIELD_EX32(s->idr[5], IDR5, OAS));
    SMMUv3Kept kind = split == 6 ? SMMUV3_KEPT_L1CD_4K : SMMUV3_KEPT_L1CD_64K;

    if (!smmuv3_keep_find(s, kind, event->sid, index, desc, sizeof(*desc))) {
        if (!smmuv3_substream_fetch_l1(s, cfg, event,
                                       addr + index * L1CD_BYTES, desc)) {
            return false;
        }
        smmuv3_keep_add(s, kind, event->sid, index, desc, sizeof(*desc));
    }
    if (!(*desc & L1CD_VALID) || (*desc & L1CD_L2PTR) >> ias) {
        return smmuv3_substream_fault(event, SMMU_EVT_C_BAD_SUBSTREAMID);
    }
    return true;
}

bool smmuv3_substream_cd(SMMUv3State *s, const STE *ste, SMMUTransCfg *cfg,
                         SMMUEventInfo *event, dma_addr_t *addr)
{
    unsigned bits = smmuv3_substream_bits(s, ste);
    unsigned split = smmuv3_substream_split(ste);
    uint32_t ssid = event->ssv ? event->ssid : 0;
    uint64_t desc, size;

    *addr = STE_CTXPTR(ste);
    if (!bits) {
        return true;
    }
    /* Tables are aligned to their size, and to 64 bytes at the least */
    if (!split) {
        *addr &= ~((CD_BYTES << bits) - 1);
        *addr += ssid * CD_BYTES;
        return true;
    }
    size = bits > split ? L1CD_BYTES << (bits - split) : 0;
    *addr &= ~(MAX(size, 64ULL) - 1);
    if (!smmuv3_substream_l1(s, cfg, event, split, *addr, ssid >> split,
                             &desc)) {
        return false;
    }
    *addr = desc & L1CD_L2PTR & ~((CD_BYTES << split) - 1);
    *addr += (ssid & MAKE_64BIT_MASK(0, split)) * CD_BYTES;
    trace_smmuv3_substream_cd(event->sid, ssid, desc, *addr);
    return true;
}

bool smmuv3_substream_translate(PCIBus *bus, void *opaque, int devfn,
                                uint32_t pasid, hwaddr addr, bool is_write,
                                IOMMUTLBEntry *entry)
{
    SMMUv3State *s = ARM_SMMUV3(opaque);
    SMMUDevice *sdev = smmuv3_host_sdev(bus, opaque, devfn);
    IOMMUMemoryRegionClass *imrc;

    if (!s->host.ssidsize || !sdev) {
        return false;
    }
    /* Index 0 of the region is for requests without a SubstreamID */
    imrc = IOMMU_MEMORY_REGION_GET_CLASS(&sdev->iommu);
    *entry = imrc->translate(&sdev->iommu, addr,
                             is_write ? IOMMU_WO : IOMMU_RO, pasid + 1);
    return true;
}

/* ------------------------------------------------ cached configurations */

/*
 * By StreamID, not by device: a device whose bus is renumbered is another
 * stream.
 */
static uint64_t smmuv3_substream_key(uint32_t sid, uint32_t ssid)
{
    return (uint64_t)sid << 32 | ssid;
}

SMMUTransCfg *smmuv3_substream_find(SMMUDevice *sdev, uint32_t ssid)
{
    SMMUv3State *s = sdev->smmu;
    uint64_t key = smmuv3_substream_key(smmu_get_sid(sdev), ssid);

    return g_hash_table_lookup(s->host.configs, &key);
}

void smmuv3_substream_keep(SMMUDevice *sdev, uint32_t ssid, SMMUTransCfg *cfg)
{
    SMMUv3State *s = sdev->smmu;
    uint64_t *key = g_new(uint64_t, 1);

    if (g_hash_table_size(s->host.configs) >= CONFIGS_MAX) {
        g_hash_table_remove_all(s->host.configs);
    }
    *key = smmuv3_substream_key(smmu_get_sid(sdev), ssid);
    g_hash_table_replace(s->host.configs, key, cfg);
}

typedef struct SubstreamRange {
    uint32_t first, last, ssid;
} SubstreamRange;

static gboolean smmuv3_substream_match(gpointer key, gpointer value,
                                       gpointer opaque)
{
    const SubstreamRange *range = opaque;
    uint32_t sid = *(uint64_t *)key >> 32, ssid = *(uint64_t *)key;

    return sid >= range->first && sid <= range->last &&
           (range->ssid == SMMUV3_SUBSTREAM_ALL || range->ssid == ssid);
}

void smmuv3_substream_drop(SMMUv3State *s, uint32_t first, uint32_t last,
                           uint32_t ssid)
{
    SubstreamRange range = { .first = first, .last = last, .ssid = ssid };
    unsigned dropped;

    dropped = g_hash_table_foreach_remove(s->host.configs,
                                          smmuv3_substream_match, &range);
    trace_smmuv3_substream_drop(first, last, ssid, dropped);
}
