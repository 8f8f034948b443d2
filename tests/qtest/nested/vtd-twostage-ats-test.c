/*
 * intel-iommu as the IOMMU of an emulated host: caches, ATS, page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fault conditions are those of the VT-d specification, section 7.1.3.
 */

#include "qemu/osdep.h"
#include "vtd-host.h"

#define REG_PQH         0xc0
#define REG_PQT         0xc8
#define REG_PRS         0xdc
#define PRS_PPR         1
#define PRS_PRO         2
#define PRQ_BYTES       4096

#define OTHER_HPA       (DATA_HPA + 0x1000)
#define OTHER_GPA       (DATA_GPA + 0x1000)
#define PASID           5
#define RING_VA         (8 * GIB + RING_HPA)
#define DONE_VA         (RING_VA + 2048)
#define DONE_HPA        (RING_HPA + 2048)

static Setup nested(void)
{
    return (Setup) {
        .pgtt = VTD_PGTT_NESTED, .s1_levels = 4, .s1_shift = 12,
        .s2_levels = 4, .s2_shift = 12,
        .s1_flags = VTD_S1_USER_RW, .s2_flags = VTD_S2_RW,
    };
}

static Host *start(uint64_t context_flags)
{
    Host *h = host_new("", "");

    host_start(h, context_flags);
    return h;
}

/* ---------------------------------------------------- cached translations */

/* Which page a write to DATA_IOVA ends up in; its bytes are not zero */
static uint64_t written_page(Host *h)
{
    uint64_t data, other;

    qtest_memset(h->qts, DATA_HPA, 0, 8192);
    g_assert_cmphex(host_dma(h, DATA_IOVA, true), ==, SVA_CODE_OK);
    data = host_read64(h, DATA_HPA + 8);
    other = host_read64(h, OTHER_HPA + 8);
    g_assert_true(!data != !other);
    return data ? DATA_HPA : OTHER_HPA;
}

static void map_s1(Host *h, Setup *s, uint64_t gpa)
{
    vtd_s1_map(s->pgtt == VTD_PGTT_NESTED ? &h->s1_mem : &h->mem, s->s1_root,
               s->s1_levels, DATA_IOVA, gpa, 4096, 12,
               VTD_S1_USER_RW | VTD_S1_A | VTD_S1_D);
}

static void map_s2(Host *h, Setup *s, uint64_t gpa, uint64_t hpa)
{
    vtd_s2_map(&h->mem, s->s2_root, s->s2_levels, gpa, hpa, 4096, 12,
               VTD_S2_RW);
}

typedef struct InvStep {
    VtdDesc desc;
    bool drops;
} InvStep;

/* After each of them a changed table must be seen, or must not yet be */
static void check_stage1(Host *h, Setup *s, const InvStep *list, unsigned n)
{
    uint64_t seen = DATA_HPA, mapped;
    bool nesting = s->pgtt == VTD_PGTT_NESTED;
    unsigned i;

    for (i = 0; i < n; i++) {
        g_assert_cmphex(written_page(h), ==, seen);
        mapped = seen == DATA_HPA ? OTHER_HPA : DATA_HPA;
        map_s1(h, s, nesting ? mapped - DATA_HPA + DATA_GPA : mapped);
        g_assert_cmphex(written_page(h), ==, seen);
        host_invalidate(h, list[i].desc);
        g_assert_cmphex(written_page(h), ==, list[i].drops ? mapped : seen);
        host_invalidate_all(h);
        seen = mapped;
    }
}

static void check_stage2(Host *h, Setup *s, const InvStep *list, unsigned n)
{
    uint64_t seen = DATA_HPA, mapped;
    uint64_t gpa = s->pgtt == VTD_PGTT_NESTED ? DATA_GPA : DATA_IOVA;
    unsigned i;

    for (i = 0; i < n; i++) {
        g_assert_cmphex(written_page(h), ==, seen);
        mapped = seen == DATA_HPA ? OTHER_HPA : DATA_HPA;
        map_s2(h, s, gpa, mapped);
        g_assert_cmphex(written_page(h), ==, seen);
        host_invalidate(h, list[i].desc);
        g_assert_cmphex(written_page(h), ==, list[i].drops ? mapped : seen);
        host_invalidate_all(h);
        seen = mapped;
    }
}

static void test_invalidate(void)
{
    const uint64_t far = DATA_IOVA + 0x10000000;
    const InvStep stage1[] = {
        { vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true), true },
        { vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA ^ 0x2000, 3, true), true },
        { vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 40, true), true },
        { vtd_inv_piotlb(HOST_DID, 0, far, 0, true), false },
        { vtd_inv_piotlb(HOST_DID, 1, DATA_IOVA, 0, true), false },
        { vtd_inv_piotlb(HOST_DID + 1, 0, DATA_IOVA, 0, true), false },
        { vtd_inv_piotlb_all(HOST_DID, 0), true },
        { vtd_inv_piotlb_all(HOST_DID, 1), false },
        { vtd_inv_piotlb_all(HOST_DID + 1, 0), false },
        { vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID, 0, 0, false), true },
        { vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID + 1, 0, 0, false), false },
        { vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false), true },
        { vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0), false },
    };
    /* The address is one of stage 2: all nested translations go with any */
    const InvStep nest2[] = {
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_GPA, 0, false), true },
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, far, 0, false), true },
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID + 1, DATA_GPA, 0, false),
          false },
        { vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID, 0, 0, false), true },
        { vtd_inv_piotlb_all(HOST_DID, 0), true },
    };
    const InvStep second[] = {
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, DATA_IOVA, 0, false), true },
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, far, 4, false), false },
        { vtd_inv_iotlb(VTD_INV_NARROW, HOST_DID, far, 18, false), true },
        { vtd_inv_piotlb_all(HOST_DID, 0), false },
        { vtd_inv_piotlb(HOST_DID, 0, DATA_IOVA, 0, true), false },
        { vtd_inv_iotlb(VTD_INV_DOMAIN, HOST_DID, 0, 0, false), true },
    };
    Host *h = start(0);
    Setup s = nested();

    host_setup(h, 0, &s);
    map_s2(h, &s, OTHER_GPA, OTHER_HPA);
    host_check_dma(h, DATA_IOVA, DATA_HPA);
    check_stage1(h, &s, stage1, ARRAY_SIZE(stage1));
    map_s1(h, &s, DATA_GPA);
    host_invalidate_all(h);
    check_stage2(h, &s, nest2, ARRAY_SIZE(nest2));

    s = nested();
    s.pgtt = VTD_PGTT_FIRST;
    s.s2_levels = 0;
    host_setup(h, 0, &s);
    check_stage1(h, &s, stage1, ARRAY_SIZE(stage1));

    s = nested();
    s.pgtt = VTD_PGTT_SECOND;
    host_setup(h, 0, &s);
    check_stage2(h, &s, second, ARRAY_SIZE(second));
    host_free(h);
}

static void test_pasid_cache(void)
{
    const InvStep list[] = {
        { vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, 0), true },
        { vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID, 1), false },
        { vtd_inv_pasid_cache(VTD_PC_PASID, HOST_DID + 1, 0), false },
        { vtd_inv_pasid_cache(VTD_PC_DOMAIN, HOST_DID, 0), true },
        { vtd_inv_pasid_cache(VTD_PC_DOMAIN, HOST_DID + 1, 0), false },
        { vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0), true },
        { vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID), true },
        { vtd_inv_context(VTD_INV_NARROW, 0, HOST_RID + 8), false },
        { vtd_inv_context(VTD_INV_GLOBAL, 0, 0), true },
    };
    Host *h = start(0);
    Setup a = nested(), b = nested();
    unsigned i;

    b.hpa = OTHER_HPA;
    host_setup(h, 0, &a);
    host_build(h, &b);
    host_check_dma(h, DATA_IOVA, DATA_HPA);

    for (i = 0; i < ARRAY_SIZE(list); i++) {
        host_set_pasid(h, 0, &a);
        host_invalidate_all(h);
        g_assert_cmphex(written_page(h), ==, DATA_HPA);
        host_set_pasid(h, 0, &b);
        host_invalidate(h, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
        g_assert_cmphex(written_page(h), ==, DATA_HPA);
        host_invalidate(h, list[i].desc);
        host_invalidate(h, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
        g_assert_cmphex(written_page(h), ==,
                        list[i].drops ? OTHER_HPA : DATA_HPA);
    }
    host_free(h);
}

/* -------------------------------------------------------------- with PASID */

/* PASID entry with the data page and a ring; queue 0 works on it */
static Host *start_sva(Setup *s, uint64_t context_flags)
{
    Host *h = start(context_flags);

    host_build(h, s);
    vtd_s1_map(&h->s1_mem, s->s1_root, s->s1_levels, RING_VA, RING_VA, 4096,
               12, VTD_S1_USER_RW);
    map_s2(h, s, RING_VA, RING_HPA);
    map_s2(h, s, OTHER_GPA, OTHER_HPA);
    host_set_pasid(h, PASID, s);
    host_invalidate_all(h);
    host_enable_sva(h);
    engine_start(h, PASID, RING_VA);
    return h;
}

#define SVA_CONTEXT (VTD_CTX_PASIDE | VTD_CTX_DTE | VTD_CTX_PRE)

static void submit(Host *h, uint64_t va, uint64_t pattern)
{
    host_write64(h, DONE_HPA, 0);
    engine_fill(h, RING_HPA, va, 4096, pattern, DONE_VA);
}

static void check_fill(Host *h, uint64_t va, uint64_t hpa, uint64_t pattern)
{
    submit(h, va, pattern);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read64(h, hpa), ==, pattern);
    g_assert_cmphex(host_read64(h, hpa + 4088), ==, pattern);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
}

/* A PASID works although there is no entry for requests without one */
static void test_pasid_alone(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);

    check_fill(h, DATA_IOVA, DATA_HPA, 0x1122334455667788);
    g_assert_cmpuint(engine_counter(h, SVA_CNT_ATS_REQUESTS), >, 0);
    g_assert_cmpuint(engine_counter(h, SVA_CNT_PAGE_REQUESTS), ==, 0);
    host_free(h);
}

/* PASID-based device-TLB invalidations reach the endpoint, each its PASID */
static void test_device_tlb(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t dropped, page = DATA_HPA, other;
    const InvStep list[] = {
        { vtd_inv_pasid_dev_tlb(HOST_RID, PASID, DATA_IOVA, 0), true },
        { vtd_inv_pasid_dev_tlb(HOST_RID, PASID, DATA_IOVA + 0x8000, 0),
          false },
        { vtd_inv_pasid_dev_tlb(HOST_RID, PASID + 1, DATA_IOVA, 0), false },
        { vtd_inv_pasid_dev_tlb(HOST_RID + 1, PASID, DATA_IOVA, 0), false },
        /* Without PASID: those of all PASIDs (PCIe 10.3.8) */
        { vtd_inv_dev_tlb(HOST_RID, DATA_IOVA, 0), true },
        { vtd_inv_dev_tlb(HOST_RID, DATA_IOVA + 0x8000, 3), false },
        { vtd_inv_dev_tlb(HOST_RID, 0, 51), true },
        { vtd_inv_pasid_dev_tlb(HOST_RID, PASID, 0, 52), true },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(list); i++) {
        check_fill(h, DATA_IOVA, page, i + 1);
        other = page == DATA_HPA ? OTHER_HPA : DATA_HPA;
        map_s1(h, &s, other - DATA_HPA + DATA_GPA);
        host_invalidate(h, vtd_inv_piotlb_all(HOST_DID, PASID));
        /* The device goes on with what its own TLB says */
        check_fill(h, DATA_IOVA, page, i + 100);
        dropped = engine_counter(h, SVA_CNT_ATC_DROPPED);
        host_invalidate(h, list[i].desc);
        g_assert_cmpint(engine_counter(h, SVA_CNT_ATC_DROPPED) > dropped, ==,
                        list[i].drops);
        check_fill(h, DATA_IOVA, list[i].drops ? other : page, i + 200);
        host_invalidate(h, vtd_inv_pasid_dev_tlb(HOST_RID, PASID, 0, 52));
        page = other;
    }
    host_free(h);
}

/* ----------------------------------------------------------- page requests */

static uint64_t reg64(Host *h, unsigned reg)
{
    return h->regs.read64(h->regs.opaque, reg);
}

static uint32_t reg32(Host *h, unsigned reg)
{
    return h->regs.read32(h->regs.opaque, reg);
}

/* Take the next page request; its group has one page */
static void take_request(Host *h, uint64_t qw[4])
{
    uint64_t head = reg64(h, REG_PQH);
    unsigned i, tries;

    for (tries = 0; tries < 1000 && head == reg64(h, REG_PQT); tries++) {
        qtest_clock_step(h->qts, 1000000);
    }
    g_assert_cmphex(head, !=, reg64(h, REG_PQT));
    for (i = 0; i < 4; i++) {
        qw[i] = host_read64(h, PRQ_BASE + head + i * 8);
    }
    h->regs.write64(h->regs.opaque, REG_PQH, (head + 32) % PRQ_BYTES);
    h->regs.write32(h->regs.opaque, REG_PRS, PRS_PPR);
}

static void check_request(const uint64_t qw[4], bool with_pasid, uint64_t va)
{
    uint64_t type = 1 | (uint64_t)HOST_RID << 16;

    if (with_pasid) {
        type |= 1 << 8 | (uint64_t)PASID << 32;
    }
    g_assert_cmphex(qw[0], ==, type);
    g_assert_cmphex(qw[1] & ~0xfffULL, ==, va & ~0xfffULL);
    g_assert_cmphex(qw[1] & 6, ==, 6); /* write, last in group */
    g_assert_cmphex(qw[2], ==, 0);
    g_assert_cmphex(qw[3], ==, 0);
}

/* At every stage the missing page is a page request and no fault record */
static void test_page_request(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t va = DATA_IOVA + 0x3000, qw[4];

    submit(h, va, 0xa5);
    take_request(h, qw);
    check_request(qw, true, va);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    g_assert_cmphex(host_read32(h, DONE_HPA), ==, 0);

    /* Stage 1 has it now, stage 2 has not */
    vtd_s1_map(&h->s1_mem, s.s1_root, 4, va, DATA_GPA + 0x3000, 4096, 12,
               VTD_S1_USER_RW);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, qw[1] >> 3 &
                                         0x1ff, VTD_PRG_SUCCESS));
    take_request(h, qw);
    check_request(qw, true, va);
    map_s2(h, &s, DATA_GPA + 0x3000, DATA_HPA + 0x3000);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, qw[1] >> 3 &
                                         0x1ff, VTD_PRG_SUCCESS));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read64(h, DATA_HPA + 0x3000), ==, 0xa5);

    /* A pointer to nothing ends this descriptor and nothing else */
    submit(h, va + 0x1000, 0xa6);
    take_request(h, qw);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, qw[1] >> 3 &
                                         0x1ff, VTD_PRG_INVALID));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_INVALID);
    check_fill(h, DATA_IOVA, DATA_HPA, 0xa7);
    host_free(h);
}

static void test_page_request_no_pasid(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t va = DATA_IOVA + 0x3000, qw[4];

    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    engine_start(h, UINT32_MAX, RING_VA);
    submit(h, va, 0xb5);
    take_request(h, qw);
    check_request(qw, false, va);
    vtd_s1_map(&h->s1_mem, s.s1_root, 4, va, DATA_GPA, 4096, 12,
               VTD_S1_USER_RW);
    host_invalidate(h, vtd_page_response(HOST_RID, false, 0, qw[1] >> 3 &
                                         0x1ff, VTD_PRG_SUCCESS));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 0xb5);
    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    host_free(h);
}

/* A full queue: overflow is flagged, nothing is overwritten, work goes on */
static void test_page_request_overflow(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t va = DATA_IOVA + 0x3000, tail = reg64(h, REG_PQT), qw[4];

    h->regs.write64(h->regs.opaque, REG_PQH, (tail + 32) % PRQ_BYTES);
    submit(h, va, 0xc5);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(reg32(h, REG_PRS) & PRS_PRO, ==, PRS_PRO);
    g_assert_cmphex(reg64(h, REG_PQT), ==, tail);
    g_assert_cmphex(host_read64(h, PRQ_BASE + tail), ==, 0);

    h->regs.write64(h->regs.opaque, REG_PQH, tail);
    h->regs.write32(h->regs.opaque, REG_PRS, PRS_PRO);
    take_request(h, qw);
    check_request(qw, true, va);
    vtd_s1_map(&h->s1_mem, s.s1_root, 4, va, DATA_GPA, 4096, 12,
               VTD_S1_USER_RW);
    host_invalidate(h, vtd_page_response(HOST_RID, true, PASID, qw[1] >> 3 &
                                         0x1ff, VTD_PRG_SUCCESS));
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
    host_free(h);
}

/* Page requests are drained by waiting for them: Linux asks for it (7.10) */
static void test_drain(void)
{
    Host *h = start(SVA_CONTEXT);
    VtdDesc wait = vtd_inv_wait(RING_HPA, 0x1234);

    wait.qw[0] |= 1 << 7;
    host_invalidate(h, wait);
    g_assert_cmphex(host_read32(h, RING_HPA), ==, 0x1234);
    host_free(h);
}

/* ------------------------------------- what a translation request may not */

static void check_refused(uint64_t context_flags, unsigned reason)
{
    Setup s = nested();
    Host *h = start_sva(&s, context_flags);
    uint64_t lo, hi;

    g_assert_cmphex(host_take_fault(h, NULL, NULL), ==, 0);
    submit(h, DATA_IOVA, 1);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, reason);
    g_assert_cmphex(hi & 0xffff, ==, HOST_RID);
    g_assert_cmphex(hi >> 60 & 3, ==, 1);       /* translation request */
    g_assert_cmphex(hi >> 31 & 1, ==, 1);       /* with this PASID: */
    g_assert_cmphex(hi >> 40 & 0xfffff, ==, PASID);
    g_assert_cmphex(lo, ==, RING_VA);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 0);
    host_free(h);
}

static void test_refused(void)
{
    check_refused(VTD_CTX_PASIDE | VTD_CTX_PRE, 0x44);
    check_refused(VTD_CTX_DTE | VTD_CTX_PRE, 0x45);
}

/* Translation works, asking for pages is not allowed */
static void test_page_request_refused(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, VTD_CTX_PASIDE | VTD_CTX_DTE);
    uint64_t lo, hi;

    check_fill(h, DATA_IOVA, DATA_HPA, 1);
    submit(h, DATA_IOVA + 0x3000, 2);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, 0x47);
    g_assert_cmphex(hi >> 62 & 1, ==, 0);
    g_assert_cmphex(hi >> 28 & 1, ==, 1);       /* page request */
    g_assert_cmphex(lo, ==, DATA_IOVA + 0x3000);
    g_assert_cmphex(reg64(h, REG_PQT), ==, 0);
    host_free(h);
}

/* Not canonical: nothing a page request could mend, so it is recorded */
static void test_unrecoverable(void)
{
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t lo, hi;

    submit(h, 1ULL << 50, 1);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, 0x80);
    g_assert_cmphex(lo, ==, 1ULL << 50);
    host_free(h);
}

/*
 * Without a PASID the interrupt range is none of the tables' business: no
 * translation of it is handed out. With one it is an address like any other.
 */
static void test_interrupt_range(void)
{
    const uint64_t range = 0xfee00000;
    Setup s = nested();
    Host *h = start_sva(&s, SVA_CONTEXT);
    uint64_t lo, hi;

    vtd_s1_map(&h->s1_mem, s.s1_root, 4, range, DATA_GPA, 4096, 12,
               VTD_S1_USER_RW);
    check_fill(h, range, DATA_HPA, 0x77);

    host_set_pasid(h, 0, &s);
    host_invalidate_all(h);
    engine_start(h, UINT32_MAX, RING_VA);
    submit(h, range, 0x78);
    qtest_clock_step(h->qts, 1000000);
    g_assert_cmphex(host_take_fault(h, &lo, &hi), ==, 0x87);
    g_assert_cmphex(hi >> 60 & 3, ==, 1);       /* translation request */
    g_assert_cmphex(hi >> 31 & 1, ==, 0);
    g_assert_cmphex(lo, ==, range);
    g_assert_cmphex(host_read64(h, DATA_HPA), ==, 0x77);
    host_free(h);
}

/* The checksum of a page is a read */
static void read_page(Host *h)
{
    const uint64_t desc[8] = {
        [SVA_DESC_OP / 8] = SVA_OP_CHECKSUM, [SVA_DESC_SRC / 8] = DATA_IOVA,
        [SVA_DESC_LEN / 8] = 4096, [SVA_DESC_COMPLETION / 8] = DONE_VA,
    };

    host_write64(h, DONE_HPA, 0);
    engine_submit(h, RING_HPA, desc);
    g_assert_cmphex(engine_wait(h, DONE_HPA), ==, SVA_CODE_OK);
}

static void check_dirty(Host *h, const Setup *s, bool written)
{
    unsigned level;
    uint64_t s1 = vtd_s1_entry(&h->s1_mem, s->s1_root, 4, DATA_IOVA, 1,
                               &level);
    uint64_t s2 = vtd_s2_entry(&h->mem, s->s2_root, 4, DATA_GPA, 1);

    g_assert_cmphex(iommu_mem_read64(&h->s1_mem, s1) & (VTD_S1_A | VTD_S1_D),
                    ==, VTD_S1_A | (written ? VTD_S1_D : 0));
    g_assert_cmphex(host_read64(h, s2) & (VTD_S2_A | VTD_S2_D), ==,
                    s->ssade ? VTD_S2_A | (written ? VTD_S2_D : 0) : 0);
}

/* Dirty bits follow the permission asked for, not the one there is */
static void test_dirty(void)
{
    unsigned ssade;

    for (ssade = 0; ssade < 2; ssade++) {
        Setup s = nested();
        Host *h;

        s.ssade = ssade;
        h = start_sva(&s, SVA_CONTEXT);
        read_page(h);
        check_dirty(h, &s, false);
        check_fill(h, DATA_IOVA, DATA_HPA, 3);
        check_dirty(h, &s, true);
        host_free(h);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-twostage/invalidate/iotlb", test_invalidate);
    qtest_add_func("/vtd-twostage/invalidate/entries", test_pasid_cache);
    qtest_add_func("/vtd-twostage/invalidate/device-tlb", test_device_tlb);
    qtest_add_func("/vtd-twostage/pasid-alone", test_pasid_alone);
    qtest_add_func("/vtd-twostage/page-request/pasid", test_page_request);
    qtest_add_func("/vtd-twostage/page-request/no-pasid",
                   test_page_request_no_pasid);
    qtest_add_func("/vtd-twostage/page-request/overflow",
                   test_page_request_overflow);
    qtest_add_func("/vtd-twostage/page-request/refused",
                   test_page_request_refused);
    qtest_add_func("/vtd-twostage/page-request/drain", test_drain);
    qtest_add_func("/vtd-twostage/ats/refused", test_refused);
    qtest_add_func("/vtd-twostage/ats/unrecoverable", test_unrecoverable);
    qtest_add_func("/vtd-twostage/ats/interrupt-range", test_interrupt_range);
    qtest_add_func("/vtd-twostage/ats/dirty", test_dirty);
    return g_test_run();
}
