# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: vSVA: a process in L2 shares its address space with the engine
# timeout: 240
#
# Five levels at both ends, as on servers that have them: Linux shares tables of
# the CPU's levels only
# host: -cpu max,la57=on
# host: -global intel-iommu.host-fs5lp=on -global intel-iommu.aw-bits=57
#
# The engine still runs when a PASID is taken away from it for good, because a
# process of L2, or QEMU itself, has been killed. L1 does not set fault
# processing disable then; iommufd has no way to ask for it.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

five_levels() {
    grep -qw la57 /proc/cpuinfo || fail "the CPU has four levels"
    read -r cap </sys/class/iommu/dmar0/intel-iommu/cap
    is "CAP.FS5LP" $((0x$cap >> 60 & 1)) 1
}

l1() {
    five_levels
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_TRACE='iommufd_nested_*'
    l2_start "$address"
    l2_end 220
}

l2() {
    five_levels
    vsva
}
