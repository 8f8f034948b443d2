/*
 * Model of /dev/iommu: page requests, from the device to the host's driver
 * and back
 *
 * The device's half: groups with an index, an answer for each, the access
 * tried again.  The host's half is what Linux makes of a request before a
 * fault queue sees it: prq_event_thread() and iommu_report_device_fault().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw-priv.h"
#include "json.h"

#define PRI_MAX_ADDRS 64

bool pri_enabled(const MdlDevice *dev)
{
    /* The SMMUv3 driver never enables page requests */
    return mdl_host_pri(dev);
}

/* ------------------------------------------------------------ device side */

static void group_put(HwGroup *g, unsigned refs)
{
    g->refs -= refs;
    if (!g->refs) {
        free(g->op);
        free(g);
    }
}

/* Gives up the list's reference, and as many as the caller @held besides */
static void group_unlink(MdlEndpoint *ep, HwGroup *g, unsigned held)
{
    HwGroup **link;

    for (link = &ep->groups; *link; link = &(*link)->next) {
        if (*link == g) {
            *link = g->next;
            ep->nr_groups--;
            held++;
            break;
        }
    }
    group_put(g, held);
}

/* Answers nobody collected make room; NULL: all are outstanding */
static HwGroup *group_new(MdlEndpoint *ep, uint32_t grpid, uint32_t pasid)
{
    HwGroup *g, **link;

    for (g = ep->groups; g && ep->nr_groups >= PRI_MAX_GROUPS; g = g->next) {
        if (g->answered) {
            group_unlink(ep, g, 0);
            break;
        }
    }
    if (ep->nr_groups >= PRI_MAX_GROUPS) {
        return NULL;
    }
    g = calloc(1, sizeof(*g));
    if (!g) {
        abort();
    }
    g->refs = 1;
    g->grpid = grpid;
    g->pasid = pasid;
    for (link = &ep->groups; *link; link = &(*link)->next) {
        /* to the end */
    }
    *link = g;
    ep->nr_groups++;
    return g;
}

static HwGroup *group_find(MdlEndpoint *ep, uint32_t grpid)
{
    HwGroup *g;

    for (g = ep->groups; g && g->grpid != grpid; g = g->next) {
        /* next */
    }
    return g;
}

/* Page group response: the access is tried again, or fails */
static void pri_answer(MdlDevice *dev, HwGroup *g, bool success)
{
    DmaOp *op = g->op;

    if (g->answered) {
        return;                 /* the device was reset in between */
    }
    g->answered = true;
    g->success = success;
    mdl_journal("prg-response", "\"dev\":\"%s\",\"grpid\":%u,\"success\":%s",
                dev->bdf, g->grpid, success ? "true" : "false");
    if (op && success) {
        dma_run(op);
    } else if (op) {
        op->state = DMA_FAULT;
        op->fault.reason = HW_REASON_PRI_REFUSED;
    }
    if (op && op->engine) {
        g->op = NULL;
        group_unlink(dev->ep, g, 0);
        ep_engine_done(dev, op);
    }
    pthread_cond_broadcast(&dev->ep->answered);
}

void hw_group_response(MdlDevice *dev, void *cookie_priv, bool success)
{
    HwGroup *g = cookie_priv;

    pri_answer(dev, g, success);
    group_put(g, 1);
}

void pri_reset(MdlDevice *dev)
{
    MdlEndpoint *ep = dev->ep;
    HwGroup *g, *next;

    for (g = ep->groups; g; g = next) {
        next = g->next;
        if (g->answered) {
            continue;
        }
        g->answered = true;
        if (g->op) {
            g->op->state = DMA_FAULT;
            g->op->fault.stage = 0;
            g->op->fault.reason = HW_REASON_RESET;
        }
        if (g->op && g->op->engine) {
            group_unlink(ep, g, 0);
        }
    }
    pthread_cond_broadcast(&ep->answered);
}

void pri_fini(MdlDevice *dev)
{
    pri_reset(dev);
    while (dev->ep->groups) {
        group_unlink(dev->ep, dev->ep->groups, 0);
    }
}

bool hw_device_waits(const MdlDevice *dev)
{
    const HwGroup *g;

    for (g = dev->ep->groups; g && g->answered; g = g->next) {
        /* next */
    }
    return g;
}

/* -------------------------------------------------------------- host side */

static bool pri_canonical(uint64_t addr)
{
    /* As the CPU has it, not the tables: is_canonical_address() */
    unsigned bits = mdl_host.la57 ? 57 : 48;
    uint64_t top = addr >> (bits - 1);

    return top == 0 || top == hw_mask(65 - bits);
}

static bool pri_valid(const MdlPageRequest *r)
{
    return pri_canonical(r->addr) && !(r->priv && (r->read || r->write)) &&
           !(r->exec && r->read);
}

/* Moves the requests that wait for the rest of group @grpid to @out */
static unsigned pri_take_partial(MdlEndpoint *ep, uint32_t grpid,
                                 MdlPageRequest *out)
{
    unsigned i, kept = 0, taken = 0;

    for (i = 0; i < ep->nr_partial; i++) {
        if (ep->partial[i].grpid == grpid) {
            out[taken++] = ep->partial[i];
        } else {
            ep->partial[kept++] = ep->partial[i];
        }
    }
    ep->nr_partial = kept;
    return taken;
}

void hw_partial_free(MdlDevice *dev)
{
    dev->ep->nr_partial = 0;
}

static void pri_host_last(MdlDevice *dev, MdlHwpt *hwpt,
                          const MdlPageRequest *r, HwGroup *g)
{
    MdlEndpoint *ep = dev->ep;
    MdlPageRequest *all = calloc(ep->nr_partial + 1, sizeof(*all));
    unsigned nr;

    if (!all) {
        abort();
    }
    nr = pri_take_partial(ep, r->grpid, all);
    all[nr++] = *r;
    g->refs++;
    if (mdl_fault_push(hwpt->fault, dev, all, nr, g)) {
        pri_answer(dev, g, false);
        group_put(g, 1);
    }
    free(all);
}

/* One request arrives; @g is set with the last of a group */
static void pri_host(MdlDevice *dev, const MdlPageRequest *r, HwGroup *g)
{
    MdlEndpoint *ep = dev->ep;
    MdlHwpt *hwpt = hw_hwpt_of(dev, r->pasid);

    mdl_journal("prq", "\"dev\":\"%s\",\"pasid\":%lld,"
                "\"grpid\":%u,\"addr\":%llu,\"perm\":\"%s%s%s%s\","
                "\"last\":%s", dev->bdf, r->pasid == MDL_NO_PASID ? -1LL :
                (long long)r->pasid, r->grpid, (unsigned long long)r->addr,
                r->read ? "r" : "", r->write ? "w" : "", r->exec ? "x" : "",
                r->priv ? "p" : "", r->last ? "true" : "false");
    if (!pri_valid(r) || !hwpt || !hwpt->fault) {
        if (r->last) {
            pri_answer(dev, g, false);
        }
        return;
    }
    if (r->last) {
        pri_host_last(dev, hwpt, r, g);
        return;
    }
    if (ep->nr_partial == PRI_MAX_PARTIAL) {
        return;                 /* queue overflow: the request is lost */
    }
    ep->partial = realloc(ep->partial,
                          (ep->nr_partial + 1) * sizeof(*ep->partial));
    if (!ep->partial) {
        abort();
    }
    ep->partial[ep->nr_partial++] = *r;
}

bool pri_request_op(DmaOp *op, MdlPageRequest *req, unsigned nr)
{
    MdlEndpoint *ep = op->dev->ep;
    HwGroup *g = group_new(ep, ep->next_grpid, op->pasid);
    unsigned i;

    op->fault = (HwFault) {
        .stage = 1,
        .reason = HW_REASON_PRI_REFUSED,
        .addr = req[0].addr,
        .pasid = op->pasid,
    };
    if (!g) {
        return false;
    }
    ep->next_grpid = (ep->next_grpid + 1) % PRI_MAX_GROUPS;
    op->state = DMA_PENDING;
    op->grpid = g->grpid;
    g->refs++;                  /* the answer may come at once */
    for (i = 0; i < nr; i++) {
        req[i].grpid = g->grpid;
        req[i].last = i == nr - 1;
        pri_host(op->dev, &req[i], req[i].last ? g : NULL);
    }
    if (g->answered) {
        group_unlink(ep, g, 1);
        return false;
    }
    g->op = op;
    group_put(g, 1);
    return true;
}

/* --------------------------------------------------------- control socket */

int pri_command(const MdlJson *req, char *reply, size_t reply_len)
{
    MdlDevice *dev = hw_command_device(req);
    const char *perm = json_str(req, "perm", "r");
    uint64_t addrs[PRI_MAX_ADDRS];
    size_t nr = json_u64_array(req, "addrs", addrs, PRI_MAX_ADDRS), i;
    bool last = json_bool(req, "last", true);
    HwGroup *g = NULL;
    MdlPageRequest r = {
        .grpid = json_u64(req, "grpid", 0) % PRI_MAX_GROUPS,
        .read = strchr(perm, 'r'),
        .write = strchr(perm, 'w'),
        .exec = strchr(perm, 'x'),
        .priv = strchr(perm, 'p'),
    };

    if (!pri_enabled(dev)) {
        return hw_command_error(reply, reply_len, -EOPNOTSUPP,
                                "dev: page requests are off");
    }
    if (mdl_migration_stopped(dev)) {
        return hw_command_error(reply, reply_len, -EBUSY,
                                "dev: is stopped");
    }
    if (!nr || !hw_command_pasid(req, dev, &r.pasid)) {
        return hw_command_error(reply, reply_len, -EINVAL,
                                "addrs or pasid: wrong");
    }
    for (i = 0; i < nr; i++) {
        r.addr = addrs[i];
        r.last = last && i == nr - 1;
        if (r.last && !r.read && !r.write) {
            break;              /* stop marker: dropped, never answered */
        }
        if (r.last) {
            g = group_new(dev->ep, r.grpid, r.pasid);
            if (!g) {
                return hw_command_error(reply, reply_len, -EAGAIN,
                                        "too many groups outstanding");
            }
        }
        pri_host(dev, &r, g);
    }
    snprintf(reply, reply_len, "\"grpid\":%u", r.grpid);
    return 0;
}

static bool pri_sleep(MdlEndpoint *ep, uint64_t timeout_ms,
                      const HwGroup *g)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!g->answered) {
        if (pthread_cond_timedwait(&ep->answered, &mdl_lock, &until)) {
            break;
        }
    }
    return g->answered;
}

int pri_command_wait(const MdlJson *req, char *reply, size_t reply_len)
{
    MdlEndpoint *ep = hw_command_device(req)->ep;
    HwGroup *g = group_find(ep, json_u64(req, "grpid", UINT32_MAX));

    if (!g) {
        return hw_command_error(reply, reply_len, -ENOENT,
                                "grpid: no such group");
    }
    g->refs++;
    if (!pri_sleep(ep, json_u64(req, "timeout-ms", 5000), g)) {
        group_put(g, 1);
        return hw_command_error(reply, reply_len, -ETIMEDOUT, "timeout");
    }
    if (g->op && (size_t)g->op->len * 2 + 128 > reply_len) {
        group_put(g, 1);
        return hw_command_error(reply, reply_len, -ENOSPC, "no room");
    }
    if (g->op) {
        dma_reply(g->op, reply, reply_len);
    } else {
        snprintf(reply, reply_len, "\"response\":\"%s\"",
                 g->success ? "success" : "invalid");
    }
    group_unlink(ep, g, 1);
    return 0;
}
