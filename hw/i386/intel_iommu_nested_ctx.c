/*
 * VT-d nested translation: reading the guest's root, context and PASID tables
 *
 * Unlike the emulation, which looks an entry up when a request comes, this
 * tells the whole outcome of an entry at once, with the fault that a request
 * meeting it would get (7.1.3). Everything read is hostile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/dma.h"
#include "intel_iommu_nested_internal.h"

/* Scalable-mode context-entry (9.4) */
#define VTD_SM_CE_DTE               (1ULL << 2)
#define VTD_SM_CE_PASIDE            (1ULL << 3)
#define VTD_SM_CE_PDTS(lo)          (((lo) >> 9) & 7)

/* Scalable-mode PASID-directory entry (9.5) */
#define VTD_SM_PDE_RSVD(aw)         (0xffcULL | ~VTD_HAW_MASK(aw))
#define VTD_SM_PDE_PASIDS           VTD_NESTED_TABLE_PASIDS

/* Directory entries that are read at once */
#define VTD_NESTED_DIR_PART         64

/*
 * Scalable-mode PASID-table entry (9.6), third quadword: SRE, ERE, WPE, SMEP,
 * EAFE and reserved bits. They take capabilities that the vIOMMU does not have:
 * reserved. NXE is ignored: Linux before 6.11 sets it, unasked.
 */
#define VTD_SM_PE_FS_RSVD(aw)       (0xfd3ULL | ~VTD_HAW_MASK(aw))
/*
 * The same of the first one, for second-stage tables: SLEE and SLADE, which
 * take capabilities as well
 */
#define VTD_SM_PE_SS_RSVD(aw)       (0xe20ULL | ~VTD_HAW_MASK(aw))
#define VTD_SM_PE_AW(val)           (((val) >> 2) & VTD_SM_PASID_ENTRY_AW)
#define VTD_SM_PE_PWSNP             (1ULL << 23)
#define VTD_SM_PE_PGSNP             (1ULL << 24)
#define VTD_SM_PE_FSPM(val)         (((val) >> 2) & VTD_SM_PASID_ENTRY_FLPM)

/* Address width of first-stage tables by FSPM; 2 and 3 are reserved */
static const uint8_t vtd_nested_fs_width[] = { 48, 57 };

const char *vtd_nested_reason(uint8_t fault)
{
    static const struct {
        uint8_t fault;
        const char *why;
    } reasons[] = {
        { VTD_FR_ROOT_ENTRY_P, "root entry not present" },
        { VTD_FR_CONTEXT_ENTRY_P, "context entry not present" },
        { VTD_FR_CONTEXT_ENTRY_INV,
          "context entry asks for what is not offered, or is invalid" },
        { VTD_FR_ROOT_TABLE_INV, "root table not readable" },
        { VTD_FR_CONTEXT_TABLE_INV, "context table not readable" },
        { VTD_FR_ROOT_ENTRY_RSVD, "reserved bit in root entry" },
        { VTD_FR_CONTEXT_ENTRY_RSVD, "reserved bit in context entry" },
        { VTD_FR_SM_ROOT_ACCESS, "scalable root table not readable" },
        { VTD_FR_SM_ROOT_P, "scalable root entry not present" },
        { VTD_FR_SM_ROOT_RSVD, "reserved bit in scalable root entry" },
        { VTD_FR_SM_CONTEXT_ACCESS, "scalable context table not readable" },
        { VTD_FR_SM_CONTEXT_P, "scalable context entry not present" },
        { VTD_FR_SM_CONTEXT_RSVD, "reserved bit in scalable context entry" },
        { VTD_FR_SM_CONTEXT_PASIDE, "PASIDs not enabled in context entry" },
        { VTD_FR_SM_CONTEXT_PDTS, "PASID beyond the PASID directory" },
        { VTD_FR_SM_CONTEXT_RID_PASID,
          "RID_PASID beyond the PASID directory" },
        { VTD_FR_PASID_DIR_ACCESS_ERR, "PASID directory not readable" },
        { VTD_FR_PASID_DIR_ENTRY_P, "PASID directory entry not present" },
        { VTD_FR_SM_PASID_DIR_RSVD, "reserved bit in PASID directory entry" },
        { VTD_FR_PASID_TABLE_ACCESS_ERR, "PASID table not readable" },
        { VTD_FR_PASID_ENTRY_P, "PASID entry not present" },
        { VTD_FR_SM_PASID_ENTRY_RSVD, "reserved bit in PASID entry" },
        { VTD_FR_PASID_TABLE_ENTRY_INV,
          "PASID entry asks for a translation type that is not offered" },
        { VTD_FR_NESTED_LATE, "its tables are still being read" },
        { VTD_FR_NESTED_AMBIGUOUS, "requester id is not the device's alone" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].fault == fault) {
            return reasons[i].why;
        }
    }
    return "fault in the translation structures";
}

static bool vtd_nested_read(dma_addr_t addr, uint64_t *val, size_t num)
{
    if (dma_memory_read(&address_space_memory, addr, val, num * sizeof(*val),
                        MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        le64_to_cpus(&val[i]);
    }
    return true;
}

void vtd_nested_fault(VTDNestedEntry *entry, uint8_t fault, bool present)
{
    entry->state = IOMMUFD_NESTED_BLOCKED;
    entry->fault = fault;
    entry->present = present;
}

static void vtd_nested_second_stage(IntelIOMMUState *s, uint64_t root,
                                    unsigned aw, uint8_t fault,
                                    VTDNestedEntry *entry)
{
    if (s->ssts && vtd_nested_ss(s, root, aw, &entry->ss)) {
        entry->state = IOMMUFD_NESTED_SHADOW;
    } else {
        vtd_nested_fault(entry, fault, true);
    }
}

/* Context entry of legacy mode (9.3) */
static void vtd_nested_legacy_context(IntelIOMMUState *s, const uint64_t *ce,
                                      VTDNestedEntry *entry)
{
    if (!(ce[0] & VTD_CONTEXT_ENTRY_P)) {
        vtd_nested_fault(entry, VTD_FR_CONTEXT_ENTRY_P, false);
        return;
    }
    entry->fpd = ce[0] & VTD_CONTEXT_ENTRY_FPD;
    entry->did = VTD_CONTEXT_ENTRY_DID(ce[1]);
    if (ce[0] & VTD_CONTEXT_ENTRY_RSVD_LO(s->aw_bits) ||
        ce[1] & VTD_CONTEXT_ENTRY_RSVD_HI) {
        vtd_nested_fault(entry, VTD_FR_CONTEXT_ENTRY_RSVD, true);
        return;
    }
    switch (ce[0] & VTD_CONTEXT_ENTRY_TT) {
    case VTD_CONTEXT_TT_PASS_THROUGH:
        if (!(s->ecap & VTD_ECAP_PT)) {
            break;
        }
        entry->state = IOMMUFD_NESTED_BYPASS;
        return;
    case VTD_CONTEXT_TT_DEV_IOTLB:
        if (!(s->ecap & VTD_ECAP_DT)) {
            break;
        }
        /* fall through */
    case VTD_CONTEXT_TT_MULTI_LEVEL:
        vtd_nested_second_stage(s, ce[0] & VTD_CONTEXT_ENTRY_SLPTPTR,
                                ce[1] & VTD_CONTEXT_ENTRY_AW,
                                VTD_FR_CONTEXT_ENTRY_INV, entry);
        return;
    default:
        break;
    }
    vtd_nested_fault(entry, VTD_FR_CONTEXT_ENTRY_INV, true);
}

static void vtd_nested_scalable_context(IntelIOMMUState *s, const uint64_t *ce,
                                        VTDNestedContext *ctx)
{
    if (!(ce[0] & VTD_CONTEXT_ENTRY_P)) {
        vtd_nested_fault(&ctx->entry, VTD_FR_SM_CONTEXT_P, false);
        return;
    }
    ctx->entry.fpd = ce[0] & VTD_CONTEXT_ENTRY_FPD;
    if (ce[0] & VTD_SM_CONTEXT_ENTRY_RSVD_VAL0(s->aw_bits) ||
        ce[1] & VTD_SM_CONTEXT_ENTRY_RSVD_VAL1 || ce[2] || ce[3]) {
        vtd_nested_fault(&ctx->entry, VTD_FR_SM_CONTEXT_RSVD, true);
        return;
    }
    ctx->scalable = true;
    ctx->pasid_dir = ce[0] & VTD_PASID_DIR_BASE_ADDR_MASK;
    ctx->pasids = VTD_SM_PDE_PASIDS << (7 + VTD_SM_CE_PDTS(ce[0]));
    ctx->rid_pasid = ce[1] & VTD_SM_CONTEXT_ENTRY_RID2PASID_MASK;
    ctx->pasid_enable = ce[0] & VTD_SM_CE_PASIDE;
    ctx->device_tlb = ce[0] & VTD_SM_CE_DTE;
    ctx->page_requests = ce[0] & VTD_SM_CONTEXT_ENTRY_PRE;
}

void vtd_nested_read_context(IntelIOMMUState *s, uint16_t sid,
                             VTDNestedContext *ctx)
{
    bool sm = s->root_scalable;
    uint8_t devfn = VTD_SID_TO_DEVFN(sid);
    bool upper = sm && (devfn & VTD_DEVFN_CHECK_MASK);
    size_t words = (sm ? VTD_CTX_ENTRY_SCALABLE_SIZE :
                         VTD_CTX_ENTRY_LEGACY_SIZE) / sizeof(uint64_t);
    uint64_t root[2], ce[4], half;

    *ctx = (VTDNestedContext) {};
    if (!s->dmar_enabled) {
        ctx->entry.state = IOMMUFD_NESTED_STAGE2;
        return;
    }

    if (!vtd_nested_read(s->root + VTD_SID_TO_BUS(sid) * sizeof(root), root,
                         ARRAY_SIZE(root))) {
        vtd_nested_fault(&ctx->entry, sm ? VTD_FR_SM_ROOT_ACCESS :
                                           VTD_FR_ROOT_TABLE_INV, true);
        return;
    }
    half = root[upper];
    if (!(half & VTD_ROOT_ENTRY_P)) {
        vtd_nested_fault(&ctx->entry, sm ? VTD_FR_SM_ROOT_P :
                                           VTD_FR_ROOT_ENTRY_P, false);
        return;
    }
    if (half & VTD_ROOT_ENTRY_RSVD(s->aw_bits) || (!sm && root[1])) {
        vtd_nested_fault(&ctx->entry, sm ? VTD_FR_SM_ROOT_RSVD :
                                           VTD_FR_ROOT_ENTRY_RSVD, true);
        return;
    }

    if (upper) {
        devfn &= ~VTD_DEVFN_CHECK_MASK;
    }
    if (!vtd_nested_read((half & VTD_ROOT_ENTRY_CTP) +
                         devfn * words * sizeof(uint64_t), ce, words)) {
        vtd_nested_fault(&ctx->entry, sm ? VTD_FR_SM_CONTEXT_ACCESS :
                                           VTD_FR_CONTEXT_TABLE_INV, true);
    } else if (sm) {
        vtd_nested_scalable_context(s, ce, ctx);
    } else {
        vtd_nested_legacy_context(s, ce, &ctx->entry);
    }
}

/*
 * Snooping that can be asked for is always done: for hosts with ECAP.SC Linux
 * forces it in the parent, and a walk is the host's
 */
static uint64_t vtd_nested_snoop_rsvd(IntelIOMMUState *s)
{
    return (s->snoop_control ? 0 : VTD_SM_PE_PGSNP) |
           (s->smpwc ? 0 : VTD_SM_PE_PWSNP);
}

static void vtd_nested_decode_pasid(IntelIOMMUState *s, const uint64_t *pe,
                                    VTDNestedEntry *entry)
{
    entry->fpd |= pe[0] & VTD_PASID_ENTRY_FPD;
    if (!(pe[0] & VTD_PASID_ENTRY_P)) {
        vtd_nested_fault(entry, VTD_FR_PASID_ENTRY_P, false);
        return;
    }
    entry->did = VTD_SM_PASID_ENTRY_DID(pe[1]);

    switch (pe[0] & VTD_SM_PASID_ENTRY_PGTT) {
    case VTD_SM_PASID_ENTRY_FLT:
        if (pe[2] & VTD_SM_PE_FS_RSVD(s->aw_bits) ||
            pe[1] & vtd_nested_snoop_rsvd(s)) {
            vtd_nested_fault(entry, VTD_FR_SM_PASID_ENTRY_RSVD, true);
            return;
        }
        if (VTD_SM_PE_FSPM(pe[2]) > s->levels.fs5lp) {
            break;
        }
        entry->state = IOMMUFD_NESTED_STAGE1;
        entry->s1.pgtbl_addr = pe[2] & VTD_SM_PASID_ENTRY_FLPTPTR;
        entry->s1.addr_width = vtd_nested_fs_width[VTD_SM_PE_FSPM(pe[2])];
        return;
    case VTD_SM_PASID_ENTRY_SLT:
        if (!s->ssts) {
            break;
        }
        if (pe[0] & VTD_SM_PE_SS_RSVD(s->aw_bits) ||
            pe[1] & vtd_nested_snoop_rsvd(s)) {
            vtd_nested_fault(entry, VTD_FR_SM_PASID_ENTRY_RSVD, true);
            return;
        }
        vtd_nested_second_stage(s, pe[0] & VTD_SM_PASID_ENTRY_SLPTPTR,
                                VTD_SM_PE_AW(pe[0]),
                                VTD_FR_PASID_TABLE_ENTRY_INV, entry);
        return;
    case VTD_SM_PASID_ENTRY_PT:
        if (!(s->ecap & VTD_ECAP_PT)) {
            break;
        }
        entry->state = IOMMUFD_NESTED_BYPASS;
        return;
    default:
        /* Nested: ECAP tells the guest that there is none */
        break;
    }
    vtd_nested_fault(entry, VTD_FR_PASID_TABLE_ENTRY_INV, true);
}

void vtd_nested_read_pasid(IntelIOMMUState *s, const VTDNestedContext *ctx,
                           uint32_t pasid, VTDNestedEntry *entry)
{
    uint64_t pde, pe[ARRAY_SIZE(((VTDPASIDEntry *)NULL)->val)];

    *entry = (VTDNestedEntry) { .fpd = ctx->entry.fpd };
    if (pasid >= ctx->pasids) {
        vtd_nested_fault(entry, VTD_FR_SM_CONTEXT_PDTS, false);
    } else if (!vtd_nested_read(ctx->pasid_dir +
                                VTD_PASID_DIR_INDEX(pasid) * sizeof(pde),
                                &pde, 1)) {
        vtd_nested_fault(entry, VTD_FR_PASID_DIR_ACCESS_ERR, true);
    } else if (!(pde & VTD_PASID_ENTRY_P)) {
        vtd_nested_fault(entry, VTD_FR_PASID_DIR_ENTRY_P, false);
    } else if (pde & VTD_SM_PDE_RSVD(s->aw_bits)) {
        entry->fpd |= pde & VTD_PASID_DIR_FPD;
        vtd_nested_fault(entry, VTD_FR_SM_PASID_DIR_RSVD, true);
    } else if (!vtd_nested_read((pde & VTD_PASID_TABLE_BASE_ADDR_MASK) +
                                VTD_PASID_TABLE_INDEX(pasid) * sizeof(pe),
                                pe, ARRAY_SIZE(pe))) {
        vtd_nested_fault(entry, VTD_FR_PASID_TABLE_ACCESS_ERR, true);
    } else {
        entry->fpd |= pde & VTD_PASID_DIR_FPD;
        vtd_nested_decode_pasid(s, pe, entry);
    }
}

void vtd_nested_read_rid(IntelIOMMUState *s, const VTDNestedContext *ctx,
                         VTDNestedEntry *entry)
{
    vtd_nested_read_pasid(s, ctx, ctx->rid_pasid, entry);
    if (ctx->rid_pasid >= ctx->pasids) {
        vtd_nested_fault(entry, VTD_FR_SM_CONTEXT_RID_PASID, true);
    }
}

/* Which of the entries of a PASID table are present */
static uint64_t vtd_nested_present(uint64_t pde, uint32_t num)
{
    const size_t words = VTD_PASID_ENTRY_SIZE / sizeof(uint64_t);
    uint64_t table[VTD_PAGE_SIZE / sizeof(uint64_t)];
    uint64_t present = 0;

    if (!vtd_nested_read(pde & VTD_PASID_TABLE_BASE_ADDR_MASK, table,
                         num * words)) {
        return 0;
    }
    for (uint32_t i = 0; i < num; i++) {
        if (table[i * words] & VTD_PASID_ENTRY_P) {
            present |= BIT_ULL(i);
        }
    }
    return present;
}

uint32_t vtd_nested_next_table(IntelIOMMUState *s, const VTDNestedContext *ctx,
                               uint32_t from, uint32_t limit,
                               uint64_t *present)
{
    uint64_t dir[VTD_NESTED_DIR_PART];

    limit = MIN(limit, ctx->pasids);
    while (from < limit) {
        size_t num = MIN(DIV_ROUND_UP(limit - from, VTD_SM_PDE_PASIDS),
                         ARRAY_SIZE(dir));

        if (!vtd_nested_read(ctx->pasid_dir +
                             VTD_PASID_DIR_INDEX(from) * sizeof(dir[0]),
                             dir, num)) {
            break;
        }
        for (size_t i = 0; i < num; i++, from += VTD_SM_PDE_PASIDS) {
            if (!(dir[i] & VTD_PASID_ENTRY_P) ||
                dir[i] & VTD_SM_PDE_RSVD(s->aw_bits)) {
                continue;
            }
            *present = vtd_nested_present(dir[i], MIN(VTD_SM_PDE_PASIDS,
                                                      limit - from));
            return from;
        }
    }
    return VTD_NESTED_NO_TABLE;
}
