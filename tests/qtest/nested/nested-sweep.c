/*
 * A guest's whole life, and every host call of it fails once: what the sweeps
 * have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "nested-sweep.h"

bool nested_sweep_is(const NestedSweep *s, const char *call)
{
    return s->call && !strcmp(s->call, call);
}

static uint64_t failures(NestedSweep *s)
{
    if (!s->call) {
        return 0;
    }
    /* Read-only memory is not mapped, and unmapped all the same: ENOENT */
    if (nested_sweep_is(s, "IOAS_UNMAP")) {
        /* The journal knows best, but takes long when it is long */
        return iommufd_model_journal(s->m, "\"ev\":\"injected\"");
    }
    return iommufd_model_counter(s->m, s->call, "errors");
}

bool nested_sweep_injected(NestedSweep *s)
{
    return failures(s) != s->failures;
}

/* ------------------------------------------------------ what devices read */

void nested_sweep_want(NestedSweep *s, unsigned dev, unsigned at, int value)
{
    s->want[dev][at] = value;
}

void nested_sweep_want_nothing(NestedSweep *s, unsigned dev)
{
    for (unsigned i = 0; i < s->num_at; i++) {
        nested_sweep_want(s, dev, i, -1);
    }
}

/* @value is not what the guest wants, which has to have a reason */
static void check_wrong(NestedSweep *s, unsigned dev, unsigned at, int value)
{
    if (!nested_sweep_injected(s)) {
        g_error("device %u at %u: read %d, not %d", dev, at, value,
                s->want[dev][at]);
    }
    if (value != s->was[dev][at] ||
        !(nested_sweep_is(s, "DETACH_IOMMUFD_PT") || s->old_stays)) {
        g_assert_cmpint(value, ==, -1);
    }
}

bool nested_sweep_check(NestedSweep *s)
{
    IommufdDmaOp op[SWEEP_DEVS * SWEEP_AT];
    unsigned num = SWEEP_DEVS * s->num_at;
    bool all = true;

    for (unsigned i = 0; i < num; i++) {
        op[i] = s->look(i / s->num_at, i % s->num_at);
    }
    iommufd_model_dma_batch(s->m, op, num);
    for (unsigned i = 0; i < num; i++) {
        int value = op[i].fault ? -1 : op[i].data & 0xff;

        if (value != s->want[i / s->num_at][i % s->num_at]) {
            check_wrong(s, i / s->num_at, i % s->num_at, value);
            all = false;
        }
    }
    if (all) {
        memcpy(s->was, s->want, sizeof(s->was));
    }
    return all;
}

void nested_sweep_wait_not_busy(NestedSweep *s)
{
    for (unsigned i = 0; !nested_sweep_check(s); i++) {
        g_assert_cmpuint(i, <, 1000);
        qtest_clock_step(s->qts, 20 * 1000 * 1000);
        g_usleep(5000);
    }
}

/* ---------------------------------------------------------------- hot-plug */

static char *try_plug(NestedSweep *s, unsigned i, const char *id,
                      const char *host)
{
    g_autofree char *bus = g_strdup_printf("rp%u", i);
    QDict *answer = qtest_qmp(s->qts, "{ 'execute': 'device_add', "
        "'arguments': { 'driver': 'vfio-pci', 'id': %s, 'host': %s, "
        "'bus': %s, 'iommufd': 'iommufd0' } }", id, host, bus);
    QDict *error = qdict_get_qdict(answer, "error");
    char *text = error ? g_strdup(qdict_get_str(error, "desc")) : NULL;

    qobject_unref(answer);
    return text;
}

void nested_sweep_plug(NestedSweep *s, unsigned i, const char *id,
                       const char *host)
{
    uint64_t live = iommufd_model_live(s->m, NULL);
    g_autofree char *error = try_plug(s, i, id, host);

    if (error) {
        g_autofree char *again = NULL;

        g_assert_true(nested_sweep_injected(s));
        g_assert_nonnull(strstr(error, host));
        g_assert_cmpuint(iommufd_model_live(s->m, NULL), ==, live);
        again = try_plug(s, i, id, host);
        g_assert_cmpstr(again, ==, NULL);
    }
}

/* ------------------------------------------------------------------- sweep */

/*
 * Closing the iommufd frees everything. What had been forgotten until then
 * has kept something else from being destroyed.
 */
static void expect_no_leak(NestedSweep *s, uint64_t destroy_errors)
{
    g_assert_cmpuint(iommufd_model_live(s->m, NULL), ==, 0);
    if (!nested_sweep_is(s, "DESTROY") &&
        !nested_sweep_is(s, "DETACH_IOMMUFD_PT")) {
        g_assert_cmpuint(iommufd_model_counter(s->m, "DESTROY", "errors"), ==,
                         destroy_errors);
    }
}

/* Returns: whether it came to the failure */
static bool run(NestedSweep *s, const char *call, const char *err,
                const char *order, bool brief)
{
    uint64_t destroy_errors = iommufd_model_counter(s->m, "DESTROY",
                                                    "errors");
    bool hit;

    s->call = call;
    s->err = err;
    s->failures = failures(s);
    if (call) {
        iommufd_model_do(s->m, "{\"cmd\":\"fault\",\"on\":\"%s\"}", order);
    }
    for (unsigned i = 0; i < SWEEP_DEVS; i++) {
        nested_sweep_want_nothing(s, i);
    }
    s->old_stays = false;
    s->live(s->opaque, brief);
    hit = nested_sweep_injected(s);
    iommufd_model_do(s->m, "{\"cmd\":\"fault-clear\"}");
    expect_no_leak(s, destroy_errors);
    return hit;
}

void nested_sweep_one(NestedSweep *s, const char *call, const char *err,
                      bool brief, const char *order)
{
    g_test_message("%s", order);
    g_assert_true(run(s, call, err, order, brief));
}

void nested_sweep_none(NestedSweep *s, bool brief)
{
    run(s, NULL, NULL, NULL, brief);
}

void nested_sweep_all(NestedSweep *s, const SweepKind *kind)
{
    unsigned others = 0;
    uint64_t calls = iommufd_model_counter(s->m, kind->call, "calls");

    nested_sweep_none(s, kind->brief);
    calls = iommufd_model_counter(s->m, kind->call, "calls") - calls;
    g_assert_cmpuint(calls, >, 0);
    calls = kind->most ? MIN(calls, kind->most) : calls;
    while (kind->errs[1 + others]) {
        others++;
    }
    for (unsigned nth = 1; nth <= calls; nth++) {
        for (unsigned i = 0; i < MIN(1 + others, 2); i++) {
            const char *err = kind->errs[i ? 1 + nth % others : 0];
            g_autofree char *order = g_strdup_printf("%s:%u:errno=%s",
                                                     kind->call, nth, err);

            nested_sweep_one(s, kind->call, err, kind->brief, order);
        }
    }
    g_test_message("%s: %" PRIu64 " calls, each failed", kind->call, calls);
}
