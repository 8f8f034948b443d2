/*
 * Unit tests of the nested IOMMU core: turns
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

/* PASIDs, each with a table of its own */
#define PASIDS 1000

typedef struct Test {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
    unsigned went_on;
} Test;

static void front_go_on(void *opaque)
{
    ((Test *)opaque)->went_on++;
}

static void setup(Test *t)
{
    static const IOMMUFDNestedOps ops = { .go_on = front_go_on };
    const IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
    };

    fake_reset();
    t->went_on = 0;
    t->n = iommufd_nested_new(&config, &ops, t);
    t->idev = fake_device("d0", fake_parent(NEST));
    t->dev = iommufd_nested_device_add(t->n, t->idev, NULL, &error_abort);
}

static void teardown(Test *t)
{
    iommufd_nested_device_remove(t->dev);
    fake_device_free(t->idev);
    iommufd_nested_free(t->n);
}

/* Steps that are left in this turn, or a new one */
static unsigned steps(Test *t)
{
    unsigned num = 0;

    while (iommufd_nested_turn(t->n)) {
        num++;
    }
    return num;
}

static void test_steps(void)
{
    Test t;

    setup(&t);
    g_assert_cmpuint(steps(&t), ==, IOMMUFD_NESTED_TURN);
    g_assert_true(iommufd_nested_is_put_off(t.n));

    /* Not before the main loop has had its turn */
    g_assert_cmpuint(steps(&t), ==, 0);
    g_assert_cmpuint(t.went_on, ==, 0);
    g_assert_true(fake_main_loop());
    g_assert_cmpuint(t.went_on, ==, 1);
    g_assert_false(iommufd_nested_is_put_off(t.n));
    g_assert_false(fake_main_loop());
    g_assert_cmpuint(steps(&t), ==, IOMMUFD_NESTED_TURN);
    g_assert_true(fake_main_loop());

    /* A queue that ends begins its next one anew */
    for (unsigned i = 0; i < 3 * IOMMUFD_NESTED_TURN; i++) {
        g_assert_true(iommufd_nested_turn(t.n));
        if (i % 1000 == 0) {
            iommufd_nested_turn_end(t.n);
        }
    }
    teardown(&t);
}

static void bind_pasid(Test *t, uint32_t pasid)
{
    uint64_t root = pasid * 0x1000;
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .domain = 1,
        .index_pasid = pasid,
    };

    g_assert_true(iommufd_nested_set(t->dev, pasid, &tr, &error_abort));
}

/* What the host does counts more, also what it refuses */
static void test_calls(void)
{
    const unsigned one = 2 * IOMMUFD_NESTED_CALL;
    IOMMUFDNestedTranslation tr = { .state = IOMMUFD_NESTED_BYPASS };
    Error *err = NULL;
    Test t;

    setup(&t);
    g_assert_true(iommufd_nested_turn(t.n));
    bind_pasid(&t, 1);
    iommufd_nested_count_read(t.n);
    g_assert_cmpuint(steps(&t), ==, IOMMUFD_NESTED_TURN - 2 - one -
                                    IOMMUFD_NESTED_CALL);
    g_assert_true(fake_main_loop());

    g_assert_true(iommufd_nested_turn(t.n));
    fake.fail_at = fake.total + 1;
    fake.fail_errno = ENOMEM;
    g_assert_false(iommufd_nested_set(t.dev, 1, &tr, &err));
    error_free(err);
    g_assert_cmpuint(steps(&t), <=, IOMMUFD_NESTED_TURN - 1 - one);
    teardown(&t);
}

/* A flush of many HWPTs, one piece each turn; all of it is one flush */
static void test_flush(void)
{
    IOMMUFDNestedInvError fail;
    uint8_t entry[FAKE_ENTRY_LEN] = {};
    unsigned turns = 0;
    Test t;

    setup(&t);
    for (uint32_t pasid = 1; pasid <= PASIDS; pasid++) {
        bind_pasid(&t, pasid);
    }
    g_assert_true(iommufd_nested_inv_all(t.n, entry, 0, NULL, &error_abort));
    while (iommufd_nested_inv_pending(t.n)) {
        unsigned before = fake.num_sent;

        turns++;
        g_assert_true(iommufd_nested_inv_flush_on(t.n, &fail, &error_abort));
        g_assert_cmpuint(fake.num_sent, >, before);
        g_assert_cmpuint(fake.num_sent - before, <=,
                         IOMMUFD_NESTED_TURN / IOMMUFD_NESTED_CALL);
        g_assert_cmpint(iommufd_nested_is_put_off(t.n), ==,
                        iommufd_nested_inv_pending(t.n));
        fake_main_loop();
    }
    g_assert_cmpuint(fake.num_sent, ==, PASIDS);
    g_assert_cmpuint(turns, ==, t.went_on + 1);
    g_assert_cmpuint(turns, >=, PASIDS * IOMMUFD_NESTED_CALL /
                                IOMMUFD_NESTED_TURN);
    teardown(&t);
}

/* While the VM stands still nothing goes on, and a reset has nothing left */
static void test_stop_and_reset(void)
{
    Test t;

    setup(&t);
    steps(&t);
    iommufd_nested_set_running(t.n, false);
    fake_main_loop();
    g_assert_cmpuint(t.went_on, ==, 0);
    g_assert_true(iommufd_nested_is_put_off(t.n));
    iommufd_nested_set_running(t.n, true);
    fake_main_loop();
    g_assert_cmpuint(t.went_on, ==, 1);

    steps(&t);
    iommufd_nested_reset(t.n);
    g_assert_false(iommufd_nested_is_put_off(t.n));
    fake_main_loop();
    g_assert_cmpuint(t.went_on, ==, 1);
    g_assert_cmpuint(steps(&t), ==, IOMMUFD_NESTED_TURN);
    teardown(&t);
}

int main(int argc, char **argv)
{
    module_call_init(MODULE_INIT_QOM);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iommufd/turn/steps", test_steps);
    g_test_add_func("/iommufd/turn/calls", test_calls);
    g_test_add_func("/iommufd/turn/flush", test_flush);
    g_test_add_func("/iommufd/turn/stop-and-reset", test_stop_and_reset);
    return g_test_run();
}
