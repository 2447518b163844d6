#!/bin/bash
# SPDX-License-Identifier: MIT
# bench net: TCP between two nodes of Whimbrel, and between two machines of Debian's Linux on a switch of the same kind, in turns and
# with the same static program (user/bench/nettest.c). docs/bench-net.md says what is measured and how.
# shellcheck disable=SC2034 # the parts of run-qemu.sh use what is set here
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUT=${WHIMBREL_RUN:-${BUILD:-build}/bench}
cd "$ROOT"
export WHIMBREL_RUN=$OUT/net # of the cluster of two nodes; removed at the end
. tools/cluster/common.sh
. tools/bench/linux-vm.sh
OUT=${RUN%/net}
LX='' # the Linux machines' directory; removed, too

MEMORY=256 PORT=5001 # MB, of all four
ROUNDS=5 MB=256 TRIPS=1000 JSON=$OUT/net.json
BEST_MTU=60000 DEFAULT_MTU=1500
LINUX_MODULES+=" virtio_net"

ROWS="bulk_default	ns	0.25	whimbrel	linux-$DEFAULT_MTU	time of 1 MB by TCP; Linux as Debian configures it, MTU $DEFAULT_MTU
bulk_best	ns	0.6667	whimbrel	linux-$BEST_MTU	the same; Linux at its best, MTU $BEST_MTU
trip_default	ns	0.75	whimbrel	linux-$DEFAULT_MTU	one byte there and back; Linux at MTU $DEFAULT_MTU
trip_best	ns	0.75	whimbrel	linux-$BEST_MTU	the same; Linux at MTU $BEST_MTU"

while [ $# -gt 0 ]; do
	case $1 in
	--json | --rounds | --mb) [ $# -ge 2 ] || die "$1 wants a value" ;;
	esac
	case $1 in
	--quick) ROUNDS=1 MB=64 TRIPS=300 ;;
	--rounds) ROUNDS=$2; shift ;;
	--mb) MB=$2; shift ;;
	--json) JSON=$(realpath -m "$2"); shift ;;
	*) die "bench net: unknown option '$1'; ./run-qemu.sh bench lists them" ;;
	esac
	shift
done
[[ $ROUNDS =~ ^[1-9][0-9]?$ ]] || die "--rounds wants a number from 1 to 99"
[[ $MB =~ ^[1-9][0-9]*$ ]] || die "--mb wants a number"

# shellcheck disable=SC2317 # called by trap
at_exit() {
	"$ROOT/run-qemu.sh" down >/dev/null 2>&1 || true
	if [ -n "$LX" ]; then
		{ linux_kill "$LX/1"
		linux_kill "$LX/2"; } 2>/dev/null
		end_process "$LX/switch.pid" switch
		rm -rf "$LX"
	fi
}

say_record() { local IFS=$'\t'; echo "$*" >>"$SAMPLES"; }
# sample WHAT SYSTEM VALUE, into the rows that compare this system in this.
sample() {
	local row name a b
	while IFS=$'\t' read -r name _ _ a b _; do
		if [[ $name == "$1"_* && ($2 == "$a" || $2 == "$b") ]]; then say_record sample "$name" "$2" "$3"; fi
	done <<<"$ROWS"
}

# ---- the machines ----

# The two Linux machines: linux_on K COMMAND runs a command on one and prints its output.
declare -A CTL=() ANSWER=() PID=()
linux_boot() {
	local k i
	mkdir -p "$LX/files"
	cp "$BUILD/user/bench/nettest" "$LX/files/"
	linux_initrd "$LX/initrd.cpio" "$LX/files"
	for k in 1 2; do
		mkdir -p "$LX/$k"
		ln "$LX/initrd.cpio" "$LX/$k/initrd.cpio"
		LINUX_EXTRA=(-netdev "stream,id=n0,server=on,addr.type=unix,addr.path=$LX/nic-$k.sock"
			-device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0$k,disable-modern=on,romfile=,addr=3")
		linux_start "$LX/$k" '' $MEMORY
		CTL[$k]=$LINUX_CTL ANSWER[$k]=$LINUX_ANSWER PID[$k]=$LINUX_PID
	done
	setsid "$HOST/switch" "$LX" 2 1 >"$LX/switch.log" 2>&1 </dev/null &
	echo $! >"$LX/switch.pid"
	for k in 1 2; do
		linux_on $k "ip addr add 10.0.0.$k/24 dev eth0; ip link set eth0 up"
	done
	linux_on 2 "/files/nettest serve $PORT >/dev/null 2>&1 &"
}
linux_on() {
	local was
	LINUX_CTL=${CTL[$1]} LINUX_ANSWER=${ANSWER[$1]} LINUX_PID=${PID[$1]}
	was=$(stat -c %s "$LX/$1/out" 2>/dev/null || echo 0)
	linux_exec "$LX/$1" 120 "$2"
	tail -c "+$((was + 1))" "$LX/$1/out"
	[ "$STATUS" = 0 ] || die "Linux: '$2' ended with status $STATUS: $(tail -n 2 "$LX/$1/err")"
}
linux_mtu() {
	local k
	for k in 1 2; do linux_on $k "ip link set eth0 mtu $1"; done
}
linux_frames() { linux_on 1 "cat /sys/class/net/eth0/statistics/tx_packets /sys/class/net/eth0/statistics/rx_packets" | awk '{ n += $1 } END { print n }'; }

whimbrel_boot() {
	"$ROOT/run-qemu.sh" up -n 2 --direct --no-build --mem ${MEMORY}M >/dev/null || die "the nodes did not start"
	"$HOST/whctl" "$RUN" 2 exec sh -c "nettest serve $PORT >/dev/null 2>&1 </dev/null &"
}
whimbrel_on() { "$HOST/whctl" "$RUN" "$1" -t 120 exec "${@:2}" </dev/null; }

# ---- measuring ----

# measure SYSTEM RUNNER...: both figures once.
measure() {
	local system=$1 line ns
	shift
	line=$("$@" trip 10.0.0.2 $PORT "$TRIPS")
	[[ $line =~ ^trip\ median\ ([0-9.]+)\ us ]] || die "$system: no round trips: $line"
	sample trip "$system" "$(awk -v us="${BASH_REMATCH[1]}" 'BEGIN { print us * 1000 }')"
	line=$("$@" send 10.0.0.2 $PORT "$MB")
	[[ $line =~ ^send\ ([0-9]+)\ bytes\ ([0-9.]+)\ ms ]] || die "$system: no bytes: $line"
	ns=$(awk -v b="${BASH_REMATCH[1]}" -v ms="${BASH_REMATCH[2]}" 'BEGIN { print ms * 1e12 / b }')
	sample bulk "$system" "$ns"
}
on_linux() { linux_on 1 "/files/nettest $*"; }
on_whimbrel() { whimbrel_on 1 nettest "$@"; }

turn() {
	progress "round $1 of $ROUNDS: $2"
	case $2 in
	whimbrel) measure whimbrel on_whimbrel ;;
	linux-*) linux_mtu "${2#linux-}" && measure "$2" on_linux ;;
	esac
}

# What a megabyte costs beside time: the counters of both nodes, and of Linux's interface, around one more transfer.
costs() {
	local before after k system frames
	for k in 1 2; do whimbrel_on $k netstats >"$LX/before-$k"; done
	on_whimbrel send 10.0.0.2 $PORT "$MB" >/dev/null
	for k in 1 2; do whimbrel_on $k netstats >"$LX/after-$k"; done
	for k in 1 2; do
		awk -v mb="$MB" -v side="$([ $k = 1 ] && echo sends || echo receives)" '
			FNR == NR { was[$1] = $2; next }
			{ d[$1] = $2 - was[$1] }
			END {
				mb *= 1.048576
				printf "whimbrel, who %-8s %6.1f frames out, %5.1f in, %5.1f notifications, %5.1f interrupts; copies of the bytes: 1 by the kernel between program and %s, %.2f beside\n",
					side, d["card.sent"] / mb, d["card.received"] / mb, d["card.notifications"] / mb, d["card.interrupts"] / mb,
					side == "sends" ? "segment" : "card'\''s buffer", d["card.copied_bytes"] / (mb * 1e6)
			}' "$LX/before-$k" "$LX/after-$k"
	done
	for system in $DEFAULT_MTU $BEST_MTU; do
		linux_mtu "$system"
		before=$(linux_frames)
		on_linux send 10.0.0.2 $PORT "$MB" >/dev/null
		frames=$(($(linux_frames) - before))
		awk -v f="$frames" -v mb="$MB" -v mtu="$system" 'BEGIN { printf "linux, MTU %-6s      %6.1f frames, both ways\n", mtu, f / mb / 1.048576 }'
	done
}

about() {
	say_record meta title "Whimbrel and Linux, TCP between two machines"
	say_record meta date "$(date -u +%FT%TZ)"
	say_record meta host "$(nproc) x $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
	say_record meta qemu "$(qemu-system-x86_64 --version | sed -n '1s/.*version //p')"
	say_record meta linux "$LINUX_VERSION"
	say_record meta whimbrel "$(git describe --always --dirty 2>/dev/null || echo unknown)"
	say_record meta 'load at the start' "$(cut -d' ' -f1 /proc/loadavg)"
	say_record meta transfer "$MB MB, 64 kB a write; $TRIPS round trips; $ROUNDS rounds"
}

main() {
	local i j systems=(whimbrel "linux-$DEFAULT_MTU" "linux-$BEST_MTU") status=0
	[ -x "$BUILD/user/bench/nettest" ] || die "$BUILD/user/bench/nettest is missing; run ./run-qemu.sh build"
	linux_find
	mkdir -p "$OUT"
	trap at_exit EXIT
	trap 'exit 130' INT TERM
	LX=$(mktemp -d "$OUT/lx.XXXX")
	SAMPLES=$OUT/net.samples
	: >"$SAMPLES"
	about
	while IFS= read -r i; do echo "row	$i" >>"$SAMPLES"; done <<<"$ROWS"
	progress "booting"
	whimbrel_boot
	linux_boot
	for ((i = 0; i < ROUNDS; i++)); do
		for ((j = 0; j < 3; j++)); do turn $((i + 1)) "${systems[(i + j) % 3]}"; done
	done
	progress "counting"
	costs >"$LX/costs"
	progress_end
	awk -F'\t' -v form=table -f tools/bench/report.awk "$SAMPLES" || status=$?
	printf '\nmegabytes a second (medians):'
	for i in "${systems[@]}"; do
		awk -F'\t' -v s="$i" '$1 == "sample" && $2 ~ /^bulk/ && $3 == s { print $4 }' "$SAMPLES" | sort -n |
			awk -v s="$i" '{ v[NR] = $1 } END { printf "  %s %.0f", s, 1e9 / v[int((NR + 1) / 2)] }'
	done
	printf '\nfor each megabyte:\n'
	cat "$LX/costs"
	awk -F'\t' -v form=json -f tools/bench/report.awk "$SAMPLES" >"$JSON" || true
	say "written: $JSON (the samples: $SAMPLES)"
	return $status
}

main
