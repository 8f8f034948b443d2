/*
 * arm-smmuv3 as the SMMU of an emulated host, host-cmdqv=on: Tegra241 CMDQV
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-host-cmdqv.h"

#define PROPS       "host-cmdqv=on,host-fwb=on,host-ssidsize=20,host-ats=on"

/* An LVCMDQ, seen through its VINTF's window */
typedef struct Queue {
    Host *h;
    unsigned vintf, lvcmdq;
    SmmuQueue q;
} Queue;

static Host *start(void)
{
    Host *h = host_start(PROPS, "", 6);

    wr(h, CONFIG, 1);
    return h;
}

static uint32_t q_rd(Queue *q, uint64_t reg)
{
    return rd(q->h, LVCMDQ(q->vintf, q->lvcmdq) + reg);
}

static void q_wr(Queue *q, uint64_t reg, uint32_t value)
{
    wr(q->h, LVCMDQ(q->vintf, q->lvcmdq) + reg, value);
}

/* As Linux does it: VCMDQs are numbered by VINTF */
static Queue add_queue(Host *h, unsigned vintf, unsigned lvcmdq, unsigned bits)
{
    Queue q = { .h = h, .vintf = vintf, .lvcmdq = lvcmdq };
    unsigned n = vintf * VCMDQS / VINTFS + lvcmdq;

    wr(h, CMDQ_ALLOC(n), ALLOC(vintf, lvcmdq));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(n)), ==, ALLOC(vintf, lvcmdq));
    smmu_queue_init(&q.q, &h->mem, bits, 16);
    wr64(h, LVCMDQ(vintf, lvcmdq) + BASE, q.q.base | bits);
    q_wr(&q, QCONFIG, 1);
    return q;
}

static Queue add_vintf(Host *h, unsigned vintf, unsigned vmid, bool hyp_own)
{
    wr(h, VINTF(vintf) + VINTF_CONFIG, VCONFIG(vmid, hyp_own));
    g_assert_cmphex(rd(h, VINTF(vintf) + VINTF_STATUS), ==, 1);
    return add_queue(h, vintf, 0, 4);
}

static void q_push(Queue *q, SmmuCmd cmd)
{
    smmu_queue_push(&q->q, cmd);
}

/* Up to what was pushed, or to the next error: its code */
static unsigned q_run(Queue *q)
{
    uint32_t mask = (2u << q->q.bits) - 1;

    q_wr(q, PROD, q->q.index);
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t cons = q_rd(q, CONS);

        if (q_rd(q, GERROR) != q_rd(q, GERRORN)) {
            return cons >> 24;
        }
        if ((cons & mask) == q->q.index) {
            return 0;
        }
        g_usleep(1000);
    }
    g_assert_not_reached();
}

static void q_ok(Queue *q, SmmuCmd cmd)
{
    q_push(q, cmd);
    q_push(q, smmu_sync());
    g_assert_cmpuint(q_run(q), ==, 0);
}

static void q_ack(Queue *q)
{
    q_wr(q, GERRORN, q_rd(q, GERROR));
}

/* Make a CMD_SYNC of the command it stopped at, and go on */
static void q_skip(Queue *q)
{
    uint32_t at = q_rd(q, CONS) & ((1u << q->q.bits) - 1);
    SmmuCmd sync = smmu_sync();

    iommu_mem_write_qwords(&q->h->mem, q->q.base + at * 16, sync.dw, 2);
    q_ack(q);
    g_assert_cmpuint(q_run(q), ==, 0);
}

static SmmuCmd vmid(SmmuCmd cmd, uint16_t id)
{
    cmd.dw[0] |= (uint64_t)id << 32;
    return cmd;
}

/* ---------------------------------------------------- the interrupt (GICv2) */

#define GICD_ISPENDR    0x08000204
#define GICD_ICPENDR    0x08000284
#define GICD_ICFGR      0x08000c08

static void irq_edge(Host *h)
{
    qtest_writel(h->rig.qts, GICD_ICFGR, 2u << CMDQV_INTID % 16 * 2);
}

static bool irq_taken(Host *h)
{
    uint32_t bit = 1u << CMDQV_INTID % 32;
    bool pending = qtest_readl(h->rig.qts, GICD_ISPENDR) & bit;

    qtest_writel(h->rig.qts, GICD_ICPENDR, bit);
    return pending;
}

/* --------------------------------------------------------------- registers */

static void check_reg(Host *h, uint64_t reg, uint32_t mask)
{
    static const uint32_t values[] = { UINT32_MAX, 0xa5a5a5a5, 0x5a5a5a5a };

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        wr(h, reg, values[i]);
        g_assert_cmphex(rd(h, reg), ==, values[i] & mask);
    }
    wr(h, reg, 0);
    g_assert_cmphex(rd(h, reg), ==, 0);
}

static void check_global(Host *h)
{
    g_assert_cmphex(rd(h, CONFIG), ==, 0);
    g_assert_cmphex(rd(h, STATUS), ==, 0);
    /* 16 StreamIDs, 4 VINTFs, 8 VCMDQs, version 1 */
    g_assert_cmphex(rd(h, PARAM), ==, 0x4231);
    wr(h, PARAM, 0);
    g_assert_cmphex(rd(h, PARAM), ==, 0x4231);
    check_reg(h, VINTF_INT_MASK, UINT32_MAX);
    check_reg(h, VINTF_INT_MASK + 4, UINT32_MAX);
    for (uint64_t reg = VINTF_ERR_MAP; reg < VINTF_ERR_MAP + 8; reg += 4) {
        check_reg(h, reg, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        check_reg(h, CMDQ_ERR_MAP + 4 * i, 0);
    }
    wr(h, STATUS, 1);
    g_assert_cmphex(rd(h, STATUS), ==, 0);
    wr(h, CONFIG, UINT32_MAX);
    g_assert_cmphex(rd(h, CONFIG), ==, 1);
    g_assert_cmphex(rd(h, STATUS), ==, 1);
}

static void check_vintf(Host *h, unsigned i)
{
    uint64_t vintf = VINTF(i);

    check_reg(h, vintf + VINTF_CONFIG, 0x3ffff);
    wr(h, vintf + VINTF_STATUS, 1);
    g_assert_cmphex(rd(h, vintf + VINTF_STATUS), ==, 0);
    wr(h, vintf + VINTF_CONFIG, 1);
    g_assert_cmphex(rd(h, vintf + VINTF_STATUS), ==, 1);
    wr(h, vintf + VINTF_CONFIG, 0);
    for (unsigned n = 0; n < SIDS; n++) {
        check_reg(h, vintf + SID_MATCH(n), 0x1fffff);
        check_reg(h, vintf + SID_REPLACE(n), UINT32_MAX);
    }
    for (unsigned n = 0; n < 4; n++) {
        check_reg(h, vintf + LVCMDQ_ERR_MAP + 4 * n, 0);
    }
}

/* By its two names */
static void check_vcmdq(Host *h, unsigned n, unsigned vintf, unsigned lvcmdq)
{
    const uint64_t views[] = { VCMDQ(n), LVCMDQ(vintf, lvcmdq) };

    for (unsigned i = 0; i < 2; i++) {
        uint64_t q = views[i], other = views[!i];

        g_assert_cmphex(rd(h, q + CONS), ==, 0);
        check_reg(h, q + CONS, 0x7f0fffff);
        check_reg(h, q + PROD, 0xfffff);
        check_reg(h, q + QCONFIG, 1);
        check_reg(h, q + QSTATUS, 0);
        check_reg(h, q + GERROR, 0);
        check_reg(h, q + GERRORN, 1);
        check_reg(h, q + BASE, UINT32_MAX);
        check_reg(h, q + BASE + 4, 0xffff);
        check_reg(h, q + CONS_INDX_BASE, UINT32_MAX);
        check_reg(h, q + CONS_INDX_BASE + 4, 0xffff);
        wr64(h, q + BASE, 0x123456789aa4);
        g_assert_cmphex(rd64(h, other + BASE), ==, 0x123456789aa4);
        wr(h, q + PROD, 7);
        g_assert_cmphex(rd(h, other + PROD), ==, 7);
        wr(h, q + PROD, 0);
        wr64(h, other + BASE, 0);
    }
}

static void test_registers(void)
{
    Host *h = host_start(PROPS, "", 6);

    check_global(h);
    for (unsigned i = 0; i < VINTFS; i++) {
        check_vintf(h, i);
    }
    for (unsigned n = 0; n < VCMDQS; n++) {
        unsigned vintf = n % VINTFS, lvcmdq = n / VINTFS;

        check_reg(h, CMDQ_ALLOC(n), 0x1f80fe);
        /* Not allocated: not there */
        check_reg(h, VCMDQ(n) + PROD, 0);
        check_reg(h, VCMDQ(n) + BASE, 0);
        check_reg(h, LVCMDQ(vintf, lvcmdq) + PROD, 0);
        wr(h, CMDQ_ALLOC(n), ALLOC(vintf, lvcmdq));
        check_vcmdq(h, n, vintf, lvcmdq);
    }
    wr(h, VINTF(2) + SID_MATCH(3), 5);

    /* Without it, all of them forget */
    wr(h, CONFIG, 0);
    for (unsigned n = 0; n < VCMDQS; n++) {
        g_assert_cmphex(rd(h, CMDQ_ALLOC(n)), ==, 0);
    }
    g_assert_cmphex(rd(h, VINTF(2) + SID_MATCH(3)), ==, 0);
    wr(h, VINTF_INT_MASK, 4);
    qtest_system_reset(h->rig.qts);
    check_global(h);
    host_stop(h);
}

/* LVCMDQs come in ascending order and go in descending order */
static void test_alloc(void)
{
    Host *h = start();

    wr(h, CMDQ_ALLOC(0), ALLOC(1, 1));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(0)), ==, ALLOC(1, 1) & ~1u);
    wr(h, CMDQ_ALLOC(0), ALLOC(1, 0));
    wr(h, CMDQ_ALLOC(1), ALLOC(1, 2));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(1)) & 1, ==, 0);
    wr(h, CMDQ_ALLOC(1), ALLOC(1, 0));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(1)) & 1, ==, 0);
    wr(h, CMDQ_ALLOC(1), ALLOC(1, 1));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(1)), ==, ALLOC(1, 1));

    /* Neither freed nor moved */
    wr(h, CMDQ_ALLOC(0), 0);
    g_assert_cmphex(rd(h, CMDQ_ALLOC(0)), ==, ALLOC(1, 0));
    wr(h, CMDQ_ALLOC(1), ALLOC(2, 0));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(1)), ==, ALLOC(1, 1));

    /* What was freed is as new */
    wr(h, LVCMDQ(1, 1) + PROD, 3);
    wr(h, CMDQ_ALLOC(1), ALLOC(1, 1) & ~1u);
    wr(h, CMDQ_ALLOC(1), ALLOC(2, 0));
    g_assert_cmphex(rd(h, LVCMDQ(2, 0) + PROD), ==, 0);
    wr(h, CMDQ_ALLOC(0), 0);
    g_assert_cmphex(rd(h, CMDQ_ALLOC(0)), ==, 0);

    /* Neither a VINTF nor an LVCMDQ of this number */
    wr(h, CMDQ_ALLOC(0), ALLOC(VINTFS, 0));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(0)) & 1, ==, 0);
    wr(h, CMDQ_ALLOC(0), ALLOC(63, 127));
    g_assert_cmphex(rd(h, CMDQ_ALLOC(0)) & 1, ==, 0);

    /* One VINTF may have them all */
    wr(h, CMDQ_ALLOC(1), 0);
    for (unsigned n = 0; n < VCMDQS; n++) {
        wr(h, CMDQ_ALLOC(n), ALLOC(3, n));
        g_assert_cmphex(rd(h, CMDQ_ALLOC(n)), ==, ALLOC(3, n));
    }
    host_stop(h);
}

/* A queue runs when all that it needs is enabled, in any order */
static void test_enable(void)
{
    Host *h = start();
    Queue q = add_queue(h, 1, 0, 4);

    q_push(&q, smmu_tlbi_asid(1));
    q_wr(&q, PROD, 1);
    g_assert_cmphex(q_rd(&q, QSTATUS), ==, 0);
    g_assert_cmphex(q_rd(&q, CONS), ==, 0);
    wr(h, VINTF(1) + VINTF_CONFIG, VCONFIG(1, 0));
    g_assert_cmphex(q_rd(&q, QSTATUS), ==, 1);
    g_assert_cmpuint(q_run(&q), ==, 0);
    g_assert_cmphex(q_rd(&q, CONS), ==, 1);

    /* Where it is does not change while it runs */
    q_wr(&q, BASE, 0);
    g_assert_cmphex(q_rd(&q, BASE), ==, (uint32_t)q.q.base | 4);
    q_wr(&q, CONS_INDX_BASE, 64);
    g_assert_cmphex(q_rd(&q, CONS_INDX_BASE), ==, 0);
    q_wr(&q, CONS, 0);
    g_assert_cmphex(q_rd(&q, CONS), ==, 1);

    q_wr(&q, QCONFIG, 0);
    q_push(&q, smmu_tlbi_asid(1));
    q_wr(&q, PROD, 2);
    g_assert_cmphex(q_rd(&q, CONS), ==, 1);
    q_wr(&q, QCONFIG, 1);
    g_assert_cmphex(q_rd(&q, CONS), ==, 2);

    /* No queue is larger than IDR1.CMDQS says: 2^19 */
    q_wr(&q, QCONFIG, 0);
    q_wr(&q, BASE, (uint32_t)q.q.base | 31);
    q_wr(&q, CONS, 0xfffff);
    q_wr(&q, PROD, 0);
    qtest_writeq(h->rig.qts, (q.q.base & ~31ULL) + 0x7ffff * 16, SMMU_OP_SYNC);
    q_wr(&q, QCONFIG, 1);
    g_assert_cmphex(q_rd(&q, CONS), ==, 0);
    q_wr(&q, QCONFIG, 0);
    q_wr(&q, BASE, (uint32_t)q.q.base | 4);
    q.q.index = 0;
    q_wr(&q, QCONFIG, 1);

    /* The SMMU's own queue is another one */
    host_set_reg(h, SMMU_REG_CR0, 0);
    q_ok(&q, smmu_tlbi_asid(1));
    host_stop(h);
}

/* ---------------------------------------------------------------- commands */

/* A translation that is cached, and gone once it is invalidated */
static void cache(Host *h, SmmuS1 *s1)
{
    smmu_s1_map(s1, HOST_VA, host_ipa(h, HOST_PA(0)), 4096, 12,
                SMMU_PTE_USER_RW);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
    smmu_s1_unmap(s1, HOST_VA, 4096);
    g_assert_cmphex(host_read(h, HOST_VA), ==, SVA_CODE_OK);
}

static bool cached(Host *h)
{
    if (host_read(h, HOST_VA) == SVA_CODE_OK) {
        return true;
    }
    g_assert_cmphex(host_event(h).type, ==, EVT_F_TRANSLATION);
    return false;
}

static void test_vmid(void)
{
    Host *h = start();
    Queue own = add_vintf(h, 0, 0, true);
    Queue guest = add_vintf(h, 1, HOST_VMID, false);
    Queue other = add_vintf(h, 2, HOST_VMID + 1, false);
    SmmuS1 s1;

    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED });
    s1 = host_space(h, 0, 0);
    const SmmuCmd cmds[] = {
        smmu_tlbi_asid(h->asid), smmu_tlbi_va(h->asid, HOST_VA, true),
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
        cache(h, &s1);
        /* The hypervisor means what it says, guests do not get to say it */
        q_ok(&own, cmds[i]);
        q_ok(&other, vmid(cmds[i], HOST_VMID));
        g_assert_true(cached(h));
        q_ok(&guest, vmid(cmds[i], 0xffff));
        g_assert_false(cached(h));
        cache(h, &s1);
        q_ok(&own, vmid(cmds[i], HOST_VMID));
        g_assert_false(cached(h));
    }

    /* VMID changes with the VINTF's */
    cache(h, &s1);
    wr(h, VINTF(2) + VINTF_CONFIG, VCONFIG(HOST_VMID, 0));
    q_ok(&other, cmds[0]);
    g_assert_false(cached(h));
    host_stop(h);
}

static void cache_atc(Host *h, SmmuS1 *s1)
{
    smmu_s1_map(s1, HOST_VA, host_ipa(h, HOST_PA(0)), 4096, 12,
                SMMU_PTE_USER_RW);
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_OK);
    smmu_s1_unmap(s1, HOST_VA, 4096);
    host_command(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_OK);
}

static void test_sid(void)
{
    const uint32_t virt = 0xabcde, free = 7;
    Host *h = start();
    Queue own = add_vintf(h, 0, 0, true);
    Queue guest = add_vintf(h, 1, HOST_VMID, false);
    SmmuS1 s1;

    host_endpoint(h, true);
    host_setup(h, &(HostSetup) { .config = CONFIG_NESTED, .cdmax = 4,
                                 .eats = 1 });
    s1 = host_space(h, 5, 0);
    cache_atc(h, &s1);
    for (unsigned n = 0; n < SIDS; n++) {
        /* Of another, and one that is not enabled */
        wr(h, VINTF(1) + SID_MATCH(n), n == free ? virt << 1 : 1 | n << 1);
        wr(h, VINTF(1) + SID_REPLACE(n), n == free ? HOST_SID : 0x1000 + n);
    }
    /* The host's own number is not the guest's, unless it is */
    q_ok(&guest, smmu_atc_inv(1, 5, 0, 52));
    q_push(&guest, smmu_atc_inv(virt, 5, 0, 52));
    g_assert_cmpuint(q_run(&guest), ==, CERROR_ILL);
    q_skip(&guest);
    q_push(&guest, smmu_atc_inv(HOST_SID, 5, 0, 52));
    g_assert_cmpuint(q_run(&guest), ==, HOST_SID < SIDS ? 0 : CERROR_ILL);
    if (HOST_SID >= SIDS) {
        q_skip(&guest);
    }
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_OK);
    wr(h, VINTF(1) + SID_MATCH(free), 1 | virt << 1);
    q_ok(&guest, smmu_atc_inv(virt, 5, 0, 52));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), !=, SVA_CODE_OK);

    cache_atc(h, &s1);
    q_ok(&own, smmu_atc_inv(virt, 5, 0, 52));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), ==, SVA_CODE_OK);
    q_ok(&own, smmu_atc_inv(HOST_SID, 5, 0, 52));
    g_assert_cmphex(host_fill(h, 5, HOST_VA, 1), !=, SVA_CODE_OK);
    host_stop(h);
}

static bool guest_may(unsigned op)
{
    return op == SMMU_OP_TLBI_NH_ASID || op == SMMU_OP_TLBI_NH_VA ||
           op == SMMU_OP_ATC_INV || op == SMMU_OP_SYNC;
}

static void check_error(Queue *q, unsigned code, uint32_t at)
{
    unsigned n = q->vintf * VCMDQS / VINTFS + q->lvcmdq;
    Host *h = q->h;

    g_assert_true(irq_taken(h));
    g_assert_cmphex(q_rd(q, CONS), ==, code << 24 | at);
    g_assert_cmphex(q_rd(q, GERROR) ^ q_rd(q, GERRORN), ==, 1);
    g_assert_cmphex(rd64(h, VINTF(q->vintf) + LVCMDQ_ERR_MAP), ==,
                    1ULL << q->lvcmdq);
    g_assert_cmphex(rd(h, VINTF_ERR_MAP), ==, 1u << q->vintf);
    g_assert_cmphex(rd(h, CMDQ_ERR_MAP), ==, 1u << n);
}

static void check_no_error(Queue *q)
{
    g_assert_false(irq_taken(q->h));
    g_assert_cmphex(rd64(q->h, VINTF(q->vintf) + LVCMDQ_ERR_MAP), ==, 0);
    g_assert_cmphex(rd(q->h, VINTF_ERR_MAP), ==, 0);
    g_assert_cmphex(rd(q->h, CMDQ_ERR_MAP), ==, 0);
    /* The SMMU's own error register says nothing of it */
    g_assert_cmphex(host_reg(q->h, SMMU_REG_GERROR), ==, 0);
}

static void test_illegal(void)
{
    Host *h = start();
    Queue q;

    irq_edge(h);
    add_vintf(h, 3, 5, false);
    q = add_queue(h, 3, 1, 4);
    wr(h, VINTF(3) + SID_MATCH(0), 1);
    for (unsigned op = 0; op < 0x100; op++) {
        uint32_t at = q.q.index;

        q_push(&q, (SmmuCmd) { { op } });
        q_push(&q, smmu_sync());
        if (guest_may(op)) {
            g_assert_cmpuint(q_run(&q), ==, 0);
            check_no_error(&q);
            continue;
        }
        g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
        check_error(&q, CERROR_ILL, at);
        /* It stays where it is until it is told to go on */
        q_wr(&q, PROD, q.q.index);
        g_assert_cmphex(q_rd(&q, CONS), ==, CERROR_ILL << 24 | at);
        g_assert_false(irq_taken(h));
        q_skip(&q);
        check_no_error(&q);
    }
    /* Acknowledged, but not mended: an error, and an interrupt, again */
    q_push(&q, (SmmuCmd) { { SMMU_OP_CFGI_STE } });
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
        check_error(&q, CERROR_ILL, q.q.index - 1);
        q_ack(&q);
    }
    q_skip(&q);
    irq_taken(h);

    /* A signal at completion, and the Secure state's streams */
    for (unsigned cs = 1; cs < 4; cs++) {
        q_push(&q, (SmmuCmd) { { SMMU_OP_SYNC | cs << 12 } });
        g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
        q_skip(&q);
    }
    q_push(&q, (SmmuCmd) { { SMMU_OP_ATC_INV | 1 << 10 } });
    g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
    q_skip(&q);
    host_stop(h);
}

/* The hypervisor's say what the SMMU's own may */
static void test_hyp_own(void)
{
    Host *h = start();
    Queue q = add_vintf(h, 0, 0, true);
    uint64_t ste;

    irq_edge(h);
    host_setup(h, &(HostSetup) { .config = CONFIG_BYPASS });
    g_assert_cmphex(host_read(h, HOST_PA(0)), ==, SVA_CODE_OK);
    ste = smmu_ste_entry(&h->tables, HOST_SID);
    iommu_mem_write64(&h->mem, ste, 1);
    g_assert_cmphex(host_read(h, HOST_PA(0)), ==, SVA_CODE_OK);
    q_ok(&q, smmu_cfgi_ste(HOST_SID, true));
    g_assert_cmphex(host_read(h, HOST_PA(0)), !=, SVA_CODE_OK);
    q_ok(&q, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    q_ok(&q, smmu_tlbi_vaa(HOST_VA, true));
    check_no_error(&q);
    q_push(&q, (SmmuCmd) { { 0xff } });
    g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
    check_error(&q, CERROR_ILL, q.q.index - 1);
    q_skip(&q);
    q_push(&q, (SmmuCmd) { { SMMU_OP_SYNC | 1 << 12 } });
    g_assert_cmpuint(q_run(&q), ==, CERROR_ILL);
    host_stop(h);
}

static void test_errors(void)
{
    Host *h = start();
    Queue a, b;

    irq_edge(h);
    a = add_vintf(h, 1, 5, false);
    b = add_vintf(h, 2, 5, false);

    /* Nothing there to be read; then there is */
    q_wr(&a, QCONFIG, 0);
    wr64(h, LVCMDQ(1, 0) + BASE, 0x800000000000 | 4);
    q_wr(&a, QCONFIG, 1);
    q_push(&a, smmu_tlbi_asid(1));
    g_assert_cmpuint(q_run(&a), ==, CERROR_ABT);
    check_error(&a, CERROR_ABT, 0);
    q_wr(&a, QCONFIG, 0);
    wr64(h, LVCMDQ(1, 0) + BASE, a.q.base | 4);
    q_wr(&a, QCONFIG, 1);
    q_ack(&a);
    g_assert_cmpuint(q_run(&a), ==, 0);
    check_no_error(&a);

    /* One that is masked is in the maps; others are not */
    wr(h, VINTF_INT_MASK, 1 << 1);
    q_push(&a, smmu_cfgi_ste_all());
    g_assert_cmpuint(q_run(&a), ==, CERROR_ILL);
    g_assert_false(irq_taken(h));
    g_assert_cmphex(rd(h, VINTF_ERR_MAP), ==, 1 << 1);
    q_push(&b, smmu_cfgi_ste_all());
    g_assert_cmpuint(q_run(&b), ==, CERROR_ILL);
    g_assert_true(irq_taken(h));
    g_assert_cmphex(rd(h, VINTF_ERR_MAP), ==, 1 << 1 | 1 << 2);

    /* One queue's error is none of the SMMU's own, and the other way round */
    host_command(h, smmu_cfgi_ste_all());
    host_push(h, (SmmuCmd) { { 0xff } });
    g_assert_cmpint(smmu_cmdq_sync(&h->cmdq, &h->regs), ==, CERROR_ILL);
    q_skip(&b);
    q_ok(&b, smmu_tlbi_asid(1));
    host_stop(h);
}

/* --------------------------------------------------------- hostile drivers */

static void test_long_queue(void)
{
    const unsigned bits = 13, n = 8000;
    Host *h = start();
    Queue q[2];

    for (unsigned i = 0; i < 2; i++) {
        add_vintf(h, i, 5, !i);
        q[i] = add_queue(h, i, 1, bits);
        for (unsigned j = 0; j < n; j++) {
            q_push(&q[i], smmu_tlbi_asid(1));
        }
    }
    /* What is left at the end of a turn stays until the VM runs */
    qtest_qmp_assert_success(h->rig.qts, "{ 'execute': 'stop' }");
    for (unsigned i = 0; i < 2; i++) {
        q_wr(&q[i], PROD, q[i].q.index);
        g_assert_cmphex(q_rd(&q[i], CONS), <, n);
    }
    qtest_qmp_assert_success(h->rig.qts, "{ 'execute': 'cont' }");
    host_sync(h);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(q_run(&q[i]), ==, 0);
    }

    /* Turned off, or reset, meanwhile */
    for (unsigned j = 0; j < n; j++) {
        q_push(&q[1], smmu_tlbi_asid(1));
    }
    q_wr(&q[1], PROD, q[1].q.index);
    wr(h, CONFIG, 0);
    g_assert_cmphex(q_rd(&q[1], CONS), ==, 0);
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(rd(h, STATUS), ==, 0);
    host_stop(h);
}

/* Every register, in every width, with queues in registers */
static void test_sweep(void)
{
    const uint64_t values[] = { UINT64_MAX, 0, CMDQV + VCMDQ(0) + 5,
                                ALLOC(1, 0) };
    Host *h = start();

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        for (unsigned n = 0; n < VCMDQS; n++) {
            wr(h, CMDQ_ALLOC(n), ALLOC(n / 2, n % 2));
            wr(h, VINTF(n / 2) + VINTF_CONFIG, 1);
        }
        for (uint64_t reg = 4; reg < CMDQV_SIZE; reg += 4) {
            /* What is in a page lies at its start */
            if (reg % 0x10000 > 0x1800) {
                reg |= 0xffff & ~3;
            }
            wr(h, reg, values[i]);
            rd(h, reg);
            if (reg % 8 == 0) {
                wr64(h, reg, values[i]);
                rd64(h, reg);
            }
        }
        host_read(h, HOST_VA);
    }
    qtest_system_reset(h->rig.qts);
    g_assert_cmphex(rd(h, STATUS), ==, 0);
    host_stop(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host-cmdqv/registers", test_registers);
    qtest_add_func("/smmu-host-cmdqv/alloc", test_alloc);
    qtest_add_func("/smmu-host-cmdqv/enable", test_enable);
    qtest_add_func("/smmu-host-cmdqv/command/vmid", test_vmid);
    qtest_add_func("/smmu-host-cmdqv/command/sid", test_sid);
    qtest_add_func("/smmu-host-cmdqv/command/illegal", test_illegal);
    qtest_add_func("/smmu-host-cmdqv/command/hyp-own", test_hyp_own);
    qtest_add_func("/smmu-host-cmdqv/errors", test_errors);
    qtest_add_func("/smmu-host-cmdqv/hostile/long-queue", test_long_queue);
    qtest_add_func("/smmu-host-cmdqv/hostile/sweep", test_sweep);
    return g_test_run();
}
