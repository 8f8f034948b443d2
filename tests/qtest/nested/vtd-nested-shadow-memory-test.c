/*
 * VT-d nesting: the memory that second-stage tables of the guest lead to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
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
 * Memory that thousands of entries have been waiting for: that is done at once
 * up to a limit. Beyond it the device is blocked until its table has been read
 * in turns.
 */
static void test_late(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    /* include/hw/iommufd-turn.h: 64 turns, each with so many calls */
    const unsigned turn = 4096 / 16, num = 66 * turn;
    uint64_t dimm = 4 * GiB, last = IOVA + (num - 1) * PAGE;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on", 1, "-m 128M,slots=1,maxmem=512M");
    vtd_rig_enable_legacy(&r);
    shadow_legacy(&r, RID0, shadow_scattered(&r, IOVA, num, dimm), 4);
    shadow_expect_none(&r, HOST_DEV0, IOVA);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'stop' }");
    plug(&r);
    qtest_memset(r.qts, dimm, 0x77, 64 * PAGE);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; vtd_rig_peek(&r, HOST_DEV0, NULL, last) < 0; i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x77, 64);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, last, 0x77, 64);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/shadow-memory/rom", test_rom);
    qtest_add_func("/vtd-nested/shadow-memory/erratum", test_erratum);
    qtest_add_func("/vtd-nested/shadow-memory/hot-plug", test_memory);
    qtest_add_func("/vtd-nested/shadow-memory/late", test_late);
    return g_test_run();
}
