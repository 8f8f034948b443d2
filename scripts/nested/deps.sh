#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The packages that building and testing need.
#
#   deps.sh check     fail with one message when some are missing
#   deps.sh install   install them (root), or say with which command
#
# Only Debian's are installed and insisted on.  Where there is dnf or pacman, what
# is missing is named.

set -eu
LC_ALL=C
export LC_ALL

# Kept beside what wants it.  Optional: ccache, sphinx.
#
# Names of Debian, dnf (Fedora) and pacman (Arch).  "-": there, it comes with
# another, or with a release of QEMU, or is for Debian's archive.  "?": not known.
PACKAGES='
binutils                binutils                    binutils
gcc                     gcc                         gcc
libc6-dev               glibc-devel,glibc-static    glibc
make                    make                        make
git                     git                         git
curl                    curl                        curl
quilt                   quilt                       quilt
dpkg-dev                -                           -
xz-utils                xz                          xz
perl                    perl                        perl
patch                   patch                       patch
ninja-build             ninja-build                 ninja
pkg-config              pkgconfig                   pkgconf
python3                 python3                     python
python3-venv            -                           -
libglib2.0-dev          glib2-devel                 glib2
libpixman-1-dev         pixman-devel                pixman
libfdt-dev              libfdt-devel                dtc
zlib1g-dev              zlib-devel                  zlib
libncurses-dev          ncurses-devel               ncurses
seabios                 -                           -
ipxe-qemu               -                           -
qemu-system-data        -                           -
qemu-efi-aarch64        edk2-aarch64                edk2-aarch64
util-linux              util-linux                  util-linux
ccache                  ccache                      ccache
valgrind                valgrind                    valgrind
tmux                    tmux                        tmux
flex                    flex                        flex
bison                   bison                       bison
bc                      bc                          bc
lz4                     lz4                         lz4
libelf-dev              elfutils-libelf-devel       libelf
libcap-dev              libcap-devel,libcap-static  libcap
busybox-static          busybox                     busybox
gcc-aarch64-linux-gnu   gcc-aarch64-linux-gnu       aarch64-linux-gnu-gcc
libc6-dev-arm64-cross   ?                           aarch64-linux-gnu-glibc
'

# names COLUMN
names() {
    echo "$PACKAGES" | awk -v column="$1" '$column != "" && $column !~ /^[-?]$/ {
        gsub(/,/, "\n", $column)
        print $column
    }'
}

# unknown COLUMN: Debian's names of what has none there
unknown() {
    echo "$PACKAGES" | awk -v column="$1" '$column == "?" { print $1 }'
}

missing() {
    for package in $(names 1); do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" \
               2>/dev/null) in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}

# other COMMAND COLUMN: reads what is missing there
other() {
    need=$(tr '\n' ' ' | sed 's/ $//')
    [ -n "$need" ] || exit 0
    echo "qemu-nested: packages are missing (not tried on this" \
        "distribution); run as root: $1 $need"
    need=$(unknown "$2" | tr '\n' ' ' | sed 's/ $//')
    [ -z "$need" ] || echo "qemu-nested: not known by which name this" \
        "distribution has, in Debian's: $need"
    exit 0
}

command -v dpkg-query >/dev/null 2>&1 || {
    if command -v dnf >/dev/null 2>&1; then
        for package in $(names 2); do
            rpm -q --quiet --whatprovides "$package" || echo "$package"
        done | other "dnf install" 2
    elif command -v pacman >/dev/null 2>&1; then
        # shellcheck disable=SC2046
        { pacman -T $(names 3) || :; } | other "pacman -S --needed" 3
    else
        echo "qemu-nested: neither a Debian machine nor one with dnf or pacman;" \
            "packages needed, by Debian's names:" $(names 1)
    fi
    exit 0
}

need=$(missing | tr '\n' ' ' | sed 's/ $//')
[ -n "$need" ] || exit 0
install="apt-get install --no-install-recommends $need"

if [ "${1:-}" = install ] && [ "$(id -u)" = 0 ]; then
    echo "qemu-nested: installing $need"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # shellcheck disable=SC2086
    { apt-get update && apt-get install -y --no-install-recommends $need; } \
        >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "qemu-nested: error: cannot install the missing packages;" \
            "run: $install" >&2
        exit 1
    }
    exit 0
fi

echo "qemu-nested: error: packages are missing; run as root: $install" >&2
exit 1
