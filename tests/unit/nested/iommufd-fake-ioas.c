/*
 * A kernel for unit tests of the nested IOMMU core: address spaces
 *
 * As the kernel does, one call maps one area, nothing is mapped over another
 * one, and nothing smaller than an area is unmapped (iopt_unmap_iova_range()).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "iommufd-fake.h"

typedef struct Area {
    uint32_t ioas;
    uint64_t first, last;
    uint64_t gpa;
    bool read, write;
} Area;

static GArray *areas;
unsigned fake_dirty[FAKE_PAGES];

static Area *area(guint i)
{
    return &g_array_index(areas, Area, i);
}

void fake_ioas_reset(void)
{
    if (!areas) {
        areas = g_array_new(false, false, sizeof(Area));
    }
    g_array_set_size(areas, 0);
}

void fake_ioas_drop(uint32_t id)
{
    for (guint i = areas->len; i-- > 0;) {
        if (area(i)->ioas == id) {
            g_array_remove_index_fast(areas, i);
        }
    }
}

static bool overlaps(const Area *a, uint32_t ioas, uint64_t first,
                     uint64_t last)
{
    return a->ioas == ioas && a->first <= last && first <= a->last;
}

int iommufd_sys_ioas_copy(int iommufd, uint32_t dst, uint32_t src,
                          uint64_t iova, uint64_t gpa, uint64_t size,
                          bool read, bool write)
{
    Area a = { dst, iova, iova + size - 1, gpa, read, write };
    int ret = fake_call(FAKE_IOAS_COPY);

    g_assert_cmpuint(src, ==, FAKE_PARENT_IOAS);
    g_assert_true(size && !((iova | gpa | size) % IOMMUFD_NESTED_PAGE));
    g_assert_true(read || write);
    for (guint i = 0; !ret && i < areas->len; i++) {
        ret = overlaps(area(i), dst, a.first, a.last) ? -EEXIST : 0;
    }
    if (!ret) {
        g_array_append_val(areas, a);
    }
    return ret;
}

int iommufd_sys_ioas_unmap(int iommufd, uint32_t id, uint64_t iova,
                           uint64_t size)
{
    uint64_t last = iova + size - 1;
    int ret = fake_call(FAKE_IOAS_UNMAP);

    for (guint i = 0; !ret && i < areas->len; i++) {
        ret = overlaps(area(i), id, iova, last) &&
              (area(i)->first < iova || area(i)->last > last) ? -ENOENT : 0;
    }
    for (guint i = areas->len; !ret && i-- > 0;) {
        if (overlaps(area(i), id, iova, last)) {
            g_array_remove_index_fast(areas, i);
        }
    }
    return ret;
}

uint64_t fake_ioas_lookup(uint32_t id, uint64_t iova, bool write)
{
    for (guint i = 0; i < areas->len; i++) {
        if (overlaps(area(i), id, iova, iova) &&
            (write ? area(i)->write : area(i)->read)) {
            return area(i)->gpa + iova - area(i)->first;
        }
    }
    return FAKE_NOWHERE;
}

bool iommufd_sys_guest_ram(uint64_t gpa, uint64_t *size, bool *writable)
{
    uint64_t end = gpa < FAKE_RAM / 2 ? FAKE_RAM / 2 : FAKE_RAM;

    *writable = gpa < FAKE_RAM / 2;
    if (gpa >= FAKE_RAM) {
        return false;
    }
    *size = MIN(*size, end - gpa);
    return true;
}

void iommufd_sys_shadow_begin(void)
{
}

void iommufd_sys_shadow_end(void)
{
}

void iommufd_sys_guest_ram_dirty(uint64_t gpa, uint64_t size)
{
    for (uint64_t page = gpa / 4096; page < (gpa + size) / 4096; page++) {
        fake_dirty[page]++;
    }
}

uint32_t iommufd_sys_parent_ioas(HostIOMMUDeviceIOMMUFD *idev)
{
    return FAKE_PARENT_IOAS;
}
