#!/bin/bash
# SPDX-License-Identifier: MIT
# mutants.sh DIR TABLE: build the simulator with one rule of the protocol broken at a time (a sed script
# applied to one source file, rows of TABLE) and check that it notices. A row whose script changes
# nothing fails too, so the table cannot rot.
set -u
dir=$1 table=$2 bad=0
mkdir -p "$dir"
for f in servers/migrate/{machine,source,target,notice,signal}.c tests/sim/{world,check,main}.c; do
	$HOSTCC $FLAGS -c "$f" -o "$dir/$(basename "$f" .c).o" || exit 1
done
while IFS='|' read -r name file script; do
	case $name in '' | '#'*) continue ;; esac
	base=$(basename "$file" .c)
	sed -E "$script" "$file" >"$dir/mutant.c"
	if cmp -s "$file" "$dir/mutant.c"; then
		echo "not ok mutant $name: its script changes nothing in $file"
		bad=1
		continue
	fi
	if ! $HOSTCC $FLAGS -I"$(dirname "$file")" -c "$dir/mutant.c" -o "$dir/mutant.o"; then
		echo "not ok mutant $name: does not compile"
		bad=1
		continue
	fi
	objs=()
	for o in machine source target notice signal world check main; do
		[ "$o" = "$base" ] && objs+=("$dir/mutant.o") || objs+=("$dir/$o.o")
	done
	$HOSTCC "${objs[@]}" -o "$dir/mutant" || exit 1
	if timeout 120 "$dir/mutant" --quiet --runs 30000 >"$dir/mutant.log" 2>&1; then
		echo "not ok mutant $name: 30,000 runs did not notice"
		bad=1
	elif ! grep -q '^not ok seed' "$dir/mutant.log"; then
		echo "not ok mutant $name: ended without naming a violation"
		bad=1
	else
		echo "ok mutant $name:$(sed -n 's/^not ok seed [0-9]*:/ noticed as:/p' "$dir/mutant.log" | head -1)"
	fi
done <"$table"
exit $bad
