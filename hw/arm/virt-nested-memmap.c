/*
 * virt machine: the doorbell where devices of the host write their interrupts
 *
 * The host's kernel has an assigned device write to the first page of its
 * window, and maps the host's doorbell there in stage 2. What a guest's VFIO
 * maps there in stage 1 is the doorbell of the guest. With user-msi=on that has
 * the same address, so the write goes on to where stage 2 has the host's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "virt-nested.h"

/* GITS_TRANSLATER is in the second frame of an ITS */
#define ITS_DOORBELL        0x10000

/*
 * The window starts where the distributor is, which goes to where the ITS
 * was. The first frame of the ITS hides the last one of the flash.
 */
void virt_nested_memmap(VirtMachineState *vms)
{
    MemMapEntry *map = vms->memmap;

    if (vms->user_msi) {
        map[VIRT_GIC_DIST].base = map[VIRT_GIC_ITS].base;
        map[VIRT_GIC_ITS].base = SMMUV3_NESTED_WINDOW_BASE - ITS_DOORBELL;
        map[VIRT_GIC_V2M].base = SMMUV3_NESTED_WINDOW_BASE;
    }
}

void virt_nested_doorbell(VirtMachineState *vms, hwaddr *first, hwaddr *last)
{
    if (vms->user_msi) {
        *last = *last - *first + SMMUV3_NESTED_WINDOW_BASE;
        *first = SMMUV3_NESTED_WINDOW_BASE;
    }
}

static bool virt_nested_get_user_msi(Object *obj, Error **errp)
{
    return VIRT_MACHINE(obj)->user_msi;
}

static void virt_nested_set_user_msi(Object *obj, bool value, Error **errp)
{
    VIRT_MACHINE(obj)->user_msi = value;
}

void virt_nested_properties(ObjectClass *oc)
{
    object_class_property_add_bool(oc, SMMUV3_NESTED_USER_MSI,
                                   virt_nested_get_user_msi,
                                   virt_nested_set_user_msi);
    object_class_property_set_description(oc, SMMUV3_NESTED_USER_MSI,
        "Set on to have the doorbell for MSIs at 0x8000000, so that those of "
        "assigned devices behind arm-smmuv3,nested=on reach user space of the "
        "guest");
}
