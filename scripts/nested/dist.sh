#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dist.sh DIR: the source tarball of ours as DIR/qemu-nested-VERSION.tar.gz, from
# a clone what git has, from an unpacked tarball what that had.

set -eu
LC_ALL=C
export LC_ALL
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/nested/common.sh"

name=qemu-nested-$(cat "$top/VERSION")
out=$1/$name.tar.gz
if [ -e "$top/.git" ]; then
    need git git
    [ -z "$(git -C "$top" status --porcelain --untracked-files=no)" ] ||
        say "note: what is not committed is not in the tarball"
    git -C "$top" archive --format=tar.gz --prefix="$name/" HEAD >"$out.new"
else
    tar -C "$top" --exclude=./build --exclude='./qemu-nested-*.tar.gz*' \
        --exclude=__pycache__ --transform="s,^\.,$name," -czf "$out.new" .
fi
mv "$out.new" "$out"
echo "$out"
