"""A second live process, unmodified: it keeps its connection, never sees a stale row, never has to reconnect."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

Second = Callable[[Path], SecondProcess]
REWINDS = 2_000


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


def test_2000_rewinds_with_a_live_second_process_in_wal_mode(wal_db: Path, second: Second) -> None:
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


def test_2000_rewinds_with_a_live_second_process_in_delete_mode(tmp_path: Path, second: Second) -> None:
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
