/*
 * Unit tests of the nested IOMMU core: what management is told
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)
#define REFUSED "the host refused to attach\n"
#define NO_HWPT "the host has no stage-1 page table for it\n"

static uint32_t front_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return 0x208 + GPOINTER_TO_UINT(iommufd_nested_device_opaque(dev));
}

static const IOMMUFDNestedOps ops = {
    .label = front_label,
};

static const IOMMUFDNestedConfig config = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
    .max_hwpts = 7,
};

typedef struct Rig {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev[2];
    IOMMUFDNestedDevice *dev[2];
} Rig;

static void setup(Rig *r, gconstpointer unused)
{
    uint32_t parent;

    fake_reset();
    r->n = iommufd_nested_new(&config, &ops, NULL);
    parent = fake_parent(NEST);
    for (unsigned i = 0; i < ARRAY_SIZE(r->dev); i++) {
        r->idev[i] = fake_device(i ? "d1" : "d0", parent);
        r->dev[i] = iommufd_nested_device_add(r->n, r->idev[i],
                                              GUINT_TO_POINTER(i),
                                              &error_abort);
    }
    g_assert_true(iommufd_nested_relabel(r->n, &error_abort));
}

static void unplug(Rig *r, unsigned i)
{
    iommufd_nested_device_remove(r->dev[i]);
    fake_device_free(r->idev[i]);
    r->dev[i] = NULL;
}

static void teardown(Rig *r, gconstpointer unused)
{
    for (unsigned i = 0; i < ARRAY_SIZE(r->dev); i++) {
        if (r->dev[i]) {
            unplug(r, i);
        }
    }
    iommufd_nested_free(r->n);
    fake_reset();
}

static void expect(const char *lines)
{
    g_assert_cmpstr(fake.told->str, ==, lines);
    g_string_truncate(fake.told, 0);
}

static void stage1(IOMMUFDNestedDevice *dev, uint32_t pasid, int err)
{
    uint64_t root = 0x1000;
    const IOMMUFDNestedTranslation t = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
    };

    if (err) {
        /* The first thing it has the host do */
        fake.fail_at = fake.total + 1;
        fake.fail_errno = err;
    }
    g_assert_cmpint(iommufd_nested_set(dev, pasid, &t, NULL), ==, !err);
}

static void blocked(IOMMUFDNestedDevice *dev, uint32_t pasid,
                    const char *reason, bool mistake)
{
    const IOMMUFDNestedTranslation t = {
        .state = IOMMUFD_NESTED_BLOCKED,
        .reason = reason,
        .mistake = mistake,
    };

    g_assert_true(iommufd_nested_set(dev, pasid, &t, &error_abort));
}

/* One event for what is refused together, with the newest reason */
static void test_once(Rig *r, gconstpointer unused)
{
    stage1(r->dev[0], RID, 0);
    stage1(r->dev[0], 5, ENOSPC);
    blocked(r->dev[0], 9, "reserved bit", true);
    fake_advance(false, 99);
    expect("");
    fake_advance(false, 1);
    expect("viommu0: d0: 2, 9: reserved bit\n");

    /* The newest one goes: the other one's reason is left */
    stage1(r->dev[0], 9, 0);
    fake_advance(false, 1000);
    expect("viommu0: d0: 1, 5: " REFUSED);
    stage1(r->dev[0], 5, 0);
    fake_advance(false, 1000);
    expect("viommu0: d0\n");
    fake_advance(false, 5000);
    expect("");
}

/* What the guest wishes is nobody's business, nor is what lasts a moment */
static void test_silent(Rig *r, gconstpointer unused)
{
    blocked(r->dev[0], RID, "entry not present", false);
    blocked(r->dev[1], RID, NULL, false);
    fake_advance(false, 5000);
    expect("");

    blocked(r->dev[0], RID, "reserved bit", true);
    fake_advance(false, 99);
    blocked(r->dev[0], RID, "entry not present", false);
    fake_advance(false, 5000);
    expect("");

    /* A mistake becomes a wish by the same reason */
    blocked(r->dev[0], RID, "odd", true);
    fake_advance(false, 5000);
    expect("viommu0: d0: 1, -1: odd\n");
    blocked(r->dev[0], RID, "odd", false);
    fake_advance(false, 5000);
    expect("viommu0: d0\n");
}

/* A guest that makes and mends mistakes without end */
static void test_rate(Rig *r, gconstpointer unused)
{
    unsigned lines = 0;

    for (unsigned i = 0; i < 10000; i++) {
        blocked(r->dev[0], RID, "reserved bit", true);
        fake_advance(false, 1);
        stage1(r->dev[0], RID, 0);
        blocked(r->dev[1], RID, "reserved bit", true);
        stage1(r->dev[1], RID, 0);
        blocked(r->dev[1], RID, "reserved bit", true);
    }
    for (const char *s = fake.told->str; *s; s++) {
        lines += *s == '\n';
    }
    /* Twenty seconds, two devices */
    g_assert_cmpuint(lines, >=, 10);
    g_assert_cmpuint(lines, <=, 22);
    g_string_truncate(fake.told, 0);
}

/* A reset puts an attach off: told if it takes its time */
static void test_reset(Rig *r, gconstpointer unused)
{
    fake.busy = 2;
    stage1(r->dev[0], RID, 0);
    fake_advance(false, 2000);
    expect("");
    blocked(r->dev[0], RID, NULL, false);

    fake.busy = 5;
    stage1(r->dev[0], RID, 0);
    fake_advance(false, 110);
    expect("viommu0: d0: 1, -1: the device is being reset\n");
    fake_advance(false, 3000);
    expect("viommu0: d0\n");
}

/* A device that goes takes what is due along */
static void test_unplug(Rig *r, gconstpointer unused)
{
    stage1(r->dev[0], 5, ENOSPC);
    stage1(r->dev[1], RID, ENOSPC);
    unplug(r, 0);
    fake_advance(false, 100);
    expect("viommu0: d1: 1, -1: " NO_HWPT);
    stage1(r->dev[1], RID, 0);
    unplug(r, 1);
    fake_advance(false, 5000);
    expect("");
}

/* The guest takes a PASID away that was refused */
static void test_pasid_gone(Rig *r, gconstpointer unused)
{
    stage1(r->dev[0], 5, ENOSPC);
    fake_advance(false, 100);
    expect("viommu0: d0: 1, 5: " NO_HWPT);
    g_assert_true(iommufd_nested_set(r->dev[0], 5, NULL, &error_abort));
    fake_advance(false, 1000);
    expect("viommu0: d0\n");
}

/* A reset of the machine */
static void test_machine_reset(Rig *r, gconstpointer unused)
{
    stage1(r->dev[0], 5, ENOSPC);
    blocked(r->dev[0], RID, "reserved bit", true);
    fake_advance(false, 100);
    expect("viommu0: d0: 2, -1: reserved bit\n");
    iommufd_nested_reset(r->n);
    fake_advance(false, 1000);
    expect("viommu0: d0\n");
}

/* Members of a group that differ are blocked until they agree */
static void test_group(Rig *r, gconstpointer unused)
{
    unplug(r, 0);
    unplug(r, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(r->dev); i++) {
        r->idev[i] = fake_device(i ? "d1" : "d0", i ? r->idev[0]->hwpt_id :
                                 fake_parent(NEST));
        fake_group(r->idev[i], 3);
        r->dev[i] = iommufd_nested_device_add(r->n, r->idev[i],
                                              GUINT_TO_POINTER(i),
                                              &error_abort);
    }
    g_assert_true(iommufd_nested_relabel(r->n, &error_abort));
    stage1(r->dev[0], RID, 0);
    fake_advance(false, 100);
    g_assert_nonnull(strstr(fake.told->str, "viommu0: d0: 1, -1: devices of "));
    g_assert_nonnull(strstr(fake.told->str, "viommu0: d1: 1, -1: devices of "));
    g_string_truncate(fake.told, 0);
    stage1(r->dev[1], RID, 0);
    fake_advance(false, 1000);
    g_assert_nonnull(strstr(fake.told->str, "viommu0: d0\n"));
    g_assert_nonnull(strstr(fake.told->str, "viommu0: d1\n"));
    g_string_truncate(fake.told, 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(Rig *r, gconstpointer unused);
    } tests[] = {
        { "once", test_once },
        { "silent", test_silent },
        { "rate", test_rate },
        { "reset", test_reset },
        { "unplug", test_unplug },
        { "pasid-gone", test_pasid_gone },
        { "machine-reset", test_machine_reset },
        { "group", test_group },
    };

    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/iommufd/notify/%s",
                                                tests[i].name);

        g_test_add(path, Rig, NULL, setup, tests[i].fn, teardown);
    }
    return g_test_run();
}
