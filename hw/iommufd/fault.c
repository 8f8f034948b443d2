/*
 * Nested IOMMU core: page requests and their answers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/*
 * Requests read at once: at first, and at most if the kernel says that a
 * group does not fit. PCIe allows a device 2^32 outstanding requests in name,
 * hardware a few hundred.
 */
#define READ_MIN 128
#define READ_MAX 16384

static void fault_readable(void *opaque);

void iommufd_fault_watch(IOMMUFDHost *host, bool on)
{
    if (host->fault_fd >= 0) {
        iommufd_retry_stop(&host->fault_retry);
        iommufd_sys_watch(host->fault_fd, on ? fault_readable : NULL, host);
    }
}

bool iommufd_fault_queue_get(IOMMUFDHost *host, Error **errp)
{
    IOMMUFDNested *n = host->n;
    int ret;

    if (host->fault_fd >= 0) {
        return true;
    }
    ret = iommufd_sys_fault_alloc(iommufd_host_fd(host), &host->fault_id,
                                  &host->fault_fd);
    trace_iommufd_nested_fault_alloc(n->config.name, host->parent_id,
                                     host->fault_id, ret);
    if (ret) {
        host->fault_fd = -1;
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        error_setg_errno(errp, -ret, "%s: no fault queue for parent HWPT %"
                         PRIu32, n->config.name, host->parent_id);
        return false;
    }
    iommufd_retry_init(&host->fault_retry, fault_readable, host);
    host->fault_cap = READ_MIN;
    host->fault_buf = g_new(struct iommu_hwpt_pgfault, host->fault_cap);
    iommufd_fault_watch(host, n->running);
    return true;
}

/* The kernel lets it go only after the HWPTs that feed it */
void iommufd_fault_queue_free(IOMMUFDHost *host)
{
    if (host->fault_fd >= 0) {
        iommufd_fault_watch(host, false);
        iommufd_retry_free(&host->fault_retry);
        iommufd_sys_close(host->fault_fd);
        host->fault_fd = -1;
        g_clear_pointer(&host->fault_buf, g_free);
        iommufd_nested_destroy(host, host->fault_id, "fault queue");
    }
}

/*
 * Answers that are given in a row are written together. None is left when a
 * function of this file returns but iommufd_nested_page_response().
 *
 * A write ends in front of an answer that the kernel does not take (EINVAL: it
 * has given it itself, with a detach), or fails if that is the first.
 */
static void answers_write(IOMMUFDHost *host)
{
    const size_t size = sizeof(host->answers[0]);
    IOMMUFDNested *n = host->n;
    unsigned done = 0;

    while (done < host->num_answers) {
        const struct iommu_hwpt_page_response *first = &host->answers[done];
        ssize_t ret = iommufd_sys_write(host->fault_fd, first,
                                        (host->num_answers - done) * size);
        unsigned num = ret < 0 ? 0 : ret / size;

        for (unsigned i = 0; i < MAX(num, 1); i++) {
            trace_iommufd_nested_page_answer(n->config.name, first[i].cookie,
                                             first[i].code, ret);
        }
        n->count.errors[IOMMUFD_ERR_RESPONSE] += !num;
        done += MAX(num, 1);
    }
    host->num_answers = 0;
}

static void fault_respond(IOMMUFDHost *host, uint32_t cookie, uint32_t code)
{
    if (host->num_answers == ARRAY_SIZE(host->answers)) {
        answers_write(host);
    }
    host->answers[host->num_answers++] = (struct iommu_hwpt_page_response) {
        .cookie = cookie,
        .code = code,
    };
}

static void groups_rearm(IOMMUFDNested *n)
{
    IOMMUFDGroup *first = QTAILQ_FIRST(&n->groups);

    if (first) {
        iommufd_sys_timer_set(n->group_timer, first->deadline);
    } else {
        iommufd_sys_timer_stop(n->group_timer);
    }
}

static void group_free(IOMMUFDGroup *group)
{
    IOMMUFDNested *n = group->att->dev->n;
    bool was_first = QTAILQ_FIRST(&n->groups) == group;

    QTAILQ_REMOVE(&group->att->groups, group, att_next);
    QTAILQ_REMOVE(&n->groups, group, next);
    n->num_groups--;
    group->att->dev->num_groups--;
    g_free(group);
    if (was_first) {
        groups_rearm(n);
    }
}

static void group_add(IOMMUFDAtt *att, uint32_t index, uint32_t cookie)
{
    IOMMUFDNested *n = att->dev->n;
    IOMMUFDGroup *group = g_new0(IOMMUFDGroup, 1);

    group->att = att;
    group->index = index;
    group->cookie = cookie;
    group->deadline = iommufd_sys_now(true) + n->config.group_ms;
    group->since = iommufd_sys_ns();
    QTAILQ_INSERT_TAIL(&att->groups, group, att_next);
    QTAILQ_INSERT_TAIL(&n->groups, group, next);
    att->dev->num_groups++;
    if (!n->num_groups++) {
        groups_rearm(n);
    }
}

/* Answered by the kernel, which has detached what they were for */
void iommufd_fault_forget(IOMMUFDAtt *att)
{
    IOMMUFDGroup *group;

    while ((group = QTAILQ_FIRST(&att->groups))) {
        att->dev->n->count.groups_dropped++;
        group_free(group);
    }
}

/* INVALID to all of @att */
void iommufd_fault_answer(IOMMUFDAtt *att)
{
    IOMMUFDNested *n = att->dev->n;
    IOMMUFDGroup *group;

    while ((group = QTAILQ_FIRST(&att->groups))) {
        n->count.groups_dropped++;
        fault_respond(att->dev->host, group->cookie,
                      IOMMUFD_PAGE_RESP_INVALID);
        group_free(group);
    }
    answers_write(att->dev->host);
}

void iommufd_nested_page_flush(IOMMUFDNested *n)
{
    IOMMUFDHost *host;

    QLIST_FOREACH(host, &n->hosts, next) {
        answers_write(host);
    }
}

void iommufd_fault_expire(void *opaque)
{
    IOMMUFDNested *n = opaque;
    int64_t now = iommufd_sys_now(true);
    IOMMUFDGroup *group;

    while ((group = QTAILQ_FIRST(&n->groups)) && group->deadline <= now) {
        IOMMUFDNestedDevice *dev = group->att->dev;

        trace_iommufd_nested_page_expired(iommufd_nested_device_name(dev),
                                          group->att->pasid, group->index);
        n->count.groups_expired++;
        fault_respond(dev->host, group->cookie, IOMMUFD_PAGE_RESP_INVALID);
        group_free(group);
    }
    iommufd_nested_page_flush(n);
}

static uint32_t fault_pasid(const struct iommu_hwpt_pgfault *pf)
{
    return pf->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID ? pf->pasid :
                                                         IOMMUFD_NESTED_RID;
}

static IOMMUFDNestedPageVerdict
group_judge(IOMMUFDHost *host, IOMMUFDAtt *att,
            const struct iommu_hwpt_pgfault *pf, size_t count)
{
    IOMMUFDNested *n = host->n;
    g_autofree IOMMUFDNestedPageRequest *req = NULL;
    IOMMUFDNestedPageGroup group;

    /* Only what has the queue in its HWPT can have asked */
    if (!att || !att->hwpt || !att->page_requests ||
        n->refuse_all || att == n->refuse || att->dev == n->refuse_device ||
        !n->ops->page_group) {
        return IOMMUFD_NESTED_PAGE_REFUSED;
    }
    /* The guest would be told of a device that has not asked */
    if (iommufd_group_may_ask(att)) {
        return IOMMUFD_NESTED_PAGE_REFUSED;
    }
    /* As many as are still free: those of others have room in any case */
    if (att->dev->num_groups >= n->config.max_groups - n->num_groups) {
        n->count.errors[IOMMUFD_ERR_BOUND]++;
        return IOMMUFD_NESTED_PAGE_REFUSED;
    }
    req = g_new(IOMMUFDNestedPageRequest, count);
    group.dev = att->dev;
    group.pasid = att->pasid;
    group.index = pf->grpid;
    group.count = 0;
    group.req = req;
    for (size_t i = 0; i < count; i++) {
        if (fault_pasid(&pf[i]) == att->pasid) {
            req[group.count].addr = pf[i].addr;
            req[group.count].perm = pf[i].perm;
            group.count++;
        }
    }
    return n->ops->page_group(n->opaque, &group);
}

/*
 * @count requests of one group. The last one says whose it is: in front of it
 * the kernel puts all that it has with the same index and no end, of whatever
 * PASID, and also of one that has been detached since (iopf_group_alloc()).
 */
static void group_deliver(IOMMUFDHost *host,
                          const struct iommu_hwpt_pgfault *pf, size_t count)
{
    IOMMUFDNested *n = host->n;
    IOMMUFDNestedDevice *dev =
        g_hash_table_lookup(host->devices, GUINT_TO_POINTER(pf->dev_id));
    uint32_t pasid = fault_pasid(&pf[count - 1]);
    IOMMUFDAtt *att = dev ? iommufd_att_find(dev, pasid) : NULL;
    IOMMUFDNestedPageVerdict verdict = group_judge(host, att, pf, count);

    trace_iommufd_nested_page_group(n->config.name, pf->dev_id, pasid,
                                    pf->grpid, count, pf->cookie, verdict);
    n->count.groups_in++;
    if (dev) {
        dev->groups_in++;
    }
    switch (verdict) {
    case IOMMUFD_NESTED_PAGE_QUEUED:
        group_add(att, pf->grpid, pf->cookie);
        break;
    case IOMMUFD_NESTED_PAGE_RETRY:
        n->count.groups_refused++;
        fault_respond(host, pf->cookie, IOMMUFD_PAGE_RESP_SUCCESS);
        break;
    case IOMMUFD_NESTED_PAGE_REFUSED:
        n->count.groups_refused++;
        fault_respond(host, pf->cookie, IOMMUFD_PAGE_RESP_INVALID);
        break;
    }
}

/*
 * The queue is of no use any more, and nobody may depend on it. What is set
 * up from now on gets a new one, if the kernel has let go of the old one's
 * users.
 */
static void fault_broken(IOMMUFDHost *host, int err)
{
    IOMMUFDNested *n = host->n;

    error_report("%s: cannot read fault queue %" PRIu32 " with room for %zu "
                 "requests: %s", n->config.name, host->fault_id,
                 host->fault_cap, strerror(err));
    n->count.errors[IOMMUFD_ERR_QUEUE]++;
    iommufd_fault_watch(host, false);
    iommufd_host_block(host, true, "its fault queue cannot be read");
    if (!iommufd_host_has_page_requests(host)) {
        iommufd_fault_queue_free(host);
    }
}

/* A read returns whole groups, and requests of a group share a cookie */
static void fault_split(IOMMUFDHost *host, size_t num)
{
    const struct iommu_hwpt_pgfault *pf = host->fault_buf;
    size_t start = 0;

    for (size_t i = 1; i <= num; i++) {
        if (i == num || pf[i].cookie != pf[start].cookie ||
            pf[i].dev_id != pf[start].dev_id) {
            group_deliver(host, &pf[start], i - start);
            start = i;
        }
    }
    answers_write(host);
}

/* Return: bytes, 0: there is nothing, or -errno */
static ssize_t fault_read_some(IOMMUFDHost *host)
{
    const size_t size = sizeof(host->fault_buf[0]);
    ssize_t ret = iommufd_sys_read(host->fault_fd, host->fault_buf,
                                   host->fault_cap * size);

    while (ret == -EINVAL && host->fault_cap < READ_MAX) {
        host->fault_cap *= 2;
        host->fault_buf = g_renew(struct iommu_hwpt_pgfault, host->fault_buf,
                                  host->fault_cap);
        ret = iommufd_sys_read(host->fault_fd, host->fault_buf,
                               host->fault_cap * size);
    }
    if (ret > 0) {
        fault_split(host, ret / size);
    }
    return ret;
}

/*
 * ENOMEM is of the moment, and while the VM is stopped nobody is in a hurry.
 *
 * Return: whether there may be more
 */
static bool fault_read(IOMMUFDHost *host)
{
    ssize_t ret = fault_read_some(host);

    if (ret == -ENOMEM &&
        (!host->n->running || iommufd_retry_later(&host->fault_retry))) {
        host->n->count.errors[IOMMUFD_ERR_QUEUE]++;
        iommufd_sys_watch(host->fault_fd, NULL, host);
        return false;
    }
    if (ret < 0 && ret != -EAGAIN) {
        fault_broken(host, -ret);
        return false;
    }
    if (host->fault_retry.pause) {
        iommufd_fault_watch(host, host->n->running);
    }
    return ret > 0;
}

/* Once: if anything is left, this is called again */
static void fault_readable(void *opaque)
{
    fault_read(opaque);
}

/*
 * Everything that was asked before this call. Devices may go on asking, but
 * each can have only so many requests outstanding.
 */
void iommufd_fault_drain(IOMMUFDHost *host)
{
    if (host->fault_fd >= 0) {
        for (int i = 0; i < READ_MAX && fault_read(host); i++) {
            continue;
        }
    }
}

/*
 * Before @att goes to @hwpt (NULL: elsewhere). With the last HWPT of a device
 * that has a fault queue Linux 7.3 frees what is not answered, and then goes
 * through it (iopf_queue_remove_device(), iommufd_auto_response_faults()). A
 * queue that cannot be read is met again by who watches it.
 */
void iommufd_fault_leave(IOMMUFDAtt *att, const IOMMUFDHwpt *hwpt)
{
    IOMMUFDNested *n = att->dev->n;
    IOMMUFDHost *host = att->dev->host;
    const IOMMUFDAtt *was = n->refuse;
    bool was_all = n->refuse_all;

    if (!iommufd_hwpt_asks(att->hwpt) || iommufd_hwpt_asks(hwpt) ||
        att->dev->num_asking > 1) {
        return;
    }
    if (host->fault_fd >= 0) {
        /* Others' come along, and a stopped VM has no memory for them */
        n->refuse_all |= !n->running;
        n->refuse = att;
        for (int i = 0; i < READ_MAX && fault_read_some(host) > 0; i++) {
            continue;
        }
        n->refuse = was;
        n->refuse_all = was_all;
    }
    iommufd_fault_answer(att);
}

static void group_count_answer(const IOMMUFDGroup *group)
{
    IOMMUFDCounters *count = &group->att->dev->n->count;

    count->groups_answered++;
    iommufd_histogram_add(count->latency, IOMMUFD_LATENCY_LOG2,
                          (iommufd_sys_ns() - group->since) / SCALE_US);
}

bool iommufd_nested_page_response(IOMMUFDNestedDevice *dev, uint32_t pasid,
                                  uint32_t index, bool success)
{
    IOMMUFDAtt *att = iommufd_att_find(dev, pasid);
    IOMMUFDGroup *group;

    if (att) {
        QTAILQ_FOREACH(group, &att->groups, att_next) {
            if (group->index == index) {
                group_count_answer(group);
                fault_respond(dev->host, group->cookie,
                              success ? IOMMUFD_PAGE_RESP_SUCCESS
                                      : IOMMUFD_PAGE_RESP_INVALID);
                group_free(group);
                return true;
            }
        }
    }
    dev->n->count.responses_unknown++;
    trace_iommufd_nested_page_unknown(iommufd_nested_device_name(dev), pasid,
                                      index, success);
    return false;
}

size_t iommufd_nested_page_pending(const IOMMUFDNested *n)
{
    return n->num_groups;
}

void iommufd_nested_page_drain(IOMMUFDNestedDevice *dev, uint32_t pasid)
{
    IOMMUFDNested *n = dev->n;
    IOMMUFDAtt *att = iommufd_att_find(dev, pasid);

    if (!att) {
        return;
    }
    /*
     * Others' requests come along, and the guest's memory must not be
     * written while the VM is stopped.
     */
    if (n->running) {
        n->refuse = att;
        iommufd_fault_drain(dev->host);
        n->refuse = NULL;
        /* A queue that cannot be read has consequences */
        att = iommufd_att_find(dev, pasid);
    }
    if (att) {
        iommufd_fault_answer(att);
    }
}
