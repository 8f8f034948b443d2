/*
 * Conformance of /dev/iommu: stream table entries of an SMMUv3 guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "smmu.h"

#define NEEDS (CT_DEV | CT_SMMUV3 | CT_VIOMMU)

static int ste(const SmmuVm *vm, uint64_t ste0, uint64_t ste1, uint32_t *id)
{
    return ct_ste(vm->b.iommufd, vm->b.id, vm->viommu, ste0, ste1, id);
}

/* iommufd_viommu_alloc_hwpt_nested(), arm_vsmmu_alloc_domain_nested() */
static void arguments(void)
{
    SmmuVm vm;
    int fd;
    struct {
        struct iommu_hwpt_arm_smmuv3 arg;
        uint64_t more;
    } d = { .more = 0 };
    const uint32_t type = IOMMU_HWPT_DATA_ARM_SMMUV3;

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    /* No nested table straight over a parent: no domain_alloc_nested */
    RET(-EOPNOTSUPP, ct_hwpt_data(fd, vm.b.id, vm.parent, 0, type, &d.arg, 16,
                                  0, NULL));
    RET(-EOPNOTSUPP, ct_hwpt(fd, vm.b.id, vm.viommu, 0, NULL));
    RET(-EOPNOTSUPP, ct_hwpt_data(fd, vm.b.id, vm.viommu,
                                  IOMMU_HWPT_ALLOC_NEST_PARENT, type, &d.arg,
                                  16, 0, NULL));
    RET(-EOPNOTSUPP, ct_hwpt_data(fd, vm.b.id, vm.viommu,
                                  IOMMU_HWPT_ALLOC_PASID, type, &d.arg, 16, 0,
                                  NULL));
    RET(-EINVAL, ct_hwpt_data(fd, vm.b.id, vm.viommu, 0,
                              IOMMU_HWPT_DATA_VTD_S1, &d, 24, 0, NULL));
    RET(-EINVAL, ct_hwpt_data(fd, vm.b.id, vm.viommu, 0, type, &d.arg, 8, 0,
                              NULL));
    RET(-EINVAL, ct_hwpt_data(fd, vm.b.id, vm.viommu, 0, type, &d, 24, 0,
                              NULL));
    RET(-EFAULT, ct_hwpt_data(fd, vm.b.id, vm.viommu, 0, type, (void *)8, 16,
                              0, NULL));
    RET(0, ct_hwpt_data(fd, vm.b.id, vm.viommu, 0, type, &d.arg, 16, 0,
                        NULL));
}

/* arm_smmu_validate_vste(): Config */
static void config_field(void)
{
    SmmuVm vm;

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    for (unsigned cfg = 0; cfg < 8; cfg++) {
        bool good = cfg == STE_CFG_ABORT || cfg == STE_CFG_BYPASS ||
                    cfg == STE_CFG_S1;

        RET(good ? 0 : -EIO, ste(&vm, STE0_V | STE0_CFG(cfg), 0, NULL));
        /* Not valid: nothing else is looked at */
        RET(0, ste(&vm, STE0_CFG(cfg), UINT64_MAX, NULL));
    }
    RET(0, ste(&vm, UINT64_MAX & ~STE0_V, UINT64_MAX, NULL));
}

/* STRTAB_STE_0_NESTING_ALLOWED, STRTAB_STE_1_NESTING_ALLOWED: bit by bit */
static void allowed_bits(void)
{
    SmmuVm vm;
    /* V, Config, S1Fmt, S1ContextPtr, S1CDMax */
    const uint64_t word0 = 0xfull | 3ull << 4 |
                           ((1ull << 52) - (1ull << 6)) | 0x1full << 59;
    /* S1DSS, S1CIR, S1COR, S1CSH, S1STALLD; EATS is tried apart */
    const uint64_t word1 = 0xffull | 1ull << 27;

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    for (unsigned bit = 4; bit < 64; bit++) {
        RET(word0 >> bit & 1 ? 0 : -EIO,
            ste(&vm, STE0_S1 | 1ull << bit, 0, NULL));
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit != 28 && bit != 29) {
            RET(word1 >> bit & 1 ? 0 : -EIO,
                ste(&vm, STE0_S1, 1ull << bit, NULL));
        }
    }
    for (unsigned eats = 0; eats < 4; eats++) {
        RET(eats < 2 ? 0 : -EIO, ste(&vm, STE0_S1, STE1_EATS(eats), NULL));
        RET(eats < 2 ? 0 : -EIO,
            ste(&vm, STE0_BYPASS, STE1_EATS(eats), NULL));
    }
}

/* arm_smmu_attach_prepare_vmaster(): translation needs the label */
static void attach_label(void)
{
    SmmuVm vm;
    uint32_t s1, abt, byp, none;

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    RET(0, ste(&vm, STE0_S1, 0, &s1));
    RET(0, ste(&vm, STE0_ABORT, 0, &abt));
    RET(0, ste(&vm, STE0_BYPASS, 0, &byp));
    RET(0, ste(&vm, 0, 0, &none));
    RET(-ENOENT, ct_attach(&vm.b, s1));
    RET(0, ct_attach(&vm.b, abt));
    RET(-ENOENT, ct_attach(&vm.b, s1));
    RET(-EBUSY, ct_destroy(vm.b.iommufd, abt));
    RET(0, ct_attach(&vm.b, byp));
    RET(0, ct_attach(&vm.b, none));
    RET(0, ct_vdevice(vm.b.iommufd, vm.viommu, vm.b.id, SMMU_VSID,
                      &vm.vdevice));
    RET(0, ct_attach(&vm.b, s1));
    RET(0, ct_attach(&vm.b, vm.parent));
    RET(0, ct_destroy(vm.b.iommufd, s1));
    RET(0, ct_detach(&vm.b));
}

/* The same for each device of a group, attached or not */
static void attach_label_group(void)
{
    SmmuVm vm;
    CtBound c;
    uint32_t s1, abt, vdevice;

    if (!smmu_vm_vdevice(&vm, CT_NEST | CT_MATE) ||
        !ct_bound(&c, vm.b.iommufd,
                  ct_device_other(vm.b.dev, CT_NEST | CT_MATE))) {
        return;
    }
    RET(0, ste(&vm, STE0_S1, 0, &s1));
    RET(0, ste(&vm, STE0_ABORT, 0, &abt));
    RET(-ENOENT, ct_attach(&vm.b, s1));
    RET(-ENOENT, ct_attach(&c, s1));
    RET(0, ct_attach(&vm.b, abt));
    RET(-ENOENT, ct_attach(&vm.b, s1));
    RET(0, ct_vdevice(vm.b.iommufd, vm.viommu, c.id, SMMU_VSID + 1, &vdevice));
    RET(0, ct_attach(&vm.b, s1));
    RET(0, ct_destroy(vm.b.iommufd, abt));
    RET(0, ct_attach(&c, s1));
    RET(0, ct_detach(&vm.b));
    RET(-EBUSY, ct_destroy(vm.b.iommufd, s1));
    RET(0, ct_detach(&c));
    RET(0, ct_destroy(vm.b.iommufd, s1));
}

/* An S1 table of one vIOMMU, the vDEVICE in another of the same parent */
static void attach_other_viommu(void)
{
    SmmuVm vm;
    uint32_t other, s1;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    RET(0, ct_viommu_new(vm.b.iommufd, vm.b.id, vm.parent,
                         IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &other));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, other, STE0_S1, 0, &s1));
    RET(-ENOENT, ct_attach(&vm.b, s1));
}

/* iommufd_hwpt_alloc(): the device must sit behind the vIOMMU's SMMU */
static void other_smmu(void)
{
    SmmuVm vm;
    CtBound c;
    uint32_t hwpt;

    if (!smmu_vm(&vm, CT_NEST | CT_IOMMU2) ||
        !ct_bound(&c, vm.b.iommufd,
                  ct_device_other(vm.b.dev, CT_IOMMU2))) {
        return;
    }
    RET(-EINVAL, ct_ste(c.iommufd, c.id, vm.viommu, STE0_ABORT, 0, NULL));
    RET(0, ste(&vm, STE0_ABORT, 0, &hwpt));
    /* arm_smmu_attach_dev_nested() */
    RET(-EINVAL, ct_attach(&c, hwpt));
}

/* References: nested -> vIOMMU -> parent -> IOAS */
static void references(void)
{
    SmmuVm vm;
    uint32_t s1;
    int fd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    fd = vm.b.iommufd;
    RET(0, ste(&vm, STE0_S1, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    RET(-EBUSY, ct_destroy(fd, s1));
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(-EBUSY, ct_destroy(fd, vm.parent));
    /* The label may go while the table is attached */
    RET(0, ct_destroy(fd, vm.vdevice));
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(0, ct_detach(&vm.b));
    RET(-EBUSY, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, s1));
    RET(-EBUSY, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, vm.viommu));
    RET(0, ct_destroy(fd, vm.parent));
    RET(0, ct_destroy(fd, vm.ioas));
}

/* A nested table has no set_dev_pasid, nor the flag for it */
static void no_pasid(void)
{
    SmmuVm vm;
    uint32_t byp;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    RET(0, ste(&vm, STE0_BYPASS, 0, &byp));
    RET(-EINVAL, ct_attach_pasid(&vm.b, byp, 1));
    /* The parent cannot be had with it either */
    RET(-EINVAL, ct_attach_pasid(&vm.b, vm.parent, 1));
}

/* arm_smmu_enable_iopf(): without stall there is nothing to turn on */
static void fault_queue(void)
{
    SmmuVm vm;
    struct iommu_hwpt_arm_smmuv3 arg = { .ste = { 0 } };
    uint32_t fault, hwpt;
    int qfd;

    if (!smmu_vm_vdevice(&vm, CT_NEST)) {
        return;
    }
    RET(0, ct_fault_queue(vm.b.iommufd, &fault, &qfd));
    RET(0, ct_hwpt_data(vm.b.iommufd, vm.b.id, vm.viommu,
                        IOMMU_HWPT_FAULT_ID_VALID,
                        IOMMU_HWPT_DATA_ARM_SMMUV3, &arg, sizeof(arg), fault,
                        &hwpt));
    RET(0, ct_attach(&vm.b, hwpt));
}

/* The same for the reserved range: find_hwpt_paging() */
static void reserved_range(void)
{
    SmmuVm vm;
    uint32_t byp;

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    RET(0, ste(&vm, STE0_BYPASS, 0, &byp));
    OK(ct_range_covers(vm.b.iommufd, vm.ioas, 0x8000000, 0x80fffff));
    RET(0, ct_attach(&vm.b, byp));
    OK(!ct_range_covers(vm.b.iommufd, vm.ioas, 0x8000000, 0x80fffff));
    RET(0, ct_detach(&vm.b));
    OK(ct_range_covers(vm.b.iommufd, vm.ioas, 0x8000000, 0x80fffff));
}

static const CtScenario scenarios[] = {
    { "alloc: arguments", arguments, NEEDS },
    { "Config of the STE", config_field, NEEDS },
    { "bits of the STE", allowed_bits, NEEDS },
    { "attach needs the vDEVICE", attach_label, NEEDS },
    { "attach needs a vDEVICE of each of the group", attach_label_group,
      NEEDS | CT_MATE },
    { "attach needs the vDEVICE in the same vIOMMU", attach_other_viommu,
      NEEDS },
    { "a device of another SMMU", other_smmu, NEEDS | CT_IOMMU2 },
    { "references", references, NEEDS },
    { "PASIDs belong to the guest's table", no_pasid, NEEDS },
    { "a fault queue is accepted", fault_queue, NEEDS },
    { "reserved range of the parent", reserved_range, NEEDS },
};

CT_GROUP(ct_group_nest_smmu, "nest-smmuv3");
