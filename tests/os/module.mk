# SPDX-License-Identifier: MIT
# Test programs that run on a node and, unchanged, on the Linux host.
PROGRAMS += $(BUILD)/tests/os/sigtest
$(BUILD)/tests/os/sigtest: tests/os/sigtest.c
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -MMD -o $@ $<

# Not for the image: it is started in place of the file server (test_roundtrip.py).
HOST_TOOLS += $(BUILD)/tests/os/roundtrip
$(BUILD)/tests/os/roundtrip: tests/os/roundtrip.c tests/os/roundtrip_children.c tests/os/roundtrip.h abi/whimbrel.h
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -o $@ $(filter %.c,$^)

# Likewise (test_signals.py): sigtest's own C, and a handler that freezes it all the time.
HOST_TOOLS += $(BUILD)/tests/os/freezer
$(BUILD)/tests/os/freezer: tests/os/freezer.c tests/os/sigtest.c
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -Dmain=sigtest_main -Wno-missing-prototypes -c -o $@-sigtest.o tests/os/sigtest.c
	@$(UCC) $(UCFLAGS) -MMD -MF $@.d -o $@ $< $@-sigtest.o

PROGRAMS += $(BUILD)/tests/os/clocktest
$(BUILD)/tests/os/clocktest: tests/os/clocktest.c
	@mkdir -p $(@D)
	@echo "UCC $@"; $(UCC) $(UCFLAGS) -MMD -o $@ $<
