/*
 * Properties of x86 vIOMMUs that may be left open
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_X86_IOMMU_AUTO_H
#define HW_I386_X86_IOMMU_AUTO_H

#include "hw/qdev-properties.h"

/*
 * A bool of which is remembered that it was set: X86IOMMUState.given has one
 * bit for each property (enum X86IOMMUGiven). What was not set is open, and the
 * default until something is known. A vIOMMU that knows nothing of that just
 * uses the field.
 */
extern const PropertyInfo x86_iommu_prop_bool_given;

/* The same for features that have no history as a bool: OnOffAuto */
extern const PropertyInfo x86_iommu_prop_bool_auto;

/* A number of which the same is remembered */
extern const PropertyInfo x86_iommu_prop_uint8_given;

/* OnOffAuto, of which the same is remembered: not given is no "off" */
extern const PropertyInfo x86_iommu_prop_on_off_auto_given;

typedef enum X86IOMMUGiven {
    X86_IOMMU_GIVEN_DEVICE_IOTLB,
    X86_IOMMU_GIVEN_SCALABLE_MODE,
    X86_IOMMU_GIVEN_FLTS,
    X86_IOMMU_GIVEN_CACHING_MODE,
    X86_IOMMU_GIVEN_FS1GP,
    X86_IOMMU_GIVEN_SNOOP_CONTROL,
    X86_IOMMU_GIVEN_PASID_MODE,
    X86_IOMMU_GIVEN_SMPWC,
    X86_IOMMU_GIVEN_SVM,
    X86_IOMMU_GIVEN_SSTS,
    X86_IOMMU_GIVEN_FS5LP,
    X86_IOMMU_GIVEN_SSLPS,
    X86_IOMMU_GIVEN_AW_BITS,
    X86_IOMMU_GIVEN_NESTED,
    /* By which of two names: two bits each */
    X86_IOMMU_NAMED_SCALABLE_MODE,
    X86_IOMMU_NAMED_FLTS = X86_IOMMU_NAMED_SCALABLE_MODE + 2,
} X86IOMMUGiven;

/* The names that newer QEMUs have for properties of VT-d */
void x86_iommu_add_aliases(ObjectClass *klass);

/* Whether -global or the machine type sets @name, by either of its names */
bool x86_iommu_find_global(Object *obj, const char *name);

/* What -global says by one name, -device may override by the other */
void x86_iommu_forget_names(Object *obj);

#define DEFINE_PROP_X86_IOMMU_BOOL(_name, _state, _field, _given, _defval) \
    DEFINE_PROP(_name, _state, _field, x86_iommu_prop_bool_given, bool,    \
                .bitnr = (_given), .set_default = true,                    \
                .defval.u = (_defval))

#define DEFINE_PROP_X86_IOMMU_AUTO(_name, _state, _field, _given)          \
    DEFINE_PROP(_name, _state, _field, x86_iommu_prop_bool_auto, bool,     \
                .bitnr = (_given), .set_default = true)

/* ... and are on without one word about them */
#define DEFINE_PROP_X86_IOMMU_AUTO_ON(_name, _state, _field, _given)       \
    DEFINE_PROP(_name, _state, _field, x86_iommu_prop_bool_auto, bool,     \
                .bitnr = (_given), .set_default = true, .defval.u = true)

#define DEFINE_PROP_X86_IOMMU_UINT8(_name, _state, _field, _given, _defval) \
    DEFINE_PROP(_name, _state, _field, x86_iommu_prop_uint8_given, uint8_t, \
                .bitnr = (_given), .set_default = true,                     \
                .defval.u = (_defval))

#define DEFINE_PROP_X86_IOMMU_ON_OFF_AUTO(_name, _state, _field, _given,  \
                                          _defval)                        \
    DEFINE_PROP(_name, _state, _field, x86_iommu_prop_on_off_auto_given,  \
                OnOffAuto, .bitnr = (_given), .set_default = true,        \
                .defval.i = (_defval))

#endif
