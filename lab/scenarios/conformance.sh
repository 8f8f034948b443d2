# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the conformance program, unchanged, on the kernel's /dev/iommu
# timeout: 180
#
# With five levels; scenario noats has four
# host: -global intel-iommu.host-fs5lp=on -global intel-iommu.aw-bits=57
#
# The engine reaches the disk's controller memory buffer
# host: -global sva-engine.peer-to-peer=on
# host: -global nvme.cmb_size_mb=1
#
# The program asks for what must be refused, and the driver says why it refuses
# allow: Read-only mapping is disallowed on the domain which serves as the
# allow: Invalid stage-1 address width

l1() {
    bind "$(function_of $SVA_ENGINE)" vfio-pci
    bind "$(function_of $NVME)" vfio-pci
    iommufd-conformance --flavour vtd --require nest,pri,pasid,peer
}
