/*
 * Nested IOMMU core: the system calls
 *
 * The only place of the core that talks to the kernel and to QEMU's main
 * loop. Unit tests link another implementation of these functions instead of
 * sys.c.
 *
 * Functions that return int return 0 or a negative errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_IOMMUFD_SYS_H
#define HW_IOMMUFD_SYS_H

#include "hw/iommufd.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"

/* IOMMU_GET_HW_INFO; fills in all of @info but parent_flags */
int iommufd_sys_hw_info(int iommufd, uint32_t dev_id,
                        IOMMUFDNestedHostInfo *info);

/* The same with an input type: no more than @data, zero where it knows less */
int iommufd_sys_hw_info_of(int iommufd, uint32_t dev_id, uint32_t type,
                           void *data, uint32_t data_len);

/* enum iommufd_hwpt_alloc_flags of the HWPT that vfio made for the device */
uint32_t iommufd_sys_parent_flags(HostIOMMUDeviceIOMMUFD *idev);

/* enum IOMMUFDNestedLacks of the device, as get_nesting() has found out */
uint32_t iommufd_sys_lacks(HostIOMMUDeviceIOMMUFD *idev);

/*
 * The host's IOMMU group of a device, by vfio's file of it, however that was
 * opened; -1: there is no sysfs to look it up in
 */
int64_t iommufd_sys_fd_group(int device_fd);
int64_t iommufd_sys_group(HostIOMMUDeviceIOMMUFD *idev);
/* Bus addresses of all that is in a group, and of a device; NULL: not known */
char **iommufd_sys_group_devices(uint32_t group);
char *iommufd_sys_address(HostIOMMUDeviceIOMMUFD *idev);
/* Is it a PCI bridge or port, which vfio-pci takes none of? */
bool iommufd_sys_is_bridge(const char *address);

/*
 * What sysfs says the host keeps of [@first, @last] for the device's group:
 * "msi", "direct", ...; NULL: nothing that keeps memory away
 */
char *iommufd_sys_fd_reserved(int device_fd, uint64_t first, uint64_t last);

/* IOMMU_IOAS_IOVA_RANGES: a list of Range, in ascending order; NULL: failed */
GList *iommufd_sys_iova_ranges(int iommufd, uint32_t ioas);

/* The IOAS that the HWPT which vfio made for the device is of */
uint32_t iommufd_sys_parent_ioas(HostIOMMUDeviceIOMMUFD *idev);

/* IOMMU_IOAS_ALLOC */
int iommufd_sys_ioas_alloc(int iommufd, uint32_t *id);

/* IOMMU_IOAS_MAP_FILE of what is at @start in a file or dma-buf */
int iommufd_sys_ioas_map_file(int iommufd, uint32_t ioas, uint64_t iova,
                              uint64_t size, int fd, uint64_t start,
                              bool readonly);

/* VFIO_DEVICE_FEATURE_DMA_BUF of a part of a region: a new fd, or -errno */
int iommufd_sys_dma_buf(int device_fd, uint32_t region, uint64_t offset,
                        uint64_t size);

/* IOMMU_IOAS_COPY of what @src has at @gpa to @iova; -ENOENT: it has nothing */
int iommufd_sys_ioas_copy(int iommufd, uint32_t dst, uint32_t src,
                          uint64_t iova, uint64_t gpa, uint64_t size,
                          bool read, bool write);

/* IOMMU_IOAS_UNMAP */
int iommufd_sys_ioas_unmap(int iommufd, uint32_t id, uint64_t iova,
                           uint64_t size);

/*
 * Is there memory of the guest at @gpa that devices can reach? *@size becomes
 * less if that is not so for all of it; @writable is set.
 */
bool iommufd_sys_guest_ram(uint64_t gpa, uint64_t *size, bool *writable);

/*
 * From the first shadow of an IOMMUFDNested to the last one: it is told of
 * changes of the guest's memory, by iommufd_shadow_ram_gone() and _changed(),
 * and asked by iommufd_shadow_log_sync() when dirty pages are looked for.
 */
void iommufd_sys_shadow_begin(void);
void iommufd_sys_shadow_end(void);

/* Memory that a device may have written, if dirty pages are looked for */
void iommufd_sys_guest_ram_dirty(uint64_t gpa, uint64_t size);

/* IOMMU_HWPT_ALLOC; @flags include IOMMU_HWPT_FAULT_ID_VALID if @fault_id is */
int iommufd_sys_hwpt_alloc(int iommufd, uint32_t dev_id, uint32_t pt_id,
                           uint32_t flags, uint32_t fault_id,
                           uint32_t data_type, const void *data,
                           uint32_t data_len, uint32_t *id);

/* IOMMU_VIOMMU_ALLOC; the kernel reads @data of the type, and writes it */
int iommufd_sys_viommu_alloc(int iommufd, uint32_t type, uint32_t dev_id,
                             uint32_t parent_id, void *data, uint32_t data_len,
                             uint32_t *id);

/* IOMMU_HW_QUEUE_ALLOC */
int iommufd_sys_hw_queue_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                               uint32_t index, uint64_t gpa, uint64_t length,
                               uint32_t *id);

/* mmap() of an iommufd in place of what is at @page; then zeroes there */
int iommufd_sys_map_page(int iommufd, void *page, size_t length,
                         uint64_t offset);
int iommufd_sys_unmap_page(void *page, size_t length);

/* IOMMU_VDEVICE_ALLOC */
int iommufd_sys_vdevice_alloc(int iommufd, uint32_t viommu_id, uint32_t dev_id,
                              uint64_t label, uint32_t *id);

/* IOMMU_FAULT_QUEUE_ALLOC */
int iommufd_sys_fault_alloc(int iommufd, uint32_t *id, int *fd);

/* IOMMU_VEVENTQ_ALLOC */
int iommufd_sys_veventq_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                              uint32_t depth, uint32_t *id, int *fd);

/* IOMMU_DESTROY */
int iommufd_sys_destroy(int iommufd, uint32_t id);

/*
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT and its reverse. What is attached already is
 * replaced. @pasid may be IOMMUFD_NESTED_RID.
 */
int iommufd_sys_attach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                       uint32_t pt_id);
int iommufd_sys_detach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid);
/* The same for one that vfio has just bound; @fd is its own */
int iommufd_sys_attach_fd(int fd, uint32_t pasid, uint32_t pt_id);
int iommufd_sys_detach_fd(int fd, uint32_t pasid);

/* Whether IOMMU_IOAS_MAP_FILE takes a file: of tmpfs or hugetlbfs */
bool iommufd_sys_can_pin_file(int fd);
/*
 * Whether the file is on a disk: a shared mapping of it cannot be pinned, for
 * the file system has to know of what is written
 */
bool iommufd_sys_file_on_disk(int fd);

/* IOMMU_HWPT_INVALIDATE; *@num becomes how many were done, also on error */
int iommufd_sys_invalidate(int iommufd, uint32_t id, uint32_t type,
                           uint32_t len, uint32_t *num, void *entries);

/* A queue's fd; what was read or written in bytes, or a negative errno */
ssize_t iommufd_sys_read(int fd, void *buf, size_t len);
ssize_t iommufd_sys_write(int fd, const void *buf, size_t len);
void iommufd_sys_close(int fd);

/* Call @read from the main loop when @fd is readable; NULL: no longer */
void iommufd_sys_watch(int fd, IOHandler *read, void *opaque);

/* In ms: of the guest, which stands still while the VM does, or of the host */
int64_t iommufd_sys_now(bool guest);
/* The host's, finer */
int64_t iommufd_sys_ns(void);
QEMUTimer *iommufd_sys_timer_new(bool guest, QEMUTimerCB *cb, void *opaque);
void iommufd_sys_timer_set(QEMUTimer *timer, int64_t ms);
void iommufd_sys_timer_stop(QEMUTimer *timer);
void iommufd_sys_timer_free(QEMUTimer *timer);

/* Call @cb once from the main loop after each time it is scheduled */
QEMUBH *iommufd_sys_bh_new(QEMUBHFunc *cb, void *opaque,
                           MemReentrancyGuard *guard);
void iommufd_sys_bh_schedule(QEMUBH *bh);
void iommufd_sys_bh_free(QEMUBH *bh);

/* Tell management; @pasid, or IOMMUFD_NESTED_RID, is one of @num */
void iommufd_sys_tell_blocked(const char *iommu, const char *device,
                              uint32_t num, uint32_t pasid,
                              const char *reason);
void iommufd_sys_tell_unblocked(const char *iommu, const char *device);

/* Call @fn, always the same, when QEMU exits */
void iommufd_sys_at_exit(void (*fn)(void));

#endif
