/*
 * Model of /dev/iommu: vfio device files
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3: drivers/vfio/device_cdev.c,
 * iommufd.c, vfio_main.c and pci/vfio_pci_core.c.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "objects.h"
#include "uapi-extra.h"

#define REGION_SHIFT        40
#define REGION_OF(offset)   ((uint64_t)(offset) >> REGION_SHIFT)
#define OFFSET_IN(offset)   ((offset) & ((1ull << REGION_SHIFT) - 1))

/* Whole-group calls of the kernel keep this in an ida of non-negative ints */
#define MAX_VFIO_PASID      INT32_MAX

int mdl_vfio_copy_arg(const MdlCmd *cmd, void *arg, size_t minsz)
{
    uint32_t argsz;

    if (mdl_copy_from(arg, cmd->uptr, minsz)) {
        return -EFAULT;
    }
    memcpy(&argsz, arg, sizeof(argsz));
    return argsz < minsz ? -EINVAL : 0;
}

/* -------------------------------------------------------- bind and attach */

static int device_bind(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_bind_iommufd arg;
    MdlDevice *dev = file->dev;
    uint8_t token[16];
    MdlFile *iommufd;
    uint32_t argsz;
    int ret;

    if (mdl_copy_from(&argsz, cmd->uptr, sizeof(argsz))) {
        return -EFAULT;
    }
    if (argsz < MDL_SIZEOF_TO(struct vfio_device_bind_iommufd, out_devid)) {
        return -EINVAL;
    }
    ret = mdl_copy_struct(&arg, sizeof(arg), cmd->uptr, argsz);
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"dev\":\"%s\",\"iommufd\":%d", dev->bdf, arg.iommufd);
    if (arg.iommufd < 0 || file->ctx || (arg.flags & ~(uint32_t)
        (mdl_host.absent & MDL_NO_BIND_TOKEN ? 0 :
                                               VFIO_DEVICE_BIND_FLAG_TOKEN))) {
        return -EINVAL;
    }
    if (dev->group_open) {
        return -EBUSY;
    }
    if ((arg.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) &&
        mdl_copy_from(token, (void *)(uintptr_t)arg.token_uuid_ptr,
                      sizeof(token))) {
        return -EFAULT;
    }
    ret = mdl_vf_match(dev, arg.flags & VFIO_DEVICE_BIND_FLAG_TOKEN ? token :
                                                                      NULL);
    if (ret) {
        return ret;
    }
    iommufd = mdl_fd_file(arg.iommufd);
    if (!iommufd) {
        iommufd = mdl_fd_adopt(arg.iommufd);
    }
    if (!iommufd || iommufd->kind != MDL_FILE_CTX) {
        return mdl_fd_is_open(arg.iommufd) ? -EBADFD : -EBADF;
    }
    if (dev->bound) {
        return -EINVAL;
    }
    ret = mdl_bind(iommufd->ctx, dev);
    if (ret) {
        return ret;
    }
    cmd->ctx = iommufd->ctx;
    mdl_cmd_note(cmd, "\"dev_id\":%u", dev->obj.id);
    if (mdl_copy_to((char *)cmd->uptr +
                    offsetof(struct vfio_device_bind_iommufd, out_devid),
                    &dev->obj.id, sizeof(dev->obj.id))) {
        mdl_unbind(dev);
        return -EFAULT;
    }
    file->ctx = iommufd->ctx;
    mdl_device_reset(dev);
    return 0;
}

/*
 * @pasid is read only when the flag asks for it, and then it must be there.
 * Of the drivers only vfio-pci itself has pasid_attach_ioas().
 */
static int copy_pasid(const MdlFile *file, const MdlCmd *cmd, uint32_t argsz,
                      size_t offset, uint32_t *pasid)
{
    if (mdl_host.absent & MDL_NO_PASID_ATTACH) {
        return -EINVAL;
    }
    if (!file->dev->pasid_attach) {
        return -EOPNOTSUPP;
    }
    if (argsz < offset + sizeof(*pasid)) {
        return -EINVAL;
    }
    return mdl_copy_from(pasid, (char *)cmd->uptr + offset, sizeof(*pasid));
}

/*
 * vfio remembers which PASIDs it attached.  PASID 0 is one of them there,
 * while to iommufd it is the RID.
 */
static int attach_rid(MdlFile *file, bool *attached, uint32_t *pt_id)
{
    int ret = *attached ? mdl_replace(file->dev, 0, pt_id) :
                          mdl_attach(file->dev, 0, pt_id);

    *attached |= !ret;
    return ret;
}

static int attach_pasid(MdlFile *file, uint32_t pasid, uint32_t *pt_id)
{
    if (!pasid) {
        return attach_rid(file, &file->pasid0, pt_id);
    }
    if (pasid > MAX_VFIO_PASID) {
        return -ENOSPC;
    }
    return mdl_is_attached(file->dev, pasid) ?
           mdl_replace(file->dev, pasid, pt_id) :
           mdl_attach(file->dev, pasid, pt_id);
}

static void detach_rid(MdlFile *file, bool *attached)
{
    if (*attached) {
        mdl_detach(file->dev, 0);
        *attached = false;
    }
}

static int device_attach(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_attach_iommufd_pt arg;
    uint32_t pasid = 0;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg,
                            MDL_SIZEOF_TO(struct vfio_device_attach_iommufd_pt,
                                          pt_id));
    if (ret) {
        return ret;
    }
    if (arg.flags & ~VFIO_DEVICE_ATTACH_PASID) {
        return -EINVAL;
    }
    if (arg.flags & VFIO_DEVICE_ATTACH_PASID) {
        ret = copy_pasid(file, cmd, arg.argsz,
                         offsetof(struct vfio_device_attach_iommufd_pt,
                                  pasid), &pasid);
        if (ret) {
            return ret;
        }
    }
    mdl_cmd_note(cmd, "\"dev\":\"%s\",\"flags\":%u,\"pt_id\":%u,\"pasid\":%u",
                 file->dev->bdf, arg.flags, arg.pt_id, pasid);
    if (arg.flags & VFIO_DEVICE_ATTACH_PASID) {
        ret = attach_pasid(file, pasid, &arg.pt_id);
    } else {
        ret = attach_rid(file, &file->rid, &arg.pt_id);
    }
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"out_pt_id\":%u", arg.pt_id);
    if (mdl_copy_to((char *)cmd->uptr +
                    offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
                    &arg.pt_id, sizeof(arg.pt_id))) {
        detach_rid(file, &file->rid);
        return -EFAULT;
    }
    return 0;
}

static int device_detach(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_detach_iommufd_pt arg;
    uint32_t pasid = 0;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg,
                            MDL_SIZEOF_TO(struct vfio_device_detach_iommufd_pt,
                                          flags));
    if (ret) {
        return ret;
    }
    if (arg.flags & ~VFIO_DEVICE_DETACH_PASID) {
        return -EINVAL;
    }
    if (arg.flags & VFIO_DEVICE_DETACH_PASID) {
        ret = copy_pasid(file, cmd, arg.argsz,
                         offsetof(struct vfio_device_detach_iommufd_pt,
                                  pasid), &pasid);
        if (ret) {
            return ret;
        }
    }
    mdl_cmd_note(cmd, "\"dev\":\"%s\",\"flags\":%u,\"pasid\":%u",
                 file->dev->bdf, arg.flags, pasid);
    if (!(arg.flags & VFIO_DEVICE_DETACH_PASID)) {
        detach_rid(file, &file->rid);
    } else if (!pasid) {
        detach_rid(file, &file->pasid0);
    } else {
        mdl_detach(file->dev, pasid);
    }
    return 0;
}

/* ------------------------------------------------------------- information */

static int get_info(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_info arg = { 0 };
    const size_t minsz = MDL_SIZEOF_TO(struct vfio_device_info, num_irqs);
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg, minsz);
    if (ret) {
        return ret;
    }
    arg.flags = VFIO_DEVICE_FLAGS_PCI |
                (file->dev->can_reset ? VFIO_DEVICE_FLAGS_RESET : 0);
    arg.num_regions = VFIO_PCI_NUM_REGIONS;
    arg.num_irqs = VFIO_PCI_NUM_IRQS;
    return mdl_copy_to(cmd->uptr, &arg, arg.argsz < sizeof(arg) ?
                       arg.argsz : sizeof(arg));
}

/* msix_mmappable_cap(), vfio_get_region_info(): as far as there is room */
static int add_region_cap(MdlCmd *cmd, struct vfio_region_info *arg)
{
    const struct vfio_info_cap_header cap = {
        .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
        .version = 1,
    };

    arg->flags |= VFIO_REGION_INFO_FLAG_CAPS;
    arg->cap_offset = 0;
    if (arg->argsz < sizeof(*arg) + sizeof(cap)) {
        arg->argsz = sizeof(*arg) + sizeof(cap);
        return 0;
    }
    arg->cap_offset = sizeof(*arg);
    return mdl_copy_to((char *)cmd->uptr + sizeof(*arg), &cap, sizeof(cap));
}

static int get_region_info(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_region_info arg;
    uint64_t size;
    uint32_t flags;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg, sizeof(arg));
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"index\":%u", arg.index);
    if (arg.index >= VFIO_PCI_NUM_REGIONS ||
        arg.index == VFIO_PCI_VGA_REGION_INDEX) {
        return -EINVAL;
    }
    ret = ep_region_info(file->dev, arg.index, &size, &flags);
    if (ret) {
        return ret;
    }
    arg.offset = (uint64_t)arg.index << REGION_SHIFT;
    arg.size = size;
    arg.flags = flags;
    if (arg.index == VFIO_PCI_BAR2_REGION_INDEX &&
        (flags & VFIO_REGION_INFO_FLAG_MMAP)) {
        ret = add_region_cap(cmd, &arg);
        if (ret) {
            return ret;
        }
    }
    return mdl_copy_to(cmd->uptr, &arg, sizeof(arg));
}

static int get_irq_info(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_irq_info arg;
    uint32_t count, flags;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg, sizeof(arg));
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"index\":%u", arg.index);
    if (arg.index >= VFIO_PCI_NUM_IRQS) {
        return -EINVAL;
    }
    ret = ep_irq_info(file->dev, arg.index, &count, &flags);
    if (ret) {
        return ret;
    }
    arg.count = count;
    arg.flags = flags;
    return mdl_copy_to(cmd->uptr, &arg, sizeof(arg));
}

/* vfio_set_irqs_validate_and_prepare() */
static int irq_data_size(const struct vfio_irq_set *hdr, uint32_t max,
                         size_t *size)
{
    size_t each, minsz = MDL_SIZEOF_TO(struct vfio_irq_set, count);

    if (hdr->argsz < minsz || hdr->index >= VFIO_PCI_NUM_IRQS ||
        hdr->count >= UINT32_MAX - hdr->start ||
        (hdr->flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK |
                        VFIO_IRQ_SET_ACTION_TYPE_MASK)) ||
        hdr->start >= max || hdr->start + hdr->count > max) {
        return -EINVAL;
    }
    switch (hdr->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
    case VFIO_IRQ_SET_DATA_NONE:
        each = 0;
        break;
    case VFIO_IRQ_SET_DATA_BOOL:
        each = sizeof(uint8_t);
        break;
    case VFIO_IRQ_SET_DATA_EVENTFD:
        each = sizeof(int32_t);
        break;
    default:
        return -EINVAL;
    }
    *size = hdr->count * each;
    return hdr->argsz - minsz < *size ? -EINVAL : 0;
}

static int set_irqs(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_irq_set hdr;
    uint32_t max = 0, flags;
    void *data = NULL;
    size_t size;
    int ret;

    if (mdl_copy_from(&hdr, cmd->uptr, sizeof(hdr))) {
        return -EFAULT;
    }
    mdl_cmd_note(cmd, "\"index\":%u,\"flags\":%u,\"start\":%u,\"count\":%u",
                 hdr.index, hdr.flags, hdr.start, hdr.count);
    if (hdr.index < VFIO_PCI_NUM_IRQS &&
        ep_irq_info(file->dev, hdr.index, &max, &flags)) {
        return -EINVAL;
    }
    ret = irq_data_size(&hdr, max, &size);
    if (ret) {
        return ret;
    }
    if (size) {
        data = malloc(size);
        if (!data) {
            return -ENOMEM;
        }
        ret = mdl_copy_from(data, (char *)cmd->uptr + sizeof(hdr), size);
    }
    if (!ret) {
        ret = ep_set_irqs(file->dev, &hdr, data, size);
    }
    free(data);
    return ret;
}

/* ------------------------------------------------------------------- reset */

static int device_reset(MdlFile *file, MdlCmd *cmd)
{
    mdl_cmd_note(cmd, "\"dev\":\"%s\"", file->dev->bdf);
    if (!file->dev->can_reset) {
        return -EINVAL;
    }
    if (file->dev->resetting) {
        return -EAGAIN;
    }
    mdl_device_reset(file->dev);
    return 0;
}

static bool same_bus(const MdlDevice *a, const MdlDevice *b)
{
    /* "0000:01:": segment and bus */
    return !strncmp(a->bdf, b->bdf, 8);
}

/* Nothing above a device on the root bus can reset it */
static bool has_bus_reset(const MdlDevice *dev)
{
    return dev->host_sid >> 8;
}

/* vfio_iommufd_get_dev_id(), in the words of the hot reset call */
static uint32_t hot_reset_id(const MdlDevice *dev, MdlCtx *ctx)
{
    if (dev->bound && dev->obj.ctx == ctx) {
        return dev->obj.id;
    }
    return mdl_group_in_ctx(dev->group, ctx) ? VFIO_PCI_DEVID_OWNED :
                                               VFIO_PCI_DEVID_NOT_OWNED;
}

static int hot_reset_info(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_pci_hot_reset_info hdr;
    struct vfio_pci_dependent_device dep = { 0 };
    uint32_t i, n = 0;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &hdr, sizeof(hdr));
    if (ret) {
        return ret;
    }
    if (!has_bus_reset(file->dev)) {
        return -ENODEV;
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        n += same_bus(mdl_host.device[i], file->dev);
    }
    hdr.flags = 0;
    hdr.count = n;
    if (n > (hdr.argsz - sizeof(hdr)) / sizeof(dep)) {
        return mdl_copy_to(cmd->uptr, &hdr, sizeof(hdr)) ? -EFAULT : -ENOSPC;
    }
    hdr.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
                VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
    for (i = 0, n = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];

        if (!same_bus(dev, file->dev)) {
            continue;
        }
        dep.devid = hot_reset_id(dev, file->ctx);
        dep.segment = dev->segment;
        dep.bus = dev->host_sid >> 8;
        dep.devfn = dev->host_sid & 0xff;
        if (dep.devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED) {
            hdr.flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
        }
        if (mdl_copy_to((char *)cmd->uptr + sizeof(hdr) + n++ * sizeof(dep),
                        &dep, sizeof(dep))) {
            return -EFAULT;
        }
    }
    return mdl_copy_to(cmd->uptr, &hdr, sizeof(hdr));
}

static int hot_reset(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_pci_hot_reset hdr;
    unsigned i;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &hdr, sizeof(hdr));
    if (ret) {
        return ret;
    }
    /* A list of groups is for group files, which these are not */
    if (hdr.flags || hdr.count) {
        return -EINVAL;
    }
    if (!has_bus_reset(file->dev)) {
        return -ENODEV;
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];

        if (same_bus(dev, file->dev) && hot_reset_id(dev, file->ctx) ==
            (uint32_t)VFIO_PCI_DEVID_NOT_OWNED) {
            return -EINVAL;
        }
    }
    /* pci_reset_bus() tells the IOMMU nothing */
    for (i = 0; i < mdl_host.nr_devices; i++) {
        if (same_bus(mdl_host.device[i], file->dev)) {
            hw_device_reset(mdl_host.device[i]);
        }
    }
    return 0;
}

/* --------------------------------------------------------------- ioeventfd */

/* vfio_pci_ioctl_ioeventfd() */
static int ioeventfd(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_ioeventfd arg;
    uint32_t count;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &arg,
                            MDL_SIZEOF_TO(struct vfio_device_ioeventfd, fd));
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"flags\":%u,\"offset\":%" PRIu64, arg.flags,
                 (uint64_t)arg.offset);
    count = arg.flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
    if (arg.flags != count || __builtin_popcount(count) != 1 || arg.fd < -1) {
        return -EINVAL;
    }
    return ep_ioeventfd(file->dev, REGION_OF(arg.offset),
                        OFFSET_IN(arg.offset), arg.data, count, arg.fd);
}

/* --------------------------------------------------------------- the file */

static const struct {
    unsigned long req;
    const char *name;
    int (*execute)(MdlFile *file, MdlCmd *cmd);
} calls[] = {
    { VFIO_DEVICE_BIND_IOMMUFD, "BIND_IOMMUFD", device_bind },
    { VFIO_DEVICE_ATTACH_IOMMUFD_PT, "ATTACH_IOMMUFD_PT", device_attach },
    { VFIO_DEVICE_DETACH_IOMMUFD_PT, "DETACH_IOMMUFD_PT", device_detach },
    { VFIO_DEVICE_GET_INFO, "GET_INFO", get_info },
    { VFIO_DEVICE_GET_REGION_INFO, "GET_REGION_INFO", get_region_info },
    { VFIO_DEVICE_GET_IRQ_INFO, "GET_IRQ_INFO", get_irq_info },
    { VFIO_DEVICE_SET_IRQS, "SET_IRQS", set_irqs },
    { VFIO_DEVICE_RESET, "RESET", device_reset },
    { VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, "GET_PCI_HOT_RESET_INFO",
      hot_reset_info },
    { VFIO_DEVICE_PCI_HOT_RESET, "PCI_HOT_RESET", hot_reset },
    { VFIO_DEVICE_IOEVENTFD, "IOEVENTFD", ioeventfd },
    { VFIO_DEVICE_FEATURE, "FEATURE", mdl_vfio_feature },
};

const char *mdl_vfio_name(unsigned long req)
{
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(calls); i++) {
        if (calls[i].req == req) {
            return calls[i].name;
        }
    }
    return "unknown";
}

int mdl_vfio_ioctl(MdlFile *file, MdlCmd *cmd, unsigned long req)
{
    size_t i;

    if (!file->ctx && req != VFIO_DEVICE_BIND_IOMMUFD) {
        return -EINVAL;
    }
    ep_wake(file->dev);
    for (i = 0; i < MDL_ARRAY_SIZE(calls); i++) {
        if (calls[i].req == req) {
            return calls[i].execute(file, cmd);
        }
    }
    return -ENOTTY;
}

/* Some of it, from its beginning */
static int64_t region_rw(MdlDevice *dev, uint64_t at, unsigned region,
                         void *buf, size_t len, bool write)
{
    uint8_t bounce[4096];
    int64_t n;

    len = len < sizeof(bounce) ? len : sizeof(bounce);
    if (write && mdl_copy_from(bounce, buf, len)) {
        return -EFAULT;
    }
    n = ep_region_rw(dev, region, at, bounce, len, write);
    if (n > 0 && !write && mdl_copy_to(buf, bounce, n)) {
        return -EFAULT;
    }
    return n;
}

ssize_t mdl_vfio_rw(MdlFile *file, void *buf, size_t len, int64_t offset,
                    bool write)
{
    uint64_t region = REGION_OF(offset);
    size_t done;
    int64_t n;

    if (!file->ctx || offset < 0) {
        return -EINVAL;
    }
    if (region >= VFIO_PCI_NUM_REGIONS ||
        (write && region == VFIO_PCI_ROM_REGION_INDEX)) {
        return len ? -EINVAL : 0;
    }
    ep_wake(file->dev);
    for (done = 0; done < len; done += n) {
        n = region_rw(file->dev, OFFSET_IN(offset) + done, region,
                      (char *)buf + done, len - done, write);
        if (n <= 0) {
            /* What lies behind the end of the region is left out */
            return done && n == -EINVAL ? done : n;
        }
    }
    return done;
}

/* vfio_pci_core_mmap(): BARs only, and shared */
int mdl_vfio_mmap(MdlFile *file, size_t len, bool shared, int *fd,
                  int64_t *offset)
{
    uint64_t region = REGION_OF(*offset), at = OFFSET_IN(*offset), size;
    uint32_t flags;

    if (!file->ctx || *offset < 0 || !shared ||
        region > VFIO_PCI_BAR5_REGION_INDEX ||
        ep_region_info(file->dev, region, &size, &flags) ||
        !(flags & VFIO_REGION_INFO_FLAG_MMAP) || at > size ||
        len > size - at) {
        return -EINVAL;
    }
    *fd = ep_bar_file(file->dev, region);
    *offset = at;
    return 0;
}

/* The last descriptor of a device file went away */
void mdl_vfio_release(MdlFile *file)
{
    if (!file->ctx) {
        return;
    }
    hw_device_closed(file->dev);
    ep_wake_by(file->dev, -1);
    file->dev->low_power = false;
    mdl_dmabuf_cleanup(file->dev);
    mdl_unbind(file->dev);
    ep_bars_update(file->dev);
    file->ctx = NULL;
}
