/*
 * virt machine: a device tree that tells the guest about nested SMMUs
 *
 * "ats-supported" is a property of the host bridge's node. The window for
 * interrupts is a node in /reserved-memory, which has "iommu-addresses" for
 * every endpoint that is to have it; these in turn need nodes, with
 * "memory-region". So there are nodes for the assigned devices, for slots that
 * one may be plugged into, and for the bridges that lead to them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "hw/arm/fdt.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "system/device_tree.h"
#include "virt-nested.h"

#define RESERVED_MEMORY     "/reserved-memory"

/* phys.hi of the PCI bus binding (IEEE Std 1275): memory of 32 or 64 bits */
#define PCI_PHYS_HI_MEM32   0x02000000
#define PCI_PHYS_HI_MEM64   0x03000000

/* Cells of an entry: PCI address and pin, interrupt controller, interrupt */
#define IRQ_MAP_CELLS       10

/* A range that is reserved for all endpoints behind any SMMU that has it */
typedef struct VirtNestedWindow {
    uint64_t base, size;
    uint32_t phandle;
    GArray *addresses;          /* iommu-addresses: big-endian cells */
} VirtNestedWindow;

/* A host bridge that is behind a nested SMMU */
typedef struct VirtNestedRoot {
    VirtMachineState *vms;
    void *fdt;
    SMMUv3State *smmu;
    VirtNestedWindow *window;
} VirtNestedRoot;

typedef struct VirtNestedSearch {
    PCIBus *root;
    SMMUv3State *found;
} VirtNestedSearch;

static int virt_nested_search(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    VirtNestedSearch *search = opaque;

    /* The machine's own SMMU has all root buses */
    if (s && (!s->smmu_state.smmu_per_bus ||
              s->smmu_state.primary_bus == search->root)) {
        search->found = s;
    }
    return search->found != NULL;
}

SMMUv3State *virt_nested_smmu(PCIBus *root)
{
    VirtNestedSearch search = { .root = root };

    if (!pci_bus_bypass_iommu(root)) {
        object_child_foreach_recursive(object_get_root(), virt_nested_search,
                                       &search);
    }
    return search.found;
}

static void virt_nested_fdt_cells(GArray *cells, const uint32_t *values,
                                  unsigned num)
{
    for (unsigned i = 0; i < num; i++) {
        uint32_t cell = cpu_to_be32(values[i]);

        g_array_append_val(cells, cell);
    }
}

static char *virt_nested_fdt_function(void *fdt, const char *parent,
                                      const char *name, PCIBus *bus, int devfn)
{
    /* Other buses are the guest's to number */
    int num = pci_bus_is_root(bus) ? pci_bus_num(bus) : 0;
    char *path = g_strdup_printf("%s/%s@%x,%x", parent, name, PCI_SLOT(devfn),
                                 PCI_FUNC(devfn));

    qemu_fdt_add_subnode(fdt, path);
    qemu_fdt_setprop_cells(fdt, path, "reg", num << 16 | devfn << 8, 0, 0, 0,
                           0);
    return path;
}

static void virt_nested_fdt_endpoint(VirtNestedRoot *root, const char *parent,
                                     PCIBus *bus, int devfn)
{
    /* Not "endpoint", which has a meaning in device trees (graph bindings) */
    g_autofree char *path = virt_nested_fdt_function(root->fdt, parent, "dev",
                                                     bus, devfn);
    VirtNestedWindow *window = root->window;
    uint32_t phandle = qemu_fdt_alloc_phandle(root->fdt);
    uint64_t last = window->base + window->size - 1;
    const uint32_t entry[] = {
        phandle,
        last > UINT32_MAX ? PCI_PHYS_HI_MEM64 : PCI_PHYS_HI_MEM32,
        window->base >> 32, window->base, window->size >> 32, window->size,
    };

    qemu_fdt_setprop_cell(root->fdt, path, "phandle", phandle);
    qemu_fdt_setprop_cell(root->fdt, path, "memory-region", window->phandle);
    virt_nested_fdt_cells(window->addresses, entry, ARRAY_SIZE(entry));
}

void virt_nested_fdt_irq_map(VirtMachineState *vms, const char *path,
                             unsigned swizzle)
{
    g_autoptr(GArray) map = g_array_new(false, false, sizeof(uint32_t));
    void *fdt = MACHINE(vms)->fdt;

    for (unsigned slot = 0; slot < PCI_NUM_PINS; slot++) {
        for (unsigned pin = 0; pin < PCI_NUM_PINS; pin++) {
            const uint32_t entry[IRQ_MAP_CELLS] = {
                PCI_DEVFN(slot, 0) << 8, 0, 0, pin + 1,
                vms->gic_phandle, 0, 0, GIC_FDT_IRQ_TYPE_SPI,
                vms->irqmap[VIRT_PCIE] + (pin + slot + swizzle) % PCI_NUM_PINS,
                GIC_FDT_IRQ_FLAGS_LEVEL_HI,
            };

            virt_nested_fdt_cells(map, entry, IRQ_MAP_CELLS);
        }
    }
    qemu_fdt_setprop_cell(fdt, path, "#interrupt-cells", 1);
    qemu_fdt_setprop(fdt, path, "interrupt-map", map->data,
                     map->len * sizeof(uint32_t));
    qemu_fdt_setprop_cells(fdt, path, "interrupt-map-mask",
                           PCI_DEVFN(PCI_NUM_PINS - 1, 0) << 8, 0, 0, 7);
}

/* The bus of a port whose only slot is empty, but does not have to stay so */
static bool virt_nested_fdt_empty_slot(PCIBus *bus)
{
    PCIDevice *port = pci_bridge_get_device(bus);

    if (!port || !pci_is_express_downstream_port(port) ||
        !qbus_is_hotpluggable(BUS(bus))) {
        return false;
    }
    for (int devfn = 0; devfn < ARRAY_SIZE(bus->devices); devfn++) {
        if (bus->devices[devfn]) {
            return false;
        }
    }
    return true;
}

static PCIBus *virt_nested_fdt_behind(PCIDevice *dev)
{
    return dev && IS_PCI_BRIDGE(dev) ? pci_bridge_get_sec_bus(PCI_BRIDGE(dev)) :
                                       NULL;
}

/* Whether there is, or may once be, an assigned device on @bus or behind it */
static bool virt_nested_fdt_wanted(SMMUv3State *smmu, PCIBus *bus)
{
    if (virt_nested_fdt_empty_slot(bus)) {
        return true;
    }
    for (int devfn = 0; devfn < ARRAY_SIZE(bus->devices); devfn++) {
        PCIBus *behind = virt_nested_fdt_behind(bus->devices[devfn]);

        if (smmuv3_nested_assigned(smmu, bus, devfn) ||
            (behind && virt_nested_fdt_wanted(smmu, behind))) {
            return true;
        }
    }
    return false;
}

static void virt_nested_fdt_bus(VirtNestedRoot *root, PCIBus *bus,
                                const char *path, unsigned swizzle)
{
    bool empty = virt_nested_fdt_empty_slot(bus);

    for (int devfn = 0; devfn < ARRAY_SIZE(bus->devices); devfn++) {
        PCIBus *behind = virt_nested_fdt_behind(bus->devices[devfn]);

        if (smmuv3_nested_assigned(root->smmu, bus, devfn) ||
            (empty && PCI_SLOT(devfn) == 0)) {
            virt_nested_fdt_endpoint(root, path, bus, devfn);
        } else if (behind && virt_nested_fdt_wanted(root->smmu, behind)) {
            g_autofree char *node = virt_nested_fdt_function(
                root->fdt, path, "pci", bus, devfn);
            unsigned next = swizzle + PCI_SLOT(devfn);

            qemu_fdt_setprop_string(root->fdt, node, "device_type", "pci");
            qemu_fdt_setprop_cell(root->fdt, node, "#address-cells", 3);
            qemu_fdt_setprop_cell(root->fdt, node, "#size-cells", 2);
            qemu_fdt_setprop(root->fdt, node, "ranges", NULL, 0);
            virt_nested_fdt_irq_map(root->vms, node, next);
            virt_nested_fdt_bus(root, behind, node, next);
        }
    }
}

static void virt_nested_fdt_window(void *fdt, const VirtNestedWindow *window)
{
    g_autofree char *path = g_strdup_printf(RESERVED_MEMORY "/msi@%" PRIx64,
                                            window->base);

    qemu_fdt_add_subnode(fdt, path);
    qemu_fdt_setprop_sized_cells(fdt, path, "reg", 2, window->base,
                                 2, window->size);
    qemu_fdt_setprop(fdt, path, "no-map", NULL, 0);
    qemu_fdt_setprop(fdt, path, "iommu-addresses", window->addresses->data,
                     window->addresses->len * sizeof(uint32_t));
    qemu_fdt_setprop_cell(fdt, path, "phandle", window->phandle);
}

static void virt_nested_fdt_windows(void *fdt, GPtrArray *windows)
{
    bool first = true;

    for (unsigned i = 0; i < windows->len; i++) {
        const VirtNestedWindow *window = g_ptr_array_index(windows, i);

        if (!window->addresses->len) {
            continue;
        }
        if (first) {
            qemu_fdt_add_subnode(fdt, RESERVED_MEMORY);
            qemu_fdt_setprop_cell(fdt, RESERVED_MEMORY, "#address-cells", 2);
            qemu_fdt_setprop_cell(fdt, RESERVED_MEMORY, "#size-cells", 2);
            qemu_fdt_setprop(fdt, RESERVED_MEMORY, "ranges", NULL, 0);
            first = false;
        }
        virt_nested_fdt_window(fdt, window);
    }
}

static void virt_nested_fdt_window_free(void *opaque)
{
    VirtNestedWindow *window = opaque;

    g_array_unref(window->addresses);
    g_free(window);
}

static VirtNestedWindow *virt_nested_fdt_find(void *fdt, GPtrArray *windows,
                                              const SMMUv3NestedFirmware *fw)
{
    VirtNestedWindow *window;

    for (unsigned i = 0; i < windows->len; i++) {
        window = g_ptr_array_index(windows, i);
        if (window->base == fw->msi_base && window->size == fw->msi_size) {
            return window;
        }
    }
    window = g_new(VirtNestedWindow, 1);
    window->base = fw->msi_base;
    window->size = fw->msi_size;
    window->phandle = qemu_fdt_alloc_phandle(fdt);
    window->addresses = g_array_new(false, false, sizeof(uint32_t));
    g_ptr_array_add(windows, window);
    return window;
}

static void virt_nested_fdt_root(VirtMachineState *vms, PCIBus *bus,
                                 const char *node, GPtrArray *windows)
{
    SMMUv3State *smmu = virt_nested_smmu(bus);
    void *fdt = MACHINE(vms)->fdt;
    SMMUv3NestedFirmware fw;

    if (!smmu) {
        return;
    }
    fw = smmuv3_nested_firmware(smmu);
    if (fw.ats) {
        qemu_fdt_setprop(fdt, node, "ats-supported", NULL, 0);
    }
    if (fw.msi_size) {
        VirtNestedRoot root = {
            .vms = vms,
            .fdt = fdt,
            .smmu = smmu,
            .window = virt_nested_fdt_find(fdt, windows, &fw),
        };

        virt_nested_fdt_bus(&root, bus, node, 0);
    }
}

/* An SMMU of a bus that the tree does not have */
static int virt_nested_fdt_missing(Object *obj, void *opaque)
{
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    GPtrArray *buses = opaque;

    if (s && strcmp(s->smmu_state.primary_bus->qbus.name, "pcie.0") &&
        !g_ptr_array_find(buses, s->smmu_state.primary_bus, NULL)) {
        warn_report("SMMUv3 device only supported with pcie.0 for DT");
    }
    return 0;
}

void virt_nested_fdt(VirtMachineState *vms)
{
    g_autoptr(GPtrArray) windows =
        g_ptr_array_new_with_free_func(virt_nested_fdt_window_free);
    g_autoptr(GPtrArray) buses = virt_nested_pxb_buses(vms);

    virt_nested_fdt_root(vms, vms->bus, vms->pciehb_nodename, windows);
    if (buses->len) {
        virt_nested_pxb_main(vms, buses);
    }
    for (unsigned i = 0; i < buses->len; i++) {
        g_autofree char *node = virt_nested_pxb_node(vms, buses, i);

        virt_nested_fdt_root(vms, g_ptr_array_index(buses, i), node, windows);
    }
    virt_nested_fdt_windows(MACHINE(vms)->fdt, windows);
    virt_cmdqv_fdt(vms);
    if (!vms->bootinfo.firmware_loaded || !virt_is_acpi_enabled(vms)) {
        object_child_foreach_recursive(object_get_root(),
                                       virt_nested_fdt_missing, buses);
    }
}
