/*
 * SMMUv3 nested translation: events of the host's SMMU
 *
 * The host hands over whole event records with the guest's StreamID in them;
 * where the guest's queue is, and whether it has room, is the emulation's
 * business. While the queue is off, events are lost without a trace, as
 * events of emulated endpoints are (7.2). The host merges what it can
 * (it sets STE.MEV), and keeps no more than the depth of its own queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

void smmuv3_nested_event(void *opaque, const void *data, size_t len)
{
    SMMUv3Nested *n = opaque;
    Evt evt;

    assert(len == sizeof(evt));
    for (size_t i = 0; i < ARRAY_SIZE(evt.word); i++) {
        evt.word[i] = ldl_le_p((const uint8_t *)data + i * sizeof(uint32_t));
    }
    trace_smmuv3_nested_event(smmu_event_string(extract32(evt.word[0], 0, 8)),
                              evt.word[1]);
    smmuv3_report_event(n->s, &evt);
}

void smmuv3_nested_events_lost(void *opaque, uint32_t count)
{
    SMMUv3Nested *n = opaque;

    trace_smmuv3_nested_events_lost(count);
    if (smmuv3_eventq_enabled(n->s)) {
        smmuv3_eventq_overflow(&n->s->eventq);
    }
}
