# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What of L1 and of L2 is different on Arm

TTY=ttyAMA
L2_QEMU=qemu-system-aarch64
L2_MACHINE=virt,gic-version=3
L2_CPU=host
# Not "max": its page tables would have more address bits than the SMMU's
L2_TCG_CPU=neoverse-n1
L2_IOMMU=arm-smmuv3,primary-bus=pcie.0,nested=on
L2_WORDS=
L2_PLATFORM=

# Of an L3: level3.sh
L3_MACHINE=virt,gic-version=3,highmem-ecam=off
L3_RAM=0x40000000
L3_BAR=0x10000000
L3_ECAM=0x3f000000

l3_platform() {
    :
}

# For L2_OPTIONS: else the kernel is started with the machine's device tree
UEFI='-bios QEMU_EFI.fd'

# As well: drivers in L2's user space are to have interrupts
USER_MSI='-machine user-msi=on'

# iommu_of ADDRESS: name of the IOMMU in sysfs
iommu_of() {
    basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu")"
}

# own_stage_1 ADDRESS: the driver's DMA goes through tables of this level
own_stage_1() {
    case $(iommu_of "$1") in
    smmu3.*) ;;
    *) fail "$1 is not behind the SMMU" ;;
    esac
    is "translation of $1" \
        "$(cat "/sys/bus/pci/devices/$1/iommu_group/type")" DMA
}

# booted_with ACPI|DT: what has told this level's kernel of the machine
booted_with() {
    if [ -e /sys/firmware/acpi/tables/IORT ]; then
        is "description of the machine" ACPI "$1"
    else
        is "description of the machine" DT "$1"
    fi
}
