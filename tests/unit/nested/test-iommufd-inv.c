/*
 * Unit tests of the nested IOMMU core: invalidation batches
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "inv-rig.h"

/* Invalidations of test_many() */
#define MANY_TIMES 256

static void test_order(void)
{
    static const uint64_t sent[] = {
        RANGE(5, 5), RANGE(1, 1), RANGE(3, 3), BARRIER, RANGE(1, 1),
    };
    InvRig t;
    uint32_t hwpt;

    rig_setup(&t, 0, 0, false);
    hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);
    for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
        g_assert_true(rig_inv(&t, 1, 0, sent[i], i, NULL));
    }
    g_assert_true(iommufd_nested_inv_pending(t.n));
    g_assert_cmpuint(rig_ioctls(), ==, 0);
    rig_flush(&t);
    rig_expect(hwpt, sent, ARRAY_SIZE(sent));
    g_assert_cmpuint(rig_ioctls(), ==, 1);
    /* Nothing queued: nothing sent */
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 0);
    rig_teardown(&t);
}

static void test_redundant(void)
{
    InvRig t;
    uint32_t hwpt;
    uint64_t e;

    rig_setup(&t, 0, 0, false);
    hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);

    /* The same twice, and inside one that is there */
    rig_inv(&t, 1, 0, RANGE(4, 7), 0, NULL);
    rig_inv(&t, 1, 0, RANGE(4, 7), 1, NULL);
    rig_inv(&t, 1, 0, RANGE(5, 6), 2, NULL);
    rig_flush(&t);
    rig_expect(hwpt, (uint64_t[]) { RANGE(4, 7) }, 1);

    /* One that covers all before it, however many they are */
    for (uint32_t i = 0; i < 100; i++) {
        rig_inv(&t, 1, 0, RANGE(2 * i, 2 * i), i, NULL);
    }
    rig_inv(&t, 1, 0, ALL, 100, NULL);
    rig_inv(&t, 1, 0, RANGE(3, 3), 101, NULL);
    rig_flush(&t);
    e = ALL;
    rig_expect(hwpt, &e, 1);

    /* Nothing is dropped across what must keep its place */
    rig_inv(&t, 1, 0, RANGE(4, 7), 0, NULL);
    rig_inv(&t, 1, 0, BARRIER, 1, NULL);
    rig_inv(&t, 1, 0, RANGE(4, 7), 2, NULL);
    rig_inv(&t, 1, 0, BARRIER, 3, NULL);
    rig_inv(&t, 1, 0, ALL, 4, NULL);
    rig_flush(&t);
    rig_expect(hwpt, (uint64_t[]) { RANGE(4, 7), BARRIER, RANGE(4, 7), BARRIER,
                                ALL }, 5);

    /* One in the middle goes, its neighbours keep their order */
    rig_inv(&t, 1, 0, RANGE(10, 10), 0, NULL);
    rig_inv(&t, 1, 0, RANGE(4, 5), 1, NULL);
    rig_inv(&t, 1, 0, RANGE(12, 12), 2, NULL);
    rig_inv(&t, 1, 0, RANGE(4, 7), 3, NULL);
    rig_flush(&t);
    rig_expect(hwpt, (uint64_t[]) { RANGE(10, 10), RANGE(12, 12), RANGE(4, 7) },
           3);
    rig_teardown(&t);
}

/*
 * Hundreds of entries that have nothing to do with each other are not compared
 * sixteen times each, and one that covers them all still finds them
 */
static void test_unrelated(void)
{
    const unsigned num = 500;
    const uint64_t all = ALL;
    uint32_t hwpt;
    InvRig t;

    rig_setup(&t, 0, 0, false);
    hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_compared = 0;
    for (uint32_t i = 0; i < num; i++) {
        rig_inv(&t, 1, 0, RANGE(3 * i, 3 * i + 1), i, NULL);
    }
    g_assert_cmpuint(rig_compared, <=, num + 64);
    rig_inv(&t, 1, 0, all, num, NULL);
    rig_flush(&t);
    rig_expect(hwpt, &all, 1);

    /* Those that do have something to do with each other are found */
    for (uint32_t i = 0; i < num; i++) {
        rig_inv(&t, 1, 0, RANGE(i % 10, i % 10), i, NULL);
    }
    rig_flush(&t);
    g_assert_cmpuint(fake.num_sent, ==, 10);
    fake.num_sent = 0;
    rig_teardown(&t);
}

/* One ioctl for each HWPT, not for each device or PASID */
static void test_targets(void)
{
    InvRig t;
    uint64_t e = RANGE(1, 1), barrier = BARRIER;
    uint32_t a, b;

    rig_setup(&t, 0, 0, false);
    for (int i = 0; i < DEVICES; i++) {
        a = rig_bind(&t, i, RID, 0x1000, 1, 0);
        rig_bind(&t, i, 5, 0x1000, 1, 5);
        b = rig_bind(&t, i, 6, 0x2000, 1, 6);
    }
    g_assert_cmpuint(a, !=, b);
    rig_inv(&t, 1, 0, e, 0, NULL);
    rig_flush(&t);
    rig_expect(a, &e, 1);
    g_assert_cmpuint(rig_ioctls(), ==, 1);

    /* An entry that is never redundant: sent once all the same */
    g_assert_true(iommufd_nested_inv_domain(t.n, 1, &barrier, 0, NULL, NULL));
    rig_flush(&t);
    g_assert_cmpuint(fake.num_sent, ==, 2);
    g_assert_cmpuint(rig_ioctls(), ==, 2);
    fake.num_sent = 0;

    g_assert_true(iommufd_nested_inv_all(t.n, &e, 0, NULL, NULL));
    rig_flush(&t);
    g_assert_cmpuint(fake.num_sent, ==, 2);
    g_assert_cmpuint(rig_ioctls(), ==, 2);
    fake.num_sent = 0;

    /* Nobody there */
    rig_inv(&t, 2, 0, e, 0, NULL);
    rig_inv(&t, 1, 9, e, 0, NULL);
    g_assert_true(iommufd_nested_inv_domain(t.n, 2, &e, 0, NULL, NULL));
    g_assert_false(iommufd_nested_inv_pending(t.n));

    /* A HWPT that goes takes its entries along */
    rig_inv(&t, 1, 6, e, 0, NULL);
    for (int i = 0; i < DEVICES; i++) {
        g_assert_true(iommufd_nested_set(t.dev[i], 6, NULL, &error_abort));
    }
    g_assert_false(iommufd_nested_inv_pending(t.n));

    /* Same tables under a second name: found by either */
    g_assert_cmpuint(rig_bind(&t, 0, 7, 0x1000, 1, 7), ==, a);
    rig_inv(&t, 1, 7, e, 0, NULL);
    rig_inv(&t, 1, 0, e, 1, NULL);
    rig_flush(&t);
    rig_expect(a, &e, 1);

    /* In a second domain: caches of its own, told on their own */
    b = rig_bind(&t, 0, 8, 0x1000, 3, 8);
    g_assert_cmpuint(b, !=, a);
    rig_inv(&t, 3, 8, e, 0, NULL);
    rig_flush(&t);
    rig_expect(b, &e, 1);
    rig_teardown(&t);
}

static void test_interrupted(void)
{
    InvRig t;
    uint64_t sent[8];
    uint32_t hwpt;

    rig_setup(&t, 0, 0, false);
    hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);
    for (uint32_t i = 0; i < 8; i++) {
        sent[i] = RANGE(2 * i, 2 * i);
        rig_inv(&t, 1, 0, sent[i], i, NULL);
    }
    rig_script(0, -EINTR);
    rig_script(3, -EINTR);
    rig_script(0, -EAGAIN);
    rig_script(1, -EAGAIN);
    rig_script(2, 0);
    rig_flush(&t);
    rig_expect(hwpt, sent, 8);
    g_assert_cmpuint(rig_ioctls(), ==, 6);
    g_assert_cmpuint(rig_blocked, ==, 0);
    rig_teardown(&t);
}

/* An error at each index in turn */
static void test_partial(void)
{
    InvRig t;

    for (uint32_t k = 0; k < 8; k++) {
        IOMMUFDNestedInvError fail;
        Error *err = NULL;

        rig_setup(&t, 0, 0, false);
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        rig_bind(&t, 1, 3, 0x1000, 1, 0);
        rig_bind(&t, 2, RID, 0x2000, 2, 0);
        for (uint32_t i = 0; i < 8; i++) {
            rig_inv(&t, 1, 0, RANGE(2 * i, 2 * i), 100 + i, NULL);
        }
        rig_inv(&t, 2, 0, RANGE(1, 1), 200, NULL);
        rig_script(k, k % 2 ? -EIO : -ETIMEDOUT);
        g_assert_false(iommufd_nested_inv_flush(t.n, &fail, &err));
        g_assert_nonnull(err);
        error_free(err);
        g_assert_cmpuint(fail.cookie, ==, 100 + k);
        g_assert_cmpuint(fail.done, ==, k);
        g_assert_cmpint(fail.err, ==, k % 2 ? EIO : ETIMEDOUT);
        g_assert_false(iommufd_nested_inv_pending(t.n));

        /* What counts as done is done: it does not go again */
        g_assert_cmpuint(rig_ioctls(), ==, 2);
        /* Both that used the HWPT are blocked, the third got its entry */
        g_assert_cmpuint(rig_blocked, ==, 2);
        g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
        g_assert_cmpuint(fake_attached(t.idev[1], 3), ==, 0);
        g_assert_cmpuint(fake_attached(t.idev[2], RID), !=, 0);
        g_assert_cmpuint(fake.num_sent, ==, k + 1);
        g_assert_cmphex(fake.sent[k].entry, ==, RANGE(1, 1));
        rig_teardown(&t);
    }
}

static void test_earliest(void)
{
    IOMMUFDNestedInvError fail;
    InvRig t;

    rig_setup(&t, 0, 0, false);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_bind(&t, 1, RID, 0x2000, 2, 0);
    rig_inv(&t, 1, 0, RANGE(1, 1), 10, NULL);
    rig_inv(&t, 2, 0, RANGE(1, 1), 11, NULL);
    rig_inv(&t, 1, 0, RANGE(3, 3), 12, NULL);
    rig_script(1, -EINVAL);
    rig_script(0, -ENOMEM);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(fail.cookie, ==, 11);
    g_assert_cmpint(fail.err, ==, ENOMEM);

    /* Also if the target that is sent first has it */
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_bind(&t, 1, RID, 0x2000, 2, 0);
    rig_inv(&t, 1, 0, RANGE(1, 1), 20, NULL);
    rig_inv(&t, 2, 0, RANGE(1, 1), 21, NULL);
    rig_script(0, -EINVAL);
    rig_script(0, -ENOMEM);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(fail.cookie, ==, 20);
    g_assert_cmpint(fail.err, ==, EINVAL);
    rig_teardown(&t);
}

/* A kernel that makes no headway, or claims too much, ends it */
static void test_absurd(void)
{
    IOMMUFDNestedInvError fail;
    InvRig t;

    rig_setup(&t, 0, 0, false);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_inv(&t, 1, 0, RANGE(1, 1), 10, NULL);
    rig_inv(&t, 1, 0, RANGE(3, 3), 11, NULL);
    /* An error that leaves the number as it was is one at the first entry */
    fake.fail_at = fake.total + 1;
    fake.fail_errno = ENOTTY;
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(fail.cookie, ==, 10);
    g_assert_cmpint(fail.err, ==, ENOTTY);

    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_inv(&t, 1, 0, RANGE(1, 1), 20, NULL);
    for (int i = 0; i < 16; i++) {
        rig_script(0, 0);
    }
    rig_flush(&t);
    rig_teardown(&t);
}

static void test_full(void)
{
    IOMMUFDNestedInvError fail;
    InvRig t;
    uint32_t hwpt;

    rig_setup(&t, 0, 4, false);
    hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);
    for (uint32_t i = 0; i < 10; i++) {
        g_assert_true(rig_inv(&t, 1, 0, RANGE(2 * i, 2 * i), i, NULL));
    }
    g_assert_cmpuint(rig_ioctls(), ==, 2);
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 1);
    g_assert_cmpuint(fake.num_sent, ==, 10);
    for (uint32_t i = 0; i < 10; i++) {
        g_assert_cmphex(fake.sent[i].entry, ==, RANGE(2 * i, 2 * i));
        g_assert_cmpuint(fake.sent[i].id, ==, hwpt);
    }

    /* An early flush that fails is told at once */
    for (uint32_t i = 0; i < 4; i++) {
        g_assert_true(rig_inv(&t, 1, 0, RANGE(2 * i, 2 * i), i, NULL));
    }
    rig_script(2, -EIO);
    g_assert_false(rig_inv(&t, 1, 0, RANGE(90, 90), 90, &fail));
    g_assert_cmpuint(fail.cookie, ==, 2);
    g_assert_false(iommufd_nested_inv_pending(t.n));
    rig_teardown(&t);
}

static void test_viommu(void)
{
    static const uint64_t cmds[] = { BARRIER, RANGE(1, 1), BARRIER };
    IOMMUFDNestedInvError fail;
    InvRig t;
    uint64_t e = RANGE(1, 1);

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    for (int i = 0; i < DEVICES; i++) {
        rig_bind(&t, i, RID, 0x1000, 1, 0);
    }
    /* All commands, whatever they are about, are one ordered stream */
    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        g_assert_true(iommufd_nested_inv_device(t.dev[0], &cmds[i], i, NULL,
                                                &error_abort));
    }
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 1);
    g_assert_cmpuint(fake.num_sent, ==, 3);
    fake.num_sent = 0;

    g_assert_true(iommufd_nested_inv_viommus(t.n, &e, 0, NULL, &error_abort));
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, DEVICES);
    g_assert_cmpuint(fake.num_sent, ==, DEVICES);
    fake.num_sent = 0;

    /* The erratum: the whole batch twice, in order */
    iommufd_nested_inv_repeat(t.dev[1]);
    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        g_assert_true(iommufd_nested_inv_device(t.dev[1], &cmds[i], i, NULL,
                                                &error_abort));
    }
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 2);
    g_assert_cmpuint(fake.num_sent, ==, 6);
    for (int i = 0; i < 6; i++) {
        g_assert_cmphex(fake.sent[i].entry, ==, cmds[i % 3]);
    }

    /* Malformed: the guest is told which one, nobody is rig_blocked */
    for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
        g_assert_true(iommufd_nested_inv_device(t.dev[0], &cmds[i], 40 + i,
                                                NULL, &error_abort));
    }
    fake.num_sent = 0;
    rig_script(1, -EIO);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(fail.cookie, ==, 41);
    g_assert_cmpuint(fail.done, ==, 1);
    g_assert_cmpuint(rig_blocked, ==, 0);
    /* The one before it may only have been counted: it is sent again */
    g_assert_cmpuint(rig_ioctls(), ==, 2);
    g_assert_cmpuint(fake.num_sent, ==, 2);
    g_assert_cmphex(fake.sent[1].entry, ==, cmds[0]);
    /* Malformed at once: there is nothing to send again */
    g_assert_true(iommufd_nested_inv_device(t.dev[0], &cmds[0], 45, NULL,
                                            &error_abort));
    rig_script(0, -EIO);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(rig_ioctls(), ==, 1);
    g_assert_cmpuint(rig_blocked, ==, 0);

    /* Not done for another reason: everything behind that vIOMMU is */
    g_assert_true(iommufd_nested_inv_device(t.dev[0], &e, 50, NULL,
                                            &error_abort));
    rig_script(0, -ETIMEDOUT);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(rig_blocked, ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_cmpuint(fake_attached(t.idev[1], RID), !=, 0);
    rig_teardown(&t);
}

/* What was only counted cannot be sent again: nothing is known any more */
static void test_again_fails(void)
{
    static const int errs[] = { -EIO, -ETIMEDOUT };
    const uint64_t e = BARRIER;
    IOMMUFDNestedInvError fail;
    InvRig t;

    for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
        rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        for (unsigned j = 0; j < 5; j++) {
            g_assert_true(iommufd_nested_inv_device(t.dev[0], &e, j, NULL,
                                                    &error_abort));
        }
        rig_script(3, -EIO);
        rig_script(1, errs[i]);
        g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
        g_assert_cmpuint(fail.cookie, ==, 1);
        g_assert_cmpuint(rig_blocked, ==, 1);
        g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
        rig_teardown(&t);
    }
}

/* With the erratum: again, and once more */
static void test_again_twice(void)
{
    const uint64_t e = BARRIER;
    IOMMUFDNestedInvError fail;
    InvRig t;

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    iommufd_nested_inv_repeat(t.dev[0]);
    for (unsigned j = 0; j < 5; j++) {
        g_assert_true(iommufd_nested_inv_device(t.dev[0], &e, j, NULL,
                                                &error_abort));
    }
    rig_script(3, -EIO);
    g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
    g_assert_cmpuint(fail.cookie, ==, 3);
    g_assert_cmpuint(rig_ioctls(), ==, 3);
    g_assert_cmpuint(fake.num_sent, ==, 9);
    rig_teardown(&t);
}

static void queue_ranges(InvRig *t, unsigned num)
{
    for (uint32_t i = 0; i < num; i++) {
        uint64_t e = RANGE(2 * i, 2 * i);

        g_assert_true(iommufd_nested_inv_device(t->dev[0], &e, i, NULL,
                                                &error_abort));
    }
}

static void expect_ranges(unsigned from, unsigned first, unsigned num)
{
    for (uint32_t i = 0; i < num; i++) {
        g_assert_cmphex(fake.sent[from + i].entry, ==,
                        RANGE(2 * (first + i), 2 * (first + i)));
    }
}

/* No call has more entries than the host takes; nothing else changes */
static void test_pieces(void)
{
    static const int errs[] = { -EIO, -ETIMEDOUT };
    IOMMUFDNestedInvError fail;
    InvRig t;

    rig_piece = 3;
    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    queue_ranges(&t, 8);
    rig_script(3, 0);
    rig_script(1, -EINTR);
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 4);
    g_assert_cmpuint(fake.num_sent, ==, 8);
    expect_ranges(0, 0, 8);
    g_assert_cmpuint(t.n->count.inv_largest, ==, 3);

    for (unsigned at = 3; at < 6; at++) {
        /* Refused in the second piece: what that has before it goes again */
        fake.num_sent = 0;
        queue_ranges(&t, 8);
        rig_script(3, 0);
        rig_script(at - 3, -EIO);
        g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
        g_assert_cmpuint(fail.cookie, ==, at);
        g_assert_cmpuint(fail.done, ==, at);
        g_assert_cmpuint(rig_blocked, ==, 0);
        g_assert_cmpuint(rig_ioctls(), ==, at == 3 ? 2 : 3);
        g_assert_cmpuint(fake.num_sent, ==, at + at - 3);
        expect_ranges(0, 0, at);
        expect_ranges(at, 3, at - 3);
    }
    for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
        /* And cannot be had again */
        queue_ranges(&t, 8);
        rig_script(3, 0);
        rig_script(2, -EIO);
        rig_script(1, errs[i]);
        g_assert_false(iommufd_nested_inv_flush(t.n, &fail, NULL));
        g_assert_cmpuint(fail.cookie, ==, 4);
        g_assert_cmpuint(rig_blocked, ==, 1);
        g_assert_cmpuint(rig_ioctls(), ==, 3);
        rig_blocked = 0;
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        rig_ioctls();
    }
    /* With the erratum: each twice, one behind the other */
    iommufd_nested_inv_repeat(t.dev[0]);
    fake.num_sent = 0;
    queue_ranges(&t, 4);
    rig_flush(&t);
    g_assert_cmpuint(rig_ioctls(), ==, 4);
    g_assert_cmpuint(fake.num_sent, ==, 8);
    expect_ranges(0, 0, 3);
    expect_ranges(3, 0, 3);
    expect_ranges(6, 3, 1);
    expect_ranges(7, 3, 1);
    rig_teardown(&t);
    rig_piece = 0;
}

/* A HWPT that cannot be detached is invalidated under the name it had */
static void test_stuck(gconstpointer opaque)
{
    bool rid = opaque != NULL;
    const IOMMUFDNestedTranslation none = {
        .state = IOMMUFD_NESTED_BLOCKED,
    };
    uint32_t pasid = rid ? RID : 5, id;
    uint64_t e = RANGE(1, 1);
    InvRig t;

    for (int gone = 0; gone <= 1; gone++) {
        Error *err = NULL;

        rig_setup(&t, 0, 0, false);
        id = rig_bind(&t, 0, pasid, 0x1000, 7, 5);
        fake.fail_at = fake.total + 1;
        fake.fail_errno = EIO;
        g_assert_false(iommufd_nested_set(t.dev[0], pasid,
                                          gone ? NULL : &none, &err));
        error_free(err);
        g_assert_true(fake.failed == FAKE_DETACH);
        rig_inv(&t, 7, 5, e, 0, NULL);
        rig_flush(&t);
        rig_expect(id, &e, 1);

        g_assert_true(iommufd_nested_set(t.dev[0], pasid,
                                         gone ? NULL : &none, &error_abort));
        rig_inv(&t, 7, 5, e, 0, NULL);
        g_assert_false(iommufd_nested_inv_pending(t.n));
        rig_teardown(&t);
    }
}

/*
 * Many PASIDs bound, one at a time invalidated. What a look-up costs in
 * instructions is counted by lookup-cost.sh.
 */
static void test_many(gconstpointer opaque)
{
    uint32_t pasids = GPOINTER_TO_UINT(opaque);
    uint64_t e = RANGE(1, 1);
    InvRig t;

    rig_setup(&t, 0, 0, false);
    for (uint32_t p = 1; p <= pasids; p++) {
        rig_bind(&t, 0, p, 0x1000 * p, 1, p);
    }
    for (unsigned i = 0; i < MANY_TIMES; i++) {
        uint32_t pasid = 1 + i * 77 % pasids;

        rig_inv(&t, 1, pasid, e, 0, NULL);
        rig_flush(&t);
        g_assert_cmpuint(rig_ioctls(), ==, 1);
        rig_expect(fake_attached(t.idev[0], pasid), &e, 1);
    }
    rig_teardown(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/inv/order", test_order);
    g_test_add_func("/iommufd/inv/redundant", test_redundant);
    g_test_add_func("/iommufd/inv/unrelated", test_unrelated);
    g_test_add_func("/iommufd/inv/targets", test_targets);
    g_test_add_func("/iommufd/inv/interrupted", test_interrupted);
    g_test_add_func("/iommufd/inv/partial", test_partial);
    g_test_add_func("/iommufd/inv/earliest", test_earliest);
    g_test_add_func("/iommufd/inv/absurd", test_absurd);
    g_test_add_func("/iommufd/inv/full", test_full);
    g_test_add_func("/iommufd/inv/viommu", test_viommu);
    g_test_add_func("/iommufd/inv/again-fails", test_again_fails);
    g_test_add_func("/iommufd/inv/again-twice", test_again_twice);
    g_test_add_func("/iommufd/inv/pieces", test_pieces);
    g_test_add_data_func("/iommufd/inv/stuck/pasid", NULL, test_stuck);
    g_test_add_data_func("/iommufd/inv/stuck/rid", "", test_stuck);
    g_test_add_data_func("/iommufd/inv/many/2", GUINT_TO_POINTER(2),
                         test_many);
    g_test_add_data_func("/iommufd/inv/many/4096", GUINT_TO_POINTER(4096),
                         test_many);
    return g_test_run();
}
