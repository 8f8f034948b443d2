/*
 * Conformance of /dev/iommu: allocating page tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <sys/mman.h>
#include "conformance.h"

#define GIB (1ull << 30)
#define PARENT IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID

/* iommufd_hwpt_alloc(): the order of its tests */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas, fault, hwpt;
    uint64_t data[4] = { 0 };
    int qfd;
    struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .__reserved = 1 };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_fault_queue(b.iommufd, &fault, &qfd));
    cmd.dev_id = b.id;
    cmd.pt_id = ioas;
    RET(-EOPNOTSUPP, ct_ioctl(b.iommufd, IOMMU_HWPT_ALLOC, &cmd));
    /* Data without a type, a type without data; before any id is looked up */
    RET(-EINVAL, ct_hwpt_data(b.iommufd, CT_NO_ID, ioas, 0,
                              IOMMU_HWPT_DATA_NONE, data, 8, 0, NULL));
    RET(-EINVAL, ct_hwpt_data(b.iommufd, CT_NO_ID, ioas, 0,
                              IOMMU_HWPT_DATA_VTD_S1, data, 0, 0, NULL));
    RET(-ENOENT, ct_hwpt(b.iommufd, CT_NO_ID, ioas, 0, NULL));
    RET(-ENOENT, ct_hwpt(b.iommufd, ioas, ioas, 0, NULL));
    /* A page table to allocate from that is not there is EINVAL */
    RET(-EINVAL, ct_hwpt(b.iommufd, b.id, CT_NO_ID, 0, NULL));
    RET(-EINVAL, ct_hwpt(b.iommufd, b.id, b.id, 0, NULL));
    RET(-EINVAL, ct_hwpt(b.iommufd, b.id, fault, 0, NULL));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    OK(hwpt != 0 && hwpt != ioas && hwpt != b.id);
}

/* iommufd_hwpt_paging_alloc(): flags */
static void paging_flags(void)
{
    CtBound b;
    uint32_t ioas, fault;
    uint8_t data[24] = { 0 };
    int qfd;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_fault_queue(b.iommufd, &fault, &qfd));
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, 1u << 4, NULL));
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, 1u << 31, NULL));
    RET(-EOPNOTSUPP, ct_hwpt_data(b.iommufd, b.id, ioas, PARENT | FAULT,
                                  IOMMU_HWPT_DATA_NONE, NULL, 0, fault,
                                  NULL));
    /* Data for a table over an IOAS: neither driver takes any */
    RET(-EOPNOTSUPP, ct_hwpt_data(b.iommufd, b.id, ioas, 0,
                                  IOMMU_HWPT_DATA_VTD_S1, data, sizeof(data),
                                  0, NULL));
}

/* device_iommu_capable(DIRTY_TRACKING) decides, then the driver's format */
static void dirty_flag(void)
{
    CtBound b;
    uint32_t ioas;
    bool can;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    can = b.dev->caps & IOMMU_HW_CAP_DIRTY_TRACKING;
    ioas = ct_ioas(b.iommufd);
    RET(can ? 0 : -EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, DIRTY, NULL));
}

/* intel_iommu_domain_alloc_paging_flags(): which flags go together */
static void vtd_flags(void)
{
    CtBound b;
    uint32_t ioas;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, PASID, NULL));
    RET(b.dev->nest ? 0 : -EOPNOTSUPP,
        ct_hwpt(b.iommufd, b.id, ioas, PARENT | PASID, NULL));
    if (b.dev->nest && b.dev->caps & IOMMU_HW_CAP_DIRTY_TRACKING) {
        RET(0, ct_hwpt(b.iommufd, b.id, ioas, PARENT | DIRTY, NULL));
        RET(0, ct_hwpt(b.iommufd, b.id, ioas, PARENT | DIRTY | PASID, NULL));
    }
}

/* arm_smmu_domain_alloc_paging_flags(): a parent is a parent and no more */
static void smmu_flags(void)
{
    CtBound b;
    uint32_t ioas;
    uint32_t idr0;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    idr0 = b.dev->info.smmu.idr[0];
    ioas = ct_ioas(b.iommufd);
    RET(idr0 & 1 << 1 ? 0 : -EOPNOTSUPP,
        ct_hwpt(b.iommufd, b.id, ioas, PASID, NULL));
    /* IDR0.S1P and IDR0.S2P */
    RET((idr0 & 3) == 3 ? 0 : -EOPNOTSUPP,
        ct_hwpt(b.iommufd, b.id, ioas, PARENT, NULL));
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, PARENT | PASID, NULL));
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, PARENT | DIRTY, NULL));
}

/* iommufd_get_fault() at the end of iommufd_hwpt_alloc() */
static void fault_id(void)
{
    CtBound b;
    uint32_t ioas, fault, hwpt;
    int qfd;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_fault_queue(b.iommufd, &fault, &qfd));
    RET(-ENOENT, ct_hwpt_data(b.iommufd, b.id, ioas, FAULT, 0, NULL, 0,
                              CT_NO_ID, NULL));
    RET(-ENOENT, ct_hwpt_data(b.iommufd, b.id, ioas, FAULT, 0, NULL, 0, ioas,
                              NULL));
    /* Without the flag the id is not looked at */
    RET(0, ct_hwpt_data(b.iommufd, b.id, ioas, 0, 0, NULL, 0, CT_NO_ID,
                        &hwpt));
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_hwpt_data(b.iommufd, b.id, ioas, FAULT, 0, NULL, 0, fault,
                        &hwpt));
    ct_close(qfd);
    RET(-EBUSY, ct_destroy(b.iommufd, fault));
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_destroy(b.iommufd, fault));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* The first version of the structure ends before data_type */
static void first_version(void)
{
    CtBound b;
    struct iommu_hwpt_alloc cmd = {
        .size = offsetof(struct iommu_hwpt_alloc, data_type),
        .data_type = 77,
        .data_len = 88,
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    cmd.dev_id = b.id;
    cmd.pt_id = ct_ioas(b.iommufd);
    RET(0, ct_ioctl(b.iommufd, IOMMU_HWPT_ALLOC, &cmd));
    OK(cmd.out_hwpt_id != 0);
    EQ(77, cmd.data_type);
    EQ(88, cmd.data_len);
}

/* refcount of the IOAS: iommufd_hwpt_paging_alloc() */
static void keeps_ioas(void)
{
    CtBound b;
    uint32_t ioas, a, c;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &a));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &c));
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(0, ct_destroy(b.iommufd, a));
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(0, ct_destroy(b.iommufd, c));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* A table belongs to its IOAS, not to the device it was allocated for */
static void outlives_device(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    ct_close(b.fd);
    RET(-ENOENT, ct_hwpt(b.iommufd, b.id, ioas, 0, NULL));
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/* iopt_fill_domain(): allocating pins what is mapped */
static void fills(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page();
    void *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    OK(!mprotect(va, page, PROT_NONE));
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW));
    RET(-EFAULT, ct_hwpt(b.iommufd, b.id, ioas, 0, NULL));
    RET(-EFAULT, ct_attach(&b, ioas));
    RET(0, ct_unmap(b.iommufd, ioas, GIB, page, NULL));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    /* And with a domain there, mapping does */
    RET(-EFAULT, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW));
    RET(-ENOENT, ct_unmap(b.iommufd, ioas, GIB, page, NULL));
    OK(!mprotect(va, page, PROT_READ));
    RET(-EFAULT, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW));
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB, IOMMU_IOAS_MAP_READABLE));
}

/* PT_FEAT_VTDSS_FORCE_WRITEABLE: parents take no read-only mapping */
static void vtd_parent_read_only(void)
{
    CtBound b;
    uint32_t ioas, parent;
    uint64_t page = ct_page();
    void *va = ct_mem(page);
    bool errata;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    errata = b.dev->info.vtd.flags & IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17;
    RET(errata ? -EINVAL : 0, ct_map(b.iommufd, ioas, va, page, GIB,
                                     IOMMU_IOAS_MAP_READABLE));
    if (errata) {
        RET(-ENOENT, ct_unmap(b.iommufd, ioas, GIB, page, NULL));
    }
    RET(0, ct_map(b.iommufd, ioas, va, page, 2 * GIB, CT_RW));
    RET(0, ct_destroy(b.iommufd, parent));
    /* Mapped first, it stops the allocation */
    RET(0, ct_map(b.iommufd, ioas, va, page, 3 * GIB,
                  IOMMU_IOAS_MAP_READABLE));
    RET(errata ? -EINVAL : 0, ct_hwpt(b.iommufd, b.id, ioas, PARENT, NULL));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, NULL));
}

/* What cannot nest says so at the parent: nested_supported(), FEAT_NESTING */
static void parent_flag(void)
{
    CtBound b;
    uint32_t ioas;
    bool can;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    /* ECAP.SMTS, SLTS and NEST; IDR0.S1P and S2P */
    if (b.dev->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        can = b.dev->info.vtd.ecap_reg & 1ull << 43 &&
              b.dev->info.vtd.ecap_reg & 1ull << 46 &&
              b.dev->info.vtd.ecap_reg & 1ull << 26;
        if (can && !ct_scalable_mode()) {
            return;
        }
    } else {
        can = (b.dev->info.smmu.idr[0] & 3) == 3;
    }
    RET(can ? 0 : -EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas, PARENT, NULL));
}

static const CtScenario scenarios[] = {
    { "arguments in order", arguments, CT_DEV },
    { "flags of a table over an IOAS", paging_flags, CT_DEV },
    { "nesting parent where the registers say so", parent_flag, CT_DEV },
    { "dirty tracking where the capability says so", dirty_flag, CT_DEV },
    { "flags together on VT-d", vtd_flags, CT_DEV | CT_VTD },
    { "flags together on SMMUv3", smmu_flags, CT_DEV | CT_SMMUV3 },
    { "fault queue of a table", fault_id, CT_DEV },
    { "the first version of the structure", first_version, CT_DEV },
    { "a table keeps its IOAS", keeps_ioas, CT_DEV },
    { "a table outlives its device", outlives_device, CT_DEV },
    { "a table needs the memory of all mappings", fills, CT_DEV },
    { "read-only mappings and VT-d parents", vtd_parent_read_only,
      CT_DEV | CT_VTD | CT_NEST },
};

CT_GROUP(ct_group_pagetable, "hwpt");
