/*
 * SMMUv3 nesting: a guest that does anything: invalidations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "smmu-nested-random.h"

#define ATC_ALL     52

static SmmuCmd encode(const SmmuOracleCommand *c)
{
    SmmuCmd cmd;

    switch (c->op) {
    case SMMU_OP_CFGI_STE:
        return smmu_cfgi_ste(c->sid, c->leaf);
    case SMMU_OP_CFGI_STE_RANGE:
        return (SmmuCmd) { { c->op | (uint64_t)c->sid << 32, c->order } };
    case SMMU_OP_CFGI_CD:
        return smmu_cfgi_cd(c->sid, c->ssid, c->leaf);
    case SMMU_OP_CFGI_CD_ALL:
        return smmu_cfgi_cd_all(c->sid);
    case SMMU_OP_TLBI_NH_ASID:
        return smmu_tlbi_asid(c->asid);
    case SMMU_OP_TLBI_NH_VA:
    case SMMU_OP_TLBI_NH_VAA:
        cmd = c->ranged ? smmu_tlbi_range(c->asid, c->addr, c->leaf, 12,
                                          c->num, c->scale, c->ttl) :
                          smmu_tlbi_va(c->asid, c->addr, c->leaf);
        if (c->op == SMMU_OP_TLBI_NH_VAA) {
            cmd.dw[0] = (cmd.dw[0] & 0x0000ffffffffff00) | c->op;
        }
        return cmd;
    case SMMU_OP_ATC_INV:
        return smmu_atc_inv(c->sid, c->ssid, c->addr, c->order);
    default:
        return smmu_tlbi_all(c->op);
    }
}

static void tell(Random *t, SmmuOracleCommand cmd)
{
    SmmuCmd raw = encode(&cmd);

    nested_random_note(&t->n, "command 0x%016" PRIx64 " 0x%016" PRIx64,
                       raw.dw[0], raw.dw[1]);
    smmu_queue_push(&t->r.cmdq, raw);
    smmu_oracle_told(&t->o, &cmd);
    t->queued++;
    t->commands++;
}

/*
 * That many pages (a power of two) in one of the ways there are. One page
 * alone is no range, unless there is a TTL (4.4.1.1).
 */
static void set_range(Random *t, SmmuOracleCommand *cmd, uint64_t pages,
                      unsigned ttl)
{
    unsigned log2 = ctz64(pages), in_num = random_upto(t, MIN(log2, 5) + 1);

    cmd->num = (1u << in_num) - 1;
    cmd->scale = log2 - in_num;
    cmd->ttl = ttl;
    cmd->ranged = log2 || ttl;
}

void random_tell_noise(Random *t)
{
    static const SmmuOp ops[] = {
        SMMU_OP_CFGI_STE, SMMU_OP_CFGI_STE_RANGE, SMMU_OP_CFGI_CD,
        SMMU_OP_CFGI_CD_ALL, SMMU_OP_TLBI_NH_ASID, SMMU_OP_TLBI_NH_VA,
        SMMU_OP_TLBI_NH_VA, SMMU_OP_TLBI_NH_VAA, SMMU_OP_ATC_INV,
    };
    SmmuOracleCommand cmd = {
        .op = ops[random_upto(t, ARRAY_SIZE(ops))],
        .sid = t->o.dev[random_upto(t, ORACLE_DEVICES)].sid,
        .ssid = smmu_oracle_ssids[random_upto(t, ORACLE_KEYS)],
        .asid = random_asid(random_upto(t, SPACES), random_upto(t, 2)),
        .addr = smmu_oracle_probe(random_upto(t, ORACLE_PROBES)),
        .leaf = random_chance(t, 50),
        .order = random_upto(t, 12),
    };

    if (random_chance(t, 30)) {
        set_range(t, &cmd, 1ULL << random_upto(t, 28), random_upto(t, 4));
    }
    /* Nobody's, or of an endpoint that is not there */
    if (random_chance(t, 10)) {
        cmd.sid = random_upto(t, 0x10000);
    }
    tell(t, cmd);
}

/* ------------------------------------------------------------ page tables */

static void tell_asid(Random *t, const SmmuOracleEdit *e, uint16_t asid)
{
    SmmuOracleCommand cmd = { .asid = asid };
    uint64_t pages = (e->last - e->first + 1) / PAGE;
    unsigned how = random_upto(t, 100);

    if (how < 5) {
        cmd.op = random_chance(t, 50) ? SMMU_OP_TLBI_NSNH_ALL :
                                        SMMU_OP_TLBI_NH_ALL;
    } else if (how < 20) {
        cmd.op = SMMU_OP_TLBI_NH_ASID;
    } else {
        cmd.op = how < 85 ? SMMU_OP_TLBI_NH_VA : SMMU_OP_TLBI_NH_VAA;
        cmd.leaf = !e->tables && random_chance(t, 60);
        if (e->tables || random_chance(t, 40)) {
            /* All of it, and now and then more */
            cmd.addr = e->first;
            pages <<= !e->tables && random_chance(t, 20) ? random_upto(t, 4) :
                                                           0;
            set_range(t, &cmd, pages, e->tables || random_chance(t, 60) ? 0 :
                                      e->level);
        } else {
            /* Any address in it will do */
            cmd.addr = e->first + random_upto(t, MIN(pages, 512)) * PAGE;
        }
    }
    tell(t, cmd);
}

/* Not quite what is needed: it must not be taken for it */
static void tell_nearly(Random *t, const SmmuOracleEdit *e, uint16_t asid)
{
    uint64_t span = e->last - e->first + 1;
    SmmuOracleCommand cmd = {
        .op = SMMU_OP_TLBI_NH_VA, .asid = asid, .addr = e->first,
        .leaf = random_chance(t, 50),
    };

    set_range(t, &cmd, span / PAGE, 0);
    switch (random_upto(t, 5)) {
    case 0:
        cmd.leaf = true;
        break;
    case 1:
        cmd.ranged = false;
        break;
    case 2:
        cmd.addr ^= span;
        break;
    case 3:
        cmd.asid ^= 1;
        break;
    default:
        set_range(t, &cmd, span / PAGE, 1 + random_upto(t, 3));
        break;
    }
    tell(t, cmd);
}

/* What endpoints have in their TLBs of all that is due */
static void tell_atc(Random *t, const SmmuOracleAtc *atc, uint64_t first,
                     unsigned order)
{
    for (unsigned i = 0; i < ORACLE_DEVICES * ORACLE_KEYS; i++) {
        unsigned dev = i / ORACLE_KEYS, key = i % ORACLE_KEYS;
        bool all = random_chance(t, 20);

        if (atc->due[dev] & ~atc->told[dev] & 1u << key) {
            tell(t, (SmmuOracleCommand) {
                .op = SMMU_OP_ATC_INV,
                .sid = t->o.dev[dev].sid,
                .ssid = key == ORACLE_PLAIN ? SMMU_NO_SSID :
                                              smmu_oracle_ssids[key],
                .addr = all ? 0 : first,
                .order = all ? ATC_ALL : order,
            });
        }
    }
}

static void tell_edit(Random *t, const SmmuOracleEdit *e)
{
    if (smmu_oracle_edit_done(e)) {
        tell_atc(t, &e->atc, e->first, ctz64((e->last - e->first + 1) / PAGE));
        return;
    }
    for (unsigned i = 0; i < ORACLE_ASIDS; i++) {
        if (!e->tlb[i].told && random_chance(t, 25)) {
            tell_nearly(t, e, e->asid[i]);
        }
        if (!e->tlb[i].told) {
            tell_asid(t, e, e->asid[i]);
        }
    }
}

/* ----------------------------------------------------------- configuration */

static void tell_change(Random *t, const SmmuOracleChange *c)
{
    uint32_t sid = t->o.dev[c->dev].sid;
    SmmuOracleCommand cmd = { .sid = sid, .ssid = c->ssid };
    unsigned how = random_upto(t, 100);

    if (c->cfg.done) {
        tell_atc(t, &c->atc, 0, ATC_ALL);
        return;
    }
    if (c->cfg.told) {
        return;
    }
    if (how < 5) {
        cmd.op = SMMU_OP_CFGI_STE_RANGE;
        cmd.order = 31;
    } else if (how < 15) {
        cmd.op = SMMU_OP_CFGI_STE_RANGE;
        cmd.order = random_upto(t, 12);
    } else if (c->what == ORACLE_STE || how < 25) {
        cmd.op = SMMU_OP_CFGI_STE;
        cmd.leaf = random_chance(t, 70);
    } else if (c->what == ORACLE_CD_LEAF || how < 40) {
        cmd.op = SMMU_OP_CFGI_CD_ALL;
    } else {
        cmd.op = SMMU_OP_CFGI_CD;
        cmd.leaf = c->what == ORACLE_CD && random_chance(t, 70);
    }
    tell(t, cmd);
}

/* Changes of configuration first, then those in what it leads to */
void random_tell_pending(Random *t, unsigned percent)
{
    for (guint i = 0; i < t->o.changes->len; i++) {
        if (random_chance(t, percent)) {
            tell_change(t, g_ptr_array_index(t->o.changes, i));
        }
    }
    for (guint i = 0; i < t->o.edits->len; i++) {
        if (random_chance(t, percent)) {
            tell_edit(t, g_ptr_array_index(t->o.edits, i));
        }
        if (random_chance(t, 5)) {
            random_tell_noise(t);
        }
    }
}

/* ------------------------------------------------------------------- queue */

static void done(Random *t)
{
    nested_random_note(&t->n, "CMD_SYNC");
    t->queued = 0;
    t->syncs++;
    smmu_oracle_synced(&t->o);
    if (!smmu_oracle_pending(&t->o)) {
        nested_mirror_release(&t->o.m);
    }
}

void random_sync(Random *t)
{
    int error = smmu_cmdq_sync(&t->r.cmdq, &t->r.regs);

    if (error) {
        fprintf(stderr, "the queue stands at %u of %u, CERROR %d\n",
                smmu_rig_cons(&t->r), t->r.cmdq.index, error);
        abort();
    }
    done(t);
}

/* With some before it, and some behind: it is replaced, as Linux does */
void random_refused(Random *t)
{
    SmmuQueue *q = &t->r.cmdq;
    SmmuCmd bad = smmu_tlbi_asid(random_asid(0, 0));
    uint32_t mask = (1u << q->bits) - 1, at;

    if (random_chance(t, 50)) {
        random_tell_pending(t, 20);
    }
    at = q->index & mask;
    bad.dw[0] |= 1 << 8;                /* RES0 */
    smmu_queue_push(q, bad);
    if (random_chance(t, 50)) {
        random_tell_noise(t);
    }
    g_assert_cmpint(smmu_cmdq_sync(q, &t->r.regs), ==, CERROR_ILL);
    g_assert_cmpuint(smmu_rig_cons(&t->r), ==, at);
    iommu_mem_write_qwords(q->mem, q->base + at * q->entry,
                           smmu_sync().dw, 2);
    smmu_rig_ack(&t->r);
    g_assert_cmphex(smmu_rig_read(&t->r, SMMU_REG_CMDQ_CONS) & 0xffffff, ==,
                    q->index);
    t->refused++;
    done(t);
}

/* The last of all that is due are ATC_INVs, which come behind a CMD_SYNC */
void random_invalidate_all(Random *t)
{
    for (unsigned i = 0; i < 2; i++) {
        random_tell_pending(t, 100);
        random_sync(t);
    }
    g_assert_false(smmu_oracle_pending(&t->o));
}
