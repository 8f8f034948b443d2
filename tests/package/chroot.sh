#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# chroot.sh WORK BUILD VERSION: of deb-test.sh, in a mount namespace.  Prints
# "pass WHAT", "fail WHAT" or "skip WHAT: WHY" for each thing tried, and "end".

set -u
work=$1
build=$2
version=$3
root=$work/m/root
model=tests/iommufd-model/libiommufd-model.so

mkdir "$work/m"
mount -t tmpfs tmpfs "$work/m" && mkdir "$work/m/upper" "$work/m/work" "$root" &&
    mount -t overlay overlay -o \
    "lowerdir=/,upperdir=$work/m/upper,workdir=$work/m/work" "$root" &&
    mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
    mount -t tmpfs tmpfs "$root/tmp" || exit 1
cp -r "$work"/*.deb "$work/peers" "$work/lintian" "$build/obj/$model" "$root/tmp/"
# No service of a package is started
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"

try() {
    what=$1
    shift
    if "$@" >"$work/m/log" 2>&1; then
        echo "pass $what"
    else
        sed 's/^/  /' "$work/m/log"
        echo "fail $what"
    fi
}

inside() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ "$@"
}

# All that is on the machine
files() {
    (cd "$root" && find etc usr opt var/lib -xdev ! -path 'var/lib/dpkg/*' \
        -printf '%p %y %l\n' | sort)
}

# answers PROGRAM OPTION...: it starts, and its main loop answers
answers() {
    program=$1
    shift
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-status"}' \
        '{"execute":"quit"}' |
        inside LD_PRELOAD="${preload:-}" IOMMUFD_MODEL_CONFIG="${config:-}" \
        timeout 120 "$program" -display none -serial none -monitor none -S \
        -qmp stdio "$@" >"$work/m/qmp" 2>&1
    status=$?
    cat "$work/m/qmp"
    [ $status = 0 ] && grep -q '"status"' "$work/m/qmp" &&
        ! grep -qi 'warning\|error' "$work/m/qmp"
}

says() {
    text=$1
    shift
    inside "$@" >"$work/m/said" 2>&1 || return 1
    cat "$work/m/said"
    grep -qF -- "$text" "$work/m/said"
}

# with KIND WHAT COMMAND...: tries, if packages of that kind could be had
with() {
    if [ -e "$work/$1/missing" ]; then
        echo "skip $2: $(cat "$work/$1/missing")"
    else
        shift
        try "$@"
    fi
}

# other KIND: dpkg installs what is not there yet
other() {
    set -- "$work/$1"/*.deb
    [ ! -e "$1" ] || inside sh -c "dpkg -i /tmp/$(basename "${1%/*}")/*.deb"
}

theirs() {
    for arch in x86_64 aarch64; do
        says "QEMU emulator" "qemu-system-$arch" --version || return 1
        ! grep -q qemu-nested "$work/m/said" || return 1
    done
    answers qemu-system-x86_64 -M q35 -accel tcg -vga std -device virtio-net-pci
}

untouched() {
    inside sh -c 'out=$(dpkg -V qemu-system-x86 qemu-system-arm \
        qemu-system-common qemu-system-data) && [ -z "$out" ]'
}

files >"$work/m/before"
try "dpkg installs them" inside sh -c 'dpkg -i /tmp/*.deb'
try "dpkg finds nothing wrong with them" inside sh -c \
    'out=$(dpkg -V qemu-nested-common qemu-nested-x86 qemu-nested-arm) &&
     [ -z "$out" ]'

x86=qemu-system-x86_64-nested
arm=qemu-system-aarch64-nested
for program in $x86 $arm; do
    try "$program is in PATH, of our version" says "(qemu-nested $version)" \
        $program --version
done
try "qemu-nested-check is in PATH" says "Exit status" qemu-nested-check --help
try "qemu-nested-top is in PATH" says "SOCKET is where" qemu-nested-top --help
for program in $x86 $arm qemu-nested-check qemu-nested-top; do
    try "$program has a manual page" inside sh -c \
        "zcat /usr/share/man/man1/$program.1.gz | grep -qi '^\.TH $program 1.*$version'"
done
try "intel-iommu has nested=" says nested= $x86 -device intel-iommu,nested=on,help
try "arm-smmuv3 has nested=" says nested= $arm -device arm-smmuv3,help

# Without -L: a PC has a BIOS, a display and a network card with theirs
try "firmware of a PC is found" answers $x86 -M q35 -accel tcg -vga std \
    -device virtio-net-pci
try "key maps are found" answers $x86 -M q35 -accel tcg -k de
if [ -e "$root/usr/share/AAVMF/AAVMF_CODE.fd" ]; then
    try "firmware of an Arm machine is found" answers $arm -M virt \
        -cpu cortex-a57 -accel tcg -bios edk2-aarch64-code.fd
fi

# A host as the model has it
preload=/tmp/${model##*/}
config='[host];arch=vtd'
try "the README's machine starts" answers $x86 -M q35 -accel qtest -m 4G \
    -device intel-iommu,nested=on -object iommufd,id=iommufd0 \
    -device vfio-pci,host=0000:01:00.0,iommufd=iommufd0
config='[host];arch=smmuv3'
try "one with SMMUv3 starts" answers $arm -M virt -accel qtest -m 4G \
    -device arm-smmuv3,primary-bus=pcie.0,nested=on \
    -object iommufd,id=iommufd0 \
    -device vfio-pci,host=0000:01:00.0,iommufd=iommufd0

remove() {
    inside dpkg -P qemu-nested-x86 qemu-nested-arm qemu-nested-common
}
try "dpkg removes them" remove
files >"$work/m/after"
try "nothing stays" diff "$work/m/before" "$work/m/after"

# Beside the distribution's QEMU, whichever comes first
try "dpkg installs them again" inside sh -c 'dpkg -i /tmp/*.deb'
with peers "the distribution's QEMU is installed beside them" other peers
with peers "that runs" theirs
with peers "so does ours" says "(qemu-nested $version)" $x86 --version
remove >/dev/null 2>&1
with peers "it stays when ours are removed" untouched
files >"$work/m/before"
with peers "ours are installed beside it" inside sh -c 'dpkg -i /tmp/*.deb'
with peers "it is not touched" untouched
with peers "firmware of a PC is found there" answers $x86 -M q35 -accel tcg -vga std \
    -device virtio-net-pci
with peers "and by the distribution's" theirs
remove >/dev/null 2>&1
files >"$work/m/after"
with peers "only ours go" diff "$work/m/before" "$work/m/after"

with lintian "lintian is installed" other lintian
with lintian "lintian has no errors and no warnings" inside sh -c \
    'lintian --allow-root --fail-on error,warning /tmp/*.deb'
echo end
