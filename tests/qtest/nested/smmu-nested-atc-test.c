/*
 * SMMUv3 nesting: devices that do not empty their TLBs in time
 *
 * The host's kernel waits a second for the CMD_SYNC behind a batch and says
 * that it was not done, no more. The guest is told what the architecture has
 * for it, CERROR_ATC_INV_SYNC at the CMD_SYNC, and all but the device goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define DEVS_MAX    8
/* Commands in one call */
#define PIECE       1008

#define CERROR_ATC_INV_SYNC 3
#define EVT_C_BAD_STE       0x04

#define OLD 0x10
#define NEW 0x11

typedef struct Atc {
    SmmuRig r;
    unsigned num;
    SmmuS1 s1;
    SmmuCdTable cds;
    unsigned page;              /* of data, that IOVA leads to */
} Atc;

/* Eight functions of one slot */
static uint32_t sid_of(unsigned i)
{
    return SID0 + i;
}

static const char *bdf_of(unsigned i)
{
    static const char *const bdfs[DEVS_MAX] = {
        HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3, "0000:05:00.0",
        "0000:06:00.0", "0000:07:00.0", "0000:08:00.0",
    };

    return bdfs[i];
}

static SmmuSte ste_of(Atc *a)
{
    return (SmmuSte) { .cfg = SMMU_STE_S1, .cds = &a->cds, .ats = true };
}

/* One table for all; the last device is behind a second SMMU if @second */
static void start(Atc *a, unsigned num, bool second)
{
    g_autoptr(GString) host = g_string_new("[host]\narch=smmuv3\n"
                                           "[iommu 0]\n[iommu 1]\n");
    g_autoptr(GString) args = g_string_new("");
    SmmuRig *r = &a->r;

    for (unsigned i = 0; i < num; i++) {
        g_string_append_printf(host, "[device %s]\ngroup=%u\niommu=%u\n",
                               bdf_of(i), i + 1, second && i == num - 1);
        g_string_append_printf(args, "-device vfio-pci,host=%s,"
                               "iommufd=iommufd0,bus=pcie.0,addr=4.%u%s ",
                               bdf_of(i), i, i ? "" : ",multifunction=on");
    }
    a->num = num;
    smmu_rig_start(r, host->str, "nested=on", 0, args->str);
    smmu_rig_enable(r, 6);
    smmu_rig_fill(r, 0, OLD);
    smmu_rig_fill(r, 1, NEW);
    a->page = 0;
    a->s1 = smmu_rig_s1(r, IOVA, 0);
    smmu_cdtab_init(&a->cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&a->cds, 0, &a->s1, ASID);
    for (unsigned i = 0; i < num; i++) {
        SmmuSte ste = ste_of(a);

        smmu_ste_set(&r->t, sid_of(i), &ste);
    }
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(r);
}

/* Where device @i gets to, with and without its TLB */
static void expect(Atc *a, unsigned i, int value)
{
    const IommufdDma ats = { .ats = true };

    g_assert_cmpint(smmu_rig_peek(&a->r, bdf_of(i), NULL, IOVA), ==, value);
    g_assert_cmpint(smmu_rig_peek(&a->r, bdf_of(i), &ats, IOVA), ==, value);
}

static void expect_all(Atc *a, int value)
{
    for (unsigned i = 0; i < a->num; i++) {
        expect(a, i, value);
    }
}

static void hang(Atc *a, unsigned i, bool on)
{
    iommufd_model_do(a->r.m, "{\"cmd\":\"atc-hang\",\"dev\":\"%s\",\"on\":%s}",
                     bdf_of(i), on ? "true" : "false");
}

static void push_atc_inv(Atc *a, unsigned i)
{
    smmu_queue_push(&a->r.cmdq, smmu_atc_inv(sid_of(i), SMMU_NO_SSID, IOVA,
                                             0));
}

/* The other page, and what a guest has to say about that */
static void push_remap(Atc *a)
{
    a->page = !a->page;
    smmu_s1_map(&a->s1, IOVA, DATA + a->page * 4096, 4096, 12,
                SMMU_PTE_USER_RW);
    smmu_queue_push(&a->r.cmdq, smmu_tlbi_asid(ASID));
    for (unsigned i = 0; i < a->num; i++) {
        push_atc_inv(a, i);
    }
}

static void expect_cerror(Atc *a, int cerror, unsigned at)
{
    g_assert_cmpint(smmu_cmdq_sync(&a->r.cmdq, &a->r.regs), ==, cerror);
    g_assert_cmpuint(smmu_rig_cons(&a->r), ==, at);
}

static void ack(Atc *a)
{
    smmu_rig_ack(&a->r);
    g_assert_cmphex(smmu_rig_read(&a->r, SMMU_REG_CMDQ_CONS) & 0xffffff, ==,
                    a->r.cmdq.index);
}

/* Devices that C_BAD_STE was recorded for, as a mask; no other event */
static unsigned bad_stes(Atc *a)
{
    unsigned mask = 0, type;
    uint64_t event[4];

    while ((type = smmu_rig_event(&a->r, event))) {
        g_assert_cmphex(type, ==, EVT_C_BAD_STE);
        mask |= 1u << ((event[0] >> 32) - SID0);
    }
    return mask;
}

static uint64_t failures(Atc *a)
{
    return iommufd_model_counter(a->r.m, "HWPT_INVALIDATE", "errors");
}

static void cfgi_all(Atc *a)
{
    smmu_queue_push(&a->r.cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(&a->r);
}

/* Each of three in turn: it alone is blocked, until it answers again */
static void test_one(gconstpointer opaque)
{
    unsigned bad = GPOINTER_TO_UINT(opaque), at;
    uint64_t calls, errors;
    Atc a;

    start(&a, 3, false);
    expect_all(&a, OLD);
    hang(&a, bad, true);
    calls = smmu_rig_ioctls(&a.r);
    errors = failures(&a);
    at = smmu_rig_cons(&a.r);
    push_remap(&a);
    expect_cerror(&a, CERROR_ATC_INV_SYNC, at + 1 + a.num);
    /* All of it, all but the device TLBs, each of these */
    g_assert_cmpuint(smmu_rig_ioctls(&a.r) - calls, ==, 2 + a.num);
    g_assert_cmpuint(failures(&a) - errors, ==, 2);
    g_assert_cmphex(bad_stes(&a), ==, 1u << bad);
    for (unsigned i = 0; i < a.num; i++) {
        expect(&a, i, i == bad ? -1 : NEW);
    }
    /* The guest's acknowledgement is an occasion to ask it once more */
    errors = failures(&a);
    ack(&a);
    g_assert_cmpuint(failures(&a) - errors, ==, 1);
    g_assert_cmphex(bad_stes(&a), ==, 1u << bad);
    expect(&a, bad, -1);
    /* The others go on without waiting for it */
    push_remap(&a);
    smmu_rig_sync(&a.r);
    g_assert_cmpuint(failures(&a) - errors, ==, 1);
    for (unsigned i = 0; i < a.num; i++) {
        expect(&a, i, i == bad ? -1 : OLD);
    }
    /* So is the STE: what the TLB has is older than what it leads to now */
    smmu_queue_push(&a.r.cmdq, smmu_cfgi_ste(sid_of(bad), true));
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==, CERROR_ILL);
    hang(&a, bad, false);
    ack(&a);
    push_remap(&a);
    smmu_rig_sync(&a.r);
    expect_all(&a, NEW);
    smmu_rig_stop(&a.r);
}

/* Nor is it let through where it needs no STE, or after a reset */
static void test_bypass(void)
{
    const IommufdDma ats = { .ats = true };
    SmmuSte ste;
    unsigned at;
    Atc a;

    start(&a, 2, false);
    ste = ste_of(&a);
    expect_all(&a, OLD);
    hang(&a, 0, true);
    push_remap(&a);
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==,
                    CERROR_ATC_INV_SYNC);
    ack(&a);
    at = smmu_rig_cons(&a.r);
    smmu_ste_set(&a.r.t, sid_of(0), &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_queue_push(&a.r.cmdq, smmu_cfgi_ste(sid_of(0), true));
    expect_cerror(&a, CERROR_ILL, at);
    g_assert_cmpint(smmu_rig_peek(&a.r, bdf_of(0), NULL, DATA), ==, -1);
    qtest_system_reset(a.r.qts);
    g_assert_cmpint(smmu_rig_peek(&a.r, bdf_of(1), NULL, DATA), ==, OLD);
    g_assert_cmpint(smmu_rig_peek(&a.r, bdf_of(0), NULL, DATA), ==, -1);
    g_assert_cmpint(smmu_rig_peek(&a.r, bdf_of(0), &ats, IOVA), ==, -1);
    hang(&a, 0, false);
    smmu_rig_enable(&a.r, 6);
    smmu_rig_ste(&a.r, sid_of(0), &ste);
    expect(&a, 0, NEW);
    smmu_rig_stop(&a.r);
}

/* It is asked under the number it has then, also for what needs no vDEVICE */
static void test_renumbered(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    uint64_t errors;
    Atc a = { .num = 1 };

    smmu_rig_start(&a.r, host, "nested=on", 0,
                   "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10,"
                   "chassis=1 "
                   "-device vfio-pci,host=" HOST_DEV0 ",iommufd=iommufd0,"
                   "bus=rp0 ");
    smmu_rig_number(&a.r, 0x10, 1);
    smmu_rig_enable(&a.r, 6);
    smmu_rig_fill(&a.r, 0, OLD);
    a.s1 = smmu_rig_s1(&a.r, IOVA, 0);
    smmu_cdtab_init(&a.cds, &a.r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&a.cds, 0, &a.s1, ASID);
    smmu_rig_ste(&a.r, 0x100, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &a.cds, .ats = true });
    expect(&a, 0, OLD);
    hang(&a, 0, true);
    smmu_queue_push(&a.r.cmdq, smmu_atc_inv(0x100, SMMU_NO_SSID, IOVA, 0));
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==,
                    CERROR_ATC_INV_SYNC);
    ack(&a);
    expect(&a, 0, -1);
    hang(&a, 0, false);
    errors = failures(&a);
    smmu_ste_set(&a.r.t, 0x200, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_rig_number(&a.r, 0x10, 2);
    smmu_queue_push(&a.r.cmdq, smmu_cfgi_ste(0x200, true));
    smmu_rig_sync(&a.r);
    g_assert_cmpint(smmu_rig_peek(&a.r, HOST_DEV0, NULL, DATA), ==, OLD);
    g_assert_cmpuint(failures(&a), ==, errors);
    smmu_rig_stop(&a.r);
}

/* Once is not for ever: nobody is to blame, and the guest hears nothing */
static void test_once(void)
{
    Atc a;

    start(&a, 3, false);
    expect_all(&a, OLD);
    iommufd_model_do(a.r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:1:errno=ETIMEDOUT:partial=2\"}");
    push_remap(&a);
    smmu_rig_sync(&a.r);
    expect_all(&a, NEW);
    g_assert_cmphex(bad_stes(&a), ==, 0);
    smmu_rig_stop(&a.r);
}

/* The rest cannot be done either: nobody can be vouched for */
static void test_rest(void)
{
    Atc a;

    start(&a, 3, false);
    expect_all(&a, OLD);
    for (unsigned i = 1; i <= 2; i++) {
        iommufd_model_do(a.r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"HWPT_INVALIDATE:%u:errno=ETIMEDOUT\"}", i);
    }
    push_remap(&a);
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==, CERROR_ILL);
    expect_all(&a, -1);
    g_assert_cmphex(bad_stes(&a), ==, 7);
    ack(&a);
    expect_all(&a, NEW);
    smmu_rig_stop(&a.r);
}

/* Three are waited for: those that come behind are blocked untried */
static void test_many(void)
{
    uint64_t errors;
    Atc a;

    start(&a, DEVS_MAX, false);
    expect_all(&a, OLD);
    for (unsigned i = 1; i <= 4; i++) {
        hang(&a, i, true);
    }
    errors = failures(&a);
    push_remap(&a);
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==,
                    CERROR_ATC_INV_SYNC);
    g_assert_cmpuint(failures(&a) - errors, ==, 4);
    g_assert_cmphex(bad_stes(&a), ==, 0xfe);
    for (unsigned i = 0; i < a.num; i++) {
        expect(&a, i, i ? -1 : NEW);
    }
    /* Those that do answer come back */
    ack(&a);
    g_assert_cmphex(bad_stes(&a), ==, 0x1e);
    for (unsigned i = 0; i < a.num; i++) {
        expect(&a, i, i >= 1 && i <= 4 ? -1 : NEW);
        hang(&a, i, false);
    }
    cfgi_all(&a);
    expect_all(&a, NEW);
    smmu_rig_stop(&a.r);
}

/* What is sent before the guest waits for it is told when it does */
static void test_later(void)
{
    SmmuSte ste;
    unsigned at;
    Atc a;

    start(&a, 2, false);
    ste = ste_of(&a);
    hang(&a, 0, true);
    /* The queue ends without a CMD_SYNC */
    push_atc_inv(&a, 0);
    smmu_rig_write(&a.r, SMMU_REG_CMDQ_PROD, a.r.cmdq.index);
    g_assert_cmphex(smmu_rig_read(&a.r, SMMU_REG_GERROR), ==, 0);
    expect(&a, 0, -1);
    expect_cerror(&a, CERROR_ATC_INV_SYNC, smmu_rig_cons(&a.r));
    hang(&a, 0, false);
    ack(&a);
    expect(&a, 0, OLD);
    hang(&a, 0, true);
    /* An attach that waits for what was said before */
    at = smmu_rig_cons(&a.r);
    push_atc_inv(&a, 0);
    smmu_ste_set(&a.r.t, sid_of(1), &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    smmu_queue_push(&a.r.cmdq, smmu_cfgi_ste(sid_of(1), true));
    expect_cerror(&a, CERROR_ATC_INV_SYNC, at + 2);
    expect(&a, 1, -1);
    hang(&a, 0, false);
    ack(&a);
    expect(&a, 0, OLD);
    hang(&a, 0, true);
    /* And a guest that starts anew has not waited for anything */
    push_atc_inv(&a, 0);
    smmu_rig_write(&a.r, SMMU_REG_CMDQ_PROD, a.r.cmdq.index);
    hang(&a, 0, false);
    qtest_system_reset(a.r.qts);
    smmu_rig_enable(&a.r, 6);
    smmu_rig_sync(&a.r);
    smmu_rig_ste(&a.r, sid_of(0), &ste);
    expect(&a, 0, OLD);
    smmu_rig_stop(&a.r);
}

/* In the second piece of a large batch: the first one has been done */
static void test_piece(void)
{
    uint64_t calls, entries;
    Atc a;

    start(&a, 2, false);
    expect_all(&a, OLD);
    hang(&a, 0, true);
    calls = smmu_rig_ioctls(&a.r);
    entries = smmu_rig_entries(&a.r);
    for (unsigned i = 0; i < PIECE + 100; i++) {
        smmu_queue_push(&a.r.cmdq, smmu_tlbi_va(ASID + 1, i << 12, true));
    }
    push_remap(&a);
    g_assert_cmpint(smmu_cmdq_sync(&a.r.cmdq, &a.r.regs), ==,
                    CERROR_ATC_INV_SYNC);
    g_assert_cmpuint(smmu_rig_ioctls(&a.r) - calls, ==, 5);
    g_assert_cmpuint(smmu_rig_entries(&a.r) - entries, <, PIECE + 3 * 100);
    expect(&a, 0, -1);
    expect(&a, 1, NEW);
    hang(&a, 0, false);
    ack(&a);
    expect_all(&a, NEW);
    smmu_rig_stop(&a.r);
}

/*
 * Another SMMU of the host refuses a command as malformed: there the queue
 * stops, and the CMD_SYNC tells of the device when it comes to that
 */
static void test_and_malformed(void)
{
    unsigned at;
    Atc a;

    start(&a, 2, true);
    hang(&a, 0, true);
    at = smmu_rig_cons(&a.r);
    push_atc_inv(&a, 0);
    smmu_queue_push(&a.r.cmdq, smmu_atc_inv(sid_of(1), SMMU_NO_SSID, IOVA,
                                            63));
    expect_cerror(&a, CERROR_ILL, at + 1);
    g_assert_cmphex(bad_stes(&a), ==, 1);
    iommu_mem_write64(&a.r.mem, a.r.cmdq.base + (at + 1) * 16,
                      smmu_atc_inv(sid_of(1), SMMU_NO_SSID, IOVA, 0).dw[0]);
    iommu_mem_write64(&a.r.mem, a.r.cmdq.base + (at + 1) * 16 + 8,
                      smmu_atc_inv(sid_of(1), SMMU_NO_SSID, IOVA, 0).dw[1]);
    smmu_rig_ack(&a.r);
    g_assert_cmpuint(smmu_rig_cons(&a.r), ==, at + 2);
    g_assert_cmpuint(smmu_rig_read(&a.r, SMMU_REG_CMDQ_CONS) >> 24 & 0x7f, ==,
                     CERROR_ATC_INV_SYNC);
    hang(&a, 0, false);
    ack(&a);
    expect_all(&a, OLD);
    smmu_rig_stop(&a.r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *path = g_strdup_printf("/smmu-nested/atc/one/%u", i);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_one);
    }
    qtest_add_func("/smmu-nested/atc/bypass", test_bypass);
    qtest_add_func("/smmu-nested/atc/renumbered", test_renumbered);
    qtest_add_func("/smmu-nested/atc/once", test_once);
    qtest_add_func("/smmu-nested/atc/rest", test_rest);
    qtest_add_func("/smmu-nested/atc/many", test_many);
    qtest_add_func("/smmu-nested/atc/later", test_later);
    qtest_add_func("/smmu-nested/atc/piece", test_piece);
    qtest_add_func("/smmu-nested/atc/and-malformed", test_and_malformed);
    return g_test_run();
}
