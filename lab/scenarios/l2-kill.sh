# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: QEMU is killed while page requests wait for it; L1 stays clean
# timeout: 180
#
# The engine still runs when a PASID is taken away from it for good, because a
# process of L2, or QEMU itself, has been killed. L1 does not set fault
# processing disable then; iommufd has no way to ask for it.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

l1() {
    address=$(function_of $SVA_ENGINE)
    for round in 1 2 3; do
        bind "$address" vfio-pci
        l2_start "$address"
        wait_for 60 "DMA of L2" l2_said '^lab: ready'
        # What the engine asks for now, nobody answers
        kill -STOP "$l2_pid"
        sleep 1
        stage "killing QEMU, round $round"
        kill -KILL "$l2_pid"
        wait_for 10 "the end of QEMU" l2_gone
        bind "$address" ''
        # The first round leaves what a function keeps: its PASID table
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
    done
    stage "the engine works for L1"
    vsva --faults 500
}

l2() {
    (while vsva --faults 10000 --only faults; do :; done) >/dev/null &
    sleep 2
    echo "lab: ready"
    sleep 1000
}
