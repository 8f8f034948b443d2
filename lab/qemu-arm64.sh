#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   qemu-arm64.sh BUILD [JOBS [arm64]]
#
# The QEMU that runs in L1 on Arm: BUILD/lab/arm64/obj/qemu-system-aarch64, from
# the source of the build tree.  Linked statically (the linker warns of functions
# for users and host names, which are not used there), without PIE (its table of
# addresses would be too large), with no devices but those of the lab, and not
# optimized much: a third of the time that it takes to build goes into that.  (GCC
# then does not see that some variables are set.)  Nothing can be preloaded under
# it: lab/programs/omit.c is linked with it, and does nothing unless told to.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd -P)
. "$top/lab/common.sh"

lab_setup "${1:?which build tree?}" arm64
jobs=${2:-$(nproc)}
obj=$lab/obj
omit=$lab/omit.o

qemu_args() {
    cat <<END
--python=$python
--cross-prefix=$CROSS
--cc=${CROSS}gcc --sysroot=$sysroot
--static
--disable-pie
--target-list=aarch64-softmmu
--with-devices-aarch64=nested-lab
--without-default-features
--without-default-devices
--enable-system
--enable-kvm
--enable-fdt=system
--disable-debug-info
--disable-tools
--disable-docs
--disable-install-blobs
-Doptimization=1
--extra-cflags=-Wno-maybe-uninitialized
--extra-ldflags=$omit
END
    # A release tarball is complete; a git tree lacks its subprojects
    case $(cat "$build/src/.nested-base") in
    git-*) ;;
    *) echo --disable-download ;;
    esac
}

cross_configure() {
    wanted=$(qemu_args; cat "$build/src/.nested-base")
    [ "$wanted" = "$(cat "$obj/.nested-configured" 2>/dev/null)" ] && return 0
    rm -rf "$obj"
    mkdir -p "$obj"
    cat >"$obj/pkg-config" <<END
#!/bin/sh
PKG_CONFIG_SYSROOT_DIR=$sysroot
PKG_CONFIG_LIBDIR=$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
exec pkg-config "\$@"
END
    chmod +x "$obj/pkg-config"
    say "configuring QEMU for L1 on Arm in $obj (log: configure.log there)"
    (
        cd "$obj"
        IFS='
'
        set -f
        # shellcheck disable=SC2046
        set -- $(qemu_args)
        PKG_CONFIG=$obj/pkg-config
        export PKG_CONFIG
        unset PYTHONPATH PYTHONHOME
        exec "$build/src/configure" "$@"
    ) >"$obj/configure.log" 2>&1 9>&- || {
        tail -n 20 "$obj/configure.log" >&2
        die "QEMU's configure failed; its whole output: $obj/configure.log"
    }
    printf '%s\n' "$wanted" >"$obj/.nested-configured"
}

omit_build() {
    [ -n "$(find "$top/lab/programs/omit.c" -newer "$omit" 2>&1)" ] || return 0
    rm -f "$obj/qemu-system-aarch64"
    ${CROSS}gcc -std=gnu11 -O2 -Wall -I"$build/src/linux-headers" -c \
        -o "$omit" "$top/lab/programs/omit.c"
}

[ -f "$build/src/.nested-base" ] || die "no source in $build/src: run configure"
cache_writable
sysroot_get
ln -sfn "$sysroot" "$lab/sysroot"
tools_get
# ccache in front, when there
if [ -d /usr/lib/ccache ] && have ccache; then
    PATH=/usr/lib/ccache:$PATH
    export PATH
fi
omit_build
cross_configure
say "building QEMU for L1 on Arm"
steps - ninja -C "$obj" -j "$jobs" qemu-system-aarch64 9>&- ||
    die "QEMU for L1 on Arm does not build"
