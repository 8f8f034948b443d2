/*
 * VT-d nesting: a guest that does anything: tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "vtd-nested-random.h"

void random_free_later(Random *t, uint64_t page)
{
    nested_mirror_free_later(&t->o.m, page, PAGE);
}

void random_release(Random *t)
{
    if (!vtd_oracle_pending(&t->o)) {
        nested_mirror_release(&t->o.m);
    }
}

/* A table and all that hang below */
static void free_tables(Random *t, uint64_t table, unsigned level)
{
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        uint64_t entry = iommu_mem_read64(&t->o.m.mem, table + i * 8);

        if ((entry & VTD_S1_P) && !(entry & VTD_S1_PS)) {
            free_tables(t, entry & VTD_S1_ADDR, level - 1);
        }
    }
    random_free_later(t, table);
}

static uint64_t rights(Random *t)
{
    unsigned how = random_upto(t, 100);

    return how < 80 ? VTD_S1_USER_RW : how < 95 ? VTD_S1_USER_RO :
           VTD_S1_P | VTD_S1_RW;
}

void random_map(Random *t, unsigned space, uint64_t iova, unsigned level)
{
    unsigned shift = 12 + 9 * (level - 1);
    uint64_t gpa[] = {
        DATA + random_upto(t, DATA_PAGES) * PAGE,
        DATA + random_upto(t, DATA_PAGES / 512) * 512 * PAGE,
        0,
    };

    vtd_s1_map(&t->o.m.mem, t->space[space], random_levels(space),
               iova & ~((1ULL << shift) - 1), gpa[level - 1], 1ULL << shift,
               shift, rights(t));
}

/* Another table in place of one: with the same entries, or none */
static void replace_table(Random *t, uint64_t slot, uint64_t entry,
                          unsigned level)
{
    uint64_t old = entry & VTD_S1_ADDR, fresh = vtd_s1_new(&t->o.m.mem);

    if (random_chance(t, 75)) {
        uint8_t page[PAGE];

        t->o.m.mem.read(&t->o.m, old, page, PAGE);
        t->o.m.mem.write(&t->o.m, fresh, page, PAGE);
        random_free_later(t, old);
    } else {
        free_tables(t, old, level - 1);
    }
    iommu_mem_write64(&t->o.m.mem, slot, fresh | (entry & ~VTD_S1_ADDR));
}

/* A probe, or what is in its place where the tables do not have it */
static uint64_t address(unsigned space, unsigned probe)
{
    unsigned width = 12 + random_levels(space) * 9;
    uint64_t iova = vtd_oracle_probe(probe);

    return random_is_second(space) ? extract64(iova, 0, width) :
                                     sextract64(iova, 0, width);
}

typedef enum EditKind {
    EDIT_MAP, EDIT_CLEAR, EDIT_RIGHTS, EDIT_REPLACE,
} EditKind;

/* @slot has @entry, which is present and of @level */
static void edit_present(Random *t, EditKind kind, uint64_t slot,
                         uint64_t entry, unsigned level, bool table)
{
    switch (kind) {
    case EDIT_CLEAR:
        iommu_mem_write64(&t->o.m.mem, slot, 0);
        break;
    case EDIT_RIGHTS:
        iommu_mem_write64(&t->o.m.mem, slot, table ? entry ^ VTD_S1_RW :
                          (entry & (VTD_S1_ADDR | VTD_S1_PS)) | rights(t));
        break;
    case EDIT_REPLACE:
        if (table) {
            replace_table(t, slot, entry, level);
        }
        break;
    default:
        break;
    }
}

void random_edit_tables(Random *t)
{
    static const unsigned levels[] = { 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4 };
    static const EditKind kinds[] = {
        EDIT_MAP, EDIT_MAP, EDIT_MAP, EDIT_MAP, EDIT_CLEAR, EDIT_RIGHTS,
        EDIT_REPLACE,
    };
    unsigned space = random_upto(t, SPACES), top = random_levels(space);
    unsigned probe = random_upto(t, ORACLE_PROBES);
    bool second = random_is_second(space);
    uint64_t s1 = t->space[space], iova = address(space, probe);
    unsigned want = levels[random_upto(t, ARRAY_SIZE(levels))], level;
    EditKind kind = kinds[random_upto(t, ARRAY_SIZE(kinds))];
    uint64_t slot, entry, mask;
    VtdOracleEdit *edit;
    bool table, was;

    if (want == 4 && top == 5 && random_chance(t, 50)) {
        want = 5;
    }
    if (kind == EDIT_CLEAR && want > 2 && random_chance(t, 70)) {
        /* Not too often, or little is left */
        want = 2;
    } else if (kind == EDIT_MAP) {
        want = MIN(want, 3);
    }
    random_use_before(t, space, probe);
    slot = vtd_s1_entry(&t->o.m.mem, s1, top, iova, want, &level);
    entry = iommu_mem_read64(&t->o.m.mem, slot);
    mask = (1ULL << (12 + 9 * (level - 1))) - 1;
    was = entry & VTD_S1_P;
    table = was && level > 1 && !(entry & VTD_S1_PS);
    if (!was) {
        kind = EDIT_MAP;
        want = MIN(want, 3);
    }
    edit = vtd_oracle_edit(&t->o, s1, top, second);

    if (was) {
        edit_present(t, kind, slot, entry, level, table);
    }
    if (table && (kind == EDIT_CLEAR ||
                  (kind == EDIT_MAP && level == want))) {
        free_tables(t, entry & VTD_S1_ADDR, level - 1);
    }
    if (kind == EDIT_MAP || (kind == EDIT_REPLACE && random_chance(t, 70))) {
        random_map(t, space, iova, kind == EDIT_MAP ? want : 1);
    }
    /*
     * What was not present has not been cached, except of second-stage tables
     * in caching mode (6.1)
     */
    if (was || second) {
        entry = iommu_mem_read64(&t->o.m.mem, slot);
        table |= (entry & VTD_S1_P) && level > 1 && !(entry & VTD_S1_PS);
        vtd_oracle_edited(&t->o, edit, iova & ~mask, iova | mask, table);
    } else {
        vtd_oracle_not_edited(edit);
    }
}

static uint16_t second_did(Random *t, unsigned space)
{
    return 30 + space + (random_chance(t, 30) ? SPACES : 0);
}

/* Domains have the same tables for a PASID on all devices */
static VtdPasidEntry random_pasid_entry(Random *t, unsigned key,
                                        uint32_t pasid)
{
    unsigned how = random_upto(t, 100), space = random_upto(t, FIRST_STAGES);
    VtdPasidEntry pe = { .pgtt = VTD_PGTT_FIRST };

    pe.fpd = random_chance(t, 10);
    if (how < 10) {
        pe.pgtt = VTD_PGTT_PASSTHROUGH;
        pe.did = 3;
    } else if (how < 15) {
        pe.pgtt = VTD_PGTT_NESTED;
        pe.s2_levels = 4;
        pe.did = 4;
    } else if (how < 40) {
        space = FIRST_STAGES + random_upto(t, SECOND_STAGES);
        pe.pgtt = VTD_PGTT_SECOND;
        pe.s2_levels = random_levels(space);
        pe.s2 = t->space[space];
        pe.did = second_did(t, space);
    } else if (pasid && how < 60) {
        space = key % FIRST_STAGES;
        pe.did = 1;
    } else {
        pe.did = 10 + space + (random_chance(t, 30) ? FIRST_STAGES : 0);
    }
    pe.s1 = t->space[space];
    pe.s1_levels = random_levels(space);
    return pe;
}

static void set_random_pasid(Random *t, unsigned dev, unsigned key)
{
    uint32_t pasid = vtd_oracle_pasids[key];
    VtdPasidEntry pe = random_pasid_entry(t, key, pasid);

    vtd_pasid_set(&t->r.t, t->o.dev[dev].rid, pasid, &pe);
}

static bool context_settled(Random *t, unsigned dev)
{
    for (guint i = 0; i < t->o.changes->len; i++) {
        const VtdOracleChange *c = g_ptr_array_index(t->o.changes, i);

        if (c->dev == dev && c->context) {
            return false;
        }
    }
    return true;
}

static uint64_t context_word(Random *t, unsigned dev, uint64_t *slot)
{
    *slot = vtd_context_entry(&t->r.t, t->o.dev[dev].rid);
    return iommu_mem_read64(&t->o.m.mem, *slot);
}

/* Bind, unbind, bind to something else */
void random_edit_pasid(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES);
    unsigned key = random_upto(t, ORACLE_KEYS);
    VtdOracleChange *change;
    uint64_t slot;

    if (!t->r.t.scalable || !(context_word(t, dev, &slot) & VTD_CTX_P) ||
        !context_settled(t, dev)) {
        return;
    }
    change = vtd_oracle_change(&t->o, dev);
    if (random_chance(t, 15)) {
        vtd_pasid_clear(&t->r.t, t->o.dev[dev].rid, vtd_oracle_pasids[key]);
    } else {
        set_random_pasid(t, dev, key);
    }
    vtd_oracle_changed_pasid(&t->o, change, vtd_oracle_pasids[key]);
}

static void free_pasid_tables(Random *t, uint64_t context)
{
    uint64_t dir = context & VTD_S1_ADDR;

    if (!t->r.t.scalable) {
        return;
    }
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = iommu_mem_read64(&t->o.m.mem, dir + i * 8);

        if (entry & 1) {
            random_free_later(t, entry & VTD_S1_ADDR);
        }
    }
    random_free_later(t, dir);
}

void random_drop_context(Random *t, unsigned dev)
{
    uint64_t slot, context = context_word(t, dev, &slot);

    if (context & VTD_CTX_P) {
        free_pasid_tables(t, context);
    }
    /* Its context table has only this one: each device has its own bus */
    random_free_later(t, slot & VTD_S1_ADDR);
}

static uint64_t context_flags(Random *t)
{
    return (random_chance(t, 90) ? VTD_CTX_PASIDE : 0) |
           (random_chance(t, 50) ? VTD_CTX_DTE : 0) |
           (random_chance(t, 50) ? VTD_CTX_PRE : 0);
}

/* What requests without PASID have */
static uint32_t rid_pasid(Random *t)
{
    return random_chance(t, 25) ? 63 : 0;
}

static void new_legacy_context(Random *t, unsigned dev)
{
    unsigned how = random_upto(t, 100);
    unsigned space = FIRST_STAGES + random_upto(t, SECOND_STAGES);

    if (how < 15) {
        vtd_context_legacy(&t->r.t, t->o.dev[dev].rid, 2, 0, 4, 3);
    } else {
        vtd_context_legacy(&t->r.t, t->o.dev[dev].rid, how & 1,
                           t->space[space], random_levels(space),
                           second_did(t, space));
    }
}

void random_new_context(Random *t, unsigned dev)
{
    if (!t->r.t.scalable) {
        new_legacy_context(t, dev);
        return;
    }
    vtd_context_scalable(&t->r.t, t->o.dev[dev].rid, 12, context_flags(t),
                         rid_pasid(t));
    for (unsigned key = 0; key < ORACLE_KEYS; key++) {
        if (random_chance(t, 85)) {
            set_random_pasid(t, dev, key);
        }
    }
}

void random_edit_context(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES), how = random_upto(t, 100);
    VtdOracleChange *change;
    uint64_t slot, old = context_word(t, dev, &slot);

    change = vtd_oracle_change(&t->o, dev);
    if (how < 60 && (old & VTD_CTX_P) && t->r.t.scalable) {
        iommu_mem_write64(&t->o.m.mem, slot + 8, rid_pasid(t));
        iommu_mem_write64(&t->o.m.mem, slot, context_flags(t) |
                          (old & ~(VTD_CTX_PASIDE | VTD_CTX_DTE |
                                   VTD_CTX_PRE)));
    } else {
        if (how < 70 && (old & VTD_CTX_P)) {
            vtd_context_clear(&t->r.t, t->o.dev[dev].rid);
        } else {
            random_new_context(t, dev);
        }
        if (old & VTD_CTX_P) {
            free_pasid_tables(t, old);
        }
    }
    vtd_oracle_changed_context(&t->o, change);
}

