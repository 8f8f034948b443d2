/*
 * Model of /dev/iommu: SMMUv3 commands of IOMMU_HWPT_INVALIDATE
 *
 * Which commands and fields the host's driver lets through is
 * arm_vsmmu_validate_user_cmd(); what they remove is chapter 4 of the SMMUv3
 * specification.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hw-priv.h"

enum {
    OP_CFGI_CD          = 0x05,
    OP_CFGI_CD_ALL      = 0x06,
    OP_TLBI_NH_ALL      = 0x10,
    OP_TLBI_NH_ASID     = 0x11,
    OP_TLBI_NH_VA       = 0x12,
    OP_TLBI_NH_VAA      = 0x13,
    OP_TLBI_NSNH_ALL    = 0x30,
    OP_ATC_INV          = 0x40,
    OP_SYNC             = 0x46,
};

/* Fields, as masks of command word 0 or 1 */
#define CMD0_OP         0x00000000000000ffULL
#define CMD0_GLOBAL     0x0000000000000200ULL
#define CMD0_SSEC       0x0000000000000400ULL
#define CMD0_SYNC_CS    0x0000000000003000ULL
#define CMD0_SSV        0x0000000000000800ULL
#define CMD0_NUM        0x000000000001f000ULL
#define CMD0_SSID       0x00000000fffff000ULL
#define CMD0_SCALE      0x0000000003f00000ULL
#define CMD0_SCALE_HI   0x0000000002000000ULL
#define CMD0_SID        0xffffffff00000000ULL
#define CMD0_VMID       0x0000ffff00000000ULL
#define CMD0_ASID8      0x00ff000000000000ULL
#define CMD0_ASID16     0xffff000000000000ULL
#define CMD1_LEAF       0x0000000000000001ULL
#define CMD1_ATC_SIZE   0x000000000000003fULL
#define CMD1_TTL        0x0000000000000300ULL
#define CMD1_TG         0x0000000000000c00ULL
#define CMD1_ADDR       0xfffffffffffff000ULL

#define ATC_SIZE_ALL    52

static bool smmu_ril(const MdlIommu *iommu)
{
    return iommu->idr[3] & SMMU_IDR3_RIL;
}

/* Values of the range fields that are reserved */
static bool smmu_range_ok(const MdlIommu *iommu, const uint64_t *cmd)
{
    bool range = cmd[0] & (CMD0_NUM | CMD0_SCALE);
    unsigned tg = hw_bits(cmd[1], 11, 10), ttl = hw_bits(cmd[1], 9, 8);

    if (!tg) {
        return !range && !ttl;
    }
    if (tg == 2 && ttl == 1 && !(iommu->idr[5] & SMMU_IDR5_DS)) {
        return false;
    }
    return range || ttl;
}

/* The fields a command may use; false: not a command for guests */
static bool smmu_allowed(const MdlIommu *iommu, const uint64_t *cmd,
                         uint64_t *allowed)
{
    const uint64_t asid = iommu->idr[0] & SMMU_IDR0_ASID16 ? CMD0_ASID16 :
                                                             CMD0_ASID8;
    bool ssid = hw_bits(iommu->idr[1], 10, 6);

    allowed[0] = CMD0_OP;
    allowed[1] = 0;
    switch (cmd[0] & CMD0_OP) {
    case OP_TLBI_NSNH_ALL:
        return true;
    case OP_TLBI_NH_ALL:
        allowed[0] |= CMD0_VMID;
        return true;
    case OP_TLBI_NH_ASID:
        allowed[0] |= CMD0_VMID | asid;
        return true;
    case OP_TLBI_NH_VA:
    case OP_TLBI_NH_VAA:
        allowed[0] |= CMD0_VMID;
        allowed[1] |= CMD1_LEAF | CMD1_ADDR;
        if ((cmd[0] & CMD0_OP) == OP_TLBI_NH_VA) {
            allowed[0] |= asid;
        }
        if (smmu_ril(iommu)) {
            allowed[0] |= CMD0_NUM | CMD0_SCALE;
            allowed[1] |= CMD1_TG | CMD1_TTL;
            if (!(iommu->idr[5] & SMMU_IDR5_DS)) {
                allowed[0] &= ~CMD0_SCALE_HI;
            }
            return smmu_range_ok(iommu, cmd);
        }
        return true;
    case OP_CFGI_CD:
        allowed[0] |= CMD0_SID | (ssid ? CMD0_SSID : 0);
        allowed[1] |= CMD1_LEAF;
        return true;
    case OP_CFGI_CD_ALL:
        allowed[0] |= CMD0_SID;
        return true;
    case OP_ATC_INV:
        allowed[0] |= CMD0_SID |
                      (ssid ? CMD0_SSV | CMD0_SSID | CMD0_GLOBAL : 0);
        allowed[1] |= CMD1_ATC_SIZE | CMD1_ADDR;
        return (iommu->idr[0] & SMMU_IDR0_ATS) &&
               (cmd[1] & CMD1_ATC_SIZE) <= ATC_SIZE_ALL;
    default:
        return false;
    }
}

/* The device the guest calls @sid */
static MdlDevice *smmu_device(const MdlViommu *viommu, uint32_t sid)
{
    const MdlVdevice *vdev;

    for (vdev = viommu->vdevices; vdev; vdev = vdev->next) {
        if (vdev->virt_id == sid) {
            return vdev->dev;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- effects */

/* 4.4.1.1: bytes a ranged TLBI covers, less one */
static uint64_t smmu_range_len(const uint64_t *cmd, unsigned granule)
{
    unsigned shift = hw_bits(cmd[0], 25, 20) + granule;
    uint64_t num = hw_bits(cmd[0], 16, 12) + 1;

    if (shift >= 64 || num > (UINT64_MAX >> shift)) {
        return UINT64_MAX;
    }
    return (num << shift) - 1;
}

static size_t smmu_tlbi(MdlHw *hw, uint32_t vmid, const uint64_t *cmd)
{
    static const uint8_t granules[] = { 0, 12, 14, 16 };
    unsigned op = cmd[0] & CMD0_OP, tg = hw_bits(cmd[1], 11, 10);
    HwDrop drop = {
        .kinds = HW_LEAF | HW_TABLE,
        .space = vmid,
        .ctx = hw_bits(cmd[0], 63, 48),
        .any_ctx = op != OP_TLBI_NH_VA && op != OP_TLBI_NH_ASID,
    };

    if (op == OP_TLBI_NH_VA || op == OP_TLBI_NH_VAA) {
        drop.global = true;
        drop.ranged = true;
        drop.first = cmd[1] & CMD1_ADDR;
        if (cmd[1] & CMD1_LEAF) {
            drop.kinds = HW_LEAF;
        }
        if (tg && smmu_ril(hw->iommu)) {
            uint64_t len;

            /* Entries of another granule or leaf level may stay */
            drop.granule = granules[tg];
            drop.level = hw_bits(cmd[1], 9, 8);
            drop.first &= ~hw_mask(drop.granule);
            len = smmu_range_len(cmd, drop.granule);
            drop.last = len > UINT64_MAX - drop.first ? UINT64_MAX :
                                                        drop.first + len;
        } else {
            drop.last = drop.first + hw_mask(HW_PAGE_SHIFT);
        }
    }
    return cache_drop(&hw->tlb, &drop);
}

/* log2 of the CDs that a level-1 descriptor of @dev's stream leads to, or 0 */
static unsigned smmu_cd_split(const MdlDevice *dev)
{
    uint64_t ste0 = dev->hwpt && dev->hwpt->nested ? dev->hwpt->s1.ste[0] : 0;

    if (!hw_bits(ste0, 63, 59) || !hw_bits(ste0, 5, 4)) {
        return 0;
    }
    return hw_bits(ste0, 5, 4) == 1 ? 6 : 10;
}

static size_t smmu_cfgi(MdlHw *hw, const MdlDevice *dev, const uint64_t *cmd)
{
    unsigned split = smmu_cd_split(dev);
    size_t n;
    HwDrop drop = {
        .kinds = HW_CD | HW_CDTAB,
        .space = dev->host_sid,
        .any_ctx = true,
    };

    if ((cmd[0] & CMD0_OP) == OP_CFGI_CD_ALL) {
        return cache_drop(&hw->cfg, &drop);
    }
    drop.kinds = HW_CD;
    drop.any_ctx = false;
    drop.ctx = hw_bits(cmd[0], 31, 12);
    n = cache_drop(&hw->cfg, &drop);
    if ((cmd[1] & CMD1_LEAF) || !split) {
        return n;
    }
    /* The level-1 descriptor as well */
    drop.kinds = HW_CDTAB;
    drop.ctx = hw_bits(cmd[0], 31, 12) >> split;
    return n + cache_drop(&hw->cfg, &drop);
}

static size_t smmu_atc_inv(MdlDevice *dev, const uint64_t *cmd)
{
    unsigned size = (cmd[1] & CMD1_ATC_SIZE) + HW_PAGE_SHIFT;
    uint64_t first = cmd[1] & CMD1_ADDR & ~hw_mask(size);
    uint32_t ssid = MDL_NO_PASID;

    /*
     * Without SSV the request has no PASID and takes the entries of all of
     * them along, as does Global (see arm_smmu_atc_inv_to_cmd()).
     */
    if ((cmd[0] & CMD0_SSV) && !(cmd[0] & CMD0_GLOBAL)) {
        ssid = hw_bits(cmd[0], 31, 12);
    }
    /* Without ATS there is nobody to send it to */
    return hw_ats_enabled(dev) ?
           hw_atc_drop(dev, ssid, first, first | hw_mask(size)) : 0;
}

/*
 * Erratum T264-SMMU-3: a TLBI or CFGI has its effect only when it is issued
 * again after the SYNC of the first.  Returns whether this is the second.
 */
static bool smmu_second_time(MdlHw *hw, const uint64_t *cmd)
{
    size_t i;

    if (!hw->iommu->errata || (cmd[0] & CMD0_OP) >= OP_ATC_INV) {
        return true;
    }
    for (i = 0; i < hw->nr_once; i++) {
        if (memcmp(hw->once[i].cmd, cmd, sizeof(hw->once[i].cmd))) {
            continue;
        }
        if (hw->once[i].sync == hw->nr_syncs) {
            return false;       /* no SYNC in between: still the first */
        }
        hw->nr_once--;
        memmove(&hw->once[i], &hw->once[i + 1],
                (hw->nr_once - i) * sizeof(hw->once[i]));
        return true;
    }
    if (hw->nr_once == HW_MAX_ONCE) {
        hw->nr_once--;
        memmove(&hw->once[0], &hw->once[1],
                hw->nr_once * sizeof(hw->once[0]));
    }
    memcpy(hw->once[hw->nr_once].cmd, cmd, sizeof(hw->once[0].cmd));
    hw->once[hw->nr_once++].sync = hw->nr_syncs;
    return false;
}

void hw_invalidate_synced(MdlViommu *viommu)
{
    viommu->iommu->hw->nr_syncs++;
}

/*
 * A command as the guest gave it, checked; @dev is set when it names a
 * stream.
 */
static int smmu_decode(const MdlViommu *viommu, const void *entry,
                       uint64_t *cmd, MdlDevice **dev)
{
    uint64_t allowed[2];
    unsigned op;

    memcpy(cmd, entry, 2 * sizeof(*cmd));
    cmd[0] = le64toh(cmd[0]);
    cmd[1] = le64toh(cmd[1]);
    op = cmd[0] & CMD0_OP;
    if (!smmu_allowed(viommu->iommu, cmd, allowed) ||
        (cmd[0] & ~allowed[0]) || (cmd[1] & ~allowed[1])) {
        return -EIO;
    }
    *dev = NULL;
    if (op == OP_CFGI_CD || op == OP_CFGI_CD_ALL || op == OP_ATC_INV) {
        *dev = smmu_device(viommu, cmd[0] >> 32);
        return *dev ? 0 : -EIO;
    }
    return 0;
}

int hw_check_smmuv3(MdlViommu *viommu, const void *entry)
{
    MdlDevice *dev;
    uint64_t cmd[2];

    return smmu_decode(viommu, entry, cmd, &dev);
}

bool hw_hangs_smmuv3(MdlViommu *viommu, const void *entry)
{
    MdlDevice *dev;
    uint64_t cmd[2];

    return !smmu_decode(viommu, entry, cmd, &dev) && dev &&
           (cmd[0] & CMD0_OP) == OP_ATC_INV && dev->atc_hang;
}

/* @dev: whom a command that names a stream is about */
static void smmu_execute(MdlViommu *viommu, uint64_t *cmd, MdlDevice *dev)
{
    MdlHw *hw = viommu->iommu->hw;
    unsigned op = cmd[0] & CMD0_OP;
    size_t dropped = 0;
    bool effect;

    if (dev) {
        cmd[0] = (cmd[0] & ~CMD0_SID) | (uint64_t)dev->host_sid << 32;
    } else {
        cmd[0] = (cmd[0] & ~CMD0_VMID) | (uint64_t)viommu->vmid << 32;
    }
    effect = smmu_second_time(hw, cmd);
    hw_refetch_begin();
    if (effect && op == OP_ATC_INV) {
        dropped = smmu_atc_inv(dev, cmd);
    } else if (effect && dev) {
        dropped = smmu_cfgi(hw, dev, cmd);
    } else if (effect) {
        dropped = smmu_tlbi(hw, viommu->vmid, cmd);
    }
    hw_refetch_end();
    mdl_journal("inv-effect", "\"viommu\":%u,\"op\":\"0x%02x\","
                "\"effect\":%s,\"dropped\":%zu", viommu->obj.id, op,
                effect ? "true" : "false", dropped);
}

int hw_invalidate_smmuv3(MdlViommu *viommu, const void *entry)
{
    MdlDevice *dev;
    uint64_t cmd[2];

    if (smmu_decode(viommu, entry, cmd, &dev)) {
        return -EIO;
    }
    smmu_execute(viommu, cmd, dev);
    return 0;
}

/* Hardware ignores what is reserved, and knows no other commands here */
unsigned hw_vcmdq_command(MdlViommu *viommu, const uint64_t *given,
                          bool *atc_late)
{
    uint64_t cmd[2] = { given[0], given[1] };
    MdlDevice *dev;

    switch (cmd[0] & CMD0_OP) {
    case OP_TLBI_NH_ASID:
    case OP_TLBI_NH_VA:
        smmu_execute(viommu, cmd, NULL);
        return 0;
    case OP_ATC_INV:
        dev = smmu_device(viommu, cmd[0] >> 32);
        if (!dev || cmd[0] & CMD0_SSEC ||
            !(viommu->iommu->idr[0] & SMMU_IDR0_ATS) ||
            (cmd[1] & CMD1_ATC_SIZE) > ATC_SIZE_ALL) {
            return HW_CERROR_ILL;
        }
        if (dev->atc_hang) {
            *atc_late = true;
        } else {
            smmu_execute(viommu, cmd, dev);
        }
        return 0;
    case OP_SYNC:
        if (cmd[0] & CMD0_SYNC_CS) {
            return HW_CERROR_ILL;
        }
        hw_invalidate_synced(viommu);
        if (*atc_late) {
            *atc_late = false;
            return HW_CERROR_ATC_INV_SYNC;
        }
        return 0;
    default:
        return HW_CERROR_ILL;
    }
}

void smmu_drop_stream(MdlIommu *iommu, uint32_t sid)
{
    const HwDrop drop = {
        .kinds = HW_CD | HW_CDTAB,
        .space = sid,
        .any_ctx = true,
    };

    cache_drop(&iommu->hw->cfg, &drop);
}

void smmu_drop_vmid(MdlIommu *iommu, uint32_t vmid)
{
    const HwDrop drop = {
        .kinds = HW_LEAF | HW_TABLE,
        .space = vmid,
        .any_ctx = true,
    };

    cache_drop(&iommu->hw->tlb, &drop);
}
