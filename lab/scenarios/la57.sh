# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: CPUs with five levels before an IOMMU with four, memory above 1 TiB
# timeout: 120
#
# With this much memory to come, half of what is there is above the hole that AMD
# has at 1 TiB
# memory: 2G,maxmem=1030G,slots=1
# host: -machine max-ram-below-4g=1G
# host: -cpu max,la57=on,phys-bits=48
# host: -global intel-iommu.host-fs5lp=off
#
# Linux shares the tables of processes only if the IOMMU has their levels
# allow: dmar0 SVM disabled, incompatible paging mode

. /lab/nvme.sh

# What both levels see, and that there is no SVA then
four_levels() {
    grep -qw la57 /proc/cpuinfo || fail "the CPU has no la57"
    is "addresses" "$(sed -n 's/^address sizes.*: //p' /proc/cpuinfo |
        sort -u)" "48 bits physical, 57 bits virtual"
    read -r cap </sys/class/iommu/dmar0/intel-iommu/cap
    is "CAP.FS5LP" $((0x$cap >> 60 & 1)) 0
    dmesg | grep -q 'SVM disabled, incompatible paging mode' ||
        fail "Linux does not say that there is no SVA"
    # In the end: the driver takes its kernel down when it is to let go
    ! vsva --only simple,fill >/run/vsva || fail "a process got a PASID"
    grep -q 'binds the process to a PASID' /run/vsva || fail "$(cat /run/vsva)"
}

l1() {
    grep -q '^ *1[0-9a-f]\{10\}-.*System RAM' /proc/iomem ||
        fail "no memory above 1 TiB: $(grep RAM /proc/iomem)"
    engine=$(function_of $SVA_ENGINE)
    disk=$(function_of $NVME)
    bind "$engine" vfio-pci
    bind "$disk" vfio-pci
    # Addresses of DMA from the top of the first stage
    L2_APPEND=iommu.forcedac=1
    l2_start "$engine" "$disk"
    l2_end 90
    four_levels
}

l2() {
    nvme_l2 "$lab_sum"
    table=/sys/kernel/debug/iommu/intel/$address/domain_translation_struct
    top=$(sed -n 's/^\(0x[0-9a-f]*\).*/\1/p' "$table" | sort | tail -n 1)
    is "half of the first stage that DMA uses" $((top >> 34)) 1
    four_levels
}
