# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: vSVA: a process in L2 shares its address space with the engine
# timeout: 180

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_TRACE='iommufd_nested_*'
    l2_start "$address"
    l2_end 150
}

l2() {
    vsva
}
