/*
 * Model of /dev/iommu: features of vfio devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3: drivers/vfio/vfio_main.c and
 * pci/vfio_pci_core.c.
 */

#include <inttypes.h>
#include "objects.h"
#include "uapi-extra.h"

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

/* vfio_pci_core_feature_token() */
static int token_feature(MdlFile *file, MdlCmd *cmd,
                         const struct vfio_device_feature *hdr)
{
    uint8_t token[16];
    int ret;

    if (!mdl_vf_has_token(file->dev)) {
        return -ENOTTY;
    }
    ret = check_feature(hdr->flags, hdr->argsz - sizeof(*hdr),
                        VFIO_DEVICE_FEATURE_SET, sizeof(token));
    if (ret != 1) {
        return ret;
    }
    if (mdl_copy_from(token, (char *)cmd->uptr + sizeof(*hdr),
                      sizeof(token))) {
        return -EFAULT;
    }
    mdl_vf_set_token(file->dev, token);
    return 0;
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
 * ended, or what wakes the device ends it.
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
    ep_wake_by(file->dev, wakes ? entry.wakeup_eventfd : -1);
    file->dev->low_power = feature != VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
    ep_bars_update(file->dev);
    return 0;
}

/* vfio_pci_core_feature_dma_buf() */
static int dma_buf_feature(MdlFile *file, MdlCmd *cmd,
                           const struct vfio_device_feature *hdr)
{
    int ret;

    if (mdl_host.absent & MDL_NO_DMA_BUF) {
        return -ENOTTY;
    }
    ret = check_feature(hdr->flags, hdr->argsz - sizeof(*hdr),
                        VFIO_DEVICE_FEATURE_GET,
                        sizeof(struct mdl_feature_dma_buf));
    return ret != 1 ? ret :
           mdl_dmabuf_get(file->dev, (char *)cmd->uptr + sizeof(*hdr));
}

int mdl_vfio_feature(MdlFile *file, MdlCmd *cmd)
{
    struct vfio_device_feature hdr;
    int ret;

    ret = mdl_vfio_copy_arg(cmd, &hdr, sizeof(hdr));
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
    case MDL_VFIO_FEATURE_DMA_BUF:
        return dma_buf_feature(file, cmd, &hdr);
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
    case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
        return token_feature(file, cmd, &hdr);
    default:
        return -ENOTTY;
    }
}
