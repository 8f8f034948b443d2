/*
 * intel-iommu as the IOMMU of an emulated host: endpoints with threads
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A disk with an iothread translates, and has faults, without the lock that
 * registers and queues are protected by.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "../libqos/pci-pc.h"
#include "thread-rig.h"
#include "vtd-host.h"

#define BARS            0xe4000000ULL
#define MEM             0x08000000ULL

#define ECAM            0xb0000000ULL
#define PORT_RID        0x30
#define HOT_RID         0x100

/* A port that a disk can be plugged into */
#define PORT            " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-" \
                        "support=off -device pcie-root-port,id=rp0,addr=6," \
                        "chassis=1,slot=1" THREAD_BACKEND

#define REG_FECTL       0x38
#define REG_FEDATA      0x3c
#define REG_FEADDR      0x40
#define FECTL_IM        (1u << 31)

#define CONTEXT_ABSENT  0x41
#define PAGE_ABSENT     0x79
#define S2_NO_ACCESS    0x78
#define NO_AD_UPDATE    0x91

typedef struct Threaded {
    Host *h;
    QPCIBusPC bus;
    ThreadRig disk;
    uint64_t s2_root;
} Threaded;

/* With or without a translation for @rid; the interrupt is delivered */
static void start_with(Threaded *t, const char *iommu, const char *options,
                       uint16_t rid, bool present)
{
    Host *h = host_new(iommu, options);

    *t = (Threaded) { .h = h };
    host_start(h, 0);
    h->regs.write32(h->regs.opaque, REG_FEDATA, 0x31);
    h->regs.write32(h->regs.opaque, REG_FEADDR, 0xfee00000);
    h->regs.write32(h->regs.opaque, REG_FECTL, 0);
    g_assert_cmphex(h->regs.read32(h->regs.opaque, REG_FECTL) & FECTL_IM, ==,
                    0);
    if (present) {
        t->s2_root = vtd_s2_new(&h->mem);
        vtd_s2_map(&h->mem, t->s2_root, 4, MEM, MEM, THREAD_MEM, 12,
                   VTD_S2_RW);
        vtd_context_scalable(&h->tables, rid, 20, 0, 0);
        vtd_pasid_set(&h->tables, rid, 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_SECOND, .did = HOST_DID, .s2 = t->s2_root,
            .s2_levels = 4,
        });
    }
    host_invalidate_all(h);
    qpci_init_pc(&t->bus, h->qts, NULL);
}

static void start(Threaded *t, const char *iommu, bool present)
{
    start_with(t, iommu, THREAD_DISK, THREAD_RID, present);
    thread_rig_start(&t->disk, t->h->qts, &t->bus.bus, BARS, MEM);
}

static void stop(Threaded *t)
{
    thread_rig_stop(&t->disk);
    host_free(t->h);
}

static unsigned wait_fault(Host *h, unsigned ms, uint64_t *hi)
{
    unsigned reason = 0;
    uint64_t lo;

    for (unsigned tries = 0; tries < ms && !reason; tries++) {
        g_usleep(1000);
        reason = host_take_fault(h, &lo, hi);
    }
    return reason;
}

static void test_fault(void)
{
    uint64_t hi = 0;
    Threaded t;

    start(&t, "", false);
    thread_rig_kick(&t.disk);
    g_assert_cmphex(wait_fault(t.h, 2000, &hi), ==, CONTEXT_ABSENT);
    g_assert_cmphex(hi & 0xffff, ==, THREAD_RID);
    stop(&t);
}

/* While the disk reads, everything is invalidated over and over */
static void check_invalidations(const char *iommu)
{
    Threaded t;

    start(&t, iommu, true);
    for (unsigned i = 0; i < 40; i++) {
        thread_rig_submit(&t.disk);
        for (unsigned j = 0; j < 10; j++) {
            vtd_queue_push(&t.h->queue,
                           vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
            vtd_queue_push(&t.h->queue,
                           vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
            vtd_queue_push(&t.h->queue,
                           vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
            vtd_queue_kick(&t.h->queue, &t.h->regs);
        }
        host_invalidate_all(t.h);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    g_assert_cmphex(host_take_fault(t.h, NULL, NULL), ==, 0);
    stop(&t);
}

static void test_invalidations(void)
{
    check_invalidations("");
    check_invalidations(",host-keep=on");
}

/* A page of it is taken away while it is at work, and comes back */
static void test_unmap(void)
{
    uint64_t slot, hi, was;
    unsigned reason;
    Threaded t;

    start(&t, "", true);
    slot = vtd_s2_entry(&t.h->mem, t.s2_root, 4,
                        t.disk.buffers + 5 * 4096, 1);
    was = host_read64(t.h, slot);
    for (unsigned i = 0; i < 5; i++) {
        host_write64(t.h, slot, 0);
        thread_rig_submit(&t.disk);
        host_invalidate_all(t.h);
        reason = wait_fault(t.h, 50, &hi);
        if (!reason) {
            /* The disk was faster */
            g_assert_true(thread_rig_wait(&t.disk));
            thread_rig_submit(&t.disk);
            reason = wait_fault(t.h, 2000, &hi);
        }
        g_assert_cmphex(reason, ==, PAGE_ABSENT);
        host_write64(t.h, slot, was);
        host_invalidate_all(t.h);
        thread_rig_reset(&t.disk);
        /* What was on its way when the first one was taken */
        host_take_fault(t.h, NULL, NULL);
        thread_rig_submit(&t.disk);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    stop(&t);
}

/*
 * DMA remapping goes off and on, and the machine is reset, meanwhile. Between
 * the two there is no memory for a moment, and what the disk reads then it may
 * not get over.
 */
static void test_reset(void)
{
    Threaded t;

    start(&t, "", true);
    for (unsigned i = 0; i < 10; i++) {
        thread_rig_submit(&t.disk);
        t.h->regs.write32(t.h->regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE);
        t.h->regs.write32(t.h->regs.opaque, VTD_REG_GCMD,
                          VTD_GCMD_QIE | VTD_GCMD_TE);
        if (!thread_rig_wait(&t.disk)) {
            thread_rig_reset(&t.disk);
            host_take_fault(t.h, NULL, NULL);
        }
        thread_rig_submit(&t.disk);
        g_assert_true(thread_rig_wait(&t.disk));
    }
    thread_rig_submit(&t.disk);
    qtest_system_reset(t.h->qts);
    host_start(t.h, 0);
    host_invalidate_all(t.h);
    stop(&t);
}

static void flush(void *h)
{
    host_invalidate_all(h);
}

/* It is pulled while it reads; the next one finds nothing of it */
static void test_unplug(void)
{
    Threaded t;

    start_with(&t, ",host-keep=on", PORT, HOT_RID, true);
    thread_rig_pull(t.h->qts, &t.bus.bus, ECAM, PORT_RID, BARS, MEM, flush,
                    t.h);
    g_assert_cmphex(host_take_fault(t.h, NULL, NULL), ==, 0);
    host_free(t.h);
}

/* ------------------------------------------------------ accessed and dirty */

#define RAM_SIZE        (256ULL << 20)
/* Bits of an entry that are the guest's own, in either stage */
#define IGNORED_SHIFT   52
#define IGNORED_MASK    0x3f

typedef struct Writer {
    uint64_t *entry;
    uint64_t value;
    bool stop;
} Writer;

/* As a guest's CPU would: no value is there twice in a row */
static void *keep_changing(void *opaque)
{
    Writer *w = opaque;

    for (uint64_t i = 0; !qatomic_read(&w->stop); i++) {
        qatomic_set(w->entry, cpu_to_le64(w->value | (i & IGNORED_MASK) <<
                                          IGNORED_SHIFT));
    }
    return NULL;
}

/* What is filled goes by one entry of level 3, which leads nowhere else */
#define FILL_IOVA       (6 * GIB)
#define FILL_HPA        0x08000000ULL
#define FILL_SIZE       (8ULL << 20)
#define DONE            (RING_HPA + 0x8000)

static uint64_t *entry_in(Host *h, uint8_t *ram, Setup *s)
{
    unsigned level;

    if (s->pgtt == VTD_PGTT_SECOND) {
        vtd_s2_map(&h->mem, s->s2_root, 4, RING_HPA, RING_HPA, 0x10000, 12,
                   VTD_S2_RW);
        vtd_s2_map(&h->mem, s->s2_root, 4, FILL_IOVA, FILL_HPA, FILL_SIZE, 12,
                   VTD_S2_RW);
        return (uint64_t *)(ram + vtd_s2_entry(&h->mem, s->s2_root, 4,
                                               FILL_IOVA, 3));
    }
    vtd_s1_map(&h->mem, s->s1_root, 4, RING_HPA, RING_HPA, 0x10000, 12,
               VTD_S1_USER_RW);
    vtd_s1_map(&h->mem, s->s1_root, 4, FILL_IOVA, FILL_HPA, FILL_SIZE, 12,
               VTD_S1_USER_RW);
    return (uint64_t *)(ram + vtd_s1_entry(&h->mem, s->s1_root, 4, FILL_IOVA,
                                           3, &level));
}

/*
 * An entry that changes whenever it is to be marked as accessed: the walk ends,
 * and with it the turn of the main loop. Without its limit it would go on for
 * as long as the other CPU does.
 */
static void check_race(Setup s, unsigned reason)
{
    g_autofree char *file = NULL, *options = NULL;
    int fd = g_file_open_tmp("nested-ram-XXXXXX", &file, NULL);
    unsigned seen = 0;
    pthread_t thread;
    uint8_t *ram;
    Writer w = {};
    Host *h;

    g_assert_cmpint(fd, >=, 0);
    options = g_strdup_printf(" -machine memory-backend=ram0 -object "
                              "memory-backend-file,id=ram0,size=256M,share=on,"
                              "mem-path=%s", file);
    h = host_new("", options);
    unlink(file);
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(ram != MAP_FAILED);
    host_start(h, 0);
    host_setup(h, 0, &s);
    w.entry = entry_in(h, ram, &s);
    w.value = le64_to_cpu(*w.entry) & ~(VTD_S2_A | VTD_S1_A);

    g_assert_cmpint(pthread_create(&thread, NULL, keep_changing, &w), ==, 0);
    for (unsigned i = 0; !seen; i++) {
        g_assert_cmpuint(i, <, 500);
        host_invalidate_all(h);
        engine_start(h, UINT32_MAX, RING_HPA);
        host_write64(h, DONE, 0);
        engine_fill(h, RING_HPA, FILL_IOVA, FILL_SIZE, i, DONE);
        g_assert_cmpuint(engine_wait(h, DONE), !=, 0);
        seen = host_take_fault(h, NULL, NULL);
    }
    qatomic_set(&w.stop, true);
    pthread_join(thread, NULL);
    g_assert_cmphex(seen, ==, reason);
    host_invalidate_all(h);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    munmap(ram, RAM_SIZE);
    close(fd);
    host_free(h);
}

static void test_race(gconstpointer stage)
{
    if (g_get_num_processors() < 2) {
        g_test_skip("nobody changes it meanwhile with one CPU");
        return;
    }
    if (GPOINTER_TO_INT(stage) == 2) {
        check_race((Setup) {
            .pgtt = VTD_PGTT_SECOND, .s2_levels = 4, .s2_shift = 12,
            .s2_flags = VTD_S2_RW, .ssade = true,
        }, S2_NO_ACCESS);
    } else {
        check_race((Setup) {
            .pgtt = VTD_PGTT_FIRST, .s1_levels = 4, .s1_shift = 12,
            .s1_flags = VTD_S1_USER_RW,
        }, NO_AD_UPDATE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-twostage/thread/fault", test_fault);
    qtest_add_func("/vtd-twostage/thread/invalidations", test_invalidations);
    qtest_add_func("/vtd-twostage/thread/unmap", test_unmap);
    qtest_add_func("/vtd-twostage/thread/reset", test_reset);
    qtest_add_func("/vtd-twostage/thread/unplug", test_unplug);
    qtest_add_data_func("/vtd-twostage/thread/race/stage-1",
                        GINT_TO_POINTER(1), test_race);
    qtest_add_data_func("/vtd-twostage/thread/race/stage-2",
                        GINT_TO_POINTER(2), test_race);
    return g_test_run();
}
