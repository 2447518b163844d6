# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# check: the host unit tests, then the tests on booted nodes; the last line sums both. Sourced by run-qemu.sh.

# Run every host test; adds to PASSED and FAILED. A test prints `ok NAME` or `not ok NAME: why` per check, and exits 0 if all are ok.
check_host() {
	local t log=$BUILD/check status not_ok
	mkdir -p "$log"
	make -s BUILD="$BUILD" host-tests-built >&2 || die "the host tests do not build"
	for t in $(make -s BUILD="$BUILD" host-tests-list); do
		progress "host: ${t##*/}"
		status=0
		timeout "${HOST_TEST_SECONDS:-600}" "$t" >"$log/${t##*/}.log" 2>&1 || status=$?
		not_ok=$(grep -c '^not ok ' "$log/${t##*/}.log" || true)
		PASSED=$((PASSED + $(grep -c '^ok ' "$log/${t##*/}.log" || true)))
		[ "$status" = 0 ] || [ "$not_ok" != 0 ] || not_ok=1 # a crash, a sanitizer's report, or out of time
		FAILED=$((FAILED + not_ok))
		progress_end
		if [ "$status" != 0 ] || [ "$not_ok" != 0 ]; then
			echo "FAILED ${t##*/} (exit status $status):"
			grep '^not ok ' "$log/${t##*/}.log" || tail -20 "$log/${t##*/}.log"
		else
			echo "passed ${t##*/}"
		fi
	done
}

# $1 names an attribute of the summary that pytest wrote.
junit() { sed -n "s/.*<testsuite [^>]*\b$1=\"\([0-9]*\)\".*/\1/p" "$BUILD/check/pytest.xml" | head -1; }

# Run pytest with the given arguments; adds to PASSED and FAILED.
check_nodes() {
	local status=0 total bad
	mkdir -p "$BUILD/check"
	rm -f "$BUILD/check/pytest.xml"
	# pytest runs in tests/; both os/test_x.py and tests/os/test_x.py name a test.
	set -- "${@#tests/}"
	(cd tests && env BUILD="$BUILD" PYTHONDONTWRITEBYTECODE=1 pytest-3 -p no:cacheprovider -q --tb=short \
		--junitxml="$BUILD/check/pytest.xml" "$@") || status=$?
	[ -f "$BUILD/check/pytest.xml" ] || die "pytest did not run (exit status $status)"
	total=$(($(junit tests) - $(junit skipped)))
	bad=$(($(junit failures) + $(junit errors)))
	[ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
	[ "$total" -lt "$bad" ] || PASSED=$((PASSED + total - bad)) # a test that does not exist is no test
	FAILED=$((FAILED + bad))
}

cmd_check() {
	local marks=(-m 'not long')
	PASSED=0 FAILED=0
	EXTRA_PACKAGES="git clang-format cpio bzip2 ed tcl:tclsh tshark iperf iproute2:ip wget check:/usr/include/check.h"
	if [ "${1:-}" = --long ]; then
		EXTRA_PACKAGES+=" clang-tidy"
		marks=()
		shift
	fi
	cmd_build
	[ $# -gt 0 ] || check_host
	check_nodes "${marks[@]}" "$@"
	echo "$PASSED passed, $FAILED failed"
	[ "$FAILED" = 0 ]
}
