#!/bin/bash
# SPDX-License-Identifier: MIT
# Median, ratio, verdict and failure as tools/bench/report.awk tells them, in all its forms. Runs where it lies.
set -u
cd "$(dirname "$0")/../.." || exit 1
samples=$(mktemp) status=0 failed=0
trap 'rm -f "$samples"' EXIT

say() { # verdict NAME: ok if the last command succeeded
	if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2"; failed=1; fi
}
report() { awk -F'\t' -v form="$1" -f tools/bench/report.awk "$samples"; }
line() { (IFS=$'\t' && echo "$*") >>"$samples"; }
row() { # NAME GOAL "A..." "B..."
	local v
	line row "$1" ns "$2" whimbrel linux "what $1 is"
	for v in $3; do line sample "$1" whimbrel "$v"; done
	for v in $4; do line sample "$1" linux "$v"; done
}
has() { grep -qE "$2" <<<"$1"; }

line meta title 'a "title" & <more>'
row odd 0.5 "30 10 20" "100 9 40"
row even 0.25 "4 1 3 2" "10 10"
row plain - "20" "10"
table=$(report table) || status=$?
say $status "all goals reached: exit status 0"
has "$table" '^odd +20\.00 ns +40\.00 ns +0\.500 +0\.5 +ok +what odd is$'
say $? "the median of three, unsorted; a ratio equal to the goal reaches it"
has "$table" '^even +2\.50 ns +10\.00 ns +0\.250 '
say $? "the median of four is between the middle ones"

has "$table" '^plain .* 2\.000 +- +what plain is$' && has "$table" '^2 of 2 rows'
say $? "a row without a goal neither reaches nor misses it"

row slow 1.02 "1.03e6" "1000000"
row broken 1 "1 2" ""
line failed broken 'linux: no "way"'
row silent 1 "1" ""
for form in table json svg; do
	report $form >/dev/null && status=1 || status=0
	say $status "a missed goal is the exit status of $form"
done
table=$(report table)
has "$table" '^slow +1030\.0 us +1000\.0 us +1\.030 +1\.02 +MISS'
say $? "a missed goal is marked"
has "$table" '^broken .*FAILED: linux: no "way"' && has "$table" '^silent .*FAILED: not measured'
say $? "what failed or was not measured says so"
has "$table" '^2 of 5 rows'
say $? "rows are counted"

report json | /usr/bin/python3 -c '
import json, sys
r = json.load(sys.stdin)
rows = {x["name"]: x for x in r["rows"]}
assert (r["passed"], r["missed"]) == (2, 3)
assert rows["odd"]["pass"] and rows["odd"]["ratio"] == 0.5 and rows["odd"]["a"] == {
    "system": "whimbrel", "median": 20, "min": 10, "max": 30, "samples": [30, 10, 20]}
assert not rows["slow"]["pass"] and rows["slow"]["goal"] == 1.02
assert rows["broken"]["failed"] == "linux: no \"way\"" and "ratio" not in rows["broken"]
assert r["about"]["title"] == "a \"title\" & <more>"'
say $? "JSON says the same"
report svg | /usr/bin/python3 -c 'import sys, xml.dom.minidom as m; assert len(m.parse(sys.stdin).getElementsByTagName("rect")) == 5'
say $? "the plot is XML with a bar for each row that has a ratio"
exit $failed
