/*
 * Unit tests of the nested IOMMU core: shadows of second-stage tables
 *
 * The table is an array of pages. Whatever happened, and whatever has failed
 * meanwhile: who is attached goes where it says, once that was synchronised.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"
#include "hw/iommufd/core.h"

#define RID     IOMMUFD_NESTED_RID
#define PAGE    ((uint64_t)IOMMUFD_NESTED_PAGE)
#define DOMAIN  5
#define PAGES   256
#define LARGE   16
#define STEPS   3000

typedef struct Page {
    bool large;                 /* one of LARGE, all with this */
    bool read, write;
    uint64_t gpa;
} Page;

typedef struct Test {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev[2];
    IOMMUFDNestedDevice *dev[2];
    GRand *rand;
    Page page[PAGES];
    unsigned blocked, late;
} Test;

static uint32_t label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return GPOINTER_TO_UINT(iommufd_nested_device_opaque(dev));
}

static void shadow_next(void *opaque, const void *data, uint64_t first,
                        uint64_t last, bool joined, IOMMUFDNestedRun *run)
{
    Test *t = opaque;
    uint64_t i = first / PAGE, end = MIN(last / PAGE + 1, i + 64);
    const Page *p;

    while (i < end && i < PAGES && !t->page[i].read && !t->page[i].write) {
        i++;
    }
    *run = (IOMMUFDNestedRun) { .iova = MAX(i * PAGE, first) };
    if (i >= PAGES) {
        run->iova = last + 1;
        return;
    }
    if (i == end) {
        run->iova = end * PAGE;
        return;
    }
    p = &t->page[i];
    i = p->large ? ROUND_DOWN(i, LARGE) : i;
    run->iova = i * PAGE;
    run->gpa = p->gpa;
    run->size = p->large ? LARGE * PAGE : PAGE;
    run->read = p->read;
    run->write = p->write;
    while (joined && !p->large && ++i < end && !t->page[i].large &&
           t->page[i].read == p->read && t->page[i].write == p->write &&
           t->page[i].gpa == run->gpa + run->size) {
        run->size += PAGE;
    }
}

static void blocked(void *opaque, IOMMUFDNestedDevice *dev, uint32_t pasid,
                    const char *why)
{
    Test *t = opaque;

    t->blocked++;
}

static void late(void *opaque)
{
    Test *t = opaque;

    t->late++;
}

static void go_on(void *opaque)
{
}

static const IOMMUFDNestedOps ops = {
    .label = label,
    .blocked = blocked,
    .shadow_next = shadow_next,
    .shadow_late = late,
    .go_on = go_on,
};

static const uint64_t name_of_table = 0x1000;

static const IOMMUFDNestedTranslation to_shadow = {
    .state = IOMMUFD_NESTED_SHADOW,
    .domain = DOMAIN,
    .data = &name_of_table,
    .data_len = sizeof(name_of_table),
    .last = PAGES * PAGE - 1,
};

static void setup_with(Test *t, const IOMMUFDNestedConfig *config)
{
    static const char *const names[] = { "d0", "d1" };
    uint32_t parent;

    memset(t, 0, sizeof(*t));
    fake_reset();
    fake_ioas_reset();
    parent = fake_parent(IOMMU_HWPT_ALLOC_NEST_PARENT);
    t->n = iommufd_nested_new(config, &ops, t);
    t->rand = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        t->idev[i] = fake_device(names[i], parent);
        t->dev[i] = iommufd_nested_device_add(t->n, t->idev[i],
                                              GUINT_TO_POINTER(0x100 + i),
                                              &error_abort);
    }
}

static void setup(Test *t)
{
    static const IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
    };

    setup_with(t, &config);
}

static void teardown(Test *t)
{
    fake.fail_at = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(t->dev); i++) {
        iommufd_nested_device_remove(t->dev[i]);
        fake_device_free(t->idev[i]);
    }
    g_assert_cmpuint(fake_objects(), ==, 0);
    iommufd_nested_free(t->n);
    g_rand_free(t->rand);
}

static bool set(Test *t, unsigned dev)
{
    return iommufd_nested_set(t->dev[dev], RID, &to_shadow, NULL);
}

static uint64_t should_be(const Test *t, unsigned i, bool write)
{
    const Page *p = &t->page[i];
    uint64_t gpa = p->gpa + (p->large ? i % LARGE * PAGE : 0);

    return gpa < (write ? FAKE_RAM / 2 : FAKE_RAM) &&
           (write ? p->write : p->read) ? gpa : FAKE_NOWHERE;
}

static void check(Test *t, unsigned dev)
{
    uint32_t id = fake_attached(t->idev[dev], RID);
    uint32_t ioas;

    g_assert_cmpuint(id, !=, 0);
    ioas = fake_ioas_of(id);
    for (unsigned i = 0; i < PAGES; i++) {
        g_assert_cmphex(fake_ioas_lookup(ioas, i * PAGE, false), ==,
                        should_be(t, i, false));
        g_assert_cmphex(fake_ioas_lookup(ioas, i * PAGE, true), ==,
                        should_be(t, i, true));
    }
}

static unsigned upto(Test *t, unsigned num)
{
    return g_rand_int_range(t->rand, 0, num);
}

/* Some pages are others, and told so */
static void edit(Test *t)
{
    unsigned first = upto(t, PAGES), num = 1 + upto(t, 24), how = upto(t, 10);
    uint64_t gpa = upto(t, FAKE_RAM / PAGE + 8) * PAGE;
    Page fresh = {
        .large = how < 2, .read = how < 8, .write = how < 6 || how == 8,
    };

    if (fresh.large || t->page[first].large) {
        first = ROUND_DOWN(first, LARGE);
        num = LARGE;
    }
    for (unsigned i = first; i < MIN(first + num, PAGES); i++) {
        if (!fresh.large && t->page[i].large && i - first >= num) {
            break;
        }
        t->page[i] = fresh;
        t->page[i].gpa = fresh.large ? gpa : gpa + (i - first) * PAGE;
    }
    /* What is left of a large page that begins in the range is no page */
    for (unsigned i = first + num; i % LARGE && i < PAGES; i++) {
        if (t->page[i].large && !fresh.large) {
            t->page[i] = (Page) { };
        }
    }
    if (upto(t, 20) == 0) {
        iommufd_nested_shadow_stale_domain(t->n, DOMAIN);
    } else {
        iommufd_nested_shadow_stale(t->n, DOMAIN, first * PAGE,
                                    ROUND_UP(first + num, LARGE) * PAGE - 1);
    }
    iommufd_nested_shadow_stale(t->n, DOMAIN + 1, 0, UINT64_MAX);
}

static void sync_in_turns(Test *t)
{
    while (!iommufd_nested_shadow_sync(t->n, true)) {
        g_assert_true(fake_main_loop());
    }
    iommufd_nested_turn_end(t->n);
}

static void test_random(void)
{
    Test t;

    setup(&t);
    g_assert_true(set(&t, 0));
    g_assert_true(set(&t, 1));
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==,
                     fake_attached(t.idev[1], RID));
    for (unsigned step = 0; step < STEPS; step++) {
        for (unsigned i = upto(&t, 6); i; i--) {
            edit(&t);
        }
        if (upto(&t, 2)) {
            sync_in_turns(&t);
        } else {
            g_assert_true(iommufd_nested_shadow_sync(t.n, false));
        }
        check(&t, 0);
        if (upto(&t, 50) == 0) {
            g_assert_true(iommufd_nested_set(t.dev[0], RID, NULL, NULL));
            edit(&t);
            g_assert_true(set(&t, 0));
            sync_in_turns(&t);
            check(&t, 1);
        }
    }
    g_assert_cmpuint(t.blocked, ==, 0);
    teardown(&t);
}

/* Any call fails now and then: blocked, or right, and never for good */
static void test_failing(void)
{
    unsigned failed = 0;
    Test t;

    setup(&t);
    g_assert_true(set(&t, 0));
    g_assert_true(set(&t, 1));
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned before = t.blocked;

        fake.fail_at = fake.total + 1 + upto(&t, 12);
        fake.fail_errno = ENOMEM;
        edit(&t);
        if (upto(&t, 3) == 0) {
            iommufd_nested_set(t.dev[upto(&t, 2)], RID, NULL, NULL);
        }
        sync_in_turns(&t);
        for (unsigned i = 0; i < 2; i++) {
            if (iommufd_nested_get(t.dev[i], RID, NULL) ==
                IOMMUFD_NESTED_SHADOW) {
                check(&t, i);
            } else if (fake_attached(t.idev[i], RID)) {
                g_assert_cmpuint(fake.failed, ==, FAKE_DETACH);
            }
        }
        failed += t.blocked - before;
        set(&t, 0);
        set(&t, 1);
        fake.fail_at = 0;
        sync_in_turns(&t);
        for (unsigned i = 0; i < 2; i++) {
            g_assert_true(set(&t, i));
            check(&t, i);
        }
    }
    g_assert_cmpuint(failed, >, STEPS / 20);
    teardown(&t);
}

/* Ready before it is attached; a failure is told by the set that follows */
static void test_prepare(void)
{
    Test t;

    setup(&t);
    for (unsigned i = 0; i < PAGES; i++) {
        t.page[i] = (Page) { .read = true, .gpa = (i ^ 1) % 64 * PAGE };
    }
    while (!iommufd_nested_shadow_prepare(t.dev[0], &to_shadow, true)) {
        g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, 0);
        g_assert_true(fake_main_loop());
    }
    iommufd_nested_turn_end(t.n);
    g_assert_cmpuint(fake.calls[FAKE_IOAS_COPY], ==, PAGES);
    g_assert_true(set(&t, 0));
    g_assert_cmpuint(fake.calls[FAKE_IOAS_COPY], ==, PAGES);
    check(&t, 0);

    g_assert_true(iommufd_nested_set(t.dev[0], RID, NULL, NULL));
    g_assert_cmpuint(fake_objects(), ==, 0);
    for (unsigned nth = 1; nth <= 4; nth++) {
        Error *err = NULL;

        fake.fail_at = fake.total + nth;
        fake.fail_errno = ENOMEM;
        g_assert_true(iommufd_nested_shadow_prepare(t.dev[0], &to_shadow,
                                                    true));
        g_assert_false(iommufd_nested_set(t.dev[0], RID, &to_shadow, &err));
        g_assert_nonnull(strstr(error_get_pretty(err), strerror(ENOMEM)));
        error_free(err);
        g_assert_cmpuint(fake_objects(), ==, 0);
        g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    }
    iommufd_nested_turn_end(t.n);
    /* One that nobody asks for in the end */
    fake.fail_at = 0;
    g_assert_true(iommufd_nested_shadow_prepare(t.dev[0], &to_shadow, false));
    g_assert_cmpuint(fake_objects(), ==, 2);
    iommufd_nested_reset(t.n);
    g_assert_cmpuint(fake_objects(), ==, 0);
    g_assert_true(iommufd_nested_shadow_prepare(t.dev[0], &to_shadow, false));
    teardown(&t);
}

/* As many mappings as there may be, and one more */
static void test_bound(void)
{
    static const IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
        .max_areas = 4,
    };
    Error *err = NULL;
    Test t;

    setup_with(&t, &config);
    for (unsigned i = 0; i < 4; i++) {
        t.page[2 * i] = (Page) { .read = true };
    }
    g_assert_true(set(&t, 0));
    check(&t, 0);
    t.page[20].read = true;
    iommufd_nested_shadow_stale(t.n, DOMAIN, 20 * PAGE, 21 * PAGE - 1);
    g_assert_true(iommufd_nested_shadow_sync(t.n, true));
    g_assert_cmpuint(t.blocked, ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_false(iommufd_nested_set(t.dev[0], RID, &to_shadow, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "all 4 shadowed mappings"));
    error_free(err);
    t.page[20].read = false;
    g_assert_true(set(&t, 0));
    check(&t, 0);
    iommufd_nested_turn_end(t.n);
    teardown(&t);
}

/* Memory of the guest that goes takes its mappings along */
static void test_ram(void)
{
    uint32_t ioas;
    Test t;

    setup(&t);
    for (unsigned i = 0; i < 8; i++) {
        t.page[i] = (Page) { .read = true, .gpa = i * PAGE };
    }
    g_assert_true(set(&t, 0));
    ioas = fake_ioas_of(fake_attached(t.idev[0], RID));
    iommufd_shadow_ram_gone(2 * PAGE, 3 * PAGE - 1);
    g_assert_cmphex(fake_ioas_lookup(ioas, PAGE, false), ==, PAGE);
    g_assert_cmphex(fake_ioas_lookup(ioas, 2 * PAGE, false), ==, FAKE_NOWHERE);
    iommufd_shadow_ram_changed();
    check(&t, 0);
    /* It cannot be taken away: nobody may use it */
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EBUSY;
    iommufd_shadow_ram_gone(2 * PAGE, 3 * PAGE - 1);
    iommufd_shadow_ram_changed();
    g_assert_cmpuint(t.blocked, ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_true(set(&t, 0));
    check(&t, 0);
    teardown(&t);
}

/*
 * Pages that devices may have written: what is writable now, each time, and
 * what was until it went, once
 */
static void test_dirty(void)
{
    Test t;

    setup(&t);
    t.page[0] = (Page) { .read = true, .write = true, .gpa = 3 * PAGE };
    t.page[1] = (Page) { .read = true, .gpa = 4 * PAGE };
    t.page[2] = (Page) { .write = true, .gpa = 5 * PAGE };
    g_assert_true(set(&t, 0));
    memset(fake_dirty, 0, sizeof(fake_dirty));
    iommufd_shadow_log_sync();
    iommufd_shadow_log_sync();
    g_assert_cmpuint(fake_dirty[3], ==, 2);
    g_assert_cmpuint(fake_dirty[4], ==, 0);
    g_assert_cmpuint(fake_dirty[5], ==, 2);
    t.page[0] = (Page) {};
    t.page[1] = (Page) {};
    iommufd_nested_shadow_stale(t.n, DOMAIN, 0, 2 * PAGE - 1);
    g_assert_true(iommufd_nested_shadow_sync(t.n, false));
    g_assert_cmpuint(fake_dirty[3], ==, 3);
    g_assert_cmpuint(fake_dirty[4], ==, 0);
    iommufd_shadow_log_sync();
    g_assert_cmpuint(fake_dirty[3], ==, 3);
    g_assert_cmpuint(fake_dirty[5], ==, 3);
    teardown(&t);
    g_assert_cmpuint(fake_dirty[5], ==, 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);
    g_test_add_func("/iommufd/shadow/random", test_random);
    g_test_add_func("/iommufd/shadow/failing", test_failing);
    g_test_add_func("/iommufd/shadow/prepare", test_prepare);
    g_test_add_func("/iommufd/shadow/bound", test_bound);
    g_test_add_func("/iommufd/shadow/ram", test_ram);
    g_test_add_func("/iommufd/shadow/dirty", test_dirty);
    return g_test_run();
}
