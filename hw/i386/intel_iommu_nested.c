/*
 * VT-d nested translation: the vIOMMU and its assigned devices
 *
 * The core (include/hw/iommufd.h) owns everything on the host; here it is
 * decided what a VT-d guest's commands and tables ask of it. See
 * docs/nested/intel-iommu-nested.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/pci_bus.h"
#include "hw/i386/x86-iommu-auto.h"
#include "system/address-spaces.h"
#include "system/iommufd.h"
#include "system/runstate.h"
#include "system/system.h"
#include "intel_iommu_nested_internal.h"
#include "trace.h"

/*
 * Default and limit of max-hwpts: each HWPT that is attached has a domain id of
 * the host's IOMMU, and all VMs behind that share them
 */
#define HWPTS       1024
#define HWPTS_MAX   65535u

static guint vtd_nested_device_hash(gconstpointer key)
{
    const VTDNestedDevice *vdev = key;

    return g_direct_hash(vdev->bus) ^ vdev->devfn;
}

static gboolean vtd_nested_device_equal(gconstpointer a, gconstpointer b)
{
    const VTDNestedDevice *da = a, *db = b;

    return da->bus == db->bus && da->devfn == db->devfn;
}

VTDNestedDevice *vtd_nested_device(VTDNested *n, PCIBus *bus, int devfn)
{
    VTDNestedDevice key = { .bus = bus, .devfn = devfn };

    return g_hash_table_lookup(n->devices, &key);
}

static PCIDevice *vtd_nested_pci(const VTDNestedDevice *vdev)
{
    return vdev->bus->devices[vdev->devfn];
}

bool vtd_nested_pasid_enabled(const VTDNestedDevice *vdev)
{
    PCIDevice *pdev = vtd_nested_pci(vdev);

    return pdev && pcie_pasid_enabled(pdev);
}

bool vtd_nested_pri_enabled(const VTDNestedDevice *vdev)
{
    PCIDevice *pdev = vtd_nested_pci(vdev);

    return pdev && pcie_ats_enabled(pdev) && pcie_pri_enabled(pdev);
}

static uint32_t vtd_nested_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    VTDNestedDevice *vdev = iommufd_nested_device_opaque(dev);

    return PCI_BUILD_BDF(pci_bus_num(vdev->bus), vdev->devfn);
}

static void vtd_nested_blocked(void *opaque, IOMMUFDNestedDevice *dev,
                               uint32_t pasid, const char *why)
{
    VTDNestedDevice *vdev = iommufd_nested_device_opaque(dev);

    trace_vtd_nested_blocked(iommufd_nested_device_name(dev), vdev->sid, pasid,
                             why);
    vtd_nested_record_blocked(vdev, pasid);
}

static const IOMMUFDNestedOps vtd_nested_ops = {
    .relation = vtd_nested_relation,
    .label = vtd_nested_label,
    .page_group = vtd_nested_page_group,
    .blocked = vtd_nested_blocked,
    .shadow_next = vtd_nested_ss_next,
    .shadow_late = vtd_nested_shadow_late,
    .go_on = vtd_nested_inv_go_on,
};

static void vtd_nested_machine_done(Notifier *notifier, void *data)
{
    VTDNested *n = container_of(notifier, VTDNested, machine_done);

    iommufd_nested_check_order(TYPE_INTEL_IOMMU_DEVICE, &error_fatal);
    vtd_nested_caps_freeze(n);
}

/*
 * Before vfio lets a device go that was migrated, which it does in the same
 * phase, with a higher priority: its first DMA must not meet the stage 2.
 */
static void vtd_nested_vm_prepare(void *opaque, bool running, RunState state)
{
    VTDNested *n = opaque;

    if (running && n->stale) {
        n->stale = false;
        vtd_nested_sync_all(n);
        vtd_nested_inv_loaded(n);
    }
}

static void vtd_nested_vm_state(void *opaque, bool running, RunState state)
{
    VTDNested *n = opaque;

    iommufd_nested_set_running(n->core, running);
}

bool vtd_nested_realize(IntelIOMMUState *s, Error **errp)
{
    IOMMUFDNestedConfig config = {
        .name = TYPE_INTEL_IOMMU_DEVICE,
        .inv_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
        .inv_len = sizeof(struct iommu_hwpt_vtd_s1_invalidate),
        .inv_everything = &vtd_nested_everything,
        .max_hwpts = s->max_hwpts ? s->max_hwpts : HWPTS,
        .max_hwpts_hint = "A guest that needs more takes a larger max-hwpts",
        .guard = &DEVICE(s)->mem_reentrancy_guard,
        .commands = vtd_nested_commands,
        .num_commands = VTD_NESTED_CMD__MAX,
    };
    bool by_fsts = vtd_nested_is_by_fsts(s);
    VTDNested *n;

    if (s->nested_mode == ON_OFF_AUTO_OFF && !by_fsts) {
        return vtd_nested_caps_realize_off(s, errp);
    }
    if (s->max_hwpts > HWPTS_MAX) {
        error_setg(errp, "max-hwpts=%" PRIu32 " is more than %u, the domain "
                   "ids that an IOMMU can have", s->max_hwpts, HWPTS_MAX);
        return false;
    }

    n = g_new0(VTDNested, 1);
    n->s = s;
    n->by_fsts = by_fsts;
    QTAILQ_INIT(&n->dirty);
    s->nested = n;
    n->devices = g_hash_table_new(vtd_nested_device_hash,
                                  vtd_nested_device_equal);
    n->dirty_domains = g_hash_table_new(NULL, NULL);
    if (!vtd_nested_caps_realize(n, errp)) {
        g_hash_table_destroy(n->dirty_domains);
        g_hash_table_destroy(n->devices);
        g_free(n);
        s->nested = NULL;
        return false;
    }
    /* The vIOMMU is not hot-pluggable and stays to the end: no counterpart */
    n->core = iommufd_nested_new(&config, &vtd_nested_ops, n);
    n->vm_state = qemu_add_vm_change_state_handler_prio_full(
        vtd_nested_vm_state, vtd_nested_vm_prepare, NULL, n, 0);
    /* Called before the firmware tables are built: the last one added first */
    n->machine_done.notify = vtd_nested_machine_done;
    qemu_add_machine_init_done_notifier(&n->machine_done);
    return true;
}

bool vtd_nested_active(IntelIOMMUState *s)
{
    return s->nested && s->nested->active;
}

bool vtd_nested_ptlb(IntelIOMMUState *s)
{
    return vtd_nested_active(s) || s->pasid_bits;
}

bool vtd_nested_announces(IntelIOMMUState *s)
{
    return s->caching_mode && (!vtd_nested_active(s) || s->ssts);
}

int vtd_nested_announced(VTDAddressSpace *vtd_as, int ret)
{
    IntelIOMMUState *s = vtd_as->iommu_state;
    VTDNested *n = s->nested;
    uint16_t sid = PCI_BUILD_BDF(pci_bus_num(vtd_as->bus), vtd_as->devfn);
    VTDNestedContext ctx;
    VTDNestedEntry entry;
    Error *err = NULL;
    bool first_stage;

    if (!n || !(n->active || n->by_fsts)) {
        return ret;
    }
    vtd_nested_read_context(s, sid, &ctx);
    entry = ctx.entry;
    if (ctx.scalable && vtd_as->pasid == PCI_NO_PASID) {
        vtd_nested_read_rid(s, &ctx, &entry);
    } else if (ctx.scalable) {
        vtd_nested_read_pasid(s, &ctx, vtd_as->pasid, &entry);
    }
    first_stage = entry.state == IOMMUFD_NESTED_STAGE1;
    if (first_stage && !vtd_as->first_stage_told) {
        error_setg(&err, "device %02x:%02x.%x follows what the guest "
                   "announces, which is nothing for first-stage tables: its "
                   "DMA is blocked", pci_bus_num(vtd_as->bus),
                   PCI_SLOT(vtd_as->devfn), PCI_FUNC(vtd_as->devfn));
        error_append_hint(&err, "Linux as guest has second-stage tables with "
                          "intel_iommu=sm_off\n");
        iommufd_nested_tell(&n->told_follower, err);
    }
    vtd_as->first_stage_told = first_stage;
    if (!first_stage && !n->active) {
        /* The base knows all other tables that there can be */
        return ret;
    }
    return !ret && entry.state == IOMMUFD_NESTED_SHADOW ?
           0 : -VTD_FR_CONTEXT_ENTRY_P;
}

/*
 * Can a device that is not fit for nesting follow what the guest announces, as
 * behind any vIOMMU with caching mode? Where nesting was asked for, that is:
 * with nested=auto it is a reason to do without.
 */
static bool vtd_nested_follows(VTDNested *n)
{
    return n->active && (n->decided || n->frozen) &&
           vtd_nested_announces(n->s);
}

static void vtd_nested_warn_follower(const char *name, const char *why)
{
    warn_report("%s cannot be nested: %s. It follows second-stage tables of "
                "the guest, and its DMA is blocked where the guest has "
                "first-stage ones", name, why);
}

/* The mappings that it follows are those of second-stage tables */
static bool vtd_nested_check_follower(IntelIOMMUState *s,
                                      HostIOMMUDevice *hiod, Error **errp)
{
    ERRP_GUARD();
    unsigned width = vtd_nested_ss_width(s);
    int host = HOST_IOMMU_DEVICE_GET_CLASS(hiod)->get_cap(
        hiod, HOST_IOMMU_DEVICE_CAP_AW_BITS, errp);

    if (host < 0) {
        return false;
    }
    if (width > host) {
        error_setg(errp, "property 'ss-aw-bits' is %u for the guest, but the "
                   "host has %d for device %s, which follows second-stage "
                   "tables", width, host, hiod->name);
        error_append_hint(errp, "The least is ss-aw-bits=%u\n",
                          VTD_HOST_AW_48BIT);
        return false;
    }
    return true;
}

void vtd_nested_reset(IntelIOMMUState *s)
{
    VTDNested *n = s->nested;
    VTDNestedDevice *vdev;
    GHashTableIter iter;

    if (!n || !n->active || !n->frozen) {
        return;
    }
    n->stale = false;
    vtd_nested_inv_forget(n);
    n->told_inv = n->told_label = (IOMMUFDNestedTold) {};
    g_hash_table_iter_init(&iter, n->devices);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&vdev)) {
        vdev->told = vdev->told_kind = (IOMMUFDNestedTold) {};
    }
    iommufd_nested_reset(n->core);
    vtd_nested_relabel(n);
}

int vtd_nested_pre_save(void *opaque)
{
    IntelIOMMUState *s = opaque;

    if (s->nested && s->nested->active) {
        iommufd_nested_quiesce(s->nested->core);
        vtd_nested_asked_save(s->nested, false);
    }
    return 0;
}

/* Behind all registers, as part of the same state */
static int vtd_nested_post_save(void *opaque)
{
    IntelIOMMUState *s = opaque;

    vtd_nested_asked_save(s->nested, true);
    return 0;
}

static bool vtd_nested_needed(void *opaque)
{
    return vtd_nested_active(opaque);
}

static bool vtd_nested_regs_loaded(VTDNested *n)
{
    return vtd_nested_caps_loaded(n, vtd_nested_reg64(n->s, DMAR_CAP_REG),
                                  vtd_nested_reg64(n->s, DMAR_ECAP_REG));
}

static int vtd_nested_state_post_load(void *opaque, int version_id)
{
    IntelIOMMUState *s = opaque;
    VTDNested *n = s->nested;

    if (!n || !(n->active || n->by_fsts)) {
        error_report("intel-iommu: the guest comes from nested=on, but here it "
                     "is off");
        return -EINVAL;
    }
    /* Without a device yet, nobody has looked at the registers */
    return n->active || vtd_nested_regs_loaded(n) ? 0 : -EINVAL;
}

const VMStateDescription vmstate_vtd_nested = {
    .name = "iommu-intel/nested",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vtd_nested_needed,
    .post_load = vtd_nested_state_post_load,
    .post_save = vtd_nested_post_save,
    .fields = (const VMStateField[]) {
        VMSTATE_END_OF_LIST()
    }
};

int vtd_nested_post_load(IntelIOMMUState *s)
{
    VTDNested *n = s->nested;

    if (!n || !n->active) {
        return 0;
    }
    if (!vtd_nested_regs_loaded(n)) {
        return -EINVAL;
    }
    vtd_nested_inv_forget(n);
    /* Bridges, and with them bus numbers, are loaded after us */
    n->stale = true;
    iommufd_nested_inv_owe(n->core);
    return 0;
}

bool vtd_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                            const char *name,
                            const IOMMUFDNestedHostInfo *info,
                            IOMMUFDNestedParent *parent, Error **errp)
{
    IntelIOMMUState *s = opaque;
    VTDNested *n = s->nested;
    const uint64_t needed = VTD_ECAP_SMTS | VTD_ECAP_FLTS | VTD_ECAP_NEST;
    static const IOMMUFDNestedTrial trial = {
        .parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
        .parent_needs = "that takes Linux 6.7, with intel_iommu=on,sm_on on "
                        "its command line",
    };
    g_autofree char *tried = NULL;
    const char *why;

    if (!n || !(n->active || n->by_fsts)) {
        return true;
    }
    if (n->by_fsts) {
        if (info->mdev && !n->active) {
            /* The base's, as long as nobody is nested */
            return true;
        }
        if (!vtd_nested_caps_by_fsts(n, name, errp)) {
            return false;
        }
    }
    why = pci_nested_unfit(bus, devfn, NULL, info);
    if (why && vtd_nested_follows(n)) {
        if (info->mdev) {
            /* There will be no set_iommu_device() */
            vtd_nested_warn_follower(name, why);
        }
        return true;
    }
    if (!why && info->type != IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        why = "the host's IOMMU is not VT-d";
    }
    if (!why && (info->vendor.vtd.ecap_reg & needed) != needed) {
        why = "the host's IOMMU lacks scalable mode, first-stage or nested "
              "translation";
    }
    if (!why && !iommufd_nested_try(info, &trial, &tried, errp)) {
        return false;
    }
    if (why || tried) {
        if (!vtd_nested_caps_refuse(n, name, why ?: tried, errp)) {
            return false;
        }
        if (info->mdev) {
            /* There will be no set_iommu_device() */
            vtd_nested_caps_shadow(n, NULL);
        }
        return true;
    }
    if (!vtd_nested_caps_check(n, name, info, errp) ||
        !iommufd_nested_try_attach(info, s->pasid ? info->max_pasid_log2 : 0,
                                   s->svm, &parent->lacks, errp)) {
        return false;
    }

    parent->as = &address_space_memory;
    parent->flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
    if (s->pasid && info->max_pasid_log2) {
        parent->flags |= IOMMU_HWPT_ALLOC_PASID;
    }
    parent->no_readonly = info->vendor.vtd.flags &
                          IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17;
    return true;
}

static bool vtd_nested_add(VTDNested *n, PCIBus *bus, int devfn,
                           HostIOMMUDeviceIOMMUFD *idev,
                           const IOMMUFDNestedHostInfo *info, Error **errp)
{
    VTDNestedDevice *vdev = g_new0(VTDNestedDevice, 1);

    vdev->n = n;
    vdev->bus = bus;
    vdev->devfn = devfn;
    vdev->info = *info;
    vdev->dev = iommufd_nested_device_add(n->core, idev, vdev, errp);
    if (!vdev->dev) {
        g_free(vdev);
        return false;
    }
    n->active = true;
    g_hash_table_add(n->devices, vdev);
    /*
     * A device that appears while translation is on is blocked until the
     * guest gives it entries. That it cannot be blocked is no error here: the
     * core has said so, and detached it.
     */
    vtd_nested_sync_claims(n, bus, devfn);
    return true;
}

bool vtd_nested_set_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 HostIOMMUDevice *hiod, bool *handled,
                                 Error **errp)
{
    VTDNested *n = s->nested;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedHostInfo info;
    const char *why;

    *handled = false;
    if (!n && s->flts) {
        error_setg(errp, "fsts=on: the first-stage tables of %s are walked by "
                   "the host, which nested=off forbids: leave it out",
                   hiod->name);
        return false;
    }
    if (!n) {
        return true;
    }
    why = n->active || n->by_fsts ?
          pci_nested_unfit(bus, devfn, hiod, NULL) : NULL;
    /* One without iommufd= comes here first: what it follows is announced */
    if (why && n->by_fsts && s->ssts &&
        !vtd_nested_caps_by_fsts(n, hiod->name, errp)) {
        return false;
    }
    if (why && vtd_nested_follows(n)) {
        vtd_nested_warn_follower(hiod->name, why);
        return vtd_nested_check_follower(s, hiod, errp);
    }
    if (why && !vtd_nested_caps_refuse(n, hiod->name, why, errp)) {
        return false;
    }
    if (!n->active && !n->by_fsts) {
        vtd_nested_caps_shadow(n, hiod);
        return true;
    }

    idev = HOST_IOMMU_DEVICE_IOMMUFD(hiod);
    if (!iommufd_nested_host_info(idev, &info, errp)) {
        return false;
    }
    *handled = true;
    return vtd_nested_add(n, bus, devfn, idev, &info, errp);
}

bool vtd_nested_unset_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn)
{
    VTDNestedDevice *vdev = s->nested ?
                            vtd_nested_device(s->nested, bus, devfn) : NULL;

    if (!vdev) {
        return false;
    }
    g_hash_table_remove(s->nested->devices, vdev);
    vtd_nested_look_no_more(s->nested, vdev);
    iommufd_nested_device_remove(vdev->dev);
    g_free(vdev);
    vtd_nested_sync_claims(s->nested, bus, devfn);
    return true;
}

bool vtd_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                             PCINestedFeatures *features)
{
    IntelIOMMUState *s = opaque;
    VTDNested *n = s->nested;
    VTDNestedDevice *vdev = n ? vtd_nested_device(n, bus, devfn) : NULL;
    bool no_ats, no_pri;

    if (!vdev) {
        return false;
    }
    no_ats = vdev->info.caps & IOMMUFD_NESTED_CAP_NO_ATS;
    no_pri = no_ats || vdev->info.lacks & IOMMUFD_NESTED_LACKS_PAGE_REQUESTS;
    *features = (PCINestedFeatures) {
        .pasid_exec = vdev->info.caps & IOMMU_HW_CAP_PCI_PASID_EXEC,
        .pasid_priv = vdev->info.caps & IOMMU_HW_CAP_PCI_PASID_PRIV,
        .ats = X86_IOMMU_DEVICE(s)->dt_supported && !no_ats,
        .no_ats = no_ats ? "the host does not use it" : NULL,
        .pri = s->svm && !no_pri,
        .no_pri = s->svm && no_pri ? "the host serves none of it" : NULL,
    };
    if (s->pasid && (vdev->info.parent_flags & IOMMU_HWPT_ALLOC_PASID)) {
        if (vdev->info.lacks & IOMMUFD_NESTED_LACKS_PASIDS) {
            features->no_pasid = "its driver on the host attaches none "
                                 "(VFIO_DEVICE_ATTACH_PASID)";
        } else {
            features->pasid_bits = MIN(vdev->info.max_pasid_log2,
                                       n->pasid_bits);
        }
    }
    return true;
}

void vtd_nested_changed(PCIBus *bus, void *opaque, int devfn)
{
    IntelIOMMUState *s = opaque;
    VTDNested *n = s->nested;
    VTDNestedDevice *vdev;

    /* When all of the machine is reset, the vIOMMU will be, as the last one */
    if (!n || n->stale || device_is_in_reset(DEVICE(s))) {
        return;
    }
    vdev = vtd_nested_device(n, bus, devfn);
    /* A bridge: who is behind it has another requester id now */
    vtd_nested_ask_device(n, vdev);
}
