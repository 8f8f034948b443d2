/*
 * Mistakes about the host: those of VT-d
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include "mutation-host.h"

#define NR_PASIDS   16

/* @faults: with page requests; @width: 48 or 57 */
static uint32_t stage1(HmCase *c, const GuestSpace *space, unsigned width,
                       bool faults)
{
    struct iommu_hwpt_vtd_s1 s1 = {
        .pgtbl_addr = space->root,
        .addr_width = width,
    };
    struct iommu_hwpt_alloc cmd = {
        .size = sizeof(cmd),
        .flags = IOMMU_HWPT_ALLOC_PASID |
                 (faults ? IOMMU_HWPT_FAULT_ID_VALID : 0),
        .dev_id = c->dev->dev_id,
        .pt_id = c->vm->iommu[c->dev->iommu].parent,
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data_len = sizeof(s1),
        .data_uptr = (uintptr_t)&s1,
        .fault_id = faults ? c->vm->fault_queue : 0,
    };

    g_assert(!tv_ioctl(c->vm, c->vm->iommufd, IOMMU_HWPT_ALLOC, &cmd,
                       "HWPT_ALLOC"));
    return cmd.out_hwpt_id;
}

static void fail_late(void)
{
    char reply[512];

    g_assert(tv_command(reply, sizeof(reply), "{\"cmd\":\"fault\",\"on\":"
                        "\"ATTACH_IOMMUFD_PT:1:errno=EINVAL:late\"}"));
}

/* The PASID is blocked, and attaching what iommufd has changes nothing */
static bool late_pasid(HmCase *c)
{
    uint32_t a = stage1(c, &c->one, 48, false);
    uint32_t b = stage1(c, &c->two, 48, false);
    bool wrong;

    g_assert(!tv_attach(c->vm, c->dev, HM_PASID, a));
    g_assert(hm_page(c, c->dev, HM_PASID, HM_IOVA, false) == 1);
    fail_late();
    g_assert(tv_attach(c->vm, c->dev, HM_PASID, b));
    if (!c->bug) {
        tv_detach(c->vm, c->dev, HM_PASID);
    }
    tv_attach(c->vm, c->dev, HM_PASID, a);
    wrong = hm_page(c, c->dev, HM_PASID, HM_IOVA, false) != 1;
    tv_detach(c->vm, c->dev, HM_PASID);
    tv_destroy(c->vm, &a);
    tv_destroy(c->vm, &b);
    return wrong;
}

/* Blocked, until a reset attaches what iommufd has had all along */
static bool late_rid(HmCase *c)
{
    uint32_t a = stage1(c, &c->one, 48, false);
    uint32_t b = stage1(c, &c->two, 48, false);
    bool wrong;

    g_assert(!tv_attach(c->vm, c->dev, TV_NO_PASID, a));
    fail_late();
    g_assert(tv_attach(c->vm, c->dev, TV_NO_PASID, b));
    g_assert(hm_page(c, c->dev, TV_NO_PASID, HM_IOVA, false) < 0);
    if (!c->bug) {
        tv_detach(c->vm, c->dev, TV_NO_PASID);
    }
    hm_reset(c);
    wrong = hm_page(c, c->dev, TV_NO_PASID, HM_IOVA, false) >= 0;
    tv_detach(c->vm, c->dev, TV_NO_PASID);
    tv_destroy(c->vm, &a);
    tv_destroy(c->vm, &b);
    return wrong;
}

static void request(const TvDevice *dev, uint32_t pasid, uint64_t addr,
                    bool last)
{
    char reply[512];

    g_assert(tv_command(reply, sizeof(reply), "{\"cmd\":\"page-request\","
                        "\"dev\":\"%s\",\"pasid\":%u,\"addrs\":[%" PRIu64 "],"
                        "\"perm\":\"r\",\"grpid\":1,\"last\":%s}", dev->bdf,
                        pasid, addr, last ? "true" : "false"));
}

/* Takes a group, at most two requests, and refuses it; how many there were */
static unsigned take(HmCase *c, struct iommu_hwpt_pgfault *fault)
{
    ssize_t len = read(c->vm->fault_fd, fault, 2 * sizeof(*fault));
    struct iommu_hwpt_page_response resp = {
        .code = IOMMUFD_PAGE_RESP_INVALID,
    };

    if (len <= 0) {
        return 0;
    }
    resp.cookie = fault->cookie;
    g_assert(write(c->vm->fault_fd, &resp, sizeof(resp)) == sizeof(resp));
    return len / sizeof(*fault);
}

/* dev_id is of the one that attached, whichever of the group asks */
static bool group_by_dev_id(HmCase *c)
{
    TvDevice *second = &c->vm->device[1];
    uint32_t hwpt = stage1(c, &c->one, 48, c->bug);
    struct iommu_hwpt_pgfault fault[2];
    bool wrong;

    g_assert(!tv_attach(c->vm, c->dev, HM_PASID, hwpt));
    g_assert(!tv_attach(c->vm, second, HM_PASID, hwpt));
    request(second, HM_PASID, 2 * HM_IOVA, true);
    /* Without page requests for groups nobody gets somebody else's */
    wrong = take(c, fault) &&
            tv_by_dev_id(c->vm, fault[0].dev_id) != second;
    tv_detach(c->vm, second, HM_PASID);
    tv_detach(c->vm, c->dev, HM_PASID);
    tv_destroy(c->vm, &hwpt);
    return wrong;
}

/* A group has one table: the second space is the first one's, too */
static bool group_of_two_spaces(HmCase *c)
{
    uint32_t a = stage1(c, &c->one, 48, false);
    uint32_t b = stage1(c, &c->two, 48, false);
    TvDevice *second = &c->vm->device[1];
    bool wrong;

    g_assert(!tv_attach(c->vm, c->dev, TV_NO_PASID, a));
    if (c->bug) {
        tv_attach(c->vm, second, TV_NO_PASID, b);
    }
    wrong = hm_page(c, c->dev, TV_NO_PASID, HM_IOVA, false) != 1;
    tv_detach(c->vm, second, TV_NO_PASID);
    tv_detach(c->vm, c->dev, TV_NO_PASID);
    tv_destroy(c->vm, &a);
    tv_destroy(c->vm, &b);
    return wrong;
}

/* Requests whose last one never came lead the group of another PASID */
static bool leftover_requests(HmCase *c)
{
    uint32_t hwpt = stage1(c, &c->one, 48, true);
    struct iommu_hwpt_pgfault fault[2] = { };
    unsigned n;

    g_assert(!tv_attach(c->vm, c->dev, HM_PASID, hwpt));
    g_assert(!tv_attach(c->vm, c->dev, HM_PASID2, hwpt));
    request(c->dev, HM_PASID, 2 * HM_IOVA, false);
    request(c->dev, HM_PASID2, 3 * HM_IOVA, true);
    n = take(c, fault);
    g_assert(n);
    tv_detach(c->vm, c->dev, HM_PASID2);
    tv_detach(c->vm, c->dev, HM_PASID);
    tv_destroy(c->vm, &hwpt);
    return fault[c->bug ? 0 : n - 1].pasid != HM_PASID2;
}

/* The host frees what nobody has answered by the last detach */
static bool answer_after_detach(HmCase *c)
{
    uint32_t hwpt = stage1(c, &c->one, 48, true);
    struct iommu_hwpt_pgfault fault[2];
    unsigned before = hm_uses_after_free();

    g_assert(!tv_attach(c->vm, c->dev, HM_PASID, hwpt));
    request(c->dev, HM_PASID, 2 * HM_IOVA, true);
    if (!c->bug) {
        g_assert(take(c, fault) == 1);
    }
    tv_detach(c->vm, c->dev, HM_PASID);
    take(c, fault);
    tv_destroy(c->vm, &hwpt);
    return hm_uses_after_free() != before;
}

/* What the tables have is not what the CPU has, and Linux asks the CPU */
static bool wide_requests(HmCase *c)
{
    uint32_t hwpt = stage1(c, &c->one, c->bug ? 57 : 48, true);
    struct iommu_hwpt_pgfault fault[2];
    bool wrong;

    g_assert(!tv_attach(c->vm, c->dev, HM_PASID, hwpt));
    request(c->dev, HM_PASID, c->bug ? 1ULL << 50 : 1ULL << 40, true);
    wrong = !take(c, fault);
    tv_detach(c->vm, c->dev, HM_PASID);
    tv_destroy(c->vm, &hwpt);
    return wrong;
}

/* PASIDs of one table need one domain, or there are soon none */
static bool domain_ids(HmCase *c)
{
    uint32_t hwpt[NR_PASIDS];
    bool wrong = false;
    unsigned i;

    for (i = 0; i < NR_PASIDS; i++) {
        hwpt[i] = i && !c->bug ? hwpt[0] : stage1(c, &c->one, 48, false);
        tv_attach(c->vm, c->dev, 1 + i, hwpt[i]);
    }
    for (i = 0; i < NR_PASIDS; i++) {
        wrong |= hm_page(c, c->dev, 1 + i, HM_IOVA, false) != 1;
    }
    for (i = NR_PASIDS; i--;) {
        tv_detach(c->vm, c->dev, 1 + i);
        if (!i || c->bug) {
            tv_destroy(c->vm, &hwpt[i]);
        }
    }
    return wrong;
}

/* A device's log has addresses of the bus, and migration wants the guest's */
static bool device_log(HmCase *c)
{
    uint64_t bitmap = 0;
    struct vfio_device_feature_dma_logging_range range = {
        .iova = 0, .length = c->vm->cfg.ram_size,
    };
    struct vfio_device_feature_dma_logging_control start = {
        .page_size = 4096, .num_ranges = 1, .ranges = (uintptr_t)&range,
    };
    struct vfio_device_feature_dma_logging_report report = {
        .iova = 4096, .length = 4096, .page_size = 4096,
        .bitmap = (uintptr_t)&bitmap,
    };
    uint32_t parent = c->vm->iommu[0].parent;

    hm_bind(c, HM_PASID, &c->one);
    g_assert(!hm_feature(c, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, false,
                         &start, sizeof(start)));
    g_assert(!hm_dirty_set(c, parent));
    hm_write(c, HM_PASID, HM_IOVA);
    if (!c->bug) {
        return !hm_dirty(c, parent, 4096, NULL);
    }
    g_assert(!hm_feature(c, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, true,
                         &report, sizeof(report)));
    return !(bitmap & 1);
}

const HmMistake hm_vtd_mistakes[] = {
    { "PASID refused late, and not detached", HM_PLAIN, 0, late_pasid },
    { "RID refused late, and reset", HM_PLAIN, 0, late_rid },
    { "page requests of a group by dev_id", HM_GROUP, 0, group_by_dev_id },
    { "two spaces for one group", HM_GROUP, 0, group_of_two_spaces },
    { "leftover requests of another PASID", HM_PLAIN, 0, leftover_requests },
    { "page request unanswered at the last detach", HM_PLAIN, 0,
      answer_after_detach },
    { "page requests wider than the CPU", HM_PLAIN, 0, wide_requests },
    { "a domain for each PASID of a table", HM_FEW_IDS, 0, domain_ids },
    { "a device's own log of writes believed", HM_LOGS,
      IOMMU_HWPT_ALLOC_DIRTY_TRACKING, device_log },
    { }
};
