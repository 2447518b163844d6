#!/bin/sh
# SPDX-License-Identifier: MIT
# The first process of the Linux peer. Takes commands, one base64 line each, from the first port of its virtio console and
# runs them with the second as standard output and the third as standard error; answers `exit STATUS` on the first.
# With a disk the commands run in it (chroot); what --files gave is /files there, too.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
while read -r module; do insmod "/modules/$module"; done </modules/order
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm

top=/
if [ -b /dev/vda ]; then
	top=/disk
	mount -t ext4 -o noatime /dev/vda $top
	for d in proc sys dev files; do
		mkdir -p $top/$d
		mount -o rbind /$d $top/$d
	done
fi
export PATH=/bin:/sbin:/usr/bin HOME=/root USER=root TERM=vt100

exec 3<>/dev/vport0p1 4>/dev/vport0p2 5>/dev/vport0p3
echo ready >&3
while read -r line <&3; do
	[ "$line" != poweroff ] || break
	command=$(echo "$line" | base64 -d)
	chroot $top /bin/sh -c "cd /root 2>/dev/null; $command" </dev/null >&4 2>&5 3>&- 4>&- 5>&-
	echo "exit $?" >&3
done
cd /
sync
[ $top = / ] || mount -o remount,ro $top 2>/dev/null
poweroff -f
