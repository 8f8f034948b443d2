/*
 * qtest under the model of /dev/iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "iommufd-model.h"
#include "qemu/cutils.h"
#include "qobject/qjson.h"

#define BINARY_VAR      "QTEST_QEMU_BINARY_IOMMUFD_MODEL"

/* -------------------------------------------------------------------- life */

static char *find_library(void)
{
    const char *path = getenv("IOMMUFD_MODEL_LIBRARY");
    char *real;

    path = path ?: "tests/iommufd-model/libiommufd-model.so";
    real = realpath(path, NULL);
    if (!real) {
        g_error("%s: %s (set IOMMUFD_MODEL_LIBRARY)", path, strerror(errno));
    }
    return real;
}

IommufdModel *iommufd_model_new(const char *config)
{
    IommufdModel *m = g_new0(IommufdModel, 1);
    g_autofree char *file = NULL, *text = NULL;
    g_autoptr(GError) err = NULL;

    m->sock = -1;
    m->library = find_library();
    m->dir = g_dir_make_tmp("iommufd-model-XXXXXX", &err);
    g_assert_no_error(err);
    file = g_build_filename(m->dir, "config", NULL);
    text = g_strdup_printf("[model]\n"
                           "journal=%s/journal\n"
                           "socket=%s/socket\n"
                           "run-dir=%s/run\n"
                           "%s", m->dir, m->dir, m->dir, config);
    g_file_set_contents(file, text, -1, &err);
    g_assert_no_error(err);
    return m;
}

static void connect_socket(IommufdModel *m)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    g_assert_cmpint(snprintf(addr.sun_path, sizeof(addr.sun_path),
                             "%s/socket", m->dir), <, sizeof(addr.sun_path));
    m->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(m->sock, >=, 0);
    if (connect(m->sock, (struct sockaddr *)&addr, sizeof(addr))) {
        g_error("%s: %s: is the model preloaded?", addr.sun_path,
                strerror(errno));
    }
}

/*
 * libqtest runs "exec $binary arguments" in a shell.  The environment is
 * given to the binary alone, not to this process or the shell, so that
 * nobody else runs under the model.  An address sanitizer in the binary
 * wants to be the first library, and has to be told that it is not. Another
 * library of the test's comes last, so that its constructor is the first.
 */
static char *binary_under_model(const IommufdModel *m)
{
    const char *options = getenv("ASAN_OPTIONS");
    g_autofree char *libraries =
        g_strdup_printf("%s %s", m->library,
                        getenv("IOMMUFD_MODEL_PRELOAD") ?: "");
    g_autofree char *library = g_shell_quote(libraries);
    g_autofree char *dir = g_shell_quote(m->dir);
    g_autofree char *asan =
        g_strdup_printf("%s:verify_asan_link_order=0", options ?: "");
    g_autofree char *quoted = g_shell_quote(asan);

    return g_strdup_printf("env ASAN_OPTIONS=%s LD_PRELOAD=%s "
                           "IOMMUFD_MODEL=%s/config %s", quoted, library,
                           dir, qtest_qemu_binary(NULL));
}

QTestState *iommufd_model_start(IommufdModel *m, const char *fmt, ...)
{
    g_autofree char *binary = binary_under_model(m);
    g_autofree char *args = NULL;
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_setenv(BINARY_VAR, binary, true);
    m->qts = qtest_init_ext(BINARY_VAR, args, NULL, true);
    g_unsetenv(BINARY_VAR);
    connect_socket(m);
    return m->qts;
}

static void remove_tree(const char *path)
{
    GDir *dir;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        dir = g_dir_open(path, 0, NULL);
        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree char *child = g_build_filename(path, name, NULL);

            remove_tree(child);
        }
        if (dir) {
            g_dir_close(dir);
        }
    }
    g_remove(path);
}

/* A VMM can have the kernel use what it has freed */
static void must_be_sane(IommufdModel *m)
{
    g_autofree char *file = g_build_filename(m->dir, "journal", NULL);
    g_autofree char *content = NULL;

    g_assert_false(g_file_get_contents(file, &content, NULL, NULL) &&
                   strstr(content, "\"ev\":\"use-after-free\""));
}

void iommufd_model_free(IommufdModel *m)
{
    if (m->sock >= 0) {
        close(m->sock);
    }
    if (m->qts) {
        qtest_quit(m->qts);
    }
    must_be_sane(m);
    remove_tree(m->dir);
    free(m->library);
    g_free(m->dir);
    g_free(m);
}

int iommufd_model_open(IommufdModel *m, const char *path)
{
    g_autofree char *file = g_strdup_printf("%s/run%s", m->dir, path);
    int fd = open(file, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        g_error("%s: %s", file, strerror(errno));
    }
    return fd;
}

unsigned iommufd_model_vfio_index(IommufdModel *m, const char *bdf)
{
    g_autofree char *path =
        g_strdup_printf("%s/run/sys/bus/pci/devices/%s/vfio-dev", m->dir, bdf);
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned index = UINT_MAX;
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (sscanf(name, "vfio%u", &index) == 1) {
            break;
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_assert_cmpuint(index, !=, UINT_MAX);
    return index;
}

/* ---------------------------------------------------------- control socket */

static void send_text(IommufdModel *m, const char *text, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(m->sock, text + done, len - done);

        g_assert_cmpint(n, >, 0);
        done += n;
    }
}

static bool next_char(IommufdModel *m, char *c)
{
    if (m->in_at == m->in_len) {
        ssize_t n = read(m->sock, m->in, sizeof(m->in));

        if (n <= 0) {
            return false;
        }
        m->in_at = 0;
        m->in_len = n;
    }
    *c = m->in[m->in_at++];
    return true;
}

static QDict *receive(IommufdModel *m, const char *request)
{
    g_autoptr(GString) answer = g_string_new(NULL);
    QObject *obj;
    char c;

    while (next_char(m, &c) && c != '\n') {
        g_string_append_c(answer, c);
    }
    obj = qobject_from_json(answer->str, NULL);
    if (!qobject_to(QDict, obj)) {
        g_error("%s: no answer to %s: '%s'", __func__, request, answer->str);
    }
    return qobject_to(QDict, obj);
}

static QDict *transact(IommufdModel *m, const char *request)
{
    g_autofree char *line = g_strconcat(request, "\n", NULL);

    send_text(m, line, strlen(line));
    return receive(m, request);
}

static QDict *G_GNUC_PRINTF(2, 0) vcommand(IommufdModel *m,
                                           const char *fmt, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(fmt, ap);

    return transact(m, text);
}

QDict *iommufd_model_command(IommufdModel *m, const char *fmt, ...)
{
    QDict *answer;
    va_list ap;

    va_start(ap, fmt);
    answer = vcommand(m, fmt, ap);
    va_end(ap);
    return answer;
}

static void must_be_ok(const QDict *answer)
{
    if (!qdict_get_try_bool(answer, "ok", false)) {
        g_error("model: %s", qdict_get_try_str(answer, "error") ?: "refused");
    }
}

void iommufd_model_do(IommufdModel *m, const char *fmt, ...)
{
    QDict *answer;
    va_list ap;

    va_start(ap, fmt);
    answer = vcommand(m, fmt, ap);
    va_end(ap);
    must_be_ok(answer);
    qobject_unref(answer);
}

/* --------------------------------------------------------------------- DMA */

static void dma_request(GString *text, const char *bdf, const IommufdDma *how,
                        uint64_t addr, size_t len, const uint8_t *data)
{
    size_t i;

    g_string_append_printf(text, "{\"cmd\":\"dma\",\"dev\":\"%s\",\"op\":"
                           "\"%s\",\"addr\":%" PRIu64 ",\"len\":%zu", bdf,
                           data ? "write" : "read", addr, len);
    if (how && how->with_pasid) {
        g_string_append_printf(text, ",\"pasid\":%u", how->pasid);
    }
    if (how && how->ats) {
        g_string_append(text, ",\"ats\":true");
    }
    if (how && how->priv) {
        g_string_append(text, ",\"priv\":true");
    }
    if (how && how->exec) {
        g_string_append(text, ",\"exec\":true");
    }
    if (data) {
        g_string_append(text, ",\"data\":\"");
        for (i = 0; i < len; i++) {
            g_string_append_printf(text, "%02x", data[i]);
        }
        g_string_append_c(text, '"');
    }
    g_string_append_c(text, '}');
}

static QDict *dma(IommufdModel *m, const char *bdf, const IommufdDma *how,
                  uint64_t addr, size_t len, const uint8_t *data)
{
    g_autoptr(GString) text = g_string_new(NULL);
    QDict *answer;

    dma_request(text, bdf, how, addr, len, data);
    answer = transact(m, text->str);
    must_be_ok(answer);
    return answer;
}

static void dma_data(const QDict *answer, uint8_t *out, size_t len)
{
    const char *hex = qdict_get_str(answer, "data");
    size_t i;

    g_assert_cmpuint(strlen(hex), ==, 2 * len);
    for (i = 0; i < len; i++) {
        out[i] = g_ascii_xdigit_value(hex[2 * i]) << 4 |
                 g_ascii_xdigit_value(hex[2 * i + 1]);
    }
}

void iommufd_model_dma_batch(IommufdModel *m, IommufdDmaOp *op, unsigned num)
{
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned i;

    g_assert_cmpuint(num, <=, IOMMUFD_MODEL_BATCH);
    for (i = 0; i < num; i++) {
        uint64_t data = cpu_to_le64(op[i].data);

        dma_request(text, op[i].bdf, &op[i].how, op[i].addr, sizeof(data),
                    op[i].write ? (uint8_t *)&data : NULL);
        g_string_append_c(text, '\n');
    }
    send_text(m, text->str, text->len);
    for (i = 0; i < num; i++) {
        QDict *answer = receive(m, "a batch of DMA");

        must_be_ok(answer);
        op[i].fault = qdict_haskey(answer, "fault");
        if (!op[i].fault && !op[i].write) {
            uint64_t data;

            dma_data(answer, (uint8_t *)&data, sizeof(data));
            op[i].data = le64_to_cpu(data);
        }
        qobject_unref(answer);
    }
}

static void must_not_fault(const QDict *answer, const char *bdf,
                           uint64_t addr)
{
    QDict *fault = qdict_get_qdict(answer, "fault");

    if (fault) {
        g_error("%s: DMA to 0x%" PRIx64 ": fault '%s' of stage %" PRId64,
                bdf, addr, qdict_get_str(fault, "reason"),
                qdict_get_int(fault, "stage"));
    }
}

void iommufd_model_dma_read(IommufdModel *m, const char *bdf,
                            const IommufdDma *how, uint64_t addr,
                            void *buf, size_t len)
{
    QDict *answer = dma(m, bdf, how, addr, len, NULL);

    must_not_fault(answer, bdf, addr);
    dma_data(answer, buf, len);
    qobject_unref(answer);
}

void iommufd_model_dma_write(IommufdModel *m, const char *bdf,
                             const IommufdDma *how, uint64_t addr,
                             const void *buf, size_t len)
{
    QDict *answer = dma(m, bdf, how, addr, len, buf);

    must_not_fault(answer, bdf, addr);
    qobject_unref(answer);
}

void iommufd_model_expect_data(IommufdModel *m, const char *bdf,
                               const IommufdDma *how, uint64_t addr,
                               uint8_t value, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);
    size_t i;

    iommufd_model_dma_read(m, bdf, how, addr, buf, len);
    for (i = 0; i < len; i++) {
        g_assert_cmphex(buf[i], ==, value);
    }
}

void iommufd_model_expect_fault(IommufdModel *m, const char *bdf,
                                const IommufdDma *how, uint64_t addr,
                                bool write, int stage, const char *reason)
{
    const uint8_t data[4] = { 0 };
    QDict *answer = dma(m, bdf, how, addr, sizeof(data),
                        write ? data : NULL);
    QDict *fault = qdict_get_qdict(answer, "fault");

    if (!fault) {
        g_error("%s: DMA to 0x%" PRIx64 " does not fault", bdf, addr);
    }
    if (reason) {
        g_assert_cmpstr(qdict_get_str(fault, "reason"), ==, reason);
    }
    g_assert_cmpint(qdict_get_int(fault, "stage"), ==, stage);
    qobject_unref(answer);
}

/* -------------------------------------------------- counters and journal */

uint64_t iommufd_model_counter(IommufdModel *m, const char *call,
                               const char *field)
{
    QDict *answer = iommufd_model_command(m, "{\"cmd\":\"counters\"}");
    QDict *counters, *one;
    uint64_t value = 0;

    must_be_ok(answer);
    counters = qdict_get_qdict(answer, "counters");
    one = qdict_get_qdict(counters, call);
    if (one) {
        value = qdict_get_int(one, field);
    }
    qobject_unref(answer);
    return value;
}

uint64_t iommufd_model_calls(IommufdModel *m)
{
    /* What the model counts of devices and by itself */
    static const char *const others[] = {
        "live", "pinned", "dma", "page-request", "page-response", "vevent",
        "event-lost", NULL,
    };
    QDict *answer = iommufd_model_command(m, "{\"cmd\":\"counters\"}");
    const QDictEntry *e;
    uint64_t value = 0;
    QDict *counters;

    must_be_ok(answer);
    counters = qdict_get_qdict(answer, "counters");
    for (e = qdict_first(counters); e; e = qdict_next(counters, e)) {
        if (!g_strv_contains(others, qdict_entry_key(e))) {
            value += qdict_get_int(qdict_get_qdict(counters,
                                                   qdict_entry_key(e)),
                                   "calls");
        }
    }
    qobject_unref(answer);
    return value;
}

uint64_t iommufd_model_live(IommufdModel *m, const char *kind)
{
    QDict *answer = iommufd_model_command(m, "{\"cmd\":\"counters\"}");
    QDict *live;
    const QDictEntry *e;
    uint64_t value = 0;

    must_be_ok(answer);
    live = qdict_get_qdict(qdict_get_qdict(answer, "counters"), "live");
    if (kind) {
        value = qdict_get_int(live, kind);
    } else {
        for (e = qdict_first(live); e; e = qdict_next(live, e)) {
            value += qdict_get_int(live, qdict_entry_key(e));
        }
    }
    qobject_unref(answer);
    return value;
}

uint64_t iommufd_model_pinned(IommufdModel *m)
{
    QDict *answer = iommufd_model_command(m, "{\"cmd\":\"counters\"}");
    uint64_t value;

    must_be_ok(answer);
    value = qdict_get_int(qdict_get_qdict(answer, "counters"), "pinned");
    qobject_unref(answer);
    return value;
}

unsigned iommufd_model_journal(IommufdModel *m, const char *text)
{
    g_autofree char *file = g_build_filename(m->dir, "journal", NULL);
    g_autofree char *content = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned i, n = 0;

    g_assert_true(g_file_get_contents(file, &content, NULL, NULL));
    lines = g_strsplit(content, "\n", -1);
    for (i = 0; lines[i]; i++) {
        n += strstr(lines[i], text) != NULL;
    }
    return n;
}

/* ------------------------------------------------ memory and registers */

static void mem_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    qtest_memread(opaque, gpa, buf, len);
}

static void mem_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    /* An empty table: a short command in place of two digits for each byte */
    if (len > 64 && buffer_is_zero(buf, len)) {
        qtest_memset(opaque, gpa, 0, len);
    } else {
        qtest_memwrite(opaque, gpa, buf, len);
    }
}

void iommu_mem_qtest(IommuMem *mem, QTestState *qts, uint64_t first,
                     uint64_t size)
{
    *mem = (IommuMem) {
        .read = mem_read,
        .write = mem_write,
        .opaque = qts,
        .next = first,
        .end = first + size,
    };
}

static uint32_t regs_read32(void *opaque, uint64_t offset)
{
    QtestIommuRegs *where = opaque;

    return qtest_readl(where->qts, where->base + offset);
}

static uint64_t regs_read64(void *opaque, uint64_t offset)
{
    QtestIommuRegs *where = opaque;

    return qtest_readq(where->qts, where->base + offset);
}

static void regs_write32(void *opaque, uint64_t offset, uint32_t value)
{
    QtestIommuRegs *where = opaque;

    qtest_writel(where->qts, where->base + offset, value);
}

static void regs_write64(void *opaque, uint64_t offset, uint64_t value)
{
    QtestIommuRegs *where = opaque;

    qtest_writeq(where->qts, where->base + offset, value);
}

void iommu_regs_qtest(IommuRegs *regs, QtestIommuRegs *where)
{
    *regs = (IommuRegs) {
        .read32 = regs_read32,
        .read64 = regs_read64,
        .write32 = regs_write32,
        .write64 = regs_write64,
        .opaque = where,
    };
}
