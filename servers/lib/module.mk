# SPDX-License-Identifier: MIT
# Library of the servers: link $(BUILD)/servers/lib/libserver.a (name it literally: a variable is
# still empty where an earlier module.mk is read).
SODIUM := $(BUILD)/libsodium-1.0.18
SODIUM_INC = -isystem $(SODIUM)/src/libsodium/include
SODIUM_SRC := $(addprefix crypto_, aead/chacha20poly1305/sodium/aead_chacha20poly1305.c core/ed25519/ref10/ed25519_ref10.c \
	generichash/blake2b/ref/generichash_blake2b.c generichash/blake2b/ref/blake2b-ref.c \
	generichash/blake2b/ref/blake2b-compress-ref.c onetimeauth/poly1305/onetimeauth_poly1305.c \
	onetimeauth/poly1305/donna/poly1305_donna.c scalarmult/curve25519/scalarmult_curve25519.c \
	scalarmult/curve25519/ref10/x25519_ref10.c shorthash/siphash24/ref/shorthash_siphashx24_ref.c \
	stream/chacha20/stream_chacha20.c stream/chacha20/ref/chacha20_ref.c verify/sodium/verify.c) sodium/utils.c
SODIUM_OBJS := $(SODIUM_SRC:%.c=$(BUILD)/sodium-musl/%.o)
SERVER_LIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/lib/*.c)) $(SODIUM_OBJS)

# libsodium: the portable files of what seal.h, auth.h and dgram.h call, with the servers' own flags; its warnings are its own
# affair. The machine has no vectors that its faster files could use (docs/security.md).
$(SODIUM)/.unpacked: tools/fetch-source tools/third-party.def
	@mkdir -p $(@D)
	tar xf "$$(THIRD=$(THIRD) tools/fetch-source libsodium)" -C $(@D) --strip-components=1
	@touch $@
SODIUM_DEFS := -DCONFIGURED=1 -DHAVE_TI_MODE=1 -DNATIVE_LITTLE_ENDIAN=1 -I$(SODIUM)/src/libsodium/include/sodium
$(BUILD)/sodium-musl/%.o: $(SODIUM)/.unpacked
	@mkdir -p $(@D)
	$(UCC) $(filter-out -W%,$(UCFLAGS)) $(SODIUM_DEFS) -I$(SODIUM)/src/libsodium/include -c -o $@ $(SODIUM)/src/libsodium/$*.c
$(BUILD)/sodium-host/%.o: $(SODIUM)/.unpacked
	@mkdir -p $(@D)
	$(HOSTCC) $(filter-out -W%,$(HOSTCFLAGS)) -O2 $(SODIUM_DEFS) -I$(SODIUM)/src/libsodium/include -c -o $@ $(SODIUM)/src/libsodium/$*.c
# What host tests link: unsanitised, so that half a million messages do not take an hour.
$(BUILD)/sodium-host/libsodium.a: $(SODIUM_SRC:%.c=$(BUILD)/sodium-host/%.o)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/servers/lib/%.o: servers/lib/%.c $(SODIUM)/.unpacked
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) $(SODIUM_INC) -MMD -MP -c -o $@ $<

# It exists for its plain 8-byte moves: the compiler must not turn them into vector moves or memcpy.
$(BUILD)/servers/lib/wmem.o: UCFLAGS += -fno-tree-vectorize -fno-tree-slp-vectorize -fno-tree-loop-distribute-patterns

$(BUILD)/servers/lib/libserver.a: $(SERVER_LIB_OBJS)
	@rm -f $@
	$(CROSS)ar rcs $@ $^

HOST_TESTS += $(BUILD)/tests/host/test_virtq

$(BUILD)/tests/host/test_virtq: tests/host/test_virtq.c servers/lib/virtq.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -MMD -MF $@.d -o $@ $(filter %.c,$^)

# What is said between nodes, and who may say it.
SECURE_TESTS := $(addprefix $(BUILD)/tests/host/,test_peer_frame test_auth test_dgram)
$(SECURE_TESTS): $(BUILD)/tests/host/%: tests/host/%.c tests/host/sodium_needs.c servers/lib/seal.c servers/lib/wmem.c $(BUILD)/sodium-host/libsodium.a
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/lib $(SODIUM_INC) -MMD -MF $@.d -o $@ $(filter %.c,$^) $(filter %.a,$^)
$(BUILD)/tests/host/test_peer_frame: servers/lib/peer_frame.c
$(BUILD)/tests/host/test_auth: servers/lib/auth.c
$(BUILD)/tests/host/test_dgram: servers/lib/dgram.c
HOST_TESTS += $(SECURE_TESTS)
