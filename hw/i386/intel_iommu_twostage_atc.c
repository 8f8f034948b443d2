/*
 * Intel VT-d, emulated host: who has device TLBs and page requests by PASID
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * intel_iommu.c has an address space for each PASID that an endpoint was ever
 * used with, for good, and a guest has a million of them. What is of PASIDs is
 * kept here, while the endpoint wants it. Requests without PASID stay there.
 */

#include "qemu/osdep.h"
#include "system/address-spaces.h"
#include "system/memory.h"
#include "intel_iommu_twostage.h"

/* An endpoint's users of one PASID */
struct VTDAtc {
    PCIBus *bus;
    int devfn;
    uint32_t pasid;
    QLIST_HEAD(, IOMMUNotifier) notifiers;
    IOMMUPRINotifier *pri;
    QLIST_ENTRY(VTDAtc) next;
};

/* intel_iommu.c's, and ours */
static const PCIIOMMUOps *base_ops;
static PCIIOMMUOps twostage_ops;

static VTDAtc *atc_find(IntelIOMMUState *s, PCIBus *bus, int devfn,
                        uint32_t pasid)
{
    VTDAtc *atc;

    QLIST_FOREACH(atc, &s->twostage.atcs, next) {
        if (atc->bus == bus && atc->devfn == devfn && atc->pasid == pasid) {
            return atc;
        }
    }
    return NULL;
}

static VTDAtc *atc_get(IntelIOMMUState *s, PCIBus *bus, int devfn,
                       uint32_t pasid)
{
    VTDAtc *atc = atc_find(s, bus, devfn, pasid);

    if (!atc) {
        atc = g_new0(VTDAtc, 1);
        atc->bus = bus;
        atc->devfn = devfn;
        atc->pasid = pasid;
        QLIST_INSERT_HEAD(&s->twostage.atcs, atc, next);
    }
    return atc;
}

static void atc_put(VTDAtc *atc)
{
    if (QLIST_EMPTY(&atc->notifiers) && !atc->pri) {
        QLIST_REMOVE(atc, next);
        g_free(atc);
    }
}

static bool atc_of(const VTDAtc *atc, uint16_t sid)
{
    return PCI_BUILD_BDF(pci_bus_num(atc->bus), atc->devfn) == sid;
}

void vtd_atc_invalidate(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                        uint64_t first, uint64_t last)
{
    IOMMUTLBEvent event = {
        .type = IOMMU_NOTIFIER_DEVIOTLB_UNMAP,
        .entry = {
            .target_as = &address_space_memory, .iova = first,
            .addr_mask = last - first,
        },
    };
    IOMMUNotifier *n;
    VTDAtc *atc;

    QLIST_FOREACH(atc, &s->twostage.atcs, next) {
        if (atc_of(atc, sid) &&
            (pasid == VTD_ATC_ALL || pasid == atc->pasid)) {
            event.entry.pasid = atc->pasid;
            QLIST_FOREACH(n, &atc->notifiers, node) {
                memory_region_notify_iommu_one(n, &event);
            }
        }
    }
}

static IOMMUPRINotifier *atc_pri(IntelIOMMUState *s, uint16_t sid,
                                 uint32_t pasid)
{
    VTDAtc *atc;

    QLIST_FOREACH(atc, &s->twostage.atcs, next) {
        if (atc_of(atc, sid) && atc->pasid == pasid) {
            return atc->pri;
        }
    }
    return NULL;
}

void vtd_pri_respond(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                     IOMMUPRIResponse *response)
{
    IOMMUPRINotifier *notifier;
    VTDAddressSpace *as;

    if (pasid == PCI_NO_PASID) {
        as = vtd_get_as_by_sid_and_pasid(s, sid, pasid);
        notifier = as ? as->pri_notifier : NULL;
    } else {
        notifier = atc_pri(s, sid, pasid);
    }
    if (notifier) {
        notifier->notify(notifier, response);
    }
}

/* ----------------------------------------------------------- PCIIOMMUOps */

static void register_iotlb(PCIBus *bus, void *opaque, int devfn,
                           uint32_t pasid, IOMMUNotifier *n)
{
    IntelIOMMUState *s = opaque;

    if (pasid == PCI_NO_PASID) {
        base_ops->register_iotlb_notifier(bus, opaque, devfn, pasid, n);
    } else if (X86_IOMMU_DEVICE(s)->dt_supported) {
        QLIST_INSERT_HEAD(&atc_get(s, bus, devfn, pasid)->notifiers, n, node);
    }
}

static void unregister_iotlb(PCIBus *bus, void *opaque, int devfn,
                             uint32_t pasid, IOMMUNotifier *n)
{
    VTDAtc *atc = atc_find(opaque, bus, devfn, pasid);

    if (pasid == PCI_NO_PASID) {
        base_ops->unregister_iotlb_notifier(bus, opaque, devfn, pasid, n);
    } else if (atc && QLIST_IS_INSERTED(n, node)) {
        QLIST_SAFE_REMOVE(n, node);
        atc_put(atc);
    }
}

static void register_pri(PCIBus *bus, void *opaque, int devfn, uint32_t pasid,
                         IOMMUPRINotifier *notifier)
{
    if (pasid == PCI_NO_PASID) {
        base_ops->pri_register_notifier(bus, opaque, devfn, pasid, notifier);
    } else {
        atc_get(opaque, bus, devfn, pasid)->pri = notifier;
    }
}

static void unregister_pri(PCIBus *bus, void *opaque, int devfn, uint32_t pasid)
{
    VTDAtc *atc = atc_find(opaque, bus, devfn, pasid);

    if (pasid == PCI_NO_PASID) {
        base_ops->pri_unregister_notifier(bus, opaque, devfn, pasid);
    } else if (atc) {
        atc->pri = NULL;
        atc_put(atc);
    }
}

/* In legacy mode there are no PASIDs */
static ssize_t request_translation(PCIBus *bus, void *opaque, int devfn,
                                   uint32_t pasid, bool priv_req,
                                   bool exec_req, hwaddr addr, size_t length,
                                   bool no_write, IOMMUTLBEntry *result,
                                   size_t result_length, uint32_t *err_count)
{
    if (pasid != PCI_NO_PASID && !vtd_twostage_answers_ats(opaque)) {
        return -ENODEV;
    }
    return base_ops->ats_request_translation(bus, opaque, devfn, pasid,
                                             priv_req, exec_req, addr, length,
                                             no_write, result, result_length,
                                             err_count);
}

static int request_page(PCIBus *bus, void *opaque, int devfn, uint32_t pasid,
                        bool priv_req, bool exec_req, hwaddr addr, bool lpig,
                        uint16_t prgi, bool is_read, bool is_write)
{
    if (pasid != PCI_NO_PASID && !vtd_twostage_active(opaque)) {
        return -ENODEV;
    }
    return base_ops->pri_request_page(bus, opaque, devfn, pasid, priv_req,
                                      exec_req, addr, lpig, prgi, is_read,
                                      is_write);
}

const PCIIOMMUOps *vtd_twostage_iommu_ops(IntelIOMMUState *s,
                                          const PCIIOMMUOps *ops)
{
    if (!s->twostage.enabled) {
        return ops;
    }
    base_ops = ops;
    twostage_ops = *ops;
    twostage_ops.register_iotlb_notifier = register_iotlb;
    twostage_ops.unregister_iotlb_notifier = unregister_iotlb;
    twostage_ops.pri_register_notifier = register_pri;
    twostage_ops.pri_unregister_notifier = unregister_pri;
    twostage_ops.ats_request_translation = request_translation;
    twostage_ops.pri_request_page = request_page;
    return &twostage_ops;
}
