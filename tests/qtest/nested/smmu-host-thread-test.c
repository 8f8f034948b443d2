/*
 * SMMUv3 of an emulated host: an endpoint with a thread of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A disk with an iothread translates without the lock that commands and
 * registers are protected by.
 */

#include "qemu/osdep.h"
#include "../libqos/generic-pcihost.h"
#include "smmu-host-rig.h"
#include "thread-rig.h"

#define BARS            0x20000000ULL
#define MEM             0x49000000ULL
#define ECAM            0x4010000000ULL
#define PORT_RID        0x30
#define HOT_RID         0x100

/* A port that a disk can be plugged into */
#define PORT            THREAD_BACKEND \
                        "-device pcie-root-port,id=rp0,addr=6,chassis=1,slot=1"

typedef struct Threaded {
    Host *h;
    QGenericPCIBus bus;
    ThreadRig disk;
    SmmuS1 s1;
} Threaded;

/* With tables for the disk at @rid */
static void start_with(Threaded *t, const char *smmu, const char *options,
                       uint16_t rid)
{
    Host *h = host_start(smmu, options, 6);
    SmmuCdTable cds;

    *t = (Threaded) { .h = h };
    smmu_s1_init(&t->s1, &h->mem, 12, 48);
    smmu_s1_map(&t->s1, MEM, MEM, THREAD_MEM, 12, SMMU_PTE_USER_RW);
    smmu_cdtab_init(&cds, &h->mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &t->s1, 1);
    smmu_ste_set(&h->tables, rid, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &cds,
    });
    host_flush(h);
    qpci_init_generic(&t->bus, h->rig.qts, NULL, false);
}

static void start(Threaded *t, const char *smmu)
{
    start_with(t, smmu, "keep-translations=off" THREAD_DISK, THREAD_RID);
    thread_rig_start(&t->disk, t->h->rig.qts, &t->bus.bus, BARS, MEM);
}

static void stop(Threaded *t)
{
    thread_rig_stop(&t->disk);
    host_stop(t->h);
}

static void flush_often(Host *h)
{
    for (unsigned j = 0; j < 20; j++) {
        host_push(h, smmu_cfgi_ste_all());
        host_push(h, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
        host_set_reg(h, SMMU_REG_CMDQ_PROD, h->cmdq.index);
    }
    host_sync(h);
}

/* While the disk reads, everything is invalidated over and over */
static void check_invalidations(const char *smmu)
{
    Threaded t;

    start(&t, smmu);
    for (unsigned i = 0; i < 40; i++) {
        thread_rig_submit(&t.disk);
        flush_often(t.h);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    host_no_event(t.h);
    stop(&t);
}

static void test_invalidations(void)
{
    check_invalidations("host-fwb=off");
    check_invalidations("host-keep=on");
}

static bool wait_event(Host *h, unsigned ms)
{
    uint64_t dw[4];

    while (!smmu_evtq_read(&h->evtq, &h->regs, dw)) {
        if (!ms--) {
            return false;
        }
        g_usleep(1000);
    }
    g_assert_cmphex(dw[0] & 0xff, ==, EVT_F_TRANSLATION);
    g_assert_cmphex(dw[0] >> 32, ==, THREAD_RID);
    return true;
}

/* A page of it is taken away while it is at work, and comes back */
static void test_unmap(void)
{
    uint64_t page;
    Threaded t;

    start(&t, "host-fwb=on");
    page = t.disk.buffers + 5 * 4096;
    for (unsigned i = 0; i < 5; i++) {
        smmu_s1_unmap(&t.s1, page, 4096);
        thread_rig_submit(&t.disk);
        flush_often(t.h);
        if (!wait_event(t.h, 50)) {
            /* The disk was faster */
            g_assert_true(thread_rig_wait(&t.disk));
            thread_rig_submit(&t.disk);
            g_assert_true(wait_event(t.h, 2000));
        }
        smmu_s1_map(&t.s1, page, page, 4096, 12, SMMU_PTE_USER_RW);
        flush_often(t.h);
        thread_rig_reset(&t.disk);
        while (wait_event(t.h, 0)) {
            continue;
        }
        thread_rig_submit(&t.disk);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    stop(&t);
}

/* The SMMU goes off and on, and the machine is reset, meanwhile */
static void test_reset(void)
{
    Threaded t;

    start(&t, "host-fwb=on");
    for (unsigned i = 0; i < 20; i++) {
        uint32_t cr0 = host_reg(t.h, SMMU_REG_CR0);

        thread_rig_submit(&t.disk);
        host_set_reg(t.h, SMMU_REG_CR0, cr0 & ~1);
        host_set_reg(t.h, SMMU_REG_CR0, cr0);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    thread_rig_submit(&t.disk);
    qtest_system_reset(t.h->rig.qts);
    g_assert_cmphex(host_reg(t.h, SMMU_REG_CR0), ==, 0);
    stop(&t);
}

static void flush(void *h)
{
    flush_often(h);
}

/* It is pulled while it reads; the next one finds nothing of it */
static void test_unplug(void)
{
    Threaded t;

    start_with(&t, "host-keep=on", "keep-translations=off" PORT, HOT_RID);
    thread_rig_pull(t.h->rig.qts, &t.bus.bus, ECAM, PORT_RID, BARS, MEM, flush,
                    t.h);
    host_no_event(t.h);
    host_stop(t.h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-host/thread/invalidations", test_invalidations);
    qtest_add_func("/smmu-host/thread/unmap", test_unmap);
    qtest_add_func("/smmu-host/thread/reset", test_reset);
    qtest_add_func("/smmu-host/thread/unplug", test_unplug);
    return g_test_run();
}
