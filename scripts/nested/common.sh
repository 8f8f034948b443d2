# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: messages, locking, running QEMU's configure.

say() {
    printf 'qemu-nested: %s\n' "$*"
}

die() {
    printf 'qemu-nested: error: %s\n' "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# need PROGRAM PACKAGE: one message that says what to install
need() {
    have "$1" || die "program '$1' is missing: install package '$2'" \
        "('make deps' installs all that is needed)"
}

# steps LOG COMMAND...: a build, of whose steps each 250th is told; all it prints
# goes to LOG, or with LOG "-" what is no step to standard output.  Ends as the
# command does.  A step is what ninja ("[7/99] ...") and the kernel's make
# ("  CC      file") call so.
steps() {
    steps_log=$1
    shift
    { status=0; "$@" 2>&1 || status=$?; echo "exit $status"; } |
        awk -v log_file="$steps_log" '
        function tell(text) { print "qemu-nested:   " text; fflush() }
        /^exit [0-9]+$/ { status = $2; next }
        log_file != "-" { print >>log_file }
        match($0, /^\[[0-9]+\/[0-9]+\] /) {
            split(substr($0, 2, RLENGTH - 3), step, "/")
            if (step[1] % 250 == 0) {
                tell(step[1] " of " step[2])
            }
            next
        }
        /^  (CC|AS) / && ++files % 250 == 0 { tell(files " files") }
        log_file == "-" { print; fflush() }
        END { exit status }'
}

# hash_files: one line that changes when any file named on stdin does
hash_files() {
    xargs -r sha256sum | sha256sum | cut -c1-16
}

# Two configures in one build tree would undo each other's work
lock_build() {
    need flock util-linux
    exec 9>"$build/.lock" ||
        die "cannot write to the build directory '$build'"
    flock -n 9 || {
        say "waiting for another configure in $build"
        flock 9
    }
}

# Those that have a nested vIOMMU
TARGETS=x86_64-softmmu,aarch64-softmmu

SLIM_ARGS='--without-default-features
--without-default-devices
--enable-system
--enable-tcg
--enable-kvm
--enable-fdt=system
--enable-pixman
--enable-werror
--enable-vhost-kernel
--enable-vhost-net
--enable-vhost-vdpa
--disable-docs
'

# All options of QEMU's configure, one per line
qemu_configure_args() {
    printf '%s\n' "--python=$python" --disable-install-blobs
    [ "$base_only" = yes ] || echo "--with-pkgversion=qemu-nested $VERSION"
    # QEMU's takes no list that excludes beside one that includes, and none of
    # system emulators when it is to build none
    case $qemu_args in
    *--target-list* | *--disable-system*) ;;
    *) echo "--target-list=$TARGETS" ;;
    esac
    # A release tarball is complete; a git tree lacks its subprojects
    [ -n "${base_id##git-*}" ] && echo --disable-download
    if [ "$slim" = yes ]; then
        printf '%s' "$SLIM_ARGS"
        devices=nested-slim
        [ "$base_only" = yes ] && devices=nested-slim-base
        echo "--with-devices-x86_64=$devices"
        echo "--with-devices-aarch64=$devices"
    fi
    printf '%s' "$qemu_args"
}

# What --refresh must know to do the same again
save_args() {
    {
        [ "$slim" = yes ] && echo --slim
        [ "$offline" = yes ] && echo --offline
        [ "$base_only" = yes ] && echo --base-only
        [ -n "$qemu_src" ] && echo "--qemu-src=$qemu_src"
        [ -n "$qemu_url" ] && echo "--qemu-url=$qemu_url"
        [ -n "$qemu_sha256" ] && echo "--qemu-sha256=$qemu_sha256"
        [ "$git_url" != "$BASE_GIT_URL" ] && echo "--qemu-git-url=$git_url"
        [ -n "$python_given" ] && echo "--python=$python_given"
        echo "--cache-dir=$cache"
        printf '%s' "$qemu_args"
    } >"$build/configure.args.new"
    mv "$build/configure.args.new" "$build/configure.args"
}

# The stamp holds what the build directory was configured with; without it
# the directory is the remains of an interrupted run and starts afresh.
qemu_configure() {
    obj=$build/obj
    stamp=$obj/.nested-configured
    wanted=$(qemu_configure_args; echo "base $base_id")

    if [ -f "$stamp" ] && [ -f "$obj/build.ninja" ] &&
       [ "$wanted" = "$(cat "$stamp")" ]; then
        firmware_link
        save_args
        return 0
    fi
    if [ -f "$stamp" ]; then
        rm -f "$stamp"
    else
        rm -rf "$obj"
    fi
    mkdir -p "$obj"

    oldifs=$IFS
    IFS='
'
    set -f
    # shellcheck disable=SC2046
    set -- $(qemu_configure_args)
    set +f
    IFS=$oldifs

    # ccache in front, when there: same objects in every clone
    path=$PATH
    if [ -d /usr/lib/ccache ] && have ccache; then
        path=/usr/lib/ccache:$PATH
    fi
    say "configuring QEMU $BASE_VERSION in $obj (log: configure.log there)"
    (cd "$obj" && PATH=$path && export PATH && unset PYTHONPATH PYTHONHOME &&
        ../src/configure "$@") >"$obj/configure.log" 2>&1 9>&- || {
        tail -n 20 "$obj/configure.log" >&2
        die "QEMU's configure failed; its whole output: $obj/configure.log"
    }
    firmware_link
    printf '%s\n' "$wanted" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    save_args
    say "configured; next: make, or ninja -C $obj"
}
