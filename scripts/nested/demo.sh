#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make demo: until the lab is here there is nothing to show, and that is said.

cat >&2 <<'EOF'
qemu-nested: error: the live demonstration is not in this version.

What "make demo" is for: on a machine without any special hardware it starts an
emulated host whose IOMMU can nest, Linux with /dev/iommu on it, this QEMU with
an assigned device in that, and a Linux guest in which a process shares its
address space with the device; then it shows every page fault on its way.

What runs today: make check
EOF
exit 1
