#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# install.sh BUILD [DESTDIR]: what is built in BUILD to where it was configured
# for, with links to the machine's firmware (see firmware.sh) in its data
# directory, and the manual page of a program of ours.

set -eu
LC_ALL=C
export LC_ALL
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/nested/common.sh"
. "$top/scripts/nested/firmware.sh"

obj=$1/obj
dest=${2:-}
[ -f "$obj/build.ninja" ] || die "no build in $1: run make"
case $dest in "" | /*) ;; *) dest=$PWD/$dest ;; esac

"$obj/pyvenv/bin/meson" install -C "$obj" --no-rebuild --quiet \
    --destdir "$dest/" || die "cannot install to '$dest/'"
share=$(prefix_of "$obj")/share
firmware_copy "$obj/qemu-bundle$share/qemu" "$dest$share/qemu"
mkdir -p "$dest$share/man/man1"
for tool in qemu-nested-check qemu-nested-top; do
    sed "s/@VERSION@/$(cat "$top/VERSION")/" "$top/docs/nested/$tool.1" \
        >"$dest$share/man/man1/$tool.1"
done
