#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What it costs the core to find who an invalidation is for, in instructions,
# with two PASIDs bound and with 4,096: the second at most 1.2 times the first.
# Prints TAP.
#
#   lookup-cost.sh TEST-IOMMUFD-INV [REASON TO SKIP]

set -eu
LC_ALL=C
export LC_ALL

# MANY_TIMES of test-iommufd-inv.c
times=256
limit=120

test=${1:?usage: lookup-cost.sh TEST-IOMMUFD-INV [REASON TO SKIP]}
skip=${2:-}
command -v valgrind >/dev/null 2>&1 || skip="valgrind is not installed"

echo 1..1
if [ -n "$skip" ]; then
    echo "ok 1 - look-up cost # SKIP $skip"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Instructions of one iommufd_nested_inv_bound(), and of what it calls
cost() {
    valgrind --tool=callgrind --callgrind-out-file="$work/out" \
        --collect-atstart=no --toggle-collect=iommufd_nested_inv_bound \
        "$test" --tap -p "/iommufd/inv/many/$1" >"$work/log" 2>&1 || {
        sed 's/^/# /' "$work/log" >&2
        return 1
    }
    total=$(sed -n 's/^totals: *\([0-9]*\).*/\1/p' "$work/out")
    echo $((total / times))
}

two=$(cost 2)
many=$(cost 4096)
ratio=$((many * 100 / two))
printf '# %s instructions with 2 PASIDs, %s with 4096: %s.%02d times\n' \
    "$two" "$many" $((ratio / 100)) $((ratio % 100))
if [ "$ratio" -le $limit ]; then
    echo "ok 1 - look-up cost"
else
    echo "not ok 1 - look-up cost: more than $limit percent"
    exit 1
fi
