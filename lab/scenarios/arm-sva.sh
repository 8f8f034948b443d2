# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: a process in L2 shares its address space with the engine
# arch: arm64
# timeout: 240
#
# And then reaches another engine, and the disk
# host: -global sva-engine.peer-to-peer=on
# host: -device pcie-root-port,bus=pcie.0,id=rp2,chassis=3,slot=3
# host: -device sva-engine,bus=rp2
# host: -global nvme.cmb_size_mb=1

. /lab/peer.sh

l1() {
    # So that VFIO of L2 may have the function as well
    L2_OPTIONS="$UEFI $USER_MSI"
    peer_l1
    l2_end 220
}

# Memory is resident: Linux has no page requests with this SMMU
l2() {
    booted_with ACPI
    # As many as the CPU, or there is no SVA
    dmesg | grep -q 'arm-smmu-v3 .* oas 48-bit' ||
        fail "$(dmesg | grep 'oas .*-bit')"
    vsva --device "$(function_of $SVA_ENGINE)"
    peer_l2
}
