#!/bin/bash
# SPDX-License-Identifier: MIT
# lint.sh format          the C files that are not formatted as .clang-format says
# lint.sh analyse [FILE]  what the clang static analyser finds (.clang-tidy), in all C files or these
# lint.sh                 both
# Run by `make lint`, which passes MAKE, BUILD and MUSL_GCC; works on an existing build. Exit status 0: nothing found.
#
# Each file is analysed with the flags it is compiled with first, as `make -n` tells them, so no flag is written down twice.
set -euo pipefail
. "$(dirname "$0")/../tests/tree/lib.sh"

BUILD=${BUILD:-build} MAKE=${MAKE:-make} MUSL_GCC=${MUSL_GCC:-musl-gcc}

format() {
	# Other versions break lines at other places.
	local tool version bad=0 files f
	tool=$(command -v clang-format-14 || command -v clang-format) || { echo "lint.sh: no clang-format"; return 1; }
	version=$("$tool" --version | sed 's/.*version \([0-9]*\).*/\1/')
	[ "$version" = 14 ] || { echo "format: not checked: the tree is formatted with clang-format 14, this is $version"; return 0; }
	mapfile -t files < <(tree '*.c' '*.h')
	[ ${#files[@]} -gt 0 ] || { echo "lint.sh: there is no C file here"; return 1; }
	for f in $("$tool" --dry-run -Werror "${files[@]}" 2>&1 | sed -n 's/^\([^ :]*\):[0-9:]* error: .*/\1/p' | sort -u); do
		echo "$f: not formatted (clang-format -i $f)"
		bad=1
	done
	return $bad
}

# "FILE flag flag..." for every C file that make would compile, from the commands that it prints.
compilations() {
	local musl
	musl=$("$MUSL_GCC" -E -v -x c /dev/null 2>&1 | sed -n '/^#include </,/^End/s/^ //p' | head -1)
	env -u MAKEFLAGS "$MAKE" -nB BUILD="$BUILD" all host-tests-built netbench moves switchbench 2>/dev/null |
		sed -e ':a' -e '/\\$/N; s/\\\n//; ta' |
		awk -v musl="$musl" -v musl_gcc="$MUSL_GCC" '
		/(^|[ \/])(gcc|[a-z0-9_-]+-gcc) / {
			flags = ""; n = 0; libc = 0
			for (i = 1; i <= NF; i++) {
				if ($i == musl_gcc) libc = 1
				if ($i ~ /^-(include|isystem|idirafter)$/) { flags = flags " " $i " " $(i + 1); i++ }
				else if ($i ~ /^-(I|D|std=|ffreestanding|mcmodel|mno-|Wall|Wextra)/) flags = flags " " $i
				else if ($i ~ /\.c;?$/) { sub(/;$/, "", $i); file[n++] = $i }
			}
			if (libc) flags = flags " -nostdlibinc -isystem " musl
			while (n--) if (!(file[n] in seen)) { seen[file[n]] = 1; print file[n] flags }
		}'
}

analyse() {
	local out=$BUILD/lint bad=0 all f
	mkdir -p "$out"
	rm -f "$out"/*.txt
	compilations | sort >"$out/compilations"
	mapfile -t all < <(tree "${@:-*.c}")
	[ ${#all[@]} -gt 0 ] || { echo "lint.sh: there is no such C file here"; return 1; }
	for f in "${all[@]}"; do
		grep "^$f " "$out/compilations" || echo "$f: no rule of any module.mk compiles this" >"$out/${f//\//+}.txt"
	done | OUT=$out nice xargs -r -P "${JOBS:-2}" -L 1 bash -c '
		f=$1; shift
		clang-tidy --quiet "$f" -- "$@" >"$OUT/${f//\//+}.txt" 2>"$OUT/stderr" || true
		[ -s "$OUT/${f//\//+}.txt" ] || rm -f "$OUT/${f//\//+}.txt"' _
	for f in "$out"/*.txt; do
		[ -e "$f" ] || continue
		cat "$f"
		bad=1
	done
	[ $bad != 0 ] || echo "analyse: ${#all[@]} files, nothing found"
	return $bad
}

status=0
case ${1:-} in
format) format || status=1 ;;
analyse) analyse "${@:2}" || status=1 ;;
'') { format && analyse; } || status=1 ;;
*) echo "usage: lint.sh [format | analyse [FILE]...]" >&2; exit 2 ;;
esac
exit $status
