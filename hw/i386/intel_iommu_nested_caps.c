/*
 * VT-d nested translation: what the guest is promised
 *
 * Every feature that the guest sees and the host has to provide is a
 * property. What is given as on must be there on the host, for each assigned
 * device. What is auto follows the hosts of the devices that are there when
 * the machine is complete, is frozen then, and must be met by every device
 * that comes later: by hot-plug, or on the other side of a migration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/i386/x86-iommu-auto.h"
#include "intel_iommu_nested_internal.h"
#include "trace.h"

/* Widest PASID there is (PCIe 7.8.9) */
#define VTD_PASID_BITS_MAX  20
/* What the base has */
#define VTD_PASID_BITS_BASE ((VTD_ECAP_PSS >> VTD_ECAP_PSS_SHIFT) + 1)

typedef struct VTDNestedFeature {
    const char *name;           /* of the property */
    X86IOMMUGiven given;
    bool *(*field)(IntelIOMMUState *s);
    bool base_default;
    /* Nesting is nothing without it: on unless given as off */
    bool needed;
    /* The emulation does it alone; else the host needs the bits as well */
    bool emulated;
    /* ... with MGAW of at least that much */
    uint8_t width;
    /* What the guest sees of it */
    uint64_t cap;
    uint64_t ecap;
} VTDNestedFeature;

#define VTD_NESTED_FIELD(_fn, _expr)                            \
    static bool *vtd_nested_field_##_fn(IntelIOMMUState *s)     \
    {                                                           \
        return &(_expr);                                        \
    }

VTD_NESTED_FIELD(scalable_mode, s->scalable_mode)
VTD_NESTED_FIELD(flts, s->flts)
VTD_NESTED_FIELD(caching_mode, s->caching_mode)
VTD_NESTED_FIELD(fs1gp, s->fs1gp)
VTD_NESTED_FIELD(snoop_control, s->snoop_control)
VTD_NESTED_FIELD(pasid, s->pasid)
VTD_NESTED_FIELD(smpwc, s->smpwc)
VTD_NESTED_FIELD(device_iotlb, X86_IOMMU_DEVICE(s)->dt_supported)
VTD_NESTED_FIELD(svm, s->svm)
VTD_NESTED_FIELD(ssts, s->ssts)
VTD_NESTED_FIELD(fs5lp, s->levels.fs5lp)
VTD_NESTED_FIELD(sslps, s->levels.sslps)

/*
 * caching-mode: the tables are read when the guest says that they changed, so
 * it has to say it for entries that become present as well.
 * ssts, sslps: second-stage tables are mirrored, whatever the host has.
 * svm comes after device-iotlb, which it depends on.
 */
static const VTDNestedFeature vtd_nested_features[] = {
    { "x-scalable-mode", X86_IOMMU_GIVEN_SCALABLE_MODE,
      vtd_nested_field_scalable_mode, .needed = true,
      .ecap = VTD_ECAP_SMTS },
    { "x-flts", X86_IOMMU_GIVEN_FLTS, vtd_nested_field_flts, .needed = true,
      .ecap = VTD_ECAP_FLTS },
    { "caching-mode", X86_IOMMU_GIVEN_CACHING_MODE,
      vtd_nested_field_caching_mode, .needed = true, .emulated = true,
      .cap = VTD_CAP_CM },
    { "fs1gp", X86_IOMMU_GIVEN_FS1GP, vtd_nested_field_fs1gp,
      .base_default = true, .cap = VTD_CAP_FS1GP },
    { "snoop-control", X86_IOMMU_GIVEN_SNOOP_CONTROL,
      vtd_nested_field_snoop_control, .ecap = VTD_ECAP_SC },
    { "smpwc", X86_IOMMU_GIVEN_SMPWC, vtd_nested_field_smpwc,
      .ecap = VTD_ECAP_SMPWC },
    { "x-pasid-mode", X86_IOMMU_GIVEN_PASID_MODE, vtd_nested_field_pasid,
      .ecap = VTD_ECAP_PASID },
    { "device-iotlb", X86_IOMMU_GIVEN_DEVICE_IOTLB,
      vtd_nested_field_device_iotlb, .ecap = VTD_ECAP_DT },
    { "svm", X86_IOMMU_GIVEN_SVM, vtd_nested_field_svm,
      .ecap = VTD_ECAP_PRS | VTD_ECAP_PDS },
    { "ssts", X86_IOMMU_GIVEN_SSTS, vtd_nested_field_ssts, .emulated = true,
      .ecap = VTD_ECAP_SLTS },
    { "fs5lp", X86_IOMMU_GIVEN_FS5LP, vtd_nested_field_fs5lp,
      .width = VTD_HOST_AW_57BIT, .cap = VTD_CAP_FS5LP },
    { "sslps", X86_IOMMU_GIVEN_SSLPS, vtd_nested_field_sslps,
      .base_default = true, .emulated = true, .cap = VTD_CAP_SLLPS },
};

static bool vtd_nested_given(IntelIOMMUState *s, X86IOMMUGiven given)
{
    return X86_IOMMU_DEVICE(s)->given & BIT(given);
}

static void vtd_nested_give(IntelIOMMUState *s, X86IOMMUGiven given)
{
    X86_IOMMU_DEVICE(s)->given |= BIT(given);
}

void vtd_nested_post_init(Object *obj)
{
    uint32_t *given = &X86_IOMMU_DEVICE(obj)->given;

    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];

        if (!x86_iommu_find_global(obj, f->name)) {
            *given &= ~BIT(f->given);
        }
    }
    if (!qdev_find_global_prop(obj, "aw-bits")) {
        *given &= ~BIT(X86_IOMMU_GIVEN_AW_BITS);
    }
    if (!qdev_find_global_prop(obj, "nested")) {
        *given &= ~BIT(X86_IOMMU_GIVEN_NESTED);
    }
    x86_iommu_forget_names(obj);
}

static uint8_t vtd_nested_mgaw(uint64_t cap)
{
    return VTD_MGAW_FROM_CAP(cap) + 1;
}

static bool vtd_nested_shows(const VTDNestedFeature *f, uint64_t cap,
                             uint64_t ecap)
{
    return (cap & f->cap) == f->cap && (ecap & f->ecap) == f->ecap;
}

static bool vtd_nested_host_has(const VTDNestedFeature *f, uint64_t cap,
                                uint64_t ecap)
{
    return f->emulated || (vtd_nested_shows(f, cap, ecap) &&
                           vtd_nested_mgaw(cap) >= f->width);
}

static uint8_t vtd_nested_host_pasid_bits(uint64_t ecap)
{
    if (!(ecap & VTD_ECAP_PASID)) {
        return 0;
    }
    return MIN(((ecap & VTD_ECAP_PSS_MASK) >> VTD_ECAP_PSS_SHIFT) + 1,
               VTD_PASID_BITS_MAX);
}

/*
 * nested=auto did not work out: what the base would have had. The registers
 * follow with vtd_init().
 */
static void vtd_nested_fall_back(VTDNested *n)
{
    IntelIOMMUState *s = n->s;

    n->decided = true;
    n->active = false;
    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];

        if (!vtd_nested_given(s, f->given)) {
            *f->field(s) = f->base_default;
        }
    }
    s->aw_bits = n->base_aw_bits;
}

/*
 * A device that is shadowed because nested=auto did not work out. That takes
 * caching mode, and the guest's width can be more than the host has for
 * shadowed mappings. @hiod: NULL: a mediated device, of which nothing is known
 */
void vtd_nested_caps_shadow(VTDNested *n, HostIOMMUDevice *hiod)
{
    IntelIOMMUState *s = n->s;
    int aw = -1;

    if (hiod) {
        aw = HOST_IOMMU_DEVICE_GET_CLASS(hiod)->get_cap(
            hiod, HOST_IOMMU_DEVICE_CAP_AW_BITS, NULL);
    }

    if (n->frozen) {
        return;
    }
    if (!vtd_nested_given(s, X86_IOMMU_GIVEN_CACHING_MODE)) {
        s->caching_mode = true;
    }
    if (!vtd_nested_given(s, X86_IOMMU_GIVEN_AW_BITS) &&
        aw >= VTD_HOST_AW_39BIT && aw < s->aw_bits) {
        info_report("intel-iommu: nested=auto lowers aw-bits to %d, because "
                    "%s has %d on the host", VTD_HOST_AW_39BIT, hiod->name,
                    aw);
        s->aw_bits = VTD_HOST_AW_39BIT;
    }
    vtd_init(s);
}

/* The first of what was given and leaves nesting no room, as it should be */
static char *vtd_nested_needs(IntelIOMMUState *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];

        if (f->needed && vtd_nested_given(s, f->given) && !*f->field(s)) {
            return g_strdup_printf("%s=on", f->name);
        }
    }
    /* Addresses of processes have 47 bits, which CAP.MGAW limits (3.6) */
    if (vtd_nested_given(s, X86_IOMMU_GIVEN_AW_BITS) &&
        !vtd_nested_is_width(s)) {
        return g_strdup_printf("aw-bits=%d or %d", VTD_HOST_AW_48BIT,
                               VTD_HOST_AW_57BIT);
    }
    /* A guest of scalable mode expects the one, and every guest the other */
    if (!s->dma_drain) {
        return g_strdup("dma-drain=on");
    }
    if (!X86_IOMMU_DEVICE(s)->dma_translation) {
        return g_strdup("dma-translation=on");
    }
    return NULL;
}

static bool vtd_nested_realize_svm(IntelIOMMUState *s, Error **errp)
{
    X86IOMMUState *x86 = X86_IOMMU_DEVICE(s);

    if (s->svm && !x86->dt_supported) {
        if (vtd_nested_given(s, X86_IOMMU_GIVEN_DEVICE_IOTLB)) {
            error_setg(errp, "svm=on needs device-iotlb=on");
            return false;
        }
        x86->dt_supported = true;
        vtd_nested_give(s, X86_IOMMU_GIVEN_DEVICE_IOTLB);
    }
    return true;
}

/*
 * CAP.MGAW is what software goes by as well (3.6): five levels of the first
 * stage and that width come together, unless one of them is refused. Five
 * levels of the second stage cannot be without it either.
 */
static bool vtd_nested_realize_levels(VTDNested *n, Error **errp)
{
    IntelIOMMUState *s = n->s;
    VTDNestedLevels *levels = &s->levels;
    bool aw_given = vtd_nested_given(s, X86_IOMMU_GIVEN_AW_BITS);
    bool wide = levels->ss_aw_bits == VTD_HOST_AW_57BIT;

    if (levels->ss_aw_bits != VTD_HOST_AW_48BIT && !wide) {
        error_setg(errp, "ss-aw-bits=%u is neither %u nor %u",
                   levels->ss_aw_bits, VTD_HOST_AW_48BIT, VTD_HOST_AW_57BIT);
        return false;
    }
    if (!aw_given) {
        s->aw_bits = VTD_HOST_AW_48BIT;
    } else if (!vtd_nested_given(s, X86_IOMMU_GIVEN_FS5LP)) {
        levels->fs5lp = s->aw_bits == VTD_HOST_AW_57BIT;
        vtd_nested_give(s, X86_IOMMU_GIVEN_FS5LP);
    }
    if ((levels->fs5lp || wide) && !aw_given) {
        s->aw_bits = VTD_HOST_AW_57BIT;
        vtd_nested_give(s, X86_IOMMU_GIVEN_AW_BITS);
    }
    if ((levels->fs5lp || wide) && s->aw_bits < VTD_HOST_AW_57BIT) {
        error_setg(errp, "%s needs aw-bits=%d", levels->fs5lp ? "fs5lp=on" :
                   "ss-aw-bits=57", VTD_HOST_AW_57BIT);
        return false;
    }
    if (s->aw_bits > VTD_HOST_AW_48BIT &&
        s->nested_mode == ON_OFF_AUTO_AUTO) {
        error_setg(errp, "%s needs nested=on: there are no more than %d bits "
                   "without nesting, which nested=auto may come to",
                   aw_given ? "aw-bits=57" : wide ? "ss-aw-bits=57" :
                   "fs5lp=on", VTD_HOST_AW_48BIT);
        return false;
    }
    return true;
}

static bool vtd_nested_check_pasid_bits(IntelIOMMUState *s, Error **errp)
{
    if (s->pasid_bits > VTD_PASID_BITS_MAX) {
        error_setg(errp, "pasid-bits=%u is more than %u", s->pasid_bits,
                   VTD_PASID_BITS_MAX);
        return false;
    }
    if (s->pasid_bits && !s->pasid &&
        vtd_nested_given(s, X86_IOMMU_GIVEN_PASID_MODE)) {
        error_setg(errp, "pasid-bits=%u needs x-pasid-mode=on or auto, not off",
                   s->pasid_bits);
        return false;
    }
    return true;
}

static bool vtd_nested_realize_pasid(VTDNested *n, Error **errp)
{
    n->pasid_bits = n->s->pasid_bits;
    return vtd_nested_check_pasid_bits(n->s, errp);
}

/* PASIDs as QEMU 11.1 has them, switched on by their width */
static bool vtd_nested_pasid_by_bits(IntelIOMMUState *s, Error **errp)
{
    if (s->pasid_bits && !vtd_nested_given(s, X86_IOMMU_GIVEN_PASID_MODE)) {
        s->pasid = true;
        vtd_nested_give(s, X86_IOMMU_GIVEN_PASID_MODE);
    }
    return vtd_nested_check_pasid_bits(s, errp);
}

bool vtd_nested_caps_realize_off(IntelIOMMUState *s, Error **errp)
{
    if (s->smpwc || s->svm || s->ssts || s->max_hwpts || s->levels.fs5lp ||
        !s->levels.sslps || s->levels.ss_aw_bits != VTD_HOST_AW_48BIT) {
        error_setg(errp, "smpwc, svm, ssts, sslps, ss-aw-bits, fs5lp and "
                   "max-hwpts need nested=on, nested=auto or, with nested left "
                   "out, scalable-mode=on,fsts=on");
        return false;
    }
    if (s->pasid_bits && !s->scalable_mode) {
        error_setg(errp, "pasid-bits=%u needs scalable-mode=on", s->pasid_bits);
        return false;
    }
    return vtd_nested_pasid_by_bits(s, errp);
}

bool vtd_nested_is_by_fsts(IntelIOMMUState *s)
{
    return s->nested_mode == ON_OFF_AUTO_OFF && s->scalable_mode && s->flts &&
           !vtd_nested_given(s, X86_IOMMU_GIVEN_NESTED);
}

/* What is not given is what the base has, but for what the base lacks */
static bool vtd_nested_realize_by_fsts(VTDNested *n, Error **errp)
{
    IntelIOMMUState *s = n->s;

    n->decided = true;
    if (s->svm && !X86_IOMMU_DEVICE(s)->dma_translation) {
        error_setg(errp, "svm=on needs dma-translation=on");
        return false;
    }
    if (!vtd_nested_realize_svm(s, errp) ||
        !vtd_nested_realize_levels(n, errp) ||
        !vtd_nested_pasid_by_bits(s, errp)) {
        return false;
    }
    n->pasid_bits = s->pasid_bits;
    n->nwfs = s->svm;
    n->active = s->svm || s->smpwc || s->ssts || s->pasid_bits ||
                s->max_hwpts || s->aw_bits > VTD_HOST_AW_48BIT ||
                !s->levels.sslps ||
                (s->pasid && X86_IOMMU_DEVICE(s)->dt_supported);
    if (s->pasid && !n->pasid_bits) {
        n->pasid_bits = VTD_PASID_BITS_BASE;
    }
    return true;
}

/*
 * Entries that become present are only told of with CAP.CM, which the guest
 * has looked at by the time that devices are hot-plugged
 */
bool vtd_nested_caps_by_fsts(VTDNested *n, const char *name, Error **errp)
{
    IntelIOMMUState *s = n->s;

    if (!n->frozen && !vtd_nested_given(s, X86_IOMMU_GIVEN_CACHING_MODE)) {
        s->caching_mode = true;
    }
    if (!s->caching_mode) {
        error_setg(errp, "fsts=on: %s cannot be nested with caching-mode=off: "
                   "give intel-iommu caching-mode=on", name);
        return false;
    }
    return true;
}

bool vtd_nested_caps_realize(VTDNested *n, Error **errp)
{
    IntelIOMMUState *s = n->s;
    g_autofree char *needs = NULL;

    if (n->by_fsts) {
        return vtd_nested_realize_by_fsts(n, errp);
    }
    needs = vtd_nested_needs(s);
    n->base_aw_bits = s->aw_bits;
    if (needs && s->nested_mode == ON_OFF_AUTO_AUTO) {
        info_report("intel-iommu: nested=auto is off, because it needs %s",
                    needs);
        vtd_nested_fall_back(n);
        return true;
    }
    if (needs) {
        error_setg(errp, "nested=on needs %s", needs);
        return false;
    }
    n->active = true;
    n->decided = s->nested_mode == ON_OFF_AUTO_ON;

    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];

        if (!vtd_nested_given(s, f->given)) {
            *f->field(s) = f->needed || f->emulated;
        }
    }
    return vtd_nested_realize_levels(n, errp) &&
           vtd_nested_realize_svm(s, errp) &&
           vtd_nested_realize_pasid(n, errp);
}

/* Those that are off by now for want of a device to follow */
static void vtd_nested_warn_alone(VTDNested *n)
{
    g_autoptr(GString) names = g_string_new("");

    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];

        if (!vtd_nested_given(n->s, f->given) && !*f->field(n->s)) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                                   f->name);
        }
    }
    if (!n->host_seen && names->len) {
        warn_report("intel-iommu: nested=on and no assigned device to follow: "
                    "devices that are plugged later go without %s; give these "
                    "properties the values that they shall have", names->str);
    }
}

void vtd_nested_caps_freeze(VTDNested *n)
{
    IntelIOMMUState *s = n->s;

    if (!n->decided) {
        info_report("intel-iommu: nested=auto is off, because there is no "
                    "assigned device to follow");
        vtd_nested_fall_back(n);
        vtd_init(s);
    }
    n->frozen = true;
    if (!n->active) {
        return;
    }
    if (s->pasid && !n->pasid_bits) {
        /* x-pasid-mode=on and no device yet to tell */
        n->pasid_bits = VTD_PASID_BITS_BASE;
    }
    if (!n->by_fsts) {
        vtd_nested_warn_alone(n);
    }
    vtd_init(s);
    trace_vtd_nested_frozen(s->cap, s->ecap, n->host_seen);
}

void vtd_nested_cap_init(IntelIOMMUState *s)
{
    VTDNested *n = s->nested;
    uint8_t pasid_bits = n ? n->pasid_bits : s->pasid_bits;

    if (n && !n->active) {
        return;
    }
    if (s->pasid && pasid_bits) {
        s->ecap = (s->ecap & ~VTD_ECAP_PSS_MASK) |
                  ((uint64_t)(pasid_bits - 1) << VTD_ECAP_PSS_SHIFT);
    }
    if (!n) {
        return;
    }
    if (s->levels.fs5lp) {
        s->cap |= VTD_CAP_FS5LP;
    }
    if (s->levels.ss_aw_bits == VTD_HOST_AW_57BIT) {
        s->cap |= VTD_CAP_SAGAW_57BIT;
    }
    if (!s->levels.sslps) {
        s->cap &= ~VTD_CAP_SLLPS;
    }
    if (s->smpwc) {
        s->ecap |= VTD_ECAP_SMPWC;
    }
    if (s->svm) {
        s->ecap |= VTD_ECAP_PRS | VTD_ECAP_PDS;
    }
    if (n->nwfs) {
        s->ecap |= VTD_ECAP_NWFS;
    }
    if (s->ssts) {
        s->ecap |= VTD_ECAP_SLTS;
    }
}

bool vtd_nested_is_width(IntelIOMMUState *s)
{
    return s->aw_bits == VTD_HOST_AW_48BIT ||
           (s->aw_bits == VTD_HOST_AW_57BIT &&
            (s->nested_mode != ON_OFF_AUTO_OFF || vtd_nested_is_by_fsts(s)));
}

uint8_t vtd_nested_ss_width(const IntelIOMMUState *s)
{
    return MIN(s->aw_bits, s->levels.ss_aw_bits);
}

void vtd_nested_rsvd_init(IntelIOMMUState *s, uint64_t *ss,
                          uint64_t *ss_large, uint64_t *fs,
                          uint64_t *fs_large)
{
    ss[5] = ss[4];
    fs[5] = fs[4];
    if (vtd_nested_active(s) && !s->fs1gp) {
        fs_large[3] |= VTD_PT_PAGE_SIZE_MASK;
    }
    if (vtd_nested_active(s) && !s->levels.sslps) {
        ss_large[2] |= VTD_PT_PAGE_SIZE_MASK;
        ss_large[3] |= VTD_PT_PAGE_SIZE_MASK;
    }
}

bool vtd_nested_caps_refuse(VTDNested *n, const char *name, const char *why,
                            Error **errp)
{
    if (n->by_fsts) {
        error_setg(errp, "fsts=on: %s cannot be nested: %s; with fsts=off its "
                   "tables are shadowed", name, why);
        return false;
    }
    if (n->decided || n->frozen) {
        error_setg(errp, "nested=%s: %s cannot be nested: %s",
                   OnOffAuto_str(n->s->nested_mode), name, why);
        return false;
    }
    info_report("intel-iommu: nested=auto falls back to shadowed tables: "
                "%s cannot be nested: %s", name, why);
    vtd_nested_fall_back(n);
    vtd_init(n->s);
    return true;
}

static bool vtd_nested_caps_check_pasid(VTDNested *n, const char *name,
                                        uint64_t ecap, Error **errp)
{
    uint8_t host = vtd_nested_host_pasid_bits(ecap);

    if (!n->s->pasid) {
        return true;
    }
    if (!n->s->pasid_bits && !n->frozen) {
        n->pasid_bits = n->pasid_bits ? MIN(n->pasid_bits, host) : host;
    } else if (n->pasid_bits > host) {
        error_setg(errp, "property 'pasid-bits' is %u for the guest, but the "
                   "host's IOMMU has %u for device %s", n->pasid_bits, host,
                   name);
        return false;
    }
    return true;
}

static bool vtd_nested_caps_check_width(VTDNested *n, const char *name,
                                        uint64_t cap, Error **errp)
{
    IntelIOMMUState *s = n->s;

    if (!n->frozen && !vtd_nested_given(s, X86_IOMMU_GIVEN_AW_BITS)) {
        s->aw_bits = s->levels.fs5lp ? VTD_HOST_AW_57BIT : VTD_HOST_AW_48BIT;
    } else if (s->aw_bits > VTD_HOST_AW_48BIT &&
               s->aw_bits > vtd_nested_mgaw(cap)) {
        error_setg(errp, "property 'aw-bits' is %u for the guest, but the "
                   "host's IOMMU has %u for device %s", s->aw_bits,
                   vtd_nested_mgaw(cap), name);
        return false;
    }
    return true;
}

/* Without ssts there are no shadows */
static bool vtd_nested_caps_check_shadow(VTDNested *n, const char *name,
                                         const IOMMUFDNestedHostInfo *info,
                                         Error **errp)
{
    ERRP_GUARD();
    IntelIOMMUState *s = n->s;
    unsigned host = vtd_nested_shadow_width(info);

    if (s->ssts && s->levels.ss_aw_bits > VTD_HOST_AW_48BIT &&
        s->levels.ss_aw_bits > host) {
        error_setg(errp, "property 'ss-aw-bits' is %u for the guest, but the "
                   "host has %u for second-stage tables of device %s",
                   s->levels.ss_aw_bits, host, name);
        error_append_hint(errp, "Devices of such hosts take intel-iommu with "
                          "ss-aw-bits=%u\n", VTD_HOST_AW_48BIT);
        return false;
    }
    return true;
}

/* What does without a feature: some are given by the name of another */
static const char *vtd_nested_remedy(const VTDNestedFeature *f)
{
    return f->given == X86_IOMMU_GIVEN_FS5LP ? "aw-bits=48,fs5lp" : f->name;
}

/* Not a property: what the host lacks is off until it is promised */
static bool vtd_nested_caps_check_nwfs(VTDNested *n, const char *name,
                                       uint64_t ecap, Error **errp)
{
    if (!n->nwfs || ecap & VTD_ECAP_NWFS) {
        return true;
    }
    if (n->frozen) {
        error_setg(errp, "svm=on without nested= has promised the guest "
                   "ECAP.NWFS, but the host's IOMMU of device %s lacks it "
                   "(ECAP 0x%" PRIx64 "); a device on the command line makes "
                   "the guest do without", name, ecap);
        return false;
    }
    n->nwfs = false;
    return true;
}

/* Host features against what is promised, and what is still open after them */
bool vtd_nested_caps_check(VTDNested *n, const char *name,
                           const IOMMUFDNestedHostInfo *info, Error **errp)
{
    ERRP_GUARD();
    uint64_t cap = info->vendor.vtd.cap_reg;
    uint64_t ecap = info->vendor.vtd.ecap_reg;
    IntelIOMMUState *s = n->s;

    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];
        bool host = vtd_nested_host_has(f, cap, ecap);
        bool *field = f->field(s);

        if (!vtd_nested_given(s, f->given) && !n->frozen && !f->needed) {
            *field = host && (*field || !(n->host_seen || n->by_fsts));
        } else if (*field && !host) {
            error_setg(errp, "property '%s' is on for the guest, but off for "
                       "the host's IOMMU of device %s (CAP 0x%" PRIx64
                       ", ECAP 0x%" PRIx64 ")", f->name, name, cap, ecap);
            error_append_hint(errp, "Devices of hosts without it take "
                              "intel-iommu with %s=off\n",
                              vtd_nested_remedy(f));
            return false;
        }
    }
    /* Page requests are made after translation requests only */
    if (!X86_IOMMU_DEVICE(s)->dt_supported) {
        s->svm = false;
    }
    if (!vtd_nested_caps_check_width(n, name, cap, errp) ||
        !vtd_nested_caps_check_shadow(n, name, info, errp) ||
        !vtd_nested_caps_check_pasid(n, name, ecap, errp) ||
        !vtd_nested_caps_check_nwfs(n, name, ecap, errp)) {
        return false;
    }
    n->host_seen = true;
    n->decided = true;
    return true;
}

/*
 * The capability registers come with the state; ours have been told to ACPI
 * and checked against the host, so the two must be the same.
 */
bool vtd_nested_caps_loaded(VTDNested *n, uint64_t cap, uint64_t ecap)
{
    static const char *const state[] = { "off", "on" };
    uint8_t bits = vtd_nested_host_pasid_bits(ecap);
    uint8_t here = vtd_nested_host_pasid_bits(n->s->ecap);

    if (cap == n->s->cap && ecap == n->s->ecap) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(vtd_nested_features); i++) {
        const VTDNestedFeature *f = &vtd_nested_features[i];
        bool was = vtd_nested_shows(f, cap, ecap);

        if (was != vtd_nested_shows(f, n->s->cap, n->s->ecap)) {
            error_report("intel-iommu: property '%s' was %s for the guest, "
                         "but is %s here", f->name, state[was], state[!was]);
        }
    }
    if (VTD_MGAW_FROM_CAP(cap) != VTD_MGAW_FROM_CAP(n->s->cap)) {
        error_report("intel-iommu: property 'aw-bits' was %u for the guest, "
                     "but is %u here", vtd_nested_mgaw(cap),
                     vtd_nested_mgaw(n->s->cap));
    }
    if ((ecap ^ n->s->ecap) & VTD_ECAP_NWFS) {
        error_report("intel-iommu: ECAP.NWFS, which comes with svm=on, was %s "
                     "for the guest, but is %s here",
                     state[!!(ecap & VTD_ECAP_NWFS)],
                     state[!(ecap & VTD_ECAP_NWFS)]);
    }
    if ((cap ^ n->s->cap) & VTD_CAP_SAGAW_57BIT) {
        error_report("intel-iommu: property 'ss-aw-bits' was %u for the "
                     "guest, but is %u here", cap & VTD_CAP_SAGAW_57BIT ?
                     VTD_HOST_AW_57BIT : VTD_HOST_AW_48BIT,
                     n->s->levels.ss_aw_bits);
    }
    if (bits && here && bits != here) {
        error_report("intel-iommu: property 'pasid-bits' was %u for the "
                     "guest, but is %u here", bits, here);
    }
    error_report("intel-iommu: the guest has been promised CAP 0x%" PRIx64
                 " ECAP 0x%" PRIx64 ", but here it is CAP 0x%" PRIx64
                 " ECAP 0x%" PRIx64, cap, ecap, n->s->cap, n->s->ecap);
    return false;
}
