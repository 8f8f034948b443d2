# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# A VMM that leaves out invalidations of the kinds that L2 names; see
# lab/programs/omit.c

# omit_l1: before l2_start
omit_l1() {
    export LAB_OMIT=/run/omit
    # Where QEMU is not linked with it
    [ ! -e /lib/omit.so ] || export LD_PRELOAD=/lib/omit.so
    echo none >$LAB_OMIT
    mkfifo $LAB_OMIT.in $LAB_OMIT.out
    L2_OPTIONS="$L2_OPTIONS -chardev pipe,id=omit,path=$LAB_OMIT \
-device virtserialport,chardev=omit,nr=2"
    while read -r kind; do
        echo "$kind" >$LAB_OMIT
        echo "$kind" >$LAB_OMIT.in
    done <$LAB_OMIT.out &
}

# omit_l2 KIND,...: each of them matters
omit_l2() {
    vsva --vmm /dev/vport0p2 --only "$1"
}
