# SPDX-License-Identifier: MIT
# Library of the servers: link $(BUILD)/servers/lib/libserver.a (name it literally: a variable is
# still empty where an earlier module.mk is read).
SERVER_LIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/lib/*.c))

$(BUILD)/servers/lib/%.o: servers/lib/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -MP -c -o $@ $<

# It exists for its plain 8-byte moves: the compiler must not turn them into vector moves or memcpy.
$(BUILD)/servers/lib/wmem.o: UCFLAGS += -fno-tree-vectorize -fno-tree-slp-vectorize -fno-tree-loop-distribute-patterns

$(BUILD)/servers/lib/libserver.a: $(SERVER_LIB_OBJS)
	@rm -f $@
	$(CROSS)ar rcs $@ $^

HOST_TESTS += $(BUILD)/tests/host/test_virtq $(BUILD)/tests/host/test_peer_frame

$(BUILD)/tests/host/test_virtq: tests/host/test_virtq.c servers/lib/virtq.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -MMD -MF $@.d -o $@ $(filter %.c,$^)

$(BUILD)/tests/host/test_peer_frame: tests/host/test_peer_frame.c servers/lib/peer_frame.c servers/lib/wmem.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/lib -o $@ $^
$(BUILD)/tests/host/test_peer_frame: servers/lib/peer_frame.h servers/lib/peer.h servers/lib/wmem.h
