/*
 * VT-d nesting under test: a device that makes page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "vtd-pri-rig.h"

#define ENTRY_SIZE 32

void pri_context(PriRig *p, uint64_t flags)
{
    VtdRig *r = &p->v;

    vtd_context_scalable(&r->t, p->rid, 12, VTD_CTX_PASIDE | flags, 0);
    for (unsigned pasid = 0; pasid <= PRI_PASID; pasid += PRI_PASID) {
        vtd_pasid_set(&r->t, p->rid, pasid, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = PRI_DID, .s1 = p->s1,
            .s1_levels = 4,
        });
    }
    vtd_rig_inv_context(r, p->rid);
}

void pri_start_with(PriRig *p, const char *host, const char *props,
                    unsigned num, const char *extra, unsigned order)
{
    VtdRig *r = &p->v;

    vtd_rig_start(r, host, props, num, extra);
    p->dev = HOST_DEV0;
    p->rid = RID0;
    vtd_rig_enable(r);
    if (num) {
        vtd_rig_enable_sva(r, RID0);
    }
    p->entries = 128ULL << order;
    p->queue = iommu_mem_alloc(&r->mem, p->entries * ENTRY_SIZE,
                               p->entries * ENTRY_SIZE);
    p->head = 0;
    p->s1 = vtd_s1_new(&r->mem);
    r->regs.write64(r->regs.opaque, REG_PQH, 0);
    r->regs.write64(r->regs.opaque, REG_PQT, 0);
    r->regs.write64(r->regs.opaque, REG_PQA, p->queue | order);
}

void pri_start(PriRig *p)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    pri_start_with(p, host, "nested=on", 1, "", 0);
    pri_context(p, VTD_CTX_DTE | VTD_CTX_PRE);
}

void pri_stop(PriRig *p)
{
    vtd_rig_stop(&p->v);
}

int pri_miss(PriRig *p, bool with_pasid, uint64_t addr)
{
    QDict *answer = iommufd_model_command(p->v.m, "{\"cmd\":\"dma\",\"dev\":"
        "\"%s\",\"op\":\"read\",\"addr\":%" PRIu64 ",\"len\":16,"
        "\"ats\":true,\"pri\":true%s}", p->dev, addr,
        with_pasid ? ",\"pasid\":" stringify(PRI_PASID) : "");
    int index = qdict_get_try_bool(answer, "pending", false) ?
                qdict_get_int(answer, "grpid") : -1;

    g_assert_true(qdict_get_try_bool(answer, "ok", false));
    qobject_unref(answer);
    return index;
}

static int outcome(PriRig *p, int index, unsigned ms)
{
    QDict *answer = iommufd_model_command(p->v.m, "{\"cmd\":\"dma-wait\","
        "\"dev\":\"%s\",\"grpid\":%d,\"timeout-ms\":%u}", p->dev, index, ms);
    const char *data = qdict_get_try_str(answer, "data");
    int value = data ? g_ascii_xdigit_value(data[0]) << 4 |
                       g_ascii_xdigit_value(data[1]) : -1;

    if (!qdict_get_try_bool(answer, "ok", false)) {
        value = -2;
    }
    qobject_unref(answer);
    return value;
}

int pri_outcome(PriRig *p, int index)
{
    int value = outcome(p, index, 20000);

    g_assert_cmpint(value, !=, -2);
    return value;
}

int pri_outcome_now(PriRig *p, int index)
{
    return outcome(p, index, 100);
}

uint64_t pri_tail(PriRig *p)
{
    return p->v.regs.read64(p->v.regs.opaque, REG_PQT);
}

uint32_t pri_status(PriRig *p)
{
    return p->v.regs.read32(p->v.regs.opaque, REG_PRS);
}

PageRequest pri_next(PriRig *p)
{
    uint64_t at = p->queue + p->head, lo, hi;

    p->head = (p->head + ENTRY_SIZE) % (p->entries * ENTRY_SIZE);
    for (unsigned i = 0; pri_tail(p) == at - p->queue; i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(1000);
    }
    lo = iommu_mem_read64(&p->v.mem, at);
    hi = iommu_mem_read64(&p->v.mem, at + 8);
    g_assert_cmphex(lo & 0xff, ==, 1);
    g_assert_cmphex(iommu_mem_read64(&p->v.mem, at + 16), ==, 0);
    return (PageRequest) {
        .rid = lo >> 16, .has_pasid = lo & 1 << 8,
        .pasid = (lo >> 32) & 0xfffff,
        .exec = lo >> 52 & 1, .priv = lo >> 53 & 1,
        .read = hi & 1, .write = hi & 2, .last = hi & 4,
        .index = (hi >> 3) & 0x1ff, .addr = hi & ~0xfffULL,
    };
}

void pri_consume(PriRig *p)
{
    p->v.regs.write64(p->v.regs.opaque, REG_PQH, p->head);
    p->v.regs.write32(p->v.regs.opaque, REG_PRS, PRS_PPR);
}

void pri_respond(PriRig *p, const PageRequest *req, unsigned code)
{
    vtd_queue_push(&p->v.q, vtd_page_response(req->rid, req->has_pasid,
                                              req->pasid, req->index, code));
    vtd_rig_sync(&p->v);
}

void pri_map(PriRig *p, uint64_t iova, uint8_t value)
{
    vtd_rig_fill(&p->v, 3, value);
    vtd_s1_map(&p->v.mem, p->s1, 4, iova, DATA + 3 * 4096, 4096, 12,
               VTD_S1_USER_RW);
}
