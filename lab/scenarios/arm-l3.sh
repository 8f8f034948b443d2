# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 gives its device to an L3: stage 1 is VFIO's of L2
# arch: arm64
# timeout: 240

. /lab/level3.sh

l1() {
    L2_OPTIONS=$UEFI
    l3_prepare
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 200
}

# With UEFI: see arm-vfio
l2() {
    booted_with ACPI
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l3_life "$address"
    stage "once more"
    l3_life "$address"
    stage "nesting once more"
    ! l2_try "$L2_IOMMU" "$address" || fail "it starts"
    said "cannot be nested"
}
