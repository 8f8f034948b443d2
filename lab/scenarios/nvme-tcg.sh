# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the same, L2 under plain TCG
# timeout: 480

l1() {
    L2_ACCEL=tcg
    L2_CPU=$L2_TCG_CPU
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 400
}

l2() {
    . /lab/nvme.sh
    nvme_l2 "$lab_sum1" 1
}
