/*
 * VT-d nesting: vhost beside nested devices
 *
 * vhost-net asks for the translations that it needs, and is told of those that
 * are invalid; vhost-vdpa has the mappings that the guest announces. Both with
 * the tables that a guest of a nested vIOMMU has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "../libqos/pci-pc.h"
#include "vhost-rig.h"
#include "vtd-shadow-rig.h"

#define RID         0x40
#define AT          "bus=pcie.0,addr=8"
#define PORT        0x80
#define RINGS       (82 * MiB)
#define RINGS_END   (RINGS + 32 * PAGE)

typedef struct Net {
    VtdRig r;
    VhostRig v;
    QPCIBus *bus;
    char *said;
} Net;

static void start(Net *n, const char *iommu, char *device)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *vhost = g_strconcat(host, "[host]\nvhost=on\n", NULL);
    g_autofree char *extra = NULL;

    n->said = nested_rig_scratch("stderr");
    extra = g_strdup_printf(VTD_RIG_SLOTS "%s 2>'%s'", device, n->said);
    vtd_rig_start(&n->r, vhost, iommu, 1, extra);
    shadow_fill(&n->r, 4);
    n->bus = qpci_new_pc(n->r.qts, NULL);
}

static void drive(Net *n, uint16_t rid)
{
    vhost_rig_drive(&n->v, n->bus, rid, RINGS, RINGS_END);
}

static void stop(Net *n)
{
    vtd_rig_stop(&n->r);
    qpci_free_pc(n->bus);
    vhost_rig_free(&n->v);
    nested_rig_scratch_remove(n->said);
    g_free(n->said);
}

/* A page of DATA: what it is for QEMU, from the first one */
static void expect(const struct vhost_iotlb_msg *msg, uint64_t *base,
                   uint64_t iova, unsigned page, unsigned perm)
{
    g_assert_cmphex(msg->iova, ==, iova);
    g_assert_cmphex(msg->size, ==, PAGE);
    g_assert_cmpuint(msg->perm, ==, perm);
    if (!*base) {
        *base = msg->uaddr - page * PAGE;
    }
    g_assert_cmphex(msg->uaddr, ==, *base + page * PAGE);
}

/* The rings are where they are */
static uint64_t first_stage(Net *n, uint16_t rid)
{
    uint64_t s1 = vtd_rig_s1(&n->r, IOVA, 1);

    vtd_s1_map(&n->r.mem, s1, 4, RINGS, RINGS, RINGS_END - RINGS, 12,
               VTD_S1_USER_RW);
    vtd_s1_map(&n->r.mem, s1, 4, IOVA + PAGE, DATA + 2 * PAGE, PAGE, 12,
               VTD_S1_USER_RW);
    vtd_rig_first_stage(&n->r, rid, DID, s1);
    return s1;
}

static uint64_t second_stage_table(Net *n)
{
    uint64_t ss = vtd_s2_new(&n->r.mem);

    vtd_s2_map(&n->r.mem, ss, 4, RINGS, RINGS, RINGS_END - RINGS, 12,
               VTD_S2_RW);
    shadow_map(&n->r, ss, 4, IOVA, 1, 2, VTD_S2_RW);
    return ss;
}

/* The used rings are asked for when it starts */
static void take_rings(Net *n)
{
    struct vhost_iotlb_msg msg;

    for (unsigned i = 0; i < ARRAY_SIZE(n->v.vq); i++) {
        vhost_rig_next(&n->v, VHOST_IOTLB_UPDATE, &msg);
        g_assert_cmphex(msg.iova & ~(PAGE - 1), ==,
                        n->v.vq[i]->used & ~(PAGE - 1));
    }
    g_assert_false(vhost_rig_more(&n->v));
}

/* Slot 0 is bus 1, and has all addresses that the PC's bus gives to BARs */
static void open_port(Net *n)
{
    vtd_rig_number_slot(&n->r, 0, 1);
    vtd_rig_config_write(&n->r, PORT, PCI_MEMORY_BASE, 0xfeb0e000);
    vtd_rig_config_write(&n->r, PORT, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* @ats: the guest's driver uses the device TLB; else the IOTLB counts */
static void test_net(gconstpointer opaque)
{
    bool ats = opaque != NULL;
    g_autofree char *device = NULL;
    uint16_t rid = ats ? BEHIND(1) : RID;
    struct vhost_iotlb_msg msg;
    uint64_t s1, base = 0;
    Net n;

    device = ats ? vhost_rig_net(&n.v, "bus=rp0,ats=on")
                 : vhost_rig_net(&n.v, AT);
    start(&n, ats ? "nested=on,device-iotlb=on" : "nested=on", device);
    vtd_rig_enable(&n.r);
    s1 = first_stage(&n, rid);
    if (ats) {
        open_port(&n);
        vtd_rig_enable_sva(&n.r, rid);
    }
    drive(&n, rid);
    take_rings(&n);
    vhost_rig_miss(&n.v, IOVA + 0x10, VHOST_ACCESS_RO);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    expect(&msg, &base, IOVA, 1, VHOST_ACCESS_RW);
    /* One that is not there gets no answer, and is a fault of the guest */
    vhost_rig_miss(&n.v, IOVA + 2 * PAGE, VHOST_ACCESS_RO);
    vhost_rig_miss(&n.v, IOVA + PAGE, VHOST_ACCESS_WO);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    expect(&msg, &base, IOVA + PAGE, 2, VHOST_ACCESS_RW);
    g_assert_cmpuint(vtd_rig_take_fault(&n.r, NULL), !=, 0);

    vtd_s1_unmap(&n.r.mem, s1, 4, IOVA, PAGE);
    vtd_queue_push(&n.r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
    if (ats) {
        vtd_queue_push(&n.r.q, vtd_inv_dev_tlb(rid, IOVA, 0));
    }
    vtd_rig_sync(&n.r);
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    g_assert_cmphex(msg.size, ==, PAGE);
    g_assert_false(vhost_rig_more(&n.v));
    stop(&n);
}

/* The same device with second-stage tables, in legacy mode */
static void test_net_legacy(void)
{
    g_autofree char *device = NULL;
    struct vhost_iotlb_msg msg;
    uint64_t ss, base = 0;
    Net n;

    device = vhost_rig_net(&n.v, AT);
    start(&n, "nested=on", device);
    vtd_rig_enable_legacy(&n.r);
    ss = second_stage_table(&n);
    shadow_legacy(&n.r, RID, ss, 4);
    drive(&n, RID);
    take_rings(&n);
    vhost_rig_miss(&n.v, IOVA + PAGE, VHOST_ACCESS_RO);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    expect(&msg, &base, IOVA + PAGE, 2, VHOST_ACCESS_RW);
    shadow_unmap(&n.r, ss, 4, IOVA + PAGE, PAGE);
    shadow_inv(&n.r, VTD_INV_NARROW, IOVA + PAGE, 0);
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA + PAGE);
    g_assert_false(vhost_rig_more(&n.v));
    stop(&n);
}

/* Those of the rings, and two pages at IOVA */
static void take_mappings(Net *n, uint64_t base)
{
    struct vhost_iotlb_msg msg;
    unsigned pages = (RINGS_END - RINGS) / PAGE;

    for (unsigned i = 0; i < pages; i++) {
        vhost_rig_next(&n->v, VHOST_IOTLB_UPDATE, &msg);
        g_assert_cmphex(msg.iova, ==, RINGS + i * PAGE);
    }
    for (unsigned i = 0; i < 2; i++) {
        vhost_rig_next(&n->v, VHOST_IOTLB_UPDATE, &msg);
        expect(&msg, &base, IOVA + i * PAGE, 1 + i, VHOST_ACCESS_RW);
    }
    g_assert_false(vhost_rig_more(&n->v));
}

/*
 * Before a driver comes it has the machine's memory for a while: a device that
 * is not started makes no DMA. Return: what DATA is for QEMU.
 */
static uint64_t take_memory(Net *n)
{
    struct vhost_iotlb_msg msg;
    uint64_t base = 0;

    while (vhost_rig_more(&n->v)) {
        vhost_rig_next(&n->v, 0, &msg);
        if (msg.type == VHOST_IOTLB_UPDATE && msg.iova <= DATA &&
            msg.iova + msg.size > DATA) {
            base = msg.uaddr + DATA - msg.iova;
        }
    }
    g_assert_cmphex(base, !=, 0);
    return base;
}

/* All that comes is that something goes; return: does @iova? */
static bool take_invalidations(Net *n, uint64_t iova)
{
    struct vhost_iotlb_msg msg;
    bool found = false;

    while (vhost_rig_more(&n->v)) {
        vhost_rig_next(&n->v, VHOST_IOTLB_INVALIDATE, &msg);
        found |= msg.iova <= iova && msg.iova + msg.size > iova;
    }
    return found;
}

static void test_vdpa(void)
{
    const char blocked[] = "first-stage tables: its DMA is blocked";
    g_autofree char *device = NULL;
    struct vhost_iotlb_msg msg;
    uint64_t ss, base;
    Net n;

    device = vhost_rig_vdpa(&n.v, AT);
    start(&n, "nested=on", device);
    base = take_memory(&n);
    vtd_rig_enable(&n.r);
    ss = second_stage_table(&n);
    first_stage(&n, RID);
    vtd_rig_inv_pasid(&n.r, DID, 0);
    drive(&n, RID);
    take_invalidations(&n, 0);
    g_assert_cmpuint(nested_rig_said(n.said, blocked), ==, 1);

    shadow_pasid(&n.r, RID, 0, DID, ss);
    take_mappings(&n, base);
    shadow_map(&n.r, ss, 4, IOVA + 2 * PAGE, 3, 1, VTD_S2_R);
    shadow_inv(&n.r, VTD_INV_NARROW, IOVA + 2 * PAGE, 0);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    expect(&msg, &base, IOVA + 2 * PAGE, 3, VHOST_ACCESS_RO);
    g_assert_false(vhost_rig_more(&n.v));
    shadow_unmap(&n.r, ss, 4, IOVA, PAGE);
    shadow_inv(&n.r, VTD_INV_NARROW, IOVA, 0);
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    g_assert_cmphex(msg.size, ==, PAGE);
    g_assert_false(vhost_rig_more(&n.v));
    /* Back to the first stage: all has gone when the command is done */
    first_stage(&n, RID);
    vtd_rig_inv_pasid(&n.r, DID, 0);
    g_assert_true(take_invalidations(&n, IOVA + PAGE));
    g_assert_cmpuint(nested_rig_said(n.said, blocked), ==, 1);
    stop(&n);
}

/* A guest without second-stage tables: said, once */
static void test_vdpa_alone(void)
{
    g_autofree char *device = NULL;
    Net n;

    device = vhost_rig_vdpa(&n.v, AT);
    start(&n, "nested=on,ssts=off", device);
    take_memory(&n);
    vtd_rig_enable(&n.r);
    first_stage(&n, RID);
    drive(&n, RID);
    take_invalidations(&n, 0);
    g_assert_cmpuint(nested_rig_said(n.said, "vhost-vdpa: its DMA is blocked"),
                     >=, 1);
    g_assert_cmpuint(nested_rig_said(n.said, "second-stage tables"), >=, 1);
    stop(&n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/vhost/net", NULL, test_net);
    qtest_add_data_func("/vtd-nested/vhost/net-ats", "", test_net);
    qtest_add_func("/vtd-nested/vhost/net-legacy", test_net_legacy);
    qtest_add_func("/vtd-nested/vhost/vdpa", test_vdpa);
    qtest_add_func("/vtd-nested/vhost/vdpa-alone", test_vdpa_alone);
    return g_test_run();
}
