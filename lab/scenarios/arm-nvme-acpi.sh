# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 with UEFI and ACPI reads and writes an assigned NVMe disk
# arch: arm64
# timeout: 180

l1() {
    L2_OPTIONS=$UEFI
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 140
}

l2() {
    . /lab/nvme.sh
    booted_with ACPI
    nvme_l2 "$lab_sum"
}
