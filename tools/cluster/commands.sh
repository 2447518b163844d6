# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# The verbs that drive a running cluster. Sourced by run-qemu.sh.

# The standard descriptors pass straight through to whctl, which becomes this process.
cmd_exec() {
	local opts=()
	conf_load
	while [[ ${1:-} == -? && $1 != -- ]]; do
		opts+=("$1" "${2:-}")
		shift 2 || die "exec: $1 wants a value"
	done
	want_running "${1:-}"
	local node=$1
	shift
	[ "${1:-}" != -- ] || shift
	[ $# -gt 0 ] || die "which command? ./run-qemu.sh exec NODE -- CMD..."
	exec "$HOST/whctl" "$RUN" "$node" "${opts[@]}" exec "$@"
}

# Split $1, NODE:PATH, into NODE and NPATH; false if it is a host path.
split_place() {
	[[ $1 =~ ^([0-9]+):(.+)$ ]] || return 1
	NODE=${BASH_REMATCH[1]} NPATH=${BASH_REMATCH[2]}
	want_running "$NODE"
}

cmd_cp() {
	[ $# = 2 ] || die "usage: ./run-qemu.sh cp SRC DST   (one of them is NODE:PATH)"
	conf_load
	if ! split_place "$1"; then
		split_place "$2" || die "neither $1 nor $2 is NODE:PATH; plain cp does that"
		exec "$HOST/whctl" "$RUN" "$NODE" put "$1" "$NPATH"
	fi
	local from=$NODE path=$NPATH via status=0
	if ! split_place "$2"; then exec "$HOST/whctl" "$RUN" "$from" get "$path" "$2"; fi
	via=$(mktemp "$RUN/cp.XXXXXX")
	node_exec "$from" get "$path" "$via" && node_exec "$NODE" put "$via" "$NPATH" || status=$?
	rm -f "$via"
	return $status
}

cmd_console() {
	conf_load
	want_running "${1:-}"
	exec "$HOST/console" "$RUN/$1.com1"
}

cmd_log() {
	conf_load
	want_node "${1:-}"
	if [ "${2:-}" = -f ]; then exec tail -n +1 -f "$RUN/kernel-$1.log"; fi
	cat "$RUN/kernel-$1.log"
}

cmd_kill() {
	conf_load
	want_running "${1:-}"
	end_process "$RUN/$1.pid" qemu-system-x86 KILL
	say "node $1 was cut off; its disk is kept. ./run-qemu.sh restart $1 boots it again"
}

cmd_restart() {
	conf_load
	want_node "${1:-}"
	end_process "$RUN/$1.pid" qemu-system-x86 KILL
	cat "$RUN/kernel-$1.log" >>"$RUN/kernel-$1.log.old"
	rm -f "$RUN/kernel-$1.log"
	node_start "$1"
	local tries
	for ((tries = 0; tries < 12; tries++)); do
		if node_exec "$1" -t 5 exec true 2>/dev/null </dev/null; then
			switch_check_alive
			return 0
		fi
		node_check_alive "$1"
	done
	die "node $1 was started but does not answer; see ./run-qemu.sh log $1"
}

cmd_pause() {
	conf_load
	want_running "${1:-}"
	monitor "$1" stop >/dev/null
}

cmd_resume() {
	conf_load
	want_running "${1:-}"
	monitor "$1" cont >/dev/null
}

cmd_status() {
	local k state up=0
	conf_load
	for k in "${MINE[@]}"; do
		state=down
		if node_running "$k"; then
			state=$(monitor "$k" info status 2>/dev/null | tr -d '\r' | sed -n 's/^VM status: //p')
			if [ "$state" = running ]; then
				if node_exec "$k" -t 2 exec true >/dev/null 2>&1 </dev/null; then
					state="running, answers"
					up=$((up + 1))
				else
					state="running, does not answer"
				fi
			fi
		fi
		printf 'node %-3s %-26s %s\n' "$k" "${state:-unknown}" "$(node_cmdline "$k")"
	done
	if [ -n "$BRIDGE" ]; then
		echo "bridge   $BRIDGE"
	elif switch_running; then
		echo "switch   running"
	else
		echo "switch   down: no node hears another; ./run-qemu.sh net restart brings it back"
		up=0
	fi
	[ $up = ${#MINE[@]} ]
}

# Ends exactly the processes recorded in the run directory, then removes it.
cmd_down() {
	local k
	if [ ! -d "$RUN" ]; then
		say "no cluster in $RUN"
		return 0
	fi
	[ -f "$RUN/cluster.conf" ] || die "$RUN is not the directory of a cluster; not touching it"
	conf_load
	for ((k = 1; k <= N; k++)); do
		! node_running "$k" || kill -TERM "$(cat "$RUN/$k.pid")" 2>/dev/null || true
	done
	for ((k = 1; k <= N; k++)); do end_process "$RUN/$k.pid" qemu-system-x86; done
	end_process "$RUN/switch.pid" switch
	if [ -n "$BRIDGE" ]; then
		for k in "${MINE[@]}"; do bridge_unplug "$k"; done
	fi
	rm -rf "$RUN"
}

cmd_demo() { exec "$ROOT/tools/demo.sh" "$@"; }
cmd_bench() { exec "$ROOT/tools/bench/bench.sh" "$@"; }
