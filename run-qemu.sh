#!/bin/bash
# SPDX-License-Identifier: MIT
# run-qemu.sh: build, boot and drive a cluster of Whimbrel nodes. `./run-qemu.sh help` says how. The parts are in tools/cluster/.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$ROOT"
for part in common packages bridge node net up commands check; do
	# shellcheck source=/dev/null
	. "tools/cluster/$part.sh"
done

help() {
	cat <<'EOF'
./run-qemu.sh [up] [-n N] [options]    install what is missing (says what; asks for root only then), build, boot N nodes (default 3)
     --direct        boot without GRUB        --skew K=-30s   set node K's clock off       --drift K=5000ppm  let it run fast
     --mem 64M       memory per node          --mips 62       every node at 62 million instructions/s
     --no-views      view maintenance off (to see why it matters)                          --seed S   seed of everything random
     --plain         servers authenticate what they tell each other, but do not encrypt it (to see it in --pcap)
     --pcap FILE     capture all frames       --gdb           gdb stubs at RUN/K.gdb       --no-build use what is built
     --bridge BR     hang the nodes on this Linux bridge, by tap devices (root); --mine 1,2: boot these of the N here, the
                     others on another host that reaches the bridge   --mtu 1500   bytes of a packet on it
                     --key FILE: 32 random bytes, the same for all parts of the cluster
     --forward 8080:80@2  port 8080 of this host's loopback is port 80 of node 2 (default: node 1); as often as wanted
     --log-writes DIR    each write and flush of node K's disk into DIR/K-BOOT.log, as QEMU's blklogwrites has it
     --disk-errors FILE  let disks fail by the rules in FILE, as QEMU's blkdebug has them
./run-qemu.sh exec NODE -- CMD...      run a command on a node; its output and its exit status pass through
./run-qemu.sh cp SRC DST               copy a file; one side is NODE:PATH
./run-qemu.sh console NODE             a terminal on the node; Ctrl-] leaves
./run-qemu.sh log NODE [-f]            the kernel's and servers' log          ./run-qemu.sh status
./run-qemu.sh kill|restart|pause|resume NODE                                   ./run-qemu.sh down
./run-qemu.sh net WHERE loss=5% delay=20ms ...;  net partition 1,2 3;  net heal|show|stats|restart|pcap ...;  all of it: net help
./run-qemu.sh demo                     the guided main job; ends with a summary, exit status 0 if all went well
./run-qemu.sh bench [NAME [OPTIONS]]   measure against Linux on this machine; without a name: what there is
./run-qemu.sh check [--long] [TEST...] the tests
./run-qemu.sh build                    only build

One cluster runs per directory: WHIMBREL_RUN (default build/run). BUILD is the build directory (default build).
EOF
}

verb=${1:-up}
case $verb in
-h | --help | help) help ;;
-*) cmd_up "$@" ;;
up | exec | cp | console | log | kill | restart | pause | resume | net | status | down | demo | bench | check | build)
	shift || true
	"cmd_$verb" "$@"
	;;
*) die "unknown command '$verb'; ./run-qemu.sh help lists them" ;;
esac
