# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 under KVM reads and writes the disk of an assigned NVMe controller
# timeout: 90

l1() {
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 60
}

l2() {
    . /lab/nvme.sh
    nvme_l2 "$lab_sum"
}
