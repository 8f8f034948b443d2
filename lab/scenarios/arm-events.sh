# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: translation faults, with PASID and without, are events of L2's SMMU
# arch: arm64
# timeout: 150
#
# What the driver of L2 says of an event
# allow: ^l2 kernel: .*arm-smmu-v3 \S+: event 0x10 received:
# allow: ^l2 kernel: .*arm-smmu-v3 \S+: \s*0x[0-9a-f]{16}$
# allow: ^l2 kernel: .*arm-smmu-v3 \S+: event: F_TRANSLATION client: 0000:\S+ sid:
# allow: ^l2 kernel: .*arm-smmu-v3 \S+: unpriv data (read|write) s1 "

# With ATS the engine asks first, and a translation that there is not is its
# answer, not an event
l1() {
    L2_IOMMU=$L2_IOMMU,ats=off
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    l2_start "$address"
    l2_end 100
    events=$(counter events-in)
    [ "$events" -ge 2 ] || fail "$events events came from the host"
    is "events that the host has lost" "$(counter events-lost)" 0
}

# event_of SSID IOVA KIND: L2's kernel has told of it
event_of() {
    dmesg | grep -A 1 "F_TRANSLATION client: $address sid: $sid ssid: $1 \
iova: $2 " | grep -q "unpriv data $3 s1 "
}

# fault IOVA COMMAND KIND: the engine's simple block goes to where nothing is
fault() {
    devmem "$bar" 64 "$1"
    devmem $((bar + 8)) 32 "$2"
    wait_for 10 "an event of $address for the $3 at $1" event_of 0x0 "$1" "$3"
    # SVA_CODE_BUS
    is "result of the $3 at $1" $(($(devmem $((bar + 12)) 32))) 37
}

l2() {
    address=$(function_of $SVA_ENGINE)
    own_stage_1 "$address"
    dir=/sys/bus/pci/devices/$address
    read -r bar rest <"$dir/resource"
    # No driver: it would have something mapped
    is "driver of $address" "$(driver_of "$address")" none
    echo 1 >"$dir/enable"
    # Memory and bus master
    printf '\006' | dd of="$dir/config" bs=1 seek=4 conv=notrunc 2>/dev/null
    bus=${address#*:}
    slot=${bus#*:}
    sid=$(printf '0x%x' $((0x${bus%%:*} << 8 | 0x${slot%.*} << 3 | ${slot#*.})))
    fault 0xdead000 1 write
    fault 0x123456000 3 read
    # A process' pointers to nothing: what the events name is its PASID
    vsva --only nothing,fill >/tmp/vsva || fail "$(cat /tmp/vsva)"
    cat /tmp/vsva
    pasid=$(sed -n 's/.*"pasid":\([0-9]*\),.*/\1/p' /tmp/vsva)
    hole=$(sed -n 's/.*"hole":"\([^"]*\)".*/\1/p' /tmp/vsva)
    [ "$pasid" -gt 0 ] || fail "a process with PASID '$pasid'"
    for kind in read write; do
        wait_for 10 "an event of PASID $pasid for the $kind of $hole" \
            event_of "$(printf '0x%x' "$pasid")" "$hole" $kind
    done
}
