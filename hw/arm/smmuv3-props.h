/*
 * SMMUv3: names and descriptions of properties
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_PROPS_H
#define HW_ARM_SMMUV3_PROPS_H

#include "qom/object.h"

/* After the properties have been added to @klass */
void smmuv3_props_class_init(ObjectClass *klass);

#endif
