/*
 * Conformance of /dev/iommu: which IOVAs may be used
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conformance.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* Smallest page of the IOMMU, as its driver picks it */
static uint64_t io_page(const CtDevice *d)
{
    const uint64_t granule[] = { 65536, 16384, 4096 };

    for (unsigned i = 0; d->info_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3 &&
         i < 3; i++) {
        if (granule[i] <= ct_page() && d->info.smmu.idr[5] & 1u << (6 - i)) {
            return granule[i];
        }
    }
    return 4096;
}

/* Where VT-d keeps its interrupt window: intel_iommu_get_resv_regions() */
#define VTD_MSI_FIRST 0xfee00000ull
#define VTD_MSI_LAST  0xfeefffffull
/* MSI_IOVA_BASE, MSI_IOVA_LENGTH: arm_smmu_get_resv_regions() */
#define SMMU_MSI_FIRST 0x8000000ull
#define SMMU_MSI_LAST  0x80fffffull

static void msi_window(const CtDevice *d, uint64_t *first, uint64_t *last)
{
    bool vtd = d->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD;

    *first = vtd ? VTD_MSI_FIRST : SMMU_MSI_FIRST;
    *last = vtd ? VTD_MSI_LAST : SMMU_MSI_LAST;
}

/* iommufd_ioas_iova_ranges() on a new IOAS; iopt_init_table() */
static void ranges_fresh(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd), nr = 4;
    struct iommu_iova_range r[4];
    uint64_t align;

    RET(0, ct_ranges(fd, ioas, r, &nr, &align));
    EQ(1, nr);
    EQ(1, align);
    EQ(0, r[0].start);
    EQ(UINT64_MAX, r[0].last);
}

/* iommufd_ioas_iova_ranges(): arguments and the array's size */
static void ranges_arguments(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd), nr;
    struct iommu_ioas_iova_ranges cmd = {
        .size = sizeof(cmd),
        .ioas_id = ioas,
        .__reserved = 1,
    };
    uint64_t align = 0;

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &cmd));
    nr = 1;
    RET(-ENOENT, ct_ranges(fd, CT_NO_ID, NULL, &nr, NULL));
    nr = 0;
    RET(-EMSGSIZE, ct_ranges(fd, ioas, NULL, &nr, &align));
    EQ(1, nr);
    EQ(1, align);
    nr = 1;
    RET(-EFAULT, ct_ranges(fd, ioas, NULL, &nr, NULL));
}

/* iopt_table_enforce_dev_resv_regions(), iopt_table_add_domain() */
static void ranges_attached(void)
{
    CtBound b;
    uint32_t ioas, nr = 64;
    struct iommu_iova_range r[64];
    uint64_t align, first, last;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    msi_window(b.dev, &first, &last);
    OK(ct_range_covers(b.iommufd, ioas, first, last));
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_ranges(b.iommufd, ioas, r, &nr, &align));
    EQ(io_page(b.dev), align);
    OK(nr >= 2);
    for (uint32_t i = 0; i < nr; i++) {
        OK(r[i].start <= r[i].last);
        OK(r[i].last < first || r[i].start > last);
        /* Ascending and with a hole between each two */
        OK(!i || r[i].start > r[i - 1].last + 1);
    }
    /* The domain's aperture: neither has 64 bits */
    OK(r[nr - 1].last < UINT64_MAX);
    nr = 1;
    RET(-EMSGSIZE, ct_ranges(b.iommufd, ioas, r, &nr, NULL));
    OK(nr >= 2);

    RET(0, ct_detach(&b));
    /* The domain went with the device, and both kinds of limit with it */
    nr = 64;
    RET(0, ct_ranges(b.iommufd, ioas, r, &nr, &align));
    EQ(1, nr);
    EQ(1, align);
}

/* A domain alone narrows to its aperture, the device's ranges come later */
static void ranges_domain(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t first, last, align;
    uint32_t nr = 64;
    struct iommu_iova_range r[64];

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    msi_window(b.dev, &first, &last);
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    OK(ct_range_covers(b.iommufd, ioas, first, last));
    RET(0, ct_ranges(b.iommufd, ioas, r, &nr, &align));
    EQ(io_page(b.dev), align);
    OK(r[nr - 1].last < UINT64_MAX);
    RET(0, ct_attach(&b, hwpt));
    OK(!ct_range_covers(b.iommufd, ioas, first, last));
    RET(0, ct_detach(&b));
    OK(ct_range_covers(b.iommufd, ioas, first, last));
    RET(0, ct_destroy(b.iommufd, hwpt));
    OK(ct_range_covers(b.iommufd, ioas, 0, UINT64_MAX));
}

/* iopt_check_iova(): reserved ranges and what lies past the aperture */
static void map_reserved(void)
{
    CtBound b;
    uint32_t ioas;
    uint64_t first, last, page = ct_page();
    void *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    msi_window(b.dev, &first, &last);
    RET(0, ct_attach(&b, ioas));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, page, first, CT_RW));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, page, last + 1 - page, CT_RW));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, 2 * page, first - page, CT_RW));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, page, -page, CT_RW));
    RET(0, ct_map(b.iommufd, ioas, va, page, first - page, CT_RW));
    RET(0, ct_map(b.iommufd, ioas, va, page, last + 1, CT_RW));
}

/* iopt_reserve_iova(): a mapping in the way refuses the attach */
static void attach_over_mapping(void)
{
    CtBound b;
    uint32_t ioas;
    uint64_t first, last, page = ct_page();
    void *va = ct_mem(page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    msi_window(b.dev, &first, &last);
    RET(0, ct_map(b.iommufd, ioas, va, page, last + 1 - page, CT_RW));
    RET(-EADDRINUSE, ct_attach(&b, ioas));
    RET(0, ct_unmap(b.iommufd, ioas, last + 1 - page, page, NULL));
    RET(0, ct_attach(&b, ioas));
    RET(0, ct_detach(&b));
    /* The same for what lies outside the aperture */
    RET(0, ct_map(b.iommufd, ioas, va, page, -page, CT_RW));
    RET(-EADDRINUSE, ct_attach(&b, ioas));
    RET(-EADDRINUSE, ct_hwpt(b.iommufd, b.id, ioas, 0, NULL));
}

/* iopt_table_add_domain(), iopt_check_iova_alignment() */
static void alignment(void)
{
    CtBound b;
    uint32_t ioas, hwpt;
    uint64_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB + 1, CT_RW));
    RET(-EADDRINUSE, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_unmap(b.iommufd, ioas, GIB + 1, page, NULL));
    RET(0, ct_map(b.iommufd, ioas, va + 8, page, GIB, CT_RW));
    RET(-EADDRINUSE, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(0, ct_unmap(b.iommufd, ioas, GIB, page, NULL));
    RET(0, ct_hwpt(b.iommufd, b.id, ioas, 0, &hwpt));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, page, GIB + 1, CT_RW));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, page - 1, GIB, CT_RW));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va + 8, page, GIB, CT_RW));
    RET(0, ct_map(b.iommufd, ioas, va, page, GIB, CT_RW));
}

/* iommufd_ioas_allow_iovas(), iommufd_ioas_load_iovas() */
static void allow_arguments(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    struct iommu_iova_range r[2] = { { MIB, 2 * MIB }, { MIB, MIB } };
    struct iommu_ioas_allow_iovas cmd = {
        .size = sizeof(cmd),
        .ioas_id = ioas,
        .__reserved = 1,
    };

    RET(-EOPNOTSUPP, ct_ioctl(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd));
    RET(-ENOENT, ct_allow(fd, CT_NO_ID, r, 1));
    RET(-EFAULT, ct_allow(fd, ioas, NULL, 1));
    RET(-EINVAL, ct_allow(fd, ioas, &r[1], 1));
    r[1] = (struct iommu_iova_range) { 2 * MIB, MIB };
    RET(-EINVAL, ct_allow(fd, ioas, &r[1], 1));
    r[1] = (struct iommu_iova_range) { 2 * MIB, 3 * MIB };
    RET(-EINVAL, ct_allow(fd, ioas, r, 2));
    r[1].start++;
    RET(0, ct_allow(fd, ioas, r, 2));
    RET(0, ct_allow(fd, ioas, NULL, 0));
}

/* iopt_alloc_iova(): only within the allowed ranges */
static void allow_limits_choice(void)
{
    int fd = ct_open_iommufd();
    uint32_t ioas = ct_ioas(fd);
    uint64_t page = ct_page(), iova = 0;
    struct iommu_iova_range r = { 16 * MIB, 16 * MIB + 2 * page - 1 };
    void *va = ct_mem(2 * page);

    RET(0, ct_allow(fd, ioas, &r, 1));
    RET(0, ct_map_out(fd, ioas, va, page, &iova, CT_RW));
    OK(iova >= r.start && iova + page - 1 <= r.last);
    RET(0, ct_map_out(fd, ioas, va, page, &iova, CT_RW));
    OK(iova >= r.start && iova + page - 1 <= r.last);
    RET(-ENOSPC, ct_map_out(fd, ioas, va, page, &iova, CT_RW));
    /* A fixed address is not held to them: iopt_check_iova() */
    RET(0, ct_map(fd, ioas, va, page, GIB, CT_RW));
    /* Each call replaces the list */
    RET(0, ct_allow(fd, ioas, NULL, 0));
    RET(0, ct_map_out(fd, ioas, va, page, &iova, CT_RW));
    OK(iova < r.start || iova > r.last);
}

/* iopt_reserve_iova() against the allowed list, iopt_set_allow_iova() */
static void allow_refuses_attach(void)
{
    CtBound b;
    uint32_t ioas;
    uint64_t first, last;
    struct iommu_iova_range r;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    msi_window(b.dev, &first, &last);
    r.start = first - MIB;
    r.last = first + MIB / 2;
    RET(0, ct_allow(b.iommufd, ioas, &r, 1));
    RET(-EADDRINUSE, ct_attach(&b, ioas));
    r.last = first - 1;
    RET(0, ct_allow(b.iommufd, ioas, &r, 1));
    RET(0, ct_attach(&b, ioas));
    /* Now the device is there first, and the list stays as it was */
    r.last = first;
    RET(-EADDRINUSE, ct_allow(b.iommufd, ioas, &r, 1));
    r.start = -(uint64_t)MIB;
    r.last = UINT64_MAX;
    RET(-EADDRINUSE, ct_allow(b.iommufd, ioas, &r, 1));
    RET(0, ct_detach(&b));
    RET(0, ct_allow(b.iommufd, ioas, &r, 1));
    RET(-EADDRINUSE, ct_attach(&b, ioas));
}

/*
 * iopt_table_add_domain(), arm_lpae_restrict_pgsizes(): the CPU's pages, or
 * smaller ones, which may then be mapped as well
 */
static void io_pages(void)
{
    size_t page = ct_page();
    uint8_t *va = ct_mem(2 * page);
    struct iommu_iova_range r;
    uint64_t align, io;
    uint32_t ioas, nr = 1;
    CtBound b;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    io = io_page(b.dev);
    ioas = ct_ioas(b.iommufd);
    RET(0, ct_map(b.iommufd, ioas, va, io / 2, 1 << 30, CT_RW | CT_FIXED));
    RET(-EADDRINUSE, ct_attach(&b, ioas));
    RET(0, ct_unmap(b.iommufd, ioas, 1 << 30, io / 2, NULL));
    RET(0, ct_attach(&b, ioas));
    ct_ranges(b.iommufd, ioas, &r, &nr, &align);
    EQ(io, align);
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, io / 2, 1 << 30,
                        CT_RW | CT_FIXED));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va, io, (1 << 30) + io / 2,
                        CT_RW | CT_FIXED));
    RET(-EINVAL, ct_map(b.iommufd, ioas, va + io / 2, io, 1 << 30,
                        CT_RW | CT_FIXED));
    RET(0, ct_map(b.iommufd, ioas, va + page - io, io, 1 << 30,
                  CT_RW | CT_FIXED));
    RET(0, ct_map(b.iommufd, ioas, va + page - io, io, (1 << 30) + io,
                  CT_RW | CT_FIXED));
}

static const CtScenario scenarios[] = {
    { "pages of the IOMMU and of the CPU", io_pages, CT_DEV },
    { "a new IOAS has every address", ranges_fresh, 0 },
    { "ranges: arguments", ranges_arguments, 0 },
    { "ranges narrow with an attached device", ranges_attached, CT_DEV },
    { "ranges narrow with a domain", ranges_domain, CT_DEV },
    { "map in a reserved range", map_reserved, CT_DEV },
    { "attach over a mapping in the way", attach_over_mapping, CT_DEV },
    { "alignment comes with a domain", alignment, CT_DEV },
    { "allow: arguments", allow_arguments, 0 },
    { "allow limits what map chooses", allow_limits_choice, 0 },
    { "allow refuses devices that would narrow", allow_refuses_attach,
      CT_DEV },
};

CT_GROUP(ct_group_iova, "iova");
