/*
 * Random steps against an oracle: DMA and its comparison
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "random.h"

static bool agrees(const Run *r, const TvDma *dma, const OracleResult *want,
                   const uint8_t *ram)
{
    if (dma->fault != want->fault) {
        return false;
    }
    if (dma->fault) {
        return dma->stage == want->stage &&
               !strcmp(dma->reason, want->reason);
    }
    return dma->write || !memcmp(dma->data, ram + want->gpa, dma->len);
}

static void disagree(Run *r, const char *what, const TvDevice *dev,
                     const TvDma *dma, const OracleResult *want)
{
    fail(r, "%s: 0x%04x pasid %d %s 0x%" PRIx64 "%s%s: model %s (stage %d), "
         "oracle %s (stage %d, gpa 0x%" PRIx64 ")", what, dev->rid,
         (int)dma->pasid, dma->write ? "write" : "read", dma->addr,
         dma->ats ? " ats" : "", dma->priv ? " priv" : "",
         dma->fault ? dma->reason : "data", dma->stage,
         want->fault ? want->reason : "data", want->stage, want->gpa);
}

/* Memory holds what the oracle's idea of every write so far makes of it */
static void check_memory(Run *r)
{
    uint64_t at;

    if (!memcmp(r->data, r->vm->ram, DATA_SIZE)) {
        return;
    }
    for (at = 0; r->data[at] == r->vm->ram[at]; at++) {
        continue;
    }
    fail(r, "memory at 0x%" PRIx64 " was written wrongly", at);
}

static void count(Run *r, const TvDma *dma)
{
    r->stats.exact++;
    r->stats.ats += dma->ats;
    if (!dma->fault) {
        r->stats.reads += !dma->write;
        r->stats.writes += dma->write;
    } else {
        r->stats.stage0 += dma->stage == 0;
        r->stats.stage1 += dma->stage == 1;
        r->stats.stage2 += dma->stage == 2;
    }
}

static void dma_exact(Run *r, const TvDevice *dev, TvDma *dma,
                      const OracleReq *req)
{
    OracleResult want = oracle_dma(r->vm, &r->s2, req);

    tv_dma(r->vm, dev, dma);
    if (!agrees(r, dma, &want, r->vm->ram)) {
        disagree(r, "after sync", dev, dma, &want);
        return;
    }
    count(r, dma);
    if (dma->write) {
        if (!dma->fault) {
            memcpy(r->data + want.gpa, dma->data, dma->len);
        }
        check_memory(r);
    }
}

/* Fills caches; with one change outstanding, only two answers are right */
static void dma_between(Run *r, const TvDevice *dev, TvDma *dma,
                        const OracleReq *req)
{
    OracleResult now = oracle_dma(r->vm, &r->s2, req), then;
    TvVm old = *r->vm;

    old.ram = r->before;
    tv_dma(r->vm, dev, dma);
    if (r->pending > 1) {
        return;
    }
    then = oracle_dma(&old, &r->s2, req);
    r->stats.between++;
    if (!agrees(r, dma, &now, r->vm->ram) &&
        !agrees(r, dma, &then, r->vm->ram)) {
        disagree(r, "before sync", dev, dma, &now);
    }
}

static void dma_go(Run *r, const TvDevice *dev, TvDma *dma)
{
    const OracleReq req = {
        .rid = dev->rid,
        .pasid = dma->pasid,
        .addr = dma->addr,
        .write = dma->write,
        .priv = dma->priv,
    };
    unsigned i;

    for (i = 0; dma->write && i < dma->len; i++) {
        dma->data[i] = rnd64(r);
    }
    note(r, "dma %s 0x%04x pasid %d addr 0x%" PRIx64 " len %u%s%s",
         dma->write ? "write" : "read", dev->rid, (int)dma->pasid, dma->addr,
         dma->len, dma->ats ? " ats" : "", dma->priv ? " priv" : "");
    if (r->pending) {
        dma_between(r, dev, dma, &req);
    } else {
        dma_exact(r, dev, dma, &req);
    }
}

void dma_at(Run *r, const GuestBinding *b, uint64_t addr, bool write)
{
    TvDma dma = {
        .pasid = b->pasid,
        .addr = addr,
        .len = 16,
        .ats = chance(r, 30),
        .write = write,
    };

    dma_go(r, b->dev, &dma);
}

void do_dma(Run *r)
{
    TvDevice *dev = any_device(r);
    TvDma dma = {
        .pasid = any_pasid(r),
        .addr = any_iova(r, false),
        .len = 1 + rnd(r, 32),
        .ats = chance(r, 30),
        .write = !r->pending && chance(r, 40),
    };
    GuestBinding *b = any_binding(r);

    if (chance(r, 85)) {
        dev = b->dev;
        dma.pasid = b->pasid;
        dma.addr = space_iova(r, b->space) + (chance(r, 20) ? 4096 : 0);
        set_hot(r, b->space, dma.addr);
    }
    dma.priv = dma.pasid != TV_NO_PASID && chance(r, 10);
    dma.addr += rnd(r, 4096 - dma.len + 1);
    dma_go(r, dev, &dma);
}
