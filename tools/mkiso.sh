#!/bin/bash
# SPDX-License-Identifier: MIT
# mkiso.sh OUT KERNEL FILE_SERVER GRUB_CFG   build the boot CD: GRUB, the kernel and its one boot module, without debug
# information, since GRUB reads 1 MB in about 60 ms. One CD serves all nodes: the command line comes from the machine's SMBIOS serial number.
set -euo pipefail

fail() { echo "mkiso: $*" >&2; exit 1; }

[ $# -eq 4 ] || fail "usage: mkiso.sh OUT KERNEL FILE_SERVER GRUB_CFG"
out=$1 kernel=$2 module=$3 cfg=$4
grub=/usr/lib/grub/i386-pc
[ -d $grub ] || fail "no $grub; install the package grub-pc-bin"
strip=${CROSS:-}strip

root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/boot/grub"
cp "$cfg" "$root/boot/grub/grub.cfg"
$strip -g -o "$root/boot/whimbrel.elf" "$kernel"
$strip -s -o "$root/boot/file" "$module"
modules="multiboot2 normal iso9660 biosdisk smbios test"
grub-mkrescue -d $grub -o "$out.new" "$root" --install-modules="$modules" --modules="$modules" \
	--locales= --themes= --fonts= >"$root.log" 2>&1 || { cat "$root.log" >&2; rm -f "$root.log" "$out.new"; fail "grub-mkrescue failed"; }
rm -f "$root.log"
mv "$out.new" "$out"
