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

/* What a transaction of the memory map has changed */
static struct {
    unsigned users;
    bool registering;
    bool changed;
    GArray *gone;               /* MemRange */
} guest_ram;

typedef struct MemRange {
    uint64_t first;
    uint64_t last;
} MemRange;

bool iommufd_sys_guest_ram(uint64_t gpa, uint64_t *size, bool *writable)
{
    MemoryRegionSection section = memory_region_find(get_system_memory(), gpa,
                                                     *size);
    MemoryRegion *mr = section.mr;
    uint64_t first = section.offset_within_address_space;
    uint64_t end = first + int128_get64(section.size);
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

static void guest_ram_begin(MemoryListener *listener)
{
    guest_ram.changed = false;
    g_array_set_size(guest_ram.gone, 0);
}

static void guest_ram_add(MemoryListener *listener,
                          MemoryRegionSection *section)
{
    guest_ram.changed |= memory_region_is_ram(section->mr);
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
        guest_ram.registering = true;
        memory_listener_register(&guest_ram_listener, &address_space_memory);
        guest_ram.registering = false;
    }
}

void iommufd_sys_shadow_end(void)
{
    if (!--guest_ram.users) {
        memory_listener_unregister(&guest_ram_listener);
        g_array_free(guest_ram.gone, true);
    }
}
