# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L1 without ATS: page requests that it does not serve are not on offer
# append: pci=noats
# timeout: 120
#
# As in conformance.sh
# allow: Read-only mapping is disallowed on the domain which serves as the
# allow: Invalid stage-1 address width
# allow: 5-level paging not supported

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    iommufd-conformance --flavour vtd --require nest,pasid,no-pri
    stage "QEMU says what L2 does not see"
    l2_try intel-iommu,nested=on "$address" || fail "$(cat /run/said)"
    said "sees no page requests of it"
    said "sees no ATS of it"
}
