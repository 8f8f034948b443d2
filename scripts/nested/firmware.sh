# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: the Debian source package of the base carries no
# firmware images.  What Debian's seabios, ipxe-qemu, qemu-system-data and
# qemu-efi-aarch64 packages install is linked to where an uninstalled QEMU
# looks for it.
#
# SeaBIOS before 1.16.3 waits half a minute for each disk of an AHCI controller
# of this QEMU, which reports the command that a disk does not know as a task
# file error alone.  Where it is older, that of the release's backports is
# kept in the cache.

AAVMF=/usr/share/AAVMF
SEABIOS_MIN=1.16.3
FIRMWARE_DIRS='/usr/share/seabios /usr/lib/ipxe/qemu /usr/share/qemu'

seabios_is_old() {
    have dpkg-query || return 1
    version=$(dpkg-query -W -f '${Version}' seabios 2>/dev/null) || return 1
    dpkg --compare-versions "$version" lt "$SEABIOS_MIN"
}

# It can be done without: boots are slow then
seabios_get() {
    seabios=$cache/seabios-$SEABIOS_MIN
    [ ! -d "$seabios" ] && [ "$offline" = no ] && seabios_is_old || return 0
    suite_why="cannot write to the cache directory '$cache'"
    if cache_tmp && backports_get "$tmp/firmware" seabios; then
        mv "$tmp/firmware/usr/share/seabios" "$seabios"
    else
        say "note: seabios is older than $SEABIOS_MIN, machines with disks on" \
            "AHCI start slowly; no newer one: $suite_why"
    fi
}

# prefix_of OBJ: what it was configured for
prefix_of() {
    prefix=$(sed -n 's/^#define CONFIG_PREFIX "\(.*\)"$/\1/p' \
        "$1/config-host.h" 2>/dev/null) || :
    echo "${prefix:-/usr/local}"
}

firmware_link() {
    data=$build/obj/qemu-bundle$(prefix_of "$build/obj")/share/qemu
    mkdir -p "$data"
    # A tree that was configured before there was a newer one
    [ ! -d "$seabios" ] ||
        find "$data" -maxdepth 1 -lname '/usr/share/seabios/*' -delete
    for dir in "$seabios" $FIRMWARE_DIRS; do
        for file in "$dir"/*.bin "$dir"/*.rom; do
            name=${file##*/}
            if [ -f "$file" ] && [ ! -e "$data/$name" ]; then
                ln -sfn "$file" "$data/$name"
            fi
        done
    done
    # Under the base's names, which its ACPI test has built in
    if [ -f "$AAVMF/AAVMF_CODE.fd" ]; then
        mkdir -p "$build/obj/pc-bios"
        ln -sfn "$AAVMF/AAVMF_CODE.fd" \
            "$build/obj/pc-bios/edk2-aarch64-code.fd"
        ln -sfn "$AAVMF/AAVMF_VARS.fd" "$build/obj/pc-bios/edk2-arm-vars.fd"
    fi
    [ -e "$data/bios-256k.bin" ] ||
        say "note: no bios-256k.bin found; PC machines will not start" \
            "(package 'seabios')"
}

# firmware_copy FROM TO: what firmware_link put into the data directory FROM, for
# one that is installed.  What is in no package is copied.
firmware_copy() {
    mkdir -p "$2"
    for file in "$1"/*.bin "$1"/*.rom; do
        [ -L "$file" ] && [ ! -e "$2/${file##*/}" ] || continue
        case $(readlink "$file") in
        /usr/*) cp -d "$file" "$2/" ;;
        *) cp -L "$file" "$2/" ;;
        esac
    done
    if [ -f "$AAVMF/AAVMF_CODE.fd" ]; then
        ln -sfn "$AAVMF/AAVMF_CODE.fd" "$2/edk2-aarch64-code.fd"
        ln -sfn "$AAVMF/AAVMF_VARS.fd" "$2/edk2-arm-vars.fd"
    fi
}
