/*
 * Nested IOMMU core: what the host's kernel does, found out by trying
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "sys.h"
#include "trace.h"

#define TRIAL_OBJECTS 4

/* What has been made, to be destroyed in reverse */
typedef struct Trial {
    const IOMMUFDNestedBound *dev;
    uint32_t objects[TRIAL_OBJECTS];
    unsigned num;
} Trial;

/* Others (ENOMEM, EBUSY, ...) say nothing of what the kernel can do */
static bool trial_is_refusal(int ret)
{
    return ret == -EOPNOTSUPP || ret == -EINVAL || ret == -ENODEV ||
           ret == -ENOTTY;
}

static bool trial_made(Trial *t, int ret, uint32_t id, const char *what,
                       const char *needs, char **why, Error **errp)
{
    trace_iommufd_nested_try(t->dev->name, t->dev->dev_id, what, ret);
    if (!ret) {
        t->objects[t->num++] = id;
        return true;
    }
    if (trial_is_refusal(ret)) {
        *why = g_strdup_printf("the host's kernel makes no %s for it (%s): %s",
                               what, strerror(-ret), needs);
    } else {
        error_setg_errno(errp, -ret, "%s: no %s to find out whether it can be "
                         "nested", t->dev->name, what);
    }
    return false;
}

static bool trial_run(Trial *t, const IOMMUFDNestedTrial *trial, char **why,
                      Error **errp)
{
    const IOMMUFDNestedBound *dev = t->dev;
    uint32_t ioas, parent, viommu, id = 0;
    int ret;

    ret = iommufd_sys_ioas_alloc(dev->iommufd, &ioas);
    if (!trial_made(t, ret, ioas, "IOAS", "it is no iommufd", why, errp)) {
        return false;
    }
    ret = iommufd_sys_hwpt_alloc(dev->iommufd, dev->dev_id, ioas,
                                 trial->parent_flags, 0,
                                 IOMMU_HWPT_DATA_NONE, NULL, 0, &parent);
    if (!trial_made(t, ret, parent, "nesting parent", trial->parent_needs, why,
                    errp)) {
        return false;
    }
    if (!trial->viommu_type) {
        return true;
    }
    ret = iommufd_sys_viommu_alloc(dev->iommufd, trial->viommu_type,
                                   dev->dev_id, parent, NULL, 0, &viommu);
    if (!trial_made(t, ret, viommu, "vIOMMU", trial->viommu_needs, why,
                    errp)) {
        return false;
    }
    if (!trial->vdevice) {
        return true;
    }
    ret = iommufd_sys_vdevice_alloc(dev->iommufd, viommu, dev->dev_id, 0, &id);
    return trial_made(t, ret, id, "vDEVICE", trial->vdevice_needs, why, errp);
}

/*
 * Nobody else knows of them, but somebody may hold one for a moment: a vDEVICE
 * that stays would be the only one that the device can have.
 */
static int trial_destroy(Trial *t, uint32_t id)
{
    int ret = iommufd_sys_destroy(t->dev->iommufd, id);

    return ret ? iommufd_sys_destroy(t->dev->iommufd, id) : 0;
}

static void trial_end(Trial *t)
{
    while (t->num) {
        uint32_t id = t->objects[--t->num];
        int ret = trial_destroy(t, id);

        if (ret) {
            error_report("%s: cannot destroy object %" PRIu32 " of iommufd %d: "
                         "%s", t->dev->name, id, t->dev->iommufd,
                         strerror(-ret));
        }
    }
}

bool iommufd_nested_try(const IOMMUFDNestedHostInfo *info,
                        const IOMMUFDNestedTrial *trial, char **why,
                        Error **errp)
{
    Trial t = { .dev = info->bound };
    bool ok;

    *why = NULL;
    ok = trial_run(&t, trial, why, errp) || *why;
    trial_end(&t);
    return ok;
}

/*
 * To @pt_id, and off again if it is a PASID. *@can: whether the kernel does it.
 * Return: false if that could not be found out.
 */
static bool trial_attach(const Trial *t, uint32_t pasid, uint32_t pt_id,
                         const char *what, bool *can, Error **errp)
{
    int ret = iommufd_sys_attach_fd(t->dev->fd, pasid, pt_id);

    trace_iommufd_nested_try(t->dev->name, t->dev->dev_id, what, ret);
    *can = !ret;
    if (ret && !trial_is_refusal(ret)) {
        error_setg_errno(errp, -ret, "%s: cannot be attached to find out "
                         "whether it has %s", t->dev->name, what);
        return false;
    }
    if (!ret && pasid != IOMMUFD_NESTED_RID) {
        iommufd_sys_detach_fd(t->dev->fd, pasid);
    }
    return true;
}

/* In place of what the RID is attached to: an HWPT with a fault queue */
static bool trial_page_requests(Trial *t, uint32_t ioas, uint32_t flags,
                                uint32_t *lacks, Error **errp)
{
    const IOMMUFDNestedBound *dev = t->dev;
    g_autofree char *why = NULL;
    uint32_t queue, hwpt = 0;
    bool ok, can = false;
    int ret, fd;

    ret = iommufd_sys_fault_alloc(dev->iommufd, &queue, &fd);
    ok = trial_made(t, ret, queue, "fault queue", "", &why, errp);
    if (ok) {
        iommufd_sys_close(fd);
        ret = iommufd_sys_hwpt_alloc(dev->iommufd, dev->dev_id, ioas,
                                     flags | IOMMU_HWPT_FAULT_ID_VALID, queue,
                                     IOMMU_HWPT_DATA_NONE, NULL, 0, &hwpt);
        ok = trial_made(t, ret, hwpt, "HWPT with a fault queue", "", &why,
                        errp) &&
             trial_attach(t, IOMMUFD_NESTED_RID, hwpt, "page requests", &can,
                          errp);
    }
    if ((ok || why) && !can) {
        *lacks |= IOMMUFD_NESTED_LACKS_PAGE_REQUESTS;
    }
    return ok || why;
}

/* With the RID attached to @pt_id: an HWPT for PASIDs, if they are tried */
static bool trial_pasids(Trial *t, uint32_t pt_id, uint8_t pasid_bits,
                         uint32_t *lacks, Error **errp)
{
    bool can = true;

    /* The last one is the least likely to be in use */
    if (pasid_bits && !trial_attach(t, (1u << pasid_bits) - 1, pt_id, "PASIDs",
                                    &can, errp)) {
        return false;
    }
    if (!can) {
        *lacks |= IOMMUFD_NESTED_LACKS_PASIDS;
    }
    return true;
}

bool iommufd_nested_try_attach(const IOMMUFDNestedHostInfo *info,
                               uint8_t pasid_bits, bool page_requests,
                               uint32_t *lacks, Error **errp)
{
    const uint32_t flags = pasid_bits ? IOMMU_HWPT_ALLOC_PASID : 0;
    const IOMMUFDNestedBound *dev = info->bound;
    Trial t = { .dev = dev };
    g_autofree char *why = NULL;
    uint32_t ioas, hwpt;
    bool can, ok;
    int ret;

    *lacks = 0;
    if (!pasid_bits && !page_requests) {
        return true;
    }
    ret = iommufd_sys_ioas_alloc(dev->iommufd, &ioas);
    ok = trial_made(&t, ret, ioas, "IOAS", "", &why, errp);
    if (ok) {
        ret = iommufd_sys_hwpt_alloc(dev->iommufd, dev->dev_id, ioas, flags, 0,
                                     IOMMU_HWPT_DATA_NONE, NULL, 0, &hwpt);
        ok = trial_made(&t, ret, hwpt, "HWPT", "", &why, errp) &&
             trial_attach(&t, IOMMUFD_NESTED_RID, hwpt, "DMA", &can, errp);
        if (ok && can) {
            ok = trial_pasids(&t, hwpt, pasid_bits, lacks, errp) &&
                 (!page_requests ||
                  trial_page_requests(&t, ioas, flags, lacks, errp));
            iommufd_sys_detach_fd(dev->fd, IOMMUFD_NESTED_RID);
        }
    }
    trial_end(&t);
    return ok || why;
}
