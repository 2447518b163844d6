# SPDX-License-Identifier: MIT
# The workloads: static Linux programs that run on the host and on Whimbrel, the same file.
# No contraction of a*b+c: the results must not depend on what the compiler finds to fuse.
#
# IMAGE_FILES collects what else goes into the root image, as pairs FILE:PATH-IN-THE-IMAGE.
WORK := montecarlo nbody queueing format solve crack touchmem
WORK_FLAGS := -ffp-contract=off -MMD
WORK_DIR := $(BUILD)/user/work

PROGRAMS += $(WORK:%=$(WORK_DIR)/%)
HOST_TOOLS += $(WORK_DIR)/geninput

$(WORK_DIR)/%.o: user/work/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) $(WORK_FLAGS) -c -o $@ $<

$(WORK:%=$(WORK_DIR)/%): $(WORK_DIR)/%: $(WORK_DIR)/%.o $(WORK_DIR)/work.o
	$(UCC) $(UCFLAGS) -o $@ $(filter %.o,$^) -lm

$(WORK_DIR)/crack: $(WORK_DIR)/sha256.o

# The generator runs on the host, so it is built for the host.
$(WORK_DIR)/geninput: user/work/geninput.c user/work/work.c user/work/sha256.c user/work/work.h user/work/sha256.h
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) -o $@ $(filter %.c,$^)

WORK_INPUT := text words shadow
$(WORK_INPUT:%=$(WORK_DIR)/input/%): $(WORK_DIR)/input/%: $(WORK_DIR)/geninput
	@mkdir -p $(@D)
	$< $* -o $@

IMAGE_FILES += $(foreach f,$(WORK_INPUT),$(WORK_DIR)/input/$(f):/usr/share/work/$(f))

# The test finds the programs next to itself.
$(BUILD)/tests/host/test_work: tests/host/test_work.sh $(WORK:%=$(WORK_DIR)/%) $(WORK_INPUT:%=$(WORK_DIR)/input/%)
	@mkdir -p $(@D)
	install -m 755 $< $@
HOST_TESTS += $(BUILD)/tests/host/test_work
