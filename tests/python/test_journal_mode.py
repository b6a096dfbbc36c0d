"""Changes of the journal mode: the application's, and the one that `open` makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

import dbrewind
from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


def count(connection: sqlite3.Connection) -> int:
    answer: int = connection.execute("SELECT count(*) FROM users").fetchone()[0]
    return answer


def test_a_switch_to_wal_is_followed(tmp_path: Path, connect: Connect) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db:
        app = connect(path)
        modes = [db.journal]
        db.mark("start")
        start = db.digest()
        app.execute("DELETE FROM users WHERE id > 50")
        assert app.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        app.execute("DELETE FROM users")
        db.rewind("start")
        assert [*modes, db.journal] == ["rollback", "wal"]
        assert db.digest() == start
        assert count(app) == 100
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            app.execute("PRAGMA journal_mode=DELETE")


def test_open_switches_in_both_directions_and_keeps_the_marks(tmp_path: Path) -> None:
    path = create(tmp_path / "app.db", "delete")
    digests = {}
    turns: list[Literal["wal", "delete"] | None] = [None, "wal", "delete", "wal"]
    for turn, journal in enumerate(turns):
        found = "wal" if journal == "wal" else "rollback"
        with dbrewind.open(path, journal=journal) as db:
            assert db.journal == found
            with closing(sqlite3.connect(path, isolation_level=None)) as app:
                assert app.execute("PRAGMA journal_mode").fetchone() == ("delete" if found == "rollback" else "wal",)
                db.mark(f"mark {turn}")
                digests[f"mark {turn}"] = db.digest()
                app.execute("DELETE FROM users WHERE id % 2 = ?", (turn % 2,))
                app.execute("INSERT INTO users(name) VALUES ('new')")
            assert [mark.state for mark in db.marks()].count("lost") == 0
            for name, digest in digests.items():
                db.rewind(name)
                assert db.digest() == digest


def test_leaving_wal_needs_the_database_alone(wal_db: Path, connect: Connect) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("start")
    app = connect(wal_db)
    assert count(app) == 100
    with pytest.raises(dbrewind.BusyError, match="all must be closed"):
        dbrewind.open(wal_db, journal="delete", timeout=0.05)
    assert app.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_journal_is_refused(wal_db: Path) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError, match='"wal", "delete" or None'):
        dbrewind.open(wal_db, journal="truncate")  # type: ignore[arg-type]
