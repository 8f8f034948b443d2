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

/* Copies the part of the argument a call cannot do without */
static int copy_arg(const MdlCmd *cmd, void *arg, size_t minsz)
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
    if (arg.iommufd < 0 || (arg.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN) ||
        file->ctx) {
        return -EINVAL;
    }
    if (arg.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) {
        uint8_t uuid[16];

        /* Neither a PF with VFs nor a VF of one that vfio drives */
        return mdl_copy_from(uuid, (void *)(uintptr_t)arg.token_uuid_ptr,
                             sizeof(uuid)) ? -EFAULT : -EINVAL;
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

    ret = copy_arg(cmd, &arg,
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

    ret = copy_arg(cmd, &arg,
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

    ret = copy_arg(cmd, &arg, minsz);
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

    ret = copy_arg(cmd, &arg, sizeof(arg));
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

    ret = copy_arg(cmd, &arg, sizeof(arg));
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

    ret = copy_arg(cmd, &hdr, sizeof(hdr));
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

    ret = copy_arg(cmd, &hdr, sizeof(hdr));
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

/* ---------------------------------------------------------------- features */

/* vfio_check_feature(): 1 when the caller is to carry the operation out */
static int check_feature(uint32_t flags, size_t argsz, uint32_t can,
                         size_t minsz)
{
    uint32_t ops = flags & (VFIO_DEVICE_FEATURE_GET |
                            VFIO_DEVICE_FEATURE_SET);

    if (ops & ~can) {
        return -EINVAL;
    }
    if (flags & VFIO_DEVICE_FEATURE_PROBE) {
        return 0;
    }
    return !ops || argsz < minsz ? -EINVAL : 1;
}

/* What only a device that can be migrated has */
static int migration_feature(MdlFile *file, MdlCmd *cmd,
                             const struct vfio_device_feature *hdr)
{
    const uint32_t get = VFIO_DEVICE_FEATURE_GET;
    const uint32_t set = VFIO_DEVICE_FEATURE_SET;
    uint32_t feature = hdr->flags & VFIO_DEVICE_FEATURE_MASK;
    bool state = feature == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
    void *uptr = (char *)cmd->uptr + sizeof(*hdr);
    int ret;

    if (!file->dev->migration) {
        return -ENOTTY;
    }
    /* All three have arguments of eight bytes */
    ret = check_feature(hdr->flags, hdr->argsz - sizeof(*hdr),
                        state ? get | set : get,
                        sizeof(struct vfio_device_feature_mig_state));
    if (ret != 1) {
        return ret;
    }
    switch (feature) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        return mdl_migration_flags(file->dev, uptr);
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        return mdl_migration_data_size(file->dev, uptr);
    default:
        return mdl_migration_state(file->dev, uptr, hdr->flags & set);
    }
}

/* What only a device has that logs its writes */
static int logging_feature(MdlFile *file, MdlCmd *cmd,
                           const struct vfio_device_feature *hdr)
{
    uint32_t feature = hdr->flags & VFIO_DEVICE_FEATURE_MASK;
    bool report = feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
    bool stop = feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
    void *uptr = (char *)cmd->uptr + sizeof(*hdr);
    int ret;

    if (!file->dev->dma_logging) {
        return -ENOTTY;
    }
    /* Arguments have 24 and 32 bytes, or none */
    ret = check_feature(hdr->flags, hdr->argsz - sizeof(*hdr),
                        report ? VFIO_DEVICE_FEATURE_GET :
                        VFIO_DEVICE_FEATURE_SET, stop ? 0 : 24);
    if (ret != 1) {
        return ret;
    }
    if (stop) {
        mdl_dma_log_stop(file->dev);
        return 0;
    }
    return report ? mdl_dma_log_report(file->dev, uptr) :
                    mdl_dma_log_start(file->dev, uptr);
}

/*
 * vfio_pci_core_pm_entry(), ..._with_wakeup(), ..._exit(): once, until it is
 * ended. The device stays in D0 all the same, and so wakes nobody.
 */
static int low_power_feature(MdlFile *file, MdlCmd *cmd,
                             const struct vfio_device_feature *hdr)
{
    struct vfio_device_low_power_entry_with_wakeup entry;
    uint32_t feature = hdr->flags & VFIO_DEVICE_FEATURE_MASK;
    bool wakes = feature == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
    int ret;

    ret = check_feature(hdr->flags, hdr->argsz - sizeof(*hdr),
                        VFIO_DEVICE_FEATURE_SET, wakes ? sizeof(entry) : 0);
    if (ret != 1) {
        return ret;
    }
    if (wakes) {
        if (mdl_copy_from(&entry, (char *)cmd->uptr + sizeof(*hdr),
                          sizeof(entry))) {
            return -EFAULT;
        }
        ret = entry.wakeup_eventfd < 0 ? -EINVAL :
                                         ep_check_eventfd(entry.wakeup_eventfd);
        if (ret) {
            return ret;
        }
    }
    if (feature != VFIO_DEVICE_FEATURE_LOW_POWER_EXIT && file->dev->low_power) {
        return -EINVAL;
    }
    file->dev->low_power = feature != VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
    ep_bars_update(file->dev);
    return 0;
}

static int device_feature(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_feature hdr;
    int ret;

    ret = copy_arg(cmd, &hdr, sizeof(hdr));
    if (ret) {
        return ret;
    }
    mdl_cmd_note(cmd, "\"flags\":%u", hdr.flags);
    if (hdr.flags & ~(VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_SET |
                      VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE)) {
        return -EINVAL;
    }
    if (!(hdr.flags & VFIO_DEVICE_FEATURE_PROBE) &&
        (hdr.flags & VFIO_DEVICE_FEATURE_SET) &&
        (hdr.flags & VFIO_DEVICE_FEATURE_GET)) {
        return -EINVAL;
    }
    switch (hdr.flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
    case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
    case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
        return low_power_feature(file, cmd, &hdr);
    case MDL_VFIO_FEATURE_MIG_PRECOPY_INFO2:
        return -EINVAL;
    case VFIO_DEVICE_FEATURE_MIGRATION:
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        return migration_feature(file, cmd, &hdr);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return logging_feature(file, cmd, &hdr);
    default:
        /* No VF token */
        return -ENOTTY;
    }
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
    { VFIO_DEVICE_FEATURE, "FEATURE", device_feature },
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
    file->dev->low_power = false;
    mdl_unbind(file->dev);
    ep_bars_update(file->dev);
    file->ctx = NULL;
}
