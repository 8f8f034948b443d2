# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 is reset, and reboots, while two functions work for it
# arch: arm64
# timeout: 400

l1() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    bind "$disk" vfio-pci
    bind "$engine" vfio-pci
    L2_REBOOT=reset
    l2_start "$disk" "$engine"
    for round in 1 2 3; do
        wait_for 90 "start $round of L2" l2_ready "$round"
        stage "L2 has started $round times"
        # The second time it reboots by itself
        [ $round != 1 ] || qmp system_reset
    done
    l2_quit
    stage "both work for L1"
    bind "$disk" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(sha256sum </dev/nvme0n1)" "$lab_sum  -"
    bind "$engine" ''
    vsva --only simple,fill,unmap
}

l2() {
    . /lab/nvme.sh
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    (while dd if=/dev/nvme0n1 of=/dev/null bs=128k iflag=direct; do :; done) \
        2>/dev/null &
    # With the PASID of a process
    (while vsva --only fill,unmap; do :; done) >/dev/null &
    worker=$!
    sleep 2
    echo "lab: ready"
    sleep 5
    # Linux switches the SMMU off and lets processes run on: what they unmap
    # then waits for a CMD_SYNC in vain
    kill -KILL "$worker"
    killall -KILL vsva || :
    wait "$worker" || :
    reboot -f
}
