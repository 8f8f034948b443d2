/*
 * A vhost device under test: its IOTLB messages are the test's
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <sys/socket.h>
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "vhost-rig.h"

#define PATIENCE_MS 10000

/* QEMU inherits the second end */
static void pair(int fds[2])
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), ==, 0);
    g_assert_cmpint(fcntl(fds[0], F_SETFD, FD_CLOEXEC), ==, 0);
}

static char *device(const char *netdev, const char *props)
{
    return g_strdup_printf("-netdev %s,id=vhost0 -device virtio-net-pci,"
                           "netdev=vhost0,disable-legacy=on,iommu_platform=on,"
                           "%s ", netdev, props);
}

char *vhost_rig_net(VhostRig *v, const char *props)
{
    g_autofree char *netdev = NULL;

    *v = (VhostRig) {};
    pair(v->sock);
    pair(v->tap);
    netdev = g_strdup_printf("tap,fd=%d,vhost=on,vhostfd=%d", v->tap[1],
                             v->sock[1]);
    return device(netdev, props);
}

char *vhost_rig_vdpa(VhostRig *v, const char *props)
{
    g_autofree char *netdev = NULL;

    *v = (VhostRig) { .tap = { -1, -1 } };
    pair(v->sock);
    netdev = g_strdup_printf("vhost-vdpa,vhostfd=%d", v->sock[1]);
    return device(netdev, props);
}

void vhost_rig_drive(VhostRig *v, QPCIBus *bus, int devfn,
                     uint64_t start, uint64_t end)
{
    QPCIAddress addr = { .devfn = devfn };
    uint64_t features;

    alloc_init(&v->alloc, 0, start, end, 4096);
    v->pci = virtio_pci_new(bus, &addr);
    g_assert_nonnull(v->pci);
    qvirtio_pci_device_enable(v->pci);
    qvirtio_start_device(&v->pci->vdev);
    features = qvirtio_get_features(&v->pci->vdev);
    g_assert_true(features >> VIRTIO_F_ACCESS_PLATFORM & 1);
    qvirtio_set_features(&v->pci->vdev, 1ULL << VIRTIO_F_ACCESS_PLATFORM |
                         1ULL << VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < ARRAY_SIZE(v->vq); i++) {
        v->vq[i] = qvirtqueue_setup(&v->pci->vdev, &v->alloc, i);
    }
    qvirtio_set_driver_ok(&v->pci->vdev);
}

void vhost_rig_free(VhostRig *v)
{
    if (v->pci) {
        for (unsigned i = 0; i < ARRAY_SIZE(v->vq); i++) {
            g_free(v->vq[i]);
        }
        qvirtio_pci_destructor(&v->pci->obj);
        g_free(v->pci);
        alloc_destroy(&v->alloc);
    }
    for (unsigned i = 0; i < 2; i++) {
        close(v->sock[i]);
        if (v->tap[i] >= 0) {
            close(v->tap[i]);
        }
    }
}

static bool readable(VhostRig *v, int timeout_ms)
{
    struct pollfd p = { .fd = v->sock[0], .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

void vhost_rig_next(VhostRig *v, unsigned type, struct vhost_iotlb_msg *iotlb)
{
    struct vhost_msg_v2 msg;

    g_assert_true(readable(v, PATIENCE_MS));
    g_assert_cmpint(read(v->sock[0], &msg, sizeof(msg)), ==, sizeof(msg));
    g_assert_cmpuint(msg.type, ==, VHOST_IOTLB_MSG_V2);
    if (type) {
        g_assert_cmpuint(msg.iotlb.type, ==, type);
    }
    *iotlb = msg.iotlb;
}

bool vhost_rig_more(VhostRig *v)
{
    return readable(v, 0);
}

void vhost_rig_miss(VhostRig *v, uint64_t iova, unsigned perm)
{
    struct vhost_msg_v2 msg = {
        .type = VHOST_IOTLB_MSG_V2,
        .iotlb = {
            .iova = iova,
            .perm = perm,
            .type = VHOST_IOTLB_MISS,
        },
    };

    g_assert_cmpint(write(v->sock[0], &msg, sizeof(msg)), ==, sizeof(msg));
}
