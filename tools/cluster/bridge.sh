# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --bridge: the nodes hang on a bridge of this machine, each by a tap device. The site may span the bridge over hosts, and every host boots
# its part of the nodes (--mine). Sourced by run-qemu.sh.

bridge_ip() { PATH=$PATH:/usr/sbin:/sbin command ip "$@"; }

# Names of network devices have 15 characters; what follows the number tells clusters apart.
bridge_tap() { printf 'wh%d-%06x' "$1" $((0x$(printf '%s' "$RUN" | sha1sum | cut -c1-6))); }

bridge_options() {
	local about
	[ -z "$PCAP" ] || die "--pcap is what our switch does; on a bridge: tcpdump -i $BRIDGE -w FILE"
	PATH=$PATH:/usr/sbin:/sbin command -v ip >/dev/null || die "--bridge needs ip; install the package iproute2"
	[ -c /dev/net/tun ] || die "--bridge needs /dev/net/tun, which is missing; as root: modprobe tun"
	about=$(bridge_ip -o -d link show dev "$BRIDGE" 2>/dev/null || true)
	[[ $about == *' bridge forward_delay'* ]] ||
		die "$BRIDGE is not a bridge of this machine; as root: ip link add $BRIDGE type bridge; ip link set $BRIDGE up"
	[[ $about =~ \ mtu\ ([0-9]+) ]]
	MTU=${MTU:-1500}
	((MTU <= BASH_REMATCH[1])) || die "--mtu $MTU is more than the bridge $BRIDGE carries, ${BASH_REMATCH[1]}; as root: ip link set $BRIDGE mtu $MTU"
}

# Make the tap device of node $1 and plug it in. Quiet: the host itself says nothing there.
bridge_plug() {
	local tap why
	tap=$(bridge_tap "$1")
	if ! bridge_ip link show dev "$tap" >/dev/null 2>&1; then
		why=$(bridge_ip tuntap add dev "$tap" mode tap user "$(id -u)" 2>&1) ||
			die "cannot make the tap device $tap: $why; --bridge needs root or CAP_NET_ADMIN, as in: sudo ./run-qemu.sh up --bridge $BRIDGE"
	fi
	{ bridge_ip link set dev "$tap" addrgenmode none || true; } 2>/dev/null # no IPv6 in this kernel: nothing to silence
	why=$(bridge_ip link set dev "$tap" mtu "$MTU" master "$BRIDGE" up 2>&1) || die "cannot plug $tap into $BRIDGE: $why"
}

bridge_unplug() {
	local tap
	tap=$(bridge_tap "$1")
	! bridge_ip link show dev "$tap" >/dev/null 2>&1 || bridge_ip link del dev "$tap" ||
		say "cannot remove the tap device $tap; as root: ip link del $tap"
}
