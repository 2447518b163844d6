# SPDX-License-Identifier: MIT
# The file server, and libext2fs (pinned, unpatched), which it and its host tests stand on.
FILE_SERVER := $(BUILD)/servers/file
SERVERS += $(FILE_SERVER)

# ---- libext2fs, once with musl and once for the host ----
E2FS := $(BUILD)/third/e2fsprogs
E2FS_SRC := $(E2FS)/src
E2FS_CONFIG := --disable-nls --disable-tdb --disable-mmp --disable-fuse2fs --disable-uuidd --disable-elf-shlibs \
	--disable-backtrace --disable-debugfs --disable-imager --disable-resizer --disable-defrag --without-libarchive
# musl has no kernel headers of its own: lend it the host's, behind everything else. They are where the distribution's compiler
# has them, whatever CROSS is.
E2FS_CC_musl = $(UCC) -idirafter $(abspath $(E2FS)/linux)
E2FS_CC_host = $(HOSTCC)

$(E2FS_SRC)/.unpacked: tools/third-party.def
	@rm -rf $(E2FS_SRC) $(E2FS)/linux && mkdir -p $(E2FS_SRC) $(E2FS)/linux
	tar xf "$$(THIRD=$(THIRD) tools/fetch-source e2fsprogs)" -C $(E2FS_SRC) --strip-components=1
	ln -s /usr/include/linux /usr/include/asm-generic $(E2FS)/linux/
	ln -s /usr/include/$$($(HOSTCC) -print-multiarch)/asm $(E2FS)/linux/asm
	@touch $@

# Only the two libraries; the package's own makefiles do not want our flags.
$(E2FS)/%/lib/ext2fs/libext2fs.a $(E2FS)/%/lib/et/libcom_err.a: $(E2FS_SRC)/.unpacked
	@mkdir -p $(E2FS)/$*
	cd $(E2FS)/$* && $(abspath $(E2FS_SRC))/configure CC="$(E2FS_CC_$*)" $(E2FS_CONFIG) >configure.log 2>&1 || \
		{ tail -20 configure.log; exit 1; }
	cd $(E2FS)/$* && for d in util lib/et lib/ext2fs; do \
		env -u MAKEFLAGS -u MAKELEVEL -u BUILD make -C $$d >>make.log 2>&1 || { tail -20 make.log; exit 1; }; done

E2FS_FLAGS = -include sys/types.h -isystem $(E2FS)/$(1)/lib -isystem $(E2FS_SRC)/lib
E2FS_LIBS = $(E2FS)/$(1)/lib/ext2fs/libext2fs.a $(E2FS)/$(1)/lib/et/libcom_err.a

# ---- the server ----
FILE_SRCS := $(wildcard servers/file/*.c)
# What knows nothing of IPC, devices or the network: runs on the host too.
FILE_CORE := $(filter-out $(addprefix servers/file/,main.c blk.c local.c remote.c custodian.c base.c ends.c),$(FILE_SRCS))

$(BUILD)/servers/file-obj/%.o: servers/file/%.c $(call E2FS_LIBS,musl)
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) $(call E2FS_FLAGS,musl) -MMD -MP -c -o $@ $<

$(FILE_SERVER): $(patsubst servers/file/%.c,$(BUILD)/servers/file-obj/%.o,$(FILE_SRCS)) \
		$(BUILD)/servers/lib/libserver.a $(call E2FS_LIBS,musl)
	$(UCC) $(UCFLAGS) -o $@ $^

# ---- host tests, sanitised ----
FILE_TEST_BIN := $(BUILD)/tests/host/test_bcache $(BUILD)/tests/host/test_fs $(BUILD)/tests/host/test_fs_random \
	$(BUILD)/tests/host/test_fs_crash $(BUILD)/tests/host/test_fs_corrupt
HOST_TESTS += $(FILE_TEST_BIN)
# Run by tests/os/test_durable.py on disks that lost power.
FILE_REPLAY := $(BUILD)/tests/host/fs_replay

$(BUILD)/tests/host/file-obj/%.o: servers/file/%.c $(call E2FS_LIBS,host)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(call E2FS_FLAGS,host) -MMD -MP -c -o $@ $<

$(BUILD)/tests/host/file-obj/%.o: tests/host/%.c $(call E2FS_LIBS,host)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(call E2FS_FLAGS,host) -Iservers/file -MMD -MP -c -o $@ $<

$(FILE_TEST_BIN) $(FILE_REPLAY): $(BUILD)/tests/host/%: $(BUILD)/tests/host/file-obj/%.o $(BUILD)/tests/host/file-obj/test_fs_util.o \
		$(patsubst servers/file/%.c,$(BUILD)/tests/host/file-obj/%.o,$(FILE_CORE)) $(call E2FS_LIBS,host)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -o $@ $^

# With the kernel's half of what it is told.
HOST_TESTS += $(BUILD)/tests/host/test_known
$(BUILD)/tests/host/kernel-obj/known.o: kernel/known.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Ikernel -MMD -MP -c -o $@ $<
$(BUILD)/tests/host/test_known: $(BUILD)/tests/host/file-obj/test_known.o $(BUILD)/tests/host/kernel-obj/known.o \
		$(BUILD)/tests/host/file-obj/test_fs_util.o \
		$(patsubst servers/file/%.c,$(BUILD)/tests/host/file-obj/%.o,$(FILE_CORE)) $(call E2FS_LIBS,host)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -o $@ $^

# Two nodes in one process: the parts that talk to peers, with the kernel and the network played by the test.
FILE_REMOTE := remote.c custodian.c base.c local.c
HOST_TESTS += $(BUILD)/tests/host/test_fs_remote

$(BUILD)/tests/host/file-obj/node/%.o: servers/file/%.c $(call E2FS_LIBS,host)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(call E2FS_FLAGS,host) -include tests/host/fsnode/wh_fs.h -Iservers/lib -MMD -MP -c -o $@ $<

$(BUILD)/tests/host/file-obj/node/%.o: tests/host/%.c $(call E2FS_LIBS,host)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(call E2FS_FLAGS,host) -include tests/host/fsnode/wh_fs.h -Iservers/lib -Iservers/file \
		-MMD -MP -c -o $@ $<

$(BUILD)/tests/host/test_fs_remote: $(BUILD)/tests/host/file-obj/node/test_fs_remote.o \
		$(patsubst %.c,$(BUILD)/tests/host/file-obj/node/%.o,$(FILE_REMOTE)) $(BUILD)/tests/host/file-obj/test_fs_util.o \
		$(patsubst servers/file/%.c,$(BUILD)/tests/host/file-obj/%.o,$(FILE_CORE)) $(call E2FS_LIBS,host)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -o $@ $^
