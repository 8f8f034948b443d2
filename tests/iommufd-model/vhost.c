/*
 * Model of /dev/iommu: a vhost device without a kernel
 *
 * What a vhost or vDPA device has of translation goes by read(2) and write(2).
 * With host vhost=on any descriptor takes the calls of vhost, and those that
 * are asked of a tap interface: a test gives QEMU one end of a socket, and the
 * device is what it does at the other end. Features are those that translation
 * needs; rings are accepted, and nobody works on them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "objects.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#define FEATURES (1ULL << VIRTIO_F_VERSION_1 |          \
                  1ULL << VIRTIO_F_ACCESS_PLATFORM |    \
                  1ULL << VHOST_NET_F_VIRTIO_NET_HDR)
#define RING_MAX 256

static uint8_t status;

bool mdl_vhost_knows(unsigned long req)
{
    return mdl_config.active && mdl_host.vhost &&
           (_IOC_TYPE(req) == VHOST_VIRTIO ||
            (_IOC_TYPE(req) == 'T' && _IOC_DIR(req) != _IOC_NONE));
}

static int put(void *arg, const void *value, size_t len)
{
    return mdl_copy_to(arg, value, len) ? -EFAULT : 0;
}

int mdl_vhost_ioctl(unsigned long req, void *arg)
{
    const struct vhost_vdpa_iova_range range = { .last = UINT64_MAX };
    const struct ifreq tap = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    const struct vhost_vring_state base = {};
    const uint64_t features = FEATURES;
    const uint64_t messages = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2;
    const uint32_t net = VIRTIO_ID_NET;
    const uint16_t ring = RING_MAX;

    switch (req) {
    case VHOST_GET_FEATURES:
        return put(arg, &features, sizeof(features));
    case VHOST_GET_BACKEND_FEATURES:
        return put(arg, &messages, sizeof(messages));
    case VHOST_GET_VRING_BASE:
        return put(arg, &base, sizeof(base));
    case VHOST_VDPA_GET_DEVICE_ID:
        return put(arg, &net, sizeof(net));
    case VHOST_VDPA_GET_STATUS:
        return put(arg, &status, sizeof(status));
    case VHOST_VDPA_SET_STATUS:
        return mdl_copy_from(&status, arg, sizeof(status)) ? -EFAULT : 0;
    case VHOST_VDPA_GET_VRING_NUM:
        return put(arg, &ring, sizeof(ring));
    case VHOST_VDPA_GET_IOVA_RANGE:
        return put(arg, &range, sizeof(range));
    case TUNGETIFF:
        return put(arg, &tap, sizeof(tap));
    case VHOST_SET_OWNER:
    case VHOST_RESET_OWNER:
    case VHOST_SET_FEATURES:
    case VHOST_SET_BACKEND_FEATURES:
    case VHOST_SET_MEM_TABLE:
    case VHOST_SET_VRING_NUM:
    case VHOST_SET_VRING_BASE:
    case VHOST_SET_VRING_ADDR:
    case VHOST_SET_VRING_KICK:
    case VHOST_SET_VRING_CALL:
    case VHOST_SET_VRING_ERR:
    case VHOST_NET_SET_BACKEND:
    case VHOST_VDPA_GET_CONFIG:
    case VHOST_VDPA_SET_CONFIG:
    case VHOST_VDPA_SET_CONFIG_CALL:
    case VHOST_VDPA_SET_VRING_ENABLE:
    case TUNSETOFFLOAD:
    case TUNSETSNDBUF:
    case TUNSETSTEERINGEBPF:
    case TUNSETVNETHDRSZ:
        return 0;
    default:
        return -ENOTTY;
    }
}
