/*
 * Unit tests of the nested IOMMU core: labels, translations, life times
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

typedef struct Front {
    uint32_t label[8];          /* by device opaque */
    unsigned blocked;           /* calls of the callback */
    uint32_t blocked_pasid;
    char *blocked_why;
} Front;

static uint32_t front_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    Front *f = opaque;

    return f->label[GPOINTER_TO_UINT(iommufd_nested_device_opaque(dev))];
}

static void front_blocked(void *opaque, IOMMUFDNestedDevice *dev,
                          uint32_t pasid, const char *why)
{
    Front *f = opaque;

    f->blocked++;
    f->blocked_pasid = pasid;
    g_free(f->blocked_why);
    f->blocked_why = g_strdup(why);
}

static IOMMUFDNestedPageVerdict
front_page_group(void *opaque, const IOMMUFDNestedPageGroup *group)
{
    return IOMMUFD_NESTED_PAGE_QUEUED;
}

static const IOMMUFDNestedOps ops = {
    .label = front_label,
    .blocked = front_blocked,
    .page_group = front_page_group,
};

static const IOMMUFDNestedConfig vtd_like = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
};

static const IOMMUFDNestedConfig smmu_like = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
    .viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
    .vdevice = true,
    .veventq_type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
    .veventq_depth = 64,
    .event_len = 32,
};

#define DEVICES 4

typedef struct Test {
    Front front;
    IOMMUFDNested *n;
    uint32_t parent[2];
    HostIOMMUDeviceIOMMUFD *idev[DEVICES];
    IOMMUFDNestedDevice *dev[DEVICES];
} Test;

/* Devices 0, 1 and 2 behind the first host instance, 3 behind the second */
static void setup(Test *t, const IOMMUFDNestedConfig *config)
{
    static const char *const names[DEVICES] = { "d0", "d1", "d2", "d3" };

    memset(t, 0, sizeof(*t));
    fake_reset();
    t->parent[0] = fake_parent(NEST);
    t->parent[1] = fake_parent(NEST);
    t->n = iommufd_nested_new(config, &ops, &t->front);
    for (int i = 0; i < DEVICES; i++) {
        t->front.label[i] = 0x100 + i;
        t->idev[i] = fake_device(names[i], t->parent[i == 3]);
    }
}

static bool add(Test *t, int i, Error **errp)
{
    t->dev[i] = iommufd_nested_device_add(t->n, t->idev[i],
                                          GUINT_TO_POINTER(i), errp);
    return t->dev[i];
}

static void add_all(Test *t)
{
    for (int i = 0; i < DEVICES; i++) {
        g_assert_true(add(t, i, &error_abort));
    }
    g_assert_true(iommufd_nested_relabel(t->n, &error_abort));
}

static void remove_dev(Test *t, int i)
{
    if (t->dev[i]) {
        iommufd_nested_device_remove(t->dev[i]);
        t->dev[i] = NULL;
        if (!fake.has_failed) {
            g_assert_cmpuint(fake_attached(t->idev[i], RID), ==, 0);
        }
    }
}

static void teardown(Test *t)
{
    for (int i = 0; i < DEVICES; i++) {
        remove_dev(t, i);
        fake_device_free(t->idev[i]);
    }
    g_assert_cmpuint(fake_objects(), ==, 0);
    iommufd_nested_free(t->n);
    g_free(t->front.blocked_why);
}

/* Stage 1 with tables at @root; domain and index follow from it */
static bool stage1_of(IOMMUFDNestedDevice *dev, uint32_t pasid, uint64_t root,
                      bool page_requests, Error **errp)
{
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data = &root,
        .data_len = sizeof(root),
        .page_requests = page_requests,
        .pasid_flag = true,
        .domain = root,
        .index_pasid = pasid == RID ? 0 : pasid,
    };

    return iommufd_nested_set(dev, pasid, &tr, errp);
}

static void stage1(IOMMUFDNestedDevice *dev, uint32_t pasid, uint64_t root)
{
    g_assert_true(stage1_of(dev, pasid, root, false, &error_abort));
    g_assert_cmpint(iommufd_nested_get(dev, pasid, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
}

static bool set_state(IOMMUFDNestedDevice *dev, uint32_t pasid,
                      IOMMUFDNestedState state, Error **errp)
{
    IOMMUFDNestedTranslation tr = { .state = state };

    return iommufd_nested_set(dev, pasid, &tr, errp);
}

static unsigned calls(FakeCall kind)
{
    unsigned num = fake.calls[kind];

    fake.calls[kind] = 0;
    return num;
}

static void test_share(void)
{
    Test t;
    uint32_t hwpt;

    setup(&t, &vtd_like);
    add_all(&t);

    /* Three users behind one host instance: one HWPT */
    stage1(t.dev[0], RID, 0x1000);
    stage1(t.dev[1], RID, 0x1000);
    stage1(t.dev[1], 7, 0x1000);
    g_assert_cmpuint(calls(FAKE_HWPT_ALLOC), ==, 1);
    hwpt = fake_attached(t.idev[0], RID);
    g_assert_cmpuint(fake_attached(t.idev[1], RID), ==, hwpt);
    g_assert_cmpuint(fake_attached(t.idev[1], 7), ==, hwpt);

    /* Behind another: another */
    stage1(t.dev[3], RID, 0x1000);
    g_assert_cmpuint(calls(FAKE_HWPT_ALLOC), ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[3], RID), !=, hwpt);

    /* Other tables, and page requests for the same ones: not shared */
    stage1(t.dev[2], RID, 0x2000);
    g_assert_true(stage1_of(t.dev[2], 3, 0x1000, true, &error_abort));
    g_assert_cmpuint(calls(FAKE_HWPT_ALLOC), ==, 2);

    /* The last user takes it along */
    g_assert_cmpuint(calls(FAKE_DESTROY), ==, 0);
    g_assert_true(set_state(t.dev[0], RID, IOMMUFD_NESTED_STAGE2,
                            &error_abort));
    g_assert_true(iommufd_nested_set(t.dev[1], 7, NULL, &error_abort));
    g_assert_cmpuint(calls(FAKE_DESTROY), ==, 0);
    g_assert_true(set_state(t.dev[1], RID, IOMMUFD_NESTED_BYPASS,
                            &error_abort));
    g_assert_cmpuint(calls(FAKE_DESTROY), ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[1], RID), ==, t.parent[0]);
    teardown(&t);
}

static void test_replace(void)
{
    Test t;

    setup(&t, &vtd_like);
    add_all(&t);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE2);

    /* Parent -> stage 1 -> other stage 1: never a detach in between */
    stage1(t.dev[0], RID, 0x1000);
    stage1(t.dev[0], RID, 0x2000);
    g_assert_cmpuint(calls(FAKE_ATTACH), ==, 2);
    g_assert_cmpuint(calls(FAKE_DETACH), ==, 0);
    g_assert_cmpuint(calls(FAKE_DESTROY), ==, 1);

    /* The same again, and its equivalents: nothing to do */
    stage1(t.dev[0], RID, 0x2000);
    g_assert_cmpuint(calls(FAKE_ATTACH), ==, 0);
    g_assert_true(set_state(t.dev[0], RID, IOMMUFD_NESTED_STAGE2,
                            &error_abort));
    g_assert_true(set_state(t.dev[0], RID, IOMMUFD_NESTED_BYPASS,
                            &error_abort));
    g_assert_cmpuint(calls(FAKE_ATTACH), ==, 1);

    /* A PASID comes, moves, and goes */
    stage1(t.dev[0], 9, 0x3000);
    stage1(t.dev[0], 9, 0x4000);
    g_assert_cmpuint(calls(FAKE_ATTACH), ==, 2);
    g_assert_true(iommufd_nested_set(t.dev[0], 9, NULL, &error_abort));
    g_assert_true(iommufd_nested_set(t.dev[0], 9, NULL, &error_abort));
    g_assert_cmpuint(calls(FAKE_DETACH), ==, 1);
    g_assert_cmpuint(fake_attached(t.idev[0], 9), ==, 0);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], 9, NULL), ==,
                    IOMMUFD_NESTED_BLOCKED);

    /* Blocked is detached; from there it is an attach again */
    g_assert_true(set_state(t.dev[0], RID, IOMMUFD_NESTED_BLOCKED,
                            &error_abort));
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    stage1(t.dev[0], RID, 0x1000);
    teardown(&t);
}

static unsigned walk_len(IOMMUFDNested *n, uint32_t domain)
{
    unsigned num = 0;
    uint32_t pasid;

    iommufd_nested_walk(n, domain);
    while (iommufd_nested_walk_next(n, &pasid)) {
        num++;
    }
    return num;
}

static void set_all(Test *t, uint32_t pasid, uint64_t root)
{
    for (int i = 0; i < 3; i++) {
        stage1(t->dev[i], pasid, root);
    }
}

/* Whoever comes or goes meanwhile, the others are met, and it ends */
static void test_index(void)
{
    IOMMUFDNestedDevice *dev;
    uint32_t first, pasid;
    Test t;

    setup(&t, &vtd_like);
    add_all(&t);
    set_all(&t, RID, 0x1000);
    set_all(&t, 5, 0x1000);
    g_assert_true(iommufd_nested_in_domain(t.n, 0x1000));
    g_assert_cmpuint(walk_len(t.n, 0x1000), ==, 6);
    g_assert_false(iommufd_nested_in_domain(t.n, 5));
    g_assert_cmpuint(walk_len(t.n, 5), ==, 0);

    iommufd_nested_walk(t.n, 0x1000);
    dev = iommufd_nested_walk_next(t.n, &first);
    set_all(&t, first, 0x9000);
    stage1(dev, first, 0x1000);
    for (int i = 0; i < 3; i++) {
        dev = iommufd_nested_walk_next(t.n, &pasid);
        g_assert_nonnull(dev);
        g_assert_cmpuint(pasid, !=, first);
        stage1(dev, pasid, 0x1000);
    }
    g_assert_null(iommufd_nested_walk_next(t.n, &pasid));

    iommufd_nested_walk(t.n, 0x1000);
    set_all(&t, RID, 0x9000);
    set_all(&t, 5, 0x9000);
    g_assert_null(iommufd_nested_walk_next(t.n, &pasid));
    teardown(&t);
}

static void test_fail_blocks(void)
{
    static const FakeCall kinds[] = { FAKE_HWPT_ALLOC, FAKE_ATTACH };
    Test t;

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (unsigned pasid = 5; pasid <= 6; pasid++) {
            uint32_t p = pasid == 5 ? 5 : RID;
            Error *err = NULL;
            const char *why;

            setup(&t, &vtd_like);
            add_all(&t);
            stage1(t.dev[0], p, 0x1000);
            fake.fail_at = fake.total + 1 + (kinds[k] == FAKE_ATTACH);
            fake.fail_errno = ENOMEM;
            g_assert_false(stage1_of(t.dev[0], p, 0x2000, false, &err));
            g_assert_true(fake.failed == kinds[k]);
            g_assert_nonnull(strstr(error_get_pretty(err), "d0"));
            error_free(err);
            g_assert_cmpint(iommufd_nested_get(t.dev[0], p, &why), ==,
                            IOMMUFD_NESTED_BLOCKED);
            g_assert_nonnull(why);
            g_assert_cmpuint(fake_attached(t.idev[0], p), ==, 0);
            /* Neither the old nor the new HWPT is left */
            g_assert_cmpuint(fake_objects(), ==, 0);
            g_assert_cmpuint(t.front.blocked, ==, 0);
            /* And it can be mended */
            stage1(t.dev[0], p, 0x3000);
            teardown(&t);
        }
    }
}

/* A detach that fails keeps the HWPT in the books until one succeeds */
static void test_stuck(void)
{
    Test t;
    Error *err = NULL;
    const char *why;

    setup(&t, &vtd_like);
    add_all(&t);
    stage1(t.dev[0], 5, 0x1000);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EIO;
    g_assert_false(iommufd_nested_set(t.dev[0], 5, NULL, &err));
    error_free(err);
    g_assert_true(fake.failed == FAKE_DETACH);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], 5, &why), ==,
                    IOMMUFD_NESTED_BLOCKED);
    g_assert_cmpstr(why, ==, "the host refused to detach");
    g_assert_cmpuint(fake_objects(), ==, 1);
    g_assert_true(iommufd_nested_set(t.dev[0], 5, NULL, &error_abort));
    g_assert_cmpuint(fake_objects(), ==, 0);
    teardown(&t);
}

/* Being stuck is no translation: a new label does not bring it back */
static void test_stuck_label(void)
{
    Test t;

    setup(&t, &smmu_like);
    add_all(&t);
    stage1(t.dev[0], RID, 0x1000);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EIO;
    g_assert_false(iommufd_nested_set(t.dev[0], RID, NULL, NULL));
    g_assert_cmpuint(fake_attached(t.idev[0], RID), !=, 0);
    t.front.label[0] = 0x200;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_BLOCKED);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    teardown(&t);
}

/* Checks what must hold after every iommufd_nested_set(), failed or not */
static bool checked_set(Test *t, int i, uint32_t pasid, uint64_t root,
                        bool page_requests)
{
    Error *err = NULL;
    bool ok;

    if (!t->dev[i]) {
        return true;
    }
    ok = root ? stage1_of(t->dev[i], pasid, root, page_requests, &err)
              : iommufd_nested_set(t->dev[i], pasid, NULL, &err);
    if (ok) {
        g_assert_null(err);
        g_assert_cmpint(!!root, ==, !!fake_attached(t->idev[i], pasid));
    } else {
        g_assert_nonnull(err);
        g_assert_nonnull(strstr(error_get_pretty(err),
                                iommufd_nested_device_name(t->dev[i])));
        g_assert_cmpint(iommufd_nested_get(t->dev[i], pasid, NULL), ==,
                        IOMMUFD_NESTED_BLOCKED);
        if (fake.failed != FAKE_DETACH) {
            g_assert_cmpuint(fake_attached(t->idev[i], pasid), ==, 0);
        }
        error_free(err);
    }
    return ok;
}

/* A life of everything, in which any one call may fail */
static void scenario(Test *t)
{
    uint64_t entry = 1;

    for (int i = 0; i < DEVICES; i++) {
        Error *err = NULL;

        if (!add(t, i, &err)) {
            g_assert_nonnull(err);
            error_free(err);
        }
    }
    iommufd_nested_relabel(t->n, NULL);
    for (int i = 0; i < DEVICES; i++) {
        checked_set(t, i, RID, 0x1000, i == 1);
        checked_set(t, i, 4, 0x2000, true);
        checked_set(t, i, 5, 0x3000 + i, false);
    }
    iommufd_nested_inv_all(t->n, &entry, 1, NULL, NULL);
    iommufd_nested_inv_flush(t->n, NULL, NULL);
    /* Two devices swap their labels */
    t->front.label[0] = 0x101;
    t->front.label[1] = 0x100;
    iommufd_nested_relabel(t->n, NULL);
    checked_set(t, 0, RID, 0x4000, true);
    checked_set(t, 1, 4, 0x4000, false);
    checked_set(t, 2, 5, 0, false);
    remove_dev(t, 3);
    iommufd_nested_reset(t->n);
    checked_set(t, 0, RID, 0x1000, false);
    for (int i = 0; i < DEVICES; i++) {
        if (t->dev[i]) {
            iommufd_nested_device_remove(t->dev[i]);
            t->dev[i] = NULL;
        }
    }
}

static void fail_everywhere(const IOMMUFDNestedConfig *config, int err)
{
    unsigned n;

    for (n = 1;; n++) {
        Test t;

        setup(&t, config);
        fake.fail_at = n;
        fake.fail_errno = err;
        scenario(&t);
        teardown(&t);
        if (!fake.has_failed) {
            break;
        }
    }
    g_test_message("%u calls made to fail, one at a time", n - 1);
    g_assert_cmpuint(n, >, 60);
}

static void test_fail_everywhere(void)
{
    fail_everywhere(&vtd_like, ENOMEM);
    fail_everywhere(&smmu_like, ENOMEM);
}

static void test_busy(void)
{
    Test t;
    unsigned attaches;
    const char *why;

    setup(&t, &vtd_like);
    add_all(&t);
    stage1(t.dev[0], RID, 0x1000);
    stage1(t.dev[0], 5, 0x1000);

    /* Put off, not refused; and blocked until then */
    fake.busy = 2;
    g_assert_true(stage1_of(t.dev[0], RID, 0x2000, false, &error_abort));
    g_assert_true(stage1_of(t.dev[0], 5, 0x2000, false, &error_abort));
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, &why), ==,
                    IOMMUFD_NESTED_BLOCKED);
    g_assert_cmpstr(why, ==, "the device is being reset");
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_cmpuint(fake_attached(t.idev[0], 5), ==, 0);

    /* vfio tells the end */
    iommufd_nested_device_reset(HOST_IOMMU_DEVICE(t.idev[0]), false);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, &why), ==,
                    IOMMUFD_NESTED_STAGE1);
    g_assert_null(why);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), !=, 0);
    g_assert_cmpuint(fake_attached(t.idev[0], 5), ==,
                     fake_attached(t.idev[0], RID));

    /* Nobody tells: retried by time */
    fake.busy = 3;
    g_assert_true(stage1_of(t.dev[0], RID, 0x3000, false, &error_abort));
    fake_advance(false, 5);
    g_assert_cmpuint(fake.busy, ==, 2);
    fake_advance(false, 1000);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);

    /* The guest changes its mind meanwhile: the newest wish counts */
    fake.busy = 1;
    g_assert_true(stage1_of(t.dev[0], RID, 0x4000, false, &error_abort));
    stage1(t.dev[0], RID, 0x5000);
    fake_advance(false, 1000);
    g_assert_cmpuint(fake_objects(), ==, 2);

    /* It never ends: given up, and told */
    g_assert_cmpuint(t.front.blocked, ==, 0);
    fake.busy = UINT_MAX;
    g_assert_true(stage1_of(t.dev[0], RID, 0x6000, false, &error_abort));
    attaches = fake.calls[FAKE_ATTACH];
    fake_advance(false, 120000);
    /* At longer and longer intervals */
    g_assert_cmpuint(fake.calls[FAKE_ATTACH] - attaches, <, 120);
    g_assert_cmpuint(t.front.blocked, ==, 1);
    g_assert_cmpuint(t.front.blocked_pasid, ==, RID);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_BLOCKED);
    g_assert_cmpuint(fake_objects(), ==, 1);

    /* Unplugged while it waits */
    g_assert_true(stage1_of(t.dev[0], RID, 0x6000, false, &error_abort));
    remove_dev(&t, 0);
    fake_advance(false, 120000);
    g_assert_cmpuint(t.front.blocked, ==, 1);
    teardown(&t);
}

static void test_labels(void)
{
    Test t;

    setup(&t, &vtd_like);
    add_all(&t);
    for (int i = 0; i < DEVICES; i++) {
        g_assert_true(iommufd_nested_find(t.n, 0x100 + i) == t.dev[i]);
    }
    g_assert_null(iommufd_nested_find(t.n, 0x99));

    /* Two claim one: nobody has it, and the third is unharmed */
    t.front.label[1] = 0x100;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_null(iommufd_nested_find(t.n, 0x100));
    g_assert_null(iommufd_nested_find(t.n, 0x101));
    g_assert_true(iommufd_nested_find(t.n, 0x102) == t.dev[2]);

    /* Apart again, swapped */
    t.front.label[0] = 0x101;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_true(iommufd_nested_find(t.n, 0x100) == t.dev[1]);
    g_assert_true(iommufd_nested_find(t.n, 0x101) == t.dev[0]);

    t.front.label[0] = IOMMUFD_NESTED_NO_LABEL;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_null(iommufd_nested_find(t.n, 0x101));
    g_assert_null(iommufd_nested_find(t.n, IOMMUFD_NESTED_NO_LABEL));

    /* A label outlives nobody */
    remove_dev(&t, 1);
    g_assert_null(iommufd_nested_find(t.n, 0x100));
    teardown(&t);
}

static void test_vdevice(void)
{
    Test t;
    Error *err = NULL;

    setup(&t, &smmu_like);
    for (int i = 0; i < DEVICES; i++) {
        g_assert_true(add(&t, i, &error_abort));
    }
    /* Two host instances: two vIOMMUs and vEVENTQs, no vDEVICE yet */
    g_assert_cmpuint(fake_objects(), ==, 4);
    g_assert_cmpuint(fake_label(t.idev[0]), ==, UINT32_MAX);

    /* Stage 1 needs a label */
    g_assert_false(stage1_of(t.dev[0], RID, 0x1000, false, &err));
    error_free(err);
    err = NULL;
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);

    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    stage1(t.dev[0], RID, 0x1000);
    stage1(t.dev[1], RID, 0x2000);
    g_assert_cmpuint(fake_label(t.idev[0]), ==, 0x100);
    g_assert_cmpuint(fake_label(t.idev[1]), ==, 0x101);

    /* Swapped: the kernel has never two of one label (the fake checks) */
    t.front.label[0] = 0x101;
    t.front.label[1] = 0x100;
    calls(FAKE_DETACH);
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_cmpuint(fake_label(t.idev[0]), ==, 0x101);
    g_assert_cmpuint(fake_label(t.idev[1]), ==, 0x100);
    g_assert_cmpuint(calls(FAKE_DETACH), ==, 2);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), !=, 0);

    /* Nothing changed: nothing done */
    fake.total = 0;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_cmpuint(fake.total, ==, 0);

    /* A clash: both blocked, and told */
    t.front.label[0] = 0x100;
    g_assert_false(iommufd_nested_relabel(t.n, &err));
    error_free(err);
    g_assert_cmpuint(t.front.blocked, ==, 2);
    g_assert_cmpuint(fake_attached(t.idev[0], RID), ==, 0);
    g_assert_cmpuint(fake_attached(t.idev[1], RID), ==, 0);
    g_assert_cmpuint(fake_label(t.idev[0]), ==, UINT32_MAX);

    /* With one of them gone the other has the label for itself */
    remove_dev(&t, 1);
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_true(iommufd_nested_find(t.n, 0x100) == t.dev[0]);
    stage1(t.dev[0], RID, 0x1000);
    g_assert_cmpuint(fake_label(t.idev[0]), ==, 0x100);
    teardown(&t);
}

/* Out of stage 1 nothing depends on a vDEVICE: to lose it is no failure */
static void test_vdevice_unused(void)
{
    Test t;

    setup(&t, &smmu_like);
    for (int i = 0; i < DEVICES; i++) {
        g_assert_true(add(&t, i, &error_abort));
    }
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    for (int i = 0; i < 2; i++) {
        stage1(t.dev[i], RID, 0x1000);
        g_assert_true(set_state(t.dev[i], RID, IOMMUFD_NESTED_STAGE2,
                                &error_abort));
    }
    t.front.label[0] = 0x101;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    g_assert_cmpuint(t.front.blocked, ==, 0);
    g_assert_cmpuint(fake_label(t.idev[0]), ==, UINT32_MAX);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE2);

    /* Nor does one that waits for a reset to end, to get there */
    t.front.label[0] = 0x100;
    g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
    stage1(t.dev[0], RID, 0x1000);
    fake.busy = 1;
    g_assert_true(set_state(t.dev[0], RID, IOMMUFD_NESTED_STAGE2,
                            &error_abort));
    t.front.label[0] = 0x101;
    iommufd_nested_relabel(t.n, NULL);
    fake_advance(false, 2000);
    g_assert_cmpint(iommufd_nested_get(t.dev[0], RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE2);
    teardown(&t);
}

static void test_bounds(void)
{
    IOMMUFDNestedConfig config = vtd_like;
    Test t;
    Error *err = NULL;

    config.max_hwpts = 2;
    config.max_pasids = 3;
    setup(&t, &config);
    add_all(&t);
    stage1(t.dev[0], RID, 0x1000);
    stage1(t.dev[0], 1, 0x2000);
    g_assert_false(stage1_of(t.dev[0], 2, 0x3000, false, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "all 2 HWPTs"));
    error_free(err);
    err = NULL;
    g_assert_cmpuint(fake_attached(t.idev[0], 2), ==, 0);

    /* Sharing costs none; PASID 2, although blocked, is in the books */
    stage1(t.dev[0], 3, 0x2000);
    g_assert_false(stage1_of(t.dev[1], 4, 0x2000, false, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "all 3 PASIDs"));
    error_free(err);
    g_assert_true(iommufd_nested_set(t.dev[0], 2, NULL, &error_abort));
    stage1(t.dev[1], 4, 0x2000);
    teardown(&t);
}

static void test_reset(void)
{
    Test t;
    uint64_t entry = 1;

    setup(&t, &vtd_like);
    add_all(&t);
    for (int i = 0; i < DEVICES; i++) {
        stage1(t.dev[i], RID, 0x1000);
        stage1(t.dev[i], 1, 0x2000 + i);
    }
    g_assert_true(set_state(t.dev[2], RID, IOMMUFD_NESTED_BLOCKED,
                            &error_abort));
    g_assert_true(iommufd_nested_inv_all(t.n, &entry, 0, NULL, &error_abort));
    iommufd_nested_reset(t.n);
    g_assert_false(iommufd_nested_inv_pending(t.n));
    g_assert_cmpuint(calls(FAKE_INVALIDATE), ==, 0);
    for (int i = 0; i < DEVICES; i++) {
        g_assert_cmpint(iommufd_nested_get(t.dev[i], RID, NULL), ==,
                        IOMMUFD_NESTED_STAGE2);
        g_assert_cmpuint(fake_attached(t.idev[i], RID), ==,
                         t.idev[i]->hwpt_id);
        g_assert_cmpuint(fake_attached(t.idev[i], 1), ==, 0);
        g_assert_true(iommufd_nested_find(t.n, 0x100 + i) == t.dev[i]);
    }
    g_assert_cmpuint(fake_objects(), ==, 0);
    teardown(&t);

    /* What is queued for a vIOMMU goes, too, although the vIOMMU stays */
    setup(&t, &smmu_like);
    add_all(&t);
    g_assert_true(iommufd_nested_inv_device(t.dev[0], &entry, 0, NULL,
                                            &error_abort));
    iommufd_nested_reset(t.n);
    g_assert_false(iommufd_nested_inv_pending(t.n));
    teardown(&t);
}

static void test_no_parent(void)
{
    Test t;
    Error *err = NULL;

    setup(&t, &vtd_like);
    t.idev[0]->hwpt_id = fake_parent(0);
    g_assert_false(add(&t, 0, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "no nesting parent"));
    error_free(err);
    teardown(&t);
}

static void test_host_info(void)
{
    IOMMUFDNestedHostInfo info;
    Test t;

    setup(&t, &vtd_like);
    memset(&info, 0xff, sizeof(info));
    g_assert_true(iommufd_nested_host_info(t.idev[0], &info, &error_abort));
    g_assert_cmpuint(info.type, ==, IOMMU_HW_INFO_TYPE_INTEL_VTD);
    g_assert_cmpuint(info.max_pasid_log2, ==, 20);
    g_assert_cmpuint(info.vendor.vtd.cap_reg, ==, 0x1234);
    g_assert_cmpuint(info.vendor.vtd.ecap_reg, ==, 0);
    g_assert_cmpuint(info.parent_flags, ==, NEST);
    teardown(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/core/share", test_share);
    g_test_add_func("/iommufd/core/replace", test_replace);
    g_test_add_func("/iommufd/core/index", test_index);
    g_test_add_func("/iommufd/core/fail-blocks", test_fail_blocks);
    g_test_add_func("/iommufd/core/stuck", test_stuck);
    g_test_add_func("/iommufd/core/stuck-label", test_stuck_label);
    g_test_add_func("/iommufd/core/fail-everywhere", test_fail_everywhere);
    g_test_add_func("/iommufd/core/busy", test_busy);
    g_test_add_func("/iommufd/core/labels", test_labels);
    g_test_add_func("/iommufd/core/vdevice", test_vdevice);
    g_test_add_func("/iommufd/core/vdevice-unused", test_vdevice_unused);
    g_test_add_func("/iommufd/core/bounds", test_bounds);
    g_test_add_func("/iommufd/core/reset", test_reset);
    g_test_add_func("/iommufd/core/no-parent", test_no_parent);
    g_test_add_func("/iommufd/core/host-info", test_host_info);
    return g_test_run();
}
