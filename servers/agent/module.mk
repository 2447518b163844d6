# SPDX-License-Identifier: MIT
AGENT_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/agent/*.c))

$(BUILD)/servers/agent/%.o: servers/agent/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -D_GNU_SOURCE -MMD -c -o $@ $<

$(BUILD)/servers/agent/agent: $(AGENT_OBJS) $(BUILD)/servers/lib/libserver.a
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/agent/agent

# The sessions on the host, for tests/test_agent.py.
HOST_TOOLS += $(BUILD)/tests/host/agent_on_host
$(BUILD)/tests/host/agent_on_host: tests/host/agent_on_host.c servers/agent/session.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -D_GNU_SOURCE -Iservers/agent -Iservers/lib -MMD -MF $@.d -o $@ $(filter %.c,$^)
