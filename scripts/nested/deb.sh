#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deb.sh BUILD: Debian packages of what BUILD is configured for, in BUILD/deb.
# They lie beside the distribution's QEMU: a QEMU finds all that belongs to it
# from where its program is, and ours is in a directory of its own.
#
#   /usr/bin/qemu-system-ARCH-nested   links to the programs in
#   /usr/lib/qemu-nested               the prefix, and its share is
#   /usr/share/qemu-nested

set -eu
LC_ALL=C
export LC_ALL
umask 022
top=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$top/scripts/nested/common.sh"
. "$top/scripts/nested/firmware.sh"

build=$(cd "$1" && pwd -P)
obj=$build/obj
out=$build/deb
stage=$out/stage
need dpkg-deb dpkg
need dpkg-shlibdeps dpkg-dev

VERSION=$(cat "$top/VERSION")
# Who makes them, as dch takes it; if nobody says, the host they are made on.  One
# without a domain has no mail, and gets a domain that is nobody's (RFC 2606).
host=$(cat /etc/mailname 2>/dev/null || hostname -f 2>/dev/null || uname -n)
case $host in
localhost* | *.localdomain) host=qemu-nested.invalid ;;
*?.?*) ;;
*) host=$host.invalid ;;
esac
MAINTAINER="${DEBFULLNAME:-${NAME:-qemu-nested maintainers}} \
<${DEBEMAIL:-${EMAIL:-qemu-nested@$host}}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$top/CHANGELOG.md")}
export SOURCE_DATE_EPOCH
arch=$(dpkg --print-architecture)

# In PATH, with a manual page
tools='qemu-nested-check qemu-nested-top'

# Names of what is compiled and installed
compiled() {
    "$obj/pyvenv/bin/meson" introspect --installed "$obj" |
        python3 -c 'import json, os, sys
obj = os.path.realpath(sys.argv[1])
for path in json.load(sys.stdin):
    path = os.path.realpath(path)
    if path.startswith(obj + "/"):
        print(os.path.relpath(path, obj))' "$obj"
}

# The tree that the packages are parts of
stage_make() {
    rm -rf "$out"
    mkdir -p "$stage"
    "$top/scripts/nested/install.sh" "$build" "$out/installed"
    mkdir -p "$stage/usr/lib" "$stage/usr/share"
    mv "$out/installed$(prefix_of "$obj")" "$stage/usr/lib/qemu-nested"
    rm -rf "$out/installed"
    (cd "$stage/usr/lib/qemu-nested"
     # Those of the distribution's QEMU, for what is the same in both
     mkdir -p "$stage/usr/share/man/man1"
     for tool in $tools; do
         gzip -9n <share/man/man1/$tool.1 \
             >"$stage/usr/share/man/man1/$tool.1.gz"
     done
     rm -rf include share/applications share/doc share/man
     find . -type f -perm -u+x -exec strip --strip-unneeded -R .comment \
         -R .note {} + 2>/dev/null || :
     find . -type d -empty -delete
     mv share "$stage/usr/share/qemu-nested"
     ln -s ../../share/qemu-nested share)
    # From one directory of /usr to another they are relative
    find "$stage/usr/share/qemu-nested/qemu" -maxdepth 1 -lname '/usr/*' |
    while read -r link; do
        ln -sfn "$(realpath -ms --relative-to="${link%/*}" \
            "$stage$(readlink "$link")")" "$link"
    done
}

# doc PACKAGE: what each package has to say of itself
doc() {
    dir=$out/$1/usr/share/doc/$1
    mkdir -p "$dir"
    cat >"$dir/copyright" <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: qemu-nested
Comment: QEMU $BASE_VERSION with the changes and files of qemu-nested. Parts of
 it have licences of their own that are compatible with this one; they are
 named in the files of its source.

Files: *
Copyright: 2003-2026 Fabrice Bellard and the QEMU team
           the authors of qemu-nested
License: GPL-2
 On Debian systems, the text of the GNU General Public License, version 2, is
 in /usr/share/common-licenses/GPL-2.
EOF
    cat >"$out/changelog" <<EOF
qemu-nested ($VERSION) unstable; urgency=medium

  * Version $VERSION on QEMU $BASE_VERSION; CHANGELOG.md of the source has more.

 -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
    gzip -9n <"$out/changelog" >"$dir/changelog.gz"
}

# package NAME DEPENDS RECOMMENDS SUMMARY: of $out/NAME, text on standard input
package() {
    doc "$1"
    root=$out/$1
    text=$(cat)
    mkdir -p "$root/DEBIAN" "$out/shlibs/debian"
    : >"$out/shlibs/debian/control"
    libs=$(cd "$out/shlibs" && find "$root/usr/lib" -type f -perm -u+x \
        -exec dpkg-shlibdeps --warnings=0 -O {} + | sed 's/^[^=]*=//')
    {
        echo "Package: $1"
        echo "Source: qemu-nested"
        echo "Version: $VERSION"
        echo "Architecture: $arch"
        echo "Maintainer: $MAINTAINER"
        echo "Installed-Size: $(du -sk "$root" | cut -f1)"
        echo "Depends: $2${2:+${libs:+, }}$libs"
        [ -z "$3" ] || echo "Recommends: $3"
        echo "Section: otherosfs"
        echo "Priority: optional"
        echo "Description: $4"
        printf '%s\n' "$text" | sed 's/^$/./; s/^/ /'
    } >"$root/DEBIAN/control"
    (cd "$root" && find usr -type f | sort | xargs md5sum) \
        >"$root/DEBIAN/md5sums"
    dpkg-deb --root-owner-group -b "$root" "$out" >/dev/null
    rm -rf "$root" "$out/shlibs"
    echo "$out/$1_${VERSION}_$arch.deb"
}

# emulator PACKAGE ARCH...: moves them from the stage to the package
emulator() {
    root=$out/$1
    shift
    mkdir -p "$root/usr/bin" "$root/usr/lib/qemu-nested/bin" \
        "$root/usr/share/man/man1"
    for cpu; do
        name=qemu-system-$cpu
        mv "$stage/usr/lib/qemu-nested/bin/$name" \
            "$root/usr/lib/qemu-nested/bin/"
        ln -s "../lib/qemu-nested/bin/$name" "$root/usr/bin/$name-nested"
        sed "s/@PROGRAM@/$name-nested/g; s/@VERSION@/$VERSION/g" \
            "$top/docs/nested/qemu-nested.1" | gzip -9n \
            >"$root/usr/share/man/man1/$name-nested.1.gz"
    done
}

built() {
    [ -f "$stage/usr/lib/qemu-nested/bin/qemu-system-$1" ]
}

BASE_VERSION=$(cat "$build/src/VERSION")
ninja -C "$obj" build.ninja >"$build/deb.log" 2>&1 &&
    # shellcheck disable=SC2046
    steps "$build/deb.log" ninja -C "$obj" -j "${JOBS:-$(nproc)}" $(compiled) || {
    tail -n 20 "$build/deb.log" >&2
    die "the build failed; its whole output: $build/deb.log"
}
stage_make

mkdir -p "$stage/usr/bin"
for tool in $tools; do
    ln -s "../lib/qemu-nested/bin/$tool" "$stage/usr/bin/"
done
common="qemu-nested-common (= $VERSION)"
what="QEMU whose emulated IOMMUs let the host's IOMMU hardware walk the guest's
own I/O page tables, through /dev/iommu. It is installed beside the
distribution's QEMU and leaves that alone.
"
if built x86_64; then
    emulator qemu-nested-x86 x86_64
    package qemu-nested-x86 "$common, seabios, ipxe-qemu" "" \
        "QEMU with nested VT-d, x86 system emulator" <<EOF
$what
This is qemu-system-x86_64-nested, for guests with Intel VT-d.
EOF
fi
if built aarch64; then
    emulator qemu-nested-arm aarch64
    package qemu-nested-arm "$common, ipxe-qemu" qemu-efi-aarch64 \
        "QEMU with nested SMMUv3, Arm system emulator" <<EOF
$what
This is qemu-system-aarch64-nested, for guests with Arm SMMUv3.
EOF
fi
mv "$stage" "$out/qemu-nested-common"
package qemu-nested-common qemu-system-data "" \
    "QEMU with nested IOMMUs, files for all emulators" <<EOF
$what
These are key maps, links to firmware of other packages, tools,
qemu-nested-check, which says what of a host can nest, and qemu-nested-top,
which shows what nested IOMMUs do.
EOF
