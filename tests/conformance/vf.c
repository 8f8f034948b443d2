/*
 * Conformance of /dev/iommu: a device that vfio has along with a VF of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include <string.h>
#include "conformance.h"

typedef struct Token {
    uint8_t byte[16];
} Token;

static const Token one = { "one token of all" };
static const Token two = { "another of these" };

static int bind(int fd, int iommufd, const Token *token)
{
    struct vfio_device_bind_iommufd cmd = {
        .argsz = sizeof(cmd),
        .flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
        .iommufd = iommufd,
        .token_uuid_ptr = (uintptr_t)token,
    };

    return ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

/* vfio_df_check_token(), vfio_pci_core_match_token_uuid() */
static void by_bind(void)
{
    int iommufd = ct_open_iommufd();
    int pf = ct_open_cdev(&ct.pf), vf = ct_open_cdev(&ct.vf);

    RET(-EFAULT, bind(vf, iommufd, (const Token *)8));
    RET(-EACCES, bind(vf, iommufd, NULL));
    RET(-EACCES, bind(vf, iommufd, &two));
    /* While no VF is in use, the PF's token is that of all */
    RET(0, bind(pf, iommufd, &one));
    RET(-EACCES, bind(vf, iommufd, &two));
    RET(0, bind(vf, iommufd, &one));
    ct_close(pf);
    pf = ct_open_cdev(&ct.pf);
    RET(-EACCES, bind(pf, iommufd, NULL));
    RET(-EACCES, bind(pf, iommufd, &two));
    RET(0, bind(pf, iommufd, &one));
    ct_close(vf);
    ct_close(pf);
    /* It stays; the PF alone needs none */
    vf = ct_open_cdev(&ct.vf);
    RET(0, bind(vf, iommufd, &one));
    ct_close(vf);
    pf = ct_open_cdev(&ct.pf);
    RET(0, bind(pf, iommufd, NULL));
    /* Whoever has the PF may change it, whether there are VFs in use or not */
    vf = ct_open_cdev(&ct.vf);
    RET(0, bind(vf, iommufd, &one));
}

static int feature(int fd, uint32_t op, const Token *token, uint32_t size)
{
    struct {
        struct vfio_device_feature f;
        Token token;
    } set = {
        .f.argsz = sizeof(set.f) + size,
        .f.flags = VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | op,
        .token = *token,
    };

    return ct_ioctl(fd, VFIO_DEVICE_FEATURE, &set);
}

/* vfio_pci_core_feature_token(): it is set, and never told */
static void by_feature(void)
{
    int iommufd = ct_open_iommufd();
    int pf = ct_open_cdev(&ct.pf), vf = ct_open_cdev(&ct.vf);

    RET(0, bind(pf, iommufd, &one));
    RET(0, bind(vf, iommufd, &one));
    RET(-ENOTTY, feature(vf, VFIO_DEVICE_FEATURE_SET, &two, sizeof(two)));
    RET(-EINVAL, feature(pf, VFIO_DEVICE_FEATURE_GET, &two, sizeof(two)));
    RET(-EINVAL, feature(pf, VFIO_DEVICE_FEATURE_SET, &two, 15));
    RET(0, feature(pf, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
                   &two, 0));
    RET(0, feature(pf, VFIO_DEVICE_FEATURE_SET, &two, sizeof(two)));
    /* Those that are in use stay that */
    ct_close(vf);
    vf = ct_open_cdev(&ct.vf);
    RET(-EACCES, bind(vf, iommufd, &one));
    RET(0, bind(vf, iommufd, &two));
}

/* What has nothing to do with a VF takes no token */
static void no_vf(void)
{
    int iommufd = ct_open_iommufd(), fd = ct_open_cdev(ct_device(CT_DEV));

    if (!strcmp(ct_device(CT_DEV)->bdf, ct.pf.bdf)) {
        return;
    }
    RET(-EFAULT, bind(fd, iommufd, (const Token *)8));
    RET(-EINVAL, bind(fd, iommufd, &one));
    RET(0, bind(fd, iommufd, NULL));
    RET(-ENOTTY, feature(fd, VFIO_DEVICE_FEATURE_SET, &one, sizeof(one)));
}

static const CtScenario scenarios[] = {
    { "tokens: bind", by_bind, CT_VF },
    { "tokens: the feature", by_feature, CT_VF },
    { "tokens: neither PF nor VF", no_vf, CT_DEV | CT_VF },
};

CT_GROUP(ct_group_vf, "vf");
