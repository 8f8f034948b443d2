# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: a disk of L2 is unplugged while it is read, and plugged again
# arch: arm64
# timeout: 300

. /lab/l2-unplug.sh
