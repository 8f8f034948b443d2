/*
 * SVA engine behind VT-d: PASIDs, device TLB, page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "../libqtest.h"
#include "sva-engine-host.h"

/* ----------------------------------------------------------------- PASID */

static RigCompletion do_fill(RigQueue *q, uint64_t va, uint64_t len,
                             uint64_t pattern)
{
    qtest_memset(q->rig->qts, DONE, 0, SVA_COMP_SIZE);
    rig_do(q, &(RigDesc) { .op = SVA_OP_FILL, .dst = va, .len = len,
                           .pattern = pattern, .completion = VA_DONE });
    return rig_completion(q->rig, DONE);
}

/* Ring the doorbell for a fill, and return while it is being done */
static void start_fill(RigQueue *q, uint64_t va, uint64_t len,
                       uint64_t pattern)
{
    qtest_memset(q->rig->qts, DONE, 0, SVA_COMP_SIZE);
    rig_push(q, &(RigDesc) { .op = SVA_OP_FILL, .dst = va, .len = len,
                             .pattern = pattern, .completion = VA_DONE });
    rig_doorbell(q);
}

static void test_pasid(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q, other;

    /* Two processes, the same addresses, pages the other way round */
    host_start(&h, "", 0);
    host_map(&h, VA, DATA + 0x1000, 0x1000);
    host_map(&h, VA + 0x1000, DATA, 0x1000);
    host_map(&h, VA + 0x2000, DATA + 0x8000, 0x2000);
    host_queue(&h, &q, 0);
    host_pasid(&h, 0xfff);
    host_map(&h, VA, DATA + 0x4000, 0x4000);
    host_queue(&h, &other, 1);

    rig_scribble(r, DATA + 0x1800, 0x800, 1);
    rig_scribble(r, DATA, 0x800, 2);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_COPY, .src = VA + 0x800,
                            .dst = VA + 0x2800, .len = 0x1000,
                            .completion = VA_DONE });
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);
    g_assert_true(rig_scribbled(r, DATA + 0x8800, 0x800, 1));
    g_assert_true(rig_scribbled(r, DATA + 0x9000, 0x800, 2));

    g_assert_cmphex(do_fill(&other, VA, 0x4000, -1ULL).code, ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readq(r->qts, DATA + 0x7ff8), ==, UINT64_MAX);
    g_assert_true(rig_scribbled(r, DATA, 0x800, 2));
    host_stop(&h);
}

/* Without page requests, or with the features it needs turned off */
static void test_absent(void)
{
    Host h;
    RigQueue q;
    RigCompletion c;

    host_start(&h, "", 0);
    host_map(&h, VA, DATA, 0x1000);
    vtd_s1_map(&h.mem, h.s1, 4, VA + 0x5000, DATA, 0x1000, 12,
               VTD_S1_USER_RO);
    host_queue(&h, &q, 0);
    c = do_fill(&q, VA + 8, 0x2000, 3);
    g_assert_cmphex(c.code, ==, SVA_CODE_ABSENT);
    g_assert_cmphex(c.address, ==, VA + 0x1000);
    g_assert_cmpuint(c.done, ==, 0xff8);
    g_assert_cmphex(do_fill(&q, VA + 0x5000, 1, 3).code, ==, SVA_CODE_ABSENT);
    g_assert_cmphex(do_fill(&q, VA, 8, 3).code, ==, SVA_CODE_OK);
    host_prq_none(&h);

    rig_config_writew(&h.rig, RIG_ATS + PCI_ATS_CTRL, 0);
    q.tail++;
    rig_doorbell(&q);
    rig_wait_state(&q, SVA_STATE_HALTED);
    g_assert_cmphex(SVA_Q_HALT_CODE(rig_queue_readl(&q, SVA_Q_STATUS)), ==,
                    SVA_CODE_DISABLED);
    host_stop(&h);
}

/*
 * PASIDs disabled under a queue that has used one: what the IOMMU knows of it
 * must be gone, or the invalidations that follow find freed memory.
 */
static void test_pasid_disable(void)
{
    Host h;
    RigQueue q;

    host_start(&h, "", 8);
    host_map(&h, VA, DATA, 0x1000);
    host_queue(&h, &q, 0);
    g_assert_cmphex(do_fill(&q, VA, 8, 1).code, ==, SVA_CODE_OK);
    rig_config_writew(&h.rig, RIG_PASID + PCI_PASID_CTRL, 0);
    rig_writel(&h.rig, SVA_CTRL, SVA_CTRL_RESET);
    host_device_tlb(&h, h.pasid, VA, 0);
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_INVALIDATIONS), ==, 0);

    rig_config_writew(&h.rig, RIG_PASID + PCI_PASID_CTRL,
                      PCI_PASID_CTRL_ENABLE);
    host_queue(&h, &q, 0);
    g_assert_cmphex(do_fill(&q, VA, 8, 2).code, ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readq(h.rig.qts, DATA), ==, 2);
    host_stop(&h);
}

/* ------------------------------------------------------------ device TLB */

/* Does the device still reach the page that was mapped at @va? */
static bool cached(Host *h, RigQueue *q, uint64_t va, uint64_t gpa)
{
    static uint64_t mark = 0x100;

    return do_fill(q, va, 8, ++mark).code == SVA_CODE_OK &&
           qtest_readq(h->rig.qts, gpa) == mark;
}

static void test_device_tlb(void)
{
    Host h;
    RigQueue q;
    uint64_t requests;

    host_start(&h, "", 0);
    host_map(&h, VA, DATA, 0x4000);
    host_queue(&h, &q, 0);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(cached(&h, &q, VA + i * 0x1000, DATA + i * 0x1000));
    }
    requests = rig_counter(&h.rig, SVA_CNT_ATS_REQUESTS);
    g_assert_cmpuint(requests, ==, 6);      /* four, ring, completion */
    g_assert_true(cached(&h, &q, VA, DATA));
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_ATS_REQUESTS), ==, requests);

    /* Gone from the tables and the IOMMU, but nobody told the device */
    host_unmap(&h, VA, 0x4000);
    g_assert_true(cached(&h, &q, VA, DATA));
    /* Another PASID, another page: not these */
    host_device_tlb(&h, h.pasid + 1, VA, 0);
    host_device_tlb(&h, h.pasid, VA + 0x4000, 0);
    g_assert_true(cached(&h, &q, VA, DATA));
    /* One page */
    host_device_tlb(&h, h.pasid, VA, 0);
    g_assert_false(cached(&h, &q, VA, DATA));
    g_assert_true(cached(&h, &q, VA + 0x1000, DATA + 0x1000));
    g_assert_true(cached(&h, &q, VA + 0x2000, DATA + 0x2000));
    /* Two pages, of which the first is the one before */
    host_device_tlb(&h, h.pasid, VA, 1);
    g_assert_false(cached(&h, &q, VA + 0x1000, DATA + 0x1000));
    g_assert_true(cached(&h, &q, VA + 0x2000, DATA + 0x2000));
    /* Everything of the PASID */
    host_device_tlb(&h, h.pasid, 0, 51);
    g_assert_false(cached(&h, &q, VA + 0x2000, DATA + 0x2000));
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_ATC_DROPPED), >=, 4);
    host_stop(&h);
}

/* Two PASIDs, the same pages: together only where the guest says so */
static void test_device_tlb_pasid(void)
{
    Host h;
    RigQueue q, other;
    VtdDesc desc;

    host_start(&h, "", 0);
    host_map(&h, VA, DATA, 0x2000);
    host_queue(&h, &q, 0);
    g_assert_true(cached(&h, &q, VA, DATA));
    g_assert_true(cached(&h, &q, VA + 0x1000, DATA + 0x1000));
    host_unmap(&h, VA, 0x2000);
    host_pasid(&h, 8);
    host_map(&h, VA, DATA + 0x2000, 0x2000);
    host_queue(&h, &other, 1);
    g_assert_true(cached(&h, &other, VA, DATA + 0x2000));
    g_assert_true(cached(&h, &other, VA + 0x1000, DATA + 0x3000));
    host_unmap(&h, VA, 0x2000);

    host_device_tlb(&h, 8, VA + 0x1000, 0);
    g_assert_false(cached(&h, &other, VA + 0x1000, DATA + 0x3000));
    g_assert_true(cached(&h, &q, VA + 0x1000, DATA + 0x1000));
    g_assert_true(cached(&h, &q, VA, DATA));
    g_assert_true(cached(&h, &other, VA, DATA + 0x2000));

    /* VT-d 6.5.2.6, G: the page, under all PASIDs of the function */
    desc = vtd_inv_pasid_dev_tlb(RIG_DEVFN, 0, VA, 0);
    desc.qw[1] |= 1;
    host_push(&h, desc);
    host_sync(&h);
    g_assert_false(cached(&h, &q, VA, DATA));
    g_assert_false(cached(&h, &other, VA, DATA + 0x2000));
    g_assert_true(cached(&h, &q, VA + 0x1000, DATA + 0x1000));
    host_stop(&h);
}

/* A large page is one entry, and a part of it takes all of it away */
static void test_device_tlb_large(void)
{
    const uint64_t va = VA & ~0x1fffffULL;
    const uint64_t gpa = 0x0800000;
    Host h;
    RigQueue q;
    uint64_t requests;

    host_start(&h, "", 0);
    vtd_s1_map(&h.mem, h.s1, 4, va + 0x200000, gpa, 0x200000, 21,
               VTD_S1_USER_RW);
    host_queue(&h, &q, 0);
    g_assert_true(cached(&h, &q, va + 0x200000, gpa));
    requests = rig_counter(&h.rig, SVA_CNT_ATS_REQUESTS);
    g_assert_true(cached(&h, &q, va + 0x3ff000, gpa + 0x1ff000));
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_ATS_REQUESTS), ==, requests);
    host_unmap(&h, va + 0x200000, 0x200000);
    host_device_tlb(&h, h.pasid, va + 0x310000, 0);
    g_assert_false(cached(&h, &q, va + 0x200000, gpa));
    host_stop(&h);
}

/* Translations for reading are not good for writing */
static void test_device_tlb_write(void)
{
    Host h;
    RigQueue q;
    uint64_t leaf;
    unsigned level;

    host_start(&h, "", 0);
    host_map(&h, VA, DATA, 0x1000);
    host_queue(&h, &q, 0);
    rig_do(&q, &(RigDesc) { .op = SVA_OP_CHECKSUM, .src = VA, .len = 8,
                            .completion = VA_DONE });
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_OK);
    leaf = vtd_s1_entry(&h.mem, h.s1, 4, VA, 1, &level);
    g_assert_cmphex(iommu_mem_read64(&h.mem, leaf) & VTD_S1_D, ==, 0);
    g_assert_true(cached(&h, &q, VA, DATA));
    g_assert_cmphex(iommu_mem_read64(&h.mem, leaf) & VTD_S1_D, ==, VTD_S1_D);
    host_stop(&h);
}

/* -------------------------------------------------------- page requests */

static void test_page_request(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q;
    PageRequest pr[3];

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    rig_do(&q, &(RigDesc) { });     /* the ring page is cached from here on */

    /* Three pages, of which the second is there already */
    host_map(&h, VA + 0x1000, DATA + 0x1000, 0x1000);
    start_fill(&q, VA + 0x10, 0x2ff0, 0x1122334455667788ULL);
    host_prq_expect(&h, VA, true, false, &pr[0]);
    host_prq_expect(&h, VA + 0x2000, true, true, &pr[1]);
    g_assert_cmpuint(pr[0].group, ==, pr[1].group);
    host_prq_none(&h);
    rig_wait_state(&q, SVA_STATE_WAITING);
    g_assert_cmphex(rig_readl(r, SVA_STATUS) & SVA_STATUS_BUSY, !=, 0);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, 0);

    qtest_clock_step(r->qts, 1000);
    host_map(&h, VA, DATA, 0x1000);
    host_map(&h, VA + 0x2000, DATA + 0x2000, 0x1000);
    host_prq_respond(&h, &pr[1], VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readq(r->qts, DATA + 0x2ff8), ==,
                    0x1122334455667788ULL);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_PAGE_REQUESTS), ==, 2);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_PAGE_GROUPS), ==, 1);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_RESP_SUCCESS), ==, 1);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_WAIT_NS), >=, 1000);

    /* For reading, and one page at a time */
    rig_writel(r, SVA_GROUP, 1);
    rig_push(&q, &(RigDesc) { .op = SVA_OP_CHECKSUM, .src = VA + 0x8fff,
                              .len = 2, .completion = VA_DONE });
    rig_doorbell(&q);
    host_prq_expect(&h, VA + 0x8000, false, true, &pr[2]);
    host_map(&h, VA + 0x8000, DATA + 0x8000, 0x1000);
    host_prq_respond(&h, &pr[2], VTD_PRG_SUCCESS);
    host_prq_expect(&h, VA + 0x9000, false, true, &pr[2]);
    host_map(&h, VA + 0x9000, DATA + 0x9000, 0x1000);
    host_prq_respond(&h, &pr[2], VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);
    host_stop(&h);
}

/* Ring and completion record are memory of the process as well */
static void test_page_request_ring(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_unmap(&h, VA_RING, 0x1000);
    host_unmap(&h, VA_DONE, 0x1000);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 0, 0);
    host_prq_expect(&h, VA_RING, false, true, &pr);
    host_map(&h, VA_RING, RING, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    host_prq_expect(&h, VA_DONE, true, true, &pr);
    host_map(&h, VA_DONE, DONE, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);

    /* A completion record that cannot be had is lost, and that is all */
    host_unmap(&h, VA_DONE, 0x1000);
    host_device_tlb(&h, h.pasid, VA_DONE, 0);
    start_fill(&q, VA, 0, 0);
    host_prq_expect(&h, VA_DONE, true, true, &pr);
    host_prq_respond(&h, &pr, VTD_PRG_INVALID);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmpuint(rig_queue_readq(&q, SVA_Q_LOST), ==, 1);

    /* A ring that cannot be had halts the queue */
    host_unmap(&h, VA_RING, 0x1000);
    host_device_tlb(&h, h.pasid, VA_RING, 0);
    q.tail++;
    rig_doorbell(&q);
    host_prq_expect(&h, VA_RING, false, true, &pr);
    host_prq_respond(&h, &pr, VTD_PRG_INVALID);
    rig_wait_state(&q, SVA_STATE_HALTED);
    g_assert_cmphex(SVA_Q_HALT_CODE(rig_queue_readl(&q, SVA_Q_STATUS)), ==,
                    SVA_CODE_INVALID);
    host_stop(&h);
}

static void test_invalid(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q;
    PageRequest pr;
    RigCompletion c;

    host_start(&h, "", 32);
    host_map(&h, VA, DATA, 0x1000);
    host_queue(&h, &q, 0);

    /* The group is refused because of its second page, the first is fine */
    start_fill(&q, VA, 0x3000, 5);
    host_prq_expect(&h, VA + 0x1000, true, false, &pr);
    host_prq_expect(&h, VA + 0x2000, true, true, &pr);
    host_prq_respond(&h, &pr, VTD_PRG_INVALID);
    host_prq_expect(&h, VA + 0x1000, true, true, &pr);
    host_map(&h, VA + 0x1000, DATA + 0x1000, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    host_prq_expect(&h, VA + 0x2000, true, true, &pr);
    host_prq_respond(&h, &pr, VTD_PRG_INVALID);
    rig_wait_state(&q, SVA_STATE_IDLE);
    c = rig_completion(r, DONE);
    g_assert_cmphex(c.code, ==, SVA_CODE_INVALID);
    g_assert_cmphex(c.address, ==, VA + 0x2000);
    g_assert_cmpuint(c.done, ==, 0x2000);

    /* Only that descriptor */
    g_assert_cmphex(do_fill(&q, VA, 8, 6).code, ==, SVA_CODE_OK);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_RESP_INVALID), ==, 2);
    g_assert_cmphex(host_pri_status(&h), ==, PCI_PRI_STATUS_PASID);
    host_stop(&h);
}

static void test_failure(void)
{
    Host h;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_map(&h, VA + 0x1000, DATA, 0x1000);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    host_prq_respond(&h, &pr, VTD_PRG_FAILURE);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_FAILURE);
    g_assert_cmphex(host_pri_status(&h), ==, PCI_PRI_STATUS_RF |
                    PCI_PRI_STATUS_STOPPED | PCI_PRI_STATUS_PASID);
    g_assert_cmphex(rig_readl(&h.rig, SVA_STATUS) & SVA_STATUS_PRI, ==, 0);

    /* No more page requests; what is mapped works */
    g_assert_cmphex(do_fill(&q, VA, 8, 6).code, ==, SVA_CODE_ABSENT);
    g_assert_cmphex(do_fill(&q, VA + 0x1000, 8, 6).code, ==, SVA_CODE_OK);
    host_prq_none(&h);

    /* Until software has taken note */
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_STATUS, PCI_PRI_STATUS_RF);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, 0);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmphex(host_pri_status(&h), ==, PCI_PRI_STATUS_PASID);
    start_fill(&q, VA, 8, 7);
    host_prq_expect(&h, VA, true, true, &pr);
    host_map(&h, VA, DATA, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_OK);
    host_stop(&h);
}

static void test_retries(void)
{
    Host h;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    for (unsigned i = 0; i < 17; i++) {
        host_prq_expect(&h, VA, true, true, &pr);
        host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
        if (i > 0 && i < 16) {
            /* At once the first time, after a pause from then on */
            rig_wait_counter(&h.rig, SVA_CNT_BACKOFFS, i);
            host_prq_none(&h);
            qtest_clock_step(h.rig.qts, 100 * 1000 * 1000);
        }
    }
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_RETRIES);
    host_prq_none(&h);
    host_stop(&h);
}

/* One credit, two queues: the second asks when the first has its answer */
static void test_credits(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q, other;
    PageRequest pr, next;

    host_start(&h, "", 1);
    host_queue(&h, &q, 0);
    host_queue(&h, &other, 1);
    start_fill(&q, VA, 0x2000, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    start_fill(&other, VA + 0x8000, 8, 6);
    rig_wait_state(&other, SVA_STATE_WAITING);
    host_prq_none(&h);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_BACKOFFS), ==, 1);

    /* Reset does not give the credit back, only the response does */
    rig_writel(r, SVA_QUEUE(0) + SVA_Q_CTRL, SVA_Q_CTRL_RESET);
    rig_wait_state(&other, SVA_STATE_WAITING);
    host_prq_none(&h);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    host_prq_expect(&h, VA + 0x8000, true, true, &next);
    host_map(&h, VA + 0x8000, DATA, 0x1000);
    host_prq_respond(&h, &next, VTD_PRG_SUCCESS);
    rig_wait_state(&other, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);
    g_assert_cmphex(host_pri_status(&h) & PCI_PRI_STATUS_UPRGI, ==, 0);
    host_stop(&h);
}

/* The IOMMU's queue is full, and it answers so: wait, and ask again */
static void test_back_off(void)
{
    Host h;
    Rig *r = &h.rig;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    host_write64(&h, PQH, PRQ_ENTRY);
    start_fill(&q, VA, 8, 5);
    rig_wait_state(&q, SVA_STATE_WAITING);
    g_assert_cmphex(host_read32(&h, PRS) & PRS_PRO, !=, 0);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_BACKOFFS), ==, 1);
    qtest_clock_step(r->qts, 49000);
    g_assert_cmpuint(rig_counter(r, SVA_CNT_BACKOFFS), ==, 1);
    qtest_clock_step(r->qts, 1000);
    rig_wait_counter(r, SVA_CNT_BACKOFFS, 2);

    host_write64(&h, PQH, 0);
    host_write32(&h, PRS, PRS_PRO);
    qtest_clock_step(r->qts, 100000);
    host_prq_expect(&h, VA, true, true, &pr);
    host_map(&h, VA, DATA, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_OK);

    /* Not for ever */
    host_write64(&h, PQH, (host_read64(&h, PQT) + PRQ_ENTRY) % 0x1000);
    start_fill(&q, VA + 0x1000, 8, 5);
    for (unsigned i = 0; i < 5000; i++) {
        if (rig_queue_state(&q) == SVA_STATE_IDLE) {
            break;
        }
        qtest_clock_step(r->qts, 100 * 1000 * 1000);
    }
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(r, DONE).code, ==, SVA_CODE_RETRIES);
    host_stop(&h);
}

/* Disabled, reset, reset again, with a request out */
static void test_pri_disable(void)
{
    Host h;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, 0);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_DISABLED);
    /* Linux refuses to enable it before it has stopped */
    g_assert_cmphex(host_pri_status(&h) & PCI_PRI_STATUS_STOPPED, ==, 0);
    host_prq_respond(&h, &pr, VTD_PRG_INVALID);
    g_assert_cmphex(host_pri_status(&h), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);

    /* A response to nothing */
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    g_assert_cmphex(host_pri_status(&h), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_RESP_UNEXPECTED), ==, 1);

    /* The reset bit of the capability forgets what is out */
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, 0);
    rig_config_writew(&h.rig, RIG_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
    g_assert_cmphex(rig_config_readw(&h.rig, RIG_PRI + PCI_PRI_CTRL), ==, 0);
    g_assert_cmphex(host_pri_status(&h) & PCI_PRI_STATUS_STOPPED, !=, 0);
    host_stop(&h);
}

static void test_flr_pending(void)
{
    Host h;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    rig_flr(&h.rig);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    host_device_tlb(&h, h.pasid, VA, 0);

    rig_enable(&h.rig);
    host_device_features(&h.rig, 32);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_DISABLED);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 6);
    host_prq_expect(&h, VA, true, true, &pr);
    host_map(&h, VA, DATA, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_OK);
    g_assert_cmphex(qtest_readq(h.rig.qts, DATA), ==, 6);
    host_stop(&h);
}

/* Without "PRG Response PASID Required" the response need not name it */
static void test_response_without_pasid(void)
{
    Host h;
    RigQueue q;
    PageRequest pr;

    host_start(&h, "prg-response-pasid=off", 32);
    g_assert_cmphex(host_pri_status(&h), ==, 0);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    host_map(&h, VA, DATA, 0x1000);
    pr.with_pasid = false;
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    rig_wait_state(&q, SVA_STATE_IDLE);
    g_assert_cmphex(rig_completion(&h.rig, DONE).code, ==, SVA_CODE_OK);
    host_stop(&h);

    host_start(&h, "", 32);
    host_queue(&h, &q, 0);
    start_fill(&q, VA, 8, 5);
    host_prq_expect(&h, VA, true, true, &pr);
    /* Somebody has to listen there for it to be a response to nothing */
    host_rid(&h);
    host_map(&h, VA + 0x8000, DATA, 0x1000);
    g_assert_cmphex(rig_simple(&h.rig, VA + 0x8000, true), ==, SVA_CODE_OK);
    pr.with_pasid = false;
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    g_assert_cmpuint(rig_counter(&h.rig, SVA_CNT_RESP_UNEXPECTED), ==, 1);
    g_assert_cmpuint(rig_queue_state(&q), ==, SVA_STATE_WAITING);
    host_stop(&h);
}

/* ------------------------------------------------------ without a PASID */

static void test_no_pasid(void)
{
    const uint64_t iova = 0x5000000;
    Host h;
    Rig *r = &h.rig;
    PageRequest pr;

    host_start(&h, "", 32);
    host_rid(&h);
    host_map(&h, iova, DATA, 0x1000);
    rig_scribble(r, DATA, SVA_SIMPLE_SIZE, 3);
    g_assert_cmphex(rig_simple(r, iova, true), ==, SVA_CODE_OK);

    /* Out of the buffer, to where nothing is yet */
    rig_simple_start(r, iova + 0x10000, false);
    pr = host_prq_wait(&h);
    g_assert_false(pr.with_pasid);
    g_assert_cmphex(pr.addr, ==, iova + 0x10000);
    g_assert_true(pr.write && pr.last);
    g_assert_cmphex(rig_readl(r, SVA_SIMPLE_COMMAND), ==, SVA_COMMAND_RUN);
    host_map(&h, iova + 0x10000, DATA + 0x10000, 0x1000);
    host_prq_respond(&h, &pr, VTD_PRG_SUCCESS);
    g_assert_cmphex(rig_simple_wait(r), ==, SVA_CODE_OK);
    g_assert_true(rig_scribbled(r, DATA + 0x10000, SVA_SIMPLE_SIZE, 3));

    /* An invalidation without PASID is for these */
    vtd_s1_unmap(&h.mem, h.s1, 4, iova, 0x1000);
    host_push(&h, vtd_inv_piotlb_all(DID, 0));
    host_sync(&h);
    g_assert_cmphex(rig_simple(r, iova, true), ==, SVA_CODE_OK);
    host_push(&h, vtd_inv_dev_tlb(RIG_DEVFN, iova, 0));
    host_sync(&h);
    rig_config_writew(r, RIG_PRI + PCI_PRI_CTRL, 0);
    g_assert_cmphex(rig_simple(r, iova, true), ==, SVA_CODE_ABSENT);
    host_stop(&h);
}

/* What must not stop the emulator: ATS not offered, the interrupt range */
static void test_hostile(void)
{
    Rig r;

    rig_start_q35(&r, "-device intel-iommu", "");
    rig_config_writew(&r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    g_assert_cmphex(rig_simple(&r, DATA, true), ==, SVA_CODE_OK);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_ATS_REQUESTS), ==, 0);
    rig_stop(&r);

    rig_start_q35(&r, "-device intel-iommu,device-iotlb=on", "");
    rig_config_writew(&r, RIG_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    g_assert_cmphex(rig_simple(&r, 0xfee00000, true), ==, SVA_CODE_ABSENT);
    g_assert_cmphex(rig_simple(&r, DATA, true), ==, SVA_CODE_OK);
    g_assert_cmpuint(rig_counter(&r, SVA_CNT_ATS_REQUESTS), ==, 2);
    rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/sva-engine/vtd/pasid", test_pasid);
    qtest_add_func("/sva-engine/vtd/absent", test_absent);
    qtest_add_func("/sva-engine/vtd/pasid-disable", test_pasid_disable);
    qtest_add_func("/sva-engine/vtd/device-tlb", test_device_tlb);
    qtest_add_func("/sva-engine/vtd/device-tlb-pasid", test_device_tlb_pasid);
    qtest_add_func("/sva-engine/vtd/device-tlb-large", test_device_tlb_large);
    qtest_add_func("/sva-engine/vtd/device-tlb-write", test_device_tlb_write);
    qtest_add_func("/sva-engine/vtd/page-request", test_page_request);
    qtest_add_func("/sva-engine/vtd/page-request-ring",
                   test_page_request_ring);
    qtest_add_func("/sva-engine/vtd/invalid", test_invalid);
    qtest_add_func("/sva-engine/vtd/failure", test_failure);
    qtest_add_func("/sva-engine/vtd/retries", test_retries);
    qtest_add_func("/sva-engine/vtd/credits", test_credits);
    qtest_add_func("/sva-engine/vtd/back-off", test_back_off);
    qtest_add_func("/sva-engine/vtd/pri-disable", test_pri_disable);
    qtest_add_func("/sva-engine/vtd/flr-pending", test_flr_pending);
    qtest_add_func("/sva-engine/vtd/response-without-pasid",
                   test_response_without_pasid);
    qtest_add_func("/sva-engine/vtd/no-pasid", test_no_pasid);
    qtest_add_func("/sva-engine/vtd/hostile", test_hostile);
    return g_test_run();
}
