"""A second live process, unmodified: it keeps its connection, never sees a stale row, never has to reconnect."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess, Shell

Second = Callable[[Path], SecondProcess]
REWINDS = 10_000


def test_writes_of_a_second_process_are_rewound(wal_db: Path, second: Second) -> None:
    app = second(wal_db)
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        app("DELETE FROM users WHERE id <= 70")
        app("DROP TABLE orders")
        db.rewind("seeded")
        assert app("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders)") == [[100, 100]]


def test_a_reader_with_an_open_transaction_is_not_disturbed(wal_db: Path, second: Second) -> None:
    reader, writer = second(wal_db), second(wal_db)
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        writer("DELETE FROM users WHERE id <= 70")
        reader("BEGIN")
        assert reader("SELECT count(*) FROM users") == [[30]]
        done = db.rewind("seeded")
        assert done.method == "written"
        assert writer("SELECT count(*) FROM users") == [[100]]
        assert reader("SELECT count(*) FROM users") == [[30]]
        reader("COMMIT")
        assert reader("SELECT count(*) FROM users") == [[100]]


def test_10000_rewinds_with_a_live_second_process_in_wal_mode(wal_db: Path, second: Second) -> None:
    """It reads and writes between the rewinds; we write, too. Each read is compared with what must be there."""
    app = second(wal_db)
    draw = random.Random(4)
    with dbrewind.open(wal_db, synchronous="off") as db, closing(sqlite3.connect(wal_db, isolation_level=None)) as own:
        own.execute("PRAGMA synchronous = OFF")
        app("PRAGMA synchronous = OFF")
        db.mark("seeded")
        seeded = db.digest()
        for turn in range(REWINDS):
            gone = draw.randrange(1, 101)
            app(f"DELETE FROM users WHERE id = {gone}")
            assert own.execute("SELECT count(*) FROM users").fetchone() == (99,)
            own.execute("INSERT INTO users(name) VALUES (?)", (f"turn {turn}",))
            if turn % 50 == 0:
                own.execute("CREATE TABLE t(x)")
            assert app(f"SELECT count(*), max(name = 'turn {turn}') FROM users") == [[100, 1]]
            db.rewind("seeded")
            assert app(f"SELECT count(*), sum(id = {gone}) FROM users") == [[100, 1]]
            assert own.execute("SELECT count(*), max(id) FROM users").fetchone() == (100, 100)
        assert db.digest() == seeded
        assert app("SELECT * FROM pragma_integrity_check") == [["ok"]]


def test_10000_rewinds_with_a_live_second_process_in_delete_mode(tmp_path: Path, second: Second) -> None:
    """In a rollback mode the recorded writer is this process; the second one reads, and must never see a stale page."""
    path = create(tmp_path / "app.db", "delete")
    app = second(path)
    draw = random.Random(5)
    with dbrewind.open(path, synchronous="off") as db, closing(sqlite3.connect(path, isolation_level=None)) as own:
        own.execute("PRAGMA synchronous = OFF")
        db.mark("seeded")
        seeded = db.digest()
        for turn in range(REWINDS):
            gone = draw.randrange(1, 101)
            own.execute("DELETE FROM users WHERE id = ?", (gone,))
            own.execute("INSERT INTO users(name) VALUES (?)", (f"turn {turn}",))
            if turn % 50 == 0:
                own.execute("CREATE TABLE t(x)")
            assert app(f"SELECT count(*), max(name = 'turn {turn}') FROM users") == [[100, 1]]
            db.rewind("seeded")
            assert app(f"SELECT count(*), sum(id = {gone}) FROM users") == [[100, 1]]
        assert db.digest() == seeded
        assert app("SELECT * FROM pragma_integrity_check") == [["ok"]]


def rewinds_between_writes_of(
    app: Shell | SecondProcess, reader: SecondProcess, path: Path, mode: str, count: int
) -> None:
    """Both processes write between the rewinds, a third one reads. Each read is compared with what must be there."""
    draw = random.Random(6)

    def read(process: Shell | SecondProcess, columns: str) -> list[list[int]]:
        return [[int(value) for value in row] for row in process(f"SELECT {columns} FROM users")]

    with dbrewind.open(path, synchronous="off") as db, closing(sqlite3.connect(path, isolation_level=None)) as own:
        own.execute(f"PRAGMA journal_mode = {mode}")
        own.execute("PRAGMA synchronous = OFF")
        assert app(f"PRAGMA journal_mode = {mode}") == [[mode]]
        app("PRAGMA synchronous = OFF")
        db.mark("seeded")
        seeded = db.digest()
        for turn in range(count):
            gone = draw.randrange(1, 101)
            app(f"DELETE FROM users WHERE id = {gone}")
            own.execute("INSERT INTO users(name) VALUES (?)", (f"turn {turn}",))
            app(f"INSERT INTO users(name) VALUES ('app {turn}')")
            if turn % 50 == 0:
                app("CREATE TABLE t(x)")
            changed = f"count(*), max(name = 'turn {turn}'), max(name = 'app {turn}')"
            assert read(app, changed) == read(reader, changed) == [[101, 1, 1]]
            db.rewind("seeded")
            restored = f"count(*), sum(id = {gone}), max(id)"
            assert read(app, restored) == read(reader, restored) == [[100, 1, 100]]
            assert own.execute("SELECT count(*), max(id) FROM users").fetchone() == (100, 100)
        assert db.digest() == seeded
        assert app("SELECT * FROM pragma_integrity_check") == [["ok"]]


@pytest.mark.parametrize(("mode", "count"), [("delete", 2_000), ("truncate", 500), ("persist", 500)])
def test_rewinds_between_writes_of_the_sqlite_shell(
    tmp_path: Path, second: Second, extension: Path, mode: str, count: int
) -> None:
    """The shell loads the extension. It connects before the recording begins and stays connected."""
    path = create(tmp_path / "app.db", "delete")
    with Shell(path, extension) as app:
        rewinds_between_writes_of(app, second(path), path, mode, count)


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_rewinds_between_writes_of_a_stock_python(tmp_path: Path, second: Second, extension: Path, mode: str) -> None:
    """A Python without this package loads the extension through its own `sqlite3` module."""
    probe = "import sqlite3; sqlite3.connect(':memory:').enable_load_extension(True)"
    pythons = [python for python in (sys.executable, "/usr/bin/python3") if Path(python).exists()]
    able = [python for python in pythons if not subprocess.run([python, "-c", probe], capture_output=True).returncode]
    if not able:
        pytest.skip("no Python here can load extensions")
    path = create(tmp_path / "app.db", "delete")
    with SecondProcess(path, extension, able[0]) as app:
        rewinds_between_writes_of(app, second(path), path, mode, 200)


def test_a_writer_without_the_extension_is_refused(tmp_path: Path, second: Second) -> None:
    path = create(tmp_path / "app.db", "delete")
    app = second(path)
    with dbrewind.open(path) as db:
        db.mark("seeded")
        app("DELETE FROM users WHERE id = 1")
        with pytest.raises(dbrewind.NotAttachedError):
            db.rewind("seeded")
        assert app("SELECT count(*) FROM users") == [[99]]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_second_process_writes_on_after_we_are_gone(tmp_path: Path, second: Second, mode: str) -> None:
    path = create(tmp_path / "app.db", mode)
    app = second(path)
    with dbrewind.open(path) as db:
        db.mark("seeded")
        with closing(sqlite3.connect(path, isolation_level=None)) as own:
            own.execute("DELETE FROM users")
        db.rewind("seeded")
    app("INSERT INTO users(name) VALUES ('after')")
    assert app("SELECT count(*) FROM users") == [[101]]
    assert app("SELECT * FROM pragma_integrity_check") == [["ok"]]
