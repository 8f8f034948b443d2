/*
 * VT-d nesting under test: a guest with second-stage tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-shadow-rig.h"

void shadow_expect(VtdRig *r, const char *dev, uint64_t iova, unsigned page)
{
    iommufd_model_expect_data(r->m, dev, NULL, iova, 0x10 + page, 64);
}

void shadow_expect_none(VtdRig *r, const char *dev, uint64_t iova)
{
    iommufd_model_expect_fault(r->m, dev, NULL, iova, false, 2, "not-present");
}

void shadow_fill(VtdRig *r, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        vtd_rig_fill(r, i, 0x10 + i);
    }
}

/* @num pages at @iova to DATA + @page * 4096; @levels of the table */
void shadow_map(VtdRig *r, uint64_t ss, unsigned levels, uint64_t iova,
                unsigned page, unsigned num, uint64_t flags)
{
    vtd_s2_map(&r->mem, ss, levels, iova, DATA + page * PAGE, num * PAGE, 12,
               flags);
}

void shadow_unmap(VtdRig *r, uint64_t ss, unsigned levels, uint64_t iova,
                  uint64_t len)
{
    vtd_s2_map(&r->mem, ss, levels, iova, 0, len, 12, 0);
}

uint64_t shadow_scattered(VtdRig *r, uint64_t iova, unsigned num, uint64_t gpa)
{
    uint64_t ss = vtd_s2_new(&r->mem);

    for (unsigned i = 0; i < num; i += 512) {
        uint64_t leaf, entry[512];

        vtd_s2_map(&r->mem, ss, 4, iova + i * PAGE, 0, PAGE, 12, 0);
        leaf = vtd_s2_entry(&r->mem, ss, 4, iova + i * PAGE, 1);
        for (unsigned j = 0; j < 512; j++) {
            entry[j] = cpu_to_le64((gpa + (j ^ 1) % 64 * PAGE) | VTD_S2_RW);
        }
        qtest_bufwrite(r->qts, leaf, entry, sizeof(entry));
    }
    return ss;
}

void shadow_inv(VtdRig *r, unsigned what, uint64_t iova, unsigned order)
{
    vtd_queue_push(&r->q, vtd_inv_iotlb(what, DID, iova, order, false));
    vtd_rig_sync(r);
}

uint64_t shadow_start(VtdRig *r, unsigned pages)
{
    vtd_rig_start_simple(r, 1);
    shadow_fill(r, pages);
    vtd_rig_enable_legacy(r);
    return vtd_s2_new(&r->mem);
}

void shadow_legacy(VtdRig *r, uint16_t rid, uint64_t ss, unsigned levels)
{
    vtd_context_legacy(&r->t, rid, 0, ss, levels, DID);
    vtd_rig_inv_context(r, rid);
}

void shadow_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint16_t did,
                  uint64_t ss)
{
    vtd_pasid_set(&r->t, rid, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_SECOND, .did = did, .s2 = ss, .s2_levels = 4,
    });
    vtd_rig_inv_pasid(r, did, pasid);
}
