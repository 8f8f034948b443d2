/*
 * VT-d nesting: states that releases have saved
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "saved-state.h"
#include "vtd-rig.h"

/* Named for the first release that writes such states */
#define NAME        "vtd-10.2"
#define MACHINE     "-machine pc-q35-10.2 "

#define IOVA        0x4000000000ULL
#define DID         5
#define PASID       7

/* What is auto otherwise: nobody is there to settle it when it is saved */
#define FEATURES    "nested=on,fs1gp=on,snoop-control=on,smpwc=on," \
                    "x-pasid-mode=on,pasid-bits=12,device-iotlb=on,svm=on"

/* @extra: more arguments, behind a space */
static void start(VtdRig *r, const char *host, const char *props, unsigned num,
                  const char *extra)
{
    g_autofree char *bios = nested_rig_scratch("bios");
    g_autofree char *args = g_strdup_printf(MACHINE "-bios %s %s", bios,
                                            extra);

    saved_state_no_firmware(bios);
    vtd_rig_start(r, host, props, num, args);
    nested_rig_scratch_remove(bios);
}

static void save(const char *file)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    start(&r, host, FEATURES, 0, "");
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    vtd_context_scalable(&r.t, RID0, 12, VTD_CTX_PASIDE, 0);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(&r, IOVA, 1),
        .s1_levels = 4,
    });
    vtd_pasid_set(&r.t, RID0, PASID, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(&r, IOVA, 2),
        .s1_levels = 4,
    });
    vtd_rig_inv_context(&r, RID0);
    saved_state_save(r.qts, file);
    vtd_rig_stop(&r);
}

/* This QEMU saves what the release did: it can go back */
static void test_shape(void)
{
    saved_state_check_shape(NAME, save, "iommu-intel");
}

/* What is in force when it was saved is; and the guest goes on */
static void test_load(void)
{
    const IommufdDma how = { .with_pasid = true, .pasid = PASID };
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    VtdRig r;

    g_assert_true(saved_state_get(NAME, file));
    start(&r, host, FEATURES, 1, "-incoming defer");
    g_assert_true(saved_state_load(r.qts, file));
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    vtd_rig_enable_sva(&r, RID0);
    iommufd_model_expect_data(r.m, HOST_DEV0, &how, IOVA, 0x22, 16);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, 2 * IOVA, false, 1, NULL);

    /* Off, and on with others beside those that have been loaded */
    r.regs.write32(r.regs.opaque, VTD_REG_GCMD, 0);
    r.mem.next += 32 * MiB;
    vtd_rig_enable(&r);
    vtd_rig_first_stage(&r, RID0, DID + 1, vtd_rig_s1(&r, 2 * IOVA, 2));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, 2 * IOVA, 0x22, 16);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 1, NULL);
    vtd_rig_stop(&r);
    nested_rig_scratch_remove(file);
}

static void refuse(const char *iommu, const char *props, const char *words)
{
    g_autofree char *host = vtd_rig_host(1, iommu, "");
    g_autofree char *file = nested_rig_scratch("state");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("-incoming defer 2>'%s'", said);
    VtdRig r;

    g_assert_true(saved_state_get(NAME, file));
    start(&r, host, props, 1, extra);
    g_assert_false(saved_state_load(r.qts, file));
    vtd_rig_stop(&r);
    saved_state_check_said(said, words);
    nested_rig_scratch_remove(file);
    nested_rig_scratch_remove(said);
}

/* The properties follow a host that has not what the guest was promised */
static void test_less(void)
{
    g_autofree char *less = g_strdup_printf(
        "ecap=0x%llx\n", HOST_ECAP_ALL & ~VTD_ECAP_SC_BIT);

    refuse(less, "nested=on,fs1gp=on,smpwc=on,x-pasid-mode=on,pasid-bits=12,"
           "device-iotlb=on,svm=on",
           "'snoop-control' was on for the guest, but is off here");
    refuse("", "x-scalable-mode=on,x-flts=on",
           "'svm' was on for the guest, but is off here");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/state/shape", test_shape);
    if (!getenv("NESTED_STATES")) {
        qtest_add_func("/vtd-nested/state/load", test_load);
        qtest_add_func("/vtd-nested/state/less", test_less);
    }
    return g_test_run();
}
