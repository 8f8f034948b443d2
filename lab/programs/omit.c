/*
 * A VMM that leaves out invalidations: in QEMU of L1, preloaded or linked
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file that LAB_OMIT names has the kind that is left out; the caller is
 * told that all has been done. "pages", "all", "device-tlb" and "cd" are
 * entries of IOMMU_HWPT_INVALIDATE, "rid" and "pasid" are what VFIO is asked to
 * attach and detach. (With VT-d the host invalidates device TLBs, PASID cache
 * and context cache by itself.)
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

/* Opcodes of SMMUv3 */
#define CFGI_CD         0x05
#define CFGI_CD_ALL     0x06
#define TLBI_NH_ALL     0x10
#define TLBI_NH_ASID    0x11
#define TLBI_NH_VA      0x12
#define TLBI_NH_VAA     0x13
#define TLBI_NSNH_ALL   0x30
#define ATC_INV         0x40

static bool omitted;            /* something, some time */

static bool left_out(const char *kind)
{
    const char *path = getenv("LAB_OMIT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char word[16] = "";
    bool out;

    if (fd < 0) {
        return false;
    }
    out = read(fd, word, sizeof(word) - 1) > 0 &&
          strcspn(word, "\n") == strlen(kind) &&
          !strncmp(word, kind, strlen(kind));
    close(fd);
    omitted |= out;
    return out;
}

static const char *kind_of(uint32_t type, const void *entry)
{
    const struct iommu_hwpt_vtd_s1_invalidate *vtd = entry;
    const struct iommu_viommu_arm_smmuv3_invalidate *smmu = entry;

    if (type == IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
        return vtd->npages == UINT64_MAX ? "all" : "pages";
    }
    switch (smmu->cmd[0] & 0xff) {
    case CFGI_CD:
    case CFGI_CD_ALL:
        return "cd";
    case TLBI_NH_ALL:
    case TLBI_NH_ASID:
    case TLBI_NSNH_ALL:
        return "all";
    case TLBI_NH_VA:
    case TLBI_NH_VAA:
        return "pages";
    case ATC_INV:
        return "device-tlb";
    default:
        return "";
    }
}

static int invalidate(int fd, struct iommu_hwpt_invalidate *cmd)
{
    struct iommu_hwpt_invalidate less = *cmd;
    const char *entries = (const char *)(uintptr_t)cmd->data_uptr;
    char kept[(size_t)cmd->entry_num * cmd->entry_len];
    int ret = 0;

    less.data_uptr = (uintptr_t)kept;
    less.entry_num = 0;
    for (unsigned i = 0; i < cmd->entry_num; i++, entries += cmd->entry_len) {
        if (!left_out(kind_of(cmd->data_type, entries))) {
            memcpy(kept + (size_t)less.entry_num++ * cmd->entry_len, entries,
                   cmd->entry_len);
        }
    }
    if (less.entry_num == cmd->entry_num) {
        return syscall(SYS_ioctl, fd, IOMMU_HWPT_INVALIDATE, cmd);
    }
    if (less.entry_num) {
        ret = syscall(SYS_ioctl, fd, IOMMU_HWPT_INVALIDATE, &less);
    }
    if (ret) {
        cmd->entry_num = less.entry_num;
    }
    return ret;
}

/* What could not be detached is used; nobody else has a use for it */
static int destroy(int fd, void *arg)
{
    int ret = syscall(SYS_ioctl, fd, IOMMU_DESTROY, arg);

    return ret && errno == EBUSY && omitted ? 0 : ret;
}

int ioctl(int fd, unsigned long request, ...)
{
    const struct vfio_device_attach_iommufd_pt *attach;
    const struct vfio_device_detach_iommufd_pt *detach;
    struct iommu_hwpt_invalidate *cmd;
    bool out = false;
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    switch (request) {
    case IOMMU_HWPT_INVALIDATE:
        cmd = arg;
        if (cmd->entry_num) {
            return invalidate(fd, cmd);
        }
        break;
    case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
        attach = arg;
        out = left_out(attach->flags ? "pasid" : "rid");
        break;
    case VFIO_DEVICE_DETACH_IOMMUFD_PT:
        detach = arg;
        out = left_out(detach->flags ? "pasid" : "rid");
        break;
    case IOMMU_DESTROY:
        return destroy(fd, arg);
    }
    return out ? 0 : syscall(SYS_ioctl, fd, request, arg);
}
