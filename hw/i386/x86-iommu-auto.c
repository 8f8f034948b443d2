/*
 * Properties of x86 vIOMMUs that may be "auto"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qapi/visitor.h"
#include "qobject/qbool.h"
#include "qobject/qstring.h"
#include "hw/i386/x86-iommu.h"
#include "hw/i386/x86-iommu-auto.h"

static void x86_iommu_get_bool_auto(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    const Property *prop = opaque;

    visit_type_bool(v, name, object_field_prop_ptr(obj, prop), errp);
}

/*
 * Whatever the base takes for a bool (JSON true and false, "on", "yes", ...)
 * and "auto". Only one visit is allowed, hence the visit of anything.
 */
static void x86_iommu_set_bool_auto(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    const Property *prop = opaque;
    bool *field = object_field_prop_ptr(obj, prop);
    uint32_t *given = &X86_IOMMU_DEVICE(obj)->given;
    QObject *value = NULL;
    const char *text;
    QBool *boolean;

    if (!visit_type_any(v, name, &value, errp)) {
        return;
    }

    boolean = qobject_to(QBool, value);
    text = qobject_to(QString, value) ?
           qstring_get_str(qobject_to(QString, value)) : NULL;
    if (boolean) {
        *field = qbool_get_bool(boolean);
        *given |= BIT(prop->bitnr);
    } else if (text && !strcmp(text, "auto")) {
        *field = prop->defval.u;
        *given &= ~BIT(prop->bitnr);
    } else if (!text) {
        error_setg(errp, "Parameter '%s' expects 'on', 'off' or 'auto'", name);
    } else if (qapi_bool_parse(name, text, field, errp)) {
        *given |= BIT(prop->bitnr);
    }
    qobject_unref(value);
}

static void x86_iommu_default_bool_auto(ObjectProperty *op,
                                        const Property *prop)
{
    object_property_set_default_bool(op, prop->defval.u);
}

const PropertyInfo x86_iommu_prop_bool_auto = {
    .type  = "bool",
    .description = "on/off/auto",
    .get   = x86_iommu_get_bool_auto,
    .set   = x86_iommu_set_bool_auto,
    .set_default_value = x86_iommu_default_bool_auto,
};

static void x86_iommu_get_uint8_given(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    visit_type_uint8(v, name, object_field_prop_ptr(obj, opaque), errp);
}

static void x86_iommu_set_uint8_given(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    const Property *prop = opaque;

    if (visit_type_uint8(v, name, object_field_prop_ptr(obj, prop), errp)) {
        X86_IOMMU_DEVICE(obj)->given |= BIT(prop->bitnr);
    }
}

static void x86_iommu_default_uint8_given(ObjectProperty *op,
                                          const Property *prop)
{
    object_property_set_default_uint(op, prop->defval.u);
}

const PropertyInfo x86_iommu_prop_uint8_given = {
    .type  = "uint8",
    .get   = x86_iommu_get_uint8_given,
    .set   = x86_iommu_set_uint8_given,
    .set_default_value = x86_iommu_default_uint8_given,
};
