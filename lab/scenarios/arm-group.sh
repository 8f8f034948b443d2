# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: Arm: two disks of one IOMMU group
# arch: arm64
# timeout: 150
#
# As in topology.sh, but on a port with ACS, which is in a group of its own.  Of
# every member of a group Linux (7.3) wants a vDEVICE, and a port has none.
# host: -device pcie-root-port,bus=pcie.0,id=rp2,chassis=3,slot=3
# host: -drive if=none,id=disk1,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -drive if=none,id=disk2,format=raw,snapshot=on,file.locking=off,file={folder}/disk
# host: -device nvme,bus=rp2,addr=0.0,multifunction=on,drive=disk1,serial=lab1
# host: -device nvme,bus=rp2,addr=0.1,multifunction=on,drive=disk2,serial=lab2

. /lab/topology.sh

PORTS=0
# What is behind one has two StreamIDs, which Linux does not nest either
BRIDGE=
