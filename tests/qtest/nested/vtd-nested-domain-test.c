/*
 * VT-d nesting: what a domain-selective PASID-cache invalidation looks at
 *
 * Measured in table entries that are read: those of the domain, whatever else
 * the tables of however many devices have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-rig.h"

#define IOVA        0x4000000000ULL
#define DID         5           /* of few */
#define DID_MANY    6
#define PASID       100         /* first of @DID */
#define MANY        200         /* first of @DID_MANY, of each device */
#define TURN        4096        /* see vtd-nested-bound-test.c */

static uint64_t counter(VtdRig *r, const char *name)
{
    return nested_rig_counter(r->qts, "counters", name);
}

static void set_pasid(VtdRig *r, uint16_t rid, uint32_t pasid, uint16_t did,
                      uint64_t s1)
{
    vtd_pasid_set(&r->t, rid, pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

static void expect(VtdRig *r, const char *dev, uint32_t pasid, int value)
{
    const IommufdDma how = { .with_pasid = true, .pasid = pasid };

    g_assert_cmpint(vtd_rig_peek(r, dev, &how, IOVA), ==, value);
}

static void invalidate(VtdRig *r, VtdDesc desc)
{
    vtd_queue_push(&r->q, desc);
    vtd_rig_sync(r);
}

static VtdDesc of_domain(uint16_t did)
{
    return vtd_inv_pasid_cache(VTD_PC_DOMAIN, did, 0);
}

/* @num PASIDs of each device are in DID_MANY, the RIDs in DID */
static void start(VtdRig *r, unsigned devices, unsigned num)
{
    uint64_t s1;

    vtd_rig_start_simple(r, devices);
    vtd_rig_enable(r);
    vtd_rig_fill(r, 1, 0x11);
    vtd_rig_fill(r, 2, 0x22);
    s1 = vtd_rig_s1(r, IOVA, 1);
    for (unsigned i = 0; i < devices; i++) {
        uint16_t rid = RID0 + i * 8;

        vtd_rig_enable_sva(r, rid);
        vtd_context_scalable(&r->t, rid, 12, VTD_CTX_PASIDE, 0);
        set_pasid(r, rid, 0, DID, s1);
        for (unsigned j = 0; j < num; j++) {
            set_pasid(r, rid, MANY + j, DID_MANY, s1);
        }
    }
    invalidate(r, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
}

static void test_cost(void)
{
    uint64_t s1, reads, calls;
    VtdRig r;

    start(&r, 2, 300);
    s1 = vtd_rig_s1(&r, IOVA, 2);
    set_pasid(&r, RID0, PASID, DID, s1);
    invalidate(&r, vtd_inv_pasid_cache(VTD_PC_PASID, DID, PASID));
    reads = counter(&r, "entries-read");
    calls = iommufd_model_calls(r.m);
    invalidate(&r, of_domain(DID));
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==, 3);
    /* Said often, looked at once; of two, each */
    for (unsigned i = 0; i < 16; i++) {
        vtd_queue_push(&r.q, of_domain(DID));
        vtd_queue_push(&r.q, of_domain(DID_MANY));
    }
    vtd_rig_sync(&r);
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==, 3 + 603);
    g_assert_cmpuint(iommufd_model_calls(r.m), ==, calls);

    /* One is of another domain then, one changes, one goes */
    set_pasid(&r, RID0, PASID, DID_MANY, s1);
    set_pasid(&r, RID0, 0, DID, s1);
    vtd_pasid_clear(&r.t, RID0 + 8, 0);
    reads = counter(&r, "entries-read");
    invalidate(&r, of_domain(DID));
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==, 3);
    expect(&r, HOST_DEV0, PASID, 0x22);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV1, NULL, IOVA), ==, -1);

    /* The index follows: one is left, and the other is where it was told */
    reads = counter(&r, "entries-read");
    invalidate(&r, of_domain(DID));
    g_assert_cmpuint(counter(&r, "entries-read") - reads, ==, 1);
    vtd_pasid_clear(&r.t, RID0, PASID);
    invalidate(&r, of_domain(DID_MANY));
    expect(&r, HOST_DEV0, PASID, -1);
    vtd_rig_stop(&r);
}

/*
 * An entry that was not present is cached with domain-id 0; Linux tells by its
 * PASID. What nothing is known of is looked for.
 */
static void test_new(void)
{
    uint64_t s1;
    VtdRig r;

    start(&r, 2, 1);
    s1 = vtd_rig_s1(&r, IOVA, 2);
    set_pasid(&r, RID0, PASID, DID, s1);
    invalidate(&r, of_domain(0));
    expect(&r, HOST_DEV0, PASID, 0x22);
    set_pasid(&r, RID0 + 8, PASID, DID + 10, s1);
    invalidate(&r, of_domain(DID + 10));
    expect(&r, HOST_DEV1, PASID, 0x22);
    set_pasid(&r, RID0 + 8, PASID + 1, DID, s1);
    invalidate(&r, vtd_inv_pasid_cache(VTD_PC_PASID, DID, PASID + 1));
    expect(&r, HOST_DEV1, PASID + 1, 0x22);
    vtd_rig_stop(&r);
}

/* A bad entry is of the domain that it names, too */
static void test_bad(void)
{
    VtdRig r;

    start(&r, 1, 1);
    vtd_pasid_set(&r.t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_NESTED, .did = DID, .s1_levels = 4,
    });
    invalidate(&r, of_domain(DID));
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, -1);
    set_pasid(&r, RID0, 0, DID, vtd_rig_s1(&r, IOVA, 2));
    invalidate(&r, of_domain(DID));
    g_assert_cmpint(vtd_rig_peek(&r, HOST_DEV0, NULL, IOVA), ==, 0x22);
    vtd_rig_stop(&r);
}

/* --------------------------------------------------------- in the meantime */

/* More than a turn of passthrough entries of each of two devices */
#define LARGE (TURN / 4)

static void start_large(VtdRig *r)
{
    g_autofree char *host = vtd_rig_host(2, "", "");

    vtd_rig_start(r, host, "nested=on,x-pasid-mode=on,pasid-bits=14", 0,
                  VTD_RIG_SLOTS);
    vtd_rig_enable(r);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t rid = BEHIND(1 + i);
        const char *dev = i ? HOST_DEV1 : HOST_DEV0;

        vtd_rig_number_slot(r, i, 1 + i);
        vtd_rig_plug(r, i, i ? "hot1" : "hot0", dev);
        vtd_rig_enable_sva(r, rid);
        vtd_context_scalable(&r->t, rid, 14, VTD_CTX_PASIDE, 0);
        for (unsigned j = 0; j < LARGE; j++) {
            vtd_pasid_set(&r->t, rid, j, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_PASSTHROUGH, .did = DID,
            });
        }
    }
    invalidate(r, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
}

/* The first turn of a look at the domain; its entries have all gone */
static void half_way(VtdRig *r, uint32_t *ticket)
{
    uint64_t reads = counter(r, "entries-read");

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < LARGE; j++) {
            vtd_pasid_clear(&r->t, BEHIND(1 + i), j);
        }
    }
    vtd_queue_push(&r->q, of_domain(DID));
    *ticket = vtd_queue_push_wait(&r->q);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
    vtd_queue_kick(&r->q, &r->regs);
    reads = counter(r, "entries-read") - reads;
    g_assert_cmpuint(reads, >, 0);
    g_assert_cmpuint(reads, <, LARGE);
    g_assert_false(vtd_queue_done(&r->q, *ticket));
}

static void go_on(VtdRig *r, uint32_t ticket)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; !vtd_queue_done(&r->q, ticket); i++) {
        g_assert_cmpuint(i, <, 60000);
        g_usleep(1000);
    }
    g_assert_cmphex(vtd_rig_fsts(r), ==, 0);
}

static void test_unplug(gconstpointer opaque)
{
    bool first = *(const char *)opaque == '0';
    uint32_t ticket;
    VtdRig r;

    start_large(&r);
    half_way(&r, &ticket);
    vtd_rig_unplug(&r, !first, first ? "hot0" : "hot1");
    go_on(&r, ticket);
    expect(&r, first ? HOST_DEV1 : HOST_DEV0, 1, -1);
    expect(&r, first ? HOST_DEV1 : HOST_DEV0, LARGE - 1, -1);
    vtd_rig_stop(&r);
}

static void test_reset(void)
{
    uint32_t ticket;
    uint64_t reads;
    VtdRig r;

    start_large(&r);
    half_way(&r, &ticket);
    qtest_system_reset(r.qts);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    reads = counter(&r, "entries-read");
    g_usleep(20000);
    g_assert_cmpuint(counter(&r, "entries-read"), ==, reads);
    g_assert_cmpuint(vtd_rig_head(&r), ==, 0);
    vtd_rig_stop(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/domain/cost", test_cost);
    qtest_add_func("/vtd-nested/domain/new", test_new);
    qtest_add_func("/vtd-nested/domain/bad", test_bad);
    qtest_add_data_func("/vtd-nested/domain/unplug/first", "0", test_unplug);
    qtest_add_data_func("/vtd-nested/domain/unplug/other", "1", test_unplug);
    qtest_add_func("/vtd-nested/domain/reset", test_reset);
    return g_test_run();
}
