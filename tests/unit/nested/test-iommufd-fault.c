/*
 * Unit tests of the nested IOMMU core: page requests and events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

enum { NO_ANSWER = -1, SUCCESS, INVALID };

typedef struct Front {
    IOMMUFDNestedPageVerdict verdict;
    unsigned groups;
    IOMMUFDNestedPageGroup last;
    IOMMUFDNestedPageRequest last_req;
    unsigned events;
    uint8_t last_event[32];
    uint32_t lost;
    unsigned blocked;
} Front;

static Front front;

static IOMMUFDNestedPageVerdict
front_page_group(void *opaque, const IOMMUFDNestedPageGroup *group)
{
    front.groups++;
    front.last = *group;
    front.last_req = group->req[group->count - 1];
    return front.verdict;
}

static void front_event(void *opaque, const void *data, size_t len)
{
    g_assert_cmpuint(len, ==, sizeof(front.last_event));
    memcpy(front.last_event, data, len);
    front.events++;
}

static void front_lost(void *opaque, uint32_t count)
{
    front.lost += MAX(count, 1);
}

static void front_blocked(void *opaque, IOMMUFDNestedDevice *dev,
                          uint32_t pasid, const char *why)
{
    front.blocked++;
}

static uint32_t front_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return 0x100;
}

static const IOMMUFDNestedOps ops = {
    .page_group = front_page_group,
    .event = front_event,
    .events_lost = front_lost,
    .blocked = front_blocked,
    .label = front_label,
};

typedef struct Test {
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
    int fd;
} Test;

static void bind_with(Test *t, uint32_t pasid, uint64_t root,
                      bool page_requests)
{
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
        .page_requests = page_requests,
    };

    g_assert_true(iommufd_nested_set(t->dev, pasid, &tr, &error_abort));
}

static void bind_stage1(Test *t, uint32_t pasid, uint64_t root)
{
    bind_with(t, pasid, root, true);
}

static void setup_config(Test *t, const IOMMUFDNestedConfig *config)
{
    fake_reset();
    memset(&front, 0, sizeof(front));
    t->n = iommufd_nested_new(config, &ops, NULL);
    t->idev = fake_device("d0", fake_parent(NEST));
    t->dev = iommufd_nested_device_add(t->n, t->idev, NULL, &error_abort);
    g_assert_true(iommufd_nested_relabel(t->n, &error_abort));
}

/* RID and PASID 5 with page requests */
static void setup(Test *t, uint32_t max_groups)
{
    IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
        .max_groups = max_groups,
        .group_ms = 1000,
    };

    setup_config(t, &config);
    bind_stage1(t, RID, 0x1000);
    bind_stage1(t, 5, 0x2000);
    t->fd = fake_fault_fd();
    g_assert_cmpint(t->fd, >=, 0);
}

static void teardown(Test *t)
{
    if (t->dev) {
        iommufd_nested_device_remove(t->dev);
    }
    fake_device_free(t->idev);
    g_assert_cmpuint(iommufd_nested_page_pending(t->n), ==, 0);
    g_assert_cmpuint(fake_objects(), ==, 0);
    iommufd_nested_free(t->n);
}

static void ask(Test *t, uint32_t pasid, uint32_t index, uint32_t cookie,
                unsigned count)
{
    fake_push_group(t->fd, t->idev, pasid, index, cookie, count);
}

static void test_answer(void)
{
    Test t;

    setup(&t, 0);
    ask(&t, 5, 3, 70, 4);
    ask(&t, RID, 3, 71, 1);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 2);
    g_assert_true(front.last.dev == t.dev);
    g_assert_cmpuint(front.last.pasid, ==, RID);
    g_assert_cmpuint(front.last.index, ==, 3);
    g_assert_cmpuint(front.last.count, ==, 1);
    g_assert_cmphex(front.last_req.addr, ==, 0x1000);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 2);
    g_assert_cmpint(fake_answer(70), ==, NO_ANSWER);

    g_assert_true(iommufd_nested_page_response(t.dev, 5, 3, true));
    g_assert_cmpint(fake_answer(70), ==, SUCCESS);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    g_assert_true(iommufd_nested_page_response(t.dev, RID, 3, false));
    g_assert_cmpint(fake_answer(71), ==, INVALID);

    /* Twice, another group, another PASID: nothing waits for these */
    g_assert_false(iommufd_nested_page_response(t.dev, 5, 3, true));
    ask(&t, 5, 8, 72, 1);
    fake_readable(t.fd);
    g_assert_false(iommufd_nested_page_response(t.dev, 5, 7, true));
    g_assert_false(iommufd_nested_page_response(t.dev, RID, 8, true));
    g_assert_false(iommufd_nested_page_response(t.dev, 6, 8, true));
    g_assert_cmpint(fake_answer(72), ==, NO_ANSWER);

    /* One index twice: the oldest first */
    ask(&t, 5, 8, 73, 1);
    fake_readable(t.fd);
    g_assert_true(iommufd_nested_page_response(t.dev, 5, 8, true));
    g_assert_cmpint(fake_answer(72), ==, SUCCESS);
    g_assert_cmpint(fake_answer(73), ==, NO_ANSWER);
    teardown(&t);
}

static void test_verdict(void)
{
    Test t;

    setup(&t, 0);
    front.verdict = IOMMUFD_NESTED_PAGE_RETRY;
    ask(&t, 5, 1, 70, 1);
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(70), ==, SUCCESS);
    front.verdict = IOMMUFD_NESTED_PAGE_REFUSED;
    ask(&t, 5, 1, 71, 1);
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(71), ==, INVALID);

    /* A PASID and a device nobody knows never reach the guest */
    g_assert_cmpuint(front.groups, ==, 2);
    ask(&t, 99, 1, 72, 1);
    fake_readable(t.fd);
    t.idev->devid += 1000;
    ask(&t, 5, 1, 73, 1);
    t.idev->devid -= 1000;
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(72), ==, INVALID);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    g_assert_cmpuint(front.groups, ==, 2);

    /* Nor does what comes for a RID that is not in stage 1 any more */
    g_assert_true(iommufd_nested_set(t.dev, RID, NULL, &error_abort));
    ask(&t, RID, 1, 74, 1);
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(74), ==, INVALID);
    g_assert_cmpuint(front.groups, ==, 2);
    teardown(&t);
}

static void test_bounds(void)
{
    Test t;

    setup(&t, 3);
    for (uint32_t i = 0; i < 5; i++) {
        ask(&t, 5, i, 70 + i, 2);
    }
    fake_readable(t.fd);
    g_assert_cmpuint(front.groups, ==, 3);
    g_assert_cmpint(fake_answer(72), ==, NO_ANSWER);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    g_assert_cmpint(fake_answer(74), ==, INVALID);

    /* Time runs for each from its own beginning, in guest time only */
    fake_advance(true, 600);
    g_assert_true(iommufd_nested_page_response(t.dev, 5, 0, true));
    fake_answer(70);
    ask(&t, 5, 9, 75, 1);
    fake_readable(t.fd);
    fake_advance(false, 100000);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    fake_advance(true, 400);
    g_assert_cmpint(fake_answer(71), ==, INVALID);
    g_assert_cmpint(fake_answer(72), ==, INVALID);
    g_assert_cmpint(fake_answer(75), ==, NO_ANSWER);
    g_assert_false(iommufd_nested_page_response(t.dev, 5, 1, true));
    fake_advance(true, 600);
    g_assert_cmpint(fake_answer(75), ==, INVALID);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    teardown(&t);
}

/* The kernel answers what it detaches: no second answer from here */
static void test_detach(void)
{
    Test t;

    setup(&t, 0);
    ask(&t, 5, 1, 70, 1);
    ask(&t, RID, 2, 71, 1);
    fake_readable(t.fd);
    bind_stage1(&t, 5, 0x3000);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 1);
    g_assert_true(iommufd_nested_set(t.dev, RID, NULL, &error_abort));
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    g_assert_cmpint(fake_answer(70), ==, NO_ANSWER);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    g_assert_false(iommufd_nested_page_response(t.dev, 5, 1, true));
    fake_advance(true, 100000);
    teardown(&t);
}

static void test_drain(void)
{
    Test t;

    setup(&t, 0);

    /* Also what the host has and we have not read */
    ask(&t, 5, 1, 70, 1);
    fake_readable(t.fd);
    ask(&t, 5, 2, 71, 1);
    ask(&t, RID, 3, 72, 1);
    iommufd_nested_page_drain(t.dev, 5);
    g_assert_cmpint(fake_answer(70), ==, INVALID);
    g_assert_cmpint(fake_answer(71), ==, INVALID);
    g_assert_cmpint(fake_answer(72), ==, NO_ANSWER);
    g_assert_cmpuint(front.groups, ==, 2);

    /* vfio resets the device */
    iommufd_nested_device_reset(HOST_IOMMU_DEVICE(t.idev), true);
    g_assert_cmpint(fake_answer(72), ==, INVALID);

    /* Before saving: everything, and the guest sees none of it */
    ask(&t, 5, 4, 73, 1);
    fake_readable(t.fd);
    iommufd_nested_set_running(t.n, false);
    ask(&t, 5, 5, 74, 1);
    g_assert_false(fake_readable(t.fd));
    iommufd_nested_quiesce(t.n);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    g_assert_cmpint(fake_answer(74), ==, INVALID);
    g_assert_cmpuint(front.groups, ==, 3);

    /* Runs again: what was asked while it stood still is delivered */
    ask(&t, 5, 6, 75, 1);
    g_assert_false(fake_readable(t.fd));
    iommufd_nested_set_running(t.n, true);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 4);

    /* Unplugged with a request pending */
    iommufd_nested_device_remove(t.dev);
    t.dev = NULL;
    g_assert_cmpint(fake_answer(75), ==, INVALID);
    teardown(&t);
}

/* The guest's memory must not be written: not even from a new queue */
static void test_stopped(void)
{
    static const IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
    };
    Test t;

    setup_config(&t, &config);
    iommufd_nested_set_running(t.n, false);
    bind_stage1(&t, RID, 0x1000);
    bind_stage1(&t, 5, 0x2000);
    t.fd = fake_fault_fd();
    ask(&t, RID, 1, 70, 1);
    g_assert_false(fake_readable(t.fd));
    iommufd_nested_page_drain(t.dev, 5);
    g_assert_cmpuint(front.groups, ==, 0);
    iommufd_nested_set_running(t.n, true);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 1);
    teardown(&t);
}

/* vfio stops or resets one of two devices that share a fault queue */
static void test_one_of_two(gconstpointer opaque)
{
    bool stop = opaque != NULL;
    IOMMUFDNestedDevice *first;
    HostIOMMUDeviceIOMMUFD *idev;
    Test t;

    setup(&t, 0);
    first = t.dev;
    idev = fake_device("d1", t.idev->hwpt_id);
    t.dev = iommufd_nested_device_add(t.n, idev, NULL, &error_abort);
    bind_stage1(&t, 5, 0x2000);
    ask(&t, 5, 1, 70, 1);
    fake_push_group(t.fd, idev, 5, 1, 71, 1);
    fake_readable(t.fd);
    ask(&t, RID, 2, 72, 1);
    fake_push_group(t.fd, idev, 5, 2, 73, 1);

    if (stop) {
        iommufd_nested_device_stop(HOST_IOMMU_DEVICE(t.idev));
    } else {
        iommufd_nested_device_reset(HOST_IOMMU_DEVICE(t.idev), true);
    }
    g_assert_cmpint(fake_answer(70), ==, INVALID);
    g_assert_cmpint(fake_answer(72), ==, INVALID);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    g_assert_cmpint(fake_answer(73), ==, NO_ANSWER);
    g_assert_cmpuint(front.groups, ==, 3);
    g_assert_true(iommufd_nested_page_response(t.dev, 5, 1, true));
    g_assert_true(iommufd_nested_page_response(t.dev, 5, 2, true));
    g_assert_cmpint(fake_answer(71), ==, SUCCESS);
    g_assert_cmpint(fake_answer(73), ==, SUCCESS);

    /* The VM does not run: nothing is read that might be for the guest */
    ask(&t, 5, 3, 74, 1);
    fake_readable(t.fd);
    iommufd_nested_set_running(t.n, false);
    fake_push_group(t.fd, idev, 5, 3, 75, 1);
    iommufd_nested_device_stop(HOST_IOMMU_DEVICE(t.idev));
    g_assert_cmpint(fake_answer(74), ==, INVALID);
    g_assert_cmpuint(front.groups, ==, 4);

    /* Devices that nobody nests are none of its business */
    iommufd_nested_device_stop(NULL);
    iommufd_nested_device_remove(t.dev);
    iommufd_nested_device_stop(HOST_IOMMU_DEVICE(idev));
    fake_device_free(idev);
    t.dev = first;
    teardown(&t);
}

static void test_large_group(void)
{
    Test t;

    setup(&t, 0);
    ask(&t, 5, 1, 70, 3000);
    fake_readable(t.fd);
    g_assert_cmpuint(front.groups, ==, 1);
    g_assert_cmpuint(front.last.count, ==, 3000);
    g_assert_cmphex(front.last_req.addr, ==, 0x1000 * 3000);

    /* Nobody sends this many: the queue is given up, its users blocked */
    ask(&t, 5, 2, 71, 20000);
    fake_readable(t.fd);
    g_assert_cmpuint(front.groups, ==, 1);
    g_assert_cmpuint(front.blocked, ==, 2);
    g_assert_cmpuint(fake_attached(t.idev, 5), ==, 0);
    g_assert_cmpuint(fake_attached(t.idev, RID), ==, 0);

    /* What is bound again gets a new queue */
    g_assert_cmpuint(fake_objects(), ==, 0);
    bind_stage1(&t, 5, 0x3000);
    t.fd = fake_fault_fd();
    ask(&t, 5, 3, 72, 1);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 2);
    teardown(&t);
}

static void test_write_fails(void)
{
    Test t;

    setup(&t, 0);
    ask(&t, 5, 1, 70, 1);
    fake_readable(t.fd);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EINVAL;
    g_assert_true(iommufd_nested_page_response(t.dev, 5, 1, true));
    g_assert_true(fake.failed == FAKE_WRITE);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    teardown(&t);
}

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
    Test t;
    int fd;

    setup_config(&t, &event_config);
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
    teardown(&t);
}

/* Reads that fail for a while lose nothing, and those that fail for long do */
static void test_event_retry(void)
{
    Test t;
    int fd;

    setup_config(&t, &event_config);
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
    teardown(&t);
}

/* What is reported before the VM stops arrives, and what comes later is lost */
static void test_event_save(void)
{
    Test t;
    int fd;

    setup_config(&t, &event_config);
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
    teardown(&t);
}

/* The last device leaves: what the host has reported arrives, or is lost */
static void test_event_leave(void)
{
    for (unsigned i = 0; i < 3; i++) {
        Test t;

        setup_config(&t, &event_config);
        iommufd_nested_set_running(t.n, i != 1);
        push_event(fake_veventq_fd(), 0, 0);
        /* Behind the detach */
        fake.fail_at = i == 2 ? fake.total + 2 : 0;
        fake.fail_errno = ENOMEM;
        iommufd_nested_device_remove(g_steal_pointer(&t.dev));
        g_assert_cmpuint(front.events, ==, i == 0);
        g_assert_cmpuint(front.lost, ==, i != 0);
        teardown(&t);
    }
}

/* Page requests are switched off: the HWPT stays, and none is handed on */
static void test_switch(void)
{
    unsigned attaches;
    uint32_t hwpt;
    Test t;

    setup(&t, 0);
    hwpt = fake_attached(t.idev, 5);
    attaches = fake.calls[FAKE_ATTACH];
    ask(&t, 5, 1, 70, 1);
    g_assert_true(fake_readable(t.fd));
    ask(&t, 5, 2, 71, 1);
    ask(&t, RID, 3, 72, 1);
    bind_with(&t, 5, 0x2000, false);
    g_assert_cmpint(fake_answer(70), ==, INVALID);
    g_assert_cmpint(fake_answer(71), ==, INVALID);
    ask(&t, 5, 1, 73, 1);
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    /* The one before it, and that of the RID */
    g_assert_cmpuint(front.groups, ==, 2);

    bind_stage1(&t, 5, 0x2000);
    g_assert_cmpuint(fake_attached(t.idev, 5), ==, hwpt);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches);
    ask(&t, 5, 1, 74, 1);
    fake_readable(t.fd);
    g_assert_cmpuint(front.groups, ==, 3);

    /* With another table it has no queue */
    bind_with(&t, 5, 0x3000, false);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches + 1);
    bind_stage1(&t, 5, 0x3000);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches + 2);
    teardown(&t);
}

/* A fault queue that has no memory at the moment */
static void test_read_retry(void)
{
    Test t;

    setup(&t, 0);
    ask(&t, 5, 1, 70, 1);
    for (unsigned i = 0; i < 3; i++) {
        fake.fail_at = fake.total + 1;
        fake.fail_errno = ENOMEM;
        fake_readable(t.fd);
        fake_advance(false, i ? 0 : 10);
    }
    fake_advance(false, 1000);
    g_assert_cmpuint(front.blocked, ==, 0);
    g_assert_cmpuint(front.groups, ==, 1);
    g_assert_true(fake_readable(t.fd));

    /* While the VM is stopped nobody asks again */
    ask(&t, 5, 2, 71, 1);
    iommufd_nested_set_running(t.n, false);
    fake.fail_at = fake.total + 1;
    iommufd_nested_quiesce(t.n);
    fake.calls[FAKE_READ] = 0;
    fake_advance(false, 100000);
    g_assert_cmpuint(fake.calls[FAKE_READ], ==, 0);
    iommufd_nested_set_running(t.n, true);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 2);
    teardown(&t);
}

/*
 * No fault queue is attached to the device: the same without, and detached in
 * between, because a replace that fails may leave it blocked; from then on
 * nobody asks any more. What is put off by a reset is treated alike.
 */
static void test_unserved(void)
{
    IOMMUFDNestedConfig config = {
        .name = "viommu0", .inv_len = FAKE_ENTRY_LEN,
    };
    uint64_t root = 0x1000;
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .pasid_flag = true,
    };
    uint32_t plain;
    Test t;

    setup_config(&t, &config);
    fake.no_page_requests = true;
    g_assert_true(iommufd_nested_set(t.dev, RID, &tr, &error_abort));
    plain = fake_attached(t.idev, RID);
    bind_stage1(&t, RID, 0x1000);
    g_assert_cmpuint(fake_attached(t.idev, RID), ==, plain);
    g_assert_cmpuint(fake.calls[FAKE_DETACH], ==, 1);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, 3);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
    /* Known by now */
    bind_stage1(&t, 5, 0x2000);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, 4);
    g_assert_cmpuint(fake.calls[FAKE_HWPT_ALLOC], ==, 3);
    teardown(&t);

    setup_config(&t, &config);
    fake.no_page_requests = true;
    fake.busy = 1;
    bind_stage1(&t, RID, 0x1000);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_BLOCKED);
    fake_advance(false, 20);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
    g_assert_cmpuint(front.blocked, ==, 0);
    teardown(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/fault/answer", test_answer);
    g_test_add_func("/iommufd/fault/verdict", test_verdict);
    g_test_add_func("/iommufd/fault/bounds", test_bounds);
    g_test_add_func("/iommufd/fault/detach", test_detach);
    g_test_add_func("/iommufd/fault/drain", test_drain);
    g_test_add_data_func("/iommufd/fault/one-of-two/stop", "",
                         test_one_of_two);
    g_test_add_data_func("/iommufd/fault/one-of-two/reset", NULL,
                         test_one_of_two);
    g_test_add_func("/iommufd/fault/stopped", test_stopped);
    g_test_add_func("/iommufd/fault/large-group", test_large_group);
    g_test_add_func("/iommufd/fault/write-fails", test_write_fails);
    g_test_add_func("/iommufd/fault/read-retry", test_read_retry);
    g_test_add_func("/iommufd/fault/switch", test_switch);
    g_test_add_func("/iommufd/fault/unserved", test_unserved);
    g_test_add_func("/iommufd/event", test_events);
    g_test_add_func("/iommufd/event-retry", test_event_retry);
    g_test_add_func("/iommufd/event-save", test_event_save);
    g_test_add_func("/iommufd/event-leave", test_event_leave);
    return g_test_run();
}
