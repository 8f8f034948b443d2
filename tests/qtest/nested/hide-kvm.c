/*
 * Preloaded under QEMU's own tests: there is no /dev/kvm
 *
 * What these tests find should be about the code, not about what KVM of this
 * machine can do: with one that lacks SMM the FACP is another, and a nested
 * one may not return from a migration at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* The two names of open() must stay two */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool hidden(const char *path)
{
    if (strcmp(path, "/dev/kvm")) {
        return false;
    }
    errno = ENOENT;
    return true;
}

int access(const char *path, int mode)
{
    int (*real)(const char *, int) = dlsym(RTLD_NEXT, "access");

    return hidden(path) ? -1 : real(path, mode);
}

#define OPEN(name)                                                      \
int name(const char *path, int flags, ...)                              \
{                                                                       \
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);      \
    mode_t mode = 0;                                                    \
    va_list ap;                                                         \
                                                                        \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {          \
        va_start(ap, flags);                                            \
        mode = va_arg(ap, mode_t);                                      \
        va_end(ap);                                                     \
    }                                                                   \
    return hidden(path) ? -1 : real(path, flags, mode);                 \
}

OPEN(open)
OPEN(open64)
