/*
 * Model of /dev/iommu: libc calls that take a path
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A path that leads to a modelled device is replaced by one in the fake
 * tree; opening an iommufd or a device makes a new one.  Relative paths
 * need nothing: a directory opened in the tree leads on inside it.
 */

#include "preload.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Room for a mapped path, and the node it opens */
typedef struct Mapped {
    char buf[PATH_MAX];
    MdlNode node;
    const char *path;
} Mapped;

static const char *map_for(Mapped *m, const char *path, bool opening)
{
    int saved = errno;

    if (mdl_inside()) {
        m->node = (MdlNode) { MDL_NODE_NONE, NULL };
        m->path = path;
    } else {
        m->path = mdl_path(path, m->buf, sizeof(m->buf), &m->node, opening);
    }
    errno = saved;
    return m->path;
}

static const char *map(Mapped *m, const char *path)
{
    return map_for(m, path, false);
}

/* -------------------------------------------------------------------- open */

/* True when the path was a node's: @ret is what open() returns */
static bool open_node(const Mapped *m, int flags, int *ret)
{
    if (m->node.kind == MDL_NODE_NONE || (flags & O_PATH)) {
        return false;
    }
    if (flags & O_DIRECTORY) {
        errno = ENOTDIR;
        *ret = -1;
        return true;
    }
    mdl_enter();
    mdl_take_over();
    *ret = m->node.kind == MDL_NODE_IOMMU ? mdl_open_iommu(flags) :
           m->node.kind == MDL_NODE_GROUP ? mdl_open_group(m->node.dev, flags) :
           mdl_open_device(m->node.dev, flags);
    mdl_leave();
    if (*ret < 0) {
        errno = -*ret;
        *ret = -1;
    }
    return true;
}

static bool wants_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPEN(name)                                                      \
MDL_EXPORT int name(const char *path, int flags, ...)                   \
{                                                                       \
    mode_t mode = 0;                                                    \
    va_list ap;                                                         \
    Mapped m;                                                           \
    int ret;                                                            \
                                                                        \
    if (wants_mode(flags)) {                                            \
        va_start(ap, flags);                                            \
        mode = va_arg(ap, mode_t);                                      \
        va_end(ap);                                                     \
    }                                                                   \
    map_for(&m, path, !(flags & O_PATH));                               \
    return open_node(&m, flags, &ret) ? ret :                           \
           REAL(name)(m.path, flags, mode);                             \
}

#define OPENAT(name)                                                    \
MDL_EXPORT int name(int dirfd, const char *path, int flags, ...)        \
{                                                                       \
    mode_t mode = 0;                                                    \
    va_list ap;                                                         \
    Mapped m;                                                           \
    int ret;                                                            \
                                                                        \
    if (wants_mode(flags)) {                                            \
        va_start(ap, flags);                                            \
        mode = va_arg(ap, mode_t);                                      \
        va_end(ap);                                                     \
    }                                                                   \
    map_for(&m, path, !(flags & O_PATH));                               \
    return open_node(&m, flags, &ret) ? ret :                           \
           REAL(name)(dirfd, m.path, flags, mode);                      \
}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What -D_FORTIFY_SOURCE turns an open() of two arguments into */

MDL_EXPORT int __open_2(const char *path, int flags)
{
    Mapped m;
    int ret;

    map_for(&m, path, !(flags & O_PATH));
    return open_node(&m, flags, &ret) ? ret : REAL(__open_2)(m.path, flags);
}

MDL_EXPORT int __open64_2(const char *path, int flags)
{
    Mapped m;
    int ret;

    map_for(&m, path, !(flags & O_PATH));
    return open_node(&m, flags, &ret) ? ret :
           REAL(__open64_2)(m.path, flags);
}

MDL_EXPORT int __openat_2(int dirfd, const char *path, int flags)
{
    Mapped m;
    int ret;

    map_for(&m, path, !(flags & O_PATH));
    return open_node(&m, flags, &ret) ? ret :
           REAL(__openat_2)(dirfd, m.path, flags);
}

MDL_EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
    Mapped m;
    int ret;

    map_for(&m, path, !(flags & O_PATH));
    return open_node(&m, flags, &ret) ? ret :
           REAL(__openat64_2)(dirfd, m.path, flags);
}

MDL_EXPORT FILE *fopen(const char *path, const char *mode)
{
    Mapped m;

    return REAL(fopen)(map(&m, path), mode);
}

MDL_EXPORT FILE *fopen64(const char *path, const char *mode)
{
    Mapped m;

    return REAL(fopen64)(map(&m, path), mode);
}

/* ------------------------------------------------------------- directories */

MDL_EXPORT DIR *opendir(const char *path)
{
    Mapped m;

    return REAL(opendir)(map(&m, path));
}

MDL_EXPORT int scandir(const char *path, struct dirent ***list,
                       int (*filter)(const struct dirent *),
                       int (*compare)(const struct dirent **,
                                      const struct dirent **))
{
    Mapped m;

    return REAL(scandir)(map(&m, path), list, filter, compare);
}

MDL_EXPORT int scandir64(const char *path, struct dirent64 ***list,
                         int (*filter)(const struct dirent64 *),
                         int (*compare)(const struct dirent64 **,
                                        const struct dirent64 **))
{
    Mapped m;

    return REAL(scandir64)(map(&m, path), list, filter, compare);
}

/* -------------------------------------------------------------------- stat */

#define STAT(name, type)                                                \
MDL_EXPORT int name(const char *path, struct type *st)                  \
{                                                                       \
    Mapped m;                                                           \
    int ret = REAL(name)(map(&m, path), st);                            \
                                                                        \
    if (!ret && m.node.kind != MDL_NODE_NONE) {                         \
        MDL_PATCH_STAT(st, &m.node);                                    \
    }                                                                   \
    return ret;                                                         \
}

STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

/* An empty path names the descriptor itself */
static void find_node(Mapped *m, int dirfd, int flags)
{
    if ((flags & AT_EMPTY_PATH) && m->path && !*m->path) {
        mdl_fd_node(dirfd, &m->node);
    }
}

#define FSTATAT(name, type)                                             \
MDL_EXPORT int name(int dirfd, const char *path, struct type *st,       \
                    int flags)                                          \
{                                                                       \
    Mapped m;                                                           \
    int ret = REAL(name)(dirfd, map(&m, path), st, flags);              \
                                                                        \
    find_node(&m, dirfd, flags);                                        \
    if (!ret && m.node.kind != MDL_NODE_NONE) {                         \
        MDL_PATCH_STAT(st, &m.node);                                    \
    }                                                                   \
    return ret;                                                         \
}

FSTATAT(fstatat, stat)
FSTATAT(fstatat64, stat64)

MDL_EXPORT int statx(int dirfd, const char *restrict path, int flags,
                     unsigned mask, struct statx *restrict stx)
{
    Mapped m;
    int ret = REAL(statx)(dirfd, map(&m, path), flags, mask, stx);

    find_node(&m, dirfd, flags);
    if (!ret && m.node.kind != MDL_NODE_NONE) {
        stx->stx_mode = S_IFCHR | 0666;
        stx->stx_rdev_major = major(mdl_node_rdev(&m.node));
        stx->stx_rdev_minor = minor(mdl_node_rdev(&m.node));
        stx->stx_size = 0;
    }
    return ret;
}

/* What programs built with an older libc call */

MDL_EXPORT int __xstat(int ver, const char *path, struct stat *st)
{
    return stat(path, st);
}

MDL_EXPORT int __xstat64(int ver, const char *path, struct stat64 *st)
{
    return stat64(path, st);
}

MDL_EXPORT int __lxstat(int ver, const char *path, struct stat *st)
{
    return lstat(path, st);
}

MDL_EXPORT int __lxstat64(int ver, const char *path, struct stat64 *st)
{
    return lstat64(path, st);
}

MDL_EXPORT int __fxstatat(int ver, int dirfd, const char *path,
                          struct stat *st, int flags)
{
    return fstatat(dirfd, path, st, flags);
}

MDL_EXPORT int __fxstatat64(int ver, int dirfd, const char *path,
                            struct stat64 *st, int flags)
{
    return fstatat64(dirfd, path, st, flags);
}

MDL_EXPORT int access(const char *path, int mode)
{
    Mapped m;

    return REAL(access)(map(&m, path), mode);
}

MDL_EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
    Mapped m;

    return REAL(faccessat)(dirfd, map(&m, path), mode, flags);
}

MDL_EXPORT int euidaccess(const char *path, int mode)
{
    Mapped m;

    return REAL(euidaccess)(map(&m, path), mode);
}

MDL_EXPORT int eaccess(const char *path, int mode)
{
    Mapped m;

    return REAL(eaccess)(map(&m, path), mode);
}

/* ------------------------------------------------------------------- links */

MDL_EXPORT ssize_t readlink(const char *path, char *buf, size_t len)
{
    Mapped m;

    return REAL(readlink)(map(&m, path), buf, len);
}

MDL_EXPORT ssize_t readlinkat(int dirfd, const char *path, char *buf,
                              size_t len)
{
    Mapped m;

    return REAL(readlinkat)(dirfd, map(&m, path), buf, len);
}

MDL_EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t len,
                                  size_t room)
{
    Mapped m;

    return REAL(__readlink_chk)(map(&m, path), buf, len, room);
}

MDL_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf,
                                    size_t len, size_t room)
{
    Mapped m;

    return REAL(__readlinkat_chk)(dirfd, map(&m, path), buf, len, room);
}

/* A resolved path must not give the tree away: "/sys/..." again */
static char *outside(const Mapped *m, char *resolved)
{
    const char *run;
    size_t len;

    if (resolved && m->path == m->buf) {
        run = mdl_run_dir();
        len = strlen(run);
        if (!strncmp(resolved, run, len) && resolved[len] == '/') {
            memmove(resolved, resolved + len, strlen(resolved + len) + 1);
        }
    }
    return resolved;
}

MDL_EXPORT char *realpath(const char *path, char *out)
{
    Mapped m;

    return outside(&m, REAL(realpath)(map(&m, path), out));
}

MDL_EXPORT char *__realpath_chk(const char *path, char *out, size_t room)
{
    Mapped m;

    return outside(&m, REAL(__realpath_chk)(map(&m, path), out, room));
}

MDL_EXPORT char *canonicalize_file_name(const char *path)
{
    Mapped m;

    return outside(&m, REAL(canonicalize_file_name)(map(&m, path)));
}
