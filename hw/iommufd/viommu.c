/*
 * Nested IOMMU core: emulated vIOMMUs and their host instances
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

IOMMUFDNestedList iommufd_nested_list =
    QLIST_HEAD_INITIALIZER(iommufd_nested_list);

/*
 * Destroying can only fail if the books here are wrong or the kernel still
 * uses the object after a detach it refused; closing the iommufd frees it.
 */
bool iommufd_nested_try_destroy(IOMMUFDHost *host, uint32_t id,
                                const char *what, Error **errp)
{
    int ret = iommufd_sys_destroy(iommufd_host_fd(host), id);

    trace_iommufd_nested_destroy(host->n->config.name, what, id, ret);
    if (ret) {
        host->n->count.errors[IOMMUFD_ERR_DESTROY]++;
        error_setg_errno(errp, -ret,
                         "%s: cannot destroy %s %" PRIu32 " of iommufd %d",
                         host->n->config.name, what, id,
                         iommufd_host_fd(host));
    }
    return !ret;
}

bool iommufd_nested_destroy(IOMMUFDHost *host, uint32_t id, const char *what)
{
    Error *err = NULL;

    if (!iommufd_nested_try_destroy(host, id, what, &err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

static void host_free(IOMMUFDHost *host)
{
    assert(g_hash_table_size(host->hwpts) == 0);
    iommufd_fault_queue_free(host);
    iommufd_hw_queues_free(host);
    iommufd_event_queues_free(host);
    iommufd_target_drop(&host->target);
    if (host->abort_id) {
        iommufd_nested_destroy(host, host->abort_id, "abort HWPT");
    }
    if (host->viommu_id) {
        iommufd_nested_destroy(host, host->viommu_id, "vIOMMU");
    }
    QLIST_REMOVE(host, next);
    g_hash_table_destroy(host->hwpts);
    g_hash_table_destroy(host->devices);
    g_free(host);
}

static bool host_alloc_viommu(IOMMUFDHost *host, HostIOMMUDeviceIOMMUFD *idev,
                              Error **errp)
{
    IOMMUFDNested *n = host->n;
    const IOMMUFDNestedQueues *q = n->queues;
    uint32_t type = q ? q->viommu_type : n->config.viommu_type;
    uint8_t QEMU_ALIGNED(8) data[IOMMUFD_NESTED_DATA_MAX] = {};
    int ret;

    if (q && !iommufd_hw_queues_alone(host, HOST_IOMMU_DEVICE(idev)->name,
                                      errp)) {
        return false;
    }
    ret = iommufd_sys_viommu_alloc(iommufd_host_fd(host), type, idev->devid,
                                   host->parent_id, q ? data : NULL,
                                   q ? q->data_len : 0, &host->viommu_id);
    trace_iommufd_nested_viommu_alloc(n->config.name, type, idev->devid,
                                      host->parent_id, host->viommu_id, ret);
    if (ret) {
        host->viommu_id = 0;
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        error_setg_errno(errp, -ret,
                         "%s: %s: no vIOMMU of type %" PRIu32
                         " on parent HWPT %" PRIu32,
                         n->config.name, HOST_IOMMU_DEVICE(idev)->name, type,
                         host->parent_id);
        return false;
    }
    return !q || iommufd_hw_queues_get(host, data, errp);
}

/* Without one, what is to be blocked is detached: no less safe */
static void host_alloc_abort(IOMMUFDHost *host, HostIOMMUDeviceIOMMUFD *idev)
{
    const IOMMUFDNestedConfig *c = &host->n->config;
    uint32_t pt_id = host->viommu_id ? host->viommu_id : host->parent_id;
    int ret = iommufd_sys_hwpt_alloc(iommufd_host_fd(host), idev->devid, pt_id,
                                     0, 0, c->abort_type, c->abort_data,
                                     c->abort_len, &host->abort_id);

    trace_iommufd_nested_hwpt_alloc(HOST_IOMMU_DEVICE(idev)->name, pt_id, 0,
                                    c->abort_type, host->abort_id, ret);
    if (ret) {
        host->abort_id = 0;
        host->n->count.errors[IOMMUFD_ERR_HWPT]++;
        warn_report("%s: %s: no HWPT that blocks: %s; while the guest blocks "
                    "devices they cannot be given interrupts", c->name,
                    HOST_IOMMU_DEVICE(idev)->name, strerror(-ret));
    }
}

/*
 * A host lives as long as it has devices: the caller puts itself into
 * host->devices, and calls iommufd_host_put() after leaving it.
 */
IOMMUFDHost *iommufd_host_get(IOMMUFDNested *n, HostIOMMUDeviceIOMMUFD *idev,
                              Error **errp)
{
    IOMMUFDHost *host;

    QLIST_FOREACH(host, &n->hosts, next) {
        if (host->iommufd == idev->iommufd &&
            host->parent_id == idev->hwpt_id) {
            return host;
        }
    }

    host = g_new0(IOMMUFDHost, 1);
    host->n = n;
    host->iommufd = idev->iommufd;
    host->parent_id = idev->hwpt_id;
    host->parent_flags = iommufd_sys_parent_flags(idev);
    host->ioas_id = iommufd_sys_parent_ioas(idev);
    host->fault_fd = -1;
    host->events.fd = -1;
    host->queue_events.fd = -1;
    host->hwpts = iommufd_hwpt_table_new();
    host->devices = g_hash_table_new(NULL, NULL);
    QLIST_INIT(&host->groups);
    iommufd_target_init(&host->target, host, NULL);
    QLIST_INSERT_HEAD(&n->hosts, host, next);

    if ((n->config.viommu_type && !host_alloc_viommu(host, idev, errp)) ||
        !iommufd_event_queues_get(host, errp)) {
        host_free(host);
        return NULL;
    }
    if (n->config.abort_type) {
        host_alloc_abort(host, idev);
    }
    return host;
}

void iommufd_host_put(IOMMUFDHost *host)
{
    if (!g_hash_table_size(host->devices)) {
        host_free(host);
    }
}

static uint32_t or_default(uint32_t value, uint32_t def)
{
    return value ? value : def;
}

/* The kernel closes the devices, which it must not do with requests open */
static void quiesce_all(void)
{
    IOMMUFDNested *n;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        iommufd_nested_quiesce(n);
    }
}

IOMMUFDNested *iommufd_nested_new(const IOMMUFDNestedConfig *config,
                                  const IOMMUFDNestedOps *ops, void *opaque)
{
    IOMMUFDNested *n = g_new0(IOMMUFDNested, 1);
    IOMMUFDNestedConfig *c = &n->config;

    assert(config->inv_len && config->inv_len <= IOMMUFD_NESTED_ENTRY_MAX);
    assert(config->event_len <= IOMMUFD_NESTED_EVENT_MAX);
    assert(!config->vdevice || config->viommu_type);
    assert(!config->veventq_type || config->viommu_type);

    *c = *config;
    c->name = g_strdup(config->name);
    c->max_hwpts = or_default(c->max_hwpts, IOMMUFD_NESTED_HWPTS);
    c->max_pasids = or_default(c->max_pasids, IOMMUFD_NESTED_PASIDS);
    c->max_batch = or_default(c->max_batch, IOMMUFD_NESTED_BATCH);
    c->inv_piece = or_default(c->inv_piece, UINT32_MAX);
    c->max_areas = or_default(c->max_areas, IOMMUFD_NESTED_AREAS);
    c->max_groups = or_default(c->max_groups, IOMMUFD_NESTED_GROUPS);
    c->group_ms = or_default(c->group_ms, IOMMUFD_NESTED_GROUP_MS);

    if (c->inv_everything) {
        c->inv_everything = memcpy(n->everything, c->inv_everything,
                                   c->inv_len);
    }

    iommufd_sys_at_exit(quiesce_all);
    n->ops = ops;
    n->opaque = opaque;
    n->running = true;
    n->commands = g_new0(uint64_t, c->num_commands);
    n->labels = g_hash_table_new(NULL, NULL);
    QTAILQ_INIT(&n->devices);
    QLIST_INIT(&n->hosts);
    QTAILQ_INIT(&n->hwpts);
    QTAILQ_INIT(&n->stale);
    QTAILQ_INIT(&n->dirty);
    QTAILQ_INIT(&n->waiting);
    QTAILQ_INIT(&n->groups);
    iommufd_index_init(n);
    iommufd_notify_init(n);
    n->waiting_timer = iommufd_sys_timer_new(false, iommufd_att_retry, n);
    n->group_timer = iommufd_sys_timer_new(true, iommufd_fault_expire, n);
    n->turn.bh = iommufd_sys_bh_new(iommufd_turn_bh, n, c->guard);
    QLIST_INSERT_HEAD(&iommufd_nested_list, n, next);
    return n;
}

void iommufd_nested_free(IOMMUFDNested *n)
{
    if (!n) {
        return;
    }
    assert(QTAILQ_EMPTY(&n->devices) && QLIST_EMPTY(&n->hosts));
    QLIST_REMOVE(n, next);
    iommufd_sys_timer_free(n->waiting_timer);
    iommufd_sys_timer_free(n->group_timer);
    iommufd_notify_free(n);
    iommufd_sys_bh_free(n->turn.bh);
    iommufd_index_free(n);
    g_hash_table_destroy(n->labels);
    g_free(n->commands);
    g_free((char *)n->config.name);
    g_free(n);
}

static void reset_att(IOMMUFDAtt *att, void *arg)
{
    static const IOMMUFDNestedTranslation stage2 = {
        .state = IOMMUFD_NESTED_STAGE2,
    };
    bool is_rid = att->pasid == IOMMUFD_NESTED_RID;
    Error *err = NULL;

    if (!iommufd_nested_set(att->dev, att->pasid, is_rid ? &stage2 : NULL,
                            &err)) {
        error_report_err(err);
    }
}

static void reset_targets(IOMMUFDNested *n)
{
    IOMMUFDTarget *t;

    while ((t = QTAILQ_FIRST(&n->dirty))) {
        t->owes = true;
        iommufd_target_drop(t);
    }
}

static void refuse_requests(IOMMUFDNested *n)
{
    IOMMUFDHost *host;
    IOMMUFDGroup *group;

    n->refuse_all = true;
    QLIST_FOREACH(host, &n->hosts, next) {
        iommufd_fault_drain(host);
    }
    n->refuse_all = false;
    while ((group = QTAILQ_FIRST(&n->groups))) {
        iommufd_fault_answer(group->att);
    }
}

void iommufd_nested_reset(IOMMUFDNested *n)
{
    IOMMUFDNestedDevice *dev;

    trace_iommufd_nested_reset(n->config.name);
    n->told_shadow = (IOMMUFDNestedTold) {};
    iommufd_shadow_unprepare(n);
    /* The next guest has not asked: nothing of it may come into its memory */
    refuse_requests(n);
    QTAILQ_FOREACH(dev, &n->devices, next) {
        iommufd_device_foreach_att(dev, reset_att, NULL);
    }
    /* After the detaches: until then an entry may still have had a use */
    reset_targets(n);
    n->flushing = false;
    iommufd_nested_put_off_not(n);
    /* A queue that could not be read has another chance */
    iommufd_nested_set_running(n, n->running);
}

void iommufd_nested_quiesce(IOMMUFDNested *n)
{
    IOMMUFDHost *host;

    trace_iommufd_nested_quiesce(n->config.name, n->num_groups);
    refuse_requests(n);
    n->refuse_all = true;
    QLIST_FOREACH(host, &n->hosts, next) {
        iommufd_event_drain(host);
    }
    n->refuse_all = false;
}

void iommufd_nested_set_running(IOMMUFDNested *n, bool running)
{
    bool stops = n->running && !running;
    IOMMUFDHost *host;

    n->running = running;
    QLIST_FOREACH(host, &n->hosts, next) {
        if (stops) {
            iommufd_event_drain(host);
        }
        iommufd_fault_watch(host, running);
        iommufd_event_watch(host, running);
    }
    if (running && n->turn.put_off) {
        iommufd_sys_bh_schedule(n->turn.bh);
    }
}

void iommufd_nested_count_command(IOMMUFDNested *n, size_t kind)
{
    assert(kind < n->config.num_commands);
    n->commands[kind]++;
}
