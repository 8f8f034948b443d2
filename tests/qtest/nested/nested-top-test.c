/*
 * qemu-nested-top against a running QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <math.h>
#include <poll.h>
#include <sys/wait.h>
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "vtd-pri-rig.h"

#define IOVA    0x4000000000ULL
#define DID     PRI_DID
#define WAIT_MS 60000

/* A child that writes lines, ended with the test if not before */
typedef struct Tool {
    GPid pid;
    FILE *out, *err;
    int fd[2];
} Tool;

static char *socket_path;

static void start(PriRig *p)
{
    g_autofree char *host = vtd_rig_host(1, "", "");
    g_autofree char *extra = g_strdup_printf("-qmp unix:%s,server=on,wait=off",
                                             socket_path);

    pri_start_with(p, host, "nested=on", 1, extra, 0);
}

static void tool_start(Tool *t, const char *args)
{
    g_autofree char *command = g_strdup_printf("%s %s", getenv("NESTED_TOP"),
                                               args);
    g_auto(GStrv) argv = NULL;
    GError *err = NULL;

    g_assert_true(g_shell_parse_argv(command, NULL, &argv, &err));
    g_assert_true(g_spawn_async_with_pipes(NULL, argv, NULL,
                                           G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                                           NULL, &t->pid, NULL, &t->fd[0],
                                           &t->fd[1], &err));
    t->out = fdopen(t->fd[0], "r");
    t->err = fdopen(t->fd[1], "r");
}

static void wait_readable(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    g_assert_cmpint(RETRY_ON_EINTR(poll(&pfd, 1, WAIT_MS)), ==, 1);
}

/* To be unreferenced: the next line of --batch that has @key */
static QDict *tool_next(Tool *t, const char *key)
{
    g_autofree char *line = NULL;
    size_t size = 0;

    for (;;) {
        QDict *dict;

        wait_readable(t->fd[0]);
        g_assert_cmpint(getline(&line, &size, t->out), >, 0);
        dict = qobject_to(QDict, qobject_from_json(line, &error_abort));
        g_assert_nonnull(dict);
        g_assert_nonnull(qdict_get(dict, "time"));
        if (qdict_haskey(dict, key)) {
            return dict;
        }
        qobject_unref(dict);
    }
}

/* Return: the exit status; what it said is in *@said */
static int tool_end(Tool *t, char **said)
{
    size_t size = 0;
    int status;

    *said = NULL;
    wait_readable(t->fd[1]);
    if (getdelim(said, &size, '\0', t->err) < 0) {
        free(*said);
        *said = NULL;
    }
    g_assert_cmpint(waitpid(t->pid, &status, 0), ==, t->pid);
    fclose(t->out);
    fclose(t->err);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void tool_expect(const char *args, int status, const char *words)
{
    char *said;
    Tool t;

    tool_start(&t, args);
    g_assert_cmpint(tool_end(&t, &said), ==, status);
    g_assert_cmpint(!said, ==, !words);
    if (words && !strstr(said, words)) {
        g_error("'%s' in %s", words, said);
    }
    free(said);
}

static QDict *first(const QDict *dict, const char *key)
{
    return qobject_to(QDict, qlist_peek(qdict_get_qlist(dict, key)));
}

static double number(const QDict *dict, const char *key)
{
    return qnum_get_double(qobject_to(QNum, qdict_get(dict, key)));
}

static void bind_pasid(PriRig *p, VtdPgtt pgtt)
{
    vtd_pasid_set(&p->v.t, RID0, PRI_PASID, &(VtdPasidEntry) {
        .pgtt = pgtt, .did = DID, .s1 = p->s1, .s1_levels = 4,
    });
    vtd_rig_inv_pasid(&p->v, DID, PRI_PASID);
}

/* Rates are of what was done between two samples, and nothing else */
static void test_batch(void)
{
    g_autofree char *args = g_strdup_printf("--batch -i 2 -n 3 %s",
                                            socket_path);
    QDict *line, *iommu, *dev, *counters;
    double interval, entries;
    const QList *batches;
    char *said;
    PriRig p;
    Tool t;

    start(&p);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    tool_start(&t, args);
    line = tool_next(&t, "iommus");
    iommu = first(line, "iommus");
    dev = first(iommu, "devices");
    g_assert_cmpstr(qdict_get_str(iommu, "name"), ==, "intel-iommu");
    g_assert_cmpstr(qdict_get_str(dev, "name"), ==, HOST_DEV0);
    g_assert_cmpstr(qdict_get_str(dev, "state"), ==, "stage1");
    g_assert_cmpint(qdict_get_int(dev, "label"), ==, RID0);
    g_assert_cmpint(qdict_get_int(dev, "refused"), ==, 0);
    g_assert_cmpint(qdict_get_int(iommu, "hwpts"), ==, 1);
    g_assert_cmpfloat(number(line, "interval"), ==, 0);
    g_assert_cmpfloat(number(qdict_get_qdict(iommu, "counters"),
                             "inv-entries"), ==, 0);
    g_assert_true(qlist_size(qdict_get_qlist(iommu, "memory")) > 0);
    qobject_unref(line);

    for (unsigned i = 0; i < 10; i++) {
        vtd_queue_push(&p.v.q, vtd_inv_piotlb(DID, PRI_PASID,
                                              IOVA + i * 0x2000, 0, true));
    }
    vtd_rig_sync(&p.v);
    line = tool_next(&t, "iommus");
    iommu = first(line, "iommus");
    counters = qdict_get_qdict(iommu, "counters");
    interval = number(line, "interval");
    entries = number(counters, "inv-entries") * interval;
    g_assert_cmpfloat(interval, >=, 1.5);
    g_assert_cmpfloat(fabs(entries - 10), <, 0.001);
    g_assert_cmpfloat(fabs(number(qdict_get_qdict(iommu, "commands"),
                                  "piotlb") * interval - 10), <, 0.001);
    g_assert_cmpint(qdict_get_int(counters, "inv-largest-batch"), ==, 10);
    batches = qdict_get_qlist(iommu, "batches");
    g_assert_cmpuint(qlist_size(batches), ==, 4);
    qobject_unref(line);

    line = tool_next(&t, "iommus");
    counters = qdict_get_qdict(first(line, "iommus"), "counters");
    g_assert_cmpfloat(number(counters, "inv-entries"), ==, 0);
    qobject_unref(line);
    g_assert_cmpint(tool_end(&t, &said), ==, 0);
    g_assert_null(said);
    pri_stop(&p);
}

/* A page request has its time in the histogram of the sample behind it */
static void test_page_requests(void)
{
    g_autofree char *args = g_strdup_printf("--batch -i 1 %s", socket_path);
    double groups = 0;
    PageRequest req;
    PriRig p;
    Tool t;

    start(&p);
    pri_context(&p, VTD_CTX_DTE | VTD_CTX_PRE);
    tool_start(&t, args);
    qobject_unref(tool_next(&t, "iommus"));
    pri_miss(&p, true, IOVA);
    req = pri_next(&p);
    pri_respond(&p, &req, VTD_PRG_INVALID);
    while (groups < 0.5) {
        QDict *line = tool_next(&t, "iommus");
        QDict *iommu = first(line, "iommus");

        groups += number(first(iommu, "devices"), "page-groups-in") *
                  number(line, "interval");
        if (groups > 0.5) {
            g_assert_cmpuint(qlist_size(qdict_get_qlist(iommu, "latency")), >,
                             0);
        }
        qobject_unref(line);
    }
    g_assert_cmpfloat(fabs(groups - 1), <, 0.001);

    /* QEMU ends, and with it the connection; the tool does not */
    pri_stop(&p);
    qobject_unref(tool_next(&t, "disconnected"));
    start(&p);
    qobject_unref(tool_next(&t, "iommus"));
    kill(t.pid, SIGTERM);
    waitpid(t.pid, NULL, 0);
    fclose(t.out);
    fclose(t.err);
    pri_stop(&p);
}

/* Events at once, and the reason in each sample */
static void test_blocked(void)
{
    g_autofree char *args = g_strdup_printf("--batch -i 1 %s", socket_path);
    QDict *line, *data, *dev;
    PriRig p;
    Tool t;

    start(&p);
    pri_context(&p, 0);
    tool_start(&t, args);
    qobject_unref(tool_next(&t, "iommus"));
    bind_pasid(&p, VTD_PGTT_NESTED);
    line = tool_next(&t, "event");
    g_assert_cmpstr(qdict_get_str(line, "event"), ==, "NESTED_IOMMU_BLOCKED");
    data = qdict_get_qdict(line, "data");
    g_assert_cmpint(qdict_get_int(data, "pasid"), ==, PRI_PASID);
    qobject_unref(line);
    line = tool_next(&t, "iommus");
    dev = first(first(line, "iommus"), "devices");
    g_assert_cmpint(qdict_get_int(dev, "refused"), ==, 1);
    g_assert_cmpint(qdict_get_int(dev, "refused-pasid"), ==, PRI_PASID);
    g_assert_nonnull(strstr(qdict_get_str(dev, "refused-reason"), "PASID "));
    qobject_unref(line);
    kill(t.pid, SIGTERM);
    waitpid(t.pid, NULL, 0);
    fclose(t.out);
    fclose(t.err);
    pri_stop(&p);
}

/* What it says when it is not given what it needs */
static void test_arguments(void)
{
    tool_expect("", 2, "one SOCKET is needed");
    tool_expect("a b", 2, "one SOCKET is needed");
    tool_expect("-i 0 a", 2, "--interval=0: seconds, from 0.1 to 3600");
    tool_expect("--interval=nan a", 2, "--interval=nan: seconds");
    tool_expect("-i 1x a", 2, "--interval=1x: seconds");
    tool_expect("-n 0 a", 2, "--count=0: a number from 1 on");
    tool_expect("--nonsense a", 2, "Try --help");
    tool_expect("--batch -n 1 /nonexistent/socket", 1, "/nonexistent/socket");
    tool_expect("--help", 0, NULL);
}

/* ------------------------------------------------------------ the terminal */

static char *tmux(const char *args)
{
    g_autofree char *command = g_strdup_printf("tmux -f /dev/null -S %s.tmux "
                                               "%s", socket_path, args);
    g_autofree char *err = NULL;
    char *out = NULL;
    int status;

    g_assert_true(g_spawn_command_line_sync(command, &out, &err, &status,
                                            NULL));
    if (status) {
        g_free(out);
        return NULL;
    }
    return out;
}

/* A test that fails leaves no terminal behind */
static void end_terminal(void *unused)
{
    g_free(tmux("kill-server"));
}

/* To be freed: the terminal, when it has @words */
static char *screen_with(const char *words)
{
    int64_t end = g_get_monotonic_time() + WAIT_MS * 1000;

    for (;;) {
        char *text = tmux("capture-pane -p -e");

        g_assert_nonnull(text);
        if (strstr(text, words)) {
            return text;
        }
        if (g_get_monotonic_time() > end) {
            g_error("no '%s' in:\n%s", words, text);
        }
        g_free(text);
        g_usleep(100000);
    }
}

/* The line with @words is red, or it is not */
static void expect_red(const char *text, const char *words, bool red)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 0; lines[i]; i++) {
        if (strstr(lines[i], words)) {
            g_assert_cmpint(!!strstr(lines[i], "31m"), ==, red);
            return;
        }
    }
    g_assert_not_reached();
}

static void test_screen(void)
{
    g_autofree char *command = g_strdup_printf(
        "new-session -d -x 110 -y 40 '%s -i 0.2 %s'", getenv("NESTED_TOP"),
        socket_path);
    g_autofree char *tmux_path = g_find_program_in_path("tmux");
    g_autofree char *server = g_strdup_printf("%s.tmux", socket_path);
    char *text;
    PriRig p;

    if (!tmux_path) {
        g_test_skip("there is no tmux");
        return;
    }
    start(&p);
    pri_context(&p, 0);
    text = tmux(command);
    g_assert_nonnull(text);
    g_free(text);
    qtest_add_abrt_handler(end_terminal, socket_path);
    text = screen_with(HOST_DEV0);
    expect_red(text, HOST_DEV0, false);
    g_assert_nonnull(strstr(text, "stage1"));
    g_assert_nonnull(strstr(text, "HWPTs 1/"));
    g_assert_nonnull(strstr(text, "locked MiB"));
    g_free(text);

    bind_pasid(&p, VTD_PGTT_NESTED);
    text = screen_with("PASID 7: PASID entry asks for");
    expect_red(text, "PASID 7: PASID entry asks for", true);
    g_free(text);
    bind_pasid(&p, VTD_PGTT_FIRST);
    text = screen_with("stage1");
    while (strstr(text, "31m")) {
        g_free(text);
        text = screen_with("stage1");
    }
    g_free(text);

    /* Another size, QEMU goes and comes, and the key that ends it */
    g_free(tmux("resize-window -x 40 -y 6"));
    g_free(screen_with("intel-iommu"));
    g_free(tmux("resize-window -x 110 -y 40"));
    pri_stop(&p);
    g_free(screen_with("trying again"));
    start(&p);
    g_free(screen_with(HOST_DEV0));
    g_free(tmux("send-keys q"));
    for (unsigned i = 0; (text = tmux("list-sessions")); i++) {
        g_free(text);
        g_assert_cmpuint(i, <, WAIT_MS / 100);
        g_usleep(100000);
    }
    qtest_remove_abrt_handler(socket_path);
    unlink(server);
    pri_stop(&p);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    g_assert_nonnull(getenv("NESTED_TOP"));
    socket_path = nested_rig_scratch("qmp");
    qtest_add_func("/nested-top/batch", test_batch);
    qtest_add_func("/nested-top/page-requests", test_page_requests);
    qtest_add_func("/nested-top/blocked", test_blocked);
    qtest_add_func("/nested-top/arguments", test_arguments);
    qtest_add_func("/nested-top/screen", test_screen);
    ret = g_test_run();
    nested_rig_scratch_remove(socket_path);
    g_free(socket_path);
    return ret;
}
