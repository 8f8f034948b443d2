/*
 * An emulated disk that translates in a thread of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "nested-rig.h"
#include "thread-rig.h"

#define PAGE            4096
#define HEADER          0           /* in the page of a request */
#define STATUS          16
#define DATA            512
#define DATA_SIZE       2048
#define STATUS_NONE     0xff

#define WAIT_TRIES      2000        /* of a millisecond */

static void set_up(ThreadRig *t)
{
    QVirtioDevice *vdev = &t->pci->vdev;
    uint64_t features;

    qvirtio_start_device(vdev);
    features = qvirtio_get_features(vdev);
    g_assert_true(features >> VIRTIO_F_ACCESS_PLATFORM & 1);
    qvirtio_set_features(vdev, features &
                         ~(QVIRTIO_F_BAD_FEATURE |
                           1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                           1ULL << VIRTIO_RING_F_EVENT_IDX));
    t->vq = qvirtqueue_setup(vdev, &t->alloc, 0);
    qvirtio_set_driver_ok(vdev);
}

void thread_rig_start(ThreadRig *t, QTestState *qts, QPCIBus *bus,
                      uint64_t bar, uint64_t mem)
{
    thread_rig_start_at(t, qts, bus, THREAD_RID, bar, mem);
}

void thread_rig_start_at(ThreadRig *t, QTestState *qts, QPCIBus *bus,
                         uint16_t rid, uint64_t bar, uint64_t mem)
{
    QPCIAddress addr = { .devfn = rid };

    *t = (ThreadRig) { .qts = qts, .bus = bus };
    bus->mmio_alloc_ptr = bar;
    alloc_init(&t->alloc, 0, mem, mem + THREAD_MEM, PAGE);
    t->buffers = guest_alloc(&t->alloc, THREAD_REQUESTS * PAGE);
    t->pci = virtio_pci_new(bus, &addr);
    qvirtio_pci_device_enable(t->pci);
    set_up(t);
}

void thread_rig_stop(ThreadRig *t)
{
    qvirtio_pci_device_disable(t->pci);
    thread_rig_gone(t);
}

void thread_rig_gone(ThreadRig *t)
{
    qvirtqueue_cleanup(t->pci->vdev.bus, t->vq, &t->alloc);
    qvirtio_pci_destructor(&t->pci->obj);
    g_free(t->pci);
    guest_free(&t->alloc, t->buffers);
    alloc_destroy(&t->alloc);
}

void thread_rig_pull(QTestState *qts, QPCIBus *bus, uint64_t ecam,
                     uint16_t port, uint64_t bar, uint64_t mem,
                     void (*invalidate)(void *opaque), void *opaque)
{
    ThreadRig t;

    nested_rig_number(qts, ecam, port, 1);
    nested_rig_config_write(qts, ecam, port, PCI_MEMORY_BASE, bar >> 16 | bar);
    nested_rig_config_write(qts, ecam, port, PCI_COMMAND,
                            PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 6; i++) {
        qtest_qmp_device_add(qts, "virtio-blk-pci", "disk", THREAD_HOT_DISK);
        nested_rig_power(qts, ecam, port);
        thread_rig_start_at(&t, qts, bus, 0x100, bar, mem);
        thread_rig_submit(&t);
        g_assert_true(thread_rig_wait(&t));
        thread_rig_submit(&t);
        if (i % 2) {
            invalidate(opaque);
        }
        nested_rig_unplug(qts, ecam, port, "disk");
        invalidate(opaque);
        thread_rig_gone(&t);
    }
}

void thread_rig_reset(ThreadRig *t)
{
    qvirtio_reset(&t->pci->vdev);
    qvirtqueue_cleanup(t->pci->vdev.bus, t->vq, &t->alloc);
    set_up(t);
}

void thread_rig_kick(ThreadRig *t)
{
    t->pci->vdev.bus->virtqueue_kick(&t->pci->vdev, t->vq);
}

void thread_rig_submit(ThreadRig *t)
{
    const struct virtio_blk_outhdr in = {
        .type = cpu_to_le32(VIRTIO_BLK_T_IN),
    };

    uint16_t avail = qtest_readw(t->qts, t->vq->avail + 2);

    /* All descriptors are free, and the disk is told of all requests at once */
    t->vq->free_head = 0;
    t->vq->num_free = t->vq->size;
    for (unsigned i = 0; i < THREAD_REQUESTS; i++) {
        uint64_t page = t->buffers + i * PAGE;
        uint32_t head;

        qtest_memwrite(t->qts, page + HEADER, &in, sizeof(in));
        qtest_writeb(t->qts, page + STATUS, STATUS_NONE);
        head = qvirtqueue_add(t->qts, t->vq, page + HEADER, sizeof(in), false,
                              true);
        qvirtqueue_add(t->qts, t->vq, page + DATA, DATA_SIZE, true, true);
        qvirtqueue_add(t->qts, t->vq, page + STATUS, 1, true, false);
        qtest_writew(t->qts, t->vq->avail + 4 +
                     (uint16_t)(avail + i) % t->vq->size * 2, head);
    }
    qtest_writew(t->qts, t->vq->avail + 2, avail + THREAD_REQUESTS);
    thread_rig_kick(t);
}

bool thread_rig_wait(ThreadRig *t)
{
    unsigned done = 0;

    for (unsigned tries = 0; tries < WAIT_TRIES; tries++) {
        while (qvirtqueue_get_buf(t->qts, t->vq, NULL, NULL)) {
            done++;
        }
        if (done == THREAD_REQUESTS) {
            return true;
        }
        g_usleep(1000);
    }
    return false;
}
