/*
 * SMMUv3 nesting: devices of one IOMMU group of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"
#include "nested-group.h"

#define IOVA    0x4000000000ULL
#define ASID    5

static void start(SmmuRig *r, unsigned num, const char *extra)
{
    g_autofree char *host = nested_group_host("smmuv3", "");

    smmu_rig_start(r, host, "nested=on", num, extra);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
}

static void expect(SmmuRig *r, uint64_t addr, int value)
{
    nested_group_expect(r->m, NULL, addr, value);
}

static SmmuCdTable table(SmmuRig *r, uint16_t asid, unsigned page)
{
    SmmuS1 s1 = smmu_rig_s1(r, IOVA, page);
    SmmuCdTable cds;

    smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, asid);
    return cds;
}

static void stage1(SmmuRig *r, uint32_t sid, SmmuCdTable *cds)
{
    smmu_rig_ste(r, sid, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = cds });
}

static void test_cold(void)
{
    SmmuCdTable one, two;
    SmmuRig r;

    start(&r, 2, "");
    expect(&r, DATA + 4096, 0x11);
    smmu_rig_enable(&r, 4);
    expect(&r, IOVA, -1);
    one = table(&r, ASID, 1);
    two = table(&r, ASID + 1, 2);
    stage1(&r, SID0, &one);
    expect(&r, IOVA, -1);
    stage1(&r, SID1, &one);
    expect(&r, IOVA, 0x11);
    stage1(&r, SID1, &two);
    expect(&r, IOVA, -1);
    nested_group_expect_reason(r.qts, HOST_DEV0, true);
    nested_group_expect_reason(r.qts, HOST_DEV1, true);
    stage1(&r, SID0, &two);
    expect(&r, IOVA, 0x22);
    nested_group_expect_reason(r.qts, HOST_DEV0, false);
    nested_group_expect_reason(r.qts, HOST_DEV1, false);
    /* One aborts, then both bypass */
    smmu_rig_ste(&r, SID0, NULL);
    expect(&r, IOVA, -1);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    expect(&r, DATA + 4096, -1);
    smmu_rig_ste(&r, SID1, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    expect(&r, DATA + 4096, 0x11);
    qtest_system_reset(r.qts);
    expect(&r, DATA + 4096, 0x11);
    smmu_rig_stop(&r);
}

/*
 * The second one comes and goes again. The first can be in stage 1 only when
 * both are there, as the host wants a vDEVICE of each; then it stays there.
 */
static void test_hot(void)
{
    SmmuCdTable one, two;
    SmmuRig r;

    start(&r, 1, "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 ");
    smmu_rig_number(&r, 0x10, 1);
    smmu_rig_enable(&r, 4);
    one = table(&r, ASID, 1);
    two = table(&r, ASID + 1, 2);
    for (int i = 0; i < 2; i++) {
        smmu_rig_plug(&r, 0, 0x10, "dev1", HOST_DEV1);
        /* It has no STE */
        expect(&r, IOVA, -1);
        stage1(&r, SID0, &one);
        expect(&r, IOVA, -1);
        stage1(&r, 0x100, &one);
        expect(&r, IOVA, 0x11);
        if (i) {
            stage1(&r, 0x100, &two);
            expect(&r, IOVA, -1);
        }
        smmu_rig_unplug(&r, 0x10, "dev1");
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
        g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS + 1);
        smmu_rig_ste(&r, 0x100, NULL);
    }
    smmu_rig_stop(&r);
}

/* A CD table for each of them, as Linux makes them */
static SmmuS1 two_tables(SmmuRig *r, SmmuCdTable *cds, SmmuS1Fmt fmt,
                         unsigned bits)
{
    SmmuS1 s1 = smmu_rig_s1(r, IOVA, 1);

    for (int i = 0; i < 2; i++) {
        smmu_cdtab_init(&cds[i], &r->mem, fmt, bits);
        smmu_cd_set(&cds[i], 0, &s1, ASID);
    }
    return s1;
}

static void push(SmmuRig *r, SmmuCmd cmd)
{
    smmu_queue_push(&r->cmdq, cmd);
}

/* Either of them may have the table that is in use: change both first */
static void change_in_turn(SmmuRig *r, SmmuCdTable *cds, const SmmuS1 *s1,
                           uint16_t asid, int first, int value)
{
    const uint32_t sid[] = { SID0, SID1 };

    smmu_cd_set(&cds[first], 0, s1, asid);
    push(r, smmu_cfgi_cd(sid[first], 0, true));
    smmu_rig_sync(r);
    expect(r, IOVA, -1);
    nested_group_expect_reason(r->qts, HOST_DEV0, true);
    nested_group_expect_reason(r->qts, HOST_DEV1, true);
    smmu_cd_set(&cds[!first], 0, s1, asid);
    push(r, smmu_cfgi_cd_all(sid[!first]));
    smmu_rig_sync(r);
    expect(r, IOVA, value);
    nested_group_expect_reason(r->qts, HOST_DEV0, false);
    nested_group_expect_reason(r->qts, HOST_DEV1, false);
}

static void test_own_tables(void)
{
    SmmuS1 one, two;
    SmmuCdTable cds[2];
    SmmuRig r;

    start(&r, 2, "");
    smmu_rig_enable(&r, 4);
    one = two_tables(&r, cds, SMMU_S1FMT_LINEAR, 0);
    two = smmu_rig_s1(&r, IOVA, 2);
    stage1(&r, SID0, &cds[0]);
    expect(&r, IOVA, -1);
    stage1(&r, SID1, &cds[1]);
    expect(&r, IOVA, 0x11);
    change_in_turn(&r, cds, &two, ASID + 1, 0, 0x22);
    change_in_turn(&r, cds, &one, ASID, 1, 0x11);
    /* Without an invalid CD between, by one CMD_SYNC, in either order */
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 2; j++) {
            smmu_cd_set(&cds[j], 0, i & 1 ? &one : &two, ASID);
        }
        push(&r, smmu_cfgi_cd(i < 2 ? SID0 : SID1, 0, true));
        push(&r, smmu_cfgi_cd(i < 2 ? SID1 : SID0, 0, true));
        push(&r, smmu_tlbi_asid(ASID));
        smmu_rig_sync(&r);
        expect(&r, IOVA, i & 1 ? 0x11 : 0x22);
    }
    /* The other one has cached what was in the table that both have */
    push(&r, smmu_cfgi_cd(SID1, 0, true));
    smmu_rig_sync(&r);
    smmu_cd_set(&cds[0], 0, &two, ASID + 1);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV1, NULL, IOVA), ==, 0x22);
    smmu_cd_set(&cds[0], 0, &one, ASID);
    push(&r, smmu_cfgi_cd(SID0, 0, true));
    smmu_rig_sync(&r);
    expect(&r, IOVA, 0x11);
    /* One that only CFGI_STE tells of */
    smmu_cd_set(&cds[1], 0, &two, ASID + 1);
    stage1(&r, SID1, &cds[1]);
    expect(&r, IOVA, -1);
    smmu_cd_set(&cds[0], 0, &two, ASID + 1);
    stage1(&r, SID0, &cds[0]);
    expect(&r, IOVA, 0x22);
    smmu_cd_clear(&cds[0], 0);
    push(&r, smmu_cfgi_cd(SID0, 0, true));
    smmu_rig_sync(&r);
    expect(&r, IOVA, -1);
    qtest_system_reset(r.qts);
    expect(&r, DATA + 4096, 0x11);
    smmu_rig_stop(&r);
}

/* With substreams all of their CDs count, as far as they are looked at */
/*
 * A GPU with ATS and its audio function without: EATS of the second means
 * nothing. That of a device which has ATS, and does not use it, does.
 */
static void test_ats(gconstpointer opaque)
{
    bool mixed = opaque != NULL;
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=smmuv3\nrefetch=on\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=7\n"
        "[device " HOST_DEV1 "]\ngroup=7\nats=%s\n", mixed ? "off" : "on");
    const IommufdDma ats = { .ats = true };
    SmmuCdTable cds[2], *last;
    SmmuSte ste[2];
    SmmuS1 two;
    SmmuRig r;

    for (int order = 0; order < 4; order++) {
        smmu_rig_start(&r, host, "nested=on,ats=on", 2, "");
        smmu_rig_fill(&r, 1, 0x11);
        smmu_rig_fill(&r, 2, 0x22);
        smmu_rig_enable(&r, 4);
        two_tables(&r, cds, SMMU_S1FMT_LINEAR, 0);
        /* Each has a table, the first one the lower or the higher; or one */
        last = order < 2 ? &cds[!order] : &cds[0];
        ste[0] = (SmmuSte) {
            .cfg = SMMU_STE_S1, .ats = true,
            .cds = order < 2 ? &cds[order] : &cds[0],
        };
        ste[1] = (SmmuSte) { .cfg = SMMU_STE_S1, .cds = last };
        smmu_rig_ste(&r, order & 1 ? SID1 : SID0, &ste[order & 1]);
        expect(&r, IOVA, -1);
        smmu_rig_ste(&r, order & 1 ? SID0 : SID1, &ste[!(order & 1)]);
        expect(&r, IOVA, mixed ? 0x11 : -1);
        nested_group_expect_reason(r.qts, HOST_DEV0, !mixed);
        if (mixed) {
            g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x11);
            /* Switched off for it, then on again */
            ste[0].ats = false;
            smmu_rig_ste(&r, SID0, &ste[0]);
            expect(&r, IOVA, 0x11);
            g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, -1);
            ste[0].ats = true;
            smmu_rig_ste(&r, SID0, &ste[0]);
            g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x11);
            /* Its device TLB is kept: ATC_INV is the first one's alone */
            two = smmu_rig_s1(&r, IOVA, 2);
            smmu_cd_set(&cds[0], 0, &two, ASID);
            smmu_cd_set(&cds[1], 0, &two, ASID);
            push(&r, smmu_cfgi_cd_all(SID0));
            push(&r, smmu_cfgi_cd_all(SID1));
            push(&r, smmu_tlbi_all(SMMU_OP_TLBI_NH_ALL));
            push(&r, smmu_atc_inv(SID0, SMMU_NO_SSID, 0, 52));
            smmu_rig_sync(&r);
            expect(&r, IOVA, 0x22);
            g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ats, IOVA), ==, 0x22);
        }
        smmu_rig_stop(&r);
    }
}

/*
 * The same two with substreams: the second device cannot have any, and goes by
 * the first CD of the first one
 */
static void test_few(gconstpointer opaque)
{
    bool can = opaque != NULL;
    g_autofree char *host = g_strdup_printf(
        "[host]\narch=smmuv3\nrefetch=on\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=7\n"
        "[device " HOST_DEV1 "]\ngroup=7\npasid-bits=%u\n", can ? 20 : 0);
    static const SmmuS1Fmt formats[] = {
        SMMU_S1FMT_LINEAR, SMMU_S1FMT_4K_L2,
    };
    const IommufdDma ssid = { .with_pasid = true, .pasid = 100 };
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ssidsize=12,cd2l=on", 2, "");
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_fill(&r, 2, 0x22);
    smmu_rig_enable(&r, 4);
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        SmmuS1 one = smmu_rig_s1(&r, IOVA, 1), two = smmu_rig_s1(&r, IOVA, 2);
        SmmuCdTable cds[2];
        SmmuSte ste[2];

        smmu_cdtab_init(&cds[0], &r.mem, formats[i], 12);
        smmu_cdtab_init(&cds[1], &r.mem, SMMU_S1FMT_LINEAR, 0);
        for (int j = 0; j < 2; j++) {
            smmu_cd_set(&cds[j], 0, &one, ASID);
            ste[j] = (SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds[j],
                                 .s1dss = SMMU_S1DSS_SSID0 };
        }
        smmu_rig_ste(&r, i ? SID1 : SID0, &ste[i]);
        smmu_rig_ste(&r, i ? SID0 : SID1, &ste[!i]);
        expect(&r, IOVA, can ? -1 : 0x11);
        if (can) {
            continue;
        }
        /* Substreams are the first one's affair */
        smmu_cd_set(&cds[0], 100, &two, ASID + 1);
        push(&r, smmu_cfgi_cd(SID0, 100, false));
        smmu_rig_sync(&r);
        expect(&r, IOVA, 0x11);
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &ssid, IOVA), ==, 0x22);
        change_in_turn(&r, cds, &two, ASID + 2, i, 0x22);
        /* Requests without one go another way */
        ste[0].s1dss = SMMU_S1DSS_TERMINATE;
        smmu_rig_ste(&r, SID0, &ste[0]);
        expect(&r, IOVA, -1);
        ste[0].s1dss = SMMU_S1DSS_SSID0;
        smmu_rig_ste(&r, SID0, &ste[0]);
        expect(&r, IOVA, 0x22);
        smmu_rig_ste(&r, SID0, NULL);
        smmu_rig_ste(&r, SID1, NULL);
    }
    smmu_rig_stop(&r);
}

static void test_own_tables_substreams(void)
{
    static const struct {
        SmmuS1Fmt fmt;
        unsigned bits;
        uint32_t far;           /* an SSID that has no like; 0: there is none */
    } tables[] = {
        { SMMU_S1FMT_LINEAR, 4, 0 },
        { SMMU_S1FMT_LINEAR, 10, 0 },
        { SMMU_S1FMT_4K_L2, 4, 0 },
        { SMMU_S1FMT_4K_L2, 12, 64 },
        { SMMU_S1FMT_64K_L2, 12, 1024 },
    };
    g_autofree char *host = nested_group_host("smmuv3", "");
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ssidsize=12,cd2l=on", 2, "");
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_enable(&r, 4);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        SmmuCdTable cds[2];
        SmmuS1 one = two_tables(&r, cds, tables[i].fmt, tables[i].bits);
        SmmuSte ste[2];
        uint64_t reads;

        for (int j = 0; j < 2; j++) {
            ste[j] = (SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds[j],
                                 .s1dss = SMMU_S1DSS_SSID0 };
            smmu_rig_ste(&r, j ? SID1 : SID0, &ste[j]);
        }
        expect(&r, IOVA, 0x11);
        smmu_cd_set(&cds[0], 3, &one, ASID);
        reads = nested_rig_counter(r.qts, "counters", "entries-read");
        push(&r, smmu_cfgi_cd(SID0, 3, true));
        smmu_rig_sync(&r);
        expect(&r, IOVA, -1);
        /* What is compared counts as work of the turn */
        reads = nested_rig_counter(r.qts, "counters", "entries-read") - reads;
        g_assert_cmpuint(reads, >=, 2ULL << MIN(tables[i].bits, 6));
        g_assert_cmpuint(reads, <=, 2ULL << 10);
        smmu_cd_set(&cds[1], 3, &one, ASID);
        push(&r, smmu_cfgi_cd(SID1, 3, true));
        smmu_rig_sync(&r);
        expect(&r, IOVA, 0x11);
        if (tables[i].far) {
            smmu_cd_set(&cds[0], tables[i].far, &one, ASID);
            smmu_cd_set(&cds[1], tables[i].far, &one, ASID);
            push(&r, smmu_cfgi_cd(SID0, tables[i].far, false));
            push(&r, smmu_cfgi_cd(SID1, tables[i].far, false));
            smmu_rig_sync(&r);
            expect(&r, IOVA, -1);
        }
        ste[1].s1dss = SMMU_S1DSS_TERMINATE;
        smmu_rig_ste(&r, SID1, &ste[1]);
        expect(&r, IOVA, -1);
        smmu_rig_ste(&r, SID0, NULL);
        smmu_rig_ste(&r, SID1, NULL);
    }
    smmu_rig_stop(&r);
}

/* The one whose table is in use goes, and its table is somebody else's */
static void test_own_tables_hot(void)
{
    SmmuS1 one, two;
    SmmuCdTable cds[2];
    SmmuRig r;

    start(&r, 1, "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 ");
    smmu_rig_number(&r, 0x10, 1);
    smmu_rig_enable(&r, 4);
    one = two_tables(&r, cds, SMMU_S1FMT_LINEAR, 0);
    two = smmu_rig_s1(&r, IOVA, 2);
    for (int i = 0; i < 2; i++) {
        smmu_rig_plug(&r, 0, 0x10, "dev1", HOST_DEV1);
        stage1(&r, SID0, &cds[i]);
        stage1(&r, 0x100, &cds[!i]);
        expect(&r, IOVA, 0x11);
        smmu_rig_unplug(&r, 0x10, "dev1");
        smmu_cd_set(&cds[!i], 0, &two, ASID + 1);
        smmu_rig_ste(&r, 0x100, NULL);
        g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
        g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS + 1);
        smmu_cd_set(&cds[!i], 0, &one, ASID);
    }
    smmu_rig_stop(&r);
}

/* A mate by its descriptor is one as well */
static void test_fd(void)
{
    SmmuCdTable cds[2];
    SmmuS1 two;
    SmmuRig r;
    int fd;

    start(&r, 1, "-device pcie-root-port,id=rp0,chassis=1,addr=0x10 ");
    smmu_rig_number(&r, 0x10, 1);
    smmu_rig_enable(&r, 4);
    two_tables(&r, cds, SMMU_S1FMT_LINEAR, 0);
    two = smmu_rig_s1(&r, IOVA, 2);
    fd = iommufd_model_open(r.m, "/dev/vfio/devices/vfio1");
    qtest_qmp_fds_assert_success(r.qts, &fd, 1, "{ 'execute': 'getfd', "
                                 "'arguments': { 'fdname': 'dev' } }");
    close(fd);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'device_add', 'arguments': "
        "{ 'driver': 'vfio-pci', 'id': 'dev1', 'fd': 'dev', 'bus': 'rp0', "
        "'iommufd': 'iommufd0' } }");
    smmu_rig_power(&r, 0x10);
    stage1(&r, SID0, &cds[0]);
    expect(&r, IOVA, -1);
    stage1(&r, 0x100, &cds[1]);
    expect(&r, IOVA, 0x11);
    smmu_cd_set(&cds[1], 0, &two, ASID + 1);
    push(&r, smmu_cfgi_cd(0x100, 0, true));
    smmu_rig_sync(&r);
    expect(&r, IOVA, -1);
    smmu_rig_unplug(&r, 0x10, "dev1");
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    smmu_rig_stop(&r);
}

/*
 * One that the VM does not have: the host wants a vDEVICE of it, too. Of a port
 * no VM can have one.
 */
static void check_stranger(const char *stranger, const char *remedy)
{
    g_autofree char *host = g_strdup_printf("[host]\narch=smmuv3\n[iommu 0]\n"
        "[device " HOST_DEV0 "]\ngroup=7\n"
        "[device " HOST_DEV1 "]\ngroup=7\n%s", stranger);
    g_autofree char *said = g_strdup_printf("%s/smmu-group-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    g_autofree char *text = NULL;
    SmmuCdTable cds;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, extra);
    smmu_rig_enable(&r, 4);
    cds = table(&r, ASID, 1);
    smmu_ste_set(&r.t, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    push(&r, smmu_cfgi_ste(SID0, true));
    g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), !=, 0);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    smmu_rig_stop(&r);
    g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, HOST_DEV0));
    g_assert_nonnull(strstr(text, "IOMMU group 7"));
    g_assert_nonnull(strstr(text, HOST_DEV1 " is of that group"));
    g_assert_nonnull(strstr(text, remedy));
    unlink(said);
}

static void test_stranger(void)
{
    check_stranger("", "give it to the VM");
    check_stranger("class=0x060400\nbound=off\n", "behind ports with ACS");
}

static void test_refused(void)
{
    g_autofree char *host = nested_group_host("smmuv3", "");
    g_autofree char *args = g_strdup_printf(
        "-machine virt,gic-version=3 -cpu max -m 128M -nodefaults "
        "-object iommufd,id=iommufd0 "
        "-device arm-smmuv3,primary-bus=pcie.0,id=smmu0,nested=on "
        "-device pxb-pcie,id=pxb1,bus=pcie.0,addr=0x11,bus_nr=96 "
        "-device arm-smmuv3,primary-bus=pxb1,id=smmu1,nested=on "
        "-device pcie-root-port,id=rp0,bus=pxb1,addr=1,chassis=1 "
        "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,"
        "bus=pcie.0 "
        "-device vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=iommufd0,"
        "bus=rp0");

    nested_rig_expect_refusal(host, args, "IOMMU group", "7", HOST_DEV0,
                              HOST_DEV1, "leave one", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/group/cold", test_cold);
    qtest_add_func("/smmu-nested/group/hot", test_hot);
    qtest_add_func("/smmu-nested/group/own-tables", test_own_tables);
    qtest_add_data_func("/smmu-nested/group/ats-mixed", "", test_ats);
    qtest_add_data_func("/smmu-nested/group/substreams-mixed", NULL, test_few);
    qtest_add_data_func("/smmu-nested/group/substreams-unequal", "", test_few);
    qtest_add_data_func("/smmu-nested/group/ats-unequal", NULL, test_ats);
    qtest_add_func("/smmu-nested/group/own-tables-substreams",
                   test_own_tables_substreams);
    qtest_add_func("/smmu-nested/group/own-tables-hot", test_own_tables_hot);
    qtest_add_func("/smmu-nested/group/fd", test_fd);
    qtest_add_func("/smmu-nested/group/stranger", test_stranger);
    qtest_add_func("/smmu-nested/group/refused", test_refused);
    return g_test_run();
}
