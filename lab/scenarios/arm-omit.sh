# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2's VMM leaves out invalidations of each kind: wrong data in L2
# arch: arm64
# timeout: 150

. /lab/omit.sh

l1() {
    # So that VFIO of L2 may have the function: it needs no interrupts here
    L2_IOMMU=$L2_IOMMU,msi-window=off
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    omit_l1
    l2_start "$address"
    l2_end 130
}

l2() {
    omit_l2 pages,device-tlb,all,cd,rid
}
