/*
 * A VMM that forgets invalidations: preloaded under QEMU in L1
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LAB_OMIT=pages takes the entries that are about pages out of what
 * IOMMU_HWPT_INVALIDATE is given, LAB_OMIT=all those about everything. The
 * caller is told that all has been done.
 */

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/iommufd.h>

static bool left_out(const struct iommu_hwpt_vtd_s1_invalidate *entry)
{
    const char *kind = getenv("LAB_OMIT");

    return kind && !strcmp(kind, entry->npages == UINT64_MAX ? "all" : "pages");
}

static int invalidate(int fd, struct iommu_hwpt_invalidate *cmd)
{
    struct iommu_hwpt_vtd_s1_invalidate *entries =
        (void *)(uintptr_t)cmd->data_uptr;
    struct iommu_hwpt_vtd_s1_invalidate kept[cmd->entry_num + 1];
    struct iommu_hwpt_invalidate less = *cmd;
    static bool said;
    int ret = 0;

    less.data_uptr = (uintptr_t)kept;
    less.entry_num = 0;
    for (unsigned i = 0; i < cmd->entry_num; i++) {
        if (!left_out(&entries[i])) {
            kept[less.entry_num++] = entries[i];
        } else if (!said) {
            fprintf(stderr, "omit: an invalidation is left out\n");
            said = true;
        }
    }
    if (less.entry_num) {
        ret = syscall(SYS_ioctl, fd, IOMMU_HWPT_INVALIDATE, &less);
    }
    if (ret) {
        cmd->entry_num = less.entry_num;
    }
    return ret;
}

int ioctl(int fd, unsigned long request, ...)
{
    struct iommu_hwpt_invalidate *cmd;
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    cmd = arg;
    if (request == IOMMU_HWPT_INVALIDATE && cmd->entry_num &&
        cmd->data_type == IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
        return invalidate(fd, cmd);
    }
    return syscall(SYS_ioctl, fd, request, arg);
}
