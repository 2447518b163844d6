#!/bin/bash
# SPDX-License-Identifier: MIT
# A cluster of N nodes: how long it takes to come up, what it costs when idle, how soon a death and a rebirth are seen.
# bench.sh scale [-n N] [--grub] [--seconds S] [UP OPTIONS]. The exit status is 0 if every row reached its goal.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT"
. tools/cluster/common.sh

nodes=16 boot=(--direct) seconds=10 options=()
while [ $# -gt 0 ]; do
	case $1 in
	-n | --seconds) [ $# -ge 2 ] || die "$1 wants a number" ;;
	esac
	case $1 in
	-n) nodes=$2; shift ;;
	--grub) boot=() ;;
	--seconds) seconds=$2; shift ;;
	*) options+=("$1") ;;
	esac
	shift
done
[[ $nodes =~ ^[0-9]+$ && $nodes -ge 2 && $nodes -le $MAX_NODES ]] || die "-n wants 2 to $MAX_NODES nodes"
[[ $seconds =~ ^[0-9]+$ && $seconds -ge 1 ]] || die "--seconds wants a number"

# Goals, of issue 4: 16 nodes, 64 nodes, and in proportion between and below.
limit_up=15 limit_memory=1024 limit_idle=10 limit_seen=3
((nodes <= 16)) || limit_up=60 limit_memory=$((64 * nodes)) limit_idle=0 limit_seen=0
[ ${#boot[@]} -gt 0 ] || limit_up=60

failed=0
# row NAME VALUE UNIT LIMIT: a line of the result; LIMIT 0: there is no goal.
row() {
	local verdict=''
	if [ "$4" != 0 ]; then
		verdict="goal: below $4"
		awk -v v="$2" -v l="$4" 'BEGIN { exit !(v < l) }' || { verdict="MISSED: goal is below $4"; failed=1; }
	fi
	printf '%-44s %8s %-10s %s\n' "$1" "$2" "$3" "$verdict"
}

now() { echo "${EPOCHREALTIME/./}"; } # us
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", (b - a) / 1e6 }'; }

# Processor time of the QEMUs and the switch, in ticks of 10 ms.
ticks() {
	local pid sum=0 stat
	for pid in "${pids[@]}"; do
		read -r stat <"/proc/$pid/stat"
		# shellcheck disable=SC2086
		set -- ${stat##*) }
		sum=$((sum + ${12} + ${13}))
	done
	echo $sum
}

# Does every node but $1 say of node $1, in its own table, what the pattern $2 says?
all_say() {
	local k line
	for ((k = 1; k <= nodes; k++)); do
		[ "$k" != "$1" ] || continue
		line=$("$HOST/whctl" "$RUN" "$k" exec nodes </dev/null | awk -v n="$1" '$1 == n { print $2, $3 }')
		# shellcheck disable=SC2053 # a pattern
		[[ $line == $2 ]] || return 1
	done
}

# Wait until every node's log but $1's, behind line ${mark[k]}, matches $2; then the tables must say $3. Prints the seconds since $4.
wait_logs() {
	local k end=$(($(now) + 30000000)) took
	for ((k = 1; k <= nodes; k++)); do
		[ "$k" != "$1" ] || continue
		until tail -n "+$((${mark[$k]} + 1))" "$RUN/kernel-$k.log" | grep -q "$2"; do
			[ "$(now)" -lt "$end" ] || die "node $k does not say '$2' within 30 s; see its log, ./run-qemu.sh log $k"
			sleep 0.02
		done
	done
	took=$(since "$4")
	all_say "$1" "$3" || die "the tables of the nodes disagree with their logs: ./run-qemu.sh exec 1 -- nodes"
	echo "$took"
}

mark_logs() {
	local k
	for ((k = 1; k <= nodes; k++)); do mark[k]=$(wc -l <"$RUN/kernel-$k.log"); done
}

start=$(now)
./run-qemu.sh up --no-build -n "$nodes" "${boot[@]}" "${options[@]}" >&2
took=$(since "$start")
trap './run-qemu.sh down' EXIT
echo "$nodes nodes, ${boot[*]:-GRUB}${options[*]:+ ${options[*]}}"
row "up, each seeing all" "$took" s $limit_up

pids=("$(cat "$RUN/switch.pid")")
for ((k = 1; k <= nodes; k++)); do pids+=("$(cat "$RUN/$k.pid")"); done
# The clocks are compared more often until each node knows all others'.
settle=$((5 + nodes / 2))
sleep $settle
before=$(ticks) start=$(now)
sleep "$seconds"
row "idle: all QEMUs and the switch, one core" \
	"$(awk -v t=$(($(ticks) - before)) -v s="$(since "$start")" 'BEGIN { printf "%.1f", t / s }')" % $limit_idle
row "memory: all QEMUs and the switch" \
	"$(for pid in "${pids[@]}"; do grep ^Pss: "/proc/$pid/smaps_rollup"; done | awk '{ s += $2 } END { printf "%.0f", s / 1024 }')" \
	"MB (PSS)" $limit_memory

mark=()
victim=$nodes
mark_logs
start=$(now)
./run-qemu.sh kill "$victim" 2>/dev/null
took=$(wait_logs "$victim" "node $victim is silent" 'suspect *' "$start")
row "killed: suspected by all others after" "$took" s $limit_seen
mark_logs
start=$(now)
./run-qemu.sh restart "$victim"
took=$(wait_logs "$victim" "node $victim is alive again" 'alive 2' "$start")
row "restarted: a new incarnation to all after" "$took" s $limit_seen
exit $failed
