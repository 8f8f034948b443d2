/*
 * virt machine: ACPI tables that tell the guest about nested SMMUs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/acpi/aml-build.h"
#include "hw/intc/arm_gic_common.h"
#include "hw/pci/pci_bus.h"
#include "virt-nested.h"

/* The first revision of the IORT that has RMR nodes (DEN 0049E.d) */
#define IORT_RMR_REVISION   5

/* Where the header of the IORT has the number of nodes */
#define IORT_NODES          36

/* Root complex: ATS is supported (DEN 0049, ATS Attribute) */
#define RC_ATS              1

/* DEN 0049E.d, Reserved Memory Range node, and what it consists of */
#define RMR_TYPE            6
#define RMR_REVISION        3
#define RMR_NODE_SIZE       28
#define RMR_MAPPING_SIZE    20
#define RMR_RANGE_SIZE      20

/*
 * Its flags: the guest may map something else there (a driver in user space
 * that has the device to itself has other ideas of the address space); the
 * attributes are those of a doorbell, Device-nGnRE.
 */
#define RMR_FLAG_REMAP      (1 << 0)
#define RMR_ATTR_SHIFT      2
#define RMR_ATTR_NGNRE      1

static int virt_nested_has_window(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);

    return s && smmuv3_nested_firmware(s).msi_size;
}

int virt_nested_iort_revision(int revision)
{
    return object_child_foreach_recursive(object_get_root(),
                                          virt_nested_has_window, NULL) ?
           IORT_RMR_REVISION : revision;
}

static int virt_nested_has_ats(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);

    return s && smmuv3_nested_firmware(s).ats;
}

uint32_t virt_nested_iort_ats(void)
{
    return object_child_foreach_recursive(object_get_root(),
                                          virt_nested_has_ats, NULL) ?
           RC_ATS : 0;
}

void virt_nested_iort_rmr(GArray *table, unsigned iort,
                          const SMMUv3NestedFirmware *fw, uint32_t first_rid,
                          uint32_t num_rids, uint32_t smmu)
{
    void *nodes = table->data + iort + IORT_NODES;
    uint32_t id = ldl_le_p(nodes);

    if (!fw->msi_size) {
        return;
    }
    stl_le_p(nodes, id + 1);
    build_append_int_noprefix(table, RMR_TYPE, 1);
    build_append_int_noprefix(table, RMR_NODE_SIZE + RMR_MAPPING_SIZE +
                              RMR_RANGE_SIZE, 2);
    build_append_int_noprefix(table, RMR_REVISION, 1);
    build_append_int_noprefix(table, id, 4);
    build_append_int_noprefix(table, 1, 4); /* Number of ID mappings */
    build_append_int_noprefix(table, RMR_NODE_SIZE, 4); /* Where they are */
    build_append_int_noprefix(table, RMR_FLAG_REMAP |
                              RMR_ATTR_NGNRE << RMR_ATTR_SHIFT, 4);
    build_append_int_noprefix(table, 1, 4); /* Number of memory ranges */
    build_append_int_noprefix(table, RMR_NODE_SIZE + RMR_MAPPING_SIZE, 4);

    /* ID mapping */
    build_append_int_noprefix(table, first_rid, 4); /* Input base */
    build_append_int_noprefix(table, num_rids - 1, 4);
    build_append_int_noprefix(table, first_rid, 4); /* Output base */
    build_append_int_noprefix(table, smmu, 4);
    build_append_int_noprefix(table, 0, 4); /* Flags */

    /* Memory range */
    build_append_int_noprefix(table, fw->msi_base, 8);
    build_append_int_noprefix(table, fw->msi_size, 8);
    build_append_int_noprefix(table, 0, 4); /* Reserved */
}

bool virt_nested_preserve_config(PCIBus *root)
{
    SMMUv3State *s = virt_nested_smmu(root);

    return s && smmuv3_nested_firmware(s).msi_size;
}

typedef struct VirtCMDQVDsdt {
    Aml *scope;
    VirtMachineState *vms;
    SMMUv3State *s;
    unsigned before;
} VirtCMDQVDsdt;

/* SMMUs whose nodes are before that of d->s in the IORT */
static int virt_cmdqv_count(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    VirtCMDQVDsdt *d = opaque;

    if (s && pci_bus_num(s->smmu_state.primary_bus) <
             pci_bus_num(d->s->smmu_state.primary_bus)) {
        d->before++;
    }
    return 0;
}

static int virt_cmdqv_dsdt_one(Object *obj, void *opaque)
{
    VirtCMDQVDsdt *d = opaque;
    VirtCMDQV where;
    Aml *dev, *crs;
    uint32_t gsi;

    d->s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    if (!d->s || !virt_cmdqv_where(d->vms, d->s, &where)) {
        return 0;
    }
    d->before = 0;
    object_child_foreach_recursive(object_get_root(), virt_cmdqv_count, d);
    gsi = where.spi + GIC_INTERNAL;
    dev = aml_device("CMD%X", d->before);
    aml_append(dev, aml_name_decl("_HID", aml_string("NVDA200C")));
    /* Identifier of the SMMU's node; the ITS group's is before all of them */
    aml_append(dev, aml_name_decl("_UID", aml_int(d->before +
                                                  !!d->vms->its)));
    crs = aml_resource_template();
    aml_append(crs, aml_memory32_fixed(where.base, where.size,
                                       AML_READ_WRITE));
    aml_append(crs, aml_interrupt(AML_CONSUMER, AML_EDGE, AML_ACTIVE_HIGH,
                                  AML_EXCLUSIVE, &gsi, 1));
    aml_append(dev, aml_name_decl("_CRS", crs));
    aml_append(d->scope, dev);
    return 0;
}

void virt_cmdqv_dsdt(Aml *scope, VirtMachineState *vms)
{
    VirtCMDQVDsdt d = { .scope = scope, .vms = vms };

    object_child_foreach_recursive(object_get_root(), virt_cmdqv_dsdt_one, &d);
}
