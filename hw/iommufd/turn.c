/*
 * Nested IOMMU core: how much of a guest's queue is done at a time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/* Units of work so far; most of them are in the counters anyway */
uint64_t iommufd_turn_work(const IOMMUFDNested *n)
{
    const IOMMUFDCounters *c = &n->count;
    const uint64_t *errors = c->errors;
    /* Making a HWPT is a call, and so will be its end */
    uint64_t calls = c->inv_ioctls + 2 * c->hwpt_made + c->attaches +
                     c->detaches + c->busy + c->shadow_maps +
                     c->shadow_unmaps;

    /* Calls that failed and are not among these */
    calls += errors[IOMMUFD_ERR_HWPT] + errors[IOMMUFD_ERR_ATTACH] +
             errors[IOMMUFD_ERR_DETACH] + errors[IOMMUFD_ERR_VDEVICE] +
             errors[IOMMUFD_ERR_QUEUE] + errors[IOMMUFD_ERR_RESPONSE] +
             errors[IOMMUFD_ERR_DESTROY];
    return n->turn.steps + c->reads + c->inv_queued + c->inv_entries +
           calls * IOMMUFD_NESTED_CALL;
}

bool iommufd_nested_turn(IOMMUFDNested *n)
{
    if (n->turn.put_off) {
        return false;
    }
    if (!n->turn.on) {
        n->turn.on = true;
        n->turn.start = iommufd_turn_work(n);
    }
    if (iommufd_turn_work(n) - n->turn.start >= IOMMUFD_NESTED_TURN) {
        n->count.put_off++;
        iommufd_nested_put_off(n);
        return false;
    }
    n->turn.steps++;
    return true;
}

void iommufd_nested_turn_end(IOMMUFDNested *n)
{
    n->turn.on = false;
}

bool iommufd_nested_in_turn(const IOMMUFDNested *n)
{
    return n->turn.on;
}

void iommufd_nested_put_off(IOMMUFDNested *n)
{
    trace_iommufd_nested_put_off(n->config.name,
                                 iommufd_turn_work(n) - n->turn.start);
    n->turn.on = false;
    n->turn.put_off = true;
    iommufd_sys_bh_schedule(n->turn.bh);
}

void iommufd_nested_put_off_not(IOMMUFDNested *n)
{
    n->turn.on = false;
    n->turn.put_off = false;
}

bool iommufd_nested_is_put_off(const IOMMUFDNested *n)
{
    return n->turn.put_off;
}

/* While the VM is stopped, the queue stands still like everything else */
void iommufd_turn_bh(void *opaque)
{
    IOMMUFDNested *n = opaque;

    if (n->turn.put_off && n->running) {
        n->turn.put_off = false;
        n->ops->go_on(n->opaque);
    }
}

void iommufd_nested_count_read(IOMMUFDNested *n)
{
    n->count.reads++;
}
