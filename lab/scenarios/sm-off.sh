# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: L1 without scalable mode: registers that could nest, a kernel that does not
# append: intel_iommu=sm_off
# timeout: 120

# nested=$1: what QEMU says is in /run/said, its end is the result
qemu_with() {
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' |
        "$L2_QEMU" -L /usr/share/qemu -nodefaults -no-user-config \
            -display none -M "$L2_MACHINE" -accel tcg -m 64 -qmp stdio -S \
            -object iommufd,id=iommufd0 -device "intel-iommu,nested=$1" \
            -device "vfio-pci,host=$address,iommufd=iommufd0" \
            >/run/qmp.said 2>/run/said
}

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    iommufd-conformance --flavour vtd --require no-nest
    stage "nested=on is refused, and says what it takes"
    ! qemu_with on || fail "nested=on starts: $(cat /run/said)"
    grep -q "cannot be nested.*sm_on" /run/said || fail "$(cat /run/said)"
    stage "nested=auto does without"
    qemu_with auto || fail "nested=auto ends: $(cat /run/said)"
    grep -q "nested=auto falls back.*sm_on" /run/said ||
        fail "$(cat /run/said)"
}
