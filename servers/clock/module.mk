# SPDX-License-Identifier: MIT
CLOCK_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/clock/*.c))

$(BUILD)/servers/clock/%.o: servers/clock/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(BUILD)/servers/clock/clock: $(CLOCK_OBJS) $(BUILD)/servers/lib/libserver.a
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/clock/clock

$(BUILD)/tests/host/test_clock: tests/host/test_clock.c servers/clock/offset.c servers/clock/rtc_time.c \
		servers/clock/offset.h servers/clock/rtc.h
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/clock -o $@ $(filter %.c,$^)
HOST_TESTS += $(BUILD)/tests/host/test_clock
