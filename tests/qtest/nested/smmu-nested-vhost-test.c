/*
 * SMMUv3 nesting: vhost beside nested devices
 *
 * vhost-net asks for the translations that it needs, and is told of those that
 * are invalid. vhost-vdpa needs to be told of mappings, which no SMMU has the
 * guest do: its DMA is blocked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqos/generic-pcihost.h"
#include "smmu-nested-cmdqv.h"
#include "vhost-rig.h"

#define SID         0x40
#define AT          "bus=pcie.0,addr=8"
#define ASID        3
#define IOVA        0x80000000ULL
#define PAGE        4096ULL
#define RINGS       (RAM + 82 * MiB)
#define RINGS_END   (RINGS + 32 * PAGE)

typedef struct Net {
    SmmuRig r;
    VhostRig v;
    QGenericPCIBus bus;
    SmmuS1 s1;
    char *said;
} Net;

static void start_with(Net *n, const char *device, const char *iommu,
                       const char *props)
{
    g_autofree char *one = smmu_rig_host(1, iommu, "");
    g_autofree char *host = g_strconcat(one, "[host]\nvhost=on\n", NULL);
    g_autofree char *extra = NULL;

    n->said = nested_rig_scratch("stderr");
    extra = g_strdup_printf("%s 2>'%s'", device, n->said);
    smmu_rig_start(&n->r, host, props, 1, extra);
    qpci_init_generic(&n->bus, n->r.qts, NULL, false);
    smmu_rig_enable(&n->r, 6);
    n->s1 = smmu_rig_stage1(&n->r, SID, ASID, IOVA, 1);
    smmu_s1_map(&n->s1, RINGS, RINGS, RINGS_END - RINGS, 12, SMMU_PTE_USER_RW);
}

static void start(Net *n, const char *device)
{
    start_with(n, device, "", "nested=on");
    vhost_rig_drive(&n->v, &n->bus.bus, SID, RINGS, RINGS_END);
}

static void stop(Net *n)
{
    smmu_rig_stop(&n->r);
    vhost_rig_free(&n->v);
    nested_rig_scratch_remove(n->said);
    g_free(n->said);
}

static void test_net(void)
{
    g_autofree char *device = NULL;
    struct vhost_iotlb_msg msg;
    uint64_t dw[4];
    Net n;

    device = vhost_rig_net(&n.v, AT);
    start(&n, device);
    for (unsigned i = 0; i < ARRAY_SIZE(n.v.vq); i++) {
        vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
        g_assert_cmphex(msg.iova, ==, n.v.vq[i]->used & ~(PAGE - 1));
    }
    g_assert_false(vhost_rig_more(&n.v));
    vhost_rig_miss(&n.v, IOVA + 0x10, VHOST_ACCESS_RO);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    g_assert_cmphex(msg.size, ==, PAGE);
    /* One that is not there gets no answer, and is an event of the guest */
    vhost_rig_miss(&n.v, IOVA + PAGE, VHOST_ACCESS_RO);
    g_assert_cmphex(smmu_rig_wait_event(&n.r, dw), !=, 0);
    g_assert_cmphex(dw[0] >> 32, ==, SID);
    g_assert_false(vhost_rig_more(&n.v));

    smmu_s1_unmap(&n.s1, IOVA, PAGE);
    smmu_queue_push(&n.r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    smmu_rig_sync(&n.r);
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    g_assert_false(vhost_rig_more(&n.v));
    stop(&n);
}

static void test_vdpa(void)
{
    g_autofree char *device = NULL;
    struct vhost_iotlb_msg msg;
    Net n;

    device = vhost_rig_vdpa(&n.v, AT);
    start(&n, device);
    g_assert_cmpuint(nested_rig_said(n.said, "vhost-vdpa: its DMA is blocked"),
                     >=, 1);
    /* It has had the machine's memory before; what comes last is the end */
    do {
        vhost_rig_next(&n.v, 0, &msg);
    } while (vhost_rig_more(&n.v));
    g_assert_cmpuint(msg.type, ==, VHOST_IOTLB_INVALIDATE);
    stop(&n);
}

/*
 * What is in a queue that the host has is not heard of here: who keeps
 * translations has the queues taken back, and the rest told
 */
static void test_cmdqv(void)
{
    g_autofree char *device = NULL;
    struct vhost_iotlb_msg msg;
    Queue q;
    Net n;

    device = vhost_rig_net(&n.v, AT);
    start_with(&n, device, "cmdqv=on\n", "nested=on,cmdqv=on");
    add_vintf(&n.r);
    q = add_queue(&n.r, 0);
    g_assert_cmpuint(iommufd_model_live(n.r.m, "hw_queue"), ==, 1);
    kick_hw(&n.r);
    q_push(&q, smmu_tlbi_asid(ASID));
    q_prod(&q);
    vhost_rig_drive(&n.v, &n.bus.bus, SID, RINGS, RINGS_END);
    g_assert_cmpuint(iommufd_model_live(n.r.m, "hw_queue"), ==, 0);
    /* It is told to forget everything, as there may have been something */
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    do {
        vhost_rig_next(&n.v, 0, &msg);
    } while (vhost_rig_more(&n.v));
    vhost_rig_miss(&n.v, IOVA + 0x10, VHOST_ACCESS_RO);
    vhost_rig_next(&n.v, VHOST_IOTLB_UPDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    smmu_s1_unmap(&n.s1, IOVA, PAGE);
    q_push(&q, smmu_tlbi_va(ASID, IOVA, true));
    q_push(&q, smmu_sync());
    q_prod(&q);
    vhost_rig_next(&n.v, VHOST_IOTLB_INVALIDATE, &msg);
    g_assert_cmphex(msg.iova, ==, IOVA);
    g_assert_cmphex(q_rd(&q, CONS), ==, q.q.index);

    /* It stops */
    qvirtio_reset(&n.v.pci->vdev);
    g_assert_cmpuint(iommufd_model_live(n.r.m, "hw_queue"), ==, 1);
    stop(&n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/vhost/net", test_net);
    qtest_add_func("/smmu-nested/vhost/vdpa", test_vdpa);
    qtest_add_func("/smmu-nested/vhost/cmdqv", test_cmdqv);
    return g_test_run();
}
