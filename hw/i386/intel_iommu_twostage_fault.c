/*
 * Intel VT-d, emulated host: fault records and page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "exec/memattrs.h"
#include "system/address-spaces.h"
#include "system/dma.h"
#include "intel_iommu_twostage.h"
#include "trace.h"

/* FRCD_REG, 11.4.14: fields of the upper half */
#define FRCD_TYPE_READ      (1ULL << 62)
#define FRCD_TYPE_PAGE_REQ  (1ULL << 28)
#define FRCD_AT(val)        ((uint64_t)(val) << 60)
#define FRCD_PASID(val)     ((uint64_t)(val) << 40)
#define FRCD_PP             (1ULL << 31)
#define FRCD_PRIV           (1ULL << 29)

/*
 * Faults on the way to the entry that holds FPD cannot be turned off by it
 * (7.2.1, "non-qualified")
 */
static bool fault_is_qualified(int reason)
{
    switch (reason) {
    case VTD_TS_ROOT_ACCESS:
    case VTD_TS_ROOT_P:
    case VTD_TS_ROOT_RSVD:
    case VTD_TS_CTX_ACCESS:
    case VTD_TS_DIR_ACCESS:
    case VTD_TS_PE_ACCESS:
        return false;
    default:
        return true;
    }
}

void vtd_twostage_fault(IntelIOMMUState *s, int reason, bool fpd,
                        const VTDRequest *request)
{
    uint64_t hi;

    trace_vtd_twostage_fault(request->sid, request->pasid, request->addr,
                             request->kind, request->write, reason, fpd);
    if (fpd && fault_is_qualified(reason)) {
        return;
    }

    hi = VTD_FRCD_SID(request->sid) | VTD_FRCD_FR(reason);
    if (request->pasid != PCI_NO_PASID) {
        hi |= FRCD_PASID(request->pasid) | FRCD_PP;
        hi |= request->priv ? FRCD_PRIV : 0;
    }
    if (request->kind == VTD_TS_PAGE_REQUEST) {
        hi |= FRCD_TYPE_PAGE_REQ;
    } else {
        hi |= FRCD_AT(request->kind);
        hi |= request->write ? 0 : FRCD_TYPE_READ;
    }
    vtd_report_frcd_fault(s, request->sid, hi, VTD_FRCD_FI(request->addr));
}

/* ------------------------------------------------- faults of other threads */

static void record_late(void *opaque)
{
    IntelIOMMUState *s = opaque;
    VTDLateFault *late = &s->twostage.late;
    uint8_t *fsts = &s->csr[DMAR_FSTS_REG];

    if (qatomic_load_acquire(&late->state) != VTD_LATE_READY) {
        return;
    }
    vtd_record_frcd_fault(s, late->source, late->hi, late->lo);
    qatomic_store_release(&late->state, VTD_LATE_NONE);
    if (qatomic_xchg(&late->lost, false)) {
        stl_le_p(fsts, ldl_le_p(fsts) | VTD_FSTS_PFO);
    }
}

void vtd_report_frcd_fault(IntelIOMMUState *s, uint64_t source_id,
                           uint64_t hi, uint64_t lo)
{
    VTDLateFault *late = &s->twostage.late;

    if (bql_locked()) {
        vtd_record_frcd_fault(s, source_id, hi, lo);
        return;
    }
    if (qatomic_cmpxchg(&late->state, VTD_LATE_NONE, VTD_LATE_FILLING) !=
        VTD_LATE_NONE) {
        /* Those of one source are merged, and for others there is no room */
        if (qatomic_read(&late->source) != source_id) {
            qatomic_set(&late->lost, true);
        }
        return;
    }
    qatomic_set(&late->source, source_id);
    late->hi = hi;
    late->lo = lo;
    qatomic_store_release(&late->state, VTD_LATE_READY);
    qemu_bh_schedule(late->bh);
}

void vtd_twostage_fault_init(IntelIOMMUState *s)
{
    s->twostage.late.bh = qemu_bh_new_guarded(record_late, s,
        &DEVICE(s)->mem_reentrancy_guard);
}

/* ---------------------------------------------------- page requests (7.4) */

static uint64_t reg_quad(IntelIOMMUState *s, hwaddr reg)
{
    return ldq_le_p(&s->csr[reg]);
}

static uint32_t page_request_status(IntelIOMMUState *s)
{
    return ldl_le_p(&s->csr[DMAR_PRS_REG]);
}

static void set_page_request_status(IntelIOMMUState *s, uint32_t flag)
{
    uint32_t old = page_request_status(s);

    stl_le_p(&s->csr[DMAR_PRS_REG], old | flag);
    vtd_generate_page_request_event(s, old);
}

/*
 * The request is dropped, and if it is the last of its group the endpoint is
 * told to try again (7.4.1, 7.10: auto-response).
 */
static void drop_page_request(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                              bool last, uint16_t prgi)
{
    IOMMUPRIResponse response = {
        .prgi = prgi, .response_code = IOMMU_PRI_RESP_SUCCESS,
    };

    if (last) {
        vtd_pri_respond(s, sid, pasid, &response);
    }
}

static int queue_page_request(IntelIOMMUState *s, const VTDPRDesc *desc)
{
    uint64_t pqa = reg_quad(s, DMAR_PQA_REG);
    hwaddr base = pqa & VTD_PQA_ADDR;
    uint64_t size = VTD_PQA_ENTRY_SIZE << ((pqa & VTD_PQA_SIZE) + 7);
    /* Software may have written anything to them: stay in the queue */
    uint64_t tail = reg_quad(s, DMAR_PQT_REG) & (size - 1);
    uint64_t head = reg_quad(s, DMAR_PQH_REG) & (size - 1);
    uint64_t next = (tail + VTD_PQA_ENTRY_SIZE) & (size - 1);
    uint64_t raw[4];
    unsigned i;

    /* Until software has dealt with an overflow nothing is queued (7.4.1) */
    if (page_request_status(s) & VTD_PR_STATUS_PRO) {
        return -ENOSPC;
    }
    if (next == head) {
        set_page_request_status(s, VTD_PR_STATUS_PRO);
        return -ENOSPC;
    }

    for (i = 0; i < ARRAY_SIZE(raw); i++) {
        raw[i] = cpu_to_le64(desc->val[i]);
    }
    if (dma_memory_write(&address_space_memory, base + tail, raw, sizeof(raw),
                         MEMTXATTRS_UNSPECIFIED)) {
        error_report_once("page request queue at 0x%" HWADDR_PRIx
                          " cannot be written", base);
        return -EIO;
    }
    stq_le_p(&s->csr[DMAR_PQT_REG], next);
    set_page_request_status(s, VTD_PR_STATUS_PPR);
    return 0;
}

/*
 * Section 7.4: a page request also drops what is cached of the page, or the
 * requester could find the old translation after the response.
 */
static void drop_requested_page(IntelIOMMUState *s, uint16_t sid,
                                uint32_t pasid, hwaddr addr)
{
    VTDRequester req;

    QEMU_LOCK_GUARD(&s->iommu_lock);
    if (!vtd_requester_find(s, sid, pasid, false, &req)) {
        vtd_tlb_drop_page(s, req.did, req.pasid, addr);
    }
}

int vtd_twostage_page_request(IntelIOMMUState *s, uint16_t sid, uint32_t pasid,
                              bool priv, bool exec, hwaddr addr, bool last,
                              uint16_t prgi, bool is_read, bool is_write)
{
    bool with_pasid = pasid != PCI_NO_PASID;
    bool fpd = false;
    VTDPRDesc desc;
    int ret;

    if (!(s->ecap & VTD_ECAP_PRS) || !s->dmar_enabled) {
        return -EPERM;
    }
    /* ECAP.ERS is clear: nothing may ask for execution */
    if (exec) {
        return -EINVAL;
    }

    ret = vtd_requester_may_page(s, sid, pasid, &fpd);
    if (ret) {
        const VTDRequest request = {
            .sid = sid, .pasid = pasid, .addr = addr, .write = is_write,
            .priv = priv, .kind = VTD_TS_PAGE_REQUEST,
        };

        vtd_twostage_fault(s, ret, fpd, &request);
        return -EPERM;
    }

    drop_requested_page(s, sid, pasid, addr);
    desc = (VTDPRDesc) { .val = {
        VTD_PRD_TYPE | VTD_PRD_PP(with_pasid) | VTD_PRD_RID(sid) |
        (with_pasid ? VTD_PRD_PASID(pasid) | VTD_PRD_PMR(priv) : 0),
        VTD_PRD_RDR(is_read) | VTD_PRD_WRR(is_write) | VTD_PRD_LPIG(last) |
        VTD_PRD_PRGI(prgi) | VTD_PRD_ADDR(addr),
    } };
    ret = queue_page_request(s, &desc);
    trace_vtd_twostage_page_request(sid, pasid, addr, prgi, last, is_write,
                                    ret);
    if (ret == -ENOSPC) {
        drop_page_request(s, sid, pasid, last, prgi);
        return 0;
    }
    return ret;
}
