/*
 * Unit tests of the nested IOMMU core: what the queries show
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-nested-iommu.h"
#include "qemu/module.h"
#include "hw/iommufd/map.h"
#include "iommufd-fake.h"

#define RID IOMMUFD_NESTED_RID
#define NEST (IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID)

static GString *printed;

int monitor_printf(Monitor *mon, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(printed, fmt, ap);
    va_end(ap);
    return 0;
}

static uint32_t front_label(void *opaque, IOMMUFDNestedDevice *dev)
{
    return 0x208;
}

static IOMMUFDNestedPageVerdict
front_page_group(void *opaque, const IOMMUFDNestedPageGroup *group)
{
    return IOMMUFD_NESTED_PAGE_QUEUED;
}

static const IOMMUFDNestedOps ops = {
    .label = front_label,
    .page_group = front_page_group,
};

static const char *const commands[] = { "apple", "pear" };

static const IOMMUFDNestedConfig config = {
    .name = "viommu0",
    .inv_len = FAKE_ENTRY_LEN,
    .max_hwpts = 7,
    .commands = commands,
    .num_commands = ARRAY_SIZE(commands),
};

static IOMMUFDMapRegion ram = {
    .name = (char *)"ram0",
    .page_size = 0x1000,
    .locked = 0x200000,
    .map = { .calls = 2, .bytes = 0x400000, .ns = 30 },
    .unmap = { .calls = 1, .bytes = 0x200000, .ns = 7 },
};

const IOMMUFDMaps *iommufd_sys_maps(int iommufd, uint32_t ioas)
{
    static IOMMUFDMaps maps = {
        .regions = QTAILQ_HEAD_INITIALIZER(maps.regions),
    };

    if (QTAILQ_EMPTY(&maps.regions)) {
        QTAILQ_INSERT_TAIL(&maps.regions, &ram, next);
    }
    g_assert_cmpuint(ioas, ==, FAKE_PARENT_IOAS);
    return &maps;
}

static uint64_t counter(NestedIommuCounterList *l, const char *name)
{
    for (; l; l = l->next) {
        if (!strcmp(l->value->name, name)) {
            return l->value->value;
        }
    }
    g_assert_not_reached();
}

static void stage1(IOMMUFDNestedDevice *dev, uint32_t pasid, bool ok)
{
    uint64_t root = 0x1000;
    IOMMUFDNestedTranslation tr = {
        .state = IOMMUFD_NESTED_STAGE1,
        .data = &root,
        .data_len = sizeof(root),
        .page_requests = true,
        .pasid_flag = true,
        .domain = 11,
        .index_pasid = pasid == RID ? 0 : pasid,
    };

    g_assert_cmpint(iommufd_nested_set(dev, pasid, &tr, NULL), ==, ok);
}

/* Five of them in one call */
static void invalidate(IOMMUFDNested *n)
{
    for (uint64_t entry = 1; entry <= 5; entry++) {
        g_assert_true(iommufd_nested_inv_bound(n, 11, 3, &entry, 0, NULL,
                                               &error_abort));
    }
    g_assert_true(iommufd_nested_inv_flush(n, NULL, &error_abort));
}

/* The last one, which has to be the one with that number */
static uint64_t last(const uint64List *l, unsigned i)
{
    for (; l->next; l = l->next) {
        g_assert_cmpuint(i--, !=, 0);
    }
    g_assert_cmpuint(i, ==, 0);
    return l->value;
}

static void check(NestedIommuInfo *info)
{
    NestedIommuDevice *d = info->devices->value;
    NestedIommuHost *h = info->hosts->value;
    NestedIommuTranslation *tr = d->rid;

    g_assert_cmpstr(info->name, ==, "viommu0");
    g_assert_true(info->running);
    g_assert_cmpuint(info->hwpts, ==, 1);
    g_assert_cmpuint(info->max_hwpts, ==, 7);
    g_assert_cmpuint(info->pasids, ==, 3);
    g_assert_cmpuint(info->page_groups, ==, 1);
    g_assert_null(info->hosts->next);
    g_assert_true(h->has_fault_queue);
    g_assert_false(h->has_viommu);
    g_assert_cmpuint(h->hwpts, ==, 1);
    g_assert_cmpuint(h->devices, ==, 1);

    g_assert_cmpuint(h->ioas, ==, FAKE_PARENT_IOAS);
    g_assert_null(info->memory->next);
    g_assert_cmpstr(info->memory->value->region, ==, "ram0");
    g_assert_cmpuint(info->memory->value->ioas, ==, FAKE_PARENT_IOAS);
    g_assert_cmpuint(info->memory->value->locked, ==, 0x200000);
    g_assert_cmpuint(info->memory->value->map->bytes, ==, 0x400000);
    g_assert_cmpuint(info->memory->value->unmap->calls, ==, 1);

    g_assert_cmpstr(d->name, ==, "d0");
    g_assert_true(d->has_label);
    g_assert_cmpuint(d->label, ==, 0x208);
    g_assert_false(tr->has_pasid);
    g_assert_cmpint(tr->state, ==, NESTED_IOMMU_STATE_STAGE1);
    g_assert_null(tr->reason);
    g_assert_cmpuint(tr->hwpt_users, ==, 3);
    g_assert_cmpuint(tr->domain, ==, 11);
    g_assert_cmpuint(tr->page_groups, ==, 0);

    /* Ascending: 3, 90 and the blocked 700 */
    tr = d->pasids->value;
    g_assert_cmpuint(tr->pasid, ==, 3);
    g_assert_cmpuint(tr->page_groups, ==, 1);
    g_assert_cmpuint(tr->hwpt, ==, d->rid->hwpt);
    tr = d->pasids->next->value;
    g_assert_cmpuint(tr->pasid, ==, 90);
    tr = d->pasids->next->next->value;
    g_assert_cmpuint(tr->pasid, ==, 700);
    g_assert_cmpint(tr->state, ==, NESTED_IOMMU_STATE_BLOCKED);
    g_assert_cmpstr(tr->reason, ==, "the host refused to attach");
    g_assert_false(tr->has_hwpt);

    g_assert_cmpuint(counter(info->commands, "apple"), ==, 0);
    g_assert_cmpuint(counter(info->commands, "pear"), ==, 2);
    g_assert_cmpuint(counter(info->counters, "hwpt-made"), ==, 1);
    g_assert_cmpuint(counter(info->counters, "hwpt-shared"), ==, 3);
    g_assert_cmpuint(counter(info->counters, "page-groups-in"), ==, 2);
    g_assert_cmpuint(counter(info->errors, "attach"), ==, 1);
    g_assert_cmpuint(counter(info->errors, "detach"), ==, 0);

    g_assert_cmpuint(d->page_groups_in, ==, 2);
    g_assert_cmpuint(d->refused, ==, 1);
    g_assert_cmpuint(d->refused_pasid, ==, 700);
    g_assert_cmpstr(d->refused_reason, ==, "the host refused to attach");
    /* One call of five entries; an answer after 3 ms */
    g_assert_cmpuint(info->batches->value, ==, 0);
    g_assert_cmpuint(info->batches->next->next->value, ==, 1);
    g_assert_null(info->batches->next->next->next);
    g_assert_cmpuint(last(info->latency, 11), ==, 1);
}

static void test_query(void)
{
    IOMMUFDNested *n;
    HostIOMMUDeviceIOMMUFD *idev;
    IOMMUFDNestedDevice *dev;
    NestedIommuInfoList *list;

    fake_reset();
    g_assert_null(qmp_x_query_nested_iommu(false, true, &error_abort));
    n = iommufd_nested_new(&config, &ops, NULL);
    idev = fake_device("d0", fake_parent(NEST));
    dev = iommufd_nested_device_add(n, idev, NULL, &error_abort);
    g_assert_true(iommufd_nested_relabel(n, &error_abort));
    stage1(dev, RID, true);
    stage1(dev, 90, true);
    stage1(dev, 3, true);
    fake.fail_at = fake.total + 1;
    fake.fail_errno = ENOSPC;
    stage1(dev, 700, false);
    iommufd_nested_count_command(n, 1);
    iommufd_nested_count_command(n, 1);
    fake_push_group(fake_fault_fd(), idev, 3, 1, 50, 1);
    fake_push_group(fake_fault_fd(), idev, 3, 2, 51, 1);
    fake_readable(fake_fault_fd());
    fake_advance(false, 3);
    g_assert_true(iommufd_nested_page_response(dev, 3, 2, true));
    iommufd_nested_page_flush(n);
    invalidate(n);

    list = qmp_x_query_nested_iommu(false, true, &error_abort);
    g_assert_nonnull(list);
    g_assert_null(list->next);
    check(list->value);
    qapi_free_NestedIommuInfoList(list);

    printed = g_string_new(NULL);
    hmp_info_nested_iommu(NULL, NULL);
    g_assert_nonnull(strstr(printed->str, "viommu0: HWPTs 1/7"));
    g_assert_nonnull(strstr(printed->str, "device d0: "));
    g_assert_nonnull(strstr(printed->str, " label 0x208\n"));
    g_assert_nonnull(strstr(printed->str, "RID: stage1, HWPT "));
    g_assert_nonnull(strstr(printed->str, "PASID 700: blocked (the host "));
    g_assert_nonnull(strstr(printed->str, "command pear: 2\n"));
    g_assert_nonnull(strstr(printed->str, "error attach: 1\n"));
    g_assert_nonnull(strstr(printed->str, "memory ram0: "));
    g_assert_nonnull(strstr(printed->str, "mapped 2 times (0x400000 bytes, 15 "
                            "ns each), unmapped 1 times"));
    g_assert_null(strstr(printed->str, "copied"));
    /* What is 0 has no line */
    g_assert_null(strstr(printed->str, "apple"));
    g_string_free(printed, true);

    iommufd_nested_device_remove(dev);
    fake_device_free(idev);
    iommufd_nested_free(n);
    fake_reset();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    module_call_init(MODULE_INIT_QOM);

    g_test_add_func("/iommufd/query", test_query);
    return g_test_run();
}
