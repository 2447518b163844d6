#!/bin/bash
# SPDX-License-Identifier: MIT
# bench node: one node of Whimbrel against Debian's Linux in the same machine. docs/bench.md says what is measured and how.
#
# Both machines are up at the same time, over overlays of the same disk image, and take turns: each row runs on one, then on
# the other, once per round; each round begins with fresh boots of both. What they say goes, sample by sample, into a file
# that report.awk makes a table, JSON and a plot of.
# shellcheck disable=SC2034 # the parts of run-qemu.sh use what is set here
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUT=${WHIMBREL_RUN:-${BUILD:-build}/bench}
cd "$ROOT"
WHIMBREL_RUN=$OUT/node # of the cluster of one node; removed at the end
for part in common packages bridge node net up commands; do
	# shellcheck source=/dev/null
	. "tools/cluster/$part.sh"
done
. tools/bench/linux-vm.sh
. tools/bench/prompt.sh
OUT=${RUN%/node}
LX='' # the Linux peer's directory; removed, too
NODEBENCH=$BUILD/user/bench/nodebench

MEMORY=384 # MB, of both
ROUNDS=5 MS=40 SAMPLES=3 ONLY=() JSON=$OUT/node.json
declare -A GOAL=() TEXT=()

# Rows that nodebench alone cannot measure: NAME GOAL TEXT.
OTHER_ROWS='boot	0.33	QEMU start to shell prompt (Linux: uncompressed kernel, plain busybox initramfs)
view_clock	1.15	cost of views: clock_call (the wall clock)
view_mono	1.15	cost of views: clock_libc (the monotonic clock)
view_read4k	1.05	cost of views: read4k_cached
view_null	1.10	cost of views: null_call'
# For information, if it has been built (make suite-sqlite).
SPEEDTEST=${THIRD:-$ROOT/build/third}/suites/sqlite/stage/sqlite/speedtest1
SPEEDTEST_ROW="speedtest1	-	SQLite's speedtest1 --size 5"
declare -A VIEW_OF=([view_clock]=clock_call [view_mono]=clock_libc [view_read4k]=read4k_cached [view_null]=null_call)

options() {
	local goals=() quick=0 name
	while [ $# -gt 0 ]; do
		case $1 in
		--only | --json | --goal | --rounds) [ $# -ge 2 ] || die "$1 wants a value" ;;
		esac
		case $1 in
		--quick) quick=1 ;;
		--only) ONLY+=("$2"); shift ;;
		--json) JSON=$(realpath -m "$2"); shift ;;
		--goal) goals+=("$2"); shift ;;
		--rounds) ROUNDS=$2; shift ;;
		--list) LIST=1 ;;
		*) die "bench node: unknown option '$1'; ./run-qemu.sh bench lists them" ;;
		esac
		shift
	done
	[[ $ROUNDS =~ ^[1-9][0-9]?$ ]] || die "--rounds wants a number from 1 to 99"
	[ $quick = 0 ] || { ROUNDS=1 MS=20; }
	QUICK=$quick
	for name in "${goals[@]}"; do
		[[ $name =~ ^([a-z0-9_]+)=([0-9.]+)$ ]] || die "--goal wants NAME=RATIO, not '$name'"
		NEW_GOAL[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
	done
}
declare -A NEW_GOAL=()
LIST=0

# ROWS: what there is, and WANTED: what this run measures.
find_rows() {
	local name goal text
	ROWS=()
	while IFS=$'\t' read -r name goal text; do
		ROWS+=("$name")
		GOAL[$name]=${NEW_GOAL[$name]:-$goal} TEXT[$name]=$text
	done < <(
		echo "${OTHER_ROWS%%$'\n'*}"
		"$NODEBENCH" --list
		[ ! -x "$SPEEDTEST" ] || echo "$SPEEDTEST_ROW"
		echo "${OTHER_ROWS#*$'\n'}"
	)
	for name in "${ONLY[@]}" "${!NEW_GOAL[@]}"; do
		[ -n "${GOAL[$name]:-}" ] || die "bench node has no row '$name'; ./run-qemu.sh bench node --list names them"
	done
	WANTED=("${ROWS[@]}")
	[ ${#ONLY[@]} = 0 ] || WANTED=("${ONLY[@]}")
}

wants() { [[ " ${WANTED[*]} " == *" $1 "* ]]; }

record() { (IFS=$'\t' && echo "$*") >>"$SAMPLES_FILE"; }
sample() { record sample "$@"; }
failed() {
	progress_end
	say "$1: $2"
	record failed "$1" "${2//[$'\t\n']/ }"
}

phase() {
	if [ -t 2 ]; then progress "bench: $*"; else say "bench: $*"; fi
}

# ---- the two machines

# A panic halts the machine, and leaves QEMU and the agent's sockets.
whimbrel_alive() {
	node_running 1 && ! grep -q 'PANIC' "$RUN/kernel-1.log" && return 0
	progress_end
	grep -A 12 PANIC "$RUN/kernel-1.log" >&2 || tail -5 "$RUN/kernel-1.log" >&2
	die "Whimbrel has ended${1:+ $1}; its last words are above"
}

whimbrel_up() {
	rm -f "$RUN/kernel-1.log"
	node_start 1
	local end=$((SECONDS + 60)) why
	until why=$(timeout 10 "$HOST/whctl" "$RUN" 1 -t 5 exec true 2>&1 </dev/null); do
		whimbrel_alive
		[ $SECONDS -lt $end ] || {
			tail -5 "$RUN/kernel-1.log" >&2
			die "Whimbrel does not answer a minute after its start (${why:-no message}); the end of its log is above"
		}
		sleep 0.1
	done
}
whimbrel_off() { end_process "$RUN/1.pid" qemu-system-x86; }

linux_up() { linux_start "$LX" "$LX/disk.qcow2" $MEMORY; }

# on whimbrel|linux COMMAND...: REPLY is its output, or why there is none (and the status is not 0).
on() {
	local status=0
	if [ "$1" = whimbrel ]; then
		REPLY=$(timeout 120 "$HOST/whctl" "$RUN" 1 exec "${@:2}" 2>&1 </dev/null) || status=$?
		whimbrel_alive "while it ran ${*:2}"
	else
		: >"$LX/out"
		: >"$LX/err"
		linux_exec "$LX" 120 "$(printf '%q ' "${@:2}")"
		REPLY=$(cat "$LX/err" "$LX/out")
		status=$STATUS
	fi
	return "$status"
}

# measure ROW SYSTEM LABEL [NODEBENCH-ROW]: one sample.
measure() {
	local row=${4:-$1} name median
	if [ "$row" = speedtest1 ]; then
		speedtest "$2"
		return
	fi
	if on "$2" nodebench --ms $MS --samples $SAMPLES --only "$row"; then
		read -r name median _ <<<"$REPLY"
		if [ "$name" = "$row" ] && [[ $median =~ ^[0-9.]+$ ]]; then
			sample "$1" "$3" "$median"
			return
		fi
	fi
	failed "$1" "$3: ${REPLY:-no output}"
}

# It times itself, and ends with a line like `       TOTAL.......................    4.180s`.
speedtest() {
	local total='TOTAL\.+ +([0-9]+)\.([0-9]{3})s'
	if on "$1" sh -c 'cd /var/tmp && rm -f st.db && ./speedtest1 --size 5 st.db' && [[ $REPLY =~ $total ]]; then
		sample speedtest1 "$1" "$((10#${BASH_REMATCH[1]}${BASH_REMATCH[2]}))000000"
	else
		failed speedtest1 "$1: ${REPLY:-no output}"
	fi
}

# ---- rows of nodebench, in turns

new_disks() {
	rm -f "$RUN/1.qcow2" "$LX/disk.qcow2"
	node_disk 1
	qemu-img create -q -f qcow2 -b "$RUN/root.img" -F raw "$LX/disk.qcow2"
	local files=''
	if wants speedtest1; then
		files=$LX/files
		mkdir -p "$files"
		cp "$SPEEDTEST" "$files/"
	fi
	linux_initrd "$LX/initrd.cpio" "$files"
}

# The files are made in a boot of their own: what a row finds in a cache is there because the row read it.
prepare() {
	phase "preparing the files on both machines"
	whimbrel_up
	on whimbrel nodebench --prepare || die "Whimbrel: $REPLY"
	! wants speedtest1 || timeout 60 "$HOST/whctl" "$RUN" 1 put "$SPEEDTEST" /var/tmp/speedtest1 || die "cannot copy $SPEEDTEST"
	on whimbrel sync || die "Whimbrel: $REPLY"
	whimbrel_off
	linux_up
	on linux nodebench --prepare || die "Linux: $REPLY"
	! wants speedtest1 || on linux cp /files/speedtest1 /var/tmp/ || die "Linux: $REPLY"
	linux_stop "$LX"
}

# Linux is at its best only with this one.
check_clock() {
	: >"$LX/out"
	linux_exec "$LX" 10 'cat /sys/devices/system/clocksource/clocksource0/current_clocksource'
	record meta "Linux's clock source" "$(cat "$LX/out")"
	grep -qx tsc "$LX/out" ||
		say "warning: Linux reads '$(cat "$LX/out")', not the TSC; its clock rows are slower than its best"
}

bench_rounds() {
	local i row system rows=() turn=(whimbrel linux)
	for row in "${WANTED[@]}"; do
		[ "$row" = boot ] || [ -n "${VIEW_OF[$row]:-}" ] || rows+=("$row")
	done
	[ ${#rows[@]} -gt 0 ] || return 0
	new_disks
	! wants read4k_cached && ! wants seq64_cached && ! wants seq64_cold && ! wants find2000 && ! wants speedtest1 || prepare
	# What is cold is so only at the beginning of a round.
	if wants seq64_cold; then rows=(seq64_cold "${rows[@]/seq64_cold/}"); fi
	for ((i = 1; i <= ROUNDS; i++)); do
		phase "round $i of $ROUNDS: booting both"
		whimbrel_up
		linux_up
		[ "$i" != 1 ] || check_clock
		for row in "${rows[@]}"; do
			[ -n "$row" ] || continue
			[ ! -t 2 ] || phase "round $i of $ROUNDS: $row"
			for system in "${turn[@]}"; do measure "$row" "$system" "$system"; done
		done
		timeout 60 "$HOST/whctl" "$RUN" 1 exec sync </dev/null || whimbrel_alive
		whimbrel_off
		linux_stop "$LX"
		turn=("${turn[1]}" "${turn[0]}") # nobody is always the first
	done
}

# ---- the cost of views: instructions (virtual nanoseconds), two boots of Whimbrel

bench_views() {
	local row on any=0
	for row in "${!VIEW_OF[@]}"; do ! wants "$row" || any=1; done
	[ $any = 1 ] || return 0
	MIPS=1000 # one instruction, one virtual nanosecond
	for on in 1 0; do
		VIEWS=$on
		phase "instructions with views $([ $on = 1 ] && echo on || echo off)"
		[ -f "$RUN/1.qcow2" ] || node_disk 1
		whimbrel_up
		on whimbrel nodebench --prepare || die "Whimbrel: $REPLY"
		for row in "${WANTED[@]}"; do
			[ -z "${VIEW_OF[$row]:-}" ] || measure "$row" whimbrel "views $([ $on = 1 ] && echo on || echo off)" "${VIEW_OF[$row]}"
		done
		whimbrel_off
	done
}

# ---- the run

about() {
	local load
	read -r load _ </proc/loadavg
	record meta title "bench node, $(date -u '+%Y-%m-%d %H:%M') UTC; ratios of medians of $ROUNDS"
	record meta date "$(date -u '+%Y-%m-%dT%H:%M:%SZ')"
	record meta rounds "$ROUNDS"
	record meta quick $QUICK
	record meta host "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r)"
	record meta "load at the start" "$load"
	record meta qemu "$(qemu-system-x86_64 --version | head -1)"
	record meta linux "$LINUX_VERSION, -cpu qemu64 -m $MEMORY, $LINUX_APPEND"
	record meta whimbrel "$(git describe --always --dirty 2>/dev/null || echo unknown), -cpu qemu64,+smep,+smap,+umip -m $MEMORY"
	# Our own machines are idle yet.
	if awk -v l="$load" 'BEGIN { exit !(l > 0.5) }'; then
		say "warning: this machine is busy (load $load). Turns make the ratios bear it, but the times are longer than they would be"
	fi
}

rows() {
	local row a b unit
	for row in "${WANTED[@]}"; do
		a=whimbrel b=linux unit=ns
		[ -z "${VIEW_OF[$row]:-}" ] || { a="views on" b="views off" unit=vns; }
		record row "$row" $unit "${GOAL[$row]}" "$a" "$b" "${TEXT[$row]}"
	done
}

report() { awk -F'\t' -v form="$1" -f tools/bench/report.awk "$SAMPLES_FILE"; }

at_exit() {
	[ -z "$LX" ] || linux_kill "$LX"
	[ ! -f "$RUN/cluster.conf" ] || cmd_down
	[ -z "$LX" ] || rm -rf "$LX"
}

main() {
	local status=0
	options "$@"
	EXTRA_PACKAGES=cpio
	cmd_build
	find_rows
	if [ $LIST = 1 ]; then
		local row
		for row in "${ROWS[@]}"; do printf '%-20s %5s  %s\n' "$row" "${GOAL[$row]}" "${TEXT[$row]}"; done
		return 0
	fi
	linux_find
	up_options -n 1 --direct --mem ${MEMORY}M
	up_prepare # the directory is ours alone from here on
	trap at_exit EXIT
	trap 'exit 130' INT TERM
	LX=$(mktemp -d "$OUT/peer.XXXXXX")
	SAMPLES_FILE=$OUT/node.samples
	: >"$SAMPLES_FILE"
	about
	rows
	switch_start
	bench_boot
	bench_rounds
	bench_views
	progress_end
	report table || status=$?
	mkdir -p "${JSON%/*}"
	report json >"$JSON" || true
	report svg >"$OUT/node.svg" || true
	say "written: $JSON, $OUT/node.svg (the samples: $SAMPLES_FILE)"
	return $status
}

main "$@"
