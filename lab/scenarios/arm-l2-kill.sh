# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: QEMU is killed while two functions work for L2; L1 stays clean
# arch: arm64
# timeout: 300

l1() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    for round in 1 2; do
        bind "$disk" vfio-pci
        bind "$engine" vfio-pci
        l2_start "$disk" "$engine"
        wait_for 80 "DMA of L2" l2_said '^lab: ready'
        stage "killing QEMU, round $round"
        kill -KILL "$l2_pid"
        wait_for 10 "the end of QEMU" l2_gone
        bind "$disk" ''
        bind "$engine" ''
        # The first round leaves what a function keeps
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
    done
    stage "both work for L1"
    bind "$disk" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
    vsva --only simple,fill,unmap
}

l2() {
    wait_for 10 "the disk" test -b /dev/nvme0n1
    (while dd if=/dev/nvme0n1 of=/dev/null bs=128k iflag=direct; do :; done) \
        2>/dev/null &
    # With the PASID of a process
    (while vsva --only fill,unmap; do :; done) >/dev/null &
    sleep 2
    echo "lab: ready"
    sleep 1000
}
