/*
 * Model of /dev/iommu: BARs as dma-bufs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules follow Linux 7.3: drivers/vfio/pci/vfio_pci_dmabuf.c (who may have one,
 * and when it is revoked), and iopt_map_dmabuf() and iopt_revoke_notify() of
 * drivers/iommu/iommufd/pages.c (what a mapping loses then, for good).
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw-priv.h"
#include "iova.h"
#include "uapi-extra.h"

#define MAX_RANGES  4096

struct MdlDmabuf {
    unsigned refs;                      /* of its file, and of mappings */
    MdlDevice *dev;                     /* NULL: it has been closed */
    unsigned region;
    struct mdl_region_dma_range *range;
    uint32_t nr_ranges;
    uint64_t size;
    bool revoked;
    MdlDmabuf *next;
};

static MdlDmabuf *dmabufs;

static void dmabuf_put(MdlDmabuf *d)
{
    MdlDmabuf **p = &dmabufs;

    if (--d->refs) {
        return;
    }
    while (*p != d) {
        p = &(*p)->next;
    }
    *p = d->next;
    free(d->range);
    free(d);
}

void mdl_dmabuf_put(MdlDmabuf *d)
{
    dmabuf_put(d);
}

/* vfio_pci_dma_buf_move() */
void mdl_dmabuf_move(MdlDevice *dev, bool revoked)
{
    MdlDmabuf *d;

    for (d = dmabufs; d; d = d->next) {
        if (d->dev == dev && d->revoked != revoked) {
            d->revoked = revoked;
            mdl_journal("dma-buf", "\"dev\":\"%s\",\"region\":%u,"
                        "\"revoked\":%s", dev->bdf, d->region,
                        revoked ? "true" : "false");
            mdl_iova_revoke(d);
        }
    }
}

/* vfio_pci_dma_buf_cleanup() */
void mdl_dmabuf_cleanup(MdlDevice *dev)
{
    MdlDmabuf *d;

    mdl_dmabuf_move(dev, true);
    for (d = dmabufs; d; d = d->next) {
        if (d->dev == dev) {
            d->dev = NULL;
        }
    }
}

/* ---------------------------------------------------------------- the file */

/* validate_dmabuf_input(), vfio_pci_core_fill_phys_vec() */
static int check_ranges(MdlDmabuf *d, uint64_t bar_size)
{
    uint32_t i;

    for (i = 0; i < d->nr_ranges; i++) {
        const struct mdl_region_dma_range *r = &d->range[i];

        if (!r->length || r->offset % mdl_host.page_size ||
            r->length % mdl_host.page_size ||
            __builtin_add_overflow(d->size, r->length, &d->size)) {
            return -EINVAL;
        }
    }
    /* DMA_IOVA_USE_SWIOTLB */
    if (d->size >> 63) {
        return -EINVAL;
    }
    for (i = 0; i < d->nr_ranges; i++) {
        const struct mdl_region_dma_range *r = &d->range[i];
        uint64_t end;

        if (__builtin_add_overflow(r->offset, r->length, &end)) {
            return -EOVERFLOW;
        }
        if (end > bar_size) {
            return -EINVAL;
        }
    }
    return 0;
}

static int dmabuf_file(MdlDmabuf *d, uint32_t open_flags)
{
    MdlFile *file = calloc(1, sizeof(*file));
    int fd = memfd_create("iommufd-model-dmabuf",
                          open_flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

    if (!file) {
        abort();
    }
    if (fd < 0) {
        free(file);
        return -errno;
    }
    file->kind = MDL_FILE_DMABUF;
    file->dmabuf = d;
    mdl_fd_install(fd, file);
    return fd;
}

/* vfio_pci_core_feature_dma_buf(), behind vfio_check_feature() */
int mdl_dmabuf_get(MdlDevice *dev, const void *uptr)
{
    struct mdl_feature_dma_buf arg;
    uint64_t size = 0;
    uint32_t flags;
    MdlDmabuf *d;
    size_t bytes;
    int ret;

    if (mdl_copy_from(&arg, uptr, sizeof(arg))) {
        return -EFAULT;
    }
    if (!arg.nr_ranges || arg.flags) {
        return -EINVAL;
    }
    if (arg.region_index >= VFIO_PCI_ROM_REGION_INDEX ||
        ep_region_info(dev, arg.region_index, &size, &flags) || !size) {
        return -ENODEV;
    }
    if (arg.nr_ranges > MAX_RANGES) {
        return -ENOMEM;
    }
    bytes = arg.nr_ranges * sizeof(*d->range);
    d = calloc(1, sizeof(*d));
    if (!d) {
        abort();
    }
    d->range = malloc(bytes);
    if (!d->range) {
        abort();
    }
    d->refs = 1;
    d->dev = dev;
    d->region = arg.region_index;
    d->nr_ranges = arg.nr_ranges;
    d->next = dmabufs;
    dmabufs = d;
    ret = mdl_copy_from(d->range, (const char *)uptr + sizeof(arg), bytes);
    if (!ret) {
        ret = check_ranges(d, size);
    }
    if (!ret) {
        d->revoked = !ep_bars_on(dev);
        ret = dmabuf_file(d, arg.open_flags);
    }
    if (ret < 0) {
        dmabuf_put(d);
    }
    return ret;
}

MdlDmabuf *mdl_dmabuf_of(int fd)
{
    MdlFile *file = mdl_fd_file(fd);

    return file && file->kind == MDL_FILE_DMABUF ? file->dmabuf : NULL;
}

/* ----------------------------------------------------------- its mappings */

/* iopt_alloc_dmabuf_pages() */
int mdl_dmabuf_map(MdlDmabuf *d, uint64_t start, uint64_t length)
{
    if (d->size <= start + length - 1) {
        return -EINVAL;
    }
    if (d->revoked) {
        return -ENODEV;
    }
    if (d->nr_ranges != 1) {
        return -EOPNOTSUPP;
    }
    d->refs++;
    return 0;
}

int mdl_dmabuf_rw(MdlDmabuf *d, uint64_t offset, void *buf, size_t len,
                  bool write)
{
    if (d->revoked || !d->dev) {
        return -EFAULT;
    }
    return ep_bar_dma(d->dev, d->region, d->range->offset + offset, buf, len,
                      write);
}
