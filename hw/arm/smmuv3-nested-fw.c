/*
 * SMMUv3 nested translation: what the tables for firmware and guest say of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "smmuv3-nested-fw.h"
#include "smmuv3-nested-internal.h"

SMMUv3NestedFirmware smmuv3_nested_firmware(SMMUv3State *s)
{
    SMMUv3Nested *n = s->nested;
    SMMUv3NestedFirmware fw = { .ats = s->host.ats };

    if (!n) {
        return fw;
    }
    smmuv3_nested_caps_freeze(n);
    if (n->active) {
        fw.ats = n->feature[SMMUV3_NESTED_ATS];
        if (!range_is_empty(&n->window)) {
            fw.msi_base = range_lob(&n->window);
            fw.msi_size = range_size(&n->window);
        }
    }
    return fw;
}

bool smmuv3_nested_assigned(SMMUv3State *s, PCIBus *bus, int devfn)
{
    return smmuv3_nested_device(s->nested, bus, devfn);
}

typedef struct SMMUv3NestedSearch {
    PCIBus *root;
    SMMUv3State *found;
} SMMUv3NestedSearch;

static int smmuv3_nested_search(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    SMMUv3NestedSearch *search = opaque;

    /* The machine's own SMMU has all root buses */
    if (s && (!s->smmu_state.smmu_per_bus ||
              s->smmu_state.primary_bus == search->root)) {
        search->found = s;
    }
    return search->found != NULL;
}

SMMUv3State *smmuv3_nested_of_root(PCIBus *root)
{
    SMMUv3NestedSearch search = { .root = root };

    if (!pci_bus_bypass_iommu(root)) {
        object_child_foreach_recursive(object_get_root(), smmuv3_nested_search,
                                       &search);
    }
    return search.found;
}
