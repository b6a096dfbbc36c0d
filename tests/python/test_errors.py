"""Errors of marks, moments, arguments, stores and strangers: class, code and text; and that they changed nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dbrewind
from conftest import create
from error_scene import assert_code


def test_mark_not_found_names_the_nearest(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        db.mark("other")
        for call in (db.rewind, db.drop, db.dirty_since):
            with pytest.raises(LookupError) as caught:
                call("sedeed")
            assert isinstance(caught.value, dbrewind.MarkNotFoundError)
            assert_code(caught, "DBR003", '"sedeed"', 'did you mean "seeded"? There are "other", "seeded"')  # type: ignore[arg-type]


def test_mark_exists(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        first = db.mark("seeded")
        with pytest.raises(dbrewind.MarkExistsError) as caught:
            db.mark("seeded")
        assert_code(caught, "DBR023", '"seeded"', "drop")
        assert [mark.lsn for mark in db.marks()] == [first.lsn]


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb"])
def test_a_name_that_is_none(wal_db: Path, name: str) -> None:
    with dbrewind.open(wal_db) as db:
        with pytest.raises(dbrewind.InvalidArgumentError) as caught:
            db.mark(name)
        assert_code(caught, "DBR022", "mark name")
        assert db.marks() == []


def test_closed(app_db: Path) -> None:
    db = dbrewind.open(app_db)
    db.mark("seeded")
    db.close()
    db.close()
    calls: list[Callable[[], Any]] = [
        lambda: db.mark("x"),
        db.marks,
        db.now,
        db.digest,
        lambda: db.rewind("seeded"),
        lambda: db.drop("seeded"),
        lambda: db.dirty_since("seeded"),
        lambda: db.rewound().__enter__(),
    ]
    for call in calls:
        with pytest.raises(dbrewind.ClosedError) as caught:
            call()
        assert_code(caught, "DBR019", "closed")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"synchronous": "sometimes"}, ["synchronous", "sometimes"]),
        ({"journal": "truncate"}, ["journal", "truncate"]),
        ({"engine": "outside"}, ["engine", "outside"]),
        ({"timeout": -1}, ["timeout", "-1"]),
        ({"timeout": float("nan")}, ["timeout"]),
        ({"timeout": float("inf")}, ["timeout"]),
    ],
)
def test_an_argument_out_of_range(wal_db: Path, arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError) as caught:
        dbrewind.open(wal_db, **arguments)
    assert_code(caught, "DBR022", *words)
    assert not wal_db.with_name("app.db-rewind").exists()


@pytest.mark.parametrize("to", [7, b"seeded", 1.5])
def test_a_target_of_a_wrong_type(wal_db: Path, to: Any) -> None:
    with (
        dbrewind.open(wal_db) as db,
        pytest.raises(TypeError, match="a mark's name, a time as text or datetime, a Mark or an Lsn, not"),
    ):
        db.rewind(to)


def test_the_moment_of_another_database_is_refused(tmp_path: Path) -> None:
    """Numbers of moments repeat from database to database: taking one for another would rewind to nonsense."""
    with (
        dbrewind.open(create(tmp_path / "a.db", "wal")) as a,
        dbrewind.open(create(tmp_path / "b.db", "wal")) as b,
    ):
        mark = a.mark("seeded")
        for to in (mark, mark.lsn):
            with pytest.raises(dbrewind.InvalidArgumentError) as caught:
                b.rewind(to)
            assert_code(caught, "DBR022", "a.db", "b.db")


def test_a_moment_that_never_was(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db, pytest.raises(dbrewind.MarkNotFoundError) as caught:
        db.rewind(dbrewind.Lsn(str(wal_db), 10**12))
    assert_code(caught, "DBR003", str(10**12))


def test_a_damaged_store_is_refused_and_nothing_changes(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        store = db.store
    segment = min(store.glob("*.seg"))
    with segment.open("r+b") as file:
        file.write(b"garbage!" * 8)
    before = wal_db.read_bytes()
    with pytest.raises(dbrewind.StoreDamagedError) as caught:
        dbrewind.open(wal_db)
    assert_code(caught, "DBR015", segment.name)
    assert wal_db.read_bytes() == before


def test_a_write_past_the_recording_in_a_rollback_mode_is_found(tmp_path: Path, second: Any) -> None:
    """hazard: an unrecorded writer of another process between mark and rewind."""
    path = create(tmp_path / "app.db", "delete")
    stranger = second(path)
    with dbrewind.open(path) as db:
        db.mark("seeded")
        stranger("DELETE FROM users WHERE id = 3")
        with pytest.raises(dbrewind.NotAttachedError) as caught:
            db.rewind("seeded")
        assert_code(
            caught, "DBR001", "process ", "written last at 2", "`dbrewind run`", "?vfs=dbrewind", "`dbrewind doctor`"
        )
        # The list says what a rewind would.
        assert [mark.state for mark in db.marks()] == ["lost"]
        assert db.status().marks["lost"] == 1
        db.mark("anew")
        assert [mark.state for mark in db.marks()] == ["lost", "archived"]
        with pytest.raises(dbrewind.MarkExistsError) as taken:
            db.mark("seeded")
        assert_code(taken, "DBR023", "can no longer be reached", 'drop("seeded")')
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM users").fetchone() == (99,)


def test_a_store_of_another_version_says_what_to_do(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
    (segment,) = db.store.glob("*1.seg")
    content = bytearray(segment.read_bytes())
    content[8] = 9
    segment.write_bytes(content)
    with pytest.raises(dbrewind.StoreVersionError) as caught:
        dbrewind.open(wal_db)
    assert_code(caught, "DBR016", str(segment), "version 9", "this program knows 1", "remove the folder")


def test_a_lost_mark_tells_a_time_that_people_read(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
    with closing(sqlite3.connect(wal_db, isolation_level=None)) as unrecorded:
        unrecorded.execute("DELETE FROM users")
    with dbrewind.open(wal_db) as db, pytest.raises(dbrewind.MarkLostError) as caught:
        db.rewind("seeded")
    assert_code(caught, "DBR011", "seeded", "Z, and", "set a new mark")
    assert " ns" not in str(caught.value)


@pytest.mark.parametrize("text", ["now", "17:45", "an hour ago", "2026-11-22"])
def test_a_name_that_is_like_a_time(wal_db: Path, text: str) -> None:
    with dbrewind.open(wal_db) as db:
        db.mark("seeded")
        with pytest.raises(dbrewind.MarkNotFoundError) as caught:
            db.rewind(text)
    assert_code(caught, "DBR003", repr(text).replace("'", '"'), '"5 minutes ago"', '"2026-11-22T07:48:00Z"')


def test_a_closed_handle_says_so(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        assert repr(db) == f'<Database "{wal_db}", wal>'
    assert repr(db) == f'<Database "{wal_db}", wal, closed>'


def test_a_connection_from_before_in_a_rollback_mode_is_found_by_what_it_writes(tmp_path: Path) -> None:
    """The SQLite in our own library, which is the keeper's, is not taken for the one that has the file open."""
    create(tmp_path / "app.db", "delete")
    # In a process of its own: in this one every connection is recorded since the first test.
    program = """
import sqlite3
app = sqlite3.connect("app.db", isolation_level=None)
assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
import dbrewind
with dbrewind.open("app.db") as db:
    db.mark("seeded")
    assert db.rewind("seeded").pages == 0
    app.execute("DELETE FROM users WHERE id = 3")
    try:
        db.rewind("seeded")
    except dbrewind.NotAttachedError as error:
        print(error)
    assert app.execute("SELECT count(*) FROM users").fetchone() == (99,)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[DBR001] ")
    assert "opened before the recording" in done.stdout
    assert "WAL mode" in done.stdout


@pytest.mark.parametrize("mode", ["off", "memory"])
def test_a_connection_without_a_journal_is_warned_of_once(tmp_path: Path, mode: str) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db, closing(sqlite3.connect(path, isolation_level=None)) as app:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            db.mark("safe")
        app.execute(f"PRAGMA journal_mode = {mode}")
        with pytest.warns(dbrewind.UnsafeJournalWarning, match="OFF or MEMORY"):
            db.mark("unsafe")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            db.rewind("safe")
