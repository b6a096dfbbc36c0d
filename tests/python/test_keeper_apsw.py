"""Applications that write through apsw, whose SQLite is compiled in and hides its symbols."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("apsw") is None, reason="apsw is not installed")


def run(program: str, path: Path) -> str:
    """Runs it in a process of its own: a library that was imported once would be counted by all later tests."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WRITES = """
import sys, apsw, dbrewind
path = sys.argv[1]
app = apsw.Connection(path)
app.execute("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)").fetchall()
reader = apsw.Connection(path)
count = lambda connection: connection.execute("SELECT count(*) FROM t").fetchone()[0]
"""


def test_apsw_is_recorded_by_the_keeper(tmp_path: Path) -> None:
    program = f"""{WRITES}
with dbrewind.open(path) as db:
    assert db.engine == "keeper", db.engine
    db.mark("one")
    before = db.digest()
    for _ in range(10):
        app.execute("INSERT INTO t SELECT 2 FROM t")
    app.execute("CREATE TABLE u(y)")
    undo = db.rewind("one").undo
    assert (count(app), count(reader), db.digest()) == (1, 1, before)
    app.execute("INSERT INTO t VALUES (3)")
    db.rewind(undo)
    assert count(reader) == 1024
    assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)
# Its locks are as they were: another process waits for the write transaction.
app.execute("BEGIN IMMEDIATE")
import subprocess
other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
result = subprocess.run([sys.executable, "-c", other, path], capture_output=True, text=True)
assert "database is locked" in result.stderr, result
app.execute("ROLLBACK")
with dbrewind.open(path) as db:
    db.rewind("one")
assert count(app) == 1
print("done")
"""
    assert run(program, tmp_path / "app.db") == "done"


def test_two_copies_in_one_process_are_not_mixed(tmp_path: Path) -> None:
    program = f"""{WRITES}
import sqlite3
other = sqlite3.connect(path)
try:
    dbrewind.open(path, engine="inside")
except dbrewind.Error as error:
    # A Python whose own SQLite is out of reach says that first.
    assert error.code in ("DBR017", "DBR002"), error
    assert error.code == "DBR002" or "apsw" in str(error), error
with dbrewind.open(path) as db:
    assert db.engine == "keeper"
    db.mark("one")
    app.execute("INSERT INTO t VALUES (2)")
    db.rewind("one")
    assert count(app) == 1 and other.execute("SELECT count(*) FROM t").fetchone() == (1,)
print("done")
"""
    assert run(program, tmp_path / "app.db") == "done"


def test_apsw_in_a_rollback_mode_is_refused(tmp_path: Path) -> None:
    program = """
import sys, apsw, dbrewind
path = sys.argv[1]
app = apsw.Connection(path)
app.execute("CREATE TABLE t(x)")
try:
    dbrewind.open(path, journal=None)
except dbrewind.UnreachableError as error:
    assert 'journal="wal"' in str(error), error
    print(error.code)
# The question has not taken the application's locks away.
app.execute("INSERT INTO t VALUES (1)")
"""
    assert run(program, tmp_path / "app.db") == "DBR002"


def test_a_forked_host_is_refused_in_the_child(tmp_path: Path) -> None:
    program = f"""{WRITES}
import os
db = dbrewind.open(path)
db.mark("one")
pid = os.fork()
if pid == 0:
    code = 1
    try:
        db.mark("two")
    except dbrewind.Error as error:
        code = 42 if error.code == "DBR020" else 2
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
db.mark("two")
db.close()
print("done")
"""
    assert run(program, tmp_path / "app.db") == "done"
