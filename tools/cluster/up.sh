# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# up: from the sources to a cluster whose nodes see each other. Sourced by run-qemu.sh.

up_options() {
	N=3 MINE=() FORWARD=() BRIDGE='' MTU='' DIRECT=0 MEM=64M SEED=1 VIEWS=1 MIPS='' GDB=0 PCAP='' LOG_WRITES='' DISK_ERRORS='' PLAIN=0 KEY='' BUILD_FIRST=1
	while [ $# -gt 0 ]; do
		case $1 in
		-n | --mine | --bridge | --mtu | --mem | --seed | --mips | --pcap | --skew | --drift | --key | --forward | --log-writes | --disk-errors) [ $# -ge 2 ] || die "$1 wants a value" ;;
		esac
		case $1 in
		-n) N=$2; shift ;;
		--mine) IFS=, read -r -a MINE <<<"$2"; shift ;;
		--bridge) BRIDGE=$2; shift ;;
		--mtu) MTU=$2; shift ;;
		--direct) DIRECT=1 ;;
		--mem) MEM=$2; shift ;;
		--seed) SEED=$2; shift ;;
		--mips) MIPS=$2; shift ;;
		--pcap) PCAP=$(realpath -m "$2"); shift ;;
		--log-writes) LOG_WRITES=$(realpath -m "$2"); shift ;;
		--disk-errors) DISK_ERRORS=$(realpath -m "$2"); shift ;;
		--no-views) VIEWS=0 ;;
		--forward) up_forward "$2"; shift ;;
		--plain) PLAIN=1 ;;
		--key) KEY=$(realpath -m "$2"); shift ;;
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
	[[ -z $MIPS || -n $(mips_shift "$MIPS") ]] ||
		die "--mips wants one of ${MIPS_BY_SHIFT[*]}: QEMU knows powers of two of 1000 million instructions per second, rounded down here"
	[[ -z $MTU || $MTU =~ ^[0-9]+$ ]] || die "--mtu wants a number of bytes"
	[[ -z $DISK_ERRORS || -f $DISK_ERRORS ]] || die "--disk-errors wants a file of blkdebug rules, not '$DISK_ERRORS'"
	local k parts=${#MINE[@]}
	[ ${#MINE[@]} = 0 ] || [ -n "$BRIDGE" ] || die "--mine wants --bridge too: without it there is no way to the other nodes"
	if [ ${#MINE[@]} = 0 ]; then
		for ((k = 1; k <= N; k++)); do MINE+=("$k"); done
	fi
	for k in "${MINE[@]}"; do
		[[ $k =~ ^[1-9][0-9]*$ && $k -le $N ]] || die "--mine wants numbers of nodes from 1 to $N, as in --mine 1,2"
	done
	[ "$parts" = 0 ] || [ -n "$KEY" ] || die "--mine wants --key FILE too, 32 bytes that all parts of the cluster share: head -c 32 /dev/urandom >FILE"
	[ -z "$BRIDGE" ] || bridge_options
	for k in "${FORWARD[@]##*@}"; do ((k >= 1 && k <= N)) || die "--forward to node $k of $N"; done
	for k in "${!SKEW[@]}" "${!DRIFT[@]}"; do ((k >= 1 && k <= N)) || die "--skew or --drift for node $k of $N"; done
}

# HOSTPORT:PORT[@NODE] into FORWARD.
up_forward() {
	[[ $1 =~ ^([0-9]+):([0-9]+)(@([1-9][0-9]*))?$ ]] && ((BASH_REMATCH[1] >= 1 && BASH_REMATCH[1] <= 65535 && BASH_REMATCH[2] >= 1 && BASH_REMATCH[2] <= 65535)) ||
		die "--forward wants HOSTPORT:PORT or HOSTPORT:PORT@NODE, as in --forward 8080:80@2"
	FORWARD+=("${BASH_REMATCH[1]}:${BASH_REMATCH[2]}@${BASH_REMATCH[4]:-1}")
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
	# What makes these nodes a cluster: who has it can speak as any of them.
	(umask 077 && head -c 32 "${KEY:-/dev/urandom}" >"$RUN/key") || die "cannot write $RUN/key"
	# A later build replaces these files; the running cluster and its disks keep what they were started with.
	for f in "${files[@]}"; do
		ln "$BUILD/$f" "$RUN/${f##*/}" 2>/dev/null || cp --sparse=always "$BUILD/$f" "$RUN/${f##*/}"
	done
}

# Start all nodes, few at a time: firmware and GRUB are busy, and all nodes at once would only wait for each other.
up_boot() {
	local k j limit started=0 early=()
	limit=$(nproc)
	for k in "${MINE[@]}"; do
		while :; do
			for j in "${!early[@]}"; do
				if node_in_kernel "$j"; then
					unset "early[$j]"
				else
					node_check_alive "$j"
				fi
			done
			((${#early[@]} < limit)) && break
			sleep 0.02
		done
		started=$((started + 1))
		progress_since "up: $started of ${#MINE[@]} nodes started"
		node_disk "$k"
		node_start "$k"
		early[k]=1
	done
}

up_wait_agents() {
	local k tries answer=0
	for k in "${MINE[@]}"; do
		progress_since "up: ${#MINE[@]} nodes started, $answer answer"
		answer=$((answer + 1))
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

# Every node sees every node of this host.
up_wait_views() {
	local k seen tries all=0 mine=" ${MINE[*]} "
	for k in "${MINE[@]}"; do
		for ((tries = 0; ; tries++)); do
			seen=$(node_exec "$k" exec nodes 2>"$RUN/wait.log" </dev/null |
				awk -v mine="$mine" '$2 == "alive" && index(mine, " " $1 " ") { n++ } END { print n + 0 }')
			progress_since "up: ${#MINE[@]} nodes answer, $all see all, node $k sees $seen"
			[ "$seen" != ${#MINE[@]} ] || break
			node_check_alive "$k"
			switch_check_alive
			[ $tries -lt 150 ] || {
				progress_end
				cat "$RUN/wait.log" >&2
				die "node $k sees only $seen of ${#MINE[@]} nodes; try ./run-qemu.sh exec $k -- nodes"
			}
			sleep 0.2
		done
		all=$((all + 1))
	done
}

cmd_up() {
	local took
	up_options "$@"
	[ $BUILD_FIRST = 0 ] || cmd_build
	up_prepare
	PROGRESS_START=${EPOCHREALTIME/./}
	[ -n "$BRIDGE" ] || switch_start
	[ -z "$PCAP" ] || switch_ask pcap start "$PCAP"
	up_boot
	up_wait_agents
	up_wait_views
	progress_end
	took=$(((${EPOCHREALTIME/./} - PROGRESS_START) / 100000))
	say "${#MINE[@]} nodes up in $((took / 10)).$((took % 10)) s. Next:"
	cat >&2 <<EOF
  ./run-qemu.sh exec ${MINE[0]} -- nodes      the nodes as node ${MINE[0]} sees them
  ./run-qemu.sh console ${MINE[0]}            a shell on node ${MINE[0]} (Ctrl-] leaves)
  ./run-qemu.sh status | down        how they are | end them
EOF
}
