# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 gives its device to an L3: the first stage is VFIO's of L2
# timeout: 180

. /lab/level3.sh

l1() {
    l3_prepare
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 150
}

l2() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l3_life "$address" 1
    stage "once more"
    l3_life "$address" 1
    stage "nesting once more"
    ! l2_try "$L2_IOMMU" "$address" || fail "it starts"
    said "cannot be nested"
}
