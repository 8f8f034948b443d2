/*
 * SMMUv3 nesting: commands, how they reach the host, and what stops them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA    0x4000000000ULL
#define ASID    5

/* The kernel checks and issues that many commands at a time */
#define BLOCK   63
/* One call has that many */
#define PIECE   (16 * BLOCK)

#define EMULATED "-device virtio-rng-pci,bus=pcie.0,addr=0x10 "
#define SID_EMULATED 0x80

static void expect(SmmuRig *r, const char *dev, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, IOVA), ==, value);
}

/*
 * Between two CMD_SYNCs everything is one call, unless it is more than the
 * host has memory for
 */
static void test_batch(void)
{
    g_autofree char *devices = smmu_rig_host(4, "", "");
    g_autofree char *host = g_strdup_printf("%s[host]\nmax-kmalloc=%u\n",
                                            devices, PIECE * 16);
    static const unsigned sizes[] = { 1, 64, PIECE, PIECE + 1, 2000 };
    uint64_t calls, entries;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 4, "");
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    for (unsigned i = 1; i < 4; i++) {
        smmu_rig_stage1(&r, SID0 + i * 8, ASID + i, IOVA, 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned page = i % 2 ? 0 : 1;

        expect(&r, HOST_DEV0, page ? 0x10 : 0x11);
        calls = smmu_rig_ioctls(&r);
        entries = smmu_rig_entries(&r);
        smmu_s1_map(&s1, IOVA, DATA + page * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        for (unsigned j = 0; j < sizes[i] - 1; j++) {
            smmu_queue_push(&r.cmdq, j % 2 ?
                            smmu_cfgi_cd(SID0 + j % 4 * 8, 0, true) :
                            smmu_tlbi_va(ASID + 1, j << 12, true));
        }
        smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
        smmu_rig_sync(&r);
        g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==,
                         DIV_ROUND_UP(sizes[i], PIECE));
        g_assert_cmpuint(smmu_rig_entries(&r) - entries, ==, sizes[i]);
        expect(&r, HOST_DEV0, page ? 0x11 : 0x10);
    }
    /* A CMD_SYNC with nothing before it is no call */
    calls = smmu_rig_ioctls(&r);
    smmu_rig_sync(&r);
    smmu_queue_push(&r.cmdq, smmu_sync());
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 0);
    /* Two synchronisation points are two */
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_queue_push(&r.cmdq, smmu_sync());
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 2);
    /* Nothing stays behind a queue without CMD_SYNC */
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_write(&r, SMMU_REG_CMDQ_PROD, r.cmdq.index);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 3);
    smmu_rig_stop(&r);
}

/*
 * A CD or a level-1 descriptor that was not there when a device looked for it
 * is there when the guest has told, in the form it has to be told in
 */
static void test_invalid_cd(void)
{
    const uint32_t ssid = 64;
    const IommufdDma how = { .with_pasid = true, .pasid = ssid };
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ssidsize=12,cd2l=on", 1, "");
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_4K_L2, 12);
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .s1dss = SMMU_S1DSS_SSID0 });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, -1);
    expect(&r, HOST_DEV0, -1);
    smmu_cd_set(&cds, ssid, &s1, ASID);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, ssid, true));
    smmu_queue_push(&r.cmdq, smmu_tlbi_all(SMMU_OP_TLBI_NH_ALL));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, -1);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, ssid, false));
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, false));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x11);
    expect(&r, HOST_DEV0, 0x11);
    smmu_cd_clear(&cds, 0);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, -1);
    smmu_cd_set(&cds, 0, &s1, ASID);
    expect(&r, HOST_DEV0, -1);
    /* The STE with all that it leads to, although it is the same */
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, 0x11);
    smmu_rig_stop(&r);
}

/* Every kind of TLBI does what it says; until then the host remembers */
static void test_tlbi(void)
{
    const SmmuCmd cmds[] = {
        smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL),
        smmu_tlbi_all(SMMU_OP_TLBI_NH_ALL),
        smmu_tlbi_asid(ASID),
        smmu_tlbi_va(ASID, IOVA, true),
        smmu_tlbi_vaa(IOVA, true),
        smmu_tlbi_range(ASID, IOVA - 0x10000, true, 12, 31, 0, 3),
    };
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        unsigned page = i % 2 ? 0 : 1;

        expect(&r, HOST_DEV0, page ? 0x10 : 0x11);
        smmu_s1_map(&s1, IOVA, DATA + page * 4096, 4096, 12,
                    SMMU_PTE_USER_RW);
        smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID + 1));
        smmu_rig_sync(&r);
        expect(&r, HOST_DEV0, page ? 0x10 : 0x11);
        smmu_queue_push(&r.cmdq, cmds[i]);
        smmu_rig_sync(&r);
        expect(&r, HOST_DEV0, page ? 0x11 : 0x10);
    }
    smmu_rig_stop(&r);
}

/*
 * An STE is invalidated with the CDs that were reached through it, also where
 * it is as it was, and the host has nothing to attach
 */
static void test_cfgi_ste(void)
{
    const SmmuCmd cmds[] = {
        smmu_cfgi_ste(SID0, true), smmu_cfgi_ste(SID0, false),
        smmu_cfgi_ste_all(),
        { { SMMU_OP_CFGI_STE_RANGE | (uint64_t)SID1 << 32, 4 } },
    };
    SmmuS1 s1[2];
    SmmuCdTable cds;
    uint64_t calls;
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_enable(&r, 4);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_fill(&r, i, 0x10 + i);
        s1[i] = smmu_rig_s1(&r, IOVA, i);
    }
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1[0], ASID);
    calls = smmu_rig_ioctls(&r);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_ste(&r, i ? SID1 : SID0,
                     &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    }
    /* A new STE is a new attachment, and that is enough */
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 0);
    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        expect(&r, HOST_DEV0, 0x10 + i % 2);
        smmu_cd_set(&cds, 0, &s1[(i + 1) % 2], ASID + (i + 1) % 2);
        calls = smmu_rig_ioctls(&r);
        smmu_queue_push(&r.cmdq, cmds[i]);
        smmu_rig_sync(&r);
        g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 1);
        expect(&r, HOST_DEV0, 0x10 + (i + 1) % 2);
    }
    smmu_rig_stop(&r);
}

/* What is not the host's business is not sent there */
static void test_emulated(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    uint64_t calls;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, EMULATED);
    smmu_rig_enable(&r, 4);
    calls = smmu_rig_ioctls(&r);
    smmu_ste_set(&r.t, SID0, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
    /* Of an emulated endpoint, of nobody, and of one that has no vDEVICE */
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID_EMULATED, 0, true));
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd_all(SID_EMULATED));
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(0xff00, 0, true));
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, true));
    smmu_queue_push(&r.cmdq, smmu_atc_inv(SID_EMULATED, SMMU_NO_SSID, 0, 52));
    smmu_queue_push(&r.cmdq, smmu_atc_inv(SID0, SMMU_NO_SSID, 0, 52));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 0);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID_EMULATED, 0, true));
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, true));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 1);
    g_assert_cmpuint(smmu_rig_entries(&r), ==, 1);
    smmu_rig_stop(&r);
}

/* No device: TLBIs are for the emulation alone */
static void test_no_device(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 0);
    smmu_rig_enable(&r, 4);
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_ioctls(&r), ==, 0);
    smmu_rig_stop(&r);
}

/*
 * The host refuses command number @bad of @num. Those before it are done,
 * also where the kernel only counted them; the queue stands at it.
 */
static void refuse(unsigned num, unsigned bad)
{
    unsigned start;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    expect(&r, HOST_DEV0, 0x10);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    start = smmu_rig_cons(&r);
    for (unsigned i = 0; i < num; i++) {
        SmmuCmd cmd = smmu_tlbi_va(ASID, i + 1 == bad ? IOVA : i << 12, true);

        if (i == bad) {
            cmd.dw[0] |= 1 << 8;        /* RES0 */
        }
        smmu_queue_push(&r.cmdq, cmd);
    }
    g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
    g_assert_cmpuint(smmu_rig_cons(&r) - start, ==, bad);
    expect(&r, HOST_DEV0, bad ? 0x11 : 0x10);
    /* Acknowledged as it is, it is refused again; as another one, it is not */
    smmu_rig_ack(&r);
    g_assert_cmphex((smmu_rig_read(&r, SMMU_REG_GERROR) ^
                     smmu_rig_read(&r, SMMU_REG_GERRORN)) & 1, ==, 1);
    g_assert_cmpuint(smmu_rig_cons(&r) - start, ==, bad);
    iommu_mem_write64(&r.mem, r.cmdq.base + (start + bad) * 16,
                      smmu_tlbi_va(ASID, IOVA, true).dw[0]);
    smmu_rig_ack(&r);
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xffffff, ==,
                     r.cmdq.index);
    smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, 0x11);
    smmu_rig_stop(&r);
}

static void test_refused(void)
{
    refuse(1, 0);
    refuse(10, 1);
    refuse(10, 9);
    refuse(BLOCK + 1, BLOCK);
    refuse(3 * BLOCK, BLOCK + 2);
    refuse(3 * BLOCK, 3 * BLOCK - 1);
    refuse(PIECE + 10, PIECE - 1);
    refuse(PIECE + 10, PIECE);
    refuse(PIECE + 3 * BLOCK, PIECE + BLOCK + 2);
}

/* Commands that the advertised features rule out */
static void test_illegal(void)
{
    g_autofree char *host = smmu_rig_host(1, "idr3=0x100\n", "");
    const SmmuCmd cmds[] = {
        smmu_pri_resp(SID0, SMMU_NO_SSID, 0, 2),
        smmu_resume(SID0, 0, 0),
        { { 0x45 | (uint64_t)SID0 << 32 } },            /* STALL_TERM */
        smmu_atc_inv(SID0, SMMU_NO_SSID, 0, 52),
        /* TLBI_EL3_ALL, EL3_VA, EL2_ALL, EL2_ASID, EL2_VA, EL2_VAA: no HYP */
        { { 0x18 } }, { { 0x1a } }, { { 0x20 } }, { { 0x21 } }, { { 0x22 } },
        { { 0x23 } },
        { { SMMU_OP_CFGI_STE | 1 << 10 } },             /* SSec */
        { { SMMU_OP_CFGI_CD | 1 << 10 } },
        /* The host has no ranges, or the guest was not told of them */
        smmu_tlbi_range(ASID, IOVA, true, 12, 3, 0, 0),
    };
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ats=off", 1, "");
    smmu_rig_enable(&r, 4);
    smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    /* The first time alone, then behind others that are done */
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cmds); i++) {
        unsigned at = smmu_rig_cons(&r);

        for (size_t j = 0; j < i / ARRAY_SIZE(cmds) * 5; j++, at++) {
            smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA + j * 4096,
                                                  true));
        }
        smmu_queue_push(&r.cmdq, cmds[i % ARRAY_SIZE(cmds)]);
        g_assert_cmpint(smmu_cmdq_sync(&r.cmdq, &r.regs), ==, CERROR_ILL);
        g_assert_cmpuint(smmu_rig_cons(&r), ==, at);
        iommu_mem_write64(&r.mem, r.cmdq.base + at * 16, smmu_sync().dw[0]);
        smmu_rig_ack(&r);
        g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_CMDQ_CONS) & 0xffffff, ==,
                         r.cmdq.index);
    }
    smmu_rig_stop(&r);
}

/* The host's erratum: commands have an effect when they come again */
static void test_repeat(void)
{
    g_autofree char *host = smmu_rig_host(1, "errata-repeat=on\n", "");
    uint64_t calls;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, "");
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_stage1(&r, SID0, ASID, IOVA, 0);
    expect(&r, HOST_DEV0, 0x10);
    calls = smmu_rig_ioctls(&r);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_tlbi_va(ASID, IOVA, true));
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID + 1));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, 0x11);
    g_assert_cmpuint(smmu_rig_ioctls(&r) - calls, ==, 2);
    smmu_rig_stop(&r);
}

/* Device TLBs: cached with EATS, forgotten on ATC_INV; never without EATS */
static void test_ats(void)
{
    const IommufdDma how = { .ats = true };
    uint64_t entries;
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_IDR0) & (1 << 10), !=, 0);
    smmu_rig_enable(&r, 4);
    smmu_rig_fill(&r, 0, 0x10);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_s1(&r, IOVA, 0);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_rig_ste(&r, SID0, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds, .ats = true });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x10);
    smmu_s1_map(&s1, IOVA, DATA + 4096, 4096, 12, SMMU_PTE_USER_RW);
    smmu_queue_push(&r.cmdq, smmu_tlbi_asid(ASID));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x10);
    smmu_queue_push(&r.cmdq, smmu_atc_inv(SID0, SMMU_NO_SSID, IOVA, 0));
    smmu_rig_sync(&r);
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, 0x11);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    g_assert_cmpint(smmu_rig_peek(&r, HOST_DEV0, &how, IOVA), ==, -1);
    /* Nobody would answer: the host is not asked */
    entries = smmu_rig_entries(&r);
    smmu_queue_push(&r.cmdq, smmu_atc_inv(SID0, SMMU_NO_SSID, IOVA, 0));
    smmu_rig_sync(&r);
    g_assert_cmpuint(smmu_rig_entries(&r), ==, entries);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/cmdq/batch", test_batch);
    qtest_add_func("/smmu-nested/cmdq/invalid-cd", test_invalid_cd);
    qtest_add_func("/smmu-nested/cmdq/tlbi", test_tlbi);
    qtest_add_func("/smmu-nested/cmdq/cfgi-ste", test_cfgi_ste);
    qtest_add_func("/smmu-nested/cmdq/emulated", test_emulated);
    qtest_add_func("/smmu-nested/cmdq/no-device", test_no_device);
    qtest_add_func("/smmu-nested/cmdq/refused", test_refused);
    qtest_add_func("/smmu-nested/cmdq/illegal", test_illegal);
    qtest_add_func("/smmu-nested/cmdq/repeat", test_repeat);
    qtest_add_func("/smmu-nested/cmdq/ats", test_ats);
    return g_test_run();
}
