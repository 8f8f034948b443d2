/*
 * VT-d without the nested core (no iommufd)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "migration/vmstate.h"
#include "intel_iommu_nested.h"

void vtd_nested_post_init(Object *obj)
{
}

bool vtd_nested_realize(IntelIOMMUState *s, Error **errp)
{
    if (s->nested_mode == ON_OFF_AUTO_OFF && !s->smpwc && !s->svm &&
        !s->pasid_bits && !s->levels.fs5lp && s->levels.sslps &&
        s->levels.ss_aw_bits == VTD_HOST_AW_48BIT) {
        return true;
    }
    error_setg(errp, "nested translation needs a QEMU with iommufd");
    return false;
}

bool vtd_nested_active(IntelIOMMUState *s)
{
    return false;
}

bool vtd_nested_ptlb(IntelIOMMUState *s)
{
    return false;
}

bool vtd_nested_announces(IntelIOMMUState *s)
{
    return s->caching_mode;
}

int vtd_nested_announced(VTDAddressSpace *vtd_as, int ret)
{
    return ret;
}

void vtd_nested_cap_init(IntelIOMMUState *s)
{
}

bool vtd_nested_is_width(IntelIOMMUState *s)
{
    return s->aw_bits == VTD_HOST_AW_48BIT;
}

uint8_t vtd_nested_ss_width(const IntelIOMMUState *s)
{
    return s->aw_bits;
}

void vtd_nested_rsvd_init(IntelIOMMUState *s, uint64_t *ss,
                          uint64_t *ss_large, uint64_t *fs,
                          uint64_t *fs_large)
{
}

void vtd_nested_reset(IntelIOMMUState *s)
{
}

int vtd_nested_pre_save(void *opaque)
{
    return 0;
}

int vtd_nested_post_load(IntelIOMMUState *s)
{
    return 0;
}

bool vtd_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                            const char *name,
                            const struct IOMMUFDNestedHostInfo *info,
                            struct IOMMUFDNestedParent *parent, Error **errp)
{
    return true;
}

bool vtd_nested_set_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 HostIOMMUDevice *hiod, bool *handled,
                                 Error **errp)
{
    *handled = false;
    return true;
}

bool vtd_nested_unset_iommu_device(IntelIOMMUState *s, PCIBus *bus, int devfn)
{
    return false;
}

bool vtd_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                             PCINestedFeatures *features)
{
    return false;
}

void vtd_nested_changed(PCIBus *bus, void *opaque, int devfn)
{
}

void vtd_nested_root_changed(IntelIOMMUState *s, uint32_t gsts)
{
}

void vtd_nested_ccmd(IntelIOMMUState *s, uint64_t ccmd)
{
}

void vtd_nested_iotlb_reg(IntelIOMMUState *s, uint64_t iotlb)
{
}

bool vtd_nested_inv_before(IntelIOMMUState *s, VTDInvDesc *desc,
                           uint8_t *type)
{
    return true;
}

bool vtd_nested_inv_put_off(IntelIOMMUState *s)
{
    return false;
}

bool vtd_nested_inv_after(IntelIOMMUState *s, const VTDInvDesc *desc,
                          uint8_t type)
{
    return true;
}

bool vtd_nested_inv_flush(IntelIOMMUState *s)
{
    return true;
}

bool vtd_nested_inv_resume(IntelIOMMUState *s)
{
    return false;
}

static bool vtd_nested_needed(void *opaque)
{
    return false;
}

static int vtd_nested_state_post_load(void *opaque, int version_id)
{
    error_report("intel-iommu: the guest comes from nested=on, which is not "
                 "built in here");
    return -EINVAL;
}

const VMStateDescription vmstate_vtd_nested = {
    .name = "iommu-intel/nested",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vtd_nested_needed,
    .post_load = vtd_nested_state_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_END_OF_LIST()
    }
};
