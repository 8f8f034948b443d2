# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the QEMU that the lab runs in its L1 on Arm needs (lab/qemu-arm64.sh).

CONFIG_ARM_VIRT=y
CONFIG_PCIE_PORT=y
# What the ACPI tables of the machine refer to
CONFIG_PXB=y
CONFIG_CXL=y
CONFIG_CXL_MEM_DEVICE=y

CONFIG_IOMMUFD=y
CONFIG_VFIO_PCI=y
CONFIG_IOMMUFD_NESTED=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_SERIAL=y
