/*
 * Nested IOMMU core: what vfio maps, once for all IOASes of an iommufd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/vfio/vfio-container.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "system/address-spaces.h"
#include "system/iommufd.h"
#include "system/ramblock.h"
#include "core.h"
#include "map.h"
#include "sys.h"
#include "trace.h"
#include "vfio.h"

/* The page that every IOMMU has next to the smallest, with 4 KiB granules */
#define LARGE_PAGE (2 * MiB)

static QLIST_HEAD(, IOMMUFDMaps) maps_list =
    QLIST_HEAD_INITIALIZER(maps_list);

/* What a guest's IOMMU decides on, page by page, is not kept here: NULL */
static IOMMUFDMaps *maps_get(const VFIOIOMMUFDContainer *container,
                             const IOMMUFDMapRequest *req)
{
    VFIOIOMMUFDContainer *c = (VFIOIOMMUFDContainer *)container;
    bool memory = VFIO_IOMMU(c)->space->as == &address_space_memory;

    if (!c->maps && (memory || req->bar.vbasedev)) {
        c->maps = g_new0(IOMMUFDMaps, 1);
        c->maps->container = c;
        c->maps->memory = memory;
        QTAILQ_INIT(&c->maps->regions);
        QLIST_INSERT_HEAD(&maps_list, c->maps, next);
    }
    return memory || req->bar.vbasedev ? c->maps : NULL;
}

static IOMMUFDMapRegion *region_get(IOMMUFDMaps *maps,
                                    const IOMMUFDMapRequest *req)
{
    IOMMUFDMapRegion *region;

    QTAILQ_FOREACH(region, &maps->regions, next) {
        if (!strcmp(region->name, req->name)) {
            return region;
        }
    }
    region = g_new0(IOMMUFDMapRegion, 1);
    region->name = g_strdup(req->name);
    region->page_size = req->page_size;
    QTAILQ_INSERT_TAIL(&maps->regions, region, next);
    return region;
}

static void cost_add(IOMMUFDMapCost *cost, uint64_t bytes, int64_t since)
{
    cost->calls++;
    cost->bytes += bytes;
    cost->ns += get_clock() - since;
}

/* Bytes that the host can map in large pages, if its memory is made of them */
static uint64_t large_bytes(const IOMMUFDMapRequest *req)
{
    uint64_t from = req->fd < 0 ? (uintptr_t)req->vaddr : req->start;
    uint64_t first = ROUND_UP(req->iova, LARGE_PAGE);
    uint64_t end = ROUND_DOWN(req->iova + req->size, LARGE_PAGE);

    return (req->iova ^ from) % LARGE_PAGE || first > end ? 0 : end - first;
}

static IOMMUFDMapArea *area_add(IOMMUFDMaps *maps,
                                const IOMMUFDMapRequest *req, bool copied,
                                int64_t since)
{
    IOMMUFDMapRegion *region = region_get(maps, req);
    IOMMUFDMapArea *area = g_new0(IOMMUFDMapArea, 1);

    area->node.start = req->iova;
    area->node.last = req->iova + req->size - 1;
    area->region = region;
    area->shared = copied || req->bar.vbasedev;
    area->readonly = req->readonly;
    area->bar = req->bar;
    area->large = large_bytes(req);
    region->large += area->large;
    interval_tree_insert(&area->node, &maps->areas);
    *(area->shared ? &region->shared : &region->locked) += req->size;
    cost_add(copied ? &region->copy : &region->map, req->size, since);
    return area;
}

static void area_drop(IOMMUFDMaps *maps, IOMMUFDMapArea *area)
{
    IOMMUFDMapRegion *region = area->region;
    uint64_t size = area->node.last - area->node.start + 1;

    *(area->shared ? &region->shared : &region->locked) -= size;
    region->large -= area->large;
    interval_tree_remove(&area->node, &maps->areas);
    g_free(area);
}

static IOMMUFDMapArea *area_first(IOMMUFDMaps *maps, uint64_t first,
                                  uint64_t last)
{
    return (IOMMUFDMapArea *)interval_tree_iter_first(&maps->areas, first,
                                                      last);
}

/*
 * Another IOAS of the same iommufd may have the same memory: the host then
 * locks it once. A change of the memory map takes all that goes out of every
 * IOAS before it puts anything into one, so nothing is ever stale there.
 */
static int map_copy(const VFIOIOMMUFDContainer *container,
                    const IOMMUFDMapRequest *req)
{
    const VFIOContainer *bcontainer = VFIO_IOMMU(container);
    VFIOContainer *other;

    QLIST_FOREACH(other, &bcontainer->space->containers, next) {
        VFIOIOMMUFDContainer *from = (VFIOIOMMUFDContainer *)
            object_dynamic_cast(OBJECT(other), TYPE_VFIO_IOMMU_IOMMUFD);

        if (from && from != container && from->be == container->be &&
            from->maps && area_first(from->maps, req->iova,
                                     req->iova + req->size - 1) &&
            !iommufd_sys_ioas_copy(container->be->fd, container->ioas_id,
                                   from->ioas_id, req->iova, req->iova,
                                   req->size, true, !req->readonly)) {
            trace_iommufd_nested_map_shared(container->ioas_id, from->ioas_id,
                                            req->iova, req->size);
            return 0;
        }
    }
    return -ENOENT;
}

/* That other devices cannot reach a BAR is no error */
static int map_bar(const VFIOIOMMUFDContainer *container, IOMMUFDMaps *maps,
                   const IOMMUFDMapRequest *req)
{
    int64_t since = get_clock();
    bool absent;

    if (!iommufd_bar_map(container, req, &absent)) {
        area_add(maps, req, false, since)->absent = absent;
    }
    return 0;
}

/* Older kernels, which map no files, map what is at their address */
static int map_memory(const VFIOIOMMUFDContainer *container,
                      const IOMMUFDMapRequest *req)
{
    int ret = req->fd < 0 ? -ENOTTY :
        iommufd_backend_map_file_dma(container->be, container->ioas_id,
                                     req->iova, req->size, req->fd, req->start,
                                     req->readonly);

    if (ret == -ENOTTY && req->vaddr) {
        ret = iommufd_backend_map_dma(container->be, container->ioas_id,
                                      req->iova, req->size, req->vaddr,
                                      req->readonly);
    }
    return ret;
}

static int map(const VFIOIOMMUFDContainer *container,
               const IOMMUFDMapRequest *req)
{
    IOMMUFDMaps *maps = maps_get(container, req);
    int64_t since = get_clock();
    int ret;

    if (req->readonly && container->no_readonly) {
        trace_iommufd_nested_vfio_skip_readonly(req->iova, req->size);
        return 0;
    }
    if (req->bar.vbasedev) {
        return map_bar(container, maps, req);
    }
    if (maps && !map_copy(container, req)) {
        area_add(maps, req, true, since);
        return 0;
    }
    since = get_clock();
    ret = map_memory(container, req);
    if (!ret && maps) {
        area_add(maps, req, false, since);
    }
    return ret;
}

static uint64_t block_page_size(const MemoryRegion *mr)
{
    return mr->ram_block ? qemu_ram_pagesize(mr->ram_block)
                         : qemu_real_host_page_size();
}

int iommufd_nested_vfio_map(const VFIOIOMMUFDContainer *container, hwaddr iova,
                            uint64_t size, void *vaddr, bool readonly,
                            MemoryRegion *mr)
{
    IOMMUFDMapRequest req = {
        .iova = iova,
        .size = size,
        .vaddr = vaddr,
        .fd = -1,
        .readonly = readonly,
        .name = memory_region_name(mr),
        .page_size = block_page_size(mr),
    };

    if (memory_region_is_ram_device(mr)) {
        iommufd_bar_find(&req, mr);
    }
    return map(container, &req);
}

typedef struct FindBlock {
    int fd;
    unsigned long start;
    RAMBlock *rb;
} FindBlock;

static int find_block(RAMBlock *rb, void *opaque)
{
    FindBlock *find = opaque;
    uint64_t offset = qemu_ram_get_fd_offset(rb);

    if (qemu_ram_get_fd(rb) == find->fd && find->start >= offset &&
        find->start - offset < qemu_ram_get_max_length(rb)) {
        find->rb = rb;
    }
    return find->rb != NULL;
}

/*
 * The pages of a file are the guest's only if it has the file mapped shared:
 * what it stores in a private mapping is in pages of its own
 */
int iommufd_nested_vfio_map_file(const VFIOIOMMUFDContainer *container,
                                 hwaddr iova, uint64_t size, int fd,
                                 unsigned long start, bool readonly)
{
    FindBlock find = { .fd = fd, .start = start };
    IOMMUFDMapRequest req = {
        .iova = iova,
        .size = size,
        .fd = fd,
        .start = start,
        .readonly = readonly,
        .name = "file",
        .page_size = qemu_real_host_page_size(),
    };

    qemu_ram_foreach_block(find_block, &find);
    if (find.rb) {
        req.name = memory_region_name(find.rb->mr);
        req.page_size = qemu_ram_pagesize(find.rb);
        req.vaddr = (char *)qemu_ram_get_host_addr(find.rb) + start -
                    qemu_ram_get_fd_offset(find.rb);
        if (!qemu_ram_is_shared(find.rb) || !iommufd_sys_can_pin_file(fd)) {
            req.fd = -1;
        }
    }
    return map(container, &req);
}

int iommufd_nested_vfio_unmap(const VFIOIOMMUFDContainer *container,
                              hwaddr iova, uint64_t size)
{
    uint64_t last = iova + size - 1;
    IOMMUFDMaps *maps = container->maps;
    IOMMUFDMapArea *area = maps ? area_first(maps, iova, last) : NULL;
    int64_t since = get_clock();
    int ret;

    if (maps && maps->memory && !area) {
        return 0;
    }
    iommufd_hw_queues_unmap(container->be, container->ioas_id, iova, last);
    ret = iommufd_backend_unmap_dma(container->be, container->ioas_id, iova,
                                    size);
    if (!ret && area) {
        cost_add(&area->region->unmap, size, since);
    }
    while (!ret && area) {
        area_drop(maps, area);
        area = area_first(maps, iova, last);
    }
    return ret;
}

/* What has been revoked is mapped to nothing, and has to be unmapped */
static void bar_again(IOMMUFDMaps *maps, IOMMUFDMapArea *area)
{
    const VFIOIOMMUFDContainer *container = maps->container;
    IOMMUFDMapRequest req = {
        .iova = area->node.start,
        .size = area->node.last - area->node.start + 1,
        .readonly = area->readonly,
        .name = area->region->name,
        .bar = area->bar,
    };

    if (!area->absent) {
        iommufd_backend_unmap_dma(container->be, container->ioas_id, req.iova,
                                  req.size);
    }
    if (iommufd_bar_map(container, &req, &area->absent)) {
        area->absent = true;
    }
}

void iommufd_nested_vfio_bars_again(const VFIODevice *vbasedev)
{
    bool shadowed = false;
    IOMMUFDMaps *maps;
    IOMMUFDMapArea *area;

    QLIST_FOREACH(maps, &maps_list, next) {
        for (area = area_first(maps, 0, UINT64_MAX); area;
             area = (IOMMUFDMapArea *)interval_tree_iter_next(&area->node, 0,
                                                              UINT64_MAX)) {
            if (area->bar.vbasedev &&
                (!vbasedev || area->bar.vbasedev == vbasedev)) {
                if (maps->memory) {
                    /* A copy is revoked as well */
                    iommufd_shadow_ram_gone(area->node.start, area->node.last);
                    shadowed = true;
                }
                bar_again(maps, area);
            }
        }
    }
    if (shadowed) {
        iommufd_shadow_ram_changed();
    }
}

void iommufd_nested_vfio_maps_free(VFIOIOMMUFDContainer *container)
{
    IOMMUFDMaps *maps = container->maps;
    IOMMUFDMapRegion *region, *next;
    IOMMUFDMapArea *area;

    if (!maps) {
        return;
    }
    QLIST_REMOVE(maps, next);
    while ((area = area_first(maps, 0, UINT64_MAX))) {
        area_drop(maps, area);
    }
    QTAILQ_FOREACH_SAFE(region, &maps->regions, next, next) {
        g_free(region->name);
        g_free(region);
    }
    g_clear_pointer(&container->maps, g_free);
}

const IOMMUFDMaps *iommufd_maps_next(const IOMMUFDMaps *maps)
{
    do {
        maps = maps ? QLIST_NEXT(maps, next) : QLIST_FIRST(&maps_list);
    } while (maps && !maps->memory);
    return maps;
}

const IOMMUFDMaps *iommufd_sys_maps(int iommufd, uint32_t ioas)
{
    const IOMMUFDMaps *maps = NULL;

    while ((maps = iommufd_maps_next(maps))) {
        if (maps->container->be->fd == iommufd &&
            maps->container->ioas_id == ioas) {
            break;
        }
    }
    return maps;
}
