# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 reboots by itself while DMA runs, twice
# timeout: 240

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_REBOOT=reset
    l2_start "$address"
    for round in 1 2 3; do
        wait_for 90 "start $round of L2" l2_ready "$round"
        stage "L2 has started $round times"
    done
    l2_quit
    bind "$address" ''
}

l2() {
    vsva --faults 100 --only simple,faults
    (while vsva --faults 1000 --only faults; do :; done) >/dev/null &
    sleep 1
    echo "lab: ready"
    sleep 1
    reboot -f
}
