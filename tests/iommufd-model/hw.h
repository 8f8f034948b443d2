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

/* Device side */
void hw_device_reset(MdlDevice *dev);   /* FLR: ATC, engine, control bits */
void hw_device_closed(MdlDevice *dev);

/* Answer to mdl_fault_push(); @success false: INVALID or cancelled */
void hw_group_response(MdlDevice *dev, void *cookie_priv, bool success);

/* Dirty log of one stage-2 HWPT: bit per page of @page_size, OR-ed in */
void hw_dirty_read(MdlHwpt *hwpt, uint64_t iova, uint64_t length,
                   uint64_t page_size, bool clear, uint64_t *bitmap);

/* Region access from pread/pwrite on the vfio fd; bytes moved or -errno */
struct vfio_region_info;
struct vfio_irq_info;
struct vfio_irq_set;
int64_t ep_region_rw(MdlDevice *dev, unsigned region, uint64_t offset,
                     void *buf, size_t len, bool write);
int ep_region_info(MdlDevice *dev, unsigned region, uint64_t *size,
                   uint32_t *flags);    /* VFIO_REGION_INFO_FLAG_* */
int ep_irq_info(MdlDevice *dev, unsigned index, uint32_t *count,
                uint32_t *flags);       /* VFIO_IRQ_INFO_* */
int ep_set_irqs(MdlDevice *dev, const struct vfio_irq_set *set,
                const void *data, size_t data_len);
int ep_trigger(MdlDevice *dev, unsigned index, unsigned vector);

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
