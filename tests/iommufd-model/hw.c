/*
 * Model of /dev/iommu: state of the IOMMU hardware, and what the host's
 * driver flushes when attachments and stage-2 mappings change
 *
 * Sources: Linux drivers/iommu/intel/{pasid,cache,nested}.c and
 * drivers/iommu/arm/arm-smmu-v3/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <errno.h>
#include <linux/iommufd.h>
#include <stdlib.h>
#include <string.h>

#include "hw-priv.h"

#define VTD_INTERRUPT_FIRST 0xfee00000ULL
#define VTD_INTERRUPT_LAST  0xfeefffffULL

/* Fields of an STE that IOMMU_HWPT_DATA_ARM_SMMUV3 may carry */
#define STE_V               1ULL
#define STE0_ALLOWED        (STE_V | 0xeULL | 0x30ULL | \
                             0x000fffffffffffc0ULL | 0xf800000000000000ULL)
#define STE1_ALLOWED        (0xffULL | 1ULL << 27 | 3ULL << 28)
#define STE_CFG_ABORT       0
#define STE_CFG_BYPASS      4
#define STE_CFG_S1          5

/* Pages of a stage-2 HWPT written since its log was last cleared */
typedef struct DirtyLog {
    HwCache pages;
} DirtyLog;

static const char *const reason_names[] = {
    [HW_REASON_NONE] = "none",
    [HW_REASON_BLOCKED] = "blocked",
    [HW_REASON_NOT_PRESENT] = "not-present",
    [HW_REASON_PERMISSION] = "permission",
    [HW_REASON_PRIVILEGE] = "privilege",
    [HW_REASON_RESERVED_BITS] = "reserved-bits",
    [HW_REASON_NON_CANONICAL] = "non-canonical",
    [HW_REASON_ADDR_SIZE] = "addr-size",
    [HW_REASON_ACCESS_FLAG] = "access-flag",
    [HW_REASON_BAD_STE] = "bad-ste",
    [HW_REASON_STREAM_DISABLED] = "stream-disabled",
    [HW_REASON_BAD_SUBSTREAMID] = "bad-substreamid",
    [HW_REASON_BAD_CD] = "bad-cd",
    [HW_REASON_INTERRUPT_RANGE] = "interrupt-range",
    [HW_REASON_ATS_DISABLED] = "ats-disabled",
    [HW_REASON_PRI_REFUSED] = "page-request-refused",
    [HW_REASON_RESET] = "reset",
    [HW_REASON_BAD_REQUEST] = "bad-request",
    [HW_REASON_STOPPED] = "stopped",
    [HW_REASON_BUS_MASTER] = "no-bus-master",
    [HW_REASON_STALLED] = "stalled",
};

const char *hw_reason_name(HwReason reason)
{
    return reason_names[reason];
}

bool hw_fault(HwFault *fault, const HwReq *req, int stage, HwReason reason,
              bool recoverable)
{
    *fault = (HwFault) {
        .stage = stage,
        .reason = reason,
        .addr = req->addr,
        .pasid = req->pasid,
        .recoverable = recoverable,
    };
    return false;
}

/* ------------------------------------------------------------- life times */

void hw_iommu_init(MdlIommu *iommu)
{
    MdlHw *hw = calloc(1, sizeof(*hw));

    if (!hw) {
        abort();
    }
    hw->iommu = iommu;
    hw->ids[0] = 1;             /* id 0 is the hardware's own */
    cache_init(&hw->tlb);
    cache_init(&hw->cfg);
    iommu->hw = hw;
}

void hw_iommu_fini(MdlIommu *iommu)
{
    MdlHw *hw = iommu->hw;

    if (hw) {
        cache_fini(&hw->tlb);
        cache_fini(&hw->cfg);
        free(hw);
        iommu->hw = NULL;
    }
}

static int hw_id_alloc(MdlHw *hw, unsigned nr, uint32_t *id)
{
    unsigned i;

    for (i = 0; i < nr / 64; i++) {
        if (~hw->ids[i]) {
            unsigned bit = __builtin_ctzll(~hw->ids[i]);

            hw->ids[i] |= 1ULL << bit;
            *id = i * 64 + bit;
            return 0;
        }
    }
    return -ENOSPC;
}

static void hw_id_free(MdlHw *hw, uint32_t id)
{
    hw->ids[id / 64] &= ~(1ULL << (id % 64));
}

static bool hw_is_smmu(void)
{
    return mdl_host.arch == MDL_ARCH_SMMUV3;
}

static MdlHwpt *hw_s2_of(const MdlHwpt *hwpt)
{
    if (!hwpt->nested) {
        return (MdlHwpt *)hwpt;
    }
    return hwpt->parent ? hwpt->parent : hwpt->viommu->parent;
}

uint32_t hw_s2_id(const MdlHwpt *hwpt)
{
    return hw_s2_of(hwpt)->domain_id;
}

/* arm_smmu_validate_vste(): what of the guest's STE the driver takes */
static int smmu_check_ste(MdlHwpt *hwpt)
{
    uint64_t *ste = hwpt->s1.ste;
    unsigned cfg = hw_bits(ste[0], 3, 1);

    if (!(ste[0] & STE_V)) {
        ste[0] = ste[1] = 0;
        return 0;
    }
    if ((ste[0] & ~STE0_ALLOWED) || (ste[1] & ~STE1_ALLOWED)) {
        return -EIO;
    }
    if (cfg != STE_CFG_ABORT && cfg != STE_CFG_BYPASS && cfg != STE_CFG_S1) {
        return -EIO;
    }
    return hw_bits(ste[1], 29, 28) > 1 ? -EIO : 0;
}

/*
 * A VT-d domain may serve several IOMMUs, where Linux gives it an id each;
 * one set of ids for all keeps it apart from other domains everywhere. How many
 * an IOMMU really has counts at attach, mdl_host_domain_id().
 */
static MdlHw *hw_id_space(const MdlHwpt *hwpt)
{
    unsigned i = 0;

    if (hw_is_smmu()) {
        return hwpt->iommu->hw;
    }
    while (!mdl_host.iommu[i].present) {
        i++;
    }
    return mdl_host.iommu[i].hw;
}

/* arm_smmu_domain_finalise(): an ASID for stage 1, which tags nothing here */
static int hw_domain_id(MdlHwpt *hwpt)
{
    unsigned nr = HW_MAX_IDS;

    if (hw_is_smmu()) {
        if (hwpt->first_stage) {
            hwpt->domain_id = 0;
            return 0;
        }
        nr = hwpt->iommu->idr[0] & SMMU_IDR0_VMID16 ? 65536 : 256;
    }
    return hw_id_alloc(hw_id_space(hwpt), nr, &hwpt->domain_id);
}

int hw_hwpt_init(MdlHwpt *hwpt)
{
    DirtyLog *log;
    int ret;

    if (hwpt->nested && hw_is_smmu()) {
        /* The stream is the parent's and shares its VMID */
        hwpt->domain_id = hw_s2_id(hwpt);
        return smmu_check_ste(hwpt);
    }
    ret = hw_domain_id(hwpt);
    if (ret || hwpt->nested) {
        return ret;
    }
    log = calloc(1, sizeof(*log));
    if (!log) {
        abort();
    }
    cache_init(&log->pages);
    hwpt->hw_priv = log;
    return 0;
}

void hw_hwpt_fini(MdlHwpt *hwpt)
{
    DirtyLog *log = hwpt->hw_priv;

    if (log) {
        cache_fini(&log->pages);
        free(log);
        hwpt->hw_priv = NULL;
    }
    if (hw_is_smmu() && (hwpt->nested || hwpt->first_stage)) {
        return;
    }
    /* Both drivers leave nothing tagged with an id they give back */
    if (hw_is_smmu()) {
        smmu_drop_vmid(hwpt->iommu, hwpt->domain_id);
    } else {
        vtd_drop_domain(hwpt->iommu, hwpt->domain_id);
    }
    hw_id_free(hw_id_space(hwpt), hwpt->domain_id);
}

void hw_viommu_init(MdlViommu *viommu)
{
    /* arm_vsmmu_init(): two vIOMMUs of one parent share its VMID */
    viommu->vmid = viommu->parent->domain_id;
}

void hw_viommu_fini(MdlViommu *viommu)
{
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        MdlEndpoint *ep = mdl_host.device[i]->ep;

        if (ep && ep->label_viommu == viommu) {
            ep->label_viommu = NULL;
        }
    }
}

void hw_vdevice_changed(MdlVdevice *vdev, bool added)
{
    /*
     * Commands look their StreamID up among the vIOMMU's vDEVICEs when they
     * run; a label that events carry already stays until the next attach.
     */
    mdl_journal("label", "\"dev\":\"%s\",\"viommu\":%u,\"sid\":%llu,"
                "\"added\":%s", vdev->dev->bdf, vdev->viommu->obj.id,
                (unsigned long long)vdev->virt_id, added ? "true" : "false");
}

/* ------------------------------------------------------------ attachments */

/* The HWPT the host attached to a PASID */
static MdlHwpt *hw_pasid_hwpt(const MdlDevice *dev, uint32_t pasid)
{
    const MdlPasidAttach *p;

    for (p = dev->pasids; p; p = p->next) {
        if (p->pasid == pasid && !p->blocked) {
            return p->hwpt;
        }
    }
    return NULL;
}

MdlHwpt *hw_hwpt_of(const MdlDevice *dev, uint32_t pasid)
{
    MdlHwpt *hwpt;

    /* VT-d: PASID 0 is what Linux programs as RID_PASID */
    if (pasid == MDL_NO_PASID || (pasid == 0 && !hw_is_smmu())) {
        return dev->hwpt;
    }
    hwpt = hw_pasid_hwpt(dev, pasid);
    /* SMMUv3: the guest's CD table, found through the stream, decides */
    return hwpt || !hw_is_smmu() ? hwpt : dev->hwpt;
}

bool hw_ats_enabled(const MdlDevice *dev)
{
    if (mdl_host.arch == MDL_ARCH_VTD) {
        return mdl_host_ats(dev);
    }
    return dev->ats && hw_is_smmu() && dev->ep && dev->ep->ats_on;
}

size_t hw_atc_drop(MdlDevice *dev, uint32_t pasid, uint64_t first,
                   uint64_t last)
{
    const HwDrop drop = {
        .kinds = HW_LEAF,
        .any_space = true,
        .any_ctx = pasid == MDL_NO_PASID,
        .ctx = pasid,
        .ranged = true,
        .first = first,
        .last = last,
    };

    return dev->ep ? cache_drop(&dev->ep->atc, &drop) : 0;
}

/* Is @vmid still what some attachment of @iommu translates with? */
static bool smmu_vmid_used(const MdlIommu *iommu, uint32_t vmid,
                           const MdlDevice *except)
{
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];
        const MdlPasidAttach *p;

        if (dev == except || dev->iommu != iommu) {
            continue;
        }
        if (dev->hwpt && hw_s2_id(dev->hwpt) == vmid) {
            return true;
        }
        for (p = dev->pasids; p; p = p->next) {
            if (hw_s2_id(p->hwpt) == vmid) {
                return true;
            }
        }
    }
    return false;
}

bool smmu_wants_ats(const MdlHwpt *hwpt)
{
    if (!hwpt) {
        return false;
    }
    return !hwpt->nested || hw_bits(hwpt->s1.ste[0], 3, 1) != STE_CFG_S1 ||
           hw_bits(hwpt->s1.ste[1], 29, 28) == 1;
}

/* STE.Config of abort, or no valid STE: translated transactions end as well */
bool smmu_aborts(const MdlHwpt *hwpt)
{
    unsigned cfg;

    if (!hwpt || !hwpt->nested) {
        return !hwpt;
    }
    cfg = hwpt->s1.ste[0] & STE_V ? hw_bits(hwpt->s1.ste[0], 3, 1) :
                                    STE_CFG_ABORT;
    return cfg != STE_CFG_BYPASS && cfg != STE_CFG_S1;
}

/*
 * arm_smmu_write_entry(): an STE that is written as it was is not synced, so
 * the stream's CDs stay.  A guest's CFGI_STE turned into a replacement by an
 * equal STE has no effect.
 */
static bool smmu_same_ste(const MdlHwpt *old, const MdlHwpt *new)
{
    return old && new && old->nested && new->nested &&
           hw_s2_of(old) == hw_s2_of(new) &&
           old->s1.ste[0] == new->s1.ste[0] &&
           old->s1.ste[1] == new->s1.ste[1];
}

static void smmu_attach(MdlDevice *dev, uint32_t pasid, MdlHwpt *old,
                        MdlHwpt *new)
{
    MdlEndpoint *ep = dev->ep;
    bool ats = mdl_host_ats(dev);

    if (pasid != MDL_NO_PASID) {
        hw_atc_drop(dev, pasid, 0, UINT64_MAX);
        return;
    }
    if (!smmu_same_ste(old, new)) {
        /* CFGI_STE takes the stream's CDs along */
        smmu_drop_stream(dev->iommu, dev->host_sid);
    }
    if (!dev->atc_hang) {
        /* arm_smmu_atc_inv_master(), whose failure nobody looks at */
        hw_atc_drop(dev, MDL_NO_PASID, 0, UINT64_MAX);
    }
    ep->ats_on = ats && smmu_wants_ats(new);
    ep->label_viommu = NULL;
    if (new && new->nested && dev->vdevice &&
        dev->vdevice->viommu == new->viommu) {
        ep->label_viommu = new->viommu;
        ep->label_sid = dev->vdevice->virt_id;
    }
    /* arm_smmu_install_old_domain_invs(): a VMID without users is clean */
    if (old && (!new || hw_s2_id(new) != hw_s2_id(old)) &&
        !smmu_vmid_used(dev->iommu, hw_s2_id(old), dev)) {
        smmu_drop_vmid(dev->iommu, hw_s2_id(old));
    }
}

static void vtd_attach(MdlDevice *dev, uint32_t pasid, MdlHwpt *old)
{
    /* intel_pasid_tear_down_entry(): domain-selective, device TLB with it */
    if (old) {
        vtd_drop_domain(dev->iommu, old->domain_id);
        hw_atc_drop(dev, pasid, 0, UINT64_MAX);
    }
}

void hw_attach(MdlDevice *dev, uint32_t pasid, MdlHwpt *old, MdlHwpt *new)
{
    if (hw_is_smmu()) {
        smmu_attach(dev, pasid, old, new);
    } else {
        vtd_attach(dev, pasid, old);
    }
    mdl_journal("attach-effect", "\"dev\":\"%s\",\"pasid\":%lld,"
                "\"old\":%u,\"new\":%u", dev->bdf,
                pasid == MDL_NO_PASID ? -1LL : (long long)pasid,
                old ? old->obj.id : 0, new ? new->obj.id : 0);
}

/* --------------------------------------------------------- stage 2 changes */

static void hw_unmapped_one(MdlDevice *dev, uint32_t pasid, MdlHwpt *hwpt,
                            uint64_t iova, uint64_t last)
{
    MdlHwpt *s2 = hw_s2_of(hwpt);
    DirtyLog *log = s2->hw_priv;
    const HwDrop gone = {
        .kinds = HW_LEAF,
        .any_space = true,
        .any_ctx = true,
        .ranged = true,
        .first = iova,
        .last = last,
    };

    if (log) {
        cache_drop(&log->pages, &gone);
    }
    /*
     * Entries of stage 1 hold results that went through stage 2, and carry no
     * address of it to match: they all go (NESTING_IOTLB tags of VT-d,
     * S2_VMID_S1_CLEAR of SMMUv3), and the whole device TLB with them.
     */
    if (hwpt->nested) {
        if (hw_is_smmu()) {
            smmu_drop_vmid(dev->iommu, s2->domain_id);
        } else {
            vtd_drop_domain(dev->iommu, hwpt->domain_id);
        }
        iova = 0;
        last = UINT64_MAX;
    }
    hw_atc_drop(dev, pasid, iova, last);
}

void hw_ioas_unmapped(MdlIoas *ioas, uint64_t iova, uint64_t length)
{
    uint64_t last = iova + length - 1;
    unsigned i;

    if (!length) {
        return;
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];
        MdlPasidAttach *p;

        if (dev->hwpt && hw_s2_of(dev->hwpt)->ioas == ioas) {
            hw_unmapped_one(dev, MDL_NO_PASID, dev->hwpt, iova, last);
        }
        for (p = dev->pasids; p; p = p->next) {
            if (hw_s2_of(p->hwpt)->ioas == ioas) {
                hw_unmapped_one(dev, p->pasid, p->hwpt, iova, last);
            }
        }
    }
}

int hw_s2_read64(MdlHwpt *s2, uint64_t gpa, uint64_t *value)
{
    uint64_t le;
    int ret = mdl_ioas_rw(s2->ioas, gpa, &le, sizeof(le), false);

    *value = ret ? 0 : le64toh(le);
    return ret;
}

/*
 * The atomic update of an accessed or dirty bit.
 * Returns -EAGAIN when the entry is not *@value any more; *@value is then
 * what it is now.
 */
int hw_s2_set_bits(MdlHwpt *s2, uint64_t gpa, uint64_t *value, uint64_t set)
{
    uint64_t expected = htole64(*value);
    const MdlArea *area;
    uint64_t *entry, left;

    if (!mdl_ioas_lookup(s2->ioas, gpa, &area)) {
        return -EFAULT;
    }
    if (!area->writeable) {
        return -EPERM;
    }
    /* Nobody has page tables in a BAR, and there are no atomics to it */
    if (mdl_area_is_bar(area)) {
        return -EFAULT;
    }
    entry = mdl_area_host(area, gpa, &left);
    if (!__atomic_compare_exchange_n(entry, &expected,
                                     htole64(*value | set), false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        *value = le64toh(expected);
        return -EAGAIN;
    }
    *value |= set;
    hw_dirty_mark(s2, gpa, sizeof(*entry));
    return 0;
}

bool hw_s2_fault(HwFault *fault, const HwReq *req, int err)
{
    return hw_fault(fault, req, 2, err == -EPERM ? HW_REASON_PERMISSION :
                    HW_REASON_NOT_PRESENT, true);
}

/* ------------------------------------------------------------ translation */

/* Nothing between the address and stage 2 */
static bool hw_identity(MdlHwpt *hwpt, const HwReq *req, HwXlate *xlate)
{
    *xlate = (HwXlate) {
        .out = req->addr,
        .s2 = hw_s2_of(hwpt),
        .shift = HW_PAGE_SHIFT,
        .perm = HW_PERM_R | HW_PERM_W | HW_PERM_X,
    };
    return true;
}

/* A translation request learns of a miss in stage 2 as well */
static bool hw_check_s2(const HwReq *req, const HwXlate *xlate,
                        HwFault *fault)
{
    const MdlArea *area;

    if (!req->ats) {
        return true;
    }
    if (!mdl_ioas_lookup(xlate->s2->ioas, xlate->out, &area)) {
        return hw_s2_fault(fault, req, -EFAULT);
    }
    if (req->write ? !area->writeable : !area->readable) {
        return hw_s2_fault(fault, req, -EPERM);
    }
    return true;
}

bool hw_translate(const HwReq *req, HwXlate *xlate, HwFault *fault)
{
    MdlHwpt *hwpt = hw_hwpt_of(req->dev, req->pasid);
    MdlHw *hw = req->dev->iommu->hw;
    bool ok;

    if (!hwpt) {
        return hw_fault(fault, req, 0, HW_REASON_BLOCKED, false);
    }
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        if (req->pasid == MDL_NO_PASID && req->addr >= VTD_INTERRUPT_FIRST &&
            req->addr <= VTD_INTERRUPT_LAST) {
            return hw_fault(fault, req, 0, HW_REASON_INTERRUPT_RANGE, false);
        }
        ok = hwpt->nested ? vtd_translate(hw, hwpt, req, xlate, fault) :
                            hw_identity(hwpt, req, xlate);
        break;
    case MDL_ARCH_SMMUV3:
        if (hwpt->nested) {
            ok = smmu_translate(hw, hwpt, req, xlate, fault);
        } else if (req->pasid != MDL_NO_PASID &&
                   !hw_pasid_hwpt(req->dev, req->pasid)) {
            ok = smmu_no_substreams(req, fault);
        } else {
            ok = hw_identity(hwpt, req, xlate);
        }
        break;
    default:
        /* AMD: guest tables cannot be invalidated in Linux 7.3: not walked */
        ok = hwpt->nested ? hw_fault(fault, req, 0, HW_REASON_BLOCKED,
                                     false) :
                            hw_identity(hwpt, req, xlate);
        break;
    }
    return ok && hw_check_s2(req, xlate, fault);
}

/* ---------------------------------------------------------- dirty tracking */

/*
 * A superpage has one dirty bit: where a mapping has room for it, and its
 * memory is such, as that of huge pages
 */
static unsigned hw_s2_shift(const MdlHwpt *s2, uint64_t gpa)
{
    /* What a table of 8-byte entries of its size has room for */
    unsigned page = __builtin_ctzll(mdl_host_io_page(s2));
    unsigned super = page + page - 3;
    const uint64_t mask = hw_mask(super), base = gpa & ~mask;
    const MdlArea *a;

    if (mdl_host.superpages && mdl_ioas_lookup(s2->ioas, gpa, &a) &&
        base >= a->iova && base - a->iova + mask < a->length &&
        !((a->va - a->iova) & mask)) {
        return super;
    }
    return page;
}

void hw_dirty_mark(MdlHwpt *s2, uint64_t gpa, uint64_t len)
{
    DirtyLog *log = s2->hw_priv;
    uint64_t done;

    if (!log || !s2->dirty_enabled) {
        return;
    }
    for (done = 0; done < len;) {
        const unsigned shift = hw_s2_shift(s2, gpa + done);
        const HwEntry e = {
            .kind = HW_LEAF,
            .shift = shift,
            .addr = (gpa + done) & ~hw_mask(shift),
        };

        cache_insert(&log->pages, &e);
        done = e.addr + hw_mask(shift) + 1 - gpa;
    }
}

typedef struct DirtyRead {
    uint64_t first, last, page_size;
    uint64_t *bitmap, nr_bits;
} DirtyRead;

static bool hw_dirty_collect(const HwEntry *e, void *opaque)
{
    const DirtyRead *r = opaque;
    uint64_t first = e->addr, bit;

    if (first > r->last || first + hw_mask(e->shift) < r->first) {
        return true;
    }
    if (first < r->first && !hw_is_smmu()) {
        /* record_dirty(): from its beginning, which has no bit */
        return true;
    }
    /* visit_dirty(): as long as it is, from where the walk is */
    first = first < r->first ? r->first : first;
    bit = (first - r->first) / r->page_size;
    for (; bit <= (first + hw_mask(e->shift) - r->first) / r->page_size &&
           bit < r->nr_bits; bit++) {
        r->bitmap[bit / 64] |= 1ULL << (bit % 64);
    }
    return true;
}

void hw_dirty_read(MdlHwpt *hwpt, uint64_t iova, uint64_t length,
                   uint64_t page_size, bool clear, uint64_t *bitmap,
                   uint64_t nr_bits)
{
    DirtyLog *log = hwpt->hw_priv;
    DirtyRead r = {
        .first = iova,
        .last = length ? iova + (length - 1) : iova,
        .page_size = page_size,
        .bitmap = bitmap,
        .nr_bits = nr_bits,
    };

    if (!log || !length) {
        return;
    }
    if (bitmap) {
        cache_foreach(&log->pages, hw_dirty_collect, &r);
    }
    if (clear) {
        const HwDrop drop = {
            .kinds = HW_LEAF,
            .any_space = true,
            .any_ctx = true,
            .ranged = true,
            .first = r.first,
            .last = r.last,
        };

        cache_drop(&log->pages, &drop);
    }
}
