#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fetch.sh BUILD PACKAGE...: packages of the release of this machine, with all
# that they need and that it has not got. Prints where they are in the cache;
# nothing if they are installed. Nothing is installed.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/lab/common.sh"

lab_setup "${1:?which build tree?}" package
shift
[ "$offline" = no ] || die "--offline was given"
need apt-get apt
# shellcheck disable=SC1091
release=$(. /etc/os-release 2>/dev/null; echo "${VERSION_CODENAME:-sid}")

cache_writable
cache_sweep
private_apt_setup "$cache/apt-$release" "deb $release main" ||
    die "apt has no Debian archive among its sources"
: >"$apt_dir/log"
private_apt apt-get --error-on=any update ||
    die "$(apt_reason "apt-get update failed")"

install() {
    : >"$apt_dir/log"
    private_apt apt-get -y --no-install-recommends "$@" ||
        die "$(apt_reason "no $*")"
}
# As if nothing were in the cache: all of them are named
mkdir -p "$tmp/none/partial"
install -o "Dir::Cache::archives=$tmp/none" --print-uris install "$@"
names=$(sed -n "s/^'[^']*' \([^ ]*\.deb\) .*/\1/p" "$apt_dir/log")
install --download-only install "$@"
for name in $names; do
    echo "$apt_dir/cache/archives/$name"
done
