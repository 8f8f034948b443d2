# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: where the QEMU base comes from.
#
# base_get sets base_dir (a pristine source tree) and base_id (a name that
# changes whenever its contents do).  A tree appears in the cache by one
# rename, so one that is there is whole.

tried=
# Not the one of the caller's environment: see cache_tmp
tmp=

# note_failure SOURCE REASON: remembered for the message that lists them all
note_failure() {
    tried="$tried
  $1: $2"
}

version_of() {
    cat "$1/VERSION" 2>/dev/null || echo none
}

# check_version DIR WHAT
check_version() {
    version=$(version_of "$1")
    [ "$version" = "$BASE_VERSION" ] || die \
        "$2 is not QEMU $BASE_VERSION (its VERSION file: $version)"
}

# copy_base FROM TO: all that a build needs.  Firmware sources, what a version
# control system left, and Debian's own quilt state stay behind.
copy_base() {
    mkdir -p "$2"
    tar -C "$1" --exclude=./roms --exclude=./.git --exclude=./.pc \
        --exclude=./debian -cf - . | tar -C "$2" -xf -
}

# cache_tmp: $tmp, a directory in the cache that goes when this script ends
cache_tmp() {
    [ -z "${tmp:-}" ] || return 0
    mkdir -p "$cache" 2>/dev/null &&
        tmp=$(mktemp -d "$cache/.tmp.XXXXXX" 2>/dev/null) || return 1
    # shellcheck disable=SC2064
    trap "rm -rf '$tmp'" EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

cache_writable() {
    cache_tmp || die "cannot write to the cache directory '$cache':" \
        "name another with --cache-dir=DIR or XDG_CACHE_HOME, or give the" \
        "source with --qemu-src=PATH"
}

# A killed run leaves its .tmp directory; an hour later it is nobody's
cache_sweep() {
    find "$cache" -maxdepth 1 -name '.tmp.*' -mmin +60 \
        -exec rm -rf {} + 2>/dev/null || :
}

# cache_store DIR ID: copy, verify, rename
cache_store() {
    check_version "$1" "what was fetched"
    copy_base "$1" "$tmp/base"
    rm -rf "$cache/base-$2"
    mv "$tmp/base" "$cache/base-$2"
    base_dir=$cache/base-$2
    base_id=$2
}

base_from_src() {
    if [ -d "$qemu_src" ]; then
        check_version "$qemu_src" "--qemu-src=$qemu_src"
        base_dir=$(cd "$qemu_src" && pwd -P)
        base_id=dir-$(cd "$base_dir" && find . -path ./.git -prune -o \
            -type f -printf '%p %s %T@\n' | sort | sha256sum | cut -c1-16)
    elif [ -f "$qemu_src" ]; then
        base_id=tar-$(sha256sum <"$qemu_src" | cut -c1-16)
        base_dir=$build/base-$base_id
        if [ ! -d "$base_dir" ]; then
            rm -rf "$build"/base-*
            mkdir "$build/base-partial"
            tar -C "$build/base-partial" --strip-components=1 \
                --exclude='*/roms' -xf "$qemu_src" 2>/dev/null ||
                die "--qemu-src=$qemu_src is not a tarball that tar reads"
            check_version "$build/base-partial" "--qemu-src=$qemu_src"
            mv "$build/base-partial" "$base_dir"
        fi
    else
        die "--qemu-src=$qemu_src: no such directory or file"
    fi
}

base_from_cache() {
    for dir in "$cache"/base-*; do
        [ -d "$dir" ] || continue
        version=$(version_of "$dir")
        if [ "$version" != "$BASE_VERSION" ]; then
            note_failure "cache" "$dir holds version $version"
            continue
        fi
        base_dir=$dir
        base_id=${dir##*/base-}
        return 0
    done
    note_failure "cache" "no QEMU $BASE_VERSION in $cache"
    return 1
}

# The Debian archive this machine uses, without the release
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE)' \
        'Created-By: Packages' 2>/dev/null |
        awk '$2 == "main" && $3 !~ /security|updates/ &&
             $1 ~ /\/debian\/?$/ { print $1; exit }'
}

# private_apt_setup DIR LINE...: an apt of our own below DIR.  @ in a LINE
# stands for the archive.
private_apt_setup() {
    apt_dir=$1
    shift
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || return 1
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f "$keyring" ] && opts="[signed-by=$keyring] " || opts=
    mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
    for line; do
        printf '%s %s%s %s\n' "${line%% *}" "$opts" "$mirror" "${line#* }"
    done >"$apt_dir/sources.list"
}

# private_apt COMMAND...: output in $apt_dir/log.  Options, not a configuration
# file: they come after the system's apt.conf.d, whose proxy is still honoured.
private_apt() {
    cmd=$1
    shift
    "$cmd" -o "Dir::Etc::SourceList=$apt_dir/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null \
        -o Dir::Etc::PreferencesParts=/dev/null \
        -o "Dir::State=$apt_dir" \
        -o "Dir::State::Lists=$apt_dir/lists" \
        -o Dir::State::status=/var/lib/dpkg/status \
        -o "Dir::Cache=$apt_dir/cache" \
        -o Acquire::Languages=none \
        -o Acquire::Retries=1 \
        -o Acquire::http::Timeout=30 \
        -o Acquire::https::Timeout=30 \
        -o APT::Sandbox::User= \
        "$@" >>"$apt_dir/log" 2>&1
}

apt_reason() {
    # apt closes with a general remark; what failed stands before it
    reason=$(sed -n 's/^E: //p' "$apt_dir/log" 2>/dev/null |
        grep -v '^Some index files' | head -n 1)
    echo "${reason:-$1}"
}

# suite_get SUITE DIR PACKAGE...: what a suite of Debian has of these, unpacked in
# DIR.  Nothing is installed.  On failure $suite_why says why.
suite_get() {
    suite=$1
    suite_dir=$2
    shift 2
    have apt-get && have dpkg-deb || {
        suite_why="no apt-get and dpkg-deb on this machine"
        return 1
    }
    private_apt_setup "$tmp/apt-$suite" "deb $suite main" || {
        suite_why="apt has no Debian archive among its sources"
        return 1
    }
    say "getting $* of $suite"
    rm -rf "$tmp/suite"
    mkdir -p "$tmp/suite" "$suite_dir"
    for package; do
        shift
        set -- "$@" "$package/$suite"
    done
    : >"$apt_dir/log"
    private_apt apt-get --error-on=any update &&
        (cd "$tmp/suite" && private_apt apt-get download "$@") || {
        suite_why=$(apt_reason "apt-get failed")
        return 1
    }
    for deb in "$tmp"/suite/*.deb; do
        dpkg-deb -x "$deb" "$suite_dir"
    done
}

# The release of this machine; testing and sid have names, too
debian_release() {
    # shellcheck disable=SC1091
    (. /etc/os-release 2>/dev/null; echo "${VERSION_CODENAME:-sid}")
}

# backports_get DIR PACKAGE...: of the release's backports
backports_get() {
    suite_get "$(debian_release)-backports" "$@"
}

# release_get DIR PACKAGE...: of the release itself
release_get() {
    suite_get "$(debian_release)" "$@"
}

base_from_debian() {
    have apt-get || {
        note_failure "Debian source package" "no apt-get on this machine"
        return 1
    }
    have dpkg-source || {
        note_failure "Debian source package" \
            "program 'dpkg-source' is missing (package dpkg-dev)"
        return 1
    }
    private_apt_setup "$tmp/apt" "deb-src sid main" || {
        note_failure "Debian source package" \
            "apt has no Debian archive among its sources"
        return 1
    }
    say "getting Debian's source package of QEMU $BASE_VERSION"
    private_apt apt-get --error-on=any update || {
        note_failure "Debian source package" \
            "$(apt_reason "apt-get update failed")"
        return 1
    }
    : >"$apt_dir/log"
    private_apt apt-cache showsrc qemu || :
    version=$(sed -n 's/^Version: //p' "$apt_dir/log" |
        grep -F "$BASE_DEBIAN_VERSION" | sort -V | tail -n 1)
    [ -n "$version" ] || {
        note_failure "Debian source package" \
            "sid has no qemu $BASE_DEBIAN_VERSION any more"
        return 1
    }
    : >"$apt_dir/log"
    mkdir "$tmp/deb"
    (cd "$tmp/deb" && private_apt apt-get source "qemu=$version") || {
        note_failure "Debian source package" \
            "$(apt_reason "apt-get source qemu=$version failed")"
        return 1
    }
    cache_store "$(find "$tmp/deb" -mindepth 1 -maxdepth 1 -type d)" \
        "debian-${version#*:}"
}

# fetch URL FILE: by whatever program is there; on failure $fetch_why says why
fetch() {
    if have curl; then
        set -- "$1" "$2" curl -fsSL --connect-timeout 30 -o "$2" "$1"
    elif have wget; then
        set -- "$1" "$2" wget -nv -T 30 -t 2 -O "$2" "$1"
    else
        fetch_why="no curl and no wget on this machine"
        return 1
    fi
    shift 2
    fetch_why=$("$@" 2>&1) || {
        fetch_why=$(printf '%s\n' "$fetch_why" | tail -n 1)
        fetch_why=${fetch_why:-$1 failed}
        return 1
    }
}

# fetch_release URL FILE OPTION SUM: a tarball, whose checksum is SUM if that is
# not empty, as OPTION gives it
fetch_release() {
    say "getting $1"
    fetch "$1" "$2" || {
        note_failure "release tarball" "$1: $fetch_why"
        return 1
    }
    sum=$(sha256sum <"$2" | cut -d ' ' -f 1)
    [ -z "$4" ] || [ "$4" = "$sum" ] || die \
        "$3=$4 is not the checksum of $1: $sum"
    [ -n "$4" ] || say "not verified: $3=$sum"
}

# base_from_url URL: the tarball of a release
base_from_url() {
    tarball=$tmp/qemu.tar
    fetch_release "$1" "$tarball" --qemu-sha256 "$qemu_sha256" || return 1
    mkdir "$tmp/tarball"
    tar -C "$tmp/tarball" --strip-components=1 --exclude='*/roms' \
        -xf "$tarball" 2>/dev/null || {
        note_failure "release tarball" "$1: not a tarball that tar reads"
        return 1
    }
    rm "$tarball"
    cache_store "$tmp/tarball" "release-$BASE_VERSION"
}

base_from_git() {
    have git || {
        note_failure "git clone" "program 'git' is missing"
        return 1
    }
    say "cloning QEMU $BASE_VERSION"
    git_log=$(GIT_TERMINAL_PROMPT=0 git clone --quiet --depth 1 \
        --branch "v$BASE_VERSION" "$git_url" "$tmp/git" 2>&1) || {
        note_failure "git clone of v$BASE_VERSION from $git_url" \
            "$(printf '%s\n' "$git_log" | tail -n 1)"
        return 1
    }
    id=git-$(git -C "$tmp/git" rev-parse --short=12 HEAD)
    cache_store "$tmp/git" "$id"
}

base_get() {
    if [ -n "$qemu_src" ]; then
        base_from_src
        return 0
    fi
    base_from_cache && return 0
    if [ "$offline" = no ]; then
        cache_writable
        cache_sweep
        if [ -n "$qemu_url" ]; then
            base_from_url "$qemu_url" || :
        else
            base_from_debian || base_from_url "$BASE_URL" || base_from_git || :
        fi
    else
        note_failure "download" "--offline was given"
    fi
    [ -n "${base_dir:-}" ] && return 0
    die "no source of QEMU $BASE_VERSION to be had. Tried:$tried
What to do: check the network, or fetch qemu-$BASE_VERSION elsewhere and give
it with --qemu-src=PATH (a directory or a tarball)"
}
