#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/size.md is true, and every file above 400 lines has a reason in tests/tree/large.def.
. "$(dirname "$0")/lib.sh"

large() { tree '*' | grep -E '\.(c|h|S|def|sh|py)$' | xargs wc -l | awk '$1 > 400 && $2 != "total" { print $2 }' | LC_ALL=C sort; }
reasons() { awk '/^[^#]/ && NF > 4 { print $1 }' tests/tree/large.def | LC_ALL=C sort; }
comm -23 <(large) <(reasons) | verdict "every file above 400 lines has a reason in tests/tree/large.def"
comm -13 <(large) <(reasons) | verdict "tests/tree/large.def names no file that is short enough"

# Folder and lines of both pages, side by side.
lines_of() { awk -F'|' '/^\| [`*]/ && NF == 7 { gsub(/[` *]/, "", $2); print $2, $4 + 0 }' | LC_ALL=C sort; }
join -a1 -a2 -e 0 -o 0,1.2,2.2 <(lines_of <docs/size.md) <(SIZE_PAGE_CODE=0 tests/tree/size_page.sh | lines_of) |
	awk '{ d = $2 - $3; if (d < 0) d = -d; if (d > 20 && d > $3 / 20) print $1 ": " $2 " in the page, " $3 " in the tree" }' |
	verdict "docs/size.md says how large the folders are (make size-page)"

finish
