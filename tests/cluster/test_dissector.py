# SPDX-License-Identifier: MIT
"""The Wireshark dissector that `make dissector` makes of the headers, on the capture of a real migration."""
import subprocess
import time

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import Cluster, wait_until

# docs/migration-protocol.md, steps 1 to 9; what may come several times or in between is left out.
STEPS = ["HELLO", "WELCOME", "OFFER", "ACCEPT", "IMAGE", "PREPARED", "COMMIT", "DONE", "RELEASED"]


def fields(capture, *names):
    """One tuple for each time the first field occurs; the others occur as often, or once in a packet."""
    out = subprocess.run(["tshark", "-X", f"lua_script:{build_dir()}/whimbrel.lua", "-r", capture, "-Y", names[0], "-T", "fields",
                          "-E", "separator=|", "-E", "aggregator=^"] + [a for n in names for a in ("-e", n)],
                         capture_output=True, text=True, timeout=60)
    assert out.returncode == 0 and "error" not in out.stderr.lower(), out.stderr
    rows = []
    for line in out.stdout.splitlines():
        columns = [c.split("^") for c in line.split("|")]
        for i in range(len(columns[0])):
            rows.append(tuple(c[i] if len(c) == len(columns[0]) else c[0] for c in columns))
    return rows


@pytest.fixture(scope="module")
def migration(tmp_path_factory):
    """A capture of the life of two nodes from their start, with one migration from node 1 to node 2; and the pid."""
    capture = tmp_path_factory.mktemp("capture") / "m.pcap"
    c = Cluster(2, "--plain", "--pcap", capture)
    try:
        c.up()
        for node in (1, 2):
            c.sh(node, "load off")
        c.verb("net", "open", "on")
        c.verb("net", "open", "off")
        pid = c.spawn(1, "sleep 1000")
        c.sh(1, f"migrate {pid} 2")
        wait_until(lambda: "RELEASED" in [r[0] for r in fields(capture, "whimbrel.wire.name")], 10, 0.5, "the end of the migration")
        c.verb("net", "pcap", "stop")
    finally:
        c.down()
    return capture, pid


def test_a_migration_is_read_in_its_order(migration):
    capture, _ = migration
    rows = fields(capture, "whimbrel.wire.name", "whimbrel.wire_head.from", "whimbrel.wire_head.to", "whimbrel.wire_head.serial",
                  "whimbrel.wire.meaning", "ip.src")
    at = 0
    for step in STEPS:
        found = [i for i in range(at, len(rows)) if rows[i][0] == step]
        assert found, f"no {step} behind {rows[:at]} in {rows}"
        at = found[0]
        way = ("2", "1") if "(D->S)" in rows[at][4] else ("1", "2")
        assert rows[at][1:3] == way and rows[at][5] == f"10.0.0.{way[0]}", rows[at]
    assert len({r[3] for r in rows if r[0] in STEPS}) == 1, "one attempt, one serial number"


def test_its_messages_say_what_moved(migration):
    capture, pid = migration
    offers = fields(capture, "whimbrel.wire_offer.pid", "whimbrel.wire_offer.comm", "whimbrel.wire_offer.pages")
    assert {o[:2] for o in offers} == {(str(pid), "sleep")} and int(offers[0][2]) > 0
    arrived = fields(capture, "whimbrel.wire_where.pid", "whimbrel.wire_where.node")
    assert (str(pid), "2") in arrived
    chunks = sorted({(int(c), int(last)) for c, last in fields(capture, "whimbrel.wire_image.chunk", "whimbrel.wire_image.last")})
    assert [c for c, _ in chunks] == list(range(len(chunks))) and chunks[-1][1] == 1
    digests = {d for d, in fields(capture, "whimbrel.wire_prepared.digest")}
    assert len(digests) == 1 and int(digests.pop(), 16) != 0


def test_the_others_are_read_too(migration):
    capture, _ = migration
    assert {n for n, in fields(capture, "whimbrel.load_report.node")} == {"1", "2"}
    told = fields(capture, "whimbrel.link_msg.mode", "whimbrel.link_msg.type", "whimbrel.link_msg.epoch", "eth.src")
    tells = [t for t in told if t[1] == "2"]
    assert {t[0] for t in tells} == {"1", "3"} and {t[0] for t in told if t[1] == "3"} == {"1", "3"}, "told and acknowledged"
    assert {t[3] for t in tells} == {"52:54:00:00:00:00"}
    assert int(tells[-1][2]) > int(tells[0][2])
    assert fields(capture, "whimbrel.file.call"), "the file servers talked, since files moved along"


def test_the_handshake_is_read(migration):
    capture, _ = migration
    types = {int(t) for t, in fields(capture, "whimbrel.peer_frame.type")}
    assert {0x10000, 0x10001, 0x10002} <= types
    hellos = set(fields(capture, "whimbrel.auth_hello.from", "whimbrel.auth_hello.to", "whimbrel.auth_hello.plain"))
    assert hellos == {("1", "2", "1"), ("2", "1", "1")}
    assert fields(capture, "whimbrel.sealed") == []


def test_what_is_sealed_is_shown_as_such(cluster, tmp_path):
    c = cluster(2)
    capture = tmp_path / "sealed.pcap"
    c.verb("net", "pcap", "start", capture)
    c.sh(2, "echo secret > /n/1/tmp/sealed; rm /n/1/tmp/sealed")
    wait_until(lambda: fields(capture, "whimbrel.sealed", "udp.dstport"), 10, 0.5, "something sealed")
    time.sleep(1)  # nodes report their load more often than that
    c.verb("net", "pcap", "stop")
    services = fields(capture, "whimbrel.sealed", "tcp.dstport", "udp.dstport")
    assert {"702"} <= {s[1] for s in services} and {"705"} <= {s[2] for s in services}
    assert fields(capture, "whimbrel.file.call") == [] and fields(capture, "whimbrel.load_report.node") == []
    assert fields(capture, "whimbrel.strange") == []
    assert b"secret" not in capture.read_bytes()


def test_nothing_is_called_strange(migration):
    capture, _ = migration
    assert fields(capture, "whimbrel.strange") == []
