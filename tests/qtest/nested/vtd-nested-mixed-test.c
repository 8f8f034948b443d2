/*
 * VT-d nesting: several iommufds, host IOMMUs and kinds of device in one VM
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "hw/misc/sva-engine-regs.h"
#include "qobject/qdict.h"
#include "vtd-pri-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5

/* An emulated endpoint at 00:0a.0 */
#define ENGINE          "-device sva-engine,bus=pcie.0,addr=0xa "
#define ENGINE_RID      (0x0a << 3)
#define ENGINE_BAR      0xe0000000

/*
 * Of two host IOMMUs where this is the second, Linux does not take one parent
 * for both; of two equal ones it does
 */
#define UNEQUAL     "dirty-tracking=off\n"

/* @num devices, the n-th of them behind the host IOMMU @iommu[n] */
static char *host_with(const unsigned *iommu, unsigned num,
                       const char *second_iommu)
{
    static const char *const dev[] = { HOST_DEV0, HOST_DEV1, HOST_DEV2 };
    GString *text = g_string_new("[host]\narch=vtd\n[iommu 0]\n[iommu 1]\n");

    g_string_append(text, second_iommu);
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(text, "[device %s]\niommu=%u\ngroup=%u\n",
                               dev[i], iommu[i], i + 1);
    }
    return g_string_free(text, false);
}

static void expect_page(VtdRig *r, unsigned num, uint8_t value)
{
    static const char *const dev[] = { HOST_DEV0, HOST_DEV1, HOST_DEV2 };

    for (unsigned i = 0; i < num; i++) {
        iommufd_model_expect_data(r->m, dev[i], NULL, IOVA, value, 16);
    }
}

/*
 * @num devices with one table. The guest says once that a page moved; that
 * costs one ioctl for each of the @instances, and no device is left behind.
 */
static void one_table(VtdRig *r, unsigned num, unsigned instances)
{
    uint64_t s1, calls;

    vtd_rig_enable(r);
    vtd_rig_fill(r, 1, 0x11);
    vtd_rig_fill(r, 2, 0x22);
    s1 = vtd_rig_s1(r, IOVA, 1);
    for (unsigned i = 0; i < num; i++) {
        vtd_rig_first_stage(r, RID0 + i * 8, DID, s1);
    }
    expect_page(r, num, 0x11);
    /* A parent and a stage-1 HWPT for each */
    g_assert_cmpuint(iommufd_model_live(r->m, "hwpt"), ==, 2 * instances);

    vtd_s1_map(&r->mem, s1, 4, IOVA, DATA + 2 * 4096, 4096, 12,
               VTD_S1_USER_RW);
    calls = iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
    vtd_queue_push(&r->q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    vtd_rig_sync(r);
    g_assert_cmpuint(iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls"),
                     ==, calls + instances);
    expect_page(r, num, 0x22);

    /* Gone for one, there for the others */
    vtd_context_clear(&r->t, RID0);
    vtd_rig_inv_context(r, RID0);
    iommufd_model_expect_fault(r->m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    iommufd_model_expect_data(r->m, HOST_DEV1, NULL, IOVA, 0x22, 16);
}

/* One host IOMMU, and each device has an iommufd of its own */
static void test_iommufds(void)
{
    g_autofree char *host = host_with((unsigned[]) { 0, 0 }, 2, "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "-object iommufd,id=iommufd1 "
                  "-device vfio-pci,id=dev1,host=" HOST_DEV1
                  ",iommufd=iommufd1,bus=pcie.0,addr=5");
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 2);
    one_table(&r, 2, 2);
    vtd_rig_stop(&r);
}

/* One iommufd, and the third device is behind another host IOMMU */
static void test_instances(gconstpointer opaque)
{
    bool equal = opaque == NULL;
    g_autofree char *host = host_with((unsigned[]) { 0, 0, 1 }, 3,
                                      equal ? "" : UNEQUAL);
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 3, "");
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, 1);
    one_table(&r, 3, equal ? 1 : 2);
    vtd_rig_stop(&r);
}

/* What the guest sees is what both host IOMMUs have */
static void test_instances_differ(void)
{
    g_autofree char *line = g_strdup_printf("ecap=0x%llx\n", HOST_ECAP_ALL &
                                            ~VTD_ECAP_SC_BIT);
    g_autofree char *host = host_with((unsigned[]) { 0, 1 }, 2, line);
    VtdRig r;

    for (unsigned num = 1; num <= 2; num++) {
        vtd_rig_start(&r, host, "nested=on", num, "");
        g_assert_cmpint(!(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                          VTD_ECAP_SC_BIT), ==, num == 2);
        vtd_rig_stop(&r);
    }
}

/*
 * Two fault queues feed the guest's one, and the answer goes to the queue
 * that the request came from: cookies count anew in each
 */
static void test_page_requests(gconstpointer opaque)
{
    bool one_iommufd = opaque != NULL;
    g_autofree char *host = host_with((unsigned[]) { 0, 1 }, 2, UNEQUAL);
    PageRequest first, second;
    int index[2];
    PriRig p;

    pri_start_with(&p, host, "nested=on", one_iommufd ? 2 : 1, one_iommufd ?
                   "" : "-object iommufd,id=iommufd1 -device vfio-pci,id=dev1,"
                   "host=" HOST_DEV1 ",iommufd=iommufd1,bus=pcie.0,addr=5", 0);
    vtd_rig_enable_sva(&p.v, RID1);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    index[0] = pri_miss(&p, true, IOVA);
    first = pri_next(&p);
    p.dev = HOST_DEV1;
    p.rid = RID1;
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmpuint(iommufd_model_live(p.v.m, "fault"), ==, 2);
    index[1] = pri_miss(&p, true, IOVA);
    second = pri_next(&p);
    g_assert_cmphex(first.rid, ==, RID0);
    g_assert_cmphex(second.rid, ==, RID1);

    pri_map(&p, IOVA, 0x44);
    pri_respond(&p, &second, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index[1]), ==, 0x44);
    p.dev = HOST_DEV0;
    g_assert_cmpint(pri_outcome_now(&p, index[0]), ==, -2);
    pri_respond(&p, &first, VTD_PRG_INVALID);
    g_assert_cmpint(pri_outcome(&p, index[0]), ==, -1);
    pri_stop(&p);
}

/* ------------------------------------------------------ emulated devices */

static void engine_init(VtdRig *r)
{
    vtd_rig_config_write(r, ENGINE_RID, PCI_BASE_ADDRESS_0, ENGINE_BAR);
    vtd_rig_config_write(r, ENGINE_RID, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* A page between memory and the engine's buffer. Returns its result code */
static unsigned engine_move(VtdRig *r, uint64_t addr, bool to_device)
{
    qtest_writel(r->qts, ENGINE_BAR + SVA_SIMPLE_ADDRESS, addr);
    qtest_writel(r->qts, ENGINE_BAR + SVA_SIMPLE_ADDRESS + 4, addr >> 32);
    qtest_writel(r->qts, ENGINE_BAR + SVA_SIMPLE_COMMAND, SVA_COMMAND_RUN |
                 (to_device ? SVA_COMMAND_TO_DEVICE : 0));
    for (unsigned i = 0;
         qtest_readl(r->qts, ENGINE_BAR + SVA_SIMPLE_COMMAND) &
         SVA_COMMAND_RUN; i++) {
        g_assert_cmpuint(i, <, 5000);
        g_usleep(1000);
    }
    return qtest_readl(r->qts, ENGINE_BAR + SVA_SIMPLE_RESULT);
}

/*
 * An emulated and an assigned device share a table: what one writes the other
 * reads at the same address, and one invalidation moves both.
 */
static void test_emulated(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    const uint8_t byte = 0x33;
    uint64_t s1;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, ENGINE);
    engine_init(&r);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    s1 = vtd_rig_s1(&r, IOVA, 1);
    vtd_rig_first_stage(&r, RID0, DID, s1);
    vtd_rig_first_stage(&r, ENGINE_RID, DID, s1);

    g_assert_cmphex(engine_move(&r, IOVA, true), ==, SVA_CODE_OK);
    expect_page(&r, 1, 0x11);
    iommufd_model_dma_write(r.m, HOST_DEV0, NULL, IOVA, &byte, 1);
    g_assert_cmphex(qtest_readb(r.qts, DATA + 4096), ==, 0x33);
    g_assert_cmphex(engine_move(&r, IOVA, false), ==, SVA_CODE_OK);
    expect_page(&r, 1, 0x11);

    vtd_s1_map(&r.mem, s1, 4, IOVA, DATA + 2 * 4096, 4096, 12,
               VTD_S1_USER_RW);
    /* Wherever the descriptor stands */
    for (unsigned i = 0; i < 8; i++) {
        vtd_queue_push(&r.q, vtd_inv_piotlb(i == 5 ? DID : DID + 1, 0, IOVA, 0,
                                            true));
    }
    vtd_rig_sync(&r);
    expect_page(&r, 1, 0x22);
    g_assert_cmphex(engine_move(&r, IOVA, false), ==, SVA_CODE_OK);
    expect_page(&r, 1, 0x11);
    g_assert_cmphex(qtest_readb(r.qts, DATA + 2 * 4096 + 4095), ==, 0x11);

    /* An entry taken from one is there for the other */
    vtd_context_clear(&r.t, ENGINE_RID);
    vtd_rig_inv_context(&r, ENGINE_RID);
    g_assert_cmphex(engine_move(&r, IOVA, true), !=, SVA_CODE_OK);
    expect_page(&r, 1, 0x11);
    vtd_rig_first_stage(&r, ENGINE_RID, DID, s1);
    vtd_context_clear(&r.t, RID0);
    vtd_rig_inv_context(&r, RID0);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    g_assert_cmphex(engine_move(&r, IOVA, true), ==, SVA_CODE_OK);
    vtd_rig_stop(&r);
}

/*
 * A device on a bus that bypasses the vIOMMU is none of its business: an
 * ordinary stage 2 beside the parent, in one iommufd. Where the parent cannot
 * have read-only mappings the two need different IOASes.
 */
static void test_bypass(gconstpointer opaque)
{
    bool erratum = opaque != NULL;
    g_autofree char *host = vtd_rig_host(2, erratum ? "errata-772415=on\n" :
                                                      "errata-772415=off\n",
                                         "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1,
                  "-device pxb-pcie,id=pxb,bus_nr=64,bus=pcie.0,addr=0x18,"
                  "bypass_iommu=on -device pcie-root-port,id=rpx,bus=pxb,"
                  "chassis=1 -device vfio-pci,id=dev1,host=" HOST_DEV1
                  ",iommufd=iommufd0,bus=rpx");
    g_assert_cmpuint(iommufd_model_live(r.m, "ioas"), ==, erratum ? 2 : 1);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
    expect_page(&r, 1, 0x11);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA + 4096, 0x11, 16);
    iommufd_model_expect_fault(r.m, HOST_DEV1, NULL, IOVA, false, 2, NULL);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, DATA + 4096, false, 1,
                               NULL);
    vtd_rig_stop(&r);
}

/* ------------------------------------------- devices that cannot be nested */

/* The first device can be nested, the second one's IOMMU has no ECAP.NEST */
static char *host_of_two_kinds(void)
{
    g_autofree char *line = g_strdup_printf("ecap=0x%llx\n",
                                            HOST_ECAP_ALL & ~(1ULL << 26));

    return host_with((unsigned[]) { 0, 1 }, 2, line);
}

#define FIRST   "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0," \
                "bus=pcie.0,addr=4 "
#define SECOND  "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0," \
                "bus=pcie.0,addr=5 "
#define BRIDGE  "-device pcie-pci-bridge,id=br,bus=pcie.0,addr=0x12 "
#define BELOW   "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0," \
                "bus=br,addr=1 "

/* Refused beside one that is nested, wherever it stands */
static void test_unfit_refused(void)
{
    static const struct {
        const char *mode, *devices, *who, *why, *more;
    } cases[] = {
        { "nested=on", SECOND, HOST_DEV1, "nested translation" },
        { "nested=on", FIRST SECOND, HOST_DEV1, "nested translation" },
        { "nested=on", SECOND FIRST, HOST_DEV1, "nested translation" },
        { "nested=auto", FIRST SECOND, HOST_DEV1, "nested translation" },
        { "nested=on", BRIDGE BELOW, HOST_DEV0, "conventional PCI",
          ",ssts=off" },
        { "nested=auto", BRIDGE "-device vfio-pci,host=" HOST_DEV2
          ",iommufd=iommufd0,bus=pcie.0,addr=6 " BELOW, HOST_DEV0,
          "conventional PCI", ",ssts=off" },
    };
    g_autofree char *two = host_of_two_kinds();
    g_autofree char *host = g_strconcat(two, "[device " HOST_DEV2 "]\n"
                                        "iommu=0\ngroup=3\n", NULL);

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *iommu = g_strconcat(cases[i].mode, cases[i].more,
                                             NULL);
        g_autofree char *args = vtd_rig_args(iommu, 0, cases[i].devices);

        nested_rig_expect_refusal(host, args, cases[i].mode, cases[i].who,
                                  cases[i].why, NULL);
    }
}

/* nested=auto and it comes first: then nobody is nested */
static void test_unfit_first(gconstpointer devices)
{
    g_autofree char *host = host_of_two_kinds();
    VtdRig r;

    vtd_rig_start(&r, host, "nested=auto", 0, devices);
    g_assert_cmphex(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_FSTS_BIT, ==, 0);
    vtd_rig_fill(&r, 1, 0x11);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA + 4096, 0x11, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA + 4096, 0x11, 16);
    vtd_rig_stop(&r);
}

/* Plugged later: refused, and the one that is nested does not notice */
static void test_unfit_plugged(gconstpointer mode)
{
    g_autofree char *host = host_of_two_kinds();
    const char *why;
    QDict *answer;
    VtdRig r;

    vtd_rig_start(&r, host, mode, 1, VTD_RIG_SLOTS);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
    answer = qtest_qmp(r.qts, "{ 'execute': 'device_add', 'arguments': {"
                       "'driver': 'vfio-pci', 'id': 'late', 'host': %s,"
                       "'bus': 'rp0', 'iommufd': 'iommufd0' } }", HOST_DEV1);
    why = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");
    g_assert_nonnull(strstr(why, mode));
    g_assert_nonnull(strstr(why, HOST_DEV1));
    g_assert_nonnull(strstr(why, "nested translation"));
    qobject_unref(answer);
    expect_page(&r, 1, 0x11);
    g_assert_cmpuint(iommufd_model_live(r.m, "devices"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 2);
    vtd_rig_stop(&r);
}

/* Where the vIOMMU is bypassed it is welcome, before and after */
static void test_unfit_bypass(gconstpointer opaque)
{
    bool plugged = opaque != NULL;
    g_autofree char *host = host_of_two_kinds();
    g_autofree char *extra = g_strconcat(
        "-device pxb-pcie,id=pxb,bus_nr=64,bus=pcie.0,addr=0x18,"
        "bypass_iommu=on -device pcie-root-port,id=rpx,bus=pxb,chassis=1 ",
        plugged ? "" : "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,"
        "bus=rpx", NULL);
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, extra);
    vtd_rig_enable(&r);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
    if (plugged) {
        qtest_qmp_assert_success(r.qts, "{ 'execute': 'device_add',"
            "'arguments': { 'driver': 'vfio-pci', 'host': %s, 'bus': 'rpx',"
            "'iommufd': 'iommufd0' } }", HOST_DEV1);
    }
    expect_page(&r, 1, 0x11);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, DATA + 4096, 0x11, 16);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/mixed/iommufds", test_iommufds);
    qtest_add_data_func("/vtd-nested/mixed/instances/equal", NULL,
                        test_instances);
    qtest_add_data_func("/vtd-nested/mixed/instances/unequal", "",
                        test_instances);
    qtest_add_func("/vtd-nested/mixed/instances-differ",
                   test_instances_differ);
    qtest_add_data_func("/vtd-nested/mixed/page-requests/iommufds", NULL,
                        test_page_requests);
    qtest_add_data_func("/vtd-nested/mixed/page-requests/instances", "",
                        test_page_requests);
    qtest_add_func("/vtd-nested/mixed/emulated", test_emulated);
    qtest_add_data_func("/vtd-nested/mixed/bypass/erratum", "", test_bypass);
    qtest_add_data_func("/vtd-nested/mixed/bypass/no-erratum", NULL,
                        test_bypass);
    qtest_add_func("/vtd-nested/mixed/unfit/refused", test_unfit_refused);
    qtest_add_data_func("/vtd-nested/mixed/unfit/first", SECOND FIRST,
                        test_unfit_first);
    qtest_add_data_func("/vtd-nested/mixed/unfit/first-below-bridge",
                        BRIDGE BELOW SECOND, test_unfit_first);
    qtest_add_data_func("/vtd-nested/mixed/unfit/plugged/on", "nested=on",
                        test_unfit_plugged);
    qtest_add_data_func("/vtd-nested/mixed/unfit/plugged/auto", "nested=auto",
                        test_unfit_plugged);
    qtest_add_data_func("/vtd-nested/mixed/unfit/bypass/there", NULL,
                        test_unfit_bypass);
    qtest_add_data_func("/vtd-nested/mixed/unfit/bypass/plugged", "",
                        test_unfit_bypass);
    return g_test_run();
}
