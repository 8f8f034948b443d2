/*
 * VT-d nesting: an emulated endpoint that translates in a thread of its own
 *
 * A disk with an iothread beside a nested device, while the guest invalidates,
 * switches translation off, and takes the disk away. (The base's NVMe has no
 * iothread, nor has sva-engine.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "../libqos/pci-pc.h"
#include "thread-rig.h"
#include "vtd-rig.h"

#define IOVA            0x4000000000ULL
#define BARS            0xe4000000ULL
#define MEM             (82 * MiB)
#define DID             5
#define DISK_DID        6
#define PORT_RID        0x80
#define HOT_RID         BEHIND(1)

#define HOT_DISK        THREAD_BACKEND VTD_RIG_SLOTS

typedef struct Threaded {
    VtdRig r;
    QPCIBus *bus;
    ThreadRig disk;
    uint64_t s1;                /* of the disk: MEM is where it is */
} Threaded;

/* With a nested device */
static void start(Threaded *t, const char *options)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    VtdRig *r = &t->r;

    *t = (Threaded) {};
    vtd_rig_start(r, host, "nested=on", 1, options);
    vtd_rig_enable(r);
    vtd_rig_fill(r, 0, 1);
    vtd_rig_first_stage(r, RID0, DID, vtd_rig_s1(r, IOVA, 0));
    t->s1 = vtd_s1_new(&r->mem);
    vtd_s1_map(&r->mem, t->s1, 4, MEM, MEM, THREAD_MEM, 12, VTD_S1_USER_RW);
    t->bus = qpci_new_pc(r->qts, NULL);
}

static void start_disk(Threaded *t, uint16_t rid)
{
    vtd_rig_first_stage(&t->r, rid, DISK_DID, t->s1);
    thread_rig_start_at(&t->disk, t->r.qts, t->bus, rid, BARS, MEM);
}

static void expect(Threaded *t)
{
    iommufd_model_expect_data(t->r.m, HOST_DEV0, NULL, IOVA, 1, 16);
}

static void stop(Threaded *t)
{
    expect(t);
    qpci_free_pc(t->bus);
    vtd_rig_stop(&t->r);
}

static void invalidate(Threaded *t)
{
    for (unsigned i = 0; i < 10; i++) {
        vtd_queue_push(&t->r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        vtd_queue_push(&t->r.q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
        vtd_queue_push(&t->r.q, vtd_inv_piotlb_all(DISK_DID, 0));
        vtd_queue_push(&t->r.q, vtd_inv_piotlb_all(DID, 0));
        vtd_queue_kick(&t->r.q, &t->r.regs);
    }
    vtd_rig_sync(&t->r);
}

static void test_invalidations(void)
{
    Threaded t;

    start(&t, THREAD_DISK);
    start_disk(&t, THREAD_RID);
    for (unsigned i = 0; i < 20; i++) {
        thread_rig_submit(&t.disk);
        invalidate(&t);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    g_assert_cmpuint(vtd_rig_take_fault(&t.r, NULL), ==, 0);
    thread_rig_stop(&t.disk);
    stop(&t);
}

/* A page of it is taken away: faults of a thread, and the nested device's */
static void test_fault(void)
{
    unsigned reason;
    uint16_t sid;
    Threaded t;

    start(&t, THREAD_DISK);
    start_disk(&t, THREAD_RID);
    thread_rig_submit(&t.disk);
    g_assert_true(thread_rig_wait(&t.disk));
    vtd_s1_unmap(&t.r.mem, t.s1, 4, t.disk.buffers, 16 * 4096);
    vtd_queue_push(&t.r.q, vtd_inv_piotlb_all(DISK_DID, 0));
    vtd_rig_sync(&t.r);
    thread_rig_submit(&t.disk);
    for (unsigned i = 0; !(reason = vtd_rig_take_fault(&t.r, &sid)); i++) {
        g_assert_cmpuint(i, <, 5000);
        invalidate(&t);
    }
    g_assert_cmphex(sid, ==, THREAD_RID);
    thread_rig_stop(&t.disk);
    stop(&t);
}

/* Off and on, and a reset, meanwhile */
static void test_reset(void)
{
    Threaded t;

    start(&t, THREAD_DISK);
    start_disk(&t, THREAD_RID);
    for (unsigned i = 0; i < 10; i++) {
        thread_rig_submit(&t.disk);
        vtd_rig_translation(&t.r, false);
        vtd_rig_translation(&t.r, true);
        if (!thread_rig_wait(&t.disk)) {
            thread_rig_reset(&t.disk);
            vtd_rig_take_fault(&t.r, NULL);
        }
        expect(&t);
    }
    thread_rig_submit(&t.disk);
    qtest_system_reset(t.r.qts);
    vtd_rig_enable(&t.r);
    vtd_rig_first_stage(&t.r, RID0, DID, vtd_rig_s1(&t.r, IOVA, 0));
    thread_rig_stop(&t.disk);
    stop(&t);
}

static void test_unplug(void)
{
    Threaded t;

    start(&t, HOT_DISK);
    vtd_rig_number_slot(&t.r, 0, 1);
    vtd_rig_config_write(&t.r, PORT_RID, PCI_MEMORY_BASE,
                         BARS >> 16 | (BARS + 0x100000));
    vtd_rig_config_write(&t.r, PORT_RID, PCI_COMMAND,
                         PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 4; i++) {
        qtest_qmp_device_add(t.r.qts, "virtio-blk-pci", "disk",
                             THREAD_HOT_DISK);
        vtd_rig_power_slot(&t.r, 0);
        start_disk(&t, HOT_RID);
        thread_rig_submit(&t.disk);
        if (i % 2) {
            invalidate(&t);
        }
        vtd_rig_unplug(&t.r, 0, "disk");
        invalidate(&t);
        expect(&t);
        thread_rig_gone(&t.disk);
    }
    stop(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/thread/invalidations", test_invalidations);
    qtest_add_func("/vtd-nested/thread/fault", test_fault);
    qtest_add_func("/vtd-nested/thread/reset", test_reset);
    qtest_add_func("/vtd-nested/thread/unplug", test_unplug);
    return g_test_run();
}
