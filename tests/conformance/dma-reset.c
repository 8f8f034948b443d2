/*
 * Conformance of /dev/iommu: what a reset does to a device's DMA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Model only, for the endpoint's sake: drivers/iommu/iommu.c of Linux 7.3,
 * pci_dev_reset_iommu_prepare() (line 4034) blocks a device with ATS, and
 * pci_dev_reset_iommu_done() (4146) attaches what iommufd attached last, each
 * with all that its driver does then. A device without ATS keeps everything.
 */

#include <endian.h>
#include <poll.h>
#include "dma.h"

static void reset(const CtBound *b)
{
    RET(0, ct_ioctl(b->fd, VFIO_DEVICE_RESET, NULL));
}

static void window(const CtBound *b, const char *which)
{
    OK(ct_json_true(ct_model("{\"cmd\":\"reset-%s\",\"dev\":\"%s\"}", which,
                             b->dev->bdf), "ok"));
}

/* Blocked in between, also a PASID; another detached meanwhile stays so */
static void blocks(void)
{
    CtBound b;
    uint32_t ioas, hwpt, *mem = ct_mem(ct_page());

    if (!ct_bound_new(&b, CT_PASID | CT_ATS | CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    put_be(mem, 0x4242);
    RET(0, ct_map(b.iommufd, ioas, mem, ct_page(), GIB, CT_RW));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt));
    RET(0, ct_attach(&b, hwpt));
    RET(0, ct_attach_pasid(&b, hwpt, 1));
    RET(0, ct_attach_pasid(&b, hwpt, 2));
    window(&b, "begin");
    EQ(-1, dma_read(&b, GIB));
    EQ(-1, dma_read_as(&b, GIB, 1));
    RET(0, ct_detach_pasid(&b, 2));
    window(&b, "end");
    EQ(0x4242, dma_read(&b, GIB));
    EQ(0x4242, dma_read_as(&b, GIB, 1));
    EQ(-1, dma_read_as(&b, GIB, 2));
}

/* intel_pasid_tear_down_entry(): the whole domain */
static void vtd_flush(void)
{
    FirstStage f;

    if (!fs_open(&f, CT_ATS | CT_RESET)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    fs_map(&f, 0, FS_GPA(2));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    reset(&f.b);
    EQ(0x1002, dma_read(&f.b, FS_IOVA));
}

static void vtd_no_flush(void)
{
    FirstStage f;

    if (!fs_open(&f, CT_NO_ATS | CT_RESET)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    fs_map(&f, 0, FS_GPA(2));
    reset(&f.b);
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
}

/*
 * After a replace that failed the RID is blocked, and group->domain is still
 * the old one: intel_nested_attach_dev(), __iommu_group_set_domain_internal().
 */
static void vtd_revives(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 39 };
    uint32_t bad;

    if (!fs_open(&f, CT_ATS | CT_RESET)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    RET(0, ct_hwpt_data(f.b.iommufd, f.b.id, f.parent, 0,
                        IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), 0, &bad));
    RET(-EINVAL, ct_attach(&f.b, bad));
    EQ(-1, dma_read(&f.b, FS_IOVA));
    reset(&f.b);
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
}

/* pasid_array is as it was, too */
static void vtd_revives_pasid(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 39 };
    uint32_t good, bad;

    if (!fs_open_pasid(&f, CT_ATS | CT_RESET, &good)) {
        return;
    }
    RET(0, ct_hwpt_data(f.b.iommufd, f.b.id, f.parent, IOMMU_HWPT_ALLOC_PASID,
                        IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), 0, &bad));
    RET(-EINVAL, ct_attach_pasid(&f.b, bad, 1));
    EQ(-1, dma_read_as(&f.b, FS_IOVA, 1));
    reset(&f.b);
    EQ(0x1000, dma_read_as(&f.b, FS_IOVA, 1));
}

/*
 * arm_smmu_attach_prepare_vmaster() wants a vDEVICE each time, and nobody
 * hears of the failure (arm-smmu-v3-iommufd.c line 116, iommu.c line 4190).
 * iommufd holds the table for attached, so that attaching it does nothing.
 */
static void smmu_dead(void)
{
    Stage1 s;

    if (!s1_open(&s, CT_ATS | CT_RESET)) {
        return;
    }
    s1_map(&s, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    RET(0, ct_destroy(s.vm.b.iommufd, s.vm.vdevice));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    reset(&s.vm.b);
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    RET(0, ct_attach(&s.vm.b, s.s1));
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    RET(0, ct_vdevice(s.vm.b.iommufd, s.vm.viommu, s.vm.b.id, SMMU_VSID,
                      &s.vm.vdevice));
    RET(0, ct_attach(&s.vm.b, s.s1));
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    reset(&s.vm.b);
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
}

/* What bypasses stage 1 needs none */
static void smmu_bypass(void)
{
    SmmuVm vm;
    uint32_t byp, *mem = ct_mem(ct_page());

    if (!smmu_vm_vdevice(&vm, CT_ATS | CT_RESET)) {
        return;
    }
    put_be(mem, 0x4242);
    RET(0, ct_map(vm.b.iommufd, vm.ioas, mem, ct_page(), GIB, CT_RW));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_BYPASS, 0, &byp));
    RET(0, ct_attach(&vm.b, byp));
    RET(0, ct_destroy(vm.b.iommufd, vm.vdevice));
    reset(&vm.b);
    EQ(0x4242, dma_read(&vm.b, GIB));
}

/* CFGI_STE, and the VMID as its last user */
static void smmu_flush(void)
{
    Stage1 s;

    if (!s1_open(&s, CT_ATS | CT_RESET)) {
        return;
    }
    s1_map(&s, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    s1_map(&s, 0, FS_GPA(2));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    reset(&s.vm.b);
    EQ(0x1002, dma_read(&s.vm.b, FS_IOVA));
    /* The CD: a table of nothing behind it */
    s1_word(&s, 8, 0x8000);
    EQ(0x1002, dma_read(&s.vm.b, FS_IOVA));
    reset(&s.vm.b);
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
}

/* The StreamID of an event, once something has gone wrong at @addr */
static uint32_t event_sid(Stage1 *s, int qfd, uint64_t addr)
{
    struct {
        struct iommufd_vevent_header hdr;
        uint64_t evt[4];
    } e = { 0 };

    EQ(-1, dma_read(&s->vm.b, addr));
    EQ(POLLIN, ct_poll(qfd, POLLIN, 1000));
    RET(sizeof(e), ct_read(qfd, &e, sizeof(e)));
    return le64toh(e.evt[0]) >> 32;
}

/* arm_smmu_attach_commit_vmaster(): events have the label of the last attach */
static void smmu_label(void)
{
    Stage1 s;
    uint32_t id;
    int qfd = -1;

    if (!s1_open(&s, CT_ATS | CT_RESET)) {
        return;
    }
    RET(0, ct_veventq_new(s.vm.b.iommufd, s.vm.viommu,
                          IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 8, &id, &qfd));
    EQ(SMMU_VSID, event_sid(&s, qfd, FS_IOVA));
    RET(0, ct_destroy(s.vm.b.iommufd, s.vm.vdevice));
    RET(0, ct_vdevice(s.vm.b.iommufd, s.vm.viommu, s.vm.b.id, SMMU_VSID + 1,
                      &s.vm.vdevice));
    EQ(SMMU_VSID, event_sid(&s, qfd, FS_IOVA + 0x1000));
    reset(&s.vm.b);
    EQ(SMMU_VSID + 1, event_sid(&s, qfd, FS_IOVA));
}

#define NEEDS (CT_DEV | CT_RESET | CT_MODEL)
#define VTD (NEEDS | CT_VTD | CT_NEST)
#define SMMU (NEEDS | CT_SMMUV3 | CT_VIOMMU | CT_ATS)

static const CtScenario scenarios[] = {
    { "blocked until its end", blocks, NEEDS | CT_PASID | CT_ATS },
    { "VT-d: flushes stage 1", vtd_flush, VTD | CT_ATS },
    { "VT-d: without ATS", vtd_no_flush, VTD | CT_NO_ATS },
    { "VT-d: after a failed replace", vtd_revives, VTD | CT_ATS },
    { "VT-d: a PASID after a failed replace", vtd_revives_pasid,
      VTD | CT_PASID | CT_ATS },
    { "SMMUv3: without a vDEVICE", smmu_dead, SMMU },
    { "SMMUv3: bypass without a vDEVICE", smmu_bypass, SMMU },
    { "SMMUv3: flushes stage 1", smmu_flush, SMMU },
    { "SMMUv3: a new label", smmu_label, SMMU },
};

CT_GROUP(ct_group_dma_reset, "dma-reset");
