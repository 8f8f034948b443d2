/*
 * VT-d nesting: what the machine and the host do to a device, or keep from it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-pri-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5

/* Firmware, read-only memory up to 4 GiB */
#define ROM         0xfffff000

/* Fault reasons (7.1.3) */
#define FR_PASID_RSVD   0x5a

/* Bits of a PASID-table entry's second quadword */
#define PE_PWSNP        (1ULL << 23)
#define PE_PGSNP        (1ULL << 24)

/* The core's bounds (include/hw/iommufd.h) */
#define GROUPS          1024
#define GROUP_MS        10000

static void step_ms(VtdRig *r, unsigned ms)
{
    qtest_clock_step(r->qts, ms * 1000000LL);
}

/* ------------------------------------------------------------ host memory */

/*
 * Hosts with the erratum have no read-only mappings in a parent (the model
 * refuses them): ROM is not there for devices. Others can read it.
 */
static void test_erratum(gconstpointer opaque)
{
    bool erratum = opaque != NULL;
    g_autofree char *host = vtd_rig_host(1, erratum ? "errata-772415=on\n" :
                                                      "errata-772415=off\n",
                                         "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    /* Flags without IOMMU_IOAS_MAP_WRITEABLE */
    if (erratum) {
        g_assert_cmpuint(iommufd_model_journal(r.m, "\"flags\":5,\"iova\""),
                         ==, 0);
        iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, ROM, false, 2, NULL);
    } else {
        g_assert_cmpuint(iommufd_model_journal(r.m, "\"flags\":5,\"iova\""),
                         >, 0);
        g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, ROM + 0xff0), ==,
                        qtest_readb(r.qts, ROM + 0xff0));
    }
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, ROM, true, 2, NULL);
    g_assert_cmpuint(iommufd_model_counter(r.m, "IOAS_MAP", "errors"), ==, 0);
    vtd_rig_stop(&r);
}

/*
 * Snooping may be asked for where it is on offer, and that is where the host
 * can; elsewhere the bits are reserved
 */
static void test_snoop(void)
{
    static const struct {
        uint64_t lacks;
        const char *props;
        bool pgsnp, pwsnp;
    } hosts[] = {
        { 0, "nested=on", true, true },
        { 0, "nested=on,snoop-control=off", false, true },
        { VTD_ECAP_SC_BIT, "nested=on", false, true },
        { VTD_ECAP_SMPWC_BIT, "nested=on", true, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        g_autofree char *line = g_strdup_printf("ecap=0x%" PRIx64 "\n",
            (uint64_t)HOST_ECAP_ALL & ~hosts[i].lacks);
        g_autofree char *host = vtd_rig_host(1, line, "");
        const struct {
            uint64_t bit;
            bool fine;
        } bits[] = {
            { PE_PGSNP, hosts[i].pgsnp }, { PE_PWSNP, hosts[i].pwsnp },
        };
        VtdRig r;

        vtd_rig_start(&r, host, hosts[i].props, 1, "");
        g_assert_cmpint(!!(r.regs.read64(r.regs.opaque, VTD_REG_ECAP) &
                           VTD_ECAP_SC_BIT), ==, hosts[i].pgsnp);
        vtd_rig_enable(&r);
        vtd_rig_fill(&r, 1, 0x11);
        for (unsigned k = 0; k < ARRAY_SIZE(bits); k++) {
            uint64_t pe;

            vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 1));
            pe = vtd_pasid_entry(&r.t, RID0, 0);
            iommu_mem_write64(&r.mem, pe + 8, DID | bits[k].bit);
            vtd_rig_inv_pasid(&r, DID, 0);
            g_assert_cmphex(vtd_rig_take_fault(&r, NULL), ==,
                            bits[k].fine ? 0 : FR_PASID_RSVD);
            g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==,
                            bits[k].fine ? 0x11 : -1);
        }
        vtd_rig_stop(&r);
    }
}

/* ------------------------------------------------------------------- VFs */

/*
 * A virtual function: Linux refuses fault queues for it. Its stage 1 works
 * without, its PRI capability (if it has one, which it should not) is not seen,
 * and the user is told.
 */
static void test_vf(gconstpointer opaque)
{
    g_autofree char *device = g_strdup_printf("vf=on\npf-pri=on\npri=%s\n",
                                              (const char *)opaque);
    g_autofree char *host = vtd_rig_host(1, "", device);
    g_autofree char *said = g_strdup_printf("%s/vtd-nested-vf-%d",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    g_autofree char *text = NULL;
    PriRig p;

    pri_start_with(&p, host, "nested=on", 1, extra, 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmpuint(iommufd_model_live(p.v.m, "fault"), ==, 0);
    g_assert_cmpuint(vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI), ==, 0);
    pri_map(&p, IOVA, 0x44);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, IOVA, 0x44, 16);
    pri_stop(&p);
    g_assert_true(g_file_get_contents(said, &text, NULL, NULL));
    unlink(said);
    g_assert_cmpint(!!strstr(text, HOST_DEV0 ": the guest sees no page "
                             "requests of it"), ==,
                    !strcmp(opaque, "on"));
}

/* ---------------------------------------------------------------- resets */

/* Ways in which a guest resets a device by its configuration space */
enum { RESET_FLR, RESET_AF, RESET_D3HOT };

static void reset_by_guest(VtdRig *r, unsigned way)
{
    unsigned reg;

    switch (way) {
    case RESET_FLR:
        reg = vtd_rig_pcie_cap(r, RID0) + PCI_EXP_DEVCTL;
        vtd_rig_config_write(r, RID0, reg, PCI_EXP_DEVCTL_BCR_FLR);
        break;
    case RESET_AF:
        reg = vtd_rig_cap(r, RID0, PCI_CAP_ID_AF) + PCI_AF_CTRL;
        vtd_rig_config_write(r, RID0, reg, PCI_AF_CTRL_FLR);
        break;
    case RESET_D3HOT:
        reg = vtd_rig_cap(r, RID0, PCI_CAP_ID_PM) + PCI_PM_CTRL;
        vtd_rig_config_write(r, RID0, reg, 3);
        vtd_rig_config_write(r, RID0, reg, 0);
        break;
    }
}

/*
 * The guest resets the device: what was asked is answered, the enable
 * bits are clear, and PASIDs come back with the guest's setting them again;
 * the RID's tables stay in force all along
 */
static void test_guest_reset(gconstpointer way)
{
    static const struct {
        unsigned id, reg;
    } ctrl[] = {
        { PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL },
        { PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL },
        { PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL },
    };
    g_autofree char *host = vtd_rig_host(1, "", "af=on\npm=on\n");
    IommufdDma how = { .with_pasid = true, .pasid = PRI_PASID };
    PageRequest req;
    unsigned pri;
    PriRig p;
    int index;

    pri_start_with(&p, host, "nested=on", 1, "", 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    pri_map(&p, IOVA, 0x44);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    index = pri_miss(&p, true, IOVA + 0x1000);
    req = pri_next(&p);
    pri_consume(&p);

    /* Of page requests, Reset is no state, and the allocation is one */
    pri = vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI);
    vtd_rig_config_write(&p.v, RID0, pri + PCI_PRI_ALLOC_REQ, 5);
    g_assert_cmphex(vtd_rig_config_read(&p.v, RID0, pri + PCI_PRI_ALLOC_REQ),
                    ==, 5);
    vtd_rig_config_write(&p.v, RID0, pri + PCI_PRI_CTRL,
                         PCI_PRI_CTRL_ENABLE | PCI_PRI_CTRL_RESET);
    g_assert_cmphex(vtd_rig_config_read(&p.v, RID0, pri + PCI_PRI_CTRL) &
                    0xffff, ==, PCI_PRI_CTRL_ENABLE);

    reset_by_guest(&p.v, GPOINTER_TO_UINT(way));
    g_assert_cmphex(vtd_rig_config_read(&p.v, RID0, pri + PCI_PRI_ALLOC_REQ),
                    ==, 0);
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);
    for (unsigned i = 0; i < ARRAY_SIZE(ctrl); i++) {
        unsigned cap = vtd_rig_ext_cap(&p.v, RID0, ctrl[i].id);
        unsigned at = cap + ctrl[i].reg;
        uint32_t word = vtd_rig_config_read(&p.v, RID0, at & ~3u);

        g_assert_cmphex((word >> 8 * (at & 3)) & 0xffff, ==, 0);
    }
    g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, &how, IOVA), ==, -1);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, IOVA, 0x44, 16);
    /* An answer that comes too late is for nothing */
    pri_respond(&p, &req, VTD_PRG_SUCCESS);

    vtd_rig_enable_sva(&p.v, RID0);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    index = pri_miss(&p, true, IOVA + 0x2000);
    req = pri_next(&p);
    pri_map(&p, IOVA + 0x2000, 0x45);
    pri_respond(&p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index), ==, 0x45);
    pri_stop(&p);
}

/* Where the device says that it is none, the enable bits stay as they are */
static void test_no_reset(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "reset=off\npm=on\n"
                                         "no-soft-reset=on\n");
    IommufdDma how = { .with_pasid = true, .pasid = PRI_PASID };
    PriRig p;

    pri_start_with(&p, host, "nested=on", 1, "", 0);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    pri_map(&p, IOVA, 0x44);
    reset_by_guest(&p.v, RESET_FLR);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    reset_by_guest(&p.v, RESET_D3HOT);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    pri_stop(&p);
}

/*
 * While the host resets the device nothing can be attached: entries the guest
 * makes then are in force when it is over, and only the last ones
 */
static void test_reset_window(void)
{
    IommufdDma how = { .with_pasid = true, .pasid = PRI_PASID };
    PriRig p;

    pri_start(&p);
    vtd_rig_fill(&p.v, 1, 0x11);
    vtd_rig_fill(&p.v, 2, 0x22);
    iommufd_model_do(p.v.m, "{\"cmd\":\"reset-begin\",\"dev\":\"" HOST_DEV0
                     "\"}");
    for (unsigned page = 1; page <= 2; page++) {
        p.s1 = vtd_rig_s1(&p.v, IOVA, page);
        pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
        g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, NULL, IOVA), ==, -1);
        g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, &how, IOVA), ==, -1);
    }
    iommufd_model_do(p.v.m, "{\"cmd\":\"reset-end\",\"dev\":\"" HOST_DEV0
                     "\"}");
    for (unsigned i = 0;
         vtd_rig_peek(&p.v, HOST_DEV0, NULL, IOVA) != 0x22 ||
         vtd_rig_peek(&p.v, HOST_DEV0, &how, IOVA) != 0x22; i++) {
        g_assert_cmpuint(i, <, 1000);
        step_ms(&p.v, 50);
        g_usleep(10000);
    }
    /* Parent and one stage-1 HWPT */
    g_assert_cmpuint(iommufd_model_live(p.v.m, "hwpt"), ==, 2);
    pri_stop(&p);
}

/*
 * A new kernel finds translation on, a PASID bound and a request unanswered,
 * and brings a root table that knows nothing of it
 */
static void test_restart(void)
{
    IommufdDma how = { .with_pasid = true, .pasid = PRI_PASID };
    PriRig p;
    int index;

    pri_start(&p);
    pri_map(&p, IOVA, 0x44);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    index = pri_miss(&p, true, IOVA + 0x1000);
    pri_next(&p);

    vtd_tables_init(&p.v.t, &p.v.mem, true);
    p.v.regs.write64(p.v.regs.opaque, VTD_REG_RTADDR,
                     vtd_tables_rtaddr(&p.v.t));
    p.v.regs.write32(p.v.regs.opaque, VTD_REG_GCMD,
                     VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_SRTP);
    g_assert_cmpint(pri_outcome(&p, index), ==, -1);
    g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, &how, IOVA), ==, -1);
    g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, NULL, IOVA), ==, -1);
    g_assert_cmpuint(iommufd_model_live(p.v.m, "hwpt"), ==, 1);

    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    pri_stop(&p);
}

/* ----------------------------------------------------------- bus numbers */

static void entry(VtdRig *r, uint16_t rid, uint16_t did, unsigned page)
{
    vtd_rig_fill(r, page, page * 0x11);
    vtd_rig_first_stage(r, rid, did, vtd_rig_s1(r, IOVA, page));
}

/*
 * Entries for all bus numbers are there before the guest changes any: it has
 * nothing to tell the IOMMU then, and devices go by the number they have. A
 * number that two of them have is nobody's.
 */
static void test_renumber(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,x-pasid-mode=on,pasid-bits=12", 0,
                  VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_number_slot(&r, 1, 2);
    vtd_rig_enable(&r);
    vtd_rig_plug(&r, 0, "a", HOST_DEV0);
    vtd_rig_plug(&r, 1, "b", HOST_DEV1);
    for (unsigned bus = 1; bus <= 3; bus++) {
        entry(&r, BEHIND(bus), bus, bus);
    }
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x11, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x22, 16);

    vtd_rig_number_slot(&r, 0, 3);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x33, 16);
    vtd_rig_number_slot(&r, 1, 3);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    iommufd_model_expect_fault(r.m, HOST_DEV1, NULL, IOVA, false, 0,
                               "blocked");
    /* A command for that number reaches neither */
    vtd_rig_inv_context(&r, BEHIND(3));
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    /* And the two change places */
    vtd_rig_number_slot(&r, 0, 2);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x33, 16);
    vtd_rig_number_slot(&r, 1, 1);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x11, 16);
    vtd_context_clear(&r.t, BEHIND(1));
    vtd_rig_inv_context(&r, BEHIND(1));
    iommufd_model_expect_fault(r.m, HOST_DEV1, NULL, IOVA, false, 0,
                               "blocked");
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x22, 16);
    vtd_rig_stop(&r);
}

/* A device that waits for a number of its own gets it when the other goes */
static void test_renumber_unplug(void)
{
    g_autofree char *host = vtd_rig_host(2, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 0, VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    vtd_rig_number_slot(&r, 1, 2);
    vtd_rig_enable(&r);
    vtd_rig_plug(&r, 0, "a", HOST_DEV0);
    vtd_rig_plug(&r, 1, "b", HOST_DEV1);
    entry(&r, BEHIND(1), 1, 1);
    vtd_rig_number_slot(&r, 1, 1);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, IOVA), ==, -1);
    vtd_rig_unplug(&r, 0, "a");
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, IOVA), ==, 0x11);
    /* One that comes makes it wait again */
    vtd_rig_plug(&r, 0, "a", HOST_DEV0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, IOVA), ==, -1);
    vtd_rig_stop(&r);
}

/* A bridge that is reset has no number: its devices have another one */
static void test_bridge_reset(void)
{
    const uint16_t port = 0x10 << 3, up = BEHIND(1), down = BEHIND(2);
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 0, VTD_RIG_SLOTS
                  "-device x3130-upstream,id=up,bus=rp0 "
                  "-device xio3130-downstream,id=down,bus=up,chassis=3 "
                  "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,"
                  "bus=down ");
    vtd_rig_config_write(&r, port, PCI_PRIMARY_BUS, 0x040100);
    vtd_rig_config_write(&r, up, PCI_PRIMARY_BUS, 0x040201);
    vtd_rig_config_write(&r, down, PCI_PRIMARY_BUS, 0x030302);
    vtd_rig_enable(&r);
    entry(&r, BEHIND(3), 1, 1);
    entry(&r, BEHIND(4), 2, 2);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    vtd_rig_config_write(&r, port, PCI_INTERRUPT_LINE,
                         PCI_BRIDGE_CTL_BUS_RESET << 16);
    vtd_rig_config_write(&r, port, PCI_INTERRUPT_LINE, 0);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    vtd_rig_config_write(&r, up, PCI_PRIMARY_BUS, 0x040201);
    vtd_rig_config_write(&r, down, PCI_PRIMARY_BUS, 0x040402);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    vtd_rig_stop(&r);
}

/*
 * A device that only its bus resets, alone there: the guest resets the bus, the
 * host does it, and tables and HWPT are what they were
 */
static void test_bus_reset(void)
{
    const uint16_t port = 0x10 << 3;
    g_autofree char *host = vtd_rig_host(1, "", "reset=off\n");
    IommufdDma how = { .with_pasid = true, .pasid = PRI_PASID };
    uint64_t resets;
    PriRig p;

    pri_start_with(&p, host, "nested=on", 0, VTD_RIG_SLOTS
                   "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,"
                   "bus=rp0 ", 0);
    p.rid = BEHIND(1);
    vtd_rig_number_slot(&p.v, 0, 1);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    pri_map(&p, IOVA, 0x44);
    vtd_rig_enable_sva(&p.v, BEHIND(1));
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    resets = iommufd_model_counter(p.v.m, "PCI_HOT_RESET", "calls");
    vtd_rig_config_write(&p.v, port, PCI_INTERRUPT_LINE,
                         PCI_BRIDGE_CTL_BUS_RESET << 16);
    vtd_rig_config_write(&p.v, port, PCI_INTERRUPT_LINE, 0);
    g_assert_cmpuint(iommufd_model_counter(p.v.m, "PCI_HOT_RESET", "calls"),
                     ==, resets + 1);
    /* PASIDs are off until the guest has them on again */
    g_assert_cmpint(vtd_rig_peek(&p.v, HOST_DEV0, &how, IOVA), ==, -1);
    iommufd_model_expect_data(p.v.m, HOST_DEV0, NULL, IOVA, 0x44, 16);
    vtd_rig_enable_sva(&p.v, BEHIND(1));
    iommufd_model_expect_data(p.v.m, HOST_DEV0, &how, IOVA, 0x44, 16);
    pri_stop(&p);
}

/* -------------------------------------------------- page requests in time */

/* What comes while the VM is stopped waits with the host */
static void test_stop_cont(void)
{
    PageRequest before, after;
    int index[2];
    PriRig p;

    pri_start(&p);
    index[0] = pri_miss(&p, true, IOVA);
    before = pri_next(&p);
    pri_consume(&p);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'stop' }");
    index[1] = pri_miss(&p, false, IOVA + 0x1000);
    g_assert_cmpint(pri_outcome_now(&p, index[1]), ==, -2);
    g_assert_cmphex(pri_tail(&p), ==, p.head);
    g_assert_cmphex(pri_status(&p), ==, 0);
    qtest_qmp_assert_success(p.v.qts, "{ 'execute': 'cont' }");
    after = pri_next(&p);
    g_assert_cmphex(after.addr, ==, IOVA + 0x1000);
    g_assert_false(after.has_pasid);
    pri_map(&p, IOVA, 0x44);
    pri_respond(&p, &after, VTD_PRG_INVALID);
    g_assert_cmpint(pri_outcome(&p, index[1]), ==, -1);
    pri_respond(&p, &before, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index[0]), ==, 0x44);
    pri_stop(&p);
}

/* A guest that does not answer is answered for, each request in its time */
static void test_never_answered(void)
{
    PageRequest first, second;
    int index[2];
    PriRig p;

    pri_start(&p);
    index[0] = pri_miss(&p, true, IOVA);
    first = pri_next(&p);
    step_ms(&p.v, GROUP_MS / 2);
    index[1] = pri_miss(&p, true, IOVA + 0x1000);
    second = pri_next(&p);
    pri_consume(&p);
    step_ms(&p.v, GROUP_MS / 2 - 10);
    g_assert_cmpint(pri_outcome_now(&p, index[0]), ==, -2);
    step_ms(&p.v, 20);
    g_assert_cmpint(pri_outcome(&p, index[0]), ==, -1);
    g_assert_cmpint(pri_outcome_now(&p, index[1]), ==, -2);
    /* Too late for one, in time for the other */
    pri_map(&p, IOVA + 0x1000, 0x44);
    pri_respond(&p, &first, VTD_PRG_SUCCESS);
    pri_respond(&p, &second, VTD_PRG_SUCCESS);
    g_assert_cmpint(pri_outcome(&p, index[1]), ==, 0x44);
    pri_stop(&p);
}

/* By the guest or for it */
static unsigned groups_answered(PriRig *p)
{
    return iommufd_model_journal(p->v.m, "\"ev\":\"prg-response\"");
}

/*
 * Groups that a guest can leave unanswered at one time: those of one device
 * are as many as are still free, so that the next one has half of the rest
 */
static void test_too_many(void)
{
    static const char *const dev[] = { HOST_DEV0, HOST_DEV1, HOST_DEV2 };
    g_autofree char *host = vtd_rig_host(3, "", "");
    const unsigned taken = GROUPS - (GROUPS >> 3);
    PriRig p;

    pri_start_with(&p, host, "nested=on", 3, "", 4);
    for (unsigned i = 0; i < 3; i++) {
        p.rid = RID0 + i * 8;
        vtd_rig_enable_sva(&p.v, p.rid);
        pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    }
    for (unsigned i = 0; i < 3; i++) {
        const unsigned room = GROUPS >> (i + 1);

        /* The first one has no group index left for another */
        for (unsigned j = 0; j < MIN(room + 2, 512); j++) {
            iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":"
                             "\"%s\",\"pasid\":%u,\"addrs\":[%llu],"
                             "\"grpid\":%u}", dev[i], PRI_PASID, IOVA, j);
            if (j < room) {
                pri_next(&p);
            }
        }
    }
    for (unsigned i = 0; groups_answered(&p) < 4; i++) {
        g_assert_cmpuint(i, <, 2000);
        g_usleep(10000);
    }
    g_assert_cmpuint(groups_answered(&p), ==, 4);
    g_assert_cmphex(pri_tail(&p), ==, taken * 32);
    g_assert_cmphex(pri_status(&p) & PRS_PRO, ==, 0);
    /* Each of the others is answered once its time is over */
    pri_consume(&p);
    step_ms(&p.v, GROUP_MS + 10);
    for (unsigned i = 0; groups_answered(&p) < taken + 4; i++) {
        g_assert_cmpuint(i, <, 2000);
        g_usleep(10000);
    }
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/machine/erratum/on", "", test_erratum);
    qtest_add_data_func("/vtd-nested/machine/erratum/off", NULL,
                        test_erratum);
    qtest_add_func("/vtd-nested/machine/snoop", test_snoop);
    qtest_add_data_func("/vtd-nested/machine/vf/no-pri", "off", test_vf);
    qtest_add_data_func("/vtd-nested/machine/vf/pri", "on", test_vf);
    qtest_add_data_func("/vtd-nested/machine/reset/flr",
                        GUINT_TO_POINTER(RESET_FLR), test_guest_reset);
    qtest_add_data_func("/vtd-nested/machine/reset/af",
                        GUINT_TO_POINTER(RESET_AF), test_guest_reset);
    qtest_add_data_func("/vtd-nested/machine/reset/d3hot",
                        GUINT_TO_POINTER(RESET_D3HOT), test_guest_reset);
    qtest_add_func("/vtd-nested/machine/reset/none", test_no_reset);
    qtest_add_func("/vtd-nested/machine/reset-window", test_reset_window);
    qtest_add_func("/vtd-nested/machine/restart", test_restart);
    qtest_add_func("/vtd-nested/machine/renumber", test_renumber);
    qtest_add_func("/vtd-nested/machine/renumber-unplug",
                   test_renumber_unplug);
    qtest_add_func("/vtd-nested/machine/bridge-reset", test_bridge_reset);
    qtest_add_func("/vtd-nested/machine/bus-reset", test_bus_reset);
    qtest_add_func("/vtd-nested/machine/stop-cont", test_stop_cont);
    qtest_add_func("/vtd-nested/machine/never-answered", test_never_answered);
    qtest_add_func("/vtd-nested/machine/too-many", test_too_many);
    return g_test_run();
}
