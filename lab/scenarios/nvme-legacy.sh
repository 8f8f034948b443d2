# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 in legacy mode: its second-stage tables are shadowed
# timeout: 90

l1() {
    L2_APPEND=intel_iommu=sm_off
    L2_TRACE='iommufd_nested_shadow_*'
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 60
}

l2() {
    . /lab/nvme.sh
    . /lab/legacy.sh
    nvme_l2 "$lab_sum"
}
