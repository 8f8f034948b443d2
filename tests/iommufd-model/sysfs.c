/*
 * Model of /dev/iommu: the files a program finds its devices by
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * <run>/dev and <run>/sys stand for the real ones wherever modelled devices
 * would show.  Links are relative, as in the real sysfs, so they stay inside.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include "objects.h"
#include "json.h"

#define PRIVATE_NAME "iommufd-model-"
/* A path that cannot exist: what an inert library shows for its devices */
#define NOWHERE     "/dev/iommufd-model-is-not-configured"

static char run_dir[PATH_MAX / 2];
static bool tree_ready;
static pid_t tree_owner;                /* who removes a private tree */

/* ----------------------------------------------------------- the fake tree */

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "iommufd-model: %s '%s': %s\n", what, path,
            strerror(errno));
    _exit(1);
}

static void full_path(char *out, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void full_path(char *out, const char *fmt, va_list ap)
{
    size_t len = strlen(run_dir);
    int n;

    memcpy(out, run_dir, len);
    n = vsnprintf(out + len, PATH_MAX - len, fmt, ap);
    if (n < 0 || n >= (int)(PATH_MAX - len)) {
        errno = ENAMETOOLONG;
        fail("path", run_dir);
    }
}

static void make_parents(char *path)
{
    char *p;

    for (p = path + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        if (mkdir(path, 0755) && errno != EEXIST) {
            fail("mkdir", path);
        }
        *p = '/';
    }
}

static void make_file(const char *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void make_file(const char *text, const char *fmt, ...)
{
    char path[PATH_MAX];
    va_list ap;
    FILE *f;

    va_start(ap, fmt);
    full_path(path, fmt, ap);
    va_end(ap);
    make_parents(path);
    f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f)) {
        fail("create", path);
    }
}

static void make_link(const char *target, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void make_link(const char *target, const char *fmt, ...)
{
    char path[PATH_MAX];
    va_list ap;

    va_start(ap, fmt);
    full_path(path, fmt, ap);
    va_end(ap);
    make_parents(path);
    if (symlink(target, path) && errno != EEXIST) {
        fail("symlink", path);
    }
}

/* An existing file keeps its inode: somebody may have it open already */
static void make_node(MdlDevice *dev, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void make_node(MdlDevice *dev, const char *fmt, ...)
{
    char path[PATH_MAX];
    va_list ap;
    int fd;

    va_start(ap, fmt);
    full_path(path, fmt, ap);
    va_end(ap);
    make_parents(path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || mdl_mark_file(fd, dev)) {
        fail("create", path);
    }
    close(fd);
}

/* vfio hides the PASID capability, the device and sysfs do not */
static void add_pasid(const MdlDevice *dev, uint8_t *config)
{
    unsigned last = PCI_CFG_SPACE_SIZE, at = PCI_CFG_SPACE_SIZE;
    uint32_t header;

    if (!dev->pasid_bits || dev->vf || dev->mdev) {
        return;
    }
    memcpy(&header, config + last, sizeof(header));
    while (header && PCI_EXT_CAP_NEXT(header)) {
        last = PCI_EXT_CAP_NEXT(header);
        memcpy(&header, config + last, sizeof(header));
    }
    if (header) {
        at = PCI_CFG_SPACE_EXP_SIZE - PCI_EXT_CAP_PASID_SIZEOF;
        header |= at << 20;
        memcpy(config + last, &header, sizeof(header));
    }
    header = PCI_EXT_CAP_ID_PASID | 1 << 16;
    memcpy(config + at, &header, sizeof(header));
    config[at + PCI_PASID_CAP + 1] = dev->pasid_bits;
}

static void make_config_space(MdlDevice *dev, const char *dir)
{
    char path[PATH_MAX];
    uint8_t config[4096];
    uint64_t size;
    uint32_t flags;
    FILE *f;

    if (ep_region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &size, &flags)) {
        return;
    }
    if (size > sizeof(config)) {
        size = sizeof(config);
    }
    if (ep_region_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, config, size,
                     false) != (int64_t)size) {
        return;
    }
    if (size == PCI_CFG_SPACE_EXP_SIZE) {
        add_pasid(dev, config);
    }
    make_file("", "%s/config", dir);
    snprintf(path, sizeof(path), "%s%s/config", run_dir, dir);
    f = fopen(path, "we");
    if (!f || fwrite(config, 1, size, f) != size || fclose(f)) {
        fail("create", path);
    }
}

/* Thirteen lines: six BARs, the ROM, six resources of a bridge or PF */
static void make_resources(MdlDevice *dev, const char *dir)
{
    char text[13 * 64];
    uint64_t base = 0xf0000000ull + ((uint64_t)dev->vfio_index << 20);
    size_t off = 0;
    unsigned i;

    for (i = 0; i < 13; i++) {
        uint64_t size = 0;
        uint32_t flags;

        if (i <= VFIO_PCI_ROM_REGION_INDEX &&
            ep_region_info(dev, i, &size, &flags)) {
            size = 0;
        }
        off = mdl_append(text, sizeof(text), off,
                         "0x%016llx 0x%016llx 0x%016llx\n",
                         (unsigned long long)(size ? base : 0),
                         (unsigned long long)(size ? base + size - 1 : 0),
                         size ? 0x40200ull : 0ull);
        base += size;
    }
    make_file(text, "%s/resource", dir);
}

static void make_ids(MdlDevice *dev, const char *dir)
{
    const struct {
        const char *name;
        unsigned digits, value;
    } ids[] = {
        { "vendor", 4, dev->vendor }, { "device", 4, dev->device_id },
        { "subsystem_vendor", 4, dev->vendor },
        { "subsystem_device", 4, dev->device_id },
        { "class", 6, dev->class_code }, { "revision", 2, dev->revision },
    };
    char text[64];
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(ids); i++) {
        snprintf(text, sizeof(text), "0x%0*x\n", ids[i].digits, ids[i].value);
        make_file(text, "%s/%s", dir, ids[i].name);
    }
    make_file("0\n", "%s/irq", dir);
    make_file("-1\n", "%s/numa_node", dir);
    make_file("", "%s/reset", dir);
}

static const char *iommu_name(const MdlIommu *iommu, char *buf, size_t len)
{
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        snprintf(buf, len, "dmar%u", iommu->index);
        break;
    case MDL_ARCH_SMMUV3:
        snprintf(buf, len, "smmu3.0x%016llx",
                 0x9050000ull + iommu->index * 0x20000ull);
        break;
    case MDL_ARCH_AMD:
        snprintf(buf, len, "ivhd%u", iommu->index);
        break;
    }
    return buf;
}

/* What vfio-pci adds to a device that is bound to it */
static void make_cdev(MdlDevice *dev, const char *dir)
{
    unsigned n = dev->vfio_index;
    char text[128];

    snprintf(text, sizeof(text), "%u:%u\n", MDL_VFIO_MAJOR, n);
    make_file(text, "%s/vfio-dev/vfio%u/dev", dir, n);
    make_link("../../../../../class/vfio-dev",
              "%s/vfio-dev/vfio%u/subsystem", dir, n);
    /* kernfs_get_target_path(): by way of the parent, so by name */
    snprintf(text, sizeof(text), "../../../%s", dev->bdf);
    make_link(text, "%s/vfio-dev/vfio%u/device", dir, n);
    snprintf(text, sizeof(text), "../../../../devices/pci%.7s/%s", dev->bdf,
             dev->bdf);
    make_link(text, "/sys/bus/pci/drivers/vfio-pci/%s", dev->bdf);
    snprintf(text, sizeof(text),
             "../../devices/pci%.7s/%s/vfio-dev/vfio%u", dev->bdf, dev->bdf,
             n);
    make_link(text, "/sys/class/vfio-dev/vfio%u", n);
    make_link(text, "/sys/dev/char/%u:%u", MDL_VFIO_MAJOR, n);
    make_node(dev, "/dev/vfio/devices/vfio%u", n);
    if (mdl_host.container) {
        make_node(dev, "/dev/vfio/%u", dev->group);
    }
}

static void make_device(MdlDevice *dev)
{
    char dir[128], text[128], name[48];
    MdlResv *r;

    snprintf(dir, sizeof(dir), "/sys/devices/pci%.7s/%s", dev->bdf,
             dev->bdf);
    make_ids(dev, dir);
    make_config_space(dev, dir);
    make_resources(dev, dir);
    if (dev->mdev) {
        make_file("1\n", "/sys/bus/mdev/drivers_autoprobe");
    }
    make_link(dev->mdev ? "../../../bus/mdev" : "../../../bus/pci",
              "%s/subsystem", dir);
    snprintf(text, sizeof(text), "../../../bus/pci/drivers/%s",
             dev->vfio_driver ? "vfio-pci" : "nvme");
    make_link(text, "%s/driver", dir);
    snprintf(text, sizeof(text), "../../../kernel/iommu_groups/%u",
             dev->group);
    make_link(text, "%s/iommu_group", dir);
    snprintf(text, sizeof(text), "../../virtual/iommu/%s",
             iommu_name(dev->iommu, name, sizeof(name)));
    make_link(text, "%s/iommu", dir);
    if (dev->vf) {
        /* pci_iov_sysfs_link(); one that is not modelled is function 0 */
        snprintf(text, sizeof(text), "../%.*s%s",
                 dev->pf ? 0 : (int)strlen(dev->bdf) - 1, dev->bdf,
                 dev->pf ? dev->pf->bdf : "0");
        make_link(text, "%s/physfn", dir);
    }
    snprintf(text, sizeof(text), "../../../devices/pci%.7s/%s", dev->bdf,
             dev->bdf);
    make_link(text, "/sys/bus/pci/devices/%s", dev->bdf);
    snprintf(text, sizeof(text), "../../../../devices/pci%.7s/%s", dev->bdf,
             dev->bdf);
    make_link(text, "/sys/kernel/iommu_groups/%u/devices/%s", dev->group,
              dev->bdf);
    make_file("DMA-FQ\n", "/sys/kernel/iommu_groups/%u/type", dev->group);
    for (r = dev->reserved, text[0] = '\0'; r; r = r->next) {
        mdl_append(text, sizeof(text), strlen(text),
                   "0x%016llx 0x%016llx %s\n", (unsigned long long)r->first,
                   (unsigned long long)r->last, r->msi ? "msi" : "direct");
    }
    make_file(text, "/sys/kernel/iommu_groups/%u/reserved_regions",
              dev->group);
    if (dev->vfio_driver) {
        make_cdev(dev, dir);
    }
}

static void make_iommu(const MdlIommu *iommu)
{
    char name[48], text[96];

    iommu_name(iommu, name, sizeof(name));
    if (mdl_host.arch == MDL_ARCH_VTD) {
        snprintf(text, sizeof(text), "%llx\n",
                 (unsigned long long)iommu->cap);
        make_file(text, "/sys/devices/virtual/iommu/%s/intel-iommu/cap",
                  name);
        snprintf(text, sizeof(text), "%llx\n",
                 (unsigned long long)iommu->ecap);
        make_file(text, "/sys/devices/virtual/iommu/%s/intel-iommu/ecap",
                  name);
    }
    make_file("", "/sys/devices/virtual/iommu/%s/uevent", name);
    snprintf(text, sizeof(text), "../../devices/virtual/iommu/%s", name);
    make_link(text, "/sys/class/iommu/%s", name);
}

static void remove_recursive(int dirfd, const char *name)
{
    struct dirent *entry;
    DIR *dir;
    int fd;

    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        unlinkat(dirfd, name, 0);
        return;
    }
    dir = fdopendir(fd);
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            remove_recursive(fd, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* Locks a private tree; whoever gets the lock later finds nobody in there */
static int lock_tree(int dirfd, const char *name, int flags)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/lock", name);
    fd = openat(dirfd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A process that is killed, or leaves by _exit(), leaves its tree behind */
static void remove_stale(const char *tmp)
{
    DIR *dir = opendir(tmp);
    struct dirent *entry;
    int fd;

    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, PRIVATE_NAME, strlen(PRIVATE_NAME))) {
            continue;
        }
        fd = lock_tree(dirfd(dir), entry->d_name, 0);
        if (fd >= 0) {
            remove_recursive(dirfd(dir), entry->d_name);
            close(fd);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

static void make_private_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    int lock;

    tmp = tmp && *tmp == '/' ? tmp : "/tmp";
    remove_stale(tmp);
    snprintf(run_dir, sizeof(run_dir), "%s/" PRIVATE_NAME "XXXXXX", tmp);
    if (!mkdtemp(run_dir)) {
        fail("mkdtemp", run_dir);
    }
    lock = lock_tree(AT_FDCWD, run_dir, O_CREAT | O_EXCL);
    if (lock < 0) {
        fail("lock", run_dir);
    }
    /* Held until the process ends */
    mdl_fd_private(lock);
    tree_owner = getpid();
}

static void make_tree(void)
{
    char *resolved;
    unsigned i;

    if (mdl_config.run_dir) {
        snprintf(run_dir, sizeof(run_dir), "%s", mdl_config.run_dir);
    } else {
        make_private_dir();
    }
    /* realpath() answers are compared with this */
    resolved = realpath(run_dir, NULL);
    if (resolved) {
        snprintf(run_dir, sizeof(run_dir), "%s", resolved);
        free(resolved);
    }
    make_node(NULL, "/dev/iommu");
    if (mdl_host.container) {
        make_node(NULL, "/dev/vfio/vfio");
    }
    for (i = 0; i < MDL_MAX_IOMMUS; i++) {
        if (mdl_host.iommu[i].present) {
            make_iommu(&mdl_host.iommu[i]);
        }
    }
    for (i = 0; i < mdl_host.nr_devices; i++) {
        make_device(mdl_host.device[i]);
    }
    tree_ready = true;
}

/* Takes the lock unless the caller is inside already */
const char *mdl_run_dir(void)
{
    bool inside = mdl_inside();

    if (!__atomic_load_n(&tree_ready, __ATOMIC_ACQUIRE)) {
        if (!inside) {
            mdl_enter();
        }
        if (!tree_ready) {
            make_tree();
        }
        if (!inside) {
            mdl_leave();
        }
    }
    return run_dir;
}

/* A private tree belongs to the process that made it */
void mdl_tree_forget(void)
{
    if (tree_owner) {
        tree_ready = false;
        tree_owner = 0;
    }
}

void mdl_tree_remove(void)
{
    if (tree_ready && tree_owner == getpid()) {
        remove_recursive(AT_FDCWD, run_dir);
        tree_ready = false;
    }
}

/* -------------------------------------------------------------- path names */

/* What of /sys and /dev is ours; whole components only */
static const char *const prefixes[] = {
    "/dev/iommu", "/dev/vfio", "/sys/bus/pci", "/sys/class/iommu",
    "/sys/class/vfio-dev", "/sys/kernel/iommu_groups",
    "/sys/devices/virtual/iommu",
};

static bool under(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);

    return !strncmp(path, prefix, len) &&
           (!path[len] || path[len] == '/');
}

/* "/dev//vfio/./x" is "/dev/vfio/x"; nothing else is resolved here */
static bool simplify(const char *path, char *out, size_t len)
{
    size_t n = 0;

    while (*path) {
        if (path[0] == '/' && path[1] == '/') {
            path++;
        } else if (path[0] == '/' && path[1] == '.' &&
                   (path[2] == '/' || !path[2])) {
            path += 2;
        } else {
            if (n + 1 >= len) {
                return false;
            }
            out[n++] = *path++;
        }
    }
    out[n] = '\0';
    return n > 0;
}

static MdlDevice *device_by_index(const char *text)
{
    const char *end;
    uint64_t n;

    if (!mdl_parse_u64(text, &end, &n)) {
        return NULL;
    }
    return !*end && n < mdl_host.nr_devices ? mdl_host.device[n] : NULL;
}

/* The first device that vfio drives of a group */
static MdlDevice *device_of_group(const char *text)
{
    const char *end;
    uint64_t n;

    if (!mdl_host.container || !mdl_parse_u64(text, &end, &n) || *end) {
        return NULL;
    }
    for (unsigned i = 0; i < mdl_host.nr_devices; i++) {
        MdlDevice *dev = mdl_host.device[i];

        if (dev->group == n && dev->vfio_driver) {
            return dev;
        }
    }
    return NULL;
}

static void find_node(const char *path, MdlNode *node)
{
    static const char vfio[] = "/dev/vfio/devices/vfio";
    static const char group[] = "/dev/vfio/";

    if (!strcmp(path, "/dev/iommu") ||
        (mdl_host.container && !strcmp(path, "/dev/vfio/vfio"))) {
        node->kind = MDL_NODE_IOMMU;
    } else if (!strncmp(path, vfio, sizeof(vfio) - 1)) {
        node->dev = device_by_index(path + sizeof(vfio) - 1);
        node->kind = node->dev && node->dev->vfio_driver ? MDL_NODE_DEVICE :
                     MDL_NODE_NONE;
    } else if (!strncmp(path, group, sizeof(group) - 1)) {
        node->dev = device_of_group(path + sizeof(group) - 1);
        node->kind = node->dev ? MDL_NODE_GROUP : MDL_NODE_NONE;
    }
}

/* udev's links by number, which only lead to our own */
static void resolve_dev_char(char *path, size_t len)
{
    unsigned major, minor;
    char tail;

    if (sscanf(path, "/dev/char/%u:%u%c", &major, &minor, &tail) != 2) {
        return;
    }
    if (major == MDL_VFIO_MAJOR) {
        snprintf(path, len, "/dev/vfio/devices/vfio%u", minor);
    } else if (major == MDL_IOMMU_MAJOR && minor == MDL_IOMMU_MINOR) {
        snprintf(path, len, "/dev/iommu");
    }
}

/* Of the character devices only ours: others are the machine's */
static bool sys_dev_char(const char *path)
{
    unsigned major;

    return sscanf(path, "/sys/dev/char/%u:", &major) == 1 &&
           major == MDL_VFIO_MAJOR;
}

/* A device's real directory, which its links under /sys/bus/pci lead to */
static bool device_dir(const char *path)
{
    char dir[64];
    unsigned i;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        const char *bdf = mdl_host.device[i]->bdf;

        snprintf(dir, sizeof(dir), "/sys/devices/pci%.7s/%s", bdf, bdf);
        if (under(path, dir)) {
            return true;
        }
    }
    return false;
}

static bool concerned(const char *path)
{
    size_t i;

    for (i = 0; i < MDL_ARRAY_SIZE(prefixes); i++) {
        if (under(path, prefixes[i])) {
            return true;
        }
    }
    return device_dir(path) || sys_dev_char(path);
}

const char *mdl_path(const char *path, char *buf, size_t len, MdlNode *node,
                     bool opening)
{
    char plain[PATH_MAX];
    const char *run;

    *node = (MdlNode) { MDL_NODE_NONE, NULL };
    if (!path || path[0] != '/' ||
        (strncmp(path, "/dev", 4) && strncmp(path, "/sys", 4) &&
         path[1] != '/' && path[1] != '.')) {
        return path;
    }
    if (!simplify(path, plain, sizeof(plain))) {
        return path;
    }
    if (!mdl_config.active) {
        return under(plain, "/dev/iommu") || under(plain, "/dev/vfio") ?
               NOWHERE : path;
    }
    resolve_dev_char(plain, sizeof(plain));
    if (!concerned(plain)) {
        return path;
    }
    find_node(plain, node);
    if (opening && node->kind != MDL_NODE_NONE) {
        /* What gets opened is not the file in the tree */
        return path;
    }
    run = mdl_run_dir();
    if (snprintf(buf, len, "%s%s", run, plain) >= (int)len) {
        return path;
    }
    return buf;
}
