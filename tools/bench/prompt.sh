# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The row `boot` of bench node: from the start of QEMU to the prompt of a shell, seen from outside. Sourced by node.sh.

exec {NEVER}<> <(:) # nothing ever comes from here: a way to sleep that starts no process
PROMPT=$'[#$] (\e\\[6n)?$'

# Wait for the prompt in console log $1; then type at socket $2. REPLY: nanoseconds from $3 to the prompt, or, when that
# fails, why.
to_prompt() {
	local seen='' end=$((SECONDS + 60)) took typist
	REPLY="no prompt in a minute"
	until [[ $seen =~ $PROMPT ]]; do
		[ $SECONDS -lt $end ] || return 1
		read -r -t 0.002 -u "$NEVER" || true
		read -r -d '' seen 2>/dev/null <"$1" || true
	done
	took=$((${EPOCHREALTIME/./} - $3))
	# shellcheck disable=SC2016 # for the other shell
	"$HOST/console" "$2" < <(printf 'echo usable-$((6*7))\r') >/dev/null 2>&1 &
	typist=$!
	REPLY="a prompt, but no answer in a minute"
	while ! grep -q usable-42 "$1" && [ $SECONDS -lt $end ]; do sleep 0.05; done
	kill $typist 2>/dev/null || true
	wait $typist || true
	grep -q usable-42 "$1" || return 1
	REPLY=${took}000
}

boot_failed() {
	progress_end
	tail -n 5 "$2" >&2 || true
	failed boot "$1: $REPLY"
}

boot_whimbrel() {
	rm -f "$RUN/console-1.log" "$RUN/1.qcow2"
	node_disk 1
	local start=${EPOCHREALTIME/./}
	node_start 1
	if to_prompt "$RUN/console-1.log" "$RUN/1.com1" "$start"; then sample boot whimbrel "$REPLY"; else boot_failed whimbrel "$RUN/kernel-1.log"; fi
	whimbrel_off
	rm -f "$RUN/1.qcow2"
}

# A shell on the serial port and nothing else.
plain_initrd() {
	local plain=$LX/plain
	linux_root "$plain"
	cat >"$plain/init" <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec setsid sh -c 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1'
INIT
	chmod 755 "$plain" "$plain/init"
	pack "$plain" "$LX/plain.cpio"
	rm -rf "$plain"
}

boot_linux() {
	linux_args "$MEMORY"
	rm -f "$LX/boot.log"
	local start=${EPOCHREALTIME/./}
	qemu-system-x86_64 "${LINUX_ARGS[@]}" -initrd "$LX/plain.cpio" -daemonize -pidfile "$LX/pid" \
		-chardev "socket,id=com1,path=$LX/com1,server=on,wait=off,logfile=$LX/boot.log" -serial chardev:com1 \
		>"$LX/qemu.log" 2>&1 || die "QEMU for Linux did not start: $(cat "$LX/qemu.log")"
	if to_prompt "$LX/boot.log" "$LX/com1" "$start"; then sample boot linux "$REPLY"; else boot_failed linux "$LX/boot.log"; fi
	linux_kill "$LX"
}

bench_boot() {
	local i
	wants boot || return 0
	plain_initrd
	for ((i = 1; i <= ROUNDS; i++)); do
		phase "boot to the prompt, $i of $ROUNDS"
		boot_whimbrel
		boot_linux
	done
}
