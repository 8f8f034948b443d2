/*
 * Conformance of /dev/iommu: groups of VFIO, and an iommufd as their container
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "conformance.h"

#define IOVA    0x100000

static int open_group(const CtDevice *dev)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/dev/vfio/%s", dev->group);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : ct_keep_fd(fd);
}

static int open_container(void)
{
    int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : ct_keep_fd(fd);
}

static uint32_t status_of(int group)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };

    RET(0, ct_ioctl(group, VFIO_GROUP_GET_STATUS, &status));
    return status.flags;
}

static int dma_map(int container, void *va, uint64_t size, uint64_t iova)
{
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map), .vaddr = (uintptr_t)va, .iova = iova,
        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .size = size,
    };

    return ct_ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

static int dma_unmap(int container, uint32_t flags, uint64_t iova,
                     uint64_t *size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = *size,
    };
    int ret = ct_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);

    *size = unmap.size;
    return ret;
}

static int set_iommu(int container, unsigned long type)
{
    return ct_ioctl(container, VFIO_SET_IOMMU, (void *)type);
}

static int device_fd(int group, const char *bdf)
{
    int fd = ct_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)bdf);

    return fd < 0 ? fd : ct_keep_fd(fd);
}

/* iommufd_vfio_ioctl(): without a group there is no IOAS for it */
static void container_alone(void)
{
    int fd = open_container();
    struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
    uint64_t size = ct_page();

    OK(fd >= 0);
    RET(VFIO_API_VERSION, ct_ioctl(fd, VFIO_GET_API_VERSION, NULL));
    RET(1, ct_ioctl(fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU));
    RET(0, ct_ioctl(fd, VFIO_CHECK_EXTENSION,
                    (void *)VFIO_SPAPR_TCE_v2_IOMMU));
    RET(-ENODEV, set_iommu(fd, VFIO_TYPE1v2_IOMMU));
    RET(-EINVAL, set_iommu(fd, VFIO_SPAPR_TCE_v2_IOMMU));
    RET(-ENODEV, ct_ioctl(fd, VFIO_IOMMU_GET_INFO, &info));
    RET(-ENODEV, dma_map(fd, ct_mem(size), size, IOVA));
    RET(-ENODEV, dma_unmap(fd, 0, IOVA, &size));
}

/* vfio_group_fops_open(), vfio_group_ioctl_set_container() */
static void group_container(void)
{
    const CtDevice *dev = ct_device(CT_CONTAINER);
    int null = ct_keep_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    int container = open_container(), group = open_group(dev), fd;

    OK(group >= 0);
    RET(-EBUSY, open_group(dev));
    EQ(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
    RET(-EINVAL, device_fd(group, dev->bdf));
    RET(-EINVAL, ct_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
    fd = 4000;
    RET(-EBADF, ct_ioctl(group, VFIO_GROUP_SET_CONTAINER, &fd));
    RET(-EBADFD, ct_ioctl(group, VFIO_GROUP_SET_CONTAINER, &null));
    RET(0, ct_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
    RET(-EINVAL, ct_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
    EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
       status_of(group));
    RET(0, set_iommu(container, VFIO_TYPE1v2_IOMMU));
    RET(-ENODEV, device_fd(group, "ffff:ff:1f.7"));
    RET(0, ct_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL));
    EQ(VFIO_GROUP_FLAGS_VIABLE, status_of(group));
    ct_close(group);
    group = open_group(dev);
    OK(group >= 0);
}

/* vfio_compat.c: MAP_DMA, UNMAP_DMA, GET_INFO */
static void group_map(void)
{
    const CtDevice *dev = ct_device(CT_CONTAINER);
    int container = open_container(), group = open_group(dev), fd;
    struct vfio_device_info info = { .argsz = sizeof(info) };
    struct vfio_device_bind_iommufd bind = {
        .argsz = sizeof(bind), .iommufd = ct_open_iommufd(),
    };
    struct {
        struct vfio_iommu_type1_info info;
        char caps[4096];
    } iommu = { .info.argsz = sizeof(iommu) };
    uint64_t page = ct_page(), size = page;
    char *mem = ct_mem(4 * page);

    RET(0, ct_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
    RET(0, set_iommu(container, VFIO_TYPE1v2_IOMMU));
    fd = device_fd(group, dev->bdf);
    OK(fd >= 0);
    RET(0, ct_ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
    RET(0, ct_ioctl(container, VFIO_IOMMU_GET_INFO, &iommu.info));
    OK(iommu.info.flags & VFIO_IOMMU_INFO_PGSIZES);
    OK(iommu.info.iova_pgsizes & page);
    OK(iommu.info.flags & VFIO_IOMMU_INFO_CAPS);
    EQ(sizeof(iommu.info), iommu.info.cap_offset);
    RET(0, dma_map(container, mem, page, IOVA));
    RET(-EEXIST, dma_map(container, mem, page, IOVA));
    RET(0, dma_map(container, mem + page, 2 * page, IOVA + page));
    RET(0, dma_unmap(container, 0, IOVA, &size));
    EQ(page, size);
    RET(-EINVAL, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
    size = 0;
    RET(0, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
    EQ(2 * page, size);
}

/* vfio_device_block_group(), vfio_group_fops_open() */
static void group_or_cdev(void)
{
    const CtDevice *dev = ct_device(CT_CONTAINER);
    int group = open_group(dev), iommufd = ct_open_iommufd();
    int fd = ct_open_cdev(dev);
    uint32_t id;

    RET(-EBUSY, ct_bind(fd, iommufd, &id));
    ct_close(group);
    RET(0, ct_bind(fd, iommufd, &id));
    RET(-EBUSY, open_group(dev));
}

static const CtScenario scenarios[] = {
    { "a container without a group", container_alone, CT_CONTAINER },
    { "a group and its container", group_container, CT_CONTAINER },
    { "mapping for a group", group_map, CT_CONTAINER },
    { "a group or a device of it", group_or_cdev, CT_CONTAINER },
};

CT_GROUP(ct_group_container, "container");
