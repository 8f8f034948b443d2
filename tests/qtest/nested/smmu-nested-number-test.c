/*
 * SMMUv3 nesting: bus numbers that change while entries for the old and the
 * new StreamID are there. The guest has nothing to tell the SMMU then: the
 * stream that a device has now is what counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define BEHIND(bus) ((bus) << 8)

/* The ports are at 00:10.0 and 00:11.0 */
#define SLOT        0x10
#define PORTS \
    "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10,chassis=1 " \
    "-device pcie-root-port,id=rp1,bus=pcie.0,addr=0x11,chassis=2 "
#define DEV0(where) \
    "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0," where " "
#define DEV1(where) \
    "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0," where " "

static const IommufdDma ats = { .ats = true };

static void expect(SmmuRig *r, const char *dev, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, IOVA), ==, value);
}

static void set_stage1(SmmuRig *r, SmmuS1 *s1, uint32_t sid, uint16_t asid)
{
    SmmuCdTable cds;

    smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, s1, asid);
    smmu_rig_ste(r, sid, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .ats = true });
}

/* STEs for device 0 on buses 1 to @num: IOVA is data page 1 to @num there */
static void start(SmmuRig *r, const char *devices, unsigned num, SmmuS1 *s1)
{
    g_autofree char *host = smmu_rig_host(2, "", "");
    g_autofree char *extra = g_strconcat(PORTS, devices, NULL);

    smmu_rig_start(r, host, "nested=on", 0, extra);
    smmu_rig_number(r, SLOT, 1);
    smmu_rig_number(r, SLOT + 1, 2);
    smmu_rig_enable(r, 4);
    for (unsigned bus = 1; bus <= num; bus++) {
        smmu_rig_fill(r, bus, 0x10 + bus);
        s1[bus] = smmu_rig_s1(r, IOVA, bus);
        set_stage1(r, &s1[bus], BEHIND(bus), ASID + bus);
    }
}

static void test_now(void)
{
    SmmuS1 s1[4];
    SmmuRig r;

    start(&r, DEV0("bus=rp0"), 3, s1);
    expect(&r, HOST_DEV0, 0x11);
    smmu_rig_number(&r, SLOT, 3);
    expect(&r, HOST_DEV0, 0x13);
    g_assert_cmpuint(iommufd_model_live(r.m, "vdevice"), ==, 1);
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);

    /* What is said of the number it had is nothing to it */
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(BEHIND(1), true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, 0x13);
    smmu_rig_ste(&r, BEHIND(1), NULL);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd_all(BEHIND(1)));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, 0x13);

    /* And what is said of the one it has reaches the host */
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x13);
    smmu_s1_map(&s1[3], IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(BEHIND(3), 0, true));
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID + 3));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x13);
    smmu_queue_push(&r.cmdq, smmu_atc_inv(BEHIND(3), SMMU_NO_SSID, IOVA, 0));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x11);
    expect(&r, HOST_DEV0, 0x11);
    smmu_rig_stop(&r);
}

/* Whatever the new entry says */
static void test_entries(void)
{
    static const SmmuSte bypass = { .cfg = SMMU_STE_BYPASS };
    static const SmmuSte none = { .cfg = SMMU_STE_ABORT };
    SmmuS1 s1[4];
    SmmuRig r;

    start(&r, DEV0("bus=rp0"), 1, s1);
    smmu_rig_ste(&r, BEHIND(3), &bypass);
    smmu_rig_ste(&r, BEHIND(4), &none);
    smmu_rig_ste(&r, BEHIND(5), NULL);
    for (unsigned bus = 3; bus <= 6; bus++) {
        smmu_rig_number(&r, SLOT, bus);
        expect(&r, HOST_DEV0, -1);
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, DATA + 4096), ==,
                        bus == 3 ? 0x11 : -1);
        smmu_rig_number(&r, SLOT, 1);
        expect(&r, HOST_DEV0, 0x11);
    }
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

/* Two buses swap their numbers; both have the same one for a while */
static void test_swap(void)
{
    SmmuS1 s1[3];
    SmmuRig r;

    start(&r, DEV0("bus=rp0") DEV1("bus=rp1"), 2, s1);
    expect(&r, HOST_DEV0, 0x11);
    expect(&r, HOST_DEV1, 0x12);
    smmu_rig_number(&r, SLOT, 2);
    expect(&r, HOST_DEV0, -1);
    expect(&r, HOST_DEV1, -1);
    smmu_rig_number(&r, SLOT + 1, 1);
    expect(&r, HOST_DEV0, 0x12);
    expect(&r, HOST_DEV1, 0x11);
    /* One that waits for its own gets it when the other one goes elsewhere */
    smmu_rig_number(&r, SLOT, 1);
    expect(&r, HOST_DEV0, -1);
    expect(&r, HOST_DEV1, -1);
    smmu_rig_number(&r, SLOT, 9);
    expect(&r, HOST_DEV0, -1);
    expect(&r, HOST_DEV1, 0x11);
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

/* Or when it is unplugged */
static void test_unplug(void)
{
    SmmuS1 s1[3];
    SmmuRig r;

    start(&r, DEV1("bus=rp1"), 2, s1);
    smmu_rig_plug(&r, 0, SLOT, "hot", HOST_DEV0);
    expect(&r, HOST_DEV0, 0x11);
    smmu_rig_number(&r, SLOT + 1, 1);
    expect(&r, HOST_DEV0, -1);
    expect(&r, HOST_DEV1, -1);
    smmu_rig_unplug(&r, SLOT, "hot");
    expect(&r, HOST_DEV1, 0x11);
    /* One that comes makes the other one wait in turn */
    smmu_rig_plug(&r, 0, SLOT, "hot", HOST_DEV0);
    expect(&r, HOST_DEV0, -1);
    expect(&r, HOST_DEV1, -1);
    smmu_rig_number(&r, SLOT + 1, 2);
    expect(&r, HOST_DEV0, 0x11);
    expect(&r, HOST_DEV1, 0x12);
    smmu_rig_stop(&r);
}

/* All that is behind a bridge moves */
static void test_functions(void)
{
    SmmuS1 s1[4], other;
    SmmuRig r;

    start(&r, DEV0("bus=rp0,addr=0.0,multifunction=on")
              DEV1("bus=rp0,addr=0.1"), 3, s1);
    other = smmu_rig_s1(&r, IOVA, 2);
    set_stage1(&r, &other, BEHIND(3) + 1, ASID);
    expect(&r, HOST_DEV0, 0x11);
    expect(&r, HOST_DEV1, -1);
    smmu_rig_number(&r, SLOT, 3);
    expect(&r, HOST_DEV0, 0x13);
    expect(&r, HOST_DEV1, 0x12);
    smmu_rig_stop(&r);
}

/* With the SMMU off nobody has a stream, and nothing is asked of the host */
static void test_off(void)
{
    uint64_t calls;
    SmmuS1 s1[4];
    SmmuRig r;

    start(&r, DEV0("bus=rp0"), 3, s1);
    smmu_rig_write(&r, SMMU_REG_CR0, smmu_rig_read(&r, SMMU_REG_CR0) & ~1u);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, DATA + 4096), ==, 0x11);
    calls = iommufd_model_counter(r.m, "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
                                  "calls");
    smmu_rig_number(&r, SLOT, 3);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, DATA + 4096), ==, 0x11);
    g_assert_cmpuint(iommufd_model_counter(r.m,
                                           "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
                                           "calls"), ==, calls);
    smmu_rig_write(&r, SMMU_REG_CR0, smmu_rig_read(&r, SMMU_REG_CR0) | 1);
    expect(&r, HOST_DEV0, 0x13);
    smmu_rig_stop(&r);
}

/* A bridge that is reset has no number, so who is behind it has another one */
static void test_bridge_reset(void)
{
    const uint16_t port = SLOT << 3, up = BEHIND(1), down = BEHIND(2);
    SmmuS1 s1[5];
    SmmuRig r;

    start(&r, "-device x3130-upstream,id=up,bus=rp0 "
              "-device xio3130-downstream,id=down,bus=up,chassis=3 "
              DEV0("bus=down"), 4, s1);
    smmu_rig_config_write(&r, SLOT << 3, PCI_PRIMARY_BUS, 0x040100);
    smmu_rig_config_write(&r, (SLOT + 1) << 3, PCI_PRIMARY_BUS, 0x060600);
    smmu_rig_config_write(&r, up, PCI_PRIMARY_BUS, 0x040201);
    smmu_rig_config_write(&r, down, PCI_PRIMARY_BUS, 0x040402);
    expect(&r, HOST_DEV0, 0x14);
    smmu_rig_config_write(&r, port, PCI_INTERRUPT_LINE,
                          PCI_BRIDGE_CTL_BUS_RESET << 16);
    smmu_rig_config_write(&r, port, PCI_INTERRUPT_LINE, 0);
    expect(&r, HOST_DEV0, -1);
    smmu_rig_config_write(&r, up, PCI_PRIMARY_BUS, 0x040201);
    smmu_rig_config_write(&r, down, PCI_PRIMARY_BUS, 0x030302);
    expect(&r, HOST_DEV0, 0x13);
    smmu_rig_stop(&r);
}

/* A reset of everything ends at stage 2, with nothing said of the bridges */
static void test_system_reset(void)
{
    SmmuS1 s1[3];
    SmmuRig r;

    start(&r, DEV0("bus=rp0") DEV1("bus=rp1"), 2, s1);
    qtest_system_reset(r.qts);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(smmu_rig_peek(&r, i ? HOST_DEV1 : HOST_DEV0, NULL,
                                      DATA + 4096), ==, 0x11);
    }
    smmu_rig_number(&r, SLOT, 2);
    smmu_rig_number(&r, SLOT + 1, 1);
    smmu_queue_init(&r.cmdq, &r.mem, 11, 16);
    smmu_queue_init(&r.evtq, &r.mem, 4, 32);
    smmu_enable(&r.regs, &r.t, &r.cmdq, &r.evtq);
    expect(&r, HOST_DEV0, 0x12);
    expect(&r, HOST_DEV1, 0x11);
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

/* The emulation's own walk: here that of an interrupt to its doorbell */
static void test_interrupt(void)
{
    SmmuS1 s1[4];
    SmmuRig r;

    start(&r, DEV0("bus=rp0"), 3, s1);
    smmu_rig_config_write(&r, SLOT << 3, PCI_MEMORY_BASE, 0x10101010);
    smmu_rig_config_write(&r, SLOT << 3, PCI_COMMAND,
                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    smmu_rig_msix(&r, BEHIND(1), IOVA + 0x40);
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 1));
    smmu_rig_number(&r, SLOT, 3);
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 3));
    g_assert_false(smmu_rig_interrupt(&r, HOST_DEV0, 1));
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/number/now", test_now);
    qtest_add_func("/smmu-nested/number/entries", test_entries);
    qtest_add_func("/smmu-nested/number/swap", test_swap);
    qtest_add_func("/smmu-nested/number/unplug", test_unplug);
    qtest_add_func("/smmu-nested/number/functions", test_functions);
    qtest_add_func("/smmu-nested/number/off", test_off);
    qtest_add_func("/smmu-nested/number/bridge-reset", test_bridge_reset);
    qtest_add_func("/smmu-nested/number/system-reset", test_system_reset);
    qtest_add_func("/smmu-nested/number/interrupt", test_interrupt);
    return g_test_run();
}
