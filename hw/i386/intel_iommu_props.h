/*
 * VT-d: names and descriptions of properties
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_PROPS_H
#define HW_I386_INTEL_IOMMU_PROPS_H

#include "qom/object.h"

/* After the properties have been added to @klass */
void vtd_props_class_init(ObjectClass *klass);

#endif
