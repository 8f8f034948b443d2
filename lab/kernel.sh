#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   kernel.sh [--fetch-only] BUILD [JOBS [ARCH]]
#
# The kernel of L1 and L2, and the kernel's own iommufd selftests, from Debian's
# linux-source package, or where there is none from a release:
# BUILD/lab/ARCH/linux/{IMAGE,config,version,selftests/}.  ARCH is x86_64, arm64
# or arm64-64k, IMAGE bzImage or Image.
#
# In the cache directory: the source (linux-source-VERSION.tar.xz), and what was
# built of it with one list of options.  Of another source, LAB_LINUX_SRC names a
# tarball; or LAB_LINUX_URL where to fetch one, once, and LAB_LINUX_SHA256 its
# checksum.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd -P)
. "$top/lab/common.sh"

# Suites of Debian that have had a kernel with all that is needed, and the
# oldest such series
SUITES='trixie-backports sid'
SERIES_MIN=7
# Where there is no Debian archive: one that all scenarios have passed with
LINUX_VERSION=7.3.4
LINUX_URL=${QEMU_NESTED_LINUX_URL:-https://cdn.kernel.org/pub/linux/kernel/\
v${LINUX_VERSION%%.*}.x/linux-$LINUX_VERSION.tar.xz}

fetch_only=
[ "${1:-}" != --fetch-only ] || {
    fetch_only=yes
    shift
}
arch=${3:-x86_64}
lab_setup "${1:?which build tree?}" "$arch"
jobs=${2:-$(nproc)}
options=$top/lab/kernel/$arch.config
selftest_dmabuf=$top/lab/kernel/selftest-dmabuf.c
case $arch in
x86_64)
    image=arch/x86/boot/bzImage
    cross=
    ;;
arm64 | arm64-64k)
    image=arch/arm64/boot/Image
    cross=$CROSS
    ;;
*)
    die "no kernel for '$arch' here" ;;
esac

# source_from_cache: the newest that is there
source_from_cache() {
    source=$(find "$cache" -maxdepth 1 -name 'linux-source-*.tar.xz' \
        2>/dev/null | sort -V | tail -n 1)
    [ -n "$source" ]
}

# newest_package SUITE: "linux-source-7.3 7.3.4-1~bpo13+1"
newest_package() {
    : >"$apt_dir/log"
    private_apt apt-cache search --names-only '^linux-source-[0-9.]+$' || :
    name=$(sed -n 's/^\(linux-source-[0-9.]*\) .*/\1/p' "$apt_dir/log" |
        sort -V | tail -n 1)
    series=${name#linux-source-}
    [ -n "$name" ] && [ "${series%%.*}" -ge "$SERIES_MIN" ] || return 1
    : >"$apt_dir/log"
    private_apt apt-cache show "$name"
    version=$(sed -n 's/^Version: //p' "$apt_dir/log" |
        sort -V | tail -n 1)
    [ -n "$version" ]
}

source_from_debian() {
    have apt-get || {
        note_failure "Debian package" "no apt-get on this machine"
        return 1
    }
    for suite in $SUITES; do
        rm -rf "$tmp/apt" "$tmp/deb"
        mkdir "$tmp/deb"
        private_apt_setup "$tmp/apt" "deb $suite main" || {
            note_failure "Debian package" \
                "apt has no Debian archive among its sources"
            return 1
        }
        private_apt apt-get --error-on=any update || {
            note_failure "$suite" "$(apt_reason "apt-get update failed")"
            continue
        }
        newest_package || {
            note_failure "$suite" "no linux-source of $SERIES_MIN.0 or later"
            continue
        }
        say "getting $name $version of $suite (160 MB)"
        (cd "$tmp/deb" && private_apt apt-get download "$name=$version") || {
            note_failure "$suite" "$(apt_reason "download failed")"
            continue
        }
        dpkg-deb --fsys-tarfile "$tmp"/deb/*.deb |
            tar -xOf - "./usr/src/$name.tar.xz" >"$tmp/source"
        source=$cache/linux-source-$version.tar.xz
        mv "$tmp/source" "$source"
        return 0
    done
    return 1
}

# source_from_url URL FILE [SUM]: a release, which comes to be FILE in the cache
source_from_url() {
    source=$cache/$2
    fetch_release "$1" "$tmp/source" LAB_LINUX_SHA256 "${3:-}" || return 1
    series=$(tar -xOf "$tmp/source" --wildcards --no-wildcards-match-slash \
        --occurrence=1 '*/Makefile' 2>/dev/null |
        sed -n 's/^VERSION = \([0-9]*\)$/\1/p')
    [ "${series:-0}" -ge "$SERIES_MIN" ] || {
        note_failure "release tarball" \
            "$1: not a tarball of Linux $SERIES_MIN.0 or later"
        return 1
    }
    mv "$tmp/source" "$source"
}

source_get() {
    source=${LAB_LINUX_SRC:-}
    url=${LAB_LINUX_URL:-}
    [ -z "$source" ] || [ -z "$url" ] || die "LAB_LINUX_SRC=$source and" \
        "LAB_LINUX_URL=$url name two sources: give one"
    [ -z "${LAB_LINUX_SHA256:-}" ] || [ -n "$url" ] || die \
        "LAB_LINUX_SHA256 is the checksum of what LAB_LINUX_URL names: give both"
    if [ -n "$source" ]; then
        [ -f "$source" ] || die "LAB_LINUX_SRC=$source: no such file"
        return 0
    fi
    if [ -n "$url" ]; then
        name=linux-url-$(echo "$url" | sha256sum | cut -c1-16)
        source=$cache/$name
        [ ! -f "$source" ] || return 0
    else
        source_from_cache && return 0
    fi
    if [ "$offline" = yes ]; then
        note_failure download "--offline was given"
    elif [ -n "$url" ]; then
        source_from_url "$url" "$name" "${LAB_LINUX_SHA256:-}" && return 0
    else
        source_from_debian && return 0
        source_from_url "$LINUX_URL" "linux-source-$LINUX_VERSION.tar.xz" &&
            return 0
    fi
    die "no Linux source to be had. Tried:$tried
What to do: check the network, give a tarball with LAB_LINUX_SRC=PATH, or
another release with LAB_LINUX_URL=URL"
}

# Of what no option here turns on, only the Kconfig files are wanted
UNUSED='sound samples drivers/accel drivers/comedi drivers/crypto drivers/gpu
drivers/hid drivers/hwmon drivers/iio drivers/infiniband drivers/media
drivers/mtd drivers/net drivers/s390 drivers/scsi drivers/staging fs/btrfs
fs/ceph fs/nfs fs/ocfs2 fs/smb fs/xfs net/bluetooth net/mac80211
net/netfilter net/wireless'

unpack() {
    set --
    for dir in $UNUSED; do
        set -- "$@" --exclude="*/$dir/*.[ch]"
    done
    mkdir "$tmp/linux"
    tar -C "$tmp/linux" --strip-components=1 "$@" \
        --exclude='*/arch/*/boot/dts/*/*' --exclude='*/Documentation/*.*' \
        --exclude='*/tools/perf/*' --exclude='*/tools/testing/*/*/*/*' \
        -xf "$source"
}

kmake() {
    steps "$log" make -C "$tmp/linux" O="$tmp/obj" ARCH="${arch%%-*}" \
        CROSS_COMPILE="$cross" -j "$jobs" "$@" 9>&- || {
        tail -n 20 "$log" >&2
        die "the kernel does not build (make $*); all messages: $log"
    }
}

# kconfig drops silently what cannot be
check_options() {
    lost=$(grep '^CONFIG_' "$options" | while IFS= read -r line; do
        case $line in
        *=n) ! grep -q "^${line%n}" "$tmp/obj/.config" ;;
        *) grep -qxF "$line" "$tmp/obj/.config" ;;
        esac || echo "$line"
    done)
    [ -z "$lost" ] || die "this kernel source cannot be built with:
$lost"
}

selftest() {
    # shellcheck disable=SC2086
    $compiler -O2 -w -static -D_GNU_SOURCE= -isystem "$tmp/obj/usr/include" \
        -I "$tests" -I "$tmp/linux/drivers/iommu/iommufd" \
        -o "$tmp/out/selftests/$1" "$tests/iommu/$1.c" "$selftest_dmabuf" \
        -Wl,--wrap=ioctl -lcap \
        >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        die "the kernel's selftest $1 does not build (libcap-dev missing?)"
    }
}

build_kernel() {
    need flex flex
    need bison bison
    need bc bc
    need lz4 lz4
    compiler=cc
    [ -z "$cross" ] || compiler="${cross}gcc --sysroot=$sysroot"
    log=$lab/kernel.log
    : >"$log"
    say "unpacking ${source##*/}"
    unpack
    say "building the lab's $arch kernel, some 8 minutes on 2 cores (log: $log)"
    KCONFIG_ALLCONFIG=$options
    export KCONFIG_ALLCONFIG
    kmake allnoconfig
    check_options
    kmake "${image##*/}"
    kmake headers
    mkdir -p "$tmp/out/selftests"
    tests=$tmp/linux/tools/testing/selftests
    if grep -qx CONFIG_IOMMUFD_TEST=y "$options"; then
        selftest iommufd
        selftest iommufd_fail_nth
    fi
    cp "$tmp/obj/$image" "$tmp/out/"
    cp "$tmp/obj/.config" "$tmp/out/config"
    cp "$tmp/obj/include/config/kernel.release" "$tmp/out/version"
    rm -rf "$kernel"
    mv "$tmp/out" "$kernel"
}

source_key() {
    case $source in
    "$cache"/linux-source-*) source_id=${source##*/linux-source-} ;;
    *) source_id=$(sha256sum <"$source" | cut -c1-16) ;;
    esac
    echo "${source_id%.tar.xz}-$(cat "$options" "$selftest_dmabuf" | sha256sum |
        cut -c1-12)"
}

cache_writable
cache_sweep
source_get
[ -z "$fetch_only" ] || {
    say "Linux source: $source"
    exit 0
}
if [ -n "$cross" ]; then
    sysroot_get
    ln -sfn "$sysroot" "$lab/sysroot"
fi
kernel=$cache/linux-$arch-$(source_key)
[ -f "$kernel/${image##*/}" ] || build_kernel
ln -sfn "$kernel" "$lab/linux"
