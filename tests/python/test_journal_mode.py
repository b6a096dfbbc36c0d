"""Changes of the journal mode: the application's, and the one that `open` makes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

import pytest

import dbrewind
from conftest import create
from second_process import SecondProcess

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


@pytest.mark.parametrize("where", ["here", "there"])
def test_leaving_wal_beside_another_recording_names_it(wal_db: Path, where: str) -> None:
    recording = "import dbrewind, sys; db = dbrewind.open(sys.argv[1]); print(flush=True); input()"
    with ExitStack() as stack:
        if where == "here":
            stack.enter_context(dbrewind.open(wal_db))
            name = "this process"
        else:
            run = [sys.executable, "-c", recording, str(wal_db)]
            child = stack.enter_context(subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            assert child.stdin
            assert child.stdout
            child.stdout.readline()
            name = rf"process {child.pid} \(.*\)"
        with pytest.raises(dbrewind.BusyError, match=f"another recording .*: it is open in {name}; close it") as caught:
            dbrewind.open(wal_db, journal="delete", timeout=0.05)
        assert "transaction" not in str(caught.value)
        if where == "there":
            child.communicate(b"\n")
    with dbrewind.open(wal_db, journal="delete") as db:
        assert db.journal == "rollback"


def make_history(path: Path) -> None:
    with dbrewind.open(path) as db:
        db.mark("start")


OTHERS = {
    "a writer": "BEGIN IMMEDIATE",
    "a writer in the file": "BEGIN EXCLUSIVE",
    "a reader": "BEGIN; SELECT * FROM users",
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("recorded", [False, True], ids=["new", "recorded"])
def test_entering_wal_waits_and_names_who_is_in_the_way(
    tmp_path: Path, second: Callable[[Path], SecondProcess], other: str, recorded: bool
) -> None:
    path = create(tmp_path / "app.db", "delete")
    if recorded:
        make_history(path)
    stranger = second(path)
    for statement in OTHERS[other].split(";"):
        stranger(statement)
    started = time.monotonic()
    with pytest.raises(dbrewind.BusyError, match=f"process {stranger.pid} .*waited") as caught:
        dbrewind.open(path, journal="wal", timeout=0.3)
    assert time.monotonic() - started >= 0.3, caught.value
    # As soon as it is out of the way, whenever that is.
    release = threading.Timer(0.3, stranger, ("COMMIT",))
    release.start()
    with dbrewind.open(path, journal="wal", timeout=300) as db:
        assert db.journal == "wal"
        assert [(mark.name, mark.state == "lost") for mark in db.marks()] == ([("start", False)] if recorded else [])
    release.join()


def test_entering_wal_names_a_connection_of_this_process(tmp_path: Path, connect: Connect) -> None:
    path = create(tmp_path / "app.db", "delete")
    app = connect(path)
    app.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        dbrewind.BusyError, match=r"a connection of this (thread|process .*) has an open write transaction"
    ):
        dbrewind.open(path, journal="wal", timeout=0.05)


@pytest.mark.parametrize("recorded", [False, True], ids=["new", "recorded"])
def test_leaving_wal_waits_and_names_who_is_in_the_way(
    wal_db: Path, second: Callable[[Path], SecondProcess], recorded: bool
) -> None:
    if recorded:
        make_history(wal_db)
    with ExitStack() as stack:
        stranger = stack.enter_context(SecondProcess(wal_db))
        stranger("SELECT * FROM users")
        with pytest.raises(dbrewind.BusyError, match=f"all must be closed.*process {stranger.pid}"):
            dbrewind.open(wal_db, journal="delete", timeout=0.3)
        release = threading.Timer(0.3, stack.close)
        release.start()
        with dbrewind.open(wal_db, journal="delete", timeout=300) as db:
            assert db.journal == "rollback"
        release.join()


def test_another_journal_is_refused(wal_db: Path) -> None:
    with pytest.raises(dbrewind.InvalidArgumentError, match='"wal", "delete" or None'):
        dbrewind.open(wal_db, journal="truncate")  # type: ignore[arg-type]
