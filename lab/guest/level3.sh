# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# An L3 that L2 gives the engine to.  QEMU of L2 has L3's memory mapped by L2's
# VFIO, in whatever tables L2's kernel makes.  L3 has no CPU: what its driver
# would do comes through QEMU's qtest channel.

# ------------------------------------------------- L1 starts an L2 that has it

# L2's initramfs, with the QEMU of L1, its libraries and firmware
l3_prepare() {
    stage "an initramfs with QEMU in it"
    cp /lab/l2.cpio /run/l3.cpio
    (cd / && {
        echo usr/share
        for path in "bin/$L2_QEMU" lib lib64 usr/lib usr/share/qemu; do
            [ ! -e "$path" ] || find "$path"
        done
    } | cpio -o -H newc 2>/dev/null) >>/run/l3.cpio
    L2_INITRD=/run/l3.cpio
    L2_MEMORY=512
}

# --------------------------------------------------------------- L2 starts L3

L3_MEMORY=32
L3_SLOT=4
# Simple block of the engine: docs/specs/sva-engine.rst
L3_TO_DEVICE=3
L3_FROM_DEVICE=1
L3_OK=0x1

# l3_ask COMMAND...: its answer gets into $answer. The pipe has no end while we
# have both ends of it, hence the time-out.
l3_ask() {
    echo "$*" >&6
    # shellcheck disable=SC3045  # of busybox
    read -t 60 -r status answer <&7 || fail "QEMU of L3: $(cat /run/l3.stderr)"
    [ "$status" = OK ] || fail "$*: $status $answer"
}

# l3_start ADDRESS: with this function, which its firmware would have set up
l3_start() {
    rm -f /run/qtest.in /run/qtest.out
    mkfifo /run/qtest.in /run/qtest.out
    stage "L3 starts"
    # shellcheck disable=SC2086  # words
    "$L2_QEMU" -L /usr/share/qemu -nodefaults -no-user-config -display none \
        -M $L3_MACHINE -m $L3_MEMORY -accel qtest \
        -chardev pipe,id=qtest,path=/run/qtest -qtest chardev:qtest \
        -qtest-log none -object iommufd,id=iommufd0 \
        -device "vfio-pci,host=$1,iommufd=iommufd0,addr=$L3_SLOT" \
        2>/run/l3.stderr &
    l3_pid=$!
    exec 6<>/run/qtest.in 7<>/run/qtest.out
    l3_platform
    l3_config=$((L3_ECAM + (L3_SLOT << 15)))
    l3_ask readl $l3_config
    is "the function" "$answer" 0x0000000011e91234
    # Base addresses, then memory space and bus mastering
    l3_ask writel $((l3_config + 0x10)) $L3_BAR
    l3_ask writel $((l3_config + 0x14)) 0
    l3_ask writew $((l3_config + 4)) 6
}

# l3_dma COMMAND ADDRESS: result of the transfer of a page gets into $answer
l3_dma() {
    l3_ask writeq $L3_BAR "$2"
    l3_ask writel $((L3_BAR + 8)) "$1"
    for _ in $(seq 100); do
        l3_ask readl $((L3_BAR + 12))
        [ $((answer)) = 0 ] || return 0
        usleep 20000
    done
    fail "the engine does not get ready"
}

# l3_copy FROM TO BYTE: a page of L3's memory, by the engine
l3_copy() {
    l3_ask memset "$1" 4096 "$3"
    l3_ask memset "$2" 4096 0
    l3_dma $L3_TO_DEVICE "$1"
    is "the engine reads $1 of L3" $((answer)) $((L3_OK))
    l3_dma $L3_FROM_DEVICE "$2"
    is "the engine writes $2 of L3" $((answer)) $((L3_OK))
    l3_ask read "$1" 4096
    l3_from=$answer
    l3_ask read "$2" 4096
    [ "$l3_from" = "$answer" ] || fail "what was written is not what was read"
    # Not by zeroes that were not overwritten
    case $answer in
    0x*00000000*) fail "nothing was written" ;;
    esac
}

l3_end() {
    kill "$l3_pid"
    wait_for 10 "the end of L3" l3_gone
    exec 6>&- 7>&-
    ! l2_stderr /run/l3.stderr || fail "QEMU of L3 printed something"
}

l3_gone() {
    ! kill -0 "$l3_pid" 2>/dev/null
}

# l3_life ADDRESS [TYPE]: all over its memory, and beyond.  TYPE is that of the
# translation that VFIO has L2 make, see translation_type.
l3_life() {
    l3_start "$1"
    [ -z "${2:-}" ] || is "translation type" "$(translation_type "$1")" "$2"
    l3_copy $((L3_RAM + 0x1000)) $((L3_RAM + 0x5000)) 0x5a
    l3_copy $((L3_RAM + (L3_MEMORY << 20) - 0x1000)) $((L3_RAM + 0x7000)) 0xa5
    stage "memory that L3 does not have"
    l3_dma $L3_TO_DEVICE $((L3_RAM + (L3_MEMORY << 20)))
    [ $((answer)) != $((L3_OK)) ] || fail "the engine could read it"
    note "result: $answer"
    l3_copy $((L3_RAM + 0x5000)) $((L3_RAM + 0x200000)) 0x33
    l3_end
}
