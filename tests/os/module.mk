# SPDX-License-Identifier: MIT
# Test programs that run on a node and, unchanged, on the Linux host.
PROGRAMS += $(BUILD)/tests/os/sigtest
$(BUILD)/tests/os/sigtest: tests/os/sigtest.c
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -MMD -o $@ $<

# Not for the image: it is started in place of the file server (test_roundtrip.py).
HOST_TOOLS += $(BUILD)/tests/os/roundtrip
$(BUILD)/tests/os/roundtrip: tests/os/roundtrip.c
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -MMD -o $@ $<
