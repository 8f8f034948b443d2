/*
 * Unit tests of the nested IOMMU core: devices of one IOMMU group of the host
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
#define GROUP   7
#define DEVICES 3

typedef struct Test {
    IOMMUFDNested *n;
    uint32_t parent;
    HostIOMMUDeviceIOMMUFD *idev[DEVICES];
    IOMMUFDNestedDevice *dev[DEVICES];
} Test;

static uint32_t label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return GPOINTER_TO_UINT(iommufd_nested_device_opaque(dev));
}

static IOMMUFDNestedPageVerdict
page_group(void *opaque, const IOMMUFDNestedPageGroup *group)
{
    return IOMMUFD_NESTED_PAGE_QUEUED;
}

static const IOMMUFDNestedOps ops = {
    .label = label,
    .page_group = page_group,
};

static const IOMMUFDNestedConfig config = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
};

static void add(Test *t, int i)
{
    t->dev[i] = iommufd_nested_device_add(t->n, t->idev[i],
                                          GUINT_TO_POINTER(0x100 + i),
                                          &error_abort);
}

/* Devices 0 and 1 are of one group, 2 is alone */
static void setup(Test *t)
{
    static const char *const names[DEVICES] = { "d0", "d1", "d2" };

    memset(t, 0, sizeof(*t));
    fake_reset();
    t->parent = fake_parent(IOMMU_HWPT_ALLOC_NEST_PARENT |
                            IOMMU_HWPT_ALLOC_PASID);
    t->n = iommufd_nested_new(&config, &ops, t);
    for (int i = 0; i < DEVICES; i++) {
        t->idev[i] = fake_device(names[i], t->parent);
        fake_group(t->idev[i], i < 2 ? GROUP : GROUP + 1);
        add(t, i);
    }
    g_assert_true(iommufd_nested_relabel(t->n, &error_abort));
}

static void remove_dev(Test *t, int i)
{
    if (t->dev[i]) {
        iommufd_nested_device_remove(t->dev[i]);
        t->dev[i] = NULL;
        g_assert_cmpuint(fake_attached(t->idev[i], RID), ==, 0);
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
}

static bool set(Test *t, int i, uint32_t pasid, uint64_t root,
                bool page_requests)
{
    const IOMMUFDNestedTranslation tr = {
        .state = root ? IOMMUFD_NESTED_STAGE1 : IOMMUFD_NESTED_BYPASS,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
        .page_requests = page_requests,
        .domain = root >> 12,
        .index_pasid = pasid == RID ? 0 : pasid,
    };

    return iommufd_nested_set(t->dev[i], pasid, &tr, NULL);
}

static void block(Test *t, int i)
{
    g_assert_true(iommufd_nested_set(t->dev[i], RID, NULL, &error_abort));
}

/* Both are in @state, and what is attached says so */
static void expect(Test *t, uint32_t pasid, IOMMUFDNestedState state)
{
    const char *why;

    for (int i = 0; i < 2; i++) {
        uint32_t id = fake_attached(t->idev[i], pasid);

        g_assert_cmpint(iommufd_nested_get(t->dev[i], pasid, &why), ==, state);
        if (state == IOMMUFD_NESTED_BLOCKED) {
            g_assert_cmpuint(id, ==, 0);
        } else {
            g_assert_cmpuint(id, !=, 0);
            g_assert_cmpuint(id, ==, fake_attached(t->idev[0], pasid));
            g_assert_cmpint(id == t->parent, !=,
                            state == IOMMUFD_NESTED_STAGE1);
        }
    }
}

/* All that differs is blocked, all that agrees is attached */
static void test_agree(void)
{
    const char *why;
    Test t;

    setup(&t);
    for (int first = 0; first < 2; first++) {
        for (uint64_t root = 0x1000; root <= 0x2000; root += 0x1000) {
            g_assert_true(set(&t, first, RID, root, false));
            expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
            iommufd_nested_get(t.dev[!first], RID, &why);
            g_assert_nonnull(strstr(why, "IOMMU group 7"));
            g_assert_true(set(&t, !first, RID, root, false));
            expect(&t, RID, IOMMUFD_NESTED_STAGE1);
            /* Said again: nothing changes */
            g_assert_true(set(&t, first, RID, root, false));
            expect(&t, RID, IOMMUFD_NESTED_STAGE1);
        }
        /* Who is alone is not concerned */
        g_assert_true(set(&t, 2, RID, 0x3000, false));
        g_assert_cmpuint(fake_attached(t.idev[2], RID), !=, 0);
        g_assert_true(set(&t, first, RID, 0, false));
        expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
        g_assert_true(set(&t, !first, RID, 0, false));
        expect(&t, RID, IOMMUFD_NESTED_BYPASS);
    }
    /* One blocked is all blocked, and it comes back */
    g_assert_true(set(&t, 0, RID, 0x1000, false));
    g_assert_true(set(&t, 1, RID, 0x1000, false));
    block(&t, 1);
    expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
    g_assert_true(set(&t, 1, RID, 0x1000, false));
    expect(&t, RID, IOMMUFD_NESTED_STAGE1);
    iommufd_nested_reset(t.n);
    expect(&t, RID, IOMMUFD_NESTED_STAGE2);
    /* Whether the guest says so or says nothing: it is the parent */
    g_assert_true(set(&t, 0, RID, 0, false));
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(iommufd_nested_get(t.dev[i], RID, &why), ==,
                        i ? IOMMUFD_NESTED_STAGE2 : IOMMUFD_NESTED_BYPASS);
        g_assert_cmpuint(fake_attached(t.idev[i], RID), ==, t.parent);
    }
    teardown(&t);
}

static void test_pasid(void)
{
    Test t;

    setup(&t);
    g_assert_true(set(&t, 0, 5, 0x1000, false));
    g_assert_cmpuint(fake_attached(t.idev[0], 5), ==, 0);
    g_assert_true(set(&t, 1, 5, 0x1000, false));
    expect(&t, 5, IOMMUFD_NESTED_STAGE1);
    expect(&t, RID, IOMMUFD_NESTED_STAGE2);
    g_assert_true(iommufd_nested_set(t.dev[0], 5, NULL, &error_abort));
    expect(&t, 5, IOMMUFD_NESTED_BLOCKED);
    g_assert_true(iommufd_nested_set(t.dev[1], 5, NULL, &error_abort));
    g_assert_cmpuint(fake_objects(), ==, 0);
    teardown(&t);
}

/* A function without page requests beside one that has them */
static void test_page_requests(void)
{
    Test t;

    for (int with = 0; with < 2; with++) {
        setup(&t);
        g_assert_true(set(&t, 0, RID, 0x1000, with == 0));
        g_assert_true(set(&t, 1, RID, 0x1000, with == 1));
        expect(&t, RID, IOMMUFD_NESTED_STAGE1);
        g_assert_false(t.dev[0]->rid.hwpt->key.page_requests);
        g_assert_true(set(&t, with, RID, 0x1000, true));
        expect(&t, RID, IOMMUFD_NESTED_STAGE1);
        teardown(&t);
    }
}

/* Whose they are is known when nobody else can have asked */
static void test_who_asks(void)
{
    Test t;

    for (int leaver = 0; leaver < 2; leaver++) {
        int stays = !leaver;

        setup(&t);
        for (int i = 0; i < 2; i++) {
            g_assert_true(set(&t, i, RID, 0x1000, true));
            g_assert_true(set(&t, i, 5, 0x2000, true));
        }
        for (int i = 0; i < 2; i++) {
            fake_push_group(fake_fault_fd(), t.idev[i], RID, 1, 70 + i, 1);
            fake_push_group(fake_fault_fd(), t.idev[i], 5, 1, 80 + i, 1);
        }
        g_assert_true(fake_readable(fake_fault_fd()));
        for (int i = 0; i < 2; i++) {
            g_assert_cmpint(fake_answer(70 + i), ==, IOMMUFD_PAGE_RESP_INVALID);
            g_assert_cmpint(fake_answer(80 + i), ==, IOMMUFD_PAGE_RESP_INVALID);
        }
        g_assert_true(t.dev[leaver]->group->told_requests);
        remove_dev(&t, leaver);
        fake_push_group(fake_fault_fd(), t.idev[stays], RID, 1, 90, 1);
        g_assert_true(fake_readable(fake_fault_fd()));
        g_assert_cmpint(fake_answer(90), ==, -1);
        g_assert_true(iommufd_nested_page_response(t.dev[stays], RID, 1, true));
        iommufd_nested_page_flush(t.n);
        g_assert_cmpint(fake_answer(90), ==, IOMMUFD_PAGE_RESP_SUCCESS);
        teardown(&t);
    }
}

/* Who leaves is missed by nobody, who comes changes nothing by itself */
static void test_plug(void)
{
    Test t;

    for (int leaver = 0; leaver < 2; leaver++) {
        for (int page_requests = 0; page_requests < 2; page_requests++) {
            HostIOMMUDeviceIOMMUFD *stays;
            uint32_t id;

            setup(&t);
            stays = t.idev[!leaver];
            g_assert_true(set(&t, 0, RID, 0x1000, page_requests));
            g_assert_true(set(&t, 1, RID, 0x1000, page_requests));
            id = fake_attached(stays, RID);
            fake.calls[FAKE_ATTACH] = 0;
            remove_dev(&t, leaver);
            g_assert_cmpuint(fake_attached(stays, RID), ==, id);
            g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, page_requests);

            g_assert_true(iommufd_nested_device_moved(
                              HOST_IOMMU_DEVICE(stays)));
            add(&t, leaver);
            g_assert_true(iommufd_nested_relabel(t.n, &error_abort));
            g_assert_cmpuint(fake_attached(t.idev[leaver], RID), ==, 0);
            g_assert_true(set(&t, leaver, RID, 0x1000, page_requests));
            expect(&t, RID, IOMMUFD_NESTED_STAGE1);
            g_assert_cmpuint(fake_attached(stays, RID), ==, id);

            /* They differ, and the one that goes was the reason */
            g_assert_true(set(&t, leaver, RID, 0x2000, page_requests));
            expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
            remove_dev(&t, leaver);
            g_assert_cmpint(iommufd_nested_get(t.dev[!leaver], RID, NULL), ==,
                            IOMMUFD_NESTED_STAGE1);
            teardown(&t);
        }
    }
}

/* A reset of one keeps the whole group out; both come back after it */
static void test_reset(void)
{
    Test t;

    for (int i = 0; i < 2; i++) {
        setup(&t);
        g_assert_true(set(&t, i, RID, 0x1000, false));
        fake.busy = 1;
        g_assert_true(set(&t, !i, RID, 0x1000, false));
        expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
        fake_advance(false, 1000);
        expect(&t, RID, IOMMUFD_NESTED_STAGE1);
        teardown(&t);
    }
}

/* Told when it lasts, once */
static void test_told(void)
{
    Test t;

    setup(&t);
    g_assert_true(set(&t, 0, RID, 0x1000, false));
    fake_advance(false, 500);
    g_assert_true(set(&t, 1, RID, 0x1000, false));
    fake_advance(false, 1000);
    g_assert_false(t.dev[0]->group->told);
    g_assert_true(set(&t, 0, RID, 0x2000, false));
    fake_advance(false, 1000);
    g_assert_true(t.dev[0]->group->told);
    expect(&t, RID, IOMMUFD_NESTED_BLOCKED);
    teardown(&t);
}

/* Each call fails once: nobody translates through what is not his */
static void test_fail(void)
{
    bool failed = true;
    Test t;

    for (unsigned n = 1; failed; n++) {
        setup(&t);
        fake.fail_at = n;
        fake.fail_errno = EIO;
        for (uint64_t root = 0x1000; root <= 0x2000; root += 0x1000) {
            for (int i = 0; i < 2; i++) {
                set(&t, i, RID, root, false);
            }
        }
        failed = fake.has_failed;
        fake.fail_at = 0;
        for (int i = 0; i < 2; i++) {
            if (iommufd_nested_get(t.dev[i], RID, NULL) !=
                IOMMUFD_NESTED_BLOCKED) {
                g_assert_cmpuint(fake_attached(t.idev[0], RID), ==,
                                 fake_attached(t.idev[1], RID));
            }
        }
        /* And it can be mended */
        block(&t, 0);
        block(&t, 1);
        g_assert_true(set(&t, 0, RID, 0x4000, false));
        g_assert_true(set(&t, 1, RID, 0x4000, false));
        expect(&t, RID, IOMMUFD_NESTED_STAGE1);
        teardown(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);
    g_test_add_func("/iommufd/group/agree", test_agree);
    g_test_add_func("/iommufd/group/pasid", test_pasid);
    g_test_add_func("/iommufd/group/page-requests", test_page_requests);
    g_test_add_func("/iommufd/group/who-asks", test_who_asks);
    g_test_add_func("/iommufd/group/plug", test_plug);
    g_test_add_func("/iommufd/group/reset", test_reset);
    g_test_add_func("/iommufd/group/told", test_told);
    g_test_add_func("/iommufd/group/fail", test_fail);
    return g_test_run();
}
