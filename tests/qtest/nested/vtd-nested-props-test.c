/*
 * VT-d nesting: properties, resolved from the host and then frozen
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "vtd-migration-rig.h"

/* The model's line for a host that can do everything, less some bits */
static char *ecap_line(uint64_t lacks)
{
    return g_strdup_printf("ecap=0x%" PRIx64 "\n",
                           (uint64_t)HOST_ECAP_ALL & ~lacks);
}

static uint64_t cap(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_CAP);
}

static uint64_t ecap(VtdRig *r)
{
    return r->regs.read64(r->regs.opaque, VTD_REG_ECAP);
}

static void test_all(void)
{
    const uint64_t all = VTD_ECAP_DT_BIT | VTD_ECAP_SC_BIT |
        VTD_ECAP_PRS_BIT | VTD_ECAP_PASID_BIT | VTD_ECAP_PDS_BIT |
        VTD_ECAP_SMTS_BIT | VTD_ECAP_FSTS_BIT | VTD_ECAP_SSTS_BIT |
        VTD_ECAP_SMPWC_BIT;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    g_assert_cmphex(ecap(&r) & all, ==, all);
    g_assert_cmpuint(VTD_ECAP_PSS_OF(ecap(&r)), ==, 19);
    g_assert_cmphex(cap(&r) & (VTD_CAP_CM_BIT | VTD_CAP_FS1GP_BIT), ==,
                    VTD_CAP_CM_BIT | VTD_CAP_FS1GP_BIT);
    vtd_rig_stop(&r);
}

/* What the host lacks, the guest does not get; nor what the user refused */
static void test_follow(void)
{
    static const struct {
        const char *property;
        uint64_t bit;
        bool in_cap;
    } features[] = {
        { "snoop-control", VTD_ECAP_SC_BIT },
        { "smpwc", VTD_ECAP_SMPWC_BIT },
        { "x-pasid-mode", VTD_ECAP_PASID_BIT },
        { "svm", VTD_ECAP_PRS_BIT },
        { "device-iotlb", VTD_ECAP_DT_BIT },
        { "fs1gp", VTD_CAP_FS1GP_BIT, true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        bool in_cap = features[i].in_cap;
        g_autofree char *iommu = in_cap ? g_strdup("cap=0x12008c006f0406\n") :
                                          ecap_line(features[i].bit);
        g_autofree char *host = vtd_rig_host(1, iommu, "");
        g_autofree char *full = vtd_rig_host(1, "", "");
        g_autofree char *off = g_strdup_printf("nested=on,%s=off",
                                               features[i].property);
        VtdRig r;

        vtd_rig_start(&r, host, "nested=on", 1, "");
        g_assert_cmphex((in_cap ? cap(&r) : ecap(&r)) & features[i].bit, ==,
                        0);
        vtd_rig_stop(&r);
        vtd_rig_start(&r, full, off, 1, "");
        g_assert_cmphex((in_cap ? cap(&r) : ecap(&r)) & features[i].bit, ==,
                        0);
        vtd_rig_stop(&r);
    }
}

static void test_refusals(void)
{
    g_autofree char *full = vtd_rig_host(1, "", "");
    g_autofree char *no_smpwc_line = ecap_line(VTD_ECAP_SMPWC_BIT);
    g_autofree char *no_smpwc = vtd_rig_host(1, no_smpwc_line, "");
    g_autofree char *no_nest_line = ecap_line(1ULL << 26);
    g_autofree char *no_nest = vtd_rig_host(1, no_nest_line, "");
    g_autofree char *narrow_line = g_strdup_printf("ecap=0x%llx\n",
        (HOST_ECAP_ALL & ~(0x1fULL << 35)) | 7ULL << 35);
    g_autofree char *narrow = vtd_rig_host(1, narrow_line, "");
    const struct {
        const char *host, *iommu, *words[3];
    } cases[] = {
        { no_smpwc, "nested=on,smpwc=on",
          { "'smpwc' is on", "off", HOST_DEV0 } },
        { narrow, "nested=on,x-pasid-mode=on,pasid-bits=16",
          { "'pasid-bits' is 16", "has 8", HOST_DEV0 } },
        { no_nest, "nested=on",
          { "nested=on", HOST_DEV0, "nested translation" } },
        { full, "nested=on,x-flts=off", { "nested=on needs x-flts=on" } },
        { full, "nested=on,caching-mode=off",
          { "nested=on needs caching-mode=on" } },
        { full, "nested=on,aw-bits=39", { "nested=on needs aw-bits=48" } },
        { full, "nested=on -global intel-iommu.aw-bits=39",
          { "nested=on needs aw-bits=48" } },
        /* Also where the machine type says the same */
        { full, "nested=on,aw-bits=39 -machine pc-q35-9.1",
          { "nested=on needs aw-bits=48" } },
        { full, "nested=on,dma-drain=off",
          { "nested=on needs dma-drain=on" } },
        { full, "nested=on,dma-translation=off",
          { "nested=on needs dma-translation=on" } },
        { full, "nested=on,svm=on,device-iotlb=off",
          { "svm=on needs device-iotlb=on" } },
        { full, "nested=on,pasid-bits=21", { "pasid-bits=21" } },
        { full, "nested=on,max-hwpts=65536", { "max-hwpts=65536", "65535" } },
        { full, "max-hwpts=5", { "max-hwpts", "nested=on" } },
        { full, "svm=on", { "nested=on" } },
        { full, "nested=on,fs1gp=maybe", { "fs1gp" } },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = vtd_rig_args(cases[i].iommu, 1, "");
        const char *const *words = cases[i].words;

        nested_rig_expect_refusal(cases[i].host, args, words[0], words[1],
                                  words[2], NULL);
    }
}

/* All the spellings that a boolean property of the base takes, and auto */
static void test_spellings(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    static const char *const off[] = {
        "nested=on,fs1gp=off", "nested=on,fs1gp=no", "nested=on,fs1gp=false",
        "nested=on -global intel-iommu.fs1gp=off",
    };
    static const char *const on[] = {
        "nested=on,fs1gp=on", "nested=on,fs1gp=yes",
        "nested=on -global intel-iommu.fs1gp=on", "nested=on,ssts=auto",
        "nested=on,ssts=on -global intel-iommu.smpwc=auto",
    };
    VtdRig r;

    for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
        vtd_rig_start(&r, host, off[i], 1, "");
        g_assert_cmphex(cap(&r) & VTD_CAP_FS1GP_BIT, ==, 0);
        vtd_rig_stop(&r);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(on); i++) {
        vtd_rig_start(&r, host, on[i], 1, "");
        g_assert_cmphex(cap(&r) & VTD_CAP_FS1GP_BIT, !=, 0);
        vtd_rig_stop(&r);
    }
}

/* nested=auto: without a device, and with one that cannot nest */
static void test_auto(void)
{
    g_autofree char *full = vtd_rig_host(1, "", "");
    g_autofree char *line = ecap_line(1ULL << 26);
    g_autofree char *no_nest = vtd_rig_host(1, line, "");
    VtdRig r;

    vtd_rig_start(&r, full, "nested=auto", 0, "");
    g_assert_cmphex(ecap(&r) & VTD_ECAP_SMTS_BIT, ==, 0);
    g_assert_cmphex(cap(&r) & VTD_CAP_CM_BIT, ==, 0);
    vtd_rig_stop(&r);

    vtd_rig_start(&r, full, "nested=auto", 1, "");
    g_assert_cmphex(ecap(&r) & VTD_ECAP_FSTS_BIT, !=, 0);
    vtd_rig_stop(&r);

    vtd_rig_start(&r, no_nest, "nested=auto", 1, "");
    g_assert_cmphex(ecap(&r) & VTD_ECAP_SMTS_BIT, ==, 0);
    g_assert_cmphex(cap(&r) & VTD_CAP_CM_BIT, !=, 0);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
    vtd_rig_stop(&r);
}

/*
 * Machine types up to 9.1 have aw-bits=39, which nobody gave: nesting has what
 * it needs, and without nesting they are what they were
 */
static void test_machine_type(void)
{
    g_autofree char *full = vtd_rig_host(1, "", "");
    g_autofree char *line = ecap_line(1ULL << 26);
    g_autofree char *no_nest = vtd_rig_host(1, line, "");
    const struct {
        const char *host, *iommu;
        unsigned num, width;
        bool first_stage;
    } cases[] = {
        { full, "nested=on", 1, 48, true },
        { full, "nested=on", 0, 48, true },
        { full, "nested=auto", 1, 48, true },
        { full, "nested=auto", 0, 39, false },
        { no_nest, "nested=auto", 1, 39, false },
        { full, "nested=off,caching-mode=on", 1, 39, false },
        { full, "nested=off,caching-mode=on,aw-bits=48", 1, 48, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        VtdRig r;

        vtd_rig_start(&r, cases[i].host, cases[i].iommu, cases[i].num,
                      "-machine pc-q35-9.1");
        g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, cases[i].width);
        g_assert_cmpint(!!(ecap(&r) & VTD_ECAP_FSTS_BIT), ==,
                        cases[i].first_stage);
        if (cases[i].first_stage && cases[i].num) {
            vtd_rig_enable(&r);
            vtd_rig_fill(&r, 1, 0x3c);
            vtd_rig_first_stage(&r, RID0, 5,
                                vtd_rig_s1(&r, 0x7fff00000000ULL, 1));
            g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL,
                                         0x7fff00000000ULL), ==, 0x3c);
        }
        vtd_rig_stop(&r);
    }
}

/*
 * What is given and leaves no room for nesting: nested=auto is off then, says
 * so, and the device is shadowed
 */
static void test_auto_given(void)
{
    static const struct {
        const char *iommu, *needs;
    } cases[] = {
        { "aw-bits=39", "aw-bits=48" },
        { "aw-bits=39 -machine pc-q35-9.1", "aw-bits=48" },
        { "x-flts=off", "x-flts=on" },
        { "dma-drain=off", "dma-drain=on" },
        { "dma-translation=off", "dma-translation=on" },
    };
    g_autofree char *full = vtd_rig_host(1, "", "");

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *iommu = g_strdup_printf("nested=auto,%s",
                                                 cases[i].iommu);
        g_autofree char *needs = g_strdup_printf("nested=auto is off, because "
                                                 "it needs %s",
                                                 cases[i].needs);
        g_autofree char *said = nested_rig_scratch("stderr");
        g_autofree char *extra = g_strdup_printf("2>'%s'", said);
        VtdRig r;

        vtd_rig_start(&r, full, iommu, 1, extra);
        g_assert_cmphex(ecap(&r) & VTD_ECAP_SMTS_BIT, ==, 0);
        g_assert_cmphex(cap(&r) & VTD_CAP_CM_BIT, !=, 0);
        vtd_rig_fill(&r, 0, 0xa5);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
        vtd_rig_stop(&r);
        g_assert_cmpuint(nested_rig_said(said, needs), >=, 1);
        nested_rig_scratch_remove(said);
    }
}

/* The host has 47 bits for shadowed mappings: followed, unless one is given */
static void test_shadow_width(void)
{
    g_autofree char *line = ecap_line(1ULL << 26);
    g_autofree char *host = vtd_rig_host(1, line, "");
    g_autofree char *args = vtd_rig_args("nested=auto,aw-bits=48", 1, "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=auto", 1, "");
    g_assert_cmpuint(VTD_CAP_WIDTH_OF(cap(&r)), ==, 39);
    vtd_rig_stop(&r);
    nested_rig_expect_refusal(host, args, "aw-bits 48 > host aw-bits 47",
                              NULL);
}

/* What is saved while nested is for nobody else, and the other way round */
static void test_state(void)
{
    g_autofree char *file = g_strdup_printf("%s/vtd-%d", g_get_tmp_dir(),
                                            getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *in = g_strdup_printf("-incoming %s", uri);
    g_autofree char *host = vtd_rig_host(1, "", "");
    static const struct {
        const char *from, *to, *why;
    } cases[] = {
        { "nested=on,svm=on,device-iotlb=on,x-pasid-mode=on,pasid-bits=20",
          "caching-mode=on", "comes from nested=on" },
        { "nested=on,svm=on,device-iotlb=on,x-pasid-mode=on,pasid-bits=20",
          "x-scalable-mode=on,x-flts=on", "'svm' was on for the guest" },
        { "caching-mode=on", "nested=on", "iommu-intel" },
    };
    VtdRig r;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *args = vtd_rig_args(cases[i].to, 0, in);

        vtd_rig_start(&r, host, cases[i].from, 0, "");
        qtest_qmp_assert_success(r.qts, "{ 'execute': 'migrate', "
                                 "'arguments': { 'uri': %s } }", uri);
        qtest_qmp_eventwait(r.qts, "STOP");
        for (bool done = false; !done; g_usleep(1000)) {
            QDict *answer = qtest_qmp_assert_success_ref(r.qts,
                                "{ 'execute': 'query-migrate' }");

            done = !g_strcmp0(qdict_get_try_str(answer, "status"),
                              "completed");
            qobject_unref(answer);
        }
        vtd_rig_stop(&r);
        nested_rig_expect_refusal(host, args, cases[i].why, NULL);
    }
    unlink(file);
}

/* What is there before the vIOMMU would not be behind it */
static void test_order(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    static const char *const modes[] = { "on", "auto" };

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autofree char *args = g_strdup_printf("-M q35 -nodefaults "
            "-object iommufd,id=iommufd0 "
            "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0 "
            "-device intel-iommu,nested=%s", modes[i]);

        nested_rig_expect_refusal(host, args, HOST_DEV0 ": was added before "
                                  "intel-iommu", "has to come before", NULL);
    }
}

/* Said when the machine is complete, before the next mistake */
static void test_alone(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *args = vtd_rig_args("nested=on,svm=off,fs1gp=on", 0,
                                         "-incoming file:/dev/null/none");

    nested_rig_expect_refusal(host, args, "go without snoop-control, smpwc, "
                              "x-pasid-mode, device-iotlb, fs5lp;", NULL);
}

static QDict *plug(VtdRig *r, const char *id, const char *dev,
                   const char *port)
{
    return qtest_qmp(r->qts, "{ 'execute': 'device_add', 'arguments': {"
                     "'driver': 'vfio-pci', 'id': %s, 'host': %s, 'bus': %s,"
                     "'iommufd': 'iommufd0' } }", id, dev, port);
}

/* Frozen: a device that comes later has to have what the first one had */
static void test_frozen(void)
{
    g_autofree char *line = ecap_line(VTD_ECAP_SMPWC_BIT);
    g_autofree char *host = g_strdup_printf("[host]\narch=vtd\n[iommu 0]\n"
        "[iommu 1]\n%s[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=0\ngroup=2\n"
        "[device " HOST_DEV2 "]\niommu=1\ngroup=3\n", line);
    uint64_t before;
    QDict *answer;
    const char *why;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1,
                  "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 "
                  "-device pcie-root-port,id=rp1,chassis=2,addr=0x11");
    before = ecap(&r);
    answer = plug(&r, "dev1", HOST_DEV1, "rp0");
    g_assert_true(qdict_haskey(answer, "return"));
    qobject_unref(answer);
    answer = plug(&r, "dev2", HOST_DEV2, "rp1");
    why = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");
    g_assert_nonnull(strstr(why, "'smpwc' is on"));
    g_assert_nonnull(strstr(why, HOST_DEV2));
    qobject_unref(answer);
    g_assert_cmpuint(iommufd_model_live(r.m, "devices"), ==, 2);
    qtest_system_reset(r.qts);
    g_assert_cmphex(ecap(&r), ==, before);
    vtd_rig_stop(&r);
}

/* No device to ask: what any host that can nest has */
static void test_no_device(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    const uint64_t optional = VTD_ECAP_DT_BIT | VTD_ECAP_SC_BIT |
        VTD_ECAP_PRS_BIT | VTD_ECAP_PASID_BIT | VTD_ECAP_SMPWC_BIT;
    QDict *answer;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 0,
                  "-device pcie-root-port,id=rp0,chassis=1,addr=0x10");
    g_assert_cmphex(ecap(&r) & (optional | VTD_ECAP_FSTS_BIT), ==,
                    VTD_ECAP_FSTS_BIT);
    answer = plug(&r, "dev0", HOST_DEV0, "rp0");
    g_assert_true(qdict_haskey(answer, "return"));
    qobject_unref(answer);
    vtd_rig_stop(&r);
}

/* Without nesting nothing is different from the base */
static void test_default(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "caching-mode=on", 1, "");
    g_assert_cmphex(ecap(&r) & (VTD_ECAP_SMTS_BIT | VTD_ECAP_SMPWC_BIT |
                                VTD_ECAP_DT_BIT), ==, 0);
    vtd_rig_fill(&r, 0, 0xa5);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0xa5, 16);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/props/alone", test_alone);
    qtest_add_func("/vtd-nested/props/order", test_order);
    qtest_add_func("/vtd-nested/props/state", test_state);
    qtest_add_func("/vtd-nested/props/all", test_all);
    qtest_add_func("/vtd-nested/props/follow", test_follow);
    qtest_add_func("/vtd-nested/props/refusals", test_refusals);
    qtest_add_func("/vtd-nested/props/spellings", test_spellings);
    qtest_add_func("/vtd-nested/props/auto", test_auto);
    qtest_add_func("/vtd-nested/props/machine-type", test_machine_type);
    qtest_add_func("/vtd-nested/props/auto-given", test_auto_given);
    qtest_add_func("/vtd-nested/props/shadow-width", test_shadow_width);
    qtest_add_func("/vtd-nested/props/frozen", test_frozen);
    qtest_add_func("/vtd-nested/props/no-device", test_no_device);
    qtest_add_func("/vtd-nested/props/default", test_default);
    return g_test_run();
}
