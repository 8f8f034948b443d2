/*
 * virt machine: expander bridges in the device tree
 *
 * A guest that starts without firmware finds a pxb-pcie bus only by a host
 * bridge in the device tree, with a share of ECAM, of the memory and I/O
 * windows, and with the SMMU that the bus is behind. With firmware it is told
 * by ACPI; some firmware takes the first host bridge of the tree for the only
 * one, so there is just that one then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "hw/arm/fdt.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_host.h"
#include "hw/platform-bus.h"
#include "system/device_tree.h"
#include "virt-nested.h"

/* What a host bridge has of the machine's windows, and its buses */
typedef struct VirtNestedShare {
    MemMapEntry ecam, pio, mmio, mmio_high;
    unsigned first_bus, last_bus;
} VirtNestedShare;

static gint virt_nested_pxb_compare(gconstpointer a, gconstpointer b)
{
    return pci_bus_num(*(PCIBus **)a) - pci_bus_num(*(PCIBus **)b);
}

static unsigned virt_nested_pxb_num_buses(VirtMachineState *vms)
{
    return vms->memmap[VIRT_ECAM_ID(vms->highmem_ecam)].size /
           PCIE_MMCFG_SIZE_MIN;
}

GPtrArray *virt_nested_pxb_buses(VirtMachineState *vms)
{
    GPtrArray *buses = g_ptr_array_new();
    bool wanted = false;
    PCIBus *bus;

    QLIST_FOREACH(bus, &vms->bus->child, sibling) {
        SMMUv3State *smmu = virt_nested_smmu(bus);

        if (!pci_bus_is_root(bus) || pci_bus_is_cxl(bus) ||
            !pci_bus_is_express(bus) ||
            pci_bus_num(bus) >= virt_nested_pxb_num_buses(vms)) {
            continue;
        }
        wanted |= smmu && smmu->nested_props.mode != ON_OFF_AUTO_OFF;
        g_ptr_array_add(buses, bus);
    }
    if (!wanted || vms->bootinfo.firmware_loaded) {
        g_ptr_array_set_size(buses, 0);
    }
    g_ptr_array_sort(buses, virt_nested_pxb_compare);
    return buses;
}

/*
 * Equal parts for @num host bridges, each aligned to its size. Number 0, the
 * machine's own, has the start of the window and what is too little for one.
 */
static MemMapEntry virt_nested_pxb_part(const MemMapEntry *all, unsigned num,
                                        unsigned index)
{
    hwaddr size = pow2floor(all->size / num);
    hwaddr end = ROUND_DOWN(all->base + all->size, size);

    if (index) {
        return (MemMapEntry) { end - (num - index) * size, size };
    }
    end -= (num - 1) * size;
    return (MemMapEntry) { all->base, end - all->base };
}

static VirtNestedShare virt_nested_pxb_share(VirtMachineState *vms,
                                             GPtrArray *buses, unsigned index)
{
    unsigned num = buses->len + 1;
    VirtNestedShare share = {
        .pio = virt_nested_pxb_part(&vms->memmap[VIRT_PCIE_PIO], num, index),
        .mmio = virt_nested_pxb_part(&vms->memmap[VIRT_PCIE_MMIO], num, index),
        .last_bus = virt_nested_pxb_num_buses(vms) - 1,
    };

    if (vms->highmem_mmio) {
        share.mmio_high = virt_nested_pxb_part(
            &vms->memmap[VIRT_HIGH_PCIE_MMIO], num, index);
    }
    if (index) {
        share.first_bus = pci_bus_num(g_ptr_array_index(buses, index - 1));
    }
    if (index < buses->len) {
        share.last_bus = pci_bus_num(g_ptr_array_index(buses, index)) - 1;
    }
    share.ecam.base = vms->memmap[VIRT_ECAM_ID(vms->highmem_ecam)].base +
                      share.first_bus * PCIE_MMCFG_SIZE_MIN;
    share.ecam.size = (share.last_bus - share.first_bus + 1) *
                      PCIE_MMCFG_SIZE_MIN;
    return share;
}

/* What a share decides of a host bridge's node */
static void virt_nested_pxb_set_share(VirtMachineState *vms, const char *node,
                                      const VirtNestedShare *share)
{
    uint64_t pio = share->pio.base - vms->memmap[VIRT_PCIE_PIO].base;
    void *fdt = MACHINE(vms)->fdt;

    qemu_fdt_setprop_cells(fdt, node, "bus-range", share->first_bus,
                           share->last_bus);
    qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, share->ecam.base,
                                 2, share->ecam.size);
    if (share->mmio_high.size) {
        qemu_fdt_setprop_sized_cells(fdt, node, "ranges",
            1, FDT_PCI_RANGE_IOPORT, 2, pio, 2, share->pio.base,
            2, share->pio.size,
            1, FDT_PCI_RANGE_MMIO, 2, share->mmio.base, 2, share->mmio.base,
            2, share->mmio.size,
            1, FDT_PCI_RANGE_MMIO_64BIT, 2, share->mmio_high.base,
            2, share->mmio_high.base, 2, share->mmio_high.size);
    } else {
        qemu_fdt_setprop_sized_cells(fdt, node, "ranges",
            1, FDT_PCI_RANGE_IOPORT, 2, pio, 2, share->pio.base,
            2, share->pio.size,
            1, FDT_PCI_RANGE_MMIO, 2, share->mmio.base, 2, share->mmio.base,
            2, share->mmio.size);
    }
}

/* The SMMU that has just this bus; the machine's own has a node */
static uint32_t virt_nested_pxb_smmu(VirtMachineState *vms, PCIBus *bus)
{
    SMMUv3State *smmu = virt_nested_smmu(bus);
    PlatformBusDevice *pbus = PLATFORM_BUS_DEVICE(vms->platform_bus_dev);
    SysBusDevice *sbdev = SYS_BUS_DEVICE(smmu);

    if (!smmu || !smmu->smmu_state.smmu_per_bus) {
        return smmu ? vms->iommu_phandle : 0;
    }
    return virt_nested_fdt_smmu(vms,
        platform_bus_get_mmio_addr(pbus, sbdev, 0) +
        vms->memmap[VIRT_PLATFORM_BUS].base,
        platform_bus_get_irqn(pbus, sbdev, 0) +
        vms->irqmap[VIRT_PLATFORM_BUS]);
}

char *virt_nested_pxb_node(VirtMachineState *vms, GPtrArray *buses,
                           unsigned index)
{
    VirtNestedShare share = virt_nested_pxb_share(vms, buses, index + 1);
    PCIBus *bus = g_ptr_array_index(buses, index);
    uint32_t rid = share.first_bus << 8;
    uint32_t rids = (share.last_bus - share.first_bus + 1) << 8;
    uint32_t smmu = virt_nested_pxb_smmu(vms, bus);
    void *fdt = MACHINE(vms)->fdt;
    char *node = g_strdup_printf("/pcie@%" HWADDR_PRIx, share.ecam.base);

    qemu_fdt_add_subnode(fdt, node);
    qemu_fdt_setprop_string(fdt, node, "compatible", "pci-host-ecam-generic");
    qemu_fdt_setprop_string(fdt, node, "device_type", "pci");
    qemu_fdt_setprop_cell(fdt, node, "#address-cells", 3);
    qemu_fdt_setprop_cell(fdt, node, "#size-cells", 2);
    /* No two host bridges may have the same; 0 is the machine's own */
    qemu_fdt_setprop_cell(fdt, node, "linux,pci-domain", index + 1);
    qemu_fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
    virt_nested_pxb_set_share(vms, node, &share);
    virt_nested_fdt_irq_map(vms, node, 0);
    if (pci_bus_numa_node(bus) != NUMA_NODE_UNASSIGNED) {
        qemu_fdt_setprop_cell(fdt, node, "numa-node-id",
                              pci_bus_numa_node(bus));
    }
    if (vms->msi_phandle) {
        qemu_fdt_setprop_cells(fdt, node, "msi-map", rid, vms->msi_phandle,
                               rid, rids);
    }
    if (smmu) {
        qemu_fdt_setprop_cells(fdt, node, "iommu-map", rid, smmu, rid, rids);
    }
    return node;
}

void virt_nested_pxb_main(VirtMachineState *vms, GPtrArray *buses)
{
    VirtNestedShare share = virt_nested_pxb_share(vms, buses, 0);

    virt_nested_pxb_set_share(vms, vms->pciehb_nodename, &share);
}
