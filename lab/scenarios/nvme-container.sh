# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: a VFIO container of the old kind follows L2's second-stage tables
# timeout: 90

l1() {
    L2_APPEND=intel_iommu=sm_off
    L2_BACKEND=
    # What is said of it, and the base's note that a container maps no BARs
    L2_SAYS='cannot be nested: it has no iommufd= property\. It follows|no assigned device to follow'
    L2_SAYS="$L2_SAYS|vfio_container_dma_map\(.*\) = -14 \(Bad address\)\$"
    L2_SAYS="$L2_SAYS|PCI peer-to-peer transactions on BARs are not supported\.\$"
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 60
    grep -q 'It follows second-stage tables' /run/l2.stderr ||
        fail "not a word"
}

l2() {
    . /lab/nvme.sh
    . /lab/legacy.sh
    nvme_l2 "$lab_sum"
}
