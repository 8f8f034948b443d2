# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: functions change drivers, are reset, and L1 has lost nothing
# arch: arm64
# timeout: 120

l1() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    for round in 1 2 3; do
        stage "round $round"
        bind "$disk" vfio-pci
        bind "$engine" vfio-pci
        # A vIOMMU, labels and a nested device that is closed
        iommufd-conformance --flavour smmuv3 --require nest,viommu --only \
            "viommu: references,viommu: vDEVICE: labels of two devices,\
lifetime: closing the device"
        echo 1 >"/sys/bus/pci/devices/$disk/reset"
        echo 1 >"/sys/bus/pci/devices/$engine/reset"
        bind "$disk" nvme
        wait_for 10 "the disk" test -b /dev/nvme0n1
        is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
        bind "$engine" ''
        bind "$disk" ''
        domain_anew "$disk"
        # The first round leaves what a function keeps
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
    done
}
