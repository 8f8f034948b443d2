#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# configure, as far as it goes without building QEMU: getting and verifying a
# base, joining, being interrupted, and what it says when something is wrong.
# Prints TAP.  Works on a base of a handful of files made here; the last
# check uses the real one of the build tree given.

set -u
export LC_ALL=C
top=$(cd "$(dirname "$0")/../.." && pwd -P)
real_build=${1:-}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; chmod -R u+w "$work"
      rm -rf "$work"' EXIT
unset XDG_CACHE_HOME QEMU_NESTED_GIT_URL PYTHON
unset LAB_LINUX_SRC LAB_LINUX_URL LAB_LINUX_SHA256
# Nobody listens on port 9
export QEMU_NESTED_URL=http://127.0.0.1:9/base.tar.gz no_proxy=127.0.0.1
export QEMU_NESTED_LINUX_URL=http://127.0.0.1:9/linux.tar.xz
export HOME=$work/home
. "$top/tests/build/tap.sh"

# A clone of ours with a queue for the little base
make_clone() {
    rm -rf "$work/clone"
    mkdir -p "$work/clone/patches" "$work/clone/hw/iommufd"
    cp "$top/configure" "$top/VERSION" "$work/clone/"
    cp -R "$top/scripts" "$work/clone/scripts"
    echo "# top" >"$work/clone/meson.build"
    echo "int ours;" >"$work/clone/hw/iommufd/ours.c"
    printf 'one.patch\ntwo.patch\n' >"$work/clone/patches/series"
    cat >"$work/clone/patches/one.patch" <<'EOF'
Description: first
--- a/hw/a.c
+++ b/hw/a.c
@@ -2,2 +2,3 @@
 a2
+one
 a3
EOF
    cat >"$work/clone/patches/two.patch" <<'EOF'
Description: second
--- a/hw/b.c
+++ b/hw/b.c
@@ -2,2 +2,3 @@
 b2
+two
 b3
EOF
}

make_base() {
    rm -rf "$work/base"
    mkdir -p "$work/base/hw/many" "$work/base/roms"
    echo "${1:-10.2.2}" >"$work/base/VERSION"
    printf 'a1\na2\na3\n' >"$work/base/hw/a.c"
    printf 'b1\nb2\nb3\n' >"$work/base/hw/b.c"
    echo big >"$work/base/roms/blob"
    # Enough files for an interruption to fall in between
    for ((i = 0; i < 400; i++)); do
        echo "$i" >"$work/base/hw/many/$i.c"
    done
}

build=$work/build

conf() {
    "$work/clone/configure" --build-dir="$build" \
        --cache-dir="$work/cache" --join-only "$@" >"$work/log" 2>&1
}

conf_src() {
    conf --qemu-src="$work/base" "$@"
}

# The joined tree is exactly what it should be
joined() {
    [ "$(cat "$build/src/hw/a.c")" = "$(printf 'a1\na2\none\na3')" ] &&
    [ "$(cat "$build/src/hw/b.c")" = "$(printf 'b1\nb2\ntwo\nb3')" ] &&
    [ "$(cat "$build/src/hw/iommufd/ours.c")" = "int ours;" ] &&
    [ "$(find "$build/src/hw/many" -name '*.c' | wc -l)" = 400 ] &&
    [ ! -e "$build/src/roms" ] &&
    [ -z "$(find "$build/src" -name '*.nested-new')" ]
}

# says TEXT...: non-zero exit, one error, and it holds every TEXT
refuses() {
    [ "$1" != 0 ] || return 1
    shift
    [ "$(grep -c 'qemu-nested: error:' "$work/log")" = 1 ] || return 1
    for text; do
        grep -qF -- "$text" "$work/log" || return 1
    done
}

make_clone
make_base

# ------------------------------------------------------------------ joining

conf_src
[ $? = 0 ] && joined
result $? "joins base, patches and overlay"

find "$build/src" -type f -printf '%p %T@\n' | sort >"$work/before"
conf_src && find "$build/src" -type f -printf '%p %T@\n' | sort |
    cmp -s "$work/before" -
result $? "a second run changes nothing"

touch "$work/clone/patches/one.patch"
sed -i 's/^+one/+one more/' "$work/clone/patches/one.patch"
conf_src
find "$build/src" -type f -printf '%p %T@\n' | sort >"$work/after"
changed=$(comm -13 "$work/before" "$work/after" | wc -l)
[ "$changed" = 1 ] && grep -q 'one more' "$build/src/hw/a.c"
result $? "a changed patch changes just the file it patches"

sed -i '/one.patch/d' "$work/clone/patches/series"
conf_src && cmp -s "$build/src/hw/a.c" "$work/base/hw/a.c" &&
    grep -q two "$build/src/hw/b.c"
result $? "a patch taken from the series is undone"

cat >"$work/clone/patches/new.patch" <<'EOF'
Description: makes a file
--- /dev/null
+++ b/hw/new.c
@@ -0,0 +1 @@
+new
EOF
echo new.patch >>"$work/clone/patches/series"
conf_src && [ "$(cat "$build/src/hw/new.c")" = new ] &&
    sed -i '/new.patch/d' "$work/clone/patches/series" &&
    conf_src && [ ! -e "$build/src/hw/new.c" ]
result $? "a file that a patch makes comes and goes with it"

make_clone
echo "int more;" >"$work/clone/hw/iommufd/more.c"
conf_src && [ -L "$build/src/hw/iommufd/more.c" ] &&
    rm "$work/clone/hw/iommufd/more.c" && conf_src &&
    [ ! -e "$build/src/hw/iommufd/more.c" ] &&
    [ ! -L "$build/src/hw/iommufd/more.c" ] && joined
result $? "a file of ours comes and goes, as a link"

echo "int theirs;" >"$work/clone/hw/a.c"
conf_src
refuses $? "hw/a.c" "one of the base"
result $? "a file of ours that the base has too is refused"
rm "$work/clone/hw/a.c"

sed -i 's/a1/a1 changed/' "$work/base/hw/a.c"
conf_src && grep -q 'a1 changed' "$build/src/hw/a.c" &&
    grep -q one "$build/src/hw/a.c"
result $? "a changed base is noticed"
make_base

conf_src --base-only --build-dir="$work/plain" &&
    cmp -s "$work/plain/src/hw/a.c" "$work/base/hw/a.c" &&
    [ ! -e "$work/plain/src/hw/iommufd" ]
result $? "--base-only leaves the base as it is"

# ------------------------------------------------------------- interruption

# Killed after the n-th command of the script, for moments all over the run:
# a shell that traces can be stopped at any line
# In a subshell always: its process is the traced one
traced() {
    exec setsid sh -x "$work/clone/configure" --build-dir="$build" --join-only \
        --cache-dir="$work/cache" --qemu-src="$work/base" >/dev/null
}

edit_queue() {
    make_clone
    conf_src
    sed -i 's/^+two/+2/' "$work/clone/patches/two.patch"
}

rm -rf "$build"
total_first=$(traced 2>&1 | wc -l)
edit_queue
total_again=$(traced 2>&1 | wc -l)
killed=0
bad=
for ((k = 1; k <= 10; k++)); do
    rm -rf "$build"
    # Half of the kills fall on a first run, half on one that changes things
    at=$((total_first * k / 11))
    if ((k % 2 == 0)); then
        edit_queue
        at=$((total_again * k / 11))
    fi
    mkfifo "$work/trace.$k"
    traced 2>"$work/trace.$k" &
    pid=$!
    head -n "$at" "$work/trace.$k" >/dev/null
    kill -KILL -- "-$pid" 2>/dev/null
    # By us, or by SIGPIPE when it traced on before we were scheduled
    wait "$pid" 2>/dev/null || killed=$((killed + 1))
    make_clone
    conf_src
    status=$?
    { [ $status = 0 ] && joined; } || bad="$bad $k"
done 2>/dev/null
echo "# $killed of 10 runs were killed before their end"
[ -z "$bad" ] && [ "$killed" -ge 8 ]
result $? "killed at ten moments, the next run completes each time$bad"

conf_src
for side in one two; do
    conf_src &
done
wait
conf_src && joined
result $? "two at once in one build tree wait for each other"

# ------------------------------------------------------------- where from

rm -rf "$build"
tar -C "$work" -czf "$work/base.tar.gz" base
conf --qemu-src="$work/base.tar.gz" && joined
result $? "--qemu-src takes a tarball"

rm -rf "$build"
mkdir -p "$work/cache"
cp -R "$work/base" "$work/cache/base-some"
conf && joined
result $? "the cache is used before anything is fetched"

rm -rf "$build" "$work/cache"
if command -v git >/dev/null; then
    (cd "$work/base" && git init -q . && git add -A &&
        git -c user.name=t -c user.email=t@example.org commit -qm base &&
        git tag v10.2.2)
    # No apt: the last resort
    mkdir -p "$work/bin"
    printf '#!/bin/sh\necho "E: no archive" >&2\nexit 100\n' \
        >"$work/bin/apt-get"
    chmod +x "$work/bin/apt-get"
    PATH=$work/bin:$PATH conf --qemu-git-url="file://$work/base" && joined &&
        ls -d "$work/cache"/base-git-* >/dev/null
    result $? "a git repository is the last resort"

    rm -rf "$build" "$work/cache"
    PATH=$work/bin:$PATH conf --qemu-git-url="file://$work/none"
    refuses $? "no source of QEMU 10.2.2" "  cache: " \
        "  Debian source package: " "  release tarball: http://127.0.0.1:9/" \
        "  git clone" "--qemu-src=PATH"
    result $? "no network: every source tried is named with its reason"
else
    skip "a git repository is the last resort" "no git"
    skip "no network: every source tried is named" "no git"
fi

# A server of release tarballs
rm -rf "$build" "$work/cache" "$work/base/.git"
mkdir -p "$work/www"
cp "$work/base.tar.gz" "$work/www/"
echo junk >"$work/www/junk"
(cd "$work/www" && exec python3 -u -m http.server --bind 127.0.0.1 0) \
    >"$work/http.log" 2>&1 &
server=$!
for ((i = 0; i < 100; i++)); do
    port=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\) .*/\1/p' \
        "$work/http.log")
    [ -z "$port" ] || break
    sleep 0.1
done
url=http://127.0.0.1:$port
sum=$(sha256sum <"$work/base.tar.gz" | cut -d ' ' -f 1)
wrong=$(printf '%064d' 0)

conf --qemu-url="$url/base.tar.gz" && joined &&
    grep -qF -- "not verified: --qemu-sha256=$sum" "$work/log" &&
    [ -d "$work/cache/base-release-10.2.2" ]
result $? "--qemu-url fetches a release, and prints its checksum"

rm -rf "$build" "$work/cache"
conf --qemu-url="$url/base.tar.gz" --qemu-sha256="$sum" && joined &&
    ! grep -q 'not verified' "$work/log"
result $? "--qemu-sha256 that is right is taken"

rm -rf "$build" "$work/cache"
conf --qemu-url="$url/base.tar.gz" --qemu-sha256="$wrong"
refuses $? "--qemu-sha256=$wrong" "$url/base.tar.gz" "$sum" &&
    [ ! -e "$work/cache/base-release-10.2.2" ]
result $? "one that is wrong is refused, and nothing stays"

conf --qemu-sha256="$sum"
refuses $? "--qemu-sha256=" "--qemu-url=URL"
result $? "a checksum of nothing is refused"

conf --qemu-url="$url/none.tar.xz"
refuses $? "no source of QEMU 10.2.2" "  release tarball: $url/none.tar.xz: " &&
    ! grep -q "git clone" "$work/log"
result $? "a URL that is not there is named, and nothing else is tried"

conf --qemu-url="$url/junk"
refuses $? "  release tarball: $url/junk: not a tarball"
result $? "what is no tarball is named"

if [ -d "$work/bin" ]; then
    PATH=$work/bin:$PATH QEMU_NESTED_URL=$url/base.tar.gz conf && joined
    result $? "where there is no Debian archive, the release is fetched"
else
    skip "where there is no Debian archive, the release is fetched" "no git"
fi

# The same server, for the kernel of the lab
mkdir -p "$work/linux-9.1/tools" "$work/tree"
printf 'VERSION = 9\nPATCHLEVEL = 1\n' >"$work/linux-9.1/Makefile"
echo 'VERSION = 1' >"$work/linux-9.1/tools/Makefile"
tar -C "$work" -cJf "$work/www/linux.tar.xz" linux-9.1
sed -i 's/9/2/' "$work/linux-9.1/Makefile"
tar -C "$work" -cJf "$work/www/old.tar.xz" linux-9.1
echo "--cache-dir=$work/cache" >"$work/tree/configure.args"
linux_sum=$(sha256sum <"$work/www/linux.tar.xz" | cut -d ' ' -f 1)
linux() {
    env "$@" timeout 60 "$top/lab/kernel.sh" --fetch-only "$work/tree" \
        >"$work/log" 2>&1
}
# linux_source: where it says that it has the source
linux_source() {
    sed -n 's/^qemu-nested: Linux source: //p' "$work/log"
}

rm -rf "$work/cache"
linux LAB_LINUX_URL="$url/linux.tar.xz" &&
    grep -qF "not verified: LAB_LINUX_SHA256=$linux_sum" "$work/log" &&
    cmp -s "$work/www/linux.tar.xz" "$(linux_source)"
result $? "LAB_LINUX_URL fetches a kernel's source, and prints its checksum"

linux LAB_LINUX_URL="$url/linux.tar.xz" &&
    ! grep -q "getting" "$work/log" && [ -f "$(linux_source)" ]
result $? "once"

rm -rf "$work/cache"
linux LAB_LINUX_URL="$url/linux.tar.xz" LAB_LINUX_SHA256="$linux_sum" &&
    ! grep -q 'not verified' "$work/log"
result $? "LAB_LINUX_SHA256 that is right is taken"

rm -rf "$work/cache"
linux LAB_LINUX_URL="$url/linux.tar.xz" LAB_LINUX_SHA256="$wrong"
refuses $? "LAB_LINUX_SHA256=$wrong" "$url/linux.tar.xz" "$linux_sum" &&
    [ -z "$(find "$work/cache" -name 'linux-*')" ]
result $? "one that is wrong is refused, and nothing stays"

linux LAB_LINUX_SHA256="$wrong"
refuses $? LAB_LINUX_SHA256 LAB_LINUX_URL
result $? "a checksum of no URL is refused"

linux LAB_LINUX_URL="$url/linux.tar.xz" LAB_LINUX_SRC="$work/www/linux.tar.xz"
refuses $? "LAB_LINUX_SRC=$work/www" "LAB_LINUX_URL=$url"
result $? "two sources are refused"

linux LAB_LINUX_URL="$url/none.tar.xz"
refuses $? "no Linux source" "  release tarball: $url/none.tar.xz: "
result $? "a URL that is not there is named"

linux LAB_LINUX_URL="$url/old.tar.xz"
refuses $? "$url/old.tar.xz: not a tarball of Linux 7.0 or later" &&
    linux LAB_LINUX_URL="$url/junk"
refuses $? "$url/junk: not a tarball of Linux 7.0 or later"
result $? "an old kernel is, and what is no tarball"

if [ -d "$work/bin" ]; then
    linux PATH="$work/bin:$PATH" QEMU_NESTED_LINUX_URL="$url/linux.tar.xz" &&
        cmp -s "$work/www/linux.tar.xz" "$(linux_source)" &&
        linux PATH="$work/bin:$PATH" && [ -f "$(linux_source)" ]
    result $? "where there is no Debian archive, a release is fetched, once"
else
    skip "where there is no Debian archive, a release is fetched" "no git"
fi
kill "$server"
wait "$server" 2>/dev/null
server=

# ---------------------------------------------------------- other distributions

# deps_with TOOL...: deps.sh where there are these and no dpkg
deps_with() {
    rm -rf "$work/other"
    mkdir "$work/other"
    for tool in sh awk tr sed; do
        ln -s "$(command -v $tool)" "$work/other/$tool"
    done
    for tool; do
        echo '#!/bin/sh' >"$work/other/$tool"
    done
    [ $# = 0 ] || cat >"$work/other/$1"
    chmod -R +x "$work/other"
    PATH=$work/other sh "$top/scripts/nested/deps.sh" check >"$work/log" 2>&1
}

printf '#!/bin/sh\n[ "$4" = gcc ]\n' | deps_with rpm dnf &&
    grep -q 'run as root: dnf install .* ninja-build .*glib2-devel' "$work/log" &&
    ! grep -q ' gcc ' "$work/log" && grep -q 'not tried' "$work/log" &&
    grep -q 'not known .*: libc6-dev-arm64-cross$' "$work/log"
result $? "Fedora's names of what is missing, and what has none that is known"

printf '#!/bin/sh\nshift\nfor p; do [ $p = gcc ] || echo $p; done\nexit 127\n' |
    deps_with pacman &&
    grep -q 'run as root: pacman -S --needed .* ninja .* glib2 ' "$work/log" &&
    ! grep -q ' gcc ' "$work/log"
result $? "Arch's"

deps_with && grep -q "by Debian's names: .* libglib2.0-dev " "$work/log"
result $? "Debian's for others"

printf '#!/bin/sh\n' | deps_with pacman && [ ! -s "$work/log" ]
result $? "nothing is said where nothing is missing"

rm -rf "$build" "$work/cache"
conf --offline
refuses $? "--offline was given" "--qemu-src=PATH"
result $? "--offline with an empty cache fetches nothing"

# ------------------------------------------------------------------ errors

make_base 10.1.0
conf_src
refuses $? "is not QEMU 10.2.2" "10.1.0"
result $? "a wrong base version is refused"
make_base

conf --qemu-src="$work/nothing"
refuses $? "no such directory or file"
result $? "--qemu-src that is not there is refused"

echo junk >"$work/junk"
conf --qemu-src="$work/junk"
refuses $? "not a tarball"
result $? "--qemu-src that is no tarball is refused"

conf --build-dir
refuses $? "'--build-dir' needs a value"
result $? "an option without its value is refused"

# A directory in which not even root can create anything
PATH=$work/bin:$PATH "$work/clone/configure" --build-dir="$build" \
    --join-only --cache-dir=/proc/self/qemu-nested >"$work/log" 2>&1
refuses $? "cannot write to the cache directory" "--cache-dir=DIR"
result $? "a cache directory that cannot be written is named"

# ... but one that holds the base need not be writable
mkdir -p "$work/cache"
cp -R "$work/base" "$work/cache/base-some"
chmod -R a-w "$work/cache"
rm -rf "$build"
conf && joined
result $? "a read-only cache that holds the base is enough"
chmod -R u+w "$work/cache"

make_clone
sed -i 's/^ a2/ changed upstream/' "$work/clone/patches/one.patch"
conf_src
refuses $? "patch 'one.patch'" "'hw/a.c'" "patches.log"
result $? "a patch that fails names patch and file"
make_clone
conf_src && joined
result $? "the run after a failing patch completes"

rm "$work/clone/patches/two.patch"
conf_src
refuses $? "two.patch"
result $? "a patch that is not there is named"
make_clone

mkdir -p "$work/nobin"
for tool in sh cat dirname pwd mkdir sed sort tar find xargs sha256sum cut \
            touch mv rm cp cmp comm readlink ln flock grep awk tail mktemp \
            tr printf env; do
    ln -sf "$(command -v $tool)" "$work/nobin/$tool" 2>/dev/null
done
rm -rf "$build"
PATH=$work/nobin conf_src
refuses $? "program 'quilt' is missing" "make deps"
result $? "a missing program is named with its package"

# -------------------------------------------- what QEMU's configure is told

make_clone
make_base
cat >"$work/base/configure" <<'EOF'
#!/bin/sh
printf '%s\n' "$@" >args
: >build.ninja
EOF
chmod +x "$work/base/configure"
both=--target-list=x86_64-softmmu,aarch64-softmmu

# told OPTION...: configured with these; the arguments are in $args
told() {
    rm -rf "$build"
    "$work/clone/configure" --build-dir="$build" --cache-dir="$work/cache" \
        --qemu-src="$work/base" "$@" >"$work/log" 2>&1 || return 1
    args=$build/obj/args
    cp "$args" "$work/log"
}

told && grep -qx -- "$both" "$args" &&
    grep -qx -- "--with-pkgversion=qemu-nested $(cat "$top/VERSION")" "$args" &&
    ! grep -q -- '--without-default\|--enable\|--disable-docs' "$args"
result $? "by default both system emulators, with all there is"

told --slim && grep -qx -- "$both" "$args" &&
    grep -qx -- --without-default-features "$args"
result $? "--slim: the same, with what tests need"

told --target-list=riscv64-softmmu &&
    [ "$(grep -- --target-list "$args")" = --target-list=riscv64-softmmu ] &&
    told --target-list-exclude=sh4-softmmu && ! grep -q softmmu,. "$args" &&
    told --disable-system && ! grep -q -- --target-list "$args"
result $? "who says which emulators gets those"

# ---------------------------------------------------------------- tarballs

# What a tree of ours has, by name
tree_of() {
    (cd "$1" && find . -type f ! -path './build/*' ! -path './.git/*' \
        ! -name '*.pyc' ! -name '*.tar.gz' | sort)
}

dist=qemu-nested-$(cat "$top/VERSION")
mkdir -p "$work/dist" "$work/again"
if [ ! -f "$real_build/.base-dir" ]; then
    why="no build tree given"
elif [ -e "$top/.git" ] && ! command -v git >/dev/null; then
    why="no git"
else
    why=
fi
rm -rf "$build"
if [ -z "$why" ]; then
    "$top/scripts/nested/dist.sh" "$work/dist" >"$work/log" 2>&1 &&
        tar -C "$work/dist" -xf "$work/dist/$dist.tar.gz" &&
        "$work/dist/$dist/configure" --build-dir="$build" --join-only \
            --qemu-src="$(cat "$real_build/.base-dir")" >>"$work/log" 2>&1 &&
        [ -L "$build/src/hw/iommufd/hostinfo.c" ] &&
        grep -q nested "$build/src/meson.build"
    result $? "a tarball of ours joins the base"

    # One that is in another clone is not that clone
    "$work/dist/$dist/scripts/nested/dist.sh" "$work/again" \
        >"$work/log" 2>&1 &&
        tar -C "$work/again" -xf "$work/again/$dist.tar.gz" &&
        [ "$(tree_of "$work/again/$dist")" = "$(tree_of "$work/dist/$dist")" ]
    result $? "a tarball made of what a tarball held is the same"
else
    skip "a tarball of ours joins the base" "$why"
    skip "a tarball made of what a tarball held is the same" "$why"
fi

grep -m1 '^## ' "$top/CHANGELOG.md" >"$work/log"
grep -q "^## $(cat "$top/VERSION") " "$work/log"
result $? "the newest entry of the changes is of this version"

# ------------------------------------------------------- the real base, once

if [ -n "$real_build" ] && [ -f "$real_build/.base-dir" ]; then
    touch -d '1 hour ago' "$work/stamp"
    before=$(find "$real_build/src" -newer "$work/stamp" -type f | wc -l)
    "$top/configure" --refresh --join-only --build-dir="$real_build" \
        >"$work/log" 2>&1
    [ $? = 0 ] &&
        [ "$(find "$real_build/src" -newer "$work/stamp" -type f |
             wc -l)" = "$before" ]
    result $? "the queue applies to the real base, and again"

    # A copy of the series goes through quilt and comes back as it was
    cp -R "$top/patches" "$work/patches"
    "$top/scripts/nested/patches.sh" refresh "$real_build" >"$work/log" 2>&1 &&
        diff -r "$top/patches" "$work/patches" >>"$work/log"
    result $? "the patches are in their normal form"
    rm -rf "$real_build/queue"
else
    skip "the queue applies to the real base, and again" "no build tree given"
    skip "the patches are in their normal form" "no build tree given"
fi

# Dry runs: what would ninja do after an edit?
if [ -n "$real_build" ] && [ -f "$real_build/obj/build.ninja" ]; then
    file=$top/hw/iommufd/hostinfo.c
    # Some commands of QEMU's run every time: only what the edit adds counts
    would() {
        ninja -C "$real_build/obj" -n qemu-system-x86_64 2>"$work/log" |
            sed 's/^\[[0-9/]*\] //' | sort
    }
    would >"$work/idle"
    touch -r "$file" "$work/stamp"
    touch "$file"
    would >"$work/touched"
    touch -r "$work/stamp" "$file"
    comm -13 "$work/idle" "$work/touched" >"$work/log"
    [ "$(grep -c '^Compiling ' "$work/log")" = 1 ] &&
        grep -q 'hw_iommufd_hostinfo' "$work/log" &&
        grep -q 'Linking target qemu-system-x86_64' "$work/touched"
    result $? "touching a file of the core rebuilds one object and relinks"
else
    skip "touching a file of the core rebuilds one object" "nothing is built"
fi

if [ -n "$real_build" ] && [ -x "$real_build/obj/qemu-system-x86_64" ]; then
    "$real_build/obj/qemu-system-x86_64" --version >"$work/log" &&
        grep -qF "(qemu-nested $(cat "$top/VERSION"))" "$work/log"
    result $? "--version has ours"
else
    skip "--version has ours" "nothing is built"
fi

# What check-upstream compares with
if [ -n "$real_build" ] && [ -f "$real_build/configure.args" ]; then
    real_cache=$(sed -n 's/^--cache-dir=//p' "$real_build/configure.args")
    "$top/configure" --slim --base-only --offline --cache-dir="$real_cache" \
        --build-dir="$work/base-only" >"$work/log" 2>&1 &&
        [ ! -e "$work/base-only/src/hw/iommufd" ] &&
        grep -q '^build qemu-system-x86_64:' "$work/base-only/obj/build.ninja"
    result $? "the unpatched base configures beside ours"
    rm -rf "$work/base-only"
else
    skip "the unpatched base configures beside ours" "no build tree given"
fi

# Every option is in the manual, every target of make in its help
"$top/configure" --help >"$work/help"
missing=
for option in $(grep -o '^  --[a-z-]*' "$work/help"); do
    grep -q -- "\`\`$option" "$top/docs/nested/building.rst" ||
        missing="$missing $option"
done
for target in $(sed -n 's/^\([a-z-]*\):.*/\1/p' "$top/Makefile" | sort -u); do
    case $target in all | build | deps-note | help) continue ;; esac
    make -s -C "$top" help | grep -q -- "make $target\|$target" ||
        missing="$missing make-$target"
done
echo "missing:$missing" >"$work/log"
[ "$missing" = "" ] || [ "$missing" = " --help" ]
result $? "options and targets are documented"

# What the messages say is in the manual
missing=
while read -r words; do
    grep -qF -- "$words" "$top/docs/nested/building.rst" ||
        missing="$missing [$words]"
done <<'EOF'
no source of QEMU 10.2.2 to be had. Tried:
is not QEMU 10.2.2 (its VERSION file:
no such directory or file
is not a tarball that tar reads
cannot write to the cache directory
cannot create the build directory
cannot write to the build directory
does not apply to file
names a patch that is not there
is one of the base too
is missing: install package
is not the checksum of
is the checksum of what
no Python >= 3.9 with the venv module
meson >= 1.5 and pycotap are missing
QEMU's configure failed; its whole output:
needs a value
holds a line break
EOF
echo "missing:$missing" >"$work/log"
[ -z "$missing" ]
result $? "messages are documented"

# The lab itself takes kernels and minutes: make check-lab
"$top/lab/run" --list >"$work/log" 2>&1
ran=$(sed -n 's,^lab/run .* \([a-z0-9-]*\) ||.*,\1,p' \
    "$top/scripts/nested/demo.sh")
[ -n "$ran" ] && grep -q "^$ran " "$work/log"
result $? "make demo runs a scenario that there is"

"$top/lab/run" --build="$work/lab" none-such >"$work/log" 2>&1
[ $? != 0 ] && grep -q "error: no such scenario: none-such" "$work/log"
result $? "a scenario that there is not is named"

echo "1..$nr"
