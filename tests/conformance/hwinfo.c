/*
 * Conformance of /dev/iommu: what the host says about its IOMMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdio.h>
#include "conformance.h"

/* iommufd_get_hw_info(): arguments */
static void arguments(void)
{
    CtBound b;
    struct iommu_hw_info info = { .flags = 1u << 1 };
    uint32_t ioas;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    ioas = ct_ioas(b.iommufd);
    RET(-EOPNOTSUPP, ct_hw_info(b.iommufd, b.id, &info));
    info.flags = 0;
    for (unsigned i = 0; i < ARRAY_LEN(info.__reserved); i++) {
        info.__reserved[i] = 1;
        RET(-EOPNOTSUPP, ct_hw_info(b.iommufd, CT_NO_ID, &info));
        info.__reserved[i] = 0;
    }
    RET(-ENOENT, ct_hw_info(b.iommufd, CT_NO_ID, &info));
    RET(-ENOENT, ct_hw_info(b.iommufd, ioas, &info));
    info.data_len = 8;
    info.data_uptr = 8;
    RET(-EFAULT, ct_hw_info(b.iommufd, b.id, &info));
}

static uint32_t known_len(const CtDevice *d)
{
    return d->info_type == IOMMU_HW_INFO_TYPE_INTEL_VTD ?
           sizeof(struct iommu_hw_info_vtd) :
           sizeof(struct iommu_hw_info_arm_smmuv3);
}

/* data_len is the kernel's, whatever the buffer's was */
static void lengths(void)
{
    CtBound b;
    uint8_t buf[256], full[256];
    struct iommu_hw_info info = { 0 };
    uint32_t len;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    len = known_len(b.dev);
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(len, info.data_len);

    memset(full, 0xaa, sizeof(full));
    info.data_uptr = (uintptr_t)full;
    info.data_len = len;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(0xaa, full[len]);

    /* Too short: truncated */
    memset(buf, 0xaa, sizeof(buf));
    info.data_uptr = (uintptr_t)buf;
    info.data_len = 11;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(len, info.data_len);
    OK(!memcmp(buf, full, 11));
    EQ(0xaa, buf[11]);

    /* Too long: the rest is zeroed */
    memset(buf, 0xaa, sizeof(buf));
    info.data_len = 200;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(len, info.data_len);
    OK(!memcmp(buf, full, len));
    for (uint32_t i = len; i < 200; i++) {
        if (buf[i]) {
            EQ(0, buf[i]);
            break;
        }
    }
    EQ(0xaa, buf[200]);
}

/* IOMMU_HW_INFO_FLAG_INPUT_TYPE: intel_iommu_hw_info(), arm_smmu_hw_info() */
static void input_type(void)
{
    CtBound b;
    struct iommu_hw_info info = { 0 };
    static const uint32_t types[] = {
        IOMMU_HW_INFO_TYPE_INTEL_VTD, IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
        IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, CT_HW_INFO_TYPE_AMD, 99,
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    /* Without the flag the input is not looked at */
    info.in_data_type = 99;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(b.dev->info_type, info.out_data_type);

    info.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
    info.data_len = 0;
    info.in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
    info.out_max_pasid_log2 = 0;
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(b.dev->info_type, info.out_data_type);
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        info.data_len = 0;
        info.in_data_type = types[i];
        bool has = types[i] == b.dev->info_type ||
                   (types[i] == IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV &&
                    b.dev->cmdqv);

        RET(has ? 0 : -EOPNOTSUPP, ct_hw_info(b.iommufd, b.id, &info));
    }
}

/* The first version of the structure ends before out_capabilities */
static void first_version(void)
{
    CtBound b;
    struct iommu_hw_info info = {
        .size = offsetof(struct iommu_hw_info, out_capabilities),
        .out_capabilities = 0x1234,
    };

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    info.dev_id = b.id;
    RET(0, ct_ioctl(b.iommufd, IOMMU_GET_HW_INFO, &info));
    EQ(0x1234, info.out_capabilities);
    EQ(b.dev->info_type, info.out_data_type);
}

/* Capability bits and PASID width */
static void capabilities(void)
{
    CtBound b;
    struct iommu_hw_info info = { .out_capabilities = UINT64_MAX };
    bool ats;

    if (!ct_bound_new(&b, CT_DEV)) {
        return;
    }
    RET(0, ct_hw_info(b.iommufd, b.id, &info));
    EQ(0, info.out_capabilities & ~CT_HW_CAP_KNOWN);
    OK(info.out_max_pasid_log2 <= 20);
    if (!info.out_max_pasid_log2) {
        EQ(0, info.out_capabilities & (IOMMU_HW_CAP_PCI_PASID_EXEC |
                                       IOMMU_HW_CAP_PCI_PASID_PRIV));
    }
    /* A device without the capability cannot: info->ats_supported and kin */
    ats = ct_pci_ext_cap(&b, 0xf);
    if (!ats) {
        OK(info.out_capabilities & CT_HW_CAP_ATS_NOT_SUPPORTED);
    }
}

/* intel_iommu_hw_info(), ssads_supported() */
static void vtd(void)
{
    const CtDevice *d = ct_device(CT_DEV);
    uint64_t ecap = d->info.vtd.ecap_reg, cap = d->info.vtd.cap_reg;
    /* ECAP.SMTS, SLADS, SMPWC */
    bool dirty = ecap & 1ull << 43 && ecap & 1ull << 45 && ecap & 1ull << 48;

    EQ(0, d->info.vtd.flags & ~IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17);
    EQ(0, d->info.vtd.__reserved);
    EQ(dirty && ct_scalable_mode(),
       !!(d->caps & IOMMU_HW_CAP_DIRTY_TRACKING));
    /* Some width of second-stage tables: CAP.SAGAW */
    OK((cap >> 8 & 0x1f) != 0);
    /* PASIDs need scalable mode and ECAP.PASID; width ECAP.PSS + 1 */
    if (d->pasid_bits) {
        OK(ecap & 1ull << 43 && ecap & 1ull << 40);
        OK(d->pasid_bits <= (ecap >> 35 & 0x1f) + 1);
    }
}

/* arm_smmu_hw_info(): raw registers */
static void smmuv3(void)
{
    const CtDevice *d = ct_device(CT_DEV);
    const uint32_t *idr = d->info.smmu.idr;

    EQ(0, d->info.smmu.flags &
       ~CT_HW_INFO_SMMUV3_REPEAT);
    EQ(0, d->info.smmu.__reserved);
    /* Some stage, and PASIDs no wider than IDR1.SSIDSIZE */
    OK((idr[0] & 3) != 0);
    OK(d->pasid_bits <= (idr[1] >> 6 & 0x1f));
    /* A granule: IDR5.GRAN4K, 16K, 64K */
    OK((idr[5] >> 4 & 7) != 0);
}

/* Devices behind one IOMMU tell the same, whichever iommufd asks */
static void same_iommu(void)
{
    for (unsigned i = 1; i < ct.nr_dev; i++) {
        const CtDevice *a = &ct.dev[0], *b = &ct.dev[i];

        EQ(a->info_type, b->info_type);
        if (*a->iommu && !strcmp(a->iommu, b->iommu)) {
            OK(!memcmp(&a->info, &b->info, known_len(a)));
        }
    }
}

static const CtScenario scenarios[] = {
    { "arguments", arguments, CT_DEV },
    { "data length", lengths, CT_DEV },
    { "type asked for", input_type, CT_DEV },
    { "the first version of the structure", first_version, CT_DEV },
    { "capabilities", capabilities, CT_DEV },
    { "VT-d registers", vtd, CT_DEV | CT_VTD },
    { "SMMUv3 registers", smmuv3, CT_DEV | CT_SMMUV3 },
    { "devices behind one IOMMU agree", same_iommu, CT_DEV2 },
};

CT_GROUP(ct_group_hwinfo, "hwinfo");
