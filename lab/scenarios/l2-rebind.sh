# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: two functions of L2 change drivers there, and are reset while DMA runs
# timeout: 240
#
# What is read ahead, nobody tries again when the controller is reset; what the
# program reads is tried again, and its end and the data are checked.
# allow: I/O error, dev nvme0n1, sector \d+ op 0x0:\(READ\) flags 0x80700\b
# It ends with "host path error", or "aborted, its queue is deleted".
# allow: nvme0n1: I/O Cmd\(0x2\) @ LBA .* I/O Error \(sct 0x3 / sc 0x71\)
# allow: nvme0n1: I/O Cmd\(0x2\) @ LBA .* I/O Error \(sct 0x0 / sc 0x8\)

. /lab/nvme.sh

l1() {
    engine=$(function_of $SVA_ENGINE)
    disk=$(function_of $NVME)
    bind "$engine" vfio-pci
    bind "$disk" vfio-pci
    l2_start "$engine" "$disk"
    l2_end 200
    stage "both work for L1"
    bind "$disk" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    bind "$engine" ''
    vsva --faults 500 --only simple,faults,unmap,nothing
}

# A controller that is reset while it reads, and read again
disk_round() {
    bind "$disk" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    own_stage_1 "$disk"
    dd if=/dev/nvme0n1 of=/dev/null bs=128k 2>/dev/null &
    reader=$!
    reset_function "$disk"
    wait "$reader" || fail "what read while the controller was reset"
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    # A user space driver's, and nobody's
    bind "$disk" vfio-pci
    reset_function "$disk"
    bind "$disk" ''
    domain_anew "$disk"
}

l2() {
    disk=$(function_of $NVME)
    engine=$(function_of $SVA_ENGINE)
    # By way of vfio-pci.  Then it stays with the driver that shares address
    # spaces, which takes its kernel down when it is to let go (Linux 7.3).
    vsva --faults 200 --only simple,faults
    for round in 1 2 3; do
        stage "round $round: the disk"
        disk_round
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
        stage "round $round: the engine"
        # It forgets its queues, and what it has asked for, while it works
        vsva --faults 100000 --only faults,unmap >/run/vsva &
        worker=$!
        sleep 1
        reset_function "$engine"
        # Or it has noticed by itself
        kill -KILL "$worker" 2>/dev/null || :
        ! wait "$worker" || fail "vsva went on through a reset"
        vsva --faults 500 --only faults,unmap
    done
}
