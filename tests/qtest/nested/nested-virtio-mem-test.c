/*
 * Nested vIOMMUs: memory that a guest takes and gives back
 *
 * Devices reach the blocks that the guest has plugged, and no others; what it
 * puts into a balloon stays. Without
 * tables of the guest a device sees its memory as it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "standard-headers/linux/virtio_mem.h"
#include "../libqos/generic-pcihost.h"
#include "../libqos/pci-pc.h"
#include "nested-rig.h"
#include "virtio-rig.h"

#define BLOCK   (2 * MiB)
#define SLOT    8
#define DEVFN   (SLOT << 3)

typedef struct Rig {
    IommufdModel *m;
    QTestState *qts;
    QPCIBus *pc;
    QGenericPCIBus generic;
    VirtioRig v;
    uint64_t ram, addr;
    uint64_t locked;            /* without any block */
} Rig;

static bool arm(void)
{
    return !strcmp(qtest_get_arch(), "aarch64");
}

static void drive(Rig *r, unsigned queues)
{
    virtio_rig_drive(&r->v, r->qts, r->pc ?: &r->generic.bus, DEVFN, queues,
                     r->ram + 82 * MiB);
}

/* @device: a virtio device; "%s" is where it is */
static void start(Rig *r, const char *host, unsigned num, const char *device,
                  const char *extra, unsigned queues)
{
    g_autofree char *devices = nested_rig_devices(num, "pcie.0");

    *r = (Rig) { .m = iommufd_model_new(host), .ram = arm() ? 1 * GiB : 0 };
    r->qts = iommufd_model_start(r->m, "%s -m 128M,maxmem=2G -nodefaults "
        "-object iommufd,id=iommufd0 %s -device %s,bus=pcie.0,addr=%u %s",
        arm() ? "-machine virt,iommu=smmuv3 -cpu max -global "
        "arm-smmuv3.nested=on" : "-machine q35 -device intel-iommu,nested=on",
        devices, device, SLOT, extra);
    if (arm()) {
        qpci_init_generic(&r->generic, r->qts, NULL, false);
    } else {
        r->pc = qpci_new_pc(r->qts, NULL);
    }
    drive(r, queues);
    r->locked = iommufd_model_pinned(r->m);
}

static void stop(Rig *r)
{
    virtio_rig_free(&r->v);
    iommufd_model_free(r->m);
    if (r->pc) {
        qpci_free_pc(r->pc);
    }
}

#define BACKEND "-object memory-backend-ram,id=mem0,size=256M "
#define MEM     "virtio-mem-pci,id=vmem0,memdev=mem0,block-size=2M," \
                "requested-size=64M"

static void start_mem_on(Rig *r, const char *host, unsigned num,
                         const char *backend)
{
    start(r, host, num, MEM, backend, 1);
    r->addr = virtio_rig_mem_addr(&r->v);
}

static void start_mem(Rig *r, unsigned num, const char *backend)
{
    g_autofree char *host = nested_rig_host(arm() ? "smmuv3" : "vtd", num, "",
                                            "");

    start_mem_on(r, host, num, backend);
}

static unsigned plug(Rig *r, unsigned block, unsigned num)
{
    return virtio_rig_mem(&r->v, VIRTIO_MEM_REQ_PLUG, r->addr + block * BLOCK,
                          num);
}

static unsigned unplug(Rig *r, unsigned block, unsigned num)
{
    return virtio_rig_mem(&r->v, VIRTIO_MEM_REQ_UNPLUG,
                          r->addr + block * BLOCK, num);
}

/* First and last bytes of a block, both ways */
static void expect_there(Rig *r, const char *dev, unsigned block)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = r->addr + block * BLOCK + i * (BLOCK - 64);
        uint8_t in[64], out[64];

        qtest_memset(r->qts, at, 0x40 + block, sizeof(in));
        iommufd_model_expect_data(r->m, dev, NULL, at, 0x40 + block,
                                  sizeof(in));
        memset(out, 0x80 + block, sizeof(out));
        iommufd_model_dma_write(r->m, dev, NULL, at, out, sizeof(out));
        qtest_memread(r->qts, at, in, sizeof(in));
        g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    }
}

static void expect_none(Rig *r, const char *dev, unsigned block)
{
    iommufd_model_expect_fault(r->m, dev, NULL, r->addr + block * BLOCK, false,
                               2, NULL);
    iommufd_model_expect_fault(r->m, dev, NULL, r->addr + (block + 1) * BLOCK -
                               64, true, 2, NULL);
}

static void expect_blocks(Rig *r, unsigned num)
{
    g_assert_cmpuint(iommufd_model_pinned(r->m), ==, r->locked + num * BLOCK);
}

static void blocks(const char *backend)
{
    uint64_t calls;
    Rig r;

    start_mem(&r, 1, backend);
    expect_none(&r, HOST_DEV0, 0);
    calls = iommufd_model_calls(r.m);
    g_assert_cmpuint(plug(&r, 2, 3), ==, VIRTIO_MEM_RESP_ACK);
    /* The least that can be unplugged is a mapping */
    g_assert_cmpuint(iommufd_model_calls(r.m), ==, calls + 3);
    expect_none(&r, HOST_DEV0, 1);
    for (unsigned i = 2; i < 5; i++) {
        expect_there(&r, HOST_DEV0, i);
    }
    expect_none(&r, HOST_DEV0, 5);
    expect_blocks(&r, 3);

    g_assert_cmpuint(unplug(&r, 3, 1), ==, VIRTIO_MEM_RESP_ACK);
    expect_there(&r, HOST_DEV0, 2);
    expect_none(&r, HOST_DEV0, 3);
    expect_there(&r, HOST_DEV0, 4);
    expect_blocks(&r, 2);
    /* New memory at the same place */
    g_assert_cmpuint(plug(&r, 3, 1), ==, VIRTIO_MEM_RESP_ACK);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, r.addr + 3 * BLOCK, 0, 64);
    expect_there(&r, HOST_DEV0, 3);
    g_assert_cmpuint(virtio_rig_mem(&r.v, VIRTIO_MEM_REQ_UNPLUG_ALL, 0, 0), ==,
                     VIRTIO_MEM_RESP_ACK);
    for (unsigned i = 2; i < 5; i++) {
        expect_none(&r, HOST_DEV0, i);
    }
    expect_blocks(&r, 0);
    stop(&r);
}

static void test_blocks(void)
{
    blocks(BACKEND);
}

static void test_memfd(void)
{
    blocks("-object memory-backend-memfd,id=mem0,size=256M,reserve=off ");
}

/* A reset of the machine takes all of it */
static void test_reset(void)
{
    Rig r;

    start_mem(&r, 1, BACKEND);
    g_assert_cmpuint(plug(&r, 0, 2), ==, VIRTIO_MEM_RESP_ACK);
    expect_blocks(&r, 2);
    qtest_system_reset(r.qts);
    expect_none(&r, HOST_DEV0, 0);
    expect_none(&r, HOST_DEV0, 1);
    expect_blocks(&r, 0);
    virtio_rig_free(&r.v);
    drive(&r, 1);
    g_assert_cmpuint(plug(&r, 1, 1), ==, VIRTIO_MEM_RESP_ACK);
    expect_none(&r, HOST_DEV0, 0);
    expect_there(&r, HOST_DEV0, 1);
    stop(&r);
}

/* What one of two devices cannot have mapped the guest does not get */
static void test_refused(void)
{
    g_autofree char *host = nested_rig_host(arm() ? "smmuv3" : "vtd", 1, "",
                                            "");
    Rig r;

    start_mem_on(&r, host, 1, BACKEND);
    g_assert_cmpuint(plug(&r, 0, 1), ==, VIRTIO_MEM_RESP_ACK);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"IOAS_MAP:2:errno=ENOMEM\"}");
    g_assert_cmpuint(plug(&r, 1, 3), !=, VIRTIO_MEM_RESP_ACK);
    expect_there(&r, HOST_DEV0, 0);
    for (unsigned i = 1; i < 4; i++) {
        expect_none(&r, HOST_DEV0, i);
    }
    expect_blocks(&r, 1);
    g_assert_cmpuint(plug(&r, 1, 3), ==, VIRTIO_MEM_RESP_ACK);
    for (unsigned i = 0; i < 4; i++) {
        expect_there(&r, HOST_DEV0, i);
    }
    expect_blocks(&r, 4);
    stop(&r);
}

enum { INFLATE, DEFLATE, STATS, REPORT };

/* With a device a page in the balloon stays what it is; without, it is freed */
static void balloon(unsigned num)
{
    g_autofree char *host = nested_rig_host(arm() ? "smmuv3" : "vtd", num, "",
                                            "");
    g_autofree char *said = nested_rig_scratch("stderr");
    g_autofree char *extra = g_strdup_printf("2>'%s'", said);
    const char *words = "frees nothing";
    uint64_t page;
    uint32_t pfn;
    Rig r;

    start(&r, host, num, "virtio-balloon-pci,free-page-reporting=on", extra, 4);
    g_assert_cmpuint(nested_rig_said(said, words), ==, 0);
    for (unsigned q = INFLATE; q <= REPORT; q += REPORT) {
        page = r.ram + 96 * MiB + q * 4096;
        qtest_memset(r.qts, page, 0x77, 4096);
        pfn = cpu_to_le32(page / 4096);
        if (q == INFLATE) {
            virtio_rig_ask(&r.v, q, &pfn, sizeof(pfn), NULL, 0);
        } else {
            virtio_rig_tell(&r.v, q, page, 4096);
        }
        g_assert_cmphex(qtest_readb(r.qts, page), ==, num ? 0x77 : 0);
        if (num) {
            iommufd_model_expect_data(r.m, HOST_DEV0, NULL, page, 0x77, 64);
        }
        g_assert_cmpuint(nested_rig_said(said, words), ==, num);
    }
    g_assert_cmpuint(iommufd_model_pinned(r.m), ==, r.locked);
    stop(&r);
    nested_rig_scratch_remove(said);
}

static void test_balloon(void)
{
    balloon(1);
}

static void test_balloon_alone(void)
{
    balloon(0);
}

static void add(const char *path, const char *device, void (*test)(void))
{
    /* The device may have been left out of QEMU */
    if (qtest_has_device(device)) {
        qtest_add_func(path, test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/nested/virtio-mem/blocks", "virtio-mem-pci", test_blocks);
    add("/nested/virtio-mem/memfd", "virtio-mem-pci", test_memfd);
    add("/nested/virtio-mem/reset", "virtio-mem-pci", test_reset);
    add("/nested/virtio-mem/refused", "virtio-mem-pci", test_refused);
    add("/nested/virtio-mem/balloon", "virtio-balloon-pci", test_balloon);
    add("/nested/virtio-mem/balloon-alone", "virtio-balloon-pci",
        test_balloon_alone);
    return g_test_run();
}
