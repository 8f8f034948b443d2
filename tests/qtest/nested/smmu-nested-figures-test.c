/*
 * SMMUv3 nesting: what guest commands cost in calls of the host
 *
 * Counted by the model, so that the numbers are the same on every machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "smmu-rig.h"

#define IOVA        0x4000000000ULL
#define ASID        5
#define DEVS_MAX    64
/* Commands in one call */
#define PIECE       1008
/* Events that the host keeps, and that are read at once */
#define DEPTH       256
#define AT_ONCE     115

/* All but reads of the event queue, which come when they come */
static uint64_t host_calls(SmmuRig *r)
{
    return iommufd_model_calls(r->m) -
           iommufd_model_counter(r->m, "queue-read", "calls");
}

static void expect_cost(SmmuRig *r, const char *what, uint64_t *before,
                        unsigned cost)
{
    uint64_t now = host_calls(r);

    g_test_message("%s: %" PRIu64 " calls", what, now - *before);
    g_assert_cmpuint(now - *before, ==, cost);
    *before = now;
}

/* ----------------------------------------------------- any number of them */

/* Eight functions in each slot, from 00:04.0 on */
static uint32_t sid_of(unsigned i)
{
    return SID0 + i;
}

static void start(SmmuRig *r, unsigned num)
{
    g_autoptr(GString) host = g_string_new("[host]\narch=smmuv3\n[iommu 0]\n");
    g_autoptr(GString) args = g_string_new("");

    for (unsigned i = 0; i < num; i++) {
        g_autofree char *bdf = g_strdup_printf("0000:%02x:00.0", i + 1);

        g_string_append_printf(host, "[device %s]\ngroup=%u\n", bdf, i + 1);
        g_string_append_printf(args, "-device vfio-pci,host=%s,"
                               "iommufd=iommufd0,bus=pcie.0,addr=%x.%u%s ",
                               bdf, 4 + i / 8, i % 8,
                               i % 8 ? "" : ",multifunction=on");
    }
    smmu_rig_start(r, host->str, "nested=on", 0, args->str);
    smmu_rig_enable(r, 10);
}

/* One STE, or one each, for all devices */
static void bind_all(SmmuRig *r, unsigned num, bool shared)
{
    SmmuCdTable cds;
    SmmuS1 s1;

    for (unsigned i = 0; i < num; i++) {
        if (!i || !shared) {
            s1 = smmu_rig_s1(r, IOVA, 0);
            smmu_cdtab_init(&cds, &r->mem, SMMU_S1FMT_LINEAR, 0);
            smmu_cd_set(&cds, 0, &s1, ASID + i);
        }
        smmu_ste_set(&r->t, sid_of(i),
                     &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    }
    smmu_queue_push(&r->cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(r);
}

/* ------------------------------------------------------------- CMD_SYNC */

typedef struct Case {
    unsigned devices;
    unsigned commands;
} Case;

/*
 * One call for each 1,008 commands, whatever they are and whoever they are for
 */
static void test_sync(gconstpointer opaque)
{
    const Case *c = opaque;
    uint64_t before, entries;
    SmmuRig r;

    start(&r, c->devices);
    bind_all(&r, c->devices, false);
    for (unsigned i = 0; i < c->commands; i++) {
        unsigned dev = i % c->devices;

        smmu_queue_push(&r.cmdq, i % 3 ?
                        smmu_tlbi_va(ASID + dev, IOVA + i * 4096, true) :
                        smmu_cfgi_cd(sid_of(dev), 0, true));
    }
    before = host_calls(&r);
    entries = smmu_rig_entries(&r);
    smmu_rig_sync(&r);
    before = host_calls(&r) - before;
    entries = smmu_rig_entries(&r) - entries;
    g_test_message("%u devices, %u commands: %" PRIu64 " calls, %" PRIu64
                   " entries", c->devices, c->commands, before, entries);
    g_assert_cmpuint(before, ==, DIV_ROUND_UP(c->commands, PIECE));
    g_assert_cmpuint(entries, ==, c->commands);
    smmu_rig_stop(&r);
}

/* -------------------------------------------------- configuration changes */

/* What is told of one stream costs the same with 64 devices as with one */
static void test_one_of(gconstpointer opaque)
{
    unsigned num = GPOINTER_TO_UINT(opaque);
    uint32_t sid = sid_of(num - 1);
    SmmuCdTable cds;
    uint64_t before;
    SmmuS1 s1;
    SmmuRig r;

    start(&r, num);
    before = host_calls(&r);
    smmu_rig_stage1(&r, sid, ASID, IOVA, 0);
    expect_cost(&r, "first stage 1 (vDEVICE, HWPT, attach)", &before, 3);
    s1 = smmu_rig_s1(&r, IOVA, 1);
    smmu_cdtab_init(&cds, &r.mem, SMMU_S1FMT_LINEAR, 0);
    smmu_cd_set(&cds, 0, &s1, ASID);
    smmu_rig_ste(&r, sid, &(SmmuSte) { .cfg = SMMU_STE_S1, .cds = &cds });
    expect_cost(&r, "another STE (HWPT, attach, destroy)", &before, 3);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(sid, true));
    smmu_rig_sync(&r);
    expect_cost(&r, "the same STE (its CDs)", &before, 1);
    smmu_rig_ste(&r, sid, &(SmmuSte) { .cfg = SMMU_STE_BYPASS });
    expect_cost(&r, "bypass (attach, destroy)", &before, 2);
    smmu_rig_ste(&r, sid, &(SmmuSte) { .cfg = SMMU_STE_ABORT });
    expect_cost(&r, "abort (detach)", &before, 1);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste(sid, true));
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(&r);
    expect_cost(&r, "nothing new for anybody", &before, 0);
    smmu_rig_stop(&r);
}

/* All at once: two calls for each device, and one HWPT if they share it */
static void test_all(void)
{
    const unsigned num = DEVS_MAX;
    uint64_t before, entries;
    SmmuRig r;

    start(&r, num);
    before = host_calls(&r);
    bind_all(&r, num, true);
    expect_cost(&r, "64 equal STEs (HWPT; vDEVICE, attach each)", &before,
                1 + 2 * num);
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, IDLE_HWPTS + 1);
    entries = smmu_rig_entries(&r);
    smmu_queue_push(&r.cmdq, smmu_cfgi_ste_all());
    smmu_rig_sync(&r);
    expect_cost(&r, "CFGI_ALL without news", &before, 1);
    g_assert_cmpuint(smmu_rig_entries(&r) - entries, ==, num);
    smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1 << 2);
    expect_cost(&r, "SMMUEN off (attach each, destroy)", &before, num + 1);
    smmu_rig_write(&r, SMMU_REG_CR0, 1 << 3 | 1 << 2 | 1);
    expect_cost(&r, "SMMUEN on (HWPT, attach each)", &before, num + 1);
    smmu_rig_stop(&r);
}

/* ------------------------------------------------------------------ events */

static void inject(SmmuRig *r, unsigned num)
{
    g_autofree char *rest = g_strnfill(48, '0');

    for (unsigned i = 0; i < num; i++) {
        iommufd_model_do(r->m, "{\"cmd\":\"event\",\"iommu\":0,\"sid\":%u,"
                         "\"event\":\"1000000000000000%s\"}", SID0, rest);
    }
}

static uint64_t reads(SmmuRig *r)
{
    return iommufd_model_counter(r->m, "queue-read", "calls");
}

/* Events that have come while the VM was stopped */
static void test_events(gconstpointer opaque)
{
    unsigned num = GPOINTER_TO_UINT(opaque), kept = MIN(num, DEPTH);
    uint64_t before;
    uint64_t lost;
    SmmuRig r;

    start(&r, 1);
    bind_all(&r, 1, true);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'stop' }");
    before = reads(&r);
    inject(&r, num);
    g_assert_cmpuint(reads(&r), ==, before);
    qtest_qmp_assert_success(r.qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; i < kept; i++) {
        for (unsigned j = 0; !smmu_rig_event(&r, NULL); j++) {
            g_assert_cmpuint(j, <, 5000);
            g_usleep(1000);
        }
    }
    /* The last one finds nothing */
    for (unsigned i = 0;
         reads(&r) - before <= DIV_ROUND_UP(kept, AT_ONCE); i++) {
        g_assert_cmpuint(i, <, 5000);
        g_usleep(1000);
    }
    before = reads(&r) - before;
    lost = iommufd_model_counter(r.m, "event-lost", "calls") > 0;
    g_test_message("%u events: %u taken with %" PRIu64 " reads%s", num, kept,
                   before, lost ? ", the rest is lost with the host" : "");
    g_assert_cmpuint(before, ==, DIV_ROUND_UP(kept, AT_ONCE) + 1);
    g_assert_cmpuint(lost, ==, num > DEPTH);
    g_assert_cmpuint(smmu_rig_event(&r, NULL), ==, 0);
    smmu_rig_stop(&r);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        { 1, 1 }, { 1, 64 }, { 1, 1024 },
        { 4, 1 }, { 4, 64 }, { 4, 1024 },
        { 64, 1 }, { 64, 64 }, { 64, 1024 },
    };
    static const unsigned nums[] = { 1, 4, DEVS_MAX };
    static const unsigned events[] = { 1, 64, DEPTH, 4 * DEPTH };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf(
            "/smmu-nested/figures/sync/%u-devices/%u", cases[i].devices,
            cases[i].commands);

        qtest_add_data_func(path, &cases[i], test_sync);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(nums); i++) {
        g_autofree char *path = g_strdup_printf(
            "/smmu-nested/figures/one-of/%u", nums[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(nums[i]), test_one_of);
    }
    qtest_add_func("/smmu-nested/figures/all", test_all);
    for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
        g_autofree char *path = g_strdup_printf(
            "/smmu-nested/figures/events/%u", events[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(events[i]), test_events);
    }
    return g_test_run();
}
