# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 is reset while it reads, and reboots while it reads
# arch: arm64
# timeout: 400

l1() {
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    L2_REBOOT=reset
    l2_start "$address"
    for round in 1 2 3; do
        wait_for 90 "start $round of L2" l2_ready "$round"
        stage "L2 has started $round times"
        # The second time it reboots by itself
        [ $round != 1 ] || qmp system_reset
    done
    l2_quit
    bind "$address" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
}

l2() {
    . /lab/nvme.sh
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    (while dd if=/dev/nvme0n1 of=/dev/null bs=128k iflag=direct; do :; done) \
        2>/dev/null &
    sleep 1
    echo "lab: ready"
    sleep 5
    reboot -f
}
