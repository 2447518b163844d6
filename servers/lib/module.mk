# SPDX-License-Identifier: MIT
# Library of the servers: link $(BUILD)/servers/lib/libserver.a.
SERVER_LIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/lib/*.c))

$(BUILD)/servers/lib/%.o: servers/lib/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(BUILD)/servers/lib/libserver.a: $(SERVER_LIB_OBJS)
	@rm -f $@
	$(CROSS)ar rcs $@ $^

HOST_TESTS += $(BUILD)/tests/host/test_virtq

$(BUILD)/tests/host/test_virtq: tests/host/test_virtq.c servers/lib/virtq.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -MMD -MF $@.d -o $@ $^
