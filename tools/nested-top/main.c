/*
 * qemu-nested-top: what nested vIOMMUs of a running QEMU do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <getopt.h>
#include <poll.h>
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "qobject/qjson.h"
#include "qobject/qnum.h"
#include "top.h"

#define INTERVAL_MIN 0.1
#define INTERVAL_MAX 3600.0

typedef struct Top {
    View view;
    bool batch;
    uint64_t left;              /* samples; 0: any number */
    Qmp *qmp;
    Sample before;
    char *problem;
    char *event;
} Top;

static const char usage[] =
    "Usage: qemu-nested-top [OPTION]... SOCKET\n"
    "What nested vIOMMUs of a running QEMU do. SOCKET is where its QMP is: a\n"
    "path, or HOST:PORT.\n"
    "\n"
    "  -b, --batch             JSON lines instead of a terminal\n"
    "  -i, --interval=SECONDS  between two samples (default: 1)\n"
    "  -n, --count=N           end after so many (default: do not end)\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version of QEMU that it belongs to\n";

/* --------------------------------------------------------------- --batch */

/* Return: false: there is nobody any more who reads it */
static bool batch_line(QDict *dict)
{
    g_autoptr(GString) json = NULL;
    bool ok;

    qdict_put(dict, "time", qnum_from_double(g_get_real_time() / 1e6));
    json = qobject_to_json(QOBJECT(dict));
    ok = puts(json->str) >= 0 && !fflush(stdout);
    qobject_unref(dict);
    return ok;
}

static bool batch_string(const char *key, const char *value)
{
    QDict *dict = qdict_new();

    qdict_put_str(dict, key, value);
    return batch_line(dict);
}

/* ------------------------------------------------------------- the samples */

static bool top_event(Top *t, QDict *event)
{
    const char *name = qdict_get_try_str(event, "event");
    QDict *data = qdict_get_qdict(event, "data"), *dict;
    const char *device, *reason;

    if (!name || !strstart(name, "NESTED_IOMMU_", NULL) || !data) {
        return true;
    }
    if (t->batch) {
        dict = qdict_new();
        qdict_put_str(dict, "event", name);
        qdict_put(dict, "data", qobject_ref(data));
        return batch_line(dict);
    }
    device = qdict_get_try_str(data, "device");
    reason = qdict_get_try_str(data, "reason");
    g_free(t->event);
    t->event = reason ? g_strdup_printf("%s: blocked: %s", device, reason)
                      : NULL;
    return true;
}

static bool top_events(Top *t)
{
    bool ok = true;
    QDict *event;

    while (ok && (event = qmp_event(t->qmp))) {
        ok = top_event(t, event);
        qobject_unref(event);
    }
    return ok;
}

/* What was seen so far is of another QEMU, or of another life of it */
static bool top_lost(Top *t, Error *err)
{
    bool again = !g_strcmp0(t->problem, error_get_pretty(err));

    qmp_close(t->qmp);
    t->qmp = NULL;
    sample_clear(&t->before);
    qobject_unref(t->view.report);
    t->view.report = NULL;
    g_free(t->problem);
    t->problem = g_strdup(error_get_pretty(err));
    error_free(err);
    return !t->batch || again || batch_string("disconnected", t->problem);
}

static bool top_report(Top *t, const Sample *now)
{
    QDict *dict;

    qobject_unref(t->view.report);
    t->view.report = report_new(&t->before, now);
    if (!t->batch) {
        return true;
    }
    dict = qdict_new();
    qdict_put(dict, "interval",
              qnum_from_double(t->before.ns ? (now->ns - t->before.ns) / 1e9
                                            : 0));
    qdict_put(dict, "iommus", qobject_ref(t->view.report));
    return batch_line(dict);
}

/* Return: false: there is nobody any more who reads it */
static bool top_sample(Top *t)
{
    Sample now = {};
    Error *err = NULL;
    bool ok;

    if (!t->qmp) {
        t->qmp = qmp_open(t->view.address, &err);
        if (!t->qmp) {
            return top_lost(t, err);
        }
    }
    if (!qmp_query(t->qmp, &now.list, &err)) {
        return top_lost(t, err);
    }
    now.ns = g_get_monotonic_time() * 1000;
    g_clear_pointer(&t->problem, g_free);
    ok = top_events(t) && top_report(t, &now);
    sample_clear(&t->before);
    t->before = now;
    return ok;
}

static void top_draw(Top *t)
{
    if (!t->batch) {
        t->view.problem = t->problem;
        t->view.event = t->event;
        screen_draw(&t->view);
    }
}

/* Until the next sample is due. Return: false: it is not wanted any more */
static bool top_wait(Top *t, int64_t until)
{
    int64_t left;

    while ((left = until - g_get_monotonic_time()) > 0) {
        struct pollfd pfd[] = {
            { .fd = t->batch ? -1 : STDIN_FILENO, .events = POLLIN },
            { .fd = t->qmp ? qmp_fd(t->qmp) : -1, .events = POLLIN },
        };
        Error *err = NULL;

        /* A signal (SIGWINCH) as well: curses has it as a key */
        poll(pfd, ARRAY_SIZE(pfd), DIV_ROUND_UP(left, 1000));
        if (!t->batch) {
            int key = screen_key();

            if (key == 'q' || (pfd[0].revents & (POLLHUP | POLLERR))) {
                return false;
            }
        }
        if (pfd[1].revents) {
            if (!qmp_read(t->qmp, &err)) {
                if (!top_lost(t, err)) {
                    return false;
                }
            } else if (!top_events(t)) {
                return false;
            }
        }
        top_draw(t);
    }
    return true;
}

static void top_run(Top *t)
{
    int64_t next = g_get_monotonic_time();

    for (;;) {
        if (!top_sample(t)) {
            return;
        }
        top_draw(t);
        if (t->left && !--t->left) {
            return;
        }
        next += t->view.interval * G_USEC_PER_SEC;
        if (!top_wait(t, next)) {
            return;
        }
        /* One that has taken long is not made up for */
        next = MAX(next, g_get_monotonic_time());
    }
}

/* ------------------------------------------------------------- the options */

static void top_bad(const char *option, const char *value, const char *want)
{
    error_report("--%s=%s: %s", option, value, want);
    exit(2);
}

static void top_options(Top *t, int argc, char **argv)
{
    static const struct option options[] = {
        { "batch", no_argument, NULL, 'b' },
        { "interval", required_argument, NULL, 'i' },
        { "count", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        {},
    };
    int c;

    while ((c = getopt_long(argc, argv, "bi:n:hV", options, NULL)) != -1) {
        switch (c) {
        case 'b':
            t->batch = true;
            break;
        case 'i':
            if (qemu_strtod_finite(optarg, NULL, &t->view.interval) ||
                t->view.interval < INTERVAL_MIN ||
                t->view.interval > INTERVAL_MAX) {
                top_bad("interval", optarg, "seconds, from 0.1 to 3600");
            }
            break;
        case 'n':
            if (qemu_strtou64(optarg, NULL, 10, &t->left) || !t->left) {
                top_bad("count", optarg, "a number from 1 on");
            }
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        case 'V':
            puts("qemu-nested-top " QEMU_VERSION);
            exit(0);
        default:
            fputs("Try --help\n", stderr);
            exit(2);
        }
    }
    if (argc != optind + 1) {
        error_report("one SOCKET is needed, where QEMU has its QMP: see "
                     "--help");
        exit(2);
    }
    t->view.address = argv[optind];
}

int main(int argc, char **argv)
{
    Top t = { .view.interval = 1 };
    Error *err = NULL;

    error_init(argv[0]);
    top_options(&t, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (!t.batch && !screen_start(&err)) {
        error_report_err(err);
        return 1;
    }
    top_run(&t);
    screen_end();
    /* Asked for a number of samples, and the last one was none */
    if (t.problem) {
        error_report("%s: %s", t.view.address, t.problem);
    }
    return t.problem ? 1 : 0;
}
