/*
 * SMMUv3 nesting: a guest's whole life, and every host call of it fails once
 *
 * Two host devices are plugged, get STEs and CDs, are invalidated, bypass,
 * are blocked, reset and renumbered, and are unplugged. What has to hold when
 * one call on the host fails is in nested-sweep.h. The guest is told by a
 * queue that stops, or by an event.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"
#include "nested-sweep.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define ASID_SSID   6
#define ASID_OTHER  7
#define SSID        3
#define BATCH       5
#define SLOT        0x10

#define EVT_C_BAD_STE   0x04
#define EVT_TRANSLATION 0x10
#define OVERFLOW_FLAG   (1u << 31)

#define PORTS \
    "-device pcie-root-port,id=rp0,chassis=1,bus=pcie.0,addr=0x10 " \
    "-device pcie-root-port,id=rp1,chassis=2,bus=pcie.0,addr=0x11 "

static const char *const devs[SWEEP_DEVS] = { HOST_DEV0, HOST_DEV1 };

/* Where each device is looked at */
enum {
    AT_PLAIN,
    AT_PHYS,                    /* a guest-physical address */
    AT_SSID,
    NUM_AT = AT_SSID + BATCH,
};

/* A data page's number is what it is filled with */
enum {
    PAGE_PLAIN = 1, PAGE_PLAIN2, PAGE_PLAIN3,
    PAGE_SSID = 0x10,
    PAGE_SSID2 = PAGE_SSID + BATCH,
    PAGE_SSID3 = PAGE_SSID2 + BATCH,
    PAGE_END = PAGE_SSID3 + BATCH,
};

typedef struct Sweep {
    NestedSweep s;
    SmmuRig r;
    IommuMem fresh;             /* no table in it yet */
    uint32_t sid[SWEEP_DEVS];
    SmmuS1 plain, ssid;
    SmmuCdTable cds;            /* of both devices */
    bool lost;                  /* events, until the next reset */
    unsigned batch_call;        /* HWPT_INVALIDATE of this number has BATCH */
} Sweep;

static IommufdDmaOp look(unsigned dev, unsigned at)
{
    IommufdDmaOp op = { .bdf = devs[dev], .addr = IOVA };

    if (at == AT_PHYS) {
        op.addr = DATA + PAGE_PLAIN * 4096;
    } else if (at >= AT_SSID) {
        op.how = (IommufdDma) { .with_pasid = true, .pasid = SSID };
        op.addr += (at - AT_SSID) * 4096;
    }
    return op;
}

static void want(Sweep *w, unsigned dev, unsigned at, int value)
{
    nested_sweep_want(&w->s, dev, at, value);
}

static void want_ssid(Sweep *w, int page)
{
    for (unsigned i = 0; i < SWEEP_DEVS * BATCH; i++) {
        want(w, i / BATCH, AT_SSID + i % BATCH,
             page < 0 ? page : page + i % BATCH);
    }
}

static void want_plain(Sweep *w, int page)
{
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        want(w, i, AT_PLAIN, page);
    }
}

static void want_nothing(Sweep *w, int phys)
{
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        nested_sweep_want_nothing(&w->s, i);
        want(w, i, AT_PHYS, phys);
    }
}

/* ------------------------------------------- errors, and the guest's answer */

/* The guest knows that there were more events */
static bool overflow(SmmuRig *r)
{
    return (smmu_rig_read(r, SMMU_REG_EVENTQ_PROD) ^
            smmu_rig_read(r, SMMU_REG_EVENTQ_CONS)) & OVERFLOW_FLAG;
}

/* What devices cause by being looked at is no news */
static bool bad_ste_recorded(Sweep *w)
{
    bool found = false;
    unsigned type;

    w->lost |= overflow(&w->r);

    while ((type = smmu_rig_event(&w->r, NULL))) {
        found |= type == EVT_C_BAD_STE;
    }
    return found;
}

/* What a guest does: acknowledge the error, and say everything again */
static void recover(Sweep *w)
{
    SmmuRig *r = &w->r;
    bool done = false;

    for (unsigned tries = 0; tries < 3 && !done; tries++) {
        smmu_rig_ack(r);
        smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
        smmu_queue_push(&r->cmdq, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
        done = !smmu_cmdq_sync(&r->cmdq, &r->regs);
    }
    g_assert_true(done);
    g_assert_true(nested_sweep_check(&w->s));
    bad_ste_recorded(w);
}

/* The guest synchronises, and has what it wants, or knows that it has not */
static void settle(Sweep *w)
{
    int cerror = smmu_cmdq_sync(&w->r.cmdq, &w->r.regs);
    bool all, told;

    /* A command that is refused as malformed changes nothing */
    w->s.old_stays = cerror && nested_sweep_is(&w->s, "HWPT_INVALIDATE") &&
                     !strcmp(w->s.err, "EIO");
    all = nested_sweep_check(&w->s);
    told = bad_ste_recorded(w);
    w->s.old_stays = false;
    if (!cerror && all) {
        return;
    }
    g_assert_true(nested_sweep_injected(&w->s));
    if (cerror) {
        g_assert_cmpint(cerror, ==, CERROR_ILL);
    } else if (nested_sweep_is(&w->s, "ATTACH_IOMMUFD_PT") &&
               !strcmp(w->s.err, "EBUSY")) {
        nested_sweep_wait_not_busy(&w->s);
        return;
    } else {
        g_assert_true(told);
    }
    recover(w);
}

/* --------------------------------------------------------- steps of a life */

static void plug(Sweep *w, unsigned i)
{
    g_autofree char *id = g_strdup_printf("hot%u", i);

    nested_sweep_plug(&w->s, i, id, devs[i]);
    smmu_rig_power(&w->r, SLOT + i);
    want(w, i, AT_PHYS, PAGE_PLAIN);
    g_assert_true(nested_sweep_check(&w->s));
}

static void unplug(Sweep *w, unsigned i)
{
    g_autofree char *id = g_strdup_printf("hot%u", i);

    smmu_rig_unplug(&w->r, SLOT + i, id);
    nested_sweep_want_nothing(&w->s, i);
    g_assert_true(nested_sweep_check(&w->s));
}

static void number(Sweep *w, unsigned i, unsigned bus)
{
    smmu_rig_number(&w->r, SLOT + i, bus);
    w->sid[i] = bus << 8;
}

/* New tables, without STEs; translation on */
static void enable(Sweep *w)
{
    w->r.mem = w->fresh;
    smmu_rig_enable(&w->r, 8);
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste_all());
    smmu_queue_push(&w->r.cmdq, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    want_nothing(w, -1);
    settle(w);
}

static void map_ssid(Sweep *w, unsigned page)
{
    for (unsigned i = 0; i < BATCH; i++) {
        smmu_s1_map(&w->ssid, IOVA + i * 4096, DATA + (page + i) * 4096, 4096,
                    12, SMMU_PTE_USER_RW);
    }
}

static void map_plain(Sweep *w, unsigned page)
{
    smmu_s1_map(&w->plain, IOVA, DATA + page * 4096, 4096, 12,
                SMMU_PTE_USER_RW);
}

static void set_stes(Sweep *w, const SmmuSte *ste)
{
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        smmu_ste_set(&w->r.t, w->sid[i], ste);
    }
}

static void new_cds(Sweep *w, unsigned page, uint16_t asid)
{
    smmu_cdtab_init(&w->cds, &w->r.mem, SMMU_S1FMT_LINEAR, 4);
    w->plain = smmu_rig_s1(&w->r, IOVA, page);
    smmu_cd_set(&w->cds, 0, &w->plain, asid);
    set_stes(w, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &w->cds, .s1dss = SMMU_S1DSS_SSID0,
    });
}

/* The same STE for both; then a CD for a substream of both */
static void bind_all(Sweep *w)
{
    SmmuRig *r = &w->r;

    new_cds(w, PAGE_PLAIN, ASID);
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    want_plain(w, PAGE_PLAIN);
    settle(w);

    smmu_s1_init(&w->ssid, &r->mem, 12, 48);
    map_ssid(w, PAGE_SSID);
    smmu_cd_set(&w->cds, SSID, &w->ssid, ASID_SSID);
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        smmu_queue_push(&r->cmdq, smmu_cfgi_cd(w->sid[i], SSID, true));
    }
    want_ssid(w, PAGE_SSID);
    settle(w);
}

/* All pages of the substream in one batch, then both by ASID, then one goes */
static void invalidate(Sweep *w)
{
    SmmuRig *r = &w->r;

    map_ssid(w, PAGE_SSID2);
    for (unsigned i = 0; i < BATCH; i++) {
        smmu_queue_push(&r->cmdq, smmu_tlbi_va(ASID_SSID, IOVA + i * 4096,
                                               true));
    }
    want_ssid(w, PAGE_SSID2);
    w->batch_call = iommufd_model_counter(r->m, "HWPT_INVALIDATE", "calls");
    settle(w);

    map_ssid(w, PAGE_SSID3);
    map_plain(w, PAGE_PLAIN2);
    smmu_queue_push(&r->cmdq, smmu_tlbi_asid(ASID_SSID));
    smmu_queue_push(&r->cmdq, smmu_tlbi_asid(ASID));
    want_ssid(w, PAGE_SSID3);
    want_plain(w, PAGE_PLAIN2);
    settle(w);

    smmu_cd_clear(&w->cds, SSID);
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        smmu_queue_push(&r->cmdq, smmu_cfgi_cd(w->sid[i], SSID, true));
    }
    smmu_queue_push(&r->cmdq, smmu_tlbi_asid(ASID_SSID));
    want_ssid(w, -1);
    settle(w);
}

/* Another CD table for both, and another ASID */
static void replace(Sweep *w)
{
    new_cds(w, PAGE_PLAIN3, ASID_OTHER);
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste_all());
    want_plain(w, PAGE_PLAIN3);
    settle(w);
}

/* A fault comes as an event, or the guest knows that something is lost */
static void ask_event(Sweep *w)
{
    IommufdDmaOp op = { .bdf = HOST_DEV0, .addr = IOVA + 0x100000 };
    bool found = false;

    iommufd_model_dma_batch(w->r.m, &op, 1);
    g_assert_true(op.fault);
    for (unsigned i = 0; !w->lost && !found; i++) {
        uint64_t dw[4];

        w->lost |= overflow(&w->r);
        if (smmu_rig_event(&w->r, dw)) {
            found = dw[2] == op.addr;
        } else {
            g_usleep(1000);
        }
        g_assert_cmpuint(i, <, 10000);
    }
    if (w->lost) {
        g_assert_true(nested_sweep_injected(&w->s));
        g_assert_true(nested_sweep_is(&w->s, "queue-read"));
    }
}

static void off_and_on(Sweep *w)
{
    SmmuRig *r = &w->r;
    int on[SWEEP_DEVS][SWEEP_AT];

    memcpy(on, w->s.want, sizeof(on));
    smmu_rig_write(r, SMMU_REG_CR0, 1 << 3 | 1 << 2);
    want_nothing(w, PAGE_PLAIN);
    settle(w);
    smmu_rig_write(r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
    want_nothing(w, -1);
    settle(w);
    smmu_rig_write(r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE);
    want_nothing(w, PAGE_PLAIN);
    settle(w);
    smmu_rig_write(r, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
    memcpy(w->s.want, on, sizeof(on));
    settle(w);
}

/* One bypasses, the other one is blocked; then both as before */
static void configure(Sweep *w)
{
    int was[SWEEP_DEVS][SWEEP_AT];

    memcpy(was, w->s.want, sizeof(was));
    smmu_ste_set(&w->r.t, w->sid[0], &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    smmu_ste_set(&w->r.t, w->sid[1], &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste_all());
    want_nothing(w, -1);
    want(w, 0, AT_PHYS, PAGE_PLAIN);
    settle(w);
    set_stes(w, &(SmmuSte) {
        .cfg = SMMU_STE_S1, .cds = &w->cds, .s1dss = SMMU_S1DSS_SSID0,
    });
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste_all());
    memcpy(w->s.want, was, sizeof(was));
    settle(w);
}

/* The buses change places, and what STEs say stays */
static void renumber(Sweep *w)
{
    uint32_t old = w->sid[0];

    number(w, 0, w->sid[1] >> 8);
    number(w, 1, old >> 8);
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste(w->sid[0], true));
    smmu_queue_push(&w->r.cmdq, smmu_cfgi_ste(w->sid[1], true));
    settle(w);
}

static void restart(Sweep *w)
{
    qtest_system_reset(w->r.qts);
    w->lost = false;
    number(w, 0, 1);
    number(w, 1, 2);
}

/* With everything bound. Nobody is there to be told */
static void reset(Sweep *w)
{
    restart(w);
    want_nothing(w, PAGE_PLAIN);
    nested_sweep_check(&w->s);
}

static void live(void *opaque, bool brief)
{
    Sweep *w = opaque;

    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        plug(w, i);
    }
    if (!brief) {
        enable(w);
        bind_all(w);
        ask_event(w);
        invalidate(w);
        replace(w);
        off_and_on(w);
        configure(w);
        renumber(w);
        reset(w);
        enable(w);
        bind_all(w);
        ask_event(w);
    }
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        unplug(w, i);
    }
    if (!brief) {
        restart(w);
    }
}

/* ------------------------------------------------------------------- sweep */

static void start(Sweep *w)
{
    g_autofree char *host = smmu_rig_host(SWEEP_DEVS, "", "");
    SmmuRig *r = &w->r;

    *w = (Sweep) { };
    smmu_rig_start(r, host, "nested=on,ssidsize=8", 0, PORTS);
    w->s = (NestedSweep) {
        .m = r->m, .qts = r->qts, .num_at = NUM_AT, .look = look,
        .live = live, .opaque = w,
    };
    w->fresh = r->mem;
    for (unsigned i = PAGE_PLAIN; i < PAGE_END; i++) {
        smmu_rig_fill(r, i, i);
    }
    restart(w);
}

static const SweepKind kinds[] = {
    { "bind", "BIND_IOMMUFD", { "ENODEV", "EINVAL" }, true },
    { "hw-info", "GET_HW_INFO", { "EOPNOTSUPP", "ENODEV" }, true },
    { "ioas-alloc", "IOAS_ALLOC", { "ENOMEM" }, true },
    { "ioas-map", "IOAS_MAP", { "ENOMEM", "EEXIST" }, true },
    { "ioas-unmap", "IOAS_UNMAP", { "ENOENT" }, true },
    { "viommu-alloc", "VIOMMU_ALLOC", { "ENOMEM", "EOPNOTSUPP", "EINVAL" } },
    { "veventq-alloc", "VEVENTQ_ALLOC", { "ENOMEM", "EMFILE", "EEXIST" } },
    { "vdevice-alloc", "VDEVICE_ALLOC", { "ENOMEM", "EEXIST", "EBUSY" } },
    { "hwpt-alloc", "HWPT_ALLOC", { "ENOMEM", "EINVAL", "EIO" } },
    { "attach", "ATTACH_IOMMUFD_PT", { "EBUSY", "EINVAL", "ENOMEM" } },
    { "attach-late", "ATTACH_IOMMUFD_PT", { "ENOMEM:late", "EINVAL:late" } },
    { "detach", "DETACH_IOMMUFD_PT", { "EINVAL" } },
    { "destroy", "DESTROY", { "EBUSY" } },
    { "invalidate", "HWPT_INVALIDATE",
      { "EIO", "EINTR", "ENOMEM", "ETIMEDOUT" } },
    { "queue-read", "queue-read", { "EIO", "EFAULT", "EINTR", "EAGAIN" },
      .most = 8 },
    { "reset", "RESET", { "EBUSY", "EAGAIN", "ETIMEDOUT" } },
};

static void test_sweep(gconstpointer opaque)
{
    Sweep w;

    start(&w);
    nested_sweep_all(&w.s, opaque);
    smmu_rig_stop(&w.r);
}

/* A batch that ends at each of its entries */
static void test_partial(gconstpointer opaque)
{
    const char *err = opaque;
    unsigned nth;
    Sweep w;

    start(&w);
    nth = iommufd_model_counter(w.r.m, "HWPT_INVALIDATE", "calls");
    nested_sweep_none(&w.s, false);
    nth = w.batch_call - nth + 1;
    for (unsigned i = 0; i < BATCH; i++) {
        g_autofree char *order = g_strdup_printf(
            "HWPT_INVALIDATE:%u:errno=%s:partial=%u", nth, err, i);

        nested_sweep_one(&w.s, "HWPT_INVALIDATE", err, false, order);
    }
    smmu_rig_stop(&w.r);
}

int main(int argc, char **argv)
{
    static const char *const errs[] = { "EIO", "EINTR", "EAGAIN", "EFAULT" };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/smmu-nested/sweep/%s",
                                                kinds[i].name);

        qtest_add_data_func(path, &kinds[i], test_sweep);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(errs); i++) {
        g_autofree char *path = g_strdup_printf(
            "/smmu-nested/sweep/partial/%s", errs[i]);

        qtest_add_data_func(path, errs[i], test_partial);
    }
    return g_test_run();
}
