#!/bin/bash
# SPDX-License-Identifier: MIT
# demo.sh [--keep]: the main job, non-interactive. Three nodes whose clocks disagree; seven simulations start on node 1; the load
# servers spread them; then each is moved on command, one of them back to where it was born, all while running. In the end every
# result is compared with the normal result, which the same program file gives on this host. Exit status 0 only if all are equal.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
export BUILD WHIMBREL_RUN=${WHIMBREL_RUN:-$BUILD/demo}
OUT=$BUILD/demo-results
NODES=3
INPUT=/usr/share/work # in the image
# Name and arguments; each about ten seconds of a node's own time.
WORKLOADS=(
	"montecarlo --paths 1100000"
	"nbody --steps 170000"
	"queueing --events 14000000"
	"format --effort 9500 $INPUT/text"
	"solve --systems 80"
	"crack $INPUT/shadow $INPUT/words"
	"touchmem --rounds 30000"
)
NAMES=("${WORKLOADS[@]%% *}")
declare -A PID
failures=0 start=$SECONDS

say() { printf '%3d s  %s\n' $((SECONDS - start)) "$*"; }
fail() {
	say "FAILED: $*"
	failures=$((failures + 1))
}
on() { "$BUILD/host/whctl" "$WHIMBREL_RUN" "$1" exec "${@:2}" </dev/null; }
on_sh() { on "$1" sh -c "$2"; }

cleanup() {
	local status=$?
	[ -z "${normal_pid:-}" ] || kill "$normal_pid" 2>/dev/null || true
	if [ "$KEEP" = 0 ] && [ -f "$WHIMBREL_RUN/cluster.conf" ]; then ./run-qemu.sh down || true; fi
	exit $status
}

boot() {
	[ ! -f "$WHIMBREL_RUN/cluster.conf" ] || ./run-qemu.sh down # of a demo that was interrupted
	./run-qemu.sh build
	say "booting $NODES nodes through GRUB: node 2's clock 40 s ahead, node 3's 25 s behind and running 0.5 % fast"
	./run-qemu.sh up --no-build -n $NODES --skew 2=40s --skew 3=-25s --drift 3=5000ppm 2>"$OUT/up.log" ||
		{ cat "$OUT/up.log" >&2; exit 1; }
	for ((k = 1; k <= NODES; k++)); do say "  node $k says it is $(on $k date '+%F %T')"; done
}

# The same files on the host: what each computes when it never migrates.
normal_results() {
	local w args
	for w in "${WORKLOADS[@]}"; do
		read -ra args <<<"${w//$INPUT/$BUILD/user/work/input}"
		"$BUILD/user/work/${args[0]}" "${args[@]:1}" -o "$OUT/${args[0]}.normal" --progress none </dev/null >/dev/null
	done
}

# Each under a shell that stays on node 1 as its parent and notes how it ended. No pipe, no terminal, no open file shared with the
# shell: those cannot move yet.
launch() {
	local w name script="mkdir -p /root/demo && cd /root/demo || exit 1"
	for w in "${WORKLOADS[@]}"; do
		name=${w%% *}
		script+="
( $w -o $name.out --progress $name.progress 2>$name.err & echo \$! >$name.pid; wait \$!; echo \$? >$name.status ) </dev/null >/dev/null 2>&1 &"
	done
	on_sh 1 "$script
sleep 0.5"
	for name in "${NAMES[@]}"; do PID[$name]=$(on 1 cat "/root/demo/$name.pid"); done
	say "started on node 1: ${NAMES[*]}"
}

# Where each process is now, from node 1, which keeps a stub of those that are away: lines "NAME NODE", NODE 0 when it ended.
places() {
	local name script=
	for name in "${NAMES[@]}"; do
		script+="s=\$(cat /proc/${PID[$name]}/status 2>/dev/null) || s='State: Z'
case \"\$s\" in *'State:	Z'*|*'State: Z'*) n=0 ;; *'State:	A'*) n=\${s##*AwayNode:	}; n=\${n%% *} ;; *) n=1 ;; esac
echo $name \$n
"
	done
	on_sh 1 "$script"
}

show_places() { say "  $(places | awk '{printf "%s%s@%s", (NR > 1 ? " " : ""), $1, ($2 == 0 ? "done" : $2)}')"; }

# Let the load servers work until most processes have left node 1, or they had their time.
spread() {
	local away=0 i
	for ((i = 0; i < 12; i++)); do
		sleep 1.5
		away=$(places | awk '$2 > 1' | wc -l)
		((i % 3)) || show_places
		[ "$away" -lt 4 ] || break
	done
	show_places
	if [ "$away" -ge 2 ]; then
		say "the load servers moved $away processes away from node 1"
	else
		fail "the load servers moved only $away processes"
	fi
}

place_of() { places | awk -v n="$1" '$1 == n {print $2}'; }

# Move process $1, which was seen on node $2, to node $3; if it is there already, to the next one, or with $4 not at all. Until its first
# commanded move pins it, a load server may be quicker: then look again.
move() {
	local node=$2 to text try
	for ((try = 0; try < 6; try++)); do
		if [ "$node" = 0 ]; then
			fail "$1 ended before it could be moved"
			return
		fi
		to=$3
		if [ "$node" = "$to" ]; then
			[ -z "${4:-}" ] || return 0
			to=$((node % NODES + 1))
		fi
		if text=$(on "$node" migrate "${PID[$1]}" "$to" 2>&1); then
			say "  $text"
			return
		fi
		sleep 0.3
		node=$(place_of "$1")
	done
	fail "$1 did not move from node $node to node $to: $text"
}

# Round $1: each process goes to that other node which got fewest in this round, so that in the end all have about equally many. The
# first process comes home in round 2.
round() {
	local name node k to count=(0 0 0 0)
	while read -r name node <&3; do
		to=
		for ((k = NODES; k >= 1; k--)); do
			[ $k != "$node" ] || continue
			if [ "$name" = "${NAMES[0]}" ] && [ $k = 1 ] && [ "$1" = 1 ]; then continue; fi
			if [ -z "$to" ] || [ "${count[$k]}" -lt "${count[$to]}" ]; then to=$k; fi
		done
		if [ "$name" = "${NAMES[0]}" ] && [ "$1" = 2 ] && [ "$node" != 1 ]; then to=1; fi
		count[to]=$((count[to] + 1))
		move "$name" "$node" "$to"
	done 3< <(places)
}

command_moves() {
	say "now each is moved on command, which also pins it:"
	round 1
	sleep 1
	round 2
	move "${NAMES[0]}" "$(place_of "${NAMES[0]}")" 1 unless-there
	say "${NAMES[0]} is back on node 1, where it was born"
}

await_end() {
	local i left
	say "they go on to their ends"
	for ((i = 0; i < 90; i++)); do
		# shellcheck disable=SC2016 # for the node's shell
		left=$(on_sh 1 'cd /root/demo; for p in *.pid; do [ -f ${p%.pid}.status ] || echo ${p%.pid}; done')
		[ -n "$left" ] || return 0
		((i % 5)) || show_places
		sleep 1
	done
	# shellcheck disable=SC2086 # one line
	fail "still running after all this time:" $left
}

collect() {
	local name
	for name in "${NAMES[@]}"; do
		./run-qemu.sh cp "1:/root/demo/$name.out" "$OUT/$name.out" 2>>"$OUT/cp.log" || fail "$name left no result"
	done
	for ((k = 1; k <= NODES; k++)); do
		on $k migrate --log | tail -n +2
		on $k t_counters >"$OUT/counters-$k"
	done >"$OUT/moves"
	say "waiting for the normal results from the host"
	wait "$normal_pid" || fail "a workload failed on the host"
	normal_pid=
}

# Equal to the normal result? What depends on the clock cannot be; there the checker and the process itself are the judges.
judge() {
	local name=$1 status
	status=$(on 1 cat "/root/demo/$name.status" 2>/dev/null || echo none)
	if [ "$status" != 0 ]; then
		echo "NO: exit status $status"
	elif [ "$name" = queueing ]; then
		if ! cmp -s <(grep -v ^clock "$OUT/$name.normal") <(grep -v ^clock "$OUT/$name.out"); then
			echo "NO: differs from the normal result"
		else
			awk '$1 == "checker_observations" {o += $2} $1 == "checker_violations" {v += $2}
				END {printf "%s, and all %d observations consistent", (v || !o ? "NO" : "equal"), o; if (v) printf " but %d", v; print ""}' \
				"$OUT"/counters-*
		fi
	elif cmp -s "$OUT/$name.normal" "$OUT/$name.out"; then
		echo "equal to the normal result"
	else
		echo "NO: differs from the normal result"
	fi
}

# Columns of migrate --log: ms pid command from to epoch result pages zero bytes freeze_us total_us by why
summary() {
	local name verdict facts
	echo
	printf '%-11s %-8s %-22s %5s %6s %9s %9s  %s\n' process pid 'route (L load, C cmd)' moves pages max-kB freeze-ms 'result'
	for name in "${NAMES[@]}"; do
		verdict=$(judge "$name")
		facts=$(awk -F '\t' -v pid="${PID[$name]}" '$2 == pid && $7 == "moved"' "$OUT/moves" | sort -t "$(printf '\t')" -k6,6n |
			awk -F '\t' 'NR == 1 {route = $4} {
				route = route ($13 ~ /^command/ ? "-C>" : "-L>") $5; n++; if ($13 ~ /^command/) c++
				if ($8 > pages) pages = $8; if ($10 > bytes) bytes = $10; if ($11 > freeze) freeze = $11; to[$5] = 1
			} END {printf "%s %d %d %d %.1f %d %d", route ? route : "-", n, pages, bytes / 1024, freeze / 1000, c, to[1]}')
		read -r route moves pages kb freeze commanded home <<<"$facts"
		printf '%-11s %-8s %-22s %5s %6s %9s %9s  %s\n' "$name" "${PID[$name]}" "$route" "$moves" "$pages" "$kb" "$freeze" "$verdict"
		[[ $verdict != NO* ]] || failures=$((failures + 1))
		[ "$commanded" -ge 2 ] || fail "$name was moved only $commanded times on command"
		[ "$name" != "${NAMES[0]}" ] || [ "$home" = 1 ] || fail "$name did not come back to node 1"
	done
	local pids="${PID[*]}"
	awk -F '\t' -v pids="$pids" 'index(" " pids " ", " " $2 " ") && $7 != "moved" {
		printf "refused: %s (%s) from node %s to %s: %s\n", $2, $3, $4, $5, $14}' "$OUT/moves" | sort | uniq -c | head -10
	echo
	if [ $failures = 0 ]; then
		echo "All ${#NAMES[@]} results are what they would have been without migration. $((SECONDS - start)) s in all."
	else
		echo "$failures failures. $((SECONDS - start)) s in all. The logs: $OUT"
	fi
}

KEEP=0
case ${1:-} in
'') ;;
--keep) KEEP=1 ;;
*) echo "usage: ./run-qemu.sh demo [--keep]   (--keep: leave the cluster running)" >&2; exit 2 ;;
esac
rm -rf "$OUT"
mkdir -p "$OUT"
trap cleanup EXIT
boot
normal_results &
normal_pid=$!
launch
spread
command_moves
await_end
collect
summary
for ((k = 1; k <= NODES; k++)); do ./run-qemu.sh log $k >"$OUT/node-$k.log"; done
[ $failures = 0 ]
