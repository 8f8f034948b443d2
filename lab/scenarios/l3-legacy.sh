# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 in legacy mode gives its device to an L3: a shadow of VFIO's tables
# timeout: 180

. /lab/level3.sh

l1() {
    L2_APPEND=intel_iommu=sm_off
    L2_TRACE='iommufd_nested_shadow_*'
    l3_prepare
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 150
    [ "$(counter shadow-maps)" -gt 0 ] || fail "nothing was mirrored"
}

l2() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l3_life "$address" 0
    stage "once more"
    l3_life "$address" 0
}
