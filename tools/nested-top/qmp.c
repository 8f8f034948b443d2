/*
 * qemu-nested-top: the QMP connection
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include "qapi/error.h"
#include "qapi/qapi-visit-nested-iommu.h"
#include "qapi/qobject-input-visitor.h"
#include "qemu/cutils.h"
#include "qemu/sockets.h"
#include "qobject/json-parser.h"
#include "qobject/qjson.h"
#include "top.h"

/* Events that nobody has asked for yet; what is more is forgotten */
#define EVENTS_MAX 64

struct Qmp {
    int fd;
    JSONMessageParser parser;
    QDict *answer;              /* the newest that is no event */
    GQueue events;              /* QDict, oldest first */
    Error *err;
};

static void qmp_message(void *opaque, QObject *json, Error *err)
{
    Qmp *q = opaque;
    QDict *dict = qobject_to(QDict, json);

    if (err || !dict) {
        qobject_unref(json);
        if (!q->err) {
            q->err = err;
            if (!err) {
                error_setg(&q->err, "this is no QMP");
            }
        } else {
            error_free(err);
        }
        return;
    }
    if (!qdict_haskey(dict, "event")) {
        qobject_unref(q->answer);
        q->answer = dict;
        return;
    }
    if (g_queue_get_length(&q->events) == EVENTS_MAX) {
        QDict *oldest = g_queue_pop_head(&q->events);

        qobject_unref(oldest);
    }
    g_queue_push_tail(&q->events, dict);
}

int qmp_fd(const Qmp *q)
{
    return q->fd;
}

/* Return: false: nothing more will come */
static bool qmp_read_some(Qmp *q, int wait_ms, Error **errp)
{
    struct pollfd pfd = { .fd = q->fd, .events = POLLIN };
    char buf[4096];
    ssize_t len;

    if (RETRY_ON_EINTR(poll(&pfd, 1, wait_ms)) <= 0) {
        if (wait_ms) {
            error_setg(errp, "no answer for %d s", wait_ms / 1000);
        }
        return !wait_ms;
    }
    len = RETRY_ON_EINTR(recv(q->fd, buf, sizeof(buf), 0));
    if (len < 0) {
        error_setg_errno(errp, errno, "cannot read");
        return false;
    }
    if (!len) {
        error_setg(errp, "QEMU has closed the connection");
        return false;
    }
    json_message_parser_feed(&q->parser, buf, len);
    if (q->err) {
        error_propagate(errp, g_steal_pointer(&q->err));
        return false;
    }
    return true;
}

bool qmp_read(Qmp *q, Error **errp)
{
    struct pollfd pfd = { .fd = q->fd, .events = POLLIN };

    while (poll(&pfd, 1, 0) == 1) {
        if (!qmp_read_some(q, 0, errp)) {
            return false;
        }
    }
    return true;
}

QDict *qmp_event(Qmp *q)
{
    return g_queue_pop_head(&q->events);
}

/* To be unreferenced: the next message that is no event */
static QDict *qmp_wait(Qmp *q, Error **errp)
{
    while (!q->answer) {
        if (!qmp_read_some(q, QMP_WAIT_MS, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&q->answer);
}

static QDict *qmp_call(Qmp *q, const char *command, Error **errp)
{
    size_t left = strlen(command);
    QDict *answer;
    QDict *error;

    while (left) {
        ssize_t done = RETRY_ON_EINTR(send(q->fd, command, left,
                                           MSG_NOSIGNAL));

        if (done < 0) {
            error_setg_errno(errp, errno, "cannot write");
            return NULL;
        }
        command += done;
        left -= done;
    }
    answer = qmp_wait(q, errp);
    if (!answer || qdict_haskey(answer, "return")) {
        return answer;
    }
    error = qdict_get_qdict(answer, "error");
    error_setg(errp, "%s", (error ? qdict_get_try_str(error, "desc") : NULL) ?:
               "an answer that is none");
    qobject_unref(answer);
    return NULL;
}

static SocketAddress *qmp_address(const char *address, Error **errp)
{
    g_autofree char *path = NULL;

    if (strchr(address, '/') && !strstart(address, "unix:", NULL)) {
        path = g_strdup_printf("unix:%s", address);
    }
    return socket_parse(path ?: address, errp);
}

static bool qmp_start(Qmp *q, Error **errp)
{
    QDict *greeting = qmp_wait(q, errp), *answer;
    bool is_qmp = greeting && qdict_haskey(greeting, "QMP");

    if (greeting && !is_qmp) {
        error_setg(errp, "this is no QMP");
    }
    qobject_unref(greeting);
    if (!is_qmp) {
        return false;
    }
    answer = qmp_call(q, "{ \"execute\": \"qmp_capabilities\" }\n", errp);
    qobject_unref(answer);
    return answer;
}

Qmp *qmp_open(const char *address, Error **errp)
{
    g_autoptr(SocketAddress) addr = qmp_address(address, errp);
    Qmp *q;
    int fd;

    if (!addr) {
        return NULL;
    }
    fd = socket_connect(addr, errp);
    if (fd < 0) {
        return NULL;
    }
    q = g_new0(Qmp, 1);
    q->fd = fd;
    g_queue_init(&q->events);
    json_message_parser_init(&q->parser, qmp_message, q, NULL);
    if (!qmp_start(q, errp)) {
        qmp_close(q);
        return NULL;
    }
    return q;
}

void qmp_close(Qmp *q)
{
    QDict *event;

    if (!q) {
        return;
    }
    close(q->fd);
    json_message_parser_destroy(&q->parser);
    while ((event = qmp_event(q))) {
        qobject_unref(event);
    }
    qobject_unref(q->answer);
    error_free(q->err);
    g_free(q);
}

bool qmp_query(Qmp *q, NestedIommuInfoList **list, Error **errp)
{
    QDict *answer = qmp_call(q, "{ \"execute\": \"x-query-nested-iommu\", "
                             "\"arguments\": { \"pasids\": false } }\n", errp);
    Visitor *v;
    bool ok;

    if (!answer) {
        return false;
    }
    v = qobject_input_visitor_new(qdict_get(answer, "return"));
    ok = visit_type_NestedIommuInfoList(v, NULL, list, errp);
    visit_free(v);
    qobject_unref(answer);
    return ok;
}
