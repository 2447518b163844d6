# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# up: from the sources to a cluster whose nodes see each other. Sourced by run-qemu.sh.

up_options() {
	N=3 DIRECT=0 MEM=64M SEED=1 VIEWS=1 MIPS='' GDB=0 PCAP='' LOG_WRITES='' DISK_ERRORS='' BUILD_FIRST=1
	while [ $# -gt 0 ]; do
		case $1 in
		-n | --mem | --seed | --mips | --pcap | --skew | --drift | --log-writes | --disk-errors) [ $# -ge 2 ] || die "$1 wants a value" ;;
		esac
		case $1 in
		-n) N=$2; shift ;;
		--direct) DIRECT=1 ;;
		--mem) MEM=$2; shift ;;
		--seed) SEED=$2; shift ;;
		--mips) MIPS=$2; shift ;;
		--pcap) PCAP=$(realpath -m "$2"); shift ;;
		--log-writes) LOG_WRITES=$(realpath -m "$2"); shift ;;
		--disk-errors) DISK_ERRORS=$(realpath -m "$2"); shift ;;
		--no-views) VIEWS=0 ;;
		--gdb) GDB=1 ;;
		--no-build) BUILD_FIRST=0 ;;
		--skew)
			[[ $2 =~ ^([0-9]+)=([+-]?[0-9]+(\.[0-9]+)?)s?$ ]] || die "--skew wants NODE=SECONDS, as in --skew 2=-30s"
			SKEW["${BASH_REMATCH[1]}"]=${BASH_REMATCH[2]#+}
			shift
			;;
		--drift)
			[[ $2 =~ ^([0-9]+)=([+-]?[0-9]+)(ppm)?$ ]] || die "--drift wants NODE=PPM, as in --drift 3=5000ppm"
			DRIFT["${BASH_REMATCH[1]}"]=${BASH_REMATCH[2]#+}
			shift
			;;
		*) die "unknown option '$1'; ./run-qemu.sh help lists them" ;;
		esac
		shift
	done
	[[ $N =~ ^[0-9]+$ && $N -ge 1 && $N -le $MAX_NODES ]] || die "-n wants 1 to $MAX_NODES nodes"
	[[ $MEM =~ ^[0-9]+[MG]$ ]] || die "--mem wants a size, as in --mem 64M"
	[[ $SEED =~ ^[0-9]+$ ]] || die "--seed wants a number"
	[[ -z $MIPS || $MIPS =~ ^[0-9]+$ && $MIPS -ge 1 ]] || die "--mips wants a number"
	[[ -z $DISK_ERRORS || -f $DISK_ERRORS ]] || die "--disk-errors wants a file of blkdebug rules, not '$DISK_ERRORS'"
	local k
	for k in "${!SKEW[@]}" "${!DRIFT[@]}"; do ((k >= 1 && k <= N)) || die "--skew or --drift for node $k of $N"; done
}

up_prepare() {
	local k
	if [ -f "$RUN/cluster.conf" ]; then
		local old=$N
		for ((k = 1; k <= MAX_NODES; k++)); do
			! node_running "$k" || die "a cluster is already running in $RUN; end it with ./run-qemu.sh down"
		done
		N=$old
		rm -rf "$RUN"
	fi
	# down removes the directory, so it must be ours alone.
	[ -z "$(ls -A "$RUN" 2>/dev/null)" ] || die "$RUN has other files in it; set WHIMBREL_RUN to a directory that is new"
	local f longest="$RUN/sw-ctl.sock~" files=(root.img whimbrel.iso whimbrel.elf boot/file)
	[ ${#longest} -le 107 ] || die "$longest is too long for a socket's name; set WHIMBREL_RUN to a shorter directory"
	for f in "${files[@]}"; do
		[ -f "$BUILD/$f" ] || die "$BUILD/$f is missing; run ./run-qemu.sh build"
	done
	mkdir -p "$RUN"
	conf_save
	# A later build replaces these files; the running cluster and its disks keep what they were started with.
	for f in "${files[@]}"; do
		ln "$BUILD/$f" "$RUN/${f##*/}" 2>/dev/null || cp --sparse=always "$BUILD/$f" "$RUN/${f##*/}"
	done
}

# Start all nodes, few at a time: firmware and GRUB are busy, and all nodes at once would only wait for each other.
up_boot() {
	local k busy j limit
	limit=$(nproc)
	for ((k = 1; k <= N; k++)); do
		while :; do
			busy=0
			for ((j = 1; j < k; j++)); do
				node_in_kernel "$j" && continue
				node_check_alive "$j"
				busy=$((busy + 1))
			done
			((busy < limit)) && break
			sleep 0.02
		done
		progress "booting: node $k of $N"
		node_disk "$k"
		node_start "$k"
	done
}

up_wait_agents() {
	local k tries
	for ((k = 1; k <= N; k++)); do
		progress "booting: $((k - 1)) of $N nodes answer"
		for ((tries = 0; ; tries++)); do
			node_exec "$k" -t 5 exec true 2>"$RUN/wait.log" </dev/null && break
			node_check_alive "$k"
			[ $tries -lt "${WAIT_TRIES:-12}" ] || {
				progress_end
				tail -5 "$RUN/kernel-$k.log" >&2 || true
				die "node $k does not answer after a minute; the end of its log is above, all of it in $RUN/kernel-$k.log"
			}
		done
	done
}

# Every node sees every node.
up_wait_views() {
	local k seen tries
	for ((k = 1; k <= N; k++)); do
		for ((tries = 0; ; tries++)); do
			seen=$(node_exec "$k" exec nodes 2>"$RUN/wait.log" </dev/null | grep -cw alive || true)
			[ "$seen" != "$N" ] || break
			progress "node $k sees $seen of $N nodes"
			node_check_alive "$k"
			[ $tries -lt 150 ] || { cat "$RUN/wait.log" >&2; die "node $k sees only $seen of $N nodes; try ./run-qemu.sh exec $k -- nodes"; }
			sleep 0.2
		done
	done
}

cmd_up() {
	local start
	up_options "$@"
	[ $BUILD_FIRST = 0 ] || cmd_build
	up_prepare
	start=$(date +%s%N)
	switch_start
	[ -z "$PCAP" ] || switch_ask pcap start "$PCAP"
	up_boot
	up_wait_agents
	up_wait_views
	progress_end
	printf -v took '%d.%d s' $((($(date +%s%N) - start) / 1000000000)) $((($(date +%s%N) - start) / 100000000 % 10))
	say "$N nodes up in $took. Next:"
	cat >&2 <<EOF
  ./run-qemu.sh exec 1 -- nodes      the nodes as node 1 sees them
  ./run-qemu.sh console 1            a shell on node 1 (Ctrl-] leaves)
  ./run-qemu.sh status | down        how they are | end them
EOF
}
