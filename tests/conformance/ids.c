/*
 * Conformance of /dev/iommu: ids of domains
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host may use some of the ids itself, so a test knows how many there are
 * at most.
 */

#include "smmu.h"

#define PASID IOMMU_HWPT_ALLOC_PASID

/* Attaches tables of their own to PASIDs 1 and up; returns how many it could */
static unsigned fill(const CtBound *b, uint32_t ioas, uint32_t *hwpt,
                     unsigned max)
{
    unsigned n;

    for (n = 0; n < max; n++) {
        int ret;

        if (!RET(0, ct_hwpt(b->iommufd, b->id, ioas, PASID, &hwpt[n]))) {
            break;
        }
        ret = ct_attach_pasid(b, hwpt[n], n + 1);
        if (ret) {
            RET(-ENOSPC, ret);
            break;
        }
    }
    return n;
}

/*
 * domain_attach_iommu(): a table takes an id with its first attachment behind
 * an IOMMU, and gives it back with the last. 0 and 1 are the driver's own.
 */
static void vtd_ids(void)
{
    CtBound b;
    uint32_t ioas, rid, hwpt[256];
    unsigned n, ids;

    if (!ct_bound_new(&b, CT_PASID | CT_FEW_IDS)) {
        return;
    }
    ids = ct_domain_ids(b.dev) - 2;
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, PASID, &rid));
    RET(0, ct_attach(&b, rid));
    n = fill(&b, ioas, hwpt, ids);
    OK(n < ids);
    if (ct.model) {
        EQ(ids - 1, n);
    }
    if (n < 2) {
        return;
    }
    /* A table that has one needs no other */
    RET(0, ct_attach_pasid(&b, hwpt[0], n + 1));
    /* A PASID takes the new one before it gives the old one back */
    RET(-ENOSPC, ct_attach_pasid(&b, hwpt[n], 2));
    /* The RID the other way round */
    RET(0, ct_attach(&b, hwpt[n]));
    RET(-ENOSPC, ct_attach_pasid(&b, rid, 2));
    RET(0, ct_detach_pasid(&b, 2));
    RET(0, ct_attach_pasid(&b, rid, 2));
    /* That of two PASIDs is free when both are gone */
    RET(0, ct_detach_pasid(&b, 1));
    RET(-ENOSPC, ct_attach_pasid(&b, hwpt[1], 1));
    RET(0, ct_detach_pasid(&b, n + 1));
    RET(0, ct_attach_pasid(&b, hwpt[1], 1));
}

/* arm_smmu_domain_finalise_s2(): a VMID for as long as the table exists */
static void smmu_ids(void)
{
    CtBound b;
    uint32_t ioas, parent[256], id;
    unsigned n, ids;
    int ret = 0;

    if (!ct_bound_new(&b, CT_NEST | CT_FEW_IDS)) {
        return;
    }
    ids = ct_domain_ids(b.dev) - 1;
    ioas = ct_ioas(b.iommufd);
    for (n = 0; n <= ids; n++) {
        ret = ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
                      &parent[n]);
        if (ret) {
            break;
        }
    }
    RET(-ENOSPC, ret);
    if (ct.model) {
        EQ(ids, n);
    }
    if (!n) {
        return;
    }
    /* Tables of stage 1 have ASIDs */
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &id));
    RET(0, ct_destroy(b.iommufd, parent[n - 1]));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &id));
    RET(-ENOSPC, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
                         &id));
}

static const CtScenario scenarios[] = {
    { "VT-d: domain ids", vtd_ids, CT_DEV | CT_VTD | CT_PASID | CT_FEW_IDS },
    { "SMMUv3: VMIDs", smmu_ids, CT_DEV | CT_SMMUV3 | CT_NEST | CT_FEW_IDS },
};

CT_GROUP(ct_group_ids, "ids");
