/*
 * Nested IOMMU core: command queues that a guest has to itself
 *
 * The kernel wants queues made in ascending order and destroyed in descending
 * order, and the page unmapped before the vIOMMU goes.
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

bool iommufd_nested_host_info_of(HostIOMMUDeviceIOMMUFD *idev, uint32_t type,
                                 void *data, size_t len, Error **errp)
{
    int ret;

    memset(data, 0, len);
    ret = iommufd_sys_hw_info_of(idev->iommufd->fd, idev->devid, type, data,
                                 len);
    if (ret) {
        error_setg_errno(errp, -ret, "%s: no hardware information of type %"
                         PRIu32 " for dev_id %" PRIu32,
                         HOST_IOMMU_DEVICE(idev)->name, type, idev->devid);
    }
    return !ret;
}

void iommufd_nested_want_queues(IOMMUFDNested *n,
                                const IOMMUFDNestedQueues *queues)
{
    assert(QLIST_EMPTY(&n->hosts));
    assert(!queues || (n->config.viommu_type &&
                       queues->data_len <= IOMMUFD_NESTED_DATA_MAX &&
                       queues->event_len <= IOMMUFD_NESTED_EVENT_MAX));
    n->queues = queues;
}

/* With queues there is no other */
static IOMMUFDHost *queues_host(const IOMMUFDNested *n)
{
    return n->queues ? QLIST_FIRST(&n->hosts) : NULL;
}

bool iommufd_hw_queues_alone(const IOMMUFDHost *host, const char *name,
                             Error **errp)
{
    const IOMMUFDHost *other;

    QLIST_FOREACH(other, &host->n->hosts, next) {
        if (other != host) {
            error_setg(errp, "%s: %s is behind another IOMMU of the host than "
                       "the devices that are there, and a guest can have "
                       "queues of one: put it behind another vIOMMU",
                       host->n->config.name, name);
            return false;
        }
    }
    return true;
}

/* A mapping that fails may have taken away what was there */
bool iommufd_hw_queues_get(IOMMUFDHost *host, const void *data, Error **errp)
{
    IOMMUFDNested *n = host->n;
    const IOMMUFDNestedQueues *q = n->queues;
    uint64_t offset, length;
    int ret;

    q->where(data, &offset, &length);
    ret = length == q->page_len ?
          iommufd_sys_map_page(iommufd_host_fd(host), q->page, length,
                               offset) : -EINVAL;
    trace_iommufd_nested_page(n->config.name, host->viommu_id, offset, length,
                              ret);
    if (ret) {
        iommufd_sys_unmap_page(q->page, q->page_len);
        n->count.errors[IOMMUFD_ERR_QUEUE]++;
        error_setg_errno(errp, -ret, "%s: cannot map 0x%" PRIx64 " bytes of "
                         "vIOMMU %" PRIu32 " at 0x%" PRIx64 " of iommufd %d",
                         n->config.name, length, host->viommu_id, offset,
                         iommufd_host_fd(host));
        return false;
    }
    host->page = true;
    host->hw_queues = g_array_new(false, false, sizeof(IOMMUFDHwQueue));
    return true;
}

static void queues_cut(IOMMUFDHost *host, uint32_t num)
{
    GArray *queues = host->hw_queues;

    while (queues->len > num) {
        iommufd_nested_destroy(host, g_array_index(queues, IOMMUFDHwQueue,
                                                   queues->len - 1).id,
                               "HW queue");
        g_array_set_size(queues, queues->len - 1);
    }
}

static bool queues_are_in(const IOMMUFDHost *host, uint64_t first,
                          uint64_t last)
{
    for (unsigned i = 0; i < host->hw_queues->len; i++) {
        const IOMMUFDHwQueue *q = &g_array_index(host->hw_queues,
                                                 IOMMUFDHwQueue, i);

        if (q->first <= last && first <= q->last) {
            return true;
        }
    }
    return false;
}

void iommufd_hw_queues_unmap(const IOMMUFDBackend *iommufd, uint32_t ioas,
                             uint64_t first, uint64_t last)
{
    IOMMUFDNested *n;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        const IOMMUFDHost *host = queues_host(n);

        if (host && host->page && host->iommufd == iommufd &&
            host->ioas_id == ioas && queues_are_in(host, first, last)) {
            n->queues->memory_goes(n->opaque);
        }
    }
}

void iommufd_hw_queues_free(IOMMUFDHost *host)
{
    const IOMMUFDNestedQueues *q = host->n->queues;
    int ret;

    if (!host->page) {
        return;
    }
    queues_cut(host, 0);
    g_array_free(g_steal_pointer(&host->hw_queues), true);
    ret = iommufd_sys_unmap_page(q->page, q->page_len);
    if (ret) {
        host->n->count.errors[IOMMUFD_ERR_DESTROY]++;
        error_report("%s: cannot unmap the page of vIOMMU %" PRIu32 ": %s",
                     host->n->config.name, host->viommu_id, strerror(-ret));
    }
    host->page = false;
}

bool iommufd_nested_has_page(const IOMMUFDNested *n)
{
    const IOMMUFDHost *host = queues_host(n);

    return host && host->page;
}

uint32_t iommufd_nested_queues(const IOMMUFDNested *n)
{
    return iommufd_nested_has_page(n) ? queues_host(n)->hw_queues->len : 0;
}

bool iommufd_nested_queue_add(IOMMUFDNested *n, uint64_t gpa, uint64_t length,
                              Error **errp)
{
    IOMMUFDHost *host = queues_host(n);
    IOMMUFDHwQueue queue = { .first = gpa, .last = gpa + length - 1 };
    uint32_t index = iommufd_nested_queues(n);
    int ret;

    assert(host && host->page);
    ret = iommufd_sys_hw_queue_alloc(iommufd_host_fd(host), host->viommu_id,
                                     n->queues->queue_type, index, gpa, length,
                                     &queue.id);
    trace_iommufd_nested_hw_queue_alloc(n->config.name, host->viommu_id, index,
                                        gpa, length, queue.id, ret);
    if (!ret) {
        g_array_append_val(host->hw_queues, queue);
        return true;
    }
    n->count.errors[IOMMUFD_ERR_QUEUE]++;
    error_setg_errno(errp, -ret, "%s: no queue %" PRIu32 " of the guest's own "
                     "at 0x%" PRIx64 " with 0x%" PRIx64 " bytes%s",
                     n->config.name, index, gpa, length, ret == -EFAULT ?
                     ", which on the host are not in one piece" : "");
    return false;
}

void iommufd_nested_queues_cut(IOMMUFDNested *n, uint32_t num)
{
    if (iommufd_nested_has_page(n)) {
        queues_cut(queues_host(n), num);
    }
}
