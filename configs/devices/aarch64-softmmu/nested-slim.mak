# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boards and devices that qemu-nested's tests and lab use (configure --slim).

include nested-slim-base.mak

CONFIG_IOMMUFD_NESTED=y
CONFIG_SVA_ENGINE=y
