/*
 * SMMUv3 of an emulated host: PCI Express Address Translation Services
 *
 * Three things of an endpoint's come here (3.9): translation requests,
 * transactions with the translated addresses it got for them, and, the other
 * way, invalidations of what it keeps (its ATC), by CMD_ATC_INV and nothing
 * else.
 *
 * A stream table entry is read anew for every request, but with host-keep: the
 * architecture lets an SMMU cache it, and does not ask it to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "system/address-spaces.h"
#include "hw/pci/pci_bus.h"
#include "smmuv3-host.h"
#include "trace.h"

#define TYPE_SMMUV3_TRANSLATED_REGION "smmuv3-translated-memory-region"

/* The smallest granule, in which answers without a translation are given */
#define ATS_PAGE_MASK       0xfffULL

#define EATS_FULL           1

#define ATC_INV_SIZE(x)     extract32((x)->word[2], 0, 6)
#define ATC_INV_GLOBAL(x)   extract32((x)->word[0], 9, 1)
#define ATC_INV_SIZE_ALL    52

#define CR0_ATSCHK          (1u << 4)

/* How a translation request ends, but for success (3.9.1.2) */
typedef enum SMMUv3ATSStatus {
    ATS_SUCCESS,                /* which may grant nothing */
    ATS_UNSUPPORTED,
    ATS_ABORT,
} SMMUv3ATSStatus;

static const char *const ats_status_name[] = {
    [ATS_SUCCESS] = "success",
    [ATS_UNSUPPORTED] = "unsupported request",
    [ATS_ABORT] = "completer abort",
};

/* Notifiers of an endpoint for one PASID, or for none */
typedef struct SMMUv3ATC {
    uint32_t pasid;
    QLIST_HEAD(, IOMMUNotifier) notifiers;
    QLIST_ENTRY(SMMUv3ATC) next;
} SMMUv3ATC;

/* An endpoint that has used ATS; lives as long as its SMMUDevice */
typedef struct SMMUv3ATSDevice {
    SMMUDevice *sdev;
    IOMMUMemoryRegion region;   /* of translated addresses */
    AddressSpace as;
    QLIST_HEAD(, SMMUv3ATC) atcs;
} SMMUv3ATSDevice;

/* NULL: there is no such device, or there is no ATS */
static SMMUv3ATSDevice *smmuv3_ats_device(PCIBus *bus, void *opaque, int devfn)
{
    SMMUv3State *s = ARM_SMMUV3(opaque);
    SMMUDevice *sdev = smmuv3_host_sdev(bus, opaque, devfn);
    SMMUv3ATSDevice *dev;
    g_autofree char *name = NULL;

    if (!s->host.ats || !sdev) {
        return NULL;
    }
    if (!sdev->ats) {
        dev = g_new0(SMMUv3ATSDevice, 1);
        dev->sdev = sdev;
        QLIST_INIT(&dev->atcs);
        name = g_strdup_printf("%s-translated",
                               sdev->iommu.parent_obj.name);
        memory_region_init_iommu(&dev->region, sizeof(dev->region),
                                 TYPE_SMMUV3_TRANSLATED_REGION, OBJECT(s),
                                 name, UINT64_MAX);
        address_space_init(&dev->as, MEMORY_REGION(&dev->region), name);
        sdev->ats = dev;
    }
    return sdev->ats;
}

/* ----------------------------------------------------------- permission */

static SMMUv3ATSStatus smmuv3_ats_bad(SMMUEventInfo *event)
{
    event->type = SMMU_EVT_F_BAD_ATS_TREQ;
    return ATS_UNSUPPORTED;
}

/* Whether the stream may have translations at all; with an event or without */
static SMMUv3ATSStatus smmuv3_ats_permitted(SMMUv3State *s,
                                            SMMUEventInfo *event)
{
    SMMUTransCfg cfg = { };
    SMMUEventInfo quiet = { .sid = event->sid, .inval_ste_allowed = true };
    STE ste;

    if (!smmu_enabled(s)) {
        return smmuv3_ats_bad(event);
    }
    if (smmuv3_keep_ste(s, event->sid, &ste, &quiet) ||
        decode_ste(s, &cfg, &ste, &quiet)) {
        return ATS_ABORT;
    }
    if (cfg.aborted) {
        return ATS_UNSUPPORTED;
    }
    if (cfg.bypassed || STE_EATS(&ste) != EATS_FULL) {
        return smmuv3_ats_bad(event);
    }
    return ATS_SUCCESS;
}

/* --------------------------------------------------- translation requests */

/*
 * Faults of the translation itself grant nothing, and the endpoint may ask
 * its driver for the page. No type means one that CD.R or STE.S2R keeps out
 * of the event queue.
 */
static SMMUv3ATSStatus smmuv3_ats_fault(SMMUEventType type)
{
    switch (type) {
    case SMMU_EVT_NONE:
    case SMMU_EVT_F_TRANSLATION:
    case SMMU_EVT_F_ADDR_SIZE:
    case SMMU_EVT_F_ACCESS:
    case SMMU_EVT_F_PERMISSION:
        return ATS_SUCCESS;
    default:
        return ATS_ABORT;
    }
}

/* S1DSS leaves stage 1 out, and there is no stage 2 (13.6.4) */
static SMMUv3ATSStatus smmuv3_ats_identity(SMMUv3State *s,
                                           IOMMUTLBEntry *entry)
{
    unsigned oas = oas2bits(FIELD_EX32(s->idr[5], IDR5, OAS));

    if (!(entry->iova >> oas)) {
        entry->translated_addr = entry->iova;
        entry->perm = IOMMU_RW;
    }
    return ATS_SUCCESS;
}

/* @entry: iova and mask of a page, without permission; amended on success */
static SMMUv3ATSStatus smmuv3_ats_translate(SMMUv3State *s, SMMUDevice *sdev,
                                            SMMUEventInfo *event, bool priv,
                                            bool write, IOMMUTLBEntry *entry)
{
    SMMUEventInfo fault = *event;
    SMMUv3ATSStatus status = smmuv3_ats_permitted(s, event);
    hwaddr addr = entry->iova;
    SMMUTLBEntry *tlbe;
    SMMUTransCfg *cfg;

    if (status != ATS_SUCCESS) {
        return status;
    }
    cfg = smmuv3_get_config(sdev, &fault);
    if (!cfg) {
        return smmuv3_ats_fault(fault.type);
    }
    if (cfg->bypassed) {
        return smmuv3_ats_identity(s, entry);
    }
    cfg->unprivileged = !priv;
    /* Of a page that can only be written, writing is what is granted */
    if (smmuv3_keep_request(s, addr, cfg, &fault, IOMMU_RO, &tlbe,
                            SMMU_CLASS_IN) != SMMU_TRANS_SUCCESS &&
        (!write ||
         smmuv3_do_translate(s, addr, cfg, &fault, IOMMU_WO, &tlbe,
                             SMMU_CLASS_IN) != SMMU_TRANS_SUCCESS)) {
        return smmuv3_ats_fault(fault.type);
    }
    entry->perm = smmu_tlbe_perm(cfg, tlbe);
    if (entry->perm != IOMMU_NONE) {
        entry->addr_mask = tlbe->entry.addr_mask;
        entry->iova = addr & ~entry->addr_mask;
        entry->translated_addr = tlbe->entry.translated_addr;
    }
    return ATS_SUCCESS;
}

static void smmuv3_ats_request_one(SMMUv3ATSDevice *dev, uint32_t pasid,
                                   bool priv, bool write, hwaddr addr,
                                   IOMMUTLBEntry *entry)
{
    SMMUDevice *sdev = dev->sdev;
    SMMUv3State *s = sdev->smmu;
    SMMUEventInfo event = {
        .sid = smmu_get_sid(sdev),
        .ssv = pasid != PCI_NO_PASID,
        .ssid = pasid != PCI_NO_PASID ? pasid : 0,
        .inval_ste_allowed = true,
    };
    SMMUv3ATSStatus status;

    *entry = (IOMMUTLBEntry) {
        .target_as = &dev->as,
        .iova = addr & ~ATS_PAGE_MASK,
        .addr_mask = ATS_PAGE_MASK,
        .perm = IOMMU_NONE,
        .pasid = pasid,
    };
    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        status = smmuv3_ats_translate(s, sdev, &event, priv, write, entry);
    }
    if (!write) {
        /* Nothing is told of dirty pages, so none may become one unasked */
        entry->perm &= ~IOMMU_WO;
    }
    if (event.type != SMMU_EVT_NONE) {
        event.u.f_transl_forbidden.addr = entry->iova;
        smmuv3_record_event(s, &event);
    }
    trace_smmuv3_ats_request(event.sid, pasid, addr, write, entry->perm,
                             entry->translated_addr, entry->addr_mask,
                             ats_status_name[status]);
}

ssize_t smmuv3_ats_request(PCIBus *bus, void *opaque, int devfn,
                           uint32_t pasid, bool priv_req, bool exec_req,
                           hwaddr addr, size_t length, bool no_write,
                           IOMMUTLBEntry *result, size_t result_length,
                           uint32_t *err_count)
{
    SMMUv3ATSDevice *dev = smmuv3_ats_device(bus, opaque, devfn);
    IOMMUAccessFlags wanted = IOMMU_ACCESS_FLAG(true, !no_write);
    /* Privilege is a part of the PASID prefix (13.7) */
    bool priv = priv_req && pasid != PCI_NO_PASID;
    size_t n = 0, covered;

    if (!dev) {
        return -ENODEV;
    }
    *err_count = 0;
    while (length && n < result_length) {
        IOMMUTLBEntry *entry = &result[n++];

        smmuv3_ats_request_one(dev, pasid, priv, !no_write, addr, entry);
        *err_count += (entry->perm & wanted) != wanted;
        covered = entry->addr_mask + 1 - (addr & entry->addr_mask);
        addr += covered;
        length -= MIN(length, covered);
    }
    return length ? -ENOMEM : n;
}

/* ------------------------------------------------ translated transactions */

/* Whether one may pass (3.9.1.3); if not, with an event or without */
static bool smmuv3_ats_pass(SMMUv3State *s, hwaddr addr, SMMUEventInfo *event)
{
    unsigned oas = oas2bits(FIELD_EX32(s->idr[5], IDR5, OAS));
    SMMUv3ATSStatus status = ATS_SUCCESS;

    if (!smmu_enabled(s) || s->cr[0] & CR0_ATSCHK) {
        status = smmuv3_ats_permitted(s, event);
    }
    if (event->type == SMMU_EVT_F_BAD_ATS_TREQ) {
        event->type = SMMU_EVT_F_TRANS_FORBIDDEN;
    }
    return status == ATS_SUCCESS && !(addr >> oas);
}

static IOMMUTLBEntry smmuv3_ats_translated(IOMMUMemoryRegion *mr, hwaddr addr,
                                           IOMMUAccessFlags flag,
                                           int iommu_idx)
{
    SMMUv3ATSDevice *dev = container_of(mr, SMMUv3ATSDevice, region);
    SMMUv3State *s = dev->sdev->smmu;
    SMMUEventInfo event = {
        .sid = smmu_get_sid(dev->sdev), .inval_ste_allowed = true,
    };
    IOMMUTLBEntry entry = {
        .target_as = &address_space_memory,
        .iova = addr & ~ATS_PAGE_MASK,
        .translated_addr = addr & ~ATS_PAGE_MASK,
        .addr_mask = ATS_PAGE_MASK,
        .perm = flag,
    };
    bool pass;

    WITH_QEMU_LOCK_GUARD(&s->mutex) {
        pass = smmuv3_ats_pass(s, addr, &event);
    }
    if (!pass) {
        entry.perm = IOMMU_NONE;
        event.u.f_transl_forbidden.addr = addr;
        event.u.f_transl_forbidden.rnw = !(flag & IOMMU_WO);
        trace_smmuv3_ats_forbidden(event.sid, addr, flag);
        smmuv3_record_event(s, &event);
    }
    return entry;
}

/* ---------------------------------------------------------- invalidations */

void smmuv3_ats_get_info(void *opaque, uint8_t *addr_width,
                         uint32_t *min_page_size)
{
    *addr_width = 48;
    *min_page_size = ATS_PAGE_MASK + 1;
}

void smmuv3_ats_init_notifier(PCIBus *bus, void *opaque, int devfn,
                              IOMMUNotifier *n, IOMMUNotify fn,
                              void *user_opaque)
{
    n->opaque = user_opaque;
    iommu_notifier_init(n, fn, IOMMU_NOTIFIER_DEVIOTLB_UNMAP, 0, HWADDR_MAX,
                        0);
}

void smmuv3_ats_register_notifier(PCIBus *bus, void *opaque, int devfn,
                                  uint32_t pasid, IOMMUNotifier *n)
{
    SMMUv3ATSDevice *dev = smmuv3_ats_device(bus, opaque, devfn);
    SMMUv3ATC *atc;

    if (!dev) {
        return;
    }
    QLIST_FOREACH(atc, &dev->atcs, next) {
        if (atc->pasid == pasid) {
            break;
        }
    }
    if (!atc) {
        atc = g_new0(SMMUv3ATC, 1);
        atc->pasid = pasid;
        QLIST_INSERT_HEAD(&dev->atcs, atc, next);
    }
    QLIST_INSERT_HEAD(&atc->notifiers, n, node);
}

void smmuv3_ats_unregister_notifier(PCIBus *bus, void *opaque, int devfn,
                                    uint32_t pasid, IOMMUNotifier *n)
{
    SMMUv3ATSDevice *dev = smmuv3_ats_device(bus, opaque, devfn);
    SMMUv3ATC *atc, *next;

    if (!dev || !QLIST_IS_INSERTED(n, node)) {
        return;
    }
    QLIST_SAFE_REMOVE(n, node);
    QLIST_FOREACH_SAFE(atc, &dev->atcs, next, next) {
        if (atc->pasid == pasid && QLIST_EMPTY(&atc->notifiers)) {
            QLIST_REMOVE(atc, next);
            g_free(atc);
        }
    }
}

/*
 * Without a PASID all translations in the range go, whatever PASID they were
 * got with, which Linux relies on; Global means those of all PASIDs (PCI
 * Express 6, 10.3.8).
 */
static bool smmuv3_atc_selected(const SMMUv3ATC *atc, const Cmd *cmd)
{
    if (!CMD_SSV(cmd)) {
        return true;
    }
    return ATC_INV_GLOBAL(cmd) ? atc->pasid != PCI_NO_PASID :
                                 atc->pasid == CMD_SSID(cmd);
}

/*
 * The endpoint has done it when this returns: a CMD_SYNC has nothing to wait
 * for, and there is no CERROR_ATC_INV_SYNC.
 */
SMMUCmdError smmuv3_ats_invalidate(SMMUv3State *s, const Cmd *cmd)
{
    unsigned size = ATC_INV_SIZE(cmd);
    uint64_t mask = size >= ATC_INV_SIZE_ALL ? UINT64_MAX :
                    MAKE_64BIT_MASK(0, size + 12);
    uint32_t sid = CMD_SID(cmd);
    IOMMUTLBEvent event = {
        .type = IOMMU_NOTIFIER_DEVIOTLB_UNMAP,
        .entry = {
            .target_as = &address_space_memory,
            .iova = CMD_ADDR(cmd) & ~mask,
            .addr_mask = mask,
            .perm = IOMMU_NONE,
        },
    };
    SMMUDevice *sdev;
    SMMUv3ATC *atc;
    IOMMUNotifier *n;

    if (!s->host.ats) {
        /* ILLEGAL, and ignored by the emulation at all times */
        return SMMU_CERROR_NONE;
    }
    if (size > ATC_INV_SIZE_ALL) {
        return SMMU_CERROR_ILL;
    }
    trace_smmuv3_ats_invalidate(sid, CMD_SSV(cmd), CMD_SSID(cmd),
                                ATC_INV_GLOBAL(cmd), event.entry.iova, size);
    sdev = sid <= UINT16_MAX ? smmu_find_sdev(&s->smmu_state, sid) : NULL;
    if (!smmu_enabled(s) || !sdev || !sdev->ats) {
        return SMMU_CERROR_NONE;
    }
    QLIST_FOREACH(atc, &sdev->ats->atcs, next) {
        if (smmuv3_atc_selected(atc, cmd)) {
            event.entry.pasid = atc->pasid;
            QLIST_FOREACH(n, &atc->notifiers, node) {
                memory_region_notify_iommu_one(n, &event);
            }
        }
    }
    return SMMU_CERROR_NONE;
}

static void smmuv3_translated_class_init(ObjectClass *klass, const void *data)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

    imrc->translate = smmuv3_ats_translated;
}

static const TypeInfo smmuv3_ats_types[] = {
    {
        .name = TYPE_SMMUV3_TRANSLATED_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = smmuv3_translated_class_init,
    },
};

DEFINE_TYPES(smmuv3_ats_types)
