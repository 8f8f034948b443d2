# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# title: vSVA, and L2's VMM leaves out invalidations of pages: wrong data in L2
# timeout: 150
#
# What processes of L2 find, they would not with hardware that forgets.
# allow: DRHD: handling fault status
# allow: dmar_fault: \d+ callbacks suppressed
# allow: PASID 0x\S+\] .*fault reason 0x59. SM: Present bit in PASID Table Entry
# allow: New fault is not recorded due to compression of faults

l1() {
    address=$(function_of $SVA_ENGINE)
    bind "$address" vfio-pci
    L2_SAYS='^omit: '
    export LD_PRELOAD=/lib/omit.so LAB_OMIT=pages
    l2_start "$address"
    unset LD_PRELOAD
    l2_end 130
    grep -q '^omit: ' /run/l2.stderr || fail "nothing was left out"
}

l2() {
    if vsva --only protect,replace,move >/run/vsva.said 2>&1; then
        fail "every invalidation of pages is left out, and nothing is wrong"
    fi
    wrong=$(grep -c '"test":.*"ok":false' /run/vsva.said)
    [ "$wrong" -gt 0 ] || fail "not wrong data, but: $(cat /run/vsva.said)"
    note "$wrong tests found wrong data: $(grep -m 1 '"test":.*"ok":false' \
        /run/vsva.said | sed 's/"ok":false/"ok": false/')"
}
