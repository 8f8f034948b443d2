#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian packages that building and testing need.
#
#   deps.sh check     fail with one message when some are missing
#   deps.sh install   install them (root), or say with which command

set -eu
LC_ALL=C
export LC_ALL

# Kept beside what wants it.  Optional: ccache, sphinx.
PACKAGES='
binutils gcc libc6-dev make
git quilt dpkg-dev xz-utils perl patch
ninja-build pkg-config python3 python3-venv
libglib2.0-dev libpixman-1-dev libfdt-dev zlib1g-dev
seabios ipxe-qemu qemu-system-data qemu-efi-aarch64
util-linux ccache valgrind
flex bison bc lz4 libelf-dev libcap-dev busybox-static
gcc-aarch64-linux-gnu libc6-dev-arm64-cross
'

missing() {
    for package in $PACKAGES; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" \
               2>/dev/null) in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}

command -v dpkg-query >/dev/null 2>&1 || {
    echo "qemu-nested: not a Debian machine; packages needed (Debian's" \
        "names):" $PACKAGES
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
