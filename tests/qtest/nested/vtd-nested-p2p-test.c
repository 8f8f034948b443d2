/*
 * VT-d nesting: devices that reach each other's BARs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-shadow-rig.h"

/* The first root port */
#define PORT0       0x80

#define BAR4        0xe0100000u
#define ELSEWHERE   0xe0200000u
#define BAR4_SIZE   0x10000u
#define AT          0x2100          /* in it */

#define MEMORY      (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

typedef struct P2p {
    VtdRig v;
    char *said;
} P2p;

static void place(P2p *p, uint16_t rid, uint32_t addr)
{
    vtd_rig_config_write(&p->v, rid, PCI_BASE_ADDRESS_4, addr);
    vtd_rig_config_write(&p->v, rid, PCI_COMMAND, MEMORY);
}

/* @num devices, with keys of theirs, in turn behind two IOMMUs of the host */
static char *two_iommus(unsigned num, const char *kernel, const char *device)
{
    g_autoptr(GString) host = g_string_new("[host]\narch=vtd\n");

    g_string_append_printf(host, "%s[iommu 0]\n[iommu 1]\n"
                           "errata-772415=off\n", kernel);
    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(host, "[device 0000:%02x:00.0]\niommu=%u\n"
                               "group=%u\npm=on\nbar4-size=%u\n%s",
                               i + 1, i % 2, i + 1, BAR4_SIZE, device);
    }
    return g_string_free(g_steal_pointer(&host), false);
}

/* The second device is at RID1, of an iommufd that may be its own */
static void start_with(P2p *p, const char *kernel, const char *device,
                       const char *iommu, bool alone, const char *extra)
{
    g_autofree char *host = two_iommus(3, kernel, device);
    g_autofree char *args = NULL;

    p->said = nested_rig_scratch("said");
    args = g_strdup_printf("%s -object iommufd,id=iommufd1 -device "
                           "vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=%s,"
                           "addr=5 2>'%s'", extra,
                           alone ? "iommufd1" : "iommufd0", p->said);
    vtd_rig_start(&p->v, host, iommu, 1, args);
    vtd_rig_config_write(&p->v, RID0, PCI_COMMAND, MEMORY);
    place(p, RID1, BAR4);
}

static void start(P2p *p, const char *kernel, const char *iommu, bool alone,
                  const char *extra)
{
    start_with(p, kernel, "", iommu, alone, extra);
}

static void stop(P2p *p)
{
    /* The base's words for what it cannot map */
    g_assert_cmpuint(nested_rig_said(p->said, "PCI BAR?"), ==, 0);
    g_assert_cmpuint(nested_rig_said(p->said, "dma_map"), ==, 0);
    vtd_rig_stop(&p->v);
    nested_rig_scratch_remove(p->said);
    g_free(p->said);
}

/* What @dev writes at @addr is at @bar for the guest, and the other way */
static void expect_reached(P2p *p, const char *dev, uint64_t addr,
                           uint64_t bar)
{
    static uint32_t value = 0x11223344;
    uint32_t data = cpu_to_le32(++value);

    iommufd_model_dma_write(p->v.m, dev, NULL, addr, &data, sizeof(data));
    g_assert_cmphex(qtest_readl(p->v.qts, bar), ==, value);
    qtest_writel(p->v.qts, bar, ++value);
    iommufd_model_dma_read(p->v.m, dev, NULL, addr, &data, sizeof(data));
    g_assert_cmphex(le32_to_cpu(data), ==, value);
}

static void expect_gone(P2p *p, uint64_t addr)
{
    iommufd_model_expect_fault(p->v.m, HOST_DEV0, NULL, addr, true, 2, NULL);
    iommufd_model_expect_fault(p->v.m, HOST_DEV0, NULL, addr, false, 2, NULL);
}

/* Both ways, and the device's own */
static void reach(const char *iommu, bool alone)
{
    P2p p;

    start(&p, "", iommu, alone, "");
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    expect_reached(&p, HOST_DEV1, BAR4 + AT, BAR4 + AT);
    stop(&p);
}

static void test_reach(void)
{
    reach("nested=on", false);
}

/* Devices of two iommufds, which share nothing */
static void test_two_iommufds(void)
{
    reach("nested=on", true);
}

/* The guest moves it, has it off, and sends the device to sleep */
static void test_comes_and_goes(void)
{
    unsigned cap;
    P2p p;

    start(&p, "", "nested=on", false, "");
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_BASE_ADDRESS_4, ELSEWHERE);
    expect_gone(&p, BAR4 + AT);
    expect_reached(&p, HOST_DEV0, ELSEWHERE + AT, ELSEWHERE + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, PCI_COMMAND_MASTER);
    expect_gone(&p, ELSEWHERE + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, MEMORY);
    expect_reached(&p, HOST_DEV0, ELSEWHERE + AT, ELSEWHERE + AT);
    cap = vtd_rig_cap(&p.v, RID1, PCI_CAP_ID_PM);
    vtd_rig_config_write(&p.v, RID1, cap + PCI_PM_CTRL, 3);
    expect_gone(&p, ELSEWHERE + AT);
    vtd_rig_config_write(&p.v, RID1, cap + PCI_PM_CTRL, 0);
    place(&p, RID1, ELSEWHERE);
    expect_reached(&p, HOST_DEV0, ELSEWHERE + AT, ELSEWHERE + AT);
    stop(&p);
}

/* The kernel takes it out of all IOASes, for good; the guest leaves it there */
static void test_reset(void)
{
    unsigned cap;
    P2p p;

    start(&p, "", "nested=on", false, "");
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    cap = vtd_rig_pcie_cap(&p.v, RID1);
    vtd_rig_config_write(&p.v, RID1, cap + PCI_EXP_DEVCTL,
                         PCI_EXP_DEVCTL_BCR_FLR);
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    expect_reached(&p, HOST_DEV1, BAR4 + AT, BAR4 + AT);
    qtest_system_reset(p.v.qts);
    vtd_rig_open_config(&p.v);
    vtd_rig_config_write(&p.v, RID0, PCI_COMMAND, MEMORY);
    expect_gone(&p, BAR4 + AT);
    place(&p, RID1, BAR4);
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    stop(&p);
}

/* That of a device that is conventional PCI, or has both capabilities */
static void test_af_reset(void)
{
    static const char *const devices[] = { "af=on\nexpress=off\n", "af=on\n" };

    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        unsigned cap;
        P2p p;

        start_with(&p, "", devices[i], "nested=on", false, "");
        expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
        cap = vtd_rig_cap(&p.v, RID1, PCI_CAP_ID_AF);
        vtd_rig_config_write(&p.v, RID1, cap + PCI_AF_CTRL, PCI_AF_CTRL_FLR);
        expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
        expect_reached(&p, HOST_DEV1, BAR4 + AT, BAR4 + AT);
        stop(&p);
    }
}

/* A device that comes reaches those that are there, and is reached */
static void test_hotplug(void)
{
    P2p p;

    start(&p, "", "nested=on", true, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&p.v, 0, 1);
    vtd_rig_config_write(&p.v, PORT0, PCI_MEMORY_BASE,
                         (ELSEWHERE & 0xfff00000) | ELSEWHERE >> 16);
    vtd_rig_config_write(&p.v, PORT0, PCI_COMMAND, MEMORY);
    for (unsigned i = 0; i < 2; i++) {
        vtd_rig_plug(&p.v, 0, "late", HOST_DEV2);
        place(&p, BEHIND(1), ELSEWHERE);
        expect_reached(&p, HOST_DEV2, BAR4 + AT, BAR4 + AT);
        expect_reached(&p, HOST_DEV0, ELSEWHERE + AT, ELSEWHERE + AT);
        expect_reached(&p, HOST_DEV1, ELSEWHERE + AT, ELSEWHERE + AT);
        vtd_rig_unplug(&p.v, 0, "late");
        expect_gone(&p, ELSEWHERE + AT);
        expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    }
    stop(&p);
}

/* Plain assignment, without a vIOMMU that nests */
static void start_plain(P2p *p, const char *extra)
{
    g_autofree char *host = two_iommus(2, "", "");
    g_autofree char *args = NULL;

    p->said = nested_rig_scratch("said");
    args = g_strdup_printf(
        "-M q35 -m 128M -nodefaults -object iommufd,id=iommufd0 "
        "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,addr=4 "
        "-device vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=iommufd0,addr=5 "
        "%s 2>'%s'", extra, p->said);
    p->v = (VtdRig) { .m = iommufd_model_new(host) };
    p->v.qts = iommufd_model_start(p->v.m, "%s", args);
    vtd_rig_open_config(&p->v);
    vtd_rig_config_write(&p->v, RID0, PCI_COMMAND, MEMORY);
    place(p, RID1, BAR4);
}

static void test_plain(void)
{
    P2p p;

    start_plain(&p, "");
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, PCI_COMMAND_MASTER);
    expect_gone(&p, BAR4 + AT);
    stop(&p);
}

static char *migration_status(QTestState *qts)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
    char *status = g_strdup(qdict_get_str(qdict_get_qdict(answer, "return"),
                                          "status"));

    qobject_unref(answer);
    return status;
}

/*
 * Plain devices can be handed to another process, but no dma-bufs: they are
 * out when the kernel is asked, and back when there is no such process
 */
static void test_cpr(void)
{
    g_autofree char *file = nested_rig_scratch("state");
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    P2p p;

    start_plain(&p, "-machine aux-ram-share=on,memory-backend=ram "
                "-object memory-backend-memfd,id=ram,size=128M,share=on");
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'migrate-set-parameters', "
        "'arguments': { 'mode': 'cpr-exec', 'cpr-exec-command': "
        "[ '/dev/null/none' ] } }");
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': %s } }", uri);
    for (unsigned i = 0; ; i++) {
        g_autofree char *status = migration_status(p.v.qts);

        if (!strcmp(status, "failed")) {
            break;
        }
        g_assert_cmpuint(i, <, 1000);
        g_usleep(10000);
    }
    g_assert_cmpuint(iommufd_model_counter(p.v.m, "IOAS_CHANGE_PROCESS",
                                           "calls"), >, 1);
    g_assert_cmpuint(iommufd_model_counter(p.v.m, "IOAS_CHANGE_PROCESS",
                                           "errors"), ==, 0);
    expect_reached(&p, HOST_DEV0, BAR4 + AT, BAR4 + AT);
    stop(&p);
    nested_rig_scratch_remove(file);
}

/* Through the guest's own tables, as GPUs do it */
static void test_first_stage(void)
{
    uint64_t s1;
    P2p p;

    start(&p, "", "nested=on", false, "");
    vtd_rig_enable(&p.v);
    s1 = vtd_rig_s1(&p.v, IOVA, 1);
    vtd_s1_map(&p.v.mem, s1, 4, IOVA + PAGE, BAR4 + AT - AT % PAGE, PAGE, 12,
               VTD_S1_USER_RW);
    vtd_rig_first_stage(&p.v, RID0, DID, s1);
    expect_reached(&p, HOST_DEV0, IOVA + PAGE + AT % PAGE, BAR4 + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, PCI_COMMAND_MASTER);
    expect_gone(&p, IOVA + PAGE + AT % PAGE);
    stop(&p);
}

/* Or as other drivers do: through a mirror of the guest's second stage */
static void test_second_stage(void)
{
    uint64_t ss, addr = IOVA + AT % PAGE;
    unsigned cap;
    P2p p;

    start(&p, "", "nested=on", false, "");
    vtd_rig_enable_legacy(&p.v);
    ss = vtd_s2_new(&p.v.mem);
    vtd_s2_map(&p.v.mem, ss, 4, IOVA, BAR4 + AT - AT % PAGE, PAGE, 12,
               VTD_S2_RW);
    shadow_legacy(&p.v, RID0, ss, 4);
    expect_reached(&p, HOST_DEV0, addr, BAR4 + AT);
    cap = vtd_rig_pcie_cap(&p.v, RID1);
    vtd_rig_config_write(&p.v, RID1, cap + PCI_EXP_DEVCTL,
                         PCI_EXP_DEVCTL_BCR_FLR);
    expect_reached(&p, HOST_DEV0, addr, BAR4 + AT);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, PCI_COMMAND_MASTER);
    expect_gone(&p, addr);
    vtd_rig_config_write(&p.v, RID1, PCI_COMMAND, MEMORY);
    expect_reached(&p, HOST_DEV0, addr, BAR4 + AT);
    stop(&p);
}

/* Kernels that have no dma-bufs, or do not map them: one line */
static void test_old_kernel(void)
{
    static const char *const kernels[] = {
        "kernel=no-dma-buf\n", "kernel=no-dma-buf-map\n",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(kernels); i++) {
        P2p p;

        start(&p, kernels[i], "nested=on", true, "");
        place(&p, RID0, ELSEWHERE);
        expect_gone(&p, BAR4 + AT);
        vtd_rig_fill(&p.v, 1, 0x11);
        iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, DATA + 4096, 0x11,
                                  16);
        g_assert_cmpuint(nested_rig_said(p.said, "peer-to-peer"), ==, 1);
        g_assert_cmpuint(nested_rig_said(p.said, "Linux 6.19"), ==, 1);
        stop(&p);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/p2p/reach", test_reach);
    qtest_add_func("/vtd-nested/p2p/two-iommufds", test_two_iommufds);
    qtest_add_func("/vtd-nested/p2p/comes-and-goes", test_comes_and_goes);
    qtest_add_func("/vtd-nested/p2p/reset", test_reset);
    qtest_add_func("/vtd-nested/p2p/af-reset", test_af_reset);
    qtest_add_func("/vtd-nested/p2p/hotplug", test_hotplug);
    qtest_add_func("/vtd-nested/p2p/plain", test_plain);
    qtest_add_func("/vtd-nested/p2p/cpr", test_cpr);
    qtest_add_func("/vtd-nested/p2p/first-stage", test_first_stage);
    qtest_add_func("/vtd-nested/p2p/second-stage", test_second_stage);
    qtest_add_func("/vtd-nested/p2p/old-kernel", test_old_kernel);
    return g_test_run();
}
