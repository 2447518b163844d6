# SPDX-License-Identifier: MIT
"""./run-qemu.sh bench: the smallest run there is. What it finds is not judged here: the machine may be busy."""
import json
import os
import subprocess

from cluster_lib import ROOT, build_dir


def bench(run_dir, *args, timeout=300):
    env = dict(os.environ, WHIMBREL_RUN=str(run_dir), BUILD=str(build_dir()))
    r = subprocess.run([f"{ROOT}/run-qemu.sh", "bench", *args], env=env, timeout=timeout, text=True, capture_output=True,
                       stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


def test_list_and_mistakes(tmp_path):
    status, out, _ = bench(tmp_path)
    assert status == 0 and "bench node" in out
    status, out, _ = bench(tmp_path, "node", "--list")
    names = [line.split()[0] for line in out.splitlines()]
    assert status == 0 and {"boot", "null_call", "seq64_cold", "find2000", "view_clock"} <= set(names)
    assert len(names) == len(set(names)) == 25 + names.count("speedtest1")  # only if SQLite has been built
    with open(f"{ROOT}/docs/bench.md", encoding="utf-8") as page:
        explained = page.read()
    assert [name for name in names if f"`{name}`" not in explained] == []
    for args, message in ((("nod",), "no benchmark 'nod'"), (("node", "--only", "nothing"), "no row 'nothing'"),
                          (("node", "--goal", "null_call"), "--goal wants NAME=RATIO"), (("node", "--only"), "wants a value")):
        status, _, err = bench(tmp_path, *args)
        assert status != 0 and message in err, args


def test_two_rows_one_of_which_misses_an_impossible_goal(tmp_path):
    result = tmp_path / "result.json"
    status, out, err = bench(tmp_path / "run", "node", "--quick", "--only", "null_call", "--only", "cpu_loop",
                             "--goal", "null_call=1000", "--goal", "cpu_loop=0.0001", "--json", str(result))
    assert status == 1, err
    assert "MISS" in out and "1 of 2 rows reached their goals" in out
    got = json.loads(result.read_text())
    rows = {row["name"]: row for row in got["rows"]}
    assert set(rows) == {"null_call", "cpu_loop"} and (got["passed"], got["missed"]) == (1, 1)
    assert rows["null_call"]["pass"] and not rows["cpu_loop"]["pass"]
    for row in rows.values():
        assert (row["a"]["system"], row["b"]["system"], row["unit"]) == ("whimbrel", "linux", "ns")
        assert row["ratio"] > 0 and len(row["a"]["samples"]) == len(row["b"]["samples"]) == 1
    # The same instructions on the same emulated processor: something near 1 even on a busy machine.
    assert 0.2 < rows["cpu_loop"]["ratio"] < 5
    assert {"date", "qemu", "linux", "whimbrel", "host", "load at the start"} <= set(got["about"])
    assert (tmp_path / "run" / "node.svg").read_text().startswith("<svg")
    assert sorted(os.listdir(tmp_path / "run")) == ["node.samples", "node.svg"]


def test_a_command_on_the_peer(tmp_path):
    """linux-run.sh: arguments, both streams, the exit status, the disk and the files."""
    (tmp_path / "given").write_text("with a file\n")
    script = 'cat /files/given; echo "$1"; echo err >&2; uname -s; test -x /bin/nodebench && exit 7'
    r = subprocess.run([f"{ROOT}/tools/bench/linux-run.sh", "--disk", f"{build_dir()}/root.img", "--files", str(tmp_path),
                        "--timeout", "120", "--", "sh", "-c", script, "x", "a  'b'\n$c"], timeout=300, text=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 7, r.stderr
    assert r.stdout == "with a file\na  'b'\n$c\nLinux\n" and r.stderr == "err\n"


def test_a_peer_that_cannot_be_fetched_names_the_cure(tmp_path):
    conf = tmp_path / "apt.conf"
    conf.write_text(f'Dir::State::lists "{tmp_path}"; Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "/dev/null";\n')
    env = dict(os.environ, LINUX_DIR=str(tmp_path / "linux"), APT_CONFIG=str(conf))
    r = subprocess.run([f"{ROOT}/tools/bench/linux-run.sh", "--disk", "none", "--", "true"], env=env, timeout=60, text=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 125 and f"put the package linux-image-VERSION-amd64_*.deb into {tmp_path}/linux" in r.stderr
    assert r.stdout == "" and not list((tmp_path / "linux").glob("[!.]*"))


def test_the_network_in_one_short_round(tmp_path):
    result = tmp_path / "result.json"
    status, out, err = bench(tmp_path / "run", "net", "--quick", "--mb", "16", "--json", str(result))
    assert status in (0, 1), err
    assert "frames out" in out and "notifications" in out and "linux, MTU 60000" in out
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    assert set(rows) == {"bulk_default", "bulk_best", "trip_default", "trip_best"}
    for row in rows.values():
        assert "failed" not in row and row["ratio"] > 0 and len(row["a"]["samples"]) == len(row["b"]["samples"]) == 1
    assert rows["bulk_default"]["b"]["median"] > rows["bulk_best"]["b"]["median"]  # frames of 60 kB do help Linux, too
    assert os.listdir(tmp_path / "run") == ["net.samples"]
