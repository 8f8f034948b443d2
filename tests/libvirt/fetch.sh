#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   fetch.sh BUILD
#
# libvirt of Debian's backports with all that it needs, unpacked and not
# installed: prints the directory in the cache. QEMU's package comes along for
# its firmware. What is in the cache is used as it is: remove libvirt-* there to
# get a newer one.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/lab/common.sh"

lab_setup "${1:?which build tree?}" libvirt

RELEASE=trixie
PACKAGES='libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
qemu-system-x86 bash coreutils grep sed'

root=$cache/libvirt-$RELEASE-backports-$(echo "$PACKAGES" | sha256sum |
    cut -c1-12)
if [ ! -d "$root" ]; then
    [ "$offline" = no ] || die "no ${root##*/} in $cache, and --offline was" \
        "given"
    need apt-get apt
    need dpkg-deb dpkg
    cache_writable
    cache_sweep
    private_apt_setup "$tmp/apt" "deb $RELEASE main" \
        "deb $RELEASE-backports main" ||
        die "apt has no Debian archive among its sources"
    private_apt apt-get --error-on=any update ||
        die "$(apt_reason "apt-get update failed")"
    # As if nothing were installed: down to the C library, all is of that suite
    : >"$apt_dir/nothing"
    : >"$apt_dir/log"
    # shellcheck disable=SC2086
    private_apt apt-get -o "Dir::State::status=$apt_dir/nothing" -y \
        --no-install-recommends --download-only -t "$RELEASE-backports" \
        install $PACKAGES || die "$(apt_reason "no libvirt")"
    mkdir "$tmp/root"
    for deb in "$apt_dir"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$tmp/root"
    done
    # What things are mounted on, and what maintainer scripts would have made
    (cd "$tmp/root" && mkdir -p proc sys dev run tmp etc var model obj tests &&
        ln -sf bash usr/bin/sh)
    mv "$tmp/root" "$root"
fi
echo "$root"
