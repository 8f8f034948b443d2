# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: L2 under plain TCG reads and writes an assigned NVMe disk
# arch: arm64
# timeout: 480

. /lab/nvme-tcg.sh
