/*
 * Nested IOMMU core: x-query-nested-iommu and "info nested-iommu"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-nested-iommu.h"
#include "qobject/qdict.h"
#include "core.h"
#include "map.h"

static const struct {
    const char *name;
    size_t offset;
} counter_names[] = {
#define COUNTER(name, member) { name, offsetof(IOMMUFDCounters, member) }
    COUNTER("inv-queued", inv_queued),
    COUNTER("inv-redundant", inv_redundant),
    COUNTER("inv-entries", inv_entries),
    COUNTER("inv-ioctls", inv_ioctls),
    COUNTER("inv-flushes", inv_flushes),
    COUNTER("inv-early-flushes", inv_early),
    COUNTER("inv-largest-batch", inv_largest),
    COUNTER("hwpt-made", hwpt_made),
    COUNTER("hwpt-shared", hwpt_shared),
    COUNTER("attaches", attaches),
    COUNTER("detaches", detaches),
    COUNTER("attaches-put-off", busy),
    COUNTER("page-groups-in", groups_in),
    COUNTER("page-groups-answered", groups_answered),
    COUNTER("page-groups-refused", groups_refused),
    COUNTER("page-groups-expired", groups_expired),
    COUNTER("page-groups-dropped", groups_dropped),
    COUNTER("page-responses-unknown", responses_unknown),
    COUNTER("page-requests-unserved", requests_unserved),
    COUNTER("events-in", events_in),
    COUNTER("events-lost", events_lost),
    COUNTER("entries-read", reads),
    COUNTER("turns-put-off", put_off),
    COUNTER("shadow-maps", shadow_maps),
    COUNTER("shadow-unmaps", shadow_unmaps),
#undef COUNTER
};

static const char *const error_names[IOMMUFD_ERR__MAX] = {
    [IOMMUFD_ERR_HWPT] = "hwpt",
    [IOMMUFD_ERR_ATTACH] = "attach",
    [IOMMUFD_ERR_DETACH] = "detach",
    [IOMMUFD_ERR_INVALIDATE] = "invalidate",
    [IOMMUFD_ERR_VDEVICE] = "vdevice",
    [IOMMUFD_ERR_QUEUE] = "viommu-or-queue",
    [IOMMUFD_ERR_RESPONSE] = "page-response",
    [IOMMUFD_ERR_DESTROY] = "destroy",
    [IOMMUFD_ERR_BOUND] = "bound",
    [IOMMUFD_ERR_SHADOW] = "shadow",
};

static const NestedIommuState state_names[] = {
    [IOMMUFD_NESTED_BLOCKED] = NESTED_IOMMU_STATE_BLOCKED,
    [IOMMUFD_NESTED_STAGE2] = NESTED_IOMMU_STATE_STAGE2,
    [IOMMUFD_NESTED_BYPASS] = NESTED_IOMMU_STATE_BYPASS,
    [IOMMUFD_NESTED_STAGE1] = NESTED_IOMMU_STATE_STAGE1,
    [IOMMUFD_NESTED_SHADOW] = NESTED_IOMMU_STATE_SHADOW,
};

static NestedIommuTranslation *query_att(const IOMMUFDAtt *att)
{
    NestedIommuTranslation *tr = g_new0(NestedIommuTranslation, 1);
    IOMMUFDGroup *group;

    if (att->pasid != IOMMUFD_NESTED_RID) {
        tr->has_pasid = true;
        tr->pasid = att->pasid;
    }
    tr->state = state_names[att->state];
    tr->reason = g_strdup(att->reason);
    tr->waiting = att->waiting;
    if (att->hwpt) {
        tr->has_hwpt = true;
        tr->hwpt = att->hwpt->id;
        tr->has_hwpt_users = true;
        tr->hwpt_users = att->hwpt->users;
    }
    if (att->bucket) {
        tr->has_domain = true;
        tr->domain = iommufd_index_domain(att);
        tr->has_index_pasid = true;
        tr->index_pasid = iommufd_index_pasid(att);
    }
    QTAILQ_FOREACH(group, &att->groups, att_next) {
        tr->page_groups++;
    }
    return tr;
}

static gint compare_atts(gconstpointer a, gconstpointer b, gpointer unused)
{
    uint32_t pa = ((const IOMMUFDAtt *)a)->pasid;
    uint32_t pb = ((const IOMMUFDAtt *)b)->pasid;

    return (pa > pb) - (pa < pb);
}

static NestedIommuTranslationList *query_pasids(const IOMMUFDNestedDevice *dev)
{
    NestedIommuTranslationList *pasids = NULL, **tail = &pasids;
    g_autoptr(GList) atts = g_list_sort_with_data(
        g_hash_table_get_values(dev->pasids), compare_atts, NULL);

    for (GList *l = atts; l; l = l->next) {
        QAPI_LIST_APPEND(tail, query_att(l->data));
    }
    return pasids;
}

static void query_refused(NestedIommuDevice *d, const IOMMUFDNestedDevice *dev)
{
    const IOMMUFDAtt *att = QTAILQ_FIRST(&dev->refused);

    d->refused = dev->num_refused;
    if (att) {
        d->has_refused_pasid = att->pasid != IOMMUFD_NESTED_RID;
        d->refused_pasid = att->pasid;
        d->refused_reason = g_strdup(att->reason);
    }
}

static NestedIommuDevice *query_device(const IOMMUFDNestedDevice *dev,
                                       bool pasids)
{
    NestedIommuDevice *d = g_new0(NestedIommuDevice, 1);

    d->name = g_strdup(iommufd_nested_device_name(dev));
    d->has_label = dev->label != IOMMUFD_NESTED_NO_LABEL;
    d->label = dev->label;
    d->dev_id = dev->idev->devid;
    d->iommufd = iommufd_host_fd(dev->host);
    d->parent = dev->host->parent_id;
    if (dev->group) {
        d->has_group = true;
        d->group = dev->group->id;
    }
    d->has_vdevice = iommufd_nested_has_vdevice(dev);
    d->vdevice = dev->vdevice_id;
    d->no_page_requests = dev->no_page_requests;
    d->attaches = dev->attaches;
    d->page_groups_in = dev->groups_in;
    query_refused(d, dev);
    d->rid = query_att(&dev->rid);
    d->has_pasids = pasids;
    d->pasids = pasids ? query_pasids(dev) : NULL;
    return d;
}

static NestedIommuHost *query_host(const IOMMUFDHost *host)
{
    NestedIommuHost *h = g_new0(NestedIommuHost, 1);

    h->iommufd = iommufd_host_fd(host);
    h->parent = host->parent_id;
    h->ioas = host->ioas_id;
    h->parent_flags = host->parent_flags;
    h->has_viommu = host->viommu_id;
    h->viommu = host->viommu_id;
    h->has_fault_queue = host->fault_fd >= 0;
    h->fault_queue = host->fault_id;
    h->has_veventq = host->events.fd >= 0;
    h->veventq = host->events.id;
    h->has_hw_queues = host->page;
    h->hw_queues = host->page ? host->hw_queues->len : 0;
    h->hwpts = g_hash_table_size(host->hwpts);
    h->devices = g_hash_table_size(host->devices);
    return h;
}

static NestedIommuMapCost *query_cost(const IOMMUFDMapCost *cost)
{
    NestedIommuMapCost *c = g_new0(NestedIommuMapCost, 1);

    c->calls = cost->calls;
    c->bytes = cost->bytes;
    c->ns = cost->ns;
    return c;
}

static NestedIommuMemory *query_region(const IOMMUFDHost *host,
                                       const IOMMUFDMapRegion *region)
{
    NestedIommuMemory *m = g_new0(NestedIommuMemory, 1);

    m->iommufd = iommufd_host_fd(host);
    m->ioas = host->ioas_id;
    m->region = g_strdup(region->name);
    m->page_size = region->page_size;
    m->locked = region->locked;
    m->shared = region->shared;
    m->large = region->large;
    m->map = query_cost(&region->map);
    m->copy = query_cost(&region->copy);
    m->unmap = query_cost(&region->unmap);
    return m;
}

/* Parents of several hosts may be of one IOAS: the first one shows it */
static bool ioas_seen(const IOMMUFDHost *host)
{
    const IOMMUFDHost *other;

    QLIST_FOREACH(other, &host->n->hosts, next) {
        if (other == host) {
            break;
        }
        if (other->iommufd == host->iommufd &&
            other->ioas_id == host->ioas_id) {
            return true;
        }
    }
    return false;
}

static void query_memory(NestedIommuInfo *info, const IOMMUFDNested *n)
{
    NestedIommuMemoryList **tail = &info->memory;
    const IOMMUFDMapRegion *region;
    const IOMMUFDMaps *maps;
    IOMMUFDHost *host;

    QLIST_FOREACH(host, &n->hosts, next) {
        maps = ioas_seen(host) ? NULL :
               iommufd_sys_maps(iommufd_host_fd(host), host->ioas_id);
        if (!maps) {
            continue;
        }
        QTAILQ_FOREACH(region, &maps->regions, next) {
            QAPI_LIST_APPEND(tail, query_region(host, region));
        }
    }
}

static NestedIommuCounter *query_counter(const char *name, uint64_t value)
{
    NestedIommuCounter *c = g_new0(NestedIommuCounter, 1);

    c->name = g_strdup(name);
    c->value = value;
    return c;
}

static void query_counters(NestedIommuInfo *info, const IOMMUFDNested *n)
{
    NestedIommuCounterList **tail = &info->commands;

    for (size_t i = 0; i < n->config.num_commands; i++) {
        QAPI_LIST_APPEND(tail, query_counter(n->config.commands[i],
                                             n->commands[i]));
    }
    tail = &info->counters;
    for (size_t i = 0; i < ARRAY_SIZE(counter_names); i++) {
        const uint8_t *base = (const uint8_t *)&n->count;
        uint64_t value;

        memcpy(&value, base + counter_names[i].offset, sizeof(value));
        QAPI_LIST_APPEND(tail, query_counter(counter_names[i].name, value));
    }
    tail = &info->errors;
    for (size_t i = 0; i < IOMMUFD_ERR__MAX; i++) {
        QAPI_LIST_APPEND(tail, query_counter(error_names[i],
                                             n->count.errors[i]));
    }
}

/* Without what is 0 at its end */
static uint64List *query_histogram(const uint64_t *histogram, unsigned num)
{
    uint64List *list = NULL;

    while (num && !histogram[num - 1]) {
        num--;
    }
    while (num) {
        QAPI_LIST_PREPEND(list, histogram[--num]);
    }
    return list;
}

static NestedIommuInfo *query_nested(const IOMMUFDNested *n, bool pasids)
{
    NestedIommuInfo *info = g_new0(NestedIommuInfo, 1);
    NestedIommuHostList **hosts = &info->hosts;
    NestedIommuDeviceList **devices = &info->devices;
    IOMMUFDHost *host;
    IOMMUFDNestedDevice *dev;

    info->name = g_strdup(n->config.name);
    info->running = n->running;
    info->hwpts = n->num_hwpts;
    info->max_hwpts = n->config.max_hwpts;
    info->pasids = n->num_pasids;
    info->max_pasids = n->config.max_pasids;
    info->shadows = n->num_shadows;
    info->shadow_areas = n->num_areas;
    info->max_shadow_areas = n->config.max_areas;
    info->inv_queued = n->num_dirty;
    info->page_groups = n->num_groups;
    info->max_page_groups = n->config.max_groups;
    QLIST_FOREACH(host, &n->hosts, next) {
        QAPI_LIST_APPEND(hosts, query_host(host));
    }
    QTAILQ_FOREACH(dev, &n->devices, next) {
        QAPI_LIST_APPEND(devices, query_device(dev, pasids));
    }
    query_memory(info, n);
    query_counters(info, n);
    info->batches = query_histogram(n->count.batches, IOMMUFD_BATCH_LOG2);
    info->latency = query_histogram(n->count.latency, IOMMUFD_LATENCY_LOG2);
    return info;
}

NestedIommuInfoList *qmp_x_query_nested_iommu(bool has_pasids, bool pasids,
                                              Error **errp)
{
    NestedIommuInfoList *list = NULL;
    IOMMUFDNested *n;

    /* The newest is first in ours: so the oldest will be in theirs */
    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        QAPI_LIST_PREPEND(list, query_nested(n, !has_pasids || pasids));
    }
    return list;
}

static void hmp_translation(Monitor *mon, const NestedIommuTranslation *tr)
{
    if (tr->has_pasid) {
        monitor_printf(mon, "    PASID %" PRIu32 ": ", tr->pasid);
    } else {
        monitor_printf(mon, "    RID: ");
    }
    monitor_printf(mon, "%s", NestedIommuState_str(tr->state));
    if (tr->reason) {
        monitor_printf(mon, " (%s)", tr->reason);
    }
    if (tr->has_hwpt) {
        monitor_printf(mon, ", HWPT %" PRIu32 " of %" PRIu32 " users",
                       tr->hwpt, tr->hwpt_users);
    }
    if (tr->has_domain) {
        monitor_printf(mon, ", domain %" PRIu32 " index %" PRIu32, tr->domain,
                       tr->index_pasid);
    }
    if (tr->page_groups) {
        monitor_printf(mon, ", %" PRIu32 " page groups", tr->page_groups);
    }
    monitor_printf(mon, "%s\n", tr->waiting ? ", waiting" : "");
}

static void hmp_device(Monitor *mon, const NestedIommuDevice *d)
{
    monitor_printf(mon, "  device %s: dev_id %" PRIu32 " iommufd %" PRId64
                   " parent %" PRIu32, d->name, d->dev_id, d->iommufd,
                   d->parent);
    if (d->has_label) {
        monitor_printf(mon, " label 0x%" PRIx32, d->label);
    }
    if (d->has_group) {
        monitor_printf(mon, " group %" PRIu32, d->group);
    }
    if (d->has_vdevice) {
        monitor_printf(mon, " vDEVICE %" PRIu32, d->vdevice);
    }
    monitor_printf(mon, "%s\n",
                   d->no_page_requests ? " no page requests" : "");
    hmp_translation(mon, d->rid);
    for (NestedIommuTranslationList *l = d->pasids; l; l = l->next) {
        hmp_translation(mon, l->value);
    }
}

static void hmp_histogram(Monitor *mon, const char *what, const char *unit,
                          const uint64List *l)
{
    for (uint64_t from = 1; l; l = l->next, from *= 2) {
        if (l->value) {
            monitor_printf(mon, "  %s %" PRIu64 " %s and more: %" PRIu64
                           "\n", what, from, unit, l->value);
        }
    }
}

static void hmp_host(Monitor *mon, const NestedIommuHost *h)
{
    monitor_printf(mon, "  host: iommufd %" PRId64 " parent %" PRIu32
                   " (flags 0x%" PRIx32 ") of IOAS %" PRIu32 ", %" PRIu32
                   " HWPTs, %" PRIu32 " devices", h->iommufd, h->parent,
                   h->parent_flags, h->ioas, h->hwpts, h->devices);
    if (h->has_viommu) {
        monitor_printf(mon, ", vIOMMU %" PRIu32, h->viommu);
    }
    if (h->has_fault_queue) {
        monitor_printf(mon, ", fault queue %" PRIu32, h->fault_queue);
    }
    if (h->has_veventq) {
        monitor_printf(mon, ", vEVENTQ %" PRIu32, h->veventq);
    }
    if (h->has_hw_queues) {
        monitor_printf(mon, ", %" PRIu32 " queues of the guest's own",
                       h->hw_queues);
    }
    monitor_printf(mon, "\n");
}

static void hmp_cost(Monitor *mon, const char *what,
                     const NestedIommuMapCost *c)
{
    if (c->calls) {
        monitor_printf(mon, ", %s %" PRIu64 " times (0x%" PRIx64 " bytes, %"
                       PRIu64 " ns each)", what, c->calls, c->bytes,
                       c->ns / c->calls);
    }
}

static void hmp_memory(Monitor *mon, const NestedIommuMemory *m)
{
    monitor_printf(mon, "  memory %s: iommufd %" PRId64 " IOAS %" PRIu32
                   " locked 0x%" PRIx64 " shared 0x%" PRIx64 " large 0x%"
                   PRIx64 " page 0x%" PRIx64, m->region, m->iommufd, m->ioas,
                   m->locked, m->shared, m->large, m->page_size);
    hmp_cost(mon, "mapped", m->map);
    hmp_cost(mon, "copied", m->copy);
    hmp_cost(mon, "unmapped", m->unmap);
    monitor_printf(mon, "\n");
}

/* What has never happened is not worth a line */
static void hmp_counters(Monitor *mon, const char *what,
                         const NestedIommuCounterList *l)
{
    for (; l; l = l->next) {
        if (l->value->value) {
            monitor_printf(mon, "  %s %s: %" PRIu64 "\n", what, l->value->name,
                           l->value->value);
        }
    }
}

void hmp_info_nested_iommu(Monitor *mon, const QDict *qdict)
{
    g_autoptr(NestedIommuInfoList) list =
        qmp_x_query_nested_iommu(false, true, NULL);

    for (NestedIommuInfoList *l = list; l; l = l->next) {
        NestedIommuInfo *info = l->value;

        monitor_printf(mon, "%s%s: HWPTs %" PRIu32 "/%" PRIu32 " PASIDs %"
                       PRIu32 "/%" PRIu32 " queued %" PRIu32
                       " page groups %" PRIu32 "/%" PRIu32 "\n", info->name,
                       info->running ? "" : " (stopped)", info->hwpts,
                       info->max_hwpts, info->pasids, info->max_pasids,
                       info->inv_queued, info->page_groups,
                       info->max_page_groups);
        if (info->shadows) {
            monitor_printf(mon, "  shadows: %" PRIu32 ", mappings %" PRIu32
                           "/%" PRIu32 "\n", info->shadows,
                           info->shadow_areas, info->max_shadow_areas);
        }
        for (NestedIommuHostList *h = info->hosts; h; h = h->next) {
            hmp_host(mon, h->value);
        }
        for (NestedIommuDeviceList *d = info->devices; d; d = d->next) {
            hmp_device(mon, d->value);
        }
        for (NestedIommuMemoryList *m = info->memory; m; m = m->next) {
            hmp_memory(mon, m->value);
        }
        hmp_counters(mon, "command", info->commands);
        hmp_counters(mon, "count", info->counters);
        hmp_counters(mon, "error", info->errors);
        hmp_histogram(mon, "batches of", "entries", info->batches);
        hmp_histogram(mon, "answers after", "us", info->latency);
    }
}
