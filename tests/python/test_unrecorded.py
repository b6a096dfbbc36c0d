"""hazard: somebody writes past the recording in a rollback mode. The first call afterwards says so, whichever it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

Call = Callable[[dbrewind.Database, Path], Any]

FIRST: dict[str, Call] = {
    "rewind": lambda db, _: db.rewind("base"),
    "diff": lambda db, _: db.diff("base"),
    "diff of two moments": lambda db, _: db.diff("base", "later"),
    "at": lambda db, _: db.at("base"),
    "clone": lambda db, folder: db.clone("base", folder / "copy.db"),
    "dirty_since": lambda db, _: db.dirty_since("base"),
    "now": lambda db, _: db.now(),
    "a time": lambda db, _: db.at("0 seconds ago"),
}


@pytest.mark.parametrize("first", FIRST)
def test_the_first_call_says_that_somebody_wrote(
    tmp_path: Path, second: Callable[[Path], SecondProcess], first: str
) -> None:
    path = create(tmp_path / "app.db", "delete")
    stranger = second(path)
    with dbrewind.open(path) as db:
        db.mark("base")
        db.mark("later")
        stranger("DELETE FROM users WHERE id = 3")
        # Nor does asking change the answer.
        for call in (FIRST[first], FIRST[first], *FIRST.values()):
            with pytest.raises(dbrewind.NotAttachedError, match=r"\[DBR001\] .* without being recorded"):
                call(db, tmp_path)
        assert [mark.state for mark in db.marks()] == ["lost", "lost"]
        assert not (tmp_path / "copy.db").exists()
        db.mark("anew")
        assert [mark.state for mark in db.marks()] == ["lost", "lost", "archived"]
        with pytest.raises(dbrewind.MarkLostError):
            db.diff("base")
        assert not db.diff("anew")


def test_a_past_moment_that_is_open_stays_or_fails(tmp_path: Path, second: Callable[[Path], SecondProcess]) -> None:
    """It says why to whom asks, since SQLite knows no more than an I/O error."""
    path = create(tmp_path / "app.db", "delete")
    stranger = second(path)
    with dbrewind.open(path) as db:
        db.mark("base")
        at = db.at("base")
        then = sqlite3.connect(at.uri, uri=True)
        assert at.failure is None
        stranger("DELETE FROM users WHERE id = 3")
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            then.execute("SELECT sum(length(note)) FROM orders").fetchone()
        assert at.failure is not None
        assert "without being recorded" in at.failure
        then.close()


def test_who_begins_anew_has_the_marks_be_lost(tmp_path: Path, second: Callable[[Path], SecondProcess]) -> None:
    """Each command opens the database for recording, and finds that its history was interrupted."""
    path = create(tmp_path / "app.db", "delete")
    stranger = second(path)
    with dbrewind.open(path) as db:
        db.mark("base")
        stranger("DELETE FROM users WHERE id = 3")
        run = [sys.executable, "-m", "dbrewind", "list", str(path)]
        listed = subprocess.run(run, check=True, capture_output=True, text=True)
        assert listed.stdout.startswith("base\tlost\t")
        for call in (lambda: db.rewind("base"), lambda: db.diff("base"), lambda: db.at("base")):
            with pytest.raises(dbrewind.MarkLostError):
                call()
        stranger("DELETE FROM users WHERE id = 4")
        with pytest.raises(dbrewind.NotAttachedError):
            db.now()
