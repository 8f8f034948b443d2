# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# The disk of the emulated host, and L2's part of the scenarios about it

# disk_sum [MIB]: of so much, or of all
disk_sum() {
    dd if=/dev/nvme0n1 bs=128k ${1:+count=$(($1 * 8))} 2>/dev/null |
        sha256sum | cut -d ' ' -f 1
}

# nvme_l2 SUM [MIB]
nvme_l2() {
    address=$(function_of $NVME)
    is "driver of $address" "$(driver_of "$address")" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    own_stage_1 "$address"
    stage "reading the disk"
    is "checksum of the disk" "$(disk_sum "${2:-}")" "$1"
    stage "writing the disk"
    dd if=/dev/nvme0n1 of=/tmp/a bs=1M count=1 2>/dev/null
    dd if=/tmp/a of=/dev/nvme0n1 bs=1M seek=4 conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/nvme0n1 of=/tmp/b bs=1M skip=4 count=1 2>/dev/null
    cmp /tmp/a /tmp/b || fail "what was written is not what is read"
    interrupts=$(awk '/nvme/ { for (i = 2; $i ~ /^[0-9]+$/; i++)
        sum += $i } END { print sum + 0 }' /proc/interrupts)
    note "interrupts: $interrupts"
    [ "$interrupts" -gt 0 ] || fail "the disk was polled"
}
