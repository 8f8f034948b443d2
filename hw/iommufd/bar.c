/*
 * Nested IOMMU core: BARs of devices in the IOASes of others
 *
 * A BAR is no memory that could be locked: vfio makes a dma-buf of it, which
 * iommufd maps. The kernel takes such a mapping away when the device stops to
 * answer (Memory Space Enable, D3hot, reset, close), for good: what is there
 * afterwards has to be mapped again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/vfio/pci.h"
#include "migration/cpr.h"
#include "migration/misc.h"
#include "qemu/error-report.h"
#include "system/iommufd.h"
#include "system/runstate.h"
#include "map.h"
#include "sys.h"
#include "trace.h"
#include "vfio.h"

/* IOMMU_IOAS_CHANGE_PROCESS takes no dma-bufs */
static struct {
    bool watched;
    bool out;                   /* none may be mapped */
    NotifierWithReturn leaving;
    VMChangeStateEntry *arriving;
} cpr;

bool iommufd_bar_find(IOMMUFDMapRequest *req, const MemoryRegion *mr)
{
    VFIODevice *vbasedev = vfio_get_vfio_device(memory_region_owner(
                                                    (MemoryRegion *)mr));
    VFIOPCIDevice *vdev = vfio_pci_from_vfio_device(vbasedev);

    for (unsigned i = 0; vdev && i < ARRAY_SIZE(vdev->bars); i++) {
        const VFIORegion *region = &vdev->bars[i].region;

        for (unsigned j = 0; j < region->nr_mmaps; j++) {
            const VFIOMmap *m = &region->mmaps[j];

            if (&m->mem == mr) {
                req->bar = (IOMMUFDBar) {
                    .vbasedev = vbasedev,
                    .region = region->nr,
                    .offset = m->offset + (req->vaddr - m->mmap),
                };
                return true;
            }
        }
    }
    return false;
}

/* Once, and only where there is a device that could miss it */
static void tell(const VFIODevice *vbasedev, const char *what, int ret)
{
    const VFIODevice *first = QLIST_FIRST(&vfio_device_list);
    static bool told;

    if (!told && first && QLIST_NEXT(first, global_next)) {
        told = true;
        warn_report("%s: other devices cannot reach its BARs (peer-to-peer "
                    "DMA): %s: %s", vbasedev->name, what, strerror(-ret));
    }
}

static int cpr_leaves(NotifierWithReturn *notifier, MigrationEvent *e,
                      Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP ||
        e->type == MIG_EVENT_PRECOPY_FAILED) {
        cpr.out = e->type == MIG_EVENT_PRECOPY_SETUP;
        iommufd_nested_vfio_bars_again(NULL);
    }
    return 0;
}

static void cpr_arrived(void *opaque, bool running, RunState state)
{
    if (running) {
        qemu_del_vm_change_state_handler(g_steal_pointer(&cpr.arriving));
        cpr.out = false;
        iommufd_nested_vfio_bars_again(NULL);
    }
}

static void cpr_watch(void)
{
    if (cpr.watched) {
        return;
    }
    cpr.watched = true;
    migration_add_notifier_modes(&cpr.leaving, cpr_leaves,
                                 BIT(MIG_MODE_CPR_TRANSFER) |
                                 BIT(MIG_MODE_CPR_EXEC));
    if (cpr_is_incoming()) {
        cpr.out = true;
        cpr.arriving = qemu_add_vm_change_state_handler(cpr_arrived, NULL);
    }
}

int iommufd_bar_map(const VFIOIOMMUFDContainer *container,
                    const IOMMUFDMapRequest *req, bool *absent)
{
    const IOMMUFDBar *bar = &req->bar;
    int fd, ret;

    cpr_watch();
    *absent = cpr.out;
    if (cpr.out) {
        return 0;
    }
    fd = iommufd_sys_dma_buf(bar->vbasedev->fd, bar->region, bar->offset,
                             req->size);
    if (fd < 0) {
        tell(bar->vbasedev, "the host's kernel makes no dma-buf of them, which "
             "takes Linux 6.19 with CONFIG_PCI_P2PDMA, and vfio-pci as their "
             "driver", fd);
        ret = fd;
    } else {
        ret = iommufd_sys_ioas_map_file(container->be->fd, container->ioas_id,
                                        req->iova, req->size, fd, 0,
                                        req->readonly);
        /* The mapping keeps it */
        iommufd_sys_close(fd);
    }
    trace_iommufd_nested_bar_map(bar->vbasedev->name, bar->region, bar->offset,
                                 req->size, container->ioas_id, req->iova,
                                 ret);
    if (fd >= 0 && ret == -ENODEV) {
        /* The host has its memory off */
        *absent = true;
        return 0;
    }
    if (fd >= 0 && ret) {
        g_autofree char *what = iommufd_nested_why_unmapped(
            VFIO_IOMMU(container), req->iova, req->iova + req->size - 1);

        tell(bar->vbasedev, what ?: "the host's kernel maps no dma-buf, which "
             "takes Linux 6.19", ret);
    }
    return ret;
}
