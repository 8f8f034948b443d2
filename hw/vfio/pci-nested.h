/*
 * PASID, ATS and page request capabilities behind a nested vIOMMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_PCI_NESTED_H
#define HW_VFIO_PCI_NESTED_H

#include "hw/qdev-properties.h"
#include "pci.h"

extern const PropertyInfo vfio_pci_nested_prop_ats;
extern const PropertyInfo vfio_pci_nested_prop_pasid_cap;

#define DEFINE_PROP_VFIO_PCI_ATS(_state, _field)                    \
    DEFINE_PROP_SIGNED("ats", _state, _field, ON_OFF_AUTO_AUTO,     \
                       vfio_pci_nested_prop_ats, OnOffAuto)

#define DEFINE_PROP_VFIO_PCI_PASID_CAP(_state, _field)              \
    DEFINE_PROP_UNSIGNED("x-vpasid-cap-offset", _state, _field, 0,  \
                         vfio_pci_nested_prop_pasid_cap, uint16_t)

/*
 * After the extended capabilities of the host device have been added: make
 * those the vIOMMU has a part in ours. Without a nested vIOMMU only what ats=
 * says happens.
 *
 * Return: false, with @errp set, if x-vpasid-cap-offset is not usable, or the
 * guest cannot have what ats=on wants.
 */
bool vfio_pci_nested_setup(VFIOPCIDevice *vdev, Error **errp);

/*
 * A write to configuration space, before it goes anywhere.
 *
 * Return: true if it was for one of these capabilities: it has been done, and
 * must not reach the host.
 */
bool vfio_pci_nested_write(VFIOPCIDevice *vdev, uint32_t addr, uint32_t val,
                           int len);

/* After a write that did reach the host: it may have been a function reset */
void vfio_pci_nested_written(VFIOPCIDevice *vdev, uint32_t addr, uint32_t val,
                             int len);

/* After vfio has reset the device; the core is told as well */
void vfio_pci_nested_reset(VFIOPCIDevice *vdev);

#endif
