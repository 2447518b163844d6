#!/bin/sh
# SPDX-License-Identifier: MIT
# abi_page.sh: docs/abi.md, made of abi/syscalls.def, on standard output. `make abi-page` writes it; test_tree.sh compares.
cd "$(dirname "$0")/../.." || exit 1
cat <<'EOF'
# The system calls

Made of `abi/syscalls.def` and `abi/limits.def` by `make abi-page`; do not edit. Every call has a class, a kind and a rule (Lu & Liu §IV.1):

- **kind**: V observes the class's object, O changes it, OV does both, N touches only the process itself, X observes a physical
  property of the node, which is exempt (Sinha §8.2.1).
- **rule**, on what the call returned, after a migration: `monotonic` never goes back; `same` stays what it was;
  `same_version` means the same version of the same file; `local` cannot be kept elsewhere, so the process stays; `none` nothing
  is promised.

EOF
# name<TAB>text of each row of limits.def
limits() { sed -nE 's/^LIMIT\(([^,]+), "(.*)"\)$/\1\t\2/p' abi/limits.def; }
rows() { sed -nE "s/^$1\(([^,]+), ([^,]+), ([^,]+), ([^,]+), ([^)]+)\).*/\1\t\2\t\3\t\4\t\5/p" abi/syscalls.def; }
table() {
	printf '## %s\n\n%s\n\n| number | name | class | kind | rule | not supported |\n|---|---|---|---|---|---|\n' "$2" "$3"
	rows "$1" | awk -F '\t' -v linux="$1" '
	FILENAME == "-" { printf "| %s | `%s` | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, linux == "SYSCALL" ? limit[$2] : "" }
	FILENAME != "-" { limit[$1] = $2 }' /dev/fd/3 - 3<<EOF2
$(limits)
EOF2
}
table SYSCALL "Linux's" 'Linux x86-64 numbers and meaning; what is not listed returns ENOSYS. Handlers are `sys_NAME`.'
echo
table WHCALL 'Ours' 'Wrappers and contracts: `servers/lib/wh.h`. Handlers are `wh_sys_NAME`.'
rows SYSCALL | awk -F '\t' 'FILENAME == "-" { there[$2] = 1; next } !($1 in there) { print "limits.def names " $1 ", which is no call"; bad = 1 } END { exit bad }' \
	- /dev/fd/3 3<<EOF2 >&2
$(limits)
EOF2
