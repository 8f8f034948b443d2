# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: functions change drivers, are reset, and L1 has lost nothing
# timeout: 90
#
# A process that is killed leaves the engine running. Linux 7.3 clears the
# present bit of its PASID entry first and sets fault processing disable after
# the caches are flushed: what is asked of the IOMMU in between is recorded.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

. /lab/nvme.sh

l1() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    # A domain of the disk's driver has more tables or fewer, as it happens
    bind "$disk" ''
    echo identity >"/sys/bus/pci/devices/$disk/iommu_group/type"
    for round in 1 2 3; do
        stage "round $round"
        bind "$disk" vfio-pci
        bind "$engine" vfio-pci
        iommufd-conformance --require nest,pri,pasid --only abi,lifetime
        reset_function "$disk"
        reset_function "$engine"
        bind "$disk" nvme
        wait_for 10 "the disk" test -b /dev/nvme0n1
        is "checksum of the disk" "$(disk_sum)" "$lab_sum"
        bind "$engine" ''
        # The first round leaves what a function keeps: its PASID table
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
    done
    vsva --faults 500
}
