/*
 * Conformance of /dev/iommu: words of the SMMUv3 architecture
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Section numbers are of the Arm SMMUv3 architecture, IHI 0070.
 */

#ifndef CONFORMANCE_SMMU_H
#define CONFORMANCE_SMMU_H

#include "conformance.h"

/* 5.2 Stream Table Entry */
#define STE0_V              (1ull << 0)
#define STE0_CFG(cfg)       ((uint64_t)(cfg) << 1)
#define STE_CFG_ABORT       0
#define STE_CFG_BYPASS      4
#define STE_CFG_S1          5
#define STE_CFG_S2          6
#define STE_CFG_NESTED      7
#define STE0_ABORT          (STE0_V | STE0_CFG(STE_CFG_ABORT))
#define STE0_BYPASS         (STE0_V | STE0_CFG(STE_CFG_BYPASS))
#define STE0_S1             (STE0_V | STE0_CFG(STE_CFG_S1))
#define STE1_EATS(eats)     ((uint64_t)(eats) << 28)

/* 4.1.3 Command opcodes */
#define CMD_PREFETCH_CFG    0x01
#define CMD_CFGI_STE        0x03
#define CMD_CFGI_ALL        0x04
#define CMD_CFGI_CD         0x05
#define CMD_CFGI_CD_ALL     0x06
#define CMD_TLBI_NH_ALL     0x10
#define CMD_TLBI_NH_ASID    0x11
#define CMD_TLBI_NH_VA      0x12
#define CMD_TLBI_NH_VAA     0x13
#define CMD_TLBI_EL2_ALL    0x20
#define CMD_TLBI_S12_VMALL  0x28
#define CMD_TLBI_S2_IPA     0x2a
#define CMD_TLBI_NSNH_ALL   0x30
#define CMD_ATC_INV         0x40
#define CMD_RESUME          0x44
#define CMD_SYNC            0x46

/* A vIOMMU with its parent, one device and perhaps its vDEVICE */
typedef struct SmmuVm {
    CtBound b;
    uint32_t ioas, parent, viommu, vdevice;
    uint64_t page0, page0_len;          /* CT_CMDQV: what to map */
} SmmuVm;

#define SMMU_VSID 0x123

static inline int smmu_cmdqv(SmmuVm *vm, uint32_t *id)
{
    struct iommu_viommu_tegra241_cmdqv data = { 0 };
    int ret = ct_viommu_data(vm->b.iommufd, vm->b.id, vm->parent,
                             IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, &data,
                             sizeof(data), id);

    vm->page0 = data.out_vintf_mmap_offset;
    vm->page0_len = data.out_vintf_mmap_length;
    return ret;
}

/* With CT_CMDQV among @needs: a vIOMMU that has queues of its own */
static inline bool smmu_vm(SmmuVm *vm, uint64_t needs)
{
    vm->vdevice = 0;
    return ct_bound_parent(&vm->b, needs | CT_VIOMMU, &vm->ioas,
                           &vm->parent) &&
           RET(0, needs & CT_CMDQV ? smmu_cmdqv(vm, &vm->viommu) :
                  ct_viommu_new(vm->b.iommufd, vm->b.id, vm->parent,
                                IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &vm->viommu));
}

static inline bool smmu_vm_vdevice(SmmuVm *vm, uint64_t needs)
{
    return smmu_vm(vm, needs) &&
           RET(0, ct_vdevice(vm->b.iommufd, vm->viommu, vm->b.id, SMMU_VSID,
                             &vm->vdevice));
}

#endif
