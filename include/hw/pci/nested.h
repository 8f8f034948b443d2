/*
 * What a nested vIOMMU and the PCI capabilities of an assigned device have to
 * say to each other
 *
 * The host's kernel owns PASID, ATS and page requests of an assigned device
 * and switches them as its own IOMMU driver sees fit; a guest's writes to the
 * control registers are remembered, tell the vIOMMU what the guest wants, and
 * go no further.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PCI_NESTED_H
#define HW_PCI_NESTED_H

#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "system/iommufd.h"

/**
 * struct PCINestedFeatures - capabilities of an assigned device behind a
 *                            nested vIOMMU
 *
 * @pasid_bits: width for a PASID capability; 0: the device is to have none
 * @no_pasid: why not, if the user would expect one; static
 * @pasid_exec: it may ask for execute permission
 * @pasid_priv: it may ask for privileged mode
 * @ats: the guest may switch ATS on
 * @no_ats: why not, if the guest is to see no ATS of the device; static
 * @pri: the guest may switch page requests on
 * @no_pri: why not, if the guest is to see none of them; static
 */
typedef struct PCINestedFeatures {
    uint8_t pasid_bits;
    const char *no_pasid;
    bool pasid_exec;
    bool pasid_priv;
    bool ats;
    const char *no_ats;
    bool pri;
    const char *no_pri;
} PCINestedFeatures;

/**
 * pci_device_nested_features() - ask the vIOMMU
 * @dev: the device; set_iommu_device() has been called for it
 * @features: filled in if there is a vIOMMU that nests the device
 *
 * Return: false if there is none: capabilities are to stay as they are.
 */
bool pci_device_nested_features(PCIDevice *dev, PCINestedFeatures *features);

/**
 * pci_device_nested_changed() - the guest wrote to the control register of
 *                               PASID, ATS or PRI, or the device was reset;
 *                               of a bridge: to its secondary bus number
 */
void pci_device_nested_changed(PCIDevice *dev);

/**
 * pci_nested_unfit() - why a nested vIOMMU cannot take a device at all
 * @bus, @devfn: the device
 * @hiod: as handed to set_iommu_device(); NULL before that, in get_nesting()
 * @info: of get_nesting(); NULL after that
 *
 * Return: a reason for messages, or NULL.
 */
const char *pci_nested_unfit(PCIBus *bus, int devfn, HostIOMMUDevice *hiod,
                             const struct IOMMUFDNestedHostInfo *info);

#endif
