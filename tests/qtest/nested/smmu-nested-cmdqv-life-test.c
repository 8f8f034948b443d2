/*
 * SMMUv3 nesting: command queues of the guest's own, with whatever happens
 *
 * Queues go to the host and come back while commands are in them: each is
 * carried out, by one or the other, before its CMD_SYNC is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "smmu-nested-cmdqv.h"
#include "sva-engine-rig.h"

#define IOVA    0x4000000000ULL
#define SLOT    0x10
#define SID     0x100
#define NUM     2
#define PORT    "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10,chassis=1 "

typedef struct Life {
    SmmuRig r;
    Queue q[NUM];
    unsigned num;               /* queues that are there */
    bool plugged;
    uint16_t asid;
} Life;

static void start(Life *l)
{
    g_autofree char *host = smmu_rig_host(1, "cmdqv=on\ncmdqv-vintfs=64\n", "");

    *l = (Life) { };
    smmu_rig_start(&l->r, host, "nested=on,cmdqv=on,ats=on", 0, PORT);
    smmu_rig_enable(&l->r, 4);
    smmu_rig_number(&l->r, SLOT, SID >> 8);
    smmu_rig_fill(&l->r, 0, 0x10);
    smmu_rig_fill(&l->r, 1, 0x11);
}

static void add(Life *l)
{
    l->q[l->num] = add_queue(&l->r, l->num);
    l->num++;
}

/* Returns: whether the host took it */
static bool plug(Life *l)
{
    QDict *answer = qtest_qmp(l->r.qts, "{ 'execute': 'device_add', "
                              "'arguments': { 'driver': 'vfio-pci', "
                              "'id': 'dev0', 'bus': 'rp0', 'host': %s, "
                              "'iommufd': 'iommufd0' } }", HOST_DEV0);

    l->plugged = !qdict_haskey(answer, "error");
    qobject_unref(answer);
    if (l->plugged) {
        smmu_rig_power(&l->r, SLOT);
    }
    return l->plugged;
}

static void unplug(Life *l)
{
    smmu_rig_unplug(&l->r, SLOT, "dev0");
    l->plugged = false;
}

/* Whoever has it: what is in it is done */
static void settle(Life *l, const Queue *q)
{
    q_prod((Queue *)q);
    for (unsigned i = 0; i < 2000; i++) {
        kick_hw(&l->r);
        g_assert_cmphex(q_rd(q, GERROR), ==, q_rd(q, GERRORN));
        if ((q_rd(q, CONS) & 0xfffff) == q->q.index) {
            return;
        }
        g_usleep(1000);
    }
    g_assert_not_reached();
}

static void sync_queue(Life *l, Queue *q)
{
    q_push(q, smmu_sync());
    settle(l, q);
}

/* The guest's table changes while something may be going on: @what */
static void check(Life *l, Queue *q, void (*what)(Life *l))
{
    SmmuS1 s1 = smmu_rig_stage1(&l->r, SID, ++l->asid, IOVA, 0);

    if (l->plugged) {
        g_assert_cmpint(smmu_rig_peek(&l->r, HOST_DEV0, NULL, IOVA), ==, 0x10);
    }
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    q_push(q, smmu_tlbi_va(l->asid, IOVA, true));
    q_prod(q);
    if (what) {
        what(l);
    }
    sync_queue(l, q);
    if (l->plugged) {
        g_assert_cmpint(smmu_rig_peek(&l->r, HOST_DEV0, NULL, IOVA), ==, 0x11);
    }
}

/* ---------------------------------------------------------------- one call */

/* Returns: whether there was an @nth call to fail */
static bool fail_one(Life *l, const char *call, unsigned nth)
{
    uint64_t errors = iommufd_model_counter(l->r.m, call, "errors");

    iommufd_model_do(l->r.m, "{\"cmd\":\"fault\",\"on\":\"%s:%u:errno=%s\"}",
                     call, nth, nth % 2 ? "ENOMEM" : "EBUSY");
    if (plug(l)) {
        check(l, &l->q[0], NULL);
        check(l, &l->q[1], NULL);
        unplug(l);
    }
    for (unsigned i = 0; i < NUM; i++) {
        q_push(&l->q[i], smmu_tlbi_asid(1));
        sync_queue(l, &l->q[i]);
    }
    iommufd_model_do(l->r.m, "{\"cmd\":\"fault-clear\"}");
    return iommufd_model_counter(l->r.m, call, "errors") > errors;
}

static void test_sweep(void)
{
    static const char *const calls[] = {
        "GET_HW_INFO", "VIOMMU_ALLOC", "VEVENTQ_ALLOC", "HW_QUEUE_ALLOC",
        "DESTROY",
    };
    unsigned total = 0;
    Life l;

    start(&l);
    add_vintf(&l.r);
    add(&l);
    add(&l);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        unsigned nth = 1;

        while (fail_one(&l, calls[i], nth)) {
            nth++;
        }
        g_test_message("%s: %u", calls[i], nth - 1);
        total += nth - 1;
    }
    g_assert_cmpuint(total, >, 15);
    g_assert_true(plug(&l));
    g_assert_cmpuint(iommufd_model_live(l.r.m, "hw_queue"), ==, NUM);
    check(&l, &l.q[0], NULL);
    smmu_rig_stop(&l.r);
}

/* ------------------------------------------------------------------- random */

static void op_plug(Life *l)
{
    if (l->plugged) {
        unplug(l);
    } else {
        g_assert_true(plug(l));
    }
}

static void op_vintf(Life *l)
{
    wr(&l->r, VINTF(0) + VINTF_CONFIG, 0);
    add_vintf(&l->r);
}

static void op_fail(Life *l)
{
    iommufd_model_do(l->r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HW_QUEUE_ALLOC:%d:errno=ENOMEM\"}",
                     g_test_rand_int_range(1, 3));
    op_vintf(l);
}

/* The other one comes or goes, or the last one is somewhere else */
static void op_queue(Life *l)
{
    if (l->num < NUM) {
        add(l);
    } else {
        sync_queue(l, &l->q[1]);
        wr(&l->r, CMDQ_ALLOC(1), 0);
        l->num--;
    }
}

static void op_enable(Life *l)
{
    Queue *q = &l->q[l->num - 1];

    q_wr(q, QCONFIG, 0);
    kick_hw(&l->r);
    q_wr(q, QCONFIG, 1);
}

static void op_kick(Life *l)
{
    kick_hw(&l->r);
}

/* A command that may not be there is made a CMD_SYNC */
static void op_error(Life *l)
{
    Queue *q = &l->q[0];
    SmmuCmd sync = smmu_sync();
    uint32_t at = q->q.index & ((1u << QUEUE_BITS) - 1);

    q_push(q, smmu_cfgi_ste_all());
    q_prod(q);
    for (unsigned i = 0; i < 2000 && q_rd(q, GERROR) == q_rd(q, GERRORN);
         i++) {
        kick_hw(&l->r);
        g_usleep(100);
    }
    g_assert_cmphex(q_rd(q, CONS), ==, CERROR_ILL << 24 |
                    ((q->q.index - 1) & ((2u << QUEUE_BITS) - 1)));
    g_assert_cmphex(rd(&l->r, VINTF(0) + LVCMDQ_ERR_MAP), ==, 1);
    if (g_test_rand_int_range(0, 2)) {
        op_vintf(l);
    }
    iommu_mem_write_qwords(&l->r.mem, q->q.base + at * 16, sync.dw, 2);
    q_wr(q, GERRORN, q_rd(q, GERROR));
}

static void test_random(void)
{
    void (*const ops[])(Life *l) = {
        op_plug, op_plug, op_vintf, op_fail, op_queue, op_enable, op_kick,
        op_error,
    };
    Life l;

    start(&l);
    for (unsigned round = 0; round < 4; round++) {
        add_vintf(&l.r);
        l.num = 0;
        add(&l);
        for (unsigned i = 0; i < 20; i++) {
            check(&l, &l.q[0],
                  ops[g_test_rand_int_range(0, ARRAY_SIZE(ops))]);
        }
        /* Off, with commands in them */
        q_push(&l.q[0], smmu_tlbi_asid(1));
        q_prod(&l.q[0]);
        if (round % 2) {
            wr(&l.r, CONFIG, 0);
        } else {
            qtest_system_reset(l.r.qts);
            smmu_rig_enable(&l.r, 4);
            smmu_rig_number(&l.r, SLOT, SID >> 8);
        }
        g_assert_cmpuint(iommufd_model_live(l.r.m, "hw_queue"), ==, 0);
        iommufd_model_do(l.r.m, "{\"cmd\":\"fault-clear\"}");
    }
    smmu_rig_stop(&l.r);
}

/* ------------------------------------------------------ emulated endpoints */

#define ENGINE_SID  RIG_DEVFN
#define ENGINE_FROM 0x2000000
#define ENGINE_TO   0x3000000
#define DEVICES     "-device sva-engine,bus=pcie.0,addr=4 " \
                    "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0," \
                    "bus=pcie.0,addr=5"

/* By way of its buffer */
static unsigned engine_peek(SmmuRig *r, Rig *engine)
{
    g_assert_cmpuint(rig_simple(engine, ENGINE_FROM, true), ==,
                     SVA_CODE_OK);
    g_assert_cmpuint(rig_simple(engine, ENGINE_TO, false), ==,
                     SVA_CODE_OK);
    return qtest_readb(r->qts, DATA + 5 * 4096);
}

/* The host is told of what changes for them, and nobody else */
static void test_emulated(void)
{
    g_autofree char *host = smmu_rig_host(1, "cmdqv=on\n", "");
    Rig engine = {
        .ecam = 0x4010000000, .bar0 = 0x10000000, .bar2 = 0x10100000,
    };
    SmmuS1 s1;
    SmmuRig r;
    Queue q;

    smmu_rig_start(&r, host, "nested=on,cmdqv=on", 0, DEVICES);
    engine.qts = r.qts;
    rig_enable(&engine);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_stage1(&r, ENGINE_SID, 40, ENGINE_FROM, 0);
    smmu_s1_map(&s1, ENGINE_TO, DATA + 5 * 4096, 4096, 12, SMMU_PTE_USER_RW);
    add_vintf(&r);
    q = add_queue(&r, 0);
    kick_hw(&r);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmphex(engine_peek(&r, &engine), ==, 0x10 + i % 2);
        smmu_s1_map(&s1, ENGINE_FROM, DATA + (1 - i % 2) * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        q_push(&q, smmu_tlbi_va(40, ENGINE_FROM, true));
        q_push(&q, smmu_sync());
        q_prod(&q);
        g_assert_cmpuint(kick_hw(&r), ==, 2);
    }
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/cmdqv-life/sweep", test_sweep);
    qtest_add_func("/smmu-nested/cmdqv-life/random", test_random);
    qtest_add_func("/smmu-nested/cmdqv-life/emulated", test_emulated);
    return g_test_run();
}
