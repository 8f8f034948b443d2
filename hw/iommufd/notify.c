/*
 * Nested IOMMU core: who is refused, and the events that say so
 *
 * A guest can make and mend mistakes as fast as it likes, and a reset blocks
 * for a moment: what stands when the timer runs is what is told, of every
 * device at most once in a period.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "core.h"
#include "sys.h"

/* What does not last that long is told to nobody */
#define SETTLE_MS 100
#define PERIOD_MS 1000

static void notify_later(IOMMUFDNestedDevice *dev)
{
    IOMMUFDNested *n = dev->n;

    if (dev->notify) {
        return;
    }
    dev->notify = true;
    if (QTAILQ_EMPTY(&n->notify)) {
        iommufd_sys_timer_set(n->notify_timer,
                              MAX(iommufd_sys_now(false) + SETTLE_MS,
                                  n->notify_next));
    }
    QTAILQ_INSERT_TAIL(&n->notify, dev, notify_next);
}

void iommufd_notify_refused(IOMMUFDAtt *att, bool refused)
{
    IOMMUFDNestedDevice *dev = att->dev;

    if (att->refused == refused) {
        return;
    }
    att->refused = refused;
    if (refused) {
        QTAILQ_INSERT_HEAD(&dev->refused, att, refused_next);
        dev->num_refused++;
    } else {
        QTAILQ_REMOVE(&dev->refused, att, refused_next);
        dev->num_refused--;
    }
    notify_later(dev);
}

void iommufd_notify_init(IOMMUFDNested *n)
{
    QTAILQ_INIT(&n->notify);
    n->notify_timer = iommufd_sys_timer_new(false, iommufd_notify, n);
}

void iommufd_notify_free(IOMMUFDNested *n)
{
    assert(QTAILQ_EMPTY(&n->notify));
    iommufd_sys_timer_free(n->notify_timer);
}

void iommufd_notify_forget(IOMMUFDNestedDevice *dev)
{
    IOMMUFDNested *n = dev->n;

    assert(!dev->num_refused);
    if (!dev->notify) {
        return;
    }
    QTAILQ_REMOVE(&n->notify, dev, notify_next);
    if (QTAILQ_EMPTY(&n->notify)) {
        iommufd_sys_timer_stop(n->notify_timer);
    }
}

static void notify_device(IOMMUFDNestedDevice *dev)
{
    const char *iommu = dev->n->config.name;
    const char *name = iommufd_nested_device_name(dev);
    const IOMMUFDAtt *att = QTAILQ_FIRST(&dev->refused);

    if (att) {
        dev->told_refused = true;
        iommufd_sys_tell_blocked(iommu, name, dev->num_refused, att->pasid,
                                 att->reason);
    } else if (dev->told_refused) {
        dev->told_refused = false;
        iommufd_sys_tell_unblocked(iommu, name);
    }
}

void iommufd_notify(void *opaque)
{
    IOMMUFDNested *n = opaque;
    IOMMUFDNestedDevice *dev;

    n->notify_next = iommufd_sys_now(false) + PERIOD_MS;
    while ((dev = QTAILQ_FIRST(&n->notify))) {
        QTAILQ_REMOVE(&n->notify, dev, notify_next);
        dev->notify = false;
        notify_device(dev);
    }
}
