# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of the tree share: which files there are, and verdicts. Sourced; leaves the caller in the root of the tree.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
failed=0

# The files of the tree that match the patterns; without git (a tarball), whatever lies here.
tree() {
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files -- "$@" | while IFS= read -r f; do [ ! -e "$f" ] || echo "$f"; done
	else
		local names=() p
		for p in "$@"; do names+=(-o -path "./$p"); done
		find . \( -name .git -o -name 'build*' -o -name __pycache__ \) -prune -o -type f \( -false "${names[@]}" \) -print |
			sed 's|^\./||'
	fi | LC_ALL=C sort
}

# verdict NAME: ok if nothing comes on standard input; else not ok, with what came.
verdict() {
	local found
	found=$(head -20 | tr '\n' ';')
	if [ -z "$found" ]; then
		echo "ok $1"
	else
		echo "not ok $1: ${found%;}"
		failed=1
	fi
}

finish() { exit "$failed"; }
