/*
 * SMMUv3 nested translation: the vSMMU and its assigned devices
 *
 * The core (include/hw/iommufd.h) owns everything on the host; here it is
 * decided what an SMMUv3 guest's commands and tables ask of it. See
 * docs/nested/smmuv3-nested.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/pci_bus.h"
#include "migration/vmstate.h"
#include "system/address-spaces.h"
#include "system/iommufd.h"
#include "system/runstate.h"
#include "system/system.h"
#include "smmuv3-nested-internal.h"
#include "trace.h"

/*
 * Commands in one call. The kernel copies them into one piece of memory, which
 * a fragmented host may not have if it is large; these are 16 KiB. It issues
 * them in blocks of 63, each with a CMD_SYNC of its own.
 */
#define PIECE (16 * 63)

/* Events the host keeps while the main loop is busy elsewhere */
#define EVENT_DEPTH 256

static guint smmuv3_nested_device_hash(gconstpointer key)
{
    const SMMUv3NestedDevice *ndev = key;

    return g_direct_hash(ndev->bus) ^ ndev->devfn;
}

static gboolean smmuv3_nested_device_equal(gconstpointer a, gconstpointer b)
{
    const SMMUv3NestedDevice *da = a, *db = b;

    return da->bus == db->bus && da->devfn == db->devfn;
}

SMMUv3NestedDevice *smmuv3_nested_device(SMMUv3Nested *n, PCIBus *bus,
                                         int devfn)
{
    SMMUv3NestedDevice key = { .bus = bus, .devfn = devfn };

    return n ? g_hash_table_lookup(n->devices, &key) : NULL;
}

uint16_t smmuv3_nested_sid(const SMMUv3NestedDevice *ndev)
{
    return PCI_BUILD_BDF(pci_bus_num(ndev->bus), ndev->devfn);
}

static uint32_t smmuv3_nested_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return smmuv3_nested_sid(iommufd_nested_device_opaque(dev));
}

static void smmuv3_nested_blocked(void *opaque, IOMMUFDNestedDevice *dev,
                                  uint32_t pasid, const char *why)
{
    SMMUv3NestedDevice *ndev = iommufd_nested_device_opaque(dev);
    SMMUEventInfo event = {
        .type = SMMU_EVT_C_BAD_STE,
        .sid = ndev->sid,
        .inval_ste_allowed = true,
    };

    trace_smmuv3_nested_blocked(iommufd_nested_device_name(dev), ndev->sid,
                                why);
    ndev->n->blocked = true;
    ndev->ats = false;
    /* The queue is not in memory that may be written while the VM is stopped */
    if (runstate_is_running()) {
        smmuv3_record_event(ndev->n->s, &event);
    }
}

static const IOMMUFDNestedOps smmuv3_nested_ops = {
    .device_tlb = smmuv3_nested_device_tlb,
    .device_tlb_all = smmuv3_nested_device_tlb_all,
    .device_tlb_late = smmuv3_nested_device_tlb_late,
    .label = smmuv3_nested_label,
    .event = smmuv3_nested_event,
    .events_lost = smmuv3_nested_events_lost,
    .blocked = smmuv3_nested_blocked,
    .go_on = smmuv3_nested_go_on,
};

static void smmuv3_nested_machine_done(Notifier *notifier, void *data)
{
    SMMUv3Nested *n = container_of(notifier, SMMUv3Nested, machine_done);

    iommufd_nested_check_order(TYPE_ARM_SMMUV3, &error_fatal);
    smmuv3_nested_caps_freeze(n, &error_fatal);
}

/* As for VT-d: before vfio lets a device go that was migrated */
static void smmuv3_nested_vm_prepare(void *opaque, bool running,
                                     RunState state)
{
    SMMUv3Nested *n = opaque;

    if (running && n->stale) {
        n->stale = false;
        smmuv3_nested_sync_all(n);
        smmuv3_nested_cmdq_loaded(n);
    }
}

static void smmuv3_nested_vm_state(void *opaque, bool running, RunState state)
{
    SMMUv3Nested *n = opaque;

    iommufd_nested_set_running(n->core, running);
}

static int smmuv3_nested_get_mode(Object *obj, Error **errp)
{
    return ARM_SMMUV3(obj)->nested_props.mode;
}

static void smmuv3_nested_set_mode(Object *obj, int value, Error **errp)
{
    SMMUv3NestedProps *props = &ARM_SMMUV3(obj)->nested_props;

    if (DEVICE(obj)->realized) {
        error_setg(errp, "nested cannot be changed after realize");
        return;
    }
    props->mode = value;
    props->mode_given = true;
}

static bool smmuv3_nested_get_accel(Object *obj, Error **errp)
{
    return ARM_SMMUV3(obj)->nested_props.mode == ON_OFF_AUTO_ON;
}

static void smmuv3_nested_set_accel(Object *obj, bool value, Error **errp)
{
    SMMUv3NestedProps *props = &ARM_SMMUV3(obj)->nested_props;

    if (DEVICE(obj)->realized) {
        error_setg(errp, "accel cannot be changed after realize");
        return;
    }
    props->accel = value ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
    if (!props->mode_given) {
        props->mode = props->accel;
    }
}

static char *smmuv3_nested_get_bbml(Object *obj, Error **errp)
{
    return g_strdup(ARM_SMMUV3(obj)->nested_props.bbml ?: "auto");
}

static void smmuv3_nested_set_bbml(Object *obj, const char *value,
                                   Error **errp)
{
    if (DEVICE(obj)->realized) {
        error_setg(errp, "bbml cannot be changed after realize");
        return;
    }
    g_free(ARM_SMMUV3(obj)->nested_props.bbml);
    ARM_SMMUV3(obj)->nested_props.bbml = g_strdup(value);
}

void smmuv3_nested_instance_init(Object *obj)
{
    object_property_add_str(obj, "bbml", smmuv3_nested_get_bbml,
                            smmuv3_nested_set_bbml);
    object_property_set_description(obj, "bbml", "level of IDR3.BBML, or auto");
    ARM_SMMUV3(obj)->nested_props.mode = ON_OFF_AUTO_OFF;
    object_property_add_enum(obj, "nested", "OnOffAuto", &OnOffAuto_lookup,
                             smmuv3_nested_get_mode, smmuv3_nested_set_mode);
    object_property_set_description(obj, "nested", "on, off (default) or auto:"
                                    " the host walks the guest's tables for"
                                    " assigned devices");
    /* The name that libvirt knows */
    object_property_add_bool(obj, "accel", smmuv3_nested_get_accel,
                             smmuv3_nested_set_accel);
    object_property_set_description(obj, "accel", "the same as nested=on");
}

/* V, and Config = abort */
static const struct iommu_hwpt_arm_smmuv3 smmuv3_nested_abort = {
    .ste = { const_le64(1) },
};

bool smmuv3_nested_realize(SMMUv3State *s, Error **errp)
{
    /* CDs and device TLBs are a stream's: an attach sees to them */
    const struct iommu_viommu_arm_smmuv3_invalidate everything = {
        .cmd[0] = cpu_to_le64(SMMU_CMD_TLBI_NSNH_ALL),
    };
    g_autofree char *name = object_get_canonical_path(OBJECT(s));
    IOMMUFDNestedConfig config = {
        .name = name,
        .inv_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
        .inv_len = sizeof(struct iommu_viommu_arm_smmuv3_invalidate),
        .inv_piece = PIECE,
        .inv_everything = &everything,
        .viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
        .vdevice = true,
        .veventq_type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
        .veventq_depth = EVENT_DEPTH,
        .abort_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
        .abort_data = &smmuv3_nested_abort,
        .abort_len = sizeof(smmuv3_nested_abort),
        .event_len = sizeof(struct iommu_vevent_arm_smmuv3),
        .guard = &DEVICE(s)->mem_reentrancy_guard,
        .commands = smmuv3_nested_commands,
        .num_commands = SMMUV3_NESTED_CMD__MAX,
    };
    SMMUv3Nested *n = g_new0(SMMUv3Nested, 1);

    n->s = s;
    if (!smmuv3_nested_caps_realize(n, errp)) {
        g_free(n);
        return false;
    }
    if (s->nested_props.mode == ON_OFF_AUTO_OFF) {
        g_free(n);
        return true;
    }
    if (!smmuv3_nested_cmdqv_realize(n, errp)) {
        g_free(n);
        return false;
    }
    s->nested = n;
    n->q = &s->cmdq;
    n->devices = g_hash_table_new(smmuv3_nested_device_hash,
                                  smmuv3_nested_device_equal);
    /* The vSMMU is not hot-pluggable and stays to the end: no counterpart */
    n->core = iommufd_nested_new(&config, &smmuv3_nested_ops, n);
    n->vm_state = qemu_add_vm_change_state_handler_prio_full(
        smmuv3_nested_vm_state, smmuv3_nested_vm_prepare, NULL, n, 0);
    n->machine_done.notify = smmuv3_nested_machine_done;
    qemu_add_machine_init_done_notifier(&n->machine_done);
    return true;
}

void smmuv3_nested_reset(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    SMMUv3NestedDevice *ndev;
    GHashTableIter iter;

    if (!n || !n->active) {
        return;
    }
    smmuv3_nested_caps_idr(n);
    n->enabled = false;
    n->abort = FIELD_EX32(s->gbpa, GBPA, ABORT);
    n->stale = false;
    n->blocked = false;
    n->stuck = false;
    n->atc_late = false;
    smmuv3_nested_cmdq_forget(n);
    n->told_inv = n->told_label = n->cmdqv.told = (IOMMUFDNestedTold) {};
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&ndev)) {
        ndev->told = ndev->told_atc = (IOMMUFDNestedTold) {};
        ndev->ats = false;
        ndev->stage1 = false;
    }
    iommufd_nested_reset(n->core);
    smmuv3_nested_relabel(n);
}

int smmuv3_nested_pre_save(void *opaque)
{
    SMMUv3State *s = opaque;

    if (s->nested && s->nested->active) {
        memcpy(s->nested_props.saved_idr, s->idr, sizeof(s->idr));
        iommufd_nested_quiesce(s->nested->core);
    }
    return 0;
}

int smmuv3_nested_post_load(void *opaque, int version_id)
{
    SMMUv3State *s = opaque;
    SMMUv3Nested *n = s->nested;

    if (!n || !n->active) {
        return 0;
    }
    /* No IDR0 is zero */
    if (!s->nested_props.saved_idr[0]) {
        error_report("arm-smmuv3: the guest comes from nested=off, but here "
                     "it is on");
        return -EINVAL;
    }
    n->enabled = smmu_enabled(s);
    n->abort = FIELD_EX32(s->gbpa, GBPA, ABORT);
    smmuv3_nested_cmdq_forget(n);
    /* Bridges, and with them bus numbers, are loaded after us */
    n->stale = true;
    iommufd_nested_inv_owe(n->core);
    return 0;
}

/* The guest has read the IDRs, so they must be the same here */
static int smmuv3_nested_idr_post_load(void *opaque, int version_id)
{
    SMMUv3State *s = opaque;
    const uint32_t *saved = s->nested_props.saved_idr;

    if (!s->nested || !s->nested->active) {
        error_report("arm-smmuv3: the guest comes from nested=on, but here it "
                     "is off");
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(s->idr); i++) {
        if (saved[i] != s->idr[i]) {
            error_report("arm-smmuv3: the guest has been promised IDR%zu 0x%"
                         PRIx32 ", but here it is 0x%" PRIx32 "; give the "
                         "same values to ats, ril, asid16, cd2l, gran4k, "
                         "gran16k, gran64k, ssidsize and oas on both sides",
                         i, saved[i], s->idr[i]);
            return -EINVAL;
        }
    }
    return 0;
}

static bool smmuv3_nested_needed(void *opaque)
{
    SMMUv3State *s = opaque;

    return s->nested && s->nested->active;
}

const VMStateDescription vmstate_smmuv3_nested = {
    .name = "smmuv3/nested",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_nested_needed,
    .post_load = smmuv3_nested_idr_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_ARRAY(nested_props.saved_idr, SMMUv3State, 6),
        VMSTATE_END_OF_LIST()
    }
};

bool smmuv3_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                               const char *name,
                               const IOMMUFDNestedHostInfo *info,
                               IOMMUFDNestedParent *parent, Error **errp)
{
    SMMUv3Nested *n = ARM_SMMUV3(opaque)->nested;
    static const IOMMUFDNestedTrial trial = {
        .parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
        .viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
        .vdevice = true,
        .parent_needs = "that takes Linux 6.13, and an SMMU with both stages",
        .viommu_needs = "that takes Linux 6.13, and S2FWB in the SMMU or "
                        "CANWBS for the device in the firmware's tables",
        .vdevice_needs = "a device can have one StreamID only",
    };
    g_autofree char *tried = NULL;
    const char *why;

    if (!n || !n->active) {
        return true;
    }
    why = pci_nested_unfit(bus, devfn, NULL, info) ?:
          smmuv3_nested_caps_unfit(info);
    if (!why && !iommufd_nested_try(info, &trial, &tried, errp)) {
        return false;
    }
    if (why || tried) {
        return smmuv3_nested_caps_refuse(n, name, why ?: tried, errp);
    }
    if (!smmuv3_nested_caps_check(n, name, info, errp)) {
        return false;
    }
    parent->as = &address_space_memory;
    parent->flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
    parent->no_dirty_tracking = true;
    parent->owner = n;
    return true;
}

static bool smmuv3_nested_add(SMMUv3Nested *n, PCIBus *bus, int devfn,
                              HostIOMMUDeviceIOMMUFD *idev,
                              const IOMMUFDNestedHostInfo *info, Error **errp)
{
    SMMUv3NestedDevice *ndev = g_new0(SMMUv3NestedDevice, 1);

    ndev->n = n;
    ndev->bus = bus;
    ndev->devfn = devfn;
    ndev->moved = true;
    ndev->info = *info;
    ndev->dev = smmuv3_nested_cmdqv_add(n, idev, ndev, errp);
    if (!ndev->dev) {
        g_free(ndev);
        return false;
    }
    if (info->vendor.smmuv3.flags & SMMUV3_NESTED_INFO_REPEAT) {
        iommufd_nested_inv_repeat(ndev->dev);
    }
    g_hash_table_add(n->devices, ndev);
    /*
     * A device that appears while the SMMU is on has the STE that is there.
     * That it cannot have it is no error here: the core has said so, and
     * detached it.
     */
    smmuv3_nested_renumbered(n);
    smmuv3_nested_cmdqv_changed(n->s);
    return true;
}

bool smmuv3_nested_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp)
{
    SMMUv3Nested *n = ARM_SMMUV3(opaque)->nested;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedHostInfo info;
    const char *why;

    if (!n || !n->active) {
        return true;
    }
    why = pci_nested_unfit(bus, devfn, hiod, NULL);
    if (why) {
        return smmuv3_nested_caps_refuse(n, hiod->name, why, errp);
    }
    idev = HOST_IOMMU_DEVICE_IOMMUFD(hiod);
    return iommufd_nested_host_info(idev, &info, errp) &&
           smmuv3_nested_window_check(n, hiod, errp) &&
           smmuv3_nested_add(n, bus, devfn, idev, &info, errp);
}

void smmuv3_nested_unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
    SMMUv3Nested *n = ARM_SMMUV3(opaque)->nested;
    SMMUv3NestedDevice *ndev = smmuv3_nested_device(n, bus, devfn);

    if (ndev) {
        g_hash_table_remove(n->devices, ndev);
        smmuv3_nested_part(ndev);
        smmuv3_nested_cmdqv_part(n);
        iommufd_nested_device_remove(ndev->dev);
        g_free(ndev);
        smmuv3_nested_renumbered(n);
    }
}

bool smmuv3_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                                PCINestedFeatures *features)
{
    SMMUv3Nested *n = ARM_SMMUV3(opaque)->nested;
    SMMUv3NestedDevice *ndev = smmuv3_nested_device(n, bus, devfn);

    if (!ndev) {
        return false;
    }
    *features = (PCINestedFeatures) {
        .pasid_bits = MIN(ndev->info.max_pasid_log2,
                          n->feature[SMMUV3_NESTED_SSIDSIZE]),
        .pasid_exec = ndev->info.caps & IOMMU_HW_CAP_PCI_PASID_EXEC,
        .pasid_priv = ndev->info.caps & IOMMU_HW_CAP_PCI_PASID_PRIV,
        .ats = n->feature[SMMUV3_NESTED_ATS] &&
               smmuv3_nested_host_ats(&ndev->info),
    };
    return true;
}
