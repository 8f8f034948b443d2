/*
 * SMMUv3 nesting: what the host's kernel does is found out by trying
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

typedef struct Host {
    const char *path;
    const char *kernel, *iommu, *device;
    const char *lacks, *remedy;
} Host;

static const Host hosts[] = {
    { "s2fwb", "", "fwb=off", "", "no vIOMMU", "S2FWB" },
    { "no-viommu", "kernel=no-viommu", "", "", "no vIOMMU", "Linux 6.13" },
    { "no-nesting", "kernel=no-nesting", "", "", "no nesting parent",
      "both stages" },
    { "streams", "", "", "streams=2", "no vDEVICE", "one StreamID" },
};

/*
 * The registers can, the kernel does not: nested=on says so and what it takes.
 * nested=auto is off then; that the base takes no assigned device behind an
 * SMMU without nesting is another error.
 */
static void test_refused(gconstpointer opaque)
{
    const Host *h = opaque;
    static const char *const modes[] = { "nested=on", "nested=auto" };
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=smmuv3\n%s\n[iommu 0]\n%s\n[device " HOST_DEV0 "]\n%s\n",
        h->kernel, h->iommu, h->device);

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *why = g_strdup_printf("%s%s", modes[i], i ?
            " is off, because " HOST_DEV0 " cannot be nested" :
            ": " HOST_DEV0 " cannot be nested");

        smmu_rig_expect_refusal(host, modes[i], 1, why);
        smmu_rig_expect_refusal(host, modes[i], 1, h->lacks);
        smmu_rig_expect_refusal(host, modes[i], 1, h->remedy);
    }
}

/* The device that cannot be nested comes later: an error, and all goes on */
static void test_plugged(void)
{
    SmmuRig r;

    smmu_rig_start(&r, "[host]\narch=smmuv3\n[iommu 0]\n"
                   "[device " HOST_DEV0 "]\ngroup=1\n"
                   "[device " HOST_DEV1 "]\ngroup=2\nstreams=2\n",
                   "nested=on", 1,
                   "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 ");
    g_autofree char *why = nested_rig_plug_refusal(r.qts, 0, "dev1",
                                                   HOST_DEV1);

    g_assert_nonnull(strstr(why, HOST_DEV1 " cannot be nested"));
    g_assert_nonnull(strstr(why, "one StreamID"));
    g_assert_cmpuint(iommufd_model_live(r.m, "devices"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS);
    g_assert_cmpuint(iommufd_model_live(r.m, "viommu"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "vdevice"), ==, 0);
    smmu_rig_stop(&r);
}

/*
 * A kernel with vIOMMUs and without queues for their events (6.13, 6.14):
 * nested all the same, and the user is told what is missing
 */
static void test_no_events(void)
{
    g_autofree char *said = g_strdup_printf("%s/smmu-nested-probe-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    g_autofree char *text = NULL;
    SmmuRig r;

    smmu_rig_start(&r, "[host]\narch=smmuv3\nkernel=no-veventq\n"
                   "[iommu 0]\n[device " HOST_DEV0 "]\n", "nested=on", 1,
                   extra);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x77);
    smmu_rig_stage1(&r, SID0, 5, 0x4000000000, 1);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, 0x4000000000, 0x77, 16);
    smmu_rig_stop(&r);
    g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
    unlink(said);
    g_test_message("%s", text);
    g_assert_nonnull(strstr(text, "no vEVENTQ"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        g_autofree char *path = g_strdup_printf("/smmu-nested/probe/%s",
                                                hosts[i].path);

        qtest_add_data_func(path, &hosts[i], test_refused);
    }
    qtest_add_func("/smmu-nested/probe/plugged", test_plugged);
    qtest_add_func("/smmu-nested/probe/no-events", test_no_events);
    return g_test_run();
}
