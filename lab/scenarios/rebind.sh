# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: functions change drivers, are reset, and L1 has lost nothing
# timeout: 90
#
# A process that is killed leaves its device running
# allow: DRHD: handling fault status
# allow: fault reason 0x59. SM: Present bit in PASID Table Entry is clear
# allow: New fault is not recorded due to compression of faults

l1() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    for round in 1 2 3; do
        stage "round $round"
        bind "$disk" vfio-pci
        bind "$engine" vfio-pci
        iommufd-conformance --require nest,pri,pasid --only 1,2,3
        echo 1 >"/sys/bus/pci/devices/$disk/reset"
        echo 1 >"/sys/bus/pci/devices/$engine/reset"
        bind "$disk" nvme
        wait_for 10 "the disk" test -b /dev/nvme0n1
        is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
        bind "$engine" ''
        # The first round leaves what a function keeps: its PASID table
        [ $round = 1 ] && pages=$(iommu_pages)
        pages_return "$pages"
    done
    vsva --faults 500
}
