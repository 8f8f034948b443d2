# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: an engine in L2 reaches BARs of another one and of a disk
# timeout: 90
#
# host: -global sva-engine.peer-to-peer=on
# host: -device pcie-root-port,bus=pcie.0,id=rp2,chassis=3,slot=3
# host: -device sva-engine,bus=rp2
# host: -global nvme.cmb_size_mb=1

. /lab/peer.sh

l1() {
    peer_l1
    l2_end 80
}

l2() {
    peer_l2
}
