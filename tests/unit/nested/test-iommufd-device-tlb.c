/*
 * Unit tests of the nested IOMMU core: device TLBs that are not emptied in time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "inv-rig.h"

/* Devices, of one host instance, in stage 1 */
static void start(InvRig *t)
{
    rig_setup(t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, false);
    iommufd_nested_relabel(t->n, &error_abort);
    for (int i = 0; i < DEVICES; i++) {
        rig_bind(t, i, RID, 0x1000 * (i + 1), 1, 0);
    }
}

static void queue(InvRig *t, const uint64_t *entries, unsigned num)
{
    for (unsigned i = 0; i < num; i++) {
        g_assert_true(iommufd_nested_inv_device(t->dev[0], &entries[i], i,
                                                NULL, &error_abort));
    }
}

static uint32_t viommu(InvRig *t)
{
    return t->dev[0]->host->viommu_id;
}

static void expect_attached(InvRig *t, unsigned mask)
{
    for (int i = 0; i < DEVICES; i++) {
        g_assert_cmpint(!fake_attached(t->idev[i], RID), ==, !(mask >> i & 1));
    }
}

/* What was in between, and what goes where */
static void test_order(void)
{
    static const uint64_t entries[] = {
        RANGE(1, 1), TLB(1, 10), RANGE(3, 3), TLB(2, 20), TLB(1, 11),
        RANGE(5, 5), TLB(2, 21),
    };
    static const uint64_t again[] = {
        RANGE(1, 1), RANGE(3, 3), RANGE(5, 5), TLB(1, 10), TLB(1, 11),
        TLB(2, 20), TLB(2, 21),
    };
    InvRig t;

    start(&t);
    queue(&t, entries, ARRAY_SIZE(entries));
    rig_script(0, -ETIMEDOUT);
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 4);
    rig_expect(viommu(&t), again, ARRAY_SIZE(again));
    g_assert_cmpuint(rig_num_late, ==, 0);
    g_assert_cmpuint(rig_blocked, ==, 0);

    /* One does not answer, whatever it says about it: it is blocked */
    for (int err = 0; err < 3; err++) {
        queue(&t, entries, ARRAY_SIZE(entries));
        rig_script(0, -ETIMEDOUT);
        rig_script(3, 0);
        rig_script(1, err == 0 ? -ETIMEDOUT : err == 1 ? -EIO : -ENOMEM);
        if (err == 1) {
            rig_script(0, -ETIMEDOUT);
        }
        rig_flush(&t);
        g_assert_cmpuint(rig_num_late, ==, 1);
        g_assert_true(rig_late[0] == t.dev[0]);
        g_assert_cmpuint(rig_blocked, ==, 1);
        expect_attached(&t, 0xe);
        /* The host itself has done all: only the device owes something */
        fake.num_sent = 0;
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        rig_expect(viommu(&t), (uint64_t[]) { TLB(1, UINT32_MAX) }, 1);
        rig_ioctls();
        rig_num_late = rig_blocked = 0;
    }
    /* Nothing but device TLBs */
    queue(&t, &entries[3], 2);
    rig_script(0, -ETIMEDOUT);
    rig_script(0, -ETIMEDOUT);
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 3);
    expect_attached(&t, 0xd);
    rig_teardown(&t);
}

/* It goes nowhere until its TLB is empty */
static void test_owed(void)
{
    static const IOMMUFDNestedState states[] = {
        IOMMUFD_NESTED_BYPASS, IOMMUFD_NESTED_STAGE2, IOMMUFD_NESTED_STAGE1,
    };
    const uint64_t e = TLB(1, 0), root = 0x1000;
    IOMMUFDNestedTranslation tr = { .data = &root, .data_len = sizeof(root) };
    const char *why;
    InvRig t;

    start(&t);
    queue(&t, &e, 1);
    rig_script(0, -ETIMEDOUT);
    rig_script(0, -ETIMEDOUT);
    rig_flush(&t);
    expect_attached(&t, 0xe);
    rig_ioctls();
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        tr.state = states[i];
        rig_script(0, -ETIMEDOUT);
        g_assert_false(iommufd_nested_set(t.dev[0], RID, &tr, NULL));
        g_assert_cmpuint(rig_ioctls(), ==, 1);
        g_assert_true(iommufd_nested_get(t.dev[0], RID, &why) ==
                      IOMMUFD_NESTED_BLOCKED);
        g_assert_cmpstr(why, ==, IOMMUFD_REASON_DEVICE_TLB);
        expect_attached(&t, 0xe);
    }
    /* Others are not concerned */
    rig_bind(&t, 1, RID, 0x9000, 1, 0);
    g_assert_cmpuint(rig_ioctls(), ==, 0);
    g_assert_true(iommufd_nested_set(t.dev[0], RID, &tr, &error_abort));
    rig_expect(viommu(&t), (uint64_t[]) { TLB(1, UINT32_MAX) }, 1);
    g_assert_true(iommufd_nested_set(t.dev[0], RID, NULL, &error_abort));
    g_assert_true(iommufd_nested_set(t.dev[0], RID, &tr, &error_abort));
    g_assert_cmpuint(rig_ioctls(), ==, 1);
    rig_teardown(&t);
}

/* Nobody to blame but all */
static void test_all(void)
{
    static const uint64_t entries[] = {
        RANGE(1, 1), TLB(1, 10), RANGE(3, 3), TLB(9, 0),
    };
    IOMMUFDNestedInvError fail;
    InvRig t;

    for (int i = 0; i < 5; i++) {
        start(&t);
        queue(&t, entries, ARRAY_SIZE(entries) - (i != 4));
        rig_script(i == 3, i == 2 ? -ENOMEM : -ETIMEDOUT);
        if (i != 2) {
            /* The last time at one for a device that is not there */
            rig_script(i == 4 ? 2 : 1, i == 1 ? -EIO : -ETIMEDOUT);
        }
        g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
        /* Of the batch as the guest gave it */
        g_assert_cmpuint(fail.cookie, ==, i == 2 ? 0 : i == 4 ? 3 : 2);
        g_assert_cmpuint(rig_num_late, ==, 0);
        g_assert_cmpuint(rig_blocked, ==, DEVICES);
        expect_attached(&t, 0);
        g_assert_false(iommufd_nested_inv_pending(t.n));
        fake.num_sent = 0;
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        rig_expect(viommu(&t), (uint64_t[]) { ALL }, 1);
        rig_teardown(&t);
    }
}

/* Nor is a device of another host to blame */
static void test_other_host(void)
{
    static const uint64_t entries[] = { TLB(1, 0), TLB(2, 0) };
    InvRig t;

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    iommufd_nested_relabel(t.n, &error_abort);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_bind(&t, 1, RID, 0x1000, 1, 0);
    queue(&t, entries, ARRAY_SIZE(entries));
    rig_script(0, -ETIMEDOUT);
    rig_script(0, -ETIMEDOUT);
    g_assert_false(iommufd_nested_inv_flush(t.n, NULL, NULL));
    g_assert_cmpuint(rig_num_late, ==, 0);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_cmpuint(fake_attached(t.idev[1], RID), !=, 0);
    rig_teardown(&t);
}

/* No more are waited for than that */
static void test_bound(void)
{
    static const uint64_t entries[] = {
        TLB(1, 0), TLB(2, 0), TLB(3, 0), TLB(4, 0),
    };
    InvRig t;

    start(&t);
    queue(&t, entries, ARRAY_SIZE(entries));
    for (int i = 0; i < 4; i++) {
        rig_script(0, -ETIMEDOUT);
    }
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 4);
    g_assert_cmpuint(rig_num_late, ==, DEVICES);
    expect_attached(&t, 0);
    rig_teardown(&t);
}

/* PASIDs as well, and pieces, and with the erratum */
static void test_pieces(void)
{
    static const uint64_t entries[] = {
        RANGE(1, 1), TLB(1, 10), RANGE(3, 3), TLB(1, 11), RANGE(5, 5),
        RANGE(7, 7), RANGE(9, 9),
    };
    static const uint64_t sent[] = {
        RANGE(1, 1), TLB(1, 10), RANGE(1, 1), TLB(1, 10),
        RANGE(3, 3),                    /* counted, and not done in time */
        RANGE(3, 3), RANGE(5, 5), RANGE(3, 3), RANGE(5, 5),
        RANGE(7, 7), RANGE(9, 9), RANGE(7, 7), RANGE(9, 9),
    };
    InvRig t;

    rig_piece = 2;
    start(&t);
    rig_bind(&t, 0, 5, 0x9000, 1, 5);
    /* One that is blocked already is not told of */
    g_assert_true(iommufd_nested_set(t.dev[0], 6,
        &(IOMMUFDNestedTranslation) { .state = IOMMUFD_NESTED_BLOCKED },
        &error_abort));
    iommufd_nested_inv_repeat(t.dev[0]);
    queue(&t, entries, ARRAY_SIZE(entries));
    rig_script(2, 0);
    rig_script(2, 0);
    rig_script(1, -ETIMEDOUT);
    for (int i = 0; i < 4; i++) {
        rig_script(2, 0);
    }
    rig_script(0, -ETIMEDOUT);
    rig_flush(&t);
    rig_expect(viommu(&t), sent, ARRAY_SIZE(sent));
    g_assert_cmpuint(rig_num_late, ==, 1);
    g_assert_cmpuint(rig_blocked, ==, 2);
    g_assert_cmpuint(fake_attached(t.idev[0], 5), ==, 0);
    expect_attached(&t, 0xe);
    rig_teardown(&t);
    rig_piece = 0;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/device-tlb/order", test_order);
    g_test_add_func("/iommufd/device-tlb/owed", test_owed);
    g_test_add_func("/iommufd/device-tlb/all", test_all);
    g_test_add_func("/iommufd/device-tlb/other-host", test_other_host);
    g_test_add_func("/iommufd/device-tlb/bound", test_bound);
    g_test_add_func("/iommufd/device-tlb/pieces", test_pieces);
    return g_test_run();
}
