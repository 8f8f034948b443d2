/*
 * VT-d nesting: devices that follow what the guest announces
 *
 * A mediated device, one without an iommufd and one behind a bridge to
 * conventional PCI cannot be nested. They have the mappings of second-stage
 * tables, which a guest announces (caching mode), and none where the tables are
 * of the first stage.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "vtd-shadow-rig.h"

#define MDEV(bdf)   "-device vfio-pci,sysfsdev=/sys/bus/pci/devices/" bdf
#define BRIDGE      "-device pcie-pci-bridge,id=br,bus=pcie.0,addr=0x12 "
#define BELOW       "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0," \
                    "bus=br,addr=1 "
#define BRIDGE_RID  0x90

typedef struct Case {
    const char *host;       /* lines of the devices in the model */
    const char *devices;
    const char *why;
    bool bridge;
    uint16_t rid;
    bool container;         /* of VFIO, in place of iommufd= */
} Case;

static const Case mdev = {
    "mdev=on\n", MDEV(HOST_DEV0) ",iommufd=iommufd0,bus=pcie.0,addr=4 ",
    "mediated device", false, RID0
};

/* The bridge's own requester id: devfn 0 of the bus behind it */
static const Case bridge = {
    "", BRIDGE BELOW, "conventional PCI", true, BEHIND(1)
};

static const Case container = {
    "", "-device vfio-pci,host=" HOST_DEV0 ",bus=pcie.0,addr=4 ",
    "it has no iommufd= property", false, RID0, true
};

static char *host_of(const Case *c)
{
    g_autofree char *host = vtd_rig_host(1, "", c->host);

    return g_strconcat(c->container ? "[host]\ncontainer=on\n" : "", host,
                       NULL);
}

typedef struct Follow {
    VtdRig r;
    char *said;
} Follow;

static void start_with(Follow *f, const Case *c, const char *iommu)
{
    g_autofree char *host = host_of(c);
    g_autofree char *extra = NULL;

    f->said = nested_rig_scratch("stderr");
    extra = g_strdup_printf("%s 2>'%s'", c->devices, f->said);
    vtd_rig_start(&f->r, host, iommu, 0, extra);
    if (c->bridge) {
        /* Primary, secondary and subordinate bus */
        vtd_rig_config_write(&f->r, BRIDGE_RID, PCI_PRIMARY_BUS, 0x010100);
    }
    shadow_fill(&f->r, 8);
}

static void stop(Follow *f)
{
    vtd_rig_stop(&f->r);
    nested_rig_scratch_remove(f->said);
    g_free(f->said);
}

static void start(Follow *f, const Case *c)
{
    start_with(f, c, "nested=on");
}

/* The life of mappings; a context entry that goes takes them along */
static void test_legacy(gconstpointer opaque)
{
    const Case *c = opaque;
    VtdRig *r;
    uint64_t ss;
    Follow f;

    start(&f, c);
    r = &f.r;
    g_assert_cmpuint(nested_rig_said(f.said, c->why), ==, 1);
    g_assert_cmpuint(nested_rig_said(f.said, HOST_DEV0 " cannot be nested"),
                     ==, 1);
    vtd_rig_enable_legacy(r);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    ss = vtd_s2_new(&r->mem);
    shadow_map(r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    shadow_legacy(r, c->rid, ss, 4);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    shadow_expect_none(r, HOST_DEV0, IOVA + PAGE);
    shadow_map(r, ss, 4, IOVA + PAGE, 2, 2, VTD_S2_RW);
    shadow_inv(r, VTD_INV_NARROW, IOVA, 2);
    shadow_expect(r, HOST_DEV0, IOVA + PAGE, 2);
    shadow_expect(r, HOST_DEV0, IOVA + 2 * PAGE, 3);
    shadow_unmap(r, ss, 4, IOVA + PAGE, PAGE);
    shadow_inv(r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA + PAGE);
    shadow_unmap(r, ss, 4, IOVA, PAGE);
    shadow_inv(r, VTD_INV_DOMAIN, 0, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    shadow_expect(r, HOST_DEV0, IOVA + 2 * PAGE, 3);
    vtd_context_clear(&r->t, c->rid);
    vtd_rig_inv_context(r, c->rid);
    shadow_expect_none(r, HOST_DEV0, IOVA + 2 * PAGE);
    g_assert_cmpuint(nested_rig_said(f.said, "blocked"), ==, 1);
    stop(&f);
}

/*
 * From one kind of entry to another. The first-stage table, read as one of the
 * second stage, would map the same address: nothing may make that of it.
 */
static void test_scalable(gconstpointer opaque)
{
    const Case *c = opaque;
    VtdRig *r;
    uint64_t ss, s1;
    Follow f;

    start(&f, c);
    r = &f.r;
    vtd_rig_enable(r);
    ss = vtd_s2_new(&r->mem);
    s1 = vtd_rig_s1(r, IOVA, 4);
    shadow_map(r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    vtd_rig_first_stage(r, c->rid, DID, s1);
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    g_assert_cmpuint(nested_rig_said(f.said, "first-stage tables: its DMA is "
                                     "blocked"), ==, 1);
    shadow_pasid(r, c->rid, 0, DID, ss);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    shadow_map(r, ss, 4, IOVA + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect(r, HOST_DEV0, IOVA + PAGE, 2);

    /* Whatever comes, of first-stage tables it makes nothing */
    vtd_rig_first_stage(r, c->rid, DID, s1);
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    shadow_expect_none(r, HOST_DEV0, IOVA + PAGE);
    for (unsigned what = VTD_INV_GLOBAL; what <= VTD_INV_NARROW; what++) {
        shadow_inv(r, what, IOVA, 0);
        vtd_queue_push(&r->q, vtd_inv_context(what, DID, c->rid));
        vtd_queue_push(&r->q, vtd_inv_piotlb_all(DID, 0));
        vtd_queue_push(&r->q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
        vtd_rig_sync(r);
        shadow_expect_none(r, HOST_DEV0, IOVA);
    }

    vtd_rig_pass_through(r, c->rid, DID);
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect(r, HOST_DEV0, DATA + 3 * PAGE, 3);
    shadow_pasid(r, c->rid, 0, DID, ss);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    shadow_expect_none(r, HOST_DEV0, DATA + 3 * PAGE);
    /* The entry of the RID goes, its context entry stays */
    vtd_pasid_clear(&r->t, c->rid, 0);
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    shadow_pasid(r, c->rid, 0, DID, ss);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    vtd_rig_translation(r, false);
    shadow_expect(r, HOST_DEV0, DATA, 0);
    vtd_rig_translation(r, true);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    shadow_expect_none(r, HOST_DEV0, DATA);
    qtest_system_reset(r->qts);
    shadow_expect(r, HOST_DEV0, DATA, 0);
    stop(&f);
}

/* Beside a nested device, in its domain, and plugged while that works */
static void test_beside(void)
{
    g_autofree char *one = vtd_rig_host(1, "", "");
    g_autofree char *host = g_strconcat(one, "[device " HOST_DEV1 "]\n"
                                        "group=7\nmdev=on\n", NULL);
    uint64_t ss;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, VTD_RIG_SLOTS);
    shadow_fill(&r, 4);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, 4);
    vtd_rig_number_slot(&r, 0, 1);
    shadow_legacy(&r, BEHIND(1), ss, 4);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'device_add',"
        "'arguments': { 'driver': 'vfio-pci', 'id': 'hot', 'bus': 'rp0',"
        "'sysfsdev': '/sys/bus/pci/devices/" HOST_DEV1 "',"
        "'iommufd': 'iommufd0' } }");
    vtd_rig_power_slot(&r, 0);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    shadow_expect(&r, HOST_DEV1, IOVA, 1);
    shadow_map(&r, ss, 4, IOVA + PAGE, 2, 1, VTD_S2_RW);
    shadow_inv(&r, VTD_INV_NARROW, IOVA + PAGE, 0);
    shadow_expect(&r, HOST_DEV0, IOVA + PAGE, 2);
    shadow_expect(&r, HOST_DEV1, IOVA + PAGE, 2);
    vtd_rig_unplug(&r, 0, "hot");
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    vtd_rig_stop(&r);
}

/* Plugged where the guest has a first-stage table already */
static void test_plugged(gconstpointer opaque)
{
    const Case *c = opaque;
    Case without = *c;
    QDict *device = qdict_from_jsonf_nofail(
        "{ 'driver': 'vfio-pci', 'bus': %s, 'addr': %s,"
        "  'sysfsdev': '/sys/bus/pci/devices/" HOST_DEV0 "' }",
        c->bridge ? "br" : "rp0", c->bridge ? "1" : "0");
    uint64_t ss;
    VtdRig *r;
    Follow f;

    without.devices = VTD_RIG_SLOTS BRIDGE;
    start(&f, &without);
    r = &f.r;
    if (!c->bridge) {
        vtd_rig_number_slot(r, 0, 2);
    }
    vtd_rig_enable(r);
    vtd_rig_first_stage(r, BEHIND(c->bridge ? 1 : 2), DID,
                        vtd_rig_s1(r, IOVA, 4));
    if (!c->container) {
        qdict_put_str(device, "iommufd", "iommufd0");
    }
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'device_add',"
                             "'arguments': %p }", device);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    g_assert_cmpuint(nested_rig_said(f.said, c->why), ==, 1);
    g_assert_cmpuint(nested_rig_said(f.said, "first-stage tables: its DMA is "
                                     "blocked"), ==, 1);
    ss = vtd_s2_new(&r->mem);
    shadow_map(r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    shadow_pasid(r, BEHIND(c->bridge ? 1 : 2), 0, DID, ss);
    shadow_expect(r, HOST_DEV0, IOVA, 1);
    stop(&f);
}

/*
 * fsts=on and nobody who is nested, as of QEMU 11.1: of first-stage tables
 * nothing is made here either
 */
static void test_by_fsts(void)
{
    VtdRig *r;
    Follow f;

    start_with(&f, &mdev, "scalable-mode=on,fsts=on,caching-mode=on");
    r = &f.r;
    vtd_rig_enable(r);
    vtd_rig_first_stage(r, RID0, DID, vtd_rig_s1(r, IOVA, 4));
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    shadow_inv(r, VTD_INV_GLOBAL, 0, 0);
    shadow_inv(r, VTD_INV_NARROW, IOVA, 0);
    shadow_expect_none(r, HOST_DEV0, IOVA);
    g_assert_cmpuint(nested_rig_said(f.said, "first-stage tables: its DMA is "
                                     "blocked"), ==, 1);
    vtd_rig_pass_through(r, RID0, DID);
    vtd_rig_inv_pasid(r, DID, 0);
    shadow_expect(r, HOST_DEV0, DATA + 3 * PAGE, 3);
    stop(&f);
}

/*
 * The same without an iommufd: what the base would make of such a device needs
 * tables that a guest with fsts=on has not, unless it has them besides
 */
static void test_container_by_fsts(void)
{
    static const char *const lines[] = {
        "scalable-mode=on,fsts=on,ssts=on",
        "scalable-mode=on,fsts=on,ssts=on,caching-mode=on",
    };
    g_autofree char *host = host_of(&container);
    g_autofree char *args = vtd_rig_args("scalable-mode=on,fsts=on", 0,
                                         container.devices);

    nested_rig_expect_refusal(host, args, "fsts=on", HOST_DEV0, container.why,
                              "fsts=off", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        VtdRig *r;
        uint64_t ss;
        Follow f;

        start_with(&f, &container, lines[i]);
        r = &f.r;
        g_assert_cmpuint(nested_rig_said(f.said, container.why), ==, 1);
        vtd_rig_enable(r);
        vtd_rig_first_stage(r, RID0, DID, vtd_rig_s1(r, IOVA, 4));
        vtd_rig_inv_pasid(r, DID, 0);
        shadow_expect_none(r, HOST_DEV0, IOVA);
        ss = vtd_s2_new(&r->mem);
        shadow_map(r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
        shadow_pasid(r, RID0, 0, DID, ss);
        shadow_expect(r, HOST_DEV0, IOVA, 1);
        stop(&f);
    }
}

/* A guest that has first-stage tables only: refused, with the reason */
static void test_refused(gconstpointer opaque)
{
    const Case *c = opaque;
    g_autofree char *host = host_of(c);
    g_autofree char *args = vtd_rig_args("nested=on,ssts=off", 0, c->devices);

    nested_rig_expect_refusal(host, args, HOST_DEV0, c->why, "nested=on", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/follow/mdev/legacy", &mdev, test_legacy);
    qtest_add_data_func("/vtd-nested/follow/mdev/scalable", &mdev,
                        test_scalable);
    qtest_add_data_func("/vtd-nested/follow/mdev/refused", &mdev,
                        test_refused);
    qtest_add_data_func("/vtd-nested/follow/bridge/legacy", &bridge,
                        test_legacy);
    qtest_add_data_func("/vtd-nested/follow/bridge/scalable", &bridge,
                        test_scalable);
    qtest_add_data_func("/vtd-nested/follow/bridge/refused", &bridge,
                        test_refused);
    qtest_add_data_func("/vtd-nested/follow/mdev/plugged", &mdev,
                        test_plugged);
    qtest_add_data_func("/vtd-nested/follow/bridge/plugged", &bridge,
                        test_plugged);
    qtest_add_data_func("/vtd-nested/follow/container/legacy", &container,
                        test_legacy);
    qtest_add_data_func("/vtd-nested/follow/container/scalable", &container,
                        test_scalable);
    qtest_add_data_func("/vtd-nested/follow/container/refused", &container,
                        test_refused);
    qtest_add_data_func("/vtd-nested/follow/container/plugged", &container,
                        test_plugged);
    qtest_add_func("/vtd-nested/follow/container/by-fsts",
                   test_container_by_fsts);
    qtest_add_func("/vtd-nested/follow/beside", test_beside);
    qtest_add_func("/vtd-nested/follow/by-fsts", test_by_fsts);
    return g_test_run();
}
