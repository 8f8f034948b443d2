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

# No PASID entry: legacy mode, whose context entries name second-stage tables
own_stage_1() {
    is "translation of $1" \
        "$(cat "/sys/bus/pci/devices/$1/iommu_group/type")" DMA
    is "translation type" "$(translation_type "$1")" 0
}

l2() {
    . /lab/nvme.sh
    nvme_l2 "$lab_sum"
}
