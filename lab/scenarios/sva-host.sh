# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the same program in L1, on what plays bare metal
# timeout: 120
#
# A process that is killed leaves its device running
# allow: DRHD: handling fault status
# allow: fault reason 0x59. SM: Present bit in PASID Table Entry is clear
# allow: New fault is not recorded due to compression of faults

l1() {
    vsva
}
