# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L1 on Arm has /dev/iommu, and its SMMUv3 can nest
# arch: arm64
# timeout: 90

l1() {
    [ -c /dev/iommu ] || fail "no /dev/iommu"
    [ -c /dev/kvm ] || fail "no /dev/kvm"
    for address in $(function_of $SVA_ENGINE) $(function_of $NVME); do
        bind "$address" vfio-pci
        own_stage_1 "$address"
    done
    # Parents, and vIOMMUs for them
    iommufd-conformance --flavour smmuv3 --require nest,viommu --only \
        "hwpt: nesting parent where the registers say so,viommu: references"
    qemu-nested-check "$(function_of $SVA_ENGINE)" "$(function_of $NVME)"
}
