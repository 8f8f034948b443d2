# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: two SMMUs, in the host and in L2; tables of two levels, 16-bit SSIDs
# arch: arm64
# timeout: 240
#
# Only ACPI tells of a second root bus
# host: -machine iommu=none -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd
# host: -device arm-smmuv3,primary-bus=pcie.0
# host: -device pxb-pcie,id=pcie.1,bus=pcie.0,bus_nr=64
# host: -device arm-smmuv3,primary-bus=pcie.1
# host: -drive if=none,id=disk1,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -drive if=none,id=disk2,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -device pcie-root-port,id=rp2,bus=pcie.1,chassis=3,slot=3
# host: -device nvme,bus=rp2,drive=disk1,serial=lab1
# host: -device pcie-root-port,id=rp3,bus=pcie.1,chassis=4,slot=4
# host: -device nvme,bus=rp3,drive=disk2,serial=lab2

# two_levels: of every SMMU here, stream tables and CD tables
two_levels() {
    is "SMMUs" "$(ls /sys/class/iommu | grep -c '^smmu3\.')" 2
    dmesg | sed -n 's/.* oas 48-bit (features \(0x[0-9a-f]*\))$/\1/p' >/run/features
    is "SMMUs with 48-bit addresses" "$(grep -c . /run/features)" 2
    while read -r features; do
        is "stream tables and CD tables of two levels" $((features & 3)) 3
    done </run/features
}

l1() {
    booted_with ACPI
    two_levels
    engine=$(function_of $SVA_ENGINE)
    near=$(function_of $NVME)
    far=$(function_of $NVME 2)
    other=$(function_of $NVME 3)
    [ "$(iommu_of "$far")" != "$(iommu_of "$engine")" ] ||
        fail "$far is not behind the second SMMU"
    is "SMMU of $other" "$(iommu_of "$other")" "$(iommu_of "$far")"
    for address in "$engine" "$near" "$far" "$other"; do
        bind "$address" vfio-pci
    done
    qemu-nested-check "$engine" "$far" | tee /run/check
    is "SMMUs with SSIDs of 16 bits" \
        "$(grep -c 'IDR1.SSIDSIZE: 16 bits' /run/check)" 2
    # One of L2's takes devices of both, the other those of one
    L2_OPTIONS="$UEFI $USER_MSI -device pxb-pcie,id=pcie.1,bus=pcie.0,bus_nr=64 \
-device arm-smmuv3,primary-bus=pcie.1,nested=on \
-device pcie-root-port,id=far,bus=pcie.1,chassis=9,slot=9 \
-device vfio-pci,host=$far,bus=far,iommufd=iommufd0"
    l2_start "$engine" "$near" "$other"
    l2_end 160
}

l2() {
    . /lab/nvme.sh
    booted_with ACPI
    two_levels
    far=$(function_of $NVME 3)
    [ "$(iommu_of "$far")" != "$(iommu_of "$(function_of $NVME)")" ] ||
        fail "$far is not behind the second SMMU"
    for n in 0 1 2; do
        own_stage_1 "$(function_of $NVME $((n + 1)))"
        wait_for 10 "disk $n" test -b /dev/nvme${n}n1
        is "checksum of disk $n" "$(dd if=/dev/nvme${n}n1 bs=128k 2>/dev/null |
            sha256sum)" "$lab_sum  -"
    done
    vsva --only simple,fill,unmap
}
