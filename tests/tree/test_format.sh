#!/bin/bash
# SPDX-License-Identifier: MIT
# All C is formatted as .clang-format says.
. "$(dirname "$0")/lib.sh"

found=$(tools/lint.sh format)
case $found in
"format: not checked"*) echo "$found" ;;
*) printf '%s' "$found" | verdict "every C file is formatted" ;;
esac
finish
