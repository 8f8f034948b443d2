/*
 * VT-d nesting: host devices whose BARs the guest has mapped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host takes such memory away whenever the device does not answer: an
 * access of QEMU's own is then a SIGBUS, and the end of the VM.
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5

/* The first root port */
#define PORT0       0x80

#define BAR2        0xe0000000u
#define BAR4        0xe0100000u
#define BAR4_SIZE   0x10000u
#define ROM_AT      0xe0200000u
#define PATTERN     0x5ca1ab1eu

typedef struct BarRig {
    VtdRig v;
    char *said;
} BarRig;

static void map_bars(BarRig *b, uint16_t rid)
{
    vtd_rig_config_write(&b->v, rid, PCI_BASE_ADDRESS_2, BAR2);
    vtd_rig_config_write(&b->v, rid, PCI_BASE_ADDRESS_4, BAR4);
    vtd_rig_config_write(&b->v, rid, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void start(BarRig *b, const char *device, const char *extra)
{
    g_autofree char *lines = g_strdup_printf("bar4-size=%u\n%s", BAR4_SIZE,
                                             device);
    g_autofree char *host = vtd_rig_host(2, "", lines);
    g_autofree char *args = NULL;

    b->said = nested_rig_scratch("said");
    args = g_strdup_printf("%s 2>'%s'", extra, b->said);
    vtd_rig_start(&b->v, host, "nested=on", 2, args);
    map_bars(b, RID0);
    vtd_rig_enable(&b->v);
}

static void stop(BarRig *b)
{
    vtd_rig_stop(&b->v);
    nested_rig_scratch_remove(b->said);
    g_free(b->said);
}

static uint64_t trapped(BarRig *b)
{
    return iommufd_model_counter(b->v.m, "region-write", "calls") +
           iommufd_model_counter(b->v.m, "region-read", "calls");
}

/* Nobody but the guest is asked for what it writes there */
static void expect_mapped(BarRig *b, uint32_t value)
{
    uint64_t before = trapped(b);

    g_assert_cmphex(qtest_readl(b->v.qts, BAR4 + 0x100), ==, value);
    qtest_writel(b->v.qts, BAR4 + 0x100, PATTERN);
    g_assert_cmphex(qtest_readl(b->v.qts, BAR4 + 0x100), ==, PATTERN);
    g_assert_cmpuint(trapped(b), ==, before);
}

/* What is there is not the device's memory */
static void expect_gone(BarRig *b)
{
    g_assert_cmphex(qtest_readl(b->v.qts, BAR4 + 0x100), !=, PATTERN);
    qtest_writel(b->v.qts, BAR4 + 0x100, 0);
}

/* The host's mapping goes and comes with the guest's command register */
static void test_memory_off(void)
{
    BarRig b;

    start(&b, "", "");
    expect_mapped(&b, 0);
    vtd_rig_config_write(&b.v, RID0, PCI_COMMAND, PCI_COMMAND_MASTER);
    expect_gone(&b);
    vtd_rig_config_write(&b.v, RID0, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    expect_mapped(&b, PATTERN);
    stop(&b);
}

static void test_reset(void)
{
    unsigned cap;
    BarRig b;

    start(&b, "pm=on\n", "");
    expect_mapped(&b, 0);
    cap = vtd_rig_pcie_cap(&b.v, RID0);
    vtd_rig_config_write(&b.v, RID0, cap + PCI_EXP_DEVCTL,
                         PCI_EXP_DEVCTL_BCR_FLR);
    map_bars(&b, RID0);
    expect_mapped(&b, 0);
    /* D3hot, where there is no memory, and back, which is a reset */
    cap = vtd_rig_cap(&b.v, RID0, PCI_CAP_ID_PM);
    vtd_rig_config_write(&b.v, RID0, cap + PCI_PM_CTRL, 3);
    expect_gone(&b);
    vtd_rig_config_write(&b.v, RID0, cap + PCI_PM_CTRL, 0);
    map_bars(&b, RID0);
    expect_mapped(&b, 0);
    qtest_system_reset(b.v.qts);
    vtd_rig_open_config(&b.v);
    map_bars(&b, RID0);
    expect_mapped(&b, 0);
    stop(&b);
}

/*
 * Other devices reach it, and all else goes on. A stage-1 table there is read
 * as any memory; the device's own has nothing in it.
 */
static void test_dma(void)
{
    const uint32_t word = cpu_to_le32(PATTERN);
    BarRig b;

    start(&b, "", "");
    vtd_rig_pass_through(&b.v, RID1, DID);
    iommufd_model_dma_write(b.v.m, HOST_DEV1, NULL, BAR4 + 0x100, &word,
                            sizeof(word));
    expect_mapped(&b, PATTERN);
    vtd_rig_fill(&b.v, 1, 0x11);
    vtd_rig_first_stage(&b.v, RID1, DID, vtd_rig_s1(&b.v, IOVA, 1));
    iommufd_model_expect_data(b.v.m, HOST_DEV1, NULL, IOVA, 0x11, 16);
    vtd_rig_first_stage(&b.v, RID1, DID, BAR4);
    iommufd_model_expect_fault(b.v.m, HOST_DEV1, NULL, IOVA, false, 1, NULL);
    vtd_rig_first_stage(&b.v, RID1, DID, vtd_rig_s1(&b.v, IOVA, 1));
    iommufd_model_expect_data(b.v.m, HOST_DEV1, NULL, IOVA, 0x11, 16);
    expect_mapped(&b, PATTERN);
    stop(&b);
}

/*
 * Where a device of the host has something: a BAR there is no memory of the
 * guest that the user could move
 */
static void test_reserved(void)
{
    BarRig b;

    start(&b, "reserved=0xe0100000-0xe01fffff,0xfee00000-0xfeefffff:msi\n",
          "");
    g_assert_cmpuint(iommufd_model_counter(b.v.m, "IOAS_MAP_FILE", "errors"),
                     >, 0);
    expect_mapped(&b, 0);
    g_assert_cmpuint(nested_rig_said(b.said, "memory of the guest"), ==, 0);
    g_assert_cmpuint(nested_rig_said(b.said, "the host maps nothing at "
                                     "0xe0100000-0xe01fffff"), ==, 1);
    stop(&b);
}

/* All of the guest's memory is pinned, and has to be within the limit */
static void test_locked(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *args = vtd_rig_args("nested=on", 1, "");
    g_autofree char *little = g_strdup_printf("%s[host]\nmemlock=%u\n", host,
                                              (unsigned)(64 * MiB));
    g_autofree char *enough = g_strdup_printf("%s[host]\nmemlock=%u\n", host,
                                              (unsigned)(160 * MiB));
    VtdRig r;

    nested_rig_expect_refusal(little, args, HOST_DEV0, "cannot be mapped",
                              "limit of locked memory", NULL);
    vtd_rig_start(&r, enough, "nested=on", 1, "");
    vtd_rig_stop(&r);
}

/* Root, context and PASID tables there: QEMU reads them like the CPU does */
static void test_tables(void)
{
    BarRig b;
    uint64_t root;

    start(&b, "", "");
    vtd_rig_fill(&b.v, 1, 0x11);
    vtd_rig_first_stage(&b.v, RID1, DID, vtd_rig_s1(&b.v, IOVA, 1));
    root = b.v.regs.read64(b.v.regs.opaque, VTD_REG_RTADDR);
    b.v.regs.write64(b.v.regs.opaque, VTD_REG_RTADDR,
                     BAR4 | (root & 0xfff));
    b.v.regs.write32(b.v.regs.opaque, VTD_REG_GCMD,
                     VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_SRTP);
    vtd_queue_push(&b.v.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&b.v);
    iommufd_model_expect_fault(b.v.m, HOST_DEV1, NULL, IOVA, false, 0, NULL);
    /* And gone while they are in use */
    vtd_rig_config_write(&b.v, RID0, PCI_COMMAND, PCI_COMMAND_MASTER);
    vtd_queue_push(&b.v.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_rig_sync(&b.v);
    iommufd_model_expect_fault(b.v.m, HOST_DEV1, NULL, IOVA, false, 0, NULL);
    stop(&b);
}

/* The guest's own table is in front of the host's */
static void test_msix(void)
{
    unsigned cap;
    BarRig b;

    start(&b, "", "");
    qtest_writel(b.v.qts, BAR2, 0xfee00000);
    qtest_writel(b.v.qts, BAR2 + 4, 0);
    qtest_writel(b.v.qts, BAR2 + 8, 0x4041);
    qtest_writel(b.v.qts, BAR2 + 12, 0);
    cap = vtd_rig_cap(&b.v, RID0, PCI_CAP_ID_MSIX);
    vtd_rig_config_write(&b.v, RID0, cap, PCI_MSIX_FLAGS_ENABLE << 16);
    qtest_writel(b.v.qts, BAR2 + 8, 0x4042);
    g_assert_cmphex(qtest_readl(b.v.qts, BAR2 + 8), ==, 0x4042);
    iommufd_model_do(b.v.m, "{\"cmd\":\"irq\",\"dev\":\"" HOST_DEV0
                     "\",\"vector\":0}");
    g_assert_cmpuint(iommufd_model_journal(b.v.m, "\"arrives\":true"), ==, 1);
    stop(&b);
}

/* MSI, and then MSI-X, of which the host has one at a time */
static void test_msi(void)
{
    unsigned msi, msix;
    BarRig b;

    start(&b, "msi=4\n", "");
    msi = vtd_rig_cap(&b.v, RID0, PCI_CAP_ID_MSI);
    msix = vtd_rig_cap(&b.v, RID0, PCI_CAP_ID_MSIX);
    vtd_rig_config_write(&b.v, RID0, msi + PCI_MSI_ADDRESS_LO, 0xfee00000);
    vtd_rig_config_write(&b.v, RID0, msi + PCI_MSI_DATA_64, 0x4041);
    /* All four */
    vtd_rig_config_write(&b.v, RID0, msi,
                         (PCI_MSI_FLAGS_ENABLE | 2 << 4) << 16);
    for (unsigned i = 0; i < 4; i++) {
        iommufd_model_do(b.v.m, "{\"cmd\":\"irq\",\"dev\":\"" HOST_DEV0
                         "\",\"index\":1,\"vector\":%u}", i);
    }
    g_assert_cmpuint(iommufd_model_journal(b.v.m, "\"arrives\":true"), ==, 4);
    vtd_rig_config_write(&b.v, RID0, msi, 0);
    vtd_rig_config_write(&b.v, RID0, msix, PCI_MSIX_FLAGS_ENABLE << 16);
    qtest_writel(b.v.qts, BAR2 + 12, 0);
    iommufd_model_do(b.v.m, "{\"cmd\":\"irq\",\"dev\":\"" HOST_DEV0
                     "\",\"vector\":0}");
    g_assert_cmpuint(iommufd_model_journal(b.v.m, "\"arrives\":true"), ==, 5);
    stop(&b);
}

static void test_rom(void)
{
    BarRig b;

    start(&b, "rom-size=4096\n", "");
    vtd_rig_config_write(&b.v, RID0, PCI_ROM_ADDRESS, ROM_AT | 1);
    g_assert_cmphex(qtest_readw(b.v.qts, ROM_AT), ==, 0xaa55);
    g_assert_cmphex(qtest_readb(b.v.qts, ROM_AT + 0x123), ==, 0x23);
    stop(&b);
}

/* Gone with its memory, and with all that it had mapped */
static void test_unplug(void)
{
    g_autofree char *lines = g_strdup_printf("bar4-size=%u\n", BAR4_SIZE);
    g_autofree char *host = vtd_rig_host(2, "", lines);
    BarRig b = { };

    vtd_rig_start(&b.v, host, "nested=on", 1, VTD_RIG_SLOTS);
    vtd_rig_enable(&b.v);
    vtd_rig_number_slot(&b.v, 0, 1);
    vtd_rig_config_write(&b.v, PORT0, PCI_MEMORY_BASE,
                         (BAR4 & 0xfff00000) | BAR4 >> 16);
    vtd_rig_config_write(&b.v, PORT0, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 2; i++) {
        vtd_rig_plug(&b.v, 0, "late", HOST_DEV1);
        map_bars(&b, BEHIND(1));
        expect_mapped(&b, 0);
        vtd_rig_unplug(&b.v, 0, "late");
        expect_gone(&b);
        g_assert_cmpuint(iommufd_model_live(b.v.m, "devices"), ==, 1);
    }
    vtd_rig_stop(&b.v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/bar/memory-off", test_memory_off);
    qtest_add_func("/vtd-nested/bar/reset", test_reset);
    qtest_add_func("/vtd-nested/bar/dma", test_dma);
    qtest_add_func("/vtd-nested/bar/reserved", test_reserved);
    qtest_add_func("/vtd-nested/bar/locked", test_locked);
    qtest_add_func("/vtd-nested/bar/tables", test_tables);
    qtest_add_func("/vtd-nested/bar/msix", test_msix);
    qtest_add_func("/vtd-nested/bar/msi", test_msi);
    qtest_add_func("/vtd-nested/bar/rom", test_rom);
    qtest_add_func("/vtd-nested/bar/unplug", test_unplug);
    return g_test_run();
}
