#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The packages of "make deb": what is in them, and that they are installed beside
# the distribution's QEMU, run and are removed without a trace.  Prints TAP.
#
#   deb-test.sh BUILD
#
# The machine they are installed on is this one seen through an overlay, in a
# mount namespace: dpkg is the real one, and nothing stays. The distribution's QEMU
# and lintian are installed there, too.

set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)
build=$(cd "$1" && pwd -P)
version=$(cat "$top/VERSION")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tap_lines=40
. "$top/tests/build/tap.sh"

"$top/scripts/nested/deb.sh" "$build" >"$work/log" 2>&1 &&
    debs=$(grep '\.deb$' "$work/log") &&
    [ "$(echo "$debs" | wc -l)" = 3 ]
result $? "the packages are made"
[ "$nr" = 1 ] && [ -n "${debs:-}" ] || { echo "1..1"; exit 1; }

# What the distribution has, or may come to have, has no such names
for deb in $debs; do
    dpkg-deb --fsys-tarfile "$deb" | tar -tf - | grep -v '/$'
done >"$work/files"
grep -v nested "$work/files" >"$work/log"
[ $? = 1 ] && [ -s "$work/files" ]
result $? "no file has a name that another package could have"

sort "$work/files" | uniq -d >"$work/log"
[ ! -s "$work/log" ]
result $? "no file is in two of the packages"

for deb in $debs; do
    dpkg-deb --fsys-tarfile "$deb" | tar --numeric-owner -tvf - |
        awk '$2 != "0/0" || $1 ~ /^.(....w|.......w)/ && $1 !~ /^l/'
done >"$work/log"
[ ! -s "$work/log" ]
result $? "all belongs to root, who alone writes to it"

cp $debs "$work/"
(cd "$work" && sha256sum ./*.deb) >"$work/sums"
"$top/scripts/nested/deb.sh" "$build" >"$work/log" 2>&1 &&
    (cd "$build/deb" && sha256sum -c "$work/sums") >>"$work/log" 2>&1
result $? "made again, they are the same"

# What the machine of the test has besides: packages of this release
fetched() {
    kind=$1
    shift
    mkdir "$work/$kind"
    "$here/fetch.sh" "$build" "$@" >"$work/names" 2>"$work/why" || {
        sed -n 's/^qemu-nested: error: //p' "$work/why" >"$work/$kind/missing"
        return
    }
    xargs -r cp -t "$work/$kind" <"$work/names"
}

if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
    skip "installed and run" "needs root and namespaces"
else
    fetched peers qemu-system-x86 qemu-system-arm
    fetched lintian lintian
    unshare -m "$here/chroot.sh" "$work" "$build" "$version" >"$work/out" 2>&1
    grep -q '^end$' "$work/out" || echo "fail the machine came to its end" \
        >>"$work/out"
    cp "$work/out" "$work/log"
    while read -r word what; do
        case $word in
        pass) result 0 "$what" ;;
        fail) result 1 "$what" ;;
        skip) skip "${what%%: *}" "${what#*: }" ;;
        esac
    done <"$work/out"
fi
echo "1..$nr"
