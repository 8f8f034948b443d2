/*
 * vsva: the simple block, and an interrupt, through vfio
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Its requests carry no PASID, so they see what the guest's own iommufd has
 * mapped: a user space driver in the guest, below a user space driver on the
 * host. What is mapped here has its virtual address as IOVA.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vsva.h"

#define DRIVER          "vfio-pci"
#define WAIT_NS         10000000000ULL
#define OPEN_TRIES      200     /* of 10 ms: devtmpfs makes the node */
#define PCI_COMMAND     0x04
#define   PCI_COMMAND_USE 0x06  /* memory, bus master */

static int open_device(const char *bdf)
{
    char path[128];
    struct dirent *entry;
    int fd = -1;
    DIR *dir;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
    dir = opendir(path);
    if (!dir) {
        return -1;
    }
    do {
        entry = readdir(dir);
    } while (entry && strncmp(entry->d_name, "vfio", 4));
    if (entry) {
        snprintf(path, sizeof(path), "/dev/vfio/devices/%.32s",
                 entry->d_name);
        for (int i = 0; i < OPEN_TRIES && fd < 0; i++) {
            fd = open(path, O_RDWR | O_CLOEXEC);
            if (fd < 0) {
                usleep(10000);
            }
        }
    }
    closedir(dir);
    return fd;
}

static bool attach_to(int device, uint32_t pt_id)
{
    struct vfio_device_attach_iommufd_pt pt = {
        .argsz = sizeof(pt), .pt_id = pt_id,
    };

    return !ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt);
}

/*
 * An IOAS with @p in it, and the device attached to that; @own is how a HWPT of
 * its own, which stays when the device is detached, is asked for and told.
 */
static bool attach(Test *t, int iommufd, int device, void *p, size_t len,
                   struct iommu_hwpt_alloc *own)
{
    struct vfio_device_bind_iommufd bind = {
        .argsz = sizeof(bind), .iommufd = iommufd,
    };
    struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
                 IOMMU_IOAS_MAP_READABLE,
        .user_va = (uintptr_t)p,
        .length = len,
        .iova = (uintptr_t)p,
    };
    const char *what = "VFIO_DEVICE_BIND_IOMMUFD";

    if (!ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
        what = "IOMMU_IOAS_ALLOC";
        if (!ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas)) {
            map.ioas_id = ioas.out_ioas_id;
            what = "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
            if (attach_to(device, ioas.out_ioas_id)) {
                what = "IOMMU_IOAS_MAP";
                if (!ioctl(iommufd, IOMMU_IOAS_MAP, &map)) {
                    what = NULL;
                }
            }
        }
    }
    if (!what && own) {
        *own = (struct iommu_hwpt_alloc) {
            .size = sizeof(*own), .dev_id = bind.out_devid,
            .pt_id = ioas.out_ioas_id,
        };
        what = ioctl(iommufd, IOMMU_HWPT_ALLOC, own) ? "IOMMU_HWPT_ALLOC" :
               NULL;
    }
    if (!what) {
        return true;
    }
    fail(t, "%s: %s", what, strerror(errno));
    return false;
}

static bool enable(Test *t, int device, Engine *e)
{
    struct vfio_region_info bar = {
        .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX,
    };
    struct vfio_region_info config = {
        .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX,
    };
    uint16_t command = PCI_COMMAND_USE;     /* little endian is of x86, arm */

    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
        ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
        pwrite(device, &command, sizeof(command),
               config.offset + PCI_COMMAND) != sizeof(command)) {
        fail(t, "regions of the function: %s", strerror(errno));
        return false;
    }
    e->regs = mmap(NULL, SVA_BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                   device, bar.offset);
    if (e->regs == MAP_FAILED) {
        e->regs = NULL;
        fail(t, "mmap of BAR 0: %s", strerror(errno));
        return false;
    }
    return true;
}

/* SVA_CODE_NONE, and a failure, if it does not end */
static uint32_t simple_run(Test *t, Engine *e, void *p, bool to_device)
{
    uint64_t limit = now_ns() + WAIT_NS;

    engine_writeq(e, SVA_SIMPLE_ADDRESS, (uintptr_t)p);
    engine_writel(e, SVA_SIMPLE_COMMAND, SVA_COMMAND_RUN |
                  (to_device ? SVA_COMMAND_TO_DEVICE : 0));
    while (engine_readl(e, SVA_SIMPLE_COMMAND) & SVA_COMMAND_RUN) {
        if (now_ns() > limit) {
            fail(t, "the run does not end");
            return SVA_CODE_NONE;
        }
    }
    return engine_readl(e, SVA_SIMPLE_RESULT);
}

static bool simple(Test *t, Engine *e, void *p, bool to_device)
{
    uint32_t result = simple_run(t, e, p, to_device);

    if (result != SVA_CODE_OK) {
        fail(t, "%s device: %s", to_device ? "to" : "from",
             code_name(result));
    }
    return result == SVA_CODE_OK;
}

/* Vector 0 to @fd; it is made, and the table written to, by the kernel */
static bool wire(Test *t, int device, int32_t fd)
{
    struct {
        struct vfio_irq_set set;
        int32_t fd;
    } irq = {
        .set = {
            .argsz = sizeof(irq),
            .flags = VFIO_IRQ_SET_DATA_EVENTFD |
                     VFIO_IRQ_SET_ACTION_TRIGGER,
            .index = VFIO_PCI_MSIX_IRQ_INDEX,
            .count = 1,
        },
        .fd = fd,
    };

    if (fd < 0 || ioctl(device, VFIO_DEVICE_SET_IRQS, &irq)) {
        fail(t, "VFIO_DEVICE_SET_IRQS: %s", strerror(errno));
        return false;
    }
    return true;
}

/* A queue without PASID, whose ring is all zeroes: "nothing", for all of it */
static void interrupt(Test *t, const Engine *e, int device, uint8_t *ring)
{
    struct pollfd p = { .fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN };
    const unsigned base = SVA_QUEUE(0);
    uint64_t count = 0;

    memset(ring, 0, PAGE);
    /* Little endian, as above; nobody is told of the first one */
    ((uint32_t *)(ring + SVA_DESC_SIZE))[0] = SVA_OP_NOP | SVA_OP_INTERRUPT;
    if (wire(t, device, p.fd)) {
        engine_writel(e, base + SVA_Q_CTRL, SVA_Q_CTRL_RESET);
        engine_writel(e, base + SVA_Q_PASID, 0);
        engine_writel(e, base + SVA_Q_RING_ORDER, 2);
        engine_writeq(e, base + SVA_Q_RING_BASE, (uintptr_t)ring);
        engine_writel(e, base + SVA_Q_VECTOR, 0);
        engine_writel(e, base + SVA_Q_CTRL, SVA_Q_CTRL_ENABLE);
        engine_writel(e, base + SVA_Q_TAIL, 2);
        if (poll(&p, 1, WAIT_NS / 1000000) != 1 ||
            read(p.fd, &count, sizeof(count)) != sizeof(count)) {
            fail(t, "no MSI-X after %" PRIu64 " descriptors",
                 engine_readq(e, base + SVA_Q_COMPLETED));
        }
        fact(t, "interrupts", "%" PRIu64, count);
        engine_writel(e, base + SVA_Q_CTRL, 0);
    }
    if (p.fd >= 0) {
        close(p.fd);
    }
}

static void run(Test *t, int iommufd, int device)
{
    size_t len = 16 * PAGE;
    uint8_t *p = untouched(t, len);
    Engine e = *t->e;

    if (!p || !attach(t, iommufd, device, p, len, NULL) ||
        !enable(t, device, &e)) {
        return;
    }
    for (int i = 0; i < 16 && !failed(t); i++) {
        uint64_t seed = random64(t);
        /* Anywhere; the other half gets what this half had */
        uint8_t *src = p + random_below(t, 7 * PAGE);
        uint8_t *dst = p + 8 * PAGE + random_below(t, 7 * PAGE);

        scribble(src, SVA_SIMPLE_SIZE, seed);
        if (simple(t, &e, src, true) && simple(t, &e, dst, false) &&
            !scribbled(dst, SVA_SIMPLE_SIZE, seed)) {
            fail(t, "run %d: other bytes came out than went in", i);
        }
    }
    fact(t, "crc32c", "\"0x%08x\"", crc32c(p, len));
    if (!failed(t)) {
        interrupt(t, &e, device, p);
    }
    munmap(e.regs, SVA_BAR0_SIZE);
    munmap(p, len);
}

/* ------------------------------------------------- a device without a HWPT */

typedef struct Detached {
    Engine e;
    int device;
    uint32_t hwpt;
    uint8_t *p;                 /* a page that gives, and one that is given */
    uint64_t seed;
} Detached;

static void reattach(Test *t, void *opaque)
{
    Detached *d = opaque;

    d->seed = random64(t);
    scribble(d->p, SVA_SIMPLE_SIZE, d->seed);
    memset(d->p + PAGE, 0, PAGE);
    if (!attach_to(d->device, d->hwpt)) {
        fail(t, "VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s", strerror(errno));
    } else if (simple(t, &d->e, d->p, true) &&
               simple(t, &d->e, d->p + PAGE, false) &&
               !scribbled(d->p + PAGE, SVA_SIMPLE_SIZE, d->seed)) {
        fail(t, "other bytes came out than went in");
    }
}

static bool detached(Test *t, void *opaque)
{
    struct vfio_device_detach_iommufd_pt pt = { .argsz = sizeof(pt) };
    Detached *d = opaque;

    memset(d->p + PAGE, 0, PAGE);
    if (ioctl(d->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt)) {
        fail(t, "VFIO_DEVICE_DETACH_IOMMUFD_PT: %s", strerror(errno));
    }
    simple_run(t, &d->e, d->p + PAGE, false);
    return scribbled(d->p + PAGE, SVA_SIMPLE_SIZE, d->seed);
}

static void run_omit(Test *t, int iommufd, int device)
{
    struct iommu_hwpt_alloc own;
    Detached d = { .e = *t->e, .device = device, .p = untouched(t, 2 * PAGE) };

    if (!d.p || !attach(t, iommufd, device, d.p, 2 * PAGE, &own) ||
        !enable(t, device, &d.e)) {
        return;
    }
    d.hwpt = own.out_hwpt_id;
    omit(t, "rid", reattach, detached, &d);
    munmap(d.e.regs, SVA_BAR0_SIZE);
}

static void with_vfio(Test *t, void (*run)(Test *t, int iommufd, int device))
{
    int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    int device;

    if (iommufd < 0 ||
        access("/sys/bus/pci/drivers/" DRIVER, F_OK)) {
        snprintf(t->skip, sizeof(t->skip), "this kernel has no %s",
                 iommufd < 0 ? "/dev/iommu" : DRIVER);
    } else if (!engine_bind(t->e, DRIVER)) {
        fail(t, "%s", t->e->why);
    } else {
        device = open_device(t->e->bdf);
        if (device < 0) {
            fail(t, "the vfio character device: %s", strerror(errno));
        } else {
            run(t, iommufd, device);
            close(device);
        }
    }
    if (iommufd >= 0) {
        close(iommufd);
    }
}

void vfio_simple(Test *t)
{
    with_vfio(t, run);
}

void vfio_omit(Test *t)
{
    with_vfio(t, run_omit);
}
