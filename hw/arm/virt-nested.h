/*
 * virt machine: tables that tell the guest about nested SMMUs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_VIRT_NESTED_H
#define HW_ARM_VIRT_NESTED_H

#include "hw/acpi/aml-build.h"
#include "hw/arm/virt.h"
#include "smmuv3-nested-fw.h"

/* The SMMU, nested or not, that a root bus is behind; NULL: none */
SMMUv3State *virt_nested_smmu(PCIBus *root);

/* --------------------------------------------------------------- IORT, DSDT */

/* ATS attribute of the root complex: is it on for one of the SMMUs? */
uint32_t virt_nested_iort_ats(void);

/* Revision of an IORT that has @revision, unless there are RMR nodes in it */
int virt_nested_iort_revision(int revision);

/**
 * virt_nested_iort_rmr() - append an RMR node for the window for interrupts
 * @table: ends with the IORT, whose other nodes are complete
 * @iort: where the IORT starts in it
 * @fw: of the SMMU; without a window there is nothing to append
 * @first_rid: of the root bus; StreamIDs are the same
 * @num_rids: how many follow each other from there on
 * @smmu: where the SMMU's node is, in bytes from the start of the IORT
 */
void virt_nested_iort_rmr(GArray *table, unsigned iort,
                          const SMMUv3NestedFirmware *fw, uint32_t first_rid,
                          uint32_t num_rids, uint32_t smmu);

/*
 * Whether _DSM has to ask that the guest leave numbers of buses and addresses
 * of the host bridge as firmware set them: Linux heeds RMR nodes, which have
 * StreamIDs in them, only then.
 */
bool virt_nested_preserve_config(PCIBus *root);

/* ------------------------------------------------------------- device tree */

/**
 * virt_nested_fdt() - tell of nested SMMUs in the device tree
 * @vms: the machine; all of its devices are there, the tree is complete
 *       otherwise and not yet in guest memory
 */
void virt_nested_fdt(VirtMachineState *vms);

/**
 * virt_nested_fdt_irq_map() - the map of interrupts of a bridge's node
 * @path: the node
 * @swizzle: what the slots on the way from the root bus to the bridge's
 *           secondary bus, the bridge's own among them, add up to
 *
 * A bridge that has a node needs it: guests end their search for an interrupt
 * there, and do not swizzle the pin any further.
 */
void virt_nested_fdt_irq_map(VirtMachineState *vms, const char *path,
                             unsigned swizzle);

/**
 * virt_nested_fdt_smmu() - a node for an SMMU (in virt.c)
 * @base: guest physical address of its registers
 * @irq: the first of its SPIs
 *
 * Return: its phandle
 */
uint32_t virt_nested_fdt_smmu(VirtMachineState *vms, hwaddr base, int irq);

/**
 * virt_nested_pxb_buses() - expander bridges that are to be in the tree
 *
 * Return: root buses of type PCIBus, by number; none if there is a firmware,
 * or no SMMU with nesting on one of them. Freed by the caller.
 */
GPtrArray *virt_nested_pxb_buses(VirtMachineState *vms);

/**
 * virt_nested_pxb_node() - a node for a host bridge
 * @index: of its bus in @buses
 *
 * Return: its path, freed by the caller
 */
char *virt_nested_pxb_node(VirtMachineState *vms, GPtrArray *buses,
                           unsigned index);

/* Leave of the machine's own host bridge what others do not have */
void virt_nested_pxb_main(VirtMachineState *vms, GPtrArray *buses);

/* -------------------------------------- user-msi (virt-nested-memmap.c) */

/* user-msi=on: move what the memory map has to have elsewhere */
void virt_nested_memmap(VirtMachineState *vms);

/* The same for the doorbell that virtio-iommu is told of */
void virt_nested_doorbell(VirtMachineState *vms, hwaddr *first, hwaddr *last);

/* Properties of the machine */
void virt_nested_properties(ObjectClass *oc);

/* -------------------------------------------- host-cmdqv (virt-cmdqv.c) */

typedef struct VirtCMDQV {
    hwaddr smmu;                /* registers of its SMMU */
    hwaddr base, size;
    int spi;
} VirtCMDQV;

/* The machine's own SMMU: map its CMDQV, if it has one */
void virt_cmdqv_create(const VirtMachineState *vms, SMMUv3State *s);

/* Where the CMDQV of an SMMU is. Returns: whether there is one */
bool virt_cmdqv_where(VirtMachineState *vms, SMMUv3State *s,
                      VirtCMDQV *where);

/* Nodes for those whose SMMUs are in the device tree */
void virt_cmdqv_fdt(VirtMachineState *vms);

/* Devices for all of them; in virt-nested-acpi.c */
void virt_cmdqv_dsdt(Aml *scope, VirtMachineState *vms);

#endif
