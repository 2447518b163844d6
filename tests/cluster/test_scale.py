# SPDX-License-Identifier: MIT
"""Many nodes: up soon, nearly nothing while idle, deaths and rebirths seen soon; throttled nodes that are equal.

The figures are those of `./run-qemu.sh bench scale`, which also prints them. Here they are checked on a machine that does other things, too:
in the short form what is a time has room for that.
"""
import os
import re
import subprocess
import tempfile
import time

import pytest

from cluster_lib import ROOT, build_dir

FIGURE = re.compile(r"^(.+?) {2,}(\S+) +(s|%|MB) ", re.M)


def bench(*args, timeout=300):
    """The figures by the first word of their row, and what was printed."""
    run = tempfile.mkdtemp(prefix="wh-", dir="/tmp")
    r = subprocess.run([f"{ROOT}/run-qemu.sh", "bench", "scale", *map(str, args)], capture_output=True, text=True, timeout=timeout,
                       env=dict(os.environ, WHIMBREL_RUN=run, BUILD=str(build_dir())), stdin=subprocess.DEVNULL)
    print(r.stdout)
    figures = {m[1].split(":")[0].split(",")[0]: float(m[2]) for m in FIGURE.finditer(r.stdout)}
    assert set(figures) == {"up", "idle", "memory", "killed", "restarted"}, f"{r.stdout}{r.stderr}"
    return figures


def test_four_nodes():
    f = bench("-n", 4, "--seconds", 4)
    assert f["up"] < 10 and f["idle"] < 10 and f["memory"] < 320 and f["killed"] < 6 and f["restarted"] < 8, f


@pytest.mark.long
def test_sixteen_nodes():
    f = bench("-n", 16)
    assert f["up"] < 15 and f["idle"] < 10 and f["memory"] < 1024 and f["killed"] < 3 and f["restarted"] < 3, f


@pytest.mark.long
def test_sixteen_nodes_by_grub():
    f = bench("-n", 16, "--grub")
    assert f["up"] < 60 and f["killed"] < 3 and f["restarted"] < 6, f


@pytest.mark.long
def test_sixty_four_nodes():
    f = bench("-n", 64, timeout=600)
    assert f["up"] < 60 and f["memory"] < 4096, f


# A fixed number of instructions: two a round.
LOOP = r"""
#include <stdio.h>
#include <time.h>
int main(void)
{
	struct timespec a, b;
	unsigned long before = 20000000, n = 150000000;
	/* An idle throttled node falls behind the host's clock, and makes up for it as soon as it has something to do. */
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(before));
	clock_gettime(CLOCK_MONOTONIC, &a);
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.4f\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}
"""


@pytest.mark.parametrize("mips, exact", [(125, 125.0), (62, 62.5)])
def test_a_throttled_node_computes_so_fast(fresh_cluster, tmp_path, mips, exact):
    (tmp_path / "loop.c").write_text(LOOP)
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", tmp_path / "loop", tmp_path / "loop.c"], check=True)
    nodes = 4 if mips == 62 else 1
    c = fresh_cluster(nodes, "--mips", mips)
    for node in range(1, nodes + 1):
        c.sh(node, "load off")
        c.put(node, tmp_path / "loop", "/tmp/loop")
    start = time.monotonic()
    running = [c.start(node, "sh", "-c", "chmod +x /tmp/loop; /tmp/loop") for node in range(1, nodes + 1)]
    took = [float(p.communicate(timeout=120)[0]) for p in running]
    wall = time.monotonic() - start
    rates = [300 / t for t in took]
    print(f"{nodes} nodes at {mips} MIPS: {' '.join(f'{r:.2f}' for r in rates)}, {wall:.2f} s on the host's clock")
    for rate in rates:
        assert abs(rate / exact - 1) < 0.05, f"{rate:.2f} million instructions per second instead of {exact}"
    assert max(rates) / min(rates) < 1.03, "equal nodes are not equally fast"
    assert wall > 0.97 * max(took), "the nodes' clocks run faster than the host's"


def test_throttles_that_there_are_not(cluster):
    r = cluster(2).verb("up", "--no-build", "--mips", 60, ok=False)
    assert r.returncode != 0 and b"1000 500 250 125 62 31 15 7 3" in r.stderr
