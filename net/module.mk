# SPDX-License-Identifier: MIT
# The net server: lwIP, pristine from its tarball, and our port of it.
LWIP := $(BUILD)/lwip-2.1.3
LWIP_SRC := $(addprefix src/, $(addprefix core/, def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c \
	raw.c stats.c tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
	$(addprefix core/ipv4/, etharp.c icmp.c ip4.c ip4_addr.c) netif/ethernet.c)
LWIP_OBJS := $(LWIP_SRC:%.c=$(BUILD)/net/lwip/%.o)
# Not in the host's test of the net server: lwIP's own application.
LWIPERF := $(BUILD)/net/lwip/src/apps/lwiperf/lwiperf.o
NET_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard net/*.c net/port/*.c))
NET_FLAGS = -Inet -Inet/port -isystem $(LWIP)/src/include

$(LWIP)/.unpacked: tools/fetch-source tools/third-party.def
	@mkdir -p $(LWIP)
	tar xf "$$(THIRD=$(THIRD) tools/fetch-source lwip)" -C $(LWIP) --strip-components=1
	@touch $@

# lwIP's warnings are its own affair.
$(BUILD)/net/lwip/%.o: $(LWIP)/.unpacked net/port/lwipopts.h net/port/port.h net/port/hooks.h net/port/arch/cc.h
	@mkdir -p $(@D)
	$(UCC) $(filter-out -W%,$(UCFLAGS)) $(NET_FLAGS) -c -o $@ $(LWIP)/$*.c

$(BUILD)/net/%.o: net/%.c $(LWIP)/.unpacked
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) $(NET_FLAGS) -MD -MP -c -o $@ $<

$(BUILD)/servers/net: $(NET_OBJS) $(LWIP_OBJS) $(LWIPERF) $(BUILD)/servers/lib/libserver.a
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/net

# The checksum and the copies are plain 8-byte moves: see servers/lib/wmem.h.
$(BUILD)/net/port/port.o $(BUILD)/net/linksum.o: UCFLAGS += -fno-tree-vectorize -fno-tree-slp-vectorize

# The same net server, client library and peers as processes of the host, under the sanitisers.
HOSTNODE_SRC := tests/host/test_peer_net.c $(wildcard tests/host/hostnode/*.c) net/stack.c net/tcp.c net/listen.c \
	net/udp.c net/reply.c net/stream.c net/cable.c net/linksum.c net/port/port.c $(addprefix servers/lib/, serve.c net.c net_udp.c peer.c peer_frame.c wmem.c \
	secret.c seal.c auth.c dgram.c)
HOSTNODE_OBJS := $(HOSTNODE_SRC:%.c=$(BUILD)/hostnode/%.o) $(LWIP_SRC:%.c=$(BUILD)/hostnode/lwip/%.o)
HOSTNODE_FLAGS = $(HOSTCFLAGS) $(SANFLAGS) -Iabi -Iservers/lib -Itests/host/hostnode -include tests/host/hostnode/wh_host.h

$(BUILD)/hostnode/lwip/%.o: $(LWIP)/.unpacked net/port/lwipopts.h net/port/port.h net/port/hooks.h net/port/arch/cc.h
	@mkdir -p $(@D)
	$(HOSTCC) $(filter-out -W%,$(HOSTCFLAGS)) $(SANFLAGS) -fno-sanitize=alignment $(NET_FLAGS) -c -o $@ $(LWIP)/$*.c

$(BUILD)/hostnode/%.o: %.c $(LWIP)/.unpacked $(BUILD)/sodium-host/libsodium.a
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTNODE_FLAGS) $(NET_FLAGS) $(SODIUM_INC) -MD -MP -c -o $@ $<

$(BUILD)/tests/host/test_peer_net: $(HOSTNODE_OBJS) $(BUILD)/sodium-host/libsodium.a
	@mkdir -p $(@D)
	$(HOSTCC) $(SANFLAGS) -o $@ $^
HOST_TESTS += $(BUILD)/tests/host/test_peer_net

# What the network does between two nodes: make netbench
$(BUILD)/tests/cluster/netbench: tests/cluster/netbench.c $(BUILD)/servers/lib/libserver.a
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -MP -MF $@.d -o $@ $(filter %.c %.a,$^)
netbench: $(BUILD)/tests/cluster/netbench $(BUILD)/servers/net $(BUILD)/whimbrel.elf $(BUILD)/host/switch
	BUILD=$(BUILD) tests/cluster/netbench.sh
.PHONY: netbench

# lwIP's own unit tests in our configuration, under the sanitisers.
$(BUILD)/tests/host/lwip-unit: $(LWIP)/.unpacked $(wildcard tests/host/lwip/*) $(wildcard net/port/*.[ch] net/port/arch/*.h)
	@mkdir -p $(@D)
	@echo "HOSTCC $@"; CC="$(HOSTCC) $(SANFLAGS)" tests/host/lwip/build.sh $(LWIP) $@
HOST_TESTS += $(BUILD)/tests/host/lwip-unit
