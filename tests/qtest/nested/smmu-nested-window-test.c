/*
 * SMMUv3 nesting: the window for interrupts, and the doorbell in it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "smmu-fw.h"

#define WINDOW_BASE     0x8000000
#define WINDOW_SIZE     0x100000

#define ELSEWHERE       0xa0000000
#define HOST_ELSEWHERE  "reserved=0xa0000000-0xa00fffff:msi\n"

#define PORT            "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10," \
                        "chassis=1 "
#define PLUG            "{ 'execute': 'device_add', 'arguments': { " \
                        "'driver': 'vfio-pci', 'id': 'hot', " \
                        "'host': '" HOST_DEV0 "', 'bus': 'rp0', " \
                        "'iommufd': 'iommufd0' } }"
#define ASID            5

/* Size 0: there is none */
static void expect_window(SmmuRig *r, uint64_t base, uint64_t size)
{
    const IortNode *rmr;
    Iort iort;

    smmu_fw_iort(r, &iort);
    rmr = smmu_fw_node(&iort, IORT_RMR, 0);
    if (!size) {
        g_assert_null(rmr);
        return;
    }
    g_assert_nonnull(rmr);
    g_assert_cmphex(rmr->range_base, ==, base);
    g_assert_cmphex(rmr->range_size, ==, size);
}

static void expect_started(const char *device, const char *props, unsigned num,
                           uint64_t base, uint64_t size)
{
    g_autofree char *host = smmu_rig_host(1, "", device);
    SmmuRig r;

    smmu_rig_start(&r, host, props, num, "");
    expect_window(&r, base, size);
    smmu_rig_stop(&r);
}

/* auto: what the host says; as Linux has always had it if nobody says */
static void test_auto(void)
{
    expect_started("", "nested=on", 1, WINDOW_BASE, WINDOW_SIZE);
    expect_started("", "nested=on,msi-window=auto", 0, WINDOW_BASE,
                   WINDOW_SIZE);
    expect_started(HOST_ELSEWHERE, "nested=on", 1, ELSEWHERE, WINDOW_SIZE);
    expect_started("reserved=none\n", "nested=on", 1, 0, 0);
    /* The range with the usual window is that window, and there are others */
    expect_started("reserved=0x1000000-0x1ffffff,0x7000000-0x8ffffff:msi\n",
                   "nested=on", 1, WINDOW_BASE, WINDOW_SIZE);
    /* Nothing that tables can describe */
    expect_started("reserved=0xa0001000-0xa0001fff:msi\n", "nested=on", 1, 0,
                   0);
}

static void test_given(void)
{
    expect_started(HOST_ELSEWHERE,
                   "nested=on,msi-window=0xa0000000-0xa00fffff", 1,
                   ELSEWHERE, WINDOW_SIZE);
    /* A part of it will do */
    expect_started("", "nested=on,msi-window=0x8000000-0x800ffff", 1,
                   WINDOW_BASE, 0x10000);
    expect_started("", "nested=on,msi-window=0xa0000000-0xa00fffff", 0,
                   ELSEWHERE, WINDOW_SIZE);
    expect_started("", "nested=on,msi-window=off", 1, 0, 0);
}

static void refuse(const char *device, const char *props, unsigned num,
                   const char *text)
{
    g_autofree char *host = smmu_rig_host(1, "", device);

    smmu_rig_expect_refusal(host, props, num, text);
}

static void test_refused(void)
{
    static const char *const malformed[] = {
        "on", "0x8000000", "0x8000000-", "0x8000000-0x80fffff:",
        "0x80fffff-0x8000000", "0x8000000-0x8000fff", "0x8001000-0x801ffff",
        "0x8000000-0x1000000000000ffff", "0xffffffff0000-0x100000000ffff",
    };

    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        g_autofree char *props = g_strdup_printf("nested=on,msi-window=%s",
                                                 malformed[i]);
        g_autofree char *text = g_strdup_printf("msi-window=%s is none of",
                                                malformed[i]);

        refuse("", props, 0, text);
    }
    refuse("", "nested=off,msi-window=off", 0, "needs nested=on");
    refuse("", "nested=on,msi-window=0x40000000-0x400fffff", 0,
           "the guest has memory there");
    /* Ends in memory */
    refuse("", "nested=on,msi-window=0x3fff0000-0x4000ffff", 0,
           "the guest has memory there");
    refuse("", "nested=on,msi-window=0xa0000000-0xa00fffff", 1,
           "'msi-window' is 0xa0000000-0xa00fffff for the guest, but the host "
           "keeps no such window for device " HOST_DEV0);
    refuse(HOST_ELSEWHERE, "nested=on,msi-window=0x8000000-0x80fffff", 1,
           "0x0-0x9fffffff is free there");
}

/* Frozen when the machine is complete, whoever comes later */
static void test_hot_plug(void)
{
    g_autofree char *other = smmu_rig_host(1, "", HOST_ELSEWHERE);
    g_autofree char *host = smmu_rig_host(1, "", "");
    QDict *answer;
    SmmuRig r;

    smmu_rig_start(&r, other, "nested=on", 0, PORT);
    answer = qtest_qmp_assert_failure_ref(r.qts, PLUG);
    g_assert_nonnull(strstr(qdict_get_str(answer, "desc"),
                            "'msi-window' is 0x8000000-0x80fffff for the "
                            "guest"));
    qobject_unref(answer);
    expect_window(&r, WINDOW_BASE, WINDOW_SIZE);
    smmu_rig_stop(&r);

    smmu_rig_start(&r, host, "nested=on", 0, PORT);
    qtest_qmp_assert_success(r.qts, PLUG);
    expect_window(&r, WINDOW_BASE, WINDOW_SIZE);
    smmu_rig_stop(&r);
}

static void save(const char *host, const char *props, const char *uri)
{
    SmmuRig r;

    smmu_rig_start(&r, host, props, 0, "");
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

static void arrive(const char *host, const char *props)
{
    SmmuRig r;

    smmu_rig_start(&r, host, props, 0, "");
    for (bool done = false; !done; g_usleep(1000)) {
        QDict *answer = qtest_qmp_assert_success_ref(r.qts,
                            "{ 'execute': 'query-status' }");

        done = !strcmp(qdict_get_str(answer, "status"), "running");
        qobject_unref(answer);
    }
    smmu_rig_stop(&r);
}

/* The guest goes by the tables of where it comes from */
static void test_migration(void)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-window-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *same = g_strdup_printf("nested=on,msi-window=0x8000000-"
                                            "0x80fffff -incoming %s ", uri);
    g_autofree char *off = g_strdup_printf("nested=on,msi-window=off "
                                           "-incoming %s ", uri);
    g_autofree char *on = g_strdup_printf("nested=on -incoming %s ", uri);
    g_autofree char *host = smmu_rig_host(1, "", "");

    save(host, "nested=on", uri);
    arrive(host, same);
    smmu_rig_expect_refusal(host, off, 0, "'msi-window' is 0x8000000-0x80fffff "
                            "where the guest comes from, but here it is off");
    save(host, "nested=on,msi-window=off", uri);
    smmu_rig_expect_refusal(host, on, 0, "'msi-window' is off where the guest "
                            "comes from, but here it is 0x8000000-0x80fffff");
    unlink(file);
}

/* Faults never stall, and the guest may be promised that */
static void test_stall(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,stall=off", 1, "");
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR0) >> 24 & 3, ==, 1);
    smmu_rig_stop(&r);
    smmu_rig_start(&r, host, "nested=on,stall=auto", 1, "");
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR0) >> 24 & 3, ==, 1);
    smmu_rig_stop(&r);
    refuse("", "nested=on,stall=on", 1, "stall=on is not possible");
    refuse("", "nested=off,stall=off", 0, "needs nested=on");
}

/* GICv2m: a doorbell at its frame, an interrupt of the distributor */
#define GICD            0x8000000
#define GICD_ISPENDR    0x200
#define GICD_ICPENDR    0x280
#define GICD_ICFGR      0xc00
#define FRAME           0x8020000
#define DOORBELL        0x40
#define FIRST_SPI       80

static bool pending(SmmuRig *r, uint64_t gicd, unsigned irq)
{
    return qtest_readl(r->qts, gicd + GICD_ISPENDR + irq / 32 * 4) >>
           irq % 32 & 1;
}

/* The device raises vector 0, which goes to @doorbell */
static bool rings_at(SmmuRig *r, uint64_t gicd, uint64_t doorbell,
                     bool expected)
{
    const uint64_t bar = 0x10100000;
    uint8_t pos = smmu_rig_config_read(r, SID0, PCI_CAPABILITY_LIST);
    bool got = false;
    uint64_t table;

    while ((smmu_rig_config_read(r, SID0, pos) & 0xff) != PCI_CAP_ID_MSIX) {
        pos = smmu_rig_config_read(r, SID0, pos) >> 8;
        g_assert_cmpuint(pos, !=, 0);
    }
    smmu_rig_config_write(r, SID0, pos, 0);
    smmu_rig_config_write(r, SID0, PCI_BASE_ADDRESS_2, bar);
    smmu_rig_config_write(r, SID0, PCI_COMMAND,
                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    table = bar + (smmu_rig_config_read(r, SID0, pos + PCI_MSIX_TABLE) & ~7u);
    qtest_writel(r->qts, table, doorbell);
    qtest_writel(r->qts, table + 4, doorbell >> 32);
    qtest_writel(r->qts, table + 8, FIRST_SPI);
    qtest_writel(r->qts, table + 12, 0);
    smmu_rig_config_write(r, SID0, pos, PCI_MSIX_FLAGS_ENABLE << 16);

    qtest_writel(r->qts, gicd + GICD_ICFGR + FIRST_SPI / 16 * 4, 0xaaaaaaaa);
    qtest_writel(r->qts, gicd + GICD_ICPENDR + FIRST_SPI / 32 * 4, UINT32_MAX);
    g_assert_false(pending(r, gicd, FIRST_SPI));
    iommufd_model_do(r->m, "{\"cmd\":\"irq\",\"dev\":\"" HOST_DEV0
                     "\",\"index\":2,\"vector\":0}");
    /* What must not come has as long to come as what may */
    for (unsigned i = 0; i < (expected ? 2000 : 50) && !got; i++) {
        got = pending(r, gicd, FIRST_SPI);
        g_usleep(1000);
    }
    return got;
}

static bool rings(SmmuRig *r, uint64_t doorbell, bool expected)
{
    return rings_at(r, GICD, doorbell, expected);
}

/*
 * Where guests map the doorbell: to itself, at the start of the window that
 * VFIO in the guest takes for it, and where the DMA API has room
 */
static const uint64_t doorbells[] = {
    FRAME, WINDOW_BASE, 0xfffff000, 0xffffffff0000ULL,
};

static void doorbell(SmmuRig *r, SmmuS1Fmt fmt, unsigned cdmax,
                     unsigned s1dss)
{
    for (size_t i = 0; i < ARRAY_SIZE(doorbells); i++) {
        uint64_t iova = doorbells[i];
        SmmuCdTable cds;
        SmmuS1 s1;

        smmu_s1_init(&s1, &r->mem, 12, 48);
        smmu_s1_map(&s1, iova, FRAME, 4096, 12, SMMU_PTE_USER_RW);
        if (iova != WINDOW_BASE) {
            smmu_s1_map(&s1, WINDOW_BASE, WINDOW_BASE, 4096, 12,
                        SMMU_PTE_USER_RW);
        }
        smmu_cdtab_init(&cds, &r->mem, fmt, cdmax);
        smmu_cd_set(&cds, 0, &s1, ASID + i);
        smmu_rig_ste(r, SID0, &(SmmuSte) {
            .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = s1dss });
        /* The device's message finds nothing at what is not the host's */
        g_assert_cmpint(rings(r, iova + DOORBELL, iova != WINDOW_BASE), ==,
                        iova != WINDOW_BASE);
        /* It is the guest's stage 1 that decides */
        g_assert_false(rings(r, iova + 0x10000 + DOORBELL, false));
    }
}

static void test_doorbell(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, "-machine gic-version=2 ");
    smmu_rig_enable(&r, 4);
    doorbell(&r, SMMU_S1FMT_LINEAR, 0, SMMU_S1DSS_TERMINATE);
    doorbell(&r, SMMU_S1FMT_LINEAR, 8, SMMU_S1DSS_SSID0);
    doorbell(&r, SMMU_S1FMT_4K_L2, 12, SMMU_S1DSS_SSID0);
    doorbell(&r, SMMU_S1FMT_64K_L2, 12, SMMU_S1DSS_SSID0);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    g_assert_true(rings(&r, FRAME + DOORBELL, true));
    smmu_rig_stop(&r);
}

/* user-msi=on: the distributor is where the ITS was */
#define USER_GICD       0x8080000
#define USER_ITS        0x7ff0000
#define ITS_CTLR        0x0
#define ITS_TYPER       0x8
#define ITS_PIDR2       0xffe8

/* Nothing but what VFIO in the guest maps: its doorbell, at the window */
static void test_user(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1,
                   "-machine gic-version=2,user-msi=on ");
    smmu_rig_enable(&r, 4);
    smmu_s1_init(&s1, &r.mem, 12, 48);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    g_assert_false(rings_at(&r, USER_GICD, WINDOW_BASE + DOORBELL, false));
    smmu_s1_map(&s1, WINDOW_BASE, WINDOW_BASE, 4096, 12, SMMU_PTE_USER_RW);
    g_assert_true(rings_at(&r, USER_GICD, WINDOW_BASE + DOORBELL, true));
    /* The kernel's drivers have the doorbell elsewhere, and the window, too */
    smmu_s1_map(&s1, 0xfffff000, WINDOW_BASE, 4096, 12, SMMU_PTE_USER_RW);
    g_assert_true(rings_at(&r, USER_GICD, 0xfffff000 + DOORBELL, true));
    smmu_rig_stop(&r);
}

/* MADT: GIC distributor and ITS, each with its address at byte 8 */
static void expect_madt(SmmuRig *r, uint64_t gicd, uint64_t its)
{
    size_t len;
    g_autofree uint8_t *madt = smmu_fw_table(r, "APIC", &len);
    unsigned found = 0;

    for (size_t at = 44; at < len; at += madt[at + 1]) {
        if (madt[at] == 12 || madt[at] == 15) {
            g_assert_cmphex(ldq_le_p(madt + at + 8), ==,
                            madt[at] == 12 ? gicd : its);
            found++;
        }
    }
    g_assert_cmpuint(found, ==, 2);
}

/* An ITS, its first frame over the end of the flash, which is there no more */
static void test_user_its(void)
{
    static const struct {
        const char *machine;
        uint64_t its, gicd;
    } at[] = {
        { "-machine user-msi=on ", USER_ITS, USER_GICD },
        { "-machine user-msi=off ", USER_GICD, WINDOW_BASE },
    };

    for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
        g_autofree char *host = smmu_rig_host(1, "", "");
        SmmuRig r;

        smmu_rig_start(&r, host, "nested=on", 1, at[i].machine);
        g_assert_cmphex(qtest_readl(r.qts, at[i].its + ITS_PIDR2) & 0xf0, ==,
                        0x30);
        g_assert_cmphex(qtest_readl(r.qts, at[i].its + ITS_TYPER) & 1, ==, 1);
        g_assert_cmphex(qtest_readl(r.qts, at[i].gicd + ITS_PIDR2) & 0xf0, ==,
                        0x30);
        expect_window(&r, WINDOW_BASE, WINDOW_SIZE);
        expect_madt(&r, at[i].gicd, at[i].its);
        smmu_rig_stop(&r);
    }
}

/* The guest's VFIO takes 0x8000000, wherever the host's window is */
static void test_user_refused(void)
{
    refuse(HOST_ELSEWHERE, "nested=on -machine user-msi=on", 1,
           "'msi-window' is 0xa0000000-0xa00fffff, and the machine's "
           "user-msi=on has the guest's doorbell at 0x8000000");
}

static void test_user_migration(void)
{
    g_autofree char *file = g_strdup_printf("%s/smmu-user-msi-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *on = g_strdup_printf("nested=on -machine user-msi=on "
                                          "-incoming %s ", uri);
    g_autofree char *off = g_strdup_printf("nested=on -incoming %s ", uri);
    g_autofree char *host = smmu_rig_host(1, "", "");

    save(host, "nested=on -machine user-msi=on", uri);
    arrive(host, on);
    smmu_rig_expect_refusal(host, off, 0, "the machine has user-msi=on where "
                            "the guest comes from, and here it is not");
    save(host, "nested=on", uri);
    arrive(host, off);
    smmu_rig_expect_refusal(host, on, 0, "the machine has user-msi=off where "
                            "the guest comes from, and here it is not");
    unlink(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/window/auto", test_auto);
    qtest_add_func("/smmu-nested/window/given", test_given);
    qtest_add_func("/smmu-nested/window/refused", test_refused);
    qtest_add_func("/smmu-nested/window/hot-plug", test_hot_plug);
    qtest_add_func("/smmu-nested/window/migration", test_migration);
    qtest_add_func("/smmu-nested/window/stall", test_stall);
    qtest_add_func("/smmu-nested/window/doorbell", test_doorbell);
    qtest_add_func("/smmu-nested/window/user", test_user);
    qtest_add_func("/smmu-nested/window/user-its", test_user_its);
    qtest_add_func("/smmu-nested/window/user-refused", test_user_refused);
    qtest_add_func("/smmu-nested/window/user-migration", test_user_migration);
    return g_test_run();
}
