/*
 * Unit tests of the nested IOMMU core: events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "fault-rig.h"

static const IOMMUFDNestedConfig event_config = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
    .viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
    .vdevice = true,
    .veventq_type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
    .veventq_depth = 64,
    .event_len = 32,
};

static void push_event(int fd, uint32_t sequence, uint8_t fill)
{
    struct {
        struct iommufd_vevent_header hdr;
        uint8_t data[32];
    } ev = { .hdr.sequence = sequence };

    memset(ev.data, fill, sizeof(ev.data));
    fake_push(fd, &ev, sizeof(ev));
}

static void push_lost(int fd, uint32_t sequence)
{
    struct iommufd_vevent_header hdr = {
        .flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS,
        .sequence = sequence,
    };

    fake_push(fd, &hdr, sizeof(hdr));
}

static void test_events(void)
{
    const struct {
        struct iommufd_vevent_header hdr;
        uint8_t data[16];
    } half = { .hdr.sequence = 3 };
    FaultRig t;
    int fd;

    rig_setup_config(&t, &event_config);
    fd = fake_veventq_fd();
    g_assert_cmpint(fd, >=, 0);

    /* Many in one read, in order */
    for (uint32_t i = 0; i < 300; i++) {
        push_event(fd, i, i);
    }
    fake.calls[FAKE_READ] = 0;
    fake_readable(fd);
    g_assert_cmpuint(front.events, ==, 300);
    g_assert_cmpuint(front.last_event[31], ==, 299 & 0xff);
    g_assert_cmpuint(front.lost, ==, 0);
    g_assert_cmpuint(fake.calls[FAKE_READ], <, 10);

    /* A gap, and a mark at the end of the queue, which has no data */
    push_event(fd, 303, 1);
    fake_readable(fd);
    g_assert_cmpuint(front.lost, ==, 3);
    push_lost(fd, 305);
    fake_readable(fd);
    g_assert_cmpuint(front.lost, ==, 5);
    g_assert_cmpuint(front.events, ==, 301);
    push_event(fd, 306, 2);
    fake_readable(fd);
    g_assert_cmpuint(front.lost, ==, 5);

    /* Numbers wrap at INT_MAX */
    push_event(fd, INT_MAX, 3);
    fake_readable(fd);
    front.lost = 0;
    push_event(fd, 0, 4);
    push_event(fd, 2, 5);
    fake_readable(fd);
    g_assert_cmpuint(front.lost, ==, 1);
    g_assert_cmpuint(front.events, ==, 305);

    /* Half an event, which no kernel gives, is none */
    fake_push(fd, &half, sizeof(half));
    fake_readable(fd);
    g_assert_cmpuint(front.events, ==, 305);

    /* A flood does not keep the main loop */
    for (uint32_t i = 0; i < 3000; i++) {
        push_event(fd, 3 + i, 0);
    }
    front.events = 0;
    fake_readable(fd);
    g_assert_cmpuint(front.events, <, 3000);
    while (front.events < 3000) {
        fake_readable(fd);
    }
    g_assert_cmpuint(front.lost, ==, 1);

    iommufd_nested_set_running(t.n, false);
    push_event(fd, 3003, 0);
    g_assert_false(fake_readable(fd));
    iommufd_nested_set_running(t.n, true);
    g_assert_true(fake_readable(fd));
    g_assert_cmpuint(front.events, ==, 3001);
    rig_teardown(&t);
}

/* Reads that fail for a while lose nothing, and those that fail for long do */
static void test_event_retry(void)
{
    FaultRig t;
    int fd;

    rig_setup_config(&t, &event_config);
    fd = fake_veventq_fd();
    for (uint32_t i = 0; i < 3; i++) {
        push_event(fd, i, i);
        for (unsigned fails = 0; fails < 5; fails++) {
            fake.fail_at = fake.total + 1;
            fake.fail_errno = ENOMEM;
            if (!fails) {
                g_assert_true(fake_readable(fd));
                /* It is readable all the time, and not watched */
                g_assert_false(fake_readable(fd));
            } else {
                fake_advance(false, 10 << (fails - 1));
            }
            g_assert_true(fake.has_failed);
            fake.has_failed = false;
            g_assert_cmpuint(front.events, ==, i);
        }
        fake_advance(false, 1000);
        g_assert_cmpuint(front.events, ==, i + 1);
    }
    g_assert_cmpuint(front.lost, ==, 0);
    push_event(fd, 3, 3);
    g_assert_true(fake_readable(fd));
    g_assert_cmpuint(front.events, ==, 4);

    /* It does not go on for ever */
    push_event(fd, 4, 4);
    fake.fail_at = fake.total + 1;
    g_assert_true(fake_readable(fd));
    for (unsigned i = 0; !front.lost; i++) {
        g_assert_cmpuint(i, <, 2000);
        fake.fail_at = fake.total + 1;
        fake_advance(false, 10);
    }
    fake.fail_at = 0;
    fake.calls[FAKE_READ] = 0;
    fake_advance(false, 100000);
    g_assert_cmpuint(fake.calls[FAKE_READ], ==, 0);
    g_assert_cmpuint(front.events, ==, 4);
    /* Until a reset */
    iommufd_nested_reset(t.n);
    g_assert_true(fake_readable(fd));
    g_assert_cmpuint(front.events, ==, 5);

    /* Nor while the VM is stopped */
    push_event(fd, 5, 5);
    fake.fail_at = fake.total + 1;
    g_assert_true(fake_readable(fd));
    fake.fail_at = fake.total + 1;
    iommufd_nested_set_running(t.n, false);
    fake.calls[FAKE_READ] = 0;
    fake_advance(false, 100000);
    g_assert_cmpuint(fake.calls[FAKE_READ], ==, 0);
    rig_teardown(&t);
}

/* What is reported before the VM stops arrives, and what comes later is lost */
static void test_event_save(void)
{
    FaultRig t;
    int fd;

    rig_setup_config(&t, &event_config);
    fd = fake_veventq_fd();
    for (uint32_t i = 0; i < 100; i++) {
        push_event(fd, i, i);
    }
    iommufd_nested_set_running(t.n, false);
    g_assert_cmpuint(front.events, ==, 100);
    g_assert_cmpuint(front.lost, ==, 0);
    iommufd_nested_quiesce(t.n);
    g_assert_cmpuint(front.lost, ==, 0);
    push_event(fd, 100, 0);
    push_event(fd, 101, 0);
    iommufd_nested_quiesce(t.n);
    g_assert_cmpuint(front.events, ==, 100);
    g_assert_cmpuint(front.lost, ==, 2);
    /* It could not be read: nobody knows */
    fake.fail_at = fake.total + 1;
    fake.fail_errno = ENOMEM;
    iommufd_nested_quiesce(t.n);
    g_assert_cmpuint(front.lost, ==, 3);
    iommufd_nested_set_running(t.n, true);
    push_event(fd, 102, 0);
    g_assert_true(fake_readable(fd));
    g_assert_cmpuint(front.events, ==, 101);
    g_assert_cmpuint(front.lost, ==, 3);
    rig_teardown(&t);
}

/* The last device leaves: what the host has reported arrives, or is lost */
static void test_event_leave(void)
{
    for (unsigned i = 0; i < 3; i++) {
        FaultRig t;

        rig_setup_config(&t, &event_config);
        iommufd_nested_set_running(t.n, i != 1);
        push_event(fake_veventq_fd(), 0, 0);
        /* Behind the detach */
        fake.fail_at = i == 2 ? fake.total + 2 : 0;
        fake.fail_errno = ENOMEM;
        iommufd_nested_device_remove(g_steal_pointer(&t.dev));
        g_assert_cmpuint(front.events, ==, i == 0);
        g_assert_cmpuint(front.lost, ==, i != 0);
        rig_teardown(&t);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/event", test_events);
    g_test_add_func("/iommufd/event-retry", test_event_retry);
    g_test_add_func("/iommufd/event-save", test_event_save);
    g_test_add_func("/iommufd/event-leave", test_event_leave);
    return g_test_run();
}
