#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A distribution's QEMU, unpacked and not installed, to run our tests on.
#
#   distro-qemu.sh SUITE DIR   e.g. trixie, sid: makes DIR/qemu-system-x86_64
#                              and -aarch64, which run it with its own libraries

set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/common.sh"
. "$here/base.sh"

[ $# = 2 ] || die "usage: distro-qemu.sh SUITE DIR"
mkdir -p "$2"
dir=$(cd "$2" && pwd -P)
root=$dir/root

need dpkg-deb dpkg
private_apt_setup "$dir/apt" "deb $1 main" ||
    die "apt has no Debian archive among its sources"
private_apt apt-get --error-on=any update ||
    die "$(apt_reason "apt-get update failed")"
: >"$apt_dir/log"
# As if nothing were installed: down to the C library, all is of that suite
: >"$apt_dir/nothing"
private_apt apt-get -o "Dir::State::status=$apt_dir/nothing" -y \
    --no-install-recommends --download-only \
    install qemu-system-x86 qemu-system-arm ||
    die "$(apt_reason "no QEMU from $1")"

rm -rf "$root"
mkdir "$root"
for deb in "$apt_dir"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$root"
done
# Before trixie, some packages have /lib apart from /usr/lib
[ ! -d "$root/lib" ] || cp -a "$root/lib/." "$root/usr/lib/"

for arch in x86_64 aarch64; do
    qemu=$dir/qemu-system-$arch
    cat >"$qemu" <<WRAPPER
#!/bin/sh
root='$root'
lib=\$root/usr/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=\$lib/qemu
export QEMU_MODULE_DIR
exec "\$lib/ld-linux-x86-64.so.2" --library-path "\$lib" \\
    "\$root/usr/bin/qemu-system-$arch" -L "\$root/usr/share/qemu" \\
    -L "\$root/usr/share/seabios" -L "\$root/usr/lib/ipxe/qemu" "\$@"
WRAPPER
    chmod +x "$qemu"
    say "$qemu: $("$qemu" --version | head -n 1)"
done
