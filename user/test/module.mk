# SPDX-License-Identifier: MIT
# Test programs, t_NAME, in /bin of the image: one C file each and t.c. The same files run on the host.
TEST_DIR := $(BUILD)/user/test
TEST_PROGRAMS := $(patsubst user/test/%.c,$(TEST_DIR)/%,$(wildcard user/test/t_*.c))
PROGRAMS += $(TEST_PROGRAMS)

$(TEST_DIR)/%.o: user/test/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(TEST_PROGRAMS): %: %.o $(TEST_DIR)/t.o
	$(UCC) $(UCFLAGS) -o $@ $^

# The migrating workload of the Linux baseline (PEER): not ours, so it is built where it is, and only the tests use it.
PEER ?= ../shared/peer
ifneq ($(wildcard $(PEER)/migr.c),)
PROGRAMS += $(TEST_DIR)/migr
$(TEST_DIR)/migr: $(PEER)/migr.c
	@mkdir -p $(@D)
	$(UCC) -static -O2 -o $@ $<
endif
