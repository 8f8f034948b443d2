/*
 * SMMUv3 nested translation: from the guest's stream table to attachments
 *
 * The tables in guest memory are the truth; what the core has for a device is
 * made to match whenever the guest says that something may have changed. The
 * core makes no host call for what did not change. Context descriptors are
 * the host's to read: the STE is handed over with its pointer to them. They
 * are read here only where devices of one IOMMU group of the host have a table
 * each, see smmuv3_nested_group().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qapi/error.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "system/address-spaces.h"
#include "system/dma.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

/* STE.S1Fmt and STE.S1DSS (5.2) */
#define S1FMT_LINEAR        0
#define S1FMT_4K_L2         1
#define S1FMT_RESERVED      3
#define S1DSS_TERMINATE     0
#define S1DSS_BYPASS        1
#define S1DSS_SSID0         2
#define S1DSS_RESERVED      3

/* Level 1 descriptor of a CD table (5.4.1) */
#define L1CD_VALID          1ULL
#define L1CD_L2PTR          0x000ffffffffff000ULL

/*
 * Fields of an STE that the host accepts (kernel: STRTAB_STE_0_NESTING_ALLOWED
 * and STRTAB_STE_1_NESTING_ALLOWED) and that concern every stage-1 stream: V,
 * Config, S1ContextPtr; S1CIR, S1COR, S1CSH
 */
#define STE0_ALWAYS         0x000fffffffffffcfULL
#define STE1_ALWAYS         0x00000000000000fcULL
/* And, besides S1Fmt and S1DSS, those of streams with substreams */
#define STE0_S1FMT_SHIFT    4
#define STE0_S1FMT          (3ULL << STE0_S1FMT_SHIFT)
#define STE0_S1CTXPTR       0x000fffffffffffc0ULL
#define STE0_S1CDMAX        0xf800000000000000ULL
#define STE1_S1DSS          3ULL
#define STE1_S1STALLD       (1ULL << 27)
#define STE1_EATS_FULL      (1ULL << 28)

/* CDs of a table that are compared: with others in it, it is like no other */
#define GROUP_CDS_LOG2      10
#define CD_WORD0_V          (1u << 31)

/* One of a group, with stage 1 */
typedef struct SMMUv3NestedMember {
    SMMUv3NestedDevice *ndev;
    struct iommu_hwpt_arm_smmuv3 s1;    /* the STE that it is to have */
    GBytes *cds;                /* see smmuv3_nested_cds() */
    bool read;
} SMMUv3NestedMember;

/* What an STE makes of a device */
typedef struct SMMUv3NestedEntry {
    IOMMUFDNestedState state;
    const char *why;            /* BLOCKED: static text */
    SMMUEventInfo event;        /* BLOCKED: what a transaction would record */
    bool present;               /* BLOCKED: there is an STE, but bad */
    bool ats;
    struct iommu_hwpt_arm_smmuv3 s1;
} SMMUv3NestedEntry;

static void smmuv3_nested_block(SMMUv3NestedEntry *entry, const char *why)
{
    entry->state = IOMMUFD_NESTED_BLOCKED;
    entry->why = why;
}

static void smmuv3_nested_bad(SMMUv3NestedEntry *entry, const char *why)
{
    smmuv3_nested_block(entry, why);
    entry->event.type = SMMU_EVT_C_BAD_STE;
    entry->present = true;
}

/* The reserved values behave as 0 */
static uint8_t smmuv3_nested_s1fmt(const STE *ste)
{
    return STE_S1FMT(ste) == S1FMT_RESERVED ? S1FMT_LINEAR : STE_S1FMT(ste);
}

static uint8_t smmuv3_nested_s1dss(const STE *ste)
{
    return STE_S1DSS(ste) == S1DSS_RESERVED ? S1DSS_TERMINATE :
                                              STE_S1DSS(ste);
}

/* Why an STE with stage 1 is ILLEGAL (5.2.2); NULL: it is not */
static const char *smmuv3_nested_illegal(const SMMUv3Nested *n, const STE *ste)
{
    uint8_t cdmax = STE_S1CDMAX(ste);

    if (cdmax > n->feature[SMMUV3_NESTED_SSIDSIZE]) {
        return "STE has more substreams than IDR1.SSIDSIZE";
    }
    if (cdmax && STE_S1FMT(ste) && !n->feature[SMMUV3_NESTED_CD2L]) {
        return "STE has a format of the CD table that is not offered";
    }
    if (STE_S1STALLD(ste)) {
        return "STE has S1STALLD, but there are no stalls";
    }
    if (n->feature[SMMUV3_NESTED_ATS] && STE_EATS(ste) == STE_EATS_SPLIT) {
        return "STE asks for split-stage ATS";
    }
    return NULL;
}

static void smmuv3_nested_stage1(const SMMUv3NestedDevice *ndev,
                                 const STE *ste, SMMUv3NestedEntry *entry)
{
    const SMMUv3Nested *n = ndev->n;
    const char *why = smmuv3_nested_illegal(n, ste);
    uint64_t ste0 = (uint64_t)ste->word[1] << 32 | ste->word[0];
    uint64_t ste1 = (uint64_t)ste->word[3] << 32 | ste->word[2];

    if (why) {
        smmuv3_nested_bad(entry, why);
        return;
    }
    ste1 &= STE1_ALWAYS;
    if (STE_S1CDMAX(ste)) {
        ste0 &= STE0_ALWAYS | STE0_S1CDMAX;
        ste0 |= smmuv3_nested_s1fmt(ste) << STE0_S1FMT_SHIFT;
        ste1 |= smmuv3_nested_s1dss(ste);
    } else {
        ste0 &= STE0_ALWAYS;
    }
    if (smmuv3_nested_host_stalls(&ndev->info)) {
        /* The guest has none: its CD.S is then ILLEGAL, as it expects */
        ste1 |= STE1_S1STALLD;
    }
    entry->ats = n->feature[SMMUV3_NESTED_ATS] &&
                 STE_EATS(ste) == STE_EATS_FULL &&
                 smmuv3_nested_host_ats(&ndev->info);
    if (entry->ats) {
        ste1 |= STE1_EATS_FULL;
    }
    entry->state = IOMMUFD_NESTED_STAGE1;
    entry->s1.ste[0] = cpu_to_le64(ste0);
    entry->s1.ste[1] = cpu_to_le64(ste1);
}

static void smmuv3_nested_decode(const SMMUv3NestedDevice *ndev,
                                 const STE *ste, SMMUv3NestedEntry *entry)
{
    uint32_t config = STE_CONFIG(ste);

    if (!STE_VALID(ste)) {
        smmuv3_nested_bad(entry, "STE not valid");
        entry->present = false;
    } else if (STE_CFG_ABORT(config)) {
        smmuv3_nested_block(entry, "STE says abort");
    } else if (STE_CFG_BYPASS(config)) {
        entry->state = IOMMUFD_NESTED_BYPASS;
    } else if (STE_CFG_S2_ENABLED(config)) {
        smmuv3_nested_bad(entry, "STE asks for stage 2, which is not offered");
    } else {
        smmuv3_nested_stage1(ndev, ste, entry);
    }
}

static void smmuv3_nested_read(const SMMUv3NestedDevice *ndev,
                               SMMUv3NestedEntry *entry)
{
    SMMUv3Nested *n = ndev->n;
    SMMUv3State *s = n->s;
    STE ste;

    *entry = (SMMUv3NestedEntry) {
        .event.sid = ndev->sid,
        .event.inval_ste_allowed = true,
    };
    if (!smmu_enabled(s)) {
        if (FIELD_EX32(s->gbpa, GBPA, ABORT)) {
            smmuv3_nested_block(entry, "GBPA says abort");
        } else {
            entry->state = IOMMUFD_NESTED_STAGE2;
        }
    } else if (smmuv3_nested_find(n, ndev->sid) != ndev) {
        /* Half-way through numbering its buses, the guest has two of them */
        smmuv3_nested_block(entry, "StreamID is not the device's alone");
    } else if (smmu_find_ste(s, ndev->sid, &ste, &entry->event)) {
        entry->present = entry->event.type != SMMU_EVT_C_BAD_STREAMID;
        smmuv3_nested_block(entry, entry->present ? "STE not readable" :
                                                    "no STE for the StreamID");
    } else {
        smmuv3_nested_decode(ndev, &ste, entry);
    }
}

/*
 * Record what a transaction would have met: the host tells of none. An STE
 * that is not there is no mistake of the guest. Others are told once: the
 * reason the core keeps is the memory of it.
 */
static void smmuv3_nested_record(SMMUv3NestedDevice *ndev,
                                 SMMUv3NestedEntry *entry)
{
    const char *was = NULL;
    IOMMUFDNestedState state;

    state = iommufd_nested_get(ndev->dev, IOMMUFD_NESTED_RID, &was);
    if (entry->present && (state != IOMMUFD_NESTED_BLOCKED ||
                           was != entry->why)) {
        smmuv3_record_event(ndev->n->s, &entry->event);
    }
}

/* Nothing will be attached, so the host will forget nothing by itself */
static bool smmuv3_nested_same(const SMMUv3NestedDevice *ndev,
                               const SMMUv3NestedEntry *entry)
{
    return entry->state == IOMMUFD_NESTED_STAGE1 &&
           iommufd_nested_get(ndev->dev, IOMMUFD_NESTED_RID, NULL) ==
           IOMMUFD_NESTED_STAGE1 &&
           !memcmp(&ndev->s1, &entry->s1, sizeof(ndev->s1));
}

SMMUv3NestedDevice *smmuv3_nested_mate(const SMMUv3NestedDevice *ndev,
                                       const SMMUv3NestedDevice *after)
{
    IOMMUFDNestedDevice *o;

    o = iommufd_nested_group_other(ndev->dev, after ? after->dev : NULL);
    return o ? iommufd_nested_device_opaque(o) : NULL;
}

/*
 * Where the CDs of SSID 0 and up are, and how many (log2). Those of SSIDs that
 * are not in the first leaf of a table of two levels must not be valid.
 * Return: false: too many, or not readable. *@addr is 0 if there is no leaf.
 */
static bool smmuv3_nested_cds_at(uint64_t ste0, dma_addr_t *addr,
                                 unsigned *bits)
{
    unsigned fmt = extract64(ste0, STE0_S1FMT_SHIFT, 2);
    unsigned leaf = fmt == S1FMT_4K_L2 ? 6 : 10;
    g_autofree uint64_t *l1 = NULL;
    size_t num;

    *addr = ste0 & STE0_S1CTXPTR;
    *bits = ste0 >> 59;
    if (!*bits || fmt == S1FMT_LINEAR) {
        return *bits <= GROUP_CDS_LOG2;
    }
    num = (size_t)1 << (*bits > leaf ? *bits - leaf : 0);
    *bits = MIN(*bits, leaf);
    l1 = g_new(uint64_t, num);
    if (dma_memory_read(&address_space_memory, *addr, l1, num * sizeof(*l1),
                        MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        return false;
    }
    for (size_t i = 1; i < num; i++) {
        if (le64_to_cpu(l1[i]) & L1CD_VALID) {
            return false;
        }
    }
    *addr = le64_to_cpu(l1[0]) & L1CD_VALID ?
            le64_to_cpu(l1[0]) & L1CD_L2PTR : 0;
    return true;
}

/* What the CDs say, as bytes; NULL: not known */
static GBytes *smmuv3_nested_cds(const SMMUv3NestedDevice *ndev)
{
    g_autofree CD *cds = NULL;
    dma_addr_t addr;
    unsigned bits;
    size_t num;

    if (!smmuv3_nested_cds_at(le64_to_cpu(ndev->own.ste[0]), &addr, &bits)) {
        return NULL;
    }
    num = (size_t)1 << bits;
    cds = g_new0(CD, num);
    if (addr && dma_memory_read(&address_space_memory, addr, cds,
                                num * sizeof(*cds),
                                MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        return NULL;
    }
    for (size_t i = 0; i < num; i++) {
        iommufd_nested_count_read(ndev->n->core);
        if (!(le32_to_cpu(cds[i].word[0]) & CD_WORD0_V)) {
            memset(&cds[i], 0, sizeof(cds[i]));
        }
    }
    return g_bytes_new_take(g_steal_pointer(&cds), num * sizeof(*cds));
}

static GBytes *smmuv3_nested_member_cds(SMMUv3NestedMember *m)
{
    if (!m->read) {
        m->cds = smmuv3_nested_cds(m->ndev);
        m->read = true;
    }
    return m->cds;
}

static uint64_t smmuv3_nested_ctxptr(const struct iommu_hwpt_arm_smmuv3 *s1)
{
    return le64_to_cpu(s1->ste[0]) & STE0_S1CTXPTR;
}

static bool smmuv3_nested_eats(const struct iommu_hwpt_arm_smmuv3 *s1)
{
    return le64_to_cpu(s1->ste[1]) & STE1_EATS_FULL;
}

/*
 * EATS of a device without ATS means nothing: the host sets that of its own STE
 * by what the device has (arm_smmu_attach_prepare())
 */
static bool smmuv3_nested_has_ats(const SMMUv3NestedDevice *ndev)
{
    PCIDevice *pdev = ndev->bus->devices[ndev->devfn];

    return pdev && pci_is_express(pdev) && pdev->exp.ats_cap &&
           smmuv3_nested_host_ats(&ndev->info);
}

static uint64_t smmuv3_nested_cdmax(const struct iommu_hwpt_arm_smmuv3 *s1)
{
    return le64_to_cpu(s1->ste[0]) & STE0_S1CDMAX;
}

/* Requests with and without substream go the same way */
static bool smmuv3_nested_ssid0(const struct iommu_hwpt_arm_smmuv3 *s1)
{
    return smmuv3_nested_cdmax(s1) &&
           (le64_to_cpu(s1->ste[1]) & STE1_S1DSS) == S1DSS_SSID0;
}

static bool smmuv3_nested_first_cd(const SMMUv3NestedDevice *ndev, CD *cd)
{
    uint64_t ste0 = le64_to_cpu(ndev->own.ste[0]), l1;
    dma_addr_t addr = ste0 & STE0_S1CTXPTR;

    iommufd_nested_count_read(ndev->n->core);
    if (ste0 & STE0_S1CDMAX && ste0 & STE0_S1FMT) {
        if (dma_memory_read(&address_space_memory, addr, &l1, sizeof(l1),
                            MEMTXATTRS_UNSPECIFIED) != MEMTX_OK ||
            !(le64_to_cpu(l1) & L1CD_VALID)) {
            return false;
        }
        addr = le64_to_cpu(l1) & L1CD_L2PTR;
    }
    return dma_memory_read(&address_space_memory, addr, cd, sizeof(*cd),
                           MEMTXATTRS_UNSPECIFIED) == MEMTX_OK;
}

/*
 * One without substreams, whose device cannot have any, beside one with: the
 * second's STE means the same for it if the first CDs do
 */
static bool smmuv3_nested_same_first(const SMMUv3NestedDevice *a,
                                     const SMMUv3NestedDevice *b)
{
    bool few = smmuv3_nested_cdmax(&b->own);
    CD x, y;

    return !(few ? a : b)->info.max_pasid_log2 &&
           smmuv3_nested_ssid0(&(few ? b : a)->own) &&
           smmuv3_nested_first_cd(a, &x) && smmuv3_nested_first_cd(b, &y) &&
           !memcmp(&x, &y, sizeof(x));
}

/* Whether the STEs, be it with different tables of CDs, say the same */
static bool smmuv3_nested_alike(SMMUv3NestedMember *a, SMMUv3NestedMember *b)
{
    const struct iommu_hwpt_arm_smmuv3 *x = &a->ndev->own, *y = &b->ndev->own;
    uint64_t ste0 = le64_to_cpu(x->ste[0] ^ y->ste[0]);
    uint64_t ste1 = le64_to_cpu(x->ste[1] ^ y->ste[1]);
    bool first = !smmuv3_nested_cdmax(x) != !smmuv3_nested_cdmax(y);

    if (ste1 & STE1_EATS_FULL &&
        !smmuv3_nested_has_ats(smmuv3_nested_eats(x) ? b->ndev : a->ndev)) {
        ste1 &= ~STE1_EATS_FULL;
    }
    if (first) {
        ste0 &= ~(STE0_S1CDMAX | STE0_S1FMT);
        ste1 &= ~STE1_S1DSS;
    }
    if (ste1 || ste0 & ~STE0_S1CTXPTR) {
        return false;
    }
    if (first) {
        return smmuv3_nested_same_first(a->ndev, b->ndev);
    }
    return !ste0 ||
           (smmuv3_nested_member_cds(a) && smmuv3_nested_member_cds(b) &&
            g_bytes_equal(a->cds, b->cds));
}

static void smmuv3_nested_member_clear(void *opaque)
{
    SMMUv3NestedMember *m = opaque;

    g_clear_pointer(&m->cds, g_bytes_unref);
}

static void smmuv3_nested_join(GArray *group, SMMUv3NestedDevice *ndev)
{
    const SMMUv3NestedMember m = { .ndev = ndev, .s1 = ndev->own };

    if (ndev->stage1) {
        g_array_append_val(group, m);
    }
}

/* That with substreams comes first, then that with the lowest table */
static bool smmuv3_nested_before(const struct iommu_hwpt_arm_smmuv3 *a,
                                 const struct iommu_hwpt_arm_smmuv3 *b)
{
    uint64_t x = smmuv3_nested_cdmax(a), y = smmuv3_nested_cdmax(b);

    return x != y ? x > y : smmuv3_nested_ctxptr(a) < smmuv3_nested_ctxptr(b);
}

/* @m gets the STE of one that says the same, with ATS if either has it */
static void smmuv3_nested_follow(SMMUv3NestedMember *m,
                                 SMMUv3NestedMember *with)
{
    const struct iommu_hwpt_arm_smmuv3 *own = &with->ndev->own;
    bool before = smmuv3_nested_before(own, &m->s1);
    bool eats = smmuv3_nested_eats(&m->s1);

    if (m == with || (!before && (eats || !smmuv3_nested_eats(own))) ||
        !smmuv3_nested_alike(m, with)) {
        return;
    }
    eats |= smmuv3_nested_eats(own);
    if (before) {
        m->s1 = *own;
    }
    if (eats) {
        m->s1.ste[1] |= cpu_to_le64(STE1_EATS_FULL);
    }
}

/*
 * The host has one translation for its IOMMU group, and drivers make a table
 * of CDs for each device. So of those that say the same all get the same STE:
 * which that is does not depend on who comes first.
 */
static GArray *smmuv3_nested_group(SMMUv3NestedDevice *ndev)
{
    GArray *group = g_array_new(false, false, sizeof(SMMUv3NestedMember));
    SMMUv3NestedDevice *o;

    g_array_set_clear_func(group, smmuv3_nested_member_clear);
    smmuv3_nested_join(group, ndev);
    for (o = smmuv3_nested_mate(ndev, NULL); o;
         o = smmuv3_nested_mate(ndev, o)) {
        smmuv3_nested_join(group, o);
    }
    for (guint i = 0; i < group->len; i++) {
        SMMUv3NestedMember *m = &g_array_index(group, SMMUv3NestedMember, i);

        for (guint j = 0; j < group->len; j++) {
            smmuv3_nested_follow(m, &g_array_index(group, SMMUv3NestedMember,
                                                   j));
        }
    }
    return group;
}

/* Blocked, so that it agrees with nobody before it has its new translation */
static void smmuv3_nested_hold(SMMUv3NestedDevice *ndev, const char *why)
{
    const IOMMUFDNestedTranslation t = {
        .state = IOMMUFD_NESTED_BLOCKED,
        .reason = why,
    };
    Error *err = NULL;

    ndev->ats = false;
    if (!iommufd_nested_set(ndev->dev, IOMMUFD_NESTED_RID, &t, &err)) {
        iommufd_nested_tell(&ndev->told, err);
    }
}

static bool smmuv3_nested_put(SMMUv3NestedDevice *ndev,
                              SMMUv3NestedEntry *entry)
{
    const IOMMUFDNestedTranslation t = {
        .state = entry->state,
        .reason = entry->why,
        .mistake = entry->present,
        .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
        .data = &entry->s1,
        .data_len = sizeof(entry->s1),
    };
    Error *err = NULL;

    ndev->s1 = entry->s1;
    trace_smmuv3_nested_set(iommufd_nested_device_name(ndev->dev), ndev->sid,
                            entry->state, le64_to_cpu(entry->s1.ste[0]),
                            le64_to_cpu(entry->s1.ste[1]),
                            entry->why ? entry->why : "");
    if (iommufd_nested_set(ndev->dev, IOMMUFD_NESTED_RID, &t, &err)) {
        ndev->ats = entry->ats;
        return true;
    }
    iommufd_nested_tell(&ndev->told, err);
    ndev->ats = false;
    ndev->n->blocked = true;
    entry->event.type = SMMU_EVT_C_BAD_STE;
    smmuv3_record_event(ndev->n->s, &entry->event);
    return false;
}

/* What others of @group get is another table now; @but is not looked at */
static void smmuv3_nested_hold_changed(GArray *group,
                                       const SMMUv3NestedDevice *but)
{
    for (guint i = 0; i < group->len; i++) {
        SMMUv3NestedMember *m = &g_array_index(group, SMMUv3NestedMember, i);

        if (m->ndev != but &&
            memcmp(&m->s1, &m->ndev->s1, sizeof(m->s1))) {
            smmuv3_nested_hold(m->ndev, "its IOMMU group changes its STE");
        }
    }
}

static bool smmuv3_nested_put_changed(GArray *group,
                                      const SMMUv3NestedDevice *but)
{
    bool ok = true;

    for (guint i = 0; i < group->len; i++) {
        SMMUv3NestedMember *m = &g_array_index(group, SMMUv3NestedMember, i);
        SMMUv3NestedEntry entry = {
            .state = IOMMUFD_NESTED_STAGE1,
            .event.sid = m->ndev->sid,
            .event.inval_ste_allowed = true,
            .ats = smmuv3_nested_eats(&m->ndev->own),
            .s1 = m->s1,
        };

        if (m->ndev != but &&
            memcmp(&m->s1, &m->ndev->s1, sizeof(m->s1))) {
            ok &= smmuv3_nested_put(m->ndev, &entry);
        }
    }
    return ok;
}

bool smmuv3_nested_sync_cds(SMMUv3NestedDevice *ndev)
{
    g_autoptr(GArray) group = smmuv3_nested_group(ndev);

    smmuv3_nested_hold_changed(group, NULL);
    return smmuv3_nested_put_changed(group, NULL);
}

void smmuv3_nested_part(SMMUv3NestedDevice *ndev)
{
    if (ndev->stage1) {
        ndev->stage1 = false;
        smmuv3_nested_sync_cds(ndev);
    }
}

bool smmuv3_nested_sync_device(SMMUv3NestedDevice *ndev)
{
    g_autoptr(GArray) group = NULL;
    SMMUv3NestedEntry entry;
    bool ok;

    ndev->sid = smmuv3_nested_sid(ndev);
    iommufd_nested_count_read(ndev->n->core);
    smmuv3_nested_read(ndev, &entry);
    if (entry.state == IOMMUFD_NESTED_BLOCKED) {
        smmuv3_nested_record(ndev, &entry);
    }
    ndev->stage1 = entry.state == IOMMUFD_NESTED_STAGE1;
    ndev->own = entry.s1;
    group = smmuv3_nested_group(ndev);
    if (ndev->stage1) {
        entry.s1 = g_array_index(group, SMMUv3NestedMember, 0).s1;
    }
    ndev->same = smmuv3_nested_same(ndev, &entry);
    smmuv3_nested_hold_changed(group, ndev);
    ok = smmuv3_nested_put(ndev, &entry);
    return smmuv3_nested_put_changed(group, ndev) && ok;
}

void smmuv3_nested_relabel(SMMUv3Nested *n)
{
    Error *err = NULL;

    if (!iommufd_nested_relabel(n->core, &err)) {
        iommufd_nested_tell(&n->told_label, err);
    }
}

SMMUv3NestedDevice *smmuv3_nested_find(SMMUv3Nested *n, uint32_t sid)
{
    IOMMUFDNestedDevice *dev = iommufd_nested_find(n->core, sid);

    return dev ? iommufd_nested_device_opaque(dev) : NULL;
}

/* Who would have each StreamID alone; NULL: several claim it */
static GHashTable *smmuv3_nested_owners(SMMUv3Nested *n)
{
    GHashTable *owners = g_hash_table_new(NULL, NULL);
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        gpointer sid = GUINT_TO_POINTER(smmuv3_nested_sid(ndev));

        g_hash_table_insert(owners, sid,
                            g_hash_table_contains(owners, sid) ? NULL : ndev);
    }
    return owners;
}

/*
 * Nothing is left of the old stream before the device has the new one: the
 * core would attach it again under the new StreamID.
 */
static void smmuv3_nested_leave(SMMUv3NestedDevice *ndev)
{
    ndev->stage1 = false;
    smmuv3_nested_hold(ndev, "StreamID has changed");
}

static bool smmuv3_nested_at_parent(const SMMUv3NestedDevice *ndev)
{
    IOMMUFDNestedState state = iommufd_nested_get(ndev->dev,
                                                  IOMMUFD_NESTED_RID, NULL);

    return state == IOMMUFD_NESTED_STAGE2 || state == IOMMUFD_NESTED_BYPASS;
}

void smmuv3_nested_renumbered(SMMUv3Nested *n)
{
    g_autoptr(GHashTable) owners = smmuv3_nested_owners(n);
    /* What the host was to forget comes first: smmuv3_nested_resume() */
    bool owed = n->blocked && n->enabled &&
                FIELD_EX32(n->s->gerror ^ n->s->gerrorn, GERROR, CMDQ_ERR);
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;

    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        uint16_t sid = smmuv3_nested_sid(ndev);
        bool owner = g_hash_table_lookup(owners, GUINT_TO_POINTER(sid)) == ndev;

        ndev->moved |= sid != ndev->sid ||
                       owner != (smmuv3_nested_find(n, sid) == ndev);
        if (ndev->moved && (owed || !smmuv3_nested_at_parent(ndev))) {
            smmuv3_nested_leave(ndev);
        }
    }
    smmuv3_nested_relabel(n);
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        if (ndev->moved && !owed) {
            smmuv3_nested_sync_device(ndev);
        }
        ndev->moved = false;
    }
}

void smmuv3_nested_changed(PCIBus *bus, void *opaque, int devfn)
{
    SMMUv3State *s = ARM_SMMUV3(opaque);
    SMMUv3Nested *n = s->nested;

    /*
     * An endpoint's own ATS and PASID do as its stream says. When all of the
     * machine is reset, so will be the SMMU: it has its tables to the end.
     */
    if (!IS_PCI_BRIDGE(bus->devices[devfn]) || device_is_in_reset(DEVICE(s))) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        g_hash_table_remove_all(s->smmu_state.configs);
    }
    if (n && n->active && !n->stale) {
        smmuv3_nested_renumbered(n);
    }
}

bool smmuv3_nested_sync_all(SMMUv3Nested *n)
{
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;
    bool ok = true;

    smmuv3_nested_relabel(n);
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        ok &= smmuv3_nested_sync_device(ndev);
    }
    return ok;
}

bool smmuv3_nested_cd(const STE *ste, dma_addr_t *addr)
{
    uint64_t desc;

    *addr = STE_CTXPTR(ste);
    if (!STE_S1CDMAX(ste) || smmuv3_nested_s1fmt(ste) == S1FMT_LINEAR) {
        return true;
    }
    if (dma_memory_read(&address_space_memory, *addr, &desc, sizeof(desc),
                        MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        return false;
    }
    desc = le64_to_cpu(desc);
    *addr = desc & L1CD_L2PTR;
    return desc & L1CD_VALID;
}

bool smmuv3_nested_substreams(SMMUv3State *s, const STE *ste,
                              SMMUTransCfg *cfg)
{
    if (!s->nested || !s->nested->active ||
        smmuv3_nested_illegal(s->nested, ste)) {
        return false;
    }
    /* Interrupts are the only requests here, and are nobody's to be told of */
    cfg->aborted = smmuv3_nested_s1dss(ste) == S1DSS_TERMINATE;
    cfg->bypassed = STE_S1DSS(ste) == S1DSS_BYPASS;
    return true;
}
