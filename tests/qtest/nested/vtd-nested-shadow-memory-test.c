/*
 * VT-d nesting: the memory that second-stage tables of the guest lead to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/virtio_mem.h"
#include "../libqos/pci-pc.h"
#include "virtio-rig.h"
#include "vtd-shadow-rig.h"

/*
 * Firmware can be read and not written, whatever a table says; and with a
 * parent's kind of HWPT, addresses go as far as without
 */
static void test_rom(void)
{
    g_autofree char *host = vtd_rig_host(1, "errata-772415=off\n", "");
    uint64_t ss, rom = 4 * GiB - PAGE;
    uint8_t is[16], seen[16];
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    vtd_s2_map(&r.mem, ss, 4, IOVA, rom, PAGE, 12, VTD_S2_RW);
    vtd_s2_map(&r.mem, ss, 4, IOVA + PAGE, rom, PAGE, 12, VTD_S2_W);
    shadow_fill(&r, 1);
    shadow_map(&r, ss, 4, (1ULL << 48) - PAGE, 0, 1, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, (1ULL << 48) - PAGE, 0);
    qtest_memread(r.qts, rom + 0xff0, is, sizeof(is));
    iommufd_model_dma_read(r.m, HOST_DEV0, NULL, IOVA + 0xff0, seen,
                           sizeof(seen));
    g_assert_cmpmem(is, sizeof(is), seen, sizeof(seen));
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, true, 2, NULL);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + PAGE, true, 2,
                               NULL);
    vtd_rig_stop(&r);
}

/*
 * Erratum 772415: a parent has no read-only mappings, so shadows have no ROM;
 * of the guest's memory they can have some
 */
static void test_erratum(void)
{
    g_autofree char *host = vtd_rig_host(1, "errata-772415=on\n", "");
    uint64_t ss;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "");
    shadow_fill(&r, 2);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_R);
    vtd_s2_map(&r.mem, ss, 4, IOVA + PAGE, 4 * GiB - PAGE, PAGE, 12, VTD_S2_R);
    shadow_legacy(&r, RID0, ss, 4);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, true, 2, NULL);
    shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
    g_assert_cmpuint(vtd_rig_take_fault(&r, NULL), ==, 0);
    vtd_rig_stop(&r);
}

/* Registers of ACPI memory hot-plug (docs/specs/acpi_mem_hotplug) */
#define MEMHP           0xa00
#define MEMHP_FLAGS     0x14
#define MEMHP_EJECT     8

static void plug(VtdRig *r)
{
    qtest_qmp_assert_success(r->qts, "{'execute': 'object-add',"
        " 'arguments': {'qom-type': 'memory-backend-ram', 'id': 'ram1',"
        " 'size': %u}}", (unsigned)(128 * MiB));
    qtest_qmp_device_add(r->qts, "pc-dimm", "dimm1", "{'memdev': 'ram1'}");
}

/* Memory that comes, goes, and comes again, below a table that has it mapped */
static void test_memory(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    uint64_t ss, dimm = 4 * GiB;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "-m 128M,slots=1,maxmem=512M");
    shadow_fill(&r, 2);
    vtd_rig_enable_legacy(&r);
    ss = vtd_s2_new(&r.mem);
    shadow_map(&r, ss, 4, IOVA, 1, 1, VTD_S2_RW);
    vtd_s2_map(&r.mem, ss, 4, IOVA + PAGE, dimm, PAGE, 12, VTD_S2_RW);
    shadow_legacy(&r, RID0, ss, 4);
    for (unsigned i = 0; i < 2; i++) {
        shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
        plug(&r);
        qtest_memset(r.qts, dimm, 0x77, 64);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA + PAGE, 0x77, 64);

        qtest_qmp_device_del_send(r.qts, "dimm1");
        qtest_outl(r.qts, MEMHP, 0);
        qtest_outb(r.qts, MEMHP + MEMHP_FLAGS, MEMHP_EJECT);
        qtest_qmp_eventwait(r.qts, "DEVICE_DELETED");
        shadow_expect_none(&r, HOST_DEV0, IOVA + PAGE);
        qtest_qmp_assert_success(r.qts, "{'execute': 'object-del',"
                                 " 'arguments': {'id': 'ram1'}}");
        shadow_expect(&r, HOST_DEV0, IOVA, 1);
    }
    vtd_rig_stop(&r);
}

/*
 * Memory that thousands of entries have been waiting for, in tables of @devices
 * devices: that is done at once up to a limit, which is one for all of them.
 * Beyond it devices are blocked until their tables have been read in turns.
 */
static void check_late(unsigned devices, unsigned turns)
{
    static const char *const dev[] = { HOST_DEV0, HOST_DEV1 };
    g_autofree char *host = vtd_rig_host(devices, "", "");
    /* include/hw/iommufd-turn.h: calls of a turn */
    const unsigned turn = 4096 / 16, num = turns * turn;
    uint64_t dimm = 4 * GiB, last = IOVA + (num - 1) * PAGE;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", devices,
                  "-m 128M,slots=1,maxmem=512M");
    vtd_rig_enable_legacy(&r);
    for (unsigned i = 0; i < devices; i++) {
        vtd_context_legacy(&r.t, RID0 + i * 8, 0,
                           shadow_scattered(&r, IOVA, num, dimm), 4, DID + i);
        vtd_rig_inv_context(&r, RID0 + i * 8);
        shadow_expect_none(&r, dev[i], IOVA);
    }
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'stop' }");
    plug(&r);
    qtest_memset(r.qts, dimm, 0x77, 64 * PAGE);
    g_assert_cmpuint(iommufd_model_counter(r.m, "IOAS_COPY", "calls"), <=,
                     65 * turn);
    iommufd_model_expect_fault(r.m, dev[devices - 1], NULL, IOVA, false, 0,
                               "blocked");
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; i < devices; i++) {
        for (unsigned j = 0; vtd_rig_peek(&r, dev[i], NULL, last) < 0; j++) {
            g_assert_cmpuint(j, <, 60000);
            g_usleep(1000);
        }
        iommufd_model_expect_data(r.m, dev[i], NULL, IOVA, 0x77, 64);
        iommufd_model_expect_data(r.m, dev[i], NULL, last, 0x77, 64);
    }
    vtd_rig_stop(&r);
}

static void test_late(void)
{
    check_late(1, 66);
    check_late(2, 40);
}

#define BLOCK   (2 * MiB)

typedef struct Blocks {
    VtdRig r;
    VirtioRig v;
    QPCIBus *bus;
    uint64_t addr;
    uint64_t locked;            /* without any of them */
} Blocks;

static void block_fill(Blocks *b, unsigned block, uint8_t value)
{
    qtest_memset(b->r.qts, b->addr + block * BLOCK, value, 64);
    qtest_memset(b->r.qts, b->addr + (block + 1) * BLOCK - 64, value, 64);
}

static void block_expect(Blocks *b, unsigned block, uint8_t value)
{
    uint64_t iova = IOVA + b->addr % GiB + block * BLOCK;

    iommufd_model_expect_data(b->r.m, HOST_DEV0, NULL, iova, value, 64);
    iommufd_model_expect_data(b->r.m, HOST_DEV0, NULL, iova + BLOCK - 64,
                              value, 64);
}

static void block_expect_none(Blocks *b, unsigned block)
{
    uint64_t iova = IOVA + b->addr % GiB + block * BLOCK;

    shadow_expect_none(&b->r, HOST_DEV0, iova);
    shadow_expect_none(&b->r, HOST_DEV0, iova + BLOCK - 64);
}

static unsigned ask(Blocks *b, unsigned type, unsigned block, unsigned num)
{
    return virtio_rig_mem(&b->v, type, b->addr + block * BLOCK, num);
}

/*
 * Blocks below a table that maps all of them at once: whoever has been there is
 * not kept by the shadow, and who comes is seen without a word of the guest's
 */
static void test_blocks(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    uint64_t ss;
    Blocks b;

    vtd_rig_start(&b.r, host, "nested=on", 1, "-m 128M,maxmem=4G "
                  "-object memory-backend-ram,id=mem0,size=256M "
                  "-device virtio-mem-pci,id=vmem0,memdev=mem0,block-size=2M,"
                  "requested-size=256M,bus=pcie.0,addr=8");
    b.bus = qpci_new_pc(b.r.qts, NULL);
    virtio_rig_drive(&b.v, b.r.qts, b.bus, 0x40, 1, 82 * MiB);
    b.addr = virtio_rig_mem_addr(&b.v);
    shadow_fill(&b.r, 2);
    vtd_rig_enable_legacy(&b.r);
    ss = vtd_s2_new(&b.r.mem);
    vtd_s2_map(&b.r.mem, ss, 4, IOVA, b.addr & -GiB, GiB, 30, VTD_S2_RW);
    shadow_map(&b.r, ss, 4, 2 * IOVA, 1, 1, VTD_S2_RW);
    shadow_legacy(&b.r, RID0, ss, 4);
    b.locked = iommufd_model_pinned(b.r.m);
    block_expect_none(&b, 0);

    g_assert_cmpuint(ask(&b, VIRTIO_MEM_REQ_PLUG, 1, 3), ==,
                     VIRTIO_MEM_RESP_ACK);
    for (unsigned i = 1; i < 4; i++) {
        block_fill(&b, i, 0x40 + i);
    }
    for (unsigned i = 1; i < 4; i++) {
        block_expect(&b, i, 0x40 + i);
    }
    block_expect_none(&b, 0);
    block_expect_none(&b, 4);
    g_assert_cmpuint(iommufd_model_pinned(b.r.m), ==, b.locked + 3 * BLOCK);

    g_assert_cmpuint(ask(&b, VIRTIO_MEM_REQ_UNPLUG, 2, 1), ==,
                     VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(iommufd_model_pinned(b.r.m), ==, b.locked + 2 * BLOCK);
    block_expect(&b, 1, 0x41);
    block_expect_none(&b, 2);
    block_expect(&b, 3, 0x43);
    g_assert_cmpuint(ask(&b, VIRTIO_MEM_REQ_PLUG, 2, 1), ==,
                     VIRTIO_MEM_RESP_ACK);
    block_fill(&b, 2, 0x52);
    block_expect(&b, 2, 0x52);

    /* More parts than are looked at in a row, in both orders */
    g_assert_cmpuint(ask(&b, VIRTIO_MEM_REQ_UNPLUG_ALL, 0, 0), ==,
                     VIRTIO_MEM_RESP_ACK);
    g_assert_cmpuint(iommufd_model_pinned(b.r.m), ==, b.locked);
    g_assert_cmpuint(ask(&b, VIRTIO_MEM_REQ_PLUG, 0, 128), ==,
                     VIRTIO_MEM_RESP_ACK);
    for (unsigned i = 0; i < 128; i += 127) {
        block_fill(&b, i, 0x60 + i % 16);
        block_expect(&b, i, 0x60 + i % 16);
    }
    g_assert_cmpuint(iommufd_model_pinned(b.r.m), ==, b.locked + 128 * BLOCK);
    shadow_inv(&b.r, VTD_INV_GLOBAL, 0, 0);
    block_expect(&b, 127, 0x6f);
    shadow_expect(&b.r, HOST_DEV0, 2 * IOVA, 1);
    virtio_rig_free(&b.v);
    vtd_rig_stop(&b.r);
    qpci_free_pc(b.bus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/shadow-memory/rom", test_rom);
    qtest_add_func("/vtd-nested/shadow-memory/erratum", test_erratum);
    qtest_add_func("/vtd-nested/shadow-memory/hot-plug", test_memory);
    qtest_add_func("/vtd-nested/shadow-memory/late", test_late);
    if (qtest_has_device("virtio-mem-pci")) {
        qtest_add_func("/vtd-nested/shadow-memory/blocks", test_blocks);
    }
    return g_test_run();
}
