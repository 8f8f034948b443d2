# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: a process in L2 shares its address space with the engine
# arch: arm64
# timeout: 240

l1() {
    # So that VFIO of L2 may have the function as well
    L2_OPTIONS=$UEFI
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 220
}

# Memory is resident: Linux has no page requests with this SMMU
l2() {
    booted_with ACPI
    # As many as the CPU, or there is no SVA
    dmesg | grep -q 'arm-smmu-v3 .* oas 48-bit' ||
        fail "$(dmesg | grep 'oas .*-bit')"
    vsva
}
