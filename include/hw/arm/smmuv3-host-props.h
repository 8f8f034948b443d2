/*
 * SMMUv3 as the SMMU of an emulated host that can nest: its state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What SMMUv3State holds for it; see docs/nested/host-smmuv3.rst.
 */

#ifndef HW_ARM_SMMUV3_HOST_PROPS_H
#define HW_ARM_SMMUV3_HOST_PROPS_H

typedef struct SMMUv3Host {
    /* Properties, as given */
    bool fwb;
} SMMUv3Host;

#endif
