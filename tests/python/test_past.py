"""db.at, db.clone and db.diff: past moments beside the live database."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import pytest

import dbrewind
from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


def names(connection: sqlite3.Connection, table: str = "users") -> list[str]:
    return [name for (name,) in connection.execute(f"SELECT name FROM {table} ORDER BY id")]


def past(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True)


def test_a_moment_is_read_beside_the_live_one(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        seeded = db.mark("seeded")
        before = names(app)
        # Nothing is kept but the text.
        with closing(past(db.at("seeded").uri)) as then:
            gc.collect()
            app.execute("UPDATE users SET name = upper(name)")
            app.execute("DELETE FROM users WHERE id > 50")
            assert names(then) == before
            db.rewind("seeded")
            app.execute("DELETE FROM users")
            app.execute("VACUUM")
            assert names(then) == before
            with closing(past(db.at(seeded).uri)) as again:
                assert names(again) == before
                assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                then.execute("DELETE FROM users")


def test_what_it_tells(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        seeded = db.mark("seeded")
        app.execute("DELETE FROM users")
        with db.at(seeded.lsn) as at:
            assert isinstance(at, dbrewind.At)
            assert at.lsn == seeded.lsn
            assert at.time.tzinfo == timezone.utc
            assert at.time <= datetime.now(timezone.utc)
            assert at.uri.startswith("file:/")
            assert "dbrewind-at" in repr(at)
            with closing(past(at.uri)) as then:
                assert len(names(then)) == 100
        at.close()
        with pytest.raises(dbrewind.MarkNotFoundError, match='did you mean "seeded"'):
            db.at("seedet")


def test_it_can_be_attached(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db, closing(sqlite3.connect(wal_db.as_uri(), uri=True)) as app:
        db.mark("seeded")
        app.execute("DELETE FROM users WHERE id = 7")
        app.commit()
        app.execute("ATTACH ? AS past", (db.at("seeded").uri,))
        gone = app.execute("SELECT name FROM past.users EXCEPT SELECT name FROM main.users").fetchall()
        assert gone == [("user 7",)]
        app.execute("INSERT INTO users SELECT * FROM past.users WHERE id = 7")
        app.commit()
        assert db.engine == "inside"


def test_closing_the_recording_ends_it(app_db: Path) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    at = db.at("seeded")
    with closing(past(at.uri)) as then:
        then.execute("PRAGMA cache_size = 1")
        db.close()
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            then.execute("SELECT sum(length(note)) FROM orders").fetchone()
    with pytest.raises(sqlite3.OperationalError):
        past(at.uri)


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_a_clone(wal_db: Path, connect: Connect, tmp_path: Path, engine: Literal["inside", "keeper"]) -> None:
    with dbrewind.open(wal_db, engine=engine) as db:
        app = connect(wal_db)
        db.mark("seeded")
        digest = db.digest()
        app.execute("DELETE FROM users")
        copy = tmp_path / "copy.db"
        db.clone("seeded", copy)
        # By the same SQLite, which leaves its version in the first page that it writes.
        with dbrewind.open(copy, engine=engine) as copied:
            assert copied.digest() == digest
        with pytest.raises(dbrewind.InvalidArgumentError, match=r"copy\.db exists already"):
            db.clone("seeded", str(copy))
        with pytest.raises(dbrewind.MarkNotFoundError):
            db.clone("nowhere", tmp_path / "other.db")
        assert not (tmp_path / "other.db").exists()


def test_a_clone_in_delete_mode(tmp_path: Path, app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        app.execute("DELETE FROM users")
        db.clone("seeded", tmp_path / "copy.db")
    assert len(names(connect(tmp_path / "copy.db"))) == 100


def test_the_keeper_names_the_way_out(wal_db: Path) -> None:
    with dbrewind.open(wal_db, engine="keeper") as db:
        db.mark("seeded")
        with pytest.raises(dbrewind.UnsupportedError, match=r"db\.clone"):
            db.at("seeded")


@pytest.mark.parametrize(("mode", "engine"), [("wal", "inside"), ("delete", "inside"), ("wal", "keeper")])
def test_what_differs(tmp_path: Path, connect: Connect, mode: str, engine: Literal["inside", "keeper"]) -> None:
    path = create(tmp_path / "app.db", mode)
    with dbrewind.open(path, engine=engine) as db:
        app = connect(path)
        db.mark("seeded")
        assert not db.diff("seeded")
        assert str(db.diff("seeded")) == "nothing differs"
        app.execute("UPDATE users SET name = 'other' WHERE id IN (3, 50)")
        app.execute("DELETE FROM users WHERE id = 9")
        app.execute("INSERT INTO users VALUES (500, 'new')")
        app.execute("CREATE TABLE pairs(a TEXT, b INTEGER, PRIMARY KEY(a, b)) WITHOUT ROWID")
        app.execute("INSERT INTO pairs VALUES ('x', 1)")
        diff = db.diff("seeded")
        assert isinstance(diff, dbrewind.Diff)
        users = diff.tables["users"]
        assert (users.inserted, users.deleted, users.updated) == ([500], [9], [3, 50])
        assert diff.tables["pairs"].inserted == [("x", 1)]
        assert set(diff.tables) == {"users", "pairs"}
        assert diff.schema == {"table pairs": "created"}
        assert "users: 1 inserted (500), 1 deleted (9), 2 updated (3, 50)" in str(diff)
        assert diff.pages_read > 0
        db.mark("later")
        db.rewind("seeded")
        assert not db.diff("seeded")
        assert db.diff("later", "seeded").tables["users"].inserted == [9]
        assert db.diff(diff.before, diff.after).tables["users"].inserted == [500]
