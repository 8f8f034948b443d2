# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Peer-to-peer DMA: an engine reaches BARs of another one and of a disk, whose
# BAR 2 is its controller memory buffer

peer_l1() {
    for address in "$(function_of $SVA_ENGINE)" \
        "$(function_of $SVA_ENGINE 2)" "$(function_of $NVME)"; do
        bind "$address" vfio-pci
    done
    l2_start "$(function_of $SVA_ENGINE)" "$(function_of $SVA_ENGINE 2)" \
        "$(function_of $NVME)"
}

peer_l2() {
    # Nobody else is to use them
    bind "$(function_of $NVME)" ""
    for bar in "$(function_of $SVA_ENGINE 2)/resource0" \
        "$(function_of $NVME)/resource2"; do
        echo 1 >"/sys/bus/pci/devices/${bar%/*}/enable"
        stage "DMA to $bar"
        vsva --device "$(function_of $SVA_ENGINE)" --only peer \
            --peer "/sys/bus/pci/devices/$bar"
    done
}
