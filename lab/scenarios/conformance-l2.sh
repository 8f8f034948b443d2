# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the same program in L2: the guest's own user space drivers
# timeout: 240
#
# The engine reaches the disk's controller memory buffer
# host: -global sva-engine.peer-to-peer=on
# host: -global nvme.cmb_size_mb=1

l1() {
    bind "$(function_of $SVA_ENGINE)" vfio-pci
    bind "$(function_of $NVME)" vfio-pci
    l2_start "$(function_of $SVA_ENGINE)" "$(function_of $NVME)"
    l2_end 200
}

l2() {
    bind "$(function_of $SVA_ENGINE)" vfio-pci
    bind "$(function_of $NVME)" vfio-pci
    iommufd-conformance --flavour vtd --require device2,pri,pasid,peer
}
