# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: QEMU is killed while its L2 reads; L1 stays clean
# arch: arm64
# timeout: 300

l1() {
    address=$(function_of $NVME)
    for round in 1 2; do
        bind "$address" vfio-pci
        l2_start "$address"
        wait_for 80 "reads of L2" l2_said '^lab: ready'
        stage "killing QEMU, round $round"
        kill -KILL "$l2_pid"
        wait_for 10 "the end of QEMU" l2_gone
        bind "$address" ''
        # The first round leaves what a function keeps
        [ $round = 1 ] && pages=$(iommu_pages)
        pages_return "$pages"
    done
    bind "$address" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
}

l2() {
    wait_for 10 "the disk" test -b /dev/nvme0n1
    (while dd if=/dev/nvme0n1 of=/dev/null bs=128k iflag=direct; do :; done) \
        2>/dev/null &
    sleep 1
    echo "lab: ready"
    sleep 1000
}
