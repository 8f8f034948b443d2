/*
 * SVA engine: registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * docs/specs/sva-engine.rst is the contract. All registers are decoded as
 * 32-bit ones; a 64-bit access is two of them, lower address first.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/log.h"
#include "sva-engine.h"
#include "trace.h"

void sva_engine_reset(SvaEngineState *s)
{
    s->epoch++;
    for (unsigned i = 0; i <= s->queues; i++) {
        sva_channel_reset(&s->channel[i]);
    }
    sva_atc_flush(s);
    s->simple_addr = 0;
    s->simple_command = 0;
    memset(s->simple_buffer, 0, sizeof(s->simple_buffer));
    s->group_pages = SVA_GROUP_DEFAULT;
    memset(s->counter, 0, sizeof(s->counter));
    trace_sva_engine_reset();
}

/* The half of @value that the register at @addr is */
static uint32_t sva_half(uint64_t value, hwaddr addr)
{
    return addr & 4 ? value >> 32 : value;
}

/* ------------------------------------------------- simple block, engine */

static uint32_t sva_features(const SvaEngineState *s)
{
    return SVA_FEATURE_COPY | SVA_FEATURE_FILL | SVA_FEATURE_CHECKSUM |
           (s->ats ? SVA_FEATURE_ATS : 0) |
           (s->pri ? SVA_FEATURE_PRI : 0) |
           (s->pasid ? SVA_FEATURE_PASID : 0);
}

static uint32_t sva_params(const SvaEngineState *s)
{
    return s->queues | (s->pasid ? s->pasid_bits : 0) << 8 |
           SVA_RING_ORDER_MAX << 16 | (uint32_t)s->queues << 24;
}

static uint32_t sva_status(SvaEngineState *s)
{
    const PCIDevice *pdev = PCI_DEVICE(s);

    return (pcie_ats_enabled(pdev) ? SVA_STATUS_ATS : 0) |
           (sva_pri_usable(s) ? SVA_STATUS_PRI : 0) |
           (pcie_pasid_enabled(pdev) ? SVA_STATUS_PASID : 0) |
           (sva_busy(s) ? SVA_STATUS_BUSY : 0);
}

static uint32_t sva_engine_read(SvaEngineState *s, hwaddr addr)
{
    SvaChannel *simple = sva_simple_channel(s);

    switch (addr) {
    case SVA_SIMPLE_ADDRESS:
    case SVA_SIMPLE_ADDRESS + 4:
        return sva_half(s->simple_addr, addr);
    case SVA_SIMPLE_COMMAND:
        return s->simple_command |
               (simple->phase != SVA_PHASE_OFF ? SVA_COMMAND_RUN : 0);
    case SVA_SIMPLE_RESULT:
        return simple->phase == SVA_PHASE_OFF ? simple->work.code : 0;
    case SVA_ID:
        return SVA_ID_VALUE;
    case SVA_VERSION:
        return SVA_VERSION_VALUE;
    case SVA_FEATURES:
        return sva_features(s);
    case SVA_PARAMS:
        return sva_params(s);
    case SVA_STATUS:
        return sva_status(s);
    case SVA_GROUP:
        return s->group_pages;
    case SVA_COUNTERS ... SVA_COUNTERS + 8 * SVA_CNT__NUM - 1:
        return sva_half(s->counter[(addr - SVA_COUNTERS) / 8], addr);
    default:
        return 0;
    }
}

static void sva_simple_command(SvaEngineState *s, uint32_t value)
{
    if (sva_simple_channel(s)->phase != SVA_PHASE_OFF) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: the simple block is busy\n",
                      __func__);
        return;
    }
    s->simple_command = value & SVA_COMMAND_TO_DEVICE;
    if (value & SVA_COMMAND_RUN) {
        sva_simple_start(s, value & SVA_COMMAND_TO_DEVICE);
    }
}

static void sva_engine_write(SvaEngineState *s, hwaddr addr, uint32_t value)
{
    switch (addr) {
    case SVA_SIMPLE_ADDRESS:
        s->simple_addr = deposit64(s->simple_addr, 0, 32, value);
        break;
    case SVA_SIMPLE_ADDRESS + 4:
        s->simple_addr = deposit64(s->simple_addr, 32, 32, value);
        break;
    case SVA_SIMPLE_COMMAND:
        sva_simple_command(s, value);
        break;
    case SVA_CTRL:
        if (value & SVA_CTRL_RESET) {
            sva_engine_reset(s);
        }
        break;
    case SVA_GROUP:
        if (value >= 1 && value <= SVA_GROUP_MAX) {
            s->group_pages = value;
        }
        break;
    default:
        break;
    }
}

/* --------------------------------------------------------------- queues */

static uint32_t sva_queue_status(const SvaChannel *c)
{
    uint32_t state;

    switch (c->phase) {
    case SVA_PHASE_OFF:
        state = SVA_STATE_DISABLED;
        break;
    case SVA_PHASE_HALTED:
        state = SVA_STATE_HALTED;
        break;
    default:
        state = c->wait != SVA_WAIT_NOTHING ? SVA_STATE_WAITING :
                c->phase != SVA_PHASE_IDLE || c->head != c->tail ?
                SVA_STATE_WORKING : SVA_STATE_IDLE;
        break;
    }
    return state | c->halt_code << 8;
}

static uint32_t sva_queue_read(const SvaChannel *c, hwaddr reg)
{
    switch (reg) {
    case SVA_Q_CTRL:
        return c->phase == SVA_PHASE_OFF ? 0 : SVA_Q_CTRL_ENABLE;
    case SVA_Q_STATUS:
        return sva_queue_status(c);
    case SVA_Q_PASID:
        return c->pasid;
    case SVA_Q_RING_ORDER:
        return c->order;
    case SVA_Q_RING_BASE:
    case SVA_Q_RING_BASE + 4:
        return sva_half(c->ring, reg);
    case SVA_Q_TAIL:
        return c->tail;
    case SVA_Q_HEAD:
        return c->head;
    case SVA_Q_VECTOR:
        return c->vector;
    case SVA_Q_COMPLETED:
    case SVA_Q_COMPLETED + 4:
        return sva_half(c->completed, reg);
    case SVA_Q_FAILED:
    case SVA_Q_FAILED + 4:
        return sva_half(c->failed, reg);
    case SVA_Q_LOST:
    case SVA_Q_LOST + 4:
        return sva_half(c->lost, reg);
    default:
        return 0;
    }
}

static void sva_queue_ctrl(SvaChannel *c, uint32_t value)
{
    if (value & SVA_Q_CTRL_RESET) {
        sva_channel_reset(c);
    } else if (!(value & SVA_Q_CTRL_ENABLE)) {
        sva_channel_stop(c);
    } else if (c->phase == SVA_PHASE_OFF) {
        sva_queue_enable(c);
    }
}

static void sva_queue_config(SvaChannel *c, hwaddr reg, uint32_t value)
{
    if (c->phase != SVA_PHASE_OFF) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: queue %u is enabled\n", __func__,
                      c->index);
        return;
    }
    switch (reg) {
    case SVA_Q_PASID:
        c->pasid = value & (SVA_Q_PASID_VALID | SVA_Q_PASID_MASK);
        break;
    case SVA_Q_RING_ORDER:
        c->order = value;
        break;
    case SVA_Q_RING_BASE:
        c->ring = deposit64(c->ring, 0, 32, value);
        break;
    case SVA_Q_RING_BASE + 4:
        c->ring = deposit64(c->ring, 32, 32, value);
        break;
    }
}

static void sva_queue_write(SvaChannel *c, hwaddr reg, uint32_t value)
{
    switch (reg) {
    case SVA_Q_CTRL:
        sva_queue_ctrl(c, value);
        break;
    case SVA_Q_PASID:
    case SVA_Q_RING_ORDER:
    case SVA_Q_RING_BASE:
    case SVA_Q_RING_BASE + 4:
        sva_queue_config(c, reg, value);
        break;
    case SVA_Q_TAIL:
        sva_queue_doorbell(c, value);
        break;
    case SVA_Q_VECTOR:
        c->vector = value;
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------- dispatch */

/* The queue whose page @addr lies in, or NULL */
static SvaChannel *sva_queue_at(SvaEngineState *s, hwaddr addr)
{
    unsigned page = addr / SVA_PAGE_SIZE;

    return page >= 1 && page <= s->queues ? &s->channel[page - 1] : NULL;
}

static uint32_t sva_read32(SvaEngineState *s, hwaddr addr)
{
    SvaChannel *c = sva_queue_at(s, addr);

    if (c) {
        return sva_queue_read(c, addr % SVA_PAGE_SIZE);
    }
    return addr < SVA_PAGE_SIZE ? sva_engine_read(s, addr) : 0;
}

static void sva_write32(SvaEngineState *s, hwaddr addr, uint32_t value)
{
    SvaChannel *c = sva_queue_at(s, addr);

    if (c) {
        sva_queue_write(c, addr % SVA_PAGE_SIZE, value);
    } else if (addr < SVA_PAGE_SIZE) {
        sva_engine_write(s, addr, value);
    }
}

static uint64_t sva_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    uint64_t value = sva_read32(opaque, addr);

    if (size == 8) {
        value |= (uint64_t)sva_read32(opaque, addr + 4) << 32;
    }
    trace_sva_engine_mmio_read(addr, size, value);
    return value;
}

static void sva_mmio_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
    trace_sva_engine_mmio_write(addr, size, value);
    sva_write32(opaque, addr, value);
    if (size == 8) {
        sva_write32(opaque, addr + 4, value >> 32);
    }
}

const MemoryRegionOps sva_mmio_ops = {
    .read = sva_mmio_read,
    .write = sva_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
};
