/*
 * virtio devices under test: memory that a guest takes and gives back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_mem.h"
#include "standard-headers/linux/virtio_ring.h"
#include "virtio-rig.h"

#define PATIENCE_US (30 * G_TIME_SPAN_SECOND)

void virtio_rig_drive(VirtioRig *v, QTestState *qts, QPCIBus *bus, int devfn,
                      unsigned num, uint64_t start)
{
    QPCIAddress addr = { .devfn = devfn };
    QVirtioDevice *vdev;
    const uint64_t without = QVIRTIO_F_BAD_FEATURE |
                             1ULL << VIRTIO_RING_F_EVENT_IDX |
                             1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                             1ULL << VIRTIO_F_RING_PACKED;

    *v = (VirtioRig) { .qts = qts, .num = num };
    alloc_init(&v->alloc, 0, start, start + VIRTIO_RIG_SIZE, 4096);
    v->pci = virtio_pci_new(bus, &addr);
    g_assert_nonnull(v->pci);
    vdev = &v->pci->vdev;
    qvirtio_pci_device_enable(v->pci);
    qvirtio_start_device(vdev);
    qvirtio_set_features(vdev, qvirtio_get_features(vdev) & ~without);
    for (unsigned i = 0; i < num; i++) {
        v->vq[i] = qvirtqueue_setup(vdev, &v->alloc, i);
    }
    qvirtio_set_driver_ok(vdev);
    v->buffer = guest_alloc(&v->alloc, 4096);
}

void virtio_rig_free(VirtioRig *v)
{
    for (unsigned i = 0; i < v->num; i++) {
        g_free(v->vq[i]);
    }
    qvirtio_pci_destructor(&v->pci->obj);
    g_free(v->pci);
    alloc_destroy(&v->alloc);
}

void virtio_rig_ask(VirtioRig *v, unsigned q, const void *buf, size_t len,
                    void *answer, size_t room)
{
    uint32_t head;

    g_assert_cmpuint(len, <=, 2048);
    g_assert_cmpuint(room, <=, 2048);
    qtest_memwrite(v->qts, v->buffer, buf, len);
    head = qvirtqueue_add(v->qts, v->vq[q], v->buffer, len, false, room);
    if (room) {
        qvirtqueue_add(v->qts, v->vq[q], v->buffer + 2048, room, true, false);
    }
    qvirtqueue_kick(v->qts, &v->pci->vdev, v->vq[q], head);
    qvirtio_wait_used_elem(v->qts, &v->pci->vdev, v->vq[q], head, NULL,
                           PATIENCE_US);
    qtest_memread(v->qts, v->buffer + 2048, answer, room);
}

void virtio_rig_tell(VirtioRig *v, unsigned q, uint64_t addr, uint32_t len)
{
    uint32_t head = qvirtqueue_add(v->qts, v->vq[q], addr, len, true, false);

    qvirtqueue_kick(v->qts, &v->pci->vdev, v->vq[q], head);
    qvirtio_wait_used_elem(v->qts, &v->pci->vdev, v->vq[q], head, NULL,
                           PATIENCE_US);
}

unsigned virtio_rig_mem(VirtioRig *v, unsigned type, uint64_t addr,
                        unsigned blocks)
{
    struct virtio_mem_req req = {
        .type = cpu_to_le16(type),
        .u.plug = {
            .addr = cpu_to_le64(addr),
            .nb_blocks = cpu_to_le16(blocks),
        },
    };
    struct virtio_mem_resp resp;

    virtio_rig_ask(v, 0, &req, sizeof(req), &resp, sizeof(resp));
    return le16_to_cpu(resp.type);
}

uint64_t virtio_rig_mem_addr(VirtioRig *v)
{
    return qvirtio_config_readq(&v->pci->vdev,
                                offsetof(struct virtio_mem_config, addr));
}
