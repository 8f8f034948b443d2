/*
 * SMMUv3 nesting: substreams, and devices that come, go and are renumbered
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define BEHIND(bus) ((bus) << 8)
#define PORT        "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10," \
                    "chassis=1 "

static const SmmuSte ste_bypass = { .cfg = SMMU_STE_BYPASS };

static void expect(SmmuRig *r, const char *dev, uint64_t addr, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, addr), ==, value);
}

/* Linear and two-level CD tables; a CD that changes, by CFGI_CD */
static void substreams(SmmuS1Fmt fmt, uint32_t ssid)
{
    const IommufdDma how = { .with_pasid = true, .pasid = ssid };
    SmmuCdTable cds;
    SmmuS1 s1[2];
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR1) >> 6 & 0x1f, >=, 12);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    for (unsigned i = 0; i < 2; i++) {
        s1[i] = smmu_rig_s1(&r, IOVA, i);
    }
    smmu_cdtab_init(&cds, &r.mem, fmt, 12);
    smmu_cd_set(&cds, 0, &s1[0], ASID);
    smmu_cd_set(&cds, ssid, &s1[1], ASID + 1);
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_SSID0 });
    expect(&r, HOST_DEV0, IOVA, 0x10);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x11);

    smmu_cd_clear(&cds, ssid);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, ssid, true));
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID + 1));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, -1);
    expect(&r, HOST_DEV0, IOVA, 0x10);
    smmu_cd_set(&cds, ssid, &s1[0], ASID);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd_all(SID0));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x10);
    smmu_rig_stop(&r);
}

static void test_substreams(void)
{
    substreams(SMMU_S1FMT_LINEAR, 9);
    substreams(SMMU_S1FMT_4K_L2, 0x123);
    substreams(SMMU_S1FMT_64K_L2, 0xfff);
}

/* Requests without a substream, where there are substreams */
static void test_s1dss(void)
{
    static const struct {
        unsigned s1dss;
        int iova, gpa;
    } cases[] = {
        { SMMU_S1DSS_TERMINATE, -1, -1 },
        { SMMU_S1DSS_BYPASS, -1, 0x10 },
        { SMMU_S1DSS_SSID0, 0x10, -1 },
        /* Reserved, as TERMINATE */
        { 3, -1, -1 },
    };
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    s1 = smmu_rig_s1(&r, IOVA, 0);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 4);
    smmu_cd_set(&cds, 0, &s1, ASID);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        smmu_rig_ste(&r, SID0, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = cases[i].s1dss });
        expect(&r, HOST_DEV0, IOVA, cases[i].iova);
        expect(&r, HOST_DEV0, DATA, cases[i].gpa);
    }
    smmu_rig_stop(&r);
}

/* A host with pages of 64 KiB, whose SMMU has them or not; the guest's are 4 */
static void test_large_pages(void)
{
    static const char *const iommu[] = { "", "idr5=0x15\n" };

    for (size_t i = 0; i < ARRAY_SIZE(iommu); i++) {
        g_autofree char *host = smmu_rig_host(1, iommu[i],
                                              "bar4-size=65536\n");
        g_autofree char *large = g_strconcat(host, "[host]\n"
                                             "page-size=65536\n", NULL);
        SmmuCdTable cds;
        SmmuS1 s1;
        SmmuRig r;

        smmu_rig_start(&r, large, "nested=on", 1, "");
        g_assert_cmpuint(iommufd_model_counter(r.m, "IOAS_MAP", "errors"),
                         ==, 0);
        smmu_rig_enable(&r, 4);
        smmu_rig_fill(&r, 0, 0x10);
        smmu_rig_fill(&r, 1, 0x11);
        s1 = smmu_rig_s1(&r, IOVA, 1);
        smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 4);
        smmu_cd_set(&cds, 0, &s1, ASID);
        smmu_rig_ste(&r, SID0, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_SSID0 });
        expect(&r, HOST_DEV0, IOVA, 0x11);
        smmu_rig_ste(&r, SID0, &ste_bypass);
        expect(&r, HOST_DEV0, DATA, 0x10);
        smmu_rig_stop(&r);
    }
}

/* The reserved format of a CD table is linear */
static void test_s1fmt(void)
{
    SmmuCdTable cds;
    uint64_t slot;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    s1 = smmu_rig_s1(&r, IOVA, 0);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 4);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_ste_set(&r.t, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_SSID0 });
    slot = smmu_ste_entry(&r.t, SID0);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) | 3 << 4);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, 0x10);
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

static void clear_msix(SmmuRig *r, uint16_t rid)
{
    smmu_rig_config_write(r, rid, smmu_rig_find_msix(r, rid), 0);
}

/* The doorbell of an injected interrupt is an address of stage 1 */
static void test_interrupt(void)
{
    static const SmmuS1Fmt fmts[] = {
        SMMU_S1FMT_LINEAR, SMMU_S1FMT_4K_L2, SMMU_S1FMT_64K_L2,
    };
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 5);
    smmu_rig_msix(&r, SID0, IOVA + 0x40);
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 5));
    for (size_t i = 0; i < ARRAY_SIZE(fmts); i++) {
        s1 = smmu_rig_s1(&r, IOVA, 6 + i);
        smmu_cdtab_init(&cds, &r.mem, fmts[i], 12);
        smmu_cd_set(&cds, 0, &s1, ASID + 1 + i);
        smmu_rig_ste(&r, SID0, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_SSID0 });
        g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 6 + i));
        g_assert_false(smmu_rig_interrupt(&r, HOST_DEV0, 5));
    }
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_TERMINATE });
    g_assert_false(smmu_rig_interrupt(&r, HOST_DEV0, 8));
    smmu_rig_msix(&r, SID0, DATA + 9 * 4096 + 0x40);
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_BYPASS });
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 9));
    smmu_rig_stop(&r);
}

/*
 * A driver may enable interrupts while its device's DMA is blocked: by the STE,
 * by GBPA, or because there is no STE yet
 */
static void test_interrupt_blocked(void)
{
    const uint64_t doorbell = DATA + 7 * 4096 + 0x40;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
    smmu_rig_msix(&r, SID0, doorbell);
    smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE);
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 7));
    clear_msix(&r, SID0);
    smmu_rig_enable(&r, 4);
    smmu_rig_msix(&r, SID0, doorbell);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 7));
    clear_msix(&r, SID0);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    smmu_rig_msix(&r, SID0, doorbell);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, DATA), ==, -1);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    g_assert_true(smmu_rig_interrupt(&r, HOST_DEV0, 7));
    smmu_rig_stop(&r);
}

static void plug(SmmuRig *r, const char *id, const char *dev)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': %s, 'host': %s, "
        "'bus': 'rp0', 'iommufd': 'iommufd0' } }", id, dev);
}

static void start_port(SmmuRig *r)
{
    g_autofree char *host = smmu_rig_host(2, "", "");

    smmu_rig_start(r, host, "nested=on", 0, PORT);
    smmu_rig_number(r, 0x10, 1);
    smmu_rig_enable(r, 4);
    smmu_rig_fill(r, 0, 0x10);
    smmu_rig_fill(r, 1, 0x11);
}

/* A device that comes while the SMMU is on has the STE that is there */
static void test_hot_plug(void)
{
    SmmuRig r;

    start_port(&r);
    smmu_rig_stage1(&r, BEHIND(1), ASID, IOVA, 1);
    plug(&r, "hot", HOST_DEV0);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    smmu_rig_ste(&r, BEHIND(1), &ste_bypass);
    expect(&r, HOST_DEV0, DATA, 0x10);
    smmu_rig_stop(&r);
}

/* Without an STE it is blocked until there is one */
static void test_hot_plug_blocked(void)
{
    SmmuRig r;

    start_port(&r);
    plug(&r, "hot", HOST_DEV1);
    expect(&r, HOST_DEV1, DATA, -1);
    smmu_rig_stage1(&r, BEHIND(1), ASID, IOVA, 1);
    expect(&r, HOST_DEV1, IOVA, 0x11);
    smmu_rig_stop(&r);
}

/* The guest numbers its buses anew: another StreamID, another vDEVICE */
static void test_renumber(void)
{
    SmmuS1 s1;
    SmmuRig r;

    start_port(&r);
    plug(&r, "hot", HOST_DEV0);
    smmu_rig_stage1(&r, BEHIND(1), ASID, IOVA, 1);
    s1 = smmu_rig_stage1(&r, BEHIND(2), ASID + 1, IOVA, 0);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    smmu_rig_number(&r, 0x10, 2);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(BEHIND(2), true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, 0x10);
    g_assert_cmpuint(iommufd_model_live(r.m, "vdevice"), ==, 1);
    /* Commands for the old number are nobody's, for the new one they work */
    smmu_rig_ste(&r, BEHIND(1), NULL);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd_all(BEHIND(1)));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, 0x10);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd_all(BEHIND(2)));
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID + 1));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    smmu_rig_stop(&r);
}

/*
 * A device that only its bus resets, alone there: the guest resets the bus, the
 * host does it, and STE and HWPT are what they were
 */
static void test_bus_reset(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "reset=off\n");
    uint64_t resets;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 0, PORT);
    smmu_rig_number(&r, 0x10, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    plug(&r, "hot", HOST_DEV0);
    smmu_rig_stage1(&r, BEHIND(1), ASID, IOVA, 1);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    resets = iommufd_model_counter(r.m, "PCI_HOT_RESET", "calls");
    smmu_rig_config_write(&r, 0x10 << 3, PCI_INTERRUPT_LINE,
                          PCI_BRIDGE_CTL_BUS_RESET << 16);
    smmu_rig_config_write(&r, 0x10 << 3, PCI_INTERRUPT_LINE, 0);
    g_assert_cmpuint(iommufd_model_counter(r.m, "PCI_HOT_RESET", "calls"), ==,
                     resets + 1);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    expect(&r, HOST_DEV0, DATA, -1);
    smmu_rig_stop(&r);
}

/* Two SMMUs of the host behind one of the guest: a vIOMMU each */
static void test_two_hosts(void)
{
    static const char host[] =
        "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n"
        "[device " HOST_DEV0 "]\niommu=0\ngroup=1\n"
        "[device " HOST_DEV1 "]\niommu=1\ngroup=2\n";
    uint64_t calls;
    SmmuS1 s1;
    SmmuCdTable cds;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 2, "");
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_s1(&r, IOVA, 0);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_ste(&r, i ? SID1 : SID0,
                     &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    }
    g_assert_cmpuint(iommufd_model_live(r.m, "viommu"), ==, 2);
    expect(&r, HOST_DEV0, IOVA, 0x10);
    expect(&r, HOST_DEV1, IOVA, 0x10);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    calls = smmu_rig_ioctls(&r);
    smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    smmu_rig_sync(&r);
    /* One for each of them */
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 2);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    expect(&r, HOST_DEV1, IOVA, 0x11);
    smmu_rig_stop(&r);
}

static uint32_t field(SmmuRig *r, uint64_t reg, unsigned shift, unsigned bits)
{
    return smmu_rig_read(r, reg) >> shift & ((1u << bits) - 1);
}

/* What the host lacks the guest does not get; what is given has to be there */
static void test_idr(void)
{
    /* IDR3.FWB only; no 16 KiB granule; 8 bits of SSID */
    static const char poor[] = "idr1=0x210\nidr3=0x100\nidr5=0x55\n";
    g_autofree char *host = smmu_rig_host(1, poor, "ats=off\n");
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, "");
    g_assert_cmpuint(field(&r, SMMU_REG_IDR0, 10, 1), ==, 0);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR1, 6, 5), ==, 8);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR3, 10, 1), ==, 0);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 4, 3), ==, 5);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 0, 3), ==, 4);
    smmu_rig_stop(&r);

    smmu_rig_start(&r, host, "nested=on,ssidsize=3,oas=48,gran64k=off", 1, "");
    g_assert_cmpuint(field(&r, SMMU_REG_IDR1, 6, 5), ==, 3);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 4, 3), ==, 1);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 0, 3), ==, 5);
    smmu_rig_stop(&r);

    smmu_rig_expect_refusal(host, "nested=on,ril=on", 1,
                            "'ril' is 1 for the guest, but the host's SMMU "
                            "has 0");
    smmu_rig_expect_refusal(host, "nested=on,bbml=3", 1,
                            "bbml=3 is neither auto nor 0 to 2");
    smmu_rig_expect_refusal(host, "nested=on,ssidsize=9", 1,
                            "'ssidsize' is 9 for the guest, but the host's "
                            "SMMU has 8");
    smmu_rig_expect_refusal(host, "nested=on,gran16k=on", 1, "'gran16k'");
    /* Said when the machine is complete, before the next mistake */
    nested_rig_expect_refusal(host, "-M virt,gic-version=3 -cpu max "
                              "-device arm-smmuv3,primary-bus=pcie.0,"
                              "nested=on,cd2l=on -incoming file:/dev/null/none",
                              "go without ats, ssidsize;", NULL);
}

/* Two names, and two values, in any order */
static void test_contradiction(void)
{
    static const char *const props[] = {
        "accel=on,nested=off", "nested=off,accel=on", "accel=off,nested=on",
        "nested=on,accel=off", "accel=on,nested=auto",
    };
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    for (unsigned i = 0; i < ARRAY_SIZE(props); i++) {
        smmu_rig_expect_refusal(host, props[i], 0, "two names for one thing");
    }
    smmu_rig_expect_refusal(host, "nested=on,ssidsize=0,cd2l=on", 0,
                            "ssidsize=0");
    smmu_rig_expect_refusal(host, "nested=on,gran64k=off,gran4k=off,"
                            "gran16k=off", 0, "gran4k, gran16k and gran64k");
    smmu_rig_expect_refusal(host, "nested=auto "
                            "-incoming file:/dev/null/none", 0,
                            "nested=auto is off");
    smmu_rig_start(&r, host, "accel=on,nested=on,ssidsize=0", 1, "");
    g_assert_cmpuint(field(&r, SMMU_REG_IDR0, 0, 2), ==, 2);
    g_assert_cmpuint(field(&r, SMMU_REG_IDR0, 19, 1), ==, 0);
    smmu_rig_stop(&r);
}

/* It has no page tables on the host */
static void test_mdev(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "mdev=on\n");

    nested_rig_expect_refusal(host, "-M virt,gic-version=3 -cpu max "
        "-nodefaults -device arm-smmuv3,primary-bus=pcie.0,nested=on "
        "-device vfio-pci,sysfsdev=/sys/bus/pci/devices/" HOST_DEV0,
        HOST_DEV0, "mediated device", "nested=on", NULL);
}

/* What the host keeps for itself, in the middle of the guest's memory */
static void test_reserved(void)
{
    g_autofree char *host = smmu_rig_host(1, "",
        "reserved=0x42000000-0x420fffff,0x8000000-0x80fffff:msi\n");

    smmu_rig_expect_refusal(host, "nested=on", 1, "0x42000000-0x420fffff");
}

/* IDR0.ATS is the SMMU's: a device without ATS is welcome behind it */
static void test_idr_ats(void)
{
    g_autofree char *device = smmu_rig_host(1, "", "ats=off\n");
    /* A kernel that does not tell of the device, and an SMMU without ATS */
    g_autofree char *smmu = smmu_rig_host(1, "idr0=0xc4c101b\n", "ats=on\n");
    SmmuRig r;

    smmu_rig_start(&r, device, "nested=on,ats=on", 1, "");
    g_assert_cmpuint(field(&r, SMMU_REG_IDR0, 10, 1), ==, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    smmu_rig_stop(&r);
    smmu_rig_start(&r, smmu, "nested=on", 1, "");
    g_assert_cmpuint(field(&r, SMMU_REG_IDR0, 10, 1), ==, 0);
    smmu_rig_stop(&r);
}

/*
 * As wide as the guest's CPU, or its processes get no device. The qtest
 * accelerator has no other CPU than the first.
 */
static void test_idr_oas(void)
{
    static const struct {
        const char *cpu, *host;
        unsigned oas;
    } cases[] = {
        { "-accel tcg -S -cpu cortex-a57", "", 4 },
        { "-accel tcg -S -cpu cortex-a76", "", 4 },
        { "-accel tcg -S -cpu neoverse-n1", "", 5 },
        { "-accel tcg -S -cpu neoverse-n1", "idr5=0x74\n", 4 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *host = smmu_rig_host(1, cases[i].host, "");
        SmmuRig r;

        smmu_rig_start(&r, host, "nested=on", 1, cases[i].cpu);
        g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 0, 3), ==, cases[i].oas);
        smmu_rig_stop(&r);
        smmu_rig_start(&r, host, "nested=on,oas=40,bbml=0", 1, cases[i].cpu);
        g_assert_cmpuint(field(&r, SMMU_REG_IDR5, 0, 3), ==, 2);
        g_assert_cmpuint(field(&r, SMMU_REG_IDR3, 11, 2), ==, 0);
        smmu_rig_stop(&r);
    }
}

static void save(const char *host, const char *props, const char *uri)
{
    SmmuRig r;

    smmu_rig_start(&r, host, props, 0, "");
    smmu_rig_enable(&r, 4);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'migrate', "
                             "'arguments': { 'uri': %s } }", uri);
    for (bool done = false; !done; g_usleep(1000)) {
        QDict *answer = qtest_qmp_assert_success_ref(r.qts,
                            "{ 'execute': 'query-migrate' }");
        const char *status = qdict_get_try_str(answer, "status");

        g_assert_cmpstr(status, !=, "failed");
        done = !g_strcmp0(status, "completed");
        qobject_unref(answer);
    }
    smmu_rig_stop(&r);
}

/* Saved state has the IDRs that the guest has read; no other will do */
static void test_migration(void)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-%d", g_get_tmp_dir(),
                                            getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *in = g_strdup_printf("-incoming %s ", uri);
    g_autofree char *on = g_strdup_printf("nested=on %s", in);
    g_autofree char *off = g_strdup_printf("nested=off %s", in);
    g_autofree char *other = g_strdup_printf("nested=on,ril=off %s", in);
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    save(host, "nested=on", uri);
    smmu_rig_start(&r, host, "nested=on", 0, in);
    while (!(smmu_rig_read(&r, SMMU_REG_CR0) & 1)) {
        g_usleep(1000);
    }
    smmu_rig_stop(&r);
    smmu_rig_expect_refusal(host, other, 0, "promised IDR3");
    smmu_rig_expect_refusal(host, off, 0, "comes from nested=on");
    save(host, "nested=off", uri);
    smmu_rig_expect_refusal(host, on, 0, "comes from nested=off");
    unlink(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/life/substreams", test_substreams);
    qtest_add_func("/smmu-nested/life/s1dss", test_s1dss);
    qtest_add_func("/smmu-nested/life/s1fmt", test_s1fmt);
    qtest_add_func("/smmu-nested/life/large-pages", test_large_pages);
    qtest_add_func("/smmu-nested/life/interrupt", test_interrupt);
    qtest_add_func("/smmu-nested/life/interrupt-blocked",
                   test_interrupt_blocked);
    qtest_add_func("/smmu-nested/life/hot-plug", test_hot_plug);
    qtest_add_func("/smmu-nested/life/hot-plug-blocked",
                   test_hot_plug_blocked);
    qtest_add_func("/smmu-nested/life/renumber", test_renumber);
    qtest_add_func("/smmu-nested/life/bus-reset", test_bus_reset);
    qtest_add_func("/smmu-nested/life/two-hosts", test_two_hosts);
    qtest_add_func("/smmu-nested/life/idr", test_idr);
    qtest_add_func("/smmu-nested/life/contradiction", test_contradiction);
    qtest_add_func("/smmu-nested/life/reserved", test_reserved);
    qtest_add_func("/smmu-nested/life/mdev", test_mdev);
    qtest_add_func("/smmu-nested/life/idr-ats", test_idr_ats);
    qtest_add_func("/smmu-nested/life/idr-oas", test_idr_oas);
    qtest_add_func("/smmu-nested/life/migration", test_migration);
    return g_test_run();
}
