#!/bin/sh
# SPDX-License-Identifier: MIT
# tables.sh: what the headers and tables of the protocols say, as a Lua table. To be run at the root of the tree. whimbrel.lua does the rest.
set -eu
CC=${CC:-gcc}

bare() { "$CC" -fpreprocessed -dD -E -P "$1"; } # without comments; nothing expanded

# Rows of an X-macro table as rows of Lua: $1 the macro with its parameters, $2 what a row becomes, $3 the table.
rows() { printf '#define %s %s\n#include "%s"\n' "$1" "$2" "$3" | "$CC" -E -P -I. -x c - | sed 's/ROW/\n/g' | sed '/^$/d'; }

echo "return {"
echo "message = {"
rows 'WIRE(N, K, B, W, M)' 'ROW [K] = { name = #N, body = #B, way = W, meaning = M },' abi/wire.def
echo "},"
echo "service = {"
rows 'SERVICE(I, N, P, R, T, F)' 'ROW [T] = #N,' abi/services.def
echo "},"

for h in abi/link.h abi/whimbrel.h abi/msg_file.h abi/wire.h servers/lib/seal.h servers/lib/peer.h servers/lib/peer_frame.h servers/lib/auth.h \
	servers/lib/dgram.h servers/file/remote.h servers/clock/probe.c servers/load/report.h; do
	[ ! -f "$h" ] || bare "$h"
done | awk '
BEGIN {
	size["char"] = size["uint8_t"] = size["int8_t"] = size["bool"] = 1
	size["uint16_t"] = size["int16_t"] = 2
	size["uint32_t"] = size["int32_t"] = size["int"] = size["unsigned"] = 4
	size["uint64_t"] = size["int64_t"] = 8
	for (t in size) align[t] = size[t]
}

# A number, a name of one, or "" for what is more than that.
function value(text) {
	gsub(/[ \t()]/, "", text)
	if (text in number) return number[text]
	if (text ~ /^0[xX][0-9a-fA-F]+[uUlL]*$/) { sub(/[uUlL]+$/, "", text); return text }
	if (text ~ /^-?[0-9]+[uUlL]*$/) { sub(/[uUlL]+$/, "", text); return text + 0 }
	return ""
}

/^#define [A-Za-z_0-9]+[ \t]+[^ \t]/ {
	v = $0
	sub(/^#define [A-Za-z_0-9]+[ \t]+/, "", v)
	v = value(v)
	if (v != "") number[$2] = v
	next
}
/^#/ { next }
{ text = text " " $0 }

function take_enum(name, body, n, part, i, at, side, row) {
	n = split(body, part, ",")
	at = 0
	row = ""
	for (i = 1; i <= n; i++) {
		split(part[i], side, "=")
		gsub(/[ \t]/, "", side[1])
		if (side[1] == "") continue
		if (part[i] ~ /=/) at = value(side[2])
		if (at == "") break # an expression: no name of a value that travels
		number[side[1]] = at
		row = row " [" at "] = \"" side[1] "\","
		at++
	}
	if (name != "") enums = enums "  " name " = {" row " },\n"
}

# Fields at their natural offsets, as the compiler puts them. What has a type that is not known here does not travel.
function take_struct(kind, name, body, n, part, i, m, var, j, type, item, count, at, most, end, rows) {
	at = most = end = 0
	n = split(body, part, ";")
	for (i = 1; i <= n; i++) {
		gsub(/^[ \t]+|[ \t]+$/, "", part[i])
		if (part[i] == "") continue
		if (part[i] ~ /[*:]/ || !match(part[i], /^(struct +|enum +)?[a-z_0-9]+ /)) return
		type = substr(part[i], 1, RLENGTH - 1)
		m = split(substr(part[i], RLENGTH + 1), var, ",")
		sub(/^struct +/, "", type)
		if (type ~ /^enum/) type = "uint32_t"
		if (!(type in size)) return
		for (j = 1; j <= m; j++) {
			item = var[j]
			gsub(/[ \t]/, "", item)
			count = 0
			if (match(item, /\[.*\]$/)) {
				count = value(substr(item, RSTART + 1, RLENGTH - 2))
				if (count == "") return
				item = substr(item, 1, RSTART - 1)
			}
			if (align[type] > most) most = align[type]
			at = kind == "union" ? 0 : int((at + align[type] - 1) / align[type]) * align[type]
			rows = rows sprintf("    { name = \"%s\", at = %d, type = \"%s\", size = %d, count = %d },\n", item, at, type, size[type], count)
			at += size[type] * (count ? count : 1)
			if (at > end) end = at
		}
	}
	if (!most) return
	align[name] = most
	size[name] = int((end + most - 1) / most) * most
	structs = structs "  " name " = { size = " size[name] ",\n" rows "  },\n"
}

END {
	# A union without a name inside a struct: its first member stands for it.
	while (match(text, /union *\{[^{}]*\} *;/)) {
		found = substr(text, RSTART, RLENGTH)
		sub(/^[^{]*\{/, "", found)
		sub(/;.*/, ";", found)
		text = substr(text, 1, RSTART - 1) found substr(text, RSTART + RLENGTH)
	}
	while (match(text, /(struct|union|enum) *[a-z_0-9]* *\{[^{}]*\}/)) {
		found = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		body = found
		sub(/^[^{]*\{/, "", body)
		sub(/\}$/, "", body)
		head = found
		sub(/\{.*/, "", head)
		split(head, word, " ")
		if (word[1] == "enum") take_enum(word[2], body)
		else if (word[2] != "") take_struct(word[1], word[2], body)
	}
	printf "number = {\n"
	for (n in number) if (n ~ /^(PEER|SEAL|LINK|DGRAM|WIRE)_/) printf "  %s = %s,\n", n, number[n] | "LC_ALL=C sort"
	close("LC_ALL=C sort")
	printf "},\nenum = {\n%s},\nstruct = {\n%s},\n", enums, structs
}'
echo "}"
