# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# The network switch of the cluster: its start, its restart, and `net`. Sourced by run-qemu.sh.

net_help() {
	cat <<'EOF'
./run-qemu.sh net WHERE NAME=VALUE...   make the wire bad; settings not named stay as they are, 0 takes one back
  WHERE   2       the cable of node 2, both ways        1-2   all frames between nodes 1 and 2
          all     every node's cable: a frame from      1:2   those from 1 to 2 only
                  node to node crosses two of them      all:3, 1:all, all-2 ...
  loss=5%         frames lost                           delay=20ms    every frame takes longer (us, ms, s)
  dup=1%          frames doubled                        jitter=5ms    up to so much more, order kept
  reorder=3%      frames held for up to 5 ms,           rate=20M      bytes per second (k, M, G); 256 kB wait,
                  so that others overtake them                        what is more is dropped; per direction
  corrupt=1%      frames damaged behind their Ethernet header; begins when all nodes know that they must check
  header=1%       frames damaged in their Ethernet header     bits=3  bits flipped by each damage (1 to 64; default 1)
./run-qemu.sh net partition 1,2 3       who hears whom: groups; nodes not named form one more
./run-qemu.sh net heal [WHERE]          take all of it back, or what is set at one place
./run-qemu.sh net show                  what is set           net stats [all|WHERE]   what was done, by link
./run-qemu.sh net seed S                begin every link's dice anew: the same frames meet the same fate
./run-qemu.sh net open on|off           strangers are on the wire: nodes make and check all protocols' own sums
./run-qemu.sh net pcap start FILE       capture what arrives at the switch; net pcap stop
./run-qemu.sh net restart               end the switch and start it anew, or start it if it died; settings are kept
EOF
}

switch_start() {
	local i
	rm -f "$RUN/sw-ctl.sock"
	setsid "$HOST/switch" "$RUN" "$N" "$SEED" >>"$RUN/switch.log" 2>&1 </dev/null &
	echo $! >"$RUN/switch.pid"
	disown
	for ((i = 0; i < 500; i++)); do
		[ ! -S "$RUN/sw-ctl.sock" ] || return 0
		switch_running || ((i < 50)) || break # setsid becomes the switch only a moment later
		sleep 0.01
	done
	cat "$RUN/switch.log" >&2
	die "the network switch did not start; its message is above"
}

# It still runs, or say what it left.
switch_check_alive() {
	[ -z "$BRIDGE" ] || return 0
	switch_running && return 0
	progress_end
	tail -5 "$RUN/switch.log" >&2 || true
	die "the network switch has stopped, so no node hears another; its last words are above. ./run-qemu.sh net restart brings it back"
}

# QEMU 7.2 forgets to go on sending if its connection ended while it was full; a stop of the machine for an instant reminds it.
net_remind() {
	[[ $(monitor "$1" info status) == *running* ]] || return 0 # paused: resume does the same
	monitor "$1" stop >/dev/null
	monitor "$1" cont >/dev/null
}

net_restart() {
	local k
	end_process "$RUN/switch.pid" switch
	switch_start
	for ((k = 1; k <= N; k++)); do
		if node_running "$k"; then net_remind "$k" & fi
	done
	wait
}

# Damage begins when every node has said that it knows what to expect.
net_wait_link() {
	local i why
	for ((i = 0; i < 50; i++)); do
		if why=$(switch_ask link 2>&1); then return 0; fi
		sleep 0.1
	done
	die "not all nodes know yet: ${why#*; }; nothing is damaged before they do (./run-qemu.sh net show)"
}

cmd_net() {
	if [[ ${1:-help} =~ ^(help|-h|--help)$ ]]; then
		net_help
		return
	fi
	conf_load
	want_switch
	case $1 in
	restart) net_restart ;;
	partition | heal | stats | show | seed) switch_ask "$@" ;;
	open)
		switch_ask "$@"
		net_wait_link
		;;
	pcap)
		[ "${2:-}" != start ] || [ $# != 3 ] || set -- pcap start "$(realpath -m "$3")"
		switch_ask "$@"
		;;
	*)
		[[ $1 =~ ^(all|[0-9]+)([:-](all|[0-9]+))?$ ]] || die "net: no command and no place: '$1'; see ./run-qemu.sh net help"
		switch_ask set "$@"
		[[ " ${*:2}" != *\ corrupt=* && " ${*:2}" != *\ header=* ]] || net_wait_link
		;;
	esac
}
