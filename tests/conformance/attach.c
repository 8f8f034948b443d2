/*
 * Conformance of /dev/iommu: attaching, replacing and detaching devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "conformance.h"

#define GIB (1ull << 30)

/* vfio_df_ioctl_attach_pt(): arguments */
static void arguments(void)
{
    CtBound b;
    uint32_t ioas;
    struct vfio_device_attach_iommufd_pt cmd = {
        .argsz = offsetof(struct vfio_device_attach_iommufd_pt, pt_id) + 3,
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    cmd.pt_id = ioas;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
    cmd.argsz = sizeof(cmd);
    cmd.flags = 1u << 1;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
    RET(-EFAULT, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
    RET(-ENOENT, ct_attach(&b, CT_NO_ID));
    RET(-ENOENT, ct_attach(&b, 0));
    /* An object, but no page table: iommufd_device_change_pt() */
    RET(-EINVAL, ct_attach(&b, b.id));
    /* The PASID came later; without it the structure is complete */
    cmd.flags = 0;
    cmd.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid);
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
}

/* vfio_df_ioctl_detach_pt(): arguments; nothing attached is no error */
static void detach_arguments(void)
{
    CtBound b;
    struct vfio_device_detach_iommufd_pt cmd = { .argsz = 7 };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd));
    cmd.argsz = sizeof(cmd);
    cmd.flags = 1u << 1;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd));
    RET(0, ct_detach(&b));
    cmd.flags = 0;
    cmd.argsz = 8;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd));
}

/* iommufd_device_auto_get_domain(): a table made for the attach */
static void auto_domain(void)
{
    CtBound b;
    uint32_t ioas, pt, hwpt;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    pt = ioas;
    RET(0, ct_attach_out(&b, &pt));
    OK(pt != ioas && pt != 0);
    RET(-EBUSY, ct_destroy(b.iommufd, ioas));
    RET(-EBUSY, ct_destroy(b.iommufd, pt));
    RET(0, ct_detach(&b));
    /* It goes with the last device */
    RET(-ENOENT, ct_destroy(b.iommufd, pt));
    RET(-ENOENT, ct_attach(&b, pt));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_destroy(b.iommufd, ioas));
}

/* A table made by hand is never chosen for an IOAS */
static void manual_not_chosen(void)
{
    CtBound b;
    uint32_t ioas, hwpt, pt;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    pt = ioas;
    RET(0, ct_attach_out(&b, &pt));
    OK(pt != hwpt);
    RET(0, ct_detach(&b));
    pt = hwpt;
    RET(0, ct_attach_out(&b, &pt));
    EQ(hwpt, pt);
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_detach(&b));
    /* Made by hand it stays until destroyed by hand */
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/* vfio_iommufd_physical_attach_ioas(): the second attach replaces */
static void replace(void)
{
    CtBound b;
    uint32_t ioas, other, a, c, pt;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &a));
    RET(0, ct_hwpt(b.iommufd, b.id, other, 0, &c));
    RET(0, ct_attach(&b, a));
    RET(0, ct_attach(&b, a));
    RET(-EBUSY, ct_destroy(b.iommufd, a));
    RET(0, ct_attach(&b, c));
    RET(0, ct_destroy(b.iommufd, a));
    RET(-EBUSY, ct_destroy(b.iommufd, c));
    RET(0, ct_destroy(b.iommufd, ioas));
    /* An IOAS replaces too, and its table goes when replaced in turn */
    ioas = ct_ioas(b.iommufd);
    pt = ioas;
    RET(0, ct_attach_out(&b, &pt));
    RET(-EBUSY, ct_destroy(b.iommufd, pt));
    RET(0, ct_attach(&b, c));
    RET(-ENOENT, ct_destroy(b.iommufd, pt));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, c));
}

/* iommufd_group_do_replace_reserved_iova(): a failed replace changes nothing */
static void replace_fails(void)
{
    CtBound b;
    uint32_t ioas, other, hwpt, pt;
    uint64_t page = ct_page();
    bool vtd;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    vtd = b.dev->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD;
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_map(b.iommufd, other, ct_mem(page), page,
                  vtd ? 0xfee00000 : 0x8000000, CT_RW));
    RET(-EADDRINUSE, ct_attach(&b, other));
    RET(-ENOENT, ct_attach(&b, CT_NO_ID));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_destroy(b.iommufd, other));
    pt = hwpt;
    RET(0, ct_attach_out(&b, &pt));
    EQ(hwpt, pt);
}

/* Reserved ranges follow the device: iommufd_device_do_replace() */
static void replace_ranges(void)
{
    CtBound b;
    uint32_t ioas, other, a, c;
    uint64_t first;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    first = b.dev->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD ?
            0xfee00000 : 0x8000000;
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &a));
    RET(0, ct_hwpt(b.iommufd, b.id, other, 0, &c));
    RET(0, ct_attach(&b, a));
    OK(!ct_range_covers(b.iommufd, ioas, first, first));
    OK(ct_range_covers(b.iommufd, other, first, first));
    RET(0, ct_attach(&b, c));
    OK(ct_range_covers(b.iommufd, ioas, first, first));
    OK(!ct_range_covers(b.iommufd, other, first, first));
}

/* One table, two devices; and auto domains are shared where they fit */
static void two_devices(void)
{
    CtBound b, c;
    uint32_t ioas, pb, pc, hwpt;
    bool same;

    if (!ct_bound_new(&b, CT_DEV2) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_DEV2))) {
        return;
    }
    same = *b.dev->iommu && !strcmp(b.dev->iommu, c.dev->iommu);
    OK(b.id != c.id);
    ioas = ct_ioas(b.iommufd);
    pb = pc = ioas;
    RET(0, ct_attach_out(&b, &pb));
    RET(0, ct_attach_out(&c, &pc));
    if (same) {
        EQ(pb, pc);
        RET(0, ct_detach(&b));
        RET(-EBUSY, ct_destroy(b.iommufd, pc));
        RET(0, ct_detach(&c));
        RET(-ENOENT, ct_destroy(b.iommufd, pc));
        RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
        RET(0, ct_attach(&b, hwpt));
        RET(0, ct_attach(&c, hwpt));
        RET(0, ct_detach(&b));
        RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
        RET(0, ct_detach(&c));
        RET(0, ct_destroy(b.iommufd, hwpt));
    }
}

/*
 * arm_smmu_attach_dev(): a domain belongs to one SMMU.
 * paging_domain_compatible(): VT-d asks whether the unit could do it.
 */
static void two_iommus(void)
{
    CtBound b, c;
    uint32_t ioas, hwpt, pb, pc;

    if (!ct_bound_new(&b, CT_IOMMU2) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_IOMMU2))) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    if (b.dev->info_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
        RET(-EINVAL, ct_attach(&c, hwpt));
    } else if (!memcmp(&b.dev->info, &c.dev->info,
                       sizeof(b.dev->info.vtd))) {
        RET(0, ct_attach(&c, hwpt));
        RET(0, ct_detach(&c));
    }
    /* By way of the IOAS it always works, with a second table if need be */
    RET(0, ct_detach(&b));
    pb = pc = ioas;
    RET(0, ct_attach_out(&b, &pb));
    RET(0, ct_attach_out(&c, &pc));
    if (b.dev->info_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
        OK(pb != pc);
    }
}

/* The same refusal on replace keeps what was attached */
static void two_iommus_replace(void)
{
    CtBound b, c;
    uint32_t ioas, hb, hc, pt;

    if (!ct_bound_new(&b, CT_IOMMU2) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_IOMMU2))) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hb));
    RET(0, ct_hwpt(b.iommufd, c.id, ioas, 0, &hc));
    RET(0, ct_attach(&b, hb));
    RET(-EINVAL, ct_attach(&b, hc));
    RET(-EBUSY, ct_destroy(b.iommufd, hb));
    RET(0, ct_destroy(b.iommufd, hc));
    pt = hb;
    RET(0, ct_attach_out(&b, &pt));
    EQ(hb, pt);
}

/* iommufd_hw_pagetable_attach(): a group has one table */
static void group_mates(void)
{
    CtBound b, c;
    uint32_t ioas, one, two;

    if (!ct_bound_new(&b, CT_MATE) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_MATE))) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &one));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &two));
    RET(0, ct_attach(&b, one));
    RET(-EINVAL, ct_attach(&c, two));
    RET(0, ct_attach(&c, one));
    /* Replacing for one is replacing for all of them */
    RET(0, ct_attach(&b, two));
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_detach(&b));
    RET(-EBUSY, ct_destroy(b.iommufd, two));
    RET(0, ct_detach(&c));
    RET(0, ct_destroy(b.iommufd, two));
}

/* Only a device that is attached takes the others along; detached it may not */
static void group_latecomer(void)
{
    CtBound b, c;
    uint32_t ioas, one, two;

    if (!ct_bound_new(&b, CT_MATE) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_MATE))) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &one));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &two));
    RET(0, ct_attach(&b, one));
    RET(0, ct_attach(&c, one));
    RET(0, ct_detach(&b));
    /* The other one still has it */
    RET(-EINVAL, ct_attach(&b, two));
    RET(-EINVAL, ct_attach(&b, ioas));
    RET(0, ct_attach(&b, one));
    RET(0, ct_detach(&b));
    RET(0, ct_attach(&c, two));
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_attach(&b, two));
    RET(0, ct_detach(&b));
    RET(0, ct_detach(&b));
    RET(0, ct_detach(&c));
    RET(0, ct_destroy(b.iommufd, two));
}

/* A device's file leads to its group, whoever opened it */
static void group_of_file(void)
{
    char path[64], target[256];
    struct stat st;
    ssize_t n;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(0, fstat(b.fd, &st));
    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device/iommu_group",
             major(st.st_rdev), minor(st.st_rdev));
    n = readlink(path, target, sizeof(target) - 1);
    EQ(1, n > 0);
    if (n > 0) {
        target[n] = '\0';
        EQ(0, strcmp(strrchr(target, '/') + 1, b.dev->group));
    }
}

/* iommu_device_claim_dma_owner(): a group has one owner */
static void group_owner(void)
{
    CtBound b;
    const CtDevice *mate;
    uint32_t id;
    int other = ct_open_iommufd(), fd;

    if (!ct_bound_new(&b, CT_MATE)) {
        return;
    }
    mate = ct_device_other(b.dev, CT_MATE);
    fd = ct_open_cdev(mate);
    RET(-EPERM, ct_bind(fd, other, &id));
    RET(0, ct_bind(fd, b.iommufd, &id));
    ct_close(fd);
    ct_close(b.fd);
    fd = ct_open_cdev(mate);
    RET(0, ct_bind(fd, other, &id));
}

/* A table of another iommufd has no meaning here */
static void foreign_table(void)
{
    CtBound b;
    int other = ct_open_iommufd();
    uint32_t id = 0;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    /* An id high enough that the device's own iommufd does not have it */
    for (unsigned i = 0; i < 16; i++) {
        id = ct_ioas(other);
    }
    RET(-ENOENT, ct_attach(&b, id));
}

static const CtScenario scenarios[] = {
    { "attach: arguments", arguments, CT_DEV },
    { "detach: arguments", detach_arguments, CT_DEV },
    { "an IOAS gets a table of its own", auto_domain, CT_DEV },
    { "tables made by hand are not chosen", manual_not_chosen, CT_DEV },
    { "attach replaces", replace, CT_DEV },
    { "a failed replace changes nothing", replace_fails, CT_DEV },
    { "reserved ranges follow the device", replace_ranges, CT_DEV },
    { "one table for two devices", two_devices, CT_DEV | CT_DEV2 },
    { "devices behind two IOMMUs", two_iommus, CT_DEV | CT_IOMMU2 },
    { "replace by a table of another SMMU", two_iommus_replace,
      CT_DEV | CT_IOMMU2 | CT_SMMUV3 },
    { "devices of one group", group_mates, CT_DEV | CT_MATE },
    { "one of a group comes later", group_latecomer, CT_DEV | CT_MATE },
    { "the group of a device's file", group_of_file, CT_DEV },
    { "a group has one owner", group_owner, CT_DEV | CT_MATE },
    { "ids of another iommufd", foreign_table, CT_DEV },
};

CT_GROUP(ct_group_attachment, "attach");
