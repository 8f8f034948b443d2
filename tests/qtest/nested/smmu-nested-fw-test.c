/*
 * SMMUv3 nesting: ACPI tables and device tree
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "smmu-fw.h"

/* The machine's own SMMU, and those of the command line */
#define SMMU_OWN        0x09050000
#define SMMU_DEV(n)     (0x0c000000 + (n) * 0x20000)

#define WINDOW_BASE     0x8000000
#define WINDOW_SIZE     0x100000

#define RMR_FLAGS       (1 | 1 << 2)    /* may be remapped; Device-nGnRE */
#define DSM_NONE        0x00
#define DSM_KEEP        0x21            /* functions 0 and 5 */

#define PCIE            "/pcie@10000000"
#define ECAM            UINT64_C(0x4010000000)
#define SLOT(slot)      ((slot) << 3)
#define SPI_PCIE        3

#define PORT            "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10," \
                        "chassis=1 "
/* An expander bridge with buses from @nr on, in slot 0x10 + @n */
#define PXB(n, nr)      "-device pxb-pcie,id=pxb" #n ",bus=pcie.0," \
                        "addr=0x1" #n ",bus_nr=" #nr " "
/* A port on an expander bridge, which takes nothing else, in slot 1 */
#define PXB_PORT(n)     "-device pcie-root-port,id=port" #n ",bus=pxb" #n "," \
                        "addr=1,chassis=3" #n " "
#define SMMU(n, props)  "-device arm-smmuv3,primary-bus=pxb" #n "," props " "

/* A root bus from @bus on, @buses of them, that the SMMU at @base has */
static const IortNode *expect_root(const Iort *iort, uint64_t base,
                                   unsigned bus, unsigned buses)
{
    const IortNode *rc = smmu_fw_node(iort, IORT_RC, 0);
    const IortNode *smmu;

    g_assert_null(smmu_fw_node(iort, IORT_RC, 1));
    for (unsigned i = 0; (smmu = smmu_fw_node(iort, IORT_SMMUV3, i)); i++) {
        if (smmu->base == base) {
            break;
        }
    }
    g_assert_nonnull(smmu);
    for (unsigned i = 0; i < rc->num_mappings; i++) {
        if (rc->mapping[i].in == bus << 8 &&
            rc->mapping[i].num == buses << 8 &&
            rc->mapping[i].ref == smmu->offset) {
            return smmu;
        }
    }
    g_assert_not_reached();
}

/* RMR node number @index is that of the root bus */
static void expect_rmr(const Iort *iort, unsigned index, uint64_t base,
                       unsigned bus, unsigned buses)
{
    const IortNode *smmu = expect_root(iort, base, bus, buses);
    const IortNode *rmr = smmu_fw_node(iort, IORT_RMR, index);

    /* Linux looks at RMR nodes only from this revision of the table on */
    g_assert_cmpuint(iort->revision, ==, 5);
    g_assert_nonnull(rmr);
    g_assert_cmpuint(rmr->revision, ==, 3);
    g_assert_cmphex(rmr->flags, ==, RMR_FLAGS);
    g_assert_cmphex(rmr->range_base, ==, WINDOW_BASE);
    g_assert_cmphex(rmr->range_size, ==, WINDOW_SIZE);
    g_assert_cmpuint(rmr->num_mappings, ==, 1);
    g_assert_cmphex(rmr->mapping[0].in, ==, bus << 8);
    g_assert_cmphex(rmr->mapping[0].out, ==, bus << 8);
    g_assert_cmphex(rmr->mapping[0].num, ==, buses << 8);
    g_assert_cmphex(rmr->mapping[0].ref, ==, smmu->offset);
    g_assert_cmphex(rmr->mapping[0].flags, ==, 0);
}

static void expect_no_rmr(const Iort *iort)
{
    g_assert_null(smmu_fw_node(iort, IORT_RMR, 0));
    g_assert_cmpuint(iort->revision, ==, 3);
}

static void expect_ats(const Iort *iort, bool ats)
{
    g_assert_cmphex(smmu_fw_node(iort, IORT_RC, 0)->ats, ==, ats);
}

static void expect_dsm(SmmuRig *r, const char *bridge, uint8_t functions)
{
    uint8_t found;

    g_assert_cmpint(smmu_fw_dsm(r, bridge, &found), ==,
                    functions == DSM_KEEP);
    g_assert_cmphex(found, ==, functions);
}

static int pcie(const void *fdt)
{
    int node = fdt_path_offset(fdt, PCIE);

    g_assert_cmpint(node, >=, 0);
    return node;
}

static void expect_fdt_ats(const void *fdt, bool ats)
{
    g_assert_cmpint(!!fdt_getprop(fdt, pcie(fdt), "ats-supported", NULL), ==,
                    ats);
}

static void expect_fdt_window(const void *fdt, int node)
{
    uint64_t base, size;

    g_assert_true(smmu_fw_fdt_window(fdt, node, &base, &size));
    g_assert_cmphex(base, ==, WINDOW_BASE);
    g_assert_cmphex(size, ==, WINDOW_SIZE);
}

/* Nothing at all that is there for nesting only */
static void expect_fdt_nothing(SmmuRig *r)
{
    g_autofree void *fdt = smmu_fw_fdt(r);

    expect_fdt_ats(fdt, false);
    g_assert_cmpint(fdt_path_offset(fdt, "/reserved-memory"), <, 0);
    g_assert_cmpint(fdt_first_subnode(fdt, pcie(fdt)), <, 0);
}

static void expect_nothing(SmmuRig *r)
{
    Iort iort;

    smmu_fw_iort(r, &iort);
    expect_no_rmr(&iort);
    expect_ats(&iort, false);
    expect_dsm(r, "PCI0", DSM_NONE);
    expect_fdt_nothing(r);
}

/* An SMMU without nesting is told of as it always was */
static void test_plain(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=off", 0, PORT);
    smmu_fw_iort(&r, &iort);
    expect_root(&iort, SMMU_DEV(0), 0, 1);
    expect_nothing(&r);
    smmu_rig_stop(&r);
}

/* nested=auto and no device to nest, or one: known before tables are made */
static void test_auto(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree void *fdt = NULL;
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=auto", 0, PORT);
    expect_nothing(&r);
    smmu_rig_stop(&r);
    smmu_rig_start(&r, host, NULL, 0,
                   PORT "-global arm-smmuv3.nested=auto ");
    expect_nothing(&r);
    smmu_rig_stop(&r);

    smmu_rig_start(&r, host, NULL, 1, "-global arm-smmuv3.nested=auto ");
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_OWN, 0, 1);
    expect_ats(&iort, true);
    fdt = smmu_fw_fdt(&r);
    expect_fdt_ats(fdt, true);
    expect_fdt_window(fdt, smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(4)));
    smmu_rig_stop(&r);
}

static void test_one(void)
{
    SmmuRig r;
    Iort iort;

    smmu_rig_start_simple(&r, 1);
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 0, 1);
    g_assert_null(smmu_fw_node(&iort, IORT_RMR, 1));
    expect_ats(&iort, true);
    expect_dsm(&r, "PCI0", DSM_KEEP);
    smmu_rig_stop(&r);
}

/* The guest numbers its buses before it reads the tables */
static void test_bus_numbers(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=on", 0, PORT);
    smmu_rig_number(&r, 0x10, 5);
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 0, 6);
    smmu_rig_stop(&r);
}

static void expect_ats_both(const char *host, const char *props, bool ats)
{
    g_autofree void *fdt = NULL;
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, props, 1, "");
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 0, 1);
    expect_ats(&iort, ats);
    fdt = smmu_fw_fdt(&r);
    expect_fdt_ats(fdt, ats);
    /* The window has nothing to do with it */
    expect_fdt_window(fdt, smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(4)));
    smmu_rig_stop(&r);
}

/* The tables say of ATS what was frozen: IDR0.ATS */
static void test_ats(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree char *poor = smmu_rig_host(1, "", "ats=off\n");

    expect_ats_both(host, "nested=on", true);
    expect_ats_both(host, "nested=on,ats=on", true);
    expect_ats_both(host, "nested=on,ats=off", false);
    expect_ats_both(poor, "nested=on", false);
}

/* An emulated host, without nesting: ATS is all there is to say */
static void test_host_ats(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree void *fdt = NULL;
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=off,stage=nested,host-ats=on", 0, PORT);
    smmu_fw_iort(&r, &iort);
    expect_no_rmr(&iort);
    expect_ats(&iort, true);
    expect_dsm(&r, "PCI0", DSM_NONE);
    fdt = smmu_fw_fdt(&r);
    expect_fdt_ats(fdt, true);
    g_assert_cmpint(fdt_path_offset(fdt, "/reserved-memory"), <, 0);
    smmu_rig_stop(&r);
}

/* The machine's own SMMU has all root buses but those that bypass it */
static void test_own(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, NULL, 1,
                   PXB(1, 64) "-device pxb-pcie,id=pxb2,bus=pcie.0,bus_nr=96,"
                   "bypass_iommu=on ");
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_OWN, 0, 1);
    expect_rmr(&iort, 1, SMMU_OWN, 64, 1);
    g_assert_null(smmu_fw_node(&iort, IORT_RMR, 2));
    expect_dsm(&r, "PCI0", DSM_KEEP);
    expect_dsm(&r, "PC40", DSM_KEEP);
    expect_dsm(&r, "PC60", DSM_NONE);
    smmu_rig_stop(&r);
}

/* Four root buses: two SMMUs that nest, one that does not, none */
static void start_several(SmmuRig *r, const char *extra)
{
    static const char host[] =
        "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n"
        "[device " HOST_DEV0 "]\niommu=0\ngroup=1\nats=off\n"
        "[device " HOST_DEV1 "]\niommu=1\ngroup=2\n";
    g_autofree char *args = g_strdup_printf(
        PXB(3, 128) PXB(2, 96) PXB(1, 64)
        SMMU(1, "nested=off") SMMU(2, "accel=on") PXB_PORT(1) PXB_PORT(2)
        "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,bus=port2 "
        "%s", extra);

    smmu_rig_start(r, host, "nested=on", 1, args);
    smmu_rig_number_at(r, 64 << 8 | SLOT(1), 65);
    smmu_rig_number_at(r, 96 << 8 | SLOT(1), 99);
}

static void test_several(void)
{
    g_autofree void *fdt = NULL;
    SmmuRig r;
    Iort iort;

    start_several(&r, "");
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 0, 1);
    expect_root(&iort, SMMU_DEV(1), 64, 2);
    expect_rmr(&iort, 1, SMMU_DEV(2), 96, 4);
    g_assert_null(smmu_fw_node(&iort, IORT_RMR, 2));
    expect_dsm(&r, "PCI0", DSM_KEEP);
    expect_dsm(&r, "PC40", DSM_NONE);
    expect_dsm(&r, "PC60", DSM_KEEP);
    expect_dsm(&r, "PC80", DSM_NONE);
    /* One node for all root buses; SMMUs have it in IDR0.ATS */
    expect_ats(&iort, true);
    fdt = smmu_fw_fdt(&r);
    expect_fdt_ats(fdt, false);
    expect_fdt_window(fdt, smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(4)));
    smmu_rig_stop(&r);
}

/* msi-window=off: nothing is reserved; ATS is another matter */
static void test_no_window(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree void *fdt = NULL;
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=on,msi-window=off", 1, PORT);
    smmu_fw_iort(&r, &iort);
    expect_no_rmr(&iort);
    expect_ats(&iort, true);
    expect_dsm(&r, "PCI0", DSM_NONE);
    fdt = smmu_fw_fdt(&r);
    expect_fdt_ats(fdt, true);
    g_assert_cmpint(fdt_path_offset(fdt, "/reserved-memory"), <, 0);
    g_assert_cmpint(fdt_first_subnode(fdt, pcie(fdt)), <, 0);
    smmu_rig_stop(&r);
}

static int function(const void *fdt, int parent, unsigned devfn)
{
    int node = smmu_fw_fdt_function(fdt, parent, devfn);

    g_assert_cmpint(node, >=, 0);
    return node;
}

/* Pins of all slots behind @bridge; slots on the way add up to @swizzle */
static void expect_irq_map(const void *fdt, int bridge, unsigned swizzle)
{
    g_assert_cmpstr(fdt_getprop(fdt, bridge, "device_type", NULL), ==, "pci");
    for (unsigned slot = 0; slot < 8; slot++) {
        for (unsigned pin = 1; pin <= 4; pin++) {
            g_assert_cmpint(smmu_fw_fdt_irq(fdt, bridge, slot, pin), ==,
                            SPI_PCIE + (pin - 1 + slot + swizzle) % 4);
        }
    }
}

/* Functions that have a window, and the bridges on the way to them */
static void test_fdt_functions(void)
{
    static const char extra[] = PORT
        /* A switch with an assigned device, and one slot that is taken */
        "-device pcie-root-port,id=rp1,bus=pcie.0,addr=0x11,chassis=2 "
        "-device x3130-upstream,id=up,bus=rp1 "
        "-device xio3130-downstream,id=dn0,bus=up,addr=1,chassis=3 "
        "-device xio3130-downstream,id=dn1,bus=up,addr=2,chassis=4 "
        "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,bus=dn0 "
        "-device virtio-rng-pci,bus=dn1 "
        /* Not for assigned devices, and never will be */
        "-device virtio-rng-pci,bus=pcie.0,addr=8 "
        "-device pcie-root-port,id=rp2,bus=pcie.0,addr=0x12,chassis=5,"
        "hotplug=off "
        "-device pcie-root-port,id=rp3,bus=pcie.0,addr=0x13,chassis=6 "
        "-device virtio-rng-pci,bus=rp3 ";
    g_autofree char *host = smmu_rig_host(2, "", "");
    g_autofree void *fdt = NULL;
    int bus, region;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, extra);
    fdt = smmu_fw_fdt(&r);
    region = fdt_path_offset(fdt, "/reserved-memory/msi@8000000");
    g_assert_cmpint(region, >=, 0);
    g_assert_nonnull(fdt_getprop(fdt, region, "no-map", NULL));
    g_assert_cmpint(fdt_address_cells(fdt, fdt_parent_offset(fdt, region)),
                    ==, 2);
    g_assert_nonnull(fdt_getprop(fdt, fdt_parent_offset(fdt, region), "ranges",
                                 NULL));

    expect_fdt_window(fdt, function(fdt, pcie(fdt), SLOT(4)));
    /* An empty slot: any function may come */
    bus = function(fdt, pcie(fdt), SLOT(0x10));
    expect_irq_map(fdt, bus, 0x10);
    for (unsigned i = 0; i < 8; i++) {
        expect_fdt_window(fdt, function(fdt, bus, i));
    }
    g_assert_cmpint(smmu_fw_fdt_function(fdt, bus, SLOT(1)), <, 0);

    bus = function(fdt, pcie(fdt), SLOT(0x11));
    expect_irq_map(fdt, bus, 0x11);
    bus = function(fdt, bus, SLOT(0));
    expect_irq_map(fdt, bus, 0x11);
    g_assert_cmpint(smmu_fw_fdt_function(fdt, bus, SLOT(2)), <, 0);
    bus = function(fdt, bus, SLOT(1));
    expect_irq_map(fdt, bus, 0x12);
    expect_fdt_window(fdt, function(fdt, bus, SLOT(0)));
    g_assert_cmpint(smmu_fw_fdt_function(fdt, bus, 1), <, 0);

    g_assert_cmpint(smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(8)), <, 0);
    g_assert_cmpint(smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(0x12)), <, 0);
    g_assert_cmpint(smmu_fw_fdt_function(fdt, pcie(fdt), SLOT(0x13)), <, 0);
    smmu_rig_stop(&r);
}

static uint64_t cells(const void *fdt, int node, const char *name,
                      unsigned at, unsigned num)
{
    int len;
    const fdt32_t *cell = fdt_getprop(fdt, node, name, &len);

    g_assert_nonnull(cell);
    g_assert_cmpint((at + num) * 4, <=, len);
    return num == 2 ? fdt64_ld((const fdt64_t *)(cell + at)) :
                      fdt32_ld(cell + at);
}

/* A host bridge with its share of buses; SMMU at @smmu, 0: none */
static int expect_host_bridge(const void *fdt, unsigned first, unsigned last,
                              uint64_t smmu)
{
    uint64_t ecam = ECAM + ((uint64_t)first << 20);
    g_autofree char *path = g_strdup_printf("/pcie@%" PRIx64, ecam);
    int node = first ? fdt_path_offset(fdt, path) : pcie(fdt);
    uint32_t rid = first << 8, rids = (last - first + 1) << 8;

    g_assert_cmpint(node, >=, 0);
    g_assert_cmpint(fdt_node_check_compatible(fdt, node,
                                              "pci-host-ecam-generic"), ==, 0);
    g_assert_cmpuint(cells(fdt, node, "bus-range", 0, 1), ==, first);
    g_assert_cmpuint(cells(fdt, node, "bus-range", 1, 1), ==, last);
    g_assert_cmphex(cells(fdt, node, "reg", 0, 2), ==, ecam);
    g_assert_cmphex(cells(fdt, node, "reg", 2, 2), ==, (uint64_t)rids << 12);
    g_assert_cmphex(cells(fdt, node, "msi-map", 0, 1), ==, rid);
    g_assert_cmphex(cells(fdt, node, "msi-map", 2, 1), ==, rid);
    g_assert_cmphex(cells(fdt, node, "msi-map", 3, 1), >=, rids);
    if (smmu) {
        uint32_t phandle = cells(fdt, node, "iommu-map", 1, 1);
        int found = fdt_node_offset_by_phandle(fdt, phandle);

        g_assert_cmpint(fdt_node_check_compatible(fdt, found, "arm,smmu-v3"),
                        ==, 0);
        g_assert_cmphex(cells(fdt, found, "reg", 0, 2), ==, smmu);
        g_assert_cmphex(cells(fdt, node, "iommu-map", 0, 1), ==, rid);
        g_assert_cmphex(cells(fdt, node, "iommu-map", 2, 1), ==, rid);
        g_assert_cmphex(cells(fdt, node, "iommu-map", 3, 1), >=, rids);
    } else {
        g_assert_null(fdt_getprop(fdt, node, "iommu-map", NULL));
    }
    expect_irq_map(fdt, node, 0);
    return node;
}

/* I/O, 32-bit and 64-bit windows: within the machine's, of nobody else's */
static void expect_windows(const void *fdt, const int *nodes, unsigned num)
{
    static const uint64_t window[3][2] = {
        { 0x3eff0000, 0x10000 }, { 0x10000000, 0x2eff0000 },
        { 0x8000000000, 0x8000000000 },
    };
    uint64_t base[4][3], size[4][3];

    g_assert_cmpuint(num, <=, 4);
    for (unsigned i = 0; i < num; i++) {
        for (unsigned w = 0; w < 3; w++) {
            base[i][w] = cells(fdt, nodes[i], "ranges", w * 7 + 3, 2);
            size[i][w] = cells(fdt, nodes[i], "ranges", w * 7 + 5, 2);
            g_assert_cmphex(cells(fdt, nodes[i], "ranges", w * 7 + 1, 2), ==,
                            w ? base[i][w] : base[i][w] - window[0][0]);
            g_assert_cmphex(size[i][w], >, 0);
            g_assert_cmphex(base[i][w], >=, window[w][0]);
            g_assert_cmphex(base[i][w] + size[i][w], <=,
                            window[w][0] + window[w][1]);
            for (unsigned j = 0; j < i; j++) {
                g_assert_true(base[i][w] + size[i][w] <= base[j][w] ||
                              base[j][w] + size[j][w] <= base[i][w]);
            }
        }
    }
}

static unsigned num_host_bridges(const void *fdt)
{
    unsigned num = 0;
    int node = -1;

    while ((node = fdt_node_offset_by_compatible(
                fdt, node, "pci-host-ecam-generic")) >= 0) {
        num++;
    }
    return num;
}

/* Without firmware a guest finds expander bridges by the tree only */
static void test_fdt_several(void)
{
    g_autofree void *fdt = NULL;
    int node[4], bus, region, len;
    SmmuRig r;

    start_several(&r, "");
    fdt = smmu_fw_fdt(&r);
    g_assert_cmpuint(num_host_bridges(fdt), ==, 4);
    node[0] = expect_host_bridge(fdt, 0, 63, SMMU_DEV(0));
    node[1] = expect_host_bridge(fdt, 64, 95, SMMU_DEV(1));
    node[2] = expect_host_bridge(fdt, 96, 127, SMMU_DEV(2));
    node[3] = expect_host_bridge(fdt, 128, 255, 0);
    expect_windows(fdt, node, 4);
    for (unsigned i = 0; i < 4; i++) {
        /* Linux takes no two with the same */
        g_assert_cmpuint(cells(fdt, node[i], "linux,pci-domain", 0, 1), ==, i);
        g_assert_cmpint(!!fdt_getprop(fdt, node[i], "ats-supported", NULL),
                        ==, i == 2);
    }
    expect_fdt_window(fdt, function(fdt, node[0], SLOT(4)));
    bus = function(fdt, node[2], SLOT(1));
    expect_irq_map(fdt, bus, 1);
    expect_fdt_window(fdt, function(fdt, bus, SLOT(0)));
    /* The number of a root bus is fixed, others are not */
    g_assert_cmphex(cells(fdt, bus, "reg", 0, 1), ==, 96 << 16 | SLOT(1) << 8);
    g_assert_cmphex(cells(fdt, function(fdt, bus, SLOT(0)), "reg", 0, 1), ==,
                    0);
    g_assert_cmpint(fdt_first_subnode(fdt, node[1]), <, 0);
    g_assert_cmpint(fdt_first_subnode(fdt, node[3]), <, 0);
    /* One range for both of them */
    region = fdt_path_offset(fdt, "/reserved-memory/msi@8000000");
    g_assert_cmpint(fdt_next_subnode(fdt, region), <, 0);
    fdt_getprop(fdt, region, "iommu-addresses", &len);
    g_assert_cmpint(len, ==, 2 * 24);
    smmu_rig_stop(&r);
}

/* The machine's own SMMU, on buses of expander bridges as well */
static void test_fdt_own(void)
{
    g_autofree char *host = smmu_rig_host(2, "", "");
    g_autofree void *fdt = NULL;
    SmmuRig r;
    int node;

    smmu_rig_start(&r, host, NULL, 1, PXB(1, 64) PXB_PORT(1)
                   "-device vfio-pci,host=" HOST_DEV1 ",iommufd=iommufd0,"
                   "bus=port1 ");
    fdt = smmu_fw_fdt(&r);
    expect_host_bridge(fdt, 0, 63, SMMU_OWN);
    node = expect_host_bridge(fdt, 64, 255, SMMU_OWN);
    expect_fdt_window(fdt, function(fdt, function(fdt, node, SLOT(1)),
                                    SLOT(0)));
    smmu_rig_stop(&r);
}

/* Another kind of IOMMU, or none, for the machine's own root bus */
static void beside(const char *other, bool virtio)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r = { .m = iommufd_model_new(host) };
    g_autofree void *fdt = NULL;
    int node;
    Iort iort;

    r.qts = iommufd_model_start(r.m, "-machine virt,gic-version=3 -cpu max "
                                "-m 128M -nodefaults "
                                "-object iommufd,id=iommufd0 " PXB(1, 64)
                                SMMU(1, "nested=on") PXB_PORT(1) "%s "
                                "-device vfio-pci,host=" HOST_DEV0
                                ",iommufd=iommufd0,bus=port1", other);
    smmu_rig_number_at(&r, 64 << 8 | SLOT(1), 65);
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 64, 2);
    g_assert_null(smmu_fw_node(&iort, IORT_RMR, 1));
    expect_dsm(&r, "PCI0", DSM_NONE);
    expect_dsm(&r, "PC40", DSM_KEEP);
    fdt = smmu_fw_fdt(&r);
    node = expect_host_bridge(fdt, 64, 255, SMMU_DEV(0));
    expect_fdt_window(fdt, function(fdt, function(fdt, node, SLOT(1)),
                                    SLOT(0)));
    expect_fdt_ats(fdt, false);
    if (virtio) {
        node = fdt_node_offset_by_phandle(fdt, cells(fdt, pcie(fdt),
                                                     "iommu-map", 1, 1));
        g_assert_cmpint(fdt_node_check_compatible(fdt, node,
                                                  "virtio,pci-iommu"), ==, 0);
    } else {
        g_assert_null(fdt_getprop(fdt, pcie(fdt), "iommu-map", NULL));
    }
    smmu_rig_stop(&r);
}

static void test_beside(void)
{
    beside("", false);
    beside("-device virtio-iommu-pci,bus=pcie.0,addr=2", true);
}

/* With firmware, and without a nested SMMU, the tree has the one it had */
static void test_fdt_as_it_was(void)
{
    g_autofree char *bios = g_strdup_printf("%s/smmu-bios-%d", g_get_tmp_dir(),
                                            getpid());
    g_autofree char *args = g_strdup_printf("-bios %s ", bios);
    g_autofree char *host = smmu_rig_host(1, "", "");
    g_autofree void *fdt = NULL;
    SmmuRig r;

    g_assert_true(g_file_set_contents(bios, "none", 4, NULL));
    start_several(&r, args);
    fdt = smmu_fw_fdt(&r);
    g_assert_cmpuint(num_host_bridges(fdt), ==, 1);
    g_assert_cmpuint(cells(fdt, pcie(fdt), "bus-range", 1, 1), ==, 255);
    expect_fdt_window(fdt, function(fdt, pcie(fdt), SLOT(4)));
    smmu_rig_stop(&r);
    unlink(bios);

    g_free(fdt);
    smmu_rig_start(&r, host, "nested=on", 1, PXB(1, 64)
                   SMMU(1, "nested=off"));
    fdt = smmu_fw_fdt(&r);
    g_assert_cmpuint(num_host_bridges(fdt), ==, 1);
    g_assert_cmphex(cells(fdt, pcie(fdt), "reg", 2, 2), ==, 256 << 20);
    smmu_rig_stop(&r);
}

/* No device, no slot for one: nothing to be reserved for */
static void test_fdt_none(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;
    Iort iort;

    smmu_rig_start(&r, host, "nested=on", 0, "");
    expect_fdt_nothing(&r);
    smmu_fw_iort(&r, &iort);
    expect_rmr(&iort, 0, SMMU_DEV(0), 0, 1);
    expect_ats(&iort, false);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/fw/plain", test_plain);
    qtest_add_func("/smmu-nested/fw/auto", test_auto);
    qtest_add_func("/smmu-nested/fw/one", test_one);
    qtest_add_func("/smmu-nested/fw/bus-numbers", test_bus_numbers);
    qtest_add_func("/smmu-nested/fw/ats", test_ats);
    qtest_add_func("/smmu-nested/fw/host-ats", test_host_ats);
    qtest_add_func("/smmu-nested/fw/own", test_own);
    qtest_add_func("/smmu-nested/fw/several", test_several);
    qtest_add_func("/smmu-nested/fw/no-window", test_no_window);
    qtest_add_func("/smmu-nested/fw/fdt-functions", test_fdt_functions);
    qtest_add_func("/smmu-nested/fw/fdt-none", test_fdt_none);
    qtest_add_func("/smmu-nested/fw/fdt-several", test_fdt_several);
    qtest_add_func("/smmu-nested/fw/fdt-own", test_fdt_own);
    qtest_add_func("/smmu-nested/fw/beside", test_beside);
    qtest_add_func("/smmu-nested/fw/fdt-as-it-was", test_fdt_as_it_was);
    return g_test_run();
}
