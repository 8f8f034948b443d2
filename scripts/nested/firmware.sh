# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Sourced by configure: the Debian source package of the base carries no
# firmware images.  What Debian's seabios, ipxe-qemu, qemu-system-data and
# qemu-efi-aarch64 packages install is linked to where an uninstalled QEMU
# looks for it.

AAVMF=/usr/share/AAVMF
FIRMWARE_DIRS='/usr/share/seabios /usr/lib/ipxe/qemu /usr/share/qemu'

firmware_link() {
    data=$build/obj/qemu-bundle/usr/local/share/qemu
    mkdir -p "$data"
    for dir in $FIRMWARE_DIRS; do
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
