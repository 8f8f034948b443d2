/*
 * SMMUv3 nesting: a guest that does anything: tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-nested-random.h"

#define L1_POINTER      0x000ffffffffff000ULL

/* ---------------------------------------------------------------- stage 1 */

/* A table and all that hang below */
static void free_tables(Random *t, uint64_t table, unsigned level)
{
    for (unsigned i = 0; level < 3 && i < 512; i++) {
        uint64_t pte = iommu_mem_read64(&t->o.m.mem, table + i * 8);

        if ((pte & 3) == 3) {
            free_tables(t, pte & SMMU_PTE_ADDR, level + 1);
        }
    }
    nested_mirror_free_later(&t->o.m, table, PAGE);
}

static uint64_t rights(Random *t)
{
    unsigned how = random_upto(t, 100);

    return how < 80 ? SMMU_PTE_USER_RW : how < 92 ? SMMU_PTE_USER_RO :
           SMMU_PTE_USER_RW & ~(how < 96 ? SMMU_PTE_EL0 : SMMU_PTE_AF);
}

static void map(Random *t, SmmuS1 *s1, uint64_t iova, unsigned level)
{
    unsigned shift = smmu_s1_shift(s1, level);
    uint64_t gpa = level == 3 ? DATA + random_upto(t, DATA_PAGES) * PAGE :
                   level == 2 ? DATA + random_upto(t, DATA_PAGES / 512) *
                                512 * PAGE : RAM;

    smmu_s1_map(s1, iova & ~((1ULL << shift) - 1), gpa, 1ULL << shift, shift,
                rights(t));
}

/* Another table in place of one: with the same descriptors, or none */
static void replace_table(Random *t, uint64_t slot, uint64_t pte,
                          unsigned level)
{
    uint64_t old = pte & SMMU_PTE_ADDR;
    uint64_t fresh = iommu_mem_alloc(&t->o.m.mem, PAGE, PAGE);

    if (random_chance(t, 75)) {
        uint8_t page[PAGE];

        t->o.m.mem.read(t->o.m.mem.opaque, old, page, PAGE);
        t->o.m.mem.write(t->o.m.mem.opaque, fresh, page, PAGE);
        nested_mirror_free_later(&t->o.m, old, PAGE);
    } else {
        free_tables(t, old, level + 1);
    }
    iommu_mem_write64(&t->o.m.mem, slot, fresh | (pte & ~SMMU_PTE_ADDR));
}

typedef enum EditKind {
    EDIT_MAP, EDIT_CLEAR, EDIT_RIGHTS, EDIT_REPLACE,
} EditKind;

/* @slot has @pte, which is valid and of @level */
static void edit_valid(Random *t, EditKind kind, uint64_t slot, uint64_t pte,
                       unsigned level, bool table)
{
    switch (kind) {
    case EDIT_CLEAR:
        iommu_mem_write64(&t->o.m.mem, slot, 0);
        break;
    case EDIT_RIGHTS:
        /* Of a table only what reads do not notice: see certain() */
        iommu_mem_write64(&t->o.m.mem, slot, table ? pte ^ SMMU_TABLE_RO :
                          (pte & (SMMU_PTE_ADDR | 3)) | rights(t));
        break;
    case EDIT_REPLACE:
        if (table) {
            replace_table(t, slot, pte, level);
        }
        break;
    default:
        break;
    }
}

void random_edit_tables(Random *t)
{
    static const unsigned levels[] = { 3, 3, 3, 3, 3, 3, 2, 2, 2, 1, 1, 0 };
    static const EditKind kinds[] = {
        EDIT_MAP, EDIT_MAP, EDIT_MAP, EDIT_MAP, EDIT_CLEAR, EDIT_RIGHTS,
        EDIT_REPLACE,
    };
    unsigned space = random_upto(t, SPACES);
    unsigned probe = random_upto(t, ORACLE_PROBES);
    unsigned want = levels[random_upto(t, ARRAY_SIZE(levels))], level;
    EditKind kind = kinds[random_upto(t, ARRAY_SIZE(kinds))];
    const uint16_t asids[] = { random_asid(space, 0), random_asid(space, 1) };
    uint64_t iova = smmu_oracle_probe(probe), slot, pte, mask;
    SmmuS1 *s1 = &t->space[space];
    SmmuOracleEdit *edit;
    bool table, was;

    if (kind == EDIT_CLEAR && want < 3 && random_chance(t, 80)) {
        /* Not too often, or little is left */
        want = 3;
    } else if (kind == EDIT_MAP) {
        want = MAX(want, 1);
    }
    random_use_before(t, space, probe);
    slot = smmu_s1_entry(s1, iova, want, &level);
    pte = iommu_mem_read64(&t->o.m.mem, slot);
    mask = (1ULL << smmu_s1_shift(s1, level)) - 1;
    was = pte & 1;
    table = level < 3 && (pte & 3) == 3;
    if (!was) {
        kind = EDIT_MAP;
        want = MAX(want, 1);
    }
    nested_random_note(&t->n, "space %u, 0x%" PRIx64 ": level %u for %u, "
                       "kind %d of 0x%" PRIx64, space, iova, want, level, kind,
                       pte);
    edit = smmu_oracle_edit(&t->o, s1->root);
    edit->first = iova & ~mask;
    edit->last = iova | mask;
    edit->level = level;
    edit->tables = table;

    if (was) {
        edit_valid(t, kind, slot, pte, level, table);
    }
    if (table && (kind == EDIT_CLEAR ||
                  (kind == EDIT_MAP && level == want))) {
        free_tables(t, pte & SMMU_PTE_ADDR, level + 1);
    }
    if (kind == EDIT_MAP || (kind == EDIT_REPLACE && random_chance(t, 70))) {
        map(t, s1, iova, kind == EDIT_MAP ? want : 3);
    }
    /* What was not valid has not been cached (3.17) */
    if (was) {
        smmu_oracle_edited(&t->o, edit, asids);
    } else {
        smmu_oracle_not_edited(edit);
    }
}

/* -------------------------------------------------------------------- CDs */

static void set_random_cd(Random *t, SmmuCdTable *cds, unsigned key)
{
    unsigned space = random_upto(t, SPACES);

    smmu_cd_set(cds, smmu_oracle_ssids[key], &t->space[space],
                random_asid(space, random_chance(t, 30)));
}

/* Keys of substreams in the leaf table of that of @key */
static uint32_t leaf_keys(const SmmuCdTable *cds, unsigned key)
{
    unsigned split = cds->fmt == SMMU_S1FMT_4K_L2 ? 6 : 10;
    uint32_t keys = 0;

    for (unsigned i = 0; i < ORACLE_KEYS; i++) {
        if (smmu_oracle_ssids[i] >> split == smmu_oracle_ssids[key] >> split) {
            keys |= 1u << i;
        }
    }
    return keys;
}

/* A leaf table with the same CDs in another place, or without any */
static void replace_leaf(Random *t, SmmuCdTable *cds, uint64_t slot)
{
    uint64_t old = iommu_mem_read64(&t->o.m.mem, slot) & L1_POINTER;
    uint64_t size = cds->fmt == SMMU_S1FMT_4K_L2 ? 4096 : 65536;
    uint64_t fresh = iommu_mem_alloc(&t->o.m.mem, size, size);

    if (random_chance(t, 70)) {
        g_autofree uint8_t *leaf = g_malloc(size);

        t->o.m.mem.read(t->o.m.mem.opaque, old, leaf, size);
        t->o.m.mem.write(t->o.m.mem.opaque, fresh, leaf, size);
    }
    iommu_mem_write64(&t->o.m.mem, slot, fresh | 1);
    nested_mirror_free_later(&t->o.m, old, size);
}

/* What is to be changed, and where it is found */
typedef struct CdEdit {
    SmmuCdTable *cds;
    unsigned key;
    SmmuOracleWhat what;
    uint64_t slot;              /* level-1 descriptor, where there are two */
    uint32_t keys;
} CdEdit;

static CdEdit pick_cd(Random *t)
{
    CdEdit e = {
        .cds = &t->cdtab[random_upto(t, CDTABS)],
        .key = random_upto(t, ORACLE_KEYS),
        .what = ORACLE_CD,
    };
    unsigned split = e.cds->fmt == SMMU_S1FMT_4K_L2 ? 6 : 10;

    if (smmu_oracle_ssids[e.key] >> e.cds->bits) {
        e.key = ORACLE_PLAIN;
    }
    e.keys = 1u << e.key;
    if (e.cds->fmt != SMMU_S1FMT_LINEAR) {
        e.slot = e.cds->base + (smmu_oracle_ssids[e.key] >> split) * 8;
        if (!(iommu_mem_read64(&t->o.m.mem, e.slot) & 1)) {
            e.what = ORACLE_CD_NEW_LEAF;
        } else if (random_chance(t, 15)) {
            e.what = ORACLE_CD_LEAF;
            e.keys = leaf_keys(e.cds, e.key);
        }
    }
    return e;
}

/* Bind, unbind, bind to something else, for all streams with that table */
void random_edit_cd(Random *t)
{
    SmmuOracleChange *change[ORACLE_DEVICES] = { };
    CdEdit e = pick_cd(t);

    if (!smmu_oracle_settled(&t->o)) {
        return;
    }
    nested_random_note(&t->n, "CD %u of table 0x%" PRIx64 ", kind %d",
                       smmu_oracle_ssids[e.key], e.cds->base, e.what);
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        if (smmu_oracle_entry(&t->o, dev, ORACLE_PLAIN).cds == e.cds->base) {
            change[dev] = smmu_oracle_change(&t->o, dev, e.what);
        }
    }
    if (e.what == ORACLE_CD_LEAF) {
        replace_leaf(t, e.cds, e.slot);
    } else if (random_chance(t, 15)) {
        smmu_cd_clear(e.cds, smmu_oracle_ssids[e.key]);
    } else {
        set_random_cd(t, e.cds, e.key);
    }
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        if (change[dev]) {
            smmu_oracle_changed(&t->o, change[dev], smmu_oracle_ssids[e.key],
                                e.keys);
        }
    }
}

/* ------------------------------------------------------------------- STEs */

static void set_random_ste(Random *t, uint32_t sid)
{
    SmmuCdTable *cds = &t->cdtab[random_upto(t, CDTABS)];
    unsigned how = random_upto(t, 100);
    SmmuSte ste = {
        .cfg = how < 85 ? SMMU_STE_S1 : how < 92 ? SMMU_STE_BYPASS :
                                                   SMMU_STE_ABORT,
        .cds = cds,
        .s1dss = random_chance(t, 75) ? SMMU_S1DSS_SSID0 :
                 random_chance(t, 50) ? SMMU_S1DSS_BYPASS :
                                        SMMU_S1DSS_TERMINATE,
        .ats = how < 85 && random_chance(t, 60),
    };

    if (how < 96) {
        smmu_ste_set(&t->r.t, sid, &ste);
    } else if (how < 98) {
        smmu_ste_clear(&t->r.t, sid);
    } else {
        /* Both stages: there is no second */
        iommu_mem_write64(&t->o.m.mem, smmu_ste_entry(&t->r.t, sid),
                          1 | 7 << 1);
    }
}

void random_edit_ste(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES);
    SmmuOracleChange *change = smmu_oracle_change(&t->o, dev, ORACLE_STE);

    set_random_ste(t, t->o.dev[dev].sid);
    nested_random_note(&t->n, "STE of 0x%x", t->o.dev[dev].sid);
    smmu_oracle_changed(&t->o, change, 0, ORACLE_ALL_KEYS);
}

static void new_cdtab(Random *t, unsigned i)
{
    static const struct {
        SmmuS1Fmt fmt;
        unsigned bits;
    } kinds[CDTABS] = {
        { SMMU_S1FMT_LINEAR, 0 }, { SMMU_S1FMT_LINEAR, 6 },
        { SMMU_S1FMT_LINEAR, 8 }, { SMMU_S1FMT_4K_L2, 10 },
        { SMMU_S1FMT_64K_L2, 11 },
    };

    smmu_cdtab_init(&t->cdtab[i], &t->o.m.mem, kinds[i].fmt, kinds[i].bits);
    for (unsigned key = 0; key < ORACLE_KEYS; key++) {
        if (!(smmu_oracle_ssids[key] >> kinds[i].bits) &&
            random_chance(t, 92)) {
            set_random_cd(t, &t->cdtab[i], key);
        }
    }
}

void random_new_tables(Random *t)
{
    for (unsigned i = 0; i < SPACES; i++) {
        smmu_s1_init(&t->space[i], &t->o.m.mem, 12, 48);
        for (unsigned j = 0; j < ORACLE_PROBES; j++) {
            map(t, &t->space[i], smmu_oracle_probe(j), 3);
        }
    }
    for (unsigned i = 0; i < CDTABS; i++) {
        new_cdtab(t, i);
    }
    smmu_tables_init(&t->r.t, &t->o.m.mem, 16, 8);
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        set_random_ste(t, t->o.dev[dev].sid);
    }
}
