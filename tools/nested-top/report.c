/*
 * qemu-nested-top: what has happened between two samples
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qnum.h"
#include "top.h"

void sample_clear(Sample *s)
{
    qapi_free_NestedIommuInfoList(s->list);
    *s = (Sample) {};
}

static void put_double(QDict *dict, const char *key, double value)
{
    qdict_put(dict, key, qnum_from_double(value));
}

/* Of something that only grows, unless it has begun anew */
static uint64_t grown(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : now;
}

/* One that was unplugged and is back has another id */
static const NestedIommuDevice *find_device(const NestedIommuInfo *info,
                                            const NestedIommuDevice *d)
{
    const NestedIommuDeviceList *l;

    for (l = info->devices; l; l = l->next) {
        if (!strcmp(l->value->name, d->name) && l->value->dev_id == d->dev_id) {
            return l->value;
        }
    }
    return NULL;
}

static uint64_t find_counter(const NestedIommuCounterList *l, const char *name)
{
    for (; l; l = l->next) {
        if (!strcmp(l->value->name, name)) {
            return l->value->value;
        }
    }
    return 0;
}

static QDict *rates(const NestedIommuCounterList *before,
                    const NestedIommuCounterList *now, double seconds)
{
    QDict *dict = qdict_new();

    for (; now; now = now->next) {
        const char *name = now->value->name;
        uint64_t was = find_counter(before, name);

        if (!strcmp(name, "inv-largest-batch")) {
            /* A maximum, which has no rate */
            qdict_put_int(dict, name, now->value->value);
        } else {
            put_double(dict, name, grown(was, now->value->value) / seconds);
        }
    }
    return dict;
}

static QDict *totals(const NestedIommuCounterList *l)
{
    QDict *dict = qdict_new();

    for (; l; l = l->next) {
        qdict_put_int(dict, l->value->name, l->value->value);
    }
    return dict;
}

static QList *histogram(const uint64List *before, const uint64List *now)
{
    QList *list = qlist_new();

    for (; now; now = now->next) {
        qlist_append_int(list, grown(before ? before->value : 0, now->value));
        before = before ? before->next : NULL;
    }
    return list;
}

static void report_refused(QDict *dict, const NestedIommuDevice *d)
{
    qdict_put_int(dict, "refused", d->refused);
    if (d->has_refused_pasid) {
        qdict_put_int(dict, "refused-pasid", d->refused_pasid);
    }
    if (d->refused_reason) {
        qdict_put_str(dict, "refused-reason", d->refused_reason);
    }
}

static QDict *report_device(const NestedIommuDevice *was,
                            const NestedIommuDevice *d, double seconds)
{
    QDict *dict = qdict_new();

    qdict_put_str(dict, "name", d->name);
    qdict_put_str(dict, "state", NestedIommuState_str(d->rid->state));
    if (d->rid->reason) {
        qdict_put_str(dict, "reason", d->rid->reason);
    }
    if (d->has_label) {
        qdict_put_int(dict, "label", d->label);
    }
    report_refused(dict, d);
    put_double(dict, "attaches",
               grown(was ? was->attaches : 0, d->attaches) / seconds);
    put_double(dict, "page-groups-in",
               grown(was ? was->page_groups_in : 0, d->page_groups_in) /
               seconds);
    return dict;
}

static QDict *report_cost(const NestedIommuMapCost *c)
{
    QDict *dict = qdict_new();

    qdict_put_int(dict, "calls", c->calls);
    qdict_put_int(dict, "bytes", c->bytes);
    qdict_put_int(dict, "ns", c->ns);
    return dict;
}

static QDict *report_memory(const NestedIommuMemory *m)
{
    QDict *dict = qdict_new();

    qdict_put_str(dict, "region", m->region);
    qdict_put_int(dict, "locked", m->locked);
    qdict_put_int(dict, "shared", m->shared);
    qdict_put(dict, "map", report_cost(m->map));
    qdict_put(dict, "copy", report_cost(m->copy));
    qdict_put(dict, "unmap", report_cost(m->unmap));
    return dict;
}

static QDict *report_iommu(const NestedIommuInfo *was,
                           const NestedIommuInfo *info, double seconds)
{
    QDict *dict = qdict_new();
    QList *devices = qlist_new(), *memory = qlist_new();

    qdict_put_str(dict, "name", info->name);
    qdict_put_bool(dict, "running", info->running);
    qdict_put_int(dict, "hwpts", info->hwpts);
    qdict_put_int(dict, "max-hwpts", info->max_hwpts);
    qdict_put_int(dict, "pasids", info->pasids);
    qdict_put_int(dict, "max-pasids", info->max_pasids);
    qdict_put_int(dict, "shadows", info->shadows);
    qdict_put_int(dict, "inv-queued", info->inv_queued);
    qdict_put_int(dict, "page-groups", info->page_groups);
    qdict_put_int(dict, "max-page-groups", info->max_page_groups);
    qdict_put(dict, "commands", rates(was->commands, info->commands, seconds));
    qdict_put(dict, "counters", rates(was->counters, info->counters, seconds));
    qdict_put(dict, "errors", totals(info->errors));
    qdict_put(dict, "batches", histogram(was->batches, info->batches));
    qdict_put(dict, "latency", histogram(was->latency, info->latency));
    for (NestedIommuDeviceList *l = info->devices; l; l = l->next) {
        qlist_append(devices, report_device(find_device(was, l->value),
                                            l->value, seconds));
    }
    qdict_put(dict, "devices", devices);
    for (NestedIommuMemoryList *l = info->memory; l; l = l->next) {
        qlist_append(memory, report_memory(l->value));
    }
    qdict_put(dict, "memory", memory);
    return dict;
}

/* vIOMMUs neither come nor go, so they are in the same order */
QList *report_new(const Sample *before, const Sample *now)
{
    const NestedIommuInfoList *b = before->list;
    double seconds = (now->ns - before->ns) / 1e9;
    QList *list = qlist_new();

    for (NestedIommuInfoList *l = now->list; l; l = l->next) {
        /* Without anything to compare with, nothing has happened yet */
        const NestedIommuInfo *was = b ? b->value : l->value;

        qlist_append(list, report_iommu(was, l->value, seconds));
        b = b ? b->next : NULL;
    }
    return list;
}
