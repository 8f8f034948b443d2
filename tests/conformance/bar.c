/*
 * Conformance of /dev/iommu: BARs that are mapped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Of a device that nothing is known of, the first word of a BAR may be read.
 * A mapping keeps the device open, so each ends with its scenario.
 */

#include <endian.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include "conformance.h"

#define CAP_PM      0x01
#define CAP_EXP     0x10
#define CAP_MSIX    0x11

#define COMMAND     4
#define MEMORY      (1u << 1)
#define PM_CTRL     4
#define D3HOT       3u
#define DEVCTL      8
#define DEVCAP_FLR  (1u << 28)
#define DEVCTL_FLR  (1u << 15)

typedef struct Bar {
    CtBound b;
    struct vfio_region_info info;
    volatile uint32_t *map;     /* of a device: each access counts */
    uint64_t config;
} Bar;

static sigjmp_buf on_bus_error;

static void bus_error(int sig)
{
    siglongjmp(on_bus_error, sig);
}

/* 0, or -EFAULT: the access is a SIGBUS */
static int peek(const volatile uint32_t *word, uint32_t *val)
{
    struct sigaction act = { .sa_handler = bus_error }, old;
    volatile int ret = 0;       /* over siglongjmp() */

    sigaction(SIGBUS, &act, &old);
    if (sigsetjmp(on_bus_error, 1)) {
        ret = -EFAULT;
    } else {
        *val = *word;
    }
    sigaction(SIGBUS, &old, NULL);
    return ret;
}

static int region(const CtBound *b, uint32_t index,
                  struct vfio_region_info *info, uint32_t argsz)
{
    memset(info, 0, argsz);
    info->argsz = argsz;
    info->index = index;
    return ct_ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static bool bar_open(Bar *bar, uint64_t needs)
{
    if (!ct_bound_new(&bar->b, needs | CT_BAR) ||
        !RET(0, region(&bar->b, bar->b.dev->bar, &bar->info,
                       sizeof(bar->info)))) {
        return false;
    }
    bar->config = ct_region_offset(&bar->b, VFIO_PCI_CONFIG_REGION_INDEX);
    bar->map = mmap(NULL, ct_page(), PROT_READ | PROT_WRITE, MAP_SHARED,
                    bar->b.fd, bar->info.offset);
    return OK(bar->map != MAP_FAILED);
}

static void bar_close(Bar *bar)
{
    munmap((void *)bar->map, ct_page());
}

static uint16_t config16(const Bar *bar, unsigned at)
{
    uint16_t word = 0;

    RET(2, ct_pread(bar->b.fd, &word, 2, bar->config + at));
    return le16toh(word);
}

static void set_config16(const Bar *bar, unsigned at, uint16_t val)
{
    uint16_t word = htole16(val);

    RET(2, ct_pwrite(bar->b.fd, &word, 2, bar->config + at));
}

/* One read each way */
static void reads(const Bar *bar, bool mapped, bool trapped)
{
    uint32_t one = 0, two = 0;

    RET(mapped ? 0 : -EFAULT, peek(bar->map, &one));
    RET(trapped ? 4 : -EIO, ct_pread(bar->b.fd, &two, 4, bar->info.offset));
    if (mapped && trapped) {
        EQ(one, two);
    }
}

/* vfio_pci_core_mmap(): what may be mapped, and shows what is read */
static void what(void)
{
    size_t page = ct_page();
    Bar bar;
    void *p;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    reads(&bar, true, true);
    p = mmap(NULL, page, PROT_READ, MAP_PRIVATE, bar.b.fd, bar.info.offset);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
    p = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, bar.b.fd,
             bar.info.offset + bar.info.size - page);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
    p = mmap(NULL, page, PROT_READ, MAP_SHARED, bar.b.fd,
             bar.info.offset + bar.info.size);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
    p = mmap(NULL, bar.info.size, PROT_READ, MAP_SHARED, bar.b.fd,
             bar.info.offset);
    if (OK(p != MAP_FAILED)) {
        munmap(p, bar.info.size);
    }
    bar_close(&bar);
}

/* vfio_basic_config_write(), vfio_pci_vmf_insert_pfn() */
static void memory_off(void)
{
    uint16_t command;
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    command = config16(&bar, COMMAND);
    OK(command & MEMORY);
    reads(&bar, true, true);
    set_config16(&bar, COMMAND, command & ~MEMORY);
    /* A VF has no memory enable of its own: __vfio_pci_memory_enabled() */
    if (!bar.b.dev->virtfn) {
        reads(&bar, false, false);
    }
    set_config16(&bar, COMMAND, command);
    reads(&bar, true, true);
    bar_close(&bar);
}

/* Mapped while memory is off: the address is there, and nothing behind it */
static void mapped_off(void)
{
    uint16_t command;
    uint32_t word;
    void *again;
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    command = config16(&bar, COMMAND);
    set_config16(&bar, COMMAND, command & ~MEMORY);
    again = mmap(NULL, ct_page(), PROT_READ, MAP_SHARED, bar.b.fd,
                 bar.info.offset);
    if (OK(again != MAP_FAILED)) {
        if (!bar.b.dev->virtfn) {
            RET(-EFAULT, peek(again, &word));
        }
        set_config16(&bar, COMMAND, command);
        RET(0, peek(again, &word));
        munmap(again, ct_page());
    }
    bar_close(&bar);
}

/* vfio_pci_ioctl_reset(), vfio_exp_config_write(): zapped, and back */
static void reset(void)
{
    uint32_t cap = 0;
    unsigned at;
    Bar bar;

    if (!bar_open(&bar, CT_RESET)) {
        return;
    }
    reads(&bar, true, true);
    RET(0, ct_ioctl(bar.b.fd, VFIO_DEVICE_RESET, NULL));
    OK(config16(&bar, COMMAND) & MEMORY);
    reads(&bar, true, true);
    at = ct_pci_cap(&bar.b, CAP_EXP);
    if (at) {
        RET(4, ct_pread(bar.b.fd, &cap, 4, bar.config + at + 4));
    }
    if (le32toh(cap) & DEVCAP_FLR) {
        set_config16(&bar, at + DEVCTL, config16(&bar, at + DEVCTL) |
                     DEVCTL_FLR);
        EQ(0, config16(&bar, at + DEVCTL) & DEVCTL_FLR);
        reads(&bar, true, true);
    }
    /* Memory that was off stays so */
    set_config16(&bar, COMMAND, config16(&bar, COMMAND) & ~MEMORY);
    RET(0, ct_ioctl(bar.b.fd, VFIO_DEVICE_RESET, NULL));
    EQ(0, config16(&bar, COMMAND) & MEMORY);
    if (!bar.b.dev->virtfn) {
        reads(&bar, false, false);
    }
    bar_close(&bar);
}

/* vfio_pm_config_write(), vfio_lock_and_set_power_state() */
static void d3hot(void)
{
    uint16_t ctrl;
    unsigned at;
    Bar bar;

    if (!bar_open(&bar, CT_PM)) {
        return;
    }
    at = ct_pci_cap(&bar.b, CAP_PM) + PM_CTRL;
    ctrl = config16(&bar, at);
    EQ(0, ctrl & D3HOT);
    set_config16(&bar, at, ctrl | D3HOT);
    EQ(D3HOT, config16(&bar, at) & D3HOT);
    /* Memory is on as ever, and there is none */
    OK(config16(&bar, COMMAND) & MEMORY);
    reads(&bar, false, false);
    set_config16(&bar, at, ctrl);
    EQ(0, config16(&bar, at) & D3HOT);
    OK(config16(&bar, COMMAND) & MEMORY);
    reads(&bar, true, true);
    bar_close(&bar);
}

/* vfio_pci_ioctl_reset(): a reset is to D0 */
static void d3hot_reset(void)
{
    unsigned at;
    Bar bar;

    if (!bar_open(&bar, CT_PM | CT_RESET)) {
        return;
    }
    at = ct_pci_cap(&bar.b, CAP_PM) + PM_CTRL;
    set_config16(&bar, at, config16(&bar, at) | D3HOT);
    RET(0, ct_ioctl(bar.b.fd, VFIO_DEVICE_RESET, NULL));
    EQ(0, config16(&bar, at) & D3HOT);
    reads(&bar, true, true);
    bar_close(&bar);
}

static int low_power(const Bar *bar, uint32_t feature, int wake)
{
    struct {
        struct vfio_device_feature f;
        struct vfio_device_low_power_entry_with_wakeup wake;
    } d = {
        .f.argsz = sizeof(d),
        .f.flags = VFIO_DEVICE_FEATURE_SET | feature,
        .wake.wakeup_eventfd = wake,
    };

    return ct_ioctl(bar->b.fd, VFIO_DEVICE_FEATURE, &d.f);
}

/* vfio_pci_runtime_pm_entry(): what traps wakes the device, a load does not */
static void asleep(void)
{
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    RET(0, low_power(&bar, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, 0));
    reads(&bar, false, true);
    reads(&bar, false, true);
    RET(0, low_power(&bar, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, 0));
    reads(&bar, true, true);
    bar_close(&bar);
}

/* pin_user_pages() takes no VM_PFNMAP: gup.c, check_vma_flags() */
static void no_memory(void)
{
    uint32_t ioas, other;
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(bar.b.iommufd);
    other = ct_ioas(bar.b.iommufd);
    /* Nothing is pinned before there is a page table */
    RET(0, ct_map(bar.b.iommufd, other, (void *)bar.map, ct_page(), 1 << 20,
                  CT_RW | CT_FIXED));
    RET(-EFAULT, ct_attach(&bar.b, other));
    RET(0, ct_attach(&bar.b, ioas));
    RET(-EFAULT, ct_map(bar.b.iommufd, ioas, (void *)bar.map, ct_page(),
                        1 << 20, CT_RW | CT_FIXED));
    bar_close(&bar);
}

/* vfio_get_region_info(): capabilities, as far as there is room */
static void msix_mappable(void)
{
    struct {
        struct vfio_region_info info;
        struct vfio_info_cap_header cap;
    } d;
    uint32_t table = 0;
    unsigned at;
    CtBound b;

    if (!ct_bound_new(&b, CT_MSIX)) {
        return;
    }
    at = ct_pci_cap(&b, CAP_MSIX);
    RET(4, ct_pread(b.fd, &table, 4,
                    ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX) +
                    at + 4));
    table = le32toh(table);
    RET(0, region(&b, table & 7, &d.info, sizeof(d)));
    if (!(d.info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
        EQ(0, d.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
        return;
    }
    OK(d.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
    EQ(sizeof(d), d.info.argsz);
    EQ(sizeof(d.info), d.info.cap_offset);
    EQ(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, d.cap.id);
    EQ(1, d.cap.version);
    EQ(0, d.cap.next);
    RET(0, region(&b, table & 7, &d.info, sizeof(d.info)));
    OK(d.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
    EQ(sizeof(d), d.info.argsz);
    EQ(0, d.info.cap_offset);
    /* Trapped, the table is not to be seen: vfio_pci_bar_rw() */
    at = 0;
    RET(4, ct_pread(b.fd, &at, 4, d.info.offset + (table & ~7u)));
    EQ(UINT32_MAX, at);
}

/*
 * Who writes to the table behind vfio's back has no interrupts: on Linux as
 * well, but what becomes of the message is up to the hardware. Model only.
 */
static void msix_table(void)
{
    struct {
        struct vfio_irq_set set;
        int32_t fd;
    } d = {
        .set = {
            .argsz = sizeof(d),
            .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
            .index = VFIO_PCI_MSIX_IRQ_INDEX,
            .count = 1,
        },
    };
    struct vfio_region_info info;
    volatile uint32_t *table;   /* of a device */
    uint16_t master;
    uint32_t was;
    CtBound b;
    uint64_t config;

    if (!ct_bound_new(&b, CT_MSIX)) {
        return;
    }
    config = ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX);
    RET(2, ct_pread(b.fd, &master, 2, config + COMMAND));
    master |= htole16(4);
    RET(2, ct_pwrite(b.fd, &master, 2, config + COMMAND));
    RET(0, ct_attach(&b, ct_ioas(b.iommufd)));
    RET(0, region(&b, VFIO_PCI_BAR2_REGION_INDEX, &info, sizeof(info)));
    if (info.size < ct_page()) {
        EQ(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
        return;
    }
    table = mmap(NULL, ct_page(), PROT_READ | PROT_WRITE, MAP_SHARED, b.fd,
                 info.offset);
    d.fd = ct_keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!OK(table != MAP_FAILED) || !OK(d.fd >= 0)) {
        return;
    }
    EQ(1, table[3] & 1);
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_SET_IRQS, &d.set));
    EQ(0, table[3] & 1);
    OK(table[0] != 0);
    was = table[2];
    for (int intact = 1; intact >= 0; intact--) {
        table[2] = was + !intact;
        ct_model("{\"cmd\":\"irq\",\"dev\":\"%s\",\"vector\":0}", b.dev->bdf);
        EQ(intact ? POLLIN : 0, ct_poll(d.fd, POLLIN, 0));
        RET(intact ? 8 : -EAGAIN, ct_read(d.fd, &(uint64_t){ 0 }, 8));
    }
    munmap((void *)table, ct_page());
}

/* Not every kernel and device can; the model's do */
static bool suspended(const CtDevice *d)
{
    char path[256], text[32] = "";
    FILE *f;

    if (ct.model) {
        return true;
    }
    snprintf(path, sizeof(path),
             "/sys/bus/pci/devices/%s/power/runtime_status", d->bdf);
    f = fopen(path, "re");
    if (f) {
        if (!fgets(text, sizeof(text), f)) {
            text[0] = '\0';
        }
        fclose(f);
    }
    return !strncmp(text, "suspended", 9);
}

/* vfio_pci_core_runtime_resume(): the next call wakes it, and is told of */
static void asleep_until(void)
{
    int wake = ct_keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    RET(0, low_power(&bar, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
                     wake));
    /* It goes to sleep in the background */
    poll(NULL, 0, 300);
    if (!suspended(bar.b.dev)) {
        ct_note("device %s does not go to sleep", bar.b.dev->bdf);
        bar_close(&bar);
        return;
    }
    reads(&bar, false, true);
    EQ(POLLIN, ct_poll(wake, POLLIN, 1000));
    RET(8, ct_read(wake, &(uint64_t){ 0 }, 8));
    reads(&bar, true, true);
    EQ(0, ct_poll(wake, POLLIN, 0));
    /* It has been left, and may be entered again */
    RET(0, low_power(&bar, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, 0));
    RET(0, low_power(&bar, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, 0));
    bar_close(&bar);
}

/* vfio_pci_bar_rw(): read only, as far as the image goes, then ones */
static void rom(void)
{
    struct vfio_region_info info;
    uint8_t head[2] = { 0 }, last[4];
    uint16_t command;
    uint64_t config;
    CtBound b;

    if (!ct_bound_new(&b, CT_ROM) ||
        !RET(0, region(&b, VFIO_PCI_ROM_REGION_INDEX, &info, sizeof(info)))) {
        return;
    }
    EQ(VFIO_REGION_INFO_FLAG_READ, info.flags);
    EQ(0, info.size & (info.size - 1));
    RET(2, ct_pread(b.fd, head, 2, info.offset));
    EQ(0x55, head[0]);
    EQ(0xaa, head[1]);
    RET(4, ct_pread(b.fd, last, 4, info.offset + info.size - 4));
    RET(-EINVAL, ct_pread(b.fd, last, 4, info.offset + info.size));
    RET(-EINVAL, ct_pwrite(b.fd, head, 2, info.offset));
    config = ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX);
    RET(2, ct_pread(b.fd, &command, 2, config + COMMAND));
    command = htole16(le16toh(command) & ~MEMORY);
    RET(2, ct_pwrite(b.fd, &command, 2, config + COMMAND));
    if (!b.dev->virtfn) {
        RET(-EIO, ct_pread(b.fd, head, 2, info.offset));
    }
    RET(0, region(&b, VFIO_PCI_ROM_REGION_INDEX, &info, sizeof(info)));
    OK(info.size != 0);
    command |= htole16(MEMORY);
    RET(2, ct_pwrite(b.fd, &command, 2, config + COMMAND));
    RET(2, ct_pread(b.fd, head, 2, info.offset));
    EQ(0x55, head[0]);
}

static int ioeventfd(const CtBound *b, uint32_t flags, uint64_t offset,
                     uint64_t data, int fd)
{
    struct vfio_device_ioeventfd cmd = {
        .argsz = sizeof(cmd),
        .flags = flags,
        .offset = offset,
        .data = data,
        .fd = fd,
    };

    return ct_ioctl(b->fd, VFIO_DEVICE_IOEVENTFD, &cmd);
}

/* vfio_pci_ioctl_ioeventfd(), vfio_pci_ioeventfd(): nothing is written here */
static void ioeventfd_rules(void)
{
    int fd = ct_keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    uint64_t at;
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    at = bar.info.offset + bar.info.size - 8;
    RET(-EINVAL, ioeventfd(&bar.b, 0, at, 0, fd));
    RET(-EINVAL, ioeventfd(&bar.b, 3, at, 0, fd));
    RET(-EINVAL, ioeventfd(&bar.b, 16, at, 0, fd));
    RET(-EINVAL, ioeventfd(&bar.b, 4, at, 0, -2));
    RET(-EINVAL, ioeventfd(&bar.b, 4, at + 6, 0, fd));
    RET(-EINVAL, ioeventfd(&bar.b, 4, bar.config, 0, fd));
    RET(-ENODEV, ioeventfd(&bar.b, 4, at, 0, -1));
    RET(-EBADF, ioeventfd(&bar.b, 4, at, 0, 100000));
    RET(-EINVAL, ioeventfd(&bar.b, 4, at, 0, bar.b.fd));
    RET(0, ioeventfd(&bar.b, 4, at, 0, fd));
    RET(-EEXIST, ioeventfd(&bar.b, 4, at, 0, fd));
    RET(0, ioeventfd(&bar.b, 8, at, 0, fd));
    RET(0, ioeventfd(&bar.b, 4, at, 1, fd));
    RET(0, ioeventfd(&bar.b, 4, at, 0, -1));
    RET(-ENODEV, ioeventfd(&bar.b, 4, at, 0, -1));
    bar_close(&bar);
}

/* vfio_pci_ioeventfd_handler(). Model only: who knows what it would do. */
static void ioeventfd_writes(void)
{
    int fd = ct_keep_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    uint32_t val = 0;
    Bar bar;

    if (!bar_open(&bar, CT_DEV)) {
        return;
    }
    RET(0, ioeventfd(&bar.b, 4, bar.info.offset + 8, 0x11223344, fd));
    RET(8, ct_write(fd, &(uint64_t){ 1 }, 8));
    for (unsigned i = 0; i < 500 && val != htole32(0x11223344); i++) {
        poll(NULL, 0, 10);
        RET(0, peek(bar.map + 2, &val));
    }
    EQ(0x11223344, le32toh(val));
    EQ(0, ct_poll(fd, POLLIN, 0));
    bar_close(&bar);
}

static const CtScenario scenarios[] = {
    { "ROM", rom, CT_ROM },
    { "low power, until it is woken", asleep_until, CT_BAR },
    { "ioeventfd", ioeventfd_rules, CT_BAR },
    { "ioeventfd: writes", ioeventfd_writes, CT_BAR | CT_MODEL },
    { "what can be mapped", what, CT_BAR },
    { "memory is switched off", memory_off, CT_BAR },
    { "mapped while memory is off", mapped_off, CT_BAR },
    { "reset", reset, CT_BAR | CT_RESET },
    { "D3hot", d3hot, CT_BAR | CT_PM },
    { "D3hot, and reset", d3hot_reset, CT_BAR | CT_PM | CT_RESET },
    { "low power", asleep, CT_BAR },
    { "they are no memory to pin", no_memory, CT_BAR },
    { "MSI-X's table: the region", msix_mappable, CT_MSIX },
    { "MSI-X's table: overwritten", msix_table, CT_MSIX | CT_MODEL },
};

CT_GROUP(ct_group_bar, "bar");
