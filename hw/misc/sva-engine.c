/*
 * SVA engine: an endpoint that works on the virtual memory of processes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * docs/specs/sva-engine.rst says what it does. This file is the PCI function
 * around it: capabilities, resets, configuration space.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/range.h"
#include "qemu/timer.h"
#include "hw/pci/msix.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "sva-engine.h"

#define SVA_ATS_OFFSET      0x100
#define SVA_PRI_OFFSET      0x120
#define SVA_PASID_OFFSET    0x140

#define SVA_MSIX_BAR        2
#define SVA_MSIX_BAR_SIZE   0x2000
#define SVA_MSIX_PBA        0x1000

/* Of the PASID control register, which decides what a context means */
static bool sva_touches_pasid(const SvaEngineState *s, uint32_t addr, int len)
{
    return s->pasid &&
           ranges_overlap(addr, len, SVA_PASID_OFFSET + PCI_PASID_CTRL, 2);
}

static void sva_config_write(PCIDevice *pdev, uint32_t addr, uint32_t val,
                             int len)
{
    SvaEngineState *s = SVA_ENGINE(pdev);
    bool ats = pcie_ats_enabled(pdev);
    bool pri = pcie_pri_enabled(pdev);

    if (sva_touches_pasid(s, addr, len)) {
        sva_context_disconnect_all(s);
    }
    pci_default_write_config(pdev, addr, val, len);
    if (ats && !pcie_ats_enabled(pdev)) {
        /* PCI Express 6, 10.5.1.3: translations do not outlive Enable */
        s->epoch++;
        sva_atc_flush(s);
    }
    sva_pri_config_written(s, pri);
    pcie_cap_flr_write_config(pdev, addr, val, len);
}

/* Power-on, bus and function-level reset; PCI's own part is QEMU's */
static void sva_reset_hold(Object *obj, ResetType type)
{
    SvaEngineState *s = SVA_ENGINE(obj);
    PCIDevice *pdev = PCI_DEVICE(s);

    sva_engine_reset(s);
    sva_context_disconnect_all(s);
    sva_pri_reset(s);
    if (s->ats) {
        pci_set_word(pdev->config + SVA_ATS_OFFSET + PCI_ATS_CTRL, 0);
    }
    if (s->pasid) {
        pci_set_word(pdev->config + SVA_PASID_OFFSET + PCI_PASID_CTRL, 0);
    }
    timer_del(s->timer);
}

static bool sva_check_properties(SvaEngineState *s, Error **errp)
{
    if ((s->pri || s->pasid) && !s->ats) {
        error_setg(errp, "pri=on and pasid=on need ats=on");
        return false;
    }
    if (s->pasid_bits < 1 || s->pasid_bits > PCI_EXT_CAP_PASID_MAX_WIDTH) {
        error_setg(errp, "pasid-bits must be between 1 and %d",
                   PCI_EXT_CAP_PASID_MAX_WIDTH);
        return false;
    }
    if (s->page_requests < 1 || s->page_requests > SVA_PRG_MAX) {
        error_setg(errp, "page-requests must be between 1 and %d",
                   SVA_PRG_MAX);
        return false;
    }
    if (s->queues < 1 || s->queues > SVA_QUEUES_MAX) {
        error_setg(errp, "queues must be between 1 and %d", SVA_QUEUES_MAX);
        return false;
    }
    if (!pci_bus_is_express(pci_get_bus(PCI_DEVICE(s)))) {
        error_setg(errp, "needs a PCI Express slot");
        return false;
    }
    return true;
}

static bool sva_init_msix(SvaEngineState *s, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    memory_region_init(&s->msix, OBJECT(s), "sva-engine-msix",
                       SVA_MSIX_BAR_SIZE);
    pci_register_bar(pdev, SVA_MSIX_BAR, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->msix);
    if (msix_init(pdev, s->queues, &s->msix, SVA_MSIX_BAR, 0, &s->msix,
                  SVA_MSIX_BAR, SVA_MSIX_PBA, 0, errp)) {
        return false;
    }
    for (unsigned i = 0; i < s->queues; i++) {
        msix_vector_use(pdev, i);
    }
    return true;
}

static void sva_init_capabilities(SvaEngineState *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    pcie_cap_flr_init(pdev);
    if (s->ats) {
        pcie_ats_init(pdev, SVA_ATS_OFFSET, true);
    }
    if (s->pri) {
        pcie_pri_init(pdev, SVA_PRI_OFFSET, s->page_requests,
                      s->prg_response_pasid);
    }
    if (s->pasid) {
        pcie_pasid_init(pdev, SVA_PASID_OFFSET, s->pasid_bits, false, false);
    }
}

static void sva_realize(PCIDevice *pdev, Error **errp)
{
    SvaEngineState *s = SVA_ENGINE(pdev);

    if (!sva_check_properties(s, errp)) {
        return;
    }

    memory_region_init_io(&s->mmio, OBJECT(s), &sva_mmio_ops, s, "sva-engine",
                          SVA_BAR0_SIZE);
    pci_register_bar(pdev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->mmio);
    if (pcie_endpoint_cap_init(pdev, 0) < 0) {
        error_setg(errp, "no room for the PCI Express capability");
        return;
    }
    if (!sva_init_msix(s, errp)) {
        pcie_cap_exit(pdev);
        return;
    }
    sva_init_capabilities(s);

    sva_atc_init(s);
    QLIST_INIT(&s->contexts);
    for (unsigned i = 0; i <= s->queues; i++) {
        s->channel[i].engine = s;
        s->channel[i].index = i;
        s->channel[i].group = -1;
    }
    s->rid = sva_context_get(s, PCI_NO_PASID);
    s->bh = qemu_bh_new_guarded(sva_run, s,
                                &DEVICE(s)->mem_reentrancy_guard);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, sva_pri_timer, s);
}

static void sva_exit(PCIDevice *pdev)
{
    SvaEngineState *s = SVA_ENGINE(pdev);

    sva_engine_reset(s);
    sva_context_disconnect_all(s);
    sva_context_put(s->rid);
    s->rid = NULL;
    g_clear_pointer(&s->atc, g_free);
    timer_free(s->timer);
    s->timer = NULL;
    qemu_bh_delete(s->bh);
    s->bh = NULL;
    msix_uninit(pdev, &s->msix, &s->msix);
    pcie_cap_exit(pdev);
}

/*
 * The IOMMU holds the other half of the translations and page requests, and
 * it does not migrate them.
 */
static const VMStateDescription sva_vmstate = {
    .name = TYPE_SVA_ENGINE,
    .unmigratable = 1,
};

static const Property sva_properties[] = {
    DEFINE_PROP_BOOL("ats", SvaEngineState, ats, true),
    DEFINE_PROP_BOOL("pri", SvaEngineState, pri, true),
    DEFINE_PROP_BOOL("pasid", SvaEngineState, pasid, true),
    DEFINE_PROP_BOOL("prg-response-pasid", SvaEngineState, prg_response_pasid,
                     true),
    DEFINE_PROP_BOOL("keep-translations", SvaEngineState, keep, false),
    DEFINE_PROP_BOOL("peer-to-peer", SvaEngineState, peer, false),
    DEFINE_PROP_UINT8("pasid-bits", SvaEngineState, pasid_bits, 12),
    DEFINE_PROP_UINT16("page-requests", SvaEngineState, page_requests, 64),
    DEFINE_PROP_UINT8("queues", SvaEngineState, queues, 4),
};

static void sva_class_init(ObjectClass *klass, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    pc->realize = sva_realize;
    pc->exit = sva_exit;
    pc->config_write = sva_config_write;
    pc->vendor_id = SVA_PCI_VENDOR_ID;
    pc->device_id = SVA_PCI_DEVICE_ID;
    pc->revision = 1;
    pc->class_id = PCI_CLASS_OTHERS;
    rc->phases.hold = sva_reset_hold;
    dc->desc = "Shared virtual addressing engine";
    dc->vmsd = &sva_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, sva_properties);
}

static const TypeInfo sva_types[] = {
    {
        .name = TYPE_SVA_ENGINE,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvaEngineState),
        .class_init = sva_class_init,
        .interfaces = (const InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(sva_types)
