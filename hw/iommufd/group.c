/*
 * Nested IOMMU core: devices that the host moves together
 *
 * An IOMMU group of the host has one attachment for its RIDs and one for each
 * PASID: to replace it for one member replaces it for all, and one that is not
 * attached follows those that are. So a translation comes into force when all
 * members wish the same, and until then all of them are blocked and wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "core.h"
#include "sys.h"
#include "trace.h"

/* A guest changes one device after the other: that is not worth telling */
#define TELL_MS 1000

static void group_tell(void *opaque);

static IOMMUFDHostGroup *group_get(IOMMUFDHost *host, uint32_t id)
{
    IOMMUFDHostGroup *group;

    QLIST_FOREACH(group, &host->groups, next) {
        if (group->id == id) {
            return group;
        }
    }
    group = g_new0(IOMMUFDHostGroup, 1);
    group->id = id;
    group->reason = g_strdup_printf("devices of IOMMU group %" PRIu32 " of "
                                    "the host differ in their translation",
                                    id);
    group->timer = iommufd_sys_timer_new(false, group_tell, group);
    QLIST_INIT(&group->members);
    QLIST_INSERT_HEAD(&host->groups, group, next);
    return group;
}

static bool has_pasids(const IOMMUFDNestedDevice *dev)
{
    IOMMUFDNestedHostInfo info = {};

    /* If it cannot be asked, it had better have a say */
    return iommufd_sys_hw_info(iommufd_host_fd(dev->host), dev->idev->devid,
                               &info) || info.max_pasid_log2;
}

void iommufd_group_join(IOMMUFDNestedDevice *dev)
{
    int64_t id = iommufd_sys_group(dev->idev);

    if (id < 0) {
        return;
    }
    dev->group = group_get(dev->host, id);
    dev->group_pasids = has_pasids(dev);
    QLIST_INSERT_HEAD(&dev->group->members, dev, group_next);
    trace_iommufd_nested_group(iommufd_nested_device_name(dev), id);
}

void iommufd_group_leave(IOMMUFDNestedDevice *dev)
{
    IOMMUFDHostGroup *group = dev->group;

    if (!group) {
        return;
    }
    dev->group = NULL;
    QLIST_REMOVE(dev, group_next);
    if (QLIST_EMPTY(&group->members)) {
        QLIST_REMOVE(group, next);
        iommufd_sys_timer_stop(group->timer);
        iommufd_sys_timer_free(group->timer);
        g_free(group->reason);
        g_free(group);
    }
}

/* Page requests may differ; the tables have to be the same */
static bool same_tables(const IOMMUFDHwpt *a, const IOMMUFDHwpt *b)
{
    IOMMUFDHwptKey key;

    if (a == b) {
        return true;
    }
    if (!a || !b) {
        return false;
    }
    key = a->key;
    key.page_requests = b->key.page_requests;
    return !memcmp(&key, &b->key, sizeof(key));
}

static bool on_parent(IOMMUFDNestedState state)
{
    return state == IOMMUFD_NESTED_STAGE2 || state == IOMMUFD_NESTED_BYPASS;
}

static bool same_state(IOMMUFDNestedState a, IOMMUFDNestedState b)
{
    return a == b || (on_parent(a) && on_parent(b));
}

IOMMUFDNestedDevice *
iommufd_nested_group_other(const IOMMUFDNestedDevice *dev,
                           const IOMMUFDNestedDevice *after)
{
    IOMMUFDNestedDevice *other;

    if (!dev->group) {
        return NULL;
    }
    other = after ? QLIST_NEXT(after, group_next) :
            QLIST_FIRST(&dev->group->members);
    return other != dev ? other : QLIST_NEXT(other, group_next);
}

bool iommufd_group_on_parent(const IOMMUFDNestedDevice *dev)
{
    IOMMUFDNestedDevice *o;

    for (o = iommufd_nested_group_other(dev, NULL); o;
         o = iommufd_nested_group_other(dev, o)) {
        if (o->rid.attached != IOMMUFD_ATTACHED_PARENT) {
            return false;
        }
    }
    return true;
}

IOMMUFDNestedDevice *iommufd_group_dissent(const IOMMUFDAtt *att,
                                           IOMMUFDNestedState state,
                                           IOMMUFDHwpt **hwpt)
{
    IOMMUFDNestedDevice *o;

    for (o = iommufd_nested_group_other(att->dev, NULL); o;
         o = iommufd_nested_group_other(att->dev, o)) {
        const IOMMUFDAtt *theirs = iommufd_att_find(o, att->pasid);
        IOMMUFDNestedState wish = IOMMUFD_NESTED_BLOCKED;
        IOMMUFDHwpt *wished = NULL;

        if (o->leaving ||
            (att->pasid != IOMMUFD_NESTED_RID && !o->group_pasids)) {
            continue;
        }
        if (theirs) {
            wish = theirs->waiting ? theirs->wish : theirs->state;
            wished = theirs->waiting ? theirs->wish_hwpt : theirs->hwpt;
        }
        if (!same_state(state, wish) || !same_tables(*hwpt, wished)) {
            return o;
        }
        /* With a fault queue the host attaches none that has no use for it */
        if (wished && !wished->key.page_requests) {
            *hwpt = wished;
        }
    }
    return NULL;
}

/*
 * iommufd_compose_fault_message(): the device that was attached first, or that
 * was replaced last, stands for all that follow it
 */
bool iommufd_group_may_ask(const IOMMUFDAtt *att)
{
    IOMMUFDHostGroup *group = att->dev->group;
    IOMMUFDNestedDevice *o;

    for (o = iommufd_nested_group_other(att->dev, NULL); o;
         o = iommufd_nested_group_other(att->dev, o)) {
        if (o->leaving ||
            (att->pasid != IOMMUFD_NESTED_RID && !o->group_pasids)) {
            continue;
        }
        if (!group->told_requests) {
            group->told_requests = true;
            warn_report("%s: the host does not tell page requests of %s and "
                        "%s apart, which are of its IOMMU group %" PRIu32
                        ": they are refused", att->dev->n->config.name,
                        iommufd_nested_device_name(att->dev),
                        iommufd_nested_device_name(o), group->id);
        }
        return true;
    }
    return false;
}

static bool group_has(const IOMMUFDHostGroup *group, const char *address)
{
    IOMMUFDNestedDevice *dev;

    QLIST_FOREACH(dev, &group->members, group_next) {
        g_autofree char *own = iommufd_sys_address(dev->idev);

        if (!g_strcmp0(own, address)) {
            return true;
        }
    }
    return false;
}

char *iommufd_group_stranger(const IOMMUFDNestedDevice *dev, bool *is_bridge)
{
    g_auto(GStrv) all = dev->group ?
                        iommufd_sys_group_devices(dev->group->id) : NULL;
    const char *stranger = NULL;

    *is_bridge = false;
    for (char **name = all; name && *name && !*is_bridge; name++) {
        if (!group_has(dev->group, *name)) {
            stranger = *name;
            *is_bridge = iommufd_sys_is_bridge(stranger);
        }
    }
    return g_strdup(stranger);
}

void iommufd_group_differs(IOMMUFDNestedDevice *dev)
{
    IOMMUFDHostGroup *group = dev->group;

    if (!group->told && !group->telling) {
        group->telling = true;
        iommufd_sys_timer_set(group->timer, iommufd_sys_now(false) + TELL_MS);
    }
}

static void group_tell_att(IOMMUFDAtt *att, void *arg)
{
    IOMMUFDHostGroup *group = arg;
    IOMMUFDNestedDevice *dev = att->dev, *other;
    IOMMUFDHwpt *hwpt = att->wish_hwpt;

    other = att->parted && !group->told ?
            iommufd_group_dissent(att, att->wish, &hwpt) : NULL;
    if (!other) {
        return;
    }
    group->told = true;
    warn_report("%s: %s and %s are of IOMMU group %" PRIu32 " of the host, "
                "which has one translation for all of its devices, and the "
                "guest gives them different ones: all of them are blocked "
                "until these are the same, as they are for functions of one "
                "multi-function device", dev->n->config.name,
                iommufd_nested_device_name(dev),
                iommufd_nested_device_name(other), group->id);
}

static void group_tell(void *opaque)
{
    IOMMUFDHostGroup *group = opaque;
    IOMMUFDNestedDevice *dev;

    group->telling = false;
    QLIST_FOREACH(dev, &group->members, group_next) {
        iommufd_device_foreach_att(dev, group_tell_att, group);
    }
}
