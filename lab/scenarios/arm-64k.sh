# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: pages of 64 KiB in L1 and L2, and tables of that granule
# arch: arm64-64k
# timeout: 150

. /lab/nvme.sh

# Of the process that asks: AT_PAGESZ of its auxiliary vector
page_size() {
    od -A n -t d8 /proc/self/auxv | awk '$1 == 6 { print $2 }'
}

l1() {
    is "page size" "$(page_size)" 65536
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 120
}

l2() {
    is "page size" "$(page_size)" 65536
    nvme_l2 "$lab_sum"
}
