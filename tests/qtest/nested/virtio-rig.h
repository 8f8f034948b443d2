/*
 * virtio devices under test: memory that a guest takes and gives back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VIRTIO_RIG_H
#define TESTS_QTEST_VIRTIO_RIG_H

#include "../libqos/virtio-pci.h"

/* Of memory that the test has no other use for */
#define VIRTIO_RIG_SIZE 0x20000

typedef struct VirtioRig {
    QTestState *qts;
    QGuestAllocator alloc;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq[4];
    unsigned num;
    uint64_t buffer;
} VirtioRig;

/*
 * A driver finds the device at @devfn of bus 0 and starts it with all features
 * and @num queues, which are at @start; or after a reset of the machine
 */
void virtio_rig_drive(VirtioRig *v, QTestState *qts, QPCIBus *bus, int devfn,
                      unsigned num, uint64_t start);
void virtio_rig_free(VirtioRig *v);

/* @len bytes at @buf to queue @q; returns with an answer of at most @room */
void virtio_rig_ask(VirtioRig *v, unsigned q, const void *buf, size_t len,
                    void *answer, size_t room);

/* Queue @q is told of [@addr, @addr + @len), and the device has looked at it */
void virtio_rig_tell(VirtioRig *v, unsigned q, uint64_t addr, uint32_t len);

/* virtio-mem: VIRTIO_MEM_REQ_* and the answer, VIRTIO_MEM_RESP_* */
unsigned virtio_rig_mem(VirtioRig *v, unsigned type, uint64_t addr,
                        unsigned blocks);
/* Where its memory is */
uint64_t virtio_rig_mem_addr(VirtioRig *v);

#endif
