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
#include <stdio.h>
#include "smmu.h"

#define GIB (1ull << 30)
#define NO_PASID UINT32_MAX

static const char *dma(const CtBound *b, const char *op, uint64_t addr,
                       uint32_t pasid, uint32_t data)
{
    char word[32] = "";

    if (pasid != NO_PASID) {
        snprintf(word, sizeof(word), ",\"pasid\":%u", pasid);
    }
    data = htobe32(data);
    return ct_model("{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":\"%s\","
                    "\"addr\":%llu,\"len\":4,\"data\":\"%08x\"%s}",
                    b->dev->bdf, op, (unsigned long long)addr,
                    be32toh(data), word);
}

/* Returns: the four bytes read, -1 when the access faulted */
static int64_t dma_read_as(const CtBound *b, uint64_t addr, uint32_t pasid)
{
    const char *reply = dma(b, "read", addr, pasid, 0);
    const char *data = strstr(reply, "\"data\":");
    unsigned val;

    if (ct_json_has(reply, "fault") || !data) {
        return -1;
    }
    if (sscanf(data, "\"data\": \"%x", &val) != 1) {
        return -1;
    }
    return val;
}

static int64_t dma_read(const CtBound *b, uint64_t addr)
{
    return dma_read_as(b, addr, NO_PASID);
}

static bool dma_write(const CtBound *b, uint64_t addr, uint32_t data)
{
    const char *reply = dma(b, "write", addr, NO_PASID, data);

    return ct_json_true(reply, "ok") && !ct_json_has(reply, "fault");
}

/* Memory as the hexadecimal of the commands has it: first byte first */
static void put_be(void *p, uint32_t val)
{
    val = htobe32(val);
    memcpy(p, &val, sizeof(val));
}

static uint32_t get_be(const void *p)
{
    uint32_t val;

    memcpy(&val, p, sizeof(val));
    return be32toh(val);
}

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

/*
 * VT-d first stage, 4 levels of 4 KiB pages (VT-d 9.8): the tables at guest
 * physical 0, 0x1000, 0x2000, 0x3000; the pages below map IOVA 0x10000 on.
 */
#define FS_PRESENT  0x7ull                      /* P, R/W, U/S */
#define FS_IOVA     0x10000ull
#define FS_GPA(n)   (0x100000ull + (n) * 0x1000ull)

typedef struct FirstStage {
    CtBound b;
    uint32_t ioas, parent, nested;
    uint8_t *ram;                               /* 2 MiB at guest physical 0 */
} FirstStage;

static void fs_entry(FirstStage *f, uint64_t table, unsigned index,
                     uint64_t val)
{
    val = htole64(val);
    memcpy(f->ram + table + index * 8, &val, sizeof(val));
}

static void fs_map(FirstStage *f, unsigned n, uint64_t gpa)
{
    fs_entry(f, 0x3000, (FS_IOVA >> 12) + n, gpa ? gpa | FS_PRESENT : 0);
}

static bool fs_open(FirstStage *f)
{
    if (!ct_bound_parent(&f->b, CT_NEST, &f->ioas, &f->parent)) {
        return false;
    }
    f->ram = ct_mem(2 << 20);
    for (unsigned level = 0; level < 3; level++) {
        fs_entry(f, level * 0x1000, 0, (level + 1) * 0x1000 | FS_PRESENT);
    }
    for (unsigned n = 0; n < 8; n++) {
        put_be(f->ram + FS_GPA(n), 0x1000 + n);
    }
    return RET(0, ct_map(f->b.iommufd, f->ioas, f->ram, 2 << 20, 0, CT_RW)) &&
           RET(0, ct_vtd_s1(f->b.iommufd, f->b.id, f->parent, 0, 0, 0,
                            &f->nested)) &&
           RET(0, ct_attach(&f->b, f->nested));
}

static int fs_invalidate(FirstStage *f, const void *e, uint32_t *nr)
{
    return ct_invalidate(f->b.iommufd, f->nested,
                         IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, e,
                         sizeof(struct iommu_hwpt_vtd_s1_invalidate), nr);
}

/* Stage 1 through stage 2; what is cached stays until invalidated */
static void vtd_nested(void)
{
    FirstStage f;
    struct iommu_hwpt_vtd_s1_invalidate e = {
        FS_IOVA, 1, IOMMU_VTD_INV_FLAGS_LEAF, 0,
    };
    uint32_t nr = 1;

    if (!fs_open(&f)) {
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

    if (!fs_open(&f)) {
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

    if (!fs_open(&f)) {
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

    if (!fs_open(&f)) {
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

    if (!fs_open(&f)) {
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

/*
 * SMMUv3 stage 1 (5.4 Context Descriptor; Arm ARM D8.3): one CD at guest
 * physical 0, tables of 4 levels from 0x1000, 48-bit input addresses.
 */
#define CD_ASID     5ull
#define PTE_TABLE   3ull
#define PTE_PAGE    (3ull | 1ull << 6 | 3ull << 8 | 1ull << 10 | 1ull << 11)

typedef struct Stage1 {
    SmmuVm vm;
    uint32_t s1;
    uint8_t *ram;
} Stage1;

static void s1_word(Stage1 *s, uint64_t at, uint64_t val)
{
    val = htole64(val);
    memcpy(s->ram + at, &val, sizeof(val));
}

static void s1_map(Stage1 *s, unsigned n, uint64_t gpa)
{
    s1_word(s, 0x4000 + ((FS_IOVA >> 12) + n) * 8, gpa | PTE_PAGE);
}

static bool s1_open(Stage1 *s)
{
    if (!smmu_vm_vdevice(&s->vm, CT_NEST)) {
        return false;
    }
    s->ram = ct_mem(2 << 20);
    /* T0SZ 16, TG0 4K, IR/OR WB, SH inner, EPD1, V, IPS 44, AFFD, R, A, AA64 */
    s1_word(s, 0, 16ull | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 30 |
            1ull << 31 | 4ull << 32 | 1ull << 35 | 1ull << 41 | 1ull << 45 |
            1ull << 46 | CD_ASID << 48);
    s1_word(s, 8, 0x1000);
    s1_word(s, 24, 0xff);
    for (unsigned level = 1; level < 4; level++) {
        s1_word(s, level * 0x1000, (level + 1) * 0x1000 | PTE_TABLE);
    }
    for (unsigned n = 0; n < 8; n++) {
        put_be(s->ram + FS_GPA(n), 0x1000 + n);
    }
    return RET(0, ct_map(s->vm.b.iommufd, s->vm.ioas, s->ram, 2 << 20, 0,
                         CT_RW)) &&
           RET(0, ct_ste(s->vm.b.iommufd, s->vm.b.id, s->vm.viommu, STE0_S1,
                         0, &s->s1)) &&
           RET(0, ct_attach(&s->vm.b, s->s1));
}

static int s1_invalidate(Stage1 *s, const uint64_t (*cmd)[2], uint32_t *nr)
{
    struct iommu_viommu_arm_smmuv3_invalidate raw[8];

    for (uint32_t i = 0; i < *nr; i++) {
        raw[i].cmd[0] = htole64(cmd[i][0]);
        raw[i].cmd[1] = htole64(cmd[i][1]);
    }
    return ct_invalidate(s->vm.b.iommufd, s->vm.viommu,
                         IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, raw,
                         sizeof(raw[0]), nr);
}

static void smmu_nested(void)
{
    Stage1 s;
    uint64_t cmd[1][2] = {
        { CMD_TLBI_NH_VA | (CD_ASID + 1) << 48, FS_IOVA | 1 },
    };
    uint32_t nr = 1;

    if (!s1_open(&s)) {
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

    if (!s1_open(&s)) {
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

/*
 * vfio_pci_core_enable(), vfio_pci_core_disable(): pci_clear_master(). Resets
 * keep the command register, pci_restore_state().
 */
static void bus_master(void)
{
    const uint16_t command = htole16(1u << 1 | 1u << 2);
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
    RET(2, ct_pwrite(b.fd, &command, 2,
                     ct_region_offset(&b, VFIO_PCI_CONFIG_REGION_INDEX) + 4));
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
    { "SMMUv3: bypass and abort", smmu_without_stage1, SMMU },
    { "SMMUv3: stage 1 and its invalidation", smmu_nested, SMMU },
    { "SMMUv3: partial invalidation", smmu_partial, SMMU },
};

CT_GROUP(ct_group_dma, "dma");
