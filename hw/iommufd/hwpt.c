/*
 * Nested IOMMU core: stage-1 HWPTs, and those of shadows
 *
 * A guest's translation structure behind one host instance is one HWPT, no
 * matter how many devices and PASIDs use it. It is made for the first user
 * and destroyed after the last: nothing the guest has let go of is kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/* FNV-1a; a guest that makes keys collide only slows its own look-ups */
static guint key_hash(gconstpointer p)
{
    const uint8_t *byte = p;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof(IOMMUFDHwptKey); i++) {
        hash = (hash ^ byte[i]) * 16777619u;
    }
    return hash;
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(IOMMUFDHwptKey));
}

GHashTable *iommufd_hwpt_table_new(void)
{
    return g_hash_table_new(key_hash, key_equal);
}

static void hwpt_key(IOMMUFDHwptKey *key, const IOMMUFDNestedTranslation *t,
                     bool pasid_flag)
{
    assert(t->data_len && t->data_len <= IOMMUFD_NESTED_DATA_MAX);
    /* Compared as bytes: no padding, and zero beyond data_len */
    QEMU_BUILD_BUG_ON(sizeof(*key) !=
                      4 * sizeof(uint32_t) + IOMMUFD_NESTED_DATA_MAX);
    memset(key, 0, sizeof(*key));
    key->domain = t->domain;
    key->data_type = t->data_type;
    key->data_len = t->data_len;
    key->page_requests = t->page_requests;
    key->pasid_flag = pasid_flag;
    memcpy(key->data, t->data, t->data_len);
}

static bool hwpt_alloc(IOMMUFDHwpt *hwpt, IOMMUFDNestedDevice *dev,
                       Error **errp)
{
    ERRP_GUARD();
    IOMMUFDHost *host = hwpt->host;
    IOMMUFDNested *n = host->n;
    const IOMMUFDHwptKey *key = &hwpt->key;
    uint32_t pt_id = host->viommu_id ? host->viommu_id : host->parent_id;
    uint32_t flags = 0, fault_id = 0;
    int ret;

    if (key->page_requests) {
        if (!iommufd_fault_queue_get(host, errp)) {
            error_prepend(errp, "%s: ", iommufd_nested_device_name(dev));
            return false;
        }
        flags |= IOMMU_HWPT_FAULT_ID_VALID;
        fault_id = host->fault_id;
    }
    if (key->pasid_flag) {
        flags |= IOMMU_HWPT_ALLOC_PASID;
    }

    ret = iommufd_sys_hwpt_alloc(iommufd_host_fd(host), dev->idev->devid,
                                 pt_id, flags, fault_id, key->data_type,
                                 key->data, key->data_len, &hwpt->id);
    trace_iommufd_nested_hwpt_alloc(iommufd_nested_device_name(dev), pt_id,
                                    flags, key->data_type, hwpt->id, ret);
    if (ret) {
        n->count.errors[IOMMUFD_ERR_HWPT]++;
        error_setg_errno(errp, -ret,
                         "%s: no stage-1 HWPT of type %" PRIu32
                         " below %s %" PRIu32 " (flags 0x%" PRIx32 ")",
                         iommufd_nested_device_name(dev), key->data_type,
                         host->viommu_id ? "vIOMMU" : "parent HWPT", pt_id,
                         flags);
        return false;
    }
    return true;
}

/*
 * A fault queue that is not asked for any more is no reason to attach something
 * else, which stops DMA on some hosts: what comes from it is refused.
 */
static bool hwpt_serves(const IOMMUFDAtt *att, const IOMMUFDHwptKey *key)
{
    IOMMUFDHwptKey more = *key;

    more.page_requests = true;
    return att->hwpt && att->state == IOMMUFD_NESTED_STAGE1 &&
           key_equal(&more, &att->hwpt->key);
}

static IOMMUFDHwpt *hwpt_get(IOMMUFDNestedDevice *dev,
                             const IOMMUFDHwpt *own,
                             const IOMMUFDHwptKey *key,
                             const IOMMUFDNestedTranslation *shadow,
                             Error **errp)
{
    ERRP_GUARD();
    IOMMUFDHost *host = dev->host;
    IOMMUFDNested *n = dev->n;
    IOMMUFDHwpt *hwpt;

    hwpt = g_hash_table_lookup(host->hwpts, key);
    if (hwpt) {
        hwpt->users++;
        /* Its own is not one that it shares */
        if (hwpt != own) {
            n->count.hwpt_shared++;
            trace_iommufd_nested_hwpt_share(iommufd_nested_device_name(dev),
                                            hwpt->id, hwpt->users);
        }
        return hwpt;
    }

    if (n->num_hwpts >= n->config.max_hwpts) {
        n->count.errors[IOMMUFD_ERR_BOUND]++;
        error_setg(errp, "%s: all %" PRIu32 " HWPTs of %s are in use",
                   iommufd_nested_device_name(dev), n->config.max_hwpts,
                   n->config.name);
        if (n->config.max_hwpts_hint) {
            error_append_hint(errp, "%s\n", n->config.max_hwpts_hint);
        }
        return NULL;
    }

    hwpt = g_new0(IOMMUFDHwpt, 1);
    hwpt->key = *key;
    hwpt->host = host;
    hwpt->users = 1;
    QLIST_INIT(&hwpt->atts);
    if (!(shadow ? iommufd_shadow_new(hwpt, dev, shadow, errp) :
                   hwpt_alloc(hwpt, dev, errp))) {
        g_free(hwpt);
        return NULL;
    }
    iommufd_target_init(&hwpt->target, host, hwpt);
    g_hash_table_insert(host->hwpts, &hwpt->key, hwpt);
    QTAILQ_INSERT_TAIL(&n->hwpts, hwpt, next);
    n->num_hwpts++;
    n->count.hwpt_made++;
    return hwpt;
}

IOMMUFDHwpt *iommufd_hwpt_get(const IOMMUFDAtt *att,
                              const IOMMUFDNestedTranslation *t,
                              bool pasid_flag, Error **errp)
{
    IOMMUFDHwptKey key;

    hwpt_key(&key, t, pasid_flag);
    key.page_requests &= !att->dev->no_page_requests;
    return hwpt_get(att->dev, att->hwpt,
                    hwpt_serves(att, &key) ? &att->hwpt->key : &key, NULL,
                    errp);
}

IOMMUFDHwpt *iommufd_hwpt_get_shadow(IOMMUFDNestedDevice *dev,
                                     const IOMMUFDNestedTranslation *t,
                                     Error **errp)
{
    IOMMUFDHwptKey key;

    /* One for RIDs and PASIDs alike */
    hwpt_key(&key, t, true);
    key.data_type = IOMMU_HWPT_DATA_NONE;
    key.page_requests = false;
    return hwpt_get(dev, NULL, &key, t, errp);
}

IOMMUFDHwpt *iommufd_hwpt_get_plain(const IOMMUFDAtt *att,
                                    const IOMMUFDHwpt *hwpt, Error **errp)
{
    IOMMUFDHwptKey key = hwpt->key;

    key.page_requests = false;
    return hwpt_get(att->dev, att->hwpt, &key, NULL, errp);
}

void iommufd_hwpt_put(IOMMUFDHwpt *hwpt)
{
    IOMMUFDHost *host;
    IOMMUFDNested *n;

    if (!hwpt || --hwpt->users) {
        return;
    }
    host = hwpt->host;
    n = host->n;

    assert(QLIST_EMPTY(&hwpt->atts));
    iommufd_target_drop(&hwpt->target);
    g_hash_table_remove(host->hwpts, &hwpt->key);
    QTAILQ_REMOVE(&n->hwpts, hwpt, next);
    n->num_hwpts--;
    iommufd_nested_destroy(host, hwpt->id, hwpt->shadow ? "HWPT of a shadow" :
                           "stage-1 HWPT");
    if (hwpt->shadow) {
        iommufd_shadow_free(hwpt);
    }
    g_free(hwpt);
}

/*
 * IOMMUFDNestedOps.blocked may change any translation, so the walk is over a
 * copy of who is attached, and those that have moved meanwhile are left alone.
 */
void iommufd_hwpt_block(IOMMUFDHwpt *hwpt, const char *reason)
{
    typedef struct {
        IOMMUFDNestedDevice *dev;
        uint32_t pasid;
    } Who;
    g_autoptr(GArray) all = g_array_new(false, false, sizeof(Who));
    IOMMUFDAtt *att;

    QLIST_FOREACH(att, &hwpt->atts, hwpt_next) {
        Who who = { .dev = att->dev, .pasid = att->pasid };

        g_array_append_val(all, who);
    }
    hwpt->users++;
    for (guint i = 0; i < all->len; i++) {
        Who *who = &g_array_index(all, Who, i);

        att = iommufd_att_find(who->dev, who->pasid);
        if (att && att->hwpt == hwpt) {
            iommufd_att_block_and_tell(att, reason);
        }
    }
    iommufd_hwpt_put(hwpt);
}

/* Everything in stage 1 behind @host, or of it what has page requests */
void iommufd_host_block(IOMMUFDHost *host, bool page_requests,
                        const char *reason)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    IOMMUFDHwpt *hwpt;

    QTAILQ_FOREACH(hwpt, &host->n->hwpts, next) {
        if (hwpt->host == host &&
            (hwpt->key.page_requests || !page_requests)) {
            hwpt->users++;
            g_ptr_array_add(all, hwpt);
        }
    }
    for (guint i = 0; i < all->len; i++) {
        hwpt = g_ptr_array_index(all, i);
        iommufd_hwpt_block(hwpt, reason);
        iommufd_hwpt_put(hwpt);
    }
}

bool iommufd_host_has_page_requests(const IOMMUFDHost *host)
{
    IOMMUFDHwpt *hwpt;

    QTAILQ_FOREACH(hwpt, &host->n->hwpts, next) {
        if (hwpt->host == host && hwpt->key.page_requests) {
            return true;
        }
    }
    return false;
}
