/*
 * Unit tests of the nested IOMMU core: what a failed invalidation leaves owed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "inv-rig.h"

static bool bind_fails(InvRig *t, int i, uint32_t pasid, uint64_t root)
{
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
        .domain = 1,
    };
    Error *err = NULL;
    bool ok = iommufd_nested_set(t->dev[i], pasid, &tr, &err);

    g_assert_cmpint(ok, ==, !err);
    error_free(err);
    return !ok && !fake_attached(t->idev[i], pasid);
}

static void block(InvRig *t, int i, uint32_t pasid)
{
    const IOMMUFDNestedTranslation none = {
        .state = IOMMUFD_NESTED_BLOCKED,
    };

    g_assert_true(iommufd_nested_set(t->dev[i], pasid, &none, &error_abort));
}

/* A vIOMMU fails an invalidation while nobody is in stage 1 */
static void fail_viommu(InvRig *t, int i, int err)
{
    const uint64_t e = RANGE(1, 1);

    g_assert_true(iommufd_nested_inv_device(t->dev[i], &e, 0, NULL,
                                            &error_abort));
    rig_script(0, err);
    g_assert_false(iommufd_nested_inv_flush(t->n, NULL, NULL));
    g_assert_cmpuint(rig_blocked, ==, 0);
    fake.num_sent = 0;
    rig_ioctls();
}

/* Whoever comes to a vIOMMU that has failed comes to an empty TLB */
static void test_viommu(void)
{
    static const int errs[] = { -ENOMEM, -ETIMEDOUT, -EINVAL };
    const uint64_t all = ALL;
    uint32_t viommu;
    InvRig t;

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    viommu = t.dev[0]->host->viommu_id;
    for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        block(&t, 0, RID);
        fail_viommu(&t, 0, errs[i]);

        /* As long as it fails nobody comes, and each time it is told */
        rig_script(0, -ETIMEDOUT);
        g_assert_true(bind_fails(&t, 0, RID, 0x1000));
        rig_script(0, -EIO);
        g_assert_true(bind_fails(&t, 0, RID, 0x1000));
        g_assert_cmpuint(rig_ioctls(), ==, 2);
        /* Others are not concerned, nor is what needs no stage 1 */
        rig_bind(&t, 1, RID, 0x1000, 1, 0);
        g_assert_true(iommufd_nested_set(t.dev[0], RID,
            &(IOMMUFDNestedTranslation) { .state = IOMMUFD_NESTED_BYPASS },
            &error_abort));
        g_assert_cmpuint(rig_ioctls(), ==, 0);
        rig_bind(&t, 0, RID, 0x2000, 1, 0);
        rig_expect(viommu, &all, 1);
        /* Once is enough */
        rig_bind(&t, 0, RID, 0x3000, 1, 0);
        g_assert_cmpuint(fake.num_sent, ==, 0);
    }
    /* What was malformed has not been started */
    block(&t, 0, RID);
    fail_viommu(&t, 0, -EIO);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    g_assert_cmpuint(rig_ioctls(), ==, 0);
    /* Before it is needed, and with the erratum */
    iommufd_nested_inv_repeat(t.dev[0]);
    block(&t, 0, RID);
    fail_viommu(&t, 0, -ENOMEM);
    rig_script(1, 0);
    rig_script(0, -ENOMEM);
    g_assert_false(iommufd_nested_inv_settle(t.n, NULL));
    fake.num_sent = 0;
    g_assert_true(iommufd_nested_inv_settle(t.n, &error_abort));
    rig_expect(viommu, (uint64_t[]) { ALL, ALL }, 2);
    g_assert_true(iommufd_nested_inv_settle(t.n, &error_abort));
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    g_assert_cmpuint(fake.num_sent, ==, 0);
    rig_teardown(&t);
}

/* The same for those that wait for the end of a reset */
static void test_waiting(void)
{
    const uint64_t all = ALL;
    InvRig t;

    for (int works = 0; works <= 1; works++) {
        rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
        fake.busy = 1;
        g_assert_cmpuint(rig_bind(&t, 0, RID, 0x1000, 1, 0), ==, 0);
        fail_viommu(&t, 0, -ENOMEM);
        if (!works) {
            rig_script(0, -ENOMEM);
        }
        fake_advance(false, 100);
        g_assert_cmpuint(rig_blocked, ==, !works);
        g_assert_cmpint(!fake_attached(t.idev[0], RID), ==, !works);
        rig_expect(t.dev[0]->host->viommu_id, &all, works);
        rig_teardown(&t);
    }
}

/* What is thrown away at a reset was not done either */
static void test_reset(void)
{
    const uint64_t e = RANGE(1, 1), all = ALL;
    InvRig t;

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    g_assert_true(iommufd_nested_inv_device(t.dev[0], &e, 0, NULL,
                                            &error_abort));
    iommufd_nested_reset(t.n);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    rig_expect(t.dev[0]->host->viommu_id, &all, 1);
    rig_teardown(&t);
}

/* What was cached before a state was loaded is of no use after that */
static void test_loaded(void)
{
    const uint64_t all = ALL;
    uint32_t hwpt;
    InvRig t;

    rig_setup(&t, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0, true);
    rig_bind(&t, 0, RID, 0x1000, 1, 0);
    iommufd_nested_reset(t.n);
    iommufd_nested_inv_owe(t.n);
    for (int i = 0; i < 2; i++) {
        rig_script(0, -EIO);
        g_assert_true(bind_fails(&t, i, RID, 0x1000));
        fake.num_sent = 0;
        rig_bind(&t, i, RID, 0x1000, 1, 0);
        rig_expect(t.dev[i]->host->viommu_id, &all, 1);
    }
    rig_teardown(&t);

    /* One that was there and could not be detached */
    rig_setup(&t, 0, 0, false);
    hwpt = rig_bind(&t, 0, 5, 0x1000, 1, 0);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EIO;
    iommufd_nested_reset(t.n);
    g_assert_true(fake.failed == FAKE_DETACH);
    iommufd_nested_inv_owe(t.n);
    g_assert_cmpuint(rig_bind(&t, 1, 5, 0x1000, 1, 0), ==, hwpt);
    rig_expect(hwpt, &all, 1);
    rig_bind(&t, 1, 6, 0x2000, 1, 0);
    g_assert_cmpuint(fake.num_sent, ==, 0);
    rig_teardown(&t);
}

/*
 * A HWPT that has failed is left by all, unless one cannot be detached: then
 * nobody comes to it before it has forgotten everything, nor does the one that
 * is still there become what it was.
 */
static void test_stuck(void)
{
    const uint64_t all = ALL;
    uint32_t hwpt;
    InvRig t;

    for (int detaches = 0; detaches <= 1; detaches++) {
        rig_setup(&t, 0, 0, false);
        hwpt = rig_bind(&t, 0, RID, 0x1000, 1, 0);
        rig_inv(&t, 1, 0, RANGE(1, 1), 0, NULL);
        /* Whatever the error: EIO says no more than others here */
        rig_script(0, detaches ? -EINVAL : -EIO);
        fake.fail_at = fake.total + 2;  /* the invalidation, the detach */
        fake.fail_errno = EIO;
        g_assert_false(iommufd_nested_inv_flush(t.n, NULL, NULL));
        g_assert_true(fake.failed == FAKE_DETACH);
        g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, hwpt);

        rig_script(0, -EINVAL);
        g_assert_true(bind_fails(&t, 1, RID, 0x1000));
        fake.num_sent = 0;
        if (!detaches) {
            fake.fail_at = fake.total + 1;
            fake.fail_errno = EIO;
            g_assert_false(bind_fails(&t, 0, RID, 0x1000));
            g_assert_true(fake.failed == FAKE_DETACH);
            g_assert_true(iommufd_nested_get(t.dev[0], RID, NULL) ==
                          IOMMUFD_NESTED_BLOCKED);
        }
        g_assert_cmpuint(rig_bind(&t, 1, RID, 0x1000, 1, 0), ==, hwpt);
        rig_expect(hwpt, &all, 1);
        rig_bind(&t, 0, RID, 0x1000, 1, 0);
        g_assert_cmpuint(fake.num_sent, ==, 0);
        g_assert_true(iommufd_nested_get(t.dev[0], RID, NULL) ==
                      IOMMUFD_NESTED_STAGE1);
        rig_teardown(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/owed/viommu", test_viommu);
    g_test_add_func("/iommufd/owed/waiting", test_waiting);
    g_test_add_func("/iommufd/owed/reset", test_reset);
    g_test_add_func("/iommufd/owed/loaded", test_loaded);
    g_test_add_func("/iommufd/owed/stuck", test_stuck);
    return g_test_run();
}
