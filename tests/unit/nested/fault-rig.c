/*
 * Page requests and events of the nested IOMMU core under test: one device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "fault-rig.h"

Front front;

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

void rig_bind(FaultRig *t, uint32_t pasid, uint64_t root, bool page_requests)
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

bool rig_respond(FaultRig *t, uint32_t pasid, uint32_t index, bool success)
{
    bool known = iommufd_nested_page_response(t->dev, pasid, index, success);

    iommufd_nested_page_flush(t->n);
    return known;
}

void rig_setup_config(FaultRig *t, const IOMMUFDNestedConfig *config)
{
    fake_reset();
    memset(&front, 0, sizeof(front));
    t->n = iommufd_nested_new(config, &ops, NULL);
    t->idev = fake_device("d0", fake_parent(NEST));
    t->dev = iommufd_nested_device_add(t->n, t->idev, NULL, &error_abort);
    g_assert_true(iommufd_nested_relabel(t->n, &error_abort));
}

void rig_setup(FaultRig *t, uint32_t max_groups)
{
    IOMMUFDNestedConfig config = {
        .name = "viommu0",
        .inv_len = FAKE_ENTRY_LEN,
        .max_groups = max_groups,
        .group_ms = 1000,
    };

    rig_setup_config(t, &config);
    rig_bind(t, RID, 0x1000, true);
    rig_bind(t, 5, 0x2000, true);
    t->fd = fake_fault_fd();
    g_assert_cmpint(t->fd, >=, 0);
}

void rig_teardown(FaultRig *t)
{
    if (t->dev) {
        iommufd_nested_device_remove(t->dev);
    }
    fake_device_free(t->idev);
    g_assert_cmpuint(iommufd_nested_page_pending(t->n), ==, 0);
    g_assert_cmpuint(fake_objects(), ==, 0);
    g_assert_cmpuint(fake.freed, ==, 0);
    iommufd_nested_free(t->n);
}
