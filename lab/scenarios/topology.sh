# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: two disks of one group behind a switch, and a function behind a bridge
# timeout: 120
#
# What is behind a bridge has no reset of its own
# allow: ^l1 kernel: pci 0000:00:\S+: unlocked secondary bus reset via:
#
# Functions of one device without ACS are one group
# host: -device pcie-root-port,id=rp2,chassis=3,slot=3
# host: -device x3130-upstream,id=up,bus=rp2
# host: -device xio3130-downstream,id=down,bus=up,chassis=4,slot=4
# host: -drive if=none,id=disk1,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -drive if=none,id=disk2,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -device nvme,bus=down,addr=0.0,multifunction=on,drive=disk1,serial=lab1
# host: -device nvme,bus=down,addr=0.1,multifunction=on,drive=disk2,serial=lab2
# DMA from behind this bridge has the requester id of the bridge.  From behind
# one of PCI Express it is function 0 of the bus, for which Linux 7.3 has no
# entry in scalable mode.  Who reads the port gets the data of the disk.
# host: -device i82801b11-bridge,id=bridge,bus=pcie.0
# host: -device virtio-serial-pci,id=serial1,bus=bridge,addr=3,disable-legacy=on,iommu_platform=on
# host: -chardev file,id=data,path=/dev/null,input-path={folder}/disk
# host: -device virtserialport,bus=serial1.0,chardev=data,nr=1,name=data

VIRTIO_SERIAL=1af4:1043
# Ports in the group of the disks, and whether there is that bridge
PORTS=1
BRIDGE=yes

# group_of ADDRESS
group_of() {
    basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

# kinds_of ADDRESS: how many of its group are functions, and how many bridges
kinds_of() {
    functions=0 bridges=0
    for member in "/sys/bus/pci/devices/$1/iommu_group/devices"/*; do
        case $(cat "$member/class") in
        0x0604*) bridges=$((bridges + 1)) ;;
        *) functions=$((functions + 1)) ;;
        esac
    done
    echo "$functions functions, $bridges bridges"
}

# assigned ADDRESS FUNCTION: options for one function of a slot
assigned() {
    echo "-device vfio-pci,host=$1,bus=multi,addr=0.$2,multifunction=on,iommufd=iommufd0"
}

# of_bridge: the function behind it
of_bridge() {
    [ -z "$BRIDGE" ] || function_of $VIRTIO_SERIAL 2
}

l1() {
    # The third disk is that of every scenario, on a port of its own
    one=$(function_of $NVME)
    two=$(function_of $NVME 2)
    serial=$(of_bridge)
    is "group of the disks" "$(kinds_of "$one")" "2 functions, $PORTS bridges"
    is "group of the other disk" "$(group_of "$two")" "$(group_of "$one")"
    [ -z "$serial" ] || is "group of the bridge" "$(kinds_of "$serial")" \
        "1 functions, 1 bridges"
    for address in "$one" "$two" $serial; do
        bind "$address" vfio-pci
    done
    # One group of the host wants one of L2: functions of one slot
    L2_OPTIONS="-device pcie-root-port,id=multi,chassis=9,slot=9 \
$(assigned "$one" 0) $(assigned "$two" 1)"
    # shellcheck disable=SC2086  # none or one
    l2_start $serial
    l2_end 90
}

# data_of_port: the first MiB
data_of_port() {
    name=$(grep -lx data /sys/class/virtio-ports/*/name)
    dd if="/dev/$(basename "$(dirname "$name")")" bs=64k count=16 \
        iflag=fullblock 2>/dev/null
}

l2() {
    . /lab/nvme.sh
    one=$(function_of $NVME)
    two=$(function_of $NVME 2)
    serial=$(of_bridge)
    is "group of the disks" "$(group_of "$one")" "$(group_of "$two")"
    for address in "$one" "$two" $serial; do
        own_stage_1 "$address"
    done
    for disk in /dev/nvme0n1 /dev/nvme1n1; do
        wait_for 10 "$disk" test -b $disk
        is "checksum of $disk" "$(dd if=$disk bs=128k 2>/dev/null |
            sha256sum)" "$lab_sum  -"
    done
    [ -z "$serial" ] || is "checksum of what the port gives" \
        "$(data_of_port | sha256sum)" "$lab_sum1  -"
}
