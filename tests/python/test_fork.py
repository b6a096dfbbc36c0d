"""fork: locks do not pass to a child, so the child's calls are refused, and its end harms nobody."""

from __future__ import annotations

import os
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

import dbrewind

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked child; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_in_a_child_every_call_is_refused(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")

        def work() -> None:
            calls: list[Callable[[], object]] = [
                lambda: db.mark("child"),
                db.marks,
                db.now,
                db.digest,
                lambda: db.rewind("seeded"),
                lambda: db.dirty_since("seeded"),
            ]
            for call in calls:
                with pytest.raises(dbrewind.ForkedError) as caught:
                    call()
                assert caught.value.code == "DBR020"

        assert in_child(work) == 0
        assert [mark.name for mark in db.marks()] == ["seeded"]


def test_the_end_of_a_child_does_not_end_the_recording(app_db: Path) -> None:
    """hazard: a child that closes inherited descriptors must not drop the parent's locks or marks."""
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        before = db.digest()

        def work() -> None:
            with suppress(dbrewind.ForkedError):
                db.close()

        assert in_child(work) == 0
        with closing(sqlite3.connect(app_db, isolation_level=None)) as app:
            app.execute("DELETE FROM users")
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.rewind("seeded")
        assert db.digest() == before


def test_a_child_may_open_its_own(app_db: Path) -> None:
    with dbrewind.open(app_db) as db:
        db.mark("seeded")
        with closing(sqlite3.connect(app_db, isolation_level=None)) as app:
            app.execute("DELETE FROM users")

        def work() -> None:
            with dbrewind.open(app_db) as own:
                own.rewind("seeded")
                with closing(sqlite3.connect(app_db, isolation_level=None)) as app:
                    app.execute("DELETE FROM users WHERE id > 50")
                own.rewind("seeded")

        assert in_child(work) == 0
        with closing(sqlite3.connect(app_db)) as app:
            assert app.execute("SELECT count(*) FROM users").fetchone() == (100,)
        assert not db.dirty_since("seeded")
