/*
 * Nested IOMMU core: reads of a queue that failed for a while
 *
 * The kernel may be short of memory when it hands over what it has queued, and
 * has lost nothing by that. The queue stays readable meanwhile, so that it is
 * a timer that asks again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "core.h"
#include "sys.h"

/* First and longest pause, and when to give up */
#define PAUSE_MS 10
#define PAUSE_MAX_MS 640
#define GIVE_UP_MS 10000

void iommufd_retry_init(IOMMUFDRetry *r, QEMUTimerCB *read, void *opaque)
{
    r->timer = iommufd_sys_timer_new(false, read, opaque);
    r->pause = 0;
}

void iommufd_retry_free(IOMMUFDRetry *r)
{
    iommufd_sys_timer_free(r->timer);
}

void iommufd_retry_stop(IOMMUFDRetry *r)
{
    iommufd_sys_timer_stop(r->timer);
    r->pause = 0;
}

bool iommufd_retry_later(IOMMUFDRetry *r)
{
    int64_t now = iommufd_sys_now(false);

    if (!r->pause) {
        r->pause = PAUSE_MS;
        r->give_up = now + GIVE_UP_MS;
    } else if (now >= r->give_up) {
        return false;
    } else {
        r->pause = MIN(r->pause * 2, PAUSE_MAX_MS);
    }
    iommufd_sys_timer_set(r->timer, now + r->pause);
    return true;
}
