/*
 * Nested IOMMU core: device TLBs that are not emptied in time
 *
 * Of a batch that was not done in time the host does not say whose fault that
 * was. A device that does not answer holds up everything that is waited for
 * along with it, so the rest is done without it, and the devices are tried one
 * by one: only those that have not answered are blocked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "core.h"
#include "trace.h"

/*
 * Devices that may fail to answer before no more are tried: the host waits for
 * each (Linux: a second), and so does the VM's main loop
 */
#define LATE_MAX 3

/* The entries of a batch that are for the TLB of one device */
typedef struct DeviceTLB {
    IOMMUFDNestedDevice *dev;
    GByteArray *entries;
} DeviceTLB;

static void device_tlb_free(gpointer data)
{
    DeviceTLB *tlb = data;

    g_byte_array_unref(tlb->entries);
    g_free(tlb);
}

static DeviceTLB *device_tlb_find(GPtrArray *tlbs, IOMMUFDNestedDevice *dev)
{
    DeviceTLB *tlb;

    for (guint i = 0; i < tlbs->len; i++) {
        tlb = g_ptr_array_index(tlbs, i);
        if (tlb->dev == dev) {
            return tlb;
        }
    }
    tlb = g_new0(DeviceTLB, 1);
    tlb->dev = dev;
    tlb->entries = g_byte_array_new();
    g_ptr_array_add(tlbs, tlb);
    return tlb;
}

/*
 * Take those of @t's entries from @first on that are for device TLBs, in their
 * order; @kept are left at the beginning. An entry whose device is not known
 * stays: nobody could be blocked in its place.
 */
static GPtrArray *device_tlb_take(IOMMUFDTarget *t, uint32_t first,
                                  uint32_t *kept)
{
    GPtrArray *tlbs = g_ptr_array_new_with_free_func(device_tlb_free);
    IOMMUFDNested *n = t->host->n;
    uint32_t len = n->config.inv_len;

    *kept = first;

    for (uint32_t i = first; i < t->num; i++) {
        uint8_t *entry = t->entries + (size_t)i * len;
        IOMMUFDNestedDevice *dev = NULL;
        uint32_t label;

        if (n->ops->device_tlb(entry, &label)) {
            dev = iommufd_nested_find(n, label);
        }
        if (dev && dev->host == t->host) {
            g_byte_array_append(device_tlb_find(tlbs, dev)->entries, entry,
                                len);
        } else {
            memmove(t->entries + (size_t)*kept * len, entry, len);
            t->tags[(*kept)++] = t->tags[i];
        }
    }
    return tlbs;
}

static int device_tlb_send(IOMMUFDHost *host, const DeviceTLB *tlb)
{
    IOMMUFDTarget t = {
        .host = host,
        .num = tlb->entries->len / host->n->config.inv_len,
        .entries = tlb->entries->data,
    };
    uint32_t done;
    int ret = iommufd_target_send(&t, 0, &done);

    trace_iommufd_nested_device_tlb(iommufd_nested_device_name(tlb->dev),
                                    t.num, ret);
    return ret;
}

int iommufd_device_tlb_retry(IOMMUFDTarget *t, uint32_t first, uint32_t *done,
                             GPtrArray *late)
{
    IOMMUFDTarget rest = *t;
    g_autoptr(GPtrArray) tlbs = device_tlb_take(t, first, &rest.num);
    int ret = 0;

    if (!tlbs->len) {
        return -ETIMEDOUT;
    }
    if (first < rest.num) {
        ret = iommufd_target_send(&rest, first, done);
    }
    if (ret) {
        /* Also if one is malformed: what was for device TLBs is not done */
        return ret == -EIO ? -EPROTO : ret;
    }
    for (guint i = 0; i < tlbs->len; i++) {
        DeviceTLB *tlb = g_ptr_array_index(tlbs, i);

        if (late->len >= LATE_MAX || device_tlb_send(t->host, tlb)) {
            g_ptr_array_add(late, tlb->dev);
        }
    }
    return 0;
}

bool iommufd_device_tlb_settle(IOMMUFDNestedDevice *dev, Error **errp)
{
    IOMMUFDNested *n = dev->n;
    uint8_t entry[IOMMUFD_NESTED_ENTRY_MAX] = {};
    IOMMUFDTarget t = { .host = dev->host, .num = 1, .entries = entry };
    uint32_t done;
    int ret;

    if (!dev->tlb_owes) {
        return true;
    }
    if (!iommufd_device_want_vdevice(dev, errp)) {
        return false;
    }
    n->ops->device_tlb_all(entry, dev->label);
    ret = iommufd_target_send(&t, 0, &done);
    trace_iommufd_nested_device_tlb(iommufd_nested_device_name(dev), 1, ret);
    if (ret) {
        n->count.errors[IOMMUFD_ERR_INVALIDATE]++;
        error_setg_errno(errp, -ret, "%s: its device TLB is still not emptied "
                         "in time", iommufd_nested_device_name(dev));
        return false;
    }
    dev->tlb_owes = false;
    return true;
}

static void device_tlb_block_att(IOMMUFDAtt *att, void *arg)
{
    if (att->state != IOMMUFD_NESTED_BLOCKED) {
        iommufd_att_block_and_tell(att, IOMMUFD_REASON_DEVICE_TLB);
    }
}

void iommufd_device_tlb_block(IOMMUFDNestedDevice *dev)
{
    IOMMUFDNested *n = dev->n;
    Error *err = NULL;

    n->count.errors[IOMMUFD_ERR_INVALIDATE]++;
    dev->tlb_owes = true;
    iommufd_device_foreach_att(dev, device_tlb_block_att, NULL);
    error_setg(&err, "%s: blocked, because %s",
               iommufd_nested_device_name(dev), IOMMUFD_REASON_DEVICE_TLB);
    n->ops->device_tlb_late(n->opaque, dev, err);
}
