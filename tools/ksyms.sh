#!/bin/sh
# SPDX-License-Identifier: MIT
# `nm -n` of the kernel on stdin -> assembly of its symbol table (struct ksym in kernel/panic.c) on stdout.
awk '
BEGIN { print "\t.section .ksyms, \"a\"\n\t.align 8\n\t.globl ksyms\nksyms:" }
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^\./ {
	printf "\t.quad 0x%s, ksym_name_%d\n", $1, n
	name[n++] = $3
}
END {
	print "\t.globl ksym_count\nksym_count:\n\t.quad " n + 0
	for (i = 0; i < n; i++)
		printf "ksym_name_%d:\t.asciz \"%s\"\n", i, name[i]
	print "\t.section .note.GNU-stack, \"\", @progbits"
}'
