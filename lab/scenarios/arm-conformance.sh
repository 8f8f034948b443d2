# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the conformance program, unchanged, on Arm's /dev/iommu
# arch: arm64
# timeout: 240
#
# The engine reaches the disk's controller memory buffer
# host: -global sva-engine.peer-to-peer=on
# host: -global nvme.cmb_size_mb=1

l1() {
    bind "$(function_of $SVA_ENGINE)" vfio-pci
    bind "$(function_of $NVME)" vfio-pci
    iommufd-conformance --flavour smmuv3 --require nest,viommu,peer
}
