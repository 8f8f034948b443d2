/*
 * Model of /dev/iommu: Tegra241 CMDQV, queues that guests have to themselves
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3: iommufd_hw_queue_alloc_ioctl(),
 * iommufd_fops_mmap() and drivers/iommu/arm/arm-smmu-v3/tegra241-cmdqv.c.
 *
 * Page 0 of a VINTF is plain memory here. What is stored there cannot be seen
 * at once, as hardware does: it is looked at when cmdqv_kick() is called. What
 * software cannot change in hardware is in MdlHwQueue, and written to the page
 * again.
 */

#include <endian.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/iommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw-priv.h"
#include "iova.h"
#include "objects.h"

#define PAGE0_SIZE      0x10000
#define LVCMDQ_STRIDE   0x80
#define VIRT_SID_MAX    ((1u << 20) - 1)
#define QUEUE_MIN       32
#define COMMAND         16
#define IDR1_CMDQS(r)   hw_bits(r, 25, 21)
#define HUGE_SIZE       (2ull << 20)

/* Words of an LVCMDQ in page 0 */
enum { CONS, PROD, CONFIG, STATUS, GERROR, GERRORN };
#define INDEX_MASK      0xfffffu
#define CONS_ERR_SHIFT  24
#define ENABLE          1u
#define CMDQ_ERR        1u

struct MdlHwQueue {
    MdlObj obj;
    MdlViommu *viommu;
    unsigned index;
    uint64_t iova, length;
    bool enabled;
    bool atc_late;              /* an ATC_INV was not answered */
    uint32_t cons, gerror;
};

struct MdlVintf {
    unsigned index;             /* in the IOMMU; the host has the first */
    uint64_t mmap_offset;
    int fd;
    uint32_t *page0;
    unsigned sids;              /* SID_MATCH registers that are in use */
    MdlHwQueue *queue[MDL_CMDQV_QUEUES];
};

/* A virtual memory area of page 0; as vm_ops has it, each has a reference */
typedef struct Mapping {
    uintptr_t first, last;
    MdlViommu *viommu;
} Mapping;

static Mapping *mappings;
static unsigned nr_mappings;

/* ---------------------------------------------------------------- VINTFs */

int cmdqv_info(const MdlIommu *iommu,
               struct iommu_hw_info_tegra241_cmdqv *info)
{
    if (!iommu->cmdqv.on) {
        return -EOPNOTSUPP;
    }
    info->version = 1;
    info->log2vcmdqs = __builtin_ctz(iommu->cmdqv.queues);
    info->log2vsids = __builtin_ctz(iommu->cmdqv.sids);
    return 0;
}

static int vintf_alloc(MdlIommu *iommu, unsigned *index)
{
    for (unsigned i = 1; i < iommu->cmdqv.vintfs; i++) {
        if (!(iommu->cmdqv.used & 1ull << i)) {
            iommu->cmdqv.used |= 1ull << i;
            *index = i;
            return 0;
        }
    }
    return -ENOSPC;
}

/* The lowest hole of mt_mmap; the first page is never given out */
static uint64_t vintf_offset(const MdlCtx *ctx)
{
    uint64_t offset = mdl_host.page_size;
    bool taken;

    do {
        taken = false;
        for (uint32_t id = 1; id < ctx->nr_objs; id++) {
            const MdlViommu *v = (MdlViommu *)mdl_obj_get((MdlCtx *)ctx, id,
                                                          MDL_OBJ_VIOMMU);

            if (v && v->vintf && v->vintf->mmap_offset &&
                v->vintf->mmap_offset < offset + PAGE0_SIZE &&
                offset < v->vintf->mmap_offset + PAGE0_SIZE) {
                offset = v->vintf->mmap_offset + PAGE0_SIZE;
                taken = true;
            }
        }
    } while (taken);
    return offset;
}

static void vintf_page(MdlVintf *v)
{
    v->fd = mdl_fd_private(memfd_create("vintf", MFD_CLOEXEC));
    if (v->fd < 0 || ftruncate(v->fd, PAGE0_SIZE)) {
        abort();
    }
    v->page0 = mmap(NULL, PAGE0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                    v->fd, 0);
    if (v->page0 == MAP_FAILED) {
        abort();
    }
}

int mdl_cmdqv_viommu(MdlCmd *cmd, MdlViommu *viommu)
{
    const struct iommu_viommu_alloc *arg = cmd->arg;
    void *uptr = (void *)(uintptr_t)arg->data_uptr;
    struct iommu_viommu_tegra241_cmdqv data;
    MdlVintf *v;
    int ret;

    /* iommu_copy_struct_from_user() */
    if (arg->data_len < sizeof(data)) {
        return -EINVAL;
    }
    ret = mdl_copy_struct(&data, sizeof(data), uptr, arg->data_len);
    if (ret) {
        return ret;
    }
    v = calloc(1, sizeof(*v));
    if (!v) {
        abort();
    }
    ret = vintf_alloc(viommu->iommu, &v->index);
    if (ret) {
        free(v);
        return ret;
    }
    v->mmap_offset = vintf_offset(cmd->ctx);
    vintf_page(v);
    viommu->vintf = v;
    data.out_vintf_mmap_offset = v->mmap_offset;
    data.out_vintf_mmap_length = PAGE0_SIZE;
    mdl_cmd_note(cmd, "\"vintf\":%u,\"mmap\":%" PRIu64, v->index,
                 v->mmap_offset);
    ret = mdl_copy_to(uptr, &data, sizeof(data));
    if (ret) {
        mdl_cmdqv_fini(viommu);
    }
    return ret;
}

void mdl_cmdqv_fini(MdlViommu *viommu)
{
    MdlVintf *v = viommu->vintf;

    if (v) {
        viommu->iommu->cmdqv.used &= ~(1ull << v->index);
        munmap(v->page0, PAGE0_SIZE);
        mdl_fd_close_private(v->fd);
        free(v);
        viommu->vintf = NULL;
    }
}

/* tegra241_vintf_init_vsid() */
int mdl_cmdqv_vdevice(MdlViommu *viommu, const MdlDevice *dev,
                      uint64_t virt_id)
{
    if (virt_id > VIRT_SID_MAX) {
        return -EINVAL;
    }
    if (dev->streams != 1) {
        return -EOPNOTSUPP;
    }
    if (viommu->vintf->sids == viommu->iommu->cmdqv.sids) {
        return -ENOSPC;
    }
    viommu->vintf->sids++;
    return 0;
}

void mdl_cmdqv_vdevice_gone(MdlViommu *viommu)
{
    viommu->vintf->sids--;
}

/* ---------------------------------------------------------------- queues */

static uint32_t *queue_regs(const MdlHwQueue *q)
{
    return q->viommu->vintf->page0 + q->index * (LVCMDQ_STRIDE / 4);
}

static void queue_reset_regs(const MdlHwQueue *q)
{
    memset(queue_regs(q), 0, LVCMDQ_STRIDE);
}

/* Areas from @first to @last, pinned or not */
static void lock_areas(MdlIova *iova, uint64_t first, uint64_t last, int by)
{
    for (unsigned i = mdl_area_find(iova, first);
         i < iova->nr_areas && iova->areas[i].iova <= last; i++) {
        iova->areas[i].locks += by;
    }
}

/* iommufd_access_pin_pages(), of which only reading is asked */
static int check_areas(const MdlIova *iova, uint64_t first, uint64_t last)
{
    uint64_t at = first;

    for (unsigned i = mdl_area_find(iova, first); ; i++) {
        const MdlArea *a = &iova->areas[i];

        if (i >= iova->nr_areas || a->iova > at) {
            return -ENOENT;
        }
        if (!a->readable) {
            return -EPERM;
        }
        if (last - a->iova < a->length) {
            return 0;
        }
        at = a->iova + a->length;
    }
}

/*
 * Memory of this process is in physical order within a huge page, if it is of
 * these, and in no order otherwise. As much of an address is the physical one.
 */
static uint64_t contiguous(void)
{
    return mdl_host.superpages ? HUGE_SIZE : mdl_host.page_size;
}

static uint64_t area_va(const MdlIova *iova, uint64_t addr)
{
    const MdlArea *a = &iova->areas[mdl_area_find(iova, addr)];

    return a->va + (addr - a->iova);
}

static bool check_contiguous(const MdlIova *iova, uint64_t first,
                             uint64_t last)
{
    uint64_t va = area_va(iova, first), next;

    for (uint64_t at = first; last - at >= mdl_host.page_size; va = next) {
        at += mdl_host.page_size;
        next = area_va(iova, at);
        if (next != va + mdl_host.page_size || !(next & (contiguous() - 1))) {
            return false;
        }
    }
    return true;
}

/* iommufd_hw_queue_alloc_phys() */
static int queue_pin(const MdlIova *iova, uint64_t base, uint64_t length,
                     uint64_t *first, uint64_t *last)
{
    uint64_t offset = base & (mdl_host.page_size - 1), size;
    int ret;

    if (__builtin_add_overflow(offset, length, &size) ||
        __builtin_add_overflow(size, mdl_host.page_size - 1, &size)) {
        return -ERANGE;
    }
    /* An array of pointers to pages, which kvcalloc() makes of any size */
    if (size / mdl_host.page_size > INT_MAX / sizeof(void *)) {
        return -ENOMEM;
    }
    *first = base - offset;
    if (__builtin_add_overflow(*first,
                               (size & ~(mdl_host.page_size - 1)) - 1,
                               last)) {
        return -EOVERFLOW;
    }
    ret = check_areas(iova, *first, *last);
    if (ret) {
        return ret;
    }
    return check_contiguous(iova, *first, *last) ? 0 : -EFAULT;
}

/* tegra241_vintf_alloc_lvcmdq_user() */
static int queue_check(const MdlViommu *viommu, unsigned index, uint64_t pa,
                       uint64_t length)
{
    const MdlIommu *iommu = viommu->iommu;

    if (index >= iommu->cmdqv.queues) {
        return -EINVAL;
    }
    if (viommu->vintf->queue[index]) {
        return -EEXIST;
    }
    if (index && !viommu->vintf->queue[index - 1]) {
        return -EIO;
    }
    if (length & (length - 1) || length < QUEUE_MIN ||
        length > (uint64_t)COMMAND << IDR1_CMDQS(iommu->idr[1])) {
        return -EINVAL;
    }
    return pa & (length - 1) ? -EINVAL : 0;
}

static void queue_new(MdlCmd *cmd, MdlViommu *viommu, uint64_t first,
                      uint64_t last)
{
    struct iommu_hw_queue_alloc *arg = cmd->arg;
    MdlHwQueue *q = calloc(1, sizeof(*q));

    if (!q) {
        abort();
    }
    q->viommu = viommu;
    q->index = arg->index;
    q->iova = arg->nesting_parent_iova;
    q->length = arg->length;
    viommu->vintf->queue[q->index] = q;
    viommu->obj.refs++;
    if (q->index) {
        ((MdlObj *)viommu->vintf->queue[q->index - 1])->refs++;
    }
    lock_areas(viommu->parent->ioas->iova, first, last, 1);
    queue_reset_regs(q);
    mdl_obj_add(cmd->ctx, &q->obj, MDL_OBJ_HW_QUEUE);
    arg->out_hw_queue_id = q->obj.id;
    mdl_cmd_note(cmd, "\"id\":%u", q->obj.id);
}

int mdl_cmd_hw_queue_alloc(MdlCmd *cmd)
{
    struct iommu_hw_queue_alloc *arg = cmd->arg;
    uint64_t base = arg->nesting_parent_iova, first, last, pa;
    const MdlIova *iova;
    MdlViommu *viommu;
    int ret;

    mdl_cmd_note(cmd, "\"viommu\":%u,\"type\":%u,\"index\":%u,\"iova\":%"
                 PRIu64 ",\"length\":%" PRIu64, arg->viommu_id, arg->type,
                 arg->index, base, (uint64_t)arg->length);
    if (arg->flags || arg->type == IOMMU_HW_QUEUE_TYPE_DEFAULT) {
        return -EOPNOTSUPP;
    }
    if (!arg->length) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, arg->length - 1, &last)) {
        return -EOVERFLOW;
    }
    viommu = (MdlViommu *)mdl_obj_get(cmd->ctx, arg->viommu_id,
                                      MDL_OBJ_VIOMMU);
    if (!viommu) {
        return -ENOENT;
    }
    if (!viommu->vintf || arg->type != IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV) {
        return -EOPNOTSUPP;
    }
    iova = viommu->parent->ioas->iova;
    ret = queue_pin(iova, base, arg->length, &first, &last);
    if (ret) {
        return ret;
    }
    pa = area_va(iova, base) & (contiguous() - 1);
    ret = queue_check(viommu, arg->index, pa, arg->length);
    if (ret) {
        return ret;
    }
    queue_new(cmd, viommu, first, last);
    ret = mdl_cmd_respond(cmd);
    if (ret) {
        mdl_obj_destroy(&viommu->vintf->queue[arg->index]->obj);
    }
    return ret;
}

void mdl_hw_queue_destroy(MdlHwQueue *q)
{
    MdlViommu *viommu = q->viommu;
    uint64_t mask = mdl_host.page_size - 1;

    queue_reset_regs(q);
    lock_areas(viommu->parent->ioas->iova, q->iova & ~mask,
               (q->iova + q->length - 1) | mask, -1);
    viommu->vintf->queue[q->index] = NULL;
    viommu->obj.refs--;
    if (q->index) {
        viommu->vintf->queue[q->index - 1]->obj.refs--;
    }
}

/* ---------------------------------------------------------- page 0, mapped */

/* An area has the file, too */
static void mapping_get(MdlViommu *viommu)
{
    viommu->obj.refs++;
    mdl_ctx_get(viommu->obj.ctx);
}

static void mapping_put(MdlViommu *viommu)
{
    viommu->obj.refs--;
    mdl_ctx_put(viommu->obj.ctx);
}

int mdl_cmdqv_mmap(MdlCtx *ctx, size_t len, int *fd, int64_t *offset,
                   MdlViommu **page0)
{
    for (uint32_t id = 1; id < ctx->nr_objs; id++) {
        MdlViommu *v = (MdlViommu *)mdl_obj_get(ctx, id, MDL_OBJ_VIOMMU);

        if (v && v->vintf && v->vintf->mmap_offset == (uint64_t)*offset &&
            len == PAGE0_SIZE) {
            mapping_get(v);
            *page0 = v;
            *fd = v->vintf->fd;
            *offset = 0;
            return 0;
        }
    }
    return -ENXIO;
}

/* With its reference */
static void mapping_add(uintptr_t first, uintptr_t last, MdlViommu *viommu)
{
    mappings = realloc(mappings, (nr_mappings + 1) * sizeof(*mappings));
    if (!mappings) {
        abort();
    }
    mappings[nr_mappings] = (Mapping) { first, last, viommu };
    __atomic_store_n(&nr_mappings, nr_mappings + 1, __ATOMIC_RELAXED);
}

void *mdl_cmdqv_mapped(MdlViommu *page0, void *addr)
{
    int err = errno;

    mdl_enter();
    if (addr == MAP_FAILED) {
        mapping_put(page0);
    } else {
        mapping_add((uintptr_t)addr, (uintptr_t)addr + PAGE0_SIZE - 1,
                    page0);
    }
    mdl_leave();
    errno = err;
    return addr;
}

/* What is left of an area at either end is an area each */
static void unmap(uintptr_t first, uintptr_t last)
{
    for (unsigned i = nr_mappings; i--; ) {
        Mapping m = mappings[i];

        if (m.last < first || m.first > last) {
            continue;
        }
        if (m.first < first) {
            mapping_get(m.viommu);
            mapping_add(m.first, first - 1, m.viommu);
        }
        if (m.last > last) {
            mapping_get(m.viommu);
            mapping_add(last + 1, m.last, m.viommu);
        }
        mappings[i] = mappings[nr_mappings - 1];
        __atomic_store_n(&nr_mappings, nr_mappings - 1, __ATOMIC_RELAXED);
        mapping_put(m.viommu);
    }
}

void mdl_cmdqv_unmap(const void *addr, size_t len)
{
    uintptr_t first = (uintptr_t)addr;

    if (len && !mdl_inside() &&
        __atomic_load_n(&nr_mappings, __ATOMIC_RELAXED) &&
        getpid() == mdl_pid) {
        mdl_enter();
        unmap(first, first + ((len - 1) | (mdl_host.page_size - 1)));
        mdl_leave();
    }
}

/* ---------------------------------------------------------------- the kick */

static void queue_error(MdlHwQueue *q, unsigned code)
{
    MdlVintf *v = q->viommu->vintf;
    uint64_t map[2] = { 0 };

    q->cons |= code << CONS_ERR_SHIFT;
    q->gerror ^= CMDQ_ERR;
    mdl_journal("vcmdq-error", "\"viommu\":%u,\"index\":%u,\"code\":%u",
                q->viommu->obj.id, q->index, code);
    for (unsigned i = 0; i < MDL_CMDQV_QUEUES; i++) {
        if (v->queue[i] && (v->queue[i]->gerror ^
                            le32toh(queue_regs(v->queue[i])[GERRORN])) & 1) {
            map[i / 64] |= 1ull << i % 64;
        }
    }
    map[0] = htole64(map[0]);
    map[1] = htole64(map[1]);
    for (MdlVeventq *e = q->viommu->veventqs; e; e = e->next) {
        if (e->type == IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV) {
            mdl_veventq_push(e, map, sizeof(map));
        }
    }
}

/* One command at CONS; false: the queue has stopped */
static bool queue_step(MdlHwQueue *q)
{
    uint32_t entries = q->length / COMMAND;
    uint64_t cmd[2], at = q->iova + (q->cons & (entries - 1)) * COMMAND;
    unsigned code = HW_CERROR_ABT;

    if (!mdl_ioas_rw(q->viommu->parent->ioas, at, cmd, sizeof(cmd), false)) {
        cmd[0] = le64toh(cmd[0]);
        cmd[1] = le64toh(cmd[1]);
        code = hw_vcmdq_command(q->viommu, cmd, &q->atc_late);
    }
    mdl_count("vcmdq", 1, code);
    if (code) {
        queue_error(q, code);
        return false;
    }
    q->cons = (q->cons & ~INDEX_MASK) |
              ((q->cons + 1) & (2 * entries - 1));
    return true;
}

static unsigned queue_kick(MdlHwQueue *q)
{
    uint32_t *regs = queue_regs(q), mask = 2 * q->length / COMMAND - 1;
    bool enabled = le32toh(regs[CONFIG]) & ENABLE;
    unsigned n = 0;

    /* CONS can be written while it is disabled */
    if (!enabled || !q->enabled) {
        q->cons = le32toh(regs[CONS]) & (INDEX_MASK | 0x7fu << CONS_ERR_SHIFT);
    }
    q->enabled = enabled;
    if (enabled && !((q->gerror ^ le32toh(regs[GERRORN])) & CMDQ_ERR)) {
        q->cons &= INDEX_MASK;
        while (((q->cons ^ le32toh(regs[PROD])) & mask) && queue_step(q)) {
            n++;
        }
    }
    regs[STATUS] = htole32(enabled);
    regs[CONS] = htole32(q->cons);
    regs[GERROR] = htole32(q->gerror);
    return n;
}

int cmdqv_command_kick(const MdlJson *req, char *reply, size_t reply_len)
{
    unsigned n = 0;

    for (MdlCtx *ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (uint32_t id = 1; id < ctx->nr_objs; id++) {
            MdlObj *obj = mdl_obj_get(ctx, id, MDL_OBJ_HW_QUEUE);

            n += obj ? queue_kick((MdlHwQueue *)obj) : 0;
        }
    }
    snprintf(reply, reply_len, "\"commands\":%u", n);
    return 0;
}
