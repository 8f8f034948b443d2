/*
 * SVA engine: queues, descriptors, and who gets to work next
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "hw/pci/msix.h"
#include "sva-engine.h"
#include "trace.h"

/*
 * Steps, of at most a page each, before the main loop gets its turn: long
 * enough to be worth it, short enough for nobody to notice.
 */
#define SVA_SLICE_STEPS 64

void sva_kick(SvaEngineState *s)
{
    qemu_bh_schedule(s->bh);
}

/* ---------------------------------------------------------------- states */

static bool sva_has_work(const SvaChannel *c)
{
    switch (c->phase) {
    case SVA_PHASE_OFF:
    case SVA_PHASE_HALTED:
        return false;
    case SVA_PHASE_IDLE:
        return c->head != c->tail;
    default:
        return true;
    }
}

bool sva_busy(const SvaEngineState *s)
{
    for (unsigned i = 0; i <= s->queues; i++) {
        if (sva_has_work(&s->channel[i])) {
            return true;
        }
    }
    return false;
}

/* Leave every phase but OFF and HALTED, with nothing pending */
static void sva_channel_quiet(SvaChannel *c, SvaPhase phase)
{
    sva_pri_forget(c);
    c->phase = phase;
    if (c->ctx) {
        sva_context_put(c->ctx);
        c->ctx = NULL;
    }
}

void sva_channel_stop(SvaChannel *c)
{
    sva_channel_quiet(c, SVA_PHASE_OFF);
    c->halt_code = SVA_CODE_NONE;
}

void sva_channel_reset(SvaChannel *c)
{
    SvaEngineState *s = c->engine;
    unsigned index = c->index;

    sva_channel_stop(c);
    *c = (SvaChannel) {
        .engine = s,
        .index = index,
        .vector = SVA_Q_VECTOR_NONE,
        .group = -1,
    };
}

static void sva_queue_halt(SvaChannel *c, uint8_t code)
{
    sva_channel_quiet(c, SVA_PHASE_HALTED);
    c->halt_code = code;
    trace_sva_engine_halt(c->index, c->head, code);
}

static bool sva_queue_config_ok(const SvaChannel *c)
{
    const SvaEngineState *s = c->engine;
    uint32_t pasid = c->pasid & SVA_Q_PASID_MASK;
    uint64_t size;

    if (c->order < 1 || c->order > SVA_RING_ORDER_MAX) {
        return false;
    }
    size = (uint64_t)SVA_DESC_SIZE << c->order;
    if (c->ring % SVA_DESC_SIZE || c->ring + (size - 1) < c->ring) {
        return false;
    }
    return !(c->pasid & SVA_Q_PASID_VALID) ||
           (s->pasid && pasid < 1u << s->pasid_bits);
}

void sva_queue_enable(SvaChannel *c)
{
    c->head = 0;
    c->tail = 0;
    if (!sva_queue_config_ok(c)) {
        sva_queue_halt(c, SVA_CODE_CONFIG);
        return;
    }
    c->ctx = sva_context_get(c->engine, c->pasid & SVA_Q_PASID_VALID ?
                             c->pasid & SVA_Q_PASID_MASK : PCI_NO_PASID);
    c->phase = SVA_PHASE_IDLE;
    trace_sva_engine_enable(c->index, c->ctx->pasid, c->ring, c->order);
}

void sva_queue_doorbell(SvaChannel *c, uint32_t tail)
{
    if (c->phase == SVA_PHASE_OFF || c->phase == SVA_PHASE_HALTED) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: doorbell of queue %u, which is "
                      "not enabled\n", __func__, c->index);
        return;
    }
    if (tail >> c->order) {
        sva_queue_halt(c, SVA_CODE_CONFIG);
        return;
    }
    c->tail = tail;
    sva_kick(c->engine);
}

void sva_simple_start(SvaEngineState *s, bool to_device)
{
    SvaChannel *c = sva_simple_channel(s);

    c->ctx = sva_context_get(s, PCI_NO_PASID);
    c->work = (SvaWork) {
        .op = to_device ? SVA_OP_LOAD : SVA_OP_STORE,
        .src = s->simple_addr,
        .dst = s->simple_addr,
        .len = SVA_SIMPLE_SIZE,
    };
    if (s->simple_addr + (SVA_SIMPLE_SIZE - 1) < s->simple_addr) {
        c->work.code = SVA_CODE_RANGE;
        c->phase = SVA_PHASE_COMPLETE;
    } else {
        c->phase = SVA_PHASE_EXECUTE;
    }
    sva_kick(s);
}

/* ----------------------------------------------------------- descriptors */

static bool sva_range_ok(uint64_t addr, uint64_t len)
{
    return !len || addr + (len - 1) >= addr;
}

/* What is wrong with the work, as far as can be said without doing it */
static uint8_t sva_work_check(const SvaWork *w, uint32_t flags,
                              const uint8_t *raw)
{
    bool src = w->op == SVA_OP_COPY || w->op == SVA_OP_CHECKSUM;
    bool dst = w->op == SVA_OP_COPY || w->op == SVA_OP_FILL;

    if (flags & ~SVA_OP_INTERRUPT || w->completion % SVA_COMP_SIZE ||
        !buffer_is_zero(raw + SVA_DESC_RESERVED,
                        SVA_DESC_SIZE - SVA_DESC_RESERVED)) {
        return SVA_CODE_RESERVED;
    }
    if (w->op > SVA_OP_CHECKSUM) {
        return SVA_CODE_OPCODE;
    }
    if ((src && !sva_range_ok(w->src, w->len)) ||
        (dst && !sva_range_ok(w->dst, w->len))) {
        return SVA_CODE_RANGE;
    }
    return SVA_CODE_NONE;
}

static void sva_decode(const uint8_t *raw, SvaWork *w)
{
    uint32_t word = ldl_le_p(raw + SVA_DESC_OP);

    *w = (SvaWork) {
        .op = word & SVA_OP_MASK,
        .interrupt = word & SVA_OP_INTERRUPT,
        .tag = ldl_le_p(raw + SVA_DESC_TAG),
        .src = ldq_le_p(raw + SVA_DESC_SRC),
        .dst = ldq_le_p(raw + SVA_DESC_DST),
        .len = ldq_le_p(raw + SVA_DESC_LEN),
        .pattern = ldq_le_p(raw + SVA_DESC_PATTERN),
        .completion = ldq_le_p(raw + SVA_DESC_COMPLETION),
        .crc = UINT32_MAX,
    };
    w->code = sva_work_check(w, word & ~SVA_OP_MASK, raw);
    if (w->completion % SVA_COMP_SIZE) {
        w->completion = 0;
    }
    if (w->op == SVA_OP_NOP) {
        w->len = 0;
    }
}

/* ----------------------------------------------------------------- steps */

static void sva_step_fetch(SvaChannel *c)
{
    uint32_t size = 1u << c->order;
    uint32_t ready = (c->tail > c->head ? c->tail : size) - c->head;
    uint8_t raw[SVA_DESC_SIZE];
    int ret;

    ret = sva_read(c, c->ring + (uint64_t)c->head * SVA_DESC_SIZE, raw,
                   sizeof(raw), (uint64_t)ready * SVA_DESC_SIZE);
    if (ret == SVA_LATER || ret == SVA_GONE) {
        return;
    }
    if (ret != SVA_DONE) {
        sva_queue_halt(c, ret);
        return;
    }
    sva_pri_forget(c);
    sva_decode(raw, &c->work);
    trace_sva_engine_descriptor(c->index, c->head, c->work.op, c->work.src,
                                c->work.dst, c->work.len);
    c->phase = c->work.code ? SVA_PHASE_COMPLETE : SVA_PHASE_EXECUTE;
}

static void sva_step_execute(SvaChannel *c)
{
    if (sva_execute(c) == SVA_DONE && c->work.code) {
        c->phase = SVA_PHASE_COMPLETE;
    }
}

/* Returns: SVA_DONE, SVA_LATER, SVA_GONE or why it could not be written */
static int sva_write_completion(SvaChannel *c)
{
    const SvaWork *w = &c->work;
    uint8_t raw[SVA_COMP_SIZE];
    int ret;

    stl_le_p(raw + SVA_COMP_CODE, w->code);
    stl_le_p(raw + SVA_COMP_TAG, w->tag);
    stq_le_p(raw + SVA_COMP_DONE, w->done);
    stq_le_p(raw + SVA_COMP_RESULT,
             w->op == SVA_OP_CHECKSUM && w->code == SVA_CODE_OK ? ~w->crc : 0);
    stq_le_p(raw + SVA_COMP_ADDRESS, w->fault_va);

    /* Software polls the code: it is last to become visible */
    ret = sva_write(c, w->completion + SVA_COMP_TAG, raw + SVA_COMP_TAG,
                    SVA_COMP_SIZE - SVA_COMP_TAG,
                    SVA_COMP_SIZE - SVA_COMP_TAG);
    if (ret != SVA_DONE) {
        return ret;
    }
    return sva_write(c, w->completion, raw, SVA_COMP_TAG, SVA_COMP_TAG);
}

static void sva_step_complete(SvaChannel *c)
{
    SvaEngineState *s = c->engine;
    const SvaWork *w = &c->work;
    int ret = w->completion ? sva_write_completion(c) : SVA_DONE;

    if (ret == SVA_LATER || ret == SVA_GONE) {
        return;
    }
    if (ret != SVA_DONE) {
        c->lost++;
    }
    trace_sva_engine_complete(c->index, c->head, w->code, w->done,
                              w->fault_va, ret);

    if (c == sva_simple_channel(s)) {
        sva_channel_quiet(c, SVA_PHASE_OFF);
        return;
    }
    sva_pri_forget(c);
    s->counter[SVA_CNT_DESCRIPTORS]++;
    if (w->code == SVA_CODE_OK) {
        c->completed++;
    } else {
        c->failed++;
        s->counter[SVA_CNT_ERRORS]++;
    }
    c->head = (c->head + 1) & ((1u << c->order) - 1);
    c->phase = SVA_PHASE_IDLE;
    /* May reset this function, see sva-engine.h: nothing comes after it */
    if (w->interrupt && c->vector < s->queues && msix_enabled(PCI_DEVICE(s))) {
        msix_notify(PCI_DEVICE(s), c->vector);
    }
}

static void sva_step(SvaChannel *c)
{
    switch (c->phase) {
    case SVA_PHASE_IDLE:
        c->phase = SVA_PHASE_FETCH;
        /* fall through */
    case SVA_PHASE_FETCH:
        sva_step_fetch(c);
        break;
    case SVA_PHASE_EXECUTE:
        sva_step_execute(c);
        break;
    case SVA_PHASE_COMPLETE:
        sva_step_complete(c);
        break;
    default:
        g_assert_not_reached();
    }
}

/* The next channel, in turn, that need not wait for anything; or NULL */
static SvaChannel *sva_next_ready(SvaEngineState *s)
{
    unsigned n = s->queues + 1;

    for (unsigned i = 0; i < n; i++) {
        SvaChannel *c = &s->channel[(s->next_channel + i) % n];

        if (c->wait == SVA_WAIT_NOTHING && sva_has_work(c)) {
            return c;
        }
    }
    return NULL;
}

void sva_run(void *opaque)
{
    SvaEngineState *s = opaque;
    SvaChannel *c;

    /* What a step writes may unplug this device */
    object_ref(OBJECT(s));
    for (unsigned i = 0; i < SVA_SLICE_STEPS; i++) {
        c = sva_next_ready(s);
        if (!c) {
            break;
        }
        s->next_channel = (c->index + 1) % (s->queues + 1);
        sva_step(c);
    }
    if (s->bh && sva_next_ready(s)) {
        sva_kick(s);
    }
    object_unref(OBJECT(s));
}
