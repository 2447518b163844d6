# SPDX-License-Identifier: MIT
# The migration handler. Its machines also run in tests/sim, the image codec of servers/lib in test_image.
IMAGE_CODEC := $(addprefix servers/lib/,image_encode.c image_decode.c image_digest.c)

$(BUILD)/tests/host/test_image: tests/host/test_image.c $(IMAGE_CODEC) servers/lib/image.h servers/lib/image.def
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/lib -o $@ $(filter %.c,$^)
HOST_TESTS += $(BUILD)/tests/host/test_image

MIGRATE_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/migrate/*.c))

$(BUILD)/servers/migrate/%.o: servers/migrate/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/servers/migrate/migrate: $(MIGRATE_OBJS) $(BUILD)/servers/lib/libserver.a
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/migrate/migrate

# Two bare nodes, without disks: make moves
# For tests/cluster/test_moves.py.
HOST_TOOLS += $(BUILD)/tests/cluster/moves
$(BUILD)/tests/cluster/moves: tests/cluster/moves.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -o $@ $<
moves: $(BUILD)/tests/cluster/moves $(BUILD)/servers/net $(BUILD)/servers/migrate/migrate $(BUILD)/whimbrel.elf $(BUILD)/host/switch
	BUILD=$(BUILD) tests/cluster/moves.sh
.PHONY: moves
