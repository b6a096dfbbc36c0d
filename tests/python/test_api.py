"""The handle: marks, rewinds, digests, in WAL and DELETE mode."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import dbrewind
from conftest import create

Connect = Callable[[Path], sqlite3.Connection]


def count(connection: sqlite3.Connection, table: str = "users") -> int:
    answer: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return answer


def test_a_rewind_brings_back_rows_and_tables_under_an_open_connection(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        app.execute("DELETE FROM users")
        app.execute("DROP TABLE orders")
        done = db.rewind("seeded")
        assert (count(app), count(app, "orders")) == (100, 100)
        assert done.pages >= 1
        assert done.seconds > 0
        assert done.method in ("moved", "written")
        assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_rewind_is_undone_by_a_rewind(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        seeded = db.digest()
        app.execute("DELETE FROM users WHERE id > 30")
        lost = db.digest()
        done = db.rewind("seeded")
        assert db.digest() == seeded
        again = db.rewind(done.undo)
        assert db.digest() == lost
        assert count(app) == 30
        db.rewind(again.undo)
        assert db.digest() == seeded
        assert count(app) == 100


def test_marks_have_names_moments_times_and_states(app_db: Path, connect: Connect) -> None:
    start = datetime.datetime.now(datetime.timezone.utc)
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        first = db.mark("first")
        app.execute("DELETE FROM users WHERE id = 1")
        second = db.mark("second")
        assert [mark.name for mark in db.marks()] == ["first", "second"]
        assert first.lsn < second.lsn
        assert start <= first.time <= second.time <= datetime.datetime.now(datetime.timezone.utc)
        assert first.time.tzinfo is datetime.timezone.utc
        assert first.pages == app_db.stat().st_size // 4096 or db.journal == "wal"
        assert {mark.state for mark in db.marks()} <= {"hot", "archived"}
        assert repr(first).startswith('<Mark "first" at ')


def test_a_rewind_consumes_no_mark(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("a")
        app.execute("DELETE FROM users WHERE id = 1")
        db.mark("b")
        app.execute("DELETE FROM users WHERE id = 2")
        for name, rows in (("a", 100), ("b", 99), ("a", 100), ("b", 99)):
            db.rewind(name)
            assert count(app) == rows
        assert {mark.name for mark in db.marks()} == {"a", "b"}


def test_a_mark_can_be_given_by_name_object_or_moment(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        mark = db.mark("seeded")
        for to in ("seeded", mark, mark.lsn):
            app.execute("DELETE FROM users")
            db.rewind(to)
            assert count(app) == 100


def test_dirty_since(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        mark = db.mark("seeded")
        assert not db.dirty_since("seeded")
        app.execute("DELETE FROM users WHERE id = 1")
        assert db.dirty_since("seeded")
        assert db.dirty_since(mark.lsn)
        done = db.rewind("seeded")
        assert not db.dirty_since("seeded")
        assert db.dirty_since(done.undo)


def test_a_moment_is_known_before_its_commit_was_copied(app_db: Path, connect: Connect) -> None:
    """hazard: the newest commits are in the WAL only when they are marked and asked for."""
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        for turn in range(300):
            app.execute("UPDATE users SET name = ? WHERE id = 1", (f"{turn}",))
            mark = db.mark(f"{turn}")
            assert not db.dirty_since(mark)
            app.execute("UPDATE users SET name = 'x' WHERE id = 1")
            assert db.dirty_since(mark)


def test_rewinding_to_where_one_is_does_nothing(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        done = db.rewind("seeded")
        assert (done.method, done.pages) == ("nothing", 0)


def test_rewound_takes_back_what_the_block_wrote(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        before = db.digest()
        with db.rewound() as mark:
            assert isinstance(mark, dbrewind.Mark)
            app.execute("DELETE FROM users")
            with db.rewound():
                app.execute("DROP TABLE orders")
            assert count(app, "orders") == 100
        assert db.digest() == before
        assert count(app) == 100
        assert db.marks() == []


def test_rewound_takes_back_after_an_exception_too(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        with pytest.raises(sqlite3.OperationalError), db.rewound():
            app.executescript("DELETE FROM users; SELECT no_such_function();")
        assert count(app) == 100


def test_dropping_forgets_the_name(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("a")
        db.drop("a")
        assert db.marks() == []
        with pytest.raises(dbrewind.MarkNotFoundError):
            db.rewind("a")
        db.mark("a")


def test_a_mark_is_dropped_as_it_was_given(app_db: Path, tmp_path: Path) -> None:
    with dbrewind.open(app_db) as db:
        first = db.mark("a")
        db.drop(first)
        assert db.marks() == []
        with closing(sqlite3.connect(app_db)) as app, app:
            app.execute("DELETE FROM users")
        again = db.mark("a")
        with pytest.raises(dbrewind.MarkNotFoundError, match="no mark named"):
            db.drop(first)
        assert [mark.lsn for mark in db.marks()] == [again.lsn]
        db.drop(again)
        with pytest.raises(dbrewind.MarkNotFoundError):
            db.drop(again)
        with pytest.raises(TypeError, match="a mark or its name, not int"):
            db.drop(7)  # type: ignore[arg-type]
        with closing(sqlite3.connect(tmp_path / "other.db")) as app:
            app.execute("CREATE TABLE t(x)")
        with dbrewind.open(tmp_path / "other.db") as other, pytest.raises(dbrewind.InvalidArgumentError):
            other.drop(again)


def test_ids_come_back_exactly(app_db: Path, connect: Connect) -> None:
    app = connect(app_db)
    app.execute("CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
    app.close()
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        for _ in range(3):
            assert app.execute("INSERT INTO auto(x) VALUES (1) RETURNING id").fetchone() == (1,)
            db.rewind("seeded")


def test_the_schema_may_change_and_come_back(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("v1")
        app.execute("ALTER TABLE users ADD COLUMN mail TEXT")
        app.execute("CREATE INDEX by_name ON users(name)")
        v2 = db.mark("v2")
        for _ in range(3):
            db.rewind("v1")
            assert len(app.execute("SELECT * FROM users").fetchone()) == 2
            db.rewind(v2)
            assert len(app.execute("SELECT * FROM users").fetchone()) == 3


def test_growing_and_shrinking(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("small")
        small = db.digest()
        app.execute(
            "CREATE TABLE blobs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) "
            "SELECT i, randomblob(5000) b FROM n"
        )
        big = db.mark("big")
        digest = db.digest()
        db.rewind("small")
        assert db.digest() == small
        db.rewind(big)
        assert db.digest() == digest
        app.execute("DROP TABLE blobs")
        app.execute("VACUUM")
        db.rewind("big")
        assert db.digest() == digest
        assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_equal_content_has_an_equal_digest(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        first = db.digest()
        assert len(first) == 32
        assert int(first, 16) >= 0
        app.execute("UPDATE users SET name = 'x' WHERE id = 1")
        assert db.digest() != first
        app.execute("UPDATE users SET name = 'user 1' WHERE id = 1")


def test_names_of_the_handle(app_db: Path) -> None:
    with dbrewind.open(str(app_db)) as db:
        assert db.path == app_db
        assert db.store == app_db.with_name("app.db-rewind")
        assert db.store.is_dir()
        assert db.journal in ("wal", "rollback")
        assert db.engine == "inside"
        assert str(app_db) in repr(db)
        assert db.now().path == str(app_db)


def test_a_store_of_ones_own(wal_db: Path, tmp_path: Path) -> None:
    with dbrewind.open(wal_db, store=tmp_path / "elsewhere") as db:
        assert db.store == tmp_path / "elsewhere"
        assert db.store.is_dir()
    assert not wal_db.with_name("app.db-rewind").exists()


def test_a_relative_path(wal_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wal_db.parent)
    with dbrewind.open("app.db") as db:
        assert db.path == wal_db


def test_journal_wal_switches_the_mode(tmp_path: Path, connect: Connect) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path, journal="wal") as db:
        assert db.journal == "wal"
        assert connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_marks_survive_closing(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        app.execute("DELETE FROM users")
        app.close()
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        assert [(mark.name, mark.state != "lost") for mark in db.marks()] == [("seeded", True)]
        db.rewind("seeded")
        assert count(app) == 100


def test_a_write_while_closed_loses_the_marks_and_says_so(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
    with closing(sqlite3.connect(app_db, isolation_level=None)) as stranger:
        stranger.execute("DELETE FROM users WHERE id = 7")
    with dbrewind.open(app_db) as db:
        assert [(mark.name, mark.state) for mark in db.marks()] == [("seeded", "lost")]
        with pytest.raises(dbrewind.MarkLostError) as caught:
            db.rewind("seeded")
        assert caught.value.code == "DBR011"
        assert count(connect(app_db)) == 99


def test_after_closing_the_file_is_an_ordinary_database(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        with closing(sqlite3.connect(app_db, isolation_level=None)) as app:
            app.execute("DELETE FROM users")
        db.rewind("seeded")
    with closing(sqlite3.connect(app_db, isolation_level=None)) as plain:
        assert count(plain) == 100
        plain.execute("DELETE FROM users WHERE id = 1")
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
