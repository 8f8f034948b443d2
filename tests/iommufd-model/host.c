/*
 * Model of /dev/iommu: what the host's drivers derive from its hardware
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules follow Linux 7.3: drivers/iommu/intel/iommu.c,
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, drivers/iommu/amd/iommu.c.
 */

#include <endian.h>
#include <string.h>
#include "objects.h"
#include "uapi-extra.h"

#define BIT64(n)        (1ull << (n))
#define FIELD(v, lo, n) (((v) >> (lo)) & ((1ull << (n)) - 1))

/* VT-d specification, 11.4.2 and 11.4.3 */
#define CAP_NDOMS(c)    (1u << (4 + 2 * FIELD(c, 0, 3)))
#define CAP_RWBF        BIT64(4)
#define CAP_CM          BIT64(7)
#define CAP_SAGAW(c)    FIELD(c, 8, 5)
#define CAP_MGAW(c)     (FIELD(c, 16, 6) + 1)
#define CAP_SLLPS(c)    FIELD(c, 34, 4)
#define CAP_FS1GP       BIT64(56)
#define CAP_FS5LP       BIT64(60)
#define ECAP_C          BIT64(0)
#define ECAP_DT         BIT64(2)
#define ECAP_NEST       BIT64(26)
#define ECAP_PRS        BIT64(29)
#define ECAP_PSS(e)     FIELD(e, 35, 5)
#define ECAP_PASID      BIT64(40)
#define ECAP_PDS        BIT64(42)
#define ECAP_SMTS       BIT64(43)
#define ECAP_SSADS      BIT64(45)
#define ECAP_SSTS       BIT64(46)
#define ECAP_FSTS       BIT64(47)
#define ECAP_SMPWC      BIT64(48)

/* SMMUv3 architecture, 6.3.1 to 6.3.6 */
#define IDR0_S2P        (1u << 0)
#define IDR0_S1P        (1u << 1)
#define IDR0_COHACC     (1u << 4)
#define IDR0_HTTU(r)    FIELD(r, 6, 2)
#define IDR0_ATS        (1u << 10)
#define IDR1_SSIDSIZE(r) FIELD(r, 6, 5)
#define IDR3_FWB        (1u << 8)
#define IDR5_OAS(r)     FIELD(r, 0, 3)
#define IDR5_VAX(r)     FIELD(r, 10, 2)

static bool has(uint64_t reg, uint64_t bits)
{
    return (reg & bits) == bits;
}

/* What the kernel goes by: without sm_on, as though there were no SMTS */
static uint64_t vtd_ecap(const MdlIommu *iommu)
{
    return mdl_host.scalable_mode ? iommu->ecap : iommu->ecap & ~ECAP_SMTS;
}

bool mdl_host_nested(const MdlIommu *iommu)
{
    if (mdl_host.absent & MDL_NO_NESTING) {
        return false;
    }
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        return has(vtd_ecap(iommu), ECAP_SMTS | ECAP_NEST);
    case MDL_ARCH_SMMUV3:
        return has(iommu->idr[0], IDR0_S1P | IDR0_S2P);
    default:
        return true;
    }
}

/* IOMMU_CAP_DIRTY_TRACKING */
bool mdl_host_dirty(const MdlIommu *iommu)
{
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        return has(vtd_ecap(iommu), ECAP_SMTS | ECAP_SSADS | ECAP_SMPWC);
    case MDL_ARCH_SMMUV3:
        return IDR0_HTTU(iommu->idr[0]) >= 2 &&
               (iommu->idr[0] & IDR0_COHACC);
    default:
        return iommu->dirty_tracking;
    }
}

/* dev->iommu->max_pasids; 0: no PASID at all */
uint32_t mdl_host_max_pasids(const MdlDevice *dev)
{
    uint32_t max = 0;

    if (!dev->pasid_bits || (mdl_host.absent & MDL_NO_PASID_ATTACH)) {
        return 0;
    }
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        if (has(vtd_ecap(dev->iommu), ECAP_SMTS | ECAP_PASID)) {
            max = 2u << ECAP_PSS(dev->iommu->ecap);
        }
        break;
    case MDL_ARCH_SMMUV3:
        if (IDR1_SSIDSIZE(dev->iommu->idr[1])) {
            max = 1u << IDR1_SSIDSIZE(dev->iommu->idr[1]);
        }
        break;
    case MDL_ARCH_AMD:
        max = 1u << 16;
        break;
    }
    return max < 1u << dev->pasid_bits ? max : 1u << dev->pasid_bits;
}

bool mdl_host_ats(const MdlDevice *dev)
{
    if (!dev->ats || !dev->host_ats) {
        return false;
    }
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        return dev->iommu->ecap & ECAP_DT;
    case MDL_ARCH_SMMUV3:
        return dev->iommu->idr[0] & IDR0_ATS;
    default:
        return true;
    }
}

bool mdl_host_pri(const MdlDevice *dev)
{
    return mdl_host.arch == MDL_ARCH_VTD && dev->pri && dev->host_pri &&
           !dev->vf && mdl_host_ats(dev) &&
           has(vtd_ecap(dev->iommu), ECAP_SMTS | ECAP_PRS | ECAP_PDS);
}

static unsigned vtd_second_stage_bits(const MdlIommu *iommu)
{
    unsigned sagaw = CAP_SAGAW(iommu->cap), mgaw = CAP_MGAW(iommu->cap);

    if (mgaw > 48 && sagaw >= 8) {
        return mgaw < 57 ? mgaw : 57;
    }
    if (mgaw > 39 && sagaw >= 4) {
        return mgaw < 48 ? mgaw : 48;
    }
    return mgaw < 39 ? mgaw : 39;
}

/*
 * Linux uses the lower half only: the upper one is the sign extension
 * (drivers/iommu/generic_pt/pt_iter.h, pt_top_range()).
 */
static unsigned vtd_first_stage_bits(const MdlIommu *iommu)
{
    unsigned mgaw = CAP_MGAW(iommu->cap);

    if (mgaw > 48 && (iommu->cap & CAP_FS5LP)) {
        return (mgaw < 57 ? mgaw : 57) - 1;
    }
    return (mgaw < 48 ? mgaw : 48) - 1;
}

static unsigned smmu_oas_bits(const MdlIommu *iommu)
{
    static const uint8_t bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };

    return bits[IDR5_OAS(iommu->idr[5])];
}

static void vtd_defaults(MdlIommu *iommu, bool cap_given)
{
    unsigned aw = iommu->aw ? iommu->aw : 48;

    if (!cap_given) {
        uint64_t sagaw = aw == 57 ? 0xc : aw == 48 ? 0x4 : 0x2;

        /* 64 Ki domains, ZLR, 2 MiB and 1 GiB pages, PSI, MAMV 18 */
        iommu->cap = 6 | sagaw << 8 | (uint64_t)(aw - 1) << 16 | BIT64(22) |
                     3ull << 34 | BIT64(39) | 18ull << 48 | CAP_FS1GP;
        if (aw == 57) {
            iommu->cap |= CAP_FS5LP;
        }
    }
    if (!iommu->ecap) {
        /* QI, IR, EIM, PT, SC, MHMV 15, supervisor requests, EAFS */
        iommu->ecap = ECAP_C | BIT64(1) | ECAP_DT | BIT64(3) | BIT64(4) |
                      BIT64(6) | BIT64(7) | 15ull << 20 | ECAP_NEST |
                      ECAP_PRS | BIT64(31) | BIT64(34) | 19ull << 35 |
                      ECAP_PASID | ECAP_PDS | ECAP_SMTS | ECAP_SSTS |
                      ECAP_FSTS | ECAP_SMPWC;
        if (iommu->dirty_tracking) {
            iommu->ecap |= ECAP_SSADS;
        }
    }
    iommu->aw = vtd_second_stage_bits(iommu);
}

static void smmu_defaults(MdlIommu *iommu)
{
    static const struct {
        unsigned bits, code;
    } oas[] = {
        { 32, 0 }, { 36, 1 }, { 40, 2 }, { 42, 3 }, { 44, 4 }, { 48, 5 },
        { 52, 6 },
    };
    size_t i;

    if (!iommu->idr[0]) {
        /* AArch64, COHACC, ASID16, VMID16, CD2L, LE, no stall, 2-level */
        iommu->idr[0] = IDR0_S2P | IDR0_S1P | 2u << 2 | IDR0_COHACC |
                        IDR0_ATS | 1u << 12 | 1u << 18 | 1u << 19 |
                        2u << 21 | 1u << 24 | 1u << 26 | 1u << 27;
        if (iommu->dirty_tracking) {
            iommu->idr[0] |= 2u << 6;
        }
    }
    if (!iommu->idr[1]) {
        iommu->idr[1] = 16u | 16u << 6 | 10u << 16 | 10u << 21;
    }
    if (!iommu->idr[3]) {
        iommu->idr[3] = 1u << 10 | 2u << 11;    /* RIL, BBM level 2 */
        if (iommu->fwb) {
            iommu->idr[3] |= IDR3_FWB;
        }
    } else {
        iommu->fwb = iommu->idr[3] & IDR3_FWB;
    }
    if (!iommu->idr[5]) {
        iommu->idr[5] = 7u << 4;                /* 4, 16 and 64 KiB */
        for (i = 0; i < MDL_ARRAY_SIZE(oas); i++) {
            if (oas[i].bits == (iommu->aw ? iommu->aw : 48)) {
                iommu->idr[5] |= oas[i].code;
            }
        }
    }
    iommu->aw = smmu_oas_bits(iommu);
}

void mdl_host_defaults(MdlIommu *iommu, bool cap_given)
{
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        vtd_defaults(iommu, cap_given);
        break;
    case MDL_ARCH_SMMUV3:
        smmu_defaults(iommu);
        break;
    case MDL_ARCH_AMD:
        iommu->aw = iommu->aw ? iommu->aw : 48;
        break;
    }
}

/* ------------------------------------------------------- paging domains */

static int vtd_paging(MdlHwpt *hwpt, MdlIommu *iommu, uint32_t flags)
{
    unsigned bits;

    if (!(flags & ~IOMMU_HWPT_ALLOC_PASID) &&
        has(vtd_ecap(iommu), ECAP_SMTS | ECAP_FSTS)) {
        hwpt->first_stage = true;
        bits = vtd_first_stage_bits(iommu);
    } else {
        if ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) &&
            !mdl_host_nested(iommu)) {
            return -EOPNOTSUPP;
        }
        if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
            !mdl_host_dirty(iommu)) {
            return -EOPNOTSUPP;
        }
        if ((vtd_ecap(iommu) & ECAP_SMTS) && !(vtd_ecap(iommu) & ECAP_SSTS)) {
            return -EOPNOTSUPP;
        }
        bits = vtd_second_stage_bits(iommu);
    }
    hwpt->last_iova = BIT64(bits) - 1;
    return 0;
}

static int smmu_paging(MdlHwpt *hwpt, MdlIommu *iommu, uint32_t flags)
{
    unsigned bits;

    switch (flags) {
    case 0:
        hwpt->first_stage = iommu->idr[0] & IDR0_S1P;
        break;
    case IOMMU_HWPT_ALLOC_NEST_PARENT:
        if (!mdl_host_nested(iommu)) {
            return -EOPNOTSUPP;
        }
        break;
    case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
    case IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID:
    case IOMMU_HWPT_ALLOC_PASID:
        if (!(iommu->idr[0] & IDR0_S1P)) {
            return -EOPNOTSUPP;
        }
        hwpt->first_stage = true;
        break;
    default:
        return -EOPNOTSUPP;
    }
    if (hwpt->first_stage) {
        bits = IDR5_VAX(iommu->idr[5]) ? 52 : 48;
    } else {
        bits = smmu_oas_bits(iommu);
    }
    hwpt->last_iova = BIT64(bits) - 1;
    return 0;
}

static int amd_paging(MdlHwpt *hwpt, MdlIommu *iommu, uint32_t flags)
{
    bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    bool parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;

    if (flags & IOMMU_HWPT_ALLOC_PASID) {
        if (dirty || parent) {
            return -EOPNOTSUPP;
        }
        hwpt->first_stage = true;
    }
    if ((dirty && !mdl_host_dirty(iommu)) ||
        (parent && !mdl_host_nested(iommu))) {
        return -EOPNOTSUPP;
    }
    hwpt->last_iova = BIT64(iommu->aw) - 1;
    return 0;
}

/*
 * The driver's domain_alloc_paging_flags(): picks the format, or sets @err.
 */
void mdl_host_paging(MdlHwpt *hwpt, MdlIommu *iommu, uint32_t flags,
                     int *err)
{
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        *err = vtd_paging(hwpt, iommu, flags);
        break;
    case MDL_ARCH_SMMUV3:
        *err = smmu_paging(hwpt, iommu, flags);
        break;
    case MDL_ARCH_AMD:
        *err = amd_paging(hwpt, iommu, flags);
        break;
    }
}

/* Bits of the capability registers that must not be worse: @made, @here */
static bool vtd_first_stage_fits(const MdlHwpt *hwpt, const MdlIommu *here)
{
    const MdlIommu *made = hwpt->iommu;

    return has(vtd_ecap(here), ECAP_SMTS | ECAP_FSTS) &&
           (vtd_ecap(here) & ECAP_SMPWC || !(vtd_ecap(made) & ECAP_SMPWC)) &&
           (here->cap & CAP_FS5LP || hwpt->last_iova < BIT64(47)) &&
           (here->cap & CAP_FS1GP || !(made->cap & CAP_FS1GP)) &&
           (made->cap & CAP_RWBF || !(here->cap & CAP_RWBF));
}

static bool vtd_coherent(const MdlIommu *iommu)
{
    uint64_t ecap = vtd_ecap(iommu);

    return ecap & (ecap & ECAP_SMTS ? ECAP_SMPWC : ECAP_C);
}

static bool vtd_second_stage_fits(const MdlHwpt *hwpt, const MdlIommu *here)
{
    const MdlIommu *made = hwpt->iommu;
    unsigned bits = vtd_second_stage_bits(made);
    unsigned level = bits > 48 ? 8 : bits > 39 ? 4 : 2;

    return (!hwpt->dirty_tracking || mdl_host_dirty(here)) &&
           (!hwpt->nest_parent || mdl_host_nested(here)) &&
           (!(vtd_ecap(here) & ECAP_SMTS) || vtd_ecap(here) & ECAP_SSTS) &&
           (vtd_coherent(here) || !vtd_coherent(made)) &&
           CAP_MGAW(here->cap) >= bits &&
           (CAP_SAGAW(here->cap) & level) &&
           !(CAP_SLLPS(made->cap) & ~CAP_SLLPS(here->cap) & 3) &&
           (made->cap & (CAP_RWBF | CAP_CM) ||
            !(here->cap & (CAP_RWBF | CAP_CM)));
}

/* Attachments of @hwpt, or of any, behind @iommu but for the RID of @except */
static unsigned attachments(const MdlIommu *iommu, const MdlHwpt *hwpt,
                            const MdlDevice *except)
{
    unsigned i, n = 0;

    for (i = 0; i < mdl_host.nr_devices; i++) {
        const MdlDevice *dev = mdl_host.device[i];
        const MdlPasidAttach *p;

        if (dev->iommu != iommu) {
            continue;
        }
        if (dev != except && dev->hwpt) {
            n += !hwpt || dev->hwpt == hwpt;
        }
        for (p = dev->pasids; p; p = p->next) {
            n += !hwpt || p->hwpt == hwpt;
        }
    }
    return n;
}

/*
 * domain_attach_iommu(): an id for each domain with attachments, from
 * IDA_START_DID on. A RID is blocked first, which frees its id; a PASID keeps
 * the old domain's until it has the new one's.
 */
int mdl_host_domain_id(const MdlHwpt *hwpt, const MdlDevice *dev,
                       uint32_t pasid)
{
    const MdlDevice *except = pasid ? NULL : dev;
    unsigned max = CAP_NDOMS(dev->iommu->cap) - 2, n = 0;
    MdlCtx *ctx;
    uint32_t id;

    if (attachments(dev->iommu, NULL, except) < max ||
        attachments(dev->iommu, hwpt, except)) {
        return 0;
    }
    for (ctx = mdl_ctxs; ctx; ctx = ctx->next) {
        for (id = 1; id < ctx->nr_objs; id++) {
            const MdlHwpt *other = (MdlHwpt *)mdl_obj_get(ctx, id,
                                                          MDL_OBJ_HWPT);

            n += other && attachments(dev->iommu, other, except);
        }
    }
    return n < max ? 0 : -ENOSPC;
}

/*
 * VT-d asks whether the formats agree, so one domain may serve several
 * IOMMUs; an SMMU domain belongs to its instance (EINVAL elsewhere).
 */
/* arm_lpae_restrict_pgsizes(): the CPU's, or else the next smaller */
uint64_t mdl_host_io_page(const MdlHwpt *hwpt)
{
    static const uint64_t granule[] = { 65536, 16384, 4096 };
    uint32_t idr5 = hwpt->iommu->idr[5];
    unsigned i;

    for (i = 0; mdl_host.arch == MDL_ARCH_SMMUV3 && i < 3; i++) {
        if (granule[i] <= mdl_host.page_size && (idr5 & 1u << (6 - i))) {
            return granule[i];
        }
    }
    return MDL_PAGE_SIZE;
}

int mdl_host_compatible(const MdlHwpt *hwpt, const MdlDevice *dev)
{
    const MdlHwpt *paging = hwpt->nested ? hwpt->parent : hwpt;
    bool fits = true;

    if (paging->iommu == dev->iommu) {
        return 0;
    }
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        fits = paging->first_stage ?
               vtd_first_stage_fits(paging, dev->iommu) :
               vtd_second_stage_fits(paging, dev->iommu);
        break;
    case MDL_ARCH_SMMUV3:
        fits = false;
        break;
    case MDL_ARCH_AMD:
        break;
    }
    return fits ? 0 : -EINVAL;
}

/* ---------------------------------------------------------- GET_HW_INFO */

typedef union HwInfo {
    struct iommu_hw_info_vtd vtd;
    struct iommu_hw_info_arm_smmuv3 smmu;
    struct mdl_hw_info_amd amd;
    struct iommu_hw_info_tegra241_cmdqv cmdqv;
} HwInfo;

static int hw_info_data(const MdlIommu *iommu, uint32_t *type, HwInfo *info,
                        size_t *len)
{
    uint32_t want = *type;

    memset(info, 0, sizeof(*info));
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        *type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
        *len = sizeof(info->vtd);
        info->vtd.flags = iommu->errata ?
                          IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 : 0;
        info->vtd.cap_reg = iommu->cap;
        info->vtd.ecap_reg = iommu->ecap;
        break;
    case MDL_ARCH_SMMUV3:
        if (want == IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV) {
            *len = sizeof(info->cmdqv);
            return cmdqv_info(iommu, &info->cmdqv);
        }
        *type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
        *len = sizeof(info->smmu);
        info->smmu.flags = iommu->errata ? MDL_HW_INFO_ARM_SMMUV3_REPEAT : 0;
        memcpy(info->smmu.idr, iommu->idr, sizeof(info->smmu.idr));
        info->smmu.iidr = iommu->iidr;
        info->smmu.aidr = iommu->aidr;
        break;
    case MDL_ARCH_AMD:
        *type = MDL_HW_INFO_TYPE_AMD;
        *len = sizeof(info->amd);
        info->amd.efr = iommu->efr;
        info->amd.efr2 = iommu->efr2;
        break;
    }
    return want == IOMMU_HW_INFO_TYPE_DEFAULT || want == *type ?
           0 : -EOPNOTSUPP;
}

static uint64_t hw_info_caps(const MdlDevice *dev)
{
    uint64_t caps = 0;

    if (mdl_host_dirty(dev->iommu)) {
        caps |= IOMMU_HW_CAP_DIRTY_TRACKING;
    }
    if (!mdl_host_ats(dev)) {
        caps |= MDL_HW_CAP_PCI_ATS_NOT_SUPPORTED;
    }
    if (mdl_host_max_pasids(dev)) {
        caps |= dev->pasid_exec ? IOMMU_HW_CAP_PCI_PASID_EXEC : 0;
        caps |= dev->pasid_priv ? IOMMU_HW_CAP_PCI_PASID_PRIV : 0;
    }
    return caps;
}

int mdl_cmd_hw_info(MdlCmd *cmd)
{
    struct iommu_hw_info *arg = cmd->arg;
    void *data_uptr = (void *)(uintptr_t)arg->data_uptr;
    uint32_t pasids, type;
    size_t len = 0, copy;
    MdlDevice *dev;
    HwInfo info;
    int ret;

    mdl_cmd_note(cmd, "\"dev_id\":%u,\"flags\":%u", arg->dev_id, arg->flags);
    if ((arg->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE) ||
        arg->__reserved[0] || arg->__reserved[1] || arg->__reserved[2]) {
        return -EOPNOTSUPP;
    }
    if (!(arg->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)) {
        arg->in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
    }
    dev = (MdlDevice *)mdl_obj_get(cmd->ctx, arg->dev_id, MDL_OBJ_DEVICE);
    if (!dev) {
        return -ENOENT;
    }
    type = arg->in_data_type;
    ret = hw_info_data(dev->iommu, &type, &info, &len);
    if (ret) {
        return ret;
    }
    arg->out_data_type = type;
    copy = arg->data_len < len ? arg->data_len : len;
    if (mdl_copy_to(data_uptr, &info, copy) ||
        mdl_clear_user((char *)data_uptr + copy, arg->data_len - copy)) {
        return -EFAULT;
    }
    arg->data_len = len;
    arg->out_capabilities = hw_info_caps(dev);
    arg->out_max_pasid_log2 = 0;
    for (pasids = mdl_host_max_pasids(dev); pasids > 1; pasids >>= 1) {
        arg->out_max_pasid_log2++;
    }
    return mdl_cmd_respond(cmd);
}
