/*
 * SMMUv3 without nested translation: there is no core, or no iommufd
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/vmstate.h"
#include "smmuv3-nested.h"
#include "smmuv3-nested-fw.h"

void smmuv3_nested_instance_init(Object *obj)
{
}

bool smmuv3_nested_realize(SMMUv3State *s, Error **errp)
{
    if (s->nested_props.mode == ON_OFF_AUTO_ON) {
        error_setg(errp, "nested=on needs a QEMU with iommufd");
        return false;
    }
    return true;
}

void smmuv3_nested_reset(SMMUv3State *s)
{
}

int smmuv3_nested_pre_save(void *opaque)
{
    return 0;
}

int smmuv3_nested_post_load(void *opaque, int version_id)
{
    return 0;
}

static bool smmuv3_nested_needed(void *opaque)
{
    return false;
}

static int smmuv3_nested_refuse(void *opaque, int version_id)
{
    return -EINVAL;
}

const VMStateDescription vmstate_smmuv3_nested = {
    .name = "smmuv3/nested",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_nested_needed,
    .post_load = smmuv3_nested_refuse,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_ARRAY(nested_props.saved_idr, SMMUv3State, 6),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vmstate_smmuv3_nested_window = {
    .name = "smmuv3/msi-window",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = smmuv3_nested_needed,
    .post_load = smmuv3_nested_refuse,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64_ARRAY(nested_props.saved_window, SMMUv3State, 2),
        VMSTATE_END_OF_LIST()
    }
};

bool smmuv3_nested_get_nesting(PCIBus *bus, void *opaque, int devfn,
                               const char *name,
                               const struct IOMMUFDNestedHostInfo *info,
                               struct IOMMUFDNestedParent *parent,
                               Error **errp)
{
    return true;
}

bool smmuv3_nested_set_iommu_device(PCIBus *bus, void *opaque, int devfn,
                                    HostIOMMUDevice *hiod, Error **errp)
{
    return true;
}

void smmuv3_nested_unset_iommu_device(PCIBus *bus, void *opaque, int devfn)
{
}

bool smmuv3_nested_get_features(PCIBus *bus, void *opaque, int devfn,
                                PCINestedFeatures *features)
{
    return false;
}

void smmuv3_nested_changed(PCIBus *bus, void *opaque, int devfn)
{
}

void smmuv3_nested_enable_changed(SMMUv3State *s)
{
}

SMMUCmdError smmuv3_nested_command(SMMUv3State *s, SMMUQueue *q,
                                   const Cmd *cmd)
{
    return SMMU_CERROR_NONE;
}

SMMUCmdError smmuv3_nested_flush(SMMUv3State *s, SMMUQueue *q,
                                 SMMUCmdError error)
{
    return error;
}

bool smmuv3_nested_cd(const STE *ste, dma_addr_t *addr)
{
    *addr = STE_CTXPTR(ste);
    return true;
}

bool smmuv3_nested_substreams(SMMUv3State *s, const STE *ste,
                              SMMUTransCfg *cfg)
{
    return false;
}

void smmuv3_nested_resume(SMMUv3State *s)
{
}

void smmuv3_nested_cmdqv_init(SMMUv3State *s)
{
}

void smmuv3_nested_cmdqv_changed(SMMUv3State *s)
{
}

void smmuv3_nested_cmdqv_translate(SMMUv3State *s)
{
}

SMMUv3NestedFirmware smmuv3_nested_firmware(SMMUv3State *s)
{
    return (SMMUv3NestedFirmware) { .ats = s->host.ats };
}

bool smmuv3_nested_assigned(SMMUv3State *s, PCIBus *bus, int devfn)
{
    return false;
}
