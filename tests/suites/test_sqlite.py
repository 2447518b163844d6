# SPDX-License-Identifier: MIT
"""SQLite, unmodified: its fuzz corpus, its speed test, and databases made on a node and judged on the host."""
import re
import subprocess

import pytest

from cluster_lib.suites import PLACE, same

SQL = """
create table person(id integer primary key, name text unique, born real, data blob);
create index by_born on person(born);
with recursive n(i) as (select 1 union all select i+1 from n where i<3000)
insert into person select i, printf('name-%05d', (i*7919)%3001), i/7.0, zeroblob(i%100) from n;
select count(*), sum(id), round(sum(born), 6), max(length(data)) from person;
begin; delete from person where id%3=0; savepoint s; update person set name='x' where id=1; rollback to s; commit;
select count(*), min(name) from person;
create virtual table doc using fts5(body);
insert into doc select 'the ' || name || ' said ' || id from person;
select count(*) from doc where doc match 'said'; select rowid from doc where doc match '"name 00007"';
create virtual table box using rtree(id, x0, x1); insert into box select id, born, born+1 from person;
select count(*) from box where x1>100 and x0<110;
create trigger t after insert on person begin insert into doc values('trigger ' || new.name); end;
insert into person values(9999, 'new', 1.5, x'00ff');
select body from doc where doc match 'trigger';
select name, rank() over (order by born desc) from person order by 2 limit 3;
select json_group_array(id) from (select id from person order by id limit 5);
explain query plan select * from person where born between 1 and 2;
attach 'other.db' as o; create table o.copy as select * from person; select count(*) from o.copy; detach o;
vacuum; analyze; pragma integrity_check; pragma page_count; pragma journal_mode;
.schema
.dump person
"""


def test_sql(node, host, tmp_path):
    (tmp_path / "all.sql").write_text(SQL)
    for place in (node, host):
        place.add("sqlite", tmp_path / "all.sql")
    out = same(node, host, "sqlite", "rm -f *.db-journal a.db other.db; $RUN ./sqlite3 a.db <all.sql && $RUN ./sqlite3 a.db 'pragma integrity_check' "
               "&& sha256sum a.db other.db && ls *.db-journal 2>/dev/null | wc -l")
    assert "\nok\n" in out


def test_a_broken_transaction_is_rolled_back(node, host):
    """Killed in the middle of a transaction: the next one finds the journal, and everything as it was."""
    script = ("rm -f k.db*; ./sqlite3 k.db 'create table t(a); insert into t values(1)'; "
              "(echo 'begin; pragma cache_size=2; with recursive n(i) as (select 1 union all select i+1 from n where i<20000) "
              "insert into t select randomblob(100) from n;'; sleep 5) | ./sqlite3 k.db & "
              "i=0; while [ ! -s k.db-journal ] && [ $i -lt 300 ]; do usleep 100000; i=$((i+1)); done; killall -9 sqlite3; wait; "
              "ls k.db-journal; ./sqlite3 k.db 'select count(*) from t; pragma integrity_check'; ls k.db-journal 2>/dev/null; echo end")
    assert same(node, host, "sqlite", script) == "k.db-journal\n1\nok\nend\n"


def fuzz(node, host, n):
    host.install("sqlite")
    node.add("sqlite", host.top / "sqlite" / f"fuzzdata{n}.db")
    r = node.run("sqlite", f"$RUN ./fuzzcheck fuzzdata{n}.db && rm fuzzdata{n}.db", timeout=1800)
    out = r.stdout.decode() + r.stderr.decode()
    assert r.returncode == 0 and re.search(r"fuzzcheck: 0 errors out of \d+ tests", out), out[-2000:]


def test_fuzzcheck(node, host):
    fuzz(node, host, 4)


@pytest.mark.long
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 8])
def test_fuzzcheck_all(node, host, n):
    fuzz(node, host, n)


def speedtest(node, host, size, options=""):
    out = same(node, host, "sqlite", f"rm -f st.db*; $RUN ./speedtest1 --size {size} --verify {options} st.db | "
               "sed 's/[.]*  *[0-9.]*s$//' && rm -f st.db*", timeout=1800)
    assert "Verification Hash" in out


def test_speedtest1(node, host):
    speedtest(node, host, 3)


@pytest.mark.long
@pytest.mark.parametrize("options", ["--journal wal", "--journal truncate --autovacuum", "--testset rtree"])
def test_speedtest1_long(node, host, options):
    speedtest(node, host, 10, options)


@pytest.mark.long
def test_a_big_database_is_sound_on_the_host(node, host, tmp_path):
    """50 MB made on the node, with transactions, indices and deleted rows; the host's SQLite finds no error in the file."""
    sql = ("create table t(id integer primary key, k text, v blob); create index tk on t(k); "
           "with recursive n(i) as (select 1 union all select i+1 from n where i<30000) "
           "insert into t select i, hex(randomblob(16)), randomblob(1200) from n; "
           "begin; delete from t where id%5=0; commit; "
           "with recursive n(i) as (select 1 union all select i+1 from n where i<12000) "
           "insert into t(k, v) select printf('%08x', i*2654435761), randomblob(1300) from n; "
           "select count(*), sum(length(v)) from t;")
    r = node.run("sqlite", f"rm -f big.db; ./sqlite3 big.db \"{sql}\" && ls -l big.db && sync", timeout=1200)
    assert r.returncode == 0, r.stderr.decode()
    node.c.get(node.node, f"{PLACE}/sqlite/big.db", tmp_path / "big.db")
    node.run("sqlite", "rm big.db")
    assert (tmp_path / "big.db").stat().st_size >= 50_000_000
    host.install("sqlite")
    said = subprocess.run([host.top / "sqlite/sqlite3", tmp_path / "big.db", "pragma integrity_check; select count(*), sum(length(v)) from t;"],
                          capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0] == "ok" and said[1] == r.stdout.decode().split("\n")[0], said
