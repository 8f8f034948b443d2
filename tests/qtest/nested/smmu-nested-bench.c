/*
 * SMMUv3 nesting: workloads whose cost is measured; see nested-bench.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nested-bench.h"
#include "smmu-rig.h"

#define IOVA    0x4000000000ULL
#define ASID    5

static Bench bench;

static void start(SmmuRig *r)
{
    g_autoptr(GString) host = g_string_new("");
    g_autoptr(GString) args = g_string_new("");

    bench_devices(&bench, "smmuv3", host, args);
    smmu_rig_start(r, host->str, bench.props, 0, args->str);
    smmu_rig_enable(r, 10);
}

/* Every device has a table and an ASID of its own */
static void bind_streams(SmmuRig *r)
{
    for (unsigned i = 0; i < bench.devices; i++) {
        SmmuS1 s1 = smmu_rig_s1(r, IOVA, 0);
        SmmuCdTable cds;

        smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
        smmu_cd_set(&cds, 0, &s1, ASID + i);
        smmu_ste_set(&r->t, bench_rid(i),
                     &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    }
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(r);
}

static SmmuCmd command(unsigned i)
{
    bool atc = g_str_equal(bench.workload, "va-atc");
    unsigned dev = (atc ? i / 2 : i) % bench.devices;
    uint64_t addr = IOVA + i * 0x2000ULL;

    if (atc && i % 2) {
        return smmu_atc_inv(bench_rid(dev), 0, addr, 0);
    }
    if (g_str_equal(bench.workload, "range")) {
        return smmu_tlbi_range(ASID + dev, addr, true, 12, 0, 0, 0);
    }
    return smmu_tlbi_va(ASID + dev, addr, true);
}

static void run(void)
{
    BenchCount before;
    SmmuRig r;

    start(&r);
    bind_streams(&r);
    bench_begin(r.m, &before);
    for (unsigned i = 0; i < bench.times; i++) {
        for (unsigned j = 0; j < bench.commands; j++) {
            smmu_queue_push(&r.cmdq, command(j));
        }
        smmu_rig_sync(&r);
    }
    bench_end(r.m, &before);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    static const char *const workloads[] = { "va", "range", "va-atc", NULL };

    g_test_init(&argc, &argv, NULL);
    bench_parse(&bench, argc, argv, workloads);
    qtest_add_func("/smmu-nested-bench", run);
    return g_test_run();
}
