/*
 * Nested IOMMU core: the memory that shadows lead to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "core.h"
#include "qemu/main-loop.h"
#include "system/address-spaces.h"
#include "system/memory.h"
#include "sys.h"

/* Memory of which the guest has parts (virtio-mem); parts come and go */
typedef struct PartlyThere {
    RamDiscardListener listener;
    MemoryRegion *mr;
    hwaddr start;               /* guest-physical */
    QLIST_ENTRY(PartlyThere) next;
} PartlyThere;

/* What a transaction of the memory map has changed */
static struct {
    unsigned users;
    bool registering;
    bool changed;
    GArray *gone;               /* MemRange */
    QLIST_HEAD(, PartlyThere) partly;
    bool adding;
    QEMUBH *more;
} guest_ram;

typedef struct MemRange {
    uint64_t first;
    uint64_t last;
} MemRange;

/*
 * Whether the part is there that begins @section, which becomes that part: vfio
 * maps each by itself
 */
static bool part_is_there(MemoryRegionSection *section)
{
    RamDiscardManager *rdm = memory_region_get_ram_discard_manager(section->mr);
    uint64_t granularity, left;

    if (!rdm) {
        return true;
    }
    granularity = ram_discard_manager_get_min_granularity(rdm, section->mr);
    left = granularity - section->offset_within_region % granularity;
    section->size = int128_min(section->size, int128_make64(left));
    return ram_discard_manager_is_populated(rdm, section);
}

bool iommufd_sys_guest_ram(uint64_t gpa, uint64_t *size, bool *writable)
{
    MemoryRegionSection section = memory_region_find(get_system_memory(), gpa,
                                                     *size);
    MemoryRegion *mr = section.mr;
    uint64_t first, end;
    bool ram;

    *writable = false;
    if (!mr) {
        return false;
    }
    /*
     * What vfio maps into the parent: whole pages of memory, and BARs, unless
     * the host cannot: nothing is copied from there then
     */
    ram = memory_region_is_ram(mr);
    if (ram && !part_is_there(&section)) {
        *size = MIN(*size, int128_get64(section.size));
        memory_region_unref(mr);
        return false;
    }
    first = section.offset_within_address_space;
    end = first + int128_get64(section.size);
    if (ram) {
        first = ROUND_UP(first, IOMMUFD_NESTED_PAGE);
        end = ROUND_DOWN(end, IOMMUFD_NESTED_PAGE);
    } else {
        first = ROUND_DOWN(first, IOMMUFD_NESTED_PAGE);
        end = ROUND_UP(end, IOMMUFD_NESTED_PAGE);
    }
    if (first > gpa || end <= gpa) {
        /* None here: up to where there may be some */
        *size = MIN(*size, first > gpa ? first - gpa : IOMMUFD_NESTED_PAGE);
        ram = false;
    } else {
        *size = MIN(*size, end - gpa);
    }
    *writable = ram && !section.readonly;
    memory_region_unref(mr);
    return ram;
}

void iommufd_sys_guest_ram_dirty(uint64_t gpa, uint64_t size)
{
    while (global_dirty_tracking && size) {
        MemoryRegionSection section = memory_region_find(get_system_memory(),
                                                         gpa, size);
        uint64_t end = section.offset_within_address_space +
                       int128_get64(section.size);

        if (!section.mr) {
            break;
        }
        if (memory_region_is_ram(section.mr) && !section.readonly) {
            memory_region_set_dirty(section.mr, section.offset_within_region,
                                    int128_get64(section.size));
        }
        memory_region_unref(section.mr);
        size -= MIN(size, end - gpa);
        gpa = end;
    }
}

static void part_gone(RamDiscardListener *rdl, MemoryRegionSection *section)
{
    uint64_t first = section->offset_within_address_space;

    iommufd_shadow_ram_gone(first, first + int128_get64(section->size) - 1);
}

/* It is in the IOASes of vfio when all listeners have been told */
static int part_new(RamDiscardListener *rdl, MemoryRegionSection *section)
{
    if (!guest_ram.adding) {
        iommufd_sys_bh_schedule(guest_ram.more);
    }
    return 0;
}

static void parts_new(void *opaque)
{
    iommufd_shadow_ram_changed();
}

static void partly_add(MemoryRegionSection *section)
{
    RamDiscardManager *rdm = memory_region_get_ram_discard_manager(section->mr);
    PartlyThere *p;

    if (!rdm) {
        return;
    }
    p = g_new0(PartlyThere, 1);
    p->mr = section->mr;
    p->start = section->offset_within_address_space;
    ram_discard_listener_init(&p->listener, part_new, part_gone, true);
    QLIST_INSERT_HEAD(&guest_ram.partly, p, next);
    /* What is there is looked at with the rest of the transaction */
    guest_ram.adding = true;
    ram_discard_manager_register_listener(rdm, &p->listener, section);
    guest_ram.adding = false;
}

static void partly_del(const MemoryRegionSection *section)
{
    PartlyThere *p;

    QLIST_FOREACH(p, &guest_ram.partly, next) {
        if (p->mr == section->mr &&
            p->start == section->offset_within_address_space) {
            ram_discard_manager_unregister_listener(
                memory_region_get_ram_discard_manager(p->mr), &p->listener);
            QLIST_REMOVE(p, next);
            g_free(p);
            return;
        }
    }
}

static void guest_ram_begin(MemoryListener *listener)
{
    guest_ram.changed = false;
    g_array_set_size(guest_ram.gone, 0);
}

static void guest_ram_add(MemoryListener *listener,
                          MemoryRegionSection *section)
{
    if (memory_region_is_ram(section->mr)) {
        guest_ram.changed = true;
        partly_add(section);
    }
}

static void guest_ram_del(MemoryListener *listener,
                          MemoryRegionSection *section)
{
    if (memory_region_is_ram(section->mr)) {
        uint64_t first = section->offset_within_address_space;
        MemRange range = {
            .first = first,
            .last = first + int128_get64(section->size) - 1,
        };

        g_array_append_val(guest_ram.gone, range);
        guest_ram.changed = true;
        partly_del(section);
    }
}

static void guest_ram_commit(MemoryListener *listener)
{
    if (!guest_ram.changed || guest_ram.registering) {
        return;
    }
    for (guint i = 0; i < guest_ram.gone->len; i++) {
        MemRange *range = &g_array_index(guest_ram.gone, MemRange, i);

        iommufd_shadow_ram_gone(range->first, range->last);
    }
    iommufd_shadow_ram_changed();
}

static void guest_ram_log_sync(MemoryListener *listener, bool last_stage)
{
    assert(bql_locked());
    iommufd_shadow_log_sync();
}

static MemoryListener guest_ram_listener = {
    .name = "iommufd-nested",
    .begin = guest_ram_begin,
    .region_add = guest_ram_add,
    .region_del = guest_ram_del,
    .commit = guest_ram_commit,
    .log_sync_global = guest_ram_log_sync,
};

void iommufd_sys_shadow_begin(void)
{
    if (!guest_ram.users++) {
        guest_ram.gone = g_array_new(false, false, sizeof(MemRange));
        guest_ram.more = iommufd_sys_bh_new(parts_new, NULL, NULL);
        guest_ram.registering = true;
        memory_listener_register(&guest_ram_listener, &address_space_memory);
        guest_ram.registering = false;
    }
}

void iommufd_sys_shadow_end(void)
{
    if (!--guest_ram.users) {
        memory_listener_unregister(&guest_ram_listener);
        iommufd_sys_bh_free(guest_ram.more);
        g_array_free(guest_ram.gone, true);
    }
}
