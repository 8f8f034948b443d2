# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: the kernel's own iommufd selftests
# timeout: 300
#
# Memory that cannot be had is what they are about
# allow: ^l1 kernel: kobject:
# allow: iommufd_mock iommufd_mock\d+: .*-12$

l1() {
    echo 64 >/proc/sys/vm/nr_hugepages
    selftest-iommufd
    stage "with injected failures"
    selftest-iommufd_fail_nth
}
