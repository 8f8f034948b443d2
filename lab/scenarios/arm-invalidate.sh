# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: 200 reads of 128 KiB without range invalidation, calls counted
# arch: arm64
# timeout: 150

# Each read is unmapped page by page
READS=200
PAGES=32

l1() {
    L2_IOMMU=$L2_IOMMU,ril=off
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    wait_for 80 "the start of L2's reads" l2_said '^lab: ready'
    l2_query
    tlbi=$(counter tlbi) syncs=$(counter sync) calls=$(counter inv-ioctls)
    l2_end 80
    tlbi=$(($(counter tlbi) - tlbi))
    syncs=$(($(counter sync) - syncs))
    calls=$(($(counter inv-ioctls) - calls))
    note "$READS reads of 128 KiB: $tlbi TLBI, $syncs CMD_SYNC," \
        "$calls calls of IOMMU_HWPT_INVALIDATE"
    [ "$tlbi" -ge $((READS * PAGES)) ] ||
        fail "$tlbi TLBI: not one for each page"
    [ "$calls" -ge "$READS" ] || fail "$calls calls: not one for each read"
    [ "$calls" -le "$syncs" ] ||
        fail "$calls calls are more than one for each of $syncs CMD_SYNC"
}

l2() {
    wait_for 10 "the disk" test -b /dev/nvme0n1
    echo "lab: ready"
    # So that L1 has asked before the first read
    sleep 2
    read_disk $READS
}
