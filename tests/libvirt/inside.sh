#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is done with libvirt: each domain is defined, started, looked at, given
# one more device, and destroyed.

MODEL=/obj/tests/iommufd-model/libiommufd-model.so
LOGS=/var/log/libvirt/qemu
count=0
failed=0

# ok WHAT STATUS: a line of TAP, with what libvirt had to say
ok() {
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - $1"
        tail -n 3 /tmp/libvirtd.log "$LOGS/${domain:-none}.log" 2>/dev/null |
            cat /tmp/said - | sed 's/^/# /'
    fi
}

# try WHAT COMMAND...: it succeeds
try() {
    what=$1
    shift
    "$@" >/tmp/said 2>&1
    ok "$what" $?
}

# refuse WHAT WORDS COMMAND...: it does not, and says WORDS
refuse() {
    what=$1
    words=$2
    shift 2
    ! "$@" >/tmp/said 2>&1 && grep -q "$words" /tmp/said
    ok "$what" $?
}

users() {
    cat >/etc/passwd <<END
root:x:0:0:root:/tmp:/bin/sh
libvirt-qemu:x:64055:64055::/tmp:/bin/sh
tss:x:100:100::/tmp:/bin/sh
END
    cat >/etc/group <<END
root:x:0:
tss:x:100:
kvm:x:101:
libvirt-qemu:x:64055:
END
}

# The files of the modelled host: libvirt looks at them itself, too
host() {
    cat >/tmp/host.ini <<END
[model]
run-dir=/model
[host]
arch=$1
container=on
privileged=on
[iommu 0]
[device 0000:01:00.0]
[device 0000:02:00.0]
[device 0000:03:00.0]
END
    rm -rf /model/*
    IOMMUFD_MODEL=/tmp/host.ini LD_PRELOAD=$MODEL ls /dev/vfio >/dev/null 2>&1
}

daemon_start() {
    mkdir -p /etc/libvirt /run/libvirt "$LOGS" /var/lib/libvirt/qemu \
        /var/cache/libvirt/qemu
    ln -sfn /run /var/run
    cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
remember_owner = 0
END
    printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n' \
        >/etc/libvirt/libvirtd.conf
    IOMMUFD_MODEL=/tmp/host.ini LD_PRELOAD=$MODEL \
        libvirtd >>/tmp/libvirtd.log 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        virsh version >/dev/null 2>&1 && return
        sleep 0.1
    done
    sed 's/^/# /' /tmp/libvirtd.log
    echo "Bail out! libvirtd does not answer"
    exit 1
}

daemon_stop() {
    kill "$daemon"
    wait "$daemon" 2>/dev/null
}

virsh() {
    command virsh -q -c qemu:///system "$@"
}

# nested DOMAIN NUMBER: so many devices of it are nested
nested() {
    virsh qemu-monitor-command "$1" '{"execute":"x-query-nested-iommu"}' \
        >/tmp/said 2>&1
    grep -q '^{"return"' /tmp/said &&
        [ "$(grep -o '"rid":{' /tmp/said | wc -l)" = "$2" ]
}

# domain NAME TITLE DEVICES [BUS]: one whose XML is NAME.xml, and whose devices
# are nested; a third one is plugged into root port BUS
domain() {
    domain=$1
    try "$2: defined, and valid" virsh define --validate "/tests/$1.xml"
    try "$2: started" virsh start "$1"
    nested "$1" "$3"
    ok "$2: $3 devices are nested" $?
    if [ -n "${4:-}" ]; then
        sed "s/@BUS@/$4/" /tests/device.xml >/tmp/device.xml
        try "$2: a device is attached" virsh attach-device --live "$1" \
            /tmp/device.xml
        nested "$1" $(($3 + 1))
        ok "$2: and nested" $?
    fi
    [ "$3" = 0 ] || refuse "$2: not saved, with the reason" \
        'assigned\|migrat\|VFIO' virsh save "$1" /tmp/state
    try "$2: destroyed" virsh destroy "$1"
    try "$2: forgotten" virsh undefine "$1"
}

# What libvirt looks for in a QEMU
capabilities() {
    try "capabilities of $1" virsh domcapabilities --arch "$1" \
        --emulatorbin "/tests/bin/emulator-$1"
}

users
host vtd
daemon_start
echo "# $(virsh version | tr '\n' ' ')"
capabilities x86_64
domain vtd 'VT-d, nested' 2 0x03
domain vtd-fsts 'VT-d, names of QEMU 11.1' 1
domain vtd-plain 'VT-d, shadowed' 0
try "VT-d without devices: started" virsh create /tests/vtd-bare.xml
try "VT-d without devices: saved" virsh save vtd-bare /tmp/state
try "VT-d without devices: restored" virsh restore /tmp/state
try "VT-d without devices: destroyed" virsh destroy vtd-bare
daemon_stop

host smmuv3
daemon_start
capabilities aarch64
domain smmuv3 'two SMMUv3' 2 0x05
daemon_stop
echo "1..$count"
[ $failed = 0 ]
