#!/bin/bash
# SPDX-License-Identifier: MIT
# size_page.sh: docs/size.md on standard output: lines per folder, and why a file is longer than 400 lines (tests/tree/large.def).
# `make size-page` writes it; test_size.sh compares.
. "$(dirname "$0")/lib.sh"

cat <<'EOF'
# How large it is

Made by `make size-page`; do not edit. *Lines* are all lines of C, assembly, tables (`.def`) and scripts; *code* is what is left of
C without comments and blank lines. `make check` compares: a folder that has grown by more than 5 % wants this page made anew.

| folder | files | lines | code in C | longest file |
|---|---|---|---|---|
EOF
# The test of this page needs the lines only.
code() {
	if [ "${SIZE_PAGE_CODE:-1}" = 0 ]; then echo -; else
		xargs -r -n1 gcc -fpreprocessed -dD -E -P 2>/dev/null | grep -c .
	fi
}
sources() { tree "$1/*" | grep -E '\.(c|h|S|def|sh|py|mk|ld)$'; }
row() { # NAME FILES...
	local name=$1 files
	files=$(cat)
	[ -n "$files" ] || return 0
	printf '| %s | %d | %d | %s | %s |\n' "$name" "$(wc -l <<<"$files")" "$(xargs cat <<<"$files" | wc -l)" \
		"$(grep -E '\.[ch]$' <<<"$files" | code)" \
		"$(xargs wc -l <<<"$files" | grep -v ' total$' | sort -rn | awk 'NR == 1 { sub(/.*\//, "", $2); print $2 " " $1 }')"
}
for folder in $(tree '*' | grep -E '\.(c|h|S|def|sh|py|mk|ld)$' | grep / | sed 's|/[^/]*$||' | LC_ALL=C sort -u); do
	sources "$folder" | grep -E "^$folder/[^/]+$" | row "\`$folder\`"
done
sources kernel | row '**the kernel, together**'
sources servers | row '**the servers, together**'
tree '*' | grep -E '\.(c|h|S|def|sh|py|mk|ld)$' | row '**all**'

cat <<'EOF'

## Files above 400 lines

| file | lines | why |
|---|---|---|
EOF
tree '*' | grep -E '\.(c|h|S|def|sh|py)$' | xargs wc -l | awk '$1 > 400 && $2 != "total" { print $1, $2 }' | sort -rn |
	while read -r lines name; do
		printf "| \`%s\` | %d | %s |\n" "$name" "$lines" "$(awk -v f="$name" '$1 == f { $1 = ""; print substr($0, 2) }' tests/tree/large.def)"
	done
