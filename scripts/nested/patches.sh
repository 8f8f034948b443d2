#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The patch queue as a working tree: docs/nested/patches.rst
#
#   patches.sh edit BUILD      lay out BUILD/queue with all patches applied
#   patches.sh refresh BUILD   rewrite every patch in its normal form

set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/nested/common.sh"

cmd=${1:-}
build=${2:-$top/build}
queue=$build/queue

# One line of context: the base is pinned, so a hunk is found by its line
# number, and a hook says little about what surrounds it.
QUILTRC=$build/quiltrc
quilt_setup() {
    need quilt quilt
    cat >"$QUILTRC" <<EOF
QUILT_PATCHES=$top/patches
QUILT_PC=.pc
QUILT_NO_DIFF_INDEX=1
QUILT_NO_DIFF_TIMESTAMPS=1
QUILT_REFRESH_ARGS="-p ab -U 1 --no-timestamps --no-index --sort"
QUILT_DIFF_ARGS="-p ab -U 1 --no-timestamps --no-index --sort"
QUILT_PUSH_ARGS="--fuzz=0"
EOF
}

q() {
    (cd "$queue" && quilt --quiltrc="$QUILTRC" "$@")
}

queue_layout() {
    [ -f "$build/.base-dir" ] || die "no joined tree in $build: run ./configure"
    rm -rf "$queue"
    mkdir -p "$queue"
    # The joined tree less our links, with the patched files as in the base
    tar -C "$build/src" -cf - . | tar -C "$queue" -xf -
    find "$queue" -type l -lname "$top/*" -delete
    base_dir=$(cat "$build/.base-dir")
    while read -r file; do
        if [ -f "$base_dir/$file" ]; then
            cp -p "$base_dir/$file" "$queue/$file"
        else
            rm -f "$queue/$file"
        fi
    done <"$build/.patched"
}

case $cmd in
edit)
    quilt_setup
    queue_layout
    q push -a >/dev/null || [ $? -eq 2 ] ||
        die "the queue does not apply; mend it in $queue with quilt"
    say "the queue is applied in $queue; work there with" \
        "quilt --quiltrc=$QUILTRC (new, edit, add, pop, push, refresh)"
    ;;
refresh)
    quilt_setup
    queue_layout
    for patch in $(cd "$queue" && quilt --quiltrc="$QUILTRC" series |
                   sed 's,.*/,,'); do
        q push >/dev/null || die "patch '$patch' does not apply; mend it in" \
            "$queue with quilt --quiltrc=$QUILTRC"
        q refresh >/dev/null || die "patch '$patch' cannot be refreshed"
    done
    say "refreshed: $(grep -vc '^#' "$top/patches/series") patches"
    ;;
*)
    die "usage: patches.sh edit|refresh [BUILD]"
    ;;
esac
