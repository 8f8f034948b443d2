/*
 * SMMUv3 nesting: an emulated endpoint that translates in a thread of its own
 *
 * Its faults are events in the queue that the front end writes to as well. They
 * have to be recorded by who holds the lock of that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "../libqos/generic-pcihost.h"
#include "../libqos/virtio-pci.h"
#include "smmu-rig.h"

#define SLOT            5
#define EVT_C_BAD_STREAMID 0x02
#define EVENTS_LOG      "smmuv3_event_late"

/* One that has been told of queues, and finds the first when it is kicked */
static QVirtioPCIDevice *virtio_start(SmmuRig *r, QGuestAllocator *alloc,
                                      QGenericPCIBus *bus)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(SLOT, 0) };
    QVirtioPCIDevice *pci;
    uint64_t features;

    alloc_init(alloc, 0, RAM + 82 * MiB, RAM + 90 * MiB, 4096);
    qpci_init_generic(bus, r->qts, alloc, false);
    pci = virtio_pci_new(&bus->bus, &addr);
    qvirtio_pci_device_enable(pci);
    qvirtio_start_device(&pci->vdev);
    features = qvirtio_get_features(&pci->vdev);
    g_assert_true(features >> VIRTIO_F_ACCESS_PLATFORM & 1);
    qvirtio_set_features(&pci->vdev, features &
                         ~(QVIRTIO_F_BAD_FEATURE |
                           1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                           1ULL << VIRTIO_RING_F_EVENT_IDX));
    return pci;
}

static void test_thread(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree char *log = nested_rig_scratch("log"), *extra = NULL;
    QGuestAllocator alloc;
    QGenericPCIBus bus;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq;
    unsigned type;
    uint64_t dw[4];
    SmmuRig r;

    extra = g_strdup_printf("-object iothread,id=io0 "
        "-blockdev null-co,node-name=null0,read-zeroes=on "
        "-device virtio-blk-pci,drive=null0,iothread=io0,bus=pcie.0,addr=%u,"
        "disable-legacy=on,iommu_platform=on "
        "-trace " EVENTS_LOG " -D %s", SLOT, log);
    smmu_rig_start(&r, host, "nested=on", 1, extra);
    smmu_rig_enable(&r, 6);
    pci = virtio_start(&r, &alloc, &bus);
    vq = qvirtqueue_setup(&pci->vdev, &alloc, 0);
    qvirtio_set_driver_ok(&pci->vdev);
    while (smmu_rig_event(&r, NULL)) {
        continue;
    }
    pci->vdev.bus->virtqueue_kick(&pci->vdev, vq);
    type = smmu_rig_wait_event(&r, dw);
    g_assert_cmphex(type, ==, EVT_C_BAD_STREAMID);
    g_assert_cmphex(dw[0] >> 32, ==, SLOT << 3);
    g_assert_cmpuint(nested_rig_said(log, EVENTS_LOG), >=, 1);

    qvirtqueue_cleanup(pci->vdev.bus, vq, &alloc);
    qvirtio_pci_device_disable(pci);
    qvirtio_pci_destructor(&pci->obj);
    g_free(pci);
    alloc_destroy(&alloc);
    smmu_rig_stop(&r);
    nested_rig_scratch_remove(log);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/thread/fault", test_thread);
    return g_test_run();
}
