/*
 * Random maps, invalidations, attachments and DMA against an oracle
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A correct guest on a correct VMM changes tables at random and invalidates
 * what it has to; after each synchronisation DMA must do exactly what the
 * oracle says that walks the tables afresh.  With one change outstanding, it
 * must do what was right before or what is right after.
 *
 * Usage: random vtd|smmuv3 [--steps N] [--seed N] [--bug N]
 *
 * --bug makes the VMM wrong on purpose (TvBug): to see this test fail.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "common.h"
#include "guest.h"
#include "oracle.h"

/* Ends below the window SMMUv3 hosts keep for MSIs, at 128 MiB */
#define RAM_SIZE        (120 * MiB)
#define DATA_SIZE       (4 * MiB)
#define POISON          (4 * MiB)
#define POISON_SIZE     (2 * MiB)
#define TABLES          (8 * MiB)
#define CHUNK           (64 * KiB)
#define N_SPACES        4
#define N_DEVICES       3
#define N_PASIDS        6
#define N_HISTORY       24
#define N_RECENT        64

#define DEVICES \
    "[device 0000:01:00.0]\niommu=0\ngroup=1\npasid-bits=10\nats=on\n" \
    "[device 0000:02:00.0]\niommu=0\ngroup=2\npasid-bits=10\nats=on\n" \
    "[device 0000:03:00.0]\niommu=1\ngroup=3\npasid-bits=10\nats=on\n"

static const char *const config[] = {
    [TV_VTD] = "[host]\narch=vtd\n"
               "[iommu 0]\naw=57\nerrata-772415=off\n"
               "[iommu 1]\naw=57\nerrata-772415=off\n" DEVICES,
    [TV_SMMUV3] = "[host]\narch=smmuv3\n[iommu 0]\n[iommu 1]\n" DEVICES,
};

typedef struct Stats {
    unsigned exact, between, reads, writes, stage0, stage1, stage2, ats;
} Stats;

typedef struct Run {
    TvVm *vm;
    Guest guest;
    GuestSpace space[N_SPACES];
    OracleS2 s2;
    uint64_t rng;
    uint8_t *data;              /* what guest memory must hold: DATA_SIZE */
    uint8_t *before;            /* RAM_SIZE; tables as of the last change */
    unsigned pending;           /* changes not synchronised */
    unsigned step;
    GPtrArray *freed;           /* tables to poison at the next sync */
    struct {
        GuestSpace *space;
        uint64_t iova;
    } recent[N_RECENT];         /* mapped lately */
    unsigned nr_recent;
    char history[N_HISTORY][128];
    unsigned nr_history;
    bool failed;
    Stats stats;
} Run;

/* A table no longer used, once the guest has synchronised */
typedef struct Freed {
    uint64_t gpa, bytes, entry;
} Freed;

/* ------------------------------------------------------------------ helpers */

static uint64_t rnd64(Run *r)
{
    /* splitmix64: public domain generator by Sebastiano Vigna */
    uint64_t z = (r->rng += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static unsigned rnd(Run *r, unsigned n)
{
    return rnd64(r) % n;
}

static bool chance(Run *r, unsigned percent)
{
    return rnd(r, 100) < percent;
}

static void G_GNUC_PRINTF(2, 3) note(Run *r, const char *fmt, ...)
{
    char *line = r->history[r->nr_history++ % N_HISTORY];
    int n = snprintf(line, sizeof(r->history[0]), "%u: ", r->step);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + n, sizeof(r->history[0]) - n, fmt, ap);
    va_end(ap);
}

static void G_GNUC_PRINTF(2, 3) fail(Run *r, const char *fmt, ...)
{
    unsigned i = r->nr_history > N_HISTORY ? r->nr_history - N_HISTORY : 0;
    va_list ap;

    r->failed = true;
    printf("# step %u: ", r->step);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n# what was done last:\n");
    for (; i < r->nr_history; i++) {
        printf("#   %s\n", r->history[i % N_HISTORY]);
    }
}

static bool is_vtd(const Run *r)
{
    return r->vm->cfg.arch == TV_VTD;
}

static unsigned space_index(const Run *r, const GuestSpace *space)
{
    return space - r->space;
}

static GuestSpace *any_space(Run *r)
{
    return &r->space[rnd(r, N_SPACES)];
}

static TvDevice *any_device(Run *r)
{
    return &r->vm->device[rnd(r, N_DEVICES)];
}

static uint32_t any_pasid(Run *r)
{
    unsigned n = rnd(r, N_PASIDS + 1);

    return n ? n : TV_NO_PASID;
}

/* Windows of 4 MiB in which things are mapped */
static uint64_t any_window(Run *r, bool small)
{
    static const uint64_t vtd[] = {
        0, 1 * GiB, 0x7f8000000000ULL, 0xffffff8000000000ULL,
    };
    static const uint64_t smmu[] = { 0, 0x40000000, 0x7fc0000000, 3ULL << 39 };

    return is_vtd(r) ? vtd[rnd(r, 4)] : smmu[rnd(r, small ? 3 : 4)];
}

static uint64_t any_iova(Run *r, bool small)
{
    uint64_t page = chance(r, 80) ? rnd(r, 32) : rnd(r, DATA_SIZE / 4096);

    return any_window(r, small) + page * 4096;
}

/* Somewhere in @space, rather where something is mapped */
static uint64_t space_iova(Run *r, const GuestSpace *space)
{
    bool small = space->s1.va_bits && space->s1.va_bits < 48;
    unsigned tries;

    for (tries = chance(r, 80) ? 8 : 0; tries; tries--) {
        unsigned i = rnd(r, N_RECENT);

        if (r->recent[i].space == space) {
            return r->recent[i].iova;
        }
    }
    return any_iova(r, small);
}

/* Levels above the smallest page a leaf may have, and its size */
static unsigned leaf_shift(const Run *r, const GuestSpace *space, unsigned up)
{
    return is_vtd(r) ? 12 + 9 * up :
                       space->s1.granule + (space->s1.granule - 3) * up;
}

static bool is_present(const Run *r, uint64_t entry)
{
    return entry & 1;
}

static bool is_table(const Run *r, uint64_t entry, unsigned up)
{
    if (!is_present(r, entry) || !up) {
        return false;
    }
    return is_vtd(r) ? !(entry & VTD_S1_PS) : (entry & 3) == 3;
}

/* Level of an entry from what it covers */
static unsigned up_of(const Run *r, const GuestSpace *space, unsigned shift)
{
    unsigned up;

    for (up = 0; leaf_shift(r, space, up) < shift; up++) {
        continue;
    }
    return up;
}

/* ------------------------------------------------------------------ changes */

/* Call before the first write of a change to the guest's structures */
static void change_begin(Run *r)
{
    r->pending++;
    memcpy(r->before + TABLES, r->vm->ram + TABLES,
           r->vm->mem.next - TABLES);
}

/* The table an entry at level @up points to goes back to the guest's pool */
static void free_table(Run *r, const GuestSpace *space, uint64_t entry,
                       unsigned up)
{
    Freed *f = g_new(Freed, 1);
    unsigned granule = is_vtd(r) ? 12 : space->s1.granule;
    unsigned shift = leaf_shift(r, space, up - 1);
    uint64_t target = POISON & -(1ULL << shift);

    f->gpa = entry & 0xfffffffff000ULL & -(1ULL << granule);
    f->bytes = 1ULL << granule;
    if (is_vtd(r)) {
        f->entry = target | VTD_S1_USER_RW | (up > 1 ? VTD_S1_PS : 0);
    } else {
        f->entry = target | SMMU_PTE_USER_RW | (up > 1 ? 1 : 3);
    }
    g_ptr_array_add(r->freed, f);
}

static void do_sync(Run *r)
{
    unsigned i;
    uint64_t off;

    note(r, "sync");
    if (!guest_sync(&r->guest)) {
        fail(r, "the guest does not see completion");
    }
    if (r->vm->errors) {
        fail(r, "the kernel refused something");
    }
    for (i = 0; i < r->freed->len; i++) {
        Freed *f = g_ptr_array_index(r->freed, i);

        for (off = 0; off < f->bytes; off += 8) {
            iommu_mem_write64(&r->vm->mem, f->gpa + off, f->entry);
        }
    }
    g_ptr_array_set_size(r->freed, 0);
    r->pending = 0;
}

/* Queue what the replacement of one entry needs */
static void entry_changed(Run *r, GuestSpace *space, uint64_t iova,
                          uint64_t old, unsigned old_shift, unsigned shift)
{
    unsigned up = up_of(r, space, old_shift);
    bool table = is_table(r, old, up);

    if (!is_present(r, old)) {
        return;         /* nothing can be cached */
    }
    guest_inval(&r->guest, space, iova, MAX(old_shift, shift),
                old_shift == shift && !table && chance(r, 70));
    if (table) {
        free_table(r, space, old, up);
    }
}

static void do_map(Run *r)
{
    GuestSpace *space = any_space(r);
    unsigned up = chance(r, 80) ? 0 : chance(r, 80) ? 1 : 2;
    unsigned rights, shift, old_shift, n = 1, i;
    uint64_t iova, gpa, size;

    if (!is_vtd(r) && space->s1.granule != 12 && up == 2) {
        up = 1;         /* no blocks at level 1 */
    }
    shift = leaf_shift(r, space, up);
    size = 1ULL << shift;
    iova = space_iova(r, space) & -size;
    if (size < DATA_SIZE) {
        n = up ? 1 : 1 + rnd(r, 8);
        gpa = rnd(r, DATA_SIZE / size) * size;
        n = MIN(n, (DATA_SIZE - gpa) / size);
    } else {
        gpa = 0;
    }
    if (chance(r, 3)) {
        gpa = 4 * GiB;  /* no memory there */
    }
    rights = (chance(r, 75) ? GUEST_WRITE : 0) |
             (chance(r, 90) ? GUEST_USER : 0);
    note(r, "map space %u iova 0x%" PRIx64 " gpa 0x%" PRIx64
         " %u x 2^%u rights %u", space_index(r, space), iova, gpa, n, shift,
         rights);
    change_begin(r);
    for (i = 0; i < n; i++) {
        uint64_t slot = guest_entry(&r->guest, space, iova + i * size, up,
                                    &old_shift);
        uint64_t old = iommu_mem_read64(&r->vm->mem, slot);

        guest_map(&r->guest, space, iova + i * size, gpa + i * size, size,
                  shift, rights);
        r->recent[r->nr_recent % N_RECENT].space = space;
        r->recent[r->nr_recent++ % N_RECENT].iova = iova + i * size;
        entry_changed(r, space, iova + i * size, old, old_shift, shift);
    }
}

static void do_unmap(Run *r)
{
    GuestSpace *space = any_space(r);
    uint64_t iova = space_iova(r, space), slot, old;
    unsigned shift;

    slot = guest_entry(&r->guest, space, iova, 0, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (!is_present(r, old)) {
        return;
    }
    note(r, "unmap space %u iova 0x%" PRIx64 " (2^%u)",
         space_index(r, space), iova, shift);
    change_begin(r);
    guest_unmap(&r->guest, space, iova, 1);
    entry_changed(r, space, iova, old, shift, shift);
}

static void do_drop_table(Run *r)
{
    GuestSpace *space = any_space(r);
    unsigned up = 1 + chance(r, 20), shift;
    uint64_t iova = space_iova(r, space), slot, old;

    slot = guest_entry(&r->guest, space, iova, up, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (shift != leaf_shift(r, space, up) || !is_table(r, old, up)) {
        return;
    }
    note(r, "drop table space %u iova 0x%" PRIx64 " (2^%u)",
         space_index(r, space), iova, shift);
    change_begin(r);
    iommu_mem_write64(&r->vm->mem, slot, 0);
    entry_changed(r, space, iova, old, shift, shift);
}

static void do_protect(Run *r)
{
    GuestSpace *space = any_space(r);
    uint64_t iova = space_iova(r, space), slot, old;
    unsigned rights = rnd(r, 4), shift;

    slot = guest_entry(&r->guest, space, iova, 0, &shift);
    old = iommu_mem_read64(&r->vm->mem, slot);
    if (!is_present(r, old)) {
        return;
    }
    note(r, "protect space %u iova 0x%" PRIx64 " (2^%u) rights %u",
         space_index(r, space), iova, shift, rights);
    change_begin(r);
    guest_protect(&r->guest, space, iova, rights);
    if (is_vtd(r) && rights == (GUEST_WRITE | GUEST_USER) && chance(r, 50)) {
        /*
         * More rights need no invalidation (VT-d 6.5.1): what hardware
         * finds missing in a cache it looks up again.
         */
        return;
    }
    entry_changed(r, space, iova, old, shift, shift);
}

static void do_bind(Run *r)
{
    TvDevice *dev = any_device(r);
    uint32_t pasid = any_pasid(r);
    GuestSpace *space = chance(r, 80) ? any_space(r) : NULL;

    note(r, "bind 0x%04x pasid %d space %d", dev->rid, (int)pasid,
         space ? (int)space_index(r, space) : -1);
    change_begin(r);
    guest_bind(&r->guest, dev, pasid, space);
}

static void do_inval(Run *r)
{
    GuestSpace *space = any_space(r);

    note(r, "invalidate space %u", space_index(r, space));
    guest_inval_all(&r->guest, space);
}

static void do_stage2(Run *r)
{
    uint64_t gpa = rnd(r, DATA_SIZE / CHUNK) * CHUNK;
    uint8_t now = r->s2.rights[gpa / ORACLE_PAGE];
    uint8_t rights = chance(r, 30) ? ORACLE_R : ORACLE_R | ORACLE_W;
    int ret;

    if (now && chance(r, 80)) {
        return;         /* most of it is there, most of the time */
    }
    rights = now ? 0 : rights;
    note(r, "stage 2: 0x%" PRIx64 " rights %u", gpa, rights);
    ret = now ? tv_unmap(r->vm, gpa, CHUNK) :
                tv_map(r->vm, gpa, CHUNK, rights & ORACLE_W);
    if (ret) {
        fail(r, "stage 2 cannot be changed");
    }
    oracle_s2_set(&r->s2, gpa, CHUNK, rights);
}

static void do_renumber(Run *r)
{
    TvDevice *dev = any_device(r);
    uint16_t rid = 0x100 * (1 + rnd(r, 200)) + (dev - r->vm->device) * 0x40;
    unsigned i;

    do_sync(r);
    note(r, "renumber 0x%04x to 0x%04x", dev->rid, rid);
    change_begin(r);
    if (is_vtd(r)) {
        vtd_context_clear(&r->vm->vtd, dev->rid);
    } else {
        smmu_ste_clear(&r->vm->smmu, dev->rid);
    }
    tv_renumber(r->vm, dev, rid);
    guest_device(&r->guest, dev, 0);
    for (i = 0; i < GUEST_MAX_BINDINGS; i++) {
        GuestBinding *b = &r->guest.binding[i];

        if (b->space && b->dev == dev) {
            guest_bind(&r->guest, dev, b->pasid, b->space);
        }
    }
    do_sync(r);
}

/* --------------------------------------------------------------------- DMA */

static bool agrees(const Run *r, const TvDma *dma, const OracleResult *want,
                   const uint8_t *ram)
{
    if (dma->fault != want->fault) {
        return false;
    }
    if (dma->fault) {
        return dma->stage == want->stage &&
               !strcmp(dma->reason, want->reason);
    }
    return dma->write || !memcmp(dma->data, ram + want->gpa, dma->len);
}

static void disagree(Run *r, const char *what, const TvDevice *dev,
                     const TvDma *dma, const OracleResult *want)
{
    fail(r, "%s: 0x%04x pasid %d %s 0x%" PRIx64 "%s%s: model %s (stage %d), "
         "oracle %s (stage %d, gpa 0x%" PRIx64 ")", what, dev->rid,
         (int)dma->pasid, dma->write ? "write" : "read", dma->addr,
         dma->ats ? " ats" : "", dma->priv ? " priv" : "",
         dma->fault ? dma->reason : "data", dma->stage,
         want->fault ? want->reason : "data", want->stage, want->gpa);
}

/* Memory holds what the oracle's idea of every write so far makes of it */
static void check_memory(Run *r)
{
    uint64_t at;

    if (!memcmp(r->data, r->vm->ram, DATA_SIZE)) {
        return;
    }
    for (at = 0; r->data[at] == r->vm->ram[at]; at++) {
        continue;
    }
    fail(r, "memory at 0x%" PRIx64 " was written wrongly", at);
}

static void count(Run *r, const TvDma *dma)
{
    r->stats.exact++;
    r->stats.ats += dma->ats;
    if (!dma->fault) {
        r->stats.reads += !dma->write;
        r->stats.writes += dma->write;
    } else {
        r->stats.stage0 += dma->stage == 0;
        r->stats.stage1 += dma->stage == 1;
        r->stats.stage2 += dma->stage == 2;
    }
}

static void dma_exact(Run *r, const TvDevice *dev, TvDma *dma,
                      const OracleReq *req)
{
    OracleResult want = oracle_dma(r->vm, &r->s2, req);

    tv_dma(r->vm, dev, dma);
    if (!agrees(r, dma, &want, r->vm->ram)) {
        disagree(r, "after sync", dev, dma, &want);
        return;
    }
    count(r, dma);
    if (dma->write) {
        if (!dma->fault) {
            memcpy(r->data + want.gpa, dma->data, dma->len);
        }
        check_memory(r);
    }
}

/* Fills caches; with one change outstanding, only two answers are right */
static void dma_between(Run *r, const TvDevice *dev, TvDma *dma,
                        const OracleReq *req)
{
    OracleResult now = oracle_dma(r->vm, &r->s2, req), then;
    TvVm old = *r->vm;

    old.ram = r->before;
    tv_dma(r->vm, dev, dma);
    if (r->pending > 1) {
        return;
    }
    then = oracle_dma(&old, &r->s2, req);
    r->stats.between++;
    if (!agrees(r, dma, &now, r->vm->ram) &&
        !agrees(r, dma, &then, r->vm->ram)) {
        disagree(r, "before sync", dev, dma, &now);
    }
}

static GuestBinding *any_binding(Run *r)
{
    unsigned i = rnd(r, GUEST_MAX_BINDINGS);

    while (!r->guest.binding[i].space) {
        i = (i + 1) % GUEST_MAX_BINDINGS;
    }
    return &r->guest.binding[i];
}

static void do_dma(Run *r)
{
    TvDevice *dev = any_device(r);
    TvDma dma = {
        .pasid = any_pasid(r),
        .len = 1 + rnd(r, 32),
        .ats = chance(r, 30),
        .write = !r->pending && chance(r, 40),
    };
    OracleReq req = { .rid = dev->rid };
    GuestBinding *b = any_binding(r);
    unsigned i;

    dma.addr = any_iova(r, false);
    if (chance(r, 85)) {
        dev = b->dev;
        req.rid = dev->rid;
        dma.pasid = b->pasid;
        dma.addr = space_iova(r, b->space) + (chance(r, 20) ? 4096 : 0);
    }
    dma.priv = dma.pasid != TV_NO_PASID && chance(r, 10);
    dma.addr += rnd(r, 4096 - dma.len + 1);
    for (i = 0; dma.write && i < dma.len; i++) {
        dma.data[i] = rnd64(r);
    }
    req.pasid = dma.pasid;
    req.addr = dma.addr;
    req.write = dma.write;
    req.priv = dma.priv;
    note(r, "dma %s 0x%04x pasid %d addr 0x%" PRIx64 " len %u%s%s",
         dma.write ? "write" : "read", dev->rid, (int)dma.pasid, dma.addr,
         dma.len, dma.ats ? " ats" : "", dma.priv ? " priv" : "");
    if (r->pending) {
        dma_between(r, dev, &dma, &req);
    } else {
        dma_exact(r, dev, &dma, &req);
    }
}

/* --------------------------------------------------------------------- run */

static void one_step(Run *r)
{
    unsigned n = rnd(r, 1000);

    if (n < 550) {
        do_dma(r);
    } else if (n < 690) {
        do_map(r);
    } else if (n < 740) {
        do_unmap(r);
    } else if (n < 770) {
        do_protect(r);
    } else if (n < 780) {
        do_drop_table(r);
    } else if (n < 800) {
        do_bind(r);
    } else if (n < 810) {
        do_inval(r);
    } else if (n < 830) {
        do_stage2(r);
    } else if (n < 832) {
        do_renumber(r);
    } else {
        do_sync(r);
    }
}

static void run_init(Run *r, TvArch arch, TvBug bug, uint64_t seed)
{
    const TvConfig cfg = {
        .arch = arch,
        .bug = bug,
        .ram_size = RAM_SIZE,
        .tables = TABLES,
        .n_devices = N_DEVICES,
        .device = {
            { "0000:01:00.0", 0, 0x0100 },
            { "0000:02:00.0", 0, 0x0240 },
            { "0000:03:00.0", 1, 0x0380 },
        },
    };
    uint64_t at;
    unsigned i;

    *r = (Run) { .vm = tv_open(&cfg), .rng = seed };
    r->freed = g_ptr_array_new_with_free_func(g_free);
    r->before = g_malloc0(RAM_SIZE);
    r->data = g_malloc(DATA_SIZE);
    for (at = 0; at < DATA_SIZE; at += 8) {
        stq_le_p(r->vm->ram + at, rnd64(r));
    }
    memcpy(r->data, r->vm->ram, DATA_SIZE);
    memset(r->vm->ram + POISON, 0xee, POISON_SIZE);
    /* Data in small mappings, so that each can go and come */
    tv_unmap(r->vm, 0, RAM_SIZE);
    for (at = 0; at < DATA_SIZE; at += CHUNK) {
        tv_map(r->vm, at, CHUNK, true);
    }
    tv_map(r->vm, DATA_SIZE, RAM_SIZE - DATA_SIZE, true);
    oracle_s2_init(&r->s2, RAM_SIZE);
    oracle_s2_set(&r->s2, 0, RAM_SIZE, ORACLE_R | ORACLE_W);

    guest_init(&r->guest, r->vm);
    for (i = 0; i < N_DEVICES; i++) {
        guest_device(&r->guest, &r->vm->device[i], i);
    }
    for (i = 0; i < N_SPACES; i++) {
        /* 4 and 5 levels, SRE and WPE; all granules */
        static const unsigned variant[2][N_SPACES] = {
            [TV_VTD] = { 0, 1, 2, 7 }, [TV_SMMUV3] = { 0, 5, 2, 3 },
        };

        guest_space(&r->guest, &r->space[i], i + 1, variant[arch][i]);
        guest_bind(&r->guest, &r->vm->device[i % N_DEVICES], i + 1,
                   &r->space[i]);
    }
    do_sync(r);
}

static void run_free(Run *r)
{
    tv_close(r->vm);
    oracle_s2_free(&r->s2);
    g_ptr_array_free(r->freed, TRUE);
    g_free(r->before);
    g_free(r->data);
}

static void run(TvArch arch, TvBug bug, const char *name, uint64_t seed,
                unsigned steps)
{
    Run r;
    Stats *s = &r.stats;
    unsigned live;

    run_init(&r, arch, bug, seed);
    tv_arm(r.vm);
    for (r.step = 1; r.step <= steps && !r.failed; r.step++) {
        one_step(&r);
    }
    check_result(!r.failed, "%s: %u steps agree with the oracle (seed %"
                 PRIu64 ")", name, steps, seed);
    printf("# %u DMA compared exactly (%u with ATS): %u reads, %u writes, "
           "faults %u/%u/%u of stage 0/1/2; %u between syncs\n", s->exact,
           s->ats, s->reads, s->writes, s->stage0, s->stage1, s->stage2,
           s->between);
    if (!r.failed && steps >= 1000) {
        check_result(s->exact >= steps / 5 && s->reads >= steps / 50 &&
                     s->writes >= steps / 100 && s->stage0 && s->stage1 &&
                     s->stage2 && s->between, "%s: all kinds of DMA occurred",
                     name);
    }
    run_free(&r);
    live = tv_live_objects();
    check_result(!live, "%s: no object is left (%u)", name, live);
}

int main(int argc, char **argv)
{
    uint64_t seed = g_get_real_time();
    unsigned steps = 10000, bug = TV_BUG_NONE;
    TvArch arch;
    int i;

    if (argc < 2 || (strcmp(argv[1], "vtd") && strcmp(argv[1], "smmuv3"))) {
        fprintf(stderr, "usage: %s vtd|smmuv3 [--steps N] [--seed N] "
                "[--bug N]\n", argv[0]);
        return 2;
    }
    arch = strcmp(argv[1], "vtd") ? TV_SMMUV3 : TV_VTD;
    check_with_model(argv, config[arch]);
    for (i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed")) {
            seed = g_ascii_strtoull(argv[i + 1], NULL, 0);
        } else if (!strcmp(argv[i], "--bug")) {
            bug = g_ascii_strtoull(argv[i + 1], NULL, 0);
        } else if (!strcmp(argv[i], "--steps")) {
            steps = g_ascii_strtoull(argv[i + 1], NULL, 0);
        } else {
            fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
            return 2;
        }
    }
    printf("# seed %" PRIu64 "\n", seed);
    run(arch, bug, argv[1], seed, steps);
    return check_done();
}
