/*
 * VT-d nesting: what the host's kernel does is found out by trying
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-migration-rig.h"

/* What QEMU has said on @file is all of @words, each once */
static void expect_said(const char *file, const char *const *words)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_test_message("%s", text);
    for (; *words; words++) {
        const char *first = strstr(text, *words);

        g_assert_nonnull(first);
        g_assert_null(strstr(first + 1, *words));
    }
}

/* ------------------------------------------------------- can it be nested? */

/*
 * The registers can, the kernel does not. nested=on says so and what to do;
 * nested=auto shadows.
 */
static void test_no_parent(gconstpointer words)
{
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=vtd\n%s\n[iommu 0]\n[device " HOST_DEV0 "]\n",
        (const char *)words);
    g_autofree char *args = vtd_rig_args("nested=on", 1, "");
    g_autofree char *said = vtd_scratch_file("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    VtdRig r;

    nested_rig_expect_refusal(host, args, "nested=on: " HOST_DEV0 " cannot be "
                              "nested", "no nesting parent", "sm_on", NULL);

    vtd_rig_start(&r, host, "nested=auto", 1, extra);
    g_assert_cmphex(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_SMTS_BIT, ==, 0);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
    vtd_rig_stop(&r);
    expect_said(said, (const char *const[]) {
        "nested=auto falls back to shadowed tables: " HOST_DEV0, "sm_on", NULL
    });
    vtd_scratch_remove(said);
}

/* What was tried is gone again, whether it is a first device or a later one */
static void test_leaves_nothing(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, VTD_RIG_SLOTS);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "fault"), ==, 0);
    vtd_rig_plug(&r, 0, "dev1", HOST_DEV1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "fault"), ==, 0);
    vtd_rig_stop(&r);
}

/* -------------------------------------------------------------- PASIDs */

/*
 * A vfio driver of the host that attaches no PASIDs: the guest sees none of
 * the device's, while that of another driver has them
 */
static void test_no_pasid_attach(gconstpointer hot)
{
    static const char host[] = "[host]\narch=vtd\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=1\n"
        "[device " HOST_DEV1 "]\ngroup=2\npasid-attach=off\n";
    g_autofree char *said = vtd_scratch_file("stderr");
    g_autofree char *extra = g_strdup_printf(VTD_RIG_SLOTS "2>'%s'", said);
    const IommufdDma pasid = { .with_pasid = true, .pasid = 5 };
    uint16_t rid = hot ? BEHIND(1) : RID1;
    uint64_t s1;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,x-pasid-mode=on", hot ? 1 : 2, extra);
    vtd_rig_number_slot(&r, 0, 1);
    if (hot) {
        vtd_rig_plug(&r, 0, "dev1", HOST_DEV1);
    }
    g_assert_cmpuint(vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID), !=, 0);
    g_assert_cmpuint(vtd_rig_ext_cap(&r, rid, PCI_EXT_CAP_ID_PASID), ==, 0);

    /* A guest that does not care about the capability */
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    vtd_rig_enable_sva(&r, rid);
    vtd_rig_fill(&r, 1, 0x31);
    s1 = vtd_rig_s1(&r, 0x4000000000ULL, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t to = i ? rid : RID0;

        vtd_context_scalable(&r.t, to, 7, VTD_CTX_PASIDE, 0);
        vtd_pasid_set(&r.t, to, 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = 6, .s1 = s1, .s1_levels = 4,
        });
        vtd_pasid_set(&r.t, to, 5, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_FIRST, .did = 5, .s1 = s1, .s1_levels = 4,
        });
        vtd_rig_inv_context(&r, to);
    }
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &pasid, 0x4000000000ULL), ==,
                    0x31);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, &pasid, 0x4000000000ULL), ==,
                    -1);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, 0x4000000000ULL), ==,
                    0x31);
    g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==, 0);
    vtd_rig_stop(&r);
    expect_said(said, (const char *const[]) {
        HOST_DEV1 ": the guest sees no PASIDs of it", NULL
    });
    vtd_scratch_remove(said);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/probe/no-parent/sm-off",
                        "scalable-mode=off", test_no_parent);
    qtest_add_data_func("/vtd-nested/probe/no-parent/kernel",
                        "kernel=no-nesting", test_no_parent);
    qtest_add_func("/vtd-nested/probe/leaves-nothing", test_leaves_nothing);
    qtest_add_data_func("/vtd-nested/probe/no-pasid-attach/cold", NULL,
                        test_no_pasid_attach);
    qtest_add_data_func("/vtd-nested/probe/no-pasid-attach/hot", "",
                        test_no_pasid_attach);
    return g_test_run();
}
