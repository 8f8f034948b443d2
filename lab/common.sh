# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by what the lab builds with: the cache of the build tree, a lock, an
# architecture.

LC_ALL=C
export LC_ALL
umask 022
unset CDPATH

. "$top/scripts/nested/common.sh"
. "$top/scripts/nested/base.sh"
. "$top/scripts/nested/tools.sh"

# lab_setup BUILD ARCH: sets build, cache, offline and lab, the directory of
# what is made for that architecture
lab_setup() {
    build=$1
    cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/qemu-nested
    offline=no
    python=
    saved=$(sed -n 's/^--cache-dir=//p' "$build/configure.args" 2>/dev/null ||:)
    [ -n "$saved" ] && cache=$saved
    grep -qx -e --offline "$build/configure.args" 2>/dev/null && offline=yes
    saved=$(sed -n 's/^--python=//p' "$build/configure.args" 2>/dev/null ||:)
    [ -n "$saved" ] && python=$saved

    lab=$build/lab/$2
    mkdir -p "$lab"
    exec 9>"$lab/.lock"
    flock 9
}

# The cross compiler of the ARM lab
CROSS=aarch64-linux-gnu-

# sysroot_get: sets sysroot, libraries of the other architecture and its busybox
#
# Unpacked and not installed: needs no root, adds no architecture to the
# machine, and libfdt-dev is not installable for two at once anyway.  Static
# libraries: they go with the C library of the cross compiler, so they are of
# the release that this machine has.
SYSROOT_PACKAGES='libglib2.0-dev libpcre2-dev zlib1g-dev libfdt-dev libcap-dev
busybox-static'

sysroot_get() {
    need ${CROSS}gcc gcc-aarch64-linux-gnu
    # shellcheck disable=SC1091
    release=$(. /etc/os-release 2>/dev/null; echo "${VERSION_CODENAME:-sid}")
    packages=$(echo $SYSROOT_PACKAGES)
    sysroot=$cache/sysroot-arm64-$release-$(echo "$packages" | sha256sum |
        cut -c1-12)
    [ -d "$sysroot" ] && return 0
    [ "$offline" = no ] || die "no libraries for arm64 in $cache, and" \
        "--offline was given"
    need dpkg-deb dpkg
    private_apt_setup "$tmp/apt-arm64" "deb $release main" ||
        die "no libraries for arm64: apt has no Debian archive among its" \
            "sources"
    say "getting arm64 libraries of $release"
    mkdir "$tmp/deb-arm64" "$tmp/sysroot"
    # shellcheck disable=SC2086
    private_apt apt-get -o APT::Architecture=arm64 \
        -o APT::Architectures=arm64 --error-on=any update &&
        (cd "$tmp/deb-arm64" && private_apt apt-get \
            -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
            download $packages) ||
        die "arm64 libraries cannot be had:" \
            "$(apt_reason "apt-get failed")"
    for deb in "$tmp"/deb-arm64/*.deb; do
        dpkg-deb -x "$deb" "$tmp/sysroot"
    done
    mv "$tmp/sysroot" "$sysroot"
}
