# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 with a device tree reads and writes an assigned NVMe disk
# arch: arm64
# timeout: 120

l1() {
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 80
}

l2() {
    . /lab/nvme.sh
    booted_with DT
    nvme_l2 "$lab_sum"
}
