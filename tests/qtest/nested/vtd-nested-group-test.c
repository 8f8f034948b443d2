/*
 * VT-d nesting: devices of one IOMMU group of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-pri-rig.h"
#include "../libqos/vtd-second-stage.h"
#include "nested-group.h"

#define IOVA    0x4000000000ULL
#define DID     5
#define PASID   9

static const IommufdDma with_pasid = { .with_pasid = true, .pasid = PASID };

static void start(VtdRig *r, unsigned num, const char *props,
                  const char *extra)
{
    g_autofree char *host = nested_group_host("vtd", "");

    vtd_rig_start(r, host, props, num, extra);
    vtd_rig_fill(r, 1, 0x11);
    vtd_rig_fill(r, 2, 0x22);
}

static void expect(VtdRig *r, int value)
{
    nested_group_expect(r->m, NULL, IOVA, value);
}

/* Same tables, one after the other; then others for one of them */
static void differ(VtdRig *r)
{
    uint64_t one = vtd_rig_s1(r, IOVA, 1), two = vtd_rig_s1(r, IOVA, 2);

    vtd_rig_first_stage(r, RID0, DID, one);
    expect(r, -1);
    vtd_rig_first_stage(r, RID1, DID, one);
    expect(r, 0x11);
    vtd_rig_first_stage(r, RID1, DID + 1, two);
    expect(r, -1);
    nested_group_expect_reason(r->qts, HOST_DEV0, true);
    nested_group_expect_reason(r->qts, HOST_DEV1, true);
    vtd_rig_first_stage(r, RID0, DID + 1, two);
    expect(r, 0x22);
    nested_group_expect_reason(r->qts, HOST_DEV0, false);
    nested_group_expect_reason(r->qts, HOST_DEV1, false);
    /* The old one is gone: parent and stage 1 */
    g_assert_cmpuint(iommufd_model_live(r->m, "hwpt"), ==, 2);
    /* A command for it reaches both */
    vtd_s1_map(&r->mem, two, 4, IOVA, DATA + 4096, 4096, 12, VTD_S1_USER_RW);
    vtd_queue_push(&r->q, vtd_inv_piotlb(DID + 1, 0, IOVA, 0, true));
    vtd_rig_sync(r);
    expect(r, 0x11);
}

static void test_cold(void)
{
    VtdRig r;

    start(&r, 2, "nested=on", "");
    nested_group_expect(r.m, NULL, DATA + 4096, 0x11);
    vtd_rig_enable(&r);
    expect(&r, -1);
    differ(&r);
    /* Blocked for one */
    vtd_context_clear(&r.t, RID0);
    vtd_rig_inv_context(&r, RID0);
    expect(&r, -1);
    vtd_rig_pass_through(&r, RID0, DID);
    vtd_rig_pass_through(&r, RID1, DID);
    nested_group_expect(r.m, NULL, DATA + 4096, 0x11);
    qtest_system_reset(r.qts);
    nested_group_expect(r.m, NULL, DATA + 4096, 0x11);
    vtd_rig_stop(&r);
}

/* Second-stage tables: one shadow for both, or none */
static void test_second_stage(void)
{
    uint64_t ss;
    VtdRig r;

    start(&r, 2, "nested=on", "");
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    vtd_s2_map(&r.mem, ss, 4, IOVA, DATA + 4096, 4096, 12, VTD_S2_RW);
    vtd_context_legacy(&r.t, RID0, 0, ss, 4, DID);
    vtd_rig_inv_context(&r, RID0);
    expect(&r, -1);
    vtd_context_legacy(&r.t, RID1, 0, ss, 4, DID);
    vtd_rig_inv_context(&r, RID1);
    expect(&r, 0x11);
    vtd_s2_map(&r.mem, ss, 4, IOVA, DATA + 8192, 4096, 12, VTD_S2_RW);
    vtd_queue_push(&r.q, vtd_inv_iotlb(VTD_INV_NARROW, DID, IOVA, 0, false));
    vtd_rig_sync(&r);
    expect(&r, 0x22);
    /* Another domain for one of them, and pass-through */
    vtd_context_legacy(&r.t, RID1, 0, ss, 4, DID + 1);
    vtd_rig_inv_context(&r, RID1);
    expect(&r, -1);
    vtd_context_legacy(&r.t, RID1, 2, 0, 4, DID);
    vtd_rig_inv_context(&r, RID1);
    expect(&r, -1);
    vtd_context_legacy(&r.t, RID1, 0, ss, 4, DID);
    vtd_rig_inv_context(&r, RID1);
    expect(&r, 0x22);
    vtd_rig_stop(&r);
}

/* The second one comes while the first is in stage 1, and goes again */
static void test_hot(void)
{
    uint64_t s1;
    VtdRig r;

    start(&r, 1, "nested=on", VTD_RIG_SLOTS);
    vtd_rig_open_config(&r);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_enable(&r);
    s1 = vtd_rig_s1(&r, IOVA, 1);
    vtd_rig_first_stage(&r, RID0, DID, s1);
    for (int i = 0; i < 2; i++) {
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
        vtd_rig_plug(&r, 0, "dev1", HOST_DEV1);
        /* It has no entries */
        expect(&r, -1);
        vtd_rig_first_stage(&r, BEHIND(1), DID, s1);
        expect(&r, 0x11);
        if (i) {
            vtd_rig_first_stage(&r, BEHIND(1), DID + 1,
                                vtd_rig_s1(&r, IOVA, 2));
            expect(&r, -1);
        }
        vtd_rig_unplug(&r, 0, "dev1");
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
        g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 2);
        vtd_context_clear(&r.t, BEHIND(1));
        vtd_rig_inv_context(&r, BEHIND(1));
    }
    vtd_rig_stop(&r);
}

static void test_pasid(void)
{
    VtdPasidEntry pe = {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1_levels = 4,
    };
    VtdRig r;

    start(&r, 2, "nested=on,svm=on", "");
    vtd_rig_open_config(&r);
    vtd_rig_enable_sva(&r, RID0);
    vtd_rig_enable_sva(&r, RID1);
    vtd_rig_enable(&r);
    pe.s1 = vtd_rig_s1(&r, IOVA, 1);
    for (uint16_t rid = RID0; rid <= RID1; rid += RID1 - RID0) {
        vtd_context_scalable(&r.t, rid, 12, VTD_CTX_PASIDE, 0);
        vtd_rig_inv_context(&r, rid);
    }
    vtd_pasid_set(&r.t, RID0, PASID, &pe);
    vtd_rig_inv_pasid(&r, DID, PASID);
    nested_group_expect(r.m, &with_pasid, IOVA, -1);
    vtd_pasid_set(&r.t, RID1, PASID, &pe);
    vtd_rig_inv_pasid(&r, DID, PASID);
    nested_group_expect(r.m, &with_pasid, IOVA, 0x11);
    vtd_rig_stop(&r);
}

/* As a GPU and its audio function: PASIDs and page requests in one of them */
static void test_functions(void)
{
    static const char host[] = "[host]\narch=vtd\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=7\n"
        "[device " HOST_DEV1 "]\ngroup=7\npasid-bits=0\nats=off\npri=off\n";
    VtdPasidEntry pe = {
        .pgtt = VTD_PGTT_FIRST, .did = DID + 1, .s1_levels = 4,
    };
    uint64_t s1;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,svm=on", 0,
                  "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,"
                  "bus=pcie.0,addr=4.0,multifunction=on "
                  "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,"
                  "bus=pcie.0,addr=4.1");
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_rig_enable_sva(&r, RID0);
    vtd_rig_enable(&r);
    s1 = vtd_rig_s1(&r, IOVA, 1);
    vtd_context_scalable(&r.t, RID0, 12,
                         VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE, 0);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = s1, .s1_levels = 4,
    });
    vtd_rig_inv_context(&r, RID0);
    expect(&r, -1);
    vtd_rig_first_stage(&r, RID0 + 1, DID, s1);
    expect(&r, 0x11);
    /* The other one sends none, and is not asked */
    pe.s1 = vtd_rig_s1(&r, IOVA, 2);
    vtd_pasid_set(&r.t, RID0, PASID, &pe);
    vtd_rig_inv_pasid(&r, DID + 1, PASID);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &with_pasid, IOVA), ==, 0x22);
    expect(&r, 0x11);
    vtd_rig_stop(&r);
}

static void test_refused(void)
{
    g_autofree char *host = nested_group_host("vtd", "");
    g_autofree char *args = vtd_rig_args("nested=on", 1,
        "-device pxb-pcie,id=pxb1,bus=pcie.0,bus_nr=96,bypass_iommu=on "
        "-device pcie-root-port,id=rp9,bus=pxb1,chassis=9 "
        "-device vfio-pci,id=other,host=" HOST_DEV1 ",iommufd=iommufd0,"
        "bus=rp9");

    nested_rig_expect_refusal(host, args, "IOMMU group", "7", HOST_DEV0,
                              HOST_DEV1, "leave one", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/group/cold", test_cold);
    qtest_add_func("/vtd-nested/group/second-stage", test_second_stage);
    qtest_add_func("/vtd-nested/group/hot", test_hot);
    qtest_add_func("/vtd-nested/group/pasid", test_pasid);
    qtest_add_func("/vtd-nested/group/functions", test_functions);
    qtest_add_func("/vtd-nested/group/refused", test_refused);
    return g_test_run();
}
