# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L1 without scalable mode: registers that could nest, a kernel that does not
# append: intel_iommu=sm_off
# timeout: 120

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    iommufd-conformance --flavour vtd --require no-nest
    stage "nested=on is refused, and says what it takes"
    ! l2_try intel-iommu,nested=on "$address" || fail "it starts"
    said "cannot be nested.*sm_on"
    stage "nested=auto does without"
    l2_try intel-iommu,nested=auto "$address" || fail "$(cat /run/said)"
    said "nested=auto falls back.*sm_on"
}
