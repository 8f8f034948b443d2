/*
 * Model of /dev/iommu: vIOMMUs and vDEVICEs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3,
 * drivers/iommu/iommufd/viommu.c and
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "objects.h"
#include "uapi-extra.h"

/* get_viommu_size() of the drivers: which types do they have? */
static bool type_supported(const MdlIommu *iommu, uint32_t type)
{
    switch (mdl_host.arch) {
    case MDL_ARCH_SMMUV3:
        return (type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 ||
                (type == IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV &&
                 iommu->cmdqv.on)) &&
               mdl_host_nested(iommu) && iommu->fwb;
    case MDL_ARCH_AMD:
        /* It looks at the type no further */
        return true;
    default:
        return false;
    }
}

int mdl_cmd_viommu_alloc(MdlCmd *cmd)
{
    struct iommu_viommu_alloc *arg = cmd->arg;
    MdlViommu *viommu;
    MdlDevice *dev;
    MdlHwpt *hwpt;
    int ret;

    mdl_cmd_note(cmd, "\"type\":%u,\"dev_id\":%u,\"hwpt_id\":%u", arg->type,
                 arg->dev_id, arg->hwpt_id);
    if (arg->flags || arg->type == IOMMU_VIOMMU_TYPE_DEFAULT) {
        return -EOPNOTSUPP;
    }
    dev = (MdlDevice *)mdl_obj_get(cmd->ctx, arg->dev_id, MDL_OBJ_DEVICE);
    if (!dev) {
        return -ENOENT;
    }
    if (!type_supported(dev->iommu, arg->type)) {
        return -EOPNOTSUPP;
    }
    hwpt = (MdlHwpt *)mdl_obj_get(cmd->ctx, arg->hwpt_id, MDL_OBJ_HWPT);
    if (!hwpt || hwpt->nested) {
        return -ENOENT;
    }
    if (!hwpt->nest_parent ||
        (mdl_host.arch == MDL_ARCH_SMMUV3 && hwpt->iommu != dev->iommu)) {
        return -EINVAL;
    }
    viommu = calloc(1, sizeof(*viommu));
    if (!viommu) {
        return -ENOMEM;
    }
    viommu->type = arg->type;
    viommu->iommu = dev->iommu;
    viommu->parent = hwpt;
    if (arg->type == IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV &&
        mdl_host.arch == MDL_ARCH_SMMUV3) {
        ret = mdl_cmdqv_viommu(cmd, viommu);
        if (ret) {
            free(viommu);
            return ret;
        }
    }
    hwpt->obj.refs++;
    mdl_obj_add(cmd->ctx, &viommu->obj, MDL_OBJ_VIOMMU);
    hw_viommu_init(viommu);
    arg->out_viommu_id = viommu->obj.id;
    mdl_cmd_note(cmd, "\"id\":%u", viommu->obj.id);
    ret = mdl_cmd_respond(cmd);
    if (ret) {
        mdl_obj_destroy(&viommu->obj);
    }
    return ret;
}

void mdl_viommu_destroy(MdlViommu *viommu)
{
    hw_viommu_fini(viommu);
    mdl_cmdqv_fini(viommu);
    viommu->parent->obj.refs--;
}

static bool virt_id_taken(const MdlViommu *viommu, uint64_t virt_id)
{
    const MdlVdevice *v;

    for (v = viommu->vdevices; v; v = v->next) {
        if (v->virt_id == virt_id) {
            return true;
        }
    }
    return false;
}

int mdl_cmd_vdevice_alloc(MdlCmd *cmd)
{
    struct iommu_vdevice_alloc *arg = cmd->arg;
    MdlViommu *viommu;
    MdlVdevice *vdev;
    MdlDevice *dev;
    int ret;

    mdl_cmd_note(cmd, "\"viommu\":%u,\"dev_id\":%u,\"virt_id\":%" PRIu64,
                 arg->viommu_id, arg->dev_id, (uint64_t)arg->virt_id);
    viommu = (MdlViommu *)mdl_obj_get(cmd->ctx, arg->viommu_id,
                                      MDL_OBJ_VIOMMU);
    if (!viommu) {
        return -ENOENT;
    }
    dev = (MdlDevice *)mdl_obj_get(cmd->ctx, arg->dev_id, MDL_OBJ_DEVICE);
    if (!dev) {
        return -ENOENT;
    }
    if (viommu->iommu != dev->iommu) {
        return -EINVAL;
    }
    if (dev->vdevice || virt_id_taken(viommu, arg->virt_id)) {
        return -EEXIST;
    }
    if (viommu->vintf) {
        ret = mdl_cmdqv_vdevice(viommu, dev, arg->virt_id);
        if (ret) {
            return ret;
        }
    } else if (mdl_host.arch == MDL_ARCH_SMMUV3 && dev->streams != 1) {
        /* arm_vsmmu_vdevice_init() */
        return -EOPNOTSUPP;
    }
    vdev = calloc(1, sizeof(*vdev));
    if (!vdev) {
        return -ENOMEM;
    }
    vdev->viommu = viommu;
    vdev->dev = dev;
    vdev->virt_id = arg->virt_id;
    vdev->next = viommu->vdevices;
    viommu->vdevices = vdev;
    viommu->obj.refs++;
    dev->vdevice = vdev;
    mdl_obj_add(cmd->ctx, &vdev->obj, MDL_OBJ_VDEVICE);
    hw_vdevice_changed(vdev, true);
    arg->out_vdevice_id = vdev->obj.id;
    mdl_cmd_note(cmd, "\"id\":%u", vdev->obj.id);
    ret = mdl_cmd_respond(cmd);
    if (ret) {
        mdl_vdevice_destroy(vdev, false);
    }
    return ret;
}

/* @tombstone: the device went first, so the id stays lost */
void mdl_vdevice_destroy(MdlVdevice *vdev, bool tombstone)
{
    MdlVdevice **p = &vdev->viommu->vdevices;

    while (*p != vdev) {
        p = &(*p)->next;
    }
    *p = vdev->next;
    vdev->dev->vdevice = NULL;
    if (vdev->viommu->vintf) {
        mdl_cmdqv_vdevice_gone(vdev->viommu);
    }
    hw_vdevice_changed(vdev, false);
    vdev->viommu->obj.refs--;
    mdl_obj_remove(&vdev->obj, tombstone);
    free(vdev);
}
