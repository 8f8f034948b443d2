/*
 * An emulated disk that translates in a thread of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_NESTED_THREAD_RIG_H
#define TESTS_QTEST_NESTED_THREAD_RIG_H

#include "../libqos/virtio-pci.h"

#define THREAD_SLOT     7
#define THREAD_RID      (THREAD_SLOT << 3)

/* Options of QEMU */
#define THREAD_DISK     THREAD_BACKEND \
                        "-device virtio-blk-pci,drive=null0,iothread=io0," \
                        "bus=pcie.0,addr=7,disable-legacy=on," \
                        "iommu_platform=on"

/* The same with device_add, into the port "rp0" */
#define THREAD_HOT_DISK "{'drive': 'null0', 'iothread': 'io0', " \
                        "'bus': 'rp0', 'disable-legacy': 'on', " \
                        "'iommu_platform': true}"
/* ... which takes these options */
#define THREAD_BACKEND  " -object iothread,id=io0 " \
                        "-blockdev null-co,node-name=null0,read-zeroes=on "

/* Requests that are out at the same time at most */
#define THREAD_REQUESTS 16

typedef struct ThreadRig {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *bus;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq;
    uint64_t buffers;           /* a page for each request */
} ThreadRig;

/**
 * thread_rig_start: give the disk its queue.
 * @bus: where it is; BARs are put at @bar and behind
 * @mem: memory for the queue and for requests, THREAD_MEM bytes
 *
 * It finds the queue when it is kicked first.
 */
#define THREAD_MEM      0x100000ULL
void thread_rig_start(ThreadRig *t, QTestState *qts, QPCIBus *bus,
                      uint64_t bar, uint64_t mem);
/* A disk that is elsewhere: @rid has its bus as well */
void thread_rig_start_at(ThreadRig *t, QTestState *qts, QPCIBus *bus,
                         uint16_t rid, uint64_t bar, uint64_t mem);
void thread_rig_stop(ThreadRig *t);
/* The same for one that has been pulled */
void thread_rig_gone(ThreadRig *t);

/*
 * A disk is plugged into port "rp0", which has requester id @port and is given
 * bus 1 and BARs of 1 MiB at @bar; it reads, and is pulled while it does. That
 * several times, with or without an @invalidate meanwhile, and always one
 * behind it. The disk has requester id 0x100.
 */
void thread_rig_pull(QTestState *qts, QPCIBus *bus, uint64_t ecam,
                     uint16_t port, uint64_t bar, uint64_t mem,
                     void (*invalidate)(void *opaque), void *opaque);

/* Reset the disk, and let it begin anew */
void thread_rig_reset(ThreadRig *t);

/* Without a request */
void thread_rig_kick(ThreadRig *t);

/* Read THREAD_REQUESTS pages of zeroes; those before must be done */
void thread_rig_submit(ThreadRig *t);
/* Returns: whether all came back, which they do not if one failed */
bool thread_rig_wait(ThreadRig *t);

#endif
