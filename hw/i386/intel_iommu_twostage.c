/*
 * Intel VT-d as the IOMMU of an emulated host that can nest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qapi/error.h"
#include "hw/pci/pci_bridge.h"
#include "system/address-spaces.h"
#include "intel_iommu_twostage.h"
#include "trace.h"

#define CAP_SAGAW_57        (0x8ULL << VTD_CAP_SAGAW_SHIFT)
#define CAP_FS5LP           (1ULL << 60)
#define ECAP_C              (1ULL << 0)
#define ECAP_NEST           (1ULL << 26)
#define ECAP_EAFS           (1ULL << 34)
#define ECAP_PSS_SHIFT      35
#define ECAP_PSS_MASK       (0x1fULL << ECAP_PSS_SHIFT)
#define ECAP_PDS            (1ULL << 42)
#define ECAP_SSADS          (1ULL << 45)
#define ECAP_SMPWC          (1ULL << 48)
#define ECAP_RPS            (1ULL << 49)

#define AW_57               57

bool vtd_twostage_check_config(IntelIOMMUState *s, Error **errp)
{
    X86IOMMUState *x86_iommu = X86_IOMMU_DEVICE(s);
    VTDTwoStage *ts = &s->twostage;

    if (!s->scalable_mode || !s->dma_drain || !x86_iommu->dma_translation) {
        error_setg(errp, "host-nesting needs x-scalable-mode=on, "
                   "dma-drain=on and dma-translation=on");
        return false;
    }
    if (s->flts) {
        error_setg(errp, "host-nesting lets each PASID entry choose its "
                   "stages: x-flts=on contradicts it");
        return false;
    }
    if (s->caching_mode || s->snoop_control) {
        error_setg(errp, "host-nesting plays bare metal: caching-mode=on and "
                   "snoop-control=on are for shadowed devices (host-sc is the "
                   "same capability)");
        return false;
    }
    if (s->aw_bits != VTD_HOST_AW_39BIT && s->aw_bits != VTD_HOST_AW_48BIT &&
        s->aw_bits != AW_57) {
        error_setg(errp, "host-nesting: aw-bits is %d, supported are %d, "
                   "%d and %d", s->aw_bits, VTD_HOST_AW_39BIT,
                   VTD_HOST_AW_48BIT, AW_57);
        return false;
    }
    if (ts->pss < 1 || ts->pss > 20) {
        error_setg(errp, "host-pasid-bits is %d, supported are 1 to 20",
                   ts->pss);
        return false;
    }
    if (ts->pri == ON_OFF_AUTO_ON && !x86_iommu->dt_supported) {
        error_setg(errp, "host-pri=on needs device-iotlb=on");
        return false;
    }
    return true;
}

bool vtd_split_write(IntelIOMMUState *s, hwaddr addr, uint64_t val,
                     unsigned size,
                     void (*write)(void *, hwaddr, uint64_t, unsigned))
{
    if (size != 8) {
        return false;
    }
    switch (addr) {
    case DMAR_FECTL_REG:
    case DMAR_IECTL_REG:
    case DMAR_IEADDR_REG:
    case DMAR_PECTL_REG:
        write(s, addr, extract64(val, 0, 32), 4);
        write(s, addr + 4, extract64(val, 32, 32), 4);
        return true;
    default:
        return false;
    }
}

static gboolean as_of_bus(gpointer key, gpointer value, gpointer bus)
{
    return ((VTDAddressSpace *)value)->bus == bus;
}

/*
 * A bridge is gone, and its bus with it: address spaces are looked for by the
 * number of their bus. Memory regions cannot be freed here: they are forgotten.
 */
static void device_gone(DeviceListener *listener, DeviceState *dev)
{
    IntelIOMMUState *s = container_of(listener, IntelIOMMUState,
                                      twostage.buses);

    if (object_dynamic_cast(OBJECT(dev), TYPE_PCI_BRIDGE)) {
        QEMU_LOCK_GUARD(&s->iommu_lock);
        g_hash_table_foreach_steal(s->vtd_address_spaces, as_of_bus,
                                   pci_bridge_get_sec_bus(PCI_BRIDGE(dev)));
    }
}

void vtd_twostage_init(IntelIOMMUState *s)
{
    VTDTwoStage *ts = &s->twostage;

    /* Keys are parts of the values */
    ts->contexts = g_hash_table_new_full(g_int64_hash, g_int64_equal,
                                         NULL, g_free);
    ts->requesters = g_hash_table_new_full(g_int64_hash, g_int64_equal,
                                           NULL, g_free);
    ts->iotlb = g_hash_table_new_full(vtd_tlb_hash, vtd_tlb_equal,
                                      NULL, g_free);
    ts->buses = (DeviceListener) { .unrealize = device_gone };
    device_listener_register(&ts->buses);
    ts->translated = g_hash_table_new(g_int64_hash, g_int64_equal);
    vtd_twostage_turn_init(s);
    vtd_twostage_fault_init(s);
}

void vtd_twostage_reset_locked(IntelIOMMUState *s)
{
    g_hash_table_remove_all(s->twostage.contexts);
    g_hash_table_remove_all(s->twostage.requesters);
    g_hash_table_remove_all(s->twostage.iotlb);
}

void vtd_twostage_cap_init(IntelIOMMUState *s)
{
    X86IOMMUState *x86_iommu = X86_IOMMU_DEVICE(s);
    VTDTwoStage *ts = &s->twostage;

    if (!ts->enabled) {
        return;
    }

    if (s->aw_bits >= AW_57) {
        s->cap |= CAP_SAGAW_57;
    }
    if (s->fs1gp) {
        s->cap |= VTD_CAP_FS1GP;
    }
    if (ts->fs5lp) {
        s->cap |= CAP_FS5LP;
    }

    s->ecap &= ~(VTD_ECAP_SRS | ECAP_PSS_MASK);
    s->ecap |= VTD_ECAP_SMTS | VTD_ECAP_FLTS | VTD_ECAP_SLTS | ECAP_NEST |
               ECAP_RPS;
    if (ts->smpwc) {
        s->ecap |= ECAP_SMPWC | ECAP_C;
    }
    if (ts->ssads) {
        s->ecap |= ECAP_SSADS;
    }
    if (ts->sc) {
        s->ecap |= VTD_ECAP_SC;
    }
    if (ts->srs) {
        s->ecap |= VTD_ECAP_SRS;
    }
    if (ts->eafs) {
        s->ecap |= ECAP_EAFS;
    }
    if (s->pasid) {
        s->ecap |= (uint64_t)(ts->pss - 1) << ECAP_PSS_SHIFT;
    }
    if (x86_iommu->dt_supported && ts->pri != ON_OFF_AUTO_OFF) {
        s->ecap |= VTD_ECAP_PRS | ECAP_PDS;
    }
}

/*
 * Conditions that a translation request is answered for by "no access": the
 * device may ask for the page and try again (7.1.3, "recoverable").
 */
static bool fault_is_recoverable(int reason)
{
    switch (reason) {
    case VTD_TS_S1_P:
    case VTD_TS_S1_ROOT_READ:
    case VTD_TS_S1_TABLE_READ:
    case VTD_TS_S1_TABLE_WRITE:
    case VTD_TS_S2_P:
    case VTD_TS_PRIVILEGE:
    case VTD_TS_WRITE:
    case VTD_TS_READ:
        return true;
    default:
        return false;
    }
}

static bool satisfies(const VTDXlate *xlate, VTDAccess acc)
{
    return (!acc.read || xlate->read) &&
           (!(acc.write || acc.want_write) || xlate->write);
}

/*
 * What is cached may be less than what the tables allow by now, and hardware
 * need not look again, as it does for a dirty bit (6.2.4).
 */
static bool cache_decides(IntelIOMMUState *s, const VTDXlate *xlate,
                          VTDAccess acc, int *reason)
{
    if (satisfies(xlate, acc)) {
        *reason = 0;
        return true;
    }
    if (!s->twostage.keep) {
        return false;
    }
    if (acc.read && !xlate->read) {
        *reason = VTD_TS_READ;
        return true;
    }
    *reason = acc.write ? VTD_TS_WRITE : 0;
    return !xlate->may_write;
}

/* Hardware may look ahead, as long as nothing shows: 8 pages around @addr */
static void translate_ahead(IntelIOMMUState *s, const VTDRequester *req,
                            uint64_t addr, bool priv)
{
    const VTDAccess read = { .priv = priv, .ahead = true };
    const VTDAccess write = { .priv = priv, .ahead = true, .want_write = true };
    uint64_t first = addr & ~MAKE_64BIT_MASK(0, 15), page;
    VTDXlate xlate;

    for (page = first; page - first < 8 * 4096; page += 4096) {
        if (!vtd_tlb_find(s, req, page, priv, &xlate) &&
            (!vtd_walk(s, req, page, write, &xlate) ||
             !vtd_walk(s, req, page, read, &xlate))) {
            vtd_tlb_add(s, req, page, priv, &xlate);
        }
    }
}

/* Returns: 0 or a fault condition, then with @fpd */
static int translate_locked(IntelIOMMUState *s, const VTDRequest *request,
                            VTDAccess acc, VTDXlate *out, bool *fpd)
{
    VTDRequester req;
    int ret;

    ret = vtd_requester_find(s, request->sid, request->pasid, acc.ats, &req);
    *fpd = req.fpd;
    if (ret) {
        return ret;
    }
    acc.priv = acc.priv || req.rid_priv;
    if (acc.priv && !req.sre) {
        return VTD_TS_PE_SRE;
    }

    if (req.pgtt == VTD_TS_PASS_THROUGH) {
        if (request->addr & ~VTD_HAW_MASK(s->aw_bits)) {
            return VTD_TS_BEYOND_MGAW;
        }
        if (request->addr >= VTD_INTERRUPT_ADDR_FIRST &&
            request->addr <= VTD_INTERRUPT_ADDR_LAST) {
            return VTD_TS_INTERRUPT;
        }
        *out = (VTDXlate) {
            .addr = request->addr, .shift = 12, .read = true, .write = true,
        };
        return 0;
    }

    if (vtd_tlb_find(s, &req, request->addr, acc.priv, out) &&
        cache_decides(s, out, acc, &ret)) {
        return ret;
    }
    ret = vtd_walk(s, &req, request->addr, acc, out);
    if (!ret) {
        vtd_tlb_add(s, &req, request->addr, acc.priv, out);
        if (s->twostage.keep) {
            translate_ahead(s, &req, request->addr, acc.priv);
        }
    }
    return ret;
}

/* Returns: whether @entry allows anything */
static bool translate(IntelIOMMUState *s, const VTDRequest *request,
                      VTDAccess acc, IOMMUTLBEntry *entry)
{
    VTDXlate xlate = { .shift = 12 };
    uint64_t mask;
    bool fpd;
    int ret;

    WITH_QEMU_LOCK_GUARD(&s->iommu_lock) {
        ret = translate_locked(s, request, acc, &xlate, &fpd);
    }
    if (ret) {
        /* The size must be told in any case: ATS, PCIe 6.0, 10.2.3.5 */
        xlate = (VTDXlate) { .shift = 12 };
        if (!acc.ats || !fault_is_recoverable(ret)) {
            vtd_twostage_fault(s, ret, fpd, request);
        }
    }

    mask = (1ULL << xlate.shift) - 1;
    entry->target_as = &address_space_memory;
    entry->iova = request->addr & ~mask;
    entry->translated_addr = xlate.addr & ~mask;
    entry->addr_mask = mask;
    entry->pasid = request->pasid;
    entry->perm = IOMMU_ACCESS_FLAG_FULL(
        xlate.read, xlate.write && (acc.write || acc.want_write), false,
        acc.priv && (xlate.read || xlate.write), false, false);
    trace_vtd_twostage_translate(request->sid, request->pasid, request->addr,
                                 entry->translated_addr, mask, entry->perm,
                                 ret);
    return entry->perm != IOMMU_NONE;
}

bool vtd_twostage_translate(VTDAddressSpace *as, hwaddr addr, bool is_write,
                            IOMMUTLBEntry *entry)
{
    const VTDRequest request = {
        .sid = PCI_BUILD_BDF(pci_bus_num(as->bus), as->devfn),
        .pasid = as->pasid, .addr = addr, .write = is_write,
        .kind = VTD_TS_UNTRANSLATED,
    };
    const VTDAccess acc = { .read = !is_write, .write = is_write };

    return translate(as->iommu_state, &request, acc, entry);
}

/* --------------------------------------------------- translated requests */

#define TYPE_VTD_TRANSLATED_REGION "vtd-translated-memory-region"

/* Stays for good: an endpoint may have kept addresses in it */
typedef struct VTDTranslated {
    uint64_t sid;
    IntelIOMMUState *s;
    IOMMUMemoryRegion region;
    AddressSpace as;
} VTDTranslated;

static AddressSpace *translated_as(IntelIOMMUState *s, uint16_t sid)
{
    uint64_t key = sid;
    VTDTranslated *t = g_hash_table_lookup(s->twostage.translated, &key);
    g_autofree char *name = NULL;

    if (!t) {
        name = g_strdup_printf("vtd-translated-%04x", sid);
        t = g_new0(VTDTranslated, 1);
        t->sid = sid;
        t->s = s;
        memory_region_init_iommu(&t->region, sizeof(t->region),
                                 TYPE_VTD_TRANSLATED_REGION, OBJECT(s), name,
                                 UINT64_MAX);
        address_space_init(&t->as, MEMORY_REGION(&t->region), name);
        g_hash_table_insert(s->twostage.translated, &t->sid, t);
    }
    return &t->as;
}

/*
 * Section 3.10: a translated address goes its way if the endpoint may have a
 * device TLB, and if it is one that could have been granted.
 */
static IOMMUTLBEntry translated(IOMMUMemoryRegion *mr, hwaddr addr,
                                IOMMUAccessFlags flag, int iommu_idx)
{
    VTDTranslated *t = container_of(mr, VTDTranslated, region);
    IntelIOMMUState *s = t->s;
    const VTDRequest request = {
        .sid = t->sid, .pasid = PCI_NO_PASID, .addr = addr,
        .write = flag & IOMMU_WO, .kind = VTD_TS_TRANSLATED,
    };
    IOMMUTLBEntry entry = {
        .target_as = &address_space_memory,
        .iova = addr & VTD_PAGE_MASK_4K,
        .translated_addr = addr & VTD_PAGE_MASK_4K,
        .addr_mask = ~VTD_PAGE_MASK_4K,
        .perm = flag,
    };
    bool fpd = false;
    int ret = 0;

    if (!s->dmar_enabled || !vtd_twostage_active(s)) {
        return entry;
    }
    ret = vtd_requester_may_bypass(s, t->sid, &fpd);
    if (!ret && addr >= VTD_INTERRUPT_ADDR_FIRST &&
        addr <= VTD_INTERRUPT_ADDR_LAST) {
        ret = VTD_TS_INTERRUPT;
    }
    if (!ret && addr & ~VTD_HAW_MASK(s->aw_bits)) {
        ret = VTD_TS_BEYOND_MGAW;
    }
    if (ret) {
        entry.perm = IOMMU_NONE;
        vtd_twostage_fault(s, ret, fpd, &request);
    }
    return entry;
}

static void translated_class_init(ObjectClass *klass, const void *data)
{
    IOMMU_MEMORY_REGION_CLASS(klass)->translate = translated;
}

static const TypeInfo translated_types[] = {
    {
        .name = TYPE_VTD_TRANSLATED_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = translated_class_init,
    },
};

DEFINE_TYPES(translated_types)

/* --------------------------------------------------- translation requests */

ssize_t vtd_twostage_ats(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                         bool priv, hwaddr addr, size_t length, bool no_write,
                         IOMMUTLBEntry *result, size_t result_length,
                         uint32_t *err_count)
{
    const VTDAccess acc = {
        .want_write = !no_write, .priv = priv, .ats = true,
    };
    IOMMUAccessFlags wanted = IOMMU_ACCESS_FLAG(true, !no_write);
    VTDRequest request = {
        .sid = sid, .pasid = pasid, .write = !no_write, .priv = priv,
        .kind = VTD_TS_TRANSLATION,
    };
    size_t n = 0, covered;

    *err_count = 0;
    while (length && n < result_length) {
        IOMMUTLBEntry *entry = &result[n++];

        request.addr = addr;
        *entry = (IOMMUTLBEntry) {
            .target_as = &address_space_memory, .pasid = pasid,
            .iova = addr & VTD_PAGE_MASK_4K,
            .addr_mask = ~VTD_PAGE_MASK_4K, .perm = IOMMU_NONE,
        };
        if (!s->dmar_enabled) {
            /* Nobody is there to answer: an Unsupported Request */
        } else if (pasid == PCI_NO_PASID && addr >= VTD_INTERRUPT_ADDR_FIRST &&
                   addr <= VTD_INTERRUPT_ADDR_LAST) {
            /* Without PASID these are interrupts: no translation (3.14) */
            vtd_twostage_fault(s, VTD_TS_INTERRUPT, false, &request);
        } else {
            translate(s, &request, acc, entry);
            entry->target_as = translated_as(s, sid);
        }
        *err_count += (entry->perm & wanted) != wanted;

        covered = entry->addr_mask + 1 - (addr & entry->addr_mask);
        addr += covered;
        length -= MIN(length, covered);
    }
    return length ? -ENOMEM : n;
}
