/*
 * Model of /dev/iommu: the IOAS ioctls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3, drivers/iommu/iommufd/ioas.c
 * and io_pagetable.c.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include "iova.h"
#include "uapi-extra.h"

#define MAP_FLAGS   (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | \
                     IOMMU_IOAS_MAP_READABLE)
#define MAP_PROT    (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

static MdlIoas *get_ioas(MdlCmd *cmd, uint32_t id)
{
    return (MdlIoas *)mdl_obj_get(cmd->ctx, id, MDL_OBJ_IOAS);
}

int mdl_cmd_ioas_alloc(MdlCmd *cmd)
{
    struct iommu_ioas_alloc *arg = cmd->arg;
    MdlIoas *ioas;
    int ret;

    if (arg->flags) {
        return -EOPNOTSUPP;
    }
    ioas = calloc(1, sizeof(*ioas));
    if (!ioas) {
        return -ENOMEM;
    }
    ioas->iova = mdl_iova_new();
    mdl_obj_add(cmd->ctx, &ioas->obj, MDL_OBJ_IOAS);
    arg->out_ioas_id = ioas->obj.id;
    mdl_cmd_note(cmd, "\"id\":%u", ioas->obj.id);
    ret = mdl_cmd_respond(cmd);
    if (ret) {
        mdl_obj_destroy(&ioas->obj);
    }
    return ret;
}

/* Called with the object out of the table; the caller frees it */
void mdl_ioas_destroy(MdlIoas *ioas)
{
    mdl_iova_free(ioas->iova);
}

int mdl_cmd_ioas_iova_ranges(MdlCmd *cmd)
{
    struct iommu_ioas_iova_ranges *arg = cmd->arg;
    struct iommu_iova_range *out, elm;
    uint64_t first = 0, hole, last;
    MdlIoas *ioas;
    uint32_t max;
    int ret;

    mdl_cmd_note(cmd, "\"ioas\":%u", arg->ioas_id);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    ioas = get_ioas(cmd, arg->ioas_id);
    if (!ioas) {
        return -ENOENT;
    }
    max = arg->num_iovas;
    out = (void *)(uintptr_t)arg->allowed_iovas;
    arg->num_iovas = 0;
    arg->out_iova_alignment = ioas->iova->alignment;
    while (mdl_iova_next_hole(ioas->iova, false, first, UINT64_MAX, &hole,
                              &last)) {
        if (arg->num_iovas < max) {
            elm.start = hole;
            elm.last = last;
            if (mdl_copy_to(&out[arg->num_iovas], &elm, sizeof(elm))) {
                return -EFAULT;
            }
        }
        arg->num_iovas++;
        if (last == UINT64_MAX) {
            break;
        }
        first = last + 1;
    }
    mdl_cmd_note(cmd, "\"num\":%u", arg->num_iovas);
    ret = mdl_cmd_respond(cmd);
    return ret ? ret : arg->num_iovas > max ? -EMSGSIZE : 0;
}

int mdl_cmd_ioas_allow_iovas(MdlCmd *cmd)
{
    struct iommu_ioas_allow_iovas *arg = cmd->arg;
    const struct iommu_iova_range *in;
    MdlRange *allowed = NULL;
    unsigned nr = 0;
    MdlIoas *ioas;
    int ret = 0;
    uint32_t i;

    mdl_cmd_note(cmd, "\"ioas\":%u,\"num\":%u", arg->ioas_id,
                 arg->num_iovas);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    ioas = get_ioas(cmd, arg->ioas_id);
    if (!ioas) {
        return -ENOENT;
    }
    in = (void *)(uintptr_t)arg->allowed_iovas;
    for (i = 0; !ret && i < arg->num_iovas; i++) {
        struct iommu_iova_range r;

        ret = mdl_copy_from(&r, &in[i], sizeof(r));
        if (ret) {
            break;
        }
        if (r.start >= r.last ||
            mdl_range_clash(allowed, nr, r.start, r.last)) {
            ret = -EINVAL;
            break;
        }
        mdl_range_insert(&allowed, &nr, (MdlRange) { r.start, r.last, NULL });
    }
    if (!ret) {
        ret = mdl_iova_set_allowed(ioas->iova, allowed, nr);
    }
    if (ret) {
        free(allowed);
    }
    return ret;
}

/* One piece of @pages to be mapped, from @start bytes into it */
typedef struct MapPiece {
    MdlPages *pages;
    uint64_t start, length;
} MapPiece;

/* iopt_map_pages(): all pieces or none */
static int map_pieces(MdlIoas *ioas, const MapPiece *piece, unsigned nr,
                      uint64_t length, uint64_t *iova, uint32_t flags)
{
    bool write = flags & IOMMU_IOAS_MAP_WRITEABLE;
    MdlIova *map = ioas->iova;
    unsigned i, done = 0;
    uint64_t at;
    int ret;

    if (!length || (length & (map->alignment - 1))) {
        return -EINVAL;
    }
    if (flags & IOMMU_IOAS_MAP_FIXED_IOVA) {
        ret = mdl_iova_check(map, *iova, length);
    } else {
        ret = mdl_iova_alloc(map, piece[0].pages->va + piece[0].start,
                             length, iova);
    }
    for (i = 0; !ret && i < nr; i++) {
        uint64_t va = piece[i].pages->va + piece[i].start;

        if (write && !piece[i].pages->writable) {
            ret = -EPERM;
        } else if ((va % mdl_host.page_size) & (map->alignment - 1)) {
            ret = -EINVAL;
        }
    }
    at = *iova;
    for (i = 0; !ret && i < nr; i++) {
        MdlArea a = {
            .iova = at,
            .length = piece[i].length,
            .va = piece[i].pages->va + piece[i].start,
            .readable = flags & IOMMU_IOAS_MAP_READABLE,
            .writeable = write,
            .pages = piece[i].pages,
        };

        ret = mdl_iova_fill(map, &a);
        if (ret) {
            break;
        }
        mdl_area_insert(map, a);
        at += piece[i].length;
        done++;
    }
    while (ret && done--) {
        mdl_area_remove(map, mdl_area_find(map, *iova));
    }
    return ret;
}

static int map_one(MdlCmd *cmd, MdlIoas *ioas, MdlPages *pages,
                   uint64_t length, uint64_t *iova, uint32_t flags)
{
    MapPiece piece = { pages, 0, length };
    int ret;

    pages->account = mdl_pin_account(cmd->ctx->account_mm);
    ret = map_pieces(ioas, &piece, 1, length, iova, flags);
    mdl_pages_put(pages);
    return ret;
}

/* Common to the three ways to map */
static int map_check(uint32_t flags, uint64_t iova, uint64_t length)
{
    if (flags & ~MAP_FLAGS) {
        return -EOPNOTSUPP;
    }
    if (iova == UINT64_MAX || length == UINT64_MAX) {
        return -EOVERFLOW;
    }
    return flags & MAP_PROT ? 0 : -EINVAL;
}

int mdl_cmd_ioas_map(MdlCmd *cmd)
{
    struct iommu_ioas_map *arg = cmd->arg;
    uint64_t end, iova = arg->iova;
    MdlIoas *ioas;
    int ret;

    mdl_cmd_note(cmd, "\"ioas\":%u,\"flags\":%u,\"iova\":%" PRIu64
                 ",\"length\":%" PRIu64, arg->ioas_id, arg->flags,
                 (uint64_t)arg->iova, (uint64_t)arg->length);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    ret = map_check(arg->flags, arg->iova, arg->length);
    if (ret) {
        return ret;
    }
    ioas = get_ioas(cmd, arg->ioas_id);
    if (!ioas) {
        return -ENOENT;
    }
    if (__builtin_add_overflow(arg->user_va, arg->length, &end)) {
        return -EOVERFLOW;
    }
    if (!arg->length || arg->length > UINT64_MAX - mdl_host.page_size) {
        return -EINVAL;
    }
    ret = map_one(cmd, ioas,
                  mdl_pages_new(arg->user_va, arg->length,
                                arg->flags & IOMMU_IOAS_MAP_WRITEABLE),
                  arg->length, &iova, arg->flags);
    if (ret) {
        return ret;
    }
    arg->iova = iova;
    if (!(arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA)) {
        mdl_cmd_note(cmd, "\"out_iova\":%" PRIu64, iova);
    }
    return mdl_cmd_respond(cmd);
}

/*
 * memfd_pin_folios() takes shmem, that of a tmpfs too, and hugetlb files
 *
 * Returns: what a mapping of the file is aligned to; 0: not that file
 */
static uint64_t file_alignment(int fd, uint64_t last)
{
    struct statfs fs;
    struct stat st;

    if (fstat(fd, &st) || last >= (uint64_t)st.st_size || fstatfs(fd, &fs)) {
        return 0;
    }
    return fs.f_type == TMPFS_MAGIC ? mdl_host.page_size :
           fs.f_type == HUGETLBFS_MAGIC ? fs.f_bsize : 0;
}

/* Whatever file it is: what cannot be pinned fails with the first page table */
static MdlPages *file_pages(int fd, uint64_t start, uint64_t length,
                            bool write, int *err)
{
    uint64_t align = file_alignment(fd, start + (length - 1));
    uint64_t first = start & ~((align ? align : mdl_host.page_size) - 1);
    size_t len = length + (start - first);
    int flags = MAP_SHARED;
    void *map = NULL;
    MdlPages *pages;

    if (align) {
        len = (len + align - 1) & ~(align - 1);
        map = mdl_page_place(NULL, len, &flags);
        map = mmap(map, len, write ? PROT_READ | PROT_WRITE : PROT_READ,
                   flags, fd, first);
        if (map == MAP_FAILED) {
            *err = -EINVAL;
            return NULL;
        }
    }
    pages = mdl_pages_new((uintptr_t)map + (start - first), length, write);
    pages->file = true;
    pages->file_map = map;
    pages->file_len = len;
    return pages;
}

static MdlPages *dmabuf_pages(MdlDmabuf *d, uint64_t start, uint64_t length,
                              bool write, int *err)
{
    MdlPages *pages;

    *err = mdl_dmabuf_map(d, start, length);
    if (*err) {
        return NULL;
    }
    pages = mdl_pages_new(start, length, write);
    pages->dmabuf = d;
    return pages;
}

int mdl_cmd_ioas_map_file(MdlCmd *cmd)
{
    struct iommu_ioas_map_file *arg = cmd->arg;
    uint64_t end, iova = arg->iova;
    MdlPages *pages;
    MdlIoas *ioas;
    MdlDmabuf *dmabuf;
    struct stat st;
    int ret;

    mdl_cmd_note(cmd, "\"ioas\":%u,\"flags\":%u,\"fd_mapped\":%d,\"start\":%"
                 PRIu64 ",\"iova\":%" PRIu64 ",\"length\":%" PRIu64,
                 arg->ioas_id, arg->flags, arg->fd, (uint64_t)arg->start,
                 (uint64_t)arg->iova, (uint64_t)arg->length);
    ret = map_check(arg->flags, arg->iova, arg->length);
    if (ret) {
        return ret;
    }
    ioas = get_ioas(cmd, arg->ioas_id);
    if (!ioas) {
        return -ENOENT;
    }
    if (!arg->length) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(arg->start, arg->length - 1, &end)) {
        return -EOVERFLOW;
    }
    if (fstat(arg->fd, &st)) {
        return -EBADF;
    }
    dmabuf = mdl_host.absent & MDL_NO_DMA_BUF_MAP ? NULL :
             mdl_dmabuf_of(arg->fd);
    pages = dmabuf ? dmabuf_pages(dmabuf, arg->start, arg->length,
                                  arg->flags & IOMMU_IOAS_MAP_WRITEABLE, &ret) :
                     file_pages(arg->fd, arg->start, arg->length,
                                arg->flags & IOMMU_IOAS_MAP_WRITEABLE, &ret);
    if (!pages) {
        return ret;
    }
    ret = map_one(cmd, ioas, pages, arg->length, &iova, arg->flags);
    if (ret) {
        return ret;
    }
    arg->iova = iova;
    if (!(arg->flags & IOMMU_IOAS_MAP_FIXED_IOVA)) {
        mdl_cmd_note(cmd, "\"out_iova\":%" PRIu64, iova);
    }
    return mdl_cmd_respond(cmd);
}

/* iopt_get_pages(): the areas that make up one stretch without a gap */
static int collect(MdlIoas *ioas, uint64_t iova, uint64_t length,
                   MapPiece **piece, unsigned *nr)
{
    const MdlIova *map = ioas->iova;
    uint64_t last, at = iova;
    unsigned i;

    *piece = NULL;
    *nr = 0;
    if (!length) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(iova, length - 1, &last)) {
        return -EOVERFLOW;
    }
    for (i = mdl_area_find(map, iova); ; i++) {
        uint64_t end, n, offset;
        const MdlArea *a;

        if (i == map->nr_areas || map->areas[i].iova > at) {
            return -ENOENT;
        }
        a = &map->areas[i];
        offset = at - a->iova;
        end = a->iova + (a->length - 1);
        n = (end < last ? end : last) - at + 1;
        *piece = realloc(*piece, (*nr + 1) * sizeof(**piece));
        if (!*piece) {
            abort();
        }
        (*piece)[(*nr)++] = (MapPiece) {
            a->pages, a->va + offset - a->pages->va, n
        };
        if (end >= last) {
            return 0;
        }
        at = end + 1;
    }
}

int mdl_cmd_ioas_copy(MdlCmd *cmd)
{
    struct iommu_ioas_copy *arg = cmd->arg;
    uint64_t iova = arg->dst_iova;
    MdlIoas *src, *dst;
    MapPiece *piece;
    unsigned nr;
    int ret;

    mdl_cmd_note(cmd, "\"dst\":%u,\"src\":%u,\"flags\":%u,\"src_iova\":%"
                 PRIu64 ",\"dst_iova\":%" PRIu64 ",\"length\":%" PRIu64,
                 arg->dst_ioas_id, arg->src_ioas_id, arg->flags,
                 (uint64_t)arg->src_iova, (uint64_t)arg->dst_iova,
                 (uint64_t)arg->length);
    if (arg->flags & ~MAP_FLAGS) {
        return -EOPNOTSUPP;
    }
    if (arg->src_iova == UINT64_MAX) {
        return -EOVERFLOW;
    }
    ret = map_check(arg->flags, arg->dst_iova, arg->length);
    if (ret) {
        return ret;
    }
    src = get_ioas(cmd, arg->src_ioas_id);
    if (!src) {
        return -ENOENT;
    }
    ret = collect(src, arg->src_iova, arg->length, &piece, &nr);
    if (!ret) {
        dst = get_ioas(cmd, arg->dst_ioas_id);
        ret = dst ? map_pieces(dst, piece, nr, arg->length, &iova,
                               arg->flags) : -ENOENT;
    }
    free(piece);
    if (ret) {
        return ret;
    }
    arg->dst_iova = iova;
    mdl_cmd_note(cmd, "\"out_iova\":%" PRIu64, iova);
    return mdl_cmd_respond(cmd);
}

/* iopt_unmap_iova_range(): what precedes a failure stays unmapped */
static int unmap_range(MdlIoas *ioas, uint64_t first, uint64_t last,
                       uint64_t *unmapped)
{
    MdlIova *map = ioas->iova;

    *unmapped = 0;
    for (;;) {
        unsigned i = mdl_area_find(map, first);
        uint64_t start, length, end;

        if (i == map->nr_areas || map->areas[i].iova > last) {
            return 0;
        }
        start = map->areas[i].iova;
        length = map->areas[i].length;
        end = start + (length - 1);
        if (map->areas[i].locks) {
            return -EBUSY;
        }
        if (start < first || end > last) {
            return -ENOENT;
        }
        mdl_area_remove(map, i);
        hw_ioas_unmapped(ioas, start, length);
        *unmapped += length;
        if (end >= last) {
            return 0;
        }
        first = end + 1;
    }
}

int mdl_cmd_ioas_unmap(MdlCmd *cmd)
{
    struct iommu_ioas_unmap *arg = cmd->arg;
    uint64_t last, unmapped;
    MdlIoas *ioas;
    int ret;

    mdl_cmd_note(cmd, "\"ioas\":%u,\"iova\":%" PRIu64 ",\"length\":%" PRIu64,
                 arg->ioas_id, (uint64_t)arg->iova, (uint64_t)arg->length);
    ioas = get_ioas(cmd, arg->ioas_id);
    if (!ioas) {
        return -ENOENT;
    }
    if (arg->iova == 0 && arg->length == UINT64_MAX) {
        ret = unmap_range(ioas, 0, UINT64_MAX, &unmapped);
    } else {
        if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX) {
            return -EOVERFLOW;
        }
        if (!arg->length) {
            return -EINVAL;
        }
        if (__builtin_add_overflow(arg->iova, arg->length - 1, &last)) {
            return -EOVERFLOW;
        }
        ret = unmap_range(ioas, arg->iova, last, &unmapped);
        if (!ret && !unmapped) {
            ret = -ENOENT;
        }
    }
    if (ret) {
        return ret;
    }
    arg->length = unmapped;
    mdl_cmd_note(cmd, "\"unmapped\":%" PRIu64, unmapped);
    return mdl_cmd_respond(cmd);
}

int mdl_cmd_ioas_change_process(MdlCmd *cmd)
{
    struct iommu_ioas_change_process *arg = cmd->arg;
    uint32_t id;
    unsigned i;

    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    for (id = 1; id < cmd->ctx->nr_objs; id++) {
        MdlIoas *ioas = get_ioas(cmd, id);

        for (i = 0; ioas && i < ioas->iova->nr_areas; i++) {
            if (!ioas->iova->areas[i].pages->file) {
                return -EINVAL;
            }
        }
    }
    return 0;
}

int mdl_ioas_option(MdlIoas *ioas, uint16_t op, uint64_t *val)
{
    switch (op) {
    case IOMMU_OPTION_OP_GET:
        *val = !ioas->iova->no_large_pages;
        return 0;
    case IOMMU_OPTION_OP_SET:
        return *val > 1 ? -EINVAL : mdl_iova_set_large_pages(ioas->iova, *val);
    default:
        return -EOPNOTSUPP;
    }
}
