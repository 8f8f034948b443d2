# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: vSVA: a process in L2 shares its address space with the engine
# timeout: 240
#
# A process that is killed leaves its device running
# allow: DRHD: handling fault status
# allow: fault reason 0x59. SM: Present bit in PASID Table Entry is clear
# allow: New fault is not recorded due to compression of faults

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_TRACE='iommufd_nested_*'
    l2_start "$address"
    l2_end 220
}

l2() {
    vsva
}
