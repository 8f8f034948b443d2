/*
 * VT-d nesting: how much of the queue is done before others have their turn
 *
 * Measured in descriptors, calls on the host and table entries read. A doorbell
 * that is rung while the VM is stopped is worth the first turn exactly; all
 * others wait until it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-migration-rig.h"
#include "vtd-shadow-rig.h"

/* include/hw/iommufd.h: units of work in a turn, and what a call counts */
#define TURN        4096
#define CALL        16
/* Pairs of an invalidation and a wait descriptor, each of which is a call */
#define PAIRS       4000
/* PASIDs in the tables of tests that fill them */
#define PASIDS      3000
#define ORDER       6           /* 2^6 pages: 8,192 descriptors of 32 bytes */

static uint64_t counter(VtdRig *r, const char *name)
{
    return nested_rig_counter(r->qts, "counters", name);
}

static uint64_t inv_calls(VtdRig *r)
{
    return iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
}

/* A queue that is large enough, in place of that of vtd_rig_enable() */
static void enable(VtdRig *r)
{
    vtd_tables_init(&r->t, &r->mem, true);
    vtd_queue_init(&r->q, &r->mem, ORDER, true);
    vtd_enable(&r->regs, &r->t, &r->q);
}

/* @num times the same two descriptors, in one write to guest memory */
static void push_many(VtdRig *r, VtdDesc a, VtdDesc b, unsigned num)
{
    g_autofree VtdDesc *desc = g_new(VtdDesc, 2 * num);

    g_assert_cmpuint(r->q.tail + 2 * num * sizeof(*desc), <,
                     4096ULL << ORDER);
    for (unsigned i = 0; i < 2 * num; i++) {
        desc[i] = i % 2 ? b : a;
        for (unsigned j = 0; j < ARRAY_SIZE(desc[i].qw); j++) {
            desc[i].qw[j] = cpu_to_le64(desc[i].qw[j]);
        }
    }
    qtest_bufwrite(r->qts, r->q.base + r->q.tail, desc,
                   2 * num * sizeof(*desc));
    r->q.tail += 2 * num * sizeof(*desc);
}

/* Wait descriptors that tell nobody anything */
static VtdDesc silent_wait(VtdRig *r)
{
    return vtd_inv_wait(r->q.status + 32, 0);
}

static void push_pairs(VtdRig *r)
{
    push_many(r, vtd_inv_piotlb_all(DID, 0), silent_wait(r), PAIRS);
}

/* One device with a table that it has used */
static void start(VtdRig *r, const char *extra)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    vtd_rig_start(r, host, "nested=on,x-pasid-mode=on", 1, extra);
    enable(r);
    vtd_rig_fill(r, 0, 1);
    vtd_rig_first_stage(r, RID0, DID, vtd_rig_s1(r, IOVA, 0));
    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA, 1, 16);
}

static void stop(VtdRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
}

static void cont(VtdRig *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
}

/*
 * The doorbell is worth one turn, and the rest waits for a VM that runs. The
 * monitor answers meanwhile. Return: the head, which is not at the end.
 */
static unsigned kick_stopped(VtdRig *r)
{
    unsigned head;

    stop(r);
    vtd_queue_kick(&r->q, &r->regs);
    head = vtd_rig_head(r);
    g_assert_cmpuint(head, <, r->q.tail / 32);
    g_assert_cmpuint(counter(r, "turns-put-off"), ==, 1);
    g_usleep(20000);
    g_assert_cmpuint(vtd_rig_head(r), ==, head);
    return head;
}

static void wait_done(VtdRig *r, uint32_t ticket)
{
    for (unsigned i = 0; !vtd_queue_done(&r->q, ticket); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    g_assert_cmphex(vtd_rig_fsts(r), ==, 0);
}

/* The monitor is answered while the head is on its way, a turn at a time */
static void test_progress(void)
{
    uint64_t calls, before, turns;
    unsigned head, seen = 0;
    uint32_t ticket;
    VtdRig r;

    start(&r, "");
    before = inv_calls(&r);
    push_pairs(&r);
    ticket = vtd_queue_push_wait(&r.q);
    head = kick_stopped(&r);
    calls = inv_calls(&r) - before;
    g_assert_cmpuint(calls, >, TURN / CALL / 2);
    g_assert_cmpuint(calls, <=, TURN / CALL);
    /* One turn takes it about as far; what the head has passed is done */
    g_assert_cmpuint(head, >, 2 * calls - 8);
    g_assert_cmpuint(head, <=, 2 * calls + 8);

    cont(&r);
    while (!vtd_queue_done(&r.q, ticket)) {
        unsigned now = vtd_rig_head(&r);

        g_assert_cmpuint(now, >=, head);
        head = now;
        seen += counter(&r, "turns-put-off") > 1;
    }
    calls = inv_calls(&r) - before;
    turns = counter(&r, "turns-put-off");
    g_assert_cmpuint(calls, ==, PAIRS);
    g_assert_cmpuint(calls * CALL / (turns + 1), <=, TURN);
    g_test_message("%" PRIu64 " calls in %" PRIu64 " turns; %u looks meanwhile",
                   calls, turns + 1, seen);
    vtd_rig_stop(&r);
}

/* Small batches are done when the doorbell has been rung */
static void test_at_once(void)
{
    uint32_t ticket;
    VtdRig r;

    start(&r, "");
    for (unsigned i = 0; i < 1024; i++) {
        vtd_queue_push(&r.q, vtd_inv_piotlb(DID, 0, IOVA + i * 4096, 0, true));
    }
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    g_assert_true(vtd_queue_done(&r.q, ticket));
    g_assert_cmpuint(counter(&r, "turns-put-off"), ==, 0);
    vtd_rig_stop(&r);
}

/* PASIDs from 1 on, all with one table, which map IOVA to the first page */
static void fill_pasids(VtdRig *r, unsigned num)
{
    VtdPasidEntry pe = {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(r, IOVA, 0),
        .s1_levels = 4,
    };

    vtd_context_scalable(&r->t, RID0, 14, VTD_CTX_PASIDE, 0);
    for (unsigned i = 0; i <= num; i++) {
        vtd_pasid_set(&r->t, RID0, i, &pe);
    }
}

static void start_pasids(VtdRig *r)
{
    g_autofree char *host = vtd_rig_host(1, "", "");

    vtd_rig_start(r, host, "nested=on,x-pasid-mode=on,pasid-bits=14", 1, "");
    vtd_rig_open_config(r);
    vtd_rig_enable_sva(r, RID0);
    enable(r);
    vtd_rig_fill(r, 0, 1);
    fill_pasids(r, PASIDS);
}

static void expect_pasid(VtdRig *r, uint32_t pasid)
{
    const IommufdDma how = { .with_pasid = true, .pasid = pasid };

    iommufd_model_expect_data(r->m, HOST_DEV0, &how, IOVA, 1, 16);
}

/*
 * One descriptor, thousands of attaches: the head stands at the wait
 * descriptor, which is done when the last of them is.
 */
static void test_one_command(void)
{
    uint64_t turns;
    unsigned first;
    uint32_t ticket;
    VtdRig r;

    start_pasids(&r);
    first = r.q.tail / 32;
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    ticket = vtd_queue_push_wait(&r.q);
    g_assert_cmpuint(kick_stopped(&r), ==, first + 1);
    g_assert_cmpuint(counter(&r, "attaches"), <=, TURN / CALL);
    expect_pasid(&r, 1);
    cont(&r);
    wait_done(&r, ticket);
    turns = counter(&r, "turns-put-off") + 1;
    g_assert_cmpuint(PASIDS * CALL / turns, <=, TURN);
    g_assert_cmpuint(counter(&r, "attaches"), ==, PASIDS + 1);
    expect_pasid(&r, 1);
    expect_pasid(&r, PASIDS);
    vtd_rig_stop(&r);
}

/*
 * However often it is said that entries have changed, they are read once
 * before the wait descriptor, and each once
 */
static void test_one_look(gconstpointer opaque)
{
    const VtdDesc *desc = opaque;
    uint64_t reads, attaches;
    uint32_t ticket;
    bool all;
    VtdRig r;

    start_pasids(&r);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    wait_done(&r, ticket);

    /* A PASID that goes, and one that is new */
    vtd_pasid_clear(&r.t, RID0, 7);
    vtd_pasid_set(&r.t, RID0, PASIDS + 1, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = vtd_rig_s1(&r, IOVA, 0),
        .s1_levels = 4,
    });
    reads = counter(&r, "entries-read");
    attaches = counter(&r, "attaches");
    push_many(&r, *desc, *desc, PAIRS);
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    wait_done(&r, ticket);
    /* A domain is what was read with its domain-id: not what is new */
    all = desc->qw[0] != vtd_inv_pasid_cache(VTD_PC_DOMAIN, DID, 0).qw[0];
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==,
                     PASIDS + 1 + all);
    g_assert_cmpuint(counter(&r, "attaches") - attaches, ==, all);
    if (all) {
        expect_pasid(&r, PASIDS + 1);
    }
    iommufd_model_expect_fault(r.m, HOST_DEV0, &(IommufdDma) {
        .with_pasid = true, .pasid = 7 }, IOVA, false, 0, NULL);
    vtd_rig_stop(&r);
}

/* Translation that an IOTLB descriptor is for is looked up before it */
static void test_look_before_iotlb(void)
{
    uint64_t calls;
    VtdRig r;

    start(&r, "");
    /* The same table in another domain: of a HWPT that is not there yet */
    vtd_rig_fill(&r, 1, 2);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID + 1, .s1 = vtd_rig_s1(&r, IOVA, 1),
        .s1_levels = 4,
    });
    calls = inv_calls(&r);
    vtd_queue_push(&r.q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    vtd_queue_push(&r.q, vtd_inv_piotlb_all(DID + 1, 0));
    vtd_rig_sync(&r);
    g_assert_cmpuint(inv_calls(&r), ==, calls + 1);
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 2, 16);
    vtd_rig_stop(&r);
}

/* A reset half-way: nothing of it comes after, and the next guest is new */
static void test_reset(void)
{
    uint64_t calls;
    VtdRig r;

    start(&r, "");
    push_pairs(&r);
    kick_stopped(&r);
    qtest_system_reset(r.qts);
    g_assert_cmpuint(vtd_rig_head(&r), ==, 0);
    calls = inv_calls(&r);
    cont(&r);
    g_usleep(20000);
    g_assert_cmpuint(inv_calls(&r), ==, calls);
    g_assert_cmpuint(vtd_rig_head(&r), ==, 0);

    enable(&r);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 0));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 1, 16);
    vtd_rig_stop(&r);
}

/* Half-way through a look at the tables */
static void test_reset_in_look(void)
{
    VtdRig r;

    start_pasids(&r);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    vtd_queue_push_wait(&r.q);
    kick_stopped(&r);
    qtest_system_reset(r.qts);
    cont(&r);
    g_usleep(20000);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    g_assert_cmpuint(vtd_rig_head(&r), ==, 0);
    vtd_rig_stop(&r);
}

/* While the VM stands still so does its queue, whatever is written */
static void test_stop(void)
{
    unsigned head;
    uint32_t ticket;
    uint64_t calls;
    VtdRig r;

    start(&r, "");
    push_pairs(&r);
    head = kick_stopped(&r);
    calls = inv_calls(&r);
    ticket = vtd_queue_push_wait(&r.q);
    vtd_queue_kick(&r.q, &r.regs);
    g_usleep(20000);
    g_assert_cmpuint(vtd_rig_head(&r), ==, head);
    g_assert_cmpuint(inv_calls(&r), ==, calls);
    cont(&r);
    wait_done(&r, ticket);
    g_assert_cmpuint(vtd_rig_head(&r), ==, r.q.tail / 32);
    vtd_rig_stop(&r);
}

/* As for every VM that is migrated, what the guest is promised is given */
#define FEATURES    "nested=on,fs1gp=on,snoop-control=on,smpwc=on," \
                    "x-pasid-mode=on,pasid-bits=16,device-iotlb=off,svm=off"

/* State that is saved half-way; what has been said goes on there */
static void test_migration(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *file = nested_rig_scratch("state");
    unsigned head;
    uint32_t ticket;
    VtdRig src, dst;

    vtd_rig_start(&src, host, FEATURES, 0, "");
    enable(&src);
    /* No device, so no calls: many that are cheap */
    push_pairs(&src);
    ticket = vtd_queue_push_wait(&src.q);
    head = kick_stopped(&src);
    vtd_migration_save(&src, file);

    vtd_rig_start(&dst, host, FEATURES, 1, "-incoming defer");
    vtd_rig_take_over(&dst, &src);
    g_assert_null(vtd_migration_load(&dst, file));
    g_assert_cmpuint(vtd_rig_head(&dst), ==, head);
    g_usleep(20000);
    g_assert_cmpuint(vtd_rig_head(&dst), ==, head);
    g_assert_false(vtd_queue_done(&dst.q, ticket));
    cont(&dst);
    wait_done(&dst, ticket);

    /* And here as well, if it has not gone after all */
    cont(&src);
    wait_done(&src, ticket);
    vtd_rig_stop(&dst);
    vtd_rig_stop(&src);
    nested_rig_scratch_remove(file);
}

/* The host refuses something in a turn that is not the first */
static void test_refused(void)
{
    unsigned head;
    uint32_t ticket;
    VtdRig r;

    start(&r, "");
    push_pairs(&r);
    ticket = vtd_queue_push_wait(&r.q);
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":"
                     "\"HWPT_INVALIDATE:3000:errno=EIO\"}");
    vtd_queue_kick(&r.q, &r.regs);
    for (unsigned i = 0; !(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    head = vtd_rig_head(&r);
    g_assert_cmpuint(head % 2, ==, (r.q.tail / 32 - 1) % 2);
    g_assert_cmpuint(head, >=, 2 * 2999);
    g_assert_cmpuint(head, <=, 2 * 3000);
    g_usleep(20000);
    g_assert_cmpuint(vtd_rig_head(&r), ==, head);
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0, NULL);
    vtd_rig_take_fault(&r, NULL);

    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT | 1);
    for (unsigned i = 0; !vtd_queue_done(&r.q, ticket); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 1, 16);
    vtd_rig_stop(&r);
}

/* An error of the guest's own while the rest is put off: it stops there */
static void test_guest_error(void)
{
    uint32_t ticket;
    uint64_t calls;
    unsigned head;
    VtdRig r;

    start(&r, "");
    push_pairs(&r);
    ticket = vtd_queue_push_wait(&r.q);
    head = kick_stopped(&r);
    calls = inv_calls(&r);
    /* A reserved bit of the tail */
    r.regs.write64(r.regs.opaque, VTD_REG_IQT, 1 << 4);
    g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, !=, 0);
    cont(&r);
    g_usleep(20000);
    /* What has been asked for already reaches the host */
    g_assert_cmpuint(inv_calls(&r), <=, calls + 1);
    g_assert_cmpuint(vtd_rig_head(&r), ==, head);

    /* It takes it back */
    r.regs.write32(r.regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
    vtd_queue_kick(&r.q, &r.regs);
    wait_done(&r, ticket);
    g_assert_cmpuint(inv_calls(&r), >=, PAIRS);
    vtd_rig_stop(&r);
}

/* The queue that is put off is emptied and switched off, then on again */
static void test_switched_off(void)
{
    uint32_t gcmd;
    uint64_t calls;
    VtdRig r;

    start(&r, "");
    push_pairs(&r);
    /* It stands at a wait descriptor or before one */
    r.q.tail = kick_stopped(&r) * 32;
    vtd_queue_kick(&r.q, &r.regs);
    gcmd = r.regs.read32(r.regs.opaque, VTD_REG_GSTS) & 0x96ffffffu;
    r.regs.write32(r.regs.opaque, VTD_REG_GCMD, gcmd & ~VTD_GCMD_QIE);
    calls = inv_calls(&r);
    cont(&r);
    g_usleep(20000);
    g_assert_cmpuint(inv_calls(&r), <=, calls + 1);

    enable(&r);
    vtd_rig_first_stage(&r, RID0, DID, vtd_rig_s1(&r, IOVA, 0));
    iommufd_model_expect_data(r.m, HOST_DEV0, NULL, IOVA, 1, 16);
    vtd_rig_stop(&r);
}

/* The device goes in the middle of a look at its tables */
static void test_unplug(void)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    uint32_t ticket;
    VtdRig r;

    vtd_rig_start(&r, host, "nested=on,x-pasid-mode=on,pasid-bits=14", 0,
                  VTD_RIG_SLOTS);
    vtd_rig_number_slot(&r, 0, 1);
    enable(&r);
    vtd_rig_plug(&r, 0, "hot", HOST_DEV0);
    vtd_rig_enable_sva(&r, BEHIND(1));
    vtd_context_scalable(&r.t, BEHIND(1), 14, VTD_CTX_PASIDE, 0);
    for (unsigned i = 0; i <= PASIDS; i++) {
        vtd_pasid_set(&r.t, BEHIND(1), i, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_PASSTHROUGH, .did = DID,
        });
    }
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    ticket = vtd_queue_push_wait(&r.q);
    kick_stopped(&r);
    vtd_rig_unplug(&r, 0, "hot");
    cont(&r);
    wait_done(&r, ticket);
    vtd_rig_stop(&r);
}

/* ------------------------------------------------------------- shadows */

/* log2 of pages that are mapped, none beside its neighbour */
#define SHADOW_ORDER    12
#define SHADOW_PAGES    (1u << SHADOW_ORDER)

static uint64_t copies(VtdRig *r)
{
    return iommufd_model_counter(r->m, "IOAS_COPY", "calls");
}

static void start_legacy(VtdRig *r)
{
    vtd_rig_start_simple(r, 1);
    vtd_rig_enable_legacy(r);
    for (unsigned i = 0; i < 64; i++) {
        vtd_rig_fill(r, i, i);
    }
}

static void expect_scattered(VtdRig *r, unsigned page)
{
    iommufd_model_expect_data(r->m, HOST_DEV0, NULL, IOVA + page * 4096ULL,
                              (page ^ 1) % 64, 16);
}

/* One turn, with the wait not done; then all of it */
static void shadow_turns(VtdRig *r)
{
    uint64_t before = copies(r);
    uint32_t ticket = vtd_queue_push_wait(&r->q);

    stop(r);
    vtd_queue_kick(&r->q, &r->regs);
    g_assert_false(vtd_queue_done(&r->q, ticket));
    g_assert_cmpuint(copies(r) - before, >, 0);
    g_assert_cmpuint(copies(r) - before, <=, TURN / CALL);
    cont(r);
    wait_done(r, ticket);
    g_assert_cmpuint(copies(r) - before, ==, SHADOW_PAGES);
    g_assert_cmpuint(counter(r, "turns-put-off"), >=,
                     SHADOW_PAGES * CALL / TURN);
}

/* A range of thousands of mappings, and a table that has them from the start */
static void test_shadow(void)
{
    uint64_t ss, empty;
    VtdRig r;

    start_legacy(&r);
    empty = vtd_s2_new(&r.mem);
    vtd_context_legacy(&r.t, RID0, 0, empty, 4, DID);
    vtd_rig_inv_context(&r, RID0);
    ss = shadow_scattered(&r, IOVA, SHADOW_PAGES, DATA);
    iommu_mem_write64(&r.mem, empty, iommu_mem_read64(&r.mem, ss));
    vtd_queue_push(&r.q, vtd_inv_iotlb(VTD_INV_NARROW, DID, IOVA, SHADOW_ORDER,
                                       false));
    shadow_turns(&r);
    expect_scattered(&r, 0);
    expect_scattered(&r, SHADOW_PAGES - 1);
    vtd_rig_stop(&r);

    start_legacy(&r);
    ss = shadow_scattered(&r, IOVA, SHADOW_PAGES, DATA);
    vtd_context_legacy(&r.t, RID0, 0, ss, 4, DID);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_NARROW, 0, RID0));
    shadow_turns(&r);
    expect_scattered(&r, 0);
    expect_scattered(&r, SHADOW_PAGES - 1);
    vtd_rig_stop(&r);
}

/*
 * Tables that are all the same, and lead nowhere: reading them takes turns.
 * Whatever comes between two of them ends it.
 */
static void test_shadow_sparse(gconstpointer arg)
{
    const char *what = arg;
    uint64_t level[4], reads;
    unsigned head;
    VtdRig r;

    start_legacy(&r);
    for (unsigned i = 0; i < 4; i++) {
        level[i] = vtd_s2_new(&r.mem);
        for (unsigned j = 0; i && j < 512; j++) {
            iommu_mem_write64(&r.mem, level[i] + j * 8,
                              level[i - 1] | VTD_S2_RW);
        }
    }
    reads = counter(&r, "entries-read");
    vtd_context_legacy(&r.t, RID0, 0, level[3], 4, DID);
    vtd_queue_push(&r.q, vtd_inv_context(VTD_INV_NARROW, 0, RID0));
    vtd_queue_push_wait(&r.q);
    stop(&r);
    vtd_queue_kick(&r.q, &r.regs);
    g_assert_cmpuint(counter(&r, "entries-read") - reads, <=, TURN + 16);
    head = vtd_rig_head(&r);
    cont(&r);
    /* 2^27 tables: nobody waits for that; the monitor is answered */
    for (unsigned i = 0; i < 50; i++) {
        g_assert_cmpuint(vtd_rig_head(&r), ==, head);
    }
    iommufd_model_expect_fault(r.m, HOST_DEV0, NULL, IOVA, false, 0,
                               "blocked");
    if (!strcmp(what, "reset")) {
        qtest_system_reset(r.qts);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0, 16);
    } else if (!strcmp(what, "off")) {
        vtd_rig_translation(&r, false);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0, 16);
        /* On again: it will not be, and the guest sees it */
        r.regs.write32(r.regs.opaque, VTD_REG_GCMD, VTD_GCMD_TE |
                       VTD_GCMD_QIE);
        g_usleep(20000);
        g_assert_cmphex(r.regs.read32(r.regs.opaque, VTD_REG_GSTS) &
                        VTD_GCMD_TE, ==, 0);
        iommufd_model_expect_data(r.m, HOST_DEV0, NULL, DATA, 0, 16);
    }
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    VtdDesc global = vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0);
    VtdDesc domain = vtd_inv_pasid_cache(VTD_PC_DOMAIN, DID, 0);
    VtdDesc context = vtd_inv_context(VTD_INV_NARROW, 0, RID0);

    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/bound/progress", test_progress);
    qtest_add_func("/vtd-nested/bound/at-once", test_at_once);
    qtest_add_func("/vtd-nested/bound/one-command", test_one_command);
    qtest_add_data_func("/vtd-nested/bound/one-look/global", &global,
                        test_one_look);
    qtest_add_data_func("/vtd-nested/bound/one-look/domain", &domain,
                        test_one_look);
    qtest_add_data_func("/vtd-nested/bound/one-look/context", &context,
                        test_one_look);
    qtest_add_func("/vtd-nested/bound/look-before-iotlb",
                   test_look_before_iotlb);
    qtest_add_func("/vtd-nested/bound/reset", test_reset);
    qtest_add_func("/vtd-nested/bound/reset-in-look", test_reset_in_look);
    qtest_add_func("/vtd-nested/bound/stop", test_stop);
    qtest_add_func("/vtd-nested/bound/migration", test_migration);
    qtest_add_func("/vtd-nested/bound/refused", test_refused);
    qtest_add_func("/vtd-nested/bound/guest-error", test_guest_error);
    qtest_add_func("/vtd-nested/bound/switched-off", test_switched_off);
    qtest_add_func("/vtd-nested/bound/unplug", test_unplug);
    qtest_add_func("/vtd-nested/bound/shadow", test_shadow);
    qtest_add_data_func("/vtd-nested/bound/shadow-sparse/reset", "reset",
                        test_shadow_sparse);
    qtest_add_data_func("/vtd-nested/bound/shadow-sparse/off", "off",
                        test_shadow_sparse);
    qtest_add_data_func("/vtd-nested/bound/shadow-sparse/quit", "quit",
                        test_shadow_sparse);
    return g_test_run();
}
