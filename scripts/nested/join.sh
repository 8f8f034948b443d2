# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: BUILD/src = base + patches + our files.
#
# The tree appears by one rename.  After that it is brought up to date file
# by file: what the queue makes of the base is worked out beside the tree, and
# a file is replaced (by rename) only where its contents differ, so that ninja
# rebuilds what a changed patch changed.  The lists of patched files and of
# links are written as the union of old and new before the first change and
# exactly after the last: whenever a run is interrupted, the next one knows
# every file that may need mending.

OVERLAY_DIRS='bench configs docs hw include qapi tests tools'

src_partial() {
    rm -rf "$build/src.partial" "$build/src.old"
    copy_base "$base_dir" "$build/src.partial"
    printf '%s\n' "$base_id" >"$build/src.partial/.nested-base"
}

# make BUILD/src the base, and only that
join_base() {
    if [ "$(cat "$build/src/.nested-base" 2>/dev/null)" = "$base_id" ]; then
        return 0
    fi
    say "laying out the base $base_id"
    src_partial
    # From here on the old tree is not whole: its mark goes first
    if [ -e "$build/src" ]; then
        rm -f "$build/src/.nested-base"
        mv "$build/src" "$build/src.old"
    fi
    rm -f "$build/.patched" "$build/.overlay"
    mv "$build/src.partial" "$build/src"
    rm -rf "$build/src.old"
}

# patched_files: every path the queue touches
patched_files() {
    (cd "$top/patches" && grep -v '^ *\(#\|$\)' series | sed 's/[ #].*//' |
        xargs -r sed -n 's,^\(+++\|---\) [ab]/\([^	]*\).*,\2,p') |
        sort -u
}

# patches_apply: the patched files, in BUILD/patched
patches_apply() {
    rm -rf "$build/patched"
    mkdir "$build/patched"
    while read -r file; do
        if [ -f "$base_dir/$file" ]; then
            mkdir -p "$build/patched/$(dirname "$file")"
            cp -p "$base_dir/$file" "$build/patched/$file"
        fi
    done <"$1"
    [ -s "$1" ] || return 0
    need quilt quilt
    (cd "$build/patched" && QUILT_PATCHES=$top/patches QUILT_PC=.pc \
        quilt --quiltrc=- push -a --fuzz=0) >"$build/patches.log" 2>&1 &&
        return 0
    patch=$(sed -n 's/^Applying patch //p' "$build/patches.log" | tail -n 1)
    file=$(sed -n "s/^\(patching file\|can't find file to patch\)//p" \
        "$build/patches.log" | tail -n 1)
    die "patch '${patch##*/}' does not apply to file '${file# }' of the" \
        "base $base_id; details: $build/patches.log"
}

# Put BUILD/src/$1 into its right state: patched, else as in the base, else gone
patched_sync() {
    if [ -f "$build/patched/$1" ]; then
        want=$build/patched/$1
    elif [ -f "$base_dir/$1" ]; then
        want=$base_dir/$1
    else
        rm -f "$build/src/$1"
        return 0
    fi
    cmp -s "$want" "$build/src/$1" && return 0
    mkdir -p "$(dirname "$build/src/$1")"
    cp "$want" "$build/src/$1.nested-new"
    mv "$build/src/$1.nested-new" "$build/src/$1"
}

# lists_begin NAME: union of BUILD/.NAME and BUILD/.NAME.new into BUILD/.NAME
list_begin() {
    touch "$build/.$1"
    sort -u "$build/.$1" "$build/.$1.new" >"$build/.$1.union"
    mv "$build/.$1.union" "$build/.$1"
}

list_end() {
    mv "$build/.$1.new" "$build/.$1"
}

join_patches() {
    if [ "$base_only" = yes ]; then
        : >"$build/.patched.new"
        rm -rf "$build/patched"
    else
        [ -f "$top/patches/series" ] || die "patches/series is missing"
        patched_files >"$build/.patched.new" ||
            die "patches/series names a patch that is not there"
        patches_apply "$build/.patched.new"
    fi
    list_begin patched
    while read -r file; do
        patched_sync "$file"
    done <"$build/.patched"
    list_end patched
}

# overlay_files: our files, as paths in the joined tree
overlay_files() {
    if [ "$base_only" = yes ]; then
        set -- configs
    else
        # shellcheck disable=SC2086
        set -- $OVERLAY_DIRS
    fi
    for dir; do
        [ -d "$top/$dir" ] && (cd "$top" && find "$dir" -type f \
            ! -name '.*' ! -name '*~' ! -name '*.orig' ! -name '*.rej' \
            ! -name '*.pyc')
    done
    [ "$base_only" = yes ] || echo nested/meson.build
}

overlay_origin() {
    case $1 in
    nested/meson.build) echo "$top/meson.build" ;;
    *) echo "$top/$1" ;;
    esac
}

# One readlink for all links there are: a run that finds them right is fast
join_overlay() {
    overlay_files | sort -u >"$build/.overlay.new"
    list_begin overlay
    (cd "$build/src" && find . -type l -printf '%P %l\n') | sort \
        >"$build/.links"
    while read -r file; do
        printf '%s %s\n' "$file" "$(overlay_origin "$file")"
    done <"$build/.overlay.new" | sort >"$build/.links.new"
    comm -13 "$build/.links" "$build/.links.new" | while read -r file origin
    do
        [ -L "$build/src/$file" ] || [ ! -e "$build/src/$file" ] ||
            die "our file '$file' is one of the base too: change the base's" \
                "with a patch instead"
        mkdir -p "$(dirname "$build/src/$file")"
        ln -sfn "$origin" "$build/src/$file"
    done || exit 1
    comm -23 "$build/.overlay" "$build/.overlay.new" | while read -r file
    do
        rm -f "$build/src/$file"
    done
    rm -f "$build/.links" "$build/.links.new"
    list_end overlay
}

join_tree() {
    # For patches.sh, which starts from the pristine files again
    printf '%s\n' "$base_dir" >"$build/.base-dir"
    join_base
    join_patches
    join_overlay
}
