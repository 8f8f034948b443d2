/*
 * SMMUv3 as the SMMU of an emulated host that can nest
 *
 * The features that a Linux host wants of its SMMU before it nests a guest,
 * and that the emulation in smmuv3.c lacks. All of them are off by default.
 * This is the other end of smmuv3-nested.h, where the vSMMU of a guest makes
 * use of a host that has them.
 *
 * Section numbers are those of the Arm SMMU architecture specification,
 * version 3 (IHI 0070).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_HOST_H
#define HW_ARM_SMMUV3_HOST_H

#include "hw/arm/smmuv3.h"
#include "smmuv3-internal.h"

/**
 * smmuv3_host_realize: check the properties host-* against each other, and
 * against those of nested translation.
 */
bool smmuv3_host_realize(SMMUv3State *s, Error **errp);

/* At the end of smmuv3_init_regs(): adds to the IDRs */
void smmuv3_host_idr(SMMUv3State *s);

#endif
