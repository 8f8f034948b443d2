/*
 * Model of /dev/iommu: journal and counters
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "objects.h"

#define MAX_COUNTERS    96

typedef struct Counter {
    const char *call;
    uint64_t calls, errors, entries;
} Counter;

static Counter counters[MAX_COUNTERS];
static unsigned nr_counters;

static int journal_fd = -1;
static bool journal_tried;
static uint64_t journal_start;
static uint64_t journal_seq;

size_t mdl_append(char *out, size_t len, size_t off, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (off >= len) {
        return off;
    }
    va_start(ap, fmt);
    n = vsnprintf(out + off, len - off, fmt, ap);
    va_end(ap);
    return n < 0 ? off : off + n < len ? off + n : len - 1;
}

void mdl_count(const char *call, uint64_t entries, bool error)
{
    Counter *c;
    unsigned i;

    for (i = 0; i < nr_counters; i++) {
        if (!strcmp(counters[i].call, call)) {
            break;
        }
    }
    if (i == MAX_COUNTERS) {
        return;
    }
    c = &counters[i];
    if (i == nr_counters) {
        c->call = strdup(call);
        if (!c->call) {
            abort();
        }
        nr_counters++;
    }
    c->calls++;
    c->errors += error;
    c->entries += entries;
}

size_t mdl_counters_format(char *out, size_t len)
{
    size_t off = 0;
    unsigned i;

    out[0] = '\0';
    for (i = 0; i < nr_counters; i++) {
        off = mdl_append(out, len, off,
                         "%s\"%s\":{\"calls\":%llu,\"errors\":%llu,"
                         "\"entries\":%llu}", i ? "," : "",
                         counters[i].call,
                         (unsigned long long)counters[i].calls,
                         (unsigned long long)counters[i].errors,
                         (unsigned long long)counters[i].entries);
    }
    return off;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * Opened with the first line, not when the library is loaded: a helper that
 * inherits the environment but touches no modelled file must not truncate
 * its parent's journal.  The lock keeps out a second process that does.
 */
static void journal_open(void)
{
    int fd;

    journal_tried = true;
    if (!mdl_config.journal) {
        return;
    }
    fd = open(mdl_config.journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
              0644);
    if (fd < 0) {
        fprintf(stderr, "iommufd-model: journal '%s': %s\n",
                mdl_config.journal, strerror(errno));
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) || ftruncate(fd, 0)) {
        close(fd);
        return;
    }
    journal_fd = mdl_fd_private(fd);
    journal_start = now_ns();
}

void mdl_journal_take_over(void)
{
    if (journal_fd < 0) {
        journal_tried = false;
    }
}

void mdl_journal(const char *ev, const char *fmt, ...)
{
    char line[4096];
    size_t off;
    va_list ap;
    int n;

    if (!journal_tried) {
        journal_open();
    }
    if (journal_fd < 0) {
        return;
    }
    journal_seq++;
    off = mdl_append(line, sizeof(line) - 3, 0,
                     "{\"t\":%llu,\"n\":%llu,\"ev\":\"%s\"",
                     (unsigned long long)(now_ns() - journal_start),
                     (unsigned long long)journal_seq, ev);
    if (fmt && *fmt) {
        line[off++] = ',';
        va_start(ap, fmt);
        n = vsnprintf(line + off, sizeof(line) - 3 - off, fmt, ap);
        va_end(ap);
        if (n < 0 || off + n >= sizeof(line) - 3) {
            /* A line that cannot be read back is worse than a short one */
            off = mdl_append(line, sizeof(line) - 3, off,
                             "\"truncated\":true");
        } else {
            off += n;
        }
    }
    line[off++] = '}';
    line[off++] = '\n';
    n = write(journal_fd, line, off);
    if (n < 0) {
        journal_fd = -1;
    }
}
