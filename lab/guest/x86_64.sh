# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What of L1 and of L2 is different on x86

TTY=ttyS
L2_QEMU=qemu-system-x86_64
L2_MACHINE=q35,kernel-irqchip=split
# The deadline timer of the emulated SVM is late by seconds
L2_CPU=host,tsc-deadline=off
# The first stage has to have the levels of the tables of the CPU
L2_TCG_CPU=max,la57=off
L2_IOMMU=intel-iommu,nested=on
L2_WORDS=no_timer_check
# Hot-plug is left to the kernel's own driver
L2_PLATFORM='-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'

# Of an L3: level3.sh
L3_MACHINE=q35
L3_RAM=0
L3_BAR=0xe0000000
L3_ECAM=0xb0000000

# PCIEXBAR of the host bridge: enabled, 256 MiB
l3_platform() {
    l3_ask outl 0xcf8 0x80000060
    l3_ask outl 0xcfc $((L3_ECAM | 1))
}

# own_stage_1 ADDRESS: the driver's DMA goes through tables of this level
own_stage_1() {
    is "translation type" "$(translation_type "$1")" 1
}
