/*
 * SMMUv3 of an emulated host: with host-keep=on the tables that a walk has
 * found are known to the next one
 *
 * A walk cache has, of an input address, the table that a descriptor has
 * pointed to, by the address in the descriptor: in nested streams that of a
 * stage-1 table takes a walk of stage 2 as ever. It is tagged like the TLB, and
 * TLBI commands that are about more than leaves drop it (4.4, Leaf).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmuv3-host.h"

#define TABLES_MAX      16384

typedef struct TableKey {
    uint64_t addr;              /* first input address that it is about */
    int asid, vmid;
    uint8_t level;              /* of the table */
    uint8_t granule;
    bool s2;
} TableKey;

typedef struct Table {
    TableKey key;
    uint64_t base;
    bool no_write, no_el0;
} Table;

static guint table_hash(gconstpointer v)
{
    const TableKey *key = v;

    return key->addr >> 12 ^ key->addr >> 32 ^ key->asid << 16 ^
           key->vmid << 8 ^ key->level << 4 ^ key->granule << 1 ^ key->s2;
}

static gboolean table_equal(gconstpointer v1, gconstpointer v2)
{
    const TableKey *a = v1, *b = v2;

    return a->addr == b->addr && a->asid == b->asid && a->vmid == b->vmid &&
           a->level == b->level && a->granule == b->granule && a->s2 == b->s2;
}

void smmuv3_walks_init(SMMUv3State *s)
{
    /* Keys are parts of the values */
    s->host.tables = g_hash_table_new_full(table_hash, table_equal, NULL,
                                           g_free);
}

/* Log2 of what a table of @level is about: of its descriptor, one level up */
static unsigned table_shift(unsigned level, unsigned granule)
{
    return granule + (4 - level) * (granule - 3);
}

static TableKey table_key(const SMMUTransCfg *cfg, bool s2, uint64_t addr,
                          unsigned granule, unsigned level)
{
    return (TableKey) {
        .addr = addr & ~MAKE_64BIT_MASK(0, table_shift(level, granule)),
        .asid = s2 ? -1 : cfg->asid,
        .vmid = cfg->s2cfg.vmid,
        .level = level,
        .granule = granule,
        .s2 = s2,
    };
}

int smmuv3_walk_start(SMMUState *bs, const SMMUTransCfg *cfg, bool s2,
                      uint64_t addr, unsigned granule, int start,
                      uint64_t *base, bool *no_write, bool *no_el0)
{
    SMMUv3State *s = ARM_SMMUV3(bs);
    const Table *table;
    int level;

    for (level = 3; s->host.keep && level > start; level--) {
        TableKey key = table_key(cfg, s2, addr, granule, level);

        table = g_hash_table_lookup(s->host.tables, &key);
        if (table) {
            *base = table->base;
            if (!s2) {
                *no_write = table->no_write;
                *no_el0 = table->no_el0;
            }
            return level;
        }
    }
    return start;
}

void smmuv3_walk_table(SMMUState *bs, const SMMUTransCfg *cfg, bool s2,
                       uint64_t addr, unsigned granule, int level,
                       uint64_t base, bool no_write, bool no_el0)
{
    SMMUv3State *s = ARM_SMMUV3(bs);
    Table *table;

    if (s->host.keep) {
        if (g_hash_table_size(s->host.tables) >= TABLES_MAX) {
            smmuv3_keep_drop_one(s->host.tables);
        }
        table = g_new(Table, 1);
        *table = (Table) {
            .key = table_key(cfg, s2, addr, granule, level),
            .base = base, .no_write = no_write, .no_el0 = no_el0,
        };
        g_hash_table_replace(s->host.tables, &table->key, table);
    }
}

int smmuv3_walk_ipa(SMMUState *bs, SMMUTransCfg *cfg, dma_addr_t ipa,
                    IOMMUAccessFlags perm, SMMUTLBEntry *tlbe,
                    SMMUPTWEventInfo *info)
{
    const SMMUTLBEntry *cached = NULL;
    int ret, asid = cfg->asid;

    cfg->stage = SMMU_STAGE_2;
    cfg->asid = -1;
    if (ARM_SMMUV3(bs)->host.keep) {
        cached = smmu_translate(bs, cfg, ipa, perm, info);
        ret = cached ? 0 : -EINVAL;
    } else {
        ret = smmu_ptw(bs, cfg, ipa, perm, tlbe, info);
    }
    if (cached) {
        *tlbe = *cached;
    }
    cfg->asid = asid;
    cfg->stage = SMMU_NESTED;
    return ret;
}

/* What a TLBI command is about; -1 stands for any */
typedef struct TableDrop {
    int asid, vmid;
    bool s1, s2;
    uint64_t first, last;
} TableDrop;

static gboolean table_selected(gpointer key, gpointer value, gpointer opaque)
{
    const TableKey *k = key;
    const TableDrop *drop = opaque;
    uint64_t last = k->addr | MAKE_64BIT_MASK(0, table_shift(k->level,
                                                             k->granule));

    return (k->s2 ? drop->s2 : drop->s1) &&
           (drop->vmid < 0 || drop->vmid == k->vmid) &&
           (drop->asid < 0 || drop->asid == k->asid) &&
           k->addr <= drop->last && last >= drop->first;
}

/* The range of a command that has an address; false: of leaves alone */
static bool drop_range(const Cmd *cmd, TableDrop *drop)
{
    unsigned granule = CMD_TG(cmd) * 2 + 10;
    uint64_t pages = (CMD_NUM(cmd) + 1ULL) << CMD_SCALE(cmd);

    drop->first = drop->last = CMD_ADDR(cmd);
    if (CMD_TG(cmd)) {
        drop->last += (pages << granule) - 1;
        if (pages >= 1ULL << (64 - granule) || drop->last < drop->first) {
            drop->last = UINT64_MAX;
        }
    }
    return !CMD_LEAF(cmd);
}

void smmuv3_walks_command(SMMUv3State *s, const Cmd *cmd)
{
    bool has_s2 = FIELD_EX32(s->idr[0], IDR0, S2P);
    TableDrop drop = {
        .asid = -1, .vmid = has_s2 ? CMD_VMID(cmd) : -1, .s1 = true,
        .last = UINT64_MAX,
    };

    switch (CMD_TYPE(cmd)) {
    case SMMU_CMD_TLBI_NSNH_ALL:
        drop.vmid = -1;
        drop.s2 = true;
        break;
    case SMMU_CMD_TLBI_S12_VMALL:
        drop.s2 = true;
        break;
    case SMMU_CMD_TLBI_NH_ALL:
        break;
    case SMMU_CMD_TLBI_NH_ASID:
        drop.asid = CMD_ASID(cmd);
        break;
    case SMMU_CMD_TLBI_NH_VA:
        drop.asid = CMD_ASID(cmd);
        QEMU_FALLTHROUGH;
    case SMMU_CMD_TLBI_NH_VAA:
        if (!drop_range(cmd, &drop)) {
            return;
        }
        break;
    case SMMU_CMD_TLBI_S2_IPA:
        drop.s1 = false;
        drop.s2 = true;
        if (!drop_range(cmd, &drop)) {
            return;
        }
        break;
    default:
        return;
    }
    g_hash_table_foreach_remove(s->host.tables, table_selected, &drop);
}
