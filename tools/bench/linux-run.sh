#!/bin/bash
# SPDX-License-Identifier: MIT
# linux-run.sh [--disk IMG] [--keep QCOW2] [--files DIR] [--mem MB] [--timeout S] -- CMD [ARG...]
# Run a command on the Linux peer: boot, run, stream its output and error output, and exit with its exit status.
#   --disk IMG     its root: a raw ext2 image, which is not changed (default: BUILD/root.img, the one Whimbrel's nodes start from)
#                  none: run in the initial file system, which has busybox only
#   --keep QCOW2   what the command changed on the disk stays in this file; if it exists, it is continued from
#   --files DIR    DIR's content is /files there (in memory: add to --mem what it takes, twice)
#   --timeout S    default 3600. Exit status 125: the peer could not be had, or did not answer in time
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
die() { echo "linux-run: $*" >&2; exit 125; }
. "$ROOT/tools/bench/linux-vm.sh"

BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
disk=$BUILD/root.img keep='' files='' mem=384 timeout=3600
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	--disk | --keep | --files | --mem | --timeout)
		[ $# -ge 2 ] || die "$1 wants a value"
		declare "${1#--}=$2"
		shift 2
		;;
	-h | --help) sed -n '3,10s/^# \?//p' "$0"; exit 0 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || die "which command? linux-run.sh --help"
[ "$disk" = none ] || [ -f "$disk" ] || die "$disk is missing; run ./run-qemu.sh build, or give --disk IMG"
[ -z "$files" ] || [ -d "$files" ] || die "$files is no directory"

vm=$(mktemp -d "${TMPDIR:-/tmp}/wh-linux-XXXXXX")
trap 'linux_kill "$vm"; rm -rf "$vm"' EXIT
trap 'exit 130' INT TERM
linux_find
linux_initrd "$vm/initrd.cpio" "$files"
overlay=
if [ "$disk" != none ]; then
	overlay=${keep:-$vm/disk.qcow2}
	[ -f "$overlay" ] || qemu-img create -q -f qcow2 -b "$(realpath "$disk")" -F raw "$overlay" || die "cannot make $overlay"
fi
mkfifo "$vm/out" "$vm/err"
cat "$vm/out" &
out=$!
cat "$vm/err" >&2 &
err=$!
linux_start "$vm" "$overlay" "$mem"
linux_exec "$vm" "$timeout" "$(printf '%q ' "$@")"
linux_stop "$vm"
wait $out $err || true
exit "$STATUS"
