/*
 * Nested IOMMU core: the system calls
 *
 * HostIOMMUDeviceIOMMUFDClass and backends/iommufd.c have functions for some of
 * them. They return no errno, and what is done about an error depends on it:
 * EBUSY is a reset that is under way, ENODEV and EINVAL are page requests that
 * the host does not serve, ENOENT is memory that the parent does not have. Nor
 * do they know PASIDs, fault queues and vIOMMUs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <linux/iommufd.h>
#include <linux/magic.h>
#include <linux/vfio.h>
#include "hw/pci/pci_ids.h"
#include "hw/vfio/vfio-device.h"
#include "hw/vfio/vfio-iommufd.h"
#include "qapi/qapi-events-nested-iommu.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/range.h"
#include "system/system.h"
#include "sys.h"

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg) ? -errno : 0;
}

static int sys_vfio_fd(HostIOMMUDeviceIOMMUFD *idev)
{
    VFIODevice *vbasedev = HOST_IOMMU_DEVICE(idev)->agent;

    return vbasedev->fd;
}

int iommufd_sys_hw_info(int iommufd, uint32_t dev_id,
                        IOMMUFDNestedHostInfo *info)
{
    struct iommu_hw_info arg = {
        .size = sizeof(arg),
        .dev_id = dev_id,
        .data_len = sizeof(info->vendor),
        .data_uptr = (uintptr_t)&info->vendor,
    };
    int ret = sys_ioctl(iommufd, IOMMU_GET_HW_INFO, &arg);

    if (!ret) {
        info->type = arg.out_data_type;
        info->caps = arg.out_capabilities;
        info->max_pasid_log2 = arg.out_max_pasid_log2;
    }
    return ret;
}

int iommufd_sys_hw_info_of(int iommufd, uint32_t dev_id, uint32_t type,
                           void *data, uint32_t data_len)
{
    struct iommu_hw_info arg = {
        .size = sizeof(arg),
        .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
        .dev_id = dev_id,
        .data_len = data_len,
        .data_uptr = (uintptr_t)data,
        .in_data_type = type,
    };
    int ret = sys_ioctl(iommufd, IOMMU_GET_HW_INFO, &arg);

    return ret ? ret : arg.out_data_type == type ? 0 : -EOPNOTSUPP;
}

uint32_t iommufd_sys_parent_flags(HostIOMMUDeviceIOMMUFD *idev)
{
    VFIODevice *vbasedev = HOST_IOMMU_DEVICE(idev)->agent;

    return vbasedev->hwpt ? vbasedev->hwpt->hwpt_flags : 0;
}

uint32_t iommufd_sys_parent_ioas(HostIOMMUDeviceIOMMUFD *idev)
{
    VFIODevice *vbasedev = HOST_IOMMU_DEVICE(idev)->agent;

    return VFIO_IOMMU_IOMMUFD(vbasedev->bcontainer)->ioas_id;
}

uint32_t iommufd_sys_lacks(HostIOMMUDeviceIOMMUFD *idev)
{
    VFIODevice *vbasedev = HOST_IOMMU_DEVICE(idev)->agent;

    return vbasedev->nesting_lacks;
}

int64_t iommufd_sys_fd_group(int device_fd)
{
    g_autofree char *path = NULL, *link = NULL, *name = NULL;
    struct stat st;
    unsigned group;

    if (fstat(device_fd, &st) || !S_ISCHR(st.st_mode)) {
        return -1;
    }
    path = g_strdup_printf("/sys/dev/char/%u:%u/device/iommu_group",
                           major(st.st_rdev), minor(st.st_rdev));
    link = g_file_read_link(path, NULL);
    name = link ? g_path_get_basename(link) : NULL;
    if (!name || qemu_strtoui(name, NULL, 10, &group)) {
        return -1;
    }
    return group;
}

int64_t iommufd_sys_group(HostIOMMUDeviceIOMMUFD *idev)
{
    return iommufd_sys_fd_group(sys_vfio_fd(idev));
}

char **iommufd_sys_group_devices(uint32_t group)
{
    g_autofree char *path = NULL;
    GPtrArray *names;
    const char *name;
    GDir *dir;

    path = g_strdup_printf("/sys/kernel/iommu_groups/%" PRIu32 "/devices",
                           group);
    dir = g_dir_open(path, 0, NULL);
    if (!dir) {
        return NULL;
    }
    names = g_ptr_array_new();
    while ((name = g_dir_read_name(dir))) {
        g_ptr_array_add(names, g_strdup(name));
    }
    g_dir_close(dir);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, false);
}

bool iommufd_sys_is_bridge(const char *address)
{
    g_autofree char *path = NULL, *text = NULL;
    unsigned long class;

    path = g_strdup_printf("/sys/bus/pci/devices/%s/class", address);
    return g_file_get_contents(path, &text, NULL, NULL) &&
           !qemu_strtoul(g_strchomp(text), NULL, 16, &class) &&
           class >> 8 == PCI_CLASS_BRIDGE_PCI;
}

char *iommufd_sys_fd_reserved(int device_fd, uint64_t first, uint64_t last)
{
    int64_t group = iommufd_sys_fd_group(device_fd);
    g_autofree char *path = NULL, *text = NULL;
    g_auto(GStrv) lines = NULL;

    path = g_strdup_printf("/sys/kernel/iommu_groups/%" PRId64
                           "/reserved_regions", group);
    if (group < 0 || !g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        uint64_t lob, upb;

        if (g_strv_length(words) == 3 &&
            !qemu_strtou64(words[0], NULL, 16, &lob) &&
            !qemu_strtou64(words[1], NULL, 16, &upb) &&
            lob <= last && upb >= first &&
            strcmp(words[2], "direct-relaxable")) {
            return g_strdup(words[2]);
        }
    }
    return NULL;
}

char *iommufd_sys_address(HostIOMMUDeviceIOMMUFD *idev)
{
    g_autofree char *path = NULL, *link = NULL;
    struct stat st;

    if (fstat(sys_vfio_fd(idev), &st) || !S_ISCHR(st.st_mode)) {
        return NULL;
    }
    path = g_strdup_printf("/sys/dev/char/%u:%u/device", major(st.st_rdev),
                           minor(st.st_rdev));
    link = g_file_read_link(path, NULL);
    return link ? g_path_get_basename(link) : NULL;
}

int iommufd_sys_ioas_alloc(int iommufd, uint32_t *id)
{
    struct iommu_ioas_alloc arg = {
        .size = sizeof(arg),
    };
    int ret = sys_ioctl(iommufd, IOMMU_IOAS_ALLOC, &arg);

    *id = arg.out_ioas_id;
    return ret;
}

GList *iommufd_sys_iova_ranges(int iommufd, uint32_t ioas)
{
    g_autofree struct iommu_iova_range *ranges = NULL;
    struct iommu_ioas_iova_ranges arg = {
        .size = sizeof(arg),
        .ioas_id = ioas,
    };
    GList *list = NULL;
    int ret = sys_ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &arg);

    if (ret == -EMSGSIZE) {
        ranges = g_new(struct iommu_iova_range, arg.num_iovas);
        arg.allowed_iovas = (uintptr_t)ranges;
        ret = sys_ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &arg);
    }
    for (uint32_t i = 0; !ret && ranges && i < arg.num_iovas; i++) {
        Range *range = g_new(Range, 1);

        range_set_bounds(range, ranges[i].start, ranges[i].last);
        list = g_list_append(list, range);
    }
    return list;
}

int iommufd_sys_ioas_map_file(int iommufd, uint32_t ioas, uint64_t iova,
                              uint64_t size, int fd, uint64_t start,
                              bool readonly)
{
    struct iommu_ioas_map_file arg = {
        .size = sizeof(arg),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                 (readonly ? 0 : IOMMU_IOAS_MAP_WRITEABLE),
        .ioas_id = ioas,
        .fd = fd,
        .start = start,
        .iova = iova,
        .length = size,
    };

    return sys_ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &arg);
}

/* Newer than the headers of the base */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#endif

int iommufd_sys_dma_buf(int device_fd, uint32_t region, uint64_t offset,
                        uint64_t size)
{
    struct {
        struct vfio_device_feature feature;
        uint32_t region_index;
        uint32_t open_flags;
        uint32_t flags;
        uint32_t nr_ranges;
        uint64_t offset;
        uint64_t length;
    } arg = {
        .feature.argsz = sizeof(arg),
        .feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
        .region_index = region,
        .open_flags = O_RDWR | O_CLOEXEC,
        .nr_ranges = 1,
        .offset = offset,
        .length = size,
    };
    int fd = ioctl(device_fd, VFIO_DEVICE_FEATURE, &arg);

    return fd < 0 ? -errno : fd;
}

int iommufd_sys_ioas_copy(int iommufd, uint32_t dst, uint32_t src,
                          uint64_t iova, uint64_t gpa, uint64_t size,
                          bool read, bool write)
{
    struct iommu_ioas_copy arg = {
        .size = sizeof(arg),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
                 (read ? IOMMU_IOAS_MAP_READABLE : 0) |
                 (write ? IOMMU_IOAS_MAP_WRITEABLE : 0),
        .dst_ioas_id = dst,
        .src_ioas_id = src,
        .length = size,
        .dst_iova = iova,
        .src_iova = gpa,
    };

    return sys_ioctl(iommufd, IOMMU_IOAS_COPY, &arg);
}

int iommufd_sys_ioas_unmap(int iommufd, uint32_t id, uint64_t iova,
                           uint64_t size)
{
    struct iommu_ioas_unmap arg = {
        .size = sizeof(arg),
        .ioas_id = id,
        .iova = iova,
        .length = size,
    };

    return sys_ioctl(iommufd, IOMMU_IOAS_UNMAP, &arg);
}

int iommufd_sys_hwpt_alloc(int iommufd, uint32_t dev_id, uint32_t pt_id,
                           uint32_t flags, uint32_t fault_id,
                           uint32_t data_type, const void *data,
                           uint32_t data_len, uint32_t *id)
{
    struct iommu_hwpt_alloc arg = {
        .size = sizeof(arg),
        .flags = flags,
        .dev_id = dev_id,
        .pt_id = pt_id,
        .data_type = data_type,
        .data_len = data_len,
        .data_uptr = (uintptr_t)data,
        .fault_id = fault_id,
    };
    int ret = sys_ioctl(iommufd, IOMMU_HWPT_ALLOC, &arg);

    *id = arg.out_hwpt_id;
    return ret;
}

int iommufd_sys_viommu_alloc(int iommufd, uint32_t type, uint32_t dev_id,
                             uint32_t parent_id, void *data, uint32_t data_len,
                             uint32_t *id)
{
    struct iommu_viommu_alloc arg = {
        .size = sizeof(arg),
        .type = type,
        .dev_id = dev_id,
        .hwpt_id = parent_id,
        .data_len = data_len,
        .data_uptr = (uintptr_t)data,
    };
    int ret = sys_ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &arg);

    *id = arg.out_viommu_id;
    return ret;
}

int iommufd_sys_hw_queue_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                               uint32_t index, uint64_t gpa, uint64_t length,
                               uint32_t *id)
{
    struct iommu_hw_queue_alloc arg = {
        .size = sizeof(arg),
        .viommu_id = viommu_id,
        .type = type,
        .index = index,
        .nesting_parent_iova = gpa,
        .length = length,
    };
    int ret = sys_ioctl(iommufd, IOMMU_HW_QUEUE_ALLOC, &arg);

    *id = arg.out_hw_queue_id;
    return ret;
}

int iommufd_sys_map_page(int iommufd, void *page, size_t length,
                         uint64_t offset)
{
    void *ret = mmap(page, length, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED, iommufd, offset);

    return ret == MAP_FAILED ? -errno : 0;
}

int iommufd_sys_unmap_page(void *page, size_t length)
{
    void *ret = mmap(page, length, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    return ret == MAP_FAILED ? -errno : 0;
}

int iommufd_sys_vdevice_alloc(int iommufd, uint32_t viommu_id, uint32_t dev_id,
                              uint64_t label, uint32_t *id)
{
    struct iommu_vdevice_alloc arg = {
        .size = sizeof(arg),
        .viommu_id = viommu_id,
        .dev_id = dev_id,
        .virt_id = label,
    };
    int ret = sys_ioctl(iommufd, IOMMU_VDEVICE_ALLOC, &arg);

    *id = arg.out_vdevice_id;
    return ret;
}

int iommufd_sys_fault_alloc(int iommufd, uint32_t *id, int *fd)
{
    struct iommu_fault_alloc arg = {
        .size = sizeof(arg),
    };
    int ret = sys_ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &arg);

    *id = arg.out_fault_id;
    *fd = arg.out_fault_fd;
    return ret;
}

int iommufd_sys_veventq_alloc(int iommufd, uint32_t viommu_id, uint32_t type,
                              uint32_t depth, uint32_t *id, int *fd)
{
    struct iommu_veventq_alloc arg = {
        .size = sizeof(arg),
        .viommu_id = viommu_id,
        .type = type,
        .veventq_depth = depth,
    };
    int ret = sys_ioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &arg);

    *id = arg.out_veventq_id;
    *fd = arg.out_veventq_fd;
    return ret;
}

int iommufd_sys_destroy(int iommufd, uint32_t id)
{
    struct iommu_destroy arg = {
        .size = sizeof(arg),
        .id = id,
    };

    return sys_ioctl(iommufd, IOMMU_DESTROY, &arg);
}

int iommufd_sys_attach_fd(int fd, uint32_t pasid, uint32_t pt_id)
{
    struct vfio_device_attach_iommufd_pt arg = {
        .argsz = sizeof(arg),
        .pt_id = pt_id,
    };

    if (pasid != IOMMUFD_NESTED_RID) {
        arg.flags = VFIO_DEVICE_ATTACH_PASID;
        arg.pasid = pasid;
    }
    return sys_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

int iommufd_sys_detach_fd(int fd, uint32_t pasid)
{
    struct vfio_device_detach_iommufd_pt arg = {
        .argsz = sizeof(arg),
    };

    if (pasid != IOMMUFD_NESTED_RID) {
        arg.flags = VFIO_DEVICE_DETACH_PASID;
        arg.pasid = pasid;
    }
    return sys_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

int iommufd_sys_attach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid,
                       uint32_t pt_id)
{
    return iommufd_sys_attach_fd(sys_vfio_fd(idev), pasid, pt_id);
}

int iommufd_sys_detach(HostIOMMUDeviceIOMMUFD *idev, uint32_t pasid)
{
    return iommufd_sys_detach_fd(sys_vfio_fd(idev), pasid);
}

int iommufd_sys_invalidate(int iommufd, uint32_t id, uint32_t type,
                           uint32_t len, uint32_t *num, void *entries)
{
    struct iommu_hwpt_invalidate arg = {
        .size = sizeof(arg),
        .hwpt_id = id,
        .data_uptr = (uintptr_t)entries,
        .data_type = type,
        .entry_len = len,
        .entry_num = *num,
    };
    int ret = sys_ioctl(iommufd, IOMMU_HWPT_INVALIDATE, &arg);

    *num = arg.entry_num;
    return ret;
}

ssize_t iommufd_sys_read(int fd, void *buf, size_t len)
{
    ssize_t ret = RETRY_ON_EINTR(read(fd, buf, len));

    return ret < 0 ? -errno : ret;
}

ssize_t iommufd_sys_write(int fd, const void *buf, size_t len)
{
    ssize_t ret = RETRY_ON_EINTR(write(fd, buf, len));

    return ret < 0 ? -errno : ret;
}

void iommufd_sys_close(int fd)
{
    close(fd);
}

bool iommufd_sys_can_pin_file(int fd)
{
    struct statfs fs;

    return !fstatfs(fd, &fs) && (fs.f_type == TMPFS_MAGIC ||
                                 fs.f_type == HUGETLBFS_MAGIC);
}

bool iommufd_sys_file_on_disk(int fd)
{
    struct statfs fs;
    struct stat st;

    return !fstat(fd, &st) && S_ISREG(st.st_mode) && !fstatfs(fd, &fs) &&
           fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC &&
           fs.f_type != RAMFS_MAGIC;
}

void iommufd_sys_watch(int fd, IOHandler *read, void *opaque)
{
    qemu_set_fd_handler(fd, read, NULL, opaque);
}

static QEMUClockType sys_clock(bool guest)
{
    return guest ? QEMU_CLOCK_VIRTUAL : QEMU_CLOCK_REALTIME;
}

int64_t iommufd_sys_now(bool guest)
{
    return qemu_clock_get_ms(sys_clock(guest));
}

int64_t iommufd_sys_ns(void)
{
    return get_clock();
}

QEMUTimer *iommufd_sys_timer_new(bool guest, QEMUTimerCB *cb, void *opaque)
{
    return timer_new_ms(sys_clock(guest), cb, opaque);
}

void iommufd_sys_timer_set(QEMUTimer *timer, int64_t ms)
{
    timer_mod(timer, ms);
}

void iommufd_sys_timer_stop(QEMUTimer *timer)
{
    timer_del(timer);
}

void iommufd_sys_timer_free(QEMUTimer *timer)
{
    timer_free(timer);
}

QEMUBH *iommufd_sys_bh_new(QEMUBHFunc *cb, void *opaque,
                           MemReentrancyGuard *guard)
{
    return qemu_bh_new_guarded(cb, opaque, guard);
}

void iommufd_sys_bh_schedule(QEMUBH *bh)
{
    qemu_bh_schedule(bh);
}

void iommufd_sys_bh_free(QEMUBH *bh)
{
    qemu_bh_delete(bh);
}

void iommufd_sys_tell_blocked(const char *iommu, const char *device,
                              uint32_t num, uint32_t pasid, const char *reason)
{
    bool is_pasid = pasid != IOMMUFD_NESTED_RID;

    qapi_event_send_nested_iommu_blocked(iommu, device, num, is_pasid, pasid,
                                         reason);
}

void iommufd_sys_tell_unblocked(const char *iommu, const char *device)
{
    qapi_event_send_nested_iommu_unblocked(iommu, device);
}

static void (*at_exit)(void);

static void sys_exit(Notifier *notifier, void *data)
{
    BQL_LOCK_GUARD();
    at_exit();
}

void iommufd_sys_at_exit(void (*fn)(void))
{
    static Notifier notifier = { .notify = sys_exit };

    if (!at_exit) {
        at_exit = fn;
        qemu_add_exit_notifier(&notifier);
    }
}
