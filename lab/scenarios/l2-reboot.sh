# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L2 reboots by itself while DMA runs, twice
# timeout: 240
#
# Nothing stops the engine when the kernel of L2 turns its IOMMU off to reboot:
# its PASID is taken away in L1 while it runs. L1 does not set fault processing
# disable then; iommufd has no way to ask for it.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

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
