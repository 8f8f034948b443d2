/*
 * Model of /dev/iommu: fault queues and vEVENTQs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules follow Linux 7.3, drivers/iommu/iommufd/eventq.c and driver.c.  The
 * descriptor is an eventfd whose count is not zero exactly while something
 * waits to be read, so poll() needs no help.  That of a vEVENTQ, which polls
 * for input only, is the end of a pipe.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "objects.h"
#include "uapi-extra.h"

/* drivers/iommu/iommufd/eventq.c, VEVENTQ_MAX_DEPTH */
#define VEVENTQ_MAX_DEPTH   (1u << 19)
/* Hardware has a page request queue of some size, too */
#define FAULT_MAX_GROUPS    4096

/* Descriptors of ours that follow "something is pending" */
typedef struct Signal {
    int fd, write_fd;                   /* the same one for an eventfd */
    bool set;
} Signal;

/* A page request group; read once, then it waits for its answer */
typedef struct FaultGroup {
    MdlDevice *dev;
    uint32_t cookie;
    bool duplicate;                     /* its answer changes nothing */
    bool freed;                         /* mdl_fault_freed() */
    void *cookie_priv;
    unsigned nr;
    struct FaultGroup *next;
    MdlPageRequest req[];
} FaultGroup;

typedef struct FaultPriv {
    Signal signal;
    FaultGroup *deliver;                /* in order of arrival */
    FaultGroup *response;               /* read, not answered */
    FaultGroup *dropped;                /* lost on order: nobody answers */
    unsigned nr_groups;
} FaultPriv;

typedef struct Vevent {
    uint32_t sequence;
    size_t len;
    struct Vevent *next;
    uint8_t data[];
} Vevent;

typedef struct VeventPriv {
    Signal signal;
    Vevent *events;                     /* in order of arrival */
    uint32_t depth;
    uint32_t nr_events;
    uint32_t sequence;
    /* The one "lost" record, always last: drivers/iommu/iommufd/driver.c */
    bool lost;
    uint32_t lost_sequence;
} VeventPriv;

static unsigned drop_left, dup_left;

void mdl_queue_drop(unsigned n)
{
    drop_left = n;
}

void mdl_queue_dup(unsigned n)
{
    dup_left = n;
}

static bool take(unsigned *left)
{
    if (!*left) {
        return false;
    }
    (*left)--;
    return true;
}

/* ----------------------------------------------------------------- signals */

static void signal_update(Signal *signal, bool pending)
{
    uint64_t count = 1;

    if (signal->fd < 0 || signal->set == pending) {
        return;
    }
    signal->set = pending;
    if (pending) {
        if (write(signal->write_fd, &count, sizeof(count)) < 0) {
            abort();
        }
    } else if (read(signal->fd, &count, sizeof(count)) < 0) {
        abort();
    }
}

/*
 * The program may change O_NONBLOCK of its descriptor, and close it: the
 * model keeps a duplicate, and only reads it when it knows it is set.
 */
static int signal_init(Signal *signal)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    signal->fd = mdl_fd_private(dup(fd));
    signal->write_fd = signal->fd;
    signal->set = false;
    return fd;
}

static int signal_init_input(Signal *signal)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC)) {
        return -errno;
    }
    signal->fd = mdl_fd_private(dup(fds[0]));
    signal->write_fd = mdl_fd_private(fds[1]);
    signal->set = false;
    return fds[0];
}

static void signal_fini(Signal *signal)
{
    if (signal->fd >= 0) {
        if (signal->write_fd != signal->fd) {
            mdl_fd_close_private(signal->write_fd);
        }
        mdl_fd_close_private(signal->fd);
        signal->fd = -1;
    }
}

/* ------------------------------------------------------------ fault queues */

static FaultPriv *fault_priv(MdlFaultQueue *q)
{
    return q->priv;
}

static void fault_update(MdlFaultQueue *q)
{
    signal_update(&fault_priv(q)->signal, fault_priv(q)->deliver);
}

int mdl_cmd_fault_alloc(MdlCmd *cmd)
{
    struct iommu_fault_alloc *arg = cmd->arg;
    MdlFaultQueue *q;
    MdlFile *file;
    FaultPriv *p;
    int fd;

    if (arg->flags) {
        return -EOPNOTSUPP;
    }
    q = calloc(1, sizeof(*q));
    file = calloc(1, sizeof(*file));
    p = calloc(1, sizeof(*p));
    if (!q || !file || !p) {
        abort();
    }
    q->priv = p;
    fd = signal_init(&p->signal);
    if (fd < 0) {
        free(p);
        free(q);
        free(file);
        return fd;
    }
    mdl_obj_add(cmd->ctx, &q->obj, MDL_OBJ_FAULT);
    arg->out_fault_id = q->obj.id;
    arg->out_fault_fd = fd;
    mdl_cmd_note(cmd, "\"id\":%u,\"queue_fd\":%d", q->obj.id, fd);
    if (mdl_cmd_respond(cmd)) {
        mdl_obj_destroy(&q->obj);
        free(file);
        close(fd);
        return -EFAULT;
    }
    file->kind = MDL_FILE_FAULT;
    file->fault = q;
    q->obj.refs++;
    mdl_ctx_get(cmd->ctx);
    mdl_fd_install(fd, file);
    return 0;
}

static void group_append(FaultGroup **list, FaultGroup *g)
{
    while (*list) {
        list = &(*list)->next;
    }
    g->next = NULL;
    *list = g;
}

/*
 * iopf_queue_remove_device() frees the groups of a device that nobody has
 * answered, and iommufd has them in its lists: the next time that it looks at
 * them, or is told of a cookie, is a use of freed memory in the kernel. Here
 * all goes on, and is written down.
 */
static void group_use(const FaultGroup *g)
{
    if (g->freed) {
        mdl_journal("use-after-free", "\"dev\":\"%s\",\"grpid\":%u",
                    g->dev->bdf, g->req[0].grpid);
    }
}

/* @dev: NULL: of any; @used: at once */
static void free_list_of(FaultGroup *list, const MdlDevice *dev, bool used)
{
    for (; list; list = list->next) {
        list->freed |= !dev || list->dev == dev;
        if (used) {
            group_use(list);
        }
    }
}

static void free_groups(const MdlDevice *dev, bool used)
{
    MdlCtx *ctx;
    uint32_t id;

    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            MdlFaultQueue *q = (MdlFaultQueue *)mdl_obj_get(ctx, id,
                                                            MDL_OBJ_FAULT);

            if (q) {
                free_list_of(fault_priv(q)->deliver, dev, used);
                free_list_of(fault_priv(q)->response, dev, used);
            }
        }
    }
}

void mdl_fault_freed(MdlDevice *dev)
{
    free_groups(dev, false);
}

void mdl_queue_exit(void)
{
    free_groups(NULL, true);
}

/* Ends a group that is in no list any more */
static void group_finish(FaultPriv *p, FaultGroup *g, bool success)
{
    group_use(g);
    p->nr_groups--;
    if (!g->duplicate) {
        hw_group_response(g->dev, g->cookie_priv, success);
    }
    free(g);
}

static FaultGroup *group_new(MdlDevice *dev, const MdlPageRequest *req,
                             unsigned nr, void *cookie_priv)
{
    FaultGroup *g = calloc(1, sizeof(*g) + nr * sizeof(*req));

    if (!g) {
        abort();
    }
    g->dev = dev;
    g->cookie_priv = cookie_priv;
    g->nr = nr;
    memcpy(g->req, req, nr * sizeof(*req));
    return g;
}

int mdl_fault_push(MdlFaultQueue *q, MdlDevice *dev, const MdlPageRequest *req,
                   unsigned nr, void *cookie_priv)
{
    FaultPriv *p = fault_priv(q);
    FaultGroup *g;
    bool drop;

    if (p->nr_groups >= FAULT_MAX_GROUPS) {
        return -ENOSPC;
    }
    drop = take(&drop_left);
    g = group_new(dev, req, nr, cookie_priv);
    p->nr_groups++;
    group_append(drop ? &p->dropped : &p->deliver, g);
    if (!drop && take(&dup_left)) {
        g = group_new(dev, req, nr, NULL);
        g->duplicate = true;
        p->nr_groups++;
        group_append(&p->deliver, g);
    }
    mdl_journal("page-request", "\"dev\":\"%s\",\"queue\":%u,\"nr\":%u"
                ",\"grpid\":%u,\"pasid\":%lld,\"dropped\":%s", dev->bdf,
                q->obj.id, nr, req[0].grpid,
                req[0].pasid == MDL_NO_PASID ? -1ll : (long long)req[0].pasid,
                drop ? "true" : "false");
    mdl_count("page-request", nr, drop);
    fault_update(q);
    return 0;
}

static bool group_matches(const FaultGroup *g, MdlDevice *dev, uint32_t pasid,
                          bool all)
{
    /* find_fault_handler(): the last one says whose it is */
    return g->dev == dev && (all || g->req[g->nr - 1].pasid == pasid);
}

static void cancel_list(MdlFaultQueue *q, FaultGroup **list, MdlDevice *dev,
                        uint32_t pasid, bool all)
{
    FaultGroup *g, **link = list;

    while ((g = *link)) {
        if (!group_matches(g, dev, pasid, all)) {
            link = &g->next;
            continue;
        }
        *link = g->next;
        mdl_journal("page-cancel", "\"dev\":\"%s\",\"queue\":%u"
                    ",\"grpid\":%u", dev->bdf, q->obj.id, g->req[0].grpid);
        group_finish(fault_priv(q), g, false);
        /* The answer may have brought new requests: start over */
        link = list;
    }
}

void mdl_fault_cancel(MdlHwpt *hwpt, MdlDevice *dev, uint32_t pasid, bool all)
{
    MdlFaultQueue *q = hwpt->fault;

    if (!q) {
        return;
    }
    cancel_list(q, &fault_priv(q)->deliver, dev, pasid, all);
    cancel_list(q, &fault_priv(q)->response, dev, pasid, all);
    cancel_list(q, &fault_priv(q)->dropped, dev, pasid, all);
    fault_update(q);
}

/* The lowest free cookie, from 1 on: an xarray with XA_FLAGS_ALLOC1 */
static uint32_t new_cookie(const FaultPriv *p)
{
    uint32_t cookie = 0;
    const FaultGroup *g;
    bool taken;

    do {
        cookie++;
        taken = false;
        for (g = p->response; g && !taken; g = g->next) {
            taken = g->cookie == cookie;
        }
    } while (taken);
    return cookie;
}

static void compose(struct iommu_hwpt_pgfault *out, const FaultGroup *g,
                    unsigned i)
{
    const MdlPageRequest *r = &g->req[i];
    uint32_t last = g->req[g->nr - 1].pasid;

    memset(out, 0, sizeof(*out));
    if (r->pasid != MDL_NO_PASID) {
        /* VT-d's PASID in the response: a kernel-internal bit that shows */
        out->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID | 1u << 2;
        out->pasid = r->pasid;
    }
    if (r->last) {
        out->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
    }
    out->dev_id = mdl_attach_named(g->dev, last == MDL_NO_PASID ? 0 :
                                           last)->obj.id;
    out->grpid = r->grpid;
    out->perm = (r->read ? IOMMU_PGFAULT_PERM_READ : 0) |
                (r->write ? IOMMU_PGFAULT_PERM_WRITE : 0) |
                (r->exec ? IOMMU_PGFAULT_PERM_EXEC : 0) |
                (r->priv ? IOMMU_PGFAULT_PERM_PRIV : 0);
    out->addr = r->addr;
    out->cookie = g->cookie;
}

ssize_t mdl_fault_read(MdlFaultQueue *q, void *buf, size_t len)
{
    const size_t size = sizeof(struct iommu_hwpt_pgfault);
    FaultPriv *p = fault_priv(q);
    struct iommu_hwpt_pgfault fault;
    size_t done = 0;
    FaultGroup *g;
    unsigned i;

    if (len % size) {
        return -ESPIPE;
    }
    while ((g = p->deliver)) {
        if (g->nr * size > len - done) {
            if (!done) {
                return -EINVAL;
            }
            break;
        }
        group_use(g);
        g->cookie = new_cookie(p);
        for (i = 0; i < g->nr; i++) {
            compose(&fault, g, i);
            if (mdl_copy_to((char *)buf + done + i * size, &fault, size)) {
                return done ? (ssize_t)done : -EFAULT;
            }
        }
        done += g->nr * size;
        p->deliver = g->next;
        group_append(&p->response, g);
        mdl_journal("page-read", "\"dev\":\"%s\",\"queue\":%u,\"cookie\":%u"
                    ",\"grpid\":%u,\"nr\":%u", g->dev->bdf, q->obj.id,
                    g->cookie, g->req[0].grpid, g->nr);
    }
    fault_update(q);
    return done;
}

static int answer(MdlFaultQueue *q,
                  const struct iommu_hwpt_page_response *resp)
{
    FaultPriv *p = fault_priv(q);
    FaultGroup **link = &p->response, *g;

    if (resp->code != IOMMUFD_PAGE_RESP_SUCCESS &&
        resp->code != IOMMUFD_PAGE_RESP_INVALID) {
        return -EINVAL;
    }
    while (*link && (*link)->cookie != resp->cookie) {
        link = &(*link)->next;
    }
    g = *link;
    if (!g) {
        return -EINVAL;
    }
    *link = g->next;
    mdl_journal("page-response", "\"dev\":\"%s\",\"queue\":%u,\"cookie\":%u"
                ",\"grpid\":%u,\"code\":%u", g->dev->bdf, q->obj.id,
                g->cookie, g->req[0].grpid, resp->code);
    mdl_count("page-response", g->nr,
              resp->code != IOMMUFD_PAGE_RESP_SUCCESS);
    group_finish(p, g, resp->code == IOMMUFD_PAGE_RESP_SUCCESS);
    return 0;
}

ssize_t mdl_fault_write(MdlFaultQueue *q, const void *buf, size_t len)
{
    struct iommu_hwpt_page_response resp;
    size_t done = 0;
    int ret = 0;

    if (len % sizeof(resp)) {
        return -ESPIPE;
    }
    while (done < len) {
        ret = mdl_copy_from(&resp, (const char *)buf + done, sizeof(resp));
        if (!ret) {
            ret = answer(q, &resp);
        }
        if (ret) {
            break;
        }
        done += sizeof(resp);
    }
    return done ? (ssize_t)done : ret;
}

static void finish_list(FaultPriv *p, FaultGroup **list)
{
    FaultGroup *g;

    while ((g = *list)) {
        *list = g->next;
        group_finish(p, g, false);
    }
}

void mdl_fault_destroy(MdlFaultQueue *q)
{
    FaultPriv *p = fault_priv(q);

    finish_list(p, &p->deliver);
    finish_list(p, &p->response);
    finish_list(p, &p->dropped);
    signal_fini(&p->signal);
    free(p);
}

/* --------------------------------------------------------------- vEVENTQs */

static VeventPriv *vevent_priv(MdlVeventq *q)
{
    return q->priv;
}

static void vevent_update(MdlVeventq *q)
{
    VeventPriv *p = vevent_priv(q);

    signal_update(&p->signal, p->events || p->lost);
}

static bool has_type(const MdlViommu *viommu, uint32_t type)
{
    const MdlVeventq *q;

    for (q = viommu->veventqs; q; q = q->next) {
        if (q->type == type) {
            return true;
        }
    }
    return false;
}

int mdl_cmd_veventq_alloc(MdlCmd *cmd)
{
    struct iommu_veventq_alloc *arg = cmd->arg;
    MdlViommu *viommu;
    MdlVeventq *q;
    VeventPriv *p;
    MdlFile *file;
    int fd;

    mdl_cmd_note(cmd, "\"viommu\":%u,\"type\":%u,\"depth\":%u",
                 arg->viommu_id, arg->type, arg->veventq_depth);
    if (arg->flags || arg->__reserved ||
        arg->type == IOMMU_VEVENTQ_TYPE_DEFAULT) {
        return -EOPNOTSUPP;
    }
    if (!arg->veventq_depth || arg->veventq_depth > VEVENTQ_MAX_DEPTH) {
        return -EINVAL;
    }
    viommu = (MdlViommu *)mdl_obj_get(cmd->ctx, arg->viommu_id,
                                      MDL_OBJ_VIOMMU);
    if (!viommu) {
        return -ENOENT;
    }
    if (has_type(viommu, arg->type)) {
        return -EEXIST;
    }
    q = calloc(1, sizeof(*q));
    file = calloc(1, sizeof(*file));
    p = calloc(1, sizeof(*p));
    if (!q || !file || !p) {
        abort();
    }
    p->depth = arg->veventq_depth;
    q->priv = p;
    fd = signal_init_input(&p->signal);
    if (fd < 0) {
        free(p);
        free(q);
        free(file);
        return fd;
    }
    q->type = arg->type;
    q->viommu = viommu;
    q->next = viommu->veventqs;
    viommu->veventqs = q;
    viommu->obj.refs++;
    mdl_obj_add(cmd->ctx, &q->obj, MDL_OBJ_VEVENTQ);
    arg->out_veventq_id = q->obj.id;
    arg->out_veventq_fd = fd;
    mdl_cmd_note(cmd, "\"id\":%u,\"queue_fd\":%d", q->obj.id, fd);
    if (mdl_cmd_respond(cmd)) {
        mdl_obj_destroy(&q->obj);
        free(file);
        close(fd);
        return -EFAULT;
    }
    file->kind = MDL_FILE_VEVENTQ;
    file->veventq = q;
    q->obj.refs++;
    mdl_ctx_get(cmd->ctx);
    mdl_fd_install(fd, file);
    return 0;
}

/* Sequence numbers run on for what is lost: the gap tells the reader */
static uint32_t next_sequence(VeventPriv *p)
{
    uint32_t sequence = p->sequence;

    p->sequence = (p->sequence + 1) & INT32_MAX;
    return sequence;
}

static void lose_one(VeventPriv *p)
{
    p->lost = true;
    p->lost_sequence = next_sequence(p);
    mdl_count("event-lost", 1, false);
}

void mdl_veventq_lose(MdlVeventq *q)
{
    lose_one(vevent_priv(q));
    vevent_update(q);
}

static void push_one(MdlVeventq *q, const void *event, size_t len)
{
    VeventPriv *p = vevent_priv(q);
    Vevent *ev, **tail = &p->events;

    if (p->nr_events == p->depth) {
        lose_one(p);
        return;
    }
    ev = calloc(1, sizeof(*ev) + len);
    if (!ev) {
        abort();
    }
    ev->sequence = next_sequence(p);
    ev->len = len;
    memcpy(ev->data, event, len);
    while (*tail) {
        tail = &(*tail)->next;
    }
    *tail = ev;
    p->nr_events++;
    /* The gap in front of this one says what the record said */
    p->lost = false;
}

void mdl_veventq_push(MdlVeventq *q, const void *event, size_t len)
{
    bool drop = take(&drop_left), dup = !drop && take(&dup_left);

    if (drop) {
        next_sequence(vevent_priv(q));
    } else {
        push_one(q, event, len);
    }
    if (dup) {
        push_one(q, event, len);
    }
    mdl_journal("vevent", "\"queue\":%u,\"len\":%zu,\"pending\":%u"
                ",\"lost\":%s,\"dropped\":%s", q->obj.id, len,
                vevent_priv(q)->nr_events,
                vevent_priv(q)->lost ? "true" : "false",
                drop ? "true" : "false");
    mdl_count("vevent", 1, drop);
    vevent_update(q);
}

/* 1: copied; 0: does not fit any more; -errno */
static int read_event(VeventPriv *p, char *buf, size_t room, bool first)
{
    struct iommufd_vevent_header hdr = { 0 };
    Vevent *ev = p->events;

    if (room < sizeof(hdr)) {
        return 0;
    }
    if (!ev) {
        hdr.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
        hdr.sequence = p->lost_sequence;
        if (mdl_copy_to(buf, &hdr, sizeof(hdr))) {
            return -EFAULT;
        }
        p->lost = false;
        return 1;
    }
    if (sizeof(hdr) + ev->len > room) {
        return first ? -EINVAL : 0;
    }
    hdr.sequence = ev->sequence;
    if (mdl_copy_to(buf, &hdr, sizeof(hdr)) ||
        mdl_copy_to(buf + sizeof(hdr), ev->data, ev->len)) {
        return -EFAULT;
    }
    p->events = ev->next;
    p->nr_events--;
    free(ev);
    return 1;
}

ssize_t mdl_veventq_read(MdlVeventq *q, void *buf, size_t len)
{
    VeventPriv *p = vevent_priv(q);
    size_t done = 0;
    int ret = 0;

    if (len < sizeof(struct iommufd_vevent_header)) {
        return -EINVAL;
    }
    while (p->events || p->lost) {
        size_t size = sizeof(struct iommufd_vevent_header) +
                      (p->events ? p->events->len : 0);

        ret = read_event(p, (char *)buf + done, len - done, !done);
        if (ret <= 0) {
            break;
        }
        done += size;
    }
    vevent_update(q);
    return done ? (ssize_t)done : ret < 0 ? ret : 0;
}

void mdl_veventq_destroy(MdlVeventq *q)
{
    VeventPriv *p = vevent_priv(q);
    MdlVeventq **link = &q->viommu->veventqs;
    Vevent *ev;

    while (*link != q) {
        link = &(*link)->next;
    }
    *link = q->next;
    q->viommu->obj.refs--;
    while ((ev = p->events)) {
        p->events = ev->next;
        free(ev);
    }
    signal_fini(&p->signal);
    free(p);
}

/* ------------------------------------------------------------------ common */

void mdl_queue_release(MdlFile *file)
{
    MdlObj *obj = file->kind == MDL_FILE_FAULT ? &file->fault->obj :
                                                 &file->veventq->obj;

    obj->refs--;
    mdl_ctx_put(obj->ctx);
}
