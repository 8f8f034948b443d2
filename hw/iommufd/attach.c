/*
 * Nested IOMMU core: what a RID or PASID translates through
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/* Attaches put off by a reset: first and longest pause, and when to give up */
#define RETRY_MS 10
#define RETRY_MAX_MS 640
#define GIVE_UP_MS 60000

#define REASON_RESET "the device is being reset"
#define REASON_LABEL "the device is given a new label"
#define REASON_ATTACH "the host refused to attach"
#define REASON_HWPT "the host has no stage-1 page table for it"
#define REASON_STUCK "the host refused to detach"
#define REASON_OWED "the host refused to forget what it has cached"
#define REASON_GAVE_UP "the reset of the device does not end"

/* Told from the others by its address */
static const char reason_guest[] = "blocked by the guest";

/* "name" or "name PASID 5" */
static char *att_name(const IOMMUFDAtt *att)
{
    const char *name = iommufd_nested_device_name(att->dev);

    return att->pasid == IOMMUFD_NESTED_RID ? g_strdup(name) :
           g_strdup_printf("%s PASID %" PRIu32, name, att->pasid);
}

void iommufd_att_init(IOMMUFDAtt *att, IOMMUFDNestedDevice *dev,
                      uint32_t pasid)
{
    att->dev = dev;
    att->pasid = pasid;
    att->state = IOMMUFD_NESTED_BLOCKED;
    att->reason = reason_guest;
    QTAILQ_INIT(&att->groups);
}

IOMMUFDAtt *iommufd_att_find(const IOMMUFDNestedDevice *dev, uint32_t pasid)
{
    if (pasid == IOMMUFD_NESTED_RID) {
        return (IOMMUFDAtt *)&dev->rid;
    }
    return g_hash_table_lookup(dev->pasids, GUINT_TO_POINTER(pasid));
}

static IOMMUFDAtt *att_new(IOMMUFDNestedDevice *dev, uint32_t pasid,
                           Error **errp)
{
    IOMMUFDNested *n = dev->n;
    IOMMUFDAtt *att;

    if (n->num_pasids >= n->config.max_pasids) {
        n->count.errors[IOMMUFD_ERR_BOUND]++;
        error_setg(errp, "%s: PASID %" PRIu32 ": all %" PRIu32
                   " PASIDs of %s are in use",
                   iommufd_nested_device_name(dev), pasid,
                   n->config.max_pasids, n->config.name);
        return NULL;
    }
    att = g_new0(IOMMUFDAtt, 1);
    iommufd_att_init(att, dev, pasid);
    g_hash_table_insert(dev->pasids, GUINT_TO_POINTER(pasid), att);
    n->num_pasids++;
    return att;
}

static void att_forget_wish(IOMMUFDAtt *att)
{
    IOMMUFDNested *n = att->dev->n;

    if (!att->waiting) {
        return;
    }
    if (!att->parted) {
        QTAILQ_REMOVE(&n->waiting, att, waiting_next);
        if (QTAILQ_EMPTY(&n->waiting)) {
            iommufd_sys_timer_stop(n->waiting_timer);
        }
    }
    att->waiting = false;
    att->parted = false;
    iommufd_hwpt_put(att->wish_hwpt);
    att->wish_hwpt = NULL;
}

/* The kernel was told: it has answered what was pending on the old one */
static void att_attached(IOMMUFDAtt *att, IOMMUFDAttached attached,
                         IOMMUFDHwpt *hwpt)
{
    IOMMUFDHwpt *old = att->hwpt;

    iommufd_fault_forget(att);
    if (old) {
        QLIST_REMOVE(att, hwpt_next);
    }
    att->dev->num_asking += iommufd_hwpt_asks(hwpt) - iommufd_hwpt_asks(old);
    att->attached = attached;
    att->hwpt = hwpt;
    if (hwpt) {
        hwpt->users++;
        QLIST_INSERT_HEAD(&hwpt->atts, att, hwpt_next);
    }
    iommufd_index_hwpt(att, hwpt);
    iommufd_hwpt_put(old);
}

/* To @hwpt, or to the parent if that is NULL; replaces what is there */
static int att_attach(IOMMUFDAtt *att, IOMMUFDHwpt *hwpt)
{
    IOMMUFDNestedDevice *dev = att->dev;
    IOMMUFDAttached attached = hwpt ? IOMMUFD_ATTACHED_HWPT
                                    : IOMMUFD_ATTACHED_PARENT;
    uint32_t id = hwpt ? hwpt->id : dev->host->parent_id;
    int ret;

    if (att->attached == attached && att->hwpt == hwpt) {
        return 0;
    }
    iommufd_fault_leave(att, hwpt);
    ret = iommufd_sys_attach(dev->idev, att->pasid, id);
    trace_iommufd_nested_attach(iommufd_nested_device_name(dev), att->pasid,
                                id, att->attached, ret);
    if (!ret) {
        dev->n->count.attaches++;
        dev->attaches++;
        att_attached(att, attached, hwpt);
    }
    return ret;
}

/* A RID that is blocked, and keeps its interrupts; see abort_data */
static bool att_abort(IOMMUFDAtt *att)
{
    IOMMUFDNestedDevice *dev = att->dev;
    uint32_t id = dev->host->abort_id;
    int ret;

    /* One that leaves its group would take the others along */
    if (!id || att->pasid != IOMMUFD_NESTED_RID || dev->leaving) {
        return false;
    }
    if (att->attached == IOMMUFD_ATTACHED_ABORT) {
        return true;
    }
    iommufd_fault_leave(att, NULL);
    ret = iommufd_sys_attach(dev->idev, att->pasid, id);
    trace_iommufd_nested_attach(iommufd_nested_device_name(dev), att->pasid,
                                id, att->attached, ret);
    if (ret) {
        return false;
    }
    dev->n->count.attaches++;
    dev->attaches++;
    att_attached(att, IOMMUFD_ATTACHED_ABORT, NULL);
    return true;
}

static int att_detach(IOMMUFDAtt *att)
{
    IOMMUFDNestedDevice *dev = att->dev;
    int ret;

    if (att->attached == IOMMUFD_ATTACHED_NONE) {
        return 0;
    }
    iommufd_fault_leave(att, NULL);
    ret = iommufd_sys_detach(dev->idev, att->pasid);
    trace_iommufd_nested_detach(iommufd_nested_device_name(dev), att->pasid,
                                ret);
    if (!ret) {
        dev->n->count.detaches++;
        att_attached(att, IOMMUFD_ATTACHED_NONE, NULL);
    }
    return ret;
}

/*
 * The kernel documents no way for a detach to fail. If one does, the HWPT
 * stays in the books (and takes invalidations), and the next change of this
 * translation tries again.
 */
static bool att_block_one(IOMMUFDAtt *att, const char *reason, Error **errp)
{
    int ret;

    att_forget_wish(att);
    att->state = IOMMUFD_NESTED_BLOCKED;
    att->reason = reason;
    iommufd_notify_refused(att, reason != reason_guest);
    ret = att_abort(att) ? 0 : att_detach(att);
    if (ret) {
        g_autofree char *name = att_name(att);

        att->reason = REASON_STUCK;
        iommufd_notify_refused(att, true);
        att->dev->n->count.errors[IOMMUFD_ERR_DETACH]++;
        error_setg_errno(errp, -ret, "%s: cannot be detached, although %s",
                         name, reason);
        return false;
    }
    return true;
}

/* Blocked until all of its group wish the same */
static bool att_part(IOMMUFDAtt *att, IOMMUFDNestedState wish,
                     IOMMUFDHwpt *hwpt, Error **errp)
{
    if (hwpt) {
        hwpt->users++;
    }
    if (!att_block_one(att, att->dev->group->reason, errp)) {
        iommufd_hwpt_put(hwpt);
        return false;
    }
    att->waiting = true;
    att->parted = true;
    att->wish = wish;
    att->wish_hwpt = hwpt;
    iommufd_group_differs(att->dev);
    return true;
}

/* What blocks one of a group blocks it all: they have one attachment */
static void att_part_others(const IOMMUFDAtt *att)
{
    IOMMUFDNestedDevice *dev = att->dev, *o;

    for (o = iommufd_nested_group_other(dev, NULL); o;
         o = iommufd_nested_group_other(dev, o)) {
        IOMMUFDAtt *theirs = iommufd_att_find(o, att->pasid);
        Error *err = NULL;

        if (theirs && !theirs->waiting &&
            theirs->state != IOMMUFD_NESTED_BLOCKED &&
            !att_part(theirs, theirs->state, theirs->hwpt, &err)) {
            error_report_err(err);
        }
    }
}

static bool att_block(IOMMUFDAtt *att, const char *reason, Error **errp)
{
    bool ok = att_block_one(att, reason, errp);

    if (!att->dev->leaving) {
        att_part_others(att);
    }
    return ok;
}

/* For use when another error is on its way to the caller already */
static void att_block_after_error(IOMMUFDAtt *att, const char *reason)
{
    Error *err = NULL;

    if (!att_block(att, reason, &err)) {
        error_report_err(err);
    }
}

void iommufd_att_block_and_tell(IOMMUFDAtt *att, const char *reason)
{
    IOMMUFDNested *n = att->dev->n;

    trace_iommufd_nested_block(iommufd_nested_device_name(att->dev),
                               att->pasid, reason);
    att_block_after_error(att, reason);
    if (n->ops->blocked) {
        n->ops->blocked(n->opaque, att->dev, att->pasid, att->reason);
    }
}

/* Blocked now, @wish later */
static bool att_wait(IOMMUFDAtt *att, IOMMUFDNestedState wish,
                     IOMMUFDHwpt *hwpt, const char *reason, Error **errp)
{
    IOMMUFDNested *n = att->dev->n;

    if (hwpt) {
        hwpt->users++;
    }
    if (!att_block(att, reason, errp)) {
        iommufd_hwpt_put(hwpt);
        return false;
    }
    if (QTAILQ_EMPTY(&n->waiting)) {
        n->retry_ms = RETRY_MS;
        iommufd_sys_timer_set(n->waiting_timer,
                              iommufd_sys_now(false) + n->retry_ms);
    }
    att->waiting = true;
    att->wish = wish;
    att->wish_hwpt = hwpt;
    att->give_up = iommufd_sys_now(false) + GIVE_UP_MS;
    QTAILQ_INSERT_TAIL(&n->waiting, att, waiting_next);
    return true;
}

/*
 * @ret is of a refusal that can mean that the host serves no page requests of
 * the device (intel_iommu_enable_iopf(), iommufd_hwpt_compatible_device()), or
 * something else: it does if the same goes without a fault queue.
 */
static int att_attach_plain(IOMMUFDAtt *att, const IOMMUFDHwpt *hwpt, int ret)
{
    IOMMUFDNestedDevice *dev = att->dev;
    IOMMUFDHwpt *plain = iommufd_hwpt_get_plain(att, hwpt, NULL);
    int again;

    if (!plain) {
        return ret;
    }
    /*
     * A replace that fails can leave a RID or PASID blocked, while what was
     * attached still counts as attached: attaching that would do nothing.
     */
    again = att_detach(att);
    if (!again) {
        again = att_attach(att, plain);
    }
    if (!again) {
        dev->n->count.requests_unserved++;
        dev->no_page_requests = true;
        warn_report("%s: the host serves no page requests of it (%s), and is "
                    "asked for none from now on",
                    iommufd_nested_device_name(dev), strerror(-ret));
    }
    iommufd_hwpt_put(plain);
    return !again || again == -EBUSY ? again : ret;
}

static int att_attach_or_plain(IOMMUFDAtt *att, IOMMUFDHwpt *hwpt)
{
    int ret = att_attach(att, hwpt);

    if ((ret == -ENODEV || ret == -EINVAL) && hwpt &&
        hwpt->key.page_requests) {
        return att_attach_plain(att, hwpt, ret);
    }
    return ret;
}

static void att_in_force(IOMMUFDAtt *att, IOMMUFDNestedState state)
{
    att_forget_wish(att);
    att->state = state;
    att->reason = NULL;
    iommufd_notify_refused(att, false);
}

static void att_try_wish(IOMMUFDAtt *att);

/* @att is in force: so can be the same ones of its group now */
static void att_join_others(const IOMMUFDAtt *att)
{
    IOMMUFDNestedDevice *dev = att->dev, *o;
    uint32_t pasid = att->pasid;

    for (o = iommufd_nested_group_other(dev, NULL); o;
         o = iommufd_nested_group_other(dev, o)) {
        IOMMUFDAtt *theirs = iommufd_att_find(o, pasid);

        if (theirs && theirs->parted) {
            att_try_wish(theirs);
        }
    }
}

static void att_error(const IOMMUFDAtt *att, const IOMMUFDHwpt *hwpt, int ret,
                      Error **errp)
{
    g_autofree char *name = att_name(att), *stranger = NULL;
    IOMMUFDNested *n = att->dev->n;
    bool is_bridge;

    n->count.errors[IOMMUFD_ERR_ATTACH]++;
    /* arm_smmu_attach_prepare_vmaster(), for each device of a group */
    if (ret == -ENOENT && hwpt && n->config.vdevice) {
        stranger = iommufd_group_stranger(att->dev, &is_bridge);
    }
    if (stranger) {
        error_setg(errp, "%s: cannot be attached to stage-1 HWPT %" PRIu32
                   ": the host wants a vDEVICE of all devices of its IOMMU "
                   "group %" PRIu32 " first, and %s is of that group, but "
                   "not behind %s: %s", name, hwpt->id, att->dev->group->id,
                   stranger, n->config.name,
                   /* Nor does a group with a port keep vfio-pci away */
                   is_bridge ? "it is a bridge, which no VM can have. The "
                   "device needs a slot of the host behind ports with ACS, "
                   "where it has a group of its own" :
                   "give it to the VM, in the same place");
        return;
    }
    error_setg_errno(errp, -ret, "%s: cannot be attached to %s %" PRIu32, name,
                     hwpt ? "stage-1 HWPT" : "parent HWPT",
                     hwpt ? hwpt->id : att->dev->host->parent_id);
}

/* Nobody comes to what may have cached too much. Return: why not, or NULL */
static const char *att_settle(IOMMUFDAtt *att, IOMMUFDHwpt *hwpt, Error **errp)
{
    if (!iommufd_device_tlb_settle(att->dev, errp)) {
        return IOMMUFD_REASON_DEVICE_TLB;
    }
    if (hwpt && hwpt->shadow) {
        return iommufd_shadow_settle(hwpt, errp) ? NULL : IOMMUFD_REASON_SHADOW;
    }
    if (hwpt && !(iommufd_target_settle(&hwpt->host->target, errp) &&
                  iommufd_target_settle(&hwpt->target, errp))) {
        return REASON_OWED;
    }
    return NULL;
}

static bool att_apply(IOMMUFDAtt *att, IOMMUFDNestedState state,
                      IOMMUFDHwpt *hwpt, Error **errp)
{
    const char *owed;
    int ret;

    /* One that could not be detached: attaching it again would do nothing */
    if (hwpt && att->hwpt == hwpt && att->state == IOMMUFD_NESTED_BLOCKED &&
        !att_block(att, reason_guest, errp)) {
        return false;
    }
    if (iommufd_group_dissent(att, state, &hwpt)) {
        if (!att_part(att, state, hwpt, errp)) {
            return false;
        }
        att_part_others(att);
        return true;
    }
    owed = att_settle(att, hwpt, errp);
    if (owed) {
        att_block_after_error(att, owed);
        return false;
    }
    ret = att_attach_or_plain(att, hwpt);
    if (!ret) {
        att_in_force(att, state);
        att_join_others(att);
        return true;
    }
    if (ret == -EBUSY) {
        att->dev->n->count.busy++;
        return att_wait(att, state, hwpt, REASON_RESET, errp);
    }
    att_error(att, hwpt, ret, errp);
    att_block_after_error(att, REASON_ATTACH);
    return false;
}

/* A PASID the guest no longer has; one that is stuck stays in the books */
static bool att_remove(IOMMUFDAtt *att, Error **errp)
{
    IOMMUFDNestedDevice *dev = att->dev;

    if (!att_block(att, reason_guest, errp)) {
        return false;
    }
    iommufd_index_clear(att);
    assert(QTAILQ_EMPTY(&att->groups));
    g_hash_table_remove(dev->pasids, GUINT_TO_POINTER(att->pasid));
    dev->n->num_pasids--;
    g_free(att);
    return true;
}

static bool att_set(IOMMUFDAtt *att, const IOMMUFDNestedTranslation *t,
                    Error **errp)
{
    IOMMUFDNestedDevice *dev = att->dev;
    bool pasid_flag = t->pasid_flag || att->pasid != IOMMUFD_NESTED_RID;
    IOMMUFDHwpt *hwpt = NULL;
    bool ok;

    if (t->state == IOMMUFD_NESTED_BLOCKED) {
        ok = att_block(att, t->reason ? t->reason : reason_guest, errp);
        iommufd_notify_refused(att, !ok || t->mistake);
        return ok;
    }
    if (t->state == IOMMUFD_NESTED_SHADOW) {
        if (dev->n->unprepared) {
            error_propagate(errp, g_steal_pointer(&dev->n->unprepared));
        } else {
            hwpt = iommufd_hwpt_get_shadow(dev, t, errp);
        }
        if (!hwpt) {
            att_block_after_error(att, IOMMUFD_REASON_SHADOW);
            return false;
        }
    } else if (t->state == IOMMUFD_NESTED_STAGE1) {
        if (!iommufd_device_want_vdevice(dev, errp)) {
            att_block_after_error(att, REASON_LABEL);
            return false;
        }
        hwpt = iommufd_hwpt_get(att, t, pasid_flag, errp);
        if (!hwpt) {
            att_block_after_error(att, REASON_HWPT);
            return false;
        }
    }
    ok = att_apply(att, t->state, hwpt, errp);
    iommufd_hwpt_put(hwpt);
    return ok;
}

/* What was asked before they were switched off has no answer any more */
static void att_set_page_requests(IOMMUFDAtt *att, bool on)
{
    bool was = att->page_requests;

    att->page_requests = on;
    if (was && !on) {
        iommufd_nested_page_drain(att->dev, att->pasid);
    }
}

bool iommufd_nested_set(IOMMUFDNestedDevice *dev, uint32_t pasid,
                        const IOMMUFDNestedTranslation *t, Error **errp)
{
    IOMMUFDAtt *att = iommufd_att_find(dev, pasid);
    bool ok;

    if (!t) {
        if (pasid != IOMMUFD_NESTED_RID) {
            return !att || att_remove(att, errp);
        }
        if (!att_block(att, reason_guest, errp)) {
            return false;
        }
        iommufd_index_clear(att);
        return true;
    }
    if (!att) {
        att = att_new(dev, pasid, errp);
        if (!att) {
            return false;
        }
    }
    ok = att_set(att, t, errp);
    iommufd_shadow_unprepare(dev->n);
    /* What could not be detached is invalidated as it was before */
    if (ok || att->attached != IOMMUFD_ATTACHED_HWPT) {
        iommufd_index_set(att, t->domain, t->index_pasid);
    }
    trace_iommufd_nested_set(iommufd_nested_device_name(dev), pasid, t->state,
                             t->domain, t->index_pasid, att->state,
                             att->waiting, ok);
    att_set_page_requests(att, ok && t->state == IOMMUFD_NESTED_STAGE1 &&
                               t->page_requests);
    return ok;
}

IOMMUFDNestedState iommufd_nested_get(const IOMMUFDNestedDevice *dev,
                                      uint32_t pasid, const char **reason)
{
    IOMMUFDAtt *att = iommufd_att_find(dev, pasid);

    if (reason) {
        *reason = att ? att->reason : reason_guest;
    }
    return att ? att->state : IOMMUFD_NESTED_BLOCKED;
}

void iommufd_nested_foreach_pasid(IOMMUFDNestedDevice *dev,
                                  IOMMUFDNestedBoundFn fn, void *arg)
{
    guint num;
    g_autofree gpointer *keys = g_hash_table_get_keys_as_array(dev->pasids,
                                                               &num);

    for (guint i = 0; i < num; i++) {
        uint32_t pasid = GPOINTER_TO_UINT(keys[i]);

        if (iommufd_att_find(dev, pasid)) {
            fn(dev, pasid, arg);
        }
    }
}

/* Out of stage 1 until iommufd_att_retry(), because of a new label */
void iommufd_att_suspend(IOMMUFDAtt *att)
{
    Error *err = NULL;

    if (att->attached != IOMMUFD_ATTACHED_HWPT) {
        return;
    }
    if (att->state == IOMMUFD_NESTED_BLOCKED) {
        /* Could not be detached: it has no translation to come back to */
        att_block_after_error(att, reason_guest);
    } else if (!att_wait(att, att->state, att->hwpt, REASON_LABEL, &err)) {
        error_report_err(err);
    }
}

/* The device goes: nothing of @att may be left, whatever the host says */
void iommufd_att_clear(IOMMUFDAtt *att)
{
    iommufd_fault_answer(att);
    if (iommufd_hwpt_asks(att->hwpt)) {
        /* The kernel may name @dev in what others ask: not any more then */
        att_part_others(att);
    }
    att_block_after_error(att, reason_guest);
    if (att->attached == IOMMUFD_ATTACHED_ABORT) {
        att_detach(att);
    }
    if (att->attached != IOMMUFD_ATTACHED_NONE) {
        att_attached(att, IOMMUFD_ATTACHED_NONE, NULL);
    }
    iommufd_index_clear(att);
    iommufd_notify_refused(att, false);
}

/* The host is busy with a reset */
static void att_wait_on(IOMMUFDAtt *att)
{
    IOMMUFDNested *n = att->dev->n;
    IOMMUFDHwpt *hwpt = att->wish_hwpt;
    Error *err = NULL;

    if (att->parted) {
        if (!att_wait(att, att->wish, hwpt, REASON_RESET, &err)) {
            error_report_err(err);
        }
    } else if (iommufd_sys_now(false) >= att->give_up) {
        iommufd_att_block_and_tell(att, REASON_GAVE_UP);
    } else {
        QTAILQ_REMOVE(&n->waiting, att, waiting_next);
        QTAILQ_INSERT_TAIL(&n->waiting, att, waiting_next);
    }
}

static void att_try_wish(IOMMUFDAtt *att)
{
    IOMMUFDHwpt *hwpt = att->wish_hwpt;
    const char *owed;
    Error *err = NULL;
    int ret;

    if (iommufd_group_dissent(att, att->wish, &hwpt)) {
        if (!att->parted && !att_part(att, att->wish, hwpt, &err)) {
            error_report_err(err);
        }
        return;
    }
    if (hwpt && !iommufd_device_want_vdevice(att->dev, NULL)) {
        iommufd_att_block_and_tell(att, REASON_LABEL);
        return;
    }
    owed = att_settle(att, hwpt, &err);
    if (owed) {
        error_report_err(err);
        iommufd_att_block_and_tell(att, owed);
        return;
    }
    ret = att_attach_or_plain(att, hwpt);
    if (!ret) {
        att_in_force(att, att->wish);
        att_join_others(att);
    } else if (ret == -EBUSY) {
        att_wait_on(att);
    } else {
        att_error(att, hwpt, ret, &err);
        error_report_err(err);
        iommufd_att_block_and_tell(att, REASON_ATTACH);
    }
}

static void att_rejoin(IOMMUFDAtt *att, void *arg)
{
    if (att->parted) {
        att_try_wish(att);
    }
}

void iommufd_att_rejoin(IOMMUFDNestedDevice *dev)
{
    iommufd_device_foreach_att(dev, att_rejoin, NULL);
}

void iommufd_att_retry(void *opaque)
{
    IOMMUFDNested *n = opaque;
    IOMMUFDAtt *att;
    size_t num = 0;

    /* Each once: those that must wait on are moved to the end */
    QTAILQ_FOREACH(att, &n->waiting, waiting_next) {
        num++;
    }
    while (num-- && (att = QTAILQ_FIRST(&n->waiting))) {
        att_try_wish(att);
    }
    if (!QTAILQ_EMPTY(&n->waiting)) {
        n->retry_ms = MIN(n->retry_ms * 2, RETRY_MAX_MS);
        iommufd_sys_timer_set(n->waiting_timer,
                              iommufd_sys_now(false) + n->retry_ms);
    }
}
