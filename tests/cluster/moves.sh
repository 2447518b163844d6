#!/bin/bash
# SPDX-License-Identifier: MIT
# moves.sh: two nodes with nothing but kernel, net server, migration handler and moves.c; print what it found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${BUILD:-build}
dir=$(mktemp -d)
pids=()
# shellcheck disable=SC2317 # called by trap
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait
	[ -n "${KEEP:-}" ] && cp "$dir"/log-* "$KEEP"
	rm -rf "$dir"
}
trap finish EXIT

"$build/host/switch" "$dir" 2 1 >"$dir/switch.log" 2>&1 &
pids+=($!)
until [ -S "$dir/sw-ctl.sock" ]; do sleep 0.05; done
for f in key random-1 random-2; do head -c 32 /dev/urandom >"$dir/$f"; done
for k in 2 1; do
	qemu-system-x86_64 -M pc -nodefaults -no-user-config -accel tcg -cpu qemu64,+smep,+smap,+umip -m 64M -display none \
		-serial none -debugcon "file:$dir/log-$k" -kernel "$build/whimbrel.elf" \
		-initrd "$build/tests/cluster/moves,$build/servers/net,$build/servers/migrate/migrate" \
		-append "node=$k nodes=2" \
		-fw_cfg "name=opt/whimbrel/key,file=$dir/key" -fw_cfg "name=opt/whimbrel/random,file=$dir/random-$k" \
		-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$dir/sw-$k.sock" \
		-device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0$k,disable-modern=on,romfile=" &
	pids+=($!)
done
for ((i = 0; i < 60 * 5; i++)); do
	if grep -q "moves: end\|PANIC" "$dir/log-1" 2>/dev/null; then
		break
	fi
	sleep 0.2
done
grep -h "moves: \|migrate: " "$dir"/log-[12] | sed 's/^.*moves: //' || true
if grep -q "moves: end" "$dir/log-1" && ! grep -q "moves: not ok" "$dir/log-1"; then
	exit 0
fi
tail -n 25 "$dir"/log-[12] >&2
exit 1
