/*
 * SMMUv3 nested translation: properties of arm-smmuv3
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_NESTED_PROPS_H
#define HW_ARM_SMMUV3_NESTED_PROPS_H

#include "qapi/qapi-types-common.h"

/* As given; what becomes of "auto" is in SMMUv3Nested */
typedef struct SMMUv3NestedProps {
    OnOffAuto mode;             /* "nested", or what "accel" makes of it */
    OnOffAuto accel;            /* auto: not given */
    bool mode_given;
    OnOffAuto ats;
    OnOffAuto ril;
    OnOffAuto asid16;
    OnOffAuto cd2l;
    OnOffAuto gran4k;
    OnOffAuto gran16k;
    OnOffAuto gran64k;
    OnOffAuto stall;
    OnOffAuto cmdqv;
    char *ssidsize;             /* bits, or "auto" */
    char *oas;
    char *bbml;                 /* level, or "auto" */
    char *msi_window;           /* FIRST-LAST, "off" or "auto" */
    /* No properties: the IDRs and the window, as they are in saved state */
    uint32_t saved_idr[6];
    uint64_t saved_window[2];
    bool saved_user_msi;
    /* Events of other threads that wait for the main loop; atomic */
    unsigned events_late;
    bool events_lost;           /* and more of them than may wait */
} SMMUv3NestedProps;

#endif
