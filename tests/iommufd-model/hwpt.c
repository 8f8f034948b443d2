/*
 * Model of /dev/iommu: hardware page tables
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Checks, and their order, follow Linux 7.3: drivers/iommu/iommufd/
 * hw_pagetable.c and the drivers behind it (intel/nested.c, intel/pasid.c,
 * arm/arm-smmu-v3/arm-smmu-v3-iommufd.c, amd/nested.c).
 */

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "objects.h"
#include "uapi-extra.h"

/* drivers/iommu/iommufd/hw_pagetable.c: most entries of one call */
#define INVALIDATE_MAX_ENTRIES  (1u << 19)

/* CMDQ_BATCH_ENTRIES - 1 of arm-smmu-v3.h on a 64-bit host */
#define SMMU_BATCH      63

#define FIELD(v, lo, n) (((v) >> (lo)) & ((1ull << (n)) - 1))

/* SMMUv3 architecture 5.2, and what arm-smmu-v3.h lets a guest set */
#define STE0_V              1ull
#define STE0_CFG(w)         FIELD(w, 1, 3)
#define STE_CFG_ABORT       0
#define STE_CFG_BYPASS      4
#define STE_CFG_S1          5
#define STE0_ALLOWED        (STE0_V | 7ull << 1 | 3ull << 4 | \
                             ((1ull << 52) - (1ull << 6)) | 0x1full << 59)
#define STE1_EATS(w)        FIELD(w, 28, 2)
#define STE1_ALLOWED        (0xffull | 1ull << 27 | 3ull << 28)

/* ------------------------------------------------------------- allocation */

static void link_hwpt(MdlHwpt *hwpt, MdlCtx *ctx)
{
    mdl_obj_add(ctx, &hwpt->obj, MDL_OBJ_HWPT);
    if (!hwpt->nested) {
        hwpt->ioas->obj.refs++;
    } else if (hwpt->viommu) {
        hwpt->viommu->obj.refs++;
    } else {
        hwpt->parent->obj.refs++;
    }
}

/* Undoes link_hwpt(); the caller takes the id away and frees */
void mdl_hwpt_destroy(MdlHwpt *hwpt)
{
    hw_hwpt_fini(hwpt);
    if (hwpt->fault) {
        hwpt->fault->obj.refs--;
    }
    if (!hwpt->nested) {
        mdl_iova_remove_domain(hwpt->ioas, hwpt);
        hwpt->ioas->obj.refs--;
    } else if (hwpt->viommu) {
        hwpt->viommu->obj.refs--;
    } else {
        hwpt->parent->obj.refs--;
    }
}

static uint32_t paging_flags(void)
{
    uint32_t flags = IOMMU_HWPT_ALLOC_NEST_PARENT |
                     IOMMU_HWPT_ALLOC_DIRTY_TRACKING;

    if (!(mdl_host.absent & MDL_NO_FAULT_QUEUE)) {
        flags |= IOMMU_HWPT_FAULT_ID_VALID;
    }
    if (!(mdl_host.absent & MDL_NO_PASID_ATTACH)) {
        flags |= IOMMU_HWPT_ALLOC_PASID;
    }
    return flags;
}

static uint32_t nested_flags(void)
{
    return paging_flags() & (IOMMU_HWPT_FAULT_ID_VALID |
                             IOMMU_HWPT_ALLOC_PASID);
}

static MdlHwpt *new_hwpt(MdlDevice *dev, MdlIoas *ioas, uint32_t flags)
{
    MdlHwpt *hwpt = calloc(1, sizeof(*hwpt));

    if (!hwpt) {
        abort();
    }
    hwpt->iommu = dev->iommu;
    hwpt->ioas = ioas;
    hwpt->pasid = flags & IOMMU_HWPT_ALLOC_PASID;
    return hwpt;
}

static int finish_paging(MdlHwpt *hwpt, MdlCtx *ctx)
{
    int ret;

    ret = hw_hwpt_init(hwpt);
    if (ret) {
        return ret;
    }
    ret = mdl_iova_add_domain(hwpt->ioas, hwpt);
    if (ret) {
        hw_hwpt_fini(hwpt);
        return ret;
    }
    link_hwpt(hwpt, ctx);
    return 0;
}

MdlHwpt *mdl_hwpt_paging_new(MdlCtx *ctx, MdlIoas *ioas, MdlDevice *dev,
                             uint32_t flags, int *err)
{
    MdlHwpt *hwpt;

    *err = -EOPNOTSUPP;
    if ((flags & ~paging_flags()) ||
        ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
         !mdl_host_dirty(dev->iommu)) ||
        ((flags & IOMMU_HWPT_FAULT_ID_VALID) &&
         (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))) {
        return NULL;
    }
    hwpt = new_hwpt(dev, ioas, flags);
    hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
    hwpt->dirty_tracking = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    mdl_host_paging(hwpt, dev->iommu, flags & ~IOMMU_HWPT_FAULT_ID_VALID,
                    err);
    if (!*err) {
        *err = finish_paging(hwpt, ctx);
    }
    if (*err) {
        free(hwpt);
        return NULL;
    }
    return hwpt;
}

/* iommu_copy_struct_from_user(): never longer than the kernel knows it */
static int copy_data(const struct iommu_hwpt_alloc *arg, uint32_t type,
                     void *dst, size_t size, size_t min)
{
    if (arg->data_type != type || arg->data_len < min ||
        arg->data_len > size) {
        return -EINVAL;
    }
    return mdl_copy_struct(dst, size, (void *)(uintptr_t)arg->data_uptr,
                           arg->data_len);
}

/* intel_iommu_domain_alloc_nested() */
static int vtd_nested(MdlHwpt *hwpt, const struct iommu_hwpt_alloc *arg)
{
    struct iommu_hwpt_vtd_s1 vtd;
    int ret;

    if (!mdl_host_nested(hwpt->iommu) ||
        arg->data_type != IOMMU_HWPT_DATA_VTD_S1) {
        return -EOPNOTSUPP;
    }
    ret = copy_data(arg, IOMMU_HWPT_DATA_VTD_S1, &vtd, sizeof(vtd),
                    sizeof(vtd));
    if (ret) {
        return ret;
    }
    hwpt->s1.vtd.flags = vtd.flags;
    hwpt->s1.vtd.pgtbl_addr = vtd.pgtbl_addr;
    hwpt->s1.vtd.addr_width = vtd.addr_width;
    return 0;
}

/* arm_vsmmu_alloc_domain_nested() */
static int smmu_nested(MdlHwpt *hwpt, const struct iommu_hwpt_alloc *arg)
{
    struct iommu_hwpt_arm_smmuv3 smmu;
    uint64_t ste0, ste1;
    int ret;

    if (arg->flags & ~IOMMU_HWPT_FAULT_ID_VALID) {
        return -EOPNOTSUPP;
    }
    ret = copy_data(arg, IOMMU_HWPT_DATA_ARM_SMMUV3, &smmu, sizeof(smmu),
                    sizeof(smmu));
    if (ret) {
        return ret;
    }
    ste0 = le64toh(smmu.ste[0]);
    ste1 = le64toh(smmu.ste[1]);
    if (!(ste0 & STE0_V)) {
        return 0;
    }
    if ((ste0 & ~STE0_ALLOWED) || (ste1 & ~STE1_ALLOWED) ||
        STE1_EATS(ste1) > 1) {
        return -EIO;
    }
    switch (STE0_CFG(ste0)) {
    case STE_CFG_ABORT:
    case STE_CFG_BYPASS:
    case STE_CFG_S1:
        break;
    default:
        return -EIO;
    }
    hwpt->s1.ste[0] = ste0;
    hwpt->s1.ste[1] = ste1;
    return 0;
}

/* validate_gdte_nested(); field positions from the AMD IOMMU specification */
static int amd_nested(MdlHwpt *hwpt, const struct iommu_hwpt_alloc *arg)
{
    struct mdl_hwpt_amd_guest guest;
    uint64_t dte[4];
    unsigned i;
    int ret;

    if (!mdl_host.amd_nested || arg->data_type != MDL_HWPT_DATA_AMD_GUEST) {
        return -EOPNOTSUPP;
    }
    ret = copy_data(arg, MDL_HWPT_DATA_AMD_GUEST, &guest, sizeof(guest),
                    sizeof(guest));
    if (ret) {
        return ret;
    }
    for (i = 0; i < MDL_ARRAY_SIZE(dte); i++) {
        dte[i] = guest.dte[i];
    }
    if (FIELD(dte[0], 9, 3) || FIELD(dte[0], 12, 40)) {
        return -EINVAL;
    }
    if (FIELD(dte[0], 0, 1) && FIELD(dte[0], 55, 1) &&
        !FIELD(dte[0], 58, 3) && !FIELD(dte[1], 16, 16) &&
        !FIELD(dte[1], 43, 21)) {
        return -EINVAL;
    }
    if (FIELD(dte[2], 54, 2) > 1 || FIELD(dte[0], 56, 2) == 3) {
        return -EINVAL;
    }
    memcpy(hwpt->s1.dte, dte, sizeof(hwpt->s1.dte));
    return 0;
}

static int finish_nested(MdlHwpt *hwpt, MdlCtx *ctx,
                         const struct iommu_hwpt_alloc *arg)
{
    int ret = -EOPNOTSUPP;

    hwpt->nested = true;
    hwpt->ioas = hwpt->parent->ioas;
    hwpt->data_type = arg->data_type;
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        ret = vtd_nested(hwpt, arg);
        break;
    case MDL_ARCH_SMMUV3:
        ret = smmu_nested(hwpt, arg);
        break;
    case MDL_ARCH_AMD:
        ret = amd_nested(hwpt, arg);
        break;
    }
    if (!ret) {
        ret = hw_hwpt_init(hwpt);
    }
    if (!ret) {
        link_hwpt(hwpt, ctx);
    }
    return ret;
}

/* On a nesting parent: VT-d only, the other drivers go through a vIOMMU */
static MdlHwpt *nested_on_parent(MdlCmd *cmd, MdlHwpt *parent,
                                 MdlDevice *dev, int *err)
{
    const struct iommu_hwpt_alloc *arg = cmd->arg;
    MdlHwpt *hwpt;

    *err = -EOPNOTSUPP;
    if ((arg->flags & ~nested_flags()) || !arg->data_len ||
        mdl_host.arch != MDL_ARCH_VTD) {
        return NULL;
    }
    if (parent->auto_domain || !parent->nest_parent) {
        *err = -EINVAL;
        return NULL;
    }
    hwpt = new_hwpt(dev, NULL, arg->flags);
    hwpt->parent = parent;
    *err = finish_nested(hwpt, cmd->ctx, arg);
    if (*err) {
        free(hwpt);
        return NULL;
    }
    return hwpt;
}

static MdlHwpt *nested_on_viommu(MdlCmd *cmd, MdlViommu *viommu,
                                 MdlDevice *dev, int *err)
{
    const struct iommu_hwpt_alloc *arg = cmd->arg;
    MdlHwpt *hwpt;

    if (viommu->iommu != dev->iommu) {
        *err = -EINVAL;
        return NULL;
    }
    if ((arg->flags & ~nested_flags()) || !arg->data_len) {
        *err = -EOPNOTSUPP;
        return NULL;
    }
    hwpt = new_hwpt(dev, NULL, arg->flags);
    hwpt->viommu = viommu;
    hwpt->parent = viommu->parent;
    *err = finish_nested(hwpt, cmd->ctx, arg);
    if (*err) {
        free(hwpt);
        return NULL;
    }
    return hwpt;
}

static MdlHwpt *alloc_on(MdlCmd *cmd, MdlObj *pt, MdlDevice *dev, int *err)
{
    const struct iommu_hwpt_alloc *arg = cmd->arg;

    switch (pt->type) {
    case MDL_OBJ_IOAS:
        if (arg->data_len) {
            /* No driver takes data for a paging domain */
            *err = -EOPNOTSUPP;
            return NULL;
        }
        return mdl_hwpt_paging_new(cmd->ctx, (MdlIoas *)pt, dev, arg->flags,
                                   err);
    case MDL_OBJ_HWPT:
        if (((MdlHwpt *)pt)->nested) {
            break;
        }
        return nested_on_parent(cmd, (MdlHwpt *)pt, dev, err);
    case MDL_OBJ_VIOMMU:
        return nested_on_viommu(cmd, (MdlViommu *)pt, dev, err);
    default:
        break;
    }
    *err = -EINVAL;
    return NULL;
}

int mdl_cmd_hwpt_alloc(MdlCmd *cmd)
{
    struct iommu_hwpt_alloc *arg = cmd->arg;
    MdlDevice *dev;
    MdlHwpt *hwpt;
    MdlObj *obj;
    int ret;

    mdl_cmd_note(cmd, "\"dev_id\":%u,\"pt_id\":%u,\"flags\":%u,"
                 "\"data_type\":%u", arg->dev_id, arg->pt_id, arg->flags,
                 arg->data_type);
    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    if ((arg->data_type == IOMMU_HWPT_DATA_NONE) != !arg->data_len) {
        return -EINVAL;
    }
    dev = (MdlDevice *)mdl_obj_get(cmd->ctx, arg->dev_id, MDL_OBJ_DEVICE);
    if (!dev) {
        return -ENOENT;
    }
    obj = mdl_obj_get(cmd->ctx, arg->pt_id, MDL_OBJ_NONE);
    if (!obj) {
        return -EINVAL;
    }
    hwpt = alloc_on(cmd, obj, dev, &ret);
    if (!hwpt) {
        return ret;
    }
    if (arg->flags & IOMMU_HWPT_FAULT_ID_VALID) {
        obj = mdl_obj_get(cmd->ctx, arg->fault_id, MDL_OBJ_FAULT);
        if (!obj) {
            mdl_obj_destroy(&hwpt->obj);
            return -ENOENT;
        }
        hwpt->fault = (MdlFaultQueue *)obj;
        obj->refs++;
    }
    arg->out_hwpt_id = hwpt->obj.id;
    mdl_cmd_note(cmd, "\"id\":%u", hwpt->obj.id);
    ret = mdl_cmd_respond(cmd);
    if (ret) {
        mdl_obj_destroy(&hwpt->obj);
    }
    return ret;
}

/* -------------------------------------------------------------- attaching */

static bool ecap(const MdlDevice *dev, unsigned bit)
{
    return dev->iommu->ecap >> bit & 1;
}

/* intel_pasid_setup_nested(): the stage-1 data meets a real IOMMU */
static int vtd_check_stage1(const MdlHwpt *hwpt, const MdlDevice *dev)
{
    switch (hwpt->s1.vtd.addr_width) {
    case 48:
        break;
    case 57:
        if (!(dev->iommu->cap >> 60 & 1)) {
            return -EINVAL;
        }
        break;
    default:
        return -EINVAL;
    }
    if (((hwpt->s1.vtd.flags & IOMMU_VTD_S1_SRE) && !ecap(dev, 31)) ||
        ((hwpt->s1.vtd.flags & IOMMU_VTD_S1_EAFE) && !ecap(dev, 34))) {
        return -EINVAL;
    }
    return 0;
}

static int vtd_check(const MdlHwpt *hwpt, const MdlDevice *dev,
                     uint32_t pasid, bool *late)
{
    int ret;

    if (pasid && !(ecap(dev, 43) && ecap(dev, 40))) {
        return -EOPNOTSUPP;
    }
    ret = mdl_host_compatible(hwpt, dev);
    if (!ret) {
        ret = mdl_host_domain_id(hwpt, dev, pasid);
    }
    if (!ret && hwpt->fault && !mdl_host_pri(dev)) {
        ret = -ENODEV;
    }
    if (!ret && hwpt->nested) {
        /* intel_pasid_setup_nested(), behind intel_pasid_tear_down_entry() */
        ret = vtd_check_stage1(hwpt, dev);
        *late = ret;
    }
    return ret;
}

static bool has_vdevice(const MdlHwpt *hwpt, const MdlDevice *dev)
{
    return dev->vdevice && dev->vdevice->viommu == hwpt->viommu;
}

/* arm_smmu_attach_dev(), ..._attach_dev_nested(), ..._s1_set_dev_pasid() */
static int smmu_check(const MdlHwpt *hwpt, const MdlDevice *dev,
                      uint32_t pasid)
{
    int ret = mdl_host_compatible(hwpt, dev);

    if (ret) {
        return ret;
    }
    if (pasid) {
        return hwpt->first_stage ? 0 : -EINVAL;
    }
    if (!hwpt->first_stage && dev->pasids) {
        return -EBUSY;
    }
    if (hwpt->nested && STE0_CFG(hwpt->s1.ste[0]) == STE_CFG_S1 &&
        !has_vdevice(hwpt, dev)) {
        return -ENOENT;
    }
    return 0;
}

int mdl_hwpt_check_attach(MdlHwpt *hwpt, MdlDevice *dev, uint32_t pasid,
                          bool *late)
{
    *late = false;
    switch (mdl_host.arch) {
    case MDL_ARCH_VTD:
        return vtd_check(hwpt, dev, pasid, late);
    case MDL_ARCH_SMMUV3:
        return smmu_check(hwpt, dev, pasid);
    default:
        return mdl_host_compatible(hwpt, dev);
    }
}

/* ------------------------------------------------------------ invalidation */

static const void *entry_at(const struct iommu_hwpt_invalidate *arg,
                            uint32_t i)
{
    return (char *)(uintptr_t)arg->data_uptr + (size_t)arg->entry_len * i;
}

/* One call per entry: what follows the first bad one is not done */
static int invalidate_vtd(MdlCmd *cmd, MdlHwpt *hwpt, uint32_t *done)
{
    const struct iommu_hwpt_invalidate *arg = cmd->arg;
    struct iommu_hwpt_vtd_s1_invalidate inv;
    uint32_t i;
    int ret;

    if (arg->data_type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
        return -EINVAL;
    }
    for (i = 0; i < arg->entry_num; i++) {
        if (cmd->limit >= 0 && i >= (uint32_t)cmd->limit) {
            return -cmd->limit_err;
        }
        if (arg->entry_len != sizeof(inv)) {
            return -EINVAL;
        }
        ret = mdl_copy_from(&inv, entry_at(arg, i), sizeof(inv));
        if (ret) {
            return ret;
        }
        if ((inv.flags & ~(uint32_t)IOMMU_VTD_INV_FLAGS_LEAF) ||
            inv.__reserved) {
            return -EOPNOTSUPP;
        }
        if ((inv.addr % MDL_PAGE_SIZE) ||
            (inv.npages == UINT64_MAX && inv.addr)) {
            return -EINVAL;
        }
        ret = hw_invalidate_vtd(hwpt, &inv);
        if (ret) {
            return ret;
        }
        ++*done;
    }
    return cmd->limit >= 0 ? -cmd->limit_err : 0;
}

static int copy_command(const struct iommu_hwpt_invalidate *arg, uint32_t i,
                        struct iommu_viommu_arm_smmuv3_invalidate *inv)
{
    return mdl_copy_struct(inv, sizeof(*inv), entry_at(arg, i),
                           arg->entry_len);
}

/*
 * Hands the commands from *@issued up to @end to the hardware.  When one is for
 * a device that does not answer, the CMD_SYNC behind them does not complete in
 * time, and nothing is known of any.  Here none has had its effect.
 */
static int issue_smmuv3(const struct iommu_hwpt_invalidate *arg,
                        MdlViommu *viommu, uint32_t *issued, uint32_t end)
{
    struct iommu_viommu_arm_smmuv3_invalidate inv;
    uint32_t i;
    int ret = 0;

    for (i = *issued; i < end; i++) {
        if (!copy_command(arg, i, &inv) && hw_hangs_smmuv3(viommu, &inv)) {
            return -ETIMEDOUT;
        }
    }
    while (!ret && *issued < end) {
        ret = copy_command(arg, *issued, &inv);
        if (!ret) {
            ret = hw_invalidate_smmuv3(viommu, &inv);
        }
        ++*issued;
    }
    return ret;
}

/*
 * arm_vsmmu_cache_invalidate(): commands are checked one by one and handed
 * over in batches.  When one is bad, those before it in its batch count as
 * done, yet have not been handed over.  When a batch is not done in time, all
 * of it but the last counts as done.
 */
static int invalidate_smmuv3(MdlCmd *cmd, MdlViommu *viommu, uint32_t *done)
{
    const struct iommu_hwpt_invalidate *arg = cmd->arg;
    struct iommu_viommu_arm_smmuv3_invalidate inv;
    uint32_t i, issued = 0, limit = arg->entry_num;
    int ret;

    if ((uint64_t)arg->entry_num * sizeof(inv) > mdl_host.max_kmalloc) {
        return -ENOMEM;
    }
    if (!arg->entry_num ||
        arg->data_type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3) {
        return -EINVAL;
    }
    /* All of the array must be readable before any of it has an effect */
    for (i = 0; i < arg->entry_num; i++) {
        ret = copy_command(arg, i, &inv);
        if (ret) {
            return ret;
        }
    }
    if (cmd->limit >= 0 && (uint32_t)cmd->limit < limit) {
        limit = cmd->limit;
    }
    hw_invalidate_synced(viommu);
    while (*done < limit) {
        ret = copy_command(arg, *done, &inv);
        if (!ret) {
            ret = hw_check_smmuv3(viommu, &inv);
        }
        if (ret) {
            return ret;
        }
        ++*done;
        if (*done == limit || *done - issued == SMMU_BATCH) {
            ret = issue_smmuv3(arg, viommu, &issued, *done);
            if (ret) {
                --*done;
                return ret;
            }
        }
    }
    return cmd->limit >= 0 ? -cmd->limit_err : 0;
}

static int invalidate(MdlCmd *cmd, uint32_t *done)
{
    const struct iommu_hwpt_invalidate *arg = cmd->arg;
    MdlObj *obj;

    if (arg->__reserved) {
        return -EOPNOTSUPP;
    }
    if (arg->entry_num &&
        (!arg->data_uptr || !arg->entry_len ||
         arg->entry_len > mdl_host.page_size ||
         arg->entry_num > INVALIDATE_MAX_ENTRIES)) {
        return -EINVAL;
    }
    obj = mdl_obj_get(cmd->ctx, arg->hwpt_id, MDL_OBJ_NONE);
    if (!obj) {
        return -ENOENT;
    }
    if (obj->type == MDL_OBJ_HWPT && ((MdlHwpt *)obj)->nested) {
        return mdl_host.arch == MDL_ARCH_VTD ?
               invalidate_vtd(cmd, (MdlHwpt *)obj, done) : -EOPNOTSUPP;
    }
    if (obj->type == MDL_OBJ_VIOMMU) {
        return mdl_host.arch == MDL_ARCH_SMMUV3 ?
               invalidate_smmuv3(cmd, (MdlViommu *)obj, done) : -EOPNOTSUPP;
    }
    return -EINVAL;
}

int mdl_cmd_hwpt_invalidate(MdlCmd *cmd)
{
    struct iommu_hwpt_invalidate *arg = cmd->arg;
    uint32_t done = 0;
    int ret;

    mdl_cmd_note(cmd, "\"id\":%u,\"data_type\":%u,\"entry_num\":%u",
                 arg->hwpt_id, arg->data_type, arg->entry_num);
    ret = invalidate(cmd, &done);
    /* Without memory for a copy of the array the number stays as it was */
    if (ret != -ENOMEM || cmd->limit >= 0) {
        arg->entry_num = done;
    }
    cmd->entries = done;
    mdl_cmd_note(cmd, "\"entries\":%u", done);
    return mdl_cmd_respond(cmd) ? -EFAULT : ret;
}

/* ---------------------------------------------------------- dirty tracking */

static MdlHwpt *get_paging(MdlCmd *cmd, uint32_t id)
{
    MdlHwpt *hwpt = (MdlHwpt *)mdl_obj_get(cmd->ctx, id, MDL_OBJ_HWPT);

    return hwpt && !hwpt->nested ? hwpt : NULL;
}

int mdl_cmd_hwpt_set_dirty(MdlCmd *cmd)
{
    struct iommu_hwpt_set_dirty_tracking *arg = cmd->arg;
    MdlHwpt *hwpt;
    unsigned i;

    mdl_cmd_note(cmd, "\"id\":%u,\"flags\":%u", arg->hwpt_id, arg->flags);
    if (arg->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE) {
        return -EOPNOTSUPP;
    }
    hwpt = get_paging(cmd, arg->hwpt_id);
    if (!hwpt) {
        return -ENOENT;
    }
    if (!hwpt->dirty_tracking) {
        return -EOPNOTSUPP;
    }
    if (arg->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE) {
        /* A clean start: what was dirty before is forgotten */
        for (i = 0; i < mdl_iova_areas(hwpt->ioas); i++) {
            const MdlArea *a = mdl_iova_area(hwpt->ioas, i);

            hw_dirty_read(hwpt, a->iova, a->length, MDL_PAGE_SIZE, true, NULL,
                          0);
        }
    }
    hwpt->dirty_enabled = arg->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
    return 0;
}

/* iommufd_check_iova_range() */
static int check_dirty_range(const struct iommu_hwpt_get_dirty_bitmap *arg,
                             uint64_t alignment)
{
    uint64_t last;

    if (!arg->length) {
        return -EINVAL;
    }
    if (__builtin_add_overflow(arg->iova, arg->length - 1, &last)) {
        return -EOVERFLOW;
    }
    if ((arg->iova & (alignment - 1)) || ((last + 1) & (alignment - 1)) ||
        !arg->page_size || (arg->iova & (arg->page_size - 1)) ||
        ((last + 1) & (arg->page_size - 1))) {
        return -EINVAL;
    }
    return 0;
}

/* Length of the mapped stretch that starts at @iova, at most @length */
static uint64_t mapped_stretch(MdlIoas *ioas, uint64_t iova, uint64_t length)
{
    const MdlArea *a;
    uint64_t n = 0;

    while (n < length && mdl_ioas_lookup(ioas, iova + n, &a)) {
        n = a->iova - iova + a->length;
    }
    return n < length ? n : length;
}

int mdl_cmd_hwpt_get_dirty(MdlCmd *cmd)
{
    struct iommu_hwpt_get_dirty_bitmap *arg = cmd->arg;
    uint64_t page_size, n, used;
    uint64_t *bitmap;
    MdlHwpt *hwpt;
    bool clear;
    int ret;

    mdl_cmd_note(cmd, "\"id\":%u,\"flags\":%u,\"iova\":%" PRIu64
                 ",\"length\":%" PRIu64 ",\"page_size\":%" PRIu64,
                 arg->hwpt_id, arg->flags, (uint64_t)arg->iova,
                 (uint64_t)arg->length, (uint64_t)arg->page_size);
    if ((arg->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
        arg->__reserved) {
        return -EOPNOTSUPP;
    }
    hwpt = get_paging(cmd, arg->hwpt_id);
    if (!hwpt) {
        return -ENOENT;
    }
    ret = check_dirty_range(arg, mdl_iova_alignment(hwpt->ioas));
    if (ret) {
        return ret;
    }
    if (!hwpt->dirty_tracking) {
        return -EOPNOTSUPP;
    }
    page_size = arg->page_size;
    clear = !(arg->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
    /* The kernel drops what a walk says of a hole: bits behind it stay */
    n = mapped_stretch(hwpt->ioas, arg->iova, arg->length);
    if (!n) {
        return 0;
    }
    /* iova_bitmap_set() goes on to the end of the bitmap's last page */
    used = arg->data + ((n + page_size - 1) / page_size + 7) / 8;
    used += -used & (mdl_host.page_size - 1);
    used -= arg->data;
    bitmap = calloc(1, used + 8);
    if (!bitmap) {
        return -ENOMEM;
    }
    /* iova_bitmap_set() has no error to return */
    hw_dirty_read(hwpt, arg->iova, n, page_size, clear, bitmap, used * 8);
    mdl_or_to((void *)(uintptr_t)arg->data, (uint8_t *)bitmap, used);
    free(bitmap);
    return 0;
}
