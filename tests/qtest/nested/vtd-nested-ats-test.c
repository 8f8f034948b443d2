/*
 * ats= of vfio-pci: what the guest sees of an assigned device's ATS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-rig.h"

#define DEVICE(bus, ats) "-device vfio-pci,host=" HOST_DEV0 \
    ",iommufd=iommufd0,bus=" bus ",addr=4,ats=" ats " "

static const char *const viommus[] = {
    "nested=on", "scalable-mode=on,fsts=on", "caching-mode=on",
};

static bool sees(VtdRig *r, uint16_t id)
{
    return vtd_rig_ext_cap(r, RID0, id) != 0;
}

/* Nothing is told of what the user wants; all the rest is there */
static void test_off(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    for (size_t i = 0; i < ARRAY_SIZE(viommus); i++) {
        g_autofree char *said = nested_rig_scratch("stderr");
        g_autofree char *extra = g_strdup_printf(DEVICE("pcie.0", "off")
                                                 "2>'%s'", said);
        bool nested = strcmp(viommus[i], "caching-mode=on");
        g_autofree char *text = NULL;
        VtdRig r;

        vtd_rig_start(&r, host, viommus[i], 0, extra);
        g_assert_false(sees(&r, PCI_EXT_CAP_ID_ATS));
        g_assert_false(sees(&r, PCI_EXT_CAP_ID_PRI));
        g_assert_cmpint(sees(&r, PCI_EXT_CAP_ID_PASID), ==, !i);
        if (nested) {
            vtd_rig_enable(&r);
            vtd_rig_fill(&r, 1, 0x3c);
            vtd_rig_first_stage(&r, RID0, 5, vtd_rig_s1(&r, 0x4000, 1));
            g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, 0x4000), ==,
                            0x3c);
        }
        vtd_rig_stop(&r);
        g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
        g_assert_cmpstr(text, ==, "");
        nested_rig_scratch_remove(said);
    }
}

static void test_on(void)
{
    static const char *const values[] = {
        DEVICE("pcie.0", "on"), DEVICE("pcie.0", "auto"),
    };
    g_autofree char *host = vtd_rig_host(1, "", "");

    for (size_t i = 0; i < ARRAY_SIZE(viommus); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
            VtdRig r;

            vtd_rig_start(&r, host, viommus[i], 0, values[k]);
            g_assert_true(sees(&r, PCI_EXT_CAP_ID_ATS));
            vtd_rig_stop(&r);
        }
    }
}

/* What the host does not use, a nested device does not show */
static void test_auto(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "host-ats=off\n");

    for (size_t i = 0; i < ARRAY_SIZE(viommus); i++) {
        VtdRig r;

        vtd_rig_start(&r, host, viommus[i], 0, DEVICE("pcie.0", "auto"));
        g_assert_cmpint(sees(&r, PCI_EXT_CAP_ID_ATS), ==,
                        !strcmp(viommus[i], "caching-mode=on"));
        vtd_rig_stop(&r);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *host, *iommu, *device, *why;
    } cases[] = {
        { "host-ats=off\n", "nested=on", DEVICE("pcie.0", "on"),
          "the host does not use it" },
        { "host-ats=off\n", "caching-mode=on", DEVICE("pcie.0", "on"),
          "the host does not use it" },
        { "ats=off\npri=off\n", "nested=on", DEVICE("pcie.0", "on"),
          "no ATS capability" },
        { "ats=off\npri=off\n", "caching-mode=on", DEVICE("pcie.0", "on"),
          "no ATS capability" },
        { "", "caching-mode=on",
          "-device pcie-pci-bridge,id=pci " DEVICE("pci", "on"),
          "not PCI Express" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *host = vtd_rig_host(1, "", cases[i].host);
        g_autofree char *args = vtd_rig_args(cases[i].iommu, 0,
                                             cases[i].device);

        nested_rig_expect_refusal(host, args, "ats=on", HOST_DEV0,
                                  cases[i].why, "ats=auto", NULL);
    }
    {
        g_autofree char *host = vtd_rig_host(1, "", "");
        g_autofree char *args = vtd_rig_args("nested=on", 0,
                                             DEVICE("pcie.0", "maybe"));

        nested_rig_expect_refusal(host, args, "ats", "maybe", NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/ats/off", test_off);
    qtest_add_func("/vtd-nested/ats/on", test_on);
    qtest_add_func("/vtd-nested/ats/auto", test_auto);
    qtest_add_func("/vtd-nested/ats/refused", test_refused);
    return g_test_run();
}
