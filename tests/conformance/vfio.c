/*
 * Conformance of /dev/iommu: vfio character devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "conformance.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

#define EXT_CAP_ATS   0x0f
#define EXT_CAP_PRI   0x13
#define EXT_CAP_PASID 0x1b

/* vfio_df_ioctl_bind_iommufd(): arguments */
static void bind_arguments(void)
{
    int iommufd = ct_open_iommufd(), fd = ct_open_cdev(ct_device(CT_DEV));
    int null = ct_keep_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    uint32_t id;
    struct {
        struct vfio_device_bind_iommufd cmd;
        uint64_t more;
    } d = {
        .cmd = {
            .argsz = offsetof(struct vfio_device_bind_iommufd, out_devid),
            .iommufd = iommufd,
        },
    };

    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &d.cmd));
    d.cmd.argsz = sizeof(d.cmd);
    d.cmd.flags = 1u << 1;
    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &d.cmd));
    d.cmd.flags = 0;
    d.cmd.argsz = sizeof(d);
    d.more = 1;
    RET(-E2BIG, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &d.cmd));
    RET(-EFAULT, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
    RET(-EINVAL, ct_bind(fd, -1, &id));
    RET(-EBADF, ct_bind(fd, 4000, &id));
    RET(-EBADFD, ct_bind(fd, null, &id));
    RET(-EBADFD, ct_bind(fd, fd, &id));
    /* None of that used the device up */
    d.more = 0;
    RET(0, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &d.cmd));
    OK(d.cmd.out_devid != 0);
}

/* The structure was shorter before the token came */
static void bind_first_version(void)
{
    int iommufd = ct_open_iommufd(), fd = ct_open_cdev(ct_device(CT_DEV));
    struct vfio_device_bind_iommufd cmd = {
        .argsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
        .iommufd = iommufd,
        .token_uuid_ptr = 0x1234,
    };

    RET(0, ct_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
    EQ(0x1234, cmd.token_uuid_ptr);
}

/* vfio_df_open(): one open of the device, bound once */
static void bind_twice(void)
{
    CtBound b;
    uint32_t id;
    int second, other = ct_open_iommufd();

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_bind(b.fd, b.iommufd, &id));
    RET(-EINVAL, ct_bind(b.fd, other, &id));
    second = ct_open_cdev(b.dev);
    OK(second >= 0);
    RET(-EINVAL, ct_bind(second, b.iommufd, &id));
    RET(-EINVAL, ct_bind(second, other, &id));
    ct_close(b.fd);
    RET(0, ct_bind(second, other, &id));
}

/*
 * Linux shows these only with other hardware, or to who takes devices from
 * drivers: iommufd_bind_iommu(), drivers/iommu/iommufd/device.c:249, and
 * iommu_device_claim_dma_owner(), drivers/iommu/iommu.c:3466.
 */
static void bind_not_safe(void)
{
    const CtDevice *d = ct_device(CT_DEV);
    int fd = ct_open_cdev(d), iommufd = ct_open_iommufd();
    uint32_t id;

    ct_model("{\"cmd\":\"isolated-msi\",\"on\":false}");
    RET(-EPERM, ct_bind(fd, iommufd, &id));
    ct_model("{\"cmd\":\"isolated-msi\",\"on\":true}");
    ct_model("{\"cmd\":\"viable\",\"dev\":\"%s\",\"on\":false}", d->bdf);
    RET(-EPERM, ct_bind(fd, iommufd, &id));
    ct_model("{\"cmd\":\"viable\",\"dev\":\"%s\",\"on\":true}", d->bdf);
    RET(0, ct_bind(fd, iommufd, &id));
}

/* Of a group that a driver has a device of, no other can be bound */
static void bind_not_viable(void)
{
    const CtDevice *d = ct_device(CT_MATE);
    const CtDevice *mate = ct_device_other(d, CT_MATE);
    int fd = ct_open_cdev(d), iommufd = ct_open_iommufd();
    uint32_t id;

    ct_model("{\"cmd\":\"viable\",\"dev\":\"%s\",\"on\":false}", mate->bdf);
    RET(-EPERM, ct_bind(fd, iommufd, &id));
    ct_model("{\"cmd\":\"viable\",\"dev\":\"%s\",\"on\":true}", mate->bdf);
    RET(0, ct_bind(fd, iommufd, &id));
}

/* vfio_device_fops_unl_ioctl(): access_granted */
static void unbound(void)
{
    int fd = ct_open_cdev(ct_device(CT_DEV));
    struct vfio_device_info info = { .argsz = sizeof(info) };
    struct vfio_device_attach_iommufd_pt att = { .argsz = sizeof(att) };
    uint32_t word = 0;
    void *p;

    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &att));
    RET(-EINVAL, ct_ioctl(fd, VFIO_DEVICE_RESET, NULL));
    RET(-EINVAL, ct_pread(fd, &word, 4, (uint64_t)CONFIG << 40));
    RET(-EINVAL, ct_pwrite(fd, &word, 4, (uint64_t)CONFIG << 40));
    p = mmap(NULL, ct_page(), PROT_READ, MAP_SHARED, fd, 0);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
}

/* vfio_pci_core_ioctl() */
static void unknown_ioctl(void)
{
    CtBound b;
    uint32_t word[16] = { sizeof(word) };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-ENOTTY, ct_ioctl(b.fd, _IO(VFIO_TYPE, VFIO_BASE + 80), word));
    RET(-ENOTTY, ct_ioctl(b.fd, IOMMU_IOAS_ALLOC, word));
    RET(-ENOTTY, ct_ioctl(b.fd, VFIO_GROUP_GET_STATUS, word));
}

/* vfio_pci_ioctl_get_info() */
static void device_info(void)
{
    CtBound b;
    struct vfio_device_info info = {
        .argsz = offsetof(struct vfio_device_info, num_irqs),
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_GET_INFO, &info));
    RET(-EFAULT, ct_ioctl(b.fd, VFIO_DEVICE_GET_INFO, NULL));
    info.argsz = sizeof(info);
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_GET_INFO, &info));
    OK(info.flags & VFIO_DEVICE_FLAGS_PCI);
    OK(info.num_regions >= VFIO_PCI_NUM_REGIONS);
    EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
    /* The shortest that is allowed: nothing past it is written */
    info.argsz = offsetof(struct vfio_device_info, cap_offset);
    info.cap_offset = 0x55;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_GET_INFO, &info));
    EQ(0x55, info.cap_offset);
}

static int region(const CtBound *b, uint32_t index,
                  struct vfio_region_info *info)
{
    memset(info, 0, sizeof(*info));
    info->argsz = sizeof(*info);
    info->index = index;
    return ct_ioctl(b->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* vfio_pci_ioctl_get_region_info() */
static void regions(void)
{
    CtBound b;
    struct vfio_region_info info = { .argsz = 31 };
    const uint32_t rw = VFIO_REGION_INFO_FLAG_READ |
                        VFIO_REGION_INFO_FLAG_WRITE;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_GET_REGION_INFO, &info));
    for (uint32_t i = 0; i < VFIO_PCI_ROM_REGION_INDEX; i++) {
        RET(0, region(&b, i, &info));
        EQ((uint64_t)i << 40, info.offset);
        EQ(info.size ? rw : 0, info.flags & rw);
    }
    RET(0, region(&b, VFIO_PCI_ROM_REGION_INDEX, &info));
    EQ(0, info.flags & (VFIO_REGION_INFO_FLAG_WRITE |
                        VFIO_REGION_INFO_FLAG_MMAP));
    RET(0, region(&b, CONFIG, &info));
    EQ((uint64_t)CONFIG << 40, info.offset);
    EQ(rw, info.flags);
    OK(info.size == 256 || info.size == 4096);
    RET(-EINVAL, region(&b, 1000, &info));
    RET(-EINVAL, region(&b, UINT32_MAX, &info));
}

/* vfio_pci_config_rw(): identity as sysfs has it */
static void config_identity(void)
{
    CtBound b;
    uint64_t base = (uint64_t)CONFIG << 40;
    uint16_t id[2];
    char path[256], text[32] = "";
    uint8_t half;
    unsigned vendor = 0;
    FILE *f;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(4, ct_pread(b.fd, id, 4, base));
    RET(1, ct_pread(b.fd, &half, 1, base + 1));
    EQ(le16toh(id[0]) >> 8, half);
    if (b.dev->bdf[0]) {
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor",
                 b.dev->bdf);
        f = fopen(path, "re");
        OK(f && fgets(text, sizeof(text), f) &&
           sscanf(text, "%x", &vendor) == 1);
        if (f) {
            fclose(f);
        }
        /* A VF's own config space says ffff, vfio fills it in */
        EQ(vendor, le16toh(id[0]));
    }
}

/*
 * vfio_pci_bar_rw(), vfio_pci_core_do_io_rw() (vfio_pci_rdwr.c line 135): all
 * of it, or up to the end. Model only: not every device likes that.
 */
static void long_read(void)
{
    struct vfio_region_info info;
    uint8_t *buf = ct_mem(64 * 1024);
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(0, region(&b, VFIO_PCI_BAR0_REGION_INDEX, &info));
    OK(info.size && info.size <= 32 * 1024);
    RET(info.size, ct_pread(b.fd, buf, info.size, info.offset));
    RET(info.size, ct_pread(b.fd, buf, 64 * 1024, info.offset));
    RET(info.size - 100, ct_pread(b.fd, buf, 64 * 1024, info.offset + 100));
    RET(-EINVAL, ct_pread(b.fd, buf, 4, info.offset + info.size));
}

/* vfio_pci_config_rw_single(): the end of config space */
static void config_limits(void)
{
    CtBound b;
    uint64_t base = (uint64_t)CONFIG << 40;
    struct vfio_region_info info;
    uint8_t *buf = ct_mem(8192);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(0, region(&b, CONFIG, &info));
    RET(0, ct_pread(b.fd, buf, 0, base));
    RET(4, ct_pread(b.fd, buf, 4, base + info.size - 4));
    RET(-EFAULT, ct_pread(b.fd, buf, 4, base + info.size));
    RET(-EFAULT, ct_pread(b.fd, buf, 8, base + info.size - 4));
    RET((long)info.size, ct_pread(b.fd, buf, info.size, base));
    /* Regions there are none of: vfio_pci_rw() */
    RET(-EINVAL, ct_pread(b.fd, buf, 4, 200ull << 40));
}

/* Bus mastering can be switched; identity cannot */
static void config_write(void)
{
    CtBound b;
    uint64_t base = (uint64_t)CONFIG << 40;
    uint16_t cmd, was, id, ones = 0xffff;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(2, ct_pread(b.fd, &was, 2, base + 4));
    cmd = was ^ htole16(1u << 2);
    RET(2, ct_pwrite(b.fd, &cmd, 2, base + 4));
    RET(2, ct_pread(b.fd, &cmd, 2, base + 4));
    EQ(le16toh(was) ^ 1u << 2, le16toh(cmd));
    RET(2, ct_pread(b.fd, &id, 2, base));
    RET(2, ct_pwrite(b.fd, &ones, 2, base));
    RET(2, ct_pread(b.fd, &cmd, 2, base));
    EQ(id, cmd);
}

/* pci_ext_cap_length[]: PASID is hidden, ATS and PRI are read-only */
static void config_caps(void)
{
    CtBound b;
    uint64_t base = (uint64_t)CONFIG << 40;
    static const uint16_t ro[] = { EXT_CAP_ATS, EXT_CAP_PRI };
    uint16_t before, after, flipped;

    for (unsigned i = 0; i < ct.nr_dev; i++) {
        int iommufd = ct_open_iommufd();

        if (!ct_bound(&b, iommufd, &ct.dev[i])) {
            return;
        }
        EQ(0, ct_pci_ext_cap(&b, EXT_CAP_PASID));
        for (unsigned c = 0; c < ARRAY_LEN(ro); c++) {
            unsigned pos = ct_pci_ext_cap(&b, ro[c]);
            /* Control: after the capability in ATS, first word in PRI */
            uint64_t ctrl = base + pos + (ro[c] == EXT_CAP_ATS ? 6 : 4);

            if (!pos) {
                continue;
            }
            RET(2, ct_pread(b.fd, &before, 2, ctrl));
            flipped = ~before;
            RET(2, ct_pwrite(b.fd, &flipped, 2, ctrl));
            RET(2, ct_pread(b.fd, &after, 2, ctrl));
            EQ(before, after);
        }
        ct_close(b.fd);
        ct_close(iommufd);
    }
}

/* pci_read_config(): what is hidden from a guest is not from the host */
static void config_of_host(void)
{
    char path[256];
    uint32_t word = 0;
    CtBound b;

    if (!ct_bound_new(&b, CT_PASID)) {
        return;
    }
    EQ(0, ct_pci_ext_cap(&b, EXT_CAP_PASID));
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn",
             b.dev->bdf);
    if (b.dev->bdf[0] && access(path, F_OK)) {
        unsigned pos = 0x100;
        int fd;

        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config",
                 b.dev->bdf);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        for (unsigned n = 0; pos && n < 480; n++) {
            RET(4, ct_pread(fd, &word, 4, pos));
            word = le32toh(word);
            if ((word & 0xffff) == EXT_CAP_PASID) {
                break;
            }
            pos = word >> 20 & 0xffc;
        }
        OK(pos != 0);
        RET(4, ct_pread(fd, &word, 4, pos + 4));
        OK((le32toh(word) >> 8 & 0x1f) >= b.dev->pasid_bits);
        close(fd);
    }
}

/* vfio_pci_bar_rw(): cut off at the BAR's end */
static void bar_limits(void)
{
    CtBound b;
    struct vfio_region_info info;
    uint64_t word;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    for (uint32_t i = 0; i < VFIO_PCI_ROM_REGION_INDEX; i++) {
        RET(0, region(&b, i, &info));
        if (!info.size) {
            RET(-EINVAL, ct_pread(b.fd, &word, 4, info.offset));
            continue;
        }
        RET(-EINVAL, ct_pread(b.fd, &word, 4, info.offset + info.size));
    }
}

/* vfio_pci_core_mmap() */
static void mapping(void)
{
    CtBound b;
    struct vfio_region_info info;
    size_t page = ct_page();
    void *p;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    for (uint32_t i = 0; i < VFIO_PCI_ROM_REGION_INDEX; i++) {
        RET(0, region(&b, i, &info));
        p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd,
                 info.offset);
        if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
            RET(0, p == MAP_FAILED ? -errno : 0);
            munmap(p, page);
            p = mmap(NULL, page, PROT_READ, MAP_PRIVATE, b.fd, info.offset);
            RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
            p = mmap(NULL, page, PROT_READ, MAP_SHARED, b.fd,
                     info.offset + info.size);
            RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
        } else {
            RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
        }
    }
    p = mmap(NULL, page, PROT_READ, MAP_SHARED, b.fd, (off_t)CONFIG << 40);
    RET(-EINVAL, p == MAP_FAILED ? -errno : 0);
}

/* vfio_ioctl_device_feature(); vfio-pci itself has no migration */
static void features(void)
{
    CtBound b;
    struct {
        struct vfio_device_feature f;
        uint64_t data[8];
    } d = { .f.argsz = 7 };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.argsz = sizeof(d);
    d.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET |
                VFIO_DEVICE_FEATURE_MIGRATION;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION |
                1u << 20;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION;
    RET(-ENOTTY, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
                VFIO_DEVICE_FEATURE_MIGRATION;
    RET(-ENOTTY, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = VFIO_DEVICE_FEATURE_GET | 0xfff0;
    RET(-ENOTTY, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
}

/* vfio_pci_runtime_pm_entry(), vfio_pci_core_pm_entry_with_wakeup() */
static void low_power(void)
{
    const uint32_t set = VFIO_DEVICE_FEATURE_SET;
    CtBound b;
    struct {
        struct vfio_device_feature f;
        struct vfio_device_low_power_entry_with_wakeup wake;
    } d = { .f.argsz = sizeof(d) };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    d.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
    d.wake.wakeup_eventfd = -1;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.wake.wakeup_eventfd = b.iommufd;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.wake.wakeup_eventfd = 100000;
    RET(-EBADF, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.argsz = sizeof(d.f) + 4;
    RET(-EINVAL, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.argsz = sizeof(d);
    d.wake.wakeup_eventfd = ct_keep_fd(eventfd(0, EFD_CLOEXEC));
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
    d.f.flags = set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
    RET(0, ct_ioctl(b.fd, VFIO_DEVICE_FEATURE, &d.f));
}

static const CtScenario scenarios[] = {
    { "bind: arguments", bind_arguments, CT_DEV },
    { "bind: the structure before the token", bind_first_version, CT_DEV },
    { "bind: once", bind_twice, CT_DEV },
    { "bind: interrupts that are not isolated", bind_not_safe,
      CT_DEV | CT_MODEL },
    { "bind: a driver in the group", bind_not_viable,
      CT_DEV | CT_MATE | CT_MODEL },
    { "nothing works before bind", unbound, CT_DEV },
    { "unknown ioctls", unknown_ioctl, CT_DEV },
    { "device info", device_info, CT_DEV },
    { "regions", regions, CT_DEV },
    { "config space: identity", config_identity, CT_DEV },
    { "region: long reads", long_read, CT_DEV | CT_MODEL },
    { "config space: limits", config_limits, CT_DEV },
    { "config space: writing", config_write, CT_DEV },
    { "config space: PASID, ATS, PRI", config_caps, CT_DEV },
    { "config space: PASIDs, as the host sees it", config_of_host, CT_PASID },
    { "BARs: limits", bar_limits, CT_DEV },
    { "BARs: mmap", mapping, CT_DEV },
    { "device features", features, CT_DEV },
    { "low power", low_power, CT_DEV },
};

CT_GROUP(ct_group_vfio, "vfio");
