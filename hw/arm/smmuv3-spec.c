/*
 * SMMUv3: where the emulation was not what the specification says
 *
 * Section numbers are those of IHI 0070.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "hw/arm/smmuv3.h"
#include "smmuv3-host.h"
#include "trace.h"

/* Events of other threads that wait for the main loop at most */
#define LATE_MAX 1024

typedef struct LateEvent {
    SMMUv3State *s;
    Evt evt;
} LateEvent;

/*
 * What says where a table or queue is, stays as it is while that is in use
 * (6.3.23 to 6.3.26, 6.3.29): software gets it back unchanged, and what it has
 * written has no effect.
 */
bool smmuv3_write_guarded(SMMUv3State *s, hwaddr offset)
{
    bool guarded;

    switch (offset) {
    case A_STRTAB_BASE:
    case A_STRTAB_BASE + 4:
    case A_STRTAB_BASE_CFG:
        guarded = smmu_enabled(s);
        break;
    case A_CMDQ_BASE:
    case A_CMDQ_BASE + 4:
        guarded = smmuv3_cmdq_enabled(s);
        break;
    case A_EVENTQ_BASE:
    case A_EVENTQ_BASE + 4:
        guarded = smmuv3_eventq_enabled(s);
        break;
    default:
        return false;
    }
    if (guarded) {
        qemu_log_mask(LOG_GUEST_ERROR, "smmuv3: write to 0x%" HWADDR_PRIx
                      " while it is in use is ignored\n", offset);
    }
    return guarded;
}

static GAsyncQueue *late_events(void)
{
    static GAsyncQueue *queue;

    if (g_once_init_enter(&queue)) {
        g_once_init_leave(&queue, g_async_queue_new_full(g_free));
    }
    return queue;
}

/* In the order in which they came */
static void late_event(void *opaque)
{
    g_autofree LateEvent *late = g_async_queue_try_pop(late_events());
    SMMUv3State *s = late->s;

    qatomic_dec(&s->nested_props.events_late);
    smmuv3_report_event(s, &late->evt);
    if (qatomic_xchg(&s->nested_props.events_lost, false) &&
        smmuv3_eventq_enabled(s)) {
        smmuv3_eventq_overflow(&s->eventq);
    }
}

/*
 * The queue and its interrupt are the BQL's. The thread of an emulated endpoint
 * (iothread=) translates without it, and must not wait for it: who holds it may
 * wait for that thread.
 *
 * Return: true: the event will be recorded by the main loop, or has been.
 */
bool smmuv3_event_elsewhere(SMMUv3State *s, const Evt *evt)
{
    LateEvent *late;

    if (bql_locked()) {
        return smmuv3_keep_merged(s, evt);
    }
    if (qatomic_fetch_inc(&s->nested_props.events_late) >= LATE_MAX) {
        /* Those that wait come to the end of it, and tell */
        qatomic_set(&s->nested_props.events_lost, true);
        qatomic_dec(&s->nested_props.events_late);
        return true;
    }
    trace_smmuv3_event_late(evt->word[0], evt->word[1]);
    late = g_new(LateEvent, 1);
    late->s = s;
    late->evt = *evt;
    g_async_queue_push(late_events(), late);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), late_event, NULL);
    return true;
}
