/*
 * Model of /dev/iommu: the PCI function a vfio device shows
 *
 * Config space and regions as vfio-pci presents them (drivers/vfio/pci):
 * capabilities read-only, PASID hidden, BARs virtual.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "hw-priv.h"
#include "le.h"

#define EP_ID           0x494f4550u     /* "IOEP" */
#define EP_CAP_EXP      0x40
#define EP_CAP_MSIX     0x80
#define EP_CAP_AF       0x90
#define EP_CAP_PM       0x98
#define EP_CAP_MSI      0xa0
#define EP_CAP_ATS      0x100
#define EP_CAP_PRI      0x110

#define EP_CTRL_START   (1u << 0)
#define EP_CTRL_PASID   (1u << 3)
#define EP_CTRL_ATS     (1u << 4)
#define EP_CTRL_PRI     (1u << 5)
#define EP_CTRL_PRIV    (1u << 6)
#define EP_CTRL_EXEC    (1u << 7)
#define EP_CTRL_IRQ     (1u << 8)

enum { EP_IDLE, EP_BUSY, EP_DONE, EP_FAULTED };

/* ----------------------------------------------------------- config space */

static void ep_config_exp(MdlDevice *dev, uint8_t *c, uint8_t *w)
{
    c[EP_CAP_EXP] = PCI_CAP_ID_EXP;
    put16(c + EP_CAP_EXP + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
    put32(c + EP_CAP_EXP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER |
          (dev->can_reset ? PCI_EXP_DEVCAP_FLR : 0));
    put32(c + EP_CAP_EXP + PCI_EXP_LNKCAP, 1 | 1 << 4);
    put16(c + EP_CAP_EXP + PCI_EXP_LNKSTA, 1 | 1 << 4);
    put32(c + EP_CAP_EXP + PCI_EXP_DEVCAP2,
          dev->pasid_bits ? PCI_EXP_DEVCAP2_EE_PREFIX : 0);
    put16(w + EP_CAP_EXP + PCI_EXP_DEVCTL,
          (uint16_t)~PCI_EXP_DEVCTL_BCR_FLR);
}

static void ep_config_msix(MdlDevice *dev, uint8_t *c, uint64_t bar2_size)
{
    c[EP_CAP_MSIX] = PCI_CAP_ID_MSIX;
    put16(c + EP_CAP_MSIX + PCI_MSIX_FLAGS, dev->msix_vectors - 1);
    put32(c + EP_CAP_MSIX + PCI_MSIX_TABLE, 2);
    put32(c + EP_CAP_MSIX + PCI_MSIX_PBA, bar2_size / 2 | 2);
}

static unsigned log2_of(unsigned num)
{
    unsigned n = 0;

    while (1u << n < num) {
        n++;
    }
    return n;
}

/* Address and data are the guest's: the host has its own in the device */
static void ep_config_msi(MdlDevice *dev, uint8_t *c, uint8_t *w)
{
    c[EP_CAP_MSI] = PCI_CAP_ID_MSI;
    put16(c + EP_CAP_MSI + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT |
          log2_of(dev->msi_vectors) << 1);
    put16(w + EP_CAP_MSI + PCI_MSI_FLAGS,
          PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    memset(w + EP_CAP_MSI + PCI_MSI_ADDRESS_LO, 0xff,
           PCI_MSI_DATA_64 + 2 - PCI_MSI_ADDRESS_LO);
    w[EP_CAP_MSI + PCI_MSI_ADDRESS_LO] = 0xfc;
}

/* vfio_msi_config_write(): no more than vfio has enabled */
static void ep_msi_written(MdlDevice *dev)
{
    uint8_t *flags = dev->ep->config + EP_CAP_MSI + PCI_MSI_FLAGS;
    unsigned max = (*flags & PCI_MSI_FLAGS_QMASK) >> 1;

    if (dev->ep->irq_index != VFIO_PCI_MSI_IRQ_INDEX) {
        *flags &= ~PCI_MSI_FLAGS_ENABLE;
    }
    if ((*flags & PCI_MSI_FLAGS_QSIZE) >> 4 > max) {
        *flags = (*flags & ~PCI_MSI_FLAGS_QSIZE) | max << 4;
    }
}

/* What can be enabled is what was last, vfio_msi_config_read() */
void ep_msi_enabled(MdlDevice *dev, unsigned vectors)
{
    uint8_t *flags = dev->ep->config + EP_CAP_MSI + PCI_MSI_FLAGS;

    *flags = (*flags & ~PCI_MSI_FLAGS_QMASK) | log2_of(vectors) << 1;
}

static void ep_config_chain(MdlDevice *dev, uint8_t *c)
{
    const struct {
        bool there;
        uint8_t at;
    } caps[] = {
        { dev->express, EP_CAP_EXP }, { dev->msix_vectors, EP_CAP_MSIX },
        { dev->af, EP_CAP_AF }, { dev->pm, EP_CAP_PM },
        { dev->msi_vectors, EP_CAP_MSI },
    };
    uint8_t last = PCI_CAPABILITY_LIST;
    size_t i;

    for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        if (caps[i].there) {
            c[last] = caps[i].at;
            last = caps[i].at + PCI_CAP_LIST_NEXT;
        }
    }
}

static void ep_config_ext(MdlDevice *dev, uint8_t *c)
{
    unsigned pri_at = dev->ats ? EP_CAP_PRI : EP_CAP_ATS;

    if (dev->ats) {
        put32(c + EP_CAP_ATS, PCI_EXT_CAP_ID_ATS | 1 << 16 |
              (dev->pri ? EP_CAP_PRI << 20 : 0));
        /* Queue depth 32 (encoded 0), page aligned requests */
        put16(c + EP_CAP_ATS + PCI_ATS_CAP, PCI_ATS_CAP_PAGE_ALIGNED);
    }
    if (dev->pri) {
        put32(c + pri_at, PCI_EXT_CAP_ID_PRI | 1 << 16);
        put16(c + pri_at + PCI_PRI_STATUS,
              PCI_PRI_STATUS_STOPPED |
              (dev->pasid_bits ? PCI_PRI_STATUS_PASID : 0));
        put32(c + pri_at + PCI_PRI_MAX_REQ, PRI_MAX_GROUPS);
    }
}

static void ep_bar_mask(MdlEndpoint *ep, unsigned bar, uint64_t size)
{
    if (size) {
        put32(ep->config_wmask + PCI_BASE_ADDRESS_0 + 4 * bar,
              ~(uint32_t)(size - 1));
    }
}

static void ep_config_reset(MdlDevice *dev)
{
    MdlEndpoint *ep = dev->ep;
    uint8_t *c = ep->config, *w = ep->config_wmask;
    unsigned i;

    memset(c, 0, EP_CONFIG_SIZE);
    memset(w, 0, EP_CONFIG_SIZE);
    put16(c + PCI_VENDOR_ID, dev->vendor);
    put16(c + PCI_DEVICE_ID, dev->device_id);
    /* pci_enable_device() leaves memory on and bus mastering off */
    put16(c + PCI_COMMAND, PCI_COMMAND_MEMORY);
    put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
    c[PCI_REVISION_ID] = dev->revision;
    c[PCI_CLASS_PROG] = dev->class_code;
    put16(c + PCI_CLASS_DEVICE, dev->class_code >> 8);
    put16(c + PCI_SUBSYSTEM_VENDOR_ID, dev->vendor);
    put16(c + PCI_SUBSYSTEM_ID, dev->device_id);
    if (dev->express) {
        ep_config_exp(dev, c, w);
    }
    if (dev->msix_vectors) {
        ep_config_msix(dev, c, ep_bar_size(dev, 2));
    }
    if (dev->msi_vectors) {
        ep_config_msi(dev, c, w);
    }
    if (dev->af) {
        c[EP_CAP_AF] = PCI_CAP_ID_AF;
        c[EP_CAP_AF + PCI_AF_LENGTH] = PCI_CAP_AF_SIZEOF;
        c[EP_CAP_AF + PCI_AF_CAP] = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
    }
    if (dev->pm) {
        c[EP_CAP_PM] = PCI_CAP_ID_PM;
        put16(c + EP_CAP_PM + PCI_PM_PMC, 3);
        put16(c + EP_CAP_PM + PCI_PM_CTRL,
              dev->no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
        put16(w + EP_CAP_PM + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    }
    ep_config_chain(dev, c);
    ep_config_ext(dev, c);

    c[PCI_INTERRUPT_PIN] = dev->intx;
    put16(w + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
          PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    w[PCI_CACHE_LINE_SIZE] = 0xff;
    w[PCI_INTERRUPT_LINE] = 0xff;
    for (i = 0; i < PCI_STD_NUM_BARS; i++) {
        ep_bar_mask(ep, i, ep_bar_size(dev, i));
    }
    if (dev->rom_size) {
        put32(w + PCI_ROM_ADDRESS,
              ~(uint32_t)(dev->rom_size - 1) | PCI_ROM_ADDRESS_ENABLE);
    }
}

/* What the host has switched on shows, whatever the guest wrote */
static void ep_config_refresh(MdlDevice *dev)
{
    uint8_t *c = dev->ep->config;

    if (dev->ats) {
        put16(c + EP_CAP_ATS + PCI_ATS_CTRL,
              hw_ats_enabled(dev) ? PCI_ATS_CTRL_ENABLE : 0);
    }
    if (dev->pri) {
        unsigned at = dev->ats ? EP_CAP_PRI : EP_CAP_ATS;

        put16(c + at + PCI_PRI_CTRL,
              pri_enabled(dev) ? PCI_PRI_CTRL_ENABLE : 0);
    }
}

bool ep_in_d3hot(const MdlDevice *dev)
{
    return dev->pm &&
           (dev->ep->config[EP_CAP_PM + PCI_PM_CTRL] &
            PCI_PM_CTRL_STATE_MASK) == 3;
}

/* @to was written to the byte at @at, which was @from: is that a reset? */
static void ep_config_written(MdlDevice *dev, uint64_t at, uint8_t from,
                              uint8_t to)
{
    switch (at) {
    case EP_CAP_EXP + PCI_EXP_DEVCTL + 1:
        if (dev->express && (to & PCI_EXP_DEVCTL_BCR_FLR >> 8) &&
            dev->can_reset) {
            mdl_device_reset(dev);
        }
        break;
    case EP_CAP_AF + PCI_AF_CTRL:
        if ((to & PCI_AF_CTRL_FLR) && dev->af) {
            mdl_device_reset(dev);
        }
        break;
    case EP_CAP_MSI + PCI_MSI_FLAGS:
        if (dev->msi_vectors) {
            ep_msi_written(dev);
        }
        break;
    case EP_CAP_PM + PCI_PM_CTRL:
        /* It has neither D1 nor D2 */
        if (dev->pm && (to & PCI_PM_CTRL_STATE_MASK) % 3) {
            dev->ep->config[at] = from;
        }
        /* D3hot to D0: vfio_lock_and_set_power_state() resets no function */
        if (dev->pm && !dev->no_soft_reset &&
            (from & PCI_PM_CTRL_STATE_MASK) == 3 &&
            !(to & PCI_PM_CTRL_STATE_MASK)) {
            hw_device_reset(dev);
        }
        break;
    }
}

unsigned ep_config_size(const MdlDevice *dev)
{
    return dev->express ? EP_CONFIG_SIZE : PCI_CFG_SPACE_SIZE;
}

int64_t ep_config_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf,
                     size_t len, bool write)
{
    MdlEndpoint *ep = dev->ep;
    uint64_t size = ep_config_size(dev);
    size_t i;

    if (offset >= size || len > size - offset) {
        return -EFAULT;
    }
    if (!write) {
        ep_config_refresh(dev);
        memcpy(buf, ep->config + offset, len);
        return len;
    }
    for (i = 0; i < len; i++) {
        uint8_t mask = ep->config_wmask[offset + i];
        uint8_t *at = &ep->config[offset + i], old = *at;

        *at = (old & ~mask) | (buf[i] & mask);
        if (offset + i == PCI_COMMAND + 1 &&
            ((old ^ *at) & PCI_COMMAND_INTX_DISABLE >> 8)) {
            ep_intx_mask(dev, *at & PCI_COMMAND_INTX_DISABLE >> 8);
        }
        ep_config_written(dev, offset + i, old, buf[i]);
    }
    ep_bars_update(dev);
    return len;
}

/* ------------------------------------------------------------- the engine */

static uint32_t ep_reg(const MdlDevice *dev, unsigned reg)
{
    return get32(dev->ep->regs + reg);
}

void ep_engine_done(MdlDevice *dev, DmaOp *op)
{
    MdlEndpoint *ep = dev->ep;
    bool ok = op->state == DMA_DONE;

    if (!ok && op->fault.reason == HW_REASON_STALLED) {
        free(op);
        return;                 /* busy until it is reset */
    }
    if (ok && !op->write) {
        memcpy(ep->buf, op->data, op->len);
    }
    put32(ep->regs + EP_REG_STATUS, ok ? EP_DONE : EP_FAULTED);
    put32(ep->regs + EP_REG_REASON, ok ? HW_REASON_NONE : op->fault.reason);
    put64(ep->regs + EP_REG_FAULT_ADDR, ok ? 0 : op->fault.addr);
    free(op);
    if (ep_reg(dev, EP_REG_CTRL) & EP_CTRL_IRQ) {
        ep_interrupt(dev, ep_reg(dev, EP_REG_VECTOR));
    }
}

static void ep_engine_start(MdlDevice *dev)
{
    MdlEndpoint *ep = dev->ep;
    uint32_t ctrl = ep_reg(dev, EP_REG_CTRL), len = ep_reg(dev, EP_REG_LEN);
    uint32_t pasid = ep_reg(dev, EP_REG_PASID);
    bool sane = len && len <= EP_BUF_SIZE && ((ctrl >> 1) & 3) <= 1 &&
                (!(ctrl & EP_CTRL_PASID) ||
                 (dev->pasid_bits && !(pasid >> dev->pasid_bits)));
    DmaOp *op = dma_new(dev, sane ? len : 0);

    op->engine = true;
    op->addr = get64(ep->regs + EP_REG_ADDR);
    op->write = (ctrl >> 1) & 1;
    op->pasid = ctrl & EP_CTRL_PASID ? pasid : MDL_NO_PASID;
    op->pri = ctrl & EP_CTRL_PRI;
    op->ats = ctrl & (EP_CTRL_ATS | EP_CTRL_PRI);
    op->priv = ctrl & EP_CTRL_PRIV;
    op->exec = ctrl & EP_CTRL_EXEC;
    if (!sane) {
        op->state = DMA_FAULT;
        op->fault.reason = HW_REASON_BAD_REQUEST;
        ep_engine_done(dev, op);
        return;
    }
    if (!(ep->config[PCI_COMMAND] & PCI_COMMAND_MASTER)) {
        op->state = DMA_FAULT;
        op->fault.reason = HW_REASON_BUS_MASTER;
        op->fault.addr = op->addr;
        ep_engine_done(dev, op);
        return;
    }
    if (op->write) {
        memcpy(op->data, ep->buf, len);
    }
    put32(ep->regs + EP_REG_STATUS, EP_BUSY);
    dma_run(op);
    if (op->state != DMA_PENDING) {
        ep_engine_done(dev, op);
    }
}

static bool ep_reg_writable(uint64_t offset)
{
    return (offset >= EP_REG_CTRL && offset < EP_REG_STATUS) ||
           (offset >= EP_REG_VECTOR && offset < EP_REG_END);
}

static void ep_regs_write(MdlDevice *dev, uint64_t offset,
                          const uint8_t *buf, size_t len)
{
    MdlEndpoint *ep = dev->ep;
    bool start = false;
    size_t i;

    if (ep_reg(dev, EP_REG_STATUS) == EP_BUSY) {
        return;
    }
    for (i = 0; i < len; i++) {
        if (ep_reg_writable(offset + i)) {
            ep->regs[offset + i] = buf[i];
        }
        start |= offset + i == EP_REG_CTRL && (buf[i] & EP_CTRL_START);
    }
    ep->regs[EP_REG_CTRL] &= ~EP_CTRL_START;
    if (start) {
        ep_engine_start(dev);
    }
}

void ep_bar0_rw(MdlDevice *dev, uint64_t offset, uint8_t *buf, size_t len,
                bool write)
{
    MdlEndpoint *ep = dev->ep;
    size_t i = 0, n;

    if (!write) {
        memset(buf, 0, len);
    }
    if (offset < EP_REGS_SIZE) {
        n = len < EP_REGS_SIZE - offset ? len : EP_REGS_SIZE - offset;
        if (write) {
            ep_regs_write(dev, offset, buf, n);
        } else {
            memcpy(buf, ep->regs + offset, n);
        }
        i = n;
    }
    if (i < len && offset + i < EP_REGS_SIZE + EP_BUF_SIZE) {
        uint64_t at = offset + i - EP_REGS_SIZE;

        n = len - i < EP_BUF_SIZE - at ? len - i : EP_BUF_SIZE - at;
        if (!write) {
            memcpy(buf + i, ep->buf + at, n);
        } else if (ep_reg(dev, EP_REG_STATUS) != EP_BUSY) {
            memcpy(ep->buf + at, buf + i, n);
        }
    }
}

/* ------------------------------------------------------------- life times */

static void ep_engine_reset(MdlDevice *dev)
{
    MdlEndpoint *ep = dev->ep;

    memset(ep->regs, 0, sizeof(ep->regs));
    memset(ep->buf, 0, sizeof(ep->buf));
    put32(ep->regs + EP_REG_ID, EP_ID);
    nvme_reset(dev);
}

void ep_init(MdlDevice *dev)
{
    MdlEndpoint *ep = calloc(1, sizeof(*ep));
    pthread_condattr_t attr;
    unsigned i;

    if (!ep) {
        abort();
    }
    ep->dev = dev;
    dev->ep = ep;
    ep->irq_index = -1;
    ep->intx_fd = -1;
    ep->wake_fd = -1;
    for (i = 0; i < 2; i++) {
        ep->single_fd[i] = -1;
    }
    ep_bars_init(dev);
    mdl_migration_init(dev);
    cache_init(&ep->atc);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ep->answered, &attr);
    pthread_condattr_destroy(&attr);
    ep_config_reset(dev);
    if (dev->disk_mib) {
        nvme_init(dev);
    }
    ep_engine_reset(dev);
}

void hw_device_reset(MdlDevice *dev)
{
    /* Config space is vfio's copy: a reset leaves it as it was, in D0 */
    if (dev->pm) {
        dev->ep->config[EP_CAP_PM + PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
    }
    mdl_migration_reset(dev);
    pri_reset(dev);
    hw_atc_drop(dev, MDL_NO_PASID, 0, UINT64_MAX);
    ep_engine_reset(dev);
    ep_bars_reset(dev);
    mdl_journal("reset", "\"dev\":\"%s\"", dev->bdf);
}

/* In front of the state: which device it is of */
#define STATE_MAGIC     0x31474d50454f49ull     /* "IOEPMG1" */
#define STATE_SIZE      (16 + EP_REGS_SIZE + EP_BUF_SIZE)

size_t hw_device_save(MdlDevice *dev, uint8_t *out)
{
    put64(out, STATE_MAGIC);
    put32(out + 8, (uint32_t)dev->vendor << 16 | dev->device_id);
    put32(out + 12, dev->revision);
    memcpy(out + 16, dev->ep->regs, EP_REGS_SIZE);
    memcpy(out + 16 + EP_REGS_SIZE, dev->ep->buf, EP_BUF_SIZE);
    return STATE_SIZE;
}

int hw_device_load(MdlDevice *dev, const uint8_t *in, size_t len)
{
    if (len != STATE_SIZE || get64(in) != STATE_MAGIC ||
        get32(in + 8) != ((uint32_t)dev->vendor << 16 | dev->device_id) ||
        get32(in + 12) != dev->revision) {
        return -EINVAL;
    }
    memcpy(dev->ep->regs, in + 16, EP_REGS_SIZE);
    memcpy(dev->ep->buf, in + 16 + EP_REGS_SIZE, EP_BUF_SIZE);
    return 0;
}

void hw_device_closed(MdlDevice *dev)
{
    ep_irqs_off(dev);
    ep_watches_off(dev);
    mdl_device_reset(dev);
    ep_config_reset(dev);
}

void ep_fini(MdlDevice *dev)
{
    MdlEndpoint *ep = dev->ep;

    if (!ep) {
        return;
    }
    ep_irqs_off(dev);
    ep_watches_off(dev);
    ep_bars_fini(dev);
    pri_fini(dev);
    nvme_fini(dev);
    cache_fini(&ep->atc);
    pthread_cond_destroy(&ep->answered);
    free(ep->partial);
    free(ep);
    dev->ep = NULL;
}
