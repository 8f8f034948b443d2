# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: 200 reads of 128 KiB with command queues of L2's own
# arch: arm64
# host: -global arm-smmuv3.host-cmdqv=on
# timeout: 150

# Each read is unmapped page by page, and QEMU of L1 hears of none
READS=200

l1() {
    L2_IOMMU=$L2_IOMMU,ril=off,cmdqv=on
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    wait_for 80 "the start of L2's reads" l2_said '^lab: ready'
    l2_query
    queues=$(sed -n 's/.*"hw-queues": \([0-9]*\).*/\1/p' /run/query)
    [ "${queues:-0}" -gt 0 ] || fail "no command queue of L2 is in the host"
    tlbi=$(counter tlbi) atc=$(counter atc-inv) calls=$(counter inv-ioctls)
    wait_for 80 "the end of L2's reads" l2_said '^lab: done'
    l2_query
    tlbi=$(($(counter tlbi) - tlbi))
    atc=$(($(counter atc-inv) - atc))
    calls=$(($(counter inv-ioctls) - calls))
    note "$READS reads of 128 KiB: $tlbi TLBI and $atc ATC_INV came to QEMU," \
        "$calls calls of IOMMU_HWPT_INVALIDATE, $queues queues in the host"
    [ $((tlbi + atc + calls)) = 0 ] || fail "not all went by L2's own queues"
    l2_end 80
}

l2() {
    wait_for 10 "the disk" test -b /dev/nvme0n1
    echo "lab: ready"
    # So that L1 has asked before the first read, and after the last one
    sleep 2
    read_disk $READS
    echo "lab: done"
    sleep 2
}
