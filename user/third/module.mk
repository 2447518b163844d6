# SPDX-License-Identifier: MIT
# Other people's programs, unmodified: fetched, built and packed for the tests of tests/suites/. No part of the default build.
#   make suites     busybox, Lua, zlib, bc, SQLite, GNU Go with their tests, into $(THIRD)/suites
SUITE_NAMES := busybox lua zlib bc sqlite gnugo
SUITES := $(THIRD)/suites

$(SUITE_NAMES:%=$(SUITES)/%.tar): $(SUITES)/%.tar: user/third/build.sh tools/third-party.def
	@mkdir -p $(SUITES)
	@echo "THIRD $*"
	@THIRD=$(abspath $(THIRD)) MUSL_GCC="$(MUSL_GCC)" user/third/build.sh $* $(SUITES)/$*

suites: $(SUITE_NAMES:%=$(SUITES)/%.tar)
$(SUITE_NAMES:%=suite-%): suite-%: $(SUITES)/%.tar
.PHONY: suites $(SUITE_NAMES:%=suite-%)
