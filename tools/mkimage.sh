#!/bin/bash
# SPDX-License-Identifier: MIT
# mkimage.sh OUT SIZE FILE:PATH...   build the root image all nodes start from: a plain ext2 file system, without privilege.
#
# Every FILE goes to PATH in the image (mode as on the host, owner root). The rest comes from tools/rootfs, and from the
# distribution's busybox-static: the unmodified binary and one symbolic link per applet, where no FILE has that name.
# Two runs over the same input give file systems of the same content, UUID and times.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "mkimage: $*" >&2; exit 1; }

[ $# -ge 2 ] || fail "usage: mkimage.sh OUT SIZE FILE:PATH..."
out=$1 size=$2
shift 2
PATH=$PATH:/sbin:/usr/sbin # mke2fs and debugfs, for ordinary users too
busybox=${BUSYBOX:-$(command -v busybox || true)}
[ -n "$busybox" ] || fail "no busybox; install the package busybox-static"
if readelf -l "$busybox" | grep -q INTERP; then
	fail "$busybox is not static; install the package busybox-static, or give BUSYBOX=FILE"
fi

root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root" "$root.debugfs"' EXIT
umask 022
chmod 755 "$root"
mkdir -p "$root"/{bin,sbin,servers,etc,home/student,root,tmp,var/lib/whimbrel,var/tmp,var/log,dev,proc,n,usr}
ln -s ../bin "$root/usr/bin"
chmod 1777 "$root/tmp" "$root/var/tmp"
chmod 700 "$root/root"
cp -R "$here/rootfs/." "$root/"
install -m 755 "$busybox" "$root/bin/busybox"
# Node K is 10.0.0.K (docs/net.md), as many as there may be.
{
	echo "127.0.0.1 localhost"
	for k in $(seq 64); do echo "10.0.0.$k node$k"; done
} >"$root/etc/hosts"

for pair in "$@"; do
	install -D -m "$(stat -c %a "${pair%%:*}")" "${pair%%:*}" "$root${pair#*:}"
done
# init is our own; an applet of that name would shadow nothing but be found in its place.
for applet in $("$busybox" --list); do
	case $applet in busybox | init | linuxrc) continue ;; esac
	[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
find "$root" -depth -exec touch -h -d @1000000000 {} +

rm -f "$out.new"
truncate -s "$size" "$out.new"
# Plain ext2 on purpose: no features that our file server would have to maintain and that buy it nothing; the journal it needs
# to survive being killed, and here its blocks of zeros are shared by all overlays.
E2FSPROGS_FAKE_TIME=1000000000 mke2fs -q -F -t ext2 -b 4096 -m 0 -L whimbrel -J size=4 \
	-O none,has_journal,filetype,sparse_super,large_file \
	-U 57484d42-5245-4c00-8000-000000000001 -E "hash_seed=57484d42-5245-4c00-8000-000000000002,root_owner=0:0" \
	-d "$root" "$out.new"

# mke2fs copies the builder's ids; in the image everything is root's, except the student's home.
(cd "$root" && find . -mindepth 1 -printf '%P\n') | while IFS= read -r path; do
	owner=0
	[ "$path" = home/student ] && owner=1000
	printf 'sif "/%s" uid %d\nsif "/%s" gid %d\n' "$path" $owner "$path" $owner
done >"$root.debugfs"
E2FSPROGS_FAKE_TIME=1000000000 debugfs -w -f "$root.debugfs" "$out.new" >/dev/null 2>"$root.debugfs.err" || true
if grep -v '^debugfs 1' "$root.debugfs.err" >&2; then
	rm -f "$root.debugfs.err"
	fail "debugfs could not set the owners"
fi
rm -f "$root.debugfs.err"
mv "$out.new" "$out"
