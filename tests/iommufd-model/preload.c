/*
 * Model of /dev/iommu: libc calls on descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A call that does not concern the model goes to libc with nothing done but
 * one look into a table.  Inside the model (mdl_enter()) every call does.
 */

#include "preload.h"
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/vfio.h>

pthread_mutex_t mdl_lock = PTHREAD_MUTEX_INITIALIZER;
pid_t mdl_pid;

static bool forked;

/* Set while this thread is inside; no TLS allocation on first use */
static __thread int inside __attribute__((tls_model("initial-exec")));

void mdl_enter(void)
{
    inside++;
    pthread_mutex_lock(&mdl_lock);
}

void mdl_leave(void)
{
    pthread_mutex_unlock(&mdl_lock);
    inside--;
}

bool mdl_inside(void)
{
    return inside;
}

/* Does @fd concern the model? */
static bool ours(int fd)
{
    return mdl_fd_maybe(fd) && !inside;
}

/* A vfork() child shares our memory, but its descriptors are its own */
static bool same_process(void)
{
    return getpid() == mdl_pid;
}

static ssize_t result(ssize_t ret)
{
    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    return ret;
}

/* Still the model's?  The table may lag behind a raw close(2). */
static bool verified(int fd)
{
    bool known;

    if (!ours(fd) || !same_process()) {
        return false;
    }
    mdl_enter();
    known = mdl_fd_file(fd);
    mdl_leave();
    return known;
}

/* ------------------------------------------------------------------- ioctl */

static bool adoptable(int fd, unsigned long req)
{
    bool found;

    if (_IOC_TYPE(req) != VFIO_TYPE || inside || !mdl_config.active) {
        return false;
    }
    mdl_enter();
    mdl_take_over();
    found = mdl_fd_adopt(fd);
    mdl_leave();
    return found;
}

/* What the VFS answers before a driver sees it */
static bool generic_ioctl(unsigned long req)
{
    return req == FIOCLEX || req == FIONCLEX || req == FIONBIO ||
           req == FIOASYNC;
}

/*
 * KVM's VFIO device refuses files that are not vfio's, which ours are not for
 * it.  Nothing is lost: it wants them for what no modelled device does
 * (non-coherent DMA, groups).
 */
static bool kvm_refused_ours(unsigned long req, const void *arg)
{
    const struct kvm_device_attr *attr = arg;

    return (unsigned)req == KVM_SET_DEVICE_ATTR &&
           attr->group == KVM_DEV_VFIO_FILE &&
           (attr->attr == KVM_DEV_VFIO_FILE_ADD ||
            attr->attr == KVM_DEV_VFIO_FILE_DEL) &&
           verified(*(const int32_t *)(uintptr_t)attr->addr);
}

MDL_EXPORT int ioctl(int fd, unsigned long req, ...)
{
    va_list ap;
    void *arg;
    int ret;

    va_start(ap, req);
    arg = va_arg(ap, void *);
    va_end(ap);
    /* The kernel's argument is an int: a caller may have sign-extended it */
    if (!generic_ioctl(req) &&
        (verified(fd) || adoptable(fd, (unsigned)req))) {
        return result(mdl_ioctl(fd, (unsigned)req, arg));
    }
    if (!inside && mdl_vhost_knows((unsigned)req)) {
        return result(mdl_vhost_ioctl((unsigned)req, arg));
    }
    ret = REAL(ioctl)(fd, req, arg);
    return ret < 0 && kvm_refused_ours(req, arg) ? 0 : ret;
}

/* -------------------------------------------------------------- read, write */

MDL_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
    return verified(fd) ? result(mdl_rw(fd, buf, len, 0, false, false)) :
                          REAL(read)(fd, buf, len);
}

MDL_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
    return verified(fd) ?
           result(mdl_rw(fd, (void *)buf, len, 0, false, true)) :
           REAL(write)(fd, buf, len);
}

#define POSITIONED(name, off)                                           \
MDL_EXPORT ssize_t name(int fd, void *buf, size_t len, off offset)      \
{                                                                       \
    return verified(fd) ?                                               \
           result(mdl_rw(fd, buf, len, offset, true, false)) :          \
           REAL(name)(fd, buf, len, offset);                            \
}

#define POSITIONED_WRITE(name, off)                                     \
MDL_EXPORT ssize_t name(int fd, const void *buf, size_t len,            \
                        off offset)                                     \
{                                                                       \
    return verified(fd) ?                                               \
           result(mdl_rw(fd, (void *)buf, len, offset, true, true)) :   \
           REAL(name)(fd, buf, len, offset);                            \
}

POSITIONED(pread, off_t)
POSITIONED(pread64, off64_t)
POSITIONED_WRITE(pwrite, off_t)
POSITIONED_WRITE(pwrite64, off64_t)

/* The kernel walks the vector with one read or write after the other */
static ssize_t vector(int fd, const struct iovec *iov, int n, int64_t offset,
                      bool positioned, bool write)
{
    ssize_t done = 0;
    int i;

    for (i = 0; i < n; i++) {
        ssize_t ret = mdl_rw(fd, iov[i].iov_base, iov[i].iov_len,
                             offset + done, positioned, write);

        if (ret < 0) {
            return done ? done : ret;
        }
        done += ret;
        if ((size_t)ret < iov[i].iov_len) {
            break;
        }
    }
    return done;
}

#define VECTOR(name, is_write)                                          \
MDL_EXPORT ssize_t name(int fd, const struct iovec *iov, int n)         \
{                                                                       \
    return verified(fd) ?                                               \
           result(vector(fd, iov, n, 0, false, is_write)) :             \
           REAL(name)(fd, iov, n);                                      \
}

#define VECTOR_AT(name, off, is_write)                                  \
MDL_EXPORT ssize_t name(int fd, const struct iovec *iov, int n,         \
                        off offset)                                     \
{                                                                       \
    return verified(fd) ?                                               \
           result(vector(fd, iov, n, offset, true, is_write)) :         \
           REAL(name)(fd, iov, n, offset);                              \
}

VECTOR(readv, false)
VECTOR(writev, true)
VECTOR_AT(preadv, off_t, false)
VECTOR_AT(preadv64, off64_t, false)
VECTOR_AT(pwritev, off_t, true)
VECTOR_AT(pwritev64, off64_t, true)

/* What -D_FORTIFY_SOURCE turns reads into */

MDL_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
    return verified(fd) && len <= room ?
           result(mdl_rw(fd, buf, len, 0, false, false)) :
           REAL(__read_chk)(fd, buf, len, room);
}

MDL_EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t offset,
                               size_t room)
{
    return verified(fd) && len <= room ?
           result(mdl_rw(fd, buf, len, offset, true, false)) :
           REAL(__pread_chk)(fd, buf, len, offset, room);
}

MDL_EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t len,
                                 off64_t offset, size_t room)
{
    return verified(fd) && len <= room ?
           result(mdl_rw(fd, buf, len, offset, true, false)) :
           REAL(__pread64_chk)(fd, buf, len, offset, room);
}

/* --------------------------------------------------------- close, duplicate */

/* Forgets descriptors that are about to close; the model may release */
static void drop(unsigned first, unsigned last)
{
    unsigned fd;

    if (inside || !same_process()) {
        return;
    }
    if (last >= MDL_MAX_FDS) {
        last = MDL_MAX_FDS - 1;
    }
    for (fd = first; fd <= last; fd++) {
        if (mdl_fd_maybe(fd)) {
            mdl_enter();
            mdl_fd_drop(fd);
            mdl_leave();
        }
    }
}

MDL_EXPORT int close(int fd)
{
    if (!inside && mdl_fd_is_private(fd) && same_process()) {
        errno = EBADF;
        return -1;
    }
    if (ours(fd)) {
        drop(fd, fd);
    }
    return REAL(close)(fd);
}

MDL_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    if (!(flags & CLOSE_RANGE_CLOEXEC) && first <= last && mdl_fd_any()) {
        drop(first, last);
    }
    return REAL(close_range)(first, last, flags);
}

MDL_EXPORT void closefrom(int first)
{
    if (first >= 0 && mdl_fd_any()) {
        drop(first, UINT_MAX);
    }
    REAL(closefrom)(first);
}

static int duplicated(int old_fd, int new_fd)
{
    if (new_fd >= 0 && !inside && same_process() &&
        (mdl_fd_maybe(old_fd) || mdl_fd_maybe(new_fd))) {
        mdl_enter();
        mdl_fd_dup(old_fd, new_fd);
        mdl_leave();
    }
    return new_fd;
}

MDL_EXPORT int dup(int fd)
{
    return duplicated(fd, REAL(dup)(fd));
}

MDL_EXPORT int dup2(int fd, int to)
{
    return duplicated(fd, REAL(dup2)(fd, to));
}

MDL_EXPORT int dup3(int fd, int to, int flags)
{
    return duplicated(fd, REAL(dup3)(fd, to, flags));
}

#define FCNTL(name)                                                     \
MDL_EXPORT int name(int fd, int cmd, ...)                               \
{                                                                       \
    va_list ap;                                                         \
    void *arg;                                                          \
    int ret;                                                            \
                                                                        \
    va_start(ap, cmd);                                                  \
    arg = va_arg(ap, void *);                                           \
    va_end(ap);                                                         \
    ret = REAL(name)(fd, cmd, arg);                                     \
    return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ?                   \
           duplicated(fd, ret) : ret;                                   \
}

FCNTL(fcntl)
FCNTL(fcntl64)

/* -------------------------------------------------------------------- mmap */

static bool may_map(int *fd, size_t len, int prot, int flags, int64_t *offset,
                    MdlViommu **page0)
{
    int ret = 0;

    *page0 = NULL;
    if (*fd >= 0 && !(flags & MAP_ANONYMOUS) && verified(*fd)) {
        ret = mdl_mmap_check(fd, len, prot, flags, offset, page0);
    }
    errno = ret ? -ret : errno;
    return !ret;
}

MDL_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd,
                      off_t offset)
{
    int64_t at = offset;
    MdlViommu *page0;

    if (!may_map(&fd, len, prot, flags, &at, &page0)) {
        return MAP_FAILED;
    }
    mdl_pin_mapping_over(addr, len, flags);
    if (!inside) {
        addr = mdl_page_place(addr, len, &flags);
    }
    addr = REAL(mmap)(addr, len, prot, flags, fd, at);
    return page0 ? mdl_cmdqv_mapped(page0, addr) : addr;
}

MDL_EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
                        off64_t offset)
{
    int64_t at = offset;
    MdlViommu *page0;

    if (!may_map(&fd, len, prot, flags, &at, &page0)) {
        return MAP_FAILED;
    }
    mdl_pin_mapping_over(addr, len, flags);
    if (!inside) {
        addr = mdl_page_place(addr, len, &flags);
    }
    addr = REAL(mmap64)(addr, len, prot, flags, fd, at);
    return page0 ? mdl_cmdqv_mapped(page0, addr) : addr;
}

/* ------------------------------------------------------------------- fstat */

dev_t mdl_node_rdev(const MdlNode *node)
{
    return node->kind == MDL_NODE_DEVICE ?
           makedev(MDL_VFIO_MAJOR, node->dev->vfio_index) :
           node->kind == MDL_NODE_GROUP ?
           makedev(MDL_GROUP_MAJOR, node->dev->group) :
           makedev(MDL_IOMMU_MAJOR, MDL_IOMMU_MINOR);
}

/* Which character device does @fd pretend to be? */
bool mdl_fd_node(int fd, MdlNode *node)
{
    MdlFile *file;

    *node = (MdlNode) { MDL_NODE_NONE, NULL };
    if (!ours(fd) || !same_process()) {
        return false;
    }
    mdl_enter();
    file = mdl_fd_file(fd);
    if (file && file->kind == MDL_FILE_CTX) {
        node->kind = MDL_NODE_IOMMU;
    } else if (file && file->kind == MDL_FILE_DEVICE) {
        node->kind = MDL_NODE_DEVICE;
        node->dev = file->dev;
    } else if (file && file->kind == MDL_FILE_GROUP) {
        node->kind = MDL_NODE_GROUP;
        node->dev = file->dev;
    }
    mdl_leave();
    return node->kind != MDL_NODE_NONE;
}

#define FSTAT(name, type)                                               \
MDL_EXPORT int name(int fd, struct type *st)                            \
{                                                                       \
    MdlNode node;                                                       \
    int ret = REAL(name)(fd, st);                                       \
                                                                        \
    if (!ret && mdl_fd_node(fd, &node)) {                               \
        MDL_PATCH_STAT(st, &node);                                      \
    }                                                                   \
    return ret;                                                         \
}

FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

MDL_EXPORT int __fxstat(int ver, int fd, struct stat *st)
{
    return fstat(fd, st);
}

MDL_EXPORT int __fxstat64(int ver, int fd, struct stat64 *st)
{
    return fstat64(fd, st);
}

/* --------------------------------------------------------------- life cycle */

void mdl_take_over(void)
{
    if (forked) {
        forked = false;
        mdl_journal_take_over();
    }
    mdl_control_start();
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&mdl_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&mdl_lock);
}

/*
 * The child keeps an ordinary libc: descriptors it inherits are files to it.
 * If it turns to the model itself (a daemon does), it starts from the hosts'
 * state as copied and makes files of its own.
 */
static void fork_child(void)
{
    pthread_mutex_init(&mdl_lock, NULL);
    mdl_pid = getpid();
    forked = true;
    mdl_fd_forget_all();
    mdl_tree_forget();
    mdl_control_forget();
}

static __attribute__((constructor)) void model_init(void)
{
    unsigned i;

    mdl_pid = getpid();
    inside++;
    mdl_config_load();
    inside--;
    if (!mdl_config.active) {
        return;
    }
    mdl_enter();
    for (i = 0; i < MDL_MAX_IOMMUS; i++) {
        if (mdl_host.iommu[i].present) {
            hw_iommu_init(&mdl_host.iommu[i]);
        }
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        ep_init(mdl_host.device[i]);
    }
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    if (mdl_config.run_dir) {
        mdl_run_dir();
    }
    mdl_leave();
    mdl_control_start();
}

static __attribute__((destructor)) void model_exit(void)
{
    if (mdl_config.active && same_process()) {
        inside++;
        mdl_queue_exit();
        mdl_control_stop();
        mdl_tree_remove();
        inside--;
    }
}
