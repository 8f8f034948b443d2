/*
 * What DMA behind a nested vIOMMU may see, from the guest's tables alone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Section numbers are those of the VT-d specification, revision 4.1.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "../libqos/vtd-second-stage.h"
#include "vtd-nested-oracle.h"

const uint32_t vtd_oracle_pasids[ORACLE_KEYS] = {
    0, 1, 2, 63, 64, 200, 4095,
};

/* -------------------------------------------------------------------- life */

static void edit_free(void *opaque)
{
    VtdOracleEdit *e = opaque;

    g_array_free(e->tags, true);
    g_free(e);
}

static void change_free(void *opaque)
{
    VtdOracleChange *c = opaque;

    g_array_free(c->tags, true);
    g_free(c);
}

static void forget_changes(VtdOracle *o)
{
    g_ptr_array_set_size(o->edits, 0);
    g_ptr_array_set_size(o->changes, 0);
}

void vtd_oracle_forget(VtdOracle *o)
{
    nested_mirror_forget(&o->m);
    forget_changes(o);
}

void vtd_oracle_init(VtdOracle *o, QTestState *qts, uint64_t ram,
                     uint64_t first, uint64_t size)
{
    *o = (VtdOracle) {
        .ram = ram,
        .edits = g_ptr_array_new_with_free_func(edit_free),
        .changes = g_ptr_array_new_with_free_func(change_free),
    };
    nested_mirror_init(&o->m, qts, first, size);
}

void vtd_oracle_free(VtdOracle *o)
{
    g_ptr_array_free(o->edits, true);
    g_ptr_array_free(o->changes, true);
    nested_mirror_free(&o->m);
}

void vtd_oracle_set_root(VtdOracle *o, uint64_t root)
{
    o->root = root;
    forget_changes(o);
}

/* ------------------------------------------------------------------- walks */

/*
 * Both ends of what a last-level table and a page directory cover, at both
 * ends of both halves of the address space, at the bottom, and in between.
 * Then the same in both halves of what only five levels have.
 */
uint64_t vtd_oracle_probe(unsigned probe)
{
    static const uint64_t base[] = {
        0, 0x4000000000, 0x7f8000000000, 0xffffff8000000000,
        0xa5000000000000, 0xff5a000000000000,
    };
    static const uint64_t dir[] = { 48, 49, 50, 511 };
    static const uint64_t page[] = { 0, 1, 2, 511 };

    return base[probe >> 5] + (probe & 16 ? 511ULL << 30 : 0) +
           (dir[probe >> 2 & 3] << 21) + (page[probe & 3] << 12);
}

/* First-stage translation of a request with user privilege (3.6, 9.9) */
static uint64_t walk(const VtdOracle *o, uint64_t s1, unsigned levels,
                     uint64_t iova, bool write)
{
    uint64_t table = s1;

    if (sextract64(iova, 0, 12 + levels * 9) != iova) {
        return NESTED_FAULT;
    }
    for (unsigned shift = 3 + levels * 9; ; shift -= 9) {
        uint64_t slot = table + (iova >> shift & 0x1ff) * 8;
        uint64_t entry = nested_mirror_word(&o->m, slot);

        if (!(entry & VTD_S1_P) || !(entry & VTD_S1_US) ||
            (write && !(entry & VTD_S1_RW))) {
            return NESTED_FAULT;
        }
        table = entry & VTD_S1_ADDR;
        if (shift == 12 || (entry & VTD_S1_PS)) {
            uint64_t gpa = table + (iova & ((1ULL << shift) - 1));

            return gpa < o->ram ? gpa : NESTED_FAULT;
        }
    }
}

/* Second-stage translation (3.7, 9.8); the entries look alike */
static uint64_t walk_second(const VtdOracle *o, uint64_t table,
                            unsigned levels, uint64_t iova, bool write)
{
    const uint64_t right = write ? VTD_S2_W : VTD_S2_R;

    if (iova >> (12 + levels * 9)) {
        return NESTED_FAULT;
    }
    for (unsigned shift = 3 + levels * 9; ; shift -= 9) {
        uint64_t slot = table + (iova >> shift & 0x1ff) * 8;
        uint64_t entry = nested_mirror_word(&o->m, slot);

        if (!(entry & right)) {
            return NESTED_FAULT;
        }
        table = entry & VTD_S2_ADDR;
        if (shift == 12 || (entry & VTD_S2_PS)) {
            uint64_t gpa = table + (iova & ((1ULL << shift) - 1));

            return gpa < o->ram ? gpa : NESTED_FAULT;
        }
    }
}

/* Scalable-mode PASID directory and PASID table (9.5, 9.6) */
static VtdOracleEntry pasid_entry(const VtdOracle *o, uint64_t context,
                                  uint32_t pasid)
{
    VtdOracleEntry entry = { .pasid = pasid };
    uint64_t dirs = 128ULL << (context >> 9 & 7), dir, slot, first, third;

    if (pasid >> 6 >= dirs) {
        return entry;
    }
    dir = nested_mirror_word(&o->m, (context & VTD_S1_ADDR) + (pasid >> 6) * 8);
    if (!(dir & 1)) {
        return entry;
    }
    slot = (dir & VTD_S1_ADDR) + (pasid & 63) * 64;
    first = nested_mirror_word(&o->m, slot);
    if (!(first & 1)) {
        return entry;
    }
    entry.present = true;
    entry.did = nested_mirror_word(&o->m, slot + 8);
    switch (first >> 6 & 7) {
    case VTD_PGTT_FIRST:
        entry.kind = ORACLE_TABLES;
        third = nested_mirror_word(&o->m, slot + 16);
        entry.s1 = third & VTD_S1_ADDR;
        entry.levels = 4 + (third >> 2 & 3);
        break;
    case VTD_PGTT_SECOND:
        entry.kind = ORACLE_SECOND;
        entry.s1 = first & VTD_S2_ADDR;
        entry.levels = 2 + (first >> 2 & 7);
        break;
    case VTD_PGTT_PASSTHROUGH:
        entry.kind = ORACLE_IDENTITY;
        break;
    default:
        break;
    }
    return entry;
}

/* Context entry of legacy mode (9.1, 9.3) */
static VtdOracleEntry legacy_entry(const VtdOracle *o, unsigned dev)
{
    uint16_t rid = o->dev[dev].rid;
    uint64_t root = nested_mirror_word(&o->m, (o->root & VTD_S1_ADDR) +
                                              (rid >> 8) * 16);
    VtdOracleEntry entry = { 0 };
    uint64_t slot, word;

    if (!(root & 1)) {
        return entry;
    }
    slot = (root & VTD_S1_ADDR) + (rid & 0xff) * 16;
    word = nested_mirror_word(&o->m, slot);
    if (!(word & VTD_CTX_P)) {
        return entry;
    }
    entry.present = true;
    entry.did = nested_mirror_word(&o->m, slot + 8) >> 8;
    if ((word >> 2 & 3) == 2) {
        entry.kind = ORACLE_IDENTITY;
    } else {
        entry.kind = ORACLE_SECOND;
        entry.s1 = word & VTD_S2_ADDR;
        entry.levels = 2 + (nested_mirror_word(&o->m, slot + 8) & 7);
    }
    return entry;
}

/* Root and context table of scalable mode (9.2, 9.4); 0: not present */
static uint64_t context_entry(const VtdOracle *o, unsigned dev,
                              uint32_t *rid_pasid)
{
    uint16_t rid = o->dev[dev].rid;
    uint64_t half = nested_mirror_word(&o->m, (o->root & VTD_S1_ADDR) +
                                              (rid >> 8) * 16 +
                                              (rid & 0x80 ? 8 : 0));
    uint64_t slot, entry;

    if (!(half & 1)) {
        return 0;
    }
    slot = (half & VTD_S1_ADDR) + (rid & 0x7f) * 32;
    entry = nested_mirror_word(&o->m, slot);
    *rid_pasid = nested_mirror_word(&o->m, slot + 8) & 0xfffff;
    return entry & VTD_CTX_P ? entry : 0;
}

VtdOracleEntry vtd_oracle_entry(const VtdOracle *o, unsigned dev,
                                unsigned key)
{
    uint32_t rid_pasid;
    uint64_t context;

    if (!(o->root & VTD_RTADDR_SCALABLE)) {
        return key == ORACLE_RID ? legacy_entry(o, dev) :
                                   (VtdOracleEntry) { 0 };
    }
    context = context_entry(o, dev, &rid_pasid);
    if (!context || (key != ORACLE_RID && !(context & VTD_CTX_PASIDE))) {
        return (VtdOracleEntry) { 0 };
    }
    return pasid_entry(o, context, key == ORACLE_RID ? rid_pasid :
                                   vtd_oracle_pasids[key]);
}

static bool has_tables(const VtdOracleEntry *e)
{
    return e->kind == ORACLE_TABLES || e->kind == ORACLE_SECOND;
}

bool vtd_oracle_user(const VtdOracle *o, uint64_t s1, unsigned *from)
{
    const unsigned all = ORACLE_DEVICES * ORACLE_KEYS;

    for (unsigned i = 0; i < all; i++) {
        unsigned user = (*from + i) % all;
        VtdOracleEntry e = vtd_oracle_entry(o, user / ORACLE_KEYS,
                                            user % ORACLE_KEYS);

        if (has_tables(&e) && e.s1 == s1) {
            *from = user;
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------- changes */

static void add_tag(GArray *tags, const VtdOracleEntry *e)
{
    bool second = e->kind == ORACLE_SECOND;
    VtdOracleTag tag = {
        .did = e->did, .pasid = second ? 0 : e->pasid, .second = second,
    };

    if (!has_tables(e)) {
        return;
    }
    for (guint i = 0; i < tags->len; i++) {
        const VtdOracleTag *t = &g_array_index(tags, VtdOracleTag, i);

        if (t->did == tag.did && t->pasid == tag.pasid &&
            t->second == second) {
            return;
        }
    }
    g_array_append_val(tags, tag);
}

/* All under which the hardware may have cached something of @s1 */
static void add_tags_of(const VtdOracle *o, GArray *tags, uint64_t s1)
{
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        for (unsigned key = 0; key < ORACLE_KEYS; key++) {
            VtdOracleEntry e = vtd_oracle_entry(o, dev, key);

            if (e.s1 == s1) {
                add_tag(tags, &e);
            }
        }
    }
    for (guint i = 0; i < o->changes->len; i++) {
        const VtdOracleChange *c = g_ptr_array_index(o->changes, i);

        for (unsigned key = 0; key < ORACLE_KEYS; key++) {
            if (c->old[key].s1 == s1) {
                add_tag(tags, &c->old[key]);
            }
        }
    }
}

VtdOracleEdit *vtd_oracle_edit(VtdOracle *o, uint64_t s1, unsigned levels,
                               bool second)
{
    VtdOracleEdit *e = g_new0(VtdOracleEdit, 1);

    e->s1 = s1;
    e->second = second;
    e->tags = g_array_new(false, false, sizeof(VtdOracleTag));
    for (unsigned i = 0; i < ORACLE_PROBES; i++) {
        e->old[i] = (second ? walk_second : walk)(o, s1, levels,
                                                  vtd_oracle_probe(i), false);
    }
    return e;
}

void vtd_oracle_edited(VtdOracle *o, VtdOracleEdit *edit, uint64_t first,
                       uint64_t last, bool tables)
{
    edit->first = first;
    edit->last = last;
    edit->tables = tables;
    add_tags_of(o, edit->tags, edit->s1);
    if (edit->tags->len) {
        g_ptr_array_add(o->edits, edit);
    } else {
        edit_free(edit);
    }
}

void vtd_oracle_not_edited(VtdOracleEdit *edit)
{
    edit_free(edit);
}

VtdOracleChange *vtd_oracle_change(VtdOracle *o, unsigned dev)
{
    VtdOracleChange *c = g_new0(VtdOracleChange, 1);

    c->dev = dev;
    c->tags = g_array_new(false, false, sizeof(VtdOracleTag));
    for (unsigned key = 0; key < ORACLE_KEYS; key++) {
        c->old[key] = vtd_oracle_entry(o, dev, key);
    }
    return c;
}

/* Is something of that not yet told, and what it was may be cached? */
static bool is_changed(const VtdOracle *o, unsigned dev, uint32_t keys)
{
    for (guint i = 0; i < o->changes->len; i++) {
        const VtdOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->dev == dev && c->keys & keys) {
            return true;
        }
    }
    return false;
}

/*
 * Caching mode: an entry that was not present may be cached as such, and is
 * to be invalidated with all that it leads to (6.1): by its PASID as Linux
 * does, or globally. Such are no part of the domain that they come into.
 */
void vtd_oracle_changed_pasid(VtdOracle *o, VtdOracleChange *change,
                              uint32_t pasid)
{
    change->pasid = pasid;
    for (unsigned key = 0; key < ORACLE_KEYS; key++) {
        VtdOracleEntry *old = &change->old[key];
        VtdOracleEntry now = vtd_oracle_entry(o, change->dev, key);

        if ((now.present && now.pasid == pasid) ||
            (old->present && old->pasid == pasid)) {
            change->keys |= 1u << key;
            change->fresh |= !old->present ||
                             is_changed(o, change->dev, 1u << key);
            change->did = old->present ? old->did : now.did;
            add_tag(change->tags, old);
            add_tag(change->tags, &now);
        }
    }
    if (change->keys) {
        g_ptr_array_add(o->changes, change);
    } else {
        change_free(change);
    }
}

void vtd_oracle_changed_context(VtdOracle *o, VtdOracleChange *change)
{
    change->context = true;
    /* Legacy mode has no PASID cache */
    change->cache_told = !(o->root & VTD_RTADDR_SCALABLE);
    change->keys = (1u << ORACLE_KEYS) - 1;
    g_ptr_array_add(o->changes, change);
}

/* ------------------------------------------------------------ invalidations */

static bool covers_range(const VtdOracleCommand *cmd, uint64_t first,
                         uint64_t last, bool tables)
{
    uint64_t mask = (PAGE << cmd->order) - 1;

    return first >= (cmd->addr & ~mask) && last <= (cmd->addr | mask) &&
           !(tables && cmd->leaf);
}

static bool covers(const VtdOracleCommand *cmd, const VtdOracleTag *tag,
                   uint64_t first, uint64_t last, bool tables)
{
    switch (cmd->type) {
    case VTD_DESC_IOTLB:
        if (cmd->granularity == VTD_INV_GLOBAL) {
            return true;
        }
        if (cmd->did != tag->did) {
            return false;
        }
        /* Addresses are of the second stage: else all of a domain (6.5.2.3) */
        return cmd->granularity == VTD_INV_DOMAIN || !tag->second ||
               covers_range(cmd, first, last, tables);
    case VTD_DESC_PIOTLB:
        if (tag->second || cmd->did != tag->did || cmd->pasid != tag->pasid) {
            return false;
        }
        if (cmd->granularity == VTD_INV_DOMAIN) {
            return true;
        }
        return covers_range(cmd, first, last, tables);
    default:
        return false;
    }
}

static bool tell_tags(GArray *tags, const VtdOracleCommand *cmd,
                      uint64_t first, uint64_t last, bool tables)
{
    bool all = true;

    for (guint i = 0; i < tags->len; i++) {
        VtdOracleTag *tag = &g_array_index(tags, VtdOracleTag, i);

        tag->told |= covers(cmd, tag, first, last, tables);
        all &= tag->told;
    }
    return all;
}

/* Context cache, then PASID cache, then IOTLB: 6.5.3.3 */
static void tell_change(const VtdOracle *o, VtdOracleChange *c,
                        const VtdOracleCommand *cmd)
{
    if (c->context && !c->context_told) {
        c->context_told = cmd->type == VTD_DESC_CONTEXT &&
                          (cmd->granularity == VTD_INV_GLOBAL ||
                           (cmd->granularity == VTD_INV_NARROW &&
                            cmd->rid == o->dev[c->dev].rid));
    } else if (!c->cache_told) {
        c->cache_told = cmd->type == VTD_DESC_PASID_CACHE &&
                        (cmd->granularity == VTD_PC_GLOBAL ||
                         (!c->context && cmd->did == c->did &&
                          (cmd->granularity == VTD_PC_DOMAIN ? !c->fresh :
                           cmd->pasid == c->pasid)));
    } else if (c->context) {
        c->iotlb_told |= cmd->type == VTD_DESC_IOTLB &&
                         cmd->granularity == VTD_INV_GLOBAL;
    } else {
        tell_tags(c->tags, cmd, 0, UINT64_MAX, true);
    }
}

void vtd_oracle_told(VtdOracle *o, const VtdOracleCommand *cmd)
{
    for (guint i = 0; i < o->changes->len; i++) {
        tell_change(o, g_ptr_array_index(o->changes, i), cmd);
    }
    for (guint i = 0; i < o->edits->len; i++) {
        VtdOracleEdit *e = g_ptr_array_index(o->edits, i);

        tell_tags(e->tags, cmd, e->first, e->last, e->tables);
    }
}

static bool all_told(const GArray *tags)
{
    for (guint i = 0; i < tags->len; i++) {
        if (!g_array_index(tags, VtdOracleTag, i).told) {
            return false;
        }
    }
    return true;
}

void vtd_oracle_synced(VtdOracle *o)
{
    for (guint i = o->changes->len; i-- > 0;) {
        const VtdOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->cache_told && (c->context ? c->iotlb_told :
                                           all_told(c->tags))) {
            g_ptr_array_remove_index(o->changes, i);
        }
    }
    for (guint i = o->edits->len; i-- > 0;) {
        const VtdOracleEdit *e = g_ptr_array_index(o->edits, i);

        if (all_told(e->tags)) {
            g_ptr_array_remove_index(o->edits, i);
        }
    }
}

bool vtd_oracle_pending(const VtdOracle *o)
{
    return o->edits->len || o->changes->len;
}

/* ------------------------------------------------------------------ answers */

typedef struct Answer {
    uint64_t *to;
    unsigned num, max;
} Answer;

static void may_be(Answer *a, uint64_t to)
{
    for (unsigned i = 0; i < a->num; i++) {
        if (a->to[i] == to) {
            return;
        }
    }
    g_assert_cmpuint(a->num, <, a->max);
    a->to[a->num++] = to;
}

/*
 * By tables, not by tag: two tags of the same tables may be one on the host,
 * which then has cached what only one of them has been invalidated of.
 */
static bool concerns(const VtdOracleEdit *edit, const VtdOracleEntry *e,
                     uint64_t iova)
{
    return has_tables(e) && edit->s1 == e->s1 &&
           iova >= edit->first && iova <= edit->last;
}

static uint64_t outcome(const VtdOracle *o, const VtdOracleEntry *e,
                        uint64_t iova, bool write)
{
    switch (e->kind) {
    case ORACLE_IDENTITY:
        return iova < o->ram ? iova : NESTED_FAULT;
    case ORACLE_TABLES:
        return walk(o, e->s1, e->levels, iova, write);
    case ORACLE_SECOND:
        return walk_second(o, e->s1, e->levels, iova, write);
    default:
        return NESTED_FAULT;
    }
}

/* Old and new entries of a request; those that are in force whatever else */
static unsigned entries(const VtdOracle *o, unsigned dev, unsigned key,
                        VtdOracleEntry *list, unsigned max)
{
    unsigned num = 0;

    if (!o->dev[dev].plugged || (!o->translation && key != ORACLE_RID)) {
        list[num++] = (VtdOracleEntry) { .kind = ORACLE_BLOCKED };
        return num;
    }
    if (!o->translation) {
        list[num++] = (VtdOracleEntry) { .kind = ORACLE_IDENTITY };
        return num;
    }
    list[num++] = vtd_oracle_entry(o, dev, key);
    for (guint i = 0; i < o->changes->len; i++) {
        const VtdOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->dev == dev && (c->keys >> key & 1)) {
            g_assert_cmpuint(num, <, max);
            list[num++] = c->old[key];
        }
    }
    return num;
}

#define ENTRIES_MAX 64

unsigned vtd_oracle_read(const VtdOracle *o, unsigned dev, unsigned key,
                         unsigned probe, uint64_t *to, unsigned max)
{
    uint64_t iova = vtd_oracle_probe(probe);
    Answer answer = { .to = to, .max = max };
    VtdOracleEntry list[ENTRIES_MAX];
    unsigned num = entries(o, dev, key, list, ENTRIES_MAX);

    for (unsigned i = 0; i < num; i++) {
        may_be(&answer, outcome(o, &list[i], iova, false));
        for (guint j = 0; j < o->edits->len; j++) {
            const VtdOracleEdit *edit = g_ptr_array_index(o->edits, j);

            if (concerns(edit, &list[i], iova)) {
                may_be(&answer, edit->old[probe]);
            }
        }
    }
    return answer.num;
}

uint64_t vtd_oracle_write(const VtdOracle *o, unsigned dev, unsigned key,
                          unsigned probe)
{
    VtdOracleEntry list[ENTRIES_MAX];

    g_assert_cmpuint(entries(o, dev, key, list, ENTRIES_MAX), ==, 1);
    return outcome(o, &list[0], vtd_oracle_probe(probe), true);
}

bool vtd_oracle_certain(const VtdOracle *o, unsigned dev, unsigned key,
                        unsigned probe)
{
    uint64_t iova = vtd_oracle_probe(probe);
    VtdOracleEntry list[ENTRIES_MAX];

    if (entries(o, dev, key, list, ENTRIES_MAX) > 1) {
        return false;
    }
    for (guint i = 0; i < o->edits->len; i++) {
        if (concerns(g_ptr_array_index(o->edits, i), &list[0], iova)) {
            return false;
        }
    }
    return true;
}
