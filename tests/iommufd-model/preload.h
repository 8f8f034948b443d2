/*
 * Model of /dev/iommu: reaching the C library behind us
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Included before anything else: both the plain and the 64-bit name of a
 * function are defined here, which the headers would otherwise merge, and
 * the checked inline forms would get in the way.
 */

#ifndef IOMMUFD_MODEL_PRELOAD_H
#define IOMMUFD_MODEL_PRELOAD_H

#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _LARGEFILE64_SOURCE
#define _LARGEFILE64_SOURCE
#endif

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "objects.h"

/* The next definition of @name in the search order: libc's, or ASan's */
static inline void *mdl_real(void **slot, const char *name)
{
    void *sym = __atomic_load_n(slot, __ATOMIC_RELAXED);

    if (!sym) {
        sym = dlsym(RTLD_NEXT, name);
        __atomic_store_n(slot, sym, __ATOMIC_RELAXED);
    }
    return sym;
}

#define REAL(name) ({                                                   \
    static void *slot_;                                                 \
    (__typeof__(&name))mdl_real(&slot_, #name);                         \
})

/* fstat() and its like show a device where the descriptor is a memfd */
bool mdl_fd_node(int fd, MdlNode *node);
dev_t mdl_node_rdev(const MdlNode *node);

#define MDL_PATCH_STAT(st, node) do {                                   \
    (st)->st_mode = S_IFCHR | 0666;                                     \
    (st)->st_rdev = mdl_node_rdev(node);                                \
    (st)->st_size = 0;                                                  \
} while (0)

/* pin.c: a mapping is about to take the place of another */
void mdl_pin_mapping_over(const void *addr, size_t len, int flags);

/* Entries of glibc without a declaration in its headers */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t offset,
                      size_t room);
int __fxstat(int ver, int fd, struct stat *st);
int __fxstat64(int ver, int fd, struct stat64 *st);
int __xstat(int ver, const char *path, struct stat *st);
int __xstat64(int ver, const char *path, struct stat64 *st);
int __lxstat(int ver, const char *path, struct stat *st);
int __lxstat64(int ver, const char *path, struct stat64 *st);
int __fxstatat(int ver, int dirfd, const char *path, struct stat *st,
               int flags);
int __fxstatat64(int ver, int dirfd, const char *path, struct stat64 *st,
                 int flags);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t room);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t len,
                         size_t room);
char *__realpath_chk(const char *path, char *out, size_t room);

#endif
