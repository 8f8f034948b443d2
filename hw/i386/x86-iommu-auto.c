/*
 * Properties of x86 vIOMMUs that may be left open
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-common.h"
#include "qapi/visitor.h"
#include "hw/i386/x86-iommu.h"
#include "hw/i386/x86-iommu-auto.h"

/* Properties with a second name, which newer QEMUs know */
typedef struct X86IOMMUAlias {
    const char *name;
    const char *alias;
    const char *description;
    X86IOMMUGiven named;        /* set by name; the next bit: set by alias */
} X86IOMMUAlias;

static const X86IOMMUAlias x86_iommu_aliases[] = {
    { "x-scalable-mode", "scalable-mode", "the same as x-scalable-mode",
      X86_IOMMU_NAMED_SCALABLE_MODE },
    { "x-flts", "fsts", "the same as x-flts", X86_IOMMU_NAMED_FLTS },
};

#define X86_IOMMU_NAMED \
    (3U << X86_IOMMU_NAMED_SCALABLE_MODE | 3U << X86_IOMMU_NAMED_FLTS)

static const X86IOMMUAlias *x86_iommu_alias_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(x86_iommu_aliases); i++) {
        const X86IOMMUAlias *a = &x86_iommu_aliases[i];

        if (!strcmp(name, a->name) || !strcmp(name, a->alias)) {
            return a;
        }
    }
    return NULL;
}

bool x86_iommu_find_global(Object *obj, const char *name)
{
    const X86IOMMUAlias *a = x86_iommu_alias_of(name);

    return qdev_find_global_prop(obj, name) ||
           (a && qdev_find_global_prop(obj, a->alias));
}

void x86_iommu_forget_names(Object *obj)
{
    X86_IOMMU_DEVICE(obj)->given &= ~X86_IOMMU_NAMED;
}

static const char *x86_iommu_bool_str(bool value)
{
    return value ? "on" : "off";
}

/* Sets @prop by one of its names, unless the other says something else */
static void x86_iommu_set_named(Object *obj, const Property *prop,
                                const char *name, bool value, Error **errp)
{
    bool *field = object_field_prop_ptr(obj, prop);
    uint32_t *bits = &X86_IOMMU_DEVICE(obj)->given;
    const X86IOMMUAlias *a = x86_iommu_alias_of(name);

    if (a) {
        bool by_alias = !strcmp(name, a->alias);

        if (*bits & BIT(a->named + !by_alias) && value != *field) {
            error_setg(errp, "%s=%s and %s=%s are two values for one "
                       "property; give one of the names",
                       a->name, x86_iommu_bool_str(by_alias ? *field : value),
                       a->alias, x86_iommu_bool_str(by_alias ? value : *field));
            return;
        }
        *bits |= BIT(a->named + by_alias);
    }
    *field = value;
    *bits |= BIT(prop->bitnr);
}

static void x86_iommu_get_bool_given(Object *obj, Visitor *v, const char *name,
                                     void *opaque, Error **errp)
{
    visit_type_bool(v, name, object_field_prop_ptr(obj, opaque), errp);
}

static void x86_iommu_set_bool_given(Object *obj, Visitor *v, const char *name,
                                     void *opaque, Error **errp)
{
    bool value;

    if (visit_type_bool(v, name, &value, errp)) {
        x86_iommu_set_named(obj, opaque, name, value, errp);
    }
}

/* Not by the setter: a default is not a value that was given */
static void x86_iommu_init_bool(Object *obj, ObjectProperty *op)
{
    const Property *prop = op->opaque;

    *(bool *)object_field_prop_ptr(obj, prop) = prop->defval.u;
}

static void x86_iommu_default_bool_given(ObjectProperty *op,
                                         const Property *prop)
{
    object_property_set_default_bool(op, prop->defval.u);
    op->init = x86_iommu_init_bool;
}

const PropertyInfo x86_iommu_prop_bool_given = {
    .type  = "bool",
    .description = "on/off",
    .get   = x86_iommu_get_bool_given,
    .set   = x86_iommu_set_bool_given,
    .set_default_value = x86_iommu_default_bool_given,
};

/* What it has become, once that is known */
static void x86_iommu_get_bool_auto(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    const Property *prop = opaque;
    bool *field = object_field_prop_ptr(obj, prop);
    bool known = X86_IOMMU_DEVICE(obj)->given & BIT(prop->bitnr) ||
                 DEVICE(obj)->realized;
    OnOffAuto value = !known ? ON_OFF_AUTO_AUTO :
                      *field ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;

    visit_type_OnOffAuto(v, name, &value, errp);
}

static void x86_iommu_set_bool_auto(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    const Property *prop = opaque;
    bool *field = object_field_prop_ptr(obj, prop);
    uint32_t *bits = &X86_IOMMU_DEVICE(obj)->given;
    OnOffAuto value;

    if (!visit_type_OnOffAuto(v, name, &value, errp)) {
        return;
    }
    *field = value == ON_OFF_AUTO_AUTO ? prop->defval.u :
                                         value == ON_OFF_AUTO_ON;
    *bits = value == ON_OFF_AUTO_AUTO ? *bits & ~BIT(prop->bitnr) :
                                        *bits | BIT(prop->bitnr);
}

static void x86_iommu_default_bool_auto(ObjectProperty *op,
                                        const Property *prop)
{
    object_property_set_default_str(op, "auto");
    op->init = x86_iommu_init_bool;
}

const PropertyInfo x86_iommu_prop_bool_auto = {
    .type  = "OnOffAuto",
    .description = "on/off/auto",
    .get   = x86_iommu_get_bool_auto,
    .set   = x86_iommu_set_bool_auto,
    .set_default_value = x86_iommu_default_bool_auto,
};

/* Of a kind that its own visit makes out */
static bool x86_iommu_visit_given(Object *obj, Visitor *v, const char *name,
                                  const Property *prop, Error **errp)
{
    void *field = object_field_prop_ptr(obj, prop);

    return prop->info == &x86_iommu_prop_uint8_given ?
           visit_type_uint8(v, name, field, errp) :
           visit_type_OnOffAuto(v, name, field, errp);
}

static void x86_iommu_get_given(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    x86_iommu_visit_given(obj, v, name, opaque, errp);
}

static void x86_iommu_set_given(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    const Property *prop = opaque;

    if (x86_iommu_visit_given(obj, v, name, prop, errp)) {
        X86_IOMMU_DEVICE(obj)->given |= BIT(prop->bitnr);
    }
}

static void x86_iommu_default_given(ObjectProperty *op, const Property *prop)
{
    if (prop->info == &x86_iommu_prop_uint8_given) {
        object_property_set_default_uint(op, prop->defval.u);
    } else {
        object_property_set_default_str(op, OnOffAuto_str(prop->defval.i));
    }
}

const PropertyInfo x86_iommu_prop_uint8_given = {
    .type  = "uint8",
    .get   = x86_iommu_get_given,
    .set   = x86_iommu_set_given,
    .set_default_value = x86_iommu_default_given,
};

const PropertyInfo x86_iommu_prop_on_off_auto_given = {
    .type  = "OnOffAuto",
    .description = "on/off/auto",
    .get   = x86_iommu_get_given,
    .set   = x86_iommu_set_given,
    .set_default_value = x86_iommu_default_given,
};

/* With the name that was used, which is the one that visitors look for */
static void x86_iommu_get_alias(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    const X86IOMMUAlias *a = opaque;
    ObjectProperty *op = object_property_find(obj, a->name);

    op->get(obj, v, name, op->opaque, errp);
}

static void x86_iommu_set_alias(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    const X86IOMMUAlias *a = opaque;
    ObjectProperty *op = object_property_find(obj, a->name);

    op->set(obj, v, name, op->opaque, errp);
}

void x86_iommu_add_aliases(ObjectClass *klass)
{
    for (size_t i = 0; i < ARRAY_SIZE(x86_iommu_aliases); i++) {
        const X86IOMMUAlias *a = &x86_iommu_aliases[i];

        object_class_property_add(klass, a->alias, "bool",
                                  x86_iommu_get_alias, x86_iommu_set_alias,
                                  NULL, (void *)a);
        object_class_property_set_description(klass, a->alias,
                                              a->description);
    }
}
