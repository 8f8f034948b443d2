/*
 * VT-d nesting: a guest that does anything, against an oracle
 *
 * Devices that share tables and domains, tables that change in every way,
 * and invalidations in every form, in an order a seed decides.  The guest
 * keeps to the specification: sooner or later it invalidates what it must.
 * From then on DMA has to go where the guest's tables say, and before that
 * where they say or said.
 *
 * VTD_RANDOM_SEED    seed; 0: one of the moment. Printed in any case.
 * VTD_RANDOM_STEPS   how many
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-nested-random.h"

#define SEED            1
#define STEPS           20000

#define RAM             (128 * MiB)
#define TABLES_SIZE     (32 * MiB)

/* More at once than that is not left without invalidation */
#define EDITS_MAX       40
#define CHANGES_MAX     12
/* Descriptors before one wait; the queue has room for 511 */
#define QUEUE_MAX       300

#define PORTS   VTD_RIG_SLOTS \
                "-device pcie-root-port,id=rp2,chassis=3,addr=0x12 " \
                "-device pcie-root-port,id=rp3,chassis=4,addr=0x13 "

static const char *const hosts[ORACLE_DEVICES] = {
    HOST_DEV0, HOST_DEV1, HOST_DEV2, HOST_DEV3,
};
static const char *const ids[ORACLE_DEVICES] = {
    "dev0", "dev1", "dev2", "dev3",
};

/* --------------------------------------------------------------------- DMA */

typedef struct Access {
    unsigned dev, key, probe, offset;
} Access;

static void check(Random *t, const Access *a, const IommufdDmaOp *op)
{
    uint64_t to[ORACLE_PROBES];
    unsigned num = 1;

    if (op->write) {
        to[0] = vtd_oracle_write(&t->o, a->dev, a->key, a->probe);
    } else {
        num = vtd_oracle_read(&t->o, a->dev, a->key, a->probe, to,
                              ARRAY_SIZE(to));
    }
    nested_random_check(&t->n, op, to, num, a->offset);
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
        const Access *a = &list[i];

        op[i] = (IommufdDmaOp) {
            .bdf = hosts[a->dev],
            .how.with_pasid = a->key != ORACLE_RID,
            .how.pasid = vtd_oracle_pasids[a->key],
            .how.ats = t->o.dev[a->dev].plugged && random_chance(t, 25),
            .addr = vtd_oracle_probe(a->probe) + a->offset,
        };
    }
    if (random_chance(t, 50) &&
        vtd_oracle_certain(&t->o, last->dev, last->key, last->probe)) {
        op[num - 1].write = true;
        op[num - 1].data = ++t->n.next_value;
    }
    iommufd_model_dma_batch(t->r.m, op, num);
    for (unsigned i = 0; i < num; i++) {
        check(t, &list[i], &op[i]);
    }
}

/* Someone who uses tables, or anyone */
static Access access_of(Random *t, uint64_t s1, unsigned probe)
{
    unsigned user = random_upto(t, ORACLE_DEVICES * ORACLE_KEYS);

    if (s1) {
        vtd_oracle_user(&t->o, s1, &user);
    } else if (!t->r.t.scalable && random_chance(t, 80)) {
        /* Nobody has a PASID in legacy mode */
        user -= user % ORACLE_KEYS;
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
            access_of(t, t->space[t->recent[j].space], t->recent[j].probe) :
            access_of(t, 0, random_upto(t, ORACLE_PROBES));
    }
    dma(t, list, ARRAY_SIZE(list));
}

/* What is to change: have it cached */
void random_use_before(Random *t, unsigned space, unsigned probe)
{
    Access list[3];

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        list[i] = access_of(t, t->space[space], probe ^ (i == 2 ? 1 : 0));
    }
    dma(t, list, ARRAY_SIZE(list));
    t->recent[t->next_recent].space = space;
    t->recent[t->next_recent].probe = probe;
    t->next_recent = (t->next_recent + 1) % RECENT;
}

/* ---------------------------------------------------------------- machine */

/* Another root table, which does not have all of the contexts; SRTP */
static void set_root(Random *t)
{
    uint64_t old = t->r.t.root, root = iommu_mem_alloc(&t->o.m.mem, PAGE, PAGE);

    bool other = random_chance(t, 30);

    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        uint64_t bus = (t->o.dev[dev].rid >> 8) * 16;

        if (!other && random_chance(t, 70)) {
            iommu_mem_write64(&t->o.m.mem, root + bus,
                              iommu_mem_read64(&t->o.m.mem, old + bus));
        } else {
            random_drop_context(t, dev);
        }
    }
    random_free_later(t, old);
    t->r.t.root = root;
    if (other) {
        /* Of the other mode, with all that it leads to */
        t->r.t.scalable ^= true;
        for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
            random_new_context(t, dev);
        }
    }
    t->r.regs.write64(t->r.regs.opaque, VTD_REG_RTADDR,
                      vtd_tables_rtaddr(&t->r.t));
    t->r.regs.write32(t->r.regs.opaque, VTD_REG_GCMD, VTD_GCMD_QIE |
                      VTD_GCMD_SRTP | (t->o.translation ? VTD_GCMD_TE : 0));
    vtd_rig_wait(&t->r, VTD_REG_GSTS, VTD_GCMD_SRTP, true);
    vtd_oracle_set_root(&t->o, vtd_tables_rtaddr(&t->r.t));
    random_release(t);
}

static void set_translation(Random *t, bool on)
{
    vtd_rig_translation(&t->r, on);
    t->o.translation = on;
}

static void plug(Random *t, unsigned dev)
{
    vtd_rig_plug(&t->r, dev, ids[dev], hosts[dev]);
    vtd_rig_enable_sva(&t->r, t->o.dev[dev].rid);
    t->o.dev[dev].plugged = true;
}

static void unplug(Random *t, unsigned dev)
{
    vtd_rig_unplug(&t->r, dev, ids[dev]);
    t->o.dev[dev].plugged = false;
}

/* Buses numbered, tables made, devices that are there made ready */
static void boot(Random *t)
{
    vtd_oracle_forget(&t->o);
    vtd_rig_open_config(&t->r);
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        vtd_rig_number_slot(&t->r, dev, dev + 1);
        t->o.dev[dev].rid = BEHIND(dev + 1);
        if (t->o.dev[dev].plugged) {
            vtd_rig_enable_sva(&t->r, t->o.dev[dev].rid);
        }
    }
    for (unsigned i = 0; i < SPACES; i++) {
        t->space[i] = vtd_s1_new(&t->o.m.mem);
        for (unsigned j = 0; j < ORACLE_PROBES; j++) {
            random_map(t, i, vtd_oracle_probe(j), 1);
        }
    }
    vtd_tables_init(&t->r.t, &t->o.m.mem, random_chance(t, 70));
    vtd_oracle_set_root(&t->o, vtd_tables_rtaddr(&t->r.t));
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        random_new_context(t, dev);
    }
    t->r.q.tail = 0;
    t->queued = 0;
    vtd_enable(&t->r.regs, &t->r.t, &t->r.q);
    t->o.translation = true;
}

/* The tables are as they were written, but for accessed and dirty bits */
static bool memory_intact(Random *t)
{
    return nested_mirror_intact(&t->o.m, VTD_S1_A | VTD_S1_D);
}

static void reset(Random *t)
{
    qtest_system_reset(t->r.qts);
    t->o.translation = false;
    some_dma(t);
    g_assert_true(memory_intact(t));
    boot(t);
}

/* ------------------------------------------------------------------- steps */

static void step_machine(Random *t)
{
    unsigned dev = random_upto(t, ORACLE_DEVICES), how = random_upto(t, 100);

    if (how < 40) {
        set_translation(t, !t->o.translation);
    } else if (how < 60) {
        set_root(t);
    } else if (how < 70) {
        nested_random_host_reset(&t->n, t->r.m, hosts[dev]);
    } else if (how < 98) {
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
        /* Not the end of anything: that is what wait descriptors are for */
        vtd_queue_kick(&t->r.q, &t->r.regs);
    } else if (how < 75) {
        random_tell_pending(t, 50);
        random_wait(t);
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
    if (!t->o.translation && how < 300) {
        set_translation(t, true);
    } else if (!t->o.dev[dev].plugged && how < 100) {
        plug(t, dev);
    } else if (how < 8) {
        step_machine(t);
    } else if (how < 40) {
        random_edit_context(t);
    } else if (how < 160) {
        random_edit_pasid(t);
    } else if (how < 600) {
        random_edit_tables(t);
    } else if (how < 880) {
        step_invalidate(t);
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
    g_autofree char *host = vtd_rig_host(ORACLE_DEVICES, "aw=57\n", "");

    /* No device is there from the start, to take these values from */
    vtd_rig_start(&t->r, host, "nested=on,svm=on,x-pasid-mode=on,"
                  "pasid-bits=12,device-iotlb=on,fs1gp=on,aw-bits=57,"
                  "ss-aw-bits=57", 0, PORTS);
    /* Tables are the oracle's, the queue is not */
    t->r.mem.end -= TABLES_SIZE;
    vtd_oracle_init(&t->o, t->r.qts, RAM, t->r.mem.end, TABLES_SIZE);
    vtd_queue_init(&t->r.q, &t->r.mem, 2, true);
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
    g_assert_true(memory_intact(t));
    for (unsigned dev = 0; dev < ORACLE_DEVICES; dev++) {
        if (t->o.dev[dev].plugged) {
            unplug(t, dev);
        }
    }
    g_assert_cmpuint(iommufd_model_live(t->r.m, NULL), ==, 0);
    vtd_rig_stop(&t->r);
    vtd_oracle_free(&t->o);
}

static void test_random(void)
{
    Random t = { };

    nested_random_begin(&t.n, "VTD", SEED, STEPS);
    start(&t);
    for (t.n.step = 1; t.n.step <= t.n.steps; t.n.step++) {
        step(&t);
    }
    g_test_message("%" PRIu64 " reads (%" PRIu64 " of old or new), %" PRIu64
                   " writes, %" PRIu64 " faults, %" PRIu64 " descriptors, %"
                   PRIu64 " waits", t.n.reads, t.n.unsure, t.n.writes,
                   t.n.faults, t.commands, t.waits);
    stop(&t);
    nested_random_end(&t.n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd-nested/random", test_random);
    return g_test_run();
}
