# SPDX-License-Identifier: MIT
# Whimbrel: one non-recursive build. Every directory adds its own module.mk.
#   make            everything (kernel, servers, programs, image, ISO)
#   make host-tests the sanitised unit tests
#   make help       what else there is
BUILD ?= build
# run-qemu.sh gives an absolute one: the same names, so that the .d files of either serve both.
override BUILD := $(abspath $(BUILD))
THIRD ?= build/third
CROSS ?= x86_64-linux-gnu-
MUSL_GCC ?= musl-gcc
HOSTCC ?= gcc

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
KCC := $(CROSS)gcc
KCFLAGS := -std=gnu11 -O2 -g $(WARN) -ffreestanding -fno-pic -fno-pie -fno-stack-protector -mcmodel=kernel \
	-mno-red-zone -mno-sse -mno-mmx -mno-80387 -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -fno-common -fcf-protection=none -Iabi -Ikernel
UCC := $(MUSL_GCC)
UCFLAGS := -std=gnu11 -O2 -g $(WARN) -static -fno-pie -no-pie -fno-omit-frame-pointer -Iabi -Iservers/lib
HOSTCFLAGS := -std=gnu11 -O2 -g $(WARN) -Iabi
SANFLAGS := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

SERVERS :=
PROGRAMS :=
HOST_TOOLS :=
HOST_TESTS :=

all: default

include $(sort $(wildcard */module.mk) $(wildcard */*/module.mk))

default: $(BUILD)/whimbrel.elf $(SERVERS) $(PROGRAMS) $(HOST_TOOLS) $(IMAGES)

host-tests: $(HOST_TESTS)
	@for t in $(HOST_TESTS); do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^#   //p' $(filter %akefile %.mk,$(MAKEFILE_LIST))

.PHONY: all default host-tests clean help
-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
