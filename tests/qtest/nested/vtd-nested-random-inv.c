/*
 * VT-d nesting: a guest that does anything: invalidations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "vtd-nested-random.h"

/* CAP.MAMV: larger ranges are not told by address */
#define MAMV    18

static VtdDesc descriptor(const VtdOracleCommand *c)
{
    switch (c->type) {
    case VTD_DESC_CONTEXT:
        return vtd_inv_context(c->granularity, c->did, c->rid);
    case VTD_DESC_PASID_CACHE:
        return vtd_inv_pasid_cache(c->granularity, c->did, c->pasid);
    case VTD_DESC_IOTLB:
        return vtd_inv_iotlb(c->granularity, c->did, c->addr, c->order,
                             c->leaf);
    case VTD_DESC_PIOTLB:
        return c->granularity == VTD_INV_DOMAIN ?
               vtd_inv_piotlb_all(c->did, c->pasid) :
               vtd_inv_piotlb(c->did, c->pasid, c->addr, c->order, c->leaf);
    case VTD_DESC_DEV_TLB:
        return vtd_inv_dev_tlb(c->rid, c->addr, c->order);
    default:
        return vtd_inv_pasid_dev_tlb(c->rid, c->pasid, c->addr, c->order);
    }
}

static void tell(Random *t, VtdOracleCommand cmd)
{
    VtdDesc raw = descriptor(&cmd);

    nested_random_note(&t->n, "descriptor 0x%016" PRIx64 " 0x%016" PRIx64,
                       raw.qw[0], raw.qw[1]);
    vtd_queue_push(&t->r.q, raw);
    vtd_oracle_told(&t->o, &cmd);
    t->queued++;
    t->commands++;
}

void random_tell_noise(Random *t)
{
    static const VtdOracleCommand kinds[] = {
        { VTD_DESC_CONTEXT, VTD_INV_DOMAIN },
        { VTD_DESC_CONTEXT, VTD_INV_NARROW },
        { VTD_DESC_PASID_CACHE, VTD_PC_DOMAIN },
        { VTD_DESC_PASID_CACHE, VTD_PC_PASID },
        { VTD_DESC_IOTLB, VTD_INV_DOMAIN },
        { VTD_DESC_IOTLB, VTD_INV_NARROW },
        { VTD_DESC_PIOTLB, VTD_INV_DOMAIN },
        { VTD_DESC_PIOTLB, VTD_INV_NARROW },
        { VTD_DESC_PIOTLB, VTD_INV_NARROW },
        { VTD_DESC_DEV_TLB }, { VTD_DESC_PASID_DEV_TLB },
    };
    VtdOracleCommand cmd = kinds[random_upto(t, ARRAY_SIZE(kinds))];
    unsigned key = random_upto(t, ORACLE_KEYS);

    cmd.did = random_chance(t, 20) ? 1 : 10 + random_upto(t, 20 + 3 * SPACES);
    cmd.rid = t->o.dev[random_upto(t, ORACLE_DEVICES)].rid;
    cmd.pasid = vtd_oracle_pasids[key];
    cmd.addr = vtd_oracle_probe(random_upto(t, ORACLE_PROBES));
    cmd.order = random_upto(t, cmd.type == VTD_DESC_PIOTLB ? MAMV + 1 : 10);
    cmd.leaf = random_chance(t, 50);
    tell(t, cmd);
}

/* A range, or all there is, of a domain or of one of its PASIDs */
static void tell_range(Random *t, VtdOracleCommand *cmd, VtdDescType type,
                       uint64_t first, uint64_t last, bool tables)
{
    unsigned order = ctz64(last - first + 1) - 12;

    cmd->type = type;
    if (random_chance(t, 15) || last - first >= PAGE << MAMV) {
        cmd->granularity = VTD_INV_DOMAIN;
        return;
    }
    cmd->granularity = VTD_INV_NARROW;
    /* Any address in the range, and now and then a larger range */
    order += random_chance(t, 20) ? random_upto(t, 4) : 0;
    cmd->order = MIN(order, MAMV);
    cmd->addr = random_chance(t, 50) ? first : last & ~(PAGE - 1);
    cmd->leaf = !tables && random_chance(t, 60);
}

/* The mappings of a tag, in one of the ways there are */
static void tell_tag(Random *t, const VtdOracleTag *tag, uint64_t first,
                     uint64_t last, bool tables)
{
    VtdOracleCommand cmd = { .did = tag->did, .pasid = tag->pasid };
    unsigned how = random_upto(t, 100);

    if (how < 5) {
        cmd.type = VTD_DESC_IOTLB;
        cmd.granularity = VTD_INV_GLOBAL;
    } else if (tag->second) {
        tell_range(t, &cmd, VTD_DESC_IOTLB, first, last, tables);
    } else if (how < 15) {
        cmd.type = VTD_DESC_IOTLB;
        cmd.granularity = random_chance(t, 70) ? VTD_INV_DOMAIN :
                                                 VTD_INV_NARROW;
        cmd.addr = first;
    } else {
        tell_range(t, &cmd, VTD_DESC_PIOTLB, first, last, tables);
    }
    tell(t, cmd);
    if (random_chance(t, 20)) {
        cmd.type = tag->pasid ? VTD_DESC_PASID_DEV_TLB : VTD_DESC_DEV_TLB;
        cmd.rid = t->o.dev[random_upto(t, ORACLE_DEVICES)].rid;
        cmd.addr = first;
        tell(t, cmd);
    }
}

/* Not quite what is needed: it must not be taken for it */
static void tell_nearly(Random *t, const VtdOracleTag *tag,
                        const VtdOracleEdit *e)
{
    uint64_t span = e->last - e->first + 1;
    VtdOracleCommand cmd = {
        .type = tag->second ? VTD_DESC_IOTLB : VTD_DESC_PIOTLB,
        .granularity = VTD_INV_NARROW, .did = tag->did, .pasid = tag->pasid,
        .addr = e->first,
        .order = MIN(ctz64(span) - 12, MAMV), .leaf = random_chance(t, 50),
    };

    switch (random_upto(t, 5)) {
    case 0:
        cmd.leaf = true;
        cmd.order = MIN(cmd.order + random_upto(t, 10), MAMV);
        break;
    case 1:
        cmd.order -= cmd.order ? 1 + random_upto(t, cmd.order) : 0;
        break;
    case 2:
        cmd.addr ^= span;
        break;
    case 3:
        cmd.did ^= 1;
        break;
    default:
        cmd.pasid ^= 1;
        break;
    }
    tell(t, cmd);
}

static void tell_edit(Random *t, const VtdOracleEdit *e)
{
    for (guint i = 0; i < e->tags->len; i++) {
        const VtdOracleTag *tag = &g_array_index(e->tags, VtdOracleTag, i);

        if (tag->told) {
            continue;
        }
        if (random_chance(t, 25)) {
            tell_nearly(t, tag, e);
        }
        if (!tag->told) {
            tell_tag(t, tag, e->first, e->last, e->tables);
        }
    }
}

static void tell_change(Random *t, const VtdOracleChange *c)
{
    VtdOracleCommand cmd = {
        .did = c->did, .pasid = c->pasid, .rid = t->o.dev[c->dev].rid,
    };

    if (c->context && !c->context_told) {
        cmd.type = VTD_DESC_CONTEXT;
        cmd.granularity = random_chance(t, 70) ? VTD_INV_NARROW :
                                                 VTD_INV_GLOBAL;
        tell(t, cmd);
    }
    if (!c->cache_told) {
        cmd.type = VTD_DESC_PASID_CACHE;
        cmd.granularity = c->context || random_chance(t, 15) ? VTD_PC_GLOBAL :
                          c->fresh || random_chance(t, 70) ? VTD_PC_PASID :
                                                             VTD_PC_DOMAIN;
        tell(t, cmd);
    }
    if (c->context && !c->iotlb_told) {
        cmd.type = VTD_DESC_IOTLB;
        cmd.granularity = VTD_INV_GLOBAL;
        tell(t, cmd);
    }
    for (guint i = 0; i < c->tags->len; i++) {
        const VtdOracleTag *tag = &g_array_index(c->tags, VtdOracleTag, i);

        if (!tag->told) {
            tell_tag(t, tag, 0, UINT64_MAX >> 1, true);
        }
    }
}

/* Changes in the tables first, then those in what they lead to */
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

void random_wait(Random *t)
{
    if (!vtd_queue_sync(&t->r.q, &t->r.regs)) {
        fprintf(stderr, "the queue stands at %u, FSTS 0x%x\n",
                vtd_rig_head(&t->r), vtd_rig_fsts(&t->r));
        abort();
    }
    t->queued = 0;
    t->waits++;
    vtd_oracle_synced(&t->o);
    random_release(t);
}

void random_invalidate_all(Random *t)
{
    random_tell_pending(t, 100);
    random_wait(t);
    g_assert_false(vtd_oracle_pending(&t->o));
}

