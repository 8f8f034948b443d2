/*
 * VT-d nested translation: page requests of assigned devices
 *
 * The host's page request groups become descriptors in the guest's page
 * request queue (7.4), a group as a whole or not at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/dma.h"
#include "intel_iommu_nested_internal.h"
#include "trace.h"

/* Bits of the queue registers that are an offset into the queue (11.4.11) */
#define VTD_PRQ_OFFSET(reg) ((reg) & 0x7ffe0ULL)

/* What a page-group response descriptor says (6.5.2.8): no error */
#define VTD_PGRESP_SUCCESS  0

static uint64_t vtd_nested_prq_bytes(const IntelIOMMUState *s)
{
    uint64_t order = vtd_nested_reg64(s, DMAR_PQA_REG) & VTD_PQA_SIZE;

    return VTD_PQA_ENTRY_SIZE << (order + 7);
}

static void vtd_nested_prq_status(IntelIOMMUState *s, uint32_t bit)
{
    uint32_t old = vtd_nested_reg32(s, DMAR_PRS_REG);

    stl_le_p(&s->csr[DMAR_PRS_REG], old | bit);
    vtd_generate_page_request_event(s, old);
}

static MemTxResult vtd_nested_prq_write(IntelIOMMUState *s, uint64_t offset,
                                        const VTDNestedDevice *vdev,
                                        const IOMMUFDNestedPageGroup *group,
                                        size_t i)
{
    bool has_pasid = group->pasid != IOMMUFD_NESTED_RID;
    const IOMMUFDNestedPageRequest *req = &group->req[i];
    uint64_t desc[VTD_PQA_ENTRY_SIZE / sizeof(uint64_t)] = {};

    desc[0] = VTD_PRD_TYPE | VTD_PRD_PP(has_pasid) | VTD_PRD_RID(vdev->sid) |
              VTD_PRD_PASID(has_pasid ? group->pasid : 0) |
              VTD_PRD_EXR(!!(req->perm & IOMMU_PGFAULT_PERM_EXEC)) |
              VTD_PRD_PMR(!!(req->perm & IOMMU_PGFAULT_PERM_PRIV));
    desc[1] = VTD_PRD_RDR(!!(req->perm & IOMMU_PGFAULT_PERM_READ)) |
              VTD_PRD_WRR(!!(req->perm & IOMMU_PGFAULT_PERM_WRITE)) |
              VTD_PRD_LPIG(i == group->count - 1) |
              VTD_PRD_PRGI(group->index) | VTD_PRD_ADDR(req->addr);
    cpu_to_le64s(&desc[0]);
    cpu_to_le64s(&desc[1]);
    return dma_memory_write(&address_space_memory,
                            (vtd_nested_reg64(s, DMAR_PQA_REG) & VTD_PQA_ADDR) +
                            offset, desc, sizeof(desc),
                            MEMTXATTRS_UNSPECIFIED);
}

IOMMUFDNestedPageVerdict
vtd_nested_page_group(void *opaque, const IOMMUFDNestedPageGroup *group)
{
    VTDNested *n = opaque;
    IntelIOMMUState *s = n->s;
    VTDNestedDevice *vdev = iommufd_nested_device_opaque(group->dev);
    uint64_t bytes = vtd_nested_prq_bytes(s);
    uint64_t tail = VTD_PRQ_OFFSET(vtd_nested_reg64(s, DMAR_PQT_REG)) % bytes;
    uint64_t head = VTD_PRQ_OFFSET(vtd_nested_reg64(s, DMAR_PQH_REG)) % bytes;
    /* One entry stays free: equal means empty */
    uint64_t room = (head + bytes - tail - VTD_PQA_ENTRY_SIZE) % bytes /
                    VTD_PQA_ENTRY_SIZE;

    /* What will never fit is not worth another try */
    if (group->count >= bytes / VTD_PQA_ENTRY_SIZE) {
        trace_vtd_nested_page_group(vdev->sid, group->pasid, group->index,
                                    group->count, "refused");
        return IOMMUFD_NESTED_PAGE_REFUSED;
    }
    /*
     * Overflow: hardware answers Success by itself, to have the device try
     * again, until software has cleared PRO (7.4.1).
     */
    if (vtd_nested_reg32(s, DMAR_PRS_REG) & VTD_PR_STATUS_PRO) {
        return IOMMUFD_NESTED_PAGE_RETRY;
    }
    if (group->count > room) {
        trace_vtd_nested_page_group(vdev->sid, group->pasid, group->index,
                                    group->count, "overflow");
        vtd_nested_prq_status(s, VTD_PR_STATUS_PRO);
        return IOMMUFD_NESTED_PAGE_RETRY;
    }

    for (size_t i = 0; i < group->count; i++) {
        if (vtd_nested_prq_write(s, tail, vdev, group, i) != MEMTX_OK) {
            trace_vtd_nested_page_group(vdev->sid, group->pasid, group->index,
                                        group->count, "queue not writable");
            return IOMMUFD_NESTED_PAGE_REFUSED;
        }
        tail = (tail + VTD_PQA_ENTRY_SIZE) % bytes;
    }
    trace_vtd_nested_page_group(vdev->sid, group->pasid, group->index,
                                group->count, "queued");
    stq_le_p(&s->csr[DMAR_PQT_REG], tail);
    vtd_nested_prq_status(s, VTD_PR_STATUS_PPR);
    return IOMMUFD_NESTED_PAGE_QUEUED;
}

bool vtd_nested_is_page_response(VTDNested *n, const VTDInvDesc *desc)
{
    return !(desc->lo & VTD_INV_DESC_PGRESP_RSVD_LO) &&
           !(desc->hi & VTD_INV_DESC_PGRESP_RSVD_HI) &&
           vtd_nested_find(n, VTD_INV_DESC_PGRESP_RID(desc->lo));
}

void vtd_nested_page_response(VTDNested *n, const VTDInvDesc *desc)
{
    VTDNestedDevice *vdev = vtd_nested_find(n,
                                            VTD_INV_DESC_PGRESP_RID(desc->lo));
    uint32_t pasid = VTD_INV_DESC_PGRESP_PP(desc->lo) ?
                     VTD_INV_DESC_PGRESP_PASID(desc->lo) : IOMMUFD_NESTED_RID;
    bool known = iommufd_nested_page_response(
        vdev->dev, pasid, VTD_INV_DESC_PGRESP_PRGI(desc->hi),
        VTD_INV_DESC_PGRESP_RC(desc->lo) == VTD_PGRESP_SUCCESS);

    trace_vtd_nested_page_response(vdev->sid, pasid,
                                   VTD_INV_DESC_PGRESP_PRGI(desc->hi),
                                   VTD_INV_DESC_PGRESP_RC(desc->lo), known);
}
