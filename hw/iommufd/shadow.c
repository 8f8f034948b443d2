/*
 * Nested IOMMU core: shadows of second-stage tables
 *
 * A shadow is an IOMMUFDHwpt with an IOAS of its own. What that holds is kept
 * as areas, each one mapping of the kernel's: it maps and unmaps nothing
 * smaller. Ranges that may differ from the guest's table are stale, and looked
 * at in order; the table is the truth, and what is the same stays untouched.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

#define REASON_LATE "its tables are still being read"

/* Units of work, see <hw/iommufd-turn.h>, that are done out of turn */
#define AT_ONCE (64 * IOMMUFD_NESTED_TURN)

/* Parts of one run that are looked at in a row */
#define RUN_PARTS 64

typedef struct IOMMUFDArea {
    IntervalTreeNode node;      /* addresses */
    uint64_t gpa;
    bool write;
    bool read;
} IOMMUFDArea;

static IOMMUFDArea *area_first(const IOMMUFDHwpt *hwpt, uint64_t first,
                               uint64_t last)
{
    IntervalTreeNode *node =
        interval_tree_iter_first(&hwpt->shadow->areas, first, last);

    return node ? container_of(node, IOMMUFDArea, node) : NULL;
}

/*
 * The host is not asked for a log of what devices write through a shadow: they
 * may have written all that they can. So has what goes, until it went.
 */
static void area_dirty(const IOMMUFDArea *area)
{
    if (area->write) {
        iommufd_sys_guest_ram_dirty(area->gpa,
                                    area->node.last - area->node.start + 1);
    }
}

static void area_free(IOMMUFDHwpt *hwpt, IOMMUFDArea *area)
{
    area_dirty(area);
    interval_tree_remove(&area->node, &hwpt->shadow->areas);
    hwpt->host->n->num_areas--;
    g_free(area);
}

static void shadow_drop_stale(IOMMUFDHwpt *hwpt)
{
    IOMMUFDShadow *shadow = hwpt->shadow;

    if (shadow->num_stale) {
        shadow->num_stale = 0;
        QTAILQ_REMOVE(&hwpt->host->n->stale, hwpt, stale_next);
    }
}

/* Kept apart while there is room: what the guest names as one is one area */
static void shadow_stale(IOMMUFDHwpt *hwpt, uint64_t first, uint64_t last,
                         bool joined)
{
    IOMMUFDShadow *shadow = hwpt->shadow;
    IOMMUFDStale *s = shadow->stale;

    last = MIN(last, shadow->last);
    if (first > last) {
        return;
    }
    if (first == 0 && last == shadow->last) {
        shadow_drop_stale(hwpt);
    }
    for (uint32_t i = 0; i < shadow->num_stale; i++) {
        if (s[i].first <= first && last <= s[i].last) {
            return;
        }
    }
    if (!shadow->num_stale) {
        QTAILQ_INSERT_TAIL(&hwpt->host->n->stale, hwpt, stale_next);
    }
    if (shadow->num_stale < ARRAY_SIZE(shadow->stale)) {
        s[shadow->num_stale++] = (IOMMUFDStale) { first, last, joined };
        return;
    }
    s += ARRAY_SIZE(shadow->stale) - 1;
    *s = (IOMMUFDStale) { MIN(s->first, first), MAX(s->last, last), false };
}

static void shadow_stale_whole(IOMMUFDHwpt *hwpt)
{
    shadow_stale(hwpt, 0, UINT64_MAX, false);
}

/*
 * Nothing of [@first, @last] is mapped any more. Areas go as a whole, so what
 * they had beyond is looked at again.
 */
static bool shadow_unmap(IOMMUFDHwpt *hwpt, uint64_t first, uint64_t last,
                         Error **errp)
{
    IOMMUFDNested *n = hwpt->host->n;
    IOMMUFDArea *area = area_first(hwpt, first, last);
    uint64_t from, to = 0;
    int ret;

    if (!area) {
        return true;
    }
    from = area->node.start;
    for (IntervalTreeNode *node = &area->node; node;
         node = interval_tree_iter_next(node, first, last)) {
        to = node->last;
    }
    ret = iommufd_sys_ioas_unmap(iommufd_host_fd(hwpt->host),
                                 hwpt->shadow->ioas_id, from, to - from + 1);
    n->count.shadow_unmaps++;
    trace_iommufd_nested_shadow_unmap(hwpt->id, from, to - from + 1, ret);
    if (ret) {
        error_setg_errno(errp, -ret, "%s: domain %" PRIu32 ": cannot unmap 0x%"
                         PRIx64 " to 0x%" PRIx64 " of IOAS %" PRIu32,
                         n->config.name, hwpt->key.domain, from, to,
                         hwpt->shadow->ioas_id);
        return false;
    }
    while ((area = area_first(hwpt, from, to))) {
        area_free(hwpt, area);
    }
    if (from < first) {
        shadow_stale(hwpt, from, first - 1, false);
    }
    if (to > last) {
        shadow_stale(hwpt, last + 1, to, false);
    }
    return true;
}

/* What the parent does not have is nothing that a device can reach */
static bool shadow_copy(IOMMUFDHwpt *hwpt, const IOMMUFDNestedRun *run,
                        Error **errp)
{
    IOMMUFDHost *host = hwpt->host;
    IOMMUFDNested *n = host->n;
    IOMMUFDArea *area;
    int ret;

    if (hwpt->shadow->host_last &&
        run->iova + run->size - 1 > hwpt->shadow->host_last) {
        error_setg(errp, "%s: domain %" PRIu32 ": the guest's tables map "
                   "address 0x%" PRIx64 ", and the host has none beyond 0x%"
                   PRIx64 " for them", n->config.name, hwpt->key.domain,
                   run->iova, hwpt->shadow->host_last);
        return false;
    }
    if (n->num_areas >= n->config.max_areas) {
        n->count.errors[IOMMUFD_ERR_BOUND]++;
        error_setg(errp, "%s: domain %" PRIu32 ": all %" PRIu32
                   " shadowed mappings are in use", n->config.name,
                   hwpt->key.domain, n->config.max_areas);
        return false;
    }
    ret = iommufd_sys_ioas_copy(iommufd_host_fd(host), hwpt->shadow->ioas_id,
                                host->ioas_id, run->iova, run->gpa, run->size,
                                run->read, run->write);
    n->count.shadow_maps++;
    trace_iommufd_nested_shadow_map(hwpt->id, run->iova, run->gpa, run->size,
                                    run->read, run->write, ret);
    if (ret == -ENOENT) {
        return true;
    }
    if (ret) {
        error_setg_errno(errp, -ret, "%s: domain %" PRIu32 ": cannot map 0x%"
                         PRIx64 " bytes of the guest's memory at 0x%" PRIx64
                         " to address 0x%" PRIx64 " of IOAS %" PRIu32,
                         n->config.name, hwpt->key.domain, run->size, run->gpa,
                         run->iova, hwpt->shadow->ioas_id);
        return false;
    }
    area = g_new0(IOMMUFDArea, 1);
    area->node.start = run->iova;
    area->node.last = run->iova + run->size - 1;
    area->gpa = run->gpa;
    area->read = run->read;
    area->write = run->write;
    interval_tree_insert(&area->node, &hwpt->shadow->areas);
    n->num_areas++;
    return true;
}

static bool area_agrees(const IOMMUFDArea *area, const IOMMUFDNestedRun *run)
{
    return area->gpa - area->node.start == run->gpa - run->iova &&
           area->read == run->read && area->write == run->write;
}

/* All of @run is memory, with these permissions */
static bool shadow_place(IOMMUFDHwpt *hwpt, const IOMMUFDNestedRun *run,
                         Error **errp)
{
    uint64_t at = run->iova, last = run->iova + run->size - 1;
    IOMMUFDArea *area;

    while (at <= last && (area = area_first(hwpt, at, last))) {
        uint64_t end = MIN(area->node.last, last);

        if (!area_agrees(area, run) &&
            !shadow_unmap(hwpt, MAX(area->node.start, at), end, errp)) {
            return false;
        }
        at = end + 1;
    }
    for (at = run->iova; at <= last;) {
        IOMMUFDNestedRun hole = *run;
        uint64_t end;

        area = area_first(hwpt, at, last);
        end = area ? area->node.start : last + 1;
        if (end > at) {
            hole.iova = at;
            hole.gpa += at - run->iova;
            hole.size = end - at;
            if (!shadow_copy(hwpt, &hole, errp)) {
                return false;
            }
        }
        at = area ? area->node.last + 1 : end;
    }
    return true;
}

/*
 * What of @run is in @s. Memory that comes and goes in blocks makes a part of
 * each: those that are too many are left for the next step.
 */
static bool shadow_run(IOMMUFDHwpt *hwpt, const IOMMUFDStale *s,
                       const IOMMUFDNestedRun *run, Error **errp)
{
    IOMMUFDNested *n = hwpt->host->n;
    unsigned parts = 0;
    uint64_t done = 0;

    while (done < run->size && run->iova + done <= s->last) {
        IOMMUFDNestedRun part = *run;
        bool writable;

        part.iova += done;
        part.gpa += done;
        part.size -= done;
        if (parts == RUN_PARTS) {
            shadow_stale(hwpt, part.iova, MIN(part.iova + part.size - 1,
                                              s->last), s->joined);
            return true;
        }
        if (!iommufd_sys_guest_ram(part.gpa, &part.size, &writable)) {
            part.read = part.write = false;
        }
        part.write &= writable;
        if (part.iova + part.size <= s->first) {
            done += part.size;
            continue;
        }
        if (parts++) {
            iommufd_nested_count_read(n);
        }
        if (!(part.read || part.write ?
              shadow_place(hwpt, &part, errp) :
              shadow_unmap(hwpt, part.iova, part.iova + part.size - 1,
                           errp))) {
            return false;
        }
        done += part.size;
    }
    return true;
}

/* Some of the first stale range */
static bool shadow_step(IOMMUFDHwpt *hwpt, Error **errp)
{
    IOMMUFDNested *n = hwpt->host->n;
    IOMMUFDShadow *shadow = hwpt->shadow;
    IOMMUFDStale s = shadow->stale[0];
    IOMMUFDNestedRun run = {};
    uint64_t next;

    n->ops->shadow_next(n->opaque, hwpt->key.data, s.first, s.last, s.joined,
                        &run);
    next = run.iova + run.size;
    assert(next > s.first);
    if (next > s.last) {
        shadow->num_stale--;
        memmove(&shadow->stale[0], &shadow->stale[1],
                shadow->num_stale * sizeof(shadow->stale[0]));
        if (!shadow->num_stale) {
            QTAILQ_REMOVE(&n->stale, hwpt, stale_next);
        }
    } else {
        shadow->stale[0].first = next;
    }
    return (run.iova <= s.first ||
            shadow_unmap(hwpt, s.first, MIN(run.iova - 1, s.last), errp)) &&
           shadow_run(hwpt, &s, &run, errp);
}

/*
 * @start: iommufd_turn_work() when what is done at once began.
 * Return: false: the turn is over, or all is done that can be at once
 */
static bool shadow_fill(IOMMUFDHwpt *hwpt, bool in_turns, uint64_t start,
                        Error **errp)
{
    IOMMUFDNested *n = hwpt->host->n;
    IOMMUFDShadow *shadow = hwpt->shadow;

    while (shadow->num_stale) {
        if (in_turns ? !iommufd_nested_turn(n) :
                       iommufd_turn_work(n) - start > AT_ONCE) {
            return false;
        }
        if (!shadow_step(hwpt, errp)) {
            shadow_drop_stale(hwpt);
            shadow->failed = true;
            n->count.errors[IOMMUFD_ERR_SHADOW]++;
            break;
        }
    }
    return true;
}

/* Nobody comes to a shadow that is not complete */
bool iommufd_shadow_settle(IOMMUFDHwpt *hwpt, Error **errp)
{
    if (hwpt->shadow->failed) {
        hwpt->shadow->failed = false;
        shadow_stale_whole(hwpt);
    }
    if (!shadow_fill(hwpt, false, iommufd_turn_work(hwpt->host->n), errp)) {
        error_setg(errp, "%s: domain %" PRIu32 ": its tables are too large to "
                   "be read at once", hwpt->host->n->config.name,
                   hwpt->key.domain);
        return false;
    }
    return !hwpt->shadow->failed;
}

bool iommufd_shadow_new(IOMMUFDHwpt *hwpt, IOMMUFDNestedDevice *dev,
                        const IOMMUFDNestedTranslation *t, Error **errp)
{
    IOMMUFDHost *host = hwpt->host;
    IOMMUFDNested *n = host->n;
    IOMMUFDShadow *shadow = g_new0(IOMMUFDShadow, 1);
    int ret;

    if (!n->num_shadows) {
        iommufd_sys_shadow_begin();
    }
    ret = iommufd_sys_ioas_alloc(iommufd_host_fd(host), &shadow->ioas_id);
    if (!ret) {
        ret = iommufd_sys_hwpt_alloc(iommufd_host_fd(host), dev->idev->devid,
                                     shadow->ioas_id, t->flags |
                                     (host->parent_flags &
                                      IOMMU_HWPT_ALLOC_PASID), 0,
                                     IOMMU_HWPT_DATA_NONE, NULL, 0, &hwpt->id);
        if (ret) {
            iommufd_nested_destroy(host, shadow->ioas_id, "IOAS");
        }
    }
    trace_iommufd_nested_shadow_new(iommufd_nested_device_name(dev),
                                    shadow->ioas_id, hwpt->id, ret);
    if (ret) {
        n->count.errors[IOMMUFD_ERR_HWPT]++;
        error_setg_errno(errp, -ret, "%s: no HWPT for a shadow of its tables",
                         iommufd_nested_device_name(dev));
        g_free(shadow);
        if (!n->num_shadows) {
            iommufd_sys_shadow_end();
        }
        return false;
    }
    shadow->last = t->last;
    shadow->host_last = t->host_last;
    hwpt->shadow = shadow;
    n->num_shadows++;
    shadow_stale_whole(hwpt);
    return true;
}

/* The HWPT has gone; the kernel unmaps what the IOAS has */
void iommufd_shadow_free(IOMMUFDHwpt *hwpt)
{
    IOMMUFDNested *n = hwpt->host->n;
    IOMMUFDArea *area;

    shadow_drop_stale(hwpt);
    iommufd_nested_destroy(hwpt->host, hwpt->shadow->ioas_id, "IOAS");
    while ((area = area_first(hwpt, 0, UINT64_MAX))) {
        area_free(hwpt, area);
    }
    g_free(hwpt->shadow);
    hwpt->shadow = NULL;
    if (!--n->num_shadows) {
        iommufd_sys_shadow_end();
    }
}

void iommufd_shadow_unprepare(IOMMUFDNested *n)
{
    IOMMUFDHwpt *hwpt = n->prepared;

    n->prepared = NULL;
    iommufd_hwpt_put(hwpt);
    error_free(n->unprepared);
    n->unprepared = NULL;
}

bool iommufd_nested_shadow_prepare(IOMMUFDNestedDevice *dev,
                                   const IOMMUFDNestedTranslation *t,
                                   bool in_turns)
{
    IOMMUFDNested *n = dev->n;
    Error *err = NULL;
    IOMMUFDHwpt *hwpt = iommufd_hwpt_get_shadow(dev, t, &err);

    iommufd_shadow_unprepare(n);
    n->prepared = hwpt;
    n->unprepared = err;
    return !hwpt || shadow_fill(hwpt, in_turns, iommufd_turn_work(n),
                                &n->unprepared);
}

/* Of one domain, or of all (NULL); @joined as in IOMMUFDStale */
static void shadows_stale(IOMMUFDNested *n, const uint32_t *domain,
                          uint64_t first, uint64_t last, bool joined)
{
    IOMMUFDHwpt *hwpt;

    if (!n->num_shadows) {
        return;
    }
    QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
        if (hwpt->shadow && (!domain || hwpt->key.domain == *domain)) {
            shadow_stale(hwpt, first, last, joined);
        }
    }
}

void iommufd_nested_shadow_stale(IOMMUFDNested *n, uint32_t domain,
                                 uint64_t first, uint64_t last)
{
    shadows_stale(n, &domain, first, last, true);
}

void iommufd_nested_shadow_stale_domain(IOMMUFDNested *n, uint32_t domain)
{
    shadows_stale(n, &domain, 0, UINT64_MAX, false);
}

void iommufd_nested_shadow_stale_all(IOMMUFDNested *n)
{
    shadows_stale(n, NULL, 0, UINT64_MAX, false);
}

static bool shadow_sync(IOMMUFDHwpt *hwpt, bool in_turns, uint64_t start)
{
    IOMMUFDNested *n = hwpt->host->n;
    Error *err = NULL;

    if (!shadow_fill(hwpt, in_turns, start, &err)) {
        if (!in_turns) {
            /* It cannot wait, and nobody may use what is stale */
            iommufd_hwpt_block(hwpt, REASON_LATE);
            shadow_drop_stale(hwpt);
            hwpt->shadow->failed = true;
            n->ops->shadow_late(n->opaque);
        }
        return !in_turns;
    }
    if (err) {
        iommufd_nested_tell(&n->told_shadow, err);
    }
    if (hwpt->shadow->failed) {
        iommufd_hwpt_block(hwpt, IOMMUFD_REASON_SHADOW);
    }
    return true;
}

bool iommufd_nested_shadow_sync(IOMMUFDNested *n, bool in_turns)
{
    uint64_t start = iommufd_turn_work(n);
    IOMMUFDHwpt *hwpt;

    while ((hwpt = QTAILQ_FIRST(&n->stale))) {
        bool done;

        /* Who is blocked may be the last one */
        hwpt->users++;
        done = shadow_sync(hwpt, in_turns, start);
        iommufd_hwpt_put(hwpt);
        if (!done) {
            return false;
        }
    }
    return true;
}

/*
 * Memory at [@first, @last] of the guest has gone, or is not what it was. The
 * copies that shadows have of it go before anything else.
 */
static void shadow_ram_gone(IOMMUFDHwpt *hwpt, uint64_t first, uint64_t last,
                            Error **errp)
{
    IntervalTreeNode *node, *next;

    for (node = interval_tree_iter_first(&hwpt->shadow->areas, 0, UINT64_MAX);
         node; node = next) {
        IOMMUFDArea *area = container_of(node, IOMMUFDArea, node);

        next = interval_tree_iter_next(node, 0, UINT64_MAX);
        if (ranges_overlap(area->gpa, node->last - node->start + 1,
                           first, last - first + 1)) {
            shadow_stale(hwpt, node->start, node->last, false);
            if (!shadow_unmap(hwpt, node->start, node->last, errp)) {
                return;
            }
        }
    }
}

void iommufd_shadow_ram_gone(uint64_t first, uint64_t last)
{
    IOMMUFDNested *n;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        IOMMUFDHwpt *hwpt;

        QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
            Error *err = NULL;

            if (!hwpt->shadow) {
                continue;
            }
            shadow_ram_gone(hwpt, first, last, &err);
            if (err) {
                /* It is blocked when it is looked at */
                error_report_err(err);
                hwpt->shadow->failed = true;
            }
        }
    }
}

void iommufd_shadow_ram_changed(void)
{
    IOMMUFDNested *n;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        iommufd_nested_shadow_stale_all(n);
        iommufd_nested_shadow_sync(n, false);
    }
}

void iommufd_shadow_log_sync(void)
{
    IOMMUFDNested *n;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        IOMMUFDHwpt *hwpt;

        QTAILQ_FOREACH(hwpt, &n->hwpts, next) {
            IntervalTreeNode *node = !hwpt->shadow ? NULL :
                interval_tree_iter_first(&hwpt->shadow->areas, 0, UINT64_MAX);

            for (; node; node = interval_tree_iter_next(node, 0, UINT64_MAX)) {
                area_dirty(container_of(node, IOMMUFDArea, node));
            }
        }
    }
}
