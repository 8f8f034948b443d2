/*
 * Conformance of /dev/iommu: options and the compatibility IOAS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

#define GIB (1ull << 30)

#define HUGE IOMMU_OPTION_HUGE_PAGES
#define RLIMIT IOMMU_OPTION_RLIMIT_MODE
#define OP_SET IOMMU_OPTION_OP_SET
#define OP_GET IOMMU_OPTION_OP_GET

static int option_set(int fd, uint32_t option, uint32_t object, uint64_t val)
{
    return ct_option(fd, option, OP_SET, object, &val);
}

static uint64_t option_get(int fd, uint32_t option, uint32_t object)
{
    uint64_t val = 0x5555;

    RET(0, ct_option(fd, option, OP_GET, object, &val));
    return val;
}

/* iommufd_option() */
static void arguments(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    struct iommu_option cmd = {
        .size = sizeof(cmd),
        .option_id = HUGE,
        .op = OP_GET,
        .__reserved = 1,
        .object_id = ioas,
    };
    uint64_t val = 0;

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_OPTION, &cmd));
    RET(-EOPNOTSUPP, ct_option(fd, 2, OP_GET, ioas, &val));
    RET(-EOPNOTSUPP, ct_option(fd, HUGE, 2, ioas, &val));
    RET(-EOPNOTSUPP, ct_option(fd, RLIMIT, 2, 0, &val));
    RET(-ENOENT, ct_option(fd, HUGE, OP_GET, CT_NO_ID, &val));
    RET(-ENOENT, ct_option(fd, HUGE, OP_GET, 0, &val));
    RET(-EOPNOTSUPP, ct_option(fd, RLIMIT, OP_GET, ioas, &val));
}

/* iommufd_ioas_option_huge_pages() */
static void huge_pages(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd), nr = 1;
    struct iommu_iova_range r;
    uint64_t align, page = ct_page();
    uint8_t *va = ct_mem(page);

    EQ(1, option_get(fd, HUGE, ioas));
    RET(-EINVAL, option_set(fd, HUGE, ioas, 2));
    /* A mapping that small pages could not hold is in the way */
    RET(0, ct_map(fd, ioas, va, 8, GIB, CT_RW));
    RET(-EADDRINUSE, option_set(fd, HUGE, ioas, 0));
    EQ(1, option_get(fd, HUGE, ioas));
    RET(0, ct_unmap(fd, ioas, GIB, 8, NULL));
    RET(0, option_set(fd, HUGE, ioas, 0));
    EQ(0, option_get(fd, HUGE, ioas));
    RET(0, option_set(fd, HUGE, ioas, 0));
    RET(0, ct_ranges(fd, ioas, &r, &nr, &align));
    EQ(page, align);
    RET(-EINVAL, ct_map(fd, ioas, va, 8, GIB, CT_RW));
    RET(0, option_set(fd, HUGE, ioas, 1));
    RET(0, ct_ranges(fd, ioas, &r, &nr, &align));
    EQ(1, align);
}

/* iopt_disable_large_pages(): too late once a domain holds mappings */
static void huge_pages_domain(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page();

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, option_set(b.iommufd, HUGE, ioas, 0));
    RET(0, option_set(b.iommufd, HUGE, ioas, 1));
    RET(0, ct_map(b.iommufd, ioas, ct_mem(page), page, GIB, CT_RW));
    RET(-EINVAL, option_set(b.iommufd, HUGE, ioas, 0));
}

/* iommufd_option_rlimit_mode(): the capability, the objects, the value */
static void rlimit_mode(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas;

    EQ(0, option_get(fd, RLIMIT, 0));
    if (!ct_capable(CT_CAP_SYS_RESOURCE)) {
        RET(-EPERM, option_set(fd, RLIMIT, 0, 1));
        RET(-EPERM, option_set(fd, RLIMIT, 0, 2));
        EQ(0, option_get(fd, RLIMIT, 0));
        return;
    }
    RET(-EINVAL, option_set(fd, RLIMIT, 0, 2));
    RET(0, option_set(fd, RLIMIT, 0, 1));
    EQ(1, option_get(fd, RLIMIT, 0));
    RET(0, option_set(fd, RLIMIT, 0, 0));
    ioas = ct_ioas(fd);
    RET(-EBUSY, option_set(fd, RLIMIT, 0, 1));
    EQ(0, option_get(fd, RLIMIT, 0));
    RET(0, ct_destroy(fd, ioas));
    RET(0, option_set(fd, RLIMIT, 0, 1));
}

static int vfio_ioas(int fd, uint16_t op, uint32_t *id)
{
    struct iommu_vfio_ioas cmd = {
        .size = sizeof(cmd),
        .ioas_id = *id,
        .op = op,
    };
    int ret = ct_ioctl(fd, IOMMU_VFIO_IOAS, &cmd);

    *id = cmd.ioas_id;
    return ret;
}

/* iommufd_vfio_ioas(), get_compat_ioas() */
static void compat_ioas(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd), id = 0;
    struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .__reserved = 1 };

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_VFIO_IOAS, &cmd));
    RET(-EOPNOTSUPP, vfio_ioas(fd, 3, &id));
    RET(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &id));
    id = CT_NO_ID;
    RET(-ENOENT, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &id));
    id = ioas;
    RET(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &id));
    id = 0;
    RET(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &id));
    EQ(ioas, id);
    RET(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, &id));
    RET(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &id));
    RET(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_CLEAR, &id));
}

/* iommufd_object_remove() forgets the compatibility IOAS with the object */
static void compat_destroyed(void)
{
    int fd = ct_open_iommufd();
    uint32_t id = ct_ioas(fd);

    RET(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &id));
    RET(0, ct_destroy(fd, id));
    RET(-ENODEV, vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, &id));
}

/* iommufd_ioas_noiommu_get_pa(), iopt_get_phys(): not behind an IOMMU */
static void physical_address(void)
{
    int fd = ct_open_iommufd();
    uint64_t page = ct_page();
    struct ct_ioas_noiommu_get_pa cmd = {
        .size = sizeof(cmd),
        .ioas_id = ct_ioas(fd),
        .iova = GIB,
        .length = page,
    };

    RET(0, ct_map(fd, cmd.ioas_id, ct_mem(page), page, GIB, CT_RW));
    RET(-EOPNOTSUPP, ct_ioctl(fd, CT_IOAS_NOIOMMU_GET_PA, &cmd));
}

static const CtScenario scenarios[] = {
    { "option: arguments", arguments, 0 },
    { "option: huge pages", huge_pages, 0 },
    { "option: huge pages with a domain", huge_pages_domain, CT_DEV },
    { "option: accounting mode", rlimit_mode, 0 },
    { "compatibility IOAS: get, set, clear", compat_ioas, 0 },
    { "compatibility IOAS destroyed", compat_destroyed, 0 },
    { "physical addresses are for no-IOMMU devices", physical_address,
      CT_RAWIO },
};

CT_GROUP(ct_group_option, "option");
