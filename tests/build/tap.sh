# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# TAP for shell scripts, sourced.  What a test had to say is in $work/log, of
# which a failure shows the end: $tap_lines as tail(1) takes it, all if not set.

nr=0

# result STATUS WHAT
result() {
    nr=$((nr + 1))
    if [ "$1" = 0 ]; then
        echo "ok $nr - $2"
    else
        echo "not ok $nr - $2"
        sed 's/^/# /' "$work/log" 2>/dev/null | tail -n "${tap_lines:-+1}"
    fi
}

# skip WHAT WHY
skip() {
    nr=$((nr + 1))
    echo "ok $nr - $1 # SKIP $2"
}
