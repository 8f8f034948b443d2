/*
 * Unit tests of the nested IOMMU core: page requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "fault-rig.h"

static void ask(FaultRig *t, uint32_t pasid, uint32_t index, uint32_t cookie,
                unsigned count)
{
    fake_push_group(t->fd, t->idev, pasid, index, cookie, count);
}

static void test_answer(void)
{
    FaultRig t;

    rig_setup(&t, 0);
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

    g_assert_true(rig_respond(&t, 5, 3, true));
    g_assert_cmpint(fake_answer(70), ==, SUCCESS);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    g_assert_true(rig_respond(&t, RID, 3, false));
    g_assert_cmpint(fake_answer(71), ==, INVALID);

    /* Twice, another group, another PASID: nothing waits for these */
    g_assert_false(rig_respond(&t, 5, 3, true));
    ask(&t, 5, 8, 72, 1);
    fake_readable(t.fd);
    g_assert_false(rig_respond(&t, 5, 7, true));
    g_assert_false(rig_respond(&t, RID, 8, true));
    g_assert_false(rig_respond(&t, 6, 8, true));
    g_assert_cmpint(fake_answer(72), ==, NO_ANSWER);

    /* One index twice: the oldest first */
    ask(&t, 5, 8, 73, 1);
    fake_readable(t.fd);
    g_assert_true(rig_respond(&t, 5, 8, true));
    g_assert_cmpint(fake_answer(72), ==, SUCCESS);
    g_assert_cmpint(fake_answer(73), ==, NO_ANSWER);
    rig_teardown(&t);
}

static void test_verdict(void)
{
    FaultRig t;

    rig_setup(&t, 0);
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
    rig_teardown(&t);
}

static void test_bounds(void)
{
    FaultRig t;

    rig_setup(&t, 6);
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
    g_assert_true(rig_respond(&t, 5, 0, true));
    fake_answer(70);
    ask(&t, 5, 9, 75, 1);
    fake_readable(t.fd);
    fake_advance(false, 100000);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    fake_advance(true, 400);
    g_assert_cmpint(fake_answer(71), ==, INVALID);
    g_assert_cmpint(fake_answer(72), ==, INVALID);
    g_assert_cmpint(fake_answer(75), ==, NO_ANSWER);
    g_assert_false(rig_respond(&t, 5, 1, true));
    fake_advance(true, 600);
    g_assert_cmpint(fake_answer(75), ==, INVALID);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    rig_teardown(&t);
}

/* One that floods leaves room for others, and they get it */
static void test_fair(void)
{
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
    FaultRig t;

    rig_setup(&t, 100);
    idev = fake_device("d1", t.idev->hwpt_id);
    dev = iommufd_nested_device_add(t.n, idev, NULL, &error_abort);
    rig_bind(&(FaultRig) { .n = t.n, .dev = dev }, 5, 0x2000, true);
    for (uint32_t i = 0; i < 200; i++) {
        ask(&t, 5, i, 1000 + i, 1);
    }
    fake_readable(t.fd);
    fake_readable(t.fd);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 50);
    for (uint32_t i = 0; i < 20; i++) {
        ask(&t, 5, i, 2000 + i, 1);
        fake_push_group(t.fd, idev, 5, i, 3000 + i, 1);
    }
    fake_readable(t.fd);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 70);
    for (uint32_t i = 0; i < 20; i++) {
        g_assert_cmpint(fake_answer(2000 + i), ==, INVALID);
        g_assert_cmpint(fake_answer(3000 + i), ==, NO_ANSWER);
    }
    /* Both flood: neither has more */
    for (uint32_t i = 20; i < 100; i++) {
        fake_push_group(t.fd, idev, 5, i, 3000 + i, 1);
    }
    fake_readable(t.fd);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 75);
    iommufd_nested_device_remove(dev);
    fake_device_free(idev);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 50);
    rig_teardown(&t);
}

/* The kernel answers what it detaches: no second answer from here */
static void test_detach(void)
{
    FaultRig t;

    rig_setup(&t, 0);
    ask(&t, 5, 1, 70, 1);
    ask(&t, RID, 2, 71, 1);
    fake_readable(t.fd);
    rig_bind(&t, 5, 0x3000, true);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 1);
    g_assert_true(iommufd_nested_set(t.dev, RID, NULL, &error_abort));
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    g_assert_cmpint(fake_answer(70), ==, NO_ANSWER);
    g_assert_cmpint(fake_answer(71), ==, NO_ANSWER);
    g_assert_false(rig_respond(&t, 5, 1, true));
    fake_advance(true, 100000);
    rig_teardown(&t);
}

static void test_drain(void)
{
    FaultRig t;

    rig_setup(&t, 0);

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
    rig_teardown(&t);
}

/* The guest's memory must not be written: not even from a new queue */
static void test_stopped(void)
{
    static const IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
    };
    FaultRig t;

    rig_setup_config(&t, &config);
    iommufd_nested_set_running(t.n, false);
    rig_bind(&t, RID, 0x1000, true);
    rig_bind(&t, 5, 0x2000, true);
    t.fd = fake_fault_fd();
    ask(&t, RID, 1, 70, 1);
    g_assert_false(fake_readable(t.fd));
    iommufd_nested_page_drain(t.dev, 5);
    g_assert_cmpuint(front.groups, ==, 0);
    iommufd_nested_set_running(t.n, true);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 1);
    rig_teardown(&t);
}

/*
 * The last HWPT of a device that has a fault queue goes: what the guest was
 * told and what nobody has read yet is answered before
 */
static void test_last_queue(void)
{
    for (unsigned how = 0; how < 4; how++) {
        FaultRig t;

        rig_setup(&t, 0);
        ask(&t, 5, 1, 70, 1);
        fake_readable(t.fd);
        /* Not the last: the kernel answers */
        g_assert_true(iommufd_nested_set(t.dev, 5, NULL, &error_abort));
        g_assert_cmpint(fake_answer(70), ==, NO_ANSWER);

        ask(&t, RID, 2, 71, 1);
        fake_readable(t.fd);
        ask(&t, RID, 3, 72, 2);
        switch (how) {
        case 0:
            g_assert_true(iommufd_nested_set(t.dev, RID, NULL, &error_abort));
            break;
        case 1:
            rig_bind(&t, RID, 0x3000, false);
            break;
        case 2:
            iommufd_nested_reset(t.n);
            break;
        default:
            iommufd_nested_device_remove(g_steal_pointer(&t.dev));
        }
        g_assert_cmpuint(fake.freed, ==, 0);
        g_assert_cmpint(fake_answer(71), ==, INVALID);
        g_assert_cmpint(fake_answer(72), ==, INVALID);
        g_assert_cmpuint(front.groups, ==, 2);
        rig_teardown(&t);
    }
}

/* vfio stops or resets one of two devices that share a fault queue */
static void test_one_of_two(gconstpointer opaque)
{
    bool stop = opaque != NULL;
    IOMMUFDNestedDevice *first;
    HostIOMMUDeviceIOMMUFD *idev;
    FaultRig t;

    rig_setup(&t, 0);
    first = t.dev;
    idev = fake_device("d1", t.idev->hwpt_id);
    t.dev = iommufd_nested_device_add(t.n, idev, NULL, &error_abort);
    rig_bind(&t, 5, 0x2000, true);
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
    g_assert_true(rig_respond(&t, 5, 1, true));
    g_assert_true(rig_respond(&t, 5, 2, true));
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
    rig_teardown(&t);
}

static void test_large_group(void)
{
    FaultRig t;

    rig_setup(&t, 0);
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
    /* Who cannot be read cannot be answered either */
    g_assert_cmpuint(fake.freed, ==, 1);
    fake.freed = 0;

    /* What is bound again gets a new queue */
    g_assert_cmpuint(fake_objects(), ==, 0);
    rig_bind(&t, 5, 0x3000, true);
    t.fd = fake_fault_fd();
    ask(&t, 5, 3, 72, 1);
    g_assert_true(fake_readable(t.fd));
    g_assert_cmpuint(front.groups, ==, 2);
    rig_teardown(&t);
}

static void test_write_fails(void)
{
    FaultRig t;

    rig_setup(&t, 0);
    ask(&t, 5, 1, 70, 1);
    fake_readable(t.fd);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = EINVAL;
    g_assert_true(rig_respond(&t, 5, 1, true));
    g_assert_true(fake.failed == FAKE_WRITE);
    g_assert_cmpuint(iommufd_nested_page_pending(t.n), ==, 0);
    rig_teardown(&t);
}

/*
 * Answers in a row are one write, and one more for each that the kernel does
 * not take in between: it and those behind it are not lost for the others
 */
static void test_together(void)
{
    FaultRig t;

    rig_setup(&t, 0);
    for (uint32_t i = 0; i < 5; i++) {
        ask(&t, 5, i, 70 + i, 1);
    }
    fake.calls[FAKE_READ] = 0;
    fake_readable(t.fd);
    g_assert_cmpuint(fake.calls[FAKE_READ], ==, 1);
    fake.calls[FAKE_WRITE] = 0;
    fake.answered = 72;
    for (uint32_t i = 0; i < 5; i++) {
        g_assert_true(iommufd_nested_page_response(t.dev, 5, i, i != 3));
    }
    iommufd_nested_page_flush(t.n);
    g_assert_cmpuint(fake.calls[FAKE_WRITE], ==, 3);
    g_assert_cmpint(fake_answer(70), ==, SUCCESS);
    g_assert_cmpint(fake_answer(71), ==, SUCCESS);
    g_assert_cmpint(fake_answer(72), ==, NO_ANSWER);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    g_assert_cmpint(fake_answer(74), ==, SUCCESS);

    /* More than there is room for; those that are refused, and in time */
    for (uint32_t i = 0; i < 100; i++) {
        ask(&t, 5, i, 100 + i, 1);
    }
    fake.calls[FAKE_WRITE] = 0;
    fake_readable(t.fd);
    fake_advance(true, 1000);
    g_assert_cmpuint(fake.calls[FAKE_WRITE], ==, 2);
    front.verdict = IOMMUFD_NESTED_PAGE_REFUSED;
    for (uint32_t i = 0; i < 10; i++) {
        ask(&t, 5, i, 200 + i, 1);
    }
    fake_readable(t.fd);
    g_assert_cmpuint(fake.calls[FAKE_WRITE], ==, 3);
    for (uint32_t i = 0; i < 100; i++) {
        g_assert_cmpint(fake_answer(100 + i), ==, INVALID);
    }
    for (uint32_t i = 0; i < 10; i++) {
        g_assert_cmpint(fake_answer(200 + i), ==, INVALID);
    }
    /* The one that the kernel has answered is not asked about any more */
    fake_asked_end(72);
    rig_teardown(&t);
}

/* Page requests are switched off: the HWPT stays, and none is handed on */
static void test_switch(void)
{
    unsigned attaches;
    uint32_t hwpt;
    FaultRig t;

    rig_setup(&t, 0);
    hwpt = fake_attached(t.idev, 5);
    attaches = fake.calls[FAKE_ATTACH];
    ask(&t, 5, 1, 70, 1);
    g_assert_true(fake_readable(t.fd));
    ask(&t, 5, 2, 71, 1);
    ask(&t, RID, 3, 72, 1);
    rig_bind(&t, 5, 0x2000, false);
    g_assert_cmpint(fake_answer(70), ==, INVALID);
    g_assert_cmpint(fake_answer(71), ==, INVALID);
    ask(&t, 5, 1, 73, 1);
    fake_readable(t.fd);
    g_assert_cmpint(fake_answer(73), ==, INVALID);
    /* The one before it, and that of the RID */
    g_assert_cmpuint(front.groups, ==, 2);

    rig_bind(&t, 5, 0x2000, true);
    g_assert_cmpuint(fake_attached(t.idev, 5), ==, hwpt);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches);
    ask(&t, 5, 1, 74, 1);
    fake_readable(t.fd);
    g_assert_cmpuint(front.groups, ==, 3);

    /* With another table it has no queue */
    rig_bind(&t, 5, 0x3000, false);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches + 1);
    rig_bind(&t, 5, 0x3000, true);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, attaches + 2);
    rig_teardown(&t);
}

/* A fault queue that has no memory at the moment */
static void test_read_retry(void)
{
    FaultRig t;

    rig_setup(&t, 0);
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
    rig_teardown(&t);
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
    FaultRig t;

    rig_setup_config(&t, &config);
    fake.no_page_requests = true;
    g_assert_true(iommufd_nested_set(t.dev, RID, &tr, &error_abort));
    plain = fake_attached(t.idev, RID);
    rig_bind(&t, RID, 0x1000, true);
    g_assert_cmpuint(fake_attached(t.idev, RID), ==, plain);
    g_assert_cmpuint(fake.calls[FAKE_DETACH], ==, 1);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, 3);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
    /* Known by now */
    rig_bind(&t, 5, 0x2000, true);
    g_assert_cmpuint(fake.calls[FAKE_ATTACH], ==, 4);
    g_assert_cmpuint(fake.calls[FAKE_HWPT_ALLOC], ==, 3);
    rig_teardown(&t);

    rig_setup_config(&t, &config);
    fake.no_page_requests = true;
    fake.busy = 1;
    rig_bind(&t, RID, 0x1000, true);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_BLOCKED);
    fake_advance(false, 20);
    g_assert_cmpint(iommufd_nested_get(t.dev, RID, NULL), ==,
                    IOMMUFD_NESTED_STAGE1);
    g_assert_cmpuint(front.blocked, ==, 0);
    rig_teardown(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/fault/answer", test_answer);
    g_test_add_func("/iommufd/fault/verdict", test_verdict);
    g_test_add_func("/iommufd/fault/bounds", test_bounds);
    g_test_add_func("/iommufd/fault/fair", test_fair);
    g_test_add_func("/iommufd/fault/detach", test_detach);
    g_test_add_func("/iommufd/fault/last-queue", test_last_queue);
    g_test_add_func("/iommufd/fault/drain", test_drain);
    g_test_add_data_func("/iommufd/fault/one-of-two/stop", "",
                         test_one_of_two);
    g_test_add_data_func("/iommufd/fault/one-of-two/reset", NULL,
                         test_one_of_two);
    g_test_add_func("/iommufd/fault/stopped", test_stopped);
    g_test_add_func("/iommufd/fault/large-group", test_large_group);
    g_test_add_func("/iommufd/fault/write-fails", test_write_fails);
    g_test_add_func("/iommufd/fault/together", test_together);
    g_test_add_func("/iommufd/fault/read-retry", test_read_retry);
    g_test_add_func("/iommufd/fault/switch", test_switch);
    g_test_add_func("/iommufd/fault/unserved", test_unserved);
    return g_test_run();
}
