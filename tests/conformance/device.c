/*
 * Conformance of /dev/iommu: the vfio devices of the machine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "conformance.h"

#define SYSFS_PCI "/sys/bus/pci/devices"

#define PCI_CAP_ID_PM   0x01
#define PCI_CAP_ID_MSIX 0x11
#define PCI_EXT_CAP_ID_ATS 0x0f
#define PCI_EXT_CAP_ID_PRI 0x13

CtConfig ct;

/* ------------------------------------------------------------ vfio calls */

int ct_open_cdev(const CtDevice *dev)
{
    int fd = open(dev->cdev, O_RDWR | O_CLOEXEC);

    return fd < 0 ? -errno : ct_keep_fd(fd);
}

int ct_bind(int fd, int iommufd, uint32_t *id)
{
    struct vfio_device_bind_iommufd cmd = {
        .argsz = sizeof(cmd),
        .iommufd = iommufd,
    };
    int ret = ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

    *id = ret ? 0 : cmd.out_devid;
    return ret;
}

bool ct_bound(CtBound *b, int iommufd, const CtDevice *dev)
{
    b->dev = dev;
    b->iommufd = iommufd;
    b->id = 0;
    b->fd = ct_open_cdev(dev);
    return OK(b->fd >= 0) && RET(0, ct_bind(b->fd, iommufd, &b->id));
}

bool ct_bound_new(CtBound *b, uint64_t needs)
{
    int iommufd = ct_open_iommufd();

    return iommufd >= 0 && ct_bound(b, iommufd, ct_device(needs));
}

bool ct_bound_parent(CtBound *b, uint64_t needs, uint32_t *ioas,
                     uint32_t *parent)
{
    if (!ct_bound_new(b, needs)) {
        return false;
    }
    *ioas = ct_ioas(b->iommufd);
    return RET(0, ct_hwpt(b->iommufd, b->id, *ioas,
                          IOMMU_HWPT_ALLOC_NEST_PARENT, parent));
}

static int attach(const CtBound *b, uint32_t *pt, uint32_t flags,
                  uint32_t pasid)
{
    struct vfio_device_attach_iommufd_pt cmd = {
        .argsz = sizeof(cmd),
        .flags = flags,
        .pt_id = *pt,
        .pasid = pasid,
    };
    int ret = ct_ioctl(b->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

    *pt = cmd.pt_id;
    return ret;
}

int ct_attach_out(const CtBound *b, uint32_t *pt)
{
    return attach(b, pt, 0, 0);
}

int ct_attach(const CtBound *b, uint32_t pt)
{
    return attach(b, &pt, 0, 0);
}

int ct_attach_pasid(const CtBound *b, uint32_t pt, uint32_t pasid)
{
    return attach(b, &pt, VFIO_DEVICE_ATTACH_PASID, pasid);
}

static int detach(const CtBound *b, uint32_t flags, uint32_t pasid)
{
    struct vfio_device_detach_iommufd_pt cmd = {
        .argsz = sizeof(cmd),
        .flags = flags,
        .pasid = pasid,
    };

    return ct_ioctl(b->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

int ct_detach(const CtBound *b)
{
    return detach(b, 0, 0);
}

int ct_detach_pasid(const CtBound *b, uint32_t pasid)
{
    return detach(b, VFIO_DEVICE_DETACH_PASID, pasid);
}

uint64_t ct_region_offset(const CtBound *b, uint32_t index)
{
    struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

    return ct_ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ? 0 :
           info.offset;
}

/* ----------------------------------------------------- PCI capabilities */

static uint32_t config_read(const CtBound *b, unsigned off, unsigned len)
{
    uint32_t val = 0;
    uint64_t base = ct_region_offset(b, VFIO_PCI_CONFIG_REGION_INDEX);

    if (ct_pread(b->fd, &val, len, base + off) != (ssize_t)len) {
        return 0;
    }
    return le32toh(val);
}

unsigned ct_pci_cap(const CtBound *b, uint8_t id)
{
    unsigned pos = config_read(b, 0x34, 1) & ~3u;

    /* A list cannot be longer than config space has room for */
    for (unsigned n = 0; pos >= 0x40 && n < 48; n++) {
        if (config_read(b, pos, 1) == id) {
            return pos;
        }
        pos = config_read(b, pos + 1, 1) & ~3u;
    }
    return 0;
}

unsigned ct_pci_ext_cap(const CtBound *b, uint16_t id)
{
    unsigned pos = 0x100;

    for (unsigned n = 0; pos >= 0x100 && n < 960; n++) {
        uint32_t header = config_read(b, pos, 4);

        if (header && (header & 0xffff) == id) {
            return pos;
        }
        pos = header >> 20 & ~3u;
    }
    return 0;
}

/* -------------------------------------------------------------- choosing */

unsigned ct_domain_ids(const CtDevice *dev)
{
    switch (dev->info_type) {
    case IOMMU_HW_INFO_TYPE_INTEL_VTD:
        return 1u << (4 + 2 * (dev->info.vtd.cap_reg & 7));     /* CAP.ND */
    case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
        return dev->info.smmu.idr[0] & 1u << 18 ? 65536 : 256;  /* VMID16 */
    default:
        return 0;
    }
}

/* IDR0.STALL_MODEL */
static bool can_stall(const CtDevice *d)
{
    return d->info_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3 &&
           !(d->info.smmu.idr[0] >> 24 & 3);
}

/* A container of VFIO's own says something else before it has a group */
static bool has_container(const CtDevice *d)
{
    char path[64];
    bool ok;
    int fd;

    snprintf(path, sizeof(path), "/dev/vfio/%s", d->group);
    if (!*d->group || access(path, F_OK)) {
        return false;
    }
    fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    ok = fd >= 0 && ct_ioctl(fd, VFIO_SET_IOMMU,
                             (void *)VFIO_TYPE1v2_IOMMU) == -ENODEV;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool device_has(const CtDevice *d, uint64_t needs)
{
    return (!(needs & CT_NEST) || d->nest) &&
           (!(needs & CT_NO_NEST) || !d->nest) &&
           (!(needs & CT_VIOMMU) || d->viommu) &&
           (!(needs & CT_PASID) || (d->pasid_bits && d->pasid_table)) &&
           (!(needs & CT_NO_PASID) || (!d->pasid_bits && d->pasid_table)) &&
           (!(needs & CT_PRI) || d->pri) &&
           (!(needs & CT_NO_PRI) || (!d->pri && !d->pf_pri)) &&
           (!(needs & CT_VF_PRI) || d->pf_pri) &&
           (!(needs & CT_DIRTY) || d->caps & IOMMU_HW_CAP_DIRTY_TRACKING) &&
           (!(needs & CT_RESET) || d->reset) &&
           (!(needs & CT_MSIX) || d->msix) &&
           (!(needs & CT_FEW_IDS) || (ct_domain_ids(d) &&
                                      ct_domain_ids(d) <= 256)) &&
           (!(needs & CT_INTX) || (d->intx && d->msix)) &&
           (!(needs & CT_ATS) || d->ats) &&
           (!(needs & CT_STALLS) || can_stall(d)) &&
           (!(needs & CT_CMDQV) || d->cmdqv) &&
           (!(needs & CT_NO_ATS) || !d->ats) &&
           (!(needs & CT_MSI) || d->msi) &&
           (!(needs & CT_ROM) || d->rom) &&
           (!(needs & CT_BAR) || d->bar >= 0) &&
           (!(needs & CT_PM) || (d->pm && d->bar >= 0)) &&
           (!(needs & CT_DMABUF) || d->dmabuf) &&
           (!(needs & CT_CONTAINER) || has_container(d)) &&
           (!(needs & CT_MIG) || d->mig);
}

bool ct_scalable_mode(void)
{
    return ct.have & (CT_NEST | CT_PASID | CT_DIRTY);
}

const CtDevice *ct_device(uint64_t needs)
{
    for (unsigned i = 0; i < ct.nr_dev; i++) {
        const CtDevice *d = &ct.dev[i];

        if (device_has(d, needs) &&
            (!(needs & (CT_DEV2 | CT_MATE | CT_IOMMU2)) ||
             ct_device_other(d, needs))) {
            return d;
        }
    }
    return NULL;
}

const CtDevice *ct_device_other(const CtDevice *dev, uint64_t how)
{
    for (unsigned i = 0; i < ct.nr_dev; i++) {
        const CtDevice *d = &ct.dev[i];
        bool mate = *d->group && !strcmp(d->group, dev->group);
        bool same = *d->iommu && !strcmp(d->iommu, dev->iommu);

        if (d == dev || mate != !!(how & CT_MATE)) {
            continue;
        }
        if (how & CT_IOMMU2 && (!*d->iommu || !*dev->iommu || same)) {
            continue;
        }
        if (device_has(d, how)) {
            return d;
        }
    }
    return NULL;
}

bool ct_peers(const CtDevice **dev, const CtDevice **other)
{
    for (unsigned i = 0; i < ct.nr_dev * ct.nr_dev; i++) {
        const CtDevice *a = &ct.dev[i / ct.nr_dev];
        const CtDevice *b = &ct.dev[i % ct.nr_dev];

        if (a != b && a->engine && b->dmabuf && b->memory >= 0 &&
            (!*a->group || strcmp(a->group, b->group))) {
            *dev = a;
            *other = b;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------- discovery */

static void link_name(const char *bdf, const char *link, char *out,
                      size_t len)
{
    char path[256], target[512];
    ssize_t n;
    const char *slash;

    snprintf(path, sizeof(path), SYSFS_PCI "/%s/%s", bdf, link);
    n = readlink(path, target, sizeof(target) - 1);
    if (n <= 0) {
        out[0] = '\0';
        return;
    }
    target[n] = '\0';
    slash = strrchr(target, '/');
    snprintf(out, len, "%.*s", (int)len - 1, slash ? slash + 1 : target);
}

/* The vfioN below a device's vfio-dev directory names its character device */
static bool find_cdev(CtDevice *d)
{
    char path[256];
    DIR *dir;
    struct dirent *e;

    snprintf(path, sizeof(path), SYSFS_PCI "/%s/vfio-dev", d->bdf);
    dir = opendir(path);
    if (!dir) {
        return false;
    }
    d->cdev[0] = '\0';
    while ((e = readdir(dir))) {
        if (!strncmp(e->d_name, "vfio", 4)) {
            snprintf(d->cdev, sizeof(d->cdev), "/dev/vfio/devices/%.32s",
                     e->d_name);
        }
    }
    closedir(dir);
    return d->cdev[0];
}

static void find_place(CtDevice *d)
{
    char physfn[64];

    if (!d->bdf[0]) {
        return;
    }
    link_name(d->bdf, "iommu_group", d->group, sizeof(d->group));
    link_name(d->bdf, "iommu", d->iommu, sizeof(d->iommu));
    link_name(d->bdf, "physfn", physfn, sizeof(physfn));
    d->virtfn = physfn[0];
}

/* Attaching something with a fault queue turns page requests on, or fails */
static void probe_faults(CtDevice *d, const CtBound *b, uint32_t ioas)
{
    uint32_t fault, hwpt;
    int qfd, ret;

    if (ct_fault_queue(b->iommufd, &fault, &qfd) ||
        ct_hwpt_data(b->iommufd, b->id, ioas, IOMMU_HWPT_FAULT_ID_VALID,
                     IOMMU_HWPT_DATA_NONE, NULL, 0, fault, &hwpt)) {
        return;
    }
    ret = ct_attach(b, hwpt);
    /* SMMUv3 grants the attach whether the device has page requests or not */
    d->pri = !ret && d->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD &&
             ct_pci_ext_cap(b, PCI_EXT_CAP_ID_PRI);
    d->pf_pri = ret == -EINVAL && d->virtfn;
    ct_detach(b);
    ct_destroy(b->iommufd, hwpt);
}

/* Beginning of MSI-X's table, as the capability has it: BAR and offset */
static uint32_t msix_table(const CtBound *b)
{
    unsigned at = ct_pci_cap(b, PCI_CAP_ID_MSIX);

    return at ? config_read(b, at + 4, 4) : UINT32_MAX;
}

/* That vfio-pci makes them; whether iommufd takes them only trying tells */
static bool probe_dma_buf(const CtBound *b)
{
    struct vfio_device_feature f = {
        .argsz = sizeof(f),
        .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
                 CT_VFIO_FEATURE_DMA_BUF,
    };

    return !ct_ioctl(b->fd, VFIO_DEVICE_FEATURE, &f);
}

/* The model's, or an sva-engine, which has a block for such ends */
static bool is_engine(const CtBound *b)
{
    return ct.model || config_read(b, 0, 4) == 0x11e91234;
}

/* What may be prefetched is no register; all that the model has is memory */
static bool keeps_data(const CtBound *b, unsigned bar)
{
    return ct.model || config_read(b, 0x10 + 4 * bar, 4) & 8;
}

/* A BAR whose first word is the same, mapped and trapped */
static void probe_bars(CtDevice *d, const CtBound *b)
{
    struct vfio_region_info rom = {
        .argsz = sizeof(rom),
        .index = VFIO_PCI_ROM_REGION_INDEX,
    };
    uint32_t table = msix_table(b);

    d->bar = d->memory = -1;
    for (int i = VFIO_PCI_BAR5_REGION_INDEX; i >= 0; i--) {
        struct vfio_region_info info = { .argsz = sizeof(info), .index = i };

        if (!ct_ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, &info) &&
            (info.flags & VFIO_REGION_INFO_FLAG_MMAP) &&
            table != (uint32_t)i) {
            d->bar = i;
            d->memory = keeps_data(b, i) ? i : d->memory;
        }
    }
    d->pm = ct_pci_cap(b, PCI_CAP_ID_PM);
    d->rom = !ct_ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, &rom) && rom.size;
    d->dmabuf = d->bar >= 0 && probe_dma_buf(b);
    d->engine = is_engine(b);
}

static bool probe_migration(const CtBound *b)
{
    struct {
        struct vfio_device_feature f;
        uint64_t data;
    } get = {
        .f.argsz = sizeof(get),
        .f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
    };

    return !ct_ioctl(b->fd, VFIO_DEVICE_FEATURE, &get.f);
}

static void probe_cmdqv(CtDevice *d, const CtBound *b)
{
    struct iommu_hw_info_tegra241_cmdqv data;
    struct iommu_hw_info info = {
        .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
        .in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
        .data_len = sizeof(data),
        .data_uptr = (uintptr_t)&data,
    };

    d->cmdqv = !ct_hw_info(b->iommufd, b->id, &info);
    if (d->cmdqv) {
        d->log2vcmdqs = data.log2vcmdqs;
        d->log2vsids = data.log2vsids;
    }
}

static void probe(CtDevice *d)
{
    struct iommu_hw_info info = {
        .data_len = sizeof(d->info),
        .data_uptr = (uintptr_t)&d->info,
    };
    struct vfio_device_info dinfo = { .argsz = sizeof(dinfo) };
    struct vfio_irq_info irq = {
        .argsz = sizeof(irq),
        .index = VFIO_PCI_MSIX_IRQ_INDEX,
    };
    CtBound b;
    uint32_t ioas, parent = 0;

    b.iommufd = ct_open_iommufd();
    if (b.iommufd < 0 || !ct_bound(&b, b.iommufd, d)) {
        return;
    }
    if (!ct_ioctl(b.fd, VFIO_DEVICE_GET_INFO, &dinfo)) {
        d->reset = dinfo.flags & VFIO_DEVICE_FLAGS_RESET;
    }
    if (!ct_ioctl(b.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq)) {
        d->msix = irq.count >= 2;
    }
    irq.index = VFIO_PCI_MSI_IRQ_INDEX;
    if (!ct_ioctl(b.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq)) {
        d->msi = irq.count;
    }
    irq.index = VFIO_PCI_INTX_IRQ_INDEX;
    if (!ct_ioctl(b.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq)) {
        d->intx = irq.count;
    }
    d->mig = probe_migration(&b);
    probe_bars(d, &b);
    d->ats = ct_pci_ext_cap(&b, PCI_EXT_CAP_ID_ATS);
    if (!RET(0, ct_hw_info(b.iommufd, b.id, &info)) ||
        ct_ioas_alloc(b.iommufd, &ioas)) {
        return;
    }
    d->info_type = info.out_data_type;
    d->pasid_bits = info.out_max_pasid_log2;
    d->caps = info.out_capabilities;
    d->nest = !ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
                       &parent);
    d->pasid_table = !ct_hwpt(b.iommufd, b.id, ioas, IOMMU_HWPT_ALLOC_PASID,
                              NULL);
    d->viommu = d->nest &&
                !ct_viommu_new(b.iommufd, b.id, parent,
                               IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL);
    probe_faults(d, &b, ioas);
    probe_cmdqv(d, &b);
}

static void add_device(const char *name)
{
    CtDevice *d = &ct.dev[ct.nr_dev];

    if (ct.nr_dev == CT_MAX_DEVICES) {
        return;
    }
    memset(d, 0, sizeof(*d));
    if (name[0] == '/') {
        snprintf(d->cdev, sizeof(d->cdev), "%s", name);
        ct.nr_dev++;
        return;
    }
    snprintf(d->bdf, sizeof(d->bdf), "%s", name);
    if (find_cdev(d)) {
        ct.nr_dev++;
    }
}

static int by_bdf(const void *a, const void *b)
{
    return strcmp(((const CtDevice *)a)->bdf, ((const CtDevice *)b)->bdf);
}

static void scan_sysfs(void)
{
    DIR *dir = opendir(SYSFS_PCI);
    struct dirent *e;

    if (!dir) {
        return;
    }
    while ((e = readdir(dir))) {
        if (e->d_name[0] != '.') {
            add_device(e->d_name);
        }
    }
    closedir(dir);
    /* readdir() has no order, and results should not depend on it */
    qsort(ct.dev, ct.nr_dev, sizeof(ct.dev[0]), by_bdf);
}

/* What takes a token to be bound is for scenarios that have one */
static void take_vf_out(void)
{
    for (unsigned i = 0; i < ct.nr_dev; i++) {
        char pf[32];

        link_name(ct.dev[i].bdf, "physfn", pf, sizeof(pf));
        for (unsigned j = 0; pf[0] && j < ct.nr_dev; j++) {
            if (!strcmp(ct.dev[j].bdf, pf)) {
                ct.vf = ct.dev[i];
                ct.pf = ct.dev[j];
                ct.have |= CT_VF;
                memmove(&ct.dev[i], &ct.dev[i + 1],
                        (--ct.nr_dev - i) * sizeof(ct.dev[0]));
                i--;
                break;
            }
        }
    }
}

static void find_combinations(void)
{
    const CtDevice *dev, *other;

    ct.have |= ct_peers(&dev, &other) ? CT_PEER : 0;
    for (unsigned i = 0; i < ct.nr_dev; i++) {
        for (unsigned how = CT_DEV2; how <= CT_IOMMU2; how <<= 1) {
            if (ct_device_other(&ct.dev[i], how)) {
                ct.have |= how;
            }
        }
    }
    for (uint64_t need = CT_NEST; need <= CT_CMDQV; need <<= 1) {
        if (need & (CT_MODEL | CT_RAWIO | CT_MEMLOCK | CT_RESOURCE)) {
            continue;
        }
        if (ct_device(need)) {
            ct.have |= need;
        }
    }
}

bool ct_discover(const char *const *names, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        add_device(names[i]);
    }
    if (!nr) {
        scan_sysfs();
    }
    take_vf_out();
    for (unsigned i = 0; i < ct.nr_dev; i++) {
        CtDevice *d = &ct.dev[i];

        find_place(d);
        ct_scenario_begin();
        probe(d);
        if (!ct_scenario_end()) {
            return false;
        }
        ct_note("device %s %s group '%s' iommu '%s' pasid-bits %u"
                "%s%s%s%s%s%s%s%s",
                d->bdf, d->cdev, d->group, d->iommu, d->pasid_bits,
                d->nest ? " nest" : "", d->viommu ? " viommu" : "",
                d->ats ? " ats" : "",
                d->pri ? " pri" : "", d->reset ? " reset" : "",
                d->mig ? " migration" : "", d->virtfn ? " vf" : "",
                d->cmdqv ? " cmdqv" : "");
    }
    if (ct.nr_dev) {
        ct.have |= CT_DEV;
        find_combinations();
    }
    return true;
}
