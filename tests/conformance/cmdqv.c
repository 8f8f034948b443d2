/*
 * Conformance of /dev/iommu: Tegra241 CMDQV, a guest's own command queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Real hardware sees stores into page 0 at once; the model has to be told.
 */

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dma.h"

#define NEEDS   (CT_DEV | CT_SMMUV3 | CT_VIOMMU | CT_CMDQV)
#define TYPE    IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV
#define QTYPE   IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV

#define PAGE0_SIZE  0x10000
#define IOVA        0x40000000ull
#define ERR_ILL             1
#define ERR_ATC_INV_SYNC    3

/* Words of an LVCMDQ in page 0 */
enum { CONS, PROD, CONFIG, STATUS, GERROR, GERRORN };

/* Changed by hardware */
typedef volatile uint32_t Reg;

/* A vIOMMU with a VINTF, and memory for queues */
typedef struct Vintf {
    SmmuVm vm;
    uint64_t *mem;
    Reg *page0;
} Vintf;

static bool vintf(Vintf *v, uint64_t needs)
{
    v->page0 = NULL;
    v->mem = ct_mem(16 * 4096);
    return smmu_vm(&v->vm, needs | CT_CMDQV) &&
           RET(0, ct_map(v->vm.b.iommufd, v->vm.ioas, v->mem, 16 * 4096, IOVA,
                         CT_RW | CT_FIXED));
}

static int queue(const Vintf *v, uint32_t index, uint64_t iova, uint64_t len,
                 uint32_t *id)
{
    return ct_hw_queue(v->vm.b.iommufd, v->vm.viommu, QTYPE, index, iova, len,
                       id);
}

static void *map(const Vintf *v, uint64_t offset, size_t len, int prot,
                 int flags)
{
    return mmap(NULL, len, prot, flags, v->vm.b.iommufd, offset);
}

static bool map_page0(Vintf *v)
{
    v->page0 = map(v, v->vm.page0, v->vm.page0_len, PROT_READ | PROT_WRITE,
                   MAP_SHARED);
    return OK(v->page0 != MAP_FAILED);
}

/* A mapping that must not be */
static int map_error(const Vintf *v, uint64_t offset, size_t len, int prot,
                     int flags)
{
    void *at = map(v, offset, len, prot, flags);

    if (at == MAP_FAILED) {
        return -errno;
    }
    munmap(at, len);
    return 0;
}

/* tegra241_cmdqv_hw_info() */
static void hw_info(void)
{
    struct iommu_hw_info_tegra241_cmdqv data;
    struct iommu_hw_info info = {
        .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
        .in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
        .data_len = sizeof(data),
        .data_uptr = (uintptr_t)&data,
    };
    CtBound b;

    if (!ct_bound_new(&b, CT_CMDQV)) {
        return;
    }
    memset(&data, 0xaa, sizeof(data));
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, info.out_data_type);
    EQ(sizeof(data), info.data_len);
    EQ(0, data.flags);
    EQ(1, data.version);
    OK(data.log2vcmdqs <= 7);
    OK(data.log2vsids <= 4);
    EQ(0, data.__reserved);
    /* What there is by default is the SMMU's */
    info.flags = 0;
    info.data_len = 0;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, info.out_data_type);
}

/* tegra241_cmdqv_init_vintf_user() */
static void viommu_data(void)
{
    struct {
        struct iommu_viommu_tegra241_cmdqv data;
        uint64_t more;
    } d = { .more = 0 };
    uint32_t ioas, parent, id;
    CtBound b;
    int fd;

    if (!ct_bound_parent(&b, CT_CMDQV, &ioas, &parent)) {
        return;
    }
    fd = b.iommufd;
    RET(-EINVAL, ct_viommu_new(fd, b.id, parent, TYPE, NULL));
    RET(-EINVAL, ct_viommu_data(fd, b.id, parent, TYPE, &d, 8, NULL));
    RET(-EFAULT, ct_viommu_data(fd, b.id, parent, TYPE, (void *)8, 16, NULL));
    RET(0, ct_viommu_data(fd, b.id, parent, TYPE, &d, sizeof(d), &id));
    EQ(PAGE0_SIZE, d.data.out_vintf_mmap_length);
    OK(d.data.out_vintf_mmap_offset);
    EQ(0, d.data.out_vintf_mmap_offset % ct_page());
    RET(0, ct_destroy(fd, id));
    d.more = 1;
    RET(-E2BIG, ct_viommu_data(fd, b.id, parent, TYPE, &d, sizeof(d), NULL));
    RET(-ENOENT, ct_viommu_data(fd, b.id, CT_NO_ID, TYPE, &d, 16, NULL));
    RET(0, ct_destroy(fd, parent));
}

/* Parents have to be of the same SMMU */
static void viommu_parent(void)
{
    struct iommu_viommu_tegra241_cmdqv data;
    CtBound c;
    Vintf v;

    if (!vintf(&v, CT_IOMMU2) ||
        !ct_bound(&c, v.vm.b.iommufd,
                  ct_device_other(v.vm.b.dev, CT_IOMMU2))) {
        return;
    }
    if (c.dev->cmdqv) {
        RET(-EINVAL, ct_viommu_data(c.iommufd, c.id, v.vm.parent, TYPE, &data,
                                    sizeof(data), NULL));
    }
}

/* There are at most 64 VINTFs, one of them the host's own */
static void vintfs_run_out(void)
{
    uint64_t offset[64];
    uint32_t id[64];
    unsigned n;
    Vintf v;
    int ret;

    if (!vintf(&v, 0)) {
        return;
    }
    offset[0] = v.vm.page0;
    for (n = 1; n < 64; n++) {
        ret = smmu_cmdqv(&v.vm, &id[n]);
        if (ret) {
            break;
        }
        offset[n] = v.vm.page0;
        for (unsigned i = 0; i < n; i++) {
            OK(offset[i] != offset[n]);
        }
    }
    RET(-ENOSPC, ret);
    ct_note("%u VINTFs for guests", n);
    if (ct.model) {
        /* The first is the host's */
        EQ(3, n);
    }
    RET(0, ct_destroy(v.vm.b.iommufd, v.vm.viommu));
    RET(0, smmu_cmdqv(&v.vm, &v.vm.viommu));
    RET(-ENOSPC, smmu_cmdqv(&v.vm, &id[0]));
    /* The other type has no VINTF */
    RET(0, ct_viommu_new(v.vm.b.iommufd, v.vm.b.id, v.vm.parent,
                         IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL));
}

/* iommufd_fops_mmap() */
static void mmap_arguments(void)
{
    const int rw = PROT_READ | PROT_WRITE;
    uint64_t at, len, page = ct_page();
    Vintf v;

    if (!vintf(&v, 0)) {
        return;
    }
    at = v.vm.page0;
    len = v.vm.page0_len;
    RET(0, map_error(&v, at, len, rw, MAP_SHARED));
    RET(0, map_error(&v, at, len, PROT_READ, MAP_SHARED));
    RET(-EINVAL, map_error(&v, at, len, rw, MAP_PRIVATE));
    RET(-EPERM, map_error(&v, at, len, rw | PROT_EXEC, MAP_SHARED));
    RET(-ENXIO, map_error(&v, at, len / 2, rw, MAP_SHARED));
    RET(-ENXIO, map_error(&v, at, len * 2, rw, MAP_SHARED));
    RET(-ENXIO, map_error(&v, at + page, len - page, rw, MAP_SHARED));
    RET(-ENXIO, map_error(&v, 0, len, rw, MAP_SHARED));
    RET(0, ct_destroy(v.vm.b.iommufd, v.vm.viommu));
    RET(-ENXIO, map_error(&v, at, len, rw, MAP_SHARED));
}

/* iommufd_vma_ops: every area is a user of the vIOMMU */
static void mmap_life(void)
{
    size_t page = ct_page(), len;
    char *two;
    Vintf v;
    int fd;

    if (!vintf(&v, 0) || !map_page0(&v)) {
        return;
    }
    fd = v.vm.b.iommufd;
    len = v.vm.page0_len;
    RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
    two = map(&v, v.vm.page0, len, PROT_READ, MAP_SHARED);
    OK(two != MAP_FAILED);
    munmap((void *)v.page0, len);
    RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
    /* What lies around a hole are two; others are put over them */
    munmap(two + 4 * page, page);
    OK(mmap(two + 5 * page, len - 5 * page, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
    munmap(two, page);
    RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
    munmap(two + page, 3 * page);
    RET(0, ct_destroy(fd, v.vm.viommu));
    munmap(two + 5 * page, len - 5 * page);

    RET(0, smmu_cmdqv(&v.vm, &v.vm.viommu));
    if (map_page0(&v)) {
        munmap((char *)v.page0, len / 2);
        RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
        munmap((char *)v.page0 + len / 2, len / 2);
        RET(0, ct_destroy(fd, v.vm.viommu));
    }
}

/* An area has the file: the VINTF is in use when that is closed */
static void mmap_file(void)
{
    uint32_t id;
    Vintf v, w;
    int ret;

    if (!vintf(&v, 0) || !map_page0(&v)) {
        return;
    }
    ct_close(v.vm.b.iommufd);
    ct_close(v.vm.b.fd);
    v.page0[PROD] = 0;
    ret = vintf(&w, 0) ? 0 : -1;
    while (!ret) {
        ret = smmu_cmdqv(&w.vm, &id);
    }
    RET(-ENOSPC, ret);
    munmap((void *)v.page0, v.vm.page0_len);
    RET(0, smmu_cmdqv(&w.vm, &id));
}

/* tegra241_vintf_init_vsid() */
static void labels(void)
{
    uint32_t id;
    Vintf v;
    int fd;

    if (!vintf(&v, 0)) {
        return;
    }
    fd = v.vm.b.iommufd;
    RET(-EINVAL, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, 1 << 20, NULL));
    RET(-EINVAL, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, UINT32_MAX, NULL));
    RET(0, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, (1 << 20) - 1, &id));
    RET(-EEXIST, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, 1 << 20, NULL));
    RET(0, ct_destroy(fd, id));
    RET(0, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, 0, &id));
}

static void labels_run_out(void)
{
    unsigned n = 1, max;
    CtBound c[CT_MAX_DEVICES];
    uint32_t first;
    Vintf v;

    if (!vintf(&v, CT_DEV2)) {
        return;
    }
    max = 1u << v.vm.b.dev->log2vsids;
    RET(0, ct_vdevice(v.vm.b.iommufd, v.vm.viommu, v.vm.b.id, 0, &first));
    for (unsigned i = 0; i < ct.nr_dev && n <= max; i++) {
        const CtDevice *d = &ct.dev[i];

        if (d == v.vm.b.dev || strcmp(d->iommu, v.vm.b.dev->iommu) ||
            !ct_bound(&c[n], v.vm.b.iommufd, d)) {
            continue;
        }
        RET(n < max ? 0 : -ENOSPC,
            ct_vdevice(v.vm.b.iommufd, v.vm.viommu, c[n].id, n, NULL));
        n++;
    }
    if (n <= max) {
        ct_note("%u devices, %u StreamIDs", n, max);
        return;
    }
    /* As everywhere, a label that is taken is found before that */
    RET(-EEXIST, ct_vdevice(v.vm.b.iommufd, v.vm.viommu, c[max].id, 0, NULL));
    RET(0, ct_destroy(v.vm.b.iommufd, first));
    RET(0, ct_vdevice(v.vm.b.iommufd, v.vm.viommu, c[max].id, 0, NULL));
}

/* iommufd_hw_queue_alloc_ioctl(), tegra241_vintf_alloc_lvcmdq_user() */
static void queue_arguments(void)
{
    const uint64_t hole = IOVA + 16 * 4096;
    uint32_t plain, id, max;
    Vintf v;
    int fd;

    if (!vintf(&v, 0)) {
        return;
    }
    fd = v.vm.b.iommufd;
    max = 1u << v.vm.b.dev->log2vcmdqs;
    RET(0, ct_viommu_new(fd, v.vm.b.id, v.vm.parent,
                         IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &plain));
    RET(-EOPNOTSUPP, ct_hw_queue(fd, plain, QTYPE, 0, IOVA, 4096, NULL));
    RET(-EOPNOTSUPP, ct_hw_queue(fd, v.vm.viommu, 77, 0, IOVA, 4096, NULL));
    /* Memory is looked at first */
    RET(-ENOENT, queue(&v, max, hole, 4096, NULL));
    RET(-ENOENT, queue(&v, 0, hole - 4096, 8192, NULL));
    RET(-ENOENT, queue(&v, 0, 0, 4096, NULL));
    RET(-EINVAL, queue(&v, max, IOVA, 4096, NULL));
    RET(-EIO, queue(&v, 1, IOVA, 4096, NULL));
    RET(-EINVAL, queue(&v, 0, IOVA, 16, NULL));
    RET(-EINVAL, queue(&v, 0, IOVA, 48, NULL));
    RET(-EINVAL, queue(&v, 0, IOVA, 4095, NULL));
    RET(-EINVAL, queue(&v, 0, IOVA + 32, 64, NULL));
    RET(-EINVAL, queue(&v, 0, IOVA + 16, 32, NULL));
    RET(0, queue(&v, 0, IOVA + 64, 64, &id));
    RET(-EEXIST, queue(&v, 0, IOVA, 4096, NULL));
    RET(0, ct_destroy(fd, id));
    RET(0, queue(&v, 0, IOVA, 32, NULL));
}

/* iommufd_hw_queue_alloc_phys(): physical addresses have to be in a row */
static void queue_memory(void)
{
    size_t page = ct_page();
    const uint64_t where = IOVA + 0x1000000;
    int mem = memfd_create("queue", 0);
    uint32_t id;
    char *two;
    Vintf v;

    if (!vintf(&v, 0) || !RET(0, ftruncate(mem, page))) {
        close(mem);
        return;
    }
    /* The same page twice */
    two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
    OK(two != MAP_FAILED);
    for (unsigned i = 0; i < 2; i++) {
        OK(mmap(two + i * page, page, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED, mem, 0) != MAP_FAILED);
        RET(0, ct_map(v.vm.b.iommufd, v.vm.ioas, two, page, where + i * page,
                      CT_RW | CT_FIXED));
    }
    RET(-EFAULT, queue(&v, 0, where, 2 * page, NULL));
    RET(0, queue(&v, 0, where + page, page, &id));
    RET(0, ct_destroy(v.vm.b.iommufd, id));
    RET(0, ct_map(v.vm.b.iommufd, v.vm.ioas, two, page, where + 4 * page,
                  IOMMU_IOAS_MAP_WRITEABLE | CT_FIXED));
    RET(-EPERM, queue(&v, 0, where + 4 * page, page, NULL));
    RET(0, ct_map(v.vm.b.iommufd, v.vm.ioas, two, page, where + 5 * page,
                  IOMMU_IOAS_MAP_READABLE | CT_FIXED));
    RET(0, queue(&v, 0, where + 5 * page, page, NULL));
    munmap(two, 2 * page);
    close(mem);
}

/* References: queue -> queue before it, vIOMMU, memory */
static void queue_order(void)
{
    uint32_t id[2];
    uint64_t gone;
    Vintf v;
    int fd;

    if (!vintf(&v, 0)) {
        return;
    }
    fd = v.vm.b.iommufd;
    if (!v.vm.b.dev->log2vcmdqs) {
        ct_note("one queue for a VINTF");
        return;
    }
    RET(0, queue(&v, 0, IOVA, 4096, &id[0]));
    RET(0, queue(&v, 1, IOVA, 2048, &id[1]));
    RET(-EBUSY, ct_destroy(fd, v.vm.viommu));
    RET(-EBUSY, ct_destroy(fd, id[0]));
    RET(0, ct_destroy(fd, id[1]));
    RET(0, queue(&v, 1, IOVA + 4096, 4096, &id[1]));
    /* In part or as a whole */
    RET(-EBUSY, ct_unmap(fd, v.vm.ioas, IOVA, 4096, &gone));
    RET(-EBUSY, ct_unmap(fd, v.vm.ioas, IOVA, 16 * 4096, &gone));
    RET(-EBUSY, ct_unmap(fd, v.vm.ioas, 0, UINT64_MAX, &gone));
    RET(0, ct_destroy(fd, id[1]));
    RET(-EBUSY, ct_unmap(fd, v.vm.ioas, IOVA, 16 * 4096, &gone));
    RET(0, ct_destroy(fd, id[0]));
    RET(-ENOENT, ct_unmap(fd, v.vm.ioas, IOVA, 4096, &gone));
    RET(0, ct_unmap(fd, v.vm.ioas, IOVA, 16 * 4096, &gone));
    RET(0, ct_destroy(fd, v.vm.viommu));
}

/* The device does not matter to it */
static void device_goes_first(void)
{
    uint32_t id;
    Vintf v;

    if (!vintf(&v, 0)) {
        return;
    }
    RET(0, ct_vdevice(v.vm.b.iommufd, v.vm.viommu, v.vm.b.id, 5, NULL));
    RET(0, queue(&v, 0, IOVA, 4096, &id));
    ct_close(v.vm.b.fd);
    RET(-EBUSY, ct_destroy(v.vm.b.iommufd, v.vm.viommu));
    RET(0, ct_destroy(v.vm.b.iommufd, id));
    RET(0, ct_destroy(v.vm.b.iommufd, v.vm.viommu));
}

/* What is left to the kernel is as in the other type */
static void other_commands(void)
{
    uint64_t cmd[2] = { CMD_TLBI_NSNH_ALL, 0 };
    uint32_t id, nr = 1;
    Vintf v;
    int fd;

    if (!vintf(&v, 0)) {
        return;
    }
    fd = v.vm.b.iommufd;
    RET(0, ct_vdevice(fd, v.vm.viommu, v.vm.b.id, 5, NULL));
    RET(0, ct_ste(fd, v.vm.b.id, v.vm.viommu, STE0_BYPASS, 0, &id));
    RET(0, ct_attach(&v.vm.b, id));
    RET(0, ct_invalidate(fd, v.vm.viommu,
                         IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, cmd,
                         sizeof(cmd), &nr));
    EQ(1, nr);
}

/* ------------------------------------------------------ a queue that runs */

static Reg *regs(const Vintf *v, unsigned index)
{
    return v->page0 + index * 0x80 / 4;
}

static void kick(void)
{
    if (ct.model) {
        ct_model("{\"cmd\":\"cmdqv-kick\"}");
    } else {
        usleep(1000);
    }
}

static bool comes(Reg *reg, uint32_t value)
{
    for (unsigned i = 0; i < 1000 && *reg != value; i++) {
        kick();
    }
    return EQ(value, *reg);
}

static void push(Vintf *v, unsigned at, uint64_t word0, uint64_t word1)
{
    v->mem[at * 2] = word0;
    v->mem[at * 2 + 1] = word1;
}

static bool running(Vintf *v, uint64_t len)
{
    if (!vintf(v, 0) || !map_page0(v) ||
        !RET(0, queue(v, 0, IOVA, len, NULL))) {
        return false;
    }
    EQ(0, regs(v, 0)[STATUS]);
    regs(v, 0)[CONFIG] = 1;
    return comes(&regs(v, 0)[STATUS], 1);
}

static void commands(void)
{
    Reg *r;
    Vintf v;

    if (!running(&v, 64)) {
        return;
    }
    r = regs(&v, 0);
    RET(0, ct_vdevice(v.vm.b.iommufd, v.vm.viommu, v.vm.b.id, 5, NULL));
    push(&v, 0, CMD_TLBI_NH_ASID | 3ull << 48, 0);
    push(&v, 1, CMD_TLBI_NH_VA | 3ull << 48, 0x1000);
    push(&v, 2, CMD_SYNC, 0);
    r[PROD] = 3;
    comes(&r[CONS], 3);
    /* Round the end: index and wrap bit */
    push(&v, 3, CMD_TLBI_NH_ASID, 0);
    push(&v, 0, CMD_SYNC, 0);
    r[PROD] = 5;
    comes(&r[CONS], 5);
    if (v.vm.b.dev->ats) {
        push(&v, 1, CMD_ATC_INV | 5ull << 32, 52);
        push(&v, 2, CMD_SYNC, 0);
        r[PROD] = 7;
        comes(&r[CONS], 7);
    }
    EQ(r[GERRORN], r[GERROR]);
    r[CONFIG] = 0;
    comes(&r[STATUS], 0);
    munmap((void *)v.page0, v.vm.page0_len);
}

/* What guests may not say stops the queue, and is told in a vEVENT */
static void errors(void)
{
    static const uint64_t bad[] = {
        CMD_CFGI_STE, CMD_CFGI_CD, CMD_TLBI_NH_ALL, CMD_TLBI_NH_VAA,
        CMD_TLBI_NSNH_ALL, CMD_TLBI_S12_VMALL, CMD_TLBI_S2_IPA,
        CMD_ATC_INV | 0x77ull << 32, CMD_SYNC | 1 << 12,
    };
    struct {
        struct iommufd_vevent_header head;
        struct iommu_vevent_tegra241_cmdqv event;
    } e;
    Reg *r;
    uint32_t seq = 0, id;
    Vintf v;
    int q;

    if (!running(&v, 4096) ||
        !RET(0, ct_veventq_new(v.vm.b.iommufd, v.vm.viommu,
                               IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 16, &id,
                               &q))) {
        return;
    }
    r = regs(&v, 0);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        push(&v, i, bad[i], 0);
        r[PROD] = i + 1;
        comes(&r[CONS], i | ERR_ILL << 24);
        EQ(1, (r[GERROR] ^ r[GERRORN]) & 1);
        EQ(POLLIN, ct_poll(q, POLLIN, 1000));
        RET(sizeof(e), ct_read(q, &e, sizeof(e)));
        EQ(seq++, e.head.sequence);
        EQ(1, e.event.lvcmdq_err_map[0]);
        EQ(0, e.event.lvcmdq_err_map[1]);
        RET(0, ct_read(q, &e, sizeof(e)));
        push(&v, i, CMD_SYNC, 0);
        r[GERRORN] = r[GERROR];
        for (unsigned n = 0; n < 1000 && (r[CONS] & 0xfffff) != i + 1; n++) {
            kick();
        }
        EQ(i + 1, r[CONS] & 0xfffff);
    }
    munmap((void *)v.page0, v.vm.page0_len);
}

/* The model alone says what its hardware has cached */
static void effects(void)
{
    const uint64_t at = 0x80000;
    Reg *r;
    Stage1 s;
    Vintf v;

    if (!s1_open(&s, CT_CMDQV | CT_ATS)) {
        return;
    }
    v.vm = s.vm;
    v.mem = (uint64_t *)(s.ram + at);
    if (!map_page0(&v) || !RET(0, queue(&v, 0, at, 4096, NULL))) {
        return;
    }
    r = regs(&v, 0);
    r[CONFIG] = 1;
    s1_map(&s, 0, FS_GPA(0));
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    s1_map(&s, 0, FS_GPA(2));
    push(&v, 0, CMD_TLBI_NH_VA | (CD_ASID + 1) << 48, FS_IOVA | 1);
    r[PROD] = 1;
    comes(&r[CONS], 1);
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    /* The VMID is the parent's, whatever is given */
    push(&v, 1, CMD_TLBI_NH_VA | CD_ASID << 48 | 0xffffull << 32, FS_IOVA | 1);
    r[PROD] = 2;
    EQ(0x1000, dma_read(&s.vm.b, FS_IOVA));
    comes(&r[CONS], 2);
    EQ(0x1002, dma_read(&s.vm.b, FS_IOVA));

    /* A device that does not answer: the CMD_SYNC tells, and then is done */
    OK(ct_json_true(ct_model("{\"cmd\":\"atc-hang\",\"dev\":\"%s\"}",
                             s.vm.b.dev->bdf), "ok"));
    push(&v, 2, CMD_ATC_INV | (uint64_t)SMMU_VSID << 32, 52);
    push(&v, 3, CMD_SYNC, 0);
    r[PROD] = 4;
    comes(&r[CONS], 3 | ERR_ATC_INV_SYNC << 24);
    OK(ct_json_true(ct_model("{\"cmd\":\"atc-hang\",\"dev\":\"%s\","
                             "\"on\":false}", s.vm.b.dev->bdf), "ok"));
    r[GERRORN] = r[GERROR];
    comes(&r[CONS], 4);
    munmap((void *)v.page0, v.vm.page0_len);
}

static const CtScenario scenarios[] = {
    { "hardware information", hw_info, CT_DEV | CT_SMMUV3 | CT_CMDQV },
    { "vIOMMU: its data", viommu_data, NEEDS },
    { "vIOMMU: a parent of another SMMU", viommu_parent, NEEDS | CT_IOMMU2 },
    { "vIOMMU: VINTFs run out", vintfs_run_out, NEEDS },
    { "mmap: arguments", mmap_arguments, NEEDS },
    { "mmap: life time", mmap_life, NEEDS },
    { "mmap: the file is closed", mmap_file, NEEDS },
    { "vDEVICE: labels", labels, NEEDS },
    { "vDEVICE: StreamIDs run out", labels_run_out, NEEDS | CT_DEV2 },
    { "queue: arguments", queue_arguments, NEEDS },
    { "queue: memory", queue_memory, NEEDS },
    { "queue: order", queue_order, NEEDS },
    { "queue: the device goes first", device_goes_first, NEEDS },
    { "stage 1 and invalidations by calls", other_commands, NEEDS },
    { "commands", commands, NEEDS },
    { "errors", errors, NEEDS },
    { "effects", effects, NEEDS | CT_ATS | CT_MODEL },
};

CT_GROUP(ct_group_cmdqv, "cmdqv");
