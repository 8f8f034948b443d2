#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a user without the tests does: unpacks a tarball of ours, runs "make" and
# "make install".  Prints TAP.
#
#   install-test.sh BUILD JOBS [OPTION...]   OPTIONs are configure's
#
# BUILD/full is the build tree, and is kept: a second run compiles what changed.

set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)
build=$(cd "$1" && pwd -P)
jobs=$2
shift 2
. "$top/scripts/nested/common.sh"
. "$top/scripts/nested/firmware.sh"
version=$(cat "$top/VERSION")
name=qemu-nested-$version
tree=$build/full
unpacked=$build/full-source
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tap_lines=40
. "$top/tests/build/tap.sh"

rm -rf "$unpacked"
mkdir -p "$unpacked"
"$top/scripts/nested/dist.sh" "$work" >"$work/log" 2>&1 &&
    tar -C "$unpacked" --strip-components=1 -xf "$work/$name.tar.gz"
result $? "a tarball is made and unpacked"

made() {
    make -C "$unpacked" BUILD="$tree" JOBS="$jobs" CONFIGURE_ARGS="$*" \
        DESTDIR="$work/root" install
}
steps "$work/log" made "$@" >&2
result $? "make install builds and installs it"

root=$work/root$(prefix_of "$tree/obj")
says() {
    text=$1
    shift
    "$@" >"$work/log" 2>&1 && grep -qF -- "$text" "$work/log"
}

for arch in x86_64 aarch64; do
    says "(qemu-nested $version)" "$root/bin/qemu-system-$arch" --version
    result $? "qemu-system-$arch is installed, of our version"
    says nested= "$root/bin/qemu-system-$arch" -device \
        "$([ $arch = x86_64 ] && echo intel-iommu || echo arm-smmuv3),help"
    result $? "its IOMMU nests"
done
for tool in qemu-nested-check qemu-nested-top; do
    says $tool "$root/bin/$tool" --help
    result $? "$tool is installed"
    grep -qi "^\.TH $tool 1 .*$version" "$root/share/man/man1/$tool.1" \
        2>"$work/log"
    result $? "with its manual page"
done

printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' |
    timeout 120 "$root/bin/qemu-system-x86_64" -M q35 -accel tcg -vga std -S \
    -display none -serial none -monitor none -qmp stdio \
    -device virtio-net-pci >"$work/log" 2>&1
result $? "it finds the firmware of a PC"

(cd "$work/root" && find . ! -path ".$(prefix_of "$tree/obj")*" -type f) \
    >"$work/log"
[ ! -s "$work/log" ]
result $? "nothing is installed outside its prefix"
echo "1..$nr"
