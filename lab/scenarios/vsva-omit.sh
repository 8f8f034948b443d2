# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2's VMM leaves out invalidations of each kind: wrong data in L2
# timeout: 120
#
# A PASID, or a function, whose tables have been taken away
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

. /lab/omit.sh

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    omit_l1
    l2_start "$address"
    l2_end 100
}

l2() {
    omit_l2 pages,all,pasid,rid
}
