# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: the program of arm-sva in L1, on what plays bare metal
# arch: arm64
# timeout: 120

l1() {
    vsva
}
