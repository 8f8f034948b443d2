/*
 * SMMUv3 nesting: command queues of the guest's own (Tegra241 CMDQV)
 *
 * The model's hardware looks at its registers when it is told to: what happens
 * without that, QEMU has done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "smmu-nested-cmdqv.h"

#define IOVA    0x4000000000ULL
#define ASID    5

static void start(SmmuRig *r, const char *iommu, const char *props,
                  unsigned num, const char *extra)
{
    g_autofree char *host = smmu_rig_host(MAX(num, 2), iommu, "");

    smmu_rig_start(r, host, props, num, extra);
    smmu_rig_enable(r, 4);
}

/* ------------------------------------------------------------- registers */

static void test_registers(void)
{
    SmmuRig r;

    start(&r, "cmdqv=on\ncmdqv-queues=4\n", "nested=on,cmdqv=on", 1, "");
    g_assert_cmphex(rd(&r, PARAM), ==, 0x21);
    /* A page of the host's holds a queue */
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR1) >> 21 & 0x1f, ==, 8);
    wr(&r, CONFIG, 1);
    g_assert_cmphex(rd(&r, STATUS), ==, 1);
    wr(&r, VINTF(0) + VINTF_CONFIG, VCONFIG(7, 1));
    g_assert_cmphex(rd(&r, VINTF(0) + VINTF_CONFIG), ==, VCONFIG(7, 0));
    g_assert_cmphex(rd(&r, VINTF(0) + VINTF_STATUS), ==, 1);
    /* There is no other VINTF, and there are four queues */
    wr(&r, VINTF(1) + VINTF_CONFIG, VCONFIG(7, 0));
    g_assert_cmphex(rd(&r, VINTF(1) + VINTF_CONFIG), ==, 0);
    wr(&r, CMDQ_ALLOC(0), ALLOC(1, 0));
    g_assert_cmphex(rd(&r, CMDQ_ALLOC(0)) & 1, ==, 0);
    for (unsigned i = 0; i < 5; i++) {
        wr(&r, CMDQ_ALLOC(i), ALLOC(0, i));
        g_assert_cmphex(rd(&r, CMDQ_ALLOC(i)), ==, i < 4 ? ALLOC(0, i) : 0);
    }
    /* No more commands than a page holds; 64 bits at once, or each half */
    wr64(&r, LVCMDQ(0, 0) + BASE, DATA | 19);
    g_assert_cmphex(rd64(&r, LVCMDQ(0, 0) + BASE), ==, DATA | 19);
    wr(&r, LVCMDQ(0, 0) + BASE + 4, 1);
    g_assert_cmphex(rd64(&r, LVCMDQ(0, 0) + BASE), ==,
                    DATA | 1ULL << 32 | 19);
    smmu_rig_stop(&r);
}

/* ------------------------------------------------------------ the hardware */

/* The guest's table changes, and a command in @q tells of it */
static void check_tlbi(SmmuRig *r, Queue *q, bool kick)
{
    static uint16_t asid = ASID;
    uint64_t ioctls;
    SmmuS1 s1;

    smmu_rig_fill(r, 0, 0x10);
    smmu_rig_fill(r, 1, 0x11);
    s1 = smmu_rig_stage1(r, SID0, ++asid, IOVA, 0);
    g_assert_cmpint(smmu_rig_peek(r, HOST_DEV0, NULL, IOVA), ==, 0x10);
    ioctls = smmu_rig_ioctls(r);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    q_push(q, smmu_tlbi_asid(asid));
    q_push(q, smmu_sync());
    q_prod(q);
    if (kick) {
        g_assert_cmpint(smmu_rig_peek(r, HOST_DEV0, NULL, IOVA), ==, 0x10);
        kick_hw(r);
    }
    g_assert_cmpint(smmu_rig_peek(r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    g_assert_cmphex(q_rd(q, CONS), ==, q->q.index);
    g_assert_cmpuint(smmu_rig_ioctls(r) - ioctls, ==, !kick);
}

static uint64_t hw_queues(SmmuRig *r)
{
    return iommufd_model_live(r->m, "hw_queue");
}

static void test_direct(void)
{
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 1, "");
    add_vintf(&r);
    q[0] = add_queue(&r, 0);
    g_assert_cmpuint(hw_queues(&r), ==, 1);
    /* STATUS is the hardware's */
    g_assert_cmphex(q_rd(&q[0], QSTATUS), ==, 0);
    kick_hw(&r);
    g_assert_cmphex(q_rd(&q[0], QSTATUS), ==, 1);
    q[1] = add_queue(&r, 1);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    kick_hw(&r);
    check_tlbi(&r, &q[0], true);
    check_tlbi(&r, &q[1], true);
    /* By way of the VCMDQ's own registers, which QEMU sees */
    g_assert_cmphex(rd(&r, VCMDQ(1) + CONS), ==, q[1].q.index);
    smmu_rig_stop(&r);
}

/* --------------------------------------------------------------- the order */

/* A queue whose registers are all there is runs here until those below it do */
static void test_order(void)
{
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 1, "");
    add_vintf(&r);
    /* The second cannot be without the first */
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1));
    g_assert_cmphex(rd(&r, CMDQ_ALLOC(1)) & 1, ==, 0);
    wr(&r, CMDQ_ALLOC(0), ALLOC(0, 0));
    q[1] = add_queue(&r, 1);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    g_assert_cmphex(q_rd(&q[1], QSTATUS), ==, 1);
    check_tlbi(&r, &q[1], false);
    q[0] = add_queue(&r, 0);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    kick_hw(&r);
    g_assert_cmphex(q_rd(&q[1], CONS), ==, q[1].q.index);
    check_tlbi(&r, &q[1], true);
    check_tlbi(&r, &q[0], true);

    /* Another place for the first one; the second goes on */
    q_wr(&q[0], QCONFIG, 0);
    kick_hw(&r);
    smmu_queue_init(&q[0].q, &r.mem, QUEUE_BITS - 1, 16);
    wr64(&r, LVCMDQ(0, 0) + BASE, q[0].q.base | (QUEUE_BITS - 1));
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    q_wr(&q[0], PROD, 0);
    q_wr(&q[0], CONS, 0);
    q_wr(&q[0], QCONFIG, 1);
    check_tlbi(&r, &q[1], true);
    check_tlbi(&r, &q[0], true);

    /* The last one goes first */
    wr(&r, CMDQ_ALLOC(0), ALLOC(0, 0) & ~1u);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1) & ~1u);
    g_assert_cmpuint(hw_queues(&r), ==, 1);
    check_tlbi(&r, &q[0], true);
    wr(&r, CMDQ_ALLOC(0), ALLOC(0, 0) & ~1u);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    smmu_rig_stop(&r);
}

/* Off and on: of the VINTF, of all, and by a reset */
static void test_off(void)
{
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 1, "");
    for (unsigned i = 0; i < 3; i++) {
        add_vintf(&r);
        q[0] = add_queue(&r, 0);
        q[1] = add_queue(&r, 1);
        kick_hw(&r);
        g_assert_cmpuint(hw_queues(&r), ==, 2);
        if (i == 0) {
            wr(&r, VINTF(0) + VINTF_CONFIG, 0);
            g_assert_cmpuint(hw_queues(&r), ==, 0);
            g_assert_cmphex(q_rd(&q[0], QSTATUS), ==, 0);
            g_assert_cmphex(q_rd(&q[0], QCONFIG), ==, 1);
            add_vintf(&r);
            kick_hw(&r);
            g_assert_cmpuint(hw_queues(&r), ==, 2);
            check_tlbi(&r, &q[1], true);
        } else if (i == 1) {
            wr(&r, CONFIG, 0);
        } else {
            qtest_system_reset(r.qts);
        }
        if (i) {
            g_assert_cmpuint(hw_queues(&r), ==, 0);
            g_assert_cmphex(q_rd(&q[0], QCONFIG), ==, 0);
            g_assert_cmphex(rd(&r, CMDQ_ALLOC(0)), ==, 0);
        } else {
            wr(&r, CONFIG, 0);
        }
    }
    smmu_rig_stop(&r);
}

/* ---------------------------------------------- devices that come and go */

static void test_plug(void)
{
    static const char port[] = "-device pcie-root-port,id=rp0,bus=pcie.0,"
                               "addr=0x10,chassis=1 ";
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 0, port);
    smmu_rig_number(&r, 0x10, 1);
    add_vintf(&r);
    q[0] = add_queue(&r, 0);
    q[1] = add_queue(&r, 1);
    g_assert_cmphex(q_rd(&q[0], QSTATUS), ==, 1);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 2; j++) {
            q_push(&q[j], smmu_tlbi_asid(ASID));
            q_push(&q[j], smmu_sync());
            q_prod(&q[j]);
            g_assert_cmphex(q_rd(&q[j], CONS), ==, q[j].q.index);
        }
        smmu_rig_plug(&r, 0, 0x10, "dev0", HOST_DEV0);
        g_assert_cmpuint(hw_queues(&r), ==, 2);
        kick_hw(&r);
        for (unsigned j = 0; j < 2; j++) {
            g_assert_cmphex(q_rd(&q[j], CONS), ==, q[j].q.index);
            q_push(&q[j], smmu_tlbi_asid(ASID));
            q_push(&q[j], smmu_sync());
            q_prod(&q[j]);
        }
        /* What the host had not done by then is done here */
        if (i) {
            g_assert_cmpuint(kick_hw(&r), ==, 4);
        }
        smmu_rig_unplug(&r, 0x10, "dev0");
        g_assert_cmpuint(iommufd_model_live(r.m, "viommu"), ==, 0);
        for (unsigned j = 0; j < 2; j++) {
            while (q_rd(&q[j], CONS) != q[j].q.index) {
                g_usleep(1000);
            }
        }
    }
    smmu_rig_stop(&r);
}

/* ------------------------------------------------------------------ errors */

/* The first device of the platform bus has its fifth interrupt (GICv3) */
#define INTID       (32 + 112 + 4)
#define GICD_ISPENDR    (0x08000200 + INTID / 32 * 4)
#define GICD_ICPENDR    (0x08000280 + INTID / 32 * 4)
#define GICD_ICFGR      (0x08000c00 + INTID / 16 * 4)

static bool irq_taken(SmmuRig *r)
{
    uint32_t bit = 1u << INTID % 32;
    bool pending;

    /* The main loop has read the host's queue by then */
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'query-status' }");
    pending = qtest_readl(r->qts, GICD_ISPENDR) & bit;
    qtest_writel(r->qts, GICD_ICPENDR, bit);
    return pending;
}

static void check_error(SmmuRig *r, Queue *q, bool hw)
{
    SmmuCmd sync = smmu_sync();
    uint32_t at = q->q.index;

    q_push(q, smmu_cfgi_ste_all());
    q_push(q, smmu_sync());
    q_prod(q);
    if (hw) {
        g_assert_cmphex(q_rd(q, GERROR), ==, q_rd(q, GERRORN));
        kick_hw(r);
    }
    g_assert_cmphex(q_rd(q, CONS), ==, CERROR_ILL << 24 | at);
    g_assert_cmphex(q_rd(q, GERROR) ^ q_rd(q, GERRORN), ==, 1);
    g_assert_true(irq_taken(r));
    g_assert_cmphex(rd(r, VINTF_ERR_MAP), ==, 1);
    g_assert_cmphex(rd64(r, VINTF(0) + LVCMDQ_ERR_MAP), ==, 1 << q->lvcmdq);
    g_assert_cmphex(rd(r, CMDQ_ERR_MAP), ==, 1 << q->lvcmdq);
    iommu_mem_write_qwords(&r->mem, q->q.base +
                           (at & ((1u << QUEUE_BITS) - 1)) * 16, sync.dw, 2);
    q_wr(q, GERRORN, q_rd(q, GERROR));
    if (hw) {
        kick_hw(r);
    }
    /* The code counts for nothing then */
    g_assert_cmphex(q_rd(q, CONS) & 0xfffff, ==, q->q.index);
    g_assert_cmphex(rd(r, VINTF_ERR_MAP), ==, 0);
    g_assert_false(irq_taken(r));
}

static void test_errors(void)
{
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 1, "");
    qtest_writel(r.qts, GICD_ICFGR, 2u << INTID % 16 * 2);
    add_vintf(&r);
    wr(&r, CMDQ_ALLOC(0), ALLOC(0, 0));
    q[1] = add_queue(&r, 1);
    check_error(&r, &q[1], false);
    q[0] = add_queue(&r, 0);
    kick_hw(&r);
    check_error(&r, &q[1], true);
    check_error(&r, &q[0], true);

    /* One that stands at an error comes back as it is, and goes only without */
    q_push(&q[0], smmu_cfgi_ste_all());
    q_prod(&q[0]);
    kick_hw(&r);
    g_assert_true(irq_taken(&r));
    wr(&r, VINTF(0) + VINTF_CONFIG, 0);
    add_vintf(&r);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    g_assert_cmphex(q_rd(&q[0], CONS) >> 24, ==, CERROR_ILL);
    g_assert_cmphex(rd64(&r, VINTF(0) + LVCMDQ_ERR_MAP), ==, 1);
    iommu_mem_write_qwords(&r.mem, q[0].q.base + (q_rd(&q[0], CONS) & 0xff) *
                           16, smmu_sync().dw, 2);
    q_wr(&q[0], GERRORN, q_rd(&q[0], GERROR));
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    kick_hw(&r);
    check_tlbi(&r, &q[0], true);
    smmu_rig_stop(&r);
}

static void fail_queue(SmmuRig *r, unsigned nth)
{
    iommufd_model_do(r->m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HW_QUEUE_ALLOC:%u:errno=ENOMEM\"}", nth);
}

/* A queue that the host does not make: all are here; and are tried again */
static void test_no_queue(void)
{
    Queue q[2];
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 1, "");
    add_vintf(&r);
    fail_queue(&r, 1);
    q[0] = add_queue(&r, 0);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    check_tlbi(&r, &q[0], false);
    fail_queue(&r, 2);
    q[1] = add_queue(&r, 1);
    g_assert_cmpuint(iommufd_model_counter(r.m, "HW_QUEUE_ALLOC", "errors"),
                     ==, 2);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    kick_hw(&r);
    check_tlbi(&r, &q[0], true);
    check_tlbi(&r, &q[1], true);

    /* The second one fails while the first one is the host's */
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1) & ~1u);
    g_assert_cmpuint(hw_queues(&r), ==, 1);
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1));
    fail_queue(&r, 1);
    wr64(&r, LVCMDQ(0, 1) + BASE, q[1].q.base | QUEUE_BITS);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    check_tlbi(&r, &q[0], false);
    q[1] = add_queue(&r, 1);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    kick_hw(&r);
    check_tlbi(&r, &q[1], true);

    /* Not in one piece, not in memory, not aligned */
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1) & ~1u);
    wr(&r, CMDQ_ALLOC(1), ALLOC(0, 1));
    wr64(&r, LVCMDQ(0, 1) + BASE, 0x10000 | QUEUE_BITS);
    g_assert_cmpuint(hw_queues(&r), ==, 0);
    wr64(&r, LVCMDQ(0, 1) + BASE, (q[1].q.base + 0x800) | QUEUE_BITS);
    g_assert_cmpuint(hw_queues(&r), ==, 2);
    smmu_rig_stop(&r);
}

/* ---------------------------------------------------------------- refusals */

static void test_refusals(void)
{
    g_autofree char *without = smmu_rig_host(1, "", "");
    g_autofree char *used_up = smmu_rig_host(1, "cmdqv=on\ncmdqv-vintfs=1\n",
                                             "");
    g_autofree char *few = smmu_rig_host(2, "cmdqv=on\ncmdqv-sids=1\n", "");
    g_autofree char *with = smmu_rig_host(1, "cmdqv=on\n", "");
    SmmuRig r;

    smmu_rig_expect_refusal(without, "nested=on,cmdqv=on", 1, "cmdqv=on: ");
    smmu_rig_expect_refusal(used_up, "nested=on,cmdqv=on", 1,
                            "No space left on device");
    smmu_rig_expect_refusal(few, "nested=on,cmdqv=on", 2, "for 1 devices");
    smmu_rig_expect_refusal(with, "cmdqv=on", 0, "needs nested=on");
    smmu_rig_expect_refusal(with, "nested=on,cmdqv=on,host-fwb=on", 1,
                            "one or the other");

    /* What can be had, auto has; else there is nothing */
    for (unsigned i = 0; i < 3; i++) {
        smmu_rig_start(&r, i == 2 ? with : i ? used_up : without,
                       "nested=on,cmdqv=auto", 1, "");
        g_assert_cmphex(rd(&r, PARAM), ==, i == 2 ? 0x11 : 0);
        g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR1) >> 21 & 0x1f, ==,
                         i == 2 ? 8 : 19);
        smmu_rig_stop(&r);
    }
}

/*
 * A guest that has been promised queues, and a host that has no VINTF left when
 * a device comes: QEMU carries them out, if it may
 */
static void test_used_up(void)
{
    static const char port[] = "-device pcie-root-port,id=rp0,bus=pcie.0,"
                               "addr=0x10,chassis=1 -device vfio-pci,id=dev0,"
                               "host=" HOST_DEV0 ",iommufd=iommufd0,bus=rp0 ";
    static const char *const props[] = {
        "nested=on,cmdqv=auto", "nested=on,cmdqv=on",
    };

    for (unsigned i = 0; i < 2; i++) {
        SmmuRig r;
        Queue q;

        start(&r, "cmdqv=on\n", props[i], 0, port);
        smmu_rig_number(&r, 0x10, 1);
        add_vintf(&r);
        q = add_queue(&r, 0);
        g_assert_cmpuint(hw_queues(&r), ==, 1);
        smmu_rig_unplug(&r, 0x10, "dev0");
        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"VIOMMU_ALLOC:2:errno=ENOSPC\"}");
        if (i) {
            g_autofree char *why = nested_rig_plug_refusal(r.qts, 0, "dev0",
                                                           HOST_DEV0);

            g_assert_nonnull(strstr(why, "cmdqv=on: "));
            g_assert_nonnull(strstr(why, "No space left"));
        } else {
            smmu_rig_plug(&r, 0, 0x10, "dev0", HOST_DEV0);
            g_assert_cmpuint(iommufd_model_live(r.m, "viommu"), ==, 1);
            smmu_rig_unplug(&r, 0x10, "dev0");
        }
        g_assert_cmpuint(hw_queues(&r), ==, 0);
        q_push(&q, smmu_tlbi_asid(ASID));
        q_push(&q, smmu_sync());
        q_prod(&q);
        g_assert_cmphex(q_rd(&q, CONS), ==, q.q.index);
        /* And when there is one again */
        smmu_rig_plug(&r, 0, 0x10, "dev0", HOST_DEV0);
        g_assert_cmpuint(hw_queues(&r), ==, 1);
        smmu_rig_stop(&r);
    }
}

/* One page of registers, of one SMMU of the host */
static void test_two_smmus(void)
{
    static const char host[] =
        "[host]\narch=smmuv3\n"
        "[iommu 0]\ncmdqv=on\n[iommu 1]\ncmdqv=on\n"
        "[device " HOST_DEV0 "]\niommu=0\n"
        "[device " HOST_DEV1 "]\niommu=1\n";

    smmu_rig_expect_refusal(host, "nested=on,cmdqv=on", 2,
                            "behind another IOMMU of the host");
}

static void test_migration(void)
{
    QDict *error;
    SmmuRig r;

    start(&r, "cmdqv=on\n", "nested=on,cmdqv=on", 0, "");
    error = qtest_qmp_assert_failure_ref(r.qts,
        "{ 'execute': 'migrate', 'arguments': { 'uri': 'exec:cat' } }");
    g_assert_nonnull(strstr(qdict_get_str(error, "desc"), "use cmdqv=off"));
    qobject_unref(error);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/cmdqv/registers", test_registers);
    qtest_add_func("/smmu-nested/cmdqv/direct", test_direct);
    qtest_add_func("/smmu-nested/cmdqv/order", test_order);
    qtest_add_func("/smmu-nested/cmdqv/off", test_off);
    qtest_add_func("/smmu-nested/cmdqv/plug", test_plug);
    qtest_add_func("/smmu-nested/cmdqv/errors", test_errors);
    qtest_add_func("/smmu-nested/cmdqv/no-queue", test_no_queue);
    qtest_add_func("/smmu-nested/cmdqv/refusals", test_refusals);
    qtest_add_func("/smmu-nested/cmdqv/used-up", test_used_up);
    qtest_add_func("/smmu-nested/cmdqv/two-smmus", test_two_smmus);
    qtest_add_func("/smmu-nested/cmdqv/migration", test_migration);
    return g_test_run();
}
