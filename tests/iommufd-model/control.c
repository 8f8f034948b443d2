/*
 * Model of /dev/iommu: control socket and commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON lines over an AF_UNIX stream socket: one request, one reply.  Each
 * connection has a thread, because a command may wait for the program.
 */

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "objects.h"
#include "json.h"

#define REPLY_SIZE      (256 * 1024)
#define REQUEST_SIZE    (64 * 1024)

static int listen_fd = -1;
static ino_t bound_ino;
static char bound_path[sizeof(((struct sockaddr_un *)0)->sun_path)];

/* ----------------------------------------------------------------- commands */

typedef struct Reply {
    char *out;
    size_t len, off;
} Reply;

#define SAY(r, ...) \
    ((r)->off = mdl_append((r)->out, (r)->len, (r)->off, __VA_ARGS__))

static int refuse(Reply *r, const char *text, int err)
{
    r->off = 0;
    SAY(r, "%s", text);
    return err;
}

static unsigned count_live(MdlObjType type)
{
    unsigned n = 0;
    MdlCtx *ctx;
    uint32_t id;

    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            n += mdl_obj_get(ctx, id, type) != NULL;
        }
    }
    return n;
}

static int cmd_counters(const MdlJson *req, Reply *r)
{
    static const MdlObjType types[] = {
        MDL_OBJ_IOAS, MDL_OBJ_HWPT, MDL_OBJ_VIOMMU, MDL_OBJ_VDEVICE,
        MDL_OBJ_FAULT, MDL_OBJ_VEVENTQ, MDL_OBJ_HW_QUEUE,
    };
    size_t i;

    SAY(r, "\"counters\":{");
    r->off += mdl_counters_format(r->out + r->off, r->len - r->off);
    SAY(r, "%s\"live\":{", r->out[r->off - 1] == '{' ? "" : ",");
    for (i = 0; i < MDL_ARRAY_SIZE(types); i++) {
        SAY(r, "\"%s\":%u,", mdl_obj_type_name(types[i]),
            count_live(types[i]));
    }
    SAY(r, "\"devices\":%u},\"pinned\":%" PRIu64 "}",
        count_live(MDL_OBJ_DEVICE), mdl_iova_pinned());
    return 0;
}

static const char *bdf_of(const MdlObj *obj)
{
    return ((const MdlDevice *)obj)->bdf;
}

static void say_hwpt(Reply *r, const MdlHwpt *h)
{
    SAY(r, ",\"ioas\":%u,\"iommu\":%u,\"nested\":%s,\"nest_parent\":%s"
        ",\"pasid\":%s,\"dirty\":%s,\"auto\":%s,\"parent\":%u,\"viommu\":%u"
        ",\"fault\":%u,\"data_type\":%u,\"attachments\":%u,\"domain\":%u",
        h->ioas->obj.id, h->iommu->index, h->nested ? "true" : "false",
        h->nest_parent ? "true" : "false", h->pasid ? "true" : "false",
        h->dirty_enabled ? "true" : "false",
        h->auto_domain ? "true" : "false", h->parent ? h->parent->obj.id : 0,
        h->viommu ? h->viommu->obj.id : 0, h->fault ? h->fault->obj.id : 0,
        h->data_type, h->attachments, h->domain_id);
}

static void say_ioas(Reply *r, MdlIoas *ioas)
{
    unsigned i, n = mdl_iova_areas(ioas);

    SAY(r, ",\"areas\":%u,\"maps\":[", n);
    for (i = 0; i < n && i < 256; i++) {
        const MdlArea *a = mdl_iova_area(ioas, i);

        SAY(r, "%s{\"iova\":%" PRIu64 ",\"length\":%" PRIu64
            ",\"read\":%s,\"write\":%s}", i ? "," : "", a->iova, a->length,
            a->readable ? "true" : "false", a->writeable ? "true" : "false");
    }
    SAY(r, "]");
}

static void say_object(Reply *r, MdlObj *obj)
{
    SAY(r, "{\"ctx\":%u,\"id\":%u,\"type\":\"%s\",\"refs\":%u",
        obj->ctx->index, obj->id, mdl_obj_type_name(obj->type), obj->refs);
    switch (obj->type) {
    case MDL_OBJ_IOAS:
        say_ioas(r, (MdlIoas *)obj);
        break;
    case MDL_OBJ_HWPT:
        say_hwpt(r, (MdlHwpt *)obj);
        break;
    case MDL_OBJ_DEVICE:
        SAY(r, ",\"dev\":\"%s\"", bdf_of(obj));
        break;
    case MDL_OBJ_VIOMMU:
        SAY(r, ",\"iommu\":%u,\"parent\":%u,\"kind\":%u,\"vmid\":%u",
            ((MdlViommu *)obj)->iommu->index,
            ((MdlViommu *)obj)->parent->obj.id, ((MdlViommu *)obj)->type,
            ((MdlViommu *)obj)->vmid);
        break;
    case MDL_OBJ_VDEVICE:
        SAY(r, ",\"viommu\":%u,\"dev\":\"%s\",\"virt_id\":%" PRIu64,
            ((MdlVdevice *)obj)->viommu->obj.id,
            ((MdlVdevice *)obj)->dev->bdf, ((MdlVdevice *)obj)->virt_id);
        break;
    case MDL_OBJ_VEVENTQ:
        SAY(r, ",\"viommu\":%u,\"kind\":%u",
            ((MdlVeventq *)obj)->viommu->obj.id, ((MdlVeventq *)obj)->type);
        break;
    default:
        break;
    }
    SAY(r, "}");
}

static int cmd_objects(const MdlJson *req, Reply *r)
{
    bool first = true;
    MdlCtx *ctx;
    uint32_t id;

    SAY(r, "\"objects\":[");
    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            MdlObj *obj = ctx->objs[id];

            if (!obj) {
                continue;
            }
            SAY(r, "%s", first ? "" : ",");
            first = false;
            if (obj == MDL_TOMBSTONE) {
                SAY(r, "{\"ctx\":%u,\"id\":%u,\"type\":\"tombstone\"}",
                    ctx->index, id);
            } else {
                say_object(r, obj);
            }
        }
    }
    SAY(r, "]");
    return 0;
}

static int cmd_state(const MdlJson *req, Reply *r)
{
    const MdlDevice *dev = mdl_device_by_bdf(json_str(req, "dev", NULL));
    const MdlPasidAttach *p;

    if (!dev) {
        return refuse(r, "no such device", -ENODEV);
    }
    SAY(r, "\"bound\":%s,\"dev_id\":%u,\"resetting\":%s,\"rid\":%u"
        ",\"pasids\":[", dev->bound ? "true" : "false",
        dev->bound ? dev->obj.id : 0, dev->resetting ? "true" : "false",
        dev->hwpt ? dev->hwpt->obj.id : 0);
    for (p = dev->pasids; p; p = p->next) {
        SAY(r, "%s{\"pasid\":%u,\"pt\":%u}", p == dev->pasids ? "" : ",",
            p->pasid, p->blocked ? 0 : p->hwpt->obj.id);
    }
    SAY(r, "],\"vdevice\":%u,\"migration\":\"%s\"",
        dev->vdevice ? dev->vdevice->obj.id : 0, mdl_migration_name(dev));
    return 0;
}

static int cmd_fault(const MdlJson *req, Reply *r)
{
    const char *on = json_str(req, "on", NULL);
    const char *err = on ? mdl_inject_add(on) : "no 'on'";

    return err ? refuse(r, err, -EINVAL) : 0;
}

static int cmd_fault_clear(const MdlJson *req, Reply *r)
{
    mdl_inject_clear();
    return 0;
}

static int cmd_drop_events(const MdlJson *req, Reply *r)
{
    mdl_queue_drop(json_u64(req, "n", 1));
    return 0;
}

static int cmd_dup_events(const MdlJson *req, Reply *r)
{
    mdl_queue_dup(json_u64(req, "n", 1));
    return 0;
}

static int set_resetting(const MdlJson *req, Reply *r, bool resetting)
{
    MdlDevice *dev = mdl_device_by_bdf(json_str(req, "dev", NULL));

    if (!dev) {
        return refuse(r, "no such device", -ENODEV);
    }
    if (dev->resetting == resetting) {
        return refuse(r, resetting ? "already in reset" : "not in reset",
                      -EINVAL);
    }
    if (resetting) {
        mdl_reset_begin(dev);
    } else {
        mdl_reset_end(dev);
    }
    mdl_journal("reset", "\"dev\":\"%s\",\"begin\":%s", dev->bdf,
                resetting ? "true" : "false");
    return 0;
}

static int cmd_reset_begin(const MdlJson *req, Reply *r)
{
    return set_resetting(req, r, true);
}

static int cmd_reset_end(const MdlJson *req, Reply *r)
{
    return set_resetting(req, r, false);
}

static int cmd_devices(const MdlJson *req, Reply *r)
{
    unsigned i;

    SAY(r, "\"run_dir\":\"%s\",\"devices\":[", mdl_run_dir());
    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];

        SAY(r, "%s{\"dev\":\"%s\",\"vfio\":%u,\"iommu\":%u,\"group\":%u}",
            i ? "," : "", dev->bdf, dev->vfio_index, dev->iommu->index,
            dev->group);
    }
    SAY(r, "]");
    return 0;
}

/*
 * Asked by a process that was started by this one, before either of them
 * uses the model: a wrapper steps back for the program it runs.
 */
static int cmd_yield(const MdlJson *req, Reply *r)
{
    if (mdl_ctxs || listen_fd < 0) {
        return refuse(r, "in use", -EBUSY);
    }
    mdl_control_stop();
    return 0;
}

static const struct {
    const char *cmd;
    int (*execute)(const MdlJson *req, Reply *r);
} commands[] = {
    { "counters", cmd_counters },
    { "objects", cmd_objects },
    { "state", cmd_state },
    { "devices", cmd_devices },
    { "fault", cmd_fault },
    { "fault-clear", cmd_fault_clear },
    { "drop-events", cmd_drop_events },
    { "dup-events", cmd_dup_events },
    { "reset-begin", cmd_reset_begin },
    { "reset-end", cmd_reset_end },
    { "yield", cmd_yield },
};

static int execute(const char *cmd, const MdlJson *req, Reply *r)
{
    size_t i;
    int ret;

    for (i = 0; i < MDL_ARRAY_SIZE(commands); i++) {
        if (!strcmp(cmd, commands[i].cmd)) {
            return commands[i].execute(req, r);
        }
    }
    ret = hw_command(cmd, req, r->out, r->len);
    if (ret == -ENOSYS) {
        return refuse(r, "no such command", ret);
    }
    r->off = strlen(r->out);
    return ret;
}

static int run_command(const char *text, Reply *r)
{
    const char *err, *cmd;
    MdlJson *req;
    int ret;

    if (!mdl_config.active) {
        return refuse(r, "the model is not configured", -ENODEV);
    }
    req = json_parse(text, &err);
    if (!req) {
        return refuse(r, err, -EINVAL);
    }
    cmd = json_str(req, "cmd", NULL);
    if (!cmd) {
        ret = refuse(r, "no 'cmd'", -EINVAL);
    } else {
        mdl_enter();
        ret = execute(cmd, req, r);
        mdl_leave();
    }
    json_free(req);
    return ret;
}

/* For tests that live in the same process; 0, or -1 when not "ok" */
MDL_EXPORT int iommufd_model_command(const char *json_in, char *out,
                                     size_t out_len)
{
    Reply r = { .len = REPLY_SIZE };
    int ret;

    r.out = calloc(1, r.len);
    if (!r.out) {
        abort();
    }
    ret = run_command(json_in, &r);
    if (!ret) {
        snprintf(out, out_len, "{\"ok\":true%s%s}", *r.out ? "," : "", r.out);
    } else {
        snprintf(out, out_len, "{\"ok\":false,\"errno\":%d,\"error\":\"%s\"}",
                 -ret, r.out);
    }
    free(r.out);
    return ret ? -1 : 0;
}

/* ------------------------------------------------------------------- socket */

static bool send_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        text += n;
        len -= n;
    }
    return true;
}

static bool serve_line(int fd, const char *line)
{
    char *out = malloc(REPLY_SIZE + 64);
    bool ok;

    if (!out) {
        abort();
    }
    iommufd_model_command(line, out, REPLY_SIZE + 64);
    ok = send_all(fd, out, strlen(out)) && send_all(fd, "\n", 1);
    free(out);
    return ok;
}

static void *serve(void *opaque)
{
    int fd = (intptr_t)opaque;
    char *buf = malloc(REQUEST_SIZE + 1);
    size_t have = 0;
    ssize_t n;

    while (buf && have < REQUEST_SIZE &&
           (n = recv(fd, buf + have, REQUEST_SIZE - have, 0)) > 0) {
        char *line = buf, *eol;

        have += n;
        buf[have] = '\0';
        while ((eol = strchr(line, '\n'))) {
            *eol = '\0';
            if (*line && !serve_line(fd, line)) {
                have = 0;
                goto out;
            }
            line = eol + 1;
        }
        have -= line - buf;
        memmove(buf, line, have);
    }
out:
    free(buf);
    shutdown(fd, SHUT_RDWR);
    mdl_enter();
    mdl_fd_close_private(fd);
    mdl_leave();
    return NULL;
}

/* The program's signals are not for our threads */
static void start_thread(void *(*fn)(void *), void *opaque)
{
    sigset_t all, old;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!pthread_create(&thread, NULL, fn, opaque)) {
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void *accept_loop(void *opaque)
{
    int listener = (intptr_t)opaque;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 ||
           errno == EINTR || errno == ECONNABORTED) {
        if (fd >= 0) {
            mdl_enter();
            fd = mdl_fd_private(fd);
            mdl_leave();
            start_thread(serve, (void *)(intptr_t)fd);
        }
    }
    return NULL;
}

/* Is there somebody on the socket who uses the model? */
static bool socket_taken(const struct sockaddr_un *addr)
{
    static const struct timeval patience = { .tv_sec = 5 };
    static const char yield[] = "{\"cmd\":\"yield\"}\n";
    char answer[128];
    bool taken = false;
    ssize_t n;
    int fd;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
        taken = true;
        if (send_all(fd, yield, sizeof(yield) - 1)) {
            n = recv(fd, answer, sizeof(answer) - 1, 0);
            if (n > 0) {
                answer[n] = '\0';
                taken = !strstr(answer, "\"ok\":true");
            }
        }
    }
    close(fd);
    return taken;
}

void mdl_control_start(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    bool nested = mdl_inside();
    struct stat st;
    int fd;

    if (!mdl_config.socket || listen_fd >= 0) {
        return;
    }
    if (strlen(mdl_config.socket) >= sizeof(addr.sun_path)) {
        fprintf(stderr, "iommufd-model: socket '%s': path too long\n",
                mdl_config.socket);
        _exit(1);
    }
    strcpy(addr.sun_path, mdl_config.socket);
    if (socket_taken(&addr)) {
        return;
    }
    if (!nested) {
        mdl_enter();
    }
    unlink(addr.sun_path);
    fd = mdl_fd_private(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
        listen(fd, 8)) {
        fprintf(stderr, "iommufd-model: socket '%s': %s\n", addr.sun_path,
                strerror(errno));
        _exit(1);
    }
    listen_fd = fd;
    strcpy(bound_path, addr.sun_path);
    bound_ino = stat(bound_path, &st) ? 0 : st.st_ino;
    if (!nested) {
        mdl_leave();
    }
    start_thread(accept_loop, (void *)(intptr_t)fd);
}

/* Inside the model */
void mdl_control_stop(void)
{
    struct stat st;

    if (listen_fd >= 0) {
        /* The path may be another process's by now */
        if (!stat(bound_path, &st) && st.st_ino == bound_ino) {
            unlink(bound_path);
        }
        shutdown(listen_fd, SHUT_RDWR);
        mdl_fd_close_private(listen_fd);
        listen_fd = -1;
    }
}

void mdl_control_forget(void)
{
    if (listen_fd >= 0) {
        mdl_fd_close_private(listen_fd);
        listen_fd = -1;
    }
}
