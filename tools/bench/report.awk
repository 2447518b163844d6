# SPDX-License-Identifier: MIT
# awk -F'\t' -v form=table|json|svg -f report.awk FILE: what a benchmark found, from its samples. Exit status 1 if a row
# missed its goal or failed.
#
# FILE has lines of fields, separated by tabs:
#   meta KEY VALUE                         about the run
#   row NAME UNIT GOAL A B TEXT            A, B: the two that are compared; the ratio is median of A / median of B
#                                          GOAL `-`: there is none, the row is for information
#   sample NAME A|B VALUE                  in UNIT (ns: nanoseconds, of the real clock; vns: of virtual time, one per instruction)
#   failed NAME WHY

function median(list,    v, n, i, j, x) { # of numbers separated by blanks; also sets lowest and highest
	n = split(list, v, " ")
	for (i = 2; i <= n; i++) {
		x = v[i] + 0
		for (j = i - 1; j >= 1 && v[j] + 0 > x; j--) v[j + 1] = v[j]
		v[j + 1] = x
	}
	lowest = v[1] + 0; highest = v[n] + 0
	return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
}
function human(x, u) {
	if (u == "vns") return sprintf("%.0f", x)
	return x < 100 ? sprintf("%.2f ns", x) : x < 1e4 ? sprintf("%.0f ns", x) : x < 1e7 ? sprintf("%.1f us", x / 1e3) : x < 1e10 ? sprintf("%.1f ms", x / 1e6) : sprintf("%.2f s", x / 1e9)
}
function quoted(s) { gsub(/[\\"]/, "\\\\&", s); gsub(/[[:cntrl:]]/, " ", s); return "\"" s "\"" }
function escaped(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
function judge(    i, n) {
	for (i = 1; i <= rows; i++) {
		n = name[i]
		if (!(n in why) && (samples[n, a[n]] == "" || samples[n, b[n]] == "")) why[n] = "not measured"
		if (!(n in why)) {
			mb[n] = median(samples[n, b[n]]); lob[n] = lowest; hib[n] = highest
			ma[n] = median(samples[n, a[n]]); loa[n] = lowest; hia[n] = highest
			if (mb[n] <= 0) why[n] = "nothing to compare with"
			else ratio[n] = ma[n] / mb[n]
		}
		pass[n] = !(n in why) && (goal[n] == "-" || ratio[n] <= goal[n] + 0)
		if (!pass[n]) missed++
		else if (goal[n] != "-") passed++
	}
}

$1 == "meta" { keys[++metas] = $2; meta[$2] = $3 }
$1 == "row" { name[++rows] = $2; unit[$2] = $3; goal[$2] = $4; a[$2] = $5; b[$2] = $6; text[$2] = $7 }
$1 == "sample" { samples[$2, $3] = samples[$2, $3] " " $4 }
$1 == "failed" { why[$2] = $3 }

function table(    i, n, head) {
	for (i = 1; i <= rows; i++) {
		n = name[i]
		if (head != a[n] b[n]) {
			head = a[n] b[n]
			printf "%s%-20s %12s %12s %8s %8s\n", (i > 1 ? "\n" : ""), unit[n] == "vns" ? "instructions" : "times", a[n], b[n], "ratio", "at most"
		}
		if (n in why) printf "%-20s %51s  %s\n", n, "FAILED: " why[n], text[n]
		else printf "%-20s %12s %12s %8.3f %8s  %-4s %s\n", n, human(ma[n], unit[n]), human(mb[n], unit[n]), ratio[n], goal[n], goal[n] == "-" ? "" : pass[n] ? "ok" : "MISS", text[n]
	}
	printf "\n%d of %d rows reached their goals\n", passed, passed + missed
}
function numbers(list) { sub(/^ /, "", list); gsub(/ /, ", ", list); return "[" list "]" }
function json_side(n, label, m, lo, hi) {
	return sprintf("{\"system\": %s, \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, \"samples\": %s}", quoted(label), m, lo, hi, numbers(samples[n, label]))
}
function json(    i, n) {
	printf "{\n  \"about\": {"
	for (i = 1; i <= metas; i++) printf "%s\n    %s: %s", (i > 1 ? "," : ""), quoted(keys[i]), quoted(meta[keys[i]])
	printf "\n  },\n  \"rows\": ["
	for (i = 1; i <= rows; i++) {
		n = name[i]
		printf "%s\n    {\"name\": %s, \"text\": %s, \"unit\": %s, \"goal\": %s, \"pass\": %s, ", (i > 1 ? "," : ""),
			quoted(n), quoted(text[n]), quoted(unit[n]), goal[n] == "-" ? "null" : goal[n], pass[n] ? "true" : "false"
		if (n in why) printf "\"failed\": %s}", quoted(why[n])
		else printf "\"ratio\": %.4g,\n     \"a\": %s,\n     \"b\": %s}", ratio[n], json_side(n, a[n], ma[n], loa[n], hia[n]), json_side(n, b[n], mb[n], lob[n], hib[n])
	}
	printf "\n  ],\n  \"passed\": %d,\n  \"missed\": %d\n}\n", passed, missed
}
function x_of(r) { r = r < 0.02 ? 0.02 : r > 10 ? 10 : r; return 190 + (log(r) - log(0.02)) / (log(10) - log(0.02)) * 430 }
function svg(    i, n, y, t, ticks, colour) {
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", rows * 20 + 80
	printf "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
	printf "<text x=\"10\" y=\"20\" font-size=\"14\">Times as a ratio, logarithmic; less is better. The mark is the goal.</text>\n"
	split("0.02 0.05 0.1 0.2 0.5 1 2 5 10", ticks, " ")
	for (i = 1; i in ticks; i++) {
		t = x_of(ticks[i])
		printf "<line x1=\"%.1f\" y1=\"45\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\"/>", t, t, rows * 20 + 55, ticks[i] == 1 ? "#444" : "#ddd"
		printf "<text x=\"%.1f\" y=\"40\" text-anchor=\"middle\">%s</text>\n", t, ticks[i]
	}
	for (i = 1; i <= rows; i++) {
		n = name[i]; y = 35 + i * 20
		printf "<text x=\"180\" y=\"%d\" text-anchor=\"end\">%s</text>", y + 12, escaped(n)
		if (n in why) { printf "<text x=\"195\" y=\"%d\" fill=\"#c44e00\">failed</text>\n", y + 12; continue }
		printf "<rect x=\"190\" y=\"%d\" width=\"%.1f\" height=\"13\" fill=\"%s\"/>", y + 2, x_of(ratio[n]) - 190, pass[n] ? "#3b78b4" : "#e07b39"
		t = x_of(goal[n])
		if (goal[n] != "-") printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"black\" stroke-width=\"2\"/>", t, y, t, y + 17
		printf "<text x=\"630\" y=\"%d\">%.3g %s</text>\n", y + 12, ratio[n], pass[n] ? "" : "missed"
	}
	printf "<text x=\"10\" y=\"%d\">%s</text>\n</svg>\n", rows * 20 + 73, escaped(meta["title"])
}
END {
	judge()
	if (form == "table") table()
	else if (form == "json") json()
	else svg()
	exit missed > 0 || rows == 0
}
