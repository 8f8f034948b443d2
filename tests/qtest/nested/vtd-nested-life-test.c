/*
 * VT-d nesting: devices that come, go, are reset and renumbered
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5

static void start_port(VtdRig *r, unsigned num)
{
    g_autofree char *host = vtd_rig_host(2, "", "");

    vtd_rig_start(r, host, "nested=on,svm=on,x-pasid-mode=on,pasid-bits=12,"
                  "device-iotlb=on", num, VTD_RIG_SLOTS);
    vtd_rig_number_slot(r, 0, 1);
    vtd_rig_enable(r);
}

/* A device that comes while translation is on has no memory to start with */
static void test_hot_plug(void)
{
    VtdRig r;

    start_port(&r, 0);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, DATA, false, 0,
                               "blocked");
    vtd_rig_first_stage(&r, BEHIND(1), DID, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);

    vtd_rig_unplug(&r, 0, "hot");
    g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, 0);
    vtd_rig_plug(&r, 0, "again", HOST_DEV1);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    /* Entries of the slot that the guest did not clear are in force */
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x11, 16);
    vtd_rig_unplug(&r, 0, "again");
    g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, 0);
    vtd_rig_stop(&r);
}

/* Gone with PASIDs bound and a page request unanswered */
static void test_unplug_busy(void)
{
    VtdRig r;

    start_port(&r, 0);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
    vtd_rig_enable_sva(&r, BEHIND(1));
    r.regs.write64(r.regs.opaque, 0xd0, iommu_mem_alloc(&r.mem, 4096, 4096));
    vtd_context_scalable(&r.t, BEHIND(1), 12,
                         VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE, 0);
    for (unsigned i = 1; i < 20; i++) {
        vtd_pasid_set(&r.t, BEHIND(1), i, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_s1_new(&r.mem),
            .s1_levels = 4,
        });
    }
    vtd_rig_inv_context(&r, BEHIND(1));
    iommufd_model_do(r.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":3,\"addrs\":[%llu],\"grpid\":1}", IOVA);
    vtd_rig_unplug(&r, 0, "hot");
    g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, 0);
    vtd_rig_stop(&r);
}

/* The guest numbers its buses anew while translation is on */
static void test_renumber(void)
{
    VtdRig r;

    start_port(&r, 0);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
    vtd_rig_first_stage(&r, BEHIND(1), DID, vtd_rig_s1(&r, IOVA, 1));
    vtd_context_scalable(&r.t, BEHIND(2), 7, 0, 0);
    vtd_pasid_set(&r.t, BEHIND(2), 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID + 1, .s1_levels = 4,
        .s1 = vtd_rig_s1(&r, IOVA, 2),
    });
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    vtd_rig_number_slot(&r, 0, 2);
    vtd_rig_inv_context(&r, BEHIND(2));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 16);
    /* Commands for the old number are nobody's */
    vtd_context_clear(&r.t, BEHIND(1));
    vtd_rig_inv_context(&r, BEHIND(1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 16);
    vtd_rig_stop(&r);
}

/* A function-level reset by the guest keeps the tables, not the enables */
static void test_flr(void)
{
    IommufdDma how = { .with_pasid = true, .pasid = 7 };
    unsigned pasid, reg;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_context_scalable(&r.t, RID0, 12, VTD_CTX_PASIDE, 0);
    for (unsigned i = 0; i <= 7; i += 7) {
        vtd_pasid_set(&r.t, RID0, i, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = DID, .s1_levels = 4,
            .s1 = vtd_rig_s1(&r, IOVA, 1),
        });
    }
    vtd_rig_inv_context(&r, RID0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x11);

    pasid = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
    reg = vtd_rig_pcie_cap(&r, RID0) + PCI_EXP_DEVCTL;
    vtd_rig_config_write(&r, RID0, reg, PCI_EXP_DEVCTL_BCR_FLR);
    g_assert_cmphex(vtd_rig_config_read(&r, RID0, pasid + 4) >> 16, ==, 0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, -1);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    vtd_rig_enable_sva(&r, RID0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x11);
    vtd_rig_stop(&r);
}

static void host_reset(VtdRig *r)
{
    iommufd_model_do(r->m, "{\"cmd\":\"reset-begin\",\"dev\":\"" HOST_DEV0
                     "\"}");
    iommufd_model_do(r->m, "{\"cmd\":\"reset-end\",\"dev\":\"" HOST_DEV0
                     "\"}");
}

/*
 * The host attaches with a reset what it attached last, which after a refusal
 * is the table that the guest has given up.
 */
static void test_reset_refused(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
    host_reset(&r);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"ATTACH_IOMMUFD_PT:1:errno=ENOMEM:late\"}");
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(&r, IOVA, 2),
        .s1_levels = 4,
    });
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, 0));
    g_assert_false(vtd_queue_sync(&r.q, &r.regs));
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    host_reset(&r);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    vtd_rig_stop(&r);
}

/* An attach that meets a reset is made up for when the reset is over */
static void test_busy(void)
{
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    iommufd_model_do(r.m, "{\"cmd\":\"reset-begin\",\"dev\":\"" HOST_DEV0
                     "\"}");
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0, NULL);
    iommufd_model_do(r.m, "{\"cmd\":\"reset-end\",\"dev\":\"" HOST_DEV0
                     "\"}");
    for (unsigned i = 0; vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA) != 0x11;
         i++) {
        g_assert_cmpuint(i, <, 1000);
        /* The core's timer runs on the clock that qtest holds */
        qtest_clock_step(r.qts, 50 * 1000 * 1000);
        g_usleep(10000);
    }
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/life/hot-plug", test_hot_plug);
    qtest_add_func("/vtd-nested/life/unplug-busy", test_unplug_busy);
    qtest_add_func("/vtd-nested/life/renumber", test_renumber);
    qtest_add_func("/vtd-nested/life/flr", test_flr);
    qtest_add_func("/vtd-nested/life/reset-refused", test_reset_refused);
    qtest_add_func("/vtd-nested/life/busy", test_busy);
    return g_test_run();
}
