/*
 * Conformance of /dev/iommu: VT-d stage-1 tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

#define PARENT IOMMU_HWPT_ALLOC_NEST_PARENT
#define S1 IOMMU_HWPT_DATA_VTD_S1

static int alloc_s1(const CtBound *b, uint32_t parent, uint64_t flags,
                    uint32_t width, uint32_t *id)
{
    struct iommu_hwpt_vtd_s1 s1 = {
        .flags = flags,
        .pgtbl_addr = 0x10000,
        .addr_width = width,
    };

    return ct_hwpt_data(b->iommufd, b->id, parent, 0, S1, &s1, sizeof(s1), 0,
                        id);
}

/* iommufd_hwpt_nested_alloc(), intel_iommu_domain_alloc_nested() */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas, parent, nested, plain;
    struct {
        struct iommu_hwpt_vtd_s1 s1;
        uint64_t more;
    } d = { .s1.addr_width = 48 };

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(-EOPNOTSUPP, ct_hwpt_data(b.iommufd, b.id, parent, PARENT, S1, &d.s1,
                                  sizeof(d.s1), 0, NULL));
    RET(-EOPNOTSUPP, ct_hwpt_data(b.iommufd, b.id, parent,
                                  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, S1, &d.s1,
                                  sizeof(d.s1), 0, NULL));
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, parent, 0, NULL));
    /* Data of another architecture, by intel_iommu_domain_alloc_nested() */
    RET(-EOPNOTSUPP, ct_hwpt_data(b.iommufd, b.id, parent, 0,
                                  IOMMU_HWPT_DATA_ARM_SMMUV3, &d.s1, 16, 0,
                                  NULL));
    RET(-EINVAL, ct_hwpt_data(b.iommufd, b.id, parent, 0, S1, &d.s1,
                              sizeof(d.s1) - 1, 0, NULL));
    /* Longer than known is EINVAL here, also when zero */
    RET(-EINVAL, ct_hwpt_data(b.iommufd, b.id, parent, 0, S1, &d, sizeof(d),
                              0, NULL));
    RET(-EFAULT, ct_hwpt_data(b.iommufd, b.id, parent, 0, S1, (void *)8,
                              sizeof(d.s1), 0, NULL));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &plain));
    RET(-EINVAL, alloc_s1(&b, plain, 0, 48, NULL));
    RET(0, alloc_s1(&b, parent, 0, 48, &nested));
    /* A stage 1 is not a parent: no case for it in iommufd_hwpt_alloc() */
    RET(-EINVAL, alloc_s1(&b, nested, 0, 48, NULL));
    RET(-ENOENT, ct_vtd_s1(b.iommufd, b.id, parent,
                           IOMMU_HWPT_FAULT_ID_VALID, 0, CT_NO_ID, NULL));
}

/* iommufd_hwpt_nested_alloc(): auto_domain */
static void auto_parent(void)
{
    CtBound b;
    uint32_t pt;

    if (!ct_bound_new(&b, CT_NEST)) {
        return;
    }
    pt = ct_ioas(b.iommufd);
    RET(0, ct_attach_out(&b, &pt));
    RET(-EINVAL, alloc_s1(&b, pt, 0, 48, NULL));
}

/* intel_pasid_setup_nested(): what is wrong shows at attach only */
static void late_refusals(void)
{
    CtBound b;
    uint32_t ioas, parent, id;
    uint64_t cap, ecap;
    static const uint32_t widths[] = { 0, 39, 47, 49, 64 };

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    cap = b.dev->info.vtd.cap_reg;
    ecap = b.dev->info.vtd.ecap_reg;
    for (unsigned i = 0; i < ARRAY_LEN(widths); i++) {
        RET(0, alloc_s1(&b, parent, 0, widths[i], &id));
        RET(-EINVAL, ct_attach(&b, id));
        RET(0, ct_destroy(b.iommufd, id));
    }
    /* CAP.FS5LP, ECAP.SRS, ECAP.EAFS */
    RET(0, alloc_s1(&b, parent, 0, 57, &id));
    RET(cap & 1ull << 60 ? 0 : -EINVAL, ct_attach(&b, id));
    RET(0, ct_detach(&b));
    RET(0, alloc_s1(&b, parent, IOMMU_VTD_S1_SRE, 48, &id));
    RET(ecap & 1ull << 31 ? 0 : -EINVAL, ct_attach(&b, id));
    RET(0, ct_detach(&b));
    RET(0, alloc_s1(&b, parent, IOMMU_VTD_S1_EAFE, 48, &id));
    RET(ecap & 1ull << 34 ? 0 : -EINVAL, ct_attach(&b, id));
    RET(0, ct_detach(&b));
    /* WPE and unknown flags are not looked at */
    RET(0, alloc_s1(&b, parent, IOMMU_VTD_S1_WPE | 1ull << 40, 48, &id));
    RET(0, ct_attach(&b, id));
}

/* iommufd_device_do_replace(): after a failure it has what it had */
static void failed_replace(void)
{
    CtBound b;
    struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 39 };
    uint32_t ioas, parent, good, bad;

    if (!ct_bound_parent(&b, CT_NEST | CT_PASID, &ioas, &parent)) {
        return;
    }
    RET(0, ct_vtd_s1(b.iommufd, b.id, parent, IOMMU_HWPT_ALLOC_PASID, 0, 0,
                     &good));
    RET(0, ct_hwpt_data(b.iommufd, b.id, parent, IOMMU_HWPT_ALLOC_PASID, S1,
                        &s1, sizeof(s1), 0, &bad));
    RET(0, ct_attach(&b, good));
    RET(0, ct_attach_pasid(&b, good, 1));
    RET(-EINVAL, ct_attach(&b, bad));
    RET(-EINVAL, ct_attach_pasid(&b, bad, 1));
    RET(0, ct_destroy(b.iommufd, bad));
    RET(0, ct_attach(&b, good));
    RET(0, ct_attach_pasid(&b, good, 1));
    RET(0, ct_detach(&b));
    RET(-EBUSY, ct_destroy(b.iommufd, good));
    RET(0, ct_detach_pasid(&b, 1));
    RET(0, ct_destroy(b.iommufd, good));
}

/* Attach, replace in both directions, detach */
static void attaching(void)
{
    CtBound b;
    uint32_t ioas, parent, one, two, pt;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(0, alloc_s1(&b, parent, 0, 48, &one));
    RET(0, alloc_s1(&b, parent, 0, 48, &two));
    pt = one;
    RET(0, ct_attach_out(&b, &pt));
    EQ(one, pt);
    RET(0, ct_attach(&b, two));
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_attach(&b, parent));
    RET(0, ct_destroy(b.iommufd, two));
    RET(0, alloc_s1(&b, parent, 0, 48, &one));
    RET(0, ct_attach(&b, one));
    RET(-EBUSY, ct_destroy(b.iommufd, one));
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_detach(&b));
}

/* find_hwpt_paging() of a nested table is its parent: reserved ranges */
static void reserved_ranges(void)
{
    CtBound b;
    uint32_t ioas, parent, id;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(0, alloc_s1(&b, parent, 0, 48, &id));
    OK(ct_range_covers(b.iommufd, ioas, 0xfee00000, 0xfeefffff));
    RET(0, ct_attach(&b, id));
    OK(!ct_range_covers(b.iommufd, ioas, 0xfee00000, 0xfeefffff));
    RET(0, ct_attach(&b, parent));
    OK(!ct_range_covers(b.iommufd, ioas, 0xfee00000, 0xfeefffff));
    RET(0, ct_attach(&b, id));
    OK(!ct_range_covers(b.iommufd, ioas, 0xfee00000, 0xfeefffff));
    RET(0, ct_detach(&b));
    OK(ct_range_covers(b.iommufd, ioas, 0xfee00000, 0xfeefffff));
}

/* References: nested -> parent -> IOAS */
static void references(void)
{
    CtBound b;
    uint32_t ioas, parent, one, two;

    if (!ct_bound_parent(&b, CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(0, alloc_s1(&b, parent, 0, 48, &one));
    RET(0, alloc_s1(&b, parent, 0, 48, &two));
    RET(-EBUSY, ct_destroy(b.iommufd, parent));
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(0, ct_destroy(b.iommufd, one));
    RET(-EBUSY, ct_destroy(b.iommufd, parent));
    RET(0, ct_destroy(b.iommufd, two));
    RET(0, ct_destroy(b.iommufd, parent));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* One stage 1 for several devices behind the same unit */
static void shared(void)
{
    CtBound b, c;
    uint32_t ioas, parent, id;

    if (!ct_bound_parent(&b, CT_NEST | CT_DEV2, &ioas, &parent) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_DEV2))) {
        return;
    }
    RET(0, alloc_s1(&b, parent, 0, 48, &id));
    RET(0, ct_attach(&b, id));
    if (!strcmp(b.dev->iommu, c.dev->iommu)) {
        RET(0, ct_attach(&c, id));
        RET(0, ct_detach(&b));
        RET(-EBUSY, ct_destroy(b.iommufd, id));
        RET(0, ct_detach(&c));
        RET(0, ct_destroy(b.iommufd, id));
    }
}

/*
 * nested_supported() and pasid_supported(): intel_iommu=sm_off is not seen in
 * the registers, and ends nesting and PASIDs
 */
static void registers_alone(void)
{
    CtBound b;
    uint32_t ioas, id;
    /* ECAP.SMTS, ECAP.NEST */
    const uint64_t able = 1ull << 43 | 1ull << 26;

    if (!ct_bound_new(&b, CT_NO_NEST)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas,
                             IOMMU_HWPT_ALLOC_NEST_PARENT, &id));
    if ((b.dev->info.vtd.ecap_reg & able) == able) {
        EQ(0, b.dev->pasid_bits);
        RET(-EOPNOTSUPP, ct_hwpt(b.iommufd, b.id, ioas,
                                 IOMMU_HWPT_ALLOC_NEST_PARENT |
                                 IOMMU_HWPT_ALLOC_PASID, &id));
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &id));
    RET(0, ct_attach(&b, id));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, id));
}

static const CtScenario scenarios[] = {
    { "alloc: arguments", arguments, CT_DEV | CT_VTD | CT_NEST },
    { "a table made for an attach is no parent", auto_parent,
      CT_DEV | CT_VTD | CT_NEST },
    { "width and features are checked at attach", late_refusals,
      CT_DEV | CT_VTD | CT_NEST },
    { "attach and replace", attaching, CT_DEV | CT_VTD | CT_NEST },
    { "a replace that fails", failed_replace,
      CT_DEV | CT_VTD | CT_NEST | CT_PASID },
    { "reserved ranges of the parent", reserved_ranges,
      CT_DEV | CT_VTD | CT_NEST },
    { "references", references, CT_DEV | CT_VTD | CT_NEST },
    { "one stage 1 for two devices", shared,
      CT_DEV | CT_DEV2 | CT_VTD | CT_NEST },
    { "registers that could nest, a kernel that does not", registers_alone,
      CT_DEV | CT_VTD | CT_NO_NEST },
};

CT_GROUP(ct_group_nest_vtd, "nest-vtd");
