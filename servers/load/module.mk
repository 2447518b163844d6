# SPDX-License-Identifier: MIT
# The load server's pure parts, tested on the host.
$(BUILD)/tests/host/test_policy $(BUILD)/tests/host/test_policy_sim: $(BUILD)/tests/host/%: \
		tests/host/%.c servers/load/policy.c servers/load/policy.h
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/load -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_policy $(BUILD)/tests/host/test_policy_sim
