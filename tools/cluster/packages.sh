# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2054 # sourced: names are used elsewhere; QEMU's options have commas
# What the build and the launcher need of the distribution, each by a sign that it is there. Sourced by run-qemu.sh.

missing_packages() {
	local path=$PATH:/sbin:/usr/sbin
	need() { PATH=$path command -v "$2" >/dev/null 2>&1 || [ -e "$2" ] || echo "$1"; }
	need make make
	need gcc gcc
	need libc6-dev /usr/include/stdio.h
	need binutils ld
	need qemu-system-x86 qemu-system-x86_64
	need qemu-utils qemu-img
	need grub-pc-bin /usr/lib/grub/i386-pc
	need grub-common grub-mkrescue
	need xorriso xorriso
	need mtools mformat
	need e2fsprogs mke2fs
	need e2fsprogs debugfs
	need musl-tools musl-gcc
	need xz-utils xz
	need python3-pytest pytest-3
	local extra
	# What only the tests need: packages by the name of their command, or PACKAGE:COMMAND.
	for extra in ${EXTRA_PACKAGES:-}; do need "${extra%:*}" "${extra#*:}"; done
	{ PATH=$path command -v busybox >/dev/null && readelf -l "$(PATH=$path command -v busybox)" 2>/dev/null |
		grep -q 'LOAD' && ! readelf -l "$(PATH=$path command -v busybox)" | grep -q INTERP; } || echo busybox-static
}

install_packages() {
	local missing
	missing=$(missing_packages | sort -u | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "needed and not found: ${missing}(names of Debian packages); please install them"
	say "installing Debian packages: $missing"
	local root=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			die "installing needs root and there is no sudo; as root, run: apt-get install --no-install-recommends $missing"
		root=(sudo)
	fi
	local get=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
	# shellcheck disable=SC2086 # one word per package
	if ! "${get[@]}" install -y --no-install-recommends $missing >&2; then
		say "that failed; reading the package lists and trying again"
		"${get[@]}" update >&2 || die "apt-get update failed; is the network there?"
		# shellcheck disable=SC2086
		"${get[@]}" install -y --no-install-recommends $missing >&2 || die "could not install: $missing"
	fi
	missing=$(missing_packages | sort -u | tr '\n' ' ')
	[ -z "$missing" ] || die "installed, but still not found: $missing"
}

cmd_build() {
	install_packages
	mkdir -p "$BUILD"
	local log=$BUILD/make.log start=$SECONDS
	if make -q BUILD="$BUILD" >/dev/null 2>&1; then return 0; fi
	say "building (log: $log)"
	if [ -t 2 ]; then
		make -j"${JOBS:-2}" BUILD="$BUILD" 2>&1 | tee "$log" | while IFS= read -r line; do
			progress "building, $((SECONDS - start)) s: ${line:0:80}"
		done
		[ "${PIPESTATUS[0]}" = 0 ] || build_failed "$log"
	else
		make -j"${JOBS:-2}" BUILD="$BUILD" >"$log" 2>&1 || build_failed "$log"
	fi
	progress_end
	say "built in $((SECONDS - start)) s"
}

build_failed() {
	progress_end
	grep -E -m 20 'error:|\*\*\*|fetch-source:|mkimage:|mkiso:' "$1" >&2 || tail -20 "$1" >&2
	die "the build failed; the whole log is $1"
}
