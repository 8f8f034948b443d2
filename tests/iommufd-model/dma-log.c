/*
 * Model of /dev/iommu: a device's own log of what it writes
 *
 * Devices with dma-logging=on log the addresses of their writes, as they are on
 * the bus: before any translation (drivers/vfio/vfio_main.c of Linux 7.3 hands
 * ranges and pages of these to the driver). Pages are of 4,096 bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <stdlib.h>
#include <linux/vfio.h>
#include "objects.h"

#define PAGE            4096ULL
/* LOG_MAX_RANGES */
#define RANGES_MAX      (0x10000 / \
                         sizeof(struct vfio_device_feature_dma_logging_range))

struct MdlDmaLog {
    size_t num, room;
    uint64_t *pages;
};

void mdl_dma_log_stop(MdlDevice *dev)
{
    if (dev->dma_log) {
        free(dev->dma_log->pages);
        free(dev->dma_log);
        dev->dma_log = NULL;
    }
}

int mdl_dma_log_start(MdlDevice *dev, const void *uptr)
{
    struct vfio_device_feature_dma_logging_control control;

    if (mdl_copy_from(&control, uptr, sizeof(control))) {
        return -EFAULT;
    }
    if (!control.num_ranges || control.page_size != PAGE || dev->dma_log) {
        return -EINVAL;
    }
    if (control.num_ranges > RANGES_MAX) {
        return -E2BIG;
    }
    dev->dma_log = calloc(1, sizeof(*dev->dma_log));
    return dev->dma_log ? 0 : -ENOMEM;
}

void mdl_dma_log(MdlDevice *dev, uint64_t addr, uint64_t len)
{
    MdlDmaLog *log = dev->dma_log;

    for (uint64_t page = addr / PAGE;
         log && page <= (addr + len - 1) / PAGE; page++) {
        if (log->num == log->room) {
            log->room = log->room ? 2 * log->room : 64;
            log->pages = realloc(log->pages,
                                 log->room * sizeof(log->pages[0]));
            if (!log->pages) {
                abort();
            }
        }
        log->pages[log->num++] = page;
    }
}

/* Read and clear */
int mdl_dma_log_report(MdlDevice *dev, const void *uptr)
{
    struct vfio_device_feature_dma_logging_report report;
    MdlDmaLog *log = dev->dma_log;
    size_t kept = 0;

    if (mdl_copy_from(&report, uptr, sizeof(report))) {
        return -EFAULT;
    }
    if (report.page_size < PAGE || report.page_size & (report.page_size - 1) ||
        !log) {
        return -EINVAL;
    }
    if (report.iova + report.length < report.iova) {
        return -EOVERFLOW;
    }
    for (size_t i = 0; i < log->num; i++) {
        uint64_t at = log->pages[i] * PAGE;
        uint64_t bit = (at - report.iova) / report.page_size;
        char *byte = (char *)(uintptr_t)report.bitmap + bit / 8;
        uint8_t value;

        if (at < report.iova || at - report.iova >= report.length) {
            log->pages[kept++] = log->pages[i];
            continue;
        }
        if (mdl_copy_from(&value, byte, 1)) {
            return -EFAULT;
        }
        value |= 1u << bit % 8;
        if (mdl_copy_to(byte, &value, 1)) {
            return -EFAULT;
        }
    }
    log->num = kept;
    return 0;
}
