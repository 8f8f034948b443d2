/*
 * Conformance of /dev/iommu: one function per call, errors as negative errno
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "conformance.h"

int ct_ioctl(int fd, unsigned long req, void *arg)
{
    int ret = ioctl(fd, req, arg);

    return ret < 0 ? -errno : ret;
}

int ct_open_iommufd(void)
{
    int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

    OK(fd >= 0);
    return ct_keep_fd(fd);
}

int ct_destroy(int fd, uint32_t id)
{
    struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

    return ct_ioctl(fd, IOMMU_DESTROY, &cmd);
}

int ct_ioas_alloc(int fd, uint32_t *id)
{
    struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
    int ret = ct_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

    *id = ret ? 0 : cmd.out_ioas_id;
    return ret;
}

uint32_t ct_ioas(int fd)
{
    uint32_t id;

    RET(0, ct_ioas_alloc(fd, &id));
    return id;
}

int ct_map_out(int fd, uint32_t ioas, const void *va, uint64_t len,
               uint64_t *iova, uint32_t flags)
{
    struct iommu_ioas_map cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .ioas_id = ioas,
        .user_va = (uintptr_t)va,
        .length = len,
        .iova = *iova,
    };
    int ret = ct_ioctl(fd, IOMMU_IOAS_MAP, &cmd);

    *iova = cmd.iova;
    return ret;
}

int ct_map(int fd, uint32_t ioas, const void *va, uint64_t len, uint64_t iova,
           uint32_t flags)
{
    return ct_map_out(fd, ioas, va, len, &iova, flags | CT_FIXED);
}

int ct_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t len,
             uint64_t *unmapped)
{
    struct iommu_ioas_unmap cmd = {
        .size = sizeof(cmd),
        .ioas_id = ioas,
        .iova = iova,
        .length = len,
    };
    int ret = ct_ioctl(fd, IOMMU_IOAS_UNMAP, &cmd);

    if (unmapped) {
        *unmapped = cmd.length;
    }
    return ret;
}

int ct_copy_map(int fd, uint32_t dst, uint32_t src, uint64_t len,
                uint64_t *dst_iova, uint64_t src_iova, uint32_t flags)
{
    struct iommu_ioas_copy cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .dst_ioas_id = dst,
        .src_ioas_id = src,
        .length = len,
        .dst_iova = *dst_iova,
        .src_iova = src_iova,
    };
    int ret = ct_ioctl(fd, IOMMU_IOAS_COPY, &cmd);

    *dst_iova = cmd.dst_iova;
    return ret;
}

int ct_ranges(int fd, uint32_t ioas, struct iommu_iova_range *ranges,
              uint32_t *nr, uint64_t *align)
{
    struct iommu_ioas_iova_ranges cmd = {
        .size = sizeof(cmd),
        .ioas_id = ioas,
        .num_iovas = *nr,
        .allowed_iovas = (uintptr_t)ranges,
    };
    int ret = ct_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

    *nr = cmd.num_iovas;
    if (align) {
        *align = cmd.out_iova_alignment;
    }
    return ret;
}

bool ct_range_covers(int fd, uint32_t ioas, uint64_t first, uint64_t last)
{
    struct iommu_iova_range ranges[64];
    uint32_t nr = ARRAY_LEN(ranges);

    if (ct_ranges(fd, ioas, ranges, &nr, NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < nr; i++) {
        if (ranges[i].start <= first && last <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

int ct_allow(int fd, uint32_t ioas, const struct iommu_iova_range *ranges,
             uint32_t nr)
{
    struct iommu_ioas_allow_iovas cmd = {
        .size = sizeof(cmd),
        .ioas_id = ioas,
        .num_iovas = nr,
        .allowed_iovas = (uintptr_t)ranges,
    };

    return ct_ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

int ct_option(int fd, uint32_t option, uint16_t op, uint32_t object,
              uint64_t *val)
{
    struct iommu_option cmd = {
        .size = sizeof(cmd),
        .option_id = option,
        .op = op,
        .object_id = object,
        .val64 = *val,
    };
    int ret = ct_ioctl(fd, IOMMU_OPTION, &cmd);

    *val = cmd.val64;
    return ret;
}

int ct_hwpt_data(int fd, uint32_t dev, uint32_t pt, uint32_t flags,
                 uint32_t type, const void *data, uint32_t len,
                 uint32_t fault, uint32_t *id)
{
    struct iommu_hwpt_alloc cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .dev_id = dev,
        .pt_id = pt,
        .data_type = type,
        .data_len = len,
        .data_uptr = (uintptr_t)data,
        .fault_id = fault,
    };
    int ret = ct_ioctl(fd, IOMMU_HWPT_ALLOC, &cmd);

    if (id) {
        *id = ret ? 0 : cmd.out_hwpt_id;
    }
    return ret;
}

int ct_hwpt(int fd, uint32_t dev, uint32_t pt, uint32_t flags, uint32_t *id)
{
    return ct_hwpt_data(fd, dev, pt, flags, IOMMU_HWPT_DATA_NONE, NULL, 0, 0,
                        id);
}

int ct_vtd_s1(int fd, uint32_t dev, uint32_t parent, uint32_t flags,
              uint64_t pgtbl, uint32_t fault, uint32_t *id)
{
    struct iommu_hwpt_vtd_s1 s1 = { .pgtbl_addr = pgtbl, .addr_width = 48 };

    return ct_hwpt_data(fd, dev, parent, flags, IOMMU_HWPT_DATA_VTD_S1, &s1,
                        sizeof(s1), fault, id);
}

int ct_ste(int fd, uint32_t dev, uint32_t viommu, uint64_t ste0,
           uint64_t ste1, uint32_t *id)
{
    struct iommu_hwpt_arm_smmuv3 arg = {
        .ste = { htole64(ste0), htole64(ste1) },
    };

    return ct_hwpt_data(fd, dev, viommu, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &arg,
                        sizeof(arg), 0, id);
}

int ct_hw_info(int fd, uint32_t dev, struct iommu_hw_info *info)
{
    info->size = sizeof(*info);
    info->dev_id = dev;
    return ct_ioctl(fd, IOMMU_GET_HW_INFO, info);
}

int ct_invalidate(int fd, uint32_t id, uint32_t type, const void *entries,
                  uint32_t entry_len, uint32_t *nr)
{
    struct iommu_hwpt_invalidate cmd = {
        .size = sizeof(cmd),
        .hwpt_id = id,
        .data_uptr = (uintptr_t)entries,
        .data_type = type,
        .entry_len = entry_len,
        .entry_num = *nr,
    };
    int ret = ct_ioctl(fd, IOMMU_HWPT_INVALIDATE, &cmd);

    *nr = cmd.entry_num;
    return ret;
}

int ct_dirty_set(int fd, uint32_t hwpt, uint32_t flags)
{
    struct iommu_hwpt_set_dirty_tracking cmd = {
        .size = sizeof(cmd),
        .flags = flags,
        .hwpt_id = hwpt,
    };

    return ct_ioctl(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

int ct_dirty_get(int fd, uint32_t hwpt, uint32_t flags, uint64_t iova,
                 uint64_t len, uint64_t page, void *bitmap)
{
    struct iommu_hwpt_get_dirty_bitmap cmd = {
        .size = sizeof(cmd),
        .hwpt_id = hwpt,
        .flags = flags,
        .iova = iova,
        .length = len,
        .page_size = page,
        .data = (uintptr_t)bitmap,
    };

    return ct_ioctl(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

int ct_fault_queue(int fd, uint32_t *id, int *qfd)
{
    struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
    int ret = ct_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

    *id = ret ? 0 : cmd.out_fault_id;
    *qfd = ret ? -1 : ct_keep_fd(cmd.out_fault_fd);
    return ret;
}

int ct_viommu_new(int fd, uint32_t dev, uint32_t parent, uint32_t type,
                  uint32_t *id)
{
    return ct_viommu_data(fd, dev, parent, type, NULL, 0, id);
}

int ct_viommu_data(int fd, uint32_t dev, uint32_t parent, uint32_t type,
                   void *data, uint32_t len, uint32_t *id)
{
    struct iommu_viommu_alloc cmd = {
        .size = sizeof(cmd),
        .type = type,
        .dev_id = dev,
        .hwpt_id = parent,
        .data_len = len,
        .data_uptr = (uintptr_t)data,
    };
    int ret = ct_ioctl(fd, IOMMU_VIOMMU_ALLOC, &cmd);

    if (id) {
        *id = ret ? 0 : cmd.out_viommu_id;
    }
    return ret;
}

int ct_hw_queue(int fd, uint32_t viommu, uint32_t type, uint32_t index,
                uint64_t iova, uint64_t len, uint32_t *id)
{
    struct iommu_hw_queue_alloc cmd = {
        .size = sizeof(cmd),
        .viommu_id = viommu,
        .type = type,
        .index = index,
        .nesting_parent_iova = iova,
        .length = len,
    };
    int ret = ct_ioctl(fd, IOMMU_HW_QUEUE_ALLOC, &cmd);

    if (id) {
        *id = ret ? 0 : cmd.out_hw_queue_id;
    }
    return ret;
}

int ct_vdevice(int fd, uint32_t viommu, uint32_t dev, uint64_t virt_id,
               uint32_t *id)
{
    struct iommu_vdevice_alloc cmd = {
        .size = sizeof(cmd),
        .viommu_id = viommu,
        .dev_id = dev,
        .virt_id = virt_id,
    };
    int ret = ct_ioctl(fd, IOMMU_VDEVICE_ALLOC, &cmd);

    if (id) {
        *id = ret ? 0 : cmd.out_vdevice_id;
    }
    return ret;
}

int ct_veventq_new(int fd, uint32_t viommu, uint32_t type, uint32_t depth,
                   uint32_t *id, int *qfd)
{
    struct iommu_veventq_alloc cmd = {
        .size = sizeof(cmd),
        .viommu_id = viommu,
        .type = type,
        .veventq_depth = depth,
    };
    int ret = ct_ioctl(fd, IOMMU_VEVENTQ_ALLOC, &cmd);

    *id = ret ? 0 : cmd.out_veventq_id;
    *qfd = ret ? -1 : ct_keep_fd(cmd.out_veventq_fd);
    return ret;
}

ssize_t ct_read(int fd, void *buf, size_t len)
{
    ssize_t ret = read(fd, buf, len);

    return ret < 0 ? -errno : ret;
}

ssize_t ct_write(int fd, const void *buf, size_t len)
{
    ssize_t ret = write(fd, buf, len);

    return ret < 0 ? -errno : ret;
}

ssize_t ct_pread(int fd, void *buf, size_t len, uint64_t off)
{
    ssize_t ret = pread(fd, buf, len, off);

    return ret < 0 ? -errno : ret;
}

ssize_t ct_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
    ssize_t ret = pwrite(fd, buf, len, off);

    return ret < 0 ? -errno : ret;
}

int ct_poll(int fd, short want, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = want };
    int ret = poll(&p, 1, timeout_ms);

    return ret < 0 ? -errno : p.revents & want;
}
