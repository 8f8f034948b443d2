/*
 * qemu-nested-check: strings, and files of /proc and /sys
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"

#define FORMATTED(text, fmt)                    \
    do {                                        \
        va_list ap;                             \
                                                \
        va_start(ap, fmt);                      \
        if (vasprintf(&(text), fmt, ap) < 0) {  \
            abort();                            \
        }                                       \
        va_end(ap);                             \
    } while (0)

char *format(const char *fmt, ...)
{
    char *text;

    FORMATTED(text, fmt);
    return text;
}

char *append(char *text, const char *fmt, ...)
{
    char *more;

    FORMATTED(more, fmt);
    return format("%s%s", text, more);
}

bool has_prefix(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

uint64_t parse_hex(const char *text)
{
    uint64_t value = 0;

    return sscanf(text, "%" SCNx64, &value) == 1 ? value : 0;
}

/* Sizes of files in /proc and /sys mean nothing */
static ssize_t read_file(const char *path, void *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    while (done < size && (n = read(fd, (char *)buf + done, size - done)) > 0) {
        done += n;
    }
    close(fd);
    return done;
}

char *read_text(const char *fmt, ...)
{
    char text[8192], *path;
    ssize_t n;

    FORMATTED(path, fmt);
    n = read_file(path, text, sizeof(text) - 1);
    if (n < 0) {
        return NULL;
    }
    while (n && text[n - 1] == '\n') {
        n--;
    }
    text[n] = 0;
    return format("%s", text);
}

ssize_t read_bytes(void *buf, size_t size, const char *fmt, ...)
{
    char *path;

    FORMATTED(path, fmt);
    return read_file(path, buf, size);
}

char *link_name(const char *fmt, ...)
{
    char target[PATH_MAX], *path, *slash;
    ssize_t n;

    FORMATTED(path, fmt);
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0) {
        return NULL;
    }
    target[n] = 0;
    slash = strrchr(target, '/');
    return format("%s", slash ? slash + 1 : target);
}

bool exists(const char *fmt, ...)
{
    char *path;

    FORMATTED(path, fmt);
    return access(path, F_OK) == 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

Names list_dir(const char *fmt, ...)
{
    struct dirent *entry;
    Names names = {};
    char *path;
    DIR *dir;

    FORMATTED(path, fmt);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        names.name = realloc(names.name, (names.num + 1) * sizeof(char *));
        if (!names.name) {
            abort();
        }
        names.name[names.num++] = format("%s", entry->d_name);
    }
    if (dir) {
        closedir(dir);
    }
    if (names.num) {
        qsort(names.name, names.num, sizeof(char *), compare);
    }
    return names;
}
