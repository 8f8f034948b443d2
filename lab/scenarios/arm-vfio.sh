# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: VFIO inside L2 takes assigned devices, and their interrupts
# arch: arm64
# timeout: 300
#
# The engine reaches the disk's controller memory buffer
# host: -global sva-engine.peer-to-peer=on
# host: -global nvme.cmb_size_mb=1

l1() {
    L2_OPTIONS="$UEFI $USER_MSI"
    engine=$(function_of $SVA_ENGINE)
    disk=$(function_of $NVME)
    bind "$engine" vfio-pci
    bind "$disk" vfio-pci
    l2_start "$engine" "$disk"
    l2_end 240
}

# A device tree has no way to say that the window for interrupts may be used
# otherwise, and VFIO refuses devices of which something reserved is asked
l2() {
    booted_with ACPI
    # DMA, and an MSI-X message. No more than that: the driver that shares
    # address spaces does not let go of the engine again, see l2-rebind
    vsva --only simple
    bind "$(function_of $SVA_ENGINE)" vfio-pci
    bind "$(function_of $NVME)" vfio-pci
    iommufd-conformance --flavour smmuv3 --require device2,peer
}
