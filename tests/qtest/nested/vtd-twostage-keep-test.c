/*
 * intel-iommu as the IOMMU of an emulated host, host-keep=on: whatever may be
 * cached is, until the invalidation that is meant for it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each case leaves the right invalidation out, or has the wrong one, and finds
 * stale data; the right one mends it.  What needs no invalidation must not
 * need one.
 */

#include "qemu/osdep.h"
#include "vtd-host.h"

#define OTHER_HPA       (DATA_HPA + 0x1000)
#define OTHER_GPA       (DATA_GPA + 0x1000)
#define NEXT_IOVA       (DATA_IOVA + 0x1000)
/* In none of the pages that are looked at ahead along with DATA_IOVA */
#define FAR_IOVA        (DATA_IOVA + 0x10000)
#define PASID           5
#define RING_VA         (8 * GIB + RING_HPA)
#define DONE_VA         (RING_VA + 2048)
#define DONE_HPA        (RING_HPA + 2048)

#define FAULT_DTE       0x44
#define FAULT_NO_PAGE   0x71
#define FAULT_WRITE     0x85

static Setup nested(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s1_shift = 12,
        .s2_levels = 4, .s2_shift = 12,
        .s1_flags = VTD_S1_USER_RW, .s2_flags = VTD_S2_RW,
    };
}

static Host *start(Setup *s)
{
    Host *h = host_new(",host-keep=on", ",keep-translations=on");

    host_start(h, VTD_CTX_DTE | VTD_CTX_PASIDE | VTD_CTX_PRE);
    host_setup(h, 0, s);
    /* Something to write: the simple block's buffer is not zero from here on */
    qtest_memset(h->qts, DATA_HPA, 0x5a, 4096);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
    host_invalidate_all(h);
    return h;
}

/* Which page a write to @iova ends up in */
static uint64_t written_page(Host *h, uint64_t iova)
{
    uint64_t data, other;

    qtest_memset(h->qts, DATA_HPA, 0, 8192);
    g_assert_cmphex(host_dma(h, iova, true), ==, SVA_CODE_OK);
    data = host_read64(h, DATA_HPA + 8);
    other = host_read64(h, OTHER_HPA + 8);
    g_assert_true(!data != !other);
    return data ? DATA_HPA : OTHER_HPA;
}

static void map_s1(Host *h, const Setup *s, uint64_t iova, uint64_t gpa,
                   uint64_t flags)
{
    vtd_s1_map(&h->s1_mem, s->s1_root, 4, iova, gpa, 4096, 12, flags);
}

static void map_s2(Host *h, const Setup *s, uint64_t gpa, uint64_t hpa)
{
    vtd_s2_map(&h->mem, s->s2_root, 4, gpa, hpa, 4096, 12, VTD_S2_RW);
}

/* A copy of the page that an entry points to, and the entry changed to it */
static uint64_t move_table(Host *h, const IommuMem *view, IommuMem *mem,
                           uint64_t entry)
{
    uint64_t old = iommu_mem_read64(view, entry), copy;
    uint8_t page[4096];

    mem->next = ROUND_UP(mem->next, 4096);
    copy = mem->next;
    mem->next += 4096;
    mem->read(mem->opaque, old & VTD_S1_ADDR, page, sizeof(page));
    mem->write(mem->opaque, copy, page, sizeof(page));
    iommu_mem_write64(mem, entry, (old & ~VTD_S1_ADDR) | copy);
    return copy;
}

static const uint64_t user_rw = VTD_S1_USER_RW | VTD_S1_A | VTD_S1_D;

/*
 * The leaf table of stage 1 is replaced.  Unmapping what it maps, with the
 * hint that only leaves have changed, does not tell of that.
 */
static void test_stage1_table(void)
{
    Setup s = nested();
    Host *h = start(&s);
    unsigned level;
    uint64_t entry;

    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    entry = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 2, &level);
    g_assert_cmpuint(level, ==, 2);
    /* The new table goes into a page that stage 2 maps already */
    move_table(h, &h->s1_mem, &h->s1_mem, entry);
    map_s1(h, &s, DATA_IOVA, OTHER_GPA, user_rw);

    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 1, DATA_IOVA, 0, false));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    /* Another table's range */
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA + 0x200000, 0,
                                      false));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    /* Anywhere in the range of this one */
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA ^ 0x10000, 0,
                                      false));
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, OTHER_HPA);
    host_free(h);
}

/* The same with stage 2's leaf table */
static void test_stage2_table(void)
{
    Setup s = nested();
    Host *h;
    uint64_t entry;

    s.pgtt = VTD_PGTT_SECOND;
    h = start(&s);
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    entry = vtd_s2_entry(&h->mem, s.s2_root, 4, DATA_IOVA, 2);
    move_table(h, &h->mem, &h->mem, entry);
    map_s2(h, &s, DATA_IOVA, OTHER_HPA);

    host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_IOVA, 0,
                                     true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, 0));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_IOVA, 0,
                                     false));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, OTHER_HPA);
    host_free(h);
}

/*
 * A stage-1 table's page moves in stage 2: a nested translation and the
 * tables that it was found by go with any part of the domain's stage 2.
 */
static void test_stage2_of_table(void)
{
    Setup s = nested();
    Host *h = start(&s);
    unsigned level;
    uint64_t gpa, leaf;

    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    leaf = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 1, &level);
    gpa = leaf & ~0xfffULL;
    move_table(h, &h->mem, &h->mem,
               vtd_s2_entry(&h->mem, s.s2_root, 4, gpa, 1));
    iommu_mem_write64(&h->mem,
                      (host_read64(h, vtd_s2_entry(&h->mem, s.s2_root, 4, gpa,
                                                   1)) & VTD_S1_ADDR) +
                      (leaf & 0xfff), OTHER_GPA | user_rw);

    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID + 1, gpa, 0,
                                     true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, gpa, 0, true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, OTHER_HPA);
    host_free(h);
}

/* A page next to one in use is known before it is asked for */
static void test_ahead(void)
{
    Setup s = nested();
    Host *h = start(&s);

    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    map_s1(h, &s, NEXT_IOVA, DATA_GPA, user_rw);
    map_s1(h, &s, FAR_IOVA, DATA_GPA, user_rw);
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    map_s1(h, &s, NEXT_IOVA, OTHER_GPA, user_rw);
    map_s1(h, &s, FAR_IOVA, OTHER_GPA, user_rw);
    g_assert_cmphex(written_page(h, NEXT_IOVA), ==, DATA_HPA);
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, NEXT_IOVA, 0, true));
    g_assert_cmphex(written_page(h, NEXT_IOVA), ==, OTHER_HPA);
    g_assert_cmphex(written_page(h, FAR_IOVA), ==, OTHER_HPA);
    host_free(h);
}

/* What was not there when it was looked at ahead is no entry of any cache */
static void test_absent(void)
{
    Setup s = nested();
    Host *h = start(&s);
    unsigned level;
    uint64_t leaf;

    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_check_fault(h, NEXT_IOVA, true, FAULT_NO_PAGE);
    map_s1(h, &s, NEXT_IOVA, DATA_GPA, VTD_S1_USER_RW);
    /* Looking ahead leaves no trace: not until the page is used */
    leaf = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, NEXT_IOVA, 1, &level);
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    g_assert_cmphex(iommu_mem_read64(&h->s1_mem, leaf) & VTD_S1_A, ==, 0);
    g_assert_cmphex(written_page(h, NEXT_IOVA), ==, DATA_HPA);
    g_assert_cmphex(iommu_mem_read64(&h->s1_mem, leaf) & VTD_S1_A, ==,
                    VTD_S1_A);
    host_free(h);
}

/* A permission given later is not noticed; a dirty bit that is due is set */
static void test_permission(void)
{
    Setup s = nested();
    Host *h;
    unsigned level;
    uint64_t leaf;

    s.s1_flags = VTD_S1_USER_RO;
    h = start(&s);
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
    map_s1(h, &s, DATA_IOVA, DATA_GPA, VTD_S1_USER_RW);
    host_check_fault(h, DATA_IOVA, true, FAULT_WRITE);
    host_invalidate(h, vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true));
    g_assert_cmphex(host_dma(h, DATA_IOVA, false), ==, SVA_CODE_OK);
    leaf = vtd_s1_entry(&h->s1_mem, s.s1_root, 4, DATA_IOVA, 1, &level);
    g_assert_cmphex(iommu_mem_read64(&h->s1_mem, leaf) & VTD_S1_D, ==, 0);
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    g_assert_cmphex(iommu_mem_read64(&h->s1_mem, leaf) & VTD_S1_D, ==,
                    VTD_S1_D);
    host_free(h);
}

/* The PASID entry and the context entry are two caches */
static void test_entries(void)
{
    const struct {
        VtdDesc desc;
        bool drops;
    } list[] = {
        { vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID), false },
        { vtd_inv_context(VTD_INV_GLOBAL, 0, 0), false },
        { vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, 1), false },
        { vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, 0), true },
        { vtd_inv_pasid_cache(VTD_PC_DOMAIN, HOST_DID, 0), true },
        { vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0), true },
    };
    Setup a = nested(), b = nested();
    Host *h = start(&a);
    unsigned i;

    b.hpa = OTHER_HPA;
    host_build(h, &b);
    for (i = 0; i < ARRAY_SIZE(list); i++) {
        host_set_pasid(h, 0, &a);
        host_invalidate_all(h);
        g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
        host_set_pasid(h, 0, &b);
        host_invalidate(h, list[i].desc);
        host_invalidate(h, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
        g_assert_cmphex(written_page(h, DATA_IOVA), ==,
                        list[i].drops ? OTHER_HPA : DATA_HPA);
    }
    /* The entry alone does not do: translations by the old one are cached */
    host_set_pasid(h, 0, &a);
    host_invalidate(h, vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, 0));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, OTHER_HPA);
    /* Tables of stage 2 are no PASID's, but the domain's */
    host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, 0));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, OTHER_HPA);
    host_invalidate(h, vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID, 0, 0, false));
    g_assert_cmphex(written_page(h, DATA_IOVA), ==, DATA_HPA);
    host_free(h);
}

static void submit(Host *h, uint64_t pattern)
{
    host_write64(h, DONE_HPA, 0);
    engine_fill(h, RING_HPA, DATA_IOVA, 4096, pattern, DONE_VA);
}

/* Device TLBs are allowed by a bit of the context entry, which is cached */
static void test_context(void)
{
    Setup s = nested();
    Host *h = start(&s);
    uint64_t entry = vtd_context_entry(&h->tables, HOST_RID);
    uint64_t old = host_read64(h, entry);

    map_s1(h, &s, RING_VA, RING_VA, VTD_S1_USER_RW);
    map_s2(h, &s, RING_VA, RING_HPA);
    host_set_pasid(h, PASID, &s);
    host_invalidate_all(h);
    host_enable_sva(h);
    engine_start(h, PASID, RING_VA);
    submit(h, 1);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);

    /* What the device itself keeps is taken from it: it asks anew */
    host_write64(h, entry, old & ~(uint64_t)VTD_CTX_DTE);
    host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, 0, 52));
    host_invalidate(h, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    submit(h, 2);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
    host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, 0, 52));
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    submit(h, 3);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, FAULT_DTE);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 2);

    /* And so is that it is not allowed */
    host_write64(h, entry, old);
    engine_start(h, PASID, RING_VA);
    submit(h, 4);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, FAULT_DTE);
    host_invalidate(h, vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID));
    engine_start(h, PASID, RING_VA);
    submit(h, 5);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_free(h);
}

/* The device keeps what it knows of a PASID while no queue works with it */
static void test_device_tlb(void)
{
    Setup s = nested();
    Host *h = start(&s);
    unsigned i;

    map_s1(h, &s, RING_VA, RING_VA, VTD_S1_USER_RW);
    map_s2(h, &s, RING_VA, RING_HPA);
    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    host_set_pasid(h, PASID, &s);
    host_invalidate_all(h);
    host_enable_sva(h);
    for (i = 1; i <= 3; i++) {
        engine_start(h, PASID, RING_VA);
        submit(h, i);
        g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
        g_assert_cmphex(host_read64(h, i == 3 ? OTHER_HPA : DATA_HPA), ==, i);
        map_s1(h, &s, DATA_IOVA, OTHER_GPA, user_rw);
        host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, PASID));
        if (i == 2) {
            host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, 0, 52));
        }
    }
    host_free(h);
}

/* And it asks for neighbours of what it needs, to read from them */
static void test_device_tlb_ahead(void)
{
    Setup s = nested();
    Host *h = start(&s);
    const uint64_t copy[8] = {
        [SVA_DESC_OP / 8] = SVA_OP_COPY, [SVA_DESC_SRC / 8] = NEXT_IOVA,
        [SVA_DESC_DST / 8] = DATA_IOVA, [SVA_DESC_LEN / 8] = 8,
        [SVA_DESC_COMPLETION / 8] = DONE_VA,
    };
    uint64_t third = DATA_GPA + 0x2000, at = DATA_HPA + 0x2000;
    unsigned i;

    map_s1(h, &s, RING_VA, RING_VA, VTD_S1_USER_RW);
    map_s2(h, &s, RING_VA, RING_HPA);
    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    map_s2(h, &s, third, at);
    map_s1(h, &s, NEXT_IOVA, OTHER_GPA, VTD_S1_USER_RW);
    host_write64(h, OTHER_HPA, 0x11);
    host_write64(h, at, 0x22);
    host_set_pasid(h, PASID, &s);
    host_invalidate_all(h);
    host_enable_sva(h);
    engine_start(h, PASID, RING_VA);
    submit(h, 1);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);

    map_s1(h, &s, NEXT_IOVA, third, VTD_S1_USER_RW);
    host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, PASID));
    host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, DATA_IOVA, 0));
    for (i = 0; i < 2; i++) {
        host_write64(h, DONE_HPA, 0);
        engine_submit(h, RING_HPA, copy);
        g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
        g_assert_cmphex(host_read64(h, DATA_HPA), ==, i ? 0x22 : 0x11);
        host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, NEXT_IOVA,
                                                 0));
    }
    host_free(h);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-twostage/keep/stage1-table", test_stage1_table);
    qtest_add_func("/vtd-twostage/keep/stage2-table", test_stage2_table);
    qtest_add_func("/vtd-twostage/keep/stage2-of-table", test_stage2_of_table);
    qtest_add_func("/vtd-twostage/keep/ahead", test_ahead);
    qtest_add_func("/vtd-twostage/keep/absent", test_absent);
    qtest_add_func("/vtd-twostage/keep/permission", test_permission);
    qtest_add_func("/vtd-twostage/keep/entries", test_entries);
    qtest_add_func("/vtd-twostage/keep/context", test_context);
    qtest_add_func("/vtd-twostage/keep/device-tlb", test_device_tlb);
    qtest_add_func("/vtd-twostage/keep/device-tlb-ahead",
                   test_device_tlb_ahead);
    return g_test_run();
}
