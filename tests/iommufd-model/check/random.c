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
#include "common.h"
#include "random.h"

#define DEVICES \
    "[device 0000:01:00.0]\niommu=0\ngroup=1\npasid-bits=10\nats=on\n" \
    "[device 0000:02:00.0]\niommu=0\ngroup=2\npasid-bits=10\nats=on\n" \
    "[device 0000:03:00.0]\niommu=1\ngroup=3\npasid-bits=10\nats=on\n"

static const char *const config[] = {
    [TV_VTD] = "[host]\narch=vtd\nrefetch=on\n"
               "[iommu 0]\naw=57\nerrata-772415=off\n"
               "[iommu 1]\naw=57\nerrata-772415=off\n" DEVICES,
    [TV_SMMUV3] = "[host]\narch=smmuv3\nrefetch=on\n"
                  "[iommu 0]\n[iommu 1]\n" DEVICES,
};

static void one_step(Run *r)
{
    unsigned n = rnd(r, 1000);

    if (n < 550) {
        do_dma(r);
    } else if (n < 690) {
        do_map(r);
    } else if (n < 740) {
        do_unmap(r);
    } else if (n < 760) {
        do_protect(r);
    } else if (n < 765) {
        do_upgrade(r);
    } else if (n < 775) {
        do_protect_table(r);
    } else if (n < 780) {
        do_move_config(r);
    } else if (n < 790) {
        do_drop_table(r);
    } else if (n < 810) {
        do_bind(r);
    } else if (n < 820) {
        do_inval(r);
    } else if (n < 838) {
        do_stage2(r);
    } else if (n < 840) {
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
