/*
 * Conformance of /dev/iommu: interrupts of vfio devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <poll.h>
#include <sys/eventfd.h>
#include "smmu.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

/* The command register */
#define MEMORY      (1u << 1)
#define BUS_MASTER  (1u << 2)
#define INTX_DISABLE (1u << 10)

static int irq_info(const CtBound *b, uint32_t index,
                    struct vfio_irq_info *info)
{
    memset(info, 0, sizeof(*info));
    info->argsz = sizeof(*info);
    info->index = index;
    return ct_ioctl(b->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

static int set_irqs(const CtBound *b, uint32_t flags, uint32_t index,
                    uint32_t start, uint32_t count, const int32_t *fds,
                    uint32_t nr_fds)
{
    struct {
        struct vfio_irq_set set;
        int32_t fd[8];
    } d = {
        .set = {
            .argsz = sizeof(d.set) + nr_fds * sizeof(int32_t),
            .flags = flags,
            .index = index,
            .start = start,
            .count = count,
        },
    };

    memcpy(d.set.data, fds ? fds : d.fd, nr_fds * sizeof(int32_t));
    return ct_ioctl(b->fd, VFIO_DEVICE_SET_IRQS, &d.set);
}

#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

static int new_eventfd(void)
{
    int fd = ct_keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

    OK(fd >= 0);
    return fd;
}

/* vfio_pci_ioctl_get_irq_info() */
static void info(void)
{
    CtBound b;
    struct vfio_irq_info i = { .argsz = 15 };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_GET_IRQ_INFO, &i));
    RET(-EINVAL, irq_info(&b, VFIO_PCI_NUM_IRQS, &i));
    RET(-EINVAL, irq_info(&b, UINT32_MAX, &i));
    RET(0, irq_info(&b, VFIO_PCI_INTX_IRQ_INDEX, &i));
    EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
       VFIO_IRQ_INFO_AUTOMASKED, i.flags);
    OK(i.count <= 1);
    RET(0, irq_info(&b, VFIO_PCI_MSI_IRQ_INDEX, &i));
    EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, i.flags);
    OK(i.count <= 32);
    RET(0, irq_info(&b, MSIX, &i));
    OK(i.flags & VFIO_IRQ_INFO_EVENTFD);
    OK(i.count <= 2048);
    RET(0, irq_info(&b, VFIO_PCI_REQ_IRQ_INDEX, &i));
    EQ(1, i.count);
    OK(i.flags & VFIO_IRQ_INFO_NORESIZE);
}

/* The MSI-X capability and the count agree: vfio_pci_get_irq_count() */
static void msix_count(void)
{
    CtBound b;
    struct vfio_irq_info i;
    uint8_t ctrl[2];
    unsigned pos;

    if (!ct_bound_new(&b, CT_MSIX)) {
        return;
    }
    pos = ct_pci_cap(&b, 0x11);
    OK(pos != 0);
    RET(2, ct_pread(b.fd, ctrl, 2,
                    ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX) + pos +
                    2));
    RET(0, irq_info(&b, MSIX, &i));
    EQ(((ctrl[0] | ctrl[1] << 8) & 0x7ff) + 1, i.count);
}

/*
 * Bound, and attached: where MSIs are translated, a device whose DMA is blocked
 * gets no vectors, iommu_dma_prepare_msi().
 */
static bool attached(CtBound *b)
{
    return ct_bound_new(b, CT_MSIX) &&
           RET(0, ct_attach(b, ct_ioas(b->iommufd)));
}

/*
 * A blocked device gets no vector where the IOMMU translates MSIs; one that was
 * made while it was not is kept, and made again without the IOMMU's doing.
 */
static void blocked(void)
{
    bool translated = ct.have & CT_SMMUV3;
    CtBound b;
    uint32_t ioas;
    int32_t fds[2];

    if (!ct_bound_new(&b, CT_MSIX)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(translated ? -ENOSPC : 0,
        set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    if (translated) {
        RET(-EINVAL, set_irqs(&b, NONE, MSIX, 0, 1, NULL, 0));
    }
    RET(0, ct_attach(&b, ioas));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    RET(0, ct_detach(&b));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 1, (int32_t[]) { -1 }, 1));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 1, fds, 1));
    RET(0, set_irqs(&b, NONE, MSIX, 0, 2, NULL, 0));
    EQ(POLLIN, ct_poll(fds[0], POLLIN, 1000));
    EQ(POLLIN, ct_poll(fds[1], POLLIN, 1000));
    /* Of all that are disabled, none is left */
    RET(0, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    RET(translated ? -ENOSPC : 0,
        set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
}

/* vfio_set_irqs_validate_and_prepare() */
static void set_arguments(void)
{
    CtBound b;
    struct vfio_irq_info i;
    struct vfio_irq_set set = { .argsz = 19 };
    int32_t fds[2];

    if (!attached(&b)) {
        return;
    }
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(0, irq_info(&b, MSIX, &i));
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_SET_IRQS, &set));
    RET(-EINVAL, set_irqs(&b, EVENTFD, VFIO_PCI_NUM_IRQS, 0, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, EVENTFD | 1u << 6, MSIX, 0, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, EVENTFD | VFIO_IRQ_SET_DATA_BOOL, MSIX, 0, 1,
                          fds, 1));
    RET(-EINVAL, set_irqs(&b, VFIO_IRQ_SET_ACTION_TRIGGER, MSIX, 0, 1, fds,
                          1));
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, i.count, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, i.count - 1, 2, fds, 2));
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, 1, UINT32_MAX - 1, fds, 2));
    /* Less data than the count promises */
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 1));
    /* No masking of MSI-X through vfio: vfio_pci_set_irqs_ioctl() */
    RET(-ENOTTY, set_irqs(&b, VFIO_IRQ_SET_DATA_NONE |
                          VFIO_IRQ_SET_ACTION_MASK, MSIX, 0, 1, NULL, 0));
    /* Triggering and disabling what is not enabled */
    RET(-EINVAL, set_irqs(&b, NONE, MSIX, 0, 1, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    fds[0] = 4000;
    RET(-EBADF, set_irqs(&b, EVENTFD, MSIX, 0, 1, fds, 1));
    fds[0] = b.iommufd;
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, 0, 1, fds, 1));
}

/* vfio_pci_set_msi_trigger(): DATA_NONE signals, as a loopback */
static void loopback(void)
{
    CtBound b;
    int32_t fds[2];
    uint64_t n = 0;

    if (!attached(&b)) {
        return;
    }
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    EQ(0, ct_poll(fds[0], POLLIN, 0));
    RET(0, set_irqs(&b, NONE, MSIX, 1, 1, NULL, 0));
    EQ(0, ct_poll(fds[0], POLLIN, 0));
    EQ(POLLIN, ct_poll(fds[1], POLLIN, 1000));
    RET(8, ct_read(fds[1], &n, 8));
    EQ(1, n);
    RET(0, set_irqs(&b, NONE, MSIX, 0, 2, NULL, 0));
    EQ(POLLIN, ct_poll(fds[0], POLLIN, 1000));
    EQ(POLLIN, ct_poll(fds[1], POLLIN, 1000));
    /* Another kind at the same time: is_irq_none() */
    RET(-EINVAL, set_irqs(&b, EVENTFD, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, fds,
                          1));
    /* One vector off, the other stays */
    RET(8, ct_read(fds[0], &n, 8));
    RET(8, ct_read(fds[1], &n, 8));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 1, (int32_t[]) { -1 }, 1));
    RET(0, set_irqs(&b, NONE, MSIX, 0, 2, NULL, 0));
    EQ(0, ct_poll(fds[0], POLLIN, 0));
    EQ(POLLIN, ct_poll(fds[1], POLLIN, 1000));
    /* All off */
    RET(0, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, MSIX, 0, 1, NULL, 0));
}

/* vfio_pci_set_req_trigger(), vfio_pci_set_ctx_trigger_single() */
static void request(void)
{
    CtBound b;
    const uint32_t req = VFIO_PCI_REQ_IRQ_INDEX;
    int32_t fd;
    uint64_t n = 0;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    fd = new_eventfd();
    RET(-EINVAL, set_irqs(&b, NONE, req, 0, 1, NULL, 0));
    RET(-EINVAL, set_irqs(&b, EVENTFD, req, 1, 1, &fd, 1));
    RET(0, set_irqs(&b, EVENTFD, req, 0, 1, &fd, 1));
    RET(0, set_irqs(&b, NONE, req, 0, 1, NULL, 0));
    EQ(POLLIN, ct_poll(fd, POLLIN, 1000));
    RET(8, ct_read(fd, &n, 8));
    EQ(1, n);
    RET(0, set_irqs(&b, EVENTFD, req, 0, 1, (int32_t[]) { -1 }, 1));
    RET(-EINVAL, set_irqs(&b, NONE, req, 0, 1, NULL, 0));
    RET(-ENOTTY, set_irqs(&b, VFIO_IRQ_SET_DATA_NONE |
                          VFIO_IRQ_SET_ACTION_MASK, req, 0, 1, NULL, 0));
}

static uint64_t command_at(const CtBound *b)
{
    return ct_region_offset(b, VFIO_PCI_CONFIG_REGION_INDEX) + 4;
}

static void set_command(const CtBound *b, uint16_t command)
{
    command = htole16(command);
    RET(2, ct_pwrite(b->fd, &command, 2, command_at(b)));
}

/* vfio_pci_core_enable(): pci_clear_master() */
static void bus_master(void)
{
    CtBound b;
    uint16_t command;

    for (unsigned i = 0; i < 2; i++) {
        if (!ct_bound_new(&b, CT_DEV)) {
            return;
        }
        RET(2, ct_pread(b.fd, &command, 2, command_at(&b)));
        EQ(0, le16toh(command) & BUS_MASTER);
        set_command(&b, le16toh(command) | BUS_MASTER);
        RET(2, ct_pread(b.fd, &command, 2, command_at(&b)));
        EQ(BUS_MASTER, le16toh(command) & BUS_MASTER);
        ct_close(b.fd);
        ct_close(b.iommufd);
    }
}

/* Vector 1 raised by the device: did it arrive? */
static bool arrives(const CtBound *b, int fd)
{
    uint64_t n = 0;

    OK(ct_json_true(ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":%u,"
                             "\"vector\":1}", b->dev->bdf, MSIX), "ok"));
    return ct_poll(fd, POLLIN, 0) == POLLIN && ct_read(fd, &n, 8) == 8 &&
           n == 1;
}

/* The interrupt of the device itself */
static void device_irq(void)
{
    CtBound b;
    int32_t fds[2];

    if (!attached(&b)) {
        return;
    }
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    OK(!arrives(&b, fds[1]));
    set_command(&b, MEMORY | BUS_MASTER);
    OK(arrives(&b, fds[1]));
    EQ(0, ct_poll(fds[0], POLLIN, 0));
    /* Only an SMMU translates it */
    RET(0, ct_detach(&b));
    EQ(!(ct.have & CT_SMMUV3), arrives(&b, fds[1]));
}

/* iommufd_sw_msi(): the doorbell is in the parent, behind the stage 1 */
static void smmu_nested_irq(void)
{
    SmmuVm vm;
    int32_t fds[2];
    uint32_t s1;

    if (!smmu_vm_vdevice(&vm, CT_NEST | CT_MSIX) ||
        !RET(0, ct_attach(&vm.b, vm.parent))) {
        return;
    }
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(0, set_irqs(&vm.b, EVENTFD, MSIX, 0, 2, fds, 2));
    set_command(&vm.b, MEMORY | BUS_MASTER);
    OK(arrives(&vm.b, fds[1]));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_BYPASS, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    OK(arrives(&vm.b, fds[1]));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_ABORT, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    OK(!arrives(&vm.b, fds[1]));
    /* A stage 1 of nothing */
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_S1, 0, &s1));
    RET(0, ct_attach(&vm.b, s1));
    OK(!arrives(&vm.b, fds[1]));
    RET(0, ct_attach(&vm.b, vm.parent));
    OK(arrives(&vm.b, fds[1]));
}

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MASK (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK)
#define UNMASK (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK)

/* vfio_pci_set_intx_trigger(), ..._mask(), ..._unmask() */
static void intx(void)
{
    CtBound b;
    int32_t fds[2];

    if (!ct_bound_new(&b, CT_INTX) ||
        !RET(0, ct_attach(&b, ct_ioas(b.iommufd)))) {
        return;
    }
    fds[0] = new_eventfd();
    fds[1] = new_eventfd();
    RET(-EINVAL, set_irqs(&b, MASK, INTX, 0, 1, NULL, 0));
    RET(-EINVAL, set_irqs(&b, UNMASK, INTX, 0, 1, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, INTX, 0, 1, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, INTX, 0, 0, NULL, 0));
    RET(0, set_irqs(&b, EVENTFD, INTX, 0, 1, fds, 1));
    RET(0, set_irqs(&b, NONE, INTX, 0, 1, NULL, 0));
    EQ(POLLIN, ct_poll(fds[0], POLLIN, 1000));
    RET(0, set_irqs(&b, MASK, INTX, 0, 1, NULL, 0));
    RET(0, set_irqs(&b, UNMASK, INTX, 0, 1, NULL, 0));
    RET(-ENOTTY, set_irqs(&b, VFIO_IRQ_SET_DATA_EVENTFD |
                          VFIO_IRQ_SET_ACTION_MASK, INTX, 0, 1, fds, 1));
    /* One kind at a time */
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    RET(0, set_irqs(&b, NONE, INTX, 0, 0, NULL, 0));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 2, fds, 2));
    RET(-EINVAL, set_irqs(&b, EVENTFD, INTX, 0, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, MASK, INTX, 0, 1, NULL, 0));
    RET(0, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    RET(0, set_irqs(&b, EVENTFD, INTX, 0, 1, fds, 1));
}

static bool seen(int fd)
{
    uint64_t n;

    return ct_poll(fd, POLLIN, 0) == POLLIN && ct_read(fd, &n, 8) == 8;
}

static void level(const CtBound *b, bool high)
{
    OK(ct_json_true(ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":0,"
                             "\"level\":%s}", b->dev->bdf,
                             high ? "true" : "false"), "ok"));
}

/* vfio_intx_handler(): masked with each; virq_disabled: DisINTx masks, too */
static void intx_line(void)
{
    CtBound b;
    int32_t fd;

    if (!ct_bound_new(&b, CT_INTX)) {
        return;
    }
    fd = new_eventfd();
    RET(0, set_irqs(&b, EVENTFD, INTX, 0, 1, &fd, 1));
    level(&b, true);
    OK(seen(fd));
    level(&b, true);
    OK(!seen(fd));
    RET(0, set_irqs(&b, UNMASK, INTX, 0, 1, NULL, 0));
    OK(seen(fd));
    level(&b, false);
    RET(0, set_irqs(&b, UNMASK, INTX, 0, 1, NULL, 0));
    OK(!seen(fd));
    set_command(&b, MEMORY | INTX_DISABLE);
    level(&b, true);
    OK(!seen(fd));
    set_command(&b, MEMORY);
    OK(seen(fd));
}

#define MSI VFIO_PCI_MSI_IRQ_INDEX

/* Vectors of @fds that have been signalled, as bits */
static unsigned signalled(const int32_t *fds, unsigned num)
{
    unsigned bits = 0;
    uint64_t count;

    for (unsigned i = 0; i < num; i++) {
        bits |= (ct_read(fds[i], &count, sizeof(count)) == 8) << i;
    }
    return bits;
}

/* vfio_pci_set_msi_trigger(), vfio_msi_alloc_irq(): MSI does not grow */
static void msi(void)
{
    struct vfio_irq_info i;
    int32_t fds[3] = { new_eventfd(), new_eventfd(), new_eventfd() };
    int32_t off = -1;
    CtBound b;

    if (!ct_bound_new(&b, CT_MSI | CT_MSIX) ||
        !RET(0, ct_attach(&b, ct_ioas(b.iommufd)))) {
        return;
    }
    RET(0, irq_info(&b, MSI, &i));
    EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, i.flags);
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSI, 0, i.count + 1, fds, 3));
    RET(-EINVAL, set_irqs(&b, NONE, MSI, 0, 0, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, MSI, 0, 1, NULL, 0));
    RET(0, set_irqs(&b, EVENTFD, MSI, 0, 1, fds, 1));
    /* One kind at a time */
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSIX, 0, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    RET(0, set_irqs(&b, NONE, MSI, 0, 1, NULL, 0));
    EQ(1, signalled(fds, 3));
    if (i.count >= 2) {
        /* What was not there from the beginning is not there */
        RET(-EINVAL, set_irqs(&b, EVENTFD, MSI, 1, 1, &fds[1], 1));
        RET(0, set_irqs(&b, EVENTFD, MSI, 1, 1, &off, 1));
        RET(0, set_irqs(&b, NONE, MSI, 0, 2, NULL, 0));
        EQ(1, signalled(fds, 3));
        /* An error takes all of the call away, and nothing else */
        RET(-EINVAL, set_irqs(&b, EVENTFD, MSI, 0, 2, fds, 2));
        RET(0, set_irqs(&b, NONE, MSI, 0, 1, NULL, 0));
        EQ(0, signalled(fds, 3));
    }
    RET(0, set_irqs(&b, NONE, MSI, 0, 0, NULL, 0));
    RET(-EINVAL, set_irqs(&b, NONE, MSI, 0, 0, NULL, 0));
    RET(0, set_irqs(&b, EVENTFD, MSIX, 0, 1, fds, 1));
    RET(-EINVAL, set_irqs(&b, EVENTFD, MSI, 0, 1, fds, 1));
    RET(0, set_irqs(&b, NONE, MSIX, 0, 0, NULL, 0));
    if (i.count >= 2) {
        RET(0, set_irqs(&b, EVENTFD, MSI, 0, 2, fds, 2));
        RET(0, set_irqs(&b, NONE, MSI, 0, 2, NULL, 0));
        EQ(3, signalled(fds, 3));
    }
}

/* vfio_msi_config_read(), ..._write(): what the guest's register can say */
static void msi_config(void)
{
    int32_t fd = new_eventfd();
    struct vfio_irq_info i;
    uint16_t flags;
    uint64_t at;
    CtBound b;

    if (!ct_bound_new(&b, CT_MSI) ||
        !RET(0, ct_attach(&b, ct_ioas(b.iommufd))) ||
        !RET(0, irq_info(&b, MSI, &i))) {
        return;
    }
    at = ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX) +
         ct_pci_cap(&b, 0x05) + 2;
    RET(2, ct_pread(b.fd, &flags, 2, at));
    EQ(i.count, 1u << (le16toh(flags) >> 1 & 7));
    /* Enabled by SET_IRQS alone */
    flags |= htole16(1);
    RET(2, ct_pwrite(b.fd, &flags, 2, at));
    RET(2, ct_pread(b.fd, &flags, 2, at));
    EQ(0, le16toh(flags) & 1);
    RET(0, set_irqs(&b, EVENTFD, MSI, 0, 1, &fd, 1));
    /* And no more than has been */
    flags |= htole16(1 | 3 << 4);
    RET(2, ct_pwrite(b.fd, &flags, 2, at));
    RET(2, ct_pread(b.fd, &flags, 2, at));
    EQ(1, le16toh(flags) & 0x7f);
    RET(0, set_irqs(&b, NONE, MSI, 0, 0, NULL, 0));
}

/* Only the device can show where a message goes: model only */
static void msi_effect(void)
{
    int32_t fds[2] = { new_eventfd(), new_eventfd() };
    CtBound b;

    if (!ct_bound_new(&b, CT_MSI) ||
        !RET(0, ct_attach(&b, ct_ioas(b.iommufd)))) {
        return;
    }
    set_command(&b, MEMORY | BUS_MASTER);
    RET(0, set_irqs(&b, EVENTFD, MSI, 0, 2, fds, 2));
    ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":%d,"
             "\"vector\":1}", b.dev->bdf, MSI);
    EQ(2, signalled(fds, 2));
    set_command(&b, MEMORY);
    ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":%d,"
             "\"vector\":1}", b.dev->bdf, MSI);
    EQ(0, signalled(fds, 2));
}

/* vfio_pci_set_intx_unmask(), vfio_virqfd_enable() */
static void intx_unmask_by(void)
{
    int32_t fds[2] = { new_eventfd(), new_eventfd() }, off = -1;
    const uint32_t by = VFIO_IRQ_SET_DATA_EVENTFD |
                        VFIO_IRQ_SET_ACTION_UNMASK;
    int32_t bad = 100000;
    CtBound b;

    if (!ct_bound_new(&b, CT_INTX)) {
        return;
    }
    RET(-EINVAL, set_irqs(&b, by, INTX, 0, 1, fds, 1));
    RET(0, set_irqs(&b, EVENTFD, INTX, 0, 1, fds, 1));
    RET(0, set_irqs(&b, by, INTX, 0, 1, &off, 1));
    RET(-EBADF, set_irqs(&b, by, INTX, 0, 1, &bad, 1));
    RET(-EINVAL, set_irqs(&b, by, INTX, 0, 1, &b.fd, 1));
    RET(0, set_irqs(&b, by, INTX, 0, 1, &fds[1], 1));
    RET(-EBUSY, set_irqs(&b, by, INTX, 0, 1, &fds[0], 1));
    RET(0, set_irqs(&b, by, INTX, 0, 1, &off, 1));
    RET(0, set_irqs(&b, by, INTX, 0, 1, &fds[1], 1));
    RET(0, set_irqs(&b, NONE, INTX, 0, 0, NULL, 0));
}

/* The line is up: seen once, and again when it is unmasked. Model only. */
static void intx_unmask_effect(void)
{
    int32_t fds[2] = { new_eventfd(), new_eventfd() };
    const uint32_t by = VFIO_IRQ_SET_DATA_EVENTFD |
                        VFIO_IRQ_SET_ACTION_UNMASK;
    CtBound b;

    if (!ct_bound_new(&b, CT_INTX)) {
        return;
    }
    RET(0, set_irqs(&b, EVENTFD, INTX, 0, 1, fds, 1));
    RET(0, set_irqs(&b, by, INTX, 0, 1, &fds[1], 1));
    ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"index\":0,"
             "\"level\":true}", b.dev->bdf);
    EQ(1, signalled(fds, 1));
    EQ(0, signalled(fds, 1));
    RET(8, ct_write(fds[1], &(uint64_t){ 1 }, 8));
    EQ(POLLIN, ct_poll(fds[0], POLLIN, 5000));
    EQ(1, signalled(fds, 2));
}

static const CtScenario scenarios[] = {
    { "MSI", msi, CT_DEV | CT_MSI | CT_MSIX },
    { "MSI: the register", msi_config, CT_DEV | CT_MSI },
    { "MSI: arrives", msi_effect, CT_DEV | CT_MSI | CT_MODEL },
    { "INTx: unmasked by eventfd", intx_unmask_by,
      CT_DEV | CT_MSIX | CT_INTX },
    { "INTx: unmasked by eventfd, and seen", intx_unmask_effect,
      CT_DEV | CT_MSIX | CT_INTX | CT_MODEL },
    { "info", info, CT_DEV },
    { "number of MSI-X vectors", msix_count, CT_DEV | CT_MSIX },
    { "set: a device that is blocked", blocked, CT_DEV | CT_MSIX },
    { "set: arguments", set_arguments, CT_DEV | CT_MSIX },
    { "set: loopback", loopback, CT_DEV | CT_MSIX },
    { "set: device request", request, CT_DEV },
    { "INTx", intx, CT_DEV | CT_MSIX | CT_INTX },
    { "INTx: a line of the device", intx_line,
      CT_DEV | CT_MSIX | CT_INTX | CT_MODEL },
    { "bus mastering is off at first", bus_master, CT_DEV },
    { "an interrupt of the device", device_irq,
      CT_DEV | CT_MSIX | CT_MODEL },
    { "SMMUv3: a message goes through stage 1", smmu_nested_irq,
      CT_DEV | CT_MSIX | CT_SMMUV3 | CT_VIOMMU | CT_MODEL },
};

CT_GROUP(ct_group_irq, "irq");
