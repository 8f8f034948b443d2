/*
 * SMMUv3 nesting: where an assigned device's DMA goes, by registers and STEs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "smmu-rig.h"

#define IOVA    0x4000000000ULL
#define ASID    5

static const SmmuSte ste_abort = { .cfg = SMMU_STE_ABORT };
static const SmmuSte ste_bypass = { .cfg = SMMU_STE_BYPASS };

static void expect(SmmuRig *r, const char *dev, uint64_t addr, int value)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, addr), ==, value);
}

/* SMMUEN and GBPA, without a table that anybody would look at */
static void test_off(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_fill(&r, 1, 0x11);
    expect(&r, HOST_DEV0, DATA + 4096, 0x11);
    expect(&r, HOST_DEV1, DATA + 4096, 0x11);
    smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
    expect(&r, HOST_DEV0, DATA + 4096, -1);
    expect(&r, HOST_DEV1, DATA + 4096, -1);
    /* Without UPDATE the write is none */
    smmu_rig_write(&r, SMMU_REG_GBPA, 0);
    expect(&r, HOST_DEV0, DATA + 4096, -1);
    smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE);
    expect(&r, HOST_DEV0, DATA + 4096, 0x11);
    expect(&r, HOST_DEV1, DATA + 4096, 0x11);
    smmu_rig_stop(&r);
}

/* On with tables that are there already, off, on; GBPA does not matter then */
static void test_on(void)
{
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 3);
    smmu_rig_fill(&r, 1, 0x11);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_tables_init(&r.t, &r.mem, 16, 8);
    smmu_queue_init(&r.cmdq, &r.mem, 4, 16);
    smmu_queue_init(&r.evtq, &r.mem, 4, 32);
    smmu_ste_set(&r.t, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    smmu_ste_set(&r.t, SID1, &ste_bypass);
    for (unsigned i = 0; i < 2; i++) {
        smmu_enable(&r.regs, &r.t, &r.cmdq, &r.evtq);
        expect(&r, HOST_DEV0, IOVA, 0x11);
        expect(&r, HOST_DEV0, DATA + 4096, -1);
        expect(&r, HOST_DEV1, DATA + 4096, 0x11);
        /* There is no STE for the third */
        expect(&r, HOST_DEV2, DATA + 4096, -1);
        smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
        expect(&r, HOST_DEV0, IOVA, 0x11);
        expect(&r, HOST_DEV1, DATA + 4096, 0x11);
        smmu_rig_write(&r, SMMU_REG_CR0, 0);
        expect(&r, HOST_DEV0, IOVA, -1);
        expect(&r, HOST_DEV1, DATA + 4096, -1);
        smmu_rig_write(&r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE);
        expect(&r, HOST_DEV0, DATA + 4096, 0x11);
        expect(&r, HOST_DEV2, DATA + 4096, 0x11);
    }
    smmu_rig_stop(&r);
}

/* Every Config, in sequence, each in force when the CMD_SYNC is done */
static void test_config(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_fill(&r, 2, 0x22);
    smmu_rig_enable(&r, 4);
    for (unsigned i = 0; i < 3; i++) {
        smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
        smmu_rig_stage1(&r, SID1, ASID + 1, IOVA, 2);
        expect(&r, HOST_DEV0, IOVA, 0x11);
        expect(&r, HOST_DEV1, IOVA, 0x22);
        smmu_rig_ste(&r, SID0, &ste_bypass);
        expect(&r, HOST_DEV0, DATA + 4096, 0x11);
        expect(&r, HOST_DEV1, IOVA, 0x22);
        smmu_rig_ste(&r, SID0, &ste_abort);
        expect(&r, HOST_DEV0, DATA + 4096, -1);
        expect(&r, HOST_DEV0, IOVA, -1);
        expect(&r, HOST_DEV1, IOVA, 0x22);
        smmu_rig_ste(&r, SID1, NULL);
        expect(&r, HOST_DEV1, IOVA, -1);
    }
    /* All of this is what a guest may do */
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

/*
 * An STE with @dw1 in word 1, which the guest has been told not to use, after
 * one that lets DMA through and after one that blocks it as well
 */
static void expect_bad(SmmuRig *r, uint64_t dw0, uint64_t dw1)
{
    const uint64_t dw[8] = { 1 | dw0, dw1 };
    uint64_t event[4];

    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_ste(r, SID0, i ? &ste_abort : &ste_bypass);
        expect(r, HOST_DEV0, DATA + 4096, i ? -1 : 0x11);
        iommu_mem_write_qwords(&r->mem, smmu_ste_entry(&r->t, SID0), dw, 8);
        smmu_queue_push(&r->cmdq, smmu_cfgi_ste(SID0, true));
        smmu_rig_sync(r);
        expect(r, HOST_DEV0, DATA + 4096, -1);
        g_assert_cmpuint(smmu_rig_event(r, event), ==, 0x04);
        g_assert_cmphex(event[0] >> 32, ==, SID0);
        /* Said once, however often the guest asks */
        smmu_queue_push(&r->cmdq, smmu_cfgi_ste(SID0, true));
        smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
        smmu_rig_sync(r);
        g_assert_cmpuint(smmu_rig_event(r, event), ==, 0);
    }
}

static void test_bad(void)
{
    const uint64_t s1 = SMMU_STE_S1 << 1;
    g_autofree char *host = smmu_rig_host(1, "", "");
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on,ssidsize=4,cd2l=off", 1, "");
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_enable(&r, 4);
    expect_bad(&r, 6 << 1, 0);                  /* stage 2 */
    expect_bad(&r, 7 << 1, 0);                  /* both */
    expect_bad(&r, s1 | 5ULL << 59, 0);         /* S1CDMax */
    expect_bad(&r, s1 | 4ULL << 59 | 1 << 4, 2);    /* two-level CD table */
    expect_bad(&r, s1 | 4ULL << 59 | 3 << 4, 2);    /* or reserved */
    expect_bad(&r, s1, 1ULL << 27);             /* S1STALLD */
    expect_bad(&r, s1, 2ULL << 28);             /* EATS split-stage */
    /* None of them got as far as the host */
    g_assert_cmpuint(iommufd_model_counter(r.m, "HWPT_ALLOC", "errors"), ==,
                     0);
    smmu_rig_stop(&r);
}

/* Fields that the host does not take are kept from it, not refused */
static void test_fields(void)
{
    SmmuCdTable cds;
    uint64_t slot;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 1);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_enable(&r, 4);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_ste_set(&r.t, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    slot = smmu_ste_entry(&r.t, SID0);
    /* S1Fmt and S1DSS mean nothing without substreams; MEV, SHCFG, MTCFG */
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) | 3 << 4);
    iommu_mem_write64(&r.mem, slot + 8, iommu_mem_read64(&r.mem, slot + 8) |
                      3 | 1 << 16 | 1 << 19 | 1ULL << 44);
    /* A VMID and the rest of what a stage 2 would be */
    iommu_mem_write64(&r.mem, slot + 16, 0x1234567812345678ULL);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID0, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, 0x11);
    smmu_rig_stop(&r);
}

/*
 * A host whose transactions can stall does not let those of the guest, which
 * has been told that there is no such thing: CD.S is ILLEGAL (5.4.1)
 */
static void test_stall(void)
{
    g_autofree char *host = smmu_rig_host(1, "idr0=0xc4c141b\n", "");
    uint64_t event[4];
    SmmuCdTable cds;
    uint64_t slot;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 1, "");
    g_assert_cmpuint(smmu_rig_read(&r, SMMU_REG_IDR0) >> 24 & 3, ==, 1);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_enable(&r, 4);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_rig_ste(&r, SID0, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    expect(&r, HOST_DEV0, IOVA, 0x11);
    slot = smmu_cd_entry(&cds, 0);
    iommu_mem_write64(&r.mem, slot, iommu_mem_read64(&r.mem, slot) |
                      1ULL << 44);
    smmu_queue_push(&r.cmdq, smmu_cfgi_cd(SID0, 0, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, IOVA, -1);
    g_assert_cmphex(smmu_rig_wait_event(&r, event), ==, 0x0a);
    g_assert_cmphex(event[0] >> 32, ==, SID0);
    smmu_rig_stop(&r);
}

/* Streams with the same tables share a HWPT, and its vDEVICEs come first */
static void test_objects(void)
{
    SmmuCdTable cds;
    SmmuS1 s1;
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_enable(&r, 4);
    g_assert_cmpuint(iommufd_model_live(r.m, "vdevice"), ==, 0);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_ste(&r, i ? SID1 : SID0,
                     &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    }
    g_assert_cmpuint(iommufd_model_live(r.m, "viommu"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "veventq"), ==, 1);
    g_assert_cmpuint(iommufd_model_live(r.m, "vdevice"), ==, 2);
    /* One that is shared */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS + 1);
    smmu_rig_ste(&r, SID0, &ste_bypass);
    smmu_rig_ste(&r, SID1, &ste_bypass);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS);
    smmu_rig_stop(&r);
}

/* Only the streams that a command names are looked at again */
static void test_named(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 4);
    smmu_rig_fill(&r, 1, 0x11);
    smmu_rig_enable(&r, 4);
    for (unsigned i = 0; i < 4; i++) {
        smmu_ste_set(&r.t, SID0 + i * 8, &ste_bypass);
    }
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(SID1, true));
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, DATA + 4096, -1);
    expect(&r, HOST_DEV1, DATA + 4096, 0x11);
    expect(&r, HOST_DEV2, DATA + 4096, -1);
    /* 2^4 streams: 0x20 to 0x2f */
    smmu_queue_push(&r.cmdq, (SmmuCmd) { {
        SMMU_OP_CFGI_STE_RANGE | (uint64_t)SID1 << 32, 3 } });
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV0, DATA + 4096, 0x11);
    expect(&r, HOST_DEV2, DATA + 4096, -1);
    expect(&r, HOST_DEV3, DATA + 4096, -1);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(&r);
    expect(&r, HOST_DEV2, DATA + 4096, 0x11);
    expect(&r, HOST_DEV3, DATA + 4096, 0x11);
    smmu_rig_stop(&r);
}

/* The machine's own SMMU, and what libvirt calls it */
static void test_machine(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    static const char *const props[] = { NULL, "accel=on", "nested=auto" };

    for (size_t i = 0; i < ARRAY_SIZE(props); i++) {
        SmmuRig r;

        smmu_rig_start(&r, host, props[i], 1, "");
        smmu_rig_fill(&r, 1, 0x11);
        smmu_rig_enable(&r, 4);
        smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
        expect(&r, HOST_DEV0, IOVA, 0x11);
        /* Stage 2 is not the guest's */
        g_assert_cmphex(smmu_rig_read(&r, SMMU_REG_IDR0) & 3, ==, 2);
        smmu_rig_stop(&r);
    }
}

/* Reset: everything as at the start, the second device as well */
static void test_reset(void)
{
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_fill(&r, 1, 0x11);
    for (unsigned i = 0; i < 2; i++) {
        smmu_rig_enable(&r, 4);
        smmu_rig_stage1(&r, SID0, ASID, IOVA, 1);
        smmu_rig_ste(&r, SID1, &ste_abort);
        expect(&r, HOST_DEV0, IOVA, 0x11);
        expect(&r, HOST_DEV1, DATA + 4096, -1);
        qtest_system_reset(r.qts);
        smmu_rig_fill(&r, 1, 0x11);
        expect(&r, HOST_DEV0, DATA + 4096, 0x11);
        expect(&r, HOST_DEV1, DATA + 4096, 0x11);
        g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS);
    }
    smmu_rig_stop(&r);
}

/* Management is told of what is refused, and of its end; not of "abort" */
static void test_blocked_event(void)
{
    /* Stage 2 only, which is not offered */
    const SmmuSte stage2 = { .cfg = 6 };
    QDict *event, *data;
    SmmuRig r;

    smmu_rig_start_simple(&r, 2);
    smmu_rig_enable(&r, 4);
    smmu_rig_ste(&r, SID0, &ste_abort);
    smmu_rig_ste(&r, SID1, &stage2);
    event = qtest_qmp_eventwait_ref(r.qts, "NESTED_IOMMU_BLOCKED");
    data = qdict_get_qdict(event, "data");
    g_assert_cmpstr(qdict_get_str(data, "device"), ==, HOST_DEV1);
    g_assert_cmpint(qdict_get_int(data, "refused"), ==, 1);
    g_assert_false(qdict_haskey(data, "pasid"));
    g_assert_nonnull(strstr(qdict_get_str(data, "reason"), "stage 2"));
    qobject_unref(event);
    smmu_rig_ste(&r, SID1, &ste_bypass);
    event = qtest_qmp_eventwait_ref(r.qts, "NESTED_IOMMU_UNBLOCKED");
    data = qdict_get_qdict(event, "data");
    g_assert_cmpstr(qdict_get_str(data, "device"), ==, HOST_DEV1);
    qobject_unref(event);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/ste/off", test_off);
    qtest_add_func("/smmu-nested/ste/on", test_on);
    qtest_add_func("/smmu-nested/ste/config", test_config);
    qtest_add_func("/smmu-nested/ste/bad", test_bad);
    qtest_add_func("/smmu-nested/ste/fields", test_fields);
    qtest_add_func("/smmu-nested/ste/stall", test_stall);
    qtest_add_func("/smmu-nested/ste/objects", test_objects);
    qtest_add_func("/smmu-nested/ste/named", test_named);
    qtest_add_func("/smmu-nested/ste/machine", test_machine);
    qtest_add_func("/smmu-nested/ste/reset", test_reset);
    qtest_add_func("/smmu-nested/ste/blocked-event", test_blocked_event);
    return g_test_run();
}
