/*
 * Model of /dev/iommu: the hardware behind the ioctls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Called with mdl_lock held.
 */

#ifndef IOMMUFD_MODEL_HW_H
#define IOMMUFD_MODEL_HW_H

#include "model.h"

/*
 * Why DMA failed: FAULT_REASON of BAR0, and by name ("not-present") in the
 * replies of the control socket.  Numbers do not change.
 */
typedef enum HwReason {
    HW_REASON_NONE,
    HW_REASON_BLOCKED,          /* nothing attached, or an abort STE */
    HW_REASON_NOT_PRESENT,      /* no mapping in the stage reported */
    HW_REASON_PERMISSION,       /* mapping without the right */
    HW_REASON_PRIVILEGE,        /* user access to a supervisor page, or back */
    HW_REASON_RESERVED_BITS,    /* VT-d: reserved bit in a table entry */
    HW_REASON_NON_CANONICAL,    /* VT-d */
    HW_REASON_ADDR_SIZE,        /* SMMUv3: F_ADDR_SIZE */
    HW_REASON_ACCESS_FLAG,      /* SMMUv3: F_ACCESS */
    HW_REASON_BAD_STE,
    HW_REASON_STREAM_DISABLED,
    HW_REASON_BAD_SUBSTREAMID,
    HW_REASON_BAD_CD,
    HW_REASON_INTERRUPT_RANGE,  /* VT-d: 0xfee00000 without PASID */
    HW_REASON_ATS_DISABLED,     /* translation request refused */
    HW_REASON_PRI_REFUSED,      /* page request answered INVALID */
    HW_REASON_RESET,            /* the device was reset meanwhile */
    HW_REASON_BAD_REQUEST,      /* BAR0: nonsense in its registers */
    HW_REASON_STOPPED,          /* for migration */
    HW_REASON_BUS_MASTER,       /* not enabled in the command register */
    HW_REASON_STALLED,          /* SMMUv3: waits for a CMD_RESUME for ever */
} HwReason;

const char *hw_reason_name(HwReason reason);

/* Life of the hardware of one IOMMU and of one endpoint; abort on ENOMEM */
void hw_iommu_init(MdlIommu *iommu);
void hw_iommu_fini(MdlIommu *iommu);
void ep_init(MdlDevice *dev);
void ep_fini(MdlDevice *dev);

/* Life of a translation structure */
int hw_hwpt_init(MdlHwpt *hwpt);        /* domain id, checks of S1 data */
void hw_hwpt_fini(MdlHwpt *hwpt);
void hw_viommu_init(MdlViommu *viommu); /* vmid */
void hw_viommu_fini(MdlViommu *viommu);

/**
 * hw_attach: program what @dev (its RID, or @pasid) translates through, and
 * flush what the host's driver flushes when it does so.
 * @old, @new: NULL is blocked.  The caller keeps dev->hwpt and dev->pasids.
 */
void hw_attach(MdlDevice *dev, uint32_t pasid, MdlHwpt *old, MdlHwpt *new);

/* The host's driver flushes what IOAS_UNMAP took away */
void hw_ioas_unmapped(MdlIoas *ioas, uint64_t iova, uint64_t length);

/* A vDEVICE appeared or went away: its StreamID names the device or not */
void hw_vdevice_changed(MdlVdevice *vdev, bool added);

/**
 * hw_invalidate: one entry of IOMMU_HWPT_INVALIDATE.
 * @hwpt: nested HWPT, or NULL
 * @viommu: or the vIOMMU the entry is for
 * @entry: the entry in uAPI layout, copied from the caller
 *
 * Returns: 0, or the errno the kernel gives (-EIO for an unsupported SMMU
 * command); the entry then had no effect.
 */
int hw_invalidate_vtd(MdlHwpt *hwpt, const void *entry);
int hw_invalidate_smmuv3(MdlViommu *viommu, const void *entry);

/**
 * hw_vcmdq_command: a command of a queue that a guest has to itself.
 * @cmd: host endian
 * @atc_late: an ATC_INV was not answered, which the next CMD_SYNC tells
 *
 * Returns: HW_CERROR_*, 0 for none
 */
enum { HW_CERROR_ILL = 1, HW_CERROR_ABT, HW_CERROR_ATC_INV_SYNC };
unsigned hw_vcmdq_command(MdlViommu *viommu, const uint64_t *cmd,
                          bool *atc_late);

/* Whether it waits for a device that does not answer */
bool hw_hangs_smmuv3(MdlViommu *viommu, const void *entry);

/* The checks of hw_invalidate_smmuv3() alone */
int hw_check_smmuv3(MdlViommu *viommu, const void *entry);

/*
 * A new ioctl begins: the CMD_SYNC the driver put behind the commands of the
 * one before has completed.  Matters to hardware with the repeat erratum.
 */
void hw_invalidate_synced(MdlViommu *viommu);

/* Device side */
void hw_device_reset(MdlDevice *dev);   /* FLR: ATC, engine, control bits */
void hw_device_closed(MdlDevice *dev);
/* iopf_queue_remove_device(): groups whose last request has not come */
void hw_partial_free(MdlDevice *dev);

/*
 * What vfio migrates of a device: registers and buffer of its engine. Saving
 * returns the bytes written to @out; loading returns 0, or -EINVAL for what is
 * not such a state of such a device.
 */
#define MDL_DEVICE_STATE_MAX 8192
size_t hw_device_save(MdlDevice *dev, uint8_t *out);
int hw_device_load(MdlDevice *dev, const uint8_t *in, size_t len);
/* Has the device asked for pages and got no answer? */
bool hw_device_waits(const MdlDevice *dev);

/* Answer to mdl_fault_push(); @success false: INVALID or cancelled */
void hw_group_response(MdlDevice *dev, void *cookie_priv, bool success);

/**
 * hw_dirty_read: dirty log of one stage-2 HWPT.
 * @bitmap: one bit per page of @page_size counted from @iova, OR-ed in;
 *          NULL to only clear (what enabling the log does first)
 * @nr_bits: how many there is room for: a superpage at the end has more than
 *           are asked for
 */
void hw_dirty_read(MdlHwpt *hwpt, uint64_t iova, uint64_t length,
                   uint64_t page_size, bool clear, uint64_t *bitmap,
                   uint64_t nr_bits);

/* Region access from pread/pwrite on the vfio fd; bytes moved or -errno */
struct vfio_region_info;
struct vfio_irq_info;
struct vfio_irq_set;
int64_t ep_region_rw(MdlDevice *dev, unsigned region, uint64_t offset,
                     void *buf, size_t len, bool write);
int ep_region_info(MdlDevice *dev, unsigned region, uint64_t *size,
                   uint32_t *flags);    /* VFIO_REGION_INFO_FLAG_* */
/* Mappings of BARs follow what memory enable, power state and vfio allow */
void ep_bars_update(MdlDevice *dev);
/* File that has the memory of a BAR with VFIO_REGION_INFO_FLAG_MMAP */
#define MDL_BAR_FILE "iommufd-model-bar"
int ep_bar_file(MdlDevice *dev, unsigned region);
/* @fd, signalled, writes @data there; -1: not any longer */
int ep_ioeventfd(MdlDevice *dev, unsigned region, uint64_t at, uint64_t data,
                 unsigned count, int fd);
/* Low power ends with the next call, which @fd tells of; -1: it does not */
int ep_wake_by(MdlDevice *dev, int fd);
void ep_wake(MdlDevice *dev);
int ep_irq_info(MdlDevice *dev, unsigned index, uint32_t *count,
                uint32_t *flags);       /* VFIO_IRQ_INFO_* */
/* The caller has checked index, range, flags and the size of the data */
int ep_set_irqs(MdlDevice *dev, const struct vfio_irq_set *set,
                const void *data, size_t data_len);
/* 0, -EBADF, or -EINVAL: not an eventfd */
int ep_check_eventfd(int fd);
int ep_trigger(MdlDevice *dev, unsigned index, unsigned vector);
int ep_intx_level(MdlDevice *dev, bool level);
void ep_intx_mask(MdlDevice *dev, bool mask);

/* Offered to the other half beyond the model's own needs */
bool hw_ats_enabled(const MdlDevice *dev);  /* host switched ATS on */

/**
 * hw_command: the control socket's "dma", "dma-wait", "page-request",
 * "event", "event-lost", "irq", "caches".  May drop and take mdl_lock while
 * it waits.
 * @reply: receives the JSON members after "ok", without braces
 *
 * Returns: 0; -ENOSYS when the command is not the hardware's; another
 * negative errno with @reply holding the error text.
 */
int hw_command(const char *cmd, const MdlJson *req, char *reply,
               size_t reply_len);

#endif
