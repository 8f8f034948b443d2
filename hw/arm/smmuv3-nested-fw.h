/*
 * SMMUv3 nested translation: what the tables for firmware and guest say of it
 *
 * An assigned device sends its interrupts to the address that the host's
 * kernel chose for the doorbell. With nesting they go through the guest's
 * stage 1, which has to leave that window as it is. The guest is told so by
 * RMR nodes of the IORT, or by reserved memory of the device tree, and by
 * either that a root complex has ATS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_ARM_SMMUV3_NESTED_FW_H
#define HW_ARM_SMMUV3_NESTED_FW_H

#include "hw/arm/smmuv3.h"
#include "hw/pci/pci.h"

/*
 * Linux: MSI_IOVA_BASE of the SMMUv3 driver, for VFIO's users of a host and of
 * a guest alike
 */
#define SMMUV3_NESTED_WINDOW_BASE   0x8000000

/* Property of a machine: the guest's doorbell is there as well */
#define SMMUV3_NESTED_USER_MSI      "user-msi"

typedef struct SMMUv3NestedFirmware {
    /* Devices behind the SMMU may do ATS */
    bool ats;
    /*
     * I/O virtual and guest physical addresses of the window for interrupts,
     * in bytes, 64 KiB aligned. Size 0: there is none
     */
    uint64_t msi_base, msi_size;
} SMMUv3NestedFirmware;

/**
 * smmuv3_nested_firmware() - what tables have to say about an SMMU
 * @s: any SMMUv3; about one that does not nest there is nothing to say, but
 *     for host-ats
 *
 * Freezes the features of the SMMU, if they are not yet: to be called when
 * all devices of the command line are there. The answer stays the same.
 */
SMMUv3NestedFirmware smmuv3_nested_firmware(SMMUv3State *s);

/* Whether a host device that is nested is there */
bool smmuv3_nested_assigned(SMMUv3State *s, PCIBus *bus, int devfn);

#endif
