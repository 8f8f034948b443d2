/*
 * Nested IOMMU core: assigned devices and their labels
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

const char *iommufd_nested_device_name(const IOMMUFDNestedDevice *dev)
{
    return HOST_IOMMU_DEVICE(dev->idev)->name;
}

void *iommufd_nested_device_opaque(const IOMMUFDNestedDevice *dev)
{
    return dev->opaque;
}

HostIOMMUDeviceIOMMUFD *
iommufd_nested_device_host(const IOMMUFDNestedDevice *dev)
{
    return dev->idev;
}

IOMMUFDNestedDevice *
iommufd_nested_device_add(IOMMUFDNested *n, HostIOMMUDeviceIOMMUFD *idev,
                          void *opaque, Error **errp)
{
    const char *name = HOST_IOMMU_DEVICE(idev)->name;
    uint32_t flags = iommufd_sys_parent_flags(idev);
    IOMMUFDNestedDevice *dev;
    IOMMUFDHost *host;

    if (!(flags & IOMMU_HWPT_ALLOC_NEST_PARENT)) {
        error_setg(errp, "%s: HWPT %" PRIu32 " (flags 0x%" PRIx32
                   ") is no nesting parent", name, idev->hwpt_id, flags);
        return NULL;
    }
    host = iommufd_host_get(n, idev, errp);
    if (!host) {
        return NULL;
    }

    dev = g_new0(IOMMUFDNestedDevice, 1);
    dev->n = n;
    dev->host = host;
    dev->idev = idev;
    dev->opaque = opaque;
    dev->seen = IOMMUFD_NESTED_NO_LABEL;
    dev->label = IOMMUFD_NESTED_NO_LABEL;
    dev->no_page_requests = iommufd_sys_lacks(idev) &
                            IOMMUFD_NESTED_LACKS_PAGE_REQUESTS;
    dev->pasids = g_hash_table_new(NULL, NULL);
    QTAILQ_INIT(&dev->refused);
    iommufd_att_init(&dev->rid, dev, IOMMUFD_NESTED_RID);
    dev->rid.state = IOMMUFD_NESTED_STAGE2;
    dev->rid.reason = NULL;
    dev->rid.attached = IOMMUFD_ATTACHED_PARENT;
    iommufd_group_join(dev);
    if (!iommufd_group_on_parent(dev)) {
        /* See iommufd_nested_vfio_joins() */
        dev->rid.attached = IOMMUFD_ATTACHED_NONE;
        dev->rid.state = IOMMUFD_NESTED_BLOCKED;
        dev->rid.reason = dev->group->reason;
        iommufd_notify_refused(&dev->rid, true);
    }
    g_hash_table_insert(host->devices, GUINT_TO_POINTER(idev->devid), dev);
    QTAILQ_INSERT_TAIL(&n->devices, dev, next);
    trace_iommufd_nested_device_add(n->config.name, name, idev->devid,
                                    host->parent_id, host->viommu_id);
    return dev;
}

static void device_free_vdevice(IOMMUFDNestedDevice *dev)
{
    if (dev->vdevice_id) {
        dev->vdevice_stale = !iommufd_nested_destroy(dev->host,
                                                     dev->vdevice_id,
                                                     "vDEVICE");
        dev->vdevice_id = dev->vdevice_stale ? dev->vdevice_id : 0;
    }
}

/* The kernel has one vDEVICE for a device: no other before this one is gone */
static bool device_free_stale_vdevice(IOMMUFDNestedDevice *dev, Error **errp)
{
    if (!dev->vdevice_stale) {
        return true;
    }
    if (!iommufd_nested_try_destroy(dev->host, dev->vdevice_id, "vDEVICE",
                                    errp)) {
        error_prepend(errp, "%s: ", iommufd_nested_device_name(dev));
        return false;
    }
    dev->vdevice_stale = false;
    dev->vdevice_id = 0;
    return true;
}

static void device_clear_pasid(IOMMUFDNestedDevice *dev, uint32_t pasid,
                               void *arg)
{
    IOMMUFDAtt *att = iommufd_att_find(dev, pasid);

    iommufd_att_clear(att);
    g_hash_table_remove(dev->pasids, GUINT_TO_POINTER(pasid));
    dev->n->num_pasids--;
    g_free(att);
}

static void device_leave_group(IOMMUFDNestedDevice *dev)
{
    IOMMUFDNestedDevice *other = iommufd_nested_group_other(dev, NULL);

    iommufd_group_leave(dev);
    while (other) {
        iommufd_att_rejoin(other);
        other = QLIST_NEXT(other, group_next);
    }
}

void iommufd_nested_device_remove(IOMMUFDNestedDevice *dev)
{
    IOMMUFDNested *n = dev->n;
    IOMMUFDHost *host = dev->host;

    trace_iommufd_nested_device_remove(n->config.name,
                                       iommufd_nested_device_name(dev),
                                       dev->label);
    dev->leaving = iommufd_nested_group_other(dev, NULL);
    iommufd_nested_foreach_pasid(dev, device_clear_pasid, NULL);
    iommufd_att_clear(&dev->rid);
    iommufd_shadow_unprepare(n);
    device_leave_group(dev);
    device_free_vdevice(dev);
    if (dev->label != IOMMUFD_NESTED_NO_LABEL) {
        g_hash_table_remove(n->labels, GUINT_TO_POINTER(dev->label));
    } else {
        /* Another one may have its label for itself now */
        n->labels_stale = true;
    }
    iommufd_notify_forget(dev);
    QTAILQ_REMOVE(&n->devices, dev, next);
    g_hash_table_destroy(dev->pasids);
    g_hash_table_remove(host->devices, GUINT_TO_POINTER(dev->idev->devid));
    g_free(dev);
    iommufd_host_put(host);
}

/*
 * The kernel wants a vDEVICE before a translating HWPT is attached (kernel-doc
 * of struct iommu_hwpt_arm_smmuv3). It is made no earlier, because until the
 * guest has numbered its buses several devices claim the same label.
 */
bool iommufd_device_want_vdevice(IOMMUFDNestedDevice *dev, Error **errp)
{
    IOMMUFDNested *n = dev->n;
    int ret;

    if (!n->config.vdevice || iommufd_nested_has_vdevice(dev)) {
        return true;
    }
    if (dev->label == IOMMUFD_NESTED_NO_LABEL) {
        n->count.errors[IOMMUFD_ERR_VDEVICE]++;
        error_setg(errp, "%s: no vDEVICE, because the guest has given no "
                   "label of its own to dev_id %" PRIu32,
                   iommufd_nested_device_name(dev), dev->idev->devid);
        return false;
    }
    if (!device_free_stale_vdevice(dev, errp)) {
        return false;
    }
    ret = iommufd_sys_vdevice_alloc(iommufd_host_fd(dev->host),
                                    dev->host->viommu_id, dev->idev->devid,
                                    dev->label, &dev->vdevice_id);
    trace_iommufd_nested_vdevice_alloc(iommufd_nested_device_name(dev),
                                       dev->host->viommu_id, dev->idev->devid,
                                       dev->label, dev->vdevice_id, ret);
    if (ret) {
        dev->vdevice_id = 0;
        n->count.errors[IOMMUFD_ERR_VDEVICE]++;
        error_setg_errno(errp, -ret,
                         "%s: no vDEVICE of vIOMMU %" PRIu32
                         " with label 0x%" PRIx32,
                         iommufd_nested_device_name(dev), dev->host->viommu_id,
                         dev->label);
        return false;
    }
    return true;
}

bool iommufd_nested_has_vdevice(const IOMMUFDNestedDevice *dev)
{
    return dev->vdevice_id && !dev->vdevice_stale;
}

/* @fn may free the attachment it is given, and no other */
void iommufd_device_foreach_att(IOMMUFDNestedDevice *dev,
                                void (*fn)(IOMMUFDAtt *att, void *arg),
                                void *arg)
{
    g_autoptr(GList) atts = g_hash_table_get_values(dev->pasids);

    for (GList *l = atts; l; l = l->next) {
        fn(l->data, arg);
    }
    fn(&dev->rid, arg);
}

static void device_suspend_att(IOMMUFDAtt *att, void *arg)
{
    bool *suspended = arg;

    iommufd_att_suspend(att);
    *suspended |= att->waiting && att->wish_hwpt;
}

static void device_fail_att(IOMMUFDAtt *att, void *arg)
{
    if (att->waiting && att->wish_hwpt) {
        iommufd_att_block_and_tell(att, "the host has no vDEVICE for it");
    }
}

static bool labels_changed(IOMMUFDNested *n)
{
    IOMMUFDNestedDevice *dev;
    bool changed = n->labels_stale;

    n->labels_stale = false;
    if (n->ops->label) {
        QTAILQ_FOREACH(dev, &n->devices, next) {
            uint32_t seen = n->ops->label(n->opaque, dev);

            changed |= seen != dev->seen;
            dev->seen = seen;
        }
    }
    return changed;
}

/* A label that several devices claim becomes nobody's */
static void labels_assign(IOMMUFDNested *n)
{
    IOMMUFDNestedDevice *dev, *other;

    g_hash_table_remove_all(n->labels);
    QTAILQ_FOREACH(dev, &n->devices, next) {
        gpointer key = GUINT_TO_POINTER(dev->seen);

        dev->next_label = dev->seen;
        if (dev->seen == IOMMUFD_NESTED_NO_LABEL) {
            continue;
        }
        other = g_hash_table_lookup(n->labels, key);
        if (other) {
            trace_iommufd_nested_label_clash(iommufd_nested_device_name(dev),
                                             iommufd_nested_device_name(other),
                                             dev->seen);
            other->next_label = IOMMUFD_NESTED_NO_LABEL;
            dev->next_label = IOMMUFD_NESTED_NO_LABEL;
        } else {
            g_hash_table_insert(n->labels, key, dev);
        }
    }
    QTAILQ_FOREACH(dev, &n->devices, next) {
        if (dev->next_label == IOMMUFD_NESTED_NO_LABEL &&
            dev->seen != IOMMUFD_NESTED_NO_LABEL) {
            g_hash_table_remove(n->labels, GUINT_TO_POINTER(dev->seen));
        }
    }
}

bool iommufd_nested_relabel(IOMMUFDNested *n, Error **errp)
{
    IOMMUFDNestedDevice *dev;
    bool ok = true;

    if (!labels_changed(n)) {
        return true;
    }
    labels_assign(n);

    /* All old vDEVICEs go before the first new one: labels may be swapped */
    QTAILQ_FOREACH(dev, &n->devices, next) {
        dev->suspended = false;
        if (dev->label != dev->next_label && iommufd_nested_has_vdevice(dev)) {
            iommufd_device_foreach_att(dev, device_suspend_att,
                                       &dev->suspended);
            device_free_vdevice(dev);
        }
    }
    QTAILQ_FOREACH(dev, &n->devices, next) {
        if (dev->label == dev->next_label) {
            continue;
        }
        trace_iommufd_nested_label(iommufd_nested_device_name(dev), dev->label,
                                   dev->next_label);
        dev->label = dev->next_label;
        if (dev->suspended &&
            !iommufd_device_want_vdevice(dev, ok ? errp : NULL)) {
            iommufd_device_foreach_att(dev, device_fail_att, NULL);
            ok = false;
        }
    }
    iommufd_att_retry(n);
    return ok;
}

IOMMUFDNestedDevice *iommufd_nested_find(IOMMUFDNested *n, uint32_t label)
{
    return g_hash_table_lookup(n->labels, GUINT_TO_POINTER(label));
}

void iommufd_nested_foreach_device(IOMMUFDNested *n,
                                   void (*fn)(IOMMUFDNestedDevice *dev,
                                              void *arg),
                                   void *arg)
{
    IOMMUFDNestedDevice *dev;

    QTAILQ_FOREACH(dev, &n->devices, next) {
        fn(dev, arg);
    }
}

static IOMMUFDNestedDevice *device_of(HostIOMMUDevice *hiod)
{
    IOMMUFDNested *n;
    IOMMUFDNestedDevice *dev;

    QLIST_FOREACH(n, &iommufd_nested_list, next) {
        QTAILQ_FOREACH(dev, &n->devices, next) {
            if (HOST_IOMMU_DEVICE(dev->idev) == hiod) {
                return dev;
            }
        }
    }
    return NULL;
}

bool iommufd_nested_device_moved(HostIOMMUDevice *hiod)
{
    IOMMUFDNestedDevice *dev = hiod ? device_of(hiod) : NULL;

    return dev && !(dev->rid.attached == IOMMUFD_ATTACHED_PARENT &&
                    iommufd_group_on_parent(dev));
}

static void device_answer_att(IOMMUFDAtt *att, void *arg)
{
    iommufd_fault_answer(att);
}

/*
 * INVALID to all that @dev has asked, read or not. Others' requests come along,
 * and the guest's memory must not be written while the VM is stopped: then
 * nothing is read, unless there must be none of @dev's in any case (@reset, see
 * iommufd_fault_leave()); the others are refused with it.
 */
static void device_answer_all(IOMMUFDNestedDevice *dev, bool reset)
{
    IOMMUFDNested *n = dev->n;
    bool was_all = n->refuse_all;

    if (n->running || reset) {
        n->refuse_all |= !n->running;
        n->refuse_device = dev;
        iommufd_fault_drain(dev->host);
        n->refuse_device = NULL;
        n->refuse_all = was_all;
    }
    iommufd_device_foreach_att(dev, device_answer_att, NULL);
}

void iommufd_nested_device_reset(HostIOMMUDevice *hiod, bool begin)
{
    IOMMUFDNestedDevice *dev = hiod ? device_of(hiod) : NULL;

    if (!dev) {
        return;
    }
    trace_iommufd_nested_device_reset(iommufd_nested_device_name(dev), begin);
    if (begin) {
        device_answer_all(dev, true);
    } else {
        iommufd_att_retry(dev->n);
    }
}

void iommufd_nested_device_stop(HostIOMMUDevice *hiod)
{
    IOMMUFDNestedDevice *dev = hiod ? device_of(hiod) : NULL;

    if (!dev) {
        return;
    }
    trace_iommufd_nested_device_stop(iommufd_nested_device_name(dev));
    device_answer_all(dev, false);
}
