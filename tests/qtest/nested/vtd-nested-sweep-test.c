/*
 * VT-d nesting: a guest's whole life, and every host call of it fails once
 *
 * Two host devices are plugged, bound with and without PASIDs, ask for pages,
 * are invalidated, reset, unbound and unplugged. What has to hold when one
 * call on the host fails is in nested-sweep.h. The guest is told by a queue
 * that stops, or by a recorded fault.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/pci_regs.h"
#include "../libqos/vtd-second-stage.h"
#include "nested-sweep.h"
#include "vtd-pri-rig.h"

#define IOVA        0x4000000000ULL
#define IOVA_ASK    (IOVA + 0x100000)
#define DID_RID     4
#define DID_SECOND  6
#define DID         PRI_DID
#define PASID       PRI_PASID   /* of both devices, with the same table */
#define PASID_OWN   9           /* of the first device alone */
#define BATCH       5
#define DEVS        SWEEP_DEVS
#define FSTS_CLEAR  (VTD_FSTS_IQE_BIT | 1)      /* IQE and PFO */

static const char *const devs[DEVS] = { HOST_DEV0, HOST_DEV1 };

/* Where each device is looked at */
enum {
    AT_RID,
    AT_PHYS,                    /* a guest-physical address */
    AT_PASID,
    AT_OWN = AT_PASID + BATCH,
    NUM_AT,
};

/* A data page's number is what it is filled with */
enum {
    PAGE_RID = 1, PAGE_RID2, PAGE_OWN, PAGE_ASKED,
    PAGE_PASID = 0x10,
    PAGE_PASID2 = PAGE_PASID + BATCH,
    PAGE_PASID3 = PAGE_PASID2 + BATCH,
    PAGE_END = PAGE_PASID3 + BATCH,
};

typedef struct Sweep {
    NestedSweep s;
    PriRig p;
    IommuMem fresh;             /* no table in it yet */
    uint64_t s1_rid, s1_pasid, s2;
    unsigned batch_call;        /* HWPT_INVALIDATE of this number has BATCH */
    int unanswered;             /* group whose response was lost, or -1 */
} Sweep;

static bool is_call(const Sweep *s, const char *call)
{
    return nested_sweep_is(&s->s, call);
}

static bool injected(Sweep *s)
{
    return nested_sweep_injected(&s->s);
}

/* ------------------------------------------------------ what devices read */

static IommufdDmaOp look(unsigned dev, unsigned at)
{
    IommufdDmaOp op = { .bdf = devs[dev], .addr = IOVA };

    if (at == AT_PHYS) {
        op.addr = DATA + PAGE_RID * 4096;
    } else if (at == AT_OWN) {
        op.how = (IommufdDma) { .with_pasid = true, .pasid = PASID_OWN };
    } else if (at >= AT_PASID) {
        op.how = (IommufdDma) { .with_pasid = true, .pasid = PASID };
        op.addr += (at - AT_PASID) * 4096;
    }
    return op;
}

static bool check(Sweep *s)
{
    return nested_sweep_check(&s->s);
}

static void want(Sweep *s, unsigned dev, unsigned at, int value)
{
    nested_sweep_want(&s->s, dev, at, value);
}

static void want_pasid(Sweep *s, unsigned dev, int page)
{
    for (unsigned i = 0; i < BATCH; i++) {
        want(s, dev, AT_PASID + i, page < 0 ? page : page + i);
    }
}

static void want_nothing(Sweep *s, unsigned dev)
{
    nested_sweep_want_nothing(&s->s, dev);
}

/* ------------------------------------------- errors, and the guest's answer */

static bool fault_recorded(Sweep *s)
{
    VtdRig *r = &s->p.v;

    return r->regs.read64(r->regs.opaque, VTD_REG_FRCD + 8) >> 63;
}

/* What a guest does: clear the error, and say everything again */
static void recover(Sweep *s)
{
    VtdRig *r = &s->p.v;
    bool done = false;

    for (unsigned tries = 0; tries < 3 && !done; tries++) {
        r->regs.write32(r->regs.opaque, VTD_REG_FSTS, FSTS_CLEAR);
        vtd_rig_take_fault(r, NULL);
        vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        vtd_queue_push(&r->q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
        done = vtd_queue_sync(&r->q, &r->regs);
    }
    g_assert_true(done);
    g_assert_true(check(s));
    g_assert_false(fault_recorded(s));
}

/* The guest synchronises, and has what it wants, or knows that it has not */
static void settle(Sweep *s)
{
    VtdRig *r = &s->p.v;
    bool done = vtd_queue_sync(&r->q, &r->regs);
    bool all = check(s);

    if (done && all) {
        return;
    }
    g_assert_true(injected(s));
    if (!done) {
        g_assert_cmphex(vtd_rig_fsts(r) & VTD_FSTS_IQE_BIT, !=, 0);
    } else if (is_call(s, "ATTACH_IOMMUFD_PT") &&
               !strcmp(s->s.err, "EBUSY")) {
        nested_sweep_wait_not_busy(&s->s);
        return;
    } else {
        g_assert_true(fault_recorded(s));
    }
    recover(s);
}

/* --------------------------------------------------------- steps of a life */

static void plug(Sweep *s, unsigned i)
{
    g_autofree char *id = g_strdup_printf("hot%u", i);

    nested_sweep_plug(&s->s, i, id, devs[i]);
    vtd_rig_power_slot(&s->p.v, i);
    if (!vtd_rig_ext_cap(&s->p.v, BEHIND(i + 1), PCI_EXT_CAP_ID_PASID) ||
        !vtd_rig_ext_cap(&s->p.v, BEHIND(i + 1), PCI_EXT_CAP_ID_PRI)) {
        /* What the host refused when it was tried: another time it does not */
        g_assert_true(injected(s) && is_call(s, "HWPT_ALLOC"));
        vtd_rig_unplug(&s->p.v, i, id);
        nested_sweep_plug(&s->s, i, id, devs[i]);
        vtd_rig_power_slot(&s->p.v, i);
    }
    want(s, i, AT_PHYS, PAGE_RID);
    g_assert_true(check(s));
}

static void unplug(Sweep *s, unsigned i)
{
    g_autofree char *id = g_strdup_printf("hot%u", i);

    vtd_rig_unplug(&s->p.v, i, id);
    want_nothing(s, i);
    g_assert_true(check(s));
}

/* New tables without entries; translation on */
static void enable(Sweep *s)
{
    PriRig *p = &s->p;
    VtdRig *r = &p->v;

    r->mem = s->fresh;
    p->head = 0;
    p->queue = iommu_mem_alloc(&r->mem, p->entries * 32, 4096);
    r->regs.write64(r->regs.opaque, REG_PQH, 0);
    r->regs.write64(r->regs.opaque, REG_PQT, 0);
    r->regs.write64(r->regs.opaque, REG_PQA, p->queue);
    vtd_rig_enable(r);
    for (unsigned i = 0; i < DEVS; i++) {
        vtd_rig_enable_sva(r, BEHIND(i + 1));
        want_nothing(s, i);
    }
    settle(s);
}

static void set_entry(Sweep *s, unsigned dev, uint32_t pasid, uint16_t did,
                      uint64_t s1)
{
    vtd_pasid_set(&s->p.v.t, BEHIND(dev + 1), pasid, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_FIRST, .did = did, .s1 = s1, .s1_levels = 4,
    });
}

/* The same first-stage table for what both devices do without PASIDs */
static void bind_rids(Sweep *s)
{
    VtdRig *r = &s->p.v;

    s->s1_rid = vtd_rig_s1(r, IOVA, PAGE_RID);
    for (unsigned i = 0; i < DEVS; i++) {
        vtd_context_scalable(&r->t, BEHIND(i + 1), 12, VTD_CTX_PASIDE |
                             VTD_CTX_DTE | VTD_CTX_PRE, 0);
        set_entry(s, i, 0, DID_RID, s->s1_rid);
        want(s, i, AT_RID, PAGE_RID);
    }
    vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
    settle(s);
}

static void map_pasid(Sweep *s, unsigned page)
{
    for (unsigned i = 0; i < BATCH; i++) {
        vtd_s1_map(&s->p.v.mem, s->s1_pasid, 4, IOVA + i * 4096,
                   DATA + (page + i) * 4096, 4096, 12, VTD_S1_USER_RW);
    }
}

static void bind_pasids(Sweep *s)
{
    VtdRig *r = &s->p.v;

    s->s1_pasid = vtd_s1_new(&r->mem);
    map_pasid(s, PAGE_PASID);
    for (unsigned i = 0; i < DEVS; i++) {
        set_entry(s, i, PASID, DID, s->s1_pasid);
        want_pasid(s, i, PAGE_PASID);
    }
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, PASID));
    settle(s);

    set_entry(s, 0, PASID_OWN, DID, vtd_rig_s1(r, IOVA, PAGE_OWN));
    want(s, 0, AT_OWN, PAGE_OWN);
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, PASID_OWN));
    settle(s);
}

/* Returns whether the page request has come to the guest */
static bool arrives(Sweep *s)
{
    for (unsigned i = 0; i < 10000; i++) {
        if (pri_tail(&s->p) != s->p.head) {
            return true;
        }
        if (fault_recorded(s)) {
            return false;
        }
        g_usleep(1000);
    }
    g_assert_not_reached();
}

/* A page request that the guest has; its group is *@index */
static PageRequest ask(Sweep *s, int *index)
{
    PageRequest req;

    *index = pri_miss(&s->p, true, IOVA_ASK);
    g_assert_cmpint(*index, >=, 0);
    if (!arrives(s)) {
        g_assert_true(injected(s));
        g_assert_cmpint(pri_outcome(&s->p, *index), ==, -1);
        check(s);
        recover(s);
        *index = pri_miss(&s->p, true, IOVA_ASK);
        g_assert_true(arrives(s));
    }
    req = pri_next(&s->p);
    pri_consume(&s->p);
    g_assert_cmphex(req.rid, ==, BEHIND(1));
    g_assert_cmphex(req.addr, ==, IOVA_ASK);
    return req;
}

static void ask_and_answer(Sweep *s)
{
    PageRequest req;
    int index;

    req = ask(s, &index);
    vtd_s1_map(&s->p.v.mem, s->s1_pasid, 4, IOVA_ASK, DATA + PAGE_ASKED * 4096,
               4096, 12, VTD_S1_USER_RW);
    vtd_queue_push(&s->p.v.q, vtd_page_response(req.rid, true, PASID,
                                                req.index, VTD_PRG_SUCCESS));
    settle(s);
    s->unanswered = -1;
    switch (pri_outcome_now(&s->p, index)) {
    case PAGE_ASKED:
        break;
    case -1:
        /* The queue could not be read, so that all its users were blocked */
        g_assert_true(injected(s) && is_call(s, "queue-read"));
        break;
    default:
        /* The response was lost: it ends when the translation does */
        g_assert_true(injected(s) && is_call(s, "queue-write"));
        s->unanswered = index;
        break;
    }
    vtd_s1_unmap(&s->p.v.mem, s->s1_pasid, 4, IOVA_ASK, 4096);
    vtd_queue_push(&s->p.v.q, vtd_inv_piotlb(DID, PASID, IOVA_ASK, 0, true));
    settle(s);
}

/* Nothing of the translation is left, so nothing waits for an answer */
static void expect_answered(Sweep *s, int index)
{
    g_assert_cmpint(pri_outcome(&s->p, index), ==, -1);
    if (s->unanswered >= 0) {
        g_assert_cmpint(pri_outcome(&s->p, s->unanswered), ==, -1);
        s->unanswered = -1;
    }
}

/* All pages of the PASIDs in one batch, then those of two tables at once */
static void invalidate(Sweep *s)
{
    VtdRig *r = &s->p.v;

    map_pasid(s, PAGE_PASID2);
    for (unsigned i = 0; i < BATCH; i++) {
        vtd_queue_push(&r->q, vtd_inv_piotlb(DID, PASID, IOVA + i * 4096, 0,
                                             true));
    }
    want_pasid(s, 0, PAGE_PASID2);
    want_pasid(s, 1, PAGE_PASID2);
    s->batch_call = iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
    settle(s);

    map_pasid(s, PAGE_PASID3);
    want_pasid(s, 0, PAGE_PASID3);
    want_pasid(s, 1, PAGE_PASID3);
    vtd_queue_push(&r->q, vtd_inv_iotlb(VTD_INV_DOMAIN, DID, 0, 0, false));
    settle(s);

    vtd_s1_unmap(&r->mem, s->s1_rid, 4, IOVA, 4096);
    want(s, 0, AT_RID, -1);
    want(s, 1, AT_RID, -1);
    vtd_queue_push(&r->q, vtd_inv_piotlb(DID_RID, 0, IOVA, 0, false));
    settle(s);
}

/* Other tables for both RIDs and both PASIDs */
static void replace(Sweep *s)
{
    VtdRig *r = &s->p.v;

    s->s1_rid = vtd_rig_s1(r, IOVA, PAGE_RID2);
    s->s1_pasid = vtd_s1_new(&r->mem);
    map_pasid(s, PAGE_PASID);
    for (unsigned i = 0; i < DEVS; i++) {
        set_entry(s, i, 0, DID_RID, s->s1_rid);
        set_entry(s, i, PASID, DID, s->s1_pasid);
        want(s, i, AT_RID, PAGE_RID2);
        want_pasid(s, i, PAGE_PASID);
    }
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_DOMAIN, DID_RID, 0));
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_DOMAIN, DID, 0));
    settle(s);
}

/* The first device's enables go, then the guest sets them again */
static void flr(Sweep *s)
{
    VtdRig *r = &s->p.v;
    int index;

    ask(s, &index);
    vtd_rig_config_write(r, BEHIND(1), vtd_rig_pcie_cap(r, BEHIND(1)) +
                         PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    want_pasid(s, 0, -1);
    want(s, 0, AT_OWN, -1);
    settle(s);
    expect_answered(s, index);

    vtd_rig_enable_sva(r, BEHIND(1));
    want_pasid(s, 0, PAGE_PASID);
    want(s, 0, AT_OWN, PAGE_OWN);
    settle(s);
}

static void unbind(Sweep *s)
{
    VtdRig *r = &s->p.v;
    int index;

    ask(s, &index);
    vtd_pasid_clear(&r->t, BEHIND(1), PASID);
    want_pasid(s, 0, -1);
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, PASID));
    settle(s);
    expect_answered(s, index);

    vtd_pasid_clear(&r->t, BEHIND(1), PASID_OWN);
    vtd_pasid_clear(&r->t, BEHIND(2), PASID);
    want(s, 0, AT_OWN, -1);
    want_pasid(s, 1, -1);
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    settle(s);
}

static void pass_through(Sweep *s)
{
    vtd_pasid_set(&s->p.v.t, BEHIND(2), 0, &(VtdPasidEntry) {
        .pgtt = VTD_PGTT_PASSTHROUGH, .did = DID_RID,
    });
    want(s, 1, AT_RID, -1);
    want(s, 1, AT_PHYS, PAGE_RID);
    vtd_queue_push(&s->p.v.q, vtd_inv_pasid_cache(VTD_PC_PASID, DID_RID, 0));
    settle(s);
}

static void map_second(Sweep *s, unsigned page, uint64_t flags)
{
    vtd_s2_map(&s->p.v.mem, s->s2, 4, IOVA, DATA + page * 4096, 4096, 12,
               flags);
    vtd_queue_push(&s->p.v.q, vtd_inv_iotlb(VTD_INV_NARROW, DID_SECOND, IOVA,
                                            0, false));
    for (unsigned i = 0; i < DEVS; i++) {
        want(s, i, AT_RID, flags ? (int)page : -1);
    }
    settle(s);
}

/* A second-stage table for both: mapped, changed, unmapped, mapped again */
static void second_stage(Sweep *s)
{
    VtdRig *r = &s->p.v;

    s->s2 = vtd_s2_new(&r->mem);
    for (unsigned i = 0; i < DEVS; i++) {
        vtd_pasid_set(&r->t, BEHIND(i + 1), 0, &(VtdPasidEntry) {
            .pgtt = VTD_PGTT_SECOND, .did = DID_SECOND, .s2 = s->s2,
            .s2_levels = 4,
        });
        want(s, i, AT_RID, -1);
        want(s, i, AT_PHYS, -1);
    }
    vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_GLOBAL, 0, 0));
    settle(s);
    map_second(s, PAGE_RID, VTD_S2_RW);
    map_second(s, PAGE_RID2, VTD_S2_RW);
    map_second(s, 0, 0);
    map_second(s, PAGE_RID, VTD_S2_R);
}

static void off_and_on(Sweep *s)
{
    int on[SWEEP_DEVS][SWEEP_AT];

    memcpy(on, s->s.want, sizeof(on));
    vtd_rig_translation(&s->p.v, false);
    for (unsigned i = 0; i < DEVS; i++) {
        want_nothing(s, i);
        want(s, i, AT_PHYS, PAGE_RID);
    }
    settle(s);
    vtd_rig_translation(&s->p.v, true);
    memcpy(s->s.want, on, sizeof(on));
    settle(s);
}

/* The machine, and what firmware does then */
static void restart(VtdRig *r)
{
    qtest_system_reset(r->qts);
    vtd_rig_open_config(r);
    vtd_rig_number_slot(r, 0, 1);
    vtd_rig_number_slot(r, 1, 2);
}

/* With everything bound. Nobody is there to be told */
static void reset(Sweep *s)
{
    restart(&s->p.v);
    for (unsigned i = 0; i < DEVS; i++) {
        want_nothing(s, i);
        want(s, i, AT_PHYS, PAGE_RID);
    }
    check(s);
}

static void run(Sweep *s)
{
    enable(s);
    bind_rids(s);
    bind_pasids(s);
    ask_and_answer(s);
    invalidate(s);
    replace(s);
    flr(s);
    unbind(s);
    pass_through(s);
    second_stage(s);
    bind_pasids(s);
    off_and_on(s);
    reset(s);
    enable(s);
    bind_rids(s);
    bind_pasids(s);
}

static void live(void *opaque, bool brief)
{
    Sweep *s = opaque;

    for (unsigned i = 0; i < DEVS; i++) {
        plug(s, i);
    }
    if (!brief) {
        run(s);
    }
    for (unsigned i = 0; i < DEVS; i++) {
        unplug(s, i);
    }
    g_assert_cmpint(s->unanswered, ==, -1);
    if (!brief) {
        restart(&s->p.v);
    }
}

/* ------------------------------------------------------------------- sweep */

static void start(Sweep *s)
{
    g_autofree char *host = vtd_rig_host(DEVS, "", "");
    VtdRig *r = &s->p.v;

    *s = (Sweep) {
        .p.dev = HOST_DEV0, .p.rid = BEHIND(1), .p.entries = 128,
        .unanswered = -1,
    };
    vtd_rig_start(r, host, "nested=on,svm=on,x-pasid-mode=on,pasid-bits=12,"
                  "device-iotlb=on", 0, VTD_RIG_SLOTS);
    s->s = (NestedSweep) {
        .m = r->m, .qts = r->qts, .num_at = NUM_AT, .look = look,
        .live = live, .opaque = s,
    };
    s->fresh = r->mem;
    for (unsigned i = PAGE_RID; i < PAGE_END; i++) {
        vtd_rig_fill(r, i, i);
    }
    restart(r);
}

static void stop(Sweep *s)
{
    vtd_rig_stop(&s->p.v);
}

static const SweepKind kinds[] = {
    { "bind", "BIND_IOMMUFD", { "ENODEV", "EINVAL" }, true },
    { "hw-info", "GET_HW_INFO", { "EOPNOTSUPP", "ENODEV" }, true },
    { "ioas-alloc", "IOAS_ALLOC", { "ENOMEM" } },
    { "ioas-copy", "IOAS_COPY", { "ENOMEM", "EINVAL", "EEXIST" } },
    { "ioas-map", "IOAS_MAP", { "ENOMEM", "EEXIST" }, true },
    { "ioas-unmap", "IOAS_UNMAP", { "ENOENT" }, true },
    { "hwpt-alloc", "HWPT_ALLOC", { "ENOMEM", "EINVAL", "EOPNOTSUPP" } },
    /* ENODEV and EINVAL mean something else: vtd-nested-probe-test */
    { "attach", "ATTACH_IOMMUFD_PT", { "EBUSY", "ENOSPC", "ENOMEM" } },
    { "attach-late", "ATTACH_IOMMUFD_PT", { "ENOMEM:late", "ENOSPC:late" } },
    { "detach", "DETACH_IOMMUFD_PT", { "EINVAL" } },
    { "destroy", "DESTROY", { "EBUSY" } },
    { "fault-queue", "FAULT_QUEUE_ALLOC", { "ENOMEM", "EMFILE" } },
    { "invalidate", "HWPT_INVALIDATE",
      { "EIO", "EINTR", "ENOMEM", "ETIMEDOUT" } },
    { "queue-read", "queue-read", { "EIO", "EFAULT", "EINTR", "EAGAIN" } },
    { "queue-write", "queue-write", { "EINVAL", "EFAULT", "EINTR" } },
    { "reset", "RESET", { "EBUSY", "EAGAIN", "ETIMEDOUT" } },
};

static void test_sweep(gconstpointer opaque)
{
    Sweep s;

    start(&s);
    nested_sweep_all(&s.s, opaque);
    stop(&s);
}

/* A batch that ends at each of its entries */
static void test_partial(gconstpointer opaque)
{
    const char *err = opaque;
    unsigned nth;
    Sweep s;

    start(&s);
    nth = iommufd_model_counter(s.p.v.m, "HWPT_INVALIDATE", "calls");
    nested_sweep_none(&s.s, false);
    nth = s.batch_call - nth + 1;
    for (unsigned i = 0; i < BATCH; i++) {
        g_autofree char *order = g_strdup_printf(
            "HWPT_INVALIDATE:%u:errno=%s:partial=%u", nth, err, i);

        nested_sweep_one(&s.s, "HWPT_INVALIDATE", err, false, order);
    }
    stop(&s);
}

int main(int argc, char **argv)
{
    static const char *const errs[] = { "EIO", "EINTR", "EAGAIN", "EFAULT" };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/sweep/%s",
                                                kinds[i].name);

        qtest_add_data_func(path, &kinds[i], test_sweep);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(errs); i++) {
        g_autofree char *path = g_strdup_printf("/vtd-nested/sweep/partial/%s",
                                                errs[i]);

        qtest_add_data_func(path, errs[i], test_partial);
    }
    return g_test_run();
}
