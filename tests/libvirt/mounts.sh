#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   mounts.sh ROOT BUILD TESTS COMMAND...
#
# The file system that libvirt sees: ROOT, the devices that do no harm, and what
# is written to is in memory.

set -eu
root=$1
build=$2
tests=$3
shift 3

mount -t proc proc "$root/proc"
mount --bind "$build/obj" "$root/obj"
mount --bind "$tests" "$root/tests"
for dir in run tmp etc var model sys dev; do
    mount -t tmpfs "$dir" "$root/$dir"
done
for node in null zero full random urandom ptmx; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -p "$root/sys/devices/system"
mount --rbind /sys/devices/system "$root/sys/devices/system"
mkdir "$root/dev/pts" "$root/dev/shm"
mount --bind /dev/pts "$root/dev/pts"
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/tests/bin LC_ALL=C \
    HOME=/tmp "$@"
