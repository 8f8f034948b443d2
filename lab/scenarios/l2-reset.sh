# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 is reset while DMA runs, and starts again each time
# timeout: 240

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_REBOOT=reset
    l2_start "$address"
    for round in 1 2 3; do
        wait_for 90 "start $round of L2" l2_ready "$round"
        stage "L2 has started $round times"
        [ "$round" = 3 ] || qmp system_reset
    done
    l2_quit
    bind "$address" ''
    stage "the engine works for L1"
    vsva --faults 500 --only simple,faults,unmap,nothing
}

l2() {
    # Nothing unbinds the engine: the stock driver warns of its interrupts then
    vsva --faults 100 --only simple,faults
    (while vsva --faults 1000 --only faults; do :; done) >/dev/null &
    sleep 1
    echo "lab: ready"
    sleep 1000
}
