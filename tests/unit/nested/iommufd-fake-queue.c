/*
 * A kernel for unit tests of the nested IOMMU core: queues of the guest's own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "iommufd-fake.h"

#define OFFSET(viommu_id) ((uint64_t)(viommu_id) << 16)

uint32_t fake_page;
uint64_t fake_page_len;

static GArray *hw_queues;       /* ids by index */

void fake_vintf(uint32_t viommu_id, void *data, uint32_t data_len)
{
    struct iommu_viommu_tegra241_cmdqv *out = data;

    if (data) {
        g_assert_cmpuint(data_len, ==, sizeof(*out));
        out->out_vintf_mmap_offset = OFFSET(viommu_id);
        out->out_vintf_mmap_length = fake_page_len ?: FAKE_PAGE_LEN;
    }
}

unsigned fake_hw_queues(void)
{
    return hw_queues ? hw_queues->len : 0;
}

int iommufd_sys_hw_queue_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                               uint32_t index, uint64_t gpa, uint64_t length,
                               uint32_t *id)
{
    int ret = fake_call(FAKE_HW_QUEUE_ALLOC);

    if (ret) {
        return ret;
    }
    if (!hw_queues) {
        hw_queues = g_array_new(false, false, sizeof(uint32_t));
    }
    /* Another order is a defect of the core */
    g_assert_cmpuint(index, ==, hw_queues->len);
    g_assert_cmpuint(fake_page, ==, viommu_id);
    if (gpa % length) {
        return -EINVAL;
    }
    *id = fake_hw_queue(viommu_id, index ? g_array_index(hw_queues, uint32_t,
                                                         index - 1) : 0);
    g_array_append_val(hw_queues, *id);
    return 0;
}

void fake_hw_queue_gone(uint32_t id)
{
    g_assert_cmpuint(hw_queues->len, >, 0);
    g_assert_cmpuint(g_array_index(hw_queues, uint32_t, hw_queues->len - 1),
                     ==, id);
    g_array_set_size(hw_queues, hw_queues->len - 1);
}

int iommufd_sys_map_page(int iommufd, void *page, size_t length,
                         uint64_t offset)
{
    int ret = fake_call(FAKE_MAP_PAGE);

    g_assert_cmpuint(fake_page, ==, 0);
    g_assert_cmpuint(length, ==, FAKE_PAGE_LEN);
    memset(page, 0xff, length);
    if (!ret) {
        fake_page = offset >> 16;
        g_assert_cmpuint(OFFSET(fake_page), ==, offset);
        fake_hold(fake_page, 1);
    }
    return ret;
}

int iommufd_sys_unmap_page(void *page, size_t length)
{
    int ret = fake_call(FAKE_UNMAP_PAGE);

    memset(page, 0, length);
    if (fake_page) {
        fake_hold(fake_page, -1);
        fake_page = 0;
    }
    return ret;
}

int iommufd_sys_hw_info_of(int iommufd, uint32_t dev_id, uint32_t type,
                           void *data, uint32_t data_len)
{
    struct iommu_hw_info_tegra241_cmdqv *info = data;

    if (type != IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV) {
        return -EOPNOTSUPP;
    }
    g_assert_cmpuint(data_len, ==, sizeof(*info));
    info->log2vcmdqs = 3;
    return 0;
}

/* There is no sysfs to ask */
char **iommufd_sys_group_devices(uint32_t group)
{
    return NULL;
}

bool iommufd_sys_is_bridge(const char *address)
{
    return false;
}

char *iommufd_sys_address(HostIOMMUDeviceIOMMUFD *idev)
{
    return NULL;
}
