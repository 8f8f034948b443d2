/*
 * Conformance of /dev/iommu: resetting devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

/* vfio_pci_ioctl_reset(): works where GET_INFO says so */
static void reset(void)
{
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(b.dev->reset ? 0 : -EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_RESET, NULL));
}

/* pci_dev_reset_iommu_done(): what was attached is attached again */
static void keeps_attachment(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!ct_bound_new(&b, CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_RESET, NULL));
    RET(-EBUSY, ct_destroy(b.iommufd, hwpt));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, hwpt));
}

/* vfio_pci_core_enable() clears bus mastering, and so does a reset */
static void config_after(void)
{
    CtBound b;
    uint8_t cmd[2];
    uint64_t off;

    if (!ct_bound_new(&b, CT_RESET)) {
        return;
    }
    off = ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX) + 4;
    RET(2, ct_pread(b.fd, cmd, 2, off));
    EQ(0, cmd[0] & 4);
}

static void window(const CtBound *b, const char *which)
{
    OK(ct_json_true(ct_model("{\"cmd\":\"reset-%s\",\"dev\":\"%s\"}", which,
                             b->dev->bdf), "ok"));
}

/* group->recovery_cnt: __iommu_group_set_domain_internal() */
static void busy(void)
{
    CtBound b;
    uint32_t ioas, one, two;

    if (!ct_bound_new(&b, CT_ATS | CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &one));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &two));
    window(&b, "begin");
    RET(-EBUSY, ct_attach(&b, one));
    RET(-EBUSY, ct_attach(&b, ioas));
    window(&b, "end");
    RET(0, ct_attach(&b, one));
    window(&b, "begin");
    RET(-EBUSY, ct_attach(&b, two));
    RET(-EBUSY, ct_attach(&b, ioas));
    /* To stay where it is asks nothing of the hardware */
    RET(0, ct_attach(&b, one));
    RET(-EBUSY, ct_destroy(b.iommufd, one));
    RET(0, ct_destroy(b.iommufd, two));
    window(&b, "end");
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_destroy(b.iommufd, one));
}

/* Detaching must succeed: IOMMU_SET_DOMAIN_MUST_SUCCEED */
static void detach_while_busy(void)
{
    CtBound b;
    uint32_t ioas, hwpt;

    if (!ct_bound_new(&b, CT_ATS | CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    window(&b, "begin");
    RET(0, ct_detach(&b));
    RET(0, ct_destroy(b.iommufd, hwpt));
    window(&b, "end");
}

/* iommu_attach_device_pasid(), iommu_replace_device_pasid() */
static void busy_pasid(void)
{
    CtBound b;
    uint32_t ioas, one, two;

    if (!ct_bound_new(&b, CT_ATS | CT_RESET | CT_PASID)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_PASID, &one));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_PASID, &two));
    RET(0, ct_attach_pasid(&b, one, 1));
    window(&b, "begin");
    RET(-EBUSY, ct_attach_pasid(&b, one, 2));
    RET(-EBUSY, ct_attach_pasid(&b, two, 1));
    RET(0, ct_detach_pasid(&b, 1));
    window(&b, "end");
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_attach_pasid(&b, two, 1));
}

/* recovery_cnt is the group's: a sibling is refused too */
static void busy_sibling(void)
{
    CtBound b, c;
    uint32_t ioas;

    if (!ct_bound_new(&b, CT_MATE | CT_ATS | CT_RESET) ||
        !ct_bound(&c, b.iommufd, ct_device_other(b.dev, CT_MATE))) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    window(&b, "begin");
    RET(-EBUSY, ct_attach(&c, ioas));
    window(&b, "end");
    RET(0, ct_attach(&c, ioas));
}

/* pci_dev_reset_iommu_prepare(): nothing to it without pci_ats_supported() */
static void not_busy(void)
{
    CtBound b;
    uint32_t one, two;

    if (!ct_bound_new(&b, CT_NO_ATS | CT_RESET)) {
        return;
    }
    one = ct_ioas(b.iommufd);
    two = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, one));
    window(&b, "begin");
    RET(0, ct_attach(&b, two));
    window(&b, "end");
    RET(0, ct_destroy(b.iommufd, one));
    RET(0, ct_attach(&b, two));
}

static const CtScenario scenarios[] = {
    { "reset where it is offered", reset, CT_DEV },
    { "reset keeps what is attached", keeps_attachment, CT_DEV | CT_RESET },
    { "bus mastering is off after bind", config_after, CT_DEV | CT_RESET },
    { "attach during a reset", busy, CT_DEV | CT_ATS | CT_RESET | CT_MODEL },
    { "attach during a reset without ATS", not_busy,
      CT_DEV | CT_NO_ATS | CT_RESET | CT_MODEL },
    { "detach during a reset", detach_while_busy,
      CT_DEV | CT_ATS | CT_RESET | CT_MODEL },
    { "PASIDs during a reset", busy_pasid,
      CT_DEV | CT_ATS | CT_RESET | CT_PASID | CT_MODEL },
    { "a group during a reset", busy_sibling,
      CT_DEV | CT_MATE | CT_ATS | CT_RESET | CT_MODEL },
};

CT_GROUP(ct_group_reset, "reset");
