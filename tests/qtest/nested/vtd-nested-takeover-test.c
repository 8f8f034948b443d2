/*
 * VT-d nesting: a kernel takes over the tables of one that has crashed, while
 * there is DMA by them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-shadow-rig.h"

typedef enum Kind {
    FIRST, SECOND, THROUGH, LEGACY, LEGACY_THROUGH,
} Kind;

/* The entry of the device: IOVA, or its own address, is page @page of DATA */
static void set_entry(VtdRig *r, Kind kind, unsigned page)
{
    uint64_t ss = vtd_s2_new(&r->mem);

    shadow_map(r, ss, 4, IOVA, page, 1, VTD_S2_RW);
    switch (kind) {
    case FIRST:
        vtd_rig_first_stage(r, RID0, DID, vtd_rig_s1(r, IOVA, page));
        break;
    case SECOND:
        vtd_context_scalable(&r->t, RID0, 7, 0, 0);
        vtd_pasid_set(&r->t, RID0, 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_SECOND, .did = DID, .s2 = ss, .s2_levels = 4,
        });
        vtd_rig_inv_context(r, RID0);
        vtd_rig_inv_pasid(r, DID, 0);
        break;
    case THROUGH:
        vtd_rig_pass_through(r, RID0, DID);
        break;
    case LEGACY:
        shadow_legacy(r, RID0, ss, 4);
        break;
    case LEGACY_THROUGH:
        vtd_context_legacy(&r->t, RID0, 2, 0, 4, DID);
        vtd_rig_inv_context(r, RID0);
        break;
    }
}

static void expect_page(VtdRig *r, Kind kind, unsigned page)
{
    bool through = kind == THROUGH || kind == LEGACY_THROUGH;

    shadow_expect(r, HOST_DEV0, through ? DATA + page * PAGE : IOVA, page);
}

static void expect_none(VtdRig *r, Kind kind)
{
    bool through = kind == THROUGH || kind == LEGACY_THROUGH;

    iommufd_model_expect_fault(r->m, HOST_DEV0, NULL, through ? DATA : IOVA,
                               false, 0, "blocked");
}

/* What takes a device from its table, or changes that */
static uint64_t changes(VtdRig *r)
{
    static const char *const call[] = {
        "ATTACH_IOMMUFD_PT", "DETACH_IOMMUFD_PT", "HWPT_ALLOC", "DESTROY",
        "IOAS_COPY", "IOAS_MAP", "IOAS_UNMAP",
    };
    uint64_t n = 0;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(call); i++) {
        n += iommufd_model_counter(r->m, call[i], "calls");
    }
    return n;
}

static void gcmd(VtdRig *r, uint32_t value)
{
    r->regs.write32(r->regs.opaque, VTD_REG_GCMD, value);
}

/* A root table and a context table of its own, with entries that are copies */
static void copy_tables(VtdRig *r)
{
    VtdTables old = r->t;
    uint64_t from, to;
    unsigned i;

    vtd_tables_init(&r->t, &r->mem, old.scalable);
    from = vtd_context_entry(&old, RID0);
    to = vtd_context_entry(&r->t, RID0);
    for (i = 0; i < (old.scalable ? 32 : 16); i += 8) {
        iommu_mem_write64(&r->mem, to + i, iommu_mem_read64(&r->mem, from + i));
    }
}

static void test_takeover(const void *arg)
{
    Kind kind = GPOINTER_TO_UINT(arg);
    bool legacy = kind == LEGACY || kind == LEGACY_THROUGH;
    uint64_t before;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    shadow_fill(&r, 3);
    if (legacy) {
        vtd_rig_enable_legacy(&r);
    } else {
        vtd_rig_enable(&r);
    }
    set_entry(&r, kind, 1);
    expect_page(&r, kind, 1);
    before = changes(&r);

    /* A queue of its own first, then tables */
    gcmd(&r, VTD_GCMD_TE);
    vtd_queue_init(&r.q, &r.mem, 2, !legacy);
    r.regs.write64(r.regs.opaque, VTD_REG_IQT, 0);
    r.regs.write64(r.regs.opaque, VTD_REG_IQA, vtd_queue_iqa(&r.q));
    gcmd(&r, VTD_GCMD_TE | VTD_GCMD_QIE);
    expect_page(&r, kind, 1);
    copy_tables(&r);
    r.regs.write64(r.regs.opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(&r.t));
    expect_page(&r, kind, 1);
    gcmd(&r, VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_SRTP);
    expect_page(&r, kind, 1);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    if (!legacy) {
        vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    }
    vtd_queue_push(&r.q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
    vtd_rig_sync(&r);
    expect_page(&r, kind, 1);
    g_assert_cmpuint(changes(&r), ==, before);

    /* Then it has a driver for the device */
    vtd_context_clear(&r.t, RID0);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&r);
    expect_none(&r, kind);
    set_entry(&r, kind, 2);
    expect_page(&r, kind, 2);
    g_assert_cmpuint(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/takeover/first-stage",
                        GUINT_TO_POINTER(FIRST), test_takeover);
    qtest_add_data_func("/vtd-nested/takeover/second-stage",
                        GUINT_TO_POINTER(SECOND), test_takeover);
    qtest_add_data_func("/vtd-nested/takeover/pass-through",
                        GUINT_TO_POINTER(THROUGH), test_takeover);
    qtest_add_data_func("/vtd-nested/takeover/legacy",
                        GUINT_TO_POINTER(LEGACY), test_takeover);
    qtest_add_data_func("/vtd-nested/takeover/legacy-pass-through",
                        GUINT_TO_POINTER(LEGACY_THROUGH), test_takeover);
    return g_test_run();
}
