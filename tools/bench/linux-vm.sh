# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# The Linux peer: Debian's kernel in QEMU, at its best (plain qemu64, uncompressed, no mitigations), with busybox around it.
# Sourced by linux-run.sh and node.sh, which define die(). A machine lives in a directory of its own: initrd.cpio,
# console.log (the kernel's), ctl.in and ctl.out (commands, see linux-init.sh), out and err (what commands printed), pid.

LINUX_TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LINUX_MODULES="virtio_pci virtio_blk virtio_console crc32c_generic ext4"
LINUX_APPEND="console=ttyS0 quiet panic=-1 mitigations=off"
LINUX_EXTRA=() # more options for QEMU

# The uncompressed kernel's directory; fetched first if it is not there.
linux_find() {
	LINUX=$("$LINUX_TOOLS/linux-kernel.sh") || die "no Linux to compare with; the reason is above"
	LINUX_VERSION=${LINUX##*/}
}

# Print the file of module $1, those that it depends on first. The package has no modules.dep: that is made when installing.
module_files() {
	local file dep
	file=$(find "$LINUX/modules" -name "${1//[_-]/[_-]}.ko" -print -quit)
	[ -n "$file" ] || return 0 # built into the kernel
	for dep in $(LC_ALL=C grep -aom1 $'depends=[^\x01-\x1f]*' <(tr '\0' '\n' <"$file") | sed 's/^depends=//; s/,/ /g'); do
		module_files "$dep"
	done
	echo "$file"
}

# pack DIR FILE: DIR as an archive that the kernel unpacks at boot.
pack() { (cd "$1" && find . | cpio -o -H newc --quiet -R 0:0) >"$2"; }

# linux_root DIR: busybox with all its applets, in DIR.
linux_root() {
	local busybox applet
	busybox=$(command -v busybox) || die "no busybox; install the package busybox-static"
	mkdir -p "$1"/{bin,proc,sys,dev,tmp,root,files,disk}
	install -m 755 "$busybox" "$1/bin/busybox"
	for applet in $("$busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
}

# linux_initrd OUT [FILES]: the root file system, modules, linux-init.sh, and the content of directory FILES as /files.
linux_initrd() {
	local work module
	command -v cpio >/dev/null || die "no cpio; install the package cpio"
	work=$(mktemp -d "$1.XXXXXX")
	chmod 755 "$work"
	linux_root "$work"
	mkdir "$work/modules"
	for module in $LINUX_MODULES; do module_files "$module"; done | awk '!seen[$0]++' | while read -r module; do
		cp "$module" "$work/modules/"
		echo "${module##*/}" >>"$work/modules/order"
	done
	install -m 755 "$LINUX_TOOLS/linux-init.sh" "$work/init"
	[ -z "${2:-}" ] || cp -a "$2/." "$work/files/" || die "cannot copy the files of $2"
	pack "$work" "$1"
	rm -rf "$work"
}

# What both peers' machines are given, beside what they are started with (node.sh: node_start).
linux_args() {
	LINUX_ARGS=(-M pc -nodefaults -no-user-config -accel tcg -cpu qemu64 -m "$1" -smp 1 -display none -no-reboot
		-kernel "$LINUX/vmlinux" -append "$LINUX_APPEND" "${LINUX_EXTRA[@]}")
}

# linux_start VM DISK MEM: boot the machine in directory VM, which has initrd.cpio, and wait until it takes commands. DISK is a
# qcow2 file or empty. VM/out and VM/err may be fifos with readers.
linux_start() {
	local vm=$1 disk=$2 p
	linux_args "$3"
	rm -f "$vm"/ctl.{in,out}
	mkfifo "$vm/ctl.in" "$vm/ctl.out"
	LINUX_ARGS+=(-initrd "$vm/initrd.cpio" -serial "file:$vm/console.log" -device virtio-serial-pci,id=vs,max_ports=4
		-chardev "pipe,id=p1,path=$vm/ctl" -chardev "file,id=p2,path=$vm/out,append=on" -chardev "file,id=p3,path=$vm/err,append=on")
	for p in 1 2 3; do LINUX_ARGS+=(-device "virtserialport,bus=vs.0,nr=$p,chardev=p$p"); done
	[ -z "$disk" ] || LINUX_ARGS+=(-drive "if=none,id=d0,file=$disk,format=qcow2,cache=writeback"
		-device virtio-blk-pci,drive=d0,addr=4)
	qemu-system-x86_64 "${LINUX_ARGS[@]}" >"$vm/qemu.log" 2>&1 </dev/null &
	LINUX_PID=$!
	echo $LINUX_PID >"$vm/pid"
	# Both directions are open here, too, so that neither open waits.
	exec {LINUX_CTL}<>"$vm/ctl.in" {LINUX_ANSWER}<>"$vm/ctl.out"
	linux_answer "$vm" 120
	[ "$REPLY" = ready ] || die "the Linux peer said '$REPLY' instead of ready"
}

# REPLY: the next line of the machine's answers, within $2 seconds.
linux_answer() {
	local end=$((SECONDS + $2)) part=
	REPLY=
	until IFS= read -r -t 1 -u "$LINUX_ANSWER" part; do
		REPLY+=$part
		if ! kill -0 "$LINUX_PID" 2>/dev/null; then
			tail -5 "$1/console.log" "$1/qemu.log" >&2
			die "the Linux peer has ended; its last words are above"
		fi
		[ $SECONDS -lt $end ] || {
			tail -5 "$1/console.log" >&2
			die "the Linux peer has not answered for $2 s; the end of its log is above"
		}
	done
	REPLY+=$part
}

# linux_exec VM SECONDS COMMAND: run a shell command; STATUS is its exit status, VM/out and VM/err grow by what it prints.
linux_exec() {
	base64 -w0 <<<"$3" >&"$LINUX_CTL"
	echo >&"$LINUX_CTL"
	linux_answer "$1" "$2"
	STATUS=${REPLY#exit }
	[[ $STATUS =~ ^[0-9]+$ ]] || die "the Linux peer answered '$REPLY'"
}

# linux_stop VM: in order (its disk is unmounted).
linux_stop() {
	echo poweroff >&"$LINUX_CTL"
	wait "$LINUX_PID" || true
	exec {LINUX_CTL}>&- {LINUX_ANSWER}>&-
	rm -f "$1/pid"
}

# linux_kill VM: end the machine of this directory, if one runs. For traps.
linux_kill() {
	local pid
	if read -r pid 2>/dev/null <"$1/pid" && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = qemu-system-x86 ]; then
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$1/pid"
}
