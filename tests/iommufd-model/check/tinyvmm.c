/*
 * A tiny VMM: life, stage 2, attachments, batches
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <dirent.h>
#include <dlfcn.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tinyvmm.h"

static void G_GNUC_PRINTF(1, 2) G_NORETURN die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "tinyvmm: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(1);
}

/* -------------------------------------------------------- kernel interface */

int tv_ioctl(TvVm *vm, int fd, unsigned long cmd, void *arg,
             const char *name)
{
    int ret;

    do {
        ret = ioctl(fd, cmd, arg);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        ret = -errno;
        vm->errors++;
        printf("# tinyvmm: %s: %s\n", name, strerror(-ret));
    }
    return ret;
}

void tv_destroy(TvVm *vm, uint32_t *id)
{
    struct iommu_destroy cmd = { .size = sizeof(cmd), .id = *id };

    if (*id) {
        tv_ioctl(vm, vm->iommufd, IOMMU_DESTROY, &cmd, "DESTROY");
    }
    *id = 0;
}

int tv_map(TvVm *vm, uint64_t gpa, uint64_t len, bool writable)
{
    struct iommu_ioas_map cmd = {
        .size = sizeof(cmd),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
        .ioas_id = vm->ioas,
        .user_va = (uintptr_t)vm->ram + gpa,
        .length = len,
        .iova = gpa,
    };

    return tv_ioctl(vm, vm->iommufd, IOMMU_IOAS_MAP, &cmd, "IOAS_MAP");
}

int tv_unmap(TvVm *vm, uint64_t gpa, uint64_t len)
{
    struct iommu_ioas_unmap cmd = {
        .size = sizeof(cmd),
        .ioas_id = vm->ioas,
        .iova = gpa,
        .length = len,
    };

    return tv_ioctl(vm, vm->iommufd, IOMMU_IOAS_UNMAP, &cmd, "IOAS_UNMAP");
}

int tv_attach(TvVm *vm, TvDevice *dev, uint32_t pasid, uint32_t pt_id)
{
    struct vfio_device_attach_iommufd_pt cmd = {
        .argsz = sizeof(cmd),
        .flags = pasid == TV_NO_PASID ? 0 : VFIO_DEVICE_ATTACH_PASID,
        .pt_id = pt_id,
        .pasid = pasid == TV_NO_PASID ? 0 : pasid,
    };

    return tv_ioctl(vm, dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd,
                    "ATTACH");
}

int tv_detach(TvVm *vm, TvDevice *dev, uint32_t pasid)
{
    struct vfio_device_detach_iommufd_pt cmd = {
        .argsz = sizeof(cmd),
        .flags = pasid == TV_NO_PASID ? 0 : VFIO_DEVICE_DETACH_PASID,
        .pasid = pasid == TV_NO_PASID ? 0 : pasid,
    };

    return tv_ioctl(vm, dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd,
                    "DETACH");
}

/* ----------------------------------------------------------------- batches */

static unsigned entry_size(const TvVm *vm)
{
    return vm->cfg.arch == TV_VTD ? sizeof(((TvBatch *)0)->vtd[0]) :
                                    sizeof(((TvBatch *)0)->smmu[0]);
}

void tv_append(TvVm *vm, uint32_t target, const void *entry)
{
    unsigned size = entry_size(vm);
    TvBatch **p = &vm->batches, *b;

    if (tv_bug(vm, TV_BUG_DROP) && !vm->struck) {
        vm->struck = true;
        return;
    }
    /* Order is kept within a target; different targets do not depend */
    while (*p && ((*p)->target != target || (*p)->n == TV_BATCH)) {
        p = &(*p)->next;
    }
    b = *p;
    if (!b) {
        b = *p = g_new0(TvBatch, 1);
        b->target = target;
    }
    memcpy((uint8_t *)b->vtd + (size_t)b->n++ * size, entry, size);
}

static void reorder(TvBatch *b, unsigned size)
{
    uint8_t *first = (uint8_t *)b->vtd, last[32];

    memcpy(last, first + (size_t)(b->n - 1) * size, size);
    memmove(first + size, first, (size_t)(b->n - 1) * size);
    memcpy(first, last, size);
}

static void issue(TvVm *vm, TvBatch **list)
{
    while (*list) {
        TvBatch *b = *list;
        struct iommu_hwpt_invalidate cmd = {
            .size = sizeof(cmd),
            .hwpt_id = b->target,
            .data_uptr = (uintptr_t)b->vtd,
            .data_type = vm->cfg.arch == TV_VTD ?
                         IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 :
                         IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
            .entry_len = entry_size(vm),
            .entry_num = b->n,
        };

        if (tv_bug(vm, TV_BUG_REORDER)) {
            reorder(b, entry_size(vm));
        }
        if (!tv_ioctl(vm, vm->iommufd, IOMMU_HWPT_INVALIDATE, &cmd,
                      "HWPT_INVALIDATE") && cmd.entry_num != b->n) {
            vm->errors++;
            printf("# tinyvmm: %u of %u entries done\n", cmd.entry_num, b->n);
        }
        *list = b->next;
        g_free(b);
    }
}

void tv_flush(TvVm *vm)
{
    if (tv_bug(vm, TV_BUG_EARLY)) {
        /* One synchronisation behind the guest */
        issue(vm, &vm->held);
        vm->held = vm->batches;
        vm->batches = NULL;
        return;
    }
    if (tv_bug(vm, TV_BUG_SWAP) && vm->batches && !vm->held && !vm->struck) {
        vm->struck = true;
        vm->held = vm->batches;
        vm->batches = NULL;
        return;
    }
    issue(vm, &vm->batches);
    issue(vm, &vm->held);
}

/* -------------------------------------------------------------------- life */

static int open_cdev(const char *bdf)
{
    g_autofree char *dir =
        g_strdup_printf("/sys/bus/pci/devices/%s/vfio-dev", bdf);
    g_autofree char *path = NULL;
    DIR *d = opendir(dir);
    struct dirent *e;
    int fd;

    if (!d) {
        die("%s: %s", dir, strerror(errno));
    }
    while ((e = readdir(d))) {
        if (!strncmp(e->d_name, "vfio", 4)) {
            path = g_strdup_printf("/dev/vfio/devices/%s", e->d_name);
            break;
        }
    }
    closedir(d);
    if (!path) {
        die("%s: no vfio device", dir);
    }
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        die("%s: %s", path, strerror(errno));
    }
    return fd;
}

static void open_device(TvVm *vm, TvDevice *dev)
{
    struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
    struct iommu_hwpt_alloc parent = {
        .size = sizeof(parent),
        .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | vm->cfg.parent_flags |
                 (vm->cfg.arch == TV_VTD ? IOMMU_HWPT_ALLOC_PASID : 0),
        .pt_id = vm->ioas,
    };
    TvIommu *iommu = &vm->iommu[dev->iommu];

    dev->fd = open_cdev(dev->bdf);
    bind.iommufd = vm->iommufd;
    if (tv_ioctl(vm, dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind, "BIND")) {
        die("%s: cannot bind", dev->bdf);
    }
    dev->dev_id = bind.out_devid;
    if (!iommu->parent) {
        parent.dev_id = dev->dev_id;
        if (tv_ioctl(vm, vm->iommufd, IOMMU_HWPT_ALLOC, &parent,
                     "HWPT_ALLOC parent")) {
            die("%s: no nesting parent", dev->bdf);
        }
        iommu->parent = parent.out_hwpt_id;
    }
    if (tv_attach(vm, dev, TV_NO_PASID, iommu->parent)) {
        die("%s: cannot attach the parent", dev->bdf);
    }
}

static void ram_read(void *opaque, uint64_t gpa, void *buf, size_t len)
{
    TvVm *vm = opaque;

    g_assert(gpa <= vm->cfg.ram_size && len <= vm->cfg.ram_size - gpa);
    memcpy(buf, vm->ram + gpa, len);
}

static void ram_write(void *opaque, uint64_t gpa, const void *buf, size_t len)
{
    TvVm *vm = opaque;

    g_assert(gpa <= vm->cfg.ram_size && len <= vm->cfg.ram_size - gpa);
    memcpy(vm->ram + gpa, buf, len);
}

TvVm *tv_open(const TvConfig *cfg)
{
    struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
    TvVm *vm = g_new0(TvVm, 1);
    unsigned i;

    vm->cfg = *cfg;
    vm->fault_fd = -1;
    vm->ram = mmap(NULL, cfg->ram_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm->ram == MAP_FAILED) {
        die("no guest memory: %s", strerror(errno));
    }
    vm->mem = (IommuMem) {
        .read = ram_read,
        .write = ram_write,
        .opaque = vm,
        .next = cfg->tables,
        .end = cfg->ram_size,
    };
    vm->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (vm->iommufd < 0) {
        die("/dev/iommu: %s", strerror(errno));
    }
    if (tv_ioctl(vm, vm->iommufd, IOMMU_IOAS_ALLOC, &ioas, "IOAS_ALLOC")) {
        die("no IOAS");
    }
    vm->ioas = ioas.out_ioas_id;
    if (tv_map(vm, 0, cfg->ram_size, true)) {
        die("cannot map guest memory");
    }
    for (i = 0; i < cfg->n_devices; i++) {
        vm->device[i].bdf = cfg->device[i].bdf;
        vm->device[i].iommu = cfg->device[i].iommu;
        vm->device[i].rid = cfg->device[i].rid;
        vm->device[i].old_rid = cfg->device[i].rid;
        open_device(vm, &vm->device[i]);
    }
    if (cfg->arch == TV_VTD) {
        tv_vtd_open(vm);
    } else {
        tv_smmu_open(vm);
    }
    return vm;
}

/* kernel-facts.md's order: queues, stage 1, vDEVICE, vIOMMU, parent, IOAS */
void tv_close(TvVm *vm)
{
    unsigned i;

    vm->armed = false;
    tv_flush(vm);
    if (vm->cfg.arch == TV_VTD) {
        tv_vtd_close(vm);
    } else {
        tv_smmu_close(vm);
    }
    for (i = 0; i < vm->cfg.n_devices; i++) {
        close(vm->device[i].fd);
    }
    for (i = 0; i < TV_MAX_IOMMUS; i++) {
        tv_destroy(vm, &vm->iommu[i].parent);
    }
    tv_destroy(vm, &vm->ioas);
    close(vm->iommufd);
    munmap(vm->ram, vm->cfg.ram_size);
    g_free(vm);
}

void tv_arm(TvVm *vm)
{
    vm->armed = true;
}

bool tv_bug(const TvVm *vm, TvBug bug)
{
    return vm->armed && vm->cfg.bug == bug;
}

void tv_kick(TvVm *vm)
{
    if (vm->cfg.arch == TV_VTD) {
        tv_vtd_run(vm);
    } else {
        tv_smmu_run(vm);
    }
}

void tv_idle(TvVm *vm)
{
    issue(vm, &vm->held);
}

void tv_renumber(TvVm *vm, TvDevice *dev, uint16_t rid)
{
    dev->old_rid = dev->rid;
    dev->rid = rid;
    if (vm->cfg.arch == TV_SMMUV3) {
        tv_smmu_renumber(vm, dev);
    }
}

int tv_event_rid(TvVm *vm)
{
    return vm->cfg.arch == TV_VTD ? tv_vtd_event_rid(vm) :
                                    tv_smmu_event_rid(vm);
}

TvDevice *tv_by_rid(TvVm *vm, uint16_t rid)
{
    unsigned i;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        if (vm->device[i].rid == rid) {
            return &vm->device[i];
        }
    }
    return NULL;
}

TvDevice *tv_by_dev_id(TvVm *vm, uint32_t dev_id)
{
    unsigned i;

    for (i = 0; i < vm->cfg.n_devices; i++) {
        if (vm->device[i].dev_id == dev_id) {
            return &vm->device[i];
        }
    }
    return NULL;
}

/* -------------------------------------------------------------- the device */

bool tv_command(char *reply, size_t reply_len, const char *fmt, ...)
{
    static int (*command)(const char *in, char *out, size_t len);
    g_autofree char *text = NULL;
    va_list ap;

    if (!command) {
        command = (typeof(command))dlsym(RTLD_DEFAULT,
                                         "iommufd_model_command");
        if (!command) {
            die("the model of /dev/iommu is not preloaded");
        }
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    command(text, reply, reply_len);
    return strstr(reply, "\"ok\":true");
}

static void parse_fault(TvDma *dma, const char *fault)
{
    const char *stage = strstr(fault, "\"stage\":");
    const char *reason = strstr(fault, "\"reason\":\"");

    dma->fault = true;
    if (!stage || !reason ||
        sscanf(stage, "\"stage\":%d", &dma->stage) != 1 ||
        sscanf(reason, "\"reason\":\"%31[a-z0-9-]", dma->reason) != 1) {
        die("cannot read the answer: %s", fault);
    }
}

static void parse_data(TvDma *dma, const char *reply)
{
    const char *hex = strstr(reply, "\"data\":\"");
    uint32_t i;

    if (!hex) {
        die("no data in the answer: %s", reply);
    }
    hex += strlen("\"data\":\"");
    for (i = 0; i < dma->len; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            die("cannot read the data: %s", reply);
        }
        dma->data[i] = byte;
    }
}

void tv_dma(TvVm *vm, const TvDevice *dev, TvDma *dma)
{
    GString *opt = g_string_new(NULL);
    char reply[2 * TV_MAX_DMA + 512];
    const char *fault;
    uint32_t i;

    g_assert(dma->len <= TV_MAX_DMA);
    if (dma->pasid != TV_NO_PASID) {
        g_string_append_printf(opt, ",\"pasid\":%u", dma->pasid);
    }
    if (dma->ats) {
        g_string_append(opt, ",\"ats\":true");
    }
    if (dma->priv) {
        g_string_append(opt, ",\"priv\":true");
    }
    if (dma->write) {
        g_string_append(opt, ",\"data\":\"");
        for (i = 0; i < dma->len; i++) {
            g_string_append_printf(opt, "%02x", dma->data[i]);
        }
        g_string_append(opt, "\"");
    }
    if (!tv_command(reply, sizeof(reply), "{\"cmd\":\"dma\",\"dev\":\"%s\","
                    "\"op\":\"%s\",\"addr\":%" PRIu64 ",\"len\":%u%s}",
                    dev->bdf, dma->write ? "write" : "read", dma->addr,
                    dma->len, opt->str)) {
        die("dma refused: %s", reply);
    }
    g_string_free(opt, TRUE);
    dma->fault = false;
    dma->stage = -1;
    dma->reason[0] = '\0';
    fault = strstr(reply, "\"fault\":{");
    if (fault) {
        parse_fault(dma, fault);
    } else if (!dma->write) {
        parse_data(dma, reply);
    }
}

unsigned tv_live_objects(void)
{
    char reply[16384];
    const char *at;
    unsigned total = 0, n;

    if (!tv_command(reply, sizeof(reply), "{\"cmd\":\"counters\"}")) {
        die("no counters: %s", reply);
    }
    at = strstr(reply, "\"live\":{");
    if (!at) {
        die("no live objects in the counters: %s", reply);
    }
    for (at += strlen("\"live\":{"); *at && *at != '}'; at++) {
        if (*at == ':' && sscanf(at, ":%u", &n) == 1) {
            total += n;
        }
    }
    return total;
}
