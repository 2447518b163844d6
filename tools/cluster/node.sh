# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# One node: its kernel command line, its disk, its QEMU. Sourced by run-qemu.sh.

# The kernel's command line; it also is the SMBIOS serial number that GRUB reads.
node_cmdline() {
	local k=$1 line="node=$1 nodes=$N seed=$SEED views=$VIEWS"
	[ "$PLAIN" = 0 ] || line+=" plain=1"
	[ -z "${SKEW[$k]:-}" ] || line+=" skew=${SKEW[$k]}"
	[ -z "${DRIFT[$k]:-}" ] || line+=" drift=${DRIFT[$k]}"
	[ -z "$MTU" ] || line+=" mtu=$MTU"
	echo "$line"
}

# All disks begin as the same empty overlay.
node_disk() {
	[ -f "$RUN/empty.qcow2" ] || qemu-img create -q -f qcow2 -b "$RUN/root.img" -F raw "$RUN/empty.qcow2" ||
		die "cannot make a disk in $RUN"
	cp --sparse=always "$RUN/empty.qcow2" "$RUN/$1.qcow2" || die "cannot make node $1's disk in $RUN"
}

# What a disk is to QEMU: an overlay over the common image. --disk-errors puts a filter over it that fails as its file says, and
# --log-writes, on top, one that writes down each write and flush, at the guest's own sectors, in the order in which they ended.
node_disk_args() {
	local k=$1 top=image boot=1
	DISK_ARGS=()
	if [ -z "$LOG_WRITES$DISK_ERRORS" ]; then
		DISK_ARGS=(-drive "if=none,id=d0,file=$RUN/$k.qcow2,format=qcow2,cache=writeback"
			-device virtio-blk-pci,drive=d0,disable-modern=on,addr=9)
		return
	fi
	DISK_ARGS=(-blockdev "driver=qcow2,node-name=image,file.driver=file,file.filename=$RUN/$k.qcow2")
	if [ -n "$DISK_ERRORS" ]; then
		# `raw` is there to tell the filter below it what happens: its rules count flushes.
		DISK_ARGS+=(-blockdev "driver=blkdebug,node-name=errors,image=image,config=$DISK_ERRORS"
			-blockdev "driver=raw,node-name=events,file=errors")
		top=events
	fi
	if [ -n "$LOG_WRITES" ]; then
		mkdir -p "$LOG_WRITES" || die "cannot make $LOG_WRITES"
		while [ -e "$LOG_WRITES/$k-$boot.log" ]; do boot=$((boot + 1)); done
		: >"$LOG_WRITES/$k-$boot.log"
		DISK_ARGS+=(-blockdev "driver=file,node-name=log,filename=$LOG_WRITES/$k-$boot.log"
			-blockdev "driver=blklogwrites,node-name=logged,file=$top,log=log")
		top=logged
	fi
	DISK_ARGS+=(-device "virtio-blk-pci,drive=$top,werror=report,rerror=report,disable-modern=on,addr=9")
}

# QEMU takes 2^shift ns per instruction, which makes 1000 / 2^shift million a second.
MIPS_BY_SHIFT=(1000 500 250 125 62 31 15 7 3)
mips_shift() {
	local s
	for s in "${!MIPS_BY_SHIFT[@]}"; do
		[ "${MIPS_BY_SHIFT[$s]}" != "$1" ] || echo "$s"
	done
}

# A second card, if ports of the host's loopback lead to node $1: QEMU's user-mode network. The node cannot call out by it.
node_forward_args() {
	local f net="user,id=h0,ipv6=off,restrict=on"
	FORWARD_ARGS=()
	for f in ${FORWARD[@]+"${FORWARD[@]}"}; do
		[ "${f#*@}" = "$1" ] || continue
		f=${f%@*}
		net+=",hostfwd=tcp:127.0.0.1:${f%:*}-10.0.2.15:${f#*:}"
		FORWARD_ARGS=(-netdev "$net" -device "virtio-net-pci,netdev=h0,mac=$(printf '52:54:00:00:01:%02x' "$1"),disable-modern=on,romfile=,addr=7")
	done
}

node_start() {
	local k=$1 p wire
	node_disk_args "$k"
	# The cluster's key and this start's own random bytes (docs/security.md): in files that QEMU reads, not on a command line.
	(umask 077 && head -c 32 /dev/urandom >"$RUN/$k.random") || die "cannot write $RUN/$k.random"
	wire="stream,id=n0,server=on,addr.type=unix,addr.path=$RUN/nic-$k.sock"
	if [ -n "$BRIDGE" ]; then
		bridge_plug "$k"
		wire="tap,id=n0,ifname=$(bridge_tap "$k"),script=no,downscript=no"
	fi
	local args=(
		-name "whimbrel-$k" -M pc -nodefaults -no-user-config -accel tcg -cpu "qemu64,+smep,+smap,+umip"
		-m "$MEM" -display none -no-reboot -daemonize -pidfile "$RUN/$k.pid"
		-chardev "socket,id=com1,path=$RUN/$k.com1,server=on,wait=off,logfile=$RUN/console-$k.log,logappend=on"
		-serial chardev:com1
		-chardev "file,id=klog,path=$RUN/kernel-$k.log,append=on" -device isa-debugcon,iobase=0xe9,chardev=klog
		-chardev "socket,id=mon,path=$RUN/$k.mon,server=on,wait=off" -mon chardev=mon,mode=readline
		-netdev "$wire" # the switch calls it
		# Slots decide which lines are shared (slot 3, 4, 7, 8: 11; 5, 6, 9: 10): the wire has one of its own.
		-device "virtio-net-pci,netdev=n0,mac=$(printf '52:54:00:00:00:%02x' "$k"),disable-modern=on,romfile=,addr=3"
		-fw_cfg "name=opt/whimbrel/key,file=$RUN/key" -fw_cfg "name=opt/whimbrel/random,file=$RUN/$k.random"
		"${DISK_ARGS[@]}"
		-device "virtio-serial-pci,id=vs,max_ports=$((AGENT_PORTS + 1)),disable-modern=on,addr=5"
	)
	node_forward_args "$k"
	args+=("${FORWARD_ARGS[@]}")
	for ((p = 1; p <= AGENT_PORTS; p++)); do
		args+=(-chardev "socket,id=a$p,path=$RUN/a$k-$p.sock,server=on,wait=off"
			-device "virtserialport,bus=vs.0,nr=$p,chardev=a$p,name=agent$p")
	done
	if [ "$DIRECT" = 1 ]; then
		args+=(-kernel "$RUN/whimbrel.elf" -initrd "$RUN/file" -append "$(node_cmdline "$k")")
	else
		args+=(-drive "if=none,id=cd,media=cdrom,readonly=on,format=raw,file=$RUN/whimbrel.iso"
			-device ide-cd,drive=cd,bootindex=0 -smbios "type=1,serial=$(node_cmdline "$k")")
	fi
	[ -z "$MIPS" ] || args+=(-icount "shift=$(mips_shift "$MIPS"),align=on,sleep=on")
	# Memory of a file of its own comes in pages of 4 kB. Else QEMU asks for 2 MB each, which is faster, and about 5 MB a node more.
	((${#MINE[@]} <= 8)) || args+=(-object "memory-backend-memfd,id=ram,size=$MEM,share=on" -machine memory-backend=ram)
	[ "$GDB" = 0 ] || args+=(-gdb "unix:$RUN/$k.gdb,server=on,wait=off")
	rm -f "$RUN/$k.pid"
	if ! qemu-system-x86_64 "${args[@]}" >"$RUN/qemu-$k.log" 2>&1; then
		cat "$RUN/qemu-$k.log" >&2
		die "QEMU for node $k did not start; its message is above"
	fi
	rm -f "$RUN/$k.random"
}

# The kernel has printed something: the firmware's and GRUB's busy part is over.
node_in_kernel() { [ -s "$RUN/kernel-$1.log" ]; }

node_exec() { "$HOST/whctl" "$RUN" "$@"; }

# Its QEMU still runs, or say what it left.
node_check_alive() {
	node_running "$1" && return 0
	progress_end
	tail -5 "$RUN/kernel-$1.log" >&2 || true
	die "node $1 stopped while booting; the end of its log is above, all of it in $RUN/kernel-$1.log"
}
