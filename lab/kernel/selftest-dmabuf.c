/*
 * In front of the kernel's iommufd selftests: file descriptors of dma-bufs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tests take the answer to IOMMU_TEST_OP_DMABUF_GET for one, but what
 * Linux 7.3 answers is 0 (iommufd_test_dmabuf_get()). It is the lowest that
 * was free.
 */

#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "iommufd_test.h"

/* ld --wrap=ioctl */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    int lowest = 0, ret;
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (request == IOMMU_TEST_CMD &&
        ((struct iommu_test_cmd *)arg)->op == IOMMU_TEST_OP_DMABUF_GET) {
        lowest = dup(fd);
        close(lowest);
    }
    ret = syscall(SYS_ioctl, fd, request, arg);
    return ret ? ret : lowest;
}
