/*
 * Model of /dev/iommu: contexts, object ids, ioctl dispatch
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks follow Linux 7.3, drivers/iommu/iommufd/main.c.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <time.h>
#include <unistd.h>
#include "objects.h"
#include "uapi-extra.h"

MdlCtx *mdl_ctxs;

static unsigned next_ctx;

/* --------------------------------------------------------------- contexts */

MdlCtx *mdl_ctx_new(void)
{
    MdlCtx *ctx = calloc(1, sizeof(*ctx));

    if (!ctx) {
        abort();
    }
    ctx->index = next_ctx++;
    ctx->refs = 1;
    ctx->next = mdl_ctxs;
    mdl_ctxs = ctx;
    return ctx;
}

void mdl_ctx_get(MdlCtx *ctx)
{
    ctx->refs++;
}

/* Leaves first, until nothing is left: iommufd_fops_release() */
static void destroy_all(MdlCtx *ctx)
{
    bool progress = true;
    uint32_t id;

    while (progress) {
        progress = false;
        for (id = 1; id < ctx->nr_objs; id++) {
            MdlObj *obj = ctx->objs[id];

            if (obj && obj != MDL_TOMBSTONE && !obj->refs) {
                mdl_obj_destroy(obj);
                progress = true;
            }
        }
    }
}

void mdl_ctx_put(MdlCtx *ctx)
{
    MdlCtx **p = &mdl_ctxs;

    if (--ctx->refs) {
        return;
    }
    destroy_all(ctx);
    while (*p != ctx) {
        p = &(*p)->next;
    }
    *p = ctx->next;
    mdl_journal("release", "\"ctx\":%u", ctx->index);
    free(ctx->objs);
    free(ctx);
}

/* ---------------------------------------------------------------- objects */

/* The lowest free id, from 1 on: an xarray with XA_FLAGS_ALLOC1 */
int mdl_obj_add(MdlCtx *ctx, MdlObj *obj, MdlObjType type)
{
    uint32_t id = 1;

    while (id < ctx->nr_objs && ctx->objs[id]) {
        id++;
    }
    if (id >= ctx->nr_objs) {
        uint32_t nr = ctx->nr_objs ? 2 * ctx->nr_objs : 16;

        ctx->objs = realloc(ctx->objs, nr * sizeof(*ctx->objs));
        if (!ctx->objs) {
            abort();
        }
        memset(&ctx->objs[ctx->nr_objs], 0,
               (nr - ctx->nr_objs) * sizeof(*ctx->objs));
        ctx->nr_objs = nr;
    }
    obj->type = type;
    obj->id = id;
    obj->refs = 0;
    obj->ctx = ctx;
    ctx->objs[id] = obj;
    return 0;
}

void mdl_obj_remove(MdlObj *obj, bool tombstone)
{
    obj->ctx->objs[obj->id] = tombstone ? MDL_TOMBSTONE : NULL;
    if (obj->ctx->vfio_ioas == (MdlIoas *)obj) {
        obj->ctx->vfio_ioas = NULL;
    }
    mdl_journal("destroyed", "\"ctx\":%u,\"id\":%u,\"type\":\"%s\""
                ",\"tombstone\":%s", obj->ctx->index, obj->id,
                mdl_obj_type_name(obj->type), tombstone ? "true" : "false");
}

MdlObj *mdl_obj_get(MdlCtx *ctx, uint32_t id, MdlObjType type)
{
    MdlObj *obj;

    if (!id || id >= ctx->nr_objs) {
        return NULL;
    }
    obj = ctx->objs[id];
    if (!obj || obj == MDL_TOMBSTONE ||
        (type != MDL_OBJ_NONE && obj->type != type)) {
        return NULL;
    }
    return obj;
}

const char *mdl_obj_type_name(MdlObjType type)
{
    static const char *const names[MDL_OBJ__MAX] = {
        [MDL_OBJ_NONE] = "none", [MDL_OBJ_IOAS] = "ioas",
        [MDL_OBJ_HWPT] = "hwpt", [MDL_OBJ_DEVICE] = "device",
        [MDL_OBJ_ACCESS] = "access", [MDL_OBJ_VIOMMU] = "viommu",
        [MDL_OBJ_VDEVICE] = "vdevice", [MDL_OBJ_FAULT] = "fault",
        [MDL_OBJ_VEVENTQ] = "veventq", [MDL_OBJ_HW_QUEUE] = "hw_queue",
    };

    return names[type];
}

void mdl_obj_destroy(MdlObj *obj)
{
    switch (obj->type) {
    case MDL_OBJ_VDEVICE:
        mdl_vdevice_destroy((MdlVdevice *)obj, false);
        return;
    case MDL_OBJ_IOAS:
        mdl_ioas_destroy((MdlIoas *)obj);
        break;
    case MDL_OBJ_HWPT:
        mdl_hwpt_destroy((MdlHwpt *)obj);
        break;
    case MDL_OBJ_VIOMMU:
        mdl_viommu_destroy((MdlViommu *)obj);
        break;
    case MDL_OBJ_FAULT:
        mdl_fault_destroy((MdlFaultQueue *)obj);
        break;
    case MDL_OBJ_VEVENTQ:
        mdl_veventq_destroy((MdlVeventq *)obj);
        break;
    case MDL_OBJ_HW_QUEUE:
        mdl_hw_queue_destroy((MdlHwQueue *)obj);
        break;
    default:
        return;
    }
    mdl_obj_remove(obj, false);
    free(obj);
}

/* --------------------------------------------------------------- commands */

int mdl_cmd_respond(MdlCmd *cmd)
{
    return mdl_copy_to(cmd->uptr, cmd->arg, cmd->user_size < cmd->size ?
                       cmd->user_size : cmd->size);
}

void mdl_cmd_note(MdlCmd *cmd, const char *fmt, ...)
{
    size_t room = sizeof(cmd->note) - cmd->note_len;
    va_list ap;
    int n;

    if (room < 2) {
        return;
    }
    cmd->note[cmd->note_len] = ',';
    va_start(ap, fmt);
    n = vsnprintf(&cmd->note[cmd->note_len + 1], room - 1, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < room - 1) {
        cmd->note_len += n + 1;
    }
    cmd->note[cmd->note_len] = '\0';
}

static int cmd_destroy(MdlCmd *cmd)
{
    struct iommu_destroy *arg = cmd->arg;
    MdlObj *obj = mdl_obj_get(cmd->ctx, arg->id, MDL_OBJ_NONE);

    mdl_cmd_note(cmd, "\"id\":%u", arg->id);
    if (!obj) {
        return -ENOENT;
    }
    mdl_cmd_note(cmd, "\"type\":\"%s\"", mdl_obj_type_name(obj->type));
    /* The vfio driver holds a device until its file is closed */
    if (obj->refs || obj->type == MDL_OBJ_DEVICE) {
        return -EBUSY;
    }
    mdl_obj_destroy(obj);
    return 0;
}

/* CAP_SYS_RESOURCE decides in the kernel, so it has to here */
static bool may_set_rlimit_mode(void)
{
    struct __user_cap_header_struct hdr = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2] = { { 0 } };

    return !syscall(SYS_capget, &hdr, data) &&
           data[0].effective & 1u << CAP_SYS_RESOURCE;
}

static int option_rlimit_mode(MdlCtx *ctx, struct iommu_option *arg)
{
    uint32_t id;

    if (arg->object_id) {
        return -EOPNOTSUPP;
    }
    switch (arg->op) {
    case IOMMU_OPTION_OP_GET:
        arg->val64 = ctx->account_mm;
        return 0;
    case IOMMU_OPTION_OP_SET:
        if (!mdl_host.privileged && !may_set_rlimit_mode()) {
            return -EPERM;
        }
        for (id = 1; id < ctx->nr_objs; id++) {
            if (ctx->objs[id]) {
                return -EBUSY;
            }
        }
        if (arg->val64 > 1) {
            return -EINVAL;
        }
        ctx->account_mm = arg->val64;
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static int cmd_option(MdlCmd *cmd)
{
    struct iommu_option *arg = cmd->arg;
    uint64_t val = arg->val64;
    MdlIoas *ioas;
    int ret;

    mdl_cmd_note(cmd, "\"option\":%u,\"op\":%u,\"object\":%u",
                 arg->option_id, arg->op, arg->object_id);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    switch (arg->option_id) {
    case IOMMU_OPTION_RLIMIT_MODE:
        ret = option_rlimit_mode(cmd->ctx, arg);
        break;
    case IOMMU_OPTION_HUGE_PAGES:
        ioas = (MdlIoas *)mdl_obj_get(cmd->ctx, arg->object_id,
                                      MDL_OBJ_IOAS);
        ret = ioas ? mdl_ioas_option(ioas, arg->op, &val) : -ENOENT;
        arg->val64 = val;
        break;
    default:
        return -EOPNOTSUPP;
    }
    if (ret) {
        return ret;
    }
    return mdl_copy_to((char *)cmd->uptr +
                       offsetof(struct iommu_option, val64),
                       &arg->val64, sizeof(arg->val64));
}

static int cmd_vfio_ioas(MdlCmd *cmd)
{
    struct iommu_vfio_ioas *arg = cmd->arg;
    MdlCtx *ctx = cmd->ctx;
    MdlIoas *ioas;

    mdl_cmd_note(cmd, "\"op\":%u,\"ioas\":%u", arg->op, arg->ioas_id);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    switch (arg->op) {
    case IOMMU_VFIO_IOAS_GET:
        if (!ctx->vfio_ioas) {
            return -ENODEV;
        }
        arg->ioas_id = ctx->vfio_ioas->obj.id;
        return mdl_cmd_respond(cmd);
    case IOMMU_VFIO_IOAS_SET:
        ioas = (MdlIoas *)mdl_obj_get(ctx, arg->ioas_id, MDL_OBJ_IOAS);
        if (!ioas) {
            return -ENOENT;
        }
        ctx->vfio_ioas = ioas;
        return 0;
    case IOMMU_VFIO_IOAS_CLEAR:
        ctx->vfio_ioas = NULL;
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

/* CONFIG_IOMMUFD_NOIOMMU is off on the modelled hosts */
static int cmd_noiommu_get_pa(MdlCmd *cmd)
{
    return -EOPNOTSUPP;
}

typedef struct Op {
    unsigned long req;
    const char *name;
    size_t size, min_size;
    int (*execute)(MdlCmd *cmd);
    uint32_t absent;                    /* MDL_NO_*: kernels without it */
} Op;

#define OP(ioc, fn, type, last, no) \
    { IOMMU_##ioc, #ioc, sizeof(type), MDL_SIZEOF_TO(type, last), fn, no }

static const Op ops[] = {
    OP(DESTROY, cmd_destroy, struct iommu_destroy, id, 0),
    OP(FAULT_QUEUE_ALLOC, mdl_cmd_fault_alloc, struct iommu_fault_alloc,
       out_fault_fd, MDL_NO_FAULT_QUEUE),
    OP(GET_HW_INFO, mdl_cmd_hw_info, struct iommu_hw_info, __reserved, 0),
    OP(HW_QUEUE_ALLOC, mdl_cmd_hw_queue_alloc, struct iommu_hw_queue_alloc,
       length, MDL_NO_VIOMMU | MDL_NO_VEVENTQ),
    OP(HWPT_ALLOC, mdl_cmd_hwpt_alloc, struct iommu_hwpt_alloc, __reserved,
       0),
    OP(HWPT_GET_DIRTY_BITMAP, mdl_cmd_hwpt_get_dirty,
       struct iommu_hwpt_get_dirty_bitmap, data, 0),
    OP(HWPT_INVALIDATE, mdl_cmd_hwpt_invalidate,
       struct iommu_hwpt_invalidate, __reserved, MDL_NO_NESTING),
    OP(HWPT_SET_DIRTY_TRACKING, mdl_cmd_hwpt_set_dirty,
       struct iommu_hwpt_set_dirty_tracking, __reserved, 0),
    OP(IOAS_ALLOC, mdl_cmd_ioas_alloc, struct iommu_ioas_alloc, out_ioas_id,
       0),
    OP(IOAS_ALLOW_IOVAS, mdl_cmd_ioas_allow_iovas,
       struct iommu_ioas_allow_iovas, allowed_iovas, 0),
    OP(IOAS_CHANGE_PROCESS, mdl_cmd_ioas_change_process,
       struct iommu_ioas_change_process, __reserved, MDL_NO_CHANGE_PROCESS),
    OP(IOAS_COPY, mdl_cmd_ioas_copy, struct iommu_ioas_copy, src_iova, 0),
    OP(IOAS_IOVA_RANGES, mdl_cmd_ioas_iova_ranges,
       struct iommu_ioas_iova_ranges, out_iova_alignment, 0),
    OP(IOAS_MAP, mdl_cmd_ioas_map, struct iommu_ioas_map, iova, 0),
    OP(IOAS_MAP_FILE, mdl_cmd_ioas_map_file, struct iommu_ioas_map_file,
       iova, MDL_NO_MAP_FILE),
    OP(IOAS_UNMAP, mdl_cmd_ioas_unmap, struct iommu_ioas_unmap, length, 0),
    OP(OPTION, cmd_option, struct iommu_option, val64, 0),
    OP(VDEVICE_ALLOC, mdl_cmd_vdevice_alloc, struct iommu_vdevice_alloc,
       virt_id, MDL_NO_VIOMMU),
    OP(VEVENTQ_ALLOC, mdl_cmd_veventq_alloc, struct iommu_veventq_alloc,
       out_veventq_fd, MDL_NO_VEVENTQ),
    OP(VFIO_IOAS, cmd_vfio_ioas, struct iommu_vfio_ioas, __reserved, 0),
    OP(VIOMMU_ALLOC, mdl_cmd_viommu_alloc, struct iommu_viommu_alloc,
       out_viommu_id, MDL_NO_VIOMMU),
    { _IO(IOMMUFD_TYPE, MDL_CMD_IOAS_NOIOMMU_GET_PA), "IOAS_NOIOMMU_GET_PA",
      sizeof(struct mdl_ioas_noiommu_get_pa),
      sizeof(struct mdl_ioas_noiommu_get_pa), cmd_noiommu_get_pa, 0 },
};

/* Large enough for the argument of every operation */
typedef union ArgBuffer {
    struct iommu_hwpt_alloc hwpt;
    struct iommu_hw_info info;
    struct iommu_ioas_map_file map_file;
    struct iommu_hwpt_get_dirty_bitmap dirty;
    struct iommu_viommu_alloc viommu;
    struct iommu_hw_queue_alloc queue;
    uint64_t room[16];
} ArgBuffer;

static const Op *find_op(unsigned long req)
{
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(ops); i++) {
        if (ops[i].req == req && !(ops[i].absent & mdl_host.absent)) {
            return &ops[i];
        }
    }
    return NULL;
}

const char *mdl_iommufd_name(unsigned long req)
{
    const Op *op = find_op(req);

    return op ? op->name : "unknown";
}

int mdl_iommufd_ioctl(MdlCmd *cmd, unsigned long req)
{
    ArgBuffer buf;
    const Op *op;
    int ret;

    if (_IOC_NR(req) < IOMMUFD_CMD_BASE) {
        return mdl_container_ioctl(cmd, req);
    }
    op = find_op(req);
    if (!op) {
        return mdl_container_ioctl(cmd, req);
    }
    if (mdl_copy_from(&cmd->user_size, cmd->uptr, sizeof(cmd->user_size))) {
        return -EFAULT;
    }
    if (cmd->user_size < op->min_size) {
        return -EINVAL;
    }
    ret = mdl_copy_struct(&buf, op->size, cmd->uptr, cmd->user_size);
    if (ret) {
        return ret;
    }
    cmd->arg = &buf;
    cmd->size = op->size;
    ret = op->execute(cmd);
    cmd->arg = NULL;
    return ret;
}

/* ----------------------------------------------------------- entry points */

static void sleep_ms(unsigned ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

    int ret;

    do {
        ret = nanosleep(&ts, &ts);
    } while (ret && errno == EINTR);
}

static int execute(MdlFile *file, MdlCmd *cmd, unsigned long req)
{
    switch (file->kind) {
    case MDL_FILE_CTX:
        cmd->ctx = file->ctx;
        return mdl_iommufd_ioctl(cmd, req);
    case MDL_FILE_DEVICE:
        cmd->ctx = file->ctx;
        return mdl_vfio_ioctl(file, cmd, req);
    case MDL_FILE_GROUP:
        cmd->ctx = file->ctx;
        return mdl_group_ioctl(file, cmd, req);
    default:
        return -ENOTTY;
    }
}

static const char *call_name(const MdlFile *file, unsigned long req)
{
    return file->kind == MDL_FILE_CTX ? mdl_iommufd_name(req) :
           file->kind == MDL_FILE_GROUP ? mdl_group_name(req) :
           file->kind == MDL_FILE_DEVICE ? mdl_vfio_name(req) : "unknown";
}

int mdl_ioctl(int fd, unsigned long req, void *arg)
{
    MdlCmd cmd = { .fd = fd, .uptr = arg, .limit = -1 };
    MdlFaultPlan plan;
    const char *name;
    MdlFile *file;
    int ret;

    mdl_enter();
    file = mdl_fd_file(fd);
    if (!file) {
        mdl_leave();
        return -EBADF;
    }
    name = call_name(file, req);
    plan = mdl_inject(name);
    if (plan.delay_ms) {
        mdl_leave();
        sleep_ms(plan.delay_ms);
        mdl_enter();
        file = mdl_fd_file(fd);
        if (!file) {
            mdl_leave();
            return -EBADF;
        }
    }
    if (plan.err && plan.partial >= 0 && req == IOMMU_HWPT_INVALIDATE) {
        /* The kernel still says how many entries are done */
        cmd.limit = plan.partial;
        cmd.limit_err = plan.err;
        ret = execute(file, &cmd, req);
    } else if (plan.err && plan.late) {
        mdl_attach_fail(plan.err);
        ret = execute(file, &cmd, req);
        mdl_attach_fail(0);
    } else if (plan.err) {
        ret = -plan.err;
    } else {
        ret = execute(file, &cmd, req);
    }
    mdl_count(name, cmd.entries, ret < 0);
    mdl_journal("ioctl", "\"fd\":%d,\"ctx\":%d,\"call\":\"%s\"%s,\"ret\":%d"
                ",\"errno\":%d", fd, cmd.ctx ? (int)cmd.ctx->index : -1,
                name, cmd.note, ret < 0 ? -1 : ret, ret < 0 ? -ret : 0);
    mdl_leave();
    return ret;
}

static ssize_t file_rw(MdlFile *file, void *buf, size_t len, int64_t offset,
                       bool positioned, bool write)
{
    ssize_t n;

    switch (file->kind) {
    case MDL_FILE_DEVICE:
        n = mdl_vfio_rw(file, buf, len, positioned ? offset : file->pos,
                        write);
        if (n > 0 && !positioned) {
            file->pos += n;
        }
        return n;
    case MDL_FILE_FAULT:
        return positioned ? -ESPIPE :
               write ? mdl_fault_write(file->fault, buf, len) :
                       mdl_fault_read(file->fault, buf, len);
    case MDL_FILE_VEVENTQ:
        return positioned ? -ESPIPE :
               write ? -EINVAL : mdl_veventq_read(file->veventq, buf, len);
    case MDL_FILE_MIGRATION:
        return positioned ? -ESPIPE :
               write ? mdl_migration_write(file->migration, buf, len) :
                       mdl_migration_read(file->migration, buf, len);
    default:
        return -EINVAL;
    }
}

ssize_t mdl_rw(int fd, void *buf, size_t len, int64_t offset, bool positioned,
               bool write)
{
    static const char *const kinds[] = {
        [MDL_FILE_CTX] = "iommufd", [MDL_FILE_DEVICE] = "region",
        [MDL_FILE_FAULT] = "queue", [MDL_FILE_VEVENTQ] = "queue",
        [MDL_FILE_MIGRATION] = "migration", [MDL_FILE_DMABUF] = "dma-buf",
        [MDL_FILE_GROUP] = "group",
    };
    const char *call = write ? "write" : "read";
    MdlFaultPlan plan, kind_plan;
    char kind_call[24];
    MdlFile *file;
    ssize_t ret;

    mdl_enter();
    file = mdl_fd_file(fd);
    if (!file) {
        mdl_leave();
        return -EBADF;
    }
    snprintf(kind_call, sizeof(kind_call), "%s-%s", kinds[file->kind], call);
    plan = mdl_inject(call);
    kind_plan = mdl_inject(kind_call);
    if (!plan.hit) {
        plan = kind_plan;
    }
    if (plan.delay_ms) {
        mdl_leave();
        sleep_ms(plan.delay_ms);
        mdl_enter();
        file = mdl_fd_file(fd);
        if (!file) {
            mdl_leave();
            return -EBADF;
        }
    }
    ret = plan.err ? -plan.err :
          file_rw(file, buf, len, offset, positioned, write);
    mdl_count(kind_call, ret > 0 ? ret : 0, ret < 0);
    mdl_journal(call, "\"fd\":%d,\"call\":\"%s\",\"len\":%zu,\"offset\":%"
                PRId64 ",\"ret\":%zd,\"errno\":%d", fd, kind_call, len,
                positioned ? offset : 0, ret < 0 ? -1 : ret,
                ret < 0 ? (int)-ret : 0);
    mdl_leave();
    return ret;
}

/* iommufd_fops_mmap() */
static int iommufd_mmap(MdlCtx *ctx, size_t len, int prot, int flags, int *fd,
                        int64_t *offset, MdlViommu **page0)
{
    if ((flags & MAP_TYPE) == MAP_PRIVATE) {
        return -EINVAL;
    }
    if (prot & PROT_EXEC) {
        return -EPERM;
    }
    return mdl_cmdqv_mmap(ctx, (len + mdl_host.page_size - 1) &
                               ~(mdl_host.page_size - 1), fd, offset, page0);
}

static int file_mmap(MdlFile *file, size_t len, int prot, int flags, int *fd,
                     int64_t *offset, MdlViommu **page0)
{
    switch (file->kind) {
    case MDL_FILE_DEVICE:
        return mdl_vfio_mmap(file, len, (flags & MAP_TYPE) != MAP_PRIVATE, fd,
                             offset);
    case MDL_FILE_CTX:
        return iommufd_mmap(file->ctx, len, prot, flags, fd, offset, page0);
    default:
        return -ENODEV;
    }
}

int mdl_mmap_check(int *fd, size_t len, int prot, int flags, int64_t *offset,
                   MdlViommu **page0)
{
    MdlFile *file;
    int ret;

    mdl_enter();
    file = mdl_fd_file(*fd);
    ret = file ? file_mmap(file, len, prot, flags, fd, offset, page0) : 0;
    mdl_leave();
    return ret;
}
