/*
 * VT-d nesting: page requests of a device, and the guest's answers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "qobject/qdict.h"
#include "vtd-rig.h"

#define IOVA    0x4000000000ULL
#define DID     5
#define PASID   7

#define REG_PQH     0xc0
#define REG_PQT     0xc8
#define REG_PQA     0xd0
#define REG_PRS     0xdc
#define PRS_PPR     1
#define PRS_PRO     2
#define PRQ_ENTRIES 128

typedef struct PriRig {
    VtdRig v;
    uint64_t queue;
    uint64_t head;
    uint64_t s1;
} PriRig;

/* A page request descriptor (7.4.1.1) */
typedef struct PageRequest {
    uint16_t rid;
    bool has_pasid, read, write, last;
    uint32_t pasid;
    unsigned index;
    uint64_t addr;
} PageRequest;

static void context(PriRig *p, uint64_t flags)
{
    VtdRig *r = &p->v;

    vtd_context_scalable(&r->t, RID0, 12, VTD_CTX_PASIDE | flags, 0);
    vtd_pasid_set(&r->t, RID0, 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = p->s1, .s1_levels = 4,
    });
    vtd_pasid_set(&r->t, RID0, PASID, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = p->s1, .s1_levels = 4,
    });
    vtd_rig_inv_context(r, RID0);
}

static void start_with(PriRig *p, const char *props, const char *device)
{
    g_autofree char *host = vtd_rig_host(1, "", device);
    VtdRig *r = &p->v;

    vtd_rig_start(r, host, props, 1, "");
    vtd_rig_enable(r);
    vtd_rig_enable_sva(r, RID0);
    p->queue = iommu_mem_alloc(&r->mem, PRQ_ENTRIES * 32, 4096);
    p->head = 0;
    p->s1 = vtd_s1_new(&r->mem);
    r->regs.write64(r->regs.opaque, REG_PQH, 0);
    r->regs.write64(r->regs.opaque, REG_PQT, 0);
    r->regs.write64(r->regs.opaque, REG_PQA, p->queue);
}

static void start(PriRig *p)
{
    start_with(p, "nested=on", "");
    context(p, VTD_CTX_DTE | VTD_CTX_PRE);
}

/* A read that misses; its page request has group @index, or -1: refused */
static int miss(PriRig *p, bool with_pasid, uint64_t addr)
{
    QDict *answer = iommufd_model_command(p->v.m, "{\"cmd\":\"dma\",\"dev\":"
        "\"" HOST_DEV0 "\",\"op\":\"read\",\"addr\":%" PRIu64 ",\"len\":16,"
        "\"ats\":true,\"pri\":true%s}", addr,
        with_pasid ? ",\"pasid\":7" : "");
    int index = qdict_get_try_bool(answer, "pending", false) ?
                qdict_get_int(answer, "grpid") : -1;

    g_assert_true(qdict_get_try_bool(answer, "ok", false));
    qobject_unref(answer);
    return index;
}

/* How that ended: the first byte read, or -1 */
static int outcome(PriRig *p, int index)
{
    QDict *answer = iommufd_model_command(p->v.m, "{\"cmd\":\"dma-wait\","
        "\"dev\":\"" HOST_DEV0 "\",\"grpid\":%d,\"timeout-ms\":20000}", index);
    const char *data = qdict_get_try_str(answer, "data");
    int value = data ? g_ascii_xdigit_value(data[0]) << 4 |
                       g_ascii_xdigit_value(data[1]) : -1;

    g_assert_true(qdict_get_try_bool(answer, "ok", false));
    qobject_unref(answer);
    return value;
}

static uint64_t prq_tail(PriRig *p)
{
    return p->v.regs.read64(p->v.regs.opaque, REG_PQT);
}

static uint32_t prq_status(PriRig *p)
{
    return p->v.regs.read32(p->v.regs.opaque, REG_PRS);
}


/* The next descriptor, once it is there */
static PageRequest next(PriRig *p)
{
    uint64_t at = p->queue + p->head, lo, hi;

    p->head = (p->head + 32) % (PRQ_ENTRIES * 32);
    for (unsigned i = 0; prq_tail(p) == at - p->queue; i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(1000);
    }
    lo = iommu_mem_read64(&p->v.mem, at);
    hi = iommu_mem_read64(&p->v.mem, at + 8);
    g_assert_cmphex(lo & 0xff, ==, 1);
    g_assert_cmphex(iommu_mem_read64(&p->v.mem, at + 16), ==, 0);
    return (PageRequest) {
        .rid = lo >> 16, .has_pasid = lo & 1 << 8,
        .pasid = (lo >> 32) & 0xfffff,
        .read = hi & 1, .write = hi & 2, .last = hi & 4,
        .index = (hi >> 3) & 0x1ff, .addr = hi & ~0xfffULL,
    };
}

static void consume(PriRig *p)
{
    p->v.regs.write64(p->v.regs.opaque, REG_PQH, p->head);
    p->v.regs.write32(p->v.regs.opaque, REG_PRS, PRS_PPR);
}

static void respond(PriRig *p, const PageRequest *req, unsigned code)
{
    vtd_queue_push(&p->v.q, vtd_page_response(req->rid, req->has_pasid,
                                              req->pasid, req->index, code));
    vtd_rig_sync(&p->v);
}

static void map_page(PriRig *p, uint64_t iova, uint8_t value)
{
    vtd_rig_fill(&p->v, 3, value);
    vtd_s1_map(&p->v.mem, p->s1, 4, iova, DATA + 3 * 4096, 4096, 12,
               VTD_S1_USER_RW);
}

static void stop(PriRig *p)
{
    vtd_rig_stop(&p->v);
}

/* Asked, mapped, answered, done */
static void test_success(gconstpointer opaque)
{
    bool with_pasid = opaque != NULL;
    PageRequest req;
    PriRig p;
    int index;

    start(&p);
    index = miss(&p, with_pasid, IOVA);
    g_assert_cmpint(index, >=, 0);
    req = next(&p);
    g_assert_cmphex(req.rid, ==, RID0);
    g_assert_cmpint(req.has_pasid, ==, with_pasid);
    g_assert_cmphex(req.pasid, ==, with_pasid ? PASID : 0);
    g_assert_cmpuint(req.index, ==, index);
    g_assert_cmphex(req.addr, ==, IOVA);
    g_assert_true(req.read);
    g_assert_true(req.last);
    g_assert_cmphex(prq_status(&p), ==, PRS_PPR);
    consume(&p);
    g_assert_cmphex(prq_status(&p), ==, 0);
    map_page(&p, IOVA, 0x44);
    respond(&p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(outcome(&p, index), ==, 0x44);
    stop(&p);
}

static void test_invalid(gconstpointer opaque)
{
    PageRequest req;
    PriRig p;
    int index;

    start(&p);
    index = miss(&p, true, IOVA);
    req = next(&p);
    respond(&p, &req, GPOINTER_TO_UINT(opaque));
    g_assert_cmpint(outcome(&p, index), ==, -1);
    stop(&p);
}

/* A group of several pages is one thing, and its end is marked */
static void test_group(void)
{
    PageRequest req;
    PriRig p;

    start(&p);
    iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":7,\"addrs\":[%llu,%llu,%llu],\"perm\":"
                     "\"rw\",\"grpid\":17}", IOVA, IOVA + 0x1000,
                     IOVA + 0x5000);
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned offset[] = { 0, 0x1000, 0x5000 };

        req = next(&p);
        g_assert_cmphex(req.addr, ==, IOVA + offset[i]);
        g_assert_cmpuint(req.index, ==, 17);
        g_assert_true(req.write);
        g_assert_cmpint(req.last, ==, i == 2);
    }
    respond(&p, &req, VTD_PRG_SUCCESS);
    stop(&p);
}

/* Answers to nothing are nothing, and the right one still counts */
static void test_strange_responses(void)
{
    PageRequest req, other;
    PriRig p;
    int index;

    start(&p);
    index = miss(&p, true, IOVA);
    req = next(&p);
    other = req;
    other.index ^= 1;
    respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.pasid++;
    respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.has_pasid = false;
    respond(&p, &other, VTD_PRG_SUCCESS);
    other = req;
    other.rid = 0x1234;
    respond(&p, &other, VTD_PRG_SUCCESS);
    map_page(&p, IOVA, 0x45);
    respond(&p, &req, VTD_PRG_SUCCESS);
    respond(&p, &req, VTD_PRG_INVALID);
    g_assert_cmpint(outcome(&p, index), ==, 0x45);
    g_assert_cmphex(vtd_rig_fsts(&p.v), ==, 0);
    stop(&p);
}

/* A queue without room: overflow, and the device is told to try again */
static void test_overflow(void)
{
    PageRequest req;
    PriRig p;
    int index;

    start(&p);
    /* Head just in front of the tail: full */
    p.v.regs.write64(p.v.regs.opaque, REG_PQH, 32);
    iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\"" HOST_DEV0
                     "\",\"pasid\":7,\"addrs\":[%llu],\"grpid\":3}", IOVA);
    for (unsigned i = 0; !(prq_status(&p) & PRS_PRO); i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(1000);
    }
    g_assert_cmphex(prq_tail(&p), ==, 0);

    /* Software makes room, and clears the overflow */
    p.v.regs.write64(p.v.regs.opaque, REG_PQH, 0);
    p.v.regs.write32(p.v.regs.opaque, REG_PRS, PRS_PRO);
    index = miss(&p, true, IOVA);
    req = next(&p);
    map_page(&p, IOVA, 0x46);
    respond(&p, &req, VTD_PRG_SUCCESS);
    g_assert_cmpint(outcome(&p, index), ==, 0x46);
    stop(&p);
}

/* The queue wraps */
static void test_wrap(void)
{
    PageRequest req;
    PriRig p;

    start(&p);
    for (unsigned i = 0; i < PRQ_ENTRIES + 10; i++) {
        iommufd_model_do(p.v.m, "{\"cmd\":\"page-request\",\"dev\":\""
                         HOST_DEV0 "\",\"pasid\":7,\"addrs\":[%llu],"
                         "\"grpid\":%u}", IOVA + i * 4096ULL, i);
        req = next(&p);
        g_assert_cmphex(req.addr, ==, IOVA + i * 4096ULL);
        g_assert_cmpuint(req.index, ==, i);
        consume(&p);
        respond(&p, &req, VTD_PRG_SUCCESS);
    }
    stop(&p);
}

/* A miss comes to nothing, and the guest hears nothing of it */
static void expect_silence(PriRig *p)
{
    uint64_t tail = prq_tail(p);
    int index = miss(p, true, IOVA);

    if (index >= 0) {
        g_assert_cmpint(outcome(p, index), ==, -1);
    }
    g_assert_cmphex(prq_tail(p), ==, tail);
}

/* The guest says no to page requests, each in its place */
static void test_not_enabled(void)
{
    unsigned pri;
    PriRig p;

    start(&p);
    context(&p, VTD_CTX_DTE);
    expect_silence(&p);
    context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmpint(miss(&p, true, IOVA), >=, 0);
    next(&p);
    pri = vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI);
    vtd_rig_config_write(&p.v, RID0, pri + PCI_PRI_CTRL, 0);
    expect_silence(&p);
    stop(&p);
}

/* Whatever takes the translation away answers what waits for it */
static void test_taken_away(gconstpointer opaque)
{
    unsigned how = GPOINTER_TO_UINT(opaque);
    PriRig p;
    int index;

    start(&p);
    index = miss(&p, true, IOVA);
    next(&p);
    switch (how) {
    case 0:
        vtd_pasid_clear(&p.v.t, RID0, PASID);
        vtd_rig_inv_pasid(&p.v, DID, PASID);
        break;
    case 1:
        vtd_context_clear(&p.v.t, RID0);
        vtd_rig_inv_context(&p.v, RID0);
        break;
    case 2:
        vtd_rig_translation(&p.v, false);
        break;
    case 3:
        qtest_system_reset(p.v.qts);
        break;
    }
    g_assert_cmpint(outcome(&p, index), ==, -1);
    stop(&p);
}

/* svm=off: no capability bits, no queue, control bits that stay clear */
static void test_off(void)
{
    unsigned pri;
    PriRig p;

    start_with(&p, "nested=on,svm=off", "");
    context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    g_assert_cmphex(p.v.regs.read64(p.v.regs.opaque, VTD_REG_ECAP) &
                    VTD_ECAP_PRS_BIT, ==, 0);
    g_assert_cmpuint(iommufd_model_live(p.v.m, "fault"), ==, 0);
    pri = vtd_rig_ext_cap(&p.v, RID0, PCI_EXT_CAP_ID_PRI);
    g_assert_cmphex(vtd_rig_config_read(&p.v, RID0, pri + 4) & 0xffff, ==, 0);
    stop(&p);
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {
        "pasid", "context", "translation", "reset",
    };

    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/vtd-nested/pri/success/rid", NULL, test_success);
    qtest_add_data_func("/vtd-nested/pri/success/pasid", "", test_success);
    qtest_add_data_func("/vtd-nested/pri/invalid",
                        GUINT_TO_POINTER(VTD_PRG_INVALID), test_invalid);
    qtest_add_data_func("/vtd-nested/pri/failure",
                        GUINT_TO_POINTER(VTD_PRG_FAILURE), test_invalid);
    qtest_add_func("/vtd-nested/pri/group", test_group);
    qtest_add_func("/vtd-nested/pri/strange-responses",
                   test_strange_responses);
    qtest_add_func("/vtd-nested/pri/overflow", test_overflow);
    qtest_add_func("/vtd-nested/pri/wrap", test_wrap);
    qtest_add_func("/vtd-nested/pri/not-enabled", test_not_enabled);
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/pri/taken-away/%s",
                                                ways[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_taken_away);
    }
    qtest_add_func("/vtd-nested/pri/off", test_off);
    return g_test_run();
}
