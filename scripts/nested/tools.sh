# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: a Python that has what QEMU's build system wants,
# meson >= 1.5 and pycotap.  Where the system's are missing or too old, those
# of the release's backports, or of a release that has no need of these, are used
# from BUILD/tools; nothing is installed.

MESON_MIN='(1, 5)'

has_meson() {
    "$1" - <<EOF 2>/dev/null
import pycotap
from mesonbuild import coredata
v = tuple(int(x) for x in coredata.version.split('.')[:2])
raise SystemExit(v < $MESON_MIN)
EOF
}

# QEMU's configure makes a virtual environment of it
python_usable() {
    "$1" -c 'import sys, venv, ensurepip
raise SystemExit(sys.version_info < (3, 9))' 2>/dev/null
}

# The Debian python first: another one in PATH (pyenv, a virtual environment)
# sees neither Debian's meson nor its sphinx.
python_find() {
    if [ -n "$python" ]; then
        python_usable "$python" || die "--python=$python is not a" \
            "Python >= 3.9 with the venv module (package python3-venv)"
        return 0
    fi
    for python in /usr/bin/python3 "$(command -v python3 || :)"; do
        [ -n "$python" ] && python_usable "$python" && return 0
    done
    die "no Python >= 3.9 with the venv module: install package" \
        "'python3-venv' ('make deps' installs all that is needed)"
}

# python_modules_fetch: meson and pycotap as $cache/python-modules
python_modules_fetch() {
    modules=$cache/python-modules
    [ -d "$modules" ] && return 0
    what="meson >= 1.5 and pycotap are missing"
    [ "$offline" = no ] || die "$what, and --offline was given"
    cache_writable
    backports_get "$tmp/x" meson python3-pycotap || {
        why=$suite_why
        release_get "$tmp/x" meson python3-pycotap
    } || die "$what, and could not be fetched: $why; $suite_why"
    rm -rf "$modules"
    mv "$tmp/x/usr/lib/python3/dist-packages" "$modules"
}

tools_get() {
    need ninja ninja-build
    need cc gcc
    need pkg-config pkg-config
    python_given=$python
    python_find
    has_meson "$python" && return 0

    tools=$build/tools
    if ! has_meson "$tools/bin/python3"; then
        python_modules_fetch
        rm -rf "$tools"
        "$python" -m venv --without-pip --system-site-packages "$tools" ||
            die "$python cannot make a virtual environment in $tools"
        site=$("$tools/bin/python3" -c \
            'import sysconfig; print(sysconfig.get_path("purelib"))')
        cp -R "$modules/." "$site/"
        # QEMU's configure takes meson for present when its program is
        cat >"$tools/bin/meson" <<EOF
#!$tools/bin/python3
import sys
from mesonbuild.mesonmain import main
sys.exit(main())
EOF
        chmod +x "$tools/bin/meson"
        has_meson "$tools/bin/python3" ||
            die "meson in $tools does not work with $python"
    fi
    python=$tools/bin/python3
}
