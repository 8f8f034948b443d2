# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 under plain TCG reads and writes an assigned NVMe disk
# arch: arm64
# timeout: 480

l1() {
    L2_ACCEL=tcg
    # Not "max": its page tables would have more address bits than the SMMU's
    L2_CPU=cortex-a76
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 400
}

l2() {
    . /lab/nvme.sh
    nvme_l2 "$lab_sum1" 1
}
