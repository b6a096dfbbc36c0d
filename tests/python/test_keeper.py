"""The engine in the keeper: chosen, or taken because this Python's SQLite is out of reach."""

from __future__ import annotations

import _sqlite3
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

Connect = Callable[[Path], sqlite3.Connection]


def children() -> set[int]:
    """Processes that this one started and that are alive."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in builds that have `_sqlite3` in the interpreter: the module has no file."""
    monkeypatch.delattr(_sqlite3, "__file__")


def test_the_keeper_does_what_the_engine_inside_does(wal_db: Path, connect: Connect) -> None:
    with dbrewind.open(wal_db, engine="inside") as db:
        inside = db.digest()
        db.mark("inside")
    with dbrewind.open(wal_db, engine="keeper") as db:
        assert (db.engine, db.journal) == ("keeper", "wal")
        # The first frame of its WAL says which SQLite wrote it (bytes 96 to 99 of page 1): nobody has changed anything.
        assert db.digest() == inside
        assert not db.dirty_since("inside")
        app = connect(wal_db)
        mark = db.mark("seeded")
        app.execute("DELETE FROM users")
        app.execute("DROP TABLE orders")
        assert db.dirty_since(mark)
        done = db.rewind("seeded")
        assert db.digest() == inside
        assert app.execute("SELECT count(*) FROM orders").fetchone() == (100,)
        db.rewind(done.undo)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert [mark.name for mark in db.marks()] == ["inside", "seeded"]
        db.drop("seeded")


def test_the_keeper_is_taken_when_sqlite_is_out_of_reach(
    wal_db: Path, out_of_reach: None, second: Callable[[Path], SecondProcess]
) -> None:
    app = second(wal_db)
    with dbrewind.open(wal_db) as db:
        assert db.engine == "keeper"
        db.mark("seeded")
        app("DELETE FROM users")
        db.rewind("seeded")
        assert app("SELECT count(*) FROM users") == [[100]]


def test_a_rollback_mode_out_of_reach_is_refused_with_the_ways_out(tmp_path: Path, out_of_reach: None) -> None:
    path = create(tmp_path / "app.db", "delete")
    with pytest.raises(dbrewind.UnreachableError) as caught:
        dbrewind.open(path)
    assert caught.value.code == "DBR002"
    assert 'journal="wal"' in str(caught.value)
    with dbrewind.open(path, journal="wal") as db:
        assert (db.engine, db.journal) == ("keeper", "wal")


def test_inside_out_of_reach_is_refused(wal_db: Path, out_of_reach: None) -> None:
    with pytest.raises(dbrewind.UnreachableError, match="compiled into the interpreter"):
        dbrewind.open(wal_db, engine="inside")


def test_errors_of_the_keeper_are_the_same(wal_db: Path) -> None:
    with pytest.raises(dbrewind.FileMissingError):
        dbrewind.open(wal_db.with_name("no.db"), engine="keeper")
    with dbrewind.open(wal_db, engine="keeper") as db:
        db.mark("seeded")
        with pytest.raises(dbrewind.MarkNotFoundError, match='did you mean "seeded"'):
            db.rewind("sedeed")
        with pytest.raises(dbrewind.MarkExistsError):
            db.mark("seeded")
    with pytest.raises(dbrewind.ClosedError):
        db.mark("late")


def test_a_killed_keeper_is_named_and_harms_nobody(wal_db: Path, connect: Connect) -> None:
    before = children()
    db = dbrewind.open(wal_db, engine="keeper")
    (keeper,) = children() - before
    app = connect(wal_db)
    db.mark("seeded")
    os.kill(keeper, signal.SIGKILL)
    app.execute("DELETE FROM users WHERE id = 1")
    with pytest.raises(dbrewind.KeeperFailedError) as caught:
        db.rewind("seeded")
    assert caught.value.code == "DBR024"
    assert str(keeper) in str(caught.value)
    assert app.execute("SELECT count(*) FROM users").fetchone() == (99,)
    assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_keeper_is_left_behind(wal_db: Path) -> None:
    before = children()
    db = dbrewind.open(wal_db, engine="keeper")
    assert len(children() - before) == 1
    db.close()
    patience = time.monotonic() + 30
    while children() - before and time.monotonic() < patience:
        time.sleep(0.01)
    assert children() == before
