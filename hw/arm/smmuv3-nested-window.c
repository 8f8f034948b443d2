/*
 * SMMUv3 nested translation: the window for interrupts
 *
 * The host's kernel takes a range of I/O virtual addresses for the doorbells
 * of interrupt controllers, maps their pages there in stage 2, and has devices
 * write to it. With nesting such a write meets the guest's stage 1 first: the
 * guest has to map the window to itself.
 *
 * The kernel says where it is by leaving it out of IOMMU_IOAS_IOVA_RANGES. As
 * for features, what is there when the machine is complete is frozen, and has
 * to do for every device that comes later.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "migration/vmstate.h"
#include "hw/boards.h"
#include "system/address-spaces.h"
#include "smmuv3-nested-fw.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

/* Linux: MSI_IOVA_LENGTH of the SMMUv3 driver */
#define WINDOW_SIZE         (1 * MiB)
/* What an RMR descriptor can say (DEN 0049E.d, Memory range descriptor) */
#define WINDOW_ALIGN        (64 * KiB)
/* No SMMUv3 that the emulation knows has longer addresses than 48 bits */
#define WINDOW_LIMIT        (1ULL << 48)

static bool smmuv3_nested_window_parse(const char *text, Range *window)
{
    uint64_t first, last;
    const char *end;

    if (qemu_strtou64(text, &end, 0, &first) || *end != '-' ||
        qemu_strtou64(end + 1, NULL, 0, &last) ||
        first > last || last >= WINDOW_LIMIT ||
        !QEMU_IS_ALIGNED(first | (last + 1), WINDOW_ALIGN)) {
        return false;
    }
    range_set_bounds(window, first, last);
    return true;
}

bool smmuv3_nested_window_realize(SMMUv3Nested *n, Error **errp)
{
    const char *text = n->s->nested_props.msi_window;

    range_init_nofail(&n->window, SMMUV3_NESTED_WINDOW_BASE, WINDOW_SIZE);
    if (!text || !strcmp(text, "auto")) {
        return true;
    }
    n->window_chosen = true;
    if (!strcmp(text, "off")) {
        range_make_empty(&n->window);
        return true;
    }
    if (!smmuv3_nested_window_parse(text, &n->window)) {
        error_setg(errp, "msi-window=%s is none of auto, off and FIRST-LAST "
                   "in whole blocks of 64 KiB below 2^48", text);
        return false;
    }
    return true;
}

/* A range of @allowed that reaches into @window; NULL: all is the host's */
static Range *smmuv3_nested_window_taken(const Range *window, GList *allowed)
{
    for (GList *l = allowed; l; l = l->next) {
        if (range_overlaps_range(window, l->data)) {
            return l->data;
        }
    }
    return NULL;
}

/*
 * Where Linux has always had it, or else the first range that is left out
 * between others. @allowed is in order.
 */
static void smmuv3_nested_window_choose(SMMUv3Nested *n, GList *allowed)
{
    n->window_chosen = true;
    if (!smmuv3_nested_window_taken(&n->window, allowed)) {
        return;
    }
    range_make_empty(&n->window);
    for (GList *l = allowed; l->next; l = l->next) {
        uint64_t first = range_upb(l->data) + 1;
        uint64_t end = range_lob(l->next->data);

        if (first < end && end <= WINDOW_LIMIT &&
            QEMU_IS_ALIGNED(first | end, WINDOW_ALIGN)) {
            range_set_bounds(&n->window, first, end - 1);
            return;
        }
    }
}

static char *smmuv3_nested_window_text(const Range *window)
{
    if (range_is_empty(window)) {
        return g_strdup("off");
    }
    return g_strdup_printf("0x%" PRIx64 "-0x%" PRIx64, window->lob,
                           window->upb);
}

bool smmuv3_nested_window_check(SMMUv3Nested *n, HostIOMMUDevice *hiod,
                                Error **errp)
{
    HostIOMMUDeviceClass *hiodc = HOST_IOMMU_DEVICE_GET_CLASS(hiod);
    GList *allowed = hiodc->get_iova_ranges ? hiodc->get_iova_ranges(hiod) :
                                              NULL;
    Range *taken = NULL;

    /* None at all: the host does not tell */
    if (allowed) {
        if (!n->window_chosen) {
            smmuv3_nested_window_choose(n, allowed);
        }
        taken = smmuv3_nested_window_taken(&n->window, allowed);
    }
    if (taken) {
        g_autofree char *window = smmuv3_nested_window_text(&n->window);
        g_autofree char *usable = smmuv3_nested_window_text(taken);

        error_setg(errp, "property 'msi-window' is %s for the guest, but the "
                   "host keeps no such window for device %s: %s is free there",
                   window, hiod->name, usable);
    }
    g_list_free_full(allowed, g_free);
    return !taken;
}

static bool smmuv3_nested_window_in_ram(Range *window)
{
    uint64_t addr = range_lob(window), last = range_upb(window);

    while (addr <= last) {
        MemoryRegionSection found = memory_region_find(get_system_memory(),
                                                       addr, last - addr + 1);
        bool ram;

        if (!found.mr) {
            return false;
        }
        ram = memory_region_is_ram(found.mr);
        addr = found.offset_within_address_space + int128_get64(found.size);
        memory_region_unref(found.mr);
        if (ram) {
            return true;
        }
    }
    return false;
}

/* Machines without the property do not have the doorbell there */
static bool smmuv3_nested_user_msi(void)
{
    return object_property_get_bool(qdev_get_machine(),
                                    SMMUV3_NESTED_USER_MSI, NULL);
}

bool smmuv3_nested_window_freeze(SMMUv3Nested *n, Error **errp)
{
    n->window_chosen = true;
    if (range_is_empty(&n->window)) {
        return true;
    }
    if (smmuv3_nested_window_in_ram(&n->window)) {
        g_autofree char *window = smmuv3_nested_window_text(&n->window);

        error_setg(errp, "arm-smmuv3: property 'msi-window' is %s, but the "
                   "guest has memory there", window);
        return false;
    }
    if (smmuv3_nested_user_msi() &&
        range_lob(&n->window) != SMMUV3_NESTED_WINDOW_BASE) {
        g_autofree char *window = smmuv3_nested_window_text(&n->window);

        error_setg(errp, "arm-smmuv3: property 'msi-window' is %s, and the "
                   "machine's user-msi=on has the guest's doorbell at 0x%x, "
                   "which is not its start: use user-msi=off", window,
                   SMMUV3_NESTED_WINDOW_BASE);
        return false;
    }
    trace_smmuv3_nested_window(range_lob(&n->window), range_upb(&n->window));
    return true;
}

static bool smmuv3_nested_window_needed(void *opaque)
{
    SMMUv3State *s = opaque;

    return s->nested && s->nested->active;
}

static int smmuv3_nested_window_pre_save(void *opaque)
{
    SMMUv3State *s = opaque;

    s->nested_props.saved_window[0] = s->nested->window.lob;
    s->nested_props.saved_window[1] = s->nested->window.upb;
    return 0;
}

static int smmuv3_nested_window_pre_load(void *opaque)
{
    SMMUv3State *s = opaque;

    s->nested_props.saved_user_msi = false;
    return 0;
}

/* The tables that the guest has read come from the other side */
static int smmuv3_nested_window_post_load(void *opaque, int version_id)
{
    SMMUv3State *s = opaque;
    const Range saved = {
        .lob = s->nested_props.saved_window[0],
        .upb = s->nested_props.saved_window[1],
    };
    g_autofree char *here = NULL, *there = NULL;

    if (!s->nested || !s->nested->active) {
        return 0;
    }
    if (s->nested_props.saved_user_msi != smmuv3_nested_user_msi()) {
        error_report("arm-smmuv3: the machine has user-msi=%s where the guest "
                     "comes from, and here it is not",
                     s->nested_props.saved_user_msi ? "on" : "off");
        return -EINVAL;
    }
    if (saved.lob == s->nested->window.lob &&
        saved.upb == s->nested->window.upb) {
        return 0;
    }
    here = smmuv3_nested_window_text(&s->nested->window);
    /* What comes in may be no range at all */
    there = saved.lob > saved.upb ? g_strdup("off") :
                                    smmuv3_nested_window_text(&saved);
    error_report("arm-smmuv3: property 'msi-window' is %s where the guest "
                 "comes from, but here it is %s", there, here);
    return -EINVAL;
}

static bool smmuv3_nested_user_msi_needed(void *opaque)
{
    return smmuv3_nested_user_msi();
}

static int smmuv3_nested_user_msi_pre_save(void *opaque)
{
    SMMUv3State *s = opaque;

    s->nested_props.saved_user_msi = true;
    return 0;
}

/* States without it are of machines that have it off */
static const VMStateDescription vmstate_smmuv3_nested_user_msi = {
    .name = "smmuv3/msi-window/user-msi",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_nested_user_msi_needed,
    .pre_save = smmuv3_nested_user_msi_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(nested_props.saved_user_msi, SMMUv3State),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vmstate_smmuv3_nested_window = {
    .name = "smmuv3/msi-window",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_nested_window_needed,
    .pre_load = smmuv3_nested_window_pre_load,
    .pre_save = smmuv3_nested_window_pre_save,
    .post_load = smmuv3_nested_window_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64_ARRAY(nested_props.saved_window, SMMUv3State, 2),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vmstate_smmuv3_nested_user_msi,
        NULL
    }
};
