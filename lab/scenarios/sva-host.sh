# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the same program in L1, on what plays bare metal
# timeout: 120

l1() {
    vsva
}
