#!/bin/sh
# SPDX-License-Identifier: MIT
# abi_page.sh: docs/abi.md, made of abi/syscalls.def, on standard output. `make abi-page` writes it; test_tree.sh compares.
cd "$(dirname "$0")/../.." || exit 1
cat <<'EOF'
# The system calls

Made of `abi/syscalls.def` by `make abi-page`; do not edit. Every call has a class, a kind and a rule (Lu & Liu §IV.1):

- **kind**: V observes the class's object, O changes it, OV does both, N touches only the process itself, X observes a physical
  property of the node, which is exempt (Sinha §8.2.1).
- **rule**, on what the call returned, after a migration: `monotonic` never goes back; `same` stays what it was;
  `same_version` means the same version of the same file; `local` cannot be kept elsewhere, so the process stays; `none` nothing
  is promised.

EOF
table() {
	printf '## %s\n\n%s\n\n| number | name | class | kind | rule |\n|---|---|---|---|---|\n' "$2" "$3"
	sed -nE "s/^$1\(([^,]+), ([^,]+), ([^,]+), ([^,]+), ([^)]+)\).*/| \1 | \`\2\` | \3 | \4 | \5 |/p" abi/syscalls.def
}
table SYSCALL "Linux's" 'Linux x86-64 numbers and meaning; what is not listed returns ENOSYS. Handlers are `sys_NAME`.'
echo
table WHCALL 'Ours' 'Wrappers and contracts: `servers/lib/wh.h`. Handlers are `wh_sys_NAME`.'
