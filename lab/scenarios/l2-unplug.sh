# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: a disk of L2 is unplugged while it is read, and plugged again
# timeout: 240

. /lab/nvme.sh

plug() {
    qmp device_add "{\"driver\": \"vfio-pci\", \"id\": \"dev1\", \
\"host\": \"$address\", \"iommufd\": \"iommufd0\", \"bus\": \"port1\"}"
}

# removed N: N removals are over
removed() {
    [ "$(grep -c '"DEVICE_DELETED".*"device": "dev1"' /run/qmp.log)" = "$1" ]
}

l1() {
    address=$(function_of $NVME)
    bind "$address" vfio-pci
    l2_start "$address"
    for round in 1 2 3; do
        wait_for 60 "DMA of L2" l2_ready "$round"
        stage "unplugging, round $round"
        qmp device_del '{"id": "dev1"}'
        wait_for 30 "the removal" removed "$round"
        [ $round = 1 ] && pages=$(pages_settle)
        pages_return "$pages"
        stage "plugging, round $round"
        plug
    done
    l2_end 60
    bind "$address" nvme
    wait_for 10 "the disk" test -b /dev/nvme0n1
    is "checksum of the disk" "$(disk_sum)" "$lab_sum"
}

# leaving N: it will, in five seconds, for the Nth time
leaving() {
    [ "$(dmesg | grep -c 'Button press: will power off')" = "$1" ]
}

gone() {
    [ ! -e "/sys/bus/pci/devices/$disk" ]
}

l2() {
    for round in 1 2 3; do
        disk=$(function_of $NVME)
        (while :; do disk_sum >/dev/null; done) &
        reader=$!
        sleep 1
        echo "lab: ready"
        wait_for 30 "the button" leaving "$round"
        kill -KILL "$reader"
        wait_for 30 "the removal" gone
        wait_for 30 "the disk" test -b /dev/nvme0n1
        own_stage_1 "$disk"
        is "checksum of the disk" "$(disk_sum)" "$lab_sum"
    done
}
