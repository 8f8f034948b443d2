/*
 * Model of /dev/iommu: the DMA engine of an endpoint and its device TLB
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw-priv.h"
#include "json.h"

#define DMA_MAX_LEN     (1u << 20)
#define DMA_MAX_PAGES   (DMA_MAX_LEN / MDL_PAGE_SIZE + 1)

DmaOp *dma_new(MdlDevice *dev, uint32_t len)
{
    DmaOp *op = calloc(1, sizeof(*op) + len);

    if (!op) {
        abort();
    }
    op->dev = dev;
    op->len = len;
    op->pasid = MDL_NO_PASID;
    return op;
}

/* Bytes from @addr that lie in one page and in the transfer */
static uint32_t dma_chunk(const DmaOp *op, uint32_t done)
{
    uint32_t in_page = MDL_PAGE_SIZE - ((op->addr + done) % MDL_PAGE_SIZE);
    uint32_t left = op->len - done;

    return left < in_page ? left : in_page;
}

static uint32_t dma_needs(const HwReq *req)
{
    return (req->write ? HW_PERM_W : HW_PERM_R) |
           (req->exec ? HW_PERM_X : 0);
}

/*
 * With ATS: the device TLB, and a translation request when it has no entry or
 * one without the right.
 */
static bool dma_translate_ats(HwReq *req, HwXlate *xlate, HwFault *fault)
{
    HwCache *atc = &req->dev->ep->atc;
    const HwEntry *e = cache_leaf(atc, req->priv, req->pasid, req->addr);
    HwEntry fresh = {
        .kind = HW_LEAF,
        .space = req->priv,
        .ctx = req->pasid,
        .dev = req->dev,
        .pasid = req->pasid,
        .wanted = req->addr,
    };

    if (!hw_ats_enabled(req->dev)) {
        return hw_fault(fault, req, 0, HW_REASON_ATS_DISABLED, false);
    }
    if (mdl_host.arch == MDL_ARCH_SMMUV3 && smmu_aborts(req->dev->hwpt)) {
        return hw_fault(fault, req, 0, HW_REASON_BLOCKED, false);
    }
    if (e && !(dma_needs(req) & ~e->perm)) {
        *xlate = (HwXlate) {
            .out = e->out | (req->addr & hw_mask(e->shift)),
            .s2 = e->ref,
            .shift = e->shift,
            .perm = e->perm,
        };
        return true;
    }
    req->ats = true;
    if (!hw_translate(req, xlate, fault)) {
        return false;
    }
    fresh.shift = xlate->shift;
    fresh.addr = req->addr & ~hw_mask(xlate->shift);
    fresh.out = xlate->out & ~hw_mask(xlate->shift);
    fresh.perm = xlate->perm;
    fresh.ref = xlate->s2;
    cache_insert(atc, &fresh);
    return true;
}

void dma_prefetch(const HwReq *as)
{
    HwReq req = *as;
    HwXlate xlate;
    HwFault fault;

    dma_translate_ats(&req, &xlate, &fault);
}

static bool dma_translate(const DmaOp *op, uint64_t addr, HwXlate *xlate,
                          HwFault *fault)
{
    /* Rights beyond read and write travel with a PASID (PCIe 6.20) */
    bool pasid = op->pasid != MDL_NO_PASID;
    HwReq req = {
        .dev = op->dev,
        .pasid = op->pasid,
        .addr = addr,
        .write = op->write,
        .exec = op->exec && pasid,
        .priv = op->priv && pasid,
    };

    return op->ats ? dma_translate_ats(&req, xlate, fault) :
                     hw_translate(&req, xlate, fault);
}

static bool dma_move_chunk(DmaOp *op, uint32_t done, uint32_t n)
{
    const HwReq at = {
        .dev = op->dev,
        .pasid = op->pasid,
        .addr = op->addr + done,
    };
    HwXlate x;
    int ret;

    if (!dma_translate(op, at.addr, &x, &op->fault)) {
        return false;
    }
    ret = mdl_ioas_rw(x.s2->ioas, x.out, op->data + done, n, op->write);
    if (ret) {
        return hw_s2_fault(&op->fault, &at, ret);
    }
    if (op->write) {
        hw_dirty_mark(x.s2, x.out, n);
        mdl_dma_log(op->dev, at.addr, n);
    }
    return true;
}

static void dma_move(DmaOp *op)
{
    uint32_t done, n;

    if (mdl_migration_stopped(op->dev)) {
        op->state = DMA_FAULT;
        op->fault = (HwFault) {
            .reason = HW_REASON_STOPPED,
            .addr = op->addr,
            .pasid = op->pasid,
        };
        return;
    }
    op->state = DMA_DONE;
    for (done = 0; done < op->len; done += n) {
        n = dma_chunk(op, done);
        if (!dma_move_chunk(op, done, n)) {
            op->state = DMA_FAULT;
            return;
        }
    }
}

/* Page requests for what the device may ask for; none: nothing to wait for */
static unsigned dma_missing(const DmaOp *op, MdlPageRequest *req)
{
    uint32_t done, n;
    unsigned nr = 0;

    for (done = 0; done < op->len; done += n) {
        uint64_t addr = op->addr + done;
        HwXlate x;
        HwFault fault;

        n = dma_chunk(op, done);
        if (dma_translate(op, addr, &x, &fault)) {
            continue;
        }
        if (!fault.recoverable) {
            return 0;
        }
        req[nr++] = (MdlPageRequest) {
            .pasid = op->pasid,
            .addr = addr & ~hw_mask(HW_PAGE_SHIFT),
            .read = !op->write || op->exec,
            .write = op->write,
            .exec = op->exec,
            .priv = op->priv,
        };
    }
    return nr;
}

void dma_run(DmaOp *op)
{
    if (op->pri && pri_enabled(op->dev) && !mdl_migration_stopped(op->dev)) {
        MdlPageRequest *req = calloc(DMA_MAX_PAGES, sizeof(*req));
        unsigned nr;

        if (!req) {
            abort();
        }
        nr = dma_missing(op, req);
        op->pri = false;        /* asks once; what still misses is a fault */
        if (nr && pri_request_op(op, req, nr)) {
            free(req);
            return;
        }
        free(req);
        if (nr) {
            op->state = DMA_FAULT;
            return;
        }
    }
    dma_move(op);
    mdl_count("dma", op->len, op->state == DMA_FAULT);
    mdl_journal("dma", "\"dev\":\"%s\",\"op\":\"%s\",\"addr\":%llu,"
                "\"len\":%u,\"pasid\":%lld,\"ats\":%s,\"stage\":%d,"
                "\"reason\":\"%s\"", op->dev->bdf,
                op->write ? "write" : "read", (unsigned long long)op->addr,
                op->len, op->pasid == MDL_NO_PASID ? -1LL :
                (long long)op->pasid, op->ats ? "true" : "false",
                op->state == DMA_FAULT ? op->fault.stage : -1,
                hw_reason_name(op->state == DMA_FAULT ? op->fault.reason :
                               HW_REASON_NONE));
}

/* --------------------------------------------------------- control socket */

void dma_reply(const DmaOp *op, char *reply, size_t reply_len)
{
    const HwFault *f = &op->fault;
    uint32_t i;
    int n;

    switch (op->state) {
    case DMA_PENDING:
        snprintf(reply, reply_len, "\"pending\":true,\"grpid\":%u",
                 op->grpid);
        return;
    case DMA_FAULT:
        n = snprintf(reply, reply_len, "\"fault\":{\"stage\":%d,"
                     "\"reason\":\"%s\",\"addr\":%llu", f->stage,
                     hw_reason_name(f->reason), (unsigned long long)f->addr);
        if (f->pasid != MDL_NO_PASID) {
            n += snprintf(reply + n, reply_len - n, ",\"pasid\":%u",
                          f->pasid);
        }
        snprintf(reply + n, reply_len - n, "}");
        return;
    case DMA_DONE:
        n = snprintf(reply, reply_len, "\"len\":%u", op->len);
        if (op->write) {
            return;
        }
        n += snprintf(reply + n, reply_len - n, ",\"data\":\"");
        for (i = 0; i < op->len; i++) {
            n += sprintf(reply + n, "%02x", op->data[i]);
        }
        sprintf(reply + n, "\"");
        return;
    }
}

int dma_command(const MdlJson *req, char *reply, size_t reply_len)
{
    MdlDevice *dev = hw_command_device(req);
    const char *what = json_str(req, "op", ""), *hex;
    bool write = !strcmp(what, "write");
    uint64_t len;
    DmaOp *op;

    hex = json_str(req, "data", "");
    len = json_u64(req, "len", strlen(hex) / 2);
    if (!write && strcmp(what, "read")) {
        return hw_command_error(reply, reply_len, -EINVAL,
                                "op: read or write wanted");
    }
    if (!len || len > DMA_MAX_LEN || len * 2 + 128 > reply_len) {
        return hw_command_error(reply, reply_len, -EINVAL,
                                "len: too small or too large");
    }
    op = dma_new(dev, len);
    op->addr = json_u64(req, "addr", 0);
    op->write = write;
    op->priv = json_bool(req, "priv", false);
    op->exec = json_bool(req, "exec", false);
    op->pri = json_bool(req, "pri", false);
    op->ats = json_bool(req, "ats", false) || op->pri;
    if (!hw_command_pasid(req, dev, &op->pasid)) {
        free(op);
        return hw_command_error(reply, reply_len, -EINVAL,
                                "pasid: the device has no such");
    }
    if (write && !hw_parse_hex(hex, op->data, len)) {
        free(op);
        return hw_command_error(reply, reply_len, -EINVAL,
                                "data: len bytes of hex wanted");
    }
    dma_run(op);
    dma_reply(op, reply, reply_len);
    if (op->state != DMA_PENDING) {
        free(op);
    }
    return 0;
}
