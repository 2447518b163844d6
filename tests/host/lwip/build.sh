#!/bin/bash
# SPDX-License-Identifier: MIT
# build.sh LWIP OUT: link lwIP's own unit tests, from its sources in directory LWIP, with our port and our configuration.
set -euo pipefail
lwip=$1 out=$2
[ -f /usr/include/check.h ] || { echo "build.sh: no check.h; install the package check" >&2; exit 1; }
objects=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$objects"' EXIT
flags="-std=gnu11 -w -fno-sanitize=alignment -I. -Itests/host/lwip -Inet/port -Iabi -Iservers/lib -I$lwip/src/include -I$lwip/test/unit"
sources=(tests/host/lwip/port_host.c net/port/port.c servers/lib/wmem.c "$lwip"/test/unit/*.c "$lwip"/test/unit/*/*.c
	"$lwip"/src/core/*.c "$lwip"/src/core/ipv[46]/*.c "$lwip"/src/api/*.c "$lwip"/src/netif/ethernet.c
	"$lwip"/src/apps/{mdns/mdns,mqtt/mqtt}.c)
for source in "${sources[@]}"; do
	name=${source//\//_}
	echo "$CC $flags -c -o $objects/${name%.c}.o $source"
done | xargs -P "$(nproc)" -I{} sh -c '{}'
$CC -o "$out.bin" "$objects"/*.o -lcheck -lsubunit -lm -lrt -lpthread
# They leave a report where they run.
cat >"$out" <<'RUN'
#!/bin/sh
cd "$(dirname "$0")" && exec ./lwip-unit.bin
RUN
chmod 755 "$out"
