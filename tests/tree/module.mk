# SPDX-License-Identifier: MIT
# Tests of the tree itself: they run where they lie.
HOST_TESTS += tests/tree/test_reading.sh tests/tree/test_tree.sh tests/tree/test_format.sh

# The analyser wants the headers that the build unpacks and configures.
lint: default host-tests-built
	BUILD=$(BUILD) MAKE=$(MAKE) MUSL_GCC=$(MUSL_GCC) tools/lint.sh

abi-page:
	tests/tree/abi_page.sh > docs/abi.md
.PHONY: lint abi-page
