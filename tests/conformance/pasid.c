/*
 * Conformance of /dev/iommu: attaching PASIDs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IOMMU_NO_PASID is 0, so PASID 0 of the uAPI is the RID itself.
 */

#include "conformance.h"

#define PASID IOMMU_HWPT_ALLOC_PASID

static bool open_pasid(CtBound *b, uint64_t needs, uint32_t *ioas,
                       uint32_t *hwpt)
{
    if (!ct_bound_new(b, needs)) {
        return false;
    }
    *ioas = ct_ioas(b->iommufd);
    return RET(0, ct_hwpt(b->iommufd, b->id, *ioas, PASID, hwpt));
}

/* vfio_df_ioctl_attach_pt(), vfio_df_ioctl_detach_pt() with a PASID */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    struct vfio_device_attach_iommufd_pt cmd = {
        .argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid),
        .flags = VFIO_DEVICE_ATTACH_PASID,
        .pasid = 1,
    };
    struct vfio_device_detach_iommufd_pt det = {
        .argsz = offsetof(struct vfio_device_detach_iommufd_pt, pasid),
        .flags = VFIO_DEVICE_DETACH_PASID,
        .pasid = 1,
    };

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    cmd.pt_id = hwpt;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &det));
    RET(-ENOENT, ct_attach_pasid(&b, CT_NO_ID, 1));
    RET(-EINVAL, ct_attach_pasid(&b, b.id, 1));
    RET(0, ct_detach_pasid(&b, 1));
    RET(0, ct_detach_pasid(&b, UINT32_MAX));
    cmd.argsz = sizeof(cmd);
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
    EQ(hwpt, cmd.pt_id);
}

/* iommu_attach_device_pasid(): max_pasids; ida_alloc_range(): 31 bits */
static void width(void)
{
    CtBound b;
    uint32_t ioas, hwpt, max;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    max = 1u << b.dev->pasid_bits;
    RET(0, ct_attach_pasid(&b, hwpt, max - 1));
    RET(-EINVAL, ct_attach_pasid(&b, hwpt, max));
    RET(-EINVAL, ct_attach_pasid(&b, hwpt, INT32_MAX));
    RET(-ENOSPC, ct_attach_pasid(&b, hwpt, 1u << 31));
    RET(-ENOSPC, ct_attach_pasid(&b, hwpt, UINT32_MAX));
    RET(0, ct_attach_pasid(&b, hwpt, 1));
}

/* iommufd_hwpt_pasid_compat(): the table of a PASID */
static void table_without_flag(void)
{
    CtBound b;
    uint32_t ioas, hwpt, plain;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &plain));
    RET(-EINVAL, ct_attach_pasid(&b, plain, 1));
    /* The table made for an IOAS has no flags either */
    RET(-EINVAL, ct_attach_pasid(&b, ioas, 1));
    RET(0, ct_attach_pasid(&b, hwpt, 1));
    /* Nor does replacing take it, and the PASID stays where it is */
    RET(-EINVAL, ct_attach_pasid(&b, plain, 1));
    RET(0, ct_destroy(b.iommufd, plain));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
}

/* iommufd_hwpt_pasid_compat(): the table of the RID beside it */
static void rid_without_flag(void)
{
    CtBound b;
    uint32_t ioas, hwpt, plain;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &plain));
    RET(0, ct_attach(&b, plain));
    RET(-EINVAL, ct_attach_pasid(&b, hwpt, 1));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_attach_pasid(&b, hwpt, 1));
    /* And the other way round: not while a PASID is attached */
    RET(-EINVAL, ct_attach(&b, plain));
    RET(-EINVAL, ct_attach(&b, ioas));
    RET(0, ct_detach(&b));
    RET(-EINVAL, ct_attach(&b, plain));
    RET(-EINVAL, ct_attach(&b, ioas));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_detach_pasid(&b, 1));
    RET(0, ct_attach(&b, plain));
}

/* vfio_iommufd_physical_pasid_attach_ioas(): the second attach replaces */
static void replace(void)
{
    CtBound b;
    uint32_t ioas, one, two;

    if (!open_pasid(&b, CT_PASID, &ioas, &one)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, PASID, &two));
    RET(0, ct_attach_pasid(&b, one, 1));
    RET(0, ct_attach_pasid(&b, one, 1));
    RET(0, ct_attach_pasid(&b, one, 2));
    RET(0, ct_attach_pasid(&b, two, 1));
    RET(-EBUSY, ct_destroy(b.iommufd, one));
    RET(0, ct_attach_pasid(&b, two, 2));
    RET(0, ct_destroy(b.iommufd, one));
    RET(-EBUSY, ct_destroy(b.iommufd, two));
    RET(0, ct_detach_pasid(&b, 1));
    RET(-EBUSY, ct_destroy(b.iommufd, two));
    RET(0, ct_detach_pasid(&b, 2));
    RET(0, ct_detach_pasid(&b, 2));
    RET(0, ct_destroy(b.iommufd, two));
}

/* The RID and the PASIDs are attached and detached independently */
static void independent(void)
{
    CtBound b;
    uint32_t ioas, hwpt, other;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, PASID, &other));
    RET(0, ct_attach_pasid(&b, hwpt, 5));
    RET(0, ct_attach(&b, other));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, other));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_detach_pasid(&b, 5));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/* IOMMU_NO_PASID: xa_insert() of the device in the RID's list */
static void pasid_zero(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_attach(&b, hwpt));
    RET(-EBUSY, ct_attach_pasid(&b, hwpt, 0));
    RET(0, ct_detach_pasid(&b, 0));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
}

/* vfio_iommufd_physical_unbind(): closing detaches every PASID */
static void closing(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!open_pasid(&b, CT_PASID, &ioas, &hwpt)) {
        return;
    }
    for (uint32_t pasid = 1; pasid <= 32; pasid++) {
        RET(0, ct_attach_pasid(&b, hwpt, pasid));
    }
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    ct_close(b.fd);
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* pasid_compat of a nested table and its parent's irrelevance to itself */
static void vtd_nested(void)
{
    CtBound b;
    uint32_t ioas, parent, plain, nested;

    if (!open_pasid(&b, CT_PASID | CT_NEST, &ioas, &parent)) {
        return;
    }
    RET(0, ct_destroy(b.iommufd, parent));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas,
                   IOMMU_HWPT_ALLOC_NEST_PARENT | PASID, &parent));
    RET(0, ct_vtd_s1(b.iommufd, b.id, parent, PASID, 0x10000, 0, &nested));
    RET(0, ct_vtd_s1(b.iommufd, b.id, parent, 0, 0x20000, 0, &plain));
    RET(-EINVAL, ct_attach_pasid(&b, plain, 3));
    RET(0, ct_attach_pasid(&b, nested, 3));
    RET(-EINVAL, ct_attach(&b, plain));
    RET(0, ct_attach(&b, nested));
    RET(0, ct_attach(&b, parent));
    RET(0, ct_attach_pasid(&b, nested, 4));
    RET(0, ct_attach_pasid(&b, parent, 4));
    RET(-EBUSY, ct_destroy(b.iommufd, nested));
    RET(0, ct_detach_pasid(&b, 3));
    RET(0, ct_destroy(b.iommufd, nested));
}

/* __iommu_set_group_pasid() passes devices without PASIDs over */
static void device_without(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!open_pasid(&b, CT_NO_PASID, &ioas, &hwpt)) {
        return;
    }
    RET(0, ct_attach_pasid(&b, hwpt, 1));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_detach_pasid(&b, 1));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/*
 * iommufd_hw_pagetable_attach(), iommufd_device_do_replace(): a group has one
 * table for each PASID, as for its RIDs
 */
static void group_mates(void)
{
    CtBound b, c;
    uint32_t ioas, one, two;

    if (!open_pasid(&b, CT_PASID | CT_MATE, &ioas, &one) ||
        !ct_bound(&c, b.iommufd,
                  ct_device_other(b.dev, CT_PASID | CT_MATE))) {
        return;
    }
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, PASID, &two));
    RET(0, ct_attach_pasid(&b, one, 7));
    RET(-EINVAL, ct_attach_pasid(&c, two, 7));
    RET(0, ct_attach_pasid(&c, one, 7));
    /* Another PASID is another attachment, and so is the RID */
    RET(0, ct_attach_pasid(&c, two, 8));
    RET(-EINVAL, ct_attach_pasid(&b, one, 8));
    RET(0, ct_detach_pasid(&c, 8));
    RET(0, ct_attach_pasid(&b, two, 7));
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_detach_pasid(&b, 7));
    RET(-EBUSY, ct_destroy(b.iommufd, two));
    /* What is not attached follows those that are */
    RET(0, ct_attach_pasid(&b, two, 7));
    RET(0, ct_detach_pasid(&c, 7));
    RET(0, ct_detach_pasid(&c, 7));
    RET(-EBUSY, ct_destroy(b.iommufd, two));
    RET(0, ct_detach_pasid(&b, 7));
    RET(0, ct_destroy(b.iommufd, two));
}

/* Two devices share a table, each under PASIDs of its own */
static void shared_table(void)
{
    CtBound b, c;
    uint32_t ioas, hwpt;

    if (!open_pasid(&b, CT_PASID | CT_DEV2, &ioas, &hwpt) ||
        !ct_bound(&c, b.iommufd,
                  ct_device_other(b.dev, CT_PASID | CT_DEV2))) {
        return;
    }
    if (strcmp(b.dev->iommu, c.dev->iommu)) {
        RET(0, ct_destroy(b.iommufd, hwpt));
        return;
    }
    RET(0, ct_attach_pasid(&b, hwpt, 7));
    RET(0, ct_attach_pasid(&c, hwpt, 7));
    RET(0, ct_attach_pasid(&c, hwpt, 8));
    RET(0, ct_detach_pasid(&b, 7));
    RET(0, ct_detach_pasid(&c, 7));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_detach_pasid(&c, 8));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/*
 * iopf_for_domain_replace() without PRI: a PASID is refused a fault queue as
 * well, and keeps what it has
 */
static void no_pri(void)
{
    CtBound b;
    uint32_t ioas, hwpt, with, fault;
    int qfd;

    if (!open_pasid(&b, CT_PASID | CT_NO_PRI, &ioas, &hwpt) ||
        !RET(0, ct_fault_queue(b.iommufd, &fault, &qfd)) ||
        !RET(0, ct_hwpt_data(b.iommufd, b.id, ioas,
                             PASID | IOMMU_HWPT_FAULT_ID_VALID, 0, NULL, 0,
                             fault, &with))) {
        return;
    }
    RET(-ENODEV, ct_attach_pasid(&b, with, 1));
    RET(0, ct_attach_pasid(&b, hwpt, 1));
    RET(-ENODEV, ct_attach_pasid(&b, with, 1));
    RET(0, ct_destroy(b.iommufd, with));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_detach_pasid(&b, 1));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, CT_DEV | CT_PASID },
    { "the width of PASIDs", width, CT_DEV | CT_PASID },
    { "a table that is not for PASIDs", table_without_flag,
      CT_DEV | CT_PASID },
    { "a RID whose table is not for PASIDs", rid_without_flag,
      CT_DEV | CT_PASID },
    { "attach replaces", replace, CT_DEV | CT_PASID },
    { "RID and PASID are independent", independent, CT_DEV | CT_PASID },
    { "PASID 0", pasid_zero, CT_DEV | CT_PASID },
    { "closing the device", closing, CT_DEV | CT_PASID },
    { "nested tables", vtd_nested, CT_DEV | CT_VTD | CT_NEST | CT_PASID },
    { "a device without PASIDs", device_without, CT_DEV | CT_NO_PASID },
    { "a device without page requests", no_pri,
      CT_DEV | CT_VTD | CT_PASID | CT_NO_PRI },
    { "devices of one group", group_mates, CT_DEV | CT_MATE | CT_PASID },
    { "one table, two devices", shared_table, CT_DEV | CT_DEV2 | CT_PASID },
};

CT_GROUP(ct_group_pasid, "pasid");
