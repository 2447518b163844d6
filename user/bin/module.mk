# SPDX-License-Identifier: MIT
# Commands: one C file each, built like any Linux program.
COMMANDS := $(patsubst user/bin/%.c,$(BUILD)/user/bin/%,$(wildcard user/bin/*.c))

$(BUILD)/user/bin/%: user/bin/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -MF $@.d -o $@ $<

PROGRAMS += $(COMMANDS)
