/*
 * Model of /dev/iommu: binding devices, attaching page tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3, drivers/iommu/iommufd/device.c
 * and drivers/iommu/iommu.c.  PASID 0 is the RID here, as in the kernel; the
 * hardware side calls that MDL_NO_PASID.
 */

#include <stdlib.h>
#include <string.h>
#include "objects.h"

/* What one PASID of a group is attached to, and by which of its devices */
typedef struct Attach {
    uint32_t pasid;
    MdlHwpt *hwpt;
    MdlDevice **devs;
    unsigned nr_devs;
    MdlDevice *named;   /* attached first, or replaced last */
    struct Attach *next;
} Attach;

/* A group with a bound device; all of them belong to one context */
typedef struct Group {
    unsigned id;
    unsigned bound;
    MdlCtx *ctx;
    Attach *attaches;
    struct Group *next;
} Group;

static Group *groups;

static Group *find_group(unsigned id)
{
    Group *g;

    for (g = groups; g; g = g->next) {
        if (g->id == id) {
            return g;
        }
    }
    return NULL;
}

static Attach *find_attach(Group *g, uint32_t pasid)
{
    Attach *a;

    for (a = g->attaches; a; a = a->next) {
        if (a->pasid == pasid) {
            return a;
        }
    }
    return NULL;
}

static int find_member(const Attach *a, const MdlDevice *dev)
{
    unsigned i;

    for (i = 0; i < a->nr_devs; i++) {
        if (a->devs[i] == dev) {
            return i;
        }
    }
    return -1;
}

/* Group members, bound or not: hardware treats them alike */
static MdlDevice *next_in_group(unsigned id, unsigned *i)
{
    while (*i < mdl_host.nr_devices) {
        MdlDevice *dev = mdl_host.device[(*i)++];

        if (dev->group == id) {
            return dev;
        }
    }
    return NULL;
}

bool mdl_group_in_ctx(unsigned group, MdlCtx *ctx)
{
    Group *g = find_group(group);

    return g && g->ctx == ctx;
}

bool mdl_is_attached(MdlDevice *dev, uint32_t pasid)
{
    Group *g = find_group(dev->group);
    Attach *a = g ? find_attach(g, pasid) : NULL;

    return a && find_member(a, dev) >= 0;
}

/* iommufd_get_iommu_attach_handle(): the group's, with one device in it */
MdlDevice *mdl_attach_named(MdlDevice *dev, uint32_t pasid)
{
    Group *g = find_group(dev->group);
    const Attach *a = g ? find_attach(g, pasid) : NULL;

    return a ? a->named : dev;
}

/* ----------------------------------------------------------------- binding */

/*
 * iommufd_bind_iommu(): not without iommu_group_has_isolated_msi(), nor while
 * another context owns the group, or the DMA API of a driver,
 * iommu_device_claim_dma_owner().
 */
static bool may_bind(const MdlCtx *ctx, const MdlDevice *dev)
{
    const Group *g = find_group(dev->group);
    const MdlDevice *other;
    unsigned i = 0;

    while ((other = next_in_group(dev->group, &i))) {
        if (!other->viable) {
            return false;
        }
    }
    return mdl_host.isolated_msi && (!g || g->ctx == ctx);
}

int mdl_bind(MdlCtx *ctx, MdlDevice *dev)
{
    Group *g = find_group(dev->group);

    if (!may_bind(ctx, dev)) {
        return -EPERM;
    }
    if (!g) {
        g = calloc(1, sizeof(*g));
        if (!g) {
            return -ENOMEM;
        }
        g->id = dev->group;
        g->ctx = ctx;
        g->next = groups;
        groups = g;
    }
    g->bound++;
    mdl_obj_add(ctx, &dev->obj, MDL_OBJ_DEVICE);
    mdl_ctx_get(ctx);
    dev->bound = true;
    return 0;
}

void mdl_unbind(MdlDevice *dev)
{
    Group *g = find_group(dev->group), **p = &groups;
    MdlCtx *ctx = dev->obj.ctx;
    Attach *a, *next;

    for (a = g->attaches; a; a = next) {
        next = a->next;
        if (find_member(a, dev) >= 0) {
            mdl_detach(dev, a->pasid);
        }
    }
    if (dev->vdevice) {
        mdl_vdevice_destroy(dev->vdevice, true);
    }
    if (!--g->bound) {
        while (*p != g) {
            p = &(*p)->next;
        }
        *p = g->next;
        free(g);
    }
    mdl_obj_remove(&dev->obj, false);
    dev->bound = false;
    mdl_ctx_put(ctx);
}

/* --------------------------------------------------------- what DMA follows */

static MdlPasidAttach **find_pasid(MdlDevice *dev, uint32_t pasid)
{
    MdlPasidAttach **p = &dev->pasids;

    while (*p && (*p)->pasid != pasid) {
        p = &(*p)->next;
    }
    return p;
}

static void program(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt)
{
    MdlPasidAttach **p, *entry;
    bool blocked = false;
    MdlHwpt *old;

    if (!pasid) {
        old = dev->hwpt;
        dev->hwpt = hwpt;
    } else {
        p = find_pasid(dev, pasid);
        old = *p ? (*p)->hwpt : NULL;
        blocked = *p && (*p)->blocked;
        if (*p && hwpt) {
            (*p)->hwpt = hwpt;
            (*p)->blocked = false;
        } else if (*p) {
            entry = *p;
            *p = entry->next;
            free(entry);
        } else if (hwpt) {
            entry = calloc(1, sizeof(*entry));
            if (!entry) {
                abort();
            }
            entry->pasid = pasid;
            entry->hwpt = hwpt;
            *p = entry;
        }
    }
    if (old == hwpt) {
        return;
    }
    if (old) {
        old->attachments--;
    }
    if (hwpt) {
        hwpt->attachments++;
    }
    hw_attach(dev, pasid ? pasid : MDL_NO_PASID, blocked ? NULL : old, hwpt);
    mdl_journal("attach", "\"dev\":\"%s\",\"pasid\":%u,\"old\":%u,\"new\":%u",
                dev->bdf, pasid, old ? old->obj.id : 0,
                hwpt ? hwpt->obj.id : 0);
}

/*
 * intel_iommu_enable_iopf(), intel_iommu_disable_iopf(). A RID that is blocked
 * counts down for what was in force, blocking_domain_attach_dev(); one that
 * goes to a stage 1 not at all, intel_nested_attach_dev(); everything else for
 * @old, which is what the core says.
 */
static void count_iopf(MdlDevice *dev, uint32_t pasid, const MdlHwpt *old,
                       const MdlHwpt *new)
{
    if (!pasid && !new) {
        old = dev->hwpt;
    } else if (!pasid && new->nested) {
        old = NULL;
    }
    dev->iopf_users += new && new->fault;
    if (old && old->fault && dev->iopf_users && !--dev->iopf_users) {
        hw_partial_free(dev);
        mdl_fault_freed(dev);
    }
}

static void set_hw(MdlDevice *dev, uint32_t pasid, const MdlHwpt *old,
                   MdlHwpt *hwpt)
{
    count_iopf(dev, pasid, old, hwpt);
    program(dev, pasid, hwpt);
}

static bool has_pasids(const MdlDevice *dev)
{
    return mdl_host_max_pasids(dev);
}

/* gdev->blocked: pci_dev_reset_iommu_prepare() has no part in others */
static bool in_reset(const MdlDevice *dev)
{
    return dev->resetting && dev->ats;
}

static void set_group(Group *g, uint32_t pasid, MdlHwpt *hwpt)
{
    const Attach *a = find_attach(g, pasid);
    MdlDevice *dev;
    unsigned i = 0;

    while ((dev = next_in_group(g->id, &i))) {
        if ((!pasid || has_pasids(dev)) && !in_reset(dev)) {
            set_hw(dev, pasid, a ? a->hwpt : NULL, hwpt);
        }
    }
}

/*
 * VT-d blocks the RID before it looks whether the new domain fits, and
 * nobody brings the old one back (intel_iommu_attach_device(),
 * intel_nested_attach_dev()): DMA stays blocked after a failed replace. A
 * PASID is blocked by what goes wrong @late, domain_setup_nested(), and keeps
 * the domain id.
 */
static void block_failed(MdlDevice *dev, uint32_t pasid, bool late)
{
    MdlPasidAttach *p = *find_pasid(dev, pasid);

    if (mdl_host.arch != MDL_ARCH_VTD) {
        return;
    }
    if (!pasid) {
        program(dev, 0, NULL);
    } else if (late && p && !p->blocked) {
        p->blocked = true;
        hw_attach(dev, pasid, p->hwpt, NULL);
    }
}

static int fail_err;

void mdl_attach_fail(int err)
{
    fail_err = err;
}

static int driver_attach(Group *g, uint32_t pasid, MdlHwpt *hwpt)
{
    MdlDevice *dev;
    unsigned i = 0;
    bool late;
    int ret;

    while ((dev = next_in_group(g->id, &i))) {
        if (in_reset(dev)) {
            return -EBUSY;
        }
    }
    if (pasid) {
        i = 0;
        while ((dev = next_in_group(g->id, &i))) {
            if (has_pasids(dev) && pasid >= mdl_host_max_pasids(dev)) {
                return -EINVAL;
            }
        }
    }
    i = 0;
    while ((dev = next_in_group(g->id, &i))) {
        if (pasid && !has_pasids(dev)) {
            continue;
        }
        ret = mdl_hwpt_check_attach(hwpt, dev, pasid, &late);
        if (!ret && fail_err) {
            ret = -fail_err;
            late = true;
        }
        if (ret) {
            block_failed(dev, pasid, late);
            return ret;
        }
    }
    set_group(g, pasid, hwpt);
    return 0;
}

/* --------------------------------------------------------------- attaching */

static bool has_other_pasids(const Group *g)
{
    const Attach *a;

    for (a = g->attaches; a; a = a->next) {
        if (a->pasid) {
            return true;
        }
    }
    return false;
}

/* iommufd_hwpt_compatible_device() and iommufd_hwpt_pasid_compat() */
static int compatible(Group *g, MdlDevice *dev, uint32_t pasid,
                      const MdlHwpt *hwpt)
{
    const Attach *rid;

    if (hwpt->fault && dev->vf && dev->pf_pri) {
        return -EINVAL;
    }
    if (!pasid) {
        return !hwpt->pasid && has_other_pasids(g) ? -EINVAL : 0;
    }
    if (!hwpt->pasid) {
        return -EINVAL;
    }
    rid = find_attach(g, 0);
    return rid && !rid->hwpt->pasid ? -EINVAL : 0;
}

/* The IOAS whose ranges an attached RID narrows: the parent's when nested */
static MdlIoas *reserving(const MdlHwpt *hwpt, uint32_t pasid)
{
    return pasid ? NULL : hwpt->ioas;
}

static int do_attach(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt)
{
    Group *g = find_group(dev->group);
    Attach *a = find_attach(g, pasid);
    MdlIoas *ioas = reserving(hwpt, pasid);
    int ret;

    if (a && find_member(a, dev) >= 0) {
        return -EBUSY;
    }
    if (a && a->hwpt != hwpt) {
        return -EINVAL;
    }
    ret = ioas ? mdl_iova_reserve_device(ioas, dev) : 0;
    if (ret) {
        return ret;
    }
    if (!a) {
        ret = compatible(g, dev, pasid, hwpt);
        if (!ret && pasid && hwpt->nested &&
            mdl_host.arch != MDL_ARCH_VTD) {
            /* The nested domain has no set_dev_pasid() */
            ret = -EOPNOTSUPP;
        }
        if (!ret) {
            ret = driver_attach(g, pasid, hwpt);
        }
        if (ret) {
            if (ioas) {
                mdl_iova_unreserve(ioas, dev);
            }
            return ret;
        }
        a = calloc(1, sizeof(*a));
        if (!a) {
            abort();
        }
        a->pasid = pasid;
        a->hwpt = hwpt;
        a->named = dev;
        a->next = g->attaches;
        g->attaches = a;
    }
    a->devs = realloc(a->devs, (a->nr_devs + 1) * sizeof(*a->devs));
    if (!a->devs) {
        abort();
    }
    a->devs[a->nr_devs++] = dev;
    hwpt->obj.refs++;
    return 0;
}

/* A domain the kernel made itself goes with its last user */
static void put_hwpt(MdlHwpt *hwpt)
{
    hwpt->obj.refs--;
    if (hwpt->auto_domain && !hwpt->obj.refs) {
        mdl_obj_destroy(&hwpt->obj);
    }
}

static void cancel_faults(Group *g, MdlHwpt *hwpt, uint32_t pasid)
{
    MdlDevice *dev;
    unsigned i = 0;

    while (hwpt->fault && (dev = next_in_group(g->id, &i))) {
        mdl_fault_cancel(hwpt, dev, pasid ? pasid : MDL_NO_PASID, false);
    }
}

void mdl_detach(MdlDevice *dev, uint32_t pasid)
{
    Group *g = find_group(dev->group);
    Attach *a = find_attach(g, pasid), **p = &g->attaches;
    MdlHwpt *hwpt;
    MdlIoas *ioas;
    int i;

    if (!a) {
        return;
    }
    hwpt = a->hwpt;
    i = find_member(a, dev);
    if (i < 0) {
        return;
    }
    a->devs[i] = a->devs[--a->nr_devs];
    if (!a->nr_devs) {
        set_group(g, pasid, NULL);
        cancel_faults(g, hwpt, pasid);
        while (*p != a) {
            p = &(*p)->next;
        }
        *p = a->next;
        free(a->devs);
        free(a);
    }
    ioas = reserving(hwpt, pasid);
    if (ioas) {
        mdl_iova_unreserve(ioas, dev);
    }
    put_hwpt(hwpt);
}

static void unreserve_members(const Attach *a, MdlIoas *ioas)
{
    unsigned i;

    for (i = 0; i < a->nr_devs; i++) {
        mdl_iova_unreserve(ioas, a->devs[i]);
    }
}

static int reserve_members(const Attach *a, MdlIoas *ioas)
{
    unsigned i;
    int ret;

    for (i = 0; i < a->nr_devs; i++) {
        ret = mdl_iova_reserve_device(ioas, a->devs[i]);
        if (ret) {
            unreserve_members(a, ioas);
            return ret;
        }
    }
    return 0;
}

static int do_replace(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt)
{
    Group *g = find_group(dev->group);
    Attach *a = find_attach(g, pasid);
    MdlIoas *ioas, *old_ioas;
    MdlHwpt *old;
    int ret = 0;

    if (!a || find_member(a, dev) < 0) {
        return -EINVAL;
    }
    old = a->hwpt;
    if (old == hwpt) {
        return 0;
    }
    ioas = reserving(hwpt, pasid);
    old_ioas = reserving(old, pasid);
    if (ioas && ioas != old_ioas) {
        ret = reserve_members(a, ioas);
        if (ret) {
            return ret;
        }
    }
    ret = compatible(g, dev, pasid, hwpt);
    if (!ret && pasid && hwpt->nested && mdl_host.arch != MDL_ARCH_VTD) {
        ret = -EOPNOTSUPP;
    }
    if (!ret) {
        ret = driver_attach(g, pasid, hwpt);
    }
    if (ret) {
        if (ioas) {
            /* As the kernel does: even when the old HWPT is of this IOAS */
            unreserve_members(a, ioas);
        }
        return ret;
    }
    cancel_faults(g, old, pasid);
    if (old_ioas && ioas != old_ioas) {
        unreserve_members(a, old_ioas);
    }
    a->hwpt = hwpt;
    a->named = dev;
    hwpt->obj.refs += a->nr_devs;
    old->obj.refs -= a->nr_devs - 1;
    put_hwpt(old);
    return 0;
}

typedef int AttachFn(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt);

/* iommufd_device_auto_get_domain(): any automatic domain that fits, or new */
static int auto_domain(MdlDevice *dev, uint32_t pasid, MdlIoas *ioas,
                       uint32_t *pt_id, AttachFn *fn)
{
    MdlCtx *ctx = dev->obj.ctx;
    MdlHwpt *hwpt;
    uint32_t id;
    int ret;

    for (id = 1; id < ctx->nr_objs; id++) {
        hwpt = (MdlHwpt *)mdl_obj_get(ctx, id, MDL_OBJ_HWPT);
        if (!hwpt || !hwpt->auto_domain || hwpt->ioas != ioas) {
            continue;
        }
        ret = fn(dev, pasid, hwpt);
        if (ret == -EINVAL) {
            continue;
        }
        if (!ret) {
            *pt_id = id;
        }
        return ret;
    }
    hwpt = mdl_hwpt_paging_new(ctx, ioas, dev, 0, &ret);
    if (!hwpt) {
        return ret;
    }
    ret = fn(dev, pasid, hwpt);
    if (ret) {
        mdl_obj_destroy(&hwpt->obj);
        return ret;
    }
    hwpt->auto_domain = true;
    *pt_id = hwpt->obj.id;
    return 0;
}

static int change_pt(MdlDevice *dev, uint32_t pasid, uint32_t *pt_id,
                     AttachFn *fn)
{
    MdlObj *obj = mdl_obj_get(dev->obj.ctx, *pt_id, MDL_OBJ_NONE);

    if (!obj) {
        return -ENOENT;
    }
    switch (obj->type) {
    case MDL_OBJ_HWPT:
        return fn(dev, pasid, (MdlHwpt *)obj);
    case MDL_OBJ_IOAS:
        return auto_domain(dev, pasid, (MdlIoas *)obj, pt_id, fn);
    default:
        return -EINVAL;
    }
}

int mdl_attach(MdlDevice *dev, uint32_t pasid, uint32_t *pt_id)
{
    return change_pt(dev, pasid, pt_id, do_attach);
}

int mdl_replace(MdlDevice *dev, uint32_t pasid, uint32_t *pt_id)
{
    return change_pt(dev, pasid, pt_id, do_replace);
}

/* ------------------------------------------------------------------- reset */

/*
 * pci_dev_reset_iommu_done(): what the core has is attached anew, also where
 * a failed replace had left nothing. A failure is a WARN_ON(): the device
 * stays blocked, while iommufd does not know of it.
 */
static void reattach(MdlDevice *dev, const Attach *a)
{
    bool late;
    int ret = mdl_hwpt_check_attach(a->hwpt, dev, a->pasid, &late);

    if (!ret) {
        set_hw(dev, a->pasid, NULL, a->hwpt);
    }
    mdl_journal("reattach", "\"dev\":\"%s\",\"pasid\":%u,\"hwpt\":%u,"
                "\"ret\":%d", dev->bdf, a->pasid, a->hwpt->obj.id, ret);
}

/* The RID goes first, both ways */
static void reset_attaches(MdlDevice *dev, bool end)
{
    Group *g = find_group(dev->group);
    const Attach *a;

    for (int pasids = 0; g && pasids <= has_pasids(dev); pasids++) {
        for (a = g->attaches; a; a = a->next) {
            if ((a->pasid != 0) != pasids) {
                continue;
            }
            if (end) {
                reattach(dev, a);
            } else {
                set_hw(dev, a->pasid, a->hwpt, NULL);
            }
        }
    }
}

void mdl_reset_begin(MdlDevice *dev)
{
    if (dev->ats) {
        reset_attaches(dev, false);
    }
    dev->resetting = true;
    hw_device_reset(dev);
}

void mdl_reset_end(MdlDevice *dev)
{
    dev->resetting = false;
    hw_device_reset(dev);
    if (dev->ats) {
        reset_attaches(dev, true);
    }
}

void mdl_device_reset(MdlDevice *dev)
{
    if (dev->resetting || !(dev->can_reset || dev->af)) {
        hw_device_reset(dev);
        return;
    }
    mdl_reset_begin(dev);
    mdl_reset_end(dev);
}
