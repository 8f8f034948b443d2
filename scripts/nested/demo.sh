#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   demo.sh BUILD JOBS
#
# make demo: build what is missing of the emulator and of the lab, run the
# scenario in which a process of a nested guest shares its address space with a
# device, and tell what happened.

set -eu
LC_ALL=C
export LC_ALL
unset CDPATH

top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/nested/common.sh"

build=$1
jobs=$2
cd "$top"

say "1 of 3: the emulator ($build/obj/qemu-system-x86_64)"
if [ -f "$build/configure.args" ]; then
    ./configure --refresh --build-dir="$build"
else
    ./configure --slim --build-dir="$build"
fi
steps - ninja -C "$build/obj" -j "$jobs" qemu-system-x86_64 ||
    die "the emulator does not build"

say "2 of 3: the lab: emulated host, Linux, this QEMU in it, Linux again"
status=0
lab/run --build="$build" --jobs="$jobs" --progress vsva || status=$?
run=$build/lab/runs/vsva

say "3 of 3: what happened"
[ -d "$run" ] || exit 1
python3 lab/report.py --html "$build/lab/report.html" "$run" || status=1
say "the same as a page: $build/lab/report.html; all logs: $run"
exit $status
