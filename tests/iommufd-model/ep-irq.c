/*
 * Model of /dev/iommu: interrupts of a vfio device, by eventfd
 *
 * Rules of VFIO_DEVICE_SET_IRQS: drivers/vfio/pci/vfio_pci_intrs.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hw-priv.h"

/*
 * Straight to the kernel: libc's close() and friends are interposed by the
 * library this is part of.
 */
static void fd_put(int *slot)
{
    if (*slot >= 0) {
        syscall(SYS_close, *slot);
        *slot = -1;
    }
}

static bool fd_is_eventfd(int fd)
{
    static const char want[] = "anon_inode:[eventfd]";
    char path[32], target[sizeof(want)];
    long n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = syscall(SYS_readlinkat, AT_FDCWD, path, target, sizeof(target));
    return n == sizeof(want) - 1 && !memcmp(target, want, n);
}

int ep_check_eventfd(int fd)
{
    if (syscall(SYS_fcntl, fd, F_GETFD) < 0) {
        return -EBADF;
    }
    return fd_is_eventfd(fd) ? 0 : -EINVAL;
}

static int fd_get(int *slot, int fd)
{
    long copy = -1;

    if (fd >= 0) {
        copy = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            return -EBADF;
        }
        if (!fd_is_eventfd(copy)) {
            syscall(SYS_close, copy);
            return -EINVAL;
        }
    }
    fd_put(slot);
    *slot = copy;
    return 0;
}

static int fd_signal(int fd)
{
    const uint64_t one = 1;

    if (fd < 0) {
        return -ENOENT;
    }
    syscall(SYS_write, fd, &one, sizeof(one));
    return 0;
}

static unsigned irq_count(const MdlDevice *dev, unsigned index)
{
    switch (index) {
    case VFIO_PCI_INTX_IRQ_INDEX:
        return dev->intx;
    case VFIO_PCI_MSI_IRQ_INDEX:
        return dev->msi_vectors;
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return dev->msix_vectors;
    case VFIO_PCI_ERR_IRQ_INDEX:
    case VFIO_PCI_REQ_IRQ_INDEX:
        return 1;
    default:
        return 0;
    }
}

int ep_irq_info(MdlDevice *dev, unsigned index, uint32_t *count,
                uint32_t *flags)
{
    if (index >= VFIO_PCI_NUM_IRQS) {
        return -EINVAL;
    }
    *count = irq_count(dev, index);
    *flags = VFIO_IRQ_INFO_EVENTFD;
    if (index == VFIO_PCI_INTX_IRQ_INDEX) {
        *flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    } else if (index != VFIO_PCI_MSIX_IRQ_INDEX) {
        *flags |= VFIO_IRQ_INFO_NORESIZE;
    }
    return 0;
}

static bool is_msi(int index)
{
    return index == VFIO_PCI_MSI_IRQ_INDEX || index == VFIO_PCI_MSIX_IRQ_INDEX;
}

/* The table of MSI-X, not the registers of MSI, is there to be seen */
static void show_vector(MdlDevice *dev, unsigned vector)
{
    if (dev->ep->irq_index == VFIO_PCI_MSIX_IRQ_INDEX) {
        ep_msix_write(dev, vector, ep_msix_wired(dev, vector));
    }
}

static void msi_disable(MdlEndpoint *ep)
{
    unsigned i;

    for (i = 0; i < ep->nr_irq_fd; i++) {
        fd_put(&ep->irq_fd[i]);
        show_vector(ep->dev, i);
    }
    free(ep->irq_fd);
    ep->irq_fd = NULL;
    ep->nr_irq_fd = 0;
    ep->nr_prepared = 0;
    ep->irq_index = -1;
}

static void intx_disable(MdlEndpoint *ep)
{
    fd_put(&ep->intx_fd);
    ep_intx_unmask_by(ep->dev, -1);
    ep->intx_level = false;
    ep->irq_index = -1;
}

void ep_irqs_off(MdlDevice *dev)
{
    if (dev->ep->irq_index == VFIO_PCI_INTX_IRQ_INDEX) {
        intx_disable(dev->ep);
    }
    msi_disable(dev->ep);
    fd_put(&dev->ep->single_fd[0]);
    fd_put(&dev->ep->single_fd[1]);
}

/*
 * Where MSIs are translated, what a device is attached to must be able to map
 * the doorbell when a vector is made: iommu_dma_prepare_msi() knows the domains
 * of iommufd, and not the blocking domain. The PCI core makes ENOSPC of every
 * error, msi_handle_pci_fail(). A vector stays prepared until all are disabled.
 */
static int msi_prepare(MdlDevice *dev, unsigned vectors)
{
    MdlEndpoint *ep = dev->ep;

    if (vectors <= ep->nr_prepared) {
        return 0;
    }
    if (mdl_host.arch == MDL_ARCH_SMMUV3 && !dev->hwpt) {
        return -ENOSPC;
    }
    ep->nr_prepared = vectors;
    return 0;
}

/* Of MSI there are as many as the first call asks for, and never more */
static void msi_enable(MdlDevice *dev, unsigned index, unsigned vectors)
{
    MdlEndpoint *ep = dev->ep;
    unsigned i, num = index == VFIO_PCI_MSI_IRQ_INDEX ? vectors :
                                                        dev->msix_vectors;

    ep->irq_fd = malloc(num * sizeof(*ep->irq_fd));
    if (!ep->irq_fd) {
        abort();
    }
    for (i = 0; i < num; i++) {
        ep->irq_fd[i] = -1;
    }
    ep->nr_irq_fd = num;
    ep->irq_index = index;
    if (index == VFIO_PCI_MSI_IRQ_INDEX) {
        ep_msi_enabled(dev, vectors);
    }
}

bool ep_msix_wired(const MdlDevice *dev, unsigned vector)
{
    const MdlEndpoint *ep = dev->ep;

    return ep->irq_index == VFIO_PCI_MSIX_IRQ_INDEX &&
           vector < ep->nr_irq_fd && ep->irq_fd[vector] >= 0;
}

/* vfio_msi_set_vector_signal() */
static int msi_set_vector(MdlDevice *dev, unsigned vector, int fd)
{
    if (vector >= dev->ep->nr_irq_fd) {
        return fd < 0 ? 0 : -EINVAL;
    }
    return fd_get(&dev->ep->irq_fd[vector], fd);
}

static int msi_set_block(MdlDevice *dev, const struct vfio_irq_set *set,
                         const int32_t *fds)
{
    uint32_t i, j;
    int ret = 0;

    for (i = 0; !ret && i < set->count; i++) {
        ret = msi_set_vector(dev, set->start + i, fds[i]);
    }
    for (j = set->start; j < set->start + i && j < dev->ep->nr_irq_fd; j++) {
        if (ret) {
            fd_put(&dev->ep->irq_fd[j]);
        }
        show_vector(dev, j);
    }
    return ret;
}

/* vfio_pci_set_msi_trigger(), of MSI and MSI-X */
static int msi_set(MdlDevice *dev, const struct vfio_irq_set *set,
                   const void *data)
{
    MdlEndpoint *ep = dev->ep;
    bool fresh = ep->irq_index != (int)set->index;
    const uint8_t *bools = data;
    uint32_t i;
    int ret;

    if (!fresh && !set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
        msi_disable(ep);
        return 0;
    }
    if (fresh && ep->irq_index >= 0) {
        return -EINVAL;
    }
    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        if (fresh || set->index == VFIO_PCI_MSIX_IRQ_INDEX) {
            ret = msi_prepare(dev, set->start + set->count);
            if (ret) {
                return ret;
            }
        }
        if (fresh) {
            msi_enable(dev, set->index, set->start + set->count);
        }
        ret = msi_set_block(dev, set, data);
        if (ret && fresh) {
            msi_disable(ep);
        }
        return ret;
    }
    if (fresh) {
        return -EINVAL;
    }
    for (i = 0; i < set->count && set->start + i < ep->nr_irq_fd; i++) {
        if ((set->flags & VFIO_IRQ_SET_DATA_NONE) || bools[i]) {
            fd_signal(ep->irq_fd[set->start + i]);
        }
    }
    return 0;
}

/* vfio_intx_handler(): seen once, and masked until the user has served it */
static void intx_update(MdlEndpoint *ep)
{
    if (ep->irq_index == VFIO_PCI_INTX_IRQ_INDEX && ep->intx_level &&
        !ep->intx_masked) {
        ep->intx_masked = true;
        fd_signal(ep->intx_fd);
    }
}

void ep_intx_mask(MdlDevice *dev, bool mask)
{
    dev->ep->intx_masked = mask;
    intx_update(dev->ep);
}

int ep_intx_level(MdlDevice *dev, bool level)
{
    if (dev->ep->irq_index != VFIO_PCI_INTX_IRQ_INDEX) {
        return -ENOENT;
    }
    dev->ep->intx_level = level;
    intx_update(dev->ep);
    return 0;
}

/* vfio_pci_set_intx_mask(), ..._unmask() */
static int intx_mask(MdlEndpoint *ep, const struct vfio_irq_set *set,
                     const void *data, bool mask)
{
    if (ep->irq_index != VFIO_PCI_INTX_IRQ_INDEX || set->count != 1) {
        return -EINVAL;
    }
    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        return mask ? -ENOTTY :
                      ep_intx_unmask_by(ep->dev, *(const int32_t *)data);
    }
    if ((set->flags & VFIO_IRQ_SET_DATA_BOOL) && !*(const uint8_t *)data) {
        return 0;
    }
    ep_intx_mask(ep->dev, mask);
    return 0;
}

/* vfio_pci_set_intx_trigger() */
static int intx_set(MdlEndpoint *ep, const struct vfio_irq_set *set,
                    const void *data)
{
    bool on = ep->irq_index == VFIO_PCI_INTX_IRQ_INDEX;
    int ret;

    if (on && !set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
        intx_disable(ep);
        return 0;
    }
    if ((!on && ep->irq_index >= 0) || set->count != 1) {
        return -EINVAL;
    }
    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        ret = fd_get(&ep->intx_fd, *(const int32_t *)data);
        if (!ret && !on) {
            ep->irq_index = VFIO_PCI_INTX_IRQ_INDEX;
            ep->intx_masked = ep->config[PCI_COMMAND + 1] &
                              PCI_COMMAND_INTX_DISABLE >> 8;
        }
        return ret;
    }
    if (!on) {
        return -EINVAL;
    }
    if ((set->flags & VFIO_IRQ_SET_DATA_NONE) || *(const uint8_t *)data) {
        fd_signal(ep->intx_fd);
    }
    return 0;
}

static int single_set(int *slot, const struct vfio_irq_set *set,
                      const void *data)
{
    if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
        if (*slot < 0) {
            return -EINVAL;
        }
        if (set->count) {
            fd_signal(*slot);
        } else {
            fd_put(slot);
        }
        return 0;
    }
    if (!set->count) {
        return -EINVAL;
    }
    if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
        if (*(const uint8_t *)data) {
            fd_signal(*slot);
        }
        return 0;
    }
    return *(const int32_t *)data < -1 ? -EINVAL :
           fd_get(slot, *(const int32_t *)data);
}

int ep_set_irqs(MdlDevice *dev, const struct vfio_irq_set *set,
                const void *data, size_t data_len)
{
    uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

    if (set->index == VFIO_PCI_INTX_IRQ_INDEX &&
        (action == VFIO_IRQ_SET_ACTION_MASK ||
         action == VFIO_IRQ_SET_ACTION_UNMASK)) {
        return intx_mask(dev->ep, set, data,
                         action == VFIO_IRQ_SET_ACTION_MASK);
    }
    if (action != VFIO_IRQ_SET_ACTION_TRIGGER) {
        return -ENOTTY;
    }
    switch (set->index) {
    case VFIO_PCI_INTX_IRQ_INDEX:
        return intx_set(dev->ep, set, data);
    case VFIO_PCI_MSI_IRQ_INDEX:
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return msi_set(dev, set, data);
    case VFIO_PCI_ERR_IRQ_INDEX:
        return single_set(&dev->ep->single_fd[0], set, data);
    default:
        return single_set(&dev->ep->single_fd[1], set, data);
    }
}

int ep_wake_by(MdlDevice *dev, int fd)
{
    return fd_get(&dev->ep->wake_fd, fd);
}

/* vfio_pci_core_runtime_resume(): who has asked to be told is out of it */
void ep_wake(MdlDevice *dev)
{
    if (dev->low_power && dev->ep->wake_fd >= 0) {
        fd_signal(dev->ep->wake_fd);
        fd_put(&dev->ep->wake_fd);
        dev->low_power = false;
        ep_bars_update(dev);
    }
}

/* Where the host's doorbell is in every address space of @dev, or -1 */
static uint64_t msi_doorbell(const MdlDevice *dev)
{
    const MdlResv *r;

    for (r = dev->reserved; r; r = r->next) {
        if (r->msi) {
            return r->first;
        }
    }
    return UINT64_MAX;
}

/*
 * A message is a write of the device. VT-d and AMD take it out before
 * translation; for an SMMU it is one like any other, to the page that
 * iommufd_sw_msi() maps into the domain, the parent if that is nested: the
 * guest's stage 1 has to lead there. What it leads to instead is written.
 */
static bool msi_arrives(MdlDevice *dev, uint32_t vector)
{
    const HwReq req = {
        .dev = dev,
        .pasid = MDL_NO_PASID,
        .addr = msi_doorbell(dev),
        .write = true,
    };
    HwFault fault = { 0 };
    HwXlate x = { 0 };
    bool arrives = false;

    if (!(dev->ep->config[PCI_COMMAND] & PCI_COMMAND_MASTER)) {
        fault.reason = HW_REASON_BUS_MASTER;
    } else if (dev->ep->irq_index == VFIO_PCI_MSIX_IRQ_INDEX &&
               !ep_msix_intact(dev, vector)) {
        /* Somebody wrote to the host's table: it goes where it may not */
        fault.reason = HW_REASON_BLOCKED;
    } else if (mdl_host.arch != MDL_ARCH_SMMUV3 || req.addr == UINT64_MAX) {
        arrives = true;
    } else if (hw_translate(&req, &x, &fault)) {
        arrives = x.out == req.addr;
        if (!arrives &&
            mdl_ioas_rw(x.s2->ioas, x.out, &vector, sizeof(vector), true)) {
            hw_s2_fault(&fault, &req, -EFAULT);
        }
    }
    mdl_journal("msi", "\"dev\":\"%s\",\"vector\":%u,\"arrives\":%s,"
                "\"reason\":\"%s\"", dev->bdf, vector,
                arrives ? "true" : "false", hw_reason_name(fault.reason));
    return arrives;
}

static int msi_trigger(MdlDevice *dev, unsigned index, unsigned vector)
{
    MdlEndpoint *ep = dev->ep;

    if (ep->irq_index != (int)index || vector >= ep->nr_irq_fd ||
        ep->irq_fd[vector] < 0) {
        return -ENOENT;
    }
    return msi_arrives(dev, vector) ? fd_signal(ep->irq_fd[vector]) : 0;
}

void ep_interrupt(MdlDevice *dev, unsigned vector)
{
    if (is_msi(dev->ep->irq_index)) {
        ep_trigger(dev, dev->ep->irq_index, vector);
    }
}

int ep_trigger(MdlDevice *dev, unsigned index, unsigned vector)
{
    MdlEndpoint *ep = dev->ep;

    switch (index) {
    case VFIO_PCI_MSI_IRQ_INDEX:
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return msi_trigger(dev, index, vector);
    case VFIO_PCI_ERR_IRQ_INDEX:
        return fd_signal(ep->single_fd[0]);
    case VFIO_PCI_REQ_IRQ_INDEX:
        return fd_signal(ep->single_fd[1]);
    default:
        return -ENOENT;
    }
}
