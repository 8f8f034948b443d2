/*
 * vfio: a device of its own is bound to an iommufd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include "hw/vfio/pci.h"
#include "qapi/error.h"
#include "vfio.h"

/* A VF and its PF share a token where vfio has both */
static const QemuUUID *token_of(VFIODevice *vbasedev)
{
    VFIOPCIDevice *vdev = vfio_pci_from_vfio_device(vbasedev);

    return vdev && !qemu_uuid_is_null(&vdev->vf_token) ? &vdev->vf_token :
                                                         NULL;
}

static const char *token_remedy(int err, bool given)
{
    if (err == EACCES) {
        return given ? "vf-token= is not that of the PF and its VFs" :
               "it is a VF, or the PF of one that is in use, and vfio has "
               "both: give all of them the same vf-token=";
    }
    return err == EINVAL && given ?
           "vf-token= is for a VF whose PF vfio has as well, and for that PF, "
           "and takes Linux 6.17" : NULL;
}

bool iommufd_nested_vfio_bind(VFIODevice *vbasedev,
                              struct vfio_device_bind_iommufd *bind,
                              Error **errp)
{
    const QemuUUID *token = token_of(vbasedev);
    const char *remedy;
    int err;

    if (token) {
        bind->flags |= VFIO_DEVICE_BIND_FLAG_TOKEN;
        bind->token_uuid_ptr = (uintptr_t)token->data;
    }
    if (!ioctl(vbasedev->fd, VFIO_DEVICE_BIND_IOMMUFD, bind)) {
        return true;
    }
    err = errno;
    remedy = token_remedy(err, token);
    error_setg_errno(errp, err, "error bind device fd=%d to iommufd=%d%s%s",
                     vbasedev->fd, bind->iommufd, remedy ? ": " : "",
                     remedy ?: "");
    return false;
}
