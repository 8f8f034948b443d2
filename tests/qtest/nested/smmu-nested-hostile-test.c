/*
 * SMMUv3 nesting: a guest that means no good, or does not know better
 *
 * Whatever it writes, DMA goes where a table says or nowhere, and with sane
 * values everything is well again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define CERROR_ABT  2
#define GERROR_CMDQ         1
#define GERROR_EVENTQ_ABT   4
#define EVT_C_BAD_STE       0x04
#define CR0_QUEUES  (1 << 3 | 1 << 2)
#define CR0_ALL     (CR0_QUEUES | 1)
#define SMMU_MMIO   0x0c000000ULL

/* Neither memory nor device, a device, the SMMU itself, beyond everything */
static const uint64_t nowhere[] = {
    0x3f000000, 0x09000000, SMMU_MMIO, 0xfffffffff000,
};

static void expect(SmmuRig *r, uint64_t addr, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, HOST_DEV0, NULL, addr), ==, value);
}

static void start(SmmuRig *r)
{
    smmu_rig_start_simple(r, 2);
    smmu_rig_fill(r, 1, 0x11);
    smmu_rig_fill(r, 2, 0x22);
    smmu_rig_enable(r, 6);
    smmu_rig_stage1(r, SID0, ASID, IOVA, 1);
    expect(r, IOVA, 0x11);
}

static void write64(SmmuRig *r, uint64_t reg, uint64_t value)
{
    r->regs.write64(r->regs.opaque, reg, value);
}

static uint32_t gerror(SmmuRig *r)
{
    return smmu_rig_read(r, SMMU_REG_GERROR) ^
           smmu_rig_read(r, SMMU_REG_GERRORN);
}

static void drop_events(SmmuRig *r)
{
    while (smmu_rig_event(r, NULL)) {
        continue;
    }
}

/* With the SMMU off meanwhile, or it would be ignored */
static void set_strtab(SmmuRig *r, uint64_t base, uint32_t cfg)
{
    smmu_rig_write(r, SMMU_REG_CR0, CR0_QUEUES);
    write64(r, SMMU_REG_STRTAB_BASE, base);
    smmu_rig_write(r, SMMU_REG_STRTAB_BASE_CFG, cfg);
    smmu_rig_write(r, SMMU_REG_CR0, CR0_ALL);
}

/* The tables that are there, once more */
static void sane(SmmuRig *r)
{
    set_strtab(r, smmu_strtab_base(&r->t), smmu_strtab_base_cfg(&r->t));
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(r);
    expect(r, IOVA, 0x11);
    drop_events(r);
}

/* ------------------------------------------------------------ stream table */

/* LOG2SIZE, SPLIT and FMT of any value, a table anywhere */
static void test_strtab(void)
{
    static const uint32_t sizes[] = { 0, 1, 5, 6, 16, 31, 32, 59, 63 };
    static const uint32_t splits[] = { 0, 1, 6, 8, 10, 31 };
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(splits) * 4; i++) {
        uint32_t size = sizes[i % ARRAY_SIZE(sizes)];
        uint32_t split = splits[i / ARRAY_SIZE(sizes) % ARRAY_SIZE(splits)];
        uint32_t fmt = i / ARRAY_SIZE(sizes) / ARRAY_SIZE(splits);

        set_strtab(&r, nowhere[i % ARRAY_SIZE(nowhere)],
                   size | split << 6 | fmt << 16);
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
        smmu_rig_sync(&r);
        expect(&r, IOVA, -1);
        expect(&r, DATA + 4096, -1);
        if (i % 7 == 0) {
            sane(&r);
        }
    }
    sane(&r);
    smmu_rig_stop(&r);
}

/* A level-1 descriptor of any span, to anywhere */
static void test_level1(void)
{
    uint64_t slot, was;
    SmmuRig r;

    start(&r);
    slot = r.t.base + (SID0 >> r.t.split) * 8;
    was = iommu_mem_read64(&r.mem, slot);
    for (unsigned span = 0; span < 32; span++) {
        /* StreamID 0x20 is in it from 2^6 STEs on */
        bool there = span >= 7;

        iommu_mem_write64(&r.mem, slot, (was & ~0x1fULL) | span);
        while (smmu_rig_event(&r, NULL)) {
            /* Of the descriptors before */
        }
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, false));
        smmu_rig_sync(&r);
        expect(&r, IOVA, there ? 0x11 : -1);
        /* A StreamID that the table has not got is no bad STE (7.3.3) */
        g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
        iommu_mem_write64(&r.mem, slot, nowhere[span % ARRAY_SIZE(nowhere)] |
                          span);
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, false));
        smmu_rig_sync(&r);
        expect(&r, IOVA, -1);
    }
    iommu_mem_write64(&r.mem, slot, was);
    sane(&r);
    smmu_rig_stop(&r);
}

/*
 * A linear table after one of two levels, and back, as firmware and system do;
 * with commands between the two, and without
 */
static void test_replaced(void)
{
    SmmuTables first, linear;
    SmmuRig r;

    start(&r);
    first = r.t;
    for (unsigned i = 0; i < 4; i++) {
        if (i % 2 == 0) {
            smmu_tables_init(&linear, &r.mem, 9, 0);
            smmu_ste_set(&linear, SID0, &(SmmuSte) {
                .cfg = SMMU_STE_BYPASS });
        }
        r.t = i % 2 ? first : linear;
        smmu_rig_write(&r, SMMU_REG_CR0, CR0_QUEUES);
        write64(&r, SMMU_REG_STRTAB_BASE, smmu_strtab_base(&r.t));
        smmu_rig_write(&r, SMMU_REG_STRTAB_BASE_CFG,
                       smmu_strtab_base_cfg(&r.t));
        if (i < 2) {
            smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
            smmu_rig_sync(&r);
        }
        smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
        expect(&r, IOVA, i % 2 ? 0x11 : -1);
        expect(&r, DATA + 4096, i % 2 ? -1 : 0x11);
    }
    smmu_rig_stop(&r);
}

/* What is in use cannot be moved: such writes are ignored (6.3.23, ...) */
static void test_guarded(void)
{
    static const struct {
        unsigned reg, half;
    } guarded[] = {
        { SMMU_REG_STRTAB_BASE, 2 }, { SMMU_REG_STRTAB_BASE_CFG, 1 },
        { SMMU_REG_CMDQ_BASE, 2 }, { SMMU_REG_EVENTQ_BASE, 2 },
    };
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(guarded); i++) {
        unsigned reg = guarded[i].reg;

        for (unsigned j = 0; j < guarded[i].half; j++) {
            uint32_t was = smmu_rig_read(&r, reg + j * 4);

            smmu_rig_write(&r, reg + j * 4, ~was);
            g_assert_cmphex(smmu_rig_read(&r, reg + j * 4), ==, was);
            if (guarded[i].half == 2) {
                write64(&r, reg, ~0ULL);
                g_assert_cmphex(smmu_rig_read(&r, reg + j * 4), ==, was);
            }
        }
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
        smmu_rig_sync(&r);
        expect(&r, IOVA, 0x11);
    }
    iommu_mem_write64(&r.mem, smmu_ste_entry(&r.t, SID1), 1 | 7 << 1);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID1, true));
    smmu_rig_sync(&r);
    g_assert_cmphex(smmu_rig_event(&r, NULL), ==, EVT_C_BAD_STE);
    /* Each is guarded by its own bit */
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_QUEUES);
    smmu_rig_write(&r, SMMU_REG_STRTAB_BASE_CFG, 7);
    g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_STRTAB_BASE_CFG), ==, 7);
    smmu_rig_write(&r, SMMU_REG_CR0, 1);
    write64(&r, SMMU_REG_CMDQ_BASE, RAM | 5);
    g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_CMDQ_BASE), ==, RAM | 5);
    write64(&r, SMMU_REG_EVENTQ_BASE, RAM | 6);
    g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_EVENTQ_BASE), ==, RAM | 6);
    smmu_rig_stop(&r);
}

/* Pointers of STE and CD to nowhere are the host's to find out about */
static void test_pointers(void)
{
    SmmuCdTable cds;
    uint64_t slot;
    SmmuS1 s1;
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        s1 = (SmmuS1) { .mem = &r.mem, .root = nowhere[i], .granule = 12,
                        .va_bits = 48 };
        smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, ASID + 1);
        smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1,
                                            .cds = &cds });
        expect(&r, IOVA, -1);
        slot = smmu_ste_entry(&r.t, SID0);
        iommu_mem_write64(&r.mem, slot, (nowhere[i] & ~0x3fULL) | 1 |
                          SMMU_STE_S1 << 1);
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
        smmu_rig_sync(&r);
        expect(&r, IOVA, -1);
    }
    smmu_rig_stage1(&r, SID0, ASID + 2, IOVA, 2);
    expect(&r, IOVA, 0x22);
    smmu_rig_stop(&r);
}

/* ----------------------------------------------------------- command queue */

/* Three commands and a CMD_SYNC in a queue of eight, again and again */
static void test_wrap(void)
{
    SmmuS1 s1;
    SmmuRig r;

    start(&r);
    s1 = smmu_rig_stage1(&r, SID0, ASID + 1, IOVA, 1);
    smmu_rig_write(&r, SMMU_REG_CR0, 1);
    smmu_queue_init(&r.cmdq, &r.mem, 3, 16);
    write64(&r, SMMU_REG_CMDQ_BASE, smmu_queue_base(&r.cmdq));
    smmu_rig_write(&r, SMMU_REG_CMDQ_PROD, 0);
    smmu_rig_write(&r, SMMU_REG_CMDQ_CONS, 0);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
    for (unsigned i = 0; i < 50; i++) {
        unsigned page = 1 + i % 2, bad = i % 7;
        uint32_t first = r.cmdq.index;

        smmu_s1_map(&s1, IOVA, DATA + page * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        for (unsigned j = 0; j < 3; j++) {
            SmmuCmd cmd = smmu_tlbi_va(ASID + 1, IOVA, true);

            cmd.dw[0] |= j == bad ? 1 << 8 : 0;
            smmu_queue_push(&r.cmdq, cmd);
        }
        if (bad < 3) {
            uint32_t at = (first + bad) & 15;

            g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
            /* With the wrap bit */
            g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xffff,
                            ==, at);
            iommu_mem_write64(&r.mem, r.cmdq.base + (at & 7) * 16,
                              smmu_sync().dw[0]);
            smmu_rig_ack(&r);
        } else {
            smmu_rig_sync(&r);
        }
        g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xffff, ==,
                        r.cmdq.index);
        expect(&r, IOVA, page * 0x11);
    }
    smmu_rig_stop(&r);
}

/* A queue that is nowhere, and indices that are out of it */
static void test_cmdq(void)
{
    static const uint32_t hostile[] = {
        0, 1, 0xfff, 0x1000, 0xfffff, 0x100000, 0x7fffffff, UINT32_MAX,
    };
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        smmu_rig_write(&r, SMMU_REG_CR0, 1);
        write64(&r, SMMU_REG_CMDQ_BASE, nowhere[i] | i * 9);
        smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
        for (unsigned j = 0; j < ARRAY_SIZE(hostile); j++) {
            smmu_rig_write(&r, SMMU_REG_CMDQ_CONS, hostile[j]);
            smmu_rig_write(&r, SMMU_REG_CMDQ_PROD,
                           hostile[(j + i) % ARRAY_SIZE(hostile)]);
            smmu_rig_ack(&r);
        }
        expect(&r, IOVA, 0x11);
    }
    smmu_rig_write(&r, SMMU_REG_CR0, 1);
    smmu_rig_ack(&r);
    /* Where nothing can be read, the queue says so */
    write64(&r, SMMU_REG_CMDQ_BASE, nowhere[0] | 4);
    smmu_rig_write(&r, SMMU_REG_CMDQ_PROD, 0);
    smmu_rig_write(&r, SMMU_REG_CMDQ_CONS, 0);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
    smmu_rig_write(&r, SMMU_REG_CMDQ_PROD, 3);
    g_assert_cmphex(gerror(&r) & GERROR_CMDQ, ==, GERROR_CMDQ);
    g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS), ==,
                    CERROR_ABT << 24);
    /* And is well again in another place */
    smmu_rig_write(&r, SMMU_REG_CR0, 1);
    smmu_queue_init(&r.cmdq, &r.mem, 4, 16);
    write64(&r, SMMU_REG_CMDQ_BASE, smmu_queue_base(&r.cmdq));
    smmu_rig_write(&r, SMMU_REG_CMDQ_PROD, 0);
    smmu_rig_write(&r, SMMU_REG_CMDQ_CONS, 0);
    smmu_rig_ack(&r);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
    smmu_rig_stage1(&r, SID0, ASID + 1, IOVA, 2);
    expect(&r, IOVA, 0x22);
    smmu_rig_stop(&r);
}

/* Random bits for commands: done, refused, or ignored */
static void test_commands(void)
{
    GRand *rng = g_rand_new_with_seed(1);
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < 3000; i++) {
        SmmuCmd cmd = { {
            (uint64_t)g_rand_int(rng) << 32 | g_rand_int(rng),
            (uint64_t)g_rand_int(rng) << 32 | g_rand_int(rng),
        } };
        uint32_t at = r.cmdq.index & ((1u << r.cmdq.bits) - 1);

        /* The opcodes that there are, more often than others */
        cmd.dw[0] = (cmd.dw[0] & ~0xffULL) | (i % 2 ? i % 0x48 : i % 256);
        if (i % 3) {
            cmd.dw[0] = (cmd.dw[0] & 0xffffffffULL) | (uint64_t)SID0 << 32;
        }
        smmu_queue_push(&r.cmdq, cmd);
        if (smmu_cmdq_sync(&r.cmdq, &r.regs)) {
            g_assert_cmpuint(smmu_rig_cons(&r), ==, at);
            iommu_mem_write_qwords(&r.mem, r.cmdq.base + at * 16,
                                   smmu_sync().dw, 2);
            smmu_rig_ack(&r);
        }
        g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xfff, ==,
                        r.cmdq.index);
    }
    expect(&r, IOVA, 0x11);
    g_rand_free(rng);
    smmu_rig_stop(&r);
}

/* ------------------------------------------------------------- event queue */

/* Nowhere to put an event: EVENTQ_ABT_ERR, also if that is in registers */
static void test_evtq(void)
{
    SmmuRig r;

    start(&r);
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1);
        write64(&r, SMMU_REG_EVENTQ_BASE, nowhere[i] | 31);
        smmu_rig_write(&r, SMMU_REG_EVENTQ_PROD, 0);
        smmu_rig_write(&r, SMMU_REG_EVENTQ_CONS, 0);
        smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
        iommu_mem_write64(&r.mem, smmu_ste_entry(&r.t, SID1), 1 | 7 << 1);
        smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID1, true));
        smmu_rig_sync(&r);
        g_assert_cmphex(gerror(&r), ==, GERROR_EVENTQ_ABT);
        smmu_rig_ack(&r);
        smmu_rig_ste(&r, SID1, NULL);
        expect(&r, IOVA, 0x11);
    }
    smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1);
    smmu_queue_init(&r.evtq, &r.mem, 4, 32);
    write64(&r, SMMU_REG_EVENTQ_BASE, smmu_queue_base(&r.evtq));
    smmu_rig_write(&r, SMMU_REG_EVENTQ_PROD, 0);
    smmu_rig_write(&r, SMMU_REG_EVENTQ_CONS, 0);
    smmu_rig_write(&r, SMMU_REG_CR0, CR0_ALL);
    iommu_mem_write64(&r.mem, smmu_ste_entry(&r.t, SID1), 1 | 7 << 1);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID1, true));
    smmu_rig_sync(&r);
    g_assert_cmphex(smmu_rig_event(&r, NULL), ==, EVT_C_BAD_STE);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/hostile/strtab", test_strtab);
    qtest_add_func("/smmu-nested/hostile/level1", test_level1);
    qtest_add_func("/smmu-nested/hostile/replaced", test_replaced);
    qtest_add_func("/smmu-nested/hostile/guarded", test_guarded);
    qtest_add_func("/smmu-nested/hostile/pointers", test_pointers);
    qtest_add_func("/smmu-nested/hostile/wrap", test_wrap);
    qtest_add_func("/smmu-nested/hostile/cmdq", test_cmdq);
    qtest_add_func("/smmu-nested/hostile/commands", test_commands);
    qtest_add_func("/smmu-nested/hostile/evtq", test_evtq);
    return g_test_run();
}
