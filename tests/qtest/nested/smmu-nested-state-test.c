/*
 * SMMUv3 nesting: states that releases have saved
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "saved-state.h"
#include "smmu-rig.h"

/* Named for the first release that writes such states */
#define NAME        "smmuv3-10.2"
#define MACHINE     "-machine virt-10.2 "

#define IOVA        0x4000000000ULL
#define ASID        5

/* What is auto otherwise: nobody is there to settle it when it is saved */
#define FEATURES(ssidsize, rest) \
    "nested=on,ats=on,cd2l=on,ssidsize=" ssidsize rest
#define SAVED       FEATURES("8", ",ril=on,oas=44")

static void save(const char *file)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    smmu_rig_start(&r, host, SAVED, 0, MACHINE);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
    saved_state_save(r.qts, file);
    smmu_rig_stop(&r);
}

/* This QEMU saves what the release did: it can go back */
static void test_shape(void)
{
    saved_state_check_shape(NAME, save, "smmuv3");
}

/* What is in force when it was saved is; and the guest goes on */
static void test_load(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    SmmuRig r;

    g_assert_true(saved_state_get(NAME, file));
    smmu_rig_start(&r, host, SAVED, 1, MACHINE "-incoming defer");
    g_assert_true(saved_state_load(r.qts, file));
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, 2 * IOVA, false, 1, NULL);

    /* Off, and on with tables and queues beside those that have been loaded */
    smmu_rig_write(&r, SMMU_REG_CR0, 0);
    r.mem.next = QEMU_ALIGN_UP((r.mem.next + r.mem.end) / 2, 1 * MiB);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 2, 0x22);
    smmu_rig_stage1(&r, SID0, ASID + 1, 2 * IOVA, 2);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, 2 * IOVA, 0x22, 16);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 1, NULL);
    smmu_rig_stop(&r);
    nested_rig_scratch_remove(file);
}

static void refuse(const char *iommu, const char *props, const char *words)
{
    g_autofree char *host = smmu_rig_host(1, iommu, "");
    g_autofree char *file = nested_rig_scratch("state");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf(MACHINE "-incoming defer 2>'%s'",
                                             said);
    SmmuRig r;

    g_assert_true(saved_state_get(NAME, file));
    smmu_rig_start(&r, host, props, 1, extra);
    g_assert_false(saved_state_load(r.qts, file));
    smmu_rig_stop(&r);
    saved_state_check_said(said, words);
    nested_rig_scratch_remove(file);
    nested_rig_scratch_remove(said);
}

/* The properties follow a host that has not what the guest was promised */
static void test_less(void)
{
    refuse("idr3=0x100\n", FEATURES("8", ",oas=44"),
           "the guest has been promised IDR3");
    refuse("", FEATURES("8", ",ril=on,oas=44,msi-window=off"),
           "'msi-window' is 0x8000000-0x80fffff where the guest comes from");
    refuse("", FEATURES("8", ",ril=on,oas=44 -machine user-msi=on"),
           "the machine has user-msi=off where the guest comes from");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/state/shape", test_shape);
    if (!getenv("NESTED_STATES")) {
        qtest_add_func("/smmu-nested/state/load", test_load);
        qtest_add_func("/smmu-nested/state/less", test_less);
    }
    return g_test_run();
}
