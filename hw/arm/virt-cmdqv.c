/*
 * virt machine: where the Tegra241 CMDQV of an emulated host is, and what the
 * device tree says of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "hw/arm/fdt.h"
#include "hw/platform-bus.h"
#include "system/device_tree.h"
#include "smmuv3-host.h"
#include "virt-nested.h"

/* Of the machine's own SMMU: free in the maps of virt.c, behind virtio-mmio */
#define CMDQV_BASE          0x0b000000
#define CMDQV_SPI           10

void virt_cmdqv_create(const VirtMachineState *vms, SMMUv3State *s)
{
    SysBusDevice *sbdev = SYS_BUS_DEVICE(s);

    if (s->host.cmdqv) {
        sysbus_mmio_map(sbdev, TEGRA241_CMDQV_HOST_MMIO, CMDQV_BASE);
        sysbus_connect_irq(sbdev, TEGRA241_CMDQV_HOST_IRQ,
                           qdev_get_gpio_in(vms->gic, CMDQV_SPI));
    }
}

bool virt_cmdqv_where(VirtMachineState *vms, SMMUv3State *s,
                      VirtCMDQV *where)
{
    SysBusDevice *sbdev = SYS_BUS_DEVICE(s);
    PlatformBusDevice *pbus;
    hwaddr bus;

    /* Then it is known what became of cmdqv=auto */
    smmuv3_nested_firmware(s);
    if (!s->host.cmdqv) {
        return false;
    }
    where->size = memory_region_size(
        sysbus_mmio_get_region(sbdev, TEGRA241_CMDQV_HOST_MMIO));
    if (!s->smmu_state.smmu_per_bus) {
        where->smmu = vms->memmap[VIRT_SMMU].base;
        where->base = CMDQV_BASE;
        where->spi = CMDQV_SPI;
        return true;
    }
    pbus = PLATFORM_BUS_DEVICE(vms->platform_bus_dev);
    bus = vms->memmap[VIRT_PLATFORM_BUS].base;
    where->smmu = bus + platform_bus_get_mmio_addr(pbus, sbdev, 0);
    where->base = bus + platform_bus_get_mmio_addr(pbus, sbdev,
                                                   TEGRA241_CMDQV_HOST_MMIO);
    where->spi = vms->irqmap[VIRT_PLATFORM_BUS] +
                 platform_bus_get_irqn(pbus, sbdev, TEGRA241_CMDQV_HOST_IRQ);
    return true;
}

static int virt_cmdqv_fdt_one(Object *obj, void *opaque)
{
    static const char smmu_compat[] = "nvidia,tegra264-smmu\0arm,smmu-v3";
    SMMUv3State *s = (SMMUv3State *)object_dynamic_cast(obj, TYPE_ARM_SMMUV3);
    VirtMachineState *vms = opaque;
    void *fdt = MACHINE(vms)->fdt;
    g_autofree char *smmu = NULL;
    g_autofree char *node = NULL;
    uint32_t phandle;
    VirtCMDQV where;

    if (!s || !virt_cmdqv_where(vms, s, &where)) {
        return 0;
    }
    smmu = g_strdup_printf("/smmuv3@%" PRIx64, where.smmu);
    if (fdt_path_offset(fdt, smmu) < 0) {
        return 0;
    }
    phandle = qemu_fdt_alloc_phandle(fdt);
    node = g_strdup_printf("/cmdqv@%" PRIx64, where.base);
    qemu_fdt_add_subnode(fdt, node);
    qemu_fdt_setprop_string(fdt, node, "compatible", "nvidia,tegra264-cmdqv");
    qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, where.base,
                                 2, where.size);
    qemu_fdt_setprop_cells(fdt, node, "interrupts", GIC_FDT_IRQ_TYPE_SPI,
                           where.spi, GIC_FDT_IRQ_FLAGS_EDGE_LO_HI);
    qemu_fdt_setprop_cell(fdt, node, "phandle", phandle);
    qemu_fdt_setprop(fdt, smmu, "compatible", smmu_compat,
                     sizeof(smmu_compat));
    qemu_fdt_setprop_cell(fdt, smmu, "nvidia,cmdqv", phandle);
    return 0;
}

void virt_cmdqv_fdt(VirtMachineState *vms)
{
    object_child_foreach_recursive(object_get_root(), virt_cmdqv_fdt_one, vms);
}
