/*
 * A vhost device under test: its IOTLB messages are the test's
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_VHOST_RIG_H
#define TESTS_QTEST_VHOST_RIG_H

#include <linux/vhost_types.h>
#include "../libqos/virtio-pci.h"

typedef struct VhostRig {
    int sock[2];                /* IOTLB messages; the second end is QEMU's */
    int tap[2];                 /* Nothing comes from there */
    QGuestAllocator alloc;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq[2];
} VhostRig;

/*
 * Arguments for a virtio-net-pci with @props whose device is vhost-net or
 * vhost-vdpa. The host needs vhost=on.
 */
char *vhost_rig_net(VhostRig *v, const char *props);
char *vhost_rig_vdpa(VhostRig *v, const char *props);

/*
 * A driver finds the device and starts it; @devfn has the bus number in its
 * upper bits, rings are in @start..@end
 */
void vhost_rig_drive(VhostRig *v, QPCIBus *bus, int devfn, uint64_t start,
                     uint64_t end);
/* After the end of QEMU */
void vhost_rig_free(VhostRig *v);

/* The next message, which comes within seconds; @type: 0: of any type */
void vhost_rig_next(VhostRig *v, unsigned type, struct vhost_iotlb_msg *msg);
/* Is there one: for what has been done when a command has returned */
bool vhost_rig_more(VhostRig *v);
/* The device misses the translation of an address */
void vhost_rig_miss(VhostRig *v, uint64_t iova, unsigned perm);

#endif
