#!/bin/bash
# SPDX-License-Identifier: MIT
# [PLAIN=1] netbench.sh [SECONDS]: two nodes with nothing but kernel, net server and netbench; print what they measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${BUILD:-build}
dir=$(mktemp -d)
pids=()
# shellcheck disable=SC2317 # called by trap
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait
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
		-initrd "$build/servers/net,$build/tests/cluster/netbench" -append "node=$k nodes=2 plain=${PLAIN:-0}" \
		-fw_cfg "name=opt/whimbrel/key,file=$dir/key" -fw_cfg "name=opt/whimbrel/random,file=$dir/random-$k" \
		-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$dir/sw-$k.sock" \
		-device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0$k,disable-modern=on,romfile=" &
	pids+=($!)
done
for ((i = 0; i < ${1:-60} * 5; i++)); do
	if grep -q "timed_out" "$dir/log-1" 2>/dev/null; then
		grep "migrate: " "$dir/log-1"
		# Less noisy than the clock where others use the machine too.
		for p in "${pids[@]}"; do
			awk '{ printf "%s %.2f s of CPU\n", $2, ($14 + $15) / 100 }' "/proc/$p/stat"
		done
		exit 0
	fi
	sleep 0.2
done
tail -n 15 "$dir"/log-[12] >&2
exit 1
