#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Saved state between our intel-iommu and that of a QEMU without our patches.
#
#   plain-state.sh PLAIN OURS   two qemu-system-x86_64; PLAIN from 10.0 on, as
#                               distro-qemu.sh unpacks it

set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/common.sh"

[ $# = 2 ] || die "usage: plain-state.sh PLAIN OURS"
plain=$1
ours=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# QEMU PROPERTIES ARGUMENT...
run() {
    qemu=$1
    props=$2
    shift 2
    timeout 60 "$qemu" -M pc-q35-10.0,accel=tcg,kernel-irqchip=off,vmport=off \
        -nodefaults -display none -m 64 -S -monitor stdio \
        -device "intel-iommu,$props" "$@"
}

# Asks until the state has been loaded
ask() {
    for _ in $(seq 100); do
        echo 'info status'
        sleep 0.2
        if grep -q 'status: .*prelaunch' "$tmp/out"; then
            break
        fi
    done
    echo quit
}

# ok|refused FROM PROPERTIES TO PROPERTIES
state() {
    rm -f "$tmp/state"
    printf 'migrate file:%s\nquit\n' "$tmp/state" |
        run "$2" "$3" >"$tmp/out" 2>&1 || die "$(cat "$tmp/out")"
    [ -s "$tmp/state" ] || die "nothing saved: $(cat "$tmp/out")"
    : >"$tmp/out"
    got=refused
    if ask | run "$4" "$5" -incoming "file:$tmp/state" >"$tmp/out" 2>&1 &&
        grep -q 'status: .*prelaunch' "$tmp/out"; then
        got=ok
    elif ! grep -q 'load of migration failed' "$tmp/out"; then
        die "$(cat "$tmp/out")"
    fi
    [ $got = "$1" ] || die "$2 $3 to $4 $5 is $got: $(cat "$tmp/out")"
    say "$got: $3 of ${2##*/} to $5"
}

# Newer ones have other names for these, and more
first=scalable-mode=on,fsts=on
more=
case $("$plain" -device intel-iommu,help) in
*x-flts*) first=x-scalable-mode=on,x-flts=on ;;
*pasid-bits=*) more=yes ;;
esac

nested=nested=on,svm=on,device-iotlb=on,x-pasid-mode=on,pasid-bits=20
for props in caching-mode=on "$first,caching-mode=on"; do
    state ok "$plain" $props "$ours" $props
    state ok "$ours" $props "$plain" $props
    state refused "$ours" $nested "$plain" $props
    state refused "$plain" $props "$ours" $nested
done

# Emulated PASIDs are the same; what may come with first-stage tables is loaded,
# and what is saved with it says so
if [ -n "$more" ]; then
    props=scalable-mode=on,pasid-bits=20
    state ok "$plain" $props "$ours" $props
    state ok "$ours" $props "$plain" $props
    for props in $first,caching-mode=on,pasid-bits=20 \
        $first,caching-mode=on,pasid-bits=20,device-iotlb=on,svm=on; do
        state ok "$plain" $props "$ours" $props
        state refused "$ours" $props "$plain" $props
        state refused "$plain" $props "$ours" $first,caching-mode=on,pasid-bits=19
    done
fi
