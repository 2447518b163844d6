#!/bin/sh
# SPDX-License-Identifier: MIT
# The workloads on the host: the same arguments give the same result twice (what makes a result
# comparable with Whimbrel's), and the results are right where they can be checked.
# Runs from BUILD/tests/host and uses the programs in BUILD/user/work.
bin=$(cd "$(dirname "$0")/../../user/work" && pwd) || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

check() { # NAME CONDITION...: the condition is a command
	name=$1
	shift
	if "$@" >"$tmp/why" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name: $(head -n 1 "$tmp/why")"
		failed=1
	fi
}

same() { # PROGRAM ARGS...: two runs, equal but for what the clock told
	for run in 1 2; do
		"$bin/$1" -o "$tmp/$run" --progress "$tmp/progress.$run" $2 || return 1
		grep -v ^clock "$tmp/$run" >"$tmp/cmp.$run"
	done
	[ -s "$tmp/cmp.1" ] || { echo "no result"; return 1; }
	cmp "$tmp/cmp.1" "$tmp/cmp.2"
}

differs() { # PROGRAM ARGS ARGS
	"$bin/$1" -o "$tmp/1" --progress none $2 && "$bin/$1" -o "$tmp/2" --progress none $3 || return 1
	! cmp -s "$tmp/1" "$tmp/2" || { echo "equal results for '$2' and '$3'"; return 1; }
}

pi_is_near() {
	awk 'END { d = $4 - 3.14159265; exit !(d < 0.005 && d > -0.005) }' "$tmp/1"
}
energy_is_kept() {
	awk '/energy/ { if (!n++) first = $3; last = $3 }
	     END { d = (last - first) / first; exit !(n > 1 && d < 0.01 && d > -0.01) }' "$tmp/1"
}
periods_add_up() {
	awk '/^clock period/ { sum += $5 } END { exit sum != 300000 }' "$tmp/1" &&
		grep -q '^clock realtime: 300000 readings, .* never went backwards' "$tmp/1"
}
text_is_kept() { # the formatter moves words, it neither loses nor changes one
	tr -s ' \n' '\n\n' <"$bin/input/text" | sed '/^$/d' >"$tmp/in"
	tr -s ' \n' '\n\n' <"$tmp/1" | sed '/^$/d' >"$tmp/out"
	cmp "$tmp/in" "$tmp/out"
}
lines_are_justified() { # every line that is not the last of its paragraph is exactly 72 wide
	awk 'prev != "" && $0 != "" && length(prev) != 72 { bad++ } { prev = $0 } END { exit bad > 0 }' "$tmp/1"
}
seven_are_found() { # geninput gives one account of eight a password that is not in the list
	grep -q '7 of 8 found' "$tmp/1"
}
hash_is_sha256() { # of one account, computed with the host's sha256sum
	printf 'u:salt:0:%s\n' "$(printf 'salt:word' | sha256sum | cut -d ' ' -f 1)" >"$tmp/shadow"
	echo word >"$tmp/list"
	"$bin/crack" --progress none "$tmp/shadow" "$tmp/list" | grep -q '^u: word'
}
refuses() { # PROGRAM ARGS: status 2 and a message
	"$bin/$1" $2 2>"$tmp/err" >/dev/null
	[ $? = 2 ] && [ -s "$tmp/err" ]
}
reports_full_disk() {
	! "$bin/solve" --n 20 --systems 2 --progress none -o /dev/full 2>"$tmp/err" && grep -q 'not written' "$tmp/err"
}

check "montecarlo repeats" same montecarlo "--paths 20000"
check "montecarlo finds pi" pi_is_near
check "montecarlo depends on the seed" differs montecarlo "--paths 1000" "--paths 1000 --seed 2"
check "nbody repeats" same nbody "--steps 5000"
check "nbody keeps the energy" energy_is_kept
check "solve repeats, residuals are small" same solve "--n 100 --systems 5"
check "touchmem repeats, memory is right" same touchmem "--kib 512 --rounds 50"
check "queueing repeats but for the clock" same queueing "--events 300000 --period 10"
check "queueing counts every event once" periods_add_up
for clock in monotonic tsc; do
	check "queueing reads $clock" same queueing "--events 20000 --clock $clock"
done
check "format repeats" same format "--effort 200 $bin/input/text"
check "format keeps every word" text_is_kept
check "format justifies" lines_are_justified
check "crack repeats" same crack "$bin/input/shadow $bin/input/words"
check "crack finds what is in the list" seven_are_found
check "crack uses SHA-256" hash_is_sha256
check "a bad option is refused" refuses montecarlo "--paths x"
check "an unknown option is refused" refuses nbody "--colour"
check "a missing operand is refused" refuses format ""
check "a full disk is reported" reports_full_disk
exit $failed
