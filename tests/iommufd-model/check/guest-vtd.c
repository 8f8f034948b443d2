/*
 * The guest of the tiny VMM: VT-d driver
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "guest.h"

static uint32_t entry_of(uint32_t pasid)
{
    return pasid == TV_NO_PASID ? 0 : pasid;
}

static void vtd_device(Guest *g, TvDevice *dev, unsigned variant)
{
    TvVm *vm = g->vm;

    vtd_context_scalable(&vm->vtd, dev->rid, 13,
                         VTD_CTX_DTE | VTD_CTX_PASIDE | VTD_CTX_PRE, 0);
    vtd_queue_push(&vm->qi, vtd_inv_context(VTD_INV_NARROW, 0, dev->rid));
}

static void vtd_space(Guest *g, GuestSpace *space, unsigned variant)
{
    space->root = vtd_s1_new(&g->vm->mem);
    space->levels = variant & 1 ? 5 : 4;
    space->sre = variant & 2;
    space->wpe = variant & 4;
}

static uint64_t flags_of(unsigned rights)
{
    return VTD_S1_P | (rights & GUEST_WRITE ? VTD_S1_RW : 0) |
           (rights & GUEST_USER ? VTD_S1_US : 0);
}

static void vtd_map(Guest *g, GuestSpace *space, uint64_t iova, uint64_t gpa,
                    uint64_t len, unsigned shift, unsigned rights)
{
    vtd_s1_map(&g->vm->mem, space->root, space->levels, iova, gpa, len,
               shift, flags_of(rights));
}

static void vtd_unmap(Guest *g, GuestSpace *space, uint64_t iova,
                      uint64_t len)
{
    vtd_s1_unmap(&g->vm->mem, space->root, space->levels, iova, len);
}

static void vtd_protect(Guest *g, GuestSpace *space, uint64_t iova,
                        unsigned rights)
{
    vtd_s1_set_flags(&g->vm->mem, space->root, space->levels, iova,
                     flags_of(rights));
}

static uint64_t vtd_entry(Guest *g, GuestSpace *space, uint64_t iova,
                          unsigned up, unsigned *shift)
{
    unsigned level;
    uint64_t slot = vtd_s1_entry(&g->vm->mem, space->root, space->levels,
                                 iova, 1 + up, &level);

    *shift = 12 + 9 * (level - 1);
    return slot;
}

static void vtd_bind(Guest *g, TvDevice *dev, uint32_t pasid,
                     GuestSpace *space)
{
    TvVm *vm = g->vm;

    if (!space) {
        vtd_pasid_clear(&vm->vtd, dev->rid, entry_of(pasid));
        return;
    }
    vtd_pasid_set(&vm->vtd, dev->rid, entry_of(pasid), &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST,
        .did = space->tag,
        .s1 = space->root,
        .s1_levels = space->levels,
        .sre = space->sre,
        .wpe = space->wpe,
    });
}

static void vtd_config(Guest *g, TvDevice *dev, uint32_t pasid)
{
    GuestBinding *old = guest_bound(g, dev, pasid);

    vtd_queue_push(&g->vm->qi,
                   vtd_inv_pasid_cache(VTD_PC_PASID,
                                       old ? old->space->tag : 0,
                                       entry_of(pasid)));
    if (old) {
        vtd_queue_push(&g->vm->qi, vtd_inv_piotlb_all(old->space->tag,
                                                      entry_of(pasid)));
    }
}

static void dev_tlb(Guest *g, const GuestBinding *b, uint64_t iova,
                    unsigned order)
{
    if (b->pasid == TV_NO_PASID) {
        vtd_queue_push(&g->vm->qi, vtd_inv_dev_tlb(b->dev->rid, iova, order));
    } else {
        vtd_queue_push(&g->vm->qi,
                       vtd_inv_pasid_dev_tlb(b->dev->rid, b->pasid, iova,
                                             order));
    }
}

/* The PASID of binding @i is one no earlier binding of the space has */
static bool first_of_pasid(const Guest *g, unsigned i)
{
    unsigned j;

    for (j = 0; j < i; j++) {
        if (g->binding[j].space == g->binding[i].space &&
            g->binding[j].pasid == g->binding[i].pasid) {
            return false;
        }
    }
    return true;
}

static void vtd_inval(Guest *g, GuestSpace *space, uint64_t iova,
                      unsigned shift, bool leaf)
{
    unsigned i, order = shift - 12;

    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &g->binding[i];

        if (b->space != space) {
            continue;
        }
        if (first_of_pasid(g, i)) {
            vtd_queue_push(&g->vm->qi,
                           vtd_inv_piotlb(space->tag, entry_of(b->pasid),
                                          iova, order, leaf));
        }
        dev_tlb(g, b, iova, order);
    }
}

static void vtd_inval_all(Guest *g, GuestSpace *space)
{
    unsigned i;

    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &g->binding[i];

        if (b->space == space && first_of_pasid(g, i)) {
            vtd_queue_push(&g->vm->qi, vtd_inv_piotlb_all(space->tag,
                                                    entry_of(b->pasid)));
        }
    }
}

static void vtd_inval_device(Guest *g, TvDevice *dev, uint32_t pasid)
{
    const GuestBinding b = { .dev = dev, .pasid = pasid };

    dev_tlb(g, &b, 0, 51);
}

static bool vtd_sync(Guest *g)
{
    uint32_t ticket = vtd_queue_push_wait(&g->vm->qi);

    tv_kick(g->vm);
    return vtd_queue_done(&g->vm->qi, ticket);
}

const GuestOps guest_vtd_ops = {
    .device = vtd_device,
    .space = vtd_space,
    .map = vtd_map,
    .unmap = vtd_unmap,
    .protect = vtd_protect,
    .entry = vtd_entry,
    .bind = vtd_bind,
    .config = vtd_config,
    .inval = vtd_inval,
    .inval_all = vtd_inval_all,
    .inval_device = vtd_inval_device,
    .sync = vtd_sync,
};
