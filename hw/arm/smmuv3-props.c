/*
 * SMMUv3: properties of newer QEMUs of which one value is possible here, and
 * what -device arm-smmuv3,help says about ours
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-types-common.h"
#include "qapi/visitor.h"
#include "smmuv3-props.h"

/* Numbers that the machine has to choose, with what to use in their place */
typedef struct SMMUv3Fixed {
    const char *name;
    const char *type;
    const char *description;
    const char *why;
} SMMUv3Fixed;

static const SMMUv3Fixed smmuv3_fixed[] = {
    { "identifier", "uint8", "Only 0: the machine numbers its SMMUs",
      "the machine numbers its SMMUs; leave it out" },
    { "msi-gpa", "uint64", "Only 0: the machine knows its MSI controllers",
      "the machine knows its MSI controllers; leave it out, or see "
      "msi-window" },
};

static void smmuv3_get_fixed(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    uint64_t value = 0;

    visit_type_uint64(v, name, &value, errp);
}

static void smmuv3_set_fixed(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    const SMMUv3Fixed *fixed = opaque;
    uint64_t value;

    if (visit_type_uint64(v, name, &value, errp) && value) {
        error_setg(errp, "%s=0x%" PRIx64 ": %s", name, value, fixed->why);
    }
}

/* Values and default are in the help when the property's type has them */
static const char *const smmuv3_descriptions[][2] = {
    { "ats", "Address translation services. auto with nested=on: on if a "
      "device can" },
    { "ril", "Invalidation of ranges. auto with nested=on: as the host" },
    { "asid16", "ASIDs of 16 bits. auto with nested=on: as the host" },
    { "cd2l", "Tables of context descriptors with two levels. auto with "
      "nested=on: as the host" },
    { "gran4k", "Pages of 4 KiB. auto with nested=on: as the host" },
    { "gran16k", "Pages of 16 KiB. auto with nested=on: as the host" },
    { "gran64k", "Pages of 64 KiB. auto with nested=on: as the host" },
    { "stall", "Stalled transactions: with nested=on only off or auto" },
    { "cmdqv", "Command queues of the guest's own, the host's Tegra241 CMDQV: "
      "on, off (default) or auto: if the host has it" },
    { "ssidsize", "Width of SubstreamIDs (PASIDs), 0 to 20, or auto "
      "(default): with nested=on as the host" },
    { "oas", "Output address size in bits, or auto (default): with nested=on "
      "as the guest's CPU, no more than the host" },
    { "msi-window", "Guest addresses kept free for the host's MSIs: "
      "FIRST-LAST, off or auto (default)" },
    { "host-fwb", "For emulated hosts: stage 2 forces write-back, which "
      "nesting needs" },
    { "host-ats", "For emulated hosts: address translation services" },
    { "host-ssidsize", "For emulated hosts: width of SubstreamIDs, up to 20" },
    { "host-oas", "For emulated hosts: output address size in bits" },
    { "host-keep", "For emulated hosts: caches keep all that hardware may" },
    { "host-cmdqv", "For emulated hosts: Tegra241 CMDQV, command queues for "
      "guests" },
};

void smmuv3_props_class_init(ObjectClass *klass)
{
    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_fixed); i++) {
        const SMMUv3Fixed *fixed = &smmuv3_fixed[i];

        object_class_property_add(klass, fixed->name, fixed->type,
                                  smmuv3_get_fixed, smmuv3_set_fixed, NULL,
                                  (void *)fixed);
        object_class_property_set_description(klass, fixed->name,
                                              fixed->description);
    }
    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_descriptions); i++) {
        object_class_property_set_description(klass,
                                              smmuv3_descriptions[i][0],
                                              smmuv3_descriptions[i][1]);
    }
}
