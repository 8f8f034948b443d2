# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# L2 in legacy mode: its drivers' DMA goes through second-stage tables

# No PASID entry: legacy mode, whose context entries name second-stage tables
own_stage_1() {
    is "translation of $1" \
        "$(cat "/sys/bus/pci/devices/$1/iommu_group/type")" DMA
    is "translation type" "$(translation_type "$1")" 0
}
