#!/bin/bash
# SPDX-License-Identifier: MIT
# linux-kernel.sh: print the directory of Debian's Linux kernel as the peer VM starts it: `vmlinux` (uncompressed), `modules/`.
#
# The package is the one that linux-image-amd64 depends on, from this machine's own mirror. It is unpacked under
# $LINUX_DIR (default build/linux), never installed; nothing of the machine's configuration or state is changed. A
# linux-image-*-amd64_*.deb that lies in $LINUX_DIR is used as it is, without the network. Safe to run many times at once.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${LINUX_DIR:-$root/build/linux}
fail() { echo "linux-kernel: $*" >&2; exit 1; }

ready() {
	local d
	d=$(printf '%s\n' "$dir"/*/vmlinux | sort -V | tail -1)
	[ -f "$d" ] || return 1
	echo "${d%/vmlinux}"
}

if ready; then exit 0; fi
mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
if ready; then exit 0; fi
for tool in dpkg-deb xz; do command -v $tool >/dev/null || fail "no $tool; install the package ${tool/%xz/xz-utils}"; done

state=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$state"' EXIT
byhand="To work without the network put the package linux-image-VERSION-amd64_*.deb into $dir."

# apt-get OR apt-cache ARGS: with lists of our own if the machine has none.
private=()
apt() { "apt-$1" "${private[@]}" -o APT::Sandbox::User=root "${@:2}"; }
# The package with the kernel itself.
image_package() {
	apt cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

fetch() {
	command -v apt-get >/dev/null || fail "the peer is Debian's kernel, and this machine has no apt. $byhand"
	local package
	package=$(image_package || true)
	if [ -z "$package" ]; then
		echo "linux-kernel: apt does not know linux-image-amd64; reading package lists into a private directory" >&2
		mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
		private=(-o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache")
		apt get -qq update >&2 || fail "'apt-get update' into a private directory failed (offline?). $byhand"
		package=$(image_package || true)
		[ -n "$package" ] || fail "this machine's apt sources have no linux-image-amd64, or could not be read (offline?). $byhand"
	fi
	echo "linux-kernel: fetching $package (70 MB, once)" >&2
	if ! (cd "$state" && apt get -qq download "$package" >log 2>&1); then
		cat "$state/log" >&2
		fail "cannot fetch $package; apt's message is above. If the package lists are old: apt-get update. $byhand"
	fi
	mv "$state"/linux-image-*.deb "$dir/"
}

# uncompress BZIMAGE VMLINUX: what is behind the first magic number that unpacks to an ELF file.
uncompress() {
	local magic tool at
	while read -r magic tool; do
		while IFS=: read -r at _; do
			# What follows the kernel in the file is no part of it, and makes the tools complain.
			tail -c "+$((at + 1))" "$1" | $tool >"$2" 2>/dev/null || true
			if [ "$(head -c 4 "$2")" = $'\x7fELF' ]; then return 0; fi
		done < <(LC_ALL=C grep -obaUP "$magic" "$1" || true)
	done <<'MAGIC'
\xfd7zXZ\x00 xz --single-stream -dc
\x1f\x8b\x08 gzip -dc
\x28\xb5\x2f\xfd zstd -dc
MAGIC
	return 1
}

package() { printf '%s\n' "$dir"/linux-image-*-amd64_*.deb | sort -V | tail -1; }
[ -f "$(package)" ] || fetch
deb=$(package)
version=${deb##*/linux-image-}
version=${version%%_*}
dpkg-deb -x "$deb" "$state/unpacked" || fail "$deb is damaged; remove it"
uncompress "$state/unpacked/boot/vmlinuz-$version" "$state/vmlinux" || fail "no kernel that this script can unpack in $deb"
mkdir -p "$state/new"
mv "$state/vmlinux" "$state/new/vmlinux"
mv "$state/unpacked/lib/modules/$version" "$state/new/modules"
rm -rf "${dir:?}/$version"
mv "$state/new" "$dir/$version"
ready
