# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# Paths, messages and the record of the running cluster. Sourced by run-qemu.sh.
#
# In the run directory, for node K:  K.pid  K.qcow2 (its disk)  K.com1 (console socket)  K.mon (QEMU monitor)  nic-K.sock (its
# end of its cable)  sw-K.sock (the switch's, for others)  aK-P.sock (port P of its agent)  console-K.log  kernel-K.log (since its last
# start; before that: kernel-K.log.old); for all: cluster.conf  switch.pid  switch.conf
# (its settings)  sw-ctl.sock  logs.

BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
RUN=${WHIMBREL_RUN:-$BUILD/run}
case $RUN in /*) ;; *) RUN=$PWD/$RUN ;; esac
HOST=$BUILD/host # host tools
MAX_NODES=64
AGENT_PORTS=8 # abi/agent.h

die() {
	echo "run-qemu: $*" >&2
	exit 1
}

say() { echo "run-qemu: $*" >&2; }

# A line that the next one overwrites, on a terminal only.
progress() {
	if [ -t 2 ]; then printf '\r\033[K%s' "$*" >&2; fi
}
# The same where there may be no terminal: there, a line every 2 s. PROGRESS_START: in us, when it began.
progress_since() {
	local now=${EPOCHREALTIME/./} seconds
	seconds=$(((now - PROGRESS_START) / 100000))
	if [ -t 2 ]; then
		progress "$*, $((seconds / 10)).$((seconds % 10)) s"
	elif ((now - ${PROGRESS_SAID:-$PROGRESS_START} >= 2000000)); then
		PROGRESS_SAID=$now
		say "$*, $((seconds / 10)).$((seconds % 10)) s"
	fi
}
progress_end() {
	if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

# Process $1 is alive and still runs the program $2 (pids are reused; a zombie is not alive, but as long as its other
# threads are ending it holds its files, and QEMU its lock on the disk).
alive() {
	local stat tasks
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	[[ $stat == "$1 ($2) "* ]] || return 1
	tasks=("/proc/$1/task"/*)
	[[ $stat != *") Z "* ]] || ((${#tasks[@]} > 1))
}

# The process of pid file $1 is alive and runs the program $2.
running() {
	local pid
	read -r pid 2>/dev/null <"$1" && alive "$pid" "$2"
}

node_running() { running "$RUN/$1.pid" qemu-system-x86; }
switch_running() { running "$RUN/switch.pid" switch; }

# End the process of pid file $1 (program $2) with signal $3, for sure.
end_process() {
	local pid i
	if read -r pid 2>/dev/null <"$1" && alive "$pid" "$2"; then
		kill -"${3:-TERM}" "$pid" 2>/dev/null || true
		for ((i = 0; i < 300; i++)); do
			alive "$pid" "$2" || break
			[ $i -ne 200 ] || kill -KILL "$pid" 2>/dev/null || true
			sleep 0.01
		done
		! alive "$pid" "$2" || die "process $pid ($2) does not end"
	fi
	rm -f "$1"
}

# The running cluster's settings: N MINE[] FORWARD[] BRIDGE MTU DIRECT MEM SEED VIEWS MIPS GDB PLAIN LOG_WRITES DISK_ERRORS SKEW[] DRIFT[].
declare -A SKEW=() DRIFT=()
conf_save() { declare -p N MINE FORWARD BRIDGE MTU DIRECT MEM SEED VIEWS MIPS GDB PLAIN LOG_WRITES DISK_ERRORS SKEW DRIFT >"$RUN/cluster.conf"; }
conf_load() {
	[ -f "$RUN/cluster.conf" ] || die "no cluster in $RUN; start one with ./run-qemu.sh up"
	# declare in a function is local, hence -g.
	# shellcheck source=/dev/null
	. <(sed 's/^declare /declare -g /' "$RUN/cluster.conf")
}

# $1 is the number of a node of the cluster (which must be loaded).
want_node() {
	[[ ${1:-} =~ ^[0-9]+$ ]] || die "want the number of a node, not '${1:-}'"
	((10#$1 >= 1 && 10#$1 <= N)) || die "no node $1; this cluster has nodes 1 to $N"
	[[ " ${MINE[*]} " == *" $1 "* ]] || die "node $1 is on another host; here are ${MINE[*]}"
}
want_running() {
	want_node "$1"
	node_running "$1" || die "node $1 is not running; start it with ./run-qemu.sh restart $1"
}

want_switch() {
	[ -z "$BRIDGE" ] || die "the nodes hang on the bridge $BRIDGE, not on a switch of ours: what happens there, tc and tcpdump say"
}
switch_ask() {
	want_switch
	switch_running || die "the switch is not running, so no node hears another; ./run-qemu.sh net restart brings it back"
	"$HOST/ask" switch "$RUN/sw-ctl.sock" "$@"
}
monitor() { "$HOST/ask" monitor "$RUN/$1.mon" "${@:2}"; }
