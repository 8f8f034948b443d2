# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: an SMMU with both stages and without S2FWB gives no vIOMMU
# arch: arm64
# host: -global arm-smmuv3.host-fwb=off
# timeout: 120

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    iommufd-conformance --flavour smmuv3 --require nest --only viommu
    stage "nested=on is refused, and says what it takes"
    ! l2_try arm-smmuv3,primary-bus=pcie.0,nested=on "$address" ||
        fail "it starts"
    said "cannot be nested.*no vIOMMU.*S2FWB"
    stage "nested=auto is off, and says why"
    ! l2_try arm-smmuv3,primary-bus=pcie.0,nested=auto "$address" ||
        fail "an SMMU without nesting takes a device"
    said "nested=auto is off.*no vIOMMU.*S2FWB"
}
