/*
 * SMMUv3 nesting: events of the host in the guest's event queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define SLOT        0x10
#define PORT        "-device pcie-root-port,id=rp0,bus=pcie.0,addr=0x10," \
                    "chassis=1 "
#define OVERFLOW_FLAG   (1u << 31)
#define EVT_TRANSLATION 0x10

static uint64_t reads(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "queue-read", "calls");
}

static void start(SmmuRig *r, unsigned events)
{
    smmu_rig_start_simple(r, 2);
    smmu_rig_enable(r, events);
    smmu_rig_stage1(r, SID0, ASID, IOVA, 0);
    smmu_rig_stage1(r, SID1, ASID, IOVA, 0);
}

static void fault(SmmuRig *r, const char *dev, uint64_t addr)
{
    g_assert_cmpint(smmu_rig_peek(r, dev, NULL, addr), ==, -1);
}

/* An event the test makes up: lands in the queue as it is */
static void inject(SmmuRig *r, unsigned num)
{
    g_autofree char *rest = g_strnfill(48, '0');

    for (unsigned i = 0; i < num; i++) {
        iommufd_model_do(r->m, "{\"cmd\":\"event\",\"iommu\":0,\"sid\":%u,"
                         "\"event\":\"1000000000000000%s\"}", SID0, rest);
    }
}

/* StreamID and address are the guest's */
static void test_fault(void)
{
    uint64_t dw[4];
    SmmuRig r;

    start(&r, 4);
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t addr = IOVA + 0x100000 + i * 0x1000;

        fault(&r, i % 2 ? HOST_DEV1 : HOST_DEV0, addr);
        g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
        g_assert_cmphex(dw[0] >> 32, ==, i % 2 ? SID1 : SID0);
        g_assert_cmphex(dw[2], ==, addr);
    }
    g_assert_cmpuint(smmu_rig_event(&r, dw), ==, 0);
    smmu_rig_stop(&r);
}

/* One read of the host's queue for many events */
static void test_many(void)
{
    uint64_t before;
    uint64_t dw[4];
    SmmuRig r;

    start(&r, 7);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'stop' }");
    before = reads(&r);
    inject(&r, 60);
    /* While the VM is stopped its memory is left alone */
    g_assert_cmpuint(smmu_rig_event(&r, dw), ==, 0);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; i < 60; i++) {
        g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
    }
    /* And one that finds nothing more */
    g_assert_cmpuint(reads(&r) - before, <=, 2);
    smmu_rig_stop(&r);
}

static bool overflow(SmmuRig *r)
{
    return (smmu_rig_read(r, SMMU_REG_EVENTQ_PROD) ^
            smmu_rig_read(r, SMMU_REG_EVENTQ_CONS)) & OVERFLOW_FLAG;
}

static void expect_overflow(SmmuRig *r)
{
    for (unsigned i = 0; !overflow(r); i++) {
        g_assert_cmpuint(i, <, 5000);
        g_usleep(1000);
    }
    /* It is no abort of an access */
    g_assert_cmphex(smmu_rig_read(r, SMMU_REG_GERROR), ==,
                    smmu_rig_read(r, SMMU_REG_GERRORN));
}

/* A queue of four: the fifth event is lost, which is told once and again */
static void test_full(void)
{
    uint64_t dw[4];
    SmmuRig r;

    start(&r, 2);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_false(overflow(&r));
        inject(&r, 200);
        expect_overflow(&r);
        for (unsigned j = 0; j < 4; j++) {
            g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
        }
        /* Reading acknowledged it; what was still on its way comes */
        while (smmu_rig_wait_event(&r, dw) || overflow(&r)) {
            smmu_rig_write(&r, SMMU_REG_EVENTQ_CONS, r.evtq.index |
                           (smmu_rig_read(&r, SMMU_REG_EVENTQ_PROD) &
                            OVERFLOW_FLAG));
        }
    }
    smmu_rig_stop(&r);
}

/* What the host lost is lost for the guest as well */
static void test_lost(void)
{
    uint64_t dw[4];
    SmmuRig r;

    start(&r, 4);
    g_assert_false(overflow(&r));
    iommufd_model_do(r.m, "{\"cmd\":\"event-lost\",\"iommu\":0}");
    expect_overflow(&r);
    fault(&r, HOST_DEV0, IOVA + 0x100000);
    g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
    g_assert_false(overflow(&r));
    smmu_rig_stop(&r);
}

/* The host has no memory for a moment: nothing is lost, and all goes on */
static void test_retry(void)
{
    uint64_t dw[4];
    SmmuRig r;

    start(&r, 4);
    for (unsigned fails = 1; fails <= 3; fails++) {
        for (unsigned i = 1; i <= fails; i++) {
            iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                             "\"queue-read:%u:errno=ENOMEM\"}", i);
        }
        for (unsigned i = 0; i < 2; i++) {
            const uint64_t addr = IOVA + 0x100000 + i * 0x1000;

            fault(&r, HOST_DEV0, addr);
            g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
            g_assert_cmphex(dw[2], ==, addr);
        }
        g_assert_false(overflow(&r));
    }
    smmu_rig_stop(&r);
}

/* Queue off: nothing is recorded. On again: it goes on */
static void test_off(void)
{
    uint64_t before, dw[4];
    SmmuRig r;

    start(&r, 4);
    smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1);
    before = reads(&r);
    fault(&r, HOST_DEV0, IOVA + 0x100000);
    /* The read after the one that brought it: the event has been dealt with */
    for (unsigned i = 0; reads(&r) < before + 2; i++) {
        g_assert_cmpuint(i, <, 5000);
        g_usleep(1000);
    }
    /* Nor is that some are lost */
    before = reads(&r);
    iommufd_model_do(r.m, "{\"cmd\":\"event-lost\",\"iommu\":0}");
    for (unsigned i = 0; reads(&r) < before + 2; i++) {
        g_assert_cmpuint(i, <, 5000);
        g_usleep(1000);
    }
    smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
    g_assert_cmpuint(smmu_rig_event(&r, dw), ==, 0);
    g_assert_false(overflow(&r));
    fault(&r, HOST_DEV1, IOVA + 0x200000);
    g_assert_cmphex(smmu_rig_wait_event(&r, dw), ==, EVT_TRANSLATION);
    g_assert_cmphex(dw[2], ==, IOVA + 0x200000);
    smmu_rig_stop(&r);
}

/* The last device is unplugged from a stopped VM: its event is lost */
static void test_leave(void)
{
    g_autofree char *host = smmu_rig_host(1, "", "");
    uint64_t dw[4];
    SmmuRig r;

    smmu_rig_start(&r, host, "nested=on", 0, PORT);
    smmu_rig_number(&r, SLOT, 1);
    smmu_rig_enable(&r, 4);
    smmu_rig_plug(&r, 0, SLOT, "hot", HOST_DEV0);
    smmu_rig_stage1(&r, 1 << 8, ASID, IOVA, 0);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'stop' }");
    fault(&r, HOST_DEV0, IOVA + 0x100000);
    smmu_rig_unplug(&r, SLOT, "hot");
    g_assert_cmpuint(smmu_rig_event(&r, dw), ==, 0);
    expect_overflow(&r);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/event/fault", test_fault);
    qtest_add_func("/smmu-nested/event/many", test_many);
    qtest_add_func("/smmu-nested/event/full", test_full);
    qtest_add_func("/smmu-nested/event/lost", test_lost);
    qtest_add_func("/smmu-nested/event/retry", test_retry);
    qtest_add_func("/smmu-nested/event/off", test_off);
    qtest_add_func("/smmu-nested/event/leave", test_leave);
    return g_test_run();
}
