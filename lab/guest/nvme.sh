# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# L2's part of the scenarios with a disk

# The PGTT field (bits 8:6) of the PASID entry the driver's DMA goes through,
# as the kernel prints it: 1 is first stage
translation_type() {
    entry=$(awk -v bdf="${1#*:}" '$1 == bdf { print $NF; exit }' \
        /sys/kernel/debug/iommu/intel/dmar_translation_struct)
    low=${entry##*:}
    echo $((low >> 6 & 7))
}

disk_sum() {
    dd if=/dev/nvme0n1 bs=128k 2>/dev/null | sha256sum | cut -d ' ' -f 1
}

nvme_l2() {
    address=$(function_of $NVME)
    is "driver of $address" "$(driver_of "$address")" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "translation type" "$(translation_type "$address")" 1
    stage "reading the disk"
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    stage "writing the disk"
    dd if=/dev/nvme0n1 of=/tmp/a bs=1M count=2 2>/dev/null
    dd if=/tmp/a of=/dev/nvme0n1 bs=1M seek=4 conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/nvme0n1 of=/tmp/b bs=1M skip=4 count=2 2>/dev/null
    cmp /tmp/a /tmp/b || fail "what was written is not what is read"
    note "interrupts: $(awk '/nvme/ { for (i = 2; $i ~ /^[0-9]+$/; i++)
        sum += $i } END { print sum + 0 }' /proc/interrupts)"
}
