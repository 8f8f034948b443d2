/*
 * VT-d nesting: every call on the host fails once, at each of its turns
 *
 * Whatever fails, DMA either goes where the guest's tables say or nowhere; the
 * guest is told; once the host works again everything can be had by what a
 * guest does about an error; and nothing is left on the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-rig.h"

#define IOVA    0x4000000000ULL
#define DID     5
#define STEPS   5

static const char *const devs[] = { HOST_DEV0, HOST_DEV1 };

/* What the tables say that the first device reads, by step; -1: nothing */
static void step(VtdRig *r, unsigned i, uint64_t *s1)
{
    switch (i) {
    case 0:                     /* first-stage for both */
        *s1 = vtd_rig_s1(r, IOVA, 1);
        for (unsigned j = 0; j < ARRAY_SIZE(devs); j++) {
            vtd_context_scalable(&r->t, RID0 + j * 8, 7, 0, 0);
            vtd_pasid_set(&r->t, RID0 + j * 8, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = *s1, .s1_levels = 4,
            });
        }
        vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        break;
    case 1:                     /* another page in the same tables */
        vtd_s1_map(&r->mem, *s1, 4, IOVA, DATA + 2 * 4096, 4096, 12,
                   VTD_S1_USER_RW);
        vtd_queue_push(&r->q, vtd_inv_piotlb(DID, 0, IOVA, 0, true));
        break;
    case 2:                     /* other tables */
        *s1 = vtd_rig_s1(r, IOVA, 3);
        for (unsigned j = 0; j < ARRAY_SIZE(devs); j++) {
            vtd_pasid_set(&r->t, RID0 + j * 8, 0, &(VtdPasidEntry) {
                .pgtt = VTD_PGTT_FIRST, .did = DID, .s1 = *s1, .s1_levels = 4,
            });
        }
        vtd_queue_push(&r->q, vtd_inv_pasid_cache(VTD_PC_PASID, DID, 0));
        break;
    case 3:                     /* the page goes away */
        vtd_s1_unmap(&r->mem, *s1, 4, IOVA, 4096);
        vtd_queue_push(&r->q, vtd_inv_piotlb(DID, 0, IOVA, 0, false));
        break;
    case 4:                     /* and the tables */
        for (unsigned j = 0; j < ARRAY_SIZE(devs); j++) {
            vtd_context_clear(&r->t, RID0 + j * 8);
        }
        vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        break;
    }
}

static const int expected[STEPS] = { 0x11, 0x22, 0x33, -1, -1 };

/* Returns whether everything works as without failures */
static bool check(VtdRig *r, unsigned i)
{
    bool all = true;

    for (unsigned j = 0; j < ARRAY_SIZE(devs); j++) {
        int value = vtd_rig_peek(r, devs[j], NULL, IOVA);

        g_assert_true(value == -1 || value == expected[i]);
        all &= value == expected[i];
    }
    return all;
}

/* What a guest does: clear the error, and say everything again */
static void recover(VtdRig *r)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        r->regs.write32(r->regs.opaque, VTD_REG_FSTS, VTD_FSTS_IQE_BIT);
        vtd_rig_take_fault(r, NULL);
        vtd_queue_push(&r->q, vtd_inv_context(VTD_INV_GLOBAL, 0, 0));
        vtd_queue_push(&r->q, vtd_inv_iotlb(VTD_INV_GLOBAL, 0, 0, 0, false));
        if (vtd_queue_sync(&r->q, &r->regs)) {
            return;
        }
    }
    g_assert_not_reached();
}

/* @call fails at its @nth time. Returns whether it came to that */
static bool run(const char *call, unsigned nth, const char *err)
{
    uint64_t s1 = 0, errors;
    bool hit;
    VtdRig r;

    vtd_rig_start_simple(&r, ARRAY_SIZE(devs));
    for (unsigned i = 1; i <= 3; i++) {
        vtd_rig_fill(&r, i, i * 0x11);
    }
    vtd_rig_enable(&r);
    errors = iommufd_model_counter(r.m, call, "errors");
    iommufd_model_do(r.m, "{\"cmd\":\"fault\",\"on\":\"%s:%u:errno=%s\"}",
                     call, nth, err);
    for (unsigned i = 0; i < STEPS; i++) {
        bool done;

        step(&r, i, &s1);
        done = vtd_queue_sync(&r.q, &r.regs);
        if (!done || !check(&r, i)) {
            /* The guest sees it: the queue stopped in front of the wait */
            g_assert_false(done);
            g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, !=, 0);
            check(&r, i);
            recover(&r);
        }
        g_assert_true(check(&r, i));
        g_assert_cmphex(vtd_rig_fsts(&r) & VTD_FSTS_IQE_BIT, ==, 0);
    }
    hit = iommufd_model_counter(r.m, call, "errors") != errors;
    vtd_rig_translation(&r, false);
    /* The parent is all that is left */
    g_assert_cmpuint(iommufd_model_live(r.m, "hwpt"), ==, 1);
    vtd_rig_stop(&r);
    return hit;
}

static void test_sweep(gconstpointer opaque)
{
    const char *call = opaque;
    unsigned nth = 1;

    while (run(call, nth, "EIO")) {
        nth++;
    }
    g_test_message("%s failed at each of its %u turns", call, nth - 1);
    g_assert_cmpuint(nth, >, 1);
    run(call, 1, "ENOMEM");
    run(call, 1, "EINVAL");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /*
     * The kernel documents no failure of a detach or a destruction, and there
     * would be nothing to fall back on.
     */
    qtest_add_data_func("/vtd-nested/fail/hwpt-alloc", "HWPT_ALLOC",
                        test_sweep);
    qtest_add_data_func("/vtd-nested/fail/attach", "ATTACH_IOMMUFD_PT",
                        test_sweep);
    qtest_add_data_func("/vtd-nested/fail/invalidate", "HWPT_INVALIDATE",
                        test_sweep);
    return g_test_run();
}
