/*
 * Intel VT-d as the IOMMU of an emulated host that can nest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What IntelIOMMUState holds for it; see docs/nested/host-vtd.rst.
 */

#ifndef HW_I386_INTEL_IOMMU_TWOSTAGE_STATE_H
#define HW_I386_INTEL_IOMMU_TWOSTAGE_STATE_H

#include "qapi/qapi-types-common.h"
#include "block/aio.h"
#include "hw/qdev-core.h"

/*
 * A fault of a thread without the BQL, until the main loop records it. There is
 * one fault record register: more of them have no use.
 */
typedef struct VTDLateFault {
    QEMUBH *bh;
    enum { VTD_LATE_NONE, VTD_LATE_FILLING, VTD_LATE_READY } state;
    bool lost;                  /* there was one of another source as well */
    uint16_t source;
    uint64_t hi, lo;
} VTDLateFault;

typedef struct VTDAtc VTDAtc;

typedef struct VTDTwoStage {
    /* Properties; all but the first have no effect without the first */
    bool enabled;
    bool smpwc;
    bool ssads;
    bool sc;
    bool srs;
    bool eafs;
    bool fs5lp;
    OnOffAuto pri;
    uint8_t pss;                /* width of PASIDs in bits: ECAP.PSS + 1 */
    bool keep;

    /*
     * Context entries and PASID entries that were used, and translations: all
     * are dropped by the guest's invalidations and nothing else, but for
     * running full.  Protected by IntelIOMMUState::iommu_lock.
     */
    GHashTable *contexts;
    GHashTable *requesters;
    GHashTable *iotlb;

    /* Users of PASIDs; with the BQL held */
    QLIST_HEAD(, VTDAtc) atcs;

    /* What endpoints reach with translated addresses, by source id: BQL's */
    GHashTable *translated;

    /* The invalidation queue takes turns with the main loop */
    QEMUBH *bh;
    bool put_off;               /* @bh goes on with it */
    int64_t turn;               /* units of work until then */

    /* With host-nesting or without */
    VTDLateFault late;
    DeviceListener buses;       /* tells of those that are gone */
} VTDTwoStage;

#endif
