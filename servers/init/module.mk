# SPDX-License-Identifier: MIT
INIT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/init/*.c))

$(BUILD)/servers/init/%.o: servers/init/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -D_GNU_SOURCE -MMD -c -o $@ $<

$(BUILD)/servers/init/init: $(INIT_OBJS) $(BUILD)/servers/lib/libserver.a
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/init/init

HOST_TESTS += $(BUILD)/tests/host/test_boot_state
$(BUILD)/tests/host/test_boot_state: tests/host/test_boot_state.c servers/init/state.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -D_GNU_SOURCE -Iservers/init -MMD -MF $@.d -o $@ $(filter %.c,$^)
