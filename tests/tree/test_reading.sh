#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/READING lists every file once, and every header before the files that include it.
. "$(dirname "$0")/lib.sh"

listed() { awk '/^[^#=!]/ { print $1 }' docs/READING; }
# Pages for people are in docs/README.md.
wanted() { tree '*' | grep -vE '\.md$|^docs/READING$|^LICENSE$|^\.gitignore$'; }

listed | LC_ALL=C sort | uniq -d | verdict "docs/READING names no file twice"
comm -13 <(listed | LC_ALL=C sort -u) <(wanted) | verdict "docs/READING names every file"
comm -23 <(listed | LC_ALL=C sort -u) <(wanted) | verdict "docs/READING names no other"
awk '/^[^#=!]/ && NF < 2 { print $1 } /^!/ && NF < 4 { print $2 }' docs/READING | verdict "docs/READING says what each file is"

# An include is looked up beside the including file, then where the compiler would: kernel/ for the kernel, servers/lib/ for
# servers and programs, abi/ for all; at last anywhere (the tests name their subject's directory in module.mk).
awk '
FILENAME == "docs/READING" {
	if (/^!/) allowed[$2 " " $3] = 1
	else if (/^[^#=]/) { at[$1] = ++n; name[n] = $1 }
	next
}
FNR == 1 { dir = FILENAME; sub(/[^\/]*$/, "", dir); home = dir ~ /^(kernel|boot)\// ? "kernel/" : "servers/lib/" }
match($0, /^[ \t]*#[ \t]*include[ \t]+"[^"]+"/) {
	inc = $0; sub(/^[^"]*"/, "", inc); sub(/".*/, "", inc)
	path = inc; sub(/^\.\.\//, "", path)
	if ((dir inc) in at) found = dir inc
	else if (path != inc && path in at) found = path
	else if ((home inc) in at) found = home inc
	else if (("abi/" inc) in at) found = "abi/" inc
	else {
		found = ""
		for (i = 1; i <= n && found == ""; i++)
			if (substr(name[i], length(name[i]) - length(inc)) == "/" inc) found = name[i]
	}
	if (found == "") next # lwIP or libext2fs
	if (at[found] > at[FILENAME]) {
		if ((FILENAME " " found) in allowed) used[FILENAME " " found] = 1
		else print FILENAME " comes before " found
	}
}
END { for (a in allowed) if (!(a in used)) print "needless exception: " a }
' docs/READING $(listed | grep -E '\.([chS]|def)$' | while read -r f; do [ ! -e "$f" ] || echo "$f"; done) |
	verdict "docs/READING explains every header before it is included"

finish
