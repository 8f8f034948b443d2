/*
 * Nested IOMMU core: the guest's memory, and what of it the host maps
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include "hw/boards.h"
#include "hw/iommufd-memory.h"
#include "hw/mem/memory-device.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "system/address-spaces.h"
#include "map.h"
#include "sys.h"
#include "vfio.h"

/* What an IOAS maps, and what it does not, in ascending order */
typedef struct HostRanges {
    GList *allowed;
    GList *missing;
} HostRanges;

static void ranges_free(HostRanges *r)
{
    g_list_free_full(r->allowed, g_free);
    g_list_free_full(r->missing, g_free);
}

/*
 * As they are now: every device that is attached may take some away. None at
 * all: the host does not tell.
 */
static void ranges_get(HostRanges *r, const VFIOContainer *bcontainer)
{
    VFIOIOMMUFDContainer *container = (VFIOIOMMUFDContainer *)
        object_dynamic_cast(OBJECT(bcontainer), TYPE_VFIO_IOMMU_IOMMUFD);

    *r = (HostRanges) {};
    if (container) {
        r->allowed = iommufd_sys_iova_ranges(container->be->fd,
                                             container->ioas_id);
    } else {
        for (GList *l = bcontainer->iova_ranges; l; l = l->next) {
            r->allowed = g_list_append(r->allowed,
                                       g_memdup2(l->data, sizeof(Range)));
        }
    }
    if (r->allowed) {
        range_inverse_array(r->allowed, &r->missing, 0, UINT64_MAX);
    }
}

/* The first of those that are not mapped in [@first, @last], or NULL */
static Range *ranges_missing(const HostRanges *r, hwaddr first,
                                   hwaddr last)
{
    Range memory;

    range_set_bounds(&memory, first, last);
    for (GList *l = r->missing; l; l = l->next) {
        if (range_overlaps_range(l->data, &memory)) {
            return l->data;
        }
    }
    return NULL;
}

/* For what a host has something reserved, as sysfs calls it */
static const char *reserved_for(const char *type)
{
    static const struct {
        const char *type, *what;
    } types[] = {
        { "direct", "which its firmware uses: RMRR, RMR" },
        { "msi", "interrupts" },
        { "reserved", "hardware" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (!g_strcmp0(type, types[i].type)) {
            return types[i].what;
        }
    }
    return NULL;
}

static char *reserved_of(const VFIODevice *vbasedev, Range *range)
{
    g_autofree char *type = iommufd_sys_fd_reserved(vbasedev->fd,
                                                    range_lob(range),
                                                    range_upb(range));
    const char *what = reserved_for(type);

    return what ? g_strdup_printf("%s (%s)", vbasedev->name, what) : NULL;
}

/* The device, and the reason, as far as they are known */
static char *reserved_by(const VFIOContainer *bcontainer,
                         const VFIODevice *vbasedev, Range *range)
{
    char *name = vbasedev ? reserved_of(vbasedev, range) : NULL;
    const VFIODevice *dev;

    QLIST_FOREACH(dev, &bcontainer->device_list, container_next) {
        name = name ?: reserved_of(dev, range);
    }
    return name ?: g_strdup("a device (interrupts, RMRR)");
}

/* Why the host pins no pages of it, wherever it is; or NULL */
static char *why_unpinnable(const MemoryRegion *mr)
{
    RAMBlock *rb = mr->ram_block;

    if (mr->readonly || !rb || !qemu_ram_is_shared(rb) ||
        qemu_ram_get_fd(rb) < 0 ||
        !iommufd_sys_file_on_disk(qemu_ram_get_fd(rb))) {
        return NULL;
    }
    return g_strdup("it is a file on a disk, whose file system would not know "
                    "of what devices write; give the memory backend share=off, "
                    "a file of tmpfs or hugetlbfs, or take "
                    "memory-backend-memfd");
}

/* What is in the way of guest memory, and what can be done about it */
static char *explain(const VFIOContainer *bcontainer,
                     const VFIODevice *vbasedev, const HostRanges *r,
                     Range *range)
{
    uint64_t last = range_upb(g_list_last(r->allowed)->data);
    g_autofree char *dev = NULL, *move = NULL;

    if (range_lob(range) > last) {
        const VFIODevice *any = vbasedev ?:
                                QLIST_FIRST(&bcontainer->device_list);

        return g_strdup_printf("the host's IOMMU of %s has addresses up to "
                               "0x%" PRIx64 "; give the guest less memory (-m, "
                               "maxmem)", any ? any->name : "it", last);
    }
    dev = reserved_by(bcontainer, vbasedev, range);
    if (range_lob(range) < 4 * GiB &&
        object_property_find(qdev_get_machine(), "max-ram-below-4g")) {
        move = g_strdup_printf("-machine max-ram-below-4g=0x%" PRIx64 ", -m",
                               range_lob(range));
    }
    return g_strdup_printf("the host reserves 0x%" PRIx64 "-0x%" PRIx64
                           " for %s; keep memory away from there (%s) or "
                           "leave the device out", range_lob(range),
                           range_upb(range), dev, move ?: "-m");
}

static char *why_no_memory(void)
{
    uint64_t guest = current_machine->ram_size + get_plugged_memory_size();
    g_autofree char *limit = NULL;
    struct rlimit lim;

    if (!getrlimit(RLIMIT_MEMLOCK, &lim) && lim.rlim_cur != RLIM_INFINITY) {
        limit = g_strdup_printf("%" PRIu64 " KiB",
                                (uint64_t)lim.rlim_cur / KiB);
    }
    return g_strdup_printf("the host has no memory for it, or does not let "
                           "QEMU lock it: the limit of locked memory (ulimit "
                           "-l, LimitMEMLOCK=, memtune) is %s, and has to have "
                           "room for all of the guest's, %" PRIu64 " KiB",
                           limit ?: "unlimited", guest / KiB);
}

void iommufd_nested_vfio_map_failed(const VFIOContainer *bcontainer,
                                    const MemoryRegionSection *section,
                                    int ret, Error **err)
{
    hwaddr iova = section->offset_within_address_space;
    hwaddr end = iova + int128_get64(section->size) - 1;
    g_autofree char *memory =
        g_strdup_printf("memory of the guest at 0x%" HWADDR_PRIx "-0x%"
                        HWADDR_PRIx " cannot be mapped", iova, end);
    g_autofree char *why = NULL;
    Range *range;
    HostRanges r;

    if (memory_region_is_ram_device(section->mr)) {
        return;
    }
    ranges_get(&r, bcontainer);
    range = ranges_missing(&r, iova, end);
    if (ret == -ENOMEM) {
        why = why_no_memory();
    } else if (range) {
        why = explain(bcontainer, NULL, &r, range);
    }
    if (why) {
        error_free(*err);
        *err = NULL;
        error_setg(err, "%s: %s", memory, why);
    }
    ranges_free(&r);
}

char *iommufd_nested_why_unmapped(const VFIOContainer *bcontainer, hwaddr iova,
                                  hwaddr end)
{
    char *why = NULL;
    Range *range;
    HostRanges r;

    ranges_get(&r, bcontainer);
    range = ranges_missing(&r, iova, end);
    if (range) {
        why = g_strdup_printf("the guest has one at 0x%" HWADDR_PRIx "-0x%"
                              HWADDR_PRIx ", and the host maps nothing at 0x%"
                              PRIx64 "-0x%" PRIx64 "; a guest with narrower "
                              "addresses puts it elsewhere (-cpu ...,"
                              "host-phys-bits-limit=)", iova, end,
                              range_lob(range), range_upb(range));
    }
    ranges_free(&r);
    return why;
}

typedef struct MemoryCheck {
    const VFIOContainer *bcontainer;
    const VFIODevice *vbasedev;
    bool no_readonly;
    HostRanges ranges;
    char *why;
} MemoryCheck;

static char *why_unmapped(const MemoryCheck *check, const MemoryRegion *mr,
                          hwaddr first, hwaddr last)
{
    Range *range = ranges_missing(&check->ranges, first, last);

    return range ? explain(check->bcontainer, check->vbasedev, &check->ranges,
                           range) : why_unpinnable(mr);
}

/* As vfio maps it: whole pages, all of what can be plugged later */
static bool check_range(Int128 start, Int128 len, const MemoryRegion *mr,
                        hwaddr offset, void *opaque)
{
    uint64_t page = qemu_real_host_page_size();
    MemoryCheck *check = opaque;
    g_autofree char *why = NULL;
    hwaddr first, last;

    if (!mr->ram || mr->ram_device ||
        memory_region_is_protected((MemoryRegion *)mr) ||
        (mr->readonly && check->no_readonly)) {
        return false;
    }
    first = ROUND_UP(int128_get64(start), page);
    last = ROUND_DOWN(int128_get64(start) + int128_get64(len), page) - 1;
    why = first < last ? why_unmapped(check, mr, first, last) : NULL;
    if (why) {
        check->why = g_strdup_printf("memory of the guest at 0x%" HWADDR_PRIx
                                     "-0x%" HWADDR_PRIx " (%s) cannot be "
                                     "mapped: %s", first, last, mr->name, why);
    }
    return check->why;
}

/* What is not there yet does no harm as long as it does not come */
static void check_hotplug(const MemoryCheck *check)
{
    const MachineState *ms = MACHINE(qdev_get_machine());
    Range *range;
    hwaddr first, last;

    if (!ms->device_memory || !memory_region_size(&ms->device_memory->mr)) {
        return;
    }
    first = ms->device_memory->base;
    last = first + memory_region_size(&ms->device_memory->mr) - 1;
    range = ranges_missing(&check->ranges, first, last);
    if (range) {
        g_autofree char *why = explain(check->bcontainer, check->vbasedev,
                                       &check->ranges, range);

        warn_report("%s: not all memory can be plugged that there is room for "
                    "at 0x%" HWADDR_PRIx "-0x%" HWADDR_PRIx ": %s",
                    check->vbasedev->name, first, last, why);
    }
}

bool iommufd_nested_vfio_check_memory(const VFIOContainer *bcontainer,
                                      VFIODevice *vbasedev, Error **errp)
{
    MemoryCheck check = {
        .bcontainer = bcontainer,
        .vbasedev = vbasedev,
        .no_readonly = vbasedev->nesting_no_readonly,
    };

    ranges_get(&check.ranges, bcontainer);
    if (check.ranges.allowed) {
        RCU_READ_LOCK_GUARD();
        flatview_for_each_range(
            address_space_to_flatview(bcontainer->space->as), check_range,
            &check);
    }
    if (check.why) {
        error_setg(errp, "%s", check.why);
        g_free(check.why);
        ranges_free(&check.ranges);
        return false;
    }
    if (bcontainer->space->as == &address_space_memory) {
        check_hotplug(&check);
    }
    ranges_free(&check.ranges);
    return true;
}

bool iommufd_nested_check_plug(const MemoryRegion *mr, hwaddr addr,
                               Error **errp)
{
    hwaddr last = addr + memory_region_size((MemoryRegion *)mr) - 1;
    const IOMMUFDMaps *maps = NULL;
    g_autofree char *why = NULL;

    while (!why && (maps = iommufd_maps_next(maps))) {
        MemoryCheck check = { .bcontainer = VFIO_IOMMU(maps->container) };

        ranges_get(&check.ranges, check.bcontainer);
        why = why_unmapped(&check, mr, addr, last);
        ranges_free(&check.ranges);
    }
    if (why) {
        error_setg(errp, "memory at 0x%" HWADDR_PRIx "-0x%" HWADDR_PRIx
                   " cannot be plugged: %s", addr, last, why);
    }
    return !why;
}

bool iommufd_nested_no_discard(void)
{
    if (!ram_block_discard_is_disabled()) {
        return false;
    }
    warn_report_once("virtio-balloon frees nothing of what the guest gives "
                     "back, in its balloon or by free-page-reporting: assigned "
                     "devices have all memory locked. virtio-mem and pc-dimm "
                     "can be unplugged");
    return true;
}
