/*
 * VT-d nesting: registers whose writes are for all of the tables
 *
 * Their status tells when that is over, and others have their turn meanwhile.
 * While the VM is stopped the write is worth the first turn exactly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "vtd-migration-rig.h"
#include "vtd-shadow-rig.h"

#define PASIDS      1024
#define LATE        (PASIDS - 1)    /* looked at in the last turn */
/* include/hw/iommufd-turn.h */
#define TURN        4096
#define CALL        16

#define REG_CCMD_HI 0x2c
#define CCMD_ICC    (1u << 31)
#define CCMD_GLOBAL (1u << 29)
#define REG_IOTLB_HI 0xfc
#define IOTLB_IVT   (1u << 31)
#define IOTLB_GLOBAL (1u << 28)

#define FEATURES    "nested=on,x-pasid-mode=on,pasid-bits=14"
#define ON          (VTD_GCMD_TE | VTD_GCMD_QIE)

static uint64_t counter(VtdRig *r, const char *name)
{
    return nested_rig_counter(r->qts, "counters", name);
}

static uint64_t attaches(VtdRig *r)
{
    return counter(r, "attaches") + counter(r, "detaches");
}

static void stop(VtdRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
}

static void cont(VtdRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
}

/* PASIDs from 0 on, all with one table that maps IOVA to @page */
static void fill(VtdRig *r, unsigned page)
{
    VtdPasidEntry pe = {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(r, IOVA, page),
        .s1_levels = 4,
    };
    uint64_t entry[8], many[512];

    vtd_context_scalable(&r->t, RID0, 14, VTD_CTX_PASIDE, 0);
    for (unsigned i = 0; i < PASIDS; i += 64) {
        uint64_t at = vtd_pasid_entry(&r->t, RID0, i);

        vtd_pasid_set(&r->t, RID0, i, &pe);
        qtest_bufread(r->qts, at, entry, sizeof(entry));
        for (unsigned j = 0; j < 512; j++) {
            many[j] = entry[j % 8];
        }
        qtest_bufwrite(r->qts, at, many, sizeof(many));
    }
}

/* Nobody has been told of the PASIDs yet */
static void start_with(VtdRig *r, const char *device, const char *extra)
{
    g_autofree char *host = vtd_rig_host(1, "", device);

    vtd_rig_start(r, host, FEATURES, 1, extra);
    vtd_rig_enable_sva(r, RID0);
    vtd_rig_enable(r);
    for (unsigned page = 0; page < 2; page++) {
        vtd_rig_fill(r, page, 1 + page);
    }
    fill(r, 0);
}

static void start(VtdRig *r)
{
    start_with(r, "", "");
}

/* What a late PASID leads to; 0: nowhere */
static void expect(VtdRig *r, uint8_t value)
{
    const IommufdDma how = { .with_pasid = true, .pasid = LATE };

    if (value) {
        iommufd_model_expect_data(r->m, HOST_DEV0, &how, IOVA, value, 16);
    } else {
        iommufd_model_expect_fault(r->m, HOST_DEV0, &how, IOVA, false, 0,
                                   NULL);
    }
}

static void write_reg(VtdRig *r, uint64_t reg, uint32_t value)
{
    r->regs.write32(r->regs.opaque, reg, value);
}

static uint32_t read_reg(VtdRig *r, uint64_t reg)
{
    return r->regs.read32(r->regs.opaque, reg);
}

/*
 * Write a register in a VM that is stopped, where @bit of @poll is to become
 * @set and has not yet
 */
static void write_stopped(VtdRig *r, uint64_t reg, uint32_t value,
                          uint64_t poll, uint32_t bit, bool set)
{
    uint64_t turns = counter(r, "turns-put-off"), calls = attaches(r);

    stop(r);
    write_reg(r, reg, value);
    g_assert_cmphex(read_reg(r, poll) & bit, ==, set ? 0 : bit);
    g_assert_cmpuint(counter(r, "turns-put-off"), ==, turns + 1);
    g_assert_cmpuint(attaches(r) - calls, <=, TURN / CALL);
    g_usleep(20000);
    g_assert_cmphex(read_reg(r, poll) & bit, ==, set ? 0 : bit);
}

static void check(VtdRig *r, uint64_t reg, uint32_t value, uint64_t poll,
                  uint32_t bit, bool set)
{
    uint64_t turns = counter(r, "turns-put-off");

    write_stopped(r, reg, value, poll, bit, set);
    cont(r);
    vtd_rig_wait(r, poll, bit, set);
    g_assert_cmpuint(counter(r, "turns-put-off") - turns, >=,
                     PASIDS * CALL / TURN - 1);
}

static void test_gcmd(void)
{
    VtdRig r;

    start(&r);
    check(&r, VTD_REG_GCMD, ON | VTD_GCMD_SRTP, VTD_REG_GSTS, VTD_GCMD_SRTP,
          true);
    expect(&r, 1);
    check(&r, VTD_REG_GCMD, VTD_GCMD_QIE, VTD_REG_GSTS, VTD_GCMD_TE, false);
    expect(&r, 0);
    check(&r, VTD_REG_GCMD, ON, VTD_REG_GSTS, VTD_GCMD_TE, true);
    expect(&r, 1);
    vtd_rig_stop(&r);
}

/* The queue may be turned off behind a wait descriptor only */
static void queue_off(VtdRig *r)
{
    vtd_rig_sync(r);
    write_reg(r, VTD_REG_GCMD, VTD_GCMD_TE);
}

static void test_ccmd(void)
{
    VtdRig r;

    start(&r);
    queue_off(&r);
    check(&r, REG_CCMD_HI, CCMD_ICC | CCMD_GLOBAL, REG_CCMD_HI, CCMD_ICC,
          false);
    expect(&r, 1);
    for (unsigned i = 64; i < PASIDS; i += 64) {
        qtest_memset(r.qts, vtd_pasid_entry(&r.t, RID0, i), 0, 4096);
    }
    check(&r, REG_CCMD_HI, CCMD_ICC | CCMD_GLOBAL, REG_CCMD_HI, CCMD_ICC,
          false);
    expect(&r, 0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 1, 16);
    vtd_rig_stop(&r);
}

/* Another root table while the first is read: what holds is the second */
static void test_again(void)
{
    VtdRig r;

    start(&r);
    write_stopped(&r, VTD_REG_GCMD, ON | VTD_GCMD_SRTP, VTD_REG_GSTS,
                  VTD_GCMD_SRTP, true);
    vtd_tables_init(&r.t, &r.mem, true);
    fill(&r, 1);
    r.regs.write64(r.regs.opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(&r.t));
    write_reg(&r, VTD_REG_GCMD, ON | VTD_GCMD_SRTP);
    g_assert_cmphex(read_reg(&r, VTD_REG_GSTS) & VTD_GCMD_SRTP, ==, 0);
    cont(&r);
    vtd_rig_wait(&r, VTD_REG_GSTS, VTD_GCMD_SRTP, true);
    expect(&r, 2);
    vtd_rig_stop(&r);
}

/* The queue comes behind what was asked for before */
static void test_queue(void)
{
    uint32_t ticket;
    VtdRig r;

    start(&r);
    write_stopped(&r, VTD_REG_GCMD, ON | VTD_GCMD_SRTP, VTD_REG_GSTS,
                  VTD_GCMD_SRTP, true);
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    g_assert_false(vtd_queue_done(&r.q, ticket));
    cont(&r);
    for (unsigned i = 0; !vtd_queue_done(&r.q, ticket); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    g_assert_cmphex(read_reg(&r, VTD_REG_GSTS) & VTD_GCMD_SRTP, !=, 0);
    expect(&r, 1);
    vtd_rig_stop(&r);
}

/* A reset while the guest waits */
static void test_reset(void)
{
    VtdRig r;

    start(&r);
    write_stopped(&r, VTD_REG_GCMD, ON | VTD_GCMD_SRTP, VTD_REG_GSTS,
                  VTD_GCMD_SRTP, true);
    qtest_system_reset(r.qts);
    cont(&r);
    g_usleep(20000);
    g_assert_cmphex(read_reg(&r, VTD_REG_GSTS), ==, 0);
    vtd_rig_enable(&r);
    g_assert_cmphex(read_reg(&r, VTD_REG_GSTS) & VTD_GCMD_TE, ==, VTD_GCMD_TE);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 0));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 1, 16);
    vtd_rig_stop(&r);
}

/* State that is saved half-way: here it goes on, there it is over */
static void test_migration(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "migration=on\n");
    g_autofree char *file = nested_rig_scratch("state");
    VtdRig src, dst;

    start_with(&src, "migration=on\n", "");
    write_stopped(&src, VTD_REG_GCMD, ON | VTD_GCMD_SRTP, VTD_REG_GSTS,
                  VTD_GCMD_SRTP, true);
    vtd_migration_save(&src, file);
    g_assert_cmphex(read_reg(&src, VTD_REG_GSTS) & VTD_GCMD_SRTP, ==, 0);

    vtd_rig_start(&dst, host, FEATURES, 1, "-incoming defer");
    vtd_rig_take_over(&dst, &src);
    g_assert_null(vtd_migration_load(&dst, file));
    g_assert_cmphex(read_reg(&dst, VTD_REG_GSTS) & ON, ==, ON);
    g_assert_cmphex(read_reg(&dst, VTD_REG_GSTS) & VTD_GCMD_SRTP, !=, 0);
    cont(&dst);
    expect(&dst, 1);

    cont(&src);
    vtd_rig_wait(&src, VTD_REG_GSTS, VTD_GCMD_SRTP, true);
    expect(&src, 1);
    vtd_rig_stop(&dst);
    vtd_rig_stop(&src);
    nested_rig_scratch_remove(file);
}

/* ------------------------------------------------------ bits of the device */

static void test_config(void)
{
    uint64_t at, calls;
    unsigned pos;
    VtdRig r;

    start(&r);
    pos = vtd_rig_ext_cap(&r, RID0, PCI_EXT_CAP_ID_PASID) + PCI_PASID_CTRL;
    at = vtd_rig_config_addr(RID0, pos);
    qtest_writew(r.qts, at, 0);
    vtd_rig_inv_context(&r, RID0);
    expect(&r, 0);
    for (int on = 1; on >= 0; on--) {
        calls = attaches(&r);
        stop(&r);
        qtest_writew(r.qts, at, on ? PCI_PASID_CTRL_ENABLE : 0);
        g_assert_cmpuint(attaches(&r) - calls, >, 0);
        g_assert_cmpuint(attaches(&r) - calls, <=, TURN / CALL);
        cont(&r);
        for (unsigned i = 0; attaches(&r) - calls < PASIDS - 1; i++) {
            g_assert_cmpuint(i, <, 60000);
            g_usleep(1000);
        }
        expect(&r, on);
    }
    vtd_rig_stop(&r);
}

/* A wait descriptor can write them: that is no turn of its own */
static void test_config_by_queue(void)
{
    const unsigned num = 3000;
    uint64_t at, turns;
    unsigned head;
    VtdRig r;

    start(&r);
    vtd_context_scalable(&r.t, RID0, 14, 0, 0);
    queue_off(&r);
    vtd_queue_init(&r.q, &r.mem, 5, true);
    vtd_enable(&r.regs, &r.t, &r.q);
    at = vtd_rig_config_addr(RID0, vtd_rig_ext_cap(&r, RID0,
                                                   PCI_EXT_CAP_ID_PASID));
    for (unsigned i = 0; i < num; i++) {
        vtd_queue_push(&r.q, vtd_inv_wait(at + 4, i % 2));
    }
    turns = counter(&r, "turns-put-off");
    stop(&r);
    vtd_queue_kick(&r.q, &r.regs);
    head = vtd_rig_head(&r);
    g_assert_cmpuint(head, <, num);
    g_assert_cmpuint(counter(&r, "turns-put-off"), ==, turns + 1);
    g_usleep(20000);
    g_assert_cmpuint(vtd_rig_head(&r), ==, head);
    vtd_rig_stop(&r);
}

/* ---------------------------------------------------------------- shadows */

#define SHADOWED    4096u

static uint64_t copies(VtdRig *r)
{
    return iommufd_model_counter(r->m, "IOAS_COPY", "calls");
}

static void test_shadow(void)
{
    uint64_t ss;
    VtdRig r;

    shadow_start(&r, 64);
    ss = shadow_scattered(&r, IOVA, SHADOWED, DATA);
    vtd_context_legacy(&r.t, RID0, 0, ss, 4, DID);
    vtd_rig_translation(&r, false);
    stop(&r);
    write_reg(&r, VTD_REG_GCMD, ON);
    g_assert_cmphex(read_reg(&r, VTD_REG_GSTS) & VTD_GCMD_TE, ==, 0);
    g_assert_cmpuint(copies(&r), <=, TURN / CALL);
    cont(&r);
    vtd_rig_wait(&r, VTD_REG_GSTS, VTD_GCMD_TE, true);
    g_assert_cmpuint(copies(&r), ==, SHADOWED);
    shadow_expect(&r, HOST_DEV0, IOVA + (SHADOWED - 1) * PAGE,
                  (SHADOWED - 1) % 64 ^ 1);

    /* Stale as a whole */
    shadow_unmap(&r, ss, 4, IOVA, PAGE);
    vtd_rig_translation(&r, false);
    vtd_rig_translation(&r, true);
    shadow_expect_none(&r, HOST_DEV0, IOVA);

    /* Another page directory, and no queue */
    queue_off(&r);
    iommu_mem_write64(&r.mem, ss, iommu_mem_read64(&r.mem,
        shadow_scattered(&r, IOVA, SHADOWED, DATA)));
    stop(&r);
    write_reg(&r, REG_IOTLB_HI, IOTLB_IVT | IOTLB_GLOBAL);
    g_assert_cmphex(read_reg(&r, REG_IOTLB_HI) & IOTLB_IVT, !=, 0);
    cont(&r);
    vtd_rig_wait(&r, REG_IOTLB_HI, IOTLB_IVT, false);
    shadow_expect(&r, HOST_DEV0, IOVA, 1);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/register/gcmd", test_gcmd);
    qtest_add_func("/vtd-nested/register/ccmd", test_ccmd);
    qtest_add_func("/vtd-nested/register/again", test_again);
    qtest_add_func("/vtd-nested/register/queue", test_queue);
    qtest_add_func("/vtd-nested/register/reset", test_reset);
    qtest_add_func("/vtd-nested/register/migration", test_migration);
    qtest_add_func("/vtd-nested/register/config", test_config);
    qtest_add_func("/vtd-nested/register/config-by-queue",
                   test_config_by_queue);
    qtest_add_func("/vtd-nested/register/shadow", test_shadow);
    return g_test_run();
}
