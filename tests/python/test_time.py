"""Rewinds to a time, in every form that it can have."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import dbrewind
from conftest import create


def pause() -> datetime:
    """A time that is certainly after every commit so far and before every one to come."""
    time.sleep(0.05)
    now = datetime.now(timezone.utc)
    time.sleep(0.05)
    return now


def users(app: sqlite3.Connection) -> int:
    count: int = app.execute("SELECT count(*) FROM users").fetchone()[0]
    return count


@pytest.mark.parametrize("form", ["utc", "elsewhere", "z", "offset", "blank"])
def test_every_form_of_a_time(app_db: Path, connect: Callable[[Path], sqlite3.Connection], form: str) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        app.execute("DELETE FROM users WHERE id > 50")
        mark = db.mark("half")
        then = pause()
        app.execute("DELETE FROM users")
        east = then.astimezone(timezone(timedelta(hours=1)))
        forms: dict[str, str | datetime] = {
            "utc": then,
            "elsewhere": east,
            "z": then.isoformat().replace("+00:00", "Z"),
            "offset": east.isoformat(),
            "blank": str(then),
        }
        to = forms[form]
        assert db.dirty_since(to)
        done = db.rewind(to)
        assert users(app) == 50
        assert done.to == mark.lsn
        assert done.time.tzinfo is timezone.utc
        assert then - timedelta(minutes=1) < done.time <= then
        assert not db.dirty_since(done.time)
        assert db.rewind(done.time).method == "nothing"


def test_so_long_ago(app_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        begun = pause()
        app.execute("DELETE FROM users")
        seconds = (datetime.now(timezone.utc) - begun).total_seconds()
        done = db.rewind(f"{seconds:.6f} seconds ago")
        assert users(app) == 100
        assert done.time <= begun
        assert db.rewind("0 s ago").method == "nothing"
        assert db.rewind(datetime.now(timezone.utc) + timedelta(days=1)).method == "nothing"


def test_the_time_of_a_mark_and_of_a_moment_lead_there(
    app_db: Path, connect: Callable[[Path], sqlite3.Connection]
) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        marks = []
        for left in (90, 60, 30):
            app.execute("DELETE FROM users WHERE id > ?", (left,))
            marks.append(db.mark(f"left {left}"))
            time.sleep(0.01)
        app.execute("DELETE FROM users")
        for mark in marks:
            done = db.rewind(mark.time)
            assert done.to == mark.lsn
            assert db.rewind(done.time).to == mark.lsn


def test_each_commit_of_a_rollback_mode(tmp_path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path, moments="commits") as db:
        app = connect(path)
        moments = []
        for left in (90, 60, 30, 0):
            app.execute("DELETE FROM users WHERE id > ?", (left,))
            moments.append((pause(), left, db.now()))
        for then, left, moment in moments:
            assert db.rewind(then).to == moment
            assert users(app) == left
        assert db.marks() == []
    with pytest.raises(dbrewind.InvalidArgumentError, match='"marks", "commits" or None'):
        dbrewind.open(path, moments="all")  # type: ignore[arg-type]


def test_a_time_between_two_marks_of_a_rollback_mode(
    tmp_path: Path, connect: Callable[[Path], sqlite3.Connection]
) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path, moments="marks") as db:
        app = connect(path)
        app.execute("DELETE FROM users WHERE id > 90")
        mark = db.mark("left 90")
        app.execute("DELETE FROM users WHERE id > 60")
        then = pause()
        app.execute("DELETE FROM users WHERE id > 30")
        done = db.rewind(then)
        assert (users(app), done.to) == (90, mark.lsn)


def test_before_the_window(app_db: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        app.execute("DELETE FROM users")
        for early in ("1 week ago", datetime(1969, 7, 20, tzinfo=timezone.utc), "2001-01-01T00:00:00Z"):
            with pytest.raises(
                dbrewind.BeforeWindowError, match=r"\d{4}-\d\d-\d\dT.*Z, when recording began; .*use_earliest$"
            ) as caught:
                db.rewind(early)
            assert caught.value.code == "DBR027"
            with pytest.raises(dbrewind.BeforeWindowError):
                db.dirty_since(early)
        assert users(app) == 0
        done = db.rewind("1 week ago", use_earliest=True)
        assert users(app) == 100
        said = str(caught.value).split(" is before ")[1].split(",")[0]
        assert db.rewind(said).method == "nothing"
        assert datetime.now(timezone.utc) - done.time < timedelta(minutes=5)


def test_a_time_without_a_zone_is_refused(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        for naive in (datetime(2026, 11, 22, 7, 48), "2026-11-22T07:48:00"):
            with pytest.raises(dbrewind.InvalidArgumentError, match=r"zone|offset"):
                db.rewind(naive)


@pytest.mark.parametrize("name", ["5 minutes ago", "2026-11-22T07:48:00Z", "5 fortnights ago"])
def test_a_mark_has_no_name_that_reads_as_a_time(wal_db: Path, name: str) -> None:
    with dbrewind.open(wal_db) as db:
        with pytest.raises(dbrewind.InvalidArgumentError, match="reads as a time"):
            db.mark(name)
        assert list(db.marks()) == []


def test_a_text_that_is_nearly_a_time_says_how_to_write_one(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        for text in ("5 fortnights ago", "2026-13-01T00:00:00Z"):
            with pytest.raises(dbrewind.InvalidArgumentError, match="5 minutes ago"):
                db.rewind(text)


@pytest.mark.parametrize("engine", ["inside", "keeper"])
def test_in_the_keeper_too(wal_db: Path, connect: Callable[[Path], sqlite3.Connection], engine: str) -> None:
    with dbrewind.open(wal_db, engine=engine) as db:  # type: ignore[arg-type]
        app = connect(wal_db)
        then = pause()
        app.execute("DELETE FROM users")
        assert db.rewind(then, timeout=3).time <= then
        assert users(app) == 100
        with pytest.raises(dbrewind.BeforeWindowError):
            db.rewind("3 days ago")
        assert db.rewind("3 days ago", use_earliest=True).time <= then


def test_only_these_kinds_lead_anywhere(wal_db: Path) -> None:
    with dbrewind.open(wal_db) as db:
        for wrong in (5, 5.0, timedelta(minutes=5), datetime.now(timezone.utc).date()):
            with pytest.raises(TypeError, match="a time as text or datetime"):
                db.rewind(wrong)  # type: ignore[arg-type]
