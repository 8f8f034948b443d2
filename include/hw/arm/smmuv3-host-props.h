/*
 * SMMUv3 as the SMMU of an emulated host that can nest: its state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What SMMUv3State holds for it; see docs/nested/host-smmuv3.rst.
 */

#ifndef HW_ARM_SMMUV3_HOST_PROPS_H
#define HW_ARM_SMMUV3_HOST_PROPS_H

#include "hw/qdev-core.h"

typedef struct SMMUv3Host {
    /* Properties, as given */
    bool fwb;
    bool ats;
    uint8_t ssidsize;           /* bits; 0: no substreams */
    uint8_t oas;                /* bits */
    bool keep;
    bool has_cmdqv;
    /*
     * What was made of STE and CD of a substream, by StreamID and SubstreamID:
     * dropped by the guest's commands and nothing else, but for running full.
     * Protected by SMMUv3State::mutex.
     */
    GHashTable *configs;
    /* With host-keep, what these were made of; see smmuv3-keep.c */
    GHashTable *structs;
    /* And tables that walks have found; see smmuv3-walks.c */
    GHashTable *tables;
    uint32_t last_event[8];     /* recorded, with host-keep */
    /* With host-cmdqv, or cmdqv of a guest with nesting; NULL: there is none */
    struct Tegra241CMDQV *cmdqv;
    /* Goes on with command queues; units of work until then */
    QEMUBH *cmdq_bh;
    int64_t cmdq_turn;
    /* With the properties or without: tells of buses that are gone */
    DeviceListener buses;
} SMMUv3Host;

#endif
