#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   fetch.sh BUILD SUITE ARCH PACKAGE
#
# What a guest is made of, from Debian's archive: PACKAGE, or the kernel that it
# is the name for, for ARCH. Prints the directory in the cache that has boot
# files, modules that NVMe and kexec on Xen may need, busybox, kexec with its
# libraries, and "version". SUITE may be "newest".
#
# What is in the cache is used as it is: remove guest-* there to get newer ones.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/lab/common.sh"

suite=$2
arch=$3
package=$4
lab_setup "${1:?which build tree?}" guests

WANTED='*/vmlinuz* ./boot/xen-*-amd64.gz */bin/busybox */kernel/block/*
*/kernel/crypto/* */kernel/lib/* */kernel/drivers/nvme/common/*
*/kernel/drivers/nvme/host/* */kernel/arch/*/crypto/* */kernel/arch/*/lib/*
*/kernel/drivers/xen/xen-privcmd.ko*
*/sbin/kexec */lib/*/ld-linux-*.so.* */libc.so.6 */libxencall.so.*
*/libxenctrl.so.* */libxendevice*.so.* */libxenevtchn.so.* */libxenforeign*.so.*
*/libxengnttab.so.* */libxentool*.so.* */libz.so.*'

KEXEC_LIBRARIES='libc6 libxenmisc4.17 libxentoollog1 libxencall1 libxenevtchn1
libxengnttab1 libxenforeignmemory1 libxendevicemodel1 libxentoolcore1 zlib1g'

guest=$cache/guest-$suite-$arch-$package-$(echo "$WANTED$KEXEC_LIBRARIES" |
    sha256sum | cut -c1-12)

apt() {
    private_apt "$@" -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
}

field() {
    : >"$apt_dir/log"
    apt apt-cache show "$1" || return 1
    sed -n "s/^$2: //p" "$apt_dir/log" | head -n 1
}

# needs PACKAGE KIND: the packages linux-KIND-VERSION that it depends on
needs() {
    field "$1" Depends | tr -d ' ' | tr ',' '\n' |
        sed -n "s/^\\(linux-\\($2\\)-[0-9][^(]*\\).*/\\1/p" | sort -u
}

# get_from: from the suite $from
get_from() {
    rm -rf "$tmp/apt" "$tmp/deb" "$tmp/guest"
    mkdir "$tmp/deb" "$tmp/guest"
    private_apt_setup "$tmp/apt" "deb $from main" || {
        note_failure "$from" "apt has no Debian archive among its sources"
        return 1
    }
    apt apt-get --error-on=any update || {
        note_failure "$from" "$(apt_reason "apt-get update failed")"
        return 1
    }
    names=$package
    case $package in
    linux-image-amd64 | linux-image-arm64)
        # A kernel, which may be a package of its own, and one of modules
        names=$(needs "$package" image)
        names="$names $(needs "$names" 'binary\|modules')" ;;
    kexec-tools)
        names="$package $KEXEC_LIBRARIES" ;;
    esac
    version=$(field "${names%% *}" Version)
    # shellcheck disable=SC2015,SC2086
    [ -n "$version" ] && (cd "$tmp/deb" && apt apt-get download $names) || {
        note_failure "$from" "$(apt_reason "no $package")"
        return 1
    }
    for deb in "$tmp"/deb/*.deb; do
        (set -f
        # shellcheck disable=SC2086
        dpkg-deb --fsys-tarfile "$deb" |
            tar -C "$tmp/guest" --wildcards -xf - $WANTED 2>/dev/null || :)
    done
    [ -n "$(find "$tmp/guest" -type f | head -n 1)" ] || {
        note_failure "$from" "$package has nothing for a guest"
        return 1
    }
    echo "$version" >"$tmp/guest/version"
    mv "$tmp/guest" "$guest"
}

if [ ! -d "$guest" ]; then
    [ "$offline" = no ] || die "no ${guest##*/} in $cache, and --offline was" \
        "given"
    need apt-get apt
    need dpkg-deb dpkg
    cache_writable
    cache_sweep
    case $suite in
    newest) suites='trixie-backports sid' ;;
    *) suites=$suite ;;
    esac
    for from in $suites; do
        get_from && break
    done
    [ -d "$guest" ] || die "no $package of $suite to be had. Tried:$tried"
fi
echo "$guest"
