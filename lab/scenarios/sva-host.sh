# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the same program in L1, on what plays bare metal
# timeout: 120
#
# A process that is killed leaves the engine running. Linux 7.3 clears the
# present bit of its PASID entry first and sets fault processing disable after
# the caches are flushed: what is asked of the IOMMU in between is recorded.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

l1() {
    vsva
}
