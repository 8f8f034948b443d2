# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L1 has /dev/iommu, and its IOMMU can nest
# timeout: 60

l1() {
    [ -c /dev/iommu ] || fail "no /dev/iommu"
    for address in $(function_of $SVA_ENGINE) $(function_of $NVME); do
        bind "$address" vfio-pci
        is "$address, IOMMU" "$(basename "$(readlink -f \
            "/sys/bus/pci/devices/$address/iommu")")" dmar0
    done
    iommufd-conformance --require nest,pri,pasid --only 1
    qemu-nested-check "$(function_of $SVA_ENGINE)" "$(function_of $NVME)"
}
