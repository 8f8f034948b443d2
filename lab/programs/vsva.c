/*
 * vsva: a process shares its address space with a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs in the innermost guest of the lab, or on real hardware that has the
 * device. Each line on standard output is one JSON object; docs/nested/lab.rst
 * has their members.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vsva.h"

#define DRIVER          "uio_pci_sva"
#define QUEUE_ORDER     8
#define FAULTS          10000

static const TestCase simple_test = {
    "simple", "the block at 0x0, without PASID, and an MSI-X message, as a vfio"
              " user of the guest",
    vfio_simple,
};

static const TestCase omit_test = {
    "rid", "the block at 0x0 has its HWPT taken away", vfio_omit,
};

/* Each ends with NULL */
static const TestCase *const usual_groups[] = {
    memory_tests, error_tests, change_tests, process_tests, time_tests, NULL,
};

static const TestCase *const omit_groups[] = {
    omit_tests, NULL,
};

typedef struct Totals {
    unsigned passed, failed, skipped;
    uint64_t requests;
} Totals;

/* -------------------------------------------------------- for the tests */

void fail(Test *t, const char *format, ...)
{
    va_list ap;

    if (failed(t)) {
        return;
    }
    va_start(ap, format);
    vsnprintf(t->why, sizeof(t->why), format, ap);
    va_end(ap);
}

bool failed(const Test *t)
{
    return *t->why;
}

void fact(Test *t, const char *name, const char *format, ...)
{
    size_t used = strlen(t->facts);
    va_list ap;

    used += snprintf(t->facts + used, sizeof(t->facts) - used, ",\"%s\":",
                     name);
    va_start(ap, format);
    if (used < sizeof(t->facts)) {
        vsnprintf(t->facts + used, sizeof(t->facts) - used, format, ap);
    }
    va_end(ap);
}

const char *code_name(uint32_t code)
{
    switch (code) {
    case SVA_CODE_NONE:
        return "nothing in 30 s";
    case SVA_CODE_OK:
        return "OK";
    case SVA_CODE_OPCODE:
        return "OPCODE";
    case SVA_CODE_RESERVED:
        return "RESERVED";
    case SVA_CODE_RANGE:
        return "RANGE";
    case SVA_CODE_CONFIG:
        return "CONFIG";
    case SVA_CODE_ABSENT:
        return "ABSENT";
    case SVA_CODE_INVALID:
        return "INVALID";
    case SVA_CODE_FAILURE:
        return "FAILURE";
    case SVA_CODE_RETRIES:
        return "RETRIES";
    case SVA_CODE_OVERFLOW:
        return "OVERFLOW";
    case SVA_CODE_BUS:
        return "BUS";
    case SVA_CODE_DISABLED:
        return "DISABLED";
    default:
        return "unknown";
    }
}

bool expect(Test *t, const char *what, Completion c, uint32_t code,
            uint64_t len)
{
    if (c.code != code) {
        fail(t, "%s: %s (0x%x), wanted %s; %" PRIu64 " bytes done, address"
             " 0x%" PRIx64, what, code_name(c.code), c.code, code_name(code),
             c.done, c.address);
    } else if (code == SVA_CODE_OK && c.done != len) {
        fail(t, "%s: OK with %" PRIu64 " of %" PRIu64 " bytes", what, c.done,
             len);
    }
    return !failed(t);
}

/* ------------------------------------------------------------- JSON lines */

static const char *const counter_names[SVA_CNT__NUM] = {
    [SVA_CNT_ATS_REQUESTS] = "translations",
    [SVA_CNT_ATC_HITS] = "tlb_hits",
    [SVA_CNT_INVALIDATIONS] = "invalidations",
    [SVA_CNT_ATC_DROPPED] = "tlb_dropped",
    [SVA_CNT_PAGE_REQUESTS] = "requests",
    [SVA_CNT_PAGE_GROUPS] = "groups",
    [SVA_CNT_RESP_SUCCESS] = "success",
    [SVA_CNT_RESP_INVALID] = "invalid",
    [SVA_CNT_RESP_FAILURE] = "failure",
    [SVA_CNT_RESP_UNEXPECTED] = "unexpected",
    [SVA_CNT_BACKOFFS] = "put_off",
    [SVA_CNT_WAIT_NS] = "wait_ns",
    [SVA_CNT_WAIT_MAX_NS] = "wait_max_ns",
    [SVA_CNT_BYTES_READ] = "read",
    [SVA_CNT_BYTES_WRITTEN] = "written",
    [SVA_CNT_DESCRIPTORS] = "descriptors",
    [SVA_CNT_ERRORS] = "errors",
};

static size_t add(char *line, size_t size, size_t used, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

static size_t add(char *line, size_t size, size_t used, const char *format,
                  ...)
{
    va_list ap;
    int more;

    if (used >= size) {
        return used;
    }
    va_start(ap, format);
    more = vsnprintf(line + used, size - used, format, ap);
    va_end(ap);
    return used + more;
}

/* In one piece: the kernel writes to the same console */
static void emit(const char *line)
{
    size_t len = strlen(line);

    if (write(STDOUT_FILENO, line, len) != (ssize_t)len) {
        exit(3);
    }
}

static void emit_test(const Test *t, const char *name, uint64_t start,
                      const Counters *before, const Counters *after)
{
    char line[4096];
    size_t size = sizeof(line) - 2;
    size_t used = 0;

    used = add(line, size, used, "{\"test\":\"%s\",\"ok\":%s", name,
               failed(t) ? "false" : "true");
    if (failed(t)) {
        used = add(line, size, used, ",\"why\":\"%s\"", t->why);
    } else if (*t->skip) {
        used = add(line, size, used, ",\"skip\":\"%s\"", t->skip);
    }
    used = add(line, size, used, ",\"start_us\":%" PRIu64 ",\"us\":%" PRIu64,
               start / 1000, (now_ns() - start) / 1000);
    for (unsigned i = 0; before && i < SVA_CNT__NUM; i++) {
        /* A maximum has no difference */
        uint64_t value = after->value[i] - (i == SVA_CNT_WAIT_MAX_NS ? 0 :
                                            before->value[i]);

        used = add(line, size, used, ",\"%s\":%" PRIu64, counter_names[i],
                   value);
    }
    used = add(line, size, used, "%s}", t->facts);
    if (used > size) {
        used = size;
    }
    strcpy(line + used, "\n");
    emit(line);
}

static void count(Totals *totals, const Test *t)
{
    if (failed(t)) {
        totals->failed++;
    } else if (*t->skip) {
        totals->skipped++;
    } else {
        totals->passed++;
    }
}

/* ------------------------------------------------------------------ runs */

static bool wanted(const char *only, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = only; p && *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strcspn(p, ",") == len && !strncmp(p, name, len)) {
            return true;
        }
    }
    return !only;
}

static void start_test(Test *t, uint64_t seed)
{
    t->random = seed;
    *t->why = *t->skip = *t->facts = 0;
}

static void run_vfio(Test *t, const TestCase *test, uint64_t seed,
                     Totals *totals)
{
    uint64_t start = now_ns();

    start_test(t, seed);
    test->run(t);
    count(totals, t);
    emit_test(t, test->name, start, NULL, NULL);
}

static void run_test(Test *t, const TestCase *test, uint64_t seed,
                     Totals *totals)
{
    uint64_t start = now_ns();
    Counters before, after;

    start_test(t, seed);
    engine_counters(t->e, &before);
    if (queue_open(&t->q, t->e, 0, QUEUE_ORDER)) {
        test->run(t);
    } else {
        fail(t, "%s", t->e->why);
    }
    queue_close(&t->q);
    engine_counters(t->e, &after);
    totals->requests += after.value[SVA_CNT_PAGE_REQUESTS] -
                        before.value[SVA_CNT_PAGE_REQUESTS];
    count(totals, t);
    emit_test(t, test->name, start, &before, &after);
}

static bool give_up(const Engine *e)
{
    char line[512];

    snprintf(line, sizeof(line), "{\"vsva\":\"end\",\"ok\":false,\"why\":"
             "\"%s\"}\n", e->why);
    emit(line);
    return false;
}

/* Any test that the engine has to be opened for */
static bool wants_engine(const Test *t, const TestCase *const *groups,
                         const char *only)
{
    if (t->peer && wanted(only, peer_test.name)) {
        return true;
    }
    for (; *groups; groups++) {
        for (const TestCase *test = *groups; test->name; test++) {
            if (wanted(only, test->name)) {
                return true;
            }
        }
    }
    return false;
}

static bool run_engine(Test *t, const TestCase *const *groups,
                       const char *only, uint64_t seed, Totals *totals)
{
    Engine *e = t->e;
    char line[512];

    if (!engine_bind(e, DRIVER) || !engine_open(e)) {
        return false;
    }
    snprintf(line, sizeof(line), "{\"vsva\":\"begin\",\"device\":\"%s\","
             "\"pasid\":%u,\"queues\":%u,\"pasid_bits\":%u,\"status\":%u,"
             "\"seed\":%" PRIu64 "}\n", e->bdf, e->pasid, e->queues,
             SVA_PARAMS_PASID_BITS(engine_readl(e, SVA_PARAMS)),
             engine_readl(e, SVA_STATUS), seed);
    emit(line);
    for (; *groups; groups++) {
        for (const TestCase *test = *groups; test->name; test++) {
            if (wanted(only, test->name)) {
                run_test(t, test, seed, totals);
            }
        }
    }
    if (t->peer && wanted(only, peer_test.name)) {
        run_test(t, &peer_test, seed, totals);
    }
    engine_close(e);
    return true;
}

static bool run_all(Test *t, const char *bdf, const char *only, uint64_t seed)
{
    const TestCase *vfio = t->vmm < 0 ? &simple_test : &omit_test;
    const TestCase *const *groups = t->vmm < 0 ? usual_groups : omit_groups;
    Engine e;
    Totals totals = { };
    char line[512];

    t->e = &e;
    if (!engine_find(&e, bdf)) {
        return give_up(&e);
    }
    if (wanted(only, vfio->name)) {
        run_vfio(t, vfio, seed, &totals);
    }
    if (wants_engine(t, groups, only) &&
        !run_engine(t, groups, only, seed, &totals)) {
        return give_up(&e);
    }
    if (!totals.passed && !totals.failed) {
        snprintf(e.why, sizeof(e.why), "no test ran");
        return give_up(&e);
    }
    snprintf(line, sizeof(line), "{\"vsva\":\"end\",\"ok\":%s,\"passed\":%u,"
             "\"failed\":%u,\"skipped\":%u,\"requests\":%" PRIu64 "}\n",
             totals.failed ? "false" : "true", totals.passed, totals.failed,
             totals.skipped, totals.requests);
    emit(line);
    return !totals.failed;
}

static void list(void)
{
    printf("%-12s %s\n", simple_test.name, simple_test.about);
    for (const TestCase *const *g = usual_groups; *g; g++) {
        for (const TestCase *test = *g; test->name; test++) {
            printf("%-12s %s\n", test->name, test->about);
        }
    }
    printf("%-12s %s\n", peer_test.name, peer_test.about);
}

static void number(const char *text, uint64_t *value)
{
    int end = 0;

    if (sscanf(text, "%" SCNu64 "%n", value, &end) != 1 || text[end]) {
        fprintf(stderr, "vsva: %s is no number\n", text);
        exit(2);
    }
}

static void usage(FILE *out)
{
    fputs("vsva [--list] [--only NAME,...] [--faults N] [--seed N]"
          " [--device BDF]\n     [--vmm PORT]"
          " [--peer /sys/bus/pci/devices/BDF/resourceN]\n", out);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "list", no_argument, NULL, 'l' },
        { "only", required_argument, NULL, 'o' },
        { "faults", required_argument, NULL, 'f' },
        { "seed", required_argument, NULL, 's' },
        { "device", required_argument, NULL, 'd' },
        { "vmm", required_argument, NULL, 'v' },
        { "peer", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { },
    };
    static Test t = { .faults = FAULTS, .vmm = -1 };
    const char *bdf = NULL;
    const char *only = NULL;
    uint64_t seed = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            list();
            return 0;
        case 'o':
            only = optarg;
            break;
        case 'f':
            number(optarg, &t.faults);
            break;
        case 's':
            number(optarg, &seed);
            break;
        case 'd':
            bdf = optarg;
            break;
        case 'v':
            t.vmm = open(optarg, O_RDWR | O_CLOEXEC);
            if (t.vmm < 0) {
                perror(optarg);
                return 2;
            }
            break;
        case 'p':
            if (!strchr(optarg, '/')) {
                usage(stderr);
                return 2;
            }
            t.peer = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    return run_all(&t, bdf, only, seed) ? 0 : 1;
}
