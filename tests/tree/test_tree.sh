#!/bin/bash
# SPDX-License-Identifier: MIT
# Rules of the tree that need no compiler: licences, sizes, leftovers, and pages that are made of tables.
. "$(dirname "$0")/lib.sh"

# Pages for people and files that go into the image as they are have no place for it.
tree '*' | grep -vE '\.md$|^(LICENSE|\.gitignore|docs/READING)$|^tools/rootfs/' | xargs grep -LF 'SPDX-License-Identifier: MIT' |
	verdict "every file says its licence"

tree '*' | grep -v '^docs/' | xargs wc -l | awk '$1 > 700 && $2 != "total"' | verdict "no file is longer than 700 lines"

tree '*.c' '*.h' '*.S' '*.def' '*.sh' '*.py' '*.mk' '*.ld' Makefile | grep -v '^tests/tree/' | xargs grep -nwE 'TODO|FIXME|XXX|HACK' |
	verdict "nothing is left to do later"
tree '*.c' '*.h' | xargs grep -nE '^[[:space:]]*#[[:space:]]*if[[:space:]]+0' | verdict "no code is switched off"
tree '*' | grep -v '^tests/tree/' | xargs grep -nE '[[:blank:]]+$' | verdict "no line ends in blanks"

tests/tree/abi_page.sh | diff docs/abi.md - | verdict "docs/abi.md is what abi/syscalls.def says (make abi-page)"
grep -vE '^(#|$)' tools/third-party.def | while read -r name version _; do
	grep -qi "$name.*$version" docs/licences.md || echo "$name $version"
done | verdict "docs/licences.md names every source package that is fetched"

# Every page can be found from README.md by following links, and no link leads nowhere.
for f in $(tree '*.md'); do
	dir=$(dirname "$f")
	grep -oE '\]\([^)#:]+\)' "$f" | sed 's/^](//; s/)$//' | while read -r to; do [ -e "$dir/$to" ] || echo "$f -> $to"; done
done | verdict "no link leads nowhere"
for f in $(tree 'docs/*'); do
	[ "$f" = docs/README.md ] || grep -q "(${f#docs/})" docs/README.md || echo "$f"
done | verdict "docs/README.md lists every page"

# What the pages name in backquotes as a file of ours must be there.
for f in $(tree '*.md'); do
	grep -oE '`(abi|boot|kernel|servers|net|user|tools|tests|docs)/[A-Za-z0-9_./-]+`' "$f" | tr -d '`' | while read -r name; do
		[ -e "$name" ] || echo "$f: $name"
	done
done | verdict "no page names a file that is not there"

finish
