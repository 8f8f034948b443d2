/*
 * VT-d nesting: what the user is told, and what can be done about it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-migration-rig.h"

#define DEVICE(bdf) "-device vfio-pci,host=" bdf ",iommufd=iommufd0 "
#define MDEV(bdf)   "-device vfio-pci,sysfsdev=/sys/bus/pci/devices/" bdf
#define IOMMUFD     "-object iommufd,id=iommufd0 "

/* Whether anything has been mapped shows in the trace */
#define TRACE       "-trace iommufd_backend_map_dma "
#define NO_MAP      "!iommufd_backend_map_dma"

/* What the host keeps for itself, in the middle of the guest's memory */
static void test_reserved(void)
{
    static const struct {
        const char *viommu, *kind, *what;
    } cases[] = {
        { "", "", HOST_DEV0 " (which its firmware uses: RMRR, RMR)" },
        { "-device intel-iommu,nested=on ", "",
          HOST_DEV0 " (which its firmware uses: RMRR, RMR)" },
        { "-device intel-iommu,nested=on ", ":msi",
          HOST_DEV0 " (interrupts)" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *device = g_strdup_printf(
            "reserved=0x4000000-0x40fffff%s\n", cases[i].kind);
        g_autofree char *host = vtd_rig_host(2, "", device);
        g_autofree char *args = g_strdup_printf("-M q35 -m 128M -nodefaults %s"
            TRACE IOMMUFD DEVICE(HOST_DEV0), cases[i].viommu);

        nested_rig_expect_refusal(host, args, "0x4000000-0x40fffff",
                                  "0x0-0x7ffffff (pc.ram)", cases[i].what,
                                  "max-ram-below-4g=0x4000000", NO_MAP, NULL);
    }
}

/* The second device's, where the first one has had memory mapped; hot, too */
static void test_reserved_second(void)
{
    const char *host = "[host]\narch=vtd\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=0\ngroup=2\n"
        "reserved=0x4000000-0x40fffff\n";
    const char *args = "-M q35 -m 128M -nodefaults "
        "-device intel-iommu,nested=on " IOMMUFD DEVICE(HOST_DEV0)
        DEVICE(HOST_DEV1);
    g_autofree char *why = NULL;
    VtdRig r;

    nested_rig_expect_refusal(host, args, HOST_DEV1 " (which its firmware",
                              "0x4000000-0x40fffff", NULL);
    vtd_rig_start(&r, host, "nested=on", 1, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    why = nested_rig_plug_refusal(r.qts, 0, "hot", HOST_DEV1);
    g_assert_nonnull(strstr(why, HOST_DEV1 " (which its firmware"));
    vtd_rig_stop(&r);
}

/* More memory than the host's IOMMU has addresses for */
static void test_width(void)
{
    g_autofree char *host = vtd_rig_host(1, "aw=39\n", "");
    const char *args = "-M q35,memory-backend=ram -m 600G -nodefaults "
        "-object memory-backend-ram,id=ram,size=600G,reserve=off "
        TRACE "-device intel-iommu,nested=on " IOMMUFD DEVICE(HOST_DEV0);

    nested_rig_expect_refusal(host, args, "IOMMU of " HOST_DEV0
                              " has addresses up to 0x7fffffffff", "(ram)",
                              "-m, maxmem", NO_MAP, NULL);
}

/* Memory that is not there yet is warned of */
static void test_width_hotplug(void)
{
    g_autofree char *host = vtd_rig_host(1, "aw=39\n", "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf(
        "-m 128M,slots=1,maxmem=600G 2>'%s'", said);
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, extra);
    vtd_rig_stop(&r);
    g_assert_cmpuint(nested_rig_said(said, "not all memory can be plugged"),
                     ==, 1);
    g_assert_cmpuint(nested_rig_said(said, HOST_DEV0 " has addresses up to "
                                     "0x7fffffffff"), ==, 1);
    nested_rig_scratch_remove(said);
}

/* One that has no place for an IOMMU */
static void test_machine(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    nested_rig_expect_refusal(host, "-M pc -device intel-iommu,nested=on",
                              "intel-iommu", "q35", NULL);
}

/* Properties that say opposite things, in any order */
static void test_contradiction(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    nested_rig_expect_refusal(host, "-M q35 -device intel-iommu,nested=on,"
                              "pasid-bits=8,x-pasid-mode=off",
                              "pasid-bits=8", "x-pasid-mode=on", NULL);
    nested_rig_expect_refusal(host, "-M q35 -device intel-iommu,nested=on,"
                              "x-pasid-mode=off,pasid-bits=8",
                              "pasid-bits=8", "x-pasid-mode=on", NULL);
}

/* nested=auto and nothing to follow: QEMU says why it is off */
static void test_auto_alone(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    nested_rig_expect_refusal(host, "-M q35 -device intel-iommu,nested=auto "
                              "-incoming file:/dev/null/none",
                              "nested=auto is off", "no assigned device", NULL);
}

/*
 * A mediated device follows what a guest announces, and it announces nothing of
 * first-stage tables: not behind a vIOMMU that has no others, cold or hot, on
 * an iommufd or not
 */
static void test_mdev(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "mdev=on\n");
    g_autofree char *why = NULL;
    VtdRig r;

    nested_rig_expect_refusal(host, "-M q35 -nodefaults "
        "-device intel-iommu,nested=on,ssts=off " IOMMUFD MDEV(HOST_DEV0)
        ",iommufd=iommufd0", HOST_DEV0, "mediated device", "nested=on", NULL);
    nested_rig_expect_refusal(host, "-M q35 -nodefaults "
        "-device intel-iommu,nested=on,ssts=off " MDEV(HOST_DEV0),
        HOST_DEV0, "mediated device", "nested=on", NULL);
    /* Without nesting it gets as far as the vIOMMU's caching mode */
    nested_rig_expect_refusal(host, "-M q35 -nodefaults "
        "-device intel-iommu,nested=auto " MDEV(HOST_DEV0),
        "falls back", "mediated device", NULL);

    vtd_rig_start(&r, host, "nested=on,ssts=off,svm=on,device-iotlb=on,"
                  "x-pasid-mode=on", 0, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    why = nested_rig_plug_refusal(r.qts, 0, "hot", HOST_DEV1);
    g_assert_nonnull(strstr(why, "mediated device"));
    vtd_rig_stop(&r);
}

/* A device that goes, and one that does not come, say nothing about KVM */
static void test_unplug(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf(VTD_RIG_SLOTS "2>'%s'", said);
    g_autofree char *why = NULL;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, extra);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_number_slot(&r, 1, 2);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV1);
    vtd_rig_unplug(&r, 0, "hot");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"GET_HW_INFO:1:"
                     "errno=EIO\"}");
    why = nested_rig_plug_refusal(r.qts, 1, "hot", HOST_DEV1);
    g_assert_nonnull(strstr(why, HOST_DEV1));
    vtd_rig_stop(&r);
    g_assert_cmpuint(nested_rig_said(said, "KVM"), ==, 0);
    nested_rig_scratch_remove(said);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/messages/reserved", test_reserved);
    qtest_add_func("/vtd-nested/messages/reserved-second",
                   test_reserved_second);
    qtest_add_func("/vtd-nested/messages/width", test_width);
    qtest_add_func("/vtd-nested/messages/width-hotplug", test_width_hotplug);
    qtest_add_func("/vtd-nested/messages/machine", test_machine);
    qtest_add_func("/vtd-nested/messages/contradiction", test_contradiction);
    qtest_add_func("/vtd-nested/messages/auto-alone", test_auto_alone);
    qtest_add_func("/vtd-nested/messages/mdev", test_mdev);
    qtest_add_func("/vtd-nested/messages/unplug", test_unplug);
    return g_test_run();
}
