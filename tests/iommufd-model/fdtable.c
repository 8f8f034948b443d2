/*
 * Model of /dev/iommu: descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each descriptor handed out is one of the kernel's: a memfd for an iommufd
 * or a device, an eventfd for a queue.  The table says what it stands for;
 * a duplicate shares the entry, the last one to go releases it.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include <linux/vfio.h>
#include "objects.h"

#define MAX_PRIVATE     1024
#define PRIVATE_BASE    700

/* Behind the last region of a device file */
#define MARK_OFFSET     ((off_t)VFIO_PCI_NUM_REGIONS << 40)
#define MARK_MAGIC      "iommufd-model 1 "

typedef struct Mark {
    char magic[16];
    char what[16];                      /* "iommu", or the device's BDF */
} Mark;

static _Atomic(MdlFile *) table[MDL_MAX_FDS];
static unsigned nr_known;
static unsigned char private_fd[MAX_PRIVATE];

bool mdl_fd_maybe(int fd)
{
    return fd >= 0 && fd < MDL_MAX_FDS &&
           atomic_load_explicit(&table[fd], memory_order_relaxed);
}

/* Is there any descriptor of the model at all? */
bool mdl_fd_any(void)
{
    return __atomic_load_n(&nr_known, __ATOMIC_RELAXED);
}

bool mdl_fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/*
 * A program may close a descriptor behind our back (a raw system call): the
 * number then belongs to another file, and the inode tells.
 */
MdlFile *mdl_fd_file(int fd)
{
    MdlFile *file;
    struct stat st;

    if (!mdl_fd_maybe(fd)) {
        return NULL;
    }
    file = table[fd];
    if (file && (fstat(fd, &st) || st.st_dev != file->st_dev ||
                 st.st_ino != file->st_ino)) {
        mdl_fd_drop(fd);
        return NULL;
    }
    return file;
}

void mdl_fd_install(int fd, MdlFile *file)
{
    struct stat st;

    if (fd >= MDL_MAX_FDS) {
        fprintf(stderr, "iommufd-model: descriptor %d is beyond %d\n", fd,
                MDL_MAX_FDS);
        abort();
    }
    if (!file->fds && !fstat(fd, &st)) {
        file->st_dev = st.st_dev;
        file->st_ino = st.st_ino;
    }
    mdl_fd_drop(fd);
    file->fds++;
    nr_known++;
    table[fd] = file;
}

void mdl_fd_dup(int old_fd, int new_fd)
{
    MdlFile *file = mdl_fd_maybe(old_fd) ? table[old_fd] : NULL;

    if (new_fd < 0 || new_fd >= MDL_MAX_FDS || old_fd == new_fd) {
        return;
    }
    if (file) {
        mdl_fd_install(new_fd, file);
    } else {
        mdl_fd_drop(new_fd);
    }
}

static void release(MdlFile *file)
{
    switch (file->kind) {
    case MDL_FILE_CTX:
        mdl_ctx_put(file->ctx);
        break;
    case MDL_FILE_DEVICE:
        mdl_vfio_release(file);
        break;
    case MDL_FILE_FAULT:
    case MDL_FILE_VEVENTQ:
        mdl_queue_release(file);
        break;
    case MDL_FILE_MIGRATION:
        mdl_migration_release(file->migration);
        break;
    case MDL_FILE_DMABUF:
        mdl_dmabuf_put(file->dmabuf);
        break;
    case MDL_FILE_GROUP:
        mdl_group_release(file);
        break;
    }
    free(file);
}

void mdl_fd_drop(int fd)
{
    MdlFile *file = mdl_fd_maybe(fd) ? table[fd] : NULL;

    if (!file) {
        return;
    }
    table[fd] = NULL;
    nr_known--;
    if (!--file->fds) {
        mdl_journal("close", "\"fd\":%d,\"kind\":%d", fd, file->kind);
        release(file);
    }
}

void mdl_fd_forget_all(void)
{
    int fd;

    for (fd = 0; nr_known && fd < MDL_MAX_FDS; fd++) {
        if (mdl_fd_maybe(fd)) {
            table[fd] = NULL;
            nr_known--;
        }
    }
}

/*
 * The library's own descriptors sit high up, where programs that count on
 * the lowest free number do not notice them.
 */
int mdl_fd_private(int fd)
{
    int high;

    if (fd < 0) {
        return fd;
    }
    high = fcntl(fd, F_DUPFD_CLOEXEC, PRIVATE_BASE);
    if (high < 0) {
        return fd;
    }
    close(fd);
    if (high < MAX_PRIVATE) {
        private_fd[high] = 1;
    }
    return high;
}

bool mdl_fd_is_private(int fd)
{
    return fd >= 0 && fd < MAX_PRIVATE && private_fd[fd];
}

void mdl_fd_close_private(int fd)
{
    if (fd >= 0 && fd < MAX_PRIVATE) {
        private_fd[fd] = 0;
    }
    close(fd);
}

/* ----------------------------------------------------------------- opening */

int mdl_mark_file(int fd, MdlDevice *dev)
{
    Mark mark = { .magic = MARK_MAGIC };

    snprintf(mark.what, sizeof(mark.what), "%s", dev ? dev->bdf : "iommu");
    return pwrite(fd, &mark, sizeof(mark), MARK_OFFSET) == sizeof(mark) ?
           0 : -errno;
}

static MdlFile *new_file(MdlFileKind kind, MdlDevice *dev)
{
    MdlFile *file = calloc(1, sizeof(*file));

    if (!file) {
        abort();
    }
    file->kind = kind;
    file->dev = dev;
    if (kind == MDL_FILE_CTX) {
        file->ctx = mdl_ctx_new();
    }
    return file;
}

static int open_marked(MdlFileKind kind, MdlDevice *dev, int flags)
{
    MdlFile *file;
    int fd, ret;

    fd = memfd_create(dev ? "iommufd-model-vfio" : "iommufd-model",
                      flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0) {
        return -errno;
    }
    ret = mdl_mark_file(fd, dev);
    if (ret) {
        close(fd);
        return ret;
    }
    file = new_file(kind, dev);
    mdl_fd_install(fd, file);
    mdl_journal("open", "\"fd\":%d,\"ctx\":%d,\"what\":\"%s\"", fd,
                file->ctx ? (int)file->ctx->index : -1,
                dev ? dev->bdf : "iommu");
    return fd;
}

int mdl_open_iommu(int flags)
{
    return open_marked(MDL_FILE_CTX, NULL, flags);
}

int mdl_open_device(MdlDevice *dev, int flags)
{
    return open_marked(MDL_FILE_DEVICE, dev, flags);
}

int mdl_open_group(MdlDevice *dev, int flags)
{
    int ret = mdl_group_open(dev);

    return ret ? ret : open_marked(MDL_FILE_GROUP, dev, flags);
}

/* A known descriptor of the same open file as @fd, or -1 */
static int find_same(int fd, const struct stat *st)
{
    int other;

    for (other = 0; nr_known && other < MDL_MAX_FDS; other++) {
        MdlFile *file = mdl_fd_maybe(other) ? table[other] : NULL;

        if (file && file->st_dev == st->st_dev &&
            file->st_ino == st->st_ino &&
            !syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, other)) {
            return other;
        }
    }
    return -1;
}

MdlFile *mdl_fd_adopt(int fd)
{
    MdlDevice *dev = NULL;
    struct stat st;
    MdlFile *file;
    Mark mark;
    int same;

    if (fd < 0 || fd >= MDL_MAX_FDS || fstat(fd, &st) ||
        !S_ISREG(st.st_mode) ||
        pread(fd, &mark, sizeof(mark), MARK_OFFSET) != sizeof(mark) ||
        memcmp(mark.magic, MARK_MAGIC, sizeof(mark.magic))) {
        return NULL;
    }
    mark.what[sizeof(mark.what) - 1] = '\0';
    if (strcmp(mark.what, "iommu")) {
        dev = mdl_device_by_bdf(mark.what);
        if (!dev) {
            return NULL;
        }
    }
    /* Another way to the same open file, as through SCM_RIGHTS? */
    same = find_same(fd, &st);
    if (same >= 0) {
        mdl_fd_dup(same, fd);
        return table[fd];
    }
    file = new_file(dev ? MDL_FILE_DEVICE : MDL_FILE_CTX, dev);
    mdl_fd_install(fd, file);
    mdl_journal("adopt", "\"fd\":%d,\"ctx\":%d,\"what\":\"%s\"", fd,
                file->ctx ? (int)file->ctx->index : -1, mark.what);
    return file;
}
