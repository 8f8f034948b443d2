/*
 * Model of /dev/iommu: regions of a vfio device, and who has them mapped
 *
 * Rules: drivers/vfio/pci/vfio_pci_core.c (vfio_pci_probe_mmaps(),
 * vfio_pci_core_mmap(), vfio_pci_zap_bars()) and vfio_pci_rdwr.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw-priv.h"
#include "le.h"
#include "objects.h"

#define BAR2_MIN        4096u
#define MSI_ADDRESS     0xfee00000u

static EpBar *bar_of(const MdlDevice *dev, unsigned region)
{
    switch (region) {
    case VFIO_PCI_BAR2_REGION_INDEX:
        return &dev->ep->bar[0];
    case VFIO_PCI_BAR4_REGION_INDEX:
        return &dev->ep->bar[1];
    default:
        return NULL;
    }
}

uint64_t ep_bar_size(const MdlDevice *dev, unsigned region)
{
    const EpBar *bar = bar_of(dev, region);

    return bar ? bar->size :
           region == VFIO_PCI_BAR0_REGION_INDEX ? dev->bar0_size : 0;
}

static uint8_t *contents(EpBar *bar)
{
    return bar->live ? bar->view : bar->mem;
}

/* __vfio_pci_memory_enabled() */
bool ep_memory_on(const MdlDevice *dev)
{
    return (dev->ep->config[PCI_COMMAND] & PCI_COMMAND_MEMORY) &&
           !ep_in_d3hot(dev);
}

/* ---------------------------------------------------------------- mapped */

/* A file that ends before what is mapped of it: an access is SIGBUS */
static void bar_zap(EpBar *bar)
{
    if (bar->live) {
        memcpy(bar->mem, bar->view, bar->size);
        if (ftruncate(bar->fd, 0)) {
            abort();
        }
        bar->live = false;
    }
}

static void bar_show(EpBar *bar)
{
    if (bar->view && !bar->live) {
        if (ftruncate(bar->fd, bar->size)) {
            abort();
        }
        memcpy(bar->view, bar->mem, bar->size);
        bar->live = true;
    }
}

void ep_bars_update(MdlDevice *dev)
{
    bool on = ep_bars_on(dev);
    unsigned i;

    for (i = 0; i < EP_NR_BARS; i++) {
        if (on) {
            bar_show(&dev->ep->bar[i]);
        } else {
            bar_zap(&dev->ep->bar[i]);
        }
    }
    mdl_dmabuf_move(dev, !on);
    if (on != dev->ep->bars_on) {
        dev->ep->bars_on = on;
        mdl_journal("bars", "\"dev\":\"%s\",\"mapped\":%s", dev->bdf,
                    on ? "true" : "false");
    }
}

int ep_bar_file(MdlDevice *dev, unsigned region)
{
    EpBar *bar = bar_of(dev, region);

    if (!bar->view) {
        bar->fd = mdl_fd_private(memfd_create(MDL_BAR_FILE, MFD_CLOEXEC));
        bar->view = bar->fd < 0 ? MAP_FAILED :
                    mmap(NULL, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED,
                         bar->fd, 0);
        if (bar->view == MAP_FAILED) {
            abort();
        }
        ep_bars_update(dev);
    }
    return bar->fd;
}

/* --------------------------------------------------------- MSI-X's table */

/* What the host has written to the entry of @vector */
static void msix_entry(uint8_t *entry, unsigned vector, bool on)
{
    put32(entry, on ? MSI_ADDRESS : 0);
    put32(entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    put32(entry + PCI_MSIX_ENTRY_DATA, on ? vector : 0);
    put32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
          on ? 0 : PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

void ep_msix_write(MdlDevice *dev, unsigned vector, bool on)
{
    EpBar *bar = bar_of(dev, VFIO_PCI_BAR2_REGION_INDEX);

    msix_entry(contents(bar) + vector * PCI_MSIX_ENTRY_SIZE, vector, on);
}

bool ep_msix_intact(MdlDevice *dev, unsigned vector)
{
    EpBar *bar = bar_of(dev, VFIO_PCI_BAR2_REGION_INDEX);
    uint8_t want[PCI_MSIX_ENTRY_SIZE];

    msix_entry(want, vector, true);
    return !memcmp(contents(bar) + vector * PCI_MSIX_ENTRY_SIZE, want,
                   sizeof(want));
}

static void msix_reset(MdlDevice *dev)
{
    unsigned i;

    for (i = 0; i < dev->msix_vectors; i++) {
        ep_msix_write(dev, i, ep_msix_wired(dev, i));
    }
}

uint64_t ep_msix_table_size(const MdlDevice *dev)
{
    return dev->msix_vectors * PCI_MSIX_ENTRY_SIZE;
}

/* --------------------------------------------------------------- trapped */

/* An image that fills half of what the BAR has, for this device and no CPU */
static void rom_read(MdlDevice *dev, uint64_t offset, uint8_t *buf, size_t len)
{
    uint8_t header[0x40] = { 0x55, 0xaa };
    unsigned image = dev->rom_size / 2;
    size_t i;

    header[2] = image / 512;
    header[0x18] = 0x20;                /* where the next is: */
    memcpy(header + 0x20, "PCIR", 4);
    put16(header + 0x24, dev->vendor);
    put16(header + 0x26, dev->device_id);
    put16(header + 0x2a, 0x18);
    put16(header + 0x30, image / 512);
    header[0x34] = 0xff;                /* code for nobody */
    header[0x35] = 0x80;                /* the last */
    for (i = 0; i < len; i++) {
        uint64_t at = offset + i;

        buf[i] = at < sizeof(header) ? header[at] : at < image ? at : 0xff;
    }
}

/* vfio keeps the MSI-X table to itself: reads as ones, writes vanish */
static void bar_rw(MdlDevice *dev, unsigned region, uint64_t offset,
                   uint8_t *buf, size_t len, bool write)
{
    uint64_t table = region == VFIO_PCI_BAR2_REGION_INDEX ?
                     ep_msix_table_size(dev) : 0;
    uint8_t *mem = contents(bar_of(dev, region));
    size_t i;

    for (i = 0; i < len; i++) {
        if (offset + i < table) {
            buf[i] = 0xff;
        } else if (write) {
            mem[offset + i] = buf[i];
        } else {
            buf[i] = mem[offset + i];
        }
    }
}

bool ep_bars_on(const MdlDevice *dev)
{
    return ep_memory_on(dev) && !dev->low_power && dev->bound;
}

/* Another device's: it finds MSI-X's table as it is */
int ep_bar_dma(MdlDevice *dev, unsigned region, uint64_t offset, void *buf,
               size_t len, bool write)
{
    EpBar *bar = bar_of(dev, region);

    if (!ep_bars_on(dev)) {
        return -EFAULT;
    }
    if (!bar) {
        return ep_region_rw(dev, region, offset, buf, len, write) < 0 ?
               -EFAULT : 0;
    }
    if (write) {
        memcpy(contents(bar) + offset, buf, len);
    } else {
        memcpy(buf, contents(bar) + offset, len);
    }
    return 0;
}

int ep_region_info(MdlDevice *dev, unsigned region, uint64_t *size,
                   uint32_t *flags)
{
    switch (region) {
    case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
        *size = ep_bar_size(dev, region);
        break;
    case VFIO_PCI_CONFIG_REGION_INDEX:
        *size = ep_config_size(dev);
        break;
    case VFIO_PCI_ROM_REGION_INDEX:
        *size = dev->rom_size;
        *flags = *size ? VFIO_REGION_INFO_FLAG_READ : 0;
        return 0;
    default:
        return -EINVAL;
    }
    *flags = *size ? VFIO_REGION_INFO_FLAG_READ |
                     VFIO_REGION_INFO_FLAG_WRITE : 0;
    /* vfio_pci_probe_mmaps(): others may share the page */
    if (*size >= mdl_host.page_size && dev->bar_mmap && bar_of(dev, region)) {
        *flags |= VFIO_REGION_INFO_FLAG_MMAP;
    }
    return 0;
}

int64_t ep_region_rw(MdlDevice *dev, unsigned region, uint64_t offset,
                     void *buf, size_t len, bool write)
{
    uint64_t size;
    uint32_t flags;

    if (ep_region_info(dev, region, &size, &flags)) {
        return -EINVAL;
    }
    if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
        return ep_config_rw(dev, offset, buf, len, write);
    }
    if (offset >= size) {
        return -EINVAL;
    }
    if (!ep_memory_on(dev)) {
        return -EIO;
    }
    if (len > size - offset) {
        len = size - offset;
    }
    if (region == VFIO_PCI_ROM_REGION_INDEX) {
        rom_read(dev, offset, buf, len);
    } else if (region != VFIO_PCI_BAR0_REGION_INDEX) {
        bar_rw(dev, region, offset, buf, len, write);
    } else if (dev->ep->nvme) {
        nvme_rw(dev, offset, buf, len, write);
    } else {
        ep_bar0_rw(dev, offset, buf, len, write);
    }
    return len;
}

/* ------------------------------------------------------------- life times */

static void bar_init(EpBar *bar, uint64_t size)
{
    bar->fd = -1;
    bar->size = size;
    bar->mem = size ? calloc(1, size) : NULL;
    if (size && !bar->mem) {
        abort();
    }
}

void ep_bars_init(MdlDevice *dev)
{
    uint64_t bar2_size = 0;

    if (dev->msix_vectors) {
        bar2_size = BAR2_MIN;
        while (bar2_size < 2 * dev->msix_vectors * PCI_MSIX_ENTRY_SIZE) {
            bar2_size *= 2;
        }
    }
    bar_init(bar_of(dev, VFIO_PCI_BAR2_REGION_INDEX), bar2_size);
    bar_init(bar_of(dev, VFIO_PCI_BAR4_REGION_INDEX), dev->bar4_size);
    msix_reset(dev);
}

/* Who has a BAR mapped waits, and finds it reset */
void ep_bars_reset(MdlDevice *dev)
{
    unsigned i;

    for (i = 0; i < EP_NR_BARS; i++) {
        EpBar *bar = &dev->ep->bar[i];

        bar_zap(bar);
        if (bar->size) {
            memset(bar->mem, 0, bar->size);
        }
    }
    mdl_dmabuf_move(dev, true);
    msix_reset(dev);
    ep_bars_update(dev);
}

void ep_bars_fini(MdlDevice *dev)
{
    unsigned i;

    for (i = 0; i < EP_NR_BARS; i++) {
        EpBar *bar = &dev->ep->bar[i];

        bar_zap(bar);
        if (bar->view) {
            munmap(bar->view, bar->size);
            mdl_fd_close_private(bar->fd);
        }
        free(bar->mem);
    }
}
