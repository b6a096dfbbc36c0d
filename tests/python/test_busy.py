"""Transactions in a rewind's way: everything stays as it was, and the error says whose they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import dbrewind
from conftest import create
from error_scene import Connect, assert_code


def test_busy_leaves_everything_as_it_was(app_db: Path, connect: Connect) -> None:
    with dbrewind.open(app_db) as db:
        app = connect(app_db)
        db.mark("seeded")
        app.execute("DELETE FROM users WHERE id > 50")
        app.execute("BEGIN IMMEDIATE")
        app.execute("DELETE FROM users WHERE id > 40")
        with another_thread(), pytest.raises(TimeoutError) as caught:
            db.rewind("seeded", timeout=0.05)
        assert isinstance(caught.value, dbrewind.BusyError)
        # In a rollback mode it is told at once that the connection is this thread's own.
        word = "raise the timeout" if db.journal == "wal" else "this thread itself is in the way"
        assert_code(caught, "DBR004", word, "roll it back")  # type: ignore[arg-type]
        app.execute("COMMIT")
        assert app.execute("SELECT count(*) FROM users").fetchone() == (40,)
        db.rewind("seeded", timeout=0)
        assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)


@contextmanager
def another_thread() -> Iterator[None]:
    """Somebody else who might have begun the transaction."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


OWN_TRANSACTION = """
import sqlite3, sys
import dbrewind

with dbrewind.open(sys.argv[1], timeout=600) as db:
    app = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.mark("seeded")
    app.execute("BEGIN IMMEDIATE")
    app.execute("DELETE FROM users")
    try:
        db.rewind("seeded")
    except dbrewind.BusyError as error:
        print(error)
    app.execute("ROLLBACK")
"""


def test_the_only_thread_does_not_wait_for_itself(app_db: Path) -> None:
    """Nobody else could end the transaction: ten minutes would not help."""
    done = subprocess.run([sys.executable, "-c", OWN_TRANSACTION, app_db], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    text = done.stdout
    assert text.startswith("[DBR004] this thread itself is in the way")
    assert ": a connection of this thread has an open write transaction; end that transaction" in text
    assert "waited" not in text
    assert "timeout" not in text


def test_busy_says_who_and_what_to_do(app_db: Path, connect: Connect, second: Any) -> None:
    stranger = second(app_db)
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        stranger("BEGIN IMMEDIATE")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        stranger("ROLLBACK")
        assert_code(caught, "DBR004", "write transaction", ": process ", "roll it back", "raise the timeout")
        assert "held by" not in str(caught.value)
        app = connect(app_db)
        app.execute("BEGIN IMMEDIATE")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        # Its own connection cannot end while the thread waits here: raising the timeout would not help.
        assert_code(caught, "DBR004", ": a connection ", "this thread")


def test_busy_at_the_beginning(wal_db: Path, connect: Connect) -> None:
    app = connect(wal_db)
    app.execute("BEGIN IMMEDIATE")
    app.execute("DELETE FROM users")
    with pytest.raises(dbrewind.BusyError) as caught:
        dbrewind.open(wal_db, timeout=0.05)
    assert_code(caught, "DBR004", "another connection is in a transaction", "a connection in this process", "waited")


def test_a_reader_from_before_the_recording_is_named(tmp_path: Path) -> None:
    create(tmp_path / "app.db", "delete")
    program = """
import sqlite3
app = sqlite3.connect("app.db")
import dbrewind
db = dbrewind.open("app.db")
db.mark("seeded")
writer = sqlite3.connect("app.db", isolation_level=None)
writer.execute("DELETE FROM users")
cursor = app.execute("SELECT id FROM orders")
cursor.fetchone()
try:
    db.rewind("seeded", timeout=0.1)
except dbrewind.BusyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("[DBR004] ")
    assert ": a connection of this process from before the recording is reading" in done.stdout


def test_a_commit_that_met_a_reader_is_not_taken_for_a_stranger(tmp_path: Path, connect: Connect) -> None:
    path = create(tmp_path / "app.db", "delete")
    with dbrewind.open(path) as db:
        db.mark("seeded")
        reader, writer = connect(path), connect(path)
        cursor = reader.execute("SELECT id FROM orders")
        cursor.fetchone()
        writer.execute("PRAGMA busy_timeout = 0")
        writer.execute("BEGIN")
        writer.execute("DELETE FROM users")
        # Its descriptor stays open as long as there are locks, which is no connection.
        closed = sqlite3.connect(path, timeout=0)
        closed.execute("SELECT count(*) FROM users")
        closed.close()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.execute("COMMIT")
        with pytest.raises(dbrewind.BusyError) as caught:
            db.rewind("seeded", timeout=0.05)
        assert_code(caught, "DBR004", "is reading", "has an open write transaction")
        assert "from before the recording" not in str(caught.value)
        cursor.close()
        writer.execute("ROLLBACK")
        db.rewind("seeded")
