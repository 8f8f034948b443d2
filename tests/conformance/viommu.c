/*
 * Conformance of /dev/iommu: vIOMMU, vDEVICE and hardware queue objects
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "smmu.h"

#define NEEDS (CT_DEV | CT_SMMUV3 | CT_VIOMMU)
#define SMMU IOMMU_VIOMMU_TYPE_ARM_SMMUV3

/* iommufd_viommu_alloc_ioctl(): the order of its tests */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas, parent, plain, id;
    struct iommu_viommu_alloc cmd = {
        .size = sizeof(cmd),
        .flags = 1,
        .type = SMMU,
    };
    int fd;

    if (!ct_bound_parent(&b, CT_VIOMMU, &ioas, &parent)) {
        return;
    }
    fd = b.iommufd;
    cmd.dev_id = b.id;
    cmd.hwpt_id = parent;
    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_VIOMMU_ALLOC, &cmd));
    RET(-EOPNOTSUPP, ct_viommu_new(fd, CT_NO_ID, parent,
                                   IOMMU_VIOMMU_TYPE_DEFAULT, NULL));
    RET(-ENOENT, ct_viommu_new(fd, CT_NO_ID, parent, SMMU, NULL));
    RET(-ENOENT, ct_viommu_new(fd, ioas, parent, SMMU, NULL));
    /* A type this IOMMU has not, before the parent is looked up */
    RET(b.dev->cmdqv ? -ENOENT : -EOPNOTSUPP,
        ct_viommu_new(fd, b.id, CT_NO_ID, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
                      NULL));
    RET(-EOPNOTSUPP, ct_viommu_new(fd, b.id, CT_NO_ID, 77, NULL));
    RET(-ENOENT, ct_viommu_new(fd, b.id, CT_NO_ID, SMMU, NULL));
    RET(-ENOENT, ct_viommu_new(fd, b.id, ioas, SMMU, NULL));
    RET(0, ct_hwpt(fd, b.id, ioas, 0, &plain));
    RET(-EINVAL, ct_viommu_new(fd, b.id, plain, SMMU, NULL));
    RET(0, ct_viommu_new(fd, b.id, parent, SMMU, &id));
    OK(id != 0);
}

/* No get_viommu_size: intel_iommu_ops */
static void vtd_has_none(void)
{
    CtBound b;
    uint32_t ioas, parent;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(-EOPNOTSUPP, ct_viommu_new(b.iommufd, b.id, parent, SMMU, NULL));
    RET(-EOPNOTSUPP, ct_viommu_new(b.iommufd, b.id, parent, 3, NULL));
    RET(-ENOENT, ct_viommu_new(b.iommufd, CT_NO_ID, parent, SMMU, NULL));
    RET(0, ct_destroy(b.iommufd, parent));
}

/* arm_smmu_get_viommu_size(): IDR3.FWB, or a device that is all coherent */
static void forced_write_back(void)
{
    CtBound b;
    uint32_t ioas, parent;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    if (b.dev->info.smmu.idr[3] & 1u << 8) {
        OK(b.dev->viommu);
    }
    RET(b.dev->viommu ? 0 : -EOPNOTSUPP,
        ct_viommu_new(b.iommufd, b.id, parent, SMMU, NULL));
}

/* arm_vsmmu_init(): the parent is of the same SMMU */
static void other_parent(void)
{
    SmmuVm vm;
    CtBound c;

    if (!smmu_vm(&vm, CT_IOMMU2) ||
        !ct_bound(&c, vm.b.iommufd,
                  ct_device_other(vm.b.dev, CT_IOMMU2))) {
        return;
    }
    RET(-EINVAL, ct_viommu_new(c.iommufd, c.id, vm.parent, SMMU, NULL));
}

/* References: vIOMMU -> parent; several of one parent; not on the device */
static void references(void)
{
    SmmuVm vm;
    uint32_t two;
    int fd;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_viommu_new(fd, vm.b.id, vm.parent, SMMU, &two));
    RET(-EBUSY, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, vm.viommu));
    RET(-EBUSY, ct_destroy(fd, vm.parent));
    ct_close(vm.b.fd);
    RET(-EBUSY, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, two));
    RET(0, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, vm.ioas));
}

/* iommufd_vdevice_alloc_ioctl() */
static void vdevice_arguments(void)
{
    SmmuVm vm;
    uint32_t id, two;
    int fd;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(-ENOENT, ct_vdevice(fd, CT_NO_ID, vm.b.id, 1, NULL));
    RET(-ENOENT, ct_vdevice(fd, vm.parent, vm.b.id, 1, NULL));
    RET(-ENOENT, ct_vdevice(fd, vm.viommu, CT_NO_ID, 1, NULL));
    RET(-ENOENT, ct_vdevice(fd, vm.viommu, vm.viommu, 1, NULL));
    RET(0, ct_vdevice(fd, vm.viommu, vm.b.id, 1, &id));
    OK(id != 0);
    /* One vDEVICE for a device, in whichever vIOMMU */
    RET(-EEXIST, ct_vdevice(fd, vm.viommu, vm.b.id, 1, NULL));
    RET(-EEXIST, ct_vdevice(fd, vm.viommu, vm.b.id, 2, NULL));
    RET(0, ct_viommu_new(fd, vm.b.id, vm.parent, SMMU, &two));
    RET(-EEXIST, ct_vdevice(fd, two, vm.b.id, 1, NULL));
    RET(0, ct_destroy(fd, id));
    RET(0, ct_vdevice(fd, two, vm.b.id, 1, NULL));
}

/* xa_insert() in vdevs: a label is given once in a vIOMMU */
static void vdevice_labels(void)
{
    SmmuVm vm;
    CtBound c;
    uint32_t one, two;
    int fd;

    if (!smmu_vm(&vm, CT_DEV2) ||
        !ct_bound(&c, vm.b.iommufd, ct_device_other(vm.b.dev, CT_DEV2))) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ct_vdevice(fd, vm.viommu, vm.b.id, 0x10, &one));
    if (strcmp(vm.b.dev->iommu, c.dev->iommu)) {
        RET(-EINVAL, ct_vdevice(fd, vm.viommu, c.id, 0x11, NULL));
        return;
    }
    RET(-EEXIST, ct_vdevice(fd, vm.viommu, c.id, 0x10, NULL));
    RET(0, ct_vdevice(fd, vm.viommu, c.id, 0x11, &two));
    RET(0, ct_destroy(fd, one));
    RET(0, ct_vdevice(fd, vm.viommu, vm.b.id, 0x12, &one));
    /* The label that was given up can be had by the other */
    RET(0, ct_destroy(fd, two));
    RET(0, ct_vdevice(fd, vm.viommu, c.id, 0x10, &two));
}

/* Labels are 64 bits wide */
static void vdevice_wide_label(void)
{
    SmmuVm vm;
    uint32_t id;
    static const uint64_t labels[] = { 0, 1ull << 31, 1ull << 32, INT64_MAX };

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(labels); i++) {
        RET(0, ct_vdevice(vm.b.iommufd, vm.viommu, vm.b.id, labels[i], &id));
        RET(0, ct_destroy(vm.b.iommufd, id));
    }
}

/* iommufd_vdevice_alloc_ioctl(): the vIOMMU's SMMU or none */
static void vdevice_other_smmu(void)
{
    SmmuVm vm;
    CtBound c;

    if (!smmu_vm(&vm, CT_IOMMU2) ||
        !ct_bound(&c, vm.b.iommufd,
                  ct_device_other(vm.b.dev, CT_IOMMU2))) {
        return;
    }
    RET(-EINVAL, ct_vdevice(c.iommufd, vm.viommu, c.id, 5, NULL));
}

/* vDEVICE -> vIOMMU */
static void vdevice_references(void)
{
    SmmuVm vm;
    int fd;

    if (!smmu_vm_vdevice(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, vm.vdevice));
    RET(-ENOENT, ct_destroy(fd, vm.vdevice));
    RET(0, ct_destroy(fd, vm.viommu));
}

/* iommufd_device_pre_destroy(): the device goes first, a tombstone stays */
static void vdevice_tombstone(void)
{
    SmmuVm vm;
    CtBound c;
    uint32_t old, id;
    int fd;

    if (!smmu_vm_vdevice(&vm, 0)) {
        return;
    }
    fd = vm.b.iommufd;
    old = vm.vdevice;
    ct_close(vm.b.fd);
    RET(-ENOENT, ct_destroy(fd, old));
    /* The id is not given out again as long as the iommufd lives */
    for (unsigned i = 0; i < 40; i++) {
        RET(0, ct_ioas_alloc(fd, &id));
        OK(id != old);
    }
    /* The label is free again, and the vIOMMU has no vDEVICE left */
    if (ct_bound(&c, fd, vm.b.dev)) {
        RET(0, ct_vdevice(fd, vm.viommu, c.id, SMMU_VSID, &id));
        OK(id != old);
        RET(0, ct_destroy(fd, id));
    }
    RET(0, ct_destroy(fd, vm.viommu));
}

static int hw_queue(const SmmuVm *vm, uint32_t flags, uint32_t viommu,
                    uint32_t type, uint64_t base, uint64_t len)
{
    struct iommu_hw_queue_alloc cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .viommu_id = viommu,
        .type = type,
        .nesting_parent_iova = base,
        .length = len,
    };

    return ct_ioctl(vm->b.iommufd, IOMMU_HW_QUEUE_ALLOC, &cmd);
}

/* iommufd_hw_queue_alloc_ioctl(); arm_vsmmu_ops has no queues */
static void hw_queues(void)
{
    SmmuVm vm;
    const uint32_t type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV;

    if (!smmu_vm(&vm, 0)) {
        return;
    }
    RET(-EOPNOTSUPP, hw_queue(&vm, 1, vm.viommu, type, 0, 4096));
    RET(-EOPNOTSUPP, hw_queue(&vm, 0, vm.viommu, 0, 0, 4096));
    RET(-EINVAL, hw_queue(&vm, 0, CT_NO_ID, type, 0, 0));
    RET(-EOVERFLOW, hw_queue(&vm, 0, CT_NO_ID, type, UINT64_MAX, 2));
    RET(-ENOENT, hw_queue(&vm, 0, CT_NO_ID, type, 0, 4096));
    RET(-ENOENT, hw_queue(&vm, 0, vm.parent, type, 0, 4096));
    RET(-EOPNOTSUPP, hw_queue(&vm, 0, vm.viommu, type, 0, 4096));
}

static const CtScenario scenarios[] = {
    { "alloc: arguments", arguments, NEEDS },
    { "VT-d has no vIOMMU", vtd_has_none, CT_DEV | CT_VTD | CT_NEST },
    { "SMMUv3: offered with S2FWB", forced_write_back,
      CT_DEV | CT_SMMUV3 | CT_NEST },
    { "a parent of another SMMU", other_parent, NEEDS | CT_IOMMU2 },
    { "references", references, NEEDS },
    { "vDEVICE: arguments", vdevice_arguments, NEEDS },
    { "vDEVICE: labels of two devices", vdevice_labels, NEEDS | CT_DEV2 },
    { "vDEVICE: wide labels", vdevice_wide_label, NEEDS },
    { "vDEVICE: a device of another SMMU", vdevice_other_smmu,
      NEEDS | CT_IOMMU2 },
    { "vDEVICE: references", vdevice_references, NEEDS },
    { "vDEVICE: the device goes first", vdevice_tombstone, NEEDS },
    { "hardware queues", hw_queues, NEEDS },
};

CT_GROUP(ct_group_viommu, "viommu");
