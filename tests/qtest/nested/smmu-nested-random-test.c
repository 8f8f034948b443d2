/*
 * SMMUv3 nesting: a guest that does anything, against an oracle
 *
 * Devices behind two SMMUs of the host that share CD tables, STEs and address
 * spaces, tables that change in every way, and invalidations in every form,
 * in an order a seed decides. The guest keeps to the specification: sooner or
 * later it invalidates what it must. From then on DMA has to go where the
 * guest's tables say, and before that where they say or said.
 *
 * SMMU_RANDOM_SEED    seed; 0: one of the moment. Printed in any case.
 * SMMU_RANDOM_STEPS   how many
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-nested-random.h"

#define SEED            1
#define STEPS           20000

#define RAM_SIZE        (128 * MiB)
/* The rig's own are small: what follows them is for tables that change */
#define TABLES          (RAM + 32 * MiB)
#define TABLES_SIZE     (48 * MiB)

/* More at once than that is not left without invalidation */
#define EDITS_MAX       40
#define CHANGES_MAX     20
/* Commands before one CMD_SYNC; the queue has room for 2047 */
#define QUEUE_MAX       1000

#define EVENT_BITS      8
#define EVT_C_BAD_STE   0x04
/* Events that have an address, and those of page tables */
#define EVT_WALK        0x10
#define EVT_PERMISSION  0x13

/* Faults that an event may still come of */
#define BLAMES          4096

#define FIRST_SLOT      0x10
#define BUSES           8

#define PORTS \
    "-device pcie-root-port,id=rp0,chassis=1,bus=pcie.0,addr=0x10 " \
    "-device pcie-root-port,id=rp1,chassis=2,bus=pcie.0,addr=0x11 " \
    "-device pcie-root-port,id=rp2,chassis=3,bus=pcie.0,addr=0x12 " \
    "-device pcie-root-port,id=rp3,chassis=4,bus=pcie.0,addr=0x13 "

/* The third one is behind another SMMU of the host */
#define HOST \
    "[host]\narch=smmuv3\nrefetch=on\n[iommu 0]\n[iommu 1]\n" \
    "[device " HOST_DEV0 "]\niommu=0\ngroup=1\n" \
    "[device " HOST_DEV1 "]\niommu=0\ngroup=2\n" \
    "[device " HOST_DEV2 "]\niommu=1\ngroup=3\n" \
    "[device " HOST_DEV3 "]\niommu=0\ngroup=4\n"

static const char *const hosts[ORACLE_DEVICES] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};
static const char *const ids[ORACLE_DEVICES] = {
    "dev0", "dev1", "dev2", "dev3",
};

/* ------------------------------------------------------------------ events */

/* A fault that somebody has had, lately */
typedef struct Blame {
    uint32_t sid, old_sid, ssid;
    uint64_t addr;
} Blame;

static Blame blames[BLAMES];
static unsigned next_blame;

/* The host learns of new StreamIDs with the STEs that they lead to */
static void blame(Random *t, const IommufdDmaOp *op, unsigned dev)
{
    if (smmu_oracle_settled(&t->o)) {
        t->old_sid[dev] = t->o.dev[dev].sid;
    }
    blames[next_blame++ % BLAMES] = (Blame) {
        .sid = t->o.dev[dev].sid,
        .old_sid = t->old_sid[dev],
        .ssid = op->how.with_pasid ? op->how.pasid : SMMU_NO_SSID,
        .addr = op->addr,
    };
}

/* Whose fault an event tells of: with an address it is just this access */
static bool blamed(const uint64_t *dw)
{
    uint32_t sid = dw[0] >> 32;
    uint32_t ssid = dw[0] >> 11 & 1 ? dw[0] >> 12 & 0xfffff : SMMU_NO_SSID;
    bool address = (dw[0] & 0xff) >= EVT_WALK;

    for (unsigned i = 0; i < MIN(next_blame, BLAMES); i++) {
        const Blame *b = &blames[i];

        if ((b->sid == sid || b->old_sid == sid) && b->ssid == ssid &&
            (b->addr == dw[2] || !address)) {
            return true;
        }
    }
    return false;
}

static void check_event(Random *t, const uint64_t *dw)
{
    t->events++;
    if ((dw[0] & 0xff) != EVT_C_BAD_STE && !blamed(dw)) {
        fprintf(stderr, "nothing has happened that gives the event 0x%016"
                PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 "\n", dw[0], dw[1],
                dw[2]);
        abort();
    }
}

void random_take_events(Random *t)
{
    uint64_t dw[4];

    while (smmu_rig_event(&t->r, dw)) {
        check_event(t, dw);
    }
}

/* --------------------------------------------------------------------- DMA */

typedef struct Access {
    unsigned dev, key, probe, offset;
} Access;

static IommufdDmaOp operation(Random *t, const Access *a)
{
    return (IommufdDmaOp) {
        .bdf = hosts[a->dev],
        .how.with_pasid = a->key != ORACLE_PLAIN,
        .how.pasid = smmu_oracle_ssids[a->key],
        .how.ats = t->o.dev[a->dev].plugged &&
                   random_chance(t, smmu_oracle_entry(&t->o, a->dev,
                                                      a->key).ats ? 40 : 5),
        .addr = smmu_oracle_probe(a->probe) + a->offset,
    };
}

/*
 * All at once. A write comes last: what a read before it has to bring is
 * looked up after all are done.
 */
static void dma(Random *t, const Access *list, unsigned num)
{
    IommufdDmaOp op[IOMMUFD_MODEL_BATCH];
    const Access *last = &list[num - 1];

    for (unsigned i = 0; i < num; i++) {
        op[i] = operation(t, &list[i]);
    }
    if (random_chance(t, 50) &&
        smmu_oracle_certain(&t->o, last->dev, last->key, op[num - 1].how.ats,
                            last->probe)) {
        op[num - 1].write = true;
        op[num - 1].data = ++t->n.next_value;
    }
    iommufd_model_dma_batch(t->r.m, op, num);
    for (unsigned i = 0; i < num; i++) {
        const Access *a = &list[i];
        uint64_t to[ORACLE_PROBES];
        unsigned where = 1;

        if (op[i].fault) {
            blame(t, &op[i], a->dev);
        }
        if (op[i].write) {
            to[0] = smmu_oracle_write(&t->o, a->dev, a->key, a->probe);
        } else {
            where = smmu_oracle_read(&t->o, a->dev, a->key, op[i].how.ats,
                                     a->probe, to, ARRAY_SIZE(to));
        }
        nested_random_check(&t->n, &op[i], to, where, a->offset);
    }
}

/* Someone who uses tables, or anyone */
static Access access_of(Random *t, uint64_t s1, unsigned probe)
{
    unsigned user = random_upto(t, ORACLE_DEVICES * ORACLE_KEYS);

    if (s1) {
        smmu_oracle_user(&t->o, s1, &user);
    }
    return (Access) {
        .dev = user / ORACLE_KEYS,
        .key = user % ORACLE_KEYS,
        .probe = probe,
        .offset = random_upto(t, WORDS) * sizeof(uint64_t),
    };
}

/* Where it matters, mostly */
static void some_dma(Random *t)
{
    Access list[8];

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        unsigned j = random_upto(t, RECENT);

        list[i] = random_chance(t, 70) ?
            access_of(t, t->space[t->recent[j].space].root,
                      t->recent[j].probe) :
            access_of(t, 0, random_upto(t, ORACLE_PROBES));
    }
    dma(t, list, ARRAY_SIZE(list));
    random_take_events(t);
}

/* What is to change: have it cached */
void random_use_before(Random *t, unsigned space, unsigned probe)
{
    Access list[3];

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        list[i] = access_of(t, t->space[space].root, probe ^ (i == 2 ? 1 : 0));
    }
    dma(t, list, ARRAY_SIZE(list));
    t->recent[t->next_recent].space = space;
    t->recent[t->next_recent].probe = probe;
    t->next_recent = (t->next_recent + 1) % RECENT;
}

/* A fault in tables that are certain: the guest has to be told just that */
static void expect_event(Random *t)
{
    unsigned space = random_upto(t, SPACES);
    Access a = access_of(t, t->space[space].root,
                         random_upto(t, ORACLE_PROBES));
    IommufdDmaOp op = operation(t, &a);
    uint64_t dw[4] = { };

    if (!smmu_oracle_event_due(&t->o, a.dev, a.key, a.probe)) {
        return;
    }
    op.how.ats = false;
    op.write = true;
    op.data = ++t->n.next_value;
    iommufd_model_dma_batch(t->r.m, &op, 1);
    g_assert_true(op.fault);
    blame(t, &op, a.dev);
    for (unsigned i = 0; dw[2] != op.addr; i++) {
        if (smmu_rig_event(&t->r, dw)) {
            check_event(t, dw);
        } else {
            g_assert_cmpuint(i, <, 5000);
            g_usleep(1000);
        }
    }
    g_assert_cmphex(dw[0] & 0xff, >=, EVT_WALK);
    g_assert_cmphex(dw[0] & 0xff, <=, EVT_PERMISSION);
    g_assert_cmphex(dw[0] >> 32, ==, t->o.dev[a.dev].sid);
    g_assert_cmphex(dw[0] >> 11 & 1, ==, op.how.with_pasid);
    /* RnW */
    g_assert_cmphex(dw[1] >> 35 & 1, ==, 0);
}

/* ---------------------------------------------------------------- machine */

static void set_enabled(Random *t, bool on)
{
    smmu_rig_write(&t->r, SMMU_REG_CR0, 1 << 3 | 1 << 2 | on);
    t->o.enabled = on;
    nested_random_note(&t->n, "SMMUEN %d", on);
}

static void set_abort(Random *t, bool abort)
{
    smmu_rig_write(&t->r, SMMU_REG_GBPA, SMMU_GBPA_UPDATE |
                   (abort ? SMMU_GBPA_ABORT : 0));
    t->o.abort = abort;
    nested_random_note(&t->n, "GBPA.ABORT %d", abort);
}

static void plug(Random *t, unsigned dev)
{
    smmu_rig_plug(&t->r, dev, FIRST_SLOT + dev, ids[dev], hosts[dev]);
    t->o.dev[dev].plugged = true;
    nested_random_note(&t->n, "plugged %u", dev);
}

static void unplug(Random *t, unsigned dev)
{
    smmu_rig_unplug(&t->r, FIRST_SLOT + dev, ids[dev]);
    t->o.dev[dev].plugged = false;
    nested_random_note(&t->n, "unplugged %u", dev);
}

static void number(Random *t, unsigned dev, unsigned bus)
{
    smmu_rig_number(&t->r, FIRST_SLOT + dev, bus);
    t->old_sid[dev] = t->o.dev[dev].sid;
    t->o.dev[dev].sid = bus << 8;
    nested_random_note(&t->n, "bus of %u is %u", dev, bus);
}

/* Whose bus it is, or nobody's */
static unsigned owner(Random *t, unsigned bus)
{
    unsigned dev = 0;

    while (dev < ORACLE_DEVICES && t->o.dev[dev].sid != bus << 8) {
        dev++;
    }
    return dev;
}

/*
 * A bus gets a number that is free, or that of another one, which gets its
 * own in turn. What STEs say about the numbers stays.
 */
static void renumber(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES);
    unsigned bus = 1 + random_upto(t, BUSES), old = t->o.dev[dev].sid >> 8;
    unsigned other = owner(t, bus);
    SmmuOracleChange *mine, *its = NULL;

    if (bus == old || !t->o.enabled) {
        return;
    }
    random_invalidate_all(t);
    mine = smmu_oracle_change(&t->o, dev, ORACLE_STE);
    if (other < ORACLE_DEVICES) {
        its = smmu_oracle_change(&t->o, other, ORACLE_STE);
    }
    /* There is a leaf of the stream table, at least */
    smmu_ste_entry(&t->r.t, bus << 8);
    number(t, dev, bus);
    smmu_oracle_changed(&t->o, mine, 0, ORACLE_ALL_KEYS);
    if (its) {
        number(t, other, old);
        smmu_oracle_changed(&t->o, its, 0, ORACLE_ALL_KEYS);
    }
}

/* Tables made, caches emptied, SMMU on */
static void boot(Random *t)
{
    smmu_oracle_forget(&t->o);
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        number(t, dev, dev + 1);
    }
    random_new_tables(t);
    t->r.cmdq.index = 0;
    t->r.evtq.index = 0;
    t->queued = 0;
    t->o.enabled = false;
    smmu_setup(&t->r.regs, &t->r.t, &t->r.cmdq, &t->r.evtq);
    smmu_queue_push(&t->r.cmdq, smmu_cfgi_ste_all());
    smmu_queue_push(&t->r.cmdq, smmu_tlbi_all(SMMU_OP_TLBI_NSNH_ALL));
    random_sync(t);
    set_enabled(t, true);
}

static void reset(Random *t)
{
    nested_random_note(&t->n, "reset");
    qtest_system_reset(t->r.qts);
    t->o.enabled = false;
    t->o.abort = false;
    some_dma(t);
    g_assert_true(nested_mirror_intact(&t->o.m, 0));
    boot(t);
}

/* ------------------------------------------------------------------- steps */

static void step_machine(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES), how = random_upto(t, 100);

    if (how < 30) {
        set_enabled(t, !t->o.enabled);
    } else if (how < 45) {
        set_abort(t, !t->o.abort);
    } else if (how < 65) {
        renumber(t);
    } else if (how < 75) {
        nested_random_host_reset(&t->n, t->r.m, hosts[dev]);
    } else if (how < 97) {
        if (t->o.dev[dev].plugged) {
            unplug(t, dev);
        } else {
            plug(t, dev);
        }
    } else {
        reset(t);
    }
    some_dma(t);
}

static void step_invalidate(Random *t)
{
    unsigned how = random_upto(t, 100);

    if (how < 20) {
        random_tell_noise(t);
    } else if (how < 40) {
        random_tell_pending(t, 30);
    } else if (how < 50) {
        /* Not the end of anything: that is what CMD_SYNC is for */
        smmu_rig_write(&t->r, SMMU_REG_CMDQ_PROD, t->r.cmdq.index);
    } else if (how < 53) {
        random_refused(t);
        some_dma(t);
    } else if (how < 75) {
        random_tell_pending(t, 50);
        random_sync(t);
        some_dma(t);
    } else {
        random_invalidate_all(t);
        some_dma(t);
    }
}

static void step(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES);
    unsigned how = random_upto(t, 1000);

    /* Neither is for long as it should not be */
    if (!t->o.enabled && how < 300) {
        set_enabled(t, true);
    } else if (!t->o.dev[dev].plugged && how < 100) {
        plug(t, dev);
    } else if (how < 10) {
        step_machine(t);
    } else if (how < 50) {
        random_edit_ste(t);
    } else if (how < 170) {
        random_edit_cd(t);
    } else if (how < 600) {
        random_edit_tables(t);
    } else if (how < 870) {
        step_invalidate(t);
    } else if (how < 890) {
        expect_event(t);
    } else {
        some_dma(t);
    }
    if (t->queued > QUEUE_MAX || t->o.edits->len > EDITS_MAX ||
        t->o.changes->len > CHANGES_MAX) {
        random_invalidate_all(t);
        some_dma(t);
    }
}

static void start(Random *t)
{
    /* No device is there from the start, to take these values from */
    smmu_rig_start(&t->r, HOST, "nested=on,ats=on,ssidsize=12,cd2l=on", 0,
                   PORTS);
    smmu_oracle_init(&t->o, t->r.qts, TABLES, TABLES_SIZE);
    t->o.ram = RAM;
    t->o.ram_size = RAM_SIZE;
    t->o.streams = &t->r.t;
    smmu_rig_queues(&t->r, EVENT_BITS);
    nested_random_fill(&t->n, t->r.qts, DATA, DATA_PAGES);
    boot(t);
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        plug(t, dev);
    }
}

/* No object of the host outlives the devices */
static void stop(Random *t)
{
    random_invalidate_all(t);
    some_dma(t);
    g_assert_true(nested_mirror_intact(&t->o.m, 0));
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        if (t->o.dev[dev].plugged) {
            unplug(t, dev);
        }
    }
    g_assert_cmpuint(iommufd_model_live(t->r.m, NULL), ==, 0);
    smmu_rig_stop(&t->r);
    smmu_oracle_free(&t->o);
}

static void test_random(void)
{
    Random t = { };

    nested_random_begin(&t.n, "SMMU", SEED, STEPS);
    start(&t);
    for (t.n.step = 1; t.n.step <= t.n.steps; t.n.step++) {
        step(&t);
    }
    g_test_message("%" PRIu64 " reads (%" PRIu64 " of old or new), %" PRIu64
                   " writes, %" PRIu64 " faults, %" PRIu64 " events, %" PRIu64
                   " commands (%" PRIu64 " refused), %" PRIu64 " CMD_SYNCs",
                   t.n.reads, t.n.unsure, t.n.writes, t.n.faults, t.events,
                   t.commands, t.refused, t.syncs);
    stop(&t);
    nested_random_end(&t.n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/smmu-nested/random", test_random);
    return g_test_run();
}
