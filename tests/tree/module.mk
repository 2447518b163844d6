# SPDX-License-Identifier: MIT
# Tests of the tree itself: they run where they lie.
HOST_TESTS += tests/tree/test_reading.sh tests/tree/test_tree.sh tests/tree/test_format.sh tests/tree/test_size.sh

#   make lint       clang-format and the clang static analyser; the analyser wants the headers that the build unpacks
lint: default host-tests-built
	BUILD=$(BUILD) MAKE=$(MAKE) MUSL_GCC=$(MUSL_GCC) tools/lint.sh

#   make abi-page   docs/abi.md from abi/syscalls.def
abi-page:
	tests/tree/abi_page.sh > docs/abi.md
#   make size-page  docs/size.md: lines per folder, and the reasons of tests/tree/large.def
size-page:
	tests/tree/size_page.sh > docs/size.md
.PHONY: lint abi-page size-page
