/*
 * arm-smmuv3 as the SMMU of an emulated host, host-cmdqv=on, or nested with
 * cmdqv=on: what firmware says of it, and its state on another side
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "qemu/bswap.h"
#include "qobject/qdict.h"
#include "nested-rig.h"
#include "smmu-fw.h"
#include "smmu-host-cmdqv.h"

/* --------------------------------------------------------------- migration */

#define MACHINE     "-M virt,iommu=smmuv3 -cpu max -m 256M -nodefaults "
#define CMDQV_ON    "-global arm-smmuv3.host-cmdqv=on"
#define QUEUE       0x41000000ULL

static void migrate(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': %s } }", uri);
    g_assert_true(nested_rig_migrated(qts));
    qtest_quit(qts);
}

static bool incoming(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-incoming', "
                             "'arguments': { 'uri': %s, "
                             "'exit-on-error': false } }", uri);
    return nested_rig_migrated(qts);
}

/* A queue with an error, and one that had one */
static void test_migration(void)
{
    const uint64_t regs[] = {
        CONFIG, STATUS, VINTF_INT_MASK, VINTF_INT_MASK + 4, CMDQ_ALLOC(2),
        CMDQ_ALLOC(3), VINTF(1), VINTF(1) + SID_MATCH(2),
        VINTF(1) + SID_REPLACE(2), VINTF(1) + LVCMDQ_ERR_MAP, VINTF_ERR_MAP,
        VCMDQ(2) + CONS, VCMDQ(2) + PROD, VCMDQ(2) + QSTATUS,
        VCMDQ(2) + GERROR, VCMDQ(2) + GERRORN, VCMDQ(2) + BASE,
        VCMDQ(2) + CONS_INDX_BASE, VCMDQ(3) + CONS, VCMDQ(3) + QCONFIG,
        VCMDQ(3) + GERROR, VCMDQ(3) + GERRORN,
    };
    g_autofree char *file = g_strdup_printf("%s/smmu-cmdqv-%u.state",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    uint32_t value[ARRAY_SIZE(regs)];
    Host h = { .rig.qts = qtest_init(MACHINE CMDQV_ON) };
    QTestState *qts = h.rig.qts;

    wr(&h, CONFIG, 1);
    wr64(&h, VINTF_INT_MASK + 0, 0x500000002);
    wr(&h, CMDQ_ALLOC(2), ALLOC(1, 0));
    wr(&h, CMDQ_ALLOC(3), ALLOC(1, 1));
    wr(&h, VINTF(1) + SID_MATCH(2), 0x123 << 1 | 1);
    wr(&h, VINTF(1) + SID_REPLACE(2), 0x456);
    wr64(&h, VCMDQ(2) + BASE, QUEUE | 4);
    wr64(&h, VCMDQ(2) + CONS_INDX_BASE, 0x1230);
    wr64(&h, VCMDQ(3) + BASE, (QUEUE + 0x1000) | 4);
    qtest_writeq(qts, QUEUE, SMMU_OP_TLBI_NH_ASID);
    qtest_writeq(qts, QUEUE + 16, SMMU_OP_CFGI_STE);
    qtest_writeq(qts, QUEUE + 0x1000, SMMU_OP_CFGI_STE);
    for (unsigned n = 2; n < 4; n++) {
        wr(&h, VCMDQ(n) + QCONFIG, 1);
        wr(&h, VCMDQ(n) + PROD, n == 2 ? 3 : 1);
    }
    wr(&h, VINTF(1), VCONFIG(9, 0));
    while (!rd(&h, VCMDQ(3) + GERROR)) {
        g_usleep(1000);
    }
    qtest_writeq(qts, QUEUE + 0x1000, SMMU_OP_SYNC);
    wr(&h, VCMDQ(3) + GERRORN, 1);
    g_assert_cmphex(rd(&h, VCMDQ(3) + CONS), ==, CERROR_ILL << 24 | 1);
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        value[i] = rd(&h, regs[i]);
        g_test_message("0x%" PRIx64 ": 0x%x", regs[i], value[i]);
    }
    g_assert_cmphex(rd(&h, VCMDQ(2) + CONS), ==, CERROR_ILL << 24 | 1);
    migrate(qts, uri);

    h.rig.qts = qtest_init(MACHINE CMDQV_ON " -incoming defer");
    g_assert_true(incoming(h.rig.qts, uri));
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        g_assert_cmphex(rd(&h, regs[i]), ==, value[i]);
    }
    qtest_writeq(h.rig.qts, QUEUE + 16, SMMU_OP_SYNC);
    qtest_writeq(h.rig.qts, QUEUE + 32, SMMU_OP_SYNC);
    wr(&h, VCMDQ(2) + GERRORN, rd(&h, VCMDQ(2) + GERROR));
    g_assert_cmphex(rd(&h, VCMDQ(2) + CONS), ==, CERROR_ILL << 24 | 3);
    qtest_quit(h.rig.qts);

    /* Other properties, no other side */
    qts = qtest_init(MACHINE "-global arm-smmuv3.host-fwb=on -incoming defer");
    g_assert_false(incoming(qts, uri));
    qtest_quit(qts);
    unlink(file);
}

/* ---------------------------------------------------------------- firmware */

static uint32_t fdt_cell(const void *fdt, int node, const char *prop,
                         unsigned n)
{
    int len;
    const fdt32_t *cells = fdt_getprop(fdt, node, prop, &len);

    g_assert_nonnull(cells);
    g_assert_cmpint(len, >, n * 4);
    return fdt32_to_cpu(cells[n]);
}

/* As tegra_cmdqv_dt_probe() finds it. Returns: where it is */
static uint64_t check_fdt(const void *fdt, uint64_t smmu, uint64_t size,
                          unsigned *spi)
{
    g_autofree char *path = g_strdup_printf("/smmuv3@%" PRIx64, smmu);
    int node = fdt_path_offset(fdt, path), cmdqv;

    g_assert_cmpint(node, >=, 0);
    g_assert_cmpint(fdt_node_check_compatible(fdt, node,
                                              "nvidia,tegra264-smmu"), ==, 0);
    g_assert_cmpint(fdt_node_check_compatible(fdt, node, "arm,smmu-v3"), ==,
                    0);
    cmdqv = fdt_node_offset_by_phandle(fdt, fdt_cell(fdt, node,
                                                     "nvidia,cmdqv", 0));
    g_assert_cmpint(cmdqv, >=, 0);
    g_assert_cmpint(fdt_node_check_compatible(fdt, cmdqv,
                                              "nvidia,tegra264-cmdqv"), ==, 0);
    g_assert_cmphex(fdt_cell(fdt, cmdqv, "reg", 3), ==, size);
    g_assert_cmphex(fdt_cell(fdt, cmdqv, "interrupts", 0), ==, 0);
    *spi = fdt_cell(fdt, cmdqv, "interrupts", 1);
    /* An edge */
    g_assert_cmphex(fdt_cell(fdt, cmdqv, "interrupts", 2), ==, 1);
    return (uint64_t)fdt_cell(fdt, cmdqv, "reg", 0) << 32 |
           fdt_cell(fdt, cmdqv, "reg", 1);
}

/* What follows a name in AML, from @at on */
static const uint8_t *aml_find(const uint8_t *at, const uint8_t *end,
                               const char *name)
{
    const uint8_t *p = memmem(at, end - at, name, strlen(name));

    g_assert_nonnull(p);
    return p + strlen(name);
}

static void check_dsdt(SmmuRig *r, unsigned index, uint32_t id, uint64_t base,
                       uint64_t size, unsigned spi)
{
    g_autofree char *name = g_strdup_printf("CMD%X", index);
    size_t len;
    g_autofree uint8_t *dsdt = smmu_fw_table(r, "DSDT", &len);
    const uint8_t *end = dsdt + len, *p = aml_find(dsdt, end, name), *crs;

    p = aml_find(p, end, "NVDA200C");
    p = aml_find(p, end, "_UID");
    /* ZeroOp, OneOp, BytePrefix */
    g_assert_cmpuint(*p < 2 ? *p : p[1], ==, id);
    p = aml_find(p, end, "_CRS");
    /* Memory32Fixed, then an extended interrupt: edge, active high */
    crs = memmem(p, end - p, "\x86\x09\x00\x01", 4);
    g_assert_nonnull(crs);
    g_assert_cmphex(ldl_le_p(crs + 4), ==, base);
    g_assert_cmphex(ldl_le_p(crs + 8), ==, size);
    g_assert_cmphex(crs[12], ==, 0x89);
    g_assert_cmphex(crs[15] & 0xf, ==, 0x3);
    g_assert_cmphex(ldl_le_p(crs + 17), ==, spi + 32);
}

static void test_firmware(void)
{
    SmmuRig r = { .qts = qtest_init(MACHINE CMDQV_ON) };
    g_autofree void *fdt = smmu_fw_fdt(&r);
    unsigned spi;
    Iort iort;

    g_assert_cmphex(check_fdt(fdt, 0x09050000, CMDQV_SIZE, &spi), ==, CMDQV);
    g_assert_cmpuint(spi, ==, CMDQV_INTID - 32);
    smmu_fw_iort(&r, &iort);
    check_dsdt(&r, 0, smmu_fw_node(&iort, IORT_SMMUV3, 0)->id, CMDQV,
               CMDQV_SIZE, spi);
    qtest_quit(r.qts);
}

/* SMMUs of their own buses: by the order of these, not of the command line */
static void test_firmware_several(void)
{
    SmmuRig r = { .qts = qtest_init("-M virt,gic-version=3 -cpu max -m 256M "
        "-nodefaults -device pxb-pcie,id=p2,bus_nr=0x20,bus=pcie.0 "
        "-device pxb-pcie,id=p1,bus_nr=0x10,bus=pcie.0 "
        "-device arm-smmuv3,primary-bus=p2,host-cmdqv=on "
        "-device arm-smmuv3,primary-bus=p1 "
        "-device arm-smmuv3,primary-bus=pcie.0,host-cmdqv=on") };
    g_autofree void *fdt = smmu_fw_fdt(&r);
    uint64_t base;
    unsigned spi;
    Iort iort;

    smmu_fw_iort(&r, &iort);
    g_assert_cmpuint(smmu_fw_node(&iort, IORT_SMMUV3, 2)->id, ==, 3);
    base = check_fdt(fdt, smmu_fw_node(&iort, IORT_SMMUV3, 0)->base,
                     CMDQV_SIZE, &spi);
    g_assert_cmphex(qtest_readl(r.qts, base + PARAM), ==, 0x4231);
    check_dsdt(&r, 0, smmu_fw_node(&iort, IORT_SMMUV3, 0)->id, base,
               CMDQV_SIZE, spi);
    {
        size_t len;
        g_autofree uint8_t *dsdt = smmu_fw_table(&r, "DSDT", &len);
        const uint8_t *p = aml_find(dsdt, dsdt + len, "CMD2");

        g_assert_null(memmem(dsdt, len, "CMD1", 4));
        p = aml_find(p, dsdt + len, "_UID");
        g_assert_cmpuint(p[1], ==, 3);
        p = memmem(p, dsdt + len - p, "\x86\x09\x00\x01", 4);
        g_assert_nonnull(p);
        base = ldl_le_p(p + 4);
        g_assert_cmphex(qtest_readl(r.qts, base + PARAM), ==, 0x4231);
    }
    qtest_quit(r.qts);
}

/* That of a guest with nesting: with a VINTF of the host, or none */
static void guest(const char *props, const char *iommu, bool there)
{
    g_autofree char *host = smmu_rig_host(1, iommu, "");
    g_autofree void *fdt = NULL;
    uint64_t base;
    unsigned spi;
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, props, 1, "-m 256M");
    fdt = smmu_fw_fdt(&r);
    smmu_fw_iort(&r, &iort);
    if (there) {
        base = check_fdt(fdt, r.where.base, 0x50000, &spi);
        /* The guest maps the window by pages */
        g_assert_cmphex(base & 0xffff, ==, 0);
        g_assert_cmphex(qtest_readl(r.qts, base + PARAM), ==, 0x11);
        check_dsdt(&r, 0, smmu_fw_node(&iort, IORT_SMMUV3, 0)->id, base,
                   0x50000, spi);
    } else {
        size_t len;
        g_autofree uint8_t *dsdt = smmu_fw_table(&r, "DSDT", &len);

        g_assert_null(memmem(dsdt, len, "NVDA200C", 8));
        g_assert_cmpint(fdt_node_offset_by_compatible(
            fdt, -1, "nvidia,tegra264-cmdqv"), <, 0);
    }
    smmu_rig_stop(&r);
}

static void test_firmware_guest(void)
{
    guest("nested=on,cmdqv=on", "cmdqv=on\n", true);
    guest("nested=on,cmdqv=auto", "cmdqv=on\n", true);
    guest("nested=on,cmdqv=auto", "", false);
    guest("nested=on", "cmdqv=on\n", false);
}

/* Without the property nothing tells of it */
static void test_off(void)
{
    SmmuRig r = { .qts = qtest_init(MACHINE) };
    g_autofree void *fdt = smmu_fw_fdt(&r);
    size_t len;
    g_autofree uint8_t *dsdt = smmu_fw_table(&r, "DSDT", &len);
    int node = fdt_path_offset(fdt, "/smmuv3@9050000");

    g_assert_null(fdt_getprop(fdt, node, "nvidia,cmdqv", NULL));
    g_assert_cmpint(fdt_node_check_compatible(fdt, node,
                                              "nvidia,tegra264-smmu"), ==, 1);
    g_assert_null(memmem(dsdt, len, "NVDA200C", 8));
    qtest_quit(r.qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host-cmdqv-fw/migration", test_migration);
    qtest_add_func("/smmu-host-cmdqv-fw/one", test_firmware);
    qtest_add_func("/smmu-host-cmdqv-fw/several", test_firmware_several);
    qtest_add_func("/smmu-host-cmdqv-fw/guest", test_firmware_guest);
    qtest_add_func("/smmu-host-cmdqv-fw/off", test_off);
    return g_test_run();
}
