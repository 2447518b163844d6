# SPDX-License-Identifier: MIT
# Unit tests of the kernel's pure files: the very same C, with sanitisers, on the host. One block per test.
HOST_TESTS += $(BUILD)/tests/host/test_ldisc
$(BUILD)/tests/host/test_ldisc: tests/host/test_ldisc.c kernel/ldisc.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_clockview
$(BUILD)/tests/host/test_clockview: tests/host/test_clockview.c kernel/env/clockview.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_heard
$(BUILD)/tests/host/test_heard: tests/host/test_heard.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_timerheap
$(BUILD)/tests/host/test_timerheap: tests/host/test_timerheap.c kernel/timerheap.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_linksum
$(BUILD)/tests/host/test_linksum: tests/host/test_linksum.c net/linksum.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Inet -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_path
$(BUILD)/tests/host/test_path: tests/host/test_path.c kernel/pathlex.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_filemove
$(BUILD)/tests/host/test_filemove: tests/host/test_filemove.c kernel/env/filemove.c kernel/env/filearrive.c kernel/ends.c kernel/text.c
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_pagecache
$(BUILD)/tests/host/test_pagecache: tests/host/test_pagecache.c $(addprefix kernel/,fobj.c fsreq.c idle.c known.c pagecache.c pagefetch.c pageback.c)
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -Wno-missing-prototypes -MMD -o $@ $(filter %.c,$^)

HOST_TESTS += $(BUILD)/tests/host/test_fault
$(BUILD)/tests/host/test_fault: tests/host/test_fault.c $(addprefix tools/switch/,fault.c knobs.c stations.c)
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; $(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -D_GNU_SOURCE -Itools/switch -MMD -o $@ $(filter %.c,$^)

# It runs where it lies.
HOST_TESTS += tests/host/test_report.sh

# A coverage-guided fuzzer over what reads other nodes' bytes; the long form: tests/cluster/test_fuzz.py --long.
FUZZED := $(addprefix servers/,lib/peer.c lib/peer_frame.c lib/auth.c lib/seal.c lib/dgram.c lib/image_decode.c load/report.c \
	$(addprefix migrate/,machine.c source.c target.c notice.c signal.c))
FUZZED_OBJS := $(FUZZED:%.c=$(BUILD)/fuzz/%.o)
FUZZ_OBJS := $(addprefix $(BUILD)/fuzz/,$(patsubst %.c,%.o,$(wildcard tests/host/fuzz/*.c) $(addprefix servers/lib/,secret.c wmem.c \
	image_encode.c image_digest.c)))
$(FUZZED_OBJS): FUZZ_COVERAGE := -fsanitize-coverage=trace-pc
$(BUILD)/fuzz/%.o: %.c $(BUILD)/sodium-host/libsodium.a
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(FUZZ_COVERAGE) -Iservers/lib -Iservers/load -Iservers/migrate -Itests/host/hostnode \
		-include tests/host/hostnode/wh_host.h $(SODIUM_INC) -MMD -MP -c -o $@ $<
$(BUILD)/tests/host/test_fuzz: $(FUZZED_OBJS) $(FUZZ_OBJS) $(BUILD)/sodium-host/libsodium.a
	@mkdir -p $(@D)
	$(HOSTCC) $(SANFLAGS) -o $@ $^
HOST_TESTS += $(BUILD)/tests/host/test_fuzz
