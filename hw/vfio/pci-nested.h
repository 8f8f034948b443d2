/*
 * PASID, ATS and page request capabilities behind a nested vIOMMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VFIO_PCI_NESTED_H
#define HW_VFIO_PCI_NESTED_H

#include "pci.h"

/* What help says of ats and x-vpasid-cap-offset */
void vfio_pci_nested_class_init(ObjectClass *klass);

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
