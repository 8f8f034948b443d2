/*
 * SMMUv3 nested translation: what the guest is promised
 *
 * Every feature that the guest sees and the host has to provide is a field of
 * an IDR, most of them with a property. What is given must be there on the
 * host, for each assigned device. What is auto follows the hosts of the
 * devices that are there when the machine is complete, is frozen then, and
 * must be met by every device that comes later: by hot-plug, or on the other
 * side of a migration.
 *
 * Only fields that the kernel says may be used are looked at (kernel-doc of
 * struct iommu_hw_info_arm_smmuv3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "target/arm/cpu.h"
#include "target/arm/internals.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

#define SSIDSIZE_MAX        20

/* Output sizes that the emulation knows, in bits; encoded as in IDR5.OAS */
static const uint8_t smmuv3_nested_oas[] = { 32, 36, 40, 42, 44, 48 };

/* Values of IDR0.TTF, TTENDIAN and STALL_MODEL (6.3.1) */
#define TTF_AARCH64         2
#define TTENDIAN_BIG        3
#define STALL_MODEL_BOTH    0
#define STALL_MODEL_FORCED  2

typedef struct SMMUv3NestedFeature {
    const char *name;           /* of the property, if it has one */
    uint8_t reg, shift, length; /* IDRn field */
    uint8_t most;               /* more than this the emulation cannot do */
    uint8_t alone;              /* what auto is without an assigned device */
    bool has_switch;
    size_t offset;              /* of the switch in SMMUv3NestedProps */
} SMMUv3NestedFeature;

#define FEATURE(_name, _reg, _field, _alone)                            \
    .name = #_name, .reg = _reg, .most = 1, .alone = _alone,            \
    .shift = R_IDR ## _reg ## _ ## _field ## _SHIFT,                    \
    .length = R_IDR ## _reg ## _ ## _field ## _LENGTH,                  \
    .has_switch = true, .offset = offsetof(SMMUv3NestedProps, _name)

static const SMMUv3NestedFeature
smmuv3_nested_features[SMMUV3_NESTED_FEATURE__MAX] = {
    [SMMUV3_NESTED_ATS] = { FEATURE(ats, 0, ATS, 0) },
    [SMMUV3_NESTED_RIL] = { FEATURE(ril, 3, RIL, 1) },
    [SMMUV3_NESTED_ASID16] = { FEATURE(asid16, 0, ASID16, 1) },
    [SMMUV3_NESTED_CD2L] = { FEATURE(cd2l, 0, CD2L, 0) },
    [SMMUV3_NESTED_GRAN4K] = { FEATURE(gran4k, 5, GRAN4K, 1) },
    [SMMUV3_NESTED_GRAN16K] = { FEATURE(gran16k, 5, GRAN16K, 1) },
    [SMMUV3_NESTED_GRAN64K] = { FEATURE(gran64k, 5, GRAN64K, 1) },
    [SMMUV3_NESTED_BBML] = {
        .name = "bbml", .reg = 3, .shift = R_IDR3_BBML_SHIFT,
        .length = R_IDR3_BBML_LENGTH, .most = 2, .alone = 2,
    },
    [SMMUV3_NESTED_SSIDSIZE] = {
        .name = "ssidsize", .reg = 1, .shift = R_IDR1_SSIDSIZE_SHIFT,
        .length = R_IDR1_SSIDSIZE_LENGTH, .most = SSIDSIZE_MAX,
    },
};

/*
 * That the device has no ATS, kernels before 7.1 do not tell; that the SMMU has
 * none, all do.
 */
bool smmuv3_nested_host_ats(const IOMMUFDNestedHostInfo *info)
{
    return !(info->caps & IOMMUFD_NESTED_CAP_NO_ATS) &&
           FIELD_EX32(info->vendor.smmuv3.idr[0], IDR0, ATS);
}

bool smmuv3_nested_host_stalls(const IOMMUFDNestedHostInfo *info)
{
    return FIELD_EX32(info->vendor.smmuv3.idr[0], IDR0, STALL_MODEL) ==
           STALL_MODEL_BOTH;
}

/* ATS is one of the device, not of the SMMU (kernel-doc as above) */
static uint8_t smmuv3_nested_host_value(SMMUv3NestedFeatureId id,
                                        const IOMMUFDNestedHostInfo *info)
{
    const SMMUv3NestedFeature *f = &smmuv3_nested_features[id];

    return id == SMMUV3_NESTED_ATS ? smmuv3_nested_host_ats(info) :
           extract32(info->vendor.smmuv3.idr[f->reg], f->shift, f->length);
}

static OnOffAuto smmuv3_nested_switch(SMMUv3State *s,
                                      const SMMUv3NestedFeature *f)
{
    return f->has_switch ?
           *(OnOffAuto *)((char *)&s->nested_props + f->offset) :
           ON_OFF_AUTO_AUTO;
}

static bool smmuv3_nested_is_auto(const char *value)
{
    return !value || !strcmp(value, "auto");
}

/* A feature whose property is a number as text, or "auto" */
static bool smmuv3_nested_parse(SMMUv3Nested *n, SMMUv3NestedFeatureId id,
                                const char *value, Error **errp)
{
    const SMMUv3NestedFeature *f = &smmuv3_nested_features[id];
    unsigned number;

    if (smmuv3_nested_is_auto(value)) {
        return true;
    }
    if (qemu_strtoui(value, NULL, 10, &number) || number > f->most) {
        error_setg(errp, "%s=%s is neither auto nor 0 to %u", f->name, value,
                   f->most);
        return false;
    }
    n->given[id] = true;
    n->feature[id] = number;
    return true;
}

/*
 * Linux gives processes to devices only if the SMMU's addresses are as wide as
 * the CPU's (arm_smmu_sva_supported()): as many as the guest's CPU has, if that
 * is more than what the emulation has by itself.
 */
static uint8_t smmuv3_nested_cpu_oas(void)
{
    ARMCPU *cpu = first_cpu ? ARM_CPU(first_cpu) : NULL;
    unsigned bits = cpu && arm_feature(&cpu->env, ARM_FEATURE_AARCH64) ?
                    arm_pamax(cpu) : 0;
    uint8_t oas = SMMU_IDR5_OAS;

    for (size_t i = oas; i < ARRAY_SIZE(smmuv3_nested_oas); i++) {
        if (smmuv3_nested_oas[i] <= bits) {
            oas = i;
        }
    }
    return oas;
}

static bool smmuv3_nested_parse_oas(SMMUv3Nested *n, Error **errp)
{
    const char *value = n->s->nested_props.oas;
    unsigned bits;

    n->oas_auto = smmuv3_nested_is_auto(value);
    if (n->oas_auto) {
        n->oas = smmuv3_nested_cpu_oas();
        return true;
    }
    if (!qemu_strtoui(value, NULL, 10, &bits)) {
        for (size_t i = 0; i < ARRAY_SIZE(smmuv3_nested_oas); i++) {
            if (smmuv3_nested_oas[i] == bits) {
                n->oas = i;
                return true;
            }
        }
    }
    error_setg(errp, "oas=%s is none of auto, 32, 36, 40, 42, 44 and 48",
               value);
    return false;
}

static bool smmuv3_nested_refuse(const char *name, const char *value,
                                 Error **errp)
{
    error_setg(errp, "%s=%s needs nested=on or nested=auto", name, value);
    return false;
}

/* Text, of which the emulation has @emulated only */
static bool smmuv3_nested_is_plain(const char *value, const char *emulated)
{
    return smmuv3_nested_is_auto(value) || !g_strcmp0(value, emulated);
}

/*
 * Without nesting nothing can be chosen, but QEMU 11.1 takes what the emulation
 * has; one of an emulated host has other things than that.
 */
static bool smmuv3_nested_refuse_props(SMMUv3State *s, Error **errp)
{
    const SMMUv3NestedProps *props = &s->nested_props;
    bool plain = !s->host.ats && !s->host.ssidsize;
    g_autofree char *oas = g_strdup_printf("%u",
                                           smmuv3_nested_oas[SMMU_IDR5_OAS]);
    const struct {
        const char *name, *value, *emulated;
    } text[] = {
        { "ssidsize", props->ssidsize, plain ? "0" : NULL },
        { "oas", props->oas, plain ? oas : NULL },
        { "bbml", props->bbml },
        { "msi-window", props->msi_window },
        { "stall", OnOffAuto_str(props->stall) },
        { "cmdqv", OnOffAuto_str(props->cmdqv), "off" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        if (!smmuv3_nested_is_plain(text[i].value, text[i].emulated)) {
            return smmuv3_nested_refuse(text[i].name, text[i].value, errp);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_nested_features); i++) {
        const SMMUv3NestedFeature *f = &smmuv3_nested_features[i];
        OnOffAuto value = smmuv3_nested_switch(s, f);
        OnOffAuto emulated = f->alone ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;

        if (value != ON_OFF_AUTO_AUTO && !(plain && value == emulated)) {
            return smmuv3_nested_refuse(f->name, OnOffAuto_str(value), errp);
        }
    }
    return true;
}

/* Two names for one thing, and what cannot be together */
static bool smmuv3_nested_check_props(const SMMUv3NestedProps *props,
                                      Error **errp)
{
    if (props->accel != ON_OFF_AUTO_AUTO && props->mode != props->accel) {
        error_setg(errp, "accel=%s and nested=%s are two names for one thing, "
                   "and differ: give one of them",
                   OnOffAuto_str(props->accel), OnOffAuto_str(props->mode));
        return false;
    }
    if (props->cd2l == ON_OFF_AUTO_ON && !g_strcmp0(props->ssidsize, "0")) {
        error_setg(errp, "cd2l=on needs substreams, but ssidsize=0");
        return false;
    }
    if (props->gran4k == ON_OFF_AUTO_OFF && props->gran16k == ON_OFF_AUTO_OFF &&
        props->gran64k == ON_OFF_AUTO_OFF) {
        error_setg(errp, "gran4k, gran16k and gran64k are off, which leaves no "
                   "size for the guest's pages: one of them has to be on or "
                   "auto");
        return false;
    }
    return true;
}

bool smmuv3_nested_caps_realize(SMMUv3Nested *n, Error **errp)
{
    SMMUv3State *s = n->s;

    if (!smmuv3_nested_check_props(&s->nested_props, errp)) {
        return false;
    }
    if (s->nested_props.mode == ON_OFF_AUTO_OFF) {
        return smmuv3_nested_refuse_props(s, errp);
    }
    if (!g_strcmp0(s->stage, "2")) {
        error_setg(errp, "nested=%s gives the guest stage 1, but stage=2",
                   OnOffAuto_str(s->nested_props.mode));
        return false;
    }
    if (s->nested_props.stall == ON_OFF_AUTO_ON) {
        error_setg(errp, "stall=on is not possible: what the host's SMMU has "
                   "stalled goes on by CMD_RESUME, which iommufd cannot hand "
                   "to it");
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_nested_features); i++) {
        OnOffAuto value = smmuv3_nested_switch(s, &smmuv3_nested_features[i]);

        n->given[i] = value != ON_OFF_AUTO_AUTO;
        n->feature[i] = n->given[i] ? value == ON_OFF_AUTO_ON :
                                      smmuv3_nested_features[i].alone;
    }
    if (!smmuv3_nested_parse(n, SMMUV3_NESTED_SSIDSIZE,
                             s->nested_props.ssidsize, errp) ||
        !smmuv3_nested_parse(n, SMMUV3_NESTED_BBML, s->nested_props.bbml,
                             errp) ||
        !smmuv3_nested_parse_oas(n, errp) ||
        !smmuv3_nested_window_realize(n, errp)) {
        return false;
    }
    n->active = true;
    n->decided = s->nested_props.mode == ON_OFF_AUTO_ON;
    return true;
}

/* Those that are off by now for want of a device to follow */
static void smmuv3_nested_warn_alone(const SMMUv3Nested *n)
{
    g_autoptr(GString) names = g_string_new("");

    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_nested_features); i++) {
        if (!n->given[i] && !n->feature[i]) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                                   smmuv3_nested_features[i].name);
        }
    }
    if (!n->host_seen && names->len) {
        warn_report("arm-smmuv3: nested=on and no assigned device to follow: "
                    "devices that are plugged later go without %s; give these "
                    "properties the values that they shall have", names->str);
    }
}

bool smmuv3_nested_caps_freeze(SMMUv3Nested *n, Error **errp)
{
    if (n->frozen) {
        return true;
    }
    n->frozen = true;
    if (!n->decided) {
        info_report("arm-smmuv3: nested=auto is off, because there is no "
                    "assigned device to follow");
        n->decided = true;
        n->active = false;
    }
    if (!smmuv3_nested_cmdqv_freeze(n, errp)) {
        return false;
    }
    if (!n->active) {
        return true;
    }
    if (!n->feature[SMMUV3_NESTED_SSIDSIZE]) {
        /* There is one CD, and no table of two levels (6.3.1) */
        n->feature[SMMUV3_NESTED_CD2L] = 0;
    }
    smmuv3_nested_warn_alone(n);
    trace_smmuv3_nested_frozen(n->feature[SMMUV3_NESTED_ATS],
                               n->feature[SMMUV3_NESTED_RIL],
                               n->feature[SMMUV3_NESTED_SSIDSIZE],
                               n->host_seen);
    return smmuv3_nested_window_freeze(n, errp);
}

/*
 * What is left of the emulation's features are those that concern only the
 * guest's tables and queues in memory, which the emulation reads, and those
 * that every host with nesting has. The guest has no stage 2: that is ours.
 */
void smmuv3_nested_caps_idr(SMMUv3Nested *n)
{
    SMMUv3State *s = n->s;

    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, S1P, 1);
    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, S2P, 0);
    s->idr[0] = FIELD_DP32(s->idr[0], IDR0, VMID16, 0);
    s->idr[3] = FIELD_DP32(s->idr[3], IDR3, HAD, 0);
    s->idr[3] = FIELD_DP32(s->idr[3], IDR3, XNX, 0);
    s->idr[5] = FIELD_DP32(s->idr[5], IDR5, OAS, n->oas);
    for (size_t i = 0; i < ARRAY_SIZE(smmuv3_nested_features); i++) {
        const SMMUv3NestedFeature *f = &smmuv3_nested_features[i];

        s->idr[f->reg] = deposit32(s->idr[f->reg], f->shift, f->length,
                                   n->feature[i]);
    }
    smmuv3_nested_cmdqv_idr(n);
}

bool smmuv3_nested_caps_refuse(SMMUv3Nested *n, const char *name,
                               const char *why, Error **errp)
{
    if (n->decided) {
        error_setg(errp, "nested=%s: %s cannot be nested: %s",
                   OnOffAuto_str(n->s->nested_props.mode), name, why);
        return false;
    }
    info_report("arm-smmuv3: nested=auto is off, because %s cannot be nested: "
                "%s", name, why);
    n->decided = true;
    n->active = false;
    return true;
}

const char *smmuv3_nested_caps_unfit(const IOMMUFDNestedHostInfo *info)
{
    uint32_t idr0 = info->vendor.smmuv3.idr[0];

    if (info->type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
        return "the host's IOMMU is not an SMMUv3";
    }
    if (!(FIELD_EX32(idr0, IDR0, TTF) & TTF_AARCH64)) {
        return "the host's SMMU has no AArch64 tables";
    }
    if (FIELD_EX32(idr0, IDR0, TTENDIAN) == TTENDIAN_BIG) {
        return "the host's SMMU reads big-endian tables only";
    }
    if (FIELD_EX32(idr0, IDR0, STALL_MODEL) == STALL_MODEL_FORCED) {
        return "the host's SMMU makes every fault a stall";
    }
    return NULL;
}

static bool smmuv3_nested_check_one(SMMUv3Nested *n, SMMUv3NestedFeatureId id,
                                    const char *name,
                                    const IOMMUFDNestedHostInfo *info,
                                    Error **errp)
{
    const SMMUv3NestedFeature *f = &smmuv3_nested_features[id];
    uint8_t host = smmuv3_nested_host_value(id, info);
    uint8_t *guest = &n->feature[id];

    if (id == SMMUV3_NESTED_ATS) {
        /* The SMMU's, for those devices that have it: others just do not */
        *guest |= host && !n->given[id] && !n->frozen;
        return true;
    }
    if (!n->given[id] && !n->frozen) {
        *guest = MIN(host, n->host_seen ? *guest : f->most);
        return true;
    }
    if (*guest <= host) {
        return true;
    }
    error_setg(errp, "property '%s' is %u for the guest, but the host's SMMU "
               "has %u for device %s (IDR%u 0x%" PRIx32 ")", f->name, *guest,
               host, name, f->reg, info->vendor.smmuv3.idr[f->reg]);
    return false;
}

/* Host features against what is promised, and what is still open after them */
bool smmuv3_nested_caps_check(SMMUv3Nested *n, const char *name,
                              const IOMMUFDNestedHostInfo *info, Error **errp)
{
    for (size_t i = 0; i < SMMUV3_NESTED_FEATURE__MAX; i++) {
        if (!smmuv3_nested_check_one(n, i, name, info, errp)) {
            return false;
        }
    }
    if (n->oas_auto && !n->frozen) {
        /* What is wider than the host's is no output of its stage 1 */
        n->oas = MIN(n->oas, MAX(FIELD_EX32(info->vendor.smmuv3.idr[5], IDR5,
                                            OAS), SMMU_IDR5_OAS));
    }
    n->host_seen = true;
    n->decided = true;
    return true;
}
