/*
 * Model of /dev/iommu: what is dropped is looked for again at once
 *
 * Hardware prefetches, and devices ask again for translations they are about to
 * use. With refetch=on everything a command has dropped is walked again right
 * after that command: who drops a device TLB before the IOTLB that fills it, or
 * a table before the configuration that leads to it, keeps the old one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "hw-priv.h"

static HwEntry *dropped;

static void refetch(const HwEntry *e)
{
    /* Only the device TLB keeps the stage 2 of what it knows */
    bool ats = e->ref;
    const HwReq req = {
        .dev = e->dev,
        .pasid = e->pasid,
        .addr = e->wanted,
        .priv = ats && e->space,
        .write = ats && (e->perm & HW_PERM_W),
        .ats = ats,
        .prefetch = true,
    };
    HwXlate xlate;
    HwFault fault;

    if (!e->dev || e->dev->resetting) {
        return;
    }
    if (ats) {
        dma_prefetch(&req);
    } else {
        hw_translate(&req, &xlate, &fault);
    }
}

void hw_refetch_begin(void)
{
    if (mdl_host.refetch) {
        cache_spill(&dropped);
    }
}

void hw_refetch_end(void)
{
    HwEntry *e;

    cache_spill(NULL);
    while (dropped) {
        e = dropped;
        dropped = e->next;
        refetch(e);
        free(e);
    }
}
