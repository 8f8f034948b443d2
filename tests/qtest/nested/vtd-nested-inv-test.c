/*
 * VT-d nesting: invalidation of first-stage page tables
 *
 * The modelled host caches forget nothing by themselves: what the guest did
 * not invalidate, or what did not reach the host in time, is seen as DMA to
 * the old page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-rig.h"

#define IOVA    0x4000000000ULL
#define DID     5

static uint64_t inv_calls(VtdRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
}

static uint64_t inv_entries(VtdRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "entries");
}

/* @num pages from IOVA on, each to the data page of its number, and used */
static uint64_t start_mapped(VtdRig *r, unsigned devices, unsigned num)
{
    uint64_t s1;

    vtd_rig_start_simple(r, devices);
    vtd_rig_enable(r);
    s1 = vtd_s1_new(&r->mem);
    for (unsigned i = 0; i < num; i++) {
        vtd_rig_fill(r, i, i + 1);
        vtd_rig_fill(r, num + i, 0x80 + i);
        vtd_s1_map(&r->mem, s1, 4, IOVA + i * 4096, DATA + i * 4096, 4096, 12,
                   VTD_S1_USER_RW);
    }
    for (unsigned i = 0; i < devices; i++) {
        vtd_rig_first_stage(r, RID0 + i * 8, DID, s1);
    }
    for (unsigned i = 0; i < num; i++) {
        iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA + i * 4096,
                                  i + 1, 16);
    }
    return s1;
}

static void remap(VtdRig *r, uint64_t s1, unsigned i, unsigned num)
{
    vtd_s1_map(&r->mem, s1, 4, IOVA + i * 4096, DATA + (num + i) * 4096, 4096,
               12, VTD_S1_USER_RW);
}

static void expect_page(VtdRig *r, unsigned i, uint8_t value)
{
    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA + i * 4096, value,
                              16);
}

/* Every command that concerns a page makes the device see its new place */
static void test_commands(void)
{
    const VtdDesc command[] = {
        vtd_inv_piotlb(DID, 0, IOVA, 0, false),
        vtd_inv_piotlb(DID, 0, IOVA, 0, true),
        vtd_inv_piotlb(DID, 0, IOVA, 9, false),
        /* Bits of the address below the size do not count */
        vtd_inv_piotlb(DID, 0, IOVA + 5 * 4096, 3, false),
        /* The largest size that is not everything, and beyond */
        vtd_inv_piotlb(DID, 0, 0, 35, false),
        vtd_inv_piotlb(DID, 0, 0, 36, false),
        vtd_inv_piotlb(DID, 0, 0, 40, false),
        vtd_inv_piotlb(DID, 0, UINT64_MAX, 63, false),
        vtd_inv_piotlb_all(DID, 0),
        vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false),
        vtd_inv_iotlb(VTD_INV_DOMAIN, DID, 0, 0, false),
        vtd_inv_iotlb(VTD_INV_NARROW, DID, 0x1000, 0, false),
    };
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(command); i++) {
        bool odd = i & 1;

        vtd_s1_map(&r.mem, s1, 4, IOVA, DATA + (odd ? 0 : 4096), 4096, 12,
                   VTD_S1_USER_RW);
        /* Not told: the old place */
        expect_page(&r, 0, odd ? 0x80 : 1);
        vtd_queue_push(&r.q, command[i]);
        vtd_rig_sync(&r);
        expect_page(&r, 0, odd ? 1 : 0x80);
    }
    vtd_rig_stop(&r);
}

/* A page does not make what is larger than 64 bits can say redundant */
static void test_overflow(void)
{
    static const unsigned order[] = { 35, 36, 51, 52, 63 };
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        bool odd = i & 1;

        vtd_s1_map(&r.mem, s1, 4, IOVA, DATA + (odd ? 0 : 4096), 4096, 12,
                   VTD_S1_USER_RW);
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, 0, 0, false));
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, 0, order[i], false));
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, 0, 0, false));
        vtd_rig_sync(&r);
        expect_page(&r, 0, odd ? 1 : 0x80);
    }
    vtd_rig_stop(&r);
}

/* Those that concern something else do not */
static void test_other_targets(void)
{
    const VtdDesc command[] = {
        vtd_inv_piotlb(DID, 0, IOVA + 4096, 0, false),
        vtd_inv_piotlb(DID, 0, IOVA + 8 * 4096, 3, false),
        vtd_inv_piotlb(DID + 1, 0, IOVA, 0, false),
        vtd_inv_piotlb(DID, 1, IOVA, 0, false),
        vtd_inv_piotlb_all(DID + 1, 0),
        vtd_inv_iotlb(VTD_INV_DOMAIN, DID + 1, 0, 0, false),
    };
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1);

    remap(&r, s1, 0, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(command); i++) {
        vtd_queue_push(&r.q, command[i]);
        vtd_rig_sync(&r);
        expect_page(&r, 0, 1);
    }
    vtd_rig_stop(&r);
}

/* Only without the hint are the tables above the leaf dropped as well */
static void test_leaf_hint(void)
{
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1), slot;
    unsigned level;

    /* A new last-level table for the page */
    slot = vtd_s1_entry(&r.mem, s1, 4, IOVA, 2, &level);
    g_assert_cmpuint(level, ==, 2);
    iommu_mem_write64(&r.mem, slot, 0);
    remap(&r, s1, 0, 1);

    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    vtd_rig_sync(&r);
    expect_page(&r, 0, 1);
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
    vtd_rig_sync(&r);
    expect_page(&r, 0, 0x80);
    vtd_rig_stop(&r);
}

/*
 * One ioctl for all that came before a wait descriptor, and four devices with
 * the same tables cost what one costs
 */
static void test_batch(gconstpointer opaque)
{
    unsigned devices = GPOINTER_TO_UINT(opaque);
    static const unsigned sizes[] = { 1, 16, 100 };
    VtdRig r;

    start_mapped(&r, devices, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t calls = inv_calls(&r), entries = inv_entries(&r);

        for (unsigned j = 0; j < sizes[i]; j++) {
            vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + j * 0x2000, 0,
                                                true));
        }
        vtd_rig_sync(&r);
        g_assert_cmpuint(inv_calls(&r), ==, calls + 1);
        g_assert_cmpuint(inv_entries(&r), ==, entries + sizes[i]);
        g_test_message("%u devices, %u commands: 1 ioctl, %u entries",
                       devices, sizes[i], sizes[i]);
    }
    /* The parent and one stage-1 */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 2);
    vtd_rig_stop(&r);
}

/* What is inside something else that is queued goes nowhere */
static void test_redundant(void)
{
    VtdRig r;
    uint64_t calls, entries;

    start_mapped(&r, 1, 1);
    calls = inv_calls(&r);
    entries = inv_entries(&r);
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 4, false));
    vtd_queue_push(&r.q, vtd_inv_piotlb_all(DID, 0));
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 4, false));
    vtd_queue_push(&r.q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
    vtd_rig_sync(&r);
    g_assert_cmpuint(inv_calls(&r), ==, calls + 1);
    g_assert_cmpuint(inv_entries(&r), ==, entries + 1);
    vtd_rig_stop(&r);
}

/* The end of the queue is a synchronisation point, too */
static void test_no_wait(void)
{
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1);

    remap(&r, s1, 0, 1);
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    vtd_queue_kick(&r.q, &r.regs);
    expect_page(&r, 0, 0x80);
    vtd_rig_stop(&r);
}

/* The registers that came before the queue */
static void test_registers(void)
{
    VtdRig r;
    uint64_t s1;

    vtd_rig_start_simple(&r, 1);
    vtd_tables_init(&r.t, &r.mem, true);
    s1 = vtd_rig_s1(&r, IOVA, 0);
    vtd_rig_fill(&r, 0, 1);
    vtd_rig_fill(&r, 1, 0x80);
    vtd_context_scalable(&r.t, RID0, 7, 0, 0);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = s1, .s1_levels = 4,
    });
    r.regs.write64(r.regs.opaque, VTD_REG_RTADDR, vtd_tables_rtaddr(&r.t));
    r.regs.write32(r.regs.opaque, VTD_REG_GCMD, VTD_GCMD_SRTP);
    vtd_rig_translation(&r, true);
    expect_page(&r, 0, 1);

    remap(&r, s1, 0, 1);
    expect_page(&r, 0, 1);
    /* IOTLB_REG: IVT, global */
    r.regs.write64(r.regs.opaque, 0xf8, 1ULL << 63 | 1ULL << 60);
    expect_page(&r, 0, 0x80);

    vtd_context_clear(&r.t, RID0);
    /* CCMD_REG: ICC, device, the source id */
    r.regs.write64(r.regs.opaque, 0x28, 7ULL << 61 | RID0 << 16);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    vtd_rig_stop(&r);
}

/* Device-TLB commands for an assigned device are the host's business */
static void test_device_tlb(void)
{
    VtdRig r;
    uint64_t calls;

    start_mapped(&r, 1, 1);
    calls = inv_calls(&r);
    vtd_queue_push(&r.q, vtd_inv_dev_tlb(RID0, IOVA, 0));
    vtd_queue_push(&r.q, vtd_inv_pasid_dev_tlb(RID0, 0, IOVA, 0));
    /* Nobody's */
    vtd_queue_push(&r.q, vtd_inv_dev_tlb(0x123, IOVA, 0));
    vtd_rig_sync(&r);
    g_assert_cmpuint(inv_calls(&r), ==, calls);
    g_assert_cmpuint(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

/* Interrupted calls go on where they were */
static void test_interrupted(void)
{
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 4);

    for (unsigned i = 0; i < 4; i++) {
        remap(&r, s1, i, 4);
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + i * 4096, 0, true));
    }
    iommufd_model_do(r.m, "{\"cmd\":\"fault\","
                     "\"on\":\"HWPT_INVALIDATE:1:eintr:partial=2\"}");
    vtd_rig_sync(&r);
    for (unsigned i = 0; i < 4; i++) {
        expect_page(&r, i, 0x80 + i);
    }
    g_assert_cmpuint(vtd_rig_fsts(&r), ==, 0);
    vtd_rig_stop(&r);
}

/*
 * A descriptor that is not as it should be: those before it are done, and the
 * head stands there, wherever in the queue that is
 */
static void test_malformed(void)
{
    static const struct {
        unsigned qword;
        uint64_t bits;
    } bad[] = {
        { 0, 1 << 6 }, { 0, UINT64_C(1) << 52 }, { 1, 1 << 7 }, { 2, 1 },
        { 3, UINT64_C(1) << 63 },
        /* Granularity 0 */
        { 0, 3 << 4 },
    };
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 8);

    for (unsigned i = 0; i < 4 * ARRAY_SIZE(bad); i++) {
        unsigned before = i / ARRAY_SIZE(bad) * 2, at = r.q.tail / 32 + before;
        unsigned qword = bad[i % ARRAY_SIZE(bad)].qword;
        uint64_t addr = r.q.base + (at * 32ULL) + qword * 8;

        for (unsigned j = 0; j < 8; j++) {
            vtd_s1_map(&r.mem, s1, 4, IOVA + j * 4096,
                       DATA + (i % 2 ? j : 8 + j) * 4096, 4096, 12,
                       VTD_S1_USER_RW);
            vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + j * 4096, 0,
                                                true));
        }
        iommu_mem_write64(&r.mem, addr, iommu_mem_read64(&r.mem, addr) ^
                          bad[i % ARRAY_SIZE(bad)].bits);
        vtd_queue_kick(&r.q, &r.regs);
        g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==,
                        VTD_FSTS_IQE_BIT);
        g_assert_cmpuint(vtd_rig_head(&r), ==, at);
        for (unsigned j = 0; j < before; j++) {
            expect_page(&r, j, i % 2 ? 1 + j : 0x80 + j);
        }
        iommu_mem_write64(&r.mem, addr, iommu_mem_read64(&r.mem, addr) ^
                          bad[i % ARRAY_SIZE(bad)].bits);
        r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
        g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, 0);
        g_assert_cmpuint(vtd_rig_head(&r), ==, r.q.tail / 32);
    }
    vtd_rig_stop(&r);
}

/*
 * The host refuses entry @index of four: the queue stops with an error, the
 * wait descriptor is not completed, and the head stands at the first of them:
 * nobody has told the guest that any is done. No DMA goes to an old page. When
 * the guest clears the error, what was blocked is attached anew (with nothing
 * in the host's caches), and the queue goes on from there.
 */
static void test_refused(gconstpointer opaque)
{
    unsigned index = GPOINTER_TO_UINT(opaque), first;
    uint32_t ticket;
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 2, 4);

    first = r.q.tail / 32;
    for (unsigned i = 0; i < 4; i++) {
        remap(&r, s1, i, 4);
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + i * 4096, 0, true));
    }
    ticket = vtd_queue_push_wait(&r.q);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"HWPT_INVALIDATE:1:"
                     "errno=EIO:partial=%u\"}", index);
    vtd_queue_kick(&r.q, &r.regs);

    g_assert_false(vtd_queue_done(&r.q, ticket));
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, VTD_FSTS_IQE_BIT);
    g_assert_cmpuint(vtd_rig_head(&r), ==, first);
    for (unsigned i = 0; i < 4; i++) {
        iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA + i * 4096,
                                   false, 0, "blocked");
        iommufd_model_expect_fault(r.m, HOST_DEV1, NULL, IOVA + i * 4096,
                                   false, 0, "blocked");
    }

    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    g_assert_true(vtd_queue_done(&r.q, ticket));
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, 0);
    for (unsigned i = 0; i < 4; i++) {
        expect_page(&r, i, 0x80 + i);
        iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA + i * 4096,
                                  0x80 + i, 16);
    }
    vtd_rig_stop(&r);
}

/*
 * Nor can what is to be blocked be detached: it is there when the guest clears
 * the error and goes on behind what was refused, and must not be what it was.
 */
static void test_refused_stuck(void)
{
    VtdRig r;
    uint64_t s1 = start_mapped(&r, 1, 1);
    uint64_t at = r.q.base + r.q.tail;
    uint32_t ticket;

    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), !=, 0x80);
    remap(&r, s1, 0, 1);
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    ticket = vtd_queue_push_wait(&r.q);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"HWPT_INVALIDATE:1:"
                     "errno=EIO\"}");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"DETACH_IOMMUFD_PT:1:"
                     "errno=EIO\"}");
    vtd_queue_kick(&r.q, &r.regs);
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, VTD_FSTS_IQE_BIT);

    iommu_mem_write64(&r.mem, at, vtd_inv_piotlb(DID + 1, 0, 0, 0, true).qw[0]);
    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    g_assert_true(vtd_queue_done(&r.q, ticket));
    expect_page(&r, 0, 0x80);
    vtd_rig_stop(&r);
}

/*
 * What Linux does to have @num descriptors done (qi_submit_sync() and
 * qi_check_fault()): it looks at an error only if the head stands at the first
 * of them, puts the wait descriptor in its place, and goes on.
 *
 * Return: false: there was an error, and it has been cleared
 */
static bool linux_submit(VtdRig *r, const VtdDesc *desc, unsigned num)
{
    unsigned index = r->q.tail / 32;
    uint64_t wait_at, from;
    uint32_t ticket;
    VtdDesc wait;

    for (unsigned i = 0; i < num; i++) {
        vtd_queue_push(&r->q, desc[i]);
    }
    wait_at = r->q.tail;
    ticket = vtd_queue_push_wait(&r->q);
    vtd_queue_kick(&r->q, &r->regs);

    /* It would look for ever, with interrupts off */
    for (unsigned looks = 0; !vtd_queue_done(&r->q, ticket); looks++) {
        g_assert_cmpuint(looks, <, 100);
        if ((vtd_rig_fsts(r) & VTD_FSTS_IQE_BIT) && vtd_rig_head(r) == index) {
            from = wait_at;
            wait = vtd_queue_pop(&r->q, &from);
            /* A word of its own shows that it is done as well */
            wait.qw[1] = DATA - 64;
            iommu_mem_write_qwords(&r->mem, r->q.base + index * 32, wait.qw, 4);
            iommu_mem_write32(&r->mem, DATA - 64, 0);
            r->regs.write32(r->regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
            g_assert_cmphex(iommu_mem_read64(&r->mem, DATA - 64), !=, 0);
            return false;
        }
    }
    return true;
}

/* Two page tables, and the host refuses what is for the second */
static void test_linux_recovers(void)
{
    VtdRig r;
    uint64_t s1[2];
    VtdDesc desc[2];

    vtd_rig_start_simple(&r, 2);
    vtd_rig_enable(&r);
    for (unsigned i = 0; i < 2; i++) {
        vtd_rig_fill(&r, i, i + 1);
        vtd_rig_fill(&r, 2 + i, 0x80 + i);
        s1[i] = vtd_rig_s1(&r, IOVA, i);
        vtd_rig_first_stage(&r, i ? RID1 : RID0, DID + i, s1[i]);
        iommufd_model_expect_data(r.m, i ? HOST_DEV1 : HOST_DEV0, NULL, IOVA,
                                  i + 1, 16);
        desc[i] = vtd_inv_piotlb(DID + i, 0, IOVA, 0, true);
    }
    for (unsigned i = 0; i < 2; i++) {
        vtd_s1_map(&r.mem, s1[i], 4, IOVA, DATA + (2 + i) * 4096, 4096, 12,
                   VTD_S1_USER_RW);
    }
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:2:errno=EIO\"}");
    g_assert_false(linux_submit(&r, desc, 2));

    /* The queue runs again, and nobody reads what is old */
    g_assert_true(linux_submit(&r, desc, 2));
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, 0);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 0x80, 16);
    iommufd_model_expect_data(r.m, HOST_DEV1, NULL, IOVA, 0x81, 16);
    vtd_rig_stop(&r);
}

/*
 * Behind a wait descriptor that has been completed: the head goes back to the
 * one after it, which is the first that the next submission has
 */
static void test_refused_behind_wait(void)
{
    VtdRig r;
    uint32_t ticket[2];
    unsigned first;
    uint64_t s1 = start_mapped(&r, 1, 4);

    for (unsigned i = 0; i < 4; i++) {
        remap(&r, s1, i, 4);
    }
    vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
    ticket[0] = vtd_queue_push_wait(&r.q);
    first = r.q.tail / 32;
    for (unsigned i = 1; i < 4; i++) {
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + i * 4096, 0, true));
    }
    ticket[1] = vtd_queue_push_wait(&r.q);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:2:errno=EIO:partial=1\"}");
    vtd_queue_kick(&r.q, &r.regs);

    g_assert_true(vtd_queue_done(&r.q, ticket[0]));
    g_assert_false(vtd_queue_done(&r.q, ticket[1]));
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, VTD_FSTS_IQE_BIT);
    g_assert_cmpuint(vtd_rig_head(&r), ==, first);
    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    g_assert_true(vtd_queue_done(&r.q, ticket[1]));
    for (unsigned i = 0; i < 4; i++) {
        expect_page(&r, i, 0x80 + i);
    }
    vtd_rig_stop(&r);
}

/* Where the queue had stopped is of no concern after a reset */
static void test_refused_reset(void)
{
    unsigned first;
    VtdRig r;

    start_mapped(&r, 1, 4);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t s1;

        first = r.q.tail / 32;
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
        vtd_queue_push_wait(&r.q);
        iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                         "\"HWPT_INVALIDATE:1:errno=EIO\"}");
        vtd_queue_kick(&r.q, &r.regs);
        g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, !=, 0);
        g_assert_cmpuint(vtd_rig_head(&r), ==, first);
        qtest_system_reset(r.qts);
        vtd_rig_enable(&r);
        s1 = vtd_s1_new(&r.mem);
        vtd_rig_first_stage(&r, RID0, DID, s1);
        /* Not where it was before */
        vtd_rig_sync(&r);
    }
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/inv/commands", test_commands);
    qtest_add_func("/vtd-nested/inv/overflow", test_overflow);
    qtest_add_func("/vtd-nested/inv/other-targets", test_other_targets);
    qtest_add_func("/vtd-nested/inv/leaf-hint", test_leaf_hint);
    qtest_add_data_func("/vtd-nested/inv/batch/1", GUINT_TO_POINTER(1),
                        test_batch);
    qtest_add_data_func("/vtd-nested/inv/batch/4", GUINT_TO_POINTER(4),
                        test_batch);
    qtest_add_func("/vtd-nested/inv/redundant", test_redundant);
    qtest_add_func("/vtd-nested/inv/no-wait", test_no_wait);
    qtest_add_func("/vtd-nested/inv/registers", test_registers);
    qtest_add_func("/vtd-nested/inv/device-tlb", test_device_tlb);
    qtest_add_func("/vtd-nested/inv/interrupted", test_interrupted);
    qtest_add_func("/vtd-nested/inv/malformed", test_malformed);
    for (unsigned i = 0; i < 4; i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/inv/refused/%u",
                                                i);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_refused);
    }
    qtest_add_func("/vtd-nested/inv/refused/stuck", test_refused_stuck);
    qtest_add_func("/vtd-nested/inv/refused/linux", test_linux_recovers);
    qtest_add_func("/vtd-nested/inv/refused/behind-wait",
                   test_refused_behind_wait);
    qtest_add_func("/vtd-nested/inv/refused/reset", test_refused_reset);
    return g_test_run();
}
