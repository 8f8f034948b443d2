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

void iommufd_event_watch(IOMMUFDHost *host, bool on)
{
    if (host->veventq_fd >= 0) {
        iommufd_retry_stop(&host->event_retry);
        iommufd_sys_watch(host->veventq_fd, on ? event_readable : NULL, host);
    }
}

bool iommufd_event_queue_get(IOMMUFDHost *host, Error **errp)
{
    IOMMUFDNested *n = host->n;
    int ret = iommufd_sys_veventq_alloc(iommufd_host_fd(host),
                                        host->viommu_id,
                                        n->config.veventq_type,
                                        n->config.veventq_depth,
                                        &host->veventq_id, &host->veventq_fd);

    trace_iommufd_nested_veventq_alloc(n->config.name, host->viommu_id,
                                       n->config.veventq_type,
                                       n->config.veventq_depth,
                                       host->veventq_id, ret);
    if (ret) {
        host->veventq_fd = -1;
    }
    if (ret == -ENOTTY || ret == -EOPNOTSUPP) {
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
                         n->config.veventq_type, n->config.veventq_depth,
                         host->viommu_id);
        return false;
    }
    host->event_seq = INT_MAX;
    iommufd_retry_init(&host->event_retry, event_readable, host);
    iommufd_event_watch(host, n->running);
    return true;
}

static void events_lost(IOMMUFDNested *n, uint32_t count)
{
    trace_iommufd_nested_events_lost(n->config.name, count);
    n->count.events_lost += MAX(count, 1);
    if (n->ops->events_lost) {
        n->ops->events_lost(n->opaque, count);
    }
}

/*
 * Sequence numbers count up from 0 modulo 2^31, lost events included: a gap
 * says how many are missing.
 */
static uint32_t event_distance(IOMMUFDHost *host, uint32_t sequence)
{
    uint32_t distance = (sequence - host->event_seq) & INT_MAX;

    host->event_seq = sequence;
    return distance;
}

/* Headers, each with its event behind it unless it says that some were lost */
static void event_parse(IOMMUFDHost *host, const uint8_t *buf, size_t len)
{
    IOMMUFDNested *n = host->n;
    struct iommufd_vevent_header hdr;
    const uint8_t *event;
    uint32_t distance;

    while (len >= sizeof(hdr)) {
        memcpy(&hdr, buf, sizeof(hdr));
        buf += sizeof(hdr);
        len -= sizeof(hdr);
        if (hdr.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
            /* Its own number is that of the last event that was lost */
            events_lost(n, event_distance(host, hdr.sequence));
            continue;
        }
        if (len < n->config.event_len) {
            break;
        }
        distance = event_distance(host, hdr.sequence);
        if (distance > 1) {
            events_lost(n, distance - 1);
        }
        event = buf;
        buf += n->config.event_len;
        len -= n->config.event_len;
        n->count.events_in++;
        if (n->refuse_all) {
            events_lost(n, 1);
            continue;
        }
        trace_iommufd_nested_event(n->config.name, host->viommu_id,
                                   hdr.sequence);
        if (n->ops->event) {
            n->ops->event(n->opaque, event, n->config.event_len);
        }
    }
}

static void event_failed(IOMMUFDHost *host, int err)
{
    IOMMUFDNested *n = host->n;

    iommufd_sys_watch(host->veventq_fd, NULL, host);
    if (!iommufd_retry_later(&host->event_retry)) {
        error_report("%s: cannot read vEVENTQ %" PRIu32 ": %s; events are "
                     "lost until the next reset", n->config.name,
                     host->veventq_id, strerror(err));
        events_lost(n, 0);
    }
}

/* Return: bytes, 0 if there is nothing, or a negative errno */
static ssize_t event_read(IOMMUFDHost *host)
{
    IOMMUFDNested *n = host->n;
    uint8_t buf[READ_EVENTS * (sizeof(struct iommufd_vevent_header) +
                               IOMMUFD_NESTED_EVENT_MAX)];
    ssize_t ret = iommufd_sys_read(host->veventq_fd, buf, sizeof(buf));

    if (ret > 0) {
        event_parse(host, buf, ret);
    } else if (ret < 0 && ret != -EAGAIN) {
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        trace_iommufd_nested_event_failed(n->config.name, host->viommu_id,
                                          -ret);
    }
    return ret == -EAGAIN ? 0 : ret;
}

/* Return: bytes of the last read, 0 if nothing is left, or a negative errno */
static ssize_t event_read_some(IOMMUFDHost *host)
{
    ssize_t ret = 1;

    for (int i = 0; i < ROUNDS_MAX && ret > 0; i++) {
        ret = event_read(host);
    }
    return ret;
}

static void event_readable(void *opaque)
{
    IOMMUFDHost *host = opaque;
    ssize_t ret = event_read_some(host);

    if (ret < 0) {
        event_failed(host, -ret);
    } else if (host->event_retry.pause) {
        iommufd_event_watch(host, true);
    }
}

void iommufd_event_drain(IOMMUFDHost *host)
{
    if (host->veventq_fd >= 0 && event_read_some(host) < 0 &&
        host->n->refuse_all) {
        events_lost(host->n, 0);
    }
}

/*
 * Events that the host has reported outlive the device. A stopped VM's memory
 * is left alone, and nothing is read later: what is left then is lost.
 */
static void event_read_last(IOMMUFDHost *host)
{
    IOMMUFDNested *n = host->n;

    n->refuse_all = !n->running;
    if (event_read_some(host)) {
        events_lost(n, 0);
    }
    n->refuse_all = false;
}

/* Before the vIOMMU, which it holds */
void iommufd_event_queue_free(IOMMUFDHost *host)
{
    if (host->veventq_fd >= 0) {
        iommufd_event_watch(host, false);
        iommufd_retry_free(&host->event_retry);
        event_read_last(host);
        iommufd_sys_close(host->veventq_fd);
        host->veventq_fd = -1;
        iommufd_nested_destroy(host, host->veventq_id, "vEVENTQ");
    }
}
