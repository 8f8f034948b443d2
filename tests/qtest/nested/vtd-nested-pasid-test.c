/*
 * VT-d nesting: PASIDs, and the capabilities of a device that go with them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-rig.h"

#define IOVA 0x4000000000ULL
#define FR_PASID_INVALID        0x5b

static IommufdDma with(uint32_t pasid)
{
    return (IommufdDma) { .with_pasid = true, .pasid = pasid };
}

static void start(VtdRig *r, unsigned devices)
{
    vtd_rig_start_simple(r, devices);
    vtd_rig_enable(r);
    for (unsigned i = 0; i < devices; i++) {
        uint16_t rid = RID0 + i * 8;

        vtd_rig_enable_sva(r, rid);
        vtd_context_scalable(&r->t, rid, 12,
                             VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE, 0);
        vtd_rig_inv_context(r, rid);
    }
}

static void set_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint16_t did,
                      uint64_t s1)
{
    vtd_pasid_set(&r->t, rid, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

static void bind_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint16_t did,
                       uint64_t s1)
{
    set_pasid(r, rid, pasid, did, s1);
    vtd_rig_inv_pasid(r, did, pasid);
}

static void expect(VtdRig *r, const char *dev, uint32_t pasid, int value)
{
    IommufdDma how = with(pasid);

    g_assert_cmpint(vtd_rig_peek(r, dev, &how, IOVA), ==, value);
}

static void test_bind(void)
{
    uint64_t s1;
    VtdRig r;

    start(&r, 1);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    s1 = vtd_rig_s1(&r, IOVA, 1);
    expect(&r, HOST_DEV0, 7, -1);
    bind_pasid(&r, RID0, 7, 5, s1);
    expect(&r, HOST_DEV0, 7, 0x11);
    expect(&r, HOST_DEV0, 8, -1);
    /* The RID has no entry of its own */
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);

    /* Its invalidations are its own */
    vtd_s1_map(&r.mem, s1, 4, IOVA, DATA + 2 * 4096, 4096, 12,
               VTD_S1_USER_RW);
    vtd_queue_push(&r.q, vtd_inv_piotlb_all(5, 0));
    vtd_rig_sync(&r);
    expect(&r, HOST_DEV0, 7, 0x11);
    vtd_queue_push(&r.q, vtd_inv_piotlb(5, 7, IOVA, 0, true));
    vtd_rig_sync(&r);
    expect(&r, HOST_DEV0, 7, 0x22);

    /* Replaced, then gone */
    bind_pasid(&r, RID0, 7, 5, vtd_rig_s1(&r, IOVA, 1));
    expect(&r, HOST_DEV0, 7, 0x11);
    vtd_pasid_clear(&r.t, RID0, 7);
    vtd_rig_inv_pasid(&r, 5, 7);
    expect(&r, HOST_DEV0, 7, -1);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_stop(&r);
}

/*
 * A table that the host refuses when it has torn the old one down, which still
 * counts as attached there, or before. The guest goes back to the old one.
 */
static void test_refused(gconstpointer opaque)
{
    uint64_t old, new;
    VtdRig r;

    start(&r, 1);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_rig_fill(&r, 2, 0x22);
    old = vtd_rig_s1(&r, IOVA, 1);
    new = vtd_rig_s1(&r, IOVA, 2);
    bind_pasid(&r, RID0, 7, 5, old);
    bind_pasid(&r, RID0, 8, 5, old);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"ATTACH_IOMMUFD_PT:1:"
                     "errno=ENOMEM%s\"}", (const char *)opaque);
    set_pasid(&r, RID0, 7, 5, new);
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_PASID, 5, 7));
    g_assert_false(vtd_queue_sync(&r.q, &r.regs));
    expect(&r, HOST_DEV0, 7, -1);
    expect(&r, HOST_DEV0, 8, 0x11);
    set_pasid(&r, RID0, 7, 5, old);
    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    vtd_rig_inv_pasid(&r, 5, 7);
    expect(&r, HOST_DEV0, 7, 0x11);
    bind_pasid(&r, RID0, 7, 5, new);
    expect(&r, HOST_DEV0, 7, 0x22);
    vtd_rig_stop(&r);
}

/*
 * All HWPTs that the guest may have are in use: the next is told, and comes
 * when there is one again. What is shared costs nothing.
 */
static void test_bound(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    uint32_t ticket;
    uint64_t s1[4];
    uint16_t sid;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,max-hwpts=3", 1, extra);
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    vtd_context_scalable(&r.t, RID0, 12, VTD_CTX_PASIDE, 0);
    vtd_rig_inv_context(&r, RID0);
    for (unsigned i = 0; i < 4; i++) {
        vtd_rig_fill(&r, i, 0x11 * (i + 1));
        s1[i] = vtd_rig_s1(&r, IOVA, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        bind_pasid(&r, RID0, 7 + i, 5, s1[i]);
        bind_pasid(&r, RID0, 17 + i, 5, s1[i]);
    }
    /* And the parent */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 4);

    set_pasid(&r, RID0, 10, 5, s1[3]);
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_PASID, 5, 10));
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    g_assert_false(vtd_queue_done(&r.q, ticket));
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, !=, 0);
    g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, FR_PASID_INVALID);
    g_assert_cmphex(sid, ==, RID0);
    expect(&r, HOST_DEV0, 10, -1);
    for (unsigned i = 0; i < 3; i++) {
        expect(&r, HOST_DEV0, 7 + i, 0x11 * (i + 1));
        expect(&r, HOST_DEV0, 17 + i, 0x11 * (i + 1));
    }
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 4);

    /* Not one that is shared, but the last user of one */
    vtd_pasid_clear(&r.t, RID0, 8);
    vtd_pasid_clear(&r.t, RID0, 18);
    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    g_assert_true(vtd_queue_done(&r.q, ticket));
    expect(&r, HOST_DEV0, 8, -1);
    expect(&r, HOST_DEV0, 10, 0x44);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 4);
    vtd_rig_stop(&r);
    /* What has more */
    g_assert_cmpuint(nested_rig_said(said, "all 3 HWPTs"), >=, 1);
    g_assert_cmpuint(nested_rig_said(said, "max-hwpts"), >=, 1);
    nested_rig_scratch_remove(said);
}

/* The guest has been promised fewer PASIDs than host and device have */
static void test_narrow(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    unsigned cap;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,pasid-bits=8", 1, "");
    vtd_rig_enable(&r);
    vtd_rig_enable_sva(&r, RID0);
    cap = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
    g_assert_cmpuint(vtd_rig_config_read(&r, RID0, cap + 4) >> 8 & 0x1f, ==,
                     8);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_context_scalable(&r.t, RID0, 12, VTD_CTX_PASIDE, 0);
    vtd_rig_inv_context(&r, RID0);
    for (unsigned pasid = 255; pasid <= 256; pasid++) {
        bind_pasid(&r, RID0, pasid, 5, vtd_rig_s1(&r, IOVA, 1));
    }
    expect(&r, HOST_DEV0, 255, 0x11);
    expect(&r, HOST_DEV0, 256, -1);
    vtd_rig_inv_context(&r, RID0);
    expect(&r, HOST_DEV0, 256, -1);
    vtd_rig_stop(&r);
}

/* Bind and unbind: one attach and one detach on the host */
static void test_cost(void)
{
    uint64_t attach, detach, alloc;
    VtdRig r;

    start(&r, 1);
    attach = iommufd_model_counter(r.m, "ATTACH_IOMMUFD_PT", "calls");
    detach = iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls");
    alloc = iommufd_model_counter(r.m, "HWPT_ALLOC", "calls");
    bind_pasid(&r, RID0, 7, 5, vtd_rig_s1(&r, IOVA, 1));
    vtd_pasid_clear(&r.t, RID0, 7);
    vtd_rig_inv_pasid(&r, 5, 7);
    g_assert_cmpuint(iommufd_model_counter(r.m, "ATTACH_IOMMUFD_PT", "calls"),
                     ==, attach + 1);
    g_assert_cmpuint(iommufd_model_counter(r.m, "DETACH_IOMMUFD_PT", "calls"),
                     ==, detach + 1);
    g_assert_cmpuint(iommufd_model_counter(r.m, "HWPT_ALLOC", "calls"), ==,
                     alloc + 1);
    vtd_rig_stop(&r);
}

/* One process on four devices: one HWPT, one entry for an invalidation */
static void test_shared(void)
{
    static const char *const devs[] = {
        HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
    };
    uint64_t s1, entries;
    VtdRig r;

    start(&r, 4);
    vtd_rig_fill(&r, 1, 0x11);
    s1 = vtd_rig_s1(&r, IOVA, 1);
    for (unsigned i = 0; i < 4; i++) {
        bind_pasid(&r, RID0 + i * 8, 9, 5, s1);
        expect(&r, devs[i], 9, 0x11);
    }
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 2);
    entries = iommufd_model_counter(r.m, "HWPT_INVALIDATE", "entries");
    vtd_queue_push(&r.q, vtd_inv_piotlb(5, 9, IOVA, 0, true));
    vtd_rig_sync(&r);
    g_assert_cmpuint(iommufd_model_counter(r.m, "HWPT_INVALIDATE", "entries"),
                     ==, entries + 1);
    vtd_rig_stop(&r);
}

/* Entries that were there before the device was told about */
static void test_scan(void)
{
    static const uint32_t pasids[] = { 1, 63, 64, 1000, 4095 };
    VtdRig r;

    start(&r, 1);
    vtd_rig_fill(&r, 1, 0x11);
    for (unsigned i = 0; i < ARRAY_SIZE(pasids); i++) {
        set_pasid(&r, RID0, pasids[i], 5, vtd_rig_s1(&r, IOVA, 1));
    }
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    vtd_rig_sync(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(pasids); i++) {
        expect(&r, HOST_DEV0, pasids[i], 0x11);
    }
    vtd_pasid_clear(&r.t, RID0, 64);
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_DOMAIN, 5, 0));
    vtd_rig_sync(&r);
    expect(&r, HOST_DEV0, 64, -1);
    expect(&r, HOST_DEV0, 63, 0x11);
    vtd_context_clear(&r.t, RID0);
    vtd_rig_inv_context(&r, RID0);
    for (unsigned i = 0; i < ARRAY_SIZE(pasids); i++) {
        expect(&r, HOST_DEV0, pasids[i], -1);
    }
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_stop(&r);
}

/* Without PASIDE, or with PASIDs off in the device, there are none */
static void test_enables(void)
{
    unsigned cap;
    VtdRig r;

    start(&r, 1);
    vtd_rig_fill(&r, 1, 0x11);
    cap = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
    bind_pasid(&r, RID0, 7, 5, vtd_rig_s1(&r, IOVA, 1));
    expect(&r, HOST_DEV0, 7, 0x11);
    vtd_rig_config_write(&r, RID0, cap + 4, 0);
    expect(&r, HOST_DEV0, 7, -1);
    vtd_rig_enable_sva(&r, RID0);
    expect(&r, HOST_DEV0, 7, 0x11);

    iommu_mem_write64(&r.mem, vtd_context_entry(&r.t, RID0),
                      iommu_mem_read64(&r.mem,
                                       vtd_context_entry(&r.t, RID0)) &
                      ~VTD_CTX_PASIDE);
    vtd_rig_inv_context(&r, RID0);
    expect(&r, HOST_DEV0, 7, -1);
    vtd_rig_stop(&r);
}

static void test_bad_entry(void)
{
    uint16_t sid;
    VtdRig r;

    start(&r, 1);
    vtd_pasid_set(&r.t, RID0, 7, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s2_levels = 4, .did = 5,
    });
    vtd_rig_inv_pasid(&r, 5, 7);
    g_assert_cmphex(vtd_rig_take_fault(&r, &sid), ==, FR_PASID_INVALID);
    g_assert_cmphex(sid, ==, RID0);
    expect(&r, HOST_DEV0, 7, -1);
    vtd_rig_stop(&r);
}

/* Pass-through for a PASID, and for the RID through another RID_PASID */
static void test_pass_through(void)
{
    IommufdDma how = with(7);
    VtdRig r;

    start(&r, 1);
    vtd_rig_fill(&r, 0, 0x55);
    vtd_rig_fill(&r, 1, 0x11);
    vtd_pasid_set(&r.t, RID0, 7, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_PASSTHROUGH, .did = 2,
    });
    vtd_rig_inv_pasid(&r, 2, 7);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &how, DATA), ==, 0x55);

    vtd_context_scalable(&r.t, RID0, 12, VTD_CTX_PASIDE, 3);
    set_pasid(&r, RID0, 3, 4, vtd_rig_s1(&r, IOVA, 1));
    vtd_rig_inv_context(&r, RID0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    expect(&r, HOST_DEV0, 3, 0x11);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, &how, DATA), ==, -1);
    vtd_rig_stop(&r);
}

/* What the guest sees in configuration space */
/* What the device may ask with a PASID is as it is on the host */
static void test_rights(void)
{
    static const struct {
        const char *host;
        unsigned want;
    } cases[] = {
        { "", PCI_PASID_CAP_EXEC | PCI_PASID_CAP_PRIV },
        { "pasid-exec=off\n", PCI_PASID_CAP_PRIV },
        { "pasid-priv=off\n", PCI_PASID_CAP_EXEC },
        { "pasid-exec=off\npasid-priv=off\n", 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *host = vtd_rig_host(1, "", cases[i].host);
        unsigned pos;
        VtdRig r;

        vtd_rig_start(&r, host, "nested=on", 1, "");
        vtd_rig_open_config(&r);
        pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
        g_assert_cmphex(pos, !=, 0);
        g_assert_cmphex(vtd_rig_config_read(&r, RID0, pos + 4) &
                        (PCI_PASID_CAP_EXEC | PCI_PASID_CAP_PRIV), ==,
                        cases[i].want);
        vtd_rig_stop(&r);
    }
}

static void test_capability(void)
{
    uint32_t value;
    unsigned pos;
    VtdRig r;

    vtd_rig_start_simple(&r, 1);
    pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
    g_assert_cmphex(pos, !=, 0);
    value = vtd_rig_config_read(&r, RID0, pos + 4);
    /* 20 bits, and nothing enabled */
    g_assert_cmpuint((value >> 8) & 0x1f, ==, 20);
    g_assert_cmphex(value >> 16, ==, 0);
    vtd_rig_enable_sva(&r, RID0);
    value = vtd_rig_config_read(&r, RID0, pos + 4);
    g_assert_cmphex(value >> 16, ==, PCI_PASID_CTRL_ENABLE);

    pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_ATS);
    g_assert_cmphex(pos, !=, 0);
    g_assert_cmphex(vtd_rig_config_read(&r, RID0, pos + 4) >> 16, ==,
                    PCI_ATS_CTRL_ENABLE);
    pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PRI);
    g_assert_cmphex(pos, !=, 0);
    value = vtd_rig_config_read(&r, RID0, pos + 4);
    g_assert_cmphex(value & 0xffff, ==, PCI_PRI_CTRL_ENABLE);
    g_assert_cmphex((value >> 16) & PCI_PRI_STATUS_STOPPED, ==, 0);

    /* Reset takes the enables back */
    qtest_system_reset(r.qts);
    g_assert_cmphex(vtd_rig_config_read(&r, RID0, pos + 4) & 0xffff, ==, 0);
    vtd_rig_stop(&r);
}

/* The place can be chosen */
static void test_capability_place(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 0,
                  "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,"
                  "bus=pcie.0,addr=4,x-vpasid-cap-offset=0x800");
    g_assert_cmphex(vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID), ==,
                    0x800);
    vtd_rig_stop(&r);
}

/* But not any */
static void test_capability_no_place(void)
{
    static const struct {
        const char *device, *offset, *why;
    } cases[] = {
        { "", "0x802", "0x802 is not a free" },
        { "", "0xffc", "0xffc is not a free" },
        { "", "0x80", "0x80 is not a free" },
        { "", "0x1000", "0x1000 is not a free" },
        { "", "0x110", "0x110 is not a free" },     /* PRI */
        { "", "0x10c", "0x10c is not a free" },     /* and into it */
        { "ats=off\npri=off\n", "0x800", "has to be at 0x100" },
    };
    g_autofree char *bare = vtd_rig_host(1, "", "ats=off\npri=off\n");
    VtdRig r;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *host = vtd_rig_host(1, "", cases[i].device);
        g_autofree char *extra = g_strdup_printf(
            "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,bus=pcie.0,"
            "addr=4,x-vpasid-cap-offset=%s", cases[i].offset);
        g_autofree char *args = vtd_rig_args("nested=on", 0, extra);

        nested_rig_expect_refusal(host, args, "x-vpasid-cap-offset",
                                  cases[i].why, HOST_DEV0, NULL);
    }
    vtd_rig_start(&r, bare, "nested=on", 1, "");
    g_assert_cmphex(vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID), ==,
                    0x100);
    vtd_rig_stop(&r);
}

/* A narrower device than the vIOMMU */
static void test_width(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "pasid-bits=8\n");
    unsigned pos;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID);
    g_assert_cmphex(pos, !=, 0);
    g_assert_cmpuint((vtd_rig_config_read(&r, RID0, pos + 4) >> 8) & 0x1f, ==,
                     8);
    vtd_rig_stop(&r);
}

/* No PASIDs on the host, no capability */
static void test_no_capability(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "pasid-bits=0\n");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    g_assert_cmphex(vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID), ==, 0);
    vtd_rig_stop(&r);
}

/* Linux drains page requests behind the teardown of a PASID (VT-d 7.10) */
static void test_drain(void)
{
    VtdRig r;

    start(&r, 1);
    bind_pasid(&r, RID0, 5, 7, vtd_rig_s1(&r, IOVA, 0));
    vtd_pasid_clear(&r.t, RID0, 5);
    vtd_rig_inv_pasid(&r, 7, 5);
    vtd_queue_push(&r.q, (VtdDesc) { {
        VTD_DESC_WAIT | 1 << 6 | 1 << 7,        /* FN, PD */
    } });
    vtd_rig_sync(&r);
    g_assert_cmphex(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/pasid/bind", test_bind);
    qtest_add_data_func("/vtd-nested/pasid/refused", "", test_refused);
    qtest_add_data_func("/vtd-nested/pasid/refused-late", ":late",
                        test_refused);
    qtest_add_func("/vtd-nested/pasid/bound", test_bound);
    qtest_add_func("/vtd-nested/pasid/narrow", test_narrow);
    qtest_add_func("/vtd-nested/pasid/cost", test_cost);
    qtest_add_func("/vtd-nested/pasid/shared", test_shared);
    qtest_add_func("/vtd-nested/pasid/scan", test_scan);
    qtest_add_func("/vtd-nested/pasid/enables", test_enables);
    qtest_add_func("/vtd-nested/pasid/bad-entry", test_bad_entry);
    qtest_add_func("/vtd-nested/pasid/pass-through", test_pass_through);
    qtest_add_func("/vtd-nested/pasid/capability", test_capability);
    qtest_add_func("/vtd-nested/pasid/rights", test_rights);
    qtest_add_func("/vtd-nested/pasid/capability-place",
                   test_capability_place);
    qtest_add_func("/vtd-nested/pasid/capability-no-place",
                   test_capability_no_place);
    qtest_add_func("/vtd-nested/pasid/width", test_width);
    qtest_add_func("/vtd-nested/pasid/no-capability", test_no_capability);
    qtest_add_func("/vtd-nested/pasid/drain", test_drain);
    return g_test_run();
}
