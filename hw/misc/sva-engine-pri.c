/*
 * SVA engine: page request groups
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PCI Express 6, 10.4 (page request services) and 10.5.2 (its capability).
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "sva-engine.h"
#include "trace.h"

static void sva_pri_status(SvaEngineState *s, uint16_t set, uint16_t clear)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint8_t *status = pdev->config + pdev->exp.pri_cap + PCI_PRI_STATUS;

    pci_set_word(status, (pci_get_word(status) & ~clear) | set);
}

static void sva_pri_update_stopped(SvaEngineState *s)
{
    if (!pcie_pri_enabled(PCI_DEVICE(s)) && !s->pages_out) {
        sva_pri_status(s, PCI_PRI_STATUS_STOPPED, 0);
    }
}

bool sva_pri_usable(const SvaEngineState *s)
{
    const PCIDevice *pdev = PCI_DEVICE(s);

    return pcie_pri_enabled(pdev) && !s->pri_failed && pdev->is_master;
}

/* How many pages may be out at once: what software allots, if we have that */
static unsigned sva_pri_credits(const SvaEngineState *s)
{
    return MIN(pcie_pri_get_req_alloc(PCI_DEVICE(s)), s->page_requests);
}

static void sva_pri_wake(SvaChannel *c, SvaAnswer answer)
{
    c->wait = SVA_WAIT_NOTHING;
    c->answer = answer;
    sva_kick(c->engine);
}

static void sva_pri_wake_credit(SvaEngineState *s)
{
    for (unsigned i = 0; i <= s->queues; i++) {
        if (s->channel[i].wait == SVA_WAIT_CREDIT) {
            sva_pri_wake(&s->channel[i], SVA_ANSWER_NONE);
        }
    }
}

/* ---------------------------------------------------------------- groups */

static int sva_group_new(SvaChannel *c, bool write)
{
    SvaEngineState *s = c->engine;

    for (unsigned i = 0; i < s->page_requests; i++) {
        unsigned index = s->next_group++ % s->page_requests;
        SvaGroup *g = &s->group[index];

        if (!g->ctx) {
            g->ctx = c->ctx;
            g->ctx->groups++;
            g->channel = c;
            g->write = write;
            g->pages = 0;
            g->sent = 0;
            c->group = index;
            return index;
        }
    }
    return -1;
}

/* The group is over; whoever waits for it learns @answer */
static void sva_group_end(SvaEngineState *s, SvaGroup *g, SvaAnswer answer)
{
    SvaContext *ctx = g->ctx;

    if (g->channel) {
        g->channel->group = -1;
        sva_pri_wake(g->channel, answer);
    }
    s->pages_out -= g->pages;
    g->ctx = NULL;
    g->channel = NULL;
    ctx->groups--;
    sva_context_release(ctx);
    sva_pri_update_stopped(s);
    sva_pri_wake_credit(s);
}

static void sva_pri_end_all(SvaEngineState *s, SvaAnswer answer)
{
    for (unsigned i = 0; i < s->page_requests; i++) {
        if (s->group[i].ctx) {
            sva_group_end(s, &s->group[i], answer);
        }
    }
}

void sva_pri_drop(SvaEngineState *s)
{
    sva_pri_end_all(s, SVA_ANSWER_DROPPED);
}

void sva_pri_forget(SvaChannel *c)
{
    SvaEngineState *s = c->engine;

    if (c->group >= 0) {
        SvaGroup *g = &s->group[c->group];

        g->channel = NULL;
        c->group = -1;
        if (g->sent < g->pages) {
            /* Nobody will answer a group whose last page was not sent */
            sva_group_end(s, g, SVA_ANSWER_NONE);
        }
    }
    c->wait = SVA_WAIT_NOTHING;
    c->answer = SVA_ANSWER_NONE;
    c->alone = false;
    c->retries = 0;
    c->backoffs = 0;
}

/* --------------------------------------------------------------- asking */

static void sva_pri_arm_timer(SvaEngineState *s)
{
    int64_t first = INT64_MAX;

    for (unsigned i = 0; i <= s->queues; i++) {
        if (s->channel[i].wait == SVA_WAIT_TIMER) {
            first = MIN(first, s->channel[i].wake_ns);
        }
    }
    if (first != INT64_MAX) {
        timer_mod(s->timer, first);
    }
}

void sva_pri_timer(void *opaque)
{
    SvaEngineState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    for (unsigned i = 0; i <= s->queues; i++) {
        SvaChannel *c = &s->channel[i];

        if (c->wait == SVA_WAIT_TIMER && c->wake_ns <= now) {
            sva_pri_wake(c, SVA_ANSWER_NONE);
        }
    }
    sva_pri_arm_timer(s);
}

static int sva_pri_back_off(SvaChannel *c)
{
    SvaEngineState *s = c->engine;
    int64_t delay;

    s->counter[SVA_CNT_BACKOFFS]++;
    if (++c->backoffs >= SVA_BACKOFFS_MAX) {
        return SVA_CODE_OVERFLOW;
    }
    delay = MIN((int64_t)SVA_BACKOFF_MIN_NS << MIN(c->backoffs - 1, 20),
                SVA_BACKOFF_MAX_NS);
    trace_sva_engine_back_off(c->index, c->group, c->backoffs, delay);
    c->wake_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + delay;
    c->wait = SVA_WAIT_TIMER;
    sva_pri_arm_timer(s);
    return SVA_LATER;
}

/* Send what is still unsent of the channel's group */
static int sva_pri_send(SvaChannel *c)
{
    SvaEngineState *s = c->engine;
    uint64_t epoch = s->epoch;
    unsigned index = c->group;
    SvaGroup *g = &s->group[index];

    g->start_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    while (g->sent < g->pages) {
        uint64_t va = g->va[g->sent];
        bool last = g->sent + 1 == g->pages;
        uint32_t pasid = g->ctx->pasid;
        int ret;

        /* Counted as sent beforehand: the response may come from within */
        c->wait = SVA_WAIT_RESPONSE;
        g->sent++;
        ret = pci_pri_request_page(PCI_DEVICE(s), pasid, false, false, va,
                                   last, index, !g->write, g->write);
        trace_sva_engine_page_request(pasid, va, g->write, index, last, ret);
        if (s->epoch != epoch) {
            return SVA_GONE;
        }
        if (c->group != index) {
            /* Answered, or dropped: the channel has been woken */
            return SVA_LATER;
        }
        if (ret) {
            g->sent--;
            ret = ret == -ENOSPC ? sva_pri_back_off(c) : SVA_CODE_ABSENT;
            return ret;
        }
        s->counter[SVA_CNT_PAGE_REQUESTS]++;
    }
    s->counter[SVA_CNT_PAGE_GROUPS]++;
    return SVA_LATER;
}

/*
 * Collect the pages of [@va, @va + @ahead) that are missing into the channel's
 * new group; the first one is known to be.
 */
static int sva_pri_collect(SvaChannel *c, uint64_t va, uint64_t ahead,
                           unsigned max)
{
    SvaEngineState *s = c->engine;
    SvaGroup *g = &s->group[c->group];
    uint64_t span = (va & ~SVA_PAGE_MASK) + MIN(ahead, INT64_MAX);
    uint64_t pages = DIV_ROUND_UP(span, SVA_PAGE_SIZE);
    SvaTarget target;

    va &= SVA_PAGE_MASK;
    g->va[g->pages++] = va;
    s->pages_out++;
    for (unsigned i = 1; i < MIN(pages, max); i++) {
        uint64_t next = va + (uint64_t)i * SVA_PAGE_SIZE;
        int ret = sva_translate(g->ctx, next, g->write, &target);

        if (ret == SVA_GONE) {
            return ret;
        }
        if (ret == SVA_MISS) {
            g->va[g->pages++] = next;
            s->pages_out++;
        }
    }
    return SVA_DONE;
}

static int sva_pri_ask(SvaChannel *c, uint64_t va, uint64_t ahead, bool write)
{
    SvaEngineState *s = c->engine;
    unsigned credits = sva_pri_credits(s);
    unsigned max;
    int ret;

    if (!sva_pri_usable(s) || !credits) {
        return SVA_CODE_ABSENT;
    }
    if (!s->prg_response_pasid) {
        /* Where the responses will come */
        sva_context_connect(s->rid);
    }
    if (s->pages_out >= credits || sva_group_new(c, write) < 0) {
        s->counter[SVA_CNT_BACKOFFS]++;
        c->wait = SVA_WAIT_CREDIT;
        return SVA_LATER;
    }
    c->asked_va = va & SVA_PAGE_MASK;
    c->asked_write = write;
    max = c->alone ? 1 : MIN(s->group_pages, credits - s->pages_out);
    ret = sva_pri_collect(c, va, ahead, max);
    return ret == SVA_DONE ? sva_pri_send(c) : ret;
}

int sva_pri_fault(SvaChannel *c, uint64_t va, uint64_t ahead, bool write)
{
    SvaAnswer answer = c->answer;
    bool same = c->asked_va == (va & SVA_PAGE_MASK) && c->asked_write == write;

    c->answer = SVA_ANSWER_NONE;
    switch (answer) {
    case SVA_ANSWER_NONE:
        break;
    case SVA_ANSWER_INVALID:
        /* A copy may meanwhile miss the page of its other operand again */
        if (same) {
            return SVA_CODE_INVALID;
        }
        /* fall through */
    case SVA_ANSWER_SUCCESS:
        if (++c->retries > SVA_RETRIES_MAX) {
            return SVA_CODE_RETRIES;
        }
        /* An IOMMU whose queue is full says "success", too: give it time */
        if (c->retries > 1) {
            return sva_pri_back_off(c);
        }
        break;
    case SVA_ANSWER_FAILURE:
        return SVA_CODE_FAILURE;
    case SVA_ANSWER_DROPPED:
        return SVA_CODE_DISABLED;
    }
    return c->group >= 0 ? sva_pri_send(c) : sva_pri_ask(c, va, ahead, write);
}

/* ------------------------------------------------------------- answers */

static bool sva_pri_expected(const SvaContext *ctx, const SvaGroup *g)
{
    /* Without "PRG Response PASID Required" all responses come without one */
    return g->ctx && g->sent == g->pages &&
           (g->ctx == ctx || (!ctx->engine->prg_response_pasid &&
                              ctx->pasid == PCI_NO_PASID));
}

static void sva_pri_count_wait(SvaEngineState *s, const SvaGroup *g)
{
    uint64_t ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) - g->start_ns;

    s->counter[SVA_CNT_WAIT_NS] += ns;
    s->counter[SVA_CNT_WAIT_MAX_NS] = MAX(s->counter[SVA_CNT_WAIT_MAX_NS], ns);
}

void sva_pri_notify(IOMMUPRINotifier *n, IOMMUPRIResponse *response)
{
    SvaContext *ctx = container_of(n, SvaContext, pri);
    SvaEngineState *s = ctx->engine;
    SvaGroup *g = &s->group[response->prgi % SVA_PRG_MAX];
    SvaChannel *c;

    trace_sva_engine_page_response(ctx->pasid, response->prgi,
                                   response->response_code);
    if (s->pri_failed) {
        return;
    }
    if (!sva_pri_expected(ctx, g)) {
        s->counter[SVA_CNT_RESP_UNEXPECTED]++;
        sva_pri_status(s, PCI_PRI_STATUS_UPRGI, 0);
        return;
    }

    sva_pri_count_wait(s, g);
    c = g->channel;
    switch (response->response_code) {
    case IOMMU_PRI_RESP_SUCCESS:
        s->counter[SVA_CNT_RESP_SUCCESS]++;
        sva_group_end(s, g, SVA_ANSWER_SUCCESS);
        break;
    case IOMMU_PRI_RESP_INVALID_REQUEST:
        s->counter[SVA_CNT_RESP_INVALID]++;
        if (c && g->pages > 1) {
            /* It need not be the page we cannot do without */
            c->alone = true;
            sva_group_end(s, g, SVA_ANSWER_NONE);
        } else {
            sva_group_end(s, g, SVA_ANSWER_INVALID);
        }
        break;
    default:
        s->counter[SVA_CNT_RESP_FAILURE]++;
        s->pri_failed = true;
        sva_pri_end_all(s, SVA_ANSWER_FAILURE);
        sva_pri_status(s, PCI_PRI_STATUS_RF | PCI_PRI_STATUS_STOPPED, 0);
        break;
    }
}

/* --------------------------------------------------- control and resets */

/* No more requests: nobody waits any longer, but answers are still due */
static void sva_pri_disabled(SvaEngineState *s)
{
    for (unsigned i = 0; i <= s->queues; i++) {
        SvaChannel *c = &s->channel[i];

        if (c->wait != SVA_WAIT_NOTHING) {
            sva_pri_forget(c);
            sva_pri_wake(c, SVA_ANSWER_DROPPED);
        }
    }
    sva_pri_update_stopped(s);
}

void sva_pri_config_written(SvaEngineState *s, bool was_enabled)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint8_t *control = pdev->config + pdev->exp.pri_cap + PCI_PRI_CTRL;
    bool enabled = pcie_pri_enabled(pdev);

    if (!s->pri) {
        return;
    }
    if (pci_get_word(control) & PCI_PRI_CTRL_RESET) {
        pci_word_test_and_clear_mask(control, PCI_PRI_CTRL_RESET);
        if (!enabled) {
            s->pri_failed = false;
            sva_pri_drop(s);
        }
    }
    if (enabled && !was_enabled) {
        s->pri_failed = false;
        sva_pri_status(s, 0, PCI_PRI_STATUS_STOPPED);
    } else if (!enabled && was_enabled) {
        s->epoch++;
        sva_pri_disabled(s);
    } else if (enabled) {
        /* The number of credits may have changed */
        sva_pri_wake_credit(s);
    }
}

void sva_pri_reset(SvaEngineState *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    if (!s->pri) {
        return;
    }
    s->pri_failed = false;
    pci_set_word(pdev->config + pdev->exp.pri_cap + PCI_PRI_CTRL, 0);
    pci_set_long(pdev->config + pdev->exp.pri_cap + PCI_PRI_ALLOC_REQ, 0);
    sva_pri_status(s, PCI_PRI_STATUS_STOPPED,
                   PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
}
