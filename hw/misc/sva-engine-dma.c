/*
 * SVA engine: reaching memory, and the operations themselves
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/crc32c.h"
#include "system/dma.h"
#include "sva-engine.h"

/*
 * Memory only, unless told otherwise: a transaction that ends in the registers
 * of a device can come back to this one, in the middle of what it does.
 */
static MemTxAttrs sva_attrs(const SvaEngineState *s)
{
    return (MemTxAttrs) { .memory = !s->peer };
}

/* A request with the PASID, where there is no translation to be kept */
static int sva_untranslated(SvaContext *ctx, uint64_t va, bool write,
                            SvaTarget *target)
{
    IOMMUAccessFlags want = write ? IOMMU_WO : IOMMU_RO;
    IOMMUTLBEntry entry;

    if (pci_pasid_translate(PCI_DEVICE(ctx->engine), ctx->pasid, va, write,
                            &entry)) {
        return SVA_CODE_DISABLED;
    }
    if (!(entry.perm & want)) {
        return SVA_CODE_BUS;
    }
    target->as = entry.target_as;
    target->addr = (entry.translated_addr & ~entry.addr_mask) |
                   (va & entry.addr_mask);
    return SVA_DONE;
}

static int sva_reach(SvaChannel *c, uint64_t va, uint64_t ahead, bool write,
                     SvaTarget *target)
{
    int ret;

    if (!PCI_DEVICE(c->engine)->is_master) {
        return SVA_CODE_BUS;
    }
    ret = sva_translate(c->ctx, va, write, target);
    if (ret == SVA_MISS) {
        return sva_pri_fault(c, va, ahead, write);
    }
    if (ret == SVA_UNTRANSLATED) {
        if (c->ctx->pasid != PCI_NO_PASID) {
            return sva_untranslated(c->ctx, va, write, target);
        }
        *target = (SvaTarget) { .addr = va };
        return SVA_DONE;
    }
    return ret;
}

static MemTxResult sva_dma(SvaEngineState *s, const SvaTarget *target,
                           void *buf, size_t len, DMADirection dir)
{
    if (!target->as) {
        return pci_dma_rw(PCI_DEVICE(s), target->addr, buf, len, dir,
                          sva_attrs(s));
    }
    return dma_memory_rw(target->as, target->addr, buf, len, dir,
                         sva_attrs(s));
}

int sva_read(SvaChannel *c, uint64_t va, void *buf, size_t len, uint64_t ahead)
{
    SvaEngineState *s = c->engine;
    uint64_t epoch = s->epoch;
    SvaTarget target;
    MemTxResult result;
    int ret = sva_reach(c, va, ahead, false, &target);

    if (ret != SVA_DONE) {
        return ret;
    }
    result = sva_dma(s, &target, buf, len, DMA_DIRECTION_TO_DEVICE);
    if (s->epoch != epoch) {
        return SVA_GONE;
    }
    if (result != MEMTX_OK) {
        return SVA_CODE_BUS;
    }
    s->counter[SVA_CNT_BYTES_READ] += len;
    return SVA_DONE;
}

int sva_write(SvaChannel *c, uint64_t va, const void *buf, size_t len,
              uint64_t ahead)
{
    SvaEngineState *s = c->engine;
    uint64_t epoch = s->epoch;
    SvaTarget target;
    MemTxResult result;
    int ret = sva_reach(c, va, ahead, true, &target);

    if (ret != SVA_DONE) {
        return ret;
    }
    result = sva_dma(s, &target, (void *)buf, len, DMA_DIRECTION_FROM_DEVICE);
    if (s->epoch != epoch) {
        return SVA_GONE;
    }
    if (result != MEMTX_OK) {
        return SVA_CODE_BUS;
    }
    s->counter[SVA_CNT_BYTES_WRITTEN] += len;
    return SVA_DONE;
}

/* Bytes from @va to the end of its page, at most @len */
static size_t sva_in_page(uint64_t va, uint64_t len)
{
    return MIN(len, SVA_PAGE_SIZE - (va & ~SVA_PAGE_MASK));
}

static void sva_fill_bounce(SvaEngineState *s, uint64_t pattern,
                            uint64_t done, size_t len)
{
    uint8_t bytes[8];

    stq_le_p(bytes, pattern);
    for (size_t i = 0; i < len; i++) {
        s->bounce[i] = bytes[(done + i) % sizeof(bytes)];
    }
}

/*
 * One page of one operation. @fault: set to the address that the returned
 * code is about.
 */
static int sva_execute_page(SvaChannel *c, size_t *len, uint64_t *fault)
{
    SvaEngineState *s = c->engine;
    SvaWork *w = &c->work;
    uint64_t src = w->src + w->done;
    uint64_t dst = w->dst + w->done;
    uint64_t left = w->len - w->done;
    int ret;

    switch (w->op) {
    case SVA_OP_COPY:
        *len = sva_in_page(dst, sva_in_page(src, left));
        *fault = src;
        ret = sva_read(c, src, s->bounce, *len, left);
        if (ret == SVA_DONE) {
            *fault = dst;
            ret = sva_write(c, dst, s->bounce, *len, left);
        }
        return ret;
    case SVA_OP_FILL:
        *len = sva_in_page(dst, left);
        *fault = dst;
        sva_fill_bounce(s, w->pattern, w->done, *len);
        return sva_write(c, dst, s->bounce, *len, left);
    case SVA_OP_CHECKSUM:
        *len = sva_in_page(src, left);
        *fault = src;
        ret = sva_read(c, src, s->bounce, *len, left);
        if (ret == SVA_DONE) {
            /* crc32c() applies the final exclusive-or: take it off again */
            w->crc = ~crc32c(w->crc, s->bounce, *len);
        }
        return ret;
    case SVA_OP_LOAD:
        *len = sva_in_page(src, left);
        *fault = src;
        return sva_read(c, src, s->simple_buffer + w->done, *len, left);
    case SVA_OP_STORE:
        *len = sva_in_page(dst, left);
        *fault = dst;
        return sva_write(c, dst, s->simple_buffer + w->done, *len, left);
    default:
        g_assert_not_reached();
    }
}

int sva_execute(SvaChannel *c)
{
    SvaWork *w = &c->work;
    uint64_t fault = 0;
    size_t len = 0;
    int ret = SVA_DONE;

    if (w->done < w->len) {
        ret = sva_execute_page(c, &len, &fault);
        if (ret == SVA_LATER || ret == SVA_GONE) {
            return ret;
        }
        sva_pri_forget(c);
    }
    if (ret != SVA_DONE) {
        w->code = ret;
        w->fault_va = fault;
        return SVA_DONE;
    }
    w->done += len;
    if (w->done == w->len) {
        w->code = SVA_CODE_OK;
    }
    return SVA_DONE;
}
