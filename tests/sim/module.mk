# SPDX-License-Identifier: MIT
# The simulator compiles the very machines of the migration handler, with small tables.
SIM_TABLES := -DMG_NODES=5 -DMG_SOURCES=2 -DMG_TARGETS=2 -DMG_GUESTS=3 -DMG_STUBS=2 -DMG_SIGNALS=4 -DMG_QUEUE=256
SIM_FLAGS := $(SIM_TABLES) -Iservers/migrate -Itests/sim
SIM_MACHINES := $(addprefix servers/migrate/,machine.c source.c target.c notice.c signal.c)
SIM_WORLD := $(addprefix tests/sim/,world.c check.c main.c)
SIM_HEADERS := $(addprefix servers/migrate/,machine.h inside.h effects.def) abi/wire.h abi/wire.def tests/sim/sim.h

$(BUILD)/tests/sim/sim: $(SIM_MACHINES) $(SIM_WORLD) $(SIM_HEADERS)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SIM_FLAGS) -o $@ $(filter %.c,$^)

# Without arguments: 5,000 runs.
$(BUILD)/tests/sim/sim-asan: $(SIM_MACHINES) $(SIM_WORLD) $(SIM_HEADERS)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) $(SIM_FLAGS) -o $@ $(filter %.c,$^)

# Proof that the simulator can fail: each rule of the protocol broken, one at a time.
$(BUILD)/tests/sim/mutants: tests/sim/mutants.sh tests/sim/mutants.txt $(SIM_MACHINES) $(SIM_WORLD) $(SIM_HEADERS)
	@mkdir -p $(@D)
	printf '#!/bin/sh\nHOSTCC="%s" FLAGS="-std=gnu11 -O1 -Iabi %s" exec tests/sim/mutants.sh %s.work tests/sim/mutants.txt\n' \
		'$(HOSTCC)' '$(SIM_FLAGS)' '$@' > $@
	@chmod +x $@

# The whole of it, unsanitised: a few seconds.
$(BUILD)/tests/sim/sim-100000: $(BUILD)/tests/sim/sim
	printf '#!/bin/sh\nexec %s --runs 100000 --seed 1\n' '$(abspath $<)' > $@
	@chmod +x $@

HOST_TESTS += $(BUILD)/tests/sim/sim-asan $(BUILD)/tests/sim/sim-100000 $(BUILD)/tests/sim/mutants

#   make sim        the migration handlers in 100,000 simulated disasters
.PHONY: sim
sim: $(BUILD)/tests/sim/sim
	$< --runs 100000 --seed 1
