# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What of L1 and of L2 is different on Arm

TTY=ttyAMA

# iommu_of ADDRESS: name of the IOMMU in sysfs
iommu_of() {
    basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu")"
}

# own_stage_1 ADDRESS: the driver's DMA goes through tables of this level
own_stage_1() {
    case $(iommu_of "$1") in
    smmu3.*) ;;
    *) fail "$1 is not behind the SMMU" ;;
    esac
    is "translation of $1" \
        "$(cat "/sys/bus/pci/devices/$1/iommu_group/type")" DMA
}
