# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the scenarios are written with.  Runs in busybox's shell, with set -e.

# stage TEXT: where a time-out says that it hung
stage() {
    read -r uptime rest </proc/uptime
    echo "lab: stage $uptime $*"
}

note() {
    echo "lab: note $*"
}

fail() {
    echo "lab: fail $*" >&2
    # What QEMU of L2 had to say is often the reason
    [ ! -s /run/l2.stderr ] || sed 's/^/lab: qemu /' /run/l2.stderr
    exit 1
}

# is WHAT ACTUAL EXPECTED
is() {
    [ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"
    note "$1: $2"
}

seconds() {
    read -r uptime rest </proc/uptime
    echo "${uptime%.*}"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds
wait_for() {
    end=$(($(seconds) + $1 * ${lab_slowness:-1}))
    what=$2
    shift 2
    until "$@"; do
        [ "$(seconds)" -lt "$end" ] || fail "$what did not happen"
        usleep 200000
    done
}

# read_disk N: N reads of 128 KiB, each from the disk
read_disk() {
    done=0
    while [ $done -lt "$1" ]; do
        count=$(($1 - done))
        [ $count -le 50 ] || count=50
        dd if=/dev/nvme0n1 of=/dev/null bs=128k count=$count iflag=direct \
            2>/dev/null
        done=$((done + count))
    done
}

# function_of VENDOR:DEVICE [NUMBER]: address of the first, or NUMBERth, one
function_of() {
    found=0
    for dir in /sys/bus/pci/devices/*; do
        read -r vendor <"$dir/vendor"
        read -r device <"$dir/device"
        [ "${vendor#0x}:${device#0x}" = "$1" ] || continue
        found=$((found + 1))
        [ $found = "${2:-1}" ] && echo "${dir##*/}" && return
    done
    fail "no function $1 here"
}

driver_of() {
    link=$(readlink "/sys/bus/pci/devices/$1/driver") || link=none
    echo "${link##*/}"
}

# bind ADDRESS DRIVER: an empty name takes the driver away and no more
bind() {
    dir=/sys/bus/pci/devices/$1
    [ ! -e "$dir/driver" ] || echo "$1" >"$dir/driver/unbind"
    [ -n "$2" ] || return 0
    echo "$2" >"$dir/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    is "driver of $1" "$(driver_of "$1")" "$2"
}

# reset_function ADDRESS: a function-level reset, and no other kind
reset_function() {
    echo flr >"/sys/bus/pci/devices/$1/reset_method"
    echo 1 >"/sys/bus/pci/devices/$1/reset"
}

# The PGTT field (bits 8:6) of the PASID entry that DMA without PASID goes
# through, as the kernel prints it: 1 is first stage
translation_type() {
    entry=$(awk -v bdf="${1#*:}" '$1 == bdf { print $NF; exit }' \
        /sys/kernel/debug/iommu/intel/dmar_translation_struct)
    low=${entry##*:}
    echo $((low >> 6 & 7))
}

# domain_anew ADDRESS: without a driver, the function gets an empty DMA domain.
# One that was used keeps a table for every 2 MiB that an address was ever of,
# and which those were depends on how fast addresses came back.
domain_anew() {
    for type in identity DMA; do
        echo $type >"/sys/bus/pci/devices/$1/iommu_group/type"
    done
}

# Of all IOMMUs, in use
iommu_pages() {
    awk '$1 == "nr_iommu_pages" { print $2 }' /proc/vmstat
}

# pages_settle: how many are in use when what a dead process had is freed
pages_settle() {
    pages_now=$(iommu_pages)
    until sleep 1; [ "$pages_now" = "$(iommu_pages)" ]; do
        pages_now=$(iommu_pages)
    done
    echo "$pages_now"
}

# pages_return N: as many are in use as before, neither lost nor forgotten
pages_return() {
    pages_end=$(($(seconds) + 20))
    while pages_now=$(iommu_pages); [ "$pages_now" != "$1" ]; do
        [ "$(seconds)" -lt "$pages_end" ] ||
            fail "pages of page tables: $pages_now, were $1"
        usleep 50000
    done
    note "pages of page tables: $pages_now, were $1"
}

SVA_ENGINE=1234:11e9
NVME=1b36:0010

# ------------------------------------------------------------- L1 starts L2

L2_ACCEL=kvm
. "/lab/$(uname -m).sh"
# What a reset does: shutdown ends a kernel that has panicked
L2_REBOOT=shutdown
# More words for L2's kernel, more options of its QEMU
L2_APPEND=
L2_OPTIONS=
# Patterns of trace events, for l1.qemu
L2_TRACE=
L2_MEMORY=256
# Of the functions: nothing is a container of the old kind
L2_BACKEND=,iommufd=iommufd0
# Pattern of what QEMU says on purpose
L2_SAYS='^$'
L2_INITRD=/lab/l2.cpio

# Once L2 has said something: both clocks, ours and what it said of its own
l2_clock() {
    until grep -q '^lab: stage' /run/l2.story; do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    read -r uptime rest </proc/uptime
    sed -n "s/^lab: stage \([0-9.]*\) .*/lab: clock $uptime l2 \1/p;q" \
        /run/l2.story
}

# l2_start ADDRESS...: L2 with these functions assigned.  A character on the
# serial console costs an exit to QEMU, a millisecond here: warnings go there,
# and the whole log into the story in the end.
l2_start() {
    set -- "$@" --
    slot=0
    while [ "$1" != -- ]; do
        slot=$((slot + 1))
        set -- "$@" \
            -device \
            "pcie-root-port,bus=pcie.0,id=port$slot,chassis=$slot,slot=$slot" \
            -device \
            "vfio-pci,id=dev$slot,host=$1,bus=port$slot$L2_BACKEND"
        shift
    done
    shift
    for pattern in $L2_TRACE; do
        set -- "$@" -trace "$pattern"
    done
    rm -f /run/qmp.in /run/qmp.out
    mkfifo /run/qmp.in /run/qmp.out
    : >/run/l2.story
    stage "L2 starts: $L2_IOMMU, accelerator $L2_ACCEL"
    "$L2_QEMU" -L /usr/share/qemu -nodefaults -no-user-config \
        -display none -action "reboot=$L2_REBOOT,shutdown=pause" \
        -msg timestamp=on -D /dev/vport0p4 \
        -M "$L2_MACHINE" -accel "$L2_ACCEL" -cpu "$L2_CPU" -m "$L2_MEMORY" \
        -object iommufd,id=iommufd0 -device "$L2_IOMMU" \
        -chardev file,id=console,path=/dev/vport0p2 -serial chardev:console \
        -chardev file,id=story,path=/run/l2.story,logfile=/dev/vport0p3 \
        -device virtio-serial-pci,disable-legacy=on \
        -device virtserialport,chardev=story,nr=1 \
        -chardev pipe,id=qmp,path=/run/qmp \
        -mon chardev=qmp,mode=control \
        -kernel /lab/kernel -initrd "$L2_INITRD" -append \
        "console=${TTY}0 loglevel=5 panic=-1 $L2_WORDS lab.level=l2 \
lab.scenario=$lab_scenario lab.slowness=${lab_slowness:-1} \
lab.sum=$lab_sum lab.sum1=$lab_sum1 $L2_APPEND" \
        $L2_PLATFORM $L2_OPTIONS "$@" 2>/run/l2.stderr &
    l2_pid=$!
    l2_clock "$l2_pid" &
    cat /run/qmp.out >/run/qmp.log &
    exec 4<>/run/qmp.in
    qmp qmp_capabilities
}

# l2_try IOMMU ADDRESS: QEMU with this function assigned, as far as L2's first
# instruction. What it says is in /run/said
l2_try() {
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' |
        "$L2_QEMU" -L /usr/share/qemu -nodefaults -no-user-config \
            -display none -M "$L2_MACHINE" -accel tcg -m 64 -qmp stdio -S \
            -object iommufd,id=iommufd0 -device "$1" \
            -device "vfio-pci,host=$2,iommufd=iommufd0" \
            >/run/qmp.said 2>/run/said
}

# said WORDS
said() {
    grep -q "$1" /run/said || fail "not \"$1\" but: $(cat /run/said)"
}

# qmp COMMAND [ARGUMENTS]: answers and events get into /run/qmp.log
qmp() {
    echo "{\"execute\": \"$1\", \"arguments\": ${2:-{\}}}" >&4
}

l2_said() {
    grep -q "$1" /run/l2.story
}

l2_gone() {
    ! kill -0 "$l2_pid" 2>/dev/null
}

# A machine that was switched off, or has crashed, stays: it can be asked
l2_off() {
    grep -q '"event": "SHUTDOWN"' /run/qmp.log || l2_gone
}

# answered N: QEMU has answered N queries
answered() {
    [ "$(grep -c '^{"return": \[' /run/qmp.log)" -ge "$1" ] || l2_gone
}

# l2_ready N: N starts of L2 have said so
l2_ready() {
    [ "$(grep -c '^lab: ready' /run/l2.story)" = "$1" ]
}

# l2_stderr [FILE]: what QEMU of L2 printed
l2_stderr() {
    grep -vE "$L2_SAYS" "${1:-/run/l2.stderr}"
}

# What QEMU of L2 says has ended it
l2_reason() {
    sed -n 's/.*"event": "SHUTDOWN".*"reason": "\([^"]*\)".*/\1/p' \
        /run/qmp.log | tail -n 1
}

# l2_registers: of all its CPUs, into the story
l2_registers() {
    qmp human-monitor-command '{"command-line": "info registers -a"}'
    wait_for 5 "an answer of QEMU" grep -q '"return": ".*EFLAGS\|PSTATE' \
        /run/qmp.log
    grep '"return": ".*\(EFLAGS\|PSTATE\)' /run/qmp.log | tail -n 1 |
        sed 's/\\r\\n/\n/g' | sed 's/^/lab: registers /'
}

# l2_quit: QEMU ends when told, and was content
l2_quit() {
    qmp quit
    wait_for 10 "the end of QEMU" l2_gone
    exec 4>&-
    ! l2_stderr || fail "QEMU of L2 printed something"
}

# l2_query: the answer to x-query-nested-iommu, on one line
l2_query() {
    answers=$(grep -c '^{"return": \[' /run/qmp.log || :)
    qmp x-query-nested-iommu
    wait_for 5 "an answer of QEMU" answered "$((answers + 1))"
    sed -n 's/^{"return": \[/NESTED-IOMMU &/p' /run/qmp.log | tail -n 1 |
        tee /run/query
}

# counter NAME: of the first vIOMMU in the last l2_query
counter() {
    tr '{}' '\n\n' </run/query | grep -F "\"name\": \"$1\"" |
        sed -n 's/.*"value": \([0-9]*\).*/\1/p' | head -n 1
}

# l2_end SECONDS: L2 has switched itself off, and was content
l2_end() {
    wait_for "$1" "the end of L2" l2_off
    ! l2_gone || fail "QEMU is gone: $(cat /run/l2.stderr)"
    stage "L2 is off"
    reason=$(l2_reason)
    [ "$reason" = guest-shutdown ] || {
        l2_registers
        fail "L2 did not switch itself off: $reason"
    }
    l2_query
    l2_quit
    l2_said '^lab: exit 0' || fail "L2 is not content"
}
