# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: two functions of L2 change drivers there, and are reset
# arch: arm64
# timeout: 400
#
# As for l2-rebind
# allow: I/O error, dev nvme0n1, sector \d+ op 0x0:\(READ\) flags 0x80700\b
# It ends with "host path error", or "aborted, its queue is deleted".
# allow: nvme0n1: I/O Cmd\(0x2\) @ LBA .* I/O Error \(sct 0x3 / sc 0x71\)
# allow: nvme0n1: I/O Cmd\(0x2\) @ LBA .* I/O Error \(sct 0x0 / sc 0x8\)

. /lab/l2-rebind.sh

# VFIO of L2 wants to know that the window for interrupts may be used otherwise
L2_OPTIONS="$UEFI $USER_MSI"
