# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 is reset, idle and with DMA running, and starts again each time
# timeout: 180

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    for round in 1 2 3; do
        wait_for 60 "start $round of L2" l2_ready "$round"
        stage "L2 has started $round times"
        [ "$round" = 3 ] || qmp system_reset
    done
    qmp quit
    wait_for 10 "the end of QEMU" l2_gone
    bind "$address" ''
}

l2_ready() {
    [ "$(grep -c '^lab: ready' /run/l2.story)" = "$1" ]
}

l2() {
    vsva --faults 100
    (while :; do vsva --faults 1000; done) >/dev/null &
    sleep 1
    echo "lab: ready"
    sleep 1000
}
