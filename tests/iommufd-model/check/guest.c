/*
 * The guest of the tiny VMM: what both architectures share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "guest.h"

void guest_init(Guest *g, TvVm *vm)
{
    *g = (Guest) {
        .ops = vm->cfg.arch == TV_VTD ? &guest_vtd_ops : &guest_smmuv3_ops,
        .vm = vm,
    };
}

void guest_device(Guest *g, TvDevice *dev, unsigned variant)
{
    g->ops->device(g, dev, variant);
}

void guest_space(Guest *g, GuestSpace *space, uint16_t tag, unsigned variant)
{
    *space = (GuestSpace) { .tag = tag };
    g->ops->space(g, space, variant);
}

void guest_map(Guest *g, GuestSpace *space, uint64_t iova, uint64_t gpa,
               uint64_t len, unsigned shift, unsigned rights)
{
    g->ops->map(g, space, iova, gpa, len, shift, rights);
}

void guest_unmap(Guest *g, GuestSpace *space, uint64_t iova, uint64_t len)
{
    g->ops->unmap(g, space, iova, len);
}

void guest_protect(Guest *g, GuestSpace *space, uint64_t iova,
                   unsigned rights)
{
    g->ops->protect(g, space, iova, rights);
}

uint64_t guest_entry(Guest *g, GuestSpace *space, uint64_t iova, unsigned up,
                     unsigned *shift)
{
    return g->ops->entry(g, space, iova, up, shift);
}

GuestBinding *guest_bound(Guest *g, const TvDevice *dev, uint32_t pasid)
{
    unsigned i;

    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &g->binding[i];

        if (b->space && b->dev == dev && b->pasid == pasid) {
            return b;
        }
    }
    return NULL;
}

void guest_bind(Guest *g, TvDevice *dev, uint32_t pasid, GuestSpace *space)
{
    GuestBinding *b = guest_bound(g, dev, pasid);
    unsigned i;

    g->ops->bind(g, dev, pasid, space);
    g->ops->config(g, dev, pasid);
    for (i = 0; !b && i < GUEST_MAX_BINDINGS; i++) {
        if (!g->binding[i].space) {
            b = &g->binding[i];
        }
    }
    g_assert(b);
    *b = (GuestBinding) { .dev = dev, .pasid = pasid, .space = space };
    if (space) {
        g->ops->inval_all(g, space);
    }
    g->ops->inval_device(g, dev, pasid);
}

void guest_inval(Guest *g, GuestSpace *space, uint64_t iova, unsigned shift,
                 bool leaf)
{
    g->ops->inval(g, space, iova & ~((1ULL << shift) - 1), shift, leaf);
}

void guest_inval_all(Guest *g, GuestSpace *space)
{
    g->ops->inval_all(g, space);
}

bool guest_sync(Guest *g)
{
    return g->ops->sync(g);
}
