/*
 * SMMUv3 nesting: beside devices that another vIOMMU shadows, or none has
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_iommu.h"
#include "standard-headers/linux/virtio_ring.h"
#include "../libqos/generic-pcihost.h"
#include "../libqos/virtio-pci.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define DOMAIN      3

/* The nested device is behind a port of the second root bus */
#define BUS         64
#define PORT        (BUS << 8)
#define NESTED_SID  ((BUS + 1) << 8)

#define MACHINE \
    "-machine virt,gic-version=3 -cpu max -m 128M -nodefaults " \
    "-object iommufd,id=iommufd0 "
#define SMMU \
    "-device pxb-pcie,id=pxb,bus_nr=" stringify(BUS) ",bus=pcie.0,addr=3 " \
    "-device pcie-root-port,id=rp,bus=pxb,chassis=1 " \
    "-device arm-smmuv3,primary-bus=pxb,id=smmu0,nested=on "
#define NESTED \
    "-device vfio-pci,id=dev0,host=" HOST_DEV0 ",iommufd=iommufd0,bus=rp "
#define OTHER \
    "-device vfio-pci,id=dev1,host=" HOST_DEV1 ",iommufd=iommufd0," \
    "bus=pcie.0,addr=4 "

/* The SMMU is the first device of the platform bus */
static void start(SmmuRig *r, const char *args)
{
    g_autofree char *host = smmu_rig_host(2, "", "");

    *r = (SmmuRig) { .m = iommufd_model_new(host) };
    r->qts = iommufd_model_start(r->m, "%s", args);
    iommu_mem_qtest(&r->mem, r->qts, RAM + 16 * MiB, 64 * MiB);
    r->where = (QtestIommuRegs) { .qts = r->qts, .base = 0x0c000000 };
    iommu_regs_qtest(&r->regs, &r->where);
    smmu_rig_number_at(r, PORT, BUS + 1);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
}

static int nested(SmmuRig *r, uint64_t addr)
{
    return smmu_rig_peek(r, HOST_DEV0, NULL, addr);
}

static int other(SmmuRig *r, uint64_t addr)
{
    return smmu_rig_peek(r, HOST_DEV1, NULL, addr);
}

/* ------------------------------------------------------------ virtio-iommu */

typedef struct Virtio {
    QTestState *qts;
    QGuestAllocator alloc;
    QGenericPCIBus bus;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq;
} Virtio;

static void virtio_start(Virtio *v, QTestState *qts)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(2, 0) };
    uint64_t features;

    v->qts = qts;
    alloc_init(&v->alloc, 0, RAM + 82 * MiB, RAM + 90 * MiB, 4096);
    qpci_init_generic(&v->bus, qts, &v->alloc, false);
    v->pci = virtio_pci_new(&v->bus.bus, &addr);
    qvirtio_pci_device_enable(v->pci);
    qvirtio_start_device(&v->pci->vdev);
    features = qvirtio_get_features(&v->pci->vdev);
    qvirtio_set_features(&v->pci->vdev, features &
                         ~(QVIRTIO_F_BAD_FEATURE |
                           1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                           1ULL << VIRTIO_RING_F_EVENT_IDX));
    v->vq = qvirtqueue_setup(&v->pci->vdev, &v->alloc, 0);
    qvirtio_set_driver_ok(&v->pci->vdev);
}

static void virtio_stop(Virtio *v)
{
    qvirtqueue_cleanup(v->pci->vdev.bus, v->vq, &v->alloc);
    qvirtio_pci_device_disable(v->pci);
    qvirtio_pci_destructor(&v->pci->obj);
    g_free(v->pci);
    alloc_destroy(&v->alloc);
}

/* A request of @len bytes, to which its tail is added. Has to succeed */
static void virtio_request(Virtio *v, const void *req, size_t len)
{
    struct virtio_iommu_req_tail tail;
    uint64_t at = guest_alloc(&v->alloc, len + sizeof(tail));
    uint32_t head;

    qtest_memwrite(v->qts, at, req, len);
    qtest_memset(v->qts, at + len, 0xff, sizeof(tail));
    head = qvirtqueue_add(v->qts, v->vq, at, len, false, true);
    qvirtqueue_add(v->qts, v->vq, at + len, sizeof(tail), true, false);
    qvirtqueue_kick(v->qts, &v->pci->vdev, v->vq, head);
    qvirtio_wait_used_elem(v->qts, &v->pci->vdev, v->vq, head, NULL,
                           30 * 1000 * 1000);
    qtest_memread(v->qts, at + len, &tail, sizeof(tail));
    g_assert_cmpuint(tail.status, ==, VIRTIO_IOMMU_S_OK);
    guest_free(&v->alloc, at);
}

static void virtio_attach(Virtio *v, uint32_t endpoint)
{
    const struct virtio_iommu_req_attach req = {
        .head.type = VIRTIO_IOMMU_T_ATTACH,
        .domain = cpu_to_le32(DOMAIN),
        .endpoint = cpu_to_le32(endpoint),
    };

    virtio_request(v, &req, offsetof(typeof(req), tail));
}

static void virtio_map(Virtio *v, uint64_t iova, uint64_t gpa)
{
    const struct virtio_iommu_req_map req = {
        .head.type = VIRTIO_IOMMU_T_MAP,
        .domain = cpu_to_le32(DOMAIN),
        .virt_start = cpu_to_le64(iova),
        .virt_end = cpu_to_le64(iova + 4095),
        .phys_start = cpu_to_le64(gpa),
        .flags = cpu_to_le32(VIRTIO_IOMMU_MAP_F_READ |
                             VIRTIO_IOMMU_MAP_F_WRITE),
    };

    virtio_request(v, &req, offsetof(typeof(req), tail));
}

static void virtio_unmap(Virtio *v, uint64_t iova)
{
    const struct virtio_iommu_req_unmap req = {
        .head.type = VIRTIO_IOMMU_T_UNMAP,
        .domain = cpu_to_le32(DOMAIN),
        .virt_start = cpu_to_le64(iova),
        .virt_end = cpu_to_le64(iova + 4095),
    };

    virtio_request(v, &req, offsetof(typeof(req), tail));
}

/*
 * The host walks one device's tables, and QEMU maps for the other what the
 * guest asks virtio-iommu for: in one iommufd, at one address, with no effect
 * on each other
 */
static void test_virtio(void)
{
    uint64_t ioctls;
    SmmuRig r;
    Virtio v;

    start(&r, MACHINE SMMU "-device virtio-iommu-pci,bus=pcie.0,addr=2 "
          NESTED OTHER);
    smmu_rig_enable(&r, 4);
    virtio_start(&v, r.qts);
    smmu_rig_stage1(&r, NESTED_SID, ASID, IOVA, 1);
    g_assert_cmpint(nested(&r, IOVA), ==, 0x11);
    virtio_attach(&v, 4 << 3);
    g_assert_cmpint(other(&r, IOVA), ==, -1);
    g_assert_cmpint(other(&r, DATA + 4096), ==, -1);

    ioctls = smmu_rig_ioctls(&r);
    virtio_map(&v, IOVA, DATA + 2 * 4096);
    g_assert_cmpint(other(&r, IOVA), ==, 0x22);
    g_assert_cmpint(nested(&r, IOVA), ==, 0x11);
    virtio_unmap(&v, IOVA);
    g_assert_cmpint(other(&r, IOVA), ==, -1);
    g_assert_cmpint(nested(&r, IOVA), ==, 0x11);
    g_assert_cmpuint(smmu_rig_ioctls(&r), ==, ioctls);

    virtio_map(&v, IOVA, DATA + 4096);
    smmu_rig_ste(&r, NESTED_SID, NULL);
    g_assert_cmpint(nested(&r, IOVA), ==, -1);
    g_assert_cmpint(other(&r, IOVA), ==, 0x11);
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_stage1(&r, NESTED_SID, ASID, IOVA, 2);
    g_assert_cmpint(nested(&r, IOVA), ==, 0x22);
    g_assert_cmpint(other(&r, IOVA), ==, 0x11);
    virtio_stop(&v);
    smmu_rig_stop(&r);
}

/* A root bus without an IOMMU: an ordinary stage 2 beside the parent */
static void test_none(void)
{
    SmmuRig r;

    start(&r, MACHINE SMMU NESTED OTHER);
    smmu_rig_enable(&r, 4);
    smmu_rig_stage1(&r, NESTED_SID, ASID, IOVA, 1);
    g_assert_cmpint(nested(&r, IOVA), ==, 0x11);
    g_assert_cmpint(nested(&r, DATA + 4096), ==, -1);
    g_assert_cmpint(other(&r, DATA + 4096), ==, 0x11);
    g_assert_cmpint(other(&r, IOVA), ==, -1);
    smmu_rig_stop(&r);
}

/* What is there before the vIOMMU would not be behind it */
static void test_order(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");

    nested_rig_expect_refusal(host, "-M virt,gic-version=3 -cpu max "
        "-object iommufd,id=iommufd0 "
        "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,bus=pcie.0 "
        "-device arm-smmuv3,primary-bus=pcie.0,nested=on",
        HOST_DEV0 ": was added before arm-smmuv3", NULL);
}

/* A bus has one vIOMMU, whichever comes first */
static void test_one_iommu(void)
{
    static const char *const smmu = "-device arm-smmuv3,primary-bus=pcie.0,"
                                    "nested=on ";
    static const char *const virtio = "-device virtio-iommu-pci,bus=pcie.0 ";
    static const char *const taken = "bus pcie.0 is behind another vIOMMU "
                                     "already: arm-smmuv3";
    const char *const pairs[][3] = {
        { smmu, smmu, taken },
        { smmu, virtio, taken },
        { virtio, smmu, "already has virtio-iommu set" },
    };
    g_autofree char *host = smmu_rig_host(1, "", "");

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        g_autofree char *args = g_strconcat("-M virt,gic-version=3 -cpu max "
                                            "-nodefaults ", pairs[i][0],
                                            pairs[i][1], NULL);

        nested_rig_expect_refusal(host, args, pairs[i][2], NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/mixed/order", test_order);
    qtest_add_func("/smmu-nested/mixed/one-iommu", test_one_iommu);
    qtest_add_func("/smmu-nested/mixed/virtio-iommu", test_virtio);
    qtest_add_func("/smmu-nested/mixed/no-iommu", test_none);
    return g_test_run();
}
