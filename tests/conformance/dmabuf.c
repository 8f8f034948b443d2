/*
 * Conformance of /dev/iommu: BARs as dma-bufs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nothing is written to a BAR but what another device writes, to memory.
 */

#include <endian.h>
#include <fcntl.h>
#include <unistd.h>
#include "conformance.h"
#include "dma.h"

#define COMMAND     4
#define MEMORY      (1u << 1)
#define BUS_MASTER  (1u << 2)
#define MAX_RANGES  2

/* The simple block of an sva-engine: docs/specs/sva-engine.rst */
#define ENGINE_ADDRESS  0x0
#define ENGINE_COMMAND  0x8
#define ENGINE_RESULT   0xc
#define ENGINE_RUN      (1u << 0)
#define ENGINE_READ     (1u << 1)
#define ENGINE_OK       1

/* IOVAs, and where in a page the word is */
#define PEER    GIB
#define OWN     (2 * GIB)
#define WORD    0x800

typedef struct Feature {
    struct vfio_device_feature f;
    struct ct_feature_dma_buf b;
    struct ct_region_dma_range range[MAX_RANGES];
} Feature;

static int get(int fd, uint32_t index, uint32_t nr, uint64_t offset,
               uint64_t length)
{
    Feature d = {
        .f.argsz = sizeof(d),
        .f.flags = VFIO_DEVICE_FEATURE_GET | CT_VFIO_FEATURE_DMA_BUF,
        .b.region_index = index,
        .b.open_flags = O_CLOEXEC,
        .b.nr_ranges = nr,
        .range = { { offset, length }, { offset, length } },
    };

    return ct_ioctl(fd, VFIO_DEVICE_FEATURE, &d.f);
}

static int dmabuf_of(const CtBound *b, uint32_t bar, uint32_t nr)
{
    int fd = get(b->fd, bar, nr, 0, ct_page());

    OK(fd >= 0);
    return fd < 0 ? fd : ct_keep_fd(fd);
}

/* One page of the BAR, or as often as @nr says; kept until the scenario ends */
static int dmabuf(const CtBound *b, uint32_t nr)
{
    return dmabuf_of(b, b->dev->bar, nr);
}

static int map(int fd, uint32_t ioas, int dfd, uint64_t start, uint64_t len,
               uint64_t iova)
{
    struct iommu_ioas_map_file cmd = {
        .size = sizeof(cmd),
        .flags = CT_RW | CT_FIXED,
        .ioas_id = ioas,
        .fd = dfd,
        .start = start,
        .length = len,
        .iova = iova,
    };

    return ct_ioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static void unmap(int fd, uint32_t ioas, uint64_t iova)
{
    uint64_t done = 0;

    RET(0, ct_unmap(fd, ioas, iova, ct_page(), &done));
    EQ(ct_page(), done);
}

static void command(const CtBound *b, uint16_t clear, uint16_t set)
{
    uint64_t at = ct_region_offset(b, VFIO_PCI_CONFIG_REGION_INDEX) + COMMAND;
    uint16_t word = 0;

    RET(2, ct_pread(b->fd, &word, 2, at));
    word = htole16((le16toh(word) & ~clear) | set);
    RET(2, ct_pwrite(b->fd, &word, 2, at));
}

/* vfio_check_feature(), vfio_pci_core_feature_dma_buf() */
static void arguments(void)
{
    Feature d = { .f.argsz = sizeof(d) };
    uint64_t page = ct_page();
    uint32_t bar;
    CtBound b;

    if (!ct_bound_new(&b, CT_DMABUF)) {
        return;
    }
    bar = b.dev->bar;
    d.f.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
                CT_VFIO_FEATURE_DMA_BUF;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_SET | CT_VFIO_FEATURE_DMA_BUF;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_GET | CT_VFIO_FEATURE_DMA_BUF;
    d.f.argsz = sizeof(d.f) + sizeof(d.b) - 1;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.argsz = sizeof(d);
    d.b = (struct ct_feature_dma_buf) {
        .region_index = bar, .flags = 1, .nr_ranges = 1,
    };
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));

    RET(-EINVAL, get(b.fd, bar, 0, 0, page));
    RET(-ENODEV, get(b.fd, VFIO_PCI_ROM_REGION_INDEX, 1, 0, page));
    RET(-ENODEV, get(b.fd, VFIO_PCI_CONFIG_REGION_INDEX, 1, 0, page));
    RET(-ENODEV, get(b.fd, 99, 1, 0, page));
    RET(-EINVAL, get(b.fd, bar, 1, 0, 0));
    RET(-EINVAL, get(b.fd, bar, 1, 0, page / 2));
    RET(-EINVAL, get(b.fd, bar, 1, page / 2, page));
    RET(-EINVAL, get(b.fd, bar, 1, 0, 1ull << 62));
    /* Twice that is DMA_IOVA_USE_SWIOTLB, and four times is 0 */
    RET(-EINVAL, get(b.fd, bar, 2, 0, 1ull << 62));
    RET(-EINVAL, get(b.fd, bar, 2, 0, 1ull << 63));
    RET(-EOVERFLOW, get(b.fd, bar, 1, -page, page));
    dmabuf(&b, 1);
    dmabuf(&b, 2);
}

/* iopt_map_file_pages(), iopt_alloc_dmabuf_pages() */
static void mapping(bool attached)
{
    uint64_t page = ct_page(), iova = 3 * GIB;
    uint32_t ioas, other;
    int one, two;
    CtBound b;

    if (!ct_bound_new(&b, CT_DMABUF)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    if (attached) {
        RET(0, ct_attach(&b, ioas));
    }
    one = dmabuf(&b, 1);
    two = dmabuf(&b, 2);
    RET(0, map(b.iommufd, ioas, one, 0, page, GIB));
    RET(-EEXIST, map(b.iommufd, ioas, one, 0, page, GIB));
    RET(-EINVAL, map(b.iommufd, ioas, one, 0, 2 * page, 2 * GIB));
    RET(-EINVAL, map(b.iommufd, ioas, one, page, page, 2 * GIB));
    RET(-EINVAL, map(b.iommufd, ioas, one, 0, 0, 2 * GIB));
    RET(-EOPNOTSUPP, map(b.iommufd, ioas, two, 0, page, 2 * GIB));
    /* No fd of an iommufd's own, and as often as one likes */
    RET(0, map(b.iommufd, ioas, one, 0, page, 2 * GIB));
    RET(0, ct_copy_map(b.iommufd, other, ioas, page, &iova, GIB,
                       CT_RW | CT_FIXED));
    unmap(b.iommufd, ioas, GIB);
    unmap(b.iommufd, ioas, 2 * GIB);
    unmap(b.iommufd, other, 3 * GIB);
}

static void map_alone(void)
{
    mapping(false);
}

static void map_attached(void)
{
    mapping(true);
}

/* iommufd_ioas_change_process() wants files, and this is none to it */
static void change_process(void)
{
    struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
    uint32_t ioas;
    CtBound b;

    if (!ct_bound_new(&b, CT_DMABUF)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_ioctl(b.iommufd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
    RET(0, map(b.iommufd, ioas, dmabuf(&b, 1), 0, ct_page(), GIB));
    RET(-EINVAL, ct_ioctl(b.iommufd, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
}

/*
 * vfio_pci_dma_buf_move(): mapped while memory is on. The mapping that there
 * was is still an area, and stays empty: iopt_revoke_notify().
 */
static void memory_off(void)
{
    uint32_t ioas, other;
    uint64_t page = ct_page(), iova = GIB;
    CtBound b;
    int fd, late;

    if (!ct_bound_new(&b, CT_DMABUF)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    other = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    fd = dmabuf(&b, 1);
    RET(0, map(b.iommufd, ioas, fd, 0, page, GIB));
    command(&b, MEMORY, 0);
    /* One may be made, and be of use later */
    late = dmabuf(&b, 1);
    if (!b.dev->virtfn) {
        RET(-ENODEV, map(b.iommufd, ioas, fd, 0, page, 2 * GIB));
        RET(-ENODEV, map(b.iommufd, ioas, late, 0, page, 2 * GIB));
    }
    /* What is empty is copied as well as anything */
    RET(0, ct_copy_map(b.iommufd, other, ioas, page, &iova, GIB,
                       CT_RW | CT_FIXED));
    command(&b, 0, MEMORY);
    RET(0, map(b.iommufd, ioas, fd, 0, page, 2 * GIB));
    RET(0, map(b.iommufd, ioas, late, 0, page, 3 * GIB));
    RET(-EEXIST, map(b.iommufd, ioas, fd, 0, page, GIB));
    unmap(b.iommufd, ioas, GIB);
    unmap(b.iommufd, other, GIB);
    RET(0, map(b.iommufd, ioas, fd, 0, page, GIB));
}

/* vfio_pci_ioctl_reset(): revoked, and allowed again at the end */
static void reset(void)
{
    uint32_t ioas;
    CtBound b;
    int fd;

    if (!ct_bound_new(&b, CT_DMABUF | CT_RESET)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_attach(&b, ioas));
    fd = dmabuf(&b, 1);
    RET(0, map(b.iommufd, ioas, fd, 0, ct_page(), GIB));
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_RESET, NULL));
    RET(-EEXIST, map(b.iommufd, ioas, fd, 0, ct_page(), GIB));
    RET(0, map(b.iommufd, ioas, fd, 0, ct_page(), 2 * GIB));
    unmap(b.iommufd, ioas, GIB);
    unmap(b.iommufd, ioas, 2 * GIB);
}

/* vfio_pci_dma_buf_cleanup(): the file outlives the device, and is no use */
static void closed(void)
{
    int other = ct_open_iommufd();
    uint32_t ioas = ct_ioas(other);
    CtBound b;
    int fd;

    if (!ct_bound_new(&b, CT_DMABUF)) {
        return;
    }
    fd = dmabuf(&b, 1);
    /* Of another iommufd than the device's */
    RET(0, map(other, ioas, fd, 0, ct_page(), GIB));
    ct_close(b.fd);
    RET(-ENODEV, map(other, ioas, fd, 0, ct_page(), 2 * GIB));
    unmap(other, ioas, GIB);
}

typedef struct Peers {
    CtBound a, b;               /* @a reaches the memory of @b */
    uint32_t ioas;
    uint64_t bar;               /* in the file of @b */
    uint8_t *own;               /* memory that @a reaches as well */
    int fd;
} Peers;

static bool peers_open(Peers *p)
{
    const CtDevice *dev, *other;

    if (!OK(ct_peers(&dev, &other)) ||
        !ct_bound(&p->b, ct_open_iommufd(), other) ||
        !ct_bound(&p->a, ct_open_iommufd(), dev)) {
        return false;
    }
    p->ioas = ct_ioas(p->a.iommufd);
    p->own = ct_mem(ct_page());
    RET(0, ct_map(p->a.iommufd, p->ioas, p->own, ct_page(), OWN,
                  CT_RW | CT_FIXED));
    RET(0, ct_attach(&p->a, p->ioas));
    command(&p->a, 0, MEMORY | BUS_MASTER);
    command(&p->b, 0, MEMORY);
    p->bar = ct_region_offset(&p->b, other->memory);
    p->fd = dmabuf_of(&p->b, other->memory, 1);
    return RET(0, map(p->a.iommufd, p->ioas, p->fd, 0, ct_page(), PEER));
}

static uint32_t bar_word(const Peers *p)
{
    uint8_t word[4] = {};

    RET(4, ct_pread(p->b.fd, word, 4, p->bar + WORD));
    return get_be(word);
}

/* The engine's buffer is filled from @iova on, or emptied there */
static bool engine_move(const CtBound *b, uint64_t iova, uint32_t read)
{
    uint64_t at = ct_region_offset(b, VFIO_PCI_BAR0_REGION_INDEX);
    uint32_t word = htole32(ENGINE_RUN | read);

    iova = htole64(iova);
    RET(8, ct_pwrite(b->fd, &iova, 8, at + ENGINE_ADDRESS));
    RET(4, ct_pwrite(b->fd, &word, 4, at + ENGINE_COMMAND));
    for (unsigned i = 0; le32toh(word) & ENGINE_RUN && i < 10000; i++) {
        usleep(1000);
        RET(4, ct_pread(b->fd, &word, 4, at + ENGINE_COMMAND));
    }
    RET(4, ct_pread(b->fd, &word, 4, at + ENGINE_RESULT));
    return le32toh(word) == ENGINE_OK;
}

static bool peer_write(const Peers *p, uint32_t data)
{
    if (ct.model) {
        return dma_write(&p->a, PEER + WORD, data);
    }
    put_be(p->own + WORD, data);
    return engine_move(&p->a, OWN, ENGINE_READ) &&
           engine_move(&p->a, PEER, 0);
}

static int64_t peer_read(const Peers *p)
{
    if (ct.model) {
        return dma_read(&p->a, PEER + WORD);
    }
    return engine_move(&p->a, PEER, ENGINE_READ) &&
           engine_move(&p->a, OWN, 0) ? (int64_t)get_be(p->own + WORD) : -1;
}

/* Another device, of another iommufd, reaches what is mapped */
static void peer(void)
{
    Peers p;

    if (!peers_open(&p)) {
        return;
    }
    OK(peer_write(&p, 0x11223344));
    EQ(0x11223344, bar_word(&p));
    EQ(0x11223344, peer_read(&p));
    command(&p.b, MEMORY, 0);
    EQ(-1, peer_read(&p));
    OK(!peer_write(&p, 0x55667788));
    command(&p.b, 0, MEMORY);
    /* For good */
    EQ(-1, peer_read(&p));
    EQ(0x11223344, bar_word(&p));
    unmap(p.a.iommufd, p.ioas, PEER);
    EQ(-1, peer_read(&p));
    RET(0, map(p.a.iommufd, p.ioas, p.fd, 0, ct_page(), PEER));
    EQ(0x11223344, peer_read(&p));
    ct_close(p.b.fd);
    EQ(-1, peer_read(&p));
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, CT_DMABUF },
    { "mapping, nothing attached", map_alone, CT_DMABUF },
    { "mapping, attached", map_attached, CT_DMABUF },
    { "another process", change_process, CT_DMABUF },
    { "memory is switched off", memory_off, CT_DMABUF },
    { "reset", reset, CT_DMABUF | CT_RESET },
    { "the device is closed", closed, CT_DMABUF },
    { "peer-to-peer", peer, CT_PEER },
};

CT_GROUP(ct_group_dmabuf, "dma-buf");
