# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: CPUs and IOMMUs with five levels: a process shares its address space
# timeout: 120
# host: -cpu max,la57=on
# host: -global intel-iommu.host-fs5lp=on -global intel-iommu.aw-bits=57
#
# As in vsva.sh
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

five_levels() {
    grep -qw la57 /proc/cpuinfo || fail "the CPU has no la57"
    read -r cap </sys/class/iommu/dmar0/intel-iommu/cap
    is "CAP.FS5LP" $((0x$cap >> 60 & 1)) 1
}

l1() {
    five_levels
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 100
}

l2() {
    five_levels
    vsva --faults 500 --only simple,faults,fill,unmap,nothing
}
