#!/bin/bash
# SPDX-License-Identifier: MIT
# seal.sh [--rounds N]: what it costs to authenticate and encrypt: a channel between the same server of two nodes beside the cipher
# alone, which one of these nodes measures just before and after. Exit status 0 if the encrypted channel reaches the goal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
goal=60 rounds=3
case ${1:-} in
--rounds) rounds=${2:?--rounds wants a number} ;;
'') ;;
*)
	echo "bench seal: unknown option '$1'" >&2
	exit 1
	;;
esac
BUILD=$(realpath "${BUILD:-build}")
export BUILD
make -s BUILD="$BUILD" "$BUILD/tests/cluster/netbench" "$BUILD/servers/net" "$BUILD/whimbrel.elf" "$BUILD/host/switch" >&2

# One line: MB/s of the channel, of the cipher to seal, to open, microseconds of a small round trip.
measure() {
	PLAIN=$1 tests/cluster/netbench.sh | awk '
		/migrate: flood / { flood = $(NF - 1) }
		/cipher alone:/ { for (i = 1; i < NF; i++) { if ($i == "alone:") seal += $(i + 1); if ($i == "seal,") open += $(i + 1) } n++ }
		/round trip of 64/ { trip = $(NF - 1) }
		END { if (n != 2 || !flood) exit 1; print flood, seal / n, open / n, trip }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

reached=0
printf '%-10s %14s %14s %14s %9s %14s\n' mode "channel MB/s" "seal MB/s" "open MB/s" share "64 bytes us"
for mode in 0 1; do
	rows=''
	for ((i = 0; i < rounds; i++)); do rows+=$(measure $mode)$'\n'; done
	col() { awk -v c="$1" 'NF { print (c == 5 ? 100 * $1 / $2 : $c) }' <<<"$rows" | median; }
	share=$(col 5)
	[ $mode = 1 ] || reached=$(awk -v s="$share" -v g=$goal 'BEGIN { print (s >= g) }')
	printf '%-10s %14.1f %14.1f %14.1f %8.0f%% %14.0f\n' "$([ $mode = 1 ] && echo plain || echo encrypted)" "$(col 1)" "$(col 2)" "$(col 3)" "$share" "$(col 4)"
done
if [ "$reached" = 1 ]; then
	echo "the encrypted channel reaches the goal of $goal % of the cipher alone"
else
	echo "the encrypted channel misses the goal of $goal % of the cipher alone"
	exit 1
fi
