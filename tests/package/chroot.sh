#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# chroot.sh WORK BUILD VERSION: of deb-test.sh, in a mount namespace.  Prints
# "pass WHAT" or "fail WHAT" for each thing tried, and "end".

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
cp "$work"/*.deb "$build/obj/$model" "$root/tmp/"

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
    try "$program has a manual page" inside sh -c \
        "zcat /usr/share/man/man1/$program.1.gz | grep -q '^\.TH $program 1'"
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

try "dpkg removes them" inside dpkg -P qemu-nested-x86 qemu-nested-arm \
    qemu-nested-common
files >"$work/m/after"
try "nothing stays" diff "$work/m/before" "$work/m/after"
echo end
