/*
 * VT-d nesting: what "nested" is while nobody gives it. First-stage
 * translation nests an assigned device then, and without one the vIOMMU is the
 * base's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-migration-rig.h"

#define DID     5
#define IOVA    0x7fff00000000ULL
/* A command line of QEMU 11.1, which takes assigned devices with this only */
#define PEER    "scalable-mode=on,fsts=on,caching-mode=on"
#define SVM     PEER ",pasid-bits=20,device-iotlb=on,svm=on"

/* As servers have it */
static char *host_with_nwfs(void)
{
    g_autofree char *line = g_strdup_printf("ecap=0x%" PRIx64 "\n",
        (uint64_t)(HOST_ECAP_ALL | VTD_ECAP_NWFS_BIT));

    return vtd_rig_host(1, line, "");
}

static uint64_t cap(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_CAP);
}

static uint64_t ecap(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_ECAP);
}

static bool nests(VtdRig *r, uint16_t rid)
{
    vtd_rig_fill(r, 1, 0x3c);
    vtd_rig_first_stage(r, rid, DID, vtd_rig_s1(r, IOVA, 1));
    return vtd_rig_peek(r, HOST_DEV0, NULL, IOVA) == 0x3c;
}

/* By whatever name, and with whatever way to give it */
static void test_cold(void)
{
    static const char *const lines[] = {
        PEER, "scalable-mode=on,fsts=on", "x-scalable-mode=on,x-flts=on",
        "scalable-mode=on,fsts=on,svm=on",
        "scalable-mode=on -global intel-iommu.fsts=on",
        "scalable-mode=on,fsts=on,ssts=on",
    };
    g_autofree char *host = vtd_rig_host(1, "", "");

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        VtdRig r;

        vtd_rig_start(&r, host, lines[i], 1, "");
        g_assert_cmphex(cap(&r) & VTD_CAP_CM_BIT, !=, 0);
        g_assert_cmphex(ecap(&r) & VTD_ECAP_FSTS_BIT, !=, 0);
        vtd_rig_enable(&r);
        g_assert_true(nests(&r, RID0));
        vtd_rig_stop(&r);
    }
}

/*
 * What the guest sees does not hang on the host's devices, but for what the
 * host lacks: as the base's, and as QEMU 11.1's
 */
static void test_registers(void)
{
    static const char *const lines[] = {
        PEER, PEER ",fs1gp=off", PEER ",snoop-control=on",
        PEER ",x-pasid-mode=on",
    };
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *small = vtd_rig_host(1, "cap=0x12008c006f0406\n", "");
    g_autofree char *nwfs = host_with_nwfs();
    VtdRig r;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        g_autofree char *base = g_strdup_printf("nested=off,%s", lines[i]);
        uint64_t caps, ecaps;

        vtd_rig_start(&r, host, base, 0, "");
        caps = cap(&r);
        ecaps = ecap(&r);
        vtd_rig_stop(&r);
        for (unsigned num = 0; num <= 1; num++) {
            vtd_rig_start(&r, host, lines[i], num, "");
            g_assert_cmphex(cap(&r), ==, caps);
            g_assert_cmphex(ecap(&r), ==, ecaps);
            vtd_rig_stop(&r);
        }
    }
    for (unsigned num = 0; num <= 1; num++) {
        const uint64_t svm = VTD_ECAP_DT_BIT | VTD_ECAP_PRS_BIT |
                             VTD_ECAP_PASID_BIT | VTD_ECAP_PDS_BIT |
                             VTD_ECAP_NWFS_BIT;

        vtd_rig_start(&r, nwfs, SVM, num, "");
        g_assert_cmphex(ecap(&r) & svm, ==, svm);
        g_assert_cmpuint(VTD_ECAP_PSS_OF(ecap(&r)), ==, 19);
        g_assert_cmphex(ecap(&r) & VTD_ECAP_SSTS_BIT, ==, 0);
        vtd_rig_stop(&r);
    }
    /* What comes with svm=on, the host may lack */
    vtd_rig_start(&r, host, SVM, 1, "");
    g_assert_cmphex(ecap(&r) & VTD_ECAP_PRS_BIT, !=, 0);
    g_assert_cmphex(ecap(&r) & VTD_ECAP_NWFS_BIT, ==, 0);
    vtd_rig_stop(&r);
    /* 1 GiB pages are on unless they are given, here as in the base */
    vtd_rig_start(&r, small, PEER, 1, "");
    g_assert_cmphex(cap(&r) & VTD_CAP_FS1GP_BIT, ==, 0);
    vtd_rig_stop(&r);
}

/* PASIDs without first-stage translation, by their width: emulated */
static void test_pasid_bits(void)
{
    static const char *const lines[] = {
        "scalable-mode=on,pasid-bits=20",
        "scalable-mode=on,pasid-bits=20,device-iotlb=on,caching-mode=on",
        "scalable-mode=on,pasid-bits=20,aw-bits=39,nested=off",
    };
    static const struct {
        const char *iommu, *word, *other;
    } cases[] = {
        { "pasid-bits=20", "pasid-bits=20", "scalable-mode=on" },
        { "scalable-mode=on,pasid-bits=21", "pasid-bits=21", "20" },
        { "scalable-mode=on,pasid-bits=20,x-pasid-mode=off", "pasid-bits=20",
          "x-pasid-mode" },
    };
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        vtd_rig_start(&r, host, lines[i], 0, "");
        g_assert_cmphex(ecap(&r) & VTD_ECAP_PASID_BIT, !=, 0);
        g_assert_cmpuint(VTD_ECAP_PSS_OF(ecap(&r)), ==, 19);
        g_assert_cmphex(ecap(&r) & VTD_ECAP_SSTS_BIT, !=, 0);
        g_assert_cmphex(ecap(&r) & VTD_ECAP_FSTS_BIT, ==, 0);
        vtd_rig_stop(&r);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = vtd_rig_args(cases[i].iommu, 0, "");

        nested_rig_expect_refusal(host, args, cases[i].word, cases[i].other,
                                  NULL);
    }
}

/* Without a device: nothing is different from the base */
static void test_alone(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    g_autofree char *text = NULL;
    VtdRig r;

    vtd_rig_start(&r, host, "scalable-mode=on,fsts=on", 0, extra);
    g_assert_cmphex(cap(&r) & VTD_CAP_CM_BIT, ==, 0);
    vtd_rig_stop(&r);
    g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "");
    nested_rig_scratch_remove(said);
}

/* A device that comes later nests like one that was there from the start */
static void test_hot_plug(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    uint64_t caps, ecaps;
    VtdRig r;

    vtd_rig_start(&r, host, PEER, 0, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_enable(&r);
    caps = cap(&r);
    ecaps = ecap(&r);
    for (unsigned i = 0; i < 2; i++) {
        vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
        if (!i) {
            iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, DATA, false, 0,
                                       "blocked");
        }
        g_assert_true(nests(&r, BEHIND(1)));
        vtd_rig_unplug(&r, 0, "hot");
        g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, 0);
    }
    qtest_system_reset(r.qts);
    g_assert_cmphex(cap(&r), ==, caps);
    g_assert_cmphex(ecap(&r), ==, ecaps);
    vtd_rig_stop(&r);
}

/* Hot-plug: what the guest has not been promised, and a host that cannot */
static void test_hot_plug_refused(void)
{
    const uint64_t nest = 1ULL << 26;
    g_autofree char *full = vtd_rig_host(1, "", "");
    g_autofree char *line = g_strdup_printf("ecap=0x%" PRIx64 "\n",
                                            (uint64_t)HOST_ECAP_ALL & ~nest);
    g_autofree char *no_nest = vtd_rig_host(1, line, "");
    g_autofree char *small = vtd_rig_host(1, "cap=0x12008c006f0406\n", "");
    const struct {
        const char *host, *iommu, *words[4];
    } cases[] = {
        { full, "scalable-mode=on,fsts=on",
          { "fsts=on", HOST_DEV0, "caching-mode=on" } },
        { no_nest, PEER, { "fsts=on", HOST_DEV0, "nested translation",
                           "fsts=off" } },
        { small, PEER, { "'fs1gp' is on", HOST_DEV0 } },
        { full, "nested=off," PEER, { "fsts=on", HOST_DEV0, "nested=off" } },
        { full, SVM, { "svm=on", "NWFS", HOST_DEV0 } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *why = NULL;
        VtdRig r;

        vtd_rig_start(&r, cases[i].host, cases[i].iommu, 0, VTD_RIG_SLOTS);
        vtd_rig_number_slot(&r, 0, 1);
        vtd_rig_enable(&r);
        why = nested_rig_plug_refusal(r.qts, 0, "hot", HOST_DEV0);
        g_test_message("%s", why);
        for (size_t k = 0; k < 4 && cases[i].words[k]; k++) {
            g_assert_nonnull(strstr(why, cases[i].words[k]));
        }
        g_assert_cmpuint(iommufd_model_live(r.m, NULL), ==, 0);
        vtd_rig_stop(&r);
    }
}

static void test_refusals(void)
{
    const uint64_t nest = 1ULL << 26, pasid = VTD_ECAP_PASID_BIT;
    g_autofree char *full = vtd_rig_host(1, "", "");
    g_autofree char *line = g_strdup_printf("ecap=0x%" PRIx64 "\n",
                                            (uint64_t)HOST_ECAP_ALL & ~nest);
    g_autofree char *no_nest = vtd_rig_host(1, line, "");
    g_autofree char *pasid_line = g_strdup_printf("ecap=0x%" PRIx64 "\n",
        (uint64_t)HOST_ECAP_ALL & ~pasid);
    g_autofree char *no_pasid = vtd_rig_host(1, pasid_line, "");
    g_autofree char *old = vtd_rig_host(1, "", "");
    const struct {
        const char *host, *iommu, *words[4];
    } cases[] = {
        { no_nest, PEER, { "fsts=on", HOST_DEV0, "nested translation",
                           "fsts=off" } },
        { full, "scalable-mode=on,fsts=on,caching-mode=off",
          { "fsts=on", HOST_DEV0, "caching-mode=on" } },
        { full, "nested=off," PEER, { "fsts=on", HOST_DEV0, "nested=off" } },
        { full, PEER " -global intel-iommu.nested=off",
          { "fsts=on", HOST_DEV0, "nested=off" } },
        { no_pasid, PEER ",pasid-bits=20", { "is on", HOST_DEV0 } },
        { full, PEER ",pasid-bits=21", { "pasid-bits=21" } },
        { full, PEER ",pasid-bits=20,x-pasid-mode=off", { "pasid-bits=20" } },
        { full, PEER ",svm=on,device-iotlb=off", { "svm=on needs" } },
        { full, PEER ",svm=on,dma-translation=off",
          { "svm=on needs", "dma-translation=on" } },
        /* As in the base and in QEMU 11.1 */
        { full, "fsts=on", { "only available in scalable mode" } },
        { full, PEER ",aw-bits=39", { "aw-bits is: 48" } },
        { full, "scalable-mode=on,svm=on", { "svm", "fsts=on" } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = vtd_rig_args(cases[i].iommu, 1, "");
        const char *const *words = cases[i].words;

        nested_rig_expect_refusal(cases[i].host, args, words[0], words[1],
                                  words[2], words[3], NULL);
    }
}

/* Never nested: refused, unless there is something that it can follow */
static void test_unfit(void)
{
    static const char behind[] = "-device pcie-pci-bridge,id=pci "
        "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,bus=pci,addr=1";
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *args = vtd_rig_args(PEER, 0, behind);
    VtdRig r;

    nested_rig_expect_refusal(host, args, "fsts=on", HOST_DEV0,
                              "behind a bridge to conventional PCI",
                              "fsts=off", NULL);
    vtd_rig_start(&r, host, PEER ",ssts=on", 0, behind);
    vtd_rig_stop(&r);
}

/* It would not be behind the vIOMMU */
static void test_order(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    nested_rig_expect_refusal(host, "-M q35 -nodefaults "
        "-object iommufd,id=iommufd0 "
        "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0 "
        "-device intel-iommu," PEER, HOST_DEV0 ": was added before "
        "intel-iommu", "has to come before", NULL);
}

/*
 * Saved state: that of an emulated vIOMMU is the base's, either way, and is
 * taken where there is a device; one that a device was nested behind says so
 */
static void test_state(void)
{
    static const struct {
        const char *from, *to;
        unsigned num;
        const char *why;
        bool poor;              /* the host lacks NWFS */
    } cases[] = {
        { PEER, "nested=off," PEER },
        { "nested=off," PEER, PEER },
        { "nested=off," PEER, PEER, 1 },
        { PEER, PEER, 1 },
        { SVM, SVM, 1 },
        { "nested=on,fs1gp=on,ssts=off", PEER },
        { PEER ",fs1gp=off", PEER, 1, "Invalid argument" },
        { SVM, SVM, 1, "Invalid argument", .poor = true },
        { "scalable-mode=on,pasid-bits=20", "scalable-mode=on,pasid-bits=20" },
        { SVM, PEER, 0, "Invalid argument" },
        { "nested=on,fs1gp=on", PEER, 0, "Invalid argument" },
    };
    g_autofree char *host = host_with_nwfs();
    g_autofree char *poor = vtd_rig_host(1, "", "");
    const char *const hosts[] = { host, poor };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *file = nested_rig_scratch("state");
        g_autofree char *why = NULL;
        VtdRig r;

        g_test_message("%s to %s, %u", cases[i].from, cases[i].to,
                       cases[i].num);
        /* The device is at the end of the bus: guests see the same otherwise */
        vtd_rig_start(&r, host, cases[i].from, 0, "");
        vtd_migration_save(&r, file);
        vtd_rig_stop(&r);
        vtd_rig_start(&r, hosts[cases[i].poor], cases[i].to, cases[i].num,
                      "-incoming defer");
        why = vtd_migration_load(&r, file);
        g_assert_cmpint(!!why, ==, !!cases[i].why);
        vtd_rig_stop(&r);
        nested_rig_scratch_remove(file);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/fsts/cold", test_cold);
    qtest_add_func("/vtd-nested/fsts/registers", test_registers);
    qtest_add_func("/vtd-nested/fsts/pasid-bits", test_pasid_bits);
    qtest_add_func("/vtd-nested/fsts/alone", test_alone);
    qtest_add_func("/vtd-nested/fsts/hot-plug", test_hot_plug);
    qtest_add_func("/vtd-nested/fsts/hot-plug-refused",
                   test_hot_plug_refused);
    qtest_add_func("/vtd-nested/fsts/refusals", test_refusals);
    qtest_add_func("/vtd-nested/fsts/unfit", test_unfit);
    qtest_add_func("/vtd-nested/fsts/order", test_order);
    qtest_add_func("/vtd-nested/fsts/state", test_state);
    return g_test_run();
}
