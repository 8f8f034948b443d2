/*
 * What DMA behind a nested vSMMU may see, from the guest's tables alone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Section numbers are those of the Arm SMMU architecture specification,
 * version 3 (IHI 0070).
 */

#include "qemu/osdep.h"
#include "smmu-nested-oracle.h"

#define STE_BYTES       64
#define CD_BYTES        64
#define STE_S1CTX       0x000fffffffffffc0ULL
#define L1_POINTER      0x000ffffffffff000ULL
#define CD_V            (1ULL << 31)
#define CD_TTB          0x000ffffffffff000ULL

const uint32_t smmu_oracle_ssids[ORACLE_KEYS] = {
    0, 1, 5, 63, 64, 200, 1025,
};

/* -------------------------------------------------------------------- life */

static void forget_changes(SmmuOracle *o)
{
    g_ptr_array_set_size(o->edits, 0);
    g_ptr_array_set_size(o->changes, 0);
}

void smmu_oracle_forget(SmmuOracle *o)
{
    nested_mirror_forget(&o->m);
    forget_changes(o);
}

void smmu_oracle_init(SmmuOracle *o, QTestState *qts, uint64_t first,
                      uint64_t size)
{
    nested_mirror_init(&o->m, qts, first, size);
    o->edits = g_ptr_array_new_with_free_func(g_free);
    o->changes = g_ptr_array_new_with_free_func(g_free);
}

void smmu_oracle_free(SmmuOracle *o)
{
    g_ptr_array_free(o->edits, true);
    g_ptr_array_free(o->changes, true);
    nested_mirror_free(&o->m);
}

/* ------------------------------------------------------------------- walks */

/*
 * Both ends of what a last-level table and one above it cover, at both ends
 * of the address space, where an address of the guest's memory is one as well,
 * and in between.
 */
uint64_t smmu_oracle_probe(unsigned probe)
{
    static const uint64_t base[] = {
        0x40000000, 0x4000000000, 0x7f8000000000, 0xff8000000000,
    };
    static const uint64_t dir[] = { 48, 49, 50, 511 };
    static const uint64_t page[] = { 0, 1, 2, 511 };

    return base[probe >> 5 & 3] + (probe & 16 ? 510ULL << 30 : 0) +
           (dir[probe >> 2 & 3] << 21) + (page[probe & 3] << 12);
}

static uint64_t in_ram(const SmmuOracle *o, uint64_t gpa)
{
    return gpa >= o->ram && gpa < o->ram + o->ram_size ? gpa : NESTED_FAULT;
}

/* Stage 1: VMSAv8-64, 4 KiB granule, 48 bits, of a request without privilege */
static uint64_t walk(const SmmuOracle *o, uint64_t s1, uint64_t iova,
                     bool write)
{
    bool no_user = false, read_only = false;
    uint64_t table = s1;

    for (unsigned shift = 39; ; shift -= 9) {
        uint64_t pte = nested_mirror_word(&o->m,
                                          table + (iova >> shift & 0x1ff) * 8);
        bool leaf = shift == 12 || !(pte & 2);

        if (!(pte & 1) || (shift == 12 && !(pte & 2))) {
            return NESTED_FAULT;
        }
        if (leaf) {
            uint64_t offset = iova & ((1ULL << shift) - 1);

            no_user |= !(pte & SMMU_PTE_EL0);
            read_only |= !!(pte & SMMU_PTE_RO);
            if (!(pte & SMMU_PTE_AF) || no_user || (write && read_only)) {
                return NESTED_FAULT;
            }
            return (pte & SMMU_PTE_ADDR) + offset;
        }
        no_user |= !!(pte & SMMU_TABLE_NO_EL0);
        read_only |= !!(pte & SMMU_TABLE_RO);
        table = pte & SMMU_PTE_ADDR;
    }
}

/* 5.1: where the STE is, 0 if nowhere */
static uint64_t find_ste(const SmmuOracle *o, uint32_t sid)
{
    const SmmuTables *t = o->streams;
    uint64_t l1 = nested_mirror_word(&o->m, t->base + (sid >> t->split) * 8);
    uint32_t index = sid & ((1u << t->split) - 1);
    unsigned span = l1 & 0x1f;

    if (!span || index >= 1u << (span - 1)) {
        return 0;
    }
    return (l1 & STE_S1CTX) + index * STE_BYTES;
}

/* 5.3, 5.4: where the CD is, 0 if nowhere */
static uint64_t find_cd(const SmmuOracle *o, uint64_t ste, uint32_t ssid)
{
    unsigned bits = ste >> 59, fmt = bits ? ste >> 4 & 3 : 0;
    unsigned split = fmt == SMMU_S1FMT_4K_L2 ? 6 : 10;
    uint64_t l1;

    if (ssid >> bits) {
        return 0;
    }
    if (fmt == SMMU_S1FMT_LINEAR) {
        return (ste & STE_S1CTX) + ssid * CD_BYTES;
    }
    l1 = nested_mirror_word(&o->m, (ste & STE_S1CTX) + (ssid >> split) * 8);
    return l1 & 1 ? (l1 & L1_POINTER) +
                    (ssid & ((1u << split) - 1)) * CD_BYTES : 0;
}

static void use_cd(const SmmuOracle *o, uint64_t ste, uint32_t ssid,
                   SmmuOracleEntry *entry)
{
    uint64_t cd = find_cd(o, ste, ssid), word;

    if (!cd) {
        return;
    }
    word = nested_mirror_word(&o->m, cd);
    if (word & CD_V) {
        entry->kind = ORACLE_TABLES;
        entry->asid = word >> 48;
        entry->s1 = nested_mirror_word(&o->m, cd + 8) & CD_TTB;
    }
}

/* An STE with stage 1 (5.2) */
static void use_stage1(const SmmuOracle *o, const uint64_t *ste, unsigned key,
                       SmmuOracleEntry *entry)
{
    unsigned s1dss = ste[1] & 3;
    bool substreams = ste[0] >> 59;

    entry->cds = ste[0] & STE_S1CTX;
    entry->ats = (ste[1] >> 28 & 3) == 1;
    if (key != ORACLE_PLAIN) {
        if (substreams) {
            use_cd(o, ste[0], smmu_oracle_ssids[key], entry);
        }
    } else if (!substreams || s1dss == SMMU_S1DSS_SSID0) {
        use_cd(o, ste[0], 0, entry);
    } else if (s1dss == SMMU_S1DSS_BYPASS) {
        entry->kind = ORACLE_IDENTITY;
    }
}

SmmuOracleEntry smmu_oracle_entry(const SmmuOracle *o, unsigned dev,
                                  unsigned key)
{
    SmmuOracleEntry entry = { .kind = ORACLE_BLOCKED };
    uint64_t at = find_ste(o, o->dev[dev].sid), ste[2];

    if (!at) {
        return entry;
    }
    ste[0] = nested_mirror_word(&o->m, at);
    ste[1] = nested_mirror_word(&o->m, at + 8);
    if (!(ste[0] & 1)) {
        return entry;
    }
    if ((ste[0] >> 1 & 7) == SMMU_STE_S1) {
        use_stage1(o, ste, key, &entry);
    } else if ((ste[0] >> 1 & 7) == SMMU_STE_BYPASS && key == ORACLE_PLAIN) {
        entry.kind = ORACLE_IDENTITY;
        entry.maybe_ats = true;
    }
    return entry;
}

bool smmu_oracle_user(const SmmuOracle *o, uint64_t s1, unsigned *from)
{
    const unsigned all = ORACLE_DEVICES * ORACLE_KEYS;

    for (unsigned i = 0; i < all; i++) {
        unsigned user = (*from + i) % all;
        SmmuOracleEntry e = smmu_oracle_entry(o, user / ORACLE_KEYS,
                                              user % ORACLE_KEYS);

        if (e.kind == ORACLE_TABLES && e.s1 == s1) {
            *from = user;
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------- changes */

SmmuOracleEdit *smmu_oracle_edit(SmmuOracle *o, uint64_t s1)
{
    SmmuOracleEdit *e = g_new0(SmmuOracleEdit, 1);

    e->s1 = s1;
    for (unsigned i = 0; i < ORACLE_PROBES; i++) {
        e->old[i] = in_ram(o, walk(o, s1, smmu_oracle_probe(i), false));
    }
    return e;
}

/* Devices that may have put what @e leads to into their TLBs */
static void add_atc(SmmuOracleAtc *atc, const SmmuOracleEntry *e,
                    unsigned dev, unsigned key)
{
    if (e->kind != ORACLE_BLOCKED && e->ats) {
        atc->due[dev] |= 1u << key;
    }
}

static void add_users(const SmmuOracle *o, SmmuOracleEdit *edit)
{
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        for (unsigned key = 0; key < ORACLE_KEYS; key++) {
            SmmuOracleEntry e = smmu_oracle_entry(o, dev, key);

            if (e.s1 == edit->s1) {
                add_atc(&edit->atc, &e, dev, key);
            }
        }
    }
    for (guint i = 0; i < o->changes->len; i++) {
        const SmmuOracleChange *c = g_ptr_array_index(o->changes, i);

        for (unsigned key = 0; key < ORACLE_KEYS; key++) {
            if (c->old[key].s1 == edit->s1) {
                add_atc(&edit->atc, &c->old[key], c->dev, key);
            }
        }
    }
}

void smmu_oracle_edited(SmmuOracle *o, SmmuOracleEdit *edit,
                        const uint16_t *asids)
{
    memcpy(edit->asid, asids, sizeof(edit->asid));
    add_users(o, edit);
    g_ptr_array_add(o->edits, edit);
}

void smmu_oracle_not_edited(SmmuOracleEdit *edit)
{
    g_free(edit);
}

SmmuOracleChange *smmu_oracle_change(SmmuOracle *o, unsigned dev,
                                     SmmuOracleWhat what)
{
    SmmuOracleChange *c = g_new0(SmmuOracleChange, 1);

    c->dev = dev;
    c->what = what;
    for (unsigned key = 0; key < ORACLE_KEYS; key++) {
        c->old[key] = smmu_oracle_entry(o, dev, key);
    }
    return c;
}

/*
 * What an STE led to goes from the device's TLB with the attachment, which
 * is the host's business.
 */
void smmu_oracle_changed(SmmuOracle *o, SmmuOracleChange *change,
                         uint32_t ssid, uint32_t keys)
{
    change->ssid = ssid;
    change->keys = keys;
    for (unsigned key = 0; change->what != ORACLE_STE && key < ORACLE_KEYS;
         key++) {
        if (keys & 1u << key) {
            add_atc(&change->atc, &change->old[key], change->dev, key);
        }
    }
    g_ptr_array_add(o->changes, change);
    /* A device that comes to tables may take what is old there with it */
    for (guint i = 0; i < o->edits->len; i++) {
        SmmuOracleEdit *e = g_ptr_array_index(o->edits, i);

        if (!smmu_oracle_edit_done(e)) {
            add_users(o, e);
        }
    }
}

bool smmu_oracle_settled(const SmmuOracle *o)
{
    for (guint i = 0; i < o->changes->len; i++) {
        const SmmuOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->what == ORACLE_STE) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------ invalidations */

/* 4.4: TLB entries of @asid for what @e has changed */
static bool covers(const SmmuOracleCommand *cmd, const SmmuOracleEdit *e,
                   uint16_t asid)
{
    uint64_t first, last;

    switch (cmd->op) {
    case SMMU_OP_TLBI_NSNH_ALL:
    case SMMU_OP_TLBI_NH_ALL:
        return true;
    case SMMU_OP_TLBI_NH_ASID:
        return cmd->asid == asid;
    case SMMU_OP_TLBI_NH_VA:
        if (cmd->asid != asid) {
            return false;
        }
        break;
    case SMMU_OP_TLBI_NH_VAA:
        break;
    default:
        return false;
    }
    first = cmd->addr & ~(PAGE - 1);
    last = first + (cmd->ranged ? (uint64_t)(cmd->num + 1) << cmd->scale : 1) *
           PAGE - 1;
    if (e->tables) {
        return !cmd->leaf && !cmd->ttl && e->first >= first && e->last <= last;
    }
    /* One leaf: any address in it */
    return e->first <= last && e->last >= first &&
           (!cmd->ttl || cmd->ttl == e->level);
}

/* 4.3.1, 4.3.2: an STE goes with everything that was reached through it */
static bool names_stream(const SmmuOracleCommand *cmd, uint32_t sid)
{
    switch (cmd->op) {
    case SMMU_OP_CFGI_STE:
        return cmd->sid == sid;
    case SMMU_OP_CFGI_STE_RANGE:
        return !((uint64_t)(cmd->sid ^ sid) >> (cmd->order + 1));
    default:
        return false;
    }
}

static bool changes_told(const SmmuOracle *o, const SmmuOracleChange *c,
                         const SmmuOracleCommand *cmd)
{
    uint32_t sid = o->dev[c->dev].sid;

    if (names_stream(cmd, sid)) {
        return true;
    }
    if (c->what == ORACLE_STE || cmd->sid != sid) {
        return false;
    }
    if (cmd->op == SMMU_OP_CFGI_CD_ALL) {
        return true;
    }
    return cmd->op == SMMU_OP_CFGI_CD && c->what != ORACLE_CD_LEAF &&
           cmd->ssid == c->ssid &&
           !(cmd->leaf && c->what == ORACLE_CD_NEW_LEAF);
}

/* 4.5.1; @first..@last is what may be cached */
static void tell_atc(const SmmuOracle *o, SmmuOracleAtc *atc,
                     const SmmuOracleCommand *cmd, uint64_t first,
                     uint64_t last)
{
    uint64_t mask = cmd->order >= 52 ? UINT64_MAX :
                                       (PAGE << cmd->order) - 1;

    if (cmd->op != SMMU_OP_ATC_INV || first < (cmd->addr & ~mask) ||
        last > (cmd->addr | mask)) {
        return;
    }
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        for (unsigned key = 0; key < ORACLE_KEYS; key++) {
            uint32_t ssid = key == ORACLE_PLAIN ? SMMU_NO_SSID :
                                                  smmu_oracle_ssids[key];

            if (cmd->sid == o->dev[dev].sid && cmd->ssid == ssid) {
                atc->told[dev] |= 1u << key;
            }
        }
    }
}

bool smmu_oracle_edit_done(const SmmuOracleEdit *edit)
{
    for (unsigned i = 0; i < ORACLE_ASIDS; i++) {
        if (!edit->tlb[i].done) {
            return false;
        }
    }
    return true;
}

void smmu_oracle_told(SmmuOracle *o, const SmmuOracleCommand *cmd)
{
    for (guint i = 0; i < o->changes->len; i++) {
        SmmuOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->cfg.done) {
            tell_atc(o, &c->atc, cmd, 0, UINT64_MAX);
        }
        c->cfg.told |= changes_told(o, c, cmd);
    }
    for (guint i = 0; i < o->edits->len; i++) {
        SmmuOracleEdit *e = g_ptr_array_index(o->edits, i);

        if (smmu_oracle_edit_done(e)) {
            tell_atc(o, &e->atc, cmd, e->first, e->last);
        }
        for (unsigned j = 0; j < ORACLE_ASIDS; j++) {
            e->tlb[j].told |= covers(cmd, e, e->asid[j]);
        }
    }
}

static bool atc_clean(SmmuOracleAtc *atc)
{
    bool clean = true;

    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        atc->due[dev] &= ~atc->told[dev];
        clean &= !atc->due[dev];
    }
    return clean;
}

void smmu_oracle_synced(SmmuOracle *o)
{
    for (guint i = o->changes->len; i-- > 0;) {
        SmmuOracleChange *c = g_ptr_array_index(o->changes, i);

        c->cfg.done = c->cfg.told;
        if (c->cfg.done && atc_clean(&c->atc)) {
            g_ptr_array_remove_index(o->changes, i);
        }
    }
    for (guint i = o->edits->len; i-- > 0;) {
        SmmuOracleEdit *e = g_ptr_array_index(o->edits, i);

        for (unsigned j = 0; j < ORACLE_ASIDS; j++) {
            e->tlb[j].done = e->tlb[j].told;
        }
        if (smmu_oracle_edit_done(e) && atc_clean(&e->atc)) {
            g_ptr_array_remove_index(o->edits, i);
        }
    }
}

bool smmu_oracle_pending(const SmmuOracle *o)
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

/* May an access through @e still meet what was there before? */
static bool concerns(const SmmuOracleEdit *edit, const SmmuOracleEntry *e,
                     uint64_t iova, bool ats)
{
    if (e->kind != ORACLE_TABLES || edit->s1 != e->s1 ||
        iova < edit->first || iova > edit->last) {
        return false;
    }
    for (unsigned i = 0; !ats && i < ORACLE_ASIDS; i++) {
        if (edit->asid[i] == e->asid) {
            return !edit->tlb[i].done;
        }
    }
    return true;
}

static uint64_t outcome(const SmmuOracle *o, const SmmuOracleEntry *e,
                        uint64_t iova, bool write)
{
    switch (e->kind) {
    case ORACLE_IDENTITY:
        return in_ram(o, iova);
    case ORACLE_TABLES:
        return in_ram(o, walk(o, e->s1, iova, write));
    default:
        return NESTED_FAULT;
    }
}

#define ENTRIES_MAX     64

/* Old and new entries of a request; those that are in force whatever else */
static unsigned entries(const SmmuOracle *o, unsigned dev, unsigned key,
                        bool ats, SmmuOracleEntry *list)
{
    unsigned num = 0;

    if (!o->dev[dev].plugged || !o->enabled) {
        bool on = o->dev[dev].plugged && !o->abort && key == ORACLE_PLAIN;

        list[num++] = (SmmuOracleEntry) {
            .kind = on ? ORACLE_IDENTITY : ORACLE_BLOCKED, .maybe_ats = on,
        };
        return num;
    }
    list[num++] = smmu_oracle_entry(o, dev, key);
    for (guint i = 0; i < o->changes->len; i++) {
        const SmmuOracleChange *c = g_ptr_array_index(o->changes, i);

        if (c->dev == dev && (c->keys & 1u << key) && (ats || !c->cfg.done)) {
            g_assert_cmpuint(num, <, ENTRIES_MAX);
            list[num++] = c->old[key];
        }
    }
    return num;
}

unsigned smmu_oracle_read(const SmmuOracle *o, unsigned dev, unsigned key,
                          bool ats, unsigned probe, uint64_t *to,
                          unsigned max)
{
    uint64_t iova = smmu_oracle_probe(probe);
    Answer answer = { .to = to, .max = max };
    SmmuOracleEntry list[ENTRIES_MAX];
    unsigned num = entries(o, dev, key, ats, list);

    for (unsigned i = 0; i < num; i++) {
        const SmmuOracleEntry *e = &list[i];

        if (ats && !e->ats) {
            may_be(&answer, NESTED_FAULT);
        }
        if (ats && !e->ats && !e->maybe_ats) {
            continue;
        }
        may_be(&answer, outcome(o, e, iova, false));
        for (guint j = 0; j < o->edits->len; j++) {
            const SmmuOracleEdit *edit = g_ptr_array_index(o->edits, j);

            if (concerns(edit, e, iova, ats)) {
                may_be(&answer, edit->old[probe]);
            }
        }
    }
    return answer.num;
}

bool smmu_oracle_certain(const SmmuOracle *o, unsigned dev, unsigned key,
                         bool ats, unsigned probe)
{
    uint64_t iova = smmu_oracle_probe(probe);
    SmmuOracleEntry list[ENTRIES_MAX];

    if (entries(o, dev, key, ats, list) > 1 || (ats && !list[0].ats)) {
        return false;
    }
    for (guint i = 0; i < o->edits->len; i++) {
        if (concerns(g_ptr_array_index(o->edits, i), &list[0], iova, ats)) {
            return false;
        }
    }
    return true;
}

bool smmu_oracle_event_due(const SmmuOracle *o, unsigned dev, unsigned key,
                           unsigned probe)
{
    SmmuOracleEntry e = smmu_oracle_entry(o, dev, key);

    return o->enabled && o->dev[dev].plugged && e.kind == ORACLE_TABLES &&
           smmu_oracle_certain(o, dev, key, false, probe) &&
           walk(o, e.s1, smmu_oracle_probe(probe), true) == NESTED_FAULT;
}

uint64_t smmu_oracle_write(const SmmuOracle *o, unsigned dev, unsigned key,
                           unsigned probe)
{
    SmmuOracleEntry list[ENTRIES_MAX];

    g_assert_cmpuint(entries(o, dev, key, false, list), ==, 1);
    return outcome(o, &list[0], smmu_oracle_probe(probe), true);
}
