/*
 * Model of /dev/iommu: groups of VFIO, and an iommufd as their container
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a kernel with CONFIG_IOMMUFD_VFIO_CONTAINER has it (Linux 7.3,
 * drivers/vfio/group.c and drivers/iommu/iommufd/vfio_compat.c), as far as a
 * VMM goes: no second owner of a group, no device without an IOMMU, no large
 * pages that would have to be cut.
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <linux/iommufd.h>
#include "objects.h"

#define PROT_FLAGS  (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define MAX_RANGES  64

static int copy_arg(const MdlCmd *cmd, void *arg, size_t minsz)
{
    uint32_t argsz;

    if (mdl_copy_from(arg, cmd->uptr, minsz)) {
        return -EFAULT;
    }
    memcpy(&argsz, arg, sizeof(argsz));
    return argsz < minsz ? -EINVAL : 0;
}

/* Executes one of iommufd's own, with its argument at @arg */
static int execute(MdlCmd *cmd, int (*call)(MdlCmd *), void *arg, size_t size)
{
    MdlCmd sub = {
        .fd = cmd->fd, .ctx = cmd->ctx, .uptr = arg, .arg = arg,
        .size = size, .user_size = size, .limit = -1,
    };

    return call(&sub);
}

/* ------------------------------------------------------------- container */

static int map_dma(MdlCmd *cmd, MdlIoas *ioas)
{
    struct vfio_iommu_type1_dma_map map;
    struct iommu_ioas_map arg = { .size = sizeof(arg) };
    int ret = copy_arg(cmd, &map, MDL_SIZEOF_TO(typeof(map), size));

    if (ret || map.flags & ~PROT_FLAGS) {
        return ret ? ret : -EINVAL;
    }
    arg.flags = IOMMU_IOAS_MAP_FIXED_IOVA;
    arg.flags |= map.flags & VFIO_DMA_MAP_FLAG_READ ?
                 IOMMU_IOAS_MAP_READABLE : 0;
    arg.flags |= map.flags & VFIO_DMA_MAP_FLAG_WRITE ?
                 IOMMU_IOAS_MAP_WRITEABLE : 0;
    arg.ioas_id = ioas->obj.id;
    arg.user_va = map.vaddr;
    arg.length = map.size;
    arg.iova = map.iova;
    return execute(cmd, mdl_cmd_ioas_map, &arg, sizeof(arg));
}

static int unmap_dma(MdlCmd *cmd, MdlIoas *ioas)
{
    struct vfio_iommu_type1_dma_unmap unmap;
    struct iommu_ioas_unmap arg = { .size = sizeof(arg) };
    bool all;
    int ret = copy_arg(cmd, &unmap, MDL_SIZEOF_TO(typeof(unmap), size));

    if (ret || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL) {
        return ret ? ret : -EINVAL;
    }
    all = unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL;
    if (all && (unmap.iova || unmap.size)) {
        return -EINVAL;
    }
    arg.ioas_id = ioas->obj.id;
    arg.iova = unmap.iova;
    arg.length = all ? UINT64_MAX : unmap.size;
    ret = execute(cmd, mdl_cmd_ioas_unmap, &arg, sizeof(arg));
    unmap.size = ret ? 0 : arg.length;
    return mdl_copy_to(cmd->uptr, &unmap, MDL_SIZEOF_TO(typeof(unmap), size)) ?
           -EFAULT : ret;
}

/* Page sizes, and in a capability the addresses that may be mapped */
static int get_info(MdlCmd *cmd, MdlIoas *ioas)
{
    struct {
        struct vfio_iommu_type1_info info;
        struct vfio_iommu_type1_info_cap_iova_range cap;
        struct vfio_iova_range range[MAX_RANGES];
    } out = {};
    struct iommu_ioas_iova_ranges arg = { .size = sizeof(arg) };
    size_t minsz = MDL_SIZEOF_TO(struct vfio_iommu_type1_info, iova_pgsizes);
    uint32_t argsz, need;
    int ret = copy_arg(cmd, &out.info, minsz);

    if (ret) {
        return ret;
    }
    argsz = out.info.argsz;
    arg.ioas_id = ioas->obj.id;
    arg.num_iovas = MAX_RANGES;
    arg.allowed_iovas = (uintptr_t)out.range;
    ret = execute(cmd, mdl_cmd_ioas_iova_ranges, &arg, sizeof(arg));
    if (ret) {
        return ret;
    }
    out.info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
    out.info.iova_pgsizes = ~(uint64_t)(arg.out_iova_alignment - 1);
    out.cap.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
    out.cap.header.version = 1;
    out.cap.nr_iovas = arg.num_iovas;
    need = sizeof(out.info) + sizeof(out.cap) +
           arg.num_iovas * sizeof(out.range[0]);
    out.info.argsz = need;
    out.info.cap_offset = argsz < need ? 0 : sizeof(out.info);
    return mdl_copy_to(cmd->uptr, &out, argsz < need ?
                       (argsz < sizeof(out.info) ? minsz : sizeof(out.info)) :
                       need);
}

int mdl_container_ioctl(MdlCmd *cmd, unsigned long req)
{
    MdlIoas *ioas = cmd->ctx->vfio_ioas;
    uintptr_t type = (uintptr_t)cmd->uptr;

    switch (req) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return type == VFIO_TYPE1_IOMMU || type == VFIO_TYPE1v2_IOMMU ||
               type == VFIO_UNMAP_ALL;
    }
    if (!mdl_host.container) {
        return -ENOTTY;
    }
    switch (req) {
    case VFIO_SET_IOMMU:
        return type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU ?
               -EINVAL : ioas ? 0 : -ENODEV;
    case VFIO_IOMMU_GET_INFO:
        return ioas ? get_info(cmd, ioas) : -ENODEV;
    case VFIO_IOMMU_MAP_DMA:
        return ioas ? map_dma(cmd, ioas) : -ENODEV;
    case VFIO_IOMMU_UNMAP_DMA:
        return ioas ? unmap_dma(cmd, ioas) : -ENODEV;
    default:
        return -ENOTTY;
    }
}

/* ----------------------------------------------------------------- group */

static int get_status(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_group_status status;
    int ret = copy_arg(cmd, &status, sizeof(status));

    if (ret) {
        return ret;
    }
    status.flags = file->ctx ? VFIO_GROUP_FLAGS_CONTAINER_SET |
                               VFIO_GROUP_FLAGS_VIABLE :
                   file->dev->viable ? VFIO_GROUP_FLAGS_VIABLE : 0;
    return mdl_copy_to(cmd->uptr, &status, sizeof(status));
}

static int set_container(MdlFile *file, MdlCmd *cmd)
{
    struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
    MdlFile *container;
    int fd, ret;

    if (mdl_copy_from(&fd, cmd->uptr, sizeof(fd))) {
        return -EFAULT;
    }
    if (file->ctx) {
        return -EINVAL;
    }
    container = fd < 0 ? NULL : mdl_fd_file(fd);
    if (!container || container->kind != MDL_FILE_CTX) {
        return fd >= 0 && mdl_fd_is_open(fd) ? -EBADFD : -EBADF;
    }
    cmd->ctx = container->ctx;
    if (!cmd->ctx->vfio_ioas) {
        ret = execute(cmd, mdl_cmd_ioas_alloc, &arg, sizeof(arg));
        if (ret) {
            return ret;
        }
        cmd->ctx->vfio_ioas = (MdlIoas *)mdl_obj_get(cmd->ctx, arg.out_ioas_id,
                                                     MDL_OBJ_IOAS);
    }
    mdl_ctx_get(cmd->ctx);
    file->ctx = cmd->ctx;
    return 0;
}

static int unset_container(MdlFile *file)
{
    if (!file->ctx) {
        return -EINVAL;
    }
    mdl_ctx_put(file->ctx);
    file->ctx = NULL;
    return 0;
}

static MdlDevice *member(unsigned group, const char *bdf)
{
    for (unsigned i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];

        if (dev->group == group && dev->vfio_driver && !strcmp(dev->bdf, bdf)) {
            return dev;
        }
    }
    return NULL;
}

/* As if bound and attached by its own descriptor */
static int open_device(MdlDevice *dev, MdlCtx *ctx)
{
    uint32_t ioas_id = ctx->vfio_ioas->obj.id;
    MdlFile *file;
    int fd, ret;

    if (dev->bound) {
        return -EBUSY;
    }
    ret = mdl_bind(ctx, dev);
    if (ret) {
        return ret;
    }
    fd = mdl_open_device(dev, O_CLOEXEC);
    if (fd < 0) {
        mdl_unbind(dev);
        return fd;
    }
    file = mdl_fd_file(fd);
    file->ctx = ctx;
    mdl_device_reset(dev);
    ret = mdl_attach(dev, 0, &ioas_id);
    if (ret) {
        mdl_fd_drop(fd);
        close(fd);
        return ret;
    }
    file->rid = true;
    return fd;
}

/* The name may be near the end of what can be read */
static int copy_name(char *name, size_t room, const char *uptr)
{
    for (size_t i = 0; i < room; i++) {
        if (mdl_copy_from(&name[i], &uptr[i], 1)) {
            return -EFAULT;
        }
        if (!name[i]) {
            return 0;
        }
    }
    return -EINVAL;
}

static int get_device_fd(MdlFile *file, MdlCmd *cmd)
{
    char bdf[128], *options;
    uint8_t token[16];
    MdlDevice *dev;
    bool given;
    int ret;

    ret = copy_name(bdf, sizeof(bdf), cmd->uptr);
    if (ret) {
        return ret;
    }
    options = bdf + strcspn(bdf, " ");
    if (*options) {
        *options++ = '\0';
    }
    mdl_cmd_note(cmd, "\"dev\":\"%s\"", bdf);
    dev = member(file->dev->group, bdf);
    if (!dev) {
        return -ENODEV;
    }
    ret = mdl_vf_options(options, token, &given);
    if (!ret) {
        ret = mdl_vf_match(dev, given ? token : NULL);
    }
    if (ret) {
        return ret;
    }
    if (!file->ctx || !file->ctx->vfio_ioas) {
        return -EINVAL;
    }
    return open_device(dev, file->ctx);
}

static const struct {
    unsigned long req;
    const char *name;
} calls[] = {
    { VFIO_GROUP_GET_STATUS, "GROUP_GET_STATUS" },
    { VFIO_GROUP_SET_CONTAINER, "GROUP_SET_CONTAINER" },
    { VFIO_GROUP_UNSET_CONTAINER, "GROUP_UNSET_CONTAINER" },
    { VFIO_GROUP_GET_DEVICE_FD, "GROUP_GET_DEVICE_FD" },
};

const char *mdl_group_name(unsigned long req)
{
    for (size_t i = 0; i < MDL_ARRAY_SIZE(calls); i++) {
        if (calls[i].req == req) {
            return calls[i].name;
        }
    }
    return "unknown";
}

int mdl_group_ioctl(MdlFile *file, MdlCmd *cmd, unsigned long req)
{
    switch (req) {
    case VFIO_GROUP_GET_STATUS:
        return get_status(file, cmd);
    case VFIO_GROUP_SET_CONTAINER:
        return set_container(file, cmd);
    case VFIO_GROUP_UNSET_CONTAINER:
        return unset_container(file);
    case VFIO_GROUP_GET_DEVICE_FD:
        return get_device_fd(file, cmd);
    default:
        return -ENOTTY;
    }
}

static void set_open(unsigned group, bool open)
{
    for (unsigned i = 0; i < mdl_host.nr_devices; i++) {
        if (mdl_host.device[i]->group == group) {
            mdl_host.device[i]->group_open = open;
        }
    }
}

/* Once, and not while one of its devices is bound by itself */
int mdl_group_open(MdlDevice *first)
{
    if (first->group_open) {
        return -EBUSY;
    }
    for (unsigned i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];

        if (dev->group == first->group && dev->bound) {
            return -EBUSY;
        }
    }
    set_open(first->group, true);
    return 0;
}

void mdl_group_release(MdlFile *file)
{
    set_open(file->dev->group, false);
    if (file->ctx) {
        mdl_ctx_put(file->ctx);
    }
}
