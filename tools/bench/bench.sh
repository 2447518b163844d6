#!/bin/bash
# SPDX-License-Identifier: MIT
# bench.sh [NAME [OPTIONS]]: the benchmarks by name; without a name, the list. ./run-qemu.sh bench is this.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
'' | -h | --help | help)
	cat <<'EOT'
./run-qemu.sh bench node [OPTIONS]   calls, processes, memory and files of one node, against Debian's Linux in the same machine
     --quick        one round of short samples       --only NAME    only this row (may be repeated); --list names them
     --rounds N     default 5                        --json FILE    the result as JSON (default: RUN/node.json)
     --goal NAME=X  another goal for this run
./run-qemu.sh bench net [OPTIONS]    TCP between two nodes, against two machines of Debian's Linux: megabytes a second, round trips
     --quick        one short round                  --rounds N     default 5
     --mb N         megabytes a transfer (256)       --json FILE    the result as JSON (default: RUN/net.json)
./run-qemu.sh bench scale [-n N] [--grub] [--seconds S] [UP OPTIONS]   N nodes (16): up, idle, memory, a death and a rebirth
./run-qemu.sh bench seal [--rounds N]  what authentication and encryption between nodes cost, beside the cipher alone
RUN is WHIMBREL_RUN, or BUILD/bench. The exit status is 0 if every row reached its goal. docs/bench.md explains the rows.
EOT
	;;
node) shift && exec "$here/node.sh" "$@" ;;
seal) shift && exec "$here/seal.sh" "$@" ;;
net) shift && exec "$here/net.sh" "$@" ;;
scale) shift && exec "$here/scale.sh" "$@" ;;
*)
	echo "run-qemu: no benchmark '$1'; ./run-qemu.sh bench lists them" >&2
	exit 1
	;;
esac
