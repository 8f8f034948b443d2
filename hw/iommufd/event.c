/*
 * Nested IOMMU core: events of host vIOMMUs
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

/* Events read at once, and reads in one go of the main loop */
#define READ_EVENTS 64
#define ROUNDS_MAX 16

static void event_readable(void *opaque);

static void event_watch(IOMMUFDEventQueue *q, bool on)
{
    if (q->fd >= 0) {
        iommufd_retry_stop(&q->retry);
        iommufd_sys_watch(q->fd, on ? event_readable : NULL, q);
    }
}

void iommufd_event_watch(IOMMUFDHost *host, bool on)
{
    event_watch(&host->events, on);
    event_watch(&host->queue_events, on);
}

static bool event_queue_get(IOMMUFDEventQueue *q, Error **errp)
{
    IOMMUFDHost *host = q->host;
    IOMMUFDNested *n = host->n;
    int ret = iommufd_sys_veventq_alloc(iommufd_host_fd(host),
                                        host->viommu_id, q->type, q->depth,
                                        &q->id, &q->fd);

    trace_iommufd_nested_veventq_alloc(n->config.name, host->viommu_id,
                                       q->type, q->depth, q->id, ret);
    if (ret) {
        q->fd = -1;
    }
    if (q == &host->events && (ret == -ENOTTY || ret == -EOPNOTSUPP)) {
        warn_report("%s: the guest is told of no event of the host's IOMMU, "
                    "because its kernel makes no vEVENTQ (%s): that takes "
                    "Linux 6.15", n->config.name, strerror(-ret));
        return true;
    }
    if (ret) {
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        error_setg_errno(errp, -ret,
                         "%s: no vEVENTQ of type %" PRIu32 " and depth %"
                         PRIu32 " for vIOMMU %" PRIu32, n->config.name,
                         q->type, q->depth, host->viommu_id);
        return false;
    }
    q->seq = INT_MAX;
    iommufd_retry_init(&q->retry, event_readable, q);
    event_watch(q, n->running);
    return true;
}

bool iommufd_event_queues_get(IOMMUFDHost *host, Error **errp)
{
    const IOMMUFDNested *n = host->n;

    host->events = (IOMMUFDEventQueue) {
        .host = host,
        .type = n->config.veventq_type,
        .depth = n->config.veventq_depth,
        .event_len = n->config.event_len,
        .event = n->ops->event,
        .lost = n->ops->events_lost,
        .fd = -1,
    };
    host->queue_events = (IOMMUFDEventQueue) { .host = host, .fd = -1 };
    if (n->queues) {
        host->queue_events.type = n->queues->veventq_type;
        host->queue_events.depth = n->queues->veventq_depth;
        host->queue_events.event_len = n->queues->event_len;
        host->queue_events.event = n->queues->event;
        host->queue_events.lost = n->queues->events_lost;
    }
    return (!host->events.type || event_queue_get(&host->events, errp)) &&
           (!host->queue_events.type ||
            event_queue_get(&host->queue_events, errp));
}

static void events_lost(IOMMUFDEventQueue *q, uint32_t count)
{
    IOMMUFDNested *n = q->host->n;

    trace_iommufd_nested_events_lost(n->config.name, count);
    n->count.events_lost += MAX(count, 1);
    if (q->lost) {
        q->lost(n->opaque, count);
    }
}

/*
 * Sequence numbers count up from 0 modulo 2^31, lost events included: a gap
 * says how many are missing.
 */
static uint32_t event_distance(IOMMUFDEventQueue *q, uint32_t sequence)
{
    uint32_t distance = (sequence - q->seq) & INT_MAX;

    q->seq = sequence;
    return distance;
}

/* Headers, each with its event behind it unless it says that some were lost */
static void event_parse(IOMMUFDEventQueue *q, const uint8_t *buf, size_t len)
{
    IOMMUFDNested *n = q->host->n;
    struct iommufd_vevent_header hdr;
    const uint8_t *event;
    uint32_t distance;

    while (len >= sizeof(hdr)) {
        memcpy(&hdr, buf, sizeof(hdr));
        buf += sizeof(hdr);
        len -= sizeof(hdr);
        if (hdr.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
            /* Its own number is that of the last event that was lost */
            events_lost(q, event_distance(q, hdr.sequence));
            continue;
        }
        if (len < q->event_len) {
            break;
        }
        distance = event_distance(q, hdr.sequence);
        if (distance > 1) {
            events_lost(q, distance - 1);
        }
        event = buf;
        buf += q->event_len;
        len -= q->event_len;
        n->count.events_in++;
        if (n->refuse_all) {
            events_lost(q, 1);
            continue;
        }
        trace_iommufd_nested_event(n->config.name, q->host->viommu_id,
                                   hdr.sequence);
        if (q->event) {
            q->event(n->opaque, event, q->event_len);
        }
    }
}

static void event_failed(IOMMUFDEventQueue *q, int err)
{
    iommufd_sys_watch(q->fd, NULL, q);
    if (!iommufd_retry_later(&q->retry)) {
        error_report("%s: cannot read vEVENTQ %" PRIu32 ": %s; events are "
                     "lost until the next reset", q->host->n->config.name,
                     q->id, strerror(err));
        events_lost(q, 0);
    }
}

/* Return: bytes, 0 if there is nothing, or a negative errno */
static ssize_t event_read(IOMMUFDEventQueue *q)
{
    IOMMUFDNested *n = q->host->n;
    uint8_t buf[READ_EVENTS * (sizeof(struct iommufd_vevent_header) +
                               IOMMUFD_NESTED_EVENT_MAX)];
    ssize_t ret = iommufd_sys_read(q->fd, buf, sizeof(buf));

    if (ret > 0) {
        event_parse(q, buf, ret);
    } else if (ret < 0 && ret != -EAGAIN) {
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        trace_iommufd_nested_event_failed(n->config.name, q->host->viommu_id,
                                          -ret);
    }
    return ret == -EAGAIN ? 0 : ret;
}

/* Return: bytes of the last read, 0 if nothing is left, or a negative errno */
static ssize_t event_read_some(IOMMUFDEventQueue *q)
{
    ssize_t ret = 1;

    for (int i = 0; i < ROUNDS_MAX && ret > 0; i++) {
        ret = event_read(q);
    }
    return ret;
}

static void event_readable(void *opaque)
{
    IOMMUFDEventQueue *q = opaque;
    ssize_t ret = event_read_some(q);

    if (ret < 0) {
        event_failed(q, -ret);
    } else if (q->retry.pause) {
        event_watch(q, true);
    }
}

static void event_drain(IOMMUFDEventQueue *q)
{
    if (q->fd >= 0 && event_read_some(q) < 0 && q->host->n->refuse_all) {
        events_lost(q, 0);
    }
}

void iommufd_event_drain(IOMMUFDHost *host)
{
    event_drain(&host->events);
    event_drain(&host->queue_events);
}

/*
 * Events that the host has reported outlive the device. A stopped VM's memory
 * is left alone, and nothing is read later: what is left then is lost.
 */
static void event_read_last(IOMMUFDEventQueue *q)
{
    IOMMUFDNested *n = q->host->n;

    n->refuse_all = !n->running;
    if (event_read_some(q)) {
        events_lost(q, 0);
    }
    n->refuse_all = false;
}

/* Before the vIOMMU, which it holds */
static void event_queue_free(IOMMUFDEventQueue *q)
{
    if (q->fd >= 0) {
        event_watch(q, false);
        iommufd_retry_free(&q->retry);
        event_read_last(q);
        iommufd_sys_close(q->fd);
        q->fd = -1;
        iommufd_nested_destroy(q->host, q->id, "vEVENTQ");
    }
}

void iommufd_event_queues_free(IOMMUFDHost *host)
{
    event_queue_free(&host->events);
    event_queue_free(&host->queue_events);
}
