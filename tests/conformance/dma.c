/*
 * Conformance of /dev/iommu: what the calls do to a device's DMA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Only the model has an endpoint that can be told what to do.  The effects
 * are those that Linux's drivers bring about by what they flush, and leave
 * alone by what they do not.
 */

#include <endian.h>
#include <poll.h>
#include "dma.h"

/* iommu_map(), iommu_unmap(), attach and detach */
static void paging(void)
{
    CtBound b;
    uint32_t ioas;
    uint64_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    put_be(va, 0x11223344);
    /* Bound but not attached: the blocking domain */
    EQ(-1, dma_read(&b, GIB));
    RET(0, ct_map(b.iommufd, ioas, va, 2 * page, GIB, CT_RW));
    EQ(-1, dma_read(&b, GIB));
    RET(0, ct_attach(&b, ioas));
    EQ(0x11223344, dma_read(&b, GIB));
    EQ(0, dma_read(&b, GIB + page));
    OK(dma_write(&b, GIB + page + 8, 0xcafe0001));
    EQ(0xcafe0001, get_be(va + page + 8));
    EQ(-1, dma_read(&b, GIB + 2 * page));
    EQ(-1, dma_read(&b, GIB - page));
    RET(0, ct_unmap(b.iommufd, ioas, GIB, 2 * page, NULL));
    EQ(-1, dma_read(&b, GIB));
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW));
    EQ(0x11223344, dma_read(&b, GIB));
    RET(0, ct_detach(&b));
    EQ(-1, dma_read(&b, GIB));
}

/* IOMMU_READ and IOMMU_WRITE */
static void rights(void)
{
    CtBound b;
    uint32_t ioas;
    uint64_t page = ct_page();
    uint8_t *va = ct_mem(page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    put_be(va, 0x01020304);
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB, IOMMU_IOAS_MAP_READABLE));
    EQ(0x01020304, dma_read(&b, GIB));
    OK(!dma_write(&b, GIB, 5));
    EQ(0x01020304, get_be(va));
}

/* A replace changes the address space at once */
static void replaced(void)
{
    CtBound b;
    uint32_t one, two;
    uint64_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    one = ct_ioas(b.iommufd);
    two = ct_ioas(b.iommufd);
    put_be(va, 1);
    put_be(va + page, 2);
    RET(0, ct_map(b.iommufd, one, va, page, GIB, CT_RW));
    RET(0, ct_map(b.iommufd, two, va + page, page, GIB, CT_RW));
    RET(0, ct_attach(&b, one));
    EQ(1, dma_read(&b, GIB));
    RET(0, ct_attach(&b, two));
    EQ(2, dma_read(&b, GIB));
    RET(0, ct_attach(&b, one));
    EQ(1, dma_read(&b, GIB));
    /* Closing blocks, as the next owner sees */
    ct_close(b.fd);
    if (ct_bound(&b, b.iommufd, b.dev)) {
        EQ(-1, dma_read(&b, GIB));
    }
}

/* PASIDs have address spaces of their own */
static void pasids(void)
{
    CtBound b;
    uint32_t one, two, h1, h2;
    uint64_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_PASID)) {
        return;
    }
    one = ct_ioas(b.iommufd);
    two = ct_ioas(b.iommufd);
    put_be(va, 1);
    put_be(va + page, 2);
    RET(0, ct_map(b.iommufd, one, va, page, GIB, CT_RW));
    RET(0, ct_map(b.iommufd, two, va + page, page, GIB, CT_RW));
    RET(0, ct_hwpt(b.iommufd, b.id, one, IOMMU_HWPT_ALLOC_PASID, &h1));
    RET(0, ct_hwpt(b.iommufd, b.id, two, IOMMU_HWPT_ALLOC_PASID, &h2));
    RET(0, ct_attach(&b, h1));
    EQ(-1, dma_read_as(&b, GIB, 1));
    RET(0, ct_attach_pasid(&b, h2, 1));
    EQ(2, dma_read_as(&b, GIB, 1));
    EQ(1, dma_read(&b, GIB));
    EQ(-1, dma_read_as(&b, GIB, 2));
    RET(0, ct_attach_pasid(&b, h1, 1));
    EQ(1, dma_read_as(&b, GIB, 1));
    RET(0, ct_detach_pasid(&b, 1));
    EQ(-1, dma_read_as(&b, GIB, 1));
    EQ(1, dma_read(&b, GIB));
}

/* Stage 1 through stage 2; what is cached stays until invalidated */
static void vtd_nested(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1_invalidate e = {
        FS_IOVA, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0,
    };
    uint32_t nr = 1;

    if (!fs_open(&f, 0)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    EQ(-1, dma_read(&f.b, FS_IOVA + 0x1000));
    /* Not present is not cached */
    fs_map(&f, 1, FS_GPA(1));
    EQ(0x1001, dma_read(&f.b, FS_IOVA + 0x1000));
    fs_map(&f, 0, FS_GPA(2));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    RET(0, fs_invalidate(&f, &e, &nr));
    EQ(0x1002, dma_read(&f.b, FS_IOVA));
    EQ(0x1001, dma_read(&f.b, FS_IOVA + 0x1000));
}

/* An entry refused stops the array: what follows stays cached */
static void vtd_partial(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1_invalidate e[3] = {
        { FS_IOVA, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0 },
        { FS_IOVA + 0x1000, 1, 1u << 5, 0 },
        { FS_IOVA + 0x2000, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0 },
    };
    uint32_t nr = 3;

    if (!fs_open(&f, 0)) {
        return;
    }
    for (unsigned n = 0; n < 3; n++) {
        fs_map(&f, n, FS_GPA(n));
        EQ(0x1000 + n, dma_read(&f.b, FS_IOVA + n * 0x1000));
        fs_map(&f, n, FS_GPA(4 + n));
    }
    RET(-EOPNOTSUPP, fs_invalidate(&f, e, &nr));
    EQ(1, nr);
    EQ(0x1004, dma_read(&f.b, FS_IOVA));
    EQ(0x1001, dma_read(&f.b, FS_IOVA + 0x1000));
    EQ(0x1002, dma_read(&f.b, FS_IOVA + 0x2000));
    e[1].flags = IOMMU_VTD_INV_FLAGS_LEAF;
    nr = 2;
    RET(0, fs_invalidate(&f, e + 1, &nr));
    EQ(0x1005, dma_read(&f.b, FS_IOVA + 0x1000));
    EQ(0x1006, dma_read(&f.b, FS_IOVA + 0x2000));
}

/* LEAF keeps the paging-structure caches: VT-d 6.5.2.4, IH */
static void vtd_leaf_hint(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1_invalidate e = {
        FS_IOVA, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0,
    };
    uint32_t nr = 1;

    if (!fs_open(&f, 0)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    /* A second last-level table at 0x4000 takes the place of the first */
    memcpy(f.ram + 0x4000, f.ram + 0x3000, 0x1000);
    fs_entry(&f, 0x4000, FS_IOVA >> 12, FS_GPA(3) | FS_PRESENT);
    fs_entry(&f, 0x2000, 0, 0x4000 | FS_PRESENT);
    RET(0, fs_invalidate(&f, &e, &nr));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    e.flags = 0;
    RET(0, fs_invalidate(&f, &e, &nr));
    EQ(0x1003, dma_read(&f.b, FS_IOVA));
}

/* Unmapping from the parent is the host's own business, flush included */
static void vtd_parent_unmap(void)
{
    FirstStage f;
    uint8_t *more = ct_mem(ct_page());

    if (!fs_open(&f, 0)) {
        return;
    }
    put_be(more, 0x7777);
    RET(0, ct_map(f.b.iommufd, f.ioas, more, ct_page(), GIB, CT_RW));
    fs_map(&f, 0, GIB);
    EQ(0x7777, dma_read(&f.b, FS_IOVA));
    RET(0, ct_unmap(f.b.iommufd, f.ioas, GIB, ct_page(), NULL));
    EQ(-1, dma_read(&f.b, FS_IOVA));
    RET(0, ct_map(f.b.iommufd, f.ioas, more, ct_page(), GIB, CT_RW));
    EQ(0x7777, dma_read(&f.b, FS_IOVA));
}

/* intel_nested_attach_dev() blocks the RID before it looks at the table */
static void vtd_failed_replace(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 39 };
    uint32_t bad;

    if (!fs_open(&f, 0)) {
        return;
    }
    fs_map(&f, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
    RET(0, ct_hwpt_data(f.b.iommufd, f.b.id, f.parent, 0,
                        IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), 0, &bad));
    RET(-EINVAL, ct_attach(&f.b, bad));
    EQ(-1, dma_read(&f.b, FS_IOVA));
    /* For iommufd the old table is attached still, so this does nothing */
    RET(0, ct_attach(&f.b, f.nested));
    EQ(-1, dma_read(&f.b, FS_IOVA));
    RET(0, ct_detach(&f.b));
    RET(0, ct_attach(&f.b, f.nested));
    EQ(0x1000, dma_read(&f.b, FS_IOVA));
}

/*
 * intel_nested_set_dev_pasid() (intel/nested.c line 145) finds some faults
 * before domain_setup_nested() (line 133) tears the PASID down, and these
 * after: what iommufd has for attached stays until it is detached.
 */
static void vtd_failed_pasid(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1 s1 = { .addr_width = 39 };
    uint32_t good, bad, other;

    if (!fs_open_pasid(&f, 0, &good)) {
        return;
    }
    EQ(0x1000, dma_read_as(&f.b, FS_IOVA, 1));
    RET(0, ct_hwpt_data(f.b.iommufd, f.b.id, f.parent, IOMMU_HWPT_ALLOC_PASID,
                        IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), 0, &bad));
    RET(-EINVAL, ct_attach_pasid(&f.b, bad, 1));
    EQ(-1, dma_read_as(&f.b, FS_IOVA, 1));
    RET(0, ct_attach_pasid(&f.b, good, 1));
    EQ(-1, dma_read_as(&f.b, FS_IOVA, 1));
    RET(-EINVAL, ct_attach_pasid(&f.b, bad, 1));
    /* Another one puts an end to it, as detaching does */
    RET(0, ct_vtd_s1(f.b.iommufd, f.b.id, f.parent, IOMMU_HWPT_ALLOC_PASID, 0,
                     0, &other));
    RET(0, ct_attach_pasid(&f.b, other, 1));
    EQ(0x1000, dma_read_as(&f.b, FS_IOVA, 1));
    RET(-EINVAL, ct_attach_pasid(&f.b, bad, 1));
    RET(0, ct_detach_pasid(&f.b, 1));
    RET(0, ct_attach_pasid(&f.b, other, 1));
    EQ(0x1000, dma_read_as(&f.b, FS_IOVA, 1));
    /* A first attach has nothing to tear down */
    RET(-EINVAL, ct_attach_pasid(&f.b, bad, 2));
    EQ(-1, dma_read_as(&f.b, FS_IOVA, 2));
}

static void vtd_early_pasid(void)
{
    FirstStage f;
    uint32_t good, bad, fault;
    int qfd;

    if (!fs_open_pasid(&f, CT_NO_PRI, &good)) {
        return;
    }
    RET(0, ct_fault_queue(f.b.iommufd, &fault, &qfd));
    RET(0, ct_vtd_s1(f.b.iommufd, f.b.id, f.parent,
                     IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, 0,
                     fault, &bad));
    RET(-ENODEV, ct_attach_pasid(&f.b, bad, 1));
    EQ(0x1000, dma_read_as(&f.b, FS_IOVA, 1));
}

/* arm_smmu_make_nested_domain_ste(): bypass is stage 2, the rest nothing */
static void smmu_without_stage1(void)
{
    SmmuVm vm;
    uint32_t byp, abt, none;
    uint8_t *va = ct_mem(ct_page());

    if (!smmu_vm(&vm, CT_NEST)) {
        return;
    }
    put_be(va, 0x4242);
    RET(0, ct_map(vm.b.iommufd, vm.ioas, va, ct_page(), GIB, CT_RW));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_BYPASS, 0, &byp));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, STE0_ABORT, 0, &abt));
    RET(0, ct_ste(vm.b.iommufd, vm.b.id, vm.viommu, 0, 0, &none));
    RET(0, ct_attach(&vm.b, byp));
    EQ(0x4242, dma_read(&vm.b, GIB));
    EQ(-1, dma_read(&vm.b, 2 * GIB));
    RET(0, ct_attach(&vm.b, abt));
    EQ(-1, dma_read(&vm.b, GIB));
    RET(0, ct_attach(&vm.b, vm.parent));
    EQ(0x4242, dma_read(&vm.b, GIB));
    RET(0, ct_attach(&vm.b, none));
    EQ(-1, dma_read(&vm.b, GIB));
}

static void smmu_nested(void)
{
    Stage1 s;
    uint64_t cmd[1][2] = {
        { CMD_TLBI_NH_VA | (CD_ASID + 1) << 48, FS_IOVA | 1 },
    };
    uint32_t nr = 1;

    if (!s1_open(&s, 0)) {
        return;
    }
    s1_map(&s, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    s1_map(&s, 0, FS_GPA(2));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    /* Another ASID does not touch it */
    RET(0, s1_invalidate(&s, cmd, &nr));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    cmd[0][0] = CMD_TLBI_NH_VA | CD_ASID << 48;
    RET(0, s1_invalidate(&s, cmd, &nr));
    EQ(0x1002, dma_read(&s.vm.b, FS_IOVA));
}

/*
 * arm_vsmmu_cache_invalidate() converts command after command and issues
 * them in batches: on a bad one it returns before the commands of its own
 * batch are issued, although entry_num counts them.
 */
static void smmu_partial(void)
{
    Stage1 s;
    const uint64_t cmd[3][2] = {
        { CMD_TLBI_NH_VA | CD_ASID << 48, FS_IOVA | 1 },
        { CMD_SYNC, 0 },
        { CMD_TLBI_NH_VA | CD_ASID << 48, (FS_IOVA + 0x1000) | 1 },
    };
    uint32_t nr = 3;

    if (!s1_open(&s, 0)) {
        return;
    }
    for (unsigned n = 0; n < 2; n++) {
        s1_map(&s, n, FS_GPA(n));
        EQ(0x1000 + n, dma_read(&s.vm.b, FS_IOVA + n * 0x1000));
        s1_map(&s, n, FS_GPA(4 + n));
    }
    RET(-EIO, s1_invalidate(&s, cmd, &nr));
    EQ(1, nr);
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    EQ(0x1001, dma_read(&s.vm.b, FS_IOVA + 0x1000));
    nr = 1;
    RET(0, s1_invalidate(&s, cmd, &nr));
    EQ(0x1004, dma_read(&s.vm.b, FS_IOVA));
    EQ(0x1001, dma_read(&s.vm.b, FS_IOVA + 0x1000));
}

/* STE with 128 CDs in a table of two levels at @base; SSID 0 is no substream */
static bool s1_two_levels(Stage1 *s, uint64_t base)
{
    return RET(0, ct_ste(s->vm.b.iommufd, s->vm.b.id, s->vm.viommu,
                         STE0_S1 | 1ull << 4 | base | 7ull << 59, 2, &s->s1)) &&
           RET(0, ct_attach(&s->vm.b, s->s1));
}

static void s1_command(Stage1 *s, uint64_t word0, uint64_t word1)
{
    const uint64_t cmd[1][2] = { { word0, word1 } };
    uint32_t nr = 1;

    RET(0, s1_invalidate(s, cmd, &nr));
}

/*
 * What is not valid in the configuration is cached like what is (3.21.3), as
 * arm_smmu_alloc_cd_ptr() of arm-smmu-v3.c has it, line 1573. Model only:
 * nothing but the hardware shows it.
 */
static void smmu_invalid_cached(void)
{
    const uint64_t cfgi = CMD_CFGI_CD | (uint64_t)SMMU_VSID << 32;
    uint64_t cd0;
    Stage1 s;

    if (!s1_open(&s, CT_PASID)) {
        return;
    }
    s1_map(&s, 0, FS_GPA(0));
    memcpy(&cd0, s.ram, sizeof(cd0));
    s1_word(&s, 0, 0);
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    s1_word(&s, 0, le64toh(cd0));
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    s1_command(&s, CMD_TLBI_NH_ALL, 0);
    EQ(-1, dma_read(&s.vm.b, FS_IOVA));
    s1_command(&s, cfgi, 1);
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));

    /* The descriptor of the CDs from 64 on */
    if (!s1_two_levels(&s, 0x8000)) {
        return;
    }
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 64));
    memcpy(s.ram + 0x9000, s.ram, 64);
    s1_word(&s, 0x8008, 0x9000 | 1);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 64));
    s1_command(&s, cfgi | 64 << 12, 1);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 64));
    s1_command(&s, cfgi | 1 << 12, 0);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 64));
    s1_command(&s, cfgi | 64 << 12, 0);
    EQ(0x1000, dma_read_as(&s.vm.b, FS_IOVA, 64));
    /* In a table of the other format it has 1024 CDs, no longer 64 */
    s1_word(&s, 0xa000, 0);
    if (!RET(0, ct_ste(s.vm.b.iommufd, s.vm.b.id, s.vm.viommu, STE0_S1 |
                       2ull << 4 | 0xa000 | 12ull << 59, 2, &s.s1)) ||
        !RET(0, ct_attach(&s.vm.b, s.s1))) {
        return;
    }
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 1024));
    s1_word(&s, 0xa008, 0x10000 | 1);
    memcpy(s.ram + 0x10000, s.ram, 64);
    /* 65 is of the first descriptor here, and of the second with 64 each */
    s1_command(&s, cfgi | 65 << 12, 0);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 1024));
    s1_command(&s, cfgi | 1025 << 12, 0);
    EQ(0x1000, dma_read_as(&s.vm.b, FS_IOVA, 1024));
    /* With all of its kind */
    if (!s1_two_levels(&s, 0x8000)) {
        return;
    }
    s1_word(&s, 0x9000 + 64, 0);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 65));
    memcpy(s.ram + 0x9000 + 64, s.ram, 64);
    EQ(-1, dma_read_as(&s.vm.b, FS_IOVA, 65));
    s1_command(&s, CMD_CFGI_CD_ALL | (uint64_t)SMMU_VSID << 32, 0);
    EQ(0x1000, dma_read_as(&s.vm.b, FS_IOVA, 65));
}

/* The model's endpoint, see its manual: four zeroes to @addr; its status */
static uint32_t engine_writes(const CtBound *b, uint64_t addr)
{
    const uint64_t bar = ct_region_offset(b, VFIO_PCI_BAR0_REGION_INDEX);
    const uint32_t len = htole32(4), start = htole32(1 | 1 << 1);
    uint32_t status = 0;

    addr = htole64(addr);
    RET(8, ct_pwrite(b->fd, &addr, 8, bar + 0x8));
    RET(4, ct_pwrite(b->fd, &len, 4, bar + 0x10));
    RET(4, ct_pwrite(b->fd, &start, 4, bar + 0x4));
    RET(4, ct_pread(b->fd, &status, 4, bar + 0x18));
    return le32toh(status);
}

static void set_bus_master(const CtBound *b)
{
    const uint16_t command = htole16(1u << 1 | 1u << 2);

    RET(2, ct_pwrite(b->fd, &command, 2,
                     ct_region_offset(b, VFIO_PCI_CONFIG_REGION_INDEX) + 4));
}

/*
 * CD.S with STE.S1STALLD clear. arm_smmu_handle_event() of arm-smmu-v3.c makes
 * a page request of the event, which a nested domain does not handle, and
 * arm_smmu_page_response() (line 952) refuses to end what a PCI device has
 * stalled: no vEVENT, and the transaction hangs. The driver leaves S1STALLD to
 * the VMM, arm_smmu_make_nested_cd_table_ste(). Model only: real hardware may
 * hang for good.
 */
static void smmu_stalls(void)
{
    struct {
        struct iommufd_vevent_header hdr;
        uint64_t evt[4];
    } e = { 0 };
    int qfd = -1;
    uint64_t cd;
    uint32_t id;
    Stage1 s;

    if (!s1_open(&s, CT_STALLS | CT_RESET)) {
        return;
    }
    RET(0, ct_veventq_new(s.vm.b.iommufd, s.vm.viommu,
                          IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 8, &id, &qfd));
    s1_map(&s, 0, FS_GPA(0));
    memcpy(&cd, s.ram, sizeof(cd));
    s1_word(&s, 0, le64toh(cd) | 1ull << 44);
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    set_bus_master(&s.vm.b);
    EQ(1, engine_writes(&s.vm.b, FS_IOVA + 0x1000));
    EQ(0, ct_poll(qfd, POLLIN, 20));
    RET(0, ct_ioctl(s.vm.b.fd, VFIO_DEVICE_RESET, NULL));
    EQ(2, engine_writes(&s.vm.b, FS_IOVA));
    /* With it the CD is ILLEGAL, 5.4.1 */
    RET(0, ct_ste(s.vm.b.iommufd, s.vm.b.id, s.vm.viommu, STE0_S1, 1ull << 27,
                  &s.s1));
    RET(0, ct_attach(&s.vm.b, s.s1));
    EQ(3, engine_writes(&s.vm.b, FS_IOVA));
    EQ(POLLIN, ct_poll(qfd, POLLIN, 1000));
    RET(sizeof(e), ct_read(qfd, &e, sizeof(e)));
    EQ(0x0a, le64toh(e.evt[0]) & 0xff);
}

/*
 * vfio_pci_core_enable(), vfio_pci_core_disable(): pci_clear_master(). Resets
 * keep the command register, pci_restore_state().
 */
static void bus_master(void)
{
    uint32_t ioas, *mem = ct_mem(ct_page());
    CtBound b;

    if (!ct_bound_new(&b, CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_map(b.iommufd, ioas, mem, ct_page(), GIB, CT_RW));
    RET(0, ct_attach(&b, ioas));
    *mem = 1;
    EQ(3, engine_writes(&b, GIB));
    EQ(1, *mem);
    set_bus_master(&b);
    EQ(2, engine_writes(&b, GIB));
    EQ(0, *mem);
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_RESET, NULL));
    EQ(2, engine_writes(&b, GIB));
}

#define VTD (CT_DEV | CT_VTD | CT_NEST | CT_MODEL)
#define SMMU (CT_DEV | CT_SMMUV3 | CT_VIOMMU | CT_MODEL)

static const CtScenario scenarios[] = {
    { "map, unmap, attach, detach", paging, CT_DEV | CT_MODEL },
    { "rights", rights, CT_DEV | CT_MODEL },
    { "replace", replaced, CT_DEV | CT_MODEL },
    { "PASIDs", pasids, CT_DEV | CT_PASID | CT_MODEL },
    { "bus mastering", bus_master, CT_DEV | CT_RESET | CT_MODEL },
    { "VT-d: stage 1 and its invalidation", vtd_nested, VTD },
    { "VT-d: partial invalidation", vtd_partial, VTD },
    { "VT-d: the LEAF hint", vtd_leaf_hint, VTD },
    { "VT-d: unmap from the parent", vtd_parent_unmap, VTD },
    { "VT-d: a failed replace blocks", vtd_failed_replace, VTD },
    { "VT-d: a failed replace of a PASID blocks it, if late", vtd_failed_pasid,
      VTD | CT_PASID },
    { "VT-d: a PASID that is refused early goes on", vtd_early_pasid,
      VTD | CT_PASID | CT_NO_PRI },
    { "SMMUv3: bypass and abort", smmu_without_stage1, SMMU },
    { "SMMUv3: stage 1 and its invalidation", smmu_nested, SMMU },
    { "SMMUv3: partial invalidation", smmu_partial, SMMU },
    { "SMMUv3: a stalled transaction hangs", smmu_stalls,
      SMMU | CT_STALLS | CT_RESET },
    { "SMMUv3: invalid CDs are cached", smmu_invalid_cached, SMMU | CT_PASID },
};

CT_GROUP(ct_group_dma, "dma");
