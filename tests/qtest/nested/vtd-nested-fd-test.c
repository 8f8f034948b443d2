/*
 * VT-d nesting: descriptors that are passed, and kernels that know less of them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-rig.h"

#define IOVA 0x4000000000ULL

#define OLD_HOST "[host]\narch=vtd\nkernel=no-change-process\n[iommu 0]\n" \
                 "[device " HOST_DEV0 "]\n[device " HOST_DEV1 "]\n"

/* Before 6.13 there was no IOMMU_IOAS_CHANGE_PROCESS */
static void test_old_kernel(void)
{
    VtdRig r;

    vtd_rig_start(&r, OLD_HOST, "nested=on", 1, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV1);
    vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_rig_first_stage(&r, BEHIND(1), 6, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x11, 64);
    vtd_rig_stop(&r);
}

/* The same without any vIOMMU */
static void test_old_kernel_plain(void)
{
    IommufdModel *m = iommufd_model_new(OLD_HOST);
    QTestState *qts;

    qts = iommufd_model_start(m, "-M q35 -m 128M -nodefaults "
        "-object iommufd,id=iommufd0 "
        "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0");
    g_assert_nonnull(qts);
    iommufd_model_free(m);
}

/* What is closed, and what is no iommufd */
static void test_wrong_fd(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    for (unsigned fd = 0; fd < 64; fd += 63) {
        g_autofree char *args = g_strdup_printf("-M q35 -nodefaults "
            "-object iommufd,id=iommufd0,fd=%u "
            "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0", fd);

        nested_rig_expect_refusal(host, args, HOST_DEV0, NULL);
    }
}

/* A device by its descriptor, and without an id */
static void test_no_id(void)
{
    VtdRig r;
    int fd;

    vtd_rig_start(&r, OLD_HOST, "nested=on", 0, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    fd = iommufd_model_open(r.m, "/dev/vfio/devices/vfio0");
    qtest_qmp_fds_assert_success(r.qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': 'dev' } }");
    close(fd);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'device_add', 'arguments': "
        "{ 'driver': 'vfio-pci', 'fd': 'dev', 'bus': 'rp0', "
        "'iommufd': 'iommufd0' } }");
    vtd_rig_power_slot(&r, 0);
    vtd_rig_first_stage(&r, BEHIND(1), 6, vtd_rig_s1(&r, IOVA, 1));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 64);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/fd/old-kernel", test_old_kernel);
    qtest_add_func("/vtd-nested/fd/old-kernel-plain", test_old_kernel_plain);
    qtest_add_func("/vtd-nested/fd/wrong", test_wrong_fd);
    qtest_add_func("/vtd-nested/fd/no-id", test_no_id);
    return g_test_run();
}
