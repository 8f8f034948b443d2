/*
 * Unit tests of the nested IOMMU core: command queues of the guest's own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

#define NEST IOMMU_HWPT_ALLOC_NEST_PARENT

static const IOMMUFDNestedConfig config = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
    .viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
    .vdevice = true,
    .veventq_type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
    .veventq_depth = 64,
    .event_len = 32,
};

static uint64_t page[FAKE_PAGE_LEN / sizeof(uint64_t)];
static unsigned events, queue_events, lost, queue_lost;
static IOMMUFDNested *nested;

static void on_event(void *opaque, const void *data, size_t len)
{
    g_assert_cmpuint(len, ==, 32);
    events++;
}

static void on_lost(void *opaque, uint32_t count)
{
    lost += MAX(count, 1);
}

static void on_queue_event(void *opaque, const void *data, size_t len)
{
    g_assert_cmpuint(len, ==, sizeof(struct iommu_vevent_tegra241_cmdqv));
    queue_events++;
}

static void on_queue_lost(void *opaque, uint32_t count)
{
    queue_lost += MAX(count, 1);
}

static void on_memory_goes(void *opaque)
{
    iommufd_nested_queues_cut(nested, 0);
}

static const IOMMUFDNestedOps ops = {
    .event = on_event,
    .events_lost = on_lost,
};

static void where(const void *data, uint64_t *offset, uint64_t *length)
{
    const struct iommu_viommu_tegra241_cmdqv *d = data;

    *offset = d->out_vintf_mmap_offset;
    *length = d->out_vintf_mmap_length;
}

static const IOMMUFDNestedQueues queues = {
    .viommu_type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
    .data_len = sizeof(struct iommu_viommu_tegra241_cmdqv),
    .where = where,
    .queue_type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
    .page = page,
    .page_len = sizeof(page),
    .veventq_type = IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
    .veventq_depth = 16,
    .event_len = sizeof(struct iommu_vevent_tegra241_cmdqv),
    .event = on_queue_event,
    .events_lost = on_queue_lost,
    .memory_goes = on_memory_goes,
};

typedef struct Rig {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
} Rig;

static void setup(Rig *t)
{
    fake_reset();
    fake_page_len = 0;
    events = queue_events = lost = queue_lost = 0;
    t->n = iommufd_nested_new(&config, &ops, NULL);
    iommufd_nested_want_queues(t->n, &queues);
    nested = t->n;
    t->idev = fake_device("d0", fake_parent(NEST));
    t->dev = NULL;
}

static void teardown(Rig *t)
{
    if (t->dev) {
        iommufd_nested_device_remove(t->dev);
    }
    fake_device_free(t->idev);
    g_assert_false(iommufd_nested_has_page(t->n));
    g_assert_cmpuint(fake_page, ==, 0);
    g_assert_cmpuint(page[0], ==, 0);
    iommufd_nested_free(t->n);
    g_assert_cmpuint(fake_objects(), ==, 0);
}

static bool add(Rig *t, uint64_t gpa)
{
    Error *err = NULL;
    bool ok = iommufd_nested_queue_add(t->n, gpa, 0x1000, &err);

    g_assert_true(ok == !err);
    if (err) {
        g_assert_nonnull(strstr(error_get_pretty(err), "viommu0"));
        error_free(err);
    }
    return ok;
}

static void test_life(void)
{
    struct iommu_hw_info_tegra241_cmdqv info;
    Rig t;

    setup(&t);
    g_assert_false(iommufd_nested_has_page(t.n));
    g_assert_true(iommufd_nested_host_info_of(
        t.idev, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, &info, sizeof(info),
        &error_abort));
    g_assert_cmpuint(info.log2vcmdqs, ==, 3);
    g_assert_false(iommufd_nested_host_info_of(
        t.idev, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, sizeof(info), NULL));
    g_assert_cmpuint(info.log2vcmdqs, ==, 0);

    t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
    g_assert_true(iommufd_nested_has_page(t.n));
    g_assert_cmpuint(page[0], ==, UINT64_MAX);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(add(&t, i * 0x1000));
        g_assert_cmpuint(iommufd_nested_queues(t.n), ==, i + 1);
    }
    /* One that is refused changes nothing */
    g_assert_false(add(&t, 0x800));
    g_assert_cmpuint(iommufd_nested_queues(t.n), ==, 4);
    iommufd_nested_queues_cut(t.n, 2);
    g_assert_cmpuint(fake_hw_queues(), ==, 2);
    iommufd_nested_queues_cut(t.n, 3);
    g_assert_cmpuint(fake_hw_queues(), ==, 2);
    g_assert_true(add(&t, 0x5000));
    g_assert_cmpuint(fake_hw_queues(), ==, 3);

    /* They go with the last device, and can come again */
    iommufd_nested_device_remove(t.dev);
    g_assert_cmpuint(fake_hw_queues(), ==, 0);
    g_assert_cmpuint(iommufd_nested_queues(t.n), ==, 0);
    iommufd_nested_queues_cut(t.n, 0);
    t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
    g_assert_true(add(&t, 0));
    teardown(&t);
}

/* What the host cannot give, or not with that page: another type can be had */
static void test_fallback(void)
{
    Error *err = NULL;
    Rig t;

    for (unsigned i = 0; i < 2; i++) {
        setup(&t);
        fake.fail_at = i ? 0 : 1;
        fake.fail_errno = ENOSPC;
        fake_page_len = i ? FAKE_PAGE_LEN / 2 : 0;
        g_assert_null(iommufd_nested_device_add(t.n, t.idev, NULL, &err));
        error_free(g_steal_pointer(&err));
        g_assert_cmpuint(fake_objects(), ==, 0);
        g_assert_cmpuint(page[0], ==, 0);
        iommufd_nested_want_queues(t.n, NULL);
        t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
        g_assert_false(iommufd_nested_has_page(t.n));
        iommufd_nested_queues_cut(t.n, 0);
        teardown(&t);
    }
}

/* Memory that goes takes the queues along that are in it */
static void test_memory(void)
{
    const IOMMUFDBackend *iommufd;
    IOMMUFDBackend other = {};
    Rig t;

    setup(&t);
    iommufd = t.idev->iommufd;
    iommufd_hw_queues_unmap(iommufd, FAKE_PARENT_IOAS, 0, UINT64_MAX);
    t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
    g_assert_true(add(&t, 0x1000) && add(&t, 0x4000));
    iommufd_hw_queues_unmap(iommufd, FAKE_PARENT_IOAS, 0, 0xfff);
    iommufd_hw_queues_unmap(iommufd, FAKE_PARENT_IOAS, 0x2000, 0x3fff);
    iommufd_hw_queues_unmap(iommufd, FAKE_PARENT_IOAS + 1, 0, UINT64_MAX);
    iommufd_hw_queues_unmap(&other, FAKE_PARENT_IOAS, 0, UINT64_MAX);
    g_assert_cmpuint(fake_hw_queues(), ==, 2);
    iommufd_hw_queues_unmap(iommufd, FAKE_PARENT_IOAS, 0x4fff, 0x5fff);
    g_assert_cmpuint(fake_hw_queues(), ==, 0);
    teardown(&t);
}

/* A device behind another IOMMU of the host has no place with queues */
static void test_alone(void)
{
    HostIOMMUDeviceIOMMUFD *other;
    Error *err = NULL;
    Rig t;

    setup(&t);
    t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
    other = fake_device("d1", fake_parent(NEST));
    g_assert_null(iommufd_nested_device_add(t.n, other, NULL, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "d1 is behind another"));
    error_free(err);
    g_assert_true(add(&t, 0));
    fake_device_free(other);
    teardown(&t);
}

static void push(int fd, uint32_t sequence, size_t len)
{
    uint8_t ev[sizeof(struct iommufd_vevent_header) + 32] = {};
    struct iommufd_vevent_header hdr = { .sequence = sequence };

    memcpy(ev, &hdr, sizeof(hdr));
    fake_push(fd, ev, sizeof(hdr) + len);
}

/* Two queues of events that know nothing of each other */
static void test_events(void)
{
    int fd, fd2;
    Rig t;

    setup(&t);
    t.dev = iommufd_nested_device_add(t.n, t.idev, NULL, &error_abort);
    fd = fake_veventq_fd();
    fd2 = fd + 1;
    push(fd, 0, 32);
    push(fd2, 0, sizeof(struct iommu_vevent_tegra241_cmdqv));
    push(fd2, 2, sizeof(struct iommu_vevent_tegra241_cmdqv));
    fake_readable(fd2);
    g_assert_cmpuint(events, ==, 0);
    g_assert_cmpuint(queue_events, ==, 2);
    g_assert_cmpuint(queue_lost, ==, 1);
    fake_readable(fd);
    g_assert_cmpuint(events, ==, 1);
    g_assert_cmpuint(lost, ==, 0);

    /* One that cannot be read leaves the other alone */
    fake.fail_at = fake.total + 1;
    fake.fail_errno = ENOMEM;
    g_assert_true(fake_readable(fd2));
    g_assert_false(fake_readable(fd2));
    push(fd, 1, 32);
    g_assert_true(fake_readable(fd));
    g_assert_cmpuint(events, ==, 2);
    fake_advance(false, 1000);
    g_assert_true(fake_readable(fd2));

    /* A VM that stops hears of what was there, and of nothing after that */
    push(fd2, 3, sizeof(struct iommu_vevent_tegra241_cmdqv));
    iommufd_nested_set_running(t.n, false);
    g_assert_cmpuint(queue_events, ==, 3);
    g_assert_false(fake_readable(fd2));
    push(fd2, 4, sizeof(struct iommu_vevent_tegra241_cmdqv));
    iommufd_nested_quiesce(t.n);
    g_assert_cmpuint(queue_lost, ==, 2);
    g_assert_cmpuint(lost, ==, 0);
    teardown(&t);
}

static void scenario(Rig *t)
{
    t->dev = iommufd_nested_device_add(t->n, t->idev, NULL, NULL);
    if (!t->dev) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        add(t, i * 0x1000);
        g_assert_cmpuint(iommufd_nested_queues(t->n), ==, fake_hw_queues());
    }
    iommufd_nested_queues_cut(t->n, 1);
    add(t, 0x8000);
    iommufd_nested_device_remove(g_steal_pointer(&t->dev));
}

static void test_fail_everywhere(void)
{
    unsigned n;

    for (n = 1;; n++) {
        Rig t;

        setup(&t);
        fake.fail_at = n;
        fake.fail_errno = ENOMEM;
        scenario(&t);
        g_assert_cmpuint(fake_page, ==, 0);
        teardown(&t);
        if (!fake.has_failed) {
            break;
        }
    }
    g_test_message("%u calls made to fail, one at a time", n - 1);
    g_assert_cmpuint(n, >, 15);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/hw-queue", test_life);
    g_test_add_func("/iommufd/hw-queue-fallback", test_fallback);
    g_test_add_func("/iommufd/hw-queue-memory", test_memory);
    g_test_add_func("/iommufd/hw-queue-alone", test_alone);
    g_test_add_func("/iommufd/hw-queue-events", test_events);
    g_test_add_func("/iommufd/hw-queue-fail", test_fail_everywhere);
    return g_test_run();
}
